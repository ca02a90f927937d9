/* SPDX-License-Identifier: MIT */
/* gap.c: when a stream must be given a gap, what the gap covers, and its block. */
#include "stream/gap.h"

#include <assert.h>

#include "stream/membership.h"
#include "stream/outq.h"

/* ---- the backlog ---- */

/* Adds to `sum` what one subscription has above a number. */
static void backlog_add(const struct sse__subscription *subscription, uint64_t above,
                        struct sse__backlog *sum) {
  const struct sse__window *window = &subscription->channel->window;
  struct sse__stretch slots = sse__window_stretch(window);
  size_t place = sse__stretch_after(&slots, above);
  while (place < slots.count && !sse__stretch_at(&slots, place)->frame) place++;
  if (place == slots.count) return;
  const struct sse__frame *oldest = sse__stretch_at(&slots, place)->frame;
  int64_t born_ms = sse__frame_born_ms(oldest);
  sum->events += slots.count - place;
  sum->bytes += window->bytes_ever - oldest->bytes_before;
  if (born_ms < sum->born_min_ms) sum->born_min_ms = born_ms;
}

/* A single event never counts as too many bytes. */
static bool backlog_within(const struct sse_stream *stream, const struct sse__backlog *backlog,
                           uint64_t above) {
  struct sse__backlog sum = {0, 0, INT64_MAX};
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    backlog_add(&sse__subscriptions(stream)[i], above, &sum);
  }
  return sum.events <= backlog->events && (sum.bytes <= backlog->bytes || sum.events <= 1) &&
         sum.born_min_ms >= backlog->born_min_ms;
}

/*
 * The backlog above a higher number is never larger, so a binary search finds the first that fits.
 */
uint64_t sse__backlog_start(const struct sse_stream *stream, const struct sse__backlog *backlog,
                            uint64_t from) {
  SSE__HELD(stream->hub);
  uint64_t low = from, high = stream->hub->head;
  if (low >= high || backlog_within(stream, backlog, low)) return low;
  while (high - low > 1) {
    uint64_t middle = low + (high - low) / 2;
    if (backlog_within(stream, backlog, middle)) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return high;
}

/* ---- gaps ---- */

bool sse__gap_due(const struct sse_stream *stream, uint64_t floor) {
  SSE__HELD(stream->hub);
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    if (sse__subscription_lost(&sse__subscriptions(stream)[i], stream->cursor, floor)) return true;
  }
  return false;
}

uint64_t sse__gap_resume_at(const struct sse_stream *stream, uint64_t floor) {
  SSE__HELD(stream->hub);
  uint64_t above = stream->cursor > floor ? stream->cursor : floor;
  uint64_t lowest = sse__membership_head(stream);
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__stretch frames =
        sse__window_stretch(&sse__subscriptions(stream)[i].channel->window);
    size_t place = sse__stretch_after(&frames, above);
    if (place == frames.count) continue;
    uint64_t below = sse__stretch_at(&frames, place)->seq - 1;
    if (below < lowest) lowest = below;
  }
  return lowest;
}

/*
 * The number of events that were published to the channel up to where the subscription lost them.
 */
static uint64_t gone_ordinal(const struct sse__subscription *subscription, uint64_t floor) {
  return sse__window_ordinal(&subscription->channel->window,
                             sse__subscription_gone(subscription, floor));
}

/*
 * The number of events that were lost, over all subscriptions that lost some; SSE__UNKNOWN where
 * events supersede others.
 */
static uint64_t count_lost(struct sse_stream *stream, uint64_t floor) {
  const struct sse__limits *limits = sse__stream_limits(stream);
  uint64_t lost = 0;
  if (limits && limits->filter) return SSE__UNKNOWN; /* events that would not pass are no loss */
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    const struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    if (!sse__subscription_lost(subscription, stream->cursor, floor)) continue;
    if (subscription->channel->window.keys || subscription->delivered_count > SSE__ORDINAL_MAX)
      return SSE__UNKNOWN;
    lost += gone_ordinal(subscription, floor) - subscription->delivered_count;
  }
  return lost;
}

void sse__gap_mark_reported(struct sse_stream *stream, uint64_t floor) {
  SSE__HELD(stream->hub);
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    if (!sse__subscription_lost(subscription, stream->cursor, floor)) continue;
    const struct sse__window *window = &subscription->channel->window;
    subscription->gap_reported = sse__subscription_gone(subscription, floor);
    subscription->delivered_count = window->keys ? SSE__UNKNOWN - window->evicted_out_of_order_count
                                                 : gone_ordinal(subscription, floor);
  }
}

int sse__gap_new(struct sse_stream *stream, const struct sse__gap *gap,
                 const struct sse__control *opening, struct sse__frame **frame) {
  SSE__HELD(stream->hub);
  struct sse__control block = {.retry_ms = SSE_NEVER};
  if (opening) block = *opening;
  block.gap = gap;
  block.seq = sse__gap_resume_at(stream, gap->floor);
  assert(block.seq >= stream->cursor);
  int error = sse__control_new(frame, stream, &block);
  if (error) return error;
  stream->hub->counters.gaps[gap->reason]++;
  if (gap->lost != SSE__UNKNOWN) stream->hub->counters.lost_events += gap->lost;
  sse__gap_mark_reported(stream, gap->floor);
  stream->cursor = block.seq;
  stream->id_sent = block.unfinished ? 0 : block.seq;
  return SSE_OK;
}

uint64_t sse__gap_floor(struct sse_stream *stream, int64_t now_ms) {
  const struct sse__limits *limits = sse__stream_limits(stream);
  if (!limits) return 0;
  const struct sse__backlog backlog = {
      limits->lag_events, limits->lag_bytes,
      limits->lag_ms_limit == SSE_NEVER ? INT64_MIN : now_ms - limits->lag_ms_limit};
  return sse__backlog_start(stream, &backlog, stream->cursor);
}

int sse__gap_report(struct sse_stream *stream, uint64_t floor, int64_t now_ms) {
  SSE__HELD(stream->hub);
  const struct sse__limits *limits = sse__stream_limits(stream);
  struct sse__frame *frame;
  if (limits && limits->close) return SSE_ESLOW;
  const struct sse__gap gap = {
      .reason = SSE_GAP_SLOW, .lost = count_lost(stream, floor), .floor = floor};
  int error = sse__gap_new(stream, &gap, NULL, &frame);
  if (error) return error;
  sse__outq_add(stream, frame);
  stream->sub.live.id_ms = now_ms;
  return SSE_OK;
}
