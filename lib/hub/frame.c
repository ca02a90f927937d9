/* SPDX-License-Identifier: MIT */
/* frame.c: one event's encoded bytes: immutable, encoded once, shared by all readers. */
#include "hub/frame.h"

#include <string.h>

#include "util/os.h"
#include "wire/format.h"

#define ALIGNED(size)     (((size) + 7) & ~(size_t)7)
#define FRAME_SMALL_BYTES 1024 /* an event up to here is formatted once, and copied */

/* A frame whose room holds all that stands behind its struct. */
static struct sse__frame *new_frame(const struct sse__mem *mem, enum sse__frame_kind kind,
                                    size_t room) {
  size_t size = sizeof(struct sse__frame) + room;
  struct sse__frame *frame = sse__mem_new(mem, size);
  if (!frame) return NULL;
  *frame = (struct sse__frame){.bytes = frame->room + SSE__CHUNK_HEAD_BYTES,
                               .size = (uint32_t)size,
                               .refs = 1,
                               .kind = (uint8_t)kind};
  return frame;
}

struct sse__frame *sse__frame_new(const struct sse__mem *mem, enum sse__frame_kind kind,
                                  size_t len) {
  return new_frame(mem, kind, len + SSE__CHUNK_BYTES);
}

/* ---- chunks ---- */

static void write_head(char *head, size_t len) {
  char *at = head + SSE__CHUNK_HEAD_BYTES - 2;
  at[0] = '\r';
  at[1] = '\n';
  for (size_t rest = len; at > head; rest >>= 4) *--at = "0123456789abcdef"[rest & 15];
}

void sse__chunk_write(char *bytes, size_t len) {
  write_head(bytes - SSE__CHUNK_HEAD_BYTES, len);
  bytes[len] = '\r';
  bytes[len + 1] = '\n';
}

void sse__frame_chunk(struct sse__frame *frame) {
  struct sse__frame *own = frame->body ? frame->body : frame;
  if (own->chunked) return;
  sse__chunk_write(own->bytes, own->len);
  own->chunked = true;
}

size_t sse__frame_bare_len(const struct sse__frame *frame) {
  size_t len = frame->len - 2;
  while (len > 0 && frame->bytes[len - 1] != '\n') len--;
  return len;
}

void sse__frame_chunk_bare(struct sse__frame *frame) {
  struct sse__frame *own = frame->body ? frame->body : frame;
  if (own->bare_chunked) return;
  write_head(sse__frame_bare_head(own), sse__frame_bare_len(own) + 1);
  own->bare_chunked = true;
}

/* ---- encoding ---- */

/* The longest end of an event: its id line and the blank line. */
static size_t end_bytes(const sse_event *ev, size_t id_len) {
  if (ev->flags & SSE_EPHEMERAL) return 1;
  return id_len > 0 ? 4 + id_len + 2 : SSE__EVENT_ID_LINE_BYTES_MAX;
}

static void frame_set_id(struct sse__frame *frame, const char *id, size_t len) {
  frame->id_len = (uint8_t)len;
  frame->len += (uint32_t)sse__format_end(frame->bytes + frame->len, 4 + len + 2, id, len);
  sse__frame_id(frame)->frame = frame;
}

static struct sse__frame_key *open_key(struct sse__frame *frame, size_t at, size_t len) {
  frame->key_at = (uint32_t)at;
  struct sse__frame_key *key = sse__frame_key(frame);
  *key = (struct sse__frame_key){.frame = frame, .len = (uint8_t)len};
  return key;
}

/* The key is copied to the bytes after its struct. */
static void frame_set_key(struct sse__frame *frame, size_t at, const char *text, size_t len) {
  struct sse__frame_key *key = open_key(frame, sizeof *frame + at, len);
  char *copy = memcpy(key + 1, text, len);
  copy[len] = '\0';
  key->text = copy;
}

/* The layout of a frame after its body. */
struct trailer {
  size_t id_len, key_len, key_at, room;
};

static int measure_trailer(struct trailer *trailer, const sse_event *ev, size_t body) {
  trailer->id_len = ev->id ? strnlen(ev->id, SSE_ID_BYTES_MAX) : 0;
  trailer->key_len = ev->key ? strnlen(ev->key, SSE_KEY_BYTES_MAX + 1) : 0;
  if (ev->key && (trailer->key_len == 0 || trailer->key_len > SSE_KEY_BYTES_MAX)) return SSE_EKEY;
  trailer->room = body + end_bytes(ev, trailer->id_len) + SSE__CHUNK_BYTES + SSE__CHUNK_HEAD_BYTES;
  if (trailer->key_len > 0) {
    trailer->key_at = ALIGNED(trailer->room);
    trailer->room = trailer->key_at + sizeof(struct sse__frame_key) + trailer->key_len + 1;
  }
  if (trailer->id_len > 0) trailer->room = ALIGNED(trailer->room) + sizeof(struct sse__frame_id);
  return SSE_OK;
}

/*
 * Fills in the body: a copy of `small` if it fits there, else it is formatted again. Another thread
 * may change the event's bytes between the two passes: the text is then wrong, but no byte is
 * written outside the frame.
 */
static int frame_set_body(struct sse__frame *frame, const sse_event *ev, const char *small,
                          size_t len) {
  frame->len = (uint32_t)len;
  if (len <= FRAME_SMALL_BYTES) {
    memcpy(frame->bytes, small, len);
    return SSE_OK;
  }
  ssize_t written = sse__format_body(frame->bytes, len, ev);
  if (written < 0) return (int)written;
  return (size_t)written == len ? SSE_OK : SSE_EINVAL;
}

int sse__frame_encode(struct sse__frame **frame, const struct sse__mem *mem, const sse_event *ev,
                      size_t max) {
  char small[FRAME_SMALL_BYTES];
  struct trailer trailer = {0};
  ssize_t body = sse__format_body(small, sizeof small, ev);
  if (body < 0) return (int)body;
  if ((size_t)body > SSE__FRAME_BYTES_MAX) return SSE_ETOOBIG; /* no sum below overflows */
  int error = measure_trailer(&trailer, ev, (size_t)body);
  if (error) return error;
  if ((size_t)body + end_bytes(ev, trailer.id_len) > max) return SSE_ETOOBIG;
  struct sse__frame *f = new_frame(mem, SSE__FRAME_EVENT, trailer.room);
  if (!f) return SSE_ENOMEM;
  f->bytes += SSE__CHUNK_HEAD_BYTES; /* behind the head of a bare chunk */
  error = frame_set_body(f, ev, small, (size_t)body);
  if (error) {
    sse__mem_free(mem, f);
    return error;
  }
  f->label = ev->label;
  f->number = ev->number;
  f->ephemeral = (ev->flags & SSE_EPHEMERAL) != 0; /* SSE__EPHEMERAL or SSE__RETAINED */
  f->tombstone = ev->flags & SSE_TOMBSTONE;
  if (trailer.key_len > 0) frame_set_key(f, trailer.key_at, ev->key, trailer.key_len);
  if (trailer.id_len > 0) frame_set_id(f, ev->id, trailer.id_len);
  *frame = f;
  return SSE_OK;
}

void sse__frame_number(struct sse__frame *frame, const struct sse__epoch *epoch, uint64_t seq) {
  char *end = frame->bytes + frame->len;
  frame->seq = seq;
  if (frame->id_len > 0) return; /* set_id has appended the end */
  if (!frame->ephemeral) {
    memcpy(end, "id: ", 4);
    end += 4;
    end += sse__event_id_write(end, epoch, frame->number > 0 ? frame->number : seq);
    *end++ = '\n';
  }
  *end++ = '\n';
  frame->len = (uint32_t)(end - frame->bytes);
}

/* ---- shares ---- */

struct sse__frame *sse__frame_share(const struct sse__mem *mem, struct sse__frame *body) {
  size_t room = body->key_at ? sizeof(struct sse__frame_key) : 0;
  struct sse__frame *share = new_frame(mem, SSE__FRAME_EVENT, room);
  if (!share) return NULL;
  share->body = body;
  if (body->key_at) {
    const struct sse__frame_key *key = sse__frame_key(body);
    open_key(share, sizeof *share, key->len)->text = key->text;
  }
  return share;
}

void sse__frame_show(struct sse__frame *share) {
  struct sse__frame *body = share->body;
  body->refs++;
  share->bytes = body->bytes;
  share->len = body->len;
  share->seq = body->seq;
  share->number = body->number;
  share->born_ns = body->born_ns;
  share->label = body->label;
  share->ephemeral = body->ephemeral;
  share->tombstone = body->tombstone;
}

int64_t sse__frame_born_ms(const struct sse__frame *frame) {
  return frame->born_ns / SSE__NS_PER_MS;
}

/* ---- keys and application ids ---- */

struct sse__frame_id *sse__frame_id(struct sse__frame *frame) {
  return (struct sse__frame_id *)(void *)((char *)frame + frame->size -
                                          sizeof(struct sse__frame_id));
}

const char *sse__frame_id_text(const struct sse__frame *frame) {
  return frame->bytes + frame->len - 2 - frame->id_len;
}
