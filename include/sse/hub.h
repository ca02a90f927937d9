/* SPDX-License-Identifier: MIT */
/* hub.h: channels, their windows, and publishing to them. */
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
 * A hub is a set of named channels under one sequence of numbers and one lock. Every published
 * event gets the next number; its id on the wire is `<epoch>.<number>`. The epoch is the random
 * name of this hub's life: a number means nothing without it.
 */
typedef struct sse_hub sse_hub;

#define SSE_NEVER            (-1) /* in a member that is a time: there is none */
#define SSE_CHANNEL_NAME_MAX 255  /* longest name of a channel, bytes */
#define SSE_EPOCH_MAX        11   /* longest epoch, bytes */
#define SSE_TAG_MAX          255  /* longest tag of a stream, bytes */

#define SSE_HISTORY_ALL SIZE_MAX /* for sse_hub_subscribe: all that a channel retains */

#define SSE_PUBLISH_CHANNELS_MAX 256 /* channels that one event may go to */

/*
 * What a channel retains for those who come back, and how many may listen. Whichever bound is met
 * first evicts the oldest frame. Zero is the default of every member: the hub's, and for the hub's
 * own the one named here.
 */
typedef struct sse_channel_config {
  size_t window_frames_max; /* frames; 1,024 */
  size_t window_bytes_max;  /* bytes of memory for them, at least one frame is kept; 4 MiB */
  int32_t window_age_ms;    /* age of a frame; SSE_NEVER (the default): no bound */
  int32_t conflate;         /* 1: only the newest event of each key is kept, and each event needs a
                               key; SSE_NEVER (the default): all are */
  uint32_t streams_max;     /* streams at one time; no bound */
  int32_t reserved[3];      /* must be 0 */
} sse_channel_config;

/* Monotonic time in nanoseconds. Called from any thread, also from several at one time. */
typedef int64_t sse_clock_fn(void *arg);
/* Fills buf with len random bytes; 0, or anything else for failure. Called by sse_hub_new only. */
typedef int sse_random_fn(void *arg, void *buf, size_t len);
/*
 * Tells that a channel has got its first stream (present 1) or lost its last (0). Called on any
 * thread that opens, detaches or frees a stream, or looks for bytes of one that joins or leaves
 * (peek, read, wait, flush), with no lock of the library held, and never twice at one time for one
 * hub: a thread leaves what it has to tell to the one that is at it. So a change may be told late,
 * and one that is undone before it is told is not told at all; but what is told last for a channel
 * is how it stands, and its calls alternate. It may publish, open, and end streams, whose changes
 * are told after it has returned; it must not free the hub.
 */
typedef void sse_occupancy_fn(void *arg, const char *channel, int present);
/* Zero is the default of every member; the default is named with it. Times may be SSE_NEVER. */
typedef struct sse_hub_config {
  size_t memory_max_bytes; /* ceiling for all frames, retained or lent; 64 MiB */
  size_t event_max_bytes;  /* longest encoded event; 256 KiB, at most an eighth of the ceiling */
  uint32_t channels_max;   /* channels at one time; 65,536 */
  uint32_t streams_max;    /* streams at one time; 1,048,576 */
  uint32_t stream_channels_max;    /* channels of one stream, 65,535 at most; 256 */
  uint32_t tag_streams_max;        /* streams of one tag; no bound */
  uint32_t concurrent_replays_max; /* streams that replay at once, further ones wait; no bound */
  uint32_t ghosts_max;             /* dropped channels remembered one by one; 65,536 */
  int32_t channel_idle_ms;         /* a channel goes away after so long without stream and publish;
                                   300,000 */
  int32_t heartbeat_ms;            /* silence before a comment is sent; 15,000 */
  int32_t stall_ms;                /* a client that accepts nothing for so long is closed; 60,000 */
  int32_t age_max_ms;         /* a stream ends between three quarters of this age and all of it;
                                   SSE_NEVER */
  int32_t retry_ms;           /* reconnection time told to a client, which gets between this and
                                   one and a half times this; SSE_NEVER: not told; 2,000 */
  sse_channel_config channel; /* for channels without a configuration of their own */
  const char *epoch;          /* 1 to SSE_EPOCH_MAX of [A-Za-z0-9_-], never used before; 64 random
                                   bits */
  const char *gap_type;       /* type of the event that tells of a loss; "gap" */
  const char *position_type;  /* type of the block that only carries an id; "sse-position" */
  sse_clock_fn *clock;        /* CLOCK_MONOTONIC */
  void *clock_arg;
  sse_random_fn *random; /* getrandom or getentropy */
  void *random_arg;
  sse_occupancy_fn *occupancy; /* none */
  void *occupancy_arg;
  sse_alloc_fn *alloc; /* realloc and free */
  void *alloc_arg;
  void *reserved[4]; /* must be NULL */
} sse_hub_config;

/**
 * Makes a hub.
 *
 * hub     where its pointer goes; untouched on failure.
 * config  borrowed for the call, with its strings copied; NULL: all defaults.
 *
 * Make the hub after the last fork: two processes with one epoch would give one id to two events.
 *
 * Threads:   any.
 * Callbacks: the configured alloc and random.
 * Returns:   0; SSE_EINVAL (hub is NULL, a reserved member or a time is out of order, an epoch or a
 *            type cannot be sent, event_max_bytes is over an eighth of the ceiling or over 1 GiB),
 *            SSE_ENOMEM,
 *            SSE_ERANDOM (the random callback failed).
 */
SSE_API int sse_hub_new(sse_hub **hub, const sse_hub_config *config);

/**
 * Frees a hub, its channels and their frames.
 *
 * hub  NULL is allowed.
 *
 * The order of a shutdown: drain, stop the host, free the loops, free the hub.
 *
 * Threads:   the last user of the hub; nothing else may call it at the same time or later.
 * Callbacks: alloc.
 * Returns:   0; SSE_EBUSY while a loop or a stream of it is not freed, and then nothing is changed.
 */
SSE_API int sse_hub_free(sse_hub *hub);

/**
 * Bounds one channel's window, and makes the channel if it is new.
 *
 * hub      the hub.
 * channel  name, 1 to SSE_CHANNEL_NAME_MAX bytes of UTF-8 without ASCII control
 *          characters; copied.
 * config   borrowed; NULL: the hub's defaults, as a channel has without this call.
 *
 * A window that is over its new bounds is cut at once. A channel that was configured stays until
 * the hub is freed; one that was not goes away when it is idle (channel_idle_ms).
 *
 * Threads:   any.
 * Callbacks: alloc and clock.
 * Returns:   0; SSE_EINVAL, SSE_ENAME, SSE_ECHANNELS, SSE_ENOMEM; SSE_EBUSY: to conflate it or not
 *            was settled by its first event.
 */
SSE_API int sse_hub_configure_channel(sse_hub *hub, const char *channel,
                                      const sse_channel_config *config);

/**
 * Publishes one event to a channel, which is made if it is new.
 *
 * hub      the hub.
 * channel  name, as in sse_hub_configure_channel.
 * ev       the event, with a payload. Copied.
 *
 * When it returns 0 the event is in the window, and every stream of the channel will be served it
 * or be told of the gap. The cost does not depend on the number of streams on loops: one wake for
 * each loop that listens and is asleep, and one for each stream that stands alone and is armed. It
 * never waits for a client. Events of one thread keep their order; those of several threads are
 * ordered by their numbers. To make room it evicts the oldest frames, first of the channel, then of
 * the hub.
 *
 * The event's id on the wire is the hub's own, `<epoch>.<number>`, unless ev brings one of the
 * application's, which goes out verbatim. Such an id must be unique in the life of the hub; one
 * that is still retained is refused, and so is one of the hub's form, or nearly. A client that
 * comes back with it goes on after the event.
 *
 * With SSE_EPHEMERAL the event has no id, is retained for nobody and missed without notice: it goes
 * to the streams that are open on the channel now. With none open it goes nowhere, and that is no
 * error.
 *
 * Threads:   any.
 * Callbacks: alloc and clock; then, with no lock held, the wake of loops and of lone streams.
 * Returns:   0; or an error, and then nothing was published, no number taken and nothing evicted:
 *            SSE_EINVAL (NULL, or SSE_RESET_ID), the errors of sse_format, SSE_EID also for an id
 *            of the hub's form, SSE_EIDUSED, SSE_EKEY, SSE_ENODATA also for a control block,
 *            SSE_ETOOBIG (over event_max_bytes), SSE_ENAME, SSE_ECHANNELS, SSE_ENOMEM, SSE_EFULL
 *            (the ceiling is taken up by frames that are lent), SSE_EFINISHED (sse_hub_finish was
 *            called for the channel).
 */
SSE_API int sse_hub_publish(sse_hub *hub, const char *channel, const sse_event *ev);

/**
 * Publishes one event to several channels, under one number.
 *
 * hub       the hub.
 * channels  names, 1 to SSE_PUBLISH_CHANNELS_MAX of them, none twice; a list ended by NULL.
 * ev        as in sse_hub_publish.
 *
 * All of the channels get it or none does. A stream of several of them gets it once. Its bytes are
 * held once; each channel adds some 100 bytes.
 *
 * Threads:   any.
 * Callbacks: as sse_hub_publish.
 * Returns:   as sse_hub_publish; SSE_EINVAL also for no channel or one twice, SSE_ECHANNELS also
 * for too many names.
 */
SSE_API int sse_hub_publish_to(sse_hub *hub, const char *const *channels, const sse_event *ev);

/**
 * Publishes a C string: sse_hub_publish with a type and a text.
 *
 * hub, channel  as there.
 * type          NULL: none.
 * text          the payload; not NULL.
 *
 * Threads:   any.
 * Callbacks: as sse_hub_publish.
 * Returns:   as sse_hub_publish; SSE_ENODATA if text is NULL.
 */
SSE_API int sse_hub_publish_text(sse_hub *hub, const char *channel, const char *type,
                                 const char *text);

/**
 * Says that a channel has had its last event, and makes the channel if it is new.
 *
 * hub      the hub.
 * channel  name, as in sse_hub_configure_channel.
 *
 * From now on publishing to it fails with SSE_EFINISHED. A stream all of whose channels are
 * finished ends gently, with SSE_EFINISHED, when it has had all. One that is opened then, and for
 * which there is neither an event nor a gap, is refused with SSE_EFINISHED; the host answers with
 * sse_http_stop, and the browser does not come back. A channel that goes away when it is idle stays
 * finished as long as it is remembered (ghosts_max); after that it is as one that never was.
 * There is no way back.
 *
 * Threads:   any.
 * Callbacks: alloc and clock; then, with no lock held, the wake of loops and of lone streams.
 * Returns:   0, also if it is finished already; SSE_EINVAL, SSE_ENAME, SSE_ECHANNELS, SSE_ENOMEM.
 */
SSE_API int sse_hub_finish(sse_hub *hub, const char *channel);

/**
 * Counts the streams that are open on a channel or on the hub.
 *
 * hub      the hub.
 * channel  name; NULL: the whole hub, where a stream of several channels counts once.
 *
 * A channel stops counting a stream when it is detached, the hub when it is freed.
 *
 * Threads:   any.
 * Callbacks: none.
 * Returns:   the number at this moment; 0 for an unknown channel.
 */
SSE_API size_t sse_hub_count(sse_hub *hub, const char *channel);

/**
 * Lets the open streams of a tag join a channel, without reconnecting.
 *
 * hub      the hub.
 * tag      as in sse_stream_config.tag.
 * channel  name, as in sse_hub_configure_channel.
 * history  so many of the channel's latest events come first; SSE_HISTORY_ALL: all that it retains.
 *
 * A stream gets of the channel what is published from this call on, at its place among the events
 * of its other channels. History comes before, without ids, in one piece and between two positions;
 * if a client is cut off in it, it is told of a gap when it comes back. Of a conflated channel the
 * present state comes, whatever history says; where it is not whole a gap event ends it. A stream
 * that has the channel, or joins it twice, gets nothing twice. The position behind it tells the
 * client that it has joined.
 *
 * It does not survive a reconnect: the host opens the next stream with the channels of its choice.
 *
 * Threads:   any.
 * Callbacks: alloc and clock; then, with no lock held, the wakes of the streams.
 * Returns:   how many streams were asked, 0 if none has the tag; or an error, and none was:
 *            SSE_EINVAL, SSE_ENAME, SSE_ECHANNELS (the hub's, or those of one stream),
 *            SSE_ECHANNELSTREAMS, SSE_ENOMEM.
 */
SSE_API int sse_hub_subscribe(sse_hub *hub, const char *tag, const char *channel, size_t history);

/**
 * Lets the open streams of a tag leave a channel.
 *
 * hub, tag, channel  as in sse_hub_subscribe.
 *
 * A stream still gets what was published before this call, and nothing of the channel after it.
 * What is published until it joins again is neither sent nor told of as lost. A stream may leave
 * its last channel; then it has heartbeats alone.
 *
 * Threads:   any.
 * Callbacks: as sse_hub_subscribe.
 * Returns:   as sse_hub_subscribe.
 */
SSE_API int sse_hub_unsubscribe(sse_hub *hub, const char *tag, const char *channel);

/**
 * Ends all streams that were opened with a tag, such as those of a user or a session.
 *
 * hub  the hub.
 * tag  as in sse_stream_config.tag.
 *
 * Their loops return them once more, and what peeks, reads, waits or flushes is told SSE_EDISCONNECTED at
 * once, even while bytes are lent. The client will reconnect, as it does after any end: note the
 * ban before this call, and look for it after each sse_stream_open. A stream that is opened at the
 * same time is then either ended here or found by that look.
 *
 * Threads:   any.
 * Callbacks: with no lock held, the wake of their loops and of those that stand alone.
 * Returns:   how many streams with this tag are open, 0 if there is none; SSE_EINVAL (NULL, or not
 *            1 to SSE_TAG_MAX bytes).
 */
SSE_API int sse_hub_disconnect(sse_hub *hub, const char *tag);

/**
 * Ends all streams gently, each at a random time of its own.
 *
 * hub      the hub.
 * over_ms  within so many milliseconds from now, 0 or more.
 *
 * A stream whose time has come gives what it had lent, then a reconnection time of its own, and is
 * then told SSE_EDRAINED; so the clients neither leave nor come back all at once. From now on
 * sse_stream_open fails with SSE_EDRAINED; the host answers with sse_http_busy. There is no way
 * back. A further call may bring the end nearer, never put it off. Publishing goes on. The hub is
 * drained when sse_hub_count(hub, NULL) is 0. A client that accepts nothing is ended by its stall
 * deadline alone.
 *
 * Threads:   any.
 * Callbacks: clock; then, with no lock held, the wake of each loop that is asleep.
 * Returns:   0; SSE_EINVAL (NULL, or negative).
 */
SSE_API int sse_hub_drain(sse_hub *hub, int32_t over_ms);

/**
 * Runs what is due of the hub's timers: those of streams without a loop, the age of frames,
 * channels that are idle, and wakes that failed.
 *
 * hub  the hub.
 *
 * A program whose streams all belong to loops need not call it: loops do it for the hub. A program
 * with lone streams calls it from any one thread, again and again as the result says; a stream in
 * sse_stream_wait or sse_stream_run looks after its own timers.
 *
 * Threads:   any.
 * Callbacks: alloc and clock; then, with no lock held, wakes.
 * Returns:   milliseconds until it is to be called again, 0 to 1,000.
 */
SSE_API int sse_hub_tick(sse_hub *hub);

#ifdef __cplusplus
}
#endif
#endif
