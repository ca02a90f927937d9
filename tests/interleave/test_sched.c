/* SPDX-License-Identifier: MIT */
/* test_sched.c: the scheduler runs all schedules, each once, and finds what is wrong in some. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sched.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- all schedules, each once ---- */

enum {
  STEPS = 5,
  ROWS_MAX = 300
};

static struct {
  char row[2 * STEPS + 1]; /* who took each step of this run */
  size_t len;
  char seen[ROWS_MAX][2 * STEPS + 1];
  size_t count;
} steps;

static void take_steps(void *arg) {
  for (int i = 0; i < STEPS; i++) {
    if (i > 0) sched_point("steps");
    steps.row[steps.len++] = *(const char *)arg;
  }
}

static void set_up_steps(void *arg) {
  (void)arg;
  memset(steps.row, 0, sizeof steps.row);
  steps.len = 0;
  sched_thread("a", take_steps, "a");
  sched_thread("b", take_steps, "b");
}

static void judge_steps(void *arg) {
  (void)arg;
  assert_int_equal(steps.len, 2 * STEPS);
  for (size_t i = 0; i < steps.count; i++) {
    if (strcmp(steps.seen[i], steps.row) == 0) sched_fault("%s comes twice", steps.row);
  }
  assert_true(steps.count < ROWS_MAX);
  memcpy(steps.seen[steps.count++], steps.row, sizeof steps.row);
}

/* With p preemptions, the p-th of which is one of four places: 2 * (1 + 4 + 4 * 4 + ...). */
static const struct {
  unsigned preemptions;
  unsigned long count;
} bounds[] = {{0, 2}, {1, 10}, {2, 42}, {2 * STEPS, 252 /* 10 over 5 */}};

static void all_schedules_within_a_bound(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(bounds); i++) {
    const struct sched_play play = {.name = "steps",
                                    .set_up = set_up_steps,
                                    .judge = judge_steps,
                                    .preemptions = bounds[i].preemptions};
    steps.count = 0;
    assert_true(sched_explore(&play));
    if (getenv("SSE_SCHEDULE") || getenv("SSE_PREEMPTIONS")) continue;
    assert_int_equal(sched_count(), bounds[i].count);
    assert_int_equal(steps.count, bounds[i].count);
  }
}

/* ---- models of what the library does, right and wrong ---- */

enum {
  EVENTS = 2
};

/*
 * The protocol by which a loop sleeps, as in lib/loop.c: it takes what there is, serves it, and is
 * armed unless something has come meanwhile. And that of lib/wake.c, by which it is freed: nobody
 * is in its wake any more.
 */
static struct model {
  pthread_mutex_t lock, other;
  pthread_cond_t idle;
  int published, seen;
  bool dirty, armed, bell, running, stopped, gone;
} model;

static void open_model(void) {
  model = (struct model){.armed = true};
  assert_int_equal(pthread_mutex_init(&model.lock, NULL), 0);
  assert_int_equal(pthread_mutex_init(&model.other, NULL), 0);
  assert_int_equal(pthread_cond_init(&model.idle, NULL), 0);
}

static void close_model(void *arg) {
  (void)arg;
  pthread_cond_destroy(&model.idle);
  pthread_mutex_destroy(&model.other);
  pthread_mutex_destroy(&model.lock);
}

static void call_wake(void) {
  pthread_mutex_unlock(&model.lock);
  sched_point("wakes");
  if (model.gone) sched_fault("a wake comes late");
  model.bell = true;
  pthread_mutex_lock(&model.lock);
}

static void publish(void *arg) {
  (void)arg;
  for (int i = 0; i < EVENTS; i++) {
    pthread_mutex_lock(&model.lock);
    model.published++;
    model.dirty = true;
    if (model.armed && !model.stopped) {
      model.armed = false;
      model.running = true;
      call_wake();
      model.running = false;
      pthread_cond_broadcast(&model.idle);
    }
    pthread_mutex_unlock(&model.lock);
  }
}

static void serve(bool looks_again, bool waits) {
  while (model.seen < EVENTS) {
    pthread_mutex_lock(&model.lock);
    model.dirty = model.armed = false;
    model.seen = model.published;
    pthread_mutex_unlock(&model.lock);
    sched_point("serves");
    pthread_mutex_lock(&model.lock);
    bool again = looks_again && model.dirty;
    model.armed = !again;
    pthread_mutex_unlock(&model.lock);
    if (!again && model.seen < EVENTS) sched_sleep(&model.bell, -1);
  }
  pthread_mutex_lock(&model.lock);
  model.stopped = true;
  while (waits && model.running) pthread_cond_wait(&model.idle, &model.lock);
  pthread_mutex_unlock(&model.lock);
  model.gone = true;
}

static void host(void *arg) {
  (void)arg;
  serve(true, true);
}

static void host_that_does_not_look_again(void *arg) {
  (void)arg;
  serve(false, true);
}

static void host_that_does_not_wait(void *arg) {
  (void)arg;
  serve(true, false);
}

/* What others do wrong: two locks in two orders, and a wait that leans on its signal alone. */
static void lock_both(pthread_mutex_t *first, pthread_mutex_t *second) {
  pthread_mutex_lock(first);
  pthread_mutex_lock(second);
  pthread_mutex_unlock(second);
  pthread_mutex_unlock(first);
}

static void lock_forth(void *arg) {
  (void)arg;
  lock_both(&model.lock, &model.other);
}

static void lock_back(void *arg) {
  (void)arg;
  lock_both(&model.other, &model.lock);
}

static void tell(void *arg) {
  (void)arg;
  pthread_mutex_lock(&model.lock);
  model.seen = 1;
  pthread_cond_signal(&model.idle);
  pthread_mutex_unlock(&model.lock);
}

static void hear(void *arg) {
  (void)arg;
  pthread_mutex_lock(&model.lock);
  while (model.seen == 0) pthread_cond_wait(&model.idle, &model.lock);
  pthread_mutex_unlock(&model.lock);
}

static void hear_once(void *arg) {
  (void)arg;
  pthread_mutex_lock(&model.lock);
  if (model.seen == 0) pthread_cond_wait(&model.idle, &model.lock);
  if (model.seen == 0) sched_fault("a wait ended by itself");
  pthread_mutex_unlock(&model.lock);
}

static void hear_blindly(void *arg) {
  (void)arg;
  pthread_mutex_lock(&model.lock);
  pthread_cond_wait(&model.idle, &model.lock);
  pthread_mutex_unlock(&model.lock);
}

static int64_t clock_ms;

static void sleep_long(void *arg) {
  (void)arg;
  sched_sleep(&model.bell, 1000);
  if (clock_ms != 1000) sched_fault("it is %d", (int)clock_ms);
}

static void sleep_longer(void *arg) {
  bool bell = false;
  (void)arg;
  sched_sleep(&bell, 2000);
  if (clock_ms != 2000) sched_fault("it is %d", (int)clock_ms);
}

struct pair {
  const char *name;
  void (*threads[2])(void *arg);
  bool timed;
  const char *expected;
};

static const struct pair pairs[] = {
    {"a host that looks again and waits", {publish, host}, false, NULL},
    {"a host that does not look again",
     {publish, host_that_does_not_look_again},
     false,
     "for ever: second sleeps"},
    {"a host that does not wait", {publish, host_that_does_not_wait}, false, "a wake comes late"},
    {"two locks in one order", {lock_forth, lock_forth}, false, NULL},
    {"two locks in two orders",
     {lock_forth, lock_back},
     false,
     "for ever: second waits for a lock"},
    {"a wait", {tell, hear}, false, NULL},
    {"a wait that looks once", {tell, hear_once}, false, "a wait ended by itself"},
    {"a wait that does not look", {tell, hear_blindly}, false, "for ever: second waits for a cond"},
    {"two sleeps", {sleep_long, sleep_longer}, true, NULL},
    {"two sleeps without time", {sleep_long, sleep_longer}, false, "for ever: second sleeps"},
};

static void set_up_pair(void *arg) {
  const struct pair *pair = arg;
  clock_ms = 0;
  open_model();
  sched_thread("first", pair->threads[0], NULL);
  sched_thread("second", pair->threads[1], NULL);
}

static void what_is_wrong_is_found(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(pairs); i++) {
    const struct sched_play play = {.name = pairs[i].name,
                                    .set_up = set_up_pair,
                                    .judge = close_model,
                                    .arg = (void *)(uintptr_t)&pairs[i],
                                    .preemptions = 2,
                                    .least = 2,
                                    .walks = 500,
                                    .timed = pairs[i].timed,
                                    .now_ms = &clock_ms,
                                    .expected = pairs[i].expected};
    if (!sched_explore(&play)) fail_msg("%s", pairs[i].name);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_schedules_within_a_bound),
      cmocka_unit_test(what_is_wrong_is_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
