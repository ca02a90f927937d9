/* SPDX-License-Identifier: MIT */
/* test_torture.c: every allocation and every call of a transport failed in turn, in long histories.
 *
 * Each history is the same each time but for its one fault: the n-th allocation, alone or with all
 * after it, or the n-th call of a transport in one of nine ways, alone or with all after it. What
 * the clients were told is judged as in any history, each failed call is seen to have changed
 * nothing, and in the end memory and transports are sound again: then everybody has to have had
 * everything, and all memory to come back. SSE_TORTURE=n takes only every n-th fault.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim.h"

#define KINDS(...) ((const enum sim_seen[]){__VA_ARGS__, SEEN_KINDS})

/* `worth`: what has to come to pass in a history without a fault, besides the usual. */
static const struct scenario {
  const char *name;
  uint64_t seed;
  size_t length;
  unsigned channels, eagain, held, tiny;
  unsigned shared, ephemeral, own_ids, tagged, choosy, conflated;
  unsigned weights[OPS];
  sse_hub_config config;
  const enum sim_seen *worth;
} scenarios[] = {
    {.name = "a window of five, several channels",
     .seed = 7,
     .length = 160,
     .channels = 4,
     .eagain = 10,
     .held = 20,
     .tiny = 10,
     .weights = {[PUBLISH] = 20,
                 [BURST] = 3,
                 [OPEN] = 15,
                 [CUT] = 8,
                 [RECEIVE] = 20,
                 [HOST] = 30,
                 [TICK] = 3},
     .config = {.heartbeat_ms = 1000, .channel.window_frames_max = 5},
     .worth = KINDS(SEEN_SEVERAL)},
    {.name = "eviction by the ceiling",
     .seed = 34,
     .length = 160,
     .channels = 3,
     .eagain = 30,
     .held = 60,
     .tiny = 10,
     .weights = {[PUBLISH] = 20,
                 [BURST] = 6,
                 [OPEN] = 10,
                 [CUT] = 3,
                 [RECEIVE] = 8,
                 [HOST] = 30,
                 [TICK] = 3},
     .config = {.memory_bytes_max = 3240, .heartbeat_ms = 1000},
     .worth = KINDS(SEEN_FULL)},
    {.name = "channels that come, go and change",
     .seed = 18844,
     .length = 220,
     .channels = 6,
     .eagain = 0,
     .held = 0,
     .tiny = 0,
     .weights = {[PUBLISH] = 15,
                 [OPEN] = 12,
                 [CUT] = 8,
                 [RECEIVE] = 15,
                 [HOST] = 20,
                 [WAIT] = 12,
                 [JUMP] = 2,
                 [CONFIGURE] = 4,
                 [TICK] = 8},
     .config = {.channel_idle_ms = 300,
                .ghosts_max = 2,
                .heartbeat_ms = 500,
                .age_ms_max = SIM_AGE_MS,
                .channel.window_frames_max = 4},
     .worth = KINDS(SEEN_GONE, SEEN_CONFIGURED)},
    {.name = "long replays, and wakes that fail",
     .seed = 13,
     .length = 200,
     .channels = 2,
     .eagain = 5,
     .held = 5,
     .tiny = 0,
     .weights = {[PUBLISH] = 10,
                 [BURST] = 10,
                 [OPEN] = 6,
                 [CUT] = 5,
                 [RECEIVE] = 20,
                 [HOST] = 20,
                 [LOOP] = 3,
                 [TICK] = 2},
     .config = {.heartbeat_ms = SSE_NEVER, .channel.window_frames_max = 30},
     .worth = KINDS(SEEN_RESUMED)},
    {.name = "states, and streams that are asked",
     .seed = 3,
     .length = 220,
     .channels = 3,
     .eagain = 5,
     .held = 5,
     .tiny = 0,
     .shared = 20,
     .tagged = 80,
     .conflated = 3,
     .weights = {[PUBLISH] = 15,
                 [BURST] = 3,
                 [OPEN] = 15,
                 [CUT] = 4,
                 [HALF_CLOSE] = 3,
                 [RECEIVE] = 20,
                 [HOST] = 30,
                 [WAIT] = 2,
                 [JOIN] = 8,
                 [LEAVE] = 4,
                 [KICK] = 2,
                 [DISMISS] = 2},
     .config = {.heartbeat_ms = 1000, .concurrent_replays_max = 1, .channel.window_frames_max = 6},
     .worth =
         KINDS(SEEN_JOINED, SEEN_LEFT, SEEN_KICKED, SEEN_DISMISSED, SEEN_BARE, SEEN_SUPERSEDED)},
    {.name = "events of all kinds, terms, and ends",
     .seed = 2,
     .length = 330,
     .channels = 4,
     .eagain = 5,
     .held = 0,
     .tiny = 0,
     .shared = 30,
     .ephemeral = 20,
     .own_ids = 30,
     .choosy = 50,
     .weights = {[PUBLISH] = 20,
                 [BURST] = 2,
                 [OPEN] = 15,
                 [CUT] = 4,
                 [HALF_CLOSE] = 2,
                 [RECEIVE] = 20,
                 [HOST] = 30,
                 [WAIT] = 4,
                 [FINISH] = 1,
                 [DRAIN] = 1,
                 [RESTART] = 9},
     .config = {.heartbeat_ms = 1000, .channel.window_frames_max = 4},
     .worth = KINDS(SEEN_SHARED, SEEN_EPHEMERAL, SEEN_OWN_ID, SEEN_FOREIGN, SEEN_SLOW,
                    SEEN_FINISHED, SEEN_DRAINED)},
};

static void mix(struct sim *sim) {
  const struct scenario *scenario = sim->plan.arg;
  sim->length = scenario->length;
  sim->channels = scenario->channels;
  sim->eagain = scenario->eagain;
  sim->held = scenario->held;
  sim->tiny = scenario->tiny;
  sim->shared = scenario->shared;
  sim->ephemeral = scenario->ephemeral;
  sim->own_ids = scenario->own_ids;
  sim->tagged = scenario->tagged;
  sim->choosy = scenario->choosy;
  sim->conflated = scenario->conflated;
  memcpy(sim->weights, scenario->weights, sizeof sim->weights);
  sim->config = scenario->config;
  sim->config.stall_ms = SIM_PATIENCE_MS;
  if (!sim->config.age_ms_max) sim->config.age_ms_max = SSE_NEVER;
}

static struct sim sim;

static size_t stride(void) {
  const char *every = getenv("SSE_TORTURE");
  size_t n = every ? strtoull(every, NULL, 10) : 1;
  return n ? n : 1;
}

/* Runs a plan; one that fails is run again and told in full. */
static void run(struct sim_plan plan) {
  const struct scenario *scenario = plan.arg;
  plan.mix = mix;
  if (sim_run(&sim, scenario->seed, &plan)) return;
  sim_shrink(&sim, scenario->seed, &plan);
  fail_msg("%s: allocation %zu, write %zu in manner %d%s", scenario->name, plan.fail_alloc,
           plan.fail_write, (int)plan.how, plan.onwards ? ", and all after it" : "");
}

/* How many allocations there were after those of hub and loops. */
static size_t run_counted(struct sim_plan plan) {
  size_t before = world_calls();
  run(plan);
  return world_calls() - before;
}

/* Without a fault, each history does what it is there for. */
static void test_without_a_fault(void **state) {
  static const enum sim_seen usual[] = {SEEN_EVENT,   SEEN_GAP,      SEEN_POSITION,
                                        SEEN_RESUMED, SEEN_EVICTED,  SEEN_IN_LOOP,
                                        SEEN_ALONE,   SEEN_DETACHED, SEEN_WRITES};
  (void)state;
  for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
    const struct scenario *scenario = &scenarios[i];
    run((struct sim_plan){.arg = scenario});
    print_message("  %s: %zu events, %zu gaps, %zu evicted, %zu resumed, %zu writes\n",
                  scenario->name, sim.seen[SEEN_EVENT], sim.seen[SEEN_GAP], sim.seen[SEEN_EVICTED],
                  sim.seen[SEEN_RESUMED], sim.seen[SEEN_WRITES]);
    for (size_t k = 0; k < sizeof usual / sizeof *usual; k++) {
      if (sim.seen[usual[k]] == 0) fail_msg("%s: none of kind %d", scenario->name, (int)usual[k]);
    }
    for (const enum sim_seen *worth = scenario->worth; *worth != SEEN_KINDS; worth++) {
      if (sim.seen[*worth] == 0) fail_msg("%s: none of kind %d", scenario->name, (int)*worth);
    }
    assert_int_equal(sim.seen[SEEN_NOMEM], 0);
  }
}

static void test_every_allocation(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
    struct sim_plan plan = {.arg = &scenarios[i]};
    size_t count = run_counted(plan), failed = 0, alone = 0, runs = 0;
    for (plan.fail_alloc = 1; plan.fail_alloc <= count; plan.fail_alloc += stride(), runs++) {
      plan.onwards = false;
      run(plan);
      alone += sim.seen[SEEN_NOMEM] > 0;
      plan.onwards = true;
      run(plan);
      failed += sim.seen[SEEN_NOMEM];
    }
    print_message("  %s: %zu allocations, %zu of %zu told when they fail alone, %zu calls failed\n",
                  scenarios[i].name, count, alone, runs, failed);
    /* Few are made up for in silence: a position, a ghost, a table that might be longer. */
    assert_true(alone > runs / 4);
    assert_true(failed > runs);
  }
}

static void test_every_write(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
    struct sim_plan plan = {.arg = &scenarios[i], .fail_write = SIZE_MAX};
    run(plan);
    size_t count = sim.seen[SEEN_WRITES];
    print_message("  %s: %zu writes\n", scenarios[i].name, count);
    assert_true(count > 50);
    for (plan.fail_write = 1; plan.fail_write <= count; plan.fail_write += stride()) {
      for (unsigned how = 0; how < 2u * WRITES; how++) {
        plan.how = (enum sim_write)(how / 2);
        plan.onwards = how % 2;
        run(plan);
        assert_true(sim.seen[SEEN_WRITES] >= plan.fail_write);
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_without_a_fault),
      cmocka_unit_test(test_every_allocation),
      cmocka_unit_test(test_every_write),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
