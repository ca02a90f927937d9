/* SPDX-License-Identifier: MIT */
/* socket.c: connects a socket that does not block, and waits for it up to a moment. */
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "timing.h"

#ifndef SOCK_CLOEXEC
#define SOCK_CLOEXEC 0 /* there, set_options does it, a moment later */
#endif

int socket_wait(int fd, short what, int64_t until_ms) {
  struct pollfd one = {.fd = fd, .events = what};
  for (;;) {
    int64_t left = until_ms - clock_ms();
    int ready = left > 0 ? poll(&one, 1, left < INT32_MAX ? (int)left : INT32_MAX) : 0;
    if (ready >= 0) return ready;
    if (errno != EINTR) return -1;
  }
}

static void set_options(int fd, int is_tcp) {
  int on = 1;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  if (is_tcp) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#ifdef SO_NOSIGPIPE
  setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

static int connect_to(const struct sockaddr *address, socklen_t len, int64_t until_ms,
                      const char **why) {
  int error = 0, fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  socklen_t error_len = sizeof error;
  if (fd >= 0) {
    set_options(fd, address->sa_family != AF_UNIX);
    if (connect(fd, address, len) == 0) return fd;
  }
  if (errno != EINPROGRESS)
    error = errno;
  else if (socket_wait(fd, POLLOUT, until_ms) <= 0)
    error = ETIMEDOUT;
  else
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len);
  if (!error) return fd;
  if (fd >= 0) close(fd);
  *why = strerror(error);
  return -1;
}

int socket_connect_unix(const char *path, int64_t until_ms, const char **doing, const char **why) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  *doing = "connect to";
  *why = strerror(ENAMETOOLONG);
  if (strlen(path) >= sizeof address.sun_path) return -1;
  memcpy(address.sun_path, path, strlen(path) + 1);
  return connect_to((const struct sockaddr *)&address, sizeof address, until_ms, why);
}

int socket_connect(const char *host, const char *port, int64_t until_ms, const char **doing,
                   const char **why) {
  const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct addrinfo *all;
  int error = getaddrinfo(host, port, &hints, &all), count = 0, fd = -1;
  *doing = error ? "find" : "connect to";
  *why = error ? gai_strerror(error) : NULL;
  if (error) return -1;
  for (const struct addrinfo *one = all; one; one = one->ai_next) count++;
  /* Each address has its part of the time, since one may be unreachable and silent. */
  for (const struct addrinfo *one = all; one && fd < 0; one = one->ai_next, count--) {
    int64_t now_ms = clock_ms();
    int64_t part_ms = until_ms > now_ms ? (until_ms - now_ms) / count : 0;
    fd = connect_to(one->ai_addr, one->ai_addrlen, now_ms + part_ms, why);
  }
  freeaddrinfo(all);
  return fd;
}
