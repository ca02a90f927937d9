/* SPDX-License-Identifier: MIT */
/* feeder.c: gives a hub the entries of a log, and never stops at one. */
#include "feeder.h"

#include <time.h>

enum {
  WINDOW_FRAMES = 1024, /* default of sse_channel_config */
  PACE_EVENTS = 32,     /* events between two looks at the lag */
  PACE_MS = 1000,       /* longest wait for hosts that are behind, until they are not any more */
  PATIENCE_MS = 1000,   /* longest time of further attempts, until one succeeds */
  MOMENT_MS = 2
};

static void wait_a_moment(int *left_ms) {
  const struct timespec moment = {.tv_nsec = MOMENT_MS * 1000000};
  nanosleep(&moment, NULL);
  *left_ms -= MOMENT_MS;
}

void feeder_init(struct feeder *feeder, sse_hub *hub, const sse_hub_config *hub_config) {
  size_t frames = hub_config->channel.window_frames_max;
  feeder->hub = hub;
  feeder->lag_max = (frames ? frames : WINDOW_FRAMES) / 4;
  feeder->unpaced = 0;
  feeder->pace_left_ms = PACE_MS;
  feeder->patience_left_ms = PATIENCE_MS;
  feeder->head = hub_config->start_after;
}

/* A host that does not come back is waited for once, not for each event. */
static void pace(struct feeder *feeder) {
  if (++feeder->unpaced < PACE_EVENTS) return;
  feeder->unpaced = 0;
  while (sse_hub_lag(feeder->hub) > feeder->lag_max) {
    if (feeder->pace_left_ms <= 0) return;
    wait_a_moment(&feeder->pace_left_ms);
  }
  feeder->pace_left_ms = PACE_MS;
}

static int publish_patiently(struct feeder *feeder, const char *const *channels,
                             const sse_event *ev) {
  for (;;) {
    int error = sse_hub_publish_to(feeder->hub, channels, ev);
    if (error != SSE_EFULL && error != SSE_ENOMEM) {
      feeder->patience_left_ms = PATIENCE_MS;
      return error;
    }
    if (feeder->patience_left_ms <= 0) return error;
    wait_a_moment(&feeder->patience_left_ms);
  }
}

/* What another hub, with more memory or with other limits, could have taken. */
static int is_lost(int error) {
  return error == SSE_EFULL || error == SSE_ENOMEM || error == SSE_ETOOBIG ||
         error == SSE_ECHANNELS;
}

void feeder_prepare(const struct feeder *feeder, const char *const *channels) {
  if (feeder->prepare) feeder->prepare(feeder->prepare_arg, feeder->hub, channels);
}

void feeder_seen(const struct feeder *feeder, const char *const *channels, const sse_event *ev) {
  if (feeder->seen) feeder->seen(feeder->seen_arg, feeder->hub, channels, ev);
}

int feeder_give(struct feeder *feeder, const struct entry *entry) {
  uint64_t number = entry->event.number;
  if (number <= feeder->head) return 0;
  pace(feeder);
  feeder_prepare(feeder, entry->channels);
  int error = publish_patiently(feeder, entry->channels, &entry->event);
  if (is_lost(error)) {
    sse_hub_skip(feeder->hub, number);
    feeder->skipped++;
    error = 0;
  } else if (error) {
    sse_hub_advance(feeder->hub, number);
    feeder->refused++;
  }
  feeder->head = number;
  if (!error) feeder_seen(feeder, entry->channels, &entry->event);
  return error;
}

void feeder_pass(struct feeder *feeder, uint64_t number) {
  sse_hub_advance(feeder->hub, number);
  feeder->head = number;
}

void feeder_skip(struct feeder *feeder, uint64_t number) {
  sse_hub_skip(feeder->hub, number);
  feeder->head = number;
}

void feeder_reset(struct feeder *feeder, const char *epoch, uint64_t number) {
  sse_hub_reset(feeder->hub, epoch, number);
  feeder->histories++;
  feeder->head = number;
}
