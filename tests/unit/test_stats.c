/* SPDX-License-Identifier: MIT */
/* test_stats.c: every number that a hub and a channel count, moved by a script and held to a row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub.h"
#include "setting.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define LEN(literal) (sizeof(literal) - 1)

/* ---- scripts ---- */

enum {
  STREAMS_MAX = 4
};

struct row {
  const char *name, *script;
  sse_hub_config config;
  sse_stream_config stream; /* what its streams have beside channel and loop */
  int answer;               /* of the transport that f flushes to */
  /* By how much the script has changed the numbers; of the channel a: what they are after it. */
  sse_stats hub, channel;
};

struct play {
  struct world world;
  struct wakes wakes;
  sse_loop *loop;
  sse_stream *streams[STREAMS_MAX];
  size_t count;
  const struct row *row;
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
  const struct row *row = io;
  (void)iov;
  (void)count;
  return row->answer;
}

static void fill(struct play *play) {
  int error;
  while ((error = sse_hub_send(play->world.hub, "a", NULL, "x")) == SSE_OK) continue;
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

static void run_row(const struct row *row) {
  static const sse_stats none;
  struct play play = {.row = row};
  sse_hub_config config = row->config;
  sse_stats before, after, channel = none;
  config.retry_ms = SSE_NEVER;
  if (!config.heartbeat_ms) config.heartbeat_ms = SSE_NEVER;
  world_open(&play.world, &config);
  assert_int_equal(sse_loop_new(&play.loop, play.world.hub, world_wake, &play.wakes), SSE_OK);
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

static void run_rows(const struct row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) run_row(&rows[i]);
}

/* ---- what things weigh ---- */

#define HEAD_BYTES   sizeof(struct sse__frame)
#define FRAME        (HEAD_BYTES + LEN("data: x\n") + SSE__ID_LINE_MAX_BYTES) /* its memory */
#define PASSING      (HEAD_BYTES + LEN(EPHEMERAL("x")))
#define EVENT_BYTES  LEN(EVENT("x", "E.1")) /* encoded, with a number of one digit */
#define OPENED_BYTES LEN(POSITION("E.0"))
#define MS           UINT64_C(1000000) /* in nanoseconds */
#define PLACE_1MS    10                /* up to 1.024 ms */

/* ---- publishing, and what is retained ---- */

static const struct row publish_rows[] = {
    {.name = "nothing", .script = ""},
    {.name = "one event",
     .script = "a1",
     .hub = {.published_events = 1,
             .published_bytes = EVENT_BYTES,
             .window_frames = 1,
             .window_bytes = FRAME,
             .oldest_ms = 1,
             .head = 1,
             .channels = 1,
             .memory_bytes = FRAME},
     .channel = {.published_events = 1,
                 .published_bytes = EVENT_BYTES,
                 .window_frames = 1,
                 .window_bytes = FRAME,
                 .oldest_ms = 1}},
    {.name = "one event for two channels",
     .script = "*",
     .hub = {.published_events = 1,
             .published_bytes = EVENT_BYTES,
             .window_frames = 2,
             .window_bytes = FRAME + 2 * HEAD_BYTES,
             .head = 1,
             .channels = 2,
             .memory_bytes = FRAME + 2 * HEAD_BYTES},
     .channel = {.published_events = 1,
                 .published_bytes = EVENT_BYTES,
                 .window_frames = 1,
                 .window_bytes = FRAME + HEAD_BYTES}},
    {.name = "an ephemeral event that nobody hears", .script = "e"},
    {.name = "an ephemeral event",
     .script = "Le1",
     .hub = {.published_events = 1,
             .published_bytes = LEN(EPHEMERAL("x")),
             .opened[SSE_VERDICT_NONE] = 1,
             .streams = 1,
             .window_frames = 1,
             .window_bytes = PASSING,
             .oldest_ms = 1,
             .head = 1,
             .channels = 1,
             .memory_bytes = PASSING},
     .channel = {.published_events = 1,
                 .published_bytes = LEN(EPHEMERAL("x")),
                 .streams = 1,
                 .window_frames = 1,
                 .window_bytes = PASSING,
                 .oldest_ms = 1}},
    {.name = "a window lets two go",
     .script = "aa1a",
     .config.channel.window_frames_max = 1,
     .hub = {.published_events = 3,
             .published_bytes = 3 * EVENT_BYTES,
             .evicted_frames = 2,
             .window_frames = 1,
             .window_bytes = FRAME,
             .head = 3,
             .channels = 1,
             .memory_bytes = FRAME},
     .channel = {.published_events = 3,
                 .published_bytes = 3 * EVENT_BYTES,
                 .evicted_frames = 2,
                 .window_frames = 1,
                 .window_bytes = FRAME}},
    {.name = "a channel goes away, and its numbers with it",
     .script = "a9T",
     .config.channel_idle_ms = 1000,
     .hub = {.published_events = 1,
             .published_bytes = EVENT_BYTES,
             .evicted_frames = 1,
             .head = 1,
             .ghosts = 1}},
    {.name = "frames that are lent outlive their window",
     .script = "Lsapa",
     .config.channel.window_frames_max = 1,
     .hub = {.published_events = 2,
             .published_bytes = 2 * EVENT_BYTES,
             .delivered_bytes = OPENED_BYTES,
             .evicted_frames = 1,
             .positions = 1,
             .opened[SSE_VERDICT_NONE] = 1,
             .streams = 1,
             .window_frames = 1,
             .window_bytes = FRAME,
             .head = 2,
             .channels = 1,
             .memory_bytes = 2 * FRAME,
             .pinned_bytes = FRAME},
     .channel = {.published_events = 2,
                 .published_bytes = 2 * EVENT_BYTES,
                 .evicted_frames = 1,
                 .streams = 1,
                 .window_frames = 1,
                 .window_bytes = FRAME}},
    {.name = "a stream holds all there is, so nothing can be let go, and the next finds no room",
     .script = "Lsaaaaaaaaap#",
     .config = {.memory_max_bytes = 9 * FRAME, .event_max_bytes = FRAME},
     .hub = {.published_events = 9,
             .published_bytes = 9 * EVENT_BYTES,
             .delivered_bytes = OPENED_BYTES,
             .full = 1,
             .positions = 1,
             .opened[SSE_VERDICT_NONE] = 1,
             .streams = 1,
             .window_frames = 9,
             .window_bytes = 9 * FRAME,
             .head = 9,
             .channels = 1,
             .memory_bytes = 9 * FRAME},
     .channel = {.published_events = 9,
                 .published_bytes = 9 * EVENT_BYTES,
                 .streams = 1,
                 .window_frames = 9,
                 .window_bytes = 9 * FRAME}},
};

static void what_is_published_and_retained(void **state) {
  (void)state;
  run_rows(publish_rows, COUNT(publish_rows));
}

/* ---- delivering ---- */

/* What all of them have: a stream of a, or of b and a, that has read its opening. */
#define LISTENING .positions = 1, .opened[SSE_VERDICT_NONE] = 1, .streams = 1
#define ONE_EVENT                                                                                  \
  .published_events = 1, .published_bytes = EVENT_BYTES, .window_frames = 1, .window_bytes = FRAME
#define ONE_OF_HUB .head = 1, .memory_bytes = FRAME
#define AFTER_1MS  .latency[PLACE_1MS] = 1, .latency_sum_ns = MS
#define TOOK_ONE   .delivered_events = 1, .delivered_bytes = EVENT_BYTES

static const struct row deliver_rows[] = {
    {.name = "in step",
     .script = "lra1r",
     .hub = {LISTENING, ONE_EVENT, ONE_OF_HUB, AFTER_1MS, .delivered_events = 1,
             .delivered_bytes = OPENED_BYTES + EVENT_BYTES, .wakes = 1, .oldest_ms = 1,
             .channels = 1},
     .channel = {ONE_EVENT, TOOK_ONE, .streams = 1, .oldest_ms = 1}},
    {.name = "in step, while the round lasts",
     .script = "lra1n",
     .hub = {LISTENING, ONE_EVENT, ONE_OF_HUB, .delivered_bytes = OPENED_BYTES, .wakes = 1,
             .oldest_ms = 1, .channels = 1},
     .channel = {ONE_EVENT, .streams = 1, .oldest_ms = 1}},
    {.name = "in step, the loop freed before the round was over",
     .script = "lra1nkx",
     .hub = {ONE_EVENT, ONE_OF_HUB, AFTER_1MS, .positions = 1, .opened[SSE_VERDICT_NONE] = 1,
             .closed[0] = 1, .delivered_events = 1, .delivered_bytes = OPENED_BYTES + EVENT_BYTES,
             .wakes = 1, .oldest_ms = 1, .channels = 1, .loops = UINT64_MAX},
     .channel = {ONE_EVENT, TOOK_ONE, .oldest_ms = 1}},
    {.name = "in step, of a channel that is measured",
     .script = "l?ra1r",
     .hub = {LISTENING, ONE_EVENT, ONE_OF_HUB, AFTER_1MS, .delivered_events = 1,
             .delivered_bytes = OPENED_BYTES + EVENT_BYTES, .wakes = 1, .oldest_ms = 1,
             .channels = 1},
     .channel = {ONE_EVENT, TOOK_ONE, AFTER_1MS, .streams = 1, .oldest_ms = 1}},
    {.name = "in step, the second of two channels",
     .script = "m?ra1r",
     .hub = {LISTENING, ONE_EVENT, ONE_OF_HUB, AFTER_1MS, .delivered_events = 1,
             .delivered_bytes = OPENED_BYTES + EVENT_BYTES, .wakes = 1, .oldest_ms = 1,
             .channels = 2},
     .channel = {ONE_EVENT, TOOK_ONE, AFTER_1MS, .streams = 1, .oldest_ms = 1}},
    {.name = "in step, the other channel",
     .script = "m?rb1r",
     .hub = {LISTENING, ONE_EVENT, ONE_OF_HUB, AFTER_1MS, .delivered_events = 1,
             .delivered_bytes = OPENED_BYTES + EVENT_BYTES, .wakes = 1, .oldest_ms = 1,
             .channels = 2},
     .channel = {.streams = 1}},
    {.name = "alone",
     .script = "L?sa1s",
     .hub = {LISTENING, ONE_EVENT, ONE_OF_HUB, AFTER_1MS, .delivered_events = 1,
             .delivered_bytes = OPENED_BYTES + EVENT_BYTES, .oldest_ms = 1, .channels = 1},
     .channel = {ONE_EVENT, TOOK_ONE, AFTER_1MS, .streams = 1, .oldest_ms = 1}},
    {.name = "alone, the other channel",
     .script = "M?sb1s",
     .hub = {LISTENING, ONE_EVENT, ONE_OF_HUB, AFTER_1MS, .delivered_events = 1,
             .delivered_bytes = OPENED_BYTES + EVENT_BYTES, .oldest_ms = 1, .channels = 2},
     .channel = {.streams = 1}},
    {.name = "a byte of an event is no event",
     .script = "Lsa1h",
     .hub = {LISTENING, ONE_EVENT, ONE_OF_HUB, .delivered_bytes = OPENED_BYTES + 1, .oldest_ms = 1,
             .channels = 1},
     .channel = {ONE_EVENT, .streams = 1, .oldest_ms = 1}},
    {.name = "behind, in a loop, so not in step",
     .script = "la1r",
     .hub = {LISTENING, ONE_EVENT, ONE_OF_HUB, AFTER_1MS, .delivered_events = 1,
             .delivered_bytes = OPENED_BYTES + EVENT_BYTES, .wakes = 1, .oldest_ms = 1,
             .channels = 1},
     .channel = {ONE_EVENT, TOOK_ONE, .streams = 1, .oldest_ms = 1}},
    {.name = "taken after the detach: of the hub, no more of the channel",
     .script = "Lsa1dk",
     .hub = {ONE_EVENT, ONE_OF_HUB, AFTER_1MS, .positions = 1, .opened[SSE_VERDICT_NONE] = 1,
             .closed[0] = 1, .delivered_events = 1, .delivered_bytes = OPENED_BYTES + EVENT_BYTES,
             .oldest_ms = 1, .channels = 1},
     .channel = {ONE_EVENT, .oldest_ms = 1}},
    {.name = "a replay is not measured",
     .script = "a1L?s",
     .stream.last_id = "E.0",
     .hub = {ONE_EVENT, ONE_OF_HUB, .positions = 1, .opened[SSE_VERDICT_RESUMED] = 1, .streams = 1,
             .delivered_events = 1, .delivered_bytes = OPENED_BYTES + EVENT_BYTES, .oldest_ms = 1,
             .channels = 1},
     .channel = {ONE_EVENT, TOOK_ONE, .streams = 1, .oldest_ms = 1}},
    {.name = "a heartbeat, in step",
     .script = "lr9rr",
     .config.heartbeat_ms = 1000,
     .hub = {LISTENING, .heartbeats = 1, .delivered_bytes = OPENED_BYTES + LEN(HEARTBEAT),
             .channels = 1},
     .channel = {.streams = 1}},
    {.name = "a heartbeat, alone",
     .script = "Ls9s",
     .config.heartbeat_ms = 1000,
     .hub = {LISTENING, .heartbeats = 1, .delivered_bytes = OPENED_BYTES + LEN(HEARTBEAT),
             .channels = 1},
     .channel = {.streams = 1}},
    {.name = "a position in place of a heartbeat",
     .script = "lrb9rr",
     .config.heartbeat_ms = 1000,
     .hub = {ONE_EVENT, ONE_OF_HUB, .positions = 2, .opened[SSE_VERDICT_NONE] = 1, .streams = 1,
             .delivered_bytes = 2 * OPENED_BYTES, .oldest_ms = 1000, .channels = 2},
     .channel = {.streams = 1}},
    {.name = "a wake that fails, and is tried again",
     .script = "lrwab",
     .hub = {LISTENING, .published_events = 2, .published_bytes = 2 * EVENT_BYTES,
             .window_frames = 2, .window_bytes = 2 * FRAME, .head = 2, .memory_bytes = 2 * FRAME,
             .delivered_bytes = OPENED_BYTES, .wakes = 2, .wakes_failed = 1, .channels = 2},
     .channel = {ONE_EVENT, .streams = 1, .lag_events = 1}},
    {.name = "a loop that does not come",
     .script = "lra1a1",
     .hub = {LISTENING, .published_events = 2, .published_bytes = 2 * EVENT_BYTES,
             .window_frames = 2, .window_bytes = 2 * FRAME, .head = 2, .memory_bytes = 2 * FRAME,
             .delivered_bytes = OPENED_BYTES, .wakes = 1, .oldest_ms = 2, .lag_ms = 2,
             .channels = 1},
     .channel = {.published_events = 2,
                 .published_bytes = 2 * EVENT_BYTES,
                 .window_frames = 2,
                 .window_bytes = 2 * FRAME,
                 .streams = 1,
                 .oldest_ms = 2,
                 .lag_ms = 2,
                 .lag_events = 2}},
    {.name = "a loop in a round that began before",
     .script = "lra1n1a1",
     .hub = {LISTENING, .published_events = 2, .published_bytes = 2 * EVENT_BYTES,
             .window_frames = 2, .window_bytes = 2 * FRAME, .head = 2, .memory_bytes = 2 * FRAME,
             .delivered_bytes = OPENED_BYTES, .wakes = 1, .oldest_ms = 3, .lag_ms = 1,
             .channels = 1},
     .channel = {.published_events = 2,
                 .published_bytes = 2 * EVENT_BYTES,
                 .window_frames = 2,
                 .window_bytes = 2 * FRAME,
                 .streams = 1,
                 .oldest_ms = 3,
                 .lag_ms = 1,
                 .lag_events = 1}},
};

static void what_is_delivered(void **state) {
  (void)state;
  run_rows(deliver_rows, COUNT(deliver_rows));
}

/* ---- gaps, and where streams start ---- */

#define OPENING_GAP(reason, requested)                                                             \
  GAP_OF(reason, "\"requested\":\"" requested "\",\"resume\":\"E.2\",\"channels\":[\"a\"]", "E.2")

/* Three events, of which the last is retained; the opening gap is read, and what follows it. */
#define THREE                                                                                      \
  .published_events = 3, .published_bytes = 3 * EVENT_BYTES, .evicted_frames = 2,                  \
  .window_frames = 1, .window_bytes = FRAME, .streams = 1
#define THREE_OF_HUB .head = 3, .channels = 1, .memory_bytes = FRAME

static const struct row gap_rows[] = {
    {.name = "evicted",
     .script = "aaaLs",
     .config.channel.window_frames_max = 1,
     .stream.last_id = "E.1",
     .hub = {THREE, THREE_OF_HUB, .gaps[SSE_GAP_EVICTED] = 1, .opened[SSE_VERDICT_EVICTED] = 1,
             .delivered_events = 1,
             .delivered_bytes = LEN(OPENING_GAP("evicted", "E.1")) + EVENT_BYTES},
     .channel = {THREE, TOOK_ONE}},
    {.name = "restart",
     .script = "aaaLs",
     .config.channel.window_frames_max = 1,
     .stream.last_id = "F.1",
     .hub = {THREE, THREE_OF_HUB, .gaps[SSE_GAP_RESTART] = 1, .opened[SSE_VERDICT_RESTART] = 1,
             .delivered_events = 1,
             .delivered_bytes = LEN(OPENING_GAP("restart", "F.1")) + EVENT_BYTES},
     .channel = {THREE, TOOK_ONE}},
    {.name = "unknown",
     .script = "aaaLs",
     .config.channel.window_frames_max = 1,
     .stream.last_id = "mine",
     .hub = {THREE, THREE_OF_HUB, .gaps[SSE_GAP_UNKNOWN] = 1, .opened[SSE_VERDICT_UNKNOWN] = 1,
             .delivered_events = 1,
             .delivered_bytes = LEN(OPENING_GAP("unknown", "mine")) + EVENT_BYTES},
     .channel = {THREE, TOOK_ONE}},
    {.name = "future",
     .script = "aaaL",
     .config.channel.window_frames_max = 1,
     .stream.last_id = "E.9",
     .hub = {THREE, THREE_OF_HUB, .gaps[SSE_GAP_FUTURE] = 1, .opened[SSE_VERDICT_FUTURE] = 1},
     .channel = {THREE}},
    {.name = "malformed",
     .script = "aaaL",
     .config.channel.window_frames_max = 1,
     .stream.last_id = "E.01",
     .hub = {THREE, THREE_OF_HUB, .gaps[SSE_GAP_MALFORMED] = 1, .opened[SSE_VERDICT_MALFORMED] = 1},
     .channel = {THREE}},
    {.name = "slow",
     .script = "Lsaaas",
     .config.channel.window_frames_max = 1,
     .hub = {THREE, THREE_OF_HUB, .gaps[SSE_GAP_SLOW] = 1, .lost_events = 2, .positions = 1,
             .opened[SSE_VERDICT_NONE] = 1, .latency[0] = 1, .delivered_events = 1,
             .delivered_bytes =
                 OPENED_BYTES + EVENT_BYTES +
                 LEN(GAP_OF("slow", "\"resume\":\"E.2\",\"channels\":[\"a\"],\"lost\":2", "E.2"))},
     .channel = {THREE, TOOK_ONE}},
};

static void gaps_by_reason(void **state) {
  (void)state;
  run_rows(gap_rows, COUNT(gap_rows));
}

/* ---- ends ---- */

/* Each script ends a stream of a and frees it; the opening is read where it says so. */
#define OPENED_ONCE .opened[SSE_VERDICT_NONE] = 1, .channels = 1
#define READ_ONCE   .positions = 1, .delivered_bytes = OPENED_BYTES

static const struct row end_rows[] = {
    {.name = "the host", .script = "lrk", .hub = {OPENED_ONCE, READ_ONCE, .closed[0] = 1}},
    {.name = "alone, the host", .script = "Lsk", .hub = {OPENED_ONCE, READ_ONCE, .closed[0] = 1}},
    {.name = "stalled",
     .script = "l9rk",
     .config.stall_ms = 1000,
     .hub = {OPENED_ONCE, .closed[-SSE_ESTALLED] = 1}},
    {.name = "alone, stalled, and the host has not seen it",
     .script = "L9Tk",
     .config.stall_ms = 1000,
     .hub = {OPENED_ONCE, .closed[-SSE_ESTALLED] = 1}},
    {.name = "of age",
     .script = "lr9rk",
     .config.age_max_ms = 1000,
     .hub = {OPENED_ONCE, READ_ONCE, .closed[-SSE_EAGED] = 1}},
    {.name = "closed by the client",
     .script = "Lfk",
     .answer = SSE_ECLOSED,
     .hub = {OPENED_ONCE, .closed[-SSE_ECLOSED] = 1}},
    {.name = "a transport that fails",
     .script = "Lfk",
     .answer = SSE_EIO,
     .hub = {OPENED_ONCE, .closed[-SSE_EIO] = 1}},
    {.name = "a transport that is wrong",
     .script = "Lfk",
     .answer = 0,
     .hub = {OPENED_ONCE, .closed[-SSE_ECALLBACK] = 1}},
    {.name = "slow",
     .script = "Lsaaask",
     .config.channel.window_frames_max = 1,
     .stream.slow = SSE_SLOW_CLOSE,
     .hub = {OPENED_ONCE, READ_ONCE, .closed[-SSE_ESLOW] = 1, .published_events = 3,
             .published_bytes = 3 * EVENT_BYTES, .evicted_frames = 2, .window_frames = 1,
             .window_bytes = FRAME, .memory_bytes = FRAME, .head = 3},
     .channel = {.published_events = 3,
                 .published_bytes = 3 * EVENT_BYTES,
                 .evicted_frames = 2,
                 .window_frames = 1,
                 .window_bytes = FRAME}},
    {.name = "pinned",
     .script = "Lsaaapaaak",
     .config = {.memory_max_bytes = FRAME * 8,
                .event_max_bytes = FRAME,
                .channel.window_frames_max = 3},
     .hub = {OPENED_ONCE, READ_ONCE, .closed[-SSE_EPINNED] = 1, .published_events = 6,
             .published_bytes = 6 * EVENT_BYTES, .evicted_frames = 3, .window_frames = 3,
             .window_bytes = 3 * FRAME, .memory_bytes = 3 * FRAME, .head = 6},
     .channel = {.published_events = 6,
                 .published_bytes = 6 * EVENT_BYTES,
                 .evicted_frames = 3,
                 .window_frames = 3,
                 .window_bytes = 3 * FRAME}},
};

static void ends_by_reason(void **state) {
  (void)state;
  run_rows(end_rows, COUNT(end_rows));
  /* A code that is not in the struct would be counted behind it. */
#define FITS(name, value, text) assert_true(-(value) < SSE_STATS_CODES_MAX);
  SSE_ERRORS(FITS)
#undef FITS
  assert_true(SSE_VERDICT_MALFORMED < SSE_STATS_OPENS_MAX);
  assert_true(SSE_GAP_SLOW < SSE_STATS_GAPS_MAX);
}

/* ---- the histogram ---- */

static void places_of_latencies(void **state) {
  static const struct {
    int64_t ns;
    unsigned place;
  } rows[] = {{-1, 0},
              {0, 0},
              {1000, 0},
              {1001, 1},
              {2000, 1},
              {2001, 2},
              {4000, 2},
              {1024000, 10},
              {1024001, 11},
              {INT64_C(33554432000), 25},
              {INT64_C(33554432001), 26},
              {INT64_MAX, 26}};
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    if (sse__latency_place(rows[i].ns) != rows[i].place) fail_msg("row %zu", i);
  }
}

/* One clock for 32 streams would show all of them the time of the first. */
static int64_t ticking_clock(void *arg) {
  int64_t *ns = arg;
  return *ns += 1000000000; /* each look takes a second */
}

static void a_long_round_looks_at_the_clock(void **state) {
  enum {
    CROWD = 96
  };
  (void)state;
  int64_t ns = 0;
  const sse_hub_config config = {.clock = ticking_clock,
                                 .clock_arg = &ns,
                                 .heartbeat_ms = SSE_NEVER,
                                 .stall_ms = SSE_NEVER,
                                 .alloc = world_alloc};
  sse_hub *hub;
  sse_loop *loop;
  struct wakes wakes = {0};
  sse_stream *streams[CROWD], *stream;
  sse_stats stats;
  assert_int_equal(sse_hub_new(&hub, &config), SSE_OK);
  assert_int_equal(sse_loop_new(&loop, hub, world_wake, &wakes), SSE_OK);
  for (size_t i = 0; i < CROWD; i++) {
    const sse_stream_config of_stream = {.channel = "a", .loop = loop};
    assert_int_equal(sse_stream_open(&streams[i], hub, &of_stream), SSE_OK);
  }
  while ((stream = sse_loop_next(loop))) world_read(stream);
  assert_int_equal(sse_hub_send(hub, "a", NULL, "x"), SSE_OK);
  while ((stream = sse_loop_next(loop))) world_read(stream);
  assert_int_equal(sse_hub_stats(hub, NULL, &stats), SSE_OK);
  assert_int_equal(stats.delivered_events, CROWD);
  /* The round begins one second after the publish; every 32 streams another one has passed. */
  for (unsigned seconds = 1, place = 20; seconds <= 3; seconds++, place++) {
    assert_int_equal(stats.latency[place], 32);
  }
  assert_int_equal(stats.latency_sum_ns / 1000000000, 32 * (1 + 2 + 3));
  for (size_t i = 0; i < CROWD; i++) sse_stream_free(streams[i]);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  assert_int_equal(sse_hub_free(hub), SSE_OK);
  assert_int_equal(world_blocks(), 0);
}

/* Without memory the channel, or the feed, is measured from a later call, or a later round, on. */
static void without_memory_it_is_measured_later(void **state) {
  (void)state;
  struct setting s;
  sse_stats stats;
  open_setting(&s, true, NULL, &(sse_stream_config){.channel = "a"});
  world_fail(1, true);
  assert_int_equal(sse_hub_stats(s.world.hub, "a", &stats), SSE_OK);
  world_fail(0, false);
  world_send(&s.world, "a", "1");
  round_of(&s);
  assert_int_equal(sse_hub_stats(s.world.hub, "a", &stats), SSE_OK);
  assert_int_equal(stats.delivered_events, 1);
  assert_int_equal(stats.latency[0], 0);
  world_send(&s.world, "a", "2");
  world_fail(1, true);
  round_of(&s);
  world_fail(0, false);
  assert_int_equal(sse_hub_stats(s.world.hub, "a", &stats), SSE_OK);
  assert_int_equal(stats.delivered_events, 2);
  assert_int_equal(stats.latency[0], 0);
  world_send(&s.world, "a", "3");
  round_of(&s);
  assert_int_equal(sse_hub_stats(s.world.hub, "a", &stats), SSE_OK);
  assert_int_equal(stats.delivered_events, 3);
  assert_int_equal(stats.latency[0], 1);
  close_setting(&s);
}

/* ---- the lag of several loops ---- */

/* The loop that is most behind tells it, whichever of the others have gone. */
static void lag_of_those_who_are_left(void **state) {
  (void)state;
  enum {
    LOOPS = 3
  };
  static const int orders[][LOOPS] = {{0, 1, 2}, {1, 0, 2}, {2, 1, 0}, {1, 2, 0}};
  struct world world = {0};
  struct wakes wakes = {0};
  world_open(&world, &(sse_hub_config){.stall_ms = SSE_NEVER});
  for (size_t row = 0; row < COUNT(orders); row++) {
    sse_loop *loops[LOOPS];
    sse_stream *streams[LOOPS];
    sse_stats stats;
    /* Each has a channel of its own; the first waits for longest. */
    for (int i = 0; i < LOOPS; i++) {
      const char name[] = {(char)('a' + i), '\0'};
      assert_int_equal(sse_loop_new(&loops[i], world.hub, world_wake, &wakes), SSE_OK);
      streams[i] = world_stream(&world, name, NULL, loops[i]);
    }
    for (int i = 0; i < LOOPS; i++) {
      const char name[] = {(char)('a' + i), '\0'};
      world_send(&world, name, "x");
      world.now_ms += 1;
    }
    bool left[LOOPS] = {true, true, true};
    for (int freed = 0; freed < LOOPS; freed++) {
      int most = left[0] ? 0 : left[1] ? 1 : 2;
      assert_int_equal(sse_hub_stats(world.hub, NULL, &stats), SSE_OK);
      assert_int_equal(stats.loops, LOOPS - freed);
      assert_int_equal(stats.lag_ms, LOOPS - most);
      sse_stream_free(streams[orders[row][freed]]);
      assert_int_equal(sse_loop_free(loops[orders[row][freed]]), SSE_OK);
      left[orders[row][freed]] = false;
    }
    assert_int_equal(sse_hub_stats(world.hub, NULL, &stats), SSE_OK);
    assert_int_equal(stats.lag_ms, 0);
  }
  world_close(&world);
}

/* ---- refusals ---- */

static void refusals(void **state) {
  (void)state;
  static const struct {
    const char *channel;
    int error;
  } rows[] = {{"b", SSE_ENOTFOUND}, {"", SSE_ENOTFOUND}, {"a\n", SSE_ENOTFOUND}, {"a", SSE_OK}};
  struct world world = {0};
  sse_stats stats, untouched;
  world_open(&world, NULL);
  world_send(&world, "a", "1");
  memset(&untouched, 0x5a, sizeof untouched);
  for (size_t i = 0; i < COUNT(rows); i++) {
    memcpy(&stats, &untouched, sizeof stats);
    assert_int_equal(sse_hub_stats(world.hub, rows[i].channel, &stats), rows[i].error);
    bool same = memcmp(&stats, &untouched, sizeof stats) == 0;
    assert_int_equal(same, rows[i].error != SSE_OK);
  }
  assert_int_equal(sse_hub_stats(NULL, NULL, &stats), SSE_EINVAL);
  assert_int_equal(sse_hub_stats(world.hub, NULL, NULL), SSE_EINVAL);
  world_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_published_and_retained),
      cmocka_unit_test(what_is_delivered),
      cmocka_unit_test(gaps_by_reason),
      cmocka_unit_test(ends_by_reason),
      cmocka_unit_test(places_of_latencies),
      cmocka_unit_test(a_long_round_looks_at_the_clock),
      cmocka_unit_test(without_memory_it_is_measured_later),
      cmocka_unit_test(lag_of_those_who_are_left),
      cmocka_unit_test(refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
