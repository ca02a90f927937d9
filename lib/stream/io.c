/* SPDX-License-Identifier: MIT */
/* io.c: push on top of pull: flush to a writev callback or a socket, and the blocking run. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#include <sse/io.h>

#include "stream/backfill.h"
#include "stream/loop.h"
#include "stream/outq.h"

#define FLUSH_TURNS 16   /* writes of one stream before the loop's other streams are served */
#define PROBE_MS    1000 /* interval at which the blocking run checks for a closed client */

/* ---- flush ---- */

/* The transport of a standalone stream is full: it counts as slow until it is caught up again. */
static void keep_up_no_more(struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  struct sse__standalone *standalone = sse__stream_standalone(stream);
  if (standalone) sse__lag_drop(&stream->hub->lags, &standalone->lag);
}

/* The transport will be offered the same bytes again. */
static int keep_all(struct sse_stream *stream) {
  if (!stream->sub.standalone || stream->hub->forked) return SSE_EAGAIN;
  pthread_mutex_lock(&stream->hub->lock);
  keep_up_no_more(stream);
  pthread_mutex_unlock(&stream->hub->lock);
  return SSE_EAGAIN;
}

/*
 * The transport took nothing and keeps nothing, so frames of which no byte was sent are not
 * pinned.
 */
static int requeue_all(struct sse_stream *stream) {
  bool own = stream->sub.standalone || stream->detached;
  if (stream->hub->forked) return SSE_EFORK; /* by the transport */
  pthread_mutex_lock(&stream->hub->lock);
  uint64_t backfill_from = sse__outq_requeue(stream);
  keep_up_no_more(stream);
  if (backfill_from > 0) sse__backfill_requeue(stream, backfill_from);
  sse__outq_close(stream, own ? &stream->hub->spare : &SSE__LOOP(stream->sub.u.inbox)->spare);
  pthread_mutex_unlock(&stream->hub->lock);
  return SSE_EAGAIN;
}

static int io_fail(struct sse_stream *stream, int reason) {
  if (stream->hub->forked) return SSE_EFORK;
  pthread_mutex_lock(&stream->hub->lock);
  sse__stream_end(stream, reason);
  pthread_mutex_unlock(&stream->hub->lock);
  return reason;
}

static size_t iov_bytes(const struct iovec *iov, int count) {
  size_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += iov[i].iov_len;
  return bytes;
}

/*
 * Gives the transport what is in flight once. Returns 1 if it took something, 0 if there was
 * nothing, or the error.
 */
static int flush_once(struct sse_stream *stream, sse_writev_fn *write, void *io) {
  struct iovec iov[SSE__OUTQ_MAX];
  int count = sse_stream_peek(stream, iov, SSE__OUTQ_MAX);
  if (count <= 0) return count;
  ssize_t taken = write(io, iov, count);
  if (taken == SSE_EAGAIN) return requeue_all(stream);
  if (taken == SSE_EHELD) return keep_all(stream);
  if (taken == SSE_ECLOSED || taken == SSE_ESTALLED) return io_fail(stream, (int)taken);
  if (taken < 0) return io_fail(stream, SSE_EIO);
  if (taken == 0 || (size_t)taken > iov_bytes(iov, count)) return io_fail(stream, SSE_ECALLBACK);
  sse_stream_consume(stream, (size_t)taken);
  return 1;
}

int sse_stream_flush(sse_stream *stream, sse_writev_fn *write, void *io) {
  int result;
  if (!stream || !write) return SSE_EINVAL;
  for (int turn = 1; (result = flush_once(stream, write, io)) > 0; turn++) {
    if (turn < FLUSH_TURNS || stream->sub.standalone) continue;
    sse__loop_queue(SSE__LOOP(stream->sub.u.inbox), stream);
    return SSE_OK;
  }
  return result;
}

/* ---- sockets ---- */

static ssize_t write_fd(void *io, const struct iovec *iov, int count) {
  const int *fd = io;
  ssize_t sent;
  do {
    sent = sse__os_send(*fd, iov, count);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return sent;
  if (errno == EAGAIN || errno == EWOULDBLOCK) return SSE_EAGAIN;
  if (errno == ETIMEDOUT) return SSE_ESTALLED; /* the deadline of sse_stream_prepare_fd */
  return errno == EPIPE || errno == ECONNRESET ? SSE_ECLOSED : SSE_EIO;
}

int sse_stream_flush_fd(sse_stream *stream, int fd) {
  return sse_stream_flush(stream, write_fd, &fd);
}

int sse_stream_prepare_fd(sse_stream *stream, int fd) {
  if (!stream) return SSE_EINVAL;
  if (stream->hub->forked) return SSE_EFORK;
  int error = sse__os_prepare(fd, stream->sub.live.stall_ms);
  if (error == 0) return SSE_OK;
  errno = error;
  return error == ENOPROTOOPT ? SSE_ENOTFOUND : SSE_EIO;
}

/* ---- the blocking run ---- */

/* Reads and drops what a client sends; false if it has closed. */
static bool drain_input(int fd) {
  char waste[512];
  ssize_t got = recv(fd, waste, sizeof waste, MSG_DONTWAIT);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

/* Why poll reports an error: the deadline of the socket has passed, or the client is gone. */
static int judge_error(struct sse_stream *stream, int fd) {
  int error = 0;
  socklen_t len = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
  return error == ETIMEDOUT ? io_fail(stream, SSE_ESTALLED) : SSE_ECLOSED;
}

/* Waits at most one probe interval until the socket can take bytes or the client is gone. */
static int wait_for_room(struct sse_stream *stream, int fd) {
  struct pollfd p = {.fd = fd, .events = POLLOUT | POLLIN};
  if (poll(&p, 1, PROBE_MS) <= 0) return SSE_OK;
  if (p.revents & (POLLERR | POLLNVAL)) return judge_error(stream, fd);
  if (p.revents & (POLLIN | POLLHUP)) return drain_input(fd) ? SSE_OK : SSE_ECLOSED;
  return SSE_OK;
}

static int probe_fd(struct sse_stream *stream, int fd) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  if (poll(&p, 1, 0) <= 0) return SSE_OK;
  if (p.revents & (POLLERR | POLLNVAL)) return judge_error(stream, fd);
  return drain_input(fd) ? SSE_OK : SSE_ECLOSED;
}

int sse_stream_run(sse_stream *stream, int fd) {
  int result = stream && stream->sub.standalone ? SSE_OK : SSE_EINVAL;

  /* What a system or a kind of socket lacks is no reason not to serve it. */
  if (result == SSE_OK) sse_stream_prepare_fd(stream, fd);
  while (result >= 0) {
    result = sse_stream_wait(stream, PROBE_MS);
    if (result > 0) result = sse_stream_flush_fd(stream, fd);
    if (result == SSE_EAGAIN) {
      result = wait_for_room(stream, fd);
    } else if (result >= 0 || result == SSE_ENOMEM) {
      result = probe_fd(stream, fd);
    }
  }
  return result;
}
