/* SPDX-License-Identifier: MIT */
/* admission.h: how many streams may be replaying at once, and those that wait for their turn. */
#ifndef SSE_LIB_TURN_H
#define SSE_LIB_TURN_H

#include "hub/subscriber.h"

enum sse__slot_state {
  SSE__SLOT_NONE,    /* it has none and needs none */
  SSE__SLOT_WAITING, /* in the hub's row */
  SSE__SLOT_GRANTED, /* it may replay, and its loop is to hear of it: in the row of its inbox */
  SSE__SLOT_TAKEN    /* it may replay */
};

/* The part of a stream that may have something to replay; guarded by the hub's lock. */
struct sse__admission_slot {
  struct sse__link link; /* in the list that its state names */
  struct sse__subscriber *sub;
  uint8_t state; /* enum sse__slot_state */
};

/* Guarded by the hub's lock. */
struct sse__admission {
  uint32_t max;   /* 0: no bound, and no stream has the part */
  uint32_t taken; /* granted ones among them */
  struct sse__list waiting;
};

/* A stream has something to replay: true if its turn is now, else it waits. */
bool sse__admission_request(struct sse__admission *admission, struct sse__admission_slot *slot);
/* It has no more to replay, or leaves: whoever has waited longest has the place. Any state. */
void sse__admission_release(struct sse__admission *admission, struct sse__admission_slot *slot,
                            int64_t now_ms, struct sse__wake_list *list);
/* Takes the first of the streams of a loop whose turn has come out of its inbox; NULL: none. */
struct sse__admission_slot *sse__admission_collect(struct sse__inbox *inbox);

#endif
