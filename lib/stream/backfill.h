/* SPDX-License-Identifier: MIT */
/* backfill.h: what a channel has published already, given to an open stream out of order. */
#ifndef SSE_LIB_RECAP_H
#define SSE_LIB_RECAP_H

#include "stream/stream_priv.h"

/*
 * A new subscriber of a conflated channel gets its present state first, and who joins a channel may
 * get its latest events. All of it lies below S, so it comes without ids, in one piece, and between
 * two positions, of which the first is marked as unfinished: a client that is cut off in between
 * comes back with that mark, and is told of a gap. The owner's thread has it.
 */
struct sse__backfill {
  struct sse__backfill *next; /* the stream's next one */
  struct sse__channel *channel;
  uint64_t sent_upto;                           /* all up to here was given, or is not asked for */
  uint64_t end;                                 /* where it ends: S when it was asked for */
  uint64_t evicted, evicted_out_of_order_count; /* the window's, as far as they are known */
  bool opened;                                  /* the first position was written */
  bool lost;                                    /* something was evicted before it was given */
};

/* All with the hub's lock held. */

/*
 * Asks for what is above `above` and up to S; of nothing there is a position alone. `lost`: it is
 * not whole, and the end tells so. 0 or SSE_ENOMEM.
 */
int sse__backfill_add(struct sse_stream *stream, struct sse__channel *channel, uint64_t above,
                      bool lost);
/*
 * Fills the batch of a stream that lends nothing: how many frames it lends then, or SSE_ENOMEM. 0:
 * there is no more history.
 */
int sse__backfill_step(struct sse_stream *stream);
/* The client did not take it from this number on. */
void sse__backfill_requeue(struct sse_stream *stream, uint64_t seq);
/* Drops what was asked for of a channel; NULL: all. */
void sse__backfill_drop(struct sse_stream *stream, const struct sse__channel *channel);

#endif
