/* SPDX-License-Identifier: MIT */
/* resume.c: what becomes of a client's Last-Event-ID. */
#include "resume.h"

#include <string.h>

#include "format.h"
#include "step.h"

static bool same_epoch(const struct sse__epoch *a, const struct sse__epoch *b) {
  return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* An id that the hub never gave: one of the application's, or none at all. */
static sse_verdict judge_foreign(const struct sse__ids *ids, const char *id, uint64_t *cursor) {
  const struct sse__frame *frame = sse__ids_find(ids, id, strlen(id));
  if (frame) {
    *cursor = frame->seq;
    return SSE_VERDICT_RESUMED;
  }
  if (sse__id_resembles(id) || sse__format_check_id(id)) return SSE_VERDICT_MALFORMED;
  *cursor = ids->gone;
  return SSE_VERDICT_UNKNOWN;
}

static sse_verdict judge(const struct sse_stream *stream, const char *last_id, uint64_t *cursor) {
  struct sse__epoch epoch;
  uint64_t seq;
  *cursor = stream->hub->head;
  if (!last_id || *last_id == '\0') return SSE_VERDICT_NONE;
  if (!sse__id_parse(last_id, &epoch, &seq)) {
    return judge_foreign(&stream->hub->store.ids, last_id, cursor);
  }
  if (!same_epoch(&epoch, &stream->hub->epoch)) {
    *cursor = 0;
    return SSE_VERDICT_RESTART;
  }
  if (seq > stream->hub->head) return SSE_VERDICT_FUTURE;
  *cursor = seq;
  return SSE_VERDICT_RESUMED;
}

const char *sse__resume(struct sse_stream *stream, const char *last_id) {
  sse_verdict verdict = judge(stream, last_id, &stream->cursor);
  if (verdict == SSE_VERDICT_RESUMED && sse__step_lost(stream)) verdict = SSE_VERDICT_EVICTED;
  stream->verdict = (uint8_t)verdict;
  switch (verdict) {
  case SSE_VERDICT_EVICTED:
    return "evicted";
  case SSE_VERDICT_RESTART:
    return "restart";
  case SSE_VERDICT_UNKNOWN:
    return "unknown";
  case SSE_VERDICT_FUTURE:
    return "future";
  case SSE_VERDICT_MALFORMED:
    return "malformed";
  case SSE_VERDICT_NONE:
  case SSE_VERDICT_RESUMED:
    break;
  }
  return NULL;
}
