/* SPDX-License-Identifier: MIT */
/* test_judge.c: the second judge: random histories, each judged by the headers and the manual. */
/*
 * Its rules are the list in rules.h, each with the sentence of the headers or the manual that it
 * comes from. It was written without a look at lib/ or at tests/sim, and must stay so: where the
 * manual leaves something open, the judge accepts each reading.
 *
 *   book.c           what was published, and what each window must still have
 *   trial.c          one stream: its events, gaps and positions
 *   trial_open.c     what an opening must lead to, and the first block
 *   trial_section.c  the state of conflated channels, and what a subscription gives first
 *   trial_end.c      limits, what must have been given when there is nothing, ends
 *   wire.c           a reader of text/event-stream
 *   body.c           a response head and chunks
 *   host.c, steps.c  the host, and what happens in a history
 *
 * JUDGE_HISTORIES and other variables choose the histories and what is printed: see verdict.h.
 * JUDGE_WITHOUT lists what histories shall do without: several (channels of one event), states,
 * subscribe, disconnect, bounds, filters, ids, ephemerals, dropping, finishing, positions_off,
 * closes, not_before, memory, heads, drains, slots.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "host.h"

static const rule_text texts[] = {RULES(RULE_TEXT)};

bool without(const char *feature) {
  return is_listed("WITHOUT", feature);
}

static void play(uint64_t which, const bool *on) {
  uint64_t seed = which * 1000003 + 7;
  unsigned count = 10 + draw_below(&seed, STEPS_MAX - 10);
  host_begin(&seed);
  for (unsigned i = 0; i < count && !found.found; i++) {
    uint64_t own = draw(&seed);
    if (on[i]) step(own);
  }
  if (!found.found) host_settle();
  host_end();
}

const judging the_judge = {.prefix = "JUDGE",
                           .histories = 5000,
                           .rules = texts,
                           .rules_count = RULE_COUNT,
                           .steps_max = STEPS_MAX,
                           .play = play};

static void test_histories(void **state) {
  (void)state;
  assert_int_equal(judge_all(), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
