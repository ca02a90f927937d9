/* SPDX-License-Identifier: MIT */
/* test_open.c: opening a stream: ids of hubs that are named alike, ids of the application across a
 * restart, and the cause of a refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

static void epochs_that_are_alike(void **state) {
  static const struct {
    const char *epoch, *last_id;
    sse_resume verdict;
  } rows[] = {
      {"E", "E.1", SSE_RESUME_RESUMED},
      {"E", "F.1", SSE_RESUME_RESTART},
      {"E", "EE.1", SSE_RESUME_RESTART},
      {"EE", "E.1", SSE_RESUME_RESTART},
      {"EE", "EE.1", SSE_RESUME_RESUMED},
      {"EE", "EF.1", SSE_RESUME_RESTART},
      {"abcdefghijk", "abcdefghijk.1", SSE_RESUME_RESUMED},
      {"abcdefghijk", "abcdefghij.1", SSE_RESUME_RESTART},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const sse_hub_config config = {.epoch = rows[i].epoch};
    struct world world = {0};
    world_open(&world, &config);
    for (int k = 0; k < 2; k++) world_send(&world, "a", "x");
    sse_stream *stream = world_stream(&world, "a", rows[i].last_id, NULL);
    if (sse_stream_resume_result(stream) != rows[i].verdict) fail_msg("%s", rows[i].last_id);
    /* Who resumes has had the first. */
    const char *events = strstr(world_read(stream), "data: x\n");
    assert_non_null(events);
    assert_int_equal(strstr(events + 1, "data: x\n") == NULL,
                     rows[i].verdict == SSE_RESUME_RESUMED);
    sse_stream_free(stream);
    world_close(&world);
  }
}

/* ---- ids of the application across a restart ---- */

#define HEARTBEAT_MS 1000

/* A hub that has had events "row" with the ids db-1 to db-count. */
static void open_loaded(struct world *world, const char *epoch, int count) {
  world_open(world, &(const sse_hub_config){.epoch = epoch, .heartbeat_ms = HEARTBEAT_MS});
  for (int i = 1; i <= count; i++) {
    char id[16];
    snprintf(id, sizeof id, "db-%d", i);
    const sse_event event = {.text = "row", .id = id};
    assert_int_equal(sse_hub_publish(world->hub, "a", &event), SSE_OK);
  }
}

static unsigned feed_client(sse_parser *client, const char *bytes) {
  size_t len = strlen(bytes);
  unsigned rows_read = 0;
  sse_parsed event;
  while (sse_parser_next(client, &bytes, &len, &event) == 1)
    rows_read += strcmp(event.data, "row") == 0;
  return rows_read;
}

/*
 * A client has three rows and sits through a silence in which another channel has an event. The hub
 * restarts, and is given the history of the application, which has one row more.
 */
static void own_ids_across_a_restart(void **state) {
  static const struct {
    sse_position position;
    const char *last_id;
    sse_resume verdict;
    unsigned again;
  } forms[] = {{SSE_POSITION_OFF, "db-3", SSE_RESUME_RESUMED, 1},
               {SSE_POSITION_EVENT, "E.4", SSE_RESUME_RESTART, 4}};
  (void)state;
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    struct world world = {0};
    sse_stream_config config = {
        .channel = "a", .start = SSE_START_RETAINED, .position = forms[i].position};
    sse_stream *stream;
    sse_parser *client;
    assert_int_equal(sse_parser_new(&client, NULL), SSE_OK);
    open_loaded(&world, "E", 3);
    assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
    assert_int_equal(feed_client(client, world_read(stream)), 3);
    world_send(&world, "b", "of another channel");
    world.now_ms += HEARTBEAT_MS;
    sse_hub_tick(world.hub);
    feed_client(client, world_read(stream));
    sse_stream_free(stream);
    world_close(&world);

    assert_string_equal(sse_parser_last_id(client), forms[i].last_id);
    config.last_id = sse_parser_last_id(client);
    open_loaded(&world, "F", 4);
    assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
    assert_int_equal(sse_stream_resume_result(stream), forms[i].verdict);
    assert_int_equal(feed_client(client, world_read(stream)), forms[i].again);
    sse_stream_free(stream);
    world_close(&world);
    sse_parser_free(client);
  }
}

/* ---- the cause of a refusal ---- */

static char not_null;
static const char *const none[] = {NULL}, *const twice[] = {"a", "b", "a", NULL},
                         *const four[] = {"a", "b", "c", "d", NULL};
static const sse_http_head bad_line = {.headers = (const char *const[]){"a\nb", NULL}},
                           bad_member = {.reserved = {&not_null}},
                           any_and_one = {.allow_origins = (const char *const[]){"*", "a", NULL}},
                           any_with_credentials = {.allow_origins =
                                                       (const char *const[]){"*", NULL},
                                                   .allow_credentials = 1},
                           any_exposed = {.expose_headers = "*", .allow_credentials = 1},
                           any_allowed = {.allow_headers = "*", .allow_credentials = 1};

#define ONE .channel = "a"

static const struct cause_row {
  sse_stream_config config;
  int error;
  const char *detail; /* NULL: the text of the code */
} causes[] = {
    {{.channel = NULL}, SSE_EINVAL, "neither channel nor channels is given"},
    {{ONE, .channels = four}, SSE_EINVAL, "both channel and channels are given"},
    {{.channels = none}, SSE_EINVAL, "the list of channels is empty"},
    {{.channels = twice}, SSE_EINVAL, "a channel occurs twice"},
    {{ONE, .tag = ""}, SSE_EINVAL, "tag is empty or too long"},
    {{ONE, .reserved = {&not_null}}, SSE_EINVAL, "a reserved member is not NULL"},
    {{ONE, .reserved = {[7] = &not_null}}, SSE_EINVAL, "a reserved member is not NULL"},
    {{ONE, .position = (sse_position)2}, SSE_EINVAL, "position is not one of sse_position"},
    {{ONE, .start = (sse_start)3}, SSE_EINVAL, "start is not one of sse_start"},
    {{ONE, .start_events = 1}, SSE_EINVAL, "start_events needs SSE_START_LAST"},
    {{ONE, .start = SSE_START_RETAINED, .start_events = 1},
     SSE_EINVAL,
     "start_events needs SSE_START_LAST"},
    {{ONE, .lost = (sse_lost)3}, SSE_EINVAL, "lost is not one of sse_lost"},
    {{ONE, .slow = (sse_slow)2}, SSE_EINVAL, "slow is not one of sse_slow"},
    {{ONE, .not_before = "x"}, SSE_EINVAL, "not_before is not an id of a hub"},
    {{ONE, .lag_ms_max = -2}, SSE_EINVAL, "lag_ms_max is below SSE_NEVER"},
    {{ONE, .heartbeat_ms = -2}, SSE_EINVAL, "heartbeat_ms is below SSE_NEVER"},
    {{ONE, .stall_ms = -2}, SSE_EINVAL, "stall_ms is below SSE_NEVER"},
    {{ONE, .age_ms_max = -2}, SSE_EINVAL, "age_ms_max is below SSE_NEVER"},
    {{ONE, .retry_ms = -2}, SSE_EINVAL, "retry_ms is below SSE_NEVER"},
    {{ONE, .head = &bad_member}, SSE_EINVAL, "a reserved member of head is not NULL"},
    {{ONE, .head = &any_and_one},
     SSE_EINVAL,
     "head.allow_origins has * beside other origins or with allow_credentials"},
    {{ONE, .head = &any_with_credentials},
     SSE_EINVAL,
     "head.allow_origins has * beside other origins or with allow_credentials"},
    {{ONE, .head = &any_exposed}, SSE_EINVAL, "head.expose_headers has * with allow_credentials"},
    {{ONE, .head = &any_allowed}, SSE_EINVAL, "head.allow_headers has * with allow_credentials"},
    {{ONE, .head = &bad_line}, SSE_EHEADER, NULL},
    {{.channel = ""}, SSE_ENAME, NULL},
    {{.channels = four}, SSE_ECHANNELS, NULL},
    {{.channel = "finished"}, SSE_EFINISHED, NULL},
};

static void check_cause(sse_hub *hub, const sse_stream_config *given, int error,
                        const char *cause) {
  sse_stream_config config = *given;
  sse_stream *stream = NULL;
  const char *detail = "nothing was written";
  assert_int_equal(sse_stream_open(&stream, hub, &config), error);
  assert_null(stream);
  config.error_detail = &detail;
  assert_int_equal(sse_stream_open(&stream, hub, &config), error);
  assert_string_equal(detail, cause ? cause : sse_error_text(error));
  assert_null(stream);
}

static void each_cause_is_named(void **state) {
  struct world world = {0};
  (void)state;
  world_open(&world, &(const sse_hub_config){.stream_channels_max = 3});
  assert_int_equal(sse_hub_finish(world.hub, "finished"), SSE_OK);
  for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
    check_cause(world.hub, &causes[i].config, causes[i].error, causes[i].detail);
  }
  assert_int_equal(sse_hub_drain(world.hub, 0), SSE_OK);
  check_cause(world.hub, &(const sse_stream_config){ONE}, SSE_EDRAINED, NULL);
  world_close(&world);
}

static void causes_with_a_loop(void **state) {
  struct world world = {0}, other = {0};
  struct wakes wakes = {0};
  sse_loop *loop;
  (void)state;
  world_open(&world, NULL);
  world_open(&other, NULL);
  assert_int_equal(sse_loop_new(&loop, world.hub,
                                &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                   SSE_OK);
  check_cause(other.hub, &(const sse_stream_config){ONE, .loop = loop}, SSE_EINVAL,
              "loop belongs to another hub");
  check_cause(world.hub, &(const sse_stream_config){ONE, .loop = loop, .wake = world_wake},
              SSE_EINVAL, "a stream of a loop has no wake of its own");
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  assert_int_equal(sse_hub_free(other.hub), SSE_OK);
  world_close(&world);
}

static void no_cause_after_a_success(void **state) {
  struct world world = {0};
  sse_stream *stream = NULL;
  const char *detail = "of an earlier call";
  const sse_stream_config config = {ONE, .start = SSE_START_LAST, .start_events = 1,
                                    .error_detail = &detail};
  (void)state;
  world_open(&world, NULL);
  assert_int_equal(sse_stream_open(NULL, world.hub, &config), SSE_EINVAL);
  assert_string_equal(detail, "stream or hub is NULL");
  assert_int_equal(sse_stream_open(&stream, NULL, &config), SSE_EINVAL);
  assert_string_equal(detail, "stream or hub is NULL");
  world_fail(1, true);
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_ENOMEM);
  world_fail(0, false);
  assert_string_equal(detail, sse_error_text(SSE_ENOMEM));
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  assert_null(detail);
  sse_stream_free(stream);
  world_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(epochs_that_are_alike),    cmocka_unit_test(own_ids_across_a_restart),
      cmocka_unit_test(each_cause_is_named),      cmocka_unit_test(causes_with_a_loop),
      cmocka_unit_test(no_cause_after_a_success),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
