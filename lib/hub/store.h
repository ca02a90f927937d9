/* SPDX-License-Identifier: MIT */
/* store.h: all frames of a hub in the order of their numbers, and the ceiling on their memory. */
#ifndef SSE_LIB_STORE_H
#define SSE_LIB_STORE_H

#include "hub/window.h"

/*
 * The rows in which the events of all windows wait for their eviction. The log is emptied first,
 * then the state; ephemeral events are evicted before both while they are more than an eighth of
 * the ceiling, and otherwise last. An event of several channels is in a row with its body, and is
 * evicted from all of its windows at once. Each row is ordered by number, as far as events were not
 * put back.
 */
enum sse__store_row {
  SSE__ROW_LOG,       /* all that are in no other row */
  SSE__ROW_STATE,     /* the newest values of the keys of conflated channels */
  SSE__ROW_EPHEMERAL, /* ephemeral events */
  SSE__ROW_ASIDE,     /* events that were due to be evicted, but are lent: it would free nothing */
  SSE__ROWS
};

/*
 * Guarded by the hub's lock. A frame is lent while something other than its window, or its shares,
 * has a reference to it: a stream or a snapshot. A body is lent while one of its shares is. A lent
 * frame that is evicted leaves its window and its row at once, but counts in `bytes` until its last
 * reference is released. So `bytes` less `window_bytes` is what is lent beyond the windows.
 */
struct sse__store {
  const struct sse__mem *mem;       /* the hub's allocator */
  struct sse__list rows[SSE__ROWS]; /* the events in windows */
  struct sse__id_index ids;         /* the application's ids of all published frames */
  size_t bytes;                     /* memory of all published frames */
  size_t window_bytes;              /* memory of those that are in a window */
  size_t lent_bytes;                /* of these, memory of events that are lent */
  size_t aside_bytes;               /* of these, memory of events in SSE__ROW_ASIDE */
  size_t ephemeral_bytes;           /* of these, memory of ephemeral events */
  size_t frames;                    /* frames in a window */
  uint64_t evicted;                 /* frames that were evicted so far */
  size_t bytes_max;                 /* ceiling on `bytes` */
};

/* The oldest event of a row, as far as the row is in order; or NULL. */
static inline struct sse__frame *sse__store_oldest(const struct sse__store *store,
                                                   enum sse__store_row row) {
  return SSE__LIST_FIRST(&store->rows[row], struct sse__frame, link);
}

/* Whether `bytes` more bytes fit as it is. */
static inline bool sse__store_has_room(const struct sse__store *store, size_t bytes) {
  return bytes <= store->bytes_max && store->bytes <= store->bytes_max - bytes;
}
/* Whether evicting events that are not lent makes room for `bytes` more bytes. */
bool sse__store_can_fit(const struct sse__store *store, size_t bytes);
/*
 * Evicts the oldest events that are not lent, and with each what its windows have before it, until
 * `bytes` more bytes fit. The caller knows that they can fit.
 */
void sse__store_make_room(struct sse__store *store, size_t bytes);
/* Appends the hub's newest frame to a window with a free slot; takes over the reference. */
void sse__store_append(struct sse__store *store, struct sse__window *window,
                       struct sse__frame *frame);
/* Evicts events below `seq`, up to a number of them: false if some may be left. */
bool sse__store_evict_below(struct sse__store *store, uint64_t seq, uint32_t max);
/* Evicts a frame from its window: the oldest one, or any that has a key. */
void sse__store_evict(struct sse__store *store, struct sse__frame *frame);
/* Removes a frame whose key has a newer one; that is no eviction, and no loss. */
void sse__store_supersede(struct sse__store *store, struct sse__frame *frame);
/* Counts a frame that has just been lent. */
void sse__store_lend(struct sse__store *store, struct sse__frame *frame);
/* Lends a frame that is in a window or lent already: one more reference. */
static inline void sse__store_ref(struct sse__store *store, struct sse__frame *frame) {
  if (frame->refs++ == 1 && frame->window) sse__store_lend(store, frame);
}
/* Gives such a reference back; the last reference of all frees the frame. */
void sse__store_unref(struct sse__store *store, struct sse__frame *frame);
/* The memory that no eviction frees: of what is lent, in a window or not. */
size_t sse__store_lent(const struct sse__store *store);
/*
 * The lent bytes that are too many: those in excess of a quarter of the ceiling that are kept only
 * because they are lent, or those without which `bytes` more bytes would fit, if that is more.
 */
size_t sse__store_overlent(const struct sse__store *store, size_t bytes);

#endif
