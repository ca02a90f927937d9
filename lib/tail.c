/* SPDX-License-Identifier: MIT */
/* tail.c: the newest events of a stream's channels, within limits. */
#include "tail.h"

/* Takes a member's part off what is left of the limits; false if it is too much. */
static bool take_part(const struct sse__member *member, uint64_t above, struct sse__tail *left) {
  const struct sse__window *window = &member->channel->window;
  struct sse__stretch slots = sse__window_stretch(window);
  size_t place = sse__stretch_after(&slots, above);
  while (place < slots.count && !sse__stretch_at(&slots, place)->frame) place++;
  if (place == slots.count) return true;
  const struct sse__frame *oldest = sse__stretch_at(&slots, place)->frame;
  uint64_t events = slots.count - place, bytes = window->bytes_ever - oldest->bytes_before;
  if (events > left->events || bytes > left->bytes ||
      sse__frame_born_ms(oldest) < left->born_min_ms) {
    return false;
  }
  left->events -= events;
  left->bytes -= bytes;
  return true;
}

static bool within(const struct sse_stream *stream, const struct sse__tail *tail, uint64_t above) {
  struct sse__tail left = *tail;
  for (uint32_t i = 0; i < stream->members_count; i++) {
    if (!take_part(&sse__members(stream)[i], above, &left)) return false;
  }
  return true;
}

/* What is above a higher number is never more, so the first one that fits is found by halves. */
uint64_t sse__tail_start(const struct sse_stream *stream, const struct sse__tail *tail,
                         uint64_t from) {
  uint64_t low = from, high = stream->hub->head;
  if (low >= high || within(stream, tail, low)) return low;
  while (high - low > 1) {
    uint64_t middle = low + (high - low) / 2;
    if (within(stream, tail, middle)) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return high;
}
