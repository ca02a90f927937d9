/* SPDX-License-Identifier: MIT */
/* count.c: fixed work for valgrind's callgrind, so that instructions can be counted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include <sse/sse.h>

#include "world.h"

#define TIMES    200
#define STREAMS  100
#define CHANNELS 16

/* Each dump is named so that count.sh finds the case and how often its work was done. */
#define MEASURE(name, times, work)                                                                 \
  do {                                                                                             \
    work;                                                                                          \
    CALLGRIND_ZERO_STATS;                                                                          \
    for (int time = 0; time < TIMES; time++) work;                                                 \
    dump(name, (times)*TIMES);                                                                     \
  } while (0)

static void dump(const char *name, int times) {
  char text[96];
  snprintf(text, sizeof text, "case %s/%d", name, times);
  CALLGRIND_DUMP_STATS_AT(text);
}

static void must(int result) {
  if (result < 0) abort();
}

/* ---- format ---- */

static char data[65536], out[8 * 65536];

static const sse_event *event_of(const char *pattern, size_t len) {
  static sse_event event;
  size_t unit = strlen(pattern), i = 0;
  for (; i + unit <= len; i += unit) memcpy(data + i, pattern, unit);
  memset(data + i, 'x', len - i);
  event = (sse_event){.data = data, .data_len = len};
  return &event;
}

static void format(const char *name, const char *pattern, size_t len) {
  const sse_event *event = event_of(pattern, len);
  MEASURE(name, 1, must(sse_format(out, sizeof out, event) > 0 ? 0 : -1));
}

/* ---- hub ---- */

static sse_hub *hub;
static sse_loop *loop;
static sse_stream *streams[STREAMS];
static char text[129];
static int published;

static void publish(int times) {
  for (int i = 0; i < times; i++) must(sse_hub_publish_text(hub, "c0", NULL, text));
  published += times;
}

static int run_round(void) {
  struct iovec iov[64];
  int served = 0;
  for (sse_stream *stream; (stream = sse_loop_next(loop)); served++) {
    for (int count; (count = sse_stream_peek(stream, iov, 64)) > 0;) {
      size_t bytes = 0;
      for (int i = 0; i < count; i++) bytes += iov[i].iov_len;
      sse_stream_consume(stream, bytes);
    }
  }
  return served;
}

static void open_streams(unsigned channels) {
  static const char *const names[CHANNELS + 1] = {"c0",  "c1",  "c2",  "c3", "c4",  "c5",
                                                  "c6",  "c7",  "c8",  "c9", "c10", "c11",
                                                  "c12", "c13", "c14", "c15"};
  const char *list[CHANNELS + 1] = {NULL};
  memcpy(list, names, channels * sizeof *list);
  const sse_stream_config config = {.channels = list, .loop = loop};
  for (int i = 0; i < STREAMS; i++) must(sse_stream_open(&streams[i], hub, &config));
  run_round();
}

static void close_streams(void) {
  for (int i = 0; i < STREAMS; i++) sse_stream_free(streams[i]);
}

static void open_and_close(const char *last_id) {
  const sse_stream_config config = {.channel = "c0", .loop = loop, .last_id = last_id};
  sse_stream *stream;
  must(sse_stream_open(&stream, hub, &config));
  sse_stream_free(stream);
}

static void publish_and_deliver(int events) {
  publish(events);
  must(run_round() == STREAMS ? 0 : -1);
}

/* With the publishes that make the rounds: they are few beside the deliveries. */
static void deliver(const char *name, int events, unsigned channels) {
  open_streams(channels);
  MEASURE(name, STREAMS * events, publish_and_deliver(events));
  close_streams();
}

static void count_hub(void) {
  static struct wakes wakes;
  struct world world = {.seed = 1};
  memset(text, 'x', sizeof text - 1);
  world_open(&world, NULL);
  hub = world.hub;
  must(sse_loop_new(&loop, hub, &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}));
  publish(2000); /* so that the window is full, and what is counted does not hang on its growth */
  MEASURE("publish, no subscriber", 1, publish(1));
  open_streams(1);
  MEASURE("publish, 100 subscribers", 1, publish(1));
  run_round();
  close_streams();
  deliver("delivery, 1 event a round", 1, 1);
  deliver("delivery, 16 events a round", 16, 1);
  deliver("delivery, 1 event, 16 channels", 1, CHANNELS);
  MEASURE("open and close", 1, open_and_close(NULL));
  char last_id[32];
  snprintf(last_id, sizeof last_id, "E.%d", published - 700);
  MEASURE("open at an id of 1,024 and close", 1, open_and_close(last_id));
  must(sse_loop_free(loop));
  world_close(&world);
}

int main(void) {
  format("format, one line, 64 B", "{\"price\":1234.5,\"symbol\":\"ABC\"} ", 64);
  format("format, one line, 1 KiB", "{\"price\":1234.5,\"symbol\":\"ABC\"} ", 1024);
  format("format, one line, 64 KiB", "{\"price\":1234.5,\"symbol\":\"ABC\"} ", 65536);
  format("format, lines of 16, 1 KiB", "fifteen letters\n", 1024);
  format("format, German, 1 KiB", "Zw\xc3\xb6lf Boxk\xc3\xa4mpfer jagen Viktor ", 1024);
  count_hub();
  return 0;
}
