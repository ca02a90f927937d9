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

/* A timer, embedded in its owner. */
struct sse__timer {
  int64_t due_ms; /* when it is due; SSE__NEVER_MS: never */
  uint32_t index; /* its place in the heap */
  uint8_t kind;   /* the type of its owner, chosen by the owner */
};

/* A heap of timers. Places are reserved when an owner is made, so that adding cannot fail. */
struct sse__timers {
  struct sse__timer **heap; /* the timers; none is due before its parent */
  uint32_t count, cap;      /* timers in the heap, and places for them */
};

/* Reserves a place for one more timer: 0 or SSE_ENOMEM. */
int sse__timers_reserve(struct sse__timers *timers, const struct sse__mem *mem);
/* Adds a timer to a heap with a free place. */
void sse__timers_add(struct sse__timers *timers, struct sse__timer *timer, int64_t due_ms);
/* Removes a timer that is in the heap. */
void sse__timers_remove(struct sse__timers *timers, struct sse__timer *timer);
/* Changes when a timer is due. */
void sse__timers_set(struct sse__timers *timers, struct sse__timer *timer, int64_t due_ms);
/* Restores the order of the heap after due_ms of many timers was changed directly. */
void sse__timers_order(struct sse__timers *timers);
/* The earliest timer, or NULL. */
struct sse__timer *sse__timers_first(const struct sse__timers *timers);
/* When the earliest timer is due; SSE__NEVER_MS if there is none. */
int64_t sse__timers_due(const struct sse__timers *timers);
/* The time until due_ms as a timeout of poll: milliseconds, at most INT_MAX, or -1 for never. */
int sse__timers_sleep(int64_t due_ms, int64_t now_ms);
/* Frees the heap, not the timers. */
void sse__timers_free(struct sse__timers *timers, const struct sse__mem *mem);

#endif
