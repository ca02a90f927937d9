/* SPDX-License-Identifier: MIT */
/* test_loop_left.c: streams of a loop that are over, or freed, while it goes on; how it sleeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"
#include "stream/loop.h"

enum {
  STALL_MS = 2000
};

static const sse_stream_config of_a = {.channel = "a", .tag = "me"};

/* ---- freed while it waits for its turn ---- */

/* Three streams are ready in a round, and a fourth is opened meanwhile. One of them is freed before
 * its turn; the others have theirs, the fourth in the next round. */
static void freed_before_its_turn(void **state) {
  (void)state;
  for (int victim = 1; victim < 4; victim++) {
    struct setting s;
    sse_stream *streams[4];
    open_setting(&s, true, NULL, &of_a);
    while (sse_loop_next(s.loop)) continue;
    for (int i = 0; i < 3; i++) streams[i] = world_stream(&s.world, "a", NULL, s.loop);
    assert_ptr_equal(sse_loop_next(s.loop), streams[0]);
    streams[3] = world_stream(&s.world, "a", NULL, s.loop);
    sse_stream_free(streams[victim]);
    for (int i = 1; i < 4; i++) {
      if (i == 3) assert_null(sse_loop_next(s.loop));
      if (i != victim) assert_ptr_equal(sse_loop_next(s.loop), streams[i]);
    }
    assert_null(sse_loop_next(s.loop));
    for (int i = 0; i < 4; i++) {
      if (i != victim) sse_stream_free(streams[i]);
    }
    close_setting(&s);
  }
}

/* ---- over, and not yet freed ---- */

static ssize_t gone(void *io, const struct iovec *iov, int count) {
  (void)io;
  (void)iov;
  (void)count;
  return SSE_ECLOSED;
}

/* A stream whose client is gone, and whose host has not freed it. */
static void open_gone(struct setting *s) {
  const sse_hub_config config = {.stall_ms = STALL_MS, .heartbeat_ms = SSE_NEVER};
  open_setting(s, true, &config, &of_a);
  while (sse_loop_next(s->loop)) continue;
  world_send(&s->world, "a", "x");
  assert_ptr_equal(sse_loop_next(s->loop), s->stream);
  assert_int_equal(sse_stream_flush(s->stream, gone, NULL), SSE_ECLOSED);
  assert_null(sse_loop_next(s->loop));
}

/* What ended it stays what ended it, whoever would end it later. */
static void a_kick_comes_late(void **state) {
  struct setting s;
  struct iovec iov[1];
  sse_stats stats;
  (void)state;
  open_gone(&s);
  assert_int_equal(sse_hub_disconnect(s.world.hub, "me"), 0);
  while (sse_loop_next(s.loop)) continue;
  assert_int_equal(sse_stream_peek(s.stream, iov, 1), SSE_ECLOSED);
  sse_stream_free(s.stream);
  s.stream = NULL;
  assert_int_equal(sse_hub_stats(s.world.hub, NULL, &stats), SSE_OK);
  assert_int_equal(stats.closed[-SSE_ECLOSED], 1);
  assert_int_equal(stats.closed[-SSE_EDISCONNECTED], 0);
  close_setting(&s);
}

/* Its deadline neither ends it once more nor keeps the loop awake. */
static void a_deadline_comes_late(void **state) {
  struct setting s;
  struct iovec iov[1];
  (void)state;
  open_gone(&s);
  assert_true(sse_loop_timeout(s.loop) > 0);
  s.world.now_ms += STALL_MS;
  assert_int_equal(sse_loop_timeout(s.loop), 0);
  assert_null(sse_loop_next(s.loop));
  assert_true(sse_loop_timeout(s.loop) > STALL_MS);
  assert_int_equal(sse_stream_peek(s.stream, iov, 1), SSE_ECLOSED);
  close_setting(&s);
}

/* ---- what lingers ---- */

/* What is nearer of the two ends a sleep: the end of the linger, or a timer. */
static void a_timer_before_the_linger_is_over(void **state) {
  static const int32_t lingers_ms[] = {400, 5000};
  (void)state;
  for (int i = 0; i < 2; i++) {
    const sse_hub_config config = {.heartbeat_ms = 1000};
    struct setting s;
    open_setting(&s, true, &config, &of_a);
    while (sse_loop_next(s.loop)) continue;
    s.loop->linger_ms = lingers_ms[i];
    world_send(&s.world, "a", "x");
    assert_int_equal(sse_loop_timeout(s.loop), i == 0 ? 400 : 1000);
    close_setting(&s);
  }
}

/* ---- what a loop leaves behind ---- */

/* The channel of a loop that is freed is idle from then on, with new events for it or without. */
static void a_channel_of_a_freed_loop_expires(void **state) {
  (void)state;
  for (int publishes = 0; publishes < 2; publishes++) {
    const sse_hub_config config = {.channel_idle_ms = 1000};
    struct setting s;
    sse_stats stats;
    open_setting(&s, true, &config, &of_a);
    s.world.now_ms += 2000;
    sse_hub_tick(s.world.hub); /* its timer comes while it is in use */
    if (publishes) world_send(&s.world, "a", "x");
    sse_stream_free(s.stream);
    assert_int_equal(sse_loop_free(s.loop), SSE_OK);
    s.stream = NULL;
    s.loop = NULL;
    s.world.now_ms += 1000;
    sse_hub_tick(s.world.hub);
    assert_int_equal(sse_hub_stats(s.world.hub, "a", &stats), SSE_ENOTFOUND);
    close_setting(&s);
  }
}

/* ---- an end that is complete ---- */

/* Once the client has taken everything, neither a deadline nor a disconnect changes the reason. */
static void a_complete_end_keeps_its_reason(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++) {
    const sse_hub_config config = {.stall_ms = STALL_MS, .heartbeat_ms = SSE_NEVER};
    bool in_loop = i % 2, disconnects = i / 2;
    struct setting s;
    char bytes[512];
    int len;
    open_setting(&s, in_loop, &config, &of_a);
    while (s.loop && sse_loop_next(s.loop)) continue;
    assert_int_equal(sse_hub_finish(s.world.hub, "a"), SSE_OK);
    while (s.loop && sse_loop_next(s.loop)) continue;
    while ((len = (int)sse_stream_read(s.stream, bytes, sizeof bytes)) > 0) continue;
    assert_int_equal(len, SSE_EFINISHED);
    if (disconnects) {
      assert_int_equal(sse_hub_disconnect(s.world.hub, "me"), 0);
    } else {
      s.world.now_ms += 2 * STALL_MS;
    }
    sse_hub_tick(s.world.hub);
    while (s.loop && sse_loop_next(s.loop)) continue;
    assert_int_equal(sse_stream_read(s.stream, bytes, sizeof bytes), SSE_EFINISHED);
    close_setting(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(freed_before_its_turn),
      cmocka_unit_test(a_kick_comes_late),
      cmocka_unit_test(a_deadline_comes_late),
      cmocka_unit_test(a_timer_before_the_linger_is_over),
      cmocka_unit_test(a_channel_of_a_freed_loop_expires),
      cmocka_unit_test(a_complete_end_keeps_its_reason),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
