/* SPDX-License-Identifier: MIT */
/* bench_hub.c: what a publish, a delivery and an idle subscriber cost; no sockets, no wakes to wait
 * for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sse/sse.h>

#include "measure.h"
#include "world.h"

#define ROUNDS    9 /* odd, so that there is a median */
#define PUBLISHES 20000

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

/* A hub with streams on one channel of one loop, all of them in step. */
struct bench {
  sse_hub *hub;
  sse_loop *loop;
  sse_stream **streams;
  size_t count;
};

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

static void open_bench(struct bench *bench, size_t count, sse_alloc_fn *alloc) {
  const sse_hub_config config = {.streams_max = 2000000, .alloc = alloc};
  must(sse_hub_new(&bench->hub, &config));
  must(sse_loop_new(&bench->loop, bench->hub, no_wake, NULL));
  bench->streams = malloc((count + 1) * sizeof(sse_stream *));
  bench->count = count;
  const sse_stream_config stream = {.channel = "bench", .loop = bench->loop};
  for (size_t i = 0; i < count; i++) {
    must(sse_stream_open(&bench->streams[i], bench->hub, &stream));
    drain(bench->streams[i]);
  }
  run_round(bench);
}

static void close_bench(struct bench *bench) {
  for (size_t i = 0; i < bench->count; i++) sse_stream_free(bench->streams[i]);
  must(sse_loop_free(bench->loop));
  must(sse_hub_free(bench->hub));
  free(bench->streams);
}

/* Nanoseconds for one publish of 128 bytes, the loop asleep before the first. */
static double time_publish(const struct bench *bench) {
  char text[129];
  memset(text, 'x', 128);
  text[128] = '\0';
  double start = measure_now_ns();
  for (int i = 0; i < PUBLISHES; i++) must(sse_hub_send(bench->hub, "bench", NULL, text));
  return (measure_now_ns() - start) / PUBLISHES;
}

/* The sizes take turns within a round, so that a busy neighbour meets all of them. */
static void publish_rows(void) {
  static const size_t counts[] = {0, 1, 1000, 100000};
  enum {
    COUNTS = sizeof counts / sizeof *counts
  };
  struct bench benches[COUNTS];
  double ns[COUNTS][ROUNDS], ratio[COUNTS][ROUNDS];
  for (size_t c = 0; c < COUNTS; c++) open_bench(&benches[c], counts[c], NULL);
  for (int i = -1; i < ROUNDS; i++) {
    for (size_t c = 0; c < COUNTS; c++) {
      double took = time_publish(&benches[c]);
      if (i >= 0) ns[c][i] = took;
      run_round(&benches[c]);
    }
    for (size_t c = 0; i >= 0 && c < COUNTS; c++) ratio[c][i] = ns[c][i] / ns[1][i];
  }
  printf("%-28s %10s %8s   %s\n", "sse_hub_publish, 128 bytes", "ns", "ratio", "least..most");
  for (size_t c = 0; c < COUNTS; c++) {
    double median = measure_median(ratio[c], ROUNDS);
    printf("  to %7zu subscribers %12.1f %8.2f   %.2f..%.2f\n", counts[c],
           measure_median(ns[c], ROUNDS), median, ratio[c][0], ratio[c][ROUNDS - 1]);
    close_bench(&benches[c]);
  }
}

/* One publish, then the round that serves it to all. */
static void delivery_rows(void) {
  static const size_t counts[] = {1000, 10000, 100000};
  printf("%-28s %10s\n", "delivery in step", "ns");
  for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
    struct bench bench;
    double ns[ROUNDS];
    open_bench(&bench, counts[c], NULL);
    for (int i = -1; i < ROUNDS; i++) {
      must(sse_hub_send(bench.hub, "bench", NULL, "x"));
      double start = measure_now_ns();
      size_t served = run_round(&bench);
      if (served != counts[c]) exit(1);
      if (i >= 0) ns[i] = (measure_now_ns() - start) / (double)served;
    }
    printf("  to %7zu subscribers %12.1f\n", counts[c], measure_median(ns, ROUNDS));
    close_bench(&bench);
  }
}

/* The allocator's own count: every byte that the hub asked for, for a million idle subscribers. */
static void memory_row(void) {
  static const size_t counts[] = {1000, 100000, 1000000};
  printf("%-28s %10s\n", "library memory", "bytes");
  for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
    struct bench none, all;
    open_bench(&none, 0, world_alloc);
    size_t before = world_bytes();
    close_bench(&none);
    open_bench(&all, counts[c], world_alloc);
    printf("  per idle subscriber of %7zu %5.1f\n", counts[c],
           (double)(world_bytes() - before) / (double)counts[c]);
    close_bench(&all);
  }
}

int main(void) {
  publish_rows();
  delivery_rows();
  memory_row();
  return 0;
}
