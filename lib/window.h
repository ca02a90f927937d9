/* SPDX-License-Identifier: MIT */
/* window.h: a channel's frames, by number: append, find, evict, and remember what was evicted. */
#ifndef SSE_LIB_WINDOW_H
#define SSE_LIB_WINDOW_H

#include "frame.h"

/* A row of frames with growing numbers, in a ring or a plain array (mask SIZE_MAX). */
struct sse__stretch {
  struct sse__frame **ring;
  size_t mask;
  size_t first, count;
};

/* The frame at a place, 0 to count - 1. */
struct sse__frame *sse__stretch_at(const struct sse__stretch *stretch, size_t place);
/* The place of the first frame with a number above seq; count if there is none. */
size_t sse__stretch_after(const struct sse__stretch *stretch, uint64_t seq);

/* Guarded by the hub's lock. */
struct sse__window {
  struct sse__frame **ring;
  size_t cap;   /* 0 or a power of two */
  size_t first; /* place of the oldest frame */
  size_t count;
  size_t bytes;          /* memory of the frames */
  uint64_t evicted;      /* the highest number that it let go; exact */
  uint64_t bytes_ever;   /* encoded bytes of all that was ever appended */
  uint64_t last_ordinal; /* how many frames were ever appended: the ordinal of the newest */
};

/* Room for one more frame: 0, or SSE_ENOMEM. */
int sse__window_reserve(struct sse__window *window, const struct sse__mem *mem);
/* Appends a frame with a number above all others; the reference is taken over. */
void sse__window_append(struct sse__window *window, struct sse__frame *frame);
/* Takes the oldest frame out, with its reference; the window is not empty. */
struct sse__frame *sse__window_evict(struct sse__window *window);
/* All its frames, from the oldest. */
struct sse__stretch sse__window_stretch(const struct sse__window *window);
/* The oldest frame; the window is not empty. */
struct sse__frame *sse__window_oldest(const struct sse__window *window);
/* How many frames up to seq were ever appended; seq is not below `evicted`. */
uint64_t sse__window_ordinal(const struct sse__window *window, uint64_t seq);
/* How many frames were let go. */
uint64_t sse__window_gone(const struct sse__window *window);
/* Frees the table, not the frames. */
void sse__window_free(struct sse__window *window, const struct sse__mem *mem);

#endif
