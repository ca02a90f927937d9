/* SPDX-License-Identifier: MIT */
/* test_httpd.c: the example host in a child process, over loopback, from polite to hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/resource.h>

#include "peer.h"

/* One unit with the host, so that test_httpd_poll.c can try the same with its other poller. */
#include "../../examples/httpd/collect.c"
#include "../../examples/httpd/conn.c"
#include "../../examples/httpd/deadline.c"
#include "../../examples/httpd/httpd.c"
#include "../../examples/httpd/later.c"
#include "../../examples/httpd/page.h"
#include "../../examples/httpd/poller_epoll.c"
#include "../../examples/httpd/poller_poll.c"
#include "../../examples/httpd/reply.c"
#include "../../examples/httpd/request.c"
#include "../../examples/httpd/route.c"
#include "../../examples/httpd/worker.c"

#ifndef SUITE
#define SUITE "httpd"
#endif

enum {
  BODY_LIMIT = 1000,
  REQUEST_LIMIT_MS = 400,
  IDLE_LIMIT_MS = 800,
  BIG_BYTES = 16 * 1024 * 1024, /* more than any socket buffers */
  TEXT_MAX = 256 * 1024,
  STREAMS_LIMIT = 50 /* that the hub takes */
};

static char text[TEXT_MAX];

/* ---- The server ---- */

struct server {
  sse_hub *hub;
  char *big;
};

static void echo(struct httpd_conn *conn, const struct request *request, void *arg) {
  (void)arg;
  const char *name = request_param(request, "name");
  httpd_reply(conn, &(struct httpd_response){.text = name ? name : "nobody"});
}

static void take_body(struct httpd_conn *conn, const struct request *request, void *arg) {
  (void)arg;
  httpd_reply(conn,
              &(struct httpd_response){.status = 201,
                                       .type = "application/x-test",
                                       .body = request->body,
                                       .len = request->body_len,
                                       .headers = (const char *const[]){"X-Test: yes", NULL}});
}

static void reply_big(struct httpd_conn *conn, const struct request *request, void *arg) {
  (void)request;
  const struct server *server = arg;
  httpd_reply(conn, &(struct httpd_response){.body = server->big, .len = BIG_BYTES});
}

static void say_nothing(struct httpd_conn *conn, const struct request *request, void *arg) {
  (void)conn;
  (void)request;
  (void)arg;
}

static void stream(struct httpd_conn *conn, const struct request *request, void *arg) {
  (void)arg;
  const char *channel = request_param(request, "channel");
  httpd_stream(conn, request, &(sse_stream_config){.channel = channel ? channel : "c"});
}

static void publish(struct httpd_conn *conn, const struct request *request, void *arg) {
  const struct server *server = arg;
  int error = sse_hub_publish(server->hub, "c",
                              &(sse_event){.data = request->body, .data_len = request->body_len});
  httpd_reply(conn, &(struct httpd_response){.status = error ? 500 : 202});
}

static void count_streams(struct httpd_conn *conn, const struct request *request, void *arg) {
  (void)request;
  const struct server *server = arg;
  char count[32];
  snprintf(count, sizeof count, "%zu", sse_hub_count(server->hub, NULL));
  httpd_reply(conn, &(struct httpd_response){.text = count});
}

/* Replies that the test has not asked for yet. */
static struct {
  pthread_mutex_t lock;
  struct httpd_later *later[2000];
  char names[2000][16];
  size_t count;
} pending = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void reply_later(struct httpd_conn *conn, const struct request *request, void *arg) {
  (void)arg;
  struct httpd_later *later = httpd_defer(conn);
  const char *name = request_param(request, "name");
  if (!later) return;
  pthread_mutex_lock(&pending.lock);
  snprintf(pending.names[pending.count], sizeof *pending.names, "%s", name ? name : "-");
  pending.later[pending.count++] = later;
  pthread_mutex_unlock(&pending.lock);
}

/* As reply_later, but it is known at once, which is for the handler to be or not. */
static void reply_now(struct httpd_conn *conn, const struct request *request, void *arg) {
  (void)arg;
  struct httpd_later *later = httpd_defer(conn);
  if (later) httpd_give(later, &(struct httpd_response){.text = request_param(request, "name")});
}

static void count_pending(struct httpd_conn *conn, const struct request *request, void *arg) {
  (void)request, (void)arg;
  char count[32];
  pthread_mutex_lock(&pending.lock);
  snprintf(count, sizeof count, "%zu", pending.count);
  pthread_mutex_unlock(&pending.lock);
  httpd_reply(conn, &(struct httpd_response){.text = count});
}

/* Gives all, the newest first, on whatever thread. */
static void give_pending(void) {
  pthread_mutex_lock(&pending.lock);
  while (pending.count > 0) {
    pending.count--;
    httpd_give(pending.later[pending.count],
               &(struct httpd_response){.text = pending.names[pending.count]});
  }
  pthread_mutex_unlock(&pending.lock);
}

static int orders[2]; /* between the test and the next server: a byte asks for what is pending, and
                         another one says that it was given */

static void *give_when_asked(void *arg) {
  char order;
  while (read(orders[0], &order, 1) == 1) {
    give_pending();
    (void)!write(orders[0], &order, 1);
  }
  return arg;
}

static void collect(struct httpd_conn *conn, const struct request *request, void *arg) {
  (void)arg;
  const char *wait = request_param(request, "wait"), *most = request_param(request, "most");
  const char *history = request_param(request, "history");
  const sse_stream_config config = {.channel = "c",
                                    .start = history ? SSE_START_RETAINED : SSE_START_NOW};
  const struct httpd_collect how = {.wait_ms = wait ? atoi(wait) : 0,
                                    .bytes_max = most ? (size_t)atoi(most) : 0,
                                    .headers = (const char *const[]){"X-Test: yes", NULL}};
  int error = httpd_collect(conn, request, &config, &how);
  if (error) httpd_reply(conn, &(struct httpd_response){.status = 503});
}

static const struct httpd_route test_routes[] = {
    {"GET", "/later", reply_later},   {"POST", "/later", reply_later},
    {"GET", "/now", reply_now},       {"GET", "/pending", count_pending},
    {"GET", "/collect", collect},     {"GET", "/echo", echo},
    {"POST", "/body", take_body},     {"PUT", "/body", take_body},
    {"GET", "/big", reply_big},       {"GET", "/silent", say_nothing},
    {"GET", "/stream/", stream},      {"POST", "/publish", publish},
    {"GET", "/count", count_streams}, {NULL, NULL, NULL},
};

static const struct page test_pages[] = {
    {"/", "text/html", (const unsigned char *)"<p>hello", 8},
    {"/b.css", "text/css", (const unsigned char *)"b{}", 3},
};

static const char *const *hosts; /* of the next server */
static int drain_ms;             /* of the next server */

/* In the child: serves until it is told to stop. */
static _Noreturn void serve_test(int report, unsigned threads, rlim_t files_max) {
  struct server server = {.big = malloc(BIG_BYTES)};
  if (!server.big) _exit(9);
  for (size_t i = 0; i < BIG_BYTES; i++) server.big[i] = (char)('a' + i % 26);
  if (files_max > 0) setrlimit(RLIMIT_NOFILE, &(struct rlimit){files_max, files_max});
  if (sse_hub_new(&server.hub, &(sse_hub_config){.streams_max = STREAMS_LIMIT})) _exit(9);
  struct httpd *httpd = httpd_new(&(struct httpd_config){.name = "test",
                                                         .hub = server.hub,
                                                         .port = "0",
                                                         .threads = threads,
                                                         .hosts = hosts,
                                                         .routes = test_routes,
                                                         .pages = test_pages,
                                                         .pages_count = 2,
                                                         .arg = &server,
                                                         .body_max_bytes = BODY_LIMIT,
                                                         .drain_ms = drain_ms,
                                                         .request_ms = REQUEST_LIMIT_MS,
                                                         .idle_ms = IDLE_LIMIT_MS});
  pthread_t giver;
  if (!httpd || pthread_create(&giver, NULL, give_when_asked, NULL)) _exit(8);
  dprintf(report, "%s\n", httpd_url(httpd));
  int result = httpd_run(httpd);
  give_pending(); /* too late, but not for its memory */
  pthread_cancel(giver);
  pthread_join(giver, NULL);
  httpd_free(httpd);
  if (sse_hub_free(server.hub) != 0) _exit(7);
  free(server.big);
  exit(result == 0 ? 0 : 6); /* and not _exit, so that leaks are looked for */
}

static void start_with(struct child *child, unsigned threads, rlim_t files_max) {
  int report[2];
  assert_int_equal(pipe(report), 0);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, orders), 0);
  *child = (struct child){.out = report[0]};
  child->pid = fork();
  assert_true(child->pid >= 0);
  if (child->pid == 0) {
    child_bound();
    close(report[0]);
    close(orders[1]);
    serve_test(report[1], threads, files_max);
  }
  close(report[1]);
  close(orders[0]);
  child->order = orders[1];
  assert_true(read_line(child->out, text, sizeof text));
  assert_int_equal(sscanf(text, "http://127.0.0.1:%d/", &child->port), 1);
}

static struct child server; /* for most tests one server is enough */

static int start_server(void **state) {
  (void)state;
  start_with(&server, 2, 0);
  return 0;
}

static int stop_server(void **state) {
  (void)state;
  return child_stop(&server, SIGTERM);
}

/* ---- One request ---- */

struct row {
  const char *name, *request, *want, *body; /* the head holds want; the body is this, if given */
};

#define HOST  "Host: h\r\n"
#define CLOSE "Host: h\r\nConnection: close\r\n\r\n"

static void judge(const struct row *row, size_t piece) {
  int fd = dial(server.port);
  assert_true(fd >= 0);
  say_pieces(fd, row->request, strlen(row->request), piece);
  ssize_t len = hear_all(fd, text, sizeof text);
  close(fd);
  char *body = strstr(text, "\r\n\r\n");
  if (len < 0 || !body) fail_msg("%s: no whole response but \"%s\"", row->name, text);
  body[2] = '\0';
  if (!strstr(text, row->want)) fail_msg("%s: want %s, got \"%s\"", row->name, row->want, text);
  if (row->body && strcmp(body + 4, row->body) != 0)
    fail_msg("%s: want the body \"%s\", got \"%s\"", row->name, row->body, body + 4);
}

static void requests(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"page", "GET / HTTP/1.1\r\n" CLOSE,
       "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 8\r\n", "<p>hello"},
      {"another page", "GET /b.css HTTP/1.1\r\n" CLOSE, "\r\nContent-Type: text/css\r\n", "b{}"},
      {"page, HEAD", "HEAD / HTTP/1.1\r\n" CLOSE, "\r\nContent-Length: 8\r\n", ""},
      {"page, 1.0", "GET / HTTP/1.0\r\n\r\n", "\r\nConnection: close\r\n", "<p>hello"},
      {"page with a query", "GET /?a=b HTTP/1.1\r\n" CLOSE, " 200 OK\r\n", "<p>hello"},
      {"query", "GET /echo?name=J%c3%bcrgen+M%26 HTTP/1.1\r\n" CLOSE, " 200 ", "J\xc3\xbcrgen M&"},
      {"no query", "GET /echo HTTP/1.1\r\n" CLOSE, " 200 ", "nobody"},
      {"handler, HEAD", "HEAD /echo HTTP/1.1\r\n" CLOSE, "\r\nContent-Length: 6\r\n", ""},
      {"body", "POST /body HTTP/1.1\r\nContent-Length: 5\r\n" CLOSE "hello",
       " 201 Created\r\nContent-Type: application/x-test\r\nContent-Length: 5\r\nX-Test: yes\r\n",
       "hello"},
      {"the other method", "PUT /body HTTP/1.1\r\nContent-Length: 2\r\n" CLOSE "ok", " 201 ", "ok"},
      {"unknown path", "GET /nothing HTTP/1.1\r\n" CLOSE, "HTTP/1.1 404 Not Found\r\n",
       "Not Found\n"},
      {"a path is matched whole", "GET /echo/ HTTP/1.1\r\n" CLOSE, " 404 ", NULL},
      {"wrong method for a page", "POST / HTTP/1.1\r\n" CLOSE, "\r\nAllow: GET, HEAD, OPTIONS\r\n",
       "Method Not Allowed\n"},
      {"wrong method for a handler", "DELETE /body HTTP/1.1\r\n" CLOSE,
       "\r\nAllow: POST, PUT, OPTIONS\r\n", NULL},
      {"wrong method for a stream", "POST /stream/ HTTP/1.1\r\n" CLOSE, "HTTP/1.1 405 ", NULL},
      {"a method that nobody has", "BREW /echo HTTP/1.1\r\n" CLOSE,
       "\r\nAllow: GET, HEAD, OPTIONS\r\n", NULL},
      {"OPTIONS of a page", "OPTIONS / HTTP/1.1\r\n" CLOSE,
       "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, OPTIONS\r\n", ""},
      {"OPTIONS of a stream", "OPTIONS /stream/ HTTP/1.1\r\n" CLOSE,
       "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, OPTIONS\r\n", ""},
      {"OPTIONS of nothing", "OPTIONS /nothing HTTP/1.1\r\n" CLOSE, " 404 ", NULL},
      {"a handler that says nothing", "GET /silent HTTP/1.1\r\n" CLOSE, " 500 ", NULL},
      {"bad request", "GET\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "Bad Request\n"},
      {"bad request says close", "GET / HTTP/1.1\r\n\r\n", "\r\nConnection: close\r\n", NULL},
      {"no HTTP", "\x16\x03\x01\x02", "HTTP/1.1 400 ", NULL},
      {"expectation", "GET / HTTP/1.1\r\nExpect: x\r\n" CLOSE, " 417 ", NULL},
      {"transfer coding", "POST /body HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" CLOSE, " 501 ",
       NULL},
      {"version", "GET / HTTP/3.0\r\n" CLOSE, " 505 ", NULL},
      {"body too long", "POST /body HTTP/1.1\r\nContent-Length: 1001\r\n" CLOSE, " 413 ", NULL},
      {"stream, HEAD", "HEAD /stream/ HTTP/1.1\r\n" CLOSE, "\r\nContent-Type: text/event-stream",
       ""},
      {"stream of a bad name", "GET /stream/?channel=%01 HTTP/1.1\r\n" CLOSE, " 400 ", NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    judge(&rows[i], TEXT_MAX);
    judge(&rows[i], 1);
    judge(&rows[i], 7);
  }
}

/* The response arrives although the client is still sending: a reset would destroy it. */
static void too_long_is_told(void **state) {
  (void)state;
  static char request[200 * 1024];
  const struct {
    const char *begin, *want;
  } rows[] = {{"GET /", "HTTP/1.1 414 "},
              {"GET / HTTP/1.1\r\nA: ", "HTTP/1.1 431 "},
              {"POST /body HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n\r\n", "HTTP/1.1 413 "}};
  for (size_t i = 0; i < 3; i++) {
    memset(request, 'a', sizeof request - 1);
    memcpy(request, rows[i].begin, strlen(rows[i].begin));
    int fd = dial(server.port);
    say(fd, request);
    assert_true(hear_all(fd, text, sizeof text) > 0);
    assert_int_equal(errno, 0);
    assert_non_null(strstr(text, rows[i].want));
    close(fd);
  }
}

static void pages_have_tags(void **state) {
  (void)state;
  char request[256], *tag;
  assert_int_equal(ask(server.port, "GET / HTTP/1.1\r\n" CLOSE, text, sizeof text), 200);
  assert_non_null(tag = strstr(text, "ETag: "));
  snprintf(request, sizeof request, "GET / HTTP/1.1\r\nIf-None-Match: %.18s\r\n" CLOSE, tag + 6);
  assert_int_equal(ask(server.port, request, text, sizeof text), 304);
  assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
  snprintf(request, sizeof request, "GET / HTTP/1.1\r\nIf-None-Match: \"x\"\r\n" CLOSE);
  assert_int_equal(ask(server.port, request, text, sizeof text), 200);
}

/* ---- Several requests on one connection ---- */

static void connections_are_kept(void **state) {
  (void)state;
  int fd = dial(server.port);
  for (int i = 0; i < 5; i++) {
    say(fd, "GET /echo?name=again HTTP/1.1\r\n" HOST "\r\n");
    assert_true(hear_until(fd, text, sizeof text, "\r\n\r\nagain"));
    assert_null(strstr(text, "Connection: close"));
  }
  close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state) {
  (void)state;
  static char requests_text[32 * 1024];
  size_t len = 0;
  for (int i = 0; i < 500; i++)
    len += (size_t)sprintf(requests_text + len, "GET /echo?name=%d HTTP/1.1\r\n" HOST "\r\n", i);
  sprintf(requests_text + len, "GET /echo?name=last HTTP/1.1\r\n" CLOSE);
  assert_int_equal(ask(server.port, requests_text, text, sizeof text), 200);
  const char *at = text;
  for (int i = 0; i < 500; i++) {
    char wanted[32];
    snprintf(wanted, sizeof wanted, "\r\n\r\n%dHTTP/1.1", i);
    assert_non_null(at = strstr(at, wanted));
  }
  assert_non_null(strstr(at, "\r\n\r\nlast"));
}

static void big_responses_come_whole(void **state) {
  (void)state;
  int fd = dial(server.port);
  char *big = malloc(BIG_BYTES + 4096);
  assert_non_null(big);
  say(fd, "GET /big HTTP/1.1\r\n" HOST "\r\nGET /echo?name=behind HTTP/1.1\r\n" CLOSE);
  /* The client looks away: the server does not wait for it. */
  assert_int_equal(ask(server.port, "GET / HTTP/1.1\r\n" CLOSE, text, sizeof text), 200);
  ssize_t len = hear_all(fd, big, BIG_BYTES + 4096);
  assert_true(len > BIG_BYTES);
  char *body = strstr(big, "\r\n\r\n") + 4;
  for (size_t i = 0; i < BIG_BYTES; i += 997) assert_int_equal(body[i], 'a' + i % 26);
  assert_non_null(strstr(body + BIG_BYTES, "\r\n\r\nbehind"));
  free(big);
  close(fd);
}

static void a_continue_is_sent(void **state) {
  (void)state;
  int fd = dial(server.port);
  say(fd, "POST /body HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n" CLOSE);
  assert_true(hear_until(fd, text, sizeof text, "HTTP/1.1 100 Continue\r\n\r\n"));
  say(fd, "hi");
  assert_true(hear_all(fd, text, sizeof text) > 0);
  assert_non_null(strstr(text, "HTTP/1.1 201 "));
  assert_non_null(strstr(text, "\r\n\r\nhi"));
  close(fd);
}

/* ---- Deadlines ---- */

static void slow_requests_are_ended(void **state) {
  (void)state;
  static const char *const begins[] = {
      "G", "GET / HTTP/1.1\r\nHost:", "GET / HTTP/1.1\r\n" HOST "\r\nGET / HT",
      "POST /body HTTP/1.1\r\nContent-Length: 5\r\n" HOST "\r\nhell"};
  int fds[4];
  int64_t begun = now_ms();
  for (int i = 0; i < 4; i++) {
    fds[i] = dial(server.port);
    say(fds[i], begins[i]);
  }
  assert_int_equal(ask(server.port, "GET / HTTP/1.1\r\n" CLOSE, text, sizeof text), 200);
  for (int i = 0; i < 4; i++) {
    /* Another byte now and then does not help. */
    for (int n = 0; n < 5; n++) {
      await(fds[i], POLLIN, now_ms() + 20);
      say(fds[i], i == 3 ? "" : "a");
    }
    assert_true(hear_all(fds[i], text, sizeof text) > 0);
    assert_non_null(strstr(text, "HTTP/1.1 408 Request Timeout\r\n"));
    close(fds[i]);
  }
  assert_true(now_ms() - begun >= REQUEST_LIMIT_MS);
}

static void idle_connections_are_closed(void **state) {
  (void)state;
  int silent = dial(server.port), kept = dial(server.port);
  say(kept, "GET / HTTP/1.1\r\n" HOST "\r\n");
  assert_true(hear_until(kept, text, sizeof text, "<p>hello"));
  assert_int_equal(hear_all(silent, text, sizeof text), 0);
  assert_int_equal(hear_all(kept, text, sizeof text), 0);
  close(silent);
  close(kept);
}

/* ---- Streams ---- */

static int streams_open(void) {
  int status = ask(server.port, "GET /count HTTP/1.1\r\n" CLOSE, text, sizeof text);
  return status == 200 ? atoi(strstr(text, "\r\n\r\n") + 4) : -1;
}

/* Asks again and again: what a client does is seen at once, but not at the same instant. */
static void await_streams(int wanted) {
  int64_t until = now_ms() + PATIENCE_MS;
  int count;
  do count = streams_open();
  while (count >= 0 && count != wanted && now_ms() < until);
  assert_int_equal(count, wanted);
}

static void publish_text(const char *what) {
  char request[256];
  snprintf(request, sizeof request, "POST /publish HTTP/1.1\r\nContent-Length: %zu\r\n" CLOSE "%s",
           strlen(what), what);
  assert_int_equal(ask(server.port, request, text, sizeof text), 202);
}

static void events_are_streamed(void **state) {
  (void)state;
  struct listener first, second;
  assert_true(listener_open(&first, server.port, NULL, 4096));
  await_streams(1);
  publish_text("one");
  assert_true(hear_event(&first));
  assert_string_equal(first.data, "one");
  assert_non_null(strstr(first.head, "HTTP/1.1 200 OK\r\n"));
  assert_non_null(strstr(first.head, "Content-Type: text/event-stream"));
  publish_text("two");
  assert_true(listener_open(&second, server.port, first.id, 4096));
  assert_true(hear_event(&second)); /* resumed behind "one" */
  assert_string_equal(second.data, "two");
  assert_true(hear_event(&first));
  assert_string_equal(first.data, "two");
  assert_string_equal(first.id, second.id);
  listener_close(&first);
  listener_close(&second);
  await_streams(0);
}

/* Opens a stream of a target, with more headers. */
static void open_target(struct listener *listener, const char *target, const char *headers) {
  char request[512];
  *listener = (struct listener){.fd = dial(server.port), .cap = 4096, .buf = malloc(4096)};
  assert_true(listener->fd >= 0 && listener->buf);
  snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n", target, headers);
  say(listener->fd, request);
}

/* Ids of polyfills are in the query; one in the header wins. The dot may come escaped. */
static void ids_may_be_in_the_query(void **state) {
  static const struct {
    const char *name, *header; /* of the parameter; "first" or "second" is the id there */
    int escaped, first_in_query;
    const char *want;
  } rows[] = {{"lastEventId", NULL, 0, 1, "two"},      {"last_event_id", NULL, 0, 1, "two"},
              {"lastEventId", NULL, 1, 1, "two"},      {"lastEventId", "second", 0, 1, "three"},
              {"last_event_id", "first", 0, 0, "two"}, {"lastEventId", "", 0, 1, "two"}};
  struct listener listener;
  char first[64], second[64], target[256], header[128];
  (void)state;
  assert_true(listener_open(&listener, server.port, NULL, 4096));
  await_streams(1);
  publish_text("one");
  assert_true(hear_event(&listener));
  snprintf(first, sizeof first, "%s", listener.id);
  publish_text("two");
  assert_true(hear_event(&listener));
  snprintf(second, sizeof second, "%s", listener.id);
  publish_text("three");
  assert_true(hear_event(&listener));
  listener_close(&listener);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const char *id = rows[i].first_in_query ? first : second, *dot = strchr(id, '.');
    snprintf(target, sizeof target, "/stream/?a=b&%s=%.*s%s%s", rows[i].name, (int)(dot - id), id,
             rows[i].escaped ? "%2e" : ".", dot + 1);
    const char *header_id = rows[i].header;
    if (header_id && *header_id) header_id = strcmp(header_id, "first") == 0 ? first : second;
    snprintf(header, sizeof header, header_id ? "Last-Event-ID: %s\r\n" : "%s",
             header_id ? header_id : "");
    open_target(&listener, target, header);
    assert_true(hear_event(&listener));
    assert_string_equal(listener.data, rows[i].want);
    listener_close(&listener);
  }
  await_streams(0);
}

static void input_on_a_stream_is_dropped(void **state) {
  (void)state;
  struct listener listener;
  static char junk[1000];
  memset(junk, 'j', sizeof junk - 1);
  assert_true(listener_open(&listener, server.port, NULL, 4096));
  await_streams(1);
  say(listener.fd, junk);
  publish_text("still here");
  assert_true(hear_event(&listener));
  assert_string_equal(listener.data, "still here");
  int64_t until = now_ms() + PATIENCE_MS;
  while (streams_open() > 0 && now_ms() < until)
    for (int i = 0; i < 50; i++) say(listener.fd, junk);
  await_streams(0);
  listener_close(&listener);
}

static void a_client_that_goes_is_noticed(void **state) {
  (void)state;
  struct listener listeners[10];
  for (int i = 0; i < 10; i++) assert_true(listener_open(&listeners[i], server.port, NULL, 4096));
  await_streams(10);
  const struct linger reset = {.l_onoff = 1};
  for (int i = 0; i < 10; i++) {
    /* One way to go is a FIN, another a reset, the third a client that only stops to send. */
    if (i % 3 == 1) setsockopt(listeners[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (i % 3 == 2) shutdown(listeners[i].fd, SHUT_WR);
    if (i % 3 != 2) listener_close(&listeners[i]);
  }
  await_streams(0);
  for (int i = 2; i < 10; i += 3) listener_close(&listeners[i]);
}

static void a_full_hub_says_come_back(void **state) {
  (void)state;
  struct listener listeners[STREAMS_LIMIT];
  for (int i = 0; i < STREAMS_LIMIT; i++)
    assert_true(listener_open(&listeners[i], server.port, NULL, 4096));
  await_streams(STREAMS_LIMIT);
  assert_int_equal(ask(server.port, "GET /stream/ HTTP/1.1\r\n" HOST "\r\n", text, sizeof text),
                   200);
  assert_non_null(strstr(text, "text/event-stream"));
  assert_non_null(strstr(text, "retry: "));
  for (int i = 0; i < STREAMS_LIMIT; i++) listener_close(&listeners[i]);
  await_streams(0);
}

/* ---- Replies that are given later ---- */

static int ask_number(int port, const char *path) {
  char request[128];
  snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" CLOSE, path);
  int status = ask(port, request, text, sizeof text);
  return status == 200 ? atoi(strstr(text, "\r\n\r\n") + 4) : -1;
}

static void await_pending(const struct child *child, int wanted) {
  int64_t until = now_ms() + PATIENCE_MS;
  int count;
  do count = ask_number(child->port, "/pending");
  while (count >= 0 && count != wanted && now_ms() < until);
  assert_int_equal(count, wanted);
}

static void give(const struct child *child) {
  char done;
  assert_int_equal(write(child->order, "", 1), 1);
  assert_true(await(child->order, POLLIN, now_ms() + PATIENCE_MS));
  assert_int_equal(read(child->order, &done, 1), 1);
}

/* Asks for so many replies to come later, in one go, on one connection. */
static void ask_later(int fd, const char *path, int count) {
  static char all[256 * 1024];
  size_t len = 0;
  for (int i = 0; i < count; i++)
    len += (size_t)sprintf(all + len, "GET %s?name=%d HTTP/1.1\r\n" HOST "\r\n", path, i);
  say_pieces(fd, all, len, len);
}

static void assert_in_order(const char *at, int count) {
  for (int i = 0; i < count; i++) {
    char wanted[32];
    snprintf(wanted, sizeof wanted, "\r\n\r\n%dHTTP/1.1 ", i);
    at = strstr(at, wanted);
    if (!at) fail_msg("no reply %d in its place", i);
  }
}

static void later_replies_keep_their_order(void **state) {
  (void)state;
  int fd = dial(server.port);
  ask_later(fd, "/later", 5);
  await_pending(&server, 5);
  say(fd, "GET /echo?name=behind HTTP/1.1\r\n" CLOSE);
  give(&server);
  assert_true(hear_all(fd, text, sizeof text) > 0);
  close(fd);
  assert_in_order(text, 5);
  assert_non_null(strstr(text, "\r\n\r\nbehind"));
}

/* One connection may not have any number of replies pending. */
static void pending_replies_are_limited(void **state) {
  (void)state;
  int fd = dial(server.port), count = HTTPD_LATER_MAX * 2 + 10;
  ask_later(fd, "/later", count);
  say(fd, "GET /echo?name=last HTTP/1.1\r\n" CLOSE);
  await_pending(&server, HTTPD_LATER_MAX);
  give(&server);
  await_pending(&server, HTTPD_LATER_MAX);
  give(&server);
  await_pending(&server, 10);
  give(&server);
  assert_true(hear_all(fd, text, sizeof text) > 0);
  close(fd);
  assert_in_order(text, count);
}

/* Nor may their bodies be of any length together. */
static void bodies_of_pending_replies_are_limited(void **state) {
  (void)state;
  char bytes[BODY_LIMIT], body[BODY_LIMIT * 2 / 5 + 1];
  int fd = dial(server.port);
  memset(body, 'b', sizeof body - 1);
  body[sizeof body - 1] = '\0';
  for (int i = 0; i < 5; i++) {
    snprintf(bytes, sizeof bytes, "POST /later?name=%d HTTP/1.1\r\n%sContent-Length: %zu\r\n\r\n%s",
             i, i < 4 ? HOST : HOST "Connection: close\r\n", strlen(body), body);
    say(fd, bytes);
  }
  for (int left = 5; left > 0; left -= 2) {
    await_pending(&server, left < 2 ? left : 2);
    give(&server);
  }
  assert_true(hear_all(fd, text, sizeof text - 16) > 0);
  close(fd);
  assert_in_order(strcat(text, "HTTP/1.1 "), 5);
}

/* Those that are known at once, and a client that takes them late. */
static void many_replies_come_through_a_narrow_socket(void **state) {
  (void)state;
  enum {
    MANY = 4000
  };
  static char all[MANY * 128];
  int fd = dial_with(server.port, 2048);
  pid_t sender = fork(); /* else both ends could wait for the other to read */
  if (sender == 0) {
    child_bound();
    ask_later(fd, "/now", MANY);
    say(fd, "GET /echo?name=last HTTP/1.1\r\n" CLOSE);
    _exit(0);
  }
  assert_int_equal(ask(server.port, "GET / HTTP/1.1\r\n" CLOSE, text, sizeof text), 200);
  assert_true(hear_all(fd, all, sizeof all) > 0);
  close(fd);
  waitpid(sender, NULL, 0);
  assert_in_order(all, MANY);
}

/* What is behind a pending reply: an error, another handler, half of a request. */
static void later_replies_come_before_others(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"bad request", "GARBAGE\r\n\r\n", "HTTP/1.1 400 ", NULL},
      {"slow request", "GET / HT", "HTTP/1.1 408 ", NULL},
      {"no more", "", "", NULL},
      {"close", "GET /later?name=two HTTP/1.1\r\n" CLOSE, "\r\n\r\ntwo", NULL},
      {"continue", "POST /body HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n" CLOSE,
       "HTTP/1.1 100 ", NULL},
      {"stream", "GET /stream/?channel=%01 HTTP/1.1\r\n" CLOSE, "HTTP/1.1 400 ", NULL},
      {"collect", "GET /collect HTTP/1.1\r\n" CLOSE, "text/event-stream", NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    int fd = dial(server.port);
    say(fd, "GET /later?name=one HTTP/1.1\r\n" HOST "\r\n");
    await_pending(&server, 1);
    say(fd, rows[i].request);
    if (*rows[i].request == '\0') shutdown(fd, SHUT_WR);
    if (i == 3) await_pending(&server, 2);
    if (i == 1) assert_false(await(fd, POLLIN, now_ms() + REQUEST_LIMIT_MS + 50));
    give(&server);
    if (i == 4) {
      assert_true(hear_until(fd, text, sizeof text, rows[i].want));
    } else {
      assert_true(hear_all(fd, text, sizeof text) > 0);
    }
    close(fd);
    const char *one = strstr(text, "\r\n\r\none");
    if (!one || !strstr(one, rows[i].want)) fail_msg("%s: got \"%s\"", rows[i].name, text);
  }
}

/* Whoever gives a reply need not know whether there is still someone to take it. */
static void a_client_may_leave_before_its_reply(void **state) {
  (void)state;
  const struct linger reset = {.l_onoff = 1};
  for (int way = 0; way < 2; way++) {
    int fd = dial(server.port);
    ask_later(fd, "/later", 3);
    await_pending(&server, 3);
    if (way == 0) setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    give(&server);
    await_pending(&server, 0);
  }
  connections_are_kept(NULL);
}

/* Replies that are pending at the end still come; those that do not come hold up nothing. */
static void the_end_waits_for_pending_replies(void **state) {
  (void)state;
  for (int given = 0; given < 2; given++) {
    struct child child;
    start_with(&child, 2, 0);
    int fd = dial(child.port), idle = dial(child.port);
    ask_later(fd, "/later", 3);
    await_pending(&child, 3);
    kill(child.pid, SIGTERM);
    assert_int_equal(hear_all(idle, text, sizeof text), 0); /* it is ending */
    if (given) give(&child);
    assert_true(hear_all(fd, text, sizeof text) >= 0);
    if (given) assert_in_order(strcat(text, "HTTP/1.1 "), 3);
    assert_int_equal(child_wait(&child), 0);
    close(fd);
    close(idle);
  }
}

/* ---- A stream as a response ---- */

static const char *header_of(const char *name) {
  static char value[128];
  const char *at = strstr(text, name);
  if (!at || sscanf(at + strlen(name), ": %127[^\r]", value) != 1) return NULL;
  return value;
}

/* Asks for what comes after an id; gives the body. */
static const char *ask_collect(const char *query, const char *last_id) {
  char request[256];
  snprintf(request, sizeof request, "GET /collect?%s HTTP/1.1\r\n%s%s%s" CLOSE, query,
           last_id ? "Last-Event-ID: " : "", last_id ? last_id : "", last_id ? "\r\n" : "");
  assert_int_equal(ask(server.port, request, text, sizeof text), 200);
  assert_non_null(strstr(text, "X-Test: yes\r\n"));
  return strstr(text, "\r\n\r\n") + 4;
}

static void what_is_there_is_collected_at_once(void **state) {
  (void)state;
  char id[128];
  const char *body = ask_collect("", NULL);
  assert_non_null(strstr(body, "event: sse-position\n"));
  assert_null(strstr(body, "retry"));
  snprintf(id, sizeof id, "%s", header_of("Last-Event-ID"));
  publish_text("first");
  publish_text("second");
  body = ask_collect("wait=10000", id);
  assert_non_null(strstr(body, "data: first\n"));
  assert_non_null(strstr(body, "data: second\n"));
  /* A body that is full ends behind a block, and the id leads to the rest. */
  body = ask_collect("wait=10000&most=1", id);
  const char *end = body + strlen(body);
  assert_true(end - body > 2 && end[-1] == '\n' && end[-2] == '\n');
  int rounds = 0;
  while (!strstr(body, "data: second\n") && rounds++ < 10) {
    snprintf(id, sizeof id, "%s", header_of("Last-Event-ID"));
    body = ask_collect("wait=10000&most=1", id);
  }
  assert_non_null(strstr(body, "data: second\n"));
  snprintf(id, sizeof id, "%s", header_of("Last-Event-ID"));
  assert_null(strstr(ask_collect("", id), "data: second"));
  /* An id of another life is a gap, which is something to give. */
  assert_non_null(strstr(ask_collect("wait=10000", "other.1"), "event: gap\n"));
  await_streams(0);
}

static void what_comes_first_is_waited_for(void **state) {
  (void)state;
  int fd = dial(server.port);
  say(fd,
      "GET /collect?wait=20000 HTTP/1.1\r\n" HOST "\r\nGET /echo?name=behind HTTP/1.1\r\n" CLOSE);
  await_streams(1);
  publish_text("awaited");
  assert_true(hear_all(fd, text, sizeof text) > 0);
  close(fd);
  assert_non_null(strstr(text, "data: awaited\n"));
  assert_non_null(strstr(text, "\r\n\r\nbehind"));
  assert_null(strstr(ask_collect("wait=20", NULL), "data: awaited"));
  assert_non_null(header_of("Last-Event-ID"));
  await_streams(0);
}

/* Also one that has sent a further request, when the response is due. */
static void a_client_that_waits_may_leave(void **state) {
  (void)state;
  int fd = dial(server.port);
  say(fd, "GET /collect?wait=3600000 HTTP/1.1\r\n" HOST "\r\n");
  await_streams(1);
  close(fd);
  await_streams(0);
  fd = dial(server.port);
  say(fd, "GET /collect?wait=3600000 HTTP/1.1\r\n" HOST "\r\n");
  await_streams(1);
  say(fd, "GET /echo?name=further HTTP/1.1\r\n" CLOSE);
  publish_text("awaited");
  assert_true(hear_all(fd, text, sizeof text) > 0);
  assert_non_null(strstr(text, "\r\n\r\nfurther"));
  close(fd);
}

/* At the end streams and responses that wait end gently, and a second signal ends the waiting. */
static void it_drains(void **state) {
  (void)state;
  for (int signals = 1; signals <= 2; signals++) {
    struct child child;
    struct listener listeners[4];
    drain_ms = signals == 1 ? 200 : 3600 * 1000;
    start_with(&child, 2, 0);
    drain_ms = 0;
    int fd = dial(child.port);
    say(fd, "GET /collect?wait=3600000 HTTP/1.1\r\n" CLOSE);
    for (int i = 0; i < 4; i++) {
      assert_true(listener_open(&listeners[i], child.port, NULL, 4096));
      assert_true(hear_until(listeners[i].fd, text, sizeof text, "\r\n\r\n"));
    }
    while (ask_number(child.port, "/count") < 5) continue;
    int kept = dial(child.port);
    say(kept, "GET /echo?name=kept HTTP/1.1\r\n" HOST "\r\n");
    assert_true(hear_until(kept, text, sizeof text, "kept"));
    kill(child.pid, SIGTERM);
    if (signals == 2) { /* it drains: no connection is accepted, but this one is served */
      int late;
      while ((late = dial(child.port)) >= 0) close(late);
      say(kept, "GET /echo?name=again HTTP/1.1\r\n" HOST "\r\n");
      assert_true(hear_until(kept, text, sizeof text, "again"));
      kill(child.pid, SIGTERM);
    }
    for (int i = 0; i < 4; i++) {
      assert_true(hear_all(listeners[i].fd, text, sizeof text) >= 0);
      if (signals == 1) assert_non_null(strstr(text, "retry: "));
      listener_close(&listeners[i]);
    }
    assert_true(hear_all(fd, text, sizeof text) >= 0);
    if (signals == 1) assert_non_null(strstr(text, "HTTP/1.1 200 "));
    assert_int_equal(child_wait(&child), 0);
    close(fd);
    close(kept);
  }
}

/* ---- Beginning and end ---- */

static void it_ends_in_order(void **state) {
  (void)state;
  for (unsigned threads = 1; threads <= 3; threads += 2) {
    struct child child;
    struct listener listeners[6];
    start_with(&child, threads, 0);
    for (int i = 0; i < 6; i++) assert_true(listener_open(&listeners[i], child.port, NULL, 4096));
    for (int i = 0; i < 6; i++) /* their heads have come: they are streams */
      assert_true(hear_until(listeners[i].fd, text, sizeof text, "\r\n\r\n"));
    int fds[3] = {dial(child.port), dial(child.port), dial(child.port)};
    say(fds[0], "GET / HT");
    say(fds[1], "GET /big HTTP/1.1\r\n" HOST "\r\n");
    assert_true(await(fds[1], POLLIN, now_ms() + PATIENCE_MS));
    int64_t begun = now_ms();
    assert_int_equal(child_stop(&child, threads == 1 ? SIGTERM : SIGINT), 0);
    assert_true(now_ms() - begun < 10000);
    for (int i = 0; i < 6; i++) {
      assert_true(hear_all(listeners[i].fd, text, sizeof text) >= 0);
      listener_close(&listeners[i]);
    }
    for (int i = 0; i < 3; i++) close(fds[i]);
  }
}

static long children_cpu_ms(void) {
  struct rusage usage;
  getrusage(RUSAGE_CHILDREN, &usage); /* of those that have been waited for */
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
         (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

/* Who finds no file descriptor waits in the queue, and the server does not turn in circles. */
static void it_survives_without_file_descriptors(void **state) {
  (void)state;
  struct child child;
  int fds[60], served = 0;
  long before_ms = children_cpu_ms();
  start_with(&child, 1, 40);
  for (int i = 0; i < 60; i++) assert_true((fds[i] = dial(child.port)) >= 0);
  /* They are silent, so it is full until the first of them is closed for that. */
  assert_int_equal(hear_all(fds[0], text, sizeof text), 0);
  for (int i = 0; i < 60; i++) close(fds[i]);
  for (int i = 0; i < 60; i++) assert_true((fds[i] = dial(child.port)) >= 0);
  for (int i = 0; i < 60; i++) say(fds[i], "GET /echo HTTP/1.1\r\n" CLOSE);
  for (int i = 0; i < 60; i++) {
    served += hear_until(fds[i], text, sizeof text, "nobody");
    close(fds[i]);
  }
  assert_int_equal(served, 60);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
  assert_true(children_cpu_ms() - before_ms < IDLE_LIMIT_MS * 3 / 4);
}

/* A page of another site that has pointed its own name here gets nothing. */
static void other_hosts_are_refused(void **state) {
  static const struct {
    const char *request;
    int status;
  } rows[] = {
      {"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n", 200},
      {"GET / HTTP/1.1\r\nHost: A.Example:80\r\nConnection: close\r\n\r\n", 200},
      {"GET / HTTP/1.1\r\nHost: [::1]:5000\r\nConnection: close\r\n\r\n", 200},
      {"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421},
      {"GET / HTTP/1.1\r\nHost: a.example.evil\r\nConnection: close\r\n\r\n", 421},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 421},
      {"GET /stream/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421},
      {"GET http://a.example/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 200},
      {"GET http://evil.example HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n", 421},
      {"GET / HTTP/1.0\r\n\r\n", 421},
  };
  struct child child;
  (void)state;
  hosts = (const char *const[]){"a.example", "[::1]", NULL};
  start_with(&child, 1, 0);
  hosts = NULL;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    int status = ask(child.port, rows[i].request, text, sizeof text);
    if (status != rows[i].status) fail_msg("%d: %s", status, rows[i].request);
  }
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

static void a_port_in_use_is_told(void **state) {
  (void)state;
  sse_hub *hub;
  char port[8];
  assert_int_equal(sse_hub_new(&hub, NULL), 0);
  snprintf(port, sizeof port, "%d", server.port);
  assert_null(httpd_new(&(struct httpd_config){.name = "test", .hub = hub, .port = port}));
  assert_int_equal(sse_hub_free(hub), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(requests),
      cmocka_unit_test(too_long_is_told),
      cmocka_unit_test(pages_have_tags),
      cmocka_unit_test(connections_are_kept),
      cmocka_unit_test(pipelined_requests_are_answered_in_order),
      cmocka_unit_test(big_responses_come_whole),
      cmocka_unit_test(a_continue_is_sent),
      cmocka_unit_test(slow_requests_are_ended),
      cmocka_unit_test(idle_connections_are_closed),
      cmocka_unit_test(events_are_streamed),
      cmocka_unit_test(ids_may_be_in_the_query),
      cmocka_unit_test(input_on_a_stream_is_dropped),
      cmocka_unit_test(a_client_that_goes_is_noticed),
      cmocka_unit_test(a_full_hub_says_come_back),
      cmocka_unit_test(later_replies_keep_their_order),
      cmocka_unit_test(pending_replies_are_limited),
      cmocka_unit_test(bodies_of_pending_replies_are_limited),
      cmocka_unit_test(many_replies_come_through_a_narrow_socket),
      cmocka_unit_test(later_replies_come_before_others),
      cmocka_unit_test(a_client_may_leave_before_its_reply),
      cmocka_unit_test(the_end_waits_for_pending_replies),
      cmocka_unit_test(what_is_there_is_collected_at_once),
      cmocka_unit_test(what_comes_first_is_waited_for),
      cmocka_unit_test(a_client_that_waits_may_leave),
      cmocka_unit_test(it_drains),
      cmocka_unit_test(it_ends_in_order),
      cmocka_unit_test(it_survives_without_file_descriptors),
      cmocka_unit_test(other_hosts_are_refused),
      cmocka_unit_test(a_port_in_use_is_told),
  };
  return cmocka_run_group_tests_name(SUITE, tests, start_server, stop_server);
}
