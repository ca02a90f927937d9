/* SPDX-License-Identifier: MIT */
/* test_backfill.c: histories: several at once, longer than a batch, and what is evicted meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "setting.h"
#include "stream/cursor.h"
#include "stream/loop.h"
#include "stream/outq.h"

#define UNFINISHED(id) POSITION(id "~")

static const sse_hub_config quiet = {.retry_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER};
static const sse_stream_config of_a = {.channel = "a", .tag = "me"};

static void want(struct setting *s, const char *channel) {
  assert_int_equal(sse_hub_subscribe(s->world.hub, "me", channel, SSE_BACKFILL_ALL), 1);
}

static void fill(struct setting *s, const char *channel, int from, int to) {
  for (int i = from; i <= to; i++) {
    char text[16];
    snprintf(text, sizeof text, "%d", i);
    world_send(&s->world, channel, text);
  }
}

/* ---- several at once ---- */

/* The end of one is the beginning of the next: a cut between them is a cut within. */
static void two_histories(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct setting s;
    open_setting(&s, in_loop, &quiet, &of_a);
    round_of(&s);
    fill(&s, "b", 1, 1);
    fill(&s, "c", 2, 3);
    want(&s, "b");
    want(&s, "c");
    assert_string_equal(round_of(&s), UNFINISHED("E.3") EPHEMERAL("1") UNFINISHED("E.3")
                                          EPHEMERAL("2") EPHEMERAL("3") POSITION("E.3"));
    assert_string_equal(round_of(&s), "");
    close_setting(&s);
  }
}

/* Who leaves a channel before its history has begun gets the others' alone. */
static void one_of_two_histories_is_dropped(void **state) {
  static const char *const left[] = {"b", "c"};
  (void)state;
  for (int i = 0; i < 4; i++) {
    struct setting s;
    open_setting(&s, i % 2, &quiet, &of_a);
    round_of(&s);
    fill(&s, "b", 1, 1);
    fill(&s, "c", 2, 2);
    want(&s, "b");
    want(&s, "c");
    assert_int_equal(sse_hub_unsubscribe(s.world.hub, "me", left[i / 2]), 1);
    assert_string_equal(round_of(&s), i / 2 ? UNFINISHED("E.2") EPHEMERAL("1") POSITION("E.2")
                                            : UNFINISHED("E.2") EPHEMERAL("2") POSITION("E.2"));
    assert_int_equal(sse_hub_count(s.world.hub, left[i / 2]), 0);
    close_setting(&s);
  }
}

/* ---- at every cut ---- */

/* A history is the same bytes, with however little room they are taken, chunked or not; and while it
 * is in flight its events are pinned, not copied. */
static void taken_byte_by_byte(void **state) {
  static const char plain[] = UNFINISHED("E.2") EPHEMERAL("1") EPHEMERAL("22") POSITION("E.2");
  static const char chunks[] = "00000024\r\n" UNFINISHED(
      "E.2") "\r\n"
             "00000009\r\n" EPHEMERAL("1") "\r\n"
                                           "0000000a\r\n" EPHEMERAL("22") "\r\n"
                                                                          "00000023\r\n" POSITION(
                                                                              "E.2") "\r\n";
  static const sse_http_head head = {.chunked = 1};
  (void)state;
  for (size_t room = 1; room < 40; room++) {
    for (int kind = 0; kind < 4; kind++) {
      const char *want_bytes = kind / 2 ? chunks : plain;
      sse_stream_config config = of_a;
      char got[sizeof chunks + 64] = "";
      struct setting s;
      size_t len = 0, blocks = 0;
      sse_stats stats;
      if (kind / 2) config.head = &head;
      open_setting(&s, kind % 2, &quiet, &config);
      round_of(&s);
      world_send(&s.world, "b", "1");
      world_send(&s.world, "b", "22");
      want(&s, "b");
      while (s.loop && sse_loop_next(s.loop)) continue;
      for (ssize_t n; (n = sse_stream_read(s.stream, got + len, room)) > 0; len += (size_t)n) {
        if (blocks == 0) blocks = world_blocks();
        assert_int_equal(sse_hub_stats(s.world.hub, NULL, &stats), SSE_OK);
        assert_true(world_blocks() <= blocks + 1);
        assert_int_equal(stats.pinned_bytes, 0);
      }
      assert_string_equal(got, want_bytes);
      assert_int_equal(s.world.hub->pins.bytes, 0);
      assert_int_equal(sse_hub_stats(s.world.hub, NULL, &stats), SSE_OK);
      assert_int_equal(stats.delivered_events, 2);
      for (size_t i = 0; i < SSE_LATENCY_BUCKETS; i++) assert_int_equal(stats.latency[i], 0);
      close_setting(&s);
    }
  }
}

/* ---- long ones ---- */

enum {
  GIVE_WAY = 1024 /* frames that one hold of the lock passes over */
};

static int passed_over;

static int pass_none(void *arg, const sse_filter_event *event) {
  (void)arg;
  (void)event;
  passed_over++;
  return 0;
}

/* One step of what remains, as one hold of the lock does it. */
static int step_once(struct setting *s) {
  struct sse__outq_array **spare = s->loop ? &s->loop->spare : &s->world.hub->spare;
  pthread_mutex_lock(&s->world.hub->lock);
  int count = sse__cursor_step_live(s->stream, spare, s->world.now_ms);
  pthread_mutex_unlock(&s->world.hub->lock);
  return count;
}

/* A state, and the backfill of a channel, of which nothing is for the stream. */
static void one_that_is_for_others(void **state) {
  const sse_channel_config windows[] = {{.window_frames_max = 5000},
                                        {.window_frames_max = 5000, .conflate = SSE_YES}};
  (void)state;
  for (int i = 0; i < 4; i++) {
    struct setting s;
    char key[16];
    bool conflated = i / 2;
    const sse_stream_config me = {.channel = "a", .tag = "me", .filter = pass_none};
    open_setting(&s, i % 2, &quiet, &me);
    round_of(&s);
    assert_int_equal(sse_hub_configure_channel(s.world.hub, "b", &windows[conflated]), SSE_OK);
    for (int k = 0; k < 4 * GIVE_WAY; k++) {
      snprintf(key, sizeof key, "%d", k);
      const sse_event event = {.text = "v", .key = conflated ? key : NULL};
      assert_int_equal(sse_hub_publish(s.world.hub, "b", &event), SSE_OK);
    }
    want(&s, "b");
    assert_int_equal(step_once(&s), 1); /* the first position */
    pthread_mutex_lock(&s.world.hub->lock);
    sse__outq_drop(s.stream);
    pthread_mutex_unlock(&s.world.hub->lock);
    passed_over = 0;
    for (int step = 1; step <= 4; step++) {
      int count = step_once(&s);
      assert_int_equal(passed_over, step * GIVE_WAY);
      assert_int_equal(count, step < 4 ? SSE_EAGAIN : 1);
    }
    close_setting(&s);
  }
}

enum {
  LONG = 100, /* more than a batch holds */
  BATCH = 64
};

/* Takes what is in flight now, which begins with `first`: how many blocks it was. */
static int take(struct setting *s, const char *first) {
  static char bytes[512 << 10];
  struct iovec iov[2 * BATCH]; /* an event without its id has two pieces */
  size_t len = 0;
  int blocks = 0, count = sse_stream_peek(s->stream, iov, 2 * BATCH);
  if (count <= 0) return count;
  for (int i = 0; i < count; i++) {
    assert_true(len + iov[i].iov_len < sizeof bytes);
    memcpy(bytes + len, iov[i].iov_base, iov[i].iov_len);
    len += iov[i].iov_len;
  }
  bytes[len] = '\0';
  assert_int_equal(strncmp(bytes, first, strlen(first)), 0);
  for (const char *at = bytes; (at = strstr(at, "\n\n")); at += 2) blocks++;
  sse_stream_consume(s->stream, len);
  return blocks;
}

/*
 * A history of which a batch was given, and then so many of its events are let go. What was given
 * is no loss; what was to come is told of at the end, also where no positions are.
 */
static const struct {
  const char *name;
  sse_position position;
  int more; /* published meanwhile, each of which takes another's place */
  const char *next, *end;
} cuts[] = {
    {"nothing", SSE_POSITION_EVENT, 0, EPHEMERAL("65"), POSITION("E.100")},
    {"what was given", SSE_POSITION_EVENT, 10, EPHEMERAL("65"), POSITION("E.100")},
    {"some of what was to come", SSE_POSITION_EVENT, 70, EPHEMERAL("71"),
     GAP_OF("evicted", "\"resume\":\"E.100\",\"channels\":[\"b\"]", "E.100")},
    {"the same, without positions", SSE_POSITION_OFF, 70, EPHEMERAL("71"),
     GAP_OF("evicted", "\"resume\":\"E.100\",\"channels\":[\"b\"]", "E.100")},
};

static void what_goes_while_it_is_given(void **state) {
  (void)state;
  for (size_t i = 0; i < 2 * sizeof cuts / sizeof *cuts; i++) {
    sse_hub_config config = quiet;
    sse_stream_config stream = of_a;
    struct setting s;
    print_message("  %s\n", cuts[i / 2].name);
    config.channel.window_frames_max = LONG;
    stream.position = cuts[i / 2].position;
    open_setting(&s, i % 2, &config, &stream);
    round_of(&s);
    fill(&s, "b", 1, LONG);
    want(&s, "b");
    while (s.loop && sse_loop_next(s.loop)) continue;
    if (stream.position == SSE_POSITION_EVENT) assert_int_equal(take(&s, UNFINISHED("E.100")), 1);
    assert_int_equal(take(&s, EPHEMERAL("1")), BATCH);
    fill(&s, "b", LONG + 1, LONG + cuts[i / 2].more);
    int rest = LONG - (cuts[i / 2].more > BATCH ? cuts[i / 2].more : BATCH);
    assert_int_equal(take(&s, cuts[i / 2].next), rest);
    assert_int_equal(take(&s, cuts[i / 2].end), 1);
    close_setting(&s);
  }
}

/* Events that are large are given a few at a time. */
static void large_events(void **state) {
  static char text[100001];
  struct setting s;
  (void)state;
  memset(text, 'x', sizeof text - 1);
  open_setting(&s, false, &quiet, &of_a);
  round_of(&s);
  for (int i = 0; i < 4; i++) world_send(&s.world, "b", text);
  want(&s, "b");
  assert_int_equal(take(&s, UNFINISHED("E.4")), 1);
  assert_int_equal(take(&s, "data: x"), 3); /* three are more than 256 KiB */
  assert_int_equal(take(&s, "data: x"), 1);
  assert_int_equal(take(&s, POSITION("E.4")), 1);
  close_setting(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_histories),
      cmocka_unit_test(one_of_two_histories_is_dropped),
      cmocka_unit_test(taken_byte_by_byte),
      cmocka_unit_test(one_that_is_for_others),
      cmocka_unit_test(what_goes_while_it_is_given),
      cmocka_unit_test(large_events),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
