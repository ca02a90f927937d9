/* SPDX-License-Identifier: MIT */
/* backlog.h: the events that a stream has not been given, and limits on them. */
#ifndef SSE_LIB_BACKLOG_H
#define SSE_LIB_BACKLOG_H

#include "stream/stream_priv.h"

/* All functions require the hub's lock. */

/*
 * Limits on the backlog of a stream: the retained events above its cursor, in all its channels
 * together. An event of several of them counts once, and a superseded one does not count.
 */
struct sse__backlog {
  uint64_t events;     /* most events */
  uint64_t bytes;      /* most bytes of their encoded form; a single event never has too many */
  int64_t born_min_ms; /* earliest time at which the oldest may have been published, in ms */
};

/* The lowest number at or above `from` above which the retained events are within the limits. */
uint64_t sse__backlog_start(const struct sse_stream *stream, const struct sse__backlog *backlog,
                            uint64_t from);
/* The number up to which the stream exceeds its own limits; its cursor or 0: it is within them. */
uint64_t sse__backlog_floor(struct sse_stream *stream, int64_t now_ms);

#endif
