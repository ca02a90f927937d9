/* SPDX-License-Identifier: MIT */
/* log.c: a hub that is fed from a log: how its head moves, and which streams are ahead of it. */
#include "hub/log.h"

#include <string.h>

#include "hub/notice.h"

/* ---- streams that are ahead ---- */

/* The heap is one of times, which have a sign: the numbers in their order, from the lowest time on. */
static int64_t ahead_key(uint64_t number) {
  return number > INT64_MAX ? (int64_t)(number - INT64_MAX - 1) : INT64_MIN + (int64_t)number;
}

int sse__log_reserve_ahead(struct sse_hub *hub) {
  SSE__HELD(hub);
  return sse__timers_reserve(&hub->ahead, &hub->mem);
}

void sse__log_go_ahead(struct sse_hub *hub, struct sse__standalone *standalone, uint64_t number) {
  SSE__HELD(hub);
  standalone->deaf = standalone->is_ahead = true;
  sse__timers_add(&hub->ahead, &standalone->ahead, ahead_key(number));
}

void sse__log_leave_ahead(struct sse_hub *hub, struct sse__standalone *standalone, int64_t now_ms) {
  SSE__HELD(hub);
  if (!standalone->is_ahead) return;
  sse__standalone_disarm(standalone->sub, now_ms); /* while it is deaf, no channel has it */
  standalone->deaf = standalone->is_ahead = false;
  sse__timers_remove(&hub->ahead, &standalone->ahead);
}

/* Wakes a standalone stream that was armed and had all up to `given`. It counts for the lag. */
static void post_moved(struct sse_hub *hub, struct sse__standalone *standalone, uint64_t given,
                       int64_t now_ms, struct sse__wake_list *list) {
  SSE__HELD(hub);
  uint64_t noticed = sse__notices_given(&hub->notices, NULL);
  sse__lag_count(&hub->lags, &standalone->lag, noticed < given ? noticed : given, now_ms);
  sse__waker_post(&standalone->waker, SSE_WAKE_READY, true, list);
}

/*
 * Wakes standalone streams that were ahead of the head, and which it has reached; all were given
 * what there is for them up to `given`.
 */
static void wake_reached(struct sse_hub *hub, uint64_t given, int64_t now_ms,
                         struct sse__wake_list *list) {
  SSE__HELD(hub);
  int64_t reached = ahead_key(hub->head.number);
  while (hub->ahead.count > 0 && sse__timers_due(&hub->ahead) <= reached) {
    struct sse__standalone *standalone =
        SSE__CONTAINER(sse__timers_first(&hub->ahead), struct sse__standalone, ahead);
    bool armed = standalone->waker.armed;
    sse__log_leave_ahead(hub, standalone, now_ms);
    if (armed) post_moved(hub, standalone, given, now_ms, list);
  }
}

static void lower_join(uint64_t *join_at, uint64_t number) {
  if (*join_at == 0 || number < *join_at) *join_at = number;
}

void sse__log_join_at(struct sse_hub *hub, struct sse__inbox *inbox, uint64_t number) {
  SSE__HELD(hub);
  lower_join(&inbox->join_at, number);
  lower_join(&hub->join_at, number);
}

/* Has a loop look at the hub, and then at all its streams. */
static void tell_loop(struct sse__inbox *inbox, struct sse__wake_list *list) {
  inbox->skipped = true;
  inbox->join_at = 0; /* a stream that still waits says so again */
  sse__waker_post(&inbox->waker, SSE_WAKE_READY, false, list);
}

/* Tells the loops whose streams join a channel now that the head has reached their numbers. */
static void tell_joining(struct sse_hub *hub, struct sse__wake_list *list) {
  SSE__HELD(hub);
  hub->join_at = 0;
  SSE__LIST_EACH(link, &hub->inboxes) {
    struct sse__inbox *inbox = SSE__CONTAINER(link, struct sse__inbox, link);
    if (inbox->join_at == 0) continue;
    if (inbox->join_at <= hub->head.number) {
      tell_loop(inbox, list);
    } else {
      lower_join(&hub->join_at, inbox->join_at);
    }
  }
}

/* Wakes what was ahead of the head, and which that has reached. */
static void head_reached(struct sse_hub *hub, int64_t now_ms, struct sse__wake_list *list) {
  SSE__HELD(hub);
  wake_reached(hub, hub->head.seq, now_ms, list);
  if (hub->join_at > 0 && hub->join_at <= hub->head.number) tell_joining(hub, list);
}

/* ---- numbers of events ---- */

int sse__log_check(const struct sse_hub *hub, const struct sse__frame *frame) {
  SSE__HELD(hub);
  bool fits = frame->ephemeral ? frame->number == 0 : frame->number > hub->head.number;
  return fits ? SSE_OK : SSE_ENUMBER;
}

void sse__log_reach(struct sse_hub *hub, struct sse__frame *frame, int64_t now_ms,
                    struct sse__wake_list *list) {
  SSE__HELD(hub);
  if (frame->ephemeral) {
    frame->ephemeral = SSE__EPHEMERAL_UNNUMBERED;
    frame->number = hub->head.number;
    return;
  }
  hub->head.number = frame->number;
  head_reached(hub, now_ms, list);
}

/* ---- moves of the head ---- */

static int check_log(const sse_hub *hub) {
  if (!hub) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  return hub->numbers_given ? SSE_OK : SSE_EINVAL;
}

static void set_head(struct sse_hub *hub, uint64_t number) {
  SSE__HELD(hub);
  hub->head.seq++;
  hub->head.number = number;
}

/* Has all loops look at the hub, which then look at all their streams. */
static void tell_all_loops(struct sse_hub *hub, struct sse__wake_list *list) {
  SSE__HELD(hub);
  SSE__LIST_EACH(link, &hub->inboxes) {
    tell_loop(SSE__CONTAINER(link, struct sse__inbox, link), list);
  }
  hub->join_at = 0;
}

/* Where the last skip or reset is in the hub's order. */
static uint64_t moved_at(const struct sse_hub *hub) {
  uint64_t skipped = hub->channels.history.skipped.seq;
  return skipped > hub->reset.seq ? skipped : hub->reset.seq;
}

static void wake_waiting(struct sse_hub *hub, struct sse__subscriber *sub, int64_t now_ms,
                         struct sse__wake_list *list) {
  SSE__HELD(hub);
  struct sse__standalone *standalone = sub->u.standalone;
  if (!standalone->waker.armed) return;
  sse__standalone_disarm(sub, now_ms);
  post_moved(hub, standalone, moved_at(hub) - 1, now_ms, list);
}

static bool has_finished(const struct sse__standalone *standalone) {
  uint32_t i = 0;
  while (i < standalone->count && !standalone->subscriptions[i].channel->finished) i++;
  return i < standalone->count;
}

static void wake_if_ahead(struct sse_hub *hub, struct sse__subscriber *sub, int64_t now_ms,
                          struct sse__wake_list *list) {
  SSE__HELD(hub);
  (void)hub;
  struct sse__standalone *standalone = sub->u.standalone;
  if (standalone->is_ahead && has_finished(standalone)) sse__standalone_wake(sub, now_ms, list);
}

void sse__log_wake_ahead(struct sse_hub *hub, int64_t now_ms, struct sse__wake_list *list) {
  SSE__HELD(hub);
  if (hub->ahead.count > 0) sse__hub_visit_standalones(hub, wake_if_ahead, now_ms, list);
}

int sse_hub_advance(sse_hub *hub, uint64_t number) {
  struct sse__wake_list list = {NULL};
  int error = check_log(hub);
  if (error) return error;
  pthread_mutex_lock(&hub->lock);
  if (number < hub->head.number) {
    error = SSE_ENUMBER;
  } else if (number > hub->head.number) {
    hub->head.number = number;
    head_reached(hub, sse__hub_now(hub), &list);
  }
  sse__wakers_run(&hub->wakers, &list);
  return error;
}

int sse_hub_skip(sse_hub *hub, uint64_t number) {
  struct sse__wake_list list = {NULL};
  int error = check_log(hub);
  if (error) return error;
  pthread_mutex_lock(&hub->lock);
  if (number > hub->head.number) {
    int64_t now_ms = sse__hub_now(hub);
    set_head(hub, number);
    hub->channels.history.skipped = hub->head;
    wake_reached(hub, hub->head.seq - 1, now_ms, &list);
    tell_all_loops(hub, &list);
    sse__hub_visit_standalones(hub, wake_waiting, now_ms, &list);
  } else {
    error = SSE_ENUMBER;
  }
  sse__wakers_run(&hub->wakers, &list);
  return error;
}

/* The frames of the old history stay in their windows for a while, below all cursors. */
static void begin_history(struct sse_hub *hub, const struct sse__epoch *epoch, uint64_t number) {
  SSE__HELD(hub);
  hub->epoch = *epoch;
  set_head(hub, number);
  hub->reset = hub->head;
  hub->store.ids.first = hub->head.seq;
  sse__hub_begin(hub, number);
  hub->channels.history.skipped =
      number > 0 ? hub->channels.history.start : (struct sse__point){0, 0};
}

int sse_hub_reset(sse_hub *hub, const char *epoch, uint64_t number) {
  struct sse__wake_list list = {NULL};
  struct sse__epoch parsed;
  int error = check_log(hub);
  if (error) return error;
  if (!epoch || !sse__epoch_parse(epoch, &parsed)) return SSE_EINVAL;
  pthread_mutex_lock(&hub->lock);
  if (strcmp(hub->epoch.text, parsed.text) == 0) {
    error = SSE_EINVAL;
  } else {
    int64_t now_ms = sse__hub_now(hub);
    begin_history(hub, &parsed, number);
    tell_all_loops(hub, &list);
    sse__hub_visit_standalones(hub, wake_waiting, now_ms, &list);
    while (!sse__store_evict_below(&hub->store, hub->reset.seq, hub->part_max)) {
      sse__hub_give_way(hub);
    }
  }
  sse__wakers_run(&hub->wakers, &list);
  return error;
}
