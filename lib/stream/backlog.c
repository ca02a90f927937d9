/* SPDX-License-Identifier: MIT */
/* backlog.c: the events that a stream has not been given, and limits on them. */
#include "stream/backlog.h"

#include "hub/merge.h"
#include "stream/request.h"

/* The slots of a subscription's channel that are for the stream. */
static struct sse__stretch slots_of(const struct sse_stream *stream,
                                    const struct sse__subscription *subscription) {
  struct sse__stretch slots = sse__window_stretch(&subscription->channel->window);
  const struct sse__subscription_end *end = sse__request_end(stream, subscription);
  if (end) slots.count = sse__stretch_after(&slots, end->last);
  return slots;
}

/* What a stream has above a number. */
struct sum {
  uint64_t events, bytes;
  int64_t born_min_ms; /* when the oldest of the events was published */
};

static const struct sum no_events = {0, 0, INT64_MAX};

static void sum_add(struct sum *sum, uint64_t events, uint64_t bytes, int64_t born_ms) {
  sum->events += events;
  sum->bytes += bytes;
  if (born_ms < sum->born_min_ms) sum->born_min_ms = born_ms;
}

static bool is_within(const struct sum *sum, const struct sse__backlog *backlog) {
  return sum->events <= backlog->events && (sum->bytes <= backlog->bytes || sum->events <= 1) &&
         sum->born_min_ms >= backlog->born_min_ms;
}

/* ---- the estimate ---- */

/*
 * A sum over the channels takes a few steps for each. It is too high if a channel has slots whose
 * frames were superseded, or if several channels have the same event.
 */

/* Adds what one subscription has above a number; false if that may be too much. */
static bool estimate_add(const struct sse_stream *stream,
                         const struct sse__subscription *subscription, uint64_t above,
                         struct sum *sum) {
  const struct sse__window *window = &subscription->channel->window;
  struct sse__stretch slots = slots_of(stream, subscription);
  size_t place = sse__stretch_after(&slots, above);
  while (place < slots.count && !sse__stretch_at(&slots, place)->frame) place++;
  if (place == slots.count) return true;
  const struct sse__frame *oldest = sse__stretch_at(&slots, place)->frame;
  sum_add(sum, slots.count - place, window->bytes_ever - oldest->bytes_before,
          sse__frame_born_ms(oldest));
  bool cut = slots.count < window->count; /* then the bytes are too many */
  bool shared = window->shares > 0 && stream->subscription_count > 1;
  return !window->keys && !shared && !cut;
}

/* Whether the estimate above a number is within the limits, and whether it is exact. */
static bool estimate_within(const struct sse_stream *stream, const struct sse__backlog *backlog,
                            uint64_t above, bool *exact) {
  struct sum sum = no_events;
  *exact = true;
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    *exact &= estimate_add(stream, &sse__subscriptions(stream)[i], above, &sum);
  }
  return is_within(&sum, backlog);
}

/* The estimate above a higher number is never larger, so a binary search finds the first number at
 * which it is within the limits. It is not at `low`. */
static uint64_t search_start(const struct sse_stream *stream, const struct sse__backlog *backlog,
                             uint64_t low) {
  uint64_t high = stream->hub->head.seq;
  bool exact;
  while (high - low > 1) {
    uint64_t middle = low + (high - low) / 2;
    if (estimate_within(stream, backlog, middle, &exact)) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return high;
}

/* ---- counting ---- */

/* The newest slots of one channel: those above `limit` are the newest of all channels. */
struct newest {
  struct sse__stretch slots;
  uint64_t limit;
};

static uint64_t last_number(const struct sse__stretch *slots) {
  return sse__stretch_at(slots, slots->count - 1)->seq;
}

/* The channel with the highest number up to `upto`. Of an event of several channels, a slot that
 * still has the frame is chosen. */
static struct newest find_newest(const struct sse_stream *stream, uint64_t upto) {
  struct newest newest = {{NULL, 0, 0, 0}, 0};
  uint64_t highest = 0;
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__stretch slots = slots_of(stream, &sse__subscriptions(stream)[i]);
    slots.count = sse__stretch_after(&slots, upto);
    if (slots.count == 0) continue;
    uint64_t number = last_number(&slots);
    uint64_t below = number < highest ? number : highest;
    if (number == highest) {
      below = number - 1;
      if (sse__stretch_at(&newest.slots, newest.slots.count - 1)->frame) number = 0;
    }
    if (below > newest.limit) newest.limit = below;
    if (number < highest) continue;
    newest.slots = slots;
    highest = number;
  }
  return newest;
}

/*
 * Counts from the newest event down, until the limits are exceeded. It gives way after it has
 * searched many channels, and the estimate decides about what is left.
 */
static uint64_t count_start(const struct sse_stream *stream, const struct sse__backlog *backlog,
                            uint64_t from) {
  struct sum sum = no_events;
  uint64_t upto = stream->hub->head.seq;
  for (size_t searched = 0; upto > from; searched += stream->subscription_count) {
    if (searched > SSE__SEARCH_MAX) {
      uint64_t estimated = search_start(stream, backlog, from);
      return estimated < upto ? estimated : upto;
    }
    struct newest newest = find_newest(stream, upto);
    if (newest.slots.count == 0) return from;
    for (; newest.slots.count > 0; newest.slots.count--) {
      const struct sse__slot *slot = sse__stretch_at(&newest.slots, newest.slots.count - 1);
      if (slot->seq <= newest.limit) break;
      if (slot->seq <= from) return from;
      upto = slot->seq - 1;
      if (!slot->frame) continue;
      sum_add(&sum, 1, slot->frame->len, sse__frame_born_ms(slot->frame));
      if (!is_within(&sum, backlog)) return slot->seq;
    }
  }
  return from;
}

/* ---- the limits ---- */

uint64_t sse__backlog_start(const struct sse_stream *stream, const struct sse__backlog *backlog,
                            uint64_t from) {
  SSE__HELD(stream->hub);
  bool exact;
  if (from >= stream->hub->head.seq || estimate_within(stream, backlog, from, &exact)) return from;
  return exact ? search_start(stream, backlog, from) : count_start(stream, backlog, from);
}

/* Up to where the client has had all that is retained, by its number (SSE__HAS_NUMBER). */
static uint64_t had_upto(const struct sse_stream *stream) {
  uint64_t upto = stream->hub->head.seq;
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__stretch slots = slots_of(stream, &sse__subscriptions(stream)[i]);
    const struct sse__frame *above = sse__stretch_first_above(&slots, stream->number);
    if (above && above->seq <= upto) upto = above->seq - 1;
  }
  return upto > stream->cursor ? upto : stream->cursor;
}

uint64_t sse__backlog_floor(struct sse_stream *stream, int64_t now_ms) {
  SSE__HELD(stream->hub);
  const struct sse__limits *limits = sse__stream_limits(stream);
  if (!limits) return 0;
  bool unlimited = limits->lag_events == UINT64_MAX && limits->lag_bytes == UINT64_MAX &&
                   limits->lag_ms_limit == SSE_NEVER;
  if (unlimited) return 0;
  const struct sse__backlog backlog = {
      limits->lag_events, limits->lag_bytes,
      limits->lag_ms_limit == SSE_NEVER ? INT64_MIN : now_ms - limits->lag_ms_limit};
  uint64_t from = stream->has & SSE__HAS_NUMBER ? had_upto(stream) : stream->cursor;
  uint64_t start = sse__backlog_start(stream, &backlog, from);
  return start > from ? start : stream->cursor;
}
