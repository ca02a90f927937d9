/* SPDX-License-Identifier: MIT */
/* liveness.c: heartbeat, stale id, stall and maximum age of one stream, on one timer. */
#include "hub/liveness.h"

/*
 * The timer is lazy: a delivery only writes moved_ms and id_ms, which never decrease, and does not
 * touch the heap. When the timer fires, the check computes what is due, and the timer is set again.
 */

static int64_t earlier(int64_t a, int64_t b) {
  return a < b ? a : b;
}

void sse__liveness_start(struct sse__liveness *live, int64_t now_ms) {
  live->moved_ms = live->id_ms = now_ms;
}

void sse__liveness_close_by(struct sse__liveness *live, int64_t close_ms) {
  live->close_ms = earlier(live->close_ms, close_ms);
  live->timer.due_ms = earlier(live->timer.due_ms, close_ms);
}

enum sse__due sse__liveness_check(struct sse__liveness *live, bool waiting, int64_t now_ms) {
  if (!waiting && sse__time_after(live->moved_ms, live->stall_ms) <= now_ms) return SSE__DUE_STALL;
  if (live->close_ms <= now_ms) {
    live->close_ms = SSE__NEVER_MS;
    return SSE__DUE_CLOSE;
  }
  if (!waiting) return SSE__DUE_NOTHING;
  if (sse__time_after(earlier(live->moved_ms, live->id_ms), live->heartbeat_ms) > now_ms) {
    return SSE__DUE_NOTHING;
  }
  live->moved_ms = live->id_ms = now_ms;
  return SSE__DUE_BEAT;
}

/*
 * A stream that waits for events cannot stall, and one with bytes to take needs no heartbeat. The
 * time that does not run starts at now at the earliest, when the state changes.
 */
int64_t sse__liveness_next(const struct sse__liveness *live, bool waiting, int64_t now_ms) {
  int64_t silent_since = waiting ? earlier(live->moved_ms, live->id_ms) : now_ms;
  int64_t stuck_since = waiting ? now_ms : live->moved_ms;
  int64_t next = earlier(sse__time_after(silent_since, live->heartbeat_ms),
                         sse__time_after(stuck_since, live->stall_ms));
  return earlier(next, live->close_ms);
}
