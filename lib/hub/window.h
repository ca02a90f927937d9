/* SPDX-License-Identifier: MIT */
/* window.h: the retained frames of a channel by number, and what is known of evicted ones. */
#ifndef SSE_LIB_WINDOW_H
#define SSE_LIB_WINDOW_H

#include "hub/index.h"

/* A place in a window. It keeps its number after its frame left, so that places stay ordered. */
struct sse__slot {
  uint64_t seq;             /* the number of the frame */
  struct sse__frame *frame; /* the frame; NULL after a newer one of its key superseded it */
};

/* A sequence of slots with ascending numbers, in a ring or, with mask SIZE_MAX, in an array. */
struct sse__stretch {
  struct sse__slot *ring; /* the ring or array */
  size_t mask;            /* size of the ring less one */
  size_t first, count;    /* place of the first slot, and number of slots */
};

/* The slot at a place from 0 to count - 1. */
static inline const struct sse__slot *sse__stretch_at(const struct sse__stretch *stretch,
                                                      size_t place) {
  return &stretch->ring[(stretch->first + place) & stretch->mask];
}

/* The place of the first slot above `seq`; `count` if there is none. */
size_t sse__stretch_after(const struct sse__stretch *stretch, uint64_t seq);
/* The first frame with a number above `number`; NULL: there is none. Slots without a frame are
 * searched one by one. */
const struct sse__frame *sse__stretch_first_above(const struct sse__stretch *stretch,
                                                  uint64_t number);

/* What a log had and the hub never had; guarded by the hub's lock. Its own numbers have no such. */
struct sse__history {
  struct sse__point
      start; /* the floor that the history began with, at the hub's start or a reset */
  struct sse__point skipped; /* up to here, every channel may have lost something; 0: none */
};

/*
 * Guarded by the hub's lock. In a conflated channel tombstones are evicted before values, so frames
 * do not leave in the order of their numbers; `evicted_out_of_order` and its count keep track. They
 * also keep track of frames from before a skip: their loss may have been reported before they were
 * evicted.
 */
struct sse__window {
  struct sse__slot *ring;        /* the slots */
  size_t cap;                    /* size of the ring: 0 or a power of two */
  size_t first;                  /* place of the oldest slot, counted from the first one ever */
  size_t count;                  /* slots in use */
  size_t frames;                 /* slots with a frame */
  size_t shares;                 /* of these, shares of events for several channels (store.c) */
  size_t bytes;                  /* memory of the frames */
  struct sse__point evicted;     /* the highest point that was evicted; 0: none */
  uint64_t evicted_out_of_order; /* the highest number evicted after a higher one; 0: none */
  uint64_t evicted_out_of_order_count; /* frames evicted after one with a higher number */
  uint64_t share_evicted;              /* the highest number of a share that was evicted; 0: none */
  uint64_t bytes_ever;                 /* encoded bytes of all frames ever appended */
  uint64_t last_ordinal;               /* frames ever appended: the ordinal of the newest one */
  uint64_t superseded;         /* of these, frames that left because their key has a newer one */
  struct sse__key_index *keys; /* of a conflated channel: its frames by key; else NULL */
  struct sse__point
      state_lost; /* the highest point of a key's newest value that was evicted; 0: none */
  const struct sse__history *history; /* the hub's; NULL for ephemeral frames */
};

/* Reserves a slot for one more frame: 0 or SSE_ENOMEM. */
int sse__window_reserve(struct sse__window *window, const struct sse__mem *mem);
/* Appends a frame with a number above all others; takes over the reference. */
void sse__window_append(struct sse__window *window, const struct sse__mem *mem,
                        struct sse__frame *frame);
/* Removes a frame, the oldest one or any that has a key, and passes its reference to the caller. It
 * counts as evicted unless it was superseded. */
void sse__window_remove(struct sse__window *window, struct sse__frame *frame, bool superseded);
/* The frame to evict next: the oldest tombstone, or the oldest frame. The window is not empty. */
struct sse__frame *sse__window_victim(const struct sse__window *window);
/* All slots, from the oldest. */
static inline struct sse__stretch sse__window_stretch(const struct sse__window *window) {
  return (struct sse__stretch){window->ring, window->cap - 1, window->first, window->count};
}

/* The slot at a place that is counted from the first one ever. */
static inline struct sse__slot *sse__window_slot(const struct sse__window *window, size_t place) {
  return &window->ring[place & (window->cap - 1)];
}

/* The oldest frame. The window is not empty. */
static inline struct sse__frame *sse__window_oldest(const struct sse__window *window) {
  return sse__window_slot(window, window->first)->frame;
}

/* The highest number that the window has or has evicted; 0: none. */
uint64_t sse__window_last(const struct sse__window *window);
/* Frames up to `seq` that were ever appended. `seq` is at or above `evicted`, and the channel is
 * not conflated. */
uint64_t sse__window_ordinal(const struct sse__window *window, uint64_t seq);
/* Frames that were evicted so far. */
uint64_t sse__window_gone(const struct sse__window *window);
/* Frees the ring and the index, not the frames. */
void sse__window_free(struct sse__window *window, const struct sse__mem *mem);

#endif
