/* SPDX-License-Identifier: MIT */
/* backfill.h: events that a channel already published, given to an open stream out of order. */
#ifndef SSE_LIB_BACKFILL_H
#define SSE_LIB_BACKFILL_H

#include "stream/stream_priv.h"

/*
 * A stream of a conflated channel first receives the channel's state, and a stream that subscribes
 * may receive the channel's latest events. All of these lie at or below the cursor, so they are
 * sent without ids and without a break, between two positions. The id of the first position is
 * marked unfinished: a client that is cut off in between reconnects with that mark and receives a
 * gap. The thread that uses the stream owns its backfills.
 */
struct sse__backfill {
  struct sse__backfill *next; /* the stream's next backfill */
  struct sse__channel *channel;
  uint64_t sent_upto; /* number up to which everything was given or is not wanted */
  uint64_t end;       /* last number that belongs to it: the cursor when it was added */
  uint64_t evicted;   /* the window's `evicted` when it was last looked at */
  uint64_t evicted_out_of_order_count; /* the window's count when it was last looked at */
  bool opened;                         /* the first position was written */
  bool lost;                           /* an event was evicted before it was given */
};

/* All functions require the hub's lock. */

/*
 * Adds a backfill with a channel's events above `above` and up to the cursor. If there is none it
 * consists of one position. `lost`: the events are incomplete, and the last block reports that.
 * Returns 0 or SSE_ENOMEM.
 */
int sse__backfill_add(struct sse_stream *stream, struct sse__channel *channel, uint64_t above,
                      bool lost);
/*
 * Fills the array of a stream with nothing in flight. Returns the number of frames added, or
 * SSE_ENOMEM; 0: no backfill is left.
 */
int sse__backfill_step(struct sse_stream *stream);
/* Moves the first backfill back: the client was not sent its events from number `seq` on. */
void sse__backfill_requeue(struct sse_stream *stream, uint64_t seq);
/* Drops the backfills of a channel; NULL: of all channels. */
void sse__backfill_drop(struct sse_stream *stream, const struct sse__channel *channel);

#endif
