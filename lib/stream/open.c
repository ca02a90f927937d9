/* SPDX-License-Identifier: MIT */
/* open.c: opening a stream: its channels, its start and its first bytes, in one step. */
#include <string.h>

#include "stream/backfill.h"
#include "stream/cursor.h"
#include "stream/farewell.h"
#include "stream/join.h"
#include "stream/limits.h"
#include "stream/loop.h"
#include "stream/outq.h"
#include "stream/part.h"
#include "stream/resume.h"

/* ---- before the lock ---- */

static const char *const *list_of(const sse_stream_config *config, const char *one[2]) {
  if (config->channels) return config->channels;
  one[0] = config->channel;
  one[1] = NULL;
  return one;
}

static bool choices_valid(const sse_stream_config *config) {
  struct sse__event_id id;
  if (config->position < SSE_POSITION_EVENT || config->position > SSE_POSITION_OFF) return false;
  if (config->start < SSE_START_NOW || config->start > SSE_START_LAST) return false;
  if (config->lost < SSE_LOST_BY_RESULT || config->lost > SSE_LOST_LIVE) return false;
  if (config->slow < SSE_SLOW_SKIP || config->slow > SSE_SLOW_CLOSE) return false;
  return !config->not_before || sse__event_id_parse(config->not_before, &id);
}

static bool times_valid(const sse_stream_config *config) {
  return sse__time_valid(config->behind_max_ms) && sse__time_valid(config->heartbeat_ms) &&
         sse__time_valid(config->stall_ms) && sse__time_valid(config->age_max_ms) &&
         sse__time_valid(config->retry_ms);
}

static int check_config(const sse_hub *hub, const sse_stream_config *config) {
  size_t len;
  if (!config->channel == !config->channels || (config->loop && config->wake)) return SSE_EINVAL;
  if (config->loop && config->loop->hub != hub) return SSE_EINVAL;
  if (!choices_valid(config) || !times_valid(config)) return SSE_EINVAL;
  if (config->tag && sse__tag_check(config->tag, &len)) return SSE_EINVAL;
  return sse__reserved_unused(config->reserved, sizeof config->reserved / sizeof *config->reserved)
             ? SSE_OK
             : SSE_EINVAL;
}

static int32_t either(int32_t own, int32_t of_hub) {
  return own ? own : of_hub;
}

/* A stream that stands alone brings its waker along, behind its members. */
static int make_lone(struct sse_stream *stream, const sse_stream_config *config) {
  struct sse__standalone *standalone = sse__stream_standalone(stream);
  if (sse__os_cond_init(&standalone->arrived)) return SSE_ENOMEM;
  standalone->waker.fn = config->wake;
  standalone->waker.arg = config->user;
  standalone->subscriptions = stream->own;
  standalone->count = stream->subscription_count;
  stream->sub.standalone = true;
  stream->sub.u.standalone = standalone;
  stream->sub.live.timer.kind = SSE__TIMER_STREAM;
  return SSE_OK;
}

static void make_tag(struct sse_stream *stream, const char *text, size_t len) {
  struct sse__tag *tag = sse__stream_tag(stream);
  tag->sub = &stream->sub;
  tag->len = (uint8_t)len;
  memcpy(tag->text, text, len);
}

/* Who starts at the head has nothing to replay. */
static unsigned parts_of(const sse_hub *hub, const sse_stream_config *config) {
  bool behind = (config->last_id && *config->last_id) || config->start != SSE_START_NOW;
  bool replays = behind && hub->admission.max > 0;
  return (config->loop ? 0 : SSE__HAS_STANDALONE) | (replays ? SSE__HAS_SLOT : 0) |
         (sse__limits_needed(config) ? SSE__HAS_LIMITS : 0) | (config->tag ? SSE__HAS_TAG : 0);
}

static int make_stream(struct sse_stream **stream, sse_hub *hub, const sse_stream_config *config,
                       uint32_t count) {
  unsigned parts = parts_of(hub, config);
  size_t tag_len = config->tag ? strlen(config->tag) : 0;
  struct sse_stream *s = sse__mem_zero(&hub->mem, sse__stream_size(parts, count, tag_len));
  if (!s) return SSE_ENOMEM;
  s->has = (uint8_t)parts;
  s->hub = hub;
  s->user = config->user;
  s->position = (unsigned)config->position & 15u;
  s->subscription_count = count;
  s->own_count = (uint16_t)count;
  s->sub.live.heartbeat_ms = either(config->heartbeat_ms, hub->heartbeat_ms);
  s->retry_ms = either(config->retry_ms, hub->retry_ms);
  s->sub.live.stall_ms = either(config->stall_ms, hub->stall_ms);
  if (config->loop) {
    s->sub.u.inbox = &config->loop->inbox;
  } else if (make_lone(s, config)) {
    sse__mem_free(&hub->mem, s);
    return SSE_ENOMEM;
  }
  if (config->tag) make_tag(s, config->tag, tag_len);
  if (parts & SSE__HAS_LIMITS) sse__limits_set(sse__stream_limits(s), config);
  *stream = s;
  return SSE_OK;
}

static void unmake_stream(struct sse_stream *stream) {
  sse__backfill_drop(stream, NULL);
  if (stream->sub.standalone) pthread_cond_destroy(&stream->sub.u.standalone->arrived);
  sse__mem_free(&stream->hub->mem, stream);
}

/* ---- with the lock held ---- */

static int join(struct sse_stream *stream, struct sse__subscription *subscription, const char *name,
                int64_t now_ms) {
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

/* Leaves the first `count` channels, and unmakes those that were made for this stream. */
static void leave(struct sse_stream *stream, uint32_t count, uint32_t made) {
  for (uint32_t i = 0; i < count; i++) {
    struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    sse__unsubscribe(stream, subscription);
    sse__channels_discard(&stream->hub->channels, subscription->channel, made);
  }
}

static int join_all(struct sse_stream *stream, const char *const *channels, int64_t now_ms) {
  uint32_t made = stream->hub->channels.made;
  for (uint32_t i = 0; channels[i]; i++) {
    int error = join(stream, &sse__subscriptions(stream)[i], channels[i], now_ms);
    if (error) {
      leave(stream, i, made);
      return error;
    }
  }
  return SSE_OK;
}

/* The first bytes: head, retry, and the position, or the gap whose id is one too. */
static int first_block(struct sse_stream *stream, const sse_stream_config *config, int64_t now_ms,
                       struct sse__frame **frame) {
  sse_hub *hub = stream->hub;
  struct sse__gap gap;
  int error = sse__resume(stream, config, now_ms, &gap);
  if (error) return error;
  if (!gap.reason && !stream->backfill && sse__cursor_finished(stream)) return SSE_EFINISHED;
  const struct sse__control block = {.head = config->head,
                                     .retry_ms = sse__retry_spread(hub, stream->retry_ms),
                                     .position = true,
                                     .seq = stream->cursor,
                                     .unfinished = stream->backfill};
  stream->opened_at = hub->head;
  sse__stream_count_delivered(stream);
  if (stream->backfill) stream->backfill->opened = true;
  if (gap.reason) return sse__gap_new(stream, &gap, &block, frame);
  error = sse__control_new(frame, stream, &block);
  bool primed = stream->position != SSE_POSITION_OFF && !block.unfinished;
  if (!error && primed) stream->id_sent = stream->cursor;
  return error;
}

static void start_timers(struct sse_stream *stream, const sse_stream_config *config,
                         struct sse__timers *timers, int64_t now_ms) {
  struct sse__liveness *live = &stream->sub.live;
  int32_t age_ms = either(config->age_max_ms, stream->hub->age_max_ms);
  live->close_ms = SSE__NEVER_MS;
  if (age_ms != SSE_NEVER) {
    uint32_t spread = sse__hub_random(stream->hub, (uint32_t)age_ms / 4 + 1);
    live->close_ms = now_ms + age_ms - spread;
  }
  sse__liveness_start(live, now_ms);
  sse__timers_add(timers, &live->timer, sse__liveness_next(live, false, now_ms));
}

/* Whether one more stream may be opened, of this tag. */
static int admit(const sse_hub *hub, const sse_stream_config *config) {
  if (hub->draining) return SSE_EDRAINED;
  if (hub->streams >= hub->streams_max) return SSE_ESTREAMS;
  if (!config->tag) return SSE_OK;
  const struct sse__tag *tag = sse__tags_find(&hub->tags, config->tag, strlen(config->tag));
  return tag && tag->count >= hub->tag_streams_max ? SSE_ETAGSTREAMS : SSE_OK;
}

/* One that has something to replay asks for its turn; the answer is looked up when it is read. */
static void ask_for_turn(struct sse_stream *stream) {
  struct sse__admission_slot *slot = sse__stream_slot(stream);
  if (!slot) return;
  slot->sub = &stream->sub;
  if (!sse__cursor_behind(stream)) return;
  stream->sub.behind = true;
  sse__admission_request(&stream->hub->admission, slot);
}

/* What is still to fail fails here; a stream that has joined its channels is not yet known to a
 * timer. */
static int start(struct sse_stream *stream, const sse_stream_config *config,
                 const char *const *channels) {
  sse_hub *hub = stream->hub;
  struct sse__timers *timers = config->loop ? &config->loop->timers : &hub->timers;
  struct sse__frame *frame;
  int64_t now_ms = sse__hub_now(hub);
  uint32_t made = hub->channels.made;
  int error = admit(hub, config);
  if (!error) error = join_all(stream, channels, now_ms);
  if (error) return error;
  error = sse__timers_reserve(timers, &hub->mem);
  if (!error) error = first_block(stream, config, now_ms, &frame);
  if (error) {
    leave(stream, stream->subscription_count, made);
    return error;
  }
  if (frame) sse__outq_set(stream, frame);
  ask_for_turn(stream);
  if (config->tag) sse__tags_add(&hub->tags, &hub->mem, sse__stream_tag(stream));
  start_timers(stream, config, timers, now_ms);
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    sse__occupancy_note(&hub->occupancy, sse__subscriptions(stream)[i].channel);
  }
  hub->streams++;
  hub->counters.opened[stream->resume]++;
  return SSE_OK;
}

int sse_stream_open(sse_stream **stream, sse_hub *hub, const sse_stream_config *config) {
  const char *one[2];
  struct sse_stream *s;
  uint32_t count;
  if (!stream || !hub || !config) return SSE_EINVAL;
  int error = check_config(hub, config);
  if (error) return error;
  const char *const *channels = list_of(config, one);
  error = sse__channel_names_check(channels, hub->stream_channels_max, &count);
  if (error) return error;
  error = make_stream(&s, hub, config, count);
  if (error) return error;
  pthread_mutex_lock(&hub->lock);
  error = start(s, config, channels);
  pthread_mutex_unlock(&hub->lock);
  if (error) {
    unmake_stream(s);
    return error;
  }
  if (config->loop) {
    config->loop->streams++;
    sse__loop_queue(config->loop, s);
  }
  *stream = s;
  sse__hub_notify_occupancy(hub);
  return SSE_OK;
}
