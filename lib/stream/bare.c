/* SPDX-License-Identifier: MIT */
/* bare.c: events in flight that are given without their id lines. */
#include "stream/bare.h"

#include <assert.h>

#include "stream/outq.h"
#include "stream/wide.h"

#define PIECES_OF_EVENT 3

void sse__bare_add(struct sse_stream *stream, struct sse__frame *frame) {
  struct sse__outq *outq = &stream->outq;
  SSE__HELD(stream->hub);
  assert(sse__outq_room(stream) > 0 && (outq->bare || outq->count == 0));
  sse__outq_hold(stream, frame);
  if (outq->chunked) sse__frame_chunk_bare(frame);
  outq->bare = true;
  outq->u.array->frames[outq->first + outq->count++] = frame;
}

/* The pieces of one event: the bare bytes and the blank line, as a chunk or not. */
static int pieces_of(const struct sse__frame *frame, bool chunked, struct iovec *iov) {
  static const char blank[] = "\n\r\n"; /* and the tail of the chunk */
  int count = 0;
  if (chunked) iov[count++] = (struct iovec){sse__frame_bare_head(frame), SSE__CHUNK_HEAD_BYTES};
  iov[count++] = (struct iovec){frame->bytes, sse__frame_bare_len(frame)};
  iov[count++] = (struct iovec){(void *)(uintptr_t)blank, chunked ? 1 + SSE__CHUNK_TAIL_BYTES : 1};
  return count;
}

int sse__bare_pieces(struct sse_stream *stream, struct iovec *iov, int max) {
  struct sse__outq *outq = &stream->outq;
  struct sse__frame **frames = sse__outq_frames(outq);
  size_t passed = outq->offset;
  int filled = 0;
  for (int i = 0; i < outq->count && filled < max; i++) {
    struct iovec pieces[PIECES_OF_EVENT];
    int count = pieces_of(frames[i], outq->chunked, pieces);
    for (int k = 0; k < count && filled < max; k++) {
      size_t skip = passed < pieces[k].iov_len ? passed : pieces[k].iov_len;
      passed -= skip;
      if (skip == pieces[k].iov_len) continue;
      iov[filled++] = (struct iovec){(char *)pieces[k].iov_base + skip, pieces[k].iov_len - skip};
    }
  }
  return filled;
}

/* They have no latency, because they were not given when they were new. */
static void count_bare(struct sse_stream *stream, const struct sse__frame *frame,
                       struct sse__counters *counters) {
  counters->events++;
  const struct sse__subscription *subscription =
      stream->detached ? NULL : sse__subscription_of(stream, frame->channel);
  if (!subscription) return;
  subscription->channel->delivered.events++;
  subscription->channel->delivered.bytes += frame->len;
}

bool sse__bare_consume(struct sse_stream *stream, size_t bytes, struct sse__counters *counters) {
  struct sse__outq *outq = &stream->outq;
  SSE__HELD(stream->hub);
  while (outq->count > 0) {
    const struct sse__frame *frame = *sse__outq_frames(outq);
    size_t len = sse__frame_bare_len(frame) + 1 + (outq->chunked ? SSE__CHUNK_BYTES : 0);
    size_t left = len - outq->offset, part = bytes < left ? bytes : left;
    counters->bytes += part;
    bytes -= part;
    if (part < left) {
      outq->offset += (uint32_t)part;
      return true;
    }
    count_bare(stream, frame, counters);
    sse__outq_drop_first(stream);
  }
  return bytes == 0;
}
