/* SPDX-License-Identifier: MIT */
/* test_prometheus.c: the text for Prometheus, line by line; promtool judges it in check-metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define TEXT_MAX     32768

static char text[TEXT_MAX + 1];

static const char *print(sse_hub *hub, const char *const *channels) {
  ssize_t len = sse_stats_prometheus(text, TEXT_MAX, hub, channels);
  assert_true(len > 0 && len < TEXT_MAX);
  text[len] = '\0';
  return text;
}

/* How often a whole line is there. */
static unsigned lines_of(const char *all, const char *line) {
  unsigned count = 0;
  size_t len = strlen(line);
  for (const char *at = all; (at = strstr(at, line)); at += len) {
    count += (at == all || at[-1] == '\n') && at[len] == '\n';
  }
  return count;
}

/* A world in which each number is moved: an event of each latency, a gap, ends, a channel whose
 * name needs care. */
struct busy {
  struct world world;
  struct wakes wakes;
  sse_loop *loop;
  sse_stream *stream, *lone;
};

static const char careful[] = "a \"b\\c\" \xc3\xa4{}";

static void open_busy(struct busy *busy) {
  sse_stats stats;
  memset(busy, 0, sizeof *busy);
  world_open(&busy->world, &(sse_hub_config){.stall_ms = 60000, .retry_ms = SSE_NEVER});
  assert_int_equal(
      sse_loop_new(&busy->loop, busy->world.hub,
                   &(const sse_loop_config){.wake = world_wake, .wake_arg = &busy->wakes}),
      SSE_OK);
  busy->stream = world_stream(&busy->world, "a", NULL, busy->loop);
  busy->lone = world_stream(&busy->world, careful, "F.1", NULL);
  assert_int_equal(sse_hub_stats(busy->world.hub, "a", &stats), SSE_OK);
  world_read(busy->lone);
  for (sse_stream *stream; (stream = sse_loop_next(busy->loop));) world_read(stream);
  world_send(&busy->world, "a", "1");
  busy->world.now_ms += 1500;
  for (sse_stream *stream; (stream = sse_loop_next(busy->loop));) world_read(stream);
  world_send(&busy->world, careful, "2");
  world_read(busy->lone);
}

static void close_busy(struct busy *busy) {
  sse_stream_free(busy->stream);
  sse_stream_free(busy->lone);
  assert_int_equal(sse_loop_free(busy->loop), SSE_OK);
  world_close(&busy->world);
}

#define CAREFUL "{channel=\"a \\\"b\\\\c\\\" \xc3\xa4{}\"}"

static void lines_as_promised(void **state) {
  (void)state;
  static const struct {
    const char *line;
    unsigned count;
  } rows[] = {
      {"# TYPE libsse_published_events_total counter", 1},
      {"libsse_published_events_total 2", 1},
      {"libsse_delivered_events_total 2", 1},
      {"libsse_wakes_total 1", 1},
      {"libsse_gaps_total{reason=\"restart\"} 1", 1},
      {"libsse_gaps_total{reason=\"slow\"} 0", 1},
      {"libsse_streams_opened_total{verdict=\"none\"} 1", 1},
      {"libsse_streams_opened_total{verdict=\"restart\"} 1", 1},
      {"libsse_streams_closed_total{reason=\"host\"} 0", 1},
      {"libsse_streams_closed_total{reason=\"stalled\"} 0", 1},
      {"libsse_streams_closed_total{reason=\"slow\"} 0", 1},
      {"# TYPE libsse_streams gauge", 1},
      {"libsse_streams 2", 1},
      {"libsse_channels 2", 1},
      {"libsse_memory_max_bytes 67108864", 1},
      {"libsse_oldest_frame_seconds 1.5", 1},
      {"libsse_lag_events 0", 1},
      {"libsse_lag_seconds 0", 1},
      {"# TYPE libsse_latency_seconds histogram", 1},
      {"libsse_latency_seconds_bucket{le=\"0.000001\"} 1", 1},
      {"libsse_latency_seconds_bucket{le=\"1.048576\"} 1", 1},
      {"libsse_latency_seconds_bucket{le=\"2.097152\"} 2", 1},
      {"libsse_latency_seconds_bucket{le=\"33.554432\"} 2", 1},
      {"libsse_latency_seconds_bucket{le=\"+Inf\"} 2", 1},
      {"libsse_latency_seconds_sum 1.5", 1},
      {"libsse_latency_seconds_count 2", 1},
      {"# TYPE libsse_channel_streams gauge", 1},
      {"libsse_channel_streams{channel=\"a\"} 1", 1},
      {"libsse_channel_streams" CAREFUL " 1", 1},
      {"libsse_channel_latency_seconds_bucket{channel=\"a\",le=\"1.048576\"} 0", 1},
      {"libsse_channel_latency_seconds_bucket{channel=\"a\",le=\"2.097152\"} 1", 1},
      {"libsse_channel_latency_seconds_sum{channel=\"a\"} 1.5", 1},
      {"libsse_channel_latency_seconds_count" CAREFUL " 0", 1},
      {"libsse_channel_streams{channel=\"gone\"} 0", 0},
  };
  struct busy busy;
  open_busy(&busy);
  print(busy.world.hub, CHANNELS("a", "gone", careful, "a"));
  for (size_t i = 0; i < COUNT(rows); i++) {
    unsigned count = lines_of(text, rows[i].line);
    if (count != rows[i].count) fail_msg("%u times: %s\n%s", count, rows[i].line, text);
  }
  assert_null(strstr(text, "gone"));
  close_busy(&busy);
}

static void channels_are_left_out(void **state) {
  (void)state;
  const char *const nothing = NULL;
  const char *const *const lists[] = {NULL, &nothing, CHANNELS("gone", "")};
  struct busy busy;
  open_busy(&busy);
  for (size_t i = 0; i < COUNT(lists); i++) {
    assert_null(strstr(print(busy.world.hub, lists[i]), "libsse_channel_"));
    assert_int_equal(text[strlen(text) - 1], '\n');
  }
  close_busy(&busy);
}

static void an_end_has_its_name(void **state) {
  (void)state;
  struct busy busy;
  open_busy(&busy);
  sse_stream *stream = world_stream(&busy.world, "a", NULL, NULL);
  sse_stream_consume(stream, 1000);
  sse_stream_free(stream);
  print(busy.world.hub, NULL);
  assert_int_equal(lines_of(text, "libsse_streams_closed_total{reason=\"callback\"} 1"), 1);
  close_busy(&busy);
}

/* At every cap it tells the same length, writes that much of the same, and not one byte more. */
static void every_cap(void **state) {
  (void)state;
  static char cut[TEXT_MAX + 1];
  struct busy busy;
  open_busy(&busy);
  const char *const *channels = CHANNELS("a", careful);
  size_t len = strlen(print(busy.world.hub, channels));
  assert_int_equal(sse_stats_prometheus(NULL, 0, busy.world.hub, channels), len);
  memset(cut, '#', sizeof cut);
  for (size_t cap = 0; cap <= len + 1; cap++) {
    assert_int_equal(sse_stats_prometheus(cut, cap, busy.world.hub, channels), len);
    size_t written = cap < len ? cap : len;
    assert_memory_equal(cut, text, written);
    assert_int_equal(cut[written], '#');
  }
  close_busy(&busy);
}

static void refusals(void **state) {
  (void)state;
  char buf[8];
  struct world world = {0};
  world_open(&world, NULL);
  assert_int_equal(sse_stats_prometheus(buf, sizeof buf, NULL, NULL), SSE_EINVAL);
  assert_int_equal(sse_stats_prometheus(NULL, 1, world.hub, NULL), SSE_EINVAL);
  assert_true(sse_stats_prometheus(NULL, 0, world.hub, NULL) > 0);
  world_close(&world);
}

/* What seldom ends a stream is there once it has. */
static void an_unusual_end_has_its_name(void **state) {
  (void)state;
  const sse_stream_config config = {.channel = "a", .tag = "me"};
  struct busy busy;
  sse_stream *stream;
  open_busy(&busy);
  assert_null(strstr(print(busy.world.hub, NULL), "reason=\"disconnected\""));
  assert_int_equal(sse_stream_open(&stream, busy.world.hub, &config), SSE_OK);
  assert_int_equal(sse_hub_disconnect(busy.world.hub, "me"), 1);
  sse_stream_free(stream);
  print(busy.world.hub, NULL);
  assert_int_equal(lines_of(text, "libsse_streams_closed_total{reason=\"disconnected\"} 1"), 1);
  assert_null(strstr(text, "reason=\"drained\""));
  close_busy(&busy);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_as_promised),
      cmocka_unit_test(channels_are_left_out),
      cmocka_unit_test(an_end_has_its_name),
      cmocka_unit_test(every_cap),
      cmocka_unit_test(refusals),
      cmocka_unit_test(an_unusual_end_has_its_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
