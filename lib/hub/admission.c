/* SPDX-License-Identifier: MIT */
/* admission.c: the limit on streams that replay at the same time. */
#include "hub/admission.h"

static struct sse__admission_slot *take_first_slot(struct sse__list *slots) {
  struct sse__admission_slot *slot = SSE__LIST_FIRST(slots, struct sse__admission_slot, link);
  if (slot) sse__list_remove(slots, &slot->link);
  return slot;
}

/* Sets the timer for the end of the oldest turn, which counts only while a slot waits. */
static void set_turn_timer(struct sse__admission *admission) {
  const struct sse__admission_slot *oldest =
      SSE__LIST_FIRST(&admission->turns, struct sse__admission_slot, turn);
  bool counts = admission->waiting.first && oldest;
  int64_t due_ms = counts ? oldest->granted_ms + SSE__TURN_MS : SSE__NEVER_MS;
  if (due_ms != admission->timer.due_ms) {
    sse__timers_set(admission->timers, &admission->timer, due_ms);
  }
}

static void begin_turn(struct sse__admission *admission, struct sse__admission_slot *slot,
                       int64_t now_ms) {
  admission->taken++;
  slot->granted_ms = now_ms;
  sse__list_append(&admission->turns, &slot->turn);
}

static void wait_for_turn(struct sse__admission *admission, struct sse__admission_slot *slot) {
  sse__list_append(&admission->waiting, &slot->link);
  slot->state = SSE__SLOT_WAITING;
}

void sse__admission_request(struct sse__admission *admission, struct sse__admission_slot *slot,
                            int64_t now_ms) {
  if (admission->taken < admission->max) {
    slot->state = SSE__SLOT_TAKEN;
    begin_turn(admission, slot, now_ms);
  } else {
    wait_for_turn(admission, slot);
    if (slot->sub->standalone) slot->sub->u.standalone->deaf = true;
  }
  set_turn_timer(admission);
}

/* A loop finds the slot in its inbox. A standalone stream is woken, and publishes wake it again. */
static void grant_slot(struct sse__admission_slot *slot, int64_t now_ms,
                       struct sse__wake_list *list) {
  struct sse__subscriber *sub = slot->sub;
  if (!sub->standalone) {
    slot->state = SSE__SLOT_GRANTED;
    sse__list_append(&sub->u.inbox->admission, &slot->link);
    sse__waker_post(&sub->u.inbox->waker, SSE_WAKE_READY, false, list);
    return;
  }
  slot->state = SSE__SLOT_TAKEN;
  sse__standalone_wake(sub, now_ms, list);
  sub->u.standalone->deaf = false;
}

/* Takes a slot out of the lists that it is in. */
static void take_out_slot(struct sse__admission *admission, struct sse__admission_slot *slot) {
  if (slot->state == SSE__SLOT_WAITING) sse__list_remove(&admission->waiting, &slot->link);
  if (slot->state == SSE__SLOT_GRANTED) {
    sse__list_remove(&slot->sub->u.inbox->admission, &slot->link);
  }
  if (slot->state >= SSE__SLOT_GRANTED) {
    assert(admission->taken > 0);
    admission->taken--;
    sse__list_remove(&admission->turns, &slot->turn);
  }
}

static void grant_free_slots(struct sse__admission *admission, int64_t now_ms,
                             struct sse__wake_list *list) {
  while (admission->waiting.first && admission->taken < admission->max) {
    struct sse__admission_slot *slot = take_first_slot(&admission->waiting);
    begin_turn(admission, slot, now_ms);
    grant_slot(slot, now_ms, list);
  }
  set_turn_timer(admission);
}

void sse__admission_release(struct sse__admission *admission, struct sse__admission_slot *slot,
                            int64_t now_ms, struct sse__wake_list *list) {
  take_out_slot(admission, slot);
  slot->state = SSE__SLOT_NONE;
  grant_free_slots(admission, now_ms, list);
}

void sse__admission_give_back(struct sse__admission *admission, struct sse__admission_slot *slot,
                              int64_t now_ms, struct sse__wake_list *list) {
  if (slot->state < SSE__SLOT_GRANTED) return;
  take_out_slot(admission, slot);
  slot->state = SSE__SLOT_AWAY;
  grant_free_slots(admission, now_ms, list);
}

/*
 * A stream that has taken its slot is looked at again, because it is not armed. One whose loop has
 * not collected the slot yet may be armed, so it waits again.
 */
void sse__admission_due(struct sse__admission *admission, int64_t now_ms,
                        struct sse__wake_list *list) {
  struct sse__admission_slot *slot;
  while (admission->waiting.first &&
         (slot = SSE__LIST_FIRST(&admission->turns, struct sse__admission_slot, turn)) &&
         slot->granted_ms + SSE__TURN_MS <= now_ms) {
    bool collected = slot->state == SSE__SLOT_TAKEN;
    take_out_slot(admission, slot);
    if (collected) {
      slot->state = SSE__SLOT_AWAY;
    } else {
      wait_for_turn(admission, slot);
    }
    grant_free_slots(admission, now_ms, list);
  }
  set_turn_timer(admission);
}

struct sse__admission_slot *sse__admission_collect(struct sse__inbox *inbox) {
  struct sse__admission_slot *slot = take_first_slot(&inbox->admission);
  if (slot) slot->state = SSE__SLOT_TAKEN;
  return slot;
}
