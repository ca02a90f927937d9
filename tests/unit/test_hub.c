/* SPDX-License-Identifier: MIT */
/* test_hub.c: the life of a hub, its configuration, its counts, its ticks and its idle channels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
  IDLE_MS = 3000,
  TICK_MS_MAX = 1000, /* what a tick tells at most */
  MANY = 600          /* channels */
};

static struct world world;

static const sse_hub_config quiet = {.channel_idle_ms = IDLE_MS, .retry_ms = SSE_NEVER};

static int set_up(void **state) {
  (void)state;
  world = (struct world){.hub = NULL};
  world_open(&world, &quiet);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  world_fail(0, false);
  world_close(&world);
  return 0;
}

/* What a stream that begins now gets first, and all that a client with this id has missed. */
static void assert_reads(const char *channel, const char *last_id, const char *want) {
  sse_stream *stream = world_stream(&world, channel, last_id, NULL);
  assert_string_equal(world_read(stream), want);
  sse_stream_free(stream);
}

#define POSITION(id) "event: sse-position\ndata:\nid: " id "\n\n"

/* ---- making and freeing ---- */

static int no_random(void *arg, void *buf, size_t len) {
  (void)arg;
  (void)buf;
  (void)len;
  return 1;
}

static char not_null;

static const struct {
  const char *name;
  sse_hub_config config;
  int error;
} refused[] = {
    {"event over an eighth", {.memory_bytes_max = 8000, .event_bytes_max = 1001}, SSE_EINVAL},
    {"heartbeat_ms", {.heartbeat_ms = -2}, SSE_EINVAL},
    {"window_age_ms_max", {.channel = {.window_age_ms_max = -2}}, SSE_EINVAL},
    {"channel reserved", {.channel = {.reserved = {0, 1}}}, SSE_EINVAL},
    {"epoch", {.epoch = "a b"}, SSE_EINVAL},
    {"gap_type", {.gap_type = "a\n"}, SSE_EINVAL},
    {"position_type", {.position_type = ""}, SSE_EINVAL},
    {"reserved", {.reserved = {NULL, &not_null}}, SSE_EINVAL},
    {"random", {.random = no_random}, SSE_ERANDOM},
};

static void what_is_refused(void **state) {
  (void)state;
  assert_int_equal(sse_hub_new(NULL, NULL), SSE_EINVAL);
  for (size_t i = 0; i < COUNT(refused); i++) {
    sse_hub_config config = refused[i].config;
    sse_hub *hub = (sse_hub *)(void *)&not_null;
    config.alloc = world_alloc;
    int error = sse_hub_new(&hub, &config);
    if (error != refused[i].error) fail_msg("%s: %d", refused[i].name, error);
    assert_ptr_equal(hub, &not_null);
    assert_int_equal(world_blocks(), 0);
  }
}

static void every_allocation_of_a_hub_failed(void **state) {
  (void)state;
  for (int onwards = 0; onwards <= 1; onwards++) {
    size_t n = 1;
    for (;; n++) {
      sse_hub_config config = quiet;
      sse_hub *hub = NULL;
      world_callbacks(&world, &config);
      world_fail(n, onwards);
      int error = sse_hub_new(&hub, &config);
      world_fail(0, false);
      if (!error) {
        assert_int_equal(sse_hub_free(hub), SSE_OK);
        break;
      }
      assert_int_equal(error, SSE_ENOMEM);
      assert_null(hub);
      assert_int_equal(world_blocks(), 0);
    }
    assert_int_equal(n, 9); /* eight allocations */
    assert_int_equal(world_bytes(), 0);
  }
}

static void every_allocation_of_a_loop_failed(void **state) {
  struct wakes wakes = {0};
  (void)state;
  size_t blocks = world_blocks(), bytes = world_bytes();
  for (int onwards = 0; onwards <= 1; onwards++) {
    for (size_t n = 1; n <= 2; n++) {
      sse_loop *loop = NULL;
      world_fail(n, onwards);
      assert_int_equal(
          sse_loop_new(&loop, world.hub,
                       &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
          SSE_ENOMEM);
      world_fail(0, false);
      assert_null(loop);
      assert_int_equal(world_blocks(), blocks);
      assert_int_equal(world_bytes(), bytes);
    }
  }
  /* None of them counts as a loop of the hub: it can be freed at the end. */
}

static void a_loop_needs_all_arguments(void **state) {
  sse_loop *loop = NULL;
  (void)state;
  assert_int_equal(sse_loop_new(NULL, world.hub, &(const sse_loop_config){.wake = world_wake}),
                   SSE_EINVAL);
  assert_int_equal(sse_loop_new(&loop, NULL, &(const sse_loop_config){.wake = world_wake}),
                   SSE_EINVAL);
  assert_int_equal(sse_loop_new(&loop, world.hub, &(const sse_loop_config){.wake = NULL}),
                   SSE_EINVAL);
  assert_null(loop);
}

static void a_hub_in_use_is_not_freed(void **state) {
  struct wakes wakes = {0};
  sse_loop *loop;
  (void)state;
  assert_int_equal(sse_hub_free(NULL), SSE_OK);
  assert_int_equal(sse_loop_new(&loop, world.hub,
                                &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                   SSE_OK);
  assert_int_equal(sse_hub_free(world.hub), SSE_EBUSY);
  sse_stream *stream = world_stream(&world, "a", NULL, NULL);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  assert_int_equal(sse_hub_free(world.hub), SSE_EBUSY);
  world_send(&world, "a", "still here");
  assert_string_equal(world_read(stream), POSITION("E.0") "data: still here\nid: E.1\n\n");
  sse_stream_detach(stream);
  assert_int_equal(sse_hub_free(world.hub), SSE_EBUSY);
  sse_stream_free(stream);
}

static int random_calls;

static int zeroes(void *arg, void *buf, size_t len) {
  (void)arg;
  memset(buf, 0, len);
  random_calls++;
  return 0;
}

/* The strings are copied, the epoch is drawn once where none is given. */
static void what_a_hub_takes_over(void **state) {
  char gap[] = "lost", position[] = "where";
  sse_hub_config config = quiet;
  (void)state;
  world_close(&world);
  config.gap_type = gap;
  config.position_type = position;
  world_callbacks(&world, &config);
  config.random = zeroes;
  random_calls = 0;
  assert_int_equal(sse_hub_new(&world.hub, &config), SSE_OK);
  memset(gap, 'X', sizeof gap);
  memset(position, 'X', sizeof position);
  assert_reads("a", NULL, "event: where\ndata:\nid: AAAAAAAAAAA.0\n\n");
  assert_reads("a", "E.x",
               "event: lost\ndata: {\"reason\":\"unknown\",\"requested\":\"E.x\","
               "\"resume\":\"AAAAAAAAAAA.0\","
               "\"channels\":[\"a\"]}\nid: AAAAAAAAAAA.0\n\n");
  assert_int_equal(random_calls, 1);
}

/* Every hub has a name of its own, without anything given. */
static void two_hubs_have_two_epochs(void **state) {
  char first[2][256];
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    sse_hub *hub = NULL;
    sse_stream *stream;
    const sse_stream_config config = {.channel = "a", .retry_ms = SSE_NEVER};
    assert_int_equal(sse_hub_new(&hub, NULL), SSE_OK);
    assert_int_equal(sse_stream_open(&stream, hub, &config), SSE_OK);
    snprintf(first[i], sizeof first[i], "%s", world_read(stream));
    sse_stream_free(stream);
    assert_int_equal(sse_hub_free(hub), SSE_OK);
    assert_int_equal(strlen(first[i]), sizeof POSITION("12345678901.0") - 1);
  }
  assert_string_not_equal(first[0], first[1]);
}

/* ---- configuring channels ---- */

static const struct {
  const char *name, *channel;
  sse_channel_config config;
  int error;
} configs[] = {
    {"frames", "a", {.window_frames_max = 1}, SSE_OK},
    {"defaults", "a", {0}, SSE_OK},
    {"age", "a", {.window_age_ms_max = -2}, SSE_EINVAL},
    {"neither to conflate nor not", "a", {.conflate = (sse_choice)3}, SSE_EINVAL},
    {"neither to expire nor not", "a", {.expire = (sse_choice)3}, SSE_EINVAL},
    {"reserved", "a", {.reserved = {0, 1}}, SSE_EINVAL},
    {"no name", "", {0}, SSE_ENAME},
    {"a name with a newline", "a\n", {0}, SSE_ENAME},
    {"one too many", "b", {0}, SSE_ECHANNELS},
};

static void which_channels_are_configured(void **state) {
  sse_hub_config config = quiet;
  (void)state;
  world_close(&world);
  config.channels_max = 1;
  world_open(&world, &config);
  assert_int_equal(sse_hub_configure_channel(NULL, "a", NULL), SSE_EINVAL);
  assert_int_equal(sse_hub_configure_channel(world.hub, NULL, NULL), SSE_EINVAL);
  size_t blocks = world_blocks();
  for (size_t i = 0; i < COUNT(configs); i++) {
    int error = sse_hub_configure_channel(world.hub, configs[i].channel, &configs[i].config);
    if (error != configs[i].error) fail_msg("%s: %d", configs[i].name, error);
    if (i == 0) blocks = world_blocks();
    assert_int_equal(world_blocks(), blocks);
  }
}

static void new_bounds_hold_at_once_and_are_taken_back(void **state) {
  const sse_channel_config two = {.window_frames_max = 2};
  (void)state;
  for (int i = 0; i < 4; i++) world_send(&world, "a", "x");
  assert_int_equal(sse_hub_configure_channel(world.hub, "a", &two), SSE_OK);
  assert_reads("a", "E.2", POSITION("E.2") "data: x\nid: E.3\n\ndata: x\nid: E.4\n\n");
  assert_reads("a", "E.1",
               "event: gap\ndata: {\"reason\":\"evicted\",\"requested\":\"E.1\","
               "\"resume\":\"E.2\",\"channels\":[\"a\"]}\nid: E.2\n\n"
               "data: x\nid: E.3\n\ndata: x\nid: E.4\n\n");
  assert_int_equal(sse_hub_configure_channel(world.hub, "a", NULL), SSE_OK);
  world_send(&world, "a", "y");
  assert_reads("a", "E.2",
               POSITION("E.2") "data: x\nid: E.3\n\ndata: x\nid: E.4\n\ndata: y\nid: E.5\n\n");
}

static void every_allocation_of_a_channel_failed(void **state) {
  const sse_channel_config one = {.window_frames_max = 1};
  (void)state;
  world_send(&world, "first", "x"); /* there is room for more timers */
  size_t blocks = world_blocks(), bytes = world_bytes();
  for (int onwards = 0; onwards <= 1; onwards++) {
    world_fail(1, onwards);
    assert_int_equal(sse_hub_configure_channel(world.hub, "new", &one), SSE_ENOMEM);
    /* One that is there needs no memory. */
    assert_int_equal(sse_hub_configure_channel(world.hub, "first", NULL), SSE_OK);
    world_fail(0, false);
    assert_int_equal(world_blocks(), blocks);
    assert_int_equal(world_bytes(), bytes);
  }
  world_send(&world, "new", "x");
  world_send(&world, "new", "y");
  assert_reads("new", "E.1", POSITION("E.1") "data: x\nid: E.2\n\ndata: y\nid: E.3\n\n");
}

/* ---- counts ---- */

static void streams_are_counted(void **state) {
  const char *const both[] = {"a", "b", NULL};
  const sse_stream_config of_both = {.channels = both};
  sse_stream *one, *two;
  (void)state;
  assert_int_equal(sse_hub_count(world.hub, NULL), 0);
  assert_int_equal(sse_hub_count(world.hub, "a"), 0);
  one = world_stream(&world, "a", NULL, NULL);
  assert_int_equal(sse_stream_open(&two, world.hub, &of_both), SSE_OK);
  assert_int_equal(sse_hub_count(world.hub, "a"), 2);
  assert_int_equal(sse_hub_count(world.hub, "b"), 1);
  assert_int_equal(sse_hub_count(world.hub, NULL), 2);
  assert_int_equal(sse_hub_count(world.hub, "unknown"), 0);
  assert_int_equal(sse_hub_count(world.hub, ""), 0);
  assert_int_equal(sse_hub_count(world.hub, "a\n"), 0);
  sse_stream_detach(two);
  assert_int_equal(sse_hub_count(world.hub, "a"), 1);
  assert_int_equal(sse_hub_count(world.hub, "b"), 0);
  sse_stream_free(two);
  sse_stream_free(one);
  assert_int_equal(sse_hub_count(world.hub, NULL), 0);
  assert_int_equal(sse_hub_count(world.hub, "a"), 0);
}

/* ---- ticks ---- */

static void a_tick_tells_when_the_next_is_due(void **state) {
  const sse_channel_config age = {.window_age_ms_max = 400};
  (void)state;
  assert_int_equal(sse_hub_tick(world.hub), TICK_MS_MAX);
  assert_int_equal(sse_hub_configure_channel(world.hub, "stays", NULL), SSE_OK);
  world.now_ms += IDLE_MS;
  assert_int_equal(sse_hub_tick(world.hub), TICK_MS_MAX);
  assert_int_equal(sse_hub_configure_channel(world.hub, "aged", &age), SSE_OK);
  world_send(&world, "aged", "x");
  assert_int_equal(sse_hub_tick(world.hub), 400);
  world_send(&world, "idle", "x");
  world.now_ms += 399;
  assert_int_equal(sse_hub_tick(world.hub), 1);
  size_t blocks = world_blocks();
  world.now_ms++;
  assert_int_equal(sse_hub_tick(world.hub), TICK_MS_MAX);
  assert_int_equal(world_blocks(), blocks - 1); /* the frame */
}

/* The lock is not held for very many timers at a time; the next tick is due at once. */
static void very_many_timers_take_several_ticks(void **state) {
  char name[16];
  int ticks = 1;
  (void)state;
  for (int i = 0; i < MANY; i++) {
    snprintf(name, sizeof name, "%d", i);
    world_send(&world, name, "x");
  }
  world.now_ms += IDLE_MS;
  for (; sse_hub_tick(world.hub) == 0; ticks++) assert_true(ticks < MANY);
  assert_true(ticks > 1);
  assert_int_equal(sse_hub_tick(world.hub), TICK_MS_MAX);
}

/* Lone streams: a heartbeat wakes, a wake that failed is tried again soon. */
static void a_tick_wakes_lone_streams(void **state) {
  struct wakes wakes = {.fail = 1};
  const sse_stream_config config = {
      .channel = "a", .wake = world_wake, .user = &wakes, .heartbeat_ms = 300};
  sse_stream *stream;
  (void)state;
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  assert_string_equal(world_read(stream), POSITION("E.0"));
  assert_int_equal(sse_hub_tick(world.hub), 300);
  world.now_ms += 300;
  assert_in_range(sse_hub_tick(world.hub), 1, 100);
  assert_int_equal(wakes.count, 1);
  assert_int_equal(sse_hub_tick(world.hub), 300);
  assert_int_equal(wakes.count, 2);
  assert_int_equal(wakes.why, SSE_WAKE_READY);
  sse_hub_tick(world.hub);
  assert_int_equal(wakes.count, 2);
  assert_string_equal(world_read(stream), ":\n");
  sse_stream_free(stream);
}

/* ---- idle channels ---- */

#define LOST(id, resume)                                                                           \
  "event: gap\ndata: {\"reason\":\"evicted\",\"requested\":\"" id "\",\"resume\":\"" resume        \
  "\",\"channels\":[\"a\"]}\nid: " resume "\n\n"

/* Who comes back to a channel that went away hears of what went with it, and of nothing else. */
static void a_channel_that_went_away_is_remembered(void **state) {
  (void)state;
  world_send(&world, "a", "x");
  world_send(&world, "a", "y");
  size_t blocks = world_blocks();
  world.now_ms += IDLE_MS - 1;
  sse_hub_tick(world.hub);
  assert_int_equal(world_blocks(), blocks);
  world.now_ms++;
  assert_int_equal(sse_hub_tick(world.hub), TICK_MS_MAX);
  assert_true(world_blocks() < blocks);
  assert_reads("a", "E.1", LOST("E.1", "E.2"));
  assert_reads("a", "E.2", POSITION("E.2"));
  assert_reads("b", "E.1", POSITION("E.1"));
  world_send(&world, "a", "z");
  assert_reads("a", "E.2", POSITION("E.2") "data: z\nid: E.3\n\n");
}

static void streams_and_publishes_keep_a_channel(void **state) {
  (void)state;
  sse_stream *stream = world_stream(&world, "a", NULL, NULL);
  world_send(&world, "a", "x");
  for (int i = 0; i < 3; i++) {
    world.now_ms += IDLE_MS - 1;
    sse_hub_tick(world.hub);
  }
  sse_stream_free(stream);
  for (int i = 0; i < 3; i++) {
    world.now_ms += IDLE_MS - 1;
    sse_hub_tick(world.hub);
    world_send(&world, "a", "y");
  }
  assert_reads("a", "E.0",
               POSITION("E.0") "data: x\nid: E.1\n\ndata: y\nid: E.2\n\ndata: y\nid: E.3\n\n"
                               "data: y\nid: E.4\n\n");
}

/* A feed that is dirty when its last stream leaves goes with the loop's next round. */
static void a_channel_left_by_its_loop_goes_away(void **state) {
  struct wakes wakes = {0};
  sse_loop *loop;
  (void)state;
  assert_int_equal(sse_loop_new(&loop, world.hub,
                                &(const sse_loop_config){.wake = world_wake, .wake_arg = &wakes}),
                   SSE_OK);
  sse_stream *stream = world_stream(&world, "a", NULL, loop);
  world.now_ms += IDLE_MS;
  sse_hub_tick(world.hub);
  world_send(&world, "a", "x");
  sse_stream_free(stream);
  assert_null(sse_loop_next(loop));
  assert_int_equal(sse_hub_tick(world.hub), TICK_MS_MAX);
  world.now_ms += IDLE_MS;
  assert_int_equal(sse_hub_tick(world.hub), TICK_MS_MAX);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
}

/* A channel that could not be made as it is wanted is not there, and takes no other's place. */
static void without_memory_nothing_is_configured(void **state) {
  const sse_channel_config conflated = {.conflate = SSE_YES};
  sse_hub_config config = quiet;
  int error = SSE_ENOMEM;
  (void)state;
  config.channels_max = 1;
  for (size_t n = 1; error; n++) {
    world_close(&world);
    world_open(&world, &config);
    size_t blocks = world_blocks();
    world_fail(n, false);
    error = sse_hub_configure_channel(world.hub, "a", &conflated);
    world_fail(0, false);
    if (!error) continue;
    assert_int_equal(error, SSE_ENOMEM);
    assert_true(world_blocks() <= blocks + 1); /* places for timers may stay */
    assert_int_equal(sse_hub_configure_channel(world.hub, "b", &conflated), SSE_OK);
  }
  assert_int_equal(sse_hub_configure_channel(world.hub, "b", &conflated), SSE_ECHANNELS);
}

static int count_up(void *arg, void *buf, size_t len) {
  unsigned char *bytes = buf;
  (void)arg;
  for (size_t i = 0; i < len; i++) bytes[i] = (unsigned char)(i + 1);
  return 0;
}

/* Who chooses names, tags or ids must not be able to choose their hashes. */
static void hashes_have_keys_from_the_random_source(void **state) {
  sse_hub_config config = quiet;
  (void)state;
  world_close(&world);
  world_callbacks(&world, &config);
  config.random = count_up;
  assert_int_equal(sse_hub_new(&world.hub, &config), SSE_OK);
  const uint64_t *keys[] = {world.hub->channels.hash_seed, world.hub->tags.hash_seed,
                            world.hub->store.ids.hash_seed};
  for (size_t i = 0; i < COUNT(keys); i++) {
    assert_true(keys[i][0] != 0 && keys[i][1] != 0);
    assert_true(keys[i][0] != keys[i][1]);
  }
}

/* Who has no more memory can free what there is. */
static void freeing_a_hub_allocates_nothing(void **state) {
  struct world w = {.hub = NULL};
  (void)state;
  world_open(&w, NULL);
  world_send(&w, "a", "1");
  assert_int_equal(sse_hub_finish(w.hub, "b"), SSE_OK);
  size_t calls = world_calls();
  world_close(&w);
  assert_int_equal(world_calls(), calls);
}

/* What sse_http_busy is to name: between the hub's value and one and a half times that. */
static void retry_times_of_busy_answers(void **state) {
  static const struct {
    int32_t of_hub, least, most;
  } rows[] = {
      {0, 2000, 3000},
      {1, 1, 1},
      {1000, 1000, 1500},
      {SSE_NEVER, 2000, 3000},
      {INT32_MAX, SSE_RETRY_MS_MAX, SSE_RETRY_MS_MAX},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct world w = {0};
    int32_t least = INT32_MAX, most = 0;
    world_open(&w, &(const sse_hub_config){.retry_ms = rows[i].of_hub});
    for (int n = 0; n < 1000; n++) {
      int32_t ms = sse_hub_retry_ms(w.hub);
      assert_in_range(ms, rows[i].least, rows[i].most);
      if (ms < least) least = ms;
      if (ms > most) most = ms;
    }
    /* All of the range is used. */
    int32_t width = rows[i].most - rows[i].least;
    assert_true(least <= rows[i].least + width / 10 && most >= rows[i].most - width / 10);
    world_close(&w);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(every_allocation_of_a_hub_failed),
      cmocka_unit_test(freeing_a_hub_allocates_nothing),
      TEST(every_allocation_of_a_loop_failed),
      TEST(a_loop_needs_all_arguments),
      TEST(a_hub_in_use_is_not_freed),
      TEST(what_a_hub_takes_over),
      cmocka_unit_test(two_hubs_have_two_epochs),
      TEST(which_channels_are_configured),
      TEST(new_bounds_hold_at_once_and_are_taken_back),
      TEST(every_allocation_of_a_channel_failed),
      TEST(streams_are_counted),
      TEST(a_tick_tells_when_the_next_is_due),
      TEST(very_many_timers_take_several_ticks),
      TEST(a_tick_wakes_lone_streams),
      TEST(a_channel_that_went_away_is_remembered),
      TEST(streams_and_publishes_keep_a_channel),
      TEST(a_channel_left_by_its_loop_goes_away),
      TEST(without_memory_nothing_is_configured),
      TEST(hashes_have_keys_from_the_random_source),
      cmocka_unit_test(retry_times_of_busy_answers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
