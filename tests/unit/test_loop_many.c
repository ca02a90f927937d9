/* SPDX-License-Identifier: MIT */
/* test_loop_many.c: a loop with more channels, and rounds with more shares, than its table holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"

enum {
  TABLE = 1024, /* places of a loop's table at first */
  EVENTS = 1000
};

/* The channel that makes the table too small is joined with a larger one, or not at all. */
static void one_channel_more_than_the_table(void **state) {
  static char names[TABLE][16];
  static const char *channels[TABLE + 1];
  const sse_hub_config config = {.stream_channels_max = TABLE, .retry_ms = SSE_NEVER};
  const sse_stream_config many = {.channels = channels};
  sse_stream *stream = NULL;
  struct setting s;
  int failures = 0;
  (void)state;
  for (int i = 0; i < TABLE; i++) {
    snprintf(names[i], sizeof names[i], "c%d", i);
    channels[i] = names[i];
  }
  open_setting(&s, true, &config, &many);
  sse_stream_free(world_stream(&s.world, "c0", NULL, s.loop)); /* there is room for its timer */
  world_send(&s.world, "more", "x");
  const sse_stream_config more = {.channel = "more", .loop = s.loop};
  size_t blocks = world_blocks();
  for (size_t n = 1; !stream; n++) {
    world_fail(n, false);
    int error = sse_stream_open(&stream, s.world.hub, &more);
    world_fail(0, false);
    if (!error) break;
    assert_int_equal(error, SSE_ENOMEM);
    assert_int_equal(world_blocks(), blocks);
    assert_int_equal(sse_hub_count(s.world.hub, "more"), 0);
    failures++;
  }
  assert_int_equal(failures, 4); /* stream, feed, the table, which then stays, and its members */
  world_read(stream);
  while (sse_loop_next(s.loop)) continue;
  world_send(&s.world, "more", "y");
  world_send(&s.world, "c1023", "z");
  for (int i = 0; i < 2; i++) {
    sse_stream *next = sse_loop_next(s.loop);
    assert_non_null(next);
    assert_string_equal(world_read(next), next == stream ? EVENT("y", "E.2") : EVENT("z", "E.3"));
  }
  assert_null(sse_loop_next(s.loop));
  sse_stream_free(stream);
  close_setting(&s);
}

/* Events of three channels take three places each: a round takes fewer of them, and none is lost or
 * comes twice. */
static void shares_over_several_rounds(void **state) {
  const sse_stream_config config = {.channels = CHANNELS("a", "b", "c")};
  const sse_event ev = {.text = ""};
  static char expected[EVENTS * 24], got[EVENTS * 24];
  size_t want = 0, len = 0;
  int rounds = 0;
  struct setting s;
  (void)state;
  open_setting(&s, true, NULL, &config);
  round_of(&s);
  for (int i = 1; i <= EVENTS; i++) {
    assert_int_equal(sse_hub_publish_to(s.world.hub, config.channels, &ev), SSE_OK);
    want += (size_t)snprintf(expected + want, sizeof expected - want, "data:\nid: E.%d\n\n", i);
  }
  for (; sse_loop_timeout(s.loop) == 0; rounds++) {
    while (sse_loop_next(s.loop)) {
      const char *bytes = world_read(s.stream);
      memcpy(got + len, bytes, strlen(bytes) + 1);
      len += strlen(bytes);
    }
  }
  assert_string_equal(got, expected);
  assert_in_range(rounds, EVENTS * 3 / TABLE + 1, 10);
  close_setting(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_channel_more_than_the_table),
      cmocka_unit_test(shares_over_several_rounds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
