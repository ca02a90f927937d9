/* SPDX-License-Identifier: MIT */
/* cursor.c: what comes next for a stream. */
#include "stream/cursor.h"

#include "stream/backfill.h"
#include "stream/gap.h"
#include "stream/membership.h"
#include "stream/outq.h"

#define LEND_BYTES ((size_t)256 << 10) /* after so many bytes no further frame is lent */
#define PASS_MAX   1024                /* frames that one step passes over */

/* ---- the merge ---- */

/* A live step reads a channel's two windows; a round has both in one row already. */
#define PARTS(live) ((live) ? 2u : 1u)

/* What a part of a member's channel has: of the windows, or of the snapshot. */
static struct sse__stretch part_of(const struct sse__subscription *subscription, bool live,
                                   unsigned part) {
  const struct sse__window *window;
  if (!live) {
    const struct sse__loop_feed *feed = subscription->u.in.feed;
    return (struct sse__stretch){feed->slots, SIZE_MAX, 0, feed->in_round ? feed->slots_count : 0};
  }
  window = part == 0 ? &subscription->channel->window : subscription->channel->ephemeral;
  return window ? sse__window_stretch(window) : (struct sse__stretch){NULL, 0, 0, 0};
}

/* Where the next frame stands, and up to which number no other part of the stream has one. */
struct next {
  struct sse__subscription *subscription; /* NULL: there is none */
  struct sse__stretch frames;             /* from that frame on */
  uint64_t limit;
};

static void drop_first(struct sse__stretch *frames) {
  frames->first++;
  frames->count--;
}

/* Drops what is not above S; false if nothing is left. In step all of a snapshot is above. */
static inline bool drop_had(struct sse__stretch *frames, uint64_t cursor) {
  if (frames->count == 0) return false;
  if (sse__stretch_at(frames, 0)->seq > cursor) return true;
  size_t had = sse__stretch_after(frames, cursor);
  frames->first += had;
  frames->count -= had;
  return frames->count > 0;
}

/*
 * An event that went to several channels has one number in all of them, so only one of its parts is
 * chosen: one that still has it, where another has a newer one of its key. The other is looked at
 * behind that number.
 */
static void choose_of_two(struct next *next, struct sse__subscription *subscription,
                          struct sse__stretch *frames) {
  if (!sse__stretch_at(&next->frames, 0)->frame) {
    struct sse__stretch other = next->frames;
    next->subscription = subscription;
    next->frames = *frames;
    *frames = other;
  }
  drop_first(frames);
}

static struct next find_next(struct sse_stream *stream, bool live, uint64_t head) {
  struct next next = {NULL, {NULL, 0, 0, 0}, head + 1};
  struct sse__subscription *subscriptions = sse__subscriptions(stream);
  uint64_t lowest = UINT64_MAX;
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    /* Of many channels few are in a round. */
    if (!live && !subscriptions[i].u.in.feed->in_round) continue;
    for (unsigned part = 0; part < PARTS(live); part++) {
      struct sse__stretch frames = part_of(&subscriptions[i], live, part);
      if (!drop_had(&frames, stream->cursor)) continue;
      uint64_t seq = sse__stretch_at(&frames, 0)->seq;
      if (seq > head) continue;
      if (seq < lowest) {
        uint64_t limit = lowest < next.limit ? lowest : next.limit;
        next = (struct next){&subscriptions[i], frames, limit};
        lowest = seq;
        continue;
      }
      if (seq == lowest) choose_of_two(&next, &subscriptions[i], &frames);
      if (frames.count > 0 && sse__stretch_at(&frames, 0)->seq < next.limit) {
        next.limit = sse__stretch_at(&frames, 0)->seq;
      }
    }
  }
  return next;
}

/* It has had one event more of this channel. */
static void count_had(struct sse__subscription *subscription) {
  if (subscription->delivered_count <= SSE__ORDINAL_MAX) subscription->delivered_count++;
}

/* The same of the other channels that a shared event went to. */
static void count_shares(struct sse_stream *stream, bool live,
                         const struct sse__subscription *counted) {
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    struct sse__stretch frames = part_of(subscription, live, 0);
    size_t after = sse__stretch_after(&frames, stream->cursor);
    if (subscription == counted || after == 0) continue;
    if (sse__stretch_at(&frames, after - 1)->seq == stream->cursor) count_had(subscription);
  }
}

/* Whether a frame is for this stream: an ephemeral one only if the stream was there before it. */
static bool is_for(struct sse_stream *stream, const struct sse__subscription *subscription,
                   const struct sse__frame *frame) {
  if (frame->ephemeral && frame->seq <= stream->opened_at) return false;
  return !(stream->has & SSE__HAS_LIMITS) || sse__limits_pass(stream, subscription->channel, frame);
}

/* Passes one frame on. S has moved over it even if it is not for this stream. */
static void pass(struct sse_stream *stream, bool live, struct sse__subscription *subscription,
                 struct sse__frame *frame) {
  if (!frame->ephemeral) {
    count_had(subscription);
    if (frame->body) count_shares(stream, live, subscription);
  }
  if (!is_for(stream, subscription, frame)) return;
  if (live) {
    sse__outq_add_held(stream, frame);
  } else {
    sse__outq_add(stream, frame);
  }
  if (!frame->ephemeral) stream->id_sent = frame->seq;
}

/*
 * Lends frames in the order of their numbers, over all channels, up to a number: as many as the
 * batch holds, or some that are long. True if none is left.
 */
static bool merge(struct sse_stream *stream, bool live, uint64_t head) {
  size_t bytes = 0, passed = 0;
  struct next next;
  while ((next = find_next(stream, live, head)).subscription) {
    for (; next.frames.count > 0; drop_first(&next.frames)) {
      const struct sse__slot *slot = sse__stretch_at(&next.frames, 0);
      if (slot->seq >= next.limit) break;
      if (sse__outq_room(stream) == 0 || bytes >= LEND_BYTES || passed++ == PASS_MAX) return false;
      stream->cursor = slot->seq;
      if (!slot->frame) continue;
      pass(stream, live, next.subscription, slot->frame);
      bytes += slot->frame->len;
    }
    if (next.limit > head) break; /* no other part has a frame, so it need not be looked for */
  }
  return true;
}

/* ---- after the merge ---- */

/* The stream's position as a block; NULL if it is switched off, or without memory. */
static struct sse__frame *position_of(struct sse_stream *stream) {
  const struct sse__control block = {
      .retry_ms = SSE_NEVER, .position = true, .seq = stream->cursor};
  struct sse__frame *frame = NULL;
  if (stream->position != SSE_POSITION_OFF && !sse__control_new(&frame, stream, &block)) {
    stream->id_sent = stream->cursor;
  }
  return frame;
}

/* Whether the client's id has been behind for a heartbeat, however much else it was sent. */
static bool id_is_stale(const struct sse_stream *stream, int64_t now_ms) {
  const struct sse__liveness *live = &stream->sub.live;
  return stream->cursor > stream->id_sent && stream->position != SSE_POSITION_OFF &&
         live->heartbeat_ms != SSE_NEVER && live->id_ms + live->heartbeat_ms <= now_ms;
}

/*
 * A position is told where the client's id has fallen behind, also among frames that bring no id;
 * else, into a silence, a heartbeat. Without memory for a position a heartbeat keeps the
 * connection, and the position has its turn next time. One that waits with a state or a history
 * still to come must not be told that it is at S.
 */
static void beat(struct sse_stream *stream) {
  bool behind = stream->cursor > stream->id_sent && !stream->backfill;
  struct sse__frame *frame = behind ? position_of(stream) : NULL;
  if (!frame && stream->outq.count == 0) frame = stream->hub->heartbeat;
  if (frame) sse__outq_add(stream, frame);
}

/* The second half of both steps: the merge, S to the head when all of it is lent, and the beat. */
static int serve(struct sse_stream *stream, bool live, uint64_t head, int64_t now_ms) {
  uint64_t before = stream->id_sent;
  bool all = merge(stream, live, head);
  if (all && stream->cursor < head) stream->cursor = head;
  bool due = stream->sub.heartbeat_due || id_is_stale(stream, now_ms);
  bool room = sse__outq_room(stream) > 0;
  if (due && room) beat(stream);
  if (stream->id_sent > before) stream->sub.live.id_ms = now_ms;
  if (!all && stream->outq.count == 0) return SSE_EAGAIN;
  /* Behind a full batch a position is still due; after events with ids a heartbeat is not. */
  stream->sub.heartbeat_due = due && !room && stream->cursor > stream->id_sent;
  return stream->outq.count;
}

/* ---- steps ---- */

/* One step with the channels that the stream has now. */
static int step_to(struct sse_stream *stream, struct sse__outq_array **spare, uint64_t head,
                   int64_t now_ms) {
  int error = sse__outq_open(stream, spare);
  if (error) return error;
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    sse__channel_expire(&stream->hub->channels, sse__subscriptions(stream)[i].channel, now_ms);
  }
  int count = stream->backfill ? sse__backfill_step(stream) : 0;
  if (count == 0) {
    uint64_t floor = sse__gap_floor(stream, now_ms);
    if (floor > head) floor = head;
    if (sse__gap_due(stream, floor)) error = sse__gap_report(stream, floor, now_ms);
    count = error ? error : serve(stream, true, head, now_ms);
  }
  sse__outq_close(stream, spare);
  return count;
}

int sse__cursor_step_live(struct sse_stream *stream, struct sse__outq_array **spare,
                          int64_t now_ms) {
  for (;;) {
    /* What is due here comes first: what a channel loses after the stream left it is no loss. */
    bool due = !stream->backfill && sse__membership_due(stream) <= stream->cursor;
    int error = due ? sse__membership_run(stream, now_ms) : SSE_OK;
    if (error) return error;
    int count = step_to(stream, spare, sse__membership_head(stream), now_ms);
    stream->requested = sse__membership_due(stream) != UINT64_MAX;
    if (count != 0 || !stream->requested) return count;
  }
}

int sse__cursor_step_waiting(struct sse_stream *stream, struct sse__outq_array **spare) {
  if (!stream->sub.heartbeat_due) return 0;
  int error = sse__outq_open(stream, spare);
  if (error) return error;
  beat(stream);
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
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__stretch frames =
        sse__window_stretch(&sse__subscriptions(stream)[i].channel->window);
    if (sse__stretch_after(&frames, stream->cursor) < frames.count) return true;
  }
  return false;
}

bool sse__cursor_finished(const struct sse_stream *stream) {
  uint32_t i = 0;
  while (i < stream->subscription_count && sse__subscriptions(stream)[i].channel->finished) i++;
  if (i == 0 || i < stream->subscription_count || sse__membership_due(stream) != UINT64_MAX)
    return false;
  return !sse__gap_due(stream, 0) && !sse__cursor_behind(stream);
}

/*
 * Whether the snapshot holds all that the stream needs next. One that was opened during the round
 * stays queued until the next one, whose snapshot knows whether there are chunked streams.
 */
static bool in_step(const struct sse_stream *stream) {
  if (stream->backfill || (stream->requested || stream->queued)) return false;
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

/* The host looks once more when all of a round is taken, which is half of all looks. */
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
