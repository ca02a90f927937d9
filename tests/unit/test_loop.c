/* SPDX-License-Identifier: MIT */
/* test_loop.c: rounds of a loop, its wake, its timers, and streams that come and go within a round.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "stream/loop.h"
#include "world.h"

#define EVENT(text, id) "data: " text "\nid: " id "\n\n"

struct setting {
  struct world world;
  struct wakes wakes;
  sse_loop *loop;
};

static int setup(void **state) {
  struct setting *s = calloc(1, sizeof *s);
  world_open(&s->world, NULL);
  assert_int_equal(
      sse_loop_new(&s->loop, s->world.hub,
                   &(const sse_loop_config){.wake = world_wake, .wake_arg = &s->wakes}),
      SSE_OK);
  *state = s;
  return 0;
}

static int teardown(void **state) {
  struct setting *s = *state;
  assert_int_equal(sse_loop_free(s->loop), SSE_OK);
  world_close(&s->world);
  free(s);
  return 0;
}

static sse_stream *open_on(struct setting *s, const char *channel) {
  sse_stream *stream = world_stream(&s->world, channel, NULL, s->loop);
  world_read(stream);
  return stream;
}

/* A round: every stream returned is read; how many there were. */
static int run_round(struct setting *s) {
  int count = 0;
  for (sse_stream *stream; (stream = sse_loop_next(s->loop)); count++) world_read(stream);
  return count;
}

static void test_bad_calls(void **state) {
  struct setting *s = *state;
  sse_loop *loop;
  assert_int_equal(sse_loop_new(NULL, s->world.hub, &(const sse_loop_config){.wake = world_wake}),
                   SSE_EINVAL);
  assert_int_equal(sse_loop_new(&loop, NULL, &(const sse_loop_config){.wake = world_wake}),
                   SSE_EINVAL);
  assert_int_equal(sse_loop_new(&loop, s->world.hub, &(const sse_loop_config){.wake = NULL}),
                   SSE_EINVAL);
  assert_int_equal(sse_loop_free(NULL), SSE_OK);
  sse_stream *stream = open_on(s, "a");
  assert_int_equal(sse_loop_free(s->loop), SSE_EBUSY);
  assert_int_equal(sse_hub_free(s->world.hub), SSE_EBUSY);
  assert_int_equal(sse_stream_wait(stream, 0), SSE_EINVAL);
  sse_stream_detach(stream);
  sse_stream_free(stream);
}

/* ---- streams that are detached while they are ready ---- */

enum {
  READY = 60
};

/* Whichever are freed, and in whatever order, every other one is returned, once in a round. */
static void test_ready_streams_are_freed(void **state) {
  struct setting *s = *state;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    struct world random = {.seed = seed};
    sse_stream *streams[READY], *stream;
    int returned[READY] = {0};
    size_t left = READY, first = world_random(&random, READY), seen = 0;
    for (size_t i = 0; i < READY; i++) {
      const sse_stream_config config = {.channel = "a", .loop = s->loop, .user = &returned[i]};
      assert_int_equal(sse_stream_open(&streams[i], s->world.hub, &config), SSE_OK);
    }
    for (size_t i = 0; i < READY; i++) {
      if (world_random(&random, 3) > 0 || i == first) continue;
      sse_stream_free(streams[i]);
      streams[i] = NULL;
      left--;
    }
    for (; (stream = sse_loop_next(s->loop)); seen++) {
      ++*(int *)sse_stream_user(stream);
      world_read(stream);
      size_t gone = world_random(&random, READY);
      if (world_random(&random, 2) || !streams[gone]) continue;
      left -= returned[gone] == 0;
      sse_stream_free(streams[gone]);
      streams[gone] = NULL;
    }
    assert_int_equal(seen, left);
    assert_int_equal(s->loop->ready_count, 0);
    assert_int_equal(s->loop->ready_gone, 0);
    for (size_t i = 0; i < READY; i++) {
      assert_true(returned[i] <= 1);
      sse_stream_free(streams[i]);
    }
  }
}

/* At most as many wait for their memory to be freed as are ready. */
static void test_memory_of_ready_streams(void **state) {
  struct setting *s = *state;
  sse_stream *stays = world_stream(&s->world, "a", NULL, s->loop);
  size_t bytes = 0;
  for (int i = 0; i < 100; i++) {
    sse_stream_free(world_stream(&s->world, "a", NULL, s->loop));
    assert_true(s->loop->ready_gone <= 1);
    if (i == 10) bytes = world_bytes();
    if (i == 98) assert_int_equal(world_bytes(), bytes);
  }
  sse_stream_free(stays);
  assert_int_equal(s->loop->ready_gone, 0);
}

/* A stream may be freed after its loop, and after a round that found it detached. */
static void test_detached_streams_outlive_the_list(void **state) {
  struct setting *s = *state;
  sse_loop *other;
  assert_int_equal(
      sse_loop_new(&other, s->world.hub,
                   &(const sse_loop_config){.wake = world_wake, .wake_arg = &s->wakes}),
      SSE_OK);
  sse_stream *a = world_stream(&s->world, "a", NULL, s->loop);
  sse_stream *b = world_stream(&s->world, "a", NULL, s->loop);
  sse_stream *c = world_stream(&s->world, "a", NULL, other);
  sse_stream *d = world_stream(&s->world, "a", NULL, other);
  sse_stream_detach(a);
  assert_int_equal(s->loop->ready_gone, 1);
  assert_int_equal(run_round(s), 1);
  assert_int_equal(s->loop->ready_gone, 0);
  sse_stream_free(a);
  sse_stream_detach(c);
  sse_stream_free(c);
  sse_stream_detach(d);
  assert_int_not_equal(sse_loop_timeout(other), 0);
  assert_int_equal(sse_loop_free(other), SSE_OK);
  sse_stream_free(d);
  sse_stream_free(b);
}

/* Those that another thread ended, or asked for something, are collected before one is freed. */
static void test_ended_streams_are_freed(void **state) {
  struct setting *s = *state;
  static sse_stream *streams[1500];
  enum {
    MANY = sizeof streams / sizeof *streams
  };
  for (int asked = 0; asked < 2; asked++) {
    const sse_stream_config config = {.channel = "a", .loop = s->loop, .tag = "t"};
    for (size_t i = 0; i < MANY; i++) {
      assert_int_equal(sse_stream_open(&streams[i], s->world.hub, &config), SSE_OK);
      world_read(streams[i]);
    }
    run_round(s);
    int count = asked ? sse_hub_subscribe(s->world.hub, "t", "b", 0)
                      : sse_hub_disconnect(s->world.hub, "t");
    assert_int_equal(count, MANY);
    sse_stream_free(streams[700]);
    assert_int_equal(s->loop->ready_count, 2 * 512 - 1); /* two holds of the lock */
    assert_int_equal(run_round(s), MANY - 1);
    for (size_t i = 0; i < MANY; i++) {
      if (i == 700) continue;
      struct iovec iov[1];
      if (!asked) assert_int_equal(sse_stream_peek(streams[i], iov, 1), SSE_EDISCONNECTED);
      sse_stream_free(streams[i]);
    }
  }
}

/* One wake for any number of publishes and streams, until the next round is over. */
static void test_wake_is_coalesced(void **state) {
  struct setting *s = *state;
  sse_stream *a = open_on(s, "a"), *b = open_on(s, "b");
  run_round(s);
  assert_int_equal(s->wakes.count, 0);
  world_send(&s->world, "x", "nobody listens");
  assert_int_equal(s->wakes.count, 0);
  world_send(&s->world, "a", "1");
  world_send(&s->world, "a", "2");
  world_send(&s->world, "b", "3");
  assert_int_equal(s->wakes.count, 1);
  assert_int_equal(s->wakes.why, SSE_WAKE_READY);
  assert_int_equal(sse_loop_timeout(s->loop), 0);
  assert_non_null(sse_loop_next(s->loop));
  world_send(&s->world, "a", "within a round");
  assert_int_equal(s->wakes.count, 1);
  while (sse_loop_next(s->loop)) continue;
  assert_int_equal(sse_loop_timeout(s->loop), 0);
  run_round(s);
  world_send(&s->world, "b", "4");
  assert_int_equal(s->wakes.count, 2);
  sse_stream_free(a);
  sse_stream_free(b);
}

/* A wake that fails is tried again at a publish and at a tick. */
static void test_failed_wake(void **state) {
  struct setting *s = *state;
  sse_stream *a = open_on(s, "a");
  run_round(s);
  s->wakes.fail = 3;
  world_send(&s->world, "a", "1");
  assert_int_equal(s->wakes.count, 1);
  world_send(&s->world, "other", "2");
  assert_int_equal(s->wakes.count, 2);
  assert_in_range(sse_hub_tick(s->world.hub), 1, 100);
  assert_int_equal(s->wakes.count, 3);
  sse_hub_tick(s->world.hub);
  assert_int_equal(s->wakes.count, 4);
  sse_hub_tick(s->world.hub);
  assert_int_equal(s->wakes.count, 4);
  assert_int_equal(run_round(s), 1);
  sse_stream_free(a);
}

/* A loop whose wake fails for ever can be freed. */
static void test_free_with_a_failed_wake(void **state) {
  struct setting *s = *state;
  sse_stream *a = open_on(s, "a");
  run_round(s);
  s->wakes.fail = 1000;
  world_send(&s->world, "a", "1");
  sse_stream_free(a);
}

/* A delivery to streams in step neither allocates nor touches the hub. */
static void test_in_step_allocates_nothing(void **state) {
  struct setting *s = *state;
  enum {
    STREAMS = 100
  };
  sse_stream *streams[STREAMS];
  for (int i = 0; i < STREAMS; i++) streams[i] = open_on(s, i % 2 ? "a" : "b");
  run_round(s);
  world_send(&s->world, "a", "warm up");
  assert_int_equal(run_round(s), STREAMS / 2);
  for (int i = 0; i < 10; i++) {
    world_send(&s->world, "a", "x");
    world_send(&s->world, "b", "x");
    size_t calls = world_calls(), blocks = world_blocks();
    assert_int_equal(run_round(s), STREAMS);
    assert_int_equal(world_calls(), calls);
    assert_int_equal(world_blocks(), blocks);
  }
  for (int i = 0; i < STREAMS; i++) sse_stream_free(streams[i]);
}

/* A stream that is not armed is the host's affair: the loop does not return it for what is new. */
static void test_only_the_armed_are_returned(void **state) {
  struct setting *s = *state;
  struct iovec iov[64];
  sse_stream *a = open_on(s, "a"), *b = open_on(s, "a");
  run_round(s);
  world_send(&s->world, "a", "1");
  for (int i = 0; i < 2; i++) {
    sse_stream *stream = sse_loop_next(s->loop);
    if (stream == b) world_read(b);
    if (stream == a) assert_int_equal(sse_stream_peek(a, iov, 64), 1);
  }
  assert_null(sse_loop_next(s->loop));
  world_send(&s->world, "a", "2");
  assert_ptr_equal(sse_loop_next(s->loop), b);
  assert_string_equal(world_read(b), EVENT("2", "E.2"));
  assert_null(sse_loop_next(s->loop));
  assert_string_equal(world_read(a), EVENT("1", "E.1") EVENT("2", "E.2"));
  world_send(&s->world, "a", "3");
  assert_int_equal(run_round(s), 2);
  sse_stream_free(a);
  sse_stream_free(b);
}

/* What the snapshot lent goes on after the round, although every window has let it go. */
static void test_lent_beyond_the_round(void **state) {
  struct setting *s = *state;
  struct iovec iov[64];
  const sse_channel_config one = {.window_frames_max = 1};
  assert_int_equal(sse_hub_configure_channel(s->world.hub, "a", &one), SSE_OK);
  sse_stream *a = open_on(s, "a");
  run_round(s);
  world_send(&s->world, "a", "first");
  assert_ptr_equal(sse_loop_next(s->loop), a);
  assert_int_equal(sse_stream_peek(a, iov, 64), 1);
  assert_null(sse_loop_next(s->loop));
  for (int i = 0; i < 100; i++) world_send(&s->world, "a", "later");
  run_round(s);
  assert_memory_equal(iov[0].iov_base, EVENT("first", "E.1"), iov[0].iov_len);
  sse_stream_consume(a, iov[0].iov_len);
  assert_non_null(strstr(world_read(a), "\"lost\":99"));
  sse_stream_free(a);
}

/* One round in which, after `when` turns, one stream is freed and another is opened. */
static void run_changing_round(struct setting *s, sse_stream **streams, int count, int victim,
                               int when, const char *expected) {
  sse_stream *opened = NULL, *gone = streams[victim];
  int turns = 0;
  bool victim_served = false;
  for (sse_stream *stream; (stream = sse_loop_next(s->loop)); turns++) {
    if (stream == opened) {
      assert_non_null(strstr(world_read(stream), "sse-position"));
      continue;
    }
    assert_string_equal(world_read(stream), expected);
    if (stream == gone) {
      assert_true(turns <= when);
      victim_served = true;
    }
    if (turns != when) continue;
    sse_stream_free(gone);
    opened = world_stream(&s->world, "a", NULL, s->loop);
  }
  assert_int_equal(turns, victim_served ? count : count - 1);
  streams[victim] = opened;
}

/* Streams come and go at any place in a round; each other one has its turn, once. */
static void test_changes_within_a_round(void **state) {
  struct setting *s = *state;
  enum {
    STREAMS = 9
  };
  sse_stream *streams[STREAMS];
  int number = 0;
  for (int i = 0; i < STREAMS; i++) streams[i] = open_on(s, "a");
  for (int victim = 0; victim < STREAMS; victim++) {
    for (int when = 0; when < STREAMS - 1; when++) {
      char expected[64];
      run_round(s);
      world_send(&s->world, "a", "x");
      snprintf(expected, sizeof expected, "data: x\nid: E.%d\n\n", ++number);
      run_changing_round(s, streams, STREAMS, victim, when, expected);
    }
  }
  for (int i = 0; i < STREAMS; i++) sse_stream_free(streams[i]);
}

/* A stream that the host leaves queued can be freed from any place of the queue. */
static void test_free_while_queued(void **state) {
  struct setting *s = *state;
  for (int victim = 0; victim < 3; victim++) {
    sse_stream *streams[3];
    for (int i = 0; i < 3; i++) streams[i] = world_stream(&s->world, "a", NULL, s->loop);
    assert_int_equal(sse_loop_timeout(s->loop), 0);
    sse_stream_free(streams[victim]);
    assert_int_equal(run_round(s), 2);
    for (int i = 0; i < 3; i++) {
      if (i != victim) sse_stream_free(streams[i]);
    }
    assert_int_equal(run_round(s), 0);
  }
}

/* A round under way holds streams and feeds that are gone by its end. */
static void test_all_leave_within_a_round(void **state) {
  struct setting *s = *state;
  sse_stream *a = open_on(s, "a"), *b = open_on(s, "b"), *c = open_on(s, "c");
  run_round(s);
  world_send(&s->world, "a", "1");
  world_send(&s->world, "b", "2");
  assert_non_null(sse_loop_next(s->loop));
  world_send(&s->world, "b", "3");
  world_send(&s->world, "c", "4");
  sse_stream_free(a);
  sse_stream_free(b);
  sse_stream_free(c);
  assert_null(sse_loop_next(s->loop));
}

/* Many channels: a round has room for a frame of each, also when the table has to grow within one.
 */
static void test_many_channels(void **state) {
  struct setting *s = *state;
  enum {
    CHANNELS = 1500
  };
  static sse_stream *streams[CHANNELS];
  char name[16];
  streams[0] = open_on(s, "0");
  run_round(s);
  world_send(&s->world, "0", "first");
  assert_ptr_equal(sse_loop_next(s->loop), streams[0]);
  for (int i = 1; i < CHANNELS; i++) {
    snprintf(name, sizeof name, "%d", i);
    streams[i] = open_on(s, name);
  }
  assert_string_equal(world_read(streams[0]), EVENT("first", "E.1"));
  run_round(s);
  for (int i = 0; i < CHANNELS; i++) {
    snprintf(name, sizeof name, "%d", i);
    world_send(&s->world, name, name);
  }
  int served = 0;
  do {
    served += run_round(s);
  } while (sse_loop_timeout(s->loop) == 0);
  assert_int_equal(served, CHANNELS);
  for (int i = 0; i < CHANNELS; i++) sse_stream_free(streams[i]);
}

/* Two loops on one channel, each with its own pace. */
static void test_two_loops(void **state) {
  struct setting *s = *state;
  struct wakes wakes = {0};
  sse_loop *other;
  assert_int_equal(sse_loop_new(&other, s->world.hub,
                                &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                   SSE_OK);
  sse_stream *a = open_on(s, "a"), *b = world_stream(&s->world, "a", NULL, other);
  world_read(b);
  run_round(s);
  while (sse_loop_next(other)) continue;
  world_send(&s->world, "a", "1");
  assert_int_equal(s->wakes.count, 1);
  assert_int_equal(wakes.count, 1);
  assert_ptr_equal(sse_loop_next(s->loop), a);
  assert_string_equal(world_read(a), EVENT("1", "E.1"));
  assert_null(sse_loop_next(s->loop));
  world_send(&s->world, "a", "2");
  assert_int_equal(s->wakes.count, 2);
  assert_int_equal(wakes.count, 1);
  assert_ptr_equal(sse_loop_next(other), b);
  assert_string_equal(world_read(b), EVENT("1", "E.1") EVENT("2", "E.2"));
  assert_null(sse_loop_next(other));
  sse_stream_free(a);
  sse_stream_free(b);
  assert_int_equal(sse_loop_free(other), SSE_OK);
}

static void test_timeout(void **state) {
  struct setting *s = *state;
  sse_stream *a = open_on(s, "a");
  run_round(s);
  assert_int_equal(sse_loop_timeout(s->loop), 15000);
  s->world.now_ms += 10000;
  assert_int_equal(sse_loop_timeout(s->loop), 5000);
  assert_int_equal(run_round(s), 0);
  s->world.now_ms += 5000;
  assert_int_equal(sse_loop_timeout(s->loop), 0);
  assert_int_equal(run_round(s), 1);
  assert_int_equal(sse_loop_timeout(s->loop), 15000);
  /* Bytes that flow put the heartbeat off. */
  s->world.now_ms += 10000;
  world_send(&s->world, "a", "x");
  assert_int_equal(run_round(s), 1);
  s->world.now_ms += 10000;
  assert_int_equal(run_round(s), 0);
  assert_int_equal(sse_loop_timeout(s->loop), 5000);
  sse_stream_free(a);
}

/* With a linger, publishes wait for each other: one wake, one round, nothing late. */
static void test_linger(void **state) {
  struct setting *s = *state;
  sse_stream *a = open_on(s, "a"), *b = open_on(s, "b");
  run_round(s);
  s->loop->linger_ms = 10;
  world_send(&s->world, "a", "1");
  assert_int_equal(s->wakes.count, 1);
  assert_int_equal(sse_loop_timeout(s->loop), 10);
  assert_int_equal(run_round(s), 0);
  for (int i = 0; i < 9; i++) {
    s->world.now_ms++;
    world_send(&s->world, i % 2 ? "a" : "b", "x");
    assert_int_equal(run_round(s), 0);
    assert_int_equal(sse_loop_timeout(s->loop), 9 - i);
  }
  assert_int_equal(s->wakes.count, 1);
  s->world.now_ms++;
  assert_int_equal(sse_loop_timeout(s->loop), 0);
  assert_int_equal(run_round(s), 2);
  assert_int_equal(run_round(s), 0);
  world_send(&s->world, "b", "2");
  assert_int_equal(s->wakes.count, 2);
  assert_int_equal(sse_loop_timeout(s->loop), 10);
  sse_stream_free(a);
  sse_stream_free(b);
}

/* A stream that another thread's publish ended comes once more, and says why. */
static void test_pinned_is_returned(void **state) {
  (void)state;
  struct setting s = {0};
  struct iovec iov[64];
  char text[2048];
  const sse_hub_config config = {.memory_bytes_max = 64 << 10, .event_bytes_max = 4096};
  memset(text, 'x', sizeof text);
  text[sizeof text - 1] = '\0';
  world_open(&s.world, &config);
  assert_int_equal(sse_loop_new(&s.loop, s.world.hub,
                                &(const sse_loop_config){.wake = world_wake, .wake_arg = &s.wakes}),
                   SSE_OK);
  sse_stream *a = open_on(&s, "a"), *b = open_on(&s, "b");
  run_round(&s);
  for (int i = 0; i < 12; i++) world_send(&s.world, "a", text);
  while (sse_stream_peek(a, iov, 64) <= 0) assert_non_null(sse_loop_next(s.loop));
  while (sse_loop_next(s.loop)) continue;
  s.wakes = (struct wakes){0};
  for (int i = 0; i < 60; i++) sse_hub_publish_text(s.world.hub, "x", NULL, text);
  assert_int_equal(s.wakes.count, 1);
  assert_int_equal(s.wakes.why, SSE_WAKE_ENDED);
  assert_int_equal(sse_loop_timeout(s.loop), 0);
  assert_ptr_equal(sse_loop_next(s.loop), a);
  assert_int_equal(sse_stream_peek(a, iov, 64), SSE_EPINNED);
  assert_null(sse_loop_next(s.loop));
  sse_stream_free(a);
  sse_stream_free(b);
  assert_int_equal(sse_loop_free(s.loop), SSE_OK);
  world_close(&s.world);
}

/* A detached stream that still pins is nobody's to end: its loop knows it no more, and may be gone.
 */
static void test_detached_but_pinning(void **state) {
  (void)state;
  for (int loop_first = 0; loop_first < 2; loop_first++) {
    struct setting s = {0};
    struct iovec iov[64];
    char text[200];
    const sse_hub_config config = {.memory_bytes_max = 4096};
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    world_open(&s.world, &config);
    assert_int_equal(
        sse_loop_new(&s.loop, s.world.hub,
                     &(const sse_loop_config){.wake = world_wake, .wake_arg = &s.wakes}),
        SSE_OK);
    sse_stream *a = open_on(&s, "a");
    run_round(&s);
    for (int i = 0; i < 5; i++) world_send(&s.world, "a", text);
    assert_in_range(sse_stream_peek(a, iov, 64), 1, 5);
    sse_stream_detach(a);
    assert_int_equal(run_round(&s), 0);
    if (loop_first) assert_int_equal(sse_loop_free(s.loop), SSE_OK);
    for (int i = 0; i < 12; i++) sse_hub_publish_text(s.world.hub, "a", NULL, text);
    if (!loop_first) assert_int_equal(run_round(&s), 0);
    sse_stream_free(a);
    if (!loop_first) {
      assert_int_equal(run_round(&s), 0);
      assert_int_equal(sse_loop_free(s.loop), SSE_OK);
    }
    world_close(&s.world);
  }
}

/* Within a round there is something to do, whatever the timers say. */
static void test_no_sleep_within_a_round(void **state) {
  struct setting *s = *state;
  sse_stream *a = open_on(s, "a");
  run_round(s);
  assert_true(sse_loop_timeout(s->loop) > 0);
  world_send(&s->world, "a", "1");
  assert_ptr_equal(sse_loop_next(s->loop), a);
  world_read(a);
  assert_int_equal(sse_loop_timeout(s->loop), 0);
  assert_null(sse_loop_next(s->loop));
  assert_true(sse_loop_timeout(s->loop) > 0);
  sse_stream_free(a);
}

/* One that its host has spoilt, by taking what it was not lent, is returned once more to be closed.
 */
static void test_a_spoilt_stream_is_returned(void **state) {
  struct setting *s = *state;
  struct iovec iov[1];
  sse_stream *good = open_on(s, "a"), *bad = open_on(s, "a");
  sse_stream_consume(bad, 1);
  assert_ptr_equal(sse_loop_next(s->loop), bad);
  assert_int_equal(sse_stream_peek(bad, iov, 1), SSE_ECALLBACK);
  assert_null(sse_loop_next(s->loop));
  sse_stream_free(good);
  sse_stream_free(bad);
}

/* Where all streams belong to loops, their rounds do what a tick would. */
static void test_rounds_run_the_hub_s_timers(void **state) {
  struct setting *s = *state;
  const sse_channel_config age = {.window_age_ms_max = 400};
  assert_int_equal(sse_hub_configure_channel(s->world.hub, "x", &age), SSE_OK);
  sse_stream *a = open_on(s, "a");
  run_round(s);
  size_t blocks = world_blocks();
  world_send(&s->world, "x", "nobody listens");
  s->world.now_ms += 399;
  run_round(s);
  assert_true(world_blocks() > blocks);
  size_t kept = world_blocks();
  assert_int_equal(sse_loop_timeout(s->loop), 1);
  s->world.now_ms++;
  run_round(s);
  assert_int_equal(world_blocks(), kept - 1); /* the frame */
  sse_stream_free(a);
}

int main(void) {
#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      WITH_LOOP(test_bad_calls),
      WITH_LOOP(test_ready_streams_are_freed),
      WITH_LOOP(test_memory_of_ready_streams),
      WITH_LOOP(test_detached_streams_outlive_the_list),
      WITH_LOOP(test_ended_streams_are_freed),
      WITH_LOOP(test_wake_is_coalesced),
      WITH_LOOP(test_failed_wake),
      WITH_LOOP(test_free_with_a_failed_wake),
      WITH_LOOP(test_in_step_allocates_nothing),
      WITH_LOOP(test_only_the_armed_are_returned),
      WITH_LOOP(test_lent_beyond_the_round),
      WITH_LOOP(test_changes_within_a_round),
      WITH_LOOP(test_free_while_queued),
      WITH_LOOP(test_all_leave_within_a_round),
      WITH_LOOP(test_many_channels),
      WITH_LOOP(test_two_loops),
      WITH_LOOP(test_timeout),
      WITH_LOOP(test_linger),
      cmocka_unit_test(test_pinned_is_returned),
      cmocka_unit_test(test_detached_but_pinning),
      cmocka_unit_test_setup_teardown(test_no_sleep_within_a_round, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_spoilt_stream_is_returned, setup, teardown),
      WITH_LOOP(test_rounds_run_the_hub_s_timers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
