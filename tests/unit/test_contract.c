/* SPDX-License-Identifier: MIT */
/*
 * test_contract.c: what a stream is given when events go to several of its channels, when values
 * are superseded, and when its channels change while it is behind.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "setting.h"

#define TAG         "me"
#define MARKED(id)  POSITION(id "~")
#define VALUE(text) "data: " text "\n\n"

static struct world world;

/* ---- the script ---- */

/*
 * A row is played twice: with a standalone stream and with one of a loop. Operations, in order:
 * OPEN opens the stream, and READ compares all that it has; the others are calls of the hub.
 */
enum kind {
  END,
  CONFIGURE,
  OPEN,
  PUBLISH,
  SUBSCRIBE,
  UNSUBSCRIBE,
  DISMISS,
  DISCONNECT,
  READ
};

struct step {
  enum kind kind;
  const char *channels; /* one letter for each */
  const char *text;     /* of an event or, for READ, what the stream is to give */
  const char *key;
  const char *id;
  unsigned flags;
  size_t number;            /* window_frames_max, times to publish, or a backfill */
  sse_choice conflate;      /* of a channel to configure */
  sse_stream_config config; /* of the stream */
};

#define WINDOW(name, frames)                                                                       \
  { .kind = CONFIGURE, .channels = name, .number = frames }
#define STATE(name)                                                                                \
  { .kind = CONFIGURE, .channels = name, .conflate = SSE_YES }
#define OPENS(name)                                                                                \
  { .kind = OPEN, .channels = name }
#define OPENS_WITH(name, ...)                                                                      \
  {                                                                                                \
    .kind = OPEN, .channels = name, .config = { __VA_ARGS__ }                                      \
  }
#define EVENTS(name, value, times)                                                                 \
  { .kind = PUBLISH, .channels = name, .text = value, .number = times }
#define SETS(name, k, value)                                                                       \
  { .kind = PUBLISH, .channels = name, .text = value, .key = k, .number = 1 }
#define OWN_ID(name, value, own)                                                                   \
  { .kind = PUBLISH, .channels = name, .text = value, .id = own, .number = 1 }
#define JOINS(name, events)                                                                        \
  { .kind = SUBSCRIBE, .channels = name, .number = events }
#define LEAVES(name)                                                                               \
  { .kind = UNSUBSCRIBE, .channels = name }
#define ENDS(how)                                                                                  \
  { .kind = how }
#define READS(bytes)                                                                               \
  { .kind = READ, .text = bytes }

#define STEPS_MAX 16

struct row {
  const char *name;
  struct step steps[STEPS_MAX];
};

/* ---- the rows ---- */

static const struct row several[] = {
    {"a limit on events counts an event of several channels once",
     {OPENS_WITH("abc", .lag_events_max = 2), READS(POSITION("E.0")), EVENTS("abc", "x", 2),
      READS(EVENT("x", "E.1") EVENT("x", "E.2")), EVENTS("abc", "x", 3),
      READS(GAP_OF("slow", "\"resume\":\"E.3\",\"channels\":[\"a\",\"b\",\"c\"]", "E.3")
                EVENT("x", "E.4") EVENT("x", "E.5"))}},
    {"a limit on bytes counts it once, and always allows one",
     {OPENS_WITH("abc", .lag_bytes_max = 16), READS(POSITION("E.0")), EVENTS("abc", "x", 1),
      READS(EVENT("x", "E.1")), EVENTS("abc", "long enough for any limit", 1),
      READS(EVENT("long enough for any limit", "E.2"))}},
    {"a limit counts what lies above the cursor in any channel",
     {OPENS_WITH("ab", .lag_events_max = 2), READS(POSITION("E.0")), EVENTS("ab", "x", 1),
      READS(EVENT("x", "E.1")), EVENTS("ac", "x", 2), EVENTS("b", "y", 1),
      READS(GAP_OF("slow", "\"resume\":\"E.2\",\"channels\":[\"a\"]", "E.2") EVENT("x", "E.3")
                EVENT("y", "E.4"))}},
    {"a limit does not count superseded values",
     {STATE("k"), OPENS_WITH("k", .lag_events_max = 2), READS(POSITION("E.0")), SETS("k", "x", "x"),
      SETS("k", "y", "y1"), SETS("k", "y", "y2"), SETS("k", "y", "y3"),
      READS(EVENT("x", "E.1") EVENT("y3", "E.4"))}},
    {"a limit is exceeded by what is retained, though much was superseded",
     {STATE("k"), OPENS_WITH("k", .lag_events_max = 1), READS(POSITION("E.0")), SETS("k", "x", "x"),
      SETS("k", "y", "y1"), SETS("k", "y", "y2"),
      READS(GAP_OF("slow", "\"resume\":\"E.1\",\"channels\":[\"k\"]", "E.1") EVENT("y2", "E.3"))}},
    {"the last event of several channels is one",
     {EVENTS("ab", "x", 5), OPENS_WITH("ab", .start = SSE_START_LAST, .start_events = 1),
      READS(POSITION("E.4") EVENT("x", "E.5"))}},
    {"the last four are four",
     {EVENTS("a", "y", 1), EVENTS("ab", "x", 5),
      OPENS_WITH("ab", .start = SSE_START_LAST, .start_events = 4),
      READS(POSITION("E.2") EVENT("x", "E.3") EVENT("x", "E.4") EVENT("x", "E.5")
                EVENT("x", "E.6"))}},
    {"the last events are retained ones",
     {STATE("k"), EVENTS("a", "a", 1), SETS("k", "x", "x"), SETS("k", "y", "y1"),
      SETS("k", "y", "y2"), SETS("k", "z", "z"),
      OPENS_WITH("ak", .start = SSE_START_LAST, .start_events = 4),
      READS(POSITION("E.0") EVENT("a", "E.1") EVENT("x", "E.2") EVENT("y2", "E.4")
                EVENT("z", "E.5"))}},
    {"a loss is not counted twice",
     {WINDOW("a", 1), WINDOW("c", 1), OPENS("ac"), READS(POSITION("E.0")), EVENTS("ac", "x", 1),
      EVENTS("a", "y", 1), EVENTS("c", "z", 1),
      READS(GAP_OF("slow", "\"resume\":\"E.1\",\"channels\":[\"a\",\"c\"]", "E.1") EVENT("y", "E.2")
                EVENT("z", "E.3"))}},
    {"what another channel still has is not counted as lost",
     {WINDOW("a", 1), OPENS("ac"), READS(POSITION("E.0")), EVENTS("ac", "x", 1),
      EVENTS("a", "y", 1),
      READS(GAP_OF("slow", "\"resume\":\"E.0\",\"channels\":[\"a\"]", "E.0") EVENT("x", "E.1")
                EVENT("y", "E.2"))}},
    {"with one channel, a loss of an event of several is counted",
     {WINDOW("a", 1), OPENS("a"), READS(POSITION("E.0")), EVENTS("ac", "x", 3),
      READS(GAP_OF("slow", "\"resume\":\"E.2\",\"channels\":[\"a\"],\"lost\":2", "E.2")
                EVENT("x", "E.3"))}},
    {"the state of two channels has an event of both once",
     {STATE("k"), STATE("l"), SETS("k", "a", "first"), SETS("kl", "x", "both"),
      SETS("l", "b", "last"), OPENS("kl"),
      READS(MARKED("E.3") VALUE("first") VALUE("both") VALUE("last") POSITION("E.3"))}},
    {"a value that one of two channels superseded is given by the other",
     {STATE("k"), STATE("l"), SETS("kl", "x", "both"), SETS("l", "x", "newer"), OPENS("kl"),
      READS(MARKED("E.2") VALUE("both") VALUE("newer") POSITION("E.2"))}},
};

static const struct row changes[] = {
    {"a later subscription gives nothing below not_before",
     {STATE("k"), EVENTS("b", "old", 1), SETS("k", "x", "old"),
      OPENS_WITH("a", .not_before = "E.2"), READS(POSITION("E.2")), EVENTS("b", "new", 1),
      JOINS("b", SSE_BACKFILL_ALL), JOINS("k", 0),
      READS(MARKED("E.3") VALUE("new") MARKED("E.3") POSITION("E.3"))}},
    {"a state that lost something below not_before is complete above it",
     {{.kind = CONFIGURE, .channels = "k", .conflate = SSE_YES, .number = 1},
      SETS("k", "x", "1"),
      SETS("k", "y", "2"),
      OPENS_WITH("a", .not_before = "E.1"),
      READS(POSITION("E.2")),
      JOINS("k", 0),
      READS(MARKED("E.2") VALUE("2") POSITION("E.2"))}},
    {"what is evicted after a channel was left is not lost",
     {WINDOW("c", 1), OPENS("ac"), READS(POSITION("E.0")), EVENTS("a", "a", 1), LEAVES("c"),
      EVENTS("c", "c", 3), READS(EVENT("a", "E.1"))}},
    {"only what was published before a channel was left is lost",
     {WINDOW("c", 1), OPENS("ac"), READS(POSITION("E.0")), EVENTS("a", "a", 1), EVENTS("c", "c", 2),
      LEAVES("c"), EVENTS("c", "c", 3),
      READS(GAP_OF("slow", "\"resume\":\"E.0\",\"channels\":[\"c\"],\"lost\":2", "E.0")
                EVENT("a", "E.1"))}},
    {"a limit does not count what is published after a channel was left",
     {OPENS_WITH("ac", .lag_events_max = 2), READS(POSITION("E.0")), EVENTS("a", "a", 1),
      EVENTS("c", "c", 1), LEAVES("c"), EVENTS("c", "c", 3),
      READS(EVENT("a", "E.1") EVENT("c", "E.2"))}},
    {"what is evicted after a dismissal is not lost",
     {WINDOW("a", 2), OPENS("a"), READS(POSITION("E.0")), EVENTS("a", "x", 1), ENDS(DISMISS),
      EVENTS("a", "y", 3),
      READS(GAP_OF("slow", "\"resume\":\"E.1\",\"channels\":[\"a\"],\"lost\":1", "E.1"))}},
    {"a channel that was just subscribed to ends at a dismissal, too",
     {WINDOW("b", 1), OPENS("a"), READS(POSITION("E.0")), JOINS("b", 0), EVENTS("b", "x", 2),
      ENDS(DISMISS), EVENTS("b", "y", 3),
      READS(POSITION("E.0")
                GAP_OF("slow", "\"resume\":\"E.2\",\"channels\":[\"b\"],\"lost\":2", "E.2"))}},
    {"a backfill has what the channel had at the call",
     {WINDOW("b", 3), OPENS("a"), READS(POSITION("E.0")), EVENTS("b", "1", 1), EVENTS("b", "2", 1),
      EVENTS("b", "3", 1), JOINS("b", 2), EVENTS("b", "later", 1),
      READS(MARKED("E.3") VALUE("2") VALUE("3") POSITION("E.3") EVENT("later", "E.4"))}},
    {"what leaves it before its turn is reported in its place",
     {WINDOW("b", 3), OPENS("a"), READS(POSITION("E.0")), EVENTS("b", "1", 1), EVENTS("b", "2", 1),
      EVENTS("b", "3", 1), JOINS("b", 2), EVENTS("b", "later", 2),
      READS(MARKED("E.3") VALUE("3") GAP_OF("evicted", "\"resume\":\"E.3\",\"channels\":[\"b\"]",
                                            "E.3") EVENT("later", "E.4") EVENT("later", "E.5"))}},
    {"a loss of all of it, too",
     {WINDOW("b", 2), OPENS("a"), READS(POSITION("E.0")), EVENTS("b", "old", 2), JOINS("b", 2),
      EVENTS("b", "later", 2),
      READS(MARKED("E.2") GAP_OF("evicted", "\"resume\":\"E.2\",\"channels\":[\"b\"]", "E.2")
                EVENT("later", "E.3") EVENT("later", "E.4"))}},
    {"a loss of all of it is reported after the channel was left, too",
     {WINDOW("a", 2), OPENS("a"), READS(POSITION("E.0")), LEAVES("a"), EVENTS("a", "old", 2),
      JOINS("a", 2), EVENTS("a", "later", 2),
      READS(MARKED("E.2") GAP_OF("evicted", "\"resume\":\"E.2\",\"channels\":[\"a\"]", "E.2")
                EVENT("later", "E.3") EVENT("later", "E.4"))}},
    {"a subscription without a backfill has no mark",
     {OPENS("a"), READS(POSITION("E.0")), JOINS("b", 0), JOINS("c", 0),
      READS(POSITION("E.0") POSITION("E.0"))}},
    {"the mark stands for a later backfill that has events",
     {EVENTS("d", "x", 1), OPENS("a"), READS(POSITION("E.1")), JOINS("b", 0), JOINS("d", 1),
      JOINS("c", 0), READS(MARKED("E.1") VALUE("x") POSITION("E.1") POSITION("E.1"))}},
    {"a state is complete without a tombstone that was evicted",
     {{.kind = CONFIGURE, .channels = "k", .conflate = SSE_YES, .number = 2},
      SETS("k", "x", "x"),
      {.kind = PUBLISH,
       .channels = "k",
       .text = "y",
       .key = "y",
       .number = 1,
       .flags = SSE_TOMBSTONE},
      OPENS("a"),
      READS(POSITION("E.2")),
      JOINS("k", 0),
      SETS("k", "z", "z"),
      READS(MARKED("E.2") VALUE("x") POSITION("E.2") EVENT("z", "E.3"))}},
    {"an ephemeral event reaches a stream that is about to have the channel",
     {OPENS("a"),
      READS(POSITION("E.0")),
      JOINS("b", 0),
      {.kind = PUBLISH, .channels = "b", .text = "ephemeral", .number = 1, .flags = SSE_EPHEMERAL},
      READS(POSITION("E.0") VALUE("ephemeral"))}},
    {"a disconnected stream gives nothing more",
     {OPENS("a"), READS(POSITION("E.0")), EVENTS("a", "x", 1), ENDS(DISCONNECT),
      EVENTS("a", "x", 1), READS("")}},
};

static const struct row returns[] = {
    {"SSE_LOST_REPLAY after an unknown id gives all that is retained",
     {WINDOW("b", 1), EVENTS("a", "x", 1), OWN_ID("b", "y", "i2"), OWN_ID("b", "y", "i3"),
      OPENS_WITH("ab", .last_id = "of an earlier life", .lost = SSE_LOST_REPLAY),
      READS(GAP_OF("unknown",
                   "\"requested\":\"of an earlier life\",\"resume\":\"E.0\",\"channels\":[\"a\","
                   "\"b\"]",
                   "E.0") EVENT("x", "E.1") EVENT("y", "i3"))}},
    {"by default, what follows the last id that was forgotten",
     {WINDOW("b", 1), EVENTS("a", "x", 1), OWN_ID("b", "y", "i2"), OWN_ID("b", "y", "i3"),
      OPENS_WITH("ab", .last_id = "of an earlier life"),
      READS(GAP_OF("unknown",
                   "\"requested\":\"of an earlier life\",\"resume\":\"E.2\",\"channels\":[\"a\","
                   "\"b\"]",
                   "E.2") EVENT("y", "i3"))}},
    {"a live start names the channels that lost something",
     {WINDOW("a", 1), EVENTS("a", "x", 3), EVENTS("c", "x", 1),
      OPENS_WITH("abc", .last_id = "E.0", .lost = SSE_LOST_LIVE),
      READS(GAP_OF("evicted", "\"requested\":\"E.0\",\"resume\":\"E.4\",\"channels\":[\"a\",\"c\"]",
                   "E.4"))}},
    {"a state includes what a limit passes over",
     {STATE("t"), SETS("t", "k", "v"), EVENTS("c", "c", 3),
      OPENS_WITH("ct", .last_id = "E.0~", .lag_events_max = 1),
      READS(GAP_OF("evicted",
                   "\"requested\":\"E.0~\",\"resume\":\"E.3~\",\"channels\":[\"c\",\"t\"]", "E.3~")
                VALUE("v") POSITION("E.3") EVENT("c", "E.4"))}},
    {"without positions there are no marks",
     {STATE("k"), SETS("k", "x", "k1"),
      OPENS_WITH("k", .last_id = "E.9", .position = SSE_POSITION_OFF),
      READS(GAP_OF("future", "\"requested\":\"E.9\",\"resume\":\"E.1\",\"channels\":[\"k\"]", "E.1")
                VALUE("k1"))}},
};

/* ---- playing ---- */

static const char *const *list_of(const char *channels) {
  static char names[8][2];
  static const char *list[9];
  size_t count = strlen(channels);
  for (size_t i = 0; i < count; i++) {
    names[i][0] = channels[i];
    list[i] = names[i];
  }
  list[count] = NULL;
  return list;
}

static void configure(const struct step *step) {
  const sse_channel_config config = {.window_frames_max = step->number, .conflate = step->conflate};
  assert_int_equal(sse_hub_configure_channel(world.hub, step->channels, &config), SSE_OK);
}

static void publish(const struct step *step) {
  const sse_event event = {
      .text = step->text, .key = step->key, .id = step->id, .flags = step->flags};
  for (size_t i = 0; i < step->number; i++)
    assert_int_equal(sse_hub_publish_to(world.hub, list_of(step->channels), &event), SSE_OK);
}

static sse_stream *open_stream(const struct step *step, sse_loop *loop) {
  sse_stream *stream;
  sse_stream_config config = step->config;
  config.channels = list_of(step->channels);
  config.loop = loop;
  config.tag = TAG;
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  return stream;
}

/* What a host of a loop reads that looks outside of the loop's iterations, as on POLLOUT. */
static void play(const struct row *row, bool in_loop) {
  const sse_hub_config config = {.retry_ms = SSE_NEVER};
  struct wakes wakes = {0};
  sse_loop *loop = NULL;
  sse_stream *stream = NULL;
  print_message("  %s%s\n", row->name, in_loop ? ", in a loop" : "");
  world_open(&world, &config);
  if (in_loop) {
    const sse_loop_config waking = {.wake = world_wake, .wake_arg = &wakes};
    assert_int_equal(sse_loop_new(&loop, world.hub, &waking), SSE_OK);
  }
  for (const struct step *step = row->steps; step->kind != END; step++) {
    switch (step->kind) {
    case CONFIGURE:
      configure(step);
      break;
    case OPEN:
      stream = open_stream(step, loop);
      break;
    case PUBLISH:
      publish(step);
      break;
    case SUBSCRIBE:
      assert_int_equal(sse_hub_subscribe(world.hub, TAG, step->channels, step->number), 1);
      break;
    case UNSUBSCRIBE:
      assert_int_equal(sse_hub_unsubscribe(world.hub, TAG, step->channels), 1);
      break;
    case DISMISS:
      assert_int_equal(sse_hub_dismiss(world.hub, TAG), 1);
      break;
    case DISCONNECT:
      assert_int_equal(sse_hub_disconnect(world.hub, TAG), 1);
      break;
    case READ:
      while (sse_loop_next(loop)) {
      }
      assert_string_equal(world_read(stream), step->text);
      break;
    case END:
      break;
    }
  }
  sse_stream_free(stream);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
}

static void play_all(const struct row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    play(&rows[i], false);
    play(&rows[i], true);
  }
}

static void test_several_channels(void **state) {
  (void)state;
  play_all(several, sizeof several / sizeof *several);
}

static void test_changes_of_channels(void **state) {
  (void)state;
  play_all(changes, sizeof changes / sizeof *changes);
}

static void test_returns(void **state) {
  (void)state;
  play_all(returns, sizeof returns / sizeof *returns);
}

/* A loop's stream that another thread ended says so at once, also with bytes in flight. */
static void test_an_end_is_seen_at_once(void **state) {
  (void)state;
  const sse_hub_config config = {.retry_ms = SSE_NEVER};
  struct wakes wakes = {0};
  const sse_loop_config waking = {.wake = world_wake, .wake_arg = &wakes};
  static const char *const where[] = {"outside of an iteration", "within one"};
  for (int within = 0; within < 2; within++) {
    sse_loop *loop;
    struct iovec iov;
    print_message("  %s\n", where[within]);
    world_open(&world, &config);
    assert_int_equal(sse_loop_new(&loop, world.hub, &waking), SSE_OK);
    const struct step opens = OPENS("a");
    sse_stream *stream = open_stream(&opens, loop);
    world_send(&world, "a", "x");
    if (within) assert_ptr_equal(sse_loop_next(loop), stream);
    assert_int_equal(sse_stream_peek(stream, &iov, 1), 1);
    assert_int_equal(sse_hub_disconnect(world.hub, TAG), 1);
    assert_int_equal(sse_stream_peek(stream, &iov, 1), SSE_EDISCONNECTED);
    world_send(&world, "a", "y");
    assert_int_equal(sse_stream_peek(stream, &iov, 1), SSE_EDISCONNECTED);
    while (sse_loop_next(loop)) {
    }
    assert_int_equal(sse_stream_peek(stream, &iov, 1), SSE_EDISCONNECTED);
    sse_stream_free(stream);
    assert_int_equal(sse_loop_free(loop), SSE_OK);
    world_close(&world);
  }
}

/* An immediate end that a call counted replaces a gentle one until that one was returned to the host. */
static void test_a_counted_end_is_told(void **state) {
  (void)state;
  const sse_hub_config config = {.retry_ms = 1000};
  const struct step opens = OPENS("a");
  struct wakes wakes = {0};
  const sse_loop_config waking = {.wake = world_wake, .wake_arg = &wakes};
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    sse_loop *loop = NULL;
    char buf[64];
    world_open(&world, &config);
    if (in_loop) assert_int_equal(sse_loop_new(&loop, world.hub, &waking), SSE_OK);
    sse_stream *stream = open_stream(&opens, loop);
    world_read(stream);
    assert_int_equal(sse_hub_dismiss(world.hub, TAG), 1);
    while (sse_loop_next(loop)) {
    }
    assert_true(sse_stream_read(stream, buf, sizeof buf) > 0); /* the retry block */
    assert_int_equal(sse_hub_disconnect(world.hub, TAG), 1);
    assert_int_equal(sse_stream_read(stream, buf, sizeof buf), SSE_EDISCONNECTED);
    assert_int_equal(sse_hub_disconnect(world.hub, TAG), 0);
    sse_stream_free(stream);
    assert_int_equal(sse_loop_free(loop), SSE_OK);
    world_close(&world);
  }
}

/* A gap that ends a backfill counts in the statistics as any other. */
static void test_a_gap_of_a_backfill_is_counted(void **state) {
  (void)state;
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .channel.window_frames_max = 1};
  const struct step opens = OPENS("a");
  sse_stats stats;
  world_open(&world, &config);
  sse_stream *stream = open_stream(&opens, NULL);
  world_send(&world, "b", "1");
  assert_int_equal(sse_hub_subscribe(world.hub, TAG, "b", 1), 1);
  world_send(&world, "b", "2");
  world_read(stream);
  assert_int_equal(sse_hub_stats(world.hub, NULL, &stats), SSE_OK);
  assert_int_equal(stats.gaps[SSE_GAP_EVICTED], 1);
  sse_stream_free(stream);
  world_close(&world);
}

/*
 * A stream whose gap reported losses above its cursor is not given these events by the snapshot of
 * its loop, which may still have them.
 */
static void test_what_was_lost_is_not_given(void **state) {
  (void)state;
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .channel.window_frames_max = 2};
  struct wakes wakes = {0};
  const sse_loop_config waking = {.wake = world_wake, .wake_arg = &wakes};
  const struct step opens = OPENS("t");
  sse_loop *loop;
  world_open(&world, &config);
  assert_int_equal(sse_loop_new(&loop, world.hub, &waking), SSE_OK);
  const sse_stream_config both = {.channels = CHANNELS("a", "c"), .loop = loop};
  sse_stream *other;
  assert_int_equal(sse_stream_open(&other, world.hub, &both), SSE_OK);
  assert_ptr_equal(sse_loop_next(loop), other);
  assert_string_equal(world_read(other), POSITION("E.0"));
  assert_null(sse_loop_next(loop));
  sse_stream *stream = open_stream(&opens, loop);
  assert_int_equal(sse_hub_subscribe(world.hub, TAG, "a", 0), 1);
  world_send(&world, "a", "1");
  assert_int_equal(sse_hub_subscribe(world.hub, TAG, "c", 0), 1);
  world_send(&world, "a", "2");
  assert_ptr_equal(sse_loop_next(loop), stream); /* the snapshot has the events 1 and 2 */
  for (int i = 3; i < 7; i++) world_send(&world, "a", "later");
  assert_string_equal(world_read(stream),
                      POSITION("E.0") POSITION("E.0") GAP_OF(
                          "slow", "\"resume\":\"E.1\",\"channels\":[\"a\"],\"lost\":4", "E.1")
                          POSITION("E.1") EVENT("later", "E.5") EVENT("later", "E.6"));
  sse_stream_free(stream);
  sse_stream_free(other);
  while (sse_loop_next(loop)) {
  }
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
}

/* With very many channels the count of what a stream lacks is an estimate, and never too low. */
static void test_many_channels(void **state) {
  enum {
    CHANNELS_MAX = 256,
    EVENTS_MAX = 200,
    LAST = 150
  };
  (void)state;
  const sse_hub_config config = {.retry_ms = SSE_NEVER};
  static char names[CHANNELS_MAX][16];
  const char *list[CHANNELS_MAX + 1] = {NULL};
  sse_stream *stream;
  int given = 0;
  world_open(&world, &config);
  for (int i = 0; i < CHANNELS_MAX; i++) {
    snprintf(names[i], sizeof names[i], "c%d", i);
    list[i] = names[i];
  }
  for (int i = 0; i < EVENTS_MAX; i++) world_send(&world, names[i], "x");
  const sse_event both = {.text = "x"};
  assert_int_equal(sse_hub_publish_to(world.hub, CHANNELS("c0", "c1"), &both), SSE_OK);
  const sse_stream_config last = {.channels = list, .start = SSE_START_LAST, .start_events = LAST};
  assert_int_equal(sse_stream_open(&stream, world.hub, &last), SSE_OK);
  const char *at = world_read(stream);
  while ((at = strstr(at, "data: x\n"))) given++, at++;
  assert_int_equal(given, LAST - 1); /* the event of two channels counts twice here */
  sse_stream_free(stream);
  world_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_several_channels),
      cmocka_unit_test(test_changes_of_channels),
      cmocka_unit_test(test_returns),
      cmocka_unit_test(test_an_end_is_seen_at_once),
      cmocka_unit_test(test_a_counted_end_is_told),
      cmocka_unit_test(test_a_gap_of_a_backfill_is_counted),
      cmocka_unit_test(test_what_was_lost_is_not_given),
      cmocka_unit_test(test_many_channels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
