/* SPDX-License-Identifier: MIT */
/* poll.c: libsse in a plain poll loop: one thread, non-blocking sockets, chunked responses. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "request.h"

#define CONNS_MAX 4096

struct conn {
  int fd, slot;       /* its place in the two arrays */
  sse_stream *stream; /* NULL: a request is being read */
  char *in;           /* the request; NULL once there is a stream */
  size_t in_len;
  int64_t until_ms; /* the request must be whole by then */
};

static struct app app;
static sse_loop *loop;
static int wake_pipe[2];

/* The poll loop's two arrays run in parallel, behind the three descriptors that are its own. */
enum {
  LISTENER,
  STOP,
  WAKE,
  OWN
};
static struct pollfd fds[OWN + CONNS_MAX];
static struct conn *conns[OWN + CONNS_MAX];
static int used = OWN;

static void close_conn(struct conn *conn);

/* ---- The glue between host and libsse begins ---- */

/* From the thread of a publisher. A pipe that is full has woken the loop already. */
static int wake(void *arg, unsigned why) {
  (void)arg, (void)why;
  return write(wake_pipe[1], "", 1) == 1 || errno == EAGAIN ? 0 : 1;
}

static int open_stream(struct conn *conn, const struct request *request,
                       const struct app_channels *channels) {
  const sse_http_head head = {.chunked = 1};
  const sse_stream_config config = {.channels = channels->list,
                                    .last_id = request->last_id,
                                    .user = conn,
                                    .loop = loop,
                                    .head = &head};
  int error = sse_stream_open(&conn->stream, app.hub, &config);
  if (!error) sse_stream_prepare_fd(conn->stream, conn->fd);
  return error;
}

/* Sends what there is; a full socket is polled for room. */
static void serve(struct conn *conn) {
  int result = sse_stream_flush_fd(conn->stream, conn->fd);
  if (!sse_error_is_final(result)) {
    fds[conn->slot].events = result == SSE_EAGAIN ? POLLIN | POLLOUT : POLLIN;
  } else {
    close_conn(conn);
  }
}

/* ---- The glue ends ---- */

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void close_conn(struct conn *conn) {
  sse_stream_free(conn->stream);
  close(conn->fd);
  used--;
  fds[conn->slot] = fds[used];
  conns[conn->slot] = conns[used];
  conns[conn->slot]->slot = conn->slot;
  free(conn->in);
  free(conn);
}

/* Without a place, a descriptor or memory, the next client waits in the listener's queue, which
 * the next poll leaves out: it would be ready all the time. */
static void open_conn(void) {
  struct conn *conn = used < OWN + CONNS_MAX ? calloc(1, sizeof *conn) : NULL;
  char *in = conn ? malloc(REQUEST_MAX) : NULL;
  int fd = in ? accept4(fds[LISTENER].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;
  if (fd < 0) {
    fds[LISTENER].events = 0;
    free(in);
    free(conn);
    return;
  }
  *conn = (struct conn){.fd = fd, .slot = used, .in = in, .until_ms = now_ms() + REQUEST_TIME_MS};
  fds[used] = (struct pollfd){.fd = fd, .events = POLLIN};
  conns[used++] = conn;
}

/* Deals with what was read; false when the connection is over. */
static int handle_requests(struct conn *conn) {
  struct app_channels channels;
  struct request request;
  char answer[ANSWER_MAX];
  int status;
  while ((status = request_read(&request, conn->in, conn->in_len)) == 1) {
    status = request_handle(&app, &request, &channels);
    if (status == 0) {
      int error = open_stream(conn, &request, &channels);
      free(conn->in);
      conn->in = NULL;
      if (error) send(conn->fd, answer, request_refuse(answer, app.hub, error), MSG_NOSIGNAL);
      return error == SSE_OK;
    }
    size_t len = request_answer(answer, status, request.path, request.keep_alive);
    if (send(conn->fd, answer, len, MSG_NOSIGNAL) != (ssize_t)len || !request.keep_alive) return 0;
    conn->in_len -= request.size;
    memmove(conn->in, conn->in + request.size, conn->in_len);
    conn->until_ms = now_ms() + REQUEST_TIME_MS;
  }
  if (status == 0) return 1;
  send(conn->fd, answer, request_answer(answer, status, NULL, 0), MSG_NOSIGNAL);
  return 0;
}

/* A client that streams has nothing more to say: what it sends is dropped, its end is noticed. */
static void read_conn(struct conn *conn) {
  char waste[512];
  ssize_t got = conn->stream
                    ? recv(conn->fd, waste, sizeof waste, 0)
                    : recv(conn->fd, conn->in + conn->in_len, REQUEST_MAX - conn->in_len, 0);
  int over = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  if (got > 0 && !conn->stream) {
    conn->in_len += (size_t)got;
    over = !handle_requests(conn);
    if (conn->stream && !over) {
      serve(conn);
      return;
    }
  }
  if (over) close_conn(conn);
}

/* From the last to the first, because one that is closed is replaced by the last. */
static void read_and_write(void) {
  int64_t now = now_ms();
  for (int i = used - 1; i >= OWN; i--) {
    struct conn *conn = conns[i];
    if (!conn->stream && now >= conn->until_ms) {
      close_conn(conn);
    } else if (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) {
      read_conn(conn);
    } else if (fds[i].revents & POLLOUT) {
      serve(conn);
    }
  }
}

static void run(void) {
  char waste[64];
  while (!(fds[STOP].revents & POLLIN)) {
    int timeout = sse_loop_timeout(loop);
    if (timeout < 0 || timeout > 1000) timeout = 1000; /* for the deadlines of requests */
    if (!fds[LISTENER].events && timeout > APP_PAUSE_MS) timeout = APP_PAUSE_MS;
    if (poll(fds, (nfds_t)used, timeout) < 0 && errno != EINTR) break;
    fds[LISTENER].events = POLLIN;
    if (fds[WAKE].revents) (void)!read(wake_pipe[0], waste, sizeof waste);
    read_and_write();
    if (fds[LISTENER].revents) open_conn();
    for (sse_stream *stream; (stream = sse_loop_next(loop));) serve(sse_stream_user(stream));
  }
}

int main(int argc, char **argv) {
  app_start(&app, argc, argv);
  int port, listener = app_listen(&app, &port);
  fcntl(listener, F_SETFL, O_NONBLOCK); /* a client may be gone before it is accepted */
  if (pipe2(wake_pipe, O_NONBLOCK | O_CLOEXEC)) return perror("pipe2"), 1;
  if (sse_loop_new(&loop, app.hub, &(const sse_loop_config){.wake = wake})) return 1;
  fds[LISTENER] = (struct pollfd){.fd = listener, .events = POLLIN};
  fds[STOP] = (struct pollfd){.fd = app.stop_fd, .events = POLLIN};
  fds[WAKE] = (struct pollfd){.fd = wake_pipe[0], .events = POLLIN};
  app_listening(&app, port);
  run();
  app_stop_ticker(&app);
  while (used > OWN) close_conn(conns[used - 1]);
  sse_loop_free(loop);
  close(listener);
  close(wake_pipe[0]);
  close(wake_pipe[1]);
  return app_end(&app);
}
