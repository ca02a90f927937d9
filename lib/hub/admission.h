/* SPDX-License-Identifier: MIT */
/* admission.h: the limit on streams that replay at the same time (concurrent_replays_max). */
#ifndef SSE_LIB_ADMISSION_H
#define SSE_LIB_ADMISSION_H

#include "hub/subscriber.h"

enum sse__slot_state {
  SSE__SLOT_NONE,    /* the stream has nothing to replay */
  SSE__SLOT_AWAY,    /* it gave the slot back, or lost it, and asks again when it is looked at */
  SSE__SLOT_WAITING, /* it waits, in the hub's list */
  SSE__SLOT_GRANTED, /* it may replay, but its loop does not know yet: in the list of its inbox */
  SSE__SLOT_TAKEN    /* it may replay */
};

/* The admission slot of a stream that may have something to replay; guarded by the hub's lock. */
struct sse__admission_slot {
  struct sse__link link;       /* in the list that the state names */
  struct sse__link turn;       /* of one that may replay: in the hub's list of turns */
  int64_t granted_ms;          /* when it was granted */
  struct sse__subscriber *sub; /* the stream */
  uint8_t state;               /* enum sse__slot_state */
};

/* Guarded by the hub's lock. */
struct sse__admission {
  uint32_t max;               /* streams that may replay at the same time; 0: no limit, no slots */
  uint32_t taken;             /* slots in the states GRANTED and TAKEN */
  struct sse__list waiting;   /* slots that wait, from the one that has waited for longest */
  struct sse__list turns;     /* slots in the states GRANTED and TAKEN, the oldest turn first */
  struct sse__timers *timers; /* the hub's timers */
  struct sse__timer timer;    /* the end of the oldest turn, if a slot waits */
};

/* The time after which a stream loses its slot if another one waits, in ms. */
#define SSE__TURN_MS 2000

/* All functions below need the hub's lock. */

/* Asks for admission of a stream that has something to replay: it is admitted, or waits. */
void sse__admission_request(struct sse__admission *admission, struct sse__admission_slot *slot,
                            int64_t now_ms);
/* Gives a slot back for now, if it has it: the client takes no more bytes at present. */
void sse__admission_give_back(struct sse__admission *admission, struct sse__admission_slot *slot,
                              int64_t now_ms, struct sse__wake_list *list);
/* Runs the timer: takes the slots of turns that are over, if others wait. */
void sse__admission_due(struct sse__admission *admission, int64_t now_ms,
                        struct sse__wake_list *list);
/* Gives up a slot in any state; the slot that has waited for longest is granted in its place. */
void sse__admission_release(struct sse__admission *admission, struct sse__admission_slot *slot,
                            int64_t now_ms, struct sse__wake_list *list);
/* Takes the first granted slot out of a loop's inbox; NULL: there is none. */
struct sse__admission_slot *sse__admission_collect(struct sse__inbox *inbox);

#endif
