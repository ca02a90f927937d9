/* SPDX-License-Identifier: MIT */
/* cursor.c: what a stream is given next, and how its cursor moves. */
#include "stream/cursor.h"

#include <assert.h>

#include "hub/log.h"
#include "hub/merge.h"
#include "stream/backfill.h"
#include "stream/backlog.h"
#include "stream/gap.h"
#include "stream/membership.h"
#include "stream/order.h"
#include "stream/outq.h"
#include "stream/pass.h"
#include "stream/request.h"
#include "stream/wide.h"

/* ---- the merge ---- */

static struct sse__merge find_next(struct sse_stream *stream, bool live, uint64_t head) {
  struct sse__merge next = sse__merge_start(head);
  struct sse__subscription *subscriptions = sse__subscriptions(stream);
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    /* A stream may have many channels, of which few are in a round. */
    if (!live && !subscriptions[i].u.in.feed->in_round) continue;
    for (unsigned which = 0; which < SSE__WINDOWS(live); which++) {
      struct sse__stretch slots = sse__window_of(&subscriptions[i], live, which);
      sse__merge_offer(&next, &subscriptions[i], slots, stream->cursor, head);
    }
  }
  return next;
}

/* Counts a shared event in the other channels that it was published to. */
static void count_shared(struct sse_stream *stream, bool live,
                         const struct sse__subscription *counted) {
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    struct sse__stretch frames = sse__window_of(subscription, live, 0);
    size_t after = sse__stretch_after(&frames, stream->cursor);
    if (subscription == counted || after == 0) continue;
    if (sse__stretch_at(&frames, after - 1)->seq == stream->cursor) sse__count_one(subscription);
  }
}

/*
 * Adds the frames of all channels in the order of their numbers, up to `head`, until the array is
 * full or the step has its bytes. Returns true if none is left. `given` is set if one was added with
 * an id.
 */
static bool merge(struct sse_stream *stream, bool live, uint64_t head, bool *given) {
  size_t bytes = 0, passed = 0, searched = 0;
  for (;;) {
    if (live && searched > SSE__SEARCH_MAX) return false;
    searched += stream->subscription_count;
    struct sse__merge next = find_next(stream, live, head);
    if (next.run.count == 0) break;
    struct sse__subscription *subscription = next.owner;
    for (; next.run.count > 0; sse__stretch_drop_first(&next.run)) {
      const struct sse__slot *slot = sse__stretch_at(&next.run, 0);
      if (slot->seq >= next.limit) break;
      if (sse__outq_room(stream) == 0 || bytes >= SSE__STEP_BYTES_MAX ||
          passed++ == SSE__STEP_FRAMES_MAX)
        return false;
      stream->cursor = slot->seq;
      stream->id_behind = true;
      if (!slot->frame) continue;
      if (sse__pass_frame(stream, live, subscription, slot->frame)) *given = true;
      if (slot->frame->body && !slot->frame->ephemeral) count_shared(stream, live, subscription);
      bytes += slot->frame->len;
    }
    if (next.limit > head) break; /* no other window has a frame, so no search is needed */
  }
  return true;
}

/* ---- after the merge ---- */

/* The stream's position as a block; NULL if positions are off, or without memory. */
static struct sse__frame *position_block(struct sse_stream *stream) {
  const struct sse__control block = {
      .retry_ms = SSE_NEVER, .position = true, .at = sse__stream_point(stream)};
  struct sse__frame *frame = NULL;
  if (stream->position != SSE_POSITION_OFF && !sse__control_new(&frame, stream, &block)) {
    stream->id_behind = false;
  }
  return frame;
}

/* Whether the client's id has been behind for a heartbeat's time, whatever else was sent. */
static bool id_is_stale(const struct sse_stream *stream, int64_t now_ms) {
  const struct sse__liveness *live = &stream->sub.live;
  return stream->id_behind && stream->position != SSE_POSITION_OFF &&
         live->heartbeat_ms != SSE_NEVER && live->id_ms + live->heartbeat_ms <= now_ms;
}

/*
 * Adds a position if the client's id is behind the cursor, even among frames without ids;
 * otherwise a heartbeat, if nothing else is sent. Without memory for a position, a heartbeat keeps
 * the connection open and the position follows at the next heartbeat. A stream with a backfill
 * still to come gets no position, since its client does not have everything up to the cursor.
 * Returns whether it added a position.
 */
static bool add_heartbeat(struct sse_stream *stream) {
  struct sse__frame *position =
      stream->id_behind && !stream->backfill ? position_block(stream) : NULL;
  struct sse__frame *frame = position;
  if (!frame && stream->outq.count == 0) frame = stream->hub->heartbeat;
  if (frame) sse__outq_add(stream, frame);
  return position != NULL;
}

/* A log moves its head also without an event. That of a snapshot may have too low a number. */
static void raise_number(struct sse_stream *stream, const struct sse__point *head) {
  if (!stream->hub->numbers_given || stream->cursor != head->seq) return;
  if (stream->ahead || head->number <= stream->number) return;
  stream->number = head->number;
  stream->id_behind = true;
}

/* A log may get another epoch at any time, so a position of its streams needs the lock. */
static int position_needs_lock(struct sse_stream *stream) {
  stream->live_only = stream->sub.heartbeat_due = true;
  return stream->outq.count > 0 ? stream->outq.count : SSE_EAGAIN;
}

/*
 * The end of a step when a heartbeat or a position is due. After a full array a position stays due;
 * after events with ids a heartbeat does not.
 */
static int finish_due(struct sse_stream *stream, bool live, bool all, const struct sse__point *head,
                      int64_t now_ms) {
  bool room = sse__outq_room(stream) > 0;
  if (room) {
    raise_number(stream, head);
    if (!live && stream->id_behind && stream->hub->numbers_given)
      return position_needs_lock(stream);
    if (add_heartbeat(stream)) stream->sub.live.id_ms = now_ms;
  }
  if (!all && stream->outq.count == 0) return SSE_EAGAIN;
  stream->sub.heartbeat_due = !room && stream->id_behind;
  return stream->outq.count;
}

/*
 * What follows the merge in all steps, if `all`: the move of the cursor to the head; then the
 * heartbeat. `given`: whether the merge added an event with an id.
 */
static inline int finish_step(struct sse_stream *stream, bool live, bool all, bool given,
                              const struct sse__point *head, int64_t now_ms) {
  if (all && stream->cursor < head->seq) {
    stream->cursor = head->seq;
    stream->id_behind = true;
  }
  bool due = stream->sub.heartbeat_due || id_is_stale(stream, now_ms);
  if (given) stream->sub.live.id_ms = now_ms;
  if (due) return finish_due(stream, live, all, head, now_ms);
  if (!all && stream->outq.count == 0) return SSE_EAGAIN;
  return stream->outq.count;
}

/* The second half of both steps. */
static int serve(struct sse_stream *stream, bool live, const struct sse__point *head,
                 int64_t now_ms) {
  bool given = false;
  bool ordered = stream->wide && sse__order_begin(stream, live, head->seq);
  bool all = ordered ? sse__order_merge(stream, live, head->seq, now_ms, &given)
                     : merge(stream, live, head->seq, &given);
  return finish_step(stream, live, all, given, head, now_ms);
}

/* ---- steps ---- */

/* Evicts what is too old, and adds the gap that is due: 0 or an error; SSE_EAGAIN as in a step. */
static int report_loss(struct sse_stream *stream, uint64_t head, int64_t now_ms) {
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__channel *channel = sse__subscriptions(stream)[i].channel;
    if (!sse__channel_expire(&stream->hub->channels, channel, now_ms)) return SSE_EAGAIN;
  }
  uint64_t floor = stream->has & SSE__HAS_LIMITS ? sse__backlog_floor(stream, now_ms) : 0;
  if (floor > head) floor = head;
  return sse__gap_due(stream, floor) ? sse__gap_report(stream, floor, now_ms) : SSE_OK;
}

/* Whether a stream has limits on how far it may be behind, which each step has to test. */
static bool lag_limited(struct sse_stream *stream) {
  const struct sse__limits *limits = sse__stream_limits(stream);
  return limits && (limits->lag_events != UINT64_MAX || limits->lag_bytes != UINT64_MAX ||
                    limits->lag_ms_limit != SSE_NEVER);
}

/*
 * The events above the cursor. At the hub's head there is none, and nothing is lost; while a merge
 * of many channels goes on, each is tested when its turn comes.
 */
static int step_events(struct sse_stream *stream, struct sse__point head, int64_t now_ms) {
  if (lag_limited(stream)) sse__order_drop(stream);
  const struct sse__order *order = sse__order_of(stream, true);
  if (order && order->upto < head.seq) head = (struct sse__point){order->upto, 0};
  bool tested = order || stream->cursor == stream->hub->head.seq;
  int count = tested ? SSE_OK : report_loss(stream, head.seq, now_ms);
  if (count) return count;
  raise_number(stream, &head); /* before a position has it */
  count = serve(stream, true, &head, now_ms);
  raise_number(stream, &head);
  return count;
}

/* One step with the stream's present channels. */
static int step_to(struct sse_stream *stream, struct sse__outq_array **spare,
                   struct sse__point head, int64_t now_ms) {
  assert(stream->outq.count == 0 && (stream->cursor <= head.seq || stream->ahead));
  int error = sse__outq_open(stream, spare);
  if (error) return error;
  int count = stream->backfill ? sse__backfill_step(stream, now_ms) : 0;
  if (count == 0) count = step_events(stream, head, now_ms);
  sse__outq_close(stream, spare);
  return count;
}

/*
 * Whether a gap reported losses above the cursor. A snapshot may still have these events,
 * which were evicted after it was taken.
 */
static bool gap_is_ahead(const struct sse_stream *stream) {
  if (stream->cursor == stream->hub->head.seq) return false;
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    if (sse__subscriptions(stream)[i].gap_reported > stream->cursor) return true;
  }
  return false;
}

/* Whether a snapshot cannot serve the stream, although it has no requests. */
static bool needs_windows(struct sse_stream *stream) {
  bool skipped = stream->cursor < stream->hub->channels.history.skipped.seq;
  bool number = stream->ahead || stream->has & SSE__HAS_NUMBER;
  return sse__order_of(stream, true) || number || skipped || gap_is_ahead(stream);
}

/* ---- the log ---- */

/* The gap of a stream of an earlier history. What it was given out of order ends with that. */
static int tell_restart(struct sse_stream *stream, struct sse__outq_array **spare, int64_t now_ms) {
  SSE__HELD(stream->hub);
  int error = sse__outq_open(stream, spare);
  if (error) return error;
  sse__membership_restart(stream, now_ms);
  error = sse__gap_restart(stream, now_ms);
  if (!error) sse__backfill_drop(stream, NULL);
  sse__outq_close(stream, spare);
  return error ? error : stream->outq.count;
}

/*
 * Raises what a client knows to be lost to a point, unless that is above its number: then false,
 * and how many events that means is not known.
 */
static bool know(struct sse__subscription *subscription, struct sse__point lost, uint64_t number) {
  if (lost.number > number) return false;
  if (lost.seq > subscription->gap_reported) subscription->gap_reported = lost.seq;
  return true;
}

/* Whether nothing is lost above the number of a stream that was ahead. */
static bool know_all(struct sse_stream *stream) {
  bool all = true;
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    const struct sse__window *window = &subscription->channel->window;
    bool known = know(subscription, window->history->skipped, stream->number);
    if (!know(subscription, window->evicted, stream->number)) {
      known = false;
      if (!window->keys) subscription->delivered_count = SSE__UNKNOWN;
    }
    all = all && known;
  }
  return all;
}

/*
 * A stream that is ahead passes over everything up to the head, until that has reached its number.
 * If some of the events since the last look were evicted, it is not known which of them are above the
 * number and before a request: then the stream goes on from that look, and leaves out what its client
 * has had.
 */
static void follow_ahead(struct sse_stream *stream, int64_t now_ms) {
  SSE__HELD(stream->hub);
  if (stream->hub->head.number < stream->number) {
    stream->cursor = stream->hub->head.seq;
    return;
  }
  stream->ahead = false;
  if (stream->sub.standalone) sse__log_leave_ahead(stream->hub, stream->sub.u.standalone, now_ms);
  sse__stream_count_delivered(stream, false);
  bool late;
  struct sse__point at = sse__membership_settle(stream, now_ms, &late);
  bool known = know_all(stream);
  if (!known || at.seq == stream->cursor) stream->has |= SSE__HAS_NUMBER;
  if (!known && late) return;
  stream->id_behind = at.number > stream->number;
  sse__stream_move(stream, at);
  sse__stream_count_delivered(stream, false);
}

/*
 * Follows moves of the hub's head that are no events. Returns the number of frames added, or an
 * error; 0: the step goes on.
 */
static int follow_log(struct sse_stream *stream, struct sse__outq_array **spare, int64_t now_ms) {
  SSE__HELD(stream->hub);
  if (stream->cursor >= stream->hub->reset.seq) {
    if (stream->ahead) follow_ahead(stream, now_ms);
    return SSE_OK;
  }
  if (stream->sub.standalone) sse__log_leave_ahead(stream->hub, stream->sub.u.standalone, now_ms);
  return tell_restart(stream, spare, now_ms);
}

int sse__cursor_step_live(struct sse_stream *stream, struct sse__outq_array **spare,
                          int64_t now_ms) {
  SSE__HELD(stream->hub);
  int told = follow_log(stream, spare, now_ms);
  if (told) return told;
  for (;;) {
    /*
     * Requests come first: what a channel evicts after the stream left it is not lost to the
     * stream.
     */
    bool due = !stream->backfill && sse__request_due(stream) <= stream->cursor;
    int error = due ? sse__membership_run(stream, now_ms) : SSE_OK;
    if (error) return error;
    struct sse__point head = sse__request_head(stream);
    bool backfilled = stream->backfill; /* the next request may have waited for its end */
    int count = step_to(stream, spare, head, now_ms);
    bool requested = sse__request_due(stream) != UINT64_MAX;
    if (stream->cursor == stream->hub->head.seq) stream->has &= (uint8_t)~SSE__HAS_NUMBER;
    stream->live_only = requested || needs_windows(stream);
    bool done = stream->ahead ? !(requested && backfilled)
                              : !requested && stream->cursor == stream->hub->head.seq;
    if (count != 0 || done) return count;
  }
}

int sse__cursor_step_waiting(struct sse_stream *stream, struct sse__outq_array **spare,
                             int64_t now_ms) {
  SSE__HELD(stream->hub);
  assert(stream->outq.count == 0);
  if (stream->cursor < stream->hub->reset.seq) return tell_restart(stream, spare, now_ms);
  if (!stream->sub.heartbeat_due) return 0;
  int error = sse__outq_open(stream, spare);
  if (error) return error;
  add_heartbeat(stream);
  stream->sub.heartbeat_due = false;
  sse__outq_close(stream, spare);
  return stream->outq.count;
}

bool sse__cursor_finishing(const struct sse_stream *stream) {
  uint32_t i = 0;
  while (i < stream->subscription_count && sse__subscriptions(stream)[i].u.in.feed->finished) i++;
  return i > 0 && i == stream->subscription_count;
}

bool sse__cursor_behind(const struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__stretch frames =
        sse__window_stretch(&sse__subscriptions(stream)[i].channel->window);
    if (sse__stretch_after(&frames, stream->cursor) < frames.count) return true;
  }
  return false;
}

bool sse__cursor_finished(const struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  uint32_t i = 0;
  while (i < stream->subscription_count && sse__subscriptions(stream)[i].channel->finished) i++;
  if (i == 0 || i < stream->subscription_count || sse__request_due(stream) != UINT64_MAX)
    return false;
  return !sse__gap_due(stream, 0) && !sse__cursor_behind(stream);
}

/* Whether no feed has, or lost, something that the snapshot does not give the stream. */
static inline bool in_step(const struct sse_stream *stream) {
  const struct sse__subscription *subscriptions = sse__subscriptions(stream);
  bool finishing = stream->subscription_count > 0;
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    const struct sse__loop_feed *feed = subscriptions[i].u.in.feed;
    finishing &= feed->finished;
    if (stream->cursor < feed->base) return false;
    if (feed->in_round && feed->evicted > stream->cursor &&
        (feed->keyed || feed->evicted > subscriptions[i].gap_reported)) {
      return false;
    }
  }
  return !finishing;
}

/* Every second look of a host finds the snapshot consumed, so this case comes first. */
static bool nothing_due(const struct sse_stream *stream, uint64_t head, int64_t now_ms) {
  return stream->cursor >= head && !stream->sub.heartbeat_due && !id_is_stale(stream, now_ms);
}

/*
 * The same of a stream that has many channels, or that must look at the hub. Of many channels no
 * search is needed if a merge of this snapshot goes on, for which it was; or if the cursor is at or
 * above the base of each feed, and all that a feed of the snapshot lost.
 */
static bool in_step_wide(struct sse_stream *stream) {
  if (stream->backfill || stream->live_only || stream->queued) return false;
  if (sse__order_of(stream, false)) return true;
  if (stream->cursor < stream->sub.u.inbox->offered_max) return in_step(stream);
  return !sse__cursor_finishing(stream);
}

/*
 * A stream is caught up if the snapshot holds everything that it needs next. A stream that was
 * opened during the iteration stays queued until the next one, whose snapshot takes chunked streams
 * into account.
 */
int sse__cursor_step_round(struct sse_stream *stream, struct sse__outq_array **spare,
                           const struct sse__point *head, int64_t now_ms) {
  if (stream->backfill || (stream->live_only || stream->queued || stream->wide)) {
    if (!in_step_wide(stream)) return SSE_EAGAIN;
  } else if (!in_step(stream)) {
    return SSE_EAGAIN;
  }
  if (nothing_due(stream, head->seq, now_ms)) return 0;
  int error = sse__outq_open(stream, spare);
  if (error) return error;
  stream->outq.borrowed = true;
  int count = serve(stream, false, head, now_ms);
  sse__outq_close(stream, spare);
  return count;
}
