/* SPDX-License-Identifier: MIT */
/* counters.h: the counters that sse_hub_stats reports. */
#ifndef SSE_LIB_COUNTERS_H
#define SSE_LIB_COUNTERS_H

#include <sse/stats.h>

#include "util/mem.h"

/*
 * A delivery to a caught-up stream counts without lock and atomic operation, in the counters of its
 * loop and of its loop feed, which only the loop's thread reads. At the end of the iteration, when
 * the loop holds the hub's lock anyway, they are added to those of the hub and the channel. Code
 * that holds the lock counts there directly.
 */

struct sse__latency {
  uint64_t places[SSE_LATENCY_BUCKETS]; /* the histogram, see sse__latency_place */
  uint64_t sum_ns;                      /* the sum of all latencies */
};

/* What transports took, of a hub or in one iteration of a loop. */
struct sse__counters {
  uint64_t events, bytes;         /* delivered events, and all delivered bytes */
  uint64_t heartbeats, positions; /* delivered heartbeats and position blocks */
  struct sse__latency latency;    /* from publish to delivery */
};

/* What transports took of a channel, or of a loop feed in one iteration. */
struct sse__channel_counters {
  uint64_t events, bytes;       /* delivered events and their bytes */
  struct sse__latency *latency; /* NULL until sse_hub_stats is first asked for the channel */
};

/* All counters of a hub; guarded by the hub's lock. Names are those of sse_stats. */
struct sse__hub_counters {
  struct sse__counters delivered;
  uint64_t published_events, published_bytes;
  uint64_t lost_events, full;
  uint64_t gaps[SSE_STATS_GAPS_MAX];
  uint64_t opened[SSE_STATS_OPENS_MAX];
  uint64_t closed[SSE_STATS_CODES_MAX];
};

/*
 * The place of a latency in the histogram. Place n ends at 2^n microseconds, so the place is the
 * length of the number in bits. Inline, because every delivery needs it.
 */
static inline unsigned sse__latency_place(int64_t ns) {
  if (ns <= 1000) return 0;
  unsigned long long above = ((unsigned long long)ns - 1) / 1000;
  unsigned place = 64 - (unsigned)__builtin_clzll(above);
  return place < SSE_LATENCY_BUCKETS - 1 ? place : SSE_LATENCY_BUCKETS - 1;
}

/* Adds the counters of an iteration to the total, and sets them to 0. */
void sse__counters_fold(struct sse__counters *total, struct sse__counters *round);
void sse__channel_counters_fold(struct sse__channel_counters *total,
                                struct sse__channel_counters *round);

/* Measures latencies from now on, unless it is done already or there is no memory. */
void sse__channel_counters_measure(struct sse__channel_counters *counters,
                                   const struct sse__mem *mem);

/* The reason of a gap as in the gap event; NULL for SSE_GAP_NONE. */
const char *sse__gap_reason(sse_gap gap);

#endif
