/* SPDX-License-Identifier: MIT */
/* os.h: what differs between systems: monotonic time, random bytes, a condition that waits by it.
 */
#ifndef SSE_LIB_OS_H
#define SSE_LIB_OS_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define SSE__NS_PER_MS INT64_C(1000000)

/* CLOCK_MONOTONIC in nanoseconds; an sse_clock_fn. */
int64_t sse__os_clock(void *arg);

/* Fills buf from the system's generator; an sse_random_fn. 0, or -1. */
int sse__os_random(void *arg, void *buf, size_t len);

/* A condition variable whose timed wait counts monotonic time. 0, or an errno value. */
int sse__os_cond_init(pthread_cond_t *cond);

/* Waits for a signal, at most until monotonic time `until_ns` (INT64_MAX: for ever). */
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

/* sendmsg that neither blocks nor raises SIGPIPE; errno as sendmsg sets it. */
ssize_t sse__os_send(int fd, const struct iovec *iov, int count);

#endif
