/* SPDX-License-Identifier: MIT */
/* open.c: opening a stream: its configuration, its channels, its first bytes. */
#include <string.h>

#include "hub/log.h"
#include "stream/backfill.h"
#include "stream/backlog.h"
#include "stream/cursor.h"
#include "stream/gap.h"
#include "stream/loop.h"
#include "stream/membership.h"
#include "stream/outq.h"
#include "stream/resume.h"
#include "stream/wide.h"
#include "wire/format.h"
#include "wire/http.h"

/* ---- before the lock ---- */

static const char *const *channel_list(const sse_stream_config *config, const char *one[2]) {
  if (config->channels) return config->channels;
  one[0] = config->channel;
  one[1] = NULL;
  return one;
}

/* The tags of a stream, as a list that ends with NULL and may be empty. */
static const char *const *tag_list(const sse_stream_config *config, const char *one[2]) {
  if (config->tags) return config->tags;
  one[0] = config->tag;
  one[1] = NULL;
  return one;
}

/* What is wrong with a choice of a configuration, as a sentence; NULL: nothing. */
static const char *open_choices_problem(const sse_stream_config *config) {
  struct sse__event_id id;
  if (config->position < SSE_POSITION_EVENT || config->position > SSE_POSITION_OFF) {
    return "position is not one of sse_position";
  }
  if (config->start < SSE_START_NOW || config->start > SSE_START_LAST) {
    return "start is not one of sse_start";
  }
  if (config->start != SSE_START_LAST && config->start_events > 0) {
    return "start_events needs SSE_START_LAST";
  }
  if (config->lost < SSE_LOST_BY_RESULT || config->lost > SSE_LOST_LIVE) {
    return "lost is not one of sse_lost";
  }
  if (config->slow < SSE_SLOW_SKIP || config->slow > SSE_SLOW_CLOSE) {
    return "slow is not one of sse_slow";
  }
  bool known = !config->not_before || sse__event_id_parse(config->not_before, &id);
  return known ? NULL : "not_before is not an id of a hub";
}

static const char *open_times_problem(const sse_stream_config *config) {
  if (!sse__time_valid(config->lag_ms_max)) return "lag_ms_max is below SSE_NEVER";
  if (!sse__time_valid(config->heartbeat_ms)) return "heartbeat_ms is below SSE_NEVER";
  if (!sse__time_valid(config->stall_ms)) return "stall_ms is below SSE_NEVER";
  if (!sse__time_valid(config->age_ms_max)) return "age_ms_max is below SSE_NEVER";
  return sse__time_valid(config->retry_ms) ? NULL : "retry_ms is below SSE_NEVER";
}

static const char *open_tags_problem(const sse_stream_config *config) {
  const char *one[2];
  size_t count, bytes;
  if (!config->tag && !config->tags) return NULL;
  if (!sse__tags_check(tag_list(config, one), &count, &bytes)) return NULL;
  if (config->tag) return "tag is empty or too long";
  return "a tag is empty, too long or occurs twice, or there are too many";
}

static const char *open_config_problem(const sse_hub *hub, const sse_stream_config *config) {
  if (!config->channel && !config->channels) return "neither channel nor channels is given";
  if (config->channel && config->channels) return "both channel and channels are given";
  if (config->loop && config->wake) return "a stream of a loop has no wake of its own";
  if (config->loop && config->loop->hub != hub) return "loop belongs to another hub";
  if (config->tag && config->tags) return "both tag and tags are given";
  if (!SSE__RESERVED_UNUSED(config)) return "a reserved member is not NULL";
  const char *problem = open_tags_problem(config);
  if (!problem) problem = open_choices_problem(config);
  return problem ? problem : open_times_problem(config);
}

static bool open_limits_needed(const sse_stream_config *config) {
  return config->filter || config->not_before || config->slow != SSE_SLOW_SKIP ||
         config->lag_events_max > 0 || config->lag_bytes_max > 0 || config->lag_ms_max > 0;
}

static void open_set_limits(struct sse__limits *limits, const sse_stream_config *config) {
  limits->filter = config->filter;
  limits->filter_arg = config->filter_arg;
  limits->lag_events = config->lag_events_max ? config->lag_events_max : UINT64_MAX;
  limits->lag_bytes = config->lag_bytes_max ? config->lag_bytes_max : UINT64_MAX;
  limits->lag_ms_limit = config->lag_ms_max ? config->lag_ms_max : SSE_NEVER;
  limits->close = config->slow == SSE_SLOW_CLOSE;
}

static int32_t own_or_hub(int32_t own, int32_t hubs) {
  return own ? own : hubs;
}

/* A standalone stream has its waker in its own memory, behind its subscriptions. */
static int make_standalone(struct sse_stream *stream, const sse_stream_config *config) {
  struct sse__standalone *standalone = sse__stream_standalone(stream);
  if (sse__os_cond_init(&standalone->arrived)) return SSE_ENOMEM;
  standalone->waker.fn = config->wake;
  standalone->waker.arg = config->user;
  standalone->sub = &stream->sub;
  standalone->subscriptions = stream->own;
  standalone->count = stream->subscription_count;
  stream->sub.standalone = true;
  stream->sub.u.standalone = standalone;
  stream->sub.live.timer.kind = SSE__TIMER_STREAM;
  return SSE_OK;
}

/* A stream that starts at the head has nothing to replay, so it needs no admission slot. */
static unsigned parts_of(const sse_hub *hub, const sse_stream_config *config) {
  bool behind = (config->last_id && *config->last_id) || config->start != SSE_START_NOW;
  bool replays = behind && hub->admission.max > 0;
  bool tagged = config->tag || (config->tags && *config->tags);
  return (config->loop ? 0 : SSE__HAS_STANDALONE) | (replays ? SSE__HAS_SLOT : 0) |
         (open_limits_needed(config) ? SSE__HAS_LIMITS : 0) | (tagged ? SSE__HAS_TAG : 0);
}

static int make_stream(struct sse_stream **stream, sse_hub *hub, const sse_stream_config *config,
                       uint32_t count) {
  unsigned parts = parts_of(hub, config);
  const char *one[2], *const *tags = tag_list(config, one);
  size_t tags_count = 0, texts_bytes = 0;
  if (parts & SSE__HAS_TAG) sse__tags_check(tags, &tags_count, &texts_bytes);
  size_t tags_bytes = tags_count * sizeof(struct sse__tag) + texts_bytes;
  struct sse_stream *s = sse__mem_zero(&hub->mem, sse__stream_size(parts, count, tags_bytes));
  if (!s) return SSE_ENOMEM;
  s->has = (uint8_t)parts;
  s->hub = hub;
  s->user = config->user;
  s->position = (unsigned)config->position & 15u;
  s->outq.chunked = config->head && config->head->chunked;
  s->subscription_count = (uint16_t)count;
  s->wide = count >= SSE__WIDE_MIN;
  s->own_count = (uint16_t)count;
  s->sub.live.heartbeat_ms = own_or_hub(config->heartbeat_ms, hub->heartbeat_ms);
  s->retry_ms = own_or_hub(config->retry_ms, hub->retry_ms);
  s->sub.live.stall_ms = own_or_hub(config->stall_ms, hub->stall_ms);
  if (config->loop) {
    s->sub.u.inbox = &config->loop->inbox;
  } else if (make_standalone(s, config)) {
    sse__mem_free(&hub->mem, s);
    return SSE_ENOMEM;
  }
  if (parts & SSE__HAS_TAG) {
    struct sse__tagged *tagged = sse__stream_tagged(s);
    sse__tagged_init(tagged, &s->sub, tags);
    tagged->subscriptions = s->own;
    tagged->count = count;
  }
  if (parts & SSE__HAS_LIMITS) open_set_limits(sse__stream_limits(s), config);
  *stream = s;
  return SSE_OK;
}

static void unmake_stream(struct sse_stream *stream) {
  sse__backfill_drop(stream, NULL);
  if (stream->sub.standalone) pthread_cond_destroy(&stream->sub.u.standalone->arrived);
  sse__mem_free(&stream->hub->mem, stream);
}

/* ---- under the hub's lock ---- */

static int open_subscribe(struct sse_stream *stream, struct sse__subscription *subscription,
                          const char *name, int64_t now_ms) {
  SSE__HELD(stream->hub);
  struct sse__channels *channels = &stream->hub->channels;
  struct sse__channel *channel;
  uint32_t made = channels->made;
  int error = sse__channels_get(channels, name, strlen(name), now_ms, &channel);
  if (error) return error;
  bool full = channel->streams + channel->pending_joins >= channel->bounds.streams_max;
  error = full ? SSE_ECHANNELSTREAMS : sse__subscribe(stream, subscription, channel, now_ms);
  if (error) sse__channels_discard(channels, channel, made);
  return error;
}

/*
 * Unsubscribes from the first `count` channels, and discards those that were made for this stream.
 */
static void open_unsubscribe(struct sse_stream *stream, uint32_t count, uint32_t made) {
  SSE__HELD(stream->hub);
  for (uint32_t i = 0; i < count; i++) {
    struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    sse__unsubscribe(stream, subscription);
    sse__channels_discard(&stream->hub->channels, subscription->channel, made);
  }
}

static int open_subscribe_all(struct sse_stream *stream, const char *const *channels,
                              int64_t now_ms) {
  uint32_t made = stream->hub->channels.made;
  for (uint32_t i = 0; channels[i]; i++) {
    int error = open_subscribe(stream, &sse__subscriptions(stream)[i], channels[i], now_ms);
    if (error) {
      open_unsubscribe(stream, i, made);
      return error;
    }
  }
  if (stream->wide) sse__wide_fill(stream);
  return SSE_OK;
}

/* ---- the first bytes ---- */

/* A stream that is ahead, of a not_before, stays so. */
static int open_with_gap(struct sse_stream *stream, const struct sse__gap *gap,
                         const struct sse__control *block, struct sse__frame **frame) {
  uint64_t number = stream->number;
  int error = sse__gap_new(stream, gap, block, frame);
  if (!error && stream->ahead) stream->number = number;
  return error;
}

/* The first block: head, retry, and the position, or the gap, whose id is a position as well. */
static int open_first_block(struct sse_stream *stream, const sse_stream_config *config,
                            int64_t now_ms, struct sse__frame **frame) {
  sse_hub *hub = stream->hub;
  struct sse__gap gap;
  int error = sse__resume(stream, config, now_ms, &gap);
  if (error) return error;
  if (!gap.reason && !stream->backfill && sse__cursor_finished(stream)) return SSE_EFINISHED;
  const struct sse__control block = {.head = config->head,
                                     .retry_ms = sse__retry_spread(hub, stream->retry_ms),
                                     .position = true,
                                     .at = sse__stream_point(stream),
                                     .unfinished = stream->backfill};
  stream->opened_at = hub->head.seq;
  sse__stream_count_delivered(stream, false);
  if (stream->backfill) stream->backfill->opened = true;
  if (gap.reason) return open_with_gap(stream, &gap, &block, frame);
  error = sse__control_new(frame, stream, &block);
  stream->id_behind = stream->position == SSE_POSITION_OFF || block.unfinished;
  return error;
}

static void open_start_timers(struct sse_stream *stream, const sse_stream_config *config,
                              struct sse__timers *timers, int64_t now_ms) {
  SSE__HELD(stream->hub);
  struct sse__liveness *live = &stream->sub.live;
  int32_t age_ms = own_or_hub(config->age_ms_max, stream->hub->age_ms_max);
  live->close_ms = SSE__NEVER_MS;
  if (age_ms != SSE_NEVER) {
    uint32_t spread = sse__hub_random(stream->hub, (uint32_t)age_ms / 4 + 1);
    live->close_ms = now_ms + age_ms - spread;
  }
  sse__liveness_start(live, now_ms);
  sse__timers_add(timers, &live->timer, sse__liveness_next(live, false, now_ms));
}

/* Whether one more stream may be opened, and one more of each of its tags. */
static int open_admit(const sse_hub *hub, const sse_stream_config *config) {
  SSE__HELD(hub);
  if (hub->draining) return SSE_EDRAINED;
  if (hub->streams >= hub->streams_max) return SSE_ESTREAMS;
  if (!config->tag && !config->tags) return SSE_OK;
  const char *one[2];
  for (const char *const *tags = tag_list(config, one); *tags; tags++) {
    const struct sse__tag *tag = sse__tags_find(&hub->tags, *tags, strlen(*tags));
    if (tag && tag->count >= hub->tag_streams_max) return SSE_ETAGSTREAMS;
  }
  return SSE_OK;
}

/*
 * A stream with events to replay asks for an admission slot; the answer is read at its first step.
 */
static void request_slot(struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  struct sse__admission_slot *slot = sse__stream_slot(stream);
  if (!slot) return;
  slot->sub = &stream->sub;
  if (!sse__cursor_behind(stream)) return;
  stream->sub.behind = true;
  sse__admission_request(&stream->hub->admission, slot, sse__hub_now(stream->hub));
}

/* Everything that can fail comes first, so a stream that fails is not yet known to a timer. */
static int open_start(struct sse_stream *stream, const sse_stream_config *config,
                      const char *const *channels) {
  sse_hub *hub = stream->hub;
  struct sse__timers *timers = config->loop ? &config->loop->timers : &hub->timers;
  struct sse__frame *frame;
  int64_t now_ms = sse__hub_now(hub);
  uint32_t made = hub->channels.made;
  int error = open_admit(hub, config);
  if (!error) error = open_subscribe_all(stream, channels, now_ms);
  if (error) return error;
  error = sse__timers_reserve(timers, &hub->mem);
  if (!error && hub->numbers_given && !config->loop) error = sse__log_reserve_ahead(hub);
  if (!error) error = open_first_block(stream, config, now_ms, &frame);
  if (error) {
    open_unsubscribe(stream, stream->subscription_count, made);
    return error;
  }
  if (frame) sse__outq_set(stream, frame);
  request_slot(stream);
  if (stream->ahead && !config->loop)
    sse__log_go_ahead(hub, stream->sub.u.standalone, stream->number);
  struct sse__tagged *tagged = sse__stream_tagged(stream);
  if (tagged) sse__tags_add(&hub->tags, &hub->mem, tagged);
  if (stream->sub.standalone) sse__standalones_add(&hub->standalones, stream->sub.u.standalone);
  open_start_timers(stream, config, timers, now_ms);
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    sse__occupancy_note(&hub->occupancy, sse__subscriptions(stream)[i].channel);
  }
  hub->streams++;
  hub->counters.opened[stream->resume]++;
  return SSE_OK;
}

static int open_stream(sse_stream **stream, sse_hub *hub, const sse_stream_config *config,
                       const char *const *channels, uint32_t count) {
  struct sse_stream *s;
  int error = make_stream(&s, hub, config, count);
  if (error) return error;
  do {
    pthread_mutex_lock(&hub->lock);
    error = open_start(s, config, channels);
    pthread_mutex_unlock(&hub->lock);
  } while (error == SSE_EAGAIN);
  if (error) {
    unmake_stream(s);
    return error;
  }
  if (config->loop) {
    config->loop->streams++;
    if (s->outq.chunked) config->loop->chunked_streams++;
    sse__loop_queue(config->loop, s);
  }
  *stream = s;
  sse__hub_notify_occupancy(hub);
  return SSE_OK;
}

int sse_stream_open(sse_stream **stream, sse_hub *hub, const sse_stream_config *config) {
  const char *one[2];
  uint32_t count;
  if (!config) return SSE_EINVAL;
  const char **detail = config->error_detail;
  if (!stream || !hub) return sse__detail(detail, SSE_EINVAL, "stream or hub is NULL");
  if (hub->forked) return sse__detail(detail, SSE_EFORK, NULL);
  const char *problem = open_config_problem(hub, config);
  if (problem) return sse__detail(detail, SSE_EINVAL, problem);
  const char *const *channels = channel_list(config, one);
  int error = sse__channel_names_check(&hub->channels, channels, hub->stream_channels_max, &count);
  if (error == SSE_EINVAL) {
    problem = *channels ? "a channel occurs twice" : "the list of channels is empty";
    return sse__detail(detail, error, problem);
  }
  if (!error) error = open_stream(stream, hub, config, channels, count);
  return sse__detail(detail, error,
                     error == SSE_EINVAL ? sse__http_head_problem(config->head) : NULL);
}
