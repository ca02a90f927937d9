/* SPDX-License-Identifier: MIT */
/* test_nats_history.c: several engines on one log in NATS, and what makes its history a new one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nats_world.h"

/* ---- several nodes ---- */

static void two_engines_share_a_log(void **state) {
  (void)state;
  enum {
    COUNT = 200
  };
  struct client clients[2];
  struct engine *engines[2];
  start_server(with_jetstream);
  for (int i = 0; i < 2; i++) {
    engines[i] = up((struct engine_config){0});
    follow(&clients[i], engines[i]);
  }
  for (int i = 0; i < COUNT; i++)
    assert_int_equal(engine_submit(engines[i % 2], NAMES("a"),
                                   &(sse_event){.text = i % 2 ? "b" : "a"}, NULL, NULL),
                     0);
  for (int i = 0; i < 2; i++) assert_true(client_wait(&clients[i], COUNT));
  for (size_t i = 0; i < COUNT; i++) {
    assert_string_equal(clients[0].seen[i].id, clients[1].seen[i].id);
    assert_string_equal(clients[0].seen[i].data, clients[1].seen[i].data);
    assert_int_equal(clients[0].seen[i].number, i + 1);
  }
  client_close(&clients[0]); /* the two change places */
  publish(engines[1], "a", "last");
  assert_true(client_wait(&clients[1], COUNT + 1));
  client_close(&clients[1]);
  connect_to(&clients[1], engines[0]);
  connect_to(&clients[0], engines[1]);
  assert_true(client_wait(&clients[0], COUNT + 1));
  publish(engines[0], "a", "the end");
  for (int i = 0; i < 2; i++) {
    assert_true(client_wait(&clients[i], COUNT + 2));
    assert_int_equal(clients[i].count, COUNT + 2);
    assert_int_equal(clients[i].gaps, 0);
    client_free(&clients[i]);
  }
  for (int i = 0; i < 2; i++) engine_down(engines[i]);
}

struct opener {
  pthread_t thread;
  struct engine *engine;
  char problem[ENGINE_PROBLEM_MAX];
  uint64_t entries_max;
  int error;
};

static void *run_opener(void *arg) {
  struct opener *opener = arg;
  const struct engine_config config = {.where = server.url, .entries_max = opener->entries_max};
  opener->error = engine_open(&opener->engine, engine_find("nats"), &config, opener->problem);
  return NULL;
}

/* Also if they do not agree on how the stream is to be. */
static void several_nodes_begin_one_history(void **state) {
  (void)state;
  enum {
    OPENERS = 4,
    TIMES = 20
  };
  start_server(with_jetstream);
  for (int i = 0; i < TIMES; i++) {
    struct opener openers[OPENERS];
    char ids[2][SSE_ID_BYTES_MAX + 1];
    if (i > 0) change("DELETE", "");
    for (int k = 0; k < OPENERS; k++) {
      openers[k].entries_max = i % 2 ? 1000 + (uint64_t)k : 1000;
      pthread_create(&openers[k].thread, NULL, run_opener, &openers[k]);
    }
    for (int k = 0; k < OPENERS; k++) pthread_join(openers[k].thread, NULL);
    for (int k = 0; k < OPENERS; k++)
      if (openers[k].error) fail_msg("%s", openers[k].problem);
    for (int k = 0; k < OPENERS; k++) {
      sse_hub_position(engine_hub(openers[k].engine), ids[k > 0], sizeof ids[0]);
      if (k > 0) assert_string_equal(ids[0], ids[1]);
    }
    for (int k = 0; k < OPENERS; k++) engine_down(openers[k].engine);
  }
}

static void what_was_trimmed_while_away_is_a_gap(void **state) {
  (void)state;
  struct client client;
  start_server(with_jetstream);
  proxy_start(&proxy, server.port);
  struct engine *engine = up((struct engine_config){.where = url_by_proxy()});
  struct engine *other = up((struct engine_config){0});
  follow(&client, engine);
  publish(engine, "a", "1");
  assert_told(&client, 1, "1");
  proxy.is_away = 1;
  proxy_cut(&proxy);
  await_failing(engine, 1);
  for (int i = 2; i <= 6; i++) publish(other, "a", i == 5 ? "5" : i == 6 ? "6" : "x");
  change("PURGE", "{\"keep\":2}");
  proxy.is_away = 0;
  assert_told(&client, 4, "1 [evicted] 5 6");
  proxy.is_away = 1;
  proxy_cut(&proxy);
  await_failing(engine, 1);
  publish(other, "a", "x");
  change("PURGE", ""); /* there is nothing to read that would show it */
  proxy.is_away = 0;
  assert_told(&client, 5, "1 [evicted] 5 6 [evicted]");
  publish(engine, "a", "8");
  assert_told(&client, 6, "1 [evicted] 5 6 [evicted] 8");
  assert_int_equal(status_of(engine).histories, 0);
  client_free(&client);
  engine_down(engine);
  engine_down(other);
  proxy_stop(&proxy);
}

/* While the engine is connected, but the messages do not reach it. */
static void what_was_trimmed_unread_is_a_gap(void **state) {
  (void)state;
  for (int is_read_on = 0; is_read_on < 2; is_read_on++) {
    struct client client;
    start_server(with_jetstream);
    proxy_start(&proxy, server.port);
    struct engine *engine =
        up((struct engine_config){.where = url_by_proxy(), .wait_max_ms = 100000});
    struct engine *other = up((struct engine_config){0});
    follow(&client, engine);
    publish(engine, "a", "1");
    assert_told(&client, 1, "1");
    proxy_hold(&proxy, 1, 1);
    atomic_uint outcomes[2] = {0};
    for (int i = 0; i < 2000; i++) submit(other, "x", outcomes);
    await_outcomes(outcomes, 2000);
    change("PURGE", "");
    if (is_read_on) publish(other, "a", "last");
    proxy_cut(&proxy);
    unsigned moments = 0;
    for (client_read(&client); client.gaps == 0; client_read(&client))
      assert_true(patience(&moments));
    if (!is_read_on) publish(other, "a", "last");
    moments = 0;
    for (client_read(&client); strcmp(client.seen[client.count - 1].data, "last") != 0;
         client_read(&client))
      assert_true(patience(&moments));
    assert_int_equal(client.gaps, 1);
    assert_int_equal(client.seen[client.count - 1].number, 2002);
    client_free(&client);
    engine_down(engine);
    engine_down(other);
    proxy_stop(&proxy);
    nats_server_free(&server);
  }
}

/* ---- new histories ---- */

/* Two nodes notice, idle or publishing, and agree. */
static void check_deleted(const char *create, int is_idle) {
  struct client clients[2];
  struct engine *engines[2];
  char ids[2][SSE_ID_BYTES_MAX + 1];
  for (int i = 0; i < 2; i++) {
    engines[i] = up((struct engine_config){0});
    follow(&clients[i], engines[i]);
  }
  publish(engines[0], "a", "1");
  publish(engines[1], "a", "2");
  for (int i = 0; i < 2; i++) assert_told(&clients[i], 2, "1 2");
  change("DELETE", "");
  if (create) change("CREATE", create);
  if (is_idle)
    for (int i = 0; i < 2; i++) assert_told(&clients[i], 3, "1 2 [restart]");
  publish(engines[0], "a", "3");
  publish(engines[1], "a", "4");
  for (int i = 0; i < 2; i++) {
    assert_told(&clients[i], 5, "1 2 [restart] 3 4");
    assert_int_equal(status_of(engines[i]).histories, 1);
    assert_int_equal(status_of(engines[i]).failed, 0);
    sse_hub_position(engine_hub(engines[i]), ids[i], sizeof ids[i]);
    client_free(&clients[i]);
    engine_down(engines[i]);
  }
  assert_string_equal(ids[0], ids[1]);
  change("DELETE", "");
}

static void a_stream_that_was_deleted_is_a_new_history(void **state) {
  (void)state;
  static const char stream[] = "{\"name\":\"SSE\",\"subjects\":[\"sse.log\"]}";
  start_server(with_jetstream);
  check_deleted(NULL, 1);
  check_deleted(NULL, 0);
  check_deleted(stream, 1);
  check_deleted(stream, 0);
}

/* The new stream has more entries than the old one had: no number shows it. */
static void a_longer_stream_of_the_same_name_is_a_new_history(void **state) {
  (void)state;
  struct client client;
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){0});
  follow(&client, engine);
  publish(engine, "a", "1");
  assert_told(&client, 1, "1");
  change("DELETE", "");
  change("CREATE", "{\"name\":\"SSE\",\"subjects\":[\"sse.log\"]}");
  for (int i = 0; i < 5; i++) tell("sse.log", "Sse-Channel: a\r\n", "new");
  assert_told(&client, 7, "1 [restart] new new new new new");
  client_free(&client);
  engine_down(engine);
}

/* Events are on their way all the time: each is answered 0. */
static void a_deletion_loses_no_event_that_is_on_its_way(void **state) {
  (void)state;
  enum {
    COUNT = 2000
  };
  atomic_uint outcomes[2] = {0};
  struct client client;
  char text[16];
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){0});
  follow(&client, engine);
  for (int i = 0; i < COUNT; i++) {
    snprintf(text, sizeof text, "%d", i);
    submit(engine, text, outcomes);
    if (i == COUNT / 2) change("DELETE", "");
    client_read(&client);
  }
  await_outcomes(outcomes, COUNT);
  assert_int_equal(outcomes[1], COUNT);
  unsigned moments = 0;
  for (client_read(&client);
       client.count == 0 || strcmp(client.seen[client.count - 1].data, text) != 0;
       client_read(&client))
    assert_true(patience(&moments));
  int last = -1;
  unsigned gaps = 0;
  for (size_t i = 0; i < client.count; i++) {
    if (strcmp(client.seen[i].type, "gap") == 0) {
      gaps++;
      continue;
    }
    int number = atoi(client.seen[i].data);
    if (number != last + 1 && gaps == 0) fail_msg("%d after %d", number, last);
    if (number <= last) fail_msg("%d after %d", number, last);
    last = number;
  }
  assert_int_equal(gaps, 1);
  client_free(&client);
  engine_down(engine);
}

/* ---- the server's data ---- */

/* For an engine that runs over the crash, and for one that is started only after it. */
static void check_crash(int loses_data, int runs, const char *wanted) {
  struct client client;
  struct engine *engine = up((struct engine_config){0});
  follow(&client, engine);
  publish(engine, "a", "1");
  publish(engine, "a", "2");
  assert_told(&client, 2, "1 2");
  client_close(&client);
  if (!runs) engine_down(engine);
  crash_server(loses_data);
  if (!runs) engine = up((struct engine_config){0});
  publish(engine, "a", "3");
  connect_to(&client, engine);
  client_wait(&client, loses_data ? 4 : 3);
  if (strcmp(told(&client), wanted) != 0) fail_msg("%d, %d: %s", loses_data, runs, told(&client));
  client_free(&client);
  engine_down(engine);
}

static void a_crash_of_the_server_is_a_new_history_only_without_its_data(void **state) {
  (void)state;
  static const char *const wanted[] = {"1 2 3", "1 2 [restart] 3"};
  for (int loses_data = 0; loses_data < 2; loses_data++)
    for (int runs = 0; runs < 2; runs++) {
      start_server(with_jetstream);
      check_crash(loses_data, runs, wanted[loses_data]);
      nats_server_free(&server);
    }
}

/* An older copy of the data is put in place: its stream was created at the same time. The lost
 * numbers are not given yet, or others have got them. */
static void a_lost_tail_is_a_new_history(void **state) {
  (void)state;
  for (int is_replaced = 0; is_replaced < 2; is_replaced++) {
    struct client client;
    start_server(with_jetstream);
    proxy_start(&proxy, server.port);
    change("CREATE",
           "{\"name\":\"SSE\",\"description\":\"our \\\"log\\\"\",\"subjects\":[\"sse.log\"]}");
    struct engine *engine = up((struct engine_config){.where = url_by_proxy()});
    follow(&client, engine);
    publish(engine, "a", "1");
    nats_server_kill(&server);
    nats_server_shell(&server, "cp -r data copy");
    assert_true(nats_server_start(&server));
    publish(engine, "a", "2");
    assert_told(&client, 2, "1 2");
    proxy.is_away = 1;
    nats_server_kill(&server);
    nats_server_shell(&server, "rm -rf data && mv copy data");
    assert_true(nats_server_start(&server));
    if (is_replaced) tell("sse.log", "Sse-Channel: b\r\n", "other");
    if (is_replaced) tell("sse.log", "Sse-Channel: b\r\n", "more");
    proxy.is_away = 0;
    publish(engine, "a", "3");
    /* What the log still has is given again after the gap. */
    assert_told(&client, 5, "1 2 [restart] 1 3");
    assert_int_equal(status_of(engine).histories, 1);
    if (!strstr(ask_stream("INFO", ""), "\"description\":\"our \\\"log\\\" sse-history=1\""))
      fail_msg("%s", ask_stream("INFO", ""));
    /* Another node has the same name for it, and a client goes on there. */
    struct engine *other = up((struct engine_config){0});
    client_close(&client);
    connect_to(&client, other);
    publish(other, "a", "4");
    assert_told(&client, 6, "1 2 [restart] 1 3 4");
    client_free(&client);
    engine_down(other);
    engine_down(engine);
    proxy_stop(&proxy);
    nats_server_free(&server);
  }
}

/* An operator has changed the description, of which the engine knows better. */
static void a_generation_never_goes_back(void **state) {
  (void)state;
  struct client client;
  start_server(with_jetstream);
  change("CREATE", "{\"name\":\"SSE\",\"description\":\"x sse-history=5\","
                   "\"subjects\":[\"sse.log\"]}");
  struct engine *engine = up((struct engine_config){0});
  follow(&client, engine);
  publish(engine, "a", "1");
  assert_told(&client, 1, "1");
  change("UPDATE", "{\"name\":\"SSE\",\"description\":\"y\",\"subjects\":[\"sse.log\"]}");
  assert_true(client_wait(&client, 2));
  publish(engine, "a", "2");
  assert_told(&client, 4, "1 [restart] 1 2");
  assert_non_null(strstr(ask_stream("INFO", ""), "\"description\":\"y sse-history=6\""));
  change("UPDATE", "{\"name\":\"SSE\",\"description\":\"z sse-history=9\","
                   "\"subjects\":[\"sse.log\"]}");
  assert_true(client_wait(&client, 5));
  publish(engine, "a", "3");
  assert_told(&client, 8, "1 [restart] 1 2 [restart] 1 2 3");
  client_free(&client);
  engine_down(engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(two_engines_share_a_log),
      TEST(several_nodes_begin_one_history),
      TEST(what_was_trimmed_while_away_is_a_gap),
      TEST(what_was_trimmed_unread_is_a_gap),
      TEST(a_stream_that_was_deleted_is_a_new_history),
      TEST(a_longer_stream_of_the_same_name_is_a_new_history),
      TEST(a_deletion_loses_no_event_that_is_on_its_way),
      TEST(a_crash_of_the_server_is_a_new_history_only_without_its_data),
      TEST(a_lost_tail_is_a_new_history),
      TEST(a_generation_never_goes_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
