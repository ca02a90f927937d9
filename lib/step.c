/* SPDX-License-Identifier: MIT */
/* step.c: what comes next for a stream. */
#include "step.h"

#include "ask.h"
#include "part.h"
#include "recap.h"
#include "tail.h"
#include "terms.h"

#define LEND_BYTES ((size_t)256 << 10) /* after so many bytes no further frame is lent */
#define PASS_MAX   1024                /* frames that one step passes over */

/* ---- the merge ---- */

/* A live step reads a channel's two windows; a round has both in one row already. */
#define PARTS(live) ((live) ? 2u : 1u)

/* What a part of a member's channel has: of the windows, or of the snapshot. */
static struct sse__stretch part_of(const struct sse__member *member, bool live, unsigned part) {
  const struct sse__window *window;
  if (!live) {
    const struct sse__feed *feed = member->u.in.feed;
    return (struct sse__stretch){feed->slots, SIZE_MAX, 0, feed->in_round ? feed->slots_count : 0};
  }
  window = part == 0 ? &member->channel->window : member->channel->passing;
  return window ? sse__window_stretch(window) : (struct sse__stretch){NULL, 0, 0, 0};
}

/* Where the next frame stands, and up to which number no other part of the stream has one. */
struct next {
  struct sse__member *member; /* NULL: there is none */
  struct sse__stretch frames; /* from that frame on */
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
static void choose_of_two(struct next *next, struct sse__member *member,
                          struct sse__stretch *frames) {
  if (!sse__stretch_at(&next->frames, 0)->frame) {
    struct sse__stretch other = next->frames;
    next->member = member;
    next->frames = *frames;
    *frames = other;
  }
  drop_first(frames);
}

static struct next find_next(struct sse_stream *stream, bool live, uint64_t head) {
  struct next next = {NULL, {NULL, 0, 0, 0}, head + 1};
  struct sse__member *members = sse__members(stream);
  uint64_t lowest = UINT64_MAX;
  for (uint32_t i = 0; i < stream->members_count; i++) {
    /* Of many channels few are in a round. */
    if (!live && !members[i].u.in.feed->in_round) continue;
    for (unsigned part = 0; part < PARTS(live); part++) {
      struct sse__stretch frames = part_of(&members[i], live, part);
      if (!drop_had(&frames, stream->cursor)) continue;
      uint64_t seq = sse__stretch_at(&frames, 0)->seq;
      if (seq > head) continue;
      if (seq < lowest) {
        uint64_t limit = lowest < next.limit ? lowest : next.limit;
        next = (struct next){&members[i], frames, limit};
        lowest = seq;
        continue;
      }
      if (seq == lowest) choose_of_two(&next, &members[i], &frames);
      if (frames.count > 0 && sse__stretch_at(&frames, 0)->seq < next.limit) {
        next.limit = sse__stretch_at(&frames, 0)->seq;
      }
    }
  }
  return next;
}

/* It has had one event more of this channel. */
static void count_had(struct sse__member *member) {
  if (member->had <= SSE__ORDINAL_MAX) member->had++;
}

/* The same of the other channels that a shared event went to. */
static void count_shares(struct sse_stream *stream, bool live, const struct sse__member *counted) {
  for (uint32_t i = 0; i < stream->members_count; i++) {
    struct sse__member *member = &sse__members(stream)[i];
    struct sse__stretch frames = part_of(member, live, 0);
    size_t after = sse__stretch_after(&frames, stream->cursor);
    if (member == counted || after == 0) continue;
    if (sse__stretch_at(&frames, after - 1)->seq == stream->cursor) count_had(member);
  }
}

/* Whether a frame is for this stream: an ephemeral one only if the stream was there before it. */
static bool is_for(struct sse_stream *stream, const struct sse__member *member,
                   const struct sse__frame *frame) {
  if (frame->ephemeral && frame->seq <= stream->since) return false;
  return !(stream->parts & SSE__PART_TERMS) || sse__terms_pass(stream, member->channel, frame);
}

/* Passes one frame on. S has moved over it even if it is not for this stream. */
static void pass(struct sse_stream *stream, bool live, struct sse__member *member,
                 struct sse__frame *frame) {
  if (!frame->ephemeral) {
    count_had(member);
    if (frame->body) count_shares(stream, live, member);
  }
  if (!is_for(stream, member, frame)) return;
  if (live) {
    sse__lend_hold(stream, frame);
  } else {
    sse__lend_add(stream, frame);
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
  while ((next = find_next(stream, live, head)).member) {
    for (; next.frames.count > 0; drop_first(&next.frames)) {
      const struct sse__slot *slot = sse__stretch_at(&next.frames, 0);
      if (slot->seq >= next.limit) break;
      if (sse__lend_room(stream) == 0 || bytes >= LEND_BYTES || passed++ == PASS_MAX) return false;
      stream->cursor = slot->seq;
      if (!slot->frame) continue;
      pass(stream, live, next.member, slot->frame);
      bytes += slot->frame->len;
    }
    if (next.limit > head) break; /* no other part has a frame, so it need not be looked for */
  }
  return true;
}

/* ---- gaps ---- */

bool sse__step_lost(const struct sse_stream *stream, uint64_t floor) {
  for (uint32_t i = 0; i < stream->members_count; i++) {
    if (sse__member_lost(&sse__members(stream)[i], stream->cursor, floor)) return true;
  }
  return false;
}

/* Up to where a stream goes on as it is: to the head, or to where it is to change its channels. */
static uint64_t head_of(const struct sse_stream *stream) {
  uint64_t due = sse__asks_due(stream), head = stream->hub->head;
  return due < head ? due : head;
}

uint64_t sse__step_resume(const struct sse_stream *stream, uint64_t floor) {
  uint64_t above = stream->cursor > floor ? stream->cursor : floor;
  uint64_t lowest = head_of(stream);
  for (uint32_t i = 0; i < stream->members_count; i++) {
    struct sse__stretch frames = sse__window_stretch(&sse__members(stream)[i].channel->window);
    size_t place = sse__stretch_after(&frames, above);
    if (place == frames.count) continue;
    uint64_t below = sse__stretch_at(&frames, place)->seq - 1;
    if (below < lowest) lowest = below;
  }
  return lowest;
}

/* How many events were appended to a member's channel up to what it will not get any more. */
static uint64_t gone_ordinal(const struct sse__member *member, uint64_t floor) {
  return sse__window_ordinal(&member->channel->window, sse__member_gone(member, floor));
}

/*
 * How many events the members that lost some have lost together. Where events supersede others
 * nobody can tell.
 */
static uint64_t count_lost(struct sse_stream *stream, uint64_t floor) {
  const struct sse__terms *terms = sse__part_terms(stream);
  uint64_t lost = 0;
  if (terms && terms->filter) return SSE__UNKNOWN; /* nobody knows which it would have got */
  for (uint32_t i = 0; i < stream->members_count; i++) {
    const struct sse__member *member = &sse__members(stream)[i];
    if (!sse__member_lost(member, stream->cursor, floor)) continue;
    if (member->channel->window.keys || member->had > SSE__ORDINAL_MAX) return SSE__UNKNOWN;
    lost += gone_ordinal(member, floor) - member->had;
  }
  return lost;
}

void sse__step_forgive(struct sse_stream *stream, uint64_t floor) {
  for (uint32_t i = 0; i < stream->members_count; i++) {
    struct sse__member *member = &sse__members(stream)[i];
    if (!sse__member_lost(member, stream->cursor, floor)) continue;
    const struct sse__window *window = &member->channel->window;
    member->announced = sse__member_gone(member, floor);
    member->had = window->keys ? SSE__UNKNOWN - window->late_count : gone_ordinal(member, floor);
  }
}

int sse__step_gap(struct sse_stream *stream, const struct sse__gap *gap,
                  const struct sse__block *opening, struct sse__frame **frame) {
  struct sse__block block = {.retry_ms = SSE_NEVER};
  if (opening) block = *opening;
  block.gap = gap;
  block.seq = sse__step_resume(stream, gap->floor);
  int error = sse__block_new(frame, stream, &block);
  if (error) return error;
  stream->hub->tally.gaps[gap->reason]++;
  if (gap->lost != SSE__UNKNOWN) stream->hub->tally.lost_events += gap->lost;
  sse__step_forgive(stream, gap->floor);
  stream->cursor = block.seq;
  stream->id_sent = block.unfinished ? 0 : block.seq;
  return SSE_OK;
}

uint64_t sse__step_floor(struct sse_stream *stream, int64_t now_ms) {
  const struct sse__terms *terms = sse__part_terms(stream);
  if (!terms) return 0;
  const struct sse__tail tail = {terms->behind_events, terms->behind_bytes,
                                 terms->behind_ms == SSE_NEVER ? INT64_MIN
                                                               : now_ms - terms->behind_ms};
  return sse__tail_start(stream, &tail, stream->cursor);
}

/* The gap that a client which did not keep up is told of. */
static int tell_gap(struct sse_stream *stream, uint64_t floor, int64_t now_ms) {
  const struct sse__terms *terms = sse__part_terms(stream);
  struct sse__frame *frame;
  if (terms && terms->close) return SSE_ESLOW;
  const struct sse__gap gap = {
      .reason = SSE_GAP_SLOW, .lost = count_lost(stream, floor), .floor = floor};
  int error = sse__step_gap(stream, &gap, NULL, &frame);
  if (error) return error;
  sse__lend_add(stream, frame);
  stream->sub.live.id_ms = now_ms;
  return SSE_OK;
}

/* ---- after the merge ---- */

/* The stream's position as a block; NULL if it is switched off, or without memory. */
static struct sse__frame *position_of(struct sse_stream *stream) {
  const struct sse__block block = {.retry_ms = SSE_NEVER, .position = true, .seq = stream->cursor};
  struct sse__frame *frame = NULL;
  if (stream->position != SSE_POSITION_OFF && !sse__block_new(&frame, stream, &block)) {
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
  bool behind = stream->cursor > stream->id_sent && !stream->recap;
  struct sse__frame *frame = behind ? position_of(stream) : NULL;
  if (!frame && stream->lent.count == 0) frame = stream->hub->heartbeat;
  if (frame) sse__lend_add(stream, frame);
}

/* The second half of both steps: the merge, S to the head when all of it is lent, and the beat. */
static int serve(struct sse_stream *stream, bool live, uint64_t head, int64_t now_ms) {
  uint64_t before = stream->id_sent;
  bool all = merge(stream, live, head);
  if (all && stream->cursor < head) stream->cursor = head;
  bool due = stream->sub.beat || id_is_stale(stream, now_ms);
  bool room = sse__lend_room(stream) > 0;
  if (due && room) beat(stream);
  if (stream->id_sent > before) stream->sub.live.id_ms = now_ms;
  if (!all && stream->lent.count == 0) return SSE_EAGAIN;
  /* Behind a full batch a position is still due; after events with ids a heartbeat is not. */
  stream->sub.beat = due && !room && stream->cursor > stream->id_sent;
  return stream->lent.count;
}

/* ---- steps ---- */

/* One step with the channels that the stream has now. */
static int step_to(struct sse_stream *stream, struct sse__batch **spare, uint64_t head,
                   int64_t now_ms) {
  int error = sse__lend_open(stream, spare);
  if (error) return error;
  for (uint32_t i = 0; i < stream->members_count; i++) {
    sse__channel_expire(&stream->hub->channels, sse__members(stream)[i].channel, now_ms);
  }
  int count = stream->recap ? sse__recap_step(stream) : 0;
  if (count == 0) {
    uint64_t floor = sse__step_floor(stream, now_ms);
    if (floor > head) floor = head;
    if (sse__step_lost(stream, floor)) error = tell_gap(stream, floor, now_ms);
    count = error ? error : serve(stream, true, head, now_ms);
  }
  sse__lend_close(stream, spare);
  return count;
}

int sse__step_live(struct sse_stream *stream, struct sse__batch **spare, int64_t now_ms) {
  for (;;) {
    /* What is due here comes first: what a channel loses after the stream left it is no loss. */
    bool due = !stream->recap && sse__asks_due(stream) <= stream->cursor;
    int error = due ? sse__asks_run(stream, now_ms) : SSE_OK;
    if (error) return error;
    int count = step_to(stream, spare, head_of(stream), now_ms);
    stream->asked = sse__asks_due(stream) != UINT64_MAX;
    if (count != 0 || !stream->asked) return count;
  }
}

int sse__step_wait(struct sse_stream *stream, struct sse__batch **spare) {
  if (!stream->sub.beat) return 0;
  int error = sse__lend_open(stream, spare);
  if (error) return error;
  beat(stream);
  stream->sub.beat = false;
  sse__lend_close(stream, spare);
  return stream->lent.count;
}

bool sse__step_finishing(const struct sse_stream *stream) {
  uint32_t i = 0;
  while (i < stream->members_count && sse__members(stream)[i].u.in.feed->finished) i++;
  return i > 0 && i == stream->members_count;
}

bool sse__step_behind(const struct sse_stream *stream) {
  for (uint32_t i = 0; i < stream->members_count; i++) {
    struct sse__stretch frames = sse__window_stretch(&sse__members(stream)[i].channel->window);
    if (sse__stretch_after(&frames, stream->cursor) < frames.count) return true;
  }
  return false;
}

bool sse__step_finished(const struct sse_stream *stream) {
  uint32_t i = 0;
  while (i < stream->members_count && sse__members(stream)[i].channel->finished) i++;
  if (i == 0 || i < stream->members_count || sse__asks_due(stream) != UINT64_MAX) return false;
  return !sse__step_lost(stream, 0) && !sse__step_behind(stream);
}

/* Whether the snapshot holds all that the stream needs next. */
static bool in_step(const struct sse_stream *stream) {
  if (stream->recap || stream->asked) return false;
  const struct sse__member *members = sse__members(stream);
  bool finishing = stream->members_count > 0;
  for (uint32_t i = 0; i < stream->members_count; i++) {
    const struct sse__feed *feed = members[i].u.in.feed;
    finishing &= feed->finished;
    if (stream->cursor < feed->base) return false;
    if (feed->in_round && feed->evicted > stream->cursor &&
        (feed->keyed || feed->evicted > members[i].announced)) {
      return false;
    }
  }
  return !finishing;
}

/* The host looks once more when all of a round is taken, which is half of all looks. */
static bool nothing_due(const struct sse_stream *stream, uint64_t head, int64_t now_ms) {
  return stream->cursor >= head && !stream->sub.beat && !id_is_stale(stream, now_ms);
}

int sse__step_round(struct sse_stream *stream, struct sse__batch **spare, uint64_t head,
                    int64_t now_ms) {
  if (!in_step(stream)) return SSE_EAGAIN;
  if (nothing_due(stream, head, now_ms)) return 0;
  int error = sse__lend_open(stream, spare);
  if (error) return error;
  stream->lent.borrowed = true;
  int count = serve(stream, false, head, now_ms);
  sse__lend_close(stream, spare);
  return count;
}
