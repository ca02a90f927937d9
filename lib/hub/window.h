/* SPDX-License-Identifier: MIT */
/* window.h: a channel's frames, by number: append, find, evict, and remember what was evicted. */
#ifndef SSE_LIB_WINDOW_H
#define SSE_LIB_WINDOW_H

#include "hub/index.h"

/* The number stays in place when the frame is superseded, so that places can be found by numbers.
 */
struct sse__slot {
  uint64_t seq;
  struct sse__frame *frame; /* NULL: superseded by a newer one of its key */
};

/* A row of slots with growing numbers, in a ring or a plain array (mask SIZE_MAX). */
struct sse__stretch {
  struct sse__slot *ring;
  size_t mask;
  size_t first, count;
};

/* The slot at a place, 0 to count - 1. */
static inline const struct sse__slot *sse__stretch_at(const struct sse__stretch *stretch,
                                                      size_t place) {
  return &stretch->ring[(stretch->first + place) & stretch->mask];
}

/* The place of the first slot with a number above seq; count if there is none. */
size_t sse__stretch_after(const struct sse__stretch *stretch, uint64_t seq);

/* Guarded by the hub's lock. */
struct sse__window {
  struct sse__slot *ring;
  size_t cap;                    /* 0 or a power of two */
  size_t first;                  /* place of the oldest frame, counted from the first one ever */
  size_t count;                  /* slots in use, from a frame on */
  size_t frames;                 /* of them with a frame */
  size_t bytes;                  /* memory of the frames */
  uint64_t evicted;              /* the highest number that it let go; exact */
  uint64_t evicted_out_of_order; /* the highest that it let go after a higher one; with keys only */
  uint64_t evicted_out_of_order_count; /* how many went so */
  uint64_t bytes_ever;                 /* encoded bytes of all that was ever appended */
  uint64_t last_ordinal;       /* how many frames were ever appended: the ordinal of the newest */
  uint64_t superseded;         /* how many of them went because their key has a newer one */
  struct sse__key_index *keys; /* it keeps the newest of each key; NULL: it keeps all */
  uint64_t state_lost; /* the lowest number of a key's newest value that was evicted; 0: none */
};

/* Room for one more frame: 0, or SSE_ENOMEM. */
int sse__window_reserve(struct sse__window *window, const struct sse__mem *mem);
/* Appends a frame with a number above all others; the reference is taken over. */
void sse__window_append(struct sse__window *window, const struct sse__mem *mem,
                        struct sse__frame *frame);
/* Takes a frame out, with its reference: the oldest, or any that has a key. It counts as evicted
 * unless it is superseded. */
void sse__window_remove(struct sse__window *window, struct sse__frame *frame, bool superseded);
/* The frame to evict first: the oldest that deletes a key, or the oldest. There is one. */
struct sse__frame *sse__window_victim(const struct sse__window *window);
/* All its slots, from the oldest. */
static inline struct sse__stretch sse__window_stretch(const struct sse__window *window) {
  return (struct sse__stretch){window->ring, window->cap - 1, window->first, window->count};
}

/* The slot at a place that is counted from the first one ever. */
static inline struct sse__slot *sse__window_slot(const struct sse__window *window, size_t place) {
  return &window->ring[place & (window->cap - 1)];
}

/* The oldest frame; the window is not empty. */
static inline struct sse__frame *sse__window_oldest(const struct sse__window *window) {
  return sse__window_slot(window, window->first)->frame;
}

/* How many frames up to seq were ever appended; seq is not below `evicted`, and there are no keys.
 */
uint64_t sse__window_ordinal(const struct sse__window *window, uint64_t seq);
/* How many frames were evicted. */
uint64_t sse__window_gone(const struct sse__window *window);
/* Frees the tables, not the frames. */
void sse__window_free(struct sse__window *window, const struct sse__mem *mem);

#endif
