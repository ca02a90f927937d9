/* SPDX-License-Identifier: MIT */
/* httpd.c: the host as a whole: it listens, accepts, hands over to its workers, and ends. */
#include "httpd.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker.h"

enum {
  BACKLOG = 4096,     /* connections that wait to be accepted; the system may cut it down */
  ACCEPT_BATCH = 256, /* connections between two looks at the signals */
  DRAIN_LOOK_MS = 20,
  DRAIN_LATE_MS = 5000, /* for clients that take their last bytes late */
  FULL_MS = 50,         /* pause when the system has no room for another connection */
  URL_MAX = 128
};

struct httpd {
  struct httpd_config config;
  int listener;
  char url[URL_MAX];
  unsigned workers_count;
  struct worker workers[];
};

/* ---- Signals and limits: they belong to the process, and so to the host ---- */

static int stop_pipe[2] = {-1, -1}; /* a byte in it says which signal came */

static void note_signal(int number) {
  char byte = (char)number;
  int error = errno;
  (void)!write(stop_pipe[1], &byte, 1);
  errno = error;
}

/* The signals that are the host's. */
static sigset_t our_signals(const struct httpd_config *config) {
  sigset_t ours;
  sigemptyset(&ours);
  sigaddset(&ours, SIGINT);
  sigaddset(&ours, SIGTERM);
  if (config->hangup) sigaddset(&ours, SIGHUP);
  return ours;
}

/* Blocked here, and so in all threads to come; the acceptor alone lets them in. */
static int take_signals(const struct httpd_config *config) {
  sigset_t ours = our_signals(config);
  pthread_sigmask(SIG_BLOCK, &ours, NULL);
  signal(SIGPIPE, SIG_IGN);
  if (stop_pipe[0] >= 0) return 0;
  if (pipe(stop_pipe) != 0) return -1;
  /* A thread that was made before need not notice that it was the one to be interrupted. */
  struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  if (config->hangup) sigaction(SIGHUP, &action, NULL);
  return 0;
}

static void let_signals_in(const struct httpd_config *config) {
  sigset_t ours = our_signals(config);
  pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
}

/* Takes a signal that is in the pipe: 1 if it asks for the end. */
static int take_signal(const struct httpd_config *config) {
  char number = 0;
  (void)!read(stop_pipe[0], &number, 1);
  if (number != SIGHUP) return 1;
  config->hangup(config->arg);
  return 0;
}

static void raise_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- Listening ---- */

static int open_listener(const struct addrinfo *address) {
  int fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
  if (fd < 0) return -1;
  int on = 1;
  /* So that a restart gets its port back at once, although old connections linger. */
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0 &&
      fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
    return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* The port may have been chosen by the system, so the address is asked of the socket. */
static void write_url(struct httpd *httpd) {
  struct sockaddr_storage address;
  socklen_t len = sizeof address;
  char host[64] = "", port[8] = "";
  getsockname(httpd->listener, (struct sockaddr *)&address, &len);
  getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
              NI_NUMERICHOST | NI_NUMERICSERV);
  int v6 = strchr(host, ':') != NULL;
  snprintf(httpd->url, sizeof httpd->url, "http://%s%s%s:%s/", v6 ? "[" : "", host, v6 ? "]" : "",
           port);
}

static int listen_on(struct httpd *httpd) {
  const struct httpd_config *config = &httpd->config;
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
  struct addrinfo *address;
  int error = getaddrinfo(config->listen, config->port, &hints, &address);
  if (error) {
    fprintf(stderr, "%s: cannot listen on %s port %s: %s\n", config->name, config->listen,
            config->port, gai_strerror(error));
    return -1;
  }
  httpd->listener = open_listener(address);
  if (httpd->listener < 0)
    fprintf(stderr, "%s: cannot listen on %s port %s: %s\n", config->name, config->listen,
            config->port, strerror(errno));
  freeaddrinfo(address);
  if (httpd->listener < 0) return -1;
  write_url(httpd);
  return 0;
}

/* ---- The host ---- */

static void set_defaults(struct httpd_config *config) {
  if (!config->listen) config->listen = "127.0.0.1";
  if (!config->port) config->port = "5000";
  if (config->threads == 0) config->threads = 1;
  if (config->body_max_bytes == 0) config->body_max_bytes = (size_t)64 * 1024;
  if (config->request_ms == 0) config->request_ms = 10000;
  if (config->idle_ms == 0) config->idle_ms = 30000;
  if (config->send_ms == 0) config->send_ms = 30000;
}

static int make_workers(struct httpd *httpd) {
  for (; httpd->workers_count < httpd->config.threads; httpd->workers_count++) {
    if (worker_init(&httpd->workers[httpd->workers_count], &httpd->config) != 0) {
      fprintf(stderr, "%s: cannot make a worker: %s\n", httpd->config.name, strerror(errno));
      return -1;
    }
  }
  return 0;
}

struct httpd *httpd_new(const struct httpd_config *config) {
  size_t threads = config->threads ? config->threads : 1;
  struct httpd *httpd = calloc(1, sizeof *httpd + threads * sizeof httpd->workers[0]);
  if (!httpd) return NULL;
  httpd->config = *config;
  set_defaults(&httpd->config);
  httpd->listener = -1;
  raise_file_limit();
  if (take_signals(&httpd->config) == 0 && listen_on(httpd) == 0 && make_workers(httpd) == 0)
    return httpd;
  httpd_free(httpd);
  return NULL;
}

const char *httpd_url(const struct httpd *httpd) {
  return httpd->url;
}

void httpd_free(struct httpd *httpd) {
  if (!httpd) return;
  for (unsigned i = 0; i < httpd->workers_count; i++) worker_free(&httpd->workers[i]);
  if (httpd->listener >= 0) close(httpd->listener);
  free(httpd);
}

/* ---- Accepting ---- */

static struct worker *least_loaded(struct httpd *httpd) {
  struct worker *best = &httpd->workers[0];
  unsigned best_load = atomic_load_explicit(&best->load, memory_order_relaxed);
  for (unsigned i = 1; i < httpd->workers_count; i++) {
    unsigned load = atomic_load_explicit(&httpd->workers[i].load, memory_order_relaxed);
    if (load < best_load) {
      best = &httpd->workers[i];
      best_load = load;
    }
  }
  return best;
}

/* 0, or -1 if the system has no room for another connection just now. */
static int accept_some(struct httpd *httpd) {
  for (int i = 0; i < ACCEPT_BATCH; i++) {
    int fd = accept(httpd->listener, NULL, NULL);
    if (fd < 0)
      return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM ? -1 : 0;
    int on = 1;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    /* Events are small and each is wanted now. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    worker_take(least_loaded(httpd), fd);
  }
  return 0;
}

/*
 * To accept is all that this thread does, so when file descriptors run out it may simply sleep
 * for a moment: the workers go on, and whoever comes waits in the listener's queue.
 */
static void accept_until_stopped(struct httpd *httpd) {
  enum {
    STOP,
    LISTENER,
    FDS
  };
  struct pollfd fds[FDS] = {[STOP] = {.fd = stop_pipe[0], .events = POLLIN},
                            [LISTENER] = {.fd = httpd->listener, .events = POLLIN}};
  int full = 0, found = 0;
  while (found <= 0 || !fds[STOP].revents || !take_signal(&httpd->config)) {
    found = poll(fds, full ? LISTENER : FDS, full ? FULL_MS : -1);
    if (full || (found > 0 && fds[LISTENER].revents)) full = accept_some(httpd) != 0;
  }
}

/* The workers go on meanwhile; a second signal is impatient. */
static void drain(struct httpd *httpd) {
  struct pollfd stop = {.fd = stop_pipe[0], .events = POLLIN};
  sse_hub_drain(httpd->config.hub, httpd->config.drain_ms);
  for (int left_ms = httpd->config.drain_ms + DRAIN_LATE_MS; left_ms > 0;
       left_ms -= DRAIN_LOOK_MS) {
    if (sse_hub_count(httpd->config.hub, NULL) == 0) return;
    if (poll(&stop, 1, DRAIN_LOOK_MS) > 0 && take_signal(&httpd->config)) return;
  }
}

int httpd_run(struct httpd *httpd) {
  unsigned running = 0;
  while (running < httpd->workers_count && worker_start(&httpd->workers[running]) == 0) running++;
  if (running == httpd->workers_count) {
    let_signals_in(&httpd->config);
    accept_until_stopped(httpd);
    if (httpd->config.stopping) httpd->config.stopping(httpd->config.arg);
  } else {
    fprintf(stderr, "%s: cannot start a thread\n", httpd->config.name);
  }
  close(httpd->listener);
  httpd->listener = -1;
  if (running == httpd->workers_count && httpd->config.drain_ms > 0) drain(httpd);
  for (unsigned i = 0; i < running; i++) worker_stop(&httpd->workers[i]);
  return running == httpd->workers_count ? 0 : -1;
}
