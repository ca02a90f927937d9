/* SPDX-License-Identifier: MIT */
/* reply.c: a handler's answer to bytes: a response, or the beginning of a stream. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "later.h"
#include "worker.h"

enum {
  STREAM_HEAD_MAX = 2048,
  BUSY_MIN_MS = 2000,   /* when a client shall come back that finds the hub full: */
  BUSY_SPREAD_MS = 6000 /* not all at once */
};

static const struct {
  int status;
  const char *text;
} statuses[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

static const char *status_text(int status) {
  for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
    if (statuses[i].status == status) return statuses[i].text;
  return "Status";
}

/* A head that is being written; len over cap says that it did not fit. */
struct head {
  size_t len, cap;
  char *bytes;
};

__attribute__((format(printf, 2, 3))) static void add(struct head *head, const char *format, ...) {
  if (head->len >= head->cap) return;
  va_list args;
  va_start(args, format);
  int len = vsnprintf(head->bytes + head->len, head->cap - head->len, format, args);
  va_end(args);
  head->len += len < 0 ? head->cap : (size_t)len;
}

int reply_write(struct reply *reply, const struct httpd_response *response, int keep_alive,
                int head_only) {
  int status = response->status ? response->status : 200;
  int bodiless = status == 204 || status == 304;
  const void *body = response->body ? response->body : response->text;
  size_t len = response->body || !response->text ? response->len : strlen(response->text);
  if (!body) {
    len = (size_t)snprintf(reply->words, sizeof reply->words, "%s\n", status_text(status));
    body = reply->words;
  }
  struct head head = {.cap = sizeof reply->head, .bytes = reply->head};
  add(&head, "HTTP/1.1 %d %s\r\n", status, status_text(status));
  if (!bodiless) {
    add(&head, "Content-Type: %s\r\n",
        response->type ? response->type : "text/plain; charset=utf-8");
    add(&head, "Content-Length: %zu\r\n", len);
  }
  for (const char *const *line = response->headers; line && *line; line++)
    add(&head, "%s\r\n", *line);
  add(&head, "%s\r\n", keep_alive ? "" : "Connection: close\r\n");
  reply->parts[0] = (struct iovec){reply->head, head.len};
  reply->parts[1] = (struct iovec){(void *)(uintptr_t)body, len};
  reply->count = bodiless || head_only || len == 0 ? 1 : 2;
  return head.len < head.cap ? 0 : -1;
}

/* A head that does not fit is the handler's mistake; half a head would be worse than none. */
void httpd_reply(struct httpd_conn *conn, const struct httpd_response *response) {
  struct reply reply;
  if (conn->answered) return;
  int is_behind = conn->last_later != NULL; /* replies that are pending */
  if (reply_write(&reply, response, conn->keep_alive, conn->head_only) != 0 ||
      (is_behind && later_add(conn, &reply) != 0))
    conn_close(conn);
  else if (!is_behind)
    conn_send(conn, reply.parts, reply.count);
}

/* ---- Streams ---- */

/* Sends a response that libsse has written whole, and closes: such heads say so. */
static void reply_ready_made(struct httpd_conn *conn, char *bytes, ssize_t len, size_t cap) {
  conn->keep_alive = 0;
  if (len < 0 || (size_t)len > cap) {
    httpd_reply(conn, &(struct httpd_response){.status = len == SSE_EHEADER ? 400 : 500});
    return;
  }
  conn_send(conn, &(struct iovec){bytes, (size_t)len}, 1);
}

/* A browser gives up on any status but 200, so one that only has to wait is told so by a stream
 * that ends at once. */
static void refuse_stream(struct httpd_conn *conn, int error, const sse_http_head *head) {
  char bytes[STREAM_HEAD_MAX];
  uint32_t mixed = ((uint32_t)conn->worker->now_ms ^ (uint32_t)conn->fd << 16) * 2654435761u;
  int32_t retry_ms = BUSY_MIN_MS + (int32_t)((mixed >> 8) % BUSY_SPREAD_MS);
  reply_ready_made(conn, bytes, sse_http_refuse(bytes, sizeof bytes, head, error, retry_ms),
                   sizeof bytes);
}

/* Polyfills of EventSource that cannot send the header put the id into the query. */
const char *httpd_last_event_id(const struct request *request) {
  static const char *const names[] = {"lastEventId", "last_event_id"};
  const char *id = request_header(request, "Last-Event-ID");
  for (size_t i = 0; i < sizeof names / sizeof names[0] && (!id || *id == '\0'); i++)
    id = request_param(request, names[i]);
  return id;
}

int httpd_stream(struct httpd_conn *conn, const struct request *request,
                 const sse_stream_config *config) {
  if (conn->answered || conn->last_later) return SSE_EINVAL;
  sse_http_head head = config->head ? *config->head : (sse_http_head){0};
  head.origin = request_header(request, "Origin");
  head.chunked = 0;
  if (conn->head_only) {
    char bytes[STREAM_HEAD_MAX];
    reply_ready_made(conn, bytes, sse_http_stream_head(bytes, sizeof bytes, &head), sizeof bytes);
    return 0;
  }
  sse_stream_config whole = *config;
  whole.loop = conn->worker->loop;
  whole.user = conn;
  whole.head = &head;
  if (!whole.last_id) whole.last_id = httpd_last_event_id(request);
  sse_stream *stream;
  int error = sse_stream_open(&stream, conn->worker->config->hub, &whole);
  if (error)
    refuse_stream(conn, error, &head);
  else
    conn_start_stream(conn, stream);
  return error;
}
