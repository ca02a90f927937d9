/* SPDX-License-Identifier: MIT */
/* test_gap.c: what a gap reports: events that were evicted, or that a stream's own limits skip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"

#define COUNT(array)    (sizeof(array) / sizeof(array)[0])
#define GAP(fields, id) GAP_OF("slow", "\"resume\":\"" id "\"," fields, id)

static const sse_hub_config quiet = {.retry_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER};

/* A stream that is too far behind, and was asked to join in the middle of that, does so at its
 * place: what it lost before and behind is told of apart. */
static void behind_with_a_join_to_come(void **state) {
  const sse_stream_config stream = {.channel = "a", .tag = "me", .lag_events_max = 1};
  struct setting s;
  (void)state;
  open_setting(&s, false, &quiet, &stream);
  round_of(&s);
  for (int i = 0; i < 2; i++) world_send(&s.world, "a", "x");
  assert_int_equal(sse_hub_subscribe(s.world.hub, "me", "b", 0), 1);
  for (int i = 0; i < 2; i++) world_send(&s.world, "a", "x");
  world_send(&s.world, "b", "last");
  assert_string_equal(
      round_of(&s),
      GAP_OF("slow", "\"resume\":\"E.2\",\"channels\":[\"a\"],\"lost\":2", "E.2") POSITION("E.2")
          GAP_OF("slow", "\"resume\":\"E.4\",\"channels\":[\"a\"],\"lost\":2", "E.4")
              EVENT("last", "E.5"));
  close_setting(&s);
}

/* What was superseded is not behind: a bound of one event holds for one key, however often. */
static void behind_on_a_conflated_channel(void **state) {
  static const char *const keys[] = {"old", "x", "x", "x"};
  const sse_channel_config conflated = {.conflate = SSE_YES};
  const sse_stream_config stream = {.channel = "c", .lag_events_max = 1};
  struct setting s;
  (void)state;
  open_setting(&s, false, &quiet, &stream);
  assert_int_equal(sse_hub_configure_channel(s.world.hub, "c", &conflated), SSE_OK);
  for (size_t i = 0; i < COUNT(keys); i++) {
    const sse_event ev = {.text = "v", .key = keys[i]};
    assert_int_equal(sse_hub_publish(s.world.hub, "c", &ev), SSE_OK);
    if (i == 0) assert_string_equal(round_of(&s), EVENT("v", "E.1"));
  }
  assert_string_equal(round_of(&s), EVENT("v", "E.4"));
  close_setting(&s);
}

/* Frames past their age are neither replayed nor served, and are told of as lost. */
static void test_old_frames(void **state) {
  (void)state;
  const sse_hub_config config = {.channel.window_age_ms_max = 1000};
  const sse_stream_config stream = {.channel = "a"};
  struct setting s;
  open_setting(&s, false, &config, &stream);
  world_send(&s.world, "a", "1");
  s.world.now_ms += 600;
  world_send(&s.world, "a", "2");
  s.world.now_ms += 600;
  assert_string_equal(world_read(s.stream),
                      GAP("\"channels\":[\"a\"],\"lost\":1", "E.1") EVENT("2", "E.2"));
  close_setting(&s);
}

/* Frames past their age go from each of a stream's channels. */
static void test_old_frames_of_several_channels(void **state) {
  (void)state;
  const sse_hub_config config = {.channel.window_age_ms_max = 1000};
  const sse_stream_config stream = {.channels = CHANNELS("a", "b", "c")};
  struct setting s;
  open_setting(&s, false, &config, &stream);
  world_send(&s.world, "b", "1");
  world_send(&s.world, "c", "2");
  s.world.now_ms += 600;
  world_send(&s.world, "a", "3");
  s.world.now_ms += 600;
  assert_string_equal(world_read(s.stream),
                      GAP("\"channels\":[\"b\",\"c\"],\"lost\":2", "E.2") EVENT("3", "E.3"));
  close_setting(&s);
}

/* An event for two of three channels counts in those two: what the third loses later is exact. */
static void test_a_shared_event_counts_where_it_went(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {.channel.window_frames_max = 2};
    const sse_stream_config stream = {.channels = CHANNELS("a", "b", "c")};
    const sse_event ev = {.text = "2"};
    struct setting s;
    open_setting(&s, in_loop, &config, &stream);
    round_of(&s);
    world_send(&s.world, "c", "1");
    assert_string_equal(round_of(&s), EVENT("1", "E.1"));
    assert_int_equal(sse_hub_publish_to(s.world.hub, CHANNELS("a", "b"), &ev), SSE_OK);
    assert_string_equal(round_of(&s), EVENT("2", "E.2"));
    for (int i = 3; i <= 5; i++) world_send(&s.world, "c", "x");
    assert_string_equal(round_of(&s), GAP("\"channels\":[\"c\"],\"lost\":1", "E.3")
                                          EVENT("x", "E.4") EVENT("x", "E.5"));
    close_setting(&s);
  }
}

/* A gap that cannot be told yet is told later, whole. */
static void test_a_gap_without_memory(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {.channel.window_frames_max = 1};
    const sse_stream_config stream = {.channel = "a"};
    struct iovec iov[1];
    struct setting s;
    open_setting(&s, in_loop, &config, &stream);
    round_of(&s);
    for (int i = 1; i <= 3; i++) world_send(&s.world, "a", "x");
    if (in_loop) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    world_fail(1, true);
    for (int i = 0; i < 2; i++) {
      assert_int_equal(sse_stream_peek(s.stream, iov, 1), SSE_ENOMEM);
    }
    world_fail(0, false);
    assert_string_equal(world_read(s.stream),
                        GAP("\"channels\":[\"a\"],\"lost\":2", "E.2") EVENT("x", "E.3"));
    close_setting(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(behind_with_a_join_to_come),
      cmocka_unit_test(behind_on_a_conflated_channel),
      cmocka_unit_test(test_old_frames),
      cmocka_unit_test(test_old_frames_of_several_channels),
      cmocka_unit_test(test_a_shared_event_counts_where_it_went),
      cmocka_unit_test(test_a_gap_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
