/* SPDX-License-Identifier: MIT */
/* farewell.c: the last block of a stream that ends gently. */
#include "stream/farewell.h"

#include "stream/control.h"
#include "stream/outq.h"

/* The stall deadline runs from here: the client had taken all there was. */
int sse__stream_retry_block(struct sse_stream *stream, int64_t now_ms) {
  const struct sse__control block = {.retry_ms = sse__retry_spread(stream->hub, stream->retry_ms)};
  struct sse__frame *frame = NULL;
  stream->outq.retry_sent = true;
  if (sse__control_new(&frame, stream, &block) || !frame) return 0;
  sse__outq_set(stream, frame);
  if (stream->sub.standalone) sse__standalone_disarm(&stream->sub, now_ms);
  stream->armed = false;
  stream->sub.live.moved_ms = now_ms;
  return 1;
}
