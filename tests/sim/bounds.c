/* SPDX-License-Identifier: MIT */
/* bounds.c: what a hub may hold, and for how long, whatever its clients do ("What bounds what" in
 * sse(7)). */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "hub/hub.h"
#include "sim.h"
#include "stream/backfill.h"
#include "stream/loop.h"
#include "stream/request.h"

/* Generous sums of the structs; no event of a stream fits into what a stream may have of its own. */
enum {
  HUB_BYTES = 8192,
  LOOP_BYTES = 2048 + 1024 * sizeof(struct sse__slot),
  CHANNEL_BYTES = 2048,
  FRAME_PLACES_BYTES = 4 * sizeof(struct sse__slot) + 32, /* and in the indexes of keys and ids */
  STREAM_BYTES = 2048, /* with its subscriptions, tags, array, feeds and one block */
  REQUEST_BYTES = 512, /* a pending call, or a backfill */
  GHOST_BYTES = 96,
  PENDING_MAX = 512 /* pending calls: twice the channels that a stream may have */
};

/* How many pending calls and backfills a stream has. */
static size_t judge_requests(struct sim *sim, const sse_stream *stream) {
  const struct sse__tagged *tagged = sse__stream_tagged((sse_stream *)(uintptr_t)stream);
  size_t pending = tagged ? tagged->pending : 0, backfills = 0;
  for (const struct sse__backfill *b = stream->backfill; b; b = b->next) backfills++;
  if (pending > PENDING_MAX || backfills > stream->subscription_count) {
    sim_accuse(sim, "requests without a bound", "%zu, and %zu backfills", pending, backfills);
  }
  return pending + backfills;
}

static size_t judge_all_requests(struct sim *sim) {
  size_t requests = 0;
  for (unsigned i = 0; i < SIM_STREAMS; i++) {
    const sse_stream *stream = sim_stream(sim, i);
    if (stream) requests += judge_requests(sim, stream);
  }
  return requests;
}

/* What the hub and all that belongs to it have of the allocator is within what is documented. */
static void judge_memory(struct sim *sim) {
  const struct sse_hub *hub = sim->world.hub;
  size_t ceiling = hub->store.bytes_max, places = ceiling / sizeof(struct sse__frame);
  if (places > sim->life->head + 1) places = (size_t)sim->life->head + 1;
  size_t most = hub->store.bytes + HUB_BYTES + hub->loops * LOOP_BYTES +
                hub->channels.map.count * CHANNEL_BYTES +
                (places + hub->channels.map.count * 8) * FRAME_PLACES_BYTES +
                hub->streams * STREAM_BYTES + judge_all_requests(sim) * REQUEST_BYTES +
                hub->channels.ghosts.count * GHOST_BYTES;
  size_t bytes = world_bytes() - sim->bytes;
  if (hub->store.bytes > ceiling) {
    sim_accuse(sim, "the ceiling does not hold", "%zu of %zu", hub->store.bytes, ceiling);
  }
  if (bytes > most) sim_accuse(sim, "memory without a bound", "%zu of %zu", bytes, most);
}

/* The sums that the ceiling is kept by are those of the frames. */
static void judge_sums(struct sim *sim) {
  const struct sse__store *store = &sim->world.hub->store;
  size_t window = 0, ephemeral = 0, aside = 0;
  for (enum sse__store_row row = 0; row < SSE__ROWS; row++) {
    SSE__LIST_EACH(link, &store->rows[row]) {
      const struct sse__frame *event = SSE__CONTAINER(link, struct sse__frame, link);
      bool body = event->kind == SSE__FRAME_BODY;
      size_t size = event->size + (body ? (size_t)event->windows * event->shares->size : 0);
      window += size;
      if (event->ephemeral) ephemeral += size;
      if (row == SSE__ROW_ASIDE) aside += size;
    }
  }
  if (window != store->window_bytes || ephemeral != store->ephemeral_bytes ||
      aside != store->aside_bytes || store->lent_bytes > window) {
    sim_accuse(sim, "the sums of the store are wrong", "%zu %zu %zu, lent %zu", window, ephemeral,
               aside, store->lent_bytes);
  }
}

/* After the hub's timers ran: nobody keeps a slot for longer than its turn while others wait. */
static void judge_turns(struct sim *sim) {
  const struct sse__admission *admission = &sim->world.hub->admission;
  const struct sse__admission_slot *oldest =
      SSE__LIST_FIRST(&admission->turns, struct sse__admission_slot, turn);
  bool free = admission->taken < admission->max;
  if (!admission->waiting.first) return;
  if (free || (oldest && oldest->granted_ms + SSE__TURN_MS <= sim->world.now_ms)) {
    sim_accuse(sim, "a replay waits in vain", "%u slots taken", admission->taken);
  }
}

/* After the hub's timers ran: what nothing uses is gone after its time, and so is what is too old. */
static void judge_channels(struct sim *sim) {
  const struct sse_hub *hub = sim->world.hub;
  int64_t now_ms = sim->world.now_ms;
  for (unsigned i = 0; i < sim->channels; i++) {
    const char *name = client_channel(i);
    const struct sse__channel *channel = sse__channels_find(&hub->channels, name, strlen(name));
    if (!channel) continue;
    bool unused = channel->streams + channel->requests == 0 && !channel->feeds.first;
    bool expires = channel->bounds.expire == SSE_YES || channel->finished;
    if (unused && expires && sse__time_after(channel->used_ms, hub->channels.idle_ms) <= now_ms) {
      sim_accuse(sim, "an unused channel stays", "channel %u", i);
    }
    const struct sse__window *ephemeral = channel->ephemeral;
    if (ephemeral && ephemeral->frames > 0 &&
        sse__frame_born_ms(sse__window_oldest(ephemeral)) + 60000 <= now_ms) {
      sim_accuse(sim, "an ephemeral event stays", "channel %u", i);
    }
  }
}

void sim_judge_bounds(struct sim *sim) {
  judge_memory(sim);
  judge_sums(sim);
}

void sim_judge_timers(struct sim *sim) {
  if (sim->plan.fail_alloc) return; /* a channel without memory for its ghost stays a little */
  judge_turns(sim);
  judge_channels(sim);
}
