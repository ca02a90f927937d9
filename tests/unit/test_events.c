/* SPDX-License-Identifier: MIT */
/* test_events.c: the kinds of events: of several channels, with ids of their own, and ephemeral. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
  HEARTBEAT_MS = 1000
};

/*
 * A script. The text of an event is how many there were: a lower-case letter publishes to the
 * channel of that name, a capital one publishes there what is ephemeral, '&' to a and b at once,
 * '%' the same ephemeral, '@' to a with the id "x" and the text, '#' the same to a and b. A blank
 * reads, and the bytes are compared; '+' lets a heartbeat's time pass; '<' comes back with the last
 * id that was read, '?' with one that nobody gave.
 */
static const struct row {
  const char *name;
  size_t kept;
  const char *const *channels;
  const char *script;
  const char *const *reads;
} rows[] = {
    {"ephemeral: no id, and the position follows", 9, CHANNELS("a"), "A + ",
     CHANNELS(EPHEMERAL("1"), POSITION("E.1"))},
    {"ephemeral between others", 9, CHANNELS("a"), "aAa ",
     CHANNELS(EVENT("1", "E.1") EPHEMERAL("2") EVENT("3", "E.3"))},
    {"ephemeral of two channels in order", 9, CHANNELS("a", "b"), "AbBa ",
     CHANNELS(EPHEMERAL("1") EVENT("2", "E.2") EPHEMERAL("3") EVENT("4", "E.4"))},
    {"ephemeral: not replayed", 9, CHANNELS("a"), "a aA<  ",
     CHANNELS(EVENT("1", "E.1"), POSITION("E.1") EVENT("2", "E.2"), "")},
    {"ephemeral: not of other channels", 9, CHANNELS("a"), "B ", CHANNELS("")},
    {"ephemeral: evicts nothing and is no loss", 2, CHANNELS("a"), "aAAAAb ",
     CHANNELS(EVENT("1", "E.1") EPHEMERAL("2") EPHEMERAL("3") EPHEMERAL("4") EPHEMERAL("5"))},
    {"ephemeral: not counted as lost", 1, CHANNELS("a"), "aAaaA ",
     CHANNELS(GAP_OF("slow", "\"resume\":\"E.3\",\"channels\":[\"a\"],\"lost\":2", "E.3")
                  EVENT("4", "E.4") EPHEMERAL("5"))},
    {"ephemeral: does not suppress the position", 9, CHANNELS("a"), "aA +A A ",
     CHANNELS(EVENT("1", "E.1") EPHEMERAL("2"), EPHEMERAL("3") POSITION("E.3"), EPHEMERAL("4"))},
    {"several channels: once", 9, CHANNELS("a", "b"), "& ", CHANNELS(EVENT("1", "E.1"))},
    {"several channels: once, whichever comes first", 9, CHANNELS("b", "a", "c"), "c&a&c& ",
     CHANNELS(EVENT("1", "E.1") EVENT("2", "E.2") EVENT("3", "E.3") EVENT("4", "E.4")
                  EVENT("5", "E.5") EVENT("6", "E.6"))},
    {"several channels: of one", 9, CHANNELS("b"), "&a&b ",
     CHANNELS(EVENT("1", "E.1") EVENT("3", "E.3") EVENT("4", "E.4"))},
    {"several channels: replayed once", 9, CHANNELS("a", "b"), "& &&< ",
     CHANNELS(EVENT("1", "E.1"), POSITION("E.1") EVENT("2", "E.2") EVENT("3", "E.3"))},
    {"several channels: still in one of them", 1, CHANNELS("a", "b"), "& &aa ",
     CHANNELS(EVENT("1", "E.1"), GAP_OF("slow", "\"resume\":\"E.1\",\"channels\":[\"a\"]", "E.1")
                                     EVENT("2", "E.2") EVENT("4", "E.4"))},
    {"several channels: a count that knows what was had", 2, CHANNELS("a", "b"), "&& aaab ",
     CHANNELS(EVENT("1", "E.1") EVENT("2", "E.2"),
              GAP_OF("slow", "\"resume\":\"E.3\",\"channels\":[\"a\"],\"lost\":1", "E.3")
                  EVENT("4", "E.4") EVENT("5", "E.5") EVENT("6", "E.6"))},
    {"several channels: ephemeral, once", 9, CHANNELS("a", "b"), "% ", CHANNELS(EPHEMERAL("1"))},
    {"own ids go out as they are", 9, CHANNELS("a"), "a@a ",
     CHANNELS(EVENT("1", "E.1") EVENT("2", "x2") EVENT("3", "E.3"))},
    {"own ids are found again", 9, CHANNELS("a"), "a@ ba@< ",
     CHANNELS(EVENT("1", "E.1") EVENT("2", "x2"),
              POSITION("E.2") EVENT("4", "E.4") EVENT("5", "x5"))},
    {"own ids of several channels", 9, CHANNELS("a", "b"), "# b#< ",
     CHANNELS(EVENT("1", "x1"), POSITION("E.1") EVENT("2", "E.2") EVENT("3", "x3"))},
    {"own ids: the last one is still known when it went from one channel", 1, CHANNELS("a", "b"),
     "# a< ", CHANNELS(EVENT("1", "x1"), POSITION("E.1") EVENT("2", "E.2"))},
    {"own ids: gone, and what may have come after it", 1, CHANNELS("a", "b"), "@ @b<  ",
     CHANNELS(EVENT("1", "x1"),
              GAP_OF("unknown",
                     "\"requested\":\"x1\",\"resume\":\"E.1\",\"channels\":[\"a\",\"b\"]", "E.1")
                  EVENT("2", "x2") EVENT("3", "E.3"),
              "")},
    {"own ids: one of nobody's", 9, CHANNELS("a"), "aa ?  ",
     CHANNELS(EVENT("1", "E.1") EVENT("2", "E.2"),
              GAP_OF("unknown", "\"requested\":\"x9\",\"resume\":\"E.0\",\"channels\":[\"a\"]",
                     "E.0") EVENT("1", "E.1") EVENT("2", "E.2"),
              "")},
};

static void publish(sse_hub *hub, char op, int number) {
  char text[16], id[16];
  const char name[] = {(char)(op | 0x20), '\0'};
  bool own = op == '@' || op == '#', both = op == '&' || op == '#' || op == '%';
  snprintf(text, sizeof text, "%d", number);
  snprintf(id, sizeof id, "x%d", number);
  const sse_event ev = {.text = text,
                        .id = own ? id : NULL,
                        .flags = op == '%' || (op >= 'A' && op <= 'Z') ? SSE_EPHEMERAL : 0};
  if (both) {
    assert_int_equal(sse_hub_publish_to(hub, CHANNELS("a", "b"), &ev), SSE_OK);
  } else {
    assert_int_equal(sse_hub_publish(hub, own ? "a" : name, &ev), SSE_OK);
  }
}

static void run(const struct row *row, bool in_loop) {
  const sse_hub_config config = {
      .retry_ms = SSE_NEVER, .heartbeat_ms = HEARTBEAT_MS, .channel.window_frames_max = row->kept};
  const sse_stream_config stream = {.channels = row->channels};
  const char *const *expected = row->reads;
  char id[32] = "";
  int number = 0;
  struct setting s;
  print_message("  %s%s\n", row->name, in_loop ? ", in a loop" : "");
  open_setting(&s, in_loop, &config, &stream);
  for (const char *op = row->script; *op; op++) {
    if (*op == ' ') {
      const char *bytes = round_of(&s);
      assert_string_equal(bytes, *expected++);
      note_id(bytes, id, sizeof id);
    } else if (*op == '+') {
      s.world.now_ms += HEARTBEAT_MS;
    } else if (*op == '<') {
      reopen(&s, id);
    } else if (*op == '?') {
      reopen(&s, "x9");
    } else {
      publish(s.world.hub, *op, ++number);
    }
  }
  assert_null(*expected);
  close_setting(&s);
}

static void every_row(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    run(&rows[i], false);
    run(&rows[i], true);
  }
}

/* ---- what is refused, and what that leaves ---- */

static void an_id_in_use_is_refused(void **state) {
  struct world world = {0};
  const sse_hub_config config = {.channel.window_frames_max = 1};
  const sse_event own = {.text = "x", .id = "order-7"}, other = {.text = "y"};
  (void)state;
  world_open(&world, &config);
  assert_int_equal(sse_hub_publish(world.hub, "a", &own), SSE_OK);
  assert_int_equal(sse_hub_publish(world.hub, "a", &own), SSE_EIDUSED);
  assert_int_equal(sse_hub_publish(world.hub, "b", &own), SSE_EIDUSED);
  size_t blocks = world_blocks();
  assert_int_equal(sse_hub_publish_to(world.hub, CHANNELS("b", "c"), &own), SSE_EIDUSED);
  assert_int_equal(world_blocks(), blocks);
  assert_int_equal(sse_hub_publish(world.hub, "a", &other), SSE_OK);
  assert_int_equal(sse_hub_publish(world.hub, "a", &own), SSE_OK); /* it is no longer retained */
  world_close(&world);
}

static void what_several_channels_refuse(void **state) {
  static const sse_event ev = {.text = "x"};
  const char *many[SSE_PUBLISH_CHANNELS_MAX + 2] = {NULL};
  char names[SSE_PUBLISH_CHANNELS_MAX + 1][8];
  struct world world = {0};
  const sse_hub_config config = {.channels_max = 2};
  const struct {
    const char *name;
    const char *const *channels;
    const sse_event *ev;
    int error;
  } refused[] = {
      {"no list", NULL, &ev, SSE_EINVAL},
      {"no event", CHANNELS("a"), NULL, SSE_EINVAL},
      {"no channel", CHANNELS(NULL), &ev, SSE_EINVAL},
      {"one twice", CHANNELS("a", "b", "a"), &ev, SSE_EINVAL},
      {"a bad name", CHANNELS("a", ""), &ev, SSE_ENAME},
      {"more than the hub may have", CHANNELS("a", "b", "c"), &ev, SSE_ECHANNELS},
      {"more than one event may go to", many, &ev, SSE_ECHANNELS},
  };
  (void)state;
  for (size_t i = 0; i <= SSE_PUBLISH_CHANNELS_MAX; i++) {
    snprintf(names[i], sizeof names[i], "%zu", i);
    many[i] = names[i];
  }
  world_open(&world, &config);
  world_send(&world, "a", "the tables have grown");
  size_t blocks = world_blocks();
  for (size_t i = 0; i < COUNT(refused); i++) {
    int error = sse_hub_publish_to(world.hub, refused[i].channels, refused[i].ev);
    if (error != refused[i].error) fail_msg("%s: %d", refused[i].name, error);
    if (world_blocks() != blocks) fail_msg("%s: memory was kept", refused[i].name);
  }
  world_close(&world);
}

/* The frames of one event leave the ceiling together, whichever channel lets its share go first. */
static void the_ceiling_holds_with_several_channels(void **state) {
  static char text[1000];
  struct world world = {0};
  const sse_hub_config config = {.memory_bytes_max = 32768, .channel.window_frames_max = 7};
  const sse_event ev = {.text = memset(text, 'x', sizeof text - 1), .id = NULL};
  (void)state;
  world_open(&world, &config);
  sse_stream *stream = world_stream(&world, "b", NULL, NULL);
  for (int i = 0; i < 200; i++) {
    const char *const *channels = i % 3 ? CHANNELS("a", "b", "c") : CHANNELS("c", "d");
    assert_int_equal(sse_hub_publish_to(world.hub, channels, &ev), SSE_OK);
    if (i % 5 == 0) world_read(stream);
    assert_true(world_bytes() < 32768 + 16384); /* the ceiling, and what the hub itself needs */
  }
  sse_stream_free(stream);
  world_close(&world);
}

/* An event that nobody could hear takes nothing, not even a number. */
static void ephemeral_to_nobody_costs_nothing(void **state) {
  struct world world = {0};
  const sse_event ev = {.text = "x", .flags = SSE_EPHEMERAL};
  (void)state;
  world_open(&world, NULL);
  size_t bytes = world_bytes();
  assert_int_equal(sse_hub_publish(world.hub, "a", &ev), SSE_OK);
  assert_int_equal(sse_hub_publish_to(world.hub, CHANNELS("a", "b"), &ev), SSE_OK);
  assert_int_equal(world_bytes(), bytes);
  sse_stream *stream = world_stream(&world, "b", NULL, NULL);
  assert_non_null(strstr(world_read(stream), "id: E.0\n"));
  assert_int_equal(sse_hub_publish_to(world.hub, CHANNELS("a", "b", "c"), &ev), SSE_OK);
  assert_string_equal(world_read(stream), EPHEMERAL("x"));
  assert_int_equal(sse_hub_count(world.hub, "a"), 0);
  sse_stream_free(stream);
  world_close(&world);
}

/* Those that wait for a stream that is busy are bounded, and the newest are kept. */
static void ephemeral_events_are_bounded(void **state) {
  struct world world = {0};
  const sse_event ev = {.text = "x", .flags = SSE_EPHEMERAL};
  (void)state;
  world_open(&world, NULL);
  sse_stream *stream = world_stream(&world, "a", NULL, NULL);
  world_read(stream);
  for (int i = 0; i < 255; i++) assert_int_equal(sse_hub_publish(world.hub, "a", &ev), SSE_OK);
  for (int i = 0; i < 257; i++) assert_int_equal(sse_hub_publish(world.hub, "a", &ev), SSE_OK);
  assert_int_equal(strlen(world_read(stream)), 256 * strlen(EPHEMERAL("x")));
  sse_stream_free(stream);
  world_close(&world);
}

static void every_allocation_failed(void **state) {
  static const sse_event kinds[] = {
      {.text = "x"}, {.text = "x", .id = "own"}, {.text = "x", .flags = SSE_EPHEMERAL}};
  (void)state;
  for (size_t kind = 0; kind < COUNT(kinds); kind++) {
    for (size_t n = 1;; n++) {
      struct world world = {0};
      const sse_hub_config config = {.retry_ms = SSE_NEVER};
      world_open(&world, &config);
      sse_stream *stream = world_stream(&world, "a", NULL, NULL);
      world_read(stream);
      size_t bytes = world_bytes();
      world_fail(n, true);
      int error = sse_hub_publish_to(world.hub, CHANNELS("a", "b"), &kinds[kind]);
      world_fail(0, false);
      if (error) {
        assert_int_equal(error, SSE_ENOMEM);
        assert_string_equal(world_read(stream), "");
        assert_true(world_bytes() <= bytes + 1024); /* tables may stay, frames may not */
        assert_int_equal(sse_hub_publish_to(world.hub, CHANNELS("a", "b"), &kinds[kind]), SSE_OK);
      }
      assert_non_null(strstr(world_read(stream), "data: x\n"));
      sse_stream_free(stream);
      world_close(&world);
      if (!error) break;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row),
      cmocka_unit_test(an_id_in_use_is_refused),
      cmocka_unit_test(what_several_channels_refuse),
      cmocka_unit_test(the_ceiling_holds_with_several_channels),
      cmocka_unit_test(ephemeral_to_nobody_costs_nothing),
      cmocka_unit_test(ephemeral_events_are_bounded),
      cmocka_unit_test(every_allocation_failed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
