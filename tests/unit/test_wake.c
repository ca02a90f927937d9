/* SPDX-License-Identifier: MIT */
/* test_wake.c: wakes are coalesced, run by one thread at a time, tried again, and stopped. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hub/wake.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define READY        SSE_WAKE_READY
#define ENDED        SSE_WAKE_ENDED

enum {
  CALLS = 8,
  ROUNDS = 2000
};

static pthread_mutex_t lock;
static struct sse__wakers wakers;
static atomic_int clock_ticks;

/* What a host's wake is given and does. */
struct host {
  unsigned why[CALLS]; /* the first calls */
  int calls;
  int fail;              /* the next so many fail */
  pthread_mutex_t *gate; /* passed by every call, if there is one */
  pthread_mutex_t *lock; /* seen to be free in every call, if there is one */
  atomic_int inside;     /* calls under way */
  atomic_int faults;     /* how often there were two, or the lock was held */
  atomic_int entered;    /* calls that began */
  int left_at;           /* the tick at which the last call ended */
};

static int wake(void *arg, unsigned why) {
  struct host *host = arg;
  if (atomic_fetch_add(&host->inside, 1) > 0) atomic_fetch_add(&host->faults, 1);
  if (host->calls < CALLS) host->why[host->calls] = why;
  host->calls++;
  atomic_fetch_add(&host->entered, 1);
  if (host->lock) {
    if (pthread_mutex_trylock(host->lock)) {
      atomic_fetch_add(&host->faults, 1);
    } else {
      pthread_mutex_unlock(host->lock);
    }
  }
  if (host->gate) {
    pthread_mutex_lock(host->gate);
    pthread_mutex_unlock(host->gate);
  }
  host->left_at = atomic_fetch_add(&clock_ticks, 1);
  atomic_fetch_sub(&host->inside, 1);
  if (host->fail == 0) return 0;
  host->fail--;
  return -1;
}

static int set_up(void **state) {
  (void)state;
  pthread_mutex_init(&lock, NULL);
  wakers = (struct sse__wakers){.lock = &lock};
  return pthread_cond_init(&wakers.idle, NULL);
}

static int tear_down(void **state) {
  (void)state;
  pthread_cond_destroy(&wakers.idle);
  return pthread_mutex_destroy(&lock); /* fails if it is held */
}

static void post(struct sse__waker *waker, unsigned why, bool forced, struct sse__wake_list *list) {
  pthread_mutex_lock(&lock);
  sse__waker_post(waker, why, forced, list);
  pthread_mutex_unlock(&lock);
}

static void run(struct sse__wake_list *list) {
  pthread_mutex_lock(&lock);
  sse__wakers_run(&wakers, list);
}

static void retry(struct sse__wake_list *list) {
  pthread_mutex_lock(&lock);
  sse__wakers_retry(&wakers, list);
  pthread_mutex_unlock(&lock);
}

static void post_and_run(struct sse__waker *waker, unsigned why) {
  struct sse__wake_list list = {NULL};
  post(waker, why, true, &list);
  run(&list);
}

/* ---- posting ---- */

static const struct {
  const char *name;
  bool armed, forced, stopped, silent; /* silent: there is nobody to call */
  bool called, armed_after;
} posts[] = {
    {"armed", true, false, false, false, true, false},
    {"not armed", false, false, false, false, false, false},
    {"not armed, forced", false, true, false, false, true, false},
    {"armed, forced", true, true, false, false, true, false},
    {"armed, nobody to call", true, false, false, true, false, false},
    {"forced, nobody to call", false, true, false, true, false, false},
    {"armed, stopped", true, false, true, false, false, false},
    {"forced, stopped", false, true, true, false, false, false},
};

static void who_is_called(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(posts); i++) {
    struct host host = {.lock = &lock};
    struct sse__waker waker = {.fn = posts[i].silent ? NULL : wake,
                               .arg = &host,
                               .armed = posts[i].armed,
                               .stopped = posts[i].stopped};
    struct sse__wake_list list = {NULL};
    post(&waker, READY, posts[i].forced, &list);
    run(&list);
    if (host.calls != posts[i].called) fail_msg("%s: %d calls", posts[i].name, host.calls);
    if (posts[i].called) assert_int_equal(host.why[0], READY);
    assert_int_equal(waker.armed, posts[i].armed_after);
    assert_int_equal(waker.running, false);
    assert_int_equal(waker.why, 0);
    assert_int_equal(atomic_load(&host.faults), 0);
  }
}

static void posts_are_gathered(void **state) {
  struct host host = {.calls = 0};
  struct sse__waker waker = {.fn = wake, .arg = &host, .armed = true};
  struct sse__wake_list list = {NULL};
  (void)state;
  post(&waker, READY, false, &list);
  post(&waker, READY, false, &list);
  post(&waker, ENDED, true, &list);
  post(&waker, READY, true, &list);
  run(&list);
  assert_int_equal(host.calls, 1);
  assert_int_equal(host.why[0], READY | ENDED);
  /* One call takes the arming away, and what comes without it is not posted. */
  list.first = NULL;
  post(&waker, READY, false, &list);
  assert_null(list.first);
  waker.armed = true;
  post(&waker, READY, false, &list);
  run(&list);
  assert_int_equal(host.calls, 2);
  assert_int_equal(host.why[1], READY);
}

static void all_of_a_list_are_called(void **state) {
  struct host hosts[5] = {{.calls = 0}};
  struct sse__waker some[5];
  struct sse__wake_list list = {NULL};
  (void)state;
  for (size_t i = 0; i < COUNT(some); i++) {
    hosts[i].fail = i == 2;
    some[i] = (struct sse__waker){.fn = wake, .arg = &hosts[i], .armed = true};
    post(&some[i], READY, false, &list);
  }
  run(&list);
  assert_null(list.first);
  for (size_t i = 0; i < COUNT(some); i++) assert_int_equal(hosts[i].calls, 1);
  assert_ptr_equal(wakers.failed.first, &some[2].failure);
}

/* ---- failing ---- */

static void a_failed_wake_is_tried_again(void **state) {
  struct host host = {.fail = 2};
  struct sse__waker waker = {.fn = wake, .arg = &host, .armed = true};
  struct sse__wake_list list = {NULL};
  (void)state;
  post(&waker, READY, false, &list);
  run(&list);
  assert_int_equal(host.calls, 1);
  assert_true(waker.failed);
  /* What is posted meanwhile waits for the next try, and is told with it. */
  post(&waker, ENDED, true, &list);
  assert_null(list.first);
  for (int calls = 2; calls <= 3; calls++) {
    retry(&list);
    assert_null(wakers.failed.first);
    run(&list);
    assert_int_equal(host.calls, calls);
    assert_int_equal(host.why[calls - 1], READY | ENDED);
    assert_int_equal(waker.failed, calls == 2);
  }
  retry(&list);
  assert_null(list.first);
}

static const struct {
  const char *name;
  bool failed;
  int sleep_ms, want_ms;
} sleeps[] = {
    {"for ever", false, -1, -1},       {"for long", false, 5000, 5000},
    {"not at all", false, 0, 0},       {"failed: ever", true, -1, 100},
    {"failed: long", true, 101, 100},  {"failed: the same", true, 100, 100},
    {"failed: shorter", true, 99, 99}, {"failed: not at all", true, 0, 0},
};

static void a_failed_wake_shortens_the_sleep(void **state) {
  struct sse__waker waker = {.failed = true};
  (void)state;
  for (size_t i = 0; i < COUNT(sleeps); i++) {
    wakers.failed.first = sleeps[i].failed ? &waker.failure : NULL;
    pthread_mutex_lock(&lock);
    int sleep_ms = sse__wakers_sleep(&wakers, sleeps[i].sleep_ms);
    pthread_mutex_unlock(&lock);
    if (sleep_ms != sleeps[i].want_ms) fail_msg("%s: %d", sleeps[i].name, sleep_ms);
  }
}

/* Stopping takes one off the list of those that failed, wherever it stands. */
static void one_that_failed_is_forgotten(void **state) {
  (void)state;
  for (size_t stopped = 0; stopped < 3; stopped++) {
    struct host hosts[3] = {{.fail = 1}, {.fail = 1}, {.fail = 1}};
    struct sse__waker some[3];
    struct sse__wake_list list = {NULL};
    for (size_t i = 0; i < 3; i++) {
      some[i] = (struct sse__waker){.fn = wake, .arg = &hosts[i]};
      post_and_run(&some[i], READY);
      assert_true(some[i].failed);
    }
    pthread_mutex_lock(&lock);
    sse__waker_stop(&wakers, &some[stopped]);
    sse__waker_stop(&wakers, &some[stopped]);
    pthread_mutex_unlock(&lock);
    retry(&list);
    run(&list);
    for (size_t i = 0; i < 3; i++) assert_int_equal(hosts[i].calls, i == stopped ? 1 : 2);
  }
}

/* ---- other threads ---- */

/* A thread that posts to some wakers and runs them, and one that stops a waker. */
struct job {
  pthread_t thread;
  struct sse__waker *wakers[2];
  size_t count;
  int done_at; /* the tick at which it was through */
};

static void *run_job(void *arg) {
  struct job *job = arg;
  struct sse__wake_list list = {NULL};
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < job->count; i++) sse__waker_post(job->wakers[i], READY, true, &list);
  sse__wakers_run(&wakers, &list);
  return NULL;
}

static void *stop_job(void *arg) {
  struct job *job = arg;
  pthread_mutex_lock(&lock);
  sse__waker_stop(&wakers, job->wakers[0]);
  job->done_at = atomic_fetch_add(&clock_ticks, 1);
  pthread_mutex_unlock(&lock);
  return NULL;
}

static void start(struct job *job, void *(*body)(void *)) {
  assert_int_equal(pthread_create(&job->thread, NULL, body, job), 0);
}

static void await_call(struct host *host, int calls) {
  while (atomic_load(&host->entered) < calls) sched_yield();
}

static void await_waiter(void) {
  unsigned waiters = 0;
  while (waiters == 0) {
    sched_yield();
    pthread_mutex_lock(&lock);
    waiters = wakers.waiters;
    pthread_mutex_unlock(&lock);
  }
}

/* What comes while a call is under way is told by the thread that makes it. */
static void a_post_during_a_call(void **state) {
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  struct host host = {.gate = &gate};
  struct sse__waker waker = {.fn = wake, .arg = &host};
  struct job job = {.wakers = {&waker}, .count = 1};
  struct sse__wake_list list = {NULL};
  (void)state;
  pthread_mutex_lock(&gate);
  start(&job, run_job);
  await_call(&host, 1);
  post(&waker, ENDED, true, &list);
  post(&waker, READY, false, &list); /* not armed: nobody asked */
  assert_null(list.first);
  pthread_mutex_unlock(&gate);
  pthread_join(job.thread, NULL);
  assert_int_equal(host.calls, 2);
  assert_int_equal(host.why[0], READY);
  assert_int_equal(host.why[1], ENDED);
  assert_int_equal(atomic_load(&host.faults), 0);
  assert_false(waker.running);
}

static void stop_waits_for_a_call(void **state) {
  (void)state;
  for (int fail = 0; fail <= 1; fail++) {
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    struct host host = {.gate = &gate, .fail = fail};
    struct sse__waker waker = {.fn = wake, .arg = &host};
    struct job job = {.wakers = {&waker}, .count = 1}, stop = {.wakers = {&waker}};
    pthread_mutex_lock(&gate);
    start(&job, run_job);
    await_call(&host, 1);
    start(&stop, stop_job);
    await_waiter();
    post_and_run(&waker, ENDED); /* too late: it is stopped */
    pthread_mutex_unlock(&gate);
    pthread_join(job.thread, NULL);
    pthread_join(stop.thread, NULL);
    assert_int_equal(host.calls, 1);
    assert_true(stop.done_at > host.left_at);
    assert_false(waker.running);
    assert_null(wakers.failed.first);
    assert_int_equal(wakers.waiters, 0);
  }
}

/* One that is on the list of another thread and was not called yet is not called any more. */
static void stop_of_one_that_is_still_to_be_called(void **state) {
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  struct host first = {.gate = &gate}, second = {.calls = 0};
  struct sse__waker a = {.fn = wake, .arg = &first}, b = {.fn = wake, .arg = &second};
  struct job job = {.wakers = {&b, &a}, .count = 2}, stop = {.wakers = {&b}};
  (void)state;
  pthread_mutex_lock(&gate);
  start(&job, run_job);
  await_call(&first, 1);
  start(&stop, stop_job);
  await_waiter();
  pthread_mutex_unlock(&gate);
  pthread_join(job.thread, NULL);
  pthread_join(stop.thread, NULL);
  assert_int_equal(first.calls, 1);
  assert_int_equal(second.calls, 0);
  assert_true(stop.done_at > first.left_at);
}

/* A thread that waits for it is signalled in place of a call. */
static struct {
  struct sse__waker waker;
  pthread_cond_t arrived;
  bool there;
} sleeper = {.arrived = PTHREAD_COND_INITIALIZER};

static void *sleep_job(void *arg) {
  (void)arg;
  pthread_mutex_lock(&lock);
  sleeper.waker.armed = true;
  sleeper.waker.waiting = &sleeper.arrived;
  sleeper.there = true;
  while (sleeper.waker.armed) pthread_cond_wait(&sleeper.arrived, &lock);
  sleeper.waker.waiting = NULL;
  pthread_mutex_unlock(&lock);
  return NULL;
}

static void a_waiting_thread_is_signalled(void **state) {
  struct host host = {.calls = 0};
  struct sse__wake_list list = {NULL};
  pthread_t thread;
  bool there = false;
  (void)state;
  sleeper.waker = (struct sse__waker){.fn = wake, .arg = &host};
  assert_int_equal(pthread_create(&thread, NULL, sleep_job, NULL), 0);
  while (!there) {
    sched_yield();
    pthread_mutex_lock(&lock);
    there = sleeper.there;
    if (there) sse__waker_post(&sleeper.waker, READY, false, &list);
    pthread_mutex_unlock(&lock);
  }
  pthread_join(thread, NULL);
  assert_null(list.first);
  assert_int_equal(host.calls, 0);
  assert_int_equal(sleeper.waker.why, 0);
}

/* Several threads: never two calls at one time, and what was posted last is told. */
static void *many_jobs(void *arg) {
  for (int i = 0; i < ROUNDS; i++) run_job(arg);
  return NULL;
}

static void never_two_calls_at_one_time(void **state) {
  struct host hosts[2] = {{.calls = 0}, {.calls = 0}};
  struct sse__waker a = {.fn = wake, .arg = &hosts[0]}, b = {.fn = wake, .arg = &hosts[1]};
  struct job jobs[3] = {{.wakers = {&a, &b}, .count = 2},
                        {.wakers = {&b, &a}, .count = 2},
                        {.wakers = {&a}, .count = 1}};
  (void)state;
  for (size_t i = 0; i < COUNT(jobs); i++) start(&jobs[i], many_jobs);
  for (size_t i = 0; i < COUNT(jobs); i++) pthread_join(jobs[i].thread, NULL);
  for (size_t i = 0; i < COUNT(hosts); i++) {
    assert_int_equal(atomic_load(&hosts[i].faults), 0);
    assert_true(hosts[i].calls >= 1 && hosts[i].calls <= 3 * ROUNDS);
  }
  assert_int_equal(a.why | b.why, 0);
  assert_false(a.running || b.running);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(who_is_called),
      TEST(posts_are_gathered),
      TEST(all_of_a_list_are_called),
      TEST(a_failed_wake_is_tried_again),
      TEST(a_failed_wake_shortens_the_sleep),
      TEST(one_that_failed_is_forgotten),
      TEST(a_post_during_a_call),
      TEST(stop_waits_for_a_call),
      TEST(stop_of_one_that_is_still_to_be_called),
      TEST(a_waiting_thread_is_signalled),
      TEST(never_two_calls_at_one_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
