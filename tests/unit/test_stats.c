/* SPDX-License-Identifier: MIT */
/* test_stats.c: the numbers of a hub and a channel: what is published and retained, gaps and ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "play.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- publishing, and what is retained ---- */

static const struct play_row publish_rows[] = {
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
             .opened[SSE_RESUME_NONE] = 1,
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
     .hub = {.lag_events = 2,
             .published_events = 2,
             .published_bytes = 2 * EVENT_BYTES,
             .delivered_bytes = OPENED_BYTES,
             .evicted_frames = 1,
             .positions = 1,
             .opened[SSE_RESUME_NONE] = 1,
             .streams = 1,
             .window_frames = 1,
             .window_bytes = FRAME,
             .head = 2,
             .channels = 1,
             .memory_bytes = 2 * FRAME,
             .pinned_bytes = FRAME},
     .channel = {.lag_events = 1,
                 .published_events = 2,
                 .published_bytes = 2 * EVENT_BYTES,
                 .evicted_frames = 1,
                 .streams = 1,
                 .window_frames = 1,
                 .window_bytes = FRAME}},
    {.name = "a stream holds all there is, so nothing can be let go, and the next finds no room",
     .script = "Lsaaaaaaaaap#",
     .config = {.memory_bytes_max = 9 * FRAME, .event_bytes_max = FRAME},
     .hub = {.lag_events = 9,
             .published_events = 9,
             .published_bytes = 9 * EVENT_BYTES,
             .delivered_bytes = OPENED_BYTES,
             .full = 1,
             .positions = 1,
             .opened[SSE_RESUME_NONE] = 1,
             .streams = 1,
             .window_frames = 9,
             .window_bytes = 9 * FRAME,
             .head = 9,
             .channels = 1,
             .memory_bytes = 9 * FRAME},
     .channel = {.lag_events = 9,
                 .published_events = 9,
                 .published_bytes = 9 * EVENT_BYTES,
                 .streams = 1,
                 .window_frames = 9,
                 .window_bytes = 9 * FRAME}},
};

static void what_is_published_and_retained(void **state) {
  (void)state;
  play_rows(publish_rows, COUNT(publish_rows));
}

/* ---- gaps, and where streams start ---- */

#define OPENING_GAP(reason, requested)                                                             \
  GAP_OF(reason, "\"requested\":\"" requested "\",\"resume\":\"E.2\",\"channels\":[\"a\"]", "E.2")

/* Three events, of which the last is retained; the opening gap is read, and what follows it. */
#define THREE                                                                                      \
  .published_events = 3, .published_bytes = 3 * EVENT_BYTES, .evicted_frames = 2,                  \
  .window_frames = 1, .window_bytes = FRAME, .streams = 1
#define THREE_OF_HUB .head = 3, .channels = 1, .memory_bytes = FRAME

static const struct play_row gap_rows[] = {
    {.name = "evicted",
     .script = "aaaLs",
     .config.channel.window_frames_max = 1,
     .stream.last_id = "E.1",
     .hub = {THREE, THREE_OF_HUB, .gaps[SSE_GAP_EVICTED] = 1, .opened[SSE_RESUME_EVICTED] = 1,
             .delivered_events = 1,
             .delivered_bytes = LEN(OPENING_GAP("evicted", "E.1")) + EVENT_BYTES},
     .channel = {THREE, TOOK_ONE}},
    {.name = "restart",
     .script = "aaaLs",
     .config.channel.window_frames_max = 1,
     .stream.last_id = "F.1",
     .hub = {THREE, THREE_OF_HUB, .gaps[SSE_GAP_RESTART] = 1, .opened[SSE_RESUME_RESTART] = 1,
             .delivered_events = 1,
             .delivered_bytes = LEN(OPENING_GAP("restart", "F.1")) + EVENT_BYTES},
     .channel = {THREE, TOOK_ONE}},
    {.name = "unknown",
     .script = "aaaLs",
     .config.channel.window_frames_max = 1,
     .stream.last_id = "mine",
     .hub = {THREE, THREE_OF_HUB, .gaps[SSE_GAP_UNKNOWN] = 1, .opened[SSE_RESUME_UNKNOWN] = 1,
             .delivered_events = 1,
             .delivered_bytes = LEN(OPENING_GAP("unknown", "mine")) + EVENT_BYTES},
     .channel = {THREE, TOOK_ONE}},
    {.name = "future",
     .script = "aaaL",
     .config.channel.window_frames_max = 1,
     .stream.last_id = "E.9",
     .hub = {THREE, THREE_OF_HUB, .gaps[SSE_GAP_FUTURE] = 1, .opened[SSE_RESUME_FUTURE] = 1},
     .channel = {THREE}},
    {.name = "malformed",
     .script = "aaaL",
     .config.channel.window_frames_max = 1,
     .stream.last_id = "E.01",
     .hub = {THREE, THREE_OF_HUB, .gaps[SSE_GAP_MALFORMED] = 1, .opened[SSE_RESUME_MALFORMED] = 1},
     .channel = {THREE}},
    {.name = "slow",
     .script = "Lsaaas",
     .config.channel.window_frames_max = 1,
     .hub = {THREE, THREE_OF_HUB, .gaps[SSE_GAP_SLOW] = 1, .lost_events = 2, .positions = 1,
             .opened[SSE_RESUME_NONE] = 1, .latency[0] = 1, .delivered_events = 1,
             .delivered_bytes =
                 OPENED_BYTES + EVENT_BYTES +
                 LEN(GAP_OF("slow", "\"resume\":\"E.2\",\"channels\":[\"a\"],\"lost\":2", "E.2"))},
     .channel = {THREE, TOOK_ONE}},
};

static void gaps_by_reason(void **state) {
  (void)state;
  play_rows(gap_rows, COUNT(gap_rows));
}

/* ---- ends ---- */

/* Each script ends a stream of a and frees it; the opening is read where it says so. */
#define OPENED_ONCE .opened[SSE_RESUME_NONE] = 1, .channels = 1
#define READ_ONCE   .positions = 1, .delivered_bytes = OPENED_BYTES

static const struct play_row end_rows[] = {
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
     .config.age_ms_max = 1000,
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
     .config = {.memory_bytes_max = FRAME * 8,
                .event_bytes_max = FRAME,
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
  play_rows(end_rows, COUNT(end_rows));
  /* A code that is not in the struct would be counted behind it. */
#define FITS(name, value, text) assert_true(-(value) < SSE_STATS_CODES_MAX);
  SSE_ERRORS(FITS)
#undef FITS
  assert_true(SSE_RESUME_MALFORMED < SSE_STATS_OPENS_MAX);
  assert_true(SSE_GAP_SLOW < SSE_STATS_GAPS_MAX);
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
      cmocka_unit_test(gaps_by_reason),
      cmocka_unit_test(ends_by_reason),
      cmocka_unit_test(refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
