/* SPDX-License-Identifier: MIT */
/* crash.h: what the crash test and the program that it kills have in common. */
#ifndef TESTS_ENGINES_CRASH_H
#define TESTS_ENGINES_CRASH_H

#include <sse/hub.h>

enum {
  CRASH_THREADS_MAX = 8,
  CRASH_PADDING_MAX = 3000,
  /* Entries are removed all the time, but never any of this round or of the one before. */
  CRASH_EVENTS_MAX = 3200, /* of one round */
  CRASH_ENTRIES_MAX = 7000,
  CRASH_FRAMES = 9000
};

static const sse_hub_config crash_hub = {
    .channel = {.window_frames_max = CRASH_FRAMES, .window_bytes_max = SIZE_MAX}};

#endif
