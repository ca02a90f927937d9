/* SPDX-License-Identifier: MIT */
/* presence.c: telling the host that a channel got its first or lost its last stream. */
#include "presence.h"

static bool settled(const struct sse__channel *channel) {
  return channel->present == (channel->streams > 0);
}

void sse__presence_note(struct sse__presence *presence, struct sse__channel *channel) {
  if (!presence->fn || channel->presence_queued || settled(channel)) return;
  channel->presence_queued = true;
  channel->presence_next = NULL;
  if (presence->last) {
    presence->last->presence_next = channel;
  } else {
    presence->first = channel;
  }
  presence->last = channel;
}

static struct sse__channel *take(struct sse__presence *presence) {
  struct sse__channel *channel = presence->first;
  presence->first = channel->presence_next;
  if (!presence->first) presence->last = NULL;
  channel->presence_queued = false;
  return channel;
}

/* What changes while the host is told comes into the row again, behind the others. */
static void tell(struct sse__presence *presence, struct sse__channel *channel,
                 pthread_mutex_t *lock) {
  channel->present = channel->streams > 0;
  channel->presence_telling = true;
  bool present = channel->present;
  pthread_mutex_unlock(lock);
  presence->fn(presence->arg, channel->name, present);
  pthread_mutex_lock(lock);
  channel->presence_telling = false;
}

/* A timer may have come meanwhile and found the channel in use, so it is set anew. */
void sse__presence_run(struct sse__presence *presence, struct sse__channels *channels,
                       pthread_mutex_t *lock, int64_t now_ms) {
  if (presence->running) return;
  presence->running = true;
  while (presence->first) {
    struct sse__channel *channel = take(presence);
    if (!settled(channel)) tell(presence, channel, lock);
    sse__channel_touch(channels, channel, now_ms);
  }
  presence->running = false;
}
