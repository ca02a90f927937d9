/* SPDX-License-Identifier: MIT */
/* worker.c: the event loop: sockets, streams, deadlines, and never a call that blocks. */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "later.h"
#include "poller.h"

enum {
  EVENTS_MAX = 128,    /* events in one batch */
  STREAM_TURNS = 1024, /* streams that are served before sockets are looked at again */
  INBOX_BATCH = 64,    /* new connections in one batch */
  LINGER_MS = 2000,
  LATE_MS = 5000, /* for replies that are pending at the end */
  INBOX_STOP = -1 /* in place of a connection */
};

static int64_t monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- What the worker owns ---- */

/* Called by libsse on whatever thread publishes. */
static int wake(void *poller, unsigned why) {
  (void)why;
  return poller_wake(poller);
}

int worker_init(struct worker *worker, const struct httpd_config *config) {
  const int length_ms[DEADLINE_KINDS] = {[DEADLINE_IDLE] = config->idle_ms,
                                         [DEADLINE_REQUEST] = config->request_ms,
                                         [DEADLINE_SEND] = config->send_ms,
                                         [DEADLINE_LINGER] = LINGER_MS};
  *worker = (struct worker){.config = config, .inbox = {-1, -1}};
  deadlines_init(&worker->deadlines, length_ms);
  worker->poller = poller_new();
  if (worker->poller && pipe(worker->inbox) == 0 &&
      /* Only the reader must not block: a full pipe makes the acceptor wait, as it should. */
      fcntl(worker->inbox[0], F_SETFL, O_NONBLOCK) == 0 &&
      poller_add(worker->poller, worker->inbox[0], POLLER_READ, worker) == 0 &&
      sse_loop_new(&worker->loop, config->hub,
                   &(const sse_loop_config){.wake = wake,
                                            .wake_arg = worker->poller,
                                            .linger_ms = config->linger_ms}) == 0)
    return 0;
  worker_free(worker);
  return -1;
}

void worker_free(struct worker *worker) {
  later_free_given(worker);
  sse_loop_free(worker->loop); /* first: from here on nobody wakes the poller */
  poller_free(worker->poller);
  if (worker->inbox[0] >= 0) {
    close(worker->inbox[0]);
    close(worker->inbox[1]);
  }
  free(worker->spare);
}

struct request *worker_borrow_request(struct worker *worker) {
  struct request *request = worker->spare;
  worker->spare = NULL;
  if (!request) request = malloc(sizeof *request);
  if (request) request_init(request, worker->config->body_max_bytes);
  return request;
}

void worker_return_request(struct worker *worker, struct request *request) {
  request_clear(request);
  free(worker->spare);
  worker->spare = request;
}

/* ---- One round ---- */

static void read_inbox(struct worker *worker) {
  int fds[INBOX_BATCH];
  ssize_t len = read(worker->inbox[0], fds, sizeof fds);
  for (ssize_t i = 0; i < len / (ssize_t)sizeof fds[0]; i++) {
    if (fds[i] == INBOX_STOP)
      worker->stopping = 1;
    else
      conn_open(worker, fds[i]);
  }
}

/* A round of libsse may be long, so it is taken in parts, between which sockets are looked at. */
static void serve_streams(struct worker *worker) {
  for (int turn = 0; turn < STREAM_TURNS; turn++) {
    sse_stream *stream = sse_loop_next(worker->loop);
    if (!stream) return;
    conn_flush(sse_stream_user(stream));
  }
}

static void end_overdue(struct worker *worker) {
  struct deadline *due;
  while ((due = deadlines_due(&worker->deadlines, worker->now_ms))) conn_overdue(conn_of(due));
}

static void free_closed(struct worker *worker) {
  while (worker->closed) {
    struct httpd_conn *conn = worker->closed;
    worker->closed = conn->next_closed;
    if (conn->request) worker_return_request(worker, conn->request);
    free(conn);
  }
}

static int sleep_ms(struct worker *worker) {
  int streams = sse_loop_timeout(worker->loop);
  int sockets = deadlines_timeout(&worker->deadlines, monotonic_ms());
  return streams < 0 || (sockets >= 0 && sockets < streams) ? sockets : streams;
}

static void do_round(struct worker *worker, int wait_ms) {
  struct poller_event events[EVENTS_MAX];
  int count = poller_wait(worker->poller, events, EVENTS_MAX, wait_ms);
  worker->now_ms = monotonic_ms();
  for (int i = 0; i < count; i++) {
    if (events[i].data == worker)
      read_inbox(worker);
    else
      conn_event(events[i].data, events[i].what);
  }
  serve_streams(worker);
  end_overdue(worker);
  later_take(worker);
  free_closed(worker);
}

static void stop_one(struct deadline *deadline) {
  conn_stop(conn_of(deadline));
}

/* Replies that are pending have a moment; all else is closed. */
static void close_all(struct worker *worker) {
  int64_t until_ms = monotonic_ms() + LATE_MS, left_ms;
  deadlines_each(&worker->deadlines, stop_one);
  free_closed(worker);
  while (worker->laters > 0 && (left_ms = until_ms - monotonic_ms()) > 0)
    do_round(worker, (int)left_ms);
  struct deadline *any;
  while ((any = deadlines_any(&worker->deadlines))) conn_close(conn_of(any));
  free_closed(worker);
}

static _Thread_local struct worker *current;

struct worker *worker_current(void) {
  return current;
}

static void *run(void *arg) {
  struct worker *worker = current = arg;
  while (!worker->stopping) do_round(worker, sleep_ms(worker));
  close_all(worker);
  return NULL;
}

/* ---- For the acceptor ---- */

int worker_start(struct worker *worker) {
  return pthread_create(&worker->thread, NULL, run, worker) == 0 ? 0 : -1;
}

void worker_take(struct worker *worker, int fd) {
  atomic_fetch_add_explicit(&worker->load, 1, memory_order_relaxed);
  /* So few bytes are written to a pipe whole or not at all. */
  while (write(worker->inbox[1], &fd, sizeof fd) < 0 && errno == EINTR) continue;
}

void worker_stop(struct worker *worker) {
  int stop = INBOX_STOP;
  while (write(worker->inbox[1], &stop, sizeof stop) < 0 && errno == EINTR) continue;
  pthread_join(worker->thread, NULL);
}
