/* SPDX-License-Identifier: MIT */
/* evhttp.c: streams in libevent's HTTP server: a chunk is pushed when the last one is out. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/thread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"

#define CHUNK_BYTES ((size_t)16 * 1024) /* all that libevent keeps for a client that is slow */
#define INPUT_BYTES 4096                /* that a client sends while it streams, and nobody reads */
#define REQUEST_S   10                  /* how long a client may take for a request */

static struct app app;
static struct event_base *base;

struct client {
  struct evhttp_request *request;
  sse_stream *stream;
  bool sending; /* a chunk is on its way to the socket */
};

/* ---- The glue between host and libsse begins ---- */

static sse_loop *loop;
static struct event *rounds;

/* From the thread of a publisher, so the base needs evthread_use_pthreads(). */
static int wake(void *arg, unsigned why) {
  (void)arg, (void)why;
  event_active(rounds, EV_TIMEOUT, 0);
  return 0;
}

/* Whoever closes. libevent frees the request itself, unless it was the client that went: then it
 * has taken the request off its connection and left it to us (libevent issue 997). */
static void closed(struct evhttp_connection *connection, void *arg) {
  struct client *c = arg;
  (void)connection;
  sse_stream_free(c->stream);
  if (!evhttp_request_get_connection(c->request)) evhttp_request_free(c->request);
  free(c);
}

static void sent(struct evhttp_connection *connection, void *arg);

/* libevent would take any amount, so it gets one chunk at a time. A stream that the loop returns
 * meanwhile is over, and peek tells. */
static void serve(struct client *c) {
  char bytes[CHUNK_BYTES];
  struct iovec iov;
  struct evbuffer *chunk = NULL;
  ssize_t len = c->sending ? sse_stream_peek(c->stream, &iov, 1)
                           : sse_stream_read(c->stream, bytes, sizeof bytes);
  if (len >= 0 && (c->sending || len == 0)) return;
  if (len > 0) chunk = evbuffer_new();
  if (chunk && evbuffer_add(chunk, bytes, (size_t)len) == 0) {
    c->sending = true;
    evhttp_send_reply_chunk_with_cb(c->request, chunk, sent, c);
  } else {
    evhttp_connection_free(evhttp_request_get_connection(c->request));
  }
  if (chunk) evbuffer_free(chunk);
}

static void sent(struct evhttp_connection *connection, void *arg) {
  struct client *c = arg;
  (void)connection;
  c->sending = false;
  serve(c);
}

static void run_round(evutil_socket_t fd, short why, void *arg) {
  (void)fd, (void)why, (void)arg;
  for (sse_stream *stream; (stream = sse_loop_next(loop));) serve(sse_stream_user(stream));
  int ms = sse_loop_timeout(loop);
  const struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
  if (ms >= 0) event_add(rounds, &timeout);
}

static int open_stream(struct evhttp_request *request, const struct app_channels *channels) {
  struct evkeyvalq *in = evhttp_request_get_input_headers(request);
  struct client *c = calloc(1, sizeof *c);
  const sse_stream_config config = {.channels = channels->list,
                                    .last_id = evhttp_find_header(in, "Last-Event-ID"),
                                    .user = c,
                                    .loop = loop};
  if (!c || sse_stream_open(&c->stream, app.hub, &config)) {
    free(c);
    return 503;
  }
  c->request = request;
  sse_stream_prepare_fd(c->stream, bufferevent_getfd(evhttp_connection_get_bufferevent(
                                       evhttp_request_get_connection(request))));
  evhttp_connection_set_closecb(evhttp_request_get_connection(request), closed, c);
  event_active(rounds, EV_TIMEOUT, 0); /* for its first bytes, and because its timer is new */
  return 200;
}

/* ---- The glue ends ---- */

static int add_header(void *out, const char *name, const char *value) {
  return evhttp_add_header(out, name, value);
}

/* libevent reads on while a stream runs, and so notices that the client closes; but then a client
 * that says nothing for long is no reason to end it, and what it says is not to be collected. */
static void start_reply(struct evhttp_request *request) {
  struct bufferevent *io =
      evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
  struct evkeyvalq *out = evhttp_request_get_output_headers(request);
  bufferevent_set_timeouts(io, NULL, NULL);
  bufferevent_setwatermark(io, EV_READ, 0, INPUT_BYTES);
  if (sse_http_headers(SSE_HTTP_STREAM, NULL, add_header, out) > 0) {
    evhttp_send_reply_start(request, 200, NULL);
  } else { /* out of memory */
    evhttp_connection_free(evhttp_request_get_connection(request));
  }
}

/* The status of the answer; 200: there is a stream. */
static int route(struct evhttp_request *request) {
  const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
  const char *path = evhttp_uri_get_path(uri), *query = evhttp_uri_get_query(uri);
  bool post = evhttp_request_get_command(request) == EVHTTP_REQ_POST;
  struct evbuffer *body = evhttp_request_get_input_buffer(request);
  struct app_channels channels;
  if (strcmp(path, "/publish") == 0 && post)
    return app_publish(&app, query, evbuffer_pullup(body, -1), evbuffer_get_length(body));
  if (strcmp(path, "/stream") != 0) return 404;
  if (post) return 405;
  int status = app_channels(&channels, query);
  return status ? status : open_stream(request, &channels);
}

static void handle(struct evhttp_request *request, void *arg) {
  int status = route(request);
  (void)arg;
  if (status == 200) {
    start_reply(request);
  } else {
    evhttp_send_reply(request, status, NULL, NULL);
  }
}

static void stop(evutil_socket_t fd, short why, void *arg) {
  (void)fd, (void)why, (void)arg;
  event_base_loopbreak(base);
}

int main(int argc, char **argv) {
  app_start(&app, argc, argv);
  int port, listener = app_listen(&app, &port);
  if (evthread_use_pthreads() || !(base = event_base_new())) return 1;
  struct evhttp *http = evhttp_new(base);
  struct event *stopper = event_new(base, app.stop_fd, EV_READ, stop, NULL);
  rounds = event_new(base, -1, 0, run_round, NULL);
  if (!http || !stopper || !rounds ||
      sse_loop_new(&loop, app.hub, &(const sse_loop_config){.wake = wake}))
    return 1;
  evutil_make_socket_nonblocking(listener);
  evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
  evhttp_set_max_body_size(http, APP_BODY_MAX);
  evhttp_set_flags(http, EVHTTP_SERVER_LINGERING_CLOSE); /* or 413 would be a reset */
  evhttp_set_timeout(http, REQUEST_S);
  evhttp_set_gencb(http, handle, NULL);
  if (event_add(stopper, NULL) || evhttp_accept_socket(http, listener)) return 1;
  app_listening(&app, port);
  event_base_dispatch(base);
  app_stop_ticker(&app);
  evhttp_free(http); /* closes all connections, and with them the streams */
  sse_loop_free(loop);
  event_free(rounds);
  event_free(stopper);
  event_base_free(base);
  libevent_global_shutdown();
  return app_end(&app);
}
