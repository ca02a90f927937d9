/* SPDX-License-Identifier: MIT */
/* test_admission.c: who is let in, and how many may replay at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "stream/stream_priv.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define OPENING      "event: sse-position\ndata:\nid: E.0\n\n"
#define HEARTBEAT    ":\n"

enum {
  EVENTS = 100,
  BEAT_MS = 500
}; /* more than one step of a stream lends */

static struct world world;
static struct wakes loop_wakes;
static sse_loop *loop;

static void open_world(const sse_hub_config *config) {
  sse_hub_config c = *config;
  c.retry_ms = SSE_NEVER;
  c.heartbeat_ms = BEAT_MS;
  world = (struct world){.hub = NULL};
  loop_wakes = (struct wakes){0};
  world_open(&world, &c);
  assert_int_equal(
      sse_loop_new(&loop, world.hub,
                   &(const sse_loop_config){.wake = world_wake, .wake_arg = &loop_wakes}),
      SSE_OK);
}

static void close_world(void) {
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
}

/* ---- who is let in ---- */

/* Streams opened one after the other: channel and tag; the answer of each. */
static const struct {
  const char *name;
  sse_hub_config hub;
  struct {
    const char *channel, *tag;
    int error;
  } opens[5];
} limits[] = {
    {"no bounds", {0}, {{"a", "t", 0}, {"a", "t", 0}, {"b", NULL, 0}}},
    {"of a channel",
     {.channel = {.streams_max = 2}},
     {{"a", NULL, 0}, {"a", NULL, 0}, {"a", NULL, SSE_ECHANNELSTREAMS}, {"b", NULL, 0}}},
    {"of a tag",
     {.tag_streams_max = 2},
     {{"a", "t", 0}, {"b", "t", 0}, {"a", "t", SSE_ETAGSTREAMS}, {"a", "u", 0}, {"a", NULL, 0}}},
    {"of the hub", {.streams_max = 1}, {{"a", NULL, 0}, {"b", NULL, SSE_ESTREAMS}}},
    {"a configured channel",
     {.channel = {.streams_max = 1}},
     {{"two", NULL, 0}, {"two", NULL, 0}, {"two", NULL, SSE_ECHANNELSTREAMS}}},
};

static void bounds_on_streams(void **state) {
  const sse_channel_config two = {.streams_max = 2};
  (void)state;
  for (size_t i = 0; i < COUNT(limits); i++) {
    for (int in_loop = 0; in_loop <= 1; in_loop++) {
      sse_stream *streams[5] = {NULL};
      print_message("  %s\n", limits[i].name);
      open_world(&limits[i].hub);
      assert_int_equal(sse_hub_configure_channel(world.hub, "two", &two), SSE_OK);
      for (size_t o = 0; o < 5 && limits[i].opens[o].channel; o++) {
        const sse_stream_config config = {.channel = limits[i].opens[o].channel,
                                          .tag = limits[i].opens[o].tag,
                                          .loop = in_loop ? loop : NULL};
        size_t blocks = world_blocks();
        assert_int_equal(sse_stream_open(&streams[o], world.hub, &config),
                         limits[i].opens[o].error);
        if (!limits[i].opens[o].error) continue;
        assert_null(streams[o]);
        assert_int_equal(world_blocks(), blocks);
        sse_stream_free(streams[0]); /* there is a place again */
        assert_int_equal(sse_stream_open(&streams[0], world.hub, &config), SSE_OK);
      }
      for (size_t o = 0; o < 5; o++) sse_stream_free(streams[o]);
      close_world();
    }
  }
}

/* ---- turns ---- */

struct client {
  sse_stream *stream;
  struct wakes wakes; /* alone */
  bool in_loop;
};

static void enter(struct client *client, const char *last_id, bool in_loop) {
  const sse_stream_config config = {.channel = "a",
                                    .last_id = last_id,
                                    .loop = in_loop ? loop : NULL,
                                    .wake = in_loop ? NULL : world_wake,
                                    .user = &client->wakes};
  *client = (struct client){.in_loop = in_loop};
  assert_int_equal(sse_stream_open(&client->stream, world.hub, &config), SSE_OK);
}

static void start(uint32_t concurrent_replays_max) {
  const sse_hub_config config = {.concurrent_replays_max = concurrent_replays_max};
  open_world(&config);
  for (int i = 0; i < EVENTS; i++) world_send(&world, "a", "x");
}

static int events_in(const char *bytes) {
  int count = 0;
  while ((bytes = strstr(bytes, "data: x\n"))) count++, bytes++;
  return count;
}

/* One batch, of which there are two in a replay. */
static void read_some(sse_stream *stream) {
  struct iovec iov[64];
  int count = sse_stream_peek(stream, iov, 64);
  assert_true(count > 0);
  for (int i = 0; i < count; i++) sse_stream_consume(stream, iov[i].iov_len);
}

static sse_stream *only_ready(void) {
  sse_stream *stream = sse_loop_next(loop);
  if (stream) assert_int_equal(events_in(world_read(stream)), EVENTS);
  assert_null(sse_loop_next(loop));
  return stream;
}

/* The second waits for the first: it has its opening and heartbeats, and is not returned or woken
 * for what is published. */
static void further_ones_wait(void **state) {
  (void)state;
  for (int kinds = 0; kinds < 4; kinds++) {
    struct client first, second;
    int waits_in_loop = kinds & 2;
    start(1);
    enter(&first, "E.0", kinds & 1);
    enter(&second, "E.0", waits_in_loop);
    while (sse_loop_next(loop)) continue;
    read_some(first.stream); /* the opening */
    read_some(first.stream); /* the first batch */
    assert_string_equal(world_read(second.stream), OPENING);
    assert_int_equal(world_read_result(), 0);
    loop_wakes = (struct wakes){0};
    world_send(&world, "a", "y");
    while (sse_loop_next(loop)) fail_msg("one that waits is returned");
    assert_int_equal(second.wakes.count, 0);
    world.now_ms += BEAT_MS;
    sse_hub_tick(world.hub);
    while (sse_loop_next(loop)) continue;
    assert_int_equal(second.wakes.count, waits_in_loop ? 0 : 1);
    assert_string_equal(world_read(second.stream), HEARTBEAT);

    loop_wakes = second.wakes = (struct wakes){0};
    assert_int_equal(events_in(world_read(first.stream)), EVENTS - 64);
    assert_int_equal(world_read_result(), 0);
    if (waits_in_loop) {
      assert_int_equal(loop_wakes.count, 1);
      assert_int_equal(sse_loop_timeout(loop), 0);
      assert_ptr_equal(only_ready(), second.stream);
      assert_int_equal(sse_loop_timeout(loop) == 0, 0);
    } else {
      assert_int_equal(second.wakes.count, 1);
      assert_int_equal(second.wakes.why, SSE_WAKE_READY);
      assert_int_equal(events_in(world_read(second.stream)), EVENTS);
    }
    /* From then on both are as any other stream. */
    second.wakes = (struct wakes){0};
    world_send(&world, "a", "z");
    assert_int_equal(second.wakes.count, waits_in_loop ? 0 : 1);
    while (sse_loop_next(loop)) continue;
    assert_string_equal(world_read(first.stream), "data: z\nid: E.102\n\n");
    assert_string_equal(world_read(second.stream), "data: z\nid: E.102\n\n");
    sse_stream_free(first.stream);
    sse_stream_free(second.stream);
    close_world();
  }
}

/* A round whose snapshot has all that it waits for does not serve it. */
static void no_round_serves_one_that_waits(void **state) {
  struct client early, first, second;
  const sse_hub_config config = {.concurrent_replays_max = 1};
  (void)state;
  open_world(&config);
  enter(&early, NULL, true);
  world_read(early.stream);
  for (int i = 0; i < EVENTS; i++) world_send(&world, "a", "x");
  enter(&first, "E.0", false);
  enter(&second, "E.0", true);
  for (sse_stream *stream; (stream = sse_loop_next(loop));) {
    const char *bytes = world_read(stream);
    if (stream == second.stream) assert_string_equal(bytes, OPENING);
  }
  sse_stream_free(early.stream);
  sse_stream_free(first.stream);
  assert_ptr_equal(only_ready(), second.stream);
  sse_stream_free(second.stream);
  close_world();
}

/* Turns come in the order of opening, also when one that has its turn, or waits, goes away. */
static const struct {
  const char *name;
  size_t leaves[2];
  bool reads[5]; /* of five streams, after those have left */
} orders[] = {
    {"the one that replays", {0, 0}, {false, true, false, false, false}},
    {"and one that waits", {1, 0}, {false, false, true, false, false}},
    {"and the last that waits", {4, 0}, {false, true, false, false, false}},
};

static void turns_come_in_order(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(orders); i++) {
    for (int in_loop = 0; in_loop <= 1; in_loop++) {
      struct client clients[5];
      print_message("  %s\n", orders[i].name);
      start(1);
      for (size_t c = 0; c < 5; c++) {
        enter(&clients[c], "E.0", in_loop);
        read_some(clients[c].stream);
      }
      for (size_t l = 0; l < 2; l++) sse_stream_detach(clients[orders[i].leaves[l]].stream);
      for (size_t c = 0; c < 5; c++) {
        bool left = c == orders[i].leaves[0] || c == orders[i].leaves[1];
        struct iovec iov[64];
        int want = left ? SSE_EDETACHED : orders[i].reads[c] ? 64 : 0;
        assert_int_equal(sse_stream_peek(clients[c].stream, iov, 64), want);
      }
      for (size_t c = 0; c < 5; c++) sse_stream_free(clients[c].stream);
      close_world();
    }
  }
}

/* A place that was given and not yet heard of goes on when its stream leaves; one that leaves so
 * and is still there is not returned for it. */
static void a_granted_place_is_passed_on(void **state) {
  (void)state;
  for (int detached = 0; detached <= 1; detached++) {
    struct client clients[3];
    start(1);
    for (size_t c = 0; c < 3; c++) {
      enter(&clients[c], "E.0", true);
      read_some(clients[c].stream);
    }
    assert_string_equal(world_read(clients[1].stream), "");
    assert_string_equal(world_read(clients[2].stream), "");
    while (sse_loop_next(loop)) continue;
    sse_stream_free(clients[0].stream);
    if (detached)
      sse_stream_detach(clients[1].stream);
    else
      sse_stream_free(clients[1].stream);
    assert_ptr_equal(only_ready(), clients[2].stream);
    if (detached) {
      assert_int_equal(sse__stream_slot(clients[1].stream)->state, SSE__SLOT_NONE);
      sse_stream_free(clients[1].stream);
    }
    sse_stream_free(clients[2].stream);
    close_world();
  }
}

/* Neither who has nothing to replay nor a hub without the bound pays or waits. */
static const struct {
  const char *name;
  uint32_t max;
  const char *last_id;
  bool part;
} others[] = {
    {"no id", 1, NULL, false},
    {"an empty id", 1, "", false},
    {"at the head", 1, "E.100", true},
    {"no bound", 0, "E.0", false},
};

static void who_does_not_wait(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(others); i++) {
    struct client first, second;
    struct iovec iov[64];
    print_message("  %s\n", others[i].name);
    start(others[i].max);
    enter(&first, "E.0", true);
    enter(&second, others[i].last_id, true);
    read_some(second.stream);
    int got = sse_stream_peek(second.stream, iov, 64);
    assert_int_equal(got, others[i].max ? 0 : 64);
    assert_int_equal((second.stream->has & SSE__HAS_SLOT) != 0, others[i].part);
    world_send(&world, "a", "y");
    if (others[i].max) {
      bool served = false;
      for (sse_stream *s; (s = sse_loop_next(loop));) served |= s == second.stream;
      assert_true(served);
    }
    sse_stream_free(first.stream);
    sse_stream_free(second.stream);
    assert_int_equal(world.hub->admission.taken, 0);
    close_world();
  }
}

/* A thread that waits for its turn is woken, and a stream that waits can end. */
static void one_that_waits_may_end(void **state) {
  struct client first, second;
  struct iovec iov[1];
  (void)state;
  for (int in_loop = 0; in_loop <= 1; in_loop++) {
    start(1);
    enter(&first, "E.0", false);
    enter(&second, "E.0", in_loop);
    world_read(second.stream);
    assert_int_equal(sse_hub_drain(world.hub, 0), SSE_OK);
    while (sse_loop_next(loop)) continue;
    sse_hub_tick(world.hub);
    assert_int_equal(sse_stream_peek(second.stream, iov, 1), SSE_EDRAINED);
    sse_stream_free(second.stream);
    sse_stream_free(first.stream);
    assert_null(world.hub->admission.waiting.first);
    assert_int_equal(world.hub->admission.taken, 0);
    close_world();
  }
}

/* ---- slots that are given back ---- */

/* A transport that takes `room` bytes and is then full. */
struct tight {
  size_t room, taken;
  int full; /* how it says so: SSE_EAGAIN or SSE_EHELD */
  int events;
};

static ssize_t take_tight(void *io, const struct iovec *iov, int count) {
  struct tight *tight = io;
  size_t bytes = 0;
  if (tight->room == 0) return tight->full;
  for (int i = 0; i < count && bytes < tight->room; i++) {
    size_t part = iov[i].iov_len < tight->room - bytes ? iov[i].iov_len : tight->room - bytes;
    bytes += part;
    tight->events += part == iov[i].iov_len && strncmp(iov[i].iov_base, "data: x", 7) == 0;
  }
  tight->room -= bytes;
  tight->taken += bytes;
  return (ssize_t)bytes;
}

/* What the streams have now, served by their hosts. */
static void serve_ready(struct client *clients, struct tight *ends, size_t count) {
  do {
    for (sse_stream *s; (s = sse_loop_next(loop));) {
      for (size_t i = 0; i < count; i++) {
        if (clients[i].stream == s) sse_stream_flush(s, take_tight, &ends[i]);
      }
    }
  } while (sse_loop_timeout(loop) == 0);
  for (size_t i = 0; i < count; i++) {
    if (clients[i].in_loop || clients[i].wakes.count == 0) continue;
    clients[i].wakes.count = 0;
    sse_stream_flush(clients[i].stream, take_tight, &ends[i]);
  }
}

/*
 * The client of the first stream takes one byte: its slot goes to the second at once. When it takes
 * bytes again it asks anew, and waits behind the third.
 */
static void a_full_transport_gives_its_slot_back(void **state) {
  (void)state;
  for (int kinds = 0; kinds < 8; kinds++) {
    struct client clients[3];
    struct tight ends[3] = {
        {.room = sizeof OPENING + 20, .full = kinds & 4 ? SSE_EHELD : SSE_EAGAIN},
        {.room = sizeof OPENING + 20, .full = SSE_EAGAIN},
        {.room = sizeof OPENING + 20, .full = SSE_EAGAIN}};
    start(1);
    for (int i = 0; i < 3; i++) {
      enter(&clients[i], "E.0", kinds & (i == 0 ? 1 : 2));
      if (!clients[i].in_loop) sse_stream_flush(clients[i].stream, take_tight, &ends[i]);
    }
    serve_ready(clients, ends, 3);
    serve_ready(clients, ends, 3);
    assert_int_equal(world.hub->admission.taken, 0); /* each has had its turn, and is full */
    for (int i = 0; i < 3; i++) assert_in_range(ends[i].events, 0, 1);
    ends[2].room = ends[1].room = SIZE_MAX;
    for (int i = 2; i > 0; i--) sse_stream_flush(clients[i].stream, take_tight, &ends[i]);
    serve_ready(clients, ends, 3);
    assert_in_range(ends[2].events, EVENTS - 1, EVENTS); /* one may have come in two pieces */
    assert_int_equal(ends[1].taken, ends[2].taken);
    assert_int_equal(world.hub->admission.taken, 0);
    ends[0].room = SIZE_MAX;
    assert_int_equal(sse_stream_flush(clients[0].stream, take_tight, &ends[0]), SSE_OK);
    assert_int_equal(ends[0].taken, ends[2].taken);
    for (int i = 0; i < 3; i++) sse_stream_free(clients[i].stream);
    close_world();
  }
}

/* A host that pulls says nothing of its transport: a slot is lost after its time, if others wait. */
static void a_turn_is_over_after_its_time(void **state) {
  (void)state;
  for (int kinds = 0; kinds < 8; kinds++) {
    struct client first, second;
    bool waits = kinds & 4;
    struct iovec iov[64];
    start(1);
    enter(&first, "E.0", kinds & 1);
    if (waits) enter(&second, "E.0", kinds & 2);
    while (sse_loop_next(loop)) continue;
    read_some(first.stream);
    assert_int_equal(sse_stream_peek(first.stream, iov, 64), 64);
    if (waits) {
      assert_string_equal(world_read(second.stream), OPENING);
      assert_in_range(sse_hub_tick(world.hub), 0, SSE__TURN_MS);
    }
    world.now_ms += SSE__TURN_MS - 1;
    sse_hub_tick(world.hub);
    assert_int_equal(sse__stream_slot(first.stream)->state, SSE__SLOT_TAKEN);
    world.now_ms++;
    sse_hub_tick(world.hub);
    assert_int_equal(sse__stream_slot(first.stream)->state,
                     waits ? SSE__SLOT_AWAY : SSE__SLOT_TAKEN);
    if (waits) {
      while (sse_loop_next(loop)) continue;
      assert_int_equal(events_in(world_read(second.stream)), EVENTS);
    }
    sse_stream_consume(first.stream, 1);
    assert_int_equal(events_in(world_read(first.stream)), EVENTS - 1);
    sse_stream_free(first.stream);
    if (waits) sse_stream_free(second.stream);
    close_world();
  }
}

/* A turn that ends before the loop has seen it is not lost: the stream waits again. */
static void a_turn_that_no_loop_has_seen(void **state) {
  struct client first, second, third;
  (void)state;
  start(1);
  enter(&first, "E.0", false);
  enter(&second, "E.0", true);
  while (sse_loop_next(loop)) world_read(second.stream);
  enter(&third, "E.0", false);
  assert_string_equal(world_read(third.stream), OPENING);
  sse_stream_free(first.stream);
  assert_int_equal(sse__stream_slot(second.stream)->state, SSE__SLOT_GRANTED);
  world.now_ms += SSE__TURN_MS;
  sse_hub_tick(world.hub);
  assert_int_equal(sse__stream_slot(second.stream)->state, SSE__SLOT_WAITING);
  assert_int_equal(third.wakes.count, 1);
  assert_int_equal(events_in(world_read(third.stream)), EVENTS);
  int events = 0;
  for (sse_stream *s; (s = sse_loop_next(loop));) events += events_in(world_read(s));
  assert_int_equal(events, EVENTS);
  sse_stream_free(second.stream);
  sse_stream_free(third.stream);
  close_world();
}

/* ---- turns that come when it does not suit ---- */

/* One whose client has not taken a heartbeat yet is not returned for its turn: its host looks when
 * there is room. */
static void a_turn_comes_to_one_that_is_busy(void **state) {
  struct client first, second;
  struct iovec iov[1];
  (void)state;
  start(1);
  enter(&first, "E.0", false);
  enter(&second, "E.0", true);
  for (sse_stream *s; (s = sse_loop_next(loop));) assert_string_equal(world_read(s), OPENING);
  world.now_ms += BEAT_MS;
  assert_ptr_equal(sse_loop_next(loop), second.stream);
  assert_int_equal(sse_stream_peek(second.stream, iov, 1), 1);
  assert_null(sse_loop_next(loop));
  assert_int_equal(events_in(world_read(first.stream)), EVENTS);
  assert_null(sse_loop_next(loop));
  const char *bytes = world_read(second.stream);
  assert_int_equal(memcmp(bytes, HEARTBEAT, strlen(HEARTBEAT)), 0);
  assert_int_equal(events_in(bytes), EVENTS);
  sse_stream_free(first.stream);
  sse_stream_free(second.stream);
  close_world();
}

/* A turn that comes within a round of the loop is taken in the next, without a wake. */
static void a_turn_comes_within_a_round(void **state) {
  struct client early, first, second;
  (void)state;
  start(1);
  enter(&early, NULL, true);
  enter(&first, "E.0", false);
  enter(&second, "E.0", true);
  for (sse_stream *s; (s = sse_loop_next(loop));) world_read(s);
  world_send(&world, "a", "y");
  loop_wakes = (struct wakes){0};
  assert_ptr_equal(sse_loop_next(loop), early.stream);
  world_read(early.stream);
  assert_int_equal(events_in(world_read(first.stream)), EVENTS);
  assert_null(sse_loop_next(loop));
  assert_int_equal(sse_loop_timeout(loop), 0);
  world_send(&world, "a", "y");
  assert_int_equal(loop_wakes.count, 0);
  int served = 0;
  for (sse_stream *s; (s = sse_loop_next(loop)); served++) {
    assert_int_equal(events_in(world_read(s)), s == second.stream ? EVENTS : 0);
  }
  assert_int_equal(served, 2);
  sse_stream_free(early.stream);
  sse_stream_free(first.stream);
  sse_stream_free(second.stream);
  close_world();
}

/* Without memory neither the replay nor the waiting ends: both go on when there is some. */
static void turns_without_memory(void **state) {
  (void)state;
  for (int kinds = 0; kinds < 4; kinds++) {
    struct client first, second;
    struct iovec iov[64];
    start(1);
    enter(&first, "E.0", kinds & 1);
    enter(&second, "E.0", kinds & 2);
    read_some(first.stream);
    read_some(second.stream);
    assert_int_equal(sse_stream_peek(second.stream, iov, 64), 0);
    world_fail(1, true);
    assert_int_equal(sse_stream_peek(first.stream, iov, 64), SSE_ENOMEM);
    assert_int_equal(world.hub->admission.taken, 1);
    world_fail(0, false);
    assert_int_equal(sse_stream_peek(first.stream, iov, 64), 64);
    world.now_ms += BEAT_MS;
    sse_hub_tick(world.hub);
    while (sse_loop_next(loop)) continue;
    world_fail(1, true);
    int result = sse_stream_peek(second.stream, iov, 64);
    world_fail(0, false);
    if (result != SSE_ENOMEM) fail_msg("%d: %d", kinds, result);
    assert_string_equal(world_read(second.stream), HEARTBEAT);
    assert_int_equal(events_in(world_read(first.stream)), EVENTS);
    assert_int_equal(events_in(world_read(second.stream)), EVENTS);
    sse_stream_free(first.stream);
    sse_stream_free(second.stream);
    close_world();
  }
}

/* Who waits while its channel is finished and grows old is told of the loss before the end, and
 * one that is to join another channel does not end at all. */
static void what_it_waits_for_goes_away(void **state) {
  (void)state;
  for (int joins = 0; joins < 2; joins++) {
    for (int in_loop = 0; in_loop < 2; in_loop++) {
      const sse_hub_config config = {.concurrent_replays_max = 1, .channel.window_age_ms_max = 100};
      struct client first;
      sse_stream *second;
      open_world(&config);
      const sse_stream_config waits = {
          .channel = "a", .last_id = "E.0", .tag = "me", .loop = in_loop ? loop : NULL};
      for (int i = 0; i < EVENTS; i++) world_send(&world, "a", "x");
      enter(&first, "E.0", false);
      assert_int_equal(sse_stream_open(&second, world.hub, &waits), SSE_OK);
      assert_string_equal(world_read(second), OPENING);
      if (joins) assert_int_equal(sse_hub_subscribe(world.hub, "me", "b", 0), 1);
      assert_int_equal(sse_hub_finish(world.hub, "a"), SSE_OK);
      world.now_ms += 100;
      sse_hub_tick(world.hub);
      while (sse_loop_next(loop)) continue;
      assert_string_equal(world_read(second), "");
      assert_int_equal(world_read_result(), 0);
      sse_stream_free(first.stream);
      while (sse_loop_next(loop)) continue;
      const char *bytes = world_read(second);
      assert_non_null(strstr(bytes, "\"reason\":\"slow\""));
      assert_non_null(strstr(bytes, "\"lost\":100"));
      assert_int_equal(world_read_result(), joins ? 0 : SSE_EFINISHED);
      sse_stream_free(second);
      close_world();
    }
  }
}

static int let_all_pass(void *arg, const sse_filter_event *event) {
  (void)arg;
  (void)event;
  return 0;
}

static int answer_with_a_goodbye(void *arg, unsigned why) {
  (void)why;
  ++*(int *)arg;
  assert_int_equal(sse_hub_disconnect(world.hub, "first"), 1);
  return 0;
}

/* A thread whose replay is over without an event for it wakes the next one before it sleeps. */
static void who_waits_wakes_the_next(void **state) {
  int woken = 0;
  sse_stream *first, *second;
  (void)state;
  start(1);
  const sse_stream_config configs[2] = {
      {.channel = "a", .last_id = "E.0", .tag = "first", .filter = let_all_pass},
      {.channel = "a", .last_id = "E.0", .wake = answer_with_a_goodbye, .user = &woken}};
  assert_int_equal(sse_stream_open(&first, world.hub, &configs[0]), SSE_OK);
  assert_int_equal(sse_stream_open(&second, world.hub, &configs[1]), SSE_OK);
  read_some(first);
  assert_string_equal(world_read(second), OPENING);
  assert_int_equal(sse_stream_wait(first, 5000), SSE_EDISCONNECTED);
  assert_int_equal(woken, 1);
  assert_int_equal(events_in(world_read(second)), EVENTS);
  sse_stream_free(first);
  sse_stream_free(second);
  close_world();
}

/* Who has not looked in vain yet is not woken for its turn. */
static void a_turn_wakes_who_was_told_to_wait(void **state) {
  (void)state;
  for (int looked = 0; looked <= 1; looked++) {
    struct client first, second;
    start(1);
    enter(&first, "E.0", true);
    enter(&second, "E.0", false);
    read_some(second.stream); /* the opening */
    if (looked) assert_string_equal(world_read(second.stream), "");
    sse_stream_free(first.stream);
    assert_int_equal(second.wakes.count, looked);
    assert_int_equal(events_in(world_read(second.stream)), EVENTS);
    sse_stream_free(second.stream);
    close_world();
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bounds_on_streams),
      cmocka_unit_test(further_ones_wait),
      cmocka_unit_test(no_round_serves_one_that_waits),
      cmocka_unit_test(turns_come_in_order),
      cmocka_unit_test(a_granted_place_is_passed_on),
      cmocka_unit_test(who_does_not_wait),
      cmocka_unit_test(one_that_waits_may_end),
      cmocka_unit_test(a_full_transport_gives_its_slot_back),
      cmocka_unit_test(a_turn_is_over_after_its_time),
      cmocka_unit_test(a_turn_that_no_loop_has_seen),
      cmocka_unit_test(a_turn_comes_to_one_that_is_busy),
      cmocka_unit_test(a_turn_comes_within_a_round),
      cmocka_unit_test(turns_without_memory),
      cmocka_unit_test(what_it_waits_for_goes_away),
      cmocka_unit_test(who_waits_wakes_the_next),
      cmocka_unit_test(a_turn_wakes_who_was_told_to_wait),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
