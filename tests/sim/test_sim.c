/* SPDX-License-Identifier: MIT */
/* test_sim.c: random histories of a hub and its clients, each judged as a whole.
 *
 * SSE_HISTORIES=n sets how many run, SSE_FIRST=n where their seeds begin. One that fails is
 * repeated with fewer steps, and told. SSE_SEED=n does that with one history.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim.h"

#define HISTORIES 10000

static struct sim sim;

static uint64_t setting(const char *name, uint64_t otherwise) {
  const char *value = getenv(name);
  return value ? strtoull(value, NULL, 10) : otherwise;
}

static void test_histories(void **state) {
  static const struct sim_plan plan = {.mix = sim_mix};
  static const char *const kinds[SEEN_KINDS] = {"events",         "events of histories",
                                                "gaps",           "positions",
                                                "resumed",        "evicted",
                                                "foreign",        "in loops",
                                                "alone",          "several",
                                                "shared",         "ephemeral",
                                                "superseded",     "own ids",
                                                "full",           "detached",
                                                "configured",     "forgotten",
                                                "joined",         "left",
                                                "kicked",         "dismissed",
                                                "listed",         "lags",
                                                "drained",        "finished",
                                                "slow",           "gone",
                                                "without memory", "writes",
                                                "closed",         "hoarded",
                                                "waited"};
  uint64_t seen[SEEN_KINDS] = {0};
  uint64_t only = setting("SSE_SEED", 0), first = setting("SSE_FIRST", 1);
  uint64_t count = only ? 1 : setting("SSE_HISTORIES", HISTORIES);
  (void)state;
  if (only) first = only;
  for (uint64_t n = first; n < first + count; n++) {
    if (!sim_run(&sim, n, &plan)) {
      sim_shrink(&sim, n, &plan);
      fail_msg("history %" PRIu64, n);
    }
    for (unsigned i = 0; i < SEEN_KINDS; i++) seen[i] += sim.seen[i];
  }
  print_message("%" PRIu64 " histories:", count);
  for (unsigned i = 0; i < SEEN_KINDS; i++) {
    print_message(" %s %" PRIu64 "%s", kinds[i], seen[i], i + 1 < SEEN_KINDS ? "," : "\n");
    if (count >= HISTORIES && seen[i] == 0) fail_msg("no %s", kinds[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
