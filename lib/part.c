/* SPDX-License-Identifier: MIT */
/* part.c: the optional parts of a stream. */
#include "part.h"

#include "terms.h"

/* What any of the parts, or a member, has to be aligned to. */
union any_part {
  struct sse__member member;
  struct sse__lone lone;
  struct sse__turn turn;
  struct sse__terms terms;
  struct sse__map_node node; /* a tag begins with it */
};

/* A new part gets a bit and a line here, above the tag's. */
static const struct {
  unsigned part;
  size_t size;
} places[] = {
    {SSE__PART_LONE, sizeof(struct sse__lone)},
    {SSE__PART_TURN, sizeof(struct sse__turn)},
    {SSE__PART_TERMS, sizeof(struct sse__terms)},
    {SSE__PART_TAG, sizeof(struct sse__tag)},
};

/* How far from the beginning of the stream a part lies; the end of all for part 0. */
static size_t offset_of(unsigned parts, uint32_t members, unsigned part) {
  const size_t align = _Alignof(union any_part);
  size_t offset = sizeof(struct sse_stream) + members * sizeof(struct sse__member);
  for (size_t i = 0; i < sizeof places / sizeof *places && places[i].part != part; i++) {
    if (places[i].part > parts) break; /* it has none from here on, and most have none at all */
    if (parts & places[i].part) offset += (places[i].size + align - 1) / align * align;
  }
  return offset;
}

size_t sse__parts_size(unsigned parts, uint32_t members, size_t tag_len) {
  size_t size = offset_of(parts, members, 0);
  return parts & SSE__PART_TAG ? size + tag_len : size;
}

static void *find(struct sse_stream *stream, unsigned part) {
  if (!(stream->parts & part)) return NULL;
  return (char *)stream + offset_of(stream->parts, stream->own_count, part);
}

struct sse__lone *sse__part_lone(struct sse_stream *stream) {
  return find(stream, SSE__PART_LONE);
}

struct sse__turn *sse__part_turn(struct sse_stream *stream) {
  return find(stream, SSE__PART_TURN);
}

struct sse__terms *sse__part_terms(struct sse_stream *stream) {
  return find(stream, SSE__PART_TERMS);
}

struct sse__tag *sse__part_tag(struct sse_stream *stream) {
  return find(stream, SSE__PART_TAG);
}
