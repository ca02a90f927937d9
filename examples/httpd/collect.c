/* SPDX-License-Identifier: MIT */
/* collect.c: the blocks of a stream, gathered for one finite response. */
#include "collect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker.h"

enum {
  BYTES_MAX = 1024 * 1024,
  PIECE = 4096 /* read at one time */
};

struct collect {
  sse_stream *stream;
  struct httpd_collect how;
  int is_open;    /* the first blocks, which are there at once, have been read */
  int has_event;  /* an event or a gap */
  size_t len;     /* of bytes */
  size_t cap;     /* their room */
  size_t whole;   /* up to the end of the last block that is whole */
  size_t cut;     /* up to the end of the last one from which a client can go on; 0: none yet */
  size_t scanned; /* up to here no end of a block was overlooked */
  char *bytes;
  char headers[]; /* lines without the last line end */
};

void collect_free(struct collect *collect) {
  if (!collect) return;
  sse_stream_free(collect->stream);
  free(collect->bytes);
  free(collect);
}

/* ---- Blocks ---- */

static const char *find_line(const char *block, const char *end, const char *begin) {
  size_t len = strlen(begin);
  for (const char *line = block; line < end;) {
    if ((size_t)(end - line) >= len && memcmp(line, begin, len) == 0) return line;
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    line = newline ? newline + 1 : end;
  }
  return NULL;
}

/* A block without data is a comment or a retry; one with data may be a position. */
static int is_event(const char *block, const char *end) {
  return find_line(block, end, "data:") && !find_line(block, end, "event: sse-position\n");
}

/* The id of a block, whose end is given; NULL: it has none. */
static const char *id_of(const char *block, const char *end, size_t *len) {
  const char *line = find_line(block, end, "id: ");
  if (!line) return NULL;
  *len = (size_t)((const char *)memchr(line, '\n', (size_t)(end - line)) - line) - 4;
  return line + 4;
}

/*
 * A client goes on behind any id but one with a mark, which says that a state or a backfill has begun
 * (sse(7)): cut off within it, the client would be given all of it once more.
 */
static void note_block(struct collect *collect, const char *block, const char *end) {
  size_t len = 0;
  const char *id = id_of(block, end, &len);
  collect->has_event |= is_event(block, end);
  collect->whole = (size_t)(end - collect->bytes);
  if (id && len > 0 && id[len - 1] != '~' && collect->has_event) collect->cut = collect->whole;
}

/* Looks at the blocks that have become whole; the library ends lines with LF alone. */
static void scan_blocks(struct collect *collect) {
  const char *bytes = collect->bytes;
  for (size_t at = collect->scanned; at + 1 < collect->len; at++)
    if (bytes[at] == '\n' && bytes[at + 1] == '\n')
      note_block(collect, bytes + collect->whole, bytes + at + 2);
  collect->scanned = collect->len > 0 ? collect->len - 1 : 0;
  if (collect->scanned < collect->whole) collect->scanned = collect->whole;
}

static int make_room_for_piece(struct collect *collect) {
  if (collect->cap - collect->len >= PIECE) return 0;
  size_t cap = collect->cap < PIECE ? 2 * PIECE : collect->cap * 2;
  char *bigger = realloc(collect->bytes, cap);
  if (!bigger) return -1;
  collect->bytes = bigger;
  collect->cap = cap;
  return 0;
}

/* There may be very many that wait. */
static void give_room_back(struct collect *collect) {
  char *smaller = collect->len > 0 ? realloc(collect->bytes, collect->len) : NULL;
  if (!smaller) return;
  collect->bytes = smaller;
  collect->cap = collect->len;
}

/*
 * A response has an event at least, however low its limit: with nothing but a position a client
 * would never get on. Without memory it is what there is so far, and the client goes on from there.
 */
int collect_read(struct collect *collect) {
  size_t before = collect->len;
  ssize_t got = 0;
  while (collect->len < collect->how.bytes_max || collect->cut == 0) {
    if (make_room_for_piece(collect) != 0) return 1;
    got = sse_stream_read(collect->stream, collect->bytes + collect->len, PIECE);
    if (got <= 0) break;
    collect->len += (size_t)got;
    scan_blocks(collect);
  }
  int is_first = !collect->is_open;
  collect->is_open = 1;
  if (got > 0) collect->whole = collect->cut; /* the response is full */
  if (got > 0 || sse_error_is_final((int)got) || collect->has_event) return 1;
  if (is_first ? collect->how.wait_ms == 0 : collect->len > before) return 1;
  give_room_back(collect);
  return 0;
}

/* ---- The response ---- */

/* Adds the last id of the blocks to the headers. */
static void add_last_id(const struct collect *collect, char *header, size_t cap) {
  const char *end = collect->bytes + collect->whole, *id = NULL;
  for (const char *at = collect->bytes; at && (at = find_line(at, end, "id: ")); at++) id = at + 4;
  *header = '\0';
  if (id) snprintf(header, cap, "Last-Event-ID: %.*s", (int)strcspn(id, "\n"), id);
}

void collect_reply(struct httpd_conn *conn, struct collect *collect) {
  const struct httpd_collect *how = &collect->how;
  char header[SSE_ID_BYTES_MAX + 32], *body = NULL;
  const char *headers[4] = {"Cache-Control: no-store, no-transform"};
  int count = 1;
  size_t len = 0;
  add_last_id(collect, header, sizeof header);
  if (*header) headers[count++] = header;
  if (*collect->headers) headers[count++] = collect->headers;
  struct httpd_response response = {.type = how->type ? how->type : "text/event-stream",
                                    .body = collect->bytes ? collect->bytes : "",
                                    .len = collect->whole,
                                    .headers = headers};
  if (how->encode) {
    int error = how->encode(response.body, collect->whole, &body, &len);
    response.body = error ? NULL : body;
    response.len = len;
    if (error) response.status = 503;
  }
  httpd_reply(conn, &response);
  free(body);
  collect_free(collect);
}

/* ---- Beginning ---- */

static struct collect *collect_new(const struct httpd_collect *how) {
  size_t room = 1;
  for (const char *const *line = how->headers; line && *line; line++) room += strlen(*line) + 2;
  struct collect *collect = calloc(1, sizeof *collect + room);
  if (!collect) return NULL;
  collect->how = *how;
  if (how->bytes_max == 0) collect->how.bytes_max = BYTES_MAX;
  size_t len = 0;
  for (const char *const *line = how->headers; line && *line; line++)
    len += (size_t)snprintf(collect->headers + len, room - len, "%s%s", len ? "\r\n" : "", *line);
  return collect;
}

int httpd_collect(struct httpd_conn *conn, const struct request *request,
                  const sse_stream_config *config, const struct httpd_collect *how) {
  if (conn->answered || conn->last_later) return SSE_EINVAL;
  struct collect *collect = collect_new(how);
  if (!collect) return SSE_ENOMEM;
  sse_stream_config whole = *config;
  whole.loop = conn->worker->loop;
  whole.user = conn;
  whole.head = NULL;
  whole.retry_ms = SSE_NEVER;
  whole.heartbeat_ms = how->wait_ms > 0 ? how->wait_ms : SSE_NEVER;
  if (!whole.last_id) whole.last_id = httpd_last_event_id(request);
  int error = sse_stream_open(&collect->stream, conn->worker->config->hub, &whole);
  if (error)
    collect_free(collect);
  else if (collect_read(collect))
    collect_reply(conn, collect);
  else
    conn_start_collecting(conn, collect);
  return error;
}
