/* SPDX-License-Identifier: MIT */
/* admission.c: the limit on streams that replay at the same time. */
#include "hub/admission.h"

static struct sse__admission_slot *take_first_slot(struct sse__list *slots) {
  struct sse__admission_slot *slot = SSE__LIST_FIRST(slots, struct sse__admission_slot, link);
  if (slot) sse__list_remove(slots, &slot->link);
  return slot;
}

bool sse__admission_request(struct sse__admission *admission, struct sse__admission_slot *slot) {
  if (admission->taken < admission->max) {
    admission->taken++;
    slot->state = SSE__SLOT_TAKEN;
    return true;
  }
  sse__list_append(&admission->waiting, &slot->link);
  slot->state = SSE__SLOT_WAITING;
  if (slot->sub->standalone) slot->sub->u.standalone->deaf = true;
  return false;
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
  bool armed = sub->u.standalone->waker.armed;
  slot->state = SSE__SLOT_TAKEN;
  sse__standalone_disarm(sub, now_ms);
  sub->u.standalone->deaf = false;
  if (armed) sse__waker_post(&sub->u.standalone->waker, SSE_WAKE_READY, true, list);
}

void sse__admission_release(struct sse__admission *admission, struct sse__admission_slot *slot,
                            int64_t now_ms, struct sse__wake_list *list) {
  if (slot->state == SSE__SLOT_WAITING) sse__list_remove(&admission->waiting, &slot->link);
  if (slot->state == SSE__SLOT_GRANTED) {
    sse__list_remove(&slot->sub->u.inbox->admission, &slot->link);
  }
  if (slot->state >= SSE__SLOT_GRANTED) {
    assert(admission->taken > 0);
    admission->taken--;
  }
  slot->state = SSE__SLOT_NONE;
  while (admission->waiting.first && admission->taken < admission->max) {
    admission->taken++;
    grant_slot(take_first_slot(&admission->waiting), now_ms, list);
  }
}

struct sse__admission_slot *sse__admission_collect(struct sse__inbox *inbox) {
  struct sse__admission_slot *slot = take_first_slot(&inbox->admission);
  if (slot) slot->state = SSE__SLOT_TAKEN;
  return slot;
}
