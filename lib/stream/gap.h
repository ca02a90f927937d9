/* SPDX-License-Identifier: MIT */
/* gap.h: when a stream must be given a gap, what the gap covers, and its block. */
#ifndef SSE_LIB_GAP_H
#define SSE_LIB_GAP_H

#include "stream/control.h"

/* All functions require the hub's lock. */

/* Limits on the backlog, the unsent events of a stream; superseded events count as well. */
struct sse__backlog {
  uint64_t events;     /* most events, over all channels */
  uint64_t bytes;      /* most bytes of their encoded form */
  int64_t born_min_ms; /* earliest time at which the oldest may have been published, in ms */
};

/* The lowest number at or above `from` above which the retained events are within the limits. */
uint64_t sse__backlog_start(const struct sse_stream *stream, const struct sse__backlog *backlog,
                            uint64_t from);

/*
 * In these functions `floor` is a number up to which events are skipped, although they may be
 * retained; 0: none is skipped.
 */

/* The number up to which the stream exceeds its own limits; 0: it has none. */
uint64_t sse__gap_floor(struct sse_stream *stream, int64_t now_ms);
/* Whether a gap must be reported for any subscription. */
bool sse__gap_due(const struct sse_stream *stream, uint64_t floor);
/*
 * The number that the id of a gap carries: one less than the smallest number above cursor and floor
 * that a channel retains, or else where the stream's present channels end (sse__membership_head).
 */
uint64_t sse__gap_resume_at(const struct sse_stream *stream, uint64_t floor);
/* Marks as reported what is gone or skipped: no later gap covers it. */
void sse__gap_mark_reported(struct sse_stream *stream, uint64_t floor);

/*
 * Writes the gap block that is due, behind the head and the retry of `opening` unless that is NULL,
 * marks it as reported, and moves the cursor to the block's id. Returns as sse__control_new.
 */
int sse__gap_new(struct sse_stream *stream, const struct sse__gap *gap,
                 const struct sse__control *opening, struct sse__frame **frame);
/*
 * Adds the gap of a client that did not keep up to the stream's open array. Returns 0, SSE_ENOMEM,
 * or SSE_ESLOW if the stream must end instead.
 */
int sse__gap_report(struct sse_stream *stream, uint64_t floor, int64_t now_ms);

#endif
