/* SPDX-License-Identifier: MIT */
/* request.c: HTTP/1.1 requests for the hosts that have only a socket and a buffer. */
#include "request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- The head ---- */

/* The bytes up to and with the blank line; 0 if it has not come. */
static size_t head_size(const char *bytes, size_t len) {
  const char *end = memmem(bytes, len, "\r\n\r\n", 4);
  return end ? (size_t)(end - bytes) + 4 : 0;
}

/* Whether each line ends in CRLF, and has no CR, LF or other control character but tab elsewhere:
 * of a head, or of what has come of it. */
static int good_lines(const char *head, size_t len) {
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)head[i];
    if (c == '\n' && (i == 0 || head[i - 1] != '\r')) return 0;
    if (c == '\r' && i + 1 < len && head[i + 1] != '\n') return 0;
    if ((c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f) return 0;
  }
  return 1;
}

static size_t token_length(const char *text) {
  static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return strspn(text, token);
}

/* How often a head of good lines has a header of that name; -1 if one of its headers is none. A
 * line that goes on in the next one is none: its second half begins with a blank. */
static int count_headers(const char *head, const char *name) {
  size_t name_len = strlen(name);
  int count = 0;
  for (const char *line = strchr(head, '\n') + 1; *line != '\r'; line = strchr(line, '\n') + 1) {
    size_t len = token_length(line);
    if (len == 0 || line[len] != ':') return -1;
    count += len == name_len && strncasecmp(line, name, len) == 0;
  }
  return count;
}

/* host or host:port (RFC 9112, 3.2), without the characters of names that no name has. */
static int good_host(const char *host) {
  static const char name[] = "0123456789-._~%abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  size_t len = *host == '[' ? strspn(host + 1, "0123456789abcdefABCDEF:.") + 2 : strspn(host, name);
  if (*host == '[' && (len == 2 || host[len - 1] != ']')) return 0;
  if (len == 0) return 0;
  if (host[len] == ':') len += 1 + strspn(host + len + 1, "0123456789");
  return host[len] == '\0';
}

/* 0, or a status. A client of HTTP/1.0 may leave the host out. */
static int check_host(const char *head, size_t len, int required) {
  char host[300];
  int count = count_headers(head, "Host");
  if (count < 0 || count > 1 || (count == 0 && required)) return 400;
  if (count == 0) return 0;
  ssize_t host_len = sse_http_header(head, len, "Host", host, sizeof host);
  return host_len < 0 || !good_host(host) ? 400 : 0;
}

/* The length of the body, or the status to refuse it with, negative. */
static long body_size(const char *head, size_t len) {
  char value[32];
  size_t size = 0;
  if (count_headers(head, "Transfer-Encoding") != 0) return -501;
  int count = count_headers(head, "Content-Length");
  if (count == 0) return 0;
  if (count > 1) return -400;
  ssize_t digits = sse_http_header(head, len, "Content-Length", value, sizeof value);
  if (digits <= 0) return -400;
  for (const char *c = value; *c; c++) {
    if (*c < '0' || *c > '9') return -400;
    size = size * 10 + (size_t)(*c - '0');
    if (size > APP_BODY_MAX) return -413;
  }
  return (long)size;
}

/* "GET /path?query HTTP/1.1" into its parts: 0, or a status. */
static int first_line(struct request *request, char *line) {
  line[strcspn(line, "\r")] = '\0';
  char *target = strchr(line, ' ');
  char *version = target ? strchr(target + 1, ' ') : NULL;
  if (!version || target == line || token_length(line) != (size_t)(target - line)) return 400;
  if (target[1] != '/' || strncmp(version, " HTTP/1.", 8) != 0) return 400;
  if ((version[8] != '0' && version[8] != '1') || version[9] != '\0') return 400;
  *target++ = *version = '\0';
  request->keep_alive = version[8] == '1';
  request->method = line;
  char *query = strchr(target, '?');
  if (query) *query++ = '\0';
  request->path = target;
  request->query = query;
  return 0;
}

/* ---- Requests ---- */

int request_read(struct request *request, char *bytes, size_t len) {
  char connection[16];
  *request = (struct request){.path = NULL};
  size_t head = head_size(bytes, len);
  if (head > REQUEST_HEAD_MAX || (head == 0 && len >= REQUEST_HEAD_MAX)) return 431;
  if (!good_lines(bytes, head ? head : len)) return 400;
  if (head == 0) return 0;
  /* What is not a header makes the head a bad one, so this comes before the length is believed. */
  if (count_headers(bytes, "Host") < 0) return 400;
  long body = body_size(bytes, head);
  if (body < 0) return (int)-body;
  if (len - head < (size_t)body) return 0;
  request->body = bytes + head;
  request->body_len = (size_t)body;
  request->size = head + (size_t)body;
  /* An id that is too long is none of this library's: the stream starts as without one. */
  sse_http_header(bytes, head, "Last-Event-ID", request->last_id, sizeof request->last_id);
  sse_http_header(bytes, head, "Connection", connection, sizeof connection);
  const char *line_end = memchr(bytes, '\r', head);
  int status = check_host(bytes, head, line_end > bytes && line_end[-1] != '0');
  if (status == 0) status = first_line(request, bytes);
  if (status) return status;
  if (strcasecmp(connection, "close") == 0) request->keep_alive = 0;
  return 1;
}

int request_handle(struct app *app, const struct request *request, struct app_channels *channels) {
  int status = app_route(request->method, request->path, request->query, channels);
  if (status != APP_PUBLISH) return status;
  return app_publish(app, request->query, request->body, request->body_len);
}

/* ---- Answers ---- */

static const char *reason(int status) {
  switch (status) {
  case 200:
    return "OK";
  case 204:
    return "No Content";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 413:
    return "Content Too Large";
  case 431:
    return "Request Header Fields Too Large";
  case 501:
    return "Not Implemented";
  case 503:
    return "Service Unavailable";
  default:
    return "Bad Request";
  }
}

/* An answer that is being written; what does not fit is left out. */
struct writing {
  char *answer;
  size_t len;
};

static int write_header(void *arg, const char *name, const char *value) {
  struct writing *writing = arg;
  size_t left = ANSWER_MAX - writing->len;
  int len = snprintf(writing->answer + writing->len, left, "%s: %s\r\n", name, value);
  if (len < 0 || (size_t)len >= left) return -1;
  writing->len += (size_t)len;
  return 0;
}

/* The answers to HEAD and OPTIONS have no length: that of a stream is unknown, and a 204 has no
 * body (RFC 9110, 8.6). */
size_t request_answer(char answer[ANSWER_MAX], int status, const char *path, int keep_alive) {
  struct writing writing = {.answer = answer};
  int len = snprintf(answer, ANSWER_MAX, "HTTP/1.1 %d %s\r\n", status, reason(status));
  writing.len = (size_t)len;
  app_headers(status, path, write_header, &writing);
  if (status >= 400) write_header(&writing, "Content-Length", "0");
  write_header(&writing, "Connection", keep_alive ? "keep-alive" : "close");
  len = snprintf(answer + writing.len, ANSWER_MAX - writing.len, "\r\n");
  return writing.len + (size_t)len;
}

/* A browser stops for good at any status but 200, so libsse says what fits the error. */
size_t request_refuse(char answer[ANSWER_MAX], sse_hub *hub, int error) {
  ssize_t len = sse_http_refuse(answer, ANSWER_MAX, NULL, error, sse_hub_retry_ms(hub));
  return len > 0 && len <= ANSWER_MAX ? (size_t)len : 0;
}
