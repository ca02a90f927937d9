/* SPDX-License-Identifier: MIT */
/* terms.c: what few streams have: a filter, and bounds of their own on how far they may be behind.
 */
#include "terms.h"

#include "part.h"

bool sse__terms_needed(const sse_stream_config *config) {
  return config->filter || config->slow != SSE_SLOW_SKIP || config->behind_events_max > 0 ||
         config->behind_bytes_max > 0 || config->behind_max_ms > 0;
}

void sse__terms_set(struct sse__terms *terms, const sse_stream_config *config) {
  terms->filter = config->filter;
  terms->filter_arg = config->filter_arg;
  terms->behind_events = config->behind_events_max ? config->behind_events_max : UINT64_MAX;
  terms->behind_bytes = config->behind_bytes_max ? config->behind_bytes_max : UINT64_MAX;
  terms->behind_ms = config->behind_max_ms ? config->behind_max_ms : SSE_NEVER;
  terms->close = config->slow == SSE_SLOW_CLOSE;
}

bool sse__terms_pass(struct sse_stream *stream, const struct sse__channel *channel,
                     const struct sse__frame *frame) {
  const struct sse__terms *terms = sse__part_terms(stream);
  if (!terms || !terms->filter) return true;
  const sse_filter_event event = {.channel = channel->name,
                                  .key = frame->key_at ? sse__frame_key(frame)->text : NULL,
                                  .bytes = frame->bytes,
                                  .len = frame->len,
                                  .label = frame->label};
  return terms->filter(terms->filter_arg, &event) != 0;
}
