/* SPDX-License-Identifier: MIT */
/* stats.h: counters and gauges of a hub and its channels, also as text for Prometheus. */
#ifndef SSE_STATS_H
#define SSE_STATS_H

#include "hub.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, value, reason): why a gap was reported; the gap event contains the reason. */
#define SSE_GAPS(X)                                                                                \
  X(SSE_GAP_EVICTED, 1, "evicted")                                                                 \
  X(SSE_GAP_RESTART, 2, "restart")                                                                 \
  X(SSE_GAP_UNKNOWN, 3, "unknown")                                                                 \
  X(SSE_GAP_FUTURE, 4, "future")                                                                   \
  X(SSE_GAP_MALFORMED, 5, "malformed")                                                             \
  X(SSE_GAP_SLOW, 6, "slow")

typedef enum sse_gap {
  SSE_GAP_NONE = 0,
#define SSE_GAP_ENUM(name, value, reason) name = value,
  SSE_GAPS(SSE_GAP_ENUM)
#undef SSE_GAP_ENUM
} sse_gap;

/*
 * The latency histogram. Bucket 0 counts latencies up to 1 us, bucket i those above the previous
 * bucket and up to 2^i us, and the last bucket all above 2^25 us (33.6 s).
 */
#define SSE_LATENCY_BUCKETS 27

#define SSE_STATS_GAPS_MAX  16 /* entries of sse_stats.gaps; more than sse_gap has values */
#define SSE_STATS_OPENS_MAX 16 /* entries of sse_stats.opened; more than sse_resume has values */
#define SSE_STATS_CODES_MAX 64 /* entries of sse_stats.closed; more than there are codes */

/*
 * The numbers of a hub, or of one channel. The numbers of a channel vanish when the channel is
 * dropped; those of the hub do not. A member that is marked "hub only" is 0 for a channel.
 */
typedef struct sse_stats {
  /* Counters, which only grow. */
  uint64_t
      published_events;     /* published events; one for several channels counts once in the hub and
                                once in each channel */
  uint64_t published_bytes; /* their encoded bytes */
  uint64_t delivered_events; /* events that a client's transport took to the last byte, counted for
                                each client */
  uint64_t delivered_bytes;  /* channel: the bytes of those events; hub: all bytes that were taken,
                                response heads, heartbeats and chunk framing included */
  uint64_t evicted_frames;   /* frames evicted from windows; in the hub one event counts in each of
                                its channels; ephemeral events count */
  uint64_t
      latency[SSE_LATENCY_BUCKETS]; /* delivered events by the time from publish to the last byte
                                            taken; events older than their stream are not counted */
  uint64_t latency_sum_ns;          /* the sum of those times, in ns */

  /* Counters of the hub only. */
  uint64_t lost_events;              /* events that gaps reported, as far as the number was known */
  uint64_t full;                     /* publishes that failed with SSE_EFULL */
  uint64_t heartbeats;               /* delivered heartbeats */
  uint64_t positions;                /* delivered blocks that only update an id */
  uint64_t wakes;                    /* calls of the host's wakes */
  uint64_t wakes_failed;             /* those that failed */
  uint64_t gaps[SSE_STATS_GAPS_MAX]; /* reported gaps, indexed by sse_gap */
  uint64_t opened[SSE_STATS_OPENS_MAX]; /* opened streams, indexed by sse_resume */
  uint64_t closed[SSE_STATS_CODES_MAX]; /* detached streams, indexed by the code that ended them
                                           without its sign; 0: the host ended them */

  /* Gauges. */
  uint64_t streams;       /* channel: streams that are not detached; hub: not freed */
  uint64_t window_frames; /* frames in windows, including ephemeral ones that busy streams may still
                             need */
  uint64_t window_bytes;  /* their memory in bytes; one event of several channels counts in each
                             channel, and once in the hub */
  uint64_t oldest_ms;     /* age of the oldest of them, in ms */
  uint64_t lag_ms;     /* hub: how long the slowest loop has not served new events; channel: age of
                             the oldest event in lag_events */
  uint64_t lag_events; /* hub: sse_hub_lag; channel: retained events that one of its loops, or of
                             its standalone streams that keep up, has not been given yet */

  /* Gauges of the hub only. */
  uint64_t head;             /* the number of the hub's head, up to which ids have been given */
  uint64_t channels;         /* existing channels */
  uint64_t ghosts;           /* dropped channels that are remembered */
  uint64_t loops;            /* existing loops */
  uint64_t memory_bytes;     /* memory of all frames, in windows or in flight */
  uint64_t memory_bytes_max; /* its ceiling */
  uint64_t pinned_bytes;     /* memory of frames that are in flight and in no window */
  uint64_t reserved[16];     /* 0 */
} sse_stats;

/**
 * Copies the numbers of a hub or of one channel.
 *
 * hub      the hub.
 * channel  its name; NULL: the hub itself.
 * stats    receives the numbers; unchanged on failure.
 *
 * The call holds the hub's lock while it copies, for a time that grows with the number of loops and
 * with nothing else. All numbers are of one moment, except that a loop adds what it delivered
 * during an iteration at the end of that iteration.
 *
 * Latency is measured with the hub's clock, which a loop reads once for every 32 streams that
 * sse_loop_next returns: the time that the streams in between take is not seen, which is some tens
 * of us with a fast transport. The client's own latency and the network's are not included: an
 * event is delivered when the kernel, or whatever the transport is, has taken its last byte.
 *
 * The latency of a channel is measured from the first call for that channel on, so that channels
 * that nobody asks for need no memory for it. Without memory it is measured from a later call on.
 *
 * The lag describes threads of the host: it grows if a loop does not return to sse_loop_next, and
 * reaches up to the linger of the loop anyway; lag_ms of a hub describes loops only. sse_hub_lag
 * says when a standalone stream counts. The lag does not describe clients that do not read: lost_events and gaps[SSE_GAP_SLOW] count what they miss, and latency
 * shows what reaches them late.
 *
 * Threads:   any.
 * Callbacks: clock; alloc for a channel.
 * Returns:   0; SSE_EINVAL (hub or stats is NULL), SSE_ENOTFOUND (no such channel).
 */
SSE_API int sse_hub_stats(sse_hub *hub, const char *channel, sse_stats *stats);

/**
 * Writes the numbers of a hub, and of some of its channels, in the text format of Prometheus
 * (version 0.0.4), which OpenMetrics parsers read, too.
 *
 * buf       the destination; may be NULL if cap is 0.
 * cap       size of buf in bytes.
 * hub       the hub.
 * channels  names, a list that ends with NULL; those that do not exist are left out; NULL: none.
 *
 * There is no terminating NUL. If more than cap bytes are needed, the text in buf is truncated;
 * nothing is written beyond cap. Numbers get longer between two calls, so leave some room:
 * `needed + needed / 8` is enough, and 16 KiB hold a hub and a channel. Answer the request with the
 * Content-Type SSE_STATS_TYPE. Metric names begin with libsse_, those of channels with
 * libsse_channel_ and carry the label `channel`; times are in seconds.
 *
 * Pass channels that you know. Each has about 40 lines, and one channel per user is more than a
 * time series database handles well.
 *
 * Threads:   any.
 * Callbacks: clock; alloc if there are channels.
 * Returns:   the number of bytes that are needed, as snprintf does; or SSE_EINVAL (hub is NULL, or
 *            buf is NULL and cap is not 0), or SSE_ENOMEM (only if there are channels).
 */
SSE_API ssize_t sse_stats_prometheus(char *buf, size_t cap, sse_hub *hub,
                                     const char *const *channels);

/* The Content-Type of the text that sse_stats_prometheus writes. */
#define SSE_STATS_TYPE "text/plain; version=0.0.4; charset=utf-8"

#ifdef __cplusplus
}
#endif
#endif
