/* SPDX-License-Identifier: MIT */
/* amqp_world.h: a server, a proxy and engines, for the tests of the engine of RabbitMQ. It comes
 * after cmocka.h. */
#ifndef TESTS_ENGINES_AMQP_WORLD_H
#define TESTS_ENGINES_AMQP_WORLD_H

#include <amqp.h>
#include <amqp_tcp_socket.h>

#include "amqp_url.h"
#include "outcomes.h"
#include "proxy.h"
#include "rabbit_server.h"

static struct rabbit_server server;
static struct proxy proxy;
static char queue[32]; /* of this test */

/* ---- the server, as another program sees it ---- */

static inline amqp_connection_state_t connect_rabbit(void) {
  amqp_connection_state_t connection = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(connection);
  if (!socket || amqp_socket_open(socket, "127.0.0.1", server.port)) fail_msg("cannot connect");
  amqp_login(connection, "/", 0, AMQP_DEFAULT_FRAME_SIZE, 0, AMQP_SASL_METHOD_PLAIN, "guest",
             "guest");
  amqp_channel_open(connection, 1);
  if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL) fail_msg("cannot log in");
  return connection;
}

static inline void disconnect_rabbit(amqp_connection_state_t connection) {
  amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
  amqp_destroy_connection(connection);
}

static inline void delete_queue(void) {
  amqp_connection_state_t connection = connect_rabbit();
  assert_non_null(amqp_queue_delete(connection, 1, amqp_cstring_bytes(queue), 0, 0));
  disconnect_rabbit(connection);
}

static inline amqp_table_entry_t text_header(const char *name, const char *text) {
  return (amqp_table_entry_t){
      .key = amqp_cstring_bytes(name),
      .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)}};
}

static inline amqp_table_entry_t number_header(const char *name, int64_t number) {
  return (amqp_table_entry_t){.key = amqp_cstring_bytes(name),
                              .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = number}};
}

static inline void declare_queue(const char *type) {
  amqp_connection_state_t connection = connect_rabbit();
  amqp_table_entry_t entry = text_header("x-queue-type", type);
  assert_non_null(amqp_queue_declare(connection, 1, amqp_cstring_bytes(queue), 0, 1, 0, 0,
                                     (amqp_table_t){.num_entries = 1, .entries = &entry}));
  disconnect_rabbit(connection);
}

/* Appends what no engine would, and waits until the log has it. */
static inline void append(amqp_table_entry_t *headers, int count, const char *body) {
  amqp_connection_state_t connection = connect_rabbit();
  amqp_frame_t frame;
  const amqp_basic_properties_t properties = {
      ._flags = AMQP_BASIC_HEADERS_FLAG, .headers = {.num_entries = count, .entries = headers}};
  amqp_confirm_select(connection, 1);
  amqp_basic_publish(connection, 1, amqp_cstring_bytes(""), amqp_cstring_bytes(queue), 0, 0,
                     &properties, amqp_cstring_bytes(body));
  assert_int_equal(amqp_simple_wait_frame(connection, &frame), AMQP_STATUS_OK);
  assert_int_equal(frame.payload.method.id, AMQP_BASIC_ACK_METHOD);
  disconnect_rabbit(connection);
}

static inline int has_body(const amqp_message_t *message, const char *body) {
  return message->body.len == strlen(body) && memcmp(message->body.bytes, body, strlen(body)) == 0;
}

/* Appends an entry without any header, and reads the log up to it. */
static inline void read_log(void (*see)(const amqp_message_t *message, void *arg), void *arg) {
  static unsigned ends;
  char end_text[16];
  snprintf(end_text, sizeof end_text, "end %u", ends++);
  append(NULL, 0, end_text);
  amqp_connection_state_t connection = connect_rabbit();
  amqp_table_entry_t first = number_header("x-stream-offset", 0);
  amqp_basic_qos(connection, 1, 0, 1000, 0);
  amqp_basic_consume(connection, 1, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 0,
                     (amqp_table_t){.num_entries = 1, .entries = &first});
  for (int is_end = 0; !is_end;) {
    amqp_envelope_t envelope;
    amqp_maybe_release_buffers(connection);
    const amqp_rpc_reply_t reply = amqp_consume_message(connection, &envelope, NULL, 0);
    assert_int_equal(reply.reply_type, AMQP_RESPONSE_NORMAL);
    is_end = has_body(&envelope.message, end_text);
    see(&envelope.message, arg);
    amqp_basic_ack(connection, 1, envelope.delivery_tag, 0);
    amqp_destroy_envelope(&envelope);
  }
  disconnect_rabbit(connection);
}

struct count {
  const char *body;
  unsigned found;
};

static inline void see_count(const amqp_message_t *message, void *arg) {
  struct count *count = arg;
  count->found += (unsigned)has_body(message, count->body);
}

/* How many entries of the log have this body. */
static inline unsigned count_of(const char *body) {
  struct count count = {.body = body};
  read_log(see_count, &count);
  return count.found;
}

/* ---- engines ---- */

/* One server for all tests of a program, since a start takes some seconds. */
static inline int start_server(void **state) {
  (void)state;
  if (rabbit_make(&server)) return 0;
  print_message("there is no rabbitmq-server\n");
  return 0;
}

static inline int stop_server(void **state) {
  (void)state;
  rabbit_free(&server);
  return 0;
}

/* Before each test: it has a queue of its own. */
static inline int begin_test(void **state) {
  static unsigned count;
  (void)state;
  if (server.child.pid <= 0) skip();
  snprintf(queue, sizeof queue, "log-%u", count++);
  return 0;
}

static inline int end_test(void **state) {
  (void)state;
  if (proxy.port > 0) proxy_stop(&proxy);
  return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

static inline const char *url_at(int port, const char *options) {
  static char text[256];
  snprintf(text, sizeof text, "amqp://127.0.0.1:%d?queue=%s%s", port, queue, options);
  return text;
}

static inline const char *url(const char *options) {
  return url_at(server.port, options);
}

static inline struct engine *up(struct engine_config config) {
  if (!config.where) config.where = url("");
  return engine_up("amqp", &config);
}

/* An engine on a new queue, and a client that follows it. */
static inline struct engine *begin(struct client *client, struct engine_config config) {
  struct engine *engine = up(config);
  follow(client, engine);
  return engine;
}

/* The same, with the proxy between the engine and the server. */
static inline struct engine *begin_by_proxy(struct client *client, const char *options,
                                            int wait_max_ms) {
  proxy_start(&proxy, server.port);
  return begin(client, (struct engine_config){.where = url_at(proxy.port, options),
                                              .wait_max_ms = wait_max_ms});
}

static inline void end(struct client *client, struct engine *engine) {
  client_free(client);
  engine_down(engine);
}

/* Whether the server has its queue again after a start; it may take a moment. */
static inline int has_queue(void) {
  enum {
    ATTEMPTS = 50
  };
  int found = 0;
  for (int i = 0; i < ATTEMPTS && !found; i++) {
    amqp_connection_state_t connection = connect_rabbit();
    found = amqp_queue_declare(connection, 1, amqp_cstring_bytes(queue), 1, 1, 0, 0,
                               amqp_empty_table) != NULL;
    disconnect_rabbit(connection);
    if (!found) usleep(100000);
  }
  return found;
}

/* Kills the server and starts it with what it has on its disk, or with nothing. RabbitMQ 3.10 at
 * times does not find a new queue after a crash, and is then started again. */
static inline void crash_server(int loses_data) {
  for (int i = 0; i < 4; i++) {
    rabbit_kill(&server);
    if (loses_data) rabbit_remove(&server, "/data");
    assert_true(rabbit_start(&server));
    if (loses_data || has_queue()) return;
  }
  fail_msg("the server has lost its queue");
}

#endif
