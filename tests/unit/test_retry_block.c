/* SPDX-License-Identifier: MIT */
/* test_retry_block.c: gentle ends: what was lent is taken, then the time to come back, then the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/subscriber.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define EVENT        "data: x\nid: E.1\n\n"

enum {
  AGE_MS = 10000
};

/* One stream, in a loop or alone, that will be of age. */
struct setting {
  struct world world;
  struct wakes wakes;
  sse_loop *loop; /* NULL: alone */
  sse_stream *stream;
};

static void open_setting(struct setting *s, bool in_loop, const sse_stream_config *config) {
  sse_stream_config c = *config;
  *s = (struct setting){.loop = NULL};
  world_open(&s->world, NULL);
  if (in_loop)
    assert_int_equal(
        sse_loop_new(&s->loop, s->world.hub,
                     &(const sse_loop_config){.wake = world_wake, .wake_arg = &s->wakes}),
        SSE_OK);
  c.channel = "a";
  c.loop = s->loop;
  c.age_ms_max = AGE_MS;
  c.wake = in_loop ? NULL : world_wake;
  c.user = &s->wakes;
  assert_int_equal(sse_stream_open(&s->stream, s->world.hub, &c), SSE_OK);
  world_read(s->stream);
}

static void close_setting(struct setting *s) {
  sse_stream_free(s->stream);
  assert_int_equal(sse_loop_free(s->loop), SSE_OK);
  world_close(&s->world);
}

/* Lets time pass, in steps, with the timers run and the stream not looked at. */
static void pass(struct setting *s, int ms) {
  for (int t = 0; t < ms; t += 1000) {
    s->world.now_ms += 1000;
    while (s->loop && sse_loop_next(s->loop)) continue;
    sse_hub_tick(s->world.hub);
  }
}

/* ---- the order of things ---- */

static const struct row {
  const char *name;
  int32_t retry_ms;
  bool event;     /* one is lent when the age ends */
  size_t partial; /* of which so many bytes are taken before */
  bool no_memory; /* for the farewell */
  const char *bytes;
} rows[] = {
    {"nothing lent", 1, false, 0, false, "retry: 1\n"},
    {"an event lent", 1, true, 0, false, EVENT "retry: 1\n"},
    {"the rest of an event", 1, true, 5, false, EVENT "retry: 1\n"},
    {"no time is told", SSE_NEVER, false, 0, false, ""},
    {"no time is told after an event", SSE_NEVER, true, 3, false, EVENT},
    {"no memory for it", 1, true, 0, true, EVENT},
};

static void run(const struct row *row, bool in_loop) {
  const sse_stream_config config = {
      .retry_ms = row->retry_ms, .heartbeat_ms = SSE_NEVER, .stall_ms = SSE_NEVER};
  struct setting s;
  struct iovec iov[1];
  open_setting(&s, in_loop, &config);
  if (row->event) {
    world_send(&s.world, "a", "x");
    assert_int_equal(sse_stream_peek(s.stream, iov, 1), 1);
    sse_stream_consume(s.stream, row->partial);
  }
  pass(&s, AGE_MS);
  world_fail(row->no_memory ? 1 : 0, true);
  assert_string_equal(world_read(s.stream), row->bytes + row->partial);
  world_fail(0, false);
  assert_int_equal(world_read_result(), SSE_EAGED);
  assert_string_equal(world_read(s.stream), ""); /* once */
  assert_int_equal(world_read_result(), SSE_EAGED);
  close_setting(&s);
}

static void what_a_gentle_end_lends(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    print_message("  %s\n", rows[i].name);
    run(&rows[i], true);
    run(&rows[i], false);
  }
}

/* What is published once the end is settled is for the next connection. */
static void nothing_new_comes_before_it(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop <= 1; in_loop++) {
    const sse_stream_config config = {.retry_ms = 1};
    struct setting s;
    open_setting(&s, in_loop, &config);
    pass(&s, AGE_MS);
    world_send(&s.world, "a", "x");
    while (s.loop && sse_loop_next(s.loop)) continue;
    assert_string_equal(world_read(s.stream), "retry: 1\n");
    assert_int_equal(world_read_result(), SSE_EAGED);
    close_setting(&s);
  }
}

/* ---- the client that does not take it ---- */

static ssize_t full(void *io, const struct iovec *iov, int count) {
  (void)io;
  (void)iov;
  (void)count;
  return SSE_EAGAIN;
}

/* The deadline counts from the farewell, however long the stream was silent before. */
static void a_farewell_may_stall(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop <= 1; in_loop++) {
    const sse_stream_config config = {.retry_ms = 1, .heartbeat_ms = SSE_NEVER, .stall_ms = 3000};
    struct setting s;
    struct iovec iov[1];
    open_setting(&s, in_loop, &config);
    pass(&s, AGE_MS);
    assert_int_equal(sse_stream_flush(s.stream, full, NULL), SSE_EAGAIN);
    pass(&s, 2000);
    assert_int_equal(sse_stream_peek(s.stream, iov, 1), 1);
    assert_int_equal(iov[0].iov_len, sizeof "retry: 1\n" - 1);
    pass(&s, 1000);
    assert_int_equal(sse_stream_peek(s.stream, iov, 1), SSE_ESTALLED);
    close_setting(&s);
  }
}

/* ---- the time ---- */

/* Each client is told a time of its own, between the configured one and one and a half times that.
 */
static void the_times_are_spread(void **state) {
  int low = 0, high = 0;
  (void)state;
  for (int i = 0; i < 100; i++) {
    const sse_stream_config config = {.retry_ms = 1000};
    struct setting s;
    int retry_ms = 0;
    open_setting(&s, false, &config);
    s.world.now_ms += AGE_MS;
    for (int opened = 0; opened < i; opened++) {
      sse_stream_free(world_stream(&s.world, "b", NULL, NULL));
    }
    assert_int_equal(sscanf(world_read(s.stream), "retry: %d\n", &retry_ms), 1);
    assert_in_range(retry_ms, 1000, 1499);
    *(retry_ms < 1250 ? &low : &high) += 1;
    close_setting(&s);
  }
  assert_true(low > 20 && high > 20);
}

/* A spread never leads beyond what a client takes for a time. */
static void the_longest_time_stays(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop <= 1; in_loop++) {
    const sse_stream_config config = {.retry_ms = SSE_RETRY_MS_MAX};
    struct setting s;
    open_setting(&s, in_loop, &config);
    pass(&s, AGE_MS);
    assert_string_equal(world_read(s.stream), "retry: 2147483647\n");
    close_setting(&s);
  }
}

static const struct {
  int present, reason;
  bool replaces;
} ends[] = {
    {0, SSE_EAGED, true},
    {0, SSE_ESTALLED, true},
    {SSE_EAGED, SSE_EAGED, false},
    {SSE_EAGED, SSE_ESTALLED, true},
    {SSE_EAGED, SSE_EDISCONNECTED, true},
    {SSE_EDISCONNECTED, SSE_EAGED, false},
    {SSE_EPINNED, SSE_EDISCONNECTED, false},
};

static void which_end_takes_anothers_place(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(ends); i++) {
    assert_int_equal(sse__end_replaces(ends[i].reason, ends[i].present), ends[i].replaces);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_gentle_end_lends),
      cmocka_unit_test(nothing_new_comes_before_it),
      cmocka_unit_test(a_farewell_may_stall),
      cmocka_unit_test(the_times_are_spread),
      cmocka_unit_test(which_end_takes_anothers_place),
      cmocka_unit_test(the_longest_time_stays),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
