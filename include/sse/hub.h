/* SPDX-License-Identifier: MIT */
/* hub.h: channels, their windows, publishing, and administration. */
#ifndef SSE_HUB_H
#define SSE_HUB_H

#include <stddef.h>
#include <stdint.h>

#include "alloc.h"
#include "format.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A hub is a set of named channels with one sequence of numbers and one lock. Each published event
 * takes the next number; its id on the wire is `<epoch>.<number>`. The epoch names the life of this
 * hub: a number means nothing without it.
 *
 * A hub that is fed from a log (SSE_NUMBERS_GIVEN) takes the numbers of the log instead, and the
 * epoch names the log's history. Then one id is exact in every process that reads the log, and
 * after every restart; sse-log(7) has the rules and a complete program.
 */
typedef struct sse_hub sse_hub;

/*
 * A hub belongs to the process that created it: create it after the last fork, and after daemon().
 * In a child that fork made later, a call with the hub, or with one of its loops or streams,
 * changes nothing, calls no callback, does not wait, and returns SSE_EFORK. A call that returns
 * something else returns the value for NULL; sse_stream_user and sse_stream_resume_result work.
 * The child cannot free these objects. It may create its own hub.
 */

#define SSE_NEVER                  (-1)       /* for a time in ms: never, or no limit */
#define SSE_CHANNEL_NAME_BYTES_MAX 255        /* longest channel name, bytes */
#define SSE_EPOCH_BYTES_MAX        11         /* longest epoch, bytes */
#define SSE_TAG_BYTES_MAX          255        /* longest tag of a stream, bytes */
#define SSE_TAGS_MAX               16         /* most tags of one stream */
#define SSE_PUBLISH_CHANNELS_MAX   256        /* most channels of one event */
#define SSE_BACKFILL_ALL           SIZE_MAX   /* for sse_hub_subscribe: all retained events */
#define SSE_FROM_FIRST             UINT64_MAX /* sse_channel_config.start_after: nothing is missing */

/* A yes-or-no setting that has a default. */
typedef enum sse_choice {
  SSE_DEFAULT = 0, /* the hub's value, or the default in the comment */
  SSE_YES = 1,
  SSE_NO = 2
} sse_choice;

/* Who gives the events of a hub their numbers. */
typedef enum sse_numbers {
  SSE_NUMBERS_OWN,  /* the hub: 1, 2, 3 and so on, in the order of the publishes */
  SSE_NUMBERS_GIVEN /* the application, from a log: sse_event.number */
} sse_numbers;

/*
 * One convention holds for every configuration in this library. A member that is 0 or NULL takes
 * the default named in its comment. A time in ms that is SSE_NEVER is switched off
 * (sse_loop_config.linger_ms, whose default is off, refuses it). A limit on a count or size is
 * switched off by the largest value of its type (UINT32_MAX, SIZE_MAX).
 */

/*
 * What one channel retains, and how many streams may listen to it. The oldest frame is evicted as
 * soon as one of the window's limits is exceeded. A member that is 0 takes the hub's value; in
 * sse_hub_config.channel it takes the default in the comment.
 */
typedef struct sse_channel_config {
  size_t window_frames_max;  /* frames in the window; default 1,024 */
  size_t window_bytes_max;   /* memory of these frames in bytes; at least one frame is kept;
                                default 4 MiB */
  int32_t window_age_ms_max; /* age of a frame in ms; default SSE_NEVER */
  sse_choice conflate;       /* SSE_YES: the window keeps only the newest event of each key, and
                                every event needs a key; default SSE_NO */
  sse_choice expire;         /* SSE_YES: the channel is dropped after channel_idle_ms without stream
                                and publish; default SSE_YES. In sse_hub_configure_channel 0 means
                                SSE_NO, whatever the hub's value is */
  uint32_t streams_max;      /* streams at one time; default none */
  uint64_t start_after;      /* with SSE_NUMBERS_GIVEN, for sse_hub_configure_channel before the
                                channel's first event: the channel's events up to this number are
                                missing, and no later one; SSE_FROM_FIRST: none is missing (not
                                after a skip or a reset to a number above 0); at most the hub's
                                start_after or that of the last reset, which is the default */
  int32_t reserved[2];       /* must be 0 */
} sse_channel_config;

/* Monotonic time in ns. Called from any thread, and from several threads at the same time. */
typedef int64_t sse_clock_fn(void *arg);

/*
 * Fills buf with len random bytes. Returns 0, or another value on failure. Only sse_hub_new calls
 * it.
 */
typedef int sse_random_fn(void *arg, void *buf, size_t len);

/*
 * Reports that a channel got its first stream (occupied is 1) or lost its last one (0).
 *
 * It is called on a thread that opens, detaches or frees a stream, or that looks for bytes of a
 * stream which subscribes or unsubscribes (peek, read, wait, flush). No lock of the library is
 * held. Calls are serialized per hub: while one thread delivers notifications, it also delivers
 * those of other threads. A notification may therefore come late, and a change that is undone
 * before its notification is not reported. The last notification of a channel states how the
 * channel is, and its notifications alternate. The callback may publish, and may open and end
 * streams; changes that it makes are reported after it has returned. It must not free the hub.
 */
typedef void sse_occupancy_fn(void *arg, const char *channel, int occupied);

/* The configuration of a hub. A member that is 0 or NULL takes the default in its comment. */
typedef struct sse_hub_config {
  size_t memory_bytes_max;      /* ceiling on the memory of all frames, retained or in flight;
                                   default 64 MiB */
  size_t event_bytes_max;       /* longest encoded event in bytes, at most an eighth of the ceiling
                                   and 1 GiB; default 256 KiB, or that eighth if it is less */
  uint32_t channels_max;        /* channels at one time; default 65,536 */
  uint32_t streams_max;         /* streams at one time; default 1,048,576 */
  uint32_t stream_channels_max; /* channels of one stream, at most 65,535; default 256 */
  uint32_t tag_streams_max;     /* streams with the same tag at one time; default none */
  uint32_t concurrent_replays_max; /* streams that replay at the same time; further ones wait for a
                                      slot; default none */
  uint32_t ghosts_max;     /* dropped channels that are remembered individually; default 65,536 */
  int32_t channel_idle_ms; /* a channel is dropped after this time without stream and publish;
                              default 300,000 */
  int32_t heartbeat_ms;    /* silence after which a heartbeat is sent; default 15,000 */
  int32_t stall_ms;        /* a stream whose transport takes nothing for this time ends; on a
                              socket that sse_stream_prepare_fd prepared, also one whose client
                              acknowledges nothing for this time; default 60,000 */
  int32_t age_ms_max;      /* a stream ends at a random age between three quarters of this value
                              and this value; default SSE_NEVER */
  int32_t retry_ms;        /* reconnection time for clients; each is sent a random value between
                              this and one and a half times this; SSE_NEVER: none is sent;
                              default 2,000 */
  sse_channel_config channel;  /* for channels that have no configuration of their own */
  const char *epoch;           /* 1 to SSE_EPOCH_BYTES_MAX of [A-Za-z0-9_-]; default: 64 random
                                  bits. With SSE_NUMBERS_OWN it was never used before; with
                                  SSE_NUMBERS_GIVEN it is the name of the log's history, and
                                  required */
  const char *gap_type;        /* type of the event that reports a loss; default "gap" */
  const char *position_type;   /* type of the event that only carries an id;
                                  default "sse-position" */
  sse_clock_fn *clock;         /* the clock; default CLOCK_MONOTONIC */
  void *clock_arg;             /* passed to clock */
  sse_random_fn *random;       /* source of random bytes; default getrandom or getentropy */
  void *random_arg;            /* passed to random */
  sse_occupancy_fn *occupancy; /* called when a channel gets its first or loses its last stream;
                                  default none */
  void *occupancy_arg;         /* passed to occupancy */
  sse_alloc_fn *alloc;         /* the allocator; default realloc and free */
  void *alloc_arg;             /* passed to alloc */
  const char **error_detail;   /* on failure set to a static sentence that names the cause, else to
                                  NULL; NULL: not wanted */
  const char *finished_type;   /* type of the last event of a stream whose channels are all
                                  finished; default none: it has no such event */
  uint64_t start_after;        /* with SSE_NUMBERS_GIVEN: the hub's head at its start. What the log
                                  has up to this number counts as evicted in every channel, also in
                                  channels that are made later; not SSE_FROM_FIRST, which is for
                                  channels; default 0: the whole log will be published */
  sse_numbers numbers;         /* who gives events their numbers; default SSE_NUMBERS_OWN */
  int32_t reserved_int;        /* must be 0 */
  void *reserved[2];           /* must be NULL */
} sse_hub_config;

/**
 * Creates a hub.
 *
 * hub     receives the pointer; unchanged on failure.
 * config  borrowed for the call, its strings are copied; NULL: all defaults.
 *
 * Create the hub after the last fork: two processes that give their own numbers under one epoch
 * would give two events one id, so the child of a later fork is refused with SSE_EFORK.
 *
 * Threads:   any.
 * Callbacks: alloc and random of the configuration.
 * Returns:   0; SSE_EINVAL (hub is NULL; a reserved member is not NULL; a time, a choice, the epoch
 *            or a type is invalid; event_bytes_max is above an eighth of the ceiling or 1 GiB, or
 *            stream_channels_max above 65,535; SSE_NUMBERS_GIVEN without an epoch, start_after
 *            without SSE_NUMBERS_GIVEN, or SSE_FROM_FIRST, or a start_after in `channel`;
 *            error_detail names it),
 *            SSE_ENOMEM, SSE_ERANDOM (random failed).
 */
SSE_API int sse_hub_new(sse_hub **hub, const sse_hub_config *config);

/**
 * Frees a hub, its channels and their frames.
 *
 * hub  NULL is allowed.
 *
 * The order of a shutdown: stop what publishes; end the streams; stop what ticks, which until then
 * drives standalone streams that drain; free the loops; free the hub. To end the streams, call
 * sse_hub_drain, serve for its period, call sse_hub_disconnect(hub, NULL) for clients that accept
 * nothing, and serve until sse_hub_count(hub, NULL) is 0; or free them.
 *
 * Threads:   the last user of the hub; no other call may run at the same time or later.
 * Callbacks: alloc.
 * Returns:   0; SSE_EBUSY if a loop or a stream of the hub is not freed yet, or SSE_EFORK; nothing
 *            is changed then.
 */
SSE_API int sse_hub_free(sse_hub *hub);

/**
 * Configures one channel, and creates it if it does not exist.
 *
 * hub      the hub.
 * channel  its name: 1 to SSE_CHANNEL_NAME_BYTES_MAX bytes of UTF-8 without ASCII control
 *          characters; copied.
 * config   borrowed; NULL: every member is 0.
 *
 * A member that is 0 takes the hub's value, except `expire`, where 0 means SSE_NO. A window that
 * exceeds its new limits is cut immediately. A configured channel stays until the hub is freed,
 * unless `expire` is SSE_YES, the channel is finished, or sse_hub_forget removes it. Any other
 * channel is dropped when it is idle (channel_idle_ms), unless the hub's `expire` is SSE_NO.
 *
 * Threads:   any.
 * Callbacks: alloc and clock.
 * Returns:   0; SSE_EINVAL, also for a start_after above the hub's, and for SSE_FROM_FIRST after a
 *            skip or a reset to a number above 0; SSE_ENAME, SSE_ECHANNELS,
 *            SSE_ENOMEM; SSE_EBUSY: `conflate` and `start_after` cannot change after the channel's
 *            first event, nor `start_after` while a stream listens.
 */
SSE_API int sse_hub_configure_channel(sse_hub *hub, const char *channel,
                                      const sse_channel_config *config);

/**
 * Removes a channel that no stream listens to, with its window and its configuration.
 *
 * hub      the hub.
 * channel  its name.
 *
 * The hub treats it as a channel that was dropped after its idle time: a client that returns to it
 * gets a gap, and a finished channel stays finished, for as long as the hub remembers it
 * (ghosts_max). A window of more than 512 frames is evicted in parts; if a stream is opened on the
 * channel between two of them, the call returns SSE_EBUSY, and what was evicted is gone.
 *
 * Threads:   any.
 * Callbacks: alloc.
 * Returns:   0; or an error, with nothing else changed: SSE_EINVAL, SSE_ENAME, SSE_ENOTFOUND (no
 *            such channel), SSE_EBUSY (a stream listens, or is about to subscribe or unsubscribe; a
 *            loop has not yet given up its part, which it does in its next iterations; or its
 *            occupancy is being reported), SSE_ENOMEM (the hub cannot remember that the channel is
 *            finished, or that its state is lost).
 */
SSE_API int sse_hub_forget(sse_hub *hub, const char *channel);

/**
 * Publishes one event to a channel, and creates the channel if it does not exist.
 *
 * hub      the hub.
 * channel  its name, as in sse_hub_configure_channel.
 * ev       the event, with a payload; copied.
 *
 * When the call returns 0, the event is in the window, and every stream of the channel will be
 * given the event or a gap that reports its loss. The cost does not depend on the number of streams
 * of loops: one wake for each loop that listens and sleeps, and one for each standalone stream that
 * is armed. The call never waits for a client. Events of one thread keep their order; those of
 * several threads are in the order in which the calls took the hub's lock. To make room, the hub
 * evicts the oldest frames, of the channel first, then of the hub.
 *
 * The event's id on the wire is the hub's, `<epoch>.<number>`, unless ev has an id of the
 * application, which is sent verbatim. Such an id must be unique during the life of the hub; the
 * call refuses one that a retained event has, and one that has the hub's own form or nearly so. A
 * client that returns with it continues after the event; after a restart only if its stream had
 * SSE_POSITION_OFF, because otherwise its last id may be a position of the old hub.
 *
 * With SSE_EPHEMERAL the event has no id and is not retained: it is given to the streams that are
 * open on the channel now, or are about to subscribe to it, and a stream that misses it is not
 * notified. If there is none, the event takes no number and goes nowhere, which is not an error
 * unless the channel is finished.
 *
 * Threads:   any.
 * Callbacks: alloc and clock; then, without a lock, wakes of loops and of standalone streams.
 * Returns:   0; or an error, and then nothing was published, no number was taken and nothing was
 *            evicted:
 *            SSE_EINVAL     a pointer is NULL, or the event has SSE_RESET_ID; and as sse_format
 *            SSE_ENODATA    the event has no payload
 *            SSE_EID        as sse_format; also an id of the hub's own form
 *            SSE_EIDUSED    a retained event has this id
 *            SSE_EKEY       the key is empty or too long; the channel is conflated and the event
 *                           has no key, or has an id
 *            SSE_ETOOBIG    the encoded event is longer than event_bytes_max
 *            SSE_ENAME, SSE_ECHANNELS, SSE_ENOMEM
 *            SSE_EFULL      the ceiling is reached by frames that are in flight; the streams that
 *                           have held them longest end, so that a later publish succeeds
 *            SSE_EFINISHED  sse_hub_finish was called for the channel, or for one of several
 *            SSE_ENUMBER    with SSE_NUMBERS_GIVEN: the number is not above the hub's head, and not
 *                           0 for an ephemeral event; the event was published before, or belongs to
 *                           an earlier history
 *            SSE_EINVAL     with SSE_NUMBERS_OWN: the event has a number
 *            and the other errors of sse_format.
 */
SSE_API int sse_hub_publish(sse_hub *hub, const char *channel, const sse_event *ev);

/**
 * Publishes one event to several channels under one number.
 *
 * hub       the hub.
 * channels  1 to SSE_PUBLISH_CHANNELS_MAX different names; a list that ends with NULL.
 * ev        as in sse_hub_publish.
 *
 * Either all of the channels receive it or none. A stream of several of them receives it once; only
 * a backfill may repeat it. Its bytes are stored once; each channel adds about 100 bytes.
 *
 * Threads:   any.
 * Callbacks: as sse_hub_publish.
 * Returns:   as sse_hub_publish; SSE_EINVAL also for an empty list or a name that occurs twice,
 *            SSE_ECHANNELS also for too many names.
 */
SSE_API int sse_hub_publish_to(sse_hub *hub, const char *const *channels, const sse_event *ev);

/**
 * Publishes a C string: sse_hub_publish with a type and a text. It has no number, so a hub with
 * SSE_NUMBERS_GIVEN refuses it with SSE_ENUMBER.
 *
 * hub, channel  as in sse_hub_publish.
 * type          the event type; NULL: none.
 * text          the payload; not NULL.
 *
 * Threads:   any.
 * Callbacks: as sse_hub_publish.
 * Returns:   as sse_hub_publish; SSE_ENODATA if text is NULL.
 */
SSE_API int sse_hub_publish_text(sse_hub *hub, const char *channel, const char *type,
                                 const char *text);

/**
 * Publishes one event, as sse_hub_publish_to does, and returns the id that it was given.
 *
 * hub, channels, ev  as in sse_hub_publish_to.
 * id                 receives the id, ended by NUL: the hub's own or the application's; "" for an
 *                    ephemeral event. Unchanged on failure.
 * cap                size of id in bytes, at least SSE_ID_BYTES_MAX + 1.
 *
 * Threads:   any.
 * Callbacks: as sse_hub_publish.
 * Returns:   as sse_hub_publish_to; SSE_EINVAL also if id is NULL or cap is too small.
 */
SSE_API int sse_hub_publish_id(sse_hub *hub, const char *const *channels, const sse_event *ev,
                               char *id, size_t cap);

/**
 * Writes the id that stands for everything that was published up to now.
 *
 * hub  the hub.
 * id   receives the id, ended by NUL; unchanged on failure.
 * cap  size of id in bytes, at least SSE_ID_BYTES_MAX + 1.
 *
 * A program that renders a page from its database calls this before it reads the database, and puts
 * the id into the page. The page opens its stream with this id (last_id): the stream then begins
 * with the first event that the page may lack, and no event falls between the two. It requires that
 * a change is in the database before its event is published. Events that were published in between
 * are in the page and are given once more. Ephemeral events before the open are not given.
 *
 * Threads:   any.
 * Callbacks: none.
 * Returns:   0; SSE_EINVAL (a pointer is NULL, or cap is too small).
 */
SSE_API int sse_hub_position(sse_hub *hub, char *id, size_t cap);

/**
 * Reports that the log was read up to a number, and that nothing up to it that was not published is
 * for this hub. The number becomes the hub's head. For a hub with SSE_NUMBERS_GIVEN.
 *
 * hub     the hub.
 * number  at or above the head; the head itself changes nothing.
 *
 * Clients learn the new number with their next position, at the latest after heartbeat_ms of
 * silence unless positions or heartbeats are off, so a quiet channel does not look like a loss when
 * they return. Streams that are ahead of the hub, up to this number, become ordinary ones;
 * standalone ones are woken, and so are loops of which such a stream waits to join a channel. Apart
 * from these wakes the time that the call takes grows with nothing but, while streams wait to join,
 * the number of loops.
 *
 * Threads:   any; one thread feeds the hub.
 * Callbacks: clock; then, without a lock, the wakes of standalone streams that were ahead, and of
 *            loops.
 * Returns:   0; SSE_EINVAL (hub is NULL, or gives its own numbers); SSE_ENUMBER (the number is below
 *            the head; nothing was changed).
 */
SSE_API int sse_hub_advance(sse_hub *hub, uint64_t number);

/**
 * Reports that the log's entries up to a number are lost to this hub: the log dropped them before
 * they were read. The number becomes the hub's head. For a hub with SSE_NUMBERS_GIVEN.
 *
 * hub     the hub.
 * number  above the head.
 *
 * What was skipped counts as evicted in every channel, also in one that is made later or was
 * dropped, and the state of every conflated channel is incomplete. Each stream whose cursor is
 * below the number is given a gap (evicted), without `lost`. Retained events of before the call that
 * the stream was not given yet follow the gap; if they are evicted before that, another gap says so.
 * A stream that closes when its client is slow (SSE_SLOW_CLOSE) is given the gap, too. A stream that
 * waits for admission is given it when its turn comes. The lock is held for a time that grows with
 * the number of loops; standalone streams are woken in parts.
 *
 * Threads:   any; one thread feeds the hub.
 * Callbacks: clock; then, without a lock, the wakes of loops and of standalone streams.
 * Returns:   0; SSE_EINVAL (hub is NULL, or gives its own numbers); SSE_ENUMBER (the number is not
 *            above the head; nothing was changed).
 */
SSE_API int sse_hub_skip(sse_hub *hub, uint64_t number);

/**
 * Reports that the log has a new history: its numbers begin again, or its tail was lost. For a hub
 * with SSE_NUMBERS_GIVEN.
 *
 * hub     the hub.
 * epoch   the name of the new history, as in sse_hub_config, other than the present one; copied.
 * number  the new head: the number up to which the new history was read, or up to which it will not
 *         be published; 0: it will be published whole.
 *
 * All windows are emptied, and everything up to the number counts as evicted in every channel.
 * Channels, their configurations and finished channels stay; a start_after of a channel is void.
 * Open streams stay open. Each is given a gap (restart) before anything else of the library or of
 * the new history, also while it waits for admission, except for what is in flight and what an
 * iteration of its loop had already taken. What it had not been given of the old history is not
 * given any more, and backfills that it has begun end. Its id is then one of the new history. A
 * not_before of the old history excludes nothing, and its application ids are free again. A client
 * that returns with an id of the old history is given a gap (restart).
 *
 * The lock is held for a time that grows with the number of loops; windows are emptied, and
 * standalone streams woken, in parts.
 *
 * Threads:   any; one thread feeds the hub.
 * Callbacks: alloc and clock; then, without a lock, the wakes of loops and of standalone streams.
 * Returns:   0; SSE_EINVAL (hub is NULL, or gives its own numbers; the epoch is invalid, or the
 *            present one).
 */
SSE_API int sse_hub_reset(sse_hub *hub, const char *epoch, uint64_t number);

/**
 * Declares that a channel has had its last event, and creates the channel if it does not exist.
 *
 * hub      the hub.
 * channel  its name, as in sse_hub_configure_channel.
 *
 * From now on publishing to it fails with SSE_EFINISHED. A stream ends gently with SSE_EFINISHED
 * when all its channels are finished and it has been given everything. A stream that is opened
 * later, and for which there is neither an event nor a gap, is refused with SSE_EFINISHED; the host
 * then answers with sse_http_stop, and the browser does not return. With finished_type
 * (sse_hub_config), the stream's last block is an event of this type with empty data, so that a
 * page can close its EventSource and need not return to be refused. A finished channel expires as
 * an idle channel does, also if it was configured; the hub remembers that it is finished for as
 * long as it remembers the channel (ghosts_max). After that the name is free again. A finished
 * channel cannot be reopened.
 *
 * Threads:   any.
 * Callbacks: alloc and clock; then, without a lock, wakes of loops and of standalone streams.
 * Returns:   0, also if it is finished already; SSE_EINVAL, SSE_ENAME, SSE_ECHANNELS, SSE_ENOMEM.
 */
SSE_API int sse_hub_finish(sse_hub *hub, const char *channel);

/**
 * Counts the streams that are open on a channel or on the hub.
 *
 * hub      the hub; NULL counts as a hub without streams.
 * channel  its name; NULL: the whole hub, where a stream of several channels counts once.
 *
 * A channel counts a stream until it is detached, the hub until it is freed. A stream that
 * sse_hub_subscribe or sse_hub_unsubscribe changes counts on the channel, or no more, when it next
 * looks for bytes.
 *
 * Threads:   any.
 * Callbacks: none.
 * Returns:   the number at this moment; 0 for an unknown channel.
 */
SSE_API size_t sse_hub_count(sse_hub *hub, const char *channel);

/**
 * Reports how many events the slowest client that keeps up has not been given yet, so that a
 * publisher can wait for the clients.
 *
 * hub  the hub; NULL counts as a hub without streams.
 *
 * A window retains a limited number of events. If more are published before a loop or a thread has
 * had the time to send them, clients are given a gap (slow), however fast they read. A publisher of
 * many events calls this before each, and waits while the result is above a quarter of the events
 * that the window can hold (window_frames_max, or window_bytes_max divided by the size of a frame).
 * This protects clients whose sockets have room. It must bound the time that it waits, since hosts
 * and clients can be late for any reason. sse-recipes(7) has a complete program.
 *
 * The result is the number of events that were published after the last one up to which each of
 * these has been given everything; events for channels that it does not have count, too, and so does
 * a call of sse_hub_skip or sse_hub_reset:
 *
 * - A loop that has new events for its streams, from the publish of the first of them until the end
 *   of the iteration that serves it (sse_loop_next returns NULL). A stream whose transport is full
 *   then does not count: its client is slow, and what it can miss is limited by the window only.
 * - A standalone stream that has been given everything, from the publish, skip or reset that wakes
 *   it until it is armed again (a peek, read, wait or flush found nothing). It counts no more once
 *   sse_stream_flush finds its transport full, or if its host does not come back for the next bytes
 *   for a second: in a write that blocks, or because the transport of a host that uses peek or read
 *   is full. It counts again once it has been given everything. Nor does it count while it does what
 *   something else woke it for: a heartbeat, a call of sse_hub_subscribe, its turn to replay. While
 *   several such streams are behind, the result may be too high by what one of them was given
 *   meanwhile, but it is never too low for those that count.
 *
 * While streams are still being woken for an event, they count as not having been given it, and the
 * result may be too high. It takes the hub's lock for a time that grows with the number of loops and
 * with nothing else.
 *
 * Threads:   any.
 * Callbacks: clock.
 * Returns:   the number of events; 0: every stream that keeps up has been given everything.
 */
SSE_API uint64_t sse_hub_lag(sse_hub *hub);

/* One tag and how many streams have it; for sse_hub_tags. */
typedef struct sse_tag_count {
  char tag[SSE_TAG_BYTES_MAX + 1]; /* the tag, ended by NUL */
  uint32_t streams;                /* streams with this tag, on the channel that was asked for */
} sse_tag_count;

/**
 * Lists the tags of the streams that are open on a channel, each with the number of its streams.
 *
 * hub      the hub.
 * channel  its name; NULL: all streams of the hub.
 * tags     receives the first max tags, in no particular order; may be NULL if max is 0.
 * max      how many entries tags has.
 *
 * The list is consistent: it is taken in one step, so that a stream that comes or goes during the
 * call is counted with all of its tags or with none. The hub's lock is held for a time that grows
 * with the number of the hub's streams and of their tags. A roster that changes often is better kept
 * by the host; this call is for its start and for operators.
 *
 * Threads:   any.
 * Callbacks: none.
 * Returns:   how many tags there are, which may be more than max; 0 for an unknown channel;
 *            SSE_EINVAL (hub is NULL, or tags is NULL and max is not 0), SSE_ENAME.
 */
SSE_API int sse_hub_tags(sse_hub *hub, const char *channel, sse_tag_count *tags, size_t max);

/**
 * Subscribes the open streams with a tag to a channel, without a reconnect.
 *
 * hub       the hub.
 * tag       one of the tags in sse_stream_config.
 * channel   its name, as in sse_hub_configure_channel.
 * backfill  how many of the channel's latest retained events each stream is given first;
 *           SSE_BACKFILL_ALL: all.
 *
 * A stream is given the channel's events that are published after this call, in their order among
 * the events of its other channels. The backfill comes before them, without ids, contiguous, and
 * between two positions; a client that is cut off during it gets a gap when it returns. It has the
 * events that the channel retains at the time of the call; a gap in place of the last position
 * reports that some were evicted before the stream was given them. It may repeat events that the
 * stream was given by another channel, or before it unsubscribed. A stream of a conflated channel
 * receives the channel's state instead, whatever the backfill; if the state is incomplete, a gap
 * follows it. The position after it tells the client that it is subscribed. A stream that already
 * has the channel is given nothing.
 *
 * A stream that is ahead of the hub (SSE_RESUME_AHEAD) is subscribed where it goes on: when the hub
 * has reached its number. The backfill is then what the channel retains up to that number.
 *
 * The subscription does not survive a reconnect: the host opens the next stream with the channels
 * that it chooses.
 *
 * A stream whose client takes no bytes carries nothing out, so its pending calls are limited: to
 * twice stream_channels_max, or 64 if that is more. Disconnect such a stream. All streams are asked
 * in one step, because they are to subscribe at one number, and all of them or none. The lock of the
 * hub is held for a time that is proportional to their number.
 *
 * Threads:   any.
 * Callbacks: alloc and clock; then, without a lock, the wakes of the streams.
 * Returns:   how many streams have the tag, those included that have the channel already or have
 *            ended and are not detached; 0 if none; or an error, and then no stream was
 *            subscribed: SSE_EINVAL, SSE_ENAME, SSE_ECHANNELS (the hub's limit,
 *            stream_channels_max of one stream, or too many calls are pending for one),
 *            SSE_ECHANNELSTREAMS, SSE_ENOMEM.
 */
SSE_API int sse_hub_subscribe(sse_hub *hub, const char *tag, const char *channel, size_t backfill);

/**
 * Unsubscribes the open streams with a tag from a channel.
 *
 * hub, tag, channel  as in sse_hub_subscribe.
 *
 * A stream is still given what was published before this call, and nothing of the channel that is
 * published after it. Events that are published until it subscribes again are neither sent nor
 * reported as lost; of a conflated channel a gap may report a loss that was none (sse(7)). A stream
 * may unsubscribe from its last channel; it then only gets heartbeats.
 *
 * Threads:   any.
 * Callbacks: as sse_hub_subscribe.
 * Returns:   as sse_hub_subscribe.
 */
SSE_API int sse_hub_unsubscribe(sse_hub *hub, const char *tag, const char *channel);

/**
 * Disconnects all streams with a tag, such as those of one user or session, or all streams of the
 * hub, immediately.
 *
 * hub  the hub.
 * tag  one of the tags in sse_stream_config; NULL: all streams of the hub, also those without tag.
 *
 * Their loops return them once more, and their next peek, read, wait or flush returns
 * SSE_EDISCONNECTED, even while bytes are in flight. Events that were published just before may not
 * reach the client; sse_hub_dismiss delivers them first. A client reconnects after it, as after any
 * end. Record the ban before this call and check it after each sse_stream_open: a stream that is
 * opened concurrently is then caught by one or the other. With NULL, call sse_hub_drain before, so
 * that no stream is opened any more. Streams are ended in parts, between which other threads may use
 * the hub; one that is opened during the call may be ended or not.
 *
 * Threads:   any.
 * Callbacks: without a lock, the wakes of their loops and of standalone streams.
 * Returns:   how many streams this call ended, 0 if none; SSE_EINVAL (hub is NULL, or a tag that is
 *            not 1 to SSE_TAG_BYTES_MAX bytes).
 */
SSE_API int sse_hub_disconnect(sse_hub *hub, const char *tag);

/**
 * Ends all streams with a tag gently: each is first given what was published before this call.
 *
 * hub  the hub.
 * tag  one of the tags in sse_stream_config.
 *
 * A stream that has been given everything up to this call ends gently with SSE_EDISMISSED, so a
 * last event such as "you were removed" arrives, unless its window evicts it before a slow client
 * has taken it. Events that are published after the call are not given to the stream; those that
 * other threads publish between the last event and this call are. The call replaces another gentle
 * end of the stream, such as a drain, until the stream is given its last block. A client that
 * accepts nothing is closed by its stall deadline. A client reconnects after it: as for
 * sse_hub_disconnect, record the ban first.
 *
 * Threads:   any.
 * Callbacks: alloc and clock; then, without a lock, the wakes of the streams.
 * Returns:   how many streams this call ends, 0 if none; or an error, and then no stream is ended:
 *            SSE_EINVAL as in sse_hub_disconnect, SSE_ENOMEM.
 */
SSE_API int sse_hub_dismiss(sse_hub *hub, const char *tag);

/**
 * Ends all streams gently, each at a random time.
 *
 * hub      the hub.
 * over_ms  the period over which the streams end, in ms from now; 0 or more.
 *
 * A stream whose time has come finishes the bytes in flight, is given a reconnection time of its
 * own, and then ends with SSE_EDRAINED; so clients neither leave nor return all at once. From now
 * on sse_stream_open fails with SSE_EDRAINED, and the host answers with sse_http_busy. Draining
 * cannot be undone. A further call may bring the end nearer, but never postpones it. Publishing
 * continues. The hub is drained when sse_hub_count(hub, NULL) is 0, for which
 * the host frees each stream that has ended. A client that accepts nothing
 * is closed only by its stall deadline.
 *
 * Threads:   any.
 * Callbacks: clock; then, without a lock, the wake of each loop that sleeps.
 * Returns:   0; SSE_EINVAL (hub is NULL, or over_ms is negative).
 */
SSE_API int sse_hub_drain(sse_hub *hub, int32_t over_ms);

/**
 * Returns a reconnection time for sse_http_busy: a random value between the hub's retry_ms and one
 * and a half times that, so that refused clients do not return all at once.
 *
 * hub  the hub.
 *
 * Threads:   any.
 * Callbacks: none.
 * Returns:   ms, 0 or more; with a retry_ms of SSE_NEVER a value around its default, since a busy
 *            answer always names a time; SSE_EINVAL if hub is NULL.
 */
SSE_API int32_t sse_hub_retry_ms(sse_hub *hub);

/**
 * Runs the hub's timers that are due: those of standalone streams, the age of frames, idle
 * channels, and wakes that failed.
 *
 * hub  the hub.
 *
 * A program whose streams all belong to loops need not call it, because loops do this work. A
 * program with standalone streams calls it from any one thread, repeatedly, at the intervals that
 * it returns. A stream in sse_stream_wait or sse_stream_run runs its own timers.
 *
 * Threads:   any.
 * Callbacks: alloc and clock; then, without a lock, wakes.
 * Returns:   ms until the next call, 0 to 1,000; SSE_EINVAL if hub is NULL.
 */
SSE_API int32_t sse_hub_tick(sse_hub *hub);

#ifdef __cplusplus
}
#endif
#endif
