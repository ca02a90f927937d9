/* SPDX-License-Identifier: MIT */
/* page.h: what the tests of the recipes share: programs that run, requests, and pages by hand. */
#ifndef TESTS_RECIPES_PAGE_H
#define TESTS_RECIPES_PAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../demo/peer.h"

enum {
  BUFFER = 256 * 1024
};

static struct child child, second;

static inline void start_child(struct child *started, const char *name,
                               const char *argument) {
  const char *build = getenv("SSE_BUILD");
  char path[4096], line[64];
  snprintf(path, sizeof path, "%s/tests/recipes/%s",
           build ? build : "build", name);
  assert_true(child_exec(started, path,
                         (const char *const[]){"0", argument, NULL}));
  assert_true(read_line(started->out, line, sizeof line));
  assert_int_equal(sscanf(line, "http://127.0.0.1:%d/", &started->port),
                   1);
}

static inline void start(const char *name, const char *argument) {
  start_child(&child, name, argument);
}

/* A recipe ends by itself, with nothing left open, when it is asked to. */
static inline int tear_down(void **state) {
  (void)state;
  if (second.pid) assert_int_equal(child_stop(&second, SIGTERM), 0);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
  return 0;
}

/* Sends one request; its status. The answer's body is in text. */
static inline int request_to(int port, const char *what,
                             const char *header, const char *body,
                             char *text, size_t cap) {
  char request[1024], answer[8192];
  snprintf(request, sizeof request,
           "%s HTTP/1.1\r\nHost: h\r\n%s%sContent-Length: %zu\r\n\r\n%s",
           what, header, *header ? "\r\n" : "", strlen(body), body);
  int status = ask(port, request, answer, sizeof answer);
  const char *found = status > 0 ? strstr(answer, "\r\n\r\n") : NULL;
  if (text) snprintf(text, cap, "%s", found ? found + 4 : "");
  return status;
}

static inline void post(const char *what, const char *body) {
  char request[256];
  snprintf(request, sizeof request, "POST %s", what);
  assert_int_equal(request_to(child.port, request, "", body, NULL, 0),
                   200);
}

static inline void dial_stream(struct listener *listener, int port,
                               const char *path, const char *header) {
  char request[512];
  *listener = (struct listener){
      .fd = dial(port), .cap = BUFFER, .buf = malloc(BUFFER)};
  assert_true(listener->fd >= 0 && listener->buf);
  snprintf(request, sizeof request,
           "GET %s HTTP/1.1\r\nHost: h\r\n%s%s\r\n", path, header,
           *header ? "\r\n" : "");
  say(listener->fd, request);
}

/* Opens a stream and waits for its first bytes: the hub has it then. */
static inline void open_at(struct listener *listener, int port,
                           const char *path, const char *last_id) {
  char header[128] = "";
  if (last_id)
    snprintf(header, sizeof header, "Last-Event-ID: %s", last_id);
  dial_stream(listener, port, path, header);
  int64_t until = now_ms() + PATIENCE_MS;
  while (!listener->len && await(listener->fd, POLLIN, until))
    assert_true(listener_read(listener));
  assert_true(listener->len > 0);
}

static inline void open_stream(struct listener *listener,
                               const char *path, const char *last_id) {
  open_at(listener, child.port, path, last_id);
}

static inline void expect(struct listener *listener, const char *type,
                          const char *data) {
  assert_true(hear_event(listener));
  assert_string_equal(listener->type, type);
  assert_string_equal(listener->data, data);
}

/* The stream ends, and nothing but retry blocks and comments came first. */
static inline void expect_end(struct listener *listener) {
  assert_false(hear_event(listener));
  assert_int_equal(recv(listener->fd, listener->buf, 1, MSG_DONTWAIT), 0);
  listener_close(listener);
}

#endif
