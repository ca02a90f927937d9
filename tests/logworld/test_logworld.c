/* SPDX-License-Identifier: MIT */
/* test_logworld.c: random histories of several hubs that are fed from one log.
 *
 * The judge knows the log, the headers and the manual, and nothing of lib/. A history that breaks a
 * rule is repeated with fewer steps, and told.
 *
 *   LOGWORLD_HISTORIES  how many histories
 *   LOGWORLD_FIRST      where their seeds begin
 *   LOGWORLD_SKIP       breaches of these rules count for nothing (LAG,STATE)
 *   LOGWORLD_TELL       1: every history is told while it runs, for one that crashes
 *   LOGWORLD_REPORTS    how many breaches are told, at most one for each rule; default 1
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "site.h"

/* Runs the steps of a history that are on. */
static bool run(uint64_t which, const bool *on) {
  uint64_t seed = which * 1000003 + 11;
  unsigned count = 20 + draw_below(&seed, STEPS_MAX - 20);
  memset(&found, 0, sizeof found);
  site_begin(&seed);
  for (unsigned i = 0; i < count && !found.found; i++) {
    uint64_t own = draw(&seed);
    if (on[i]) step(own);
  }
  if (!found.found) site_settle(&seed);
  site_end();
  return found.found;
}

/* Leaves out steps while the same rule is broken. */
static void shrink(uint64_t which, bool *on) {
  rule broken = found.broken;
  bool smaller = true;
  while (smaller) {
    smaller = false;
    for (unsigned size = STEPS_MAX / 2; size; size /= 2) {
      for (unsigned at = 0; at < STEPS_MAX; at += size) {
        bool kept[STEPS_MAX], any = false;
        memcpy(kept, on, sizeof kept);
        for (unsigned i = at; i < at + size && i < STEPS_MAX; i++)
          any = any || on[i], on[i] = false;
        if (!any) continue;
        if (run(which, on) && found.broken == broken)
          smaller = true;
        else
          memcpy(on, kept, sizeof kept);
      }
    }
  }
}

static void report(uint64_t which) {
  bool on[STEPS_MAX];
  memset(on, true, sizeof on);
  run(which, on);
  shrink(which, on);
  printf("\n=== history %" PRIu64 "\n", which);
  telling = true;
  run(which, on);
  telling = false;
  printf("=== history %" PRIu64 " breaks %s: %s\n    %s\n", which, rule_name(found.broken),
         found.what, rule_sentence(found.broken));
}

static uint64_t setting(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void test_histories(void **state) {
  uint64_t first = setting("LOGWORLD_FIRST", 1), count = setting("LOGWORLD_HISTORIES", 30000);
  uint64_t most = setting("LOGWORLD_REPORTS", 1), breaches = 0;
  unsigned by_rule[RULE_COUNT] = {0};
  bool on[STEPS_MAX];
  (void)state;
  memset(on, true, sizeof on);
  telling = setting("LOGWORLD_TELL", 0);
  for (uint64_t i = first; i < first + count; i++) {
    if (!run(i, on)) continue;
    breaches++;
    if (by_rule[found.broken]++ || !most) continue;
    most--;
    report(i);
  }
  printf("%" PRIu64 " histories:", count);
  for (unsigned i = 0; i < SEEN_COUNT; i++) {
    printf(" %s %" PRIu64 "%s", seen_text((seen)i), seen_counts[i],
           i + 1 < SEEN_COUNT ? "," : "\n");
  }
  for (unsigned r = 0; r < RULE_COUNT; r++)
    if (by_rule[r]) printf("%s: %u histories\n", rule_name((rule)r), by_rule[r]);
  assert_int_equal(breaches, 0);
  for (unsigned i = 0; i < SEEN_COUNT && count >= 10000; i++)
    if (!seen_counts[i]) fail_msg("no %s", seen_text((seen)i));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
