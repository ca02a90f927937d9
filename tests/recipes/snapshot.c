/* SPDX-License-Identifier: MIT */
/* snapshot.c: a table that pages load once and then follow, without a race between the two. */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

enum {
  ITEMS = 8
};

static sse_hub *hub;

/* The database: what it has is read and written in one step. */
static pthread_mutex_t database = PTHREAD_MUTEX_INITIALIZER;
static uint64_t version; /* of the table: how often it was changed */
static int table[ITEMS];

static uint64_t store(int item, int value) {
  pthread_mutex_lock(&database);
  table[item] = value;
  uint64_t stored = ++version;
  pthread_mutex_unlock(&database);
  return stored;
}

static uint64_t load(int items[ITEMS]) {
  pthread_mutex_lock(&database);
  for (int i = 0; i < ITEMS; i++) items[i] = table[i];
  uint64_t loaded = version;
  pthread_mutex_unlock(&database);
  return loaded;
}

/* [change] */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static int change(int item, int value) {
  char text[96];
  int result;
  pthread_mutex_lock(&one_at_a_time);
  snprintf(text, sizeof text,
           "{\"version\":%" PRIu64 ",\"item\":%d,\"value\":%d}",
           store(item, value), item, value); /* the database first, */
  while ((result = sse_hub_publish_text(hub, "table", "change", text)) ==
             SSE_EFULL ||
         result == SSE_ENOMEM)
    poll(NULL, 0, 10); /* then the event; until there is room */
  pthread_mutex_unlock(&one_at_a_time);
  return result;
}
/* [/change] */

/* [state] */
static void state(const struct request *request) {
  char id[SSE_ID_BYTES_MAX + 1], text[64 + sizeof id + ITEMS * 12];
  int items[ITEMS];
  sse_hub_position(hub, id, sizeof id); /* the id first, */
  uint64_t loaded = load(items);        /* then the database */
  int len = snprintf(text, sizeof text,
                     "{\"id\":\"%s\",\"version\":%" PRIu64 ",\"items\":[",
                     id, loaded);
  for (int i = 0; i < ITEMS; i++)
    len += snprintf(text + len, sizeof text - (size_t)len,
                    i ? ",%d" : "%d", items[i]);
  snprintf(text + len, sizeof text - (size_t)len, "]}");
  request_answer(request, 200, text);
}
/* [/state] */

static void answer(const struct request *request) {
  char item[4], value[12];
  if (request_is(request, "GET", "/stream")) {
    const sse_stream_config config = {.channel = "table",
                                      .lost = SSE_LOST_LIVE};
    request_serve(request, request_open(request, hub, &config));
  } else if (request_is(request, "GET", "/state")) {
    state(request);
  } else if (request_is(request, "POST", "/change") &&
             request_param(request, "item", item, sizeof item) &&
             request_param(request, "value", value, sizeof value)) {
    int result = change(abs((int)strtol(item, NULL, 10)) % ITEMS,
                        (int)strtol(value, NULL, 10));
    request_answer(request, result < 0 ? 503 : 200,
                   sse_error_text(result));
  } else {
    request_answer(request, 404, "");
  }
}

static atomic_int stopping;

/* Changes the table without a pause: version n sets item n % ITEMS to n. */
static void *keep_changing(void *arg) {
  for (int n = 1; !stopping; n++) change(n % ITEMS, n);
  return arg;
}

int main(int argc, char **argv) {
  const sse_hub_config config = {
      .channel = {.window_frames_max = 65536,
                  .window_bytes_max = 32 << 20}};
  int busy = argc > 2 && strcmp(argv[2], "busy") == 0;
  pthread_t thread;
  if (sse_hub_new(&hub, &config)) return 1;
  if (busy && pthread_create(&thread, NULL, keep_changing, NULL))
    return 1;
  host_run(argc, argv, hub, answer);
  stopping = 1;
  if (busy) pthread_join(thread, NULL);
  return sse_hub_free(hub) != SSE_OK;
}
