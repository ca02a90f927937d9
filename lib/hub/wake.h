/* SPDX-License-Identifier: MIT */
/* wake.h: calling the host's wake: coalesced, with no lock held, and stopped for certain. */
#ifndef SSE_LIB_WAKE_H
#define SSE_LIB_WAKE_H

#include <pthread.h>
#include <sse/loop.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/os.h"

/*
 * The wake of one loop or one lone stream; all members are guarded by the hub's lock. At most one
 * thread runs it at a time; what is posted meanwhile is in `why`, and that thread calls again.
 */
struct sse__waker {
  sse_wake_fn *fn; /* NULL: nobody to call */
  void *arg;
  pthread_cond_t *waiting; /* a thread that waits for it, or NULL; signalled instead of a call */
  unsigned why;            /* SSE_WAKE_ reasons, posted and not yet told */
  bool armed;              /* the host waits; a post takes this away */
  bool running;            /* some thread has it on its list or is in fn */
  bool failed;             /* fn failed, and it is on the list of those to call again */
  bool stopped;            /* never to be called any more */
  struct sse__waker *next; /* on either list */
};

/* What the wakers of a hub share. */
struct sse__wakers {
  pthread_mutex_t *lock; /* the hub's */
  pthread_cond_t idle;   /* broadcast when a waker stops running, if somebody waits */
  unsigned waiters;
  struct sse__waker *failed;
  uint64_t calls, failures; /* of wakes, so far */
};

/* The wakers that one thread will run: a list on its stack. */
struct sse__wake_list {
  struct sse__waker *first;
};

/* Each with the hub's lock held. */

/* Posts a reason; it reaches the host if the waker is armed, SSE_WAKE_ENDED if it is forced. */
void sse__waker_post(struct sse__waker *waker, unsigned why, bool forced,
                     struct sse__wake_list *list);
/* Adds those whose last call failed. */
void sse__wakers_retry(struct sse__wakers *wakers, struct sse__wake_list *list);
/* A sleep until the next timer, shortened if a wake is to be tried again. */
int sse__wakers_sleep(const struct sse__wakers *wakers, int sleep_ms);
/* Calls all on the list; lets the lock go meanwhile. */
void sse__wakers_call(struct sse__wakers *wakers, struct sse__wake_list *list);
/* The same, and lets the lock go for good. Most often there is none: a wake stands for many
 * publishes. */
static inline void sse__wakers_run(struct sse__wakers *wakers, struct sse__wake_list *list) {
  if (list->first) sse__wakers_call(wakers, list);
  pthread_mutex_unlock(wakers->lock);
}
/* Waits until nothing runs it; it will not be called again. May let the lock go meanwhile. */
void sse__waker_stop(struct sse__wakers *wakers, struct sse__waker *waker);

#endif
