/* SPDX-License-Identifier: MIT */
/* cursor.h: what comes next for a stream: first the gap test, then the merge, then S moves to the
 * head. */
#ifndef SSE_LIB_STEP_H
#define SSE_LIB_STEP_H

#include "stream/control.h"
#include "stream/outq.h"

/*
 * Each fills the batch of a stream that lends nothing and returns how many frames it lends then, or
 * SSE_ENOMEM, with nothing changed. 0: it has had all, and S is the head of the snapshot.
 */

/*
 * Against the windows as they are, with the hub's lock held. The stream holds what it lends.
 * SSE_EAGAIN: it has passed over much that is not for it, and is to be called again. SSE_ESLOW: the
 * stream is to end rather than to be told of a gap.
 */
int sse__cursor_step_live(struct sse_stream *stream, struct sse__outq_array **spare,
                          int64_t now_ms);

/* For a stream that waits for its turn to replay: nothing but a heartbeat that is due. */
int sse__cursor_step_waiting(struct sse_stream *stream, struct sse__outq_array **spare);
/* Whether a channel has frames above S. With the hub's lock held. */
bool sse__cursor_behind(const struct sse_stream *stream);

/*
 * Against the snapshot of its loop's round, whose head is `head`, without a lock. The frames are
 * borrowed from the round. SSE_EAGAIN: the stream is not in step, or has lost something: it needs a
 * live step.
 */
int sse__cursor_step_round(struct sse_stream *stream, struct sse__outq_array **spare, uint64_t head,
                           int64_t now_ms);

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
 * Whether a stream of a loop needs a live step to see that it has had all: all its channels were
 * finished by the time of the snapshots. Without a lock.
 */
bool sse__cursor_finishing(const struct sse_stream *stream);
/* Whether nothing will ever come: all channels are finished, and above S there is nothing, neither
 * frames nor a gap. With the hub's lock held. */
bool sse__cursor_finished(const struct sse_stream *stream);

/*
 * Writes the gap block that is due, after the head and the retry of `opening` if that is not NULL,
 * and moves S to the block's id. With the hub's lock held. As sse__control_new.
 */
int sse__gap_new(struct sse_stream *stream, const struct sse__gap *gap,
                 const struct sse__control *opening, struct sse__frame **frame);

#endif
