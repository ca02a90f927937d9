/* SPDX-License-Identifier: MIT */
/* siege.c: near the end of a history nobody reads any more, and some hold what they are lent. */
#include <stddef.h>

#include "sim.h"
#include "stream/stream_priv.h"

enum {
  PUBLISHES = 20,
  FAILURES_MAX = 10, /* publishes in a row that may find no room, however many streams hold it */
  TICK_MS = 500
};

/* Sooner or later the host has time for everybody, and frees what is over. */
static void work(struct sim *sim) {
  for (unsigned i = 0; i < 4; i++) sim_host(sim);
  hoard_serve(sim, NULL);
  for (struct conn *conn = sim->conns; conn < sim->conns + SIM_CLIENTS; conn++) {
    if (conn->stream && !conn->armed) conn_serve(conn);
    sse_stream_free(conn->leaving); /* one that is detached cannot be ended */
    conn->leaving = NULL;
  }
}

/* With the host at work publishing goes on all the same, after a few failures. */
static void besiege_publishing(struct sim *sim) {
  unsigned channel = 0, failed = 0;
  int64_t pause_ms = sim_draw(sim, 2) ? SIM_PATIENCE_MS - SIM_GREED_MS : 0;
  while (channel < sim->channels && sim->life->finished & 1u << channel) channel++;
  if (channel == sim->channels) return;
  for (unsigned i = 0; i < PUBLISHES && !sim->fault; i++) {
    size_t full = sim->seen[SEEN_FULL];
    sim_publish(sim, channel);
    failed = sim->seen[SEEN_FULL] > full ? failed + 1 : 0;
    if (failed > FAILURES_MAX) sim_accuse(sim, "publishing does not go on", "%u failures", failed);
    sim->world.now_ms += pause_ms;
    work(sim);
  }
}

/* Whether a stream waits for a turn to replay that was there at a time. */
static bool waits_since(const struct sim *sim, unsigned i, int64_t then_ms) {
  sse_stream *stream = sim_stream(sim, i);
  const struct sse__admission_slot *slot = stream ? sse__stream_slot(stream) : NULL;
  if (!slot || slot->state != SSE__SLOT_WAITING || slot->granted_ms > then_ms) return false;
  return i < SIM_CLIENTS || sim->hoard[i - SIM_CLIENTS].opened_ms <= then_ms;
}

/* Who waits for a turn to replay has it after those who have waited for longer, whoever comes. */
static void besiege_replays(struct sim *sim) {
  int64_t begin_ms = sim->world.now_ms;
  uint32_t waiting = 0, max = sim->world.hub->admission.max;
  bool waited[SIM_STREAMS];
  for (unsigned i = 0; i < SIM_STREAMS; i++) {
    waited[i] = waits_since(sim, i, begin_ms);
    waiting += waited[i];
  }
  if (waiting == 0) return;
  int64_t end_ms = begin_ms + (waiting / max + 1) * (SSE__TURN_MS + TICK_MS);
  while (sim->world.now_ms < end_ms && !sim->fault) {
    sim->world.now_ms += TICK_MS;
    sse_hub_tick(sim->world.hub);
    sim_judge_timers(sim);
    work(sim);
    if (sim->greedy > 0) hoard_open(sim);
  }
  for (unsigned i = 0; i < SIM_STREAMS && !sim->fault; i++) {
    if (waited[i] && waits_since(sim, i, begin_ms)) {
      sim_accuse(sim, "a replay has no turn", "stream %u, %u waited", i, waiting);
    }
  }
  sim->seen[SEEN_WAITED] += waiting;
}

void sim_besiege(struct sim *sim) {
  sim_note(sim, "nobody reads");
  sim_restore_memory(sim);
  if (sim->plan.fail_alloc || sim->life->drained) return;
  sim->besieged = true;
  besiege_publishing(sim);
  if (!sim->fault) besiege_replays(sim);
}
