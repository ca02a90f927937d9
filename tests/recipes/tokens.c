/* SPDX-License-Identifier: MIT */
/* tokens.c: the text of a language model, which survives a reload and ends when nobody listens. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

enum {
  GENERATIONS_MAX = 64
};

/* A pipe stands for the connection to the model: what is fed to it is what the model writes. */
struct generation {
  char channel[32];
  int model;                 /* to read from */
  int feed;                  /* to write to */
  _Atomic int64_t cancel_at; /* 0: somebody listens */
  pthread_t thread;
};

static sse_hub *hub;
static struct generation generations[GENERATIONS_MAX];
static atomic_int generation_count;
static atomic_int stopping;
static int grace_ms;
static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* one generation is started at a time */

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct generation *find_generation(const char *channel) {
  for (int i = 0; i < generation_count; i++)
    if (strcmp(generations[i].channel, channel) == 0)
      return &generations[i];
  return NULL;
}

/* [occupancy] */
static void on_occupancy(void *arg, const char *channel, int occupied) {
  struct generation *generation = find_generation(channel);
  (void)arg;
  if (generation)
    generation->cancel_at = occupied ? 0 : now_ms() + grace_ms;
}

static int cancelled(const struct generation *generation) {
  int64_t cancel_at = generation->cancel_at;
  return stopping || (cancel_at && now_ms() >= cancel_at);
}
/* [/occupancy] */

/* [generate] */
static void *generate(void *arg) {
  struct generation *generation = arg;
  struct pollfd model = {.fd = generation->model, .events = POLLIN};
  const char *end = "done";
  char token[256];
  for (;;) {
    if (cancelled(generation)) {
      end = "cancelled";
      break;
    }
    if (poll(&model, 1, 100) <= 0) continue; /* then look again */
    ssize_t got = read(generation->model, token, sizeof token - 1);
    if (got <= 0) break; /* the model has written all */
    token[got] = '\0';
    if (sse_hub_publish_text(hub, generation->channel, "token", token)) {
      end = "failed";
      break;
    }
  }
  close(generation->model); /* the model works for nobody any more */
  sse_hub_publish_text(hub, generation->channel, "end", end);
  sse_hub_finish(hub, generation->channel);
  return NULL;
}
/* [/generate] */

/* [stream] */
static void stream(const struct request *request, const char *channel) {
  const sse_stream_config config = {.channel = channel,
                                    .start = SSE_START_RETAINED};
  request_serve(request, request_open(request, hub, &config));
}
/* [/stream] */

static void start(const struct request *request) {
  int fds[2];
  pthread_mutex_lock(&lock);
  int count = generation_count;
  struct generation *generation = &generations[count];
  if (count == GENERATIONS_MAX || pipe(fds)) {
    pthread_mutex_unlock(&lock);
    request_answer(request, 503, "");
    return;
  }
  generation->model = fds[0];
  generation->feed = fds[1];
  generation->cancel_at = now_ms() + grace_ms; /* nobody listens yet */
  snprintf(generation->channel, sizeof generation->channel,
           "generation-%d", count);
  generation_count = count + 1;
  if (pthread_create(&generation->thread, NULL, generate, generation))
    _exit(1);
  pthread_mutex_unlock(&lock);
  request_answer(request, 200, generation->channel);
}

/* A body is the model's next token; without one, the model has written all. */
static void feed(const struct request *request,
                 struct generation *generation) {
  ssize_t len = (ssize_t)strlen(request->body);
  pthread_mutex_lock(&lock);
  int good =
      len ? write(generation->feed, request->body, (size_t)len) == len
          : close(generation->feed) == 0;
  if (!len) generation->feed = -1;
  pthread_mutex_unlock(&lock);
  request_answer(request, good ? 200 : 400, "");
}

static void answer(const struct request *request) {
  char channel[32];
  struct generation *generation = NULL;
  if (request_param(request, "channel", channel, sizeof channel))
    generation = find_generation(channel);
  if (request_is(request, "POST", "/generate"))
    start(request);
  else if (generation && request_is(request, "GET", "/stream"))
    stream(request, channel);
  else if (generation && request_is(request, "POST", "/feed"))
    feed(request, generation);
  else
    request_answer(request, 404, "");
}

/* [main] */
int main(int argc, char **argv) {
  const sse_hub_config config = {
      .occupancy = on_occupancy,
      .finished_type = "finished",
      .channel = {.window_frames_max = 32768,
                  .window_bytes_max = 16 << 20}};
  grace_ms = host_number(argc, argv, 2, 10000);
  if (sse_hub_new(&hub, &config)) return 1;
  host_run(argc, argv, hub, answer);
  stopping = 1;
  for (int i = 0; i < generation_count; i++)
    pthread_join(generations[i].thread, NULL);
  return sse_hub_free(hub) != SSE_OK;
}
/* [/main] */
