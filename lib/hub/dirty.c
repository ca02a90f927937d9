/* SPDX-License-Identifier: MIT */
/* dirty.c: the loop feeds that have something new, in the order of their numbers. */
#include "hub/dirty.h"

#include <assert.h>

static unsigned rank_of(const struct sse__loop_feed *heap) {
  return heap ? heap->dirty_rank : 0;
}

/* Joins two heaps along their right edges, which are short. */
static struct sse__loop_feed *join_heaps(struct sse__loop_feed *a, struct sse__loop_feed *b) {
  if (!a || !b) return a ? a : b;
  struct sse__loop_feed *first = a->dirty_key <= b->dirty_key ? a : b;
  struct sse__loop_feed *right = join_heaps(first->dirty_right, first == a ? b : a);
  if (rank_of(first->dirty_left) < rank_of(right)) {
    first->dirty_right = first->dirty_left;
    first->dirty_left = right;
  } else {
    first->dirty_right = right;
  }
  first->dirty_rank = (uint8_t)(rank_of(first->dirty_right) + 1);
  return first;
}

/* In the list, the right feed is the next one. A feed goes to an end of it, or into the heap. */
static void place_dirty(struct sse__inbox *inbox, struct sse__loop_feed *feed) {
  if (!inbox->dirty_list) {
    inbox->dirty_list = inbox->dirty_last = feed;
  } else if (feed->dirty_key >= inbox->dirty_last->dirty_key) {
    inbox->dirty_last->dirty_right = feed;
    inbox->dirty_last = feed;
  } else if (feed->dirty_key <= inbox->dirty_list->dirty_key) {
    feed->dirty_right = inbox->dirty_list;
    inbox->dirty_list = feed;
  } else {
    inbox->dirty_heap = join_heaps(inbox->dirty_heap, feed);
  }
}

void sse__dirty_add(struct sse__inbox *inbox, struct sse__loop_feed *feed, uint64_t key) {
  assert(!feed->dirty);
  feed->dirty = true;
  feed->dirty_key = key;
  feed->dirty_left = feed->dirty_right = NULL;
  feed->dirty_rank = 1;
  place_dirty(inbox, feed);
}

struct sse__loop_feed *sse__dirty_take(struct sse__inbox *inbox) {
  struct sse__loop_feed *first = sse__dirty_first(inbox);
  assert(first && first->dirty);
  if (first == inbox->dirty_list) {
    inbox->dirty_list = first->dirty_right;
  } else {
    inbox->dirty_heap = join_heaps(first->dirty_left, first->dirty_right);
  }
  first->dirty = false;
  return first;
}
