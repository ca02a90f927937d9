/* SPDX-License-Identifier: MIT */
/* format.c: formats one event as text/event-stream; no allocation, no lock, no state. */
#include "wire/format.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "util/scan.h"
#include "util/utf8.h"

/* The writer -----------------------------------------------------------------------------------*/

/* The output buffer. After the first piece that does not fit, bytes are counted only. */
struct output {
  char *at;    /* where the next byte goes */
  size_t room; /* bytes left from there */
  size_t need; /* bytes that all pieces take; SIZE_MAX: more than size_t can count */
};

/* Counts len bytes, at least one, and returns where to write them, or NULL if they do not fit. */
static inline char *output_take(struct output *w, size_t len) {
  w->need = len > SIZE_MAX - w->need ? SIZE_MAX : w->need + len;
  if (len > w->room) {
    w->room = 0;
    return NULL;
  }
  char *place = w->at;
  w->at += len;
  w->room -= len;
  return place;
}

/*
 * Writes "name: value\n". A client drops one space after the colon. So a non-empty value always
 * gets one, and keeps a leading space of its own; an empty value gets none.
 */
static inline void put_field(struct output *w, const char *name, size_t name_len,
                             const unsigned char *value, size_t len) {
  size_t head = len > 0 ? name_len + 2 : name_len + 1;
  char *to = output_take(w, head + len + 1);
  if (!to) return;
  /* Nearly every field is "data"; a copy of constant size needs no call. */
  if (name_len == 4)
    memcpy(to, name, 4);
  else
    memcpy(to, name, name_len);
  to[name_len] = ':';
  to[head - 1] = len > 0 ? ' ' : ':';
  if (len > 0) memcpy(to + head, value, len);
  to[head + len] = '\n';
}

/* Lines ----------------------------------------------------------------------------------------*/

/* A text that is split into lines. */
struct lines {
  const unsigned char *bytes; /* the text */
  size_t len;                 /* its length */
  size_t block_from;          /* the offset from which whole blocks are tried again */
  uint64_t seen;              /* the bitwise OR of all words that may not be ASCII */
};

/* Loads the word at offset i. Near the end it is padded with NUL, which is no line end. */
static inline uint64_t load_padded(const struct lines *text, size_t i) {
  size_t left = text->len - i;
  if (left >= 8) return sse__scan_load(text->bytes + i);
  if (text->len >= 8) return sse__scan_load(text->bytes + text->len - 8) >> (8 * (8 - left));
  uint64_t word = 0;
  for (size_t k = 0; k < left; k++) word |= (uint64_t)text->bytes[i + k] << (8 * k);
  return word;
}

/* As sse__scan_plain, for 32 bytes and without vectors: cheap enough for every short line. */
static inline bool is_plain_32(const unsigned char *p) {
  const uint64_t low = SSE__SCAN_ONES * ('\r' + 1);
  uint64_t a = sse__scan_load(p), b = sse__scan_load(p + 8);
  uint64_t c = sse__scan_load(p + 16), d = sse__scan_load(p + 24);
  uint64_t bad = a | (a - low) | b | (b - low) | c | (c - low) | d | (d - low);
  return (bad & SSE__SCAN_HIGHS) == 0;
}

/* Skips plain bytes from offset i on, in whole blocks from block_from on. */
static inline size_t skip_plain(struct lines *text, size_t i) {
  if (i >= text->block_from) {
    if (text->len - i >= SSE__SCAN_BLOCK) i += sse__scan_plain_run(text->bytes + i, text->len - i);
    text->block_from = i + SSE__SCAN_BLOCK;
  }
  while (text->len - i >= 32 && is_plain_32(text->bytes + i)) i += 32;
  return i;
}

/*
 * Finds the end of the line that starts at offset i: the offset of its CR or LF, or the length.
 *
 * Long plain text is skipped in blocks. A block that is not plain is searched word by word, and no
 * block is tried again before its end: text with short lines or in a non-Latin script would pay for
 * a failed block at every step.
 */
static inline size_t line_end(struct lines *text, size_t i) {
  while ((i = skip_plain(text, i)) < text->len) {
    size_t stop = text->len - i >= 32 ? i + 32 : text->len;
    for (; i < stop; i += 8) {
      uint64_t word = load_padded(text, i);
      uint64_t breaks = sse__scan_breaks(word);
      text->seen |= word;
      if (breaks != 0) return i + sse__scan_first(breaks);
    }
    i = stop;
  }
  return text->len;
}

/*
 * Writes one field for each line; after a final line end there is one more, empty line. The text is
 * checked while it is copied, because a separate pass would double the cost.
 */
static inline int put_lines(struct output *w, const char *name, size_t name_len, const void *bytes,
                            size_t len, unsigned flags) {
  size_t plain = len >= SSE__SCAN_BLOCK ? sse__scan_plain_run(bytes, len) : 0;
  if (plain == len && len > 0) {
    put_field(w, name, name_len, bytes, len);
    return SSE_OK;
  }
  struct lines text = {bytes, len, plain, 0};
  for (size_t start = 0;; plain = start) {
    size_t end = line_end(&text, plain);
    put_field(w, name, name_len, text.bytes + start, end - start);
    if (end == len) break;
    start = end + 1;
    if (text.bytes[end] == '\r') {
      if ((flags & SSE_REFUSE_CR) != 0) return SSE_ECR;
      if (start < len && text.bytes[start] == '\n') start++;
    }
  }
  bool checked = (flags & SSE_ANY_BYTES) != 0 || (text.seen & SSE__SCAN_HIGHS) == 0;
  return checked || sse__utf8_valid(bytes, len) ? SSE_OK : SSE_EUTF8;
}

/* Checks ---------------------------------------------------------------------------------------*/

/* Checks a value that must be one line, and measures it. */
static int check_line(const char *value, bool any_bytes, size_t *len) {
  unsigned char seen = 0;
  size_t i = 0;
  for (; value[i] != '\0'; i++) {
    if (value[i] == '\n' || value[i] == '\r') return SSE_ELINE;
    seen |= (unsigned char)value[i];
  }
  *len = i;
  return any_bytes || seen < 0x80 || sse__utf8_valid(value, i) ? SSE_OK : SSE_EUTF8;
}

static inline bool is_blank_char(char c) {
  return c == ' ' || c == '\t';
}

bool sse__format_fits_header(const char *id, size_t len) {
  if (len > 0 && (is_blank_char(id[0]) || is_blank_char(id[len - 1]))) return false;
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)id[i];
    if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
  }
  return true;
}

/* Clients send the id back in a header, whose length servers limit. */
static int check_id(const char *id, bool any_bytes, size_t *len) {
  int rc = check_line(id, any_bytes, len);
  if (rc < 0) return rc;
  if (*len == 0 || *len > SSE_ID_BYTES_MAX) return SSE_EID;
  return sse__format_fits_header(id, *len) ? SSE_OK : SSE_EID;
}

int sse__format_check_type(const char *type) {
  size_t len;
  if (!type || *type == '\0') return SSE_EINVAL;
  return check_line(type, false, &len);
}

int sse__format_check_id(const char *id) {
  size_t len;
  return id ? check_id(id, false, &len) : SSE_EINVAL;
}

/* The members of an event after all checks that need no look at its lines. */
struct parts {
  const char *type, *id; /* the fields `event` and `id`; NULL: none; an id "" resets */
  const void *payload;   /* the value of the fields `data`; NULL: none */
  size_t type_len, id_len, payload_len; /* lengths of those that are there */
};

/* Whether all flags are known and agree with the other members. */
static bool flags_fit(const sse_event *ev) {
  const unsigned known =
      SSE_ANY_BYTES | SSE_REFUSE_CR | SSE_RESET_ID | SSE_EPHEMERAL | SSE_TOMBSTONE;
  if ((ev->flags & ~known) != 0) return false;
  if (ev->id && (ev->flags & (SSE_RESET_ID | SSE_EPHEMERAL)) != 0) return false;
  return (ev->flags & (ev->key ? SSE_EPHEMERAL : SSE_TOMBSTONE)) == 0;
}

static int check_members(const sse_event *ev) {
  if (ev->reserved[0] || ev->reserved[1]) return SSE_EINVAL;
  if (ev->flags != 0 && !flags_fit(ev)) return SSE_EINVAL;
  if ((ev->text && ev->data) || (!ev->data && ev->data_len != 0)) return SSE_EINVAL;
  if (ev->retry_ms < 0 && ev->retry_ms != SSE_RETRY_ZERO) return SSE_ERANGE;
  /* No object is longer than SSIZE_MAX, so such a length is wrong and no byte is read. */
  return ev->data_len > SSIZE_MAX ? SSE_ETOOBIG : SSE_OK;
}

static int check_event(const sse_event *ev, struct parts *parts) {
  int rc = check_members(ev);
  if (rc < 0) return rc;
  bool any_bytes = (ev->flags & SSE_ANY_BYTES) != 0;
  *parts = (struct parts){.id = (ev->flags & SSE_RESET_ID) != 0 ? "" : NULL};
  if (ev->type && *ev->type != '\0') {
    parts->type = ev->type;
    if ((rc = check_line(ev->type, any_bytes, &parts->type_len)) < 0) return rc;
  }
  if (ev->id) {
    parts->id = ev->id;
    if ((rc = check_id(ev->id, any_bytes, &parts->id_len)) < 0) return rc;
  }
  if (ev->text) {
    parts->payload = ev->text;
    parts->payload_len = strlen(ev->text);
  } else if (ev->data) {
    parts->payload = ev->data;
    parts->payload_len = ev->data_len;
  } else if (!parts->id && !ev->comment && ev->retry_ms == 0) {
    return SSE_ENODATA;
  }
  return SSE_OK;
}

/* Whole events ---------------------------------------------------------------------------------*/

static void put_retry(struct output *w, int32_t retry_ms) {
  unsigned char digits[10];
  size_t at = sizeof digits;
  uint32_t rest = retry_ms == SSE_RETRY_ZERO ? 0 : (uint32_t)retry_ms;
  do digits[--at] = (unsigned char)('0' + rest % 10);
  while ((rest /= 10) != 0);
  put_field(w, "retry", 5, digits + at, sizeof digits - at);
}

static int put_body(struct output *w, const sse_event *ev, const struct parts *parts) {
  if (ev->comment) {
    unsigned flags = ev->flags & SSE_ANY_BYTES;
    int rc = put_lines(w, "", 0, ev->comment, strlen(ev->comment), flags);
    if (rc < 0) return rc;
  }
  if (ev->retry_ms != 0) put_retry(w, ev->retry_ms);
  if (parts->type) put_field(w, "event", 5, (const unsigned char *)parts->type, parts->type_len);
  if (!parts->payload) return SSE_OK;
  return put_lines(w, "data", 4, parts->payload, parts->payload_len, ev->flags);
}

static void put_end(struct output *w, const char *id, size_t id_len) {
  if (id) put_field(w, "id", 2, (const unsigned char *)id, id_len);
  char *blank = output_take(w, 1);
  if (blank) *blank = '\n';
}

/*
 * The fast path for the commonest event, one long line of plain text and no other member: it needs
 * no further check and half the instructions. Returns 0 for any other event, or if it does not fit.
 */
static inline ssize_t format_plain(char *buf, size_t cap, const sse_event *ev, bool whole) {
  static const char name[] = "data: ";
  const size_t head = sizeof name - 1, len = ev->data_len;
  if (len < SSE__SCAN_BLOCK || len > SSIZE_MAX / 2) return 0;
  uintptr_t others = (uintptr_t)ev->type | (uintptr_t)ev->text | (uintptr_t)ev->id |
                     (uintptr_t)ev->comment | (uintptr_t)ev->reserved[0] |
                     (uintptr_t)ev->reserved[1] | (uintptr_t)ev->retry_ms | ev->flags;
  if (others != 0 || !ev->data) return 0;
  size_t need = head + len + (whole ? 2 : 1);
  if ((cap > 0 && need > cap) || sse__scan_plain_run(ev->data, len) < len) return 0;
  if (cap == 0) return (ssize_t)need;
  memcpy(buf, name, head);
  memcpy(buf + head, ev->data, len);
  memset(buf + head + len, '\n', need - head - len);
  return (ssize_t)need;
}

static ssize_t format_event(char *buf, size_t cap, const sse_event *ev, bool whole) {
  struct parts parts;
  struct output w = {buf, cap, 0};
  if (!ev || (!buf && cap > 0)) return SSE_EINVAL;
  ssize_t plain = format_plain(buf, cap, ev, whole);
  if (plain > 0) return plain;
  int rc = check_event(ev, &parts);
  if (rc == SSE_OK) rc = put_body(&w, ev, &parts);
  if (rc < 0) return rc;
  if (whole) put_end(&w, parts.id, parts.id_len);
  return w.need > SSIZE_MAX ? SSE_ETOOBIG : (ssize_t)w.need;
}

ssize_t sse__format_body(char *buf, size_t cap, const sse_event *ev) {
  return format_event(buf, cap, ev, false);
}

size_t sse__format_end(char *buf, size_t cap, const char *id, size_t id_len) {
  struct output w = {buf, cap, 0};
  put_end(&w, id, id_len);
  return w.need;
}

ssize_t sse_format(char *buf, size_t cap, const sse_event *ev) {
  return format_event(buf, cap, ev, true);
}
