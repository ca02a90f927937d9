/* SPDX-License-Identifier: MIT */
/* queue.c: entries on their way from the threads that publish to the thread of an engine. */
#include "queue.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

int queue_init(struct queue *queue) {
  *queue = (struct queue){.wake = {-1, -1}};
  if (pthread_mutex_init(&queue->lock, NULL)) return -1;
  if (pipe(queue->wake) == 0) {
    fcntl(queue->wake[0], F_SETFL, O_NONBLOCK);
    fcntl(queue->wake[0], F_SETFD, FD_CLOEXEC);
    fcntl(queue->wake[1], F_SETFD, FD_CLOEXEC);
    return 0;
  }
  pthread_mutex_destroy(&queue->lock);
  return -1;
}

void queue_free(struct queue *queue) {
  entries_free(&queue->waiting);
  close(queue->wake[0]);
  close(queue->wake[1]);
  pthread_mutex_destroy(&queue->lock);
}

/* With the lock held. The pipe never has more than two bytes, so the write does not wait. */
static void wake_up(struct queue *queue) {
  if (!queue->asleep) return;
  queue->asleep = write(queue->wake[1], "", 1) != 1;
}

int queue_put(struct queue *queue, struct entry *entry) {
  pthread_mutex_lock(&queue->lock);
  int closed = queue->closed;
  if (!closed) {
    entries_add(&queue->waiting, entry);
    wake_up(queue);
  }
  pthread_mutex_unlock(&queue->lock);
  return closed ? ENGINE_ESTOPPED : 0;
}

void queue_close(struct queue *queue) {
  pthread_mutex_lock(&queue->lock);
  queue->closed = 1;
  wake_up(queue);
  pthread_mutex_unlock(&queue->lock);
}

/* Takes what is there: how many. Without any, the thread counts as asleep unless it is closed. */
static size_t take_some(struct queue *queue, struct entries *taken, size_t max, int *closed) {
  pthread_mutex_lock(&queue->lock);
  while (taken->count < max && queue->waiting.first)
    entries_add(taken, entries_take(&queue->waiting));
  *closed = queue->closed;
  queue->asleep = taken->count == 0 && !queue->closed;
  pthread_mutex_unlock(&queue->lock);
  return taken->count;
}

static void sleep_until_woken(struct queue *queue, int timeout_ms) {
  struct pollfd wake = {.fd = queue->wake[0], .events = POLLIN};
  char waste[8];
  poll(&wake, 1, timeout_ms);
  while (read(queue->wake[0], waste, sizeof waste) == sizeof waste) continue;
}

int queue_take(struct queue *queue, struct entries *taken, size_t max, int timeout_ms) {
  int closed;
  if (take_some(queue, taken, max, &closed) > 0) return 1;
  if (closed) return 0;
  sleep_until_woken(queue, timeout_ms);
  return take_some(queue, taken, max, &closed) > 0 || !closed;
}
