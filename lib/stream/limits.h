/* SPDX-License-Identifier: MIT */
/* limits.h: what few streams have: a filter, and bounds of their own on how far they may be behind.
 */
#ifndef SSE_LIB_TERMS_H
#define SSE_LIB_TERMS_H

#include "stream/stream_priv.h"

/* Stands behind the rest of the stream. The stream's thread has it. */
struct sse__limits {
  sse_filter_fn *filter;
  void *filter_arg;
  uint64_t behind_events, behind_bytes; /* UINT64_MAX: no bound */
  int32_t behind_ms;                    /* or SSE_NEVER */
  bool close;                           /* SSE_SLOW_CLOSE */
};

/* Whether a stream with this configuration needs any. */
bool sse__limits_needed(const sse_stream_config *config);
void sse__limits_set(struct sse__limits *limits, const sse_stream_config *config);

/* Whether an event passes the stream's filter. */
bool sse__limits_pass(struct sse_stream *stream, const struct sse__channel *channel,
                      const struct sse__frame *frame);

#endif
