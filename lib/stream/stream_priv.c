/* SPDX-License-Identifier: MIT */
/* stream_priv.c: where the optional parts of a stream lie, its filter, and its counts. */
#include "stream/stream_priv.h"

#include <assert.h>

/* For the alignment of any part or subscription. */
union any_part {
  struct sse__subscription subscription;
  struct sse__standalone standalone;
  struct sse__admission_slot slot;
  struct sse__limits limits;
  struct sse__tag tag; /* aligned as the part of the tags */
};

/* A new part gets a bit and a line here, before the tag's. */
static const struct {
  unsigned part;
  size_t size;
} part_list[] = {
    {SSE__HAS_STANDALONE, sizeof(struct sse__standalone)},
    {SSE__HAS_SLOT, sizeof(struct sse__admission_slot)},
    {SSE__HAS_LIMITS, sizeof(struct sse__limits)},
    {SSE__HAS_TAG, sizeof(struct sse__tagged)},
};

uint32_t sse__wide_places(uint32_t room) {
  uint32_t places = 4;
  while (places < 2 * room) places *= 2;
  return places;
}

size_t sse__wide_size(uint32_t room) {
  const size_t align = _Alignof(union any_part);
  if (room < SSE__WIDE_MIN) return 0;
  size_t size = sizeof(struct sse__wide) + sse__wide_places(room) * sizeof(uint32_t);
  return (size + align - 1) / align * align;
}

/* The offset of a part from the beginning of the stream; of the end for part 0. */
static size_t part_offset(unsigned parts, uint32_t subscriptions, unsigned part) {
  const size_t align = _Alignof(union any_part);
  size_t offset = sizeof(struct sse_stream) + subscriptions * sizeof(struct sse__subscription);
  if (subscriptions >= SSE__WIDE_MIN) offset += sse__wide_size(subscriptions);
  for (size_t i = 0; i < sizeof part_list / sizeof *part_list && part_list[i].part != part; i++) {
    if (part_list[i].part > parts) break; /* no more parts; most have none */
    if (parts & part_list[i].part) offset += (part_list[i].size + align - 1) / align * align;
  }
  return offset;
}

size_t sse__stream_size(unsigned parts, uint32_t subscriptions, size_t tags_bytes) {
  size_t size = part_offset(parts, subscriptions, 0);
  return parts & SSE__HAS_TAG ? size + tags_bytes : size;
}

void *sse__stream_part(struct sse_stream *stream, unsigned part) {
  assert(stream->has & part);
  return (char *)stream + part_offset(stream->has, stream->own_count, part);
}

void sse__stream_end(struct sse_stream *stream, int reason) {
  SSE__HELD(stream->hub);
  stream->reason = (int16_t)reason;
  stream->sub.stage = SSE__STAGE_OVER;
}

bool sse__stream_excludes(struct sse_stream *stream, struct sse__point at) {
  const struct sse__limits *limits = sse__stream_limits(stream);
  return limits && (stream->hub->numbers_given ? at.number : at.seq) <= limits->not_before;
}

bool sse__limits_pass(struct sse_stream *stream, const struct sse__channel *channel,
                      const struct sse__frame *frame) {
  const struct sse__limits *limits = sse__stream_limits(stream);
  if (!limits || !limits->filter) return true;
  const sse_filter_event event = {.channel = channel->name,
                                  .key = frame->key_at ? sse__frame_key(frame)->text : NULL,
                                  .bytes = frame->bytes,
                                  .len = frame->len,
                                  .label = frame->label};
  return limits->filter(limits->filter_arg, &event) != 0;
}

/* Whether the client has had an event, or what came after it. */
static bool has_had(const struct sse_stream *stream, const struct sse__frame *frame) {
  if (!(stream->has & SSE__HAS_NUMBER)) return false;
  return frame->number < stream->number || (frame->number == stream->number && !frame->ephemeral);
}

bool sse__stream_lets_pass(struct sse_stream *stream, const struct sse__channel *channel,
                           const struct sse__frame *frame) {
  if (has_had(stream, frame)) return false;
  if (sse__limits_pass(stream, channel, frame)) return true;
  stream->number = frame->number;
  return false;
}

/*
 * What was evicted above the cursor was reported by a gap or at the opening: then only what is
 * evicted from now on counts. It matters only where a gap of a skip lies above that.
 */
static uint64_t count_told(const struct sse__subscription *subscription) {
  const struct sse__window *window = &subscription->channel->window;
  bool told = subscription->gap_reported >= window->evicted.seq;
  if (!told || window->history->skipped.seq == 0) return SSE__UNKNOWN;
  return sse__window_ordinal(window, window->evicted.seq);
}

void sse__stream_count_delivered(struct sse_stream *stream, bool again) {
  SSE__HELD(stream->hub);
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    const struct sse__window *window = &subscription->channel->window;
    if (window->keys) continue; /* delivered_count counts something else there */
    bool known = stream->cursor >= window->evicted.seq;
    uint64_t count = known ? sse__window_ordinal(window, stream->cursor) : count_told(subscription);
    bool keep = again && !known && count != SSE__UNKNOWN && subscription->delivered_count < count;
    if (!keep) subscription->delivered_count = count;
  }
}
