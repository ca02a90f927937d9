/* SPDX-License-Identifier: MIT */
/* log.h: a hub that is fed from a log: how its head moves, and which streams are ahead of it. */
#ifndef SSE_LIB_LOG_H
#define SSE_LIB_LOG_H

#include "hub/hub.h"

/*
 * A stream is ahead while its client has an id above the head, because another process read the log
 * faster. It is given nothing until the head has reached that number. A stream of a loop is passed
 * over by the loop. A standalone stream is deaf, and in the hub's heap `ahead` by its number.
 * All functions need the hub's lock.
 */

/* Whether the number of a new event of a log fits: 0 or SSE_ENUMBER. */
int sse__log_check(const struct sse_hub *hub, const struct sse__frame *frame);
/*
 * Moves the number of the head to that of a new event. Streams that were ahead up to there are
 * woken: they look when the lock is released. An ephemeral event takes the number of the head.
 */
void sse__log_reach(struct sse_hub *hub, struct sse__frame *frame, int64_t now_ms,
                    struct sse__wake_list *list);

/* A stream of a loop is ahead, and joins a channel when the head has reached its number. */
void sse__log_join_at(struct sse_hub *hub, struct sse__inbox *inbox, uint64_t number);

/* Reserves what sse__log_go_ahead needs: 0 or SSE_ENOMEM. */
int sse__log_reserve_ahead(struct sse_hub *hub);
/* A standalone stream, which waits for nothing yet, is ahead from now on. */
void sse__log_go_ahead(struct sse_hub *hub, struct sse__standalone *standalone, uint64_t number);
/*
 * Wakes the standalone streams that are ahead and have a finished channel, in parts: they may be at
 * their end.
 */
void sse__log_wake_ahead(struct sse_hub *hub, int64_t now_ms, struct sse__wake_list *list);
/*
 * It is no longer, or is detached: it is disarmed, and publishes wake it again once it is armed.
 * Repeating it changes nothing.
 */
void sse__log_leave_ahead(struct sse_hub *hub, struct sse__standalone *standalone, int64_t now_ms);

#endif
