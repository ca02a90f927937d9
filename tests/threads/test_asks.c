/* SPDX-License-Identifier: MIT */
/* test_asks.c: streams join and leave a channel, or are dismissed, from another thread, while all
 * goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "line.h"

enum {
  ROUNDS = 300, /* joins, and as many leaves */
  FLOOD = 6000,
  STREAMS = 3, /* of the loop, and as many that stand alone */
  PATIENCE_MS = 20000
};

static sse_hub *hub;

/* What one stream was told. Its own thread has it until the join. */
struct client {
  sse_stream *stream;
  sse_parser *parser;
  unsigned wanted, unwanted, flood;
  bool over;
  int end; /* what the last read of the stream said */
};

/* Reads all that the stream has. */
static void serve(struct client *client) {
  char buf[4096];
  ssize_t got;
  while ((got = sse_stream_read(client->stream, buf, sizeof buf)) > 0) {
    const char *at = buf;
    size_t left = (size_t)got;
    sse_parsed event;
    while (sse_parser_next(client->parser, &at, &left, &event) > 0) {
      client->wanted += strcmp(event.type, "wanted") == 0;
      client->unwanted += strcmp(event.type, "unwanted") == 0;
      client->flood += strcmp(event.type, "flood") == 0;
      client->over = client->over || strcmp(event.type, "end") == 0;
    }
  }
  client->end = (int)got;
  client->over = client->over || got < 0;
}

static void open_client(struct client *client, sse_loop *loop) {
  const sse_stream_config config = {.channel = "a", .tag = "me", .loop = loop, .user = client};
  if (sse_parser_new(&client->parser, NULL)) abort();
  if (sse_stream_open(&client->stream, hub, &config)) abort();
}

static void close_client(struct client *client) {
  sse_stream_free(client->stream);
  sse_parser_free(client->parser);
}

static void *run_alone(void *arg) {
  struct client *client = arg;
  while (!client->over && sse_stream_wait(client->stream, PATIENCE_MS) > 0) serve(client);
  return NULL;
}

struct host {
  struct client clients[STREAMS];
  struct bell bell;
  sse_loop *loop;
};

static int wake(void *arg, unsigned why) {
  (void)why;
  bell_ring(arg);
  return 0;
}

static bool all_over(const struct host *host) {
  unsigned over = 0;
  for (unsigned i = 0; i < STREAMS; i++) over += host->clients[i].over;
  return over == STREAMS;
}

static void *run_host(void *arg) {
  struct host *host = arg;
  while (!all_over(host)) {
    for (sse_stream *stream; (stream = sse_loop_next(host->loop));) serve(sse_stream_user(stream));
    int timeout = sse_loop_timeout(host->loop);
    if (timeout == 0 || all_over(host)) continue;
    if (!bell_wait(&host->bell, PATIENCE_MS)) break;
  }
  return NULL;
}

static void *run_flood(void *arg) {
  for (int i = 0; i < FLOOD; i++) {
    if (sse_hub_publish_text(hub, i % 2 ? "a" : "b", "flood", "x")) abort();
  }
  return arg;
}

/* What is published after a join has returned is for all; after a leave, for nobody. */
static void *run_asks(void *arg) {
  for (int i = 0; i < ROUNDS; i++) {
    if (sse_hub_subscribe(hub, "me", "x", i % 3 ? 0 : 5) != 2 * STREAMS) abort();
    if (sse_hub_publish_text(hub, "x", "wanted", "x")) abort();
    if (sse_hub_unsubscribe(hub, "me", "x") != 2 * STREAMS) abort();
    /* Ephemeral, so that it is in no history. */
    const sse_event unwanted = {.type = "unwanted", .text = "x", .flags = SSE_EPHEMERAL};
    if (sse_hub_publish(hub, "x", &unwanted)) abort();
  }
  return arg;
}

static void judge(const struct client *client) {
  assert_true(client->over);
  assert_int_equal(client->unwanted, 0);
  assert_int_equal(client->flood, FLOOD / 2);
  /* A history of five brings up to five again, at every third join. */
  assert_in_range(client->wanted, ROUNDS + ROUNDS / 3 - 1, ROUNDS + 5 * (ROUNDS / 3 + 1));
}

static struct host host;
static struct client alone[STREAMS];

/* A hub, its clients, and a thread for each that is alone and for the host of the others. */
static void begin(pthread_t threads[STREAMS + 1]) {
  const sse_hub_config config = {.stream_channels_max = ROUNDS, /* so that all may be pending */
                                 .alloc = line_alloc,
                                 .heartbeat_ms = SSE_NEVER,
                                 .stall_ms = SSE_NEVER,
                                 .channel.window_frames_max = 2 * FLOOD};
  memset(&host, 0, sizeof host);
  memset(alone, 0, sizeof alone);
  assert_int_equal(sse_hub_new(&hub, &config), SSE_OK);
  bell_init(&host.bell);
  assert_int_equal(
      sse_loop_new(&host.loop, hub, &(const sse_loop_config){.wake = wake, .wake_arg = &host.bell}),
      SSE_OK);
  for (unsigned i = 0; i < STREAMS; i++) {
    open_client(&host.clients[i], host.loop);
    open_client(&alone[i], NULL);
  }
  for (unsigned i = 0; i < STREAMS; i++) threads[i] = start(run_alone, &alone[i]);
  threads[STREAMS] = start(run_host, &host);
}

/* The threads were joined. */
static void finish(void) {
  for (unsigned i = 0; i < STREAMS; i++) {
    close_client(&host.clients[i]);
    close_client(&alone[i]);
  }
  assert_int_equal(sse_loop_free(host.loop), SSE_OK);
  bell_free(&host.bell);
  assert_int_equal(sse_hub_free(hub), SSE_OK);
  assert_int_equal(line_blocks(), 0);
}

static void everybody_gets_what_is_published_after_a_join(void **state) {
  pthread_t threads[STREAMS + 3];
  (void)state;
  begin(threads);
  threads[STREAMS + 1] = start(run_flood, NULL);
  threads[STREAMS + 2] = start(run_asks, NULL);
  pthread_join(threads[STREAMS + 2], NULL);
  pthread_join(threads[STREAMS + 1], NULL);
  assert_int_equal(sse_hub_publish_text(hub, "a", "end", "x"), SSE_OK);
  for (unsigned i = 0; i <= STREAMS; i++) pthread_join(threads[i], NULL);
  for (unsigned i = 0; i < STREAMS; i++) {
    judge(&host.clients[i]);
    judge(&alone[i]);
  }
  finish();
}

static void judge_dismissed(const struct client *client) {
  assert_int_equal(client->end, SSE_EDISMISSED);
  assert_int_equal(client->wanted, 1);
  assert_int_equal(client->unwanted, 0);
}

/* What is published before a dismissal is for all, what comes after it has returned for nobody. */
static void everybody_gets_what_is_published_before_a_dismissal(void **state) {
  pthread_t threads[STREAMS + 2];
  (void)state;
  for (int round = 0; round < ROUNDS / 10; round++) {
    begin(threads);
    threads[STREAMS + 1] = start(run_flood, NULL);
    assert_int_equal(sse_hub_publish_text(hub, "a", "wanted", "x"), SSE_OK);
    assert_int_equal(sse_hub_dismiss(hub, "me"), 2 * STREAMS);
    assert_int_equal(sse_hub_publish_text(hub, "a", "unwanted", "x"), SSE_OK);
    for (unsigned i = 0; i < STREAMS + 2; i++) pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < STREAMS; i++) {
      judge_dismissed(&host.clients[i]);
      judge_dismissed(&alone[i]);
    }
    finish();
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everybody_gets_what_is_published_after_a_join),
      cmocka_unit_test(everybody_gets_what_is_published_before_a_dismissal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
