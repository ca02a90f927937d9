/* SPDX-License-Identifier: MIT */
/* counters.c: the counters that sse_hub_stats reports. */
#include "hub/counters.h"

#include <string.h>

static void fold_latency(struct sse__latency *total, struct sse__latency *round) {
  for (size_t i = 0; i < SSE_LATENCY_BUCKETS; i++) total->places[i] += round->places[i];
  total->sum_ns += round->sum_ns;
  memset(round, 0, sizeof *round);
}

/* Without a delivered event there is no latency to add. */
void sse__counters_fold(struct sse__counters *total, struct sse__counters *round) {
  if (round->events > 0) fold_latency(&total->latency, &round->latency);
  total->events += round->events;
  total->bytes += round->bytes;
  total->heartbeats += round->heartbeats;
  total->positions += round->positions;
  round->events = round->bytes = round->heartbeats = round->positions = 0;
}

void sse__channel_counters_fold(struct sse__channel_counters *total,
                                struct sse__channel_counters *round) {
  if (round->latency && total->latency) fold_latency(total->latency, round->latency);
  total->events += round->events;
  total->bytes += round->bytes;
  round->events = round->bytes = 0;
}

void sse__channel_counters_measure(struct sse__channel_counters *counters,
                                   const struct sse__mem *mem) {
  if (!counters->latency) counters->latency = sse__mem_zero(mem, sizeof *counters->latency);
}

const char *sse__gap_reason(sse_gap gap) {
  switch (gap) {
#define GAP_REASON(name, value, reason)                                                            \
  case name:                                                                                       \
    return reason;
    SSE_GAPS(GAP_REASON)
#undef GAP_REASON
  case SSE_GAP_NONE:
    break;
  }
  return NULL;
}
