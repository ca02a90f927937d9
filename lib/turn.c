/* SPDX-License-Identifier: MIT */
/* turn.c: how many streams may be replaying at once. */
#include "turn.h"

static void append(struct sse__turn_row *row, struct sse__turn *turn) {
  turn->prev = row->last;
  turn->next = NULL;
  if (turn->prev) {
    turn->prev->next = turn;
  } else {
    row->first = turn;
  }
  row->last = turn;
}

static void take_out(struct sse__turn_row *row, struct sse__turn *turn) {
  if (turn->prev) {
    turn->prev->next = turn->next;
  } else {
    row->first = turn->next;
  }
  if (turn->next) {
    turn->next->prev = turn->prev;
  } else {
    row->last = turn->prev;
  }
}

bool sse__turn_ask(struct sse__turns *turns, struct sse__turn *turn) {
  if (turns->taken < turns->max) {
    turns->taken++;
    turn->state = SSE__TURN_TAKEN;
    return true;
  }
  append(&turns->waiting, turn);
  turn->state = SSE__TURN_WAITING;
  if (turn->sub->alone) turn->sub->u.lone->deaf = true;
  return false;
}

/* A loop finds it in its inbox; a lone stream is woken, and hears of publishes from then on. */
static void grant(struct sse__turn *turn, int64_t now_ms, struct sse__wake_list *list) {
  struct sse__subscriber *sub = turn->sub;
  if (!sub->alone) {
    turn->state = SSE__TURN_GRANTED;
    append(&sub->u.inbox->turns, turn);
    sse__waker_post(&sub->u.inbox->waker, SSE_WAKE_READY, false, list);
    return;
  }
  bool armed = sub->u.lone->waker.armed;
  turn->state = SSE__TURN_TAKEN;
  sse__lone_disarm(sub, now_ms);
  sub->u.lone->deaf = false;
  if (armed) sse__waker_post(&sub->u.lone->waker, SSE_WAKE_READY, true, list);
}

void sse__turn_end(struct sse__turns *turns, struct sse__turn *turn, int64_t now_ms,
                   struct sse__wake_list *list) {
  if (turn->state == SSE__TURN_WAITING) take_out(&turns->waiting, turn);
  if (turn->state == SSE__TURN_GRANTED) take_out(&turn->sub->u.inbox->turns, turn);
  if (turn->state >= SSE__TURN_GRANTED) turns->taken--;
  turn->state = SSE__TURN_NONE;
  while (turns->waiting.first && turns->taken < turns->max) {
    struct sse__turn *next = turns->waiting.first;
    take_out(&turns->waiting, next);
    turns->taken++;
    grant(next, now_ms, list);
  }
}

struct sse__turn *sse__turn_collect(struct sse__inbox *inbox) {
  struct sse__turn *turn = inbox->turns.first;
  if (!turn) return NULL;
  take_out(&inbox->turns, turn);
  turn->state = SSE__TURN_TAKEN;
  return turn;
}
