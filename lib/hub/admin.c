/* SPDX-License-Identifier: MIT */
/* admin.c: ending the streams of a hub: all of them, those of a channel or those of a tag. */
#include <limits.h>

#include "hub/notice.h"

/* ---- drain ---- */

/*
 * There is no list of all streams. The streams of a loop are all in its heap of timers, which only
 * its thread may use: so the loop is notified, and moves their ends in its next iteration.
 * Standalone streams are in the hub's heap.
 */

/* A thread in sse_stream_wait sleeps until its stream's next timer, so it must look again. */
static void drain_lones(struct sse_hub *hub, int64_t now_ms) {
  SSE__HELD(hub);
  for (uint32_t i = 0; i < hub->timers.count; i++) {
    struct sse__timer *timer = hub->timers.heap[i];
    if (timer->kind != SSE__TIMER_STREAM) continue;
    struct sse__subscriber *sub = SSE__CONTAINER(timer, struct sse__subscriber, live.timer);
    if (sub->end) continue;
    sse__liveness_close_by(&sub->live, sse__drain_time(&hub->random, now_ms, hub->drain_until_ms));
    if (sub->u.standalone->waker.waiting) pthread_cond_signal(sub->u.standalone->waker.waiting);
  }
  sse__timers_order(&hub->timers);
}

static void tell_loops(struct sse_hub *hub, struct sse__wake_list *list) {
  SSE__HELD(hub);
  SSE__LIST_EACH(link, &hub->inboxes) {
    struct sse__inbox *inbox = SSE__CONTAINER(link, struct sse__inbox, link);
    inbox->drain = true;
    sse__waker_post(&inbox->waker, SSE_WAKE_READY, false, list);
  }
}

int sse_hub_drain(sse_hub *hub, int32_t over_ms) {
  struct sse__wake_list list = {NULL};
  if (!hub || over_ms < 0) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  pthread_mutex_lock(&hub->lock);
  int64_t now_ms = sse__hub_now(hub);
  if (!hub->draining || now_ms + over_ms < hub->drain_until_ms) {
    hub->draining = true;
    hub->drain_until_ms = now_ms + over_ms;
    drain_lones(hub, now_ms);
    tell_loops(hub, &list);
  }
  sse__wakers_run(&hub->wakers, &list);
  return SSE_OK;
}

/* ---- finish and disconnect ---- */

int sse_hub_finish(sse_hub *hub, const char *channel) {
  const char *const names[] = {channel, NULL};
  struct sse__wake_list list = {NULL};
  struct sse__channel *ch;
  size_t len;
  if (!hub || !channel) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  int error = sse__channel_name_check(channel, &len);
  if (error) return error;
  pthread_mutex_lock(&hub->lock);
  int64_t now_ms = sse__hub_now(hub);
  error = sse__channels_get(&hub->channels, channel, len, now_ms, &ch);
  if (!error && !ch->finished) {
    ch->finished = true;
    sse__channel_touch(&hub->channels, ch, now_ms);
    struct sse__notice notice;
    sse__notice_init(&notice, hub->head, now_ms);
    sse__notice_channel(hub, &notice, ch, &list);
    if (notice.unfinished) sse__notice_finish(hub, &notice, names, &list);
  }
  sse__wakers_run(&hub->wakers, &list);
  return error;
}

/* The streams of a channel that belong to loops. */
static size_t end_in_loops(const struct sse__channel *channel, struct sse__wake_list *list) {
  size_t ended = 0;
  SSE__LIST_EACH(link, &channel->feeds) {
    const struct sse__loop_feed *feed = SSE__CONTAINER(link, struct sse__loop_feed, link);
    for (uint32_t i = 0; i < feed->count; i++) {
      ended += sse__subscriber_end(feed->subscriptions[i]->sub, SSE_EDISCONNECTED, list);
    }
  }
  return ended;
}

/*
 * Ends all streams. Standalone ones are in the heap of timers. One of a loop is in the feeds of its
 * channels; if it has left its last channel, it was by its tag.
 */
static size_t end_all(struct sse_hub *hub, struct sse__wake_list *list) {
  SSE__HELD(hub);
  size_t ended = sse__tags_end_all(&hub->tags, SSE_EDISCONNECTED, list);
  for (size_t i = 0; i <= hub->channels.map.mask; i++) {
    for (struct sse__map_node *node = sse__map_chain(&hub->channels.map, i); node;
         node = node->next) {
      ended += end_in_loops(SSE__CONTAINER(node, struct sse__channel, node), list);
    }
  }
  for (uint32_t i = 0; i < hub->timers.count; i++) {
    struct sse__timer *timer = hub->timers.heap[i];
    if (timer->kind != SSE__TIMER_STREAM) continue;
    ended += sse__subscriber_end(SSE__CONTAINER(timer, struct sse__subscriber, live.timer),
                                 SSE_EDISCONNECTED, list);
  }
  return ended;
}

int sse_hub_disconnect(sse_hub *hub, const char *tag) {
  struct sse__wake_list list = {NULL};
  size_t len = 0;
  if (!hub) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  int error = tag ? sse__tag_check(tag, &len) : SSE_OK;
  if (error) return error;
  pthread_mutex_lock(&hub->lock);
  size_t count =
      tag ? sse__tags_end(&hub->tags, tag, len, SSE_EDISCONNECTED, &list) : end_all(hub, &list);
  sse__wakers_run(&hub->wakers, &list);
  return count < INT_MAX ? (int)count : INT_MAX;
}

/* ---- forget ---- */

int sse_hub_forget(sse_hub *hub, const char *channel) {
  size_t len;
  if (!hub || !channel) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  int error = sse__channel_name_check(channel, &len);
  if (error) return error;
  do {
    pthread_mutex_lock(&hub->lock);
    struct sse__channel *ch = sse__channels_find(&hub->channels, channel, len);
    error = ch ? sse__channels_forget(&hub->channels, ch) : SSE_ENOTFOUND;
    pthread_mutex_unlock(&hub->lock);
  } while (error == SSE_EAGAIN);
  return error;
}

/* ---- tags ---- */

int sse_hub_tags(sse_hub *hub, const char *channel, sse_tag_count *tags, size_t max) {
  size_t len, count = 0;
  if (!hub || (!tags && max > 0)) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  int error = channel ? sse__channel_name_check(channel, &len) : SSE_OK;
  if (error) return error;
  pthread_mutex_lock(&hub->lock);
  const struct sse__channel *ch = channel ? sse__channels_find(&hub->channels, channel, len) : NULL;
  if (ch || !channel) count = sse__tags_list(&hub->tags, ch, tags, max);
  pthread_mutex_unlock(&hub->lock);
  return count < INT_MAX ? (int)count : INT_MAX;
}
