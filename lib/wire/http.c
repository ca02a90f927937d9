/* SPDX-License-Identifier: MIT */
/* http.c: responses of an event stream, CORS, and one header out of a raw request. */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <sse/http.h>

#include "util/writer.h"

#define NAME_MAX_BYTES 255 /* of an added header in list form, where the name is copied */

/* ASCII only: what tolower makes of a byte depends on the locale. */
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

/* A field name is a token (RFC 9110, 5.6.2). */
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

static bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

/* Bytes from 0x80 up are obs-text and allowed (RFC 9110, 5.5). */
static bool is_control(char c) {
  return (unsigned char)c < 0x20 || c == 0x7f;
}

/* ---- what a caller may ask for ---- */

/* A name that these responses write themselves, or leave out on purpose. */
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
 * A value has no control character but tab (RFC 9110, 5.5), so it can neither end its line nor
 * split the response.
 */
static bool is_good_value(const char *value) {
  for (; *value; value++) {
    if (is_control(*value) && *value != '\t') return false;
  }
  return true;
}

/* An added header is a token, a colon directly after it (RFC 9112, 5.1) and a value. */
static bool is_good_header(const char *header) {
  size_t name_len = token_length(header);
  if (name_len == 0 || header[name_len] != ':' || is_fixed_name(header, name_len)) return false;
  return is_good_value(header + name_len + 1);
}

/* "*" is no wildcard beside exact origins or with credentials (Fetch, 3.2, CORS protocol). */
static bool is_good_allow_list(const sse_http_head *head) {
  const char *const *allowed = head->allow_origins;
  for (size_t i = 0; allowed && allowed[i]; i++) {
    bool any = strcmp(allowed[i], "*") == 0;
    if (any && (allowed[1] || head->allow_credentials)) return false;
  }
  return true;
}

/* Whether "*" is an element of a list of header names. */
static bool has_wildcard(const char *names) {
  while (names && *names) {
    size_t len = strcspn(names, ", \t");
    if (len == 1 && *names == '*') return true;
    names += len;
    names += strspn(names, ", \t");
  }
  return false;
}

const char *sse__http_head_problem(const sse_http_head *head) {
  if (!head) return NULL;
  for (size_t i = 0; i < sizeof head->reserved / sizeof head->reserved[0]; i++) {
    if (head->reserved[i]) return "a reserved member of head is not NULL";
  }
  if (!is_good_allow_list(head)) {
    return "head.allow_origins has * beside other origins or with allow_credentials";
  }
  if (!head->allow_credentials) return NULL;
  if (has_wildcard(head->expose_headers)) return "head.expose_headers has * with allow_credentials";
  if (has_wildcard(head->allow_headers)) return "head.allow_headers has * with allow_credentials";
  return NULL;
}

static int check_cors(const sse_http_head *head) {
  for (const char *p = head->origin; p && *p; p++) {
    if (is_control(*p)) return SSE_EHEADER;
  }
  if (head->expose_headers && !is_good_value(head->expose_headers)) return SSE_EHEADER;
  if (head->allow_headers && !is_good_value(head->allow_headers)) return SSE_EHEADER;
  return SSE_OK;
}

static int check_head(const sse_http_head *head) {
  if (!head) return SSE_OK;
  if (sse__http_head_problem(head)) return SSE_EINVAL;
  int error = check_cors(head);
  if (error) return error;
  for (const char *const *header = head->headers; header && *header; header++) {
    if (!is_good_header(*header)) return SSE_EHEADER;
  }
  return SSE_OK;
}

/* ---- one list of headers for both forms ---- */

/* Takes the headers of a response: as text to out, or else one by one to add. */
struct sink {
  struct sse__writer *out;
  sse_http_header_fn *add;
  void *arg;
  bool ended; /* add has returned something other than 0 */
};

/* line is "Name:", followed by blanks and the value; or the value stands in value. */
static void add_header(struct sink *sink, const char *line, const char *value) {
  char name[NAME_MAX_BYTES + 1];
  size_t len = token_length(line);
  if (sink->ended) return;
  memcpy(name, line, len);
  name[len] = '\0';
  line += len + 1;
  while (is_blank(*line)) line++;
  if (!*line) line = value;
  while (is_blank(*line)) line++;
  sink->ended = sink->add(sink->arg, name, line) != 0;
}

static void put_header(struct sink *sink, const char *line, const char *value) {
  if (!sink->out) {
    add_header(sink, line, value);
    return;
  }
  sse__writer_text(sink->out, line);
  sse__writer_text(sink->out, value);
  sse__writer_text(sink->out, "\r\n");
}

/* Origins are compared byte for byte, as the client compares them (Fetch, 4.10, CORS check). */
static bool is_listed(const char *const *allowed, const char *origin) {
  if (!origin || !*origin) return false;
  for (; *allowed; allowed++) {
    if (strcmp(*allowed, origin) == 0) return true;
  }
  return false;
}

/* What an allowed origin may do. A client looks for this in answers to preflights only. */
static void put_preflight(struct sink *sink, const sse_http_head *head) {
  const char *names = head->allow_headers;
  if (!names) names = "Cache-Control, Last-Event-ID";
  put_header(sink, "Access-Control-Allow-Methods: ", "GET");
  if (*names) put_header(sink, "Access-Control-Allow-Headers: ", names);
  put_header(sink, "Access-Control-Max-Age: ", "86400");
}

/*
 * An answer that depends on the origin has Vary for every origin and for none, or a cache would
 * give one site's answer to another (Fetch, 3.2.5, CORS protocol and HTTP caches). "*" is the same
 * for all origins and needs no Vary for them.
 */
static void put_vary(struct sink *sink, bool any, bool preflight) {
#define ASKED "Access-Control-Request-Method, Access-Control-Request-Headers"
  if (preflight) {
    put_header(sink, "Vary: ", any ? ASKED : "Origin, " ASKED);
  } else if (!any) {
    put_header(sink, "Vary: ", "Origin");
  }
#undef ASKED
}

static void put_cors(struct sink *sink, const sse_http_head *head, bool preflight) {
  const char *const *allowed = head->allow_origins;
  if (!allowed) return;
  bool any = *allowed && strcmp(*allowed, "*") == 0;
  if (any || is_listed(allowed, head->origin)) {
    put_header(sink, "Access-Control-Allow-Origin: ", any ? "*" : head->origin);
    if (head->allow_credentials) put_header(sink, "Access-Control-Allow-Credentials: ", "true");
    if (preflight) {
      put_preflight(sink, head);
    } else if (head->expose_headers && *head->expose_headers) {
      put_header(sink, "Access-Control-Expose-Headers: ", head->expose_headers);
    }
  }
  put_vary(sink, any, preflight);
}

/*
 * All headers except those of framing, for a head that has passed check_head.
 *
 * no-store keeps the response out of every cache; a 204 could be stored, too (RFC 9110, 15.3.5),
 * but no answer to OPTIONS (9.3.7). no-transform keeps proxies from compressing the stream, because
 * a compressor that is not flushed holds events back (RFC 9111, 5.2.2.6). X-Accel-Buffering tells
 * nginx to pass bytes on at once. A 204 has the CORS headers, too: without them a page of another
 * origin sees a network error in place of the 204, and reconnects after it (HTML standard 9.2.3).
 */
static void put_headers(struct sink *sink, sse_http_response response, const sse_http_head *head) {
  bool preflight = response == SSE_HTTP_PREFLIGHT;
  if (!preflight && response != SSE_HTTP_INVALID) {
    if (response != SSE_HTTP_STOP) put_header(sink, "Content-Type: ", "text/event-stream");
    put_header(sink, "Cache-Control: ", "no-store, no-transform");
    put_header(sink, "X-Accel-Buffering: ", "no");
  }
  if (!head) return;
  put_cors(sink, head, preflight);
  for (const char *const *header = head->headers; header && *header; header++) {
    put_header(sink, *header, "");
  }
}

/* ---- the responses as text ---- */

/* framing is the header lines that say where the body ends. */
static ssize_t put_response(struct sse__writer *out, sse_http_response response,
                            const sse_http_head *head, const char *framing, const char *body) {
  static const char *const status_lines[] = {[SSE_HTTP_STREAM] = "HTTP/1.1 200 OK\r\n",
                                             [SSE_HTTP_BUSY] = "HTTP/1.1 200 OK\r\n",
                                             [SSE_HTTP_STOP] = "HTTP/1.1 204 No Content\r\n",
                                             [SSE_HTTP_PREFLIGHT] = "HTTP/1.1 204 No Content\r\n",
                                             [SSE_HTTP_INVALID] = "HTTP/1.1 400 Bad Request\r\n"};
  struct sink sink = {.out = out};
  sse__writer_text(out, status_lines[response]);
  put_headers(&sink, response, head);
  sse__writer_text(out, framing);
  sse__writer_text(out, "\r\n");
  sse__writer_text(out, body);
  return out->len > SSIZE_MAX ? (ssize_t)SSE_ETOOBIG : (ssize_t)out->len;
}

/* A response that is whole says itself where it ends, and closes the connection. */
static int check_whole(const char *buf, size_t cap, const sse_http_head *head) {
  if (!buf && cap) return SSE_EINVAL;
  int error = check_head(head);
  return error || !head || !head->chunked ? error : (int)SSE_EINVAL;
}

ssize_t sse_http_stream_head(char *buf, size_t cap, const sse_http_head *head) {
  struct sse__writer out = {.buf = buf, .cap = cap};
  if (!buf && cap) return SSE_EINVAL;
  int error = check_head(head);
  if (error) return error;
  bool chunked = head && head->chunked;
  return put_response(&out, SSE_HTTP_STREAM, head,
                      chunked ? "Transfer-Encoding: chunked\r\n" : "Connection: close\r\n", "");
}

ssize_t sse_http_busy(char *buf, size_t cap, const sse_http_head *head, int32_t retry_ms) {
  struct sse__writer out = {.buf = buf, .cap = cap};
  char body[sizeof "retry: 2147483647\n"], framing[80];
  int error = check_whole(buf, cap, head);
  if (error) return error;
  if (retry_ms < 0) return SSE_ERANGE;
  /* No blank line: some clients dispatch a message for a block without data. */
  int body_len = snprintf(body, sizeof body, "retry: %ld\n", (long)retry_ms);
  snprintf(framing, sizeof framing, "Content-Length: %d\r\nConnection: close\r\n", body_len);
  return put_response(&out, SSE_HTTP_BUSY, head, framing, body);
}

/* A 204 has neither Content-Length (RFC 9110, 8.6) nor Transfer-Encoding (RFC 9112, 6.1). */
static ssize_t no_content(char *buf, size_t cap, sse_http_response response,
                          const sse_http_head *head) {
  struct sse__writer out = {.buf = buf, .cap = cap};
  int error = check_whole(buf, cap, head);
  return error ? error : put_response(&out, response, head, "Connection: close\r\n", "");
}

ssize_t sse_http_stop(char *buf, size_t cap, const sse_http_head *head) {
  return no_content(buf, cap, SSE_HTTP_STOP, head);
}

ssize_t sse_http_preflight(char *buf, size_t cap, const sse_http_head *head) {
  return no_content(buf, cap, SSE_HTTP_PREFLIGHT, head);
}

/* ---- what fits an error of sse_stream_open ---- */

sse_http_response sse_http_refusal(int error) {
  switch (error) {
  case SSE_ENOMEM:
  case SSE_ECHANNELS:
  case SSE_ESTREAMS:
  case SSE_ECHANNELSTREAMS:
  case SSE_ETAGSTREAMS:
  case SSE_EDRAINED:
    return SSE_HTTP_BUSY;
  case SSE_EFINISHED:
    return SSE_HTTP_STOP;
  default:
    return SSE_HTTP_INVALID;
  }
}

ssize_t sse_http_refuse(char *buf, size_t cap, const sse_http_head *head, int error,
                        int32_t retry_ms) {
  struct sse__writer out = {.buf = buf, .cap = cap};
  sse_http_head whole = head ? *head : (sse_http_head){.chunked = 0};
  if ((!buf && cap) || error >= SSE_OK) return SSE_EINVAL;
  whole.chunked = 0;
  switch (sse_http_refusal(error)) {
  case SSE_HTTP_BUSY:
    return sse_http_busy(buf, cap, &whole, retry_ms);
  case SSE_HTTP_STOP:
    return sse_http_stop(buf, cap, &whole);
  default: /* the error may be that of the head */
    return put_response(&out, SSE_HTTP_INVALID, check_head(&whole) ? NULL : &whole,
                        "Content-Length: 0\r\nConnection: close\r\n", "");
  }
}

/* ---- the responses as a list ---- */

int sse_http_headers(sse_http_response response, const sse_http_head *head, sse_http_header_fn *add,
                     void *arg) {
  static const int statuses[] = {[SSE_HTTP_STREAM] = 200,
                                 [SSE_HTTP_BUSY] = 200,
                                 [SSE_HTTP_STOP] = 204,
                                 [SSE_HTTP_PREFLIGHT] = 204,
                                 [SSE_HTTP_INVALID] = 400};
  struct sink sink = {.add = add, .arg = arg};
  if (!add || (size_t)response >= sizeof statuses / sizeof statuses[0]) return SSE_EINVAL;
  int error = check_head(head);
  if (error) return error;
  for (const char *const *header = head ? head->headers : NULL; header && *header; header++) {
    if (token_length(*header) > NAME_MAX_BYTES) return SSE_ETOOBIG;
  }
  put_headers(&sink, response, head);
  return sink.ended ? (int)SSE_ECALLBACK : statuses[response];
}

/* ---- a header of a request ---- */

/* A part of the request. */
struct span {
  const char *at;
  size_t len;
};

/*
 * Takes the next line off the rest of a request, without its line end, which is CRLF or a single LF
 * (RFC 9112, 2.2). False if no line has ended: the rest of its value may still arrive.
 */
static bool next_line(struct span *rest, struct span *line) {
  const char *end = rest->len ? memchr(rest->at, '\n', rest->len) : NULL;
  if (!end) return false;
  *line = (struct span){.at = rest->at, .len = (size_t)(end - rest->at)};
  rest->at = end + 1;
  rest->len -= line->len + 1;
  if (line->len && line->at[line->len - 1] == '\r') line->len--;
  return true;
}

static void trim(struct span *span) {
  while (span->len && is_blank(span->at[0])) span->at++, span->len--;
  while (span->len && is_blank(span->at[span->len - 1])) span->len--;
}

/* If the line is the field of that name, leaves what follows the name in it. */
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
 * server must reject it), a value that continues in the next line (5.2), and CR and NUL in it
 * (RFC 9110, 5.5): a proxy may have read each of these differently.
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
  /* Skips empty lines before the request line (RFC 9112, 2.2), and the request line itself. */
  do {
    if (!next_line(&rest, &line)) return SSE_ENOTFOUND;
  } while (line.len == 0);
  while (next_line(&rest, &line) && line.len) {
    if (strip_name(&line, name, name_len)) return copy_value(line, &rest, value, cap);
  }
  return SSE_ENOTFOUND;
}
