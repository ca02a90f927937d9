/* SPDX-License-Identifier: MIT */
/* gap.h: when a stream must be given a gap, what the gap covers, and its block. */
#ifndef SSE_LIB_GAP_H
#define SSE_LIB_GAP_H

#include "stream/control.h"

/* All functions require the hub's lock. */

/*
 * In these functions `floor` is a number up to which events are skipped, although they may be
 * retained; 0: none is skipped.
 */

/* Whether a gap must be reported for any subscription. */
bool sse__gap_due(const struct sse_stream *stream, uint64_t floor);
/* The same for one subscription, and no floor. */
bool sse__gap_due_of(const struct sse_stream *stream, const struct sse__subscription *subscription);
/*
 * The point that the id of a gap carries: right below the first event above cursor and floor that a
 * channel retains, or else where the stream's present channels end (sse__request_head).
 */
struct sse__point sse__gap_resume_at(const struct sse_stream *stream, uint64_t floor);
/* Marks as reported what is gone or skipped: no later gap covers it. */
void sse__gap_mark_reported(struct sse_stream *stream, uint64_t floor);

/*
 * Writes the gap block that is due, behind the head and the retry of `opening` unless that is NULL,
 * marks it as reported, and moves the cursor to the block's id. Returns as sse__control_new.
 */
int sse__gap_new(struct sse_stream *stream, const struct sse__gap *gap,
                 const struct sse__control *opening, struct sse__frame **frame);
/*
 * Adds the gap of a client that did not keep up, or from which the hub's log lost something, to the
 * stream's open array. Returns 0, SSE_ENOMEM, or SSE_ESLOW if the stream must end instead.
 */
int sse__gap_report(struct sse_stream *stream, uint64_t floor, int64_t now_ms);
/*
 * Adds the gap of a stream of the hub's earlier history of numbers, and moves the stream to the
 * beginning of the present one. Returns 0 or SSE_ENOMEM, with nothing changed.
 */
int sse__gap_restart(struct sse_stream *stream, int64_t now_ms);

#endif
