/* SPDX-License-Identifier: MIT */
/* resume.c: what becomes of a client's Last-Event-ID. */
#include "stream/resume.h"

#include <string.h>

#include "stream/backfill.h"
#include "stream/gap.h"
#include "wire/format.h"

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
static enum sse_gap reason_of(sse_resume verdict) {
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
static void start(struct sse_stream *stream, const sse_stream_config *config, int64_t now_ms) {
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

int sse__resume(struct sse_stream *stream, const sse_stream_config *config, int64_t now_ms,
                struct sse__gap *gap) {
  sse_resume verdict = judge(stream, config->last_id, &stream->cursor);
  bool unfinished = verdict == SSE_RESUME_EVICTED;
  if (verdict == SSE_RESUME_NONE) start(stream, config, now_ms);
  uint64_t floor = lowest(stream, config->not_before);
  if (stream->cursor < floor) stream->cursor = floor;
  /* What is too far behind for this stream is told of now: it would be closed for it later. */
  uint64_t bound = sse__gap_floor(stream, now_ms);
  if (verdict == SSE_RESUME_RESUMED && sse__gap_due(stream, bound)) {
    verdict = SSE_RESUME_EVICTED;
  }
  stream->resume = (unsigned)verdict & 15u;
  enum sse_gap reason = reason_of(verdict);
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
