/* SPDX-License-Identifier: MIT */
/* test_store.c: the dice-roll program with a store, stopped and started, from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common.h"
#include "peer.h"

enum {
  TEXT_MAX = 65536,
  RESTARTS = 5
};

static char text[TEXT_MAX];

static void start(struct child *child, const char *port, const char *file) {
  assert_true(child_run(
      child, "dice-roll",
      (const char *const[]){"--port", port, "--interval", "0.01", "--store", file, NULL}));
  assert_true(read_line(child->out, text, sizeof text));
  if (sscanf(text, "dice-roll: listening on http://127.0.0.1:%d/\n", &child->port) != 1)
    fail_msg("dice-roll said \"%s\"", text);
}

/* The numbers of a stream have no hole, over all restarts, and there is no gap event. */
static void hear_rolls(struct listener *listener, int count, unsigned long long *last) {
  for (int i = 0; i < count; i++) {
    assert_true(hear_event(listener));
    assert_string_equal(listener->type, "message");
    if (*last > 0) assert_int_equal(listener->seq, *last + 1);
    *last = listener->seq;
  }
}

static void check_restarts(int signal) {
  struct child child;
  const char *file = fresh_file();
  char id[64] = "", port[8] = "0";
  unsigned long long last = 0;
  for (int i = 0; i <= RESTARTS; i++) {
    struct listener listener;
    start(&child, port, file);
    snprintf(port, sizeof port, "%d", child.port);
    assert_true(listener_open(&listener, child.port, *id ? id : NULL, TEXT_MAX));
    hear_rolls(&listener, 10, &last);
    snprintf(id, sizeof id, "%s", listener.id);
    listener_close(&listener);
    assert_int_equal(child_stop(&child, signal), signal == SIGTERM ? 0 : -1);
  }
}

static void a_page_goes_on_after_a_restart(void **state) {
  (void)state;
  check_restarts(SIGTERM);
}

static void a_page_goes_on_after_a_crash(void **state) {
  (void)state;
  check_restarts(SIGKILL);
}

static void a_file_that_is_no_store_is_one_line(void **state) {
  (void)state;
  const char *file = fresh_file();
  FILE *out = fopen(file, "w");
  assert_non_null(out);
  fputs("This is no database, and longer than the header of one would be. It goes on and on.", out);
  fputs("This is no database, and longer than the header of one would be. It goes on and on.", out);
  fclose(out);
  assert_int_equal(
      child_outcome("dice-roll", (const char *const[]){"--store", file, NULL}, text, sizeof text),
      1);
  assert_non_null(strstr(text, "dice-roll: "));
  assert_non_null(strstr(text, ": cannot read the file: file is not a database\n"));
  assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_page_goes_on_after_a_restart),
      cmocka_unit_test(a_page_goes_on_after_a_crash),
      cmocka_unit_test(a_file_that_is_no_store_is_one_line),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  remove_files();
  return failed;
}
