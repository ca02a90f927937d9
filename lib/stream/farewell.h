/* SPDX-License-Identifier: MIT */
/* farewell.h: the last block of a stream that ends gently: when its client is to come back. */
#ifndef SSE_LIB_FAREWELL_H
#define SSE_LIB_FAREWELL_H

#include "stream/stream_priv.h"

/*
 * Lends the farewell of a stream that lends nothing and ends gently, once: how many frames it lends
 * then. None if no reconnection time is told, or there is no memory. With the hub's lock held.
 */
int sse__stream_retry_block(struct sse_stream *stream, int64_t now_ms);

#endif
