/* SPDX-License-Identifier: MIT */
/* bench.c: measures logs: acknowledged events per second, and feeding a hub.
 *
 *   bench [SECONDS [PAYLOAD]]
 *
 * The file is made in TMPDIR, or else in /tmp; what is measured is mostly the disk's sync. The
 * servers run on the same machine, and sync nothing while it measures. Feeding is the load of a log at the start: entries are read
 * and published by one thread.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "nats_server.h"
#include "rabbit_server.h"
#include "redis_server.h"

enum {
  PUBLISHERS_MAX = 64,
  PAYLOAD_MAX = 65536,
  FEED_EVENTS = 200000
};

static double seconds = 2;
static size_t payload_len = 128;
static char payload[PAYLOAD_MAX];
static struct engine *engine;
static struct redis_server server;
static struct nats_server nats;
static struct rabbit_server rabbit;

static const char *fresh_log(const char *kind) {
  static char url[128];
  static unsigned count;
  if (strcmp(kind, "redis") == 0)
    snprintf(url, sizeof url, "%s?key=log-%u", server.url, count++);
  else if (strcmp(kind, "nats") == 0)
    snprintf(url, sizeof url, "%s/LOG-%u", nats.url, count++);
  else if (strcmp(kind, "amqp") == 0)
    snprintf(url, sizeof url, "%s?queue=log-%u", rabbit.url, count++);
  else
    return fresh_file();
  return url;
}

static double now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* What a commit cannot be faster than: a page is written over, and synced. */
static void measure_disk(void) {
  static char page[4096];
  enum {
    PAGES = 64
  };
  FILE *file = fopen(fresh_file(), "w");
  if (!file) abort();
  for (int i = 0; i < PAGES; i++) fwrite(page, sizeof page, 1, file);
  fflush(file);
  fsync(fileno(file));
  unsigned long writes = 0;
  double begun = now(CLOCK_MONOTONIC), took;
  do {
    off_t at = (off_t)(writes++ % PAGES * sizeof page);
    if (pwrite(fileno(file), page, sizeof page, at) < 0 || fsync(fileno(file))) abort();
  } while ((took = now(CLOCK_MONOTONIC) - begun) < seconds);
  fclose(file);
  printf("| the disk | a page written over and synced | %.0f writes/s |\n", (double)writes / took);
}

struct publisher {
  pthread_t thread;
  double until;
  unsigned long acknowledged;
};

static void *publish(void *arg) {
  struct publisher *publisher = arg;
  const sse_event event = {.data = payload, .data_len = payload_len};
  while (now(CLOCK_MONOTONIC) < publisher->until)
    publisher->acknowledged += engine_publish(engine, NAMES("a"), &event, NULL) == 0;
  return NULL;
}

static void measure_publishers(const char *kind, unsigned count) {
  struct publisher publishers[PUBLISHERS_MAX];
  struct engine_status status;
  unsigned long sum = 0;
  engine = engine_up(kind, &(struct engine_config){.where = fresh_log(kind)});
  double begun = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
  for (unsigned i = 0; i < count; i++) {
    publishers[i] = (struct publisher){.until = begun + seconds};
    pthread_create(&publishers[i].thread, NULL, publish, &publishers[i]);
  }
  for (unsigned i = 0; i < count; i++) pthread_join(publishers[i].thread, NULL);
  double took = now(CLOCK_MONOTONIC) - begun;
  cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  for (unsigned i = 0; i < count; i++) sum += publishers[i].acknowledged;
  engine_status(engine, &status);
  printf("| %s | publishers: %u | %.0f acknowledged events/s | %.1f events a write | %.1f us CPU "
         "each |\n",
         kind, count, (double)sum / took, (double)sum / (double)status.writes,
         cpu * 1e6 / (double)sum);
  engine_down(engine);
}

static void count_done(void *arg, int error, const char *id) {
  (void)arg, (void)id;
  if (error) abort();
}

/* Submits as fast as the queue takes it; then a hub is fed with all that. */
static void measure_submits(const char *kind) {
  const sse_event event = {.data = payload, .data_len = payload_len};
  const struct timespec moment = {.tv_nsec = 100000};
  const char *where = fresh_log(kind);
  engine = engine_up(kind, &(struct engine_config){.where = where});
  double begun = now(CLOCK_MONOTONIC);
  for (int i = 0; i < FEED_EVENTS; i++)
    while (engine_submit(engine, NAMES("a"), &event, count_done, NULL) == ENGINE_EBUSY)
      nanosleep(&moment, NULL);
  engine_stop(engine);
  double took = now(CLOCK_MONOTONIC) - begun;
  printf("| %s | submitted without waiting | %.0f acknowledged events/s |\n", kind,
         FEED_EVENTS / took);
  engine_down(engine);
  double cpu = now(CLOCK_THREAD_CPUTIME_ID);
  begun = now(CLOCK_MONOTONIC);
  engine = engine_up(kind, &(struct engine_config){.where = where, .load_max = FEED_EVENTS});
  cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
  took = now(CLOCK_MONOTONIC) - begun;
  printf("| %s | feeding a hub | %.0f events/s, %.0f of CPU time |\n", kind, FEED_EVENTS / took,
         FEED_EVENTS / cpu);
  engine_down(engine);
}

static void measure(const char *kind) {
  if (!engine_find(kind)) return;
  measure_publishers(kind, 1);
  measure_publishers(kind, 16);
  measure_publishers(kind, 64);
  measure_submits(kind);
}

int main(int argc, char **argv) {
  if (argc > 1) seconds = strtod(argv[1], NULL);
  if (argc > 2) payload_len = strtoul(argv[2], NULL, 10);
  if (payload_len > PAYLOAD_MAX) payload_len = PAYLOAD_MAX;
  memset(payload, 'x', sizeof payload);
  measure_disk();
  measure_publishers("memory", 1);
  measure("sqlite");
  if (engine_find("redis") && server_make(&server, "")) measure("redis");
  server_free(&server);
  if (engine_find("nats") && nats_server_make(&nats, with_jetstream)) measure("nats");
  nats_server_free(&nats);
  if (engine_find("amqp") && rabbit_make(&rabbit)) measure("amqp");
  rabbit_free(&rabbit);
  remove_files();
  return 0;
}
