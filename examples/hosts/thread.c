/* SPDX-License-Identifier: MIT */
/* thread.c: libsse with a blocking thread for each connection. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "request.h"

#define STACK_BYTES (256 * 1024)

/* The connections that are open, so that the end of the program can end them. */
struct conn {
  struct conn *next, **link;
  int fd;
};

static struct app app;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list and its sockets */
static pthread_cond_t empty = PTHREAD_COND_INITIALIZER;
static struct conn *conns;

/* ---- The glue between host and libsse begins ---- */

/* The thread lives in sse_stream_run until the client goes, stalls, or the program shuts the socket
 * down; all three are noticed within a second. */
static void serve(int fd, const char *last_id, const struct app_channels *channels) {
  sse_stream *stream;
  const sse_http_head head = {.headers = NULL};
  const sse_stream_config config = {.channels = channels->list, .last_id = last_id, .head = &head};
  int error = sse_stream_open(&stream, app.hub, &config);
  if (error) {
    char answer[ANSWER_MAX];
    send(fd, answer, request_refuse(answer, app.hub, error), MSG_NOSIGNAL);
    return;
  }
  sse_stream_run(stream, fd);
  sse_stream_free(stream);
}

/* ---- The glue ends ---- */

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reads until a request is whole, for so long and not longer; as request_read, or 0. */
static int await_request(int fd, struct request *request, char *in, size_t *in_len) {
  int64_t until = now_ms() + REQUEST_TIME_MS;
  int status;
  while ((status = request_read(request, in, *in_len)) == 0) {
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    int64_t left = until - now_ms();
    if (left <= 0 || poll(&poller, 1, (int)left) <= 0) return 0;
    ssize_t got = recv(fd, in + *in_len, REQUEST_MAX - *in_len, 0);
    if (got <= 0) return 0;
    *in_len += (size_t)got;
  }
  return status;
}

/* Deals with requests until one is for a stream: 1 then; 0 if the connection is over. */
static int await_stream(int fd, char *in, char *last_id, struct app_channels *channels) {
  struct request request;
  char answer[ANSWER_MAX];
  int status, keep;
  for (size_t in_len = 0; (status = await_request(fd, &request, in, &in_len)) != 0;) {
    keep = status == 1 && request.keep_alive;
    if (status == 1) status = request_handle(&app, &request, channels);
    if (status == 0) {
      memcpy(last_id, request.last_id, sizeof request.last_id);
      return 1;
    }
    size_t len = request_answer(answer, status, request.path, keep);
    if (send(fd, answer, len, MSG_NOSIGNAL) != (ssize_t)len || !keep) return 0;
    in_len -= request.size;
    memmove(in, in + request.size, in_len);
  }
  return 0;
}

static void *connection(void *arg) {
  struct conn *conn = arg;
  struct app_channels channels;
  char last_id[SSE_ID_BYTES_MAX + 1], *in = malloc(REQUEST_MAX);
  int streams = in && await_stream(conn->fd, in, last_id, &channels);
  free(in);
  if (streams) serve(conn->fd, last_id, &channels);
  pthread_mutex_lock(&lock);
  if (conn->next) conn->next->link = conn->link;
  *conn->link = conn->next;
  close(conn->fd);
  free(conn);
  if (!conns) pthread_cond_signal(&empty);
  pthread_mutex_unlock(&lock);
  return NULL;
}

/* False if there is no descriptor, memory or thread for it; a client that is already accepted is
 * then closed, and a browser returns. */
static bool start_connection(int listener, const pthread_attr_t *attr) {
  pthread_t thread;
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  struct conn *conn = fd >= 0 ? malloc(sizeof *conn) : NULL;
  bool started = false;
  if (conn) {
    pthread_mutex_lock(&lock);
    *conn = (struct conn){.next = conns, .link = &conns, .fd = fd};
    if (pthread_create(&thread, attr, connection, conn) == 0) {
      if (conns) conns->link = &conn->next;
      conns = conn;
      fd = -1;
      started = true;
    } else {
      free(conn);
    }
    pthread_mutex_unlock(&lock);
  }
  if (fd >= 0) close(fd);
  return started;
}

/* Under the lock no socket is closed, so none is another's by now. */
static void end_connections(void) {
  pthread_mutex_lock(&lock);
  for (struct conn *conn = conns; conn; conn = conn->next) shutdown(conn->fd, SHUT_RDWR);
  while (conns) pthread_cond_wait(&empty, &lock);
  pthread_mutex_unlock(&lock);
}

int main(int argc, char **argv) {
  app_start(&app, argc, argv);
  int port, listener = app_listen(&app, &port);
  fcntl(listener, F_SETFL, O_NONBLOCK); /* a client may be gone before it is accepted */
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attr, STACK_BYTES);
  app_listening(&app, port);
  struct pollfd fds[] = {{.fd = listener, .events = POLLIN}, {.fd = app.stop_fd, .events = POLLIN}};
  for (bool full = false; !fds[1].revents;) {
    /* The listener would be ready all the time, so for a moment it is left out. */
    if ((full ? poll(&fds[1], 1, APP_PAUSE_MS) : poll(fds, 2, -1)) < 0) break;
    full = !full && fds[0].revents && !start_connection(listener, &attr);
  }
  app_stop_ticker(&app);
  end_connections();
  pthread_attr_destroy(&attr);
  close(listener);
  return app_end(&app);
}
