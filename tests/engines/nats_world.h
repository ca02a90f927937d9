/* SPDX-License-Identifier: MIT */
/* nats_world.h: a server, a proxy and engines, for the tests of the engine of NATS. It comes after
 * cmocka.h. */
#ifndef TESTS_ENGINES_NATS_WORLD_H
#define TESTS_ENGINES_NATS_WORLD_H

#include "nats_json.h"
#include "nats_server.h"
#include "outcomes.h"
#include "proxy.h"

static struct nats_server server;
static struct proxy proxy;

enum {
  ANSWER_BYTES = 65536
};

/* ---- the server, as another program sees it ---- */

/* Publishes by hand, with header lines such as "A: b\r\n" or "", and gives the answer. */
static inline const char *tell(const char *subject, const char *headers, const char *body) {
  static char text[ANSWER_BYTES];
  char command[4096];
  size_t head_len = strlen(headers) + sizeof "NATS/1.0\r\n\r\n" - 1;
  int fd = dial(server.port);
  assert_true(fd >= 0);
  snprintf(command, sizeof command,
           "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\nSUB answer 1\r\n"
           "HPUB %s answer %zu %zu\r\nNATS/1.0\r\n%s\r\n%s\r\n",
           subject, head_len, head_len + strlen(body), headers, body);
  say(fd, command);
  assert_true(hear_until(fd, text, sizeof text, "MSG answer"));
  char *line = strstr(text, "MSG answer"), *end;
  while (!(end = strstr(line, "\r\n")) || !strstr(end + 2, "\r\n")) {
    size_t len = strlen(text);
    ssize_t got = recv(fd, text + len, sizeof text - 1 - len, 0);
    assert_true(got > 0);
    text[len + (size_t)got] = '\0';
  }
  close(fd);
  return end + 2;
}

static inline const char *ask_stream(const char *verb, const char *body) {
  char subject[64];
  snprintf(subject, sizeof subject, "$JS.API.STREAM.%s.SSE", verb);
  return tell(subject, "", body);
}

static inline void change(const char *verb, const char *body) {
  const char *answer = ask_stream(verb, body);
  size_t len;
  if (!strstr(answer, "{") || json_find(answer, "error", &len))
    fail_msg("%s %s: %s", verb, body, answer);
}

static inline uint64_t state_of(const char *path) {
  uint64_t number = 0;
  const char *answer = ask_stream("INFO", "");
  if (!json_number(answer, path, &number)) fail_msg("%s: %s", path, answer);
  return number;
}

static inline uint64_t length(void) {
  return state_of("state.messages");
}

static inline void await_length(uint64_t count) {
  unsigned moments = 0;
  while (length() != count) assert_true(patience(&moments));
}

/* ---- engines ---- */

static inline void start_server(const char *settings) {
  if (!nats_server_make(&server, settings)) {
    print_message("there is no nats-server\n");
    skip();
  }
}

static inline int remove_server(void **state) {
  (void)state;
  nats_server_free(&server);
  return 0;
}

static inline const char *url(const char *rest) {
  static char text[256];
  snprintf(text, sizeof text, "%s%s", server.url, rest);
  return text;
}

static inline const char *url_by_proxy(void) {
  static char text[256];
  snprintf(text, sizeof text, "nats://127.0.0.1:%d", proxy.port);
  return text;
}

static inline struct engine *up(struct engine_config config) {
  if (!config.where) config.where = server.url;
  return engine_up("nats", &config);
}

/* Kills the server and starts it with what it has on its disk, or with nothing. */
static inline void crash_server(int loses_data) {
  nats_server_kill(&server);
  if (loses_data) nats_server_shell(&server, "rm -rf data");
  assert_true(nats_server_start(&server));
}

#define TEST(name) cmocka_unit_test_teardown(name, remove_server)

#endif
