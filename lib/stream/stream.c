/* SPDX-License-Identifier: MIT */
/* stream.c: a stream in use: peek, consume, read, wait, and its end. */
#include "stream/stream_priv.h"

#include <assert.h>
#include <string.h>

#include "hub/log.h"
#include "stream/backfill.h"
#include "stream/bare.h"
#include "stream/control.h"
#include "stream/cursor.h"
#include "stream/loop.h"
#include "stream/membership.h"
#include "stream/outq.h"
#include "stream/request.h"
#include "stream/wide.h"

#define SLOW_RETRY 4 /* factor of the reconnection time for a client that did not keep up */

static struct sse_loop *loop_of(const struct sse_stream *stream) {
  return SSE__LOOP(stream->sub.u.inbox);
}

/* ---- what comes next ---- */

/*
 * Puts the retry block of a stream that ends gently in flight, once, when nothing else is. Returns
 * the number of frames: 0 if no reconnection time is sent, or without memory. The stall deadline
 * starts here, since the client had taken everything. A chunked body is closed in each case.
 */
static int add_retry_block(struct sse_stream *stream, int64_t now_ms) {
  SSE__HELD(stream->hub);
  bool finished = stream->reason == SSE_EFINISHED && stream->hub->finished_type;
  const struct sse__control block = {.retry_ms = sse__retry_spread(stream->hub, stream->retry_ms),
                                     .finished = finished,
                                     .at = sse__stream_point(stream),
                                     .last = stream->outq.chunked};
  struct sse__frame *frame = NULL;
  assert(stream->outq.count == 0 && !stream->outq.retry_sent);
  stream->outq.retry_sent = true;
  stream->sub.stage = SSE__STAGE_RETRY;
  sse__control_new(&frame, stream, &block);
  if (!frame && block.last) frame = stream->hub->last_chunk;
  if (!frame) return 0;
  sse__outq_set(stream, frame);
  if (stream->sub.standalone) sse__standalone_disarm(&stream->sub, now_ms);
  stream->armed = false;
  stream->sub.live.moved_ms = now_ms;
  return 1;
}

/* Returns the reason of a stream that is over to the host; from now on no other end replaces it. */
static int tell_end(struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  stream->sub.stage = SSE__STAGE_OVER;
  return stream->reason;
}

/* With nothing in flight: the retry block, or the reason of the end. */
static int end_or_retry(struct sse_stream *stream, int64_t now_ms) {
  SSE__HELD(stream->hub);
  int count = sse__stream_over(stream) ? 0 : add_retry_block(stream, now_ms);
  return count > 0 ? count : tell_end(stream);
}

/*
 * With nothing in flight, for a stream that ends gently before its retry block: whether a dismissal
 * takes the place of that end. The stream is then given what the dismissal promises first.
 */
static bool dismissal_replaces(struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  if (stream->outq.retry_sent || !sse__request_dismisses(stream)) return false;
  stream->reason = 0;
  stream->live_only = true; /* its loop may not have seen the request yet */
  if (sse_end_is_gentle(stream->sub.end)) stream->sub.end = 0;
  return true;
}

/*
 * A live step of a stream with an admission slot: it may still wait for it, or no longer need it
 * after the step.
 */
static int step_behind(struct sse_stream *stream, struct sse__outq_array **spare, int64_t now_ms,
                       struct sse__wake_list *list) {
  struct sse__admission_slot *slot = sse__stream_slot(stream);
  if (slot->state == SSE__SLOT_AWAY) {
    sse__admission_request(&stream->hub->admission, slot, now_ms);
  }
  if (slot->state == SSE__SLOT_WAITING) return sse__cursor_step_waiting(stream, spare, now_ms);
  int count = sse__cursor_step_live(stream, spare, now_ms);
  if ((count >= 0 && stream->cursor == stream->hub->head.seq) || count == SSE_EDISMISSED) {
    stream->sub.behind = false;
    sse__admission_release(&stream->hub->admission, slot, now_ms, list);
  }
  return count;
}

/* A client that did not keep up should reconnect when there is less to do. */
static int32_t longer_retry(int32_t retry_ms) {
  if (retry_ms == SSE_NEVER) return SSE_NEVER;
  return retry_ms > SSE_RETRY_MS_MAX / SLOW_RETRY ? SSE_RETRY_MS_MAX : retry_ms * SLOW_RETRY;
}

/*
 * A live step, or the end if nothing will ever follow. `list` collects the wakes of other streams.
 */
static int step_live(struct sse_stream *stream, struct sse__outq_array **spare, int64_t now_ms,
                     struct sse__wake_list *list) {
  SSE__HELD(stream->hub);
  int count = stream->sub.behind ? step_behind(stream, spare, now_ms, list)
                                 : sse__cursor_step_live(stream, spare, now_ms);
  if (count == SSE_ESLOW) {
    stream->reason = SSE_ESLOW;
    stream->retry_ms = longer_retry(stream->retry_ms);
  } else if (count == SSE_EDISMISSED) {
    stream->reason = SSE_EDISMISSED;
  } else if (count == 0 && sse__cursor_finished(stream)) {
    stream->reason = SSE_EFINISHED;
  } else {
    return count;
  }
  return end_or_retry(stream, now_ms);
}

/* A stream of a loop that needs the windows, under the lock. */
static int refill_live(struct sse_stream *stream, struct sse_loop *loop) {
  int count;
  if (stream->hub->forked) return SSE_EFORK;
  if (stream->sub.starved) sse__subscriber_unstarve(&stream->sub, sse__hub_now(stream->hub));
  do {
    struct sse__wake_list list = {NULL};
    pthread_mutex_lock(&stream->hub->lock);
    count = step_live(stream, &loop->spare, sse__hub_now(stream->hub), &list);
    sse__wakers_run(&stream->hub->wakers, &list);
    if (stream->has & SSE__HAS_TAG) sse__hub_notify_occupancy(stream->hub);
  } while (count == SSE_EAGAIN);
  return count;
}

/* With nothing in flight, for a stream of a loop. A stream that is caught up needs no lock. */
static inline int refill_in_loop(struct sse_stream *stream) {
  struct sse_loop *loop = loop_of(stream);
  int count = SSE_EAGAIN;
  if (loop->current == stream && !stream->sub.behind && !stream->sub.starved) {
    count = sse__cursor_step_round(stream, &loop->spare, &loop->snapshot.head, loop->now_ms);
  }
  if (count == SSE_EAGAIN) count = refill_live(stream, loop);
  stream->armed = count == 0;
  return count;
}

static int end_in_loop(struct sse_stream *stream) {
  pthread_mutex_lock(&stream->hub->lock);
  bool replaced = !sse__stream_over(stream) && dismissal_replaces(stream);
  int count = replaced ? 0 : end_or_retry(stream, sse__hub_now(stream->hub));
  pthread_mutex_unlock(&stream->hub->lock);
  return replaced ? refill_in_loop(stream) : count;
}

/* Does what the timer of a standalone stream would do, on the stream's own thread. */
static void check_time(struct sse_stream *stream, int64_t now_ms) {
  SSE__HELD(stream->hub);
  struct sse__subscriber *sub = &stream->sub;
  sse__subscriber_unstarve(sub, now_ms);
  switch (sse__liveness_check(&sub->live, sub->u.standalone->waker.armed, now_ms)) {
  case SSE__DUE_NOTHING:
    break;
  case SSE__DUE_STALL:
    if (sse__end_replaces(SSE_ESTALLED, sub->end)) sub->end = SSE_ESTALLED;
    break;
  case SSE__DUE_CLOSE:
    if (!sub->end) sub->end = (int16_t)sse__hub_close_reason(stream->hub);
    break;
  case SSE__DUE_BEAT:
    sub->heartbeat_due = true;
    sse__standalone_disarm(sub, now_ms);
    break;
  }
  bool ends = sub->stage != SSE__STAGE_OVER && sse__end_replaces(sub->end, stream->reason);
  if (sub->end && ends) stream->reason = sub->end;
}

/*
 * Looks at a standalone stream: the number of frames in flight, 0 and it is armed, or its end.
 */
static int look_standalone(struct sse_stream *stream, struct sse__wake_list *list) {
  SSE__HELD(stream->hub);
  int64_t now_ms = sse__hub_now(stream->hub);
  if (!stream->detached) check_time(stream, now_ms);
  if (sse__stream_over(stream)) return tell_end(stream);
  if (stream->outq.count > 0) return stream->outq.count;
  if (stream->reason && !dismissal_replaces(stream)) return end_or_retry(stream, now_ms);
  struct sse__lags *lags = &stream->hub->lags;
  struct sse__lag *lag = &stream->sub.u.standalone->lag;
  uint64_t given = stream->cursor;
  if (lag->counts) sse__lag_count(lags, lag, given, now_ms);
  int count;
  while ((count = step_live(stream, &stream->hub->spare, now_ms, list)) == SSE_EAGAIN) {
    sse__hub_give_way(stream->hub);
  }
  if (count == 0) {
    sse__standalone_arm(stream->sub.u.standalone, stream->hub->notices.last);
    sse__lag_drop(lags, lag);
  } else {
    sse__standalone_disarm(&stream->sub, now_ms);
    /* It keeps up again: the bytes in flight are all that it lacks. */
    bool all = count > 0 && !stream->reason && stream->cursor == stream->hub->head.seq;
    if (all) sse__lag_count(lags, lag, given, now_ms);
    if (count == SSE_ENOMEM) {
      sse__subscriber_starve(&stream->hub->timers, &stream->sub, now_ms);
    }
  }
  return count;
}

/* Looks at a stream of a loop that ends, because of `end` if another thread ended it. */
static int look_ended(struct sse_stream *stream, int16_t end) {
  if (stream->sub.stage == SSE__STAGE_OVER) return stream->reason;
  if (end && sse__end_replaces(end, stream->reason)) stream->reason = end;
  if (!sse__stream_over(stream) && stream->outq.count > 0) return stream->outq.count;
  return end_in_loop(stream);
}

static int stream_look(struct sse_stream *stream) {
  if (stream->sub.standalone) {
    struct sse__wake_list list = {NULL};
    if (stream->hub->forked) return SSE_EFORK;
    pthread_mutex_lock(&stream->hub->lock);
    int count = look_standalone(stream, &list);
    sse__wakers_run(&stream->hub->wakers, &list);
    if (stream->has & SSE__HAS_TAG) sse__hub_notify_occupancy(stream->hub);
    return count;
  }
  int16_t end = atomic_load_explicit(&stream->sub.end, memory_order_relaxed);
  if (!(stream->reason | end) && stream->outq.count == 0) return refill_in_loop(stream);
  if (stream->hub->forked) return SSE_EFORK;
  return stream->reason | end ? look_ended(stream, end) : stream->outq.count;
}

/* Sets the timer of a loop's stream that found no memory. look_standalone does it for others. */
static int look_again_later(struct sse_stream *stream) {
  if (!stream->sub.standalone) {
    sse__subscriber_starve(&loop_of(stream)->timers, &stream->sub, sse__hub_now(stream->hub));
  }
  return SSE_ENOMEM;
}

int sse_stream_peek(sse_stream *stream, struct iovec *iov, int max) {
  if (!stream || !iov || max < 1) return SSE_EINVAL;
  int count = stream_look(stream);
  if (count > 0) {
    return stream->outq.bare ? sse__bare_pieces(stream, iov, max)
                             : sse__outq_pieces(stream, iov, max);
  }
  return count == SSE_ENOMEM ? look_again_later(stream) : count;
}

/* ---- acknowledging ---- */

/* For a stream that is caught up, while the loop's snapshot holds the frames. */
static void consume_borrowed(struct sse_stream *stream, struct sse_loop *loop, size_t bytes) {
  if (!sse__outq_consume(stream, bytes, &loop->delivered, loop->now_ns)) {
    pthread_mutex_lock(&stream->hub->lock);
    sse__stream_end(stream, SSE_ECALLBACK);
    pthread_mutex_unlock(&stream->hub->lock);
  }
  sse__outq_close(stream, &loop->spare);
  stream->sub.live.moved_ms = loop->now_ms;
}

static void consume_held(struct sse_stream *stream, size_t bytes) {
  SSE__HELD(stream->hub);
  sse_hub *hub = stream->hub;
  int64_t now_ns = sse__hub_now_ns(hub);
  bool own = stream->sub.standalone || stream->detached;
  struct sse__counters *counters = &hub->counters.delivered;
  if (stream->outq.bare ? !sse__bare_consume(stream, bytes, counters)
                        : !sse__outq_consume(stream, bytes, counters, now_ns)) {
    sse__stream_end(stream, SSE_ECALLBACK);
  }
  sse__outq_close(stream, own ? &hub->spare : &loop_of(stream)->spare);
  stream->sub.live.moved_ms = now_ns / SSE__NS_PER_MS;
}

void sse_stream_consume(sse_stream *stream, size_t bytes) {
  if (!stream || bytes == 0) return;
  sse_hub *hub = stream->hub;
  if (!stream->sub.standalone && !stream->detached && stream == loop_of(stream)->current &&
      stream->outq.borrowed) {
    consume_borrowed(stream, loop_of(stream), bytes);
    return;
  }
  if (hub->forked) return;
  pthread_mutex_lock(&hub->lock);
  consume_held(stream, bytes);
  pthread_mutex_unlock(&hub->lock);
}

ssize_t sse_stream_read(sse_stream *stream, void *buf, size_t cap) {
  struct iovec iov[SSE__OUTQ_MAX];
  if (!buf || cap == 0) return SSE_EINVAL;
  int count = sse_stream_peek(stream, iov, SSE__OUTQ_MAX);
  if (count <= 0) return count;
  size_t len = 0;
  for (int i = 0; i < count && len < cap; i++) {
    size_t piece = iov[i].iov_len < cap - len ? iov[i].iov_len : cap - len;
    memcpy((char *)buf + len, iov[i].iov_base, piece);
    len += piece;
  }
  sse_stream_consume(stream, len);
  return (ssize_t)len;
}

/* ---- waiting ---- */

/* The time until which an armed standalone stream may sleep: its own next timer or the deadline. */
static int64_t sleep_until(const struct sse_stream *stream, int64_t deadline_ns, int64_t now_ns) {
  int64_t now_ms = sse__hub_now(stream->hub);
  int64_t due_ms = stream->sub.starved ? now_ms + SSE__STARVED_MS
                                       : sse__liveness_next(&stream->sub.live, true, now_ms);
  if (due_ms == SSE__NEVER_MS) return deadline_ns;
  int64_t due_ns = now_ns + (due_ms - now_ms) * SSE__NS_PER_MS;
  return due_ns < deadline_ns ? due_ns : deadline_ns;
}

/* The hub's clock may be simulated; the thread sleeps by the real one. */
int sse_stream_wait(sse_stream *stream, int32_t timeout_ms) {
  if (!stream || !stream->sub.standalone) return SSE_EINVAL;
  if (stream->hub->forked) return SSE_EFORK;
  struct sse__standalone *standalone = stream->sub.u.standalone;
  struct sse__wake_list list = {NULL};
  int64_t deadline_ns =
      timeout_ms < 0 ? INT64_MAX : sse__os_clock(NULL) + timeout_ms * SSE__NS_PER_MS;
  pthread_mutex_lock(&stream->hub->lock);
  int count;
  while ((count = look_standalone(stream, &list)) == 0 || count == SSE_ENOMEM) {
    const struct sse__occupancy *occupancy = &stream->hub->occupancy;
    if (list.first || (occupancy->first && !occupancy->running)) {
      /* The next look finds what arrived during the calls. */
      sse__wakers_run(&stream->hub->wakers, &list);
      sse__hub_notify_occupancy(stream->hub);
      pthread_mutex_lock(&stream->hub->lock);
      continue;
    }
    int64_t now_ns = sse__os_clock(NULL);
    if (timeout_ms == 0 || now_ns >= deadline_ns) break;
    standalone->waker.waiting = &standalone->arrived;
    sse__os_cond_wait(&standalone->arrived, &stream->hub->lock,
                      sleep_until(stream, deadline_ns, now_ns));
    standalone->waker.waiting = NULL;
  }
  sse__wakers_run(&stream->hub->wakers, &list);
  if (stream->has & SSE__HAS_TAG) sse__hub_notify_occupancy(stream->hub);
  return count > 0 ? 1 : count;
}

/* ---- the end ---- */

static void leave_channels(struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  int64_t now_ms = sse__hub_now(stream->hub);
  if (stream->wide) sse__order_drop(stream);
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    sse__unsubscribe(stream, subscription);
    sse__occupancy_note(&stream->hub->occupancy, subscription->channel);
    sse__channel_touch(&stream->hub->channels, subscription->channel, now_ms);
  }
}

void sse_stream_detach(sse_stream *stream) {
  if (!stream || stream->detached || stream->hub->forked) return;
  sse_hub *hub = stream->hub;
  struct sse__wake_list list = {NULL};
  pthread_mutex_lock(&hub->lock);
  if (stream->sub.standalone) {
    sse__standalone_disarm(&stream->sub, stream->sub.live.moved_ms);
    sse__waker_stop(&hub->wakers, &stream->sub.u.standalone->waker);
    sse__timers_remove(&hub->timers, &stream->sub.live.timer);
    sse__lag_drop(&hub->lags, &stream->sub.u.standalone->lag);
    sse__log_leave_ahead(hub, stream->sub.u.standalone, sse__hub_now(hub));
    sse__standalones_remove(&hub->standalones, stream->sub.u.standalone);
  } else {
    sse__loop_forget(loop_of(stream), stream);
  }
  leave_channels(stream);
  struct sse__tagged *tagged = sse__stream_tagged(stream);
  if (tagged) {
    sse__request_drop_all(stream, sse__hub_now(hub));
    sse__tags_remove(&hub->tags, &hub->mem, tagged);
  }
  struct sse__admission_slot *slot = sse__stream_slot(stream);
  if (slot) sse__admission_release(&hub->admission, slot, sse__hub_now(hub), &list);
  hub->counters.closed[-(stream->reason ? stream->reason : stream->sub.end)]++;
  stream->sub.end = SSE_EDETACHED; /* it may still pin frames, but no longer ends for that */
  stream->detached = true;
  stream->armed = false;
  stream->reason = SSE_EDETACHED;
  sse__wakers_run(&hub->wakers, &list);
  if (!stream->sub.standalone) sse__loop_sweep(loop_of(stream));
  sse__hub_notify_occupancy(hub);
}

void sse_stream_free(sse_stream *stream) {
  if (!stream || stream->hub->forked) return;
  sse_stream_detach(stream);
  sse_hub *hub = stream->hub;
  struct sse__mem mem = hub->mem;
  if (stream->sub.standalone) pthread_cond_destroy(&stream->sub.u.standalone->arrived);
  pthread_mutex_lock(&hub->lock);
  sse__outq_drop(stream);
  sse__backfill_drop(stream, NULL);
  if (stream->moved) sse__mem_free(&mem, sse__subscriptions(stream));
  if (stream->outq.has_array) sse__mem_free(&mem, stream->outq.u.array);
  hub->streams--;
  pthread_mutex_unlock(&hub->lock);
  stream->freed = true;
  if (!stream->queued) sse__mem_free(&mem, stream);
}

void *sse_stream_user(const sse_stream *stream) {
  return stream ? stream->user : NULL;
}

sse_resume sse_stream_resume_result(const sse_stream *stream) {
  return stream ? (sse_resume)stream->resume : SSE_RESUME_NONE;
}
