/* SPDX-License-Identifier: MIT */
/* test_options.c: the command line and the files of the broadcast server. */
#include "client.h"

static char folder[] = "/tmp/broadcast-XXXXXX";
static char file[64];

static int make_folder(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(file, sizeof file, "%s/file", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  unlink(file);
  return rmdir(folder);
}

static void write_file(const char *text) {
  FILE *to = fopen(file, "w");
  assert_non_null(to);
  fputs(text, to);
  assert_int_equal(fclose(to), 0);
}

static void bad_options_are_refused_in_one_line(void **state) {
  (void)state;
  static const struct {
    const char *args[4];
    int status;
    const char *want;
  } rows[] = {
      {{"--help"}, 0, "Usage: broadcast"},
      {{"--version"}, 0, "engines: memory"},
      {{"--port", "0", "--help"}, 0, "Usage: broadcast"},
      {{"--nothing"}, 2, "broadcast: unknown option: --nothing; see --help\n"},
      {{"--por", "0"}, 2, "unknown option: --por;"},
      {{"-p", "0"}, 2, "unexpected argument: -p;"},
      {{"8888"}, 2, "unexpected argument: 8888;"},
      {{"--port"}, 2, "--port: a value is missing"},
      {{"--port="}, 2, "a port is a number"},
      {{"--port", "65536"}, 2, "--port 65536: a port is a number"},
      {{"--port", "http"}, 2, "a port is a number"},
      {{"--listen", ""}, 2, "must not be empty"},
      {{"--threads", "0"}, 2, "1 to 64 threads"},
      {{"--threads", "1.5"}, 2, "1 to 64 threads"},
      {{"--threads", "65"}, 2, "1 to 64 threads"},
      {{"--heartbeat", "0"}, 2, "0.1 to 3600 seconds"},
      {{"--heartbeat", "1.5.2"}, 2, "0.1 to 3600 seconds"},
      {{"--drain-ms", "-1"}, 2, "0 to 600000 ms"},
      {{"--engine", "kafka"},
       2,
       "--engine kafka: this program has no such engine; see --version\n"},
      {{"--engine", "kafka://host/"}, 2, "no such engine"},
      {{"--engine", "sqlitesqlitesqlitesqlitesqlitesqlite:"}, 2, "no such engine"},
      {{"--publish-secret", ""}, 2, "must not be empty"},
      {{"--origin", "page.example"}, 2, "an origin is"},
      {{"--origin", "https://page.example/"}, 2, "an origin is"},
      {{"--origin", "https://Page.example"}, 2, "an origin is"},
      {{"--origin", "https://"}, 2, "an origin is"},
      {{"--origin=*", "--origin=https://a.example"}, 2, "the only one"},
      {{"--conflate", "a\nb"}, 1, "--conflate a\nb: the channel name"},
      {{"--config", "/nonexistent/file"}, 2, "/nonexistent/file: No such file"},
      {{"--publish-secret-file", "/nonexistent/file"}, 2, "/nonexistent/file: No such file"},
      {{"--pid-file", "/nonexistent/file", "--port=0"}, 1, "--pid-file /nonexistent/file: "},
      {{"--listen", "256.0.0.1"}, 1, "cannot listen on 256.0.0.1"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char text[8192];
    int status = child_outcome("broadcast", rows[i].args, text, sizeof text);
    if (status != rows[i].status || !strstr(text, rows[i].want))
      fail_msg("%s %s: want %d, %s; got %d, %s", rows[i].args[0],
               rows[i].args[1] ? rows[i].args[1] : "", rows[i].status, rows[i].want, status, text);
    if (status == 2 && strchr(text, '\n') != text + strlen(text) - 1)
      fail_msg("not one line: %s", text);
  }
}

static void files_are_read(void **state) {
  (void)state;
  static const struct {
    const char *text, *want; /* an error, behind the file's name */
  } rows[] = {
      {"# fine\nport 0\nnothing 1\n", ":3: nothing: there is no such option\n"},
      {"port = 70000\n", ":1: port: a port is a number from 0 to 65535\n"},
      {"\n\n  threads\n", ":3: threads: a value is missing\n"},
      {"threads =\n", ":1: threads: a value is missing\n"},
      {"config other\n", ":1: config: there is no such option\n"},
      {"--port 0\n", ":1: --port: there is no such option\n"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char text[1024], want[256];
    write_file(rows[i].text);
    snprintf(want, sizeof want, "broadcast: %s%s", file, rows[i].want);
    assert_int_equal(child_outcome("broadcast", (const char *const[]){"--config", file, NULL}, text,
                                   sizeof text),
                     2);
    assert_string_equal(text, want);
  }
}

/* The command line counts, and lists have the entries of both. */
static void the_command_line_counts(void **state) {
  (void)state;
  struct child child;
  write_file("# a comment\n\n  port = 99999999\n");
  write_file("  threads=2\nport 1\r\n\tpublish-secret = from the file\npublish-secret = b\n"
             "origin = https://page.example\n");
  server_start(&child, (const char *const[]){"--config", file, "--publish-secret", "a", NULL});
  static const struct {
    const char *key;
    int status;
  } rows[] = {{"a", 200}, {"b", 200}, {"from+the+file", 200}, {"from", 401}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char form[128];
    snprintf(form, sizeof form, "channel=a&message=m&key=%s", rows[i].key);
    assert_int_equal(request(&child, "POST /publish", FORM, form), rows[i].status);
  }
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

static void secrets_may_be_in_a_file(void **state) {
  (void)state;
  struct child child;
  write_file("# rotated weekly\n\n  new \nold = 1\n");
  server_start(&child, (const char *const[]){"--publish-secret-file", file, NULL});
  static const struct {
    const char *key;
    int status;
  } rows[] = {{"new", 200}, {"old+%3d+1", 200}, {"old", 401}, {"%23+rotated+weekly", 401}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char form[128];
    snprintf(form, sizeof form, "channel=a&message=m&key=%s", rows[i].key);
    assert_int_equal(request(&child, "POST /publish", FORM, form), rows[i].status);
  }
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

static void the_process_id_is_in_a_file(void **state) {
  (void)state;
  struct child child;
  long pid = 0;
  server_start(&child, (const char *const[]){"--pid-file", file, NULL});
  FILE *from = fopen(file, "r");
  assert_non_null(from);
  assert_int_equal(fscanf(from, "%ld", &pid), 1);
  fclose(from);
  assert_int_equal(pid, child.pid);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
  assert_int_equal(access(file, F_OK), -1);
  write_file("");
}

static void other_names_are_refused(void **state) {
  (void)state;
  struct child child;
  server_start(&child, (const char *const[]){"--host", "h", "--host", "other", NULL});
  assert_int_equal(request(&child, "GET /stats", "", ""), 200);
  assert_int_equal(
      ask(child.port, "GET /stats HTTP/1.0\r\nHost: evil\r\n\r\n", answer, sizeof answer), 421);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bad_options_are_refused_in_one_line),
      cmocka_unit_test(files_are_read),
      cmocka_unit_test(the_command_line_counts),
      cmocka_unit_test(secrets_may_be_in_a_file),
      cmocka_unit_test(the_process_id_is_in_a_file),
      cmocka_unit_test(other_names_are_refused),
  };
  return cmocka_run_group_tests_name("broadcast, options", tests, make_folder, remove_folder);
}
