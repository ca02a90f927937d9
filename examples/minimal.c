/* SPDX-License-Identifier: MIT */
/* minimal.c: the time, once a second, to whoever asks http://127.0.0.1:5000/; a thread for each. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <sse/sse.h>

static sse_hub *hub;

static void *serve(void *arg) {
  const sse_http_head head = {.headers = NULL};
  const struct timeval patience = {.tv_sec = 10};
  char request[4096], last_id[SSE_ID_BYTES_MAX + 1], refusal[512];
  int fd = (int)(intptr_t)arg;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ssize_t len = recv(fd, request, sizeof request, 0); /* a real server reads up to the blank line */
  sse_http_header(request, len > 0 ? (size_t)len : 0, "Last-Event-ID", last_id, sizeof last_id);

  sse_stream *stream;
  const sse_stream_config config = {.channel = "time", .last_id = last_id, .head = &head};
  int error = len > 0 ? sse_stream_open(&stream, hub, &config) : SSE_ECLOSED;
  if (error == SSE_OK) {
    sse_stream_run(stream, fd); /* until the client goes */
    sse_stream_free(stream);
  } else if (len > 0) {
    len = sse_http_refuse(refusal, sizeof refusal, &head, error, sse_hub_retry_ms(hub));
    send(fd, refusal, len > 0 ? (size_t)len : 0, MSG_NOSIGNAL);
  }
  close(fd);
  return NULL;
}

static void *tick(void *arg) {
  for (;; sleep(1)) {
    char text[32];
    time_t now = time(NULL);
    strftime(text, sizeof text, "%H:%M:%S", gmtime(&now));
    sse_hub_publish_text(hub, "time", NULL, text);
  }
  return arg;
}

int main(int argc, char **argv) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  pthread_t thread;
  at.sin_port = htons((in_port_t)(argc > 1 ? strtol(argv[1], NULL, 10) : 5000));
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 16))
    return perror("minimal"), 1;
  if (sse_hub_new(&hub, NULL)) return 1;
  pthread_create(&thread, NULL, tick, NULL);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd >= 0 && pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0) {
      pthread_detach(thread);
      continue;
    }
    perror("minimal"); /* out of files or threads, perhaps: those who listen go on */
    if (fd >= 0) close(fd);
    sleep(1);
  }
}
