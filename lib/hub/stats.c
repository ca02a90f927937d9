/* SPDX-License-Identifier: MIT */
/* stats.c: sse_hub_stats, the numbers of a hub or of a channel. */
#include <string.h>

#include "hub/dirty.h"
#include "hub/hub.h"

static uint64_t ms_since(int64_t then_ms, int64_t now_ms) {
  return now_ms > then_ms ? (uint64_t)(now_ms - then_ms) : 0;
}

static void raise_to(uint64_t *most, uint64_t value) {
  if (value > *most) *most = value;
}

static void copy_latency(sse_stats *stats, const struct sse__latency *latency) {
  memcpy(stats->latency, latency->places, sizeof stats->latency);
  stats->latency_sum_ns = latency->sum_ns;
}

/* ---- a hub ---- */

static void copy_counts(sse_stats *stats, const struct sse_hub *hub) {
  const struct sse__hub_counters *counters = &hub->counters;
  stats->published_events = counters->published_events;
  stats->published_bytes = counters->published_bytes;
  stats->delivered_events = counters->delivered.events;
  stats->delivered_bytes = counters->delivered.bytes;
  stats->heartbeats = counters->delivered.heartbeats;
  stats->positions = counters->delivered.positions;
  copy_latency(stats, &counters->delivered.latency);
  stats->evicted_frames = hub->store.evicted;
  stats->lost_events = counters->lost_events;
  stats->full = counters->full;
  stats->wakes = hub->wakers.calls;
  stats->wakes_failed = hub->wakers.failures;
  memcpy(stats->gaps, counters->gaps, sizeof stats->gaps);
  memcpy(stats->opened, counters->opened, sizeof stats->opened);
  memcpy(stats->closed, counters->closed, sizeof stats->closed);
}

static void gather_hub(sse_stats *stats, const struct sse_hub *hub, int64_t now_ms) {
  SSE__HELD(hub);
  const struct sse__store *store = &hub->store;
  copy_counts(stats, hub);
  stats->streams = hub->streams;
  stats->window_frames = store->frames;
  stats->window_bytes = store->window_bytes;
  const struct sse__frame *log = sse__store_oldest(&store->log);
  const struct sse__frame *state = sse__store_oldest(&store->state);
  if (log) stats->oldest_ms = ms_since(sse__frame_born_ms(log), now_ms);
  if (state) raise_to(&stats->oldest_ms, ms_since(sse__frame_born_ms(state), now_ms));
  SSE__LIST_EACH(link, &hub->inboxes) {
    const struct sse__inbox *inbox = SSE__CONTAINER(link, struct sse__inbox, link);
    if (sse__dirty_first(inbox)) raise_to(&stats->lag_ms, ms_since(inbox->dirty_ms, now_ms));
  }
  stats->head = hub->head;
  stats->channels = hub->channels.map.count;
  stats->ghosts = hub->channels.ghosts.count;
  stats->loops = hub->loops;
  stats->memory_bytes = store->bytes;
  stats->memory_bytes_max = store->bytes_max;
  stats->pinned_bytes = store->bytes - store->window_bytes;
}

/* ---- a channel ---- */

static void add_window(sse_stats *stats, const struct sse__window *window, int64_t now_ms) {
  if (!window) return;
  stats->window_frames += window->frames;
  stats->window_bytes += window->bytes;
  stats->evicted_frames += sse__window_gone(window);
  if (window->frames == 0) return;
  raise_to(&stats->oldest_ms, ms_since(sse__frame_born_ms(sse__window_oldest(window)), now_ms));
}

/*
 * Counts frames that no snapshot of the feed's loop has had. The loop changes `last` and `base`
 * only with the lock held.
 */
static void look_at_lag(sse_stats *stats, const struct sse__loop_feed *feed, int64_t now_ms) {
  struct sse__stretch slots = sse__window_stretch(&feed->channel->window);
  size_t begun = sse__stretch_after(&slots, feed->in_round ? feed->last : feed->base);
  while (begun < slots.count && !sse__stretch_at(&slots, begun)->frame) begun++;
  if (begun == slots.count) return;
  raise_to(&stats->lag_events, slots.count - begun);
  raise_to(&stats->lag_ms,
           ms_since(sse__frame_born_ms(sse__stretch_at(&slots, begun)->frame), now_ms));
}

static void gather_channel(sse_stats *stats, const struct sse__channel *channel, int64_t now_ms) {
  stats->published_events = channel->published_events;
  stats->published_bytes = channel->published_bytes;
  stats->delivered_events = channel->delivered.events;
  stats->delivered_bytes = channel->delivered.bytes;
  if (channel->delivered.latency) copy_latency(stats, channel->delivered.latency);
  stats->streams = channel->streams;
  add_window(stats, &channel->window, now_ms);
  add_window(stats, channel->ephemeral, now_ms);
  SSE__LIST_EACH(link, &channel->feeds) {
    look_at_lag(stats, SSE__CONTAINER(link, struct sse__loop_feed, link), now_ms);
  }
}

/* ---- the call ---- */

int sse_hub_stats(sse_hub *hub, const char *channel, sse_stats *stats) {
  static const sse_stats none;
  struct sse__channel *ch = NULL;
  size_t len;
  if (!hub || !stats) return SSE_EINVAL;
  if (channel && sse__channel_name_check(channel, &len)) return SSE_ENOTFOUND;
  pthread_mutex_lock(&hub->lock);
  if (channel) ch = sse__channels_find(&hub->channels, channel, len);
  int error = channel && !ch ? SSE_ENOTFOUND : SSE_OK;
  if (!error) *stats = none;
  if (ch) {
    gather_channel(stats, ch, sse__hub_now(hub));
    sse__channel_counters_measure(&ch->delivered, &hub->mem);
  } else if (!error) {
    gather_hub(stats, hub, sse__hub_now(hub));
  }
  pthread_mutex_unlock(&hub->lock);
  return error;
}
