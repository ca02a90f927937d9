/* SPDX-License-Identifier: MIT */
/* turn.h: how many streams may be replaying at once, and those that wait for their turn. */
#ifndef SSE_LIB_TURN_H
#define SSE_LIB_TURN_H

#include "subscriber.h"

enum sse__turn_state {
  SSE__TURN_NONE,    /* it has none and needs none */
  SSE__TURN_WAITING, /* in the hub's row */
  SSE__TURN_GRANTED, /* it may replay, and its loop is to hear of it: in the row of its inbox */
  SSE__TURN_TAKEN    /* it may replay */
};

/* The part of a stream that may have something to replay; guarded by the hub's lock. */
struct sse__turn {
  struct sse__turn *prev, *next; /* of the row that it is in */
  struct sse__subscriber *sub;
  uint8_t state; /* enum sse__turn_state */
};

/* Guarded by the hub's lock. */
struct sse__turns {
  uint32_t max;   /* 0: no bound, and no stream has the part */
  uint32_t taken; /* granted ones among them */
  struct sse__turn_row waiting;
};

/* A stream has something to replay: true if its turn is now, else it waits. */
bool sse__turn_ask(struct sse__turns *turns, struct sse__turn *turn);
/* It has no more to replay, or leaves: whoever has waited longest has the place. Any state. */
void sse__turn_end(struct sse__turns *turns, struct sse__turn *turn, int64_t now_ms,
                   struct sse__wake_list *list);
/* Takes the first of the streams of a loop whose turn has come out of its inbox; NULL: none. */
struct sse__turn *sse__turn_collect(struct sse__inbox *inbox);

#endif
