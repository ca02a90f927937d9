/* SPDX-License-Identifier: MIT */
/* test_admin.c: kicks, turns, presence and a drain, while streams come and go on many threads. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sse/sse.h>

#include "hub/hub.h"

enum {
  LOOPS = 2,
  LONES = 2,
  STREAMS = 8, /* of each loop at one time */
  PUBLISHES = 3000,
  READ_BYTES = 512
};

static sse_hub *hub;
static pthread_mutex_t judge = PTHREAD_MUTEX_INITIALIZER;
static int started, inside, calls, wrong; /* guarded by it */

/* What a thread met; looked at after its end. */
struct result {
  size_t opened;
  int refused; /* why no stream is to be had any more */
  int odd;     /* an end that nobody has caused */
};

static void note_end(struct result *result, int reason) {
  bool caused = reason == SSE_EDISCONNECTED || reason == SSE_EDRAINED;
  if (!caused && !result->odd) result->odd = reason;
}

static int open_one(struct result *result, sse_loop *loop, sse_stream **stream) {
  static const char *const ids[] = {"E.0", NULL, "E.1"};
  const sse_stream_config config = {.channel = result->opened % 2 ? "a" : "b",
                                    .last_id = ids[result->opened % 3],
                                    .tag = result->opened % 4 ? "eve" : NULL,
                                    .loop = loop};
  int error = sse_stream_open(stream, hub, &config);
  if (error) {
    result->refused = error;
    return error;
  }
  if (result->opened++ == 0) {
    pthread_mutex_lock(&judge);
    started++;
    pthread_mutex_unlock(&judge);
  }
  return SSE_OK;
}

/* A thread for one connection at a time, which leaves by itself now and then. */
static void *be_alone(void *arg) {
  struct result *result = arg;
  sse_stream *stream;
  char buf[READ_BYTES];
  while (open_one(result, NULL, &stream) == SSE_OK) {
    for (int turn = 0; turn < 50; turn++) {
      int got = sse_stream_wait(stream, 1);
      if (got > 0) got = (int)sse_stream_read(stream, buf, sizeof buf);
      if (got < 0) {
        note_end(result, got);
        break;
      }
    }
    sse_stream_free(stream);
  }
  return NULL;
}

static int no_wake(void *arg, unsigned why) {
  (void)arg;
  (void)why;
  return 0;
}

static void leave(sse_stream *streams[STREAMS], const sse_stream *stream) {
  for (size_t i = 0; i < STREAMS; i++) {
    if (streams[i] != stream) continue;
    sse_stream_free(streams[i]);
    streams[i] = NULL;
  }
}

static void run_round(struct result *result, sse_loop *loop, sse_stream *streams[STREAMS]) {
  char buf[READ_BYTES];
  for (sse_stream *stream; (stream = sse_loop_next(loop));) {
    ssize_t got;
    while ((got = sse_stream_read(stream, buf, sizeof buf)) > 0) continue;
    if (got == 0) continue;
    note_end(result, (int)got);
    leave(streams, stream);
  }
}

/* A loop that never sleeps: what it is told, it finds in its next round. */
static void *be_a_loop(void *arg) {
  struct result *result = arg;
  sse_stream *streams[STREAMS] = {NULL};
  size_t open = 1;
  sse_loop *loop;
  if (sse_loop_new(&loop, hub, &(const sse_loop_config){.wake = no_wake})) return arg;
  for (size_t round = 0; open > 0; round++) {
    open = 0;
    for (size_t i = 0; i < STREAMS; i++) {
      if (round % 64 == i) leave(streams, streams[i]);
      if (!streams[i] && !result->refused) open_one(result, loop, &streams[i]);
      if (streams[i]) open++;
    }
    run_round(result, loop, streams);
    sched_yield();
  }
  return sse_loop_free(loop) ? arg : NULL;
}

static void on_presence(void *arg, const char *channel, int present) {
  (void)arg;
  (void)present;
  pthread_mutex_lock(&judge);
  if (inside++ > 0) wrong++;
  calls++;
  pthread_mutex_unlock(&judge);
  sse_hub_publish_text(hub, channel, "presence", "changed");
  pthread_mutex_lock(&judge);
  inside--;
  pthread_mutex_unlock(&judge);
}

static bool all_have_started(void) {
  pthread_mutex_lock(&judge);
  bool all = started == LOOPS + LONES;
  pthread_mutex_unlock(&judge);
  return all;
}

static void all_at_once(void **state) {
  const sse_hub_config config = {
      .epoch = "E", .concurrent_replays_max = 2, .tag_streams_max = 1000, .occupancy = on_presence};
  struct result results[LOOPS + LONES] = {{0}};
  pthread_t threads[LOOPS + LONES];
  (void)state;
  assert_int_equal(sse_hub_new(&hub, &config), SSE_OK);
  hub->part_max = 1; /* so that calls for many streams release the lock between any two */
  for (size_t i = 0; i < LOOPS + LONES; i++) {
    void *(*main_of)(void *) = i < LOOPS ? be_a_loop : be_alone;
    assert_int_equal(pthread_create(&threads[i], NULL, main_of, &results[i]), 0);
  }
  while (!all_have_started()) sched_yield();
  for (int i = 0; i < PUBLISHES; i++) {
    assert_int_equal(sse_hub_publish_text(hub, i % 2 ? "a" : "b", NULL, "x"), SSE_OK);
    if (i % 100 == 0) assert_true(sse_hub_disconnect(hub, "eve") >= 0);
    if (i % 500 == 0) sse_hub_tick(hub);
  }
  assert_int_equal(sse_hub_drain(hub, 1000), SSE_OK);
  assert_int_equal(sse_hub_drain(hub, 10), SSE_OK);
  for (size_t i = 0; i < LOOPS + LONES; i++) {
    void *failed;
    assert_int_equal(pthread_join(threads[i], &failed), 0);
    assert_null(failed);
    assert_true(results[i].opened > 0);
    assert_int_equal(results[i].refused, SSE_EDRAINED);
    assert_int_equal(results[i].odd, 0);
  }
  assert_int_equal(sse_hub_count(hub, NULL), 0);
  assert_int_equal(wrong, 0);
  assert_true(calls >= 2);
  assert_int_equal(sse_hub_free(hub), SSE_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
