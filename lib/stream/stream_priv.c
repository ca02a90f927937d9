/* SPDX-License-Identifier: MIT */
/* stream_priv.c: where the optional parts of a stream lie, and its filter. */
#include "stream/stream_priv.h"

/* What any of the parts, or a member, has to be aligned to. */
union any_part {
  struct sse__subscription subscription;
  struct sse__standalone standalone;
  struct sse__admission_slot slot;
  struct sse__limits limits;
  struct sse__map_node node; /* a tag begins with it */
};

/* A new part gets a bit and a line here, above the tag's. */
static const struct {
  unsigned part;
  size_t size;
} places[] = {
    {SSE__HAS_STANDALONE, sizeof(struct sse__standalone)},
    {SSE__HAS_SLOT, sizeof(struct sse__admission_slot)},
    {SSE__HAS_LIMITS, sizeof(struct sse__limits)},
    {SSE__HAS_TAG, sizeof(struct sse__tag)},
};

/* How far from the beginning of the stream a part lies; the end of all for part 0. */
static size_t offset_of(unsigned parts, uint32_t subscriptions, unsigned part) {
  const size_t align = _Alignof(union any_part);
  size_t offset = sizeof(struct sse_stream) + subscriptions * sizeof(struct sse__subscription);
  for (size_t i = 0; i < sizeof places / sizeof *places && places[i].part != part; i++) {
    if (places[i].part > parts) break; /* it has none from here on, and most have none at all */
    if (parts & places[i].part) offset += (places[i].size + align - 1) / align * align;
  }
  return offset;
}

size_t sse__stream_size(unsigned parts, uint32_t subscriptions, size_t tag_len) {
  size_t size = offset_of(parts, subscriptions, 0);
  return parts & SSE__HAS_TAG ? size + tag_len : size;
}

static void *find(struct sse_stream *stream, unsigned part) {
  if (!(stream->has & part)) return NULL;
  return (char *)stream + offset_of(stream->has, stream->own_count, part);
}

struct sse__standalone *sse__stream_standalone(struct sse_stream *stream) {
  return find(stream, SSE__HAS_STANDALONE);
}

struct sse__admission_slot *sse__stream_slot(struct sse_stream *stream) {
  return find(stream, SSE__HAS_SLOT);
}

struct sse__limits *sse__stream_limits(struct sse_stream *stream) {
  return find(stream, SSE__HAS_LIMITS);
}

struct sse__tag *sse__stream_tag(struct sse_stream *stream) {
  return find(stream, SSE__HAS_TAG);
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
