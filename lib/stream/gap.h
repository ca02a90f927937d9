/* SPDX-License-Identifier: MIT */
/* gap.h: when a gap is due, what it covers, and its block; the backlog of a stream within limits. */
#ifndef SSE_LIB_GAP_H
#define SSE_LIB_GAP_H

#include "stream/control.h"

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

/* Whether any member must be told of a gap; `floor` as in a gap. With the hub's lock held. */
bool sse__gap_due(const struct sse_stream *stream, uint64_t floor);
/* One less than the smallest number above S and floor that a channel still has, or the head. With
 * the hub's lock held. */
uint64_t sse__gap_resume_at(const struct sse_stream *stream, uint64_t floor);
/* Up to where a stream is too far behind by bounds of its own; 0: it has none. With the hub's lock
 * held. */
uint64_t sse__gap_floor(struct sse_stream *stream, int64_t now_ms);
/* From here on nothing is owed of what is gone, or is up to floor. With the hub's lock held. */
void sse__gap_mark_reported(struct sse_stream *stream, uint64_t floor);
/*
 * Writes the gap block that is due, after the head and the retry of `opening` if that is not NULL,
 * and moves S to the block's id. With the hub's lock held. As sse__control_new.
 */
int sse__gap_new(struct sse_stream *stream, const struct sse__gap *gap,
                 const struct sse__control *opening, struct sse__frame **frame);

/*
 * Adds the gap of a client that did not keep up to a stream's batch: 0, SSE_ENOMEM, or SSE_ESLOW
 * where the stream is to end instead. With the hub's lock held.
 */
int sse__gap_report(struct sse_stream *stream, uint64_t floor, int64_t now_ms);

#endif
