/* SPDX-License-Identifier: MIT */
/* test_stats_lag.c: how old the oldest event is, and by how much loops are behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const sse_channel_config conflated = {.conflate = SSE_YES};

static void publish(sse_hub *hub, const char *channel, const char *key) {
  const sse_event ev = {.text = "v", .key = key};
  assert_int_equal(sse_hub_publish(hub, channel, &ev), SSE_OK);
}

/* The oldest of all, be it an event of a log or a value by its key. */
static void the_oldest_of_a_hub(void **state) {
  static const struct {
    const char *order; /* l publishes to a log, s to a state; 100 ms pass after each */
    uint64_t oldest_ms;
  } rows[] = {{"", 0},     {"l", 100},   {"s", 100},  {"ls", 200},
              {"sl", 200}, {"lss", 300}, {"sls", 200}};
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    struct world world = {0};
    sse_stats stats;
    world_open(&world, NULL);
    assert_int_equal(sse_hub_configure_channel(world.hub, "state", &conflated), SSE_OK);
    for (const char *at = rows[i].order; *at; at++) {
      publish(world.hub, *at == 's' ? "state" : "log", *at == 's' ? "k" : NULL);
      world.now_ms += 100;
    }
    assert_int_equal(sse_hub_stats(world.hub, NULL, &stats), SSE_OK);
    if (stats.oldest_ms != rows[i].oldest_ms) fail_msg("%s", rows[i].order);
    world_close(&world);
  }
}

/* A loop is behind what there is, not behind what was superseded meanwhile. */
static void superseded_events_are_no_lag(void **state) {
  const sse_stream_config config = {.channel = "c"};
  struct setting s;
  sse_stats stats;
  (void)state;
  open_setting(&s, true, NULL, &config);
  assert_int_equal(sse_hub_configure_channel(s.world.hub, "c", &conflated), SSE_OK);
  publish(s.world.hub, "c", "old");
  round_of(&s);
  for (int i = 0; i < 3; i++) {
    publish(s.world.hub, "c", "x");
    s.world.now_ms += 100;
  }
  assert_int_equal(sse_hub_stats(s.world.hub, "c", &stats), SSE_OK);
  assert_int_equal(stats.lag_events, 1);
  assert_int_equal(stats.lag_ms, 100);
  assert_int_equal(sse_hub_stats(s.world.hub, NULL, &stats), SSE_OK);
  assert_int_equal(stats.lag_ms, 300); /* a hub does not look at its channels for it */
  round_of(&s);
  assert_int_equal(sse_hub_stats(s.world.hub, "c", &stats), SSE_OK);
  assert_int_equal(stats.lag_events, 0);
  close_setting(&s);
}

/* The loop that is most behind tells it, whichever of the others have gone. */
static void lag_of_those_who_are_left(void **state) {
  (void)state;
  enum {
    LOOPS = 3
  };
  static const int orders[][LOOPS] = {{0, 1, 2}, {1, 0, 2}, {2, 1, 0}, {1, 2, 0}};
  struct world world = {0};
  struct wakes wakes = {0};
  world_open(&world, &(sse_hub_config){.stall_ms = SSE_NEVER});
  for (size_t row = 0; row < COUNT(orders); row++) {
    sse_loop *loops[LOOPS];
    sse_stream *streams[LOOPS];
    sse_stats stats;
    /* Each has a channel of its own; the first waits for longest. */
    for (int i = 0; i < LOOPS; i++) {
      const char name[] = {(char)('a' + i), '\0'};
      assert_int_equal(
          sse_loop_new(&loops[i], world.hub,
                       &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
          SSE_OK);
      streams[i] = world_stream(&world, name, NULL, loops[i]);
    }
    for (int i = 0; i < LOOPS; i++) {
      const char name[] = {(char)('a' + i), '\0'};
      world_send(&world, name, "x");
      world.now_ms += 1;
    }
    bool left[LOOPS] = {true, true, true};
    for (int freed = 0; freed < LOOPS; freed++) {
      int most = left[0] ? 0 : left[1] ? 1 : 2;
      assert_int_equal(sse_hub_stats(world.hub, NULL, &stats), SSE_OK);
      assert_int_equal(stats.loops, LOOPS - freed);
      assert_int_equal(stats.lag_ms, LOOPS - most);
      sse_stream_free(streams[orders[row][freed]]);
      assert_int_equal(sse_loop_free(loops[orders[row][freed]]), SSE_OK);
      left[orders[row][freed]] = false;
    }
    assert_int_equal(sse_hub_stats(world.hub, NULL, &stats), SSE_OK);
    assert_int_equal(stats.lag_ms, 0);
  }
  world_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_oldest_of_a_hub),
      cmocka_unit_test(superseded_events_are_no_lag),
      cmocka_unit_test(lag_of_those_who_are_left),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
