/* SPDX-License-Identifier: MIT */
/* backlog.h: the newest events of a stream's channels, within limits. */
#ifndef SSE_LIB_TAIL_H
#define SSE_LIB_TAIL_H

#include "stream/stream_priv.h"

/* What may be in a tail; events that were superseded since count as well. */
struct sse__backlog {
  uint64_t events;     /* so many, over all channels */
  uint64_t bytes;      /* of their encoded form */
  int64_t born_min_ms; /* none was published before */
};

/* The lowest number from `from` on above which all that is retained is within the limits. With the
 * hub's lock held. */
uint64_t sse__backlog_start(const struct sse_stream *stream, const struct sse__backlog *backlog,
                            uint64_t from);

#endif
