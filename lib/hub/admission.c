/* SPDX-License-Identifier: MIT */
/* admission.c: how many streams may be replaying at once. */
#include "hub/admission.h"

static void append(struct sse__slot_list *row, struct sse__admission_slot *slot) {
  slot->prev = row->last;
  slot->next = NULL;
  if (slot->prev) {
    slot->prev->next = slot;
  } else {
    row->first = slot;
  }
  row->last = slot;
}

static void take_out(struct sse__slot_list *row, struct sse__admission_slot *slot) {
  if (slot->prev) {
    slot->prev->next = slot->next;
  } else {
    row->first = slot->next;
  }
  if (slot->next) {
    slot->next->prev = slot->prev;
  } else {
    row->last = slot->prev;
  }
}

bool sse__admission_request(struct sse__admission *admission, struct sse__admission_slot *slot) {
  if (admission->taken < admission->max) {
    admission->taken++;
    slot->state = SSE__SLOT_TAKEN;
    return true;
  }
  append(&admission->waiting, slot);
  slot->state = SSE__SLOT_WAITING;
  if (slot->sub->standalone) slot->sub->u.standalone->deaf = true;
  return false;
}

/* A loop finds it in its inbox; a lone stream is woken, and hears of publishes from then on. */
static void grant(struct sse__admission_slot *slot, int64_t now_ms, struct sse__wake_list *list) {
  struct sse__subscriber *sub = slot->sub;
  if (!sub->standalone) {
    slot->state = SSE__SLOT_GRANTED;
    append(&sub->u.inbox->admission, slot);
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
  if (slot->state == SSE__SLOT_WAITING) take_out(&admission->waiting, slot);
  if (slot->state == SSE__SLOT_GRANTED) take_out(&slot->sub->u.inbox->admission, slot);
  if (slot->state >= SSE__SLOT_GRANTED) admission->taken--;
  slot->state = SSE__SLOT_NONE;
  while (admission->waiting.first && admission->taken < admission->max) {
    struct sse__admission_slot *next = admission->waiting.first;
    take_out(&admission->waiting, next);
    admission->taken++;
    grant(next, now_ms, list);
  }
}

struct sse__admission_slot *sse__admission_collect(struct sse__inbox *inbox) {
  struct sse__admission_slot *slot = inbox->admission.first;
  if (!slot) return NULL;
  take_out(&inbox->admission, slot);
  slot->state = SSE__SLOT_TAKEN;
  return slot;
}
