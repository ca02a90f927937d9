/* SPDX-License-Identifier: MIT */
/* turns.h: many windows in the order of their next frames. */
#ifndef SSE_LIB_TURNS_H
#define SSE_LIB_TURNS_H

#include <stdint.h>

/*
 * A binary heap, for a merge of many windows, which are not searched for each event (merge.h). A turn belongs to one window, and its number is a lower bound: the window has no frame
 * for the reader below it. Evictions only raise the number of a window's next frame, so a turn
 * stays right while frames leave, and is corrected when it comes first. Of equal numbers, the lower
 * place comes first.
 */
struct sse__turn {
  uint64_t seq;   /* the lowest number that the window's next frame can have */
  uint32_t place; /* what the caller calls the window */
};

/* Puts turns in order. */
void sse__turns_sort(struct sse__turn *turns, uint32_t count);
/* Restores the order after the number of the first turn was raised. */
void sse__turns_settle(struct sse__turn *turns, uint32_t count);
/* Drops the first turn; returns how many are left. */
uint32_t sse__turns_drop(struct sse__turn *turns, uint32_t count);

/* The lowest number of all turns except the first one; UINT64_MAX: there is none. */
static inline uint64_t sse__turns_second(const struct sse__turn *turns, uint32_t count) {
  if (count < 2) return UINT64_MAX;
  return count > 2 && turns[2].seq < turns[1].seq ? turns[2].seq : turns[1].seq;
}

#endif
