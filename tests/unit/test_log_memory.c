/* SPDX-License-Identifier: MIT */
/* test_log_memory.c: a hub that is fed from a log, without memory: nothing is lost, nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

static struct world world;

static int feed(const char *channel, uint64_t number) {
  const sse_event event = {.text = "x", .number = number};
  return sse_hub_publish(world.hub, channel, &event);
}

static void a_hub(void **state) {
  sse_hub_config config = {.numbers = SSE_NUMBERS_GIVEN,
                           .epoch = "E",
                           .start_after = 7,
                           .finished_type = "done",
                           .concurrent_replays_max = 1};
  int error = SSE_ENOMEM;
  (void)state;
  world_callbacks(&world, &config);
  for (size_t n = 1; error; n++) {
    sse_hub *hub = NULL;
    world_fail(n, false);
    error = sse_hub_new(&hub, &config);
    world_fail(0, false);
    if (!error) assert_int_equal(sse_hub_free(hub), SSE_OK);
    assert_true(!error || error == SSE_ENOMEM);
    assert_int_equal(world_blocks(), 0);
  }
}

/* Streams that are ahead, so many that the hub's heap of them grows. */
static void opens(void **state) {
  enum {
    STREAMS = 40
  };
  const sse_hub_config hub_config = {.numbers = SSE_NUMBERS_GIVEN, .retry_ms = SSE_NEVER};
  const sse_stream_config config = {.channel = "a", .last_id = "E.7"};
  sse_stream *streams[STREAMS];
  size_t failures = 0;
  (void)state;
  world_open(&world, &hub_config);
  for (size_t i = 0; i < STREAMS; i++) {
    int error = SSE_ENOMEM;
    for (size_t n = 1; error; n++) {
      world_fail(n, false);
      error = sse_stream_open(&streams[i], world.hub, &config);
      world_fail(0, false);
      assert_true(!error || error == SSE_ENOMEM);
      assert_int_equal(sse_hub_count(world.hub, NULL), error ? i : i + 1);
      failures += error != 0;
    }
    assert_string_equal(world_read(streams[i]), POSITION("E.7"));
  }
  assert_true(failures > 2 * STREAMS);
  assert_int_equal(feed("a", 7), SSE_OK);
  assert_int_equal(feed("a", 8), SSE_OK);
  for (size_t i = 0; i < STREAMS; i++) {
    assert_string_equal(world_read(streams[i]), EVENT("x", "E.8"));
    sse_stream_free(streams[i]);
  }
  world_close(&world);
}

/* ---- gaps, and what waits for the head ---- */

static int call_skip(void) {
  return sse_hub_skip(world.hub, 9);
}
static int call_reset(void) {
  return sse_hub_reset(world.hub, "F", 3);
}
static int call_two_resets(void) {
  return sse_hub_reset(world.hub, "D", 0) | sse_hub_reset(world.hub, "F", 3);
}
static int call_reach(void) {
  return feed("a", 7) | feed("a", 8);
}

static const struct {
  const char *name, *last_id, *joins;
  int (*move)(void);
  const char *bytes;
} rows[] = {
    {"a skip", "E.5", NULL, call_skip,
     GAP_OF("evicted", "\"resume\":\"E.9\",\"channels\":[\"a\"]", "E.9")},
    {"a skip beyond one that is ahead", "E.7", NULL, call_skip,
     GAP_OF("evicted", "\"resume\":\"E.9\",\"channels\":[\"a\"]", "E.9")},
    {"a reset", "E.5", NULL, call_reset,
     GAP_OF("restart", "\"resume\":\"F.3\",\"channels\":[\"a\"]", "F.3")},
    {"two resets", "E.5", NULL, call_two_resets,
     GAP_OF("restart", "\"resume\":\"F.3\",\"channels\":[\"a\"]", "F.3")},
    {"a reset of one that is ahead", "E.7", NULL, call_reset,
     GAP_OF("restart", "\"resume\":\"F.3\",\"channels\":[\"a\"]", "F.3")},
    {"a reset of one that joins", "E.5", "b", call_reset,
     GAP_OF("restart", "\"resume\":\"F.3\",\"channels\":[\"a\"]", "F.3") POSITION("F.3")},
    {"one that is ahead joins when it is reached", "E.7", "b", call_reach,
     POSITION("E.7~") EPHEMERAL("x") POSITION("E.7") EVENT("x", "E.8")},
};

/* The first look fails from its n-th allocation on; true: it had fewer. */
static bool look_fails(size_t n, size_t i, bool in_loop) {
  const sse_hub_config hub_config = {.numbers = SSE_NUMBERS_GIVEN, .retry_ms = SSE_NEVER};
  struct wakes wakes = {0};
  const sse_loop_config waking = {.wake = world_wake, .wake_arg = &wakes};
  sse_stream_config config = {.channel = "a", .tag = "me", .last_id = rows[i].last_id};
  struct iovec iov[8];
  sse_stream *stream;
  world_open(&world, &hub_config);
  if (in_loop) assert_int_equal(sse_loop_new(&config.loop, world.hub, &waking), SSE_OK);
  assert_int_equal(feed("b", 5), SSE_OK);
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  while (sse_loop_next(config.loop)) world_read(stream);
  world_read(stream);
  if (rows[i].joins) assert_int_equal(sse_hub_subscribe(world.hub, "me", rows[i].joins, 1), 1);
  assert_int_equal(rows[i].move(), SSE_OK);
  if (in_loop) assert_ptr_equal(sse_loop_next(config.loop), stream);
  world_fail(n, true);
  int count = sse_stream_peek(stream, iov, 8);
  world_fail(0, false);
  assert_true(count > 0 || count == SSE_ENOMEM);
  assert_string_equal(world_read(stream), rows[i].bytes);
  sse_stream_free(stream);
  while (sse_loop_next(config.loop)) {
  }
  assert_int_equal(sse_loop_free(config.loop), SSE_OK);
  world_close(&world);
  return count > 0;
}

static void looks(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    for (int in_loop = 0; in_loop < 2; in_loop++) {
      size_t n = 1;
      print_message("  %s, %s\n", rows[i].name, in_loop ? "in a loop" : "standalone");
      while (!look_fails(n, i, in_loop)) n++;
      assert_true(n > 1);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_hub),
      cmocka_unit_test(opens),
      cmocka_unit_test(looks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
