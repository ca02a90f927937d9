/* SPDX-License-Identifier: MIT */
/* backfill.h: events that a channel already published, given to an open stream out of order. */
#ifndef SSE_LIB_BACKFILL_H
#define SSE_LIB_BACKFILL_H

#include "hub/turns.h"
#include "stream/stream_priv.h"

/*
 * A stream of conflated channels first receives their state, and a stream that subscribes may
 * receive the channel's latest events. All of these lie at or below the cursor, so they are sent
 * without ids and without a break, between two positions. The id of the first position is marked
 * unfinished: a client that is cut off in between reconnects with that mark and receives a gap. The
 * states of several channels are one backfill, in the order of their numbers, so an event that was
 * published to several of them is given once. The thread that uses the stream owns its backfills.
 */
struct sse__backfill {
  struct sse__backfill *next; /* the stream's next backfill */
  uint64_t sent_upto;         /* number up to which everything was given or is not wanted */
  uint64_t end;               /* last number that belongs to it: the head when it was asked for */
  bool opened;                /* the first position was written */
  bool sorted;                /* `turns` are those above sent_upto */
  uint32_t turns_count;       /* parts that may have more to give */
  struct sse__turn *turns;    /* their order, behind the last part; each place is that of a part */
  uint32_t count;             /* number of parts */
  struct sse__backfill_part parts[];
};

/* All functions require the hub's lock. */

/* What a channel has now; nothing is lost yet. */
struct sse__backfill_part sse__backfill_part(struct sse__channel *channel);

/*
 * Adds a backfill for one channel, with its events above `above` and up to `upto`. If there is
 * none it consists of one position. What the channel lost since `part` was set is reported by the
 * last block. Returns 0 or SSE_ENOMEM.
 */
int sse__backfill_add(struct sse_stream *stream, const struct sse__backfill_part *part,
                      uint64_t above, uint64_t upto);
/*
 * Adds a backfill with the state of all conflated channels of the stream that have events above
 * `above` and up to `upto`, if any, for a stream whose cursor will be there. Returns 0 or
 * SSE_ENOMEM.
 */
int sse__backfill_add_state(struct sse_stream *stream, uint64_t above, uint64_t upto);
/*
 * Fills the array of a stream with nothing in flight. Returns the number of frames added, or
 * SSE_ENOMEM; 0: no backfill is left; SSE_EAGAIN: it gave way after many frames that are not for the
 * stream or are too old, and the caller calls it again after it has released the lock.
 */
int sse__backfill_step(struct sse_stream *stream, int64_t now_ms);
/* Moves the first backfill back: the client was not sent its events from number `seq` on. */
void sse__backfill_requeue(struct sse_stream *stream, uint64_t seq);
/* Drops the backfill of a channel that was just subscribed to; NULL: all backfills. */
void sse__backfill_drop(struct sse_stream *stream, const struct sse__channel *channel);

#endif
