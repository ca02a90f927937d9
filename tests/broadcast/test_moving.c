/* SPDX-License-Identifier: MIT */
/* test_moving.c: nothing is lost: between polls and streams, in a pipeline, and by a restart. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "client.h"

static char folder[] = "/tmp/broadcast-XXXXXX";
static char engine[64]; /* "sqlite:FILE"; "": the program has none */

static int make_folder(void **state) {
  (void)state;
  char text[256];
  if (!mkdtemp(folder)) return -1;
  child_outcome("broadcast", (const char *const[]){"--version", NULL}, text, sizeof text);
  if (strstr(text, " sqlite")) snprintf(engine, sizeof engine, "sqlite:%s/log", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  static const char *const endings[] = {"log", "log-wal", "log-shm"};
  for (size_t i = 0; i < 3; i++) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, endings[i]);
    unlink(path);
  }
  return rmdir(folder);
}

/* ---- A publisher that never pauses ---- */

enum {
  LEAD_MAX = 300, /* events that the client may be behind: less than a window has */
  EVENTS = 3000
};

struct publisher {
  pthread_t thread;
  int port;
  atomic_int stop, failed, heard; /* the last number that the client has */
  int said;
};

static int publish_one(int fd, const char *form) {
  char bytes[512], reply[1024];
  snprintf(bytes, sizeof bytes,
           "POST /publish HTTP/1.1\r\nHost: h\r\n" FORM "Content-Length: %zu\r\n\r\n%s",
           strlen(form), form);
  say(fd, bytes);
  return hear_until(fd, reply, sizeof reply, "\"status\":\"ok\"") ? 0 : -1;
}

/* While the client is behind, the events are for another channel, so that the numbers go on. */
static void *publish_on(void *arg) {
  struct publisher *publisher = arg;
  int fd = dial(publisher->port);
  while (!publisher->stop && !publisher->failed) {
    char form[64];
    if (publisher->said - publisher->heard < LEAD_MAX)
      snprintf(form, sizeof form, "channel=moving&message=%d", ++publisher->said);
    else
      snprintf(form, sizeof form, "channel=noise&message=m");
    publisher->failed = publish_one(fd, form) != 0;
  }
  close(fd);
  return NULL;
}

/* ---- A client that changes its ways ---- */

struct mover {
  struct publisher *publisher;
  const struct child *server;
  char id[160]; /* the last one, of whatever it has heard */
  int number;   /* the last one */
};

static void hear_number(struct mover *mover, const char *type, const char *data) {
  if (strcmp(type, "sse-position") == 0) return;
  if (strcmp(type, "message") != 0) fail_msg("after %d: %s %s", mover->number, type, data);
  if (atoi(data) != mover->number + 1) fail_msg("after %d: %s", mover->number, data);
  mover->publisher->heard = ++mover->number;
}

static void move_by_stream(struct mover *mover, int events) {
  struct listener listener;
  char target[512];
  snprintf(target, sizeof target, "GET /?channel=moving&last_event_id=%s", mover->id);
  stream_open(&listener, mover->server, target, "", "");
  while (events-- > 0) {
    assert_true(hear_event(&listener));
    hear_number(mover, listener.type, listener.data);
  }
  if (*listener.id) snprintf(mover->id, sizeof mover->id, "%s", listener.id);
  listener_close(&listener);
}

static void poll_with(struct mover *mover, const char *path, const char *headers) {
  char target[512];
  snprintf(target, sizeof target, "GET %s?channel=moving&timeout=0.05&last_event_id=%s", path,
           mover->id);
  assert_int_equal(request(mover->server, target, headers, ""), 200);
}

static void move_by_poll(struct mover *mover, const char *path, const char *headers) {
  poll_with(mover, path, headers);
  /* The body is read as a stream that has come whole. */
  struct listener listener = {.buf = strstr(answer, "\r\n\r\n") + 4, .past_head = 1};
  listener.len = strlen(listener.buf);
  while (next_event(&listener)) hear_number(mover, listener.type, listener.data);
  snprintf(mover->id, sizeof mover->id, "%s", listener.id);
}

static void move_by_json(struct mover *mover) {
  poll_with(mover, "/poll", "Accept: application/json\r\n");
  for (const char *at = answer; (at = strstr(at, "{\"id\":\"")); at++) {
    char type[32], data[256] = "";
    assert_true(sscanf(at, "{\"id\":\"%159[^\"]\",\"event\":\"%31[^\"]\",\"data\":\"%255[^\"]",
                       mover->id, type, data) >= 2);
    hear_number(mover, type, data);
  }
}

static void move_on(struct mover *mover) {
  assert_int_equal(request(mover->server, "GET /poll?channel=moving&timeout=0", "", ""), 200);
  assert_int_equal(sscanf(strstr(answer, "Last-Event-ID"), "Last-Event-ID: %159[^\r]", mover->id),
                   1);
  pthread_create(&mover->publisher->thread, NULL, publish_on, mover->publisher);
  for (int move = 0; mover->number < EVENTS && !mover->publisher->failed; move++) {
    if (move % 4 == 0) move_by_stream(mover, move % 23);
    if (move % 4 == 1) move_by_poll(mover, "/poll", "");
    if (move % 4 == 2) move_by_json(mover);
    if (move % 4 == 3) move_by_poll(mover, "/stream", "X-Requested-With: XMLHttpRequest\r\n");
  }
  mover->publisher->stop = 1;
  pthread_join(mover->publisher->thread, NULL);
  assert_false(mover->publisher->failed);
}

static void a_client_moves_without_loss(void **state) {
  (void)state;
  for (int kind = 0; kind < 2; kind++) {
    struct child child;
    if (kind == 1 && !*engine) continue;
    server_start(&child, (const char *const[]){"--threads", "2", "--engine",
                                               kind == 1 ? engine : "memory", NULL});
    struct publisher publisher = {.port = child.port};
    struct mover mover = {.publisher = &publisher, .server = &child};
    move_on(&mover);
    assert_int_equal(child_stop(&child, SIGTERM), 0);
  }
}

/* ---- A pipeline ---- */

enum {
  PIPELINED = 5000
};

static void *send_all(void *arg) {
  static const char form[] = "channel=pipe&message=m";
  int fd = *(int *)arg;
  for (int i = 0; i < PIPELINED; i++) {
    char bytes[512];
    snprintf(bytes, sizeof bytes,
             "POST /publish HTTP/1.1\r\nHost: h\r\n%s" FORM "Content-Length: %zu\r\n\r\n%s",
             i == PIPELINED - 1 ? "Connection: close\r\n" : "", strlen(form), form);
    say(fd, bytes);
  }
  return NULL;
}

/* Each publish is acknowledged, and the ids are in the order of the requests. */
static void a_pipeline_is_acknowledged_in_order(void **state) {
  (void)state;
  for (int kind = 0; kind < 2; kind++) {
    struct child child;
    pthread_t sender;
    if (kind == 1 && !*engine) continue;
    server_start(&child, (const char *const[]){"--engine", kind == 1 ? engine : "memory", NULL});
    int fd = dial(child.port);
    pthread_create(&sender, NULL, send_all, &fd);
    assert_true(hear_all(fd, answer, sizeof answer) > 0);
    pthread_join(sender, NULL);
    close(fd);
    unsigned long long last = 0, number;
    int count = 0;
    for (const char *at = answer; (at = strstr(at, "\"id\":\"")); at++, count++) {
      assert_int_equal(sscanf(at, "\"id\":\"%*[^.].%llu", &number), 1);
      if (last && number != last + 1) fail_msg("%llu behind %llu", number, last);
      last = number;
    }
    assert_int_equal(count, PIPELINED);
    assert_int_equal(child_stop(&child, SIGTERM), 0);
  }
}

/* ---- Restarts ---- */

static void ids_hold_across_restarts(void **state) {
  (void)state;
  char ids[6][160], target[512];
  if (!*engine) skip();
  for (int life = 0; life < 3; life++) {
    struct child child;
    struct listener listener;
    server_start(&child, (const char *const[]){"--engine", engine, NULL});
    if (life > 0) { /* a client of the life before goes on behind its first event, without a gap */
      snprintf(target, sizeof target, "GET /?channel=kept&last_event_id=%s", ids[life * 2 - 2]);
      stream_open(&listener, &child, target, "", "");
      hear_data(&listener, "second");
      assert_string_equal(listener.id, ids[life * 2 - 1]);
    }
    snprintf(ids[life * 2], sizeof *ids, "%s", publish(&child, "channel=kept&message=first"));
    snprintf(ids[life * 2 + 1], sizeof *ids, "%s", publish(&child, "channel=kept&message=second"));
    if (life > 0) {
      hear_data(&listener, "first");
      assert_string_equal(listener.id, ids[life * 2]);
      listener_close(&listener);
    }
    snprintf(target, sizeof target, "channel=kept&message=m&id=retried-%d", life / 2);
    assert_int_equal(request(&child, "POST /publish", FORM, target), 200);
    /* What the log has is known to the next life, so that a retry is safe. */
    assert_int_equal(strstr(answer, "repeated") != NULL, life == 1);
    publish(&child, "channel=kept&message=first");
    snprintf(ids[life * 2], sizeof *ids, "%s", publish(&child, "channel=kept&message=zero"));
    snprintf(ids[life * 2 + 1], sizeof *ids, "%s", publish(&child, "channel=kept&message=second"));
    if (life == 0) {
      kill(child.pid, SIGKILL);
      child_wait(&child);
    } else {
      assert_int_equal(child_stop(&child, SIGTERM), 0);
    }
  }
}

/* ---- A log that fails ---- */

#ifdef __linux__
/* The files of a process may not grow, or may again. */
static void limit_files(const struct child *child, rlim_t bytes) {
  const struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
  assert_int_equal(prlimit(child->pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

static void a_log_that_fails_is_told(void **state) {
  (void)state;
  struct child child;
  struct listener listener;
  static const char form[] = "channel=failing&message=lost&id=retried";
  static const char line[] = "{\"channel\":\"failing\",\"message\":\"lost\"}";
  if (!*engine) skip();
  signal(SIGXFSZ, SIG_IGN); /* which the server inherits */
  server_start(&child, (const char *const[]){"--engine", engine, NULL});
  stream_open(&listener, &child, "GET /?channel=failing", "", "");
  await_clients(&child, "failing", 1);
  assert_int_equal(request(&child, "GET /health/ready", "", ""), 200);
  limit_files(&child, 0);
  assert_int_equal(request(&child, "POST /publish", FORM, form), 503);
  assert_non_null(strstr(answer, "\r\nRetry-After: 1\r\n"));
  assert_int_equal(request(&child, "POST /publish", JSON, line), 503);
  assert_int_equal(request(&child, "GET /health/ready", "", ""), 503);
  assert_non_null(strstr(answer, "the engine fails: "));
  assert_int_equal(request(&child, "GET /health/live", "", ""), 200);
  assert_int_equal(request(&child, "GET /metrics", "", ""), 200);
  assert_non_null(strstr(answer, "\nbroadcast_engine_failing 1\n"));
  limit_files(&child, RLIM_INFINITY);
  assert_int_equal(request(&child, "POST /publish", FORM, form), 200);
  publish(&child, "channel=failing&message=end");
  assert_int_equal(request(&child, "GET /health/ready", "", ""), 200);
  hear_data(&listener, "lost"); /* once */
  hear_data(&listener, "end");
  listener_close(&listener);
  assert_int_equal(child_stop(&child, SIGTERM), 0);
}
#else
static void a_log_that_fails_is_told(void **state) {
  (void)state;
  skip();
}
#endif

/* An empty path would be a file that SQLite removes at the end. */
static void a_log_needs_a_place(void **state) {
  (void)state;
  static const char *const engines[] = {"sqlite", "sqlite:", "sqlite:/nonexistent/log"};
  char text[512];
  if (!*engine) skip();
  for (size_t i = 0; i < 3; i++) {
    const char *const args[] = {"--port", "0", "--engine", engines[i], NULL};
    assert_int_equal(child_outcome("broadcast", args, text, sizeof text), 1);
    assert_memory_equal(text, "broadcast: --engine sqlite", strlen("broadcast: --engine sqlite"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_client_moves_without_loss),
      cmocka_unit_test(a_pipeline_is_acknowledged_in_order),
      cmocka_unit_test(ids_hold_across_restarts),
      cmocka_unit_test(a_log_that_fails_is_told),
      cmocka_unit_test(a_log_needs_a_place),
  };
  return cmocka_run_group_tests_name("broadcast, moving", tests, make_folder, remove_folder);
}
