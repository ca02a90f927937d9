/* SPDX-License-Identifier: MIT */
/* farewell.c: the last block of a stream that ends gently. */
#include "stream/farewell.h"

int32_t sse__retry_spread(sse_hub *hub, int32_t retry_ms) {
  if (retry_ms == SSE_NEVER) return SSE_NEVER;
  int64_t spread = retry_ms + (int64_t)sse__hub_random(hub, (uint32_t)retry_ms / 2);
  return spread > SSE_RETRY_MAX_MS ? SSE_RETRY_MAX_MS : (int32_t)spread;
}
