/* SPDX-License-Identifier: MIT */
/* redis_world.h: a server, a proxy and engines, for the tests of the engine of Redis. It comes after
 * cmocka.h. */
#ifndef TESTS_ENGINES_REDIS_WORLD_H
#define TESTS_ENGINES_REDIS_WORLD_H

#include <hiredis.h>

#include "outcomes.h"
#include "proxy.h"
#include "redis_log.h"
#include "redis_server.h"
#include "session.h"

static struct redis_server server;
static struct proxy proxy;

/* ---- the server, as another program sees it ---- */

static inline redisReply *query(const char *format, ...) {
  va_list args;
  redisContext *context = redisConnect("127.0.0.1", server.port);
  if (!context || context->err) fail_msg("cannot connect: %s", context ? context->errstr : "-");
  va_start(args, format);
  redisReply *reply = redisvCommand(context, format, args);
  va_end(args);
  if (!reply) fail_msg("%s: %s", format, context->errstr);
  redisFree(context);
  return reply;
}

static inline void change(const char *command) {
  redisReply *reply = query(command);
  if (reply->type == REDIS_REPLY_ERROR) fail_msg("%s: %s", command, reply->str);
  freeReplyObject(reply);
}

static inline long long length(void) {
  redisReply *reply = query("XLEN sse-log");
  long long count = reply->integer;
  freeReplyObject(reply);
  return count;
}

/* The newest id of the log. */
static inline struct log_id newest(void) {
  struct log_id id = {0, 0};
  redisReply *reply = query("XREVRANGE sse-log + - COUNT 1");
  if (reply->elements == 1) log_id_parse(reply->element[0]->element[0]->str, &id);
  freeReplyObject(reply);
  return id;
}

/* ---- engines ---- */

static inline int start_server(const char *settings) {
  if (!server_make(&server, settings)) {
    print_message("there is no redis-server\n");
    skip();
  }
  return 0;
}

/* After each test. */
static inline int remove_server(void **state) {
  (void)state;
  if (proxy.port > 0) proxy_stop(&proxy);
  server_free(&server);
  return 0;
}

static inline const char *url(const char *options) {
  static char text[256];
  snprintf(text, sizeof text, "%s%s", server.url, options);
  return text;
}

static inline const char *url_by_proxy(const char *options) {
  static char text[256];
  snprintf(text, sizeof text, "redis://127.0.0.1:%d%s", proxy.port, options);
  return text;
}

static inline struct engine *up(struct engine_config config) {
  if (!config.where) config.where = server.url;
  return engine_up("redis", &config);
}

/* A new server, an engine, and a client that follows it. */
static inline struct engine *begin(struct client *client, struct engine_config config) {
  start_server("");
  struct engine *engine = up(config);
  follow(client, engine);
  return engine;
}

/* The same, with the proxy between the engine and the server. */
static inline struct engine *begin_by_proxy(struct client *client, const char *options,
                                            int wait_max_ms) {
  start_server("");
  proxy_start(&proxy, server.port);
  struct engine *engine =
      up((struct engine_config){.where = url_by_proxy(options), .wait_max_ms = wait_max_ms});
  follow(client, engine);
  return engine;
}

static inline void end(struct client *client, struct engine *engine) {
  client_free(client);
  engine_down(engine);
}

static inline void await_length(long long count) {
  unsigned moments = 0;
  while (length() != count) assert_true(patience(&moments));
}

/* Kills the server and starts it with what it has on its disk, or with nothing. */
static inline void crash_server(int loses_data) {
  server_kill(&server);
  if (loses_data) server_remove(&server, "/*");
  assert_true(server_start(&server));
}

#define TEST(name) cmocka_unit_test_teardown(name, remove_server)

#endif
