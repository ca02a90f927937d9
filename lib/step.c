/* SPDX-License-Identifier: MIT */
/* step.c: what comes next for a stream. */
#include "step.h"

#define LEND_BYTES ((size_t)256 << 10) /* after so many bytes no further frame is lent */

/* What a merge reads of a member's channel: the window, or the feed's part of a snapshot. */
typedef struct sse__stretch stretch_fn(const struct sse__member *member);

static struct sse__stretch of_window(const struct sse__member *member) {
  return sse__window_stretch(&member->channel->window);
}

static struct sse__stretch of_snapshot(const struct sse__member *member) {
  const struct sse__feed *feed = member->u.in.feed;
  size_t count = feed->in_round ? feed->frames_count : 0;
  return (struct sse__stretch){feed->frames, SIZE_MAX, 0, count, feed->first_ordinal};
}

/* The member whose next frame has the smallest number above S, and the smallest of the others. */
static struct sse__member *first_of(struct sse_stream *stream, stretch_fn *stretch_of,
                                    uint64_t *limit) {
  struct sse__member *best = NULL;
  uint64_t best_seq = UINT64_MAX;
  *limit = UINT64_MAX;
  for (uint32_t i = 0; i < stream->members_count; i++) {
    struct sse__stretch stretch = stretch_of(&stream->members[i]);
    size_t place = sse__stretch_after(&stretch, stream->cursor);
    if (place == stretch.count) continue;
    uint64_t seq = sse__stretch_at(&stretch, place)->seq;
    if (seq < best_seq) {
      *limit = best_seq;
      best_seq = seq;
      best = &stream->members[i];
    } else if (seq < *limit) {
      *limit = seq;
    }
  }
  return best;
}

typedef void lend_fn(struct sse_stream *stream, struct sse__frame *frame);

/*
 * Lends frames in the order of their numbers, over all channels: as many as the batch holds, or
 * some that are long. True if none is left.
 */
static bool merge(struct sse_stream *stream, stretch_fn *stretch_of, lend_fn *lend) {
  size_t bytes = 0;
  while (sse__lend_room(stream) > 0 && bytes < LEND_BYTES) {
    uint64_t limit;
    struct sse__member *member = first_of(stream, stretch_of, &limit);
    if (!member) return true;
    struct sse__stretch stretch = stretch_of(member);
    size_t place = sse__stretch_after(&stretch, stream->cursor);
    for (; place < stretch.count && sse__lend_room(stream) > 0 && bytes < LEND_BYTES; place++) {
      struct sse__frame *frame = sse__stretch_at(&stretch, place);
      if (frame->seq >= limit) break;
      lend(stream, frame);
      stream->cursor = frame->seq;
      member->had = stretch.first_ordinal + place;
      bytes += frame->len;
    }
  }
  return false;
}

/* ---- gaps ---- */

bool sse__step_lost(const struct sse_stream *stream) {
  for (uint32_t i = 0; i < stream->members_count; i++) {
    if (sse__member_lost(&stream->members[i], stream->cursor)) return true;
  }
  return false;
}

/* One less than the smallest number above S that a channel still has, or the head. */
static uint64_t resume_at(const struct sse_stream *stream) {
  uint64_t lowest = stream->hub->head;
  for (uint32_t i = 0; i < stream->members_count; i++) {
    struct sse__stretch frames = sse__window_stretch(&stream->members[i].channel->window);
    size_t place = sse__stretch_after(&frames, stream->cursor);
    if (place == frames.count) continue;
    uint64_t below = sse__stretch_at(&frames, place)->seq - 1;
    if (below < lowest) lowest = below;
  }
  return lowest;
}

/* How many events the members that lost some have lost together. */
static uint64_t count_lost(const struct sse_stream *stream) {
  uint64_t lost = 0;
  for (uint32_t i = 0; i < stream->members_count; i++) {
    const struct sse__member *member = &stream->members[i];
    if (!sse__member_lost(member, stream->cursor)) continue;
    if (member->had == SSE__UNKNOWN) return SSE__UNKNOWN;
    lost += sse__window_gone(&member->channel->window) - member->had;
  }
  return lost;
}

static void mark_told(struct sse_stream *stream) {
  for (uint32_t i = 0; i < stream->members_count; i++) {
    struct sse__member *member = &stream->members[i];
    const struct sse__window *window = &member->channel->window;
    if (!sse__member_lost(member, stream->cursor)) continue;
    member->announced = window->evicted;
    member->had = sse__window_gone(window);
  }
}

int sse__step_gap(struct sse_stream *stream, const struct sse__gap *gap,
                  const struct sse__block *opening, struct sse__frame **frame) {
  struct sse__block block = {NULL, SSE_NEVER, gap, false, resume_at(stream)};
  if (opening) {
    block.head = opening->head;
    block.retry_ms = opening->retry_ms;
  }
  int error = sse__block_new(frame, stream, &block);
  if (error) return error;
  mark_told(stream);
  stream->cursor = stream->id_sent = block.seq;
  return SSE_OK;
}

/* The gap that a client which did not keep up is told of. */
static int tell_gap(struct sse_stream *stream, int64_t now_ms) {
  struct sse__frame *frame;
  struct sse__gap gap = {"slow", NULL, false, count_lost(stream)};
  int error = sse__step_gap(stream, &gap, NULL, &frame);
  if (error) return error;
  sse__lend_add(stream, frame);
  stream->sub.live.id_ms = now_ms;
  return SSE_OK;
}

/* ---- after the merge ---- */

/*
 * A position is told where the client's id has fallen behind; else, into a silence, a heartbeat.
 * Without memory for a position a heartbeat keeps the connection, and the position has its turn
 * next time.
 */
static void beat(struct sse_stream *stream) {
  const struct sse__block block = {NULL, SSE_NEVER, NULL, true, stream->cursor};
  struct sse__frame *frame = NULL;
  if (stream->position != SSE_POSITION_OFF && stream->cursor > stream->id_sent &&
      !sse__block_new(&frame, stream, &block)) {
    stream->id_sent = stream->cursor;
  }
  sse__lend_add(stream, frame ? frame : stream->hub->heartbeat);
}

/* The second half of both steps: the merge, S to the head when all of it is lent, and the beat. */
static int serve(struct sse_stream *stream, stretch_fn *stretch_of, lend_fn *lend, uint64_t head,
                 int64_t now_ms) {
  uint64_t before = stream->cursor;
  bool all = merge(stream, stretch_of, lend);
  if (stream->cursor > before) {
    stream->id_sent = stream->cursor;
    stream->sub.live.id_ms = now_ms;
  }
  if (all && stream->cursor < head) stream->cursor = head;
  if (stream->sub.beat && stream->lent.count == 0) beat(stream);
  stream->sub.beat = false;
  return stream->lent.count;
}

/* ---- steps ---- */

int sse__step_live(struct sse_stream *stream, struct sse__batch **spare, int64_t now_ms) {
  int error = sse__lend_open(stream, spare);
  if (error) return error;
  for (uint32_t i = 0; i < stream->members_count; i++) {
    sse__channel_expire(&stream->hub->channels, stream->members[i].channel, now_ms);
  }
  if (sse__step_lost(stream)) error = tell_gap(stream, now_ms);
  if (error) {
    sse__lend_close(stream, spare);
    return error;
  }
  int count = serve(stream, of_window, sse__lend_hold, stream->hub->head, now_ms);
  sse__lend_close(stream, spare);
  return count;
}

/* Whether the snapshot holds all that the stream needs next. */
static bool in_step(const struct sse_stream *stream) {
  for (uint32_t i = 0; i < stream->members_count; i++) {
    const struct sse__member *member = &stream->members[i];
    const struct sse__feed *feed = member->u.in.feed;
    if (stream->cursor < feed->base) return false;
    if (feed->in_round && feed->evicted > stream->cursor && feed->evicted > member->announced) {
      return false;
    }
  }
  return true;
}

int sse__step_round(struct sse_stream *stream, struct sse__batch **spare, uint64_t head,
                    int64_t now_ms) {
  if (!in_step(stream)) return SSE_EAGAIN;
  int error = sse__lend_open(stream, spare);
  if (error) return error;
  stream->lent.borrowed = true;
  int count = serve(stream, of_snapshot, sse__lend_add, head, now_ms);
  sse__lend_close(stream, spare);
  return count;
}
