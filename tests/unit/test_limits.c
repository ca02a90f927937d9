/* SPDX-License-Identifier: MIT */
/* test_limits.c: where a stream starts, which events it gets, and how far it may be behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define OPENING(reason, requested, channels, id)                                                   \
  GAP_OF(reason,                                                                                   \
         "\"requested\":\"" requested "\",\"resume\":\"" id "\",\"channels\":[" channels "]", id)

static const sse_hub_config quiet = {.retry_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER};

/* Each letter publishes to the channel of that name; the text is the event's number. */
static void publish_all(sse_hub *hub, const char *channels, int number) {
  for (; *channels; channels++) {
    char text[16];
    const char name[] = {*channels, '\0'};
    snprintf(text, sizeof text, "%d", ++number);
    /* An odd label is what the filter of these tests lets pass. */
    const sse_event ev = {.text = text, .label = (uint64_t)number};
    assert_int_equal(sse_hub_publish(hub, name, &ev), SSE_OK);
  }
}

/* ---- where a stream starts ---- */

static const struct start_row {
  const char *name;
  size_t kept;
  const char *before; /* published before it opens */
  sse_stream_config config;
  const char *bytes;
} start_rows[] = {
    {"now", 9, "aba", {.channel = "a"}, POSITION("E.3")},
    {"all that is retained",
     9,
     "baba",
     {.channel = "a", .start = SSE_START_RETAINED},
     POSITION("E.1") EVENT("2", "E.2") EVENT("4", "E.4")},
    {"all that is retained is no loss of the rest",
     1,
     "aaba",
     {.channel = "a", .start = SSE_START_RETAINED},
     POSITION("E.3") EVENT("4", "E.4")},
    {"all of two channels, one of which lost more",
     1,
     "abbb",
     {.channels = CHANNELS("a", "b"), .start = SSE_START_RETAINED},
     POSITION("E.0") EVENT("1", "E.1") EVENT("4", "E.4")},
    {"all of nothing", 9, "b", {.channel = "a", .start = SSE_START_RETAINED}, POSITION("E.1")},
    {"the last two",
     9,
     "aaaa",
     {.channel = "a", .start = SSE_START_LAST, .start_events = 2},
     POSITION("E.2") EVENT("3", "E.3") EVENT("4", "E.4")},
    {"the last three of two channels together",
     9,
     "abcaabc",
     {.channels = CHANNELS("a", "b"), .start = SSE_START_LAST, .start_events = 3},
     POSITION("E.3") EVENT("4", "E.4") EVENT("5", "E.5") EVENT("6", "E.6")},
    {"the last none", 9, "aa", {.channel = "a", .start = SSE_START_LAST}, POSITION("E.2")},
    {"more than there are",
     9,
     "aa",
     {.channel = "a", .start = SSE_START_LAST, .start_events = 5},
     POSITION("E.0") EVENT("1", "E.1") EVENT("2", "E.2")},
    {"all that is retained, within bounds of its own",
     9,
     "aaa",
     {.channel = "a", .start = SSE_START_RETAINED, .lag_events_max = 2},
     POSITION("E.1") EVENT("2", "E.2") EVENT("3", "E.3")},
    {"an id comes first",
     9,
     "aaa",
     {.channel = "a", .start = SSE_START_RETAINED, .last_id = "E.2"},
     POSITION("E.2") EVENT("3", "E.3")},
    {"not before: a start",
     9,
     "aaa",
     {.channel = "a", .start = SSE_START_RETAINED, .not_before = "E.2"},
     POSITION("E.2") EVENT("3", "E.3")},
    {"not before: a resume",
     9,
     "aaa",
     {.channel = "a", .last_id = "E.0", .not_before = "E.2"},
     POSITION("E.2") EVENT("3", "E.3")},
    {"not before: what is gone below it is no loss",
     1,
     "aaa",
     {.channel = "a", .last_id = "E.0", .not_before = "E.2"},
     POSITION("E.2") EVENT("3", "E.3")},
    {"not before: what is gone above it is",
     1,
     "aaa",
     {.channel = "a", .last_id = "E.0", .not_before = "E.1"},
     OPENING("evicted", "E.0", "\"a\"", "E.2") EVENT("3", "E.3")},
    {"not before: after a restart",
     9,
     "aaa",
     {.channel = "a", .last_id = "F.7", .not_before = "E.2"},
     OPENING("restart", "F.7", "\"a\"", "E.2") EVENT("3", "E.3")},
    {"not before: of an earlier life",
     9,
     "a",
     {.channel = "a", .last_id = "E.0", .not_before = "F.9"},
     POSITION("E.0") EVENT("1", "E.1")},
    {"not before: ahead of the hub",
     9,
     "a",
     {.channel = "a", .last_id = "E.0", .not_before = "E.9"},
     POSITION("E.1")},
    {"lost, live: evicted",
     1,
     "aaa",
     {.channel = "a", .last_id = "E.0", .lost = SSE_LOST_LIVE},
     OPENING("evicted", "E.0", "\"a\"", "E.3")},
    {"lost, live: restart",
     9,
     "aa",
     {.channel = "a", .last_id = "F.1", .lost = SSE_LOST_LIVE},
     OPENING("restart", "F.1", "\"a\"", "E.2")},
    {"lost, live: nothing was",
     9,
     "aa",
     {.channel = "a", .last_id = "E.1", .lost = SSE_LOST_LIVE},
     POSITION("E.1") EVENT("2", "E.2")},
    {"lost, replay: future",
     9,
     "aa",
     {.channel = "a", .last_id = "E.9", .lost = SSE_LOST_REPLAY},
     OPENING("future", "E.9", "\"a\"", "E.0") EVENT("1", "E.1") EVENT("2", "E.2")},
    {"lost, replay: future, not before",
     9,
     "aa",
     {.channel = "a", .last_id = "E.9", .lost = SSE_LOST_REPLAY, .not_before = "E.1"},
     OPENING("future", "E.9", "\"a\"", "E.1") EVENT("2", "E.2")},
    {"lost, replay: what the client has had is not sent again",
     1,
     "abaa",
     {.channels = CHANNELS("a", "b"), .last_id = "E.2", .lost = SSE_LOST_REPLAY},
     OPENING("evicted", "E.2", "\"a\"", "E.3") EVENT("4", "E.4")},
};

static void every_start(void **state) {
  (void)state;
  for (size_t i = 0; i < 2 * COUNT(start_rows); i++) {
    const struct start_row *row = &start_rows[i / 2];
    struct world world = {0};
    sse_loop *loop = NULL;
    sse_stream *stream;
    sse_hub_config config = quiet;
    config.channel.window_frames_max = row->kept;
    print_message("  %s\n", row->name);
    world_open(&world, &config);
    publish_all(world.hub, row->before, 0);
    sse_stream_config c = row->config;
    struct wakes wakes = {0};
    if (i % 2)
      assert_int_equal(
          sse_loop_new(&loop, world.hub,
                       &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
          SSE_OK);
    c.loop = loop;
    assert_int_equal(sse_stream_open(&stream, world.hub, &c), SSE_OK);
    assert_string_equal(world_read(stream), row->bytes);
    sse_stream_free(stream);
    assert_int_equal(sse_loop_free(loop), SSE_OK);
    world_close(&world);
  }
}

/* ---- how far it may be behind, and what it is shown ---- */

static int odd_labels(void *arg, const sse_filter_event *event) {
  int *calls = arg;
  const char *number = (const char *)event->bytes + strlen("data: ");
  ++*calls;
  assert_int_equal(event->label, strtoull(number, NULL, 10));
  assert_memory_equal((const char *)event->bytes + event->len - 2, "\n\n", 2);
  assert_int_equal(strlen(event->channel), 1);
  return event->label % 2;
}

/*
 * A script: a letter publishes; a blank reads, and the bytes are compared; '+' lets a second pass;
 * '<' comes back with the last id that was read; '!' reads the end of the stream, which is slow.
 */
static int filter_calls;
static const struct script_row {
  const char *name;
  size_t kept;
  sse_stream_config config;
  const char *script;
  const char *const *reads;
} script_rows[] = {
    {"events behind: within",
     9,
     {.channel = "a", .lag_events_max = 2},
     "aa ",
     CHANNELS(EVENT("1", "E.1") EVENT("2", "E.2"))},
    {"events behind: one too many",
     9,
     {.channel = "a", .lag_events_max = 2},
     "aaa ",
     CHANNELS(GAP_OF("slow", "\"resume\":\"E.1\",\"channels\":[\"a\"],\"lost\":1", "E.1")
                  EVENT("2", "E.2") EVENT("3", "E.3"))},
    {"events behind: over two channels",
     9,
     {.channels = CHANNELS("a", "b"), .lag_events_max = 2},
     "aaba ",
     CHANNELS(GAP_OF("slow", "\"resume\":\"E.2\",\"channels\":[\"a\"],\"lost\":2", "E.2")
                  EVENT("3", "E.3") EVENT("4", "E.4"))},
    {"events behind: tighter than a window that lost some, too",
     3,
     {.channel = "a", .lag_events_max = 2},
     "aaaaa ",
     CHANNELS(GAP_OF("slow", "\"resume\":\"E.3\",\"channels\":[\"a\"],\"lost\":3", "E.3")
                  EVENT("4", "E.4") EVENT("5", "E.5"))},
    {"events behind: told once",
     9,
     {.channel = "a", .lag_events_max = 1},
     "aa a aa ",
     CHANNELS(GAP_OF("slow", "\"resume\":\"E.1\",\"channels\":[\"a\"],\"lost\":1", "E.1")
                  EVENT("2", "E.2"),
              EVENT("3", "E.3"),
              GAP_OF("slow", "\"resume\":\"E.4\",\"channels\":[\"a\"],\"lost\":1", "E.4")
                  EVENT("5", "E.5"))},
    {"bytes behind: within",
     9,
     {.channel = "a", .lag_bytes_max = 34},
     "aa ",
     CHANNELS(EVENT("1", "E.1") EVENT("2", "E.2"))},
    {"bytes behind: one too many",
     9,
     {.channel = "a", .lag_bytes_max = 33},
     "aa ",
     CHANNELS(GAP_OF("slow", "\"resume\":\"E.1\",\"channels\":[\"a\"],\"lost\":1", "E.1")
                  EVENT("2", "E.2"))},
    {"time behind: within",
     9,
     {.channel = "a", .lag_ms_max = 1000},
     "a+a ",
     CHANNELS(EVENT("1", "E.1") EVENT("2", "E.2"))},
    {"time behind: too old",
     9,
     {.channel = "a", .lag_ms_max = 1000},
     "a+a+ ",
     CHANNELS(GAP_OF("slow", "\"resume\":\"E.1\",\"channels\":[\"a\"],\"lost\":1", "E.1")
                  EVENT("2", "E.2"))},
    {"time behind: all of it",
     9,
     {.channel = "a", .lag_ms_max = 1000},
     "aa++ a ",
     CHANNELS(GAP_OF("slow", "\"resume\":\"E.2\",\"channels\":[\"a\"],\"lost\":2", "E.2"),
              EVENT("3", "E.3"))},
    {"close: who keeps up stays",
     9,
     {.channel = "a", .slow = SSE_SLOW_CLOSE},
     "a a ",
     CHANNELS(EVENT("1", "E.1"), EVENT("2", "E.2"))},
    {"close: behind the window, and back",
     1,
     {.channel = "a", .slow = SSE_SLOW_CLOSE},
     "a aa!< a ",
     CHANNELS(EVENT("1", "E.1"), OPENING("evicted", "E.1", "\"a\"", "E.2") EVENT("3", "E.3"),
              EVENT("4", "E.4"))},
    {"close: who comes back too far behind is told, and goes on",
     9,
     {.channel = "a", .slow = SSE_SLOW_CLOSE, .lag_events_max = 2},
     "a aaa!< a ",
     CHANNELS(EVENT("1", "E.1"),
              OPENING("evicted", "E.1", "\"a\"", "E.2") EVENT("3", "E.3") EVENT("4", "E.4"),
              EVENT("5", "E.5"))},
    {"bytes behind: one event at least",
     9,
     {.channel = "a", .lag_bytes_max = 1},
     "a a ",
     CHANNELS(EVENT("1", "E.1"), EVENT("2", "E.2"))},
    {"close: behind a bound of its own",
     9,
     {.channel = "a", .slow = SSE_SLOW_CLOSE, .lag_events_max = 1},
     "a aa!",
     CHANNELS(EVENT("1", "E.1"))},
    {"a filter, live",
     9,
     {.channel = "a", .filter = odd_labels, .filter_arg = &filter_calls},
     "aaa a ",
     CHANNELS(EVENT("1", "E.1") EVENT("3", "E.3"), "")},
    {"a filter, two channels",
     9,
     {.channels = CHANNELS("a", "b"), .filter = odd_labels, .filter_arg = &filter_calls},
     "abba ",
     CHANNELS(EVENT("1", "E.1") EVENT("3", "E.3"))},
    {"a filter, replay",
     9,
     {.channel = "a", .filter = odd_labels, .filter_arg = &filter_calls},
     "a aaaa< ",
     CHANNELS(EVENT("1", "E.1"), POSITION("E.1") EVENT("3", "E.3") EVENT("5", "E.5"))},
    {"bytes behind: what it has had does not count",
     9,
     {.channel = "a", .lag_bytes_max = 34},
     "a aa ",
     CHANNELS(EVENT("1", "E.1"), EVENT("2", "E.2") EVENT("3", "E.3"))},
    {"a filter: nobody knows how many of its own are lost",
     1,
     {.channel = "a", .filter = odd_labels, .filter_arg = &filter_calls},
     "aaa ",
     CHANNELS(GAP_OF("slow", "\"resume\":\"E.2\",\"channels\":[\"a\"]", "E.2") EVENT("3", "E.3"))},
};

static void read_end(struct setting *s) {
  assert_string_equal(round_of(s), "");
  assert_int_equal(world_read_result(), SSE_ESLOW);
  assert_int_equal(world_read_result(), SSE_ESLOW);
}

static void run_script(const struct script_row *row, bool in_loop) {
  const char *const *expected = row->reads;
  char id[32] = "";
  struct setting s;
  int number = 0;
  sse_hub_config config = quiet;
  config.channel.window_frames_max = row->kept;
  print_message("  %s%s\n", row->name, in_loop ? ", in a loop" : "");
  open_setting(&s, in_loop, &config, &row->config);
  for (const char *op = row->script; *op; op++) {
    if (*op == ' ') {
      const char *bytes = round_of(&s);
      assert_string_equal(bytes, *expected++);
      note_id(bytes, id, sizeof id);
    } else if (*op == '+') {
      s.world.now_ms += 1000;
    } else if (*op == '<') {
      reopen(&s, id);
    } else if (*op == '!') {
      read_end(&s);
    } else {
      publish_all(s.world.hub, (const char[]){*op, '\0'}, number++);
    }
  }
  assert_null(*expected);
  close_setting(&s);
}

static void every_script(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(script_rows); i++) {
    run_script(&script_rows[i], false);
    /* In a loop a stream that is behind by its own bounds is looked at when its transport has room
     * again, so the rows of these bounds are of streams that stand alone. */
    const sse_stream_config *c = &script_rows[i].config;
    if (!c->lag_events_max && !c->lag_bytes_max && !c->lag_ms_max)
      run_script(&script_rows[i], true);
  }
}

/* Who did not keep up is told to come back later than others. */
static void who_is_closed_comes_back_later(void **state) {
  const sse_hub_config config = {.retry_ms = 1, .channel.window_frames_max = 1};
  const sse_stream_config stream = {.channel = "a", .slow = SSE_SLOW_CLOSE};
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct setting s;
    open_setting(&s, in_loop, &config, &stream);
    publish_all(s.world.hub, "aa", 0);
    const char *bytes = round_of(&s);
    assert_ptr_equal(strstr(bytes, "retry: "), bytes);
    assert_in_range(strtol(bytes + strlen("retry: "), NULL, 10), 4, 6);
    assert_string_equal(strchr(bytes, '\n'), "\n");
    assert_int_equal(world_read_result(), SSE_ESLOW);
    close_setting(&s);
  }
}

/* Very many events that are not for a stream are passed over in pieces, and none for it is missed.
 */
static void a_filter_that_leaves_nearly_all_out(void **state) {
  enum {
    EVENTS = 5000
  };
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    int calls = 0;
    struct setting s;
    sse_hub_config config = quiet;
    config.channel.window_frames_max = 2 * EVENTS;
    const sse_stream_config stream = {.channel = "a", .filter = odd_labels, .filter_arg = &calls};
    open_setting(&s, in_loop, &config, &stream);
    for (int i = 1; i <= EVENTS; i++) publish_all(s.world.hub, "a", 2 * i - 1);
    publish_all(s.world.hub, "a", 2 * EVENTS);
    reopen(&s, "E.0");
    assert_string_equal(round_of(&s), POSITION("E.0") EVENT("10001", "E.5001"));
    assert_int_equal(calls, EVENTS + 1);
    close_setting(&s);
  }
}

/* On a conflated channel a filter goes by the key, in the state as later. */
static int not_secret(void *arg, const sse_filter_event *event) {
  (void)arg;
  return strcmp(event->key, "secret") != 0;
}

static void a_filter_by_key(void **state) {
  const sse_channel_config conflated = {.conflate = SSE_YES};
  const sse_stream_config stream = {.channel = "c", .filter = not_secret};
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct setting s;
    open_setting(&s, in_loop, &quiet, &stream);
    round_of(&s);
    assert_int_equal(sse_hub_configure_channel(s.world.hub, "c", &conflated), SSE_OK);
    for (int i = 0; i < 2; i++) {
      sse_event ev = {.text = "x", .key = "secret"};
      assert_int_equal(sse_hub_publish_to(s.world.hub, CHANNELS("c", "other"), &ev), SSE_OK);
      ev.key = "open";
      assert_int_equal(sse_hub_publish_to(s.world.hub, CHANNELS("c", "other"), &ev), SSE_OK);
    }
    assert_string_equal(round_of(&s), EVENT("x", "E.4"));
    reopen(&s, NULL);
    assert_string_equal(round_of(&s), POSITION("E.4~") EPHEMERAL("x") POSITION("E.4"));
    close_setting(&s);
  }
}

/* A gap that names long channels is told whole. */
static void a_gap_may_be_long(void **state) {
  static char names[3][SSE_CHANNEL_NAME_BYTES_MAX + 1];
  const char *const channels[] = {names[0], names[1], names[2], NULL};
  const sse_stream_config stream = {.channels = channels};
  const char *bytes, *end = "\"]}\nid: E.0\n\n";
  struct setting s;
  (void)state;
  for (int i = 0; i < 3; i++) memset(names[i], 'a' + i, SSE_CHANNEL_NAME_BYTES_MAX);
  open_setting(&s, false, &quiet, &stream);
  reopen(&s, "F.1");
  bytes = round_of(&s);
  for (int i = 0; i < 3; i++) assert_non_null(strstr(bytes, names[i]));
  assert_true(strlen(bytes) > 3 * SSE_CHANNEL_NAME_BYTES_MAX);
  assert_string_equal(bytes + strlen(bytes) - strlen(end), end);
  close_setting(&s);
}

static void what_is_refused(void **state) {
  static const struct {
    const char *name;
    sse_stream_config config;
  } refused[] = {
      {"no such start", {.channel = "a", .start = (sse_start)3}},
      {"no such choice", {.channel = "a", .lost = (sse_lost)3}},
      {"no such policy", {.channel = "a", .slow = (sse_slow)2}},
      {"no id of a hub's", {.channel = "a", .not_before = "x1"}},
      {"no time", {.channel = "a", .lag_ms_max = -2}},
      {"no heartbeat", {.channel = "a", .heartbeat_ms = -2}},
      {"no stall", {.channel = "a", .stall_ms = -2}},
      {"no age", {.channel = "a", .age_ms_max = -2}},
      {"no retry", {.channel = "a", .retry_ms = -2}},
  };
  struct world world = {0};
  (void)state;
  world_open(&world, NULL);
  for (size_t i = 0; i < COUNT(refused); i++) {
    sse_stream *stream = NULL;
    int error = sse_stream_open(&stream, world.hub, &refused[i].config);
    if (error != SSE_EINVAL || stream) fail_msg("%s: %d", refused[i].name, error);
  }
  world_close(&world);
}

/* The longer time is one that a client takes. */
static void the_longest_time_to_come_back(void **state) {
  const sse_stream_config stream = {
      .channel = "a", .slow = SSE_SLOW_CLOSE, .retry_ms = SSE_RETRY_MS_MAX / 2};
  const sse_hub_config config = {.channel.window_frames_max = 1};
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct setting s;
    open_setting(&s, in_loop, &config, &stream);
    publish_all(s.world.hub, "aa", 0);
    assert_string_equal(round_of(&s), "retry: 2147483647\n");
    assert_int_equal(world_read_result(), SSE_ESLOW);
    close_setting(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_start),
      cmocka_unit_test(every_script),
      cmocka_unit_test(who_is_closed_comes_back_later),
      cmocka_unit_test(a_filter_that_leaves_nearly_all_out),
      cmocka_unit_test(a_filter_by_key),
      cmocka_unit_test(a_gap_may_be_long),
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(the_longest_time_to_come_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
