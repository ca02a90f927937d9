/* SPDX-License-Identifier: MIT */
/* test_disconnect.c: disconnecting and draining in parts, while streams, loops and channels come and
 * go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
  OLD = 40,  /* streams that were opened before the call */
  NEW = 200, /* those that are opened between its parts, and the channels of these */
  LOOPS = 3,
  RUNS = 300
};

static struct world world;
static sse_loop *loops[LOOPS];
static sse_stream *old[OLD], *new[NEW];
static size_t opened; /* of the new ones */
static bool disturbs; /* what wakes disturb is the call */

static int wake(void *arg, unsigned why);

/* Of one or two channels, of a loop or standalone, with a tag or without one. */
static sse_stream *open_one(bool tagged, bool is_new) {
  char first[16], second[16];
  const char *channels[] = {first, world_random(&world, 2) ? second : NULL, NULL};
  size_t loop = (size_t)world_random(&world, LOOPS + 1);
  sse_stream *stream;
  snprintf(first, sizeof first, "c%d", is_new ? (int)opened : (int)world_random(&world, 4));
  snprintf(second, sizeof second, "d%d", (int)world_random(&world, 4));
  const sse_stream_config config = {.channels = channels,
                                    .tag = tagged ? "t" : NULL,
                                    .loop = loop < LOOPS ? loops[loop] : NULL,
                                    .wake = loop < LOOPS ? NULL : wake};
  int error = sse_stream_open(&stream, world.hub, &config);
  if (error != SSE_EDRAINED) assert_int_equal(error, SSE_OK);
  return error ? NULL : stream;
}

/* A stream whose wake is under way is not freed; it is one that ended. */
static void free_one(size_t i) {
  struct iovec iov;
  if (!old[i] || sse_stream_peek(old[i], &iov, 1) < 0) return;
  sse_stream_free(old[i]);
  old[i] = NULL;
}

static int wake(void *arg, unsigned why) {
  (void)arg;
  (void)why;
  if (!disturbs) return 0;
  for (int i = 0; i < 2; i++) free_one((size_t)world_random(&world, OLD));
  for (int i = 0; i < 4 && opened < NEW; i++) {
    new[opened] = open_one(world_random(&world, 2), true);
    opened++;
  }
  return 0;
}

static void open_all(unsigned seed, bool tagged) {
  world = (struct world){.hub = NULL};
  world_open(&world, NULL);
  world.seed = seed;
  world.hub->part_max = 1 + seed % 3;
  opened = 0;
  disturbs = false;
  for (size_t i = 0; i < LOOPS; i++) {
    assert_int_equal(sse_loop_new(&loops[i], world.hub, &(const sse_loop_config){.wake = wake}),
                     SSE_OK);
  }
  for (size_t i = 0; i < OLD; i++) old[i] = open_one(tagged || world_random(&world, 2), false);
}

static void close_all(void) {
  for (size_t i = 0; i < OLD; i++) sse_stream_free(old[i]);
  for (size_t i = 0; i < opened; i++) sse_stream_free(new[i]);
  for (size_t i = 0; i < LOOPS; i++) assert_int_equal(sse_loop_free(loops[i]), SSE_OK);
  world_close(&world);
}

/* What was opened before the call and is there after it has ended, and the result counts it. */
static void disconnect(const char *tag) {
  struct iovec iov;
  int count = 0;
  disturbs = true;
  int result = sse_hub_disconnect(world.hub, tag);
  disturbs = false;
  for (size_t i = 0; i < OLD; i++) {
    if (!old[i]) continue;
    assert_int_equal(sse_stream_peek(old[i], &iov, 1), SSE_EDISCONNECTED);
    count++;
  }
  for (size_t i = 0; i < opened; i++) count += sse_stream_peek(new[i], &iov, 1) < 0;
  assert_int_equal(result, count);
  assert_null(world.hub->tags.walks);
  assert_null(world.hub->standalones.walks);
}

static void all_streams_with_a_tag(void **state) {
  (void)state;
  for (unsigned seed = 0; seed < RUNS; seed++) {
    open_all(seed, true);
    disconnect("t");
    close_all();
  }
}

static void all_streams_of_a_hub(void **state) {
  (void)state;
  for (unsigned seed = 0; seed < RUNS; seed++) {
    open_all(seed, false);
    disconnect(NULL);
    close_all();
  }
}

/* Standalone streams, whose wakes come only when their times do. */
static void all_standalone_streams_drain(void **state) {
  struct iovec iov;
  (void)state;
  for (unsigned seed = 0; seed < RUNS; seed++) {
    open_all(seed, false);
    disturbs = true;
    assert_int_equal(sse_hub_drain(world.hub, 100), SSE_OK);
    disturbs = false;
    assert_null(world.hub->standalones.walks);
    world.now_ms += 101;
    while (sse_hub_tick(world.hub) == 0) continue;
    for (size_t i = 0; i < LOOPS; i++) {
      while (sse_loop_next(loops[i])) continue;
    }
    for (size_t i = 0; i < OLD; i++) {
      if (!old[i]) continue;
      while (sse_stream_peek(old[i], &iov, 1) > 0) sse_stream_consume(old[i], iov.iov_len);
      assert_int_equal(sse_stream_peek(old[i], &iov, 1), SSE_EDRAINED);
    }
    close_all();
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_streams_with_a_tag),
      cmocka_unit_test(all_streams_of_a_hub),
      cmocka_unit_test(all_standalone_streams_drain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
