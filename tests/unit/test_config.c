/* SPDX-License-Identifier: MIT */
/* test_config.c: a hub's configuration: every default, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sse/sse.h>

#include "hub/frame.h"
#include "hub/hub.h"
#include "util/os.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static char not_null;

static void assert_defaults(const sse_hub_config *c) {
  assert_int_equal(c->memory_bytes_max, 67108864);
  assert_int_equal(c->event_bytes_max, 262144);
  assert_int_equal(c->channels_max, 65536);
  assert_int_equal(c->streams_max, 1048576);
  assert_int_equal(c->stream_channels_max, 256);
  assert_int_equal(c->ghosts_max, 65536);
  assert_int_equal(c->channel_idle_ms, 300000);
  assert_int_equal(c->heartbeat_ms, 15000);
  assert_int_equal(c->stall_ms, 60000);
  assert_int_equal(c->age_ms_max, SSE_NEVER);
  assert_int_equal(c->retry_ms, 2000);
  assert_int_equal(c->channel.window_frames_max, 1024);
  assert_int_equal(c->channel.window_bytes_max, 4194304);
  assert_int_equal(c->channel.window_age_ms_max, SSE_NEVER);
  assert_string_equal(c->gap_type, "gap");
  assert_string_equal(c->position_type, "sse-position");
  assert_ptr_equal(c->clock, sse__os_clock);
  assert_ptr_equal(c->random, sse__os_random);
  assert_null(c->epoch);
  assert_null(c->alloc);
  assert_null(c->finished_type);
  assert_int_equal(c->numbers, SSE_NUMBERS_OWN);
  assert_true(c->start_after == 0);
}

static void zero_is_every_default(void **state) {
  static const sse_hub_config zero;
  sse_hub_config resolved;
  (void)state;
  assert_int_equal(sse__hub_config_resolve(&resolved, &zero), SSE_OK);
  assert_defaults(&resolved);
  assert_int_equal(sse__hub_config_resolve(&resolved, NULL), SSE_OK);
  assert_defaults(&resolved);
}

static int64_t clock_of(void *arg) {
  (void)arg;
  return 0;
}

static int random_of(void *arg, void *buf, size_t len) {
  (void)arg;
  memset(buf, 0, len);
  return 0;
}

static void presence_of(void *arg, const char *channel, int present) {
  (void)arg;
  (void)channel;
  (void)present;
}

static void *alloc_of(void *arg, void *ptr, size_t size) {
  (void)arg;
  (void)ptr;
  (void)size;
  return NULL;
}

static void what_is_given_stays(void **state) {
  static const sse_hub_config given = {
      1000000,
      1000,
      3,
      4,
      5,
      12,
      13,
      6,
      7,
      8,
      9,
      10,
      11,
      {1, 2, 3, SSE_YES, SSE_NO, 14, 0, {0}},
      "epoch",
      "lost",
      "where",
      clock_of,
      &not_null,
      random_of,
      &not_null,
      presence_of,
      &not_null,
      alloc_of,
      &not_null,
      NULL,
      "finished",
      0,
      SSE_NUMBERS_OWN,
      0,
      {NULL},
  };
  sse_hub_config resolved;
  (void)state;
  assert_int_equal(sse__hub_config_resolve(&resolved, &given), SSE_OK);
  /* There may be padding before the channel's. */
  const size_t times = offsetof(sse_hub_config, retry_ms) + sizeof given.retry_ms;
  const size_t rest = offsetof(sse_hub_config, channel);
  assert_memory_equal(&resolved, &given, times);
  assert_memory_equal((const char *)&resolved + rest, (const char *)&given + rest,
                      sizeof given - rest);
}

/* The default for the longest event goes down with the ceiling. */
static const struct {
  size_t memory, event;
} ceilings[] = {
    {8, 1}, {800, 100}, {2097151, 262143}, {2097152, 262144}, {SIZE_MAX, 262144},
};

static void the_longest_event_fits_the_ceiling(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(ceilings); i++) {
    const sse_hub_config config = {.memory_bytes_max = ceilings[i].memory};
    sse_hub_config resolved;
    assert_int_equal(sse__hub_config_resolve(&resolved, &config), SSE_OK);
    assert_int_equal(resolved.event_bytes_max, ceilings[i].event);
  }
}

static const struct {
  const char *name;
  sse_hub_config config;
  int error;
} rows[] = {
    {"an eighth of the ceiling", {.memory_bytes_max = 8000, .event_bytes_max = 1000}, SSE_OK},
    {"over an eighth", {.memory_bytes_max = 8000, .event_bytes_max = 1001}, SSE_EINVAL},
    {"over an eighth of the default", {.event_bytes_max = 8388609}, SSE_EINVAL},
    {"an eighth of the default", {.event_bytes_max = 8388608}, SSE_OK},
    {"all times never",
     {.channel_idle_ms = SSE_NEVER,
      .heartbeat_ms = SSE_NEVER,
      .stall_ms = SSE_NEVER,
      .age_ms_max = SSE_NEVER,
      .retry_ms = SSE_NEVER,
      .channel = {.window_age_ms_max = SSE_NEVER}},
     SSE_OK},
    {"all times at most",
     {.channel_idle_ms = INT32_MAX,
      .heartbeat_ms = INT32_MAX,
      .stall_ms = INT32_MAX,
      .age_ms_max = INT32_MAX,
      .retry_ms = INT32_MAX,
      .channel = {.window_age_ms_max = INT32_MAX}},
     SSE_OK},
    {"channel_idle_ms", {.channel_idle_ms = -2}, SSE_EINVAL},
    {"heartbeat_ms", {.heartbeat_ms = -2}, SSE_EINVAL},
    {"stall_ms", {.stall_ms = -2}, SSE_EINVAL},
    {"age_ms_max", {.age_ms_max = -2}, SSE_EINVAL},
    {"retry_ms", {.retry_ms = INT32_MIN}, SSE_EINVAL},
    {"window_age_ms_max", {.channel = {.window_age_ms_max = -2}}, SSE_EINVAL},
    {"epoch", {.epoch = "2024-05_a"}, SSE_OK},
    {"epoch empty", {.epoch = ""}, SSE_EINVAL},
    {"epoch too long", {.epoch = "123456789012"}, SSE_EINVAL},
    {"epoch with a dot", {.epoch = "a.b"}, SSE_EINVAL},
    {"gap_type empty", {.gap_type = ""}, SSE_EINVAL},
    {"gap_type with a newline", {.gap_type = "a\nb"}, SSE_EINVAL},
    {"gap_type not UTF-8", {.gap_type = "\xff"}, SSE_EINVAL},
    {"position_type empty", {.position_type = ""}, SSE_EINVAL},
    {"position_type with a CR", {.position_type = "a\r"}, SSE_EINVAL},
    {"finished_type", {.finished_type = "finished"}, SSE_OK},
    {"finished_type empty", {.finished_type = ""}, SSE_EINVAL},
    {"finished_type with a newline", {.finished_type = "a\nb"}, SSE_EINVAL},
    {"numbers given", {.numbers = SSE_NUMBERS_GIVEN, .epoch = "E"}, SSE_OK},
    {"numbers given up to the highest",
     {.numbers = SSE_NUMBERS_GIVEN, .epoch = "E", .start_after = UINT64_MAX - 1},
     SSE_OK},
    {"numbers given, from a channel's first",
     {.numbers = SSE_NUMBERS_GIVEN, .epoch = "E", .start_after = SSE_FROM_FIRST},
     SSE_EINVAL},
    {"numbers given, no epoch", {.numbers = SSE_NUMBERS_GIVEN}, SSE_EINVAL},
    {"numbers, neither", {.numbers = (sse_numbers)2, .epoch = "E"}, SSE_EINVAL},
    {"start_after with own numbers", {.epoch = "E", .start_after = 1}, SSE_EINVAL},
    {"start_after of channels",
     {.numbers = SSE_NUMBERS_GIVEN, .epoch = "E", .start_after = 9, .channel = {.start_after = 9}},
     SSE_EINVAL},
    {"reserved_int", {.reserved_int = 1}, SSE_EINVAL},
    {"conflate, low", {.channel = {.conflate = (sse_choice)-2}}, SSE_EINVAL},
    {"conflate, neither", {.channel = {.conflate = (sse_choice)3}}, SSE_EINVAL},
    {"expire, neither", {.channel = {.expire = (sse_choice)3}}, SSE_EINVAL},
    {"reserved, first", {.reserved = {&not_null}}, SSE_EINVAL},
    {"reserved, last", {.reserved = {NULL, &not_null}}, SSE_EINVAL},
    {"channels of a stream, at most", {.stream_channels_max = UINT16_MAX}, SSE_OK},
    {"channels of a stream, one more", {.stream_channels_max = UINT16_MAX + 1}, SSE_EINVAL},
    {"reserved of the channel, first", {.channel = {.reserved = {1}}}, SSE_EINVAL},
    {"reserved of the channel, last", {.channel = {.reserved = {0, -1}}}, SSE_EINVAL},
};

static void every_row(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    sse_hub_config resolved;
    int error = sse__hub_config_resolve(&resolved, &rows[i].config);
    if (error != rows[i].error) fail_msg("%s: %d", rows[i].name, error);
  }
}

/* ---- the cause of a refusal ---- */

static const struct {
  sse_hub_config config;
  const char *detail;
} causes[] = {
    {{.epoch = "a.b"}, "epoch is not 1 to 11 of A-Z, a-z, 0-9, _ and -"},
    {{.gap_type = "a\nb"}, "gap_type is not an event type"},
    {{.position_type = ""}, "position_type is not an event type"},
    {{.memory_bytes_max = 8000, .event_bytes_max = 1001},
     "event_bytes_max is above an eighth of memory_bytes_max"},
    {{.stream_channels_max = UINT16_MAX + 1}, "stream_channels_max is above 65,535"},
    {{.channel = {.window_age_ms_max = -2}}, "channel.window_age_ms_max is below SSE_NEVER"},
    {{.channel = {.conflate = (sse_choice)3}}, "channel.conflate is not one of sse_choice"},
    {{.channel = {.expire = (sse_choice)3}}, "channel.expire is not one of sse_choice"},
    {{.channel = {.reserved = {1}}}, "a reserved member of channel is not 0"},
    {{.reserved = {&not_null}}, "a reserved member is not NULL"},
    {{.reserved_int = 1}, "a reserved member is not NULL"},
    {{.finished_type = "a\nb"}, "finished_type is not an event type"},
    {{.numbers = (sse_numbers)2}, "numbers is not one of sse_numbers"},
    {{.numbers = SSE_NUMBERS_GIVEN}, "numbers that are given need an epoch"},
    {{.start_after = 1}, "start_after needs SSE_NUMBERS_GIVEN"},
    {{.numbers = SSE_NUMBERS_GIVEN, .epoch = "E", .start_after = SSE_FROM_FIRST},
     "start_after is a number; SSE_FROM_FIRST is for a channel"},
    {{.channel = {.start_after = 1}}, "channel.start_after is not for the configuration of a hub"},
    {{.channel_idle_ms = -2}, "channel_idle_ms is below SSE_NEVER"},
    {{.heartbeat_ms = -2}, "heartbeat_ms is below SSE_NEVER"},
    {{.stall_ms = -2}, "stall_ms is below SSE_NEVER"},
    {{.age_ms_max = -2}, "age_ms_max is below SSE_NEVER"},
    {{.retry_ms = -2}, "retry_ms is below SSE_NEVER"},
};

static void check_cause(const sse_hub_config *row, int error, const char *cause) {
  sse_hub *hub = NULL;
  const char *detail = "nothing was written";
  sse_hub_config config = *row;
  assert_int_equal(sse_hub_new(&hub, &config), error);
  assert_null(hub);
  config.error_detail = &detail;
  assert_int_equal(sse_hub_new(&hub, &config), error);
  assert_string_equal(detail, cause);
  assert_null(hub);
}

static void each_cause_is_named(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(causes); i++) {
    check_cause(&causes[i].config, SSE_EINVAL, causes[i].detail);
  }
  if (SIZE_MAX / 8 > SSE__FRAME_BYTES_MAX) {
    check_cause(&(const sse_hub_config){.memory_bytes_max = SIZE_MAX,
                                        .event_bytes_max = SSE__FRAME_BYTES_MAX + 1},
                SSE_EINVAL, "event_bytes_max is above 1 GiB");
  }
}

static int no_random(void *arg, void *buf, size_t len) {
  (void)arg;
  (void)buf;
  (void)len;
  return -1;
}

/* A failure with one cause has the text of its code; a success has none. */
static void other_failures_have_the_text_of_their_code(void **state) {
  const char *detail = NULL;
  sse_hub_config config = {.error_detail = &detail};
  sse_hub *hub = NULL;
  (void)state;
  check_cause(&(const sse_hub_config){.random = no_random}, SSE_ERANDOM,
              sse_error_text(SSE_ERANDOM));
  check_cause(&(const sse_hub_config){.alloc = alloc_of}, SSE_ENOMEM, sse_error_text(SSE_ENOMEM));
  assert_int_equal(sse_hub_new(NULL, &config), SSE_EINVAL);
  assert_string_equal(detail, "hub is NULL");
  assert_int_equal(sse_hub_new(&hub, &config), SSE_OK);
  assert_null(detail);
  assert_int_equal(sse_hub_free(hub), SSE_OK);
}

/* ---- limits that are switched off ---- */

static void the_largest_value_is_no_limit(void **state) {
  const sse_hub_config given = {.memory_bytes_max = SIZE_MAX,
                                .event_bytes_max = SIZE_MAX,
                                .channels_max = UINT32_MAX,
                                .streams_max = UINT32_MAX,
                                .stream_channels_max = UINT32_MAX,
                                .tag_streams_max = UINT32_MAX,
                                .concurrent_replays_max = UINT32_MAX,
                                .ghosts_max = UINT32_MAX,
                                .channel = {.window_frames_max = SIZE_MAX,
                                            .window_bytes_max = SIZE_MAX,
                                            .streams_max = UINT32_MAX}};
  sse_hub_config resolved, small = {.memory_bytes_max = 8000, .event_bytes_max = SIZE_MAX};
  const size_t eighth = SIZE_MAX / 8;
  (void)state;
  assert_int_equal(sse__hub_config_resolve(&resolved, &given), SSE_OK);
  assert_true(resolved.event_bytes_max ==
              (eighth < SSE__FRAME_BYTES_MAX ? eighth : SSE__FRAME_BYTES_MAX));
  assert_int_equal(resolved.stream_channels_max, UINT16_MAX);
  assert_true(resolved.channel.window_frames_max == SIZE_MAX);
  assert_int_equal(sse__hub_config_resolve(&resolved, &small), SSE_OK);
  assert_int_equal(resolved.event_bytes_max, 1000);
}

/* A hub of which nothing is limited works. */
static void a_hub_without_limits(void **state) {
  const sse_hub_config config = {.memory_bytes_max = SIZE_MAX,
                                 .event_bytes_max = SIZE_MAX,
                                 .channels_max = UINT32_MAX,
                                 .streams_max = UINT32_MAX,
                                 .stream_channels_max = UINT32_MAX,
                                 .tag_streams_max = UINT32_MAX,
                                 .concurrent_replays_max = UINT32_MAX,
                                 .ghosts_max = UINT32_MAX,
                                 .channel = {.window_frames_max = SIZE_MAX,
                                             .window_bytes_max = SIZE_MAX,
                                             .streams_max = UINT32_MAX}};
  const sse_stream_config stream_config = {
      .channel = "a", .tag = "t", .lag_events_max = UINT32_MAX, .lag_bytes_max = SIZE_MAX};
  struct iovec iov[8];
  sse_hub *hub;
  sse_stream *stream;
  (void)state;
  assert_int_equal(sse_hub_new(&hub, &config), SSE_OK);
  assert_int_equal(sse_stream_open(&stream, hub, &stream_config), SSE_OK);
  assert_int_equal(sse_stream_peek(stream, iov, 8), 1);
  sse_stream_consume(stream, iov[0].iov_len);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(sse_hub_publish_text(hub, "a", NULL, "x"), SSE_OK);
  }
  assert_int_equal(sse_stream_peek(stream, iov, 8), 3);
  sse_stream_free(stream);
  assert_int_equal(sse_hub_free(hub), SSE_OK);
}

/* Lengths of frames are kept in 32 bits, whatever the ceiling allows. */
static void a_frame_has_a_length_of_32_bits(void **state) {
  sse_hub_config config = {.memory_bytes_max = SIZE_MAX, .event_bytes_max = SSE__FRAME_BYTES_MAX};
  sse_hub_config resolved;
  (void)state;
  if (SIZE_MAX / 8 <= SSE__FRAME_BYTES_MAX) skip();
  assert_int_equal(sse__hub_config_resolve(&resolved, &config), SSE_OK);
  config.event_bytes_max++;
  assert_int_equal(sse__hub_config_resolve(&resolved, &config), SSE_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(zero_is_every_default),
      cmocka_unit_test(what_is_given_stays),
      cmocka_unit_test(the_longest_event_fits_the_ceiling),
      cmocka_unit_test(every_row),
      cmocka_unit_test(each_cause_is_named),
      cmocka_unit_test(other_failures_have_the_text_of_their_code),
      cmocka_unit_test(the_largest_value_is_no_limit),
      cmocka_unit_test(a_hub_without_limits),
      cmocka_unit_test(a_frame_has_a_length_of_32_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
