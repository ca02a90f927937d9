/* SPDX-License-Identifier: MIT */
/* turns.c: many windows in the order of their next frames. */
#include "hub/turns.h"

#include <assert.h>
#include <stdbool.h>

static bool comes_before(const struct sse__turn *a, const struct sse__turn *b) {
  return a->seq < b->seq || (a->seq == b->seq && a->place < b->place);
}

/* Moves a turn down, until those below it come later. */
static void sink_turn(struct sse__turn *turns, uint32_t count, uint32_t at) {
  const struct sse__turn turn = turns[at];
  for (uint32_t below; at < count / 2; at = below) {
    below = 2 * at + 1;
    if (below + 1 < count && comes_before(&turns[below + 1], &turns[below])) below++;
    if (!comes_before(&turns[below], &turn)) break;
    turns[at] = turns[below];
  }
  turns[at] = turn;
}

void sse__turns_sort(struct sse__turn *turns, uint32_t count) {
  for (uint32_t at = count / 2; at > 0; at--) sink_turn(turns, count, at - 1);
}

void sse__turns_settle(struct sse__turn *turns, uint32_t count) {
  assert(count > 0);
  sink_turn(turns, count, 0);
}

uint32_t sse__turns_drop(struct sse__turn *turns, uint32_t count) {
  assert(count > 0);
  turns[0] = turns[count - 1];
  if (count > 1) sink_turn(turns, count - 1, 0);
  return count - 1;
}
