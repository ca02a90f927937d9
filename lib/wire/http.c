/* SPDX-License-Identifier: MIT */
/* http.c: response heads of an event stream, CORS, and one header out of a raw request. */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <sse/http.h>

/* Where a response goes. It counts on when the buffer is full, as snprintf does. */
struct out {
  char *buf;
  size_t cap, len;
  bool too_big; /* the count went over what the result can say */
};

static void put_bytes(struct out *out, const char *bytes, size_t len) {
  if (len > (size_t)SSIZE_MAX - out->len) {
    out->too_big = true;
    return;
  }
  if (out->len < out->cap) {
    size_t room = out->cap - out->len;
    memcpy(out->buf + out->len, bytes, len < room ? len : room);
  }
  out->len += len;
}

static void put(struct out *out, const char *text) {
  put_bytes(out, text, strlen(text));
}

static void put_line(struct out *out, const char *name, const char *value) {
  put(out, name);
  put(out, value);
  put(out, "\r\n");
}

static ssize_t out_result(const struct out *out) {
  return out->too_big ? (ssize_t)SSE_ETOOBIG : (ssize_t)out->len;
}

/* ASCII alone: what tolower makes of a byte depends on the locale. */
static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Field names are compared without regard to case (RFC 9110, 5.1). */
static bool same_name(const char *a, const char *b, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

/* The characters of a token, which is what a field name is (RFC 9110, 5.6.2). */
static bool is_token_char(char c) {
  char l = lower(c);
  return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') ||
         (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static size_t token_length(const char *text) {
  size_t len = 0;
  while (is_token_char(text[len])) len++;
  return len;
}

/* Bytes from 0x80 up are obs-text and pass (RFC 9110, 5.5). */
static bool is_control(char c) {
  return (unsigned char)c < 0x20 || c == 0x7f;
}

/* Tells whether a name is one that these responses write themselves, or leave out on purpose. */
static bool is_fixed_name(const char *name, size_t len) {
  static const char *const fixed[] = {
      "cache-control",     "connection", "content-length",    "content-type",
      "transfer-encoding", "vary",       "x-accel-buffering",
  };
  static const char cors[] = "access-control-";
  if (len >= sizeof cors - 1 && same_name(name, cors, sizeof cors - 1)) return true;
  for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
    if (len == strlen(fixed[i]) && same_name(name, fixed[i], len)) return true;
  }
  return false;
}

/*
 * An added header is a token, a colon directly after it (RFC 9112, 5.1) and a value, maybe empty,
 * without control characters but tab (RFC 9110, 5.5). So it can neither end its line nor split the
 * response.
 */
static bool is_good_header(const char *header) {
  size_t name_len = token_length(header);
  if (name_len == 0 || header[name_len] != ':' || is_fixed_name(header, name_len)) return false;
  for (const char *p = header + name_len + 1; *p; p++) {
    if (is_control(*p) && *p != '\t') return false;
  }
  return true;
}

/* "*" stands alone: beside exact origins, or with credentials, it would not do what it seems to. */
static bool is_good_allow_list(const sse_http_head *head) {
  const char *const *allowed = head->allow_origins;
  for (size_t i = 0; allowed && allowed[i]; i++) {
    bool any = strcmp(allowed[i], "*") == 0;
    if (any && (allowed[1] || head->allow_credentials)) return false;
  }
  return true;
}

static int check_head(const char *buf, size_t cap, const sse_http_head *head) {
  if (!buf && cap) return SSE_EINVAL;
  if (!head) return SSE_OK;
  for (size_t i = 0; i < sizeof head->reserved / sizeof head->reserved[0]; i++) {
    if (head->reserved[i]) return SSE_EINVAL;
  }
  if (!is_good_allow_list(head)) return SSE_EINVAL;
  for (const char *p = head->origin; p && *p; p++) {
    if (is_control(*p)) return SSE_EHEADER;
  }
  for (const char *const *header = head->headers; header && *header; header++) {
    if (!is_good_header(*header)) return SSE_EHEADER;
  }
  return SSE_OK;
}

/* The comparison of origins is of bytes, as the client's own is (Fetch, 4.10, CORS check). */
static bool is_listed(const char *const *allowed, const char *origin) {
  if (!origin || !*origin) return false;
  for (; *allowed; allowed++) {
    if (strcmp(*allowed, origin) == 0) return true;
  }
  return false;
}

/*
 * Fetch, 3.2.5, CORS protocol and HTTP caches: an answer that depends on the origin says Vary for
 * every origin and for none, or a cache would give one site's answer to another. "*" is the same
 * for all, is sent for all, and needs no Vary.
 */
static void put_cors(struct out *out, const sse_http_head *head) {
  const char *const *allowed = head->allow_origins;
  if (!allowed) return;
  if (*allowed && strcmp(*allowed, "*") == 0) {
    put(out, "Access-Control-Allow-Origin: *\r\n");
    return;
  }
  if (is_listed(allowed, head->origin)) {
    put_line(out, "Access-Control-Allow-Origin: ", head->origin);
    if (head->allow_credentials) put(out, "Access-Control-Allow-Credentials: true\r\n");
  }
  put(out, "Vary: Origin\r\n");
}

/*
 * The lines from the status to the blank line, for a head that has passed check_head. framing is
 * the lines that say where the body ends.
 *
 * no-store keeps the response out of every cache; a 204, too, may otherwise be stored (RFC 9110,
 * 15.3.5). X-Accel-Buffering is nginx's: pass on what comes, when it comes.
 */
static void put_head(struct out *out, const char *status, const sse_http_head *head,
                     const char *framing) {
  put_line(out, "HTTP/1.1 ", status);
  if (strncmp(status, "200", 3) == 0) put(out, "Content-Type: text/event-stream\r\n");
  put(out, "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n");
  if (head) {
    put_cors(out, head);
    for (const char *const *header = head->headers; header && *header; header++) {
      put_line(out, *header, "");
    }
  }
  put(out, framing);
  put(out, "\r\n");
}

ssize_t sse_http_stream_head(char *buf, size_t cap, const sse_http_head *head) {
  struct out out = {.buf = buf, .cap = cap};
  int error = check_head(buf, cap, head);
  if (error) return error;
  put_head(&out, "200 OK", head,
           head && head->chunked ? "Transfer-Encoding: chunked\r\n" : "Connection: close\r\n");
  return out_result(&out);
}

ssize_t sse_http_busy(char *buf, size_t cap, const sse_http_head *head, int32_t retry_ms) {
  struct out out = {.buf = buf, .cap = cap};
  char body[sizeof "retry: 2147483647\n\n"], framing[80];
  int error = check_head(buf, cap, head);
  if (error) return error;
  if (head && head->chunked) return SSE_EINVAL;
  if (retry_ms < 0) return SSE_ERANGE;
  int body_len = snprintf(body, sizeof body, "retry: %ld\n\n", (long)retry_ms);
  snprintf(framing, sizeof framing, "Content-Length: %d\r\nConnection: close\r\n", body_len);
  put_head(&out, "200 OK", head, framing);
  put(&out, body);
  return out_result(&out);
}

/*
 * A 204 has neither Content-Length (RFC 9110, 8.6) nor Transfer-Encoding (RFC 9112, 6.1). It has
 * the CORS headers: without them a page of another origin sees a network error in place of the 204,
 * and that is what it reconnects on (HTML standard 9.2.3).
 */
ssize_t sse_http_stop(char *buf, size_t cap, const sse_http_head *head) {
  struct out out = {.buf = buf, .cap = cap};
  int error = check_head(buf, cap, head);
  if (error) return error;
  if (head && head->chunked) return SSE_EINVAL;
  put_head(&out, "204 No Content", head, "Connection: close\r\n");
  return out_result(&out);
}

/* A stretch of the request. */
struct span {
  const char *at;
  size_t len;
};

/*
 * Takes the next line off the rest of a request, without its line end: CRLF, or LF alone (RFC 9112,
 * 2.2). A line that has not ended is none: the rest of its value may still be on its way.
 */
static bool take_line(struct span *rest, struct span *line) {
  const char *end = rest->len ? memchr(rest->at, '\n', rest->len) : NULL;
  if (!end) return false;
  *line = (struct span){.at = rest->at, .len = (size_t)(end - rest->at)};
  rest->at = end + 1;
  rest->len -= line->len + 1;
  if (line->len && line->at[line->len - 1] == '\r') line->len--;
  return true;
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

static void trim(struct span *span) {
  while (span->len && is_blank(span->at[0])) span->at++, span->len--;
  while (span->len && is_blank(span->at[span->len - 1])) span->len--;
}

/* Tells whether a line is the field of that name, and makes it what stands behind the name. */
static bool strip_name(struct span *line, const char *name, size_t name_len) {
  if (line->len <= name_len || !same_name(line->at, name, name_len)) return false;
  char next = line->at[name_len];
  if (next != ':' && !is_blank(next)) return false;
  line->at += name_len;
  line->len -= name_len;
  return true;
}

/*
 * Copies the value out of ": value". Refused are white space before the colon (RFC 9112, 5.1: a
 * server must reject it), a value that goes on in the next line (5.2), and CR and NUL in it
 * (RFC 9110, 5.5): in each of these another parser on the way may have read something else.
 */
static ssize_t copy_value(struct span field, const struct span *rest, char *value, size_t cap) {
  if (field.at[0] != ':') return SSE_EHEADER;
  field.at++, field.len--;
  if (rest->len && is_blank(rest->at[0])) return SSE_EHEADER;
  if (field.len && (memchr(field.at, '\0', field.len) || memchr(field.at, '\r', field.len))) {
    return SSE_EHEADER;
  }
  trim(&field);
  if (field.len >= cap) return SSE_ETOOBIG;
  memcpy(value, field.at, field.len);
  value[field.len] = '\0';
  return (ssize_t)field.len;
}

ssize_t sse_http_header(const char *request, size_t len, const char *name, char *value,
                        size_t cap) {
  if (!value || cap == 0) return SSE_EINVAL;
  value[0] = '\0';
  if (!name || (!request && len)) return SSE_EINVAL;
  size_t name_len = token_length(name);
  if (name_len == 0 || name[name_len] != '\0') return SSE_EINVAL;

  struct span rest = {.at = request, .len = len}, line;
  /* Empty lines before the request line are skipped (RFC 9112, 2.2); then the line itself is. */
  do {
    if (!take_line(&rest, &line)) return SSE_ENOTFOUND;
  } while (line.len == 0);
  while (take_line(&rest, &line) && line.len) {
    if (strip_name(&line, name, name_len)) return copy_value(line, &rest, value, cap);
  }
  return SSE_ENOTFOUND;
}
