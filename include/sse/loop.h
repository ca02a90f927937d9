/* SPDX-License-Identifier: MIT */
/* loop.h: the counterpart of one host event loop, and the streams that it drives. */
#ifndef SSE_LOOP_H
#define SSE_LOOP_H

#include "hub.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sse_stream;

/*
 * A loop stands for one event loop of the host. It gathers the wakes of all its streams into one,
 * and serves the streams that are in step from one snapshot of the new frames per round, without a
 * lock.
 */
typedef struct sse_loop sse_loop;

/* Why a wake comes; for `why`, one or more. */
#define SSE_WAKE_READY 0x1u /* there is something to send */
#define SSE_WAKE_ENDED 0x2u /* a stream was ended by something else than its own thread */

/*
 * Tells the host that a loop, or a stream that stands alone, has something to do. Called on
 * whatever thread publishes, finishes, kicks, drains, ticks or is in sse_loop_next of any loop, and
 * with concurrent_replays_max also on one that looks for bytes of another stream or detaches it; with no lock
 * of the library held, never twice at one time for one object. It must not block and must not call
 * libsse: it writes to an eventfd, resumes a suspended connection, or the like. 0: delivered;
 * anything else: failed, and it is called again at the next publish or tick.
 */
typedef int sse_wake_fn(void *arg, unsigned why);

/**
 * Makes a loop.
 *
 * loop  where its pointer goes; untouched on failure.
 * hub   the hub whose streams it will drive; must outlive the loop.
 * wake  how to wake the host's loop from another thread.
 * arg   passed to wake; borrowed until sse_loop_free returns.
 *
 * Threads:   any.
 * Callbacks: alloc.
 * Returns:   0; SSE_EINVAL, SSE_ENOMEM.
 */
SSE_API int sse_loop_new(sse_loop **loop, sse_hub *hub, sse_wake_fn *wake, void *arg);

/**
 * Gives the next stream that has something to do, and runs timers.
 *
 * loop  the loop.
 *
 * Call it after a wake, or when sse_loop_timeout has passed, until it returns NULL. For each
 * stream: send what sse_stream_peek gives until it gives nothing or the transport is full, or
 * simply call sse_stream_flush. A stream comes back only after a peek or read of it found nothing;
 * one whose transport is full is the host's to go on with when the transport has room. A stream
 * that has ended comes once more, and its peek tells why. Streams may be opened, detached and freed
 * between two calls, the one just returned among them.
 *
 * NULL ends the round: the wake is on again, and the host sleeps for sse_loop_timeout at most,
 * which is 0 if there is more to do already. No wake comes for what the timeout tells.
 *
 * Threads:   one at a time for the loop and all its streams.
 * Callbacks: alloc, clock, and wakes that had failed before.
 * Returns:   a stream, or NULL.
 */
SSE_API struct sse_stream *sse_loop_next(sse_loop *loop);

/**
 * Tells how long the host may sleep.
 *
 * loop  the loop.
 *
 * Threads:   one at a time for the loop and all its streams.
 * Callbacks: clock.
 * Returns:   milliseconds, in the form that poll and epoll_wait take: -1 if there is no timer, 0 if
 *            there is something to do now.
 */
SSE_API int sse_loop_timeout(sse_loop *loop);

/**
 * Lets new frames wait, so that many publishes cost one send for each client and interval.
 *
 * loop       the loop.
 * linger_ms  how long a frame may wait at most before a round serves it; 0, as at the start: not at
 *            all.
 *
 * The first frame after a round wakes the host as ever; sse_loop_next then finds nothing, and
 * sse_loop_timeout gives the time that is left. Without a linger a channel with a thousand
 * publishes in a second costs up to a thousand sends for each of its clients; with 10 ms, a
 * hundred. A stream that is read outside of a round, because its transport has room again, gets
 * what there is.
 *
 * Threads:   one at a time for the loop and all its streams.
 * Callbacks: none.
 * Returns:   0; SSE_EINVAL (negative).
 */
SSE_API int sse_loop_linger(sse_loop *loop, int32_t linger_ms);

/**
 * Frees a loop. After it returns, no wake of the loop runs or will come.
 *
 * loop  NULL is allowed.
 *
 * It waits for a wake that is running on another thread, so never call it with a lock held that the
 * wake takes.
 *
 * Threads:   the last user of the loop.
 * Callbacks: alloc.
 * Returns:   0; SSE_EBUSY while it has streams that are not detached, and then nothing is changed.
 */
SSE_API int sse_loop_free(sse_loop *loop);

#ifdef __cplusplus
}
#endif
#endif
