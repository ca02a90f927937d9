/* SPDX-License-Identifier: MIT */
/* test_redis_failures.c: the engine of Redis over broken connections, and with a server that hangs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redis_world.h"

/* ---- broken connections ---- */

/* The command or its reply is held back, and the connection cut: there is one entry, one answer. */
static void check_cut(int holds_reply) {
  atomic_uint outcomes[2] = {0};
  struct client client;
  proxy_start(&proxy, server.port);
  change("FLUSHALL");
  struct engine *engine = up((struct engine_config){.where = url_by_proxy("")});
  follow(&client, engine);
  publish(engine, "a", "1");
  proxy_hold(&proxy, !holds_reply, holds_reply);
  submit(engine, "2", outcomes);
  submit(engine, "3", outcomes);
  if (holds_reply) await_length(4);
  assert_int_equal(outcomes[0] + outcomes[1], 0);
  proxy_cut(&proxy);
  await_outcomes(outcomes, 2);
  assert_int_equal(outcomes[1], 2);
  publish(engine, "a", "4");
  assert_told(&client, 4, "1 2 3 4");
  assert_int_equal(length(), 5);
  assert_int_equal(status_of(engine).appended, 4);
  end(&client, engine);
  proxy_stop(&proxy);
}

static void an_event_of_unknown_outcome_is_appended_once(void **state) {
  (void)state;
  start_server("");
  for (int i = 0; i < 10; i++) check_cut(i % 2);
}

/* The engine gives a silent connection up; what it has sent there arrives after it has sent it
 * again. */
static void what_arrives_late_is_not_appended_twice(void **state) {
  (void)state;
  atomic_uint outcomes[2] = {0};
  struct client client;
  struct engine *engine = begin_by_proxy(&client, "", 16000);
  publish(engine, "a", "1");
  proxy_hold(&proxy, 1, 0);
  submit(engine, "2", outcomes);
  await_outcomes(outcomes, 1);
  assert_int_equal(outcomes[1], 1);
  proxy_hold(&proxy, 0, 0);
  for (int i = 0; i < 20; i++) publish(engine, "a", "x");
  assert_int_equal(length(), 23);
  assert_true(client_wait(&client, 22));
  assert_int_equal(client.gaps, 0);
  end(&client, engine);
}

/* ---- a server that hangs or refuses ---- */

static void nothing_blocks_while_the_server_hangs(void **state) {
  (void)state;
  enum {
    COUNT = 1000
  };
  atomic_uint outcomes[2] = {0};
  struct client client;
  struct engine *engine = begin(&client, (struct engine_config){.wait_max_ms = 60000});
  publish(engine, "a", "first");
  kill(server.child.pid, SIGSTOP);
  for (int i = 0; i < COUNT; i++) submit(engine, "x", outcomes);
  assert_int_equal(outcomes[0] + outcomes[1], 0); /* all calls have come back, without an answer */
  assert_int_equal(status_of(engine).waiting, COUNT);
  kill(server.child.pid, SIGCONT);
  await_outcomes(outcomes, COUNT);
  assert_int_equal(outcomes[1], COUNT);
  assert_true(client_wait(&client, COUNT + 1));
  assert_int_equal(client.gaps, 0);
  end(&client, engine);
}

static void an_event_waits_for_a_bounded_time(void **state) {
  (void)state;
  atomic_uint outcomes[2] = {0};
  struct client client;
  struct engine *engine =
      begin(&client, (struct engine_config){.wait_max_ms = 1000, .waiting_bytes_max = 20000});
  kill(server.child.pid, SIGSTOP);
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
  kill(server.child.pid, SIGCONT);
  await_failing(engine, 0);
  publish(engine, "a", "last");
  unsigned moments = 0;
  for (client_read(&client); strcmp(client.seen[client.count - 1].data, "last") != 0;
       client_read(&client))
    assert_true(patience(&moments));
  assert_int_equal(client.gaps, 0);
  end(&client, engine);
}

static void a_stop_is_bounded(void **state) {
  (void)state;
  for (int is_dead = 0; is_dead < 2; is_dead++) {
    atomic_uint outcomes[2] = {0};
    start_server("");
    struct engine *engine = up((struct engine_config){.wait_max_ms = 2000});
    kill(server.child.pid, SIGSTOP);
    submit(engine, "x", outcomes);
    if (is_dead) server_kill(&server);
    engine_stop(engine);
    assert_int_equal(outcomes[0], 1);
    assert_int_equal(status_of(engine).waiting, 0);
    engine_down(engine);
    server_free(&server);
  }
}

static void a_stop_answers_first(void **state) {
  (void)state;
  atomic_uint outcomes[2] = {0};
  start_server("");
  struct engine *engine = up((struct engine_config){0});
  for (int i = 0; i < 100; i++) submit(engine, "x", outcomes);
  engine_stop(engine);
  assert_int_equal(outcomes[1], 100);
  assert_int_equal(length(), 101);
  engine_down(engine);
}

static void a_refusal_of_the_server_is_answered(void **state) {
  (void)state;
  struct client client;
  struct engine *engine = begin(&client, (struct engine_config){0});
  publish(engine, "a", "1");
  change("CONFIG SET maxmemory 1");
  assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = "2"}, NULL),
                   ENGINE_ELOG);
  assert_int_equal(status_of(engine).failing, 1);
  assert_non_null(strstr(status_of(engine).problem, "Redis refused to append: OOM"));
  change("CONFIG SET maxmemory 0");
  publish(engine, "a", "3");
  assert_int_equal(status_of(engine).failing, 0);
  assert_told(&client, 2, "1 3");
  end(&client, engine);
}

/* Events wait while the server is a replica, as in a failover. */
static void a_replica_is_left_for_its_master(void **state) {
  (void)state;
  atomic_uint outcomes[2] = {0};
  struct client client;
  char command[64];
  struct engine *engine = begin(&client, (struct engine_config){.wait_max_ms = 60000});
  publish(engine, "a", "1");
  snprintf(command, sizeof command, "REPLICAOF 127.0.0.1 %d", free_port());
  change(command);
  submit(engine, "2", outcomes);
  await_problem(engine, "is a replica");
  assert_int_equal(status_of(engine).failing, 1);
  assert_int_equal(outcomes[0] + outcomes[1], 0);
  change("REPLICAOF NO ONE");
  await_outcomes(outcomes, 1);
  assert_int_equal(outcomes[1], 1);
  assert_told(&client, 2, "1 2");
  end(&client, engine);
}

static void a_key_that_becomes_something_else_is_a_clear_state(void **state) {
  (void)state;
  struct client client;
  struct engine *engine = begin(&client, (struct engine_config){.wait_max_ms = 1000});
  publish(engine, "a", "1");
  assert_told(&client, 1, "1");
  change("SET sse-log other");
  assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = "2"}, NULL),
                   ENGINE_ELOG);
  await_problem(engine, "is not a stream");
  change("DEL sse-log");
  await_failing(engine, 0);
  publish(engine, "a", "3");
  assert_told(&client, 3, "1 [restart] 3");
  end(&client, engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_event_of_unknown_outcome_is_appended_once),
      TEST(what_arrives_late_is_not_appended_twice),
      TEST(nothing_blocks_while_the_server_hangs),
      TEST(an_event_waits_for_a_bounded_time),
      TEST(a_stop_is_bounded),
      TEST(a_stop_answers_first),
      TEST(a_refusal_of_the_server_is_answered),
      TEST(a_replica_is_left_for_its_master),
      TEST(a_key_that_becomes_something_else_is_a_clear_state),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
