/* SPDX-License-Identifier: MIT */
/* frame.c: one event's encoded bytes. */
#include "frame.h"

#include <string.h>

#include "format.h"

#define ALIGNED(size) (((size) + 7) & ~(size_t)7)

struct sse__frame *sse__frame_new(const struct sse__mem *mem, enum sse__frame_kind kind,
                                  size_t len) {
  size_t size = sizeof(struct sse__frame) + len;
  struct sse__frame *frame = sse__mem_new(mem, size);
  if (!frame) return NULL;
  memset(frame, 0, sizeof *frame);
  frame->bytes = frame->room;
  frame->size = (uint32_t)size;
  frame->refs = 1;
  frame->kind = (uint8_t)kind;
  return frame;
}

/* ---- encoding ---- */

/* How many bytes follow the body of an event: its id line, and the blank line. */
static size_t end_of(const sse_event *ev, size_t id_len) {
  if (ev->flags & SSE_EPHEMERAL) return 1;
  return id_len > 0 ? 4 + id_len + 2 : SSE__ID_LINE_MAX_BYTES;
}

static void set_id(struct sse__frame *frame, const char *id, size_t len) {
  frame->id_len = (uint8_t)len;
  frame->len += (uint32_t)sse__format_end(frame->bytes + frame->len, 4 + len + 2, id, len);
  sse__frame_id(frame)->frame = frame;
}

int sse__frame_encode(struct sse__frame **frame, const struct sse__mem *mem, const sse_event *ev,
                      size_t max) {
  ssize_t body = sse__format_body(NULL, 0, ev);
  if (body < 0) return (int)body;
  if (max < SSE__ID_LINE_MAX_BYTES || (size_t)body > max - SSE__ID_LINE_MAX_BYTES) {
    return SSE_ETOOBIG;
  }
  size_t id_len = ev->id ? strnlen(ev->id, SSE_ID_MAX_BYTES) : 0;
  size_t room = (size_t)body + end_of(ev, id_len);
  if (id_len > 0) room = ALIGNED(room) + sizeof(struct sse__frame_id);
  struct sse__frame *f = sse__frame_new(mem, SSE__FRAME_EVENT, room);
  if (!f) return SSE_ENOMEM;
  /* Another thread may write to the event's bytes meanwhile; that spoils its text, not our memory.
   */
  ssize_t written = sse__format_body(f->bytes, (size_t)body, ev);
  if (written != body) {
    sse__mem_free(mem, f);
    return written < 0 ? (int)written : SSE_EINVAL;
  }
  f->len = (uint32_t)body;
  f->label = ev->label;
  f->ephemeral = ev->flags & SSE_EPHEMERAL;
  if (id_len > 0) set_id(f, ev->id, id_len);
  *frame = f;
  return SSE_OK;
}

void sse__frame_number(struct sse__frame *frame, const struct sse__epoch *epoch, uint64_t seq) {
  char *end = frame->bytes + frame->len;
  frame->seq = seq;
  if (frame->id_len > 0) return; /* the application's id ended it */
  if (!frame->ephemeral) {
    memcpy(end, "id: ", 4);
    end += 4;
    end += sse__id_write(end, epoch, seq);
    *end++ = '\n';
  }
  *end++ = '\n';
  frame->len = (uint32_t)(end - frame->bytes);
}

/* ---- shares ---- */

struct sse__frame *sse__frame_share(const struct sse__mem *mem, struct sse__frame *body) {
  struct sse__frame *share = sse__frame_new(mem, SSE__FRAME_EVENT, 0);
  if (share) share->body = body;
  return share;
}

void sse__frame_show(struct sse__frame *share) {
  struct sse__frame *body = share->body;
  body->refs++;
  share->bytes = body->bytes;
  share->len = body->len;
  share->seq = body->seq;
  share->born_ms = body->born_ms;
  share->label = body->label;
  share->ephemeral = body->ephemeral;
}

size_t sse__frame_weight(const struct sse__frame *frame) {
  return frame->size + (frame->body ? (size_t)frame->body->size : 0);
}

/* ---- application ids ---- */

struct sse__frame_id *sse__frame_id(struct sse__frame *frame) {
  return (struct sse__frame_id *)(void *)((char *)frame + frame->size -
                                          sizeof(struct sse__frame_id));
}

const char *sse__frame_id_text(const struct sse__frame *frame) {
  return frame->bytes + frame->len - 2 - frame->id_len;
}
