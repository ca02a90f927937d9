/* SPDX-License-Identifier: MIT */
/* occupancy.c: telling the host that a channel got its first or lost its last stream. */
#include "hub/occupancy.h"

static bool settled(const struct sse__channel *channel) {
  return channel->occupied == (channel->streams > 0);
}

void sse__occupancy_note(struct sse__occupancy *occupancy, struct sse__channel *channel) {
  if (!occupancy->fn || channel->occupancy_queued || settled(channel)) return;
  channel->occupancy_queued = true;
  channel->occupancy_next = NULL;
  if (occupancy->last) {
    occupancy->last->occupancy_next = channel;
  } else {
    occupancy->first = channel;
  }
  occupancy->last = channel;
}

static struct sse__channel *take(struct sse__occupancy *occupancy) {
  struct sse__channel *channel = occupancy->first;
  occupancy->first = channel->occupancy_next;
  if (!occupancy->first) occupancy->last = NULL;
  channel->occupancy_queued = false;
  return channel;
}

/* What changes while the host is told comes into the row again, behind the others. */
static void tell(struct sse__occupancy *occupancy, struct sse__channel *channel,
                 pthread_mutex_t *lock) {
  channel->occupied = channel->streams > 0;
  channel->occupancy_notifying = true;
  bool present = channel->occupied;
  pthread_mutex_unlock(lock);
  occupancy->fn(occupancy->arg, channel->name, present);
  pthread_mutex_lock(lock);
  channel->occupancy_notifying = false;
}

/* A timer may have come meanwhile and found the channel in use, so it is set anew. */
void sse__occupancy_run(struct sse__occupancy *occupancy, struct sse__channels *channels,
                        pthread_mutex_t *lock, int64_t now_ms) {
  SSE__HELD_LOCK(lock);
  if (occupancy->running) return;
  occupancy->running = true;
  while (occupancy->first) {
    struct sse__channel *channel = take(occupancy);
    if (!settled(channel)) tell(occupancy, channel, lock);
    sse__channel_touch(channels, channel, now_ms);
  }
  occupancy->running = false;
}
