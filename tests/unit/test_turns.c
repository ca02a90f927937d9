/* SPDX-License-Identifier: MIT */
/* test_turns.c: turns come in the order of their numbers, whatever is raised or dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hub/turns.h"
#include "world.h"

enum {
  TURNS_MAX = 40,
  STEPS = 20000
};

static void assert_order(const struct sse__turn *turns, uint32_t count) {
  uint64_t second = UINT64_MAX;
  for (uint32_t i = 1; i < count; i++) {
    bool later = turns[i].seq > turns[0].seq ||
                 (turns[i].seq == turns[0].seq && turns[i].place > turns[0].place);
    assert_true(later);
    if (turns[i].seq < second) second = turns[i].seq;
  }
  assert_true(sse__turns_second(turns, count) == second);
}

/* Few different numbers, so that many are equal. */
static void in_any_order(void **state) {
  struct world random = {.seed = 5};
  struct sse__turn turns[TURNS_MAX];
  uint32_t count = 0;
  (void)state;
  for (int step = 0; step < STEPS; step++) {
    if (count == 0) {
      count = (uint32_t)world_random(&random, TURNS_MAX) + 1;
      for (uint32_t i = 0; i < count; i++)
        turns[i] = (struct sse__turn){world_random(&random, 30), i};
      sse__turns_sort(turns, count);
    } else if (world_random(&random, 4) == 0) {
      uint32_t left = sse__turns_drop(turns, count);
      assert_int_equal(left, count - 1);
      count = left;
    } else {
      turns[0].seq += world_random(&random, 10);
      sse__turns_settle(turns, count);
    }
    if (count > 0) assert_order(turns, count);
  }
}

static void none_is_second(void **state) {
  const struct sse__turn turns[] = {{7, 0}, {8, 1}};
  (void)state;
  assert_true(sse__turns_second(turns, 0) == UINT64_MAX);
  assert_true(sse__turns_second(turns, 1) == UINT64_MAX);
  assert_true(sse__turns_second(turns, 2) == 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(in_any_order),
                                     cmocka_unit_test(none_is_second)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
