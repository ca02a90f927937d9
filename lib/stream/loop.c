/* SPDX-License-Identifier: MIT */
/* loop.c: the rounds of a loop: which streams have work. */
#include "stream/loop.h"

#include <assert.h>

#include "hub/dirty.h"
#include "stream/cursor.h"
#include "stream/outq.h"
#include "stream/request.h"

#define CLOCK_EVERY 32  /* number of streams that are returned between two readings of the clock */
#define COLLECT_MAX 512 /* streams of each kind that are collected in one hold of the lock */

/* ---- life ---- */

static void loop_enlist(struct sse_hub *hub, struct sse__inbox *inbox) {
  SSE__HELD(hub);
  sse__list_prepend(&hub->inboxes, &inbox->link);
  hub->loops++;
}

static void loop_delist(struct sse_hub *hub, struct sse__inbox *inbox) {
  SSE__HELD(hub);
  sse__list_remove(&hub->inboxes, &inbox->link);
  hub->loops--;
}

/*
 * In a child. Within a round no call looks at the hub, so the round is over, and every call of the
 * loop and its streams sees that the hub was forked.
 */
static void loop_forked(struct sse__fork_watch *watch) {
  struct sse_loop *loop = SSE__CONTAINER(watch, struct sse_loop, watch);
  loop->running = false;
  loop->current = NULL;
}

static void free_loop(struct sse_loop *loop) {
  struct sse__mem mem = loop->hub->mem;
  sse__snapshot_free(&loop->snapshot, &mem);
  sse__timers_free(&loop->timers, &mem);
  sse__mem_free(&mem, loop->spare);
  sse__mem_free(&mem, loop);
}

int sse_loop_new(sse_loop **loop, sse_hub *hub, const sse_loop_config *config) {
  if (!loop || !hub || !config || !config->wake || config->linger_ms < 0 ||
      !SSE__RESERVED_UNUSED(config)) {
    return SSE_EINVAL;
  }
  if (hub->forked) return SSE_EFORK;
  struct sse_loop *l = sse__mem_zero(&hub->mem, sizeof *l);
  if (!l) return SSE_ENOMEM;
  l->hub = hub;
  int error = sse__snapshot_init(&l->snapshot, &hub->mem);
  if (!error && sse__fork_watch(&l->watch, loop_forked)) error = SSE_ENOMEM;
  if (error) {
    free_loop(l);
    return error;
  }
  l->inbox.waker.fn = config->wake;
  l->inbox.waker.arg = config->wake_arg;
  l->linger_ms = config->linger_ms;
  l->inbox.waker.armed = true;
  l->inbox.round_given = UINT64_MAX;
  pthread_mutex_lock(&hub->lock);
  loop_enlist(hub, &l->inbox);
  pthread_mutex_unlock(&hub->lock);
  *loop = l;
  return SSE_OK;
}

/* Frees the feeds that became empty while they waited for a round. */
static void free_dirty_feeds(struct sse_loop *loop) {
  struct sse_hub *hub = loop->hub;
  while (sse__dirty_first(&loop->inbox)) {
    struct sse__loop_feed *feed = sse__dirty_take(&loop->inbox);
    struct sse__channel *channel = feed->channel;
    sse__loop_feed_free(feed, &hub->mem);
    sse__channel_touch(&hub->channels, channel, sse__hub_now(hub));
  }
}

int sse_loop_free(sse_loop *loop) {
  if (!loop) return SSE_OK;
  if (loop->hub->forked) return SSE_EFORK;
  if (loop->streams > 0) return SSE_EBUSY;
  assert(loop->ready_count == 0 && !loop->current);
  sse_hub *hub = loop->hub;
  sse__fork_unwatch(&loop->watch);
  pthread_mutex_lock(&hub->lock);
  sse__waker_stop(&hub->wakers, &loop->inbox.waker);
  if (loop->running) sse__snapshot_end(&loop->snapshot, hub, sse__hub_now(hub));
  free_dirty_feeds(loop);
  loop_delist(hub, &loop->inbox);
  sse__loop_sweep(loop);
  sse__counters_fold(&hub->counters.delivered, &loop->delivered);
  pthread_mutex_unlock(&hub->lock);
  free_loop(loop);
  return SSE_OK;
}

/* ---- ready streams ---- */

void sse__loop_queue(struct sse_loop *loop, struct sse_stream *stream) {
  if (stream->queued) return;
  stream->queued = true;
  stream->ready_next = NULL;
  if (loop->ready_last) {
    loop->ready_last->ready_next = stream;
  } else {
    loop->ready_first = stream;
  }
  loop->ready_last = stream;
  loop->ready_count++;
}

/* A detached stream that the list held is no longer in it; its memory may have waited for that. */
static void let_go(struct sse_loop *loop, struct sse_stream *stream) {
  assert(stream->queued && stream->detached);
  loop->ready_gone--;
  stream->queued = false;
  if (stream->freed) sse__mem_free(&loop->hub->mem, stream);
}

/* Takes the first stream of the list; NULL: it was detached meanwhile. */
static struct sse_stream *take_ready(struct sse_loop *loop) {
  struct sse_stream *stream = loop->ready_first;
  assert(stream && stream->queued);
  loop->ready_first = stream->ready_next;
  if (!loop->ready_first) loop->ready_last = NULL;
  if (stream->detached) {
    let_go(loop, stream);
    return NULL;
  }
  loop->ready_count--;
  stream->queued = false;
  return stream;
}

static void sweep_ready(struct sse_loop *loop) {
  struct sse_stream **at = &loop->ready_first, *stream;
  loop->ready_last = NULL;
  for (size_t place = 0, left = loop->ready_left; (stream = *at); place++) {
    if (!stream->detached) {
      loop->ready_last = stream;
      at = &stream->ready_next;
      continue;
    }
    *at = stream->ready_next;
    if (place < left) loop->ready_left--;
    let_go(loop, stream);
  }
  assert(loop->ready_gone == 0);
}

/* Each pass removes more than it leaves, so a stream costs a constant share. */
void sse__loop_sweep(struct sse_loop *loop) {
  if (loop->ready_gone > loop->ready_count) sweep_ready(loop);
}

/* ---- rounds ---- */

/* The loop returns the stream once more, and the stall deadline counts from now on. */
static void end_stream(struct sse_loop *loop, struct sse_stream *stream, int reason,
                       int64_t now_ms) {
  bool told = stream->sub.stage == SSE__STAGE_OVER;
  if (!told && sse__end_replaces(reason, stream->reason)) stream->reason = (int16_t)reason;
  if (stream->armed) stream->sub.live.moved_ms = now_ms;
  stream->armed = false;
  sse__loop_queue(loop, stream);
}

/* Streams that other threads ended, a limited number of them: false if some are left. */
static bool collect_ended(struct sse_loop *loop, int64_t now_ms) {
  SSE__HELD(loop->hub);
  for (int i = 0; loop->inbox.ended && i < COLLECT_MAX; i++) {
    struct sse__subscriber *sub = loop->inbox.ended;
    loop->inbox.ended = sub->ended_next;
    sub->end_listed = false;
    end_stream(loop, SSE__STREAM(sub), sub->end, now_ms);
  }
  return !loop->inbox.ended;
}

/* Streams with new requests, a limited number of them: false if some are left. */
static bool collect_requested(struct sse_loop *loop, int64_t now_ms) {
  SSE__HELD(loop->hub);
  struct sse__tagged *tagged;
  for (int i = 0; i < COLLECT_MAX && (tagged = sse__request_collect(&loop->inbox)); i++) {
    struct sse_stream *stream = SSE__STREAM(tagged->sub);
    stream->live_only = true;
    if (!stream->armed) continue; /* its host will look anyway */
    stream->armed = false;
    stream->sub.live.moved_ms = now_ms;
    sse__loop_queue(loop, stream);
  }
  return !loop->inbox.requested;
}

/* Streams that were granted an admission slot. */
static void collect_admitted(struct sse_loop *loop) {
  SSE__HELD(loop->hub);
  for (struct sse__admission_slot *slot; (slot = sse__admission_collect(&loop->inbox));) {
    struct sse_stream *stream = SSE__STREAM(slot->sub);
    if (!stream->armed) continue; /* its host will look anyway */
    stream->armed = false;
    stream->sub.live.moved_ms = loop->now_ms;
    sse__loop_queue(loop, stream);
  }
}

/* Collects a stream from the inbox; true if that takes another hold of the lock. */
static bool collect_one(struct sse_loop *loop, struct sse_stream *stream) {
  SSE__HELD(loop->hub);
  const struct sse__tagged *tagged = sse__stream_tagged(stream);
  bool requested = tagged && tagged->requested;
  if (!stream->sub.end_listed && !requested) return false;
  int64_t now_ms = sse__hub_now(loop->hub);
  if (stream->sub.end_listed && !collect_ended(loop, now_ms)) return true;
  return requested && !collect_requested(loop, now_ms);
}

/* What is in the inbox is collected, as in a round, so that no stream is searched for. */
void sse__loop_forget(struct sse_loop *loop, struct sse_stream *stream) {
  SSE__HELD(loop->hub);
  if (stream->outq.borrowed) sse__outq_keep(stream);
  if (loop->current == stream) loop->current = NULL;
  while (collect_one(loop, stream)) {
    sse__hub_give_way(loop->hub);
  }
  if (stream->queued) {
    loop->ready_count--;
    loop->ready_gone++;
  }
  sse__timers_remove(&loop->timers, &stream->sub.live.timer);
  loop->streams--;
  if (stream->outq.chunked) loop->chunked_streams--;
}

/* Ends a stream whose client stalled, so that a call that ends streams does not count it. */
static void end_stalled(struct sse_loop *loop, struct sse_stream *stream) {
  end_stream(loop, stream, SSE_ESTALLED, loop->now_ms);
  pthread_mutex_lock(&loop->hub->lock);
  stream->sub.stage = SSE__STAGE_OVER;
  pthread_mutex_unlock(&loop->hub->lock);
  sse__timers_set(&loop->timers, &stream->sub.live.timer, SSE__NEVER_MS);
}

static void stream_due(struct sse_loop *loop, struct sse_stream *stream) {
  struct sse__subscriber *sub = &stream->sub;
  if (sse__stream_over(stream)) {
    sse__timers_set(&loop->timers, &sub->live.timer, SSE__NEVER_MS);
    return;
  }
  if (sse__subscriber_unstarve(sub, loop->now_ms)) sse__loop_queue(loop, stream);
  switch (sse__liveness_check(&sub->live, stream->armed, loop->now_ms)) {
  case SSE__DUE_NOTHING:
    break;
  case SSE__DUE_STALL:
    end_stalled(loop, stream);
    return;
  case SSE__DUE_CLOSE:
    end_stream(loop, stream, loop->draining ? SSE_EDRAINED : SSE_EAGED, loop->now_ms);
    break;
  case SSE__DUE_BEAT:
    sub->heartbeat_due = true;
    stream->armed = false;
    sse__loop_queue(loop, stream);
    break;
  }
  sse__timers_set(&loop->timers, &sub->live.timer,
                  sse__liveness_next(&sub->live, stream->armed, loop->now_ms));
}

static void run_timers(struct sse_loop *loop) {
  while (sse__timers_due(&loop->timers) <= loop->now_ms) {
    struct sse__timer *timer = sse__timers_first(&loop->timers);
    stream_due(loop, SSE__STREAM(SSE__CONTAINER(timer, struct sse__subscriber, live.timer)));
  }
}

/* Moves the close times of all streams that have not ended; their timers do the rest. */
static void drain_streams(struct sse_loop *loop, int64_t until_ms, uint64_t random) {
  loop->draining = true;
  for (uint32_t i = 0; i < loop->timers.count; i++) {
    struct sse__timer *timer = loop->timers.heap[i];
    struct sse_stream *stream =
        SSE__STREAM(SSE__CONTAINER(timer, struct sse__subscriber, live.timer));
    if (stream->reason) continue;
    sse__liveness_close_by(&stream->sub.live, sse__drain_time(&random, loop->now_ms, until_ms));
  }
  sse__timers_order(&loop->timers);
}

/* The hub's log has moved without an event, of which all streams must be told. */
static void look_at_all(struct sse_loop *loop) {
  for (uint32_t i = 0; i < loop->timers.count; i++) {
    struct sse__timer *timer = loop->timers.heap[i];
    struct sse_stream *stream =
        SSE__STREAM(SSE__CONTAINER(timer, struct sse__subscriber, live.timer));
    stream->live_only = true;
    if (!stream->armed || stream->reason) continue;
    stream->armed = false;
    stream->sub.live.moved_ms = loop->now_ms;
    sse__loop_queue(loop, stream);
  }
}

/* The time until which new frames may still wait. */
static int64_t linger_until(const struct sse_loop *loop) {
  SSE__HELD(loop->hub);
  return loop->inbox.dirty_ms + loop->linger_ms;
}

static void read_clock(struct sse_loop *loop) {
  loop->now_ns = sse__hub_now_ns(loop->hub);
  loop->unclocked = 0;
}

/*
 * Collects what other threads left in the inbox. False if one hold of the lock was not enough: the
 * snapshot is taken in the hold that collects the last of it, because a stream with requests is not
 * served from a snapshot.
 */
static bool collect_all(struct sse_loop *loop) {
  SSE__HELD(loop->hub);
  collect_admitted(loop);
  return collect_ended(loop, loop->now_ms) && collect_requested(loop, loop->now_ms);
}

/* Takes the snapshot unless its frames have to wait. False: it goes on in another hold. */
static bool take_snapshot(struct sse_loop *loop) {
  SSE__HELD(loop->hub);
  if (sse__dirty_first(&loop->inbox) && linger_until(loop) > loop->now_ms) return true;
  if (!sse__snapshot_begin(&loop->snapshot, loop->hub, &loop->inbox, loop->now_ms)) return false;
  if (loop->chunked_streams > 0) sse__snapshot_chunk(&loop->snapshot);
  return true;
}

static void begin_round(struct sse_loop *loop) {
  sse_hub *hub = loop->hub;
  struct sse__wake_list list = {NULL};
  pthread_mutex_lock(&hub->lock);
  read_clock(loop);
  loop->now_ms = loop->now_ns / SSE__NS_PER_MS;
  loop->inbox.waker.armed = false;
  sse__hub_run_timers(hub, loop->now_ms, &list);
  while (!collect_all(loop) || !take_snapshot(loop)) {
    sse__hub_give_way(hub);
  }
  bool drain_requested = loop->inbox.drain;
  int64_t until_ms = hub->drain_until_ms;
  uint64_t random = drain_requested ? sse__hub_random(hub, UINT32_MAX) : 0;
  bool skipped = loop->inbox.skipped;
  loop->inbox.drain = loop->inbox.skipped = false;
  sse__wakers_retry(&hub->wakers, &list);
  sse__wakers_run(&hub->wakers, &list);
  if (drain_requested) drain_streams(loop, until_ms, random);
  if (skipped) look_at_all(loop);
  run_timers(loop);
  loop->ready_left = loop->ready_count + loop->ready_gone;
  loop->running = true;
}

static void end_round(struct sse_loop *loop) {
  pthread_mutex_lock(&loop->hub->lock);
  sse__snapshot_end(&loop->snapshot, loop->hub, loop->now_ms);
  loop->inbox.round_given = UINT64_MAX;
  loop->inbox.rounds++;
  sse__counters_fold(&loop->hub->counters.delivered, &loop->delivered);
  /* While frames linger the host sleeps until the timeout, and further frames need not wake it. */
  const struct sse__inbox *inbox = &loop->inbox;
  loop->inbox.waker.armed = !sse__dirty_first(inbox) && !inbox->drain && !inbox->skipped &&
                            !inbox->admission.first && !inbox->requested;
  pthread_mutex_unlock(&loop->hub->lock);
  loop->running = false;
}

/*
 * Keeps what the stream that was returned last has in flight, which the end of the round would
 * release.
 */
static void leave_current(struct sse_loop *loop) {
  struct sse_stream *stream = loop->current;
  loop->current = NULL;
  if (!stream || !stream->outq.borrowed || stream->outq.count == 0) return;
  pthread_mutex_lock(&loop->hub->lock);
  sse__outq_keep(stream);
  pthread_mutex_unlock(&loop->hub->lock);
}

/* Whether a stream is ahead of all that the snapshot has. */
static bool is_ahead(const struct sse_loop *loop, const struct sse_stream *stream) {
  return stream->ahead && loop->snapshot.head.number < stream->number;
}

/* The next armed stream for which the snapshot has something. */
static struct sse_stream *next_visited(struct sse_loop *loop) {
  const struct sse__loop_feed *feed;
  struct sse__subscription *subscription;
  while ((subscription = sse__snapshot_visit(&loop->snapshot, &feed))) {
    struct sse_stream *stream = SSE__STREAM(subscription->sub);
    if (!stream->armed || stream->sub.behind) continue;
    bool given = stream->cursor >= feed->last || is_ahead(loop, stream);
    if (given && !(feed->finished && sse__cursor_finishing(stream))) continue;
    stream->armed = false;
    stream->sub.live.moved_ms = loop->now_ms;
    return stream;
  }
  return NULL;
}

/* The next ready stream, except those that the host has looked at since they were queued. */
static struct sse_stream *next_ready(struct sse_loop *loop) {
  while (loop->ready_left > 0) {
    struct sse_stream *stream = take_ready(loop);
    loop->ready_left--;
    if (stream && (!stream->armed || stream->reason)) return stream;
  }
  return NULL;
}

sse_stream *sse_loop_next(sse_loop *loop) {
  if (!loop) return NULL;
  if (loop->running) {
    leave_current(loop);
    if (++loop->unclocked == CLOCK_EVERY) read_clock(loop);
  } else {
    if (loop->hub->forked) return NULL;
    begin_round(loop);
  }
  loop->current = next_ready(loop);
  if (!loop->current) loop->current = next_visited(loop);
  if (!loop->current) end_round(loop);
  return loop->current;
}

int32_t sse_loop_timeout(sse_loop *loop) {
  if (!loop) return -1;
  sse_hub *hub = loop->hub;
  if (hub->forked) return -1;
  if (loop->running || loop->ready_count > 0) return 0;
  pthread_mutex_lock(&hub->lock);
  int64_t due = sse__timers_due(&loop->timers);
  if (sse__timers_due(&hub->timers) < due) due = sse__timers_due(&hub->timers);
  if (sse__dirty_first(&loop->inbox) && linger_until(loop) < due) due = linger_until(loop);
  int timeout = sse__wakers_sleep(&hub->wakers, sse__timers_sleep(due, sse__hub_now(hub)));
  const struct sse__inbox *inbox = &loop->inbox;
  bool posted = inbox->ended || inbox->drain || inbox->skipped;
  if (posted || inbox->admission.first || inbox->requested) timeout = 0;
  pthread_mutex_unlock(&hub->lock);
  return timeout;
}
