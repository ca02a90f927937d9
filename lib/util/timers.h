/* SPDX-License-Identifier: MIT */
/* timers.h: a binary heap of timers, earliest first. */
#ifndef SSE_LIB_TIMERS_H
#define SSE_LIB_TIMERS_H

#include "util/mem.h"

#define SSE__NEVER_MS INT64_MAX

/* The time `span_ms` after a given one; SSE__NEVER_MS if the span is negative. */
static inline int64_t sse__time_after(int64_t from_ms, int32_t span_ms) {
  return span_ms < 0 ? SSE__NEVER_MS : from_ms + span_ms;
}

/* Embedded in what it belongs to. */
struct sse__timer {
  int64_t due_ms;
  uint32_t index; /* its place in the heap */
  uint8_t kind;   /* what it is embedded in; the owner's */
};

/* All timers of one owner. Room is reserved when a timer's owner is made, so the rest cannot fail.
 */
struct sse__timers {
  struct sse__timer **heap;
  uint32_t count, cap;
};

/* Room for one more; 0 or SSE_ENOMEM. */
int sse__timers_reserve(struct sse__timers *timers, const struct sse__mem *mem);
void sse__timers_add(struct sse__timers *timers, struct sse__timer *timer, int64_t due_ms);
void sse__timers_remove(struct sse__timers *timers, struct sse__timer *timer);
void sse__timers_set(struct sse__timers *timers, struct sse__timer *timer, int64_t due_ms);
/* The times of many were changed: all are in order again. */
void sse__timers_order(struct sse__timers *timers);
/* The earliest one, or NULL. */
struct sse__timer *sse__timers_first(const struct sse__timers *timers);
/* When the earliest is due; SSE__NEVER_MS if there is none. */
int64_t sse__timers_due(const struct sse__timers *timers);
/* The same as poll takes it: milliseconds from now, -1 for never; longer sleeps are cut. */
int sse__timers_sleep(int64_t due_ms, int64_t now_ms);
void sse__timers_free(struct sse__timers *timers, const struct sse__mem *mem);

#endif
