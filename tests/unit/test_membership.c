/* SPDX-License-Identifier: MIT */
/* test_membership.c: an open stream joins and leaves channels, asked by its tag. */
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

enum {
  HEARTBEAT_MS = 1000
};

/*
 * A script: a, b and c publish to those channels, the text is the event's number; x publishes under
 * the key x to the conflated channel k. J joins b, 1 joins b with its last event, H with all of its
 * history, K joins k, L leaves b, M leaves a; a blank reads, and the bytes are compared; '+' lets a
 * heartbeat's time pass; '<' comes back with the last id that was read, and the channels of the
 * beginning.
 */
static const struct row {
  const char *name;
  size_t kept;
  const char *script;
  const char *const *reads;
} rows[] = {
    {"join: from then on, and a position", 9, "bbJ b ",
     CHANNELS(POSITION("E.2"), EVENT("3", "E.3"))},
    {"join: what comes before it is looked at is not missed", 9, "bJbab ",
     CHANNELS(POSITION("E.1") EVENT("2", "E.2") EVENT("3", "E.3") EVENT("4", "E.4"))},
    {"join: at its place among what was waiting", 9, "aabJab ",
     CHANNELS(EVENT("1", "E.1") EVENT("2", "E.2") POSITION("E.3") EVENT("4", "E.4")
                  EVENT("5", "E.5"))},
    {"join: twice is once", 9, "JJb ", CHANNELS(POSITION("E.0") EVENT("1", "E.1"))},
    {"join: what is lost after it is told", 1, "bJbbb ",
     CHANNELS(POSITION("E.1") GAP_OF("slow", "\"resume\":\"E.3\",\"channels\":[\"b\"],\"lost\":2",
                                     "E.3") EVENT("4", "E.4"))},
    {"join: what was lost before it is not", 1, "bbbJb ",
     CHANNELS(POSITION("E.3") EVENT("4", "E.4"))},
    {"leave: no more of it", 9, "J Lba ", CHANNELS(POSITION("E.0"), EVENT("2", "E.2"))},
    {"leave: what came before it still comes", 9, "J bLb ",
     CHANNELS(POSITION("E.0"), EVENT("1", "E.1"))},
    {"leave, and join again: what was between is not missed", 9, "J LbJb ",
     CHANNELS(POSITION("E.0"), POSITION("E.1") EVENT("2", "E.2"))},
    {"leave, and join again: nor is its loss", 1, "J LbbbJb ",
     CHANNELS(POSITION("E.0"), POSITION("E.3") EVENT("4", "E.4"))},
    {"leave the last one", 9, "Ma + Jb ",
     CHANNELS("", POSITION("E.1"), POSITION("E.1") EVENT("2", "E.2"))},
    {"leave what it has not", 9, "Lba ", CHANNELS(EVENT("2", "E.2"))},
    {"history: the last one", 9, "bb1b ",
     CHANNELS(UNFINISHED("E.2") EPHEMERAL("2") POSITION("E.2") EVENT("3", "E.3"))},
    {"history: all", 9, "babH ",
     CHANNELS(EVENT("2", "E.2") UNFINISHED("E.3") EPHEMERAL("1") EPHEMERAL("3") POSITION("E.3"))},
    {"history: all there is of more", 2, "bbbH ",
     CHANNELS(UNFINISHED("E.3") EPHEMERAL("2") EPHEMERAL("3") POSITION("E.3"))},
    {"history: of nothing", 9, "H ", CHANNELS(POSITION("E.0"))},
    {"a conflated channel gives its state", 9, "xxK x ",
     CHANNELS(UNFINISHED("E.2") EPHEMERAL("2") POSITION("E.2"), EVENT("3", "E.3"))},
    {"a join does not outlive the connection", 9, "J b b<a ",
     CHANNELS(POSITION("E.0"), EVENT("1", "E.1"), POSITION("E.1") EVENT("3", "E.3"))},
    {"leave the first of two", 9, "J Mab ", CHANNELS(POSITION("E.0"), EVENT("2", "E.2"))},
};

static void publish(sse_hub *hub, char op, int number) {
  char text[16];
  const char name[] = {op == 'x' ? 'k' : op, '\0'};
  snprintf(text, sizeof text, "%d", number);
  const sse_event ev = {.text = text, .key = op == 'x' ? "x" : NULL};
  assert_int_equal(sse_hub_publish(hub, name, &ev), SSE_OK);
}

static void ask(sse_hub *hub, char op) {
  const size_t history = op == 'H' ? SSE_BACKFILL_ALL : op == '1' ? 1 : 0;
  if (op == 'L' || op == 'M') {
    assert_int_equal(sse_hub_unsubscribe(hub, "me", op == 'L' ? "b" : "a"), 1);
  } else {
    assert_int_equal(sse_hub_subscribe(hub, "me", op == 'K' ? "k" : "b", history), 1);
  }
}

static void run(const struct row *row, bool in_loop) {
  const sse_hub_config config = {
      .retry_ms = SSE_NEVER, .heartbeat_ms = HEARTBEAT_MS, .channel.window_frames_max = row->kept};
  const sse_channel_config conflated = {.conflate = SSE_YES};
  const sse_stream_config stream = {.channel = "a", .tag = "me"};
  const char *const *expected = row->reads;
  char id[32] = "";
  struct setting s;
  int number = 0;
  print_message("  %s%s\n", row->name, in_loop ? ", in a loop" : "");
  open_setting(&s, in_loop, &config, &stream);
  round_of(&s);
  assert_int_equal(sse_hub_configure_channel(s.world.hub, "k", &conflated), SSE_OK);
  for (const char *op = row->script; *op; op++) {
    if (*op == ' ') {
      const char *bytes = round_of(&s);
      assert_string_equal(bytes, *expected++);
      note_id(bytes, id, sizeof id);
    } else if (*op == '+') {
      s.world.now_ms += HEARTBEAT_MS;
    } else if (*op == '<') {
      reopen(&s, id);
    } else if (strchr("JH1KLM", *op)) {
      ask(s.world.hub, *op);
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

/* A stuck client is asked now and does it when it has taken what came before. */
struct sink {
  bool stuck;
  char bytes[4096];
  size_t len;
};

static ssize_t take(void *io, const struct iovec *iov, int count) {
  struct sink *sink = io;
  size_t taken = 0;
  if (sink->stuck) return SSE_EAGAIN;
  for (int i = 0; i < count; i++) {
    assert_true(sink->len + iov[i].iov_len < sizeof sink->bytes);
    memcpy(sink->bytes + sink->len, iov[i].iov_base, iov[i].iov_len);
    sink->len += iov[i].iov_len;
    taken += iov[i].iov_len;
  }
  sink->bytes[sink->len] = '\0';
  return (ssize_t)taken;
}

/* The deadline of a stall begins when there is something to take. */
static void a_client_that_had_nothing_to_take(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {
        .retry_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER, .stall_ms = 1000};
    const sse_stream_config stream = {.channel = "a", .tag = "me"};
    struct setting s;
    open_setting(&s, in_loop, &config, &stream);
    round_of(&s);
    s.world.now_ms += 5000;
    ask(s.world.hub, 'J');
    assert_string_equal(round_of(&s), POSITION("E.0"));
    close_setting(&s);
  }
}

static void a_client_that_is_stuck(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {.retry_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER};
    const sse_stream_config stream = {.channel = "a", .tag = "me"};
    struct sink sink = {.stuck = true};
    struct setting s;
    open_setting(&s, in_loop, &config, &stream);
    round_of(&s);
    publish(s.world.hub, 'a', 1);
    if (in_loop) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    assert_int_equal(sse_stream_flush(s.stream, take, &sink), SSE_EAGAIN);
    if (in_loop) assert_null(sse_loop_next(s.loop));
    publish(s.world.hub, 'b', 2);
    ask(s.world.hub, 'J');
    publish(s.world.hub, 'b', 3);
    publish(s.world.hub, 'a', 4);
    ask(s.world.hub, 'L');
    publish(s.world.hub, 'b', 5);
    publish(s.world.hub, 'a', 6);
    while (in_loop && sse_loop_next(s.loop)) sse_stream_flush(s.stream, take, &sink);
    sink.stuck = false;
    assert_int_equal(sse_stream_flush(s.stream, take, &sink), SSE_OK);
    assert_string_equal(sink.bytes, EVENT("1", "E.1") POSITION("E.2") EVENT("3", "E.3")
                                        EVENT("4", "E.4") EVENT("6", "E.6"));
    close_setting(&s);
  }
}

/* All streams of a tag, in loops and alone, and no others. */
static void all_of_a_tag(void **state) {
  struct world world = {0};
  struct wakes wakes = {0}, woken = {0};
  const sse_hub_config config = {.retry_ms = SSE_NEVER};
  sse_stream *streams[3];
  sse_loop *loop;
  (void)state;
  world_open(&world, &config);
  assert_int_equal(sse_loop_new(&loop, world.hub,
                                &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                   SSE_OK);
  const sse_stream_config configs[3] = {
      {.channel = "a", .tag = "me", .loop = loop},
      {.channel = "a", .tag = "me", .wake = world_wake, .user = &woken},
      {.channel = "a", .tag = "you"},
  };
  for (int i = 0; i < 3; i++) {
    assert_int_equal(sse_stream_open(&streams[i], world.hub, &configs[i]), SSE_OK);
  }
  while (sse_loop_next(loop)) world_read(streams[0]);
  world_read(streams[1]);
  world_read(streams[2]);
  assert_int_equal(sse_hub_subscribe(world.hub, "nobody", "b", 0), 0);
  assert_int_equal(sse_hub_subscribe(world.hub, "me", "b", 0), 2);
  assert_int_equal(wakes.count, 1);
  assert_int_equal(woken.count, 1);
  assert_int_equal(sse_loop_timeout(loop), 0);
  assert_ptr_equal(sse_loop_next(loop), streams[0]);
  assert_string_equal(world_read(streams[0]), POSITION("E.0"));
  assert_null(sse_loop_next(loop));
  assert_string_equal(world_read(streams[1]), POSITION("E.0"));
  world_send(&world, "b", "x");
  assert_int_equal(sse_hub_count(world.hub, "b"), 2);
  assert_string_equal(world_read(streams[1]), EVENT("x", "E.1"));
  assert_string_equal(world_read(streams[2]), "");
  for (int i = 0; i < 3; i++) sse_stream_free(streams[i]);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
}

/* Without positions the history comes without its brackets. */
static void history_without_positions(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {.retry_ms = SSE_NEVER};
    const sse_stream_config stream = {.channel = "a", .tag = "me", .position = SSE_POSITION_OFF};
    struct setting s;
    open_setting(&s, in_loop, &config, &stream);
    round_of(&s);
    publish(s.world.hub, 'b', 1);
    ask(s.world.hub, 'H');
    publish(s.world.hub, 'b', 2);
    assert_string_equal(round_of(&s), EPHEMERAL("1") EVENT("2", "E.2"));
    close_setting(&s);
  }
}

static int told; /* how often that b has somebody, less how often that it has nobody */

static void tell(void *arg, const char *channel, int present) {
  (void)arg;
  if (strcmp(channel, "b") == 0) told += present ? 1 : -1;
}

static void presence_is_told(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {.occupancy = tell};
    const sse_stream_config stream = {.channel = "a", .tag = "me"};
    struct setting s;
    told = 0;
    open_setting(&s, in_loop, &config, &stream);
    round_of(&s);
    ask(s.world.hub, 'J');
    assert_int_equal(told, 0);
    round_of(&s);
    assert_int_equal(told, 1);
    ask(s.world.hub, 'L');
    if (in_loop) {
      round_of(&s);
    } else {
      assert_int_equal(sse_stream_wait(s.stream, 0), 0);
    }
    assert_int_equal(told, 0);
    close_setting(&s);
  }
}

/* What was asked and not done goes with the stream. */
static void a_stream_that_leaves(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_stream_config stream = {.channel = "a", .tag = "me"};
    struct setting s;
    open_setting(&s, in_loop, NULL, &stream);
    ask(s.world.hub, 'J');
    ask(s.world.hub, 'L');
    ask(s.world.hub, 'H');
    close_setting(&s);
  }
}

static void refuse(bool in_loop) {
  const sse_hub_config config = {.channels_max = 4, .stream_channels_max = 2};
  const sse_channel_config one = {.streams_max = 1};
  struct setting s;
  const sse_stream_config stream = {.channel = "a", .tag = "me"};
  open_setting(&s, in_loop, &config, &stream);
  sse_hub *hub = s.world.hub;
  assert_int_equal(sse_hub_subscribe(NULL, "me", "b", 0), SSE_EINVAL);
  assert_int_equal(sse_hub_subscribe(hub, NULL, "b", 0), SSE_EINVAL);
  assert_int_equal(sse_hub_subscribe(hub, "", "b", 0), SSE_EINVAL);
  assert_int_equal(sse_hub_subscribe(hub, "me", NULL, 0), SSE_EINVAL);
  assert_int_equal(sse_hub_subscribe(hub, "me", "", 0), SSE_ENAME);
  assert_int_equal(sse_hub_unsubscribe(hub, "me", ""), SSE_ENAME);
  assert_int_equal(sse_hub_configure_channel(hub, "full", &one), SSE_OK);
  sse_stream *other = world_stream(&s.world, "full", NULL, NULL);
  assert_int_equal(sse_hub_subscribe(hub, "me", "full", 0), SSE_ECHANNELSTREAMS);
  assert_int_equal(sse_hub_subscribe(hub, "me", "b", 0), 1);
  assert_int_equal(sse_hub_subscribe(hub, "me", "c", 0), SSE_ECHANNELS); /* of the stream */
  assert_int_equal(sse_hub_subscribe(hub, "me", "a", 0), 1);             /* it has it */
  assert_int_equal(sse_hub_subscribe(hub, "me", "b", 0), 1);             /* it will have it */
  world_send(&s.world, "c", "x");
  assert_int_equal(sse_hub_unsubscribe(hub, "me", "d"), SSE_ECHANNELS); /* of the hub */
  assert_string_not_equal(round_of(&s), "");
  sse_stream_free(other);
  assert_int_equal(sse_hub_subscribe(hub, "me", "full", 0), SSE_ECHANNELS);
  assert_int_equal(sse_hub_unsubscribe(hub, "me", "b"), 1);
  round_of(&s);
  assert_int_equal(sse_hub_subscribe(hub, "me", "full", 0), 1);
  sse_stream *refused = NULL; /* the place is kept for who was asked first */
  assert_int_equal(sse_stream_open(&refused, hub, &(sse_stream_config){.channel = "full"}),
                   SSE_ECHANNELSTREAMS);
  close_setting(&s);
}

static void what_is_refused(void **state) {
  (void)state;
  refuse(false);
  refuse(true);
}

static void every_allocation_failed(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    for (size_t n = 1; n <= 24; n++) { /* there are some 12 */
      const sse_hub_config config = {.retry_ms = SSE_NEVER};
      const sse_stream_config stream = {.channel = "a", .tag = "me"};
      char all[1024] = "";
      struct setting s;
      open_setting(&s, in_loop, &config, &stream);
      round_of(&s);
      publish(s.world.hub, 'b', 1);
      world_fail(n, false);
      while (sse_hub_subscribe(s.world.hub, "me", "b", SSE_BACKFILL_ALL) < 0) continue;
      for (int i = 0; i < 4; i++) {
        strcat(all, in_loop ? round_of(&s) : world_read(s.stream));
        if (in_loop && world_read_result() < 0) strcat(all, world_read(s.stream));
      }
      world_fail(0, false);
      assert_string_equal(all, UNFINISHED("E.1") EPHEMERAL("1") POSITION("E.1"));
      publish(s.world.hub, 'b', 2);
      assert_string_equal(round_of(&s), EVENT("2", "E.2"));
      close_setting(&s);
    }
  }
}

/* One that leaves before its loop has heard what it was asked is not returned for it, the others
 * are. */
static void one_of_several_leaves(void **state) {
  const sse_hub_config config = {.retry_ms = SSE_NEVER};
  (void)state;
  for (int leaves = 0; leaves < 3; leaves++) {
    struct world world = {0};
    struct wakes wakes = {0};
    sse_stream *streams[3];
    sse_loop *loop;
    int returned = 0;
    world_open(&world, &config);
    assert_int_equal(sse_loop_new(&loop, world.hub,
                                  &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                     SSE_OK);
    const sse_stream_config stream = {.channel = "a", .tag = "me", .loop = loop};
    for (int i = 0; i < 3; i++) {
      assert_int_equal(sse_stream_open(&streams[i], world.hub, &stream), SSE_OK);
    }
    for (sse_stream *s; (s = sse_loop_next(loop));) world_read(s);
    assert_int_equal(sse_hub_subscribe(world.hub, "me", "b", 0), 3);
    sse_stream_detach(streams[leaves]);
    for (sse_stream *s; (s = sse_loop_next(loop)); returned++) {
      assert_ptr_not_equal(s, streams[leaves]);
      assert_string_equal(world_read(s), POSITION("E.0"));
    }
    assert_int_equal(returned, 2);
    for (int i = 0; i < 3; i++) sse_stream_free(streams[i]);
    assert_int_equal(sse_loop_free(loop), SSE_OK);
    world_close(&world);
  }
}

/* A channel that streams joined and left by being asked goes away when it is idle, as any. */
static void a_channel_that_was_asked_for_goes_away(void **state) {
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .channel_idle_ms = 1000};
  const sse_stream_config stream = {.channel = "a", .tag = "me"};
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct setting s;
    open_setting(&s, in_loop, &config, &stream);
    round_of(&s);
    assert_int_equal(sse_hub_subscribe(s.world.hub, "me", "b", 0), 1);
    assert_int_equal(sse_hub_subscribe(s.world.hub, "me", "c", 0), 1);
    assert_int_equal(sse_hub_unsubscribe(s.world.hub, "me", "b"), 1);
    round_of(&s);
    assert_non_null(sse__channels_find(&s.world.hub->channels, "b", 1));
    s.world.now_ms += 1000;
    sse_hub_tick(s.world.hub);
    assert_null(sse__channels_find(&s.world.hub->channels, "b", 1));
    assert_non_null(sse__channels_find(&s.world.hub->channels, "c", 1));
    close_setting(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row),
      cmocka_unit_test(a_client_that_had_nothing_to_take),
      cmocka_unit_test(a_client_that_is_stuck),
      cmocka_unit_test(all_of_a_tag),
      cmocka_unit_test(history_without_positions),
      cmocka_unit_test(presence_is_told),
      cmocka_unit_test(a_stream_that_leaves),
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(every_allocation_failed),
      cmocka_unit_test(one_of_several_leaves),
      cmocka_unit_test(a_channel_that_was_asked_for_goes_away),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
