/* SPDX-License-Identifier: MIT */
/* test_fork.c: in the child of a fork every call refuses its parent's hub, and blocks nowhere. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "setting.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define PATIENCE_S 60 /* a child that hangs is killed after this time */

/* Ends a child. What it executed counts for `make coverage`. */
static _Noreturn void end_child(int status) {
#ifdef SSE_GCOV
  void __gcov_dump(void);
  __gcov_dump();
#endif
  _exit(status);
}

/* A hub, of which a thread holds the lock while it reads the clock, if it is to. */
static struct {
  sse_hub *hub;
  sse_loop *loop;
  sse_stream *next, *blocked, *lone; /* returned by its loop; with bytes in flight; standalone */
  int sockets[2];
  int wakes, changes; /* calls of wakes, and of the occupancy callback */
  atomic_bool hold;
  int held[2], release[2]; /* pipes */
} t;

static int64_t clock_that_holds(void *arg) {
  char byte;
  (void)arg;
  if (atomic_exchange(&t.hold, false)) {
    assert_int_equal(write(t.held[1], "", 1), 1);
    assert_int_equal(read(t.release[0], &byte, 1), 1);
  }
  return 0;
}

static int count_wake(void *arg, unsigned why) {
  (void)arg, (void)why;
  t.wakes++;
  return 0;
}

static void count_change(void *arg, const char *channel, int occupied) {
  (void)arg, (void)channel, (void)occupied;
  t.changes++;
}

static sse_stream *open_one(const char *tag, sse_loop *loop) {
  const sse_stream_config config = {
      .channel = "c", .tag = tag, .loop = loop, .wake = loop ? NULL : count_wake};
  sse_stream *stream = NULL;
  assert_int_equal(sse_stream_open(&stream, t.hub, &config), SSE_OK);
  return stream;
}

static void read_all(sse_stream *stream) {
  char bytes[4096];
  while (sse_stream_read(stream, bytes, sizeof bytes) > 0) {
  }
}

static int set_up(void **state) {
  const sse_hub_config config = {.clock = clock_that_holds, .occupancy = count_change};
  struct iovec iov;
  (void)state;
  memset(&t, 0, sizeof t);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, t.sockets), 0);
  assert_int_equal(pipe(t.held) | pipe(t.release), 0);
  assert_int_equal(sse_hub_new(&t.hub, &config), SSE_OK);
  assert_int_equal(sse_loop_new(&t.loop, t.hub, &(const sse_loop_config){.wake = count_wake}),
                   SSE_OK);
  t.blocked = open_one("t", t.loop);
  t.next = open_one("t", t.loop);
  t.lone = open_one("t", NULL);
  for (sse_stream *stream; (stream = sse_loop_next(t.loop));) read_all(stream);
  read_all(t.lone);
  assert_int_equal(sse_hub_publish_text(t.hub, "c", NULL, "x"), SSE_OK);
  /* Both are visited in this order or the other, and the second one is the loop's current stream. */
  t.blocked = sse_loop_next(t.loop);
  assert_int_equal(sse_stream_peek(t.blocked, &iov, 1), 1);
  t.next = sse_loop_next(t.loop);
  assert_non_null(t.next);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  sse_stream_free(t.next);
  sse_stream_free(t.blocked);
  sse_stream_free(t.lone);
  assert_int_equal(sse_loop_free(t.loop), SSE_OK);
  assert_int_equal(sse_hub_free(t.hub), SSE_OK);
  for (int i = 0; i < 2; i++) close(t.sockets[i]), close(t.held[i]), close(t.release[i]);
  return 0;
}

/* ---- every call ---- */

static int64_t call_hub_free(void) {
  return sse_hub_free(t.hub);
}
static int64_t call_configure(void) {
  return sse_hub_configure_channel(t.hub, "c", NULL);
}
static int64_t call_forget(void) {
  return sse_hub_forget(t.hub, "c");
}
static int64_t call_publish(void) {
  return sse_hub_publish(t.hub, "c", &(const sse_event){.text = "y"});
}
static int64_t call_publish_to(void) {
  static const char *const channels[] = {"c", "d", NULL};
  return sse_hub_publish_to(t.hub, channels, &(const sse_event){.text = "y"});
}
static int64_t call_publish_text(void) {
  return sse_hub_publish_text(t.hub, "c", NULL, "y");
}
static int64_t call_publish_id(void) {
  static const char *const channels[] = {"c", NULL};
  char id[SSE_ID_BYTES_MAX + 1];
  return sse_hub_publish_id(t.hub, channels, &(const sse_event){.text = "y"}, id, sizeof id);
}
static int64_t call_position(void) {
  char id[SSE_ID_BYTES_MAX + 1];
  return sse_hub_position(t.hub, id, sizeof id);
}
static int64_t call_advance(void) {
  return sse_hub_advance(t.hub, 9);
}
static int64_t call_skip(void) {
  return sse_hub_skip(t.hub, 9);
}
static int64_t call_reset(void) {
  return sse_hub_reset(t.hub, "F", 9);
}
static int64_t call_finish(void) {
  return sse_hub_finish(t.hub, "c");
}
static int64_t call_count(void) {
  return (int64_t)sse_hub_count(t.hub, NULL);
}
static int64_t call_tags(void) {
  return sse_hub_tags(t.hub, NULL, NULL, 0);
}
static int64_t call_subscribe(void) {
  return sse_hub_subscribe(t.hub, "t", "d", 0);
}
static int64_t call_unsubscribe(void) {
  return sse_hub_unsubscribe(t.hub, "t", "c");
}
static int64_t call_disconnect(void) {
  return sse_hub_disconnect(t.hub, "t");
}
static int64_t call_dismiss(void) {
  return sse_hub_dismiss(t.hub, "t");
}
static int64_t call_drain(void) {
  return sse_hub_drain(t.hub, 0);
}
static int64_t call_retry_ms(void) {
  return sse_hub_retry_ms(t.hub);
}
static int64_t call_tick(void) {
  return sse_hub_tick(t.hub);
}
static int64_t call_stats(void) {
  sse_stats stats;
  return sse_hub_stats(t.hub, NULL, &stats);
}
static int64_t call_prometheus(void) {
  return sse_stats_prometheus(NULL, 0, t.hub, NULL);
}
static int64_t call_loop_new(void) {
  sse_loop *loop = NULL;
  return sse_loop_new(&loop, t.hub, &(const sse_loop_config){.wake = count_wake});
}
static int64_t call_loop_next(void) {
  return sse_loop_next(t.loop) != NULL;
}
static int64_t call_loop_timeout(void) {
  return sse_loop_timeout(t.loop);
}
static int64_t call_loop_free(void) {
  return sse_loop_free(t.loop);
}
static int64_t call_open(void) {
  const char *detail = NULL;
  const sse_stream_config config = {.channel = "c", .error_detail = &detail};
  sse_stream *stream = NULL;
  int error = sse_stream_open(&stream, t.hub, &config);
  return detail && strcmp(detail, sse_error_text(SSE_EFORK)) == 0 ? error : 1;
}
static int64_t call_peek(sse_stream *stream) {
  struct iovec iov;
  return sse_stream_peek(stream, &iov, 1);
}
static int64_t call_peek_next(void) {
  return call_peek(t.next);
}
static int64_t call_peek_blocked(void) {
  return call_peek(t.blocked);
}
static int64_t call_peek_lone(void) {
  return call_peek(t.lone);
}
static int64_t call_read(void) {
  char bytes[64];
  return sse_stream_read(t.next, bytes, sizeof bytes);
}
static int64_t call_wait(void) {
  return sse_stream_wait(t.lone, -1);
}
static int64_t call_flush_fd(void) {
  return sse_stream_flush_fd(t.next, t.sockets[0]);
}
static int64_t call_prepare_fd(void) {
  return sse_stream_prepare_fd(t.next, t.sockets[0]);
}
static int64_t call_flush_blocked(void) {
  return sse_stream_flush_fd(t.blocked, t.sockets[0]);
}
static int64_t call_run(void) {
  return sse_stream_run(t.lone, t.sockets[0]);
}
/* These have no result: what matters is that they return. */
static int64_t call_void(void) {
  for (int i = 0; i < 3; i++) {
    sse_stream *stream = i == 0 ? t.next : i == 1 ? t.blocked : t.lone;
    sse_stream_consume(stream, 1);
    sse_stream_detach(stream);
    sse_stream_free(stream);
  }
  return call_peek(t.next); /* it is still there */
}

static const struct {
  const char *name;
  int64_t (*call)(void);
  int64_t result;
} calls[] = {
    {"sse_hub_configure_channel", call_configure, SSE_EFORK},
    {"sse_hub_forget", call_forget, SSE_EFORK},
    {"sse_hub_publish", call_publish, SSE_EFORK},
    {"sse_hub_publish_to", call_publish_to, SSE_EFORK},
    {"sse_hub_publish_text", call_publish_text, SSE_EFORK},
    {"sse_hub_publish_id", call_publish_id, SSE_EFORK},
    {"sse_hub_position", call_position, SSE_EFORK},
    {"sse_hub_advance", call_advance, SSE_EFORK},
    {"sse_hub_skip", call_skip, SSE_EFORK},
    {"sse_hub_reset", call_reset, SSE_EFORK},
    {"sse_hub_finish", call_finish, SSE_EFORK},
    {"sse_hub_count", call_count, 0},
    {"sse_hub_tags", call_tags, SSE_EFORK},
    {"sse_hub_subscribe", call_subscribe, SSE_EFORK},
    {"sse_hub_unsubscribe", call_unsubscribe, SSE_EFORK},
    {"sse_hub_disconnect", call_disconnect, SSE_EFORK},
    {"sse_hub_dismiss", call_dismiss, SSE_EFORK},
    {"sse_hub_drain", call_drain, SSE_EFORK},
    {"sse_hub_retry_ms", call_retry_ms, SSE_EFORK},
    {"sse_hub_tick", call_tick, SSE_EFORK},
    {"sse_hub_stats", call_stats, SSE_EFORK},
    {"sse_stats_prometheus", call_prometheus, SSE_EFORK},
    {"sse_loop_new", call_loop_new, SSE_EFORK},
    {"sse_stream_open", call_open, SSE_EFORK},
    {"sse_stream_peek, the next stream", call_peek_next, SSE_EFORK},
    {"sse_stream_peek, bytes in flight", call_peek_blocked, SSE_EFORK},
    {"sse_stream_peek, standalone", call_peek_lone, SSE_EFORK},
    {"sse_stream_read", call_read, SSE_EFORK},
    {"sse_stream_wait", call_wait, SSE_EFORK},
    {"sse_stream_flush_fd", call_flush_fd, SSE_EFORK},
    {"sse_stream_flush_fd, bytes in flight", call_flush_blocked, SSE_EFORK},
    {"sse_stream_prepare_fd", call_prepare_fd, SSE_EFORK},
    {"sse_stream_run", call_run, SSE_EFORK},
    {"sse_loop_next", call_loop_next, 0},
    {"sse_loop_timeout", call_loop_timeout, -1},
    {"consume, detach and free", call_void, SSE_EFORK},
    {"sse_loop_free", call_loop_free, SSE_EFORK},
    {"sse_hub_free", call_hub_free, SSE_EFORK},
};

/* ---- the child ---- */

/* Runs a function in the child of a fork. It prints what is wrong, and returns how much it is. */
static void in_a_child(int (*child)(void)) {
  int status;
  fflush(NULL);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    alarm(PATIENCE_S);
    end_child(child());
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  if (!WIFEXITED(status)) fail_msg("the child was killed by signal %d", WTERMSIG(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static int make_every_call(void) {
  int wrong = 0, wakes = t.wakes, changes = t.changes;
  for (size_t i = 0; i < COUNT(calls); i++) {
    int64_t result = calls[i].call();
    if (result == calls[i].result) continue;
    fprintf(stderr, "%s: %lld\n", calls[i].name, (long long)result);
    wrong++;
  }
  if (t.wakes != wakes || t.changes != changes) fprintf(stderr, "the host was called\n"), wrong++;
  return wrong;
}

static void all_went_on(void) {
  char bytes[1024] = "";
  assert_int_equal(recv(t.sockets[1], bytes, sizeof bytes, MSG_DONTWAIT), -1);
  assert_int_equal(sse_stream_flush_fd(t.next, t.sockets[0]), 0);
  assert_true(recv(t.sockets[1], bytes, sizeof bytes - 1, MSG_DONTWAIT) > 0);
  assert_non_null(strstr(bytes, "data: x\n"));
  assert_null(sse_loop_next(t.loop));
  assert_int_equal(sse_hub_count(t.hub, "c"), 3);
}

static void every_call_in_a_child(void **state) {
  (void)state;
  in_a_child(make_every_call);
  all_went_on();
}

static void *tick(void *arg) {
  sse_hub_tick(t.hub);
  return arg;
}

/* The child has the lock as the other thread left it, and no such thread. */
static void while_another_thread_holds_the_lock(void **state) {
  pthread_t thread;
  char byte;
  (void)state;
  t.hold = true;
  assert_int_equal(pthread_create(&thread, NULL, tick, NULL), 0);
  assert_int_equal(read(t.held[0], &byte, 1), 1);
  in_a_child(make_every_call);
  assert_int_equal(write(t.release[1], "", 1), 1);
  assert_int_equal(pthread_join(thread, NULL), 0);
  all_went_on();
}

/* A hub of the child's own is as any other, and its grandchild refuses both. */
static int with_a_hub_of_its_own(void) {
  sse_hub *parents = t.hub;
  int wrong = 0;
  if (sse_hub_new(&t.hub, NULL)) return 1;
  wrong += call_publish() != SSE_OK || sse_hub_count(t.hub, NULL) != 0;
  pid_t pid = fork();
  if (pid == 0) {
    wrong += call_publish() != SSE_EFORK;
    t.hub = parents;
    end_child(wrong + (call_publish() != SSE_EFORK));
  }
  int status = 1;
  wrong += waitpid(pid, &status, 0) != pid || status != 0;
  return wrong + (sse_hub_free(t.hub) != SSE_OK);
}

static void a_child_may_have_a_hub(void **state) {
  (void)state;
  in_a_child(with_a_hub_of_its_own);
}

/* ---- within a transport ---- */

static int forked_result; /* what the transport returns in the child */
static pid_t transport_child;

static ssize_t fork_within(void *io, const struct iovec *iov, int count) {
  (void)io, (void)iov, (void)count;
  fflush(NULL);
  transport_child = fork();
  return transport_child ? (ssize_t)iov[0].iov_len : forked_result;
}

static void a_transport_that_forks(void **state) {
  static const int results[] = {SSE_EAGAIN, SSE_EIO, SSE_ECLOSED, 1};
  (void)state;
  for (size_t i = 0; i < COUNT(results); i++) {
    int status, result;
    forked_result = results[i];
    assert_int_equal(sse_hub_publish_text(t.hub, "c", NULL, "y"), SSE_OK);
    result = sse_stream_flush(t.lone, fork_within, NULL);
    if (transport_child == 0) end_child(result == SSE_EFORK ? 0 : 1);
    assert_int_equal(result, 0);
    assert_int_equal(waitpid(transport_child, &status, 0), transport_child);
    assert_int_equal(status, 0);
  }
}

static void the_code_is_final(void **state) {
  (void)state;
  assert_true(sse_error_is_final(SSE_EFORK));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(every_call_in_a_child),         TEST(while_another_thread_holds_the_lock),
      TEST(a_child_may_have_a_hub),        TEST(a_transport_that_forks),
      cmocka_unit_test(the_code_is_final),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
