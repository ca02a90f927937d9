/* SPDX-License-Identifier: MIT */
/* test_dirty.c: the dirty feeds of a loop come in the order of their numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/dirty.h"
#include "world.h"

enum {
  FEEDS = 1000,
  STEPS = 20000
};

static struct sse__loop_feed feeds[FEEDS];

static void set_all(void) {
  memset(feeds, 0, sizeof feeds);
}

static size_t depth_right(const struct sse__loop_feed *feed) {
  size_t depth = 0;
  for (; feed; feed = feed->dirty_right) depth++;
  return depth;
}

static uint64_t lowest_key(void) {
  uint64_t lowest = UINT64_MAX;
  for (size_t i = 0; i < FEEDS; i++) {
    if (feeds[i].dirty && feeds[i].dirty_key < lowest) lowest = feeds[i].dirty_key;
  }
  return lowest;
}

static void a_finish_lies_between_two_events(void **state) {
  (void)state;
  assert_true(sse__dirty_event(7) < sse__dirty_finish(7));
  assert_true(sse__dirty_finish(7) < sse__dirty_event(8));
  assert_int_equal(sse__dirty_number(sse__dirty_event(7)), 7);
  assert_int_equal(sse__dirty_number(sse__dirty_finish(7)), 7);
}

/* The order in which publishes add them. */
static void ascending(void **state) {
  struct sse__inbox inbox = {.dirty_list = NULL};
  (void)state;
  set_all();
  for (size_t i = 0; i < FEEDS; i++) {
    sse__dirty_add(&inbox, &feeds[i], sse__dirty_event(i + 1));
    assert_ptr_equal(sse__dirty_first(&inbox), &feeds[0]);
    assert_true(depth_right(inbox.dirty_heap) <= 10);
  }
  for (size_t i = 0; i < FEEDS; i++) {
    assert_ptr_equal(sse__dirty_take(&inbox), &feeds[i]);
    assert_false(feeds[i].dirty);
    assert_true(depth_right(inbox.dirty_heap) <= 10);
  }
  assert_null(sse__dirty_first(&inbox));
}

static void in_any_order(void **state) {
  struct sse__inbox inbox = {.dirty_list = NULL};
  struct world random = {.seed = 3};
  size_t count = 0;
  (void)state;
  set_all();
  for (int step = 0; step < STEPS; step++) {
    struct sse__loop_feed *feed = &feeds[world_random(&random, FEEDS)];
    if (!feed->dirty) {
      sse__dirty_add(&inbox, feed, world_random(&random, 5000));
      count++;
    } else {
      uint64_t lowest = lowest_key();
      assert_true(sse__dirty_take(&inbox)->dirty_key == lowest);
      count--;
    }
    assert_true(depth_right(inbox.dirty_heap) <= 10);
  }
  for (uint64_t last = 0; count > 0; count--) {
    const struct sse__loop_feed *feed = sse__dirty_take(&inbox);
    assert_true(feed->dirty_key >= last);
    last = feed->dirty_key;
  }
  assert_null(sse__dirty_first(&inbox));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_finish_lies_between_two_events),
      cmocka_unit_test(ascending),
      cmocka_unit_test(in_any_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
