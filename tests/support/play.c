/* SPDX-License-Identifier: MIT */
/* play.c: plays scripts that move the numbers of a hub. */
#include "play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum {
  STREAMS_MAX = 4
};

struct play {
  struct world world;
  struct wakes wakes;
  sse_loop *loop;
  sse_stream *streams[STREAMS_MAX];
  size_t count;
  const struct play_row *row;
};

static void publish(struct play *play, const char *const *channels, unsigned flags) {
  const sse_event event = {.text = "x", .flags = flags};
  assert_int_equal(sse_hub_publish_to(play->world.hub, channels, &event), SSE_OK);
}

static void open_stream(struct play *play, const char *const *channels, sse_loop *loop) {
  sse_stream_config config = play->row->stream;
  config.channels = channels;
  config.loop = loop;
  assert_true(play->count < STREAMS_MAX);
  assert_int_equal(sse_stream_open(&play->streams[play->count++], play->world.hub, &config),
                   SSE_OK);
}

static void run_rounds(struct play *play) {
  sse_stream *stream;
  do {
    while ((stream = sse_loop_next(play->loop))) world_read(stream);
  } while (sse_loop_timeout(play->loop) == 0);
}

/* How many bytes it lends. */
static size_t peek(sse_stream *stream) {
  struct iovec iov[64];
  size_t bytes = 0;
  int count = sse_stream_peek(stream, iov, 64);
  for (int i = 0; i < count; i++) bytes += iov[i].iov_len;
  return bytes;
}

static ssize_t answer(void *io, const struct iovec *iov, int count) {
  const struct play_row *row = io;
  (void)iov;
  (void)count;
  return row->answer;
}

static void fill(struct play *play) {
  int error;
  while ((error = sse_hub_publish_text(play->world.hub, "a", NULL, "x")) == SSE_OK) continue;
  assert_int_equal(error, SSE_EFULL);
}

static void act_on_stream(struct play *play, char what) {
  assert_true(play->count > 0);
  sse_stream *stream = play->streams[play->count - 1];
  size_t bytes;
  switch (what) {
  case 's':
    world_read(stream);
    break;
  case 'p':
    peek(stream);
    break;
  case 'h': /* a byte */
    assert_true(peek(stream) > 1);
    sse_stream_consume(stream, 1);
    break;
  case 'f':
    sse_stream_flush(stream, answer, (void *)(uintptr_t)play->row);
    break;
  case 'd': /* and then the transport takes what was lent */
    bytes = peek(stream);
    sse_stream_detach(stream);
    sse_stream_consume(stream, bytes);
    break;
  case 'k':
    sse_stream_free(stream);
    play->count--;
    break;
  default:
    fail_msg("no such act: %c", what);
  }
}

static void act(struct play *play, char what) {
  sse_stats stats;
  switch (what) {
  case 'a':
    publish(play, CHANNELS("a"), 0);
    break;
  case 'b':
    publish(play, CHANNELS("b"), 0);
    break;
  case '*':
    publish(play, CHANNELS("a", "b"), 0);
    break;
  case 'e':
    publish(play, CHANNELS("a"), SSE_EPHEMERAL);
    break;
  case '#':
    fill(play);
    break;
  case 'l':
    open_stream(play, CHANNELS("a"), play->loop);
    break;
  case 'm': /* a is not the first, so that it has to be looked for */
    open_stream(play, CHANNELS("b", "a"), play->loop);
    break;
  case 'L':
    open_stream(play, CHANNELS("a"), NULL);
    break;
  case 'M':
    open_stream(play, CHANNELS("b", "a"), NULL);
    break;
  case 'r':
    run_rounds(play);
    break;
  case 'n': /* the round is not over */
    world_read(sse_loop_next(play->loop));
    break;
  case 'w':
    play->wakes.fail = 1;
    break;
  case 'T':
    sse_hub_tick(play->world.hub);
    break;
  case '1':
    play->world.now_ms++;
    break;
  case '9':
    play->world.now_ms += 1000;
    break;
  case '?':
    assert_int_equal(sse_hub_stats(play->world.hub, "a", &stats), SSE_OK);
    break;
  case 'x':
    assert_int_equal(sse_loop_free(play->loop), SSE_OK);
    play->loop = NULL;
    break;
  default:
    act_on_stream(play, what);
  }
}

/* Every member of the struct is a 64-bit number. */
static void compare(const char *name, const char *whose, const sse_stats *is,
                    const sse_stats *before, const sse_stats *wanted) {
  for (size_t at = 0; at < sizeof *is; at += sizeof(uint64_t)) {
    uint64_t now, then, want;
    memcpy(&now, (const char *)is + at, sizeof now);
    memcpy(&then, (const char *)before + at, sizeof then);
    memcpy(&want, (const char *)wanted + at, sizeof want);
    if (now - then != want) {
      fail_msg("%s: the %s's number at byte %zu is %lld, not %lld", name, whose, at,
               (long long)(now - then), (long long)want);
    }
  }
}

static void run_row(const struct play_row *row) {
  static const sse_stats none;
  struct play play = {.row = row};
  sse_hub_config config = row->config;
  sse_stats before, after, channel = none;
  config.retry_ms = SSE_NEVER;
  if (!config.heartbeat_ms) config.heartbeat_ms = SSE_NEVER;
  world_open(&play.world, &config);
  assert_int_equal(
      sse_loop_new(&play.loop, play.world.hub,
                   &(const sse_loop_config){.wake = world_wake, .wake_arg = &play.wakes}),
      SSE_OK);
  assert_int_equal(sse_hub_stats(play.world.hub, NULL, &before), SSE_OK);
  for (const char *what = row->script; *what; what++) act(&play, *what);
  assert_int_equal(sse_hub_stats(play.world.hub, NULL, &after), SSE_OK);
  int error = sse_hub_stats(play.world.hub, "a", &channel);
  assert_true(error == SSE_OK || error == SSE_ENOTFOUND);
  compare(row->name, "hub", &after, &before, &row->hub);
  compare(row->name, "channel", &channel, &none, &row->channel);
  while (play.count > 0) sse_stream_free(play.streams[--play.count]);
  assert_int_equal(sse_loop_free(play.loop), SSE_OK);
  world_close(&play.world);
}

void play_rows(const struct play_row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) run_row(&rows[i]);
}
