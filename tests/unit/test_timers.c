/* SPDX-License-Identifier: MIT */
/* test_timers.c: the heap of timers against a plain list. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/timers.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
  TIMERS = 200,
  STEPS = 20000
};

/* Every timer, in the heap or not. */
struct model {
  struct world random;
  struct sse__mem mem;
  struct sse__timers timers;
  struct sse__timer all[TIMERS];
  bool in[TIMERS];
};

static int64_t model_due(const struct model *model) {
  int64_t due = SSE__NEVER_MS;
  for (size_t i = 0; i < TIMERS; i++) {
    if (model->in[i] && model->all[i].due_ms < due) due = model->all[i].due_ms;
  }
  return due;
}

/* Few different times, so that many are equal; now and then never. */
static int64_t some_time(struct model *model) {
  uint64_t time = world_random(&model->random, 50);
  return time == 0 ? SSE__NEVER_MS : (int64_t)time;
}

static void check(const struct model *model) {
  const struct sse__timer *first = sse__timers_first(&model->timers);
  assert_int_equal(sse__timers_due(&model->timers), model_due(model));
  size_t count = 0;
  for (size_t i = 0; i < TIMERS; i++) {
    if (!model->in[i]) continue;
    count++;
    assert_true(model->all[i].index < model->timers.count);
    assert_ptr_equal(model->timers.heap[model->all[i].index], &model->all[i]);
  }
  assert_int_equal(model->timers.count, count);
  if (count == 0) {
    assert_null(first);
  } else {
    assert_int_equal(first->due_ms, model_due(model));
    assert_true(model->in[first - model->all]);
  }
}

static void step(struct model *model) {
  size_t i = (size_t)world_random(&model->random, TIMERS);
  if (!model->in[i]) {
    assert_int_equal(sse__timers_reserve(&model->timers, &model->mem), SSE_OK);
    sse__timers_add(&model->timers, &model->all[i], some_time(model));
    model->in[i] = true;
  } else if (world_random(&model->random, 2)) {
    int64_t due = some_time(model);
    sse__timers_set(&model->timers, &model->all[i], due);
    assert_int_equal(model->all[i].due_ms, due);
  } else {
    sse__timers_remove(&model->timers, &model->all[i]);
    model->in[i] = false;
  }
}

static void any_order_of_operations(void **state) {
  static struct model model;
  (void)state;
  model = (struct model){.random = {.seed = 1}, .mem = sse__mem(world_alloc, NULL)};
  check(&model);
  for (int i = 0; i < STEPS; i++) {
    step(&model);
    check(&model);
  }
  int64_t last = INT64_MIN;
  while (model.timers.count > 0) {
    struct sse__timer *first = sse__timers_first(&model.timers);
    assert_true(first->due_ms >= last);
    last = first->due_ms;
    sse__timers_remove(&model.timers, first);
    model.in[first - model.all] = false;
    check(&model);
  }
  sse__timers_free(&model.timers, &model.mem);
  assert_int_equal(world_blocks(), 0);
}

/* The times of all are changed at once, behind the heap's back. */
static void all_are_put_in_order(void **state) {
  static struct model model;
  (void)state;
  model = (struct model){.random = {.seed = 2}, .mem = sse__mem(world_alloc, NULL)};
  for (int round = 0; round < 200; round++) {
    for (int i = 0; i < 10; i++) step(&model);
    for (size_t i = 0; i < TIMERS; i++) model.all[i].due_ms = some_time(&model);
    sse__timers_order(&model.timers);
    check(&model);
    for (uint32_t i = 1; i < model.timers.count; i++) {
      assert_true(model.timers.heap[(i - 1) / 2]->due_ms <= model.timers.heap[i]->due_ms);
    }
  }
  sse__timers_free(&model.timers, &model.mem);
}

static void without_memory_nothing_changes(void **state) {
  const struct sse__mem mem = sse__mem(world_alloc, NULL);
  struct sse__timers timers = {0};
  struct sse__timer timer[64] = {{0}};
  uint32_t count = 0;
  (void)state;
  world_fail(1, true);
  assert_int_equal(sse__timers_reserve(&timers, &mem), SSE_ENOMEM);
  assert_int_equal(timers.cap, 0);
  world_fail(0, false);
  for (; count < COUNT(timer); count++) {
    assert_int_equal(sse__timers_reserve(&timers, &mem), SSE_OK);
    sse__timers_add(&timers, &timer[count], 100 - count);
    if (timers.count < timers.cap) continue;
    world_fail(1, true);
    assert_int_equal(sse__timers_reserve(&timers, &mem), SSE_ENOMEM);
    world_fail(0, false);
    assert_int_equal(timers.count, count + 1);
    assert_ptr_equal(sse__timers_first(&timers), &timer[count]);
  }
  /* There is room where reserve said so, without asking for memory. */
  sse__timers_remove(&timers, &timer[0]);
  world_fail(1, true);
  assert_int_equal(sse__timers_reserve(&timers, &mem), SSE_OK);
  world_fail(0, false);
  sse__timers_free(&timers, &mem);
  assert_int_equal(timers.count, 0);
  assert_int_equal(world_blocks(), 0);
}

static void a_full_table_is_refused(void **state) {
  const struct sse__mem mem = sse__mem(world_alloc, NULL);
  struct sse__timers timers = {.count = UINT32_MAX - 1, .cap = UINT32_MAX - 1};
  size_t calls = world_calls();
  (void)state;
  assert_int_equal(sse__timers_reserve(&timers, &mem), SSE_ENOMEM);
  assert_int_equal(world_calls(), calls);
}

static const struct {
  const char *name;
  int64_t due_ms, now_ms;
  int sleep_ms;
} sleeps[] = {
    {"never", SSE__NEVER_MS, 5, -1},
    {"long ago", 0, 5, 0},
    {"now", 5, 5, 0},
    {"in a millisecond", 6, 5, 1},
    {"the longest", (int64_t)INT_MAX + 5, 5, INT_MAX},
    {"longer than that", (int64_t)INT_MAX + 6, 5, INT_MAX},
    {"nearly never", SSE__NEVER_MS - 1, 5, INT_MAX},
};

static void sleeps_are_as_poll_takes_them(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(sleeps); i++) {
    int sleep_ms = sse__timers_sleep(sleeps[i].due_ms, sleeps[i].now_ms);
    if (sleep_ms != sleeps[i].sleep_ms) fail_msg("%s: %d", sleeps[i].name, sleep_ms);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_order_of_operations),        cmocka_unit_test(all_are_put_in_order),
      cmocka_unit_test(without_memory_nothing_changes), cmocka_unit_test(a_full_table_is_refused),
      cmocka_unit_test(sleeps_are_as_poll_takes_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
