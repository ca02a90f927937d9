/* SPDX-License-Identifier: MIT */
/* order.h: the merge of a stream's many channels, in which an event costs a few turns. */
#ifndef SSE_LIB_ORDER_H
#define SSE_LIB_ORDER_H

#include "stream/stream_priv.h"

/* With `live` these need the hub's lock; otherwise they read the snapshot of the stream's loop. */

/*
 * Orders the channels of a stream of many channels by what they have up to a number (wide.h), unless
 * they are ordered already. False: only one has something, and not much; or there is no memory.
 */
bool sse__order_begin(struct sse_stream *stream, bool live, uint64_t head);
/*
 * After that, adds the frames up to `head`, as a merge does. True if none is left. False with
 * nothing added: the lock has to be released, or a gap is due, and the order is dropped. `given` is
 * set if one was added with an id.
 */
bool sse__order_merge(struct sse_stream *stream, bool live, uint64_t head, int64_t now_ms,
                      bool *given);

#endif
