/* SPDX-License-Identifier: MIT */
/* cursor.c: what a stream is given next, and how its cursor moves. */
#include "stream/cursor.h"

#include <assert.h>

#include "hub/merge.h"
#include "stream/backfill.h"
#include "stream/backlog.h"
#include "stream/gap.h"
#include "stream/membership.h"
#include "stream/outq.h"
#include "stream/request.h"

/* ---- the merge ---- */

/* A live step reads the two windows of a channel; a snapshot has both merged in one array. */
#define WINDOWS(live) ((live) ? 2u : 1u)

/* The frames of a subscription's channel: of one of its windows, or of the snapshot. */
static struct sse__stretch window_of(const struct sse__subscription *subscription, bool live,
                                     unsigned which) {
  const struct sse__window *window;
  if (!live) {
    const struct sse__loop_feed *feed = subscription->u.in.feed;
    return (struct sse__stretch){feed->slots, SIZE_MAX, 0, feed->in_round ? feed->slots_count : 0};
  }
  window = which == 0 ? &subscription->channel->window : subscription->channel->ephemeral;
  return window ? sse__window_stretch(window) : (struct sse__stretch){NULL, 0, 0, 0};
}

static struct sse__merge find_next(struct sse_stream *stream, bool live, uint64_t head) {
  struct sse__merge next = sse__merge_start(head);
  struct sse__subscription *subscriptions = sse__subscriptions(stream);
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    /* A stream may have many channels, of which few are in a round. */
    if (!live && !subscriptions[i].u.in.feed->in_round) continue;
    for (unsigned which = 0; which < WINDOWS(live); which++) {
      struct sse__stretch slots = window_of(&subscriptions[i], live, which);
      sse__merge_offer(&next, &subscriptions[i], slots, stream->cursor, head);
    }
  }
  return next;
}

/* Counts one more event that the stream was given of a channel. */
static void count_one(struct sse__subscription *subscription) {
  if (subscription->delivered_count <= SSE__ORDINAL_MAX) subscription->delivered_count++;
}

/* Counts a shared event in the other channels that it was published to. */
static void count_shared(struct sse_stream *stream, bool live,
                         const struct sse__subscription *counted) {
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    struct sse__stretch frames = window_of(subscription, live, 0);
    size_t after = sse__stretch_after(&frames, stream->cursor);
    if (subscription == counted || after == 0) continue;
    if (sse__stretch_at(&frames, after - 1)->seq == stream->cursor) count_one(subscription);
  }
}

/* Whether a frame is for this stream: an ephemeral event is only if it came after the open. */
static bool stream_wants(struct sse_stream *stream, const struct sse__subscription *subscription,
                         const struct sse__frame *frame) {
  if (frame->ephemeral && frame->seq <= stream->opened_at) return false;
  return !(stream->has & SSE__HAS_LIMITS) || sse__limits_pass(stream, subscription->channel, frame);
}

/* Adds one frame if it is for this stream. The cursor has moved over it in either case. */
static void pass_frame(struct sse_stream *stream, bool live, struct sse__subscription *subscription,
                       struct sse__frame *frame) {
  if (!frame->ephemeral) {
    count_one(subscription);
    if (frame->body) count_shared(stream, live, subscription);
  }
  if (!stream_wants(stream, subscription, frame)) return;
  if (live) {
    sse__outq_add_held(stream, frame);
  } else {
    sse__outq_add(stream, frame);
  }
  if (!frame->ephemeral) stream->id_sent = frame->seq;
}

/*
 * Adds the frames of all channels in the order of their numbers, up to `head`, until the array is
 * full or the step has its bytes. Returns true if none is left.
 */
static bool merge(struct sse_stream *stream, bool live, uint64_t head) {
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
      if (!slot->frame) continue;
      pass_frame(stream, live, subscription, slot->frame);
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
      .retry_ms = SSE_NEVER, .position = true, .seq = stream->cursor};
  struct sse__frame *frame = NULL;
  if (stream->position != SSE_POSITION_OFF && !sse__control_new(&frame, stream, &block)) {
    stream->id_sent = stream->cursor;
  }
  return frame;
}

/* Whether the client's id has been behind for a heartbeat's time, whatever else was sent. */
static bool id_is_stale(const struct sse_stream *stream, int64_t now_ms) {
  const struct sse__liveness *live = &stream->sub.live;
  return stream->cursor > stream->id_sent && stream->position != SSE_POSITION_OFF &&
         live->heartbeat_ms != SSE_NEVER && live->id_ms + live->heartbeat_ms <= now_ms;
}

/*
 * Adds a position if the client's id is behind the cursor, even among frames without ids;
 * otherwise a heartbeat, if nothing else is sent. Without memory for a position, a heartbeat keeps
 * the connection open and the position follows at the next heartbeat. A stream with a backfill
 * still to come gets no position, since its client does not have everything up to the cursor.
 */
static void add_heartbeat(struct sse_stream *stream) {
  bool behind = stream->cursor > stream->id_sent && !stream->backfill;
  struct sse__frame *frame = behind ? position_block(stream) : NULL;
  if (!frame && stream->outq.count == 0) frame = stream->hub->heartbeat;
  if (frame) sse__outq_add(stream, frame);
}

/*
 * The second half of both steps: the merge, the move of the cursor to the head when everything was
 * added, and the heartbeat.
 */
static int serve(struct sse_stream *stream, bool live, uint64_t head, int64_t now_ms) {
  uint64_t before = stream->id_sent;
  bool all = merge(stream, live, head);
  if (all && stream->cursor < head) stream->cursor = head;
  bool due = stream->sub.heartbeat_due || id_is_stale(stream, now_ms);
  bool room = sse__outq_room(stream) > 0;
  if (due && room) add_heartbeat(stream);
  if (stream->id_sent > before) stream->sub.live.id_ms = now_ms;
  if (!all && stream->outq.count == 0) return SSE_EAGAIN;
  /* After a full array a position is still due; after events with ids a heartbeat is not. */
  stream->sub.heartbeat_due = due && !room && stream->cursor > stream->id_sent;
  return stream->outq.count;
}

/* ---- steps ---- */

/* One step with the stream's present channels. */
static int step_to(struct sse_stream *stream, struct sse__outq_array **spare, uint64_t head,
                   int64_t now_ms) {
  assert(stream->outq.count == 0 && stream->cursor <= head);
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__channel *channel = sse__subscriptions(stream)[i].channel;
    if (!sse__channel_expire(&stream->hub->channels, channel, now_ms)) return SSE_EAGAIN;
  }
  int error = sse__outq_open(stream, spare);
  if (error) return error;
  int count = stream->backfill ? sse__backfill_step(stream) : 0;
  if (count == 0) {
    uint64_t floor = stream->has & SSE__HAS_LIMITS ? sse__backlog_floor(stream, now_ms) : 0;
    if (floor > head) floor = head;
    if (sse__gap_due(stream, floor)) error = sse__gap_report(stream, floor, now_ms);
    count = error ? error : serve(stream, true, head, now_ms);
  }
  sse__outq_close(stream, spare);
  return count;
}

/*
 * Whether a gap reported losses above the cursor. A snapshot may still have these events,
 * which were evicted after it was taken.
 */
static bool gap_is_ahead(const struct sse_stream *stream) {
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    if (sse__subscriptions(stream)[i].gap_reported > stream->cursor) return true;
  }
  return false;
}

int sse__cursor_step_live(struct sse_stream *stream, struct sse__outq_array **spare,
                          int64_t now_ms) {
  SSE__HELD(stream->hub);
  for (;;) {
    /*
     * Requests come first: what a channel evicts after the stream left it is not lost to the
     * stream.
     */
    bool due = !stream->backfill && sse__request_due(stream) <= stream->cursor;
    int error = due ? sse__membership_run(stream, now_ms) : SSE_OK;
    if (error) return error;
    int count = step_to(stream, spare, sse__request_head(stream), now_ms);
    bool requested = sse__request_due(stream) != UINT64_MAX;
    stream->live_only = requested || gap_is_ahead(stream);
    if (count != 0 || !requested) return count;
  }
}

int sse__cursor_step_waiting(struct sse_stream *stream, struct sse__outq_array **spare) {
  SSE__HELD(stream->hub);
  assert(stream->outq.count == 0);
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

/*
 * Whether the stream is caught up: the snapshot holds everything that it needs next. A stream that
 * was opened during the iteration stays queued until the next one, whose snapshot takes chunked
 * streams into account.
 */
static bool in_step(const struct sse_stream *stream) {
  if (stream->backfill || (stream->live_only || stream->queued)) return false;
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

int sse__cursor_step_round(struct sse_stream *stream, struct sse__outq_array **spare, uint64_t head,
                           int64_t now_ms) {
  if (!in_step(stream)) return SSE_EAGAIN;
  if (nothing_due(stream, head, now_ms)) return 0;
  int error = sse__outq_open(stream, spare);
  if (error) return error;
  stream->outq.borrowed = true;
  int count = serve(stream, false, head, now_ms);
  sse__outq_close(stream, spare);
  return count;
}
