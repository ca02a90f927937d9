/* SPDX-License-Identifier: MIT */
/* test_chunked.c: a chunked body is the plain one in chunks, closed where the stream ends gently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "dechunk.h"
#include "setting.h"
#include "stream/cursor.h"
#include "stream/loop.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define BODY_MAX     ((size_t)128 * 1024)

enum {
  HEARTBEAT_MS = 1000,
  AGE_MS = 20000
};

static const sse_http_head plain_head, chunked_head = {.chunked = 1};

/* ---- the strict reader itself ---- */

static const struct {
  const char *name, *bytes, *body; /* NULL: refused */
  bool ended;
} bodies[] = {
    {"nothing", "", "", false},
    {"the last chunk", "0\r\n\r\n", "", true},
    {"more zeros", "00000000\r\n\r\n", "", true},
    {"one chunk", "3\r\nabc\r\n", "abc", false},
    {"digits of any case", "0000000a\r\n0123456789\r\nA\r\n0123456789\r\n", "01234567890123456789",
     false},
    {"one chunk, and the last", "3\r\nabc\r\n0\r\n\r\n", "abc", true},
    {"no size", "\r\nabc\r\n", NULL, false},
    {"nine digits", "000000003\r\nabc\r\n", NULL, false},
    {"an extension", "3;a=b\r\nabc\r\n", NULL, false},
    {"a size without CR", "3\nabc\r\n", NULL, false},
    {"a size without LF", "3\r-abc\r\n", NULL, false},
    {"too long", "3\r\nabcd\r\n", NULL, false},
    {"too short", "3\r\nab\r\n3\r\nabc\r\n", NULL, false},
    {"an end without LF", "3\r\nabc\r-", NULL, false},
    {"trailers", "0\r\na: b\r\n\r\n", NULL, false},
    {"more than the last", "0\r\n\r\n0\r\n\r\n", NULL, false},
};

static void the_reader_is_strict(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(bodies); i++) {
    struct dechunk dechunk = {.fault = NULL};
    char body[64];
    size_t len = 0;
    for (const char *at = bodies[i].bytes; *at; at++)
      len += dechunk_feed(&dechunk, at, 1, body + len);
    body[len] = '\0';
    if (!dechunk.fault != (bodies[i].body != NULL)) fail_msg("%s: %s", bodies[i].name, body);
    if (!bodies[i].body) continue;
    assert_string_equal(body, bodies[i].body);
    assert_int_equal(dechunk.state == DECHUNK_ENDED, bodies[i].ended);
  }
}

/* ---- stories: each letter of one is something that happens to a stream of "a" ---- */

static const struct story {
  const char *name;
  const char *happens;
  int end; /* what the stream ends with, 0 if it does not */
  bool conflate;
  const char *last_id;
  size_t window; /* in frames; 0: the default */
  sse_position position;
  int32_t retry_ms;
  sse_slow slow;
} stories[] = {
    {"nothing", ".", 0, .retry_ms = 1},
    {"a head alone", ".", 0, .position = SSE_POSITION_OFF, .retry_ms = SSE_NEVER},
    {"one event", "a.", 0, .retry_ms = SSE_NEVER},
    {"events of all kinds", "aelE.eeE.a.l.", 0, .retry_ms = 1},
    {"heartbeats and positions", ".h.eh.aeh.", 0, .retry_ms = 1},
    {"two channels", ".s.jas.bs.as.", 0, .retry_ms = 1},
    {"a channel with a backfill", "bbb.j.b.a.", 0, .retry_ms = 1},
    {"a backfill under way at an end", "bbbjA", SSE_EAGED, .retry_ms = 1},
    {"a state", "pqp.qj.pqt.", 0, .conflate = true, .retry_ms = 1},
    {"a state to begin with", "pqpq.p.", 0, .conflate = true, .last_id = "Q.1", .retry_ms = 1},
    {"an id of before", "a.", 0, .last_id = "Q.1", .retry_ms = 1},
    {"a gap", ".aaaaaaa.a.", 0, .window = 2, .retry_ms = 1},
    {"of age", "a.A", SSE_EAGED, .retry_ms = 1},
    {"of age, with no time to tell", "a.A", SSE_EAGED, .retry_ms = SSE_NEVER},
    {"of age, with nothing told at all", ".A", SSE_EAGED, .position = SSE_POSITION_OFF,
     .retry_ms = SSE_NEVER},
    {"of age before its head was read", "aA", SSE_EAGED, .retry_ms = 1},
    {"finished", "aaF", SSE_EFINISHED, .retry_ms = 1},
    {"finished, with no time to tell", "aaF", SSE_EFINISHED, .retry_ms = SSE_NEVER},
    {"drained", "a.aD", SSE_EDRAINED, .retry_ms = 1},
    {"slow", ".aaaaaa", SSE_ESLOW, .window = 2, .retry_ms = 1, .slow = SSE_SLOW_CLOSE},
    {"disconnected", ".aK", SSE_EDISCONNECTED, .retry_ms = 1},
    {"disconnected after all", "a.K", SSE_EDISCONNECTED, .retry_ms = 1},
    {"of age, and then disconnected", ".aAK", SSE_EDISCONNECTED, .retry_ms = 1},
};

/* How the bytes are taken. */
enum manner {
  READ,
  PEEK,
  FLUSH,
  FLUSH_AGAIN, /* the transport is full after each call */
  MANNERS
};

struct listener {
  sse_stream *stream;
  enum manner manner;
  size_t step; /* so many bytes at most at a time */
  bool full;
  char *bytes;
  size_t len;
  int result; /* of the last look */
};

static void keep(struct listener *listener, const void *bytes, size_t len) {
  assert_true(listener->len + len <= BODY_MAX);
  memcpy(listener->bytes + listener->len, bytes, len);
  listener->len += len;
}

/* Out of one piece, so that a step which is longer ends with it. */
static ssize_t take_step(void *io, const struct iovec *iov, int count) {
  struct listener *listener = io;
  size_t len = iov[0].iov_len < listener->step ? iov[0].iov_len : listener->step;
  assert_in_range(count, 1, 64);
  if (listener->manner == FLUSH_AGAIN) listener->full = !listener->full;
  if (listener->manner == FLUSH_AGAIN && !listener->full) return SSE_EAGAIN;
  keep(listener, iov[0].iov_base, len);
  return (ssize_t)len;
}

static int read_steps(struct listener *listener) {
  char buf[8192];
  ssize_t got;
  size_t step = listener->step < sizeof buf ? listener->step : sizeof buf;
  while ((got = sse_stream_read(listener->stream, buf, step)) > 0) {
    keep(listener, buf, (size_t)got);
  }
  return (int)got;
}

static int peek_steps(struct listener *listener) {
  struct iovec iov[3];
  int count;
  while ((count = sse_stream_peek(listener->stream, iov, 3)) > 0) {
    sse_stream_consume(listener->stream, (size_t)take_step(listener, iov, count));
  }
  return count;
}

static void hear(struct listener *listener) {
  switch (listener->manner) {
  case READ:
    listener->result = read_steps(listener);
    break;
  case PEEK:
    listener->result = peek_steps(listener);
    break;
  default:
    while ((listener->result = sse_stream_flush(listener->stream, take_step, listener)) ==
           SSE_EAGAIN) {
    }
    break;
  }
}

/* Both listeners of a loop; one that stands alone has no other. */
static void look(struct setting *s, struct listener *listener, struct listener *other) {
  do {
    for (sse_stream *stream; s->loop && (stream = sse_loop_next(s->loop));) {
      hear(stream == listener->stream ? listener : other);
    }
  } while (s->loop && sse_loop_timeout(s->loop) == 0);
  sse_hub_tick(s->world.hub);
  hear(listener);
}

/* ---- what happens ---- */

static void publish(sse_hub *hub, const char *channel, const sse_event *event) {
  assert_int_equal(sse_hub_publish(hub, channel, event), SSE_OK);
}

static void pass(struct setting *s, int64_t ms) {
  s->world.now_ms += ms;
  sse_hub_tick(s->world.hub);
}

static void happen(struct setting *s, char what) {
  static char text[5000];
  sse_hub *hub = s->world.hub;
  memset(text, 'l', sizeof text - 1);
  switch (what) {
  case 'a':
    publish(hub, "a", &(const sse_event){.text = "of a"});
    break;
  case 'b':
    publish(hub, "b", &(const sse_event){.text = "of b\nin two lines", .type = "t"});
    break;
  case 's':
    assert_int_equal(sse_hub_publish_to(hub, CHANNELS("b", "a"), &(const sse_event){.text = "s"}),
                     SSE_OK);
    break;
  case 'e':
    publish(hub, "a", &(const sse_event){.text = "e", .flags = SSE_EPHEMERAL});
    break;
  case 'E':
    publish(hub, "a",
            &(const sse_event){.text = "with an id", .id = s->world.now_ms % 2 ? "A" : "B"});
    s->world.now_ms++;
    break;
  case 'l':
    publish(hub, "a", &(const sse_event){.text = text});
    break;
  case 'p':
  case 'q':
    publish(hub, "a", &(const sse_event){.text = "state", .key = what == 'p' ? "p" : "q"});
    publish(hub, "b", &(const sse_event){.text = "state", .key = what == 'p' ? "p" : "q"});
    break;
  case 't':
    publish(hub, "a", &(const sse_event){.text = "", .key = "p", .flags = SSE_TOMBSTONE});
    break;
  case 'j':
    assert_int_equal(sse_hub_subscribe(hub, "tag", "b", 2), 1);
    break;
  case 'h':
    pass(s, HEARTBEAT_MS);
    break;
  case 'A':
    pass(s, AGE_MS);
    break;
  case 'F':
    assert_int_equal(sse_hub_finish(hub, "a"), SSE_OK);
    break;
  case 'D':
    sse_hub_drain(hub, 0);
    break;
  case 'K':
    sse_hub_disconnect(hub, "tag");
    break;
  default:
    fail_msg("%c", what);
  }
}

/* ---- a story, told ---- */

struct told {
  char bytes[BODY_MAX], other[BODY_MAX];
  size_t len, other_len; /* of the stream, and of a plain one in the same loop */
  int result;
  sse_stats hub, channel;
};

static void tell(const struct story *story, bool in_loop, bool chunked, enum manner manner,
                 size_t step, struct told *told) {
  const sse_hub_config config = {
      .heartbeat_ms = HEARTBEAT_MS,
      .channel = {.conflate = story->conflate, .window_frames_max = story->window}};
  const sse_stream_config quiet = {.channel = "a", .retry_ms = 1};
  struct setting s = {.loop = NULL};
  struct listener other = {.manner = READ, .step = 8192, .bytes = told->other};
  struct listener listener = {.manner = manner, .step = step, .bytes = told->bytes};
  open_setting(&s, in_loop, &config, &quiet);
  other.stream = s.stream;
  sse_hub_stats(s.world.hub, "a", &told->channel); /* its latency is measured from here on */
  const sse_stream_config own = {.channel = "a",
                                 .tag = "tag",
                                 .loop = s.loop,
                                 .head = chunked ? &chunked_head : &plain_head,
                                 .last_id = story->last_id,
                                 .position = story->position,
                                 .age_ms_max = AGE_MS,
                                 .slow = story->slow,
                                 .retry_ms = story->retry_ms};
  for (const char *p = story->happens; story->last_id && *p && *p != '.'; p++) happen(&s, *p);
  assert_int_equal(sse_stream_open(&listener.stream, s.world.hub, &own), SSE_OK);
  const char *rest = story->last_id ? strchr(story->happens, '.') : story->happens;
  for (; *rest; rest++) {
    if (*rest == '.') {
      look(&s, &listener, &other);
    } else {
      happen(&s, *rest);
    }
  }
  look(&s, &listener, &other);
  told->len = listener.len;
  told->other_len = other.len;
  told->result = listener.result;
  assert_int_equal(sse_hub_stats(s.world.hub, NULL, &told->hub), SSE_OK);
  sse_hub_stats(s.world.hub, "a", &told->channel);
  sse_stream_free(listener.stream);
  close_setting(&s);
}

static size_t head_of(const char *bytes, size_t len) {
  for (size_t i = 4; i <= len; i++) {
    if (memcmp(bytes + i - 4, "\r\n\r\n", 4) == 0) return i;
  }
  fail_msg("no head");
  return 0;
}

static bool is_gentle(int end) {
  return end && end != SSE_EDISCONNECTED;
}

/* The body of one is in the chunks of the other, and each is what its stream counts. */
static void compare(const struct story *story, const struct told *plain,
                    const struct told *chunked) {
  static char body[BODY_MAX];
  struct dechunk dechunk = {.fault = NULL};
  size_t plain_at = head_of(plain->bytes, plain->len);
  size_t at = head_of(chunked->bytes, chunked->len);
  size_t len = dechunk_feed(&dechunk, chunked->bytes + at, chunked->len - at, body);
  if (dechunk.fault) fail_msg("%s", dechunk.fault);
  assert_int_equal(len, plain->len - plain_at);
  assert_memory_equal(body, plain->bytes + plain_at, len);
  assert_int_equal(plain->result, story->end);
  assert_int_equal(chunked->result, story->end);
  assert_int_equal(dechunk.state == DECHUNK_ENDED, is_gentle(story->end));
  assert_true(dechunk.state == DECHUNK_ENDED || dechunk.state == DECHUNK_SIZE);
  assert_int_equal(plain->other_len, chunked->other_len);
  assert_memory_equal(plain->other, chunked->other, plain->other_len);
  assert_int_equal(chunked->hub.delivered_bytes - plain->hub.delivered_bytes,
                   chunked->len - plain->len);
  assert_int_equal(chunked->hub.delivered_events, plain->hub.delivered_events);
  assert_int_equal(chunked->hub.heartbeats, plain->hub.heartbeats);
  assert_int_equal(chunked->hub.positions, plain->hub.positions);
  assert_int_equal(chunked->channel.delivered_events, plain->channel.delivered_events);
  assert_int_equal(chunked->channel.delivered_bytes, plain->channel.delivered_bytes);
}

static void every_story_at_every_cut(void **state) {
  static struct told plain, chunked;
  (void)state;
  for (size_t i = 0; i < COUNT(stories); i++) {
    const struct story *story = &stories[i];
    print_message("  %s\n", story->name);
    for (int in_loop = 0; in_loop < 2; in_loop++) {
      tell(story, in_loop, false, READ, 8192, &plain);
      for (enum manner manner = READ; manner < MANNERS; manner++) {
        /* A heartbeat that is taken back comes at another time. */
        if (manner == FLUSH_AGAIN && strchr(story->happens, 'h')) continue;
        for (size_t step = 1; step < 70; step++) {
          tell(story, in_loop, true, manner, step, &chunked);
          compare(story, &plain, &chunked);
        }
        tell(story, in_loop, true, manner, 8192, &chunked);
        compare(story, &plain, &chunked);
      }
    }
  }
}

/* ---- byte by byte ---- */

static void the_bytes_themselves(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_hub_config config = {.retry_ms = SSE_NEVER};
    const sse_stream_config own = {.channel = "a", .head = &chunked_head};
    struct setting s;
    struct iovec iov[2];
    open_setting(&s, in_loop, &config, &own);
    world_send(&s.world, "a", "x");
    if (in_loop) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    assert_int_equal(sse_stream_peek(s.stream, iov, 2), 1);
    assert_int_equal(iov[0].iov_len, strlen("00000011\r\n" EVENT("x", "E.1") "\r\n"));
    assert_memory_equal(iov[0].iov_base, "00000011\r\n" EVENT("x", "E.1") "\r\n", iov[0].iov_len);
    sse_stream_consume(s.stream, iov[0].iov_len + 1);
    assert_int_equal(sse_stream_peek(s.stream, iov, 1), SSE_ECALLBACK);
    close_setting(&s);
  }
}

/* ---- the last chunk ---- */

/* Without memory the time to come back is not told, and the body is closed all the same. */
static void the_last_chunk_needs_no_memory(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    const sse_stream_config own = {.channel = "a", .head = &chunked_head, .age_ms_max = AGE_MS};
    struct setting s;
    open_setting(&s, in_loop, NULL, &own);
    s.world.now_ms += AGE_MS;
    if (in_loop) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    world_fail(1, true);
    assert_string_equal(world_read(s.stream), "00000000\r\n\r\n");
    world_fail(0, false);
    assert_int_equal(world_read_result(), SSE_EAGED);
    assert_string_equal(world_read(s.stream), ""); /* once */
    close_setting(&s);
  }
}

static int refusals;

static ssize_t refuse(void *io, const struct iovec *iov, int count) {
  struct listener *listener = io;
  if (refusals-- > 0) return SSE_EAGAIN;
  return take_step(listener, iov, count);
}

/* A transport that is full does not lose it. */
static void the_last_chunk_is_given_again(void **state) {
  static char bytes[BODY_MAX];
  (void)state;
  for (int i = 0; i < 4; i++) {
    bool in_loop = i % 2, retry = i / 2;
    const sse_stream_config own = {.channel = "a",
                                   .head = &chunked_head,
                                   .age_ms_max = AGE_MS,
                                   .retry_ms = retry ? 1 : SSE_NEVER};
    const char *want = retry ? "00000009\r\nretry: 1\n\r\n00000000\r\n\r\n" : "00000000\r\n\r\n";
    struct listener listener = {.manner = FLUSH, .step = BODY_MAX, .bytes = bytes};
    struct setting s;
    open_setting(&s, in_loop, NULL, &own);
    s.world.now_ms += AGE_MS;
    if (in_loop) assert_ptr_equal(sse_loop_next(s.loop), s.stream);
    refusals = 2;
    assert_int_equal(sse_stream_flush(s.stream, refuse, &listener), SSE_EAGAIN);
    assert_int_equal(sse_stream_flush(s.stream, refuse, &listener), SSE_EAGAIN);
    assert_int_equal(sse_stream_flush(s.stream, refuse, &listener), SSE_EAGED);
    assert_int_equal(listener.len, strlen(want));
    assert_memory_equal(bytes, want, listener.len);
    close_setting(&s);
  }
}

/* ---- a socket ---- */

static void a_blocking_run(void **state) {
  static char raw[4096], body[4096];
  const sse_stream_config own = {.channel = "a", .head = &chunked_head, .retry_ms = 1};
  struct dechunk dechunk = {.fault = NULL};
  struct world world = {.hub = NULL};
  sse_stream *stream;
  int fds[2];
  (void)state;
  world_open(&world, NULL);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  assert_int_equal(sse_stream_open(&stream, world.hub, &own), SSE_OK);
  world_send(&world, "a", "x");
  assert_int_equal(sse_hub_finish(world.hub, "a"), SSE_OK);
  assert_int_equal(sse_stream_run(stream, fds[0]), SSE_EFINISHED);
  ssize_t got = recv(fds[1], raw, sizeof raw, MSG_DONTWAIT);
  assert_true(got > 0);
  size_t at = head_of(raw, (size_t)got);
  size_t len = dechunk_feed(&dechunk, raw + at, (size_t)got - at, body);
  body[len] = '\0';
  assert_null(dechunk.fault);
  assert_int_equal(dechunk.state, DECHUNK_ENDED);
  assert_string_equal(body, "retry: 1\n" POSITION("E.0") EVENT("x", "E.1") "retry: 1\n");
  sse_stream_free(stream);
  close(fds[0]);
  close(fds[1]);
  world_close(&world);
}

/* ---- snapshots that were taken before there was a chunked stream ---- */

static void a_stream_opened_within_a_round(void **state) {
  const sse_hub_config config = {.retry_ms = SSE_NEVER};
  struct setting s;
  sse_stream *stream, *next;
  (void)state;
  open_setting(&s, true, &config, &(const sse_stream_config){.channel = "a"});
  assert_string_equal(round_of(&s), "");
  world_send(&s.world, "a", "x");
  assert_ptr_equal(sse_loop_next(s.loop), s.stream); /* the snapshot has the event */
  const sse_stream_config own = {.channel = "a",
                                 .last_id = "E.0",
                                 .loop = s.loop,
                                 .position = SSE_POSITION_OFF,
                                 .head = &chunked_head};
  assert_int_equal(sse_stream_open(&stream, s.world.hub, &own), SSE_OK);
  assert_int_equal(sse__cursor_step_round(stream, &s.loop->spare, &s.loop->snapshot.head, 0),
                   SSE_EAGAIN);
  const char *bytes = world_read(stream);
  assert_string_equal(bytes + head_of(bytes, strlen(bytes)),
                      "00000011\r\n" EVENT("x", "E.1") "\r\n");
  assert_string_equal(world_read(s.stream), EVENT("x", "E.1"));
  assert_null(sse_loop_next(s.loop));
  world_send(&s.world, "a", "y");
  while ((next = sse_loop_next(s.loop)) && next != stream) world_read(next);
  assert_ptr_equal(next, stream); /* in step with its own round */
  assert_string_equal(world_read(stream), "00000011\r\n" EVENT("y", "E.2") "\r\n");
  assert_int_equal(s.loop->chunked_streams, 1);
  sse_stream_free(stream);
  assert_int_equal(s.loop->chunked_streams, 0);
  close_setting(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_reader_is_strict),
      cmocka_unit_test(every_story_at_every_cut),
      cmocka_unit_test(the_bytes_themselves),
      cmocka_unit_test(the_last_chunk_needs_no_memory),
      cmocka_unit_test(the_last_chunk_is_given_again),
      cmocka_unit_test(a_blocking_run),
      cmocka_unit_test(a_stream_opened_within_a_round),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
