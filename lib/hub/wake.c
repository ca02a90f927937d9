/* SPDX-License-Identifier: MIT */
/* wake.c: calls of the host's wake: coalesced, without a lock, and none after a stop. */
#include "hub/wake.h"

#define RETRY_MS  100 /* the time until a failed wake is called again; a publish may do so earlier */
#define RETRY_MAX 512 /* failed wakes that are called again at a time */

static void enlist_waker(struct sse__waker *waker, struct sse__wake_list *list) {
  waker->running = true;
  waker->next = list->first;
  list->first = waker;
}

void sse__waker_post(struct sse__waker *waker, unsigned why, bool forced,
                     struct sse__wake_list *list) {
  if (!waker->armed && !forced) return;
  waker->armed = false;
  if (waker->waiting) {
    pthread_cond_signal(waker->waiting);
    return;
  }
  if (!waker->fn || waker->stopped) return;
  waker->why |= why;
  if (!waker->running && !waker->failed) enlist_waker(waker, list);
}

static void forget_failed(struct sse__wakers *wakers, struct sse__waker *waker) {
  sse__list_remove(&wakers->failed, &waker->failure);
  waker->failed = false;
}

void sse__wakers_retry(struct sse__wakers *wakers, struct sse__wake_list *list) {
  SSE__HELD_LOCK(wakers->lock);
  for (int i = 0; wakers->failed.first && i < RETRY_MAX; i++) {
    struct sse__waker *waker = SSE__CONTAINER(wakers->failed.first, struct sse__waker, failure);
    forget_failed(wakers, waker);
    enlist_waker(waker, list);
  }
}

int sse__wakers_sleep(const struct sse__wakers *wakers, int sleep_ms) {
  SSE__HELD_LOCK(wakers->lock);
  bool shorten = wakers->failed.first && (sleep_ms < 0 || sleep_ms > RETRY_MS);
  return shorten ? RETRY_MS : sleep_ms;
}

/* Calls a waker until all reasons are reported; the lock is released during each call. */
static void run_waker(struct sse__wakers *wakers, struct sse__waker *waker) {
  while (waker->why && !waker->stopped) {
    unsigned why = waker->why;
    waker->why = 0;
    pthread_mutex_unlock(wakers->lock);
    int failure = waker->fn(waker->arg, why);
    pthread_mutex_lock(wakers->lock);
    wakers->calls++;
    if (failure) wakers->failures++;
    if (failure && !waker->stopped) {
      waker->why |= why;
      waker->failed = true;
      sse__list_append(&wakers->failed, &waker->failure);
      break;
    }
  }
  waker->running = false;
  if (wakers->waiters) pthread_cond_broadcast(&wakers->idle);
}

void sse__wakers_call(struct sse__wakers *wakers, struct sse__wake_list *list) {
  SSE__HELD_LOCK(wakers->lock);
  while (list->first) {
    struct sse__waker *waker = list->first;
    list->first = waker->next;
    run_waker(wakers, waker);
  }
}

void sse__waker_stop(struct sse__wakers *wakers, struct sse__waker *waker) {
  SSE__HELD_LOCK(wakers->lock);
  waker->stopped = true;
  if (waker->failed) forget_failed(wakers, waker);
  wakers->waiters++;
  while (waker->running) pthread_cond_wait(&wakers->idle, wakers->lock);
  wakers->waiters--;
}
