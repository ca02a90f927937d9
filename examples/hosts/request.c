/* SPDX-License-Identifier: MIT */
/* request.c: HTTP/1.1 requests for the hosts that have only a socket and a buffer. */
#include "request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The bytes up to and with the blank line; 0 if it has not come. */
static size_t head_size(const char *bytes, size_t len) {
  const char *end = memmem(bytes, len, "\r\n\r\n", 4);
  return end ? (size_t)(end - bytes) + 4 : 0;
}

/* The length of the body, or the status to refuse it with, negative. */
static long body_size(const char *bytes, size_t head) {
  char value[32];
  size_t size = 0;
  if (sse_http_header(bytes, head, "Transfer-Encoding", value, sizeof value) != SSE_ENOTFOUND)
    return -501;
  ssize_t digits = sse_http_header(bytes, head, "Content-Length", value, sizeof value);
  if (digits == SSE_ENOTFOUND) return 0;
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
  line[strcspn(line, "\r\n")] = '\0';
  char *target = strchr(line, ' ');
  char *version = target ? strchr(target + 1, ' ') : NULL;
  if (!version || strncmp(version, " HTTP/1.", 8) != 0 || target[1] != '/') return 400;
  *target++ = *version = '\0';
  request->keep_alive = strcmp(version + 8, "0") != 0;
  request->post = strcmp(line, "POST") == 0;
  if (!request->post && strcmp(line, "GET") != 0) return 405;
  char *query = strchr(target, '?');
  if (query) *query++ = '\0';
  request->path = target;
  request->query = query;
  return 0;
}

int request_read(struct request *request, char *bytes, size_t len) {
  char connection[16];
  *request = (struct request){.path = NULL};
  size_t head = head_size(bytes, len);
  if (head > REQUEST_HEAD_MAX || (head == 0 && len >= REQUEST_HEAD_MAX)) return 431;
  if (head == 0) return 0;
  long body = body_size(bytes, head);
  if (body < 0) return (int)-body;
  if (len - head < (size_t)body) return 0;
  request->body = bytes + head;
  request->body_len = (size_t)body;
  request->size = head + (size_t)body;
  /* An id that is too long is none of this library's: the stream starts as without one. */
  sse_http_header(bytes, head, "Last-Event-ID", request->last_id, sizeof request->last_id);
  sse_http_header(bytes, head, "Connection", connection, sizeof connection);
  int status = first_line(request, bytes);
  if (status) return status;
  if (strcasecmp(connection, "close") == 0) request->keep_alive = 0;
  return 1;
}

int request_handle(struct app *app, const struct request *request, struct app_channels *channels) {
  if (strcmp(request->path, "/stream") == 0)
    return request->post ? 405 : app_channels(channels, request->query);
  if (strcmp(request->path, "/publish") != 0) return 404;
  if (!request->post) return 405;
  return app_publish(app, request->query, request->body, request->body_len);
}

static const char *reason(int status) {
  switch (status) {
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

size_t request_answer(char answer[ANSWER_MAX], int status, int keep_alive) {
  int len = snprintf(answer, ANSWER_MAX, "HTTP/1.1 %d %s\r\n%sConnection: %s\r\n\r\n", status,
                     reason(status), status == 204 ? "" : "Content-Length: 0\r\n",
                     keep_alive ? "keep-alive" : "close");
  return (size_t)len;
}
