/* SPDX-License-Identifier: MIT */
/* test_recipes.c: the programs of sse-recipes(7) do what the page says. */
#include "page.h"

/* ---- Chat ---- */

static void chat_follows_who_is_in_a_room(void **state) {
  struct listener ann, bob;
  char id[64];
  (void)state;
  start("chat", NULL);
  open_stream(&ann, "/stream?user=ann", NULL);
  post("/join?user=bob&room=tea", "");
  post("/say?user=bob&room=tea", "first");
  post("/join?user=ann&room=tea", "");
  expect(&ann, "chat", "bob: first"); /* the backfill */
  post("/say?user=ann&room=tea", "second");
  expect(&ann, "chat", "ann: second");
  snprintf(id, sizeof id, "%s", ann.id);
  post("/leave?user=ann&room=tea", "");
  post("/say?user=bob&room=tea", "secret");
  post("/announce", "to all");
  expect(&ann, "announcement", "to all");
  assert_int_equal(request_to(child.port, "POST /say?user=ann&room=tea",
                              "", "x", NULL, 0),
                   400);

  /* A stream is opened with the rooms of the moment. */
  open_stream(&bob, "/stream?user=bob", id);
  expect(&bob, "chat", "bob: secret");
  expect(&bob, "announcement", "to all");
  listener_close(&ann);
  listener_close(&bob);
}

/* ---- Roster ---- */

static void expect_roster(const char *wanted, const char *otherwise) {
  char text[256];
  assert_int_equal(
      request_to(child.port, "GET /roster", "", "", text, sizeof text),
      200);
  if (strcmp(text, otherwise) != 0) assert_string_equal(text, wanted);
}

static void roster_tells_who_is_present(void **state) {
  struct listener ann, bob, tab;
  (void)state;
  start("roster", NULL);
  open_stream(&ann, "/stream?user=ann", NULL);
  expect(&ann, "roster", "{\"user\":\"ann\",\"here\":true}");
  open_stream(&bob, "/stream?user=bob", NULL);
  expect(&ann, "roster", "{\"user\":\"bob\",\"here\":true}");
  expect(&bob, "roster", "{\"user\":\"ann\",\"here\":true}");
  expect(&bob, "roster", "{\"user\":\"bob\",\"here\":true}");

  /* A second page of a user changes nothing, and neither does its end. */
  open_stream(&tab, "/stream?user=bob", NULL);
  expect(&tab, "roster", "{\"user\":\"ann\",\"here\":true}");
  expect(&tab, "roster", "{\"user\":\"bob\",\"here\":true}");
  expect_roster("ann 1\nbob 2\n", "bob 2\nann 1\n");
  listener_close(&bob);
  int64_t until = now_ms() + PATIENCE_MS;
  char text[64] = "";
  while (!strstr(text, "bob 1") && now_ms() < until)
    request_to(child.port, "GET /roster", "", "", text, sizeof text);
  expect_roster("ann 1\nbob 1\n", "bob 1\nann 1\n");
  listener_close(&tab);
  expect(&ann, "roster", "{\"user\":\"bob\",\"here\":false}");

  /* The roster of a page that opens now does not have him. */
  open_stream(&bob, "/stream?user=carl", NULL);
  expect(&bob, "roster", "{\"user\":\"ann\",\"here\":true}");
  expect(&bob, "roster", "{\"user\":\"carl\",\"here\":true}");
  listener_close(&bob);
  listener_close(&ann);
}

/* ---- Notifications ---- */

static void notifications_reach_one_user(void **state) {
  struct listener ann, bob;
  char text[16], id[64];
  (void)state;
  start("notify", NULL);
  open_stream(&ann, "/stream?user=ann", NULL);
  open_stream(&bob, "/stream?user=bob", NULL);
  request_to(child.port, "POST /notify?user=ann", "", "one", text,
             sizeof text);
  assert_string_equal(text, "1\n");
  post("/news", "all");
  expect(&ann, "notification", "one");
  snprintf(id, sizeof id, "%s", ann.id);
  expect(&ann, "message", "all");
  expect(&bob, "message", "all");
  request_to(child.port, "POST /notify?user=eve", "", "x", text,
             sizeof text);
  assert_string_equal(text, "");

  /* What came while the page was away is given when it returns. */
  listener_close(&ann);
  post("/notify?user=ann", "two");
  open_stream(&ann, "/stream?user=ann", id);
  expect(&ann, "message", "all");
  expect(&ann, "notification", "two");

  post("/order?order=17", "packed");
  post("/follow?user=ann&order=17", "");
  expect(&ann, "order", "packed");
  post("/order?order=17", "sent");
  expect(&ann, "order", "sent");
  listener_close(&ann);
  listener_close(&bob);
}

static void another_process_reports_a_restart(void **state) {
  struct listener ann;
  char header[128];
  (void)state;
  start("notify", NULL);
  start_child(&second, "notify", NULL);
  open_stream(&ann, "/stream?user=ann", NULL);
  for (int i = 0; i < 2; i++)
    assert_int_equal(request_to(i ? second.port : child.port,
                                "POST /news", "", "all", NULL, 0),
                     200);
  expect(&ann, "message", "all");
  snprintf(header, sizeof header, "Last-Event-ID: %s", ann.id);
  listener_close(&ann);
  dial_stream(&ann, second.port, "/stream?user=ann", header);
  assert_true(hear_event(&ann));
  assert_string_equal(ann.type, "gap");
  assert_non_null(strstr(ann.data, "\"reason\":\"restart\""));
  expect(&ann, "message", "all"); /* again */
  listener_close(&ann);
}

/* ---- Token stream ---- */

static void generate(char *channel, size_t cap) {
  assert_int_equal(
      request_to(child.port, "POST /generate", "", "", channel, cap),
      200);
}

static void feed(const char *channel, const char *token) {
  char path[64];
  snprintf(path, sizeof path, "/feed?channel=%s", channel);
  post(path, token);
}

static void open_tokens(struct listener *page, const char *channel,
                        const char *last_id) {
  char path[64];
  snprintf(path, sizeof path, "/stream?channel=%s", channel);
  open_stream(page, path, last_id);
}

static void tokens_survive_a_reload(void **state) {
  struct listener page;
  char channel[32], id[64];
  (void)state;
  start("tokens", "60000");
  generate(channel, sizeof channel);
  open_tokens(&page, channel, NULL);
  feed(channel, "Once");
  expect(&page, "token", "Once");
  snprintf(id, sizeof id, "%s", page.id);
  listener_close(&page); /* nobody listens, and the model writes on */
  feed(channel, "upon");

  open_tokens(&page, channel, NULL); /* a reload has no id */
  expect(&page, "token", "Once");
  expect(&page, "token", "upon");
  listener_close(&page);

  open_tokens(&page, channel, id); /* a reconnect has one */
  expect(&page, "token", "upon");
  feed(channel, "");
  expect(&page, "end", "done");
  expect(&page, "finished", "");
  expect_end(&page);
}

static void a_late_visitor_gets_all_and_then_stops(void **state) {
  struct listener page;
  char channel[32], id[64], path[64], header[128];
  (void)state;
  start("tokens", "60000");
  generate(channel, sizeof channel);
  feed(channel, "all");
  feed(channel, "");
  open_tokens(&page, channel, NULL);
  expect(&page, "token", "all");
  expect(&page, "end", "done");
  snprintf(id, sizeof id, "%s", page.id);
  expect(&page, "finished", "");
  expect_end(&page);
  snprintf(path, sizeof path, "GET /stream?channel=%s", channel);
  snprintf(header, sizeof header, "Last-Event-ID: %s", id);
  assert_int_equal(request_to(child.port, path, header, "", NULL, 0),
                   204);
}

/* Feeds until the generation takes nothing any more. */
static void await_cancelled(const char *channel) {
  char path[64];
  int64_t until = now_ms() + PATIENCE_MS;
  snprintf(path, sizeof path, "POST /feed?channel=%s", channel);
  while (request_to(child.port, path, "", "x", NULL, 0) == 200)
    assert_true(now_ms() < until);
}

static void expect_cancelled(const char *channel) {
  struct listener page;
  open_tokens(&page, channel, NULL);
  do assert_true(hear_event(&page));
  while (strcmp(page.type, "token") == 0);
  assert_string_equal(page.type, "end");
  assert_string_equal(page.data, "cancelled");
  expect(&page, "finished", "");
  expect_end(&page);
}

static void a_generation_ends_when_nobody_listens(void **state) {
  struct listener page;
  char channel[32];
  (void)state;
  start("tokens", "1");
  generate(channel, sizeof channel); /* nobody ever comes */
  await_cancelled(channel);
  expect_cancelled(channel);
  (void)child_stop(&child, SIGTERM);

  start("tokens", "2000");
  generate(channel, sizeof channel);
  open_tokens(&page, channel, NULL);
  feed(channel, "Once");
  expect(&page, "token", "Once");
  listener_close(&page); /* the only one leaves */
  await_cancelled(channel);
  expect_cancelled(channel);
}

/* ---- Snapshot ---- */

enum {
  ITEMS = 8
};

struct table {
  unsigned long long version;
  int items[ITEMS];
};

/* The items are set in turn: version n sets item n % ITEMS to n. */
static void assert_is_database(const struct table *table) {
  for (unsigned i = 0; i < ITEMS; i++) {
    unsigned long long back = (table->version + ITEMS - i) % ITEMS;
    unsigned long long last =
        table->version >= back ? table->version - back : 0;
    assert_int_equal(table->items[i], last);
  }
}

static void load_state(struct table *table, char id[64]) {
  char text[256];
  assert_int_equal(
      request_to(child.port, "GET /state", "", "", text, sizeof text),
      200);
  int *v = table->items;
  assert_int_equal(sscanf(text,
                          "{\"id\":\"%63[^\"]\",\"version\":%llu,"
                          "\"items\":[%d,%d,%d,%d,%d,%d,%d,%d]}",
                          id, &table->version, &v[0], &v[1], &v[2], &v[3],
                          &v[4], &v[5], &v[6], &v[7]),
                   10);
}

/* What follow() of snapshot.js does with an event. */
static void apply(struct table *table, const char *data) {
  unsigned long long version;
  int item, value;
  assert_int_equal(sscanf(data,
                          "{\"version\":%llu,\"item\":%d,\"value\":%d}",
                          &version, &item, &value),
                   3);
  if (version <= table->version) return;
  assert_int_equal(version, table->version + 1);
  table->version = version;
  table->items[item] = value;
}

/* What a page does that does not look at versions. */
static unsigned long long apply_any(struct table *table,
                                    const char *data) {
  int item, value;
  assert_int_equal(sscanf(data,
                          "{\"version\":%llu,\"item\":%d,\"value\":%d}",
                          &table->version, &item, &value),
                   3);
  table->items[item] = value;
  return table->version;
}

/* A page that loads the table and follows it for some changes; 0 if it has
 * to begin again, because a busy machine was too slow for the window. */
static int follow_table(void) {
  struct listener page;
  struct table table = {.version = 0}, any;
  char id[64], path[96];
  load_state(&table, id); /* first the snapshot, */
  assert_is_database(&table);
  any = table;
  unsigned long long loaded = table.version, seen = 0;
  snprintf(path, sizeof path, "/stream?last_id=%s", id);
  open_stream(&page, path, NULL); /* then the stream */
  while (seen < loaded + 4) {
    assert_true(hear_event(&page));
    if (strcmp(page.type, "gap") == 0) break;
    apply(&table, page.data);
    seen = apply_any(&any, page.data);
  }
  listener_close(&page);
  if (seen < loaded + 4) return 0;
  assert_int_equal(table.version, seen);
  assert_is_database(&table);
  assert_is_database(&any);
  return 1;
}

/* The program changes the table without a pause, so changes fall between
 * the position and the snapshot, and between the snapshot and the stream. */
static void a_snapshot_and_its_stream_have_no_race(void **state) {
  (void)state;
  start("snapshot", "busy");
  for (int followed = 0; followed < 400;) followed += follow_table();
}

static void a_change_reaches_a_page(void **state) {
  struct listener page;
  struct table table = {.version = 0};
  char id[64], path[96];
  (void)state;
  start("snapshot", NULL);
  post("/change?item=1&value=1", "");
  load_state(&table, id);
  assert_is_database(&table);
  snprintf(path, sizeof path, "/stream?last_id=%s", id);
  post("/change?item=2&value=2", "");
  open_stream(&page, path, NULL);
  assert_true(hear_event(&page));
  apply(&table, page.data);
  assert_int_equal(table.version, 2);
  assert_is_database(&table);
  listener_close(&page);
}

/* ---- Welcome ---- */

static void a_welcome_comes_first_and_once(void **state) {
  struct listener ann;
  char id[64];
  (void)state;
  start("welcome", NULL);
  open_stream(&ann, "/stream?user=ann", NULL);
  post("/news", "one");
  expect(&ann, "welcome", "Hello, ann");
  expect(&ann, "message", "one");
  assert_non_null(strstr(ann.head, "text/event-stream"));
  snprintf(id, sizeof id, "%s", ann.id);
  listener_close(&ann);
  post("/news", "two");
  open_stream(&ann, "/stream?user=ann", id);
  expect(&ann, "message", "two");
  listener_close(&ann);
}

/* ---- Pace ---- */

static void read_pace(int *published, int *waits) {
  char text[64];
  assert_int_equal(
      request_to(child.port, "GET /pace", "", "", text, sizeof text),
      200);
  assert_int_equal(sscanf(text, "%d %d", published, waits), 2);
}

/* Clients that read, of a loop and of a thread, miss nothing of a burst that is
 * longer than their window. */
static void a_burst_reaches_clients_that_read(void **state) {
  enum {
    EVENTS = 5000
  };
  static const char publish[] =
      "POST /publish?count=5000 HTTP/1.1\r\n\r\n";
  struct listener pages[4];
  char text[256];
  (void)state;
  start("pace", "60000");
  for (int i = 0; i < 4; i++)
    open_stream(&pages[i], i < 2 ? "/stream" : "/thread", NULL);
  int fd = dial(child.port);
  assert_true(fd >= 0);
  say(fd, publish);
  for (int n = 0; n < EVENTS; n++)
    for (int i = 0; i < 4; i++) expect(&pages[i], "message", "an event");
  assert_true(hear_until(fd, text, sizeof text, "200 OK"));
  close(fd);
  for (int i = 0; i < 4; i++) listener_close(&pages[i]);
}

/* It has waited once in vain, and goes on. */
static void a_publisher_waits_a_bounded_time(void **state) {
  struct listener page;
  int published, waits;
  (void)state;
  start("pace", "20");
  open_stream(&page, "/stream", NULL);
  post("/hold", "");
  post("/publish?count=600", "");
  read_pace(&published, &waits);
  assert_int_equal(published, 600);
  assert_int_equal(waits, 20);
  post("/release", "");
  listener_close(&page);
}

static void a_publisher_waits_for_the_loop(void **state) {
  enum {
    EVENTS = 2000,
    LAG_MAX = 256
  };
  static const char publish[] =
      "POST /publish?count=2000 HTTP/1.1\r\n\r\n";
  struct listener page;
  int published, waits, before;
  char text[256];
  (void)state;
  start("pace", "60000");
  open_stream(&page, "/stream", NULL);
  post("/hold", "");
  int fd = dial(child.port);
  assert_true(fd >= 0);
  say(fd, publish);
  int64_t until = now_ms() + PATIENCE_MS;
  do read_pace(&published, &waits);
  while (waits < 3 && now_ms() < until);
  assert_true(waits >= 3);
  assert_int_equal(published, LAG_MAX);
  do read_pace(&published, &before);
  while (before < waits + 3 && now_ms() < until);
  assert_int_equal(published, LAG_MAX); /* it still waits */
  post("/release", "");
  for (int i = 0; i < EVENTS; i++) expect(&page, "message", "an event");
  assert_true(hear_until(fd, text, sizeof text, "200 OK"));
  close(fd);
  listener_close(&page);
}

/* ---- Authentication ---- */

static const char ANN[] = "Cookie: session=ann";

static void a_ticket_serves_once(void **state) {
  struct listener ann;
  char ticket[64], path[128];
  (void)state;
  start("auth", NULL);
  assert_int_equal(request_to(child.port, "GET /stream", "", "", NULL, 0),
                   403);
  assert_int_equal(
      request_to(child.port, "POST /ticket", "", "", NULL, 0), 403);
  assert_int_equal(request_to(child.port, "POST /ticket", ANN, "", ticket,
                              sizeof ticket),
                   200);
  assert_int_equal(strlen(ticket), 32);
  snprintf(path, sizeof path, "/stream?ticket=%s", ticket);
  open_stream(&ann, path, NULL);
  assert_non_null(strstr(ann.buf, "200 OK"));
  snprintf(path, sizeof path, "GET /stream?ticket=%s", ticket);
  assert_int_equal(request_to(child.port, path, "", "", NULL, 0), 403);
  listener_close(&ann);
}

static void a_ban_ends_streams_and_admits_none(void **state) {
  struct listener ann;
  char text[16];
  (void)state;
  start("auth", NULL);
  dial_stream(&ann, child.port, "/stream", ANN);
  int64_t until = now_ms() + PATIENCE_MS;
  while (!ann.len && await(ann.fd, POLLIN, until)) listener_read(&ann);
  assert_int_equal(request_to(child.port, "POST /ban?user=ann", "", "",
                              text, sizeof text),
                   200);
  assert_string_equal(text, "1\n");
  expect(&ann, "removed", "You were removed.");
  expect_end(&ann);
  assert_int_equal(
      request_to(child.port, "GET /stream", ANN, "", NULL, 0), 403);
}

int main(void) {
#define RECIPE(name) cmocka_unit_test_teardown(name, tear_down)
  const struct CMUnitTest tests[] = {
      RECIPE(chat_follows_who_is_in_a_room),
      RECIPE(roster_tells_who_is_present),
      RECIPE(notifications_reach_one_user),
      RECIPE(another_process_reports_a_restart),
      RECIPE(tokens_survive_a_reload),
      RECIPE(a_late_visitor_gets_all_and_then_stops),
      RECIPE(a_generation_ends_when_nobody_listens),
      RECIPE(a_change_reaches_a_page),
      RECIPE(a_snapshot_and_its_stream_have_no_race),
      RECIPE(a_welcome_comes_first_and_once),
      RECIPE(a_publisher_waits_for_the_loop),
      RECIPE(a_publisher_waits_a_bounded_time),
      RECIPE(a_burst_reaches_clients_that_read),
      RECIPE(a_ticket_serves_once),
      RECIPE(a_ban_ends_streams_and_admits_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
