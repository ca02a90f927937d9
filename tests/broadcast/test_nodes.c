/* SPDX-License-Identifier: MIT */
/* test_nodes.c: broadcast servers on an SQLite file: one that has to wait for it, and several. */
#include "client.h"

#include <sys/stat.h>

static char folder[] = "/tmp/broadcast-XXXXXX";
static char sub_folder[64], engine[96];

static int make_folder(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(sub_folder, sizeof sub_folder, "%s/sub", folder);
  snprintf(engine, sizeof engine, "sqlite:%s/log", sub_folder);
  return 0;
}

/* Each test begins without a file. */
static int remove_files(void **state) {
  (void)state;
  static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
  char path[128];
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    snprintf(path, sizeof path, "%s/log%s", sub_folder, ends[i]);
    unlink(path);
  }
  rmdir(sub_folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  return rmdir(folder);
}

static void require_sqlite(void) {
  char text[512];
  child_outcome("broadcast", (const char *const[]){"--version", NULL}, text, sizeof text);
  if (!strstr(text, " sqlite")) skip();
}

/* The folder of the file is not there, and then it is. */
static void a_log_that_is_away_is_waited_for(void **state) {
  (void)state;
  struct child child;
  char line[512];
  require_sqlite();
  assert_true(child_run(&child, "broadcast",
                        (const char *const[]){"--port", "0", "--engine", engine,
                                              "--wait-for-engine", "86400", NULL}));
  assert_true(read_line(child.out, line, sizeof line));
  assert_non_null(strstr(line, "; waiting for it\n"));
  assert_int_equal(mkdir(sub_folder, 0700), 0);
  assert_true(read_line(child.out, line, sizeof line));
  assert_non_null(strstr(line, "broadcast: listening on "));
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

static void the_wait_has_an_end(void **state) {
  (void)state;
  char text[1024];
  require_sqlite();
  const char *const rows[] = {"0", "0.3"};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int status = child_outcome("broadcast",
                               (const char *const[]){"--port", "0", "--engine", engine,
                                                     "--wait-for-engine", rows[i], NULL},
                               text, sizeof text);
    assert_int_equal(status, 1);
    const char *waiting = strstr(text, "; waiting for it\n");
    assert_int_equal(waiting != NULL, i == 1);
    if (waiting) assert_null(strstr(waiting + 1, "; waiting"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(a_log_that_is_away_is_waited_for, remove_files),
      cmocka_unit_test_teardown(the_wait_has_an_end, remove_files),
  };
  return cmocka_run_group_tests_name("broadcast, nodes", tests, make_folder, remove_folder);
}
