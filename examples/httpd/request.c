/* SPDX-License-Identifier: MIT */
/* request.c: HTTP/1.1 requests from bytes (RFC 9112), strict wherever leniency has been abused. */
#include "request.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum phase {
  PHASE_LINE, /* in the request line */
  PHASE_HEADERS,
  PHASE_BODY,
  PHASE_WHOLE
};

enum status {
  BAD_REQUEST = 400,
  BODY_TOO_LONG = 413,
  URI_TOO_LONG = 414,
  EXPECTATION_FAILED = 417,
  HEAD_TOO_LONG = 431,
  NOT_IMPLEMENTED = 501,
  UNAVAILABLE = 503,
  VERSION_UNKNOWN = 505
};

void request_init(struct request *request, size_t body_max) {
  request->body_max = body_max;
  request->body_buf = NULL;
  request->filled = request->line_at = 0;
  request_next(request);
}

void request_clear(struct request *request) {
  free(request->body_buf);
  request->body_buf = NULL;
}

/* ---- Characters ---- */

/* The characters of methods and header names: RFC 9110, section 5.6.2. */
static int is_token_char(char c) {
  return isalnum((unsigned char)c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static int is_token(const char *text) {
  if (*text == '\0') return 0;
  while (is_token_char(*text)) text++;
  return *text == '\0';
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Percent-decodes in place, which only ever shortens. */
static int decode(char *text, int plus_is_space) {
  char *out = text;
  for (const char *in = text; *in != '\0'; in++) {
    char c = *in;
    if (c == '%') {
      int high = hex_value(in[1]);
      int low = high < 0 ? -1 : hex_value(in[2]);
      if (low < 0 || high + low == 0) return BAD_REQUEST; /* %00 would cut the string short */
      c = (char)(high * 16 + low);
      in += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    *out++ = c;
  }
  *out = '\0';
  return 0;
}

/* ---- Request line ---- */

static int parse_query(struct request *request, char *query) {
  char *piece = query;
  while (piece) {
    char *next = strchr(piece, '&');
    if (next) *next++ = '\0';
    if (*piece != '\0') {
      if (request->params_count == REQUEST_PARAMS_MAX) return URI_TOO_LONG;
      char *value = strchr(piece, '=');
      if (value) *value++ = '\0';
      if (decode(piece, 1) || (value && decode(value, 1))) return BAD_REQUEST;
      request->params[request->params_count++] =
          (struct request_field){.name = piece, .value = value ? value : ""};
    }
    piece = next;
  }
  return 0;
}

/* "/path?query", or the same behind "http://host", which clients send to proxies. */
static int parse_target(struct request *request, char *target) {
  if (strncasecmp(target, "http://", 7) == 0) {
    char *path = target + 7 + strcspn(target + 7, "/?");
    if (path == target + 7 || *path == '?') return BAD_REQUEST;
    /* The host there counts, and not that of the header: RFC 9112, section 3.2.2. */
    size_t len = (size_t)(path - target) - 7;
    request->host = memmove(target, target + 7, len);
    target[len] = '\0';
    target = path;
    if (*path == '\0') {
      request->path = "/";
      return 0;
    }
  }
  request->path = target;
  if (strcmp(target, "*") == 0 && strcmp(request->method, "OPTIONS") == 0) return 0;
  if (*target != '/' || strchr(target, '#')) return BAD_REQUEST;
  char *query = strchr(target, '?');
  if (query) *query++ = '\0';
  if (decode(target, 0)) return BAD_REQUEST;
  return query ? parse_query(request, query) : 0;
}

static int parse_version(struct request *request, const char *version) {
  if (strncmp(version, "HTTP/", 5) != 0) return BAD_REQUEST;
  version += 5;
  if (!isdigit((unsigned char)version[0]) || version[1] != '.' ||
      !isdigit((unsigned char)version[2]) || version[3] != '\0')
    return BAD_REQUEST;
  if (version[0] != '1') return VERSION_UNKNOWN;
  request->minor_version = version[2] - '0';
  return 0;
}

static int parse_request_line(struct request *request, char *line, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (line[i] < ' ' || line[i] > '~') return BAD_REQUEST;
  char *target = strchr(line, ' ');
  char *version = target ? strchr(target + 1, ' ') : NULL;
  if (!version) return BAD_REQUEST;
  *target++ = '\0';
  *version++ = '\0';
  if (!is_token(line)) return BAD_REQUEST;
  request->method = line;
  int status = parse_version(request, version);
  return status ? status : parse_target(request, target);
}

/* ---- Headers ---- */

static int is_blank(char c) {
  return c == ' ' || c == '\t';
}

/* A folded line begins with a blank, so its name is no token: RFC 9112, section 5.2, wants 400. */
static int parse_header(struct request *request, char *line, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f) return BAD_REQUEST;
  char *value = strchr(line, ':');
  if (!value) return BAD_REQUEST;
  *value++ = '\0';
  if (!is_token(line)) return BAD_REQUEST;
  if (request->headers_count == REQUEST_HEADERS_MAX) return HEAD_TOO_LONG;
  char *end = line + len;
  while (is_blank(*value)) value++;
  while (end > value && is_blank(end[-1])) end--;
  *end = '\0';
  request->headers[request->headers_count++] = (struct request_field){.name = line, .value = value};
  return 0;
}

/* host or host:port (RFC 9112, 3.2), without the characters of names that no name has. */
static int is_host(const char *host) {
  size_t len = 0;
  if (*host == '[') {
    len = 1 + strspn(host + 1, "0123456789abcdefABCDEF:.");
    if (len == 1 || host[len++] != ']') return 0;
  } else {
    while (isalnum((unsigned char)host[len]) || (host[len] && strchr("-._~%", host[len]))) len++;
  }
  if (len == 0) return 0;
  if (host[len] == ':') len += 1 + strspn(host + len + 1, "0123456789");
  return host[len] == '\0';
}

static size_t count_headers(const struct request *request, const char *name) {
  size_t count = 0;
  for (size_t i = 0; i < request->headers_count; i++)
    count += strcasecmp(request->headers[i].name, name) == 0;
  return count;
}

/* True if a Connection header lists "close". */
static int says_close(const struct request *request) {
  for (size_t i = 0; i < request->headers_count; i++) {
    if (strcasecmp(request->headers[i].name, "Connection") != 0) continue;
    const char *at = request->headers[i].value;
    /* NOLINTNEXTLINE(clang-analyzer-core.*): a header that was parsed has a value. */
    while (*at != '\0') {
      at += strspn(at, ", \t");
      size_t len = strcspn(at, ", \t");
      if (len == 5 && strncasecmp(at, "close", 5) == 0) return 1;
      at += len;
    }
  }
  return 0;
}

/* Requests are smuggled by lengths that two readers understand differently, so: digits, once. */
static int parse_length(struct request *request) {
  const char *text = request_header(request, "Content-Length");
  if (!text) return 0;
  if (count_headers(request, "Content-Length") > 1 || *text == '\0') return BAD_REQUEST;
  if (text[strspn(text, "0123456789")] != '\0') return BAD_REQUEST;
  size_t length = 0;
  for (; *text != '\0'; text++) {
    size_t digit = (size_t)(*text - '0');
    if (digit > request->body_max || length > (request->body_max - digit) / 10)
      return BODY_TOO_LONG;
    length = length * 10 + digit;
  }
  request->body_len = length;
  return 0;
}

/* ---- From head to body ---- */

/* Takes what has come of the body; the bytes behind it stay for the next request. */
static int start_body(struct request *request) {
  request->phase = PHASE_WHOLE;
  if (request->body_len == 0) return REQUEST_READY;
  request->body_buf = malloc(request->body_len + 1);
  if (!request->body_buf) return UNAVAILABLE;
  size_t come = request->filled - request->line_at;
  request->body_have = come < request->body_len ? come : request->body_len;
  memcpy(request->body_buf, request->buf + request->line_at, request->body_have);
  request->line_at += request->body_have;
  request->body_buf[request->body_len] = '\0';
  request->body = request->body_buf;
  if (request->body_have == request->body_len) return REQUEST_READY;
  request->phase = PHASE_BODY;
  return REQUEST_MORE;
}

static int finish_head(struct request *request) {
  size_t hosts = count_headers(request, "Host");
  const char *host = request_header(request, "Host");
  if (hosts > 1 || (hosts == 0 && request->minor_version > 0)) return BAD_REQUEST;
  if ((host && !is_host(host)) || (request->host && !is_host(request->host))) return BAD_REQUEST;
  if (!request->host) request->host = host;
  if (request_header(request, "Transfer-Encoding")) return NOT_IMPLEMENTED;
  int status = parse_length(request);
  if (status) return status;
  const char *expect = request_header(request, "Expect");
  if (expect && strcasecmp(expect, "100-continue") != 0) return EXPECTATION_FAILED;
  request->keep_alive = request->minor_version > 0 && !says_close(request);
  status = start_body(request);
  request->continue_due = expect && request->minor_version > 0 && request->body_have == 0;
  return status;
}

static int parse_line(struct request *request, char *line, size_t len) {
  int first = request->phase == PHASE_LINE;
  if (len > 0 && first) {
    request->phase = PHASE_HEADERS;
    return parse_request_line(request, line, len);
  }
  if (len > 0) return parse_header(request, line, len);
  if (!first) return finish_head(request);
  /* Some clients send a CRLF too many behind a body: RFC 9112, section 2.2. */
  if (request->blank_skipped++) return BAD_REQUEST;
  return 0;
}

/* Goes on through the lines that have come. */
static int parse_lines(struct request *request) {
  while (request->phase < PHASE_BODY) {
    char *line = request->buf + request->line_at;
    size_t left = request->filled - request->scan_at;
    char *end = memchr(request->buf + request->scan_at, '\n', left);
    size_t len = (size_t)((end ? end : request->buf + request->filled) - line);
    request->scan_at = request->line_at + len;
    if (request->phase == PHASE_LINE) {
      /* Who speaks another protocol, such as TLS, is told at once and not by a deadline. */
      if (len > 0 && *line != '\r' && !is_token_char(*line)) return BAD_REQUEST;
      if (len > REQUEST_LINE_MAX + 1) return URI_TOO_LONG;
    }
    if (!end) return request->filled == REQUEST_HEAD_MAX ? HEAD_TOO_LONG : REQUEST_MORE;
    if (len == 0 || end[-1] != '\r') return BAD_REQUEST;
    end[-1] = '\0';
    request->line_at = ++request->scan_at;
    int status = parse_line(request, line, len - 1);
    if (status) return status;
  }
  return REQUEST_MORE;
}

size_t request_space(struct request *request, char **at) {
  if (request->phase == PHASE_BODY) {
    *at = request->body_buf + request->body_have;
    return request->body_len - request->body_have;
  }
  *at = request->buf + request->filled;
  return REQUEST_HEAD_MAX - request->filled;
}

int request_filled(struct request *request, size_t len) {
  if (request->phase != PHASE_BODY) {
    request->filled += len;
    return parse_lines(request);
  }
  request->body_have += len;
  if (request->body_have < request->body_len) return REQUEST_MORE;
  request->phase = PHASE_WHOLE;
  return REQUEST_READY;
}

int request_next(struct request *request) {
  request_clear(request);
  size_t behind = request->filled - request->line_at;
  memmove(request->buf, request->buf + request->line_at, behind);
  request->filled = behind;
  request->line_at = request->scan_at = 0;
  request->method = request->path = request->body = "";
  request->host = NULL;
  request->params_count = request->headers_count = 0;
  request->body_len = request->body_have = 0;
  request->phase = PHASE_LINE;
  request->keep_alive = request->minor_version = request->blank_skipped = request->continue_due = 0;
  return parse_lines(request);
}

/* ---- Questions ---- */

int request_is_empty(const struct request *request) {
  return request->filled == 0;
}

int request_has_more(const struct request *request) {
  return request->filled > request->line_at;
}

int request_wants_continue(struct request *request) {
  int wants = request->continue_due && request->phase == PHASE_BODY;
  request->continue_due = 0;
  return wants;
}

const char *request_header(const struct request *request, const char *name) {
  for (size_t i = 0; i < request->headers_count; i++)
    if (strcasecmp(request->headers[i].name, name) == 0) return request->headers[i].value;
  return NULL;
}

const char *request_param(const struct request *request, const char *name) {
  for (size_t i = 0; i < request->params_count; i++)
    if (strcmp(request->params[i].name, name) == 0) return request->params[i].value;
  return NULL;
}
