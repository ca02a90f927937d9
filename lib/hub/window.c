/* SPDX-License-Identifier: MIT */
/* window.c: the retained frames of a channel by number. */
#include "hub/window.h"

#define FIRST_SLOTS 8

/*
 * A binary search. Numbers ascend, so there are at most as many slots as numbers between two of
 * them; this narrows the range first. If no number is missing, one place is left. Most searches
 * are near the head.
 */
size_t sse__stretch_after(const struct sse__stretch *stretch, uint64_t seq) {
  size_t low = 0, high = stretch->count;
  if (high == 0) return 0;
  uint64_t oldest = sse__stretch_at(stretch, 0)->seq;
  uint64_t newest = sse__stretch_at(stretch, high - 1)->seq;
  if (newest <= seq) return high;
  if (oldest > seq) return 0;
  if (newest - seq < high) low = high - (size_t)(newest - seq);
  if (seq - oldest < high) high = (size_t)(seq - oldest) + 1;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (sse__stretch_at(stretch, middle)->seq > seq) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

/* The place of the first slot with a frame from `place` to `end`; `end`: there is none. */
static size_t next_frame(const struct sse__stretch *stretch, size_t place, size_t end) {
  while (place < end && !sse__stretch_at(stretch, place)->frame) place++;
  return place;
}

const struct sse__frame *sse__stretch_first_above(const struct sse__stretch *stretch,
                                                  uint64_t number) {
  size_t low = 0, high = stretch->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2, place = next_frame(stretch, middle, high);
    if (place < high && sse__stretch_at(stretch, place)->frame->number <= number) {
      low = place + 1;
    } else {
      high = middle;
    }
  }
  low = next_frame(stretch, low, stretch->count);
  return low < stretch->count ? sse__stretch_at(stretch, low)->frame : NULL;
}

/* ---- room ---- */

/* Puts a frame into a slot, and records the place if the frame has a key. */
static void window_settle(struct sse__window *window, size_t place, struct sse__frame *frame) {
  *sse__window_slot(window, place) = (struct sse__slot){frame->seq, frame};
  if (window->keys) sse__frame_key(frame)->place = place;
}

/* Removes the slots whose frames were superseded. */
static void window_close_up(struct sse__window *window) {
  size_t to = window->first;
  for (size_t i = 0; i < window->count; i++) {
    struct sse__frame *frame = sse__window_slot(window, window->first + i)->frame;
    if (frame) window_settle(window, to++, frame);
  }
  window->count = window->frames;
}

static int window_grow(struct sse__window *window, const struct sse__mem *mem) {
  if (window->cap > SIZE_MAX / 2 / sizeof *window->ring) return SSE_ENOMEM;
  size_t cap = window->cap ? window->cap * 2 : FIRST_SLOTS;
  struct sse__slot *ring = sse__mem_new(mem, cap * sizeof *ring);
  if (!ring) return SSE_ENOMEM;
  for (size_t i = 0; i < window->count; i++) {
    size_t place = window->first + i;
    ring[place & (cap - 1)] = *sse__window_slot(window, place);
  }
  sse__mem_free(mem, window->ring);
  window->ring = ring;
  window->cap = cap;
  return SSE_OK;
}

/* Closes up only if half of the slots are empty, so that the cost per append stays constant. */
int sse__window_reserve(struct sse__window *window, const struct sse__mem *mem) {
  if (window->count < window->cap) return SSE_OK;
  if (window->frames >= window->cap / 2 + window->cap % 2) return window_grow(window, mem);
  window_close_up(window);
  return SSE_OK;
}

/* ---- frames ---- */

void sse__window_append(struct sse__window *window, const struct sse__mem *mem,
                        struct sse__frame *frame) {
  window_settle(window, window->first + window->count++, frame);
  if (window->keys) sse__key_index_add(window->keys, mem, frame);
  window->frames++;
  window->last_ordinal++;
  window->bytes += sse__frame_weight(frame);
  frame->bytes_before = window->bytes_ever;
  window->bytes_ever += frame->len;
  frame->window = window;
}

/* In a conflated channel tombstones are evicted before values, so numbers are not in order. */
static void note_evicted(struct sse__window *window, const struct sse__frame *frame) {
  bool highest = frame->seq > window->evicted.seq;
  if (highest) window->evicted = (struct sse__point){frame->seq, frame->number};
  if (highest && !(window->keys && frame->seq < window->history->skipped.seq)) return;
  if (frame->seq > window->evicted_out_of_order) window->evicted_out_of_order = frame->seq;
  window->evicted_out_of_order_count++;
}

void sse__window_remove(struct sse__window *window, struct sse__frame *frame, bool superseded) {
  size_t place = window->keys ? sse__frame_key(frame)->place : window->first;
  sse__window_slot(window, place)->frame = NULL;
  window->frames--;
  window->bytes -= sse__frame_weight(frame);
  if (window->keys) sse__key_index_remove(window->keys, frame);
  if (superseded) {
    window->superseded++;
  } else {
    note_evicted(window, frame);
    bool value = window->keys && !frame->tombstone;
    if (value && frame->seq > window->state_lost.seq)
      window->state_lost = (struct sse__point){frame->seq, frame->number};
  }
  frame->window = NULL;
  while (window->count > 0 && !sse__window_slot(window, window->first)->frame) {
    window->first++;
    window->count--;
  }
}

struct sse__frame *sse__window_victim(const struct sse__window *window) {
  if (window->keys && window->keys->tombstones.first) {
    struct sse__link *oldest = window->keys->tombstones.first;
    return SSE__CONTAINER(oldest, struct sse__frame_key, tombstone)->frame;
  }
  return sse__window_oldest(window);
}

uint64_t sse__window_last(const struct sse__window *window) {
  struct sse__stretch slots = sse__window_stretch(window);
  uint64_t newest = slots.count > 0 ? sse__stretch_at(&slots, slots.count - 1)->seq : 0;
  return newest > window->evicted.seq ? newest : window->evicted.seq;
}

uint64_t sse__window_ordinal(const struct sse__window *window, uint64_t seq) {
  const struct sse__stretch slots = sse__window_stretch(window);
  return window->last_ordinal - window->count + sse__stretch_after(&slots, seq);
}

uint64_t sse__window_gone(const struct sse__window *window) {
  return window->last_ordinal - window->superseded - window->frames;
}

void sse__window_free(struct sse__window *window, const struct sse__mem *mem) {
  sse__mem_free(mem, window->ring);
  sse__key_index_free(window->keys, mem);
  window->ring = NULL;
  window->keys = NULL;
  window->cap = window->count = 0;
}
