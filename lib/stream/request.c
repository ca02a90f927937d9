/* SPDX-License-Identifier: MIT */
/* request.c: requests to change an open stream's channels or to end it. */
#include "stream/request.h"

#include <limits.h>

#define PENDING_MIN 64 /* requests that every stream may have pending */

static struct sse__tagged *tagged_of(const struct sse_stream *stream) {
  return sse__stream_tagged((struct sse_stream *)(uintptr_t)stream);
}

/* ---- may they be asked ---- */

/* The most channels that a stream can have once its requests are carried out. */
static uint32_t channels_expected(const struct sse__tagged *tagged) {
  return tagged->count + tagged->pending_joins;
}

/* Whether a stream is or will be subscribed to a channel. */
static bool expects_channel(const struct sse__tagged *tagged, const struct sse__channel *channel) {
  const struct sse__request *request = sse__request_first(tagged);
  for (; request; request = sse__request_next(tagged, request)) {
    if (request->kind == SSE__REQUEST_SUBSCRIBE && request->channel == channel) return true;
  }
  return sse__tagged_has(tagged, channel);
}

/* Whether all streams of a tag may join. A stream that has the channel already takes no place. */
static int admit_all(const struct sse__tag *first, const struct sse__channel *channel,
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

/*
 * A stream that is not read carries nothing out, so what waits for it is bounded. Each channel may
 * be left and joined once, and a stream of few channels may have some more changes.
 */
static int bound_pending(const struct sse__tag *first, uint32_t channels_max) {
  const struct sse__tag *tag = first;
  do {
    uint32_t pending = tag->tagged->pending;
    if (pending >= PENDING_MIN && pending / 2 >= channels_max) return SSE_ECHANNELS;
    tag = tag->next;
  } while (tag != first);
  return SSE_OK;
}

/*
 * Whether a stream can still be dismissed. That takes the place of another gentle end, as long as
 * the stream may be given events.
 */
static bool may_dismiss(const struct sse__tagged *tagged) {
  const struct sse__subscriber *sub = tagged->sub;
  return sub->stage == SSE__STAGE_OPEN && (!sub->end || sse_end_is_gentle(sub->end)) &&
         !tagged->dismissed;
}

static bool concerns(const struct sse__request *request, const struct sse__tagged *tagged) {
  return request->kind != SSE__REQUEST_DISMISS || may_dismiss(tagged);
}

/* ---- copies ---- */

static uint64_t number_of_last(const struct sse__window *window) {
  struct sse__stretch slots = sse__window_stretch(window);
  if (slots.count == 0) return window->evicted.number;
  const struct sse__slot *last = sse__stretch_at(&slots, slots.count - 1);
  return last->frame ? last->frame->number : UINT64_MAX;
}

static struct sse__subscription_end end_of(const struct sse__channel *channel) {
  const struct sse__window *window = &channel->window;
  return (struct sse__subscription_end){channel->number, sse__window_last(window),
                                        window->last_ordinal, window->history->skipped.seq,
                                        number_of_last(window)};
}

/* How many subscriptions of a stream end by a request, at most. */
static uint32_t ends_max(const struct sse__request *request, const struct sse__tagged *tagged) {
  if (request->kind == SSE__REQUEST_SUBSCRIBE) return 0;
  return request->kind == SSE__REQUEST_UNSUBSCRIBE ? 1 : channels_expected(tagged);
}

/* A copy of a request for one stream. NULL without memory. */
static struct sse__request *copy_for(const struct sse__mem *mem, const struct sse__request *request,
                                     const struct sse__tagged *tagged) {
  uint32_t max = ends_max(request, tagged);
  struct sse__request *copy = sse__mem_new(mem, sizeof *copy + max * sizeof *copy->ends);
  if (!copy) return NULL;
  *copy = *request;
  copy->next = NULL;
  if (request->kind == SSE__REQUEST_UNSUBSCRIBE) {
    copy->ends[copy->ends_count++] = end_of(request->channel);
  } else if (request->kind == SSE__REQUEST_DISMISS) {
    for (uint32_t i = 0; i < tagged->count; i++)
      copy->ends[copy->ends_count++] = end_of(tagged->subscriptions[i].channel);
    const struct sse__request *r = sse__request_first(tagged);
    for (; r; r = sse__request_next(tagged, r)) {
      if (r->kind == SSE__REQUEST_SUBSCRIBE) copy->ends[copy->ends_count++] = end_of(r->channel);
    }
  }
  return copy;
}

static void free_copies(const struct sse__mem *mem, struct sse__request *copies) {
  for (struct sse__request *next; copies; copies = next) {
    next = copies->next;
    sse__mem_free(mem, copies);
  }
}

/* Makes a copy for each stream that the request concerns, in the order of the ring. */
static int copy_for_all(struct sse__tag *first, const struct sse__mem *mem,
                        const struct sse__request *request, struct sse__request **copies) {
  struct sse__request **at = copies;
  struct sse__tag *tag = first;
  *copies = NULL;
  do {
    if (concerns(request, tag->tagged)) {
      *at = copy_for(mem, request, tag->tagged);
      if (!*at) {
        free_copies(mem, *copies);
        return SSE_ENOMEM;
      }
      at = &(*at)->next;
    }
    tag = tag->next;
  } while (tag != first);
  return SSE_OK;
}

/* ---- asking ---- */

static void post_request(struct sse__tagged *tagged, int64_t now_ms, struct sse__wake_list *list) {
  struct sse__subscriber *sub = tagged->sub;
  if (sub->standalone) {
    sse__standalone_wake(sub, now_ms, list);
    return;
  }
  if (tagged->requested) return;
  tagged->requested = true;
  tagged->requested_next = sub->u.inbox->requested;
  sub->u.inbox->requested = tagged;
  sse__waker_post(&sub->u.inbox->waker, SSE_WAKE_READY, false, list);
}

static void append_request(struct sse__tagged *tagged, struct sse__request *request) {
  struct sse__request *last = tagged->requests;
  request->next = last ? last->next : request;
  if (last) last->next = request;
  tagged->requests = request;
  tagged->pending++;
  tagged->pending_joins += request->kind == SSE__REQUEST_SUBSCRIBE;
  tagged->dismissed |= request->kind == SSE__REQUEST_DISMISS;
  if (!request->channel) return;
  request->channel->requests++;
  request->channel->pending_joins += request->kind == SSE__REQUEST_SUBSCRIBE;
}

int sse__request_all(struct sse__tag *first, const struct sse__mem *mem,
                     const struct sse__request *request, uint32_t channels_max, int64_t now_ms,
                     struct sse__wake_list *list) {
  struct sse__request *copies;
  bool joins = request->kind == SSE__REQUEST_SUBSCRIBE;
  bool ends = request->kind == SSE__REQUEST_DISMISS;
  int error = ends ? SSE_OK : bound_pending(first, channels_max);
  if (!error && joins) error = admit_all(first, request->channel, channels_max);
  if (!error) error = copy_for_all(first, mem, request, &copies);
  if (error) return error;
  int count = 0;
  for (struct sse__tag *tag = first; copies; tag = tag->next) {
    struct sse__request *next = copies->next;
    if (!concerns(request, tag->tagged)) continue;
    append_request(tag->tagged, copies);
    post_request(tag->tagged, now_ms, list);
    if (count < INT_MAX) count++;
    copies = next;
  }
  return count;
}

struct sse__tagged *sse__request_collect(struct sse__inbox *inbox) {
  struct sse__tagged *tagged = inbox->requested;
  if (!tagged) return NULL;
  inbox->requested = tagged->requested_next;
  tagged->requested = false;
  return tagged;
}

/* ---- dropping ---- */

/* A channel that only the request kept alive may now expire. */
void sse__request_drop(struct sse_stream *stream, struct sse__tagged *tagged, int64_t now_ms) {
  SSE__HELD(stream->hub);
  struct sse__request *request = sse__request_first(tagged);
  if (request == tagged->requests) {
    tagged->requests = NULL;
  } else {
    tagged->requests->next = request->next;
  }
  tagged->pending--;
  tagged->pending_joins -= request->kind == SSE__REQUEST_SUBSCRIBE;
  if (request->kind == SSE__REQUEST_DISMISS) tagged->dismissed = false;
  if (request->channel) {
    request->channel->requests--;
    request->channel->pending_joins -= request->kind == SSE__REQUEST_SUBSCRIBE;
    sse__channel_touch(&stream->hub->channels, request->channel, now_ms);
  }
  sse__mem_free(&stream->hub->mem, request);
}

void sse__request_drop_all(struct sse_stream *stream, int64_t now_ms) {
  SSE__HELD(stream->hub);
  struct sse__tagged *tagged = sse__stream_tagged(stream);
  while (tagged->requests) sse__request_drop(stream, tagged, now_ms);
}

/* ---- what they mean for the stream ---- */

const struct sse__request *sse__request_next_due(const struct sse_stream *stream) {
  return stream->has & SSE__HAS_TAG ? sse__request_first(tagged_of(stream)) : NULL;
}

uint64_t sse__request_first_due(const struct sse_stream *stream) {
  const struct sse__request *first = sse__request_next_due(stream);
  return first ? first->at.seq : UINT64_MAX;
}

struct sse__point sse__request_head(const struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  if (sse__request_due(stream) >= stream->hub->head.seq) return sse__hub_head(stream->hub);
  return sse__request_next_due(stream)->at;
}

/*
 * A dismissal has the ends in the order that the subscriptions had then, so the place is right
 * unless they have changed since.
 */
const struct sse__subscription_end *sse__request_end(const struct sse_stream *stream,
                                                     const struct sse__subscription *subscription) {
  SSE__HELD(stream->hub);
  if (!(stream->has & SSE__HAS_TAG)) return NULL;
  const struct sse__tagged *tagged = tagged_of(stream);
  const struct sse__request *request = sse__request_first(tagged);
  size_t place = (size_t)(subscription - tagged->subscriptions);
  uint32_t number = subscription->channel->number;
  for (; request; request = sse__request_next(tagged, request)) {
    const struct sse__subscription_end *ends = request->ends;
    if (place < request->ends_count && ends[place].channel == number) return &ends[place];
    for (uint32_t i = 0; i < request->ends_count; i++) {
      if (ends[i].channel == number) return &ends[i];
    }
  }
  return NULL;
}

bool sse__request_dismisses(const struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  return stream->has & SSE__HAS_TAG && tagged_of(stream)->dismissed;
}
