/* SPDX-License-Identifier: MIT */
/* store.h: all frames of a hub in the order of their numbers, and the ceiling on their memory. */
#ifndef SSE_LIB_STORE_H
#define SSE_LIB_STORE_H

#include "hub/window.h"

/*
 * Guarded by the hub's lock. A frame that is evicted while a stream has it in flight leaves its
 * window and its list at once, but counts in `bytes` until its last reference is released. So
 * `bytes` less `window_bytes` is what streams pin beyond the windows.
 */
struct sse__store {
  const struct sse__mem *mem; /* the hub's allocator */
  struct sse__list log;       /* frames in windows, by number, except those in `state` */
  struct sse__list state;     /* the newest values of the keys of conflated channels, by number */
  struct sse__id_index ids;   /* the application's ids of all published frames */
  size_t bytes;               /* memory of all published frames */
  size_t window_bytes;        /* memory of those that are in a window */
  size_t frames;              /* frames in a window */
  uint64_t evicted;           /* frames that were evicted so far */
  size_t bytes_max;           /* ceiling on `bytes` */
};

/* The oldest frame of `log` or `state`, or NULL. */
static inline struct sse__frame *sse__store_oldest(const struct sse__list *frames) {
  return SSE__LIST_FIRST(frames, struct sse__frame, link);
}

/* Whether evicting frames that no stream has in flight makes room for `bytes` more bytes. */
bool sse__store_can_fit(const struct sse__store *store, size_t bytes);
/*
 * Evicts the oldest frames, those of `state` last, until `bytes` more bytes fit. The caller knows
 * that they can fit.
 */
void sse__store_make_room(struct sse__store *store, size_t bytes);
/* Appends the hub's newest frame to a window with a free slot; takes over the reference. */
void sse__store_append(struct sse__store *store, struct sse__window *window,
                       struct sse__frame *frame);
/* Evicts a frame from its window: the oldest one, or any that has a key. */
void sse__store_evict(struct sse__store *store, struct sse__frame *frame);
/* Removes a frame whose key has a newer one; that is no eviction, and no loss. */
void sse__store_supersede(struct sse__store *store, struct sse__frame *frame);
/* Releases a reference; the last one frees the frame. */
void sse__store_unref(struct sse__store *store, struct sse__frame *frame);
/* The pinned bytes in excess of their share, a quarter of the ceiling. */
size_t sse__store_overpinned(const struct sse__store *store);

#endif
