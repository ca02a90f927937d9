/* SPDX-License-Identifier: MIT */
/* follow.h: what the tests of engines with a log share. It comes after cmocka.h. */
#ifndef TESTS_ENGINES_FOLLOW_H
#define TESTS_ENGINES_FOLLOW_H

#include <stdio.h>
#include <string.h>

#include "common.h"

enum {
  WIRE_MAX = 16384
};

static inline void publish(struct engine *engine, const char *channel, const char *text) {
  int error = engine_publish(engine, NAMES(channel), &(sse_event){.text = text}, NULL);
  if (error) fail_msg("publish: %s", engine_error_text(error));
}

static inline struct engine_status status_of(struct engine *engine) {
  struct engine_status status;
  engine_status(engine, &status);
  return status;
}

/* ---- clients ---- */

static const sse_stream_config of_a = {.channel = "a"};

static inline void connect_to(struct client *client, struct engine *engine) {
  client_open(client, engine_hub(engine), &of_a);
}

/* A new client, which is connected. */
static inline void follow(struct client *client, struct engine *engine) {
  client_init(client);
  connect_to(client, engine);
}

/* The data of everything that the client was given, with spaces between; gaps as [reason]. */
static inline const char *told(const struct client *client) {
  static char text[WIRE_MAX];
  size_t len = 0;
  *text = '\0';
  for (size_t i = 0; i < client->count && len < sizeof text; i++) {
    const struct seen *seen = &client->seen[i];
    const char *gap = strcmp(seen->type, "gap") == 0 ? strstr(seen->data, "reason\":\"") : NULL;
    int reason = gap ? (int)strcspn(gap + 9, "\"") : 0;
    int now =
        gap ? snprintf(text + len, sizeof text - len, "%s[%.*s]", i ? " " : "", reason, gap + 9)
            : snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "", seen->data);
    len += (size_t)now;
  }
  return text;
}

static inline void assert_told(struct client *client, size_t count, const char *wanted) {
  if (!client_wait(client, count) || strcmp(told(client), wanted) != 0)
    fail_msg("\"%s\" instead of \"%s\"", told(client), wanted);
}

/* ---- what an entry has ---- */

static size_t filtered;
static char filter_log[1024];

static inline int note_event(void *arg, const sse_filter_event *event) {
  (void)arg;
  filtered += (size_t)snprintf(filter_log + filtered, sizeof filter_log - filtered, "%s=%llu ",
                               event->key ? event->key : "-", (unsigned long long)event->label);
  return 1;
}

/* All bytes of a stream of each channel that comes with this id, and what their filters see. */
static inline size_t wire_of(struct engine *engine, const char *id, char *wire) {
  static const char *const names[] = {"a", "b"};
  size_t len = 0;
  filtered = 0;
  for (size_t i = 0; i < 2; i++) {
    sse_stream *stream;
    const sse_stream_config config = {
        .channel = names[i], .last_id = id, .filter = note_event, .retry_ms = SSE_NEVER};
    ssize_t got;
    assert_int_equal(sse_stream_open(&stream, engine_hub(engine), &config), 0);
    while ((got = sse_stream_read(stream, wire + len, WIRE_MAX - len)) > 0) len += (size_t)got;
    sse_stream_free(stream);
  }
  return len;
}

static const struct {
  const char *const *channels;
  sse_event event;
} whole[] = {
    {NAMES("a"), {.text = "text"}},
    {NAMES("a", "b"), {.text = "two channels", .type = "type"}},
    {NAMES("b"), {.data = "a\0b\r\nc", .data_len = 6, .label = UINT64_MAX}},
    {NAMES("a"), {.data = "", .data_len = 0, .comment = "one\ntwo"}},
    {NAMES("a"), {.text = "\xff", .type = "\xfe", .flags = SSE_ANY_BYTES}},
    {NAMES("a"), {.text = "retry", .retry_ms = 1234}},
    {NAMES("a"), {.text = "retry 0", .retry_ms = SSE_RETRY_ZERO}},
    {NAMES("a"), {.text = "key", .key = "the key", .label = 7}},
    {NAMES("a"), {.text = "gone", .key = "the key", .flags = SSE_TOMBSTONE}},
    {NAMES("a"), {.text = "id", .id = "id of the application"}},
    {NAMES("a"), {.text = "\xc3\xa4", .type = "\xc3\xb6", .key = "\xc3\xbc"}},
};

#endif
