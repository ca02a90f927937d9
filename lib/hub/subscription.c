/* SPDX-License-Identifier: MIT */
/* subscription.c: the channels of each stream, and what they can no longer give it. */
#include "hub/subscription.h"

#define FIRST_MEMBERS 4

/* ---- feeds ---- */

struct sse__loop_feed *sse__loop_feed_find(const struct sse__channel *channel,
                                           const struct sse__inbox *inbox) {
  SSE__LIST_EACH(link, &channel->feeds) {
    struct sse__loop_feed *feed = SSE__CONTAINER(link, struct sse__loop_feed, link);
    if (feed->inbox == inbox) return feed;
  }
  return NULL;
}

struct sse__loop_feed *sse__loop_feed_get(struct sse__channel *channel, struct sse__inbox *inbox,
                                          const struct sse__mem *mem, uint64_t head) {
  struct sse__loop_feed *feed = sse__loop_feed_find(channel, inbox);
  if (feed) return feed;
  feed = sse__mem_zero(mem, sizeof *feed);
  if (!feed) return NULL;
  feed->inbox = inbox;
  feed->channel = channel;
  feed->base = inbox->offered_max = head;
  feed->finished = channel->finished;
  sse__list_prepend(&channel->feeds, &feed->link);
  inbox->feeds++;
  return feed;
}

void sse__loop_feed_free(struct sse__loop_feed *feed, const struct sse__mem *mem) {
  sse__list_remove(&feed->channel->feeds, &feed->link);
  feed->inbox->feeds--;
  sse__mem_free(mem, feed->delivered.latency);
  sse__mem_free(mem, feed->subscriptions);
  sse__mem_free(mem, feed);
}

void sse__loop_feed_free_unused(struct sse__loop_feed *feed, const struct sse__mem *mem) {
  if (feed->count == 0 && !feed->dirty && !feed->in_round) sse__loop_feed_free(feed, mem);
}

static int reserve_member(struct sse__loop_feed *feed, const struct sse__mem *mem) {
  if (feed->count < feed->cap) return SSE_OK;
  uint32_t cap = feed->cap ? feed->cap + feed->cap / 2 : FIRST_MEMBERS;
  struct sse__subscription **subscriptions =
      sse__mem_grow(mem, feed->subscriptions, cap, sizeof *subscriptions);
  if (!subscriptions) return SSE_ENOMEM;
  feed->subscriptions = subscriptions;
  feed->cap = cap;
  return SSE_OK;
}

int sse__subscription_add_to_feed(struct sse__subscription *subscription,
                                  struct sse__loop_feed *feed, const struct sse__mem *mem) {
  int error = reserve_member(feed, mem);
  if (error) return error;
  subscription->u.in.feed = feed;
  subscription->u.in.index = feed->count;
  feed->subscriptions[feed->count++] = subscription;
  feed->channel->streams++;
  return SSE_OK;
}

/*
 * The last subscription moves to the free place. An iteration visits subscriptions from the last to
 * the first, so the one that moves was visited, and none is skipped.
 */
void sse__subscription_remove_from_feed(struct sse__subscription *subscription) {
  struct sse__loop_feed *feed = subscription->u.in.feed;
  struct sse__subscription *last = feed->subscriptions[--feed->count];
  feed->subscriptions[subscription->u.in.index] = last;
  last->u.in.index = subscription->u.in.index;
  feed->channel->streams--;
}

/* ---- standalone streams ---- */

void sse__subscription_add_standalone(struct sse__subscription *subscription) {
  subscription->channel->streams++;
}

void sse__subscription_remove_standalone(struct sse__subscription *subscription) {
  subscription->channel->streams--;
}

void sse__subscription_arm(struct sse__subscription *subscription) {
  sse__list_append(&subscription->channel->armed, &subscription->u.armed);
}

void sse__subscription_disarm(struct sse__subscription *subscription) {
  sse__list_remove(&subscription->channel->armed, &subscription->u.armed);
}

/* ---- the gap test ---- */

static uint64_t smaller(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

/* The highest number that is evicted, as far as the subscription goes. */
static uint64_t highest_evicted(const struct sse__window *window,
                                const struct sse__subscription_end *end) {
  return end ? smaller(window->evicted.seq, end->last) : window->evicted.seq;
}

/* Up to where everything of a log may be missing, as far as the subscription goes. */
static uint64_t highest_skipped(const struct sse__subscription *subscription,
                                const struct sse__subscription_end *end) {
  return end ? end->skipped : subscription->channel->window.history->skipped.seq;
}

/* The number up to which the client knows about its losses. */
static uint64_t known_upto(const struct sse__subscription *subscription, uint64_t cursor) {
  return subscription->gap_reported > cursor ? subscription->gap_reported : cursor;
}

/* The highest number of the channel that the stream can no longer receive. */
static uint64_t gone_upto(const struct sse__subscription *subscription, uint64_t floor,
                          const struct sse__subscription_end *end) {
  const struct sse__window *window = &subscription->channel->window;
  uint64_t evicted = highest_evicted(window, end);
  if (floor <= evicted) return evicted;
  struct sse__stretch frames = sse__window_stretch(window);
  size_t place = sse__stretch_after(&frames, floor);
  return place > 0 ? sse__stretch_at(&frames, place - 1)->seq : evicted;
}

/*
 * Whether the window has frames above the cursor that the floor withholds; with `shares`, only
 * frames of events for several channels.
 */
static bool passed_over(const struct sse__window *window, uint64_t cursor, uint64_t floor,
                        bool shares) {
  struct sse__stretch slots = sse__window_stretch(window);
  for (size_t place = sse__stretch_after(&slots, cursor); place < slots.count; place++) {
    const struct sse__slot *slot = sse__stretch_at(&slots, place);
    if (slot->seq > floor) break;
    if (slot->frame && (!shares || slot->frame->body)) return true;
  }
  return false;
}

/* The number of events that were published to the channel up to where the subscription lost them.
 * The channel is not conflated. */
static uint64_t gone_ordinal(const struct sse__subscription *subscription, uint64_t floor,
                             const struct sse__subscription_end *end) {
  const struct sse__window *window = &subscription->channel->window;
  if (end && window->evicted.seq >= end->last) return end->ordinal;
  return sse__window_ordinal(window, gone_upto(subscription, floor, end));
}

/*
 * Whether events above the cursor were evicted that an earlier gap announced: one that reported
 * a skip to a number above theirs. In a channel that is not conflated the ordinals say so.
 */
static bool lost_below(const struct sse__subscription *subscription, uint64_t cursor,
                       const struct sse__subscription_end *end) {
  const struct sse__window *window = &subscription->channel->window;
  if (window->keys || subscription->delivered_count > SSE__ORDINAL_MAX) return false;
  return highest_evicted(window, end) > cursor &&
         gone_ordinal(subscription, 0, end) > subscription->delivered_count;
}

/*
 * Whether something above the cursor is gone although no number is that the client does not know: it
 * was evicted below one that it knows, or the floor withholds it. In a conflated channel a frame
 * with a lower number may be evicted after a higher one was reported; then the count in
 * `delivered_count` differs from the window's.
 */
static bool lost_below_known(const struct sse__subscription *subscription, uint64_t cursor,
                             uint64_t floor, const struct sse__subscription_end *end) {
  const struct sse__window *window = &subscription->channel->window;
  if (known_upto(subscription, cursor) > cursor && lost_below(subscription, cursor, end))
    return true;
  if (window->evicted_out_of_order > cursor && (!end || end->last > cursor) &&
      window->evicted_out_of_order_count > SSE__UNKNOWN - subscription->delivered_count)
    return true;
  return floor > cursor && passed_over(window, cursor, floor, false);
}

/* Where frames are evicted in the order of their numbers, the highest evicted number decides. */
bool sse__subscription_lost(const struct sse__subscription *subscription, uint64_t cursor,
                            uint64_t floor, const struct sse__subscription_end *end) {
  const struct sse__window *window = &subscription->channel->window;
  uint64_t known = known_upto(subscription, cursor);
  if (highest_evicted(window, end) > known || highest_skipped(subscription, end) > known)
    return true;
  if (known == cursor && floor <= cursor && window->evicted_out_of_order <= cursor) return false;
  return lost_below_known(subscription, cursor, floor, end);
}

bool sse__subscription_skipped(const struct sse__subscription *subscription, uint64_t cursor,
                               const struct sse__subscription_end *end) {
  return highest_skipped(subscription, end) > known_upto(subscription, cursor);
}

uint64_t sse__subscription_count_lost(const struct sse__subscription *subscription, uint64_t cursor,
                                      uint64_t floor, const struct sse__subscription_end *end,
                                      bool alone) {
  const struct sse__window *window = &subscription->channel->window;
  uint64_t known = known_upto(subscription, cursor);
  if (window->keys || subscription->delivered_count > SSE__ORDINAL_MAX) return SSE__UNKNOWN;
  if (highest_skipped(subscription, end) > known) return SSE__UNKNOWN;
  /* Up to what was skipped, some of what a gap announced may have been given since. */
  if (known <= window->history->skipped.seq) known = cursor;
  bool shared = window->share_evicted > known ||
                (window->shares > 0 && passed_over(window, known, floor, true));
  if (shared && !alone) return SSE__UNKNOWN;
  return gone_ordinal(subscription, floor, end) - subscription->delivered_count;
}

/* The ordinal of the channel's last event up to the cursor, or SSE__UNKNOWN. */
static uint64_t delivered_upto(const struct sse__subscription *subscription, uint64_t cursor) {
  const struct sse__window *window = &subscription->channel->window;
  if (window->keys) return SSE__UNKNOWN;
  bool counted = subscription->delivered_count <= SSE__ORDINAL_MAX;
  if (counted || cursor < window->evicted.seq) return subscription->delivered_count;
  return sse__window_ordinal(window, cursor);
}

void sse__subscription_mark_reported(struct sse__subscription *subscription, uint64_t cursor,
                                     uint64_t floor, const struct sse__subscription_end *end) {
  const struct sse__window *window = &subscription->channel->window;
  uint64_t skipped = highest_skipped(subscription, end);
  uint64_t delivered = delivered_upto(subscription, cursor);
  subscription->gap_reported = gone_upto(subscription, floor, end);
  subscription->delivered_count = window->keys ? SSE__UNKNOWN - window->evicted_out_of_order_count
                                               : gone_ordinal(subscription, floor, end);
  if (skipped <= subscription->gap_reported) return;
  /* What was skipped has no ordinals; what the window still has is given after the gap. */
  subscription->gap_reported = skipped;
  bool given = delivered <= SSE__ORDINAL_MAX;
  if (given && delivered > subscription->delivered_count) subscription->delivered_count = delivered;
}
