/* SPDX-License-Identifier: MIT */
/* recap.c: what a channel has published already, given to an open stream out of order. */
#include "recap.h"

#include <string.h>

#include "block.h"
#include "lend.h"
#include "terms.h"

#define GIVE_BYTES ((size_t)256 << 10) /* after so many bytes no further event is lent */

int sse__recap_add(struct sse_stream *stream, struct sse__channel *channel, uint64_t above,
                   bool lost) {
  struct sse__recap *recap = sse__mem_zero(&stream->hub->mem, sizeof *recap);
  struct sse__recap **at = &stream->recap;
  if (!recap) return SSE_ENOMEM;
  recap->channel = channel;
  recap->given = above;
  recap->upto = stream->cursor;
  recap->evicted = channel->window.evicted;
  recap->late_count = channel->window.late_count;
  recap->lost = lost;
  recap->opened = above >= stream->cursor; /* of nothing there is the end alone */
  while (*at) at = &(*at)->next;
  *at = recap;
  return SSE_OK;
}

static void pop(struct sse_stream *stream) {
  struct sse__recap *first = stream->recap;
  stream->recap = first->next;
  sse__mem_free(&stream->hub->mem, first);
}

void sse__recap_drop(struct sse_stream *stream, const struct sse__channel *channel) {
  struct sse__recap **at = &stream->recap;
  while (*at) {
    struct sse__recap *recap = *at;
    if (channel && recap->channel != channel) {
      at = &recap->next;
      continue;
    }
    *at = recap->next;
    sse__mem_free(&stream->hub->mem, recap);
  }
}

void sse__recap_take_back(struct sse_stream *stream, uint64_t seq) {
  if (stream->recap) stream->recap->given = seq - 1;
}

/* ---- brackets ---- */

static int lend_block(struct sse_stream *stream, const struct sse__block *block) {
  struct sse__frame *frame;
  int error = sse__block_new(&frame, stream, block);
  if (error) return error;
  if (frame) sse__lend_add(stream, frame);
  return SSE_OK;
}

static int open_bracket(struct sse_stream *stream, struct sse__recap *recap) {
  const struct sse__block block = {
      .retry_ms = SSE_NEVER, .position = true, .seq = stream->cursor, .unfinished = true};
  int error = lend_block(stream, &block);
  if (!error) recap->opened = true;
  return error;
}

/* The end, which tells of what was evicted too early. */
static int close_bracket(struct sse_stream *stream, const struct sse__recap *recap) {
  const struct sse__gap gap = {.reason = SSE_GAP_EVICTED,
                               .channels = SSE__GAP_ONE,
                               .one = recap->channel,
                               .lost = SSE__UNKNOWN};
  const struct sse__block block = {.retry_ms = SSE_NEVER,
                                   .gap = recap->lost ? &gap : NULL,
                                   .position = true,
                                   .seq = stream->cursor,
                                   .unfinished = recap->next != NULL};
  int error = lend_block(stream, &block);
  if (error) return error;
  if (recap->next) {
    recap->next->opened = true; /* the one's end is the other's beginning */
  } else if (stream->position != SSE_POSITION_OFF || recap->lost) {
    stream->id_sent = stream->cursor;
  }
  pop(stream);
  return SSE_OK;
}

/* ---- events ---- */

/* The event without its id line, which is its last before the blank one. */
static struct sse__frame *bare(const struct sse__mem *mem, const struct sse__frame *frame) {
  size_t len = frame->len - 2;
  while (len > 0 && frame->bytes[len - 1] != '\n') len--;
  struct sse__frame *copy = sse__frame_new(mem, SSE__FRAME_CONTROL, len + 1);
  if (!copy) return NULL;
  memcpy(copy->bytes, frame->bytes, len);
  copy->bytes[len] = '\n';
  copy->len = (uint32_t)len + 1;
  copy->seq = frame->seq;
  copy->bare = true;
  copy->channel = frame->channel;
  return copy;
}

static void note_loss(struct sse__recap *recap) {
  const struct sse__window *window = &recap->channel->window;
  bool evicted = window->evicted > recap->evicted && window->evicted > recap->given;
  bool late = window->late_count > recap->late_count && window->late > recap->given;
  if (recap->given < recap->upto && (evicted || late)) recap->lost = true;
  recap->evicted = window->evicted;
  recap->late_count = window->late_count;
}

/* Lends what is left, as much as the batch holds: 0 or SSE_ENOMEM. */
static int give(struct sse_stream *stream, struct sse__recap *recap) {
  struct sse__stretch slots = sse__window_stretch(&recap->channel->window);
  size_t bytes = 0;
  note_loss(recap);
  for (size_t i = sse__stretch_after(&slots, recap->given); i < slots.count; i++) {
    const struct sse__slot *slot = sse__stretch_at(&slots, i);
    if (slot->seq > recap->upto) break;
    if (sse__lend_room(stream) == 0 || bytes >= GIVE_BYTES) return SSE_OK;
    struct sse__frame *frame = slot->frame;
    bool deleted = frame && frame->tombstone && recap->channel->window.keys;
    if (frame && !deleted && sse__terms_pass(stream, recap->channel, frame)) {
      struct sse__frame *copy = bare(&stream->hub->mem, frame);
      if (!copy) return SSE_ENOMEM;
      sse__lend_add(stream, copy);
      bytes += copy->len;
    }
    recap->given = slot->seq;
  }
  return SSE_OK;
}

/*
 * The positions stand alone in their batches, so that what a client does not take of one batch is
 * either a position or events.
 */
int sse__recap_step(struct sse_stream *stream) {
  while (stream->recap && stream->lent.count == 0) {
    struct sse__recap *recap = stream->recap;
    bool opened = recap->opened;
    int error = opened ? give(stream, recap) : open_bracket(stream, recap);
    if (!error && opened && stream->lent.count == 0) error = close_bracket(stream, recap);
    if (error) return stream->lent.count > 0 ? stream->lent.count : error;
  }
  return stream->lent.count;
}
