/* SPDX-License-Identifier: MIT */
/* test_engines.c: what every engine promises, whatever its log is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "follow.h"
#include "nats_server.h"
#include "rabbit_server.h"
#include "redis_server.h"

enum {
  THREADS = 4,
  OF_A_THREAD = 100,
  EVENT_BYTES = 4096,
  WIRE_MAX = 16384
};

static const char *const kinds[] = {"memory", "sqlite", "redis", "nats", "amqp"};
static struct redis_server server;
static struct nats_server nats;
static struct rabbit_server rabbit;

/* A new log of a kind; NULL: its server is not there. */
static const char *fresh_log(const char *kind) {
  static char url[128];
  static unsigned count;
  if (strcmp(kind, "nats") == 0) {
    if (nats.child.pid <= 0 && !nats_server_make(&nats, with_jetstream)) return NULL;
    snprintf(url, sizeof url, "%s/LOG-%u", nats.url, count++);
    return url;
  }
  if (strcmp(kind, "amqp") == 0) {
    if (rabbit.child.pid <= 0 && !rabbit_make(&rabbit)) return NULL;
    snprintf(url, sizeof url, "%s?queue=log-%u", rabbit.url, count++);
    return url;
  }
  if (strcmp(kind, "redis") != 0) return fresh_file();
  if (server.child.pid <= 0 && !server_make(&server, "")) return NULL;
  snprintf(url, sizeof url, "%s?key=log-%u", server.url, count++);
  return url;
}

/* Runs a test with each kind that is there. */
static void with_each(void (*test)(const char *kind)) {
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (engine_find(kinds[i]) && fresh_log(kinds[i])) test(kinds[i]);
}

static struct engine *up(const char *kind) {
  const sse_hub_config hub = {.event_bytes_max = EVENT_BYTES};
  return engine_up(kind, &(struct engine_config){.where = fresh_log(kind), .hub = &hub});
}

static uint64_t head_of(struct engine *engine) {
  struct engine_status status;
  engine_status(engine, &status);
  return status.head;
}

/* The engine of RabbitMQ appends an entry without an event when it is opened, and when started. */
static uint64_t marks(const char *kind, unsigned starts) {
  return strcmp(kind, "amqp") == 0 ? 2 * starts : 0;
}

/* ---- order and ids ---- */

static void check_order(const char *kind) {
  struct engine *engine = up(kind);
  struct client client;
  char ids[100][SSE_ID_BYTES_MAX + 1], text[16];
  client_init(&client);
  client_open(&client, engine_hub(engine), &(sse_stream_config){.channel = "a"});
  for (int i = 0; i < 100; i++) {
    snprintf(text, sizeof text, "%d", i);
    assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = text}, ids[i]), 0);
  }
  assert_true(client_wait(&client, 100));
  assert_int_equal(client.count, 100);
  for (int i = 0; i < 100; i++) {
    snprintf(text, sizeof text, "%d", i);
    assert_string_equal(client.seen[i].data, text);
    assert_string_equal(client.seen[i].id, ids[i]);
  }
  client_free(&client);
  engine_down(engine);
}

static void events_keep_their_order_and_ids(void **state) {
  (void)state;
  with_each(check_order);
}

struct publisher {
  struct engine *engine;
  unsigned index;
  pthread_t thread;
  int errors;
};

static void *run_publisher(void *arg) {
  struct publisher *publisher = arg;
  char text[32];
  for (unsigned i = 0; i < OF_A_THREAD; i++) {
    snprintf(text, sizeof text, "%u %u", publisher->index, i);
    publisher->errors +=
        engine_publish(publisher->engine, NAMES("a"), &(sse_event){.text = text}, NULL) != 0;
  }
  return NULL;
}

static void check_threads(const char *kind) {
  struct engine *engine = up(kind);
  struct client client;
  struct publisher publishers[THREADS];
  unsigned next[THREADS] = {0};
  client_init(&client);
  client_open(&client, engine_hub(engine), &(sse_stream_config){.channel = "a"});
  for (unsigned i = 0; i < THREADS; i++) {
    publishers[i] = (struct publisher){.engine = engine, .index = i};
    pthread_create(&publishers[i].thread, NULL, run_publisher, &publishers[i]);
  }
  for (unsigned i = 0; i < THREADS; i++) pthread_join(publishers[i].thread, NULL);
  assert_true(client_wait(&client, THREADS * OF_A_THREAD));
  for (size_t i = 0; i < client.count; i++) {
    unsigned index, serial;
    assert_int_equal(sscanf(client.seen[i].data, "%u %u", &index, &serial), 2);
    assert_int_equal(serial, next[index]++);
    if (i > 0) assert_true(client.seen[i].number > client.seen[i - 1].number);
  }
  for (unsigned i = 0; i < THREADS; i++) assert_int_equal(publishers[i].errors, 0);
  for (unsigned i = 0; i < THREADS; i++) assert_int_equal(next[i], OF_A_THREAD);
  client_free(&client);
  engine_down(engine);
}

static void threads_publish_at_the_same_time(void **state) {
  (void)state;
  with_each(check_threads);
}

/* ---- refused events ---- */

static char long_name[SSE_CHANNEL_NAME_BYTES_MAX + 2], long_key[SSE_KEY_BYTES_MAX + 2];
static const char *many_names[SSE_PUBLISH_CHANNELS_MAX + 2];

static const struct {
  const char *name;
  const char *const *channels;
  sse_event event;
} refused_rows[] = {
    {"no payload", NAMES("a"), {.type = "t"}},
    {"both forms of a payload", NAMES("a"), {.text = "x", .data = "x", .data_len = 1}},
    {"length without bytes", NAMES("a"), {.data_len = 1}},
    {"reset of the id", NAMES("a"), {.text = "x", .flags = SSE_RESET_ID}},
    {"unknown flag", NAMES("a"), {.text = "x", .flags = 0x8000}},
    {"tombstone without a key", NAMES("a"), {.text = "x", .flags = SSE_TOMBSTONE}},
    {"ephemeral with an id", NAMES("a"), {.text = "x", .id = "i", .flags = SSE_EPHEMERAL}},
    {"ephemeral with a key", NAMES("a"), {.text = "x", .key = "k", .flags = SSE_EPHEMERAL}},
    {"type of two lines", NAMES("a"), {.text = "x", .type = "a\nb"}},
    {"type that is no UTF-8", NAMES("a"), {.text = "x", .type = "\xff"}},
    {"payload that is no UTF-8", NAMES("a"), {.text = "\xff"}},
    {"payload with CR", NAMES("a"), {.text = "\r", .flags = SSE_REFUSE_CR}},
    {"comment that is no UTF-8", NAMES("a"), {.text = "x", .comment = "\xff"}},
    {"retry below 0", NAMES("a"), {.text = "x", .retry_ms = -1}},
    {"empty id", NAMES("a"), {.text = "x", .id = ""}},
    {"id of a hub", NAMES("a"), {.text = "x", .id = "E.1"}},
    {"unfinished id of a hub", NAMES("a"), {.text = "x", .id = "E.1~"}},
    {"empty key", NAMES("a"), {.text = "x", .key = ""}},
    {"long key", NAMES("a"), {.text = "x", .key = long_key}},
    {"no channel", (const char *const[]){NULL}, {.text = "x"}},
    {"empty name", NAMES(""), {.text = "x"}},
    {"name with a newline", NAMES("a\nb"), {.text = "x"}},
    {"name with DEL", NAMES("a\x7f"), {.text = "x"}},
    {"name that is no UTF-8", NAMES("\xc3"), {.text = "x"}},
    {"second name is bad", NAMES("a", ""), {.text = "x"}},
    {"long name", NAMES(long_name), {.text = "x"}},
    {"a name twice", NAMES("a", "b", "a"), {.text = "x"}},
    {"many names", many_names, {.text = "x"}},
    {"reserved member", NAMES("a"), {.text = "x", .reserved = {long_key, NULL}}},
};

/* A hub of its own is the model: the engine refuses with the same error, before the log. */
static void check_refused(const char *kind) {
  struct engine *engine = up(kind);
  sse_hub *model;
  assert_int_equal(sse_hub_new(&model, NULL), 0);
  for (size_t i = 0; i < sizeof refused_rows / sizeof refused_rows[0]; i++) {
    const sse_event *ev = &refused_rows[i].event;
    int wanted = sse_hub_publish_to(model, refused_rows[i].channels, ev);
    int error = engine_publish(engine, refused_rows[i].channels, ev, NULL);
    if (wanted == 0 || error != wanted)
      fail_msg("%s, %s: %s instead of %s", kind, refused_rows[i].name, sse_error_name(error),
               sse_error_name(wanted));
  }
  assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = "x", .number = 1}, NULL),
                   SSE_EINVAL);
  assert_int_equal(head_of(engine), marks(kind, 1));
  publish(engine, "a", "the next");
  assert_int_equal(head_of(engine), 1 + marks(kind, 1));
  sse_hub_free(model);
  engine_down(engine);
}

static void what_a_hub_refuses_never_gets_into_the_log(void **state) {
  (void)state;
  memset(long_name, 'n', sizeof long_name - 1);
  memset(long_key, 'k', sizeof long_key - 1);
  static char names[SSE_PUBLISH_CHANNELS_MAX + 1][16];
  for (int i = 0; i <= SSE_PUBLISH_CHANNELS_MAX; i++) {
    snprintf(names[i], sizeof names[i], "%d", i);
    many_names[i] = names[i];
  }
  with_each(check_refused);
}

/* The longest event of an engine is the longest of its hub, to the byte. */
static void check_sizes(const char *kind) {
  static char payload[EVENT_BYTES + 1];
  static const char *const ids[] = {NULL, "an id of the application"};
  struct engine *engine = up(kind);
  sse_hub *model;
  const sse_hub_config config = {.event_bytes_max = EVENT_BYTES};
  assert_int_equal(sse_hub_new(&model, &config), 0);
  for (size_t i = 0; i < 2; i++) {
    unsigned taken = 0;
    for (size_t len = EVENT_BYTES - 80; len <= EVENT_BYTES; len++) {
      char id[64];
      snprintf(id, sizeof id, "%s %03u", ids[i] ? ids[i] : "", (unsigned)(len % 1000));
      memset(payload, 'x', len);
      const sse_event ev = {.data = payload, .data_len = len, .id = ids[i] ? id : NULL};
      int wanted = sse_hub_publish(model, "a", &ev);
      assert_int_equal(engine_publish(engine, NAMES("a"), &ev, NULL), wanted);
      taken += wanted == 0;
    }
    assert_in_range(taken, 1, 80);
  }
  sse_hub_free(model);
  engine_down(engine);
}

static void the_longest_event_is_that_of_the_hub(void **state) {
  (void)state;
  with_each(check_sizes);
}

/* What depends on what the hub has; the next event is published all the same. */
static void check_state(const char *kind) {
  struct engine *engine = up(kind);
  struct client client;
  client_init(&client);
  client_open(&client, engine_hub(engine), &(sse_stream_config){.channel = "a"});
  const sse_event twice = {.text = "x", .id = "an id"};
  assert_int_equal(engine_publish(engine, NAMES("a"), &twice, NULL), 0);
  assert_int_equal(engine_publish(engine, NAMES("a"), &twice, NULL), SSE_EIDUSED);
  sse_hub_finish(engine_hub(engine), "finished");
  assert_int_equal(engine_publish(engine, NAMES("finished"), &(sse_event){.text = "x"}, NULL),
                   SSE_EFINISHED);
  publish(engine, "a", "y");
  assert_true(client_wait(&client, 2));
  assert_string_equal(client.seen[0].id, "an id");
  assert_string_equal(client.seen[1].data, "y");
  assert_int_equal(client.gaps, 0);
  client_free(&client);
  engine_down(engine);
}

static void what_a_hub_refuses_by_its_state_is_passed_over(void **state) {
  (void)state;
  with_each(check_state);
}

/* ---- the rest ---- */

static void check_ephemeral(const char *kind) {
  struct engine *engine = up(kind);
  struct client client;
  char id[SSE_ID_BYTES_MAX + 1] = "x";
  client_init(&client);
  client_open(&client, engine_hub(engine), &(sse_stream_config){.channel = "a"});
  assert_int_equal(
      engine_publish(engine, NAMES("a"), &(sse_event){.text = "now", .flags = SSE_EPHEMERAL}, id),
      0);
  assert_string_equal(id, "");
  assert_true(client_wait(&client, 1));
  assert_string_equal(client.seen[0].data, "now");
  assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = "kept"}, id), 0);
  uint64_t number = strcmp(kind, "memory") == 0 ? 2 : 1 + marks(kind, 1);
  assert_int_equal(strtoull(strchr(id, '.') + 1, NULL, 10), number);
  client_free(&client);
  engine_down(engine);
}

static void an_ephemeral_event_goes_past_the_log(void **state) {
  (void)state;
  with_each(check_ephemeral);
}

static void count_call(void *arg, int error, const char *id) {
  int *calls = arg;
  assert_int_equal(error, 0);
  assert_non_null(strchr(id, '.'));
  (*calls)++;
}

static void check_life(const char *kind) {
  struct engine *engine;
  char problem[ENGINE_PROBLEM_MAX];
  const sse_event ev = {.text = "x"};
  const sse_event held = {.text = "v", .key = "k"};
  int calls = 0;
  const struct engine_config config = {.where = fresh_log(kind)};
  assert_int_equal(engine_open(&engine, engine_find(kind), &config, problem), 0);
  assert_int_equal(engine_publish(engine, NAMES("a"), &ev, NULL), ENGINE_ESTOPPED);
  sse_hub_configure_channel(engine_hub(engine), "state",
                            &(sse_channel_config){.conflate = SSE_YES});
  assert_int_equal(engine_start(engine), 0);
  assert_int_equal(engine_publish(engine, NAMES("state"), &ev, NULL), SSE_EKEY);
  assert_int_equal(engine_publish(engine, NAMES("state"), &held, NULL), 0);
  for (int i = 0; i < 50; i++)
    assert_int_equal(engine_submit(engine, NAMES("a"), &ev, count_call, &calls), 0);
  assert_int_equal(engine_submit(engine, NAMES("a"), &ev, NULL, NULL), 0);
  engine_stop(engine); /* answers first */
  assert_int_equal(calls, 50);
  assert_int_equal(engine_publish(engine, NAMES("a"), &ev, NULL), ENGINE_ESTOPPED);
  struct engine_status status;
  engine_status(engine, &status);
  assert_string_equal(status.kind, kind);
  assert_int_equal(status.appended, 52);
  assert_int_equal(status.failed, 0);
  assert_int_equal(status.waiting, 0);
  assert_int_equal(status.waiting_bytes, 0);
  assert_int_equal(status.failing, 0);
  engine_down(engine);
}

static void it_takes_events_from_start_to_stop(void **state) {
  (void)state;
  with_each(check_life);
}

static void check_busy_free(const char *kind) {
  struct engine *engine = up(kind);
  struct client client;
  client_init(&client);
  client_open(&client, engine_hub(engine), &(sse_stream_config){.channel = "a"});
  assert_int_equal(engine_free(engine), SSE_EBUSY);
  client_free(&client);
  engine_down(engine);
}

static void a_hub_in_use_is_not_freed(void **state) {
  (void)state;
  with_each(check_busy_free);
}

static void a_hub_that_cannot_be_made_says_why(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    struct engine *engine;
    char problem[ENGINE_PROBLEM_MAX];
    const sse_hub_config hub = {.heartbeat_ms = -2};
    if (!engine_find(kinds[i]) || !fresh_log(kinds[i])) continue;
    const struct engine_config config = {.where = fresh_log(kinds[i]), .hub = &hub};
    assert_int_equal(engine_open(&engine, engine_find(kinds[i]), &config, problem), SSE_EINVAL);
    assert_string_equal(problem, "heartbeat_ms is below SSE_NEVER");
  }
}

/* ---- what a log keeps ---- */

/* With each kind whose log outlives an engine. */
static void with_each_log(void (*test)(const char *kind)) {
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strcmp(kinds[i], "memory") != 0 && engine_find(kinds[i]) && fresh_log(kinds[i]))
      test(kinds[i]);
}

static size_t filtered;
static char filter_log[1024];

static int note_event(void *arg, const sse_filter_event *event) {
  (void)arg;
  filtered += (size_t)snprintf(filter_log + filtered, sizeof filter_log - filtered, "%s=%llu ",
                               event->key ? event->key : "-", (unsigned long long)event->label);
  return 1;
}

/* All bytes of a stream of each channel that comes with this id, and what their filters see. */
static size_t wire_of(struct engine *engine, const char *id, char *wire) {
  static const char *const names[] = {"a", "b"};
  size_t len = 0;
  filtered = 0;
  for (size_t i = 0; i < 2; i++) {
    sse_stream *stream;
    const sse_stream_config config = {
        .channel = names[i], .last_id = id, .filter = note_event, .retry_ms = SSE_NEVER};
    ssize_t got;
    assert_int_equal(sse_stream_open(&stream, engine_hub(engine), &config), 0);
    while ((got = sse_stream_read(stream, wire + len, WIRE_MAX - len)) > 0) len += (size_t)got;
    sse_stream_free(stream);
  }
  return len;
}

static const struct {
  const char *const *channels;
  sse_event event;
} whole[] = {
    {NAMES("a"), {.text = "text"}},
    {NAMES("a", "b"), {.text = "two channels", .type = "type"}},
    {NAMES("b"), {.data = "a\0b\r\nc", .data_len = 6, .label = UINT64_MAX}},
    {NAMES("a"), {.data = "", .data_len = 0, .comment = "one\ntwo"}},
    {NAMES("a"), {.text = "\xff", .type = "\xfe", .flags = SSE_ANY_BYTES}},
    {NAMES("a"), {.text = "retry", .retry_ms = 1234}},
    {NAMES("a"), {.text = "retry 0", .retry_ms = SSE_RETRY_ZERO}},
    {NAMES("a"), {.text = "key", .key = "the key", .label = 7}},
    {NAMES("a"), {.text = "gone", .key = "the key", .flags = SSE_TOMBSTONE}},
    {NAMES("a"), {.text = "id", .id = "id of the application"}},
    {NAMES("a"), {.text = "\xc3\xa4", .type = "\xc3\xb6", .key = "\xc3\xbc"}},
};

static void check_members(const char *kind) {
  static char live[WIRE_MAX], loaded[WIRE_MAX];
  char seen[sizeof filter_log], start[SSE_ID_BYTES_MAX + 1];
  const struct engine_config config = {.where = fresh_log(kind)};
  struct engine *engine = engine_up(kind, &config);
  sse_hub_position(engine_hub(engine), start, sizeof start);
  for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
    assert_int_equal(engine_publish(engine, whole[i].channels, &whole[i].event, NULL), 0);
  size_t live_len = wire_of(engine, start, live);
  memcpy(seen, filter_log, sizeof seen);
  assert_non_null(strstr(seen, "the key=7 "));
  engine_down(engine);
  engine = engine_up(kind, &config);
  size_t loaded_len = wire_of(engine, start, loaded);
  assert_int_equal(loaded_len, live_len);
  assert_memory_equal(loaded, live, live_len);
  assert_string_equal(filter_log, seen);
  engine_down(engine);
}

/* The same bytes, keys and labels come from the log as came from the publish. */
static void every_member_comes_back(void **state) {
  (void)state;
  with_each_log(check_members);
}

static void check_restart(const char *kind) {
  struct client client;
  const struct engine_config config = {.where = fresh_log(kind)};
  struct engine *engine = engine_up(kind, &config);
  follow(&client, engine);
  publish(engine, "a", "1");
  publish(engine, "a", "2");
  assert_told(&client, 2, "1 2");
  client_close(&client);
  publish(engine, "a", "3");
  engine_down(engine);
  engine = engine_up(kind, &config);
  publish(engine, "a", "4");
  connect_to(&client, engine);
  assert_int_equal(sse_stream_resume_result(client.stream), SSE_RESUME_RESUMED);
  assert_told(&client, 4, "1 2 3 4");
  assert_int_equal(client.seen[3].number, 4 + marks(kind, 2));
  client_free(&client);
  engine_down(engine);
}

static void a_client_goes_on_after_a_restart(void **state) {
  (void)state;
  with_each_log(check_restart);
}

static void check_shared(const char *kind) {
  enum {
    COUNT = 200
  };
  struct client clients[2];
  struct engine *engines[2];
  const struct engine_config config = {.where = fresh_log(kind), .poll_ms = 1};
  for (int i = 0; i < 2; i++) {
    engines[i] = engine_up(kind, &config);
    follow(&clients[i], engines[i]);
  }
  for (int i = 0; i < COUNT; i++)
    assert_int_equal(engine_submit(engines[i % 2], NAMES("a"),
                                   &(sse_event){.text = i % 2 ? "b" : "a"}, NULL, NULL),
                     0);
  for (int i = 0; i < 2; i++) assert_true(client_wait(&clients[i], COUNT));
  for (size_t i = 0; i < COUNT; i++) {
    assert_string_equal(clients[0].seen[i].id, clients[1].seen[i].id);
    assert_string_equal(clients[0].seen[i].data, clients[1].seen[i].data);
    assert_int_equal(clients[0].seen[i].number, i + 1 + marks(kind, 2));
  }
  /* The clients change places; the other engine may be behind. */
  client_close(&clients[0]);
  publish(engines[1], "a", "last");
  assert_true(client_wait(&clients[1], COUNT + 1));
  client_close(&clients[1]);
  connect_to(&clients[1], engines[0]);
  connect_to(&clients[0], engines[1]);
  assert_true(client_wait(&clients[0], COUNT + 1));
  publish(engines[0], "a", "the end");
  for (int i = 0; i < 2; i++) {
    assert_true(client_wait(&clients[i], COUNT + 2));
    assert_int_equal(clients[i].count, COUNT + 2);
    assert_int_equal(clients[i].gaps, 0);
    client_free(&clients[i]);
  }
  for (int i = 0; i < 2; i++) engine_down(engines[i]);
}

/* Two hubs on one log have the same events under the same ids. */
static void two_engines_share_a_log(void **state) {
  (void)state;
  with_each_log(check_shared);
}

static void errors_have_texts(void **state) {
  (void)state;
  assert_string_equal(engine_error_text(ENGINE_ESTOPPED), "the engine is stopped");
  assert_string_equal(engine_error_text(SSE_ETOOBIG), sse_error_text(SSE_ETOOBIG));
  assert_null(engine_find("paper"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(events_keep_their_order_and_ids),
      cmocka_unit_test(threads_publish_at_the_same_time),
      cmocka_unit_test(what_a_hub_refuses_never_gets_into_the_log),
      cmocka_unit_test(the_longest_event_is_that_of_the_hub),
      cmocka_unit_test(what_a_hub_refuses_by_its_state_is_passed_over),
      cmocka_unit_test(an_ephemeral_event_goes_past_the_log),
      cmocka_unit_test(it_takes_events_from_start_to_stop),
      cmocka_unit_test(a_hub_in_use_is_not_freed),
      cmocka_unit_test(a_hub_that_cannot_be_made_says_why),
      cmocka_unit_test(every_member_comes_back),
      cmocka_unit_test(a_client_goes_on_after_a_restart),
      cmocka_unit_test(two_engines_share_a_log),
      cmocka_unit_test(errors_have_texts),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  remove_files();
  server_free(&server);
  nats_server_free(&nats);
  rabbit_free(&rabbit);
  return failed;
}
