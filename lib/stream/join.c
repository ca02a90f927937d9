/* SPDX-License-Identifier: MIT */
/* join.c: a stream joins a channel and leaves it. */
#include "stream/join.h"

#include <string.h>

#include "stream/backfill.h"
#include "stream/loop.h"

/* ---- one member ---- */

static int join_feed(struct sse_stream *stream, struct sse__subscription *subscription) {
  struct sse_loop *loop = SSE__LOOP(stream->sub.u.inbox);
  const struct sse__mem *mem = &stream->hub->mem;
  struct sse__loop_feed *feed =
      sse__loop_feed_get(subscription->channel, &loop->inbox, mem, stream->hub->head);
  if (!feed) return SSE_ENOMEM;
  int error = sse__snapshot_reserve(&loop->snapshot, mem, loop->inbox.feeds);
  if (!error) error = sse__subscription_add_to_feed(subscription, feed, mem);
  if (error) sse__loop_feed_free_unused(feed, mem);
  return error;
}

int sse__subscribe(struct sse_stream *stream, struct sse__subscription *subscription,
                   struct sse__channel *channel, int64_t now_ms) {
  subscription->channel = channel;
  subscription->sub = &stream->sub;
  if (stream->sub.standalone) {
    sse__subscription_add_standalone(subscription);
  } else {
    int error = join_feed(stream, subscription);
    if (error) return error;
  }
  sse__channel_expire(&stream->hub->channels, channel, now_ms);
  sse__channel_touch(&stream->hub->channels, channel, now_ms);
  return SSE_OK;
}

void sse__unsubscribe(struct sse_stream *stream, struct sse__subscription *subscription) {
  if (stream->sub.standalone) {
    sse__subscription_remove_standalone(subscription);
  } else {
    sse__subscription_remove_from_feed(subscription);
    sse__loop_feed_free_unused(subscription->u.in.feed, &stream->hub->mem);
  }
}

/* ---- the members of an open stream ---- */

/* Says where a member lies now. */
static void settle(const struct sse_stream *stream, struct sse__subscription *subscription) {
  if (!stream->sub.standalone)
    subscription->u.in.feed->subscriptions[subscription->u.in.index] = subscription;
}

static void set_members(struct sse_stream *stream, struct sse__subscription *subscriptions,
                        uint32_t count) {
  if (subscriptions != stream->own) {
    stream->own[0].u.moved = subscriptions;
    stream->moved = true;
  }
  stream->subscription_count = count;
  if (stream->sub.standalone) {
    stream->sub.u.standalone->subscriptions = subscriptions;
    stream->sub.u.standalone->count = count;
  }
}

int sse__subscribe_open(struct sse_stream *stream, struct sse__channel *channel, int64_t now_ms) {
  const struct sse__mem *mem = &stream->hub->mem;
  struct sse__subscription *old = sse__subscriptions(stream);
  uint32_t count = stream->subscription_count;
  struct sse__subscription *subscriptions = sse__mem_zero(mem, (count + 1) * sizeof *subscriptions);
  if (!subscriptions) return SSE_ENOMEM;
  int error = sse__subscribe(stream, &subscriptions[count], channel, now_ms);
  if (error) {
    sse__mem_free(mem, subscriptions);
    return error;
  }
  memcpy(subscriptions, old, count * sizeof *subscriptions);
  for (uint32_t i = 0; i < count; i++) settle(stream, &subscriptions[i]);
  if (stream->moved) sse__mem_free(mem, old);
  set_members(stream, subscriptions, count + 1);
  return SSE_OK;
}

void sse__unsubscribe_open(struct sse_stream *stream, struct sse__subscription *subscription) {
  struct sse__subscription *subscriptions = sse__subscriptions(stream),
                           *last = &subscriptions[stream->subscription_count - 1];
  sse__backfill_drop(stream, subscription->channel);
  sse__unsubscribe(stream, subscription);
  if (subscription != last) {
    *subscription = *last;
    settle(stream, subscription);
  }
  set_members(stream, subscriptions, stream->subscription_count - 1);
}
