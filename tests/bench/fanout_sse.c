/* SPDX-License-Identifier: MIT */
/* fanout_sse.c: libsse on the example host, as a server to be measured. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/httpd/httpd.h"
#include "fanout.h"

static const char *channel_of(const struct request *request) {
  const char *channel = request_param(request, "channel");
  return channel ? channel : "0";
}

static void stream(struct httpd_conn *conn, const struct request *request, void *arg) {
  (void)arg;
  httpd_stream(conn, request, &(sse_stream_config){.channel = channel_of(request)});
}

static void publish(struct httpd_conn *conn, const struct request *request, void *arg) {
  const char *at = request->body, *end = at + request->body_len;
  int error = SSE_OK;
  while (at < end && !error) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    if (!stop) stop = end;
    const sse_event event = {.data = at, .data_len = (size_t)(stop - at)};
    error = sse_hub_publish(arg, channel_of(request), &event);
    at = stop + 1;
  }
  httpd_reply(conn, &(struct httpd_response){.status = error ? 500 : 204});
}

/* The window holds what the longest flood leaves waiting; the load would see a gap as a loss. */
int fanout_sse(unsigned threads, int linger_ms) {
  static const struct httpd_route routes[] = {
      {"GET", "/stream", stream}, {"POST", "/publish", publish}, {NULL, NULL, NULL}};
  sse_hub *hub;
  const sse_hub_config config = {.memory_bytes_max = (size_t)256 << 20,
                                 .channel.window_bytes_max = (size_t)16 << 20,
                                 .heartbeat_ms = 3600 * 1000};
  if (sse_hub_new(&hub, &config)) return EXIT_FAILURE;
  struct httpd *httpd = httpd_new(&(struct httpd_config){.name = "fanout",
                                                         .hub = hub,
                                                         .port = "0",
                                                         .threads = threads,
                                                         .routes = routes,
                                                         .arg = hub,
                                                         .linger_ms = linger_ms,
                                                         .body_max_bytes = (size_t)1 << 20,
                                                         .idle_ms = 3600 * 1000});
  if (!httpd) return EXIT_FAILURE;
  printf("%s\n", strrchr(httpd_url(httpd), ':') + 1);
  fflush(stdout);
  int result = httpd_run(httpd);
  httpd_free(httpd);
  sse_hub_free(hub);
  return result ? EXIT_FAILURE : EXIT_SUCCESS;
}
