/* SPDX-License-Identifier: MIT */
/* test_found.c: what random histories have found, each flaw by the shortest history that shows it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"

#define UNFINISHED(id) POSITION(id "~")

static struct world world;

static void begin(const sse_hub_config *config) {
  sse_hub_config c = *config;
  c.retry_ms = SSE_NEVER;
  world = (struct world){.hub = NULL};
  world_open(&world, &c);
}

static void publish(const char *const *channels, const char *text, const char *key,
                    unsigned flags) {
  const sse_event event = {.text = text, .key = key, .flags = flags};
  assert_int_equal(sse_hub_publish_to(world.hub, channels, &event), SSE_OK);
}

static sse_stream *open_on(const sse_stream_config *config) {
  sse_stream *stream;
  assert_int_equal(sse_stream_open(&stream, world.hub, config), SSE_OK);
  return stream;
}

static void expect(sse_stream *stream, const char *bytes) {
  assert_string_equal(world_read(stream), bytes);
}

/* A round that has room for one number began with one that was superseded: it never got on. */
static void test_a_small_round_passes_what_was_superseded(void **state) {
  const sse_hub_config config = {.memory_bytes_max = 3200, .channel.conflate = SSE_YES};
  struct wakes wakes = {0};
  sse_loop *loop;
  char bytes[256] = "";
  (void)state;
  begin(&config);
  assert_int_equal(sse_loop_new(&loop, world.hub,
                                &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                   SSE_OK);
  sse_stream *stream = world_stream(&world, "a", NULL, loop);
  publish(CHANNELS("a"), "1", "x", 0);
  for (int rounds = 0; rounds < 3; rounds++) {
    while (sse_loop_next(loop)) world_read(stream);
  }
  publish(CHANNELS("a"), "2", "y", 0);
  publish(CHANNELS("a"), "3", "z", 0);
  publish(CHANNELS("a"), "4", "y", 0);
  for (int rounds = 0; rounds < 9; rounds++) {
    while (sse_loop_next(loop)) strcat(bytes, world_read(stream));
  }
  assert_string_equal(bytes, EVENT("3", "E.3") EVENT("4", "E.4"));
  assert_int_not_equal(sse_loop_timeout(loop), 0);
  sse_stream_free(stream);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
}

/* Of an event for two channels the one had a newer value of the key, and it was taken for both. */
static void test_superseded_in_one_channel_only(void **state) {
  const sse_hub_config config = {.channel.conflate = SSE_YES};
  (void)state;
  for (int order = 0; order < 2; order++) {
    begin(&config);
    publish(CHANNELS("a", "b"), "1", "x", 0);
    publish(CHANNELS("a"), "2", "x", 0);
    publish(CHANNELS("a"), "3", "y", 0);
    const char *const *channels = order ? CHANNELS("a", "b") : CHANNELS("b", "a");
    sse_stream *stream = open_on(&(sse_stream_config){.channels = channels, .last_id = "E.0"});
    expect(stream, POSITION("E.0") EVENT("1", "E.1") EVENT("2", "E.2") EVENT("3", "E.3"));
    sse_stream_free(stream);
    world_close(&world);
  }
}

static int pass_all(void *arg, const sse_filter_event *event) {
  (void)arg;
  return event != NULL;
}

/* A stream with a filter was to start from all that is retained, and started from the head. */
static void test_all_that_is_retained_with_a_filter(void **state) {
  const sse_hub_config config = {.channels_max = 0};
  (void)state;
  begin(&config);
  world_send(&world, "a", "1");
  sse_stream *stream = open_on(&(sse_stream_config){
      .channel = "a", .last_id = "E.9", .lost = SSE_LOST_REPLAY, .filter = pass_all});
  expect(stream, GAP_OF("future", "\"requested\":\"E.9\",\"resume\":\"E.0\",\"channels\":[\"a\"]",
                        "E.0") EVENT("1", "E.1"));
  sse_stream_free(stream);
  world_close(&world);
}

/* One that was cut off in a history has had what came before it, and got all of it again. */
static void test_nothing_again_after_a_history(void **state) {
  const sse_hub_config config = {.channels_max = 0};
  (void)state;
  begin(&config);
  world_send(&world, "a", "1");
  sse_stream *stream =
      open_on(&(sse_stream_config){.channel = "a", .last_id = "E.1~", .lost = SSE_LOST_REPLAY});
  expect(stream, GAP_OF("evicted", "\"requested\":\"E.1~\",\"resume\":\"E.1\",\"channels\":[\"a\"]",
                        "E.1"));
  sse_stream_free(stream);
  world_close(&world);
}

static ssize_t take_first(void *io, const struct iovec *iov, int count) {
  bool *taken = io;
  (void)count;
  if (*taken) return SSE_EAGAIN;
  *taken = true;
  return (ssize_t)iov[0].iov_len;
}

/*
 * What deletes a key goes first, and the gap told of it. When a value with a lower number went
 * before the stream had got there, that was below what was told of.
 */
static void test_a_lower_number_goes_later(void **state) {
  const sse_hub_config config = {.channel = {.conflate = SSE_YES, .window_frames_max = 2}};
  (void)state;
  begin(&config);
  sse_stream *stream = world_stream(&world, "a", NULL, NULL);
  expect(stream, POSITION("E.0"));
  publish(CHANNELS("a"), "1", "v", 0);
  publish(CHANNELS("a"), "2", "w", 0);
  publish(CHANNELS("a"), "3", "x", SSE_TOMBSTONE);
  publish(CHANNELS("a"), "4", "y", 0);
  bool taken = false;
  assert_int_equal(sse_stream_flush(stream, take_first, &taken), SSE_EAGAIN);
  publish(CHANNELS("a"), "5", "z", 0);
  expect(stream, GAP_OF("slow", "\"resume\":\"E.3\",\"channels\":[\"a\"]", "E.3") EVENT("4", "E.4")
                     EVENT("5", "E.5"));
  sse_stream_free(stream);
  world_close(&world);
}

/* What a bound passed over was below what the stream was told of, and nobody spoke of it. */
static void test_passed_over_below_what_was_told(void **state) {
  const sse_hub_config config = {.channels_max = 0};
  const sse_channel_config conflated = {.conflate = SSE_YES, .window_frames_max = 2};
  (void)state;
  begin(&config);
  assert_int_equal(sse_hub_configure_channel(world.hub, "a", &conflated), SSE_OK);
  publish(CHANNELS("b"), "1", NULL, 0);
  publish(CHANNELS("a"), "2", "v", 0);
  publish(CHANNELS("a"), "3", "x", SSE_TOMBSTONE);
  publish(CHANNELS("a"), "4", "y", 0);
  sse_stream *stream = open_on(&(sse_stream_config){
      .channels = CHANNELS("a", "b"), .start = SSE_START_RETAINED, .lag_events_max = 3});
  publish(CHANNELS("b"), "5", NULL, 0);
  publish(CHANNELS("b"), "6", NULL, 0);
  expect(stream,
         POSITION("E.0") GAP_OF("slow", "\"resume\":\"E.2\",\"channels\":[\"a\",\"b\"]", "E.2")
             EVENT("4", "E.4") EVENT("5", "E.5") EVENT("6", "E.6"));
  sse_stream_free(stream);
  world_close(&world);
}

/* The same while a state is given, which is then not whole. */
static void test_a_lower_number_goes_from_a_state(void **state) {
  const sse_hub_config config = {.channel = {.conflate = SSE_YES, .window_frames_max = 3}};
  (void)state;
  begin(&config);
  publish(CHANNELS("a"), "1", "v", 0);
  publish(CHANNELS("a"), "2", "w", SSE_TOMBSTONE);
  publish(CHANNELS("a"), "3", "x", 0);
  publish(CHANNELS("a"), "4", "y", 0); /* 2 goes */
  sse_stream *stream = world_stream(&world, "a", NULL, NULL);
  publish(CHANNELS("a"), "5", "z", 0); /* 1 goes */
  expect(stream,
         UNFINISHED("E.4") EPHEMERAL("3") EPHEMERAL("4")
             GAP_OF("evicted", "\"resume\":\"E.4\",\"channels\":[\"a\"]", "E.4") EVENT("5", "E.5"));
  sse_stream_free(stream);
  world_close(&world);
}

/* One that waits for its turn was told its position, though the state was still to come. */
static void test_no_position_before_the_state(void **state) {
  const sse_hub_config config = {
      .concurrent_replays_max = 1, .heartbeat_ms = 1000, .channel.conflate = SSE_YES};
  (void)state;
  begin(&config);
  publish(CHANNELS("a"), "1", "x", 0);
  publish(CHANNELS("b"), "2", "x", 0);
  publish(CHANNELS("b"), "3", "y", 0);
  sse_stream *first = world_stream(&world, "a", "E.0", NULL);
  sse_stream *second = world_stream(&world, "b", "E.2~", NULL);
  expect(second, GAP_OF("evicted",
                        "\"requested\":\"E.2~\",\"resume\":\"E.2~\",\"channels\":[\"b\"]", "E.2~"));
  world.now_ms += 1000;
  expect(second, HEARTBEAT);
  expect(first, POSITION("E.0") EVENT("1", "E.1") POSITION("E.3"));
  expect(second, EPHEMERAL("2") POSITION("E.2") EVENT("3", "E.3"));
  sse_stream_free(first);
  sse_stream_free(second);
  world_close(&world);
}

/* On a channel that keeps all, what deletes a key is an event as any. */
static void test_a_history_with_what_deletes(void **state) {
  const sse_hub_config config = {.channels_max = 0};
  (void)state;
  begin(&config);
  publish(CHANNELS("b"), "1", "x", 0);
  publish(CHANNELS("b"), "2", "x", SSE_TOMBSTONE);
  sse_stream *stream = open_on(&(sse_stream_config){.channel = "a", .tag = "me"});
  assert_int_equal(sse_hub_subscribe(world.hub, "me", "b", 2), 1);
  expect(stream, POSITION("E.2") UNFINISHED("E.2") EPHEMERAL("1") EPHEMERAL("2") POSITION("E.2"));
  sse_stream_free(stream);
  world_close(&world);
}

/* A channel that came back gave what it had since as its whole state. */
static void test_a_state_that_went_away(void **state) {
  const sse_hub_config config = {.channel_idle_ms = 100, .channel.conflate = SSE_YES};
  (void)state;
  begin(&config);
  publish(CHANNELS("a"), "1", "x", 0);
  world.now_ms += 100;
  sse_hub_tick(world.hub);
  publish(CHANNELS("a"), "2", "y", 0);
  sse_stream *stream = world_stream(&world, "a", NULL, NULL);
  expect(stream, GAP_OF("evicted", "\"resume\":\"E.2~\",\"channels\":[\"a\"]", "E.2~")
                     EPHEMERAL("2") POSITION("E.2"));
  sse_stream_free(stream);
  world_close(&world);
}

/* Who was there and joined got a state that is not whole as if it were. */
static void test_a_join_to_a_state_that_is_not_whole(void **state) {
  const sse_hub_config config = {.channel = {.conflate = SSE_YES, .window_frames_max = 1}};
  (void)state;
  begin(&config);
  publish(CHANNELS("a"), "1", "x", 0);
  publish(CHANNELS("a"), "2", "y", 0);
  sse_stream *stream = open_on(&(sse_stream_config){.channel = "b", .tag = "me"});
  assert_int_equal(sse_hub_subscribe(world.hub, "me", "a", 0), 1);
  expect(stream, POSITION("E.2") UNFINISHED("E.2") EPHEMERAL("2")
                     GAP_OF("evicted", "\"resume\":\"E.2\",\"channels\":[\"a\"]", "E.2"));
  sse_stream_free(stream);
  world_close(&world);
}

/* And got one that was whole as if it were not, for what was lost later. */
static void test_a_join_to_a_state_that_was_whole(void **state) {
  const sse_hub_config config = {.channel = {.conflate = SSE_YES, .window_frames_max = 1}};
  (void)state;
  begin(&config);
  sse_stream *stream = open_on(&(sse_stream_config){.channel = "b", .tag = "me"});
  assert_int_equal(sse_hub_subscribe(world.hub, "me", "a", 0), 1);
  publish(CHANNELS("a"), "1", "x", 0);
  publish(CHANNELS("a"), "2", "y", 0);
  expect(stream, POSITION("E.0") POSITION("E.0") GAP_OF(
                     "slow", "\"resume\":\"E.1\",\"channels\":[\"a\"]", "E.1") EVENT("2", "E.2"));
  sse_stream_free(stream);
  world_close(&world);
}

/* A channel was conflated only after the join, and what it had lost as a log was lost of its state. */
static void test_a_join_before_a_channel_is_conflated(void **state) {
  const sse_hub_config config = {.channels_max = 0};
  (void)state;
  begin(&config);
  world_send(&world, "a", "1");
  assert_int_equal(sse_hub_forget(world.hub, "a"), SSE_OK);
  sse_stream *stream = open_on(&(sse_stream_config){.channel = "b", .tag = "me"});
  expect(stream, POSITION("E.1"));
  assert_int_equal(sse_hub_subscribe(world.hub, "me", "a", SSE_BACKFILL_ALL), 1);
  const sse_channel_config conflated = {.conflate = SSE_YES};
  assert_int_equal(sse_hub_configure_channel(world.hub, "a", &conflated), SSE_OK);
  expect(stream, POSITION("E.1"));
  sse_stream_free(stream);
  world_close(&world);
}

/* One that joined without a history was told that it was not whole when something was let go. */
static void test_no_loss_of_no_history(void **state) {
  const sse_hub_config config = {.channel.window_age_ms_max = 100};
  (void)state;
  begin(&config);
  world_send(&world, "a", "1");
  sse_stream *stream = open_on(&(sse_stream_config){.channel = "b", .tag = "me"});
  expect(stream, POSITION("E.1"));
  assert_int_equal(sse_hub_subscribe(world.hub, "me", "a", 0), 1);
  world.now_ms += 100;
  expect(stream, POSITION("E.1"));
  sse_stream_free(stream);
  world_close(&world);
}

/*
 * A gap counted an event that the stream was given later by a channel to which it was about to
 * subscribe.
 */
static void test_a_loss_that_another_channel_gives(void **state) {
  const sse_hub_config config = {.channel.window_frames_max = 0};
  const sse_channel_config one = {.window_frames_max = 1};
  (void)state;
  begin(&config);
  assert_int_equal(sse_hub_configure_channel(world.hub, "a", &one), SSE_OK);
  sse_stream *stream = open_on(&(sse_stream_config){.channel = "a", .tag = "me"});
  expect(stream, POSITION("E.0"));
  publish(CHANNELS("a"), "1", NULL, 0);
  assert_int_equal(sse_hub_subscribe(world.hub, "me", "b", 0), 1);
  publish(CHANNELS("a", "b"), "2", NULL, 0);
  publish(CHANNELS("a"), "3", NULL, 0);
  expect(stream, GAP_OF("slow", "\"resume\":\"E.1\",\"channels\":[\"a\"]", "E.1") POSITION("E.1")
                     EVENT("2", "E.2") EVENT("3", "E.3"));
  sse_stream_free(stream);
  world_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_small_round_passes_what_was_superseded),
      cmocka_unit_test(test_superseded_in_one_channel_only),
      cmocka_unit_test(test_all_that_is_retained_with_a_filter),
      cmocka_unit_test(test_nothing_again_after_a_history),
      cmocka_unit_test(test_a_lower_number_goes_later),
      cmocka_unit_test(test_passed_over_below_what_was_told),
      cmocka_unit_test(test_a_lower_number_goes_from_a_state),
      cmocka_unit_test(test_no_position_before_the_state),
      cmocka_unit_test(test_a_history_with_what_deletes),
      cmocka_unit_test(test_a_state_that_went_away),
      cmocka_unit_test(test_a_join_to_a_state_that_is_not_whole),
      cmocka_unit_test(test_a_join_to_a_state_that_was_whole),
      cmocka_unit_test(test_a_join_before_a_channel_is_conflated),
      cmocka_unit_test(test_no_loss_of_no_history),
      cmocka_unit_test(test_a_loss_that_another_channel_gives),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
