/* SPDX-License-Identifier: MIT */
/* drain.c: ending all streams of a hub, each at a time of its own. */
#include "hub/hub.h"

/*
 * Nobody has a list of all streams. Those of a loop are all in the loop's heap of timers, which is
 * its thread's alone: so the loop is told, and moves their ends in its next round. Those that stand
 * alone are in the hub's heap.
 */

/* A thread that waits sleeps until its stream's next timer, which may have come nearer. */
static void drain_lones(struct sse_hub *hub, int64_t now_ms) {
  SSE__HELD(hub);
  for (uint32_t i = 0; i < hub->timers.count; i++) {
    struct sse__timer *timer = hub->timers.heap[i];
    if (timer->kind != SSE__TIMER_STREAM) continue;
    struct sse__subscriber *sub = SSE__CONTAINER(timer, struct sse__subscriber, live.timer);
    if (sub->end) continue;
    sse__liveness_close_by(&sub->live, sse__drain_time(&hub->random, now_ms, hub->drain_until_ms));
    if (sub->u.standalone->waker.waiting) pthread_cond_signal(sub->u.standalone->waker.waiting);
  }
  sse__timers_order(&hub->timers);
}

static void tell_loops(struct sse_hub *hub, struct sse__wake_list *list) {
  SSE__HELD(hub);
  SSE__LIST_EACH(link, &hub->inboxes) {
    struct sse__inbox *inbox = SSE__CONTAINER(link, struct sse__inbox, link);
    inbox->drain = true;
    sse__waker_post(&inbox->waker, SSE_WAKE_READY, false, list);
  }
}

int64_t sse__drain_time(uint64_t *random, int64_t now_ms, int64_t until_ms) {
  if (until_ms <= now_ms) return now_ms;
  return now_ms + (int64_t)sse__random(random, (uint32_t)(until_ms - now_ms) + 1);
}

int sse_hub_drain(sse_hub *hub, int32_t over_ms) {
  struct sse__wake_list list = {NULL};
  if (!hub || over_ms < 0) return SSE_EINVAL;
  pthread_mutex_lock(&hub->lock);
  int64_t now_ms = sse__hub_now(hub);
  if (!hub->draining || now_ms + over_ms < hub->drain_until_ms) {
    hub->draining = true;
    hub->drain_until_ms = now_ms + over_ms;
    drain_lones(hub, now_ms);
    tell_loops(hub, &list);
  }
  sse__wakers_run(&hub->wakers, &list);
  return SSE_OK;
}
