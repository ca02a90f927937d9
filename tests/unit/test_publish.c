/* SPDX-License-Identifier: MIT */
/* test_publish.c: a publish is whole or nothing, and evicts exactly what it must. */
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
#define NAME_OF_16   "0123456789abcdef"
#define NAME_OF_64   NAME_OF_16 NAME_OF_16 NAME_OF_16 NAME_OF_16

enum {
  TEXT = 200,
  /* Memory of a frame with a text of so many bytes: "data: ", the text, LF, the longest id line. */
  UNIT = (int)sizeof(struct sse__frame) + 6 + TEXT + 1 + SSE__EVENT_ID_LINE_BYTES_MAX +
         SSE__CHUNK_BYTES + SSE__CHUNK_HEAD_BYTES,
  ROOM = 15, /* frames under the ceiling; no power of two, so no window is about to grow */
  EVENT_MAX = 1000
};

static struct world world;
static struct wakes wakes;
static char text[TEXT + 1];

static void open_world(size_t frames, const sse_channel_config *channel) {
  sse_hub_config config = {.memory_bytes_max = frames * UNIT, .retry_ms = SSE_NEVER};
  if (channel) config.channel = *channel;
  memset(text, 'x', TEXT);
  world = (struct world){.hub = NULL};
  world_open(&world, &config);
}

static int set_up(void **state) {
  (void)state;
  open_world(ROOM, NULL);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  world_fail(0, false);
  world_close(&world);
  return 0;
}

/* Everything of a hub that a failed publish could have changed. */
struct picture {
  uint64_t head, oldest, newest;
  size_t bytes, window_bytes, channels, ghosts, timers;
  size_t blocks, heap_bytes;
};

static struct picture picture(void) {
  const sse_hub *hub = world.hub;
  const struct sse__link *newest = hub->store.rows[SSE__ROW_LOG].last;
  return (struct picture){
      .head = hub->head.seq,
      .oldest = newest ? sse__store_oldest(&hub->store, SSE__ROW_LOG)->seq : 0,
      .newest = newest ? SSE__CONTAINER(newest, struct sse__frame, link)->seq : 0,
      .bytes = hub->store.bytes,
      .window_bytes = hub->store.window_bytes,
      .channels = hub->channels.map.count,
      .ghosts = hub->channels.ghosts.count,
      .timers = hub->timers.count,
      .blocks = world_blocks(),
      .heap_bytes = world_bytes(),
  };
}

static void assert_picture(struct picture want) {
  struct picture now = picture();
  assert_memory_equal(&now, &want, sizeof now);
}

static const struct sse__window *window_of(const char *channel) {
  const struct sse__channel *ch =
      sse__channels_find(&world.hub->channels, channel, strlen(channel));
  assert_non_null(ch);
  return &ch->window;
}

static void assert_window(const char *channel, size_t count, uint64_t evicted) {
  const struct sse__window *window = window_of(channel);
  assert_int_equal(window->count, count);
  assert_true(window->evicted.seq == evicted);
}

/* A lone stream that is armed, to see who is woken. */
static sse_stream *listen(const char *channel) {
  const sse_stream_config config = {.channel = channel, .wake = world_wake, .user = &wakes};
  sse_stream *stream;
  wakes = (struct wakes){0};
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  world_read(stream);
  assert_int_equal(world_read_result(), 0);
  return stream;
}

/* ---- errors ---- */

static char not_null;

static const struct {
  const char *name, *channel;
  sse_event event;
  int error;
} rows[] = {
    {"id of the hub's form", "a", {.text = "x", .id = "F.1"}, SSE_EID},
    {"id nearly of the hub's form", "a", {.text = "x", .id = "E.01"}, SSE_EID},
    {"empty id", "a", {.text = "x", .id = ""}, SSE_EID},
    {"id with a control character", "a", {.text = "x", .id = "a\x01z"}, SSE_EID},
    {"id with DEL", "a", {.text = "x", .id = "a\x7f"}, SSE_EID},
    {"ephemeral with an id", "a", {.text = "x", .id = "1", .flags = SSE_EPHEMERAL}, SSE_EINVAL},
    {"reset of the id", "a", {.text = "x", .flags = SSE_RESET_ID}, SSE_EINVAL},
    {"both payloads", "a", {.text = "x", .data = "x", .data_len = 1}, SSE_EINVAL},
    {"length without bytes", "a", {.text = "x", .data_len = 1}, SSE_EINVAL},
    {"unknown flag", "a", {.text = "x", .flags = 0x80000000u}, SSE_EINVAL},
    {"reserved", "a", {.text = "x", .reserved = {NULL, &not_null}}, SSE_EINVAL},
    {"no channel", NULL, {.text = "x"}, SSE_EINVAL},
    {"no payload", "a", {.type = "t"}, SSE_ENODATA},
    {"nothing", "a", {0}, SSE_ENODATA},
    {"comment alone", "a", {.comment = "c"}, SSE_ENODATA},
    {"retry alone", "a", {.retry_ms = 5}, SSE_ENODATA},
    {"text is not UTF-8", "a", {.text = "\xff"}, SSE_EUTF8},
    {"bytes are not UTF-8", "a", {.data = "\xff", .data_len = 1}, SSE_EUTF8},
    {"type is not UTF-8", "a", {.text = "x", .type = "\xff"}, SSE_EUTF8},
    {"comment is not UTF-8", "a", {.text = "x", .comment = "\xff"}, SSE_EUTF8},
    {"LF in the type", "a", {.text = "x", .type = "a\nb"}, SSE_ELINE},
    {"CR in the type", "a", {.text = "x", .type = "a\r"}, SSE_ELINE},
    {"CR refused", "a", {.text = "a\rb", .flags = SSE_REFUSE_CR}, SSE_ECR},
    {"retry out of range", "a", {.text = "x", .retry_ms = -3}, SSE_ERANGE},
    {"empty name", "", {.text = "x"}, SSE_ENAME},
    {"name with a control character", "a\x7f", {.text = "x"}, SSE_ENAME},
    {"name is not UTF-8", "\xff", {.text = "x"}, SSE_ENAME},
    {"name too long", NAME_OF_64 NAME_OF_64 NAME_OF_64 NAME_OF_64, {.text = "x"}, SSE_ENAME},
    {"one channel too many", "c", {.text = "x"}, SSE_ECHANNELS},
};

/* The hub is full to the ceiling: a publish that came through would evict. */
static void a_refused_publish_changes_nothing(void **state) {
  (void)state;
  world.hub->channels.max = 2;
  sse_stream *stream = listen("a"), *other = listen("b");
  for (int i = 0; i < ROOM; i++) world_send(&world, i % 2 ? "a" : "b", text);
  world_read(stream);
  world_read(other);
  wakes = (struct wakes){0};
  const struct picture before = picture();
  assert_int_equal(before.bytes, world.hub->store.bytes_max);
  assert_int_equal(sse_hub_publish(NULL, "a", &rows[0].event), SSE_EINVAL);
  assert_int_equal(sse_hub_publish(world.hub, "a", NULL), SSE_EINVAL);
  assert_int_equal(sse_hub_publish_text(world.hub, "a", NULL, NULL), SSE_ENODATA);
  for (size_t i = 0; i < COUNT(rows); i++) {
    int error = sse_hub_publish(world.hub, rows[i].channel, &rows[i].event);
    if (error != rows[i].error) fail_msg("%s: %d", rows[i].name, error);
    assert_picture(before);
  }
  assert_int_equal(wakes.count, 0);
  world_send(&world, "a", "y");
  assert_int_equal(wakes.count, 1);
  assert_string_equal(world_read(stream), "data: y\nid: E.16\n\n");
  sse_stream_free(stream);
  sse_stream_free(other);
}

static void the_longest_event_is_exact(void **state) {
  static char long_text[EVENT_MAX];
  const sse_hub_config config = {.event_bytes_max = EVENT_MAX};
  const size_t most = EVENT_MAX - 7 - SSE__EVENT_ID_LINE_BYTES_MAX;
  sse_event event = {.data = long_text, .data_len = most + 1};
  (void)state;
  tear_down(NULL);
  world_open(&world, &config);
  memset(long_text, 'x', sizeof long_text);
  world_send(&world, "a", "before");
  const struct picture before = picture();
  assert_int_equal(sse_hub_publish(world.hub, "a", &event), SSE_ETOOBIG);
  assert_picture(before);
  event.data_len = most;
  assert_int_equal(sse_hub_publish(world.hub, "a", &event), SSE_OK);
  assert_int_equal(window_of("a")->count, 2);
}

/* Frames that are lent may take up all memory; then there is no room, and nothing is evicted. */
static void a_full_hub_refuses(void **state) {
  struct iovec iov[64];
  (void)state;
  sse_stream *stream = listen("a");
  for (int i = 0; i < ROOM; i++) world_send(&world, "a", text);
  assert_int_equal(sse_stream_peek(stream, iov, 64), ROOM);
  const struct picture before = picture();
  assert_int_equal(sse_hub_publish_text(world.hub, "a", NULL, text), SSE_EFULL);
  assert_picture(before);
  assert_int_equal(sse_hub_publish_text(world.hub, "new", NULL, text), SSE_EFULL);
  assert_picture(before);
  /* One frame comes back, and one fits; but those that are lent and older leave the window. */
  sse_stream_consume(stream, iov[0].iov_len);
  world_send(&world, "new", text);
  assert_int_equal(window_of("new")->count, 1);
  assert_true(world.hub->store.bytes <= world.hub->store.bytes_max);
  assert_int_equal(world.hub->head.seq, ROOM + 1);
  sse_stream_free(stream);
}

/* ---- memory ---- */

/* Publishes with the n-th allocation failing, for every n, until it comes through. */
static size_t fail_each(const char *channel, bool onwards) {
  const struct picture before = picture();
  for (size_t n = 1;; n++) {
    world_fail(n, onwards);
    int error = sse_hub_publish_text(world.hub, channel, NULL, text);
    world_fail(0, false);
    if (!error) return n;
    assert_int_equal(error, SSE_ENOMEM);
    assert_picture(before);
  }
}

static void every_allocation_failed(void **state) {
  (void)state;
  tear_down(NULL);
  for (int onwards = 0; onwards <= 1; onwards++) {
    open_world((size_t)ROOM * 4, NULL);
    sse_stream *stream = listen("old");
    assert_int_equal(fail_each("new", onwards), 4); /* frame, channel, window */
    assert_int_equal(fail_each("new", onwards), 2); /* frame */
    for (int i = 0; i < 8; i++) world_send(&world, "old", text);
    assert_int_equal(fail_each("old", onwards), 3); /* frame, a longer window */
    assert_int_equal(wakes.count, 1);
    assert_int_equal(world.hub->head.seq, 11);
    assert_int_equal(window_of("old")->count, 9);
    world_read(stream);
    world_send(&world, "old", "y");
    assert_string_equal(world_read(stream), "data: y\nid: E.12\n\n");
    sse_stream_free(stream);
    if (!onwards) world_close(&world);
  }
}

/* Room for the timers of channels is kept once it is there, but failures do not add up. */
static void failures_do_not_add_up(void **state) {
  (void)state;
  size_t bytes = 0;
  for (int i = 0; i < 100; i++) {
    for (size_t n = 1; n <= 3; n++) {
      world_fail(n, true);
      assert_int_equal(sse_hub_publish_text(world.hub, "a", NULL, text), SSE_ENOMEM);
      world_fail(0, false);
    }
    if (i == 0) bytes = world_bytes();
    assert_int_equal(world_bytes(), bytes);
    assert_int_equal(world.hub->channels.map.count, 0);
    assert_int_equal(world.hub->timers.count, 0);
  }
  world_send(&world, "a", "x");
  assert_int_equal(world.hub->head.seq, 1);
}

/* ---- what is evicted ---- */

/* A window of so many frames goes round; the windows of others stay as they are. */
static void a_busy_channel_evicts_its_own(void **state) {
  const sse_channel_config bounds[] = {
      {.window_frames_max = 4}, {.window_bytes_max = (size_t)UNIT * 4}, {.window_frames_max = 1}};
  (void)state;
  tear_down(NULL);
  for (size_t b = 0; b < COUNT(bounds); b++) {
    size_t mine = bounds[b].window_frames_max == 1 ? 1 : 4;
    open_world(12 + mine, NULL);
    assert_int_equal(sse_hub_configure_channel(world.hub, "busy", &bounds[b]), SSE_OK);
    for (int i = 0; i < 12; i++) world_send(&world, "quiet", text);
    for (uint64_t i = 0; i < 500; i++) {
      world_send(&world, "busy", text);
      assert_window("quiet", 12, 0);
      assert_window("busy", i < mine ? (size_t)i + 1 : mine, i < mine ? 0 : 12 + i + 1 - mine);
    }
    assert_int_equal(world.hub->store.bytes, world.hub->store.bytes_max);
    if (b + 1 < COUNT(bounds)) world_close(&world);
  }
}

/* A channel within its bounds takes the hub's oldest frames, whosever, and no more than it must. */
static void the_ceiling_takes_the_oldest(void **state) {
  (void)state;
  for (int i = 0; i < 8; i++) world_send(&world, i % 2 ? "b" : "a", text);
  for (int i = 8; i < ROOM; i++) world_send(&world, "c", text);
  assert_window("a", 4, 0);
  assert_window("b", 4, 0);
  world_send(&world, "c", "short"); /* takes the place of a longer one */
  assert_window("a", 3, 1);
  world_send(&world, "c", "short"); /* fits beside it */
  assert_window("a", 3, 1);
  assert_window("b", 4, 0);
  world_send(&world, "c", text);
  assert_window("b", 3, 2);
  assert_window("a", 3, 1);
  assert_int_equal(window_of("c")->count, ROOM - 8 + 3);
}

/* Frames too old go before others do, and a publish to their channel sees to it. */
static void the_aged_go_first(void **state) {
  const sse_channel_config age = {.window_age_ms_max = 100};
  (void)state;
  assert_int_equal(sse_hub_configure_channel(world.hub, "aged", &age), SSE_OK);
  for (int i = 0; i < 10; i++) world_send(&world, "kept", text);
  for (int i = 0; i < 5; i++) world_send(&world, "aged", text);
  world.now_ms += 100;
  world_send(&world, "aged", text);
  assert_window("kept", 10, 0);
  assert_window("aged", 1, 15);
}

/* Whatever is published and lent, the ceiling holds, and the books are right. */
static void the_ceiling_holds(void **state) {
  static const char *const channels[] = {"a", "b", "c", "d"};
  static char payload[TEXT * 2];
  sse_stream *streams[12];
  struct iovec iov[64];
  size_t refused = 0;
  (void)state;
  memset(payload, 'x', sizeof payload);
  for (size_t i = 0; i < 12; i++) streams[i] = listen(channels[i % 4]);
  for (int step = 0; step < 20000; step++) {
    size_t i = (size_t)world_random(&world, 4);
    const sse_event event = {.data = payload, .data_len = (size_t)world_random(&world, TEXT * 2)};
    const struct picture before = picture();
    int error = sse_hub_publish(world.hub, channels[i], &event);
    assert_true(error == SSE_OK || error == SSE_EFULL);
    if (error) {
      refused++;
      assert_picture(before);
    }
    assert_int_equal(world.hub->head.seq, before.head + (error == SSE_OK));
    assert_true(world.hub->store.bytes <= world.hub->store.bytes_max);
    if (world_random(&world, 16) > 0) continue;
    i = (size_t)world_random(&world, 12);
    int count = sse_stream_peek(streams[i], iov, 64);
    if (count == SSE_EPINNED && world_random(&world, 10) == 0) {
      sse_stream_free(streams[i]);
      streams[i] = listen(channels[i % 4]);
    } else if (count > 0 && world_random(&world, 10) == 0) {
      sse_stream_consume(streams[i], iov[0].iov_len / 2);
    }
  }
  assert_true(refused > 0);
  for (size_t i = 0; i < 12; i++) sse_stream_free(streams[i]);
  assert_int_equal(world.hub->store.bytes, world.hub->store.window_bytes);
}

/* ---- events of several channels under the ceiling ---- */

enum {
  SHARE = (int)sizeof(struct sse__frame),
  SHARED = 4 /* events of two channels that fit */
};

static int share(const char *payload) {
  static const char *const both[] = {"a", "b", NULL};
  const sse_event event = {.text = payload};
  return sse_hub_publish_to(world.hub, both, &event);
}

/* So many of them fit, and an event may be longer than an eighth of that. */
static void open_shared_world(void) {
  sse_hub_config config = {.memory_bytes_max = (size_t)SHARED * (UNIT + 2 * SHARE)};
  config.event_bytes_max = config.memory_bytes_max / 8;
  tear_down(NULL);
  memset(text, 'x', TEXT);
  world = (struct world){.hub = NULL};
  world_open(&world, &config);
  world.hub->event_bytes_max = EVENT_MAX;
}

/* A body goes with the last of its shares: room for one that is longer is made of two. */
static void bodies_go_with_their_shares(void **state) {
  static char longer[TEXT + 150];
  (void)state;
  memset(longer, 'x', sizeof longer - 1);
  open_shared_world();
  for (int i = 0; i < SHARED; i++) assert_int_equal(share(text), SSE_OK);
  assert_int_equal(world.hub->store.bytes, world.hub->store.bytes_max);
  assert_int_equal(share(longer), SSE_OK);
  assert_window("a", 3, 2);
  assert_window("b", 3, 2);
  assert_true(world.hub->store.bytes <= world.hub->store.bytes_max);
}

/* One share is as good as all of them where the others have gone before. */
static void bodies_with_one_share_left(void **state) {
  static char longer[TEXT + 500];
  const sse_channel_config one = {.window_frames_max = 1};
  struct iovec iov[64];
  (void)state;
  memset(longer, 'x', sizeof longer - 1);
  open_shared_world();
  assert_int_equal(sse_hub_configure_channel(world.hub, "b", &one), SSE_OK);
  for (int i = 0; i < 3 * SHARED; i++) assert_int_equal(share(text), SSE_OK);
  assert_window("b", 1, 3 * SHARED - 1);
  assert_window("a", SHARED, 2 * SHARED);
  sse_stream *stream = listen("b"); /* and holds the last of them */
  assert_int_equal(share(text), SSE_OK);
  assert_int_equal(sse_stream_peek(stream, iov, 64), 1);
  assert_int_equal(share(longer), SSE_OK);
  assert_true(world.hub->store.bytes <= world.hub->store.bytes_max);
  sse_stream_free(stream);
}

/* What a reader of one channel holds, the share of the other does not give back. */
static void a_body_that_is_lent_stays(void **state) {
  struct iovec iov[64];
  (void)state;
  open_shared_world();
  sse_stream *stream = listen("a");
  for (int i = 0; i < SHARED; i++) assert_int_equal(share(text), SSE_OK);
  assert_int_equal(sse_stream_peek(stream, iov, 64), SHARED);
  const struct picture before = picture();
  assert_int_equal(share(text), SSE_EFULL);
  assert_picture(before);
  sse_stream_consume(stream, iov[0].iov_len);
  assert_int_equal(share(text), SSE_OK);
  assert_window("a", 4, 1);
  sse_stream_free(stream);
}

/* An ephemeral event goes where somebody listens: a channel that has only events keeps none of it.
 */
static void an_ephemeral_event_for_nobody(void **state) {
  static const char *const both[] = {"quiet", "a", NULL};
  const sse_event event = {.text = "x", .flags = SSE_EPHEMERAL};
  (void)state;
  world_send(&world, "quiet", text);
  const struct picture before = picture();
  assert_int_equal(sse_hub_publish(world.hub, "quiet", &event), SSE_OK);
  assert_picture(before);
  sse_stream *stream = listen("a");
  assert_int_equal(sse_hub_publish_to(world.hub, both, &event), SSE_OK);
  assert_int_equal(window_of("quiet")->count, 1);
  assert_null(sse__channels_find(&world.hub->channels, "quiet", 5)->ephemeral);
  assert_string_equal(world_read(stream), "data: x\n\n");
  sse_stream_free(stream);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_refused_publish_changes_nothing),
      TEST(the_longest_event_is_exact),
      TEST(a_full_hub_refuses),
      TEST(every_allocation_failed),
      TEST(failures_do_not_add_up),
      TEST(a_busy_channel_evicts_its_own),
      TEST(the_ceiling_takes_the_oldest),
      TEST(the_aged_go_first),
      TEST(the_ceiling_holds),
      TEST(bodies_go_with_their_shares),
      TEST(bodies_with_one_share_left),
      TEST(a_body_that_is_lent_stays),
      TEST(an_ephemeral_event_for_nobody),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
