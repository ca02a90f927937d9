/* SPDX-License-Identifier: MIT */
/* pace.c: a publisher that waits for its clients, and clients that are cut off when they lag. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

enum {
  CLIENTS_MAX = 64,
  LAG_MAX = 256
};

/* A stream of the loop; its connection's thread waits until the loop's thread is done with it. */
struct client {
  sse_stream *stream; /* NULL: it is over */
  int fd, full;       /* full: its socket takes no more */
};

static sse_hub *hub;
static sse_loop *loop;
static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* guards the loop and its streams */
static pthread_cond_t over = PTHREAD_COND_INITIALIZER;
static struct client *clients[CLIENTS_MAX];
static int wake_pipe[2];
static int wait_ms_max; /* the program's second argument; default 1,000 */
static atomic_int stopping, published, waits;

static int wake(void *arg, unsigned why) {
  (void)arg, (void)why;
  return write(wake_pipe[1], "", 1) < 0 && errno != EAGAIN;
}

static void serve(struct client *client) {
  int result = sse_stream_flush_fd(client->stream, client->fd);
  client->full = result == SSE_EAGAIN;
  if (!sse_error_is_final(result)) return;
  sse_stream_free(client->stream);
  client->stream = NULL;
  for (int i = 0; i < CLIENTS_MAX; i++)
    if (clients[i] == client) clients[i] = NULL;
  pthread_cond_broadcast(&over);
}

static void *run_loop(void *arg) {
  struct pollfd fds[CLIENTS_MAX + 1];
  struct client *polled[CLIENTS_MAX];
  char waste[64];
  while (!stopping || sse_hub_count(hub, NULL)) {
    nfds_t count = 0;
    pthread_mutex_lock(&lock);
    for (sse_stream *stream; (stream = sse_loop_next(loop));)
      serve(sse_stream_user(stream));
    for (int i = 0; i < CLIENTS_MAX; i++)
      if (clients[i] && clients[i]->full) polled[count++] = clients[i];
    for (nfds_t i = 0; i < count; i++)
      fds[i] = (struct pollfd){.fd = polled[i]->fd, .events = POLLOUT};
    int32_t timeout = sse_loop_timeout(loop);
    pthread_mutex_unlock(&lock);
    fds[count] = (struct pollfd){.fd = wake_pipe[0], .events = POLLIN};
    if (poll(fds, count + 1, timeout) <= 0) continue;
    while (read(wake_pipe[0], waste, sizeof waste) == sizeof waste) {
    }
    pthread_mutex_lock(&lock);
    for (nfds_t i = 0; i < count; i++)
      if (fds[i].revents) serve(polled[i]);
    pthread_mutex_unlock(&lock);
  }
  return arg;
}

static void stream(const struct request *request) {
  struct client client = {.fd = request->fd};
  /* [lag] */
  const sse_stream_config config = {.channel = "feed",
                                    .loop = loop,
                                    .user = &client,
                                    .slow = SSE_SLOW_CLOSE,
                                    .lag_events_max = 2 * LAG_MAX};
  /* [/lag] */
  pthread_mutex_lock(&lock);
  for (int i = 0; i < CLIENTS_MAX && !client.stream; i++) {
    if (clients[i]) continue;
    if (!(client.stream = request_open(request, hub, &config))) break;
    clients[i] = &client;
    wake(NULL, 0);
  }
  while (client.stream) pthread_cond_wait(&over, &lock);
  pthread_mutex_unlock(&lock);
}

/* For clients of /thread: a thread for each, and no loop. */
static void stream_in_thread(const struct request *request) {
  const sse_stream_config config = {.channel = "feed"};
  request_serve(request, request_open(request, hub, &config));
}

/* [pace] */
/* Waits until the clients have caught up, but no longer than wait_ms_max
   for one delay. */
static void wait_for_clients(int *left_ms) {
  const struct timespec one_ms = {.tv_nsec = 1000000};
  while (sse_hub_lag(hub) >= LAG_MAX && !stopping) {
    if (*left_ms == 0) return;
    --*left_ms;
    waits++;
    nanosleep(&one_ms, NULL);
  }
  *left_ms = wait_ms_max;
}
/* [/pace] */

static void publish(const struct request *request) {
  char count[12];
  if (!request_param(request, "count", count, sizeof count)) return;
  int left_ms = wait_ms_max;
  for (long i = strtol(count, NULL, 10); i > 0 && !stopping; i--) {
    wait_for_clients(&left_ms);
    if (sse_hub_publish_text(hub, "feed", NULL, "an event") == SSE_OK)
      published++;
  }
  request_answer(request, 200, "");
}

/* For the test: the loop is held up until the body of the request has come. */
static void answer(const struct request *request) {
  char text[64];
  static atomic_int held;
  if (request_is(request, "GET", "/stream")) {
    stream(request);
  } else if (request_is(request, "GET", "/thread")) {
    stream_in_thread(request);
  } else if (request_is(request, "POST", "/publish")) {
    publish(request);
  } else if (request_is(request, "POST", "/hold")) {
    const struct timespec moment = {.tv_nsec = 1000000};
    pthread_mutex_lock(&lock);
    held = 1;
    request_answer(request, 200, "");
    while (held && !stopping) nanosleep(&moment, NULL);
    pthread_mutex_unlock(&lock);
  } else if (request_is(request, "POST", "/release")) {
    held = 0;
    request_answer(request, 200, "");
  } else {
    snprintf(text, sizeof text, "%d %d\n", (int)published, (int)waits);
    request_answer(request, 200, text);
  }
}

int main(int argc, char **argv) {
  const sse_loop_config config = {.wake = wake};
  pthread_t thread;
  wait_ms_max = host_number(argc, argv, 2, 1000);
  if (pipe(wake_pipe) || sse_hub_new(&hub, NULL)) return 1;
  for (int i = 0; i < 2; i++) fcntl(wake_pipe[i], F_SETFL, O_NONBLOCK);
  if (sse_loop_new(&loop, hub, &config)) return 1;
  if (pthread_create(&thread, NULL, run_loop, NULL)) return 1;
  host_run(argc, argv, hub, answer);
  stopping = 1;
  wake(NULL, 0);
  pthread_join(thread, NULL);
  return sse_loop_free(loop) || sse_hub_free(hub);
}
