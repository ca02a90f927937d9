/* SPDX-License-Identifier: MIT */
/* peer.h: what the tests of the demos share: child processes, sockets, and events by hand. */
#ifndef TESTS_DEMO_PEER_H
#define TESTS_DEMO_PEER_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

/* No test waits longer than this for anything; a machine that is busy may need much of it. */
enum {
  PATIENCE_MS = 20000,
  CHILD_MAX_S = 240
};

static inline int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for one fd, until a moment at the latest. */
static inline int await(int fd, short what, int64_t until_ms) {
  struct pollfd one = {.fd = fd, .events = what};
  int64_t left = until_ms - now_ms();
  return left > 0 && poll(&one, 1, (int)left) > 0;
}

/* ---- Children ---- */

struct child {
  pid_t pid;
  int out;   /* its stdout and stderr */
  int order; /* the test's own way to it */
  int port;
};

/* In the child, before anything else: it outlives neither its test nor its time. */
static inline void child_bound(void) {
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  alarm(CHILD_MAX_S);
}

/* Starts a program with up to 16 arguments; the list ends with NULL. */
static inline int child_exec(struct child *child, const char *program, const char *const *args) {
  const char *argv[18] = {program};
  int out[2];
  for (int i = 0; args[i]; i++) argv[i + 1] = args[i];
  *child = (struct child){.out = -1};
  if (pipe(out)) return 0;
  *child = (struct child){.out = out[0], .pid = fork()};
  if (child->pid == 0) {
    child_bound();
    dup2(out[1], STDOUT_FILENO);
    dup2(out[1], STDERR_FILENO);
    close(out[0]);
    close(out[1]);
    execvp(program, (char *const *)(uintptr_t)argv);
    _exit(127);
  }
  close(out[1]);
  return child->pid > 0;
}

/* The same with a program of examples/. */
static inline int child_run(struct child *child, const char *program, const char *const *args) {
  const char *build = getenv("SSE_BUILD");
  char path[4096];
  snprintf(path, sizeof path, "%s/examples/%s", build ? build : "build", program);
  return child_exec(child, path, args);
}

/* Reads up to the end of a line; 0 if none comes. */
static inline int read_line(int fd, char *line, size_t cap) {
  int64_t until = now_ms() + PATIENCE_MS;
  size_t len = 0;
  while (len + 1 < cap && await(fd, POLLIN, until) && read(fd, line + len, 1) == 1)
    if (line[len++] == '\n') break;
  line[len] = '\0';
  return len > 0;
}

/* The exit status, or -1 if it did not exit by itself; one that hangs is killed. */
static inline int child_wait(struct child *child) {
  int status;
  int64_t until = now_ms() + PATIENCE_MS;
  const struct timespec moment = {.tv_nsec = 2000000};
  pid_t ended;
  while ((ended = waitpid(child->pid, &status, WNOHANG)) == 0 && now_ms() < until)
    nanosleep(&moment, NULL);
  if (ended == 0) {
    kill(child->pid, SIGKILL);
    waitpid(child->pid, &status, 0);
  }
  close(child->out);
  child->pid = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int child_stop(struct child *child, int number) {
  if (child->pid > 0) kill(child->pid, number);
  return child->pid > 0 ? child_wait(child) : -1;
}

/* Runs a program of examples/ to its end: all that it says goes to text, and its exit status comes
 * back; -1 also if it does not start. */
static inline int child_outcome(const char *program, const char *const *args, char *text,
                                size_t cap) {
  struct child child;
  size_t len = 0;
  if (!child_run(&child, program, args)) return -1;
  while (read_line(child.out, text + len, cap - len)) len += strlen(text + len);
  return child_wait(&child);
}

/* ---- Sockets ---- */

static inline int dial_with(int port, int receive_bytes) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  int on = 1;
  if (receive_bytes > 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)port),
                                      .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

/* A port that was free a moment ago, for a program that takes one and does not say which; or -1. */
static inline int free_port(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  bool found = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
               getsockname(fd, (struct sockaddr *)&at, &len) == 0;
  if (fd >= 0) close(fd);
  return found ? ntohs(at.sin_port) : -1;
}

static inline int dial(int port) {
  return dial_with(port, 0);
}

/* In pieces, so that each is a segment of its own; what the peer does not want any more is lost. */
static inline void say_pieces(int fd, const char *bytes, size_t len, size_t piece) {
  for (size_t at = 0; at < len; at += piece) {
    size_t now = len - at < piece ? len - at : piece;
    if (send(fd, bytes + at, now, MSG_NOSIGNAL) < 0) return;
  }
}

static inline void say(int fd, const char *text) {
  say_pieces(fd, text, strlen(text), strlen(text));
}

/*
 * Reads to the end of the connection; -1 if that does not come, or if the text is full. errno is
 * ECONNRESET if the end was a reset, else 0.
 */
static inline ssize_t hear_all(int fd, char *text, size_t cap) {
  int64_t until = now_ms() + PATIENCE_MS;
  size_t len = 0;
  while (len + 1 < cap && await(fd, POLLIN, until)) {
    ssize_t got = recv(fd, text + len, cap - 1 - len, 0);
    if (got > 0) len += (size_t)got;
    if (got > 0) continue;
    text[len] = '\0';
    if (got == 0) errno = 0;
    return got == 0 || errno == ECONNRESET ? (ssize_t)len : -1;
  }
  text[len] = '\0';
  return -1;
}

/* Reads until a text has come; 0 if it does not. */
static inline int hear_until(int fd, char *text, size_t cap, const char *wanted) {
  int64_t until = now_ms() + PATIENCE_MS;
  size_t len = 0;
  *text = '\0';
  while (!strstr(text, wanted)) {
    ssize_t got =
        len + 1 < cap && await(fd, POLLIN, until) ? recv(fd, text + len, cap - 1 - len, 0) : 0;
    if (got <= 0) return 0;
    len += (size_t)got;
    text[len] = '\0';
  }
  return 1;
}

/* One request on a connection of its own, all of the answer into text; its status, or -1. */
static inline int ask(int port, const char *request, char *text, size_t cap) {
  int fd = dial(port);
  if (fd < 0) return -1;
  say(fd, request);
  ssize_t len = hear_all(fd, text, cap);
  close(fd);
  int status;
  return len > 0 && sscanf(text, "HTTP/1.1 %d ", &status) == 1 ? status : -1;
}

/* ---- Streams ---- */

/* A client that keeps no more than it has to: the text of the block that is being read. */
struct listener {
  int fd;
  int past_head;
  char *buf;
  size_t cap, len, used; /* buf[used..len) is not looked at yet */
  char head[1024];
  /* The event that hear_event has found. */
  char type[32], id[64];
  char *data;
  unsigned long long seq; /* of the id */
};

/* Opens a stream. A last_id of NULL is none. */
static inline int listener_open(struct listener *listener, int port, const char *last_id,
                                size_t cap) {
  char request[512];
  *listener = (struct listener){.fd = dial(port), .cap = cap, .buf = malloc(cap)};
  if (listener->fd < 0 || !listener->buf) return 0;
  snprintf(request, sizeof request, "GET /stream/ HTTP/1.1\r\nHost: h\r\n%s%s%s\r\n",
           last_id ? "Last-Event-ID: " : "", last_id ? last_id : "", last_id ? "\r\n" : "");
  say(listener->fd, request);
  return 1;
}

static inline void listener_close(struct listener *listener) {
  if (listener->fd >= 0) close(listener->fd);
  listener->fd = -1;
  free(listener->buf);
  listener->buf = NULL;
}

/* Reads what is there without waiting; 0 at the end. */
static inline int listener_read(struct listener *listener) {
  memmove(listener->buf, listener->buf + listener->used, listener->len - listener->used);
  listener->len -= listener->used;
  listener->used = 0;
  if (listener->len + 1 >= listener->cap) return 0;
  ssize_t got = recv(listener->fd, listener->buf + listener->len, listener->cap - listener->len - 1,
                     MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  listener->len += (size_t)got;
  listener->buf[listener->len] = '\0';
  return got > 0;
}

/* Takes a block out of what was read, up to a mark; NULL if it is not whole. */
static inline char *take_block(struct listener *listener, const char *mark) {
  if (listener->len == listener->used) return NULL;
  char *block = listener->buf + listener->used;
  char *end = strstr(block, mark);
  if (!end) return NULL;
  *end = '\0';
  listener->used = (size_t)(end - listener->buf) + strlen(mark);
  return block;
}

/* 1 if a block has an event; else it had a comment, a position or a retry. */
static inline int parse_block(struct listener *listener, char *block) {
  char *rest = NULL;
  listener->data = NULL;
  snprintf(listener->type, sizeof listener->type, "message");
  for (char *line = strtok_r(block, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    if (strncmp(line, "id: ", 4) == 0) snprintf(listener->id, sizeof listener->id, "%s", line + 4);
    if (strncmp(line, "event: ", 7) == 0)
      snprintf(listener->type, sizeof listener->type, "%s", line + 7);
    if (strncmp(line, "data:", 5) == 0) listener->data = line + 5 + (line[5] == ' ');
  }
  const char *dot = strchr(listener->id, '.');
  listener->seq = dot ? strtoull(dot + 1, NULL, 10) : 0;
  return listener->data != NULL && strcmp(listener->type, "sse-position") != 0;
}

/* The next event in what was read: 1, or 0 if there is none yet. */
static inline int next_event(struct listener *listener) {
  if (!listener->past_head) {
    char *head = take_block(listener, "\r\n\r\n");
    if (!head) return 0;
    snprintf(listener->head, sizeof listener->head, "%s\r\n", head);
    listener->past_head = 1;
  }
  char *block;
  while ((block = take_block(listener, "\n\n")))
    if (parse_block(listener, block)) return 1;
  return 0;
}

/* Waits for the next event: 1, or 0 if the stream ends or none comes. */
static inline int hear_event(struct listener *listener) {
  int64_t until = now_ms() + PATIENCE_MS;
  while (!next_event(listener)) {
    if (!await(listener->fd, POLLIN, until)) return 0;
    if (!listener_read(listener)) return 0;
  }
  return 1;
}

#endif
