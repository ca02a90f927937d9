/* SPDX-License-Identifier: MIT */
/* curves.c: how the cost of what clients and ordinary use cause grows with its size, and for how long
 * the hub's lock is held. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sse/sse.h>

/*
 * The library is built so that each basic block counts itself (-fsanitize-coverage=trace-pc), which
 * is the same on every machine. A case is tried with n, 2n and 4n. Each doubling may cost 1.2 times
 * the double. No hold of the lock may take more than HOLD_MAX blocks: 1,024 elementary steps, such
 * as the eviction of one frame, of at most 100 blocks each.
 */
#define GROWTH_MAX 1.2
#define HOLD_MAX   (1024 * 100)

static unsigned long blocks, hold_began, hold_longest;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) {
  blocks++;
}

/* ---- the lock: the Makefile lets the library call these ---- */

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
  hold_began = blocks;
  return __real_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
  unsigned long hold = blocks - hold_began;
  if (hold > hold_longest) hold_longest = hold;
  return __real_pthread_mutex_unlock(mutex);
}

/* ---- what all cases use ---- */

static unsigned long began;

static void measure(void) {
  began = blocks;
  hold_longest = 0;
}

static void must(int result) {
  if (result >= 0) return;
  fprintf(stderr, "%s: %s\n", sse_error_name(result), sse_error_text(result));
  exit(1);
}

static int64_t now_ns = INT64_C(1000000000000);

static int64_t simulated(void *arg) {
  (void)arg;
  return now_ns;
}

static int no_wake(void *arg, unsigned why) {
  (void)arg;
  (void)why;
  return 0;
}

static int failing_wake(void *arg, unsigned why) {
  (void)arg;
  (void)why;
  return 1;
}

static ssize_t take_all(void *arg, const struct iovec *iov, int count) {
  size_t bytes = 0;
  (void)arg;
  for (int i = 0; i < count; i++) bytes += iov[i].iov_len;
  return (ssize_t)bytes;
}

static int none_passes(void *arg, const sse_filter_event *event) {
  (void)arg;
  (void)event;
  return 0;
}

static sse_hub *hub;
static sse_loop *loop;
static sse_stream **streams;
static const char **names; /* n names, ended by NULL */
static size_t count;

static void setup(size_t n, sse_hub_config config) {
  config.clock = simulated;
  config.epoch = "E";
  if (!config.memory_bytes_max) config.memory_bytes_max = (size_t)1 << 30;
  config.event_bytes_max = config.memory_bytes_max / 8;
  config.channels_max = 1 << 20;
  must(sse_hub_new(&hub, &config));
  must(sse_loop_new(&loop, hub, &(const sse_loop_config){.wake = no_wake}));
  streams = calloc(n, sizeof *streams);
  names = calloc(n + 1, sizeof *names);
  count = n;
  for (size_t i = 0; i < n; i++) {
    char *name = malloc(24);
    snprintf(name, 24, "c%zu", i);
    names[i] = name;
  }
}

static void tear_down(void) {
  for (size_t i = 0; i < count; i++) {
    sse_stream_free(streams[i]);
    free((void *)(uintptr_t)names[i]);
  }
  must(sse_loop_free(loop));
  must(sse_hub_free(hub));
  free(streams);
  free(names);
}

static void run_rounds(void) {
  do {
    for (sse_stream *stream; (stream = sse_loop_next(loop));)
      sse_stream_flush(stream, take_all, NULL);
  } while (sse_loop_timeout(loop) == 0);
}

/* Streams of one channel, of the loop or standalone, which wait. */
static void open_streams(bool in_loop) {
  const sse_stream_config config = {
      .channel = "x", .tag = "t", .loop = in_loop ? loop : NULL, .wake = in_loop ? NULL : no_wake};
  for (size_t i = 0; i < count; i++) {
    must(sse_stream_open(&streams[i], hub, &config));
    if (!in_loop) sse_stream_flush(streams[i], take_all, NULL);
  }
  if (in_loop) run_rounds();
}

static void free_streams(bool backwards) {
  for (size_t i = 0; i < count; i++) {
    size_t at = backwards ? count - 1 - i : i;
    sse_stream_free(streams[at]);
    streams[at] = NULL;
  }
}

static void publish(const char *channel, const char *key) {
  must(sse_hub_publish(hub, channel, &(const sse_event){.text = "v", .key = key}));
}

/* Runs the timers that are due. */
static void tick(void) {
  while (sse_hub_tick(hub) == 0) continue;
}

static const sse_channel_config large = {.window_frames_max = 1 << 22,
                                         .window_bytes_max = (size_t)1 << 30};

/* ---- rounds ---- */

static void channels_with_an_event_each(size_t n) {
  setup(n, (sse_hub_config){0});
  for (size_t i = 0; i < n; i++)
    must(sse_stream_open(&streams[i], hub,
                         &(const sse_stream_config){.channel = names[i], .loop = loop}));
  run_rounds();
  for (size_t i = 0; i < n; i++) publish(names[i], NULL);
  measure();
  run_rounds();
}

static void updates_of_one_key(size_t n) {
  sse_channel_config config = large;
  config.conflate = SSE_YES;
  setup(n, (sse_hub_config){.channel = config});
  for (size_t i = 0; i < n; i++) publish("x", names[i]);
  must(sse_stream_open(&streams[0], hub, &(const sse_stream_config){.channel = "x", .loop = loop}));
  run_rounds();
  for (size_t i = 1; i < n; i++) publish("x", names[1]);
  measure();
  run_rounds();
}

/* ---- lists ---- */

static void ready_freed(size_t n, bool backwards) {
  setup(n, (sse_hub_config){0});
  for (size_t i = 0; i < n; i++)
    must(sse_stream_open(&streams[i], hub,
                         &(const sse_stream_config){.channel = "x", .loop = loop}));
  measure();
  free_streams(backwards);
}

static void ready_streams_freed(size_t n) {
  ready_freed(n, false);
}

static void ready_streams_freed_backwards(size_t n) {
  ready_freed(n, true);
}

static void heartbeats_due_and_freed(size_t n) {
  setup(n, (sse_hub_config){0});
  open_streams(true);
  now_ns += INT64_C(20000000000);
  sse_stream_flush(sse_loop_next(loop), take_all, NULL);
  measure();
  free_streams(false);
}

static void disconnected_and_freed(size_t n) {
  setup(n, (sse_hub_config){0});
  open_streams(true);
  measure();
  must(sse_hub_disconnect(hub, "t"));
  free_streams(false);
}

static void disconnected(size_t n) {
  setup(n, (sse_hub_config){0});
  open_streams(true);
  measure();
  must(sse_hub_disconnect(hub, "t"));
  run_rounds();
}

/* Of many channels, with a tag each, and none with the tag that others have. */
static void all_disconnected(size_t n) {
  setup(n, (sse_hub_config){0});
  for (size_t i = 0; i < n; i++)
    must(sse_stream_open(&streams[i], hub,
                         &(const sse_stream_config){.channel = i % 2 ? names[i] : "x",
                                                    .tag = i % 4 ? NULL : names[i],
                                                    .loop = i % 8 < 6 ? loop : NULL}));
  run_rounds();
  measure();
  must(sse_hub_disconnect(hub, NULL) == (int)n ? 0 : -1);
}

static void standalone_disconnected(size_t n) {
  setup(n, (sse_hub_config){0});
  open_streams(false);
  measure();
  must(sse_hub_disconnect(hub, "t"));
}

static void subscribed_and_freed(size_t n) {
  setup(n, (sse_hub_config){0});
  open_streams(true);
  measure();
  must(sse_hub_subscribe(hub, "t", "y", 0));
  free_streams(false);
}

static void subscribed(size_t n) {
  setup(n, (sse_hub_config){0});
  open_streams(true);
  measure();
  must(sse_hub_subscribe(hub, "t", "y", 0));
  run_rounds();
}

static void subscribed_to_a_full_channel(size_t n) {
  setup(n, (sse_hub_config){.channel.streams_max = (uint32_t)n});
  open_streams(true);
  measure();
  must(sse_hub_subscribe(hub, "t", "x", 0));
  run_rounds();
}

static void ended_streams_collected(size_t n) {
  setup(n, (sse_hub_config){0});
  open_streams(true);
  must(sse_hub_disconnect(hub, "t"));
  measure();
  run_rounds();
}

static void requests_collected(size_t n) {
  setup(n, (sse_hub_config){0});
  open_streams(true);
  must(sse_hub_subscribe(hub, "t", "y", 0));
  measure();
  run_rounds();
}

/* Streams whose wakes have all failed. */
static void fail_wakes(size_t n) {
  setup(n, (sse_hub_config){0});
  for (size_t i = 0; i < n; i++) {
    must(sse_stream_open(&streams[i], hub,
                         &(const sse_stream_config){.channel = "x", .wake = failing_wake}));
    sse_stream_flush(streams[i], take_all, NULL);
  }
  publish("x", NULL);
}

static void failed_wakes_called_again(size_t n) {
  fail_wakes(n);
  measure();
  for (size_t i = 0; i < n / 64; i++) publish("y", NULL);
}

static void failed_wakes_freed(size_t n) {
  fail_wakes(n);
  measure();
  free_streams(false);
}

/* ---- one stream of many channels ---- */

static void opened_with_channels(size_t n) {
  setup(n, (sse_hub_config){.stream_channels_max = 65535});
  measure();
  must(sse_stream_open(&streams[0], hub, &(const sse_stream_config){.channels = names}));
}

static void stepped_over_channels(size_t n) {
  struct iovec iov[64];
  setup(n, (sse_hub_config){.stream_channels_max = 65535});
  must(sse_stream_open(&streams[0], hub, &(const sse_stream_config){.channels = names}));
  sse_stream_flush(streams[0], take_all, NULL);
  for (size_t i = 0; i < 64; i++) publish(names[i % n], NULL);
  measure();
  must(sse_stream_peek(streams[0], iov, 64) > 0 ? 0 : -1);
}

static void subscribed_one_by_one(size_t n) {
  setup(n, (sse_hub_config){.stream_channels_max = 65535});
  must(sse_stream_open(&streams[0], hub,
                       &(const sse_stream_config){.channel = "x", .tag = "t", .loop = loop}));
  run_rounds();
  measure();
  for (size_t i = 0; i < n; i++) must(sse_hub_subscribe(hub, "t", names[i], 0));
  run_rounds();
  for (size_t i = 0; i < n; i++) must(sse_hub_unsubscribe(hub, "t", names[i]));
  run_rounds();
}

static void open_to_subscribe(size_t n, bool in_loop) {
  setup(n, (sse_hub_config){.stream_channels_max = 65535});
  must(sse_stream_open(
      &streams[0], hub,
      &(const sse_stream_config){.channel = "x", .tag = "t", .loop = in_loop ? loop : NULL}));
}

/* Looks at the one stream, in its loop or itself. */
static void look(bool in_loop) {
  if (in_loop) {
    run_rounds();
  } else {
    sse_stream_flush(streams[0], take_all, NULL);
  }
}

static void standalone_subscribed(size_t n) {
  open_to_subscribe(n, false);
  look(false);
  measure();
  for (size_t i = 0; i < n; i++) must(sse_hub_subscribe(hub, "t", names[i], 0));
  look(false);
  for (size_t i = 0; i < n; i++) must(sse_hub_unsubscribe(hub, "t", names[i]));
  look(false);
}

static void subscribed_with_a_look_each(size_t n) {
  open_to_subscribe(n, true);
  look(true);
  measure();
  for (size_t i = 0; i < n; i++) {
    must(sse_hub_subscribe(hub, "t", names[i], 0));
    look(true);
  }
}

static void subscribed_and_left_unseen(size_t n) {
  open_to_subscribe(n, true);
  measure();
  for (size_t i = 0; i < n; i++) must(sse_hub_subscribe(hub, "t", names[i], 0));
  for (size_t i = n; i > 0; i--) must(sse_hub_unsubscribe(hub, "t", names[i - 1]));
  look(true);
}

static void publish_in_turn(size_t n, int events) {
  for (int event = 0; event < events; event++) {
    char key[16];
    snprintf(key, sizeof key, "%d", event);
    for (size_t i = 0; i < n; i++) publish(names[i], key);
  }
}

static void state_of_many_channels(size_t n) {
  sse_channel_config config = large;
  config.conflate = SSE_YES;
  setup(n, (sse_hub_config){.stream_channels_max = 65535, .channel = config});
  publish_in_turn(n, 16);
  measure();
  must(sse_stream_open(&streams[0], hub, &(const sse_stream_config){.channels = names}));
  look(false);
}

static void history_of_many_channels(size_t n, bool in_loop) {
  setup(n, (sse_hub_config){.stream_channels_max = 65535});
  publish_in_turn(n, 16);
  measure();
  must(sse_stream_open(&streams[0], hub,
                       &(const sse_stream_config){.channels = names,
                                                  .start = SSE_START_RETAINED,
                                                  .loop = in_loop ? loop : NULL}));
  look(in_loop);
}

static void replay_of_many_channels(size_t n) {
  history_of_many_channels(n, false);
}

static void replay_of_many_channels_in_a_loop(size_t n) {
  history_of_many_channels(n, true);
}

static void round_of_many_channels(size_t n) {
  setup(n, (sse_hub_config){.stream_channels_max = 65535});
  must(sse_stream_open(&streams[0], hub,
                       &(const sse_stream_config){.channels = names, .loop = loop}));
  look(true);
  publish_in_turn(n, 1);
  measure();
  look(true);
}

static void requests_of_a_stuck_stream(size_t n) {
  setup(n, (sse_hub_config){0});
  must(sse_stream_open(&streams[0], hub,
                       &(const sse_stream_config){.channel = "x", .loop = loop, .tag = "t"}));
  measure();
  for (size_t i = 0; i < n; i++)
    i % 2 ? sse_hub_unsubscribe(hub, "t", "y") : sse_hub_subscribe(hub, "t", "y", 0);
  sse_stream_free(streams[0]);
  streams[0] = NULL;
}

static void metrics_of_channels(size_t n) {
  setup(n, (sse_hub_config){0});
  for (size_t i = 0; i < n; i++) publish(names[i], NULL);
  measure();
  must(sse_stats_prometheus(NULL, 0, hub, names) > 0 ? 0 : -1);
}

/* ---- the ceiling ---- */

/* Each stream holds an event that no window has any more, and no host frees those that end. */
static void publishes_beside_pins(size_t n) {
  struct iovec iov[1];
  setup(n,
        (sse_hub_config){.memory_bytes_max = n * 256 + 65536, .channel = {.window_frames_max = 1}});
  for (size_t i = 0; i < n; i++) {
    must(sse_stream_open(&streams[i], hub,
                         &(const sse_stream_config){
                             .channel = "x", .position = SSE_POSITION_OFF, .retry_ms = SSE_NEVER}));
    publish("x", NULL);
    if (sse_stream_peek(streams[i], iov, 1) != 1) break;
  }
  measure();
  for (size_t i = 0; i < n; i++) sse_hub_publish_text(hub, "x", NULL, "an event");
}

/* All that is retained is in flight, to n streams. */
static void publishes_beside_events_in_flight(size_t n) {
  char id[32];
  struct iovec iov[16];
  sse_channel_config config = large;
  setup(n, (sse_hub_config){.memory_bytes_max = n * 4096, .channel = config});
  for (size_t i = 0; i < 32 * n; i++) publish("x", NULL);
  for (size_t i = 0; i < n; i++) {
    snprintf(id, sizeof id, "E.%zu", 32 * i);
    must(sse_stream_open(
        &streams[i], hub,
        &(const sse_stream_config){
            .channel = "x", .last_id = id, .position = SSE_POSITION_OFF, .retry_ms = SSE_NEVER}));
    sse_stream_peek(streams[i], iov, 16);
  }
  measure();
  for (size_t i = 0; i < n; i++) sse_hub_publish_text(hub, "x", NULL, "an event");
}

/* One large event takes the place of n small ones. */
static void place_of_small_events(size_t n) {
  static char text[1 << 20];
  setup(n,
        (sse_hub_config){.memory_bytes_max = n * 256 + 65536,
                         .channel = {.window_frames_max = SIZE_MAX, .window_bytes_max = SIZE_MAX}});
  for (size_t i = 0; i < 4 * n; i++) publish("x", NULL);
  memset(text, 'x', n * 16);
  text[n * 16] = '\0';
  measure();
  must(sse_hub_publish_text(hub, "x", NULL, text));
}

/* ---- large windows ---- */

static void state_of_which_nothing_passes(size_t n) {
  sse_channel_config config = large;
  config.conflate = SSE_YES;
  setup(n, (sse_hub_config){.channel = config});
  for (size_t i = 0; i < n; i++) publish("x", names[i]);
  must(sse_stream_open(
      &streams[0], hub,
      &(const sse_stream_config){.channel = "x", .filter = none_passes, .last_id = "z.1"}));
  measure();
  sse_stream_flush(streams[0], take_all, NULL);
}

static void backfill_of_which_nothing_passes(size_t n) {
  setup(n, (sse_hub_config){.channel = large});
  for (size_t i = 0; i < n; i++) publish("y", NULL);
  must(sse_stream_open(
      &streams[0], hub,
      &(const sse_stream_config){.channel = "x", .filter = none_passes, .tag = "t"}));
  sse_stream_flush(streams[0], take_all, NULL);
  measure();
  must(sse_hub_subscribe(hub, "t", "y", SSE_BACKFILL_ALL));
  sse_stream_flush(streams[0], take_all, NULL);
}

static void idle_channel_dropped(size_t n) {
  setup(n, (sse_hub_config){.channel = large});
  for (size_t i = 0; i < n; i++) publish("x", NULL);
  now_ns += INT64_C(301000000000);
  measure();
  tick();
}

static void idle_channels_dropped(size_t n) {
  setup(n, (sse_hub_config){.channel = large});
  for (size_t i = 0; i < n; i++) {
    for (int frame = 0; frame < 256; frame++) publish(names[i], NULL);
  }
  now_ns += INT64_C(301000000000);
  measure();
  tick();
}

static void window_shrunk(size_t n) {
  setup(n, (sse_hub_config){.channel = large});
  for (size_t i = 0; i < n; i++) publish("x", NULL);
  measure();
  must(sse_hub_configure_channel(hub, "x", &(const sse_channel_config){.window_frames_max = 10}));
}

static void window_expired(size_t n) {
  sse_channel_config config = large;
  config.window_age_ms_max = 1000;
  setup(n, (sse_hub_config){.channel = config});
  for (size_t i = 0; i < n; i++) publish("x", NULL);
  now_ns += INT64_C(2000000000);
  measure();
  publish("x", NULL);
  tick();
}

static void window_filled(size_t n) {
  setup(n, (sse_hub_config){.channel = large});
  measure();
  for (size_t i = 0; i < n; i++) publish("x", NULL);
}

static void ids_added(size_t n) {
  setup(n, (sse_hub_config){.channel = large});
  measure();
  for (size_t i = 0; i < n; i++)
    must(sse_hub_publish(hub, "x", &(const sse_event){.text = "v", .id = names[i]}));
}

static void keys_added(size_t n) {
  sse_channel_config config = large;
  config.conflate = SSE_YES;
  setup(n, (sse_hub_config){.channel = config});
  measure();
  for (size_t i = 0; i < n; i++) publish("x", names[i]);
  for (size_t i = 0; i < n; i++) publish("x", names[i]);
}

static void channels_made(size_t n) {
  setup(n, (sse_hub_config){0});
  measure();
  for (size_t i = 0; i < n; i++) publish(names[i], NULL);
}

/* A stream with a limit of its own comes to a channel of which most places are superseded. */
static void limit_over_superseded(size_t n) {
  sse_channel_config config = large;
  config.conflate = SSE_YES;
  setup(n, (sse_hub_config){.channel = config});
  for (size_t i = 0; i < 2 * n; i++) publish("x", i == n ? "first" : names[i % n]);
  measure();
  must(sse_stream_open(
      &streams[0], hub,
      &(const sse_stream_config){.channel = "x", .last_id = "E.2", .lag_events_max = UINT32_MAX}));
}

/* ---- many standalone streams ---- */

static void standalone_notified(size_t n) {
  setup(n, (sse_hub_config){0});
  open_streams(false);
  measure();
  publish("x", NULL);
}

static void standalone_finished(size_t n) {
  setup(n, (sse_hub_config){0});
  open_streams(false);
  measure();
  must(sse_hub_finish(hub, "x"));
}

static void standalone_drained(size_t n) {
  setup(n, (sse_hub_config){0});
  open_streams(false);
  measure();
  must(sse_hub_drain(hub, 1000));
}

/* ---- the table ---- */

struct row {
  const char *what;
  void (*run)(size_t n);
  size_t n;
  const char *atomic; /* what the lock is held in proportion to (sse(7)); NULL: it is not */
  double growth;      /* limit on the growth; 0: GROWTH_MAX */
};

#define ROW(name, n, atomic)                                                                       \
  { #name, name, n, atomic, 0 }

static const struct row rows[] = {
    ROW(channels_with_an_event_each, 8192, NULL),
    ROW(updates_of_one_key, 16384, NULL),
    ROW(ready_streams_freed, 2048, NULL),
    ROW(ready_streams_freed_backwards, 2048, NULL),
    ROW(heartbeats_due_and_freed, 2048, NULL),
    ROW(disconnected_and_freed, 8192, NULL),
    ROW(disconnected, 8192, NULL),
    ROW(standalone_disconnected, 8192, NULL),
    ROW(all_disconnected, 8192, NULL),
    ROW(subscribed_and_freed, 8192, "streams of the tag"),
    ROW(subscribed, 8192, "streams of the tag"),
    ROW(subscribed_to_a_full_channel, 8192, "streams of the tag"),
    ROW(ended_streams_collected, 8192, NULL),
    ROW(requests_collected, 8192, NULL),
    ROW(failed_wakes_called_again, 2048, NULL),
    ROW(failed_wakes_freed, 2048, NULL),
    ROW(opened_with_channels, 4096, "channels of the stream"),
    ROW(stepped_over_channels, 4096, "channels of the stream"),
    ROW(subscribed_one_by_one, 1024, NULL),
    ROW(standalone_subscribed, 1024, "channels of the stream"),
    ROW(subscribed_with_a_look_each, 1024, NULL),
    ROW(subscribed_and_left_unseen, 512, NULL),
    ROW(state_of_many_channels, 256, "channels of the stream"),
    ROW(replay_of_many_channels, 256, "channels of the stream"),
    ROW(replay_of_many_channels_in_a_loop, 256, "channels of the stream"),
    ROW(round_of_many_channels, 256, "channels of the stream"),
    ROW(requests_of_a_stuck_stream, 2048, NULL),
    ROW(metrics_of_channels, 512, NULL),
    ROW(state_of_which_nothing_passes, 16384, NULL),
    ROW(backfill_of_which_nothing_passes, 16384, NULL),
    ROW(publishes_beside_pins, 4096, NULL),
    ROW(publishes_beside_events_in_flight, 4096, "events in flight"),
    ROW(place_of_small_events, 8192, "frames whose place the event takes"),
    ROW(idle_channel_dropped, 16384, NULL),
    ROW(idle_channels_dropped, 128, NULL),
    ROW(window_shrunk, 16384, NULL),
    ROW(window_expired, 16384, NULL),
    ROW(window_filled, 16384, NULL),
    ROW(ids_added, 16384, NULL),
    ROW(keys_added, 16384, NULL),
    ROW(channels_made, 16384, NULL),
    ROW(limit_over_superseded, 16384, "events of a conflated channel"),
    ROW(standalone_notified, 8192, NULL),
    ROW(standalone_finished, 8192, NULL),
    ROW(standalone_drained, 8192, NULL),
};

static bool check_row(const struct row *row) {
  unsigned long cost[3], longest = 0;
  double growth = 0;
  for (size_t i = 0; i < 3; i++) {
    row->run(row->n << i);
    cost[i] = blocks - began;
    longest = hold_longest;
    tear_down();
    double ratio = i > 0 ? (double)cost[i] / (2.0 * (double)cost[i - 1]) : 0;
    if (ratio > growth) growth = ratio;
  }
  bool grew = growth > (row->growth > 0 ? row->growth : GROWTH_MAX),
       held = longest > HOLD_MAX && !row->atomic;
  printf("%-34s %6zu %11lu %11lu %11lu %6.2f %9lu  %s\n", row->what, row->n, cost[0], cost[1],
         cost[2], growth, longest,
         grew   ? "GREW"
         : held ? "HELD"
                : (row->atomic ? row->atomic : ""));
  return !grew && !held;
}

int main(int argc, char **argv) {
  bool bad = false;
  printf("%-34s %6s %11s %11s %11s %6s %9s\n", "case", "n", "blocks: n", "2n", "4n", "growth",
         "held");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (argc > 1 && !strstr(rows[i].what, argv[1])) continue;
    bad |= !check_row(&rows[i]);
    fflush(stdout);
  }
  return bad;
}
