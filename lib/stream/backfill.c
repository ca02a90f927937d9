/* SPDX-License-Identifier: MIT */
/* backfill.c: events that a channel already published, given to an open stream out of order. */
#include "stream/backfill.h"

#include <assert.h>
#include <string.h>

#include "stream/control.h"
#include "stream/outq.h"

#define BACKFILL_STEP_BYTES ((size_t)256 << 10) /* no event is added after these bytes */

int sse__backfill_add(struct sse_stream *stream, struct sse__channel *channel, uint64_t above,
                      bool lost) {
  SSE__HELD(stream->hub);
  struct sse__backfill *backfill = sse__mem_zero(&stream->hub->mem, sizeof *backfill);
  struct sse__backfill **at = &stream->backfill;
  if (!backfill) return SSE_ENOMEM;
  backfill->channel = channel;
  backfill->sent_upto = above;
  backfill->end = stream->cursor;
  backfill->evicted = channel->window.evicted;
  backfill->evicted_out_of_order_count = channel->window.evicted_out_of_order_count;
  backfill->lost = lost;
  backfill->opened = above >= stream->cursor; /* with no events it is only the last position */
  while (*at) at = &(*at)->next;
  *at = backfill;
  return SSE_OK;
}

static void backfill_pop(struct sse_stream *stream) {
  struct sse__backfill *first = stream->backfill;
  stream->backfill = first->next;
  sse__mem_free(&stream->hub->mem, first);
}

void sse__backfill_drop(struct sse_stream *stream, const struct sse__channel *channel) {
  struct sse__backfill **at = &stream->backfill;
  while (*at) {
    struct sse__backfill *backfill = *at;
    if (channel && backfill->channel != channel) {
      at = &backfill->next;
      continue;
    }
    *at = backfill->next;
    sse__mem_free(&stream->hub->mem, backfill);
  }
}

void sse__backfill_requeue(struct sse_stream *stream, uint64_t seq) {
  SSE__HELD(stream->hub);
  struct sse__backfill *backfill = stream->backfill;
  if (!backfill) return;
  assert(backfill->opened && seq > 0 && seq <= backfill->sent_upto);
  backfill->sent_upto = seq - 1;
}

/* ---- positions ---- */

static int add_block(struct sse_stream *stream, const struct sse__control *block) {
  struct sse__frame *frame;
  int error = sse__control_new(&frame, stream, block);
  if (error) return error;
  if (frame) sse__outq_add(stream, frame);
  return SSE_OK;
}

static int write_opening(struct sse_stream *stream, struct sse__backfill *backfill) {
  const struct sse__control block = {
      .retry_ms = SSE_NEVER, .position = true, .seq = stream->cursor, .unfinished = true};
  int error = add_block(stream, &block);
  if (!error) backfill->opened = true;
  return error;
}

/* The last position, or a gap if an event was evicted before it was given. */
static int write_closing(struct sse_stream *stream, const struct sse__backfill *backfill) {
  const struct sse__gap gap = {.reason = SSE_GAP_EVICTED,
                               .channels = SSE__GAP_ONE,
                               .one = backfill->channel,
                               .lost = SSE__UNKNOWN};
  const struct sse__control block = {.retry_ms = SSE_NEVER,
                                     .gap = backfill->lost ? &gap : NULL,
                                     .position = true,
                                     .seq = stream->cursor,
                                     .unfinished = backfill->next != NULL};
  int error = add_block(stream, &block);
  if (error) return error;
  if (backfill->next) {
    backfill->next->opened = true; /* it is also the first position of the next backfill */
  } else if (stream->position != SSE_POSITION_OFF || backfill->lost) {
    stream->id_sent = stream->cursor;
  }
  backfill_pop(stream);
  return SSE_OK;
}

/* ---- events ---- */

/* A copy of an event without its id line, which is the last line before the blank one. */
static struct sse__frame *strip_id(const struct sse__mem *mem, const struct sse__frame *frame,
                                   bool chunked) {
  size_t len = frame->len - 2;
  while (len > 0 && frame->bytes[len - 1] != '\n') len--;
  struct sse__frame *copy = sse__frame_new(mem, SSE__FRAME_CONTROL, len + 1);
  if (!copy) return NULL;
  memcpy(copy->bytes, frame->bytes, len);
  copy->bytes[len] = '\n';
  copy->len = (uint32_t)len + 1;
  copy->seq = frame->seq;
  copy->id_stripped = true;
  copy->channel = frame->channel;
  if (chunked) sse__frame_chunk(copy);
  return copy;
}

static void backfill_note_loss(struct sse__backfill *backfill) {
  const struct sse__window *window = &backfill->channel->window;
  bool evicted = window->evicted > backfill->evicted && window->evicted > backfill->sent_upto;
  bool out_of_order = window->evicted_out_of_order_count > backfill->evicted_out_of_order_count &&
                      window->evicted_out_of_order > backfill->sent_upto;
  if (backfill->sent_upto < backfill->end && (evicted || out_of_order)) backfill->lost = true;
  backfill->evicted = window->evicted;
  backfill->evicted_out_of_order_count = window->evicted_out_of_order_count;
}

/* Adds as many of the remaining events as the array holds: 0 or SSE_ENOMEM. */
static int add_events(struct sse_stream *stream, struct sse__backfill *backfill) {
  struct sse__stretch slots = sse__window_stretch(&backfill->channel->window);
  size_t bytes = 0;
  backfill_note_loss(backfill);
  for (size_t i = sse__stretch_after(&slots, backfill->sent_upto); i < slots.count; i++) {
    const struct sse__slot *slot = sse__stretch_at(&slots, i);
    if (slot->seq > backfill->end) break;
    if (sse__outq_room(stream) == 0 || bytes >= BACKFILL_STEP_BYTES) return SSE_OK;
    struct sse__frame *frame = slot->frame;
    bool deleted = frame && frame->tombstone && backfill->channel->window.keys;
    if (frame && !deleted && sse__limits_pass(stream, backfill->channel, frame)) {
      struct sse__frame *copy = strip_id(&stream->hub->mem, frame, stream->outq.chunked);
      if (!copy) return SSE_ENOMEM;
      sse__outq_add(stream, copy);
      bytes += copy->len;
    }
    backfill->sent_upto = slot->seq;
  }
  return SSE_OK;
}

/*
 * A position is always the only frame of its step, so a requeue finds either a position or events.
 */
int sse__backfill_step(struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  assert(stream->outq.has_array && stream->outq.count == 0);
  while (stream->backfill && stream->outq.count == 0) {
    struct sse__backfill *backfill = stream->backfill;
    bool opened = backfill->opened;
    int error = opened ? add_events(stream, backfill) : write_opening(stream, backfill);
    if (!error && opened && stream->outq.count == 0) error = write_closing(stream, backfill);
    if (error) return stream->outq.count > 0 ? stream->outq.count : error;
  }
  return stream->outq.count;
}
