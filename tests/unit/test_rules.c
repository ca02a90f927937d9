/* SPDX-License-Identifier: MIT */
/* test_rules.c: rules of the step, each by the shortest history that comes out otherwise without
 * it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

#define EVENT(text, id) "data: " text "\nid: " id "\n\n"
#define POSITION(id)    "event: sse-position\ndata:\nid: " id "\n\n"
#define GAP(channels, id, lost)                                                                    \
  "event: gap\ndata: {\"reason\":\"slow\",\"resume\":\"" id "\",\"channels\":" channels            \
  ",\"lost\":" lost "}\nid: " id "\n\n"
#define OPENING_GAP(requested, id, channels)                                                       \
  "event: gap\ndata: {\"reason\":\"evicted\",\"requested\":\"" requested "\",\"resume\":\"" id     \
  "\",\"channels\":" channels "}\nid: " id "\n\n"
#define CHANNELS(...) ((const char *const[]){__VA_ARGS__, NULL})

struct setting {
  struct world world;
  struct wakes wakes;
  sse_loop *loop;
};

static void begin(struct setting *s, size_t kept) {
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .channel.window_frames_max = kept};
  memset(s, 0, sizeof *s);
  world_open(&s->world, &config);
  assert_int_equal(
      sse_loop_new(&s->loop, s->world.hub,
                   &(const sse_loop_config){.wake = world_wake, .wake_arg = &s->wakes}),
      SSE_OK);
}

static void end(struct setting *s) {
  assert_int_equal(sse_loop_free(s->loop), SSE_OK);
  world_close(&s->world);
}

/* A stream whose first bytes are these. */
static sse_stream *open_on(struct setting *s, sse_loop *loop, const char *const *channels,
                           const char *last_id, const char *first) {
  const sse_stream_config config = {.channels = channels, .last_id = last_id, .loop = loop};
  sse_stream *stream;
  assert_int_equal(sse_stream_open(&stream, s->world.hub, &config), SSE_OK);
  assert_string_equal(world_read(stream), first);
  return stream;
}

static void rest(struct setting *s) {
  assert_null(sse_loop_next(s->loop));
}

/*
 * A round serves what it has, whatever is evicted meanwhile: the gap test goes by the snapshot, or
 * those who come late in the round would be told of losses that are none.
 */
static void test_a_round_outlives_eviction(void **state) {
  struct setting s;
  (void)state;
  begin(&s, 1);
  sse_stream *first = open_on(&s, s.loop, CHANNELS("a"), NULL, POSITION("E.0"));
  sse_stream *second = open_on(&s, s.loop, CHANNELS("a"), NULL, POSITION("E.0"));
  rest(&s);
  world_send(&s.world, "a", "1");
  for (int visits = 0; visits < 2; visits++) {
    assert_string_equal(world_read(sse_loop_next(s.loop)), EVENT("1", "E.1"));
    if (visits == 0) world_send(&s.world, "a", "2");
  }
  rest(&s);
  for (int visits = 0; visits < 2; visits++) {
    assert_string_equal(world_read(sse_loop_next(s.loop)), EVENT("2", "E.2"));
  }
  rest(&s);
  sse_stream_free(first);
  sse_stream_free(second);
  end(&s);
}

/* One that lags goes on exactly where it was, though one batch does not hold it all. */
static void test_the_cursor_waits_for_the_rest(void **state) {
  struct setting s;
  (void)state;
  begin(&s, 100);
  sse_stream *stream = open_on(&s, NULL, CHANNELS("a", "b"), NULL, POSITION("E.0"));
  for (int i = 0; i < 70; i++) world_send(&s.world, i % 2 ? "a" : "b", "x");
  const char *all = world_read(stream);
  size_t events = 0;
  for (const char *at = all; (at = strstr(at, "data: x\n")); at++) events++;
  assert_int_equal(events, 70);
  sse_stream_free(stream);
  end(&s);
}

/* A loss is told once, although the gap's id stays below what the channel let go. */
static void test_a_loss_is_told_once(void **state) {
  struct setting s;
  (void)state;
  begin(&s, 1);
  sse_stream *stream = open_on(&s, NULL, CHANNELS("a", "b"), NULL, POSITION("E.0"));
  world_send(&s.world, "a", "1");
  world_send(&s.world, "b", "2");
  world_send(&s.world, "a", "3");
  world_send(&s.world, "a", "4");
  struct iovec iov[2];
  assert_int_equal(sse_stream_peek(stream, iov, 1), 1);
  assert_int_equal(iov[0].iov_len, strlen(GAP("[\"a\"]", "E.1", "2")));
  assert_memory_equal(iov[0].iov_base, GAP("[\"a\"]", "E.1", "2"), iov[0].iov_len);
  assert_string_equal(world_read(stream),
                      GAP("[\"a\"]", "E.1", "2") EVENT("2", "E.2") EVENT("4", "E.4"));
  sse_stream_free(stream);
  /* A new one at the gap's id is told of what a has lost, and of nothing more after that. */
  stream = open_on(&s, NULL, CHANNELS("a", "b"), "E.1",
                   OPENING_GAP("E.1", "E.1", "[\"a\"]") EVENT("2", "E.2") EVENT("4", "E.4"));
  assert_int_equal(sse_stream_resume_result(stream), SSE_RESUME_EVICTED);
  sse_stream_free(stream);
  end(&s);
}

/* A position that a round tells says where the round is, not where the hub has come to meanwhile.
 */
static void test_a_position_is_the_streams_own(void **state) {
  struct setting s;
  (void)state;
  begin(&s, 9);
  sse_stream *stream = open_on(&s, s.loop, CHANNELS("a"), NULL, POSITION("E.0"));
  rest(&s);
  world_send(&s.world, "b", "1");
  s.world.now_ms += 15000;
  assert_ptr_equal(sse_loop_next(s.loop), stream);
  world_send(&s.world, "a", "2");
  assert_string_equal(world_read(stream), POSITION("E.1"));
  rest(&s);
  assert_ptr_equal(sse_loop_next(s.loop), stream);
  assert_string_equal(world_read(stream), EVENT("2", "E.2"));
  rest(&s);
  sse_stream_free(stream);
  end(&s);
}

/*
 * A client whose id falls behind is told where it is after a heartbeat's time, though there is
 * never a silence: events without an id keep coming.
 */
static void test_a_trickle_does_not_keep_the_id_back(void **state) {
  const sse_event passing = {.text = "x", .flags = SSE_EPHEMERAL};
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct setting s;
    begin(&s, 9);
    sse_stream *stream = open_on(&s, in_loop ? s.loop : NULL, CHANNELS("a"), NULL, POSITION("E.0"));
    rest(&s);
    world_send(&s.world, "b", "1");
    for (int ms = 0; ms <= 15000; ms += 5000) {
      assert_int_equal(sse_hub_publish(s.world.hub, "a", &passing), SSE_OK);
      if (in_loop) assert_ptr_equal(sse_loop_next(s.loop), stream);
      const char *bytes = world_read(stream);
      if (ms < 15000) assert_string_equal(bytes, "data: x\n\n");
      if (ms == 15000) assert_string_equal(bytes, "data: x\n\n" POSITION("E.5"));
      if (in_loop) rest(&s);
      s.world.now_ms += 5000;
    }
    sse_stream_free(stream);
    end(&s);
  }
}

/*
 * Whatever time passes, and whatever is evicted, the rest of a frame comes right after its first
 * bytes, as it was.
 */
static void test_a_frame_is_whole(void **state) {
  static const char bytes[] = EVENT("the first", "E.1");
  (void)state;
  for (size_t taken = 1; taken < sizeof bytes - 1; taken++) {
    struct setting s;
    struct iovec iov[2];
    begin(&s, 1);
    sse_stream *stream = open_on(&s, NULL, CHANNELS("a"), NULL, POSITION("E.0"));
    world_send(&s.world, "a", "the first");
    assert_int_equal(sse_stream_peek(stream, iov, 2), 1);
    sse_stream_consume(stream, taken);
    world_send(&s.world, "a", "2");
    world_send(&s.world, "a", "3");
    s.world.now_ms += 30000;
    sse_hub_tick(s.world.hub);
    assert_int_equal(sse_stream_peek(stream, iov, 2), 1);
    assert_int_equal(iov[0].iov_len, sizeof bytes - 1 - taken);
    assert_memory_equal(iov[0].iov_base, bytes + taken, iov[0].iov_len);
    sse_stream_consume(stream, iov[0].iov_len);
    assert_string_equal(world_read(stream), GAP("[\"a\"]", "E.2", "1") EVENT("3", "E.3"));
    sse_stream_free(stream);
    end(&s);
  }
}

/* What a channel still had when it went away counts as lost; so does it when the ghosts are too
 * many. */
static void test_a_channel_that_went_away(void **state) {
  (void)state;
  for (uint32_t ghosts_max = 0; ghosts_max < 2; ghosts_max++) {
    const sse_hub_config config = {
        .retry_ms = SSE_NEVER, .channel_idle_ms = 100, .ghosts_max = ghosts_max};
    struct setting s = {.loop = NULL};
    world_open(&s.world, &config);
    world_send(&s.world, "a", "1");
    world_send(&s.world, "a", "2");
    s.world.now_ms += 100;
    sse_hub_tick(s.world.hub);
    for (const char *other = "bcd"; *other; other++) {
      const char name[] = {*other, '\0'};
      world_send(&s.world, name, "x");
      s.world.now_ms += 100;
      sse_hub_tick(s.world.hub);
    }
    sse_stream *stream =
        open_on(&s, NULL, CHANNELS("a"), "E.1", OPENING_GAP("E.1", "E.5", "[\"a\"]"));
    assert_int_equal(sse_stream_resume_result(stream), SSE_RESUME_EVICTED);
    sse_stream_free(stream);
    world_close(&s.world);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_round_outlives_eviction),
      cmocka_unit_test(test_the_cursor_waits_for_the_rest),
      cmocka_unit_test(test_a_loss_is_told_once),
      cmocka_unit_test(test_a_position_is_the_streams_own),
      cmocka_unit_test(test_a_trickle_does_not_keep_the_id_back),
      cmocka_unit_test(test_a_frame_is_whole),
      cmocka_unit_test(test_a_channel_that_went_away),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
