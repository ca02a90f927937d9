/* SPDX-License-Identifier: MIT */
/* os.c: the calls that differ between systems. */
#if defined(__APPLE__)
#define _DARWIN_C_SOURCE
#elif defined(__FreeBSD__) || defined(__NetBSD__) || defined(__DragonFly__)
#define __BSD_VISIBLE 1
#else
#define _DEFAULT_SOURCE /* getentropy */
#endif

#include "util/os.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

#define NS_PER_S INT64_C(1000000000)

int64_t sse__os_clock(void *arg) {
  struct timespec now;
  (void)arg;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int sse__os_random(void *arg, void *buf, size_t len) {
  (void)arg;
  return getentropy(buf, len);
}

#if defined(__APPLE__)

/* macOS has no pthread_condattr_setclock, but its relative wait counts monotonic time. */
int sse__os_cond_init(pthread_cond_t *cond) {
  return pthread_cond_init(cond, NULL);
}

static void timed_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ns) {
  int64_t left = until_ns - sse__os_clock(NULL);
  if (left <= 0) return;
  struct timespec t = {(time_t)(left / NS_PER_S), (long)(left % NS_PER_S)};
  pthread_cond_timedwait_relative_np(cond, lock, &t);
}

#else

int sse__os_cond_init(pthread_cond_t *cond) {
  pthread_condattr_t attr;
  int error = pthread_condattr_init(&attr);
  if (error) return error;
  error = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  if (!error) error = pthread_cond_init(cond, &attr);
  pthread_condattr_destroy(&attr);
  return error;
}

static void timed_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ns) {
  struct timespec t = {(time_t)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S)};
  pthread_cond_timedwait(cond, lock, &t);
}

#endif

void sse__os_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ns) {
  if (until_ns == INT64_MAX) {
    pthread_cond_wait(cond, lock);
  } else {
    timed_wait(cond, lock, until_ns);
  }
}

#ifdef SSE_DEBUG
bool sse__os_locked(const pthread_mutex_t *mutex) {
  pthread_mutex_t *own = (pthread_mutex_t *)(uintptr_t)mutex;
  if (pthread_mutex_trylock(own)) return true;
  pthread_mutex_unlock(own);
  return false;
}
#endif

#if defined(MSG_NOSIGNAL)

ssize_t sse__os_send(int fd, const struct iovec *iov, int count) {
  struct msghdr msg;
  /* Most calls send one frame; send saves the kernel the copy of a msghdr, 5 % of such a call. */
  if (count == 1) return send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
  memset(&msg, 0, sizeof msg);
  msg.msg_iov = (struct iovec *)iov;
  msg.msg_iovlen = (__typeof__(msg.msg_iovlen))count;
  return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

#else

/* macOS before 15 has no MSG_NOSIGNAL, only an option of the socket. */
ssize_t sse__os_send(int fd, const struct iovec *iov, int count) {
  int on = 1;
  struct msghdr msg;
  setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
  memset(&msg, 0, sizeof msg);
  msg.msg_iov = (struct iovec *)iov;
  msg.msg_iovlen = count;
  return sendmsg(fd, &msg, MSG_DONTWAIT);
}

#endif

/* ---- preparing a socket ---- */

/* macOS has the idle time of keep-alive under another name. */
#if !defined(TCP_KEEPIDLE) && defined(TCP_KEEPALIVE)
#define TCP_KEEPIDLE TCP_KEEPALIVE
#endif

/*
 * The option that bounds the time in which a peer acknowledges nothing, and its unit in ms. Where
 * there is none (NetBSD, OpenBSD), the system gives up by itself after about ten minutes.
 */
#if defined(TCP_USER_TIMEOUT) /* Linux */
#define UNACKED_OPTION TCP_USER_TIMEOUT
#define UNACKED_UNIT   1
#elif defined(TCP_RXT_CONNDROPTIME) /* macOS */
#define UNACKED_OPTION TCP_RXT_CONNDROPTIME
#define UNACKED_UNIT   1000
#elif defined(TCP_MAXUNACKTIME) /* FreeBSD */
#define UNACKED_OPTION TCP_MAXUNACKTIME
#define UNACKED_UNIT   1000
#endif

#define NOTSENT_BYTES    (128 * 1024)
#define KEEPALIVE_PROBES 3
#define KEEPALIVE_S_MAX  32767 /* Linux refuses more */

/* Sets one option. Keeps the first error in *error; an option that this socket lacks is none. */
static void os_set(int fd, int level, int name, int value, int *error) {
  if (setsockopt(fd, level, name, &value, sizeof value) == 0 || errno == ENOPROTOOPT) return;
  if (*error == 0) *error = errno;
}

/* A time in units, rounded up. */
static int os_units(int64_t ms, int64_t unit) {
  return (int)((ms + unit - 1) / unit);
}

/*
 * A stream without heartbeats may send nothing for hours; there keep-alive notices that the peer
 * vanished. The first probe is sent after half the time, and the last one is unanswered when the
 * time has passed. Where the deadline for unacknowledged data is set as well, Linux counts that
 * time for the probes instead of their number. A peer that acknowledges heartbeats in less than
 * half the time is not probed.
 */
static void os_keep_alive(int fd, int32_t stall_ms, int *error) {
  int idle_s = os_units(stall_ms, INT64_C(2000));
  int interval_s = os_units(stall_ms, INT64_C(2000) * KEEPALIVE_PROBES);
  if (idle_s > KEEPALIVE_S_MAX) idle_s = KEEPALIVE_S_MAX;
  if (interval_s > KEEPALIVE_S_MAX) interval_s = KEEPALIVE_S_MAX;
  os_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1, error);
#if defined(TCP_KEEPIDLE)
  os_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s, error);
#endif
#if defined(TCP_KEEPINTVL)
  os_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s, error);
#endif
#if defined(TCP_KEEPCNT)
  os_set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES, error);
#endif
  (void)idle_s, (void)interval_s;
}

/* Sets the deadline for what is unacknowledged. That there is none is an error. */
static void os_bound_unacked(int fd, int32_t stall_ms, int *error) {
  int failed = ENOPROTOOPT;
#if defined(UNACKED_OPTION)
  const int value = os_units(stall_ms, UNACKED_UNIT);
  failed = setsockopt(fd, IPPROTO_TCP, UNACKED_OPTION, &value, sizeof value) ? errno : 0;
#else
  (void)fd, (void)stall_ms;
#endif
  if (*error == 0) *error = failed;
}

/*
 * Without a limit on unsent bytes, Linux takes some 4 MiB for a client that does not read: events
 * that are old when they arrive, and a stall deadline that starts late. With this limit it takes
 * 240 KiB, and the stream skips or conflates for a slow client. Bytes that are on their way do not
 * count, and the time of a delivery is the same with a limit of 16 KiB, this one and none. A bulk
 * transfer waits more often: it takes half as much CPU time again with this limit, and twice as
 * much with 16 KiB; either still moves over 1 GB a second.
 */
static void os_prepare_tcp(int fd, int32_t stall_ms, int *error) {
  os_set(fd, IPPROTO_TCP, TCP_NODELAY, 1, error);
#if defined(TCP_NOTSENT_LOWAT)
  os_set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_BYTES, error);
#endif
  if (stall_ms < 0) return;
  os_keep_alive(fd, stall_ms, error);
  os_bound_unacked(fd, stall_ms, error);
}

int sse__os_prepare(int fd, int32_t stall_ms) {
  struct sockaddr_storage own = {.ss_family = AF_UNIX}; /* where a socket without a name has none */
  socklen_t len = sizeof own;
  int error = 0;
  if (getsockname(fd, (struct sockaddr *)&own, &len)) return errno;
#if defined(SO_NOSIGPIPE)
  os_set(fd, SOL_SOCKET, SO_NOSIGPIPE, 1, &error);
#endif
  if (own.ss_family == AF_INET || own.ss_family == AF_INET6) {
    os_prepare_tcp(fd, stall_ms, &error);
  } else if (own.ss_family != AF_UNIX && stall_ms >= 0) {
    error = ENOPROTOOPT; /* a peer on this machine cannot vanish; any other can */
  }
  return error;
}
