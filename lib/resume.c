/* SPDX-License-Identifier: MIT */
/* resume.c: what becomes of a client's Last-Event-ID. */
#include "resume.h"

#include <string.h>

#include "format.h"
#include "recap.h"
#include "step.h"
#include "tail.h"

static bool same_epoch(const struct sse__epoch *a, const struct sse__epoch *b) {
  return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* An id that the hub never gave: one of the application's, or none at all. */
static sse_verdict judge_foreign(const sse_hub *hub, const char *id, uint64_t *cursor) {
  const struct sse__frame *frame = sse__ids_find(&hub->store.ids, id, strlen(id));
  if (frame) {
    *cursor = frame->seq;
    return SSE_VERDICT_RESUMED;
  }
  if (sse__id_resembles(id, &hub->epoch) || sse__format_check_id(id)) return SSE_VERDICT_MALFORMED;
  *cursor = hub->store.ids.gone;
  return SSE_VERDICT_UNKNOWN;
}

static sse_verdict judge(const struct sse_stream *stream, const char *last_id, uint64_t *cursor) {
  struct sse__id id;
  *cursor = stream->hub->head;
  if (!last_id || *last_id == '\0') return SSE_VERDICT_NONE;
  if (!sse__id_parse(last_id, &id)) {
    return judge_foreign(stream->hub, last_id, cursor);
  }
  if (!same_epoch(&id.epoch, &stream->hub->epoch)) {
    *cursor = 0;
    return SSE_VERDICT_RESTART;
  }
  if (id.seq > stream->hub->head) return SSE_VERDICT_FUTURE;
  *cursor = id.seq;
  return id.unfinished ? SSE_VERDICT_EVICTED : SSE_VERDICT_RESUMED;
}

/* The reason of the gap event, for verdicts that bring one. */
static enum sse_gap reason_of(sse_verdict verdict) {
  switch (verdict) {
  case SSE_VERDICT_EVICTED:
    return SSE_GAP_EVICTED;
  case SSE_VERDICT_RESTART:
    return SSE_GAP_RESTART;
  case SSE_VERDICT_UNKNOWN:
    return SSE_GAP_UNKNOWN;
  case SSE_VERDICT_FUTURE:
    return SSE_GAP_FUTURE;
  case SSE_VERDICT_MALFORMED:
    return SSE_GAP_MALFORMED;
  case SSE_VERDICT_NONE:
  case SSE_VERDICT_RESUMED:
    break;
  }
  return SSE_GAP_NONE;
}

/* With these nothing is known of what the client has had. */
static bool starts_live(sse_verdict verdict) {
  return verdict == SSE_VERDICT_FUTURE || verdict == SSE_VERDICT_MALFORMED;
}

/*
 * Where a stream starts whose client brings no id; nothing is owed of what came before. It begins
 * within its own bounds on how far it may be behind.
 */
static void start(struct sse_stream *stream, const sse_stream_config *config, int64_t now_ms) {
  struct sse__tail tail = {UINT64_MAX, UINT64_MAX, INT64_MIN};
  if (config->start == SSE_START_NOW) return;
  if (config->start == SSE_START_LAST) tail.events = config->start_events;
  stream->cursor = 0;
  uint64_t floor = sse__tail_start(stream, &tail, 0);
  uint64_t bound = sse__step_floor(stream, now_ms);
  if (bound > floor) floor = bound;
  stream->cursor = sse__step_resume(stream, floor);
  sse__step_forgive(stream, floor);
}

/* The number up to which nothing is for this stream. */
static uint64_t lowest(const struct sse_stream *stream, const char *not_before) {
  struct sse__id id;
  if (!not_before || !sse__id_parse(not_before, &id)) return 0;
  if (!same_epoch(&id.epoch, &stream->hub->epoch))
    return 0; /* of an earlier life: all came after */
  return id.seq < stream->hub->head ? id.seq : stream->hub->head;
}

/* Asks for the state of the conflated channels, as far as no replay brings it. */
static int greet(struct sse_stream *stream, struct sse__gap *gap, uint64_t floor) {
  for (uint32_t i = 0; i < stream->members_count; i++) {
    struct sse__channel *channel = sse__members(stream)[i].channel;
    if (!channel->window.keys) continue;
    struct sse__stretch slots = sse__window_stretch(&channel->window);
    bool some = sse__stretch_after(&slots, stream->cursor) > sse__stretch_after(&slots, floor);
    if (some && sse__recap_add(stream, channel, floor, false)) {
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
  sse_verdict verdict = judge(stream, config->last_id, &stream->cursor);
  bool unfinished = verdict == SSE_VERDICT_EVICTED;
  if (verdict == SSE_VERDICT_NONE) start(stream, config, now_ms);
  uint64_t floor = lowest(stream, config->not_before);
  if (stream->cursor < floor) stream->cursor = floor;
  /* What is too far behind for this stream is told of now: it would be closed for it later. */
  uint64_t bound = sse__step_floor(stream, now_ms);
  if (verdict == SSE_VERDICT_RESUMED && sse__step_lost(stream, bound)) {
    verdict = SSE_VERDICT_EVICTED;
  }
  stream->verdict = (unsigned)verdict & 15u;
  enum sse_gap reason = reason_of(verdict);
  bool live = reason && config->lost == SSE_LOST_LIVE;
  if (live) stream->cursor = stream->hub->head;
  if (starts_live(verdict) && config->lost == SSE_LOST_REPLAY) {
    stream->cursor = floor;
    bound = sse__step_floor(stream, now_ms);
  }
  bool exact = verdict == SSE_VERDICT_EVICTED && !unfinished && !live;
  bool told = reason && verdict != SSE_VERDICT_MALFORMED;
  *gap = (struct sse__gap){.reason = reason,
                           .requested = told ? config->last_id : NULL,
                           .channels = exact ? SSE__GAP_BEHIND : SSE__GAP_ALL,
                           .lost = SSE__UNKNOWN,
                           .floor = bound};
  return verdict == SSE_VERDICT_RESUMED || exact ? SSE_OK : greet(stream, gap, floor);
}
