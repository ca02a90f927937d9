/* SPDX-License-Identifier: MIT */
/* queue.h: entries on their way from the threads that publish to the thread of an engine. */
#ifndef ENGINE_QUEUE_H
#define ENGINE_QUEUE_H

#include <pthread.h>

#include "entry.h"

/*
 * The thread of an engine waits in poll, so that an engine with a socket can wait for both: `wake`
 * is a pipe, whose first end is readable when there may be something.
 */
struct queue {
  pthread_mutex_t lock; /* guards the next three */
  struct entries waiting;
  int closed;
  int asleep; /* the thread waits, and the next put has to wake it */
  int wake[2];
};

int queue_init(struct queue *queue); /* 0 or -1 */
void queue_free(struct queue *queue);

/* Appends an entry, from any thread. 0; or ENGINE_ESTOPPED, and the entry is the caller's. */
int queue_put(struct queue *queue, struct entry *entry);

/* Takes up to `max` entries; if there is none, it waits up to timeout_ms, or with a negative one
 * without limit. 1; or 0: the queue is closed and empty. */
int queue_take(struct queue *queue, struct entries *taken, size_t max, int timeout_ms);

/* What is in the queue can still be taken. */
void queue_close(struct queue *queue);

#endif
