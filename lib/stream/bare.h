/* SPDX-License-Identifier: MIT */
/* bare.h: events in flight that are given without their id lines, as those of a backfill are. */
#ifndef SSE_LIB_BARE_H
#define SSE_LIB_BARE_H

#include "stream/stream_priv.h"

/* Adds an event to an open array; all frames of the array are then such. Requires the hub's lock. */
void sse__bare_add(struct sse_stream *stream, struct sse__frame *frame);
/* Fills at most `max` pieces with the bytes in flight, and returns their number. An event takes
 * several pieces. */
int sse__bare_pieces(struct sse_stream *stream, struct iovec *iov, int max);
/* Removes consumed bytes and counts them. Returns false if fewer bytes were in flight. Requires the
 * hub's lock. */
bool sse__bare_consume(struct sse_stream *stream, size_t bytes, struct sse__counters *counters);

#endif
