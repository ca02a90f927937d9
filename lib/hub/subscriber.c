/* SPDX-License-Identifier: MIT */
/* subscriber.c: the half of a stream that the hub and other threads reach, and its ends. */
#include "hub/subscriber.h"

#define PINS_PATIENCE_MS 1000 /* time in which hosts free streams that have ended */
#define PINS_STEPS_MAX   1024 /* streams that one publish looks at */

/* ---- ending ---- */

bool sse__end_replaces(int reason, int present) {
  return present == 0 || (sse_end_is_gentle(present) && !sse_end_is_gentle(reason));
}

/* A client that does not take the rest after a gentle end is ended by the stall limit. */
bool sse__subscriber_end(struct sse__subscriber *sub, int reason, struct sse__wake_list *list) {
  if (sub->stage == SSE__STAGE_OVER) return false;
  if (sub->end && !(sub->standalone && sse__end_replaces(reason, sub->end))) return false;
  sub->end = (int16_t)reason;
  if (sub->standalone) {
    sub->starved = false; /* this wake is enough */
    sse__standalone_disarm(sub, sub->live.moved_ms);
    sse__waker_post(&sub->u.standalone->waker, SSE_WAKE_ENDED, true, list);
  } else {
    sub->end_listed = true;
    sub->ended_next = sub->u.inbox->ended;
    sub->u.inbox->ended = sub;
    sse__waker_post(&sub->u.inbox->waker, SSE_WAKE_ENDED, true, list);
  }
  return true;
}

/* ---- pins ---- */

void sse__subscriber_pin(struct sse__pins *pins, struct sse__subscriber *sub, size_t bytes) {
  if (sub->pinned_bytes == 0) sse__list_append(&pins->streams, &sub->pin);
  sub->pinned_bytes += bytes;
  pins->bytes += bytes;
}

void sse__subscriber_unpin(struct sse__pins *pins, struct sse__subscriber *sub, size_t bytes) {
  assert(sub->pinned_bytes >= bytes && pins->bytes >= bytes);
  sub->pinned_bytes -= bytes;
  pins->bytes -= bytes;
  if (sub->pinned_bytes == 0) sse__list_remove(&pins->streams, &sub->pin);
  if (pins->bytes == 0) pins->full_bytes = 0;
}

/*
 * Ends streams from the first on, until they hold `over` bytes; `ended`: whether those count that
 * had ended before. Those that count no longer go to the end of the row, or they would be looked at
 * by every publish. Returns whether it ended one.
 */
static bool end_pins(struct sse__pins *pins, size_t over, bool ended, struct sse__wake_list *list) {
  bool any = false;
  struct sse__link *next, *link = pins->streams.first;
  for (int i = 0; i < PINS_STEPS_MAX && link && over > 0; i++, link = next) {
    struct sse__subscriber *sub = SSE__CONTAINER(link, struct sse__subscriber, pin);
    bool now = sse__subscriber_end(sub, SSE_EPINNED, list);
    next = link->next;
    any = any || now;
    if (now || ended) {
      over -= sub->pinned_bytes < over ? sub->pinned_bytes : over;
    } else {
      sse__list_remove(&pins->streams, link);
      sse__list_append(&pins->streams, link);
    }
  }
  return any;
}

void sse__pins_bound(struct sse__pins *pins, const struct sse__store *store, size_t bytes,
                     int64_t now_ms, struct sse__wake_list *list) {
  if (bytes >= pins->full_bytes) pins->full_bytes = 0;
  if (end_pins(pins, sse__store_overlent(store, bytes), true, list)) pins->ended_ms = now_ms;
}

/* Whether hosts have still to notice that streams ended; of the others, some may be detached. */
static bool ends_unnoticed(const struct sse__pins *pins) {
  const struct sse__link *link = pins->streams.first;
  for (int i = 0; i < PINS_STEPS_MAX && link; i++, link = link->next) {
    const struct sse__subscriber *sub = SSE__CONTAINER(link, struct sse__subscriber, pin);
    if (sub->stage != SSE__STAGE_OVER) return sub->end && !sse_end_is_gentle(sub->end);
  }
  return false;
}

/* Counts a failure to publish an event; the first of a row doubles nothing. */
static void count_failure(struct sse__pins *pins, size_t bytes, bool noticed) {
  if (pins->full_bytes == 0) {
    pins->doublings = 0;
  } else if (noticed && pins->doublings < 31) {
    pins->doublings++;
  }
  pins->full_bytes = pins->bytes > 0 ? bytes : 0;
}

/*
 * A frame that many streams hold counts in each of them, so ending a stream may free less than it
 * holds. So `over` is multiplied by the number of streams that hold a lent byte on the average. The
 * streams that have held frames for longest may still free nothing, because others hold the same.
 * So with each failure after the hosts have noticed which streams ended, `over`, or the size of the event
 * if that is more, doubles: the number of failures in a row is a logarithm of the ceiling in sizes
 * of the event, however many streams hold the same.
 */
void sse__pins_bound_full(struct sse__pins *pins, const struct sse__store *store, size_t bytes,
                          int64_t now_ms, struct sse__wake_list *list) {
  size_t over = sse__store_overlent(store, bytes), lent = sse__store_lent(store);
  bool patient = now_ms - pins->ended_ms < PINS_PATIENCE_MS;
  count_failure(pins, bytes, !ends_unnoticed(pins));
  double factor = (double)(UINT32_C(1) << pins->doublings);
  if (pins->bytes > lent && lent > 0) factor *= (double)pins->bytes / (double)lent;
  if (pins->doublings > 0 && over > 0 && over < bytes) over = bytes;
  if (over > 0 && factor > 1) {
    double scaled = (double)over * factor;
    over = scaled < (double)pins->bytes ? (size_t)scaled + 1 : pins->bytes;
  }
  if (end_pins(pins, over, patient, list)) pins->ended_ms = now_ms;
}

/* ---- standalone streams ---- */

void sse__standalone_arm(struct sse__standalone *standalone, uint64_t notice) {
  if (standalone->waker.armed) return;
  standalone->waker.armed = true;
  standalone->armed_at = notice;
  if (standalone->deaf) return;
  for (uint32_t i = 0; i < standalone->count; i++)
    sse__subscription_arm(&standalone->subscriptions[i]);
}

void sse__standalone_disarm(struct sse__subscriber *sub, int64_t now_ms) {
  struct sse__standalone *standalone = sub->u.standalone;
  if (!standalone->waker.armed) return;
  standalone->waker.armed = false;
  sub->live.moved_ms = now_ms;
  if (standalone->deaf) return;
  for (uint32_t i = 0; i < standalone->count; i++)
    sse__subscription_disarm(&standalone->subscriptions[i]);
}

void sse__standalone_wake(struct sse__subscriber *sub, int64_t now_ms,
                          struct sse__wake_list *list) {
  struct sse__waker *waker = &sub->u.standalone->waker;
  if (!waker->armed) return;
  sse__standalone_disarm(sub, now_ms);
  sse__waker_post(waker, SSE_WAKE_READY, true, list);
}

void sse__standalones_add(struct sse__standalones *standalones,
                          struct sse__standalone *standalone) {
  sse__list_append(&standalones->list, &standalone->link);
}

void sse__standalones_remove(struct sse__standalones *standalones,
                             struct sse__standalone *standalone) {
  struct sse__link *link = &standalone->link;
  sse__walks_leave(standalones->walks, link, link->prev, link->next);
  sse__list_remove(&standalones->list, link);
}

void sse__standalones_walk(struct sse__standalones *standalones, struct sse__walk *walk) {
  sse__walk_begin(&standalones->walks, walk, standalones->list.first, standalones->list.last);
}

struct sse__subscriber *sse__standalones_walk_next(struct sse__standalones *standalones,
                                                   struct sse__walk *walk) {
  const struct sse__link *link = walk->next;
  if (link) {
    sse__walk_on(walk, link->next);
    return SSE__CONTAINER(link, struct sse__standalone, link)->sub;
  }
  sse__walk_end(&standalones->walks, walk);
  return NULL;
}

/* The library lacks memory, which is not the client's fault, so the stall deadline begins again. */
void sse__subscriber_starve(struct sse__timers *timers, struct sse__subscriber *sub,
                            int64_t now_ms) {
  int64_t again_ms = now_ms + SSE__STARVED_MS;
  sub->starved = true;
  sub->live.moved_ms = now_ms;
  if (again_ms < sub->live.timer.due_ms) sse__timers_set(timers, &sub->live.timer, again_ms);
}

bool sse__subscriber_unstarve(struct sse__subscriber *sub, int64_t now_ms) {
  bool starved = sub->starved;
  sub->starved = false;
  if (starved) sub->live.moved_ms = now_ms;
  return starved;
}

void sse__standalone_due(struct sse__timers *timers, struct sse__subscriber *sub, int close_reason,
                         int64_t now_ms, struct sse__wake_list *list) {
  struct sse__standalone *standalone = sub->u.standalone;
  if (sse__subscriber_unstarve(sub, now_ms)) {
    assert(!standalone->waker.armed);
    sse__waker_post(&standalone->waker, SSE_WAKE_READY, true, list);
  }
  switch (sse__liveness_check(&sub->live, standalone->waker.armed, now_ms)) {
  case SSE__DUE_NOTHING:
    break;
  case SSE__DUE_STALL:
    sse__subscriber_end(sub, SSE_ESTALLED, list);
    sse__timers_set(timers, &sub->live.timer, SSE__NEVER_MS);
    return;
  case SSE__DUE_CLOSE:
    sse__standalone_disarm(sub, now_ms);
    sse__subscriber_end(sub, close_reason, list);
    break;
  case SSE__DUE_BEAT:
    sub->heartbeat_due = true;
    sse__standalone_wake(sub, now_ms, list);
    break;
  }
  sse__timers_set(timers, &sub->live.timer,
                  sse__liveness_next(&sub->live, standalone->waker.armed, now_ms));
}
