/* SPDX-License-Identifier: MIT */
/* test_churn.c: streams and loops that come and go while others publish: no wake comes after the
 * end.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "line.h"

#define CHURNS      300
#define PATIENCE_MS 20000

struct noise {
  struct stage *stage;
  unsigned publisher;
  int error;
};

struct churn {
  struct stage *stage;
  struct bell bell;
  struct target targets[CHURNS];
  bool looped;
  int error;
};

static void *run_noise(void *arg) {
  struct noise *noise = arg;
  for (unsigned serial = 1; !atomic_load(&noise->stage->stop); serial++) {
    int error = reader_publish(noise->stage->hub, noise->publisher, serial % 2, serial);
    if (error) noise->error = error;
  }
  return NULL;
}

static int drain(sse_stream *stream) {
  char buf[4096];
  ssize_t got;
  do {
    got = sse_stream_read(stream, buf, sizeof buf);
  } while (got > 0);
  return (int)got;
}

/* One stream, armed and gone, alone or with a loop of its own. */
static int churn_once(struct churn *churn, struct target *target, bool patient) {
  sse_stream_config config = {.channel = reader_channel(0)};
  sse_stream *stream, *next;
  if (churn->looped) {
    if (sse_loop_new(&config.loop, churn->stage->hub,
                     &(const sse_loop_config){.wake = line_wake, .wake_arg = target}))
      return SSE_ENOMEM;
  } else {
    config.wake = line_wake;
    config.user = target;
  }
  int error = sse_stream_open(&stream, churn->stage->hub, &config);
  if (error) return error;
  for (unsigned rounds = 0; churn->looped && rounds < 3; rounds++) {
    while (!error && (next = sse_loop_next(config.loop))) error = drain(next);
    if (sse_loop_timeout(config.loop) == 0) rounds = 0;
  }
  if (!churn->looped) error = drain(stream);
  if (patient && !bell_wait(&churn->bell, PATIENCE_MS)) error = SSE_ESTALLED;
  sse_stream_detach(stream);
  if (!churn->looped) atomic_store_explicit(&target->dead, true, memory_order_relaxed);
  if (sse_loop_free(config.loop)) error = SSE_EBUSY;
  atomic_store_explicit(&target->dead, true, memory_order_relaxed);
  sse_stream_free(stream);
  return error;
}

static void *run_churn(void *arg) {
  struct churn *churn = arg;
  for (unsigned i = 0; i < CHURNS && !churn->error; i++) {
    churn->targets[i].bell = &churn->bell;
    churn->targets[i].stubborn = i % 4 == 3;
    churn->error = churn_once(churn, &churn->targets[i], i % 2);
  }
  return NULL;
}

static unsigned judge_churn(const struct churn *churn) {
  unsigned calls = 0;
  if (churn->error) fail_msg("%s", sse_error_name(churn->error));
  for (unsigned i = 0; i < CHURNS; i++) {
    assert_int_equal(churn->targets[i].late, 0);
    assert_int_equal(churn->targets[i].twice, 0);
    calls += churn->targets[i].calls;
  }
  return calls;
}

static void test_no_wake_after_the_end(void **state) {
  static struct churn churns[2];
  static struct ticker ticker;
  struct stage stage = {.stop = false};
  struct noise noise[2] = {{.stage = &stage, .publisher = 1}, {.stage = &stage, .publisher = 2}};
  pthread_t threads[3], churners[2];
  unsigned calls = 0;
  (void)state;
  stage_open(&stage, 16);
  ticker.stage = &stage;
  bell_init(&ticker.bell);
  for (unsigned i = 0; i < 2; i++) threads[i] = start(run_noise, &noise[i]);
  threads[2] = start(run_ticker, &ticker);
  for (unsigned i = 0; i < 2; i++) {
    churns[i].stage = &stage;
    churns[i].looped = i;
    bell_init(&churns[i].bell);
    churners[i] = start(run_churn, &churns[i]);
  }
  for (unsigned i = 0; i < 2; i++) pthread_join(churners[i], NULL);
  atomic_store(&stage.stop, true);
  bell_ring(&ticker.bell);
  for (unsigned i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  for (unsigned i = 0; i < 2; i++) {
    calls += judge_churn(&churns[i]);
    assert_int_equal(noise[i].error, 0);
    bell_free(&churns[i].bell);
  }
  assert_true(calls > CHURNS / 2);
  print_message("  %u wakes of %d streams and loops\n", calls, 2 * CHURNS);
  bell_free(&ticker.bell);
  stage_close(&stage);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_wake_after_the_end)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
