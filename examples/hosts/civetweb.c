/* SPDX-License-Identifier: MIT */
/* civetweb.c: streams in civetweb: each holds one of its threads, and writes block. */
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <civetweb.h>

#include "app.h"
#include "request.h"

#define THREADS_MAX 640 /* one for each stream, and some for what is short */
#define QUEUE       16  /* clients that are accepted and wait for a thread */

static struct app app;

/* ---- The glue between host and libsse begins ---- */

#define SLICE_MS    500 /* how often a thread looks whether the program ends */
#define CHUNK_BYTES 16384

static atomic_bool stopping;

/*
 * Serves a stream that stands alone, until it ends, the client is gone, or the program stops.
 * mg_write() blocks until all is with the socket, for request_timeout_ms without progress at most:
 * that is the stall deadline here, as libsse cannot end a stream whose thread is in mg_write(). It
 * is up to 4 seconds late, because civetweb looks at the clock and at the socket every 2.
 */
static void run_stream(struct mg_connection *conn, sse_stream *stream) {
  char bytes[CHUNK_BYTES];
  while (!stopping) {
    ssize_t len = sse_stream_read(stream, bytes, sizeof bytes);
    if (len > 0 && mg_write(conn, bytes, (size_t)len) != len) return;
    if (len <= 0 && !sse_error_is_final((int)len)) len = sse_stream_wait(stream, SLICE_MS);
    if (sse_error_is_final((int)len)) return;
  }
}

/*
 * civetweb shows nobody the socket, and its reading calls give 0 once a request is read, so a
 * client that closes is noticed by a write that fails. That is the second one, as the first only
 * brings the reset: two heartbeats in the time of one notice it in that time.
 */
static void serve_stream(struct mg_connection *conn, const char *const *channels) {
  sse_stream *stream;
  const sse_http_head head = {.headers = NULL};
  const sse_stream_config config = {.channels = channels,
                                    .last_id = mg_get_header(conn, "Last-Event-ID"),
                                    .head = &head,
                                    .heartbeat_ms = app.heartbeat_ms / 2};
  mg_disable_connection_keep_alive(conn);
  int error = sse_stream_open(&stream, app.hub, &config);
  if (error) {
    char answer[ANSWER_MAX];
    mg_write(conn, answer, request_refuse(answer, app.hub, error));
    return;
  }
  run_stream(conn, stream);
  sse_stream_free(stream);
}

/* mg_stop() waits for all handlers and gives them no sign (civetweb issue 862), so this comes
 * first. Threads that wait come back within a slice; those in mg_write() when mg_stop() begins. */
static void stop_streams(void) {
  stopping = true;
}

/* ---- The glue ends ---- */

/* What a handler returns is only for civetweb's log; the answer is written here. */
static int reply(struct mg_connection *conn, int status) {
  char answer[ANSWER_MAX];
  bool keep = status < 400;
  const char *path = mg_get_request_info(conn)->local_uri;
  if (!keep) mg_disable_connection_keep_alive(conn);
  mg_write(conn, answer, request_answer(answer, status, path, keep));
  return status;
}

static int publish(struct mg_connection *conn) {
  const struct mg_request_info *info = mg_get_request_info(conn);
  if (info->content_length > APP_BODY_MAX) return 413;
  char *body = malloc(APP_BODY_MAX + 1);
  if (!body) return 503;
  size_t len = 0;
  for (int got;
       len <= APP_BODY_MAX && (got = mg_read(conn, body + len, APP_BODY_MAX + 1 - len)) > 0;)
    len += (size_t)got;
  int status = app_publish(&app, info->query_string, body, len);
  free(body);
  return status;
}

static int on_request(struct mg_connection *conn, void *arg) {
  const struct mg_request_info *info = mg_get_request_info(conn);
  struct app_channels channels;
  (void)arg;
  int status = app_route(info->request_method, info->local_uri, info->query_string, &channels);
  if (status == APP_STREAM) {
    serve_stream(conn, channels.list);
    return 200;
  }
  return reply(conn, status == APP_PUBLISH ? publish(conn) : status);
}

int main(int argc, char **argv) {
  char listen[32], timeout[16], threads[16], queue[16];
  app_start(&app, argc, argv);
  snprintf(listen, sizeof listen, "127.0.0.1:%d", app.port);
  snprintf(timeout, sizeof timeout, "%d", app.stall_ms);
  /* It accepts no more clients than it has threads and places in the queue. */
  snprintf(threads, sizeof threads, "%d", app_conns_max(THREADS_MAX + QUEUE) - QUEUE);
  snprintf(queue, sizeof queue, "%d", QUEUE);
  const char *options[] = {"listening_ports",
                           listen,
                           "num_threads",
                           threads,
                           "connection_queue",
                           queue,
                           "request_timeout_ms",
                           timeout,
                           "enable_keep_alive",
                           "yes",
                           "tcp_nodelay",
                           "1",
                           NULL};
  mg_init_library(MG_FEATURES_DEFAULT);
  struct mg_context *context = mg_start(NULL, NULL, options);
  struct mg_server_port port;
  if (!context || mg_get_server_ports(context, 1, &port) != 1) return 1;
  mg_set_request_handler(context, "/", on_request, NULL);
  app_listening(&app, port.port);
  struct pollfd stop = {.fd = app.stop_fd, .events = POLLIN};
  while (poll(&stop, 1, -1) < 0) {
  }
  app_stop_ticker(&app);
  stop_streams();
  mg_stop(context);
  mg_exit_library();
  return app_end(&app);
}
