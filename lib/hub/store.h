/* SPDX-License-Identifier: MIT */
/* store.h: all frames of a hub in the order of their numbers, and the ceiling on their memory. */
#ifndef SSE_LIB_STORE_H
#define SSE_LIB_STORE_H

#include "hub/window.h"

/*
 * Guarded by the hub's lock. A frame that was evicted while it was lent is no longer in the list,
 * but its memory counts until the last reference comes back: `bytes` less `window_bytes` is what
 * streams pin beyond the windows.
 */
struct sse__store {
  const struct sse__mem *mem;
  struct sse__list log, state; /* those in a window, by number; states are the newest of a key */
  struct sse__id_index ids;
  size_t bytes;        /* memory of all published frames */
  size_t window_bytes; /* of these, the ones in a window */
  size_t frames;       /* in a window */
  uint64_t evicted;    /* frames so far */
  size_t bytes_max;    /* the ceiling */
};

/* The oldest frame of `log` or `state`, or NULL. */
static inline struct sse__frame *sse__store_oldest(const struct sse__list *frames) {
  return SSE__LIST_FIRST(frames, struct sse__frame, link);
}

/* Whether `bytes` more can be had under the ceiling by letting frames go that are not lent. */
bool sse__store_can_fit(const struct sse__store *store, size_t bytes);
/* Lets the oldest frames of the hub go, states last, until `bytes` more fit, which is known to be
 * possible. */
void sse__store_make_room(struct sse__store *store, size_t bytes);
/* Appends the newest frame of the hub to a window that has room for it; takes the reference over.
 */
void sse__store_append(struct sse__store *store, struct sse__window *window,
                       struct sse__frame *frame);
/* Lets a frame of a window go: its oldest, or any that has a key. */
void sse__store_evict(struct sse__store *store, struct sse__frame *frame);
/* The same for a frame whose key has a newer one, which is no loss. */
void sse__store_supersede(struct sse__store *store, struct sse__frame *frame);
/* Gives a reference back. */
void sse__store_unref(struct sse__store *store, struct sse__frame *frame);
/* What streams pin beyond the windows is over its share, a quarter of the ceiling, by so many
 * bytes. */
size_t sse__store_overpinned(const struct sse__store *store);

#endif
