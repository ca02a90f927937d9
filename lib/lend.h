/* SPDX-License-Identifier: MIT */
/* lend.h: the bytes that a stream has lent: adding, giving out, acknowledging, taking back. */
#ifndef SSE_LIB_LEND_H
#define SSE_LIB_LEND_H

#include "stream.h"

/*
 * Rounds of a loop lend frames that the round holds (`borrowed`); all else is held by the stream
 * itself, and counted as pinned, until it is consumed. A batch comes from `spare`, a cache of one,
 * and goes back there, so a delivery allocates nothing.
 */

/* Makes room for a batch in a stream that lends nothing: 0 or SSE_ENOMEM. */
int sse__lend_open(struct sse_stream *stream, struct sse__batch **spare);
/* Gives the batch back if nothing is left in it. */
void sse__lend_close(struct sse_stream *stream, struct sse__batch **spare);

/* How many frames more may be added. */
static inline unsigned sse__lend_room(const struct sse_stream *stream) {
  return SSE__LENT_MAX - stream->lent.count;
}

/* Adds a frame to an open batch; the reference is the caller's affair. */
static inline void sse__lend_add(struct sse_stream *stream, struct sse__frame *frame) {
  struct sse__lent *lent = &stream->lent;
  lent->u.batch->frames[lent->first + lent->count++] = frame;
}

/* The same, with a reference of the stream's own; with the hub's lock held. */
void sse__lend_hold(struct sse_stream *stream, struct sse__frame *frame);
/* Lends a control block of a stream that lends nothing and has no batch. */
void sse__lend_one(struct sse_stream *stream, struct sse__frame *frame);

/* The pieces to send, at most max. */
int sse__lend_pieces(const struct sse_stream *stream, struct iovec *iov, int max);

/*
 * Takes note of consumed bytes, and counts them, with the hub's lock held unless the frames are
 * borrowed: then the tally is the loop's. False if there were not so many.
 */
bool sse__lend_consume(struct sse_stream *stream, size_t bytes, struct sse__tally *tally,
                       int64_t now_ns);

/* Turns what a round lent into what the stream holds, with the hub's lock held. */
void sse__lend_keep(struct sse_stream *stream);
/*
 * Takes back every event of which no byte is consumed: the transport remembers none of them. S goes
 * back with them. With the hub's lock held.
 */
void sse__lend_take_back(struct sse_stream *stream);
/*
 * Notes what the stream has had of each channel by its S, for the count in a gap that may come.
 * With the hub's lock held.
 */
void sse__lend_count(struct sse_stream *stream);
/* Drops all that is lent: nobody looks at it any more. With the hub's lock held. */
void sse__lend_drop(struct sse_stream *stream);

#endif
