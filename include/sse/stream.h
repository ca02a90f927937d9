/* SPDX-License-Identifier: MIT */
/* stream.h: one subscriber, one response that is being streamed. */
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
 * A stream is a set of channels and a number S: it has had everything up to S. What it gives next
 * is always the frame with the smallest number above S in any of its channels.
 */
typedef struct sse_stream sse_stream;

/* What became of the Last-Event-ID that a client sent. */
typedef enum sse_resume {
  SSE_RESUME_NONE,     /* there was none: the stream starts now */
  SSE_RESUME_RESUMED,  /* the stream goes on exactly after it */
  SSE_RESUME_EVICTED,  /* events after it are gone, or it was cut off in a history: gap event,
                           then what is retained */
  SSE_RESUME_RESTART,  /* it is of another hub or of an earlier life: gap event, then what is
                           retained */
  SSE_RESUME_UNKNOWN,  /* an id that is not, or no longer, known: gap event, then what is
                           retained of what may have come after it */
  SSE_RESUME_FUTURE,   /* a number that was never given: gap event, then live */
  SSE_RESUME_MALFORMED /* no id at all, or nearly one of the hub's: gap event, then live */
} sse_resume;

/* How a position (an id without an event) is written; for sse_stream_config.position. */
typedef enum sse_position {
  SSE_POSITION_EVENT, /* an event of the hub's position_type with empty data, which every client
                         commits */
  SSE_POSITION_ID,    /* an id line alone; some clients ignore it */
  SSE_POSITION_OFF    /* not written: a client cut off before its first event resumes nowhere */
} sse_position;

/* Where a stream starts whose client brings no id; for sse_stream_config.start. */
typedef enum sse_start {
  SSE_START_NOW,      /* with what is published from now on */
  SSE_START_RETAINED, /* with all that its channels retain */
  SSE_START_LAST      /* with the last start_events events of its channels together */
} sse_start;

/* Where a stream goes on behind the gap event that it opens with; for sse_stream_config.lost. */
typedef enum sse_lost {
  SSE_LOST_BY_RESULT, /* as said with each verdict */
  SSE_LOST_REPLAY,    /* with all that is retained and that the client may not have had */
  SSE_LOST_LIVE       /* with what is published from now on */
} sse_lost;

/* What becomes of a client that does not keep up; for sse_stream_config.slow. */
typedef enum sse_slow {
  SSE_SLOW_SKIP, /* it is told of the gap, and goes on behind it */
  SSE_SLOW_CLOSE /* the stream ends with SSE_ESLOW; when the client comes back it is told of the
                    gap */
} sse_slow;

/* An event as a filter sees it; all of it is borrowed for the call. */
typedef struct sse_filter_event {
  const char *channel; /* of several that the stream has, any one of them */
  const char *key;     /* sse_event.key, or NULL */
  const void *bytes;   /* in wire format */
  size_t len;          /* bytes in bytes */
  uint64_t label;      /* sse_event.label */
  void *reserved[4];
} sse_filter_event;

/*
 * Tells whether a stream is to get an event: 0 is no. It must always answer the same for one event,
 * so that a replay and a live client are told the same; on a conflated channel it must answer by
 * the key, or by what all events of one key have in common, since a newer one stands for those
 * before it. It must not block, and must not call libsse: now and then the hub's lock is held.
 * Events that are left out leave no gap.
 */
typedef int sse_filter_fn(void *arg, const sse_filter_event *event);

/* Zero is the default of every member. Times may be SSE_NEVER. */
typedef struct sse_stream_config {
  const char *channel;         /* one channel; copied */
  const char *const *channels; /* or several, a list ended by NULL; copied; not both */
  const char *last_id;         /* the request's Last-Event-ID; NULL or "": none */
  const char *tag;   /* 1 to SSE_TAG_MAX bytes, for sse_hub_disconnect; copied; NULL: none */
  void *user;        /* the host's own; given back by sse_stream_user and to wake */
  sse_loop *loop;    /* the loop that drives it; NULL: it stands alone */
  sse_wake_fn *wake; /* for a stream that stands alone: called with user; may be NULL */
  const sse_http_head *head;  /* the bytes begin with this response head; NULL: they do not */
  sse_position position;      /* how positions are written */
  sse_start start;            /* where to start without an id */
  uint32_t start_events;      /* for SSE_START_LAST */
  sse_lost lost;              /* where to go on when the client's id could not be resumed */
  const char *not_before;     /* an id of the hub's: what was published up to it is not for this
                                  stream, nor counts as lost; NULL: the whole windows are */
  sse_filter_fn *filter;      /* which events it gets; NULL: all */
  void *filter_arg;           /* passed to filter; borrowed until the stream is detached */
  sse_slow slow;              /* when it is behind its channels' windows, or the next three */
  uint32_t behind_events_max; /* so many events; 0: no bound but the windows, as for the others */
  size_t behind_bytes_max;    /* so many encoded bytes, but one event at least */
  int32_t behind_max_ms;      /* with an event that was published so long ago */
  int32_t heartbeat_ms;       /* 0: the hub's, as for the next three */
  int32_t stall_ms;
  int32_t age_max_ms;
  int32_t retry_ms;
  void *reserved[8]; /* must be NULL */
} sse_stream_config;

/**
 * Opens a stream. What the client has missed, where it starts and what it will be served from then
 * on are settled in one step, so there is no seam between replay and live.
 *
 * stream  where its pointer goes; untouched on failure.
 * hub     the hub.
 * config  borrowed for the call.
 *
 * Its first bytes are there at once: the head if one is asked for, the reconnection time, and a
 * position or, if something was lost, the gap event. Unknown channels are made. One allocation of
 * some 230 bytes for a stream of one channel, 330 if it stands alone, and one for the first bytes,
 * which is given back when they are consumed.
 *
 * Where the hub has concurrent_replays_max, a stream that has something to replay may have to wait for its
 * turn. Until then it has its first bytes and heartbeats, and nothing more.
 *
 * Threads:   any; for a stream of a loop, the loop's.
 * Callbacks: alloc and clock; then, with no lock held, presence.
 * Returns:   0; SSE_EINVAL (no channel, both forms, a channel twice, wake with a loop, reserved not
 *            NULL, a loop of another hub, a tag that is empty or too long, not_before not an id of
 *            a hub's), SSE_ENAME, SSE_ECHANNELS (the hub's, or more than stream_channels_max for
 *            this stream), SSE_ESTREAMS, SSE_ECHANNELSTREAMS, SSE_ETAGSTREAMS, SSE_EDRAINED,
 *            SSE_EFINISHED (all its channels are finished, and it would get nothing; answer with
 *            sse_http_stop), SSE_EHEADER, SSE_ENOMEM.
 */
SSE_API int sse_stream_open(sse_stream **stream, sse_hub *hub, const sse_stream_config *config);

/**
 * Lends the next bytes, which the host sends and then acknowledges with sse_stream_consume.
 *
 * stream  the stream.
 * iov     where to put the pieces; at least max of them.
 * max     how many pieces at most; 64 is all that is ever lent at once.
 *
 * What is lent neither moves nor shrinks until it is consumed, whatever is published or evicted in
 * between: a peek that comes before gives the same bytes again. A peek that finds nothing arms the
 * stream: its loop will return it, or its wake will be called, once, when there is something.
 *
 * Threads:   one at a time for the stream and its loop.
 * Callbacks: alloc, clock and filter; where the hub has concurrent_replays_max then, with no lock held, the
 *            wakes of loops, its own among them, and of other streams that stand alone.
 * Returns:   the number of pieces; 0: nothing now, and armed; or why the stream is over:
 *            SSE_ESTALLED, SSE_EAGED, SSE_EPINNED, SSE_ESLOW, SSE_EDISCONNECTED, SSE_EDRAINED,
 *            SSE_EFINISHED, SSE_EDETACHED, or what sse_stream_flush met.
 *            SSE_ENOMEM and SSE_EINVAL (max below 1) end nothing: the same call may succeed later.
 *
 * A stream that ends gently (SSE_EAGED, SSE_ESLOW, SSE_EDRAINED, SSE_EFINISHED) first gives what it
 * had lent, and then a farewell, which tells the client a reconnection time of its own. Any other
 * end is at once.
 */
SSE_API int sse_stream_peek(sse_stream *stream, struct iovec *iov, int max);

/**
 * Says that the client's transport has taken so many of the bytes that were lent.
 *
 * stream  the stream.
 * bytes   0 up to what is lent; more ends the stream with SSE_ECALLBACK.
 *
 * Calls nothing of the host, so it may be called from a completion with the host's locks held.
 *
 * Threads:   one at a time for the stream and its loop.
 * Callbacks: alloc (to free) and clock.
 */
SSE_API void sse_stream_consume(sse_stream *stream, size_t bytes);

/**
 * Copies the next bytes out: peek and consume in one, for hosts that bring a buffer.
 *
 * stream  the stream.
 * buf     where the bytes go.
 * cap     size of buf in bytes, at least 1.
 *
 * Threads:   one at a time for the stream and its loop.
 * Callbacks: as sse_stream_peek.
 * Returns:   the number of bytes; 0: nothing now, and armed; or an error of sse_stream_peek.
 */
SSE_API ssize_t sse_stream_read(sse_stream *stream, void *buf, size_t cap);

/**
 * Waits until a stream that stands alone has bytes or is over.
 *
 * stream      the stream; not one of a loop.
 * timeout_ms  0: only looks; -1: no limit.
 *
 * It runs the stream's own timers, so a heartbeat that falls due counts as bytes. With timeout 0 it
 * is the second look of a host that suspends: suspend, wait(0), and resume if the result is not 0.
 *
 * Threads:   one at a time for the stream; a thread in it must not be cancelled (pthread_cancel).
 * Callbacks: as sse_stream_peek.
 * Returns:   1: a peek will find bytes; 0: nothing until the timeout, and armed; < 0: why it is
 *            over; SSE_EINVAL for a stream of a loop; SSE_ENOMEM.
 */
SSE_API int sse_stream_wait(sse_stream *stream, int timeout_ms);

/**
 * Takes a stream out of its channels and its loop. After it returns, no wake of it runs or will
 * come, and its loop will not return it.
 *
 * stream  NULL and a detached stream are allowed.
 *
 * Bytes that are lent stay where they are until sse_stream_free. It waits for a wake of this stream
 * that is running on another thread, so never call it with a lock held that the wake takes.
 *
 * Threads:   one at a time for the stream and its loop.
 * Callbacks: alloc and clock; then, with no lock held, presence, and wakes as in sse_stream_peek.
 */
SSE_API void sse_stream_detach(sse_stream *stream);

/**
 * Frees a stream, detached or not; the host has no more use for bytes that were lent.
 *
 * stream  NULL is allowed.
 *
 * Threads:   the last user of the stream; one at a time for it and its loop.
 * Callbacks: alloc; those of sse_stream_detach if it was not detached.
 */
SSE_API void sse_stream_free(sse_stream *stream);

/**
 * Gives back the host's pointer of sse_stream_config.user.
 *
 * stream  the stream.
 *
 * Threads:   any that may use the stream.
 * Callbacks: none.
 * Returns:   the pointer.
 */
SSE_API void *sse_stream_user(const sse_stream *stream);

/**
 * Tells what became of the client's last id when the stream was opened.
 *
 * stream  the stream.
 *
 * Threads:   any that may use the stream.
 * Callbacks: none.
 * Returns:   the verdict.
 */
SSE_API sse_resume sse_stream_resume_result(const sse_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
