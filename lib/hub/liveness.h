/* SPDX-License-Identifier: MIT */
/* liveness.h: heartbeat, stale id, stall and maximum age of one stream, on one timer. */
#ifndef SSE_LIB_LIVENESS_H
#define SSE_LIB_LIVENESS_H

#include <sse/hub.h>
#include <stdbool.h>

#include "util/timers.h"

/* Written by the thread of the stream's loop; of a standalone stream guarded by the hub's lock. */
struct sse__liveness {
  struct sse__timer timer; /* the one timer of all four */
  int64_t moved_ms;        /* when the client last took bytes, or bytes became available again */
  int64_t id_ms;           /* when the client's id was last known to be up to date */
  int64_t close_ms;        /* when the stream ends; SSE__NEVER_MS: never */
  int32_t heartbeat_ms;    /* silence before a heartbeat; SSE_NEVER: none */
  int32_t stall_ms;        /* time without progress before the stream ends; SSE_NEVER: no limit */
};

enum sse__due {
  SSE__DUE_NOTHING,
  SSE__DUE_BEAT,  /* a heartbeat, or a position if the client's id is out of date */
  SSE__DUE_STALL, /* the end: the client took nothing for stall_ms */
  SSE__DUE_CLOSE  /* the end: close_ms has come */
};

/* Starts all times at now_ms. */
void sse__liveness_start(struct sse__liveness *live, int64_t now_ms);
/*
 * What is due now. It then counts as reported: the next heartbeat is due after another
 * heartbeat_ms, and the end of the age is reported once. `waiting`: the client took all bytes, so
 * the stream waits for events.
 */
enum sse__due sse__liveness_check(struct sse__liveness *live, bool waiting, int64_t now_ms);
/* Moves close_ms nearer, to close_ms at the latest. The caller restores the order of the heap. */
void sse__liveness_close_by(struct sse__liveness *live, int64_t close_ms);
/* When to check again, after now_ms: nothing is due before, whatever happens until then. */
int64_t sse__liveness_next(const struct sse__liveness *live, bool waiting, int64_t now_ms);

#endif
