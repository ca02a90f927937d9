/* SPDX-License-Identifier: MIT */
/* occupancy.h: telling the host that a channel got its first or lost its last stream. */
#ifndef SSE_LIB_PRESENCE_H
#define SSE_LIB_PRESENCE_H

#include <pthread.h>

#include "hub/channel.h"
#include "util/os.h"

/*
 * Guarded by the hub's lock. Channels whose state is not the one last told are in a row; at most
 * one thread works on it, and the others leave theirs to it. A channel that is in the row, or being
 * told of, does not go away.
 */
struct sse__occupancy {
  sse_occupancy_fn *fn; /* NULL: nobody wants to know */
  void *arg;
  struct sse__channel *first, *last;
  bool running;
};

/* A stream joined or left a channel for good. With the hub's lock held. */
void sse__occupancy_note(struct sse__occupancy *occupancy, struct sse__channel *channel);

/*
 * Tells what is to be told, unless a thread is at it already: then that one does. The lock is taken
 * before and after, and free during each call.
 */
void sse__occupancy_run(struct sse__occupancy *occupancy, struct sse__channels *channels,
                        pthread_mutex_t *lock, int64_t now_ms);

#endif
