/* SPDX-License-Identifier: MIT */
/* test_hosts.c: what every host is held to, seen from outside. The host that is tested is named by
 * the program's own name: test_poll, test_thread, ... */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0 /* a sanitizer's own memory would be measured */
#endif

#define HEARTBEAT_MS 1000
#define STALL_MS     (SANITIZED ? 10000 : 15000) /* long enough for the flood */
#define FLOOD_BYTES  (SANITIZED ? 40000000 : 200000000)
#define BODY_BYTES   (64 * 1024)
#define LEAD_MAX                                                                                   \
  16 /* events that the publisher is ahead of a reader; the window has room for more */
#define GROWTH_MAX_KIB 32768
#define IDLE_MAX_KIB   128

#define OPTIONS(...)                                                                               \
  (const char *const[]) {                                                                          \
    __VA_ARGS__, NULL                                                                              \
  }

static const struct host_kind *kind;
static struct host host;

/* Drives a net until something is so; the test fails if it does not become so in time. */
#define UNTIL_MS(net, what, ms)                                                                    \
  do {                                                                                             \
    int64_t until_ = now_ms() + (ms);                                                              \
    while (!(what) && now_ms() < until_) net_step(net, 20);                                        \
    assert_true(what);                                                                             \
  } while (0)
#define UNTIL(net, what) UNTIL_MS(net, what, PATIENCE_MS)

static void start(const char *const *options) {
  assert_true(host_start(&host, kind, options));
}

static void stop(void) {
  assert_int_equal(host_stop(&host), 0);
}

/* After a test that failed in the middle. */
static int clean_up(void **state) {
  (void)state;
  if (host.pid > 0) host_stop(&host);
  return 0;
}

/* A figure for the table of hosts. With a sanitizer it would be the sanitizer's. */
static void report(const char *what, double value, const char *unit) {
  if (SANITIZED) return;
  printf("| %s | %s | %.1f %s |\n", kind->name, what, value, unit);
  fflush(stdout);
}

/* ---- 1 ---- */

static void assert_header(const struct client *client, const char *line) {
  if (!strcasestr(client->head, line)) fail_msg("no \"%s\" in:\n%s", line, client->head);
}

static void test_ticks(void **state) {
  enum {
    CLIENTS = 3,
    TICKS = 40
  };
  struct net net;
  struct client clients[CLIENTS];
  (void)state;
  start(OPTIONS("--tick-ms", "20"));
  net_open(&net, &host);
  for (int i = 0; i < CLIENTS; i++) client_open(&clients[i], &net, &(struct client_options){0});
  for (int i = 0; i < CLIENTS; i++) {
    UNTIL(&net, clients[i].events >= TICKS || clients[i].done);
    assert_int_equal(clients[i].status, 200);
    assert_int_equal(clients[i].done, 0);
    assert_int_equal(clients[i].wrong, 0);
    assert_int_equal(clients[i].gaps, 0);
    assert_header(&clients[i], "\r\ncontent-type: text/event-stream\r\n");
    assert_header(&clients[i], "\r\ncache-control: no-store, no-transform\r\n");
    if (!kind->behind_nginx) assert_header(&clients[i], "\r\nx-accel-buffering: no\r\n");
    client_close(&clients[i]);
  }
  net_close(&net);
  stop();
}

/* ---- 2 ---- */

static void publish(struct net *net, const char *channel, const char *text) {
  assert_int_equal(net_publish(net, channel, text, strlen(text)), 204);
}

static void test_resume(void **state) {
  const struct client_options both = {.query = "channel=a%61&channel=b"};
  struct client_options back = both;
  char last_id[SSE_ID_BYTES_MAX + 1];
  struct client client;
  struct net net;
  (void)state;
  start(OPTIONS("--tick-ms", "0"));
  net_open(&net, &host);
  publish(&net, "aa", "before");
  client_open(&client, &net, &both);
  UNTIL(&net, *sse_parser_last_id(client.parser));
  publish(&net, "aa", "one");
  publish(&net, "b", "two");
  publish(&net, "c", "other");
  UNTIL(&net, client.events == 2);
  assert_string_equal(client.log, "one two");
  snprintf(last_id, sizeof last_id, "%s", sse_parser_last_id(client.parser));
  client_close(&client);

  publish(&net, "b", "three");
  publish(&net, "c", "other");
  publish(&net, "aa", "four");
  publish(&net, "b", "five");
  back.last_id = last_id;
  client_open(&client, &net, &back);
  UNTIL(&net, client.events == 3);
  publish(&net, "aa", "six");
  UNTIL(&net, client.events >= 4);
  assert_string_equal(client.log, "three four five six");
  client_close(&client);
  net_close(&net);
  stop();
}

/* ---- 3 ---- */

/* A body that begins with its number. */
static const char *numbered(unsigned long long number, size_t len) {
  static char body[BODY_BYTES];
  memset(body, 'x', len);
  int digits = snprintf(body, 24, "%llu", number);
  body[digits] = ' ';
  return body;
}

/* Publishes numbers up to one, no faster than the readers read. */
static void flood(struct net *net, struct client *readers, int count, unsigned long long *number,
                  unsigned long long last, size_t len) {
  while (*number < last) {
    ++*number;
    assert_int_equal(net_publish(net, "flood", numbered(*number, len), len), 204);
    for (int i = 0; i < count; i++)
      UNTIL(net, readers[i].events + LEAD_MAX >= *number || readers[i].done);
  }
  for (int i = 0; i < count; i++) {
    UNTIL(net, readers[i].events >= last || readers[i].done);
    assert_int_equal(readers[i].done, 0);
    assert_int_equal(readers[i].gaps, 0);
    assert_int_equal(readers[i].wrong, 0);
    assert_int_equal(readers[i].last, last);
  }
}

/* Waits until the host has no more sockets than so many; the time that this took. */
static int64_t await_sockets(struct net *net, int sockets, int64_t at_most_ms) {
  int64_t began = now_ms();
  while (host_sockets(&host) > sockets && now_ms() < began + at_most_ms) net_step(net, 10);
  if (host_sockets(&host) > sockets)
    fail_msg("%d sockets are still open, not %d", host_sockets(&host), sockets);
  return now_ms() - began;
}

static void test_stalled(void **state) {
  enum {
    READERS = 2,
    WARM = 8000000 / BODY_BYTES,
    ALL = WARM + FLOOD_BYTES / BODY_BYTES
  };
  const struct client_options on_flood = {.query = "channel=flood"};
  struct client_options slow = on_flood;
  struct client readers[READERS], stalled, quiet;
  struct net net, deaf, still;
  unsigned long long number = 0;
  char stall_ms[16];
  (void)state;
  snprintf(stall_ms, sizeof stall_ms, "%d", STALL_MS);
  start(OPTIONS("--tick-ms", "0", "--stall-ms", stall_ms, "--heartbeat-ms", "1000"));
  /* This one has nothing to receive for longer than a host waits for a request. */
  net_open(&still, &host);
  client_open(&quiet, &still, &(struct client_options){.query = "channel=quiet"});
  UNTIL(&still, *sse_parser_last_id(quiet.parser));
  int sockets = host_sockets(&host);
  net_open(&net, &host);
  net_open(&deaf, &host);
  for (int i = 0; i < READERS; i++) {
    client_open(&readers[i], &net, &on_flood);
    UNTIL(&net, *sse_parser_last_id(readers[i].parser));
  }
  flood(&net, readers, READERS, &number, WARM, BODY_BYTES);

  slow.receive_bytes = 4096;
  client_open(&stalled, &deaf, &slow);
  UNTIL(&deaf, *sse_parser_last_id(stalled.parser));
  host_forget_peak(&host);
  long memory = host_memory(&host);
  int64_t began = now_ms();
  flood(&net, readers, READERS, &number, ALL, BODY_BYTES);
  double growth = (double)(host_peak(&host) - memory), seconds = (double)(now_ms() - began) / 1000;

  net_unpublish(&net);
  for (int i = 0; i < READERS; i++) client_close(&readers[i]);
  net_close(&net);
  report("flood of 200 MB, time", seconds, "s");
  report("growth during a stall of 200 MB", growth / 1024, "MiB");
  if (!SANITIZED) {
    assert_in_range(seconds, 0, STALL_MS / 1000 - 1);
    assert_true(host_sockets(&host) > sockets);
    /* It may be below zero: the host may have given memory back meanwhile. */
    assert_true(growth <= GROWTH_MAX_KIB);
  }
  /* What is between the host and the client was full by now at the latest. */
  net_open(&net, &host);
  await_sockets(&net, sockets, STALL_MS + 3000 + kind->late_ms);
  double closed = (double)(now_ms() - began) / 1000;
  report("closed, stall deadline 15 s", closed, "s");
  assert_true(closed * 1000 >= STALL_MS - 500);
  assert_int_equal(net_publish(&net, "quiet", "1", 1), 204);
  UNTIL(&still, quiet.events > 0 || quiet.done);
  assert_int_equal(quiet.events, 1);
  client_close(&quiet);
  net_close(&still);
  net_close(&net);
  UNTIL(&deaf, stalled.done);
  client_close(&stalled);
  net_close(&deaf);
  stop();
}

/* ---- 4 ---- */

static void test_vanished(void **state) {
  static const char *const names[] = {"closed", "reset", "silent"};
  enum {
    CLIENTS = 10
  };
  struct client clients[CLIENTS], first;
  struct net nets[CLIENTS], net;
  char heartbeat_ms[16];
  (void)state;
  snprintf(heartbeat_ms, sizeof heartbeat_ms, "%d", HEARTBEAT_MS);
  start(OPTIONS("--tick-ms", "0", "--heartbeat-ms", heartbeat_ms));
  net_open(&net, &host);
  /* A host may open sockets of its own with the first client, so that one stays. */
  client_open(&first, &net, &(struct client_options){0});
  UNTIL(&net, *sse_parser_last_id(first.parser));
  int sockets = host_sockets(&host);
  for (int how = LEAVE_CLOSE; how <= LEAVE_SILENT; how++) {
    for (int i = 0; i < CLIENTS; i++) {
      net_open(&nets[i], &host);
      client_open(&clients[i], &nets[i], &(struct client_options){0});
      UNTIL(&nets[i], *sse_parser_last_id(clients[i].parser));
    }
    assert_true(host_sockets(&host) >= sockets + CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
      client_leave(&clients[i], (enum leaving)how);
      net_close(&nets[i]);
    }
    char what[64];
    int64_t took = await_sockets(&net, sockets, HEARTBEAT_MS + 10000);
    snprintf(what, sizeof what, "reaped, %s, heartbeat 1 s", names[how]);
    report(what, (double)took / 1000, "s");
  }
  assert_int_equal(first.done, 0);
  client_close(&first);
  net_close(&net);
  stop();
}

/* ---- 5 ---- */

static void test_end(void **state) {
  enum {
    CLIENTS = 100
  };
  static struct client clients[CLIENTS];
  struct net net;
  (void)state;
  start(OPTIONS("--tick-ms", "10"));
  net_open(&net, &host);
  for (int i = 0; i < CLIENTS; i++) client_open(&clients[i], &net, &(struct client_options){0});
  for (int i = 0; i < CLIENTS; i++) UNTIL(&net, clients[i].events > 0);
  int64_t began = now_ms();
  stop();
  report("end with 100 streams", (double)(now_ms() - began) / 1000, "s");
  for (int i = 0; i < CLIENTS; i++) {
    UNTIL(&net, clients[i].done);
    client_close(&clients[i]);
  }
  net_close(&net);
}

/* ---- 6 ---- */

/* When a client of the coming and going goes: at once, with the head, or with some events. */
static int goes(const struct client *client, int which, int64_t age_ms) {
  switch (which % 4) {
  case 0:
    return 1;
  case 1:
    return client->status != 0 || client->done;
  default:
    return client->events >= (unsigned long)which % 4 || client->done || age_ms > PATIENCE_MS;
  }
}

static void come_and_go(struct net *net, struct client *reader, unsigned long long *number) {
  enum {
    AT_ONCE = 16,
    ALL = 2000
  };
  struct client clients[AT_ONCE] = {{0}};
  int which[AT_ONCE] = {0};
  int64_t since[AT_ONCE] = {0};
  for (int next = 0, gone = 0; gone < ALL;) {
    for (int i = 0; i < AT_ONCE; i++) {
      if (clients[i].easy && goes(&clients[i], which[i], now_ms() - since[i])) {
        client_leave(&clients[i], (enum leaving)(which[i] / 4 % 2));
        gone++;
      }
      if (clients[i].easy || next >= ALL) continue;
      which[i] = next++;
      since[i] = now_ms();
      const struct client_options options = {.query = "channel=flood", .fresh = which[i] % 8 < 4};
      client_open(&clients[i], net, &options);
    }
    flood(net, reader, 1, number, *number + 1, 1024);
  }
}

static void test_coming_and_going(void **state) {
  struct client reader;
  struct net net;
  unsigned long long number = 0;
  (void)state;
  start(OPTIONS("--tick-ms", "0", "--heartbeat-ms", "1000"));
  int sockets = host_sockets(&host);
  net_open(&net, &host);
  client_open(&reader, &net, &(struct client_options){.query = "channel=flood"});
  UNTIL(&net, *sse_parser_last_id(reader.parser));
  flood(&net, &reader, 1, &number, 4096, 1024);
  long memory = host_memory(&host);
  come_and_go(&net, &reader, &number);
  report("growth by 2,000 that came and went", (double)(host_memory(&host) - memory) / 1024, "MiB");
  client_close(&reader);
  net_close(&net);
  net_open(&net, &host);
  await_sockets(&net, sockets, 10000);
  net_close(&net);
  stop();
}

/* ---- 7 ---- */

static void open_idle(struct net *net, struct client *clients, int count) {
  for (int i = 0; i < count; i++) client_open(&clients[i], net, &(struct client_options){0});
  for (int i = 0; i < count; i++) UNTIL(net, *sse_parser_last_id(clients[i].parser));
}

static void test_idle(void **state) {
  enum {
    WARM = 50,
    CLIENTS = 500
  };
  static struct client clients[WARM + CLIENTS];
  struct net net;
  (void)state;
  start(OPTIONS("--tick-ms", "0"));
  net_open(&net, &host);
  open_idle(&net, clients, WARM);
  long memory = host_memory(&host);
  open_idle(&net, clients + WARM, CLIENTS);
  double each = (double)(host_memory(&host) - memory) / CLIENTS;
  report("memory per idle stream", each, "KiB");
  if (!SANITIZED) assert_true(each <= IDLE_MAX_KIB);
  for (int i = 0; i < WARM + CLIENTS; i++) {
    assert_int_equal(clients[i].done, 0);
    client_close(&clients[i]);
  }
  net_close(&net);
  stop();
}

/* ---- 8 ---- */

static void test_methods(void **state) {
  static const char stream[] = "/stream?channel=a", publish_a[] = "/publish?channel=a";
#define ALLOW_STREAM  "\r\nallow: GET, HEAD, OPTIONS\r\n"
#define ALLOW_PUBLISH "\r\nallow: OPTIONS, POST\r\n"
  static const struct {
    const char *method, *target;
    long status;
    const char *line;
  } rows[] = {
      {"HEAD", stream, 200, "\r\ncontent-type: text/event-stream\r\n"},
      {"OPTIONS", stream, 204, ALLOW_STREAM},
      {"POST", stream, 405, ALLOW_STREAM},
      {"PUT", stream, 405, ALLOW_STREAM},
      {"DELETE", stream, 405, ALLOW_STREAM},
      {"PATCH", stream, 405, ALLOW_STREAM},
      {"FOO", stream, 405, ALLOW_STREAM},
      {"HEAD", publish_a, 405, ALLOW_PUBLISH},
      {"GET", publish_a, 405, ALLOW_PUBLISH},
      {"PUT", publish_a, 405, ALLOW_PUBLISH},
      {"OPTIONS", publish_a, 204, ALLOW_PUBLISH},
      {"HEAD", "/stream?channel=", 400, ""},
      {"GET", "/nothing", 404, ""},
      {"HEAD", "/nothing", 404, ""},
      {"OPTIONS", "/nothing", 404, ""},
  };
  struct answer answer;
  struct net net;
  (void)state;
  start(OPTIONS("--tick-ms", "0"));
  net_open(&net, &host);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    net_ask(&net, rows[i].method, rows[i].target, &answer);
    int unknown = strcmp(rows[i].method, "FOO") == 0 && kind->unknown_method &&
                  answer.status == kind->unknown_method;
    if (answer.result != CURLE_OK || (answer.status != rows[i].status && !unknown))
      fail_msg("%s %s: %ld, %s", rows[i].method, rows[i].target, answer.status,
               curl_easy_strerror(answer.result));
    if (!unknown && !strcasestr(answer.head, rows[i].line))
      fail_msg("%s %s: no \"%s\" in:\n%s", rows[i].method, rows[i].target, rows[i].line,
               answer.head);
    /* What HEAD says of a length is that of GET. */
    if (rows[i].status == 200) assert_null(strcasestr(answer.head, "content-length"));
    if (rows[i].status < 300) assert_string_equal(answer.body, "");
  }
  net_close(&net);
  stop();
}

/* ---- 9 ---- */

/* A browser comes back after 200, and stops for good after any other status. */
static void test_refusals(void **state) {
  struct client client, refused;
  struct answer answer;
  struct net net;
  (void)state;
  start(OPTIONS("--tick-ms", "20", "--streams-max", "1"));
  net_open(&net, &host);
  client_open(&client, &net, &(struct client_options){0});
  UNTIL(&net, client.events > 0);
  client_open(&refused, &net, &(struct client_options){0});
  UNTIL(&net, refused.done);
  assert_int_equal(refused.result, CURLE_OK);
  assert_int_equal(refused.status, 200);
  assert_header(&refused, "\r\ncontent-type: text/event-stream\r\n");
  assert_int_equal(refused.events, 0);
  assert_in_range(sse_parser_retry_ms(refused.parser), 1, 60000);
  assert_string_equal(sse_parser_last_id(refused.parser), "");
  client_close(&refused);
  net_ask(&net, "GET", "/stream?channel=%01", &answer);
  assert_int_equal(answer.result, CURLE_OK);
  assert_int_equal(answer.status, 400);
  /* There is room again. */
  client_close(&client);
  do {
    client_open(&client, &net, &(struct client_options){0});
    UNTIL(&net, client.events > 0 || client.done);
    if (client.done) client_close(&client);
  } while (!client.easy);
  client_close(&client);
  net_close(&net);
  stop();
}

/* ---- 10 ---- */

/* After its last event a channel's streams end as a response should, and browsers are to stop. */
static void test_finished(void **state) {
  enum {
    TICKS = 20
  };
  struct client client, late;
  struct net net;
  (void)state;
  start(OPTIONS("--tick-ms", "50", "--ticks", "20"));
  net_open(&net, &host);
  client_open(&client, &net, &(struct client_options){0});
  UNTIL(&net, client.done);
  assert_int_equal(client.result, CURLE_OK);
  assert_int_equal(client.status, 200);
  assert_int_equal(client.last, TICKS);
  assert_int_equal(client.wrong, 0);
  client_open(&late, &net, &(struct client_options){.last_id = sse_parser_last_id(client.parser)});
  UNTIL(&net, late.done);
  assert_int_equal(late.result, CURLE_OK);
  assert_int_equal(late.status, 204);
  client_close(&late);
  client_close(&client);
  net_close(&net);
  stop();
}

/* ---- 11 ---- */

/* A connection that only takes a place: with a stream, if the host has it only then. */
static int occupy(void) {
  static const char request[] = "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const struct sockaddr_in at = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)host.port),
                                 .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
  if (!kind->tls) send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
  return fd;
}

/* Out of descriptors, a host serves the streams that it has, and rests; with room, it accepts. */
static void test_full(void **state) {
  enum {
    FILES = 64,
    OTHERS = 2 * FILES,
    TICKS = 30
  };
  struct client old, late;
  struct net net;
  int others[OTHERS];
  (void)state;
  assert_true(host_start_limited(&host, kind, OPTIONS("--tick-ms", "100"), FILES));
  net_open(&net, &host);
  client_open(&old, &net, &(struct client_options){0});
  UNTIL(&net, old.events > 0);
  for (int i = 0; i < OTHERS; i++) others[i] = occupy();
  UNTIL(&net, host_files(&host) >= FILES - 1 - kind->spare_files);
  unsigned long events = old.events;
  long cpu_ms = host_cpu_ms(&host);
  int64_t began = now_ms();
  UNTIL(&net, old.events >= events + TICKS || old.done);
  double used = (double)(host_cpu_ms(&host) - cpu_ms) / 1000;
  double wall = (double)(now_ms() - began) / 1000;
  report("CPU time of 1 s without a descriptor", used / wall * 1000, "ms");
  assert_int_equal(old.done, 0);
  if (used > wall / 6) fail_msg("%.2f s of %.2f s are used without a descriptor", used, wall);
  for (int i = 0; i < OTHERS; i++) close(others[i]);
  client_open(&late, &net, &(struct client_options){.fresh = 1});
  UNTIL(&net, late.events > 0 || late.done);
  assert_int_equal(late.done, 0);
  events = old.events;
  UNTIL(&net, old.events > events || old.done);
  assert_int_equal(old.done, 0);
  assert_int_equal(old.wrong, 0);
  assert_int_equal(old.gaps, 0);
  client_close(&late);
  client_close(&old);
  net_close(&net);
  stop();
}

/* ---- 12 ---- */

/* What a proxy could understand differently is refused, and nothing behind it is served. */
static void test_strict(void **state) {
#define POST       "POST /publish?channel=a HTTP/1.1\r\n"
#define HOST       "Host: x\r\n"
#define LEN(n)     "Content-Length: " #n "\r\n"
#define SECOND     "GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
#define TEXT(text) (text), sizeof(text) - 1
  static const struct {
    const char *name, *bytes;
    size_t len;
    const char *status;
  } rows[] = {
      {"good", TEXT(POST HOST LEN(1) "Connection: close\r\n\r\na"), "204 "},
      {"good, HTTP/1.0 without a host", TEXT("GET /nothing HTTP/1.0\r\n\r\n"), "404 "},
      {"host and port", TEXT("GET /nothing HTTP/1.0\r\nHost: a.b:80\r\n\r\n"), "404 "},
      {"IPv6 host", TEXT("GET /nothing HTTP/1.0\r\nHost: [::1]:80\r\n\r\n"), "404 "},
      {"two lengths", TEXT(POST HOST LEN(0) LEN(87) "\r\n" SECOND), "400 "},
      {"the same length twice", TEXT(POST HOST LEN(1) LEN(1) "\r\na" SECOND), "400 "},
      {"a list of lengths", TEXT(POST HOST "Content-Length: 1, 1\r\n\r\na" SECOND), "400 "},
      {"a signed length", TEXT(POST HOST "Content-Length: +1\r\n\r\na" SECOND), "400 "},
      {"bare LF hides a length", TEXT(POST HOST "X: y\n\n" LEN(1) "\r\na" SECOND), "400 "},
      {"bare LF hides a coding",
       TEXT(POST HOST "X: y\n\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SECOND), "400 "},
      {"bare LF ends all", TEXT("GET /second HTTP/1.1\nHost: x\n\n"), "400 "},
      {"bare CR", TEXT(POST HOST "X: a\rb\r\n\r\n" SECOND), "400 "},
      {"CR before a name", TEXT(POST HOST "\rX: a\r\n\r\n" SECOND), "400 "},
      {"NUL", TEXT(POST HOST "X: a\0b\r\n\r\n" SECOND), "400 "},
      {"NUL in the target", TEXT("GET /second\0 HTTP/1.1\r\n" HOST "\r\n"), "400 "},
      {"a header goes on", TEXT(POST HOST "X: y\r\n " LEN(1) "\r\na" SECOND), "400 "},
      {"blank before a colon", TEXT(POST HOST "Content-Length : 1\r\n\r\na" SECOND), "400 "},
      {"blank before a colon of a coding",
       TEXT(POST HOST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" SECOND), "400 "},
      {"no colon", TEXT(POST HOST "X\r\n\r\n" SECOND), "400 "},
      {"a coding", TEXT(POST HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SECOND), "501 "},
      {"no host", TEXT(POST LEN(1) "\r\na" SECOND), "400 "},
      {"two hosts", TEXT(POST HOST HOST LEN(1) "\r\na" SECOND), "400 "},
      {"empty host", TEXT(POST "Host:\r\n" LEN(1) "\r\na" SECOND), "400 "},
      {"a host with a blank", TEXT(POST "Host: a b\r\n" LEN(1) "\r\na" SECOND), "400 "},
      {"a host with a comma", TEXT(POST "Host: a,b\r\n" LEN(1) "\r\na" SECOND), "400 "},
      {"a host with a slash", TEXT(POST "Host: a/b@c\r\n" LEN(1) "\r\na" SECOND), "400 "},
      {"a host with a bad port", TEXT(POST "Host: a:b\r\n" LEN(1) "\r\na" SECOND), "400 "},
      {"half an IPv6 host", TEXT(POST "Host: [::1\r\n" LEN(1) "\r\na" SECOND), "400 "},
      {"HTTP/1.1x", TEXT("GET /second HTTP/1.1x\r\n" HOST "\r\n"), "400 "},
      {"HTTP/1.10", TEXT("GET /second HTTP/1.10\r\n" HOST "\r\n"), "400 "},
      {"an empty line alone", TEXT("\r\n\r\n" SECOND), "400 "},
      {"no method", TEXT(" /second HTTP/1.1\r\n" HOST "\r\n"), "400 "},
  };
  char answer[1024];
  struct net net;
  (void)state;
  if (!kind->own_parser) skip();
  start(OPTIONS("--tick-ms", "0"));
  net_open(&net, &host);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    net_send(&net, rows[i].bytes, rows[i].len, answer, sizeof answer);
    const char *first = strstr(answer, "HTTP/1.1 ");
    if (first != answer || strncmp(answer + 9, rows[i].status, 4) != 0 ||
        strstr(answer + 9, "HTTP/1.1 "))
      fail_msg("%s:\n%s", rows[i].name, answer);
  }
  net_close(&net);
  stop();
}

/* ---- 13 ---- */

/* Little is sent to a client that vanished, so the host's buffer for it has room all the time, and
 * only the prepared socket can end it. */
static void test_unacknowledged(void **state) {
  enum {
    DEADLINE_MS = 4000
  };
  struct client gone, first;
  struct net far, net;
  char stall_ms[16], heartbeat_ms[16];
  (void)state;
  if (kind->no_socket) skip();
  snprintf(stall_ms, sizeof stall_ms, "%d", DEADLINE_MS);
  snprintf(heartbeat_ms, sizeof heartbeat_ms, "%d", HEARTBEAT_MS);
  start(OPTIONS("--tick-ms", "200", "--stall-ms", stall_ms, "--heartbeat-ms", heartbeat_ms));
  net_open(&net, &host);
  net_open(&far, &host);
  client_open(&first, &net, &(struct client_options){0});
  UNTIL(&net, first.events > 0);
  int sockets = host_sockets(&host);
  client_open(&gone, &far, &(struct client_options){0});
  UNTIL(&far, gone.events > 0);
  assert_true(host_sockets(&host) > sockets);
  client_vanish(&gone);
  int64_t took = await_sockets(&net, sockets, DEADLINE_MS + HEARTBEAT_MS + 10000);
  report("closed, vanished, stall deadline 4 s", (double)took / 1000, "s");
  assert_true(took >= DEADLINE_MS - 500);
  assert_int_equal(first.done, 0);
  assert_int_equal(first.gaps, 0);
  client_close(&gone);
  client_close(&first);
  net_close(&far);
  net_close(&net);
  stop();
}

/* ---- 14 ---- */

#define REQUEST "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* Opens a stream by its bytes and reads until it has begun. */
static int open_by_bytes(const char *bytes) {
  const struct sockaddr_in at = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)host.port),
                                 .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
  char answer[2048] = "";
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  assert_int_equal(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), strlen(bytes));
  for (size_t used = 0; !strstr(answer, "\nid: ");) {
    ssize_t got = recv(fd, answer + used, sizeof answer - 1 - used, 0);
    if (got <= 0) fail_msg("no stream:\n%s", answer);
    used += (size_t)got;
    answer[used] = '\0';
  }
  return fd;
}

/* A stream has nothing to read. A client that sends something, or closes, while nothing happens
 * must not keep the host busy until the next heartbeat. */
static void test_noise(void **state) {
  enum {
    WATCH_MS = 500
  };
  static const struct {
    const char *name, *request, *later;
    int how; /* of a shutdown(); -1: close; -2: stay */
  } rows[] = {
      {"closes", REQUEST, "", -1},
      {"closes one side", REQUEST, "", SHUT_WR},
      {"sends bytes", REQUEST, "x", -2},
      {"sends bytes and closes", REQUEST, "x", -1},
      {"sends bytes with the request", REQUEST "x", "", -2},
      {"sends bytes with the request and closes", REQUEST "x", "", -1},
      {"sends two requests at once", REQUEST REQUEST, "", -2},
  };
  struct net net;
  (void)state;
  if (kind->tls) skip();
  start(OPTIONS("--tick-ms", "0"));
  net_open(&net, &host);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int fd = open_by_bytes(rows[i].request);
    send(fd, rows[i].later, strlen(rows[i].later), MSG_NOSIGNAL);
    if (rows[i].how >= 0) shutdown(fd, rows[i].how);
    if (rows[i].how == -1) close(fd);
    long cpu_ms = host_cpu_ms(&host);
    int64_t until = now_ms() + WATCH_MS;
    while (now_ms() < until) net_step(&net, 20);
    long used_ms = host_cpu_ms(&host) - cpu_ms;
    if (used_ms > WATCH_MS / 4) fail_msg("a client %s: %ld ms are used", rows[i].name, used_ms);
    if (rows[i].how != -1) close(fd);
  }
  net_close(&net);
  stop();
}

/* 550 clients, and as many sockets in the host. */
static void raise_limits(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_ticks, clean_up),
      cmocka_unit_test_teardown(test_resume, clean_up),
      cmocka_unit_test_teardown(test_stalled, clean_up),
      cmocka_unit_test_teardown(test_vanished, clean_up),
      cmocka_unit_test_teardown(test_end, clean_up),
      cmocka_unit_test_teardown(test_coming_and_going, clean_up),
      cmocka_unit_test_teardown(test_idle, clean_up),
      cmocka_unit_test_teardown(test_methods, clean_up),
      cmocka_unit_test_teardown(test_refusals, clean_up),
      cmocka_unit_test_teardown(test_finished, clean_up),
      cmocka_unit_test_teardown(test_full, clean_up),
      cmocka_unit_test_teardown(test_strict, clean_up),
      cmocka_unit_test_teardown(test_unacknowledged, clean_up),
      cmocka_unit_test_teardown(test_noise, clean_up),
  };
  const char *name = strrchr(argv[0], '/');
  name = name ? name + 1 : argv[0];
  kind = host_kind(strncmp(name, "test_", 5) == 0 ? name + 5 : name);
  if (!kind) {
    fprintf(stderr, "%s: no host of that name\n", name);
    return 2;
  }
  raise_limits();
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  int failed = cmocka_run_group_tests_name(kind->name, tests, NULL, NULL);
  curl_global_cleanup();
  return failed;
}
