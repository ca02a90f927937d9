/* SPDX-License-Identifier: MIT */
/* counters.h: what is counted, and where; stats.c reads it. */
#ifndef SSE_LIB_TALLY_H
#define SSE_LIB_TALLY_H

#include <sse/stats.h>

#include "util/mem.h"

/*
 * A delivery in step counts without a lock and without atomic operations: in a tally of its loop
 * and in one of its feed, which the loop's thread alone looks at. At the end of the round, where
 * the loop has the hub's lock in any case, both are added to the hub's and to the channel's, which
 * the lock guards. Whatever is counted with the lock held goes there directly.
 */

struct sse__latency {
  uint64_t places[SSE_LATENCY_BUCKETS];
  uint64_t sum_ns;
};

/* What reached clients, of a hub or in one round of a loop. */
struct sse__counters {
  uint64_t events, bytes;
  uint64_t heartbeats, positions;
  struct sse__latency latency;
};

/* The same of a channel, or of a feed in one round. */
struct sse__channel_counters {
  uint64_t events, bytes;
  struct sse__latency *latency; /* NULL: nobody has asked for it */
};

/* What a hub counts beyond that, always with its lock held. */
struct sse__hub_counters {
  struct sse__counters delivered;
  uint64_t published_events, published_bytes;
  uint64_t lost_events, full;
  uint64_t gaps[SSE_STATS_GAPS_MAX];
  uint64_t opened[SSE_STATS_OPENS_MAX];
  uint64_t closed[SSE_STATS_CODES_MAX];
};

/*
 * The place of a latency in the histogram: its bounds are powers of two, so it is the length of the
 * number in bits. Every delivery asks for it, hence inline.
 */
static inline unsigned sse__latency_place(int64_t ns) {
  if (ns <= 1000) return 0;
  unsigned long long above = ((unsigned long long)ns - 1) / 1000;
  unsigned place = 64 - (unsigned)__builtin_clzll(above);
  return place < SSE_LATENCY_BUCKETS - 1 ? place : SSE_LATENCY_BUCKETS - 1;
}

/* Adds what a round delivered, and begins anew. */
void sse__counters_fold(struct sse__counters *total, struct sse__counters *round);
void sse__channel_counters_fold(struct sse__channel_counters *total,
                                struct sse__channel_counters *round);

/* Measures latencies from now on, if it is not done already and there is memory. */
void sse__channel_counters_measure(struct sse__channel_counters *counters,
                                   const struct sse__mem *mem);

/* The reason of a gap as the gap event says it; NULL for SSE_GAP_NONE. */
const char *sse__gap_reason(sse_gap gap);

#endif
