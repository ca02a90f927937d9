/* SPDX-License-Identifier: MIT */
/* notify.c: tells the service manager how the server is. */
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "pace.h"

/* ---- Messages ---- */

/* 0, or -1 if the name is none. */
static int read_address(struct sockaddr_un *address, socklen_t *address_len) {
  const char *name = getenv("NOTIFY_SOCKET");
  size_t len = name ? strlen(name) : 0;
  if (len < 2 || len >= sizeof address->sun_path || (*name != '/' && *name != '@')) return -1;
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(address->sun_path, name, len);
  if (*name == '@') address->sun_path[0] = '\0';
  /* A path may have its NUL, an abstract name is exactly its bytes. */
  *address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*name == '/'));
  return 0;
}

void notify_send(const char *lines) {
  struct sockaddr_un address;
  socklen_t len;
  if (read_address(&address, &len) != 0) return;
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (fd < 0) return;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  (void)!sendto(fd, lines, strlen(lines), 0, (struct sockaddr *)&address, len);
  close(fd);
}

void notify_reloading(void) {
  char lines[64];
  snprintf(lines, sizeof lines, "RELOADING=1\nMONOTONIC_USEC=%lld",
           (long long)(pace_now_ns() / 1000));
  notify_send(lines);
}

/* ---- The watchdog ---- */

struct watchdog {
  struct addrinfo *address;
  int64_t interval_ns;
  int stop[2]; /* a pipe whose write end is closed to stop it */
  pthread_t thread;
};

/* Waits for the socket, but not beyond a time or the end of the server: 1 if it is ready. */
static int await(const struct watchdog *watchdog, int fd, short what, int64_t until_ns) {
  struct pollfd fds[2] = {{.fd = fd, .events = what}, {.fd = watchdog->stop[0], .events = POLLIN}};
  int64_t left_ns = until_ns - pace_now_ns();
  return left_ns > 0 && poll(fds, 2, (int)(left_ns / 1000000) + 1) > 0 && !fds[1].revents;
}

static int exchange(const struct watchdog *watchdog, int fd, int64_t until_ns) {
  static const char request[] = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
                                "Connection: close\r\n\r\n";
  char head[5];
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  if (connect(fd, watchdog->address->ai_addr, watchdog->address->ai_addrlen) != 0 &&
      errno != EINPROGRESS)
    return 0;
  if (!await(watchdog, fd, POLLOUT, until_ns) ||
      send(fd, request, sizeof request - 1, 0) != sizeof request - 1 ||
      !await(watchdog, fd, POLLIN, until_ns))
    return 0;
  /* Any status will do: with --host, the name is refused. */
  return recv(fd, head, sizeof head, 0) == sizeof head && memcmp(head, "HTTP/", 5) == 0;
}

static int is_answered(const struct watchdog *watchdog, int64_t until_ns) {
  int fd = socket(watchdog->address->ai_family, SOCK_STREAM, 0);
  if (fd < 0) return errno == EMFILE || errno == ENFILE;
  int answered = exchange(watchdog, fd, until_ns);
  close(fd);
  return answered;
}

static void *watch(void *arg) {
  struct watchdog *watchdog = arg;
  int64_t due_ns = pace_now_ns();
  do {
    due_ns += watchdog->interval_ns;
    if (due_ns < pace_now_ns()) due_ns = pace_now_ns() + watchdog->interval_ns;
    if (is_answered(watchdog, due_ns)) notify_send("WATCHDOG=1");
  } while (!pace_sleep_until(watchdog->stop[0], due_ns));
  return NULL;
}

/* Half of what the service manager allows; 0: it does not watch this process. */
static int64_t wanted_interval_ns(void) {
  const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
  long long limit = usec ? strtoll(usec, NULL, 10) : 0;
  if (pid && strtoll(pid, NULL, 10) != getpid()) return 0;
  return limit > 0 && limit < INT64_MAX / 1000 ? limit * 1000 / 2 : 0;
}

/* Of "http://HOST:PORT/", where HOST is an address, and has brackets if it is of IPv6. */
static struct addrinfo *resolve(const char *url) {
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
  struct addrinfo *address = NULL;
  char host[64], port[8];
  if (sscanf(url, "http://[%63[^]]]:%7[0-9]/", host, port) != 2 &&
      sscanf(url, "http://%63[^:]:%7[0-9]/", host, port) != 2)
    return NULL;
  return getaddrinfo(host, port, &hints, &address) == 0 ? address : NULL;
}

static void release(struct watchdog *watchdog) {
  for (int i = 0; i < 2; i++)
    if (watchdog->stop[i] >= 0) close(watchdog->stop[i]);
  if (watchdog->address) freeaddrinfo(watchdog->address);
  free(watchdog);
}

int watchdog_start(struct watchdog **watchdog, const char *url) {
  int64_t interval_ns = wanted_interval_ns();
  *watchdog = NULL;
  if (interval_ns == 0) return 0;
  struct watchdog *new = malloc(sizeof *new);
  if (new) {
    *new = (struct watchdog){.address = resolve(url), .interval_ns = interval_ns, .stop = {-1, -1}};
    if (new->address && pipe(new->stop) == 0 &&
        pthread_create(&new->thread, NULL, watch, new) == 0) {
      *watchdog = new;
      return 0;
    }
    release(new);
  }
  fputs("broadcast: cannot start the watchdog\n", stderr);
  return -1;
}

void watchdog_stop(struct watchdog *watchdog) {
  if (!watchdog) return;
  close(watchdog->stop[1]);
  watchdog->stop[1] = -1;
  pthread_join(watchdog->thread, NULL);
  release(watchdog);
}
