/* SPDX-License-Identifier: MIT */
/* notice.c: reports to the streams of a channel that it has something new, in parts. */
#include "hub/notice.h"

#include "hub/dirty.h"

static struct sse__subscriber *first_armed(const struct sse__channel *channel) {
  return SSE__CONTAINER(channel->armed.first, struct sse__subscription, u.armed)->sub;
}

static void notify_feed(struct sse__loop_feed *feed, const struct sse__notice *notice,
                        struct sse__wake_list *list) {
  if (feed->dirty) return;
  bool finished = feed->channel->finished;
  if (!sse__dirty_first(feed->inbox)) {
    feed->inbox->dirty_ms = notice->now_ms;
    feed->inbox->dirty_given = notice->given;
  }
  sse__dirty_add(feed->inbox, feed,
                 finished ? sse__dirty_finish(notice->given) : sse__dirty_event(notice->given + 1));
  sse__waker_post(&feed->inbox->waker, SSE_WAKE_READY, false, list);
}

/*
 * Wakes the streams of a channel that were armed before the notice; false if some are left. One
 * that an earlier, unfinished notice concerns may lack the event of that, too.
 */
static bool wake_part(struct sse_hub *hub, struct sse__notice *notice, struct sse__channel *channel,
                      struct sse__wake_list *list) {
  uint64_t given = sse__notices_given(&hub->notices, NULL);
  if (notice->given < given) given = notice->given;
  while (channel->armed.first) {
    struct sse__subscriber *sub = first_armed(channel);
    struct sse__standalone *standalone = sub->u.standalone;
    if (standalone->armed_at >= notice->number) return true;
    if (notice->left == 0) return false;
    notice->left -= notice->left < standalone->count ? notice->left : standalone->count;
    sse__standalone_disarm(sub, notice->now_ms);
    sse__lag_count(&hub->lags, &standalone->lag, given, notice->now_ms);
    sse__waker_post(&standalone->waker, SSE_WAKE_READY, true, list);
  }
  return true;
}

void sse__notice_channel(struct sse_hub *hub, struct sse__notice *notice,
                         struct sse__channel *channel, struct sse__wake_list *list) {
  SSE__HELD(hub);
  SSE__LIST_EACH(link, &channel->feeds) {
    notify_feed(SSE__CONTAINER(link, struct sse__loop_feed, link), notice, list);
  }
  if (!channel->armed.first) return;
  if (notice->number == 0) {
    notice->number = ++hub->notices.last;
    notice->left = hub->part_max;
  }
  if (wake_part(hub, notice, channel, list) || notice->unfinished) return;
  notice->unfinished = true;
  sse__list_append(&hub->notices.list, &notice->link);
}

void sse__notice_finish(struct sse_hub *hub, struct sse__notice *notice, const char *const *names,
                        struct sse__wake_list *list) {
  SSE__HELD(hub);
  assert(notice->unfinished);
  while (*names) {
    sse__hub_pause(hub, list);
    notice->left = hub->part_max;
    for (; *names; names++) {
      struct sse__channel *channel = sse__channels_find(&hub->channels, *names, strlen(*names));
      if (channel && !wake_part(hub, notice, channel, list)) break;
    }
  }
  sse__list_remove(&hub->notices.list, &notice->link);
}

/* The first armed stream of a channel was armed first, and lacks the most. */
uint64_t sse__notices_given(const struct sse__notices *notices,
                            const struct sse__channel *channel) {
  SSE__LIST_EACH(link, &notices->list) {
    const struct sse__notice *notice = SSE__CONTAINER(link, struct sse__notice, link);
    if (!channel) return notice->given;
    if (!channel->armed.first) break;
    if (first_armed(channel)->u.standalone->armed_at < notice->number) return notice->given;
  }
  return UINT64_MAX;
}
