/* SPDX-License-Identifier: MIT */
/* conn.c: what a connection does next; every call returns at once, whatever the client does. */
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collect.h"
#include "later.h"
#include "poller.h"
#include "worker.h"

enum {
  REQUEST_TIMEOUT = 408,
  DROP_BYTES = 4096,      /* at one time */
  DROPPED_MAX = 64 * 1024 /* by a streaming client, which has nothing to say */
};

/* ---- Small steps ---- */

static void wait_for(struct httpd_conn *conn, unsigned what) {
  if (conn->waiting_for == what) return;
  conn->waiting_for = (unsigned char)what;
  if (poller_change(conn->worker->poller, conn->fd, what, conn) != 0) conn_close(conn);
}

static void start_deadline(struct httpd_conn *conn, enum deadline_kind kind) {
  deadline_start(&conn->worker->deadlines, &conn->deadline, kind, conn->worker->now_ms);
}

static void release_request(struct httpd_conn *conn) {
  if (conn->request) worker_return_request(conn->worker, conn->request);
  conn->request = NULL;
}

static int would_block(void) {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/*
 * To close while bytes of the client are unread would be a reset, which can overtake the response
 * and destroy it. So: say that we are done, and read on for a moment until the client is, too.
 */
static void linger(struct httpd_conn *conn) {
  conn->phase = CONN_LINGERING;
  shutdown(conn->fd, SHUT_WR);
  start_deadline(conn, DEADLINE_LINGER);
  wait_for(conn, POLLER_READ);
}

/* ---- Beginning and end ---- */

void conn_open(struct worker *worker, int fd) {
  struct httpd_conn *conn = calloc(1, sizeof *conn);
  if (!conn || poller_add(worker->poller, fd, POLLER_READ, conn) != 0) {
    free(conn);
    close(fd);
    atomic_fetch_sub_explicit(&worker->load, 1, memory_order_relaxed);
    return;
  }
  conn->worker = worker;
  conn->fd = fd;
  conn->waiting_for = POLLER_READ;
  start_deadline(conn, DEADLINE_IDLE);
}

/* The request stays until the end of the round: the handler that is running may still read it. */
void conn_close(struct httpd_conn *conn) {
  struct worker *worker = conn->worker;
  if (conn->phase == CONN_CLOSED) return;
  later_abandon(conn);
  if (conn->phase == CONN_STREAMING) sse_stream_free(conn->stream);
  if (conn->phase == CONN_COLLECTING) collect_free(conn->collect);
  if (conn->phase == CONN_REPLYING) free(conn->output);
  conn->phase = CONN_CLOSED;
  poller_remove(worker->poller, conn->fd);
  close(conn->fd);
  deadline_stop(&conn->deadline);
  conn->next_closed = worker->closed;
  worker->closed = conn;
  atomic_fetch_sub_explicit(&worker->load, 1, memory_order_relaxed);
}

/* ---- Requests ---- */

/* 0 if a request waits for its turn, or if the one whose reply is pending was the last. */
static int reads_on(const struct httpd_conn *conn) {
  return !conn->held && (!conn->last_later || conn->keep_alive);
}

/* Between requests a connection costs no more than its struct. */
static void await_more(struct httpd_conn *conn) {
  static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
  if (!reads_on(conn)) {
    start_deadline(conn, DEADLINE_NONE);
    wait_for(conn, 0);
    return;
  }
  if (!conn->request || request_is_empty(conn->request)) {
    release_request(conn);
    start_deadline(conn, conn->last_later ? DEADLINE_NONE : DEADLINE_IDLE);
  } else if (conn->deadline.kind != DEADLINE_REQUEST) {
    start_deadline(conn, DEADLINE_REQUEST);
  }
  /* The reply to an earlier request comes first. */
  if (conn->request && !conn->last_later && request_wants_continue(conn->request) &&
      send(conn->fd, go_on, sizeof go_on - 1, 0) != sizeof go_on - 1) {
    conn_close(conn);
    return;
  }
  wait_for(conn, POLLER_READ);
}

void conn_stop(struct httpd_conn *conn) {
  if (!conn->last_later || conn->phase == CONN_CLOSED) {
    conn_close(conn);
    return;
  }
  conn->keep_alive = 0;
  if (conn->phase == CONN_READING) await_more(conn);
}

/*
 * Replies that are pending hold up a request unless it has their handler, and they are not too many.
 * The bodies count because what a handler keeps for a reply, and the reply, may be as long.
 */
static int has_to_wait(const struct httpd_conn *conn, int status) {
  if (!conn->last_later || status != REQUEST_READY) return 0;
  return conn->laters >= HTTPD_LATER_MAX ||
         conn->later_bytes + conn->request->body_len > conn->worker->config->body_max_bytes ||
         route_handler(conn, conn->request) != later_handler(conn);
}

static void answer(struct httpd_conn *conn, int status) {
  conn->answered = 0;
  conn->keep_alive = status == REQUEST_READY && conn->request->keep_alive;
  conn->head_only = status == REQUEST_READY && strcmp(conn->request->method, "HEAD") == 0;
  if (status == REQUEST_READY)
    route_request(conn, conn->request);
  else
    httpd_reply(conn, &(struct httpd_response){.status = status});
  if (!conn->answered) httpd_reply(conn, &(struct httpd_response){.status = 500});
}

/* Answers what has come whole. One that is not fully sent holds up those behind it. */
static void serve(struct httpd_conn *conn, int status) {
  while (conn->phase == CONN_READING && status != REQUEST_MORE) {
    conn->held = (unsigned char)has_to_wait(conn, status);
    if (conn->held) break;
    answer(conn, status);
    conn->used = conn->phase == CONN_REPLYING || conn->phase == CONN_COLLECTING;
    if (conn->phase != CONN_READING || !conn->keep_alive) break;
    start_deadline(conn, conn->last_later ? DEADLINE_NONE : DEADLINE_IDLE);
    status = request_next(conn->request);
  }
  if (conn->phase == CONN_READING)
    await_more(conn);
  else if (!conn->used || (conn->phase == CONN_COLLECTING && !request_has_more(conn->request)))
    release_request(conn);
}

void conn_go_on(struct httpd_conn *conn) {
  later_send(conn);
  if (conn->phase == CONN_LINGERING) release_request(conn);
  if (conn->phase != CONN_READING) return;
  int status = conn->held && conn->request ? REQUEST_READY : REQUEST_MORE;
  if (conn->used && conn->request) status = request_next(conn->request);
  conn->used = 0;
  if (!conn->last_later || conn->keep_alive) serve(conn, status);
}

/* A request that does not come to its end is answered, too; all else is just closed. */
void conn_overdue(struct httpd_conn *conn) {
  if (conn->deadline.kind == DEADLINE_REQUEST)
    serve(conn, REQUEST_TIMEOUT);
  else
    conn_close(conn);
}

/* The client still takes replies, or its connection would fail. */
static void end_requests(struct httpd_conn *conn) {
  conn->keep_alive = 0;
  release_request(conn);
  await_more(conn);
}

static void read_request(struct httpd_conn *conn) {
  if (!conn->request) conn->request = worker_borrow_request(conn->worker);
  if (!conn->request) {
    conn_close(conn);
    return;
  }
  char *at;
  size_t space = request_space(conn->request, &at);
  ssize_t len = recv(conn->fd, at, space, 0);
  if (len > 0)
    serve(conn, request_filled(conn->request, (size_t)len));
  else if (len == 0 && conn->last_later)
    end_requests(conn);
  else if (len == 0 || !would_block())
    conn_close(conn);
  else if (request_is_empty(conn->request))
    release_request(conn);
}

static void drop_input(struct httpd_conn *conn) {
  char drop[DROP_BYTES];
  ssize_t len = recv(conn->fd, drop, sizeof drop, 0);
  if (len < 0 && would_block()) return;
  /* The end of input is the end of the client: a browser never shuts down its half alone. */
  if (len <= 0) {
    conn_close(conn);
    return;
  }
  conn->dropped += (unsigned)len;
  if (conn->phase == CONN_STREAMING && conn->dropped > DROPPED_MAX) conn_close(conn);
}

/* ---- Responses ---- */

static void reply_sent(struct httpd_conn *conn) {
  if (!conn->keep_alive && !conn->last_later) linger(conn);
}

/* Copies the `rest` bytes behind the first `sent` ones. */
static struct output *keep_rest(const struct iovec *parts, int count, size_t sent, size_t rest) {
  struct output *output = malloc(sizeof *output + rest);
  if (!output) return NULL;
  output->sent = output->len = 0;
  for (int i = 0; i < count; i++) {
    size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;
    sent -= skip;
    memcpy(output->bytes + output->len, (const char *)parts[i].iov_base + skip,
           parts[i].iov_len - skip);
    output->len += parts[i].iov_len - skip;
  }
  return output;
}

void conn_send(struct httpd_conn *conn, const struct iovec *parts, int count) {
  size_t len = 0;
  for (int i = 0; i < count; i++) len += parts[i].iov_len;
  conn->answered = 1;
  ssize_t written = writev(conn->fd, parts, count);
  if (written < 0 && !would_block()) {
    conn_close(conn);
    return;
  }
  size_t sent = written < 0 ? 0 : (size_t)written;
  if (sent == len) {
    reply_sent(conn);
    return;
  }
  struct output *output = keep_rest(parts, count, sent, len - sent);
  if (!output) {
    conn_close(conn);
    return;
  }
  conn->phase = CONN_REPLYING;
  conn->output = output;
  start_deadline(conn, DEADLINE_SEND);
  wait_for(conn, POLLER_WRITE);
}

static void send_rest(struct httpd_conn *conn) {
  struct output *output = conn->output;
  ssize_t sent = send(conn->fd, output->bytes + output->sent, output->len - output->sent, 0);
  if (sent < 0) {
    if (!would_block()) conn_close(conn);
    return;
  }
  output->sent += (size_t)sent;
  if (output->sent < output->len) return;
  free(output);
  conn->phase = CONN_READING;
  reply_sent(conn);
  if (conn->phase == CONN_READING)
    conn_go_on(conn);
  else
    release_request(conn);
}

/* ---- Streams ---- */

void conn_start_stream(struct httpd_conn *conn, sse_stream *stream) {
  sse_stream_prepare_fd(stream, conn->fd);
  conn->answered = 1;
  conn->phase = CONN_STREAMING;
  conn->stream = stream;
  start_deadline(conn, DEADLINE_NONE);
  conn_flush(conn); /* its first bytes are there at once */
}

void conn_start_collecting(struct httpd_conn *conn, struct collect *collect) {
  conn->answered = 1;
  conn->phase = CONN_COLLECTING;
  conn->collect = collect;
  start_deadline(conn, DEADLINE_NONE);
  wait_for(conn, POLLER_READ);
}

/* Replies when there is something to give. */
static void go_on_collecting(struct httpd_conn *conn) {
  struct collect *collect = conn->collect;
  if (!collect_read(collect)) return;
  conn->phase = CONN_READING;
  conn->answered = 0;
  collect_reply(conn, collect);
  if (conn->phase == CONN_READING) conn_go_on(conn);
  if (conn->phase == CONN_LINGERING) release_request(conn);
}

/* Requests behind this one wait in the socket. Once there are some, its end is not seen. */
static void watch_client(struct httpd_conn *conn) {
  char one;
  ssize_t len = recv(conn->fd, &one, 1, MSG_PEEK);
  if (len > 0)
    wait_for(conn, 0);
  else if (len == 0 || !would_block())
    conn_close(conn);
}

/*
 * POLLER_READ is always on, so that the end of a client is seen at once. Any result but these two
 * is the end of the stream, lack of memory among them: to close gives some back, and the client
 * returns with its last id and misses nothing.
 */
void conn_flush(struct httpd_conn *conn) {
  if (conn->phase == CONN_COLLECTING) {
    go_on_collecting(conn);
    return;
  }
  int result = sse_stream_flush_fd(conn->stream, conn->fd);
  if (result == 0)
    wait_for(conn, POLLER_READ);
  else if (result == SSE_EAGAIN)
    wait_for(conn, POLLER_READ | POLLER_WRITE);
  else
    conn_close(conn);
}

/* ---- Events ---- */

void conn_event(struct httpd_conn *conn, unsigned what) {
  if (conn->phase == CONN_CLOSED) return; /* earlier in this batch */
  if (what & POLLER_GONE) {
    conn_close(conn);
    return;
  }
  if (what & POLLER_WRITE) {
    if (conn->phase == CONN_STREAMING) conn_flush(conn);
    if (conn->phase == CONN_REPLYING) send_rest(conn);
  }
  if (what & POLLER_READ) {
    if (conn->phase == CONN_READING)
      read_request(conn);
    else if (conn->phase == CONN_COLLECTING)
      watch_client(conn);
    else if (conn->phase == CONN_STREAMING || conn->phase == CONN_LINGERING)
      drop_input(conn);
  }
}
