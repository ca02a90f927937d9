/* SPDX-License-Identifier: MIT */
/* test_drain.c: ending all streams of a hub over a time. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "stream/stream_priv.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
  STREAMS = 200,
  STEP_MS = 10
};

static struct world world;
static struct wakes wakes;
static sse_loop *loop;
static sse_stream *streams[STREAMS];

static const sse_hub_config config = {.retry_ms = 1000};

static int set_up(void **state) {
  (void)state;
  world = (struct world){.hub = NULL};
  wakes = (struct wakes){0};
  world_open(&world, &config);
  return sse_loop_new(&loop, world.hub,
                      &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes});
}

static int tear_down(void **state) {
  (void)state;
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
  return 0;
}

static void run_loop(void) {
  for (sse_stream *stream; (stream = sse_loop_next(loop));) world_read(stream);
}

/* Every other one in the loop, all of them idle. */
static void open_all(void) {
  for (size_t i = 0; i < STREAMS; i++) {
    streams[i] = world_stream(&world, "a", NULL, i % 2 ? loop : NULL);
    world_read(streams[i]);
  }
  run_loop();
  wakes = (struct wakes){0};
}

static void free_all(void) {
  for (size_t i = 0; i < STREAMS; i++) sse_stream_free(streams[i]);
}

/* Notes when each stream ends, by looking at all in every step; -1: not yet. */
static void watch(int from_ms, int to_ms, int ends[STREAMS], int retries[STREAMS]) {
  for (int t = from_ms; t <= to_ms; t += STEP_MS) {
    sse_hub_tick(world.hub);
    for (size_t i = 0; i < STREAMS; i++) {
      if (i % 2 || ends[i] >= 0) continue;
      const char *bytes = world_read(streams[i]);
      if (world_read_result() != SSE_EDRAINED) continue;
      assert_int_equal(sscanf(bytes, "retry: %d\n", &retries[i]), 1);
      ends[i] = t;
    }
    for (sse_stream *stream; (stream = sse_loop_next(loop));) {
      size_t i = 0;
      while (streams[i] != stream) i++;
      const char *bytes = world_read(stream);
      if (world_read_result() != SSE_EDRAINED) continue;
      assert_int_equal(ends[i], -1); /* told once */
      assert_int_equal(sscanf(bytes, "retry: %d\n", &retries[i]), 1);
      ends[i] = t;
    }
    world.now_ms += STEP_MS;
  }
}

/* ---- the time of the end ---- */

/* Calls of drain, one after the other and `after_ms` apart, and when the last stream has ended. */
static const struct {
  const char *name;
  int32_t over_ms[2]; /* -1: no call */
  int after_ms, latest_ms;
} drains[] = {
    {"at once", {0, -1}, 0, 0},
    {"over a second", {1000, -1}, 0, 1000},
    {"a second one shortens", {100000, 1000}, 50, 1050},
    {"a second one does not lengthen", {1000, 5000}, 50, 1000},
    {"then at once", {100000, 0}, 50, 50},
};

static void all_end_within_the_time(void **state) {
  (void)state;
  for (size_t d = 0; d < COUNT(drains); d++) {
    int ends[STREAMS], retries[STREAMS], early = 0, soon = 0, latest_ms = drains[d].latest_ms;
    print_message("  %s\n", drains[d].name);
    set_up(state);
    open_all();
    for (size_t i = 0; i < STREAMS; i++) ends[i] = retries[i] = -1;
    assert_int_equal(sse_hub_drain(world.hub, drains[d].over_ms[0]), SSE_OK);
    assert_int_equal(wakes.count, 1);
    assert_int_equal(wakes.why, SSE_WAKE_READY);
    if (drains[d].over_ms[1] >= 0) {
      watch(0, drains[d].after_ms - STEP_MS, ends, retries);
      for (size_t i = 0; i < STREAMS; i++) early += ends[i] >= 0;
      assert_int_equal(sse_hub_drain(world.hub, drains[d].over_ms[1]), SSE_OK);
    }
    watch(drains[d].after_ms, latest_ms, ends, retries);
    for (size_t i = 0; i < STREAMS; i++) {
      struct iovec iov[1];
      assert_int_equal(sse_stream_peek(streams[i], iov, 1), SSE_EDRAINED);
      assert_in_range(ends[i], 0, latest_ms);
      assert_in_range(retries[i], 1000, 1499);
      if (ends[i] < latest_ms / 2) soon++;
    }
    assert_true(early < STREAMS / 4);
    if (latest_ms >= 1000) assert_in_range(soon, STREAMS / 4, STREAMS * 3 / 4);
    free_all();
    tear_down(state);
  }
}

/* Hosts that look only when they are woken are woken, each when its time has come. */
static void those_alone_are_woken_by_ticks(void **state) {
  struct wakes woken[STREAMS] = {{0}};
  int before = 0;
  (void)state;
  for (size_t i = 0; i < STREAMS; i++) {
    const sse_stream_config open = {.channel = "a", .wake = world_wake, .user = &woken[i]};
    assert_int_equal(sse_stream_open(&streams[i], world.hub, &open), SSE_OK);
    world_read(streams[i]);
  }
  assert_int_equal(sse_hub_drain(world.hub, 1000), SSE_OK);
  for (int t = 0; t <= 1000; t += STEP_MS) {
    sse_hub_tick(world.hub);
    if (t == 500) {
      for (size_t i = 0; i < STREAMS; i++) before += woken[i].count;
    }
    if (t < 1000) world.now_ms += STEP_MS;
  }
  assert_in_range(before, STREAMS / 4, STREAMS * 3 / 4);
  for (size_t i = 0; i < STREAMS; i++) {
    assert_int_equal(woken[i].count, 1);
    assert_int_equal(woken[i].why, SSE_WAKE_ENDED);
  }
  free_all();
}

static void what_is_refused(void **state) {
  sse_stream *stream = NULL;
  (void)state;
  assert_int_equal(sse_hub_drain(NULL, 0), SSE_EINVAL);
  assert_int_equal(sse_hub_drain(world.hub, -1), SSE_EINVAL);
  stream = world_stream(&world, "a", NULL, NULL); /* neither has begun a drain */
  sse_stream_free(stream);
  assert_int_equal(sse_hub_drain(world.hub, INT32_MAX), SSE_OK);
  for (int in_loop = 0; in_loop <= 1; in_loop++) {
    const sse_stream_config open = {.channel = "new", .loop = in_loop ? loop : NULL};
    size_t blocks = world_blocks();
    stream = NULL;
    assert_int_equal(sse_stream_open(&stream, world.hub, &open), SSE_EDRAINED);
    assert_null(stream);
    assert_int_equal(world_blocks(), blocks);
  }
}

/* ---- while others are at work ---- */

/* A loop that is in its round when the drain begins is not woken, and does not sleep either. */
static void a_loop_in_its_round_hears_of_it(void **state) {
  struct iovec iov[1];
  (void)state;
  sse_stream *stream = world_stream(&world, "a", NULL, loop);
  run_loop();
  world_send(&world, "a", "x");
  wakes = (struct wakes){0};
  assert_ptr_equal(sse_loop_next(loop), stream);
  assert_int_equal(sse_hub_drain(world.hub, 0), SSE_OK);
  assert_int_equal(sse_stream_peek(stream, iov, 1), 1); /* it goes on in this round */
  assert_null(sse_loop_next(loop));
  assert_int_equal(wakes.count, 0);
  assert_int_equal(sse_loop_timeout(loop), 0);
  assert_ptr_equal(sse_loop_next(loop), stream);
  assert_int_equal(memcmp(world_read(stream), "data: x\nid: E.1\n\nretry: ", 24), 0);
  assert_int_equal(world_read_result(), SSE_EDRAINED);
  assert_null(sse_loop_next(loop));
  assert_int_not_equal(sse_loop_timeout(loop), 0);
  sse_stream_free(stream);
}

/* Publishes are served until the end of each stream; what ended for another reason stays ended. */
static void the_hub_goes_on(void **state) {
  struct iovec iov[1];
  const sse_stream_config open = {.channel = "a", .tag = "eve", .loop = loop};
  sse_stream *kicked = NULL;
  (void)state;
  assert_int_equal(sse_stream_open(&kicked, world.hub, &open), SSE_OK);
  sse_stream *stream = world_stream(&world, "a", NULL, loop);
  run_loop();
  assert_int_equal(sse_hub_disconnect(world.hub, "eve"), 1);
  run_loop();
  assert_int_equal(sse_hub_drain(world.hub, 1000), SSE_OK);
  run_loop();
  world_send(&world, "a", "still");
  assert_ptr_equal(sse_loop_next(loop), stream);
  assert_string_equal(world_read(stream), "data: still\nid: E.1\n\n");
  world.now_ms += 1000;
  assert_null(sse_loop_next(loop)); /* that round was under way */
  assert_ptr_equal(sse_loop_next(loop), stream);
  world_read(stream);
  assert_int_equal(world_read_result(), SSE_EDRAINED);
  assert_null(sse_loop_next(loop)); /* the other one was told before */
  assert_int_equal(sse_stream_peek(kicked, iov, 1), SSE_EDISCONNECTED);
  sse_stream_free(kicked);
  sse_stream_free(stream);
}

static void *wait_for_the_end(void *arg) {
  static int result;
  world_read(arg); /* the first bytes, and at times the farewell */
  while ((result = sse_stream_wait(arg, -1)) > 0) world_read(arg);
  return &result;
}

static bool is_asleep(sse_stream *stream) {
  pthread_mutex_lock(&world.hub->lock);
  bool asleep = stream->sub.u.standalone->waker.waiting != NULL;
  pthread_mutex_unlock(&world.hub->lock);
  return asleep;
}

/* A thread that waits without a limit, on a stream without timers, is not left behind. */
static void a_thread_that_waits_hears_of_it(void **state) {
  const sse_stream_config open = {.channel = "a", .heartbeat_ms = SSE_NEVER, .stall_ms = SSE_NEVER};
  sse_stream *stream;
  pthread_t thread;
  void *result;
  (void)state;
  assert_int_equal(sse_stream_open(&stream, world.hub, &open), SSE_OK);
  assert_int_equal(pthread_create(&thread, NULL, wait_for_the_end, stream), 0);
  while (!is_asleep(stream)) sched_yield();
  assert_int_equal(sse_hub_drain(world.hub, 0), SSE_OK);
  assert_int_equal(pthread_join(thread, &result), 0);
  assert_int_equal(*(int *)result, SSE_EDRAINED);
  sse_stream_free(stream);
}

/* One that stands alone and has ended already is given no time, nor another end. */
static void one_that_has_ended_is_left_alone(void **state) {
  const sse_stream_config open = {.channel = "a", .tag = "eve"};
  struct iovec iov[1];
  sse_stream *stream;
  (void)state;
  assert_int_equal(sse_stream_open(&stream, world.hub, &open), SSE_OK);
  world_read(stream);
  assert_int_equal(sse_hub_disconnect(world.hub, "eve"), 1);
  assert_int_equal(sse_hub_drain(world.hub, 1000), SSE_OK);
  assert_true(stream->sub.live.close_ms == SSE__NEVER_MS);
  world.now_ms += 1000;
  sse_hub_tick(world.hub);
  assert_int_equal(sse_stream_peek(stream, iov, 1), SSE_EDISCONNECTED);
  sse_stream_free(stream);
}

/* Any time of the span, its ends included, and never one that is over. */
static void ends_are_drawn_from_the_span(void **state) {
  enum {
    NOW = 1000,
    SPAN = 4
  };
  uint64_t random = 17;
  int drawn[SPAN + 1] = {0};
  (void)state;
  for (int i = 0; i < 200; i++) {
    int64_t time = sse__drain_time(&random, NOW, NOW + SPAN);
    assert_in_range(time, NOW, NOW + SPAN);
    drawn[time - NOW]++;
    assert_int_equal(sse__drain_time(&random, NOW, NOW), NOW);
    assert_int_equal(sse__drain_time(&random, NOW, NOW - 1), NOW);
  }
  for (size_t i = 0; i <= SPAN; i++) assert_true(drawn[i] > 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_end_within_the_time),
      TEST(those_alone_are_woken_by_ticks),
      TEST(what_is_refused),
      TEST(a_loop_in_its_round_hears_of_it),
      TEST(the_hub_goes_on),
      TEST(a_thread_that_waits_hears_of_it),
      TEST(one_that_has_ended_is_left_alone),
      cmocka_unit_test(ends_are_drawn_from_the_span),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
