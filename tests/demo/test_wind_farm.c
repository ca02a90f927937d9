/* SPDX-License-Identifier: MIT */
/* test_wind_farm.c: the wind-farm program as it is built: state first, joins, leaves, tombstones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "peer.h"

#define SESSION "0123456789abcdef0123456789abcdef"
#define ALL     "channel=north&channel=south&channel=east"

enum {
  TEXT_MAX = 64 * 1024,
  TURBINES = 12,
  SLOW_READINGS = 6000, /* of one turbine, while the slow client reads nothing */
  SLOW_BYTES = 1024 * 1024
};

static char text[TEXT_MAX];

/* ---- The program ---- */

static void start(struct child *child, const char *interval, const char *service) {
  assert_true(child_run(child, "wind-farm",
                        (const char *const[]){"--port", "0", "--interval", interval, "--service",
                                              service, "--threads", "2", NULL}));
  assert_true(read_line(child->out, text, sizeof text));
  if (sscanf(text, "wind-farm: listening on http://127.0.0.1:%d/\n", &child->port) != 1)
    fail_msg("wind-farm said \"%s\"", text);
}

static int outcome(const char *const *args) {
  return child_outcome("wind-farm", args, text, sizeof text);
}

static void options(void **state) {
  (void)state;
  static const struct {
    const char *args[3];
    int status;
    const char *says;
  } rows[] = {
      {{"--help"}, 0, "Usage: wind-farm"},
      {{"--port", "x"}, 2, "wind-farm: --port x: "},
      {{"--port", "65536"}, 2, "wind-farm: --port 65536: "},
      {{"--interval", "0"}, 2, "wind-farm: --interval 0: "},
      {{"--interval", "1s"}, 2, "wind-farm: --interval 1s: "},
      {{"--service", "0.01"}, 2, "wind-farm: --service 0.01: "},
      {{"--threads", "0"}, 2, "wind-farm: --threads 0: "},
      {{"--nothing"}, 2, "--help"},
      {{"--port"}, 2, "--help"},
      {{"north"}, 2, "wind-farm: unexpected argument: north"},
      {{"--listen", "192.0.2.1"}, 1, "wind-farm: cannot listen on 192.0.2.1 port 5000: "},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    int status = outcome(rows[i].args);
    if (status != rows[i].status || !strstr(text, rows[i].says))
      fail_msg("%s %s: exit status %d, \"%s\"", rows[i].args[0], rows[i].args[1], status, text);
  }
}

/* ---- Clients ---- */

static void follow(struct listener *listener, int fd, size_t cap, const char *query,
                   const char *last_id) {
  char request[512];
  *listener = (struct listener){.fd = fd, .cap = cap, .buf = malloc(cap)};
  assert_true(listener->fd >= 0);
  assert_non_null(listener->buf);
  snprintf(request, sizeof request, "GET /stream/?%s HTTP/1.1\r\nHost: h\r\n%s%s%s\r\n", query,
           last_id ? "Last-Event-ID: " : "", last_id ? last_id : "", last_id ? "\r\n" : "");
  say(fd, request);
}

/* What an event says. The events of one turbine share the number in `place`. */
struct said {
  char site[16], turbine[8];
  size_t place; /* 0 to TURBINES - 1 */
  unsigned long long reading;
};

static void understand(const struct listener *listener, struct said *said) {
  *said = (struct said){.reading = 0};
  int parts = sscanf(listener->data, "{\"site\":\"%15[a-z]\",\"turbine\":\"%7[A-Z0-9]\"",
                     said->site, said->turbine);
  assert_int_equal(parts, 2);
  static const char sites[] = "NSE";
  const char *first = strchr(sites, said->turbine[0]);
  assert_non_null(first);
  assert_in_range(said->turbine[1], '1', '4');
  said->place = (size_t)(first - sites) * 4 + (size_t)(said->turbine[1] - '1');
  const char *reading = strstr(listener->data, "\"reading\":");
  if (reading) said->reading = strtoull(reading + strlen("\"reading\":"), NULL, 10);
}

/* The next event of that type; others are passed over, but there is no gap, nor what is not to be.
 */
static void hear_but(struct listener *listener, const char *type, const char *not_to_be,
                     struct said *said) {
  do {
    if (!hear_event(listener)) fail_msg("no event %s", type);
    assert_string_not_equal(listener->type, "gap");
    assert_string_not_equal(listener->type, not_to_be);
  } while (strcmp(listener->type, type) != 0);
  understand(listener, said);
}

static void hear(struct listener *listener, const char *type, struct said *said) {
  hear_but(listener, type, "", said);
}

/* Hears until one turbine's reading has that number at least. */
static void hear_reading(struct listener *listener, const char *turbine,
                         unsigned long long reading) {
  struct said said;
  do hear(listener, "reading", &said);
  while (strcmp(said.turbine, turbine) != 0 || said.reading < reading);
}

/* True of an event whose id is its own, and not that of a position before a state. */
static int has_id(const struct listener *listener) {
  size_t len = strlen(listener->id);
  return len > 0 && listener->id[len - 1] != '~';
}

/* A stream's first readings are so many turbines', each once, without ids; then come live ones. */
static void hear_state(struct listener *listener, const char *site, size_t turbines,
                       const char *without) {
  int had[TURBINES] = {0};
  struct said said;
  for (size_t i = 0; i < turbines; i++) {
    hear_but(listener, "reading", "gone", &said);
    assert_false(has_id(listener));
    assert_int_equal(had[said.place]++, 0);
    if (site) assert_string_equal(said.site, site);
    if (without) assert_string_not_equal(said.turbine, without);
  }
  hear(listener, "reading", &said);
  assert_true(has_id(listener));
}

static int change(const struct child *child, const char *what, const char *query) {
  char request[256];
  snprintf(request, sizeof request,
           "POST /%s?%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
           what, query);
  return ask(child->port, request, text, sizeof text);
}

/* ---- State ---- */

static void a_new_client_gets_the_state_first(void **state) {
  (void)state;
  struct child child;
  struct listener first, second;
  start(&child, "0.12", "3600");
  follow(&first, dial(child.port), TEXT_MAX, ALL, NULL);
  hear_reading(&first, "E4", 2);
  follow(&second, dial(child.port), TEXT_MAX, "channel=south", NULL);
  hear_state(&second, "south", 4, NULL);
  listener_close(&first);
  listener_close(&second);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

static void a_tombstone_is_told_and_leaves_the_state(void **state) {
  (void)state;
  struct child child;
  struct listener first, second;
  struct said gone, said;
  start(&child, "0.12", "8"); /* the first goes out after four seconds, for as long */
  follow(&first, dial(child.port), TEXT_MAX, ALL, NULL);
  hear(&first, "gone", &gone);
  assert_true(has_id(&first));
  follow(&second, dial(child.port), TEXT_MAX, ALL, NULL);
  hear_state(&second, NULL, TURBINES - 1, gone.turbine);
  /* The notices are an ordinary channel, and every stream has them. */
  hear(&first, "service", &said);
  assert_string_equal(said.turbine, gone.turbine);
  assert_non_null(strstr(first.data, "begins"));
  hear(&second, "service", &said);
  assert_string_equal(said.turbine, gone.turbine);
  assert_non_null(strstr(second.data, "ends"));
  hear_reading(&second, gone.turbine, 1);
  listener_close(&first);
  listener_close(&second);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/* ---- Joins and leaves ---- */

static void a_join_brings_state_and_then_live_readings(void **state) {
  (void)state;
  struct child child;
  struct listener listener;
  struct said said;
  int had[TURBINES] = {0};
  start(&child, "0.06", "3600");
  follow(&listener, dial(child.port), TEXT_MAX, "channel=north&session=" SESSION, NULL);
  hear_reading(&listener, "N4", 5);
  assert_int_equal(change(&child, "join", "channel=east&session=" SESSION), 200);
  assert_non_null(strstr(text, "{\"streams\":1}"));
  /* Before the second reading of a turbine comes one of each. */
  for (int east = 0; east < 12; east += strcmp(said.site, "east") == 0) {
    hear(&listener, "reading", &said);
    assert_string_not_equal(said.site, "south");
    if (strcmp(said.site, "east") != 0) continue;
    assert_int_equal(had[said.place]++, east / 4);
    assert_true(said.reading >= 4);
  }
  listener_close(&listener);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/* Readings of all sites alternate, so a long run of one site's alone says that the other is left.
 */
static void after_a_leave_nothing_comes(void **state) {
  (void)state;
  struct child child;
  struct listener listener;
  struct said said;
  int alone = 0;
  start(&child, "0.03", "3600");
  follow(&listener, dial(child.port), TEXT_MAX, "channel=north&channel=south&session=" SESSION,
         NULL);
  hear_reading(&listener, "S4", 5);
  assert_int_equal(change(&child, "leave", "channel=north&session=" SESSION), 200);
  for (int heard = 0; alone < 40; heard++) {
    hear(&listener, "reading", &said);
    alone = strcmp(said.site, "south") == 0 ? alone + 1 : 0;
    assert_true(heard < 2000);
  }
  /* Also of what was published in between nothing comes, but for the newest. */
  unsigned long long then = said.reading;
  assert_int_equal(change(&child, "join", "channel=north&session=" SESSION), 200);
  do hear(&listener, "reading", &said);
  while (strcmp(said.site, "north") != 0);
  assert_true(said.reading + 1 >= then);
  listener_close(&listener);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

static void with_no_site_the_notices_come(void **state) {
  (void)state;
  struct child child;
  struct listener listener;
  start(&child, "0.12", "0.5");
  follow(&listener, dial(child.port), TEXT_MAX, "", NULL);
  for (int i = 0; i < 3; i++) {
    assert_true(hear_event(&listener));
    assert_string_equal(listener.type, "service");
  }
  listener_close(&listener);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

static void requests_that_are_refused(void **state) {
  (void)state;
  struct child child;
  static const struct {
    const char *request, *wants;
  } rows[] = {
      {"GET / ", "HTTP/1.1 200 OK\r\nContent-Type: text/html"},
      {"GET /page.js ", "HTTP/1.1 200 OK\r\nContent-Type: text/javascript"},
      {"GET /style.css ", "HTTP/1.1 200 OK\r\nContent-Type: text/css"},
      {"GET /icon.svg ", "HTTP/1.1 200 OK\r\nContent-Type: image/svg+xml"},
      {"GET /join?channel=north&session=" SESSION " ", "\r\nAllow: POST, OPTIONS\r\n"},
      {"POST /join?channel=north&session=" SESSION " ", "HTTP/1.1 404 "}, /* it has no stream */
      {"POST /leave?channel=north&session=" SESSION " ", "HTTP/1.1 404 "},
      {"POST /join?channel=north ", "HTTP/1.1 400 "},
      {"POST /join?channel=north&session=short ", "HTTP/1.1 400 "},
      {"POST /join?channel=north&session=0123456789abcdef/ ", "HTTP/1.1 400 "},
      {"POST /join?channel=notices&session=" SESSION " ", "HTTP/1.1 400 "},
      {"POST /join?session=" SESSION " ", "HTTP/1.1 400 "},
      {"GET /stream/?channel=west ", "HTTP/1.1 400 "},
      {"GET /stream/?channel=north&channel=north ", "HTTP/1.1 400 "},
      {"GET /stream/?channel=north&session=short ", "HTTP/1.1 400 "},
      {"HEAD /stream/?channel=north ", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream"},
  };
  start(&child, "1", "3600");
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char request[256];
    snprintf(request, sizeof request,
             "%sHTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
             rows[i].request);
    ask(child.port, request, text, sizeof text);
    if (!strstr(text, rows[i].wants)) fail_msg("%s: got \"%.200s\"", rows[i].request, text);
  }
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/* ---- Who is away, and who is slow ---- */

static void one_who_comes_back_gets_the_newest_only(void **state) {
  (void)state;
  struct child child;
  struct listener here, away;
  struct said said;
  unsigned long long newest[TURBINES] = {0};
  char id[64];
  start(&child, "0.03", "3600");
  follow(&here, dial(child.port), TEXT_MAX, ALL, NULL);
  follow(&away, dial(child.port), TEXT_MAX, ALL, NULL);
  hear_reading(&away, "E4", 3);
  snprintf(id, sizeof id, "%s", away.id);
  listener_close(&away);
  do {
    hear(&here, "reading", &said);
    newest[said.place] = said.reading;
  } while (said.reading < 40);
  follow(&away, dial(child.port), TEXT_MAX, ALL, id);
  for (int i = 0; i < TURBINES; i++) {
    hear(&away, "reading", &said);
    assert_true(said.reading >= newest[said.place]);
    newest[said.place] = said.reading + 1;
  }
  listener_close(&here);
  listener_close(&away);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/*
 * The slow client's own buffers are full of what was new when it stopped to read. Behind that comes
 * the newest of each turbine, without a word about the thousands in between.
 */
static void a_slow_client_skips_what_is_out_of_date(void **state) {
  (void)state;
  struct child child;
  struct listener quick, slow;
  struct said said;
  unsigned long long last[TURBINES] = {0}, skipped = 0;
  start(&child, "0.001", "3600");
  follow(&slow, dial_with(child.port, 4096), SLOW_BYTES, ALL, NULL);
  follow(&quick, dial(child.port), SLOW_BYTES, ALL, NULL);
  hear_reading(&quick, "E4", SLOW_READINGS);
  do {
    hear(&slow, "reading", &said);
    assert_true(said.reading > last[said.place]);
    if (last[said.place] > 0 && said.reading - last[said.place] - 1 > skipped)
      skipped = said.reading - last[said.place] - 1;
    last[said.place] = said.reading;
  } while (said.reading < SLOW_READINGS);
  print_message("the slow client skipped up to %llu readings of a turbine\n", skipped);
  assert_true(skipped > SLOW_READINGS / 10);
  listener_close(&quick);
  listener_close(&slow);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(options),
      cmocka_unit_test(a_new_client_gets_the_state_first),
      cmocka_unit_test(a_tombstone_is_told_and_leaves_the_state),
      cmocka_unit_test(a_join_brings_state_and_then_live_readings),
      cmocka_unit_test(after_a_leave_nothing_comes),
      cmocka_unit_test(with_no_site_the_notices_come),
      cmocka_unit_test(requests_that_are_refused),
      cmocka_unit_test(one_who_comes_back_gets_the_newest_only),
      cmocka_unit_test(a_slow_client_skips_what_is_out_of_date),
  };
  return cmocka_run_group_tests_name("wind-farm", tests, NULL, NULL);
}
