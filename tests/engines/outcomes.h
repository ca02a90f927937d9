/* SPDX-License-Identifier: MIT */
/* outcomes.h: what the tests of engines whose log is in a server share. It comes after cmocka.h. */
#ifndef TESTS_ENGINES_OUTCOMES_H
#define TESTS_ENGINES_OUTCOMES_H

#include <stdatomic.h>

#include "follow.h"

/* Counts outcomes: [0] failures, [1] successes. */
static inline void count_outcome(void *arg, int error, const char *id) {
  atomic_uint *counts = arg;
  (void)id;
  counts[error == 0]++;
}

static inline void submit(struct engine *engine, const char *text, atomic_uint *outcomes) {
  int error =
      engine_submit(engine, NAMES("a"), &(sse_event){.text = text}, count_outcome, outcomes);
  if (error) fail_msg("submit: %s", engine_error_text(error));
}

static inline void await_outcomes(atomic_uint *outcomes, unsigned count) {
  unsigned moments = 0;
  while (outcomes[0] + outcomes[1] < count) assert_true(patience(&moments));
}

static inline void await_failing(struct engine *engine, int failing) {
  unsigned moments = 0;
  while (status_of(engine).failing != failing) assert_true(patience(&moments));
}

static inline void await_problem(struct engine *engine, const char *says) {
  unsigned moments = 0;
  while (!strstr(status_of(engine).problem, says)) assert_true(patience(&moments));
}

#endif
