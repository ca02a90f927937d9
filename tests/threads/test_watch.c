/* SPDX-License-Identifier: MIT */
/* test_watch.c: threads that ask for numbers while loops and publishers work. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "line.h"

#define LOOPS       2
#define CLIENTS     40 /* of each loop: more than are served between two looks at the clock */
#define CHANNELS    2
#define EVENTS      400 /* of each channel */
#define WATCHERS    2
#define PATIENCE_MS 20000
#define TOTAL       ((uint64_t)CHANNELS * EVENTS)

static const char *const names[CHANNELS + 1] = {"a", "b", NULL};

/* ---- those who work ---- */

/* Its clients hear all channels; it is over when they have had everything. */
struct host {
  struct bell bell;
  sse_loop *loop;
  sse_stream *streams[CLIENTS];
  uint64_t pieces, bytes;
};

static int ring(void *bell, unsigned why) {
  (void)why;
  bell_ring(bell);
  return 0;
}

/* Each piece is an event, but for the first one of each client. */
static void drain(struct host *host, sse_stream *stream) {
  struct iovec iov[64];
  for (int count; (count = sse_stream_peek(stream, iov, 64)) > 0;) {
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += iov[i].iov_len;
    sse_stream_consume(stream, bytes);
    host->pieces += (unsigned)count;
    host->bytes += bytes;
  }
}

static void *run_host(void *arg) {
  struct host *host = arg;
  const char *fault = NULL;
  while (!fault) {
    for (sse_stream *stream; (stream = sse_loop_next(host->loop));) drain(host, stream);
    if (host->pieces >= CLIENTS * (1 + TOTAL)) break;
    if (sse_loop_timeout(host->loop) == 0) continue;
    if (!bell_wait(&host->bell, PATIENCE_MS)) fault = "a wake was lost";
  }
  return (void *)(uintptr_t)fault;
}

struct publisher {
  sse_hub *hub;
  const char *name;
};

static void *run_publisher(void *arg) {
  const struct publisher *publisher = arg;
  for (unsigned i = 0; i < EVENTS; i++) {
    if (sse_hub_publish_text(publisher->hub, publisher->name, NULL, "x")) {
      return (void *)(uintptr_t) "a publish failed";
    }
  }
  return NULL;
}

/* ---- those who watch ---- */

/* Numbers that only grow never fall, and no more is delivered than was published. */
static const char *judge(const sse_stats *now, const sse_stats *before) {
  uint64_t measured = 0;
  if (now->published_events < before->published_events) return "published fell";
  if (now->delivered_events < before->delivered_events) return "delivered fell";
  if (now->delivered_bytes < before->delivered_bytes) return "bytes fell";
  if (now->latency_sum_ns < before->latency_sum_ns) return "the sum fell";
  for (unsigned i = 0; i < SSE_LATENCY_BUCKETS; i++) {
    if (now->latency[i] < before->latency[i]) return "a place fell";
    measured += now->latency[i];
  }
  if (measured > now->delivered_events) return "more were measured than delivered";
  if (now->delivered_events > now->published_events * CLIENTS * LOOPS) return "too many delivered";
  return NULL;
}

/* Asks for the hub's and the channels' numbers, and for all of it as text, until it is over. */
static void *run_watcher(void *arg) {
  struct stage *stage = arg;
  sse_stats now, before[CHANNELS + 1] = {{0}};
  char text[32768];
  const char *fault = NULL;
  while (!fault && !atomic_load_explicit(&stage->stop, memory_order_relaxed)) {
    for (unsigned i = 0; i <= CHANNELS && !fault; i++) { /* the last one is the hub */
      if (sse_hub_stats(stage->hub, names[i], &now)) fault = "no numbers";
      if (!fault) fault = judge(&now, &before[i]);
      before[i] = now;
    }
    ssize_t len = sse_stats_prometheus(text, sizeof text, stage->hub, names);
    if (len <= 0 || len > (ssize_t)sizeof text) fault = "no text";
  }
  return (void *)(uintptr_t)fault;
}

/* ---- all of them ---- */

static void open_host(struct host *host, sse_hub *hub) {
  memset(host, 0, sizeof *host);
  bell_init(&host->bell);
  assert_int_equal(sse_loop_new(&host->loop, hub,
                                &(const sse_loop_config){.wake = ring, .wake_arg = &host->bell}),
                   SSE_OK);
  for (unsigned i = 0; i < CLIENTS; i++) {
    const sse_stream_config config = {.channels = names, .loop = host->loop};
    assert_int_equal(sse_stream_open(&host->streams[i], hub, &config), SSE_OK);
  }
}

static void close_host(struct host *host) {
  for (unsigned i = 0; i < CLIENTS; i++) sse_stream_free(host->streams[i]);
  assert_int_equal(sse_loop_free(host->loop), SSE_OK);
  bell_free(&host->bell);
}

static void join_well(pthread_t thread) {
  void *fault;
  assert_int_equal(pthread_join(thread, &fault), 0);
  if (fault) fail_msg("%s", (const char *)fault);
}

static void assert_exact(sse_hub *of, uint64_t bytes) {
  sse_stats hub, channel;
  uint64_t of_channels = 0, measured = 0;
  assert_int_equal(sse_hub_stats(of, NULL, &hub), SSE_OK);
  assert_int_equal(hub.published_events, TOTAL);
  assert_int_equal(hub.delivered_events, TOTAL * CLIENTS * LOOPS);
  assert_int_equal(hub.delivered_bytes, bytes);
  for (unsigned i = 0; i < SSE_LATENCY_BUCKETS; i++) measured += hub.latency[i];
  assert_int_equal(measured, hub.delivered_events);
  for (unsigned i = 0; i < CHANNELS; i++) {
    assert_int_equal(sse_hub_stats(of, names[i], &channel), SSE_OK);
    assert_int_equal(channel.published_events, EVENTS);
    assert_int_equal(channel.lag_events, 0);
    of_channels += channel.delivered_events;
  }
  assert_int_equal(of_channels, hub.delivered_events);
}

static void numbers_while_all_work(void **state) {
  (void)state;
  struct stage stage = {.resumes = false};
  struct host hosts[LOOPS];
  struct publisher publishers[CHANNELS];
  pthread_t watching[WATCHERS], hosting[LOOPS], publishing[CHANNELS];
  uint64_t bytes = 0;
  stage_open(&stage, TOTAL);
  for (unsigned i = 0; i < LOOPS; i++) open_host(&hosts[i], stage.hub);
  for (unsigned i = 0; i < WATCHERS; i++) watching[i] = start(run_watcher, &stage);
  for (unsigned i = 0; i < LOOPS; i++) hosting[i] = start(run_host, &hosts[i]);
  for (unsigned i = 0; i < CHANNELS; i++) {
    publishers[i] = (struct publisher){stage.hub, names[i]};
    publishing[i] = start(run_publisher, &publishers[i]);
  }
  for (unsigned i = 0; i < CHANNELS; i++) join_well(publishing[i]);
  for (unsigned i = 0; i < LOOPS; i++) join_well(hosting[i]);
  atomic_store(&stage.stop, true);
  for (unsigned i = 0; i < WATCHERS; i++) join_well(watching[i]);
  for (unsigned i = 0; i < LOOPS; i++) bytes += hosts[i].bytes;
  assert_exact(stage.hub, bytes);
  for (unsigned i = 0; i < LOOPS; i++) close_host(&hosts[i]);
  stage_close(&stage);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(numbers_while_all_work)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
