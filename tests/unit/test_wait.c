/* SPDX-License-Identifier: MIT */
/* test_wait.c: sse_stream_wait: what it looks after, and how it leaves the stream. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stream/stream_priv.h"
#include "world.h"

#define EVENT(text, id) "data: " text "\nid: " id "\n\n"

/* A wait that is over leaves the stream armed: what comes then is told by its wake. */
static void a_wake_after_a_wait(void **state) {
  (void)state;
  for (int timeout_ms = 0; timeout_ms <= 1; timeout_ms++) {
    struct world world = {0};
    struct wakes wakes = {0};
    const sse_stream_config config = {.channel = "a", .wake = world_wake, .user = &wakes};
    sse_stream *stream;
    world_open(&world, NULL);
    assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
    assert_int_equal(sse_stream_wait(stream, timeout_ms), 1);
    world_read(stream);
    assert_int_equal(sse_stream_wait(stream, timeout_ms), 0);
    world_send(&world, "a", "1");
    assert_int_equal(wakes.count, 1);
    assert_int_equal(sse_stream_wait(stream, timeout_ms), 1);
    assert_string_equal(world_read(stream), EVENT("1", "E.1"));
    sse_stream_free(stream);
    world_close(&world);
  }
}

/* What is waited for has its heartbeats, its age and its stall without a tick of the hub. */
static void a_wait_needs_no_tick(void **state) {
  static const struct {
    sse_stream_config config;
    bool stuck; /* bytes are lent and not consumed */
    int result; /* of the wait */
    const char *bytes;
    int end;
  } rows[] = {
      {{.channel = "a", .heartbeat_ms = 1000}, false, 1, ":\n", 0},
      {{.channel = "a", .age_ms_max = 1000, .retry_ms = 5}, false, 1, NULL, SSE_EAGED},
      {{.channel = "a", .stall_ms = 1000}, true, SSE_ESTALLED, "", SSE_ESTALLED},
      {{.channel = "a", .stall_ms = 1001}, true, 1, EVENT("1", "E.1"), 0},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct world world = {0};
    struct iovec iov[1];
    sse_stream *stream;
    world_open(&world, NULL);
    assert_int_equal(sse_stream_open(&stream, world.hub, &rows[i].config), SSE_OK);
    world_read(stream);
    if (rows[i].stuck) {
      world_send(&world, "a", "1");
      assert_int_equal(sse_stream_peek(stream, iov, 1), 1);
    }
    world.now_ms += 1000;
    assert_int_equal(sse_stream_wait(stream, 0), rows[i].result);
    const char *bytes = world_read(stream);
    if (rows[i].bytes) assert_string_equal(bytes, rows[i].bytes);
    assert_int_equal(world_read_result(), rows[i].end);
    sse_stream_free(stream);
    world_close(&world);
  }
}

static int looks;

static int64_t counting_clock(void *arg) {
  (void)arg;
  looks++;
  return 3600 * INT64_C(1000000000);
}

/* A thread that waits for a heartbeat in a second sleeps meanwhile. */
static void a_wait_does_not_spin(void **state) {
  const sse_stream_config config = {.channel = "a", .heartbeat_ms = 1000};
  struct world world = {0};
  sse_hub_config hub_config = {0};
  sse_stream *stream;
  (void)state;
  world_callbacks(&world, &hub_config);
  hub_config.clock = counting_clock;
  assert_int_equal(sse_hub_new(&world.hub, &hub_config), SSE_OK);
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  world_read(stream);
  looks = 0;
  assert_int_equal(sse_stream_wait(stream, 20), 0);
  assert_in_range(looks, 1, 20);
  sse_stream_free(stream);
  world_close(&world);
}

/* ---- a thread that waits ---- */

struct waiter {
  struct world world;
  sse_stream *stream;
  int result;
};

static void *wait_long(void *arg) {
  struct waiter *waiter = arg;
  waiter->result = sse_stream_wait(waiter->stream, 60000);
  return NULL;
}

/* Until the thread sleeps. */
static void await_sleep(const struct waiter *waiter) {
  bool sleeps = false;
  while (!sleeps) {
    pthread_mutex_lock(&waiter->world.hub->lock);
    sleeps = waiter->stream->sub.u.standalone->waker.waiting != NULL;
    pthread_mutex_unlock(&waiter->world.hub->lock);
    sched_yield();
  }
}

static int call_skip(sse_hub *hub) {
  return sse_hub_skip(hub, 9);
}
static int call_reset(sse_hub *hub) {
  return sse_hub_reset(hub, "F", 0);
}
static int call_finish(sse_hub *hub) {
  return sse_hub_finish(hub, "a");
}
static int call_publish(sse_hub *hub) {
  return sse_hub_publish(hub, "a", &(const sse_event){.text = "x", .number = 9});
}

/* What moves the head of a log ends a wait, also that of a stream that is ahead. */
static void a_log_ends_a_wait(void **state) {
  static const struct {
    const char *name, *last_id;
    int (*move)(sse_hub *hub);
    const char *bytes;
    int result, end;
  } rows[] = {
      {"a skip", "E.0", call_skip,
       "event: gap\ndata: {\"reason\":\"evicted\",\"resume\":\"E.9\",\"channels\":[\"a\"]}\n"
       "id: E.9\n\n",
       1, 0},
      {"a reset", "E.0", call_reset,
       "event: gap\ndata: {\"reason\":\"restart\",\"resume\":\"F.0\",\"channels\":[\"a\"]}\n"
       "id: F.0\n\n",
       1, 0},
      {"a reset, ahead", "E.7", call_reset,
       "event: gap\ndata: {\"reason\":\"restart\",\"resume\":\"F.0\",\"channels\":[\"a\"]}\n"
       "id: F.0\n\n",
       1, 0},
      {"a skip beyond its number", "E.7", call_skip,
       "event: gap\ndata: {\"reason\":\"evicted\",\"resume\":\"E.9\",\"channels\":[\"a\"]}\n"
       "id: E.9\n\n",
       1, 0},
      {"an event above its number", "E.7", call_publish, EVENT("x", "E.9"), 1, 0},
      {"a finished channel, ahead", "E.7", call_finish, "", SSE_EFINISHED, SSE_EFINISHED},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const sse_hub_config config = {
        .numbers = SSE_NUMBERS_GIVEN, .retry_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER};
    struct waiter waiter = {.result = 0};
    pthread_t thread;
    print_message("  %s\n", rows[i].name);
    world_open(&waiter.world, &config);
    waiter.stream = world_stream(&waiter.world, "a", rows[i].last_id, NULL);
    world_read(waiter.stream);
    assert_int_equal(pthread_create(&thread, NULL, wait_long, &waiter), 0);
    await_sleep(&waiter);
    assert_int_equal(rows[i].move(waiter.world.hub), SSE_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(waiter.result, rows[i].result);
    assert_string_equal(world_read(waiter.stream), rows[i].bytes);
    assert_int_equal(world_read_result(), rows[i].end);
    sse_stream_free(waiter.stream);
    world_close(&waiter.world);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_wake_after_a_wait),
      cmocka_unit_test(a_wait_needs_no_tick),
      cmocka_unit_test(a_wait_does_not_spin),
      cmocka_unit_test(a_log_ends_a_wait),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
