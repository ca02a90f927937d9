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
 * JUDGE_FIRST      the first history, 1
 * JUDGE_HISTORIES  how many, 5,000
 * JUDGE_REPORTS    how many breaches are printed, one of each rule, 1
 * JUDGE_SKIP       rules whose breach ends a history silently, with commas between them
 * JUDGE_WITHOUT    what histories shall do without: several (channels of one event), states,
 *                  subscribe, disconnect, bounds, filters, ids, ephemerals, dropping, finishing,
 *                  positions_off, closes, not_before, memory, heads,
 *                  drains, slots
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host.h"

static unsigned steps_of(uint64_t seed) {
  return 10 + draw_below(&seed, STEPS_MAX - 10);
}

/* Runs the steps of a history that are on. */
static bool run(uint64_t history, const bool *on) {
  uint64_t seed = history * 1000003 + 7;
  unsigned count = steps_of(seed);
  memset(&found, 0, sizeof found);
  host_begin(&seed);
  for (unsigned i = 0; i < count && !found.found; i++) {
    uint64_t own = draw(&seed);
    if (on[i]) step(own);
  }
  if (!found.found) host_settle();
  host_end();
  return found.found && !found.skipped;
}

/* Leaves out steps while the same rule is broken. */
static void shrink(uint64_t history, bool *on) {
  rule broken = found.broken;
  bool smaller = true;
  while (smaller) {
    smaller = false;
    for (unsigned size = STEPS_MAX / 2; size; size /= 2) {
      for (unsigned at = 0; at < STEPS_MAX; at += size) {
        bool kept[STEPS_MAX];
        bool any = false;
        memcpy(kept, on, sizeof kept);
        for (unsigned i = at; i < at + size && i < STEPS_MAX; i++)
          any = any || on[i], on[i] = false;
        if (!any) continue;
        if (run(history, on) && found.broken == broken)
          smaller = true;
        else
          memcpy(on, kept, sizeof kept);
      }
    }
  }
}

static void report(uint64_t history) {
  bool on[STEPS_MAX];
  memset(on, true, sizeof on);
  run(history, on);
  shrink(history, on);
  printf("\n=== history %llu\n", (unsigned long long)history);
  telling = true;
  run(history, on);
  telling = false;
  printf("=== history %llu breaks %s: %s\n    %s\n", (unsigned long long)history,
         rule_name(found.broken), found.what, rule_sentence(found.broken));
}

static uint64_t from_environment(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void test_histories(void **state) {
  uint64_t begin = from_environment("JUDGE_FIRST", 1);
  uint64_t count = from_environment("JUDGE_HISTORIES", 5000);
  uint64_t most = from_environment("JUDGE_REPORTS", 1), breaches = 0;
  bool reported[RULE_COUNT] = {false}, on[STEPS_MAX];
  unsigned by_rule[RULE_COUNT] = {0};
  (void)state;
  memset(on, true, sizeof on);
  for (uint64_t i = begin; i < begin + count; i++) {
    if (!run(i, on)) continue;
    breaches++;
    by_rule[found.broken]++;
    if (reported[found.broken] || !most) continue;
    reported[found.broken] = true;
    most--;
    report(i);
  }
  for (unsigned r = 0; r < RULE_COUNT; r++)
    if (by_rule[r]) printf("%s: %u histories\n", rule_name((rule)r), by_rule[r]);
  assert_int_equal(breaches, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
