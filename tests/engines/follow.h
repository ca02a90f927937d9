/* SPDX-License-Identifier: MIT */
/* follow.h: what the tests of engines with a log share. It comes after cmocka.h. */
#ifndef TESTS_ENGINES_FOLLOW_H
#define TESTS_ENGINES_FOLLOW_H

#include <stdio.h>
#include <string.h>

#include "common.h"

enum {
  TOLD_MAX = 16384
};

static inline struct engine_status status_of(struct engine *engine) {
  struct engine_status status;
  engine_status(engine, &status);
  return status;
}

static inline void publish(struct engine *engine, const char *channel, const char *text) {
  int error = engine_publish(engine, NAMES(channel), &(sse_event){.text = text}, NULL);
  if (error) fail_msg("publish: %s: %s", engine_error_text(error), status_of(engine).problem);
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
  static char text[TOLD_MAX];
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

#endif
