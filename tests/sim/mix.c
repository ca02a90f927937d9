/* SPDX-License-Identifier: MIT */
/* mix.c: what a history is made of. One fixed mix would hide what only another shows. */
#include "sim.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static size_t draw_size(struct sim *sim, const size_t *from, size_t count) {
  return from[sim_draw(sim, count)];
}

/* Some histories have none of a thing, some a lot. */
static unsigned draw_percent(struct sim *sim) {
  static const size_t percents[] = {0, 0, 5, 40};
  return (unsigned)draw_size(sim, percents, COUNT(percents));
}

static void draw_weights(struct sim *sim) {
  static const unsigned usual[OPS] = {
      [PUBLISH] = 12, [BURST] = 3,  [OPEN] = 10,   [CUT] = 4,    [HALF_CLOSE] = 1, [RECEIVE] = 14,
      [HOST] = 20,    [WAIT] = 6,   [JUMP] = 1,    [FREEZE] = 1, [CONFIGURE] = 1,  [FORGET] = 1,
      [TICK] = 2,     [LOOP] = 1,   [RESTART] = 1, [JOIN] = 3,   [LEAVE] = 2,      [KICK] = 1,
      [DISMISS] = 1,  [ROSTER] = 1, [LAG] = 2,     [DRAIN] = 1,  [FINISH] = 1,     [HOARD] = 2};
  for (unsigned i = 0; i < OPS; i++) {
    sim->weights[i] = usual[i] * (unsigned)(1 + sim_draw(sim, 4) * sim_draw(sim, 3));
  }
  if (sim_draw(sim, 3) == 0) sim->weights[CUT] = sim->weights[HALF_CLOSE] = 0;
  if (sim_draw(sim, 3) == 0) sim->weights[CONFIGURE] = 0;
  if (sim_draw(sim, 2) == 0) sim->weights[FORGET] = 0;
  if (sim_draw(sim, 2) == 0) sim->weights[JOIN] = sim->weights[LEAVE] = 0;
  if (sim_draw(sim, 2) == 0) sim->weights[KICK] = 0;
  if (sim_draw(sim, 2) == 0) sim->weights[DISMISS] = 0;
  if (sim_draw(sim, 8) != 0) sim->weights[DRAIN] = 0;
  if (sim_draw(sim, 6) != 0) sim->weights[FINISH] = 0;
}

static void draw_config(struct sim *sim) {
  static const size_t ceilings[] = {2400, 4000, 12000, 0, 0};
  static const size_t frames[] = {1, 2, 3, 5, 12, 0}, bytes[] = {0, 0, 400, 1500};
  static const size_t ghosts[] = {0, 0, 1, 2};
  sim->config = (sse_hub_config){
      .memory_bytes_max = draw_size(sim, ceilings, COUNT(ceilings)),
      .channels_max = sim_draw(sim, 6) ? 0 : 3,
      .streams_max = sim_draw(sim, 12) ? 0 : 4,
      .tag_streams_max = sim_draw(sim, 12) ? 0 : 2,
      .concurrent_replays_max = sim_draw(sim, 3) ? 0 : 1 + (uint32_t)sim_draw(sim, 2),
      .ghosts_max = (uint32_t)draw_size(sim, ghosts, COUNT(ghosts)),
      .channel_idle_ms = sim_draw(sim, 2) ? SIM_IDLE_MS : SSE_NEVER,
      .heartbeat_ms = sim_draw(sim, 4) ? SIM_BEAT_MS : SSE_NEVER,
      .stall_ms = SIM_PATIENCE_MS,
      .age_ms_max = sim_draw(sim, 2) ? SIM_AGE_MS : SSE_NEVER,
      .channel = {.window_frames_max = draw_size(sim, frames, COUNT(frames)),
                  .window_bytes_max = draw_size(sim, bytes, COUNT(bytes)),
                  .window_age_ms_max = sim_draw(sim, 4) ? SSE_NEVER : 500,
                  .conflate = sim_draw(sim, 6) ? 0 : 1,
                  .expire = sim_draw(sim, 6) ? SSE_DEFAULT : SSE_NO,
                  .streams_max = sim_draw(sim, 12) ? 0 : 3},
  };
}

void sim_mix(struct sim *sim) {
  draw_weights(sim);
  sim->channels = 1 + (unsigned)sim_draw(sim, CLIENT_CHANNELS);
  sim->eagain = draw_percent(sim);
  sim->held = draw_percent(sim);
  sim->tiny = draw_percent(sim);
  sim->failing = sim_draw(sim, 3) ? 0 : 10;
  sim->shared = draw_percent(sim);
  sim->ephemeral = draw_percent(sim);
  sim->own_ids = draw_percent(sim);
  sim->tagged = sim_draw(sim, 3) ? 60 : 0;
  sim->choosy = draw_percent(sim);
  sim->conflated = sim_draw(sim, 2) ? (unsigned)sim_draw(sim, 1u << CLIENT_CHANNELS) : 0;
  draw_config(sim);
  sim->greedy = draw_percent(sim) * 2;
}
