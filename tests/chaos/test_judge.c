/* SPDX-License-Identifier: MIT */
/* test_judge.c: what is broken on purpose, in a run without other faults, is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../demo/peer.h"

struct row {
  const char *what; /* for --break */
  int status;
  const char *rule; /* that has to be breached */
};

static const struct row rows[] = {
    {"nothing", 0, NULL},    {"drop", 1, " x ORDER"},   {"drop", 1, " x LOST"},
    {"swap", 1, " x ORDER"}, {"repeat", 1, " x TWICE"}, {"gap", 1, " x EPOCH"},
    {"lie", 1, " x LOST"},
};

static void judge_notices(void **state) {
  const struct row *row = *state;
  const char *build = getenv("SSE_BUILD");
  char program[4096], line[1024], all[16384] = "";
  struct child child;
  size_t len = 0;
  snprintf(program, sizeof program, "%s/tests/chaos/chaos", build ? build : "build");
  assert_true(child_exec(&child, program,
                         (const char *const[]){"--engine", "memory", "--seconds", "4", "--clients",
                                               "40", "--seed", "7", "--break", row->what, NULL}));
  while (read_line(child.out, line, sizeof line)) {
    int put = snprintf(all + len, sizeof all - len, "%s", line);
    if (put > 0 && (size_t)put < sizeof all - len) len += (size_t)put;
  }
  int status = child_wait(&child);
  if (status != row->status || (row->rule && !strstr(all, row->rule)))
    fail_msg("--break %s: status %d, and not \"%s\":\n%s", row->what, status,
             row->rule ? row->rule : "passed", all);
}

int main(void) {
  enum {
    COUNT = sizeof rows / sizeof *rows
  };
  struct CMUnitTest tests[COUNT];
  for (int i = 0; i < COUNT; i++)
    tests[i] = (struct CMUnitTest){.name = rows[i].what,
                                   .test_func = judge_notices,
                                   .initial_state = (void *)(uintptr_t)&rows[i]};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
