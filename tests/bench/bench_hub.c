/* SPDX-License-Identifier: MIT */
/* bench_hub.c: what a publish, a delivery, a stream and an idle subscriber cost; no sockets, no
 * wakes to wait for. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sse/sse.h>

#include "measure.h"
#include "report.h"
#include "world.h"

#define ROUNDS       9 /* odd, so that there is a median */
#define PUBLISHES    20000
#define OPENINGS     20000
#define CHANNELS_MAX 256
#define CASES_MAX    4

static int no_wake(void *arg, unsigned why) {
  (void)arg;
  (void)why;
  return 0;
}

static void must(int result) {
  if (result >= 0) return;
  fprintf(stderr, "%s: %s\n", sse_error_name(result), sse_error_text(result));
  exit(1);
}

/* ---- locks, counted and measured: the Makefile lets the library call these ---- */

static size_t locks;
static bool metering;              /* the time of each hold is measured */
static double held_since, held_ns; /* the present hold, and the longest one */

/* The time of this thread, so that a hold does not count what others run meanwhile. */
static double thread_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
  double held = metering ? thread_now_ns() - held_since : 0;
  if (held > held_ns) held_ns = held;
  return __real_pthread_mutex_unlock(mutex);
}

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
  int result = __real_pthread_mutex_lock(mutex);
  locks++;
  if (metering) held_since = thread_now_ns();
  return result;
}

/* ---- a hub with streams on one loop, all of them in step ---- */

struct bench {
  sse_hub *hub;
  sse_loop *loop;
  sse_stream **streams;
  size_t count;
};

static char names[CHANNELS_MAX][8];
static const char *lists[CHANNELS_MAX + 1];

static void drain(sse_stream *stream) {
  struct iovec iov[64];
  for (int count; (count = sse_stream_peek(stream, iov, 64)) > 0;) {
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += iov[i].iov_len;
    sse_stream_consume(stream, bytes);
  }
}

static size_t run_round(const struct bench *bench) {
  size_t served = 0;
  for (sse_stream *stream; (stream = sse_loop_next(bench->loop)); served++) drain(stream);
  return served;
}

/* Streams with so many channels each, the last of which is "bench". */
static void open_bench(struct bench *bench, size_t count, unsigned channels,
                       const sse_hub_config *config) {
  must(sse_hub_new(&bench->hub, config));
  must(sse_loop_new(&bench->loop, bench->hub, &(const sse_loop_config){.wake = no_wake}));
  bench->streams = malloc((count + 1) * sizeof(sse_stream *));
  bench->count = count;
  for (unsigned i = 0; i + 1 < channels; i++) {
    snprintf(names[i], sizeof names[i], "c%u", i);
    lists[i] = names[i];
  }
  lists[channels - 1] = "bench";
  lists[channels] = NULL;
  const sse_stream_config stream = {.channels = lists, .loop = bench->loop};
  for (size_t i = 0; i < count; i++) {
    must(sse_stream_open(&bench->streams[i], bench->hub, &stream));
    drain(bench->streams[i]);
  }
  run_round(bench);
}

static const sse_hub_config plain = {.streams_max = 2000000};

static void close_bench(struct bench *bench) {
  for (size_t i = 0; i < bench->count; i++) sse_stream_free(bench->streams[i]);
  must(sse_loop_free(bench->loop));
  must(sse_hub_free(bench->hub));
  free(bench->streams);
}

/* ---- cases that are compared ---- */

/* One side of a comparison, and what it took in nanoseconds in each round. */
struct side {
  char what[64];
  struct bench bench;
  size_t number; /* what distinguishes it: subscribers, frames, channels */
  double ns[ROUNDS];
};

/* The sides take turns within a round, so that a busy neighbour meets all of them. */
static void compare(struct side *sides, size_t count, size_t reference, const char *budget,
                    double (*time)(struct side *side)) {
  double ratio[ROUNDS];
  for (int i = -1; i < ROUNDS; i++) {
    for (size_t c = 0; c < count; c++) {
      double took = time(&sides[c]);
      if (i >= 0) sides[c].ns[i] = took;
    }
  }
  double reference_ns[ROUNDS];
  memcpy(reference_ns, sides[reference].ns, sizeof reference_ns);
  for (size_t c = 0; c < count; c++) {
    for (size_t i = 0; i < ROUNDS; i++) ratio[i] = sides[c].ns[i] / reference_ns[i];
    report_line(&(struct report){.what = sides[c].what,
                                 .who = "libsse",
                                 .value = measure_median(sides[c].ns, ROUNDS),
                                 .unit = "ns",
                                 .ratios = ratio,
                                 .ratios_count = ROUNDS,
                                 .budget = c + 1 == count ? budget : NULL});
    close_bench(&sides[c].bench);
  }
}

/* ---- publish ---- */

/* One publish of 128 bytes, the loop asleep before the first. */
static double time_publish(struct side *side) {
  char text[129];
  memset(text, 'x', 128);
  text[128] = '\0';
  double start = measure_now_ns();
  for (int i = 0; i < PUBLISHES; i++)
    must(sse_hub_publish_text(side->bench.hub, "bench", NULL, text));
  double took = (measure_now_ns() - start) / PUBLISHES;
  run_round(&side->bench);
  return took;
}

static void publish_rows(void) {
  static struct side sides[CASES_MAX] = {
      {.number = 0}, {.number = 1}, {.number = 1000}, {.number = 100000}};
  for (size_t c = 0; c < CASES_MAX; c++) {
    snprintf(sides[c].what, sizeof sides[c].what, "publish, to %zu subscribers", sides[c].number);
    open_bench(&sides[c].bench, sides[c].number, 1, &plain);
  }
  compare(sides, CASES_MAX, 1, "1.5", time_publish);
}

/* ---- deliver ---- */

/* One publish, then the round that serves it to all: next, peek, consume and the empty peek. */
static double time_delivery(struct side *side) {
  double took = 0;
  size_t served = 0;
  while (served < 100000) {
    must(sse_hub_publish_text(side->bench.hub, "bench", NULL, "x"));
    double start = measure_now_ns();
    size_t count = run_round(&side->bench);
    took += measure_now_ns() - start;
    if (count != side->bench.count) exit(1);
    served += count;
  }
  return took / (double)served;
}

static void delivery_rows(void) {
  static struct side sides[] = {{.number = 1000}, {.number = 10000}, {.number = 100000}};
  for (size_t c = 0; c < sizeof sides / sizeof *sides; c++) {
    snprintf(sides[c].what, sizeof sides[c].what, "peek and consume, in step, %zu subscr.",
             sides[c].number);
    open_bench(&sides[c].bench, sides[c].number, 1, &plain);
  }
  compare(sides, sizeof sides / sizeof *sides, 0, NULL, time_delivery);
}

static void channels_rows(void) {
  static struct side sides[] = {{.number = 1}, {.number = 16}, {.number = 256}};
  for (size_t c = 0; c < sizeof sides / sizeof *sides; c++) {
    snprintf(sides[c].what, sizeof sides[c].what, "the same, 1,000 with %zu channels each",
             sides[c].number);
    open_bench(&sides[c].bench, 1000, (unsigned)sides[c].number, &plain);
  }
  compare(sides, sizeof sides / sizeof *sides, 0, NULL, time_delivery);
}

/* What a hundred thousand deliveries take more than a thousand, so that the round's own part falls
 * out. */
static void counts_rows(void) {
  static const size_t counts[] = {1000, 100000};
  const sse_hub_config config = {.streams_max = 2000000, .alloc = world_alloc};
  double calls[2], locked[2];
  for (size_t c = 0; c < 2; c++) {
    struct bench bench;
    open_bench(&bench, counts[c], 1, &config);
    must(sse_hub_publish_text(bench.hub, "bench", NULL, "x"));
    size_t calls_before = world_calls(), locks_before = locks;
    if (run_round(&bench) != counts[c]) exit(1);
    calls[c] = (double)(world_calls() - calls_before);
    locked[c] = (double)(locks - locks_before);
    close_bench(&bench);
  }
  report_line(&(struct report){.what = "allocations per delivery in step",
                               .who = "libsse",
                               .value = (calls[1] - calls[0]) / 99000,
                               .unit = "",
                               .budget = "0"});
  report_line(&(struct report){.what = "lock operations per delivery in step",
                               .who = "libsse",
                               .value = (locked[1] - locked[0]) / 99000,
                               .unit = "",
                               .budget = "0",
                               .more = "atomic operations: one relaxed load, see count.sh"});
}

/* ---- open, close, resume ---- */

static double time_opening(struct side *side) {
  const sse_stream_config config = {.channel = "bench", .loop = side->bench.loop};
  double start = measure_now_ns();
  for (int i = 0; i < OPENINGS; i++) {
    sse_stream *stream;
    must(sse_stream_open(&stream, side->bench.hub, &config));
    sse_stream_free(stream);
  }
  return (measure_now_ns() - start) / OPENINGS;
}

static void opening_rows(void) {
  static struct side sides[] = {{.number = 0}, {.number = 1000}, {.number = 100000}};
  for (size_t c = 0; c < sizeof sides / sizeof *sides; c++) {
    snprintf(sides[c].what, sizeof sides[c].what, "open and close, beside %zu", sides[c].number);
    open_bench(&sides[c].bench, sides[c].number, 1, &plain);
  }
  compare(sides, sizeof sides / sizeof *sides, 0, NULL, time_opening);
}

/* The window is full, and has let go as many frames as it holds. */
static double time_resume(struct side *side) {
  static struct world chance = {.seed = 1};
  char(*ids)[32] = malloc(OPENINGS * sizeof *ids);
  if (!ids) exit(1);
  for (int i = 0; i < OPENINGS; i++) {
    uint64_t number = side->number + world_random(&chance, side->number);
    snprintf(ids[i], sizeof ids[i], "E.%llu", (unsigned long long)number);
  }
  sse_stream_config config = {.channel = "bench", .loop = side->bench.loop};
  double start = measure_now_ns();
  for (int i = 0; i < OPENINGS; i++) {
    sse_stream *stream;
    config.last_id = ids[i];
    must(sse_stream_open(&stream, side->bench.hub, &config));
    if (sse_stream_resume_result(stream) != SSE_RESUME_RESUMED) exit(1);
    sse_stream_free(stream);
  }
  double took = (measure_now_ns() - start) / OPENINGS;
  free(ids);
  return took;
}

static void resume_rows(void) {
  static struct side sides[] = {{.number = 100}, {.number = 100000}};
  for (size_t c = 0; c < 2; c++) {
    const sse_hub_config config = {.epoch = "E",
                                   .channel.window_frames_max = sides[c].number,
                                   .channel.window_bytes_max = (size_t)32 << 20};
    snprintf(sides[c].what, sizeof sides[c].what, "open at a random id of %zu, close",
             sides[c].number);
    open_bench(&sides[c].bench, 0, 1, &config);
    for (size_t i = 0; i < 2 * sides[c].number; i++)
      must(sse_hub_publish_text(sides[c].bench.hub, "bench", NULL, "x"));
  }
  compare(sides, 2, 0, "3", time_resume);
}

/* ---- how long the lock is held ---- */

#define LARGE 262144 /* channels of a loop, frames of a window */

static int64_t simulated_ns;

static int64_t simulated(void *arg) {
  (void)arg;
  return simulated_ns;
}

static int none_passes(void *arg, const sse_filter_event *event) {
  (void)arg;
  (void)event;
  return 0;
}

/* The longest hold of the lock in what `act` does to a hub with `set_up`; the best of several. */
static void hold_row(const char *what, void (*set_up)(struct bench *bench),
                     void (*act)(struct bench *bench)) {
  double best = 0;
  for (int i = 0; i < 3; i++) {
    struct bench bench;
    const sse_hub_config config = {.channels_max = 2 * LARGE,
                                   .memory_bytes_max = (size_t)1 << 30,
                                   .clock = simulated,
                                   .channel = {.window_frames_max = 2 * LARGE,
                                               .window_bytes_max = (size_t)1 << 30,
                                               .window_age_ms_max = 1000}};
    open_bench(&bench, 0, 1, &config);
    bench.streams = realloc(bench.streams, (LARGE + 1) * sizeof *bench.streams);
    set_up(&bench);
    held_ns = 0;
    metering = true;
    act(&bench);
    metering = false;
    if (i == 0 || held_ns < best) best = held_ns;
    close_bench(&bench);
  }
  report_line(&(struct report){
      .what = what, .who = "libsse", .value = best / 1000, .unit = "us", .budget = "200"});
}

static void fill_window(struct bench *bench) {
  for (int i = 0; i < LARGE; i++) must(sse_hub_publish_text(bench->hub, "bench", NULL, "x"));
}

static void fill_channels(struct bench *bench) {
  char name[16];
  for (int i = 0; i < LARGE; i++) {
    snprintf(name, sizeof name, "%d", i);
    const sse_stream_config config = {.channel = name, .loop = bench->loop};
    must(sse_stream_open(&bench->streams[bench->count++], bench->hub, &config));
  }
  run_round(bench);
  for (int i = 0; i < LARGE; i++) {
    snprintf(name, sizeof name, "%d", i);
    must(sse_hub_publish_text(bench->hub, name, NULL, "x"));
  }
}

static void run_all_rounds(struct bench *bench) {
  do run_round(bench);
  while (sse_loop_timeout(bench->loop) == 0);
}

static void give_backfill(struct bench *bench) {
  sse_stream *stream;
  must(sse_stream_open(
      &stream, bench->hub,
      &(const sse_stream_config){.channel = "other", .tag = "t", .filter = none_passes}));
  drain(stream);
  must(sse_hub_subscribe(bench->hub, "t", "bench", SSE_BACKFILL_ALL));
  drain(stream);
  sse_stream_free(stream);
}

static void expire_window(struct bench *bench) {
  simulated_ns += INT64_C(2000000000);
  while (sse_hub_tick(bench->hub) == 0) continue;
}

static void shrink_window(struct bench *bench) {
  const sse_channel_config config = {.window_frames_max = 10};
  must(sse_hub_configure_channel(bench->hub, "bench", &config));
}

static void hold_rows(void) {
  hold_row("longest hold, 262,144 channels, an event each", fill_channels, run_all_rounds);
  hold_row("longest hold, a backfill that is for others", fill_window, give_backfill);
  hold_row("longest hold, 262,144 frames expire", fill_window, expire_window);
  hold_row("longest hold, a window is made small", fill_window, shrink_window);
}

/* ---- memory ---- */

/* The allocator's own count: every byte that the hub asked for, for a million idle subscribers. */
static void memory_rows(void) {
  static const size_t counts[] = {1000, 100000, 1000000};
  const sse_hub_config config = {.streams_max = 2000000, .alloc = world_alloc};
  for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
    struct bench none, all;
    char what[64];
    open_bench(&none, 0, 1, &config);
    size_t before = world_bytes();
    close_bench(&none);
    open_bench(&all, counts[c], 1, &config);
    snprintf(what, sizeof what, "memory per idle subscriber of %zu", counts[c]);
    report_line(&(struct report){.what = what,
                                 .who = "libsse",
                                 .value = (double)(world_bytes() - before) / (double)counts[c],
                                 .unit = "B",
                                 .budget = "256"});
    close_bench(&all);
  }
}

int main(void) {
  report_head();
  publish_rows();
  delivery_rows();
  channels_rows();
  counts_rows();
  opening_rows();
  resume_rows();
  hold_rows();
  memory_rows();
  return 0;
}
