/* SPDX-License-Identifier: MIT */
/* membership.c: which channels a stream is subscribed to, and requests to change that. */
#include "stream/membership.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "hub/hub.h"
#include "stream/backfill.h"
#include "stream/snapshot.h"

/* ---- one subscription ---- */

static int subscribe_in_loop(struct sse_stream *stream, struct sse__subscription *subscription) {
  struct sse__inbox *inbox = stream->sub.u.inbox;
  const struct sse__mem *mem = &stream->hub->mem;
  struct sse__loop_feed *feed =
      sse__loop_feed_get(subscription->channel, inbox, mem, stream->hub->head);
  if (!feed) return SSE_ENOMEM;
  int error = sse__snapshot_reserve(inbox->snapshot, mem, inbox->feeds);
  if (!error) error = sse__subscription_add_to_feed(subscription, feed, mem);
  if (error) sse__loop_feed_free_unused(feed, mem);
  return error;
}

int sse__subscribe(struct sse_stream *stream, struct sse__subscription *subscription,
                   struct sse__channel *channel, int64_t now_ms) {
  SSE__HELD(stream->hub);
  subscription->channel = channel;
  subscription->sub = &stream->sub;
  if (stream->sub.standalone) {
    sse__subscription_add_standalone(subscription);
  } else {
    int error = subscribe_in_loop(stream, subscription);
    if (error) return error;
  }
  sse__channel_expire(&stream->hub->channels, channel, now_ms);
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
  stream->subscription_count = count;
  if (stream->sub.standalone) {
    stream->sub.u.standalone->subscriptions = subscriptions;
    stream->sub.u.standalone->count = count;
  }
}

int sse__subscribe_open(struct sse_stream *stream, struct sse__channel *channel, int64_t now_ms) {
  SSE__HELD(stream->hub);
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
  for (uint32_t i = 0; i < count; i++) subscription_moved(stream, &subscriptions[i]);
  if (stream->moved) sse__mem_free(mem, old);
  set_subscriptions(stream, subscriptions, count + 1);
  return SSE_OK;
}

void sse__unsubscribe_open(struct sse_stream *stream, struct sse__subscription *subscription) {
  SSE__HELD(stream->hub);
  struct sse__subscription *subscriptions = sse__subscriptions(stream),
                           *last = &subscriptions[stream->subscription_count - 1];
  assert(stream->subscription_count > 0);
  sse__backfill_drop(stream, subscription->channel);
  sse__unsubscribe(stream, subscription);
  if (subscription != last) {
    *subscription = *last;
    subscription_moved(stream, subscription);
  }
  set_subscriptions(stream, subscriptions, stream->subscription_count - 1);
}

/* ---- requests ---- */

/* The most channels that a stream can have once its requests are carried out. */
static uint32_t channels_expected(const struct sse__tagged *tagged) {
  uint32_t count = SSE__STREAM(tagged->sub)->subscription_count;
  for (const struct sse__membership_request *request = tagged->requests; request;
       request = request->next)
    count += request->kind == SSE__MEMBERSHIP_JOIN;
  return count;
}

/*
 * Whether a stream is or will be subscribed to a channel. It reads only what the lock guards, so
 * the stream's thread need not be asked.
 */
static bool expects_channel(const struct sse__tagged *tagged, const struct sse__channel *channel) {
  const struct sse__subscriber *sub = tagged->sub;
  for (const struct sse__membership_request *request = tagged->requests; request;
       request = request->next) {
    if (request->kind == SSE__MEMBERSHIP_JOIN && request->channel == channel) return true;
  }
  if (sub->standalone) return sse__standalone_has(sub->u.standalone, channel);
  const struct sse__loop_feed *feed = sse__loop_feed_find(channel, sub->u.inbox);
  for (uint32_t i = 0; feed && i < feed->count; i++) {
    if (feed->subscriptions[i]->sub == sub) return true;
  }
  return false;
}

/* Whether all streams of a tag may join. A stream that has the channel already takes no place. */
static int membership_admit(const struct sse__tag *first, const struct sse__channel *channel,
                            uint32_t channels_max) {
  size_t places = channel->streams + channel->pending_joins, max = channel->bounds.streams_max;
  bool full = places + first->count > max;
  const struct sse__tag *tag = first;
  do {
    uint32_t expected = channels_expected(tag->tagged);
    if ((full || expected >= channels_max) && !expects_channel(tag->tagged, channel)) {
      if (expected >= channels_max) return SSE_ECHANNELS;
      if (++places > max) return SSE_ECHANNELSTREAMS;
    }
    tag = tag->next;
  } while (tag != first);
  return SSE_OK;
}

static void free_requests(const struct sse__mem *mem, struct sse__membership_request *requests) {
  for (struct sse__membership_request *next; requests; requests = next) {
    next = requests->next;
    sse__mem_free(mem, requests);
  }
}

/* A list of `count` copies, or NULL. */
static struct sse__membership_request *request_copies(const struct sse__mem *mem,
                                                      const struct sse__membership_request *request,
                                                      uint32_t count) {
  struct sse__membership_request *list = NULL;
  for (; count > 0; count--) {
    struct sse__membership_request *copy = sse__mem_new(mem, sizeof *copy);
    if (!copy) {
      free_requests(mem, list);
      return NULL;
    }
    *copy = *request;
    copy->next = list;
    list = copy;
  }
  return list;
}

static void post_request(struct sse__tagged *tagged, struct sse__wake_list *list) {
  struct sse__subscriber *sub = tagged->sub;
  if (sub->standalone) {
    bool armed = sub->u.standalone->waker.armed;
    sse__standalone_disarm(sub, sub->live.moved_ms);
    if (armed) sse__waker_post(&sub->u.standalone->waker, SSE_WAKE_READY, true, list);
    return;
  }
  if (tagged->requested) return;
  tagged->requested = true;
  tagged->requested_next = sub->u.inbox->requested;
  sub->u.inbox->requested = tagged;
  sse__waker_post(&sub->u.inbox->waker, SSE_WAKE_READY, false, list);
}

static void append_request(struct sse__tagged *tagged, struct sse__membership_request *request) {
  struct sse__membership_request **at = &tagged->requests;
  while (*at) at = &(*at)->next;
  request->next = NULL;
  *at = request;
  if (!request->channel) return;
  request->channel->requests++;
  request->channel->pending_joins += request->kind == SSE__MEMBERSHIP_JOIN;
}

static bool tagged_ends(const struct sse__tagged *tagged) {
  const struct sse__membership_request *request = tagged->requests;
  while (request && request->kind != SSE__MEMBERSHIP_END) request = request->next;
  return request != NULL;
}

/*
 * Whether a request can still be carried out that ends the stream. It takes the place of another
 * gentle end, as long as the stream may be given events.
 */
static bool may_dismiss(const struct sse__tagged *tagged) {
  const struct sse__subscriber *sub = tagged->sub;
  return sub->stage == SSE__STAGE_OPEN && (!sub->end || sse_end_is_gentle(sub->end)) &&
         !tagged_ends(tagged);
}

/* The number of streams of a tag that a request is for. */
static uint32_t count_concerned(const struct sse__tag *first,
                                const struct sse__membership_request *request) {
  if (request->kind != SSE__MEMBERSHIP_END) return first->count;
  uint32_t count = 0;
  const struct sse__tag *tag = first;
  do {
    count += may_dismiss(tag->tagged);
    tag = tag->next;
  } while (tag != first);
  return count;
}

/*
 * Adds a request to all streams of a tag; one to end, only to those that have not ended. Returns
 * their number, SSE_ENOMEM, SSE_ECHANNELSTREAMS, or
 * SSE_ECHANNELS if one of them would have more than `channels_max`; on error none gets the request.
 */
static int request_all(struct sse__tag *first, const struct sse__mem *mem,
                       const struct sse__membership_request *request, uint32_t channels_max,
                       struct sse__wake_list *list) {
  struct sse__tag *tag = first;
  bool joins = request->kind == SSE__MEMBERSHIP_JOIN, ends = request->kind == SSE__MEMBERSHIP_END;
  int error = joins ? membership_admit(first, request->channel, channels_max) : SSE_OK;
  if (error) return error;
  uint32_t count = count_concerned(first, request);
  struct sse__membership_request *requests = request_copies(mem, request, count);
  if (!requests) return count > 0 ? SSE_ENOMEM : 0;
  for (; requests; tag = tag->next) {
    struct sse__membership_request *next = requests->next;
    if (ends && !may_dismiss(tag->tagged)) continue;
    append_request(tag->tagged, requests);
    post_request(tag->tagged, list);
    requests = next;
  }
  return count < INT_MAX ? (int)count : INT_MAX;
}

struct sse__tagged *sse__membership_collect(struct sse__inbox *inbox) {
  struct sse__tagged *tagged = inbox->requested;
  if (!tagged) return NULL;
  inbox->requested = tagged->requested_next;
  tagged->requested = false;
  return tagged;
}

/* ---- carrying requests out ---- */

uint64_t sse__membership_first_due(const struct sse_stream *stream) {
  const struct sse__tagged *tagged = sse__stream_tagged((struct sse_stream *)(uintptr_t)stream);
  return tagged->requests ? tagged->requests->seq : UINT64_MAX;
}

bool sse__membership_ends(const struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  return stream->has & SSE__HAS_TAG &&
         tagged_ends(sse__stream_tagged((struct sse_stream *)(uintptr_t)stream));
}

uint64_t sse__membership_head(const struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  uint64_t due = sse__membership_due(stream), head = stream->hub->head;
  return due < head ? due : head;
}

static struct sse__subscription *subscription_of(const struct sse_stream *stream,
                                                 const struct sse__channel *channel) {
  struct sse__subscription *subscriptions = sse__subscriptions(stream);
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    if (subscriptions[i].channel == channel) return &subscriptions[i];
  }
  return NULL;
}

/* The number above which the last `history` events lie; of a conflated channel, all events. */
static uint64_t history_start(const struct sse__window *window, uint64_t cursor, size_t history) {
  struct sse__stretch slots = sse__window_stretch(window);
  size_t count = sse__stretch_after(&slots, cursor);
  if (window->keys || history >= count)
    return count > 0 ? sse__stretch_at(&slots, 0)->seq - 1 : cursor;
  return history > 0 ? sse__stretch_at(&slots, count - history)->seq - 1 : cursor;
}

/* The absence of earlier events is not a loss, except of the backfill that was requested. */
static int membership_join(struct sse_stream *stream, const struct sse__membership_request *request,
                           int64_t now_ms) {
  if (subscription_of(stream, request->channel)) return SSE_OK;
  const struct sse__window *window = &request->channel->window;
  uint64_t above = history_start(window, stream->cursor, request->history);
  /* A loss after the request is reported when the stream reaches it. */
  bool lost = window->keys && window->state_lost > 0 && window->state_lost <= request->seq;
  int error = sse__backfill_add(stream, request->channel, above, lost);
  if (error) return error;
  error = sse__subscribe_open(stream, request->channel, now_ms);
  if (error) {
    sse__backfill_drop(stream, request->channel);
    return error;
  }
  struct sse__subscription *subscription =
      &sse__subscriptions(stream)[stream->subscription_count - 1];
  subscription->delivered_count = request->delivered_count;
  if (request->seq > stream->opened_at) stream->opened_at = request->seq;
  sse__occupancy_note(&stream->hub->occupancy, request->channel);
  return SSE_OK;
}

static void membership_leave(struct sse_stream *stream,
                             const struct sse__membership_request *request) {
  struct sse__subscription *subscription = subscription_of(stream, request->channel);
  if (!subscription) return;
  sse__unsubscribe_open(stream, subscription);
  sse__occupancy_note(&stream->hub->occupancy, request->channel);
}

/* A channel that only the request kept alive may now expire. */
static void drop_request(struct sse_stream *stream, struct sse__tagged *tagged, int64_t now_ms) {
  struct sse__membership_request *request = tagged->requests;
  tagged->requests = request->next;
  if (request->channel) {
    request->channel->requests--;
    request->channel->pending_joins -= request->kind == SSE__MEMBERSHIP_JOIN;
    sse__channel_touch(&stream->hub->channels, request->channel, now_ms);
  }
  sse__mem_free(&stream->hub->mem, request);
}

static void drop_requests(struct sse_stream *stream, struct sse__tagged *tagged, int64_t now_ms) {
  while (tagged->requests) drop_request(stream, tagged, now_ms);
}

int sse__membership_run(struct sse_stream *stream, int64_t now_ms) {
  SSE__HELD(stream->hub);
  struct sse__tagged *tagged = sse__stream_tagged(stream);
  assert(stream->outq.count == 0);
  if (stream->sub.standalone) sse__standalone_disarm(&stream->sub, now_ms);
  while (tagged->requests && tagged->requests->seq <= stream->cursor) {
    int error = SSE_OK;
    if (tagged->requests->kind == SSE__MEMBERSHIP_END) {
      if (stream->backfill) return SSE_OK; /* of a channel that was joined just now */
      drop_requests(stream, tagged, now_ms);
      return SSE_EDISMISSED;
    }
    if (tagged->requests->kind == SSE__MEMBERSHIP_JOIN) {
      error = membership_join(stream, tagged->requests, now_ms);
    } else {
      membership_leave(stream, tagged->requests);
    }
    if (error) return error;
    drop_request(stream, tagged, now_ms);
  }
  return SSE_OK;
}

void sse__membership_drop(struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  struct sse__tagged *tagged = sse__stream_tagged(stream);
  drop_requests(stream, tagged, sse__hub_now(stream->hub));
  if (!tagged->requested) return;
  struct sse__tagged **at = &stream->sub.u.inbox->requested;
  while (*at != tagged) at = &(*at)->requested_next;
  *at = tagged->requested_next;
  tagged->requested = false;
}

/* ---- the calls ---- */

/* Asks the streams of a tag to join or leave a channel, which is made if it is new. */
static int request(sse_hub *hub, const char *tag, const char *channel,
                   enum sse__membership_kind kind, size_t history) {
  struct sse__wake_list list = {NULL};
  struct sse__membership_request request = {.kind = kind, .history = history};
  size_t tag_len, len;
  if (!hub || !tag || !channel) return SSE_EINVAL;
  int error = sse__tag_check(tag, &tag_len);
  if (!error) error = sse__channel_name_check(channel, &len);
  if (error) return error;
  int count = 0;
  pthread_mutex_lock(&hub->lock);
  uint32_t made = hub->channels.made;
  struct sse__tag *first = sse__tags_find(&hub->tags, tag, tag_len);
  if (first) {
    request.seq = hub->head;
    count = sse__channels_get(&hub->channels, channel, len, sse__hub_now(hub), &request.channel);
  }
  if (first && !count) {
    const struct sse__channel *ch = request.channel;
    request.delivered_count = ch->window.keys ? SSE__UNKNOWN : ch->window.last_ordinal;
    count = request_all(first, &hub->mem, &request, hub->stream_channels_max, &list);
    if (count < 0) sse__channels_discard(&hub->channels, request.channel, made);
  }
  sse__wakers_run(&hub->wakers, &list);
  return count;
}

int sse_hub_subscribe(sse_hub *hub, const char *tag, const char *channel, size_t history) {
  return request(hub, tag, channel, SSE__MEMBERSHIP_JOIN, history);
}

int sse_hub_unsubscribe(sse_hub *hub, const char *tag, const char *channel) {
  return request(hub, tag, channel, SSE__MEMBERSHIP_LEAVE, 0);
}

int sse_hub_dismiss(sse_hub *hub, const char *tag) {
  struct sse__wake_list list = {NULL};
  struct sse__membership_request request = {.kind = SSE__MEMBERSHIP_END};
  size_t len;
  if (!hub || !tag) return SSE_EINVAL;
  int error = sse__tag_check(tag, &len);
  if (error) return error;
  pthread_mutex_lock(&hub->lock);
  struct sse__tag *first = sse__tags_find(&hub->tags, tag, len);
  request.seq = hub->head;
  int count = first ? request_all(first, &hub->mem, &request, 0, &list) : 0;
  sse__wakers_run(&hub->wakers, &list);
  return count;
}
