/* SPDX-License-Identifier: MIT */
/* fuzz_hub.c: the input says what happens to a hub: all that the simulation draws is drawn from it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
  static struct sim sim;
  struct sim_plan plan = {.mix = sim_mix, .input = input, .input_len = size};
  if (sim_run(&sim, 1, &plan)) return 0;
  plan.trace = true;
  sim_run(&sim, 1, &plan);
  fprintf(stderr, "%s (%s)\n", sim.fault, sim.detail);
  abort();
}
