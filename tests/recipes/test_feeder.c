/* SPDX-License-Identifier: MIT */
/* test_feeder.c: the program of sse-log(7) keeps ids exact over processes, restarts and losses. */
#include <sqlite3.h>

#include "page.h"

static char dir[64], path[80];
static sqlite3 *db;

/* ---- The log ---- */

static void sql(const char *text) {
  char *problem = NULL;
  if (sqlite3_exec(db, text, NULL, NULL, &problem) != SQLITE_OK)
    fail_msg("%s: %s", text, problem);
}

static int set_up(void **state) {
  (void)state;
  snprintf(dir, sizeof dir, "/tmp/sse-feeder-XXXXXX");
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/log.db", dir);
  start("feeder", path);
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_busy_timeout(db, PATIENCE_MS), SQLITE_OK);
  return 0;
}

static int clean_up(void **state) {
  static const char *const endings[] = {"", "-wal", "-shm"};
  char file[96];
  int result = tear_down(state);
  sqlite3_close(db);
  for (int i = 0; i < 3; i++) {
    snprintf(file, sizeof file, "%s%s", path, endings[i]);
    unlink(file);
  }
  return rmdir(dir) || result;
}

static void append_at(int port, const char *text) {
  assert_int_equal(
      request_to(port, "POST /append?channel=news", "", text, NULL, 0),
      200);
}

/* ---- Pages ---- */

static void open_page(struct listener *page, int port,
                      const char *last_id) {
  open_at(page, port, "/stream?channel=news", last_id);
}

static void expect_number(struct listener *page, const char *data,
                          unsigned long long number) {
  expect(page, "message", data);
  assert_int_equal(page->seq, number);
}

/* A gap of an open stream. */
static void expect_gap(struct listener *page, const char *reason) {
  char wanted[64];
  assert_true(hear_event(page));
  assert_string_equal(page->type, "gap");
  snprintf(wanted, sizeof wanted,
           "{\"reason\":\"%s\",\"resume\":", reason);
  assert_non_null(strstr(page->data, wanted)); /* nothing was requested */
  assert_null(strstr(page->data, "\"lost\""));
}

/* ---- Tests ---- */

/* It comes with the id of an entry that the other has perhaps not read. */
static void a_client_moves_between_processes(void **state) {
  enum {
    MOVES = 60
  };
  struct listener page;
  char text[16], id[64];
  (void)state;
  start_child(&second, "feeder", path);
  const int ports[] = {child.port, second.port};
  open_page(&page, ports[0], NULL);
  for (int i = 0; i < MOVES; i++) {
    snprintf(text, sizeof text, "text %d", i);
    append_at(ports[i / 2 % 2], text);
    expect_number(&page, text, (unsigned long long)i + 1);
    snprintf(id, sizeof id, "%s", page.id);
    listener_close(&page);
    open_page(&page, ports[(i + 1) % 2], id);
  }
  listener_close(&page);
}

static void a_restart_is_no_gap(void **state) {
  struct listener page;
  char id[64];
  (void)state;
  open_page(&page, child.port, NULL);
  append_at(child.port, "one");
  append_at(child.port, "two");
  expect_number(&page, "one", 1);
  snprintf(id, sizeof id, "%s", page.id);
  listener_close(&page);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
  sql("INSERT INTO log (channel, text) VALUES ('news', 'three')");
  start("feeder", path);
  open_page(&page, child.port, id);
  expect_number(&page, "two", 2);
  expect_number(&page, "three", 3);
  listener_close(&page);
  open_page(&page, child.port, NULL); /* without an id: what is new */
  append_at(child.port, "four");
  expect_number(&page, "four", 4);
  listener_close(&page);
}

/* The program loads the newest 1,000 entries. */
static void what_was_not_loaded_is_a_gap(void **state) {
  struct listener page;
  char id[64];
  (void)state;
  append_at(child.port, "one");
  open_page(&page, child.port, NULL);
  append_at(child.port, "two");
  assert_true(hear_event(&page));
  snprintf(id, sizeof id, "%s", page.id);
  listener_close(&page);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
  sql("WITH RECURSIVE n(n) AS (SELECT 3 UNION ALL SELECT n + 1 FROM n"
      " WHERE n < 1010)"
      "INSERT INTO log (channel, text) SELECT 'news', 'more' FROM n");
  start("feeder", path);
  open_page(&page, child.port, id);
  assert_true(hear_event(&page));
  assert_string_equal(page.type, "gap");
  assert_non_null(strstr(page.data, "{\"reason\":\"evicted\""));
  assert_non_null(strstr(page.data, id)); /* it was requested */
  for (unsigned long long n = 11; n <= 1010; n++)
    expect_number(&page, "more", n);
  listener_close(&page);
}

static void entries_that_were_trimmed_are_a_gap(void **state) {
  struct listener page;
  (void)state;
  open_page(&page, child.port, NULL);
  append_at(child.port, "one");
  expect_number(&page, "one", 1);
  assert_int_equal(kill(child.pid, SIGSTOP), 0);
  sql("BEGIN IMMEDIATE;"
      "INSERT INTO log (channel, text) VALUES ('news', 'two'),"
      " ('news', 'three'), ('news', 'four');"
      "DELETE FROM log WHERE number <= 3;"
      "UPDATE history SET trimmed = 3;"
      "COMMIT");
  assert_int_equal(kill(child.pid, SIGCONT), 0);
  expect_gap(&page, "evicted");
  expect_number(&page, "four", 4);
  listener_close(&page);
}

static void a_lost_tail_is_a_new_history(void **state) {
  struct listener page;
  char epoch[64];
  (void)state;
  open_page(&page, child.port, NULL);
  append_at(child.port, "one");
  append_at(child.port, "lost");
  expect_number(&page, "one", 1);
  expect_number(&page, "lost", 2);
  snprintf(epoch, sizeof epoch, "%.*s", (int)strcspn(page.id, "."),
           page.id);
  assert_int_equal(kill(child.pid, SIGSTOP), 0);
  sql("BEGIN IMMEDIATE;"
      "DELETE FROM log WHERE number = 2;"
      "UPDATE sqlite_sequence SET seq = 1;"
      "INSERT INTO log (channel, text) VALUES ('news', 'other'),"
      " ('news', 'more');"
      "COMMIT");
  assert_int_equal(kill(child.pid, SIGCONT), 0);
  expect_gap(&page, "restart");
  assert_true(strncmp(page.id, epoch, strlen(epoch)) != 0);
  expect_number(&page, "one", 1); /* the new history is given whole */
  expect_number(&page, "other", 2);
  expect_number(&page, "more", 3);
  listener_close(&page);
}

static void entries_of_others_are_passed_over(void **state) {
  struct listener page;
  (void)state;
  open_page(&page, child.port, NULL);
  sql("INSERT INTO log (channel, text) VALUES ('internal/job', 'x'),"
      " ('news', 'two')");
  expect_number(&page, "two", 2);
  listener_close(&page);
}

static void an_entry_that_is_refused_is_a_gap(void **state) {
  struct listener page;
  (void)state;
  assert_int_equal(request_to(child.port, "POST /append?channel=news", "",
                              "\xff", NULL, 0),
                   400);
  open_page(&page, child.port, NULL);
  sql("INSERT INTO log (channel, text) VALUES"
      " ('news', CAST(x'ff' AS TEXT)), ('news', 'two')");
  expect_gap(&page, "evicted");
  expect_number(&page, "two", 2);
  listener_close(&page);
}

int main(void) {
#define FEEDER(name)                                                     \
  cmocka_unit_test_setup_teardown(name, set_up, clean_up)
  const struct CMUnitTest tests[] = {
      FEEDER(a_client_moves_between_processes),
      FEEDER(a_restart_is_no_gap),
      FEEDER(what_was_not_loaded_is_a_gap),
      FEEDER(entries_that_were_trimmed_are_a_gap),
      FEEDER(a_lost_tail_is_a_new_history),
      FEEDER(entries_of_others_are_passed_over),
      FEEDER(an_entry_that_is_refused_is_a_gap),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
