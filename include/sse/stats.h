/* SPDX-License-Identifier: MIT */
/* stats.h: what a hub and its channels have done and how they stand, in numbers. */
#ifndef SSE_STATS_H
#define SSE_STATS_H

#include "hub.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, value, reason): why a gap was told; the reason stands in the gap event. */
#define SSE_GAPS(X)                                                                                \
  X(SSE_GAP_EVICTED, 1, "evicted")                                                                 \
  X(SSE_GAP_RESTART, 2, "restart")                                                                 \
  X(SSE_GAP_UNKNOWN, 3, "unknown")                                                                 \
  X(SSE_GAP_FUTURE, 4, "future")                                                                   \
  X(SSE_GAP_MALFORMED, 5, "malformed")                                                             \
  X(SSE_GAP_SLOW, 6, "slow")

enum sse_gap {
  SSE_GAP_NONE = 0,
#define SSE_GAP_ENUM(name, value, reason) name = value,
  SSE_GAPS(SSE_GAP_ENUM)
#undef SSE_GAP_ENUM
};

/*
 * The histogram of latencies: place 0 counts what took up to 1 us, place i what took longer than
 * the place before and up to 2^i us, and the last place all that took longer than 2^25 us (33.6 s).
 */
#define SSE_LATENCY_PLACES 27

#define SSE_STATS_GAPS_MAX  16 /* more than there are of enum sse_gap */
#define SSE_STATS_OPENS_MAX 16 /* more than there are of sse_resume */
#define SSE_STATS_CODES_MAX 64 /* more than there are of SSE_ERRORS */

/*
 * The numbers of a hub, or of one channel. A channel's go away with the channel; the hub's do not.
 * What is said to be a hub's is 0 for a channel.
 */
typedef struct sse_stats {
  /* These only grow. */
  uint64_t published_events; /* an event for several channels: one for the hub, and one for each */
  uint64_t published_bytes;  /* of them, encoded */
  uint64_t delivered_events; /* taken by a client's transport to the last byte; each client counts
                              */
  uint64_t delivered_bytes;  /* of a channel: of those events; of a hub: all bytes that were taken,
                                response heads and heartbeats among them */
  uint64_t evicted_frames;   /* let go by windows; of a hub: an event counts in each channel, and
                                ephemeral ones count */
  uint64_t latency[SSE_LATENCY_PLACES]; /* from publish to the last byte taken, in events; those
                                           that are older than the stream are not in it */
  uint64_t latency_sum_ns;              /* of them all */
  /* And these are a hub's. */
  uint64_t lost_events;                 /* that gaps told of, as far as their number was known */
  uint64_t full;                        /* publishes that failed with SSE_EFULL */
  uint64_t heartbeats;                  /* delivered */
  uint64_t positions;                   /* blocks delivered that only bring an id up to date */
  uint64_t wakes;                       /* calls of the host's wakes */
  uint64_t wakes_failed;                /* of these, the ones that failed */
  uint64_t gaps[SSE_STATS_GAPS_MAX];    /* told, by enum sse_gap */
  uint64_t opened[SSE_STATS_OPENS_MAX]; /* streams, by sse_resume */
  uint64_t closed[SSE_STATS_CODES_MAX]; /* streams detached, by the code that ended them, without
                                           its sign; 0: by the host alone */

  /* These say how it stands. */
  uint64_t streams;       /* of a channel: not detached; of a hub: not freed */
  uint64_t window_frames; /* in windows, ephemeral ones that busy streams may still need among them
                           */
  uint64_t window_bytes;  /* memory of them; an event for several channels counts in each, in a
                             hub once */
  uint64_t oldest_ms;     /* age of the oldest of them */
  uint64_t lag_ms;        /* how long the loop that is most behind has left new events waiting */
  uint64_t lag_events;    /* of a channel: how many of its retained events that loop has not begun
                             to serve */
  /* And these are a hub's. */
  uint64_t head; /* the last number given */
  uint64_t channels, ghosts, loops;
  uint64_t memory_bytes;     /* of all frames, in windows or lent */
  uint64_t memory_max_bytes; /* the ceiling */
  uint64_t pinned_bytes;     /* of frames that are lent and in no window any more */
  uint64_t reserved[16];     /* 0 */
} sse_stats;

/**
 * Copies the numbers of a hub or of one channel.
 *
 * hub      the hub.
 * channel  name; NULL: the hub itself.
 * stats    where they go; untouched on failure.
 *
 * Nothing is stopped for it: it holds the hub's lock while it copies, for a time that grows with
 * the number of loops and of nothing else. All numbers are of one moment, except that a loop
 * hands in what it delivered during a round at the end of that round.
 *
 * Latency is taken by the hub's clock, which a loop reads once for every 32 streams that
 * sse_loop_next returns: what the streams between take is not seen, and with a fast transport that
 * is some tens of microseconds. A client's own latency and the network's are not in it: an event is
 * delivered when the kernel, or whatever the transport is, has taken its last byte.
 *
 * The latency of a channel is measured from the first call for that channel on, so that channels
 * which nobody asks about cost no memory for it. Without memory it is measured from a later call.
 *
 * The lag speaks of loops, which are the host's threads: it grows if one of them does not come back
 * to sse_loop_next, and up to the linger of sse_loop_linger in any case. It says nothing about
 * single clients that do not read. What these miss is in lost_events and in gaps[SSE_GAP_SLOW], and
 * what reaches them late in latency.
 *
 * Threads:   any.
 * Callbacks: clock; alloc for a channel.
 * Returns:   0; SSE_EINVAL (hub or stats is NULL), SSE_ENOTFOUND (there is no such channel).
 */
SSE_API int sse_hub_stats(sse_hub *hub, const char *channel, sse_stats *stats);

/**
 * Writes the numbers of a hub, and of some of its channels, in the text format of Prometheus
 * (version 0.0.4), which OpenMetrics parsers read, too.
 *
 * buf       where the bytes go; may be NULL if cap is 0.
 * cap       size of buf in bytes.
 * hub       the hub.
 * channels  names, a list ended by NULL; those that do not exist are left out; NULL: none.
 *
 * There is no terminating NUL. If more than cap bytes are needed, what stands in buf is cut off;
 * nothing is written beyond cap. Numbers grow longer between two calls, so leave some room:
 * `needed + needed / 8` will do, and 16 KiB hold a hub and a channel. Answer the request with the
 * type SSE_STATS_TYPE. Names begin with libsse_, those of channels with libsse_channel_ and carry
 * the label `channel`; times are seconds.
 *
 * Ask for channels that you know. Each has some 40 lines, and a channel for each user is more than
 * a time series database likes.
 *
 * Threads:   any.
 * Callbacks: clock; alloc if there are channels.
 * Returns:   the number of bytes that are needed, as snprintf does; or SSE_EINVAL (hub is NULL, or
 *            buf is NULL and cap is not 0).
 */
SSE_API ssize_t sse_stats_prometheus(char *buf, size_t cap, sse_hub *hub,
                                     const char *const *channels);

/* The Content-Type of what sse_stats_prometheus writes. */
#define SSE_STATS_TYPE "text/plain; version=0.0.4; charset=utf-8"

#ifdef __cplusplus
}
#endif
#endif
