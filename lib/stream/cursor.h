/* SPDX-License-Identifier: MIT */
/* cursor.h: what comes next for a stream: first the gap test, then the merge, then S moves to the
 * head. */
#ifndef SSE_LIB_STEP_H
#define SSE_LIB_STEP_H

#include "stream/stream_priv.h"

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

/*
 * Whether a stream of a loop needs a live step to see that it has had all: all its channels were
 * finished by the time of the snapshots. Without a lock.
 */
bool sse__cursor_finishing(const struct sse_stream *stream);
/* Whether nothing will ever come: all channels are finished, and above S there is nothing, neither
 * frames nor a gap. With the hub's lock held. */
bool sse__cursor_finished(const struct sse_stream *stream);

#endif
