/* SPDX-License-Identifier: MIT */
/* test_memory.c: a stream that found no memory looks for it again, without its host. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "hub/subscriber.h"
#include "setting.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What a starved stream is owed: the window keeps one event of two. */
#define LATE                                                                                       \
  GAP_OF("slow", "\"resume\":\"E.1\",\"channels\":[\"a\"],\"lost\":1", "E.1")                      \
  EVENT("2", "E.2")

#define MUCH LATE POSITION("E.3~") "data: 3\n\n" POSITION("E.3")

enum {
  STALL_MS = 60 /* less than SSE__STARVED_MS */
};

/*
 * The stream is owed a gap, and the host's look at it finds no memory for that: from now on it is
 * starved, and memory fails until world_fail(0, false).
 */
static void starve(struct setting *s) {
  struct iovec iov[1];
  world_send(&s->world, "a", "1");
  world_send(&s->world, "a", "2");
  if (s->loop) assert_ptr_equal(sse_loop_next(s->loop), s->stream);
  s->wakes.count = 0;
  world_fail(1, true);
  assert_int_equal(sse_stream_peek(s->stream, iov, 1), SSE_ENOMEM);
  if (s->loop) assert_null(sse_loop_next(s->loop));
}

static void open_starving(struct setting *s, bool in_loop, const sse_stream_config *config) {
  sse_stream_config c = config ? *config : (sse_stream_config){0};
  c.channel = "a";
  open_setting(s, in_loop, &(const sse_hub_config){.channel = {.window_frames_max = 1}}, &c);
  starve(s);
}

/* A standalone stream that its host leaves to a wake. */
static void open_standalone(struct setting *s, const sse_stream_config *config) {
  sse_stream_config c = config ? *config : (sse_stream_config){0};
  c.wake = world_wake;
  c.user = &s->wakes;
  open_starving(s, false, &c);
}

static void open_either(struct setting *s, bool in_loop, const sse_stream_config *config) {
  if (in_loop) {
    open_starving(s, true, config);
  } else {
    open_standalone(s, config);
  }
}

static void close_starving(struct setting *s) {
  world_fail(0, false);
  close_setting(s);
}

/*
 * The host does what it always does: a loop sleeps for its timeout and runs one iteration, the
 * ticker ticks. True if the stream is then to be looked at.
 */
static bool host_comes_back(struct setting *s) {
  if (s->loop) {
    int32_t timeout = sse_loop_timeout(s->loop);
    assert_in_range(timeout, 0, SSE__STARVED_MS);
    s->world.now_ms += timeout;
    return sse_loop_next(s->loop) == s->stream;
  }
  int32_t timeout = sse_hub_tick(s->world.hub);
  assert_in_range(timeout, 0, SSE__STARVED_MS);
  s->world.now_ms += timeout;
  s->wakes.count = 0;
  sse_hub_tick(s->world.hub);
  return s->wakes.count == 1 && s->wakes.why == SSE_WAKE_READY;
}

static void end_iteration(struct setting *s) {
  while (s->loop && sse_loop_next(s->loop)) fail_msg("returned once more");
}

/* ---- the stream of a loop, or one with a wake ---- */

static void the_stream_comes_back_by_itself(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct setting s;
    open_either(&s, in_loop, NULL);
    world_fail(0, false);
    assert_true(host_comes_back(&s));
    assert_string_equal(world_read(s.stream), LATE);
    end_iteration(&s);
    close_starving(&s);
  }
}

static void not_before_its_time(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct setting s;
    open_either(&s, in_loop, NULL);
    world_fail(0, false);
    s.world.now_ms += SSE__STARVED_MS - 1;
    sse_hub_tick(s.world.hub);
    if (in_loop) assert_null(sse_loop_next(s.loop));
    assert_int_equal(s.wakes.count, 0);
    assert_true(host_comes_back(&s));
    close_starving(&s);
  }
}

/* As often as it finds none; and the stall deadline does not run meanwhile. */
static void several_failures_in_a_row(void **state) {
  static const sse_stream_config hasty = {.stall_ms = STALL_MS},
                                 as_long = {.stall_ms = SSE__STARVED_MS};
  static const sse_stream_config *const configs[] = {NULL, &hasty, &as_long};
  (void)state;
  for (size_t i = 0; i < 2 * COUNT(configs); i++) {
    struct setting s;
    struct iovec iov[1];
    open_either(&s, i % 2, configs[i / 2]);
    for (int n = 0; n < 5; n++) {
      assert_true(host_comes_back(&s));
      assert_int_equal(sse_stream_peek(s.stream, iov, 1), SSE_ENOMEM);
      end_iteration(&s);
    }
    world_fail(0, false);
    assert_true(host_comes_back(&s));
    assert_string_equal(world_read(s.stream), LATE);
    assert_int_equal(world_read_result(), 0);
    end_iteration(&s);
    close_starving(&s);
  }
}

/* A host that comes late finds the stream alive: the client did not stall. */
static void a_late_look_is_no_stall(void **state) {
  static const sse_stream_config config = {.stall_ms = STALL_MS};
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct setting s;
    open_either(&s, in_loop, &config);
    world_fail(0, false);
    s.world.now_ms += 100 * STALL_MS;
    if (in_loop) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    assert_string_equal(world_read(s.stream), LATE);
    end_iteration(&s);
    close_starving(&s);
  }
}

/* A stream whose host looked by itself, and whose transport is full, is not returned for it. */
static void no_return_once_there_are_bytes(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct setting s;
    struct iovec iov[1];
    open_either(&s, in_loop, NULL);
    world_fail(0, false);
    assert_int_equal(sse_stream_peek(s.stream, iov, 1), 1);
    s.world.now_ms += SSE__STARVED_MS;
    sse_hub_tick(s.world.hub);
    if (in_loop) assert_null(sse_loop_next(s.loop));
    assert_int_equal(s.wakes.count, 0);
    assert_string_equal(world_read(s.stream), LATE);
    close_starving(&s);
  }
}

/* ---- what happens to it meanwhile ---- */

static void freed_while_it_waits(struct setting *s) {
  sse_stream_free(s->stream);
  s->stream = NULL;
}

static void detached_while_it_waits(struct setting *s) {
  sse_stream_detach(s->stream);
}

static void disconnected_while_it_waits(struct setting *s) {
  assert_int_equal(sse_hub_disconnect(s->world.hub, "t"), 1);
}

static void dismissed_while_it_waits(struct setting *s) {
  world_fail(0, false);
  assert_int_equal(sse_hub_dismiss(s->world.hub, "t"), 1);
}

static void drained_while_it_waits(struct setting *s) {
  assert_int_equal(sse_hub_drain(s->world.hub, 0), SSE_OK);
}

static void finished_while_it_waits(struct setting *s) {
  assert_int_equal(sse_hub_finish(s->world.hub, "a"), SSE_OK);
}

static const struct fate_row {
  const char *name;
  void (*happens)(struct setting *s);
  int end;           /* what the next look says; 0: it has no next */
  const char *bytes; /* what it gives before the end */
} fates[] = {
    {"freed", freed_while_it_waits, 0, NULL},
    {"detached", detached_while_it_waits, SSE_EDETACHED, ""},
    {"disconnected", disconnected_while_it_waits, SSE_EDISCONNECTED, ""},
    {"dismissed", dismissed_while_it_waits, SSE_EDISMISSED, LATE},
    {"drained", drained_while_it_waits, SSE_EDRAINED, ""},
    {"finished", finished_while_it_waits, SSE_EFINISHED, LATE},
};

/* How often the host is to look at the stream, within the next second. */
static int looks_of(struct setting *s) {
  int looks = 0;
  for (int i = 0; i <= 10; i++, s->world.now_ms += SSE__STARVED_MS) {
    sse_hub_tick(s->world.hub);
    while (s->loop && sse_loop_next(s->loop)) looks++;
  }
  return s->loop ? looks : s->wakes.count;
}

static void check_fate(const struct fate_row *row, bool in_loop) {
  static const sse_stream_config config = {.tag = "t", .retry_ms = SSE_NEVER};
  struct setting s;
  print_message("  %s, %s\n", row->name, in_loop ? "in a loop" : "standalone");
  open_either(&s, in_loop, &config);
  row->happens(&s);
  world_fail(0, false);
  bool gone = row->end == 0 || row->end == SSE_EDETACHED;
  int32_t sleep_ms = in_loop ? sse_loop_timeout(s.loop) : sse_hub_tick(s.world.hub);
  if (gone) assert_true(sleep_ms < 0 || sleep_ms > SSE__STARVED_MS);
  assert_int_equal(looks_of(&s) > 0, !gone);
  if (row->end) {
    assert_string_equal(world_read(s.stream), row->bytes);
    assert_int_equal(world_read_result(), row->end);
  }
  s.wakes.count = 0;
  if (gone) assert_int_equal(looks_of(&s), 0);
  close_starving(&s);
}

static void ends_of_a_starved_stream(void **state) {
  (void)state;
  for (size_t i = 0; i < 2 * COUNT(fates); i++) check_fate(&fates[i / 2], i % 2);
}

/* An immediate end wakes a standalone stream once, and not again for the memory. */
static void one_wake_for_an_end(void **state) {
  static const sse_stream_config config = {.tag = "t"};
  struct setting s;
  (void)state;
  open_standalone(&s, &config);
  s.wakes.why = 0;
  disconnected_while_it_waits(&s);
  assert_int_equal(looks_of(&s), 1);
  assert_int_equal(s.wakes.why, SSE_WAKE_ENDED);
  close_starving(&s);
}

/* ---- threads that wait ---- */

/* Memory that is missing is the result only when the time is over. */
static void a_wait_ends_at_its_timeout(void **state) {
  (void)state;
  for (int timeout_ms = 0; timeout_ms <= 2; timeout_ms++) {
    struct setting s;
    open_starving(&s, false, NULL);
    assert_int_equal(sse_stream_wait(s.stream, timeout_ms), SSE_ENOMEM);
    world_fail(0, false);
    assert_int_equal(sse_stream_wait(s.stream, timeout_ms), 1);
    assert_string_equal(world_read(s.stream), LATE);
    close_starving(&s);
  }
}

/* The next few allocations fail; nobody but the waiting thread does anything. */
static void a_wait_goes_on_by_itself(void **state) {
  struct setting s;
  (void)state;
  open_starving(&s, false, NULL);
  world_fail(1, false);
  assert_int_equal(sse_stream_wait(s.stream, -1), 1);
  assert_string_equal(world_read(s.stream), LATE);
  close_starving(&s);
}

struct runner {
  sse_stream *stream;
  int fd, result;
};

static void *run_stream(void *arg) {
  struct runner *runner = arg;
  runner->result = sse_stream_run(runner->stream, runner->fd);
  return NULL;
}

/* A stream that is owed a gap, an event, and the backfill of another channel. */
static void open_with_much(struct setting *s) {
  static const sse_stream_config config = {.tag = "t"};
  open_starving(s, false, &config);
  world_fail(0, false);
  world_send(&s->world, "b", "3");
  assert_int_equal(sse_hub_subscribe(s->world.hub, "t", "b", 1), 1);
}

/* Whichever allocation fails, the client receives the same. */
static void a_run_goes_on_by_itself(void **state) {
  static const char want[] = MUCH;
  (void)state;
  for (size_t n = 0; n < 6; n++) {
    char got[sizeof want] = "";
    struct setting s;
    int pair[2];
    pthread_t thread;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    open_with_much(&s);
    world_fail(n, false);
    struct runner runner = {.stream = s.stream, .fd = pair[0]};
    assert_int_equal(pthread_create(&thread, NULL, run_stream, &runner), 0);
    recv(pair[1], got, sizeof want - 1, MSG_WAITALL);
    close(pair[1]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(pair[0]);
    assert_string_equal(got, want);
    assert_int_equal(runner.result, SSE_ECLOSED);
    close_starving(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_stream_comes_back_by_itself),
      cmocka_unit_test(not_before_its_time),
      cmocka_unit_test(several_failures_in_a_row),
      cmocka_unit_test(a_late_look_is_no_stall),
      cmocka_unit_test(no_return_once_there_are_bytes),
      cmocka_unit_test(ends_of_a_starved_stream),
      cmocka_unit_test(one_wake_for_an_end),
      cmocka_unit_test(a_wait_ends_at_its_timeout),
      cmocka_unit_test(a_wait_goes_on_by_itself),
      cmocka_unit_test(a_run_goes_on_by_itself),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
