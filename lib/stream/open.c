/* SPDX-License-Identifier: MIT */
/* open.c: opening a stream: its channels, its start and its first bytes, in one step. */
#include <string.h>

#include "stream/backfill.h"
#include "stream/cursor.h"
#include "stream/gap.h"
#include "stream/loop.h"
#include "stream/membership.h"
#include "stream/outq.h"
#include "wire/format.h"

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
  return sse__time_valid(config->lag_ms_max) && sse__time_valid(config->heartbeat_ms) &&
         sse__time_valid(config->stall_ms) && sse__time_valid(config->age_ms_max) &&
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

static bool limits_needed(const sse_stream_config *config) {
  return config->filter || config->slow != SSE_SLOW_SKIP || config->lag_events_max > 0 ||
         config->lag_bytes_max > 0 || config->lag_ms_max > 0;
}

static void set_limits(struct sse__limits *limits, const sse_stream_config *config) {
  limits->filter = config->filter;
  limits->filter_arg = config->filter_arg;
  limits->lag_events = config->lag_events_max ? config->lag_events_max : UINT64_MAX;
  limits->lag_bytes = config->lag_bytes_max ? config->lag_bytes_max : UINT64_MAX;
  limits->lag_ms_limit = config->lag_ms_max ? config->lag_ms_max : SSE_NEVER;
  limits->close = config->slow == SSE_SLOW_CLOSE;
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
         (limits_needed(config) ? SSE__HAS_LIMITS : 0) | (config->tag ? SSE__HAS_TAG : 0);
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
  s->outq.chunked = config->head && config->head->chunked;
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
  if (parts & SSE__HAS_LIMITS) set_limits(sse__stream_limits(s), config);
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

/* ---- the last event id, and the start ---- */

static bool same_epoch(const struct sse__epoch *a, const struct sse__epoch *b) {
  return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* An id that the hub never gave: one of the application's, or none at all. */
static sse_resume judge_foreign(const sse_hub *hub, const char *id, uint64_t *cursor) {
  const struct sse__frame *frame = sse__id_index_find(&hub->store.ids, id, strlen(id));
  if (frame) {
    *cursor = frame->seq;
    return SSE_RESUME_RESUMED;
  }
  if (sse__event_id_resembles(id, &hub->epoch) || sse__format_check_id(id))
    return SSE_RESUME_MALFORMED;
  *cursor = hub->store.ids.gone;
  return SSE_RESUME_UNKNOWN;
}

static sse_resume judge(const struct sse_stream *stream, const char *last_id, uint64_t *cursor) {
  struct sse__event_id id;
  *cursor = stream->hub->head;
  if (!last_id || *last_id == '\0') return SSE_RESUME_NONE;
  if (!sse__event_id_parse(last_id, &id)) {
    return judge_foreign(stream->hub, last_id, cursor);
  }
  if (!same_epoch(&id.epoch, &stream->hub->epoch)) {
    *cursor = 0;
    return SSE_RESUME_RESTART;
  }
  if (id.seq > stream->hub->head) return SSE_RESUME_FUTURE;
  *cursor = id.seq;
  return id.unfinished ? SSE_RESUME_EVICTED : SSE_RESUME_RESUMED;
}

/* The reason of the gap event, for verdicts that bring one. */
static sse_gap reason_of(sse_resume verdict) {
  switch (verdict) {
  case SSE_RESUME_EVICTED:
    return SSE_GAP_EVICTED;
  case SSE_RESUME_RESTART:
    return SSE_GAP_RESTART;
  case SSE_RESUME_UNKNOWN:
    return SSE_GAP_UNKNOWN;
  case SSE_RESUME_FUTURE:
    return SSE_GAP_FUTURE;
  case SSE_RESUME_MALFORMED:
    return SSE_GAP_MALFORMED;
  case SSE_RESUME_NONE:
  case SSE_RESUME_RESUMED:
    break;
  }
  return SSE_GAP_NONE;
}

/* With these nothing is known of what the client has had. */
static bool starts_live(sse_resume verdict) {
  return verdict == SSE_RESUME_FUTURE || verdict == SSE_RESUME_MALFORMED;
}

/*
 * Where a stream starts whose client brings no id; nothing is owed of what came before. It begins
 * within its own bounds on how far it may be behind.
 */
static void start_at(struct sse_stream *stream, const sse_stream_config *config, int64_t now_ms) {
  struct sse__backlog backlog = {UINT64_MAX, UINT64_MAX, INT64_MIN};
  if (config->start == SSE_START_NOW) return;
  if (config->start == SSE_START_LAST) backlog.events = config->start_events;
  stream->cursor = 0;
  uint64_t floor = sse__backlog_start(stream, &backlog, 0);
  uint64_t bound = sse__gap_floor(stream, now_ms);
  if (bound > floor) floor = bound;
  stream->cursor = sse__gap_resume_at(stream, floor);
  sse__gap_mark_reported(stream, floor);
}

/* The number up to which nothing is for this stream. */
static uint64_t lowest(const struct sse_stream *stream, const char *not_before) {
  struct sse__event_id id;
  if (!not_before || !sse__event_id_parse(not_before, &id)) return 0;
  if (!same_epoch(&id.epoch, &stream->hub->epoch))
    return 0; /* of an earlier life: all came after */
  return id.seq < stream->hub->head ? id.seq : stream->hub->head;
}

/* Asks for the state of the conflated channels, as far as no replay brings it. */
static int greet(struct sse_stream *stream, struct sse__gap *gap, uint64_t floor) {
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__channel *channel = sse__subscriptions(stream)[i].channel;
    if (!channel->window.keys) continue;
    struct sse__stretch slots = sse__window_stretch(&channel->window);
    bool some = sse__stretch_after(&slots, stream->cursor) > sse__stretch_after(&slots, floor);
    if (some && sse__backfill_add(stream, channel, floor, false)) {
      return SSE_ENOMEM;
    }
    if (channel->window.state_lost > 0 && !gap->reason) {
      gap->reason = SSE_GAP_EVICTED;
      gap->channels = SSE__GAP_STATE;
    }
  }
  return SSE_OK;
}

/*
 * Judges the id that a client sent, or sees where to start without one, and sets the stream's S and
 * verdict; its members have joined. Asks for the state of conflated channels where the client does
 * not have it. `gap` is what the stream must open with; without a reason it need not. With the
 * hub's lock held. 0 or SSE_ENOMEM.
 */
static int resume(struct sse_stream *stream, const sse_stream_config *config, int64_t now_ms,
                  struct sse__gap *gap) {
  sse_resume verdict = judge(stream, config->last_id, &stream->cursor);
  bool unfinished = verdict == SSE_RESUME_EVICTED;
  if (verdict == SSE_RESUME_NONE) start_at(stream, config, now_ms);
  uint64_t floor = lowest(stream, config->not_before);
  if (stream->cursor < floor) stream->cursor = floor;
  /* What is too far behind for this stream is told of now: it would be closed for it later. */
  uint64_t bound = sse__gap_floor(stream, now_ms);
  if (verdict == SSE_RESUME_RESUMED && sse__gap_due(stream, bound)) {
    verdict = SSE_RESUME_EVICTED;
  }
  stream->resume = (unsigned)verdict & 15u;
  sse_gap reason = reason_of(verdict);
  bool live = reason && config->lost == SSE_LOST_LIVE;
  if (live) stream->cursor = stream->hub->head;
  if (starts_live(verdict) && config->lost == SSE_LOST_REPLAY) {
    stream->cursor = floor;
    bound = sse__gap_floor(stream, now_ms);
  }
  bool exact = verdict == SSE_RESUME_EVICTED && !unfinished && !live;
  bool told = reason && verdict != SSE_RESUME_MALFORMED;
  *gap = (struct sse__gap){.reason = reason,
                           .requested = told ? config->last_id : NULL,
                           .channels = exact ? SSE__GAP_BEHIND : SSE__GAP_ALL,
                           .lost = SSE__UNKNOWN,
                           .floor = bound};
  return verdict == SSE_RESUME_RESUMED || exact ? SSE_OK : greet(stream, gap, floor);
}

/* ---- the first bytes ---- */

/* The first bytes: head, retry, and the position, or the gap whose id is one too. */
static int first_block(struct sse_stream *stream, const sse_stream_config *config, int64_t now_ms,
                       struct sse__frame **frame) {
  sse_hub *hub = stream->hub;
  struct sse__gap gap;
  int error = resume(stream, config, now_ms, &gap);
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
  int32_t age_ms = either(config->age_ms_max, stream->hub->age_ms_max);
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
    if (s->outq.chunked) config->loop->chunked_streams++;
    sse__loop_queue(config->loop, s);
  }
  *stream = s;
  sse__hub_notify_occupancy(hub);
  return SSE_OK;
}
