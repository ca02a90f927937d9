/* SPDX-License-Identifier: MIT */
/* admin.c: draining a hub, finishing and forgetting a channel, and the list of tags. */
#include <limits.h>

#include "hub/log.h"
#include "hub/notice.h"

/* ---- drain ---- */

/*
 * There is no list of all streams. The streams of a loop are all in its heap of timers, which only
 * its thread may use: so the loop is notified, and moves their ends in its next iteration.
 * Standalone streams are in a list of the hub, and their ends are moved in parts.
 */

/* A thread in sse_stream_wait sleeps until its stream's next timer, so it must look again. */
static void drain_one(struct sse_hub *hub, struct sse__subscriber *sub, int64_t now_ms,
                      struct sse__wake_list *list) {
  SSE__HELD(hub);
  (void)list;
  if (sub->end) return;
  int64_t close_ms = sse__drain_time(&hub->random, now_ms, hub->drain_until_ms);
  if (close_ms < sub->live.close_ms) sub->live.close_ms = close_ms;
  if (close_ms < sub->live.timer.due_ms) {
    sse__timers_set(&hub->timers, &sub->live.timer, close_ms);
  }
  if (sub->u.standalone->waker.waiting) pthread_cond_signal(sub->u.standalone->waker.waiting);
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
    tell_loops(hub, &list);
    sse__hub_visit_standalones(hub, drain_one, now_ms, &list); /* none is opened meanwhile */
  }
  sse__wakers_run(&hub->wakers, &list);
  return SSE_OK;
}

/* ---- finish ---- */

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
    bool listened = ch->streams > 0;
    struct sse__notice notice;
    sse__notice_init(&notice, hub->head.seq, now_ms);
    sse__notice_channel(hub, &notice, ch, &list);
    if (notice.unfinished) sse__notice_finish(hub, &notice, names, &list);
    if (listened) sse__log_wake_ahead(hub, now_ms, &list);
  }
  sse__wakers_run(&hub->wakers, &list);
  return error;
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
