/* SPDX-License-Identifier: MIT */
/* snapshot.c: a table that pages load once and then follow, without a race between the two. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "host.h"

enum {
  ITEMS = 8
};

static sse_hub *hub;

/* [change] */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t version; /* of the table: how often it was changed */
static int table[ITEMS];

static int change(int item, int value) {
  char text[96];
  pthread_mutex_lock(&lock);
  snprintf(text, sizeof text,
           "{\"version\":%" PRIu64 ",\"item\":%d,\"value\":%d}",
           version + 1, item, value);
  int result = sse_hub_publish_text(hub, "table", "change", text);
  if (result == SSE_OK) {
    table[item] = value;
    version++;
  }
  pthread_mutex_unlock(&lock);
  return result;
}
/* [/change] */

/* [state] */
static void state(const struct request *request) {
  char text[32 + ITEMS * 12];
  pthread_mutex_lock(&lock);
  int len = snprintf(text, sizeof text,
                     "{\"version\":%" PRIu64 ",\"items\":[", version);
  for (int i = 0; i < ITEMS; i++)
    len += snprintf(text + len, sizeof text - (size_t)len,
                    i ? ",%d" : "%d", table[i]);
  pthread_mutex_unlock(&lock);
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

int main(int argc, char **argv) {
  if (sse_hub_new(&hub, NULL)) return 1;
  host_run(argc, argv, hub, answer);
  return sse_hub_free(hub) != SSE_OK;
}
