/* SPDX-License-Identifier: MIT */
/* window.c: a channel's frames, by number. */
#include "window.h"

#define FIRST_FRAMES 8

struct sse__frame *sse__stretch_at(const struct sse__stretch *stretch, size_t place) {
  return stretch->ring[(stretch->first + place) & stretch->mask];
}

size_t sse__stretch_after(const struct sse__stretch *stretch, uint64_t seq) {
  size_t low = 0, high = stretch->count;
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

struct sse__stretch sse__window_stretch(const struct sse__window *window) {
  return (struct sse__stretch){window->ring, window->cap - 1, window->first, window->count};
}

struct sse__frame *sse__window_oldest(const struct sse__window *window) {
  return window->ring[window->first];
}

int sse__window_reserve(struct sse__window *window, const struct sse__mem *mem) {
  if (window->count < window->cap) return SSE_OK;
  if (window->cap > SIZE_MAX / 2 / sizeof *window->ring) return SSE_ENOMEM;
  size_t cap = window->cap ? window->cap * 2 : FIRST_FRAMES;
  struct sse__frame **ring = sse__mem_new(mem, cap * sizeof *ring);
  if (!ring) return SSE_ENOMEM;
  const struct sse__stretch frames = sse__window_stretch(window);
  for (size_t i = 0; i < window->count; i++) ring[i] = sse__stretch_at(&frames, i);
  sse__mem_free(mem, window->ring);
  window->ring = ring;
  window->cap = cap;
  window->first = 0;
  return SSE_OK;
}

void sse__window_append(struct sse__window *window, struct sse__frame *frame) {
  window->ring[(window->first + window->count) & (window->cap - 1)] = frame;
  window->count++;
  frame->window = window;
  window->bytes += sse__frame_weight(frame);
  window->last_ordinal++;
  frame->bytes_before = window->bytes_ever;
  window->bytes_ever += frame->len;
}

struct sse__frame *sse__window_evict(struct sse__window *window) {
  struct sse__frame *frame = sse__window_oldest(window);
  window->first = (window->first + 1) & (window->cap - 1);
  window->count--;
  window->bytes -= sse__frame_weight(frame);
  window->evicted = frame->seq;
  frame->window = NULL;
  return frame;
}

uint64_t sse__window_gone(const struct sse__window *window) {
  return window->last_ordinal - window->count;
}

uint64_t sse__window_ordinal(const struct sse__window *window, uint64_t seq) {
  const struct sse__stretch frames = sse__window_stretch(window);
  return sse__window_gone(window) + sse__stretch_after(&frames, seq);
}

void sse__window_free(struct sse__window *window, const struct sse__mem *mem) {
  sse__mem_free(mem, window->ring);
  window->ring = NULL;
  window->cap = window->count = 0;
}
