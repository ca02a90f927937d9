/* SPDX-License-Identifier: MIT */
/* test_request.c: the request parser of the example host, whole, byte by byte and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../examples/httpd/request.c"

enum {
  BODY_MAX = 1000,
  TOLD_MAX = 4096
};

#define HOST "Host: h\r\n"
#define END  "\r\n"

struct row {
  const char *name, *bytes, *want;
};

/* ---- How a row is judged ---- */

__attribute__((format(printf, 2, 3))) static void tell(char *told, const char *format, ...) {
  size_t len = strlen(told);
  va_list args;
  va_start(args, format);
  vsnprintf(told + len, TOLD_MAX - len, format, args);
  va_end(args);
}

/* "POST /path ?name=value +Header=value [body] keep", or the status with which it is refused. */
static void tell_request(char *told, const struct request *request, int status) {
  if (status != REQUEST_READY) {
    tell(told, status == REQUEST_MORE ? "more" : "%d", status);
    return;
  }
  tell(told, "%s %s", request->method, request->path);
  for (size_t i = 0; i < request->params_count; i++)
    tell(told, " ?%s=%s", request->params[i].name, request->params[i].value);
  for (size_t i = 0; i < request->headers_count; i++)
    if (strcmp(request->headers[i].name, "Host") != 0)
      tell(told, " +%s=%s", request->headers[i].name, request->headers[i].value);
  if (request->body_len > 0) tell(told, " [%s]", request->body);
  tell(told, request->keep_alive ? " keep" : " close");
}

/* Feeds bytes in pieces and tells each request as it is whole, with "; " between two. */
static void feed(char *told, const char *bytes, size_t len, size_t piece) {
  struct request *request = malloc(sizeof *request);
  assert_non_null(request);
  request_init(request, BODY_MAX);
  *told = '\0';
  int status = REQUEST_MORE;
  for (size_t at = 0; at < len && status == REQUEST_MORE;) {
    char *to;
    size_t space = request_space(request, &to);
    assert_true(space > 0);
    if (space > piece) space = piece;
    if (space > len - at) space = len - at;
    memcpy(to, bytes + at, space);
    at += space;
    status = request_filled(request, space);
    while (status == REQUEST_READY) {
      tell_request(told, request, status);
      tell(told, "; ");
      status = request_next(request);
    }
  }
  tell_request(told, request, status);
  if (status == REQUEST_MORE && request_is_empty(request)) tell(told, ", nothing");
  request_clear(request);
  free(request);
}

static void judge(const struct row *row) {
  char told[TOLD_MAX];
  size_t len = strlen(row->bytes);
  for (size_t piece = 1; piece <= len; piece = piece < 9 ? piece + 1 : piece * 3) {
    feed(told, row->bytes, len, piece);
    if (strcmp(told, row->want) != 0)
      fail_msg("%s, pieces of %zu: got \"%s\", want \"%s\"", row->name, piece, told, row->want);
  }
  feed(told, row->bytes, len, len);
  if (strcmp(told, row->want) != 0)
    fail_msg("%s: got \"%s\", want \"%s\"", row->name, told, row->want);
}

static void judge_rows(const struct row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) judge(&rows[i]);
}

#define JUDGE(rows) judge_rows(rows, sizeof(rows) / sizeof(rows)[0])

/* ---- The rows ---- */

static void request_lines(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"plain", "GET / HTTP/1.1\r\n" HOST END, "GET / keep; more, nothing"},
      {"any token is a method", "M-SEARCH! /a HTTP/1.1\r\n" HOST END,
       "M-SEARCH! /a keep; more, nothing"},
      {"1.0 closes", "GET / HTTP/1.0\r\n" END, "GET / close; more, nothing"},
      {"a later minor version is 1.1", "GET / HTTP/1.7\r\n" HOST END, "GET / keep; more, nothing"},
      {"one blank line before it", "\r\nGET / HTTP/1.1\r\n" HOST END, "GET / keep; more, nothing"},
      {"two blank lines", "\r\n\r\nGET / HTTP/1.1\r\n" HOST END, "400"},
      {"version 2", "GET / HTTP/2.0\r\n" HOST END, "505"},
      {"no version", "GET /\r\n" HOST END, "400"},
      {"another protocol", "GET / RTSP/1.0\r\n" HOST END, "400"},
      {"a version of two digits", "GET / HTTP/1.10\r\n" HOST END, "400"},
      {"lower case", "GET / http/1.1\r\n" HOST END, "400"},
      {"two spaces", "GET  / HTTP/1.1\r\n" HOST END, "400"},
      {"a space behind", "GET / HTTP/1.1 \r\n" HOST END, "400"},
      {"no method", " / HTTP/1.1\r\n" HOST END, "400"},
      {"a method that is no token", "G(T / HTTP/1.1\r\n" HOST END, "400"},
      {"a tab", "GET\t/ HTTP/1.1\r\n" HOST END, "400"},
      {"LF alone", "GET / HTTP/1.1\n" HOST END, "400"},
      {"CR within", "GET /\r/ HTTP/1.1\r\n" HOST END, "400"},
      {"beyond ASCII", "GET /\xc3\xa4 HTTP/1.1\r\n" HOST END, "400"},
      {"TLS is refused at its first byte", "\x16\x03\x01", "400"},
      {"not whole", "GET / HTTP/1.1\r\n" HOST, "more"},
  };
  JUDGE(rows);
}

static void targets(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"escapes", "GET /a%20b%2Fc%c3%A4 HTTP/1.1\r\n" HOST END,
       "GET /a b/c\xc3\xa4 keep; more, nothing"},
      {"plus is plus in a path", "GET /a+b HTTP/1.1\r\n" HOST END, "GET /a+b keep; more, nothing"},
      {"query", "GET /a?x=1&y=two HTTP/1.1\r\n" HOST END, "GET /a ?x=1 ?y=two keep; more, nothing"},
      {"query, escaped", "GET /?a%3Db=c%26d+e HTTP/1.1\r\n" HOST END,
       "GET / ?a=b=c&d e keep; more, nothing"},
      {"query, odd", "GET /?&a&=b&&c==d&?e HTTP/1.1\r\n" HOST END,
       "GET / ?a= ?=b ?c==d ??e= keep; more, nothing"},
      {"query, empty", "GET /? HTTP/1.1\r\n" HOST END, "GET / keep; more, nothing"},
      {"escaped question mark", "GET /a%3Fb HTTP/1.1\r\n" HOST END, "GET /a?b keep; more, nothing"},
      {"absolute form", "GET http://host:1/a?b=c HTTP/1.1\r\n" HOST END,
       "GET /a ?b=c keep; more, nothing"},
      {"absolute form without path", "GET http://host HTTP/1.1\r\n" HOST END,
       "GET / keep; more, nothing"},
      {"absolute form without host", "GET http:///a HTTP/1.1\r\n" HOST END, "400"},
      {"absolute form, query at once", "GET http://host?a HTTP/1.1\r\n" HOST END, "400"},
      {"asterisk", "OPTIONS * HTTP/1.1\r\n" HOST END, "OPTIONS * keep; more, nothing"},
      {"asterisk for GET", "GET * HTTP/1.1\r\n" HOST END, "400"},
      {"authority", "CONNECT host:1 HTTP/1.1\r\n" HOST END, "400"},
      {"fragment", "GET /a#b HTTP/1.1\r\n" HOST END, "400"},
      {"half an escape", "GET /a%2 HTTP/1.1\r\n" HOST END, "400"},
      {"a bare percent", "GET /% HTTP/1.1\r\n" HOST END, "400"},
      {"not hexadecimal", "GET /%2g HTTP/1.1\r\n" HOST END, "400"},
      {"NUL", "GET /a%00b HTTP/1.1\r\n" HOST END, "400"},
      {"NUL in a query", "GET /?a=%00 HTTP/1.1\r\n" HOST END, "400"},
  };
  JUDGE(rows);
}

static void headers(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"blanks around", "GET / HTTP/1.1\r\n" HOST "A: \t b c \t\r\n" END,
       "GET / +A=b c keep; more, nothing"},
      {"no blanks", "GET / HTTP/1.1\r\n" HOST "A:b\r\n" END, "GET / +A=b keep; more, nothing"},
      {"empty", "GET / HTTP/1.1\r\n" HOST "A:\r\nB: \r\n" END, "GET / +A= +B= keep; more, nothing"},
      {"a colon within", "GET / HTTP/1.1\r\n" HOST "A: b:c\r\n" END,
       "GET / +A=b:c keep; more, nothing"},
      {"beyond ASCII", "GET / HTTP/1.1\r\n" HOST "A: \xc3\xa4\r\n" END,
       "GET / +A=\xc3\xa4 keep; more, nothing"},
      {"no Host", "GET / HTTP/1.1\r\n" END, "400"},
      {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n" END, "400"},
      {"a Host of two words", "GET / HTTP/1.1\r\nHost: a b\r\n" END, "400"},
      {"a Host that is a list", "GET / HTTP/1.1\r\nHost: a,b\r\n" END, "400"},
      {"a Host with a path", "GET / HTTP/1.1\r\nHost: a/b@c\r\n" END, "400"},
      {"a Host with a port that is none", "GET / HTTP/1.1\r\nHost: a:b\r\n" END, "400"},
      {"a port alone", "GET / HTTP/1.1\r\nHost: :1\r\n" END, "400"},
      {"half an address", "GET / HTTP/1.1\r\nHost: [::1\r\n" END, "400"},
      {"an empty address", "GET / HTTP/1.1\r\nHost: []\r\n" END, "400"},
      {"a host of HTTP/1.0", "GET / HTTP/1.0\r\nHost: a b\r\n" END, "400"},
      {"a bad host in absolute form", "GET http://u@h/ HTTP/1.1\r\n" HOST END, "400"},
      {"name and port", "GET / HTTP/1.1\r\nHost: a.b-c:80\r\n" END, "GET / keep; more, nothing"},
      {"address and port", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n" END, "GET / keep; more, nothing"},
      {"two Hosts", "GET / HTTP/1.1\r\n" HOST "host: g\r\n" END, "400"},
      {"close", "GET / HTTP/1.1\r\n" HOST "connection: Close\r\n" END,
       "GET / +connection=Close close; more, nothing"},
      {"close in a list", "GET / HTTP/1.1\r\n" HOST "Connection: x,\tclose\r\n" END,
       "GET / +Connection=x,\tclose close; more, nothing"},
      {"closer is not close", "GET / HTTP/1.1\r\n" HOST "Connection: closer\r\n" END,
       "GET / +Connection=closer keep; more, nothing"},
      {"folded", "GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n" END, "400"},
      {"no colon", "GET / HTTP/1.1\r\n" HOST "A\r\n" END, "400"},
      {"no name", "GET / HTTP/1.1\r\n" HOST ": b\r\n" END, "400"},
      {"a blank before the colon", "GET / HTTP/1.1\r\n" HOST "A : b\r\n" END, "400"},
      {"LF alone", "GET / HTTP/1.1\r\n" HOST "A: b\n" END, "400"},
      {"CR within", "GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n" END, "400"},
      {"a control character", "GET / HTTP/1.1\r\n" HOST "A: \x01\r\n" END, "400"},
      {"DEL", "GET / HTTP/1.1\r\n" HOST "A: \x7f\r\n" END, "400"},
  };
  JUDGE(rows);
}

static void bodies(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n" END "abc",
       "POST / +Content-Length=3 [abc] keep; more, nothing"},
      {"empty body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" END,
       "POST / +Content-Length=0 keep; more, nothing"},
      {"leading zeros", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0003\r\n" END "abc",
       "POST / +Content-Length=0003 [abc] keep; more, nothing"},
      {"half a body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n" END "ab", "more"},
      {"the longest", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n" END, "more"},
      {"too long", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n" END, "413"},
      {"far too long",
       "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999999\r\n" END, "413"},
      {"negative", "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n" END, "400"},
      {"signed", "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n" END, "400"},
      {"no number", "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n" END, "400"},
      {"a list", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n" END "abc", "400"},
      {"twice", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n" END "abc",
       "400"},
      {"chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" END "0\r\n\r\n",
       "501"},
      {"an expectation", "POST / HTTP/1.1\r\n" HOST "Expect: more\r\n" END, "417"},
  };
  JUDGE(rows);
}

static void pipelines(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"two", "GET /a HTTP/1.1\r\n" HOST END "GET /b HTTP/1.1\r\n" HOST END,
       "GET /a keep; GET /b keep; more, nothing"},
      {"behind a body",
       "POST /a HTTP/1.1\r\n" HOST "Content-Length: 2\r\n" END "xyGET /b HTTP/1.1\r\n" HOST END,
       "POST /a +Content-Length=2 [xy] keep; GET /b keep; more, nothing"},
      {"one and a half", "GET /a HTTP/1.1\r\n" HOST END "GET /", "GET /a keep; more"},
      {"nothing is left over from the first",
       "GET /a?b=c HTTP/1.1\r\n" HOST "A: b\r\n" END "GET / HTTP/1.1\r\n" HOST END,
       "GET /a ?b=c +A=b keep; GET / keep; more, nothing"},
      {"good and bad", "GET /a HTTP/1.1\r\n" HOST END "GET\r\n", "GET /a keep; 400"},
  };
  JUDGE(rows);
}

/* ---- Limits, at the last byte that passes and the first that does not ---- */

/* A request with a path, a header and a query of so many bytes or parameters. */
static void judge_limit(size_t path_len, size_t header_len, size_t headers_count,
                        size_t params_count, const char *want) {
  static char bytes[4 * REQUEST_HEAD_MAX], told[4 * REQUEST_HEAD_MAX];
  char *at = bytes + sprintf(bytes, "GET /");
  memset(at, 'a', path_len);
  at += path_len;
  for (size_t i = 0; i < params_count; i++) at += sprintf(at, i == 0 ? "?x" : "&x");
  at += sprintf(at, " HTTP/1.1\r\n" HOST);
  for (size_t i = 0; i < headers_count; i++) {
    at += sprintf(at, "a:");
    memset(at, 'b', header_len);
    at += header_len;
    at += sprintf(at, "\r\n");
  }
  at += sprintf(at, END);
  size_t len = (size_t)(at - bytes);
  const size_t pieces[] = {1, 1000, len};
  for (size_t i = 0; i < 3; i++) {
    struct request *request = malloc(sizeof *request);
    assert_non_null(request);
    request_init(request, BODY_MAX);
    int status = REQUEST_MORE;
    for (size_t from = 0; from < len && status == REQUEST_MORE;) {
      char *to;
      size_t space = request_space(request, &to);
      if (space > pieces[i]) space = pieces[i];
      if (space > len - from) space = len - from;
      memcpy(to, bytes + from, space);
      from += space;
      status = request_filled(request, space);
    }
    snprintf(told, sizeof told, "%d", status);
    assert_string_equal(told, want);
    request_clear(request);
    free(request);
  }
}

static void limits(void **state) {
  (void)state;
  /* "GET /" and " HTTP/1.1" are 14 bytes of the line; the rest of the head is counted below. */
  const size_t fixed = strlen("GET / HTTP/1.1\r\n" HOST "a:\r\n" END);
  judge_limit(REQUEST_LINE_MAX - 14, 0, 0, 0, "1");
  judge_limit(REQUEST_LINE_MAX - 13, 0, 0, 0, "414");
  judge_limit(REQUEST_HEAD_MAX * 2, 0, 0, 0, "414");
  judge_limit(0, REQUEST_HEAD_MAX - fixed, 1, 0, "1");
  judge_limit(0, REQUEST_HEAD_MAX - fixed + 1, 1, 0, "431");
  judge_limit(0, REQUEST_HEAD_MAX * 2, 1, 0, "431");
  judge_limit(0, 1, REQUEST_HEADERS_MAX - 1, 0, "1"); /* and Host */
  judge_limit(0, 1, REQUEST_HEADERS_MAX, 0, "431");
  judge_limit(0, 0, 0, REQUEST_PARAMS_MAX, "1");
  judge_limit(0, 0, 0, REQUEST_PARAMS_MAX + 1, "414");
}

/* ---- Questions ---- */

static int fill(struct request *request, const char *text) {
  char *to;
  assert_true(request_space(request, &to) >= strlen(text));
  memcpy(to, text, strlen(text));
  return request_filled(request, strlen(text));
}

static void a_continue_is_due_once(void **state) {
  (void)state;
  struct request request;
  request_init(&request, BODY_MAX);
  assert_int_equal(fill(&request, "POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\n"),
                   REQUEST_MORE);
  assert_false(request_wants_continue(&request));
  assert_int_equal(fill(&request, "Content-Length: 2\r\n\r\n"), REQUEST_MORE);
  assert_true(request_wants_continue(&request));
  assert_false(request_wants_continue(&request));
  assert_int_equal(fill(&request, "a"), REQUEST_MORE);
  assert_int_equal(fill(&request, "b"), REQUEST_READY);
  assert_string_equal(request.body, "ab");
  request_clear(&request);
}

static void questions(void **state) {
  (void)state;
  struct request request;
  request_init(&request, BODY_MAX);
  assert_true(request_is_empty(&request));
  assert_int_equal(fill(&request, "GET /?a=1&A=2&a=3 HTTP/1.1\r\n" HOST "X: 1\r\nx: 2\r\n\r\n"),
                   REQUEST_READY);
  assert_string_equal(request_header(&request, "x"), "1");
  assert_null(request_header(&request, "y"));
  assert_string_equal(request_param(&request, "a"), "1");
  assert_string_equal(request_param(&request, "A"), "2");
  assert_null(request_param(&request, "b"));
  request_clear(&request);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(request_lines),
      cmocka_unit_test(targets),
      cmocka_unit_test(headers),
      cmocka_unit_test(bodies),
      cmocka_unit_test(pipelines),
      cmocka_unit_test(limits),
      cmocka_unit_test(a_continue_is_due_once),
      cmocka_unit_test(questions),
  };
  return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
