/* SPDX-License-Identifier: MIT */
/* gap.c: when a stream must be given a gap, what the gap covers, and its block. */
#include "stream/gap.h"

#include <assert.h>

#include "stream/outq.h"
#include "stream/request.h"

/*
 * Whether a subscription lost something, and where it ends. The end, for which the requests must be
 * searched, can only make the loss smaller.
 */
static bool lost_here(const struct sse_stream *stream, const struct sse__subscription *subscription,
                      uint64_t floor, const struct sse__subscription_end **end) {
  *end = NULL;
  if (!sse__subscription_lost(subscription, stream->cursor, floor, NULL)) return false;
  *end = sse__request_end(stream, subscription);
  return !*end || sse__subscription_lost(subscription, stream->cursor, floor, *end);
}

bool sse__gap_due(const struct sse_stream *stream, uint64_t floor) {
  SSE__HELD(stream->hub);
  const struct sse__subscription_end *end;
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    if (lost_here(stream, &sse__subscriptions(stream)[i], floor, &end)) return true;
  }
  return false;
}

bool sse__gap_due_of(const struct sse_stream *stream,
                     const struct sse__subscription *subscription) {
  const struct sse__subscription_end *end;
  SSE__HELD(stream->hub);
  return lost_here(stream, subscription, 0, &end);
}

/*
 * Lowers a point to right below the first frame from a place of a window on. With its own numbers
 * the hub knows that of each slot, also if its frame was superseded.
 */
static void lower_to_frame(const struct sse_hub *hub, const struct sse__stretch *frames,
                           size_t place, struct sse__point *lowest) {
  const struct sse__slot *slot = sse__stretch_at(frames, place);
  if (!hub->numbers_given) {
    if (slot->seq <= lowest->seq) *lowest = (struct sse__point){slot->seq - 1, slot->seq - 1};
    return;
  }
  while (!slot->frame && ++place < frames->count) slot = sse__stretch_at(frames, place);
  if (slot->frame && slot->seq <= lowest->seq) *lowest = sse__frame_below(slot->frame);
}

struct sse__point sse__gap_resume_at(const struct sse_stream *stream, uint64_t floor) {
  SSE__HELD(stream->hub);
  uint64_t above = stream->cursor > floor ? stream->cursor : floor;
  struct sse__point lowest = sse__request_head(stream);
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__stretch frames =
        sse__window_stretch(&sse__subscriptions(stream)[i].channel->window);
    size_t place = sse__stretch_after(&frames, above);
    if (place == frames.count) continue;
    lower_to_frame(stream->hub, &frames, place, &lowest);
  }
  return lowest;
}

/* The number of events that were lost, over all subscriptions that lost some; or SSE__UNKNOWN. */
static uint64_t count_lost(struct sse_stream *stream, uint64_t floor) {
  const struct sse__limits *limits = sse__stream_limits(stream);
  bool alone = stream->subscription_count == 1 && sse__request_due(stream) == UINT64_MAX;
  uint64_t sum = 0;
  if (limits && limits->filter) return SSE__UNKNOWN; /* events that would not pass are no loss */
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    const struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    const struct sse__subscription_end *end;
    if (!lost_here(stream, subscription, floor, &end)) continue;
    uint64_t lost = sse__subscription_count_lost(subscription, stream->cursor, floor, end, alone);
    if (lost == SSE__UNKNOWN) return SSE__UNKNOWN;
    sum += lost;
  }
  return sum;
}

void sse__gap_mark_reported(struct sse_stream *stream, uint64_t floor) {
  SSE__HELD(stream->hub);
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    const struct sse__subscription_end *end;
    if (lost_here(stream, subscription, floor, &end))
      sse__subscription_mark_reported(subscription, stream->cursor, floor, end);
  }
}

int sse__gap_new(struct sse_stream *stream, const struct sse__gap *gap,
                 const struct sse__control *opening, struct sse__frame **frame) {
  SSE__HELD(stream->hub);
  struct sse__control block = {.retry_ms = SSE_NEVER};
  if (opening) block = *opening;
  block.gap = gap;
  block.at = sse__gap_resume_at(stream, gap->floor);
  assert(block.at.seq >= stream->cursor);
  uint64_t number = sse__stream_point(stream).number;
  if (block.at.number < number) block.at.number = number; /* SSE__HAS_NUMBER */
  int error = sse__control_new(frame, stream, &block);
  if (error) return error;
  stream->hub->counters.gaps[gap->reason]++;
  if (gap->lost != SSE__UNKNOWN) stream->hub->counters.lost_events += gap->lost;
  sse__gap_mark_reported(stream, gap->floor);
  sse__stream_move(stream, block.at);
  stream->id_behind = block.unfinished;
  return SSE_OK;
}

/* Whether a stream lacks what the log lost before the hub read it, and does not know. */
static bool skipped_here(const struct sse_stream *stream) {
  if (stream->hub->channels.history.skipped.seq <= stream->cursor) return false;
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    const struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    const struct sse__subscription_end *end = sse__request_end(stream, subscription);
    if (sse__subscription_skipped(subscription, stream->cursor, end)) return true;
  }
  return false;
}

/* Adds a gap above the cursor, of which everything is known that is not in `gap`. */
static int add_gap(struct sse_stream *stream, const struct sse__gap *gap, int64_t now_ms) {
  struct sse__frame *frame;
  int error = sse__gap_new(stream, gap, NULL, &frame);
  if (error) return error;
  sse__outq_add(stream, frame);
  stream->sub.live.id_ms = now_ms;
  return SSE_OK;
}

int sse__gap_report(struct sse_stream *stream, uint64_t floor, int64_t now_ms) {
  SSE__HELD(stream->hub);
  const struct sse__limits *limits = sse__stream_limits(stream);
  bool skipped = skipped_here(stream);
  if (limits && limits->close && !skipped) return SSE_ESLOW;
  const struct sse__gap gap = {.reason = skipped ? SSE_GAP_EVICTED : SSE_GAP_SLOW,
                               .lost = count_lost(stream, floor),
                               .above = stream->cursor,
                               .floor = floor};
  return add_gap(stream, &gap, now_ms);
}

int sse__gap_restart(struct sse_stream *stream, int64_t now_ms) {
  SSE__HELD(stream->hub);
  struct sse__limits *limits = sse__stream_limits(stream);
  struct sse__point before = sse__stream_point(stream);
  sse__stream_move(stream, stream->hub->reset);
  const struct sse__gap gap = {.reason = SSE_GAP_RESTART,
                               .channels = SSE__GAP_ALL,
                               .lost = SSE__UNKNOWN,
                               .above = stream->cursor};
  int error = add_gap(stream, &gap, now_ms);
  if (error) {
    sse__stream_move(stream, before);
    return error;
  }
  stream->ahead = false;
  if (limits) limits->not_before = 0;
  sse__stream_count_delivered(stream, false);
  return SSE_OK;
}
