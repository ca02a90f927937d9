/* SPDX-License-Identifier: MIT */
/* test_history.c: random histories of a hub and its clients, each judged as a whole.
 *
 * SSE_SEED=n repeats one history and prints what happens in it; SSE_HISTORIES=n sets how many run.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim.h"

#define HISTORIES 4000
#define COUNT(a)  (sizeof(a) / sizeof(a)[0])

static size_t draw_size(struct sim *sim, const size_t *from, size_t count) {
  return from[sim_draw(sim, count)];
}

static void draw_mix(struct sim *sim) {
  static const unsigned usual[OPS] = {12, 3, 6, 3, 14, 20, 6, 1, 1, 1, 2, 1, 1};
  static const size_t ceilings[] = {2400, 4000, 12000, 0, 0};
  static const size_t frames[] = {1, 2, 3, 5, 12, 0}, bytes[] = {0, 0, 400, 1500};
  static const size_t ghosts[] = {0, 0, 1, 2}, percents[] = {0, 0, 5, 40};
  for (unsigned i = 0; i < OPS; i++) {
    sim->weights[i] = usual[i] * (unsigned)(1 + sim_draw(sim, 4) * sim_draw(sim, 3));
  }
  if (sim_draw(sim, 3) == 0) sim->weights[CUT] = 0;
  if (sim_draw(sim, 3) == 0) sim->weights[CONFIGURE] = 0;
  sim->channels = 1 + (unsigned)sim_draw(sim, CLIENT_CHANNELS);
  sim->eagain = (unsigned)draw_size(sim, percents, COUNT(percents));
  sim->held = (unsigned)draw_size(sim, percents, COUNT(percents));
  sim->tiny = (unsigned)draw_size(sim, percents, COUNT(percents));
  sim->failing = sim_draw(sim, 3) ? 0 : 10;
  sim->config = (sse_hub_config){
      .memory_max_bytes = draw_size(sim, ceilings, COUNT(ceilings)),
      .channels_max = sim_draw(sim, 6) ? 0 : 3,
      .ghosts_max = (uint32_t)draw_size(sim, ghosts, COUNT(ghosts)),
      .channel_idle_ms = sim_draw(sim, 2) ? 700 : SSE_NEVER,
      .heartbeat_ms = sim_draw(sim, 4) ? 1000 : SSE_NEVER,
      .stall_ms = SIM_PATIENCE_MS,
      .age_max_ms = sim_draw(sim, 2) ? SIM_AGE_MS : SSE_NEVER,
      .channel = {.window_frames_max = draw_size(sim, frames, COUNT(frames)),
                  .window_bytes_max = draw_size(sim, bytes, COUNT(bytes)),
                  .window_age_ms = sim_draw(sim, 4) ? SSE_NEVER : 500},
  };
}

static void test_histories(void **state) {
  static const struct sim_plan plan = {.mix = draw_mix}, traced = {.mix = draw_mix, .trace = true};
  static struct sim sim;
  const char *seed = getenv("SSE_SEED"), *histories = getenv("SSE_HISTORIES");
  uint64_t last = histories ? strtoull(histories, NULL, 10) : HISTORIES;
  (void)state;
  if (seed) {
    assert_true(sim_run(&sim, strtoull(seed, NULL, 10), &traced));
    return;
  }
  for (uint64_t n = 1; n <= last; n++) {
    if (sim_run(&sim, n, &plan)) continue;
    sim_run(&sim, n, &traced);
    fail_msg("history %" PRIu64 " of %" PRIu64, n, last);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
