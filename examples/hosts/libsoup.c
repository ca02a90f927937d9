/* SPDX-License-Identifier: MIT */
/* libsoup.c: streams in libsoup's HTTP server: a chunk is appended when the last one is out. */
#include <errno.h>
#include <glib-unix.h>
#include <libsoup/soup.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "app.h"

#define CHUNK_BYTES ((size_t)16 * 1024) /* all that libsoup keeps for a client that is slow */
#define REQUEST_S   10                  /* how long a client may be silent within a request */

static struct app app;

struct client {
  SoupServerMessage *message;
  GSource *watch; /* of the client's socket */
  sse_stream *stream;
  bool sending; /* a chunk is on its way to the socket */
};

static GSocket *socket_of(SoupServerMessage *message);

/* ---- The glue between host and libsse begins ---- */

static sse_loop *loop;
static size_t clients;
static GSource *woken, *timer; /* two, so that neither overwrites the other's ready time */

/* From the thread of a publisher; it also wakes up the main context. */
static int wake(void *arg, unsigned why) {
  (void)arg, (void)why;
  g_source_set_ready_time(woken, 0);
  return 0;
}

/* libsoup frees the message in every case, whoever closes, and the client with it. */
static void closed(void *arg) {
  struct client *c = arg;
  g_source_destroy(c->watch);
  g_source_unref(c->watch);
  sse_stream_free(c->stream);
  free(c);
  clients--;
}

/* No other call closes a connection in the middle of a response. It frees the client. */
static void close_client(struct client *c) {
  GIOStream *io = soup_server_message_steal_connection(c->message);
  g_io_stream_close(io, NULL, NULL);
  g_object_unref(io);
}

/* After a gentle end the response is complete, and libsoup closes when it is sent. The client has a
 * while for that, as the stall deadline no longer counts. */
static void end(struct client *c, int reason) {
  if (c->sending || !sse_end_is_gentle(reason)) {
    close_client(c);
    return;
  }
  c->sending = true;
  g_socket_set_timeout(socket_of(c->message), REQUEST_S);
  soup_message_body_complete(soup_server_message_get_response_body(c->message));
  soup_server_message_unpause(c->message);
}

/* libsoup would take any amount, so it gets one chunk at a time, and then it pauses the message by
 * itself. A stream that the loop returns while a chunk is on its way is over, and peek tells. */
static void serve(struct client *c) {
  char bytes[CHUNK_BYTES];
  struct iovec iov;
  ssize_t len = c->sending ? sse_stream_peek(c->stream, &iov, 1)
                           : sse_stream_read(c->stream, bytes, sizeof bytes);
  if (sse_error_is_final((int)len)) {
    end(c, (int)len);
  } else if (len > 0 && !c->sending) {
    SoupMessageBody *body = soup_server_message_get_response_body(c->message);
    c->sending = true;
    soup_message_body_append(body, SOUP_MEMORY_COPY, bytes, (gsize)len);
    soup_server_message_unpause(c->message);
  }
}

static void sent(SoupServerMessage *message, void *arg) {
  struct client *c = arg;
  (void)message;
  c->sending = false;
  serve(c);
}

/* libsoup does not read while it sends, so a client that closed is for us to find. What a client
 * sends nevertheless stays in its socket; then it is the next write that finds the end. */
static gboolean readable(GSocket *socket, GIOCondition what, void *arg) {
  char byte;
  ssize_t got = recv(g_socket_get_fd(socket), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  (void)what;
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return G_SOURCE_CONTINUE;
  if (got <= 0) close_client(arg);
  return G_SOURCE_REMOVE;
}

static gboolean run_round(GSource *source, GSourceFunc callback, void *arg) {
  (void)source, (void)callback, (void)arg;
  g_source_set_ready_time(woken, -1); /* first: a wake may come before this returns */
  for (sse_stream *stream; (stream = sse_loop_next(loop));) serve(sse_stream_user(stream));
  int ms = sse_loop_timeout(loop);
  g_source_set_ready_time(timer, ms < 0 ? -1 : g_get_monotonic_time() + (gint64)ms * 1000);
  return G_SOURCE_CONTINUE;
}

static int add_header(void *out, const char *name, const char *value) {
  soup_message_headers_replace(out, name, value);
  return 0;
}

static int open_stream(SoupServerMessage *message, const struct app_channels *channels) {
  SoupMessageHeaders *in = soup_server_message_get_request_headers(message);
  struct client *c = calloc(1, sizeof *c);
  const sse_stream_config config = {.channels = channels->list,
                                    .last_id = soup_message_headers_get_one(in, "Last-Event-ID"),
                                    .user = c,
                                    .loop = loop};
  int error = c ? sse_stream_open(&c->stream, app.hub, &config) : SSE_ENOMEM;
  if (error) {
    free(c);
    return error;
  }
  c->message = message;
  sse_stream_prepare_fd(c->stream, g_socket_get_fd(socket_of(message)));
  g_socket_set_timeout(socket_of(message), 0); /* before the source, which would begin to count */
  c->watch = g_socket_create_source(socket_of(message), G_IO_IN, NULL);
  g_source_set_callback(c->watch, G_SOURCE_FUNC(readable), c, NULL);
  g_source_attach(c->watch, NULL);
  g_object_set_data_full(G_OBJECT(message), "client", c, closed);
  clients++;
  g_signal_connect(message, "wrote-chunk", G_CALLBACK(sent), c);
  wake(NULL, 0); /* for its first bytes, and because its timer is new */
  return SSE_OK;
}

/* A browser stops for good at any status but 200, so libsse says what fits the error. */
static void refuse(SoupServerMessage *message, int error) {
  SoupMessageHeaders *out = soup_server_message_get_response_headers(message);
  int status = sse_http_headers(sse_http_refusal(error), NULL, add_header, out);
  char body[32];
  soup_server_message_set_status(message, (guint)status, NULL);
  if (status != 200) return;
  int len = snprintf(body, sizeof body, "retry: %d\n", (int)sse_hub_retry_ms(app.hub));
  soup_message_body_append(soup_server_message_get_response_body(message), SOUP_MEMORY_COPY, body,
                           (gsize)len);
}

/* ---- The glue ends ---- */

/* To a GET, and to a HEAD, which has no stream. */
static void start_reply(SoupServerMessage *message) {
  SoupMessageHeaders *out = soup_server_message_get_response_headers(message);
  bool old = soup_server_message_get_http_version(message) == SOUP_HTTP_1_0;
  sse_http_headers(SSE_HTTP_STREAM, NULL, add_header, out);
  soup_message_headers_set_encoding(out, old ? SOUP_ENCODING_EOF : SOUP_ENCODING_CHUNKED);
  soup_message_body_set_accumulate(soup_server_message_get_response_body(message), FALSE);
  soup_server_message_set_status(message, 200, NULL);
}

/* Each response closes its connection: libsoup 3.2.3 does not look at one that waits for the next
 * request, and when the client closes it, it stays open for good. */
static void handle(SoupServer *server, SoupServerMessage *message, const char *path,
                   GHashTable *form, void *arg) {
  const char *query = g_uri_get_query(soup_server_message_get_uri(message));
  SoupMessageHeaders *out = soup_server_message_get_response_headers(message);
  SoupMessageBody *body = soup_server_message_get_request_body(message);
  struct app_channels channels;
  int error, status = app_route(soup_server_message_get_method(message), path, query, &channels);
  (void)server, (void)form, (void)arg;
  soup_message_headers_replace(out, "Connection", "close");
  if (status == APP_STREAM) {
    if ((error = open_stream(message, &channels)))
      refuse(message, error);
    else
      start_reply(message);
  } else if (status == 200) {
    start_reply(message);
  } else {
    if (status == APP_PUBLISH) status = app_publish(&app, query, body->data, (size_t)body->length);
    app_headers(status, path, add_header, out);
    soup_server_message_set_status(message, (guint)status, NULL);
  }
}

/* Before the body: libsoup has no limit on its length. What is refused is not kept. */
static void handle_early(SoupServer *server, SoupServerMessage *message, const char *path,
                         GHashTable *form, void *arg) {
  SoupMessageHeaders *in = soup_server_message_get_request_headers(message);
  SoupEncoding encoding = soup_message_headers_get_encoding(in);
  (void)server, (void)path, (void)form, (void)arg;
  if (encoding == SOUP_ENCODING_NONE ||
      (encoding == SOUP_ENCODING_CONTENT_LENGTH &&
       soup_message_headers_get_content_length(in) <= APP_BODY_MAX))
    return;
  soup_message_body_set_accumulate(soup_server_message_get_request_body(message), FALSE);
  soup_message_headers_replace(soup_server_message_get_response_headers(message), "Connection",
                               "close");
  soup_server_message_set_status(message, encoding == SOUP_ENCODING_CONTENT_LENGTH ? 413 : 411,
                                 NULL);
}

/* ---- Connections ---- */

/* The messages of a connection have this address in common. */
static GSocket *socket_of(SoupServerMessage *message) {
  return g_object_get_data(G_OBJECT(soup_server_message_get_remote_address(message)), "socket");
}

static void serve_socket(SoupServer *server, GSocket *socket) {
  GSocketConnection *connection = g_socket_connection_factory_create_connection(socket);
  GSocketAddress *local = g_socket_get_local_address(socket, NULL);
  GSocketAddress *remote = g_socket_get_remote_address(socket, NULL);
  if (local && remote) { /* else the client is gone */
    g_socket_set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
    g_socket_set_timeout(socket, REQUEST_S);
    g_object_set_data_full(G_OBJECT(remote), "socket", g_object_ref(socket), g_object_unref);
    soup_server_accept_iostream(server, G_IO_STREAM(connection), local, remote, NULL);
  }
  g_clear_object(&local);
  g_clear_object(&remote);
  g_object_unref(connection);
}

static gboolean accept_again(void *server);

/* soup_server_listen() would stop listening for good at the first accept() that fails, such as for
 * want of a file descriptor. This listener only rests for a moment. */
static gboolean accept_client(GSocket *listener, GIOCondition what, void *server) {
  GSocket *socket = g_socket_accept(listener, NULL, NULL);
  (void)what;
  if (!socket) {
    g_timeout_add(APP_PAUSE_MS, accept_again, server);
    return G_SOURCE_REMOVE;
  }
  serve_socket(server, socket);
  g_object_unref(socket);
  return G_SOURCE_CONTINUE;
}

static gboolean accept_again(void *server) {
  GSocket *listener = g_object_get_data(server, "listener");
  GSource *source = g_socket_create_source(listener, G_IO_IN, NULL);
  g_source_set_callback(source, G_SOURCE_FUNC(accept_client), server, NULL);
  g_source_attach(source, NULL);
  g_source_unref(source);
  return G_SOURCE_REMOVE;
}

static gboolean stop(int fd, GIOCondition what, void *main_loop) {
  (void)fd, (void)what;
  g_main_loop_quit(main_loop);
  return G_SOURCE_REMOVE;
}

static GSource *new_source(void) {
  static GSourceFuncs functions = {.dispatch = run_round};
  GSource *source = g_source_new(&functions, sizeof *source);
  g_source_attach(source, NULL);
  return source;
}

int main(int argc, char **argv) {
  int port;
  app_start(&app, argc, argv);
  GMainLoop *main_loop = g_main_loop_new(NULL, FALSE);
  GSocket *listener = g_socket_new_from_fd(app_listen(&app, &port), NULL);
  SoupServer *server = soup_server_new(NULL, NULL);
  woken = new_source();
  timer = new_source();
  if (!listener || !server || sse_loop_new(&loop, app.hub, &(const sse_loop_config){.wake = wake}))
    return 1;
  g_socket_set_blocking(listener, FALSE);
  g_object_set_data_full(G_OBJECT(server), "listener", listener, g_object_unref);
  soup_server_add_early_handler(server, NULL, handle_early, NULL, NULL);
  soup_server_add_handler(server, NULL, handle, NULL, NULL);
  g_unix_fd_add(app.stop_fd, G_IO_IN, stop, main_loop);
  accept_again(server);
  app_listening(&app, port);
  g_main_loop_run(main_loop);
  app_stop_ticker(&app);
  soup_server_disconnect(server); /* closes all connections, and with them the streams */
  while (clients > 0) g_main_context_iteration(NULL, TRUE); /* a response's end may be on its way */
  sse_loop_free(loop);
  g_source_destroy(woken);
  g_source_unref(woken);
  g_source_destroy(timer);
  g_source_unref(timer);
  g_object_unref(server);
  g_main_loop_unref(main_loop);
  return app_end(&app);
}
