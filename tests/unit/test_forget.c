/* SPDX-License-Identifier: MIT */
/* test_forget.c: channels that the host removes: when it may, and what the hub remembers of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct world world;
static struct wakes wakes;
static sse_loop *loop;

static int set_up(void **state) {
  (void)state;
  world = (struct world){.hub = NULL};
  wakes = (struct wakes){0};
  world_open(&world, NULL);
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

static int forget(const char *channel) {
  return sse_hub_forget(world.hub, channel);
}

static sse_stream *open_tagged(const char *channel, sse_loop *of_loop) {
  const sse_stream_config config = {.channel = channel, .tag = "t", .loop = of_loop};
  sse_stream *stream = NULL;
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  return stream;
}

/* One iteration of the loop, in which every stream is read. */
static void iterate(void) {
  for (sse_stream *stream; (stream = sse_loop_next(loop));) world_read(stream);
}

/* ---- whether it may ---- */

static const struct {
  const char *name;
  int error;
} refused[] = {
    {"", SSE_ENAME},
    {"a\n", SSE_ENAME},
    {"never there", SSE_ENOTFOUND},
};

static void what_is_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(refused); i++) {
    assert_int_equal(forget(refused[i].name), refused[i].error);
  }
  world_send(&world, "a", "x");
  assert_int_equal(forget("a"), SSE_OK);
  assert_int_equal(forget("a"), SSE_ENOTFOUND);
}

static void a_channel_with_a_stream(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    sse_stream *stream = world_stream(&world, "a", NULL, in_loop ? loop : NULL);
    assert_int_equal(forget("a"), SSE_EBUSY);
    if (in_loop) iterate();
    assert_int_equal(forget("a"), SSE_EBUSY);
    sse_stream_detach(stream);
    assert_int_equal(forget("a"), SSE_OK);
    sse_stream_free(stream);
  }
}

/* A request to subscribe or unsubscribe holds the channel until the stream has looked at it. */
static void a_channel_with_a_membership_request(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    sse_stream *stream = open_tagged("a", in_loop ? loop : NULL);
    world_read(stream);
    if (in_loop) iterate();
    assert_int_equal(sse_hub_subscribe(world.hub, "t", "b", 0), 1);
    assert_int_equal(forget("b"), SSE_EBUSY);
    if (in_loop) iterate();
    world_read(stream);
    assert_int_equal(forget("b"), SSE_EBUSY); /* now it listens */
    assert_int_equal(sse_hub_unsubscribe(world.hub, "t", "b"), 1);
    assert_int_equal(forget("b"), SSE_EBUSY);
    if (in_loop) iterate();
    world_read(stream);
    if (in_loop) iterate();
    assert_int_equal(forget("b"), SSE_OK);
    sse_stream_free(stream);
  }
}

/* A loop that has a new frame to look at, or is within an iteration, keeps its part. */
static void a_channel_that_a_loop_still_has(void **state) {
  (void)state;
  for (int within = 0; within < 2; within++) {
    sse_stream *stream = world_stream(&world, "a", NULL, loop);
    iterate();
    world_send(&world, "a", "x");
    if (within) assert_ptr_equal(sse_loop_next(loop), stream);
    sse_stream_free(stream);
    assert_int_equal(sse_hub_count(world.hub, "a"), 0);
    assert_int_equal(forget("a"), SSE_EBUSY);
    iterate();
    assert_int_equal(forget("a"), SSE_OK);
  }
}

static int forgotten; /* what a call within the callback answers */

static void forget_the_empty(void *arg, const char *channel, int occupied) {
  const struct world *w = arg;
  if (!occupied) forgotten = sse_hub_forget(w->hub, channel);
}

static void not_while_its_occupancy_is_reported(void **state) {
  struct world w = {0};
  const sse_hub_config config = {.occupancy = forget_the_empty, .occupancy_arg = &w};
  (void)state;
  world_open(&w, &config);
  sse_stream *stream = world_stream(&w, "a", NULL, NULL);
  forgotten = 1;
  sse_stream_free(stream);
  assert_int_equal(forgotten, SSE_EBUSY);
  assert_int_equal(sse_hub_forget(w.hub, "a"), SSE_OK);
  world_close(&w);
}

/* ---- what is left of it ---- */

/* Both are told of a loss: a client that returns, and one that comes with an id of before. */
static void a_client_that_returns_gets_a_gap(void **state) {
  (void)state;
  for (int again = 0; again < 2; again++) {
    struct setting s;
    open_setting(&s, false, NULL, &(const sse_stream_config){.channel = "a"});
    world_send(&s.world, "a", "1");
    assert_string_equal(world_read(s.stream), EVENT("1", "E.1"));
    world_send(&s.world, "a", "2");
    sse_stream_detach(s.stream);
    assert_int_equal(sse_hub_forget(s.world.hub, "a"), SSE_OK);
    if (again) world_send(&s.world, "a", "3");
    reopen(&s, "E.1");
    assert_int_equal(sse_stream_resume_result(s.stream), SSE_RESUME_EVICTED);
    const char *bytes = world_read(s.stream);
    assert_non_null(strstr(bytes, "event: gap\n"));
    assert_int_equal(strstr(bytes, EVENT("3", "E.3")) != NULL, again);
    assert_null(strstr(bytes, "data: 2\n"));
    /* One that had everything has lost nothing. */
    reopen(&s, again ? "E.3" : "E.2");
    assert_int_equal(sse_stream_resume_result(s.stream), SSE_RESUME_RESUMED);
    close_setting(&s);
  }
}

static void a_finished_channel_stays_finished(void **state) {
  const sse_stream_config config = {.channel = "a", .last_id = "E.1"};
  sse_stream *stream;
  (void)state;
  world_send(&world, "a", "x");
  assert_int_equal(sse_hub_configure_channel(world.hub, "a", NULL), SSE_OK);
  assert_int_equal(sse_hub_finish(world.hub, "a"), SSE_OK);
  assert_int_equal(forget("a"), SSE_OK);
  assert_int_equal(sse_hub_publish_text(world.hub, "a", NULL, "y"), SSE_EFINISHED);
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_EFINISHED);
}

static void its_configuration_is_gone(void **state) {
  const sse_channel_config keys = {.conflate = SSE_YES};
  (void)state;
  assert_int_equal(sse_hub_configure_channel(world.hub, "a", &keys), SSE_OK);
  assert_int_equal(sse_hub_publish_text(world.hub, "a", NULL, "x"), SSE_EKEY);
  assert_int_equal(forget("a"), SSE_OK);
  assert_int_equal(sse_hub_publish_text(world.hub, "a", NULL, "x"), SSE_OK);
}

/* Its memory comes back, and its name counts no more. */
static void its_place_is_free(void **state) {
  struct world w = {0};
  (void)state;
  world_open(&w, &(const sse_hub_config){.channels_max = 1, .ghosts_max = 1});
  for (int i = 0; i < 5; i++) {
    assert_int_equal(sse_hub_configure_channel(w.hub, "a", NULL), SSE_OK);
    assert_int_equal(sse_hub_publish_text(w.hub, "b", NULL, "x"), SSE_ECHANNELS);
    size_t blocks = world_blocks();
    assert_int_equal(sse_hub_forget(w.hub, "a"), SSE_OK);
    assert_true(world_blocks() < blocks);
  }
  world_send(&w, "b", "x");
  world_close(&w);
}

/* What a ghost alone can keep needs its memory; without it a call changes nothing. */
static const struct {
  const char *name;
  bool conflated, published, finished;
  int error;
} ghosts[] = {
    {"an empty log", false, false, false, SSE_OK},
    {"a log", false, true, false, SSE_OK},
    {"a finished channel", false, false, true, SSE_ENOMEM},
    {"a finished log", false, true, true, SSE_ENOMEM},
    {"a state without values", true, false, false, SSE_OK},
    {"a state", true, true, false, SSE_ENOMEM},
};

static void what_needs_a_ghost(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(ghosts); i++) {
    const char name[] = {(char)('a' + i), '\0'};
    const sse_channel_config config = {.conflate = ghosts[i].conflated ? SSE_YES : SSE_NO};
    const sse_event value = {.text = "x", .key = ghosts[i].conflated ? "k" : NULL};
    sse_stats before, after;
    print_message("  %s\n", ghosts[i].name);
    assert_int_equal(sse_hub_configure_channel(world.hub, name, &config), SSE_OK);
    if (ghosts[i].published) assert_int_equal(sse_hub_publish(world.hub, name, &value), SSE_OK);
    if (ghosts[i].finished) assert_int_equal(sse_hub_finish(world.hub, name), SSE_OK);
    assert_int_equal(sse_hub_stats(world.hub, name, &before), SSE_OK);
    world_fail(1, true);
    assert_int_equal(forget(name), ghosts[i].error);
    world_fail(0, false);
    if (!ghosts[i].error) continue;
    assert_int_equal(sse_hub_stats(world.hub, name, &after), SSE_OK);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(forget(name), SSE_OK);
  }
}

/* Without memory an idle channel that is finished stays, and goes when there is some. */
static void a_finished_channel_waits_for_its_ghost(void **state) {
  sse_stats stats;
  (void)state;
  assert_int_equal(sse_hub_finish(world.hub, "a"), SSE_OK);
  world_fail(1, true);
  world.now_ms += 300000;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(sse_hub_tick(world.hub), 1000); /* it is tried again then, not at once */
    assert_int_equal(sse_hub_stats(world.hub, "a", &stats), SSE_OK);
    world.now_ms += 1000;
  }
  world_fail(0, false);
  assert_int_equal(sse_hub_tick(world.hub), 1000); /* nothing is due any more */
  assert_int_equal(sse_hub_stats(world.hub, "a", &stats), SSE_ENOTFOUND);
  assert_int_equal(sse_hub_publish_text(world.hub, "a", NULL, "x"), SSE_EFINISHED);
}

/* Of too many, the one that went away the longest time ago is forgotten, whenever it did first. */
static void which_ghost_is_forgotten(void **state) {
  static const struct {
    const char *gone,
        *forgotten; /* the channels that go away, in this order; the one that is free */
  } rows[] = {{"abc", "a"}, {"abac", "b"}, {"ababc", "a"}, {"aabbac", "b"}, {"abcb", "a"}};
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    struct world w = {0};
    world_open(&w, &(const sse_hub_config){.ghosts_max = 2});
    for (const char *at = rows[i].gone; *at; at++) {
      const char name[] = {*at, '\0'};
      assert_int_equal(sse_hub_finish(w.hub, name), SSE_OK);
      assert_int_equal(sse_hub_forget(w.hub, name), SSE_OK);
    }
    for (const char *name = "a\0b\0c\0"; *name; name += 2) {
      assert_int_equal(sse_hub_publish_text(w.hub, name, NULL, "x"),
                       *name == *rows[i].forgotten ? SSE_OK : SSE_EFINISHED);
    }
    world_close(&w);
  }
}

/* Without memory for a ghost the hub knows less, and no loss is hidden. */
static void without_memory_for_a_ghost(void **state) {
  (void)state;
  world_send(&world, "a", "1");
  world_send(&world, "a", "2");
  world_fail(1, true);
  assert_int_equal(forget("a"), SSE_OK);
  world_fail(0, false);
  sse_stream *stream = world_stream(&world, "a", "E.1", NULL);
  assert_int_equal(sse_stream_resume_result(stream), SSE_RESUME_EVICTED);
  sse_stream_free(stream);
}

/* ---- those that go by themselves ---- */

static const struct {
  const char *name;
  sse_choice of_hub, expire;
  bool configured, finished, stays;
} idle_rows[] = {
    {"not configured", SSE_DEFAULT, SSE_DEFAULT, false, false, false},
    {"not configured, the hub keeps all", SSE_NO, SSE_DEFAULT, false, false, true},
    {"configured", SSE_DEFAULT, SSE_DEFAULT, true, false, true},
    {"configured to expire", SSE_DEFAULT, SSE_YES, true, false, false},
    {"configured, finished", SSE_DEFAULT, SSE_DEFAULT, true, true, false},
    {"the hub keeps all, finished", SSE_NO, SSE_DEFAULT, false, true, false},
};

static bool is_there(const struct world *w) {
  sse_stats stats;
  return sse_hub_stats(w->hub, "a", &stats) == SSE_OK;
}

static void idle_channels(void **state) {
  enum {
    IDLE_MS = 1000
  };
  (void)state;
  for (size_t i = 0; i < COUNT(idle_rows); i++) {
    struct world w = {0};
    const sse_hub_config config = {.channel_idle_ms = IDLE_MS,
                                   .channel = {.expire = idle_rows[i].of_hub}};
    const sse_channel_config own = {.expire = idle_rows[i].expire};
    print_message("  %s\n", idle_rows[i].name);
    world_open(&w, &config);
    if (idle_rows[i].configured) {
      assert_int_equal(sse_hub_configure_channel(w.hub, "a", &own), SSE_OK);
    }
    world_send(&w, "a", "1");
    if (idle_rows[i].finished) assert_int_equal(sse_hub_finish(w.hub, "a"), SSE_OK);
    sse_stream *stream = world_stream(&w, "a", "E.0", NULL);
    w.now_ms += 10 * IDLE_MS;
    sse_hub_tick(w.hub);
    assert_true(is_there(&w)); /* a stream listens */
    sse_stream_free(stream);
    w.now_ms += IDLE_MS - 1;
    sse_hub_tick(w.hub);
    assert_true(is_there(&w));
    w.now_ms++;
    sse_hub_tick(w.hub);
    assert_int_equal(is_there(&w), idle_rows[i].stays);
    assert_int_equal(sse_hub_publish_text(w.hub, "a", NULL, "2"),
                     idle_rows[i].finished ? SSE_EFINISHED : SSE_OK);
    world_close(&w);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(what_is_refused),
      TEST(a_channel_with_a_stream),
      TEST(a_channel_with_a_membership_request),
      TEST(a_channel_that_a_loop_still_has),
      cmocka_unit_test(not_while_its_occupancy_is_reported),
      cmocka_unit_test(a_client_that_returns_gets_a_gap),
      TEST(a_finished_channel_stays_finished),
      TEST(its_configuration_is_gone),
      cmocka_unit_test(its_place_is_free),
      TEST(without_memory_for_a_ghost),
      TEST(what_needs_a_ghost),
      TEST(a_finished_channel_waits_for_its_ghost),
      cmocka_unit_test(which_ghost_is_forgotten),
      cmocka_unit_test(idle_channels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
