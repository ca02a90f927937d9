/* SPDX-License-Identifier: MIT */
/* stats.c: sse_hub_stats, the numbers of a hub or of a channel. */
#include <string.h>

#include "hub/dirty.h"
#include "hub/notice.h"

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

/* ---- the lag ---- */

uint64_t sse__inbox_given(const struct sse__inbox *inbox, uint64_t head) {
  if (inbox->round_given != UINT64_MAX) return inbox->round_given;
  return sse__dirty_first(inbox) ? inbox->dirty_given : head;
}

uint64_t sse__hub_given(struct sse_hub *hub) {
  SSE__HELD(hub);
  uint64_t given = hub->head.seq;
  SSE__LIST_EACH(link, &hub->inboxes) {
    uint64_t of_loop =
        sse__inbox_given(SSE__CONTAINER(link, struct sse__inbox, link), hub->head.seq);
    if (of_loop < given) given = of_loop;
  }
  uint64_t of_waiting = sse__notices_given(&hub->notices, NULL);
  if (of_waiting < given) given = of_waiting;
  if (!hub->lags.list.first) return given;
  const struct sse__lag *slowest = sse__lag_slowest(&hub->lags, sse__hub_now(hub));
  return slowest && slowest->given < given ? slowest->given : given;
}

uint64_t sse_hub_lag(sse_hub *hub) {
  if (!hub || hub->forked) return 0;
  pthread_mutex_lock(&hub->lock);
  uint64_t lag = hub->head.seq - sse__hub_given(hub);
  pthread_mutex_unlock(&hub->lock);
  return lag;
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

static void gather_hub(sse_stats *stats, struct sse_hub *hub, int64_t now_ms) {
  SSE__HELD(hub);
  const struct sse__store *store = &hub->store;
  copy_counts(stats, hub);
  stats->streams = hub->streams;
  stats->window_frames = store->frames;
  stats->window_bytes = store->window_bytes;
  for (enum sse__store_row row = 0; row < SSE__ROWS; row++) {
    const struct sse__frame *oldest = sse__store_oldest(store, row);
    if (oldest) raise_to(&stats->oldest_ms, ms_since(sse__frame_born_ms(oldest), now_ms));
  }
  SSE__LIST_EACH(link, &hub->inboxes) {
    const struct sse__inbox *inbox = SSE__CONTAINER(link, struct sse__inbox, link);
    bool serving = inbox->round_given != UINT64_MAX;
    if (!serving && !sse__dirty_first(inbox)) continue;
    raise_to(&stats->lag_ms, ms_since(serving ? inbox->round_ms : inbox->dirty_ms, now_ms));
  }
  stats->lag_events = hub->head.seq - sse__hub_given(hub);
  stats->head = sse__hub_head(hub).number;
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
 * Frames of a channel that not all have been given. Superseded ones before the first of them do not
 * count.
 */
static void look_at_lag(sse_stats *stats, const struct sse__channel *channel, uint64_t given,
                        int64_t now_ms) {
  struct sse__stretch slots = sse__window_stretch(&channel->window);
  size_t first = sse__stretch_after(&slots, given);
  while (first < slots.count && !sse__stretch_at(&slots, first)->frame) first++;
  if (first == slots.count) return;
  raise_to(&stats->lag_events, slots.count - first);
  raise_to(&stats->lag_ms,
           ms_since(sse__frame_born_ms(sse__stretch_at(&slots, first)->frame), now_ms));
}

static bool lag_is_of(const struct sse__lag *lag, const struct sse__channel *channel) {
  const struct sse__standalone *standalone = SSE__CONTAINER(lag, struct sse__standalone, lag);
  for (uint32_t i = 0; i < standalone->count; i++) {
    if (standalone->subscriptions[i].channel == channel) return true;
  }
  return false;
}

/* The standalone stream of the channel that is furthest behind: the first one in the list. */
static void look_at_lags(sse_stats *stats, struct sse_hub *hub, const struct sse__channel *channel,
                         int64_t now_ms) {
  SSE__HELD(hub);
  uint64_t of_waiting = sse__notices_given(&hub->notices, channel);
  if (of_waiting != UINT64_MAX) look_at_lag(stats, channel, of_waiting, now_ms);
  sse__lag_slowest(&hub->lags, now_ms);
  SSE__LIST_EACH(link, &hub->lags.list) {
    const struct sse__lag *lag = SSE__CONTAINER(link, struct sse__lag, link);
    if (now_ms - lag->since_ms >= SSE__LAG_MS_MAX) continue;
    if (!lag_is_of(lag, channel)) continue;
    look_at_lag(stats, channel, lag->given, now_ms);
    return;
  }
}

/* A loop changes the `base` of a feed only with the lock held. */
static void gather_channel(sse_stats *stats, struct sse_hub *hub,
                           const struct sse__channel *channel, int64_t now_ms) {
  stats->published_events = channel->published_events;
  stats->published_bytes = channel->published_bytes;
  stats->delivered_events = channel->delivered.events;
  stats->delivered_bytes = channel->delivered.bytes;
  if (channel->delivered.latency) copy_latency(stats, channel->delivered.latency);
  stats->streams = channel->streams;
  add_window(stats, &channel->window, now_ms);
  add_window(stats, channel->ephemeral, now_ms);
  SSE__LIST_EACH(link, &channel->feeds) {
    look_at_lag(stats, channel, SSE__CONTAINER(link, struct sse__loop_feed, link)->base, now_ms);
  }
  look_at_lags(stats, hub, channel, now_ms);
}

/* ---- the call ---- */

int sse_hub_stats(sse_hub *hub, const char *channel, sse_stats *stats) {
  static const sse_stats none;
  struct sse__channel *ch = NULL;
  size_t len;
  if (!hub || !stats) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  if (channel && sse__channel_name_check(channel, &len)) return SSE_ENOTFOUND;
  pthread_mutex_lock(&hub->lock);
  if (channel) ch = sse__channels_find(&hub->channels, channel, len);
  int error = channel && !ch ? SSE_ENOTFOUND : SSE_OK;
  if (!error) *stats = none;
  if (ch) {
    gather_channel(stats, hub, ch, sse__hub_now(hub));
    sse__channel_counters_measure(&ch->delivered, &hub->mem);
  } else if (!error) {
    gather_hub(stats, hub, sse__hub_now(hub));
  }
  pthread_mutex_unlock(&hub->lock);
  return error;
}
