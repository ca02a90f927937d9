/* SPDX-License-Identifier: MIT */
/* test_notice.c: an event reaches the loops and the standalone streams of its channels, in parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "stream/loop.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
  STREAMS = 6,
  LOOPS = 2
};

/*
 * Standalone streams, of which the first half has the channel a, the second b, and the one in the
 * middle of all, number 2, both. Each wake acts: a part ends with it.
 */
static struct world world;
static struct standing {
  sse_stream *stream;
  int woken, taken;
} all[STREAMS];
static const char *actions; /* what the wakes do, each up to a space */
static uint64_t lag;        /* the lowest lag at the end of a wake that is not the last one */
static uint64_t lag_of_a;   /* the same of the channel a */

static void take(struct standing *one) {
  const char *text = world_read(one->stream);
  for (; (text = strstr(text, "data:")); text++) one->taken++;
}

static void finish(const char *channel) {
  assert_int_equal(sse_hub_finish(world.hub, channel), SSE_OK);
}

/* Small letters read a stream, large ones free it. */
static void act(char what) {
  if (what >= 'a' && what < 'a' + STREAMS) take(&all[what - 'a']);
  if (what >= 'A' && what < 'A' + STREAMS) {
    sse_stream_free(all[what - 'A'].stream);
    all[what - 'A'].stream = NULL;
  }
  if (what == '!') world_send(&world, "a", "again");
  if (what == '?') world_send(&world, "b", "again");
  if (what == '$') finish("a");
}

static int wake(void *arg, unsigned why) {
  struct standing *one = arg;
  sse_stats stats;
  assert_int_equal(why, SSE_WAKE_READY);
  one->woken++;
  while (*actions && *actions != ' ') act(*actions++);
  if (!*actions) return 0;
  actions++;
  assert_int_equal(sse_hub_stats(world.hub, "a", &stats), SSE_OK);
  if (sse_hub_lag(world.hub) < lag) lag = sse_hub_lag(world.hub);
  if (stats.lag_events < lag_of_a) lag_of_a = stats.lag_events;
  return 0;
}

static void open_all(void) {
  memset(all, 0, sizeof all);
  for (size_t i = 0; i < STREAMS; i++) {
    const char *channels[] = {i <= STREAMS / 2 - 1 ? "a" : "b", i == 2 ? "b" : NULL, NULL};
    const sse_stream_config config = {.channels = channels, .wake = wake, .user = &all[i]};
    assert_int_equal(sse_stream_open(&all[i].stream, world.hub, &config), SSE_OK);
    take(&all[i]);
    all[i].taken = 0;
  }
  lag = lag_of_a = UINT64_MAX;
}

/*
 * What is published: to a, to b, to both, or a is finished; what the wakes do; and how often each
 * stream is woken by then: once for each time that it was armed and then had something new.
 */
static const struct {
  const char *name, *published, *actions;
  int woken[STREAMS];
} rows[] = {
    {"one channel", "a", "", {1, 1, 1, 0, 0, 0}},
    {"another", "b", "", {0, 0, 1, 1, 1, 1}},
    {"both", "ab", "", {1, 1, 1, 1, 1, 1}},
    {"finished", "$", "", {1, 1, 1, 0, 0, 0}},
    {"the first looks at once", "a", "a", {1, 1, 1, 0, 0, 0}},
    {"one looks that is to be woken", "a", "c", {1, 1, 0, 0, 0, 0}},
    {"one looks, and finds nothing", "$", "c", {1, 1, 1, 0, 0, 0}},
    {"one leaves that is to be woken", "a", "B", {1, 0, 1, 0, 0, 0}},
    {"the last one leaves", "ab", "F", {1, 1, 1, 1, 1, 0}},
    {"all leave that are to be woken", "ab", "BCDEF", {1, 0, 0, 0, 0, 0}},
    {"the first leaves", "ab", " A", {1, 1, 1, 1, 1, 1}},
    {"another event", "a", "!", {1, 1, 1, 0, 0, 0}},
    {"an event of the other channel", "a", "?", {1, 1, 1, 1, 1, 1}},
    {"another event, when one is armed again", "a", "a !", {2, 1, 1, 0, 0, 0}},
    {"finished, when one is armed again", "a", "c $", {1, 1, 1, 0, 0, 0}},
};

static void publish(const char *what) {
  const char *const both[] = {"a", "b", NULL}, *const one[] = {*what == 'b' ? "b" : "a", NULL};
  const sse_event event = {.text = "x"};
  if (*what == '$') {
    finish("a");
  } else {
    assert_int_equal(sse_hub_publish_to(world.hub, what[1] ? both : one, &event), SSE_OK);
  }
}

static void run_row(size_t row, uint32_t part_max) {
  world = (struct world){.hub = NULL};
  world_open(&world, NULL);
  world.hub->part_max = part_max;
  open_all();
  actions = rows[row].actions;
  publish(rows[row].published);
  assert_null(world.hub->notices.list.first);
  for (size_t i = 0; i < STREAMS; i++) {
    bool same = part_max > 1 || all[i].woken == rows[row].woken[i];
    if (!same) fail_msg("%s: stream %zu is woken %d times", rows[row].name, i, all[i].woken);
    sse_stream_free(all[i].stream);
  }
  world_close(&world);
}

static void each_stream_is_woken_once(void **state) {
  (void)state;
  for (size_t row = 0; row < COUNT(rows); row++) run_row(row, 1);
}

/* What happens between the wakes of one part does not change whom it reaches. A stream whose wake is
 * due in the same part cannot be freed by a wake. */
static void parts_of_several_streams(void **state) {
  (void)state;
  for (size_t row = 0; row < COUNT(rows); row++) {
    for (uint32_t part_max = 2; part_max <= STREAMS; part_max++) {
      if (!strpbrk(rows[row].actions, "ABCDEF")) run_row(row, part_max);
    }
  }
}

/*
 * A stream that is still to be woken counts, although it is armed; and one that a later event wakes
 * lacks the earlier one, too.
 */
static const struct {
  const char *actions;
  uint64_t lag, lag_after;
} lags[] = {
    {"a b c", 1, 0},
    {"a b ", 1, 1},
    {"a ! ", 1, 2},
    {"a? b ", 2, 2},
};

static void the_lag_is_never_too_low(void **state) {
  (void)state;
  for (size_t row = 0; row < COUNT(lags); row++) {
    world = (struct world){.hub = NULL};
    world_open(&world, NULL);
    world.hub->part_max = 1;
    open_all();
    actions = lags[row].actions;
    publish("a");
    bool same =
        lag == lags[row].lag && lag_of_a == 1 && sse_hub_lag(world.hub) == lags[row].lag_after;
    if (!same) {
      fail_msg("%s: %d, %d, %d", lags[row].actions, (int)lag, (int)lag_of_a,
               (int)sse_hub_lag(world.hub));
    }
    for (size_t i = 0; i < STREAMS; i++) {
      take(&all[i]);
      sse_stream_free(all[i].stream);
    }
    world_close(&world);
  }
}

/* ---- loops ---- */

static struct wakes loop_wakes[LOOPS];
static sse_loop *loops[LOOPS];
static sse_stream *in_loops[2 * LOOPS];

static void open_loops(void) {
  world = (struct world){.hub = NULL};
  world_open(&world, NULL);
  memset(loop_wakes, 0, sizeof loop_wakes);
  for (size_t i = 0; i < LOOPS; i++) {
    const sse_loop_config config = {.wake = world_wake, .wake_arg = &loop_wakes[i]};
    assert_int_equal(sse_loop_new(&loops[i], world.hub, &config), SSE_OK);
    in_loops[2 * i] = world_stream(&world, "a", NULL, loops[i]);
    in_loops[2 * i + 1] = world_stream(&world, "b", NULL, loops[i]);
    for (sse_stream *stream; (stream = sse_loop_next(loops[i]));) world_read(stream);
  }
}

static void close_loops(void) {
  for (size_t i = 0; i < COUNT(in_loops); i++) sse_stream_free(in_loops[i]);
  for (size_t i = 0; i < LOOPS; i++) assert_int_equal(sse_loop_free(loops[i]), SSE_OK);
  world_close(&world);
}

static void a_loop_is_woken_once(void **state) {
  (void)state;
  open_loops();
  sse_stream *served = sse_loop_next(loops[1]); /* in an iteration, if it has something */
  assert_null(served);
  loops[1]->inbox.waker.armed = false;
  for (int i = 0; i < 3; i++) world_send(&world, "a", "x");
  assert_int_equal(loop_wakes[0].count, 1);
  assert_int_equal(loop_wakes[0].why, SSE_WAKE_READY);
  assert_int_equal(loop_wakes[1].count, 0);
  for (size_t i = 0; i < LOOPS; i++) {
    const struct sse__inbox *inbox = &loops[i]->inbox;
    assert_non_null(inbox->dirty_list);
    assert_ptr_equal(inbox->dirty_list, inbox->dirty_last);
    assert_true(inbox->dirty_list->dirty);
    assert_null(inbox->dirty_list->dirty_left);
  }
  close_loops();
}

static void dirty_feeds_are_listed(void **state) {
  (void)state;
  open_loops();
  world_send(&world, "a", "x");
  world_send(&world, "b", "x");
  const struct sse__inbox *inbox = &loops[0]->inbox;
  assert_string_equal(inbox->dirty_list->channel->name, "a");
  assert_string_equal(inbox->dirty_list->dirty_right->channel->name, "b");
  assert_int_equal(loop_wakes[0].count, 1);
  close_loops();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_stream_is_woken_once), cmocka_unit_test(parts_of_several_streams),
      cmocka_unit_test(the_lag_is_never_too_low),  cmocka_unit_test(a_loop_is_woken_once),
      cmocka_unit_test(dirty_feeds_are_listed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
