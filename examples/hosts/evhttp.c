/* SPDX-License-Identifier: MIT */
/* evhttp.c: streams in libevent's HTTP server: a chunk is pushed when the last one is out. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
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

static int add_header(void *out, const char *name, const char *value) {
  return evhttp_add_header(out, name, value);
}

/* After a gentle end the response is complete, and libevent frees the request when it is sent. The
 * client has a while for that, as the stall deadline no longer counts. */
static void end(struct client *c, int reason) {
  const struct timeval timeout = {.tv_sec = REQUEST_S};
  struct evhttp_connection *connection = evhttp_request_get_connection(c->request);
  if (!sse_end_is_gentle(reason)) {
    evhttp_connection_free(connection);
    return;
  }
  bufferevent_set_timeouts(evhttp_connection_get_bufferevent(connection), &timeout, &timeout);
  evhttp_connection_set_closecb(connection, NULL, NULL);
  evhttp_send_reply_end(c->request);
  sse_stream_free(c->stream);
  free(c);
}

/* libevent would take any amount, so it gets one chunk at a time. A stream that the loop returns
 * meanwhile is over, and peek tells. */
static void serve(struct client *c) {
  char bytes[CHUNK_BYTES];
  struct iovec iov;
  struct evbuffer *chunk = NULL;
  ssize_t len = c->sending ? sse_stream_peek(c->stream, &iov, 1)
                           : sse_stream_read(c->stream, bytes, sizeof bytes);
  if (len > 0 ? c->sending : !sse_error_is_final((int)len)) return;
  if (len > 0) chunk = evbuffer_new();
  if (chunk && evbuffer_add(chunk, bytes, (size_t)len) == 0) {
    c->sending = true;
    evhttp_send_reply_chunk_with_cb(c->request, chunk, sent, c);
  } else {
    end(c, len < 0 ? (int)len : SSE_ENOMEM);
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

/* A browser stops for good at any status but 200, so libsse says what fits the error. */
static void refuse(struct evhttp_request *request, int error) {
  struct evkeyvalq *out = evhttp_request_get_output_headers(request);
  struct evbuffer *body = evbuffer_new();
  int status = sse_http_headers(sse_http_refusal(error), NULL, add_header, out);
  if (status == 200 && body)
    evbuffer_add_printf(body, "retry: %d\n", (int)sse_hub_retry_ms(app.hub));
  evhttp_send_reply(request, status > 0 ? status : 500, NULL, body);
  if (body) evbuffer_free(body);
}

static int open_stream(struct evhttp_request *request, const struct app_channels *channels) {
  struct evkeyvalq *in = evhttp_request_get_input_headers(request);
  struct client *c = calloc(1, sizeof *c);
  const sse_stream_config config = {.channels = channels->list,
                                    .last_id = evhttp_find_header(in, "Last-Event-ID"),
                                    .user = c,
                                    .loop = loop};
  int error = c ? sse_stream_open(&c->stream, app.hub, &config) : SSE_ENOMEM;
  if (error) {
    free(c);
    return error;
  }
  c->request = request;
  sse_stream_prepare_fd(c->stream, bufferevent_getfd(evhttp_connection_get_bufferevent(
                                       evhttp_request_get_connection(request))));
  evhttp_connection_set_closecb(evhttp_request_get_connection(request), closed, c);
  event_active(rounds, EV_TIMEOUT, 0); /* for its first bytes, and because its timer is new */
  return SSE_OK;
}

/* ---- The glue ends ---- */

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

static const char *method_of(const struct evhttp_request *request) {
  switch (evhttp_request_get_command(request)) {
  case EVHTTP_REQ_GET:
    return "GET";
  case EVHTTP_REQ_HEAD:
    return "HEAD";
  case EVHTTP_REQ_POST:
    return "POST";
  case EVHTTP_REQ_OPTIONS:
    return "OPTIONS";
  default:
    return "";
  }
}

static void handle(struct evhttp_request *request, void *arg) {
  const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
  const char *path = evhttp_uri_get_path(uri), *query = evhttp_uri_get_query(uri);
  struct evbuffer *body = evhttp_request_get_input_buffer(request);
  struct app_channels channels;
  int error, status = app_route(method_of(request), path, query, &channels);
  (void)arg;
  if (status == APP_STREAM) {
    if ((error = open_stream(request, &channels)))
      refuse(request, error);
    else
      start_reply(request);
    return;
  }
  if (status == APP_PUBLISH)
    status = app_publish(&app, query, evbuffer_pullup(body, -1), evbuffer_get_length(body));
  app_headers(status, path, add_header, evhttp_request_get_output_headers(request));
  evhttp_send_reply(request, status, NULL, NULL);
}

/* ---- Listening ---- */

static struct event *accept_again;

static void resume_accept(evutil_socket_t fd, short why, void *listener) {
  (void)fd, (void)why;
  evconnlistener_enable(listener);
}

/* Out of descriptors, libevent would try again at once, and endlessly. */
static void pause_accept(struct evconnlistener *listener, void *arg) {
  const struct timeval timeout = {.tv_usec = APP_PAUSE_MS * 1000};
  (void)arg;
  evconnlistener_disable(listener);
  event_add(accept_again, &timeout);
}

static int accept_clients(struct evhttp *http, int fd) {
  struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(http, fd);
  if (!bound) return -1;
  struct evconnlistener *listener = evhttp_bound_socket_get_listener(bound);
  accept_again = event_new(base, -1, 0, resume_accept, listener);
  evconnlistener_set_error_cb(listener, pause_accept);
  return accept_again ? 0 : -1;
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
  /* These are all that it knows; to one that it does not know, it answers 501. */
  evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                       EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                       EVHTTP_REQ_PATCH | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT);
  evhttp_set_max_body_size(http, APP_BODY_MAX);
  evhttp_set_flags(http, EVHTTP_SERVER_LINGERING_CLOSE); /* or 413 would be a reset */
  evhttp_set_timeout(http, REQUEST_S);
  evhttp_set_gencb(http, handle, NULL);
  if (event_add(stopper, NULL) || accept_clients(http, listener)) return 1;
  app_listening(&app, port);
  event_base_dispatch(base);
  app_stop_ticker(&app);
  evhttp_free(http); /* closes all connections, and with them the streams */
  sse_loop_free(loop);
  event_free(rounds);
  event_free(stopper);
  event_free(accept_again);
  event_base_free(base);
  libevent_global_shutdown();
  return app_end(&app);
}
