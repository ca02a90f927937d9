/* SPDX-License-Identifier: MIT */
/* test_backlog.c: bounds of a stream's own on how far it may be behind, where much else goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const sse_hub_config quiet = {.retry_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER};

/* A stream that is too far behind, and was asked to join in the middle of that, does so at its
 * place: what it lost before and behind is told of apart. */
static void behind_with_a_join_to_come(void **state) {
  const sse_stream_config stream = {.channel = "a", .tag = "me", .behind_events_max = 1};
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
  const sse_channel_config conflated = {.conflate = 1};
  const sse_stream_config stream = {.channel = "c", .behind_events_max = 1};
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(behind_with_a_join_to_come),
      cmocka_unit_test(behind_on_a_conflated_channel),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
