/* SPDX-License-Identifier: MIT */
/* parse.c: an incremental parser of text/event-stream (HTML standard, 9.2.5 and 9.2.6). */
#include <sse/parse.h>

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "util/mem.h"
#include "util/scan.h"

#define LINE_MAX_BYTES 1048576 /* defaults of the configuration */
#define DATA_MAX_BYTES 1048576
#define BUFFER_MIN     64

/* A growing buffer whose bytes are followed by a NUL. */
struct buffer {
  char *at;        /* NULL until the first bytes are stored */
  size_t len, cap; /* bytes before the NUL, and memory */
};

struct sse_parser {
  struct sse__mem mem;
  size_t line_max, data_max; /* limits of a line and of an event's data, bytes */
  struct buffer line;        /* an incomplete line; a complete one is read from the input */
  struct buffer data;        /* the data so far, each line followed by a LF */
  struct buffer type;        /* the type so far; empty: "message" */
  struct buffer last_id;     /* the last event id after the last complete block */
  struct buffer id;          /* the id of the incomplete block, if has_id */
  bool has_id;               /* the incomplete block has an id */
  bool first_line;           /* the next line may begin with a byte order mark */
  bool skip_lf;              /* the last line ended in CR; a LF that follows belongs to it */
  bool given;                /* the caller was given data and type; the next call clears them */
  int32_t retry_ms;          /* the last reconnection time of the stream; -1: none yet */
  int failed;                /* the error that ended the stream; 0: none */
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

static int take_field(sse_parser *p, const char *line, size_t len) {
  const char *colon = memchr(line, ':', len);
  size_t name_len = colon ? (size_t)(colon - line) : len;
  size_t skip = colon ? 1 : 0;
  if (colon && name_len + 1 < len && colon[1] == ' ') skip = 2;
  const char *value = line + name_len + skip;
  size_t value_len = len - name_len - skip;

  if (field_is("data", line, name_len)) return add_data(p, value, value_len);
  if (field_is("event", line, name_len)) return buffer_assign(p, &p->type, value, value_len);
  if (field_is("id", line, name_len)) return parser_set_id(p, value, value_len);
  if (field_is("retry", line, name_len)) set_retry(p, value, value_len);
  return SSE_OK; /* a comment (its name is empty) or a field of another kind */
}

/* Ends a block at its blank line: 1 if it holds an event. */
static int parser_dispatch(sse_parser *p, sse_parsed *event) {
  if (p->has_id) {
    struct buffer id = p->id;
    p->id = p->last_id;
    p->last_id = id;
    p->has_id = false;
  }
  if (p->data.len == 0) {
    p->type.len = 0;
    return 0;
  }
  p->data.at[--p->data.len] = '\0';
  bool typed = p->type.len > 0;
  *event = (sse_parsed){.type = typed ? p->type.at : "message",
                        .data = p->data.at,
                        .id = buffer_text(&p->last_id),
                        .type_len = typed ? p->type.len : strlen("message"),
                        .data_len = p->data.len,
                        .id_len = p->last_id.len};
  p->given = true;
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

/* Processes one whole line; on an error nothing changes. */
static int parser_take_line(sse_parser *p, const char *line, size_t len, sse_parsed *event) {
  if (p->first_line && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
    line += 3;
    len -= 3;
  }
  int rc = len == 0 ? parser_dispatch(p, event) : take_field(p, line, len);
  if (rc >= 0) p->first_line = false;
  return rc;
}

/*
 * Reads up to the end of a line, or all bytes. Bytes are consumed only after everything that can
 * fail: after SSE_ENOMEM the caller passes them again.
 */
static int read_line(sse_parser *p, const char **bytes, size_t *len, sse_parsed *event) {
  size_t end = find_break(*bytes, *len), old = p->line.len;
  bool whole = end < *len;
  if (end > p->line_max - old) return p->failed = SSE_ETOOBIG;

  const char *line = *bytes;
  size_t line_len = end;
  int rc = SSE_OK;
  if (!whole || old > 0) {
    if ((rc = buffer_append(p, &p->line, *bytes, end)) < 0) return rc;
    line = p->line.at;
    line_len = p->line.len;
  }
  if (whole) {
    rc = parser_take_line(p, line, line_len, event);
    p->line.len = rc < 0 ? old : 0;
    if (rc < 0) return rc;
    p->skip_lf = (*bytes)[end++] == '\r';
  }
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
  if (config->line_bytes_max > SIZE_MAX / 4 || config->data_bytes_max > SIZE_MAX / 4)
    return SSE_EINVAL;
  const char *last_id = config->last_id ? config->last_id : "";
  if (strpbrk(last_id, "\r\n")) return SSE_EINVAL;

  struct sse__mem mem = sse__mem(config->alloc, config->alloc_arg);
  sse_parser *p = sse__mem_new(&mem, sizeof *p);
  if (!p) return SSE_ENOMEM;
  *p = (sse_parser){.mem = mem,
                    .line_max = config->line_bytes_max ? config->line_bytes_max : LINE_MAX_BYTES,
                    .data_max = config->data_bytes_max ? config->data_bytes_max : DATA_MAX_BYTES,
                    .first_line = true,
                    .retry_ms = -1};
  if (*last_id != '\0' && buffer_assign(p, &p->last_id, last_id, strlen(last_id)) < 0) {
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

void sse_parser_reset(sse_parser *p) {
  if (!p) return;
  clear_event(p);
  p->line.len = 0;
  p->has_id = false;
  p->first_line = true;
  p->skip_lf = false;
  p->failed = 0;
}

const char *sse_parser_last_id(const sse_parser *p) {
  return p ? buffer_text(&p->last_id) : "";
}

int32_t sse_parser_retry_ms(const sse_parser *p) {
  return p ? p->retry_ms : -1;
}
