/* SPDX-License-Identifier: MIT */
/* outq.h: the bytes that a stream has lent: adding, giving out, acknowledging, taking back. */
#ifndef SSE_LIB_LEND_H
#define SSE_LIB_LEND_H

#include <assert.h>

#include "stream/stream_priv.h"

/*
 * Rounds of a loop lend frames that the round holds (`borrowed`); all else is held by the stream
 * itself, and counted as pinned, until it is consumed. A batch comes from `spare`, a cache of one,
 * and goes back there, so a delivery allocates nothing.
 */

/* Makes room for a batch in a stream that lends nothing: 0 or SSE_ENOMEM. */
int sse__outq_open(struct sse_stream *stream, struct sse__outq_array **spare);
/* Gives the batch back if nothing is left in it. */
void sse__outq_close(struct sse_stream *stream, struct sse__outq_array **spare);

/* How many frames more may be added. */
static inline unsigned sse__outq_room(const struct sse_stream *stream) {
  return SSE__OUTQ_MAX - stream->outq.count;
}

/* Adds a frame to an open batch; the reference is the caller's affair. */
static inline void sse__outq_add(struct sse_stream *stream, struct sse__frame *frame) {
  struct sse__outq *outq = &stream->outq;
#ifdef SSE_DEBUG
  assert(!outq->chunked || (frame->body ? frame->body : frame)->chunked);
#endif
  outq->u.array->frames[outq->first + outq->count++] = frame;
}

/* The same, with a reference of the stream's own; with the hub's lock held. */
void sse__outq_add_held(struct sse_stream *stream, struct sse__frame *frame);
/* Lends a control block of a stream that lends nothing and has no batch. */
void sse__outq_set(struct sse_stream *stream, struct sse__frame *frame);

/* The pieces to send, at most max. */
int sse__outq_pieces(struct sse_stream *stream, struct iovec *iov, int max);

/*
 * Takes note of consumed bytes, and counts them, with the hub's lock held unless the frames are
 * borrowed: then the tally is the loop's. False if there were not so many.
 */
bool sse__outq_consume(struct sse_stream *stream, size_t bytes, struct sse__counters *counters,
                       int64_t now_ns);

/* Turns what a round lent into what the stream holds, with the hub's lock held. */
void sse__outq_keep(struct sse_stream *stream);
/*
 * Takes back every event of which no byte is consumed: the transport remembers none of them. S goes
 * back with them. Returns the lowest number of a backfill's events among them; 0: there is none.
 * With the hub's lock held.
 */
uint64_t sse__outq_requeue(struct sse_stream *stream);
/*
 * Notes what the stream has had of each channel by its S, for the count in a gap that may come.
 * With the hub's lock held.
 */
void sse__stream_count_delivered(struct sse_stream *stream);
/* Drops all that is lent: nobody looks at it any more. With the hub's lock held. */
void sse__outq_drop(struct sse_stream *stream);

#endif
