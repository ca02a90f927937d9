/* SPDX-License-Identifier: MIT */
/* openssl.c: HTTP/1.1 over TLS by OpenSSL, in an epoll loop on one thread. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/ssl.h>
#include <sse/sse.h>

#include "app.h"
#include "request.h"
#include "tls.h" /* the epoll loop, and tls_error() */

#define LINGER_MS 1000

struct conn {
  struct tls_conn tls;
  sse_stream *stream; /* NULL while requests are read */
  char *in;           /* REQUEST_MAX bytes; NULL once there is a stream */
  size_t in_len;
  char out[ANSWER_MAX]; /* an answer on its way */
  size_t out_len, sent;
  int last; /* the answer is the last, and what the client still sends is dropped */
};

/* ---- The glue between OpenSSL and libsse begins here ---- */

/*
 * SSL_write takes one buffer, so this writes piece by piece and says how much was taken. Once
 * OpenSSL wants to read or write first, it insists on the same bytes: SSE_EHELD makes libsse lend
 * them again at the next flush, from the same place, so SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER is not
 * needed. If it happens behind other pieces, those are reported, and the flush comes back at once
 * with the rest.
 */
static ssize_t write_tls(void *io, const struct iovec *iov, int count) {
  SSL *ssl = io;
  ssize_t taken = 0;
  for (int i = 0; i < count; i++) {
    int len = iov[i].iov_len < INT_MAX ? (int)iov[i].iov_len : INT_MAX;
    int result = SSL_write(ssl, iov[i].iov_base, len);
    if (result <= 0) {
      int error = tls_error(ssl, result);
      return taken > 0 ? taken : error;
    }
    taken += result;
    if ((size_t)result < iov[i].iov_len) break;
  }
  return taken;
}

/* Called by libsse on whatever thread publishes. */
static int wake(void *server, unsigned why) {
  (void)why;
  return tls_server_wake(server);
}

static int stream_open(struct conn *conn, const char *const *channels, const char *last_id) {
  const sse_http_head head = {.headers = NULL};
  struct tls_server *server = conn->tls.server;
  int error = sse_stream_open(&conn->stream, server->app->hub,
                              &(sse_stream_config){.channels = channels,
                                                   .last_id = last_id,
                                                   .user = conn,
                                                   .loop = server->user,
                                                   .head = &head});
  if (!error) sse_stream_prepare_fd(conn->stream, SSL_get_fd(conn->tls.ssl));
  conn->tls.resting = error == SSE_OK; /* libsse looks after it */
  return error;
}

/* Sends what there is, now and whenever the socket has room again. Not 0: the stream is over. */
static int stream_send(struct conn *conn) {
  int result = sse_stream_flush(conn->stream, write_tls, conn->tls.ssl);
  conn->tls.full = result == SSE_EAGAIN;
  return sse_error_is_final(result) ? result : SSE_OK;
}

/* After each wake, and when the time that sse_loop_timeout gave has passed. */
static void serve_streams(sse_loop *loop) {
  sse_stream *stream;
  while ((stream = sse_loop_next(loop))) {
    struct conn *conn = sse_stream_user(stream);
    tls_conn_settle(&conn->tls, stream_send(conn));
  }
}

/* ---- The glue ends here ---- */

/* Sends what is left of an answer. After the last one the client is to close, too: to close with
 * bytes unread would take the answer back. */
static int answer_send(struct conn *conn) {
  while (conn->sent < conn->out_len) {
    ssize_t sent = tls_write(conn->tls.ssl, conn->out + conn->sent, conn->out_len - conn->sent);
    conn->tls.full = sent == SSE_EHELD;
    if (sent < 0) return conn->tls.full ? SSE_OK : (int)sent;
    conn->sent += (size_t)sent;
  }
  if (conn->last && conn->out_len > 0) {
    tls_conn_expire(&conn->tls, LINGER_MS);
    SSL_shutdown(conn->tls.ssl);
    shutdown(SSL_get_fd(conn->tls.ssl), SHUT_WR);
  }
  conn->out_len = conn->sent = 0;
  return SSE_OK;
}

/* Deals with the requests that are in the buffer, one after the other. */
static int serve_requests(struct conn *conn) {
  struct request request;
  struct app_channels channels;
  int status, result = answer_send(conn);
  while (result == SSE_OK && conn->out_len == 0 && !conn->last &&
         (status = request_read(&request, conn->in, conn->in_len)) != 0) {
    size_t size = status == 1 ? request.size : conn->in_len;
    if (status == 1) status = request_handle(conn->tls.server->app, &request, &channels);
    int error = status == 0 ? stream_open(conn, channels.list, request.last_id) : SSE_OK;
    if (status == 0 && !error) return stream_send(conn);
    conn->last = error || status >= 400 || !request.keep_alive;
    conn->out_len = error ? request_refuse(conn->out, conn->tls.server->app->hub, error)
                          : request_answer(conn->out, status, request.path, !conn->last);
    memmove(conn->in, conn->in + size, conn->in_len -= size);
    tls_conn_expire(&conn->tls, REQUEST_TIME_MS);
    result = answer_send(conn);
  }
  return result;
}

/* Reads once, and what OpenSSL has already taken from the socket, which no event would tell of. */
static int read_requests(struct conn *conn) {
  do {
    ssize_t got = tls_read(conn->tls.ssl, conn->in + conn->in_len, REQUEST_MAX - conn->in_len);
    if (got < 0) return got == SSE_EHELD ? SSE_OK : (int)got;
    conn->in_len += (size_t)got;
    int result = serve_requests(conn);
    if (result != SSE_OK) return result;
  } while (SSL_pending(conn->tls.ssl) > 0 && conn->out_len == 0 && !conn->stream && !conn->last);
  return SSE_OK;
}

/* What comes during a stream or behind the last answer is dropped; what counts is that a client's
 * close is seen. */
static int drop_input(struct conn *conn) {
  char waste[4096];
  ssize_t got;
  do got = tls_read(conn->tls.ssl, waste, sizeof waste);
  while (got > 0 && SSL_pending(conn->tls.ssl) > 0);
  return got >= 0 || got == SSE_EHELD ? SSE_OK : (int)got;
}

static int conn_event(struct tls_conn *tls) {
  struct conn *conn = (struct conn *)tls;
  int result = conn->stream ? stream_send(conn) : serve_requests(conn);
  if (result != SSE_OK || conn->out_len > 0) return result;
  if (!conn->stream && !conn->last) return read_requests(conn);
  free(conn->in);
  conn->in = NULL;
  return drop_input(conn);
}

static int conn_open(struct tls_conn *tls) {
  struct conn *conn = (struct conn *)tls;
  conn->in = malloc(REQUEST_MAX);
  return conn->in ? SSE_OK : SSE_ENOMEM;
}

static void conn_close(struct tls_conn *tls) {
  struct conn *conn = (struct conn *)tls;
  sse_stream_free(conn->stream);
  free(conn->in);
}

int main(int argc, char **argv) {
  static const struct tls_host host = {.protocol = "http/1.1",
                                       .conn_size = sizeof(struct conn),
                                       .open = conn_open,
                                       .event = conn_event,
                                       .close = conn_close};
  struct app app;
  struct tls_server server;
  sse_loop *loop;
  app_start(&app, argc, argv);
  tls_server_open(&server, &host, &app);
  if (sse_loop_new(&loop, app.hub, &(const sse_loop_config){.wake = wake, .wake_arg = &server}))
    return 1;
  server.user = loop;
  app_listening(&app, server.port);
  while (tls_server_wait(&server, sse_loop_timeout(loop)) == 0) serve_streams(loop);

  app_stop_ticker(&app);
  tls_server_close(&server);
  sse_loop_free(loop);
  return app_end(&app);
}
