/* SPDX-License-Identifier: MIT */
/* test_routes.c: each route of the broadcast server, with good and bad input. */
#include "client.h"

static struct child open_server, guarded; /* without and with a secret */

static int start_servers(void **state) {
  (void)state;
  /* Polls have their own time, so that of heartbeats is longer than a test waits. */
  server_start(&open_server, (const char *const[]){"--threads", "2", "--conflate", "state",
                                                   "--heartbeat", "3600", NULL});
  server_start(&guarded, (const char *const[]){"--publish-secret", "s3cret", "--publish-secret",
                                               "older", "--origin", "https://page.example", NULL});
  return 0;
}

static int stop_servers(void **state) {
  (void)state;
  int first = child_stop(&open_server, SIGTERM), second = child_stop(&guarded, SIGTERM);
  return first == 0 && second == 0 ? 0 : -1;
}

struct row {
  const char *name, *target, *headers, *body;
  int status;
  const char *want; /* somewhere in the answer; NULL: anything */
};

static void judge(const struct child *child, const struct row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    int status = request(child, rows[i].target, rows[i].headers, rows[i].body);
    if (status != rows[i].status)
      fail_msg("%s: want %d, got %d: %s", rows[i].name, rows[i].status, status, answer);
    if (rows[i].want && !strstr(answer, rows[i].want))
      fail_msg("%s: want %s, got %s", rows[i].name, rows[i].want, answer);
    /* What is wrong stands in one line. */
    const char *body = body_of_answer();
    if (status >= 400 && strchr(body, '\n') != body + strlen(body) - 1)
      fail_msg("%s: not one line: %s", rows[i].name, answer);
  }
}

#define JUDGE(child, rows) judge(child, rows, sizeof(rows) / sizeof *(rows))

/* ---- POST /publish ---- */

static void forms_are_published(void **state) {
  (void)state;
  static const char publish_to[] = "POST /publish";
  static const struct row rows[] = {
      {"form", publish_to, FORM, "channel=a&message=m", 200, "{\"status\":\"ok\",\"id\":\""},
      {"two channels", publish_to, FORM, "channel=a&channel=b&message=m", 200, NULL},
      {"a channel twice", publish_to, FORM, "channel=a&channel=a&message=m", 200, NULL},
      {"all in the query", "POST /publish?channel=a&message=m", "", "", 200, NULL},
      {"both", "POST /publish?channel=a", FORM, "message=m", 200, NULL},
      {"raw", "POST /publish?channel=a", "Content-Type: text/plain\r\n", "a=b", 200, NULL},
      {"raw, no type", "POST /publish?channel=a", "", "a=b", 200, NULL},
      {"raw JSON", "POST /publish?channel=a", "Content-Type: application/json\r\n", "{}", 200,
       NULL},
      {"parameters of the type", publish_to,
       "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n", "channel=a&message=m",
       200, NULL},
      {"empty message", publish_to, FORM, "channel=a&message=", 200, NULL},
      {"own id", publish_to, FORM, "channel=a&message=m&id=mine", 200, "\"id\":\"mine\"}"},
      {"own id again", publish_to, FORM, "channel=a&message=m&id=mine", 200,
       "\"id\":\"mine\",\"repeated\":true}"},
      {"id to be escaped", publish_to, FORM, "channel=a&message=m&id=%22%5c", 200,
       "\"id\":\"\\\"\\\\\"}"},
      {"ephemeral", publish_to, FORM, "channel=a&message=m&ephemeral=1", 200, "\"id\":\"\"}"},
      {"state", publish_to, FORM, "channel=state&message=m&state=k", 200, NULL},
      {"state deleted", publish_to, FORM, "channel=state&delete=1&state=k", 200, NULL},
      {"empty members are absent", publish_to, FORM, "channel=a&message=m&id=&event=&state=", 200,
       NULL},
      {"no channel", publish_to, FORM, "message=m", 400, "missing: channel\n"},
      {"empty channel", publish_to, FORM, "channel=&message=m", 400, "name is 1 to 255"},
      {"control in the channel", publish_to, FORM, "channel=a%0a&message=m", 400, "name is 1"},
      {"NUL in the channel", publish_to, FORM, "channel=a%00b&message=m", 400, "name is 1"},
      {"channel not UTF-8", publish_to, FORM, "channel=%ff&message=m", 400, "name is 1"},
      {"no message", publish_to, FORM, "channel=a", 400, "missing: message\n"},
      {"nothing", publish_to, "", "", 400, "missing: channel\n"},
      {"message not UTF-8", publish_to, FORM, "channel=a&message=%ff", 400, "UTF-8"},
      {"percent", publish_to, FORM, "channel=a&message=%4", 400, "percent"},
      {"NUL in a name", publish_to, FORM, "channel=a&message=m&b%00=c", 400, "NUL"},
      {"id of the hub's form", publish_to, FORM, "channel=a&message=m&id=abc.1", 400, "id"},
      {"id of two lines", publish_to, FORM, "channel=a&message=m&id=a%0ab", 400, NULL},
      {"id with NUL", publish_to, FORM, "channel=a&message=m&id=a%00b", 400, "NUL"},
      {"event of two lines", publish_to, FORM, "channel=a&message=m&event=a%0ab", 400, NULL},
      {"a gap", publish_to, FORM, "channel=a&message=m&event=gap", 400, "server's own"},
      {"a position", publish_to, FORM, "channel=a&message=m&event=sse-position", 400,
       "server's own"},
      {"ephemeral with id", publish_to, FORM, "channel=a&message=m&ephemeral=1&id=x", 400,
       "ephemeral"},
      {"delete without state", publish_to, FORM, "channel=a&delete=1", 400, "delete needs"},
      {"conflated without state", publish_to, FORM, "channel=state&message=m", 400, "key"},
      {"multipart", publish_to, "Content-Type: multipart/form-data; boundary=x\r\n", "--x--", 415,
       "form"},
      {"raw and message", "POST /publish?channel=a&message=m", "", "raw", 400, "both"},
      {"GET", "GET /publish?channel=a&message=m", "", "", 405, "Allow: POST"},
  };
  JUDGE(&open_server, rows);
}

/* A body of one piece so many times. */
static char *repeated(const char *begin, const char *piece, size_t count) {
  char *body = malloc(strlen(begin) + strlen(piece) * count + 1);
  assert_non_null(body);
  char *at = stpcpy(body, begin);
  for (size_t i = 0; i < count; i++) at = stpcpy(at, piece);
  return body;
}

static void what_is_too_much_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *headers, *begin, *piece;
    size_t count;
    int status;
  } rows[] = {
      {FORM, "channel=a&message=", "x", (size_t)200 * 1024, 200},
      {FORM, "channel=a&message=", "x", (size_t)300 * 1024, 413},
      {FORM, "channel=a&message=", "x", (size_t)2000 * 1024, 413},
      {FORM, "channel=a&message=m", "&b=c", 2000, 200},
      {FORM, "channel=a&message=m", "&b=c", 3000, 413},
      {FORM, "message=m&channel=", "x", 255, 200},
      {FORM, "message=m&channel=", "x", 256, 400},
      {FORM, "channel=a&message=m&id=", "x", 128, 200},
      {FORM, "channel=a&message=m&id=", "x", 129, 400},
      {FORM, "channel=a&message=m&id=", "x", 1000, 400},
      {JSON, "", "{\"channel\":\"many\",\"message\":\"m\"}\n", 10000, 200},
      {JSON, "", "{\"channel\":\"many\",\"message\":\"m\"}\n", 10001, 413},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char *body = repeated(rows[i].begin, rows[i].piece, rows[i].count);
    int status = request(&open_server, "POST /publish", rows[i].headers, body);
    if (status != rows[i].status)
      fail_msg("%zu: want %d, got %d: %.300s", i, rows[i].status, status, answer);
    free(body);
  }
  char names[8192], *at = stpcpy(names, "message=m");
  for (int i = 0; i < 257; i++) at += sprintf(at, "&channel=%d", i);
  assert_int_equal(request(&open_server, "POST /publish", FORM, names), 400);
  assert_non_null(strstr(answer, "at most 256 channels\n"));
  names[strlen(names) - strlen("&channel=256")] = '\0';
  assert_int_equal(request(&open_server, "POST /publish", FORM, names), 200);
}

static void lines_are_published(void **state) {
  (void)state;
  static const char publish_to[] = "POST /publish";
  static const struct row rows[] = {
      {"two lines", publish_to, JSON,
       "{\"channel\":\"n\",\"message\":\"1\"}\n{\"channel\":[\"n\",\"m\"],\"message\":\"2\"}", 200,
       "{\"status\":\"ok\",\"events\":[{\"status\":\"ok\",\"id\":\""},
      {"blank lines, CRLF", publish_to, JSON, "\r\n{\"channel\":\"n\",\"message\":\"1\"}\r\n\n",
       200, NULL},
      {"all members", publish_to, JSON,
       "{\"channel\":\"state\",\"message\":\"1\",\"event\":\"e\",\"state\":\"k\",\"delete\":false}",
       200, NULL},
      {"own id", publish_to, JSON, "{\"channel\":\"n\",\"message\":\"1\",\"id\":\"line\"}", 200,
       "[{\"status\":\"ok\",\"id\":\"line\"}]"},
      {"own id again", publish_to, JSON, "{\"channel\":\"n\",\"message\":\"1\",\"id\":\"line\"}",
       200, "[{\"status\":\"ok\",\"id\":\"line\",\"repeated\":true}]"},
      {"ephemeral", publish_to, JSON,
       "{\"channel\":\"n\",\"message\":\"1\",\"ephemeral\":true,\"delete\":false}", 200,
       "\"id\":\"\""},
      {"one is bad", publish_to, JSON, "{\"channel\":\"n\",\"message\":\"1\"}\n{\"channel\":1}",
       207, "{\"status\":400,\"error\":\"a value that is neither"},
      {"all are bad", publish_to, JSON, "[]\nnull", 207,
       "{\"status\":\"error\",\"events\":[{\"status\":400,\"error\":\"not a JSON object\"},\n"
       "{\"status\":400,\"error\":\"not a JSON object\"}]}"},
      {"bad channel", publish_to, JSON, "{\"channel\":\"\",\"message\":\"1\"}", 207, "name is 1"},
      {"no channel", publish_to, JSON, "{\"message\":\"1\"}", 207, "missing: channel"},
      {"no channels", publish_to, JSON, "{\"channel\":[],\"message\":\"1\"}", 207,
       "missing: channel"},
      {"no message", publish_to, JSON, "{\"channel\":\"n\"}", 207, "missing: message"},
      {"unknown member", publish_to, JSON, "{\"channel\":\"n\",\"message\":\"1\",\"x\":\"\"}", 207,
       "unknown member"},
      {"wrong kind", publish_to, JSON, "{\"channel\":\"n\",\"message\":true}", 207, "are strings"},
      {"wrong kind of flag", publish_to, JSON,
       "{\"channel\":\"n\",\"message\":\"1\",\"delete\":\"1\"}", 207, "true or false"},
      {"wrong kind of channel", publish_to, JSON, "{\"channel\":true,\"message\":\"1\"}", 207,
       "channel is a string"},
      {"a position", publish_to, JSON,
       "{\"channel\":\"n\",\"message\":\"1\",\"event\":\"sse-position\"}", 207, "server's own"},
      {"no line", publish_to, JSON, " \n\n", 400, "no line\n"},
      {"empty", publish_to, JSON, "", 400, "no line\n"},
  };
  JUDGE(&open_server, rows);
}

static void publishers_must_know_a_secret(void **state) {
  (void)state;
#define PAGE(origin) FORM "Origin: " origin "\r\n"
  static const char publish_to[] = "POST /publish", good[] = "channel=a&message=m&key=s3cret";
  static const struct row rows[] = {
      {"in the form", publish_to, FORM, good, 200, NULL},
      {"in the query", "POST /publish?key=s3cret&channel=a", "", "raw", 200, NULL},
      {"another", publish_to, FORM, "channel=a&message=m&key=older", 200, NULL},
      {"Bearer", publish_to, FORM "Authorization: bearer s3cret\r\n", "channel=a&message=m", 200,
       NULL},
      {"one of two", publish_to, FORM "Authorization: Bearer s3cret\r\n",
       "channel=a&message=m&key=x", 200, NULL},
      {"none", publish_to, FORM, "channel=a&message=m", 401, "WWW-Authenticate: Bearer\r\n"},
      {"wrong", publish_to, FORM, "channel=a&message=m&key=s3creT", 401, "secret"},
      {"a part", publish_to, FORM, "channel=a&message=m&key=s3cre", 401, NULL},
      {"too much", publish_to, FORM, "channel=a&message=m&key=s3crets", 401, NULL},
      {"twice", publish_to, FORM, "channel=a&message=m&key=s3crets3cret", 401, NULL},
      {"empty", publish_to, FORM, "channel=a&message=m&key=", 401, NULL},
      {"another scheme", publish_to, FORM "Authorization: Basic s3cret\r\n", "channel=a&message=m",
       401, NULL},
      {"401 before 400", publish_to, FORM, "", 401, NULL},
      {"401 before a bad form", publish_to, FORM, "key=s3cret&a=%", 401, NULL},
      {"bad form", "POST /publish?key=s3cret", FORM, "a=%", 400, NULL},
      {"lines", publish_to, JSON, "{\"channel\":\"n\",\"message\":\"1\"}", 401, NULL},
      {"lines with it", "POST /publish?key=s3cret", JSON, "{\"channel\":\"n\",\"message\":\"1\"}",
       200, NULL},
      {"listed page", publish_to, PAGE("https://page.example"), good, 200,
       "Access-Control-Allow-Origin: https://page.example\r\n"},
      {"listed page, refused", publish_to, PAGE("https://page.example"), "channel=a", 401,
       "Access-Control-Allow-Origin: https://page.example\r\n"},
      {"own page", publish_to, PAGE("http://h"), good, 200, NULL},
      {"another page", publish_to, PAGE("https://evil.example"), good, 403, "--origin"},
      {"another port", publish_to, PAGE("https://page.example:444"), good, 403, NULL},
      {"a file", publish_to, PAGE("null"), good, 403, NULL},
      {"disconnect", "POST /disconnect", FORM, "tag=a", 401, NULL},
      {"finish", "POST /finish", FORM, "channel=a", 401, NULL},
      {"presence", "GET /presence", "", "", 401, NULL},
      {"presence with it", "GET /presence?key=s3cret", "", "", 200, "\"clients\":"},
  };
  JUDGE(&guarded, rows);
  assert_int_equal(
      request(&open_server, "POST /publish", PAGE("https://page.example"), "channel=a&message=m"),
      403);
}

/* ---- Streams ---- */

static void bad_subscriptions_are_refused(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"no channel", "GET /", "", "", 400, "missing: channel\n"},
      {"no channel, stream", "GET /stream", "", "", 400, "missing: channel\n"},
      {"no channel, POST", "POST /", FORM, "a=b", 400, "missing: channel\n"},
      {"no channel, poll", "GET /poll", "", "", 400, "missing: channel\n"},
      {"empty channel", "GET /?channel=", "", "", 400, "name is 1"},
      {"control", "GET /?channel=%01", "", "", 400, "name is 1"},
      {"bad form", "POST /", FORM, "channel=%", 400, "form"},
      {"another body", "POST /?channel=a", "Content-Type: text/plain\r\n", "channel=a", 415,
       "form"},
      {"history", "GET /?channel=a&history=-1", "", "", 400, "whole number"},
      {"history, huge", "GET /?channel=a&history=99999999999", "", "", 400, "whole number"},
      {"from", "GET /?channel=a&from=yesterday", "", "", 400, "earliest"},
      {"both", "GET /?channel=a&from=earliest&history=1", "", "", 400, "exclude"},
      {"tag", "GET /?channel=a&tag=", "", "", 400, "a tag is"},
      {"tag of a session", "GET /?channel=a&tag=session:x", "", "", 400, "session:"},
      {"tag twice", "GET /?channel=a&tag=x&tag=x", "", "", 400, "twice"},
      {"session, short", "GET /?channel=a&session=1234567", "", "", 400, "8 to 64"},
      {"session, letters", "GET /?channel=a&session=1234567%20", "", "", 400, "8 to 64"},
      {"timeout", "GET /poll?channel=a&timeout=-1", "", "", 400, "seconds"},
      {"timeout, not a number", "GET /poll?channel=a&timeout=1x", "", "", 400, "seconds"},
      {"method", "DELETE /?channel=a", "", "", 405, "Allow: GET, HEAD, POST, QUERY, OPTIONS"},
      {"path", "GET /streams?channel=a", "", "", 404, NULL},
      {"HEAD", "HEAD /?channel=a", "", "", 200, "text/event-stream"},
      {"HEAD of a poll", "HEAD /poll?channel=a&timeout=0", "", "", 200, "text/event-stream"},
  };
  JUDGE(&open_server, rows);
}

/* One event of two channels arrives once, and what comes after it comes after it. */
static void events_arrive_once(void **state) {
  (void)state;
  static const struct {
    const char *target, *headers, *body;
  } ways[] = {{"GET /?channels=once&channels=twice", "", ""},
              {"GET /stream?channel=once&channel=twice", "", ""},
              {"POST /", FORM, "channel=once&channels=twice"},
              {"POST /stream?channel=once", FORM, "channels=twice"},
              {"QUERY /", FORM, "channels=once&channels=once&channels=twice"}};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    struct listener listener;
    stream_open(&listener, &open_server, ways[i].target, ways[i].headers, ways[i].body);
    await_clients(&open_server, "once", 1);
    await_clients(&open_server, "twice", 1);
    char id[160];
    snprintf(id, sizeof id, "%s", publish(&open_server, "channel=once&channel=twice&message=both"));
    publish(&open_server, "channel=twice&message=a%0db%0a&event=kind");
    publish(&open_server, "channel=elsewhere&message=no");
    publish(&open_server, "channel=once&message=end");
    hear_data(&listener, "both");
    assert_string_equal(listener.id, id);
    assert_true(hear_event(&listener));
    assert_string_equal(listener.type, "kind"); /* of three lines, the last of which is empty */
    hear_data(&listener, "end");
    listener_close(&listener);
    await_clients(&open_server, "once", 0);
  }
}

static void a_stream_begins_where_it_is_asked_to(void **state) {
  (void)state;
  char first[160], second[160], target[512], headers[256];
  static const struct {
    const char *query, *header; /* with "1" and "2" for the two ids */
    const char *want;
  } rows[] = {{"from=earliest", NULL, "one"},   {"history=2", NULL, "two"},
              {"history=1", NULL, "three"},     {"history=100", NULL, "one"},
              {"last_event_id=1", NULL, "two"}, {"lastEventId=2", NULL, "three"},
              {"last_event_id=1", "2", "three"}};
  snprintf(first, sizeof first, "%s", publish(&open_server, "channel=begin&message=one"));
  snprintf(second, sizeof second, "%s", publish(&open_server, "channel=begin&message=two"));
  publish(&open_server, "channel=begin&message=three");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (int posted = 0; posted < 2; posted++) {
      struct listener listener;
      char query[256];
      const char *query_id = strchr(rows[i].query, '1') ? first : second;
      size_t len = strcspn(rows[i].query, "=") + 1;
      snprintf(query, sizeof query, "channel=begin&%.*s%s", (int)len, rows[i].query,
               strncmp(rows[i].query, "last", 4) == 0 ? query_id : rows[i].query + len);
      snprintf(headers, sizeof headers, "%s%s%s%s", posted ? FORM : "",
               rows[i].header ? "Last-Event-ID: " : "", rows[i].header ? second : "",
               rows[i].header ? "\r\n" : "");
      snprintf(target, sizeof target, posted ? "POST /" : "GET /?%s", query);
      stream_open(&listener, &open_server, target, headers, posted ? query : "");
      if (!hear_event(&listener) || strcmp(listener.data, rows[i].want) != 0)
        fail_msg("%s: got %s", rows[i].query, listener.data);
      listener_close(&listener);
    }
  }
  /* An id that nobody has given is answered by a gap, and not by silence. */
  struct listener listener;
  stream_open(&listener, &open_server, "GET /?channel=begin", "Last-Event-ID: no-such.5\r\n", "");
  assert_true(hear_event(&listener));
  assert_string_equal(listener.type, "gap");
  listener_close(&listener);
}

static void listed_pages_may_listen(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"stream", "HEAD /?channel=a", "Origin: https://page.example\r\n", "", 200,
       "Access-Control-Allow-Origin: https://page.example\r\n"},
      {"poll", "GET /poll?channel=a&timeout=0", "Origin: https://page.example\r\n", "", 200,
       "Access-Control-Expose-Headers: Last-Event-ID"},
      {"bad request", "GET /", "Origin: https://page.example\r\n", "", 400,
       "Access-Control-Allow-Origin: https://page.example\r\n"},
      {"preflight", "OPTIONS /",
       "Origin: https://page.example\r\nAccess-Control-Request-Method: QUERY\r\n", "", 204,
       "Access-Control-Allow-Methods: GET, POST, QUERY\r\n"},
      {"preflight of a publish", "OPTIONS /publish", "Origin: https://page.example\r\n", "", 204,
       "Access-Control-Allow-Headers: Authorization"},
  };
  JUDGE(&guarded, rows);
  static const char *const targets[] = {"HEAD /?channel=a", "GET /poll?channel=a&timeout=0",
                                        "OPTIONS /publish", "GET /stats"};
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    assert_true(request(&guarded, targets[i], "Origin: https://evil.example\r\n", "") < 300);
    assert_null(strstr(answer, "Access-Control-Allow"));
    assert_non_null(strstr(answer, "Vary: Origin"));
  }
}

/* ---- Polls ---- */

static const char *last_id(void) {
  static char id[160];
  const char *at = strstr(answer, "Last-Event-ID: ");
  if (!at || sscanf(at, "Last-Event-ID: %159[^\r]", id) != 1) fail_msg("no id: %s", answer);
  return id;
}

static void polls_give_what_streams_give(void **state) {
  (void)state;
  char target[512];
  /* Without an id and without an event, a poll still has the id for the next one. */
  assert_int_equal(request(&open_server, "GET /poll?channel=poll&timeout=0", "", ""), 200);
  snprintf(target, sizeof target, "GET /poll?channel=poll&timeout=20&last_event_id=%s", last_id());
  assert_null(strstr(body_of_answer(), "retry"));
  char id[160];
  snprintf(id, sizeof id, "%s", publish(&open_server, "channel=poll&message=one"));
  publish(&open_server, "channel=other&message=no");
  publish(&open_server, "channel=poll&message=a%0ab%22&event=kind");
  /* Everything after the id, at once. */
  assert_int_equal(request(&open_server, target, "", ""), 200);
  assert_non_null(strstr(answer, "Content-Type: text/event-stream\r\n"));
  char block[256];
  snprintf(block, sizeof block,
           "\n\ndata: one\nid: %s\n\nevent: kind\ndata: a\ndata: b\"\nid: ", id);
  assert_non_null(strstr(body_of_answer(), block));
  assert_int_equal(request(&open_server, target, "Accept: application/json\r\n", ""), 200);
  assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
  snprintf(block, sizeof block, "{\"id\":\"%s\",\"event\":\"message\",\"data\":\"one\"},\n", id);
  assert_non_null(strstr(body_of_answer(), block));
  assert_non_null(strstr(body_of_answer(), "\"event\":\"kind\",\"data\":\"a\\nb\\\"\"}]\n"));
  /* By the header of scripts, and with a form. */
  assert_int_equal(request(&open_server, "GET /?channel=poll&from=earliest",
                           "X-Requested-With: XMLHttpRequest\r\n", ""),
                   200);
  assert_non_null(strstr(body_of_answer(), "data: one\n"));
  assert_int_equal(
      request(&open_server, "QUERY /poll", FORM, "channel=poll&timeout=0&from=earliest"), 200);
  assert_non_null(strstr(body_of_answer(), "data: one\n"));
  /* Nothing new: an empty answer at the timeout, with the id. */
  snprintf(target, sizeof target, "GET /poll?channel=poll&timeout=0.05&last_event_id=%s",
           last_id());
  assert_int_equal(request(&open_server, target, "", ""), 200);
  assert_null(strstr(body_of_answer(), "\ndata: "));
  last_id();
  /* A gap comes at once. */
  assert_int_equal(request(&open_server, "GET /poll?channel=poll&timeout=20",
                           "Last-Event-ID: no-such.5\r\n", ""),
                   200);
  assert_non_null(strstr(body_of_answer(), "event: gap\n"));
}

/* The id of a poll that waits for a quiet channel does not fall behind. */
static void an_empty_poll_has_the_newest_id(void **state) {
  (void)state;
  assert_int_equal(request(&open_server, "GET /poll?channel=quiet&timeout=0", "", ""), 200);
  char before[160], newest[160], target[512];
  snprintf(before, sizeof before, "%s", last_id());
  int fd = dial(open_server.port);
  snprintf(target, sizeof target,
           "GET /poll?channel=quiet&timeout=0.3&last_event_id=%s HTTP/1.1\r\nHost: h\r\n"
           "Connection: close\r\n\r\n",
           before);
  say(fd, target);
  await_clients(&open_server, "quiet", 1);
  snprintf(newest, sizeof newest, "%s", publish(&open_server, "channel=busy&message=m"));
  assert_true(hear_all(fd, answer, sizeof answer) > 0);
  close(fd);
  /* On a busy machine the poll may have ended before the publish. */
  if (strcmp(last_id(), before) != 0) assert_string_equal(last_id(), newest);
}

/* More than an answer holds comes in several, without a repetition. */
static void long_answers_are_divided(void **state) {
  (void)state;
  enum {
    EVENTS = 40,
    BYTES = 100000
  };
  char target[512], mark[32];
  char *form = malloc(BYTES + 100);
  assert_non_null(form);
  for (int i = 0; i < EVENTS; i++) {
    char *at = form + sprintf(form, "channel=long&message=%04d", i);
    memset(at, 'x', BYTES);
    at[BYTES] = '\0';
    publish(&open_server, form);
  }
  free(form);
  int next = 0, answers = 0;
  strcpy(target, "GET /poll?channel=long&timeout=0&from=earliest");
  while (next < EVENTS && answers++ < EVENTS) {
    assert_int_equal(request(&open_server, target, "", ""), 200);
    assert_true(strlen(answer) < (size_t)1500 * 1024);
    for (const char *at = answer; (at = strstr(at, "data: 0")); at++, next++) {
      snprintf(mark, sizeof mark, "data: %04dx", next);
      assert_memory_equal(at, mark, strlen(mark));
    }
    snprintf(target, sizeof target, "GET /poll?channel=long&timeout=0&last_event_id=%s", last_id());
  }
  assert_int_equal(next, EVENTS);
  assert_in_range(answers, 2, 8);
}

/* A state is not divided: a client that has a part of it would be given all of it again. */
static void long_states_come_whole(void **state) {
  (void)state;
  enum {
    KEYS = 25,
    BYTES = 100000
  };
  char *form = malloc(BYTES + 100), target[512];
  assert_non_null(form);
  for (int i = 0; i < KEYS; i++) {
    char *at = form + sprintf(form, "channel=state&state=long%d&message=long%04d", i, i);
    memset(at, 'x', BYTES);
    at[BYTES] = '\0';
    publish(&open_server, form);
  }
  int found = 0;
  assert_int_equal(request(&open_server, "GET /poll?channel=state&timeout=0", "", ""), 200);
  for (const char *at = answer; (at = strstr(at, "data: long")); at++) found++;
  assert_int_equal(found, KEYS);
  assert_null(strchr(last_id(), '~'));
  snprintf(target, sizeof target, "GET /poll?channel=state&timeout=0&last_event_id=%s", last_id());
  assert_int_equal(request(&open_server, target, "", ""), 200);
  assert_null(strstr(answer, "event: gap"));
  assert_null(strstr(answer, "data: long"));
  for (int i = 0; i < KEYS; i++) {
    sprintf(form, "channel=state&state=long%d&delete=1", i);
    publish(&open_server, form);
  }
  free(form);
}

/* ---- Operating ---- */

static void numbers_are_told(void **state) {
  (void)state;
  struct listener listener;
  stream_open(&listener, &open_server,
              "GET /?channel=told&channel=%22%5c&tag=user&tag=role&session=0123456789", "", "");
  await_clients(&open_server, "told", 1);
  static const struct row rows[] = {
      {"stats", "GET /stats", "", "", 200, "[\"\\\"\\\\\",1]"},
      {"channels", "GET /channels", "", "", 200, "{\"channel\":\"told\",\"clients\":1}"},
      {"presence", "GET /presence?channel=told", "", "", 200, "{\"clients\":1,\"tags\":{"},
      {"presence, tags", "GET /presence?channel=told", "", "", 200, "\"role\":1"},
      {"presence of all", "GET /presence", "", "", 200, "\"user\":1"},
      {"presence of none", "GET /presence?channel=none", "", "", 200,
       "{\"clients\":0,\"tags\":{}}"},
      {"presence, bad", "GET /presence?channel=", "", "", 400, "name"},
      {"position", "GET /position?channel=told", "", "", 200, "{\"id\":\""},
      {"metrics", "GET /metrics", "", "", 200, "\nlibsse_streams"},
      {"metrics of the engine", "GET /metrics", "", "", 200,
       "\nbroadcast_engine_info{kind=\"memory\"} 1\n"},
      {"live", "GET /health/live", "", "", 200, "\r\n\r\nlive\n"},
      {"ready", "GET /health/ready", "", "", 200, "\r\n\r\nready\n"},
  };
  JUDGE(&open_server, rows);
  assert_int_equal(request(&open_server, "GET /presence", "", ""), 200);
  assert_null(strstr(answer, "session"));
  listener_close(&listener);
  await_clients(&open_server, "told", 0);
}

/* The dashboard has no data, so it is for everyone; what it asks for is guarded as for others. */
static void the_dashboard_is_a_page(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"page", "GET /dashboard", "", "", 200, "<title>Broadcast server</title>"},
      {"type", "GET /dashboard", "", "", 200, "Content-Type: text/html; charset=utf-8\r\n"},
      {"policy", "GET /dashboard", "", "", 200, "Content-Security-Policy: default-src 'self';"},
      {"head", "HEAD /dashboard", "", "", 200, NULL},
      {"another method", "POST /dashboard", FORM, "", 405, "Allow: GET, HEAD, OPTIONS\r\n"},
      {"script", "GET /dashboard.js", "", "", 200, "Content-Type: text/javascript"},
      {"charts", "GET /dashboard_chart.js", "", "", 200, "Content-Type: text/javascript"},
      {"tester", "GET /dashboard_tester.js", "", "", 200, "Content-Type: text/javascript"},
      {"style", "GET /dashboard.css", "", "", 200, "Content-Type: text/css"},
      {"base", "GET /base.css", "", "", 200, "Content-Type: text/css"},
      {"one path for it", "GET /dashboard.html", "", "", 404, NULL},
      {"the head of the log", "GET /metrics", "", "", 200, "\nbroadcast_engine_head "},
  };
  JUDGE(&open_server, rows);
  JUDGE(&guarded, rows);
}

/* The position is the id up to which a page that is rendered now knows everything. */
static void a_position_leads_to_what_comes_next(void **state) {
  (void)state;
  char id[160], target[512];
  publish(&open_server, "channel=page&message=known");
  assert_int_equal(request(&open_server, "GET /position?channel=page", "", ""), 200);
  assert_int_equal(sscanf(body_of_answer(), "{\"id\":\"%159[^\"]", id), 1);
  publish(&open_server, "channel=page&message=new");
  struct listener listener;
  snprintf(target, sizeof target, "GET /?channel=page&last_event_id=%s", id);
  stream_open(&listener, &open_server, target, "", "");
  hear_data(&listener, "new");
  listener_close(&listener);
}

static void open_streams_are_changed(void **state) {
  (void)state;
  static const struct row bad[] = {
      {"no session", "POST /subscribe", FORM, "channel=b", 400, "missing: session"},
      {"no channel", "POST /subscribe", FORM, "session=0123456789", 400, "missing: channel"},
      {"bad history", "POST /subscribe", FORM, "session=0123456789&channel=b&history=x", 400,
       "whole number"},
      {"bad session", "POST /subscribe", FORM, "session=0&channel=b", 400, "8 to 64"},
      {"unknown", "POST /subscribe", FORM, "session=no-such-one&channel=b", 404, "no stream"},
      {"unknown, un", "POST /unsubscribe", FORM, "session=no-such-one&channel=b", 404, "no stream"},
      {"not a form", "POST /subscribe?session=0123456789&channel=b", "", "x", 400, "form"},
      {"no tag", "POST /disconnect", FORM, "a=b", 400, "missing: tag"},
      {"empty tag", "POST /disconnect", FORM, "tag=", 400, "invalid"},
      {"nobody", "POST /disconnect", FORM, "tag=nobody", 200, "\"streams\":0,"},
      {"finish nothing", "POST /finish", FORM, "", 400, "missing: channel"},
  };
  JUDGE(&open_server, bad);
  struct listener listener;
  publish(&open_server, "channel=second&message=earlier");
  stream_open(&listener, &open_server, "GET /?channel=first&session=0123456789&tag=user", "", "");
  await_clients(&open_server, "first", 1);
  assert_int_equal(
      request(&open_server, "POST /subscribe", FORM, "session=0123456789&channel=second&history=1"),
      200);
  assert_non_null(strstr(answer, "{\"status\":\"ok\",\"streams\":1,\"id\":\""));
  hear_data(&listener, "earlier");
  publish(&open_server, "channel=second&message=later");
  hear_data(&listener, "later");
  assert_int_equal(
      request(&open_server, "POST /unsubscribe?session=0123456789&channel=second", "", ""), 200);
  await_clients(&open_server, "second", 0);
  publish(&open_server, "channel=second&message=no");
  publish(&open_server, "channel=first&message=yes");
  hear_data(&listener, "yes");
  assert_int_equal(request(&open_server, "POST /disconnect", FORM, "tag=user"), 200);
  assert_non_null(strstr(answer, "\"streams\":1,"));
  assert_false(hear_event(&listener));
  listener_close(&listener);
}

static void channels_are_finished(void **state) {
  (void)state;
  struct listener listener;
  stream_open(&listener, &open_server, "GET /?channel=last", "", "");
  await_clients(&open_server, "last", 1);
  publish(&open_server, "channel=last&message=bye");
  assert_int_equal(request(&open_server, "POST /finish", FORM, "channel=last"), 200);
  hear_data(&listener, "bye");
  assert_true(hear_event(&listener));
  assert_string_equal(listener.type, "finished");
  assert_false(hear_event(&listener));
  listener_close(&listener);
  char target[256];
  snprintf(target, sizeof target, "GET /poll?channel=last&timeout=20&last_event_id=%s",
           listener.id);
  const struct row rows[] = {
      {"publish", "POST /publish", FORM, "channel=last&message=m", 409, "finished"},
      {"stream", "GET /?channel=last", "", "", 204, NULL},
      {"poll", target, "", "", 204, NULL},
      {"poll of what there was", "GET /poll?channel=last&timeout=0&from=earliest", "", "", 200,
       "data: bye"},
  };
  JUDGE(&open_server, rows);
}

/* ---- No request can end the server ---- */

static uint32_t next_random(uint32_t *state) {
  *state = *state * 1664525 + 1013904223;
  return *state >> 8;
}

static void no_request_ends_the_server(void **state) {
  (void)state;
  static const char *const targets[] = {
      "POST /publish",   "POST /publish?channel=a", "POST /",           "QUERY /poll?timeout=0",
      "POST /subscribe", "POST /unsubscribe",       "POST /disconnect", "POST /stream"};
  static const char *const types[] = {FORM, JSON, "", "Content-Type: multipart/form-data\r\n"};
  static const char *const pieces[] = {"channel=",
                                       "&",
                                       "message=",
                                       "=",
                                       "%",
                                       "%00",
                                       "%f0%9f",
                                       "a",
                                       "{",
                                       "}",
                                       "[",
                                       "]",
                                       "\"",
                                       "\\u",
                                       "\\ud800",
                                       "d83d",
                                       ":",
                                       ",",
                                       "\n",
                                       "\"channel\"",
                                       "\"message\"",
                                       "true",
                                       "session=12345678",
                                       "history=4294967295",
                                       "id=",
                                       "tag=x",
                                       "\x01",
                                       "\xff",
                                       "state=k",
                                       "delete=1",
                                       "ephemeral=1",
                                       "from=earliest",
                                       "timeout=0"};
  uint32_t random = 1;
  for (int i = 0; i < 3000; i++) {
    char body[512] = "";
    for (uint32_t count = next_random(&random) % 20; count > 0; count--)
      strcat(body, pieces[next_random(&random) % (sizeof pieces / sizeof *pieces)]);
    const char *target = targets[next_random(&random) % 8];
    const char *type = types[next_random(&random) % 4];
    char bytes[1024];
    /* A stream may be the answer, so the end is not waited for. */
    snprintf(bytes, sizeof bytes, "%s HTTP/1.1\r\nHost: h\r\n%sContent-Length: %zu\r\n\r\n%s",
             target, type, strlen(body), body);
    int fd = dial(open_server.port);
    say(fd, bytes);
    char first[16];
    if (!await(fd, POLLIN, now_ms() + PATIENCE_MS) || recv(fd, first, sizeof first, 0) <= 0)
      fail_msg("no answer to %s", bytes);
    close(fd);
  }
  assert_int_equal(request(&open_server, "GET /health/ready", "", ""), 200);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(forms_are_published),
      cmocka_unit_test(what_is_too_much_is_refused),
      cmocka_unit_test(lines_are_published),
      cmocka_unit_test(publishers_must_know_a_secret),
      cmocka_unit_test(bad_subscriptions_are_refused),
      cmocka_unit_test(events_arrive_once),
      cmocka_unit_test(a_stream_begins_where_it_is_asked_to),
      cmocka_unit_test(listed_pages_may_listen),
      cmocka_unit_test(polls_give_what_streams_give),
      cmocka_unit_test(an_empty_poll_has_the_newest_id),
      cmocka_unit_test(long_answers_are_divided),
      cmocka_unit_test(long_states_come_whole),
      cmocka_unit_test(numbers_are_told),
      cmocka_unit_test(the_dashboard_is_a_page),
      cmocka_unit_test(a_position_leads_to_what_comes_next),
      cmocka_unit_test(open_streams_are_changed),
      cmocka_unit_test(channels_are_finished),
      cmocka_unit_test(no_request_ends_the_server),
  };
  return cmocka_run_group_tests_name("broadcast, routes", tests, start_servers, stop_servers);
}
