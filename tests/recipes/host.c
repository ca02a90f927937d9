/* SPDX-License-Identifier: MIT */
/* host.c: a server as small as possible: one request for each connection, one thread for each. */
#include "host.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PAUSE_MS 100 /* after an accept that failed */

static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* guards the count */
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static unsigned connections;
static request_fn *handler;
static int stop_pipe[2];

/* [host] */
sse_stream *request_open(const struct request *request, sse_hub *hub,
                         const sse_stream_config *wanted) {
  const sse_http_head head = {.origin = NULL};
  sse_stream_config config = *wanted;
  sse_stream *stream;
  char refusal[512];
  config.last_id = request->last_id;
  config.head = &head;
  int result = sse_stream_open(&stream, hub, &config);
  if (result == SSE_OK) return stream;
  ssize_t len = sse_http_refuse(refusal, sizeof refusal, &head, result,
                                sse_hub_retry_ms(hub));
  if (len > 0) send(request->fd, refusal, (size_t)len, MSG_NOSIGNAL);
  return NULL;
}

void request_serve(const struct request *request, sse_stream *stream) {
  if (!stream) return;
  sse_stream_run(stream, request->fd);
  sse_stream_free(stream);
}
/* [/host] */

int request_is(const struct request *request, const char *method,
               const char *path) {
  return strcmp(request->method, method) == 0 &&
         strcmp(request->path, path) == 0;
}

int request_param(const struct request *request, const char *name,
                  char *value, size_t cap) {
  static const char allowed[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
      "0123456789._~-";
  size_t name_len = strlen(name);
  for (const char *at = request->query; *at; at += strspn(at, "&")) {
    size_t len = strcspn(at, "&");
    if (len > name_len && strncmp(at, name, name_len) == 0 &&
        at[name_len] == '=') {
      const char *begin = at + name_len + 1;
      size_t value_len = len - name_len - 1;
      if (value_len == 0 || value_len >= cap ||
          strspn(begin, allowed) < value_len)
        return 0;
      memcpy(value, begin, value_len);
      value[value_len] = '\0';
      return 1;
    }
    at += len;
  }
  return 0;
}

void request_answer(const struct request *request, int status,
                    const char *text) {
  char answer[8192];
  int len = snprintf(answer, sizeof answer,
                     "HTTP/1.1 %d %s\r\nContent-Type: "
                     "text/plain\r\nContent-Length: %zu\r\n"
                     "Connection: close\r\n\r\n%s",
                     status, status < 300 ? "OK" : "Refused",
                     strlen(text), text);
  if (len > 0 && (size_t)len < sizeof answer)
    send(request->fd, answer, (size_t)len, MSG_NOSIGNAL);
  shutdown(request->fd, SHUT_WR);
}

/* Reads up to the blank line, and then as much as Content-Length says; 0 if that does not come. */
static int request_read(struct request *request) {
  char length[16], *end = NULL;
  size_t len = 0, wanted = 0;
  while (!end || len < wanted) {
    ssize_t got = recv(request->fd, request->bytes + len,
                       sizeof request->bytes - 1 - len, 0);
    if (got <= 0) return 0;
    len += (size_t)got;
    request->bytes[len] = '\0';
    if (!end && (end = strstr(request->bytes, "\r\n\r\n"))) {
      sse_http_header(request->bytes, len, "Content-Length", length,
                      sizeof length);
      wanted =
          (size_t)(end + 4 - request->bytes) + strtoul(length, NULL, 10);
    }
  }
  request->body = end + 4;
  sse_http_header(request->bytes, len, "Last-Event-ID", request->last_id,
                  sizeof request->last_id);
  int fields = sscanf(request->bytes, "%7s %63[^? ]?%511s",
                      request->method, request->path, request->query);
  if (fields < 3) request->query[0] = '\0';
  if (!request->last_id[0])
    request_param(request, "last_id", request->last_id,
                  sizeof request->last_id);
  return fields >= 2;
}

static void *connection(void *arg) {
  struct request *request = arg;
  const struct timeval patience = {.tv_sec = 10};
  setsockopt(request->fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
             sizeof patience);
  if (request_read(request)) handler(request);
  close(request->fd);
  free(request);
  pthread_mutex_lock(&lock);
  connections--;
  pthread_cond_signal(&ended);
  pthread_mutex_unlock(&lock);
  return NULL;
}

static void start_connection(int fd) {
  struct request *request = calloc(1, sizeof *request);
  pthread_t thread;
  pthread_mutex_lock(&lock);
  connections++;
  pthread_mutex_unlock(&lock);
  if (request) request->fd = fd;
  if (request &&
      pthread_create(&thread, NULL, connection, request) == 0) {
    pthread_detach(thread);
    return;
  }
  pthread_mutex_lock(&lock);
  connections--;
  pthread_mutex_unlock(&lock);
  free(request);
  close(fd);
}

static void on_signal(int number) {
  (void)number;
  if (write(stop_pipe[1], "", 1) < 0) _exit(1);
}

static int open_listener(int port) {
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_port = htons((in_port_t)port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 64) ||
      getsockname(fd, (struct sockaddr *)&at, &len) || pipe(stop_pipe)) {
    perror("listen");
    exit(1);
  }
  printf("http://127.0.0.1:%d/\n", (int)ntohs(at.sin_port));
  fflush(stdout);
  return fd;
}

int host_number(int argc, char **argv, int which, int otherwise) {
  return argc > which ? (int)strtol(argv[which], NULL, 10) : otherwise;
}

void host_run(int argc, char **argv, sse_hub *hub, request_fn *answer) {
  struct pollfd fds[2] = {
      {.fd = open_listener(host_number(argc, argv, 1, 5000)),
       .events = POLLIN},
      {.fd = stop_pipe[0], .events = POLLIN}};
  handler = answer;
  signal(SIGINT, on_signal);
  signal(SIGTERM, on_signal);
  signal(SIGPIPE, SIG_IGN);
  while (!fds[1].revents) {
    if (poll(fds, 2, -1) <= 0 || !fds[0].revents) continue;
    int fd = accept(fds[0].fd, NULL, NULL);
    if (fd >= 0)
      start_connection(fd);
    else
      poll(NULL, 0, PAUSE_MS); /* out of descriptors, perhaps */
  }
  close(fds[0].fd);
  sse_hub_drain(hub, 0);
  pthread_mutex_lock(&lock);
  while (connections) pthread_cond_wait(&ended, &lock);
  pthread_mutex_unlock(&lock);
}
