/* SPDX-License-Identifier: MIT */
/* nghttp2.c: HTTP/2 by nghttp2 over TLS by OpenSSL: many streams on one connection. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>
#include <sse/sse.h>

#include "app.h"
#include "request.h"
#include "tls.h" /* the epoll loop */

#define STREAMS_MAX  1000 /* of one connection at a time */
#define RESETS_MAX   (4 * STREAMS_MAX)
#define RESETS_PER_S 100
#define IDLE_MS      60000 /* without a stream, or without progress while the socket is full */
#define GRACE_MS     1000  /* for progress after a stream has stalled while the socket is full */

static struct app app;
static struct tls_server server;
static sse_loop *loop;
static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;

struct conn {
  struct tls_conn tls;
  nghttp2_session *session;
  const uint8_t *out; /* a frame on its way; nghttp2 keeps it until it is asked for the next */
  size_t out_len;
  struct exchange *exchanges;
  int streams; /* how many of them are event streams */
};

/* A request and its response: what HTTP/2 calls a stream. */
struct exchange {
  struct conn *conn;
  struct exchange *prev, *next;
  int32_t id;
  sse_stream *stream; /* NULL: not an event stream, or not yet */
  int deferred;       /* nghttp2 asks for no data until it is told to */
  struct request request;
  char method[16], path[2048], *body;
  int status; /* not 0: refuse it */
};

static void conn_send(struct conn *conn);

/* ---- The glue between nghttp2 and libsse begins here ---- */

/*
 * The data source: nghttp2 asks when there is room in the windows of the connection and of the
 * stream, and for no more than that, so flow control is its affair alone. A read that finds nothing
 * arms the stream, and nghttp2 lets it rest until serve_streams resumes it. A stream that ends
 * gently ends as a response should; any other end is reported to the client as an error.
 */
static ssize_t read_stream(nghttp2_session *session, int32_t id, uint8_t *buf, size_t cap,
                           uint32_t *flags, nghttp2_data_source *source, void *user) {
  struct exchange *exchange = source->ptr;
  (void)session, (void)id, (void)user;
  ssize_t got = sse_stream_read(exchange->stream, buf, cap);
  if (got > 0) return got;
  exchange->deferred = !sse_error_is_final((int)got);
  if (exchange->deferred) return NGHTTP2_ERR_DEFERRED;
  if (!sse_end_is_gentle((int)got)) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  return 0;
}

/* A head as nghttp2 takes it: a list, of which it copies the texts in small letters. */
struct head {
  nghttp2_nv fields[8];
  size_t count, used;
  char text[512];
};

static uint8_t *head_text(struct head *head, const char *text, size_t len) {
  char *at = head->text + head->used;
  memcpy(at, text, len);
  head->used += len;
  return (uint8_t *)at;
}

static int add_field(void *arg, const char *name, const char *value) {
  struct head *head = arg;
  size_t name_len = strlen(name), value_len = strlen(value);
  if (head->count == sizeof head->fields / sizeof *head->fields ||
      name_len + value_len > sizeof head->text - head->used)
    return -1;
  head->fields[head->count++] = (nghttp2_nv){.name = head_text(head, name, name_len),
                                             .namelen = name_len,
                                             .value = head_text(head, value, value_len),
                                             .valuelen = value_len};
  return 0;
}

static void start_head(struct head *head, int status) {
  char text[16];
  snprintf(text, sizeof text, "%d", status);
  head->count = head->used = 0;
  add_field(head, ":status", text);
}

static int submit(const struct exchange *exchange, const struct head *head,
                  const nghttp2_data_provider *source) {
  return nghttp2_submit_response(exchange->conn->session, exchange->id, head->fields, head->count,
                                 source);
}

static int stream_open(struct exchange *exchange, const char *const *channels) {
  struct head head;
  int error = sse_stream_open(&exchange->stream, app.hub,
                              &(sse_stream_config){.channels = channels,
                                                   .last_id = exchange->request.last_id,
                                                   .user = exchange,
                                                   .loop = loop});
  if (error) return error;
  sse_stream_prepare_fd(exchange->stream, SSL_get_fd(exchange->conn->tls.ssl));
  exchange->conn->streams++;
  start_head(&head, 200);
  sse_http_headers(SSE_HTTP_STREAM, NULL, add_field, &head);
  const nghttp2_data_provider source = {.source.ptr = exchange, .read_callback = read_stream};
  return submit(exchange, &head, &source);
}

static ssize_t read_retry(nghttp2_session *session, int32_t id, uint8_t *buf, size_t cap,
                          uint32_t *flags, nghttp2_data_source *source, void *user) {
  (void)session, (void)id, (void)source, (void)user;
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  return snprintf((char *)buf, cap, "retry: %d\n", (int)sse_hub_retry_ms(app.hub));
}

/* A browser stops for good at any status but 200, so libsse says what fits the error. */
static int refuse(const struct exchange *exchange, int error) {
  static const int statuses[] = {
      [SSE_HTTP_BUSY] = 200, [SSE_HTTP_STOP] = 204, [SSE_HTTP_INVALID] = 400};
  const nghttp2_data_provider source = {.read_callback = read_retry};
  sse_http_response response = sse_http_refusal(error);
  struct head head;
  start_head(&head, statuses[response]);
  sse_http_headers(response, NULL, add_field, &head);
  return submit(exchange, &head, response == SSE_HTTP_BUSY ? &source : NULL);
}

/* Called by libsse on whatever thread publishes. */
static int wake(void *arg, unsigned why) {
  (void)arg, (void)why;
  return tls_server_wake(&server);
}

/*
 * After each wake, and when the time that sse_loop_timeout gave has passed. A stream that rests has
 * something to send, or has ended, which nghttp2 then reads. One that does not rest waits for a
 * window or for the socket, so if it has ended, nghttp2 would not ask for it: it is reset. If the
 * socket is full, that may be of no use, and the connection has to show some progress.
 */
static void serve_streams(void) {
  struct iovec iov;
  for (sse_stream *stream; (stream = sse_loop_next(loop));) {
    struct exchange *exchange = sse_stream_user(stream);
    struct conn *conn = exchange->conn;
    if (exchange->deferred) {
      exchange->deferred = 0;
      nghttp2_session_resume_data(conn->session, exchange->id);
    } else if (sse_stream_peek(stream, &iov, 1) < 0) {
      nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, exchange->id,
                                NGHTTP2_INTERNAL_ERROR);
      if (conn->tls.full) tls_conn_expire(&conn->tls, GRACE_MS);
    }
    conn_send(conn);
  }
}

/* ---- The glue ends here ---- */

static void exchange_free(struct exchange *exchange) {
  sse_stream_free(exchange->stream);
  free(exchange->body);
  free(exchange);
}

/* ---- What nghttp2 tells of a request ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
  struct conn *conn = user;
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  struct exchange *exchange = calloc(1, sizeof *exchange);
  if (!exchange) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  exchange->conn = conn;
  exchange->id = frame->hd.stream_id;
  exchange->next = conn->exchanges;
  if (exchange->next) exchange->next->prev = exchange;
  conn->exchanges = exchange;
  return nghttp2_session_set_stream_user_data(session, exchange->id, exchange);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *user) {
  struct exchange *exchange = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  const char *key = (const char *)name; /* both have a NUL behind them */
  (void)name_len, (void)flags, (void)user;
  if (!exchange) return 0;
  struct request *request = &exchange->request;
  if (strcmp(key, ":method") == 0) {
    snprintf(exchange->method, sizeof exchange->method, "%s", (const char *)value);
  } else if (strcmp(key, ":path") == 0) {
    if (len >= sizeof exchange->path) exchange->status = 431;
    snprintf(exchange->path, sizeof exchange->path, "%s", (const char *)value);
  } else if (strcmp(key, "last-event-id") == 0 && len < sizeof request->last_id) {
    memcpy(request->last_id, value, len + 1);
  }
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t len, void *user) {
  struct exchange *exchange = nghttp2_session_get_stream_user_data(session, id);
  (void)flags, (void)user;
  if (!exchange || exchange->status) return 0;
  size_t had = exchange->request.body_len;
  char *body = len > APP_BODY_MAX - had ? NULL : realloc(exchange->body, had + len);
  if (!body) {
    exchange->status = 413;
    return 0;
  }
  exchange->body = body;
  memcpy(body + had, bytes, len);
  exchange->request.body_len += len;
  return 0;
}

/* Without a body, also where HTTP/1.1 would have an empty one. */
static int answer(const struct exchange *exchange, int status) {
  struct head head;
  start_head(&head, status);
  app_headers(status, exchange->request.path, add_field, &head);
  return submit(exchange, &head, NULL);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
  struct app_channels channels;
  (void)user;
  if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
      !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
    return 0;
  struct exchange *exchange = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  if (!exchange || exchange->stream) return 0;
  struct request *request = &exchange->request;
  char *query = strchr(exchange->path, '?');
  if (query) *query++ = '\0';
  request->method = exchange->method;
  request->path = exchange->path;
  request->query = query;
  request->body = exchange->body;
  int status = exchange->status;
  if (!status) status = request_handle(&app, request, &channels);
  if (status) return answer(exchange, status);
  int error = stream_open(exchange, channels.list);
  return exchange->stream ? error : refuse(exchange, error);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user) {
  struct exchange *exchange = nghttp2_session_get_stream_user_data(session, id);
  struct conn *conn = user;
  (void)code;
  if (!exchange) return 0;
  if (exchange->next) exchange->next->prev = exchange->prev;
  if (exchange->prev)
    exchange->prev->next = exchange->next;
  else
    conn->exchanges = exchange->next;
  if (exchange->stream && --conn->streams == 0) tls_conn_expire(&conn->tls, IDLE_MS);
  exchange_free(exchange);
  return 0;
}

/* ---- Connections ---- */

static int conn_write(struct conn *conn) {
  for (;;) {
    if (conn->out_len == 0) {
      ssize_t len = nghttp2_session_mem_send(conn->session, &conn->out);
      if (len <= 0) return len == 0 ? SSE_OK : SSE_EIO;
      conn->out_len = (size_t)len;
    }
    ssize_t sent = tls_write(conn->tls.ssl, conn->out, conn->out_len);
    conn->tls.full = sent == SSE_EHELD;
    if (sent < 0) return conn->tls.full ? SSE_OK : (int)sent;
    conn->out += sent;
    conn->out_len -= (size_t)sent;
    tls_conn_expire(&conn->tls, IDLE_MS);
  }
}

/* Once for every event, and what OpenSSL has already taken from the socket, which no event would
 * tell of. */
static int conn_read(struct conn *conn) {
  uint8_t bytes[16384];
  do {
    ssize_t got = tls_read(conn->tls.ssl, bytes, sizeof bytes);
    if (got < 0) return got == SSE_EHELD ? SSE_OK : (int)got;
    if (nghttp2_session_mem_recv(conn->session, bytes, (size_t)got) != got) return SSE_EIO;
  } while (SSL_pending(conn->tls.ssl) > 0);
  return SSE_OK;
}

/* While there is a stream and room, libsse looks after the connection. */
static int conn_progress(struct conn *conn) {
  int result = conn->tls.full ? SSE_OK : conn_write(conn);
  conn->tls.resting = conn->streams > 0 && !conn->tls.full;
  if (result == SSE_OK && conn->out_len == 0 && !nghttp2_session_want_read(conn->session) &&
      !nghttp2_session_want_write(conn->session))
    result = SSE_ECLOSED;
  return result;
}

static void conn_send(struct conn *conn) {
  tls_conn_settle(&conn->tls, conn_progress(conn));
}

static int conn_event(struct tls_conn *tls) {
  struct conn *conn = (struct conn *)tls;
  int result = conn_read(conn);
  return result == SSE_OK && SSL_is_init_finished(tls->ssl) ? conn_progress(conn) : result;
}

static int conn_open(struct tls_conn *tls) {
  static const nghttp2_settings_entry most = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX};
  struct conn *conn = (struct conn *)tls;
  return nghttp2_session_server_new2(&conn->session, callbacks, conn, options) ||
         nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, &most, 1);
}

/* A client is told that this is the end, if there is room for it. */
static void conn_close(struct tls_conn *tls) {
  struct conn *conn = (struct conn *)tls;
  if (conn->session && !tls->full && SSL_is_init_finished(tls->ssl)) {
    nghttp2_session_terminate_session(conn->session, NGHTTP2_NO_ERROR);
    conn_write(conn);
  }
  nghttp2_session_del(conn->session);
  for (struct exchange *exchange = conn->exchanges, *next; exchange; exchange = next) {
    next = exchange->next;
    exchange_free(exchange);
  }
}

/*
 * A page that closes a stream resets it. nghttp2 takes more than 1,000 resets at once, and then 33
 * a second, for an attack and ends the connection, and with it all other streams (nghttp2 issue
 * 1984, since 1.57 or the fix of CVE-2023-44487). A connection may be that of a proxy and have the
 * streams of many pages, so it may reset more here.
 */
static int new_callbacks(void) {
  if (nghttp2_session_callbacks_new(&callbacks) || nghttp2_option_new(&options)) return -1;
  nghttp2_option_set_stream_reset_rate_limit(options, RESETS_MAX, RESETS_PER_S);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
  return 0;
}

int main(int argc, char **argv) {
  static const struct tls_host host = {.protocol = "h2",
                                       .required = 1,
                                       .conn_size = sizeof(struct conn),
                                       .open = conn_open,
                                       .event = conn_event,
                                       .close = conn_close};
  app_start(&app, argc, argv);
  tls_server_open(&server, &host, &app);
  if (new_callbacks() || sse_loop_new(&loop, app.hub, &(const sse_loop_config){.wake = wake}))
    return 1;
  app_listening(&app, server.port);
  while (tls_server_wait(&server, sse_loop_timeout(loop)) == 0) serve_streams();
  app_stop_ticker(&app);
  tls_server_close(&server);
  sse_loop_free(loop);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(options);
  return app_end(&app);
}
