/* SPDX-License-Identifier: MIT */
/* membership.c: which channels an open stream is subscribed to. */
#include "stream/membership.h"

#include <assert.h>
#include <string.h>

#include "hub/log.h"
#include "hub/merge.h"
#include "stream/backfill.h"
#include "stream/request.h"
#include "stream/wide.h"

/* What requests may take that are carried out under one hold of the lock. */
#define RUN_STEPS_MAX 1024
#define REQUEST_STEPS 8 /* one of them */

/* ---- one subscription ---- */

static int subscribe_in_loop(struct sse_stream *stream, struct sse__subscription *subscription) {
  struct sse__inbox *inbox = stream->sub.u.inbox;
  const struct sse__mem *mem = &stream->hub->mem;
  struct sse__loop_feed *feed =
      sse__loop_feed_get(subscription->channel, inbox, mem, stream->hub->head.seq);
  if (!feed) return SSE_ENOMEM;
  int error = sse__subscription_add_to_feed(subscription, feed, mem);
  if (error) sse__loop_feed_free_unused(feed, mem);
  return error;
}

int sse__subscribe(struct sse_stream *stream, struct sse__subscription *subscription,
                   struct sse__channel *channel, int64_t now_ms) {
  SSE__HELD(stream->hub);
  if (!sse__channel_expire(&stream->hub->channels, channel, now_ms)) return SSE_EAGAIN;
  subscription->channel = channel;
  subscription->sub = &stream->sub;
  if (stream->sub.standalone) {
    sse__subscription_add_standalone(subscription);
  } else {
    int error = subscribe_in_loop(stream, subscription);
    if (error) return error;
  }
  sse__channel_touch(&stream->hub->channels, channel, now_ms);
  return SSE_OK;
}

void sse__unsubscribe(struct sse_stream *stream, struct sse__subscription *subscription) {
  SSE__HELD(stream->hub);
  if (stream->sub.standalone) {
    sse__subscription_remove_standalone(subscription);
  } else {
    sse__subscription_remove_from_feed(subscription);
    sse__loop_feed_free_unused(subscription->u.in.feed, &stream->hub->mem);
  }
}

/* ---- the subscriptions of an open stream ---- */

/* Updates the feed's pointer to a subscription that moved in memory. */
static void subscription_moved(const struct sse_stream *stream,
                               struct sse__subscription *subscription) {
  if (!stream->sub.standalone)
    subscription->u.in.feed->subscriptions[subscription->u.in.index] = subscription;
}

static void set_subscriptions(struct sse_stream *stream, struct sse__subscription *subscriptions,
                              uint32_t count) {
  if (subscriptions != stream->own) {
    stream->own[0].u.moved = subscriptions;
    stream->moved = true;
  }
  stream->subscription_count = (uint16_t)count;
  stream->wide = count >= SSE__WIDE_MIN;
  if (stream->sub.standalone) {
    stream->sub.u.standalone->subscriptions = subscriptions;
    stream->sub.u.standalone->count = count;
  }
  sse__stream_tagged(stream)->subscriptions = subscriptions;
  sse__stream_tagged(stream)->count = count;
}

/* Makes room for one more subscription, in an array of twice the size: 0 or SSE_ENOMEM. */
static int reserve_subscription(struct sse_stream *stream) {
  const struct sse__mem *mem = &stream->hub->mem;
  struct sse__subscription *old = sse__subscriptions(stream);
  uint32_t count = stream->subscription_count;
  uint8_t log = stream->moved ? stream->moved_log : 0;
  if (count < (stream->moved ? UINT32_C(1) << log : stream->own_count)) return SSE_OK;
  while (UINT32_C(1) << log <= count) log++;
  struct sse__subscription *subscriptions = sse__mem_new(
      mem, ((size_t)1 << log) * sizeof *subscriptions + sse__wide_size(UINT32_C(1) << log));
  if (!subscriptions) return SSE_ENOMEM;
  memcpy(subscriptions, old, count * sizeof *subscriptions);
  for (uint32_t i = 0; i < count; i++) subscription_moved(stream, &subscriptions[i]);
  if (stream->moved) sse__mem_free(mem, old);
  stream->moved_log = log;
  set_subscriptions(stream, subscriptions, count);
  sse__wide_fill(stream);
  return SSE_OK;
}

/* Adds a channel to an open stream that is not subscribed to it. Returns as sse__subscribe. */
static int add_subscription(struct sse_stream *stream, struct sse__channel *channel,
                            int64_t now_ms) {
  SSE__HELD(stream->hub);
  int error = reserve_subscription(stream);
  if (error) return error;
  struct sse__subscription *subscriptions = sse__subscriptions(stream);
  uint32_t count = stream->subscription_count;
  memset(&subscriptions[count], 0, sizeof *subscriptions);
  error = sse__subscribe(stream, &subscriptions[count], channel, now_ms);
  if (error) return error;
  set_subscriptions(stream, subscriptions, count + 1);
  sse__wide_add(stream);
  return SSE_OK;
}

/* Removes a subscription from its channel and from an open stream. */
static void remove_subscription(struct sse_stream *stream, struct sse__subscription *subscription) {
  SSE__HELD(stream->hub);
  struct sse__subscription *subscriptions = sse__subscriptions(stream),
                           *last = &subscriptions[stream->subscription_count - 1];
  assert(stream->subscription_count > 0);
  sse__backfill_drop(stream, subscription->channel);
  sse__unsubscribe(stream, subscription);
  sse__wide_remove(stream, subscription);
  if (subscription != last) {
    *subscription = *last;
    subscription_moved(stream, subscription);
  }
  set_subscriptions(stream, subscriptions, stream->subscription_count - 1);
}

/* ---- carrying requests out ---- */

/* The absence of earlier events is not a loss, except of the backfill that was requested. */
static int carry_out_subscribe(struct sse_stream *stream, const struct sse__request *request,
                               int64_t now_ms) {
  if (sse__subscription_of(stream, request->channel->number)) return SSE_OK;
  int error = sse__backfill_add(stream, &request->backfill, request->above, request->at.seq);
  if (error) return error;
  error = add_subscription(stream, request->channel, now_ms);
  if (error) {
    sse__backfill_drop(stream, request->channel);
    return error;
  }
  struct sse__subscription *subscription =
      &sse__subscriptions(stream)[stream->subscription_count - 1];
  bool conflated = request->channel->window.keys != NULL; /* perhaps only since the request */
  subscription->delivered_count = conflated ? SSE__UNKNOWN : request->delivered_count;
  if (request->at.seq > stream->opened_at) stream->opened_at = request->at.seq;
  sse__occupancy_note(&stream->hub->occupancy, request->channel);
  return SSE_OK;
}

static void carry_out_unsubscribe(struct sse_stream *stream, const struct sse__request *request) {
  struct sse__subscription *subscription = sse__subscription_of(stream, request->channel->number);
  if (!subscription) return;
  remove_subscription(stream, subscription);
  sse__occupancy_note(&stream->hub->occupancy, request->channel);
}

/* A stream that is ahead joins where it goes on, or there would be a hole up to its number. */
static bool must_wait(const struct sse_stream *stream, const struct sse__tagged *tagged,
                      const struct sse__request *request) {
  return stream->ahead && request->kind == SSE__REQUEST_SUBSCRIBE && !tagged->dismissed;
}

int sse__membership_run(struct sse_stream *stream, int64_t now_ms) {
  SSE__HELD(stream->hub);
  struct sse__tagged *tagged = sse__stream_tagged(stream);
  const struct sse__request *request;
  assert(stream->outq.count == 0);
  if (stream->sub.standalone) sse__standalone_disarm(&stream->sub, now_ms);
  sse__order_drop(stream);
  for (uint32_t steps = 0;
       (request = sse__request_first(tagged)) && request->at.seq <= stream->cursor;) {
    if (must_wait(stream, tagged, request)) {
      if (!stream->sub.standalone)
        sse__log_join_at(stream->hub, stream->sub.u.inbox, stream->number);
      return SSE_OK;
    }
    if (steps > RUN_STEPS_MAX) return SSE_EAGAIN;
    steps += REQUEST_STEPS;
    int error = SSE_OK;
    switch (request->kind) {
    case SSE__REQUEST_SUBSCRIBE:
      error = carry_out_subscribe(stream, request, now_ms);
      break;
    case SSE__REQUEST_UNSUBSCRIBE:
      carry_out_unsubscribe(stream, request);
      break;
    case SSE__REQUEST_DISMISS:
      if (stream->backfill) return SSE_OK; /* of a channel that was joined just now */
      sse__request_drop_all(stream, now_ms);
      return SSE_EDISMISSED;
    }
    if (error) return error;
    sse__request_drop(stream, tagged, now_ms);
  }
  return SSE_OK;
}

/* ---- the calls ---- */

/*
 * The number above which the last `count` events of a channel up to the head lie, or all if it has
 * fewer, or if it is conflated. `head`: there is none. A frame of before a reset or that is too old
 * is passed over, and evicted later: the call may still fail, and then has changed nothing.
 */
static uint64_t backfill_above(const struct sse__channel *channel, uint64_t head, size_t count,
                               int64_t now_ms) {
  bool conflated = channel->window.keys != NULL;
  struct sse__stretch slots = sse__window_stretch(&channel->window);
  if (count == 0 && !conflated) return head;
  sse__stretch_above(&slots, channel->window.history->start.seq);
  slots.count = sse__stretch_after(&slots, head);
  if (!conflated && count < slots.count) {
    slots.first += slots.count - count;
    slots.count = count;
  }
  for (; slots.count > 0; slots.first++, slots.count--) {
    const struct sse__slot *slot = sse__stretch_at(&slots, 0);
    if (slot->frame && !sse__channel_too_old(channel, slot->frame, now_ms)) return slot->seq - 1;
  }
  return head;
}

/* What a subscription gives first is decided at its point, however late it is carried out. */
static void set_backfill(struct sse__request *request, int64_t now_ms) {
  const struct sse__window *window = &request->channel->window;
  uint64_t upto = request->at.seq;
  request->delivered_count =
      upto >= window->evicted.seq ? sse__window_ordinal(window, upto) : SSE__UNKNOWN;
  request->above = backfill_above(request->channel, upto, request->events, now_ms);
  request->backfill = sse__backfill_part(request->channel);
  if (request->backfill.last > upto) request->backfill.last = upto;
}

/* Lowers a point to where a channel has reached a number. */
static void lower_to_reached(struct sse__point *at, const struct sse__channel *channel,
                             uint64_t number) {
  uint64_t reached = sse__channel_reached(channel, number);
  if (reached < at->seq) *at = (struct sse__point){reached, number};
}

/*
 * Of a subscription that ends, what is up to the stream's number is no loss to it. So is all that
 * was there at a request for which the head was not above the number.
 */
static void settle_ends(const struct sse_stream *stream, struct sse__request *request, bool late) {
  for (uint32_t i = 0; i < request->ends_count; i++) {
    struct sse__subscription_end *end = &request->ends[i];
    if (!late) end->skipped = 0;
    if (end->number <= stream->number && end->last > stream->cursor) end->last = stream->cursor;
  }
}

/* The first request that was made when the head had reached the stream's number, or NULL. */
static struct sse__request *first_late(const struct sse_stream *stream,
                                       const struct sse__tagged *tagged) {
  struct sse__request *request = tagged ? sse__request_first(tagged) : NULL;
  while (request && request->at.number < stream->number)
    request = sse__request_next(tagged, request);
  return request;
}

/*
 * Carries what was asked for before the head had reached the stream's number over to a point.
 * `lossy`: it is below that number, because what the channels had above it is gone.
 */
static void carry_over(const struct sse_stream *stream, struct sse__request *request,
                       struct sse__point at, bool lossy, int64_t now_ms) {
  request->at = at;
  settle_ends(stream, request, false);
  if (request->kind != SSE__REQUEST_SUBSCRIBE) return;
  set_backfill(request, now_ms);
  request->backfill.lost = lossy;
}

/* Whether something was evicted above the stream's number, in the present history. */
static bool lost_above(const struct sse_stream *stream, const struct sse__point *evicted) {
  SSE__HELD(stream->hub);
  return evicted->seq > stream->hub->reset.seq && evicted->number > stream->number;
}

struct sse__point sse__membership_settle(struct sse_stream *stream, int64_t now_ms, bool *late) {
  SSE__HELD(stream->hub);
  struct sse__tagged *tagged = sse__stream_tagged(stream);
  struct sse__request *first = tagged ? sse__request_first(tagged) : NULL, *request;
  const struct sse__request *end = first_late(stream, tagged);
  struct sse__point at = end ? end->at : sse__hub_head(stream->hub);
  bool between = end && end->at.number > stream->number, lossy = false;
  for (uint32_t i = 0; i < stream->subscription_count; i++)
    lower_to_reached(&at, sse__subscriptions(stream)[i].channel, stream->number);
  for (request = first; request != end; request = sse__request_next(tagged, request)) {
    if (request->kind != SSE__REQUEST_SUBSCRIBE) continue;
    lower_to_reached(&at, request->channel, stream->number);
    bool wanted = between || request->events > 0;
    lossy = lossy || (wanted && end && lost_above(stream, &request->channel->window.evicted));
  }
  if (lossy) at = (struct sse__point){stream->cursor, stream->number};
  for (request = first; request != end; request = sse__request_next(tagged, request))
    carry_over(stream, request, at, lossy, now_ms);
  for (; request; request = sse__request_next(tagged, request))
    settle_ends(stream, request, request->at.number > stream->number);
  *late = end != NULL;
  return at;
}

void sse__membership_restart(struct sse_stream *stream, int64_t now_ms) {
  SSE__HELD(stream->hub);
  struct sse__tagged *tagged = sse__stream_tagged(stream);
  struct sse__request *request = tagged ? sse__request_first(tagged) : NULL;
  uint64_t reset = stream->hub->reset.seq;
  for (; request && request->at.seq < reset; request = sse__request_next(tagged, request)) {
    request->at = stream->hub->channels.history.start;
    request->events = 0;
    if (request->kind != SSE__REQUEST_SUBSCRIBE) continue;
    set_backfill(request, now_ms);
    request->backfill.missing = request->at; /* what was lost since is no loss of this state */
  }
}

/* Asks the streams of a tag to join or leave a channel, which is made if it is new. */
static int request_channel(sse_hub *hub, const char *tag, const char *channel,
                           enum sse__request_kind kind, size_t backfill) {
  struct sse__wake_list list = {NULL};
  struct sse__request request = {.kind = kind};
  size_t tag_len, len;
  if (!hub || !tag || !channel) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  int error = sse__tag_check(tag, &tag_len);
  if (!error) error = sse__channel_name_check(channel, &len);
  if (error) return error;
  int count = 0;
  pthread_mutex_lock(&hub->lock);
  uint32_t made = hub->channels.made;
  int64_t now_ms = sse__hub_now(hub);
  struct sse__tag *first = sse__tags_find(&hub->tags, tag, tag_len);
  if (first) count = sse__channels_get(&hub->channels, channel, len, now_ms, &request.channel);
  if (first && !count) {
    request.at = sse__hub_head(hub);
    request.events = backfill;
    if (kind == SSE__REQUEST_SUBSCRIBE) set_backfill(&request, now_ms);
    count = sse__request_all(first, &hub->mem, &request, hub->stream_channels_max, now_ms, &list);
    if (count < 0) sse__channels_discard(&hub->channels, request.channel, made);
  }
  sse__wakers_run(&hub->wakers, &list);
  return count;
}

int sse_hub_subscribe(sse_hub *hub, const char *tag, const char *channel, size_t backfill) {
  return request_channel(hub, tag, channel, SSE__REQUEST_SUBSCRIBE, backfill);
}

int sse_hub_unsubscribe(sse_hub *hub, const char *tag, const char *channel) {
  return request_channel(hub, tag, channel, SSE__REQUEST_UNSUBSCRIBE, 0);
}

int sse_hub_dismiss(sse_hub *hub, const char *tag) {
  struct sse__wake_list list = {NULL};
  struct sse__request request = {.kind = SSE__REQUEST_DISMISS};
  size_t len;
  if (!hub || !tag) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  int error = sse__tag_check(tag, &len);
  if (error) return error;
  pthread_mutex_lock(&hub->lock);
  struct sse__tag *first = sse__tags_find(&hub->tags, tag, len);
  request.at = sse__hub_head(hub);
  int count = first ? sse__request_all(first, &hub->mem, &request, 0, sse__hub_now(hub), &list) : 0;
  sse__wakers_run(&hub->wakers, &list);
  return count;
}
