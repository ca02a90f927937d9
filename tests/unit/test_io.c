/* SPDX-License-Identifier: MIT */
/* test_io.c: flush through a scripted writev callback, sockets, and the blocking run. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "world.h"

#define EVENT(text, id) "data: " text "\nid: " id "\n\n"

/* ---- a transport by script ---- */

/*
 * What each call of the transport does: a number of bytes it takes at most, or a code. After the
 * script it takes all. What it took is in `bytes`.
 */
struct transport {
  const ssize_t *script;
  size_t steps, at;
  char bytes[4096];
  size_t len;
  size_t calls;
  char offered[4096]; /* by the last call */
  size_t offered_len;
};

static ssize_t transport_write(void *io, const struct iovec *iov, int count) {
  struct transport *t = io;
  ssize_t step = t->at < t->steps ? t->script[t->at++] : (ssize_t)sizeof t->bytes;
  t->calls++;
  t->offered_len = 0;
  for (int i = 0; i < count; i++) {
    memcpy(t->offered + t->offered_len, iov[i].iov_base, iov[i].iov_len);
    t->offered_len += iov[i].iov_len;
  }
  if (step <= 0) return step;
  size_t taken = (size_t)step < t->offered_len ? (size_t)step : t->offered_len;
  memcpy(t->bytes + t->len, t->offered, taken);
  t->len += taken;
  return (ssize_t)taken;
}

struct setting {
  struct world world;
  struct wakes wakes;
  sse_loop *loop;
  sse_stream *stream;
  struct transport transport;
};

/* A stream with three events waiting: alone, in step within a round, or of a loop outside of one.
 */
enum manner {
  ALONE,
  IN_ROUND,
  OUTSIDE,
  MANNERS
};

static const char waiting[] = EVENT("one", "E.1") EVENT("two", "E.2") EVENT("three", "E.3");

static void open_setting(struct setting *s, enum manner manner, const ssize_t *script,
                         size_t steps) {
  const sse_hub_config config = {.channel.window_frames_max = 3};
  memset(s, 0, sizeof *s);
  s->transport.script = script;
  s->transport.steps = steps;
  world_open(&s->world, &config);
  if (manner != ALONE) {
    assert_int_equal(
        sse_loop_new(&s->loop, s->world.hub,
                     &(const sse_loop_config){.wake = world_wake, .wake_arg = &s->wakes}),
        SSE_OK);
  }
  s->stream = world_stream(&s->world, "a", NULL, s->loop);
  world_read(s->stream);
  while (s->loop && sse_loop_next(s->loop)) continue;
  world_send(&s->world, "a", "one");
  world_send(&s->world, "a", "two");
  world_send(&s->world, "a", "three");
  if (manner == IN_ROUND) assert_ptr_equal(sse_loop_next(s->loop), s->stream);
}

static void close_setting(struct setting *s) {
  sse_stream_free(s->stream);
  assert_int_equal(sse_loop_free(s->loop), SSE_OK);
  world_close(&s->world);
}

static int flush(struct setting *s) {
  return sse_stream_flush(s->stream, transport_write, &s->transport);
}

/* Every output is taken byte by byte, and in two parts at every place, with and without EAGAIN. */
static void test_every_split(void **state) {
  (void)state;
  const size_t len = strlen(waiting);
  for (int manner = 0; manner < MANNERS; manner++) {
    for (size_t split = 0; split <= len; split++) {
      for (int again = 0; again < 2; again++) {
        const ssize_t script[] = {split ? (ssize_t)split : 1, again ? SSE_EAGAIN : 1};
        struct setting s;
        open_setting(&s, (enum manner)manner, script, 2);
        int result = flush(&s);
        bool whole = split >= len;
        assert_int_equal(result, again && !whole ? SSE_EAGAIN : SSE_OK);
        if (manner == IN_ROUND) {
          while (sse_loop_next(s.loop)) continue;
        }
        assert_int_equal(flush(&s), SSE_OK);
        s.transport.bytes[s.transport.len] = '\0';
        assert_string_equal(s.transport.bytes, waiting);
        close_setting(&s);
      }
    }
  }
}

static void test_byte_by_byte(void **state) {
  (void)state;
  enum {
    STEPS = 2 * sizeof waiting
  };
  ssize_t script[STEPS];
  for (int manner = 0; manner < MANNERS; manner++) {
    for (size_t i = 0; i < STEPS; i++) script[i] = i % 2 ? SSE_EAGAIN : 1;
    struct setting s;
    open_setting(&s, (enum manner)manner, script, STEPS);
    int result;
    while ((result = flush(&s)) == SSE_EAGAIN) {
      while (s.loop && sse_loop_next(s.loop)) continue;
    }
    assert_int_equal(result, SSE_OK);
    s.transport.bytes[s.transport.len] = '\0';
    assert_string_equal(s.transport.bytes, waiting);
    close_setting(&s);
  }
}

static const struct error_row {
  const char *name;
  ssize_t answer;
  int end;
} error_rows[] = {
    {"the peer is gone", SSE_ECLOSED, SSE_ECLOSED},
    {"the transport gave up", SSE_ESTALLED, SSE_ESTALLED},
    {"the transport fails", SSE_EIO, SSE_EIO},
    {"any other code", -12345, SSE_EIO},
    {"nothing taken", 0, SSE_ECALLBACK},
};

/* An error at every byte ends the stream, and it stays ended; what was taken before was in order.
 */
static void test_error_at_every_byte(void **state) {
  (void)state;
  for (size_t row = 0; row < sizeof error_rows / sizeof *error_rows; row++) {
    for (int manner = 0; manner < MANNERS; manner++) {
      for (size_t k = 1; k < strlen(waiting); k++) {
        const ssize_t script[] = {(ssize_t)k, error_rows[row].answer};
        struct setting s;
        open_setting(&s, (enum manner)manner, script, 2);
        assert_int_equal(flush(&s), error_rows[row].end);
        assert_int_equal(flush(&s), error_rows[row].end);
        assert_int_equal(s.transport.calls, 2);
        assert_int_equal(s.transport.len, k);
        assert_memory_equal(s.transport.bytes, waiting, k);
        close_setting(&s);
      }
    }
  }
}

static ssize_t greedy_write(void *io, const struct iovec *iov, int count) {
  ssize_t total = 1;
  (void)io;
  for (int i = 0; i < count; i++) total += (ssize_t)iov[i].iov_len;
  return total;
}

static void test_more_than_offered(void **state) {
  (void)state;
  for (int manner = 0; manner < MANNERS; manner++) {
    struct setting s;
    open_setting(&s, (enum manner)manner, NULL, 0);
    assert_int_equal(sse_stream_flush(s.stream, greedy_write, NULL), SSE_ECALLBACK);
    close_setting(&s);
  }
}

/* After a plain EAGAIN at a frame's start nothing is remembered; inside a frame, just that frame.
 */
static void test_eagain_pins_nothing(void **state) {
  (void)state;
  for (int manner = 0; manner < MANNERS; manner++) {
    for (int inside = 0; inside < 2; inside++) {
      const ssize_t inside_script[] = {3, SSE_EAGAIN}, start_script[] = {SSE_EAGAIN};
      struct setting s;
      open_setting(&s, (enum manner)manner, inside ? inside_script : start_script, inside ? 2 : 1);
      assert_int_equal(flush(&s), SSE_EAGAIN);
      while (s.loop && sse_loop_next(s.loop)) continue;
      for (int i = 4; i <= 6; i++) world_send(&s.world, "a", "new");
      assert_int_equal(flush(&s), SSE_OK);
      s.transport.bytes[s.transport.len] = '\0';
      const char *gap = inside ? "\"lost\":2" : "\"lost\":3";
      assert_non_null(strstr(s.transport.bytes, gap));
      assert_true((strstr(s.transport.bytes, EVENT("one", "E.1")) != NULL) == inside);
      assert_null(strstr(s.transport.bytes, "two"));
      assert_non_null(strstr(s.transport.bytes, "id: E.3\n\n" EVENT("new", "E.4")));
      close_setting(&s);
    }
  }
}

/* After EHELD the very same bytes are offered, whatever was evicted and published meanwhile. */
static void test_eheld_offers_the_same(void **state) {
  (void)state;
  for (int manner = 0; manner < MANNERS; manner++) {
    const ssize_t script[] = {SSE_EHELD, SSE_EHELD};
    struct setting s;
    char offered[sizeof waiting];
    open_setting(&s, (enum manner)manner, script, 2);
    assert_int_equal(flush(&s), SSE_EAGAIN);
    assert_int_equal(s.transport.offered_len, strlen(waiting));
    memcpy(offered, s.transport.offered, s.transport.offered_len);
    while (s.loop && sse_loop_next(s.loop)) continue;
    for (int i = 0; i < 20; i++) world_send(&s.world, "a", "new");
    assert_int_equal(flush(&s), SSE_EAGAIN);
    assert_int_equal(s.transport.offered_len, strlen(waiting));
    assert_memory_equal(s.transport.offered, offered, strlen(waiting));
    close_setting(&s);
  }
}

/* A client that never reads costs no memory beyond the window, however much is published. */
static void test_a_stuck_client_costs_nothing(void **state) {
  (void)state;
  for (int manner = 0; manner < MANNERS; manner++) {
    struct setting s;
    const ssize_t never[] = {SSE_EAGAIN, SSE_EAGAIN, SSE_EAGAIN, SSE_EAGAIN, SSE_EAGAIN,
                             SSE_EAGAIN, SSE_EAGAIN, SSE_EAGAIN, SSE_EAGAIN, SSE_EAGAIN};
    open_setting(&s, (enum manner)manner, never, 10);
    assert_int_equal(flush(&s), SSE_EAGAIN);
    while (s.loop && sse_loop_next(s.loop)) continue;
    size_t bytes = world_bytes(), blocks = world_blocks();
    for (int i = 0; i < 9; i++) {
      for (int k = 0; k < 100; k++) world_send(&s.world, "a", "one");
      assert_int_equal(flush(&s), SSE_EAGAIN);
      /* The gap that it will be told of is all. */
      assert_true(world_blocks() <= blocks + 1);
      assert_true(world_bytes() <= bytes + 320);
    }
    close_setting(&s);
  }
}

static ssize_t count_write(void *io, const struct iovec *iov, int count) {
  *(int *)io += count;
  return greedy_write(NULL, iov, count) - 1;
}

/* A replay that is long does not keep the loop: the stream is returned again, without a wake. */
static void test_flush_takes_turns(void **state) {
  (void)state;
  struct world world = {0};
  struct wakes wakes = {0};
  sse_loop *loop;
  enum {
    EVENTS = 2900
  };
  const sse_hub_config config = {.channel.window_frames_max = EVENTS};
  int turns = 0, frames = 0;
  world_open(&world, &config);
  assert_int_equal(sse_loop_new(&loop, world.hub,
                                &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                   SSE_OK);
  for (int i = 0; i < EVENTS; i++) world_send(&world, "a", "x");
  sse_stream *stream = world_stream(&world, "a", "E.0", loop);
  while (sse_loop_timeout(loop) == 0) {
    while (sse_loop_next(loop)) {
      int before = frames;
      assert_int_equal(sse_stream_flush(stream, count_write, &frames), SSE_OK);
      assert_in_range(frames - before, 1, 1200);
      turns++;
    }
  }
  assert_int_equal(frames, EVENTS + 1);
  assert_int_equal(turns, 3);
  assert_int_equal(wakes.count, 0);
  sse_stream_free(stream);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
}

/* ---- sockets ---- */

static void open_pair(int pair[2]) {
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
}

static size_t read_all(int fd, char *to, size_t cap) {
  size_t len = 0;
  ssize_t got;
  while ((got = recv(fd, to + len, cap - len, MSG_DONTWAIT)) > 0) len += (size_t)got;
  return len;
}

static void test_flush_fd(void **state) {
  (void)state;
  for (int manner = 0; manner < MANNERS; manner++) {
    struct setting s;
    int pair[2];
    char text[256];
    open_pair(pair);
    open_setting(&s, (enum manner)manner, NULL, 0);
    assert_int_equal(sse_stream_flush_fd(s.stream, pair[0]), SSE_OK);
    assert_int_equal(read_all(pair[1], text, sizeof text), strlen(waiting));
    assert_memory_equal(text, waiting, strlen(waiting));
    close(pair[1]);
    world_send(&s.world, "a", "into the void");
    while (s.loop && sse_loop_next(s.loop)) continue;
    assert_int_equal(sse_stream_flush_fd(s.stream, pair[0]), SSE_ECLOSED);
    close(pair[0]);
    close_setting(&s);
  }
}

/* A full socket gives EAGAIN also where it is a blocking one, and the rest follows in order. */
static void test_a_full_socket(void **state) {
  (void)state;
  enum {
    EVENTS = 2000
  };
  struct world world = {0};
  int pair[2], size = 4096;
  static char text[512], got[EVENTS * 600];
  size_t len = 0;
  const sse_hub_config config = {.channel.window_frames_max = EVENTS};
  open_pair(pair);
  assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
  world_open(&world, &config);
  sse_stream *stream = world_stream(&world, "a", NULL, NULL);
  memset(text, 'x', sizeof text - 1);
  for (int i = 0; i < EVENTS; i++) world_send(&world, "a", text);
  int blocked = 0, result;
  while ((result = sse_stream_flush_fd(stream, pair[0])) == SSE_EAGAIN) {
    blocked++;
    len += read_all(pair[1], got + len, sizeof got - len);
  }
  assert_int_equal(result, SSE_OK);
  assert_true(blocked > 10);
  len += read_all(pair[1], got + len, sizeof got - len);
  const char *at = got;
  got[len] = '\0';
  for (int i = 1; i <= EVENTS; i++) {
    char id[32];
    snprintf(id, sizeof id, "id: E.%d\n\n", i);
    at = strstr(at, id);
    assert_non_null(at);
  }
  assert_null(strstr(got, "event: gap"));
  close(pair[0]);
  close(pair[1]);
  sse_stream_free(stream);
  world_close(&world);
}

static void test_not_a_socket(void **state) {
  (void)state;
  struct setting s;
  int pipes[2];
  assert_int_equal(pipe(pipes), 0);
  open_setting(&s, ALONE, NULL, 0);
  assert_int_equal(sse_stream_flush_fd(s.stream, pipes[1]), SSE_EIO);
  close_setting(&s);
  open_setting(&s, ALONE, NULL, 0);
  assert_int_equal(sse_stream_flush_fd(s.stream, -1), SSE_EIO);
  close_setting(&s);
  close(pipes[0]);
  close(pipes[1]);
}

/* The run serves what there is, drops what the client says, and ends when the client does. */
static void test_run(void **state) {
  (void)state;
  for (int half = 0; half < 2; half++) {
    struct setting s;
    int pair[2];
    char text[256];
    open_pair(pair);
    open_setting(&s, ALONE, NULL, 0);
    assert_int_equal(send(pair[1], "GET again", 9, 0), 9);
    assert_int_equal(shutdown(pair[1], half ? SHUT_WR : SHUT_RDWR), 0);
    assert_int_equal(sse_stream_run(s.stream, pair[0]), SSE_ECLOSED);
    if (half) {
      assert_int_equal(read_all(pair[1], text, sizeof text), strlen(waiting));
      assert_memory_equal(text, waiting, strlen(waiting));
    }
    close(pair[0]);
    close(pair[1]);
    close_setting(&s);
  }
}

static void test_run_of_a_loop(void **state) {
  (void)state;
  struct setting s;
  open_setting(&s, OUTSIDE, NULL, 0);
  assert_int_equal(sse_stream_run(s.stream, 0), SSE_EINVAL);
  close_setting(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_split),
      cmocka_unit_test(test_byte_by_byte),
      cmocka_unit_test(test_error_at_every_byte),
      cmocka_unit_test(test_more_than_offered),
      cmocka_unit_test(test_eagain_pins_nothing),
      cmocka_unit_test(test_eheld_offers_the_same),
      cmocka_unit_test(test_a_stuck_client_costs_nothing),
      cmocka_unit_test(test_flush_takes_turns),
      cmocka_unit_test(test_flush_fd),
      cmocka_unit_test(test_a_full_socket),
      cmocka_unit_test(test_not_a_socket),
      cmocka_unit_test(test_run),
      cmocka_unit_test(test_run_of_a_loop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
