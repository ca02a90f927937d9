/* SPDX-License-Identifier: MIT */
/* backfill.c: events that a channel already published, given to an open stream out of order. */
#include "stream/backfill.h"

#include <assert.h>

#include "hub/merge.h"
#include "stream/bare.h"
#include "stream/control.h"
#include "stream/outq.h"

/* The highest number whose eviction is a loss. A state lacks nothing without a tombstone. */
static struct sse__point highest_lost(const struct sse__channel *channel) {
  return channel->window.keys ? channel->window.state_lost : channel->window.evicted;
}

struct sse__backfill_part sse__backfill_part(struct sse__channel *channel) {
  return (struct sse__backfill_part){.channel = channel,
                                     .last = sse__window_last(&channel->window),
                                     .keyed = channel->window.keys,
                                     .evicted = highest_lost(channel),
                                     .missing = sse__channel_state_lost(channel)};
}

/* Adds a backfill without parts to the end of the list. NULL without memory. */
static struct sse__backfill *append_backfill(struct sse_stream *stream, uint64_t above,
                                             uint64_t upto, uint32_t parts) {
  struct sse__backfill **at = &stream->backfill, *backfill;
  size_t bytes = parts * (sizeof *backfill->parts + sizeof *backfill->turns);
  backfill = sse__mem_new(&stream->hub->mem, sizeof *backfill + bytes);
  if (!backfill) return NULL;
  *backfill = (struct sse__backfill){.sent_upto = above, .end = upto};
  backfill->turns = (struct sse__turn *)(backfill->parts + parts);
  backfill->opened = above >= upto; /* with no events it is only the last position */
  while (*at) at = &(*at)->next;
  *at = backfill;
  return backfill;
}

/* Where a backfill begins. With numbers of a log, what is not for the stream is left out later. */
static uint64_t first_after(struct sse_stream *stream, uint64_t above) {
  const struct sse__limits *limits = sse__stream_limits(stream);
  bool raised = limits && !stream->hub->numbers_given && limits->not_before > above;
  return raised ? limits->not_before : above;
}

/* A channel that has been conflated only since a call has not lost anything of a state. */
int sse__backfill_add(struct sse_stream *stream, const struct sse__backfill_part *part,
                      uint64_t above, uint64_t upto) {
  SSE__HELD(stream->hub);
  struct sse__backfill *backfill = append_backfill(stream, first_after(stream, above), upto, 1);
  if (!backfill) return SSE_ENOMEM;
  backfill->parts[backfill->count++] = *part;
  bool state = part->keyed && part->channel->window.keys;
  bool lost = state && part->missing.seq > stream->hub->reset.seq;
  if (lost && !sse__stream_excludes(stream, part->missing)) backfill->parts[0].lost = true;
  return SSE_OK;
}

/* Whether a channel's state has something above a number, up to another. */
static bool has_state(const struct sse__channel *channel, uint64_t above, uint64_t upto) {
  if (!channel->window.keys) return false;
  struct sse__stretch slots = sse__window_stretch(&channel->window);
  return sse__stretch_after(&slots, upto) > sse__stretch_after(&slots, above);
}

int sse__backfill_add_state(struct sse_stream *stream, uint64_t above, uint64_t upto) {
  SSE__HELD(stream->hub);
  const struct sse__subscription *subscriptions = sse__subscriptions(stream);
  uint32_t count = 0;
  for (uint32_t i = 0; i < stream->subscription_count; i++)
    count += has_state(subscriptions[i].channel, above, upto);
  if (count == 0) return SSE_OK;
  struct sse__backfill *backfill = append_backfill(stream, above, upto, count);
  if (!backfill) return SSE_ENOMEM;
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__channel *channel = subscriptions[i].channel;
    if (has_state(channel, above, upto))
      backfill->parts[backfill->count++] = sse__backfill_part(channel);
  }
  return SSE_OK;
}

static void backfill_pop(struct sse_stream *stream) {
  struct sse__backfill *first = stream->backfill;
  stream->backfill = first->next;
  sse__mem_free(&stream->hub->mem, first);
}

void sse__backfill_drop(struct sse_stream *stream, const struct sse__channel *channel) {
  struct sse__backfill **at = &stream->backfill;
  while (*at) {
    struct sse__backfill *backfill = *at;
    if (channel && backfill->parts[0].channel != channel) {
      at = &backfill->next;
      continue;
    }
    *at = backfill->next;
    sse__mem_free(&stream->hub->mem, backfill);
  }
}

void sse__backfill_requeue(struct sse_stream *stream, uint64_t seq) {
  SSE__HELD(stream->hub);
  struct sse__backfill *backfill = stream->backfill;
  if (!backfill) return;
  assert(backfill->opened && seq > 0 && seq <= backfill->sent_upto);
  backfill->sent_upto = seq - 1;
  backfill->sorted = false;
}

/* ---- positions ---- */

static int add_block(struct sse_stream *stream, const struct sse__control *block) {
  struct sse__frame *frame;
  int error = sse__control_new(&frame, stream, block);
  if (error) return error;
  if (frame) sse__outq_add(stream, frame);
  return SSE_OK;
}

static int write_opening(struct sse_stream *stream, struct sse__backfill *backfill) {
  const struct sse__control block = {
      .retry_ms = SSE_NEVER, .position = true, .at = sse__stream_point(stream), .unfinished = true};
  int error = add_block(stream, &block);
  if (!error) backfill->opened = true;
  return error;
}

static bool backfill_lost(const struct sse__backfill *backfill) {
  uint32_t i = 0;
  while (i < backfill->count && !backfill->parts[i].lost) i++;
  return i < backfill->count;
}

/*
 * The last position, or a gap if an event was evicted before it was given. A stream that is ahead is
 * dismissed: what comes up to its number is not in the backfill, so the mark stays.
 */
static int write_closing(struct sse_stream *stream, const struct sse__backfill *backfill) {
  bool lost = backfill_lost(backfill);
  bool more = backfill->next && !backfill->next->opened;
  const struct sse__gap gap = {.reason = SSE_GAP_EVICTED,
                               .channels = SSE__GAP_PARTS,
                               .parts = backfill->parts,
                               .parts_count = backfill->count,
                               .lost = SSE__UNKNOWN};
  const struct sse__control block = {.retry_ms = SSE_NEVER,
                                     .gap = lost ? &gap : NULL,
                                     .position = true,
                                     .at = sse__stream_point(stream),
                                     .unfinished = more || stream->ahead};
  int error = add_block(stream, &block);
  if (error) return error;
  if (lost) stream->hub->counters.gaps[gap.reason]++;
  if (more) {
    backfill->next->opened = true; /* it is also the first position of the next backfill */
  } else if (stream->position != SSE_POSITION_OFF || lost) {
    stream->id_behind = false;
  }
  backfill_pop(stream);
  return SSE_OK;
}

/* ---- events ---- */

/* Notes what a part lost since it was last looked at, of what is still to be given. */
static void note_loss(struct sse_stream *stream, struct sse__backfill_part *part,
                      uint64_t sent_upto) {
  struct sse__point evicted = highest_lost(part->channel);
  bool more = evicted.seq > part->evicted.seq && evicted.seq > sent_upto;
  if (sent_upto < part->last && more && !sse__stream_excludes(stream, evicted)) part->lost = true;
  part->evicted = evicted;
}

/* Any part may have the next event: what each has is found out when its turn comes. */
static void sort_parts(struct sse__backfill *backfill) {
  for (uint32_t i = 0; i < backfill->count; i++)
    backfill->turns[i] = (struct sse__turn){backfill->sent_upto + 1, i};
  backfill->turns_count = backfill->count;
  backfill->sorted = true;
}

/* Adds an event without its id, unless it is not for the stream. A state has no deleted keys. */
static void add_event(struct sse_stream *stream, const struct sse__channel *channel,
                      struct sse__frame *frame, size_t *bytes) {
  if (frame->tombstone && channel->window.keys) return;
  if (sse__stream_excludes(stream, (struct sse__point){frame->seq, frame->number})) return;
  if (!sse__limits_pass(stream, channel, frame)) return;
  sse__bare_add(stream, frame);
  *bytes += frame->len;
}

/* What a step has done so far. */
struct share {
  size_t bytes, passed, turns;
};

/*
 * Whether a part comes first at the number of one of its slots, which becomes that of its turn. An
 * event of several channels is given once: its other slots are passed over.
 */
static bool is_first(struct sse__backfill *backfill, uint64_t seq) {
  struct sse__turn *turn = backfill->turns;
  if (turn->seq == seq) return true;
  turn->seq = seq;
  return seq < sse__turns_second(turn, backfill->turns_count);
}

/*
 * Adds what the first part has before the next one's turn: 0 when the part is done with that,
 * SSE_EAGAIN if the step has to give way, or 1 if the array is full.
 */
static int take_turn(struct sse_stream *stream, struct sse__backfill *backfill, struct share *share,
                     int64_t now_ms) {
  struct sse__turn *turn = backfill->turns;
  struct sse__backfill_part *part = &backfill->parts[turn->place];
  if (!sse__channel_expire(&stream->hub->channels, part->channel, now_ms)) return SSE_EAGAIN;
  note_loss(stream, part, backfill->sent_upto);
  struct sse__stretch slots = sse__window_stretch(&part->channel->window);
  sse__stretch_above(&slots, turn->seq - 1);
  for (; slots.count > 0; sse__stretch_drop_first(&slots)) {
    const struct sse__slot *slot = sse__stretch_at(&slots, 0);
    if (slot->seq > backfill->end) break;
    if (!is_first(backfill, slot->seq)) {
      sse__turns_settle(turn, backfill->turns_count);
      return SSE_OK;
    }
    if (slot->seq <= backfill->sent_upto) continue;
    if (sse__outq_room(stream) == 0 || share->bytes >= SSE__STEP_BYTES_MAX) return 1;
    if (share->passed++ == SSE__STEP_FRAMES_MAX) return SSE_EAGAIN;
    if (!slot->frame) continue;
    add_event(stream, part->channel, slot->frame, &share->bytes);
    backfill->sent_upto = slot->seq;
  }
  backfill->turns_count = sse__turns_drop(turn, backfill->turns_count);
  return SSE_OK;
}

/*
 * Adds as many of the remaining events as the array holds: 0, or SSE_EAGAIN if the step has to give
 * way before.
 */
static int add_events(struct sse_stream *stream, struct sse__backfill *backfill, int64_t now_ms) {
  struct share share = {0, 0, 0};
  int result = SSE_OK;
  if (!backfill->sorted) sort_parts(backfill);
  while (backfill->turns_count > 0 && result == SSE_OK) {
    if (share.turns++ == SSE__STEP_FRAMES_MAX) return SSE_EAGAIN;
    result = take_turn(stream, backfill, &share, now_ms);
  }
  return result < 0 ? result : SSE_OK;
}

/*
 * A position is always the only frame of its step, so a requeue finds either a position or events.
 */
int sse__backfill_step(struct sse_stream *stream, int64_t now_ms) {
  SSE__HELD(stream->hub);
  assert(stream->outq.has_array && stream->outq.count == 0);
  while (stream->backfill && stream->outq.count == 0) {
    struct sse__backfill *backfill = stream->backfill;
    if (backfill->opened) {
      int left = add_events(stream, backfill, now_ms);
      if (stream->outq.count > 0) break;
      if (left) return left;
    }
    int error =
        backfill->opened ? write_closing(stream, backfill) : write_opening(stream, backfill);
    if (error) return error;
  }
  return stream->outq.count;
}
