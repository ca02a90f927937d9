/* SPDX-License-Identifier: MIT */
/* poller_epoll.c: poller.h with Linux's epoll, whose cost does not grow with idle connections. */
#include "poller.h"

#ifdef HTTPD_EPOLL

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
  BATCH_MAX = 128
};

struct poller {
  int epoll, wake; /* an epoll and an eventfd */
};

/* The wake's own mark in the epoll set; connections have other addresses. */
static char wake_mark;

static uint32_t to_epoll(unsigned what) {
  return (what & POLLER_READ ? EPOLLIN : 0u) | (what & POLLER_WRITE ? EPOLLOUT : 0u);
}

static unsigned from_epoll(uint32_t found) {
  return (found & EPOLLIN ? POLLER_READ : 0u) | (found & EPOLLOUT ? POLLER_WRITE : 0u) |
         (found & (EPOLLERR | EPOLLHUP) ? POLLER_GONE : 0u);
}

struct poller *poller_new(void) {
  struct poller *poller = malloc(sizeof *poller);
  if (!poller) return NULL;
  poller->epoll = epoll_create1(EPOLL_CLOEXEC);
  poller->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (poller->epoll >= 0 && poller->wake >= 0 &&
      poller_add(poller, poller->wake, POLLER_READ, &wake_mark) == 0)
    return poller;
  poller_free(poller);
  return NULL;
}

void poller_free(struct poller *poller) {
  if (!poller) return;
  if (poller->epoll >= 0) close(poller->epoll);
  if (poller->wake >= 0) close(poller->wake);
  free(poller);
}

int poller_add(struct poller *poller, int fd, unsigned what, void *data) {
  struct epoll_event event = {.events = to_epoll(what), .data = {.ptr = data}};
  return epoll_ctl(poller->epoll, EPOLL_CTL_ADD, fd, &event);
}

int poller_change(struct poller *poller, int fd, unsigned what, void *data) {
  struct epoll_event event = {.events = to_epoll(what), .data = {.ptr = data}};
  return epoll_ctl(poller->epoll, EPOLL_CTL_MOD, fd, &event);
}

void poller_remove(struct poller *poller, int fd) {
  epoll_ctl(poller->epoll, EPOLL_CTL_DEL, fd, NULL);
}

int poller_wait(struct poller *poller, struct poller_event *events, int max, int timeout_ms) {
  struct epoll_event found[BATCH_MAX];
  int count = epoll_wait(poller->epoll, found, max < BATCH_MAX ? max : BATCH_MAX, timeout_ms);
  int given = 0;
  for (int i = 0; i < count; i++) {
    if (found[i].data.ptr == &wake_mark) {
      uint64_t wakes;
      (void)!read(poller->wake, &wakes, sizeof wakes);
    } else {
      events[given++] =
          (struct poller_event){.data = found[i].data.ptr, .what = from_epoll(found[i].events)};
    }
  }
  return given;
}

/* A counter that is full (EAGAIN) means that the wait will end anyway. */
int poller_wake(struct poller *poller) {
  uint64_t one = 1;
  return write(poller->wake, &one, sizeof one) > 0 || errno == EAGAIN ? 0 : -1;
}

#else
typedef int poller_epoll_is_not_used; /* a translation unit is never empty in ISO C */
#endif
