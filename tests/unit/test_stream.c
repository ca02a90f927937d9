/* SPDX-License-Identifier: MIT */
/* test_stream.c: opening a stream, its first bytes, peek, consume, read, and its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

#define EVENT(text, id) "data: " text "\nid: " id "\n\n"

/* A hub whose retry is not spread, so that first bytes are exact. */
static void open_world(struct world *world, size_t frames_max) {
  const sse_hub_config config = {.retry_ms = 1, .channel.window_frames_max = frames_max};
  world_open(world, &config);
}

/* ---- opening ---- */

/* Before: E.1 to E.4 on "a" and "b" in turn, of which each window keeps the last `kept`. */
static const struct start_row {
  const char *name;
  const char *channels[3];
  size_t kept;
  const char *last_id;
  sse_resume verdict;
  const char *bytes;
} start_rows[] = {
    {"no id starts now",
     {"a"},
     9,
     NULL,
     SSE_RESUME_NONE,
     "retry: 1\nevent: sse-position\ndata:\nid: E.4\n\n"},
    {"an empty id is none",
     {"a"},
     9,
     "",
     SSE_RESUME_NONE,
     "retry: 1\nevent: sse-position\ndata:\nid: E.4\n\n"},
    {"a new channel starts now",
     {"new"},
     9,
     NULL,
     SSE_RESUME_NONE,
     "retry: 1\nevent: sse-position\ndata:\nid: E.4\n\n"},
    {"resume one channel",
     {"a"},
     9,
     "E.1",
     SSE_RESUME_RESUMED,
     "retry: 1\nevent: sse-position\ndata:\nid: E.1\n\n" EVENT("3", "E.3")},
    {"resume at the head",
     {"a"},
     9,
     "E.4",
     SSE_RESUME_RESUMED,
     "retry: 1\nevent: sse-position\ndata:\nid: E.4\n\n"},
    {"resume two channels in order",
     {"b", "a"},
     9,
     "E.1",
     SSE_RESUME_RESUMED,
     "retry: 1\nevent: sse-position\ndata:\nid: E.1\n\n" EVENT("2", "E.2") EVENT("3", "E.3")
         EVENT("4", "E.4")},
    {"resume before the first",
     {"a"},
     9,
     "E.0",
     SSE_RESUME_RESUMED,
     "retry: 1\nevent: sse-position\ndata:\nid: E.0\n\n" EVENT("1", "E.1") EVENT("3", "E.3")},
    {"evicted: the gap primes",
     {"a"},
     1,
     "E.0",
     SSE_RESUME_EVICTED,
     "retry: 1\nevent: gap\ndata: {\"reason\":\"evicted\",\"requested\":\"E.0\",\"resume\":\"E.2\","
     "\"channels\":[\"a\"]}\nid: E.2\n\n" EVENT("3", "E.3")},
    {"evicted in one of two channels",
     {"a", "b"},
     1,
     "E.1",
     SSE_RESUME_EVICTED,
     "retry: 1\nevent: gap\ndata: {\"reason\":\"evicted\",\"requested\":\"E.1\",\"resume\":\"E.2\","
     "\"channels\":[\"b\"]}\nid: E.2\n\n" EVENT("3", "E.3") EVENT("4", "E.4")},
    {"at what was evicted nothing is lost",
     {"a"},
     1,
     "E.1",
     SSE_RESUME_RESUMED,
     "retry: 1\nevent: sse-position\ndata:\nid: E.1\n\n" EVENT("3", "E.3")},
    {"another epoch replays what there is",
     {"a"},
     9,
     "F.3",
     SSE_RESUME_RESTART,
     "retry: 1\nevent: gap\ndata: {\"reason\":\"restart\",\"requested\":\"F.3\",\"resume\":\"E.0\","
     "\"channels\":[\"a\"]}\nid: E.0\n\n" EVENT("1", "E.1") EVENT("3", "E.3")},
    {"another epoch and nothing there",
     {"new"},
     9,
     "F.3",
     SSE_RESUME_RESTART,
     "retry: 1\nevent: gap\ndata: {\"reason\":\"restart\",\"requested\":\"F.3\",\"resume\":\"E.4\","
     "\"channels\":[\"new\"]}\nid: E.4\n\n"},
    {"an id of nobody's replays what there is",
     {"a"},
     1,
     ".3",
     SSE_RESUME_UNKNOWN,
     "retry: 1\nevent: gap\ndata: {\"reason\":\"unknown\",\"requested\":\".3\",\"resume\":\"E.2\","
     "\"channels\":[\"a\"]}\nid: E.2\n\n" EVENT("3", "E.3")},
    {"no id at all is live only and not echoed",
     {"a"},
     9,
     " 3",
     SSE_RESUME_MALFORMED,
     "retry: 1\nevent: gap\ndata: {\"reason\":\"malformed\",\"resume\":\"E.4\","
     "\"channels\":[\"a\"]}\nid: E.4\n\n"},
    {"what JSON must escape is escaped",
     {"new"},
     9,
     "x\t\\\"y",
     SSE_RESUME_UNKNOWN,
     "retry: 1\nevent: gap\ndata: "
     "{\"reason\":\"unknown\",\"requested\":\"x\\u0009\\\\\\\"y\",\"resume\":\"E.4\","
     "\"channels\":[\"new\"]}\nid: E.4\n\n"},
    {"an id that no event can have is not echoed",
     {"new"},
     9,
     "x\x1fy",
     SSE_RESUME_MALFORMED,
     "retry: 1\nevent: gap\ndata: {\"reason\":\"malformed\",\"resume\":\"E.4\","
     "\"channels\":[\"new\"]}\nid: E.4\n\n"},
    {"a number never given is live only",
     {"a"},
     9,
     "E.5",
     SSE_RESUME_FUTURE,
     "retry: 1\nevent: gap\ndata: {\"reason\":\"future\",\"requested\":\"E.5\",\"resume\":\"E.4\","
     "\"channels\":[\"a\"]}\nid: E.4\n\n"},
    {"malformed is live only and not echoed",
     {"a"},
     9,
     "E.01",
     SSE_RESUME_MALFORMED,
     "retry: 1\nevent: gap\ndata: {\"reason\":\"malformed\",\"resume\":\"E.4\","
     "\"channels\":[\"a\"]}\nid: E.4\n\n"},
    {"quotes in names are escaped",
     {"q\"\\"},
     9,
     "E.02",
     SSE_RESUME_MALFORMED,
     "retry: 1\nevent: gap\ndata: {\"reason\":\"malformed\",\"resume\":\"E.4\","
     "\"channels\":[\"q\\\"\\\\\"]}\nid: E.4\n\n"},
    {"nearly one of the hub's, unfinished",
     {"a"},
     9,
     "E.01~",
     SSE_RESUME_MALFORMED,
     "retry: 1\nevent: gap\ndata: {\"reason\":\"malformed\",\"resume\":\"E.4\","
     "\"channels\":[\"a\"]}\nid: E.4\n\n"},
    {"nearly one of another's may be the application's",
     {"new"},
     9,
     "x.01",
     SSE_RESUME_UNKNOWN,
     "retry: 1\nevent: gap\ndata: {\"reason\":\"unknown\",\"requested\":\"x.01\","
     "\"resume\":\"E.4\",\"channels\":[\"new\"]}\nid: E.4\n\n"},
};

static void test_start(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof start_rows / sizeof *start_rows; i++) {
    const struct start_row *row = &start_rows[i];
    struct world world = {0};
    sse_stream *stream;
    print_message("  %s\n", row->name);
    open_world(&world, row->kept);
    world_send(&world, "a", "1");
    world_send(&world, "b", "2");
    world_send(&world, "a", "3");
    world_send(&world, "b", "4");
    const sse_stream_config config = {.channels = row->channels, .last_id = row->last_id};
    assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
    assert_int_equal(sse_stream_resume_result(stream), row->verdict);
    assert_string_equal(world_read(stream), row->bytes);
    assert_int_equal(world_read_result(), 0);
    sse_stream_free(stream);
    world_close(&world);
  }
}

static const sse_http_head plain_head = {.headers = NULL};

static const struct first_row {
  const char *name;
  sse_position position;
  int32_t retry_ms;
  const sse_http_head *head;
  const char *bytes;
} first_rows[] = {
    {"an event", SSE_POSITION_EVENT, 1, NULL, "retry: 1\nevent: sse-position\ndata:\nid: E.0\n\n"},
    {"no position", SSE_POSITION_OFF, 1, NULL, "retry: 1\n"},
    {"no retry", SSE_POSITION_EVENT, SSE_NEVER, NULL, "event: sse-position\ndata:\nid: E.0\n\n"},
    {"nothing at all", SSE_POSITION_OFF, SSE_NEVER, NULL, ""},
    {"behind a head", SSE_POSITION_EVENT, SSE_NEVER, &plain_head,
     "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store, "
     "no-transform\r\n"
     "X-Accel-Buffering: no\r\nConnection: close\r\n\r\n"
     "event: sse-position\ndata:\nid: E.0\n\n"},
};

static void test_first_bytes(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof first_rows / sizeof *first_rows; i++) {
    const struct first_row *row = &first_rows[i];
    struct world world = {0};
    sse_stream *stream;
    print_message("  %s\n", row->name);
    open_world(&world, 0);
    const sse_stream_config config = {
        .channel = "a", .position = row->position, .retry_ms = row->retry_ms, .head = row->head};
    assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
    assert_string_equal(world_read(stream), row->bytes);
    sse_stream_free(stream);
    world_close(&world);
  }
}

/* The retry is spread between the configured time and one and a half times that. */
static void test_retry_is_spread(void **state) {
  (void)state;
  struct world world = {0};
  const sse_hub_config config = {.retry_ms = 1000};
  int low = 1500, high = 1000;
  world_open(&world, &config);
  for (int i = 0; i < 200; i++) {
    sse_stream *stream = world_stream(&world, "a", NULL, NULL);
    int retry = atoi(world_read(stream) + strlen("retry: "));
    assert_in_range(retry, 1000, 1499);
    if (retry < low) low = retry;
    if (retry > high) high = retry;
    sse_stream_free(stream);
  }
  assert_true(low < 1100 && high > 1400);
  world_close(&world);
}

static int no_wake(void *arg, unsigned why) {
  (void)arg;
  (void)why;
  return 0;
}

#define CHANNELS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_open_errors(void **state) {
  (void)state;
  struct world world = {0}, other = {0};
  struct wakes wakes = {0};
  sse_loop *loop, *foreign;
  const sse_http_head bad_head = {.headers = CHANNELS("no colon")};
  const sse_hub_config limits = {.stream_channels_max = 2, .channels_max = 3, .streams_max = 2};
  world_open(&world, &limits);
  world_open(&other, NULL);
  assert_int_equal(sse_loop_new(&loop, world.hub,
                                &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                   SSE_OK);
  assert_int_equal(sse_loop_new(&foreign, other.hub,
                                &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                   SSE_OK);
  const struct {
    const char *name;
    sse_stream_config config;
    int error;
  } rows[] = {
      {"no channel", {.channel = NULL}, SSE_EINVAL},
      {"both forms", {.channel = "a", .channels = CHANNELS("b")}, SSE_EINVAL},
      {"an empty list", {.channels = (const char *const[]){NULL}}, SSE_EINVAL},
      {"a channel twice", {.channels = CHANNELS("a", "a")}, SSE_EINVAL},
      {"an empty name", {.channel = ""}, SSE_ENAME},
      {"a control character", {.channel = "a\n"}, SSE_ENAME},
      {"bad UTF-8", {.channels = CHANNELS("a", "\xff")}, SSE_ENAME},
      {"too many for a stream", {.channels = CHANNELS("a", "b", "c")}, SSE_ECHANNELS},
      {"wake and loop", {.channel = "a", .loop = loop, .wake = no_wake}, SSE_EINVAL},
      {"a loop of another hub", {.channel = "a", .loop = foreign}, SSE_EINVAL},
      {"a bad head", {.channel = "a", .head = &bad_head}, SSE_EHEADER},
      {"a bad time", {.channel = "a", .stall_ms = -2}, SSE_EINVAL},
      {"a bad position", {.channel = "a", .position = (sse_position)3}, SSE_EINVAL},
      {"reserved", {.channel = "a", .reserved = {&world}}, SSE_EINVAL},
  };
  size_t blocks = world_blocks();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    sse_stream *stream = (sse_stream *)&world;
    print_message("  %s\n", rows[i].name);
    assert_int_equal(sse_stream_open(&stream, world.hub, &rows[i].config), rows[i].error);
    assert_ptr_equal(stream, &world);
    assert_int_equal(sse_hub_count(world.hub, NULL), 0);
    /* The timers keep the room that they once had. */
    assert_true(world_blocks() <= blocks + 1);
  }
  const sse_stream_config good = {.channel = "a"};
  sse_stream *streams[3];
  assert_int_equal(sse_stream_open(NULL, world.hub, &good), SSE_EINVAL);
  assert_int_equal(sse_stream_open(&streams[0], NULL, &good), SSE_EINVAL);
  assert_int_equal(sse_stream_open(&streams[0], world.hub, NULL), SSE_EINVAL);
  streams[0] = world_stream(&world, "a", NULL, NULL);
  streams[1] = world_stream(&world, "a", NULL, loop);
  assert_int_equal(sse_stream_open(&streams[2], world.hub, &good), SSE_ESTREAMS);
  sse_stream_free(streams[1]);
  /* A channel that cannot be had leaves none behind that was made for the same stream. */
  world_send(&world, "b", "x");
  const sse_stream_config two = {.channels = CHANNELS("c", "d"), .loop = loop};
  assert_int_equal(sse_stream_open(&streams[1], world.hub, &two), SSE_ECHANNELS);
  streams[1] = world_stream(&world, "d", NULL, loop);
  sse_stream_free(streams[0]);
  sse_stream_free(streams[1]);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  assert_int_equal(sse_loop_free(foreign), SSE_OK);
  assert_int_equal(sse_hub_free(other.hub), SSE_OK);
  world_close(&world);
}

/* ---- peek, consume, read ---- */

static const char three[] =
    "retry: 1\nevent: sse-position\ndata:\nid: E.0\n\n" EVENT("one", "E.1") EVENT("two", "E.2");

static sse_stream *open_three(struct world *world) {
  open_world(world, 0);
  sse_stream *stream = world_stream(world, "a", NULL, NULL);
  world_send(world, "a", "one");
  world_send(world, "a", "two");
  return stream;
}

/* Appends what a peek lends. */
static size_t gather(char *to, const struct iovec *iov, int count) {
  size_t len = 0;
  for (int i = 0; i < count; i++) {
    memcpy(to + len, iov[i].iov_base, iov[i].iov_len);
    len += iov[i].iov_len;
  }
  return len;
}

/* Consumes in two parts at every point: the second peek gives the rest of the same bytes. */
static void test_consume_at_every_split(void **state) {
  (void)state;
  for (size_t split = 0; split < strlen(three); split++) {
    struct world world = {0};
    sse_stream *stream = open_three(&world);
    struct iovec iov[64];
    char seen[256], again[256];
    size_t done = 0;
    for (int count; (count = sse_stream_peek(stream, iov, 64)) > 0;) {
      size_t len = gather(seen + done, iov, count);
      assert_memory_equal(seen + done, three + done, len);
      if (done <= split && split < done + len) {
        sse_stream_consume(stream, split - done);
        assert_int_equal(gather(again, iov, sse_stream_peek(stream, iov, 64)), done + len - split);
        assert_memory_equal(again, three + split, done + len - split);
        len -= split - done;
        done = split;
      }
      sse_stream_consume(stream, len);
      done += len;
    }
    assert_int_equal(done, strlen(three));
    sse_stream_free(stream);
    world_close(&world);
  }
}

static void test_read_of_every_size(void **state) {
  (void)state;
  for (size_t cap = 1; cap <= strlen(three); cap++) {
    struct world world = {0};
    sse_stream *stream = open_three(&world);
    char text[256];
    size_t len = 0;
    ssize_t got;
    while ((got = sse_stream_read(stream, text + len, cap)) > 0) {
      assert_true((size_t)got <= cap);
      len += (size_t)got;
    }
    assert_int_equal(got, 0);
    assert_int_equal(len, strlen(three));
    assert_memory_equal(text, three, len);
    sse_stream_free(stream);
    world_close(&world);
  }
}

/* What is lent neither moves nor changes when every frame of the hub is evicted meanwhile. */
static void test_lent_bytes_are_stable(void **state) {
  (void)state;
  struct world world = {0};
  struct iovec iov[64], later[64];
  open_world(&world, 2);
  sse_stream *stream = world_stream(&world, "a", NULL, NULL);
  world_read(stream);
  world_send(&world, "a", "one");
  world_send(&world, "a", "two");
  assert_int_equal(sse_stream_peek(stream, iov, 64), 2);
  for (int i = 0; i < 5; i++) world_send(&world, "a", "later");
  assert_int_equal(sse_stream_peek(stream, later, 64), 2);
  assert_memory_equal(iov, later, 2 * sizeof *iov);
  assert_memory_equal(iov[0].iov_base, EVENT("one", "E.1"), iov[0].iov_len);
  assert_memory_equal(iov[1].iov_base, EVENT("two", "E.2"), iov[1].iov_len);
  sse_stream_consume(stream, iov[0].iov_len + iov[1].iov_len);
  assert_string_equal(
      world_read(stream),
      "event: gap\ndata: {\"reason\":\"slow\",\"resume\":\"E.5\",\"channels\":[\"a\"],"
      "\"lost\":3}\nid: E.5\n\n" EVENT("later", "E.6") EVENT("later", "E.7"));
  sse_stream_free(stream);
  world_close(&world);
}

static void test_bad_calls(void **state) {
  (void)state;
  struct world world = {0};
  struct iovec iov[1];
  char byte;
  sse_stream *stream = open_three(&world);
  assert_int_equal(sse_stream_peek(stream, iov, 0), SSE_EINVAL);
  assert_int_equal(sse_stream_read(stream, NULL, 1), SSE_EINVAL);
  assert_int_equal(sse_stream_read(stream, &byte, 0), SSE_EINVAL);
  sse_stream_consume(stream, 0);
  assert_string_equal(world_read(stream), three);
  /* More than was lent ends the stream. */
  world_send(&world, "a", "x");
  assert_int_equal(sse_stream_peek(stream, iov, 1), 1);
  sse_stream_consume(stream, iov[0].iov_len + 1);
  assert_int_equal(sse_stream_peek(stream, iov, 1), SSE_ECALLBACK);
  sse_stream_free(stream);
  world_close(&world);
}

/* ---- the end ---- */

static void test_two_phases(void **state) {
  (void)state;
  struct world world = {0};
  struct iovec iov[64];
  char seen[256];
  sse_stream *stream = open_three(&world);
  assert_ptr_equal(sse_stream_user(stream), NULL);
  int count = sse_stream_peek(stream, iov, 64);
  assert_int_equal(sse_hub_count(world.hub, "a"), 1);
  sse_stream_detach(stream);
  sse_stream_detach(stream);
  assert_int_equal(sse_hub_count(world.hub, "a"), 0);
  assert_int_equal(sse_hub_count(world.hub, NULL), 1);
  assert_int_equal(sse_hub_free(world.hub), SSE_EBUSY);
  size_t len = gather(seen, iov, count);
  assert_memory_equal(seen, three, len);
  sse_stream_consume(stream, len);
  assert_int_equal(sse_stream_peek(stream, iov, 64), SSE_EDETACHED);
  assert_int_equal(sse_stream_wait(stream, 0), SSE_EDETACHED);
  sse_stream_free(stream);
  sse_stream_free(NULL);
  sse_stream_detach(NULL);
  world_close(&world);
}

/* Streams that hold more of the ceiling than their share are ended, those that hold longest first.
 */
static void test_pinning_is_bounded(void **state) {
  (void)state;
  struct world world = {0};
  struct iovec iov[64];
  char text[2048];
  const sse_hub_config config = {.memory_bytes_max = 64 << 10, .event_bytes_max = 4096};
  sse_stream *streams[3];
  memset(text, 'x', sizeof text);
  text[sizeof text - 1] = '\0';
  world_open(&world, &config);
  for (int i = 0; i < 3; i++) {
    streams[i] = world_stream(&world, "a", NULL, NULL);
    world_read(streams[i]);
  }
  for (int i = 0; i < 6; i++) world_send(&world, "a", text);
  assert_int_equal(sse_stream_peek(streams[0], iov, 64), 6);
  for (int i = 0; i < 6; i++) world_send(&world, "a", text);
  assert_int_equal(sse_stream_peek(streams[1], iov, 64), 12);
  for (int i = 0; i < 60; i++) {
    int error = sse_hub_publish_text(world.hub, "a", NULL, text);
    assert_true(error == SSE_OK || error == SSE_EFULL);
    assert_true(world_bytes() <= (64u << 10) + 16384);
  }
  assert_int_equal(sse_stream_peek(streams[0], iov, 64), SSE_EPINNED);
  sse_stream_free(streams[0]);
  sse_stream_free(streams[1]);
  world_send(&world, "a", "goes again");
  assert_non_null(strstr(world_read(streams[2]), "goes again"));
  sse_stream_free(streams[2]);
  world_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_start),
      cmocka_unit_test(test_first_bytes),
      cmocka_unit_test(test_retry_is_spread),
      cmocka_unit_test(test_open_errors),
      cmocka_unit_test(test_consume_at_every_split),
      cmocka_unit_test(test_read_of_every_size),
      cmocka_unit_test(test_lent_bytes_are_stable),
      cmocka_unit_test(test_bad_calls),
      cmocka_unit_test(test_two_phases),
      cmocka_unit_test(test_pinning_is_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
