/* SPDX-License-Identifier: MIT */
/* parse.c: an incremental parser of text/event-stream (HTML standard, 9.2.5 and 9.2.6). */
#include <sse/parse.h>

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "util/mem.h"
#include "util/scan.h"
#include "wire/format.h"

#define LINE_MAX_BYTES 1048576 /* defaults of the configuration */
#define DATA_MAX_BYTES 1048576
#define ID_MAX_BYTES   4096 /* half of what many servers accept as a header line */
#define BUFFER_MIN     64
#define PREFIX_MAX     9 /* a byte order mark, the longest name of a field, and its colon */

static const char byte_order_mark[] = "\xef\xbb\xbf";

/* A growing buffer whose bytes are followed by a NUL. */
struct buffer {
  char *at;        /* NULL until the first bytes are stored */
  size_t len, cap; /* bytes before the NUL, and memory */
};

struct sse_parser {
  struct sse__mem mem;
  size_t line_max, data_max; /* limits of a line and of an event's data, bytes */
  size_t id_max;             /* the longest id that is sent back, bytes */
  sse_comment_fn *comment;   /* NULL: comments are skipped */
  void *comment_arg;
  struct buffer line;     /* an incomplete line; a complete one is read from the input */
  struct buffer data;     /* the data so far, each line followed by a LF */
  struct buffer type;     /* the type so far; empty: "message" */
  struct buffer last_id;  /* the last event id after the last complete block */
  struct buffer sendable; /* if id_error: the last one before it that a header can carry */
  struct buffer id;       /* the id of the incomplete block, if has_id */
  int id_error;           /* why a header cannot carry last_id; 0: it can */
  bool has_id;            /* the incomplete block has an id */
  bool begun;             /* the incomplete block has a data, event or id line */
  bool skipping;          /* the rest of this line is not kept */
  bool first_line;        /* the next line may begin with a byte order mark */
  bool skip_lf;           /* the last line ended in CR; a LF that follows belongs to it */
  bool given;             /* the caller was given data and type; the next call clears them */
  int32_t retry_ms;       /* the last reconnection time of the stream; -1: none yet */
  int failed;             /* the error that ended the stream; 0: none */
};

/* Buffers --------------------------------------------------------------------------------------*/

/* Appends bytes; on SSE_ENOMEM nothing changes. The limits bound all lengths: no sum overflows. */
static int buffer_append(sse_parser *p, struct buffer *b, const char *bytes, size_t len) {
  if (len >= b->cap - b->len || b->cap == 0) {
    size_t cap = b->cap > 0 ? 2 * b->cap : BUFFER_MIN;
    if (cap < b->len + len + 1) cap = b->len + len + 1;
    char *at = sse__mem_grow(&p->mem, b->at, cap, 1);
    if (!at) return SSE_ENOMEM;
    b->at = at;
    b->cap = cap;
  }
  if (len > 0) memcpy(b->at + b->len, bytes, len);
  b->len += len;
  b->at[b->len] = '\0';
  return SSE_OK;
}

/* Replaces the content; on SSE_ENOMEM the old content stays. */
static int buffer_assign(sse_parser *p, struct buffer *b, const char *bytes, size_t len) {
  size_t old = b->len;
  b->len = 0;
  int rc = buffer_append(p, b, bytes, len);
  if (rc < 0) b->len = old;
  return rc;
}

static void buffer_release(sse_parser *p, struct buffer *b) {
  sse__mem_free(&p->mem, b->at);
}

static const char *buffer_text(const struct buffer *b) {
  return b->len > 0 ? b->at : "";
}

/* Fields ---------------------------------------------------------------------------------------*/

static int add_data(sse_parser *p, const char *value, size_t len) {
  /* The LF after the last line is removed again, so it does not count. */
  if (len > p->data_max || p->data.len > p->data_max - len) return p->failed = SSE_ETOOBIG;
  size_t old = p->data.len;
  int rc = buffer_append(p, &p->data, value, len);
  if (rc == SSE_OK) rc = buffer_append(p, &p->data, "\n", 1);
  if (rc < 0) p->data.len = old;
  return rc;
}

static int parser_set_id(sse_parser *p, const char *value, size_t len) {
  if (len > 0 && memchr(value, '\0', len)) return SSE_OK;
  int rc = buffer_assign(p, &p->id, value, len);
  if (rc == SSE_OK) p->has_id = true;
  return rc;
}

static void set_retry(sse_parser *p, const char *value, size_t len) {
  int64_t ms = 0;
  for (size_t i = 0; i < len; i++) {
    if (value[i] < '0' || value[i] > '9') return;
    ms = 10 * ms + (value[i] - '0');
    if (ms > INT32_MAX) ms = INT32_MAX;
  }
  if (len > 0) p->retry_ms = (int32_t)ms;
}

static bool field_is(const char *name, const char *bytes, size_t len) {
  return len == strlen(name) && memcmp(name, bytes, len) == 0;
}

/* A field of a line: its name, and its value behind the colon and one space. */
struct field {
  const char *name, *value;
  size_t name_len, value_len;
};

static struct field split_line(const char *line, size_t len) {
  const char *colon = memchr(line, ':', len);
  size_t name_len = colon ? (size_t)(colon - line) : len;
  size_t skip = colon ? 1 : 0;
  if (colon && name_len + 1 < len && colon[1] == ' ') skip = 2;
  return (struct field){line, line + name_len + skip, name_len, len - name_len - skip};
}

static int take_field(sse_parser *p, const char *line, size_t len) {
  struct field f = split_line(line, len);
  int rc = SSE_OK;
  if (field_is("data", f.name, f.name_len)) {
    rc = add_data(p, f.value, f.value_len);
  } else if (field_is("event", f.name, f.name_len)) {
    rc = buffer_assign(p, &p->type, f.value, f.value_len);
  } else if (field_is("id", f.name, f.name_len)) {
    rc = parser_set_id(p, f.value, f.value_len);
  } else {
    if (field_is("retry", f.name, f.name_len)) set_retry(p, f.value, f.value_len);
    if (f.name_len == 0 && p->comment) p->comment(p->comment_arg, f.value, f.value_len);
    return SSE_OK;
  }
  if (rc == SSE_OK) p->begun = true;
  return rc;
}

static void buffer_swap(struct buffer *a, struct buffer *b) {
  struct buffer old = *a;
  *a = *b;
  *b = old;
}

/* The id of a block becomes the last one. What can still be sent of earlier ones is kept. */
static void keep_last_id(sse_parser *p) {
  int error = SSE_OK;
  if (p->id.len > p->id_max) error = SSE_ETOOBIG;
  if (!sse__format_fits_header(buffer_text(&p->id), p->id.len)) error = SSE_EID;
  if (error && !p->id_error) buffer_swap(&p->sendable, &p->last_id);
  buffer_swap(&p->last_id, &p->id);
  p->id_error = error;
  p->has_id = false;
}

static void give_event(sse_parser *p, const struct buffer *id, sse_parsed *event) {
  bool typed = p->type.len > 0;
  *event = (sse_parsed){.type = typed ? p->type.at : "message",
                        .data = buffer_text(&p->data),
                        .id = buffer_text(id),
                        .type_len = typed ? p->type.len : strlen("message"),
                        .data_len = p->data.len,
                        .id_len = id->len};
  p->given = true;
}

/* Ends a block at its blank line: 1 if it holds an event. */
static int parser_dispatch(sse_parser *p, sse_parsed *event) {
  p->begun = false;
  if (p->has_id) keep_last_id(p);
  if (p->data.len == 0) {
    p->type.len = 0;
    return 0;
  }
  p->data.at[--p->data.len] = '\0';
  give_event(p, &p->last_id, event);
  return 1;
}

/* Lines ----------------------------------------------------------------------------------------*/

/* The offset of the first CR or LF, or len. */
static size_t find_break(const char *bytes, size_t len) {
  size_t i = 0;
  for (; len - i >= 8; i += 8) {
    uint64_t breaks = sse__scan_breaks(sse__scan_load((const unsigned char *)bytes + i));
    if (breaks != 0) return i + sse__scan_first(breaks);
  }
  while (i < len && bytes[i] != '\n' && bytes[i] != '\r') i++;
  return i;
}

/* The length of the byte order mark at the start of a line: 0 or 3. */
static size_t mark_length(const sse_parser *p, const char *line, size_t len) {
  return p->first_line && len >= 3 && memcmp(line, byte_order_mark, 3) == 0 ? 3 : 0;
}

/* What the start of a line says about it. */
enum line_kind {
  LINE_UNDECIDED, /* it is too short to say */
  LINE_KEPT,      /* the line counts, and so does its limit */
  LINE_SKIPPED    /* the line has no effect, whatever follows */
};

/* Decides by the name: a short start that may become a kept one is undecided. */
static enum line_kind kind_of_name(const sse_parser *p, const char *line, size_t len) {
  static const char *const kept[] = {"data:", "event:", "id:", "retry:"};
  if (len > 0 && *line == ':') return p->comment ? LINE_KEPT : LINE_SKIPPED;
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    size_t all = strlen(kept[i]);
    if (memcmp(line, kept[i], len < all ? len : all) != 0) continue;
    return len < all ? LINE_UNDECIDED : LINE_KEPT;
  }
  return LINE_SKIPPED;
}

/*
 * Decides by what was stored of the line and the len bytes that follow; a whole line is decided,
 * because its end counts as the colon that a field without a value lacks.
 */
static enum line_kind kind_of_line(const sse_parser *p, const char *bytes, size_t len, bool whole) {
  char start[PREFIX_MAX] = {0};
  size_t have = p->line.len < PREFIX_MAX ? p->line.len : PREFIX_MAX;
  if (have > 0) memcpy(start, p->line.at, have);
  size_t more = len < PREFIX_MAX - have ? len : PREFIX_MAX - have;
  if (more > 0) memcpy(start + have, bytes, more);
  have += more;
  size_t mark = mark_length(p, start, have);
  if (whole && have == mark) return LINE_KEPT; /* the blank line */
  if (p->first_line && have < 3 && !whole && memcmp(start, byte_order_mark, have) == 0)
    return LINE_UNDECIDED;
  if (whole && have < PREFIX_MAX) start[have++] = ':';
  return kind_of_name(p, start + mark, have - mark);
}

/* Processes one whole line; on an error nothing changes. */
static int parser_take_line(sse_parser *p, const char *line, size_t len, sse_parsed *event) {
  size_t mark = mark_length(p, line, len);
  line += mark;
  len -= mark;
  int rc = len == 0 ? parser_dispatch(p, event) : take_field(p, line, len);
  if (rc >= 0) p->first_line = false;
  return rc;
}

/* Stores a part of a line, or processes the line that it completes. */
static int take_part(sse_parser *p, const char *bytes, size_t len, bool whole, sse_parsed *event) {
  size_t old = p->line.len;
  int rc = SSE_OK;
  if (!whole || old > 0) {
    if ((rc = buffer_append(p, &p->line, bytes, len)) < 0 || !whole) return rc;
    bytes = p->line.at;
    len = p->line.len;
  }
  rc = parser_take_line(p, bytes, len, event);
  p->line.len = rc < 0 ? old : 0;
  return rc;
}

/*
 * Reads up to the end of a line, or all bytes. Bytes are consumed only after everything that can
 * fail: after SSE_ENOMEM the caller passes them again.
 */
static int read_line(sse_parser *p, const char **bytes, size_t *len, sse_parsed *event) {
  size_t end = find_break(*bytes, *len);
  bool whole = end < *len;
  enum line_kind kind = p->skipping ? LINE_SKIPPED : kind_of_line(p, *bytes, end, whole);
  int rc = SSE_OK;
  if (kind == LINE_SKIPPED) {
    p->line.len = 0;
    p->skipping = !whole;
    p->first_line = false;
  } else {
    if (kind == LINE_KEPT && (p->line.len > p->line_max || end > p->line_max - p->line.len))
      return p->failed = SSE_ETOOBIG;
    if ((rc = take_part(p, *bytes, end, whole, event)) < 0) return rc;
  }
  if (whole) p->skip_lf = (*bytes)[end++] == '\r';
  *bytes += end;
  *len -= end;
  return rc;
}

/* The public calls -----------------------------------------------------------------------------*/

int sse_parser_new(sse_parser **parser, const sse_parser_config *config) {
  static const sse_parser_config defaults;
  if (!parser) return SSE_EINVAL;
  if (!config) config = &defaults;
  for (size_t i = 0; i < sizeof config->reserved / sizeof *config->reserved; i++)
    if (config->reserved[i]) return SSE_EINVAL;
  if (config->line_bytes_max > SIZE_MAX / 4 || config->data_bytes_max > SIZE_MAX / 4 ||
      config->id_bytes_max > SIZE_MAX / 4)
    return SSE_EINVAL;
  size_t id_max = config->id_bytes_max ? config->id_bytes_max : ID_MAX_BYTES;
  const char *last_id = config->last_id ? config->last_id : "";
  size_t last_id_len = strlen(last_id);
  if (last_id_len > id_max || !sse__format_fits_header(last_id, last_id_len)) return SSE_EINVAL;

  struct sse__mem mem = sse__mem(config->alloc, config->alloc_arg);
  sse_parser *p = sse__mem_new(&mem, sizeof *p);
  if (!p) return SSE_ENOMEM;
  *p = (sse_parser){.mem = mem,
                    .line_max = config->line_bytes_max ? config->line_bytes_max : LINE_MAX_BYTES,
                    .data_max = config->data_bytes_max ? config->data_bytes_max : DATA_MAX_BYTES,
                    .id_max = id_max,
                    .comment = config->comment,
                    .comment_arg = config->comment_arg,
                    .first_line = true,
                    .retry_ms = -1};
  if (last_id_len > 0 && buffer_assign(p, &p->last_id, last_id, last_id_len) < 0) {
    sse_parser_free(p);
    return SSE_ENOMEM;
  }
  *parser = p;
  return SSE_OK;
}

void sse_parser_free(sse_parser *p) {
  if (!p) return;
  buffer_release(p, &p->line);
  buffer_release(p, &p->data);
  buffer_release(p, &p->type);
  buffer_release(p, &p->last_id);
  buffer_release(p, &p->sendable);
  buffer_release(p, &p->id);
  struct sse__mem mem = p->mem;
  sse__mem_free(&mem, p);
}

static void clear_event(sse_parser *p) {
  p->data.len = 0;
  p->type.len = 0;
  p->given = false;
}

int sse_parser_next(sse_parser *p, const char **bytes, size_t *len, sse_parsed *event) {
  if (!p || !bytes || !len || !event || (!*bytes && *len > 0)) return SSE_EINVAL;
  if (p->failed) return p->failed;
  if (p->given) clear_event(p);
  int rc = 0;
  while (rc == 0 && *len > 0) {
    if (p->skip_lf) {
      p->skip_lf = false;
      if (**bytes == '\n') {
        ++*bytes;
        --*len;
        continue;
      }
    }
    rc = read_line(p, bytes, len, event);
  }
  return rc;
}

/* Adds what arrived of a data line that was cut; any other line that was cut says nothing. */
static int take_cut_line(sse_parser *p) {
  const char *line = buffer_text(&p->line);
  size_t mark = mark_length(p, line, p->line.len);
  struct field f = split_line(line + mark, p->line.len - mark);
  bool data = field_is("data", f.name, f.name_len) && mark + f.name_len < p->line.len;
  return data ? add_data(p, f.value, f.value_len) : SSE_OK;
}

/* Whether what is stored of a line may have begun an event: it is no comment and no retry. */
static bool cut_line_counts(const sse_parser *p) {
  const char *line = buffer_text(&p->line);
  char first = line[mark_length(p, line, p->line.len)];
  return first == 'd' || first == 'e' || first == 'i';
}

static void clear_block(sse_parser *p) {
  p->line.len = 0;
  p->has_id = p->begun = p->skipping = p->skip_lf = false;
}

int sse_parser_unfinished(sse_parser *p, sse_parsed *event) {
  if (!p || !event) return SSE_EINVAL;
  if (p->failed) return p->failed;
  if (p->given) clear_event(p);
  if (!p->begun && !cut_line_counts(p)) return 0;
  int rc = take_cut_line(p);
  if (rc < 0) return rc;
  if (p->data.len > 0) p->data.at[--p->data.len] = '\0';
  give_event(p, p->has_id ? &p->id : &p->last_id, event);
  clear_block(p);
  return 1;
}

void sse_parser_reset(sse_parser *p) {
  if (!p) return;
  clear_event(p);
  clear_block(p);
  p->first_line = true;
  p->failed = 0;
}

const char *sse_parser_last_id(const sse_parser *p) {
  return p ? buffer_text(p->id_error ? &p->sendable : &p->last_id) : "";
}

int sse_parser_last_id_error(const sse_parser *p) {
  return p ? p->id_error : SSE_EINVAL;
}

int32_t sse_parser_retry_ms(const sse_parser *p) {
  return p ? p->retry_ms : -1;
}
