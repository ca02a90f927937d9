/* SPDX-License-Identifier: MIT */
/* test_logworld.c: random histories of several hubs that are fed from one log.
 *
 * The judge knows the log, the headers and the manual, and nothing of lib/. LOGWORLD_HISTORIES and
 * other variables choose the histories and what is printed: see verdict.h.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "site.h"

static const rule_text texts[] = {RULES(RULE_TEXT)};

static void play(uint64_t which, const bool *on) {
  uint64_t seed = which * 1000003 + 11;
  unsigned count = 20 + draw_below(&seed, STEPS_MAX - 20);
  site_begin(&seed);
  for (unsigned i = 0; i < count && !found.found; i++) {
    uint64_t own = draw(&seed);
    if (on[i]) step(own);
  }
  if (!found.found) site_settle(&seed);
  site_end();
}

const judging the_judge = {.prefix = "LOGWORLD",
                           .histories = 30000,
                           .rules = texts,
                           .rules_count = RULE_COUNT,
                           .steps_max = STEPS_MAX,
                           .play = play};

static void test_histories(void **state) {
  (void)state;
  uint64_t breaches = judge_all();
  printf("%" PRIu64 " histories:", judge_histories());
  for (unsigned i = 0; i < SEEN_COUNT; i++) {
    printf(" %s %" PRIu64 "%s", seen_text((seen)i), seen_counts[i],
           i + 1 < SEEN_COUNT ? "," : "\n");
  }
  assert_int_equal(breaches, 0);
  for (unsigned i = 0; i < SEEN_COUNT && judge_histories() >= 10000; i++)
    if (!seen_counts[i]) fail_msg("no %s", seen_text((seen)i));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
