/* SPDX-License-Identifier: MIT */
/* test_redis.c: the engine of Redis: how it starts, entries, restarts, removing, other programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redis_world.h"

/* ---- ids and URLs ---- */

static void ids_are_read_and_compared(void **state) {
  (void)state;
  static const char *const wrong[] = {"",    "1",   "1-",   "-1",   "1-2-3",
                                      "a-1", "1-a", " 1-1", "1- 1", "18446744073709551616-0"};
  struct log_id id, other;
  char text[LOG_ID_BYTES];
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    if (log_id_parse(wrong[i], &id) == 0) fail_msg("\"%s\" was taken", wrong[i]);
  assert_int_equal(log_id_parse("18446744073709551615-7", &id), 0);
  assert_true(id.era == UINT64_MAX && id.number == 7);
  log_id_print(id, text);
  assert_string_equal(text, "18446744073709551615-7");
  assert_int_equal(log_id_parse("18446744073709551615-8", &other), 0);
  assert_int_equal(log_id_compare(id, other), -1);
  assert_int_equal(log_id_compare(other, id), 1);
  assert_int_equal(log_id_compare(id, id), 0);
}

/* Each era is above the one before, also if the clock goes back, and above Redis's own ids. */
static void eras_rise_and_name_the_life(void **state) {
  (void)state;
  const uint64_t now_ms = UINT64_C(1900000000000);
  char names[2][SSE_EPOCH_BYTES_MAX + 1];
  uint64_t first = log_new_era(0, now_ms, "life 1");
  uint64_t second = log_new_era(first, now_ms, "life 1");
  uint64_t third = log_new_era(second, now_ms - 1000000, "life 2");
  assert_true(first > now_ms && second > first && third > second);
  assert_true(log_is_era(first) && log_is_era(third) && !log_is_era(now_ms));
  assert_true(log_is_of_life(first, "life 1") && log_is_of_life(second, "life 1"));
  assert_false(log_is_of_life(first, "life 2"));
  assert_true(log_is_of_life(third, "life 2"));
  assert_true(log_new_era(UINT64_MAX, now_ms, "life") == 0);
  session_epoch(first, names[0]);
  session_epoch(second, names[1]);
  assert_int_equal(strlen(names[0]), SSE_EPOCH_BYTES_MAX);
  assert_string_not_equal(names[0], names[1]);
}

static void urls_are_read(void **state) {
  (void)state;
  static const struct {
    const char *text;
    struct redis_url url;
  } rows[] = {
      {"redis://", {.host = "localhost", .port = "6379", .database = "0", .key = "sse-log"}},
      {"redis://h", {.host = "h", .port = "6379", .database = "0", .key = "sse-log"}},
      {"redis://h:1/2?key=k&durable=1",
       {.host = "h", .port = "1", .database = "2", .key = "k", .durable = 1}},
      {"redis://u:p%40%2f@[::1]:7/?durable=0",
       {.user = "u",
        .password = "p@/",
        .host = "::1",
        .port = "7",
        .database = "0",
        .key = "sse-log"}},
      {"redis://:p@x@h",
       {.password = "p@x", .host = "h", .port = "6379", .database = "0", .key = "sse-log"}},
      {"redis+unix:///run/r.sock?db=3&key=a%20b",
       {.path = "/run/r.sock", .host = "localhost", .port = "6379", .database = "3", .key = "a b"}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const struct redis_url *wanted = &rows[i].url;
    struct redis_url got;
    const char *problem;
    if (redis_url_parse(&got, rows[i].text, &problem)) fail_msg("%s: %s", rows[i].text, problem);
    const char *const pairs[][2] = {
        {wanted->host, got.host}, {wanted->port, got.port}, {wanted->database, got.database},
        {wanted->key, got.key},   {wanted->user, got.user}, {wanted->password, got.password},
        {wanted->path, got.path}};
    for (size_t k = 0; k < sizeof pairs / sizeof pairs[0]; k++)
      if (strcmp(pairs[k][0] ? pairs[k][0] : "-", pairs[k][1] ? pairs[k][1] : "-") != 0)
        fail_msg("%s: %s", rows[i].text, pairs[k][1]);
    assert_int_equal(got.durable, wanted->durable);
    redis_url_free(&got);
  }
}

/* ---- what is refused at the start ---- */

static void assert_refused(const char *where, const char *says) {
  struct engine *engine;
  char problem[ENGINE_PROBLEM_MAX] = "";
  const struct engine_config config = {.where = where, .wait_max_ms = 4000};
  int error = engine_open(&engine, engine_find("redis"), &config, problem);
  if (error != ENGINE_ELOG || !strstr(problem, says))
    fail_msg("%s: \"%s\" instead of \"%s\"", where ? where : "NULL", problem, says);
  assert_null(strstr(problem, "secret"));
}

static void a_wrong_url_is_refused(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {NULL, "needs a URL"},
      {"", "begins with redis://"},
      {"localhost:6379", "begins with redis://"},
      {"rediss://localhost", "TLS"},
      {"redis://localhost:x", "port"},
      {"redis://localhost:123456", "port"},
      {"redis://[::1", "bracket"},
      {"redis://[::1]x", "bracket"},
      {"redis://localhost/x", "database"},
      {"redis://localhost/0?key", "option"},
      {"redis://localhost/0?key=", "options"},
      {"redis://localhost/0?keys=1", "options"},
      {"redis://localhost/0?durable=yes", "options"},
      {"redis://localhost/0?key=%0", "option"},
      {"redis://localhost/0?key=%00", "option"},
      {"redis://user@localhost", "without a password"},
      {"redis://:secret%x@localhost", "%"},
      {"redis+unix://relative", "redis+unix:///path"},
      {"redis+unix:///nonexistent/socket", "cannot connect to Redis at /nonexistent/socket"},
      {"redis://host.invalid", "cannot find Redis at host.invalid:6379"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) assert_refused(rows[i][0], rows[i][1]);
}

static void a_server_that_is_away_is_refused(void **state) {
  (void)state;
  char where[64], says[96];
  int port = free_port();
  snprintf(where, sizeof where, "redis://:secret@127.0.0.1:%d", port);
  snprintf(says, sizeof says, "cannot connect to Redis at 127.0.0.1:%d: Connection refused", port);
  assert_refused(where, says);
}

static void a_server_that_hangs_is_refused(void **state) {
  (void)state;
  start_server("");
  kill(server.child.pid, SIGSTOP);
  assert_refused(server.url, "no answer in time");
  kill(server.child.pid, SIGCONT);
}

static void a_key_of_another_type_is_refused(void **state) {
  (void)state;
  start_server("");
  change("SET other 1");
  assert_refused(url("?key=other"), "the key other in Redis is not a stream");
  assert_refused(url("/17"), "Redis refused SELECT: ERR DB index is out of range");
}

static void passwords_are_used(void **state) {
  (void)state;
  char where[128];
  /* The commands that the README names. */
  start_server("requirepass secret\nuser me on >mine ~sse-log +select +info +client|id +client|kill"
               " +watch +unwatch +multi +exec +time +xinfo|stream +xrange +xread +xadd +xtrim");
  assert_refused(server.url, "Redis refused INFO: NOAUTH");
  snprintf(where, sizeof where, "redis://:secret2@127.0.0.1:%d", server.port);
  assert_refused(where, "Redis refused AUTH: WRONGPASS");
  snprintf(where, sizeof where, "redis://:secret@127.0.0.1:%d", server.port);
  engine_down(up((struct engine_config){.where = where}));
  snprintf(where, sizeof where, "redis://me:mine@127.0.0.1:%d/3", server.port);
  struct engine *engine = up((struct engine_config){.where = where});
  publish(engine, "a", "x");
  engine_down(engine);
}

/* It is waited for. */
static void a_server_that_loads_is_waited_for(void **state) {
  (void)state;
  struct client client;
  start_server("");
  struct engine *engine = up((struct engine_config){.where = url("?durable=1")});
  follow(&client, engine);
  publish(engine, "a", "1");
  assert_told(&client, 1, "1");
  client_close(&client);
  engine_down(engine);
  for (int i = 0; i < 200; i++) freeReplyObject(query("SET k%d %01024d", i, i));
  change("SAVE");
  server_kill(&server);
  snprintf(server.settings, sizeof server.settings,
           "key-load-delay 10000\nloading-process-events-interval-bytes 1024");
  server_launch(&server);
  unsigned moments = 0;
  int fd;
  while ((fd = dial(server.port)) < 0) assert_true(patience(&moments));
  close(fd);
  assert_false(server_answers(&server));
  engine = up((struct engine_config){.where = url("?durable=1"), .wait_max_ms = 60000});
  assert_non_null(strstr(status_of(engine).problem, "loads its data"));
  publish(engine, "a", "2");
  connect_to(&client, engine);
  assert_told(&client, 2, "1 2");
  end(&client, engine);
}

/* ---- entries ---- */

static void bad_entries_do_not_stop_the_feed(void **state) {
  (void)state;
  static const char *const bad[] = {
      "XADD sse-log * channels a",
      "XADD sse-log * data x",
      "XADD sse-log * channels a data x flags many",
      "XADD sse-log * channels a data x retry_ms -7",
      "XADD sse-log * channels a data x label -1",
      "XADD sse-log * channels a data x label 18446744073709551616",
      "XADD sse-log * channels a data x flags 8",
      "XADD sse-log * channels a data x id E.1",
      "XADD sse-log * channels a data x at 99999999999999999999",
  };
  enum {
    COUNT = sizeof bad / sizeof bad[0]
  };
  struct client client;
  char text[16];
  struct engine *engine = begin(&client, (struct engine_config){0});
  for (size_t i = 0; i < COUNT; i++) {
    change(bad[i]);
    snprintf(text, sizeof text, "%zu", i);
    publish(engine, "a", text);
    assert_true(client_wait(&client, i + 1));
    if (strcmp(client.seen[i].data, text) != 0 || status_of(engine).refused != i + 1)
      fail_msg("%s: was given, \"%s\"", bad[i], client.seen[i].data);
  }
  freeReplyObject(query("XADD sse-log * channels %b data x", "a\0b", (size_t)3));
  publish(engine, "a", "last");
  assert_true(client_wait(&client, COUNT + 1));
  assert_int_equal(client.gaps, 0);
  assert_int_equal(status_of(engine).refused, COUNT + 1);
  end(&client, engine);
}

static void what_is_too_big_for_this_hub_is_a_gap(void **state) {
  (void)state;
  const sse_hub_config hub = {.event_bytes_max = 1000};
  struct client client;
  struct engine *engine = begin(&client, (struct engine_config){.hub = &hub});
  publish(engine, "a", "1");
  assert_told(&client, 1, "1");
  freeReplyObject(query("XADD sse-log * channels a data %02000d", 0));
  publish(engine, "a", "3");
  assert_told(&client, 3, "1 [evicted] 3");
  end(&client, engine);
}

/* ---- restarts of the engine ---- */

static void only_the_newest_are_loaded(void **state) {
  (void)state;
  struct client client;
  char text[8];
  struct engine *engine = begin(&client, (struct engine_config){0});
  for (int i = 1; i <= 10; i++) {
    snprintf(text, sizeof text, "%d", i);
    publish(engine, "a", text);
    if (i == 5) client_read(&client);
    if (i == 5) client_close(&client);
  }
  engine_down(engine);
  engine = up((struct engine_config){.load_max = 4});
  connect_to(&client, engine);
  assert_told(&client, 10, "1 2 3 4 5 [evicted] 7 8 9 10");
  end(&client, engine);
}

/* Many replies are read at the start. */
static void a_long_log_is_loaded(void **state) {
  (void)state;
  enum {
    COUNT = 5000
  };
  atomic_uint outcomes[2] = {0};
  start_server("");
  struct engine *engine = up((struct engine_config){0});
  for (int i = 0; i < COUNT; i++) submit(engine, "x", outcomes);
  await_outcomes(outcomes, COUNT);
  assert_int_equal(outcomes[1], COUNT);
  engine_down(engine);
  engine = up((struct engine_config){.load_max = COUNT});
  assert_int_equal(status_of(engine).head, COUNT);
  engine_down(engine);
  assert_int_equal(length(), COUNT + 1);
}

/* ---- removing ---- */

static void the_oldest_are_removed_by_their_number(void **state) {
  (void)state;
  atomic_uint outcomes[2] = {0};
  start_server("");
  struct engine *engine = up((struct engine_config){.entries_max = 200});
  for (int i = 0; i < 2000; i++) submit(engine, "x", outcomes);
  await_outcomes(outcomes, 2000);
  assert_int_equal(outcomes[1], 2000);
  assert_in_range(length(), 200, 301);
  engine_down(engine);
}

static void the_oldest_are_removed_by_their_age(void **state) {
  (void)state;
  start_server("");
  struct engine *engine = up((struct engine_config){.age_max_s = 1});
  publish(engine, "a", "old");
  assert_int_equal(length(), 2);
  await_length(0);
  publish(engine, "a", "young");
  assert_int_equal(newest().number, 2);
  assert_int_equal(status_of(engine).histories, 0);
  engine_down(engine);
}

/* Numbers go on when nothing is left, for a running engine and for a new one. */
static void a_log_that_was_emptied_goes_on(void **state) {
  (void)state;
  struct client client;
  struct engine *engine = begin(&client, (struct engine_config){0});
  publish(engine, "a", "1");
  publish(engine, "a", "2");
  change("XTRIM sse-log MAXLEN 0");
  publish(engine, "a", "3");
  assert_told(&client, 3, "1 2 3");
  change("XTRIM sse-log MAXLEN 0");
  client_close(&client);
  engine_down(engine);
  engine = up((struct engine_config){0});
  assert_int_equal(status_of(engine).head, 3);
  connect_to(&client, engine);
  publish(engine, "a", "4");
  assert_told(&client, 4, "1 2 3 4");
  end(&client, engine);
}

/* An operator has deleted the newest entry, which the engine has read. */
static void a_deleted_entry_is_no_new_history(void **state) {
  (void)state;
  struct client client;
  char command[96], id[LOG_ID_BYTES];
  struct engine *engine = begin_by_proxy(&client, "", 0);
  publish(engine, "a", "1");
  publish(engine, "a", "2");
  log_id_print(newest(), id);
  snprintf(command, sizeof command, "XDEL sse-log %s", id);
  change(command);
  proxy_cut(&proxy);
  publish(engine, "a", "3");
  assert_told(&client, 3, "1 2 3");
  end(&client, engine);
}

/* ---- other programs ---- */

/* Redis's own ids continue the era. */
static void a_program_publishes_by_one_command(void **state) {
  (void)state;
  struct client client;
  char command[128];
  struct engine *engine = begin(&client, (struct engine_config){0});
  publish(engine, "a", "1");
  change("XADD sse-log NOMKSTREAM * channels a data 2");
  snprintf(command, sizeof command, "XADD sse-log NOMKSTREAM %llu-* channels a data 3",
           (unsigned long long)newest().era);
  change(command);
  publish(engine, "a", "4");
  assert_told(&client, 4, "1 2 3 4");
  for (unsigned i = 0; i < 4; i++) assert_int_equal(client.seen[i].number, i + 1);
  end(&client, engine);
}

static void a_hole_in_the_numbers_is_a_gap(void **state) {
  (void)state;
  struct client client;
  char command[128];
  struct engine *engine = begin(&client, (struct engine_config){0});
  publish(engine, "a", "1");
  assert_told(&client, 1, "1");
  snprintf(command, sizeof command, "XADD sse-log %llu-7 channels a data 7",
           (unsigned long long)newest().era);
  change(command);
  assert_told(&client, 3, "1 [evicted] 7");
  publish(engine, "a", "8");
  assert_told(&client, 4, "1 [evicted] 7 8");
  end(&client, engine);
}

struct behind {
  struct engine *engine;
  uint64_t first; /* at the first event */
  int events;
};

static void note_behind(void *arg, sse_hub *hub, const char *const *channels) {
  struct behind *behind = arg;
  (void)hub, (void)channels;
  if (behind->events++ == 0) behind->first = status_of(behind->engine).behind;
}

static void an_engine_knows_how_far_it_is_behind(void **state) {
  (void)state;
  char problem[ENGINE_PROBLEM_MAX];
  struct behind behind = {.events = 0};
  start_server("");
  struct engine *engine = up((struct engine_config){0});
  for (int i = 0; i < 20; i++) publish(engine, "a", "m");
  assert_true(status_of(engine).behind == 0);
  const struct engine_config config = {
      .where = url(""), .prepare = note_behind, .prepare_arg = &behind};
  assert_int_equal(engine_open(&behind.engine, engine_find("redis"), &config, problem), 0);
  assert_int_equal(engine_start(behind.engine), 0);
  assert_int_equal(behind.events, 20);
  assert_true(behind.first == 20);
  assert_true(status_of(behind.engine).behind == 0);
  engine_down(behind.engine);
  engine_down(engine);
}

/* An id above those of the engines: a new history, which all notice, and nothing stops. */
static void a_wrong_id_is_a_new_history(void **state) {
  (void)state;
  struct client clients[2];
  struct engine *engines[2];
  char command[128];
  start_server("");
  for (int i = 0; i < 2; i++) {
    engines[i] = up((struct engine_config){0});
    follow(&clients[i], engines[i]);
  }
  publish(engines[0], "a", "1");
  for (int i = 0; i < 2; i++) assert_told(&clients[i], 1, "1");
  snprintf(command, sizeof command, "XADD sse-log %llu-0 channels a data wrong",
           (unsigned long long)newest().era + 1);
  change(command);
  for (int i = 0; i < 2; i++) assert_told(&clients[i], 2, "1 [restart]");
  publish(engines[1], "a", "2");
  for (int i = 0; i < 2; i++) {
    assert_told(&clients[i], 3, "1 [restart] 2");
    assert_non_null(strstr(status_of(engines[i]).problem, "id of its own"));
    client_free(&clients[i]);
    engine_down(engines[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(ids_are_read_and_compared),
      TEST(eras_rise_and_name_the_life),
      TEST(urls_are_read),
      TEST(a_wrong_url_is_refused),
      TEST(a_server_that_is_away_is_refused),
      TEST(a_server_that_hangs_is_refused),
      TEST(a_key_of_another_type_is_refused),
      TEST(passwords_are_used),
      TEST(a_server_that_loads_is_waited_for),
      TEST(bad_entries_do_not_stop_the_feed),
      TEST(what_is_too_big_for_this_hub_is_a_gap),
      TEST(only_the_newest_are_loaded),
      TEST(a_long_log_is_loaded),
      TEST(the_oldest_are_removed_by_their_number),
      TEST(the_oldest_are_removed_by_their_age),
      TEST(a_log_that_was_emptied_goes_on),
      TEST(a_deleted_entry_is_no_new_history),
      TEST(a_program_publishes_by_one_command),
      TEST(a_hole_in_the_numbers_is_a_gap),
      TEST(an_engine_knows_how_far_it_is_behind),
      TEST(a_wrong_id_is_a_new_history),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
