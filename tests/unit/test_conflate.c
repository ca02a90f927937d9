/* SPDX-License-Identifier: MIT */
/* test_conflate.c: channels that keep the newest event of each key, and their state for who comes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"

#define COUNT(array)   (sizeof(array) / sizeof(array)[0])
#define UNFINISHED(id) POSITION(id "~")
#define LOST(requested, id)                                                                        \
  GAP_OF("evicted", "\"requested\":\"" requested "\",\"resume\":\"" id "\",\"channels\":[\"c\"]",  \
         id)

/*
 * A script: x, y and z publish under their key to the conflated channel c, X, Y and Z delete it,
 * '.' is ephemeral there, a and b publish to those channels; the text is the event's number. A
 * blank reads, and the bytes are compared. '<' comes back with the last id that was read, '>' with
 * none,
 * '~' with the one that the opening position of a history had.
 */
static const struct row {
  const char *name;
  size_t kept;
  const char *const *channels;
  const char *script;
  const char *const *reads;
} rows[] = {
    {"who reads at once gets every value", 9, CHANNELS("c"), "x x ",
     CHANNELS(EVENT("1", "E.1"), EVENT("2", "E.2"))},
    {"who is slow gets the latest of each key", 9, CHANNELS("c"), "xyxzx ",
     CHANNELS(EVENT("2", "E.2") EVENT("4", "E.4") EVENT("5", "E.5"))},
    {"what is superseded is no loss", 2, CHANNELS("c"), "xxxxyyyyx ",
     CHANNELS(EVENT("8", "E.8") EVENT("9", "E.9"))},
    {"in order with other channels", 9, CHANNELS("a", "c"), "xaxa ",
     CHANNELS(EVENT("2", "E.2") EVENT("3", "E.3") EVENT("4", "E.4"))},
    {"a tombstone is told to who listens", 9, CHANNELS("c"), "x xX ",
     CHANNELS(EVENT("1", "E.1"), EVENT("3", "E.3"))},
    {"a key comes back", 9, CHANNELS("c"), "xXx ", CHANNELS(EVENT("3", "E.3"))},
    {"ephemeral events pass", 9, CHANNELS("c"), "x.x ", CHANNELS(EPHEMERAL("2") EVENT("3", "E.3"))},
    {"the state comes first", 9, CHANNELS("c"), "xyx>  x ",
     CHANNELS(UNFINISHED("E.3") EPHEMERAL("2") EPHEMERAL("3") POSITION("E.3"), "",
              EVENT("4", "E.4"))},
    {"the state has no tombstones", 9, CHANNELS("c"), "xyX> ",
     CHANNELS(UNFINISHED("E.3") EPHEMERAL("2") POSITION("E.3"))},
    {"the state of nothing", 9, CHANNELS("c"), ">a ", CHANNELS(POSITION("E.0"))},
    {"the state, and what comes while it is given", 9, CHANNELS("c", "a"), "xya>xa ",
     CHANNELS(UNFINISHED("E.3") EPHEMERAL("2") POSITION("E.3") EVENT("4", "E.4")
                  EVENT("5", "E.5"))},
    {"who comes back gets what changed", 9, CHANNELS("c"), "xy xx< ",
     CHANNELS(EVENT("1", "E.1") EVENT("2", "E.2"), POSITION("E.2") EVENT("4", "E.4"))},
    {"who was cut off in the state gets all of it", 9, CHANNELS("c"), "xy>x~ ",
     CHANNELS(GAP_OF("evicted", "\"requested\":\"E.2~\",\"resume\":\"E.2~\",\"channels\":[\"c\"]",
                     "E.2~") EPHEMERAL("2") POSITION("E.2") EVENT("3", "E.3"))},
    {"a key that the window has no room for", 2, CHANNELS("c"), "xyz> ",
     CHANNELS(GAP_OF("evicted", "\"resume\":\"E.3~\",\"channels\":[\"c\"]", "E.3~") EPHEMERAL("2")
                  EPHEMERAL("3") POSITION("E.3"))},
    {"it is a loss for who was slow", 2, CHANNELS("c"), "xyz ",
     CHANNELS(GAP_OF("slow", "\"resume\":\"E.1\",\"channels\":[\"c\"]", "E.1") EVENT("2", "E.2")
                  EVENT("3", "E.3"))},
    {"tombstones go first, and are no loss of state", 2, CHANNELS("c"), "xyXz> ",
     CHANNELS(UNFINISHED("E.4") EPHEMERAL("2") EPHEMERAL("4") POSITION("E.4"))},
    {"but of news", 2, CHANNELS("c"), "x yXz< ",
     CHANNELS(EVENT("1", "E.1"), LOST("E.1", "E.1") EVENT("2", "E.2") EVENT("4", "E.4"))},
    {"of several tombstones the oldest goes first", 3, CHANNELS("c"), "xyzXY Zyw ",
     CHANNELS(EVENT("3", "E.3") EVENT("4", "E.4") EVENT("5", "E.5"),
              EVENT("6", "E.6") EVENT("7", "E.7") EVENT("8", "E.8"))},
    {"many values of few keys", 9, CHANNELS("c"), "xyzxyzxyzxyzxyzxyzxyzxyzxyzxyzxyzxyz x ",
     CHANNELS(EVENT("34", "E.34") EVENT("35", "E.35") EVENT("36", "E.36"), EVENT("37", "E.37"))},
    {"old values among many new ones", 9, CHANNELS("c"), "xzyyyyyyyyyyzyyyyyyyyyy > ",
     CHANNELS(EVENT("1", "E.1") EVENT("13", "E.13") EVENT("23", "E.23"),
              UNFINISHED("E.23") EPHEMERAL("1") EPHEMERAL("13") EPHEMERAL("23") POSITION("E.23"))},
    {"the oldest of several tombstones goes first", 2, CHANNELS("c"), "XYzx> ",
     CHANNELS(UNFINISHED("E.4") EPHEMERAL("3") EPHEMERAL("4") POSITION("E.4"))},
    {"nobody knows how many who came later has lost", 2, CHANNELS("c"), "> xyz ",
     CHANNELS(POSITION("E.0"), GAP_OF("slow", "\"resume\":\"E.1\",\"channels\":[\"c\"]", "E.1")
                                   EVENT("2", "E.2") EVENT("3", "E.3"))},
};

static void publish(sse_hub *hub, char op, int number) {
  char text[16];
  const char key[] = {(char)(op | 0x20), '\0'};
  snprintf(text, sizeof text, "%d", number);
  sse_event ev = {.text = text};
  if (op == 'a' || op == 'b') {
    assert_int_equal(sse_hub_publish(hub, key, &ev), SSE_OK);
    return;
  }
  if (op == '.') {
    ev.flags = SSE_EPHEMERAL;
  } else {
    ev.key = key;
    if (op < 'a') ev.flags = SSE_TOMBSTONE;
  }
  assert_int_equal(sse_hub_publish(hub, "c", &ev), SSE_OK);
}

static void run(const struct row *row, bool in_loop) {
  const sse_hub_config config = {
      .retry_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER, .channel.window_frames_max = row->kept};
  const sse_channel_config conflated = {.conflate = SSE_YES};
  const sse_stream_config stream = {.channels = row->channels};
  const char *const *expected = row->reads;
  char id[32] = "";
  struct setting s;
  int number = 0;
  print_message("  %s%s\n", row->name, in_loop ? ", in a loop" : "");
  open_setting(&s, in_loop, &config, &stream);
  assert_int_equal(sse_hub_configure_channel(s.world.hub, "c", &conflated), SSE_OK);
  for (const char *op = row->script; *op; op++) {
    if (*op == ' ') {
      const char *bytes = round_of(&s);
      assert_string_equal(bytes, *expected++);
      note_id(bytes, id, sizeof id);
    } else if (*op == '<' || *op == '>') {
      reopen(&s, *op == '<' ? id : NULL);
    } else if (*op == '~') {
      reopen(&s, "E.2~");
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

/* ---- what is refused ---- */

static void what_is_refused(void **state) {
  static char longest[SSE_KEY_BYTES_MAX + 2];
  static const struct {
    const char *name, *channel;
    sse_event event;
    int error;
  } refused[] = {
      {"no key", "c", {.text = "x"}, SSE_EKEY},
      {"an empty key", "c", {.text = "x", .key = ""}, SSE_EKEY},
      {"an empty key elsewhere", "a", {.text = "x", .key = ""}, SSE_EKEY},
      {"a key too long", "c", {.text = "x", .key = longest}, SSE_EKEY},
      {"an id", "c", {.text = "x", .key = "k", .id = "1"}, SSE_EKEY},
      {"ephemeral with a key", "c", {.text = "x", .key = "k", .flags = SSE_EPHEMERAL}, SSE_EINVAL},
      {"a tombstone of nothing", "c", {.text = "x", .flags = SSE_TOMBSTONE}, SSE_EINVAL},
  };
  const sse_channel_config conflated = {.conflate = SSE_YES}, plain = {.conflate = SSE_NO};
  struct world world = {0};
  (void)state;
  memset(longest, 'k', sizeof longest - 1);
  world_open(&world, NULL);
  assert_int_equal(sse_hub_configure_channel(world.hub, "c", &conflated), SSE_OK);
  for (size_t i = 0; i < COUNT(refused); i++) {
    int error = sse_hub_publish(world.hub, refused[i].channel, &refused[i].event);
    if (error != refused[i].error) fail_msg("%s: %d", refused[i].name, error);
  }
  longest[SSE_KEY_BYTES_MAX] = '\0';
  assert_int_equal(sse_hub_publish(world.hub, "c", &(sse_event){.text = "x", .key = longest}), 0);
  assert_int_equal(sse_hub_configure_channel(world.hub, "c", &plain),
                   SSE_EBUSY); /* it is too late */
  assert_int_equal(sse_hub_configure_channel(world.hub, "c", &conflated), SSE_OK);
  world_send(&world, "a", "x");
  assert_int_equal(sse_hub_configure_channel(world.hub, "a", &conflated), SSE_EBUSY);
  assert_int_equal(sse_hub_configure_channel(world.hub, "b", &conflated), SSE_OK);
  assert_int_equal(sse_hub_configure_channel(world.hub, "b", &plain),
                   SSE_OK); /* nothing was published */
  world_send(&world, "b", "x");
  world_close(&world);
}

/* A hub may conflate all its channels, and one event may go to a channel of each sort. */
static void every_channel_conflated_but_one(void **state) {
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .channel.conflate = SSE_YES};
  const sse_channel_config plain = {.conflate = SSE_NO};
  const sse_event one = {.text = "1", .key = "k"}, two = {.text = "2", .key = "k"};
  struct world world = {0};
  (void)state;
  world_open(&world, &config);
  assert_int_equal(sse_hub_configure_channel(world.hub, "log", &plain), SSE_OK);
  sse_stream *state_of = world_stream(&world, "a", NULL, NULL);
  sse_stream *log_of = world_stream(&world, "log", NULL, NULL);
  world_read(state_of);
  world_read(log_of);
  assert_int_equal(sse_hub_publish_to(world.hub, CHANNELS("log", "a"), &one), SSE_OK);
  assert_int_equal(sse_hub_publish_to(world.hub, CHANNELS("a", "log"), &two), SSE_OK);
  assert_string_equal(world_read(state_of), EVENT("2", "E.2"));
  assert_string_equal(world_read(log_of), EVENT("1", "E.1") EVENT("2", "E.2"));
  sse_stream_free(state_of);
  sse_stream_free(log_of);
  world_close(&world);
}

/* ---- the ceiling ---- */

/* What a log channel floods the hub with goes before the state of another channel. */
static void the_log_goes_before_the_state(void **state) {
  static char text[400];
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .memory_bytes_max = 16384};
  const sse_channel_config conflated = {.conflate = SSE_YES};
  struct world world = {0};
  (void)state;
  memset(text, 'x', sizeof text - 1);
  world_open(&world, &config);
  assert_int_equal(sse_hub_configure_channel(world.hub, "c", &conflated), SSE_OK);
  for (int i = 0; i < 3; i++) {
    const char key[] = {(char)('k' + i), '\0'};
    assert_int_equal(sse_hub_publish(world.hub, "c", &(sse_event){.text = key, .key = key}), 0);
  }
  for (int i = 0; i < 100; i++) world_send(&world, "a", text);
  sse_stream *stream = world_stream(&world, "c", NULL, NULL);
  assert_string_equal(world_read(stream), UNFINISHED("E.103") EPHEMERAL("k") EPHEMERAL("l")
                                              EPHEMERAL("m") POSITION("E.103"));
  sse_stream_free(stream);
  /* With nothing else to go, states go, the oldest first. */
  for (int i = 0; i < 100; i++) {
    char key[16];
    snprintf(key, sizeof key, "%d", i);
    assert_int_equal(sse_hub_publish(world.hub, "c", &(sse_event){.text = text, .key = key}), 0);
  }
  stream = world_stream(&world, "c", NULL, NULL);
  assert_non_null(strstr(world_read(stream), "event: gap\n"));
  sse_stream_free(stream);
  world_close(&world);
}

/* ---- the history of who does not take it ---- */

struct sink {
  size_t takes; /* so many bytes, then nothing */
  char bytes[16384];
  size_t len;
};

static ssize_t take(void *io, const struct iovec *iov, int count) {
  struct sink *sink = io;
  ssize_t taken = 0;
  for (int i = 0; i < count && sink->takes > 0; i++) {
    size_t part = iov[i].iov_len < sink->takes ? iov[i].iov_len : sink->takes;
    assert_true(sink->len + part < sizeof sink->bytes);
    memcpy(sink->bytes + sink->len, iov[i].iov_base, part);
    sink->len += part;
    sink->takes -= part;
    taken += (ssize_t)part;
  }
  return taken ? taken : SSE_EAGAIN;
}

static void put(sse_hub *hub, const char *key, const char *text) {
  assert_int_equal(sse_hub_publish(hub, "c", &(sse_event){.text = text, .key = key}), SSE_OK);
}

/* It is cut at every byte, and what it gives stays the same, in order and once. */
static void it_may_stop_at_every_byte(void **state) {
  static const char whole[] =
      UNFINISHED("E.3") EPHEMERAL("one") EPHEMERAL("two") EPHEMERAL("three") POSITION("E.3");
  const sse_hub_config config = {.retry_ms = SSE_NEVER};
  const sse_channel_config conflated = {.conflate = SSE_YES};
  (void)state;
  for (size_t at = 0; at < sizeof whole; at++) {
    struct world world = {0};
    struct sink sink = {.takes = at};
    world_open(&world, &config);
    assert_int_equal(sse_hub_configure_channel(world.hub, "c", &conflated), SSE_OK);
    put(world.hub, "1", "one");
    put(world.hub, "2", "two");
    put(world.hub, "3", "three");
    sse_stream *stream = world_stream(&world, "c", NULL, NULL);
    assert_int_equal(sse_stream_flush(stream, take, &sink),
                     at >= sizeof whole - 1 ? SSE_OK : SSE_EAGAIN);
    sink.takes = SIZE_MAX;
    assert_int_equal(sse_stream_flush(stream, take, &sink), SSE_OK);
    sink.bytes[sink.len] = '\0';
    assert_string_equal(sink.bytes, whole);
    sse_stream_free(stream);
    world_close(&world);
  }
}

/* What is evicted before its turn is told of at the end; what changes meanwhile comes live. */
static void what_goes_while_it_is_given_is_told(void **state) {
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .channel.window_frames_max = 3};
  const sse_channel_config conflated = {.conflate = SSE_YES};
  struct world world = {0};
  struct sink sink = {.takes = strlen(UNFINISHED("E.3")) + 1};
  (void)state;
  world_open(&world, &config);
  assert_int_equal(sse_hub_configure_channel(world.hub, "c", &conflated), SSE_OK);
  put(world.hub, "1", "one");
  put(world.hub, "2", "two");
  put(world.hub, "3", "three");
  sse_stream *stream = world_stream(&world, "c", NULL, NULL);
  assert_int_equal(sse_stream_flush(stream, take, &sink), SSE_EAGAIN);
  put(world.hub, "3", "third"); /* superseded: its turn comes live */
  put(world.hub, "4", "four");  /* "one" goes, of which a byte is out already */
  put(world.hub, "5", "five");  /* "two" goes */
  sink.takes = SIZE_MAX;
  assert_int_equal(sse_stream_flush(stream, take, &sink), SSE_OK);
  sink.bytes[sink.len] = '\0';
  assert_string_equal(sink.bytes,
                      UNFINISHED("E.3") EPHEMERAL("one")
                          GAP_OF("evicted", "\"resume\":\"E.3\",\"channels\":[\"c\"]", "E.3")
                              EVENT("third", "E.4") EVENT("four", "E.5") EVENT("five", "E.6"));
  sse_stream_free(stream);
  world_close(&world);
}

/* What came before not_before is not for the stream, in a state neither. */
static void a_state_from_a_number_on(void **state) {
  const sse_hub_config config = {.retry_ms = SSE_NEVER};
  const sse_channel_config conflated = {.conflate = SSE_YES};
  const sse_stream_config stream_config = {.channel = "c", .not_before = "E.1"};
  struct world world = {0};
  sse_stream *stream;
  (void)state;
  world_open(&world, &config);
  assert_int_equal(sse_hub_configure_channel(world.hub, "c", &conflated), SSE_OK);
  put(world.hub, "1", "one");
  put(world.hub, "2", "two");
  assert_int_equal(sse_stream_open(&stream, world.hub, &stream_config), SSE_OK);
  assert_string_equal(world_read(stream), UNFINISHED("E.2") EPHEMERAL("two") POSITION("E.2"));
  sse_stream_free(stream);
  world_close(&world);
}

static void every_allocation_failed(void **state) {
  const sse_hub_config config = {.retry_ms = SSE_NEVER};
  const sse_channel_config conflated = {.conflate = SSE_YES};
  (void)state;
  for (size_t n = 1; n <= 60; n++) { /* there are some 40 */
    struct world world = {0};
    sse_stream *stream = NULL;
    char all[1024] = "";
    world_open(&world, &config);
    world_fail(n, false);
    while (sse_hub_configure_channel(world.hub, "c", &conflated)) continue;
    while (sse_hub_publish(world.hub, "c", &(sse_event){.text = "1", .key = "k"})) continue;
    while (sse_hub_publish(world.hub, "c", &(sse_event){.text = "2", .key = "l"})) continue;
    while (sse_stream_open(&stream, world.hub, &(sse_stream_config){.channel = "c"})) continue;
    for (int i = 0; i < 3; i++) strcat(all, world_read(stream));
    world_fail(0, false);
    assert_string_equal(all, UNFINISHED("E.2") EPHEMERAL("1") EPHEMERAL("2") POSITION("E.2"));
    sse_stream_free(stream);
    world_close(&world);
  }
}

/* Who comes from another life is told that alone, though the state is not whole either. */
static void a_state_that_is_not_whole_after_a_restart(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {.retry_ms = SSE_NEVER,
                                   .heartbeat_ms = SSE_NEVER,
                                   .channel = {.window_frames_max = 2, .conflate = SSE_YES}};
    const sse_stream_config stream = {.channel = "c"};
    struct setting s;
    open_setting(&s, in_loop, &config, &stream);
    for (int i = 0; i < 3; i++) publish(s.world.hub, (char)('x' + i), i + 1);
    reopen(&s, "F.1");
    assert_string_equal(
        round_of(&s),
        GAP_OF("restart", "\"requested\":\"F.1\",\"resume\":\"E.1\",\"channels\":[\"c\"]", "E.1")
            EVENT("2", "E.2") EVENT("3", "E.3"));
    close_setting(&s);
  }
}

/* All channels of a hub may be conflated: one for which there is no memory is not there. */
static void every_allocation_of_a_new_channel(void **state) {
  const sse_hub_config config = {.channel.conflate = SSE_YES};
  const sse_event ev = {.text = "x", .key = "k"};
  struct world world = {0};
  size_t n = 1, bytes;
  int error;
  (void)state;
  world_open(&world, &config);
  assert_int_equal(sse_hub_publish(world.hub, "warm", &ev), SSE_OK);
  bytes = world_bytes();
  do {
    world_fail(n++, false);
    error = sse_hub_publish(world.hub, "c", &ev);
    world_fail(0, false);
    if (!error) break;
    assert_int_equal(error, SSE_ENOMEM);
    assert_int_equal(world_bytes(), bytes);
  } while (n < 100);
  assert_int_equal(n - 1,
                   6); /* frame, channel, its table of keys twice, window; then it is there */
  world_close(&world);
}

/* However often some values change while others stay, it costs no memory. */
static void old_values_cost_no_memory(void **state) {
  const sse_hub_config config = {.channel.conflate = SSE_YES};
  struct world world = {0};
  size_t bytes = 0;
  (void)state;
  world_open(&world, &config);
  publish(world.hub, 'x', 100);
  for (int i = 101; i < 999; i++) {
    publish(world.hub, 'y', i);
    if (i == 120) bytes = world_bytes();
    if (i > 120) assert_int_equal(world_bytes(), bytes);
  }
  world_close(&world);
}

/* One event may delete a key of several channels. */
static void a_tombstone_for_several_channels(void **state) {
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .channel.conflate = SSE_YES};
  static const sse_event events[] = {
      {.text = "1", .key = "k"},
      {.text = "2", .key = "l"},
      {.text = "3", .key = "k", .flags = SSE_TOMBSTONE},
  };
  struct world world = {0};
  (void)state;
  world_open(&world, &config);
  for (size_t i = 0; i < COUNT(events); i++) {
    assert_int_equal(sse_hub_publish_to(world.hub, CHANNELS("a", "b"), &events[i]), SSE_OK);
  }
  for (const char *const *name = CHANNELS("a", "b"); *name; name++) {
    sse_stream *stream = world_stream(&world, *name, NULL, NULL);
    assert_string_equal(world_read(stream), UNFINISHED("E.3") EPHEMERAL("2") POSITION("E.3"));
    sse_stream_free(stream);
  }
  world_close(&world);
}

/* Whatever room superseded events leave, the state is the newest of each key, in order. */
static void the_state_after_each_change(void **state) {
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .channel.conflate = SSE_YES};
  static const char *const keys[] = {"x", "y"};
  struct world world = {0};
  (void)state;
  world_open(&world, &config);
  put(world.hub, "stays", "0");
  put(world.hub, "x", "1");
  for (int i = 2; i < 100; i++) {
    char text[16], want[512];
    snprintf(text, sizeof text, "%d", i);
    put(world.hub, keys[(i - 1) % 2], text);
    snprintf(want, sizeof want,
             UNFINISHED("E.%d") EPHEMERAL("0") EPHEMERAL("%d") EPHEMERAL("%d") POSITION("E.%d"),
             i + 1, i - 1, i, i + 1);
    sse_stream *stream = world_stream(&world, "c", NULL, NULL);
    assert_string_equal(world_read(stream), want);
    sse_stream_free(stream);
  }
  world_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row),
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(every_channel_conflated_but_one),
      cmocka_unit_test(the_log_goes_before_the_state),
      cmocka_unit_test(it_may_stop_at_every_byte),
      cmocka_unit_test(what_goes_while_it_is_given_is_told),
      cmocka_unit_test(a_state_from_a_number_on),
      cmocka_unit_test(every_allocation_failed),
      cmocka_unit_test(a_state_that_is_not_whole_after_a_restart),
      cmocka_unit_test(every_allocation_of_a_new_channel),
      cmocka_unit_test(old_values_cost_no_memory),
      cmocka_unit_test(a_tombstone_for_several_channels),
      cmocka_unit_test(the_state_after_each_change),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
