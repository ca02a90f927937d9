/* SPDX-License-Identifier: MIT */
/* libmicrohttpd.c: streams inside GNU libmicrohttpd: epoll threads, pulled by its content reader.
 */
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "app.h"

#define THREADS         2
#define CONNECTIONS_MAX 4096
#define BUFFER_BYTES    ((size_t)16 * 1024) /* all that libmicrohttpd keeps for one client */

static struct app app;

/* One client's stream. It stands alone, as libmicrohttpd has no loop that could be woken. */
struct client {
  struct MHD_Connection *connection;
  int fd;
  sse_stream *stream;
  bool suspended; /* whoever sets it to false resumes the connection */
  struct client *prev, *next;
};

/* ---- The glue between host and libsse begins ---- */

/* For the end: libmicrohttpd must not be stopped while one is suspended. */
static struct client all = {.prev = &all, .next = &all};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the list, and who is suspended */
static atomic_bool stopping;

/* With the lock. To resume what is not suspended is undefined, so a wake that comes too early does
 * nothing, and the second look in give() makes up for it. If the stream ended while its client
 * takes nothing, only the socket can tell libmicrohttpd: it has no call that closes a connection.
 */
static void resume(struct client *c, bool ended) {
  if (c->suspended)
    MHD_resume_connection(c->connection);
  else if (ended)
    shutdown(c->fd, SHUT_RDWR);
  c->suspended = false;
}

static int wake(void *arg, unsigned why) {
  pthread_mutex_lock(&lock);
  resume(arg, why & SSE_WAKE_ENDED);
  pthread_mutex_unlock(&lock);
  return 0;
}

/* libmicrohttpd does not read while it sends, so a client that closed is for us to find. */
static bool gone(int fd) {
  char byte;
  ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN);
}

/* The content reader: called when the client's socket has room. It never ends with an error: in
 * 0.9.75, try_ready_chunked_body() then leaves the socket open for good with epoll. */
static ssize_t give(void *arg, uint64_t pos, char *buf, size_t max) {
  struct client *c = arg;
  ssize_t len = stopping ? SSE_ECLOSED : sse_stream_read(c->stream, buf, max);
  (void)pos;
  if (len > 0) return len;
  if (sse_error_is_final((int)len) || gone(c->fd)) return MHD_CONTENT_READER_END_OF_STREAM;
  MHD_suspend_connection(c->connection);
  pthread_mutex_lock(&lock);
  c->suspended = true;
  pthread_mutex_unlock(&lock);
  if (sse_stream_wait(c->stream, 0) != 0 || stopping) wake(c, SSE_WAKE_READY);
  return 0;
}

static int open_stream(struct client *c, const char *const *channels) {
  const char *last_id =
      MHD_lookup_connection_value(c->connection, MHD_HEADER_KIND, "Last-Event-ID");
  const sse_stream_config config = {
      .channels = channels, .last_id = last_id, .user = c, .wake = wake};
  int error = sse_stream_open(&c->stream, app.hub, &config);
  if (error) return error;
  sse_stream_prepare_fd(c->stream, c->fd);
  pthread_mutex_lock(&lock);
  c->prev = &all;
  c->next = all.next;
  c->prev->next = c->next->prev = c;
  pthread_mutex_unlock(&lock);
  return SSE_OK;
}

static int add_header(void *response, const char *name, const char *value) {
  return MHD_add_response_header(response, name, value) == MHD_YES ? 0 : -1;
}

/* A browser stops for good at any status but 200, so libsse says what fits the error. */
static struct MHD_Response *refusal(int error, unsigned *status) {
  char body[32];
  sse_http_response kind = sse_http_refusal(error);
  int len = snprintf(body, sizeof body, "retry: %d\n", (int)sse_hub_retry_ms(app.hub));
  struct MHD_Response *response = MHD_create_response_from_buffer(
      kind == SSE_HTTP_BUSY ? (size_t)len : 0, body, MHD_RESPMEM_MUST_COPY);
  int result = response ? sse_http_headers(kind, NULL, add_header, response) : -1;
  *status = result > 0 ? (unsigned)result : 500;
  return response;
}

/* While the connection and its socket are still there; no wake comes after it. */
static void close_stream(struct client *c) {
  pthread_mutex_lock(&lock);
  c->prev->next = c->next;
  c->next->prev = c->prev;
  pthread_mutex_unlock(&lock);
  sse_stream_free(c->stream);
}

/* Before MHD_stop_daemon: a reader that suspends after this resumes at once. */
static void resume_all(void) {
  stopping = true;
  pthread_mutex_lock(&lock);
  for (struct client *c = all.next; c != &all; c = c->next) resume(c, false);
  pthread_mutex_unlock(&lock);
}

/* ---- The glue ends ---- */

/* One request, from its first line to its end. */
struct request {
  struct client client;
  bool head_seen;
  char *body;
  size_t body_len;
  const char *query; /* in uri; NULL: none */
  char uri[];
};

static void *begin(void *arg, const char *uri, struct MHD_Connection *connection) {
  size_t size = strlen(uri) + 1;
  struct request *request = calloc(1, sizeof *request + size);
  (void)arg;
  if (!request) return NULL;
  request->client.connection = connection;
  request->client.fd =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
  memcpy(request->uri, uri, size);
  char *query = strchr(request->uri, '?');
  if (query) request->query = query + 1;
  return request;
}

static void end(void *arg, struct MHD_Connection *connection, void **context,
                enum MHD_RequestTerminationCode why) {
  struct request *request = *context;
  (void)arg;
  (void)connection;
  (void)why;
  if (!request) return;
  if (request->client.stream) close_stream(&request->client);
  free(request->body);
  free(request);
  *context = NULL;
}

/* What is over the limit is only counted: its length refuses it. */
static enum MHD_Result add_body(struct request *request, const char *data, size_t *len) {
  if (*len <= APP_BODY_MAX - request->body_len && request->body_len <= APP_BODY_MAX) {
    char *body = realloc(request->body, request->body_len + *len);
    if (!body) return MHD_NO;
    memcpy(body + request->body_len, data, *len);
    request->body = body;
    request->body_len += *len;
  } else {
    request->body_len = APP_BODY_MAX + 1;
  }
  *len = 0;
  return MHD_YES;
}

/* For HEAD, too: there nobody calls the reader. */
static struct MHD_Response *stream_response(struct client *c) {
  struct MHD_Response *response =
      MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BUFFER_BYTES, give, c, NULL);
  if (!response) return NULL;
  if (sse_http_headers(SSE_HTTP_STREAM, NULL, add_header, response) > 0) return response;
  MHD_destroy_response(response);
  return NULL;
}

static struct MHD_Response *plain_response(int status, const char *path) {
  struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
  if (response) app_headers(status, path, add_header, response);
  return response;
}

static struct MHD_Response *respond(struct request *request, const char *method, const char *path,
                                    unsigned *status) {
  struct app_channels channels;
  int route = app_route(method, path, request->query, &channels);
  if (route == APP_STREAM) {
    int error = open_stream(&request->client, channels.list);
    *status = 200;
    return error ? refusal(error, status) : stream_response(&request->client);
  }
  if (route == APP_PUBLISH)
    route = app_publish(&app, request->query, request->body, request->body_len);
  *status = (unsigned)route;
  return route == 200 ? stream_response(&request->client) : plain_response(route, path);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *data_len, void **context) {
  struct request *request = *context;
  unsigned status;
  (void)arg;
  (void)version;
  if (!request) return MHD_NO;
  if (!request->head_seen) return request->head_seen = true, MHD_YES;
  if (*data_len > 0) return add_body(request, data, data_len);
  struct MHD_Response *response = respond(request, method, path, &status);
  if (!response) return MHD_NO;
  enum MHD_Result result = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return result;
}

int main(int argc, char **argv) {
  int port;
  app_start(&app, argc, argv);
  int listener = app_listen(&app, &port);
  struct MHD_Daemon *daemon = MHD_start_daemon(
      MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle, NULL,
      MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_THREAD_POOL_SIZE, THREADS,
      MHD_OPTION_CONNECTION_LIMIT, (unsigned)app_conns_max(CONNECTIONS_MAX),
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, BUFFER_BYTES, MHD_OPTION_URI_LOG_CALLBACK, begin, NULL,
      MHD_OPTION_NOTIFY_COMPLETED, end, NULL, MHD_OPTION_END);
  if (!daemon) return 1;
  app_listening(&app, port);
  struct pollfd stop = {.fd = app.stop_fd, .events = POLLIN};
  while (poll(&stop, 1, -1) < 0) {
  }
  app_stop_ticker(&app);
  resume_all();
  MHD_stop_daemon(daemon);
  return app_end(&app);
}
