/* SPDX-License-Identifier: MIT */
/* farewell.h: the last block of a stream that ends gently: when its client is to come back. */
#ifndef SSE_LIB_FAREWELL_H
#define SSE_LIB_FAREWELL_H

#include "stream/stream_priv.h"

/* A reconnection time between this one and one and a half times this, or SSE_NEVER. With the hub's
 * lock held. */
int32_t sse__retry_spread(sse_hub *hub, int32_t retry_ms);

#endif
