/* SPDX-License-Identifier: MIT */
/* test_channel.c: channels by name, their bounds, their idle end, and the ghosts they leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/channel.h"
#include "util/hash.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NAME_OF_16   "0123456789abcdef"
#define NAME_OF_240                                                                                \
  NAME_OF_16 NAME_OF_16 NAME_OF_16 NAME_OF_16 NAME_OF_16 NAME_OF_16 NAME_OF_16 NAME_OF_16          \
      NAME_OF_16 NAME_OF_16 NAME_OF_16 NAME_OF_16 NAME_OF_16 NAME_OF_16 NAME_OF_16

enum {
  UNIT = sizeof(struct sse__frame) + 64 + SSE__CHUNK_BYTES, /* memory of a frame here */
  IDLE_MS = 1000
};

/* What a hub has around its channels. */
static struct {
  struct sse__mem mem;
  struct sse__store store;
  struct sse__timers timers;
  struct sse__channels channels;
  int64_t now_ms;
  uint64_t head;
} hub;

static int set_up(void **state) {
  (void)state;
  memset(&hub, 0, sizeof hub);
  hub.mem = sse__mem(world_alloc, NULL);
  hub.store.mem = &hub.mem;
  hub.store.bytes_max = SIZE_MAX;
  hub.channels.mem = &hub.mem;
  hub.channels.store = &hub.store;
  hub.channels.timers = &hub.timers;
  hub.channels.defaults =
      (sse_channel_config){10, (size_t)UNIT * 10, SSE_NEVER, SSE_NO, SSE_YES, UINT32_MAX, 0, {0}};
  hub.channels.hash_seed[0] = 17;
  hub.channels.hash_seed[1] = 18;
  hub.channels.max = 5;
  hub.channels.ghosts_max = 3;
  hub.channels.idle_ms = IDLE_MS;
  hub.now_ms = 5000;
  return sse__channels_init(&hub.channels);
}

static int tear_down(void **state) {
  (void)state;
  world_fail(0, false);
  sse__channels_free(&hub.channels);
  assert_int_equal(hub.timers.count, 0);
  sse__timers_free(&hub.timers, &hub.mem);
  return world_blocks() == 0 && hub.store.bytes == 0 ? 0 : -1;
}

/* ---- what a hub does ---- */

static struct sse__channel *find(const char *name) {
  return sse__channels_find(&hub.channels, name, strlen(name));
}

static struct sse__channel *get(const char *name) {
  struct sse__channel *channel = NULL;
  assert_int_equal(sse__channels_get(&hub.channels, name, strlen(name), hub.now_ms, &channel),
                   SSE_OK);
  assert_non_null(channel);
  return channel;
}

static void append_bytes(struct sse__channel *channel, size_t bytes) {
  struct sse__frame *frame = sse__frame_new(&hub.mem, SSE__FRAME_EVENT, bytes);
  assert_non_null(frame);
  frame->born_ns = hub.now_ms * 1000000;
  frame->seq = ++hub.head;
  assert_int_equal(sse__window_reserve(&channel->window, &hub.mem), SSE_OK);
  sse__channel_make_room(&hub.channels, channel, frame);
  sse__channel_append(&hub.channels, channel, frame);
}

static void append(struct sse__channel *channel) {
  append_bytes(channel, 64);
}

/* Lets time pass to the next timers one by one, as far as `until_ms`. */
static void run_until(int64_t until_ms) {
  while (sse__timers_due(&hub.timers) <= until_ms) {
    struct sse__timer *timer = sse__timers_first(&hub.timers);
    assert_true(timer->due_ms >= hub.now_ms);
    assert_int_equal(timer->kind, SSE__TIMER_CHANNEL);
    hub.now_ms = timer->due_ms;
    sse__channel_due(&hub.channels, SSE__CONTAINER(timer, struct sse__channel, timer), hub.now_ms);
  }
  hub.now_ms = until_ms;
}

/* A channel that comes, has one frame, and goes away idle. */
static void come_and_go(const char *name) {
  append(get(name));
  run_until(hub.now_ms + IDLE_MS);
  assert_null(find(name));
}

/* ---- names ---- */

static const struct {
  const char *name, *text;
  int error;
} names[] = {
    {"one byte", "a", SSE_OK},
    {"space", " ", SSE_OK},
    {"any punctuation", "user/4711?x=*&.\"\\<>~", SSE_OK},
    {"UTF-8", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xb2", SSE_OK},
    {"the longest", NAME_OF_240 "0123456789abcde", SSE_OK},
    {"too long", NAME_OF_240 NAME_OF_16, SSE_ENAME},
    {"far too long", NAME_OF_240 NAME_OF_240, SSE_ENAME},
    {"empty", "", SSE_ENAME},
    {"newline", "a\nb", SSE_ENAME},
    {"CR", "a\r", SSE_ENAME},
    {"tab", "\ta", SSE_ENAME},
    {"the first control character", "\x01", SSE_ENAME},
    {"the last before the space", "a\x1f", SSE_ENAME},
    {"DEL", "a\x7f", SSE_ENAME},
    {"no UTF-8", "a\xff", SSE_ENAME},
    {"UTF-8 cut off", "a\xe2\x82", SSE_ENAME},
    {"UTF-8 cut off at the longest", NAME_OF_240 "0123456789abcd\xc3", SSE_ENAME},
};

static void which_names_are_legal(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(names); i++) {
    size_t len = 12345;
    int error = sse__channel_name_check(names[i].text, &len);
    if (error != names[i].error) fail_msg("%s: %d", names[i].name, error);
    assert_int_equal(len, error ? 12345 : strlen(names[i].text));
  }
}

static void found_by_name_and_length(void **state) {
  (void)state;
  struct sse__channel *a = get("news"), *b = get("newsroom");
  assert_ptr_not_equal(a, b);
  assert_ptr_equal(get("news"), a);
  assert_ptr_equal(find("newsroom"), b);
  assert_ptr_equal(sse__channels_find(&hub.channels, "newsroom", 4), a);
  assert_null(find("new"));
  assert_string_equal(a->name, "news");
  assert_int_equal(hub.channels.map.count, 2);
}

/* Gives a channel the hash of another name, as if the two were equal. */
static void pretend_hash_of(struct sse__channel *channel, const char *name) {
  sse__map_remove(&hub.channels.map, &channel->node);
  channel->node.hash = sse__hash(hub.channels.hash_seed, name, strlen(name));
  sse__map_add(&hub.channels.map, &hub.mem, &channel->node);
}

static void two_names_of_one_hash(void **state) {
  (void)state;
  struct sse__channel *a = get("a"), *abc = get("abc"), *xy = get("xy");
  pretend_hash_of(a, "ab");
  pretend_hash_of(abc, "ab");
  pretend_hash_of(xy, "ab");
  assert_null(find("ab"));
  struct sse__channel *ab = get("ab");
  assert_string_equal(ab->name, "ab");
  assert_ptr_equal(find("ab"), ab);
  assert_int_equal(hub.channels.map.count, 4);
}

/* They share a ghost: it tells each of the higher number, and neither of a lower one. */
static void two_ghosts_of_one_hash(void **state) {
  (void)state;
  struct sse__channel *a = get("a"), *b = get("b");
  append(b);
  append(a);
  pretend_hash_of(a, "ab");
  pretend_hash_of(b, "ab");
  run_until(hub.now_ms + IDLE_MS);
  assert_int_equal(hub.channels.ghosts.count, 1);
  assert_true(get("ab")->window.evicted.seq == 2);
}

/* ---- how many ---- */

static void as_many_as_allowed(void **state) {
  struct sse__channel *channel;
  (void)state;
  for (const char *name = "abcde"; *name; name++) {
    assert_int_equal(sse__channels_get(&hub.channels, name, 1, hub.now_ms, &channel), SSE_OK);
  }
  assert_int_equal(sse__channels_get(&hub.channels, "f", 1, hub.now_ms, &channel), SSE_ECHANNELS);
  assert_null(find("f"));
  get("e");
  run_until(hub.now_ms + IDLE_MS);
  assert_int_equal(hub.channels.map.count, 0);
  get("f");
}

static void without_memory_no_channel(void **state) {
  struct sse__channel *channel;
  (void)state;
  get("first"); /* there is room for more timers */
  size_t blocks = world_blocks(), bytes = world_bytes();
  world_fail(1, true);
  assert_int_equal(sse__channels_get(&hub.channels, "b", 1, hub.now_ms, &channel), SSE_ENOMEM);
  world_fail(0, false);
  assert_null(find("b"));
  assert_int_equal(hub.timers.count, 1);
  assert_int_equal(world_blocks(), blocks);
  assert_int_equal(world_bytes(), bytes);
}

static void without_memory_no_channels(void **state) {
  struct sse__channels other = {.mem = &hub.mem};
  (void)state;
  size_t blocks = world_blocks();
  for (size_t n = 1; n <= 2; n++) {
    world_fail(n, false);
    assert_int_equal(sse__channels_init(&other), SSE_ENOMEM);
    assert_int_equal(world_blocks(), blocks);
  }
}

static void what_is_discarded(void **state) {
  (void)state;
  uint32_t made = hub.channels.made;
  sse__channels_discard(&hub.channels, get("new"), made);
  assert_null(find("new"));
  assert_int_equal(hub.timers.count, 0);
  assert_int_equal(hub.channels.ghosts.count, 0);

  struct sse__channel *channel = get("was there");
  sse__channels_discard(&hub.channels, channel, hub.channels.made);
  assert_ptr_equal(find("was there"), channel);

  channel = get("has had a frame");
  append(channel);
  sse__store_evict(&hub.store, sse__window_oldest(&channel->window));
  sse__channels_discard(&hub.channels, channel, made);
  assert_ptr_equal(find("has had a frame"), channel);

  channel = get("has a stream");
  channel->streams = 1;
  sse__channels_discard(&hub.channels, channel, made);
  assert_ptr_equal(find("has a stream"), channel);

  channel = get("configured");
  sse__channel_bound(&hub.channels, channel, &(sse_channel_config){0}, hub.now_ms);
  sse__channels_discard(&hub.channels, channel, made);
  assert_ptr_equal(find("configured"), channel);
}

/* A channel that inherited from a ghost and is taken back leaves that ghost as it was. */
static void a_ghost_outlives_a_discard(void **state) {
  (void)state;
  come_and_go("a");
  uint32_t made = hub.channels.made;
  sse__channels_discard(&hub.channels, get("a"), made);
  assert_int_equal(hub.channels.ghosts.count, 1);
  assert_true(get("a")->window.evicted.seq == 1);
  assert_true(hub.channels.floor.seq == 0);
}

/* ---- bounds ---- */

/* Frames are appended of so many bytes each, under the bounds or before they come. */
static const struct {
  const char *name;
  sse_channel_config bounds;
  bool late;
  size_t bytes[6];
  size_t count; /* left */
  uint64_t evicted;
} bounds[] = {
    {"defaults", {0}, false, {64, 64, 64, 64, 64, 64}, 6, 0},
    {"one frame", {.window_frames_max = 1}, false, {64, 64, 64}, 1, 2},
    {"three frames", {.window_frames_max = 3}, false, {64, 64, 64, 64, 64, 64}, 3, 3},
    {"bytes to the byte", {.window_bytes_max = UNIT * 2}, false, {64, 64}, 2, 0},
    {"a byte too many", {.window_bytes_max = UNIT * 2 - 1}, false, {64, 64}, 1, 1},
    {"a long one for several",
     {.window_bytes_max = UNIT * 4},
     false,
     {64, 64, 64, 64, 64 + UNIT},
     3,
     2},
    {"one over the bound by itself", {.window_bytes_max = UNIT}, false, {64, 65}, 1, 1},
    {"none fits, one is kept", {.window_bytes_max = 1}, false, {64, 64, 64}, 1, 2},

    {"late: defaults", {0}, true, {64, 64, 64, 64, 64, 64}, 6, 0},
    {"late: wider", {.window_frames_max = 20}, true, {64, 64, 64, 64, 64, 64}, 6, 0},
    {"late: the same",
     {.window_frames_max = 6, .window_bytes_max = UNIT * 6},
     true,
     {64, 64, 64, 64, 64, 64},
     6,
     0},
    {"late: fewer frames", {.window_frames_max = 2}, true, {64, 64, 64, 64, 64, 64}, 2, 4},
    {"late: fewer bytes", {.window_bytes_max = UNIT * 4}, true, {64, 64, 64, 64, 64, 64}, 4, 2},
    {"late: a byte less", {.window_bytes_max = UNIT * 4 - 1}, true, {64, 64, 64, 64, 64, 64}, 3, 3},
    {"late: both",
     {.window_frames_max = 5, .window_bytes_max = UNIT * 3},
     true,
     {64, 64, 64, 64, 64, 64},
     3,
     3},
    {"late: the last is kept", {.window_bytes_max = 1}, true, {64, 64, 64, 64, 64, 64}, 1, 5},
};

static void windows_keep_their_bounds(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(bounds); i++) {
    hub.head = 0;
    struct sse__channel *channel = get("a");
    if (!bounds[i].late) sse__channel_bound(&hub.channels, channel, &bounds[i].bounds, hub.now_ms);
    for (size_t f = 0; f < 6 && bounds[i].bytes[f]; f++) append_bytes(channel, bounds[i].bytes[f]);
    if (bounds[i].late) sse__channel_bound(&hub.channels, channel, &bounds[i].bounds, hub.now_ms);
    if (channel->window.count != bounds[i].count ||
        channel->window.evicted.seq != bounds[i].evicted) {
      fail_msg("%s: %zu left", bounds[i].name, channel->window.count);
    }
    assert_true(channel->configured);
    assert_int_equal(channel->bounds.window_age_ms_max, SSE_NEVER);
    sse__channels_free(&hub.channels);
    assert_int_equal(sse__channels_init(&hub.channels), SSE_OK);
    hub.channels.floor.seq = 0;
  }
}

/* ---- ages ---- */

static void frames_expire_at_their_age(void **state) {
  (void)state;
  struct sse__channel *channel = get("a");
  sse__channel_bound(&hub.channels, channel, &(sse_channel_config){.window_age_ms_max = 100},
                     hub.now_ms);
  append(channel);
  hub.now_ms += 40;
  append(channel);
  assert_int_equal(sse__timers_due(&hub.timers), hub.now_ms + 60);
  sse__channel_expire(&hub.channels, channel, hub.now_ms + 59);
  assert_int_equal(channel->window.count, 2);
  sse__channel_expire(&hub.channels, channel, hub.now_ms + 60);
  assert_int_equal(channel->window.count, 1);
  assert_true(channel->window.evicted.seq == 1);
  run_until(hub.now_ms + 99);
  assert_int_equal(channel->window.count, 1);
  run_until(hub.now_ms + 1);
  assert_int_equal(channel->window.count, 0);
  assert_int_equal(sse__timers_due(&hub.timers), SSE__NEVER_MS);
}

static void a_shorter_age_holds_at_once(void **state) {
  (void)state;
  struct sse__channel *channel = get("a");
  append(channel);
  hub.now_ms += 100;
  append(channel);
  sse__channel_bound(&hub.channels, channel, &(sse_channel_config){.window_age_ms_max = 100},
                     hub.now_ms);
  assert_int_equal(channel->window.count, 1);
  assert_true(channel->window.evicted.seq == 1);
}

static void a_publish_finds_no_frame_that_is_too_old(void **state) {
  (void)state;
  struct sse__channel *channel = get("a");
  sse__channel_bound(&hub.channels, channel, &(sse_channel_config){.window_age_ms_max = 100},
                     hub.now_ms);
  append(channel);
  append(channel);
  hub.now_ms += 100;
  append(channel);
  assert_int_equal(channel->window.count, 1);
  assert_true(channel->window.evicted.seq == 2);
}

static void without_an_age_nothing_expires(void **state) {
  (void)state;
  struct sse__channel *channel = get("a");
  sse__channel_bound(&hub.channels, channel, &(sse_channel_config){0}, hub.now_ms);
  append(channel);
  assert_int_equal(sse__timers_due(&hub.timers),
                   hub.now_ms + IDLE_MS); /* set before, not yet due */
  run_until(hub.now_ms + IDLE_MS * 1000);
  assert_int_equal(channel->window.count, 1);
  assert_int_equal(sse__timers_due(&hub.timers), SSE__NEVER_MS);
}

/* ---- idle channels ---- */

static void an_unused_channel_goes_away(void **state) {
  (void)state;
  append(get("a"));
  hub.now_ms += IDLE_MS - 1;
  append(get("a")); /* a publish counts as use */
  run_until(hub.now_ms + IDLE_MS - 1);
  assert_non_null(find("a"));
  run_until(hub.now_ms + 1);
  assert_null(find("a"));
  assert_int_equal(hub.store.bytes, 0);
  assert_int_equal(hub.timers.count, 0);
}

static void a_used_channel_stays(void **state) {
  struct sse__link feed = {NULL, NULL};
  (void)state;
  struct sse__channel *streams = get("streams"), *feeds = get("feeds");
  sse__channel_bound(&hub.channels, get("configured"), &(sse_channel_config){0}, hub.now_ms);
  streams->streams = 1;
  sse__list_append(&feeds->feeds, &feed);
  run_until(hub.now_ms + IDLE_MS * 10);
  assert_ptr_equal(find("streams"), streams);
  assert_ptr_equal(find("feeds"), feeds);
  assert_non_null(find("configured"));
  /* When the last one leaves, the time begins anew. */
  streams->streams = 0;
  sse__list_remove(&feeds->feeds, &feed);
  sse__channel_touch(&hub.channels, streams, hub.now_ms);
  sse__channel_touch(&hub.channels, feeds, hub.now_ms);
  run_until(hub.now_ms + IDLE_MS - 1);
  assert_int_equal(hub.channels.map.count, 3);
  run_until(hub.now_ms + 1);
  assert_int_equal(hub.channels.map.count, 1);
}

/* Which channels are dropped after their idle time. */
static const struct expire_row {
  const char *name;
  sse_choice of_hub; /* the default of the channels */
  bool configured;
  sse_choice expire; /* in the channel's own configuration */
  bool finished, stays;
} expire_rows[] = {
    {"not configured", SSE_YES, false, SSE_DEFAULT, false, false},
    {"not configured, the hub says no", SSE_NO, false, SSE_DEFAULT, false, true},
    {"not configured, the hub says no, finished", SSE_NO, false, SSE_DEFAULT, true, false},
    {"configured", SSE_YES, true, SSE_DEFAULT, false, true},
    {"configured, finished", SSE_YES, true, SSE_DEFAULT, true, false},
    {"configured with no", SSE_YES, true, SSE_NO, false, true},
    {"configured with no, finished", SSE_YES, true, SSE_NO, true, false},
    {"configured with yes", SSE_YES, true, SSE_YES, false, false},
    {"configured with yes, the hub says no", SSE_NO, true, SSE_YES, false, false},
    {"configured, the hub says no", SSE_NO, true, SSE_DEFAULT, false, true},
};

static void which_channels_expire(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(expire_rows); i++) {
    const struct expire_row *row = &expire_rows[i];
    set_up(state);
    hub.channels.defaults.expire = row->of_hub;
    struct sse__channel *channel = get("a");
    if (row->configured) {
      const sse_channel_config config = {.expire = row->expire};
      assert_int_equal(sse__channel_bound(&hub.channels, channel, &config, hub.now_ms), SSE_OK);
    }
    append(channel);
    channel->finished = row->finished;
    sse__channel_touch(&hub.channels, channel, hub.now_ms);
    run_until(hub.now_ms + IDLE_MS - 1);
    if (find("a") != channel) fail_msg("%s: dropped early", row->name);
    run_until(hub.now_ms + 1);
    if ((find("a") != NULL) != row->stays) fail_msg("%s", row->name);
    run_until(hub.now_ms + 10 * IDLE_MS);
    if ((find("a") != NULL) != row->stays) fail_msg("%s, later", row->name);
    if (!row->stays) {
      assert_true(get("a")->window.evicted.seq == 1);
      assert_true(get("a")->finished == row->finished);
      assert_false(get("a")->configured);
    }
    assert_int_equal(tear_down(state), 0);
  }
}

/* The last configuration decides, and its time begins with the call. */
static void a_configuration_may_say_so_later(void **state) {
  const sse_channel_config yes = {.expire = SSE_YES}, no = {.expire = SSE_NO};
  (void)state;
  struct sse__channel *channel = get("a");
  assert_int_equal(sse__channel_bound(&hub.channels, channel, &no, hub.now_ms), SSE_OK);
  run_until(hub.now_ms + 2 * IDLE_MS);
  assert_non_null(find("a"));
  assert_int_equal(sse__channel_bound(&hub.channels, channel, &yes, hub.now_ms), SSE_OK);
  run_until(hub.now_ms + IDLE_MS - 1);
  assert_non_null(find("a"));
  assert_int_equal(sse__channel_bound(&hub.channels, channel, &no, hub.now_ms), SSE_OK);
  run_until(hub.now_ms + 2 * IDLE_MS);
  assert_non_null(find("a"));
  assert_int_equal(sse__channel_bound(&hub.channels, channel, &yes, hub.now_ms), SSE_OK);
  run_until(hub.now_ms + IDLE_MS);
  assert_null(find("a"));
}

static void what_is_forgotten(void **state) {
  struct sse__link feed = {NULL, NULL};
  (void)state;
  struct sse__channel *channel = get("a");
  assert_int_equal(sse__channel_bound(&hub.channels, channel, &(sse_channel_config){0}, 0), SSE_OK);
  append(channel);
  channel->streams = 1;
  assert_int_equal(sse__channels_forget(&hub.channels, channel), SSE_EBUSY);
  channel->streams = 0;
  channel->requests = 1;
  assert_int_equal(sse__channels_forget(&hub.channels, channel), SSE_EBUSY);
  channel->requests = 0;
  sse__list_append(&channel->feeds, &feed);
  assert_int_equal(sse__channels_forget(&hub.channels, channel), SSE_EBUSY);
  sse__list_remove(&channel->feeds, &feed);
  channel->occupancy_queued = true;
  assert_int_equal(sse__channels_forget(&hub.channels, channel), SSE_EBUSY);
  channel->occupancy_queued = false;
  channel->occupancy_notifying = true;
  assert_int_equal(sse__channels_forget(&hub.channels, channel), SSE_EBUSY);
  channel->occupancy_notifying = false;
  assert_ptr_equal(find("a"), channel);
  assert_int_equal(channel->window.frames, 1);
  assert_int_equal(sse__channels_forget(&hub.channels, channel), SSE_OK);
  assert_null(find("a"));
  assert_int_equal(hub.timers.count, 0);
  assert_int_equal(hub.store.bytes, 0);
  assert_int_equal(hub.channels.ghosts.count, 1);
  assert_false(get("a")->configured);
  assert_true(get("a")->window.evicted.seq == 1);
}

static void never_idle(void **state) {
  (void)state;
  hub.channels.idle_ms = SSE_NEVER;
  append(get("a"));
  assert_int_equal(sse__timers_due(&hub.timers), SSE__NEVER_MS);
}

/* ---- ghosts and the floor ---- */

static void a_ghost_answers_for_its_channel(void **state) {
  (void)state;
  come_and_go("a");
  assert_int_equal(hub.channels.ghosts.count, 1);
  assert_true(get("a")->window.evicted.seq == 1);
  assert_true(get("b")->window.evicted.seq == 0);
  assert_int_equal(hub.channels.ghosts.count, 1);
}

static void nothing_lost_no_ghost(void **state) {
  (void)state;
  get("a");
  run_until(hub.now_ms + IDLE_MS);
  assert_null(find("a"));
  assert_int_equal(hub.channels.ghosts.count, 0);
}

static void a_channel_that_comes_again_raises_its_ghost(void **state) {
  (void)state;
  come_and_go("a");
  come_and_go("b");
  come_and_go("a");
  assert_int_equal(hub.channels.ghosts.count, 2);
  assert_true(get("a")->window.evicted.seq == 3);
  assert_true(get("b")->window.evicted.seq == 2);
}

static void too_many_ghosts_raise_the_floor(void **state) {
  (void)state;
  for (char name[] = "a"; *name < 'e'; ++*name) come_and_go(name);
  assert_int_equal(hub.channels.ghosts.count, 3);
  assert_true(hub.channels.floor.seq == 1);
  assert_true(get("new")->window.evicted.seq == 1);
  assert_true(get("a")->window.evicted.seq == 1);
  assert_true(get("b")->window.evicted.seq == 2);
  assert_true(get("d")->window.evicted.seq == 4);
  /* A channel that lost nothing above the floor leaves no ghost. */
  size_t blocks = world_blocks();
  uint32_t made = hub.channels.made;
  sse__channels_discard(&hub.channels, get("c2"), made);
  assert_int_equal(world_blocks(), blocks);
  assert_int_equal(hub.channels.ghosts.count, 3);
}

static void no_memory_for_a_ghost_raises_the_floor(void **state) {
  (void)state;
  come_and_go("a");
  append(get("b"));
  world_fail(1, true);
  run_until(hub.now_ms + IDLE_MS);
  world_fail(0, false);
  assert_null(find("b"));
  assert_int_equal(hub.channels.ghosts.count, 1);
  assert_true(hub.channels.floor.seq == 2);
  assert_true(get("c")->window.evicted.seq == 2);
  assert_true(get("a")->window.evicted.seq == 2); /* the ghost is below the floor */
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(which_names_are_legal),
      TEST(found_by_name_and_length),
      TEST(two_names_of_one_hash),
      TEST(two_ghosts_of_one_hash),
      TEST(as_many_as_allowed),
      TEST(without_memory_no_channel),
      TEST(without_memory_no_channels),
      TEST(what_is_discarded),
      TEST(a_ghost_outlives_a_discard),
      TEST(windows_keep_their_bounds),
      TEST(frames_expire_at_their_age),
      TEST(a_shorter_age_holds_at_once),
      TEST(a_publish_finds_no_frame_that_is_too_old),
      TEST(without_an_age_nothing_expires),
      TEST(an_unused_channel_goes_away),
      TEST(a_used_channel_stays),
      cmocka_unit_test(which_channels_expire),
      TEST(a_configuration_may_say_so_later),
      TEST(what_is_forgotten),
      TEST(never_idle),
      TEST(a_ghost_answers_for_its_channel),
      TEST(nothing_lost_no_ghost),
      TEST(a_channel_that_comes_again_raises_its_ghost),
      TEST(too_many_ghosts_raise_the_floor),
      TEST(no_memory_for_a_ghost_raises_the_floor),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
