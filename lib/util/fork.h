/* SPDX-License-Identifier: MIT */
/* fork.h: marks objects in the child of a fork, which must not use its parent's. */
#ifndef SSE_LIB_FORK_H
#define SSE_LIB_FORK_H

#include "util/list.h"

/* An object embeds one. It is in the library's only list that does not belong to an object. */
struct sse__fork_watch {
  struct sse__link link;                      /* in the list of all watches */
  void (*forked)(struct sse__fork_watch *at); /* called in the child of each fork */
};

/*
 * From now on `forked` is called in the child of each fork, before the fork returns there. It takes
 * no lock: the child has only this thread, and other objects may be in the middle of a change.
 * Returns 0, or an errno value without memory for the handler, which the process needs once.
 */
int sse__fork_watch(struct sse__fork_watch *watch, void (*forked)(struct sse__fork_watch *at));
/* Ends that. */
void sse__fork_unwatch(struct sse__fork_watch *watch);

#endif
