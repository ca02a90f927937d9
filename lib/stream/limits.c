/* SPDX-License-Identifier: MIT */
/* limits.c: what few streams have: a filter, and bounds of their own on how far they may be behind.
 */
#include "stream/limits.h"

#include "stream/part.h"

bool sse__limits_needed(const sse_stream_config *config) {
  return config->filter || config->slow != SSE_SLOW_SKIP || config->behind_events_max > 0 ||
         config->behind_bytes_max > 0 || config->behind_max_ms > 0;
}

void sse__limits_set(struct sse__limits *limits, const sse_stream_config *config) {
  limits->filter = config->filter;
  limits->filter_arg = config->filter_arg;
  limits->behind_events = config->behind_events_max ? config->behind_events_max : UINT64_MAX;
  limits->behind_bytes = config->behind_bytes_max ? config->behind_bytes_max : UINT64_MAX;
  limits->behind_ms = config->behind_max_ms ? config->behind_max_ms : SSE_NEVER;
  limits->close = config->slow == SSE_SLOW_CLOSE;
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
