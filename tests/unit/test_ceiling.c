/* SPDX-License-Identifier: MIT */
/* test_ceiling.c: publishing goes on whatever clients hold, and no history is evicted for nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "setting.h"

enum {
  EVENT_BYTES = 8000,
  CHANNELS_COUNT = 20, /* their windows together are more than the ceiling */
  CLIENTS_MAX = 400,
  HELD = 36,        /* events that a client holds at most, which are 256 KiB and one */
  FAILURES_MAX = 12 /* publishes in a row that may fail */
};

static const sse_hub_config small = {.memory_bytes_max = 1 << 20, .retry_ms = SSE_NEVER};

static struct world world;
static sse_loop *loop;
static struct wakes wakes;
static sse_stream *clients[CLIENTS_MAX];
static size_t clients_count, ended;
static char text[EVENT_BYTES + 1];

static void start(const sse_hub_config *config) {
  world = (struct world){.hub = NULL};
  world_open(&world, config);
  wakes = (struct wakes){0};
  clients_count = ended = 0;
  memset(text, 'a', EVENT_BYTES);
  assert_int_equal(sse_loop_new(&loop, world.hub,
                                &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                   SSE_OK);
}

static void finish(void) {
  for (size_t i = 0; i < clients_count; i++) sse_stream_free(clients[i]);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
}

static sse_stats stats_of(const char *channel) {
  sse_stats stats;
  assert_int_equal(sse_hub_stats(world.hub, channel, &stats), SSE_OK);
  return stats;
}

static int publish(const char *channel) {
  return sse_hub_publish_text(world.hub, channel, NULL, text);
}

static const char *const *all_channels(void) {
  static char names[CHANNELS_COUNT][16];
  static const char *list[CHANNELS_COUNT + 1];
  for (int i = 0; i < CHANNELS_COUNT; i++) {
    snprintf(names[i], sizeof names[i], "c%d", i);
    list[i] = names[i];
  }
  return list;
}

/* A client takes one byte; if its stream is over, the host frees it. */
static void take_a_byte(size_t i) {
  char byte;
  if (!clients[i] || sse_stream_read(clients[i], &byte, 1) >= 0) return;
  sse_stream_free(clients[i]);
  clients[i] = NULL;
  ended++;
}

static void come(uint64_t last, bool in_loop) {
  char id[32];
  snprintf(id, sizeof id, "E.%llu", (unsigned long long)last);
  const sse_stream_config config = {.channels = all_channels(),
                                    .last_id = id,
                                    .loop = in_loop ? loop : NULL,
                                    .position = SSE_POSITION_OFF};
  assert_true(clients_count < CLIENTS_MAX);
  assert_int_equal(sse_stream_open(&clients[clients_count], world.hub, &config), SSE_OK);
  take_a_byte(clients_count++);
}

/* The host's threads: whoever is over is freed, and the others take one byte a minute. */
static void let_time_pass(int second) {
  world.now_ms += 1000;
  sse_hub_tick(world.hub);
  for (sse_stream *s; (s = sse_loop_next(loop));) {
    for (size_t i = 0; i < clients_count; i++) {
      if (clients[i] == s) take_a_byte(i);
    }
  }
  for (size_t i = 0; i < clients_count; i++) {
    struct iovec iov[1];
    if (second % 30 == 0 || (clients[i] && sse_stream_peek(clients[i], iov, 1) < 0)) take_a_byte(i);
  }
}

/* An hour of publishes, one each second. */
static void publish_for_an_hour(void) {
  int row = 0;
  for (int second = 0; second < 3600; second++) {
    let_time_pass(second);
    int result = publish("c0");
    row = result == SSE_OK ? 0 : row + 1;
    if (result != SSE_OK) assert_int_equal(result, SSE_EFULL);
    if (row > FAILURES_MAX) fail_msg("second %d: %d publishes in a row failed", second, row);
    sse_stats stats = stats_of(NULL);
    assert_true(stats.memory_bytes <= stats.memory_bytes_max);
  }
}

/* ---- lent in windows ---- */

/*
 * All that is retained is in flight to clients that take a byte each half minute: they neither stall
 * nor hold anything beyond the windows.
 */
static void slow_clients_hold_all_that_is_retained(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    for (int each = 1; each <= 3; each += 2) { /* clients that hold the same event */
      start(&small);
      for (int i = 0; stats_of(NULL).evicted_frames == 0; i++) {
        assert_int_equal(publish(all_channels()[i % CHANNELS_COUNT]), SSE_OK);
      }
      sse_stats stats = stats_of(NULL);
      for (uint64_t last = stats.head - stats.window_frames; last < stats.head; last++) {
        for (int i = 0; i < each; i++) come(last, in_loop);
      }
      assert_int_equal(publish("c0"), SSE_EFULL);
      publish_for_an_hour();
      assert_true(ended > 0);
      finish();
    }
  }
}

/* Many clients hold the same, and of those that have held theirs for longest no two do. */
static void many_clients_hold_the_same(void **state) {
  (void)state;
  start(&small);
  for (int i = 0; stats_of(NULL).evicted_frames == 0; i++) {
    assert_int_equal(publish(all_channels()[i % CHANNELS_COUNT]), SSE_OK);
  }
  sse_stats stats = stats_of(NULL);
  uint64_t first = stats.head - stats.window_frames;
  for (int each = 0; each < 50; each++) {
    for (uint64_t last = first; last < stats.head; last += HELD - 4) come(last, each % 2);
  }
  assert_int_equal(publish("c0"), SSE_EFULL);
  publish_for_an_hour();
  assert_true(ended > 0);
  finish();
}

/* Frames that grew too old while they were in flight: pins are looked at when a publish fails, too. */
static void frames_that_grow_old_in_flight(void **state) {
  sse_hub_config config = small;
  (void)state;
  config.channel.window_age_ms_max = 1000;
  start(&config);
  for (uint64_t last = 0; publish("c0") == SSE_OK; last++) come(last, true);
  world.now_ms += 1000;
  sse_hub_tick(world.hub);
  sse_stats stats = stats_of(NULL);
  assert_int_equal(stats.window_frames, 0);
  assert_true(stats.pinned_bytes > stats.memory_bytes_max / 2);
  assert_int_equal(publish("c0"), SSE_EFULL);
  publish_for_an_hour();
  assert_true(ended > 0);
  finish();
}

/* A client that holds a little of a full hub costs no stream, and no more history than it holds. */
static void who_holds_little_is_left_alone(void **state) {
  sse_hub_config config = small;
  (void)state;
  config.memory_bytes_max = 4 << 20; /* a client holds 256 KiB at most */
  config.channel.window_bytes_max = 1 << 20;
  start(&config);
  for (int i = 0; stats_of(NULL).evicted_frames == 0; i++) {
    assert_int_equal(publish(all_channels()[i % CHANNELS_COUNT]), SSE_OK);
  }
  sse_stats before = stats_of(NULL);
  come(before.head - before.window_frames, true);
  for (int i = 0; i < 100; i++) assert_int_equal(publish("c0"), SSE_OK);
  take_a_byte(0);
  assert_int_equal(ended, 0);
  assert_true(stats_of(NULL).window_frames + HELD >= before.window_frames);
  finish();
}

/* ---- events of a log and a state ---- */

static int publish_to(const char *const *channels, int key) {
  char name[16];
  snprintf(name, sizeof name, "k%d", key);
  return sse_hub_publish_to(world.hub, channels, &(const sse_event){.text = text, .key = name});
}

static void start_with_state(void) {
  sse_hub_config config = small;
  config.channel = (sse_channel_config){.window_frames_max = 1000, .window_bytes_max = SIZE_MAX};
  start(&config);
  assert_int_equal(sse_hub_configure_channel(world.hub, "state",
                                             &(const sse_channel_config){.conflate = SSE_YES}),
                   SSE_OK);
}

/* The ceiling evicts an event from both of its channels, and so frees its bytes. */
static void shares_in_a_log_and_a_state(void **state) {
  (void)state;
  start_with_state();
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(publish_to(CHANNELS("log", "state"), i), SSE_OK);
    sse_stats log = stats_of("log"), hub = stats_of(NULL);
    if (hub.evicted_frames > 0) assert_true(log.window_frames >= 100);
  }
  assert_int_equal(publish("other"), SSE_OK);
  finish();
}

/* Events of a log are evicted before those whose bytes a state needs, in which they are older. */
static void a_log_is_not_evicted_for_nothing(void **state) {
  (void)state;
  start_with_state();
  for (int i = 0; i < 60; i++) assert_int_equal(publish_to(CHANNELS("log", "state"), i), SSE_OK);
  for (int i = 0; i < 500; i++) assert_int_equal(publish("other"), SSE_OK);
  assert_int_equal(stats_of("log").window_frames, 60);
  assert_int_equal(stats_of("state").window_frames, 60);
  /* What is no longer a value goes as any other event of its log. */
  for (int i = 0; i < 60; i++) assert_int_equal(publish_to(CHANNELS("state"), i), SSE_OK);
  for (int i = 0; i < 500; i++) assert_int_equal(publish("other"), SSE_OK);
  assert_int_equal(stats_of("log").window_frames, 0);
  assert_int_equal(stats_of("state").window_frames, 60);
  finish();
}

/* ---- ephemeral events ---- */

static int publish_ephemeral(const char *const *channels) {
  const sse_event event = {.text = text, .flags = SSE_EPHEMERAL};
  return sse_hub_publish_to(world.hub, channels, &event);
}

static void listen_to(const char *const *channels) {
  const sse_stream_config config = {.channels = channels, .loop = loop};
  assert_int_equal(sse_stream_open(&clients[clients_count++], world.hub, &config), SSE_OK);
  while (sse_loop_next(loop)) continue;
  world_read(clients[clients_count - 1]);
}

/*
 * In each row, ephemeral events for some channels, of which a listener takes all or none, beside the
 * history of another channel; `full`: the history takes up the ceiling.
 */
static const struct {
  const char *name;
  int channels, together; /* of these, channels of one event */
  size_t window_bytes_max;
  bool full, taken;
  size_t ephemeral_max; /* most that stays of them, in events */
} floods[] = {
    {"one channel", 1, 1, 0, false, true, 130},
    {"its window is small", 1, 1, 10 * EVENT_BYTES, false, true, 10},
    {"a full hub", 1, 1, 0, true, true, 17},
    {"many channels of a full hub", CHANNELS_COUNT, 1, 0, true, true, 17},
    {"events of several channels", CHANNELS_COUNT, 4, 0, true, true, 17},
    {"a listener that takes nothing", 1, 1, 0, true, false, 17},
};

static void ephemeral_events_leave_history_alone(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
    sse_hub_config config = small;
    print_message("  %s\n", floods[i].name);
    config.channel.window_bytes_max = floods[i].window_bytes_max;
    start(&config);
    assert_int_equal(
        sse_hub_configure_channel(world.hub, "history",
                                  &(const sse_channel_config){.window_bytes_max = SIZE_MAX}),
        SSE_OK);
    listen_to(all_channels());
    for (int n = 0; n < (floods[i].full ? 200 : 20); n++) {
      assert_int_equal(publish("history"), SSE_OK);
    }
    size_t before = stats_of("history").window_frames;
    for (int n = 0; n < 400; n++) {
      const char *some[CHANNELS_COUNT + 1] = {NULL};
      for (int k = 0; k < floods[i].together; k++) {
        some[k] = all_channels()[(n + k) % floods[i].channels];
      }
      assert_int_equal(publish_ephemeral(some), SSE_OK);
      if (floods[i].full && n % 3 == 0) assert_int_equal(publish("history"), SSE_OK);
      while (sse_loop_next(loop)) continue;
      if (floods[i].taken) assert_true(strlen(world_read(clients[0])) > EVENT_BYTES);
    }
    size_t lost = floods[i].full ? floods[i].ephemeral_max : 0;
    assert_true(stats_of("history").window_frames + lost >= before);
    size_t bytes = world.hub->store.ephemeral_bytes;
    assert_true(bytes <= floods[i].ephemeral_max * (EVENT_BYTES + 4 * sizeof(struct sse__frame)));
    assert_true(bytes > 0);
    finish();
  }
}

/* They are for listeners that are busy, and leave after a minute at most. */
static void ephemeral_events_do_not_stay(void **state) {
  static const int32_t ages[][2] = {{SSE_NEVER, 60000}, {100000, 60000}, {500, 500}};
  (void)state;
  for (size_t i = 0; i < sizeof ages / sizeof *ages; i++) {
    sse_hub_config config = small;
    config.channel.window_age_ms_max = ages[i][0];
    start(&config);
    listen_to(CHANNELS("c0"));
    assert_int_equal(publish_ephemeral(CHANNELS("c0")), SSE_OK);
    while (sse_loop_next(loop)) continue;
    world_read(clients[0]);
    for (int32_t ms = 0; ms < ages[i][1]; ms += 500) {
      assert_int_equal(stats_of(NULL).window_frames, 1);
      world.now_ms += 500;
      sse_hub_tick(world.hub);
    }
    assert_int_equal(stats_of(NULL).window_frames, 0);
    assert_int_equal(stats_of(NULL).memory_bytes, 0);
    finish();
  }
}

/* ---- what a stream may hold ---- */

/* Whoever has taken one byte of a state holds an array of frames, and no copy of their bytes. */
static void a_state_in_flight_is_not_copied(void **state) {
  enum {
    STREAM_BYTES_MAX = 2048
  };
  static const sse_http_head chunked = {.chunked = 1};
  (void)state;
  for (int kind = 0; kind < 4; kind++) {
    start_with_state();
    for (int i = 0; i < 30; i++) assert_int_equal(publish_to(CHANNELS("state"), i), SSE_OK);
    const size_t before = world_bytes();
    for (; clients_count < CLIENTS_MAX; clients_count++) {
      const sse_stream_config config = {
          .channel = "state", .loop = kind % 2 ? loop : NULL, .head = kind / 2 ? &chunked : NULL};
      struct iovec iov[1];
      assert_int_equal(sse_stream_open(&clients[clients_count], world.hub, &config), SSE_OK);
      while (sse_stream_peek(clients[clients_count], iov, 1) > 0 && iov[0].iov_len < EVENT_BYTES) {
        sse_stream_consume(clients[clients_count], iov[0].iov_len);
      }
      take_a_byte(clients_count);
    }
    assert_true(world_bytes() - before < (size_t)CLIENTS_MAX * STREAM_BYTES_MAX);
    assert_int_equal(stats_of(NULL).pinned_bytes, 0);
    assert_int_equal(ended, 0);
    /* And while all of it is replaced, the ceiling holds for what they have in flight. */
    for (int i = 0; i < 300; i++) {
      assert_int_equal(publish_to(CHANNELS("state"), i % 30), SSE_OK);
      assert_true(stats_of(NULL).memory_bytes <= stats_of(NULL).memory_bytes_max);
    }
    assert_int_equal(ended, 0);
    finish();
  }
}

/* A snapshot holds a sixteenth of the ceiling at most, also of events for several channels. */
static void a_snapshot_holds_its_share(void **state) {
  enum {
    CEILING = 1 << 20,
    PAYLOAD_BYTES = 4000
  };
  (void)state;
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .memory_bytes_max = CEILING};
  struct wakes own_wakes = {0};
  const sse_loop_config waking = {.wake = world_wake, .wake_arg = &own_wakes};
  static char payload[PAYLOAD_BYTES];
  sse_loop *own_loop;
  memset(payload, 'x', sizeof payload - 1);
  world_open(&world, &config);
  assert_int_equal(sse_loop_new(&own_loop, world.hub, &waking), SSE_OK);
  sse_stream *stream = world_stream(&world, "a", NULL, own_loop);
  while (sse_loop_next(own_loop)) world_read(stream);
  const sse_event event = {.text = payload};
  for (int i = 0; i < 100; i++)
    assert_int_equal(sse_hub_publish_to(world.hub, CHANNELS("a", "b"), &event), SSE_OK);
  assert_ptr_equal(sse_loop_next(own_loop), stream);
  assert_true(world.hub->store.lent_bytes > 0);
  assert_true(world.hub->store.lent_bytes <= CEILING / 16);
  sse_stream_free(stream);
  while (sse_loop_next(own_loop)) {
  }
  assert_int_equal(sse_loop_free(own_loop), SSE_OK);
  world_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(slow_clients_hold_all_that_is_retained),
      cmocka_unit_test(many_clients_hold_the_same),
      cmocka_unit_test(frames_that_grow_old_in_flight),
      cmocka_unit_test(who_holds_little_is_left_alone),
      cmocka_unit_test(shares_in_a_log_and_a_state),
      cmocka_unit_test(a_log_is_not_evicted_for_nothing),
      cmocka_unit_test(ephemeral_events_leave_history_alone),
      cmocka_unit_test(ephemeral_events_do_not_stay),
      cmocka_unit_test(a_state_in_flight_is_not_copied),
      cmocka_unit_test(a_snapshot_holds_its_share),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
