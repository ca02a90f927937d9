/* SPDX-License-Identifier: MIT */
/* backlog.c: the newest events of a stream's channels, within limits. */
#include "stream/backlog.h"

/* Adds a member's part to what is above a number. */
static void add_part(const struct sse__subscription *subscription, uint64_t above,
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

/* One event is never too many bytes. */
static bool within(const struct sse_stream *stream, const struct sse__backlog *backlog,
                   uint64_t above) {
  struct sse__backlog sum = {0, 0, INT64_MAX};
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    add_part(&sse__subscriptions(stream)[i], above, &sum);
  }
  return sum.events <= backlog->events && (sum.bytes <= backlog->bytes || sum.events <= 1) &&
         sum.born_min_ms >= backlog->born_min_ms;
}

/* What is above a higher number is never more, so the first one that fits is found by halves. */
uint64_t sse__backlog_start(const struct sse_stream *stream, const struct sse__backlog *backlog,
                            uint64_t from) {
  uint64_t low = from, high = stream->hub->head;
  if (low >= high || within(stream, backlog, low)) return low;
  while (high - low > 1) {
    uint64_t middle = low + (high - low) / 2;
    if (within(stream, backlog, middle)) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return high;
}
