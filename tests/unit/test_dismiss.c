/* SPDX-License-Identifier: MIT */
/* test_dismiss.c: streams that are dismissed by their tag: what they are given before they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "setting.h"

#define COUNT(array)   (sizeof(array) / sizeof(array)[0])
#define UNFINISHED(id) POSITION(id "~")
#define RETRY          "retry: 1\n"

enum {
  AGE_MS = 1000
};

/*
 * A script: a and b publish to those channels, the text is the event's number; D dismisses the
 * stream, d dismisses nobody, X disconnects the stream, x disconnects nobody; J subscribes it to b,
 * H with a backfill, L unsubscribes it from a; G drains, A lets the stream's age pass, F finishes a;
 * a blank reads, and the bytes are compared. `end` is how the last read ends.
 */
static const struct row {
  const char *name;
  size_t kept;
  const char *script;
  const char *const *reads;
  int end;
} rows[] = {
    {"caught up", 9, "a D ", CHANNELS(EVENT("1", "E.1"), RETRY), SSE_EDISMISSED},
    {"with nothing to give", 9, "D ", CHANNELS(RETRY), SSE_EDISMISSED},
    {"behind", 9, "aaD ", CHANNELS(EVENT("1", "E.1") EVENT("2", "E.2") RETRY), SSE_EDISMISSED},
    {"what is published later is not given", 9, "aDaa ", CHANNELS(EVENT("1", "E.1") RETRY),
     SSE_EDISMISSED},
    {"a loss before it is reported", 1, "aaaD ",
     CHANNELS(GAP_OF("slow", "\"resume\":\"E.2\",\"channels\":[\"a\"],\"lost\":2", "E.2")
                  EVENT("3", "E.3") RETRY),
     SSE_EDISMISSED},
    {"a loss after it is not", 1, "Daaa ", CHANNELS(RETRY), SSE_EDISMISSED},
    {"what it missed meanwhile is reported", 1, "aaDa ",
     CHANNELS(GAP_OF("slow", "\"resume\":\"E.2\",\"channels\":[\"a\"],\"lost\":2", "E.2") RETRY),
     SSE_EDISMISSED},
    {"a channel that it joined before", 9, "JbDb ",
     CHANNELS(POSITION("E.0") EVENT("1", "E.1") RETRY), SSE_EDISMISSED},
    {"a backfill is given to its end", 9, "bbHDb ",
     CHANNELS(UNFINISHED("E.2") EPHEMERAL("1") EPHEMERAL("2") POSITION("E.2") RETRY),
     SSE_EDISMISSED},
    {"a backfill that is owed later", 9, "abHDb ",
     CHANNELS(EVENT("1", "E.1") UNFINISHED("E.2") EPHEMERAL("2") POSITION("E.2") RETRY),
     SSE_EDISMISSED},
    {"a channel that it would join afterwards", 9, "DHb ", CHANNELS(RETRY), SSE_EDISMISSED},
    {"a channel that it left before", 9, "LaD ", CHANNELS(RETRY), SSE_EDISMISSED},
    {"twice is once", 9, "aDdad ", CHANNELS(EVENT("1", "E.1") RETRY), SSE_EDISMISSED},
    {"after it ended", 9, "aD dx ", CHANNELS(EVENT("1", "E.1") RETRY, ""), SSE_EDISMISSED},
    {"and finished", 9, "aDF ", CHANNELS(EVENT("1", "E.1") RETRY), SSE_EDISMISSED},
    {"finished before", 9, "aFD ", CHANNELS(EVENT("1", "E.1") RETRY), SSE_EDISMISSED},
    {"finished, and ended by that", 9, "aF d ", CHANNELS(EVENT("1", "E.1") RETRY, ""),
     SSE_EFINISHED},
    {"and drained", 9, "aDG ", CHANNELS(EVENT("1", "E.1") RETRY), SSE_EDISMISSED},
    {"drained before", 9, "GaD ", CHANNELS(EVENT("1", "E.1") RETRY), SSE_EDISMISSED},
    {"drained, and ended by that", 9, "G d ", CHANNELS(RETRY, ""), SSE_EDRAINED},
    {"and of age", 9, "aDA ", CHANNELS(EVENT("1", "E.1") RETRY), SSE_EDISMISSED},
    {"of age, and ended by that", 9, "A d ", CHANNELS(RETRY, ""), SSE_EAGED},
    {"and disconnected", 9, "aDXxd ", CHANNELS(""), SSE_EDISCONNECTED},
    {"disconnected before", 9, "aXd ", CHANNELS(""), SSE_EDISCONNECTED},
};

static void publish(sse_hub *hub, char op, int number) {
  char text[16];
  const char name[] = {op, '\0'};
  snprintf(text, sizeof text, "%d", number);
  assert_int_equal(sse_hub_publish_text(hub, name, NULL, text), SSE_OK);
}

static void act(struct setting *s, char op, int *number) {
  sse_hub *hub = s->world.hub;
  if (op == 'a' || op == 'b') publish(hub, op, ++*number);
  if (op == 'D' || op == 'd') assert_int_equal(sse_hub_dismiss(hub, "me"), op == 'D');
  if (op == 'X' || op == 'x') assert_int_equal(sse_hub_disconnect(hub, "me"), op == 'X');
  if (op == 'J' || op == 'H') {
    size_t backfill = op == 'H' ? SSE_BACKFILL_ALL : 0;
    assert_int_equal(sse_hub_subscribe(hub, "me", "b", backfill), 1);
  }
  if (op == 'L') assert_int_equal(sse_hub_unsubscribe(hub, "me", "a"), 1);
  if (op == 'G') assert_int_equal(sse_hub_drain(hub, 0), SSE_OK);
  if (op == 'F') assert_int_equal(sse_hub_finish(hub, "a"), SSE_OK);
  if (op == 'A') s->world.now_ms += AGE_MS;
}

static void run(const struct row *row, bool in_loop) {
  const sse_hub_config config = {
      .retry_ms = 1, .age_ms_max = AGE_MS, .channel.window_frames_max = row->kept};
  const sse_stream_config stream = {.channel = "a", .tags = CHANNELS("you", "me")};
  const char *const *expected = row->reads;
  struct iovec iov[1];
  struct setting s;
  int number = 0;
  print_message("  %s%s\n", row->name, in_loop ? ", in a loop" : "");
  open_setting(&s, in_loop, &config, &stream);
  round_of(&s);
  for (const char *op = row->script; *op; op++) {
    if (*op == ' ') assert_string_equal(round_of(&s), *expected++);
    act(&s, *op, &number);
  }
  assert_null(*expected);
  assert_int_equal(sse_stream_peek(s.stream, iov, 1), row->end);
  assert_int_equal(sse_hub_dismiss(s.world.hub, "me"), 0);
  sse_stats stats;
  sse_stream_free(s.stream);
  s.stream = NULL;
  assert_int_equal(sse_hub_stats(s.world.hub, NULL, &stats), SSE_OK);
  assert_int_equal(stats.closed[-row->end], 1);
  close_setting(&s);
}

static void every_row(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    run(&rows[i], false);
    run(&rows[i], true);
  }
}

/* ---- streams in other states ---- */

/* What is in flight is taken first, and so is what follows; also if the stream's age ends it. */
static void with_bytes_in_flight(void **state) {
  (void)state;
  for (int variant = 0; variant < 4; variant++) {
    const sse_hub_config config = {.retry_ms = 1, .age_ms_max = AGE_MS};
    const sse_stream_config stream = {.channel = "a", .tag = "me"};
    bool in_loop = variant % 2, aged = variant / 2;
    struct iovec iov[1];
    struct setting s;
    open_setting(&s, in_loop, &config, &stream);
    round_of(&s);
    publish(s.world.hub, 'a', 1);
    if (in_loop) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    assert_int_equal(sse_stream_peek(s.stream, iov, 1), 1);
    if (in_loop) assert_null(sse_loop_next(s.loop));
    publish(s.world.hub, 'a', 2);
    if (aged) s.world.now_ms += AGE_MS;
    sse_hub_tick(s.world.hub);
    while (in_loop && sse_loop_next(s.loop)) continue;
    assert_int_equal(sse_hub_dismiss(s.world.hub, "me"), 1);
    publish(s.world.hub, 'a', 3);
    assert_string_equal(world_read(s.stream), EVENT("1", "E.1") EVENT("2", "E.2") RETRY);
    assert_int_equal(world_read_result(), SSE_EDISMISSED);
    close_setting(&s);
  }
}

/* A stream that may close for being slow is not spared that, and its client waits longer. */
static void a_slow_stream_ends_by_that(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {.retry_ms = 1, .channel.window_frames_max = 1};
    const sse_stream_config stream = {.channel = "a", .tag = "me", .slow = SSE_SLOW_CLOSE};
    struct setting s;
    open_setting(&s, in_loop, &config, &stream);
    round_of(&s);
    publish(s.world.hub, 'a', 1);
    publish(s.world.hub, 'a', 2);
    assert_int_equal(sse_hub_dismiss(s.world.hub, "me"), 1);
    assert_non_null(strstr(round_of(&s), "retry: "));
    assert_int_equal(world_read_result(), SSE_ESLOW);
    close_setting(&s);
  }
}

/* All streams of a tag are woken once, in loops and standalone, and no others are. */
static void who_sleeps_is_woken(void **state) {
  struct world world = {0};
  struct wakes wakes = {0}, woken = {0}, other = {0};
  const sse_hub_config config = {.retry_ms = 1};
  sse_stream *streams[4];
  sse_loop *loop;
  (void)state;
  world_open(&world, &config);
  assert_int_equal(sse_loop_new(&loop, world.hub,
                                &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                   SSE_OK);
  const sse_stream_config configs[4] = {
      {.channel = "a", .tag = "me", .loop = loop},
      {.channel = "a", .tags = CHANNELS("me", "you"), .loop = loop},
      {.channel = "a", .tags = CHANNELS("us", "me"), .wake = world_wake, .user = &woken},
      {.channel = "a", .tag = "you", .wake = world_wake, .user = &other},
  };
  for (int i = 0; i < 4; i++) {
    assert_int_equal(sse_stream_open(&streams[i], world.hub, &configs[i]), SSE_OK);
    world_read(streams[i]);
  }
  while (sse_loop_next(loop)) continue;
  assert_int_equal(sse_hub_dismiss(world.hub, "me"), 3);
  assert_int_equal(sse_hub_dismiss(world.hub, "me"), 0);
  assert_int_equal(wakes.count, 1);
  assert_int_equal(woken.count, 1);
  assert_int_equal(other.count, 0);
  assert_int_equal(sse_loop_timeout(loop), 0);
  for (sse_stream *stream; (stream = sse_loop_next(loop));) {
    assert_string_equal(world_read(stream), RETRY);
    assert_int_equal(world_read_result(), SSE_EDISMISSED);
  }
  assert_string_equal(world_read(streams[2]), RETRY);
  assert_string_equal(world_read(streams[3]), "");
  assert_int_equal(world_read_result(), 0);
  for (int i = 0; i < 4; i++) sse_stream_free(streams[i]);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
}

/* A stream that waits for its slot is given its replay first, and then leaves the slot to others. */
static void one_that_waits_for_its_slot(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {.retry_ms = 1, .concurrent_replays_max = 1};
    const sse_stream_config stream = {
        .channel = "a", .tag = "me", .last_id = "E.0", .position = SSE_POSITION_OFF};
    sse_stream *first, *last;
    struct setting s;
    memset(&s, 0, sizeof s);
    world_open(&s.world, &config);
    if (in_loop)
      assert_int_equal(
          sse_loop_new(&s.loop, s.world.hub,
                       &(const sse_loop_config){.wake = world_wake, .wake_arg = &s.wakes}),
          SSE_OK);
    publish(s.world.hub, 'a', 1);
    first = world_stream(&s.world, "a", "E.0", NULL);
    s.config = stream;
    s.config.loop = s.loop;
    assert_int_equal(sse_stream_open(&s.stream, s.world.hub, &s.config), SSE_OK);
    last = world_stream(&s.world, "a", "E.0", NULL);
    assert_string_equal(round_of(&s), RETRY);
    assert_string_equal(world_read(last), "retry: 1\n" POSITION("E.0"));
    assert_int_equal(sse_hub_dismiss(s.world.hub, "me"), 1);
    publish(s.world.hub, 'a', 2);
    assert_string_equal(round_of(&s), "");
    assert_int_equal(sse_hub_dismiss(s.world.hub, "me"), 0);
    sse_stream_free(first);
    assert_string_equal(round_of(&s), EVENT("1", "E.1") RETRY);
    assert_int_equal(world_read_result(), SSE_EDISMISSED);
    assert_string_equal(world_read(last), EVENT("1", "E.1") EVENT("2", "E.2"));
    sse_stream_free(last);
    close_setting(&s);
  }
}

/* ---- what fails ---- */

static void every_allocation_failed(void **state) {
  (void)state;
  struct world world = {0};
  sse_stream *streams[3];
  world_open(&world, NULL);
  for (int i = 0; i < 3; i++) {
    const sse_stream_config config = {.channel = "a", .tag = "me"};
    assert_int_equal(sse_stream_open(&streams[i], world.hub, &config), SSE_OK);
    world_read(streams[i]);
  }
  for (size_t n = 1; n <= 3; n++) {
    world_fail(n, false);
    assert_int_equal(sse_hub_dismiss(world.hub, "me"), SSE_ENOMEM);
    for (int i = 0; i < 3; i++) {
      assert_string_equal(world_read(streams[i]), "");
      assert_int_equal(world_read_result(), 0);
    }
  }
  world_fail(4, false);
  assert_int_equal(sse_hub_dismiss(world.hub, "me"), 3);
  world_fail(0, false);
  for (int i = 0; i < 3; i++) sse_stream_free(streams[i]); /* with the request not carried out */
  world_close(&world);
}

static void what_is_refused(void **state) {
  char text[SSE_TAG_BYTES_MAX + 2];
  struct world world = {0};
  (void)state;
  memset(text, 't', sizeof text);
  text[sizeof text - 1] = '\0';
  world_open(&world, NULL);
  assert_int_equal(sse_hub_dismiss(NULL, "me"), SSE_EINVAL);
  assert_int_equal(sse_hub_dismiss(world.hub, NULL), SSE_EINVAL);
  assert_int_equal(sse_hub_dismiss(world.hub, ""), SSE_EINVAL);
  assert_int_equal(sse_hub_dismiss(world.hub, text), SSE_EINVAL);
  assert_int_equal(sse_hub_dismiss(world.hub, "me"), 0);
  world_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row),
      cmocka_unit_test(with_bytes_in_flight),
      cmocka_unit_test(a_slow_stream_ends_by_that),
      cmocka_unit_test(who_sleeps_is_woken),
      cmocka_unit_test(one_that_waits_for_its_slot),
      cmocka_unit_test(every_allocation_failed),
      cmocka_unit_test(what_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
