/* SPDX-License-Identifier: MIT */
/* stream.h: one client connection: opening it, taking its bytes, ending it. */
#ifndef SSE_STREAM_H
#define SSE_STREAM_H

#include <sys/uio.h>

#include "http.h"
#include "hub.h"
#include "loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A stream (sse_stream, declared in loop.h) is one client connection: a set of channels and a
 * cursor, the number of the last event it was given. What it is given next is always the frame with
 * the smallest number above its cursor in any of its channels.
 */

/* What the Last-Event-ID of a client led to; "gap": the stream begins with a gap event. */
typedef enum sse_resume {
  SSE_RESUME_NONE,    /* the client sent no id: the stream begins as `start` says */
  SSE_RESUME_RESUMED, /* the stream continues exactly after the id */
  SSE_RESUME_EVICTED, /* events after the id were evicted or exceed the stream's own limits on its
                          lag, or the client was cut off during a
                          backfill or a state: gap, then the retained events above the id, or above
                          the hub's head if the id is above it (SSE_NUMBERS_GIVEN); a state is given
                          again, a backfill is not */
  SSE_RESUME_RESTART, /* the id belongs to another hub, or to an earlier life of this one: gap, then
                          the retained events */
  SSE_RESUME_UNKNOWN, /* the id is not one that the hub knows, or no longer: gap, then the retained
                          events above the highest number whose application id is forgotten */
  SSE_RESUME_FUTURE,  /* the id's number has not been given yet: gap, then new events; not with
                          SSE_NUMBERS_GIVEN */
  SSE_RESUME_MALFORMED, /* the id cannot be an event id, or is nearly of the hub's form: gap, then
                           new events */
  SSE_RESUME_AHEAD      /* with SSE_NUMBERS_GIVEN: the id's number is above the hub's head, because
                           the client was at a faster process. The stream continues exactly after
                           the id, once the hub has reached it */
} sse_resume;

/* How a stream writes a position, which is an id without an event. */
typedef enum sse_position {
  SSE_POSITION_EVENT, /* as an event of the hub's position_type with empty data, whose id every
                         client keeps */
  SSE_POSITION_OFF    /* not at all: a client that is cut off before its first event has no id;
                         for ids of the application that must hold across a restart */
} sse_position;

/* Where the stream of a client that sends no id begins. */
typedef enum sse_start {
  SSE_START_NOW,      /* with the events that are published from now on */
  SSE_START_RETAINED, /* with all events that its channels retain, within its limits on the lag */
  SSE_START_LAST      /* with the newest start_events of these, all channels taken together */
} sse_start;

/* Where a stream continues after the gap event that it begins with. */
typedef enum sse_lost {
  SSE_LOST_BY_RESULT, /* where sse_resume says for each result */
  SSE_LOST_REPLAY,    /* with all retained events that the client may not have received */
  SSE_LOST_LIVE       /* with the events that are published from now on */
} sse_lost;

/* What happens to a client that does not keep up: one that is slow, or any when more events are
 * published at once than the window retains (sse_hub_lag). */
typedef enum sse_slow {
  SSE_SLOW_SKIP, /* it is given a gap event, and continues after the gap */
  SSE_SLOW_CLOSE /* its stream ends with SSE_ESLOW, and four times the usual reconnection time; it
                    is given the gap when it returns */
} sse_slow;

/* An event as a filter sees it; everything is borrowed for the call. */
typedef struct sse_filter_event {
  const char *channel; /* the event's channel; if the stream has several of them, any one */
  const char *key;     /* sse_event.key; NULL: none */
  const void *bytes;   /* the event in wire format */
  size_t len;          /* length of bytes */
  uint64_t label;      /* sse_event.label */
  void *reserved[4];   /* NULL */
} sse_filter_event;

/*
 * Decides whether a stream is given an event; 0 means no. It must always give the same answer for
 * the same event, so that a replay and a live client see the same. On a conflated channel it must
 * decide by the key, or by what all events of one key have in common, since a newer event replaces
 * the earlier ones. It must not block and must not call libsse: it sometimes runs with the hub's
 * lock held. Events that it leaves out are not a gap.
 */
typedef int sse_filter_fn(void *arg, const sse_filter_event *event);

/*
 * The configuration of a stream. A member that is 0 or NULL takes the default in its comment; "the
 * hub's" is the member of sse_hub_config with the same name. A time may be SSE_NEVER.
 */
typedef struct sse_stream_config {
  const char *channel;         /* one channel; copied */
  const char *const *channels; /* or several different ones, a list that ends with NULL; copied */
  const char *last_id;         /* the request's Last-Event-ID; NULL or "": none */
  const char *tag;             /* one tag, for sse_hub_disconnect and others: 1 to
                                  SSE_TAG_BYTES_MAX bytes; copied; NULL: none */
  const char *const *tags;     /* or several, up to SSE_TAGS_MAX different ones, a list that ends
                                  with NULL; copied */
  void *user;                  /* the host's own pointer; sse_stream_user returns it, and wake is
                                  called with it */
  sse_loop *loop;              /* the loop that drives the stream; NULL: it is standalone */
  sse_wake_fn *wake;           /* for a standalone stream, called with user; NULL: none */
  const sse_http_head *head;   /* the response head that the stream's bytes begin with; NULL: they
                                  begin without one */
  sse_position position;       /* how positions are written; default SSE_POSITION_EVENT */
  sse_start start;             /* where the stream begins without an id; default SSE_START_NOW */
  uint32_t start_events;       /* how many events, for SSE_START_LAST only; an event of several
                                  channels counts once, a superseded one does not count */
  sse_lost lost;               /* where the stream continues if the id cannot be resumed; default
                                  SSE_LOST_BY_RESULT */
  const char *not_before;      /* an id of this hub: events up to it are not for this stream, also
                                  not by a later subscription, and their absence is not a loss;
                                  an id of an earlier life of the
                                  hub excludes nothing. One above the head counts as the head, or
                                  with SSE_NUMBERS_GIVEN for what it says: the stream is then ahead
                                  of the hub; NULL: no such limit */
  sse_filter_fn *filter;       /* decides which events the stream is given; NULL: all */
  void *filter_arg;            /* passed to filter; borrowed until the stream is detached */
  sse_slow slow;               /* what happens when the client falls behind a window or one of the
                                  next three limits; default SSE_SLOW_SKIP */
  uint32_t lag_events_max;     /* maximum number of unsent events, of which one of several channels
                                  counts once; default none */
  size_t lag_bytes_max;        /* maximum of their encoded bytes; one event is always allowed;
                                  default none */
  int32_t lag_ms_max;          /* maximum age of the oldest unsent event, in ms; default none */
  int32_t heartbeat_ms;        /* silence after which a heartbeat is sent; default the hub's */
  int32_t stall_ms;            /* time in which the transport takes nothing, or the client of a
                                  prepared socket acknowledges nothing, until the stream ends;
                                  default the hub's */
  int32_t age_ms_max;          /* maximum age of the stream; default the hub's */
  int32_t retry_ms;            /* reconnection time for the client; default the hub's */
  const char **error_detail;   /* on failure set to a static sentence that names the cause, else to
                                  NULL; NULL: not wanted */
  void *reserved[8];           /* must be NULL */
} sse_stream_config;

/**
 * Opens a stream. What the client has missed, where it begins, and what it is given from then on is
 * decided in one step, so there is no seam between replay and live delivery.
 *
 * stream  receives the pointer; unchanged on failure.
 * hub     the hub.
 * config  borrowed for the call.
 *
 * The first bytes are available at once: the response head if there is one, the reconnection time,
 * and a position or, if events were lost, the gap event. A stream of a loop is returned by the next
 * sse_loop_next for these bytes. Channels that do not exist are created. The call makes one
 * allocation of about 230 bytes for a stream of one channel, or 390 bytes for a standalone one, and
 * one for the first bytes, which is freed when they are consumed.
 *
 * If the hub limits concurrent_replays_max, a stream that has events to replay may wait for a slot.
 * Until then it has its first bytes and heartbeats, and nothing else.
 *
 * Threads:   any; for a stream of a loop, the loop's thread.
 * Callbacks: alloc and clock; then, without a lock, occupancy.
 * Returns:   0; or
 *            SSE_EINVAL     an argument is invalid: no channel, both forms of channels or of tags,
 *                           a name or tag that occurs twice, a tag that is empty or too long, a
 *                           wake together with a loop, a loop of another hub, start_events without
 *                           SSE_START_LAST, a not_before that is not an id of a hub, a choice or
 *                           time out of range, a reserved member that is not NULL; error_detail
 *                           names it
 *            SSE_ENAME      a channel name is invalid
 *            SSE_ECHANNELS  the hub's limit, or stream_channels_max of this stream
 *            SSE_ESTREAMS, SSE_ECHANNELSTREAMS, SSE_ETAGSTREAMS
 *                           the limit on streams of the hub, a channel, a tag
 *            SSE_EDRAINED   the hub is draining; answer with sse_http_busy
 *            SSE_EFINISHED  all its channels are finished, and there is nothing to give; answer
 *                           with sse_http_stop
 *            SSE_EHEADER    the head has a header that cannot be sent
 *            SSE_ETOOBIG    the head needs more than 1 GiB
 *            SSE_ENOMEM
 *            A browser stops for good at any status but 200. sse_http_refuse writes the answer
 *            that fits the error: sse_http_busy where a later attempt may succeed (the limits,
 *            SSE_EDRAINED, SSE_ENOMEM), and a 400 where it cannot (SSE_EINVAL, SSE_ENAME,
 *            SSE_EHEADER).
 */
SSE_API int sse_stream_open(sse_stream **stream, sse_hub *hub, const sse_stream_config *config);

/**
 * Gives the next bytes, which the host sends and then acknowledges with sse_stream_consume. From
 * here until they are consumed, they are in flight.
 *
 * stream  the stream.
 * iov     receives the pieces; has room for at least max of them.
 * max     how many pieces at most; there are never more than 64.
 *
 * Bytes in flight neither move nor shrink until they are consumed, whatever is published or evicted
 * in the meantime; another peek gives the same bytes again. A peek that finds nothing arms the
 * stream: as soon as there is something, its loop returns it, or its wake is called once. The
 * stream has then been given everything that was published before; within an iteration of its
 * loop, everything that the iteration took.
 *
 * A stream that ends gently (SSE_EAGED, SSE_ESLOW, SSE_EDRAINED, SSE_EFINISHED, SSE_EDISMISSED)
 * first gives the bytes in flight and then a retry block, which gives each client a different
 * reconnection time (without memory it is left out); a chunked body (sse_http_head.chunked) is then
 * closed by its last chunk. Any other end is immediate, even while bytes are in flight, and leaves a
 * chunked body incomplete.
 *
 * Threads:   one at a time for the stream and its loop.
 * Callbacks: alloc, clock and filter; then, without a lock, occupancy if the stream has tags, and
 *            with concurrent_replays_max the wakes of loops, its own included, and of other
 *            standalone streams.
 * Returns:   the number of pieces; 0: nothing now, and the stream is armed; SSE_ENOMEM: the library
 *            looks again after 100 ms, or at the next sse_hub_tick after that, as if the stream
 *            were armed; SSE_EINVAL: a pointer is NULL, or max is below 1; or why the stream is
 *            over: SSE_ESTALLED, SSE_EAGED, SSE_EPINNED, SSE_ESLOW, SSE_EDISCONNECTED,
 *            SSE_EDISMISSED, SSE_EDRAINED, SSE_EFINISHED, SSE_EDETACHED, or what an earlier
 *            sse_stream_flush or sse_stream_consume met. sse_error_is_final tells them apart.
 */
SSE_API int sse_stream_peek(sse_stream *stream, struct iovec *iov, int max);

/**
 * Acknowledges bytes in flight that the client's transport has taken.
 *
 * stream  the stream; NULL is ignored.
 * bytes   how many, 0 up to what is in flight; more ends the stream with SSE_ECALLBACK.
 *
 * It calls no wake and waits for none, so it may be called from a completion that holds locks of
 * the host.
 *
 * Threads:   one at a time for the stream and its loop.
 * Callbacks: alloc (to free) and clock.
 */
SSE_API void sse_stream_consume(sse_stream *stream, size_t bytes);

/**
 * Copies the next bytes: peek and consume in one call, for hosts that provide a buffer.
 *
 * stream  the stream.
 * buf     the destination.
 * cap     size of buf in bytes, at least 1.
 *
 * Threads:   one at a time for the stream and its loop.
 * Callbacks: as sse_stream_peek.
 * Returns:   the number of bytes; 0: nothing now, and the stream is armed; or an error of
 *            sse_stream_peek.
 */
SSE_API ssize_t sse_stream_read(sse_stream *stream, void *buf, size_t cap);

/**
 * Waits until a standalone stream has bytes or is over.
 *
 * stream      the stream; not one of a loop.
 * timeout_ms  longest wait in ms; 0: only look; negative: no limit.
 *
 * It runs the stream's own timers, so a heartbeat that falls due counts as bytes. With timeout 0 it
 * is the second look of a host that suspends connections: suspend, wait(0), and resume if the
 * result is not 0.
 *
 * Threads:   one at a time for the stream; do not cancel a thread that is in it (pthread_cancel).
 * Callbacks: as sse_stream_peek.
 * Returns:   1: a peek will find bytes; 0: nothing until the timeout, and the stream is armed;
 *            SSE_EINVAL for a stream of a loop or NULL; SSE_ENOMEM if memory is still missing at
 *            the timeout; another negative code: why the stream is over.
 */
SSE_API int sse_stream_wait(sse_stream *stream, int32_t timeout_ms);

/**
 * Removes a stream from its channels and its loop. After it returns, its wake is not running and
 * will not be called, and its loop will not return it.
 *
 * stream  NULL and a detached stream are allowed.
 *
 * Bytes in flight stay where they are until sse_stream_free. It waits for a wake of this stream
 * that is running on another thread, so do not call it with a lock held that the wake takes.
 *
 * Threads:   one at a time for the stream and its loop.
 * Callbacks: alloc and clock; then, without a lock, occupancy, and wakes as in sse_stream_peek.
 */
SSE_API void sse_stream_detach(sse_stream *stream);

/**
 * Frees a stream, detached or not. The host must no longer use its bytes in flight.
 *
 * stream  NULL is allowed.
 *
 * Threads:   the last user of the stream; one at a time for it and its loop.
 * Callbacks: alloc; those of sse_stream_detach if it was not detached.
 */
SSE_API void sse_stream_free(sse_stream *stream);

/**
 * Returns the host's own pointer, sse_stream_config.user.
 *
 * stream  the stream.
 *
 * Threads:   any that may use the stream.
 * Callbacks: none.
 * Returns:   the pointer; NULL if stream is NULL.
 */
SSE_API void *sse_stream_user(const sse_stream *stream);

/**
 * Returns what the client's last id led to when the stream was opened.
 *
 * stream  the stream.
 *
 * Threads:   any that may use the stream.
 * Callbacks: none.
 * Returns:   the result; SSE_RESUME_NONE if stream is NULL.
 */
SSE_API sse_resume sse_stream_resume_result(const sse_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
