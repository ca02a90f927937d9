/* SPDX-License-Identifier: MIT */
/* test_finish.c: channels after their last event: streams end when they have had all, and a client
 * that has had all is not let in again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

#define COUNT(array)    (sizeof(array) / sizeof(array)[0])
#define LIST(...)       ((const char *const[]){__VA_ARGS__, NULL})
#define EVENT(text, id) "data: " text "\nid: " id "\n\n"
#define BYE             "retry: 1\n"
#define GAP(id, resume)                                                                            \
  "event: gap\ndata: {\"reason\":\"evicted\",\"requested\":\"" id "\",\"resume\":\"" resume        \
  "\",\"channels\":[\"a\"]}\nid: " resume "\n\n"

enum {
  IDLE_MS = 1000
};

static struct world world;
static struct wakes wakes;
static sse_loop *loop;

static int set_up(void **state) {
  const sse_hub_config config = {.retry_ms = 1,
                                 .channel_idle_ms = IDLE_MS,
                                 .ghosts_max = 2,
                                 .channel = {.window_frames_max = 3}};
  (void)state;
  world = (struct world){.hub = NULL};
  wakes = (struct wakes){0};
  world_open(&world, &config);
  return sse_loop_new(&loop, world.hub,
                      &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes});
}

static int tear_down(void **state) {
  (void)state;
  world_fail(0, false);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
  return 0;
}

static void finish(const char *channel) {
  assert_int_equal(sse_hub_finish(world.hub, channel), SSE_OK);
}

/* ---- streams that are open ---- */

/*
 * A letter publishes to the channel of that name, the text is the number; a capital finishes it. A
 * blank lets the stream be served: in a loop only if the loop returns it.
 */
static const struct script_row {
  const char *name;
  const char *const *channels;
  const char *script;
  const char *const *reads;
  bool ends;
} script_rows[] = {
    {"at the head", LIST("a"), "a A ", LIST(EVENT("1", "E.1"), BYE), true},
    {"nothing was ever there", LIST("a"), "A ", LIST(BYE), true},
    {"what it has missed comes first", LIST("a"), "aaA ",
     LIST(EVENT("1", "E.1") EVENT("2", "E.2") BYE), true},
    {"one of two goes on", LIST("a", "b"), "A b ab ",
     LIST("", EVENT("1", "E.1"), EVENT("2", "E.2")), false},
    {"the second ends it", LIST("a", "b"), "A b B ", LIST("", EVENT("1", "E.1"), BYE), true},
    {"the other order", LIST("a", "b"), "B a A ", LIST("", EVENT("1", "E.1"), BYE), true},
    {"both at once", LIST("a", "b"), "bABb ", LIST(EVENT("1", "E.1") BYE), true},
    {"another channel", LIST("a"), "B a ", LIST("", EVENT("1", "E.1")), false},
};

static const char *serve(sse_stream *stream, bool in_loop) {
  static char bytes[4096];
  if (!in_loop) return world_read(stream);
  sse_stream *next = sse_loop_next(loop);
  bytes[0] = '\0';
  if (next) {
    snprintf(bytes, sizeof bytes, "%s", world_read(next));
    assert_string_not_equal(bytes, ""); /* it was returned for something */
  }
  while (sse_loop_next(loop)) fail_msg("returned once more");
  return bytes;
}

static void run_script(const struct script_row *row, bool in_loop) {
  const sse_stream_config config = {.channels = row->channels, .loop = in_loop ? loop : NULL};
  char finished[3] = "";
  sse_stream *stream;
  struct iovec iov[1];
  int number = 0, reads = 0;
  print_message("  %s, %s\n", row->name, in_loop ? "in a loop" : "alone");
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  assert_string_not_equal(serve(stream, in_loop), "");
  for (const char *c = row->script; *c; c++) {
    char channel[] = {(char)(*c | 0x20), '\0'}, text[16];
    if (*c == ' ') {
      assert_string_equal(serve(stream, in_loop), row->reads[reads++]);
    } else if (*c < 'a') {
      finish(channel);
      strcat(finished, channel);
    } else if (strchr(finished, *c)) {
      assert_int_equal(sse_hub_publish_text(world.hub, channel, NULL, "x"), SSE_EFINISHED);
    } else {
      snprintf(text, sizeof text, "%d", ++number);
      world_send(&world, channel, text);
    }
  }
  assert_null(row->reads[reads]);
  assert_int_equal(sse_stream_peek(stream, iov, 1), row->ends ? SSE_EFINISHED : 0);
  sse_stream_free(stream);
}

static void streams_end_when_they_have_had_all(void **state) {
  for (size_t i = 0; i < COUNT(script_rows); i++) {
    for (int in_loop = 0; in_loop <= 1; in_loop++) {
      set_up(state);
      run_script(&script_rows[i], in_loop);
      tear_down(state);
    }
  }
}

/* Both kinds of hosts hear of it, once, and a channel is finished once. */
static void hosts_are_woken(void **state) {
  struct wakes alone = {0};
  const sse_stream_config config = {.channel = "a", .wake = world_wake, .user = &alone};
  sse_stream *lone, *stream = world_stream(&world, "a", NULL, loop);
  (void)state;
  assert_int_equal(sse_stream_open(&lone, world.hub, &config), SSE_OK);
  world_read(lone);
  serve(stream, true);
  finish("a");
  finish("a");
  assert_int_equal(alone.count, 1);
  assert_int_equal(wakes.count, 1);
  assert_string_equal(serve(stream, true), BYE);
  assert_string_equal(world_read(lone), BYE);
  finish("a");
  assert_int_equal(wakes.count, 1);
  sse_stream_free(lone);
  sse_stream_free(stream);
}

static ssize_t full(void *io, const struct iovec *iov, int count) {
  (void)io;
  (void)iov;
  (void)count;
  return SSE_EAGAIN;
}

/* One that is behind has all that it has missed, the gap among it, before it ends. */
static void a_slow_client_has_all_before_the_end(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop <= 1; in_loop++) {
    const char *channel = in_loop ? "l" : "a";
    sse_stream *stream = world_stream(&world, channel, NULL, in_loop ? loop : NULL);
    serve(stream, in_loop);
    world_send(&world, channel, "x");
    while (in_loop && sse_loop_next(loop)) sse_stream_flush(stream, full, NULL);
    if (!in_loop) sse_stream_flush(stream, full, NULL);
    for (int i = 0; i < 3; i++) world_send(&world, channel, "y");
    finish(channel);
    while (in_loop && sse_loop_next(loop)) fail_msg("the host waits for room");
    const char *bytes = world_read(stream);
    assert_memory_equal(bytes, "event: gap\n", 11);
    assert_non_null(strstr(bytes, "\"lost\":1}"));
    assert_string_equal(bytes + strlen(bytes) - strlen(BYE), BYE);
    assert_int_equal(world_read_result(), SSE_EFINISHED);
    sse_stream_free(stream);
  }
}

/* ---- the last event ---- */

#define LAST "event: done\ndata:\n\n"

/* What a stream is given at last, by a hub whose finished_type is "done". */
static const struct last_row {
  const char *name;
  const char *const *channels;
  int32_t retry_ms;
  bool chunked, unnamed; /* no positions */
  int end;
  const char *bytes;
} last_rows[] = {
    {"with a reconnection time", LIST("a"), 1, false, false, SSE_EFINISHED, BYE LAST},
    {"without one", LIST("a"), SSE_NEVER, false, false, SSE_EFINISHED, LAST},
    {"without positions", LIST("a"), 1, false, true, SSE_EFINISHED, BYE LAST},
    {"several channels", LIST("a", "b", "c"), 1, false, false, SSE_EFINISHED, BYE LAST},
    {"in chunks", LIST("a"), 1, true, false, SSE_EFINISHED,
     "0000001c\r\n" BYE LAST "\r\n00000000\r\n\r\n"},
    {"in chunks, without a reconnection time", LIST("a"), SSE_NEVER, true, false, SSE_EFINISHED,
     "00000013\r\n" LAST "\r\n00000000\r\n\r\n"},
    {"drained", LIST("a"), 1, false, false, SSE_EDRAINED, BYE},
    {"dismissed", LIST("a"), 1, false, false, SSE_EDISMISSED, BYE},
    {"its age", LIST("a"), 1, false, false, SSE_EAGED, BYE},
    {"disconnected", LIST("a"), 1, false, false, SSE_EDISCONNECTED, ""},
};

static void end_by(const struct last_row *row) {
  switch (row->end) {
  case SSE_EFINISHED:
    for (const char *const *name = row->channels; *name; name++) finish(*name);
    break;
  case SSE_EDRAINED:
    assert_int_equal(sse_hub_drain(world.hub, 0), SSE_OK);
    break;
  case SSE_EDISMISSED:
    assert_int_equal(sse_hub_dismiss(world.hub, "me"), 1);
    break;
  case SSE_EAGED:
    world.now_ms += 1000;
    break;
  default:
    assert_int_equal(sse_hub_disconnect(world.hub, "me"), 1);
    break;
  }
}

static void run_last(const struct last_row *row, bool in_loop) {
  const sse_http_head head = {.chunked = 1};
  const sse_hub_config hub_config = {.finished_type = "done", .retry_ms = row->retry_ms};
  sse_stream_config config = {
      .channels = row->channels,
      .tag = "me",
      .head = row->chunked ? &head : NULL,
      .age_ms_max = row->end == SSE_EAGED ? 1000 : 0,
      .position = row->unnamed ? SSE_POSITION_OFF : SSE_POSITION_EVENT,
  };
  sse_stream *stream;
  print_message("  %s, %s\n", row->name, in_loop ? "in a loop" : "alone");
  world = (struct world){.hub = NULL};
  world_open(&world, &hub_config);
  const sse_loop_config waking = {.wake = world_wake, .wake_arg = &wakes};
  assert_int_equal(sse_loop_new(&loop, world.hub, &waking), SSE_OK);
  if (in_loop) config.loop = loop;
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  while (in_loop && sse_loop_next(loop)) world_read(stream);
  world_read(stream);
  end_by(row);
  if (in_loop) assert_ptr_equal(sse_loop_next(loop), stream);
  assert_string_equal(world_read(stream), row->bytes);
  assert_int_equal(world_read_result(), row->end);
  sse_stream_free(stream);
  tear_down(NULL);
}

static void the_last_event_of_finished_channels(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(last_rows); i++) {
    run_last(&last_rows[i], false);
    run_last(&last_rows[i], true);
  }
}

/* ---- those who come later ---- */

/* Before: E.1 to E.4 on "a", of which the window keeps three, and E.5 on "b"; "a" is finished. */
static const struct open_row {
  const char *name;
  const char *channels[3];
  const char *last_id;
  const char *bytes; /* NULL: SSE_EFINISHED */
} open_rows[] = {
    {"without an id", {"a"}, NULL, NULL},
    {"who has had all", {"a"}, "E.4", NULL},
    {"at the head", {"a"}, "E.5", NULL},
    {"something is left",
     {"a"},
     "E.3",
     "retry: 1\nevent: sse-position\ndata:\nid: E.3\n\n" EVENT("4", "E.4") BYE},
    {"something is gone",
     {"a"},
     "E.0",
     "retry: 1\n" GAP("E.0", "E.1") EVENT("2", "E.2") EVENT("3", "E.3") EVENT("4", "E.4") BYE},
    {"a number never given",
     {"a"},
     "E.6",
     "retry: 1\nevent: gap\ndata: {\"reason\":\"future\",\"requested\":\"E.6\",\"resume\":\"E.5\","
     "\"channels\":[\"a\"]}\nid: E.5\n\n" BYE},
    {"with one that goes on",
     {"a", "b"},
     NULL,
     "retry: 1\nevent: sse-position\ndata:\nid: E.5\n\n"},
};

static void who_is_let_in(void **state) {
  for (size_t i = 0; i < COUNT(open_rows); i++) {
    for (int in_loop = 0; in_loop <= 1; in_loop++) {
      const struct open_row *row = &open_rows[i];
      sse_stream *stream = NULL;
      print_message("  %s\n", row->name);
      set_up(state);
      const sse_stream_config config = {
          .channels = row->channels, .last_id = row->last_id, .loop = in_loop ? loop : NULL};
      for (int e = 1; e <= 4; e++) world_send(&world, "a", (char[]){(char)('0' + e), '\0'});
      world_send(&world, "b", "5");
      finish("a");
      int error = sse_stream_open(&stream, world.hub, &config);
      assert_int_equal(error, row->bytes ? SSE_OK : SSE_EFINISHED);
      if (stream) assert_string_equal(world_read(stream), row->bytes);
      assert_int_equal(sse_hub_count(world.hub, "a"), stream != NULL);
      sse_stream_free(stream);
      tear_down(state);
    }
  }
}

static int open_again(const char *channel) {
  const sse_stream_config config = {.channel = channel};
  sse_stream *stream = NULL;
  int error = sse_stream_open(&stream, world.hub, &config);
  sse_stream_free(stream);
  return error;
}

static void idle(void) {
  world.now_ms += IDLE_MS;
  sse_hub_tick(world.hub);
}

/* The mark outlives the channel, with events or without; until too many are to be remembered. */
static void a_dropped_channel_stays_finished(void **state) {
  (void)state;
  for (int events = 0; events <= 1; events++) {
    const char *channel = events ? "a" : "b";
    if (events) world_send(&world, channel, "x");
    finish(channel);
    for (int turn = 0; turn < 3; turn++) {
      assert_int_equal(open_again(channel), SSE_EFINISHED);
      assert_int_equal(sse_hub_publish_text(world.hub, channel, NULL, "y"), SSE_EFINISHED);
      idle();
    }
  }
  size_t blocks = world_blocks();
  finish("c"); /* one ghost more than there may be: that of "b" goes */
  idle();
  assert_int_equal(world_blocks(), blocks);
  assert_int_equal(open_again("a"), SSE_EFINISHED);
  assert_int_equal(open_again("c"), SSE_EFINISHED);
  assert_int_equal(open_again("b"), SSE_OK);
  world_send(&world, "b", "again");
}

/* A failed call made for a finished channel takes nothing away, without memory for a ghost. */
static void a_failed_open_does_not_forget(void **state) {
  for (size_t n = 1; n < 5; n++) {
    set_up(state);
    finish("a");
    world_fail(n, true);
    int error = open_again("a");
    world_fail(0, false);
    assert_true(error == SSE_ENOMEM || error == SSE_EFINISHED);
    assert_int_equal(sse_hub_publish_text(world.hub, "a", NULL, "x"), SSE_EFINISHED);
    tear_down(state);
  }
}

/* The ghost of an earlier life, in which it was not finished, takes the mark up. */
static void a_ghost_is_finished_later(void **state) {
  (void)state;
  world_send(&world, "a", "x");
  idle();
  finish("a");
  idle();
  assert_int_equal(open_again("a"), SSE_EFINISHED);
}

/* One of its channels was finished before the loop had anything to do with it. */
static void a_channel_finished_before_counts(void **state) {
  const char *const both[] = {"a", "b", NULL};
  const sse_stream_config config = {.channels = both, .loop = loop};
  sse_stream *stream;
  (void)state;
  finish("a");
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  serve(stream, true);
  finish("b");
  assert_string_equal(serve(stream, true), BYE);
  sse_stream_free(stream);
}

static const struct {
  const char *name, *channel;
  int error;
} refused[] = {
    {"none", NULL, SSE_EINVAL},
    {"empty", "", SSE_ENAME},
    {"a line", "a\n", SSE_ENAME},
};

static void what_is_refused(void **state) {
  (void)state;
  assert_int_equal(sse_hub_finish(NULL, "a"), SSE_EINVAL);
  for (size_t i = 0; i < COUNT(refused); i++) {
    assert_int_equal(sse_hub_finish(world.hub, refused[i].channel), refused[i].error);
  }
  for (size_t n = 1;; n++) {
    world_fail(n, true);
    int error = sse_hub_finish(world.hub, "new");
    world_fail(0, false);
    if (!error) break;
    assert_int_equal(error, SSE_ENOMEM);
    assert_int_equal(open_again("new"), SSE_OK);
    idle();
  }
}

/* ---- ephemeral events ---- */

/* Channel f is finished, g was finished and is gone, e is empty, l is listened to. */
static const struct {
  const char *name;
  const char *const *channels;
  int error;
} fleeting[] = {
    {"finished, nobody listens", LIST("f"), SSE_EFINISHED},
    {"finished and gone", LIST("g"), SSE_EFINISHED},
    {"nobody listens", LIST("e"), SSE_OK},
    {"never there", LIST("n"), SSE_OK},
    {"listened to", LIST("l"), SSE_OK},
    {"one of several is finished, first", LIST("f", "l"), SSE_EFINISHED},
    {"one of several is finished, last", LIST("l", "n", "f"), SSE_EFINISHED},
    {"one of several is gone", LIST("l", "g", "e"), SSE_EFINISHED},
    {"none of several is", LIST("l", "n", "e"), SSE_OK},
};

static void ephemeral_events_are_refused_too(void **state) {
  const sse_event event = {.text = "x", .flags = SSE_EPHEMERAL};
  (void)state;
  finish("g");
  assert_int_equal(sse_hub_forget(world.hub, "g"), SSE_OK);
  finish("f");
  assert_int_equal(sse_hub_configure_channel(world.hub, "e", NULL), SSE_OK);
  sse_stream *stream = world_stream(&world, "l", NULL, NULL);
  for (size_t i = 0; i < COUNT(fleeting); i++) {
    size_t blocks = world_blocks();
    world_read(stream);
    print_message("  %s\n", fleeting[i].name);
    assert_int_equal(sse_hub_publish_to(world.hub, fleeting[i].channels, &event),
                     fleeting[i].error);
    if (!fleeting[i].error) continue;
    assert_int_equal(world_blocks(), blocks);
    assert_string_equal(world_read(stream), "");
  }
  sse_stream_free(stream);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(streams_end_when_they_have_had_all),
      TEST(hosts_are_woken),
      TEST(a_slow_client_has_all_before_the_end),
      cmocka_unit_test(the_last_event_of_finished_channels),
      cmocka_unit_test(who_is_let_in),
      TEST(a_dropped_channel_stays_finished),
      cmocka_unit_test(a_failed_open_does_not_forget),
      TEST(a_ghost_is_finished_later),
      TEST(a_channel_finished_before_counts),
      TEST(ephemeral_events_are_refused_too),
      TEST(what_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
