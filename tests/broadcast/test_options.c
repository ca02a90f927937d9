/* SPDX-License-Identifier: MIT */
/* test_options.c: the command line and the files of the broadcast server. */
#include "client.h"

#include <pwd.h>
#include <sys/stat.h>

static char folder[] = "/tmp/broadcast-XXXXXX";
static char file[64], log_file[64], old_log[64], pid_file[64];

static int make_folder(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(file, sizeof file, "%s/file", folder);
  snprintf(log_file, sizeof log_file, "%s/log", folder);
  snprintf(old_log, sizeof old_log, "%s/log.old", folder);
  snprintf(pid_file, sizeof pid_file, "%s/pid", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  const char *const files[] = {file, log_file, old_log, pid_file};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) unlink(files[i]);
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
      {{"--wait-for-engine", "-1"}, 2, "0 to 86400 seconds"},
      {{"--wait-for-engine", "86401"}, 2, "0 to 86400 seconds"},
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
      {{"--prefixes=1"}, 2, "it has no value"},
      {{"--export", "syslog"}, 2, "one value: graphite"},
      {{"--export-interval", "0.5"}, 2, "1 to 3600 seconds"},
      {{"--conflate", "a\tb"}, 2, "--conflate a\tb: a channel's name is"},
      {{"--publish-secret-file", "/dev/null"}, 2, "/dev/null: there is no secret in it"},
      {{"--engine", ""}, 2, "must not be empty"},
      {{"--engine", "kafka:"}, 2, "no such engine"},
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
      {"prefixes yes\n", ":1: prefixes: it has no value\n"},
      {"prefixes\nthreads x\n", ":2: threads: 1 to 64 threads\n"},
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

/* Waits until a file has this text, and gives all of it. */
static const char *await_text(const char *path, const char *wanted) {
  static char text[4096];
  int64_t until = now_ms() + PATIENCE_MS;
  do {
    FILE *from = fopen(path, "r");
    size_t len = from ? fread(text, 1, sizeof text - 1, from) : 0;
    text[len] = '\0';
    if (from) fclose(from);
  } while (!strstr(text, wanted) && now_ms() < until);
  if (!strstr(text, wanted)) fail_msg("want %s: %s", wanted, text);
  return text;
}

static void secrets_are_reloaded(void **state) {
  (void)state;
  struct child child;
  struct listener listener;
  char line[512];
  write_file("first\n");
  server_start(&child, (const char *const[]){"--publish-secret-file", file, NULL});
  stream_open(&listener, &child, "GET /?channel=a", "", "");
  await_clients(&child, "a", 1);
  assert_int_equal(request(&child, "POST /publish", FORM, "channel=a&message=1&key=first"), 200);
  write_file("second\n");
  assert_int_equal(request(&child, "POST /publish", FORM, "channel=a&message=2&key=first"), 200);
  kill(child.pid, SIGHUP);
  assert_true(read_line(child.out, line, sizeof line));
  assert_string_equal(line, "broadcast: secrets, origins and limits are reloaded\n");
  assert_int_equal(request(&child, "POST /publish", FORM, "channel=a&message=3&key=first"), 401);
  assert_int_equal(request(&child, "POST /publish", FORM, "channel=a&message=3&key=second"), 200);
  /* What cannot be read, or would let anyone publish, changes nothing. */
  write_file("# none\n");
  kill(child.pid, SIGHUP);
  assert_true(read_line(child.out, line, sizeof line));
  assert_true(read_line(child.out, line, sizeof line));
  assert_string_equal(line, "broadcast: nothing is reloaded\n");
  unlink(file);
  kill(child.pid, SIGHUP);
  assert_true(read_line(child.out, line, sizeof line));
  assert_true(read_line(child.out, line, sizeof line));
  assert_string_equal(line, "broadcast: nothing is reloaded\n");
  assert_int_equal(request(&child, "POST /publish", FORM, "channel=a&message=4&key=second"), 200);
  for (int i = 1; i <= 4; i++) {
    snprintf(line, sizeof line, "%d", i);
    hear_data(&listener, line);
  }
  listener_close(&listener);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/* A file that has lost its secrets does not open the server to all. */
static void the_last_secret_stays(void **state) {
  (void)state;
  struct child child;
  char line[512];
  write_file("publish-secret = first\n");
  server_start(&child, (const char *const[]){"--config", file, NULL});
  write_file("threads = 1\n");
  kill(child.pid, SIGHUP);
  assert_true(read_line(child.out, line, sizeof line));
  assert_non_null(strstr(line, "nothing is reloaded: anyone could publish"));
  assert_int_equal(request(&child, "POST /publish", FORM, "channel=a&message=m"), 401);
  assert_int_equal(request(&child, "POST /publish", FORM, "channel=a&message=m&key=first"), 200);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/* It says to its parent, and so to whoever starts it, whether it serves. */
static void it_goes_to_the_background(void **state) {
  (void)state;
  char text[1024];
  struct child child = {.pid = 0};
  int pid;
  assert_int_equal(child_outcome("broadcast",
                                 (const char *const[]){"--daemon", "--listen", "256.0.0.1", NULL},
                                 text, sizeof text),
                   1);
  assert_non_null(strstr(text, "cannot listen"));
  assert_int_equal(child_outcome("broadcast",
                                 (const char *const[]){"--daemon", "--port", "0", "--log-file",
                                                       log_file, "--pid-file", pid_file, NULL},
                                 text, sizeof text),
                   0);
  assert_string_equal(text, "");
  assert_int_equal(sscanf(await_text(pid_file, "\n"), "%d", &pid), 1);
  assert_int_equal(sscanf(await_text(log_file, "\n"), "broadcast: listening on http://127.0.0.1:%d",
                          &child.port),
                   1);
  int status = request(&child, "GET /health/live", "", "");
  /* The log is moved away, and opened anew. */
  rename(log_file, old_log);
  kill(pid, SIGHUP);
  await_text(log_file, "are reloaded");
  kill(pid, SIGTERM);
  int64_t until = now_ms() + PATIENCE_MS;
  while (access(pid_file, F_OK) == 0 && now_ms() < until) continue;
  assert_int_equal(access(pid_file, F_OK), -1);
  assert_int_equal(status, 200);
}

static void it_becomes_another_user(void **state) {
  (void)state;
  const struct passwd *nobody = getpwnam("nobody");
  struct child child;
  char path[64], text[1024];
  struct stat about;
  static const struct {
    const char *args[4];
    const char *want;
  } rows[] = {{{"--user", "no such user"}, "--user no such user: there is no such user"},
              {{"--group", "no such group"}, "--group no such group: there is no such group"}};
  if (geteuid() != 0 || !nobody) skip();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_int_equal(child_outcome("broadcast", rows[i].args, text, sizeof text), 1);
    assert_non_null(strstr(text, rows[i].want));
  }
  server_start(&child, (const char *const[]){"--user", "nobody", NULL});
  snprintf(path, sizeof path, "/proc/%d", (int)child.pid);
  if (stat(path, &about) == 0) assert_int_equal(about.st_uid, nobody->pw_uid);
  assert_int_equal(request(&child, "GET /health/ready", "", ""), 200);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/* A client of a prefix is given all below it, once. */
static void prefixes_are_channels(void **state) {
  (void)state;
  struct child child;
  struct listener listener;
  server_start(&child, (const char *const[]){"--prefixes", NULL});
  stream_open(&listener, &child, "GET /?channel=orders/&channel=orders/42/&channel=orders/42/paid",
              "", "");
  await_clients(&child, "orders/", 1);
  publish(&child, "channel=orders/42/paid&channel=orders/41/paid&message=1");
  publish(&child, "channel=orders&message=no");
  publish(&child, "channel=other/orders/42/paid&message=no");
  publish(&child, "channel=orders/&message=2");
  assert_int_equal(
      request(&child, "POST /publish", JSON, "{\"channel\":\"orders/43/sent\",\"message\":\"3\"}"),
      200);
  hear_data(&listener, "1");
  hear_data(&listener, "2");
  hear_data(&listener, "3");
  listener_close(&listener);
  /* All names count. */
  char form[2048] = "message=m&channel=", *at = form + strlen(form);
  for (int i = 0; i < 127; i++) at = stpcpy(at, "a/");
  assert_int_equal(request(&child, "POST /publish", FORM, form), 200);
  at = stpcpy(at, "&channel=");
  for (int i = 0; i < 127; i++) at = stpcpy(at, "b/");
  stpcpy(at, "&channel=c/d/e/f");
  assert_int_equal(request(&child, "POST /publish", FORM, form), 400);
  assert_non_null(strstr(answer, "at most 256 channels"));
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

static void clients_are_exported(void **state) {
  (void)state;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof at;
  struct child child;
  struct listener listener;
  char port[8], packet[2048];
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
  snprintf(port, sizeof port, "%d", ntohs(at.sin_port));
  server_start(&child,
               (const char *const[]){"--export", "graphite", "--export-port", port,
                                     "--export-interval", "1", "--export-path", "path", NULL});
  stream_open(&listener, &child, "GET /?channel=a.b%20c", "", "");
  assert_true(await(fd, POLLIN, now_ms() + PATIENCE_MS));
  ssize_t got = recv(fd, packet, sizeof packet - 1, 0);
  assert_true(got > 0);
  packet[got] = '\0';
  long long seconds;
  int end = 0;
  assert_int_equal(sscanf(packet, "path.a.b_c 1 %lld%n", &seconds, &end), 1);
  assert_true(llabs(seconds - (long long)time(NULL)) < 60);
  assert_string_equal(packet + end, "\n");
  close(fd);
  listener_close(&listener);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

static void all_origins_may_be_allowed(void **state) {
  (void)state;
  struct child child;
  server_start(&child, (const char *const[]){"--origin", "*", NULL});
  static const char *const targets[] = {"GET /stats", "GET /poll?channel=a&timeout=0",
                                        "HEAD /?channel=a"};
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    assert_int_equal(request(&child, targets[i], "Origin: https://any.example\r\n", ""), 200);
    assert_non_null(strstr(answer, "Access-Control-Allow-Origin: *\r\n"));
    assert_null(strstr(answer, "Credentials"));
  }
  assert_int_equal(request(&child, "POST /publish", FORM "Origin: https://any.example\r\n",
                           "channel=a&message=m"),
                   200);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
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
      cmocka_unit_test(secrets_are_reloaded),
      cmocka_unit_test(the_last_secret_stays),
      cmocka_unit_test(it_goes_to_the_background),
      cmocka_unit_test(it_becomes_another_user),
      cmocka_unit_test(prefixes_are_channels),
      cmocka_unit_test(clients_are_exported),
      cmocka_unit_test(all_origins_may_be_allowed),
      cmocka_unit_test(other_names_are_refused),
  };
  return cmocka_run_group_tests_name("broadcast, options", tests, make_folder, remove_folder);
}
