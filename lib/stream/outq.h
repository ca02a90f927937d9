/* SPDX-License-Identifier: MIT */
/* outq.h: the frames of a stream that are in flight: adding, sending, acknowledging, requeueing. */
#ifndef SSE_LIB_OUTQ_H
#define SSE_LIB_OUTQ_H

#include <assert.h>

#include "stream/stream_priv.h"

/*
 * A step against a loop's snapshot adds frames whose references the snapshot holds (`borrowed`).
 * The stream itself holds all other frames, and they count as pinned until they are consumed. An
 * array is taken from `spare`, a cache of one, and returned there, so a delivery allocates nothing.
 */

/* A step gives way when it has filled the array, or at one of these limits. */
#define SSE__STEP_BYTES_MAX  ((size_t)256 << 10) /* no frame is added after these bytes */
#define SSE__STEP_FRAMES_MAX 1024                /* most frames that one step passes over */

/* Gives a stream with nothing in flight an array: 0 or SSE_ENOMEM. */
int sse__outq_open(struct sse_stream *stream, struct sse__outq_array **spare);
/* Returns the array to `spare` if at most one frame is left. */
void sse__outq_close(struct sse_stream *stream, struct sse__outq_array **spare);

/* The number of frames that may still be added. */
static inline unsigned sse__outq_room(const struct sse_stream *stream) {
  return SSE__OUTQ_MAX - stream->outq.count;
}

/* Adds a frame to an open array. The caller takes care of the reference. */
static inline void sse__outq_add(struct sse_stream *stream, struct sse__frame *frame) {
  struct sse__outq *outq = &stream->outq;
#ifdef SSE_DEBUG
  assert(!outq->chunked || (frame->body ? frame->body : frame)->chunked);
#endif
  outq->u.array->frames[outq->first + outq->count++] = frame;
}

/* Adds a frame with a new reference that the stream holds. Requires the hub's lock. */
void sse__outq_add_held(struct sse_stream *stream, struct sse__frame *frame);
/* Takes a reference that the stream holds. Requires the hub's lock. */
void sse__outq_hold(struct sse_stream *stream, struct sse__frame *frame);
/* Puts one control block in flight, for a stream with nothing in flight and no array. */
void sse__outq_set(struct sse_stream *stream, struct sse__frame *frame);

/* The frames in flight. */
static inline struct sse__frame **sse__outq_frames(struct sse__outq *outq) {
  return outq->has_array ? outq->u.array->frames + outq->first : &outq->u.one;
}

/* Fills at most `max` pieces with the bytes in flight, and returns their number. Not for bare
 * events, which bare.h gives and consumes. */
int sse__outq_pieces(struct sse_stream *stream, struct iovec *iov, int max);

/*
 * Removes consumed bytes and counts them. Returns false if fewer bytes were in flight. Requires the
 * hub's lock, unless the frames are borrowed: then the counters are the loop's.
 */
bool sse__outq_consume(struct sse_stream *stream, size_t bytes, struct sse__counters *counters,
                       int64_t now_ns);

/* Turns borrowed frames into frames that the stream holds. Requires the hub's lock. */
void sse__outq_keep(struct sse_stream *stream);
/*
 * Requeues every event of which no byte was consumed, for a transport that kept none of them: they
 * leave the array, and the cursor moves back below them. Returns the lowest number among the
 * requeued events of a backfill; 0: there is none. Requires the hub's lock.
 */
uint64_t sse__outq_requeue(struct sse_stream *stream);
/* Drops the first frame in flight, of which all bytes are consumed. Requires the hub's lock. */
void sse__outq_drop_first(struct sse_stream *stream);
/* Drops all frames in flight, which the host no longer uses. Requires the hub's lock. */
void sse__outq_drop(struct sse_stream *stream);

#endif
