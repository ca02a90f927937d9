/* SPDX-License-Identifier: MIT */
/* fork.c: marks objects in the child of a fork, which must not use its parent's. */
#include "util/fork.h"

#include <pthread.h>
#include <stdbool.h>

static pthread_mutex_t watches_lock = PTHREAD_MUTEX_INITIALIZER; /* guards both below */
static struct sse__list watches;
static bool handlers_installed;

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

int sse__fork_watch(struct sse__fork_watch *watch, void (*forked)(struct sse__fork_watch *at)) {
  int error = 0;
  watch->forked = forked;
  pthread_mutex_lock(&watches_lock);
  if (!handlers_installed) {
    error = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    handlers_installed = error == 0;
  }
  if (!error) sse__list_append(&watches, &watch->link);
  pthread_mutex_unlock(&watches_lock);
  return error;
}

void sse__fork_unwatch(struct sse__fork_watch *watch) {
  pthread_mutex_lock(&watches_lock);
  sse__list_remove(&watches, &watch->link);
  pthread_mutex_unlock(&watches_lock);
}
