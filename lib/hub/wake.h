/* SPDX-License-Identifier: MIT */
/* wake.h: calls of the host's wake: coalesced, without a lock, and none after a stop. */
#ifndef SSE_LIB_WAKE_H
#define SSE_LIB_WAKE_H

#include <pthread.h>
#include <sse/loop.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/list.h"
#include "util/os.h"

/*
 * The wake of one loop or standalone stream; guarded by the hub's lock. At most one thread runs it
 * at a time. Reasons that are posted meanwhile stay in `why`, and that thread calls again.
 */
struct sse__waker {
  sse_wake_fn *fn;          /* the host's function, or NULL */
  void *arg;                /* its first argument */
  pthread_cond_t *waiting;  /* signalled instead of a call: a thread that waits; NULL: none */
  unsigned why;             /* reasons that were posted and not yet reported, SSE_WAKE_ bits */
  bool armed;               /* the host waits; a post disarms */
  bool running;             /* a thread has it on its list or is in fn */
  bool failed;              /* fn failed: it is on the list of wakers to call again */
  bool stopped;             /* fn is never called again */
  struct sse__waker *next;  /* the next waker on the list of the thread that runs it */
  struct sse__link failure; /* in the list of wakers to call again */
};

/* What all wakers of a hub share. */
struct sse__wakers {
  pthread_mutex_t *lock;    /* the hub's lock */
  pthread_cond_t idle;      /* broadcast when a waker stops running and a thread waits for it */
  unsigned waiters;         /* threads that wait for `idle` */
  struct sse__list failed;  /* the wakers to call again */
  uint64_t calls, failures; /* calls of wakes so far, and those that failed */
};

/* The wakers that one thread will run; a list on its stack. */
struct sse__wake_list {
  struct sse__waker *first; /* the first waker, or NULL */
};

/* All functions below need the hub's lock. */

/* Posts a reason. It reaches the host if the waker is armed, or if `forced`. */
void sse__waker_post(struct sse__waker *waker, unsigned why, bool forced,
                     struct sse__wake_list *list);
/* Adds wakers whose last call failed to the list, those that failed longest ago first, a limited
 * number of them. */
void sse__wakers_retry(struct sse__wakers *wakers, struct sse__wake_list *list);
/* Shortens a timeout if a wake must be tried again. */
int sse__wakers_sleep(const struct sse__wakers *wakers, int sleep_ms);
/* Calls all wakers on the list; releases the lock during each call. */
void sse__wakers_call(struct sse__wakers *wakers, struct sse__wake_list *list);
/* Calls all wakers on the list and releases the lock. Mostly the list is empty, because one wake
 * covers many publishes. */
static inline void sse__wakers_run(struct sse__wakers *wakers, struct sse__wake_list *list) {
  if (list->first) sse__wakers_call(wakers, list);
  pthread_mutex_unlock(wakers->lock);
}
/* Waits until no thread runs the waker, which is then never called again; may release the lock
 * meanwhile. */
void sse__waker_stop(struct sse__wakers *wakers, struct sse__waker *waker);

#endif
