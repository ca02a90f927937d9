/* SPDX-License-Identifier: MIT */
/* timers.c: a binary heap of timers. */
#include "util/timers.h"

#include <assert.h>
#include <limits.h>

#define FIRST_TIMERS 16

int sse__timers_reserve(struct sse__timers *timers, const struct sse__mem *mem) {
  if (timers->count < timers->cap) return SSE_OK;
  if (timers->cap > UINT32_MAX / 2) return SSE_ENOMEM;
  uint32_t cap = timers->cap ? timers->cap + timers->cap / 2 : FIRST_TIMERS;
  struct sse__timer **heap = sse__mem_grow(mem, timers->heap, cap, sizeof(struct sse__timer *));
  if (!heap) return SSE_ENOMEM;
  timers->heap = heap;
  timers->cap = cap;
  return SSE_OK;
}

static void place_timer(struct sse__timers *timers, struct sse__timer *timer, uint32_t index) {
  timers->heap[index] = timer;
  timer->index = index;
}

static void move_up(struct sse__timers *timers, struct sse__timer *timer) {
  uint32_t at = timer->index;
  while (at > 0 && timers->heap[(at - 1) / 2]->due_ms > timer->due_ms) {
    place_timer(timers, timers->heap[(at - 1) / 2], at);
    at = (at - 1) / 2;
  }
  place_timer(timers, timer, at);
}

static void move_down(struct sse__timers *timers, struct sse__timer *timer) {
  uint32_t at = timer->index;
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= timers->count) break;
    if (child + 1 < timers->count &&
        timers->heap[child + 1]->due_ms < timers->heap[child]->due_ms) {
      child++;
    }
    if (timers->heap[child]->due_ms >= timer->due_ms) break;
    place_timer(timers, timers->heap[child], at);
    at = child;
  }
  place_timer(timers, timer, at);
}

void sse__timers_add(struct sse__timers *timers, struct sse__timer *timer, int64_t due_ms) {
  assert(timers->count < timers->cap);
  timer->due_ms = due_ms;
  place_timer(timers, timer, timers->count++);
  move_up(timers, timer);
}

void sse__timers_set(struct sse__timers *timers, struct sse__timer *timer, int64_t due_ms) {
  int64_t was = timer->due_ms;
  timer->due_ms = due_ms;
  if (due_ms < was) {
    move_up(timers, timer);
  } else {
    move_down(timers, timer);
  }
}

void sse__timers_remove(struct sse__timers *timers, struct sse__timer *timer) {
  assert(timer->index < timers->count && timers->heap[timer->index] == timer);
  struct sse__timer *last = timers->heap[--timers->count];
  if (last == timer) return;
  place_timer(timers, last, timer->index);
  sse__timers_set(timers, last, last->due_ms);
  move_up(timers, last);
}

void sse__timers_order(struct sse__timers *timers) {
  for (uint32_t i = timers->count / 2; i-- > 0;) move_down(timers, timers->heap[i]);
}

struct sse__timer *sse__timers_first(const struct sse__timers *timers) {
  return timers->count ? timers->heap[0] : NULL;
}

int64_t sse__timers_due(const struct sse__timers *timers) {
  return timers->count ? timers->heap[0]->due_ms : SSE__NEVER_MS;
}

int sse__timers_sleep(int64_t due_ms, int64_t now_ms) {
  if (due_ms == SSE__NEVER_MS) return -1;
  if (due_ms <= now_ms) return 0;
  return due_ms - now_ms > INT_MAX ? INT_MAX : (int)(due_ms - now_ms);
}

void sse__timers_free(struct sse__timers *timers, const struct sse__mem *mem) {
  sse__mem_free(mem, timers->heap);
  timers->heap = NULL;
  timers->count = timers->cap = 0;
}
