/* SPDX-License-Identifier: MIT */
/* test_membership_many.c: several streams are asked, of several loops: who has what, and who leaves first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"

/* ---- streams of loops ---- */

/* Two loops, and streams of theirs: one of b, one of a and b that is tagged, one of b in the other
 * loop. */
struct crowd {
  struct world world;
  struct wakes wakes[2];
  sse_loop *loops[2];
  sse_stream *streams[3];
};

static void open_crowd(struct crowd *c, const sse_hub_config *config) {
  const sse_stream_config configs[3] = {{.channels = CHANNELS("b", "c")},
                                        {.channels = CHANNELS("a", "b"), .tag = "me"},
                                        {.channels = CHANNELS("b")}};
  memset(c, 0, sizeof *c);
  world_open(&c->world, config);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(
        sse_loop_new(&c->loops[i], c->world.hub,
                     &(const sse_loop_config){.wake = world_wake, .wake_arg = &c->wakes[i]}),
        SSE_OK);
  }
  for (int i = 0; i < 3; i++) {
    sse_stream_config one = configs[i];
    one.loop = c->loops[i == 2];
    assert_int_equal(sse_stream_open(&c->streams[i], c->world.hub, &one), SSE_OK);
    world_read(c->streams[i]);
  }
}

static void close_crowd(struct crowd *c) {
  for (int i = 0; i < 3; i++) sse_stream_free(c->streams[i]);
  for (int i = 0; i < 2; i++) assert_int_equal(sse_loop_free(c->loops[i]), SSE_OK);
  world_close(&c->world);
}

/* What a stream of a loop has is known without asking its thread: at its limit it may be asked for
 * that, and for nothing else. */
static void what_a_stream_of_a_loop_has(void **state) {
  const sse_hub_config config = {.stream_channels_max = 2};
  struct crowd c;
  (void)state;
  open_crowd(&c, &config);
  world_send(&c.world, "d", "x");
  assert_int_equal(sse_hub_subscribe(c.world.hub, "me", "a", 0), 1);
  assert_int_equal(sse_hub_subscribe(c.world.hub, "me", "b", 0), 1);
  assert_int_equal(sse_hub_subscribe(c.world.hub, "me", "c", 0),
                   SSE_ECHANNELS); /* its neighbour's */
  assert_int_equal(sse_hub_subscribe(c.world.hub, "me", "d", 0), SSE_ECHANNELS); /* nobody's */
  close_crowd(&c);
}

/* What it is to leave counts until it has left, and what it never had is no place that gets free.
 */
static void what_a_stream_is_to_leave(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {.stream_channels_max = 1, .retry_ms = SSE_NEVER};
    const sse_stream_config stream = {.channel = "a", .tag = "me"};
    struct setting s;
    open_setting(&s, in_loop, &config, &stream);
    round_of(&s);
    world_send(&s.world, "b", "1");
    assert_int_equal(sse_hub_unsubscribe(s.world.hub, "me", "b"), 1);
    assert_int_equal(sse_hub_subscribe(s.world.hub, "me", "b", 0), SSE_ECHANNELS);
    assert_int_equal(sse_hub_unsubscribe(s.world.hub, "me", "a"), 1);
    assert_int_equal(sse_hub_subscribe(s.world.hub, "me", "b", 0), SSE_ECHANNELS);
    assert_int_equal(sse_hub_subscribe(s.world.hub, "me", "a", 0), 1);
    round_of(&s);
    world_send(&s.world, "a", "2");
    assert_string_equal(round_of(&s), EVENT("2", "E.2"));
    close_setting(&s);
  }
}

/* Calls for a stream that is not read wait, and their number is limited; one dismissal still goes. */
static void what_waits_is_bounded(void **state) {
  static const struct {
    uint32_t channels_max;
    int calls;
  } rows[] = {{1, 64}, {32, 64}, {33, 66}, {200, 400}};
  (void)state;
  for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
    const sse_hub_config config = {.stream_channels_max = rows[i / 2].channels_max,
                                   .retry_ms = SSE_NEVER};
    const sse_stream_config stream = {.channel = "a", .tag = "me"};
    struct setting s;
    open_setting(&s, i % 2, &config, &stream);
    round_of(&s);
    size_t bytes = 0;
    for (int call = 0; call < 1000; call++) {
      int result = call % 2 ? sse_hub_unsubscribe(s.world.hub, "me", "a")
                            : sse_hub_subscribe(s.world.hub, "me", "a", 0);
      assert_int_equal(result, call < rows[i / 2].calls ? 1 : SSE_ECHANNELS);
      if (call == rows[i / 2].calls) bytes = world_bytes();
    }
    assert_int_equal(world_bytes(), bytes);
    assert_int_equal(sse_hub_dismiss(s.world.hub, "me"), 1);
    assert_int_equal(sse_hub_dismiss(s.world.hub, "me"), 0);
    round_of(&s);
    close_setting(&s);
  }
}

/* A member that moves takes its place in its feed along: others come and go, and none is lost. */
static void members_that_move(void **state) {
  struct crowd c;
  sse_stream *last;
  (void)state;
  open_crowd(&c, NULL);
  const sse_stream_config config = {
      .channels = CHANNELS("a", "d", "b"), .tag = "you", .loop = c.loops[0]};
  assert_int_equal(sse_stream_open(&last, c.world.hub, &config), SSE_OK);
  assert_int_equal(sse_hub_unsubscribe(c.world.hub, "you", "a"),
                   1); /* the last of its members moves */
  world_read(last);
  sse_stream_free(c.streams[0]); /* its place in the feed is the last one's now */
  c.streams[0] = NULL;
  sse_stream_free(last);
  while (sse_loop_next(c.loops[0])) continue;
  world_send(&c.world, "b", "x");
  assert_ptr_equal(sse_loop_next(c.loops[0]), c.streams[1]);
  assert_string_equal(world_read(c.streams[1]), EVENT("x", "E.1"));
  assert_null(sse_loop_next(c.loops[0]));
  close_crowd(&c);
}

/* Two were asked in one loop, and either goes away before its round; the other does it. */
static void one_of_those_asked_leaves(void **state) {
  (void)state;
  for (int leaves = 0; leaves < 2; leaves++) {
    const sse_hub_config config = {.retry_ms = SSE_NEVER};
    const sse_stream_config stream = {.channel = "a", .tag = "me"};
    sse_stream *other, *stays;
    struct setting s;
    open_setting(&s, true, &config, &stream);
    assert_int_equal(sse_stream_open(&other, s.world.hub, &s.config), SSE_OK);
    while (sse_loop_next(s.loop)) world_read(other);
    assert_int_equal(sse_hub_subscribe(s.world.hub, "me", "b", 0), 2);
    sse_stream_free(leaves ? s.stream : other);
    stays = leaves ? other : s.stream;
    s.stream = stays;
    assert_ptr_equal(sse_loop_next(s.loop), stays);
    assert_string_equal(world_read(stays), POSITION("E.0"));
    assert_null(sse_loop_next(s.loop));
    assert_int_equal(sse_hub_count(s.world.hub, "b"), 1);
    close_setting(&s);
  }
}

/* Who is asked while its loop is in a round has its turn in the next, without a wake. */
static void asked_within_a_round(void **state) {
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER};
  const sse_stream_config stream = {.channel = "a", .tag = "me"};
  struct setting s;
  (void)state;
  open_setting(&s, true, &config, &stream);
  round_of(&s);
  world_send(&s.world, "a", "1");
  s.wakes.count = 0;
  assert_ptr_equal(sse_loop_next(s.loop), s.stream);
  assert_string_equal(world_read(s.stream), EVENT("1", "E.1"));
  assert_int_equal(sse_hub_subscribe(s.world.hub, "me", "b", 0), 1);
  assert_null(sse_loop_next(s.loop));
  assert_int_equal(sse_loop_timeout(s.loop), 0);
  world_send(&s.world, "a", "2");
  assert_int_equal(s.wakes.count, 0);
  assert_string_equal(round_of(&s), POSITION("E.1") EVENT("2", "E.2"));
  close_setting(&s);
}

/* ---- places and memory for several ---- */

/* Of those with a tag, who has the channel already needs no place in it. */
static void places_for_those_who_have_none(void **state) {
  (void)state;
  for (size_t places = 1; places <= 2; places++) {
    const sse_channel_config bounds = {.streams_max = (uint32_t)places};
    const sse_stream_config configs[2] = {{.channel = "a", .tag = "me"},
                                          {.channel = "b", .tag = "me"}};
    struct world world = {0};
    sse_stream *streams[2];
    world_open(&world, NULL);
    assert_int_equal(sse_hub_configure_channel(world.hub, "b", &bounds), SSE_OK);
    for (int i = 0; i < 2; i++) {
      assert_int_equal(sse_stream_open(&streams[i], world.hub, &configs[i]), SSE_OK);
    }
    int result = sse_hub_subscribe(world.hub, "me", "b", 0);
    assert_int_equal(result, places == 2 ? 2 : SSE_ECHANNELSTREAMS);
    for (int i = 0; i < 2; i++) world_read(streams[i]);
    assert_int_equal(sse_hub_count(world.hub, "b"), places);
    for (int i = 0; i < 2; i++) sse_stream_free(streams[i]);
    world_close(&world);
  }
}

/* All are asked, or none. */
static void memory_for_one_of_two(void **state) {
  const sse_stream_config config = {.channel = "a", .tag = "me"};
  struct world world = {0};
  sse_stream *streams[2];
  (void)state;
  world_open(&world, NULL);
  world_send(&world, "b", "x");
  for (int i = 0; i < 2; i++) {
    assert_int_equal(sse_stream_open(&streams[i], world.hub, &config), SSE_OK);
    world_read(streams[i]);
  }
  size_t blocks = world_blocks();
  for (size_t n = 1; n <= 2; n++) {
    world_fail(n, false);
    assert_int_equal(sse_hub_subscribe(world.hub, "me", "b", 0), SSE_ENOMEM);
    assert_int_equal(world_blocks(), blocks);
  }
  world_fail(0, false);
  for (int i = 0; i < 2; i++) assert_string_equal(world_read(streams[i]), "");
  assert_int_equal(sse_hub_count(world.hub, "b"), 0);
  for (int i = 0; i < 2; i++) sse_stream_free(streams[i]);
  world_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_stream_of_a_loop_has),    cmocka_unit_test(what_waits_is_bounded),
      cmocka_unit_test(what_a_stream_is_to_leave),      cmocka_unit_test(members_that_move),
      cmocka_unit_test(one_of_those_asked_leaves),      cmocka_unit_test(asked_within_a_round),
      cmocka_unit_test(places_for_those_who_have_none), cmocka_unit_test(memory_for_one_of_two),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
