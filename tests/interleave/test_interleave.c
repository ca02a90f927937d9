/* SPDX-License-Identifier: MIT */
/* test_interleave.c: waking, arming, publishing and closing, in every order of two and three
 * threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define LOOP                                                                                       \
  { HOST_LOOP, 1, LEAVES_AT_THE_END }
#define LOOP_OF_TWO                                                                                \
  { HOST_LOOP, 2, LEAVES_AT_THE_END }
#define WAKE                                                                                       \
  { HOST_WAKE, 1, LEAVES_AT_THE_END }
#define SECOND                                                                                     \
  { HOST_SECOND, 1, LEAVES_AT_THE_END }
#define WAIT                                                                                       \
  { HOST_WAIT, 1, LEAVES_AT_THE_END }

/* Who sleeps is woken, once for each time that he was armed. */
static const struct scene waking[] = {
    {.name = "loop", .actors = {"abc"}, .hosts = {LOOP}, .owed = "abc"},
    {.name = "loop, two channels", .actors = {"aB1"}, .hosts = {LOOP}, .both = true, .owed = "aB1"},
    {.name = "loop, two publishers", .actors = {"ab", "mn"}, .hosts = {LOOP}, .owed = "abmn"},
    {.name = "loop of two streams, two channels",
     .actors = {"aB", "m1"},
     .hosts = {LOOP_OF_TWO},
     .both = true,
     .owed = "aBm1"},
    {.name = "two loops", .actors = {"ab"}, .hosts = {LOOP, LOOP}, .owed = "ab"},
    {.name = "wake", .actors = {"abc"}, .hosts = {WAKE}, .owed = "abc"},
    {.name = "wake, two channels", .actors = {"aB1"}, .hosts = {WAKE}, .both = true, .owed = "aB1"},
    {.name = "wake, two publishers", .actors = {"ab", "mn"}, .hosts = {WAKE}, .owed = "abmn"},
    {.name = "second look", .actors = {"abc"}, .hosts = {SECOND}, .owed = "abc"},
    {.name = "second look, two publishers",
     .actors = {"ab", "mn"},
     .hosts = {SECOND},
     .owed = "abmn"},
    {.name = "wait", .actors = {"abc"}, .hosts = {WAIT}, .owed = "abc"},
    {.name = "wait, two publishers", .actors = {"ab", "mn"}, .hosts = {WAIT}, .owed = "abmn"},
    {.name = "loop, wake and wait", .actors = {"ab"}, .hosts = {LOOP, WAKE, WAIT}, .owed = "ab"},
    {.name = "loop, transport full",
     .actors = {"abc"},
     .hosts = {LOOP},
     .full = 2,
     .owed = "abc",
     .preemptions = 3},
    {.name = "wake, transport full", .actors = {"abc"}, .hosts = {WAKE}, .full = 2, .owed = "abc"},
    {.name = "loop that lingers",
     .actors = {"aBc"},
     .hosts = {LOOP},
     .both = true,
     .linger_ms = 10,
     .timed = true,
     .owed = "aBc"},
};

/* Streams come and go while others publish: nothing is lost, nothing wakes who has gone. */
static const struct scene leaving[] = {
    {.name = "wake that leaves",
     .actors = {"ab"},
     .hosts = {{HOST_WAKE, 1, LEAVES_AT_ONCE}},
     .owed = "ab"},
    {.name = "wake that leaves, two publishers",
     .actors = {"ab", "mn"},
     .hosts = {{HOST_WAKE, 1, LEAVES_AT_ONCE}},
     .owed = "abmn"},
    {.name = "wait that leaves, two publishers",
     .actors = {"ab", "mn"},
     .hosts = {{HOST_WAIT, 1, LEAVES_AT_ONCE}},
     .owed = "abmn"},
    {.name = "loop that is freed",
     .actors = {"abc"},
     .hosts = {{HOST_LOOP, 1, LEAVES_AT_ONCE}},
     .owed = "abc"},
    {.name = "loop that is freed, two publishers",
     .actors = {"ab", "mn"},
     .hosts = {{HOST_LOOP, 2, LEAVES_AT_ONCE}},
     .owed = "abmn"},
    {.name = "loop, a stream is freed when returned",
     .actors = {"abc"},
     .hosts = {{HOST_LOOP, 2, LEAVES_SELF}},
     .owed = "abc",
     .preemptions = 3},
    {.name = "loop, another stream is freed",
     .actors = {"abc"},
     .hosts = {{HOST_LOOP, 2, LEAVES_OTHER}},
     .owed = "abc",
     .preemptions = 3},
    {.name = "loop, another is freed, two publishers",
     .actors = {"ab", "mn"},
     .hosts = {{HOST_LOOP, 2, LEAVES_OTHER}},
     .owed = "abmn"},
    {.name = "loop, opened late",
     .actors = {"ab", "mn"},
     .hosts = {LOOP_OF_TWO},
     .late = true,
     .owed = "abmn"},
    {.name = "wake, opened late",
     .actors = {"ab", "mn"},
     .hosts = {WAKE},
     .late = true,
     .owed = "abmn"},
};

/* Every end is told, also to who sleeps. */
static const struct scene ending[] = {
    {.name = "loop, kicked",
     .actors = {"a!", "mn"},
     .hosts = {LOOP_OF_TWO},
     .owed = "",
     .end = SSE_EKICKED},
    {.name = "wake, kicked",
     .actors = {"a!", "mn"},
     .hosts = {WAKE},
     .owed = "",
     .end = SSE_EKICKED},
    {.name = "second look, kicked",
     .actors = {"a!"},
     .hosts = {SECOND},
     .owed = "",
     .end = SSE_EKICKED},
    {.name = "wait, kicked",
     .actors = {"a!", "mn"},
     .hosts = {WAIT},
     .owed = "",
     .end = SSE_EKICKED},
    {.name = "loop, kicked twice and leaving",
     .actors = {"!", "m!"},
     .hosts = {{HOST_LOOP, 2, LEAVES_AT_ONCE}},
     .owed = "",
     .end = SSE_EKICKED},
    {.name = "wake, kicked and leaving",
     .actors = {"!", "m!"},
     .hosts = {{HOST_WAKE, 1, LEAVES_AT_ONCE}},
     .owed = "",
     .end = SSE_EKICKED},
    {.name = "loop that lingers, kicked",
     .actors = {"a!", "m"},
     .hosts = {LOOP},
     .linger_ms = 10,
     .owed = "",
     .end = SSE_EKICKED},
    {.name = "loop, drained",
     .actors = {"a#", "mn"},
     .hosts = {LOOP_OF_TWO},
     .owed = "",
     .end = SSE_EDRAINED},
    {.name = "wake, drained and ticked",
     .actors = {"a#^", "mn"},
     .hosts = {WAKE},
     .owed = "",
     .end = SSE_EDRAINED},
    {.name = "wait, drained",
     .actors = {"a#", "mn"},
     .hosts = {WAIT},
     .owed = "",
     .end = SSE_EDRAINED},
    {.name = "loop, finished",
     .actors = {"a$", "mn"},
     .hosts = {LOOP_OF_TWO},
     .owed = "amn",
     .end = SSE_EFINISHED},
    {.name = "wake, finished",
     .actors = {"a$", "mn"},
     .hosts = {WAKE},
     .owed = "amn",
     .end = SSE_EFINISHED},
    {.name = "wait, finished",
     .actors = {"a$", "mn"},
     .hosts = {WAIT},
     .owed = "amn",
     .end = SSE_EFINISHED},
};

/* What takes more than one wake: tries, asks, turns, timers. */
static const struct scene retrying[] = {
    {.name = "loop, wakes fail",
     .actors = {"ab", "*"},
     .hosts = {LOOP},
     .fails = 2,
     .timed = true,
     .owed = "ab"},
    {.name = "wake, wakes fail",
     .actors = {"ab", "*"},
     .hosts = {WAKE},
     .fails = 2,
     .timed = true,
     .owed = "ab"},
    {.name = "loop, a wake fails, the next publish",
     .actors = {"ab"},
     .hosts = {LOOP},
     .fails = 1,
     .owed = "a"},
    {.name = "wake, a wake fails, the next publish",
     .actors = {"ab"},
     .hosts = {WAKE},
     .fails = 1,
     .owed = "a"},
    {.name = "wake, a wake fails, the next tick",
     .actors = {"a^"},
     .hosts = {WAKE},
     .fails = 1,
     .owed = "a"},
    {.name = "wake that fails and leaves",
     .actors = {"ab", "m"},
     .hosts = {{HOST_WAKE, 1, LEAVES_AT_ONCE}},
     .fails = 2,
     .owed = "ab"},
    {.name = "loop that fails and is freed",
     .actors = {"ab", "m"},
     .hosts = {{HOST_LOOP, 1, LEAVES_AT_ONCE}},
     .fails = 2,
     .owed = "ab"},
    {.name = "loop, asked to join", .actors = {"+A", "mn"}, .hosts = {LOOP}, .owed = "Amn"},
    {.name = "wake, asked to join", .actors = {"+A", "mn"}, .hosts = {WAKE}, .owed = "Amn"},
    {.name = "second look, asked to join", .actors = {"+A"}, .hosts = {SECOND}, .owed = "A"},
    {.name = "wait, asked to join", .actors = {"+A", "m"}, .hosts = {WAIT}, .owed = "Am"},
    {.name = "loop, asked to join and to leave",
     .actors = {"+A-Bz", "m"},
     .hosts = {LOOP_OF_TWO},
     .owed = "Azm",
     .unwanted = "B"},
    {.name = "wake, asked to join and to leave",
     .actors = {"+A-Bz", "m"},
     .hosts = {WAKE},
     .owed = "Azm",
     .unwanted = "B"},
    {.name = "loop, asked to join, leaving",
     .actors = {"+A", "m"},
     .hosts = {{HOST_LOOP, 2, LEAVES_AT_ONCE}},
     .owed = "Am"},
    {.name = "loop, turns to replay",
     .before = "ab",
     .actors = {"m"},
     .hosts = {LOOP_OF_TWO, LOOP},
     .replays_max = 1,
     .owed = "abm"},
    {.name = "wake, turns to replay",
     .before = "ab",
     .actors = {"m"},
     .hosts = {WAKE, WAKE},
     .replays_max = 1,
     .owed = "abm"},
    {.name = "wait, turns to replay",
     .before = "ab",
     .actors = {"m"},
     .hosts = {WAIT, LOOP},
     .replays_max = 1,
     .owed = "abm"},
    {.name = "turns that are given up",
     .before = "ab",
     .hosts = {{HOST_WAKE, 1, LEAVES_UNREAD}, WAKE, LOOP},
     .replays_max = 1,
     .owed = "ab"},
    {.name = "turns of a loop that are given up",
     .before = "ab",
     .hosts = {{HOST_LOOP, 2, LEAVES_UNREAD}, LOOP, WAIT},
     .replays_max = 1,
     .owed = "ab"},
    {.name = "wake, ticked with heartbeats",
     .actors = {"ab", "~~"},
     .hosts = {WAKE},
     .heartbeat_ms = 1000,
     .owed = "ab"},
    {.name = "loop, ticked", .actors = {"ab", "^^"}, .hosts = {LOOP}, .owed = "ab"},
};

/* Presence is told by one thread at a time, and what is told last is how it stands. */
static const struct scene presence[] = {
    {.name = "two who come and go", .actors = {"()", "()"}, .presence = true, .owed = ""},
    {.name = "three who come and go", .actors = {"()", "()", "()"}, .presence = true, .owed = ""},
    {.name = "two who come and go, and one who stays",
     .actors = {"()()", "("},
     .presence = true,
     .owed = ""},
    {.name = "one who comes and goes, a host, a publisher",
     .actors = {"()", "a"},
     .hosts = {WAKE},
     .presence = true,
     .late = true,
     .owed = "a"},
    {.name = "one who comes and goes, a loop that joins",
     .actors = {"()", "+A"},
     .hosts = {LOOP},
     .presence = true,
     .owed = "A"},
    {.name = "one who comes and goes, a wait that joins",
     .actors = {"()", "+A"},
     .hosts = {WAIT},
     .presence = true,
     .owed = "A"},
    {.name = "one who comes and goes, and is published",
     .actors = {"()"},
     .hosts = {LOOP, WAIT},
     .presence = true,
     .late = true,
     .owed = "p"},
};

/* All scenes are tried, also behind one that fails. */
static void explore(const struct scene *scenes, size_t count) {
  unsigned failed = 0;
  for (size_t i = 0; i < count; i++) {
    const struct sched_play play = stage_play(&scenes[i]);
    failed += !sched_explore(&play);
  }
  assert_int_equal(failed, 0);
}

static void who_sleeps_is_woken(void **state) {
  (void)state;
  explore(waking, COUNT(waking));
}

static void who_leaves_is_left_alone(void **state) {
  (void)state;
  explore(leaving, COUNT(leaving));
}

static void every_end_is_told(void **state) {
  (void)state;
  explore(ending, COUNT(ending));
}

static void what_takes_more_than_one_wake(void **state) {
  (void)state;
  explore(retrying, COUNT(retrying));
}

static void presence_is_told_as_it_stands(void **state) {
  (void)state;
  explore(presence, COUNT(presence));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_sleeps_is_woken),
      cmocka_unit_test(who_leaves_is_left_alone),
      cmocka_unit_test(every_end_is_told),
      cmocka_unit_test(what_takes_more_than_one_wake),
      cmocka_unit_test(presence_is_told_as_it_stands),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
