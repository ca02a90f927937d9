/* SPDX-License-Identifier: MIT */
/* libuv.c: streams on a libuv loop: their bytes are lent to uv_write() until its callback. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "app.h"
#include "request.h"

#define PIECES 16 /* of a stream in one uv_write: what waits in libuv for a client that is slow */

struct conn {
  uv_tcp_t tcp;
  uv_timer_t deadline; /* the request must be whole by then */
  int handles;         /* of these two, not yet closed */
  sse_stream *stream;  /* NULL: a request is being read */
  uv_write_t write;
  size_t lent; /* bytes of the stream that uv_write has; 0: none */
  char *in;    /* the request; NULL once there is a stream */
  size_t in_len;
};

static struct app app;
static uv_loop_t uv;
static uv_timer_t accept_pause; /* until a client that waits is accepted */

static void close_conn(struct conn *conn);
static void serve(struct conn *conn);

/* ---- The glue between host and libsse begins ---- */

static sse_loop *loop;
static uv_async_t woken;
static uv_prepare_t rounds;
static uv_timer_t timer;

/* From the thread of a publisher; no other call of libuv is allowed there. */
static int wake(void *arg, unsigned why) {
  (void)arg, (void)why;
  return uv_async_send(&woken);
}

/* Until here the bytes were libuv's. It is called for a connection that is being closed, too, and
 * before its handle's callback, which frees the stream. */
static void written(uv_write_t *write, int status) {
  struct conn *conn = write->handle->data;
  size_t lent = conn->lent;
  conn->lent = 0;
  if (uv_is_closing((uv_handle_t *)&conn->tcp)) return;
  if (status < 0) {
    close_conn(conn);
    return;
  }
  sse_stream_consume(conn->stream, lent);
  serve(conn);
}

/* Lends the next bytes to libuv: they stay where they are until they are written. While libuv has
 * some, this only looks whether the stream is over. */
static void serve(struct conn *conn) {
  struct iovec iov[PIECES];
  uv_buf_t bufs[PIECES];
  int count = sse_stream_peek(conn->stream, iov, PIECES);
  if (count == 0 || (count > 0 && conn->lent)) return;
  for (int i = 0; i < count; i++) {
    bufs[i] = uv_buf_init(iov[i].iov_base, (unsigned)iov[i].iov_len);
    conn->lent += bufs[i].len;
  }
  if (count < 0 ||
      uv_write(&conn->write, (uv_stream_t *)&conn->tcp, bufs, (unsigned)count, written))
    close_conn(conn);
}

/* To wake up is all that the timer does. */
static void awake(uv_timer_t *handle) {
  (void)handle;
}

/* Before libuv sleeps, each time: a round. */
static void run_round(uv_prepare_t *handle) {
  (void)handle;
  for (sse_stream *stream; (stream = sse_loop_next(loop));) serve(sse_stream_user(stream));
  int timeout = sse_loop_timeout(loop);
  if (timeout >= 0) uv_timer_start(&timer, awake, (uint64_t)timeout, 0);
}

static int start_rounds(void) {
  uv_async_init(&uv, &woken, NULL);
  uv_timer_init(&uv, &timer);
  uv_prepare_init(&uv, &rounds);
  uv_prepare_start(&rounds, run_round);
  return sse_loop_new(&loop, app.hub, &(const sse_loop_config){.wake = wake});
}

/* When every stream is detached; after it no wake comes, so its handle may go. */
static void stop_rounds(void) {
  sse_loop_free(loop);
  uv_close((uv_handle_t *)&woken, NULL);
  uv_close((uv_handle_t *)&timer, NULL);
  uv_close((uv_handle_t *)&rounds, NULL);
}

/* ---- The glue ends ---- */

static void free_conn(uv_handle_t *handle) {
  struct conn *conn = handle->data;
  if (--conn->handles > 0) return;
  sse_stream_free(conn->stream);
  free(conn->in);
  free(conn);
}

/* The stream goes in two steps: nothing comes for it from now on, but its bytes may still be with
 * libuv until the callback. */
static void close_conn(struct conn *conn) {
  if (uv_is_closing((uv_handle_t *)&conn->tcp)) return;
  sse_stream_detach(conn->stream);
  uv_close((uv_handle_t *)&conn->tcp, free_conn);
  uv_close((uv_handle_t *)&conn->deadline, free_conn);
}

static int open_stream(struct conn *conn, const struct request *request,
                       const struct app_channels *channels) {
  const sse_http_head head = {.headers = NULL};
  const sse_stream_config config = {.channels = channels->list,
                                    .last_id = request->last_id,
                                    .user = conn,
                                    .loop = loop,
                                    .head = &head};
  int error = sse_stream_open(&conn->stream, app.hub, &config);
  uv_os_fd_t fd;
  if (error) return error;
  if (uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0) sse_stream_prepare_fd(conn->stream, fd);
  uv_timer_stop(&conn->deadline);
  free(conn->in);
  conn->in = NULL;
  return SSE_OK;
}

/* Deals with what was read; false when the connection is over. */
static bool handle_requests(struct conn *conn) {
  struct app_channels channels;
  struct request request;
  char answer[ANSWER_MAX];
  int status;
  while ((status = request_read(&request, conn->in, conn->in_len)) != 0) {
    bool keep = status == 1 && request.keep_alive;
    if (status == 1) status = request_handle(&app, &request, &channels);
    int error = status == 0 ? open_stream(conn, &request, &channels) : SSE_OK;
    if (status == 0 && !error) return true;
    size_t len = error ? request_refuse(answer, app.hub, error)
                       : request_answer(answer, status, request.path, keep);
    uv_buf_t buf = uv_buf_init(answer, (unsigned)len);
    if (error) keep = false;
    if (uv_try_write((uv_stream_t *)&conn->tcp, &buf, 1) != (int)buf.len || !keep) return false;
    conn->in_len -= request.size;
    memmove(conn->in, conn->in + request.size, conn->in_len);
  }
  return true;
}

/* A client that streams has nothing more to say: what it sends is dropped, its end is noticed. */
static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buf) {
  static char waste[4096];
  struct conn *conn = handle->data;
  (void)size;
  *buf = conn->in ? uv_buf_init(conn->in + conn->in_len, (unsigned)(REQUEST_MAX - conn->in_len))
                  : uv_buf_init(waste, sizeof waste);
}

static void was_read(uv_stream_t *tcp, ssize_t len, const uv_buf_t *buf) {
  struct conn *conn = tcp->data;
  (void)buf;
  bool good = len >= 0;
  if (len > 0 && conn->in) {
    conn->in_len += (size_t)len;
    good = handle_requests(conn);
  }
  if (!good) close_conn(conn);
}

static void too_late(uv_timer_t *deadline) {
  close_conn(deadline->data);
}

static void was_connected(uv_stream_t *listener, int status);

static void accept_again(uv_timer_t *handle) {
  was_connected(handle->data, 0);
}

/* Without a descriptor, libuv closes the client and says so in status. Without memory, the client
 * waits: libuv stops listening until it is accepted. */
static void was_connected(uv_stream_t *listener, int status) {
  struct conn *conn = status == 0 ? calloc(1, sizeof *conn) : NULL;
  if (!conn) {
    accept_pause.data = listener;
    if (status == 0) uv_timer_start(&accept_pause, accept_again, APP_PAUSE_MS, 0);
    return;
  }
  conn->in = malloc(REQUEST_MAX);
  conn->handles = 2;
  uv_tcp_init(&uv, &conn->tcp);
  uv_timer_init(&uv, &conn->deadline);
  conn->tcp.data = conn->deadline.data = conn;
  if (!conn->in || uv_accept(listener, (uv_stream_t *)&conn->tcp)) {
    close_conn(conn);
    return;
  }
  uv_tcp_nodelay(&conn->tcp, 1);
  uv_timer_start(&conn->deadline, too_late, REQUEST_TIME_MS, 0);
  uv_read_start((uv_stream_t *)&conn->tcp, give_buffer, was_read);
}

static void stop(uv_poll_t *handle, int status, int events) {
  (void)status, (void)events;
  uv_stop(handle->loop);
}

static void close_if_conn(uv_handle_t *handle, void *arg) {
  (void)arg;
  if (handle->type == UV_TCP && handle->data) close_conn(handle->data);
}

int main(int argc, char **argv) {
  int port;
  uv_tcp_t listener;
  uv_poll_t stopper;
  app_start(&app, argc, argv);
  uv_loop_init(&uv);
  uv_tcp_init(&uv, &listener);
  listener.data = NULL;
  uv_tcp_open(&listener, app_listen(&app, &port));
  uv_timer_init(&uv, &accept_pause);
  uv_poll_init(&uv, &stopper, app.stop_fd);
  uv_poll_start(&stopper, UV_READABLE, stop);
  if (start_rounds() || uv_listen((uv_stream_t *)&listener, SOMAXCONN, was_connected)) return 1;
  app_listening(&app, port);
  uv_run(&uv, UV_RUN_DEFAULT);
  app_stop_ticker(&app);
  uv_walk(&uv, close_if_conn, NULL);
  stop_rounds();
  uv_close((uv_handle_t *)&accept_pause, NULL);
  uv_close((uv_handle_t *)&stopper, NULL);
  uv_close((uv_handle_t *)&listener, NULL);
  uv_run(&uv, UV_RUN_DEFAULT);
  uv_loop_close(&uv);
  return app_end(&app);
}
