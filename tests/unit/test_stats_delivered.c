/* SPDX-License-Identifier: MIT */
/* test_stats_delivered.c: the numbers of a hub and a channel: what is delivered, in step and not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "play.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define MS        UINT64_C(1000000) /* in nanoseconds */
#define PLACE_1MS 10                /* up to 1.024 ms */
#define AFTER_1MS .latency[PLACE_1MS] = 1, .latency_sum_ns = MS

static const struct play_row deliver_rows[] = {
    {.name = "in step",
     .script = "lra1r",
     .hub = {LISTENING, ONE_EVENT, ONE_OF_HUB, AFTER_1MS, .delivered_events = 1,
             .delivered_bytes = OPENED_BYTES + EVENT_BYTES, .wakes = 1, .oldest_ms = 1,
             .channels = 1},
     .channel = {ONE_EVENT, TOOK_ONE, .streams = 1, .oldest_ms = 1}},
    {.name = "in step, while the round lasts",
     .script = "lra1n",
     .hub = {LISTENING, ONE_EVENT, ONE_OF_HUB, .delivered_bytes = OPENED_BYTES, .wakes = 1,
             .oldest_ms = 1, .channels = 1, .lag_events = 1, .lag_ms = 1},
     .channel = {ONE_EVENT, .streams = 1, .oldest_ms = 1, .lag_events = 1, .lag_ms = 1}},
    {.name = "in step, the loop freed before the round was over",
     .script = "lra1nkx",
     .hub = {ONE_EVENT, ONE_OF_HUB, AFTER_1MS, .positions = 1, .opened[SSE_RESUME_NONE] = 1,
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
             .channels = 1, .lag_events = 1},
     .channel = {ONE_EVENT, .streams = 1, .oldest_ms = 1, .lag_ms = 1, .lag_events = 1}},
    {.name = "behind, in a loop, so not in step",
     .script = "la1r",
     .hub = {LISTENING, ONE_EVENT, ONE_OF_HUB, AFTER_1MS, .delivered_events = 1,
             .delivered_bytes = OPENED_BYTES + EVENT_BYTES, .wakes = 1, .oldest_ms = 1,
             .channels = 1},
     .channel = {ONE_EVENT, TOOK_ONE, .streams = 1, .oldest_ms = 1}},
    {.name = "taken after the detach: of the hub, no more of the channel",
     .script = "Lsa1dk",
     .hub = {ONE_EVENT, ONE_OF_HUB, AFTER_1MS, .positions = 1, .opened[SSE_RESUME_NONE] = 1,
             .closed[0] = 1, .delivered_events = 1, .delivered_bytes = OPENED_BYTES + EVENT_BYTES,
             .oldest_ms = 1, .channels = 1},
     .channel = {ONE_EVENT, .oldest_ms = 1}},
    {.name = "a replay is not measured",
     .script = "a1L?s",
     .stream.last_id = "E.0",
     .hub = {ONE_EVENT, ONE_OF_HUB, .positions = 1, .opened[SSE_RESUME_RESUMED] = 1, .streams = 1,
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
     .hub = {ONE_EVENT, ONE_OF_HUB, .positions = 2, .opened[SSE_RESUME_NONE] = 1, .streams = 1,
             .delivered_bytes = 2 * OPENED_BYTES, .oldest_ms = 1000, .channels = 2},
     .channel = {.streams = 1}},
    {.name = "a wake that fails, and is tried again",
     .script = "lrwab",
     .hub = {LISTENING, .published_events = 2, .published_bytes = 2 * EVENT_BYTES,
             .window_frames = 2, .window_bytes = 2 * FRAME, .head = 2, .memory_bytes = 2 * FRAME,
             .delivered_bytes = OPENED_BYTES, .wakes = 2, .wakes_failed = 1, .channels = 2,
             .lag_events = 2},
     .channel = {ONE_EVENT, .streams = 1, .lag_events = 1}},
    {.name = "a loop that does not come",
     .script = "lra1a1",
     .hub = {LISTENING, .published_events = 2, .published_bytes = 2 * EVENT_BYTES,
             .window_frames = 2, .window_bytes = 2 * FRAME, .head = 2, .memory_bytes = 2 * FRAME,
             .delivered_bytes = OPENED_BYTES, .wakes = 1, .oldest_ms = 2, .lag_ms = 2,
             .channels = 1, .lag_events = 2},
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
             .delivered_bytes = OPENED_BYTES, .wakes = 1, .oldest_ms = 3, .lag_ms = 3,
             .channels = 1, .lag_events = 2},
     .channel = {.published_events = 2,
                 .published_bytes = 2 * EVENT_BYTES,
                 .window_frames = 2,
                 .window_bytes = 2 * FRAME,
                 .streams = 1,
                 .oldest_ms = 3,
                 .lag_ms = 3,
                 .lag_events = 2}},
};

static void what_is_delivered(void **state) {
  (void)state;
  play_rows(deliver_rows, COUNT(deliver_rows));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_delivered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
