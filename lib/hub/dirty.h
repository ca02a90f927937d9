/* SPDX-License-Identifier: MIT */
/* dirty.h: the loop feeds that have something new, in the order of their numbers. */
#ifndef SSE_LIB_DIRTY_H
#define SSE_LIB_DIRTY_H

#include "hub/subscription.h"

/*
 * A publish has the highest number, so the feeds that it marks go to the end of a list. A feed that
 * a snapshot leaves with a number in between goes into a heap instead, a leftist one: each key is
 * at most those of the two heaps below it, and the right one is the shallower one. So a step costs
 * at most the logarithm of the number of dirty feeds, and nothing is allocated. All functions need
 * the hub's lock.
 */

/* The key of a feed with a new event: nothing of its channel below `number` is new. */
static inline uint64_t sse__dirty_event(uint64_t number) {
  return number * 2;
}

/* The key of a feed whose channel was finished when `head` was the hub's head. */
static inline uint64_t sse__dirty_finish(uint64_t head) {
  return head * 2 + 1;
}

/* The lowest number that can be new to a feed with this key. */
static inline uint64_t sse__dirty_number(uint64_t key) {
  return key / 2;
}

/* The feed with the lowest key; NULL: none is dirty. */
static inline struct sse__loop_feed *sse__dirty_first(const struct sse__inbox *inbox) {
  struct sse__loop_feed *a = inbox->dirty_list, *b = inbox->dirty_heap;
  if (!a || !b) return a ? a : b;
  return a->dirty_key <= b->dirty_key ? a : b;
}

/* Adds a feed that is not dirty. */
void sse__dirty_add(struct sse__inbox *inbox, struct sse__loop_feed *feed, uint64_t key);
/* Takes the first feed out of an inbox that has a dirty one. */
struct sse__loop_feed *sse__dirty_take(struct sse__inbox *inbox);

#endif
