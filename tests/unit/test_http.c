/* SPDX-License-Identifier: MIT */
/* test_http.c: the response heads byte for byte, what they refuse, and headers out of a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sse/http.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define LIST(...)    ((const char *const[]){__VA_ARGS__, NULL})

enum {
  GUARD = 0xa5,
  ROOM = 1024,
  GUARD_BYTES = 16
};
enum kind {
  STREAM = SSE_HTTP_STREAM,
  BUSY = SSE_HTTP_BUSY,
  STOP = SSE_HTTP_STOP,
  PREFLIGHT = SSE_HTTP_PREFLIGHT
};

#define OK_LINES                                                                                   \
  "HTTP/1.1 200 OK\r\n"                                                                            \
  "Content-Type: text/event-stream\r\n"                                                            \
  "Cache-Control: no-store, no-transform\r\n"                                                      \
  "X-Accel-Buffering: no\r\n"
#define STOP_LINES                                                                                 \
  "HTTP/1.1 204 No Content\r\n"                                                                    \
  "Cache-Control: no-store, no-transform\r\n"                                                      \
  "X-Accel-Buffering: no\r\n"
#define PREFLIGHT_LINES "HTTP/1.1 204 No Content\r\n"
#define CLOSE           "Connection: close\r\n"
#define CHUNKED         "Transfer-Encoding: chunked\r\n"
#define END             "\r\n"

#define ALLOW(origin) "Access-Control-Allow-Origin: " origin "\r\n"
#define CREDENTIALS   "Access-Control-Allow-Credentials: true\r\n"
#define VARY          "Vary: Origin\r\n"
#define EXPOSE(names) "Access-Control-Expose-Headers: " names "\r\n"
#define MAY(names)                                                                                 \
  "Access-Control-Allow-Methods: GET\r\n"                                                          \
  "Access-Control-Allow-Headers: " names "\r\n"                                                    \
  "Access-Control-Max-Age: 86400\r\n"
#define MAY_DEFAULT MAY("Cache-Control, Last-Event-ID")
#define VARY_ASKED  "Vary: Access-Control-Request-Method, Access-Control-Request-Headers\r\n"
#define VARY_ALL    "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n"

#define SITE  "https://a.example"
#define SITES LIST("https://a.example", "https://b.example")

struct row {
  const char *name;
  enum kind kind;
  sse_http_head head;
  int32_t retry_ms;
  const char *bytes; /* expected, or NULL with the error that is */
  int error;
};

static ssize_t call(const struct row *row, char *buf, size_t cap, const sse_http_head *head) {
  switch (row->kind) {
  case STREAM:
    return sse_http_stream_head(buf, cap, head);
  case BUSY:
    return sse_http_busy(buf, cap, head, row->retry_ms);
  case STOP:
    return sse_http_stop(buf, cap, head);
  default:
    return sse_http_preflight(buf, cap, head);
  }
}

static char not_null;

static const struct row rows[] = {
    {"plain", STREAM, {0}, 0, OK_LINES CLOSE END, 0},
    {"chunked", STREAM, {.chunked = 1}, 0, OK_LINES CHUNKED END, 0},
    {"any true value is chunked", STREAM, {.chunked = -7}, 0, OK_LINES CHUNKED END, 0},

    /* CORS: Fetch standard, 3.2. */
    {"no list, an origin", STREAM, {.origin = "https://a.example"}, 0, OK_LINES CLOSE END, 0},
    {"no list, credentials",
     STREAM,
     {.origin = "https://a.example", .allow_credentials = 1},
     0,
     OK_LINES CLOSE END,
     0},
    {"any, no origin", STREAM, {.allow_origins = LIST("*")}, 0, OK_LINES ALLOW("*") CLOSE END, 0},
    {"any, an origin",
     STREAM,
     {.origin = "https://a.example", .allow_origins = LIST("*")},
     0,
     OK_LINES ALLOW("*") CLOSE END,
     0},
    {"any, with credentials",
     STREAM,
     {.allow_origins = LIST("*"), .allow_credentials = 1},
     0,
     NULL,
     SSE_EINVAL},
    {"any before another",
     STREAM,
     {.allow_origins = LIST("*", "https://a.example")},
     0,
     NULL,
     SSE_EINVAL},
    {"any behind another",
     STREAM,
     {.allow_origins = LIST("https://a.example", "*")},
     0,
     NULL,
     SSE_EINVAL},
    {"listed",
     STREAM,
     {.origin = "https://a.example", .allow_origins = LIST("https://a.example")},
     0,
     OK_LINES ALLOW("https://a.example") VARY CLOSE END,
     0},
    {"listed last",
     STREAM,
     {.origin = "https://c.example:8443",
      .allow_origins = LIST("https://a.example", "https://b.example", "https://c.example:8443")},
     0,
     OK_LINES ALLOW("https://c.example:8443") VARY CLOSE END,
     0},
    {"listed, credentials",
     STREAM,
     {.origin = "https://a.example",
      .allow_origins = LIST("https://b.example", "https://a.example"),
      .allow_credentials = 1},
     0,
     OK_LINES ALLOW("https://a.example") CREDENTIALS VARY CLOSE END,
     0},
    {"not listed, credentials",
     STREAM,
     {.origin = "https://x.example",
      .allow_origins = LIST("https://a.example"),
      .allow_credentials = 1},
     0,
     OK_LINES VARY CLOSE END,
     0},
    {"listed, another case",
     STREAM,
     {.origin = "https://A.example", .allow_origins = LIST("https://a.example")},
     0,
     OK_LINES VARY CLOSE END,
     0},
    {"begins like a listed one",
     STREAM,
     {.origin = "https://a.example.evil", .allow_origins = LIST("https://a.example")},
     0,
     OK_LINES VARY CLOSE END,
     0},
    {"a listed one begins like it",
     STREAM,
     {.origin = "https://a", .allow_origins = LIST("https://a.example")},
     0,
     OK_LINES VARY CLOSE END,
     0},
    {"a client that says *",
     STREAM,
     {.origin = "*", .allow_origins = LIST("https://a.example")},
     0,
     OK_LINES VARY CLOSE END,
     0},
    {"null, not listed",
     STREAM,
     {.origin = "null", .allow_origins = LIST("https://a.example")},
     0,
     OK_LINES VARY CLOSE END,
     0},
    {"null, listed",
     STREAM,
     {.origin = "null", .allow_origins = LIST("null")},
     0,
     OK_LINES ALLOW("null") VARY CLOSE END,
     0},
    {"a list, no origin",
     STREAM,
     {.allow_origins = LIST("https://a.example")},
     0,
     OK_LINES VARY CLOSE END,
     0},
    {"a list, an empty origin",
     STREAM,
     {.origin = "", .allow_origins = LIST("", "https://a.example")},
     0,
     OK_LINES VARY CLOSE END,
     0},
    {"an empty list",
     STREAM,
     {.origin = "https://a.example", .allow_origins = (const char *const[]){NULL}},
     0,
     OK_LINES VARY CLOSE END,
     0},
    {"CR LF in the origin",
     STREAM,
     {.origin = "https://a\r\nSet-Cookie: b=c"},
     0,
     NULL,
     SSE_EHEADER},
    {"LF in the origin, listed",
     STREAM,
     {.origin = "https://a\nb", .allow_origins = LIST("https://a\nb")},
     0,
     NULL,
     SSE_EHEADER},
    {"tab in the origin", STREAM, {.origin = "https://a\tb"}, 0, NULL, SSE_EHEADER},
    {"DEL in the origin", STREAM, {.origin = "https://a\x7f"}, 0, NULL, SSE_EHEADER},

    /* Added headers: RFC 9110, 5.5 and 5.6.2. */
    {"added",
     STREAM,
     {.headers = LIST("Server: test", "X-B:1")},
     0,
     OK_LINES "Server: test\r\nX-B:1\r\n" CLOSE END,
     0},
    {"added, no value",
     STREAM,
     {.headers = LIST("X-Empty:")},
     0,
     OK_LINES "X-Empty:\r\n" CLOSE END,
     0},
    {"added, none", STREAM, {.headers = (const char *const[]){NULL}}, 0, OK_LINES CLOSE END, 0},
    {"added, every character of a token",
     STREAM,
     {.headers = LIST("!#$%&'*+-.^_`|~09azAZ: :\"\xc3\xa9\t.")},
     0,
     OK_LINES "!#$%&'*+-.^_`|~09azAZ: :\"\xc3\xa9\t.\r\n" CLOSE END,
     0},
    {"added and listed",
     STREAM,
     {.origin = "https://a.example",
      .allow_origins = LIST("https://a.example"),
      .chunked = 1,
      .headers = LIST("Server: test")},
     0,
     OK_LINES ALLOW("https://a.example") VARY "Server: test\r\n" CHUNKED END,
     0},
    {"added, longer than a fixed name",
     STREAM,
     {.headers = LIST("Content-Type-X: a")},
     0,
     OK_LINES "Content-Type-X: a\r\n" CLOSE END,
     0},
    {"added, shorter than a fixed name",
     STREAM,
     {.headers = LIST("Access-Control: a")},
     0,
     OK_LINES "Access-Control: a\r\n" CLOSE END,
     0},

    /* Come back later. */
    {"busy", BUSY, {0}, 5000, OK_LINES "Content-Length: 12\r\n" CLOSE END "retry: 5000\n", 0},
    {"busy, at once", BUSY, {0}, 0, OK_LINES "Content-Length: 9\r\n" CLOSE END "retry: 0\n", 0},
    {"busy, the longest",
     BUSY,
     {0},
     INT32_MAX,
     OK_LINES "Content-Length: 18\r\n" CLOSE END "retry: 2147483647\n",
     0},
    {"busy, listed, added",
     BUSY,
     {.origin = "https://a.example",
      .allow_origins = LIST("https://a.example"),
      .headers = LIST("Server: test")},
     99,
     OK_LINES ALLOW("https://a.example") VARY "Server: test\r\nContent-Length: 10\r\n" CLOSE END
                                              "retry: 99\n",
     0},
    {"busy, below 0", BUSY, {0}, -1, NULL, SSE_ERANGE},
    {"busy, far below 0", BUSY, {0}, INT32_MIN, NULL, SSE_ERANGE},
    {"busy, chunked", BUSY, {.chunked = 1}, 1, NULL, SSE_EINVAL},
    {"busy, bad header", BUSY, {.headers = LIST("a")}, 1, NULL, SSE_EHEADER},
    {"busy, bad origin", BUSY, {.origin = "\n"}, 1, NULL, SSE_EHEADER},

    /* Never again. */
    {"stop", STOP, {0}, 0, STOP_LINES CLOSE END, 0},
    {"stop, listed, added",
     STOP,
     {.origin = "https://a.example",
      .allow_origins = LIST("https://a.example"),
      .allow_credentials = 1,
      .headers = LIST("Server: test")},
     0,
     STOP_LINES ALLOW("https://a.example") CREDENTIALS VARY "Server: test\r\n" CLOSE END,
     0},
    {"stop, chunked", STOP, {.chunked = 1}, 0, NULL, SSE_EINVAL},
    {"stop, bad header", STOP, {.headers = LIST("a b: c")}, 0, NULL, SSE_EHEADER},

    /* Headers that pages may read, and send. */
    {"exposed",
     STREAM,
     {.origin = SITE, .allow_origins = SITES, .expose_headers = "X-A, X-B"},
     0,
     OK_LINES ALLOW(SITE) EXPOSE("X-A, X-B") VARY CLOSE END,
     0},
    {"exposed, credentials",
     STREAM,
     {.origin = SITE, .allow_origins = SITES, .expose_headers = "X-*", .allow_credentials = 1},
     0,
     OK_LINES ALLOW(SITE) CREDENTIALS EXPOSE("X-*") VARY CLOSE END,
     0},
    {"exposed, any origin, all",
     STREAM,
     {.allow_origins = LIST("*"), .expose_headers = "*"},
     0,
     OK_LINES ALLOW("*") EXPOSE("*") CLOSE END,
     0},
    {"exposed, busy",
     BUSY,
     {.origin = SITE, .allow_origins = SITES, .expose_headers = "X-A"},
     0,
     OK_LINES ALLOW(SITE) EXPOSE("X-A") VARY "Content-Length: 9\r\n" CLOSE END "retry: 0\n",
     0},
    {"exposed, stop",
     STOP,
     {.origin = SITE, .allow_origins = SITES, .expose_headers = "X-A"},
     0,
     STOP_LINES ALLOW(SITE) EXPOSE("X-A") VARY CLOSE END,
     0},
    {"exposed, not listed",
     STREAM,
     {.origin = "https://x.example", .allow_origins = SITES, .expose_headers = "X-A"},
     0,
     OK_LINES VARY CLOSE END,
     0},
    {"exposed, no list",
     STREAM,
     {.origin = SITE, .expose_headers = "X-A"},
     0,
     OK_LINES CLOSE END,
     0},
    {"exposed, empty",
     STREAM,
     {.origin = SITE, .allow_origins = SITES, .expose_headers = ""},
     0,
     OK_LINES ALLOW(SITE) VARY CLOSE END,
     0},
    {"allowed headers are a preflight's",
     STREAM,
     {.origin = SITE, .allow_origins = SITES, .allow_headers = "X-A"},
     0,
     OK_LINES ALLOW(SITE) VARY CLOSE END,
     0},
    {"exposed, tab and UTF-8",
     STREAM,
     {.allow_origins = LIST("*"), .expose_headers = "X-A,\tX\xc3\xa9"},
     0,
     OK_LINES ALLOW("*") EXPOSE("X-A,\tX\xc3\xa9") CLOSE END,
     0},
    {"exposed, LF", STREAM, {.expose_headers = "X-A\nX-B: 1"}, 0, NULL, SSE_EHEADER},
    {"exposed, CR", BUSY, {.expose_headers = "X-A\r"}, 0, NULL, SSE_EHEADER},
    {"exposed, DEL", STOP, {.expose_headers = "\x7f"}, 0, NULL, SSE_EHEADER},
    {"allowed, LF", PREFLIGHT, {.allow_headers = "X-A\n"}, 0, NULL, SSE_EHEADER},
    {"allowed, CR", STREAM, {.allow_headers = "X-A\rX-B"}, 0, NULL, SSE_EHEADER},
    {"exposed, all, credentials",
     STREAM,
     {.expose_headers = "*", .allow_credentials = 1},
     0,
     NULL,
     SSE_EINVAL},
    {"exposed, all and one, credentials",
     STREAM,
     {.expose_headers = "*, X-A", .allow_credentials = 1},
     0,
     NULL,
     SSE_EINVAL},
    {"allowed, one and all, credentials",
     PREFLIGHT,
     {.allow_headers = "Authorization,\t* ", .allow_credentials = 1},
     0,
     NULL,
     SSE_EINVAL},

    /* Preflights: Fetch standard, 3.2. */
    {"preflight, no list", PREFLIGHT, {.origin = SITE}, 0, PREFLIGHT_LINES CLOSE END, 0},
    {"preflight, listed",
     PREFLIGHT,
     {.origin = SITE, .allow_origins = SITES},
     0,
     PREFLIGHT_LINES ALLOW(SITE) MAY_DEFAULT VARY_ALL CLOSE END,
     0},
    {"preflight, listed, credentials, headers",
     PREFLIGHT,
     {.origin = SITE,
      .allow_origins = SITES,
      .expose_headers = "X-A",
      .allow_headers = "Authorization, *-A",
      .allow_credentials = 1,
      .headers = LIST("Server: test")},
     0,
     PREFLIGHT_LINES ALLOW(SITE) CREDENTIALS MAY("Authorization, *-A") VARY_ALL
     "Server: test\r\n" CLOSE END,
     0},
    {"preflight, any",
     PREFLIGHT,
     {.origin = SITE, .allow_origins = LIST("*"), .allow_headers = "*, Authorization"},
     0,
     PREFLIGHT_LINES ALLOW("*") MAY("*, Authorization") VARY_ASKED CLOSE END,
     0},
    {"preflight, no headers",
     PREFLIGHT,
     {.origin = SITE, .allow_origins = SITES, .allow_headers = ""},
     0,
     PREFLIGHT_LINES ALLOW(SITE) "Access-Control-Allow-Methods: GET\r\n"
                                 "Access-Control-Max-Age: 86400\r\n" VARY_ALL CLOSE END,
     0},
    {"preflight, not listed",
     PREFLIGHT,
     {.origin = "https://x.example",
      .allow_origins = SITES,
      .allow_headers = "Authorization",
      .allow_credentials = 1},
     0,
     PREFLIGHT_LINES VARY_ALL CLOSE END,
     0},
    {"preflight, no origin",
     PREFLIGHT,
     {.allow_origins = SITES},
     0,
     PREFLIGHT_LINES VARY_ALL CLOSE END,
     0},
    {"preflight, chunked", PREFLIGHT, {.chunked = 1}, 0, NULL, SSE_EINVAL},
    {"preflight, any, credentials",
     PREFLIGHT,
     {.allow_origins = LIST("*"), .allow_credentials = 1},
     0,
     NULL,
     SSE_EINVAL},
    {"preflight, bad header", PREFLIGHT, {.headers = LIST("Allow")}, 0, NULL, SSE_EHEADER},
    {"preflight, reserved", PREFLIGHT, {.reserved = {&not_null}}, 0, NULL, SSE_EINVAL},
    {"any true value is credentials",
     STREAM,
     {.origin = SITE, .allow_origins = SITES, .allow_credentials = -1},
     0,
     OK_LINES ALLOW(SITE) CREDENTIALS VARY CLOSE END,
     0},

    {"reserved", STREAM, {.reserved = {&not_null}}, 0, NULL, SSE_EINVAL},
    {"reserved, the last", STREAM, {.reserved = {[3] = &not_null}}, 0, NULL, SSE_EINVAL},
    {"busy, reserved", BUSY, {.reserved = {[1] = &not_null}}, 0, NULL, SSE_EINVAL},
    {"stop, reserved", STOP, {.reserved = {[2] = &not_null}}, 0, NULL, SSE_EINVAL},
};

static void assert_guard(const char *buf, size_t from, const char *name) {
  for (size_t i = from; i < from + GUARD_BYTES; i++) {
    if ((unsigned char)buf[i] != GUARD) fail_msg("%s: wrote to byte %zu", name, i);
  }
}

/* Each row with every cap from none to more than enough: the count is the same, the bytes are the
 * first of the whole, and nothing is written beyond cap. */
static void every_row_at_every_cap(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    const struct row *row = &rows[i];
    const char *bytes = row->bytes ? row->bytes : "";
    size_t len = strlen(bytes);
    assert_true(len + GUARD_BYTES + 1 < ROOM);
    for (size_t cap = 0; cap <= len + 1; cap++) {
      char buf[ROOM];
      memset(buf, GUARD, sizeof buf);
      ssize_t result = call(row, cap ? buf : NULL, cap, &row->head);
      ssize_t expected = row->error ? row->error : (ssize_t)len;
      if (result != expected) {
        fail_msg("%s: %zd at cap %zu, not %zd", row->name, result, cap, expected);
      }
      size_t written = cap < len ? cap : len;
      if (written && memcmp(buf, bytes, written) != 0) {
        fail_msg("%s: at cap %zu:\n%.*s", row->name, cap, (int)written, buf);
      }
      assert_guard(buf, written, row->name);
    }
  }
}

/* What a host was given, as the text of a head without its framing. */
struct given {
  char text[ROOM];
  size_t count, refused_at; /* 0: none */
};

static int take_header(void *arg, const char *name, const char *value) {
  struct given *given = arg;
  size_t len = strlen(given->text);
  assert_true(strlen(name) + strlen(value) + 5 < sizeof given->text - len);
  strcat(strcat(strcat(strcat(given->text, name), ": "), value), "\r\n");
  return ++given->count == given->refused_at ? -1 : 0;
}

static bool is_framing(const char *line) {
  static const char *const names[] = {"Connection:", "Content-Length:", "Transfer-Encoding:"};
  for (size_t i = 0; i < COUNT(names); i++) {
    if (strncmp(line, names[i], strlen(names[i])) == 0) return true;
  }
  return false;
}

/* The header lines of a written response without its framing, one blank behind each colon; the
 * number of lines. */
static size_t lines_of(const char *bytes, char *text) {
  size_t count = 0;
  *text = '\0';
  for (bytes = strchr(bytes, '\n') + 1; *bytes != '\r'; bytes = strchr(bytes, '\n') + 1) {
    const char *colon = strchr(bytes, ':'), *value = colon + 1;
    if (is_framing(bytes)) continue;
    value += strspn(value, " \t");
    strncat(text, bytes, (size_t)(colon - bytes));
    strncat(strcat(text, ": "), value, (size_t)(strchr(value, '\n') + 1 - value));
    count++;
  }
  return count;
}

/* The list has the headers of the written response, and the same refusals; only chunked has no
 * effect there. */
static void the_list_of_every_row(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    const struct row *row = &rows[i];
    if (row->error == SSE_ERANGE) continue;
    struct given given = {.count = 0};
    sse_http_head head = row->head;
    sse_http_response response = (sse_http_response)row->kind;
    bool chunked_only = row->error && head.chunked;
    int expected = row->kind == STREAM || row->kind == BUSY ? 200 : 204;
    if (row->error && !chunked_only) expected = row->error;
    int result = sse_http_headers(response, &head, take_header, &given);
    if (result != expected) fail_msg("%s: %d", row->name, result);
    if (expected < 0) assert_int_equal(given.count, 0);
    if (!row->bytes) continue;
    char want[ROOM];
    size_t count = lines_of(row->bytes, want);
    if (strcmp(given.text, want) != 0) fail_msg("%s:\n%s", row->name, given.text);
    assert_int_equal(given.count, count);
  }
}

/* Each header of a full list is refused once, and is then the last. */
static void a_host_that_refuses(void **state) {
  const sse_http_head head = {.origin = SITE,
                              .allow_origins = SITES,
                              .allow_credentials = 1,
                              .headers = LIST("A: 1", "B:")};
  (void)state;
  for (int kind = STREAM; kind <= PREFLIGHT; kind++) {
    struct given all = {.count = 0};
    assert_true(sse_http_headers((sse_http_response)kind, &head, take_header, &all) > 0);
    assert_true(all.count > 4);
    for (size_t at = 1; at <= all.count; at++) {
      struct given given = {.refused_at = at};
      int result = sse_http_headers((sse_http_response)kind, &head, take_header, &given);
      assert_int_equal(result, SSE_ECALLBACK);
      assert_int_equal(given.count, at);
      assert_memory_equal(given.text, all.text, strlen(given.text));
    }
  }
}

/* A name is copied for the list, so its length has a bound. */
static void the_longest_name(void **state) {
  char header[300];
  const sse_http_head head = {.headers = LIST("A: 1", header)};
  (void)state;
  for (size_t len = 254; len <= 256; len++) {
    struct given given = {.count = 0};
    memset(header, 'x', len);
    memcpy(header + len, ": y", sizeof ": y");
    int result = sse_http_headers(SSE_HTTP_STREAM, &head, take_header, &given);
    assert_int_equal(result, len <= 255 ? 200 : SSE_ETOOBIG);
    assert_int_equal(given.count, len <= 255 ? 5 : 0);
    assert_true(len > 255 || strstr(given.text, header));
    assert_true(sse_http_stream_head(NULL, 0, &head) > (ssize_t)len);
  }
}

static void a_list_refuses_bad_arguments(void **state) {
  struct given given = {.count = 0};
  (void)state;
  assert_int_equal(sse_http_headers(SSE_HTTP_STREAM, NULL, NULL, NULL), SSE_EINVAL);
  assert_int_equal(sse_http_headers((sse_http_response)5, NULL, take_header, &given), SSE_EINVAL);
  assert_int_equal(sse_http_headers((sse_http_response)-1, NULL, take_header, &given), SSE_EINVAL);
  assert_int_equal(given.count, 0);
  assert_int_equal(sse_http_headers(SSE_HTTP_STOP, NULL, take_header, &given), 204);
  assert_string_equal(given.text,
                      "Cache-Control: no-store, no-transform\r\nX-Accel-Buffering: no\r\n");
}

static void no_head_is_all_defaults(void **state) {
  static const sse_http_head defaults;
  (void)state;
  for (enum kind kind = STREAM; kind <= PREFLIGHT; kind++) {
    const struct row row = {.kind = kind, .retry_ms = 7};
    char with[ROOM], without[ROOM];
    ssize_t len = call(&row, with, sizeof with, &defaults);
    assert_true(len > 0);
    assert_int_equal(call(&row, without, sizeof without, NULL), len);
    assert_memory_equal(with, without, (size_t)len);
  }
}

static void no_buffer_has_no_cap(void **state) {
  (void)state;
  for (enum kind kind = STREAM; kind <= PREFLIGHT; kind++) {
    const struct row row = {.kind = kind};
    assert_int_equal(call(&row, NULL, 1, NULL), SSE_EINVAL);
  }
}

/* ---- refusals ---- */

#define BUSY_BYTES(cors)    OK_LINES cors "Content-Length: 11\r\n" CLOSE END "retry: 250\n"
#define STOP_BYTES(cors)    STOP_LINES cors CLOSE END
#define INVALID_BYTES(cors) "HTTP/1.1 400 Bad Request\r\n" cors "Content-Length: 0\r\n" CLOSE END

/* What sse_stream_open may return, and the response that fits it. */
static const struct {
  int error;
  sse_http_response response;
} refusals[] = {
    {SSE_ENOMEM, SSE_HTTP_BUSY},          {SSE_EDRAINED, SSE_HTTP_BUSY},
    {SSE_ECHANNELS, SSE_HTTP_BUSY},       {SSE_ESTREAMS, SSE_HTTP_BUSY},
    {SSE_ECHANNELSTREAMS, SSE_HTTP_BUSY}, {SSE_ETAGSTREAMS, SSE_HTTP_BUSY},
    {SSE_EFINISHED, SSE_HTTP_STOP},       {SSE_EINVAL, SSE_HTTP_INVALID},
    {SSE_ENAME, SSE_HTTP_INVALID},        {SSE_EHEADER, SSE_HTTP_INVALID},
    {SSE_ETOOBIG, SSE_HTTP_INVALID},      {-10000, SSE_HTTP_INVALID},
};

static void assert_refused(const sse_http_head *head, int error, const char *bytes) {
  char buf[ROOM];
  ssize_t len = sse_http_refuse(buf, sizeof buf, head, error, 250);
  if (len != (ssize_t)strlen(bytes) || memcmp(buf, bytes, (size_t)len) != 0)
    fail_msg("%s: %zd\n%.*s", sse_error_name(error), len, len > 0 ? (int)len : 0, buf);
  assert_int_equal(sse_http_refuse(NULL, 0, head, error, 250), len);
}

/* The head of the refused stream may be used as it is, chunked or not. */
static void every_error_has_its_response(void **state) {
  static const char *const plain[] = {[SSE_HTTP_BUSY] = BUSY_BYTES(""),
                                      [SSE_HTTP_STOP] = STOP_BYTES(""),
                                      [SSE_HTTP_INVALID] = INVALID_BYTES("")};
#define CORS ALLOW("https://a.example") VARY "X: 1\r\n"
  static const char *const full[] = {[SSE_HTTP_BUSY] = BUSY_BYTES(CORS),
                                     [SSE_HTTP_STOP] = STOP_BYTES(CORS),
                                     [SSE_HTTP_INVALID] = INVALID_BYTES(CORS)};
  const sse_http_head chunked = {.chunked = 1};
  const sse_http_head cors = {
      .origin = SITE, .allow_origins = SITES, .chunked = 1, .headers = LIST("X: 1")};
  (void)state;
  for (size_t i = 0; i < COUNT(refusals); i++) {
    int error = refusals[i].error;
    sse_http_response response = refusals[i].response;
    assert_int_equal(sse_http_refusal(error), response);
    assert_refused(NULL, error, plain[response]);
    assert_refused(&chunked, error, plain[response]);
    assert_refused(&cors, error, full[response]);
  }
}

/* A head that is the cause is left out of a 400; no other response does without it. */
static void a_bad_head_is_refused_without_it(void **state) {
  const sse_http_head bad[] = {{.origin = "a\tb", .headers = LIST("X: 1")},
                               {.headers = LIST("a")},
                               {.allow_origins = LIST("*"), .allow_credentials = 1},
                               {.reserved = {&not_null}}};
  static const int errors[] = {SSE_EHEADER, SSE_EHEADER, SSE_EINVAL, SSE_EINVAL};
  char buf[ROOM];
  (void)state;
  for (size_t i = 0; i < COUNT(bad); i++) {
    assert_refused(&bad[i], errors[i], INVALID_BYTES(""));
    assert_int_equal(sse_http_refuse(buf, sizeof buf, &bad[i], SSE_ENOMEM, 1), errors[i]);
    assert_int_equal(sse_http_refuse(buf, sizeof buf, &bad[i], SSE_EFINISHED, 1), errors[i]);
  }
}

static void a_refusal_refuses_bad_arguments(void **state) {
  char buf[ROOM];
  struct given given = {.count = 0};
  (void)state;
  assert_int_equal(sse_http_refuse(buf, sizeof buf, NULL, SSE_OK, 1), SSE_EINVAL);
  assert_int_equal(sse_http_refuse(buf, sizeof buf, NULL, 1, 1), SSE_EINVAL);
  for (size_t i = 0; i < COUNT(refusals); i++) {
    int error = refusals[i].error;
    bool busy = sse_http_refusal(error) == SSE_HTTP_BUSY; /* only that answer names a time */
    assert_int_equal(sse_http_refuse(buf, sizeof buf, NULL, error, -1) == SSE_ERANGE, busy);
    assert_int_equal(sse_http_refuse(NULL, 1, NULL, error, 1), SSE_EINVAL);
  }
  const sse_http_head head = {.origin = SITE, .allow_origins = SITES};
  assert_int_equal(sse_http_headers(SSE_HTTP_INVALID, &head, take_header, &given), 400);
  assert_string_equal(given.text, ALLOW("https://a.example") VARY);
}

/* Every header that the calls write, or that would belie what they write. */
static void fixed_names_are_refused(void **state) {
  static const char *const headers[] = {
      "Content-Type: text/plain",
      "content-type:text/plain",
      "CONTENT-TYPE:",
      "Cache-Control: max-age=1",
      "cAcHe-cOnTrOl: max-age=1",
      "X-Accel-Buffering: yes",
      "x-accel-buffering: yes",
      "Connection: keep-alive",
      "connection: close",
      "Transfer-Encoding: gzip",
      "transfer-encoding: chunked",
      "Content-Length: 0",
      "content-length: 1",
      "Vary: Accept",
      "vary: *",
      "Access-Control-Allow-Origin: *",
      "access-control-allow-origin: *",
      "Access-Control-Allow-Credentials: true",
      "ACCESS-CONTROL-EXPOSE-HEADERS: a",
      "Access-Control-: a",
  };
  (void)state;
  for (size_t i = 0; i < COUNT(headers); i++) {
    const sse_http_head alone = {.headers = LIST(headers[i])};
    const sse_http_head second = {.headers = LIST("X-Good: 1", headers[i])};
    for (enum kind kind = STREAM; kind <= PREFLIGHT; kind++) {
      const struct row row = {.kind = kind};
      if (call(&row, NULL, 0, &alone) != SSE_EHEADER) fail_msg("%s passed", headers[i]);
      if (call(&row, NULL, 0, &second) != SSE_EHEADER) fail_msg("%s passed second", headers[i]);
    }
  }
}

static void malformed_headers_are_refused(void **state) {
  static const char *const headers[] = {
      "",         ":",         ": a",      "Name",          "Name a",    " Name: a", "\tName: a",
      "Name : a", "Name\t: a", "Na me: a", "Na(me: a",      "Na\"me: a", "Na/me: a", "Na@me: a",
      "Na[me: a", "Na{me: a",  "Na,me: a", "Na\xc3\xa9: a", "Na\x7f: a", "\r\n",     "\r\nName: a",
  };
  (void)state;
  for (size_t i = 0; i < COUNT(headers); i++) {
    const sse_http_head head = {.headers = LIST(headers[i])};
    if (sse_http_stream_head(NULL, 0, &head) != SSE_EHEADER) fail_msg("'%s' passed", headers[i]);
  }
}

/* Each byte in a value and in a name: what passes is exactly what RFC 9110 lets pass. */
static void every_byte_of_an_added_header(void **state) {
  static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  (void)state;
  for (int byte = 1; byte < 256; byte++) {
    const char in_value[] = {'X', ':', 'a', (char)byte, 'b', '\0'};
    const char in_name[] = {'X', (char)byte, 'Y', ':', 'a', '\0'};
    const sse_http_head value_head = {.headers = LIST(in_value)};
    const sse_http_head name_head = {.headers = LIST(in_name)};
    int good_in_value = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    /* A colon there ends the name, and "X" is one. */
    int good_in_name = byte == ':' || strchr(token, byte) != NULL;
    if ((sse_http_stream_head(NULL, 0, &value_head) > 0) != good_in_value) {
      fail_msg("byte 0x%02x in a value", (unsigned)byte);
    }
    if ((sse_http_stream_head(NULL, 0, &name_head) > 0) != good_in_name) {
      fail_msg("byte 0x%02x in a name", (unsigned)byte);
    }
  }
}

#define GET  "GET /stream HTTP/1.1\r\n"
#define HOST "Host: a.example\r\n"

static const struct find_row {
  const char *name, *request;
  size_t len; /* 0: strlen */
  const char *header, *value;
  int error;
} find_rows[] = {
    {"found", GET HOST "Last-Event-ID: abc.12\r\n\r\n", 0, "Last-Event-ID", "abc.12", 0},
    {"first field", GET "Last-Event-ID: abc.12\r\n" HOST "\r\n", 0, "Last-Event-ID", "abc.12", 0},
    {"case of the request", GET "lAST-eVENT-id: x\r\n\r\n", 0, "Last-Event-ID", "x", 0},
    {"case of the question", GET "Last-Event-ID: x\r\n\r\n", 0, "LAST-EVENT-ID", "x", 0},
    {"no space", GET "Origin:x\r\n\r\n", 0, "Origin", "x", 0},
    {"spaces and tabs around", GET "Origin: \t x y\t \r\n\r\n", 0, "Origin", "x y", 0},
    {"empty", GET "Origin:\r\n\r\n", 0, "Origin", "", 0},
    {"only spaces", GET "Origin: \t \r\n\r\n", 0, "Origin", "", 0},
    {"colons in it", GET "Origin: https://a:8\r\n\r\n", 0, "Origin", "https://a:8", 0},
    {"UTF-8 in it", GET "Last-Event-ID: \xc3\xa9\r\n\r\n", 0, "Last-Event-ID", "\xc3\xa9", 0},
    {"the first of two", GET "A: 1\r\nB: 2\r\nA: 3\r\n\r\n", 0, "A", "1", 0},
    {"LF alone", "GET / HTTP/1.1\nA: 1\nB: 2\n\n", 0, "B", "2", 0},
    {"empty lines in front", "\r\n\n\r\n" GET "A: 1\r\n\r\n", 0, "A", "1", 0},
    {"no blank line yet", GET "A: 1\r\n", 0, "A", "1", 0},
    {"LF after the field, no blank line", GET "A: 1\n", 0, "A", "1", 0},
    {"another field is folded", GET "B: 2\r\n A: 3\r\nA: 1\r\n\r\n", 0, "A", "1", 0},
    {"a NUL in another field", GET "B: \0x\r\nA: 1\r\n\r\n", sizeof GET "B: ?x\r\nA: 1\r\n\r\n" - 1,
     "A", "1", 0},
    {"a CR in another field", GET "B: x\ry\r\nA: 1\r\n\r\n", 0, "A", "1", 0},
    {"a control character passes", GET "A: x\x01y\r\n\r\n", 0, "A", "x\x01y", 0},
    {"a line without a colon", GET "nonsense\r\nA: 1\r\n\r\n", 0, "A", "1", 0},
    {"the name as a whole line", GET "A\r\nA: 1\r\n\r\n", 0, "A", "1", 0},

    {"absent", GET HOST "\r\n", 0, "Origin", "", SSE_ENOTFOUND},
    {"nothing", "", 0, "A", "", SSE_ENOTFOUND},
    {"no fields", GET "\r\n", 0, "A", "", SSE_ENOTFOUND},
    {"in the body", GET HOST "\r\nA: 1\r\n\r\n", 0, "A", "", SSE_ENOTFOUND},
    {"in the body, LF alone", "GET / HTTP/1.1\n\nA: 1\n\n", 0, "A", "", SSE_ENOTFOUND},
    {"in the request line", "A: 1\r\nB: 2\r\n\r\n", 0, "A", "", SSE_ENOTFOUND},
    {"in a value", GET "B: A: 1\r\n\r\n", 0, "A", "", SSE_ENOTFOUND},
    {"in a folded line", GET "B: 2\r\n A: 1\r\n\r\n", 0, "A", "", SSE_ENOTFOUND},
    {"a longer name", GET "AB: 1\r\n\r\n", 0, "A", "", SSE_ENOTFOUND},
    {"a shorter name", GET "A: 1\r\n\r\n", 0, "AB", "", SSE_ENOTFOUND},
    {"the line has not ended", GET "A: 12", 0, "A", "", SSE_ENOTFOUND},
    {"the line has ended in CR only", GET "A: 12\r", 0, "A", "", SSE_ENOTFOUND},
    {"CR is no line end", GET "B: 2\rA: 1\r\n\r\n", 0, "A", "", SSE_ENOTFOUND},

    {"folded", GET "A: 1\r\n 2\r\n\r\n", 0, "A", "", SSE_EHEADER},
    {"folded with a tab", GET "A: 1\r\n\t2\r\n\r\n", 0, "A", "", SSE_EHEADER},
    {"folded at once", GET "A:\r\n 1\r\n\r\n", 0, "A", "", SSE_EHEADER},
    {"space before the colon", GET "A : 1\r\n\r\n", 0, "A", "", SSE_EHEADER},
    {"tab before the colon", GET "A\t: 1\r\n\r\n", 0, "A", "", SSE_EHEADER},
    {"space in place of the colon", GET "A 1\r\n\r\n", 0, "A", "", SSE_EHEADER},
    {"NUL", GET "A: x\0y\r\n\r\n", sizeof GET "A: x?y\r\n\r\n" - 1, "A", "", SSE_EHEADER},
    {"CR in it", GET "A: x\ry\r\n\r\n", 0, "A", "", SSE_EHEADER},
    {"CR CR LF", GET "A: x\r\r\n\r\n", 0, "A", "", SSE_EHEADER},

    {"no name", GET HOST "\r\n", 0, "", "", SSE_EINVAL},
    {"a name with a colon", GET HOST "\r\n", 0, "Host:", "", SSE_EINVAL},
    {"a name with a space", GET HOST "\r\n", 0, "Ho st", "", SSE_EINVAL},
};

/* The request stands in memory of its exact size, so that reading beyond it is seen by sanitizers
 * and valgrind. */
static ssize_t find(const char *request, size_t len, const char *header, char *value, size_t cap) {
  char *copy = malloc(len ? len : 1);
  assert_non_null(copy);
  memcpy(copy, request, len);
  ssize_t result = sse_http_header(copy, len, header, value, cap);
  free(copy);
  return result;
}

static size_t request_length(const struct find_row *row) {
  return row->len ? row->len : strlen(row->request);
}

static void find_every_row_at_every_cap(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(find_rows); i++) {
    const struct find_row *row = &find_rows[i];
    size_t need = strlen(row->value);
    for (size_t cap = 1; cap <= need + 2; cap++) {
      char value[ROOM];
      memset(value, GUARD, sizeof value);
      ssize_t result = find(row->request, request_length(row), row->header, value, cap);
      ssize_t expected = row->error ? row->error : (ssize_t)need;
      if (!row->error && cap < need + 1) expected = SSE_ETOOBIG;
      if (result != expected) {
        fail_msg("%s: %zd at cap %zu, not %zd", row->name, result, cap, expected);
      }
      assert_string_equal(value, expected < 0 ? "" : row->value);
      assert_guard(value, cap, row->name);
    }
  }
}

/* However a request is cut, an answer about a field is the answer about the whole, or "not yet". */
static void find_in_every_prefix(void **state) {
  static const char request[] = "\r\n" GET HOST "Last-Event-ID: abc.1234\r\nOrigin: x\r\n\r\nbody";
  char value[64];
  size_t ready = (size_t)(strstr(request, "\r\nOrigin") - request) + 2;
  (void)state;
  for (size_t len = 0; len < sizeof request; len++) {
    ssize_t result = find(request, len, "last-event-id", value, sizeof value);
    assert_int_equal(result, len < ready ? (ssize_t)SSE_ENOTFOUND : 8);
    assert_string_equal(value, len < ready ? "" : "abc.1234");
  }
}

static void find_refuses_bad_arguments(void **state) {
  char value[8] = "before";
  (void)state;
  assert_int_equal(sse_http_header(GET, 4, "A", NULL, 8), SSE_EINVAL);
  assert_int_equal(sse_http_header(GET, 4, "A", value, 0), SSE_EINVAL);
  assert_string_equal(value, "before");
  assert_int_equal(sse_http_header(GET, 4, NULL, value, sizeof value), SSE_EINVAL);
  assert_string_equal(value, "");
  value[0] = 'x';
  assert_int_equal(sse_http_header(NULL, 4, "A", value, sizeof value), SSE_EINVAL);
  assert_string_equal(value, "");
  assert_int_equal(sse_http_header(NULL, 0, "A", value, sizeof value), SSE_ENOTFOUND);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_at_every_cap),
      cmocka_unit_test(the_list_of_every_row),
      cmocka_unit_test(a_host_that_refuses),
      cmocka_unit_test(the_longest_name),
      cmocka_unit_test(a_list_refuses_bad_arguments),
      cmocka_unit_test(no_head_is_all_defaults),
      cmocka_unit_test(no_buffer_has_no_cap),
      cmocka_unit_test(every_error_has_its_response),
      cmocka_unit_test(a_bad_head_is_refused_without_it),
      cmocka_unit_test(a_refusal_refuses_bad_arguments),
      cmocka_unit_test(fixed_names_are_refused),
      cmocka_unit_test(malformed_headers_are_refused),
      cmocka_unit_test(every_byte_of_an_added_header),
      cmocka_unit_test(find_every_row_at_every_cap),
      cmocka_unit_test(find_in_every_prefix),
      cmocka_unit_test(find_refuses_bad_arguments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
