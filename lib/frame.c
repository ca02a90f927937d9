/* SPDX-License-Identifier: MIT */
/* frame.c: one event's encoded bytes. */
#include "frame.h"

#include <string.h>

#include "format.h"

struct sse__frame *sse__frame_new(const struct sse__mem *mem, enum sse__frame_kind kind,
                                  size_t len) {
  size_t size = sizeof(struct sse__frame) + len;
  struct sse__frame *frame = sse__mem_new(mem, size);
  if (!frame) return NULL;
  memset(frame, 0, sizeof *frame);
  frame->size = (uint32_t)size;
  frame->refs = 1;
  frame->kind = (uint8_t)kind;
  return frame;
}

int sse__frame_encode(struct sse__frame **frame, const struct sse__mem *mem, const sse_event *ev,
                      size_t max) {
  ssize_t body = sse__format_body(NULL, 0, ev);
  if (body < 0) return (int)body;
  if (max < SSE__ID_LINE_MAX_BYTES || (size_t)body > max - SSE__ID_LINE_MAX_BYTES) {
    return SSE_ETOOBIG;
  }
  size_t room = (size_t)body + SSE__ID_LINE_MAX_BYTES;
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
  *frame = f;
  return SSE_OK;
}

void sse__frame_number(struct sse__frame *frame, const struct sse__epoch *epoch, uint64_t seq) {
  char *end = frame->bytes + frame->len;
  memcpy(end, "id: ", 4);
  end += 4;
  end += sse__id_write(end, epoch, seq);
  memcpy(end, "\n\n", 2);
  frame->seq = seq;
  frame->len = (uint32_t)(end + 2 - frame->bytes);
}
