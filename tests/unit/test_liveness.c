/* SPDX-License-Identifier: MIT */
/* test_liveness.c: when a heartbeat, a stall and the end of an age are due, and when to look. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sse/hub.h>

#include "hub/liveness.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NEVER        SSE__NEVER_MS

/* Times are from the start, which is at 1,000; heartbeat 15, stall 60 unless the row says so. */
enum {
  START = 1000
};

static const struct {
  const char *name;
  int64_t moved, id, close;
  int32_t heartbeat, stall; /* 0: 15 and 60 */
  bool waiting;
  int64_t now;
  enum sse__due due;
  int64_t next; /* afterwards */
} rows[] = {
    {"start", 0, 0, NEVER, 0, 0, true, 0, SSE__DUE_NOTHING, 15},
    {"start, with bytes to take", 0, 0, NEVER, 0, 0, false, 0, SSE__DUE_NOTHING, 15},
    {"before the beat", 0, 0, NEVER, 0, 0, true, 14, SSE__DUE_NOTHING, 15},
    {"beat", 0, 0, NEVER, 0, 0, true, 15, SSE__DUE_BEAT, 30},
    {"beat, late", 0, 0, NEVER, 0, 0, true, 1000, SSE__DUE_BEAT, 1015},
    {"bytes went, but no id", 14, 0, NEVER, 0, 0, true, 15, SSE__DUE_BEAT, 30},
    {"an id went, and was not taken up", 0, 14, NEVER, 0, 0, true, 15, SSE__DUE_BEAT, 30},
    {"both went", 14, 14, NEVER, 0, 0, true, 28, SSE__DUE_NOTHING, 29},
    {"no beat while it is stuck", 0, 0, NEVER, 0, 0, false, 15, SSE__DUE_NOTHING, 30},
    {"nor later", 0, 0, NEVER, 0, 0, false, 59, SSE__DUE_NOTHING, 60},
    {"stall", 0, 0, NEVER, 0, 0, false, 60, SSE__DUE_STALL, -1},
    {"stall, from the last move", 10, 0, NEVER, 0, 0, false, 69, SSE__DUE_NOTHING, 70},
    {"stall before close", 0, 0, 60, 0, 0, false, 60, SSE__DUE_STALL, -1},
    {"no stall while it waits", 0, 0, NEVER, 0, 0, true, 60, SSE__DUE_BEAT, 75},
    {"close", 0, 0, 10, 0, 0, true, 10, SSE__DUE_CLOSE, 15},
    {"close, stuck", 0, 0, 10, 0, 0, false, 10, SSE__DUE_CLOSE, 25},
    {"before close", 0, 0, 10, 0, 0, true, 9, SSE__DUE_NOTHING, 10},
    {"close before beat", 0, 0, 15, 0, 0, true, 15, SSE__DUE_CLOSE, -1},
    {"no heartbeat", 0, 0, NEVER, SSE_NEVER, 0, true, 1000, SSE__DUE_NOTHING, 1060},
    {"no stall", 0, 0, NEVER, 0, SSE_NEVER, false, 1000, SSE__DUE_NOTHING, 1015},
    {"neither", 0, 0, NEVER, SSE_NEVER, SSE_NEVER, true, 1000, SSE__DUE_NOTHING, NEVER},
    {"neither, but an age", 0, 0, 2000, SSE_NEVER, SSE_NEVER, true, 1000, SSE__DUE_NOTHING, 2000},
};

static int64_t at(int64_t ms) {
  return ms == NEVER ? NEVER : START + ms;
}

static void every_row(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    struct sse__liveness live = {
        .moved_ms = at(rows[i].moved),
        .id_ms = at(rows[i].id),
        .close_ms = at(rows[i].close),
        .heartbeat_ms = rows[i].heartbeat ? rows[i].heartbeat : 15,
        .stall_ms = rows[i].stall ? rows[i].stall : 60,
    };
    enum sse__due due = sse__liveness_check(&live, rows[i].waiting, at(rows[i].now));
    if (due != rows[i].due) fail_msg("%s: %d", rows[i].name, (int)due);
    if (rows[i].next == -1) continue;
    int64_t next = sse__liveness_next(&live, rows[i].waiting, at(rows[i].now));
    if (next != at(rows[i].next)) fail_msg("%s: %lld", rows[i].name, (long long)next - START);
  }
}

static void start_is_now(void **state) {
  struct sse__liveness live = {.moved_ms = 1, .id_ms = 2};
  (void)state;
  sse__liveness_start(&live, 500);
  assert_int_equal(live.moved_ms, 500);
  assert_int_equal(live.id_ms, 500);
}

/* What a check tells it tells once: the next look is later, and finds the next thing. */
static void told_once(void **state) {
  struct sse__liveness live = {.close_ms = START + 15, .heartbeat_ms = 15, .stall_ms = 60};
  (void)state;
  sse__liveness_start(&live, START);
  assert_int_equal(sse__liveness_check(&live, true, START + 15), SSE__DUE_CLOSE);
  assert_int_equal(live.close_ms, NEVER);
  assert_int_equal(sse__liveness_check(&live, true, START + 15), SSE__DUE_BEAT);
  assert_int_equal(sse__liveness_check(&live, true, START + 15), SSE__DUE_NOTHING);
}

/* By its timer alone: what a stream is told of, and when, while nothing moves. */
static void by_the_timer_alone(void **state) {
  static const struct {
    bool waiting;
    int64_t when[4];
    enum sse__due what[4];
  } runs[] = {
      {true, {15, 30, 40, 45}, {SSE__DUE_BEAT, SSE__DUE_BEAT, SSE__DUE_CLOSE, SSE__DUE_BEAT}},
      {false, {40, 60, 0, 0}, {SSE__DUE_CLOSE, SSE__DUE_STALL, 0, 0}},
  };
  (void)state;
  for (size_t i = 0; i < COUNT(runs); i++) {
    struct sse__liveness live = {.close_ms = START + 40, .heartbeat_ms = 15, .stall_ms = 60};
    int64_t now = START;
    size_t found = 0;
    sse__liveness_start(&live, now);
    while (found < 4 && runs[i].when[found]) {
      int64_t next = sse__liveness_next(&live, runs[i].waiting, now);
      assert_true(next > now);
      now = next;
      enum sse__due due = sse__liveness_check(&live, runs[i].waiting, now);
      if (due == SSE__DUE_NOTHING) continue;
      assert_int_equal(now - START, runs[i].when[found]);
      assert_int_equal(due, runs[i].what[found]);
      found++;
    }
  }
}

/* Whatever it does until the timer comes, no heartbeat and no stall has been due for long. */
static void no_change_outruns_the_timer(void **state) {
  (void)state;
  for (int64_t change = 0; change < 60; change++) {
    for (int first = 0; first <= 1; first++) {
      struct sse__liveness live = {.close_ms = NEVER, .heartbeat_ms = 15, .stall_ms = 60};
      sse__liveness_start(&live, START);
      int64_t next = sse__liveness_next(&live, first, START);
      if (START + change >= next) continue;
      live.moved_ms = live.id_ms = START + change;
      assert_int_equal(sse__liveness_check(&live, !first, next - 1), SSE__DUE_NOTHING);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row),
      cmocka_unit_test(start_is_now),
      cmocka_unit_test(told_once),
      cmocka_unit_test(by_the_timer_alone),
      cmocka_unit_test(no_change_outruns_the_timer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
