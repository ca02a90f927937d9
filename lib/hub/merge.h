/* SPDX-License-Identifier: MIT */
/* merge.h: which of several windows has the next frame. */
#ifndef SSE_LIB_MERGE_H
#define SSE_LIB_MERGE_H

#include "hub/window.h"

/*
 * The search for the frame with the smallest number above a cursor. The caller offers the slots of
 * each window in turn. The result is a run: from its first slot on, the slots below `limit` are the
 * next ones of all windows, so the search is repeated only where the run ends.
 */
struct sse__merge {
  struct sse__stretch run; /* the slots of the chosen window; count 0: none has a frame */
  void *owner;             /* what the caller says that the window belongs to */
  uint64_t lowest;         /* the number of the run's first slot; UINT64_MAX: none */
  uint64_t limit;          /* another window has a frame here, or the search ends here */
};

/* The most windows that are offered in one step: a search among many channels is not repeated for
 * each event in one hold of the lock. */
#define SSE__SEARCH_MAX 16384

/* A search up to the number `head`. */
static inline struct sse__merge sse__merge_start(uint64_t head) {
  return (struct sse__merge){{NULL, 0, 0, 0}, NULL, UINT64_MAX, head + 1};
}

static inline void sse__stretch_drop_first(struct sse__stretch *slots) {
  slots->first++;
  slots->count--;
}

/* Drops the slots up to the cursor; false if none is left. Often all slots lie above it. */
static inline bool sse__stretch_above(struct sse__stretch *slots, uint64_t cursor) {
  if (slots->count == 0) return false;
  if (sse__stretch_at(slots, 0)->seq > cursor) return true;
  size_t passed = sse__stretch_after(slots, cursor);
  slots->first += passed;
  slots->count -= passed;
  return slots->count > 0;
}

/*
 * An event of several channels has the same number in all of them, and only one of its slots is
 * chosen: one that still has the frame, if a newer event of the same key superseded it in the
 * other. The other window continues behind that number.
 */
static inline void sse__merge_choose(struct sse__merge *next, void *owner,
                                     struct sse__stretch *slots) {
  if (!sse__stretch_at(&next->run, 0)->frame) {
    struct sse__stretch other = next->run;
    next->run = *slots;
    next->owner = owner;
    *slots = other;
  }
  sse__stretch_drop_first(slots);
}

/* Offers the slots of one window, of which those up to `cursor` were passed. */
static inline void sse__merge_offer(struct sse__merge *next, void *owner, struct sse__stretch slots,
                                    uint64_t cursor, uint64_t head) {
  if (!sse__stretch_above(&slots, cursor)) return;
  uint64_t seq = sse__stretch_at(&slots, 0)->seq;
  if (seq > head) return;
  if (seq < next->lowest) {
    if (next->lowest < next->limit) next->limit = next->lowest;
    next->run = slots;
    next->owner = owner;
    next->lowest = seq;
    return;
  }
  if (seq == next->lowest) sse__merge_choose(next, owner, &slots);
  if (slots.count > 0 && sse__stretch_at(&slots, 0)->seq < next->limit) {
    next->limit = sse__stretch_at(&slots, 0)->seq;
  }
}

#endif
