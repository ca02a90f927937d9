/* SPDX-License-Identifier: MIT */
/* loop.h: the counterpart of one host event loop, and the streams that it drives. */
#ifndef SSE_LOOP_H
#define SSE_LOOP_H

#include "hub.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One client connection; see stream.h. */
typedef struct sse_stream sse_stream;

/*
 * A loop stands for one event loop of the host. It combines the wakes of all its streams into one.
 * In each iteration it takes one snapshot of the new frames and serves the streams that are caught
 * up from that snapshot, without a lock.
 */
typedef struct sse_loop sse_loop;

/* Reasons for a wake, combined with |. */
#define SSE_WAKE_READY 0x1u /* a stream has something to send */
#define SSE_WAKE_ENDED 0x2u /* a stream was ended by something other than its own thread */

/*
 * Tells the host that a loop, or a standalone stream, has something to do.
 *
 * It is called on the thread that publishes, finishes, subscribes, unsubscribes, disconnects,
 * dismisses, drains or ticks, or that is in sse_loop_next of any loop; with concurrent_replays_max,
 * also on a thread that looks for bytes of another stream or detaches it. No lock of the library is
 * held, and calls for one object never overlap. It must not block and must not call libsse: it
 * writes to an eventfd or a pipe, resumes a suspended connection, or the like. It returns 0 if the
 * wake was delivered. Any other value means that it failed; it is called again at the next publish
 * or tick.
 */
typedef int sse_wake_fn(void *arg, unsigned why);

/* The configuration of a loop. A member that is 0 or NULL takes the default in its comment. */
typedef struct sse_loop_config {
  sse_wake_fn *wake; /* how another thread wakes the host's event loop; required */
  void *wake_arg;    /* passed to wake; borrowed until sse_loop_free returns */
  int32_t linger_ms; /* longest time in ms that a new frame may wait before it is served, so that
                        several share one send; default 0: no wait; SSE_NEVER is refused */
  void *reserved[4]; /* must be NULL */
} sse_loop_config;

/**
 * Creates a loop.
 *
 * loop    receives the pointer; unchanged on failure.
 * hub     the hub whose streams the loop will drive; must outlive the loop.
 * config  borrowed for the call.
 *
 * About linger_ms: the first new frame wakes the host as usual; sse_loop_next then finds nothing,
 * and sse_loop_timeout returns the time that is left. Without a linger, a channel with 1,000
 * publishes per second costs up to 1,000 sends per second for each client; with 10 ms, 100. A
 * stream that is read outside of an iteration, because its transport has room again, is given all
 * there is.
 *
 * Threads:   any.
 * Callbacks: alloc.
 * Returns:   0; SSE_EINVAL (a pointer or wake is NULL, linger_ms is negative, a reserved member is
 *            not NULL), SSE_ENOMEM.
 */
SSE_API int sse_loop_new(sse_loop **loop, sse_hub *hub, const sse_loop_config *config);

/**
 * Returns the next stream that has something to do, and runs timers.
 *
 * loop  the loop.
 *
 * Call it after a wake, when sse_loop_timeout has passed, and after opening a stream, until it
 * returns NULL: these calls are one iteration. A stream that was just opened is returned in the
 * next iteration, because its first bytes wait. For each stream, send what sse_stream_peek gives
 * until it gives nothing or the transport is full; sse_stream_flush does just that. A stream is
 * returned again only after a peek or read found nothing (it is then armed), or after
 * sse_stream_flush interrupted a long replay; if its transport is full, the host continues when the
 * transport has room. A stream that has ended is returned once
 * more, and its peek returns the reason. Between two calls the host may open, detach and free
 * streams, the one that was just returned included.
 *
 * NULL ends the iteration and re-arms the wake. The host then sleeps for at most sse_loop_timeout,
 * which is 0 if there is more to do already. The wake is not called for work that sse_loop_timeout
 * reports.
 *
 * Threads:   one at a time for the loop and all its streams.
 * Callbacks: alloc, clock, and wakes that had failed or that timers of standalone streams call for.
 * Returns:   a stream, or NULL; also NULL if loop is NULL or of a hub from before a fork.
 */
SSE_API sse_stream *sse_loop_next(sse_loop *loop);

/**
 * Returns how long the host may sleep.
 *
 * loop  the loop.
 *
 * Threads:   one at a time for the loop and all its streams.
 * Callbacks: clock.
 * Returns:   ms, as poll and epoll_wait take it: -1 if no timer is set, 0 if there is something to
 *            do now; also -1 if loop is NULL or of a hub from before a fork.
 */
SSE_API int32_t sse_loop_timeout(sse_loop *loop);

/**
 * Frees a loop. After it returns, its wake is not running and will not be called.
 *
 * loop  NULL is allowed.
 *
 * It waits for a wake that is running on another thread, so do not call it with a lock held that
 * the wake takes.
 *
 * Threads:   the last user of the loop.
 * Callbacks: alloc.
 * Returns:   0; SSE_EBUSY if it has streams that are not detached, or SSE_EFORK; nothing is changed
 *            then.
 */
SSE_API int sse_loop_free(sse_loop *loop);

#ifdef __cplusplus
}
#endif
#endif
