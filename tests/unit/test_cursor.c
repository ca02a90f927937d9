/* SPDX-License-Identifier: MIT */
/* test_cursor.c: what comes next for a stream: order over channels, gaps, positions, heartbeats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"

#define GAP(fields, id) GAP_OF("slow", "\"resume\":\"" id "\"," fields, id)

/*
 * A script: lower-case letters publish to the channel of that name, the text is the number; a blank
 * reads, and the bytes are compared; '+' lets a heartbeat's time pass.
 */
static const struct script_row {
  const char *name;
  size_t kept;
  const char *const *channels;
  const char *script;
  const char *const *reads;
} script_rows[] = {
    {"live, one at a time", 9, CHANNELS("a"), "a a ",
     CHANNELS(EVENT("1", "E.1"), EVENT("2", "E.2"))},
    {"several at once", 9, CHANNELS("a"), "aa ", CHANNELS(EVENT("1", "E.1") EVENT("2", "E.2"))},
    {"only its channels", 9, CHANNELS("a"), "bab ", CHANNELS(EVENT("2", "E.2"))},
    {"two channels by number", 9, CHANNELS("b", "a"), "abba ",
     CHANNELS(EVENT("1", "E.1") EVENT("2", "E.2") EVENT("3", "E.3") EVENT("4", "E.4"))},
    {"three channels by number", 9, CHANNELS("c", "b", "a"), "abcxcba ",
     CHANNELS(EVENT("1", "E.1") EVENT("2", "E.2") EVENT("3", "E.3") EVENT("5", "E.5")
                  EVENT("6", "E.6") EVENT("7", "E.7"))},
    {"nothing for it", 9, CHANNELS("a"), "bb ", CHANNELS("")},
    {"a gap at its place, with the count", 2, CHANNELS("a"), "aaaa ",
     CHANNELS(GAP("\"channels\":[\"a\"],\"lost\":2", "E.2") EVENT("3", "E.3") EVENT("4", "E.4"))},
    {"two gaps in a row", 1, CHANNELS("a"), "aa aaa ",
     CHANNELS(GAP("\"channels\":[\"a\"],\"lost\":1", "E.1") EVENT("2", "E.2"),
              GAP("\"channels\":[\"a\"],\"lost\":2", "E.4") EVENT("5", "E.5"))},
    {"the gap comes before what another channel has", 2, CHANNELS("a", "b"), "abaaa ",
     CHANNELS(GAP("\"channels\":[\"a\"],\"lost\":2", "E.1") EVENT("2", "E.2") EVENT("4", "E.4")
                  EVENT("5", "E.5"))},
    {"a gap of two channels counts both", 1, CHANNELS("a", "b"), "abaabb ",
     CHANNELS(GAP("\"channels\":[\"a\",\"b\"],\"lost\":4", "E.3") EVENT("4", "E.4")
                  EVENT("6", "E.6"))},
    {"what was had is not counted", 1, CHANNELS("a"), "a aaa ",
     CHANNELS(EVENT("1", "E.1"), GAP("\"channels\":[\"a\"],\"lost\":2", "E.3") EVENT("4", "E.4"))},
    {"a heartbeat in silence", 9, CHANNELS("a"), "+ + ", CHANNELS(HEARTBEAT, HEARTBEAT)},
    {"a position where the id fell behind", 9, CHANNELS("a"), "bb+ + b+ ",
     CHANNELS(POSITION("E.2"), HEARTBEAT, POSITION("E.3"))},
    {"an event makes both needless", 9, CHANNELS("a"), "ba+ ", CHANNELS(EVENT("2", "E.2"))},
};

static void run_script(const struct script_row *row, bool in_loop) {
  const sse_hub_config config = {.channel.window_frames_max = row->kept};
  const sse_stream_config stream = {.channels = row->channels};
  struct setting s;
  int number = 0, reads = 0;
  print_message("  %s, %s\n", row->name, in_loop ? "in a loop" : "alone");
  open_setting(&s, in_loop, &config, &stream);
  round_of(&s);
  for (const char *c = row->script; *c; c++) {
    const char channel[] = {*c, '\0'};
    char text[16];
    if (*c == ' ') {
      assert_non_null(row->reads[reads]);
      assert_string_equal(round_of(&s), row->reads[reads++]);
    } else if (*c == '+') {
      s.world.now_ms += 15000;
    } else {
      snprintf(text, sizeof text, "%d", ++number);
      world_send(&s.world, channel, text);
    }
  }
  assert_null(row->reads[reads]);
  close_setting(&s);
}

static void test_scripts(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof script_rows / sizeof *script_rows; i++) {
    run_script(&script_rows[i], true);
    run_script(&script_rows[i], false);
  }
}

/* A burst over more than one batch, and more than one round, arrives whole and in order. */
static void test_burst(void **state) {
  (void)state;
  enum {
    EVENTS = 3000
  };
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {.channel.window_frames_max = EVENTS};
    const sse_stream_config stream = {.channels = CHANNELS("a", "b", "c")};
    static char expected[65536];
    struct setting s;
    size_t len = 0;
    open_setting(&s, in_loop, &config, &stream);
    round_of(&s);
    for (int i = 1; i <= EVENTS; i++) {
      char channel[] = {(char)('a' + i % 5), '\0'};
      world_send(&s.world, channel, "");
      if (i % 5 > 2) continue;
      len += (size_t)snprintf(expected + len, sizeof expected - len, "data:\nid: E.%d\n\n", i);
    }
    assert_string_equal(round_of(&s), expected);
    close_setting(&s);
  }
}

/* Long frames: a step lends no more than some 256 KiB, and the rest follows. */
static void test_long_frames(void **state) {
  (void)state;
  enum {
    SIZE = 200000,
    EVENTS = 4
  };
  static char text[SIZE + 1];
  struct setting s;
  struct iovec iov[64];
  const sse_stream_config stream = {.channel = "a"};
  memset(text, 'x', SIZE);
  open_setting(&s, true, NULL, &stream);
  round_of(&s);
  for (int i = 0; i < EVENTS; i++) world_send(&s.world, "a", text);
  size_t total = 0;
  int frames = 0;
  do {
    while (sse_loop_next(s.loop)) {
      for (int count; (count = sse_stream_peek(s.stream, iov, 64)) > 0; frames += count) {
        size_t bytes = 0;
        assert_true(count <= 2);
        for (int i = 0; i < count; i++) bytes += iov[i].iov_len;
        sse_stream_consume(s.stream, bytes);
        total += bytes;
      }
    }
  } while (sse_loop_timeout(s.loop) == 0);
  assert_int_equal(frames, EVENTS);
  assert_int_equal(total, EVENTS * (SIZE + strlen(EVENT("", "E.1"))));
  close_setting(&s);
}

/* ---- liveness ---- */

static void test_positions_by_manner(void **state) {
  (void)state;
  static const struct {
    sse_position position;
    const char *refresh;
  } rows[] = {{SSE_POSITION_EVENT, POSITION("E.1")}, {SSE_POSITION_OFF, HEARTBEAT}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const sse_stream_config stream = {.channel = "a", .position = rows[i].position};
    struct setting s;
    open_setting(&s, true, NULL, &stream);
    round_of(&s);
    world_send(&s.world, "b", "x");
    s.world.now_ms += 15000;
    assert_string_equal(round_of(&s), rows[i].refresh);
    close_setting(&s);
  }
}

/* Ends: what time does to a stream that lends nothing, or whose client takes nothing. */
static const struct end_row {
  const char *name;
  sse_stream_config config;
  bool blocked;  /* bytes are lent and not consumed */
  int passes_ms; /* in steps of a second */
  int end;       /* 0: it lives */
} end_rows[] = {
    {"stall", {.channel = "a", .stall_ms = 5000}, true, 5000, SSE_ESTALLED},
    {"not yet", {.channel = "a", .stall_ms = 5000}, true, 4000, 0},
    {"the default stall", {.channel = "a"}, true, 60000, SSE_ESTALLED},
    {"no stall deadline", {.channel = "a", .stall_ms = SSE_NEVER}, true, 3600000, 0},
    {"a client that waits does not stall", {.channel = "a", .stall_ms = 5000}, false, 100000, 0},
    {"no heartbeat, no stall",
     {.channel = "a", .stall_ms = 5000, .heartbeat_ms = SSE_NEVER},
     false,
     100000,
     0},
    {"age", {.channel = "a", .age_ms_max = 10000}, false, 10000, SSE_EAGED},
    {"age is spread over its last quarter", {.channel = "a", .age_ms_max = 10000}, false, 7000, 0},
    {"age lets the rest be taken", {.channel = "a", .age_ms_max = 10000}, true, 10000, 0},
    {"age does not outlast the stall",
     {.channel = "a", .age_ms_max = 10000, .stall_ms = 20000},
     true,
     20000,
     SSE_ESTALLED},
};

static void run_end(const struct end_row *row, bool in_loop) {
  struct setting s;
  struct iovec iov[64];
  print_message("  %s, %s\n", row->name, in_loop ? "in a loop" : "alone");
  open_setting(&s, in_loop, NULL, &row->config);
  round_of(&s);
  if (row->blocked) {
    world_send(&s.world, "a", "x");
    if (in_loop) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    assert_int_equal(sse_stream_peek(s.stream, iov, 64), 1);
  }
  for (int t = 0; t < row->passes_ms; t += 1000) {
    s.world.now_ms += 1000;
    if (row->blocked) {
      while (in_loop && sse_loop_next(s.loop)) continue;
      sse_hub_tick(s.world.hub);
    } else {
      round_of(&s);
    }
  }
  int result = sse_stream_peek(s.stream, iov, 64);
  assert_int_equal(result, row->end ? row->end : row->blocked ? 1 : 0);
  if (row->blocked && !row->end) sse_stream_consume(s.stream, iov[0].iov_len);
  if (row->blocked && row->config.age_ms_max && !row->end) {
    assert_int_equal(sse_stream_peek(s.stream, iov, 64), 1); /* the farewell */
    sse_stream_consume(s.stream, iov[0].iov_len);
    assert_int_equal(sse_stream_peek(s.stream, iov, 64), SSE_EAGED);
  }
  close_setting(&s);
}

static void test_ends(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof end_rows / sizeof *end_rows; i++) {
    run_end(&end_rows[i], true);
    run_end(&end_rows[i], false);
  }
}

/* Progress, however slow, is no stall. */
static void test_slow_is_not_stalled(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_stream_config stream = {.channel = "a", .stall_ms = 5000};
    struct setting s;
    struct iovec iov[64];
    open_setting(&s, in_loop, NULL, &stream);
    round_of(&s);
    world_send(&s.world, "a", "0123456789");
    if (in_loop) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    int result;
    while ((result = sse_stream_peek(s.stream, iov, 64)) == 1) {
      sse_stream_consume(s.stream, 1);
      s.world.now_ms += 4000;
      while (in_loop && sse_loop_next(s.loop)) continue;
      sse_hub_tick(s.world.hub);
    }
    assert_int_equal(result, 0);
    close_setting(&s);
  }
}

/* An age is over between three quarters of it and all of it, and not for all streams at once. */
static void test_ages_are_spread(void **state) {
  (void)state;
  struct world world = {0};
  struct wakes wakes = {0};
  sse_stream *streams[100];
  sse_loop *loop;
  const sse_hub_config config = {.age_ms_max = 4000};
  world_open(&world, &config);
  assert_int_equal(sse_loop_new(&loop, world.hub,
                                &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                   SSE_OK);
  for (int i = 0; i < 100; i++) streams[i] = world_stream(&world, "a", NULL, loop);
  int before = 0, later = 0;
  for (int t = 0; t <= 4000; t += 100) {
    for (sse_stream *s; (s = sse_loop_next(loop));) {
      world_read(s);
      if (world_read_result() != SSE_EAGED) continue;
      assert_in_range(t, 3000, 4000);
      *(t < 3500 ? &before : &later) += 1;
      sse_stream_detach(s);
    }
    world.now_ms += 100;
  }
  assert_int_equal(before + later, 100);
  assert_true(before > 20 && later > 20);
  for (int i = 0; i < 100; i++) sse_stream_free(streams[i]);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
}

enum {
  BATCH = 64
};

/* As many ephemeral events as a stream lends at once. */
static void send_full_batch(struct setting *s) {
  const sse_event ev = {.text = "x", .flags = SSE_EPHEMERAL};
  for (int i = 0; i < BATCH; i++) {
    assert_int_equal(sse_hub_publish(s->world.hub, "a", &ev), SSE_OK);
  }
}

/* A batch that is full has no place for the position that is due; it comes behind it. */
static void test_a_position_behind_a_full_batch(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {.heartbeat_ms = 1000, .retry_ms = SSE_NEVER};
    const sse_stream_config stream = {.channel = "a"};
    struct iovec iov[BATCH + 1];
    struct setting s;
    open_setting(&s, in_loop, &config, &stream);
    reopen(&s, NULL); /* its client takes the opening late */
    send_full_batch(&s);
    s.world.now_ms += 1000;
    if (in_loop) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    assert_int_equal(sse_stream_peek(s.stream, iov, BATCH + 1), 1);
    sse_stream_consume(s.stream, iov[0].iov_len);
    assert_int_equal(sse_stream_peek(s.stream, iov, BATCH + 1), BATCH);
    for (int i = 0; i < BATCH; i++) sse_stream_consume(s.stream, iov[i].iov_len);
    assert_string_equal(world_read(s.stream), POSITION("E.64"));
    close_setting(&s);
  }
}

/* ---- without memory ---- */

/* In place of a position a heartbeat keeps the connection, and the position comes next time. */
static void test_a_position_without_memory(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {.heartbeat_ms = 1000};
    const sse_stream_config stream = {.channel = "a"};
    struct setting s;
    open_setting(&s, in_loop, &config, &stream);
    round_of(&s);
    world_send(&s.world, "b", "x");
    s.world.now_ms += 1000;
    world_fail(1, true);
    assert_string_equal(round_of(&s), HEARTBEAT);
    world_fail(0, false);
    s.world.now_ms += 1000;
    assert_string_equal(round_of(&s), POSITION("E.1"));
    close_setting(&s);
  }
}

/* In a round that has its frames, a stream may want memory to lend them; it has them later. */
static void test_a_round_without_memory(void **state) {
  const sse_stream_config config = {.channel = "a"};
  struct iovec iov[2];
  struct setting s;
  (void)state;
  open_setting(&s, true, NULL, &config);
  sse_stream *other = world_stream(&s.world, "a", NULL, s.loop);
  while (sse_loop_next(s.loop)) world_read(other);
  for (int i = 1; i <= 2; i++) world_send(&s.world, "a", "x");
  sse_stream *first = sse_loop_next(s.loop);
  assert_int_equal(sse_stream_peek(first, iov, 2), 2); /* it has what the loop had to spare */
  sse_stream *second = sse_loop_next(s.loop);
  world_fail(1, true);
  assert_int_equal(sse_stream_peek(second, iov, 2), SSE_ENOMEM);
  world_fail(0, false);
  assert_string_equal(world_read(second), EVENT("x", "E.1") EVENT("x", "E.2"));
  assert_null(sse_loop_next(s.loop));
  assert_string_equal(world_read(first), EVENT("x", "E.1") EVENT("x", "E.2"));
  sse_stream_free(other);
  close_setting(&s);
}

/* A client that is sent full batches of ephemeral events at each heartbeat has its id brought up to
 * date all the same. */
static void test_full_batches_do_not_suppress_a_position(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {.heartbeat_ms = 1000};
    const sse_stream_config stream = {.channel = "a"};
    struct setting s;
    int positions = 0;
    open_setting(&s, in_loop, &config, &stream);
    round_of(&s);
    for (int beat = 0; beat < 5; beat++) {
      send_full_batch(&s);
      s.world.now_ms += 1000;
      if (strstr(round_of(&s), "event: sse-position\n")) positions++;
    }
    assert_int_equal(positions, 5);
    close_setting(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scripts),
      cmocka_unit_test(test_burst),
      cmocka_unit_test(test_long_frames),
      cmocka_unit_test(test_positions_by_manner),
      cmocka_unit_test(test_ends),
      cmocka_unit_test(test_slow_is_not_stalled),
      cmocka_unit_test(test_ages_are_spread),
      cmocka_unit_test(test_a_position_behind_a_full_batch),
      cmocka_unit_test(test_a_position_without_memory),
      cmocka_unit_test(test_a_round_without_memory),
      cmocka_unit_test(test_full_batches_do_not_suppress_a_position),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
