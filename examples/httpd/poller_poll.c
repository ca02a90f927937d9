/* SPDX-License-Identifier: MIT */
/* poller_poll.c: poller.h with poll, which POSIX has everywhere and which looks at every socket. */
#include "poller.h"

#ifndef HTTPD_EPOLL

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* Parallel arrays: the set itself, and what belongs to each entry. Entry 0 is the wake's. */
struct poller {
  int wake[2]; /* a pipe: read end, write end */
  struct pollfd *set;
  void **data;
  int count, room;
  int *index, index_room; /* by fd: its entry */
  int turn;               /* entry to look at first, so that none starves behind a full batch */
};

static short to_poll(unsigned what) {
  return (short)((what & POLLER_READ ? POLLIN : 0) | (what & POLLER_WRITE ? POLLOUT : 0));
}

static unsigned from_poll(short found) {
  return (found & POLLIN ? POLLER_READ : 0u) | (found & POLLOUT ? POLLER_WRITE : 0u) |
         (found & (POLLERR | POLLHUP | POLLNVAL) ? POLLER_GONE : 0u);
}

struct poller *poller_new(void) {
  struct poller *poller = calloc(1, sizeof *poller);
  if (!poller) return NULL;
  if (pipe(poller->wake) != 0) {
    free(poller);
    return NULL;
  }
  for (int i = 0; i < 2; i++) {
    fcntl(poller->wake[i], F_SETFL, O_NONBLOCK);
    fcntl(poller->wake[i], F_SETFD, FD_CLOEXEC);
  }
  if (poller_add(poller, poller->wake[0], POLLER_READ, NULL) == 0) return poller;
  poller_free(poller);
  return NULL;
}

void poller_free(struct poller *poller) {
  if (!poller) return;
  close(poller->wake[0]);
  close(poller->wake[1]);
  free(poller->set);
  free(poller->data);
  free(poller->index);
  free(poller);
}

/* Makes an array longer; one that cannot be stays as it was. */
static int grow(void *array, size_t item, int room) {
  void **at = array;
  void *bigger = realloc(*at, item * (size_t)room);
  if (!bigger) return -1;
  *at = bigger;
  return 0;
}

static int make_room(struct poller *poller, int fd) {
  if (poller->count == poller->room) {
    int room = poller->room ? poller->room * 2 : 64;
    if (grow(&poller->set, sizeof *poller->set, room) != 0) return -1;
    if (grow(&poller->data, sizeof *poller->data, room) != 0) return -1;
    poller->room = room;
  }
  if (fd >= poller->index_room) {
    int room = fd * 2 + 64;
    if (grow(&poller->index, sizeof *poller->index, room) != 0) return -1;
    poller->index_room = room;
  }
  return 0;
}

int poller_add(struct poller *poller, int fd, unsigned what, void *data) {
  if (make_room(poller, fd) != 0) return -1;
  poller->index[fd] = poller->count;
  poller->data[poller->count] = data;
  poller->set[poller->count++] = (struct pollfd){.fd = fd, .events = to_poll(what)};
  return 0;
}

int poller_change(struct poller *poller, int fd, unsigned what, void *data) {
  int entry = poller->index[fd];
  poller->set[entry].events = to_poll(what);
  poller->data[entry] = data;
  return 0;
}

/* The last entry takes the place of the one that goes. */
void poller_remove(struct poller *poller, int fd) {
  int entry = poller->index[fd];
  int last = --poller->count;
  poller->set[entry] = poller->set[last];
  poller->data[entry] = poller->data[last];
  poller->index[poller->set[entry].fd] = entry;
}

int poller_wait(struct poller *poller, struct poller_event *events, int max, int timeout_ms) {
  int found = poll(poller->set, (nfds_t)poller->count, timeout_ms);
  if (found <= 0) return 0;
  if (poller->set[0].revents) {
    char drop[256];
    while (read(poller->wake[0], drop, sizeof drop) == (ssize_t)sizeof drop) continue;
    poller->set[0].revents = 0;
    found--;
  }
  int given = 0;
  int entry = poller->turn;
  for (int looked = 0; looked < poller->count && given < found && given < max; looked++, entry++) {
    if (entry >= poller->count) entry = 0;
    if (poller->set[entry].revents)
      events[given++] = (struct poller_event){.data = poller->data[entry],
                                              .what = from_poll(poller->set[entry].revents)};
  }
  poller->turn = entry;
  return given;
}

/* A pipe that is full (EAGAIN) means that the wait will end anyway. */
int poller_wake(struct poller *poller) {
  return write(poller->wake[1], "", 1) > 0 || errno == EAGAIN ? 0 : -1;
}

#else
typedef int poller_poll_is_not_used; /* a translation unit is never empty in ISO C */
#endif
