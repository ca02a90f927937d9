/* SPDX-License-Identifier: MIT */
/* test_stats_latency.c: the histogram of latencies: its places, its clock, and without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/counters.h"
#include "setting.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void places_of_latencies(void **state) {
  static const struct {
    int64_t ns;
    unsigned place;
  } rows[] = {{-1, 0},
              {0, 0},
              {1000, 0},
              {1001, 1},
              {2000, 1},
              {2001, 2},
              {4000, 2},
              {1024000, 10},
              {1024001, 11},
              {INT64_C(33554432000), 25},
              {INT64_C(33554432001), 26},
              {INT64_MAX, 26}};
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    if (sse__latency_place(rows[i].ns) != rows[i].place) fail_msg("row %zu", i);
  }
}

/* One clock for 32 streams would show all of them the time of the first. */
static int64_t ticking_clock(void *arg) {
  int64_t *ns = arg;
  return *ns += 1000000000; /* each look takes a second */
}

static void a_long_round_looks_at_the_clock(void **state) {
  enum {
    CROWD = 96
  };
  (void)state;
  int64_t ns = 0;
  const sse_hub_config config = {.clock = ticking_clock,
                                 .clock_arg = &ns,
                                 .heartbeat_ms = SSE_NEVER,
                                 .stall_ms = SSE_NEVER,
                                 .alloc = world_alloc};
  sse_hub *hub;
  sse_loop *loop;
  struct wakes wakes = {0};
  sse_stream *streams[CROWD], *stream;
  sse_stats stats;
  assert_int_equal(sse_hub_new(&hub, &config), SSE_OK);
  assert_int_equal(
      sse_loop_new(&loop, hub, &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
      SSE_OK);
  for (size_t i = 0; i < CROWD; i++) {
    const sse_stream_config of_stream = {.channel = "a", .loop = loop};
    assert_int_equal(sse_stream_open(&streams[i], hub, &of_stream), SSE_OK);
  }
  while ((stream = sse_loop_next(loop))) world_read(stream);
  assert_int_equal(sse_hub_publish_text(hub, "a", NULL, "x"), SSE_OK);
  while ((stream = sse_loop_next(loop))) world_read(stream);
  assert_int_equal(sse_hub_stats(hub, NULL, &stats), SSE_OK);
  assert_int_equal(stats.delivered_events, CROWD);
  /* The round begins one second after the publish; every 32 streams another one has passed. */
  for (unsigned seconds = 1, place = 20; seconds <= 3; seconds++, place++) {
    assert_int_equal(stats.latency[place], 32);
  }
  assert_int_equal(stats.latency_sum_ns / 1000000000, 32 * (1 + 2 + 3));
  for (size_t i = 0; i < CROWD; i++) sse_stream_free(streams[i]);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  assert_int_equal(sse_hub_free(hub), SSE_OK);
  assert_int_equal(world_blocks(), 0);
}

/* Without memory the channel, or the feed, is measured from a later call, or a later round, on. */
static void without_memory_it_is_measured_later(void **state) {
  (void)state;
  struct setting s;
  sse_stats stats;
  open_setting(&s, true, NULL, &(sse_stream_config){.channel = "a"});
  world_fail(1, true);
  assert_int_equal(sse_hub_stats(s.world.hub, "a", &stats), SSE_OK);
  world_fail(0, false);
  world_send(&s.world, "a", "1");
  round_of(&s);
  assert_int_equal(sse_hub_stats(s.world.hub, "a", &stats), SSE_OK);
  assert_int_equal(stats.delivered_events, 1);
  assert_int_equal(stats.latency[0], 0);
  world_send(&s.world, "a", "2");
  world_fail(1, true);
  round_of(&s);
  world_fail(0, false);
  assert_int_equal(sse_hub_stats(s.world.hub, "a", &stats), SSE_OK);
  assert_int_equal(stats.delivered_events, 2);
  assert_int_equal(stats.latency[0], 0);
  world_send(&s.world, "a", "3");
  round_of(&s);
  assert_int_equal(sse_hub_stats(s.world.hub, "a", &stats), SSE_OK);
  assert_int_equal(stats.delivered_events, 3);
  assert_int_equal(stats.latency[0], 1);
  close_setting(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(places_of_latencies),
      cmocka_unit_test(a_long_round_looks_at_the_clock),
      cmocka_unit_test(without_memory_it_is_measured_later),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
