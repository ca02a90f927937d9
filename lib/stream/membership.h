/* SPDX-License-Identifier: MIT */
/* membership.h: which channels an open stream is subscribed to, and changing that on request. */
#ifndef SSE_LIB_MEMBERSHIP_H
#define SSE_LIB_MEMBERSHIP_H

#include "stream/stream_priv.h"

/* All functions require the hub's lock. */

/* On the stream's thread; a standalone stream is disarmed. */

/*
 * Subscribes a stream to a channel, with zeroed memory of the stream's: 0, SSE_ENOMEM, or SSE_EAGAIN
 * if the channel has too many frames that are too old for one hold of the lock.
 */
int sse__subscribe(struct sse_stream *stream, struct sse__subscription *subscription,
                   struct sse__channel *channel, int64_t now_ms);
/* Removes a subscription from its channel. */
void sse__unsubscribe(struct sse_stream *stream, struct sse__subscription *subscription);

/*
 * Carries out what is due at the cursor, with nothing in flight. Returns 0; SSE_ENOMEM with the
 * rest left; SSE_EAGAIN with the rest left, for which the caller takes another step after it has
 * released the lock; or SSE_EDISMISSED: the stream ends, and later requests are dropped. A stream
 * that is ahead waits with requests to subscribe, and what follows them, unless it is dismissed.
 */
int sse__membership_run(struct sse_stream *stream, int64_t now_ms);

/*
 * The head has reached the number of a stream that was ahead. Requests of before are due there: at the
 * highest point up to which nothing above the number is in any of its channels, or of those that it
 * waits to join. A backfill has what there is then. Returns where that is. `late` is set if there are
 * other requests, which may come before events that were evicted.
 */
struct sse__point sse__membership_settle(struct sse_stream *stream, int64_t now_ms, bool *late);

/*
 * Moves requests of before the hub's reset to where the new history begins. They have no backfill:
 * nothing of the old history is given any more. Repeating it changes nothing.
 */
void sse__membership_restart(struct sse_stream *stream, int64_t now_ms);

#endif
