/* SPDX-License-Identifier: MIT */
/* test_nats.c: the engine of NATS: how it starts, entries, restarts, removing, other programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nats_url.h"
#include "nats_world.h"

/* ---- URLs and JSON ---- */

static void urls_are_read(void **state) {
  (void)state;
  static const struct {
    const char *text;
    struct nats_url url;
  } rows[] = {
      {"nats://", {.stream = "SSE", .subject = "sse.log", .replicas = "1"}},
      {"nats://h", {.host = "h", .stream = "SSE", .subject = "sse.log", .replicas = "1"}},
      {"nats://h:1/Chat",
       {.host = "h", .port = "1", .stream = "Chat", .subject = "chat.log", .replicas = "1"}},
      {"nats://u:p%40%2f@[::1]:7/?subject=a.b&replicas=3",
       {.user = "u",
        .password = "p@/",
        .host = "::1",
        .port = "7",
        .stream = "SSE",
        .subject = "a.b",
        .replicas = "3"}},
      {"nats://token%3a@h/",
       {.user = "token:", .host = "h", .stream = "SSE", .subject = "sse.log", .replicas = "1"}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const struct nats_url *wanted = &rows[i].url;
    struct nats_url got;
    const char *problem;
    if (nats_url_parse(&got, rows[i].text, &problem)) fail_msg("%s: %s", rows[i].text, problem);
    const char *const pairs[][2] = {{wanted->host ? wanted->host : "localhost", got.host},
                                    {wanted->port ? wanted->port : "4222", got.port},
                                    {wanted->user, got.user},
                                    {wanted->password, got.password},
                                    {wanted->stream, got.stream},
                                    {wanted->subject, got.subject},
                                    {wanted->replicas, got.replicas}};
    for (size_t k = 0; k < sizeof pairs / sizeof pairs[0]; k++)
      if (strcmp(pairs[k][0] ? pairs[k][0] : "-", pairs[k][1] ? pairs[k][1] : "-") != 0)
        fail_msg("%s: %s", rows[i].text, pairs[k][1]);
    nats_url_free(&got);
  }
}

static void json_is_read(void **state) {
  (void)state;
  static const struct {
    const char *text, *path, *value; /* NULL: there is none */
  } rows[] = {
      {"{}", "a", NULL},
      {"{\"a\":1}", "a", "1"},
      {" { \"a\" : { \"b\" : [1, {\"c\":2}] } , \"c\" : 3 } ", "c", "3"},
      {"{\"a\":{\"b\":[1,{\"c\":2}]},\"c\":3}", "a.b", "[1,{\"c\":2}]"},
      {"{\"a\":{\"c\":1},\"b\":{\"c\":2}}", "b.c", "2"},
      {"{\"x\":\"\\\"a\\\":1,}\",\"a\":\"}\\\\\"}", "a", "\"}\\\\\""},
      {"{\"aa\":1,\"a\":2}", "a", "2"},
      {"{\"a\":1", "a", "1"},
      {"{\"a\":", "a", NULL},
      {"{\"a\":[1", "a", NULL},
      {"{\"a\":\"", "a", NULL},
      {"{\"a\":\"\\", "a", NULL},
      {"{\"a\":}", "a", NULL},
      {"{\"b\":],\"a\":1}", "a", NULL},
      {"{\"a\" 1}", "a", NULL},
      {"[1]", "a", NULL},
      {"", "a", NULL},
      {"{\"a\":1}", "a.b", NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    size_t len = 0;
    const char *value = json_find(rows[i].text, rows[i].path, &len), *wanted = rows[i].value;
    if (wanted ? !value || len != strlen(wanted) || memcmp(value, wanted, len) != 0 : value != NULL)
      fail_msg("%s of %s: %.*s", rows[i].path, rows[i].text, (int)len, value ? value : "");
  }
  uint64_t number = 7;
  assert_int_equal(json_number("{\"a\":18446744073709551615}", "a", &number), 1);
  assert_true(number == UINT64_MAX);
  assert_int_equal(json_number("{\"a\":18446744073709551616}", "a", &number), 0);
  assert_int_equal(json_number("{\"a\":1.5}", "a", &number), 0);
  assert_int_equal(json_number("{\"a\":-1}", "a", &number), 0);
  assert_int_equal(json_has("{\"a\":[\"x\",\"y\"]}", "a", "y"), 1);
  assert_int_equal(json_has("{\"a\":[\"x\",\"yy\"]}", "a", "y"), 0);
  assert_int_equal(json_has("{\"a\":[]}", "a", "y"), 0);
}

/* ---- what is refused at the start ---- */

static void assert_refused(const char *where, const char *says) {
  struct engine *engine;
  char problem[ENGINE_PROBLEM_MAX] = "";
  const struct engine_config config = {.where = where, .wait_max_ms = 4000};
  int error = engine_open(&engine, engine_find("nats"), &config, problem);
  if (error != ENGINE_ELOG || !strstr(problem, says))
    fail_msg("%s: \"%s\" instead of \"%s\"", where ? where : "NULL", problem, says);
  assert_null(strstr(problem, "secret"));
}

static void a_wrong_url_is_refused(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {NULL, "needs a URL"},
      {"", "begins with nats://"},
      {"localhost:4222", "begins with nats://"},
      {"tls://localhost", "TLS"},
      {"nats://localhost:x", "port"},
      {"nats://localhost:123456", "port"},
      {"nats://[::1", "bracket"},
      {"nats://localhost/a.b", "stream"},
      {"nats://localhost/a%", "stream"},
      {"nats://localhost/a%20b", "stream"},
      {"nats://localhost/?subject", "option"},
      {"nats://localhost/?subject=", "subject"},
      {"nats://localhost/?subject=a.*", "subject"},
      {"nats://localhost/?subject=a..b", "subject"},
      {"nats://localhost/?subject=%24JS.a", "subject"},
      {"nats://localhost/?replicas=0", "options"},
      {"nats://localhost/?key=1", "options"},
      {"nats://:secret@localhost", "without a user"},
      {"nats://u:secret%x@localhost", "%"},
      {"nats://host.invalid", "cannot connect to NATS at host.invalid:4222"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) assert_refused(rows[i][0], rows[i][1]);
}

static void a_server_that_is_away_is_refused(void **state) {
  (void)state;
  char where[64], says[96];
  int port = free_port();
  snprintf(where, sizeof where, "nats://u:secret@127.0.0.1:%d", port);
  snprintf(says, sizeof says, "cannot connect to NATS at 127.0.0.1:%d: no server answers", port);
  assert_refused(where, says);
}

static void a_server_that_hangs_is_refused(void **state) {
  (void)state;
  start_server(with_jetstream);
  nats_server_pause(&server);
  assert_refused(server.url, "cannot connect to NATS at");
  nats_server_continue(&server);
}

static void a_server_without_jetstream_is_refused(void **state) {
  (void)state;
  start_server("");
  assert_refused(server.url, "JetStream is not enabled");
}

static void a_stream_that_is_no_log_is_refused(void **state) {
  (void)state;
  start_server(with_jetstream);
  change("CREATE", "{\"name\":\"SSE\",\"subjects\":[\"other\"],\"storage\":\"memory\"}");
  assert_refused(server.url, "the stream SSE in NATS does not have the subject sse.log");
  change("DELETE", "");
  change("CREATE", "{\"name\":\"SSE\",\"subjects\":[\"sse.log\"],\"retention\":\"workqueue\"}");
  assert_refused(server.url, "removes what was read");
  change("DELETE", "");
  change("CREATE", "{\"name\":\"SSE\",\"subjects\":[\"x\",\"sse.log\"],\"storage\":\"memory\"}");
  engine_down(up((struct engine_config){0}));
  assert_refused(url("/OTHER?subject=sse.log"), "JetStream refused to create the stream");
}

static void passwords_and_tokens_are_used(void **state) {
  (void)state;
  static const struct {
    const char *settings, *right, *wrong;
  } rows[] = {
      {"jetstream { store_dir: data }\nauthorization { user: me, password: secret }", "me:secret@",
       "me:secret2@"},
      {"jetstream { store_dir: data }\nauthorization { token: secret }", "secret@", "secret2@"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char where[128];
    start_server(rows[i].settings);
    assert_refused(server.url, "it refused the user, the password or the token");
    snprintf(where, sizeof where, "nats://%s127.0.0.1:%d", rows[i].wrong, server.port);
    assert_refused(where, "it refused the user, the password or the token");
    snprintf(where, sizeof where, "nats://%s127.0.0.1:%d", rows[i].right, server.port);
    struct engine *engine = up((struct engine_config){.where = where});
    publish(engine, "a", "x");
    engine_down(engine);
    nats_server_free(&server);
  }
}

/* ---- entries ---- */

/* What other programs have published: "nats pub sse.log hello", and worse. */
static void bad_entries_do_not_stop_the_feed(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",
      "Sse-Type: x\r\n",
      "Sse-Channel: \r\n",
      "Sse-Channel: a%\r\n",
      "Sse-Channel: a%00b\r\n",
      "Sse-Channel: a\r\nSse-Channel: a\r\n",
      "Sse-Channel: a\r\nSse-Flags: many\r\n",
      "Sse-Channel: a\r\nSse-Flags: 8\r\n",
      "Sse-Channel: a\r\nSse-Retry-Ms: -7\r\n",
      "Sse-Channel: a\r\nSse-Label: -1\r\n",
      "Sse-Channel: a\r\nSse-Label: 18446744073709551616\r\n",
      "Sse-Channel: a\r\nSse-Id: E.1\r\n",
      "Sse-Channel: a\r\nSse-At: 99999999999999999999\r\n",
  };
  enum {
    COUNT = sizeof bad / sizeof bad[0]
  };
  struct client client;
  char text[16];
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){0});
  follow(&client, engine);
  for (size_t i = 0; i < COUNT; i++) {
    tell("sse.log", bad[i], "hello");
    snprintf(text, sizeof text, "%zu", i);
    publish(engine, "a", text);
    assert_true(client_wait(&client, i + 1));
    if (strcmp(client.seen[i].data, text) != 0 || status_of(engine).refused != i + 1)
      fail_msg("%s: was given, \"%s\"", bad[i], client.seen[i].data);
  }
  assert_int_equal(client.gaps, 0);
  client_free(&client);
  engine_down(engine);
}

static void a_program_publishes_by_one_command(void **state) {
  (void)state;
  struct client client;
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){0});
  follow(&client, engine);
  publish(engine, "a", "1");
  tell("sse.log", "Sse-Channel: b\r\nSse-Channel:  a\r\nSse-Type: a%20type\r\n", "2");
  tell("sse.log", "sse-channel: a\r\n", "not this one: names of headers have a case");
  publish(engine, "a", "4");
  assert_told(&client, 3, "1 2 4");
  assert_string_equal(client.seen[1].type, "a type");
  assert_int_equal(client.seen[2].number, 4);
  client_free(&client);
  engine_down(engine);
}

static void messages_of_other_subjects_are_passed_over(void **state) {
  (void)state;
  struct client client;
  start_server(with_jetstream);
  change("CREATE", "{\"name\":\"SSE\",\"subjects\":[\"x\",\"sse.log\"],\"storage\":\"memory\"}");
  struct engine *engine = up((struct engine_config){0});
  follow(&client, engine);
  publish(engine, "a", "1");
  tell("x", "Sse-Channel: a\r\n", "2");
  publish(engine, "a", "3");
  assert_told(&client, 2, "1 3");
  assert_int_equal(client.seen[1].number, 3);
  client_free(&client);
  engine_down(engine);
}

static void what_is_too_big_for_this_hub_is_a_gap(void **state) {
  (void)state;
  const sse_hub_config hub = {.event_bytes_max = 1000};
  static char big[2000];
  struct client client;
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){.hub = &hub});
  follow(&client, engine);
  publish(engine, "a", "1");
  assert_told(&client, 1, "1");
  memset(big, 'x', sizeof big - 1);
  tell("sse.log", "Sse-Channel: a\r\n", big);
  publish(engine, "a", "3");
  assert_told(&client, 3, "1 [evicted] 3");
  client_free(&client);
  engine_down(engine);
}

/* The hub would take more than the server does. */
static void what_is_too_big_for_the_server_is_refused(void **state) {
  (void)state;
  const sse_hub_config hub = {.event_bytes_max = 1000000};
  static char big[100000], comment[3000];
  struct client client;
  start_server("jetstream { store_dir: data }\nmax_payload: 10000");
  struct engine *engine = up((struct engine_config){.hub = &hub});
  follow(&client, engine);
  memset(big, 'x', sizeof big - 1);
  assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = big}, NULL),
                   SSE_ETOOBIG);
  big[7000] = '\0';
  publish(engine, "a", big);
  /* Encoded it takes three times as much. */
  memset(comment, '%', sizeof comment - 1);
  assert_int_equal(
      engine_publish(engine, NAMES("a"), &(sse_event){.text = "x", .comment = comment}, NULL), 0);
  big[4000] = '\0';
  assert_int_equal(
      engine_publish(engine, NAMES("a"), &(sse_event){.text = big, .comment = comment}, NULL),
      ENGINE_ELOG);
  assert_non_null(strstr(status_of(engine).problem, "the NATS server takes 10000 (max_payload)"));
  assert_int_equal(status_of(engine).failing, 1);
  publish(engine, "a", "last");
  assert_int_equal(status_of(engine).failing, 0);
  assert_true(client_wait(&client, 3));
  assert_string_equal(client.seen[2].data, "last");
  client_free(&client);
  engine_down(engine);
}

/* ---- restarts of the engine ---- */

/* The id that a publisher is told is the one that clients are given. */
static void a_publisher_is_told_the_id(void **state) {
  (void)state;
  struct client client;
  char id[SSE_ID_BYTES_MAX + 1];
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){0});
  follow(&client, engine);
  assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = "1"}, id), 0);
  assert_told(&client, 1, "1"); /* without waiting: the hub has it when the publisher is told */
  assert_string_equal(client.seen[0].id, id);
  client_free(&client);
  engine_down(engine);
}

static void only_the_newest_are_loaded(void **state) {
  (void)state;
  struct client client;
  char text[8];
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){0});
  follow(&client, engine);
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
  client_free(&client);
  engine_down(engine);
}

/* Many requests for messages are made at the start. */
static void a_long_log_is_loaded(void **state) {
  (void)state;
  enum {
    COUNT = 5000
  };
  atomic_uint outcomes[2] = {0};
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){0});
  for (int i = 0; i < COUNT; i++) submit(engine, "x", outcomes);
  await_outcomes(outcomes, COUNT);
  assert_int_equal(outcomes[1], COUNT);
  engine_down(engine);
  engine = up((struct engine_config){.load_max = COUNT});
  assert_int_equal(status_of(engine).head, COUNT);
  engine_down(engine);
  assert_int_equal(length(), COUNT);
}

/* Messages that together are more than one request takes. */
static void a_log_of_big_events_is_loaded(void **state) {
  (void)state;
  enum {
    COUNT = 60
  };
  static char big[200000];
  struct client client;
  char start[SSE_ID_BYTES_MAX + 1];
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){0});
  sse_hub_position(engine_hub(engine), start, sizeof start);
  memset(big, 'x', sizeof big - 1);
  for (int i = 0; i < COUNT; i++) publish(engine, "a", big);
  engine_down(engine);
  engine = up((struct engine_config){0});
  assert_int_equal(status_of(engine).head, COUNT);
  assert_int_equal(status_of(engine).skipped, 0);
  follow(&client, engine);
  publish(engine, "a", "last");
  assert_told(&client, 1, "last");
  client_free(&client);
  engine_down(engine);
}

/* ---- removing ---- */

static void the_oldest_are_removed_by_their_number(void **state) {
  (void)state;
  atomic_uint outcomes[2] = {0};
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){.entries_max = 200});
  for (int i = 0; i < 2000; i++) submit(engine, "x", outcomes);
  await_outcomes(outcomes, 2000);
  assert_int_equal(outcomes[1], 2000);
  assert_int_equal(length(), 200);
  engine_down(engine);
}

static void the_oldest_are_removed_by_their_age(void **state) {
  (void)state;
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){.age_max_s = 1});
  publish(engine, "a", "old");
  assert_int_equal(length(), 1);
  await_length(0);
  publish(engine, "a", "young");
  assert_int_equal(state_of("state.last_seq"), 2);
  assert_int_equal(status_of(engine).histories, 0);
  engine_down(engine);
}

/* Numbers go on when nothing is left, for a running engine and for a new one. */
static void a_log_that_was_purged_goes_on(void **state) {
  (void)state;
  struct client client;
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){0});
  follow(&client, engine);
  publish(engine, "a", "1");
  publish(engine, "a", "2");
  change("PURGE", "");
  publish(engine, "a", "3");
  assert_told(&client, 3, "1 2 3");
  change("PURGE", "");
  client_close(&client);
  engine_down(engine);
  engine = up((struct engine_config){0});
  assert_int_equal(status_of(engine).head, 3);
  connect_to(&client, engine);
  publish(engine, "a", "4");
  assert_told(&client, 4, "1 2 3 4");
  client_free(&client);
  engine_down(engine);
}

/* Single messages were deleted: the newest one, which the engine has read, and one in the middle. */
static void a_deleted_entry_is_a_number_without_an_event(void **state) {
  (void)state;
  struct client client;
  char start[SSE_ID_BYTES_MAX + 1];
  start_server(with_jetstream);
  proxy_start(&proxy, server.port);
  struct engine *engine = up((struct engine_config){.where = url_by_proxy()});
  sse_hub_position(engine_hub(engine), start, sizeof start);
  follow(&client, engine);
  for (int i = 1; i <= 4; i++) publish(engine, "a", i == 1 ? "1" : i == 4 ? "4" : "x");
  assert_true(client_wait(&client, 4));
  change("MSG.DELETE", "{\"seq\":4}");
  change("MSG.DELETE", "{\"seq\":2}");
  proxy_cut(&proxy);
  publish(engine, "a", "5");
  assert_told(&client, 5, "1 x x 4 5");
  engine_stop(engine);
  struct engine *other = up((struct engine_config){0});
  assert_int_equal(status_of(other).head, 5);
  struct client second;
  client_init(&second);
  sse_stream_config config = {.channel = "a"};
  config.last_id = start;
  sse_stream *stream;
  char wire[4096];
  assert_int_equal(sse_stream_open(&stream, engine_hub(other), &config), 0);
  assert_int_equal(sse_stream_resume_result(stream), SSE_RESUME_RESUMED);
  ssize_t len;
  while ((len = sse_stream_read(stream, wire, sizeof wire)) > 0)
    client_feed(&second, wire, (size_t)len);
  assert_string_equal(told(&second), "1 x 5");
  sse_stream_free(stream);
  client_free(&second);
  client_free(&client);
  engine_down(other);
  engine_down(engine);
  proxy_stop(&proxy);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(urls_are_read),
      TEST(json_is_read),
      TEST(a_wrong_url_is_refused),
      TEST(a_server_that_is_away_is_refused),
      TEST(a_server_that_hangs_is_refused),
      TEST(a_server_without_jetstream_is_refused),
      TEST(a_stream_that_is_no_log_is_refused),
      TEST(passwords_and_tokens_are_used),
      TEST(bad_entries_do_not_stop_the_feed),
      TEST(a_program_publishes_by_one_command),
      TEST(messages_of_other_subjects_are_passed_over),
      TEST(what_is_too_big_for_this_hub_is_a_gap),
      TEST(what_is_too_big_for_the_server_is_refused),
      TEST(a_publisher_is_told_the_id),
      TEST(only_the_newest_are_loaded),
      TEST(a_long_log_is_loaded),
      TEST(a_log_of_big_events_is_loaded),
      TEST(the_oldest_are_removed_by_their_number),
      TEST(the_oldest_are_removed_by_their_age),
      TEST(a_log_that_was_purged_goes_on),
      TEST(a_deleted_entry_is_a_number_without_an_event),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
