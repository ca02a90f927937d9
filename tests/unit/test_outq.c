/* SPDX-License-Identifier: MIT */
/* test_outq.c: what is lent, where a transport takes little, too much, or is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "setting.h"

enum {
  HEARTBEAT_MS = 1000,
  IDLE_MS = 5000
};

static const sse_hub_config config = {
    .retry_ms = SSE_NEVER, .heartbeat_ms = HEARTBEAT_MS, .channel_idle_ms = IDLE_MS};
static const sse_stream_config of_a = {.channel = "a"};

static void open_one(struct setting *s, bool in_loop) {
  open_setting(s, in_loop, &config, &of_a);
  round_of(s);
}

/* ---- a transport that takes little ---- */

struct thrift {
  size_t first; /* bytes that it takes at first; then nothing once, then all */
  int calls;
  char bytes[256];
  size_t len;
};

static ssize_t take_little(void *io, const struct iovec *iov, int count) {
  struct thrift *thrift = io;
  size_t taken = 0;
  if (++thrift->calls == 2) return SSE_EAGAIN;
  for (int i = 0; i < count; i++) {
    size_t part =
        thrift->calls == 1 && iov[i].iov_len > thrift->first ? thrift->first : iov[i].iov_len;
    assert_true(thrift->len + part < sizeof thrift->bytes);
    memcpy(thrift->bytes + thrift->len, iov[i].iov_base, part);
    thrift->len += part;
    taken += part;
    if (thrift->calls == 1) break;
  }
  return (ssize_t)taken;
}

/* An ephemeral event brings no id, also when it is taken in two parts: a position follows. */
static void an_ephemeral_event_in_two_parts(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_event ev = {.text = "x", .flags = SSE_EPHEMERAL};
    struct thrift thrift = {.first = 3};
    struct setting s;
    open_one(&s, in_loop);
    assert_int_equal(sse_hub_publish(s.world.hub, "a", &ev), SSE_OK);
    if (in_loop) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    assert_int_equal(sse_stream_flush(s.stream, take_little, &thrift), SSE_EAGAIN);
    if (in_loop) assert_null(sse_loop_next(s.loop));
    assert_int_equal(sse_stream_flush(s.stream, take_little, &thrift), SSE_OK);
    assert_int_equal(thrift.len, strlen(EPHEMERAL("x")));
    assert_memory_equal(thrift.bytes, EPHEMERAL("x"), thrift.len);
    s.world.now_ms += HEARTBEAT_MS;
    assert_string_equal(round_of(&s), POSITION("E.1"));
    close_setting(&s);
  }
}

/* ---- a stream that leaves with bytes lent ---- */

static void leave(struct setting *s) {
  sse_stream_detach(s->stream);
  assert_int_equal(sse_loop_free(s->loop), SSE_OK);
  s->loop = NULL;
  s->world.now_ms += IDLE_MS; /* its channel goes, too */
  sse_hub_tick(s->world.hub);
  assert_int_equal(sse_hub_stats(s->world.hub, "a", &(sse_stats){0}), SSE_ENOTFOUND);
}

/* The transport finds out that its connection is gone, and the host clears up at once. */
static ssize_t leave_and_take_nothing(void *io, const struct iovec *iov, int count) {
  (void)iov;
  assert_int_equal(count, 2);
  leave(io);
  return SSE_EAGAIN;
}

static void a_write_that_detaches(void **state) {
  (void)state;
  for (int manner = 0; manner < 3; manner++) { /* alone, of a loop, in a round of it */
    struct setting s;
    struct iovec iov[1];
    open_one(&s, manner > 0);
    for (int i = 0; i < 2; i++) world_send(&s.world, "a", "x");
    if (manner == 2) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    assert_int_equal(sse_stream_flush(s.stream, leave_and_take_nothing, &s), SSE_EAGAIN);
    assert_int_equal(sse_stream_peek(s.stream, iov, 1), SSE_EDETACHED);
    sse_stats stats;
    assert_int_equal(sse_hub_stats(s.world.hub, NULL, &stats), SSE_OK);
    assert_int_equal(stats.memory_bytes, 0);
    close_setting(&s);
  }
}

/* What was lent before can still be sent, and counts; the loop is not needed for it. */
static void bytes_outlive_their_stream_and_loop(void **state) {
  (void)state;
  for (int manner = 0; manner < 3; manner++) {
    struct setting s;
    struct iovec iov[2];
    sse_stats stats;
    open_one(&s, manner > 0);
    for (int i = 0; i < 2; i++) world_send(&s.world, "a", "x");
    if (manner == 2) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    assert_int_equal(sse_stream_peek(s.stream, iov, 2), 2);
    leave(&s);
    for (int i = 0; i < 2; i++) {
      const char *want = i == 0 ? EVENT("x", "E.1") : EVENT("x", "E.2");
      assert_int_equal(iov[i].iov_len, strlen(want));
      assert_memory_equal(iov[i].iov_base, want, strlen(want));
      sse_stream_consume(s.stream, iov[i].iov_len);
    }
    assert_int_equal(sse_hub_stats(s.world.hub, NULL, &stats), SSE_OK);
    assert_int_equal(stats.delivered_events, 2);
    assert_int_equal(stats.memory_bytes, 0);
    close_setting(&s);
  }
}

/* ---- a host that takes what it was not lent ---- */

static void more_than_was_lent(void **state) {
  (void)state;
  for (int manner = 0; manner < 3; manner++) {
    struct setting s;
    struct iovec iov[1];
    open_one(&s, manner > 0);
    world_send(&s.world, "a", "x");
    if (manner == 2) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    assert_int_equal(sse_stream_peek(s.stream, iov, 1), 1);
    sse_stream_consume(s.stream, iov[0].iov_len + 1);
    assert_int_equal(sse_stream_peek(s.stream, iov, 1), SSE_ECALLBACK);
    if (manner == 2) assert_null(sse_loop_next(s.loop));
    close_setting(&s);
  }
}

/* ---- blocks among events ---- */

static void publish_ephemeral(struct setting *s) {
  const sse_event ev = {.text = "x", .flags = SSE_EPHEMERAL};
  assert_int_equal(sse_hub_publish(s->world.hub, "a", &ev), SSE_OK);
}

/* A position that was lent with events of a round outlives it with them, and is freed once. */
static void a_position_beyond_its_round(void **state) {
  static const char *const want[] = {EPHEMERAL("x"), EPHEMERAL("x"), POSITION("E.2")};
  struct setting s;
  struct iovec iov[3];
  sse_stats stats;
  (void)state;
  open_one(&s, true);
  for (int i = 0; i < 2; i++) publish_ephemeral(&s);
  s.world.now_ms += HEARTBEAT_MS;
  assert_ptr_equal(sse_loop_next(s.loop), s.stream);
  assert_int_equal(sse_stream_peek(s.stream, iov, 3), 3);
  assert_null(sse_loop_next(s.loop));
  for (int i = 0; i < 300; i++) publish_ephemeral(&s); /* they let go of those that are lent */
  assert_int_equal(sse_hub_stats(s.world.hub, NULL, &stats), SSE_OK);
  assert_true(stats.pinned_bytes > 0);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(iov[i].iov_len, strlen(want[i]));
    assert_memory_equal(iov[i].iov_base, want[i], strlen(want[i]));
    sse_stream_consume(s.stream, iov[i].iov_len);
  }
  assert_int_equal(sse_hub_stats(s.world.hub, NULL, &stats), SSE_OK);
  assert_int_equal(stats.pinned_bytes, 0);
  assert_null(s.world.hub->pins.streams.first);
  close_setting(&s);
}

static int refusals; /* how often the transport takes nothing */

static ssize_t refuse(void *io, const struct iovec *iov, int count) {
  struct thrift *thrift = io;
  if (refusals > 0) {
    refusals--;
    return SSE_EAGAIN;
  }
  thrift->calls = 2; /* takes all */
  return take_little(thrift, iov, count);
}

/* A heartbeat, or a position behind events, that the transport does not take is due again. */
static void blocks_that_are_taken_back(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++) {
    bool in_loop = i % 2, events = i / 2;
    struct thrift thrift = {.len = 0};
    struct setting s;
    open_one(&s, in_loop);
    if (events) publish_ephemeral(&s);
    s.world.now_ms += HEARTBEAT_MS;
    sse_hub_tick(s.world.hub);
    if (in_loop) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    refusals = 1;
    assert_int_equal(sse_stream_flush(s.stream, refuse, &thrift), SSE_EAGAIN);
    if (in_loop) assert_null(sse_loop_next(s.loop));
    assert_int_equal(sse_stream_flush(s.stream, refuse, &thrift), SSE_OK);
    thrift.bytes[thrift.len] = '\0';
    assert_string_equal(thrift.bytes, events ? EPHEMERAL("x") : "");
    s.world.now_ms += HEARTBEAT_MS;
    assert_string_equal(round_of(&s), events ? POSITION("E.1") : HEARTBEAT);
    close_setting(&s);
  }
}

/* ---- a long replay ---- */

static ssize_t count_pieces(void *io, const struct iovec *iov, int count) {
  size_t bytes = 0;
  *(int *)io += count;
  for (int i = 0; i < count; i++) bytes += iov[i].iov_len;
  return (ssize_t)bytes;
}

/* Who stands alone keeps nobody waiting, and is sent all of it at once. */
static void a_long_replay_alone(void **state) {
  enum {
    EVENTS = 2000
  };
  const sse_hub_config wide = {.channel.window_frames_max = EVENTS};
  struct setting s;
  int pieces = 0;
  (void)state;
  open_setting(&s, false, &wide, &of_a);
  for (int i = 0; i < EVENTS; i++) world_send(&s.world, "a", "x");
  assert_int_equal(sse_stream_flush(s.stream, count_pieces, &pieces), SSE_OK);
  assert_int_equal(pieces, EVENTS);
  close_setting(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_ephemeral_event_in_two_parts),
      cmocka_unit_test(a_write_that_detaches),
      cmocka_unit_test(bytes_outlive_their_stream_and_loop),
      cmocka_unit_test(more_than_was_lent),
      cmocka_unit_test(a_position_beyond_its_round),
      cmocka_unit_test(blocks_that_are_taken_back),
      cmocka_unit_test(a_long_replay_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
