/* SPDX-License-Identifier: MIT */
/* memory.c: the engine without a log: its hub gives the numbers, and is empty after a restart. */
#include <stdlib.h>

#include "kind.h"

static int memory_open(struct engine *engine, const struct engine_config *config,
                       sse_hub_config *hub) {
  (void)engine, (void)config;
  hub->numbers = SSE_NUMBERS_OWN;
  hub->epoch = NULL;
  hub->start_after = 0;
  return 0;
}

static int memory_start(struct engine *engine) {
  (void)engine;
  return 0;
}

/* On the caller's thread: the hub is the log, and needs no order but its own. */
static int memory_append(struct engine *engine, struct entry *entry) {
  char id[SSE_ID_BYTES_MAX + 1];
  feeder_prepare(&engine->feeder, entry->channels);
  int error = sse_hub_publish_id(engine->hub, entry->channels, &entry->event, id, sizeof id);
  if (error) return error;
  engine->writes++;
  feeder_seen(&engine->feeder, entry->channels, &entry->event);
  engine_answer(engine, entry, 0, id);
  return 0;
}

static void memory_end(struct engine *engine) {
  (void)engine;
}

const struct engine_kind engine_memory = {.name = "memory",
                                          .open = memory_open,
                                          .start = memory_start,
                                          .append = memory_append,
                                          .stop = memory_end,
                                          .free = memory_end};
