/* SPDX-License-Identifier: MIT */
/* liveness.h: heartbeat, stale id, stall and maximum age of one stream, on one timer. */
#ifndef SSE_LIB_LIVENESS_H
#define SSE_LIB_LIVENESS_H

#include <sse/hub.h>
#include <stdbool.h>

#include "util/timers.h"

/* The owner's thread writes it, and for a lone stream the hub's lock guards it. */
struct sse__liveness {
  struct sse__timer timer;
  int64_t moved_ms;     /* the client last took bytes, or there first were some to take again */
  int64_t id_ms;        /* when the client's id was last known to be up to date */
  int64_t close_ms;     /* when its age ends; SSE__NEVER_MS */
  int32_t heartbeat_ms; /* or SSE_NEVER, as stall_ms */
  int32_t stall_ms;
};

enum sse__due {
  SSE__DUE_NOTHING,
  SSE__DUE_BEAT,  /* silence, or an id that has fallen behind */
  SSE__DUE_STALL, /* nothing was taken for too long */
  SSE__DUE_CLOSE  /* of age */
};

void sse__liveness_start(struct sse__liveness *live, int64_t now_ms);
/*
 * Looks what is due and counts it as told: a beat is due again after another heartbeat, an age ends
 * once. `waiting`: the client took everything, the next move is ours.
 */
enum sse__due sse__liveness_check(struct sse__liveness *live, bool waiting, int64_t now_ms);
/* Its age ends at the latest then; a timer that comes nearer is to be put in order. */
void sse__liveness_close_by(struct sse__liveness *live, int64_t close_ms);
/* When to check again: nothing of note falls due before, whatever happens until then. After now_ms.
 */
int64_t sse__liveness_next(const struct sse__liveness *live, bool waiting, int64_t now_ms);

#endif
