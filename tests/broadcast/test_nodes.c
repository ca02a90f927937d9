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

static void nodes_start(struct child nodes[2], const char *const *more) {
  const char *args[8] = {"--engine", engine};
  for (int i = 0; more && more[i]; i++) args[2 + i] = more[i];
  mkdir(sub_folder, 0700);
  for (int i = 0; i < 2; i++) server_start(&nodes[i], args);
}

static void nodes_stop(struct child nodes[2]) {
  for (int i = 0; i < 2; i++) assert_int_equal(child_stop(&nodes[i], SIGTERM), 0);
}

static void a_tag_is_disconnected_on_every_node(void **state) {
  (void)state;
  struct child nodes[2];
  struct listener users[2], other;
  require_sqlite();
  nodes_start(nodes, NULL);
  for (int i = 0; i < 2; i++) stream_open(&users[i], &nodes[i], "GET /?channel=a&tag=user", "", "");
  stream_open(&other, &nodes[1], "GET /?channel=a&tag=other", "", "");
  await_clients(&nodes[0], "a", 1);
  await_clients(&nodes[1], "a", 2);
  assert_int_equal(request(&nodes[0], "POST /disconnect", FORM, "tag=user"), 200);
  assert_non_null(strstr(answer, "\"streams\":1,\"id\":\""));
  for (int i = 0; i < 2; i++) {
    assert_false(hear_event(&users[i]));
    listener_close(&users[i]);
  }
  publish(&nodes[0], "channel=a&message=still+there");
  hear_data(&other, "still there");
  listener_close(&other);
  nodes_stop(nodes);
}

/* Also where a limit for all channels would refuse the order. */
static void a_channel_is_finished_on_every_node(void **state) {
  (void)state;
  struct child nodes[2];
  struct listener listeners[2];
  require_sqlite();
  const char *const more[] = {"--limit", "*:conflate", NULL};
  nodes_start(nodes, more);
  for (int i = 0; i < 2; i++)
    stream_open(&listeners[i], &nodes[i], "GET /?channel=a&channel=b", "", "");
  for (int i = 0; i < 2; i++) await_clients(&nodes[i], "a", 1);
  publish(&nodes[1], "channel=a&state=s&message=last");
  assert_int_equal(request(&nodes[0], "POST /finish", FORM, "channel=a&channel=b"), 200);
  for (int i = 0; i < 2; i++) {
    hear_data(&listeners[i], "last");
    assert_true(hear_event(&listeners[i]));
    assert_string_equal(listeners[i].type, "finished");
    assert_false(hear_event(&listeners[i]));
    listener_close(&listeners[i]);
    assert_int_equal(request(&nodes[i], "POST /publish", FORM, "channel=a&state=s&message=more"),
                     409);
  }
  nodes_stop(nodes);
  /* The log has it, so it is still so after a restart. */
  nodes_start(nodes, more);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(request(&nodes[i], "POST /publish", FORM, "channel=b&state=s&message=more"),
                     409);
    assert_int_equal(request(&nodes[i], "GET /?channel=b", "", ""), 204);
    publish(&nodes[i], "channel=c&state=s&message=m");
  }
  nodes_stop(nodes);
}

static void orders_are_for_operators(void **state) {
  (void)state;
  struct child child;
  static const struct {
    const char *target, *headers, *body;
  } rows[] = {
      {"POST /publish", FORM, "channel=broadcast%3Acontrol&event=finish&message=a"},
      {"POST /publish", FORM, "channel=a&channel=broadcast:control&event=finish&message=a"},
      {"GET /?channel=broadcast:control", "", ""},
      {"GET /?channel=a&channels=broadcast%3acontrol", "", ""},
      {"GET /poll?channel=broadcast:control&timeout=0&from=earliest", "", ""},
      {"POST /subscribe", FORM, "session=12345678&channel=broadcast:control"},
      {"POST /finish", FORM, "channel=broadcast:control"},
  };
  server_start(&child, (const char *const[]){"--prefixes", NULL});
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int status = request(&child, rows[i].target, rows[i].headers, rows[i].body);
    if (status != 400 || !strstr(answer, "the server's own"))
      fail_msg("%s %s: %s", rows[i].target, rows[i].body, answer);
  }
  assert_int_equal(
      request(&child, "POST /publish", JSON,
              "{\"channel\":\"broadcast:control\",\"event\":\"finish\",\"message\":\"a\"}\n"),
      207);
  publish(&child, "channel=a&event=finish&message=a");
  publish(&child, "channel=a&message=m");
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(a_log_that_is_away_is_waited_for, remove_files),
      cmocka_unit_test_teardown(the_wait_has_an_end, remove_files),
      cmocka_unit_test_teardown(a_tag_is_disconnected_on_every_node, remove_files),
      cmocka_unit_test_teardown(a_channel_is_finished_on_every_node, remove_files),
      cmocka_unit_test_teardown(orders_are_for_operators, remove_files),
  };
  return cmocka_run_group_tests_name("broadcast, nodes", tests, make_folder, remove_folder);
}
