/* SPDX-License-Identifier: MIT */
/* deadline.c: a ring of deadlines for each kind. */
#include "deadline.h"

#include <stddef.h>

void deadlines_init(struct deadlines *deadlines, const int length_ms[DEADLINE_KINDS]) {
  for (int kind = 0; kind < DEADLINE_KINDS; kind++) {
    struct deadline *ring = &deadlines->rings[kind];
    ring->prev = ring->next = ring;
    deadlines->length_ms[kind] = length_ms[kind];
  }
}

void deadline_start(struct deadlines *deadlines, struct deadline *deadline, enum deadline_kind kind,
                    int64_t now_ms) {
  if (deadline->next) deadline_stop(deadline);
  struct deadline *ring = &deadlines->rings[kind];
  deadline->kind = kind;
  deadline->at_ms = now_ms + deadlines->length_ms[kind];
  deadline->prev = ring->prev;
  deadline->next = ring;
  ring->prev->next = deadline;
  ring->prev = deadline;
}

void deadline_stop(struct deadline *deadline) {
  deadline->prev->next = deadline->next;
  deadline->next->prev = deadline->prev;
  deadline->prev = deadline->next = NULL;
}

struct deadline *deadlines_due(struct deadlines *deadlines, int64_t now_ms) {
  for (int kind = DEADLINE_NONE + 1; kind < DEADLINE_KINDS; kind++) {
    struct deadline *ring = &deadlines->rings[kind];
    if (ring->next != ring && ring->next->at_ms <= now_ms) return ring->next;
  }
  return NULL;
}

struct deadline *deadlines_any(struct deadlines *deadlines) {
  for (int kind = 0; kind < DEADLINE_KINDS; kind++) {
    struct deadline *ring = &deadlines->rings[kind];
    if (ring->next != ring) return ring->next;
  }
  return NULL;
}

void deadlines_each(struct deadlines *deadlines, void (*call)(struct deadline *deadline)) {
  for (int kind = 0; kind < DEADLINE_KINDS; kind++) {
    struct deadline *ring = &deadlines->rings[kind], *next;
    /* What is started anew comes last in a ring, and is not called again there. */
    for (struct deadline *at = ring->next, *last = ring->prev; at != ring; at = next) {
      next = at == last ? ring : at->next;
      call(at);
    }
  }
}

int deadlines_timeout(const struct deadlines *deadlines, int64_t now_ms) {
  int64_t next = -1;
  for (int kind = DEADLINE_NONE + 1; kind < DEADLINE_KINDS; kind++) {
    const struct deadline *ring = &deadlines->rings[kind];
    if (ring->next == ring) continue;
    int64_t left = ring->next->at_ms - now_ms;
    if (left < 0) left = 0;
    if (next < 0 || left < next) next = left;
  }
  return (int)next;
}
