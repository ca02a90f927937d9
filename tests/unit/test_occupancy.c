/* SPDX-License-Identifier: MIT */
/* test_occupancy.c: the host hears when a channel gets its first stream and loses its last. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
  IDLE_MS = 1000,
  THREADS = 4,
  TURNS = 300
};

static struct world world;
static char heard[1024]; /* "+a" came, "-a" went */
static void (*within)(const char *channel, int present);

static void listen_to(void *arg, const char *channel, int present) {
  size_t len = strlen(heard);
  assert_ptr_equal(arg, &world);
  snprintf(heard + len, sizeof heard - len, "%c%s", present ? '+' : '-', channel);
  if (within) within(channel, present);
}

static void open_world(sse_occupancy_fn *fn) {
  const sse_hub_config config = {
      .occupancy = fn, .occupancy_arg = &world, .channel_idle_ms = IDLE_MS};
  world = (struct world){.hub = NULL};
  world_open(&world, &config);
  heard[0] = '\0';
  within = NULL;
}

/* ---- what is told ---- */

/*
 * A digit opens that stream: 0 to 2 on "a", 3 on "b", 4 on both; '~' and a digit detaches it. The
 * even ones are of a loop.
 */
static const struct {
  const char *name, *script, *heard;
} scripts[] = {
    {"first and last", "0~0", "+a-a"},          {"only first and last", "012~0~1~2", "+a-a"},
    {"again and again", "0~00~0", "+a-a+a-a"},  {"each channel", "03~0~3", "+a+b-a-b"},
    {"all channels of one", "4~4", "+a+b-a-b"}, {"some are there already", "04~0~4", "+a+b-a-b"},
};

static sse_stream *open_digit(int digit, sse_loop *loop) {
  static const char *const both[] = {"a", "b", NULL};
  const sse_stream_config config = {.channel = digit < 3    ? "a"
                                               : digit == 3 ? "b"
                                                            : NULL,
                                    .channels = digit == 4 ? both : NULL,
                                    .loop = digit % 2 ? NULL : loop};
  sse_stream *stream = NULL;
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  return stream;
}

static void run(const char *script, sse_loop *loop) {
  sse_stream *streams[5] = {NULL};
  for (; *script; script++) {
    if (*script == '~') {
      int digit = *++script - '0';
      sse_stream_detach(streams[digit]);
      sse_stream_free(streams[digit]);
    } else {
      streams[*script - '0'] = open_digit(*script - '0', loop);
    }
  }
}

static void first_and_last_are_told(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(scripts); i++) {
    struct wakes wakes = {0};
    sse_loop *loop;
    print_message("  %s\n", scripts[i].name);
    open_world(listen_to);
    assert_int_equal(sse_loop_new(&loop, world.hub,
                                  &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                     SSE_OK);
    run(scripts[i].script, loop);
    assert_string_equal(heard, scripts[i].heard);
    assert_int_equal(sse_loop_free(loop), SSE_OK);
    world_close(&world);
  }
}

static void an_open_that_fails_is_not_told(void **state) {
  (void)state;
  open_world(listen_to);
  for (size_t n = 1;; n++) {
    const sse_stream_config config = {.channel = "a"};
    sse_stream *stream;
    size_t blocks = world_blocks();
    world_fail(n, false);
    int error = sse_stream_open(&stream, world.hub, &config);
    world_fail(0, false);
    if (!error) {
      assert_true(n > 2);
      assert_string_equal(heard, "+a");
      sse_stream_free(stream);
      break;
    }
    assert_string_equal(heard, "");
    assert_true(world_blocks() <= blocks + 1); /* the table of timers stays, the channel does not */
  }
  world_close(&world);
}

/* ---- what may be done inside ---- */

static sse_stream *second;

/* Everything but freeing the hub, the stream that this is about among it. */
static void busy(const char *channel, int present) {
  char snapshot[sizeof heard];
  snprintf(snapshot, sizeof snapshot, "%s", heard);
  assert_int_equal(sse_hub_count(world.hub, channel), present);
  world_send(&world, channel, present ? "hello" : "goodbye");
  if (strcmp(channel, "a") == 0 && present) second = open_digit(3, NULL);
  if (strcmp(channel, "a") == 0 && !present) sse_stream_free(second);
  assert_string_equal(heard, snapshot); /* no call inside a call */
}

static void a_call_may_use_the_hub(void **state) {
  (void)state;
  open_world(listen_to);
  within = busy;
  sse_stream *stream = open_digit(0, NULL);
  assert_string_equal(heard, "+a+b");
  assert_non_null(strstr(world_read(stream), "data: hello\n"));
  sse_stream_free(stream);
  assert_string_equal(heard, "+a+b-a-b");
  world_close(&world);
}

static void come_and_go(const char *channel, int present) {
  (void)present;
  if (strcmp(channel, "a") == 0) sse_stream_free(open_digit(3, NULL));
}

/* What is undone before its turn is passed over. */
static void what_is_undone_is_not_told(void **state) {
  (void)state;
  open_world(listen_to);
  within = come_and_go;
  sse_stream_free(open_digit(0, NULL));
  assert_string_equal(heard, "+a-a");
  world_close(&world);
}

static size_t blocks_before;

static void wait_idly(const char *channel, int present) {
  if (present) return;
  world.now_ms += 10 * IDLE_MS;
  sse_hub_tick(world.hub);
  assert_int_equal(world_blocks(), blocks_before);
  assert_string_equal(channel, "a");
}

/* The channel, whose name the call has, stays until the call has returned, and goes away after. */
static void a_channel_stays_until_it_is_told(void **state) {
  (void)state;
  open_world(listen_to);
  sse_stream *stream = open_digit(1, NULL);
  world_read(stream);
  within = wait_idly;
  blocks_before = world_blocks();
  sse_stream_detach(stream);
  assert_string_equal(heard, "+a-a");
  sse_stream_free(stream);
  size_t blocks = world_blocks();
  world.now_ms += IDLE_MS;
  sse_hub_tick(world.hub);
  assert_true(world_blocks() < blocks);
  world_close(&world);
}

/* ---- threads ---- */

static pthread_mutex_t judge_lock = PTHREAD_MUTEX_INITIALIZER;
static int inside, told, wrong;

static void judge(void *arg, const char *channel, int present) {
  (void)arg;
  (void)channel;
  pthread_mutex_lock(&judge_lock);
  if (inside++ > 0 || present == told) wrong++;
  told = present;
  pthread_mutex_unlock(&judge_lock);
  pthread_mutex_lock(&judge_lock);
  inside--;
  pthread_mutex_unlock(&judge_lock);
}

static void *open_and_close(void *arg) {
  for (int i = 0; i < TURNS; i++) {
    const sse_stream_config config = {.channel = "a"};
    sse_stream *stream;
    if (sse_stream_open(&stream, world.hub, &config)) return arg;
    sse_stream_free(stream);
  }
  return NULL;
}

static void calls_alternate_one_at_a_time(void **state) {
  pthread_t threads[THREADS];
  (void)state;
  open_world(judge);
  inside = told = wrong = 0;
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, &world), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    void *failed;
    assert_int_equal(pthread_join(threads[i], &failed), 0);
    assert_null(failed);
  }
  assert_int_equal(wrong, 0);
  assert_int_equal(told, 0);
  world_close(&world);
}

static sse_stream *waiting;

static void wait_once(const char *channel, int present) {
  (void)channel;
  if (present) assert_int_equal(sse_stream_wait(waiting, 0), 0);
}

/* Who waits within a call, while the next is due, leaves that to the thread that makes the calls.
 */
static void a_call_may_wait(void **state) {
  (void)state;
  open_world(listen_to);
  const sse_stream_config config = {.channel = "z"};
  assert_int_equal(sse_stream_open(&waiting, world.hub, &config), SSE_OK);
  world_read(waiting);
  within = wait_once;
  sse_stream *stream = open_digit(4, NULL);
  assert_string_equal(heard, "+z+a+b");
  sse_stream_free(stream);
  sse_stream_free(waiting);
  world_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(first_and_last_are_told),
      cmocka_unit_test(an_open_that_fails_is_not_told),
      cmocka_unit_test(a_call_may_use_the_hub),
      cmocka_unit_test(what_is_undone_is_not_told),
      cmocka_unit_test(a_channel_stays_until_it_is_told),
      cmocka_unit_test(calls_alternate_one_at_a_time),
      cmocka_unit_test(a_call_may_wait),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
