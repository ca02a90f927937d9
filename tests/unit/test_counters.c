/* SPDX-License-Identifier: MIT */
/* test_counters.c: what a round counted is added and begins anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/counters.h"

static void a_round_of_a_loop(void **state) {
  struct sse__counters total = {1, 2, 3, 4, {{5}, 6}};
  struct sse__counters round = {10, 20, 30, 40, {{50, 60}, 70}};
  const struct sse__counters sum = {11, 22, 33, 44, {{55, 60}, 76}}, none = {0};
  (void)state;
  sse__counters_fold(&total, &round);
  assert_memory_equal(&total, &sum, sizeof sum);
  assert_memory_equal(&round, &none, sizeof none);
  sse__counters_fold(&total, &round);
  assert_memory_equal(&total, &sum, sizeof sum);
}

/* Whoever has no histogram yet, of the channel and its feed, is counted all the same. */
static void a_round_of_a_channel(void **state) {
  (void)state;
  for (int measured = 0; measured < 4; measured++) {
    struct sse__latency whole = {{1}, 2}, part = {{10, 20}, 30};
    struct sse__channel_counters total = {1, 2, measured & 1 ? &whole : NULL};
    struct sse__channel_counters round = {10, 20, measured & 2 ? &part : NULL};
    sse__channel_counters_fold(&total, &round);
    assert_int_equal(total.events, 11);
    assert_int_equal(total.bytes, 22);
    assert_int_equal(round.events + round.bytes, 0);
    assert_int_equal(whole.places[0], measured == 3 ? 11 : 1);
    assert_int_equal(whole.places[1], measured == 3 ? 20 : 0);
    assert_int_equal(whole.sum_ns, measured == 3 ? 32 : 2);
    assert_int_equal(part.sum_ns, measured == 3 ? 0 : 30);
  }
}

static void gaps_have_reasons(void **state) {
  (void)state;
  assert_string_equal(sse__gap_reason(SSE_GAP_SLOW), "slow");
  assert_string_equal(sse__gap_reason(SSE_GAP_EVICTED), "evicted");
  assert_string_equal(sse__gap_reason(SSE_GAP_RESTART), "restart");
  assert_string_equal(sse__gap_reason(SSE_GAP_UNKNOWN), "unknown");
  assert_string_equal(sse__gap_reason(SSE_GAP_FUTURE), "future");
  assert_string_equal(sse__gap_reason(SSE_GAP_MALFORMED), "malformed");
  assert_null(sse__gap_reason(SSE_GAP_NONE));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_round_of_a_loop),
      cmocka_unit_test(a_round_of_a_channel),
      cmocka_unit_test(gaps_have_reasons),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
