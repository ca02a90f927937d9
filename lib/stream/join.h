/* SPDX-License-Identifier: MIT */
/* join.h: a stream joins a channel and leaves it. */
#ifndef SSE_LIB_JOIN_H
#define SSE_LIB_JOIN_H

#include "stream/stream_priv.h"

/* All with the hub's lock held, on the stream's thread. A lone stream is disarmed. */

/* Makes a member, in zeroed memory of the stream's, one of a channel: 0 or SSE_ENOMEM. */
int sse__subscribe(struct sse_stream *stream, struct sse__subscription *subscription,
                   struct sse__channel *channel, int64_t now_ms);
/* Takes it out of its channel. */
void sse__unsubscribe(struct sse_stream *stream, struct sse__subscription *subscription);

/* Adds a channel to an open stream, which has no member of it: as sse__subscribe. */
int sse__subscribe_open(struct sse_stream *stream, struct sse__channel *channel, int64_t now_ms);
/* Takes a member out of its channel and out of an open stream. */
void sse__unsubscribe_open(struct sse_stream *stream, struct sse__subscription *subscription);

#endif
