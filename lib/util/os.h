/* SPDX-License-Identifier: MIT */
/* os.h: the calls that differ between systems: clock, random bytes, timed wait, sockets. */
#ifndef SSE_LIB_OS_H
#define SSE_LIB_OS_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define SSE__NS_PER_MS INT64_C(1000000)

/* The default clock of a hub, an sse_clock_fn: CLOCK_MONOTONIC in nanoseconds. */
int64_t sse__os_clock(void *arg);

/* The default random source of a hub, an sse_random_fn: the system's generator. 0, or -1. */
int sse__os_random(void *arg, void *buf, size_t len);

/* Initialises a condition whose timed wait counts monotonic time: 0, or an errno value. */
int sse__os_cond_init(pthread_cond_t *cond);

/* Waits for a signal, at most until monotonic time `until_ns`; INT64_MAX: without a limit. */
void sse__os_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ns);

/*
 * Asserts that a mutex is locked, in builds with SSE_DEBUG only. Whether the calling thread locked
 * it is not known; in a program with one thread there is no difference.
 */
#ifdef SSE_DEBUG
#define SSE__HELD_LOCK(mutex) assert(sse__os_locked(mutex))
bool sse__os_locked(const pthread_mutex_t *mutex);
#else
#define SSE__HELD_LOCK(mutex) ((void)0)
#endif

/* Sends as sendmsg does, but neither blocks nor raises SIGPIPE; errno is that of sendmsg. */
ssize_t sse__os_send(int fd, const struct iovec *iov, int count);

/*
 * Sets the options of a socket that serves a stream: small writes go at once, and the system ends
 * the connection of a peer that acknowledges nothing for `stall_ms`; negative: no such deadline.
 * Tries all options, whatever fails. 0; ENOPROTOOPT if the system has no such deadline for this
 * kind of socket; or the first other error.
 */
int sse__os_prepare(int fd, int32_t stall_ms);

#endif
