/* SPDX-License-Identifier: MIT */
/* client.h: what the tests of the broadcast server share: a server, requests, and answers. */
#ifndef TESTS_BROADCAST_CLIENT_H
#define TESTS_BROADCAST_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../demo/peer.h"

enum {
  ANSWER_MAX = 4 * 1024 * 1024
};

static char answer[ANSWER_MAX]; /* to the last request */

#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"
#define JSON "Content-Type: application/x-ndjson\r\n"

/* Starts a server on a port of its own, with more arguments; the list ends with NULL. */
static inline void server_start(struct child *child, const char *const *more) {
  const char *args[17] = {"--port", "0"};
  char line[256];
  for (int i = 0; more && more[i]; i++) args[2 + i] = more[i];
  assert_true(child_run(child, "broadcast", args));
  if (!read_line(child->out, line, sizeof line) ||
      sscanf(line, "broadcast: listening on http://127.0.0.1:%d/", &child->port) != 1)
    fail_msg("the server says \"%s\"", line);
}

/* One request; `target` is "POST /publish". Gives the status; the answer is in `answer`. */
static inline int request(const struct child *child, const char *target, const char *headers,
                          const char *body) {
  size_t cap = strlen(target) + strlen(headers) + strlen(body) + 256;
  char *bytes = malloc(cap), length[64] = "";
  assert_non_null(bytes);
  if (*body) snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(body));
  snprintf(bytes, cap, "%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s%s\r\n%s", target, headers,
           length, body);
  int status = ask(child->port, bytes, answer, sizeof answer);
  free(bytes);
  return status;
}

static inline const char *body_of_answer(void) {
  const char *body = strstr(answer, "\r\n\r\n");
  return body ? body + 4 : "";
}

/* Publishes a form, which has to succeed, and gives the id, which the next call overwrites. */
static inline const char *publish(const struct child *child, const char *form) {
  static char id[160];
  if (request(child, "POST /publish", FORM, form) != 200 ||
      sscanf(body_of_answer(), "{\"status\":\"ok\",\"id\":\"%159[^\"]", id) != 1)
    fail_msg("publish %s: %s", form, answer);
  return id;
}

/* Opens a stream; the target is "GET /?channel=a". */
static inline void stream_open(struct listener *listener, const struct child *child,
                               const char *target, const char *headers, const char *body) {
  char bytes[4096], length[64] = "";
  enum {
    CAP = 512 * 1024
  };
  *listener = (struct listener){.fd = dial(child->port), .cap = CAP, .buf = malloc(CAP)};
  assert_true(listener->fd >= 0 && listener->buf);
  if (*body) snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(body));
  snprintf(bytes, sizeof bytes, "%s HTTP/1.1\r\nHost: h\r\n%s%s\r\n%s", target, headers, length,
           body);
  say(listener->fd, bytes);
}

/* Waits until a channel has so many clients. */
static inline void await_clients(const struct child *child, const char *channel, int wanted) {
  char pair[300];
  int64_t until = now_ms() + PATIENCE_MS;
  snprintf(pair, sizeof pair, "[\"%s\",%d]", channel, wanted);
  for (int found = 0; !found;) {
    assert_int_equal(request(child, "GET /stats", "", ""), 200);
    snprintf(pair, sizeof pair, wanted ? "[\"%s\",%d]" : "[\"%s\",", channel, wanted);
    found = (strstr(answer, pair) != NULL) == (wanted != 0);
    if (!found && now_ms() > until) fail_msg("want %s: %s", pair, answer);
  }
}

/* The next event must have this data. */
static inline void hear_data(struct listener *listener, const char *wanted) {
  assert_true(hear_event(listener));
  assert_string_equal(listener->data, wanted);
}

#endif
