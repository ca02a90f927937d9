/* SPDX-License-Identifier: MIT */
/* cursor.h: what a stream is given next, and how its cursor moves: the gap test, the merge over its
 * channels, then the step to the head. */
#ifndef SSE_LIB_CURSOR_H
#define SSE_LIB_CURSOR_H

#include "stream/stream_priv.h"

/*
 * Each step fills the array of a stream with nothing in flight. It returns the number of frames
 * added, or SSE_ENOMEM with nothing changed; 0: the stream was given everything, and its cursor is
 * at the head.
 */

/*
 * A live step reads the windows as they are, and the stream holds what it is given. SSE_EAGAIN: it
 * passed over many events that are not for the stream, and must be called again. SSE_ESLOW: the
 * stream must end instead of being given a gap. Requires the hub's lock.
 */
int sse__cursor_step_live(struct sse_stream *stream, struct sse__outq_array **spare,
                          int64_t now_ms);

/* The step of a stream that waits for an admission slot: it is given at most a due heartbeat. */
int sse__cursor_step_waiting(struct sse_stream *stream, struct sse__outq_array **spare,
                             int64_t now_ms);
/* Whether a channel retains events above the cursor. Requires the hub's lock. */
bool sse__cursor_behind(const struct sse_stream *stream);

/*
 * A step against the loop's snapshot, whose head is `head`. It takes no lock, and the frames are
 * borrowed from the snapshot. SSE_EAGAIN: the snapshot does not hold all that the stream needs
 * next, so a live step is needed.
 */
int sse__cursor_step_round(struct sse_stream *stream, struct sse__outq_array **spare,
                           const struct sse__point *head, int64_t now_ms);

/*
 * Whether all channels of a loop's stream were finished when the loop's snapshots were taken: a
 * live step then finds out whether the stream is at its end. Takes no lock.
 */
bool sse__cursor_finishing(const struct sse_stream *stream);
/*
 * Whether nothing will ever follow: all channels are finished, and neither an event nor a gap is
 * left above the cursor. Requires the hub's lock.
 */
bool sse__cursor_finished(const struct sse_stream *stream);

#endif
