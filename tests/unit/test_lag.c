/* SPDX-License-Identifier: MIT */
/* test_lag.c: how far the slowest loop or stream that keeps up is behind, for a publisher. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"
#include "stream/loop.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct world world;
static struct wakes wakes;
static sse_loop *loop;
static sse_stream *in_loop, *of_a, *of_b; /* the last two are standalone */
static size_t lent;                       /* bytes that of_a was asked for */

static ssize_t refuse(void *io, const struct iovec *iov, int count) {
  (void)iov, (void)count;
  return *(const int *)io;
}

static void flush_to(sse_stream *stream, int answer) {
  assert_int_equal(sse_stream_flush(stream, refuse, &answer), SSE_EAGAIN);
}

static void peek(void) {
  struct iovec iov[64];
  int count = sse_stream_peek(of_a, iov, 64);
  assert_true(count > 0);
  lent = 0;
  for (int i = 0; i < count; i++) lent += iov[i].iov_len;
}

/* An iteration of the loop, or the rest of one. */
static void iterate(bool full) {
  for (sse_stream *stream; (stream = sse_loop_next(loop));) {
    if (full) {
      flush_to(stream, SSE_EAGAIN);
    } else {
      world_read(stream);
    }
  }
}

static void act_on_of_a(char what) {
  switch (what) {
  case 's':
    world_read(of_a);
    break;
  case 'p':
    peek();
    break;
  case 'c':
    sse_stream_consume(of_a, lent);
    break;
  case 'f':
    flush_to(of_a, SSE_EAGAIN);
    break;
  case 'h':
    flush_to(of_a, SSE_EHELD);
    break;
  default: /* k */
    sse_stream_free(of_a);
    of_a = NULL;
  }
}

static void act(char what) {
  const sse_event fleeting = {.text = "x", .flags = SSE_EPHEMERAL};
  const char name[] = {what, '\0'};
  switch (what) {
  case 'a':
  case 'b':
    world_send(&world, name, "x");
    break;
  case '*':
    assert_int_equal(sse_hub_publish_to(world.hub, CHANNELS("a", "b"), &(sse_event){.text = "x"}),
                     SSE_OK);
    break;
  case 'e':
    assert_int_equal(sse_hub_publish(world.hub, "a", &fleeting), SSE_OK);
    break;
  case 'F':
    assert_int_equal(sse_hub_finish(world.hub, "a"), SSE_OK);
    break;
  case 'L':
    in_loop = world_stream(&world, "a", NULL, loop);
    iterate(false);
    break;
  case 'S':
    of_a = world_stream(&world, "a", NULL, NULL);
    world_read(of_a);
    break;
  case 'T':
    of_b = world_stream(&world, "b", NULL, NULL);
    world_read(of_b);
    break;
  case 't':
    world_read(of_b);
    break;
  case 'n':
    assert_ptr_equal(sse_loop_next(loop), in_loop);
    world_read(in_loop);
    break;
  case 'N':
  case 'X':
    iterate(what == 'X');
    break;
  case '1':
    world.now_ms++;
    break;
  case '9':
    world.now_ms += 999;
    break;
  default:
    act_on_of_a(what);
  }
}

/*
 * A script has an act, then the lag of the hub after it, then that of channel a. a and b publish to
 * these channels, * to both, e an ephemeral event to a, F finishes a. L opens a stream of a in the
 * loop, S and T standalone ones of a and b. N iterates, n begins to, X iterates with full
 * transports. t lets the stream of b read all; s lets that of a do so, p look at what it has, c take
 * that, f and h find its transport full, k leave. 1 and 9 let 1 and 999 ms pass.
 */
static const struct {
  const char *name, *script;
} rows[] = {
    {"nobody listens", "a00 b00 *00 e00 F00"},
    {"a loop", "L00 a11 a22 N00 a11 N00"},
    {"a loop, from its first event on", "L00 b00 b00 a11 b21 a32 N00 b00"},
    {"a loop within an iteration", "L00 a11 n11 a22 N11 N00"},
    {"a loop within an iteration, others' events", "L00 a11 n11 b21 a32 N11 b21 N00"},
    {"a loop whose client is slow", "L00 a11 X00 a11 N00"},
    {"a loop, an event of several channels", "L00 *11 N00"},
    {"a loop, an ephemeral event", "L00 e10 N00"},
    {"a loop, finished", "L00 F00"},
    {"a loop is not late for its standalone fellows", "L00 T00 b10 N10 t00"},
    {"a stream", "S00 a11 a22 s00 a11 s00"},
    {"a stream, from its first event on", "S00 b00 b00 a11 b21 a32 s00"},
    {"a stream that was given everything", "S00 a11 s00 b00 b00"},
    {"a stream with bytes in flight", "S00 a11 p11 a22 c22 p11 c11 s00"},
    {"a stream whose transport is full", "S00 a11 f00 a00 a00 s00 a11"},
    {"a stream whose transport keeps the bytes", "S00 a11 h00 a00 a00 s00 a11"},
    {"a stream whose transport is full, with all in flight again", "S00 a11 f00 a00 p22 c22 s00"},
    {"a stream that does not come back", "S00 a11 911 a22 100 a00 s00 a11"},
    {"a stream that comes back late", "S00 a11 911 p11 a22 c22 922 100 p11 c11 s00 a11"},
    {"a stream that comes back in time", "S00 a11 p11 911 a22 c22 p11 911 c11 s00"},
    {"a stream, finished", "S00 F00"},
    {"a stream, an ephemeral event", "S00 e10 s00"},
    {"a stream that leaves", "S00 a11 k00"},
    {"two streams, the slower one first", "S00 T00 a11 b21 s10 t00"},
    {"two streams, the slower one last", "S00 T00 a11 b21 t21 s00"},
    {"two streams, one event", "S00 T00 *11 s10 a21 t11 s00"},
    {"two streams, the first comes back", "S00 T00 a11 p11 b21 a32 c32 p21 c21 t21 s00"},
    {"two streams, the first comes back for what it had", "S00 T00 a11 b21 p21 c21 s10 t00"},
    {"two streams, the first does not come back", "S00 T00 a11 911 b21 110 t00 s00"},
};

static uint64_t lag_of(const char *channel) {
  sse_stats stats;
  int error = sse_hub_stats(world.hub, channel, &stats);
  return error == SSE_OK ? stats.lag_events : 0;
}

static void scripts(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    world = (struct world){.hub = NULL};
    world_open(&world, &(const sse_hub_config){.stall_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER});
    assert_int_equal(sse_loop_new(&loop, world.hub,
                                  &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                     SSE_OK);
    in_loop = of_a = of_b = NULL;
    for (const char *at = rows[i].script; *at; at += at[3] ? 4 : 3) {
      act(at[0]);
      unsigned lag = (unsigned)sse_hub_lag(world.hub), of_hub = (unsigned)lag_of(NULL);
      if (lag != (unsigned)(at[1] - '0') || of_hub != lag || lag_of("a") != (uint64_t)(at[2] - '0'))
        fail_msg("%s, at %s: %u, %u, %u", rows[i].name, at, lag, of_hub, (unsigned)lag_of("a"));
    }
    sse_stream_free(in_loop);
    sse_stream_free(of_a);
    sse_stream_free(of_b);
    assert_int_equal(sse_hub_lag(world.hub), 0);
    assert_int_equal(sse_loop_free(loop), SSE_OK);
    world_close(&world);
  }
}

/* What a snapshot has no room for waits for the next one, and counts from there. */
static void more_than_a_snapshot(void **state) {
  enum {
    EVENTS = 3000,
    A_SNAPSHOT = 1024
  };
  const sse_hub_config config = {.channel.window_frames_max = EVENTS};
  struct setting s;
  (void)state;
  open_setting(&s, true, &config, &(const sse_stream_config){.channel = "a"});
  for (int i = 0; i < EVENTS; i++) world_send(&s.world, "a", "x");
  for (uint64_t lag = EVENTS; lag > 0; lag -= lag < A_SNAPSHOT ? lag : A_SNAPSHOT) {
    assert_int_equal(sse_hub_lag(s.world.hub), lag);
    for (sse_stream *stream; (stream = sse_loop_next(s.loop)); world_read(stream)) {
      assert_int_equal(sse_hub_lag(s.world.hub), lag);
    }
  }
  assert_int_equal(sse_hub_lag(s.world.hub), 0);
  close_setting(&s);
}

/* A standalone stream takes some at a time, and counts from what it has taken. */
static void more_than_a_step(void **state) {
  enum {
    EVENTS = 200,
    A_STEP = 64
  };
  struct iovec iov[A_STEP];
  struct setting s;
  (void)state;
  open_setting(&s, false, NULL, &(const sse_stream_config){.channel = "a"});
  for (int i = 0; i < EVENTS; i++) world_send(&s.world, "a", "x");
  for (uint64_t lag = EVENTS; lag > 0; lag -= lag < A_STEP ? lag : A_STEP) {
    size_t bytes = 0;
    assert_int_equal(sse_stream_peek(s.stream, iov, A_STEP), lag < A_STEP ? lag : A_STEP);
    assert_int_equal(sse_hub_lag(s.world.hub), lag);
    for (uint64_t i = 0; i < lag && i < A_STEP; i++) bytes += iov[i].iov_len;
    s.world.now_ms += 999; /* each time it comes back within a second */
    sse_stream_consume(s.stream, bytes);
    assert_int_equal(sse_hub_lag(s.world.hub), lag);
  }
  assert_int_equal(sse_stream_peek(s.stream, iov, A_STEP), 0);
  assert_int_equal(sse_hub_lag(s.world.hub), 0);
  close_setting(&s);
}

/* Frames that linger have not been given. */
static void frames_that_linger(void **state) {
  struct setting s;
  (void)state;
  open_setting(&s, true, NULL, &(const sse_stream_config){.channel = "a"});
  s.loop->linger_ms = 10;
  world_send(&s.world, "a", "x");
  assert_string_equal(round_of(&s), "");
  assert_int_equal(sse_hub_lag(s.world.hub), 1);
  s.world.now_ms += 10;
  assert_string_equal(round_of(&s), EVENT("x", "E.1"));
  assert_int_equal(sse_hub_lag(s.world.hub), 0);
  close_setting(&s);
}

/* The slowest of several loops counts, whichever came last. */
static void several_loops(void **state) {
  enum {
    LOOPS = 3
  };
  static const int orders[][LOOPS] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
  sse_loop *loops[LOOPS];
  sse_stream *streams[LOOPS];
  (void)state;
  world = (struct world){.hub = NULL};
  world_open(&world, NULL);
  for (int i = 0; i < LOOPS; i++) {
    const sse_loop_config config = {.wake = world_wake, .wake_arg = &wakes};
    const char name[] = {(char)('a' + i), '\0'};
    assert_int_equal(sse_loop_new(&loops[i], world.hub, &config), SSE_OK);
    streams[i] = world_stream(&world, name, NULL, loops[i]);
    while (sse_loop_next(loops[i])) world_read(streams[i]);
  }
  for (size_t row = 0; row < COUNT(orders); row++) {
    bool behind[LOOPS] = {true, true, true};
    for (int i = 0; i < LOOPS; i++) world_send(&world, (const char[]){(char)('a' + i), '\0'}, "x");
    for (int i = 0; i <= LOOPS; i++) {
      uint64_t most = behind[0] ? 3 : behind[1] ? 2 : behind[2] ? 1 : 0;
      assert_int_equal(sse_hub_lag(world.hub), most);
      if (i == LOOPS) break;
      while (sse_loop_next(loops[orders[row][i]])) world_read(streams[orders[row][i]]);
      behind[orders[row][i]] = false;
    }
  }
  for (int i = 0; i < LOOPS; i++) {
    sse_stream_free(streams[i]);
    assert_int_equal(sse_loop_free(loops[i]), SSE_OK);
  }
  world_close(&world);
}

static void without_a_hub(void **state) {
  (void)state;
  assert_int_equal(sse_hub_lag(NULL), 0);
}

/* A look does not count what went to other channels while the stream was armed. */
static void of_other_channels(void **state) {
  (void)state;
  const sse_hub_config config = {.retry_ms = SSE_NEVER};
  struct world own = {.hub = NULL};
  char buf[256];
  world_open(&own, &config);
  sse_stream *stream = world_stream(&own, "a", NULL, NULL);
  world_read(stream);
  for (int i = 0; i < 100; i++) world_send(&own, "b", "x");
  assert_int_equal(sse_hub_lag(own.hub), 0);
  world_send(&own, "a", "x");
  assert_int_equal(sse_hub_lag(own.hub), 1);
  assert_true(sse_stream_read(stream, buf, sizeof buf) > 0);
  assert_true(sse_hub_lag(own.hub) <= 1);
  assert_int_equal(sse_stream_read(stream, buf, sizeof buf), 0);
  assert_int_equal(sse_hub_lag(own.hub), 0);
  sse_stream_free(stream);
  world_close(&own);
}

/* A stream counts again as soon as it was given everything, whatever others were given before. */
static void one_that_comes_late(void **state) {
  (void)state;
  const sse_hub_config config = {.retry_ms = SSE_NEVER};
  struct world own = {.hub = NULL};
  struct iovec iov[64];
  world_open(&own, &config);
  sse_stream *late = world_stream(&own, "a", NULL, NULL);
  sse_stream *other = world_stream(&own, "a", NULL, NULL);
  world_read(late);
  world_read(other);
  world_send(&own, "a", "1");
  flush_to(late, SSE_EAGAIN);
  world_read(other);
  assert_int_equal(sse_hub_lag(own.hub), 0);
  world_send(&own, "a", "2");
  assert_true(sse_stream_peek(late, iov, 64) > 0); /* all is in flight */
  for (int i = 0; i < 10; i++) {
    world_send(&own, "a", "more");
    world_read(other);
  }
  assert_true(sse_hub_lag(own.hub) >= 10);
  sse_stream_free(late);
  assert_int_equal(sse_hub_lag(own.hub), 0);
  sse_stream_free(other);
  world_close(&own);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scripts),           cmocka_unit_test(more_than_a_snapshot),
      cmocka_unit_test(more_than_a_step),  cmocka_unit_test(frames_that_linger),
      cmocka_unit_test(several_loops),     cmocka_unit_test(without_a_hub),
      cmocka_unit_test(of_other_channels), cmocka_unit_test(one_that_comes_late),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
