/* SPDX-License-Identifier: MIT */
/* libwebsockets.c: streams in libwebsockets: it reads the request; the socket is then taken over.
 */
#include <fcntl.h>
#include <libwebsockets.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"

#define CONNS_MAX   65536
#define HEAD_BYTES  1024
#define QUERY_BYTES 2048

static struct app app;
static struct lws_context *context;

static bool is_http_1_1(struct lws *wsi);

/* ---- The glue between host and libsse begins ---- */

struct client {
  struct lws *wsi;
  sse_stream *stream;
};

static sse_loop *loop;
static lws_sorted_usec_list_t timer;
static int nowhere; /* /dev/null */

/* From the thread of a publisher; no other call of libwebsockets is allowed there. It leads to
 * LWS_CALLBACK_EVENT_WAIT_CANCELLED. */
static int wake(void *arg, unsigned why) {
  (void)arg, (void)why;
  lws_cancel_service(context);
  return 0;
}

/* The socket is the stream's alone, so libsse may write to it. lws_write() would buffer what the
 * client does not take, and libwebsockets then does not read until the client has taken it. */
static void serve(struct client *c) {
  int result = sse_stream_flush_fd(c->stream, lws_get_socket_fd(c->wsi));
  if (sse_error_is_final(result)) {
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
  } else if (result == SSE_EAGAIN) {
    lws_callback_on_writable(c->wsi);
  }
}

/* After a wake, and as the timer's callback. lws_service() has a timeout, but ignores it. */
static void run_round(lws_sorted_usec_list_t *unused) {
  (void)unused;
  for (sse_stream *stream; (stream = sse_loop_next(loop));) serve(sse_stream_user(stream));
  int ms = sse_loop_timeout(loop);
  lws_sul_schedule(context, 0, &timer, run_round,
                   ms < 0 ? LWS_SET_TIMER_USEC_CANCEL : (lws_usec_t)ms * LWS_US_PER_MS);
}

/*
 * Until it has answered a request, libwebsockets does not read from the connection, and if the
 * client closes or sends anything, it runs in a circle (libwebsockets issues 2302 and 2455). So the
 * stream gets its own connection: a duplicate of the socket, which is not HTTP for
 * libwebsockets but raw, and from a raw socket it reads. The connection that the request came with
 * ends, with whatever libwebsockets had already read behind the request. In the place of its socket
 * is then /dev/null, as libwebsockets calls shutdown() before it closes, which would be for the
 * duplicate, too. A TLS connection cannot be duplicated; TLS belongs in front of this.
 */
static int open_stream(struct lws *wsi, const char *const *channels, const char *last_id) {
  struct client *c = calloc(1, sizeof *c);
  const sse_http_head head = {.chunked = is_http_1_1(wsi)};
  const sse_stream_config config = {
      .channels = channels, .last_id = last_id, .user = c, .loop = loop, .head = &head};
  int error = c ? sse_stream_open(&c->stream, app.hub, &config) : SSE_ENOMEM;
  int fd = error ? -1 : dup(lws_get_socket_fd(wsi));
  if (fd >= 0) /* closes it if it fails */
    c->wsi = lws_adopt_descriptor_vhost(lws_get_vhost(wsi), LWS_ADOPT_SOCKET,
                                        (lws_sock_file_fd_type){.sockfd = fd}, "stream", NULL);
  if (error || !c->wsi) {
    if (c) sse_stream_free(c->stream);
    free(c);
    return error ? error : SSE_ENOMEM;
  }
  lws_set_opaque_user_data(c->wsi, c);
  sse_stream_prepare_fd(c->stream, fd);
  dup2(nowhere, lws_get_socket_fd(wsi)); /* from now on, the callback must end with -1 */
  return wake(NULL, 0);                  /* for its first bytes, and because its timer is new */
}

/* A browser stops for good at any status but 200, so libsse says what fits the error. */
static int refuse(struct lws *wsi, int error) {
  char text[LWS_PRE + HEAD_BYTES];
  ssize_t len = sse_http_refuse(text + LWS_PRE, HEAD_BYTES, NULL, error, sse_hub_retry_ms(app.hub));
  if (len > 0 && len <= HEAD_BYTES)
    lws_write(wsi, (unsigned char *)text + LWS_PRE, (size_t)len, LWS_WRITE_HTTP_HEADERS);
  return -1; /* closes */
}

/* The protocol of these sockets. What a client sends while it streams is dropped. */
static int on_stream(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t len) {
  struct client *c = reason == LWS_CALLBACK_RAW_WRITEABLE || reason == LWS_CALLBACK_RAW_CLOSE
                         ? lws_get_opaque_user_data(wsi)
                         : NULL;
  (void)user, (void)in, (void)len;
  if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED) run_round(NULL);
  if (!c) return 0;
  if (reason == LWS_CALLBACK_RAW_WRITEABLE) {
    serve(c);
  } else { /* whoever closes */
    sse_stream_free(c->stream);
    free(c);
  }
  return 0;
}

/* ---- The glue ends ---- */

/* A request whose body is being read. */
struct request {
  char query[QUERY_BYTES];
  size_t body_len;
  char body[APP_BODY_MAX];
};

struct session { /* of a connection; libwebsockets zeroes and frees it */
  struct request *request;
};

/* ---- Answers ---- */

struct head {
  struct lws *wsi;
  unsigned char *at, *end, bytes[LWS_PRE + HEAD_BYTES];
};

static int add_header(void *arg, const char *name, const char *value) {
  struct head *head = arg;
  char key[64];
  snprintf(key, sizeof key, "%s:", name);
  return lws_add_http_header_by_name(head->wsi, (const unsigned char *)key,
                                     (const unsigned char *)value, (int)strlen(value), &head->at,
                                     head->end);
}

/* Writes a whole answer without a body; the length of the stream, of which HEAD asks, is unknown.
 * What it returns is for libwebsockets: -1 closes. */
static int answer(struct lws *wsi, int status, const char *path) {
  struct head head = {.wsi = wsi};
  head.at = head.bytes + LWS_PRE;
  head.end = head.bytes + sizeof head.bytes;
  if (lws_add_http_header_status(wsi, (unsigned)status | LWSAHH_FLAG_NO_SERVER_NAME, &head.at,
                                 head.end) ||
      app_headers(status, path, add_header, &head) ||
      (status >= 400 && lws_add_http_header_content_length(wsi, 0, &head.at, head.end)) ||
      lws_finalize_write_http_header(wsi, head.bytes + LWS_PRE, &head.at, head.end))
    return -1;
  return lws_http_transaction_completed(wsi) ? -1 : 0;
}

/* ---- Requests ---- */

static bool is_http_1_1(struct lws *wsi) {
  char version[16];
  return lws_hdr_copy(wsi, version, sizeof version, WSI_TOKEN_HTTP) > 0 &&
         strcmp(version, "HTTP/1.1") == 0;
}

/* libwebsockets has taken the query apart and decoded it; app_channels() wants it whole. */
static int read_query(struct lws *wsi, char query[QUERY_BYTES]) {
  char part[QUERY_BYTES];
  int len, used = 0;
  query[0] = '\0';
  for (int i = 0;
       (len = lws_hdr_copy_fragment(wsi, part, sizeof part, WSI_TOKEN_HTTP_URI_ARGS, i)) > 0; i++) {
    char *value = strchr(part, '=');
    if (!value) continue;
    *value++ = '\0';
    if (used + 3 * len + 2 > QUERY_BYTES) return 400; /* a byte becomes three at most */
    used += snprintf(query + used, (size_t)(QUERY_BYTES - used), "%s%s=", used ? "&" : "", part);
    lws_urlencode(query + used, value, QUERY_BYTES - used);
    used += (int)strlen(query + used);
  }
  return 0;
}

static const char *method_of(struct lws *wsi) {
  char *uri;
  int uri_len;
  switch (lws_http_get_uri_and_method(wsi, &uri, &uri_len)) {
  case LWSHUMETH_GET:
    return "GET";
  case LWSHUMETH_HEAD:
    return "HEAD";
  case LWSHUMETH_POST:
    return "POST";
  case LWSHUMETH_OPTIONS:
    return "OPTIONS";
  default:
    return "";
  }
}

static int handle_stream(struct lws *wsi, const struct app_channels *channels) {
  static const char name[] = "last-event-id:";
  char last_id[SSE_ID_BYTES_MAX + 1] = "";
  /* An id that is too long is none of this server's, but its client must be given a gap. */
  if (lws_hdr_custom_length(wsi, name, sizeof name - 1) > 0 &&
      lws_hdr_custom_copy(wsi, last_id, sizeof last_id, name, sizeof name - 1) < 0)
    strcpy(last_id, "?");
  int error = open_stream(wsi, channels->list, last_id);
  return error ? refuse(wsi, error) : -1; /* in both cases it is over for this connection */
}

/* Its body comes later. */
static int handle_publish(struct lws *wsi, struct session *session, const char *query) {
  if (!lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH)) { /* it reads no chunks */
    answer(wsi, 411, NULL);
    return -1;
  }
  if (!session->request) session->request = malloc(sizeof *session->request);
  if (!session->request) return answer(wsi, 503, NULL);
  memcpy(session->request->query, query, strlen(query) + 1);
  session->request->body_len = 0;
  return 0;
}

static int handle(struct lws *wsi, struct session *session, const char *path) {
  struct app_channels channels;
  char query[QUERY_BYTES];
  int status = read_query(wsi, query);
  if (!status) status = app_route(method_of(wsi), path, query, &channels);
  if (status == APP_STREAM) return handle_stream(wsi, &channels);
  if (status == APP_PUBLISH) return handle_publish(wsi, session, query);
  return answer(wsi, status, path);
}

/* What is over the limit is only counted: its length refuses it. */
static void add_body(struct request *request, const void *bytes, size_t len) {
  if (len <= APP_BODY_MAX - request->body_len && request->body_len <= APP_BODY_MAX) {
    memcpy(request->body + request->body_len, bytes, len);
    request->body_len += len;
  } else {
    request->body_len = APP_BODY_MAX + 1;
  }
}

static int publish(struct lws *wsi, struct session *session) {
  struct request *request = session->request;
  int status = app_publish(&app, request->query, request->body, request->body_len);
  free(request);
  session->request = NULL;
  return answer(wsi, status, NULL);
}

static int on_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                   size_t len) {
  struct session *session = user;
  switch (reason) {
  case LWS_CALLBACK_HTTP:
    return handle(wsi, session, in);
  case LWS_CALLBACK_HTTP_BODY:
    if (session->request && len > 0) add_body(session->request, in, len);
    return 0;
  case LWS_CALLBACK_HTTP_BODY_COMPLETION:
    return session->request ? publish(wsi, session) : 0;
  case LWS_CALLBACK_CLOSED_HTTP:
  case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    if (!session) return 0;
    free(session->request);
    session->request = NULL;
    return 0;
  default:
    return 0;
  }
}

/* For the end: to wake up is all that the descriptor does, as the program's end is in it. */
static bool stopping;

static int on_stop(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                   size_t len) {
  (void)wsi, (void)user, (void)in, (void)len;
  if (reason == LWS_CALLBACK_RAW_RX_FILE) stopping = true;
  return 0;
}

int main(int argc, char **argv) {
  static const struct lws_protocols protocols[] = {
      {.name = "http", .callback = on_http, .per_session_data_size = sizeof(struct session)},
      {.name = "stream", .callback = on_stream},
      {.name = "stop", .callback = on_stop},
      {.name = NULL}};
  app_start(&app, argc, argv);
  /* At this number it stops listening. After an accept() that failed it would try again at once,
   * forever. */
  unsigned conns_max = (unsigned)app_conns_max(CONNS_MAX);
  const struct lws_context_creation_info info = {.port = app.port,
                                                 .iface = "127.0.0.1",
                                                 .protocols = protocols,
                                                 .fd_limit_per_thread = conns_max,
                                                 .options = LWS_SERVER_OPTION_DISABLE_IPV6};
  lws_set_log_level(LLL_ERR, NULL);
  nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  context = lws_create_context(&info);
  if (!context || sse_loop_new(&loop, app.hub, &(const sse_loop_config){.wake = wake})) return 1;
  struct lws_vhost *vhost = lws_get_vhost_by_name(context, "default");
  lws_sock_file_fd_type stop = {.filefd = dup(app.stop_fd)}; /* libwebsockets closes it */
  if (!vhost || !lws_adopt_descriptor_vhost(vhost, LWS_ADOPT_RAW_FILE_DESC, stop, "stop", NULL))
    return 1;
  app_listening(&app, lws_get_vhost_listen_port(vhost));
  while (!stopping && lws_service(context, 0) >= 0) {
  }
  app_stop_ticker(&app);
  lws_context_destroy(context); /* closes all connections, and with them the streams */
  sse_loop_free(loop);
  close(nowhere);
  return app_end(&app);
}
