/* SPDX-License-Identifier: MIT */
/* test_redis_history.c: several engines on one log in Redis, and what makes its history a new one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redis_world.h"

/* ---- several nodes ---- */

struct opener {
  pthread_t thread;
  struct engine *engine;
  char problem[ENGINE_PROBLEM_MAX];
  int error;
};

static void *run_opener(void *arg) {
  struct opener *opener = arg;
  const struct engine_config config = {.where = server.url};
  opener->error = engine_open(&opener->engine, engine_find("redis"), &config, opener->problem);
  return NULL;
}

static void several_nodes_begin_one_history(void **state) {
  (void)state;
  enum {
    OPENERS = 4,
    TIMES = 20
  };
  start_server("");
  for (int i = 0; i < TIMES; i++) {
    struct opener openers[OPENERS];
    char ids[2][SSE_ID_BYTES_MAX + 1];
    change("FLUSHALL");
    for (int k = 0; k < OPENERS; k++)
      pthread_create(&openers[k].thread, NULL, run_opener, &openers[k]);
    for (int k = 0; k < OPENERS; k++) pthread_join(openers[k].thread, NULL);
    for (int k = 0; k < OPENERS; k++)
      if (openers[k].error) fail_msg("%s", openers[k].problem);
    for (int k = 0; k < OPENERS; k++) {
      sse_hub_position(engine_hub(openers[k].engine), ids[k > 0], sizeof ids[0]);
      if (k > 0) assert_string_equal(ids[0], ids[1]);
    }
    for (int k = 0; k < OPENERS; k++) engine_down(openers[k].engine);
    assert_int_equal(length(), 1);
  }
}

static void what_was_trimmed_while_away_is_a_gap(void **state) {
  (void)state;
  struct client client;
  start_server("");
  proxy_start(&proxy, server.port);
  struct engine *engine = up((struct engine_config){.where = url_by_proxy("")});
  struct engine *other = up((struct engine_config){0});
  follow(&client, engine);
  publish(engine, "a", "1");
  assert_told(&client, 1, "1");
  proxy.is_away = 1;
  proxy_cut(&proxy);
  await_failing(engine, 1);
  for (int i = 2; i <= 6; i++) publish(other, "a", i == 5 ? "5" : i == 6 ? "6" : "x");
  change("XTRIM sse-log MAXLEN 2");
  proxy.is_away = 0;
  assert_told(&client, 4, "1 [evicted] 5 6");
  proxy.is_away = 1;
  proxy_cut(&proxy);
  await_failing(engine, 1);
  publish(other, "a", "x");
  change("XTRIM sse-log MAXLEN 0"); /* there is nothing to read that would show it */
  proxy.is_away = 0;
  assert_told(&client, 5, "1 [evicted] 5 6 [evicted]");
  publish(engine, "a", "8");
  assert_told(&client, 6, "1 [evicted] 5 6 [evicted] 8");
  assert_int_equal(status_of(engine).histories, 0);
  end(&client, engine);
  engine_down(other);
}

/* ---- new histories ---- */

/* Two nodes notice, idle or publishing, and agree. */
static void check_deleted(const char *command, int is_idle) {
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
  change(command);
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
  assert_int_equal(length(), 3); /* nothing was appended before the begin */
}

static void a_stream_that_was_deleted_is_a_new_history(void **state) {
  (void)state;
  start_server("");
  check_deleted("FLUSHALL", 1);
  check_deleted("FLUSHALL", 0);
  check_deleted("DEL sse-log", 0);
  check_deleted("RENAME sse-log other", 1);
}

/* Events are on their way all the time: each is answered 0 and is in the log once. */
static void a_flush_loses_no_event_that_is_on_its_way(void **state) {
  (void)state;
  enum {
    COUNT = 2000
  };
  atomic_uint outcomes[2] = {0};
  struct client client;
  char text[16];
  struct engine *engine = begin(&client, (struct engine_config){0});
  for (int i = 0; i < COUNT; i++) {
    snprintf(text, sizeof text, "%d", i);
    submit(engine, text, outcomes);
    if (i == COUNT / 2) change("FLUSHALL");
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
  end(&client, engine);
}

static const struct {
  const char *settings, *options;
  int loses_data;
  const char *wanted;
} crash_rows[] = {
    {"appendonly yes\nappendfsync always", "?durable=1", 0, "1 2 3"},
    {"appendonly yes\nappendfsync always", "", 0, "1 2 [restart] 3"},
    {"appendonly yes\nappendfsync always", "?durable=1", 1, "1 2 [restart] 3"},
    {"", "", 1, "1 2 [restart] 3"},
};

/* For an engine that runs over the crash, and for one that is started only after it. */
static void check_crash(size_t row, int runs) {
  struct client client;
  const char *where = url(crash_rows[row].options);
  struct engine *engine = up((struct engine_config){.where = where});
  follow(&client, engine);
  publish(engine, "a", "1");
  publish(engine, "a", "2");
  assert_told(&client, 2, "1 2");
  client_close(&client);
  if (!runs) engine_down(engine);
  crash_server(crash_rows[row].loses_data);
  if (!runs) engine = up((struct engine_config){.where = where});
  publish(engine, "a", "3");
  connect_to(&client, engine);
  size_t count = strstr(crash_rows[row].wanted, "[") ? 4 : 3;
  /* What the log still has comes again after the gap, if the engine has loaded it. */
  client_wait(&client, count);
  if (strcmp(told(&client), crash_rows[row].wanted) != 0)
    fail_msg("row %zu, %d: %s", row, runs, told(&client));
  end(&client, engine);
}

static void a_crash_of_the_server_is_a_new_history_unless_it_is_durable(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof crash_rows / sizeof crash_rows[0]; i++)
    for (int runs = 0; runs < 2; runs++) {
      start_server(crash_rows[i].settings);
      check_crash(i, runs);
      server_free(&server);
    }
}

/* The operator said it is durable, and it was not: the last entry is gone, or is another one. */
static void a_lost_tail_of_a_durable_log_is_noticed(void **state) {
  (void)state;
  for (int is_replaced = 0; is_replaced < 2; is_replaced++) {
    struct client client;
    struct engine *engine = begin_by_proxy(&client, "?durable=1", 0);
    publish(engine, "a", "1");
    change("SAVE");
    publish(engine, "a", "2");
    assert_told(&client, 2, "1 2");
    proxy.is_away = 1;
    crash_server(0);
    if (is_replaced) {
      change("XADD sse-log * nonce 7 channels a data other");
      change("XADD sse-log * nonce 8 channels a data more");
    }
    proxy.is_away = 0;
    publish(engine, "a", "3");
    assert_told(&client, 4, "1 2 [restart] 3");
    client_free(&client);
    engine_down(engine);
    proxy_stop(&proxy);
    server_free(&server);
  }
}

/* The master dies, and its replica takes its place at the same address, with all entries or without
 * the newest. */
static void check_failover(int loses) {
  struct client client;
  struct redis_server master;
  char settings[64];
  struct engine *engine = begin_by_proxy(&client, "", 0);
  publish(engine, "a", "1");
  master = server;
  snprintf(settings, sizeof settings, "replicaof 127.0.0.1 %d", master.port);
  start_server(settings);
  await_length(2); /* on the replica */
  if (loses) change("REPLICAOF NO ONE");
  publish(engine, "a", "2");
  assert_told(&client, 2, "1 2");
  if (!loses) await_length(3);
  proxy.is_away = 1;
  server_free(&master);
  if (!loses) change("REPLICAOF NO ONE");
  proxy.server_port = server.port;
  proxy.is_away = 0;
  publish(engine, "a", "3");
  assert_told(&client, 4, "1 2 [restart] 3");
  end(&client, engine);
  proxy_stop(&proxy);
  server_free(&server);
}

static void a_failover_is_a_new_history(void **state) {
  (void)state;
  check_failover(0);
  check_failover(1);
}

/* An older copy takes the place of the stream while the engine is connected. It notices when it
 * appends, or when it looks. */
static void check_copy(int is_idle) {
  struct client client;
  struct engine *engine = begin(&client, (struct engine_config){0});
  publish(engine, "a", "1");
  change("COPY sse-log copy");
  publish(engine, "a", "2");
  publish(engine, "a", "3");
  assert_told(&client, 3, "1 2 3");
  change("COPY copy sse-log REPLACE");
  if (is_idle) assert_told(&client, 4, "1 2 3 [restart]");
  publish(engine, "a", "4");
  assert_told(&client, 5, "1 2 3 [restart] 4");
  end(&client, engine);
  server_free(&server);
}

static void a_copy_that_is_put_in_place_is_noticed(void **state) {
  (void)state;
  check_copy(0);
  check_copy(1);
}

/* A node comes back with what the log has lost, after another one has begun the new history. */
static void a_node_takes_up_a_history_that_others_began(void **state) {
  (void)state;
  struct client client;
  struct engine *engine = begin_by_proxy(&client, "", 0);
  publish(engine, "a", "1");
  change("SAVE");
  publish(engine, "a", "2");
  assert_told(&client, 2, "1 2");
  proxy.is_away = 1;
  crash_server(0);
  struct engine *other = up((struct engine_config){0});
  publish(other, "a", "3");
  uint64_t era = newest().era;
  proxy.is_away = 0;
  assert_told(&client, 4, "1 2 [restart] 3");
  publish(engine, "a", "4");
  assert_told(&client, 5, "1 2 [restart] 3 4");
  assert_true(newest().era == era);
  assert_int_equal(status_of(other).histories, 0);
  end(&client, engine);
  engine_down(other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(several_nodes_begin_one_history),
      TEST(what_was_trimmed_while_away_is_a_gap),
      TEST(a_stream_that_was_deleted_is_a_new_history),
      TEST(a_flush_loses_no_event_that_is_on_its_way),
      TEST(a_crash_of_the_server_is_a_new_history_unless_it_is_durable),
      TEST(a_lost_tail_of_a_durable_log_is_noticed),
      TEST(a_failover_is_a_new_history),
      TEST(a_copy_that_is_put_in_place_is_noticed),
      TEST(a_node_takes_up_a_history_that_others_began),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
