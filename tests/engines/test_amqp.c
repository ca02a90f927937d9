/* SPDX-License-Identifier: MIT */
/* test_amqp.c: the engine of RabbitMQ: how it starts, entries, histories, several nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "amqp_world.h"

/* ---- URLs and the start ---- */

static void urls_are_read(void **state) {
  (void)state;
  static const struct {
    const char *text, *user, *password, *host, *port, *vhost, *queue;
    long long max_bytes, segment_bytes;
  } rows[] = {
      {"amqp://", "guest", "guest", "localhost", "5672", "/", "sse-log", 1000000000, 62500001},
      {"amqp://h/", "guest", "guest", "h", "5672", "/", "sse-log", 1000000000, 62500001},
      {"amqp://u:p%40%2f@[::1]:7/a%2fb?queue=q%20r", "u", "p@/", "::1", "7", "a/b", "q r",
       1000000000, 62500001},
      {"amqp://h/v?max-bytes=160&segment-bytes=7", "guest", "guest", "h", "5672", "v", "sse-log",
       160, 7},
      {"amqp://h?max-bytes=160", "guest", "guest", "h", "5672", "/", "sse-log", 160, 11},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct amqp_url got;
    const char *problem;
    if (amqp_url_parse(&got, rows[i].text, &problem)) fail_msg("%s: %s", rows[i].text, problem);
    assert_string_equal(got.user, rows[i].user);
    assert_string_equal(got.password, rows[i].password);
    assert_string_equal(got.host, rows[i].host);
    assert_string_equal(got.port, rows[i].port);
    assert_string_equal(got.vhost, rows[i].vhost);
    assert_string_equal(got.queue, rows[i].queue);
    assert_int_equal(got.max_bytes, rows[i].max_bytes);
    assert_int_equal(got.segment_bytes, rows[i].segment_bytes);
    amqp_url_free(&got);
  }
}

static void assert_refused(const char *where, const char *says) {
  struct engine *engine;
  char problem[ENGINE_PROBLEM_MAX] = "";
  const struct engine_config config = {.where = where, .wait_max_ms = 1000};
  int error = engine_open(&engine, engine_find("amqp"), &config, problem);
  if (error != ENGINE_ELOG || !strstr(problem, says))
    fail_msg("%s: \"%s\" instead of \"%s\"", where ? where : "NULL", problem, says);
  assert_null(strstr(problem, "secret"));
}

static void a_wrong_url_is_refused(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {NULL, "needs a URL"},
      {"localhost", "begins with amqp://"},
      {"amqps://localhost", "TLS"},
      {"amqp://localhost:x", "port"},
      {"amqp://[::1", "bracket"},
      {"amqp://user@localhost", "without a password"},
      {"amqp://u:secret%x@localhost", "%"},
      {"amqp://localhost/%zz", "vhost"},
      {"amqp://localhost?queue", "option"},
      {"amqp://localhost?queue=", "option"},
      {"amqp://localhost?queues=1", "options"},
      {"amqp://localhost?max-bytes=many", "options"},
      {"amqp://localhost?segment-bytes=0", "options"},
      {"amqp://host.invalid", "cannot find RabbitMQ at host.invalid:5672"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) assert_refused(rows[i][0], rows[i][1]);
}

static void a_server_that_refuses_is_named(void **state) {
  (void)state;
  char where[128], says[128];
  int port = free_port();
  snprintf(where, sizeof where, "amqp://u:secret@127.0.0.1:%d", port);
  snprintf(says, sizeof says, "cannot connect to RabbitMQ at 127.0.0.1:%d: Connection ref", port);
  assert_refused(where, says);
  snprintf(where, sizeof where, "amqp://guest:secret@127.0.0.1:%d", server.port);
  assert_refused(where, "RabbitMQ refused the login: ACCESS_REFUSED");
  snprintf(where, sizeof where, "amqp://127.0.0.1:%d/none", server.port);
  assert_refused(where, "RabbitMQ refused the vhost: NOT_ALLOWED - vhost none not found");
  snprintf(where, sizeof where, "amqp://127.0.0.1:%d", server.mapper.port);
  assert_refused(where, "RabbitMQ at 127.0.0.1");
}

static void a_queue_that_is_no_stream_is_refused(void **state) {
  (void)state;
  static const char *const types[] = {"classic", "quorum"};
  for (size_t i = 0; i < 2; i++) {
    begin_test(state);
    declare_queue(types[i]);
    assert_refused(url(""), "in RabbitMQ is not a stream; choose another one");
  }
}

/* Its own limits stay. */
static void a_stream_that_is_there_is_used(void **state) {
  (void)state;
  struct client client;
  declare_queue("stream");
  struct engine *engine = begin(&client, (struct engine_config){.age_max_s = 1000});
  publish(engine, "a", "1");
  assert_told(&client, 1, "1");
  end(&client, engine);
}

/* ---- entries ---- */

static void bad_entries_do_not_stop_the_feed(void **state) {
  (void)state;
  struct client client;
  char id[SSE_ID_BYTES_MAX + 1], epoch[SSE_ID_BYTES_MAX + 1];
  struct engine *engine = begin(&client, (struct engine_config){0});
  assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = "1"}, id), 0);
  snprintf(epoch, sizeof epoch, "%.*s", (int)strcspn(id, "."), id);
  amqp_table_entry_t bad[][5] = {
      {text_header("epoch", epoch), number_header("nonce", 1), text_header("channel", "a")},
      {text_header("epoch", epoch), number_header("nonce", 2), text_header("channels", "a"),
       number_header("flags", -1), number_header("at", 1)},
      {text_header("epoch", epoch), number_header("nonce", 3), text_header("channels", "a"),
       number_header("retry_ms", INT64_MAX), number_header("at", 1)},
      {text_header("epoch", epoch), number_header("nonce", 4), text_header("channels", "a"),
       text_header("id", "E.1"), number_header("at", 1)},
      {text_header("channels", "a"), number_header("nonce", 5), number_header("at", 1)},
      {text_header("epoch", "a name that is too long for an epoch"), number_header("nonce", 6),
       text_header("channels", "a")}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    append(bad[i], bad[i][4].key.len ? 5 : 3, "bad");
  publish(engine, "a", "2");
  assert_told(&client, 2, "1 2");
  assert_int_equal(status_of(engine).refused, sizeof bad / sizeof bad[0]);
  end(&client, engine);
}

static void long_names_are_refused_at_once(void **state) {
  (void)state;
  static char text[100001];
  struct client client;
  struct engine *engine = begin(&client, (struct engine_config){0});
  memset(text, 'x', sizeof text - 1);
  assert_int_equal(
      engine_publish(engine, NAMES("a"), &(sse_event){.text = "", .comment = text}, NULL),
      SSE_ETOOBIG);
  assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = text}, NULL), 0);
  text[sizeof text - 100] = '\0';
  assert_int_equal(
      engine_publish(engine, NAMES("a"), &(sse_event){.text = "", .comment = text}, NULL), 0);
  assert_true(client_wait(&client, 1));
  assert_int_equal(strlen(client.seen[0].data), sizeof text - 1);
  end(&client, engine);
}

/* A message has many frames. */
static void a_big_event_comes_back(void **state) {
  (void)state;
  enum {
    LEN = 1000000
  };
  char *text = malloc(LEN + 1);
  const sse_hub_config hub = {.event_bytes_max = 2 * LEN};
  struct client client;
  for (int i = 0; i < LEN; i++) text[i] = (char)('a' + i % 26);
  text[LEN] = '\0';
  struct engine *engine = begin(&client, (struct engine_config){.hub = &hub});
  publish(engine, "a", text);
  publish(engine, "a", "small");
  assert_true(client_wait(&client, 2));
  assert_string_equal(client.seen[0].data, text);
  assert_string_equal(client.seen[1].data, "small");
  end(&client, engine);
  free(text);
}

/* ---- the log ---- */

static void a_long_log_is_loaded(void **state) {
  (void)state;
  enum {
    COUNT = 5000
  };
  atomic_uint outcomes[2] = {0};
  struct client client;
  struct engine *engine = begin(&client, (struct engine_config){.wait_max_ms = 60000});
  for (int i = 0; i < COUNT; i++) submit(engine, i == COUNT - 1 ? "last" : "x", outcomes);
  await_outcomes(outcomes, COUNT);
  assert_int_equal(outcomes[1], COUNT);
  end(&client, engine);
  const sse_hub_config hub = {.channel.window_frames_max = COUNT};
  engine = up((struct engine_config){.hub = &hub});
  client_init(&client);
  client_open(&client, engine_hub(engine),
              &(sse_stream_config){.channel = "a", .start = SSE_START_RETAINED});
  assert_true(client_wait(&client, COUNT));
  assert_int_equal(client.gaps, 0);
  assert_string_equal(client.seen[COUNT - 1].data, "last");
  end(&client, engine);
}

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

/* Many segments come and go; no client is told of the offsets that the server takes for itself. */
static void the_oldest_are_removed_by_bytes(void **state) {
  (void)state;
  enum {
    COUNT = 1500
  };
  atomic_uint outcomes[2] = {0};
  struct client client;
  struct engine *engine =
      begin(&client, (struct engine_config){.where = url("&max-bytes=100000&segment-bytes=10000"),
                                            .wait_max_ms = 60000});
  for (unsigned i = 0; i < COUNT; i++) {
    submit(engine, "x", outcomes);
    if (i % 100 == 99) await_outcomes(outcomes, i);
    client_read(&client);
  }
  await_outcomes(outcomes, COUNT);
  assert_true(client_wait(&client, COUNT));
  assert_int_equal(client.gaps, 0);
  assert_true(client.seen[COUNT - 1].number > COUNT + 10);
  assert_in_range(count_of("x"), 50, 1200);
  end(&client, engine);
}

/* ---- several nodes ---- */

struct opener {
  pthread_t thread;
  const char *where;
  struct engine *engine;
  char problem[ENGINE_PROBLEM_MAX];
  int error;
};

static void *run_opener(void *arg) {
  struct opener *opener = arg;
  const struct engine_config config = {.where = opener->where, .wait_max_ms = 60000};
  opener->error = engine_open(&opener->engine, engine_find("amqp"), &config, opener->problem);
  if (!opener->error) opener->error = engine_start(opener->engine);
  return NULL;
}

static void several_nodes_begin_one_history(void **state) {
  (void)state;
  enum {
    OPENERS = 4,
    TIMES = 5
  };
  for (int i = 0; i < TIMES; i++) {
    struct opener openers[OPENERS];
    struct client clients[OPENERS];
    begin_test(state);
    declare_queue("stream");
    for (int k = 0; k < OPENERS; k++) openers[k].where = url("");
    for (int k = 0; k < OPENERS; k++)
      pthread_create(&openers[k].thread, NULL, run_opener, &openers[k]);
    for (int k = 0; k < OPENERS; k++) pthread_join(openers[k].thread, NULL);
    for (int k = 0; k < OPENERS; k++)
      if (openers[k].error) fail_msg("%s", openers[k].problem);
    for (int k = 0; k < OPENERS; k++) follow(&clients[k], openers[k].engine);
    for (int k = 0; k < OPENERS; k++) publish(openers[k].engine, "a", "x");
    for (int k = 0; k < OPENERS; k++) {
      assert_told(&clients[k], OPENERS, "x x x x");
      for (int n = 0; n < OPENERS; n++)
        assert_string_equal(clients[k].seen[n].id, clients[0].seen[n].id);
      if (status_of(openers[k].engine).histories > 0)
        fail_msg("%s", status_of(openers[k].engine).problem);
    }
    for (int k = 0; k < OPENERS; k++) end(&clients[k], openers[k].engine);
  }
}

static void what_was_removed_while_away_is_a_gap(void **state) {
  (void)state;
  const char *options = "&max-bytes=20000&segment-bytes=2000";
  struct client client;
  struct engine *engine = begin_by_proxy(&client, options, 60000);
  struct engine *other = up((struct engine_config){.where = url(options)});
  publish(engine, "a", "1");
  assert_told(&client, 1, "1");
  proxy.is_away = 1;
  proxy_cut(&proxy);
  await_failing(engine, 1);
  for (int i = 0; i < 500; i++) publish(other, "a", "x");
  proxy.is_away = 0;
  publish(engine, "a", "last");
  unsigned moments = 0;
  for (client_read(&client); strcmp(client.seen[client.count - 1].data, "last") != 0;
       client_read(&client))
    assert_true(patience(&moments));
  assert_string_equal(client.seen[1].type, "gap");
  assert_int_equal(client.gaps, 1);
  assert_in_range(client.count, 3, 400);
  assert_int_equal(status_of(engine).histories, 0);
  end(&client, engine);
  engine_down(other);
}

/* ---- new histories ---- */

/* Two nodes notice, idle or publishing, and agree. */
static void check_deleted(int is_idle, int is_declared) {
  struct client clients[2];
  struct engine *engines[2];
  char ids[2][SSE_ID_BYTES_MAX + 1];
  for (int i = 0; i < 2; i++)
    engines[i] = begin(&clients[i], (struct engine_config){.wait_max_ms = 60000});
  publish(engines[0], "a", "1");
  publish(engines[1], "a", "2");
  for (int i = 0; i < 2; i++) assert_told(&clients[i], 2, "1 2");
  delete_queue();
  if (is_declared) declare_queue("stream");
  if (is_idle)
    for (int i = 0; i < 2; i++) assert_told(&clients[i], 3, "1 2 [restart]");
  publish(engines[0], "a", "3");
  publish(engines[1], "a", "4");
  for (int i = 0; i < 2; i++) {
    assert_told(&clients[i], 5, "1 2 [restart] 3 4");
    assert_int_equal(status_of(engines[i]).failed, 0);
    snprintf(ids[i], sizeof ids[i], "%s", clients[i].seen[4].id);
    end(&clients[i], engines[i]);
  }
  assert_string_equal(ids[0], ids[1]);
}

static void a_queue_that_was_deleted_is_a_new_history(void **state) {
  for (int i = 0; i < 4; i++) {
    begin_test(state);
    check_deleted(i % 2, i / 2);
  }
}

/* Events are on their way all the time: each is answered 0 and is given to the client once. */
static void a_deletion_loses_no_event_that_is_on_its_way(void **state) {
  (void)state;
  enum {
    COUNT = 2000
  };
  atomic_uint outcomes[2] = {0};
  struct client client;
  char text[16];
  struct engine *engine = begin(&client, (struct engine_config){.wait_max_ms = 60000});
  for (int i = 0; i < COUNT; i++) {
    snprintf(text, sizeof text, "%d", i);
    submit(engine, text, outcomes);
    if (i == COUNT / 2) delete_queue();
    if (i == COUNT / 2) declare_queue("stream");
    client_read(&client);
  }
  await_outcomes(outcomes, COUNT);
  assert_int_equal(outcomes[1], COUNT);
  unsigned moments = 0, gaps = 0;
  for (client_read(&client);
       client.count == 0 || strcmp(client.seen[client.count - 1].data, text) != 0;
       client_read(&client))
    assert_true(patience(&moments));
  int last = -1;
  for (size_t i = 0; i < client.count; i++) {
    if (strcmp(client.seen[i].type, "gap") == 0) {
      gaps++;
      continue;
    }
    int number = atoi(client.seen[i].data);
    if (number <= last || (number != last + 1 && gaps == 0)) fail_msg("%d after %d", number, last);
    last = number;
  }
  assert_int_equal(gaps, 1);
  end(&client, engine);
}

/* A publisher that has not noticed yet that the queue is another one appends to it with the old
 * epoch, before and after its first mark. */
static void stale_entries_are_passed_over(void **state) {
  (void)state;
  struct client client;
  amqp_table_entry_t stale[] = {text_header("epoch", "stale"), text_header("channels", "a"),
                                number_header("writer", 0), number_header("nonce", 1)};
  declare_queue("stream");
  append(stale, 4, "stale");
  struct engine *engine = begin(&client, (struct engine_config){.wait_max_ms = 60000});
  publish(engine, "a", "1");
  assert_true(strncmp(client_last_id(&client), "stale", 5) != 0);
  append(stale, 4, "stale");
  publish(engine, "a", "2");
  assert_told(&client, 2, "1 2");
  assert_int_equal(status_of(engine).histories, 0);
  client_close(&client);
  engine_down(engine);
  engine = up((struct engine_config){0});
  connect_to(&client, engine);
  publish(engine, "a", "3");
  assert_told(&client, 3, "1 2 3");
  end(&client, engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(urls_are_read),
      cmocka_unit_test(a_wrong_url_is_refused),
      TEST(a_server_that_refuses_is_named),
      TEST(a_queue_that_is_no_stream_is_refused),
      TEST(a_stream_that_is_there_is_used),
      TEST(bad_entries_do_not_stop_the_feed),
      TEST(long_names_are_refused_at_once),
      TEST(a_big_event_comes_back),
      TEST(a_long_log_is_loaded),
      TEST(only_the_newest_are_loaded),
      TEST(the_oldest_are_removed_by_bytes),
      TEST(several_nodes_begin_one_history),
      TEST(what_was_removed_while_away_is_a_gap),
      TEST(a_queue_that_was_deleted_is_a_new_history),
      TEST(a_deletion_loses_no_event_that_is_on_its_way),
      TEST(stale_entries_are_passed_over),
  };
  return cmocka_run_group_tests(tests, start_server, stop_server);
}
