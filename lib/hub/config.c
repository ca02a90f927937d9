/* SPDX-License-Identifier: MIT */
/* config.c: a hub's configuration, checked and with every default filled in. */
#include "hub/config.h"

#include "hub/frame.h"
#include "util/os.h"
#include "wire/format.h"

#define KIB ((size_t)1024)
#define MIB (KIB * KIB)

#define DEFAULT(subscription, value)                                                               \
  do {                                                                                             \
    if (!(subscription)) (subscription) = (value);                                                 \
  } while (0)

bool sse__time_valid(int32_t ms) {
  return ms >= SSE_NEVER;
}

bool sse__reserved_unused(void *const *reserved, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (reserved[i]) return false;
  }
  return true;
}

bool sse__channel_config_valid(const sse_channel_config *config) {
  for (size_t i = 0; i < sizeof config->reserved / sizeof *config->reserved; i++) {
    if (config->reserved[i]) return false;
  }
  return sse__time_valid(config->window_age_ms) && config->conflate >= SSE_NEVER &&
         config->conflate <= 1;
}

static void fill_limits(sse_hub_config *c) {
  DEFAULT(c->memory_max_bytes, 64 * MIB);
  DEFAULT(c->event_max_bytes,
          c->memory_max_bytes / 8 < 256 * KIB ? c->memory_max_bytes / 8 : 256 * KIB);
  DEFAULT(c->channels_max, 65536);
  DEFAULT(c->streams_max, 1048576);
  DEFAULT(c->stream_channels_max, 256);
  DEFAULT(c->ghosts_max, 65536);
  DEFAULT(c->tag_streams_max, UINT32_MAX);
  DEFAULT(c->channel.streams_max, UINT32_MAX);
  DEFAULT(c->channel.window_frames_max, 1024);
  DEFAULT(c->channel.window_bytes_max, 4 * MIB);
  DEFAULT(c->channel.window_age_ms, SSE_NEVER);
  DEFAULT(c->channel.conflate, SSE_NEVER);
}

static void fill_times(sse_hub_config *c) {
  DEFAULT(c->channel_idle_ms, 300000);
  DEFAULT(c->heartbeat_ms, 15000);
  DEFAULT(c->stall_ms, 60000);
  DEFAULT(c->age_max_ms, SSE_NEVER);
  DEFAULT(c->retry_ms, 2000);
}

static void fill_callbacks(sse_hub_config *c) {
  DEFAULT(c->gap_type, "gap");
  DEFAULT(c->position_type, "sse-position");
  DEFAULT(c->clock, sse__os_clock);
  DEFAULT(c->random, sse__os_random);
}

static bool times_valid(const sse_hub_config *c) {
  return sse__time_valid(c->channel_idle_ms) && sse__time_valid(c->heartbeat_ms) &&
         sse__time_valid(c->stall_ms) && sse__time_valid(c->age_max_ms) &&
         sse__time_valid(c->retry_ms);
}

static bool valid(const sse_hub_config *c) {
  struct sse__epoch epoch;
  if (c->epoch && !sse__epoch_parse(c->epoch, &epoch)) return false;
  return times_valid(c) && sse__channel_config_valid(&c->channel) &&
         sse__reserved_unused(c->reserved, sizeof c->reserved / sizeof *c->reserved) &&
         c->event_max_bytes <= c->memory_max_bytes / 8 && c->stream_channels_max <= UINT16_MAX &&
         c->event_max_bytes <= SSE__FRAME_MAX_BYTES && !sse__format_check_type(c->gap_type) &&
         !sse__format_check_type(c->position_type);
}

int sse__hub_config_resolve(sse_hub_config *resolved, const sse_hub_config *config) {
  static const sse_hub_config defaults;
  *resolved = config ? *config : defaults;
  fill_limits(resolved);
  fill_times(resolved);
  fill_callbacks(resolved);
  return valid(resolved) ? SSE_OK : SSE_EINVAL;
}
