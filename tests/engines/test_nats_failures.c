/* SPDX-License-Identifier: MIT */
/* test_nats_failures.c: the engine of NATS over broken connections, and with a server that hangs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nats_world.h"

/* ---- broken connections ---- */

/* The message or its reply is held back, and the connection cut: there is one entry, one answer. */
static void check_cut(int holds_reply) {
  atomic_uint outcomes[2] = {0};
  struct client client;
  proxy_start(&proxy, server.port);
  struct engine *engine = up((struct engine_config){.where = url_by_proxy()});
  follow(&client, engine);
  uint64_t before = length();
  publish(engine, "a", "1");
  proxy_hold(&proxy, !holds_reply, holds_reply);
  submit(engine, "2", outcomes);
  submit(engine, "3", outcomes);
  if (holds_reply) await_length(before + 3);
  assert_int_equal(outcomes[0] + outcomes[1], 0);
  proxy_cut(&proxy);
  await_outcomes(outcomes, 2);
  assert_int_equal(outcomes[1], 2);
  publish(engine, "a", "4");
  assert_told(&client, 4, "1 2 3 4");
  assert_int_equal(length(), before + 4);
  assert_int_equal(status_of(engine).appended, 4);
  client_free(&client);
  engine_down(engine);
  proxy_stop(&proxy);
}

static void an_event_of_unknown_outcome_is_appended_once(void **state) {
  (void)state;
  start_server(with_jetstream);
  for (int i = 0; i < 10; i++) check_cut(i % 2);
}

/* The engine gives a silent connection up; what it has sent there arrives after it has sent it
 * again. JetStream knows it by its nonce. */
static void what_arrives_late_is_not_appended_twice(void **state) {
  (void)state;
  atomic_uint outcomes[2] = {0};
  struct client client;
  start_server(with_jetstream);
  proxy_start(&proxy, server.port);
  struct engine *engine = up((struct engine_config){.where = url_by_proxy(), .wait_max_ms = 16000});
  follow(&client, engine);
  publish(engine, "a", "1");
  proxy_hold(&proxy, 1, 0);
  submit(engine, "2", outcomes);
  await_outcomes(outcomes, 1);
  assert_int_equal(outcomes[1], 1);
  proxy_hold(&proxy, 0, 0);
  for (int i = 0; i < 20; i++) publish(engine, "a", "x");
  assert_int_equal(length(), 22);
  assert_true(client_wait(&client, 22));
  assert_int_equal(client.gaps, 0);
  client_free(&client);
  engine_down(engine);
  proxy_stop(&proxy);
}

/* It was in the log, and was removed before the engine could read it. */
static void an_event_that_was_removed_unread_is_answered(void **state) {
  (void)state;
  atomic_uint outcomes[2] = {0};
  struct client client;
  start_server(with_jetstream);
  proxy_start(&proxy, server.port);
  struct engine *engine = up((struct engine_config){.where = url_by_proxy()});
  follow(&client, engine);
  publish(engine, "a", "1");
  assert_told(&client, 1, "1");
  proxy_hold(&proxy, 0, 1);
  submit(engine, "2", outcomes);
  await_length(2);
  change("PURGE", "");
  proxy_cut(&proxy);
  await_outcomes(outcomes, 1);
  assert_int_equal(outcomes[1], 1);
  publish(engine, "a", "3");
  assert_told(&client, 3, "1 [evicted] 3");
  assert_int_equal(client.seen[2].number, 3);
  client_free(&client);
  engine_down(engine);
  proxy_stop(&proxy);
}

/* JetStream has forgotten the nonce, so nobody can know: the event is not sent again. */
static void a_nonce_is_not_relied_on_for_longer_than_the_window(void **state) {
  (void)state;
  atomic_uint outcomes[2] = {0};
  start_server(with_jetstream);
  change("CREATE", "{\"name\":\"SSE\",\"subjects\":[\"sse.log\"],\"duplicate_window\":200000000}");
  proxy_start(&proxy, server.port);
  struct engine *engine = up((struct engine_config){.where = url_by_proxy(), .wait_max_ms = 20000});
  publish(engine, "a", "1");
  proxy_hold(&proxy, 1, 0);
  submit(engine, "2", outcomes);
  await_failing(engine, 1); /* after a quarter of wait_max_ms */
  await_outcomes(outcomes, 1);
  assert_int_equal(outcomes[0], 1);
  assert_int_equal(length(), 1);
  publish(engine, "a", "3");
  engine_down(engine);
  proxy_stop(&proxy);
}

/* The server is killed again and again while events are on their way: each is there once. */
static void a_server_that_is_killed_loses_nothing(void **state) {
  (void)state;
  enum {
    ROUNDS = 5,
    COUNT = 200
  };
  atomic_uint outcomes[2] = {0};
  struct client client;
  char text[16];
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){.wait_max_ms = 60000});
  follow(&client, engine);
  for (int i = 0; i < ROUNDS; i++) {
    for (int k = 0; k < COUNT; k++) {
      snprintf(text, sizeof text, "%d", i * COUNT + k);
      submit(engine, text, outcomes);
    }
    client_read(&client);
    crash_server(0);
  }
  await_outcomes(outcomes, ROUNDS * COUNT);
  assert_int_equal(outcomes[1], ROUNDS * COUNT);
  assert_true(client_wait(&client, ROUNDS * COUNT));
  for (int i = 0; i < ROUNDS * COUNT; i++)
    if (atoi(client.seen[i].data) != i) fail_msg("%s instead of %d", client.seen[i].data, i);
  assert_int_equal(client.gaps, 0);
  assert_int_equal(length(), ROUNDS * COUNT);
  client_free(&client);
  engine_down(engine);
}

/* ---- a server that hangs or refuses ---- */

static void nothing_blocks_while_the_server_hangs(void **state) {
  (void)state;
  enum {
    COUNT = 1000
  };
  atomic_uint outcomes[2] = {0};
  struct client client;
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){.wait_max_ms = 60000});
  follow(&client, engine);
  publish(engine, "a", "first");
  nats_server_pause(&server);
  for (int i = 0; i < COUNT; i++) submit(engine, "x", outcomes);
  assert_int_equal(outcomes[0] + outcomes[1], 0); /* all calls have come back, without an answer */
  assert_int_equal(status_of(engine).waiting, COUNT);
  nats_server_continue(&server);
  await_outcomes(outcomes, COUNT);
  assert_int_equal(outcomes[1], COUNT);
  assert_true(client_wait(&client, COUNT + 1));
  assert_int_equal(client.gaps, 0);
  client_free(&client);
  engine_down(engine);
}

static void an_event_waits_for_a_bounded_time(void **state) {
  (void)state;
  atomic_uint outcomes[2] = {0};
  struct client client;
  start_server(with_jetstream);
  struct engine *engine =
      up((struct engine_config){.wait_max_ms = 2000, .waiting_bytes_max = 20000});
  follow(&client, engine);
  nats_server_pause(&server);
  unsigned taken = 0;
  int error;
  while ((error = engine_submit(engine, NAMES("a"), &(sse_event){.text = "x"}, count_outcome,
                                outcomes)) == 0)
    taken++;
  assert_int_equal(error, ENGINE_EBUSY);
  assert_in_range(taken, 20, 200);
  await_outcomes(outcomes, taken);
  assert_int_equal(outcomes[0], taken);
  assert_int_equal(status_of(engine).failed, taken);
  await_failing(engine, 1);
  nats_server_continue(&server);
  await_failing(engine, 0);
  publish(engine, "a", "last");
  unsigned moments = 0;
  for (client_read(&client); strcmp(client.seen[client.count - 1].data, "last") != 0;
       client_read(&client))
    assert_true(patience(&moments));
  assert_int_equal(client.gaps, 0);
  client_free(&client);
  engine_down(engine);
}

static void a_stop_is_bounded(void **state) {
  (void)state;
  for (int is_dead = 0; is_dead < 2; is_dead++) {
    atomic_uint outcomes[2] = {0};
    start_server(with_jetstream);
    struct engine *engine = up((struct engine_config){.wait_max_ms = 2000});
    nats_server_pause(&server);
    submit(engine, "x", outcomes);
    if (is_dead) nats_server_kill(&server);
    engine_stop(engine);
    assert_int_equal(outcomes[0], 1);
    assert_int_equal(status_of(engine).waiting, 0);
    engine_down(engine);
    nats_server_free(&server);
  }
}

static void a_stop_answers_first(void **state) {
  (void)state;
  atomic_uint outcomes[2] = {0};
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){0});
  for (int i = 0; i < 100; i++) submit(engine, "x", outcomes);
  engine_stop(engine);
  assert_int_equal(outcomes[1], 100);
  assert_int_equal(length(), 100);
  engine_down(engine);
}

static void a_refusal_of_jetstream_is_answered(void **state) {
  (void)state;
  struct client client;
  start_server(with_jetstream);
  change("CREATE", "{\"name\":\"SSE\",\"subjects\":[\"sse.log\"],\"max_msgs\":1,"
                   "\"discard\":\"new\"}");
  struct engine *engine = up((struct engine_config){0});
  follow(&client, engine);
  publish(engine, "a", "1");
  assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = "2"}, NULL),
                   ENGINE_ELOG);
  assert_int_equal(status_of(engine).failing, 1);
  assert_non_null(strstr(status_of(engine).problem, "JetStream refused to append: maximum me"));
  change("PURGE", "");
  publish(engine, "a", "3");
  assert_int_equal(status_of(engine).failing, 0);
  assert_told(&client, 2, "1 3");
  client_free(&client);
  engine_down(engine);
}

/* JetStream is switched off, and on again with its data. */
static void a_server_without_jetstream_is_waited_for(void **state) {
  (void)state;
  atomic_uint outcomes[2] = {0};
  struct client client;
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){.wait_max_ms = 60000});
  follow(&client, engine);
  publish(engine, "a", "1");
  nats_server_kill(&server);
  *server.settings = '\0';
  assert_true(nats_server_start(&server));
  submit(engine, "2", outcomes);
  await_problem(engine, "JetStream is not enabled");
  assert_int_equal(outcomes[0] + outcomes[1], 0);
  snprintf(server.settings, sizeof server.settings, "%s", with_jetstream);
  crash_server(0);
  await_outcomes(outcomes, 1);
  assert_int_equal(outcomes[1], 1);
  assert_told(&client, 2, "1 2");
  client_free(&client);
  engine_down(engine);
}

/* The consumer is removed in the server, as when it stands on a node of a cluster that ends. */
static void a_consumer_that_is_gone_is_made_again(void **state) {
  (void)state;
  struct client client;
  char subject[128], name[64], path[] = "consumers";
  size_t len;
  start_server(with_jetstream);
  struct engine *engine = up((struct engine_config){0});
  follow(&client, engine);
  publish(engine, "a", "1");
  const char *answer = tell("$JS.API.CONSUMER.NAMES.SSE", "", "");
  const char *names = json_find(answer, path, &len);
  assert_non_null(names);
  assert_int_equal(sscanf(names, "[\"%60[^\"]", name), 1);
  snprintf(subject, sizeof subject, "$JS.API.CONSUMER.DELETE.SSE.%s", name);
  tell(subject, "", "");
  publish(engine, "a", "2");
  assert_told(&client, 2, "1 2");
  assert_int_equal(client.gaps, 0);
  client_free(&client);
  engine_down(engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_event_of_unknown_outcome_is_appended_once),
      TEST(what_arrives_late_is_not_appended_twice),
      TEST(an_event_that_was_removed_unread_is_answered),
      TEST(a_nonce_is_not_relied_on_for_longer_than_the_window),
      TEST(a_server_that_is_killed_loses_nothing),
      TEST(nothing_blocks_while_the_server_hangs),
      TEST(an_event_waits_for_a_bounded_time),
      TEST(a_stop_is_bounded),
      TEST(a_stop_answers_first),
      TEST(a_refusal_of_jetstream_is_answered),
      TEST(a_server_without_jetstream_is_waited_for),
      TEST(a_consumer_that_is_gone_is_made_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
