/* SPDX-License-Identifier: MIT */
/* resume.c: where a stream begins: after its Last-Event-ID, or as its configuration says. */
#include "stream/resume.h"

#include <string.h>

#include "stream/backfill.h"
#include "stream/backlog.h"
#include "stream/gap.h"
#include "wire/format.h"

/* ---- Last-Event-ID ---- */

static bool same_epoch(const struct sse__epoch *a, const struct sse__epoch *b) {
  return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* Judges an id that the hub did not make: one of the application's, or an illegal one. */
static sse_resume resume_judge_foreign(const sse_hub *hub, const char *id, struct sse__point *at) {
  const struct sse__frame *frame = sse__id_index_find(&hub->store.ids, id, strlen(id));
  if (frame) {
    *at = (struct sse__point){frame->seq, frame->number};
    return SSE_RESUME_RESUMED;
  }
  if (sse__event_id_resembles(id, &hub->epoch) || sse__format_check_id(id))
    return SSE_RESUME_MALFORMED;
  *at = hub->reset;
  if (hub->store.ids.gone > at->seq) at->seq = hub->store.ids.gone; /* a gap has its number */
  return SSE_RESUME_UNKNOWN;
}

/* The point of a log's number up to the head, as far as it concerns the stream's channels. */
static struct sse__point point_in_log(const struct sse_stream *stream, uint64_t number) {
  struct sse__point at = {stream->hub->head.seq, number};
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    uint64_t reached = sse__channel_reached(sse__subscriptions(stream)[i].channel, number);
    if (reached < at.seq) at.seq = reached;
  }
  return at;
}

/*
 * Judges a number of a log. One above the head is from a process that read the log faster. If the
 * client was cut off during a backfill there, it begins again at the head.
 */
static sse_resume resume_judge_log(const struct sse_stream *stream, const struct sse__event_id *id,
                                   struct sse__point *at) {
  bool above = id->seq > stream->hub->head.number;
  if (!above) *at = point_in_log(stream, id->seq);
  if (id->unfinished) return SSE_RESUME_EVICTED;
  at->number = id->seq;
  return above ? SSE_RESUME_AHEAD : SSE_RESUME_RESUMED;
}

static sse_resume resume_judge(const struct sse_stream *stream, const char *last_id,
                               struct sse__point *at) {
  const sse_hub *hub = stream->hub;
  struct sse__event_id id;
  *at = hub->head;
  if (!last_id || *last_id == '\0') return SSE_RESUME_NONE;
  if (!sse__event_id_parse(last_id, &id)) return resume_judge_foreign(hub, last_id, at);
  if (!same_epoch(&id.epoch, &hub->epoch)) {
    *at = hub->reset;
    return SSE_RESUME_RESTART;
  }
  if (hub->numbers_given) return resume_judge_log(stream, &id, at);
  if (id.seq > hub->head.seq) return SSE_RESUME_FUTURE;
  at->seq = id.seq;
  return id.unfinished ? SSE_RESUME_EVICTED : SSE_RESUME_RESUMED;
}

/* ---- what that means ---- */

/* The reason of the gap that a resume result brings; SSE_GAP_NONE: it brings none. */
static sse_gap resume_gap_reason(sse_resume result) {
  switch (result) {
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
  case SSE_RESUME_AHEAD:
    break;
  }
  return SSE_GAP_NONE;
}

/* With these results it is unknown what the client has. */
static bool resume_starts_live(sse_resume result) {
  return result == SSE_RESUME_FUTURE || result == SSE_RESUME_MALFORMED;
}

/*
 * Where a stream without an id starts: within its own limits on how far it may be behind. The
 * absence of earlier events is not a loss.
 */
static void resume_start(struct sse_stream *stream, const sse_stream_config *config,
                         int64_t now_ms) {
  struct sse__backlog backlog = {UINT64_MAX, UINT64_MAX, INT64_MIN};
  if (config->start == SSE_START_NOW) return;
  if (config->start == SSE_START_LAST) backlog.events = config->start_events;
  stream->cursor = stream->hub->reset.seq;
  uint64_t floor = sse__backlog_start(stream, &backlog, stream->cursor);
  uint64_t bound = sse__backlog_floor(stream, now_ms);
  if (bound > floor) floor = bound;
  sse__stream_move(stream, sse__gap_resume_at(stream, floor));
  sse__gap_mark_reported(stream, floor);
}

/* The point up to which nothing is for this stream; it may be above the head of a log. */
static struct sse__point resume_floor(const struct sse_stream *stream, const char *not_before) {
  const sse_hub *hub = stream->hub;
  uint64_t head = sse__hub_head(hub).number;
  struct sse__point none = {hub->reset.seq, 0};
  struct sse__event_id id;
  if (!sse__event_id_parse(not_before, &id)) return none;
  if (!same_epoch(&id.epoch, &hub->epoch))
    return none; /* the id is of an earlier life of the hub, so all events came after it */
  if (!hub->numbers_given && id.seq > head) id.seq = head;
  if (!hub->numbers_given) return (struct sse__point){id.seq, id.seq};
  return id.seq > head ? (struct sse__point){hub->head.seq, id.seq} : point_in_log(stream, id.seq);
}

/* The point up to which everything is settled that is up to one of two. */
static struct sse__point higher(struct sse__point a, struct sse__point b) {
  return (struct sse__point){a.seq > b.seq ? a.seq : b.seq,
                             a.number > b.number ? a.number : b.number};
}

/* Adds the state of the conflated channels, as far as no replay gives it. */
static int resume_add_state(struct sse_stream *stream, struct sse__gap *gap, uint64_t floor) {
  bool conflated = false, incomplete = false;
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    const struct sse__channel *channel = sse__subscriptions(stream)[i].channel;
    if (!channel->window.keys) continue;
    conflated = true;
    if (sse__channel_state_lost(channel).seq > floor) incomplete = true;
  }
  if (incomplete && !gap->reason) {
    gap->reason = SSE_GAP_EVICTED;
    gap->channels = SSE__GAP_STATE;
    gap->above = floor;
  }
  /* A gap moves the cursor to its id, also over what exceeds the stream's limits. */
  uint64_t upto = gap->reason ? sse__gap_resume_at(stream, gap->floor).seq : stream->cursor;
  return conflated ? sse__backfill_add_state(stream, floor, upto) : SSE_OK;
}

/*
 * Where a stream continues that begins with a gap, if its client wants something else than what the
 * result says.
 */
static void resume_by_choice(struct sse_stream *stream, sse_resume result, sse_lost lost,
                             struct sse__point floor) {
  bool replays = resume_starts_live(result) || result == SSE_RESUME_UNKNOWN;
  struct sse__point head = sse__hub_head(stream->hub);
  if (lost == SSE_LOST_LIVE) sse__stream_move(stream, higher(floor, head));
  if (lost == SSE_LOST_REPLAY && replays) sse__stream_move(stream, floor);
}

/* Excludes what is not for the stream, and returns the point up to which that is. */
static struct sse__point exclude(struct sse_stream *stream, const char *not_before) {
  struct sse__point floor = resume_floor(stream, not_before);
  if (floor.number > 0) sse__stream_limits(stream)->not_before = floor.number;
  sse__stream_move(stream, higher(floor, sse__stream_point(stream)));
  return floor;
}

/*
 * Of a channel that has its own start_after, the client knows what was missing up to its number. That
 * stands where the hub began, which may be above the cursor.
 */
static void know_starts(const struct sse_stream *stream) {
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    const struct sse__point *evicted = &subscription->channel->window.evicted;
    if (evicted->number <= stream->number) subscription->gap_reported = evicted->seq;
  }
}

/* A stream that is ahead is served by live steps only, which find out when it is no longer. */
static void note_ahead(struct sse_stream *stream) {
  stream->live_only = stream->ahead = stream->number > stream->hub->head.number;
}

int sse__resume(struct sse_stream *stream, const sse_stream_config *config, int64_t now_ms,
                struct sse__gap *gap) {
  SSE__HELD(stream->hub);
  struct sse__point at, floor = {stream->hub->reset.seq, 0};
  sse_resume result = resume_judge(stream, config->last_id, &at);
  sse__stream_move(stream, at);
  bool unfinished = result == SSE_RESUME_EVICTED;
  if (result == SSE_RESUME_NONE) resume_start(stream, config, now_ms);
  if (config->not_before) floor = exclude(stream, config->not_before);
  if (stream->hub->numbers_given && result == SSE_RESUME_RESUMED) know_starts(stream);
  /*
   * What exceeds the stream's own limits is reported now; later the stream might be closed for it.
   */
  uint64_t bound = sse__backlog_floor(stream, now_ms), client_has = stream->cursor;
  if (result == SSE_RESUME_RESUMED && sse__gap_due(stream, bound)) {
    result = SSE_RESUME_EVICTED;
  }
  stream->resume = (unsigned)result & 15u;
  sse_gap reason = resume_gap_reason(result);
  if (reason) resume_by_choice(stream, result, config->lost, floor);
  if (stream->cursor != client_has) bound = sse__backlog_floor(stream, now_ms);
  bool live = reason && config->lost == SSE_LOST_LIVE;
  bool exact = result == SSE_RESUME_EVICTED && !unfinished;
  bool reported = reason && result != SSE_RESUME_MALFORMED;
  *gap = (struct sse__gap){.reason = reason,
                           .requested = reported ? config->last_id : NULL,
                           .channels = exact ? SSE__GAP_BEHIND : SSE__GAP_ALL,
                           .lost = SSE__UNKNOWN,
                           .above = client_has,
                           .floor = live ? stream->hub->head.seq : bound};
  if (stream->hub->numbers_given) note_ahead(stream);
  bool resumes = result == SSE_RESUME_RESUMED || result == SSE_RESUME_AHEAD || (exact && !live);
  return resumes ? SSE_OK : resume_add_state(stream, gap, floor.seq);
}
