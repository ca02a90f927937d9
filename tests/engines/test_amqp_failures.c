/* SPDX-License-Identifier: MIT */
/* test_amqp_failures.c: the engine of RabbitMQ over broken connections, and with a server that
 * crashes, hangs or refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "amqp_world.h"

/* ---- broken connections ---- */

/* The entry or its confirmation is held back, and the connection cut: there is one entry, one
 * answer. */
static void check_cut(int holds_reply) {
  atomic_uint outcomes[2] = {0};
  struct client client;
  struct engine *engine = begin_by_proxy(&client, "", 60000);
  publish(engine, "a", "1");
  proxy_hold(&proxy, !holds_reply, holds_reply);
  submit(engine, "2", outcomes);
  submit(engine, "3", outcomes);
  unsigned moments = 0;
  while (holds_reply && count_of("3") == 0) assert_true(patience(&moments));
  assert_int_equal(outcomes[0] + outcomes[1], 0);
  proxy_cut(&proxy);
  await_outcomes(outcomes, 2);
  assert_int_equal(outcomes[1], 2);
  publish(engine, "a", "4");
  assert_told(&client, 4, "1 2 3 4");
  assert_int_equal(count_of("2"), 1);
  assert_int_equal(count_of("3"), 1);
  assert_int_equal(status_of(engine).appended, 4);
  end(&client, engine);
}

static void an_event_of_unknown_outcome_is_appended_once(void **state) {
  for (int i = 0; i < 6; i++) {
    begin_test(state);
    check_cut(i % 2);
    end_test(state);
  }
}

static void append_again(const amqp_message_t *message, void *arg) {
  amqp_table_entry_t headers[16];
  int count = 0;
  char body[8];
  (void)arg;
  if (!has_body(message, "2") && !has_body(message, "3")) return;
  const amqp_table_t *table = &message->properties.headers;
  for (int i = 0; i < table->num_entries && i < 16; i++)
    if (memcmp(table->entries[i].key.bytes, "x-", 2) != 0) headers[count++] = table->entries[i];
  snprintf(body, sizeof body, "%.1s", (const char *)message->body.bytes);
  append(headers, count, body);
}

/* What a broken connection delivers late is in the log a second time. Each node passes over it. */
static void a_second_copy_is_given_to_nobody(void **state) {
  (void)state;
  struct client clients[2];
  struct engine *engine = begin(&clients[0], (struct engine_config){0});
  struct engine *other = begin(&clients[1], (struct engine_config){0});
  for (int i = 1; i <= 3; i++) publish(engine, "a", i == 1 ? "1" : i == 2 ? "2" : "3");
  read_log(append_again, NULL);
  publish(other, "a", "4");
  publish(engine, "a", "5");
  assert_int_equal(count_of("3"), 2);
  for (int i = 0; i < 2; i++) assert_told(&clients[i], 5, "1 2 3 4 5");
  client_close(&clients[0]);
  engine_down(engine);
  engine = up((struct engine_config){0});
  publish(engine, "a", "6");
  connect_to(&clients[0], engine);
  assert_told(&clients[0], 6, "1 2 3 4 5 6");
  end(&clients[0], engine);
  end(&clients[1], other);
}

/* ---- crashes of the server ---- */

static const struct {
  int loses_data;
  const char *wanted;
} crash_rows[] = {
    {0, "1 2 3"},
    {1, "1 2 [restart] 3"},
};

/* For an engine that runs over the crash, and for one that is started only after it. */
static void check_crash(size_t row, int runs) {
  struct client client;
  struct engine *engine = begin(&client, (struct engine_config){.wait_max_ms = 60000});
  publish(engine, "a", "1");
  publish(engine, "a", "2");
  assert_told(&client, 2, "1 2");
  client_close(&client);
  if (!runs) engine_down(engine);
  crash_server(crash_rows[row].loses_data);
  if (!runs) engine = up((struct engine_config){.wait_max_ms = 60000});
  publish(engine, "a", "3");
  connect_to(&client, engine);
  client_wait(&client, strstr(crash_rows[row].wanted, "[") ? 4 : 3);
  if (strcmp(told(&client), crash_rows[row].wanted) != 0)
    fail_msg("row %zu, %d: %s", row, runs, told(&client));
  end(&client, engine);
}

static void a_crash_ends_the_history_if_it_loses_data(void **state) {
  for (size_t i = 0; i < sizeof crash_rows / sizeof crash_rows[0]; i++)
    for (int runs = 0; runs < 2; runs++) {
      begin_test(state);
      check_crash(i, runs);
    }
}

/* The server comes back with an older copy of its data: shorter than what the engine has read, or
 * with other entries under the same numbers. */
static void check_older_copy(int others) {
  struct client client;
  char command[200];
  struct engine *engine = begin_by_proxy(&client, "", 60000);
  publish(engine, "a", "1");
  rabbit_stop(&server);
  snprintf(command, sizeof command, "cp -r %s/data %s/copy", server.directory, server.directory);
  rabbit_run(command);
  assert_true(rabbit_start(&server));
  publish(engine, "a", "2");
  assert_told(&client, 2, "1 2");
  proxy.is_away = 1;
  rabbit_kill(&server);
  rabbit_remove(&server, "/data");
  snprintf(command, sizeof command, "mv %s/copy %s/data", server.directory, server.directory);
  rabbit_run(command);
  assert_true(rabbit_start(&server));
  for (int i = 0; i < others; i++) append(NULL, 0, "other");
  proxy.is_away = 0;
  await_problem(engine, "has lost entries that were in it");
  client_read(&client);
  assert_int_equal(client.count, 2);
  delete_queue();
  publish(engine, "a", "3");
  assert_told(&client, 4, "1 2 [restart] 3");
  end(&client, engine);
}

static void an_older_copy_of_the_log_is_refused(void **state) {
  for (int i = 0; i < 2; i++) {
    begin_test(state);
    check_older_copy(i * 10);
    crash_server(1); /* the server itself is not fit for a second older copy */
    end_test(state);
  }
}

/* ---- a server that hangs or refuses ---- */

static void nothing_blocks_while_the_server_hangs(void **state) {
  (void)state;
  enum {
    COUNT = 1000
  };
  atomic_uint outcomes[2] = {0};
  struct client client;
  struct engine *engine = begin(&client, (struct engine_config){.wait_max_ms = 120000});
  publish(engine, "a", "first");
  rabbit_pause(&server);
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
  rabbit_pause(&server);
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
  await_problem(engine, "answer");
  kill(server.child.pid, SIGCONT);
  await_failing(engine, 0);
  publish(engine, "a", "last");
  unsigned moments = 0;
  for (client_read(&client);
       client.count == 0 || strcmp(client.seen[client.count - 1].data, "last") != 0;
       client_read(&client))
    assert_true(patience(&moments));
  assert_int_equal(client.gaps, 0);
  end(&client, engine);
}

static void a_stop_is_bounded(void **state) {
  (void)state;
  atomic_uint outcomes[2] = {0};
  struct engine *engine = up((struct engine_config){.wait_max_ms = 2000});
  rabbit_pause(&server);
  submit(engine, "x", outcomes);
  engine_stop(engine);
  kill(server.child.pid, SIGCONT);
  assert_int_equal(outcomes[0], 1);
  assert_int_equal(status_of(engine).waiting, 0);
  engine_down(engine);
}

static void a_stop_answers_first(void **state) {
  (void)state;
  atomic_uint outcomes[2] = {0};
  struct engine *engine = up((struct engine_config){.wait_max_ms = 60000});
  for (int i = 0; i < 100; i++) submit(engine, "x", outcomes);
  engine_stop(engine);
  assert_int_equal(outcomes[1], 100);
  engine_down(engine);
  assert_int_equal(count_of("x"), 100);
}

static void set_memory_limit(const char *limit) {
  char command[96];
  snprintf(command, sizeof command,
           "/usr/lib/rabbitmq/bin/rabbitmqctl -q set_vm_memory_high_watermark absolute %s", limit);
  assert_int_equal(rabbit_run(command), 0);
}

/* The server stops reading from those who publish. Submitting does not wait, reading goes on, and
 * the status says what is wrong. */
static void a_server_without_memory_takes_events_later(void **state) {
  (void)state;
  static char text[10000];
  enum {
    COUNT = 100
  };
  atomic_uint outcomes[2] = {0};
  struct client client;
  struct engine *engine = begin(&client, (struct engine_config){.wait_max_ms = 120000});
  publish(engine, "a", "1");
  set_memory_limit("1MB");
  memset(text, 'x', sizeof text - 1);
  for (int i = 0; i < COUNT; i++) submit(engine, text, outcomes);
  await_problem(engine, "RabbitMQ takes no events for now: low on memory");
  assert_int_equal(status_of(engine).failing, 1);
  assert_true(status_of(engine).waiting > 0);
  set_memory_limit("1GB");
  await_outcomes(outcomes, COUNT);
  assert_int_equal(outcomes[1], COUNT);
  assert_int_equal(status_of(engine).failing, 0);
  assert_int_equal(status_of(engine).histories, 0);
  end(&client, engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_event_of_unknown_outcome_is_appended_once),
      TEST(a_second_copy_is_given_to_nobody),
      TEST(nothing_blocks_while_the_server_hangs),
      TEST(an_event_waits_for_a_bounded_time),
      TEST(a_stop_is_bounded),
      TEST(a_stop_answers_first),
      TEST(a_server_without_memory_takes_events_later),
      TEST(a_crash_ends_the_history_if_it_loses_data),
      TEST(an_older_copy_of_the_log_is_refused),
  };
  return cmocka_run_group_tests(tests, start_server, stop_server);
}
