/* SPDX-License-Identifier: MIT */
/* test_parts.c: what evicts many frames releases the lock in between, and keeps its promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "setting.h"
#include "stream/cursor.h"
#include "stream/loop.h"

enum {
  PART = 512, /* frames of a channel that one hold of the lock evicts */
  MANY = 4 * PART + 10
};

static const sse_channel_config large = {.window_frames_max = MANY, .window_age_ms_max = 1000};
static const sse_stream_config of_a = {.channel = "a", .tag = "me"};
static const sse_hub_config quiet = {
    .channel = {.window_frames_max = MANY, .window_age_ms_max = 1000},
    .channel_idle_ms = 5000,
    .retry_ms = SSE_NEVER,
    .heartbeat_ms = SSE_NEVER,
    .epoch = "E"};

static struct sse__channel *channel(struct setting *s, const char *name) {
  struct sse__channel *found = sse__channels_find(&s->world.hub->channels, name, strlen(name));
  assert_non_null(found);
  return found;
}

static void fill(struct setting *s, const char *name) {
  for (int i = 0; i < MANY; i++) world_send(&s->world, name, "x");
}

static size_t frames(struct setting *s, const char *name) {
  return channel(s, name)->window.frames;
}

/* The configuration is the old one until the window is within the new one. */
static void a_configuration(void **state) {
  struct setting s;
  (void)state;
  open_setting(&s, false, &quiet, &of_a);
  fill(&s, "b");
  struct sse__channels *channels = &s.world.hub->channels;
  sse_channel_config small = large;
  small.window_frames_max = 10;
  pthread_mutex_lock(&s.world.hub->lock);
  for (size_t left = MANY - PART; left > 10; left -= PART) {
    assert_int_equal(sse__channel_bound(channels, channel(&s, "b"), &small, 0), SSE_EAGAIN);
    assert_int_equal(frames(&s, "b"), left);
    assert_int_equal(channel(&s, "b")->bounds.window_frames_max, MANY);
    assert_false(channel(&s, "b")->configured);
  }
  pthread_mutex_unlock(&s.world.hub->lock);
  assert_int_equal(sse_hub_configure_channel(s.world.hub, "b", &small), SSE_OK);
  assert_int_equal(frames(&s, "b"), 10);
  fill(&s, "c");
  assert_int_equal(sse_hub_configure_channel(s.world.hub, "c", &small), SSE_OK);
  assert_int_equal(frames(&s, "c"), 10);
  close_setting(&s);
}

static void a_channel_that_goes(void **state) {
  struct setting s;
  (void)state;
  open_setting(&s, false, &quiet, &of_a);
  fill(&s, "b");
  pthread_mutex_lock(&s.world.hub->lock);
  assert_int_equal(sse__channels_forget(&s.world.hub->channels, channel(&s, "b")), SSE_EAGAIN);
  pthread_mutex_unlock(&s.world.hub->lock);
  assert_int_equal(frames(&s, "b"), MANY - PART);
  assert_int_equal(sse_hub_forget(s.world.hub, "b"), SSE_OK);
  assert_int_equal(sse_hub_forget(s.world.hub, "b"), SSE_ENOTFOUND);
  assert_int_equal(
      sse_hub_configure_channel(s.world.hub, "c",
                                &(const sse_channel_config){.window_age_ms_max = SSE_NEVER,
                                                            .expire = SSE_YES,
                                                            .window_frames_max = MANY}),
      SSE_OK);
  fill(&s, "c");
  s.world.now_ms += 6000;
  for (size_t left = MANY - PART; left <= MANY; left -= PART) {
    assert_int_equal(sse_hub_tick(s.world.hub), 0);
    assert_int_equal(frames(&s, "c"), left);
  }
  sse_hub_tick(s.world.hub);
  assert_int_equal(sse_hub_forget(s.world.hub, "c"), SSE_ENOTFOUND);
  close_setting(&s);
}

/* Nothing that is too old is served, however many parts it takes to evict it. */
static void old_frames(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct setting s;
    open_setting(&s, in_loop, &quiet, &of_a);
    round_of(&s);
    fill(&s, "a");
    s.world.now_ms += 1000;
    uint64_t head = s.world.hub->head.seq;
    world_send(&s.world, "a", "new"); /* evicts a part, and no more */
    assert_int_equal(frames(&s, "a"), MANY - PART + 1);
    const char *got = round_of(&s);
    assert_non_null(strstr(got, "event: gap"));
    assert_null(strstr(got, "data: x"));
    assert_non_null(strstr(got, "data: new"));
    assert_int_equal(frames(&s, "a"), 1);
    assert_true(s.world.hub->head.seq == head + 1);
    close_setting(&s);
  }
}

/* A stream that is opened, or subscribes, finds none of them. */
static void old_frames_at_an_open(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct setting s;
    open_setting(&s, in_loop, &quiet, &of_a);
    round_of(&s);
    fill(&s, "a");
    fill(&s, "b");
    s.world.now_ms += 1000;
    reopen(&s, "E.5");
    assert_int_equal(frames(&s, "a"), 0);
    assert_int_equal(sse_stream_resume_result(s.stream), SSE_RESUME_EVICTED);
    assert_int_equal(sse_hub_subscribe(s.world.hub, "me", "b", SSE_BACKFILL_ALL), 1);
    assert_null(strstr(round_of(&s), "data: x"));
    assert_int_equal(frames(&s, "b"), 0);
    close_setting(&s);
  }
}

/* ---- a log that moves ---- */

enum {
  ALONE = 4 /* standalone streams */
};

static struct {
  sse_hub *hub;
  sse_stream *streams[ALONE];
  int armed[ALONE];   /* how many streams were still armed when each was woken */
  int count, to_free; /* the place of a stream that the first wake frees; 0: none */
} woken;

/* A world of a log whose hub does one step in each part. */
static void open_in_parts(struct world *world) {
  const sse_hub_config config = {.numbers = SSE_NUMBERS_GIVEN};
  memset(&woken, 0, sizeof woken);
  world_open(world, &config);
  woken.hub = world->hub;
  world->hub->part_max = 1;
}

/* The lock is free, and what comes in a later part still waits. */
static int note_wake(void *arg, unsigned why) {
  int armed = 0;
  (void)arg, (void)why;
  assert_int_equal(pthread_mutex_trylock(&woken.hub->lock), 0);
  for (int i = 0; i < ALONE; i++)
    armed += woken.streams[i] && woken.streams[i]->sub.u.standalone->waker.armed;
  pthread_mutex_unlock(&woken.hub->lock);
  woken.armed[woken.count++] = armed;
  if (woken.count > 1 || !woken.to_free) return 0;
  sse_stream_free(woken.streams[woken.to_free]);
  woken.streams[woken.to_free] = NULL;
  return 0;
}

static int call_skip(sse_hub *hub) {
  return sse_hub_skip(hub, 9);
}
static int call_reset(sse_hub *hub) {
  return sse_hub_reset(hub, "F", 9);
}
static int call_finish(sse_hub *hub) {
  return sse_hub_finish(hub, "a");
}

/* The host joins while a reset still has the events of before to evict. */
static int join(void *arg, unsigned why) {
  (void)arg, (void)why;
  assert_int_equal(sse_hub_subscribe(woken.hub, "me", "b", SSE_BACKFILL_ALL), 1);
  assert_int_equal(sse_hub_subscribe(woken.hub, "me", "k", SSE_BACKFILL_ALL), 1);
  const char *bytes = world_read(woken.streams[0]);
  assert_non_null(strstr(bytes, "event: gap"));
  assert_null(strstr(bytes, "data: x"));
  return 0;
}

static void a_join_during_a_reset(void **state) {
  const sse_stream_config stream = {.channel = "a", .tag = "me", .wake = join};
  const sse_event before = {.text = "x", .number = 1}, key = {.text = "x", .key = "k", .number = 2};
  const sse_channel_config conflated = {.conflate = SSE_YES};
  struct world world = {0};
  (void)state;
  open_in_parts(&world);
  assert_int_equal(sse_hub_configure_channel(world.hub, "k", &conflated), SSE_OK);
  assert_int_equal(sse_hub_publish(world.hub, "b", &before), SSE_OK);
  assert_int_equal(sse_hub_publish(world.hub, "k", &key), SSE_OK);
  assert_int_equal(sse_stream_open(&woken.streams[0], world.hub, &stream), SSE_OK);
  world_read(woken.streams[0]);
  assert_int_equal(call_reset(world.hub), SSE_OK);
  sse_stream_free(woken.streams[0]);
  world_close(&world);
}

static const struct {
  const char *name, *last_id;
  int (*call)(sse_hub *hub);
  int to_free;
} log_rows[] = {
    {"a skip", "E.0", call_skip, 0},
    {"a skip, the next one is freed", "E.0", call_skip, 1},
    {"a skip, the last one is freed", "E.0", call_skip, ALONE - 1},
    {"a reset", "E.0", call_reset, 0},
    {"a reset, ahead", "E.20", call_reset, 0},
    {"a reset, the next one is freed", "E.0", call_reset, 1},
    {"a reset, the last one is freed", "E.20", call_reset, ALONE - 1},
    {"finished, ahead", "E.20", call_finish, 0},
    {"finished, ahead, the next one is freed", "E.20", call_finish, 1},
};

static void a_log_that_moves(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof log_rows / sizeof *log_rows; i++) {
    const sse_stream_config stream = {
        .channel = "a", .last_id = log_rows[i].last_id, .wake = note_wake};
    struct world world = {0};
    print_message("  %s\n", log_rows[i].name);
    open_in_parts(&world);
    woken.to_free = log_rows[i].to_free;
    for (int k = 0; k < ALONE; k++) {
      assert_int_equal(sse_stream_open(&woken.streams[k], world.hub, &stream), SSE_OK);
      world_read(woken.streams[k]);
    }
    assert_int_equal(log_rows[i].call(world.hub), SSE_OK);
    int left = log_rows[i].to_free ? ALONE - 1 : ALONE;
    assert_int_equal(woken.count, left);
    assert_int_equal(woken.armed[0], ALONE - 1);
    for (int k = 1; k < left; k++) assert_int_equal(woken.armed[k], left - 1 - k);
    for (int k = 0; k < ALONE; k++) sse_stream_free(woken.streams[k]);
    world_close(&world);
  }
}

static struct wakes late;

/* A stream that is ahead looks before the reset has come to it, and another one is opened. */
static int look_and_open(void *arg, unsigned why) {
  static const sse_stream_config stream = {.channel = "a", .wake = world_wake, .user = &late};
  (void)arg, (void)why;
  if (woken.count++ > 0) return 0;
  assert_non_null(strstr(world_read(woken.streams[2]), "\"restart\""));
  assert_int_equal(sse_stream_open(&woken.streams[3], woken.hub, &stream), SSE_OK);
  world_read(woken.streams[3]);
  return 0;
}

static void a_look_during_a_reset(void **state) {
  const sse_event event = {.text = "x", .number = 10};
  struct world world = {0};
  (void)state;
  open_in_parts(&world);
  for (int i = 0; i < 3; i++) {
    const sse_stream_config stream = {
        .channel = "a", .last_id = i == 2 ? "E.20" : "E.0", .wake = look_and_open};
    assert_int_equal(sse_stream_open(&woken.streams[i], world.hub, &stream), SSE_OK);
    world_read(woken.streams[i]);
  }
  assert_int_equal(call_reset(world.hub), SSE_OK);
  for (int i = 0; i < ALONE; i++) world_read(woken.streams[i]);
  int so_far = woken.count;
  assert_int_equal(late.count, 0);
  assert_int_equal(sse_hub_publish(world.hub, "a", &event), SSE_OK);
  assert_int_equal(late.count, 1);
  assert_int_equal(woken.count, so_far + 3);
  for (int i = 0; i < ALONE; i++) sse_stream_free(woken.streams[i]);
  world_close(&world);
}

/* A reset evicts all of the old history, however many parts it takes. */
static void a_reset_of_many(void **state) {
  const sse_hub_config config = {.numbers = SSE_NUMBERS_GIVEN, .channel = large};
  struct setting s;
  (void)state;
  open_setting(&s, false, &config, &of_a);
  for (uint64_t number = 1; number <= MANY; number++) {
    const sse_event event = {.text = "x", .number = number};
    assert_int_equal(sse_hub_publish(s.world.hub, number % 2 ? "b" : "c", &event), SSE_OK);
  }
  assert_int_equal(frames(&s, "b") + frames(&s, "c"), MANY);
  assert_int_equal(sse_hub_reset(s.world.hub, "F", 0), SSE_OK);
  assert_int_equal(frames(&s, "b") + frames(&s, "c"), 0);
  close_setting(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_configuration),
      cmocka_unit_test(a_channel_that_goes),
      cmocka_unit_test(old_frames),
      cmocka_unit_test(old_frames_at_an_open),
      cmocka_unit_test(a_log_that_moves),
      cmocka_unit_test(a_join_during_a_reset),
      cmocka_unit_test(a_look_during_a_reset),
      cmocka_unit_test(a_reset_of_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
