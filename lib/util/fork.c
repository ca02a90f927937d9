/* SPDX-License-Identifier: MIT */
/* fork.c: marks objects in the child of a fork, which must not use its parent's. */
#include "util/fork.h"

#include <pthread.h>

static pthread_mutex_t watches_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list */
static struct sse__list watches;
static int install_error; /* why the handlers could not be installed, for good; or 0 */

/* The list is whole in the child, since no other thread changes it during a fork. */
static void before_fork(void) {
  pthread_mutex_lock(&watches_lock);
}

static void after_fork_in_parent(void) {
  pthread_mutex_unlock(&watches_lock);
}

static void after_fork_in_child(void) {
  SSE__LIST_EACH(link, &watches) {
    struct sse__fork_watch *watch = SSE__CONTAINER(link, struct sse__fork_watch, link);
    watch->forked(watch);
  }
  pthread_mutex_unlock(&watches_lock);
}

/*
 * Not under the lock: a fork that runs at this moment would leave it locked in its child, because
 * pthread_atfork waits until that fork is over.
 */
static void install_handlers(void) {
  install_error = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

int sse__fork_watch(struct sse__fork_watch *watch, void (*forked)(struct sse__fork_watch *at)) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install_handlers);
  if (install_error) return install_error;
  watch->forked = forked;
  pthread_mutex_lock(&watches_lock);
  sse__list_append(&watches, &watch->link);
  pthread_mutex_unlock(&watches_lock);
  return 0;
}

void sse__fork_unwatch(struct sse__fork_watch *watch) {
  pthread_mutex_lock(&watches_lock);
  sse__list_remove(&watches, &watch->link);
  pthread_mutex_unlock(&watches_lock);
}
