/* SPDX-License-Identifier: MIT */
/* test_dice_roll.c: the dice-roll program as it is built, from outside, over loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/resource.h>

#include "peer.h"

enum {
  TEXT_MAX = 256 * 1024,
  CROWD = 1000,
  CROWD_EVENTS = 25,
  PAYLOAD_BYTES = 16 * 1024,
  FLOOD_BYTES = 50 * 1000 * 1000,
  FLOOD_EVENTS = FLOOD_BYTES / PAYLOAD_BYTES,
  READERS = 3,
  /* The default window is 4 MiB; the allocator and the replies in flight need something, too. */
  GROWTH_MAX_KB = (4 + 6) * 1024
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_IS_TRUE 0 /* a sanitizer keeps what was freed */
#elif defined(__has_feature)
#define MEMORY_IS_TRUE !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define MEMORY_IS_TRUE 1
#endif

static char text[TEXT_MAX];

/* ---- The program ---- */

static void start(struct child *child, const char *port, const char *interval, const char *payload,
                  const char *threads) {
  assert_true(child_run(child, "dice-roll",
                        (const char *const[]){"--port", port, "--interval", interval, "--payload",
                                              payload, "--threads", threads, NULL}));
  assert_true(read_line(child->out, text, sizeof text));
  if (sscanf(text, "dice-roll: listening on http://127.0.0.1:%d/\n", &child->port) != 1)
    fail_msg("dice-roll said \"%s\"", text);
}

static int outcome(const char *const *args) {
  return child_outcome("dice-roll", args, text, sizeof text);
}

#define OUTCOME(...) outcome((const char *const[]){__VA_ARGS__, NULL})

/* ---- Options ---- */

static void options(void **state) {
  (void)state;
  static const struct {
    const char *args[3];
    int status;
    const char *says;
  } rows[] = {
      {{"--help"}, 0, "Usage: dice-roll"},
      {{"--port", "x"}, 2, "dice-roll: --port x: "},
      {{"--port", "65536"}, 2, "dice-roll: --port 65536: "},
      {{"--port", "-1"}, 2, "dice-roll: --port -1: "},
      {{"--interval", "0"}, 2, "dice-roll: --interval 0: "},
      {{"--interval", "nan"}, 2, "dice-roll: --interval nan: "},
      {{"--interval", "1s"}, 2, "dice-roll: --interval 1s: "},
      {{"--heartbeat", "0"}, 2, "dice-roll: --heartbeat 0: "},
      {{"--heartbeat", "1m"}, 2, "dice-roll: --heartbeat 1m: "},
      {{"--threads", "0"}, 2, "dice-roll: --threads 0: "},
      {{"--threads", "65"}, 2, "dice-roll: --threads 65: "},
      {{"--payload", "1e3"}, 2, "dice-roll: --payload 1e3: "},
      {{"--nothing"}, 2, "--help"},
      {{"--port"}, 2, "--help"},
      {{"dice"}, 2, "dice-roll: unexpected argument: dice"},
      {{"--listen", "192.0.2.1"}, 1, "dice-roll: cannot listen on 192.0.2.1 port 5000: "},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    int status = outcome(rows[i].args);
    if (status != rows[i].status || !strstr(text, rows[i].says))
      fail_msg("%s %s: exit status %d, \"%s\"", rows[i].args[0], rows[i].args[1], status, text);
  }
}

/* With SQLite the directory is missing, and without it the option is no use. */
static void a_store_that_cannot_be_used_is_one_line(void **state) {
  (void)state;
  int status = OUTCOME("--store", "/nonexistent/store");
  const char *says = status == 2 ? "dice-roll: --store: this program was built without SQLite\n"
                                 : "dice-roll: /nonexistent/store: cannot open the file: unable to "
                                   "open database file\n";
  assert_in_range(status, 1, 2);
  assert_string_equal(text, says);
}

static void a_port_in_use_is_one_line(void **state) {
  (void)state;
  struct child first;
  char port[8];
  start(&first, "0", "1", "0", "1");
  snprintf(port, sizeof port, "%d", first.port);
  assert_int_equal(OUTCOME("--port", port), 1);
  assert_non_null(strstr(text, "dice-roll: cannot listen on 127.0.0.1 port "));
  assert_non_null(strstr(text, "in use"));
  assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
  assert_int_equal(child_stop(&first, SIGTERM), 0);
}

static void it_answers_to_its_names_only(void **state) {
  (void)state;
  struct child child;
  char line[256];
  const char *const args[] = {"--port", "0", "--host", "a.example", "--host", "b.example", NULL};
  assert_true(child_run(&child, "dice-roll", args));
  assert_true(read_line(child.out, line, sizeof line));
  assert_int_equal(sscanf(line, "dice-roll: listening on http://127.0.0.1:%d/", &child.port), 1);
  assert_int_equal(ask(child.port, "GET / HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n",
                       text, sizeof text),
                   200);
  assert_int_equal(
      ask(child.port, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", text, sizeof text),
      421);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/* ---- Head, events, pages ---- */

static void hear_rolls(struct listener *listener, int count) {
  unsigned long long last = 0;
  for (int i = 0; i < count; i++) {
    unsigned d6, d20;
    int end = 0;
    assert_true(hear_event(listener));
    assert_string_equal(listener->type, "message");
    assert_int_equal(sscanf(listener->data, "{\"1D6\": %u, \"1D20\": %u}%n", &d6, &d20, &end), 2);
    assert_int_equal(listener->data[end], '\0');
    assert_in_range(d6, 1, 6);
    assert_in_range(d20, 1, 20);
    if (i > 0) assert_int_equal(listener->seq, last + 1);
    last = listener->seq;
  }
}

static void head_and_events_are_as_promised(void **state) {
  (void)state;
  struct child child;
  struct listener listener;
  start(&child, "0", "0.02", "0", "1");
  int64_t begun = now_ms();
  assert_true(listener_open(&listener, child.port, NULL, TEXT_MAX));
  hear_rolls(&listener, 50);
  assert_true(now_ms() - begun >= 49 * 20 - 100); /* not faster than the interval */
  assert_ptr_equal(strstr(listener.head, "HTTP/1.1 200 OK\r\n"), listener.head);
  assert_non_null(strstr(listener.head, "\r\nContent-Type: text/event-stream\r\n"));
  assert_non_null(strstr(listener.head, "\r\nCache-Control: no-store, no-transform\r\n"));
  assert_non_null(strstr(listener.head, "\r\nX-Accel-Buffering: no\r\n"));
  listener_close(&listener);
  assert_int_equal(child_stop(&child, SIGINT), 0);
}

/* Who has heard a roll knows that there is the channel, with one stream. */
static void metrics_tell_of_the_channel(void **state) {
  (void)state;
  struct child child;
  struct listener listener;
  start(&child, "0", "0.02", "0", "1");
  assert_true(listener_open(&listener, child.port, NULL, TEXT_MAX));
  hear_rolls(&listener, 1);
  ask(child.port, "GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", text,
      sizeof text);
  assert_non_null(strstr(text, "\nlibsse_channel_streams{channel=\"dice\"} 1\n"));
  listener_close(&listener);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/* What a person sees who tries it by hand. */
static void curl_shows_head_and_events(void **state) {
  (void)state;
  struct child child, curl;
  char url[64], line[256];
  unsigned d6, d20, rolls = 0;
  start(&child, "0", "0.02", "0", "1");
  snprintf(url, sizeof url, "http://127.0.0.1:%d/stream/", child.port);
  assert_true(
      child_exec(&curl, "curl", (const char *const[]){"-N", "-s", "-i", "-m", "60", url, NULL}));
  assert_true(read_line(curl.out, line, sizeof line));
  assert_string_equal(line, "HTTP/1.1 200 OK\r\n");
  while (rolls < 10 && read_line(curl.out, line, sizeof line))
    rolls += sscanf(line, "data: {\"1D6\": %u, \"1D20\": %u}", &d6, &d20) == 2;
  assert_int_equal(rolls, 10);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
  while (read_line(curl.out, line, sizeof line)) continue;
  assert_int_equal(child_wait(&curl), 0);
}

static void pages_and_refusals(void **state) {
  (void)state;
  struct child child;
  static const struct {
    const char *request, *wants;
  } rows[] = {
      {"GET / ", "HTTP/1.1 200 OK\r\nContent-Type: text/html"},
      {"GET /page.js ", "HTTP/1.1 200 OK\r\nContent-Type: text/javascript"},
      {"GET /style.css ", "HTTP/1.1 200 OK\r\nContent-Type: text/css"},
      {"HEAD / ", "HTTP/1.1 200 OK\r\nContent-Type: text/html"},
      {"GET /metrics ", "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"},
      {"GET /metrics ", "\nlibsse_loops 1\n"},
      {"GET /no ", "HTTP/1.1 404 "},
      {"POST / ", "HTTP/1.1 405 "},
      {"POST /stream/ ", "\r\nAllow: GET, HEAD, OPTIONS\r\n"},
      {"GET ", "HTTP/1.1 400 "},
  };
  start(&child, "0", "1", "0", "1");
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char request[128];
    snprintf(request, sizeof request, "%sHTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
             rows[i].request);
    ask(child.port, request, text, sizeof text);
    if (!strstr(text, rows[i].wants)) fail_msg("%s: got \"%.200s\"", rows[i].request, text);
  }
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/* With an hour between two rolls, what comes after the start can only be heartbeats. */
static void silence_is_broken_by_heartbeats(void **state) {
  (void)state;
  struct child child;
  assert_true(child_run(
      &child, "dice-roll",
      (const char *const[]){"--port", "0", "--interval", "3600", "--heartbeat", "0.1", NULL}));
  assert_true(read_line(child.out, text, sizeof text));
  assert_int_equal(sscanf(text, "dice-roll: listening on http://127.0.0.1:%d/\n", &child.port), 1);
  int fd = dial(child.port);
  assert_true(fd >= 0);
  say(fd, "GET /stream/ HTTP/1.1\r\nHost: h\r\n\r\n");
  assert_true(hear_until(fd, text, sizeof text, "\n\n:\n:\n"));
  close(fd);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/* ---- Resume ---- */

static void resume_is_exact(void **state) {
  (void)state;
  struct child child;
  struct listener first, second;
  char id[64];
  start(&child, "0", "0.01", "0", "2");
  assert_true(listener_open(&first, child.port, NULL, TEXT_MAX));
  hear_rolls(&first, 5);
  snprintf(id, sizeof id, "%s", first.id);
  unsigned long long seq = first.seq;
  hear_rolls(&first, 30); /* which the second one has missed */
  assert_true(listener_open(&second, child.port, id, TEXT_MAX));
  hear_rolls(&second, 60); /* without a gap event */
  assert_int_equal(second.seq, seq + 60);
  listener_close(&first);
  listener_close(&second);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

static void a_restart_is_told(void **state) {
  (void)state;
  struct child child;
  struct listener listener;
  char id[64], port[8];
  start(&child, "0", "0.01", "0", "1");
  assert_true(listener_open(&listener, child.port, NULL, TEXT_MAX));
  hear_rolls(&listener, 5);
  snprintf(id, sizeof id, "%s", listener.id);
  listener_close(&listener);
  snprintf(port, sizeof port, "%d", child.port);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
  start(&child, port, "0.01", "0", "1");
  assert_true(listener_open(&listener, child.port, id, TEXT_MAX));
  assert_true(hear_event(&listener));
  assert_string_equal(listener.type, "gap");
  assert_non_null(strstr(listener.data, "\"restart\""));
  hear_rolls(&listener, 20);
  listener_close(&listener);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/* ---- The end ---- */

static void it_ends_with_open_streams(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    struct child child;
    struct listener listeners[20];
    start(&child, "0", "0.01", "0", i == 0 ? "1" : "4");
    for (int k = 0; k < 20; k++)
      assert_true(listener_open(&listeners[k], child.port, NULL, TEXT_MAX));
    for (int k = 0; k < 20; k++) hear_rolls(&listeners[k], 2);
    assert_int_equal(child_stop(&child, i == 0 ? SIGTERM : SIGINT), 0);
    for (int k = 0; k < 20; k++) {
      assert_true(hear_all(listeners[k].fd, text, sizeof text) >= 0);
      listener_close(&listeners[k]);
    }
  }
}

/* ---- Many ---- */

struct crowd {
  struct listener listeners[CROWD];
  unsigned long long next[CROWD]; /* number that must come next; 0: any */
  int heard[CROWD];
  int done;
  char rolls[4096][48]; /* by number: what the first who heard it was told */
};

static void hear_one(struct crowd *crowd, int i) {
  struct listener *listener = &crowd->listeners[i];
  assert_true(listener_read(listener));
  while (next_event(listener)) {
    assert_string_equal(listener->type, "message");
    if (crowd->next[i] > 0) assert_int_equal(listener->seq, crowd->next[i]);
    crowd->next[i] = listener->seq + 1;
    assert_true(listener->seq < 4096);
    char *roll = crowd->rolls[listener->seq];
    if (*roll == '\0') snprintf(roll, sizeof crowd->rolls[0], "%s", listener->data);
    assert_string_equal(listener->data, roll);
    if (++crowd->heard[i] == CROWD_EVENTS) crowd->done++;
  }
}

static void a_thousand_hear_the_same(void **state) {
  (void)state;
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_max < CROWD + 50) skip();
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  struct child child;
  static struct crowd crowd;
  static struct pollfd fds[CROWD];
  start(&child, "0", "0.1", "0", "2");
  for (int i = 0; i < CROWD; i++) {
    assert_true(listener_open(&crowd.listeners[i], child.port, NULL, 16384));
    fds[i] = (struct pollfd){.fd = crowd.listeners[i].fd, .events = POLLIN};
  }
  int64_t until = now_ms() + PATIENCE_MS;
  while (crowd.done < CROWD && now_ms() < until) {
    assert_true(poll(fds, CROWD, PATIENCE_MS) > 0);
    for (int i = 0; i < CROWD; i++)
      if (fds[i].revents) hear_one(&crowd, i);
  }
  assert_int_equal(crowd.done, CROWD);
  for (int i = 0; i < CROWD; i++) listener_close(&crowd.listeners[i]);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

/* ---- One who never reads ---- */

/* Resident memory in kB; 0 where the system does not tell. */
static long resident_kb(pid_t pid) {
  char path[64], line[256];
  long kb = 0;
  snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
  FILE *file = fopen(path, "r");
  while (file && kb == 0 && fgets(line, sizeof line, file)) sscanf(line, "VmRSS: %ld", &kb);
  if (file) fclose(file);
  return kb;
}

/* Follows the readers until each has had so many events, and each of them. */
static long read_the_flood(struct child *child, struct listener *readers) {
  struct pollfd fds[READERS];
  unsigned long long last[READERS] = {0};
  long most_kb = 0;
  int heard[READERS] = {0}, done = 0;
  for (int i = 0; i < READERS; i++) fds[i] = (struct pollfd){.fd = readers[i].fd, .events = POLLIN};
  int64_t until = now_ms() + 2 * PATIENCE_MS;
  while (done < READERS && now_ms() < until) {
    assert_true(poll(fds, READERS, PATIENCE_MS) > 0);
    for (int i = 0; i < READERS; i++) {
      if (!fds[i].revents) continue;
      assert_true(listener_read(&readers[i]));
      while (next_event(&readers[i])) {
        if (strcmp(readers[i].type, "gap") == 0) { /* this program was not given the time */
          last[i] = 0;
          continue;
        }
        assert_string_equal(readers[i].type, "message");
        if (last[i] > 0) assert_int_equal(readers[i].seq, last[i] + 1);
        last[i] = readers[i].seq;
        if (++heard[i] == FLOOD_EVENTS) done++;
        if (heard[i] % 50 == 0) {
          long kb = resident_kb(child->pid);
          if (kb > most_kb) most_kb = kb;
        }
      }
    }
  }
  assert_int_equal(done, READERS);
  return most_kb;
}

/* What was sent before the client fell behind comes first, then the gap, then what is retained. */
static void hear_the_gap(int fd, struct listener *silent) {
  silent->fd = fd;
  unsigned long long last = 0;
  do {
    assert_true(hear_event(silent));
    if (strcmp(silent->type, "gap") != 0) {
      if (last > 0) assert_int_equal(silent->seq, last + 1);
      last = silent->seq;
    }
  } while (strcmp(silent->type, "gap") != 0);
  assert_non_null(strstr(silent->data, "\"slow\""));
  assert_true(silent->seq > last);
  last = silent->seq;
  assert_true(hear_event(silent));
  assert_int_equal(silent->seq, last + 1);
}

static void one_who_never_reads_costs_nothing(void **state) {
  (void)state;
  struct child child;
  struct listener readers[READERS], silent = {.cap = TEXT_MAX, .buf = malloc(TEXT_MAX)};
  char payload[16];
  assert_non_null(silent.buf);
  snprintf(payload, sizeof payload, "%d", PAYLOAD_BYTES);
  start(&child, "0", "0.002", payload, "1");
  int fd = dial_with(child.port, 4096);
  assert_true(fd >= 0);
  say(fd, "GET /stream/ HTTP/1.1\r\nHost: h\r\n\r\n");
  long before_kb = resident_kb(child.pid);
  for (int i = 0; i < READERS; i++)
    assert_true(listener_open(&readers[i], child.port, NULL, (size_t)4 * 1024 * 1024));
  long growth_kb = read_the_flood(&child, readers) - before_kb;
  print_message("resident memory before %ld kB, growth at most %ld kB\n", before_kb, growth_kb);
  if (MEMORY_IS_TRUE) assert_true(growth_kb < GROWTH_MAX_KB);
  for (int i = 0; i < READERS; i++) listener_close(&readers[i]);
  hear_the_gap(fd, &silent);
  listener_close(&silent);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(options),
      cmocka_unit_test(a_store_that_cannot_be_used_is_one_line),
      cmocka_unit_test(a_port_in_use_is_one_line),
      cmocka_unit_test(it_answers_to_its_names_only),
      cmocka_unit_test(head_and_events_are_as_promised),
      cmocka_unit_test(metrics_tell_of_the_channel),
      cmocka_unit_test(curl_shows_head_and_events),
      cmocka_unit_test(pages_and_refusals),
      cmocka_unit_test(silence_is_broken_by_heartbeats),
      cmocka_unit_test(resume_is_exact),
      cmocka_unit_test(a_restart_is_told),
      cmocka_unit_test(it_ends_with_open_streams),
      cmocka_unit_test(a_thousand_hear_the_same),
      cmocka_unit_test(one_who_never_reads_costs_nothing),
  };
  return cmocka_run_group_tests_name("dice-roll", tests, NULL, NULL);
}
