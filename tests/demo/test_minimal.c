/* SPDX-License-Identifier: MIT */
/* test_minimal.c: the programs in the README and in sse(7), run as their readers would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "peer.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#ifndef RLIMIT_AS
#define RLIMIT_AS RLIMIT_DATA
#endif

static struct child child;

static void await_port(int port) {
  const struct timespec moment = {.tv_nsec = 2000000};
  int64_t until = now_ms() + PATIENCE_MS;
  int fd;
  while ((fd = dial(port)) < 0 && now_ms() < until) nanosleep(&moment, NULL);
  assert_true(fd >= 0);
  close(fd);
}

/* The limit, lowered to most if that is not 0. */
static struct rlimit lower(struct rlimit limit, rlim_t most) {
  if (most > 0) limit.rlim_cur = most;
  return limit;
}

/* program: below the build's directory. files_max, memory_max: its limits; 0: those of the test. */
static void start(const char *program, rlim_t files_max, rlim_t memory_max) {
  const char *build = getenv("SSE_BUILD");
  char path[4096], port[8];
  struct rlimit files, memory, low;
  snprintf(path, sizeof path, "%s/%s", build ? build : "build", program);
  int number = free_port();
  assert_true(number > 0);
  snprintf(port, sizeof port, "%d", number);
  getrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_AS, &memory);
  low = lower(files, files_max);
  setrlimit(RLIMIT_NOFILE, &low);
  low = lower(memory, memory_max);
  setrlimit(RLIMIT_AS, &low);
  int good = child_exec(&child, path, (const char *const[]){port, NULL});
  setrlimit(RLIMIT_NOFILE, &files);
  setrlimit(RLIMIT_AS, &memory);
  assert_true(good);
  child.port = (int)strtol(port, NULL, 10);
  await_port(child.port);
}

static int set_up(void **state) {
  (void)state;
  start("examples/minimal", 0, 0);
  return 0;
}

/* It has no orderly end of its own: the signal ends it, so there is no exit status. */
static int tear_down(void **state) {
  (void)state;
  return child_stop(&child, SIGTERM) == -1 ? 0 : -1;
}

static void hear_time(struct listener *listener) {
  int hour, minute, second, end = 0;
  assert_true(hear_event(listener));
  assert_string_equal(listener->type, "message");
  assert_int_equal(sscanf(listener->data, "%2d:%2d:%2d%n", &hour, &minute, &second, &end), 3);
  assert_int_equal(end, 8);
  assert_int_equal(listener->data[end], '\0');
}

static void two_clients_hear_the_time(void **state) {
  (void)state;
  struct listener first, second;
  assert_true(listener_open(&first, child.port, NULL, 4096));
  assert_true(listener_open(&second, child.port, NULL, 4096));
  hear_time(&first);
  hear_time(&second);
  /* It may tick between the two openings. */
  while (first.seq != second.seq) hear_time(first.seq < second.seq ? &first : &second);
  for (int i = 0; i < 2; i++) {
    assert_string_equal(first.id, second.id);
    hear_time(&first);
    hear_time(&second);
  }
  assert_ptr_equal(strstr(first.head, "HTTP/1.1 200 OK\r\n"), first.head);
  listener_close(&first);
  listener_close(&second);
}

static void who_comes_back_goes_on(void **state) {
  (void)state;
  struct listener listener;
  char id[64];
  assert_true(listener_open(&listener, child.port, NULL, 4096));
  hear_time(&listener);
  snprintf(id, sizeof id, "%s", listener.id);
  unsigned long long seq = listener.seq;
  hear_time(&listener);
  listener_close(&listener);
  assert_true(listener_open(&listener, child.port, id, 4096));
  hear_time(&listener);
  assert_int_equal(listener.seq, seq + 1);
  listener_close(&listener);
}

/* ---- Without a descriptor ---- */

static long children_cpu_ms(void) {
  struct rusage usage;
  getrusage(RUSAGE_CHILDREN, &usage); /* of those that have been waited for */
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
         (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

/* The next events, each with the next number: a gap would have another type. */
static void hear_more(struct listener *listener, int count) {
  for (int i = 0; i < count; i++) {
    unsigned long long seq = listener->seq;
    assert_true(hear_event(listener));
    assert_string_equal(listener->type, "message");
    if (seq) assert_int_equal(listener->seq, seq + 1);
  }
}

/* Who finds no descriptor waits in the listener's queue; who has a stream keeps it, and the program
 * rests. OTHERS are more than FILES, and not more than FILES and the shortest queue. */
static void it_outlives(const char *program, int status) {
  enum {
    FILES = 40,
    OTHERS = 48,
    EVENTS = 3 /* one a second */
  };
  struct listener first, late;
  int others[OTHERS];
  long before_ms = children_cpu_ms();
  start(program, FILES, 0);
  assert_true(listener_open(&first, child.port, NULL, 4096));
  hear_more(&first, 1);
  for (int i = 0; i < OTHERS; i++) {
    assert_true((others[i] = dial(child.port)) >= 0);
    /* Half of them have streams, and half say nothing. */
    if (i % 2) say(others[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  hear_more(&first, EVENTS);
  for (int i = 0; i < OTHERS; i++) close(others[i]);
  assert_true(listener_open(&late, child.port, NULL, 4096));
  hear_more(&late, 1);
  hear_more(&first, 1);
  listener_close(&late);
  listener_close(&first);
  assert_int_equal(child_stop(&child, SIGTERM), status);
  assert_in_range(children_cpu_ms() - before_ms, 0, EVENTS * 1000 / 6);
}

static void minimal_outlives_a_lack_of_descriptors(void **state) {
  (void)state;
  it_outlives("examples/minimal", -1);
}

static void the_program_of_the_manual_does_so_too(void **state) {
  (void)state;
  it_outlives("tests/demo/news", 0);
}

/* A client for which there is no thread is let go, as a browser returns then; the others stay. A
 * sanitizer needs more memory than the limit, which is that of some eight stacks. */
static void minimal_outlives_a_lack_of_threads(void **state) {
  enum {
    MEMORY = 80 * 1024 * 1024,
    OTHERS = 14
  };
  struct listener first, late;
  int others[OTHERS], heard = 0;
  int64_t until;
  (void)state;
  if (SANITIZED) skip();
  /* Or glibc reserves 64 MiB for a thread's own arena, if the address happens to be aligned. */
  setenv("MALLOC_ARENA_MAX", "1", 1);
  start("examples/minimal", 0, MEMORY);
  unsetenv("MALLOC_ARENA_MAX");
  assert_true(listener_open(&first, child.port, NULL, 4096));
  hear_more(&first, 1);
  for (int i = 0; i < OTHERS; i++) assert_true((others[i] = dial(child.port)) >= 0);
  hear_more(&first, 3);
  for (int i = 0; i < OTHERS; i++) close(others[i]);
  for (until = now_ms() + PATIENCE_MS; !heard && now_ms() < until; listener_close(&late)) {
    assert_true(listener_open(&late, child.port, NULL, 4096));
    heard = hear_event(&late);
  }
  assert_true(heard);
  hear_more(&first, 1);
  listener_close(&first);
  assert_int_equal(child_stop(&child, SIGTERM), -1);
}

/* After a test that failed in the middle. */
static int clean_up(void **state) {
  (void)state;
  if (child.pid > 0) child_stop(&child, SIGKILL);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(two_clients_hear_the_time, set_up, tear_down),
      cmocka_unit_test_setup_teardown(who_comes_back_goes_on, set_up, tear_down),
      cmocka_unit_test_teardown(minimal_outlives_a_lack_of_descriptors, clean_up),
      cmocka_unit_test_teardown(minimal_outlives_a_lack_of_threads, clean_up),
      cmocka_unit_test_teardown(the_program_of_the_manual_does_so_too, clean_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
