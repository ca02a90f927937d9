/* SPDX-License-Identifier: MIT */
/* test_limits.c: limits by patterns of channel names. */
#include "client.h"

static char file[] = "/tmp/broadcast-limits-XXXXXX";

static int make_file(void **state) {
  (void)state;
  int fd = mkstemp(file);
  return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
  (void)state;
  return unlink(file);
}

static void write_file(const char *text) {
  FILE *to = fopen(file, "w");
  assert_non_null(to);
  fputs(text, to);
  assert_int_equal(fclose(to), 0);
}

static void bad_limits_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *limit, *want;
  } rows[] = {
      {"a", "a limit is PATTERN:SETTING"},
      {"a:", "a limit is PATTERN:SETTING"},
      {":window=1", "a limit is PATTERN:SETTING"},
      {"a:window", "a setting is window=N"},
      {"a:windows=1", "a setting is window=N"},
      {"a:conflate=1", "a setting is window=N"},
      {"a:Window=1", "a setting is window=N"},
      {"a:window=", "a window is"},
      {"a:window=0", "a window is"},
      {"a:window=-1", "a window is"},
      {"a:window=1.5", "a window is"},
      {"a:window=1K", "a window is"},
      {"a:window=1000000001", "a window is"},
      {"a:window=99999999999999999999", "a window is"},
      {"a:window=1,bytes=0", "bytes are"},
      {"a:bytes=1k", "bytes are"},
      {"a:bytes=4G", "bytes are"},
      {"a:age=60", "an age is"},
      {"a:age=25d", "an age is"},
      {"a:age=1w", "an age is"},
      {"a:streams=0", "streams are"},
      {"a:window=1,,x", "a setting is window=N"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char text[1024];
    int status = child_outcome("broadcast", (const char *const[]){"--limit", rows[i].limit, NULL},
                               text, sizeof text);
    if (status != 2 || !strstr(text, rows[i].want) || strchr(text, '\n')[1] != '\0')
      fail_msg("%s: want 2, %s; got %d, %s", rows[i].limit, rows[i].want, status, text);
  }
  char text[1024];
  assert_int_equal(
      child_outcome("broadcast",
                    (const char *const[]){"--limit", "a:window=1", "--limit", "a:bytes=1", NULL},
                    text, sizeof text),
      2);
  assert_non_null(strstr(text, "there is a limit for this already"));
}

/* How many events a channel retains. */
static int retained(const struct child *child, const char *channel) {
  char target[256];
  int count = 0;
  snprintf(target, sizeof target, "GET /poll?from=earliest&timeout=0&channel=%s", channel);
  assert_int_equal(request(child, target, "Accept: application/json\r\n", ""), 200);
  for (const char *at = answer; (at = strstr(at, "\"event\":\"message\"")); at++) count++;
  return count;
}

static void publish_some(const struct child *child, const char *channel, int count) {
  char form[256];
  for (int i = 0; i < count; i++) {
    snprintf(form, sizeof form, "channel=%s&message=%d", channel, i);
    publish(child, form);
  }
}

/* The name counts, or else the longest prefix; what a limit does not name is the hub's. */
static void the_nearest_limit_counts(void **state) {
  (void)state;
  static const struct {
    const char *channel;
    int wanted;
  } rows[] = {
      {"news", 4},         {"orders", 4},         {"ordersX", 4},    {"orders/", 3},
      {"orders/1", 3},     {"orders/1/2", 3},     {"orders/vip", 3}, {"orders/vip/", 6},
      {"orders/vip/1", 6}, {"orders/vip/one", 1}, {"a:b", 2},        {"free/1", 8},
      {"small", 1},
  };
  struct child child;
  write_file("limit = orders/vip/*:window=6,bytes=1M\nlimit = *:window=4\nlimit "
             "orders/*:window=3,age=1h\nlimit = a:b:window=2\n"
             "limit = small:bytes=1K,window=2,streams=100\nlimit = free/*:streams=10\n"
             "limit = orders/vip/one:window=1\n");
  server_start(&child, (const char *const[]){"--config", file, NULL});
  char form[2048] = "channel=small&message=";
  memset(form + strlen(form), 'x', 900);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (strcmp(rows[i].channel, "small") != 0) publish_some(&child, rows[i].channel, 8);
    for (int twice = 0; twice < 2 && rows[i].channel[0] == 's'; twice++) publish(&child, form);
    int count = retained(&child, rows[i].channel);
    if (count != rows[i].wanted)
      fail_msg("%s: want %d, got %d", rows[i].channel, rows[i].wanted, count);
  }
  /* Channels that an event has by --prefixes, or by NDJSON, are no exception. */
  assert_int_equal(request(&child, "POST /publish", JSON,
                           "{\"channel\":\"orders/9\",\"message\":\"1\"}\n"
                           "{\"channel\":[\"orders/9\",\"news2\"],\"message\":\"2\"}\n"
                           "{\"channel\":\"orders/9\",\"message\":\"3\"}\n"
                           "{\"channel\":\"orders/9\",\"message\":\"4\"}\n"),
                   200);
  assert_int_equal(retained(&child, "orders/9"), 3);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

static void events_grow_old(void **state) {
  (void)state;
  struct child child;
  server_start(&child, (const char *const[]){"--limit", "old/*:age=1ms", NULL});
  publish_some(&child, "old/1", 3);
  publish_some(&child, "new", 3);
  int64_t until = now_ms() + PATIENCE_MS;
  while (retained(&child, "old/1") > 0 && now_ms() < until) continue;
  assert_int_equal(retained(&child, "old/1"), 0);
  assert_int_equal(retained(&child, "new"), 3);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

static void prefixes_are_conflated(void **state) {
  (void)state;
  struct child child;
  server_start(&child, (const char *const[]){"--limit", "price/*:conflate,window=2", "--conflate",
                                             "stock", "--limit", "stock:window=3", NULL});
  assert_int_equal(request(&child, "POST /publish", FORM, "channel=price/1&message=m"), 400);
  assert_non_null(strstr(answer, "key"));
  static const char *const keys[] = {"a", "b", "a", "c", "d"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    char form[128];
    snprintf(form, sizeof form, "channel=price/1&channel=stock&message=m&state=%s", keys[i]);
    publish(&child, form);
  }
  assert_int_equal(retained(&child, "price/1"), 2);
  assert_int_equal(retained(&child, "stock"), 3);
  publish_some(&child, "price", 3);
  assert_int_equal(retained(&child, "price"), 3);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/* A browser is told to come back; a poll and a change of a stream are told by the status. */
static void streams_are_limited(void **state) {
  (void)state;
  struct child child;
  struct listener first, other, third;
  server_start(&child, (const char *const[]){"--limit", "room/*:streams=1", NULL});
  stream_open(&first, &child, "GET /?channel=room/1", "", "");
  await_clients(&child, "room/1", 1);
  assert_int_equal(request(&child, "GET /poll?timeout=0&channel=room/1", "", ""), 503);
  assert_non_null(strstr(answer, "Retry-After: "));
  assert_int_equal(request(&child, "GET /?channel=room/1", "", ""), 200);
  assert_int_equal(strncmp(body_of_answer(), "retry: ", 7), 0);
  assert_null(strstr(answer, "sse-position"));
  stream_open(&other, &child, "GET /?channel=room/2&session=abcdefgh", "", "");
  await_clients(&child, "room/2", 1);
  assert_int_equal(request(&child, "POST /subscribe?session=abcdefgh&channel=room/1", "", ""), 503);
  assert_non_null(strstr(answer, "Retry-After: "));
  assert_int_equal(request(&child, "POST /subscribe?session=abcdefgh&channel=room/3", "", ""), 200);
  await_clients(&child, "room/3", 1);
  stream_open(&third, &child, "GET /?channel=room/4&session=ijklmnop", "", "");
  await_clients(&child, "room/4", 1);
  assert_int_equal(request(&child, "POST /subscribe?session=ijklmnop&channel=room/3", "", ""), 503);
  listener_close(&third);
  listener_close(&first);
  await_clients(&child, "room/1", 0);
  assert_int_equal(request(&child, "GET /poll?timeout=0&channel=room/1", "", ""), 200);
  listener_close(&other);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

static void reload(const struct child *child, const char *config) {
  char line[512];
  write_file(config);
  kill(child->pid, SIGHUP);
  do assert_true(read_line(child->out, line, sizeof line));
  while (!strstr(line, "reloaded"));
  assert_string_equal(line, "broadcast: secrets, origins and limits are reloaded\n");
}

static void limits_are_reloaded(void **state) {
  (void)state;
  struct child child;
  write_file("limit = a/*:window=5\nlimit = c:conflate\n");
  server_start(&child, (const char *const[]){"--config", file, NULL});
  publish_some(&child, "a/1", 8);
  publish(&child, "channel=c&message=m&state=k");
  assert_int_equal(retained(&child, "a/1"), 5);
  reload(&child, "limit = a/*:window=2\nlimit = c:window=3\n");
  assert_int_equal(retained(&child, "a/1"), 2);
  /* It is conflated for as long as it exists, and its other limits count all the same. */
  assert_int_equal(request(&child, "POST /publish", FORM, "channel=c&message=m"), 400);
  for (char form[] = "channel=c&message=m&state=a"; form[26] < 'h'; form[26]++)
    publish(&child, form);
  assert_int_equal(retained(&child, "c"), 3);
  /* What no limit covers any more has the hub's values again. */
  reload(&child, "");
  publish_some(&child, "a/1", 8);
  assert_int_equal(retained(&child, "a/1"), 10);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/* What comes from a log at the start meets the limits, too. */
static void a_log_is_read_within_limits(void **state) {
  (void)state;
  struct child child;
  char version[256], log[144], path[128];
  child_outcome("broadcast", (const char *const[]){"--version", NULL}, version, sizeof version);
  if (!strstr(version, "sqlite")) skip();
  snprintf(path, sizeof path, "%s.log", file);
  snprintf(log, sizeof log, "sqlite:%s", path);
  server_start(&child, (const char *const[]){"--engine", log, NULL});
  publish_some(&child, "a/1", 8);
  for (int i = 0; i < 8; i++) publish(&child, "channel=c/1&message=m&state=k");
  assert_int_equal(retained(&child, "a/1"), 8);
  assert_int_equal(retained(&child, "c/1"), 8);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
  server_start(&child, (const char *const[]){"--engine", log, "--limit", "a/*:window=3", "--limit",
                                             "c/*:conflate", NULL});
  assert_int_equal(retained(&child, "a/1"), 3);
  /* This could not be made up for later. */
  assert_int_equal(retained(&child, "c/1"), 1);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
  static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    snprintf(path, sizeof path, "%s.log%s", file, ends[i]);
    unlink(path);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bad_limits_are_refused),
      cmocka_unit_test(the_nearest_limit_counts),
      cmocka_unit_test(events_grow_old),
      cmocka_unit_test(prefixes_are_conflated),
      cmocka_unit_test(streams_are_limited),
      cmocka_unit_test(limits_are_reloaded),
      cmocka_unit_test(a_log_is_read_within_limits),
  };
  return cmocka_run_group_tests_name("broadcast, limits", tests, make_file, remove_file);
}
