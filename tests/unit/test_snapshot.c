/* SPDX-License-Identifier: MIT */
/* test_snapshot.c: the snapshot of a round: what it takes, its bounds, its visits, and its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/dirty.h"
#include "stream/snapshot.h"
#include "world.h"

enum {
  SPAN = 1024,         /* numbers that a round spans */
  BYTES_MAX = 1 << 20, /* memory that it holds */
  LONG = 100000,       /* bytes of a long text */
  MEMBERS = 40,
  FEEDS = 3000
};

/* A hub, one loop's side of it, and the numbers that its rounds have taken. */
static struct {
  struct world world;
  struct sse__inbox inbox;
  struct sse__snapshot round;
  uint64_t taken;
} at;

static char long_text[LONG + 1];

static void begin_world(const sse_hub_config *config) {
  memset(&at, 0, sizeof at);
  memset(long_text, 'x', LONG);
  world_open(&at.world, config);
  assert_int_equal(sse__snapshot_init(&at.round, &at.world.hub->mem), SSE_OK);
}

static void end_world(void) {
  sse__snapshot_free(&at.round, &at.world.hub->mem);
  world_close(&at.world);
}

/* Begins a round. Returns how often the lock was released before it could. */
static int begin(void) {
  int released = 0;
  pthread_mutex_lock(&at.world.hub->lock);
  while (!sse__snapshot_begin(&at.round, at.world.hub, &at.inbox, at.world.now_ms)) released++;
  pthread_mutex_unlock(&at.world.hub->lock);
  return released;
}

static void end(void) {
  pthread_mutex_lock(&at.world.hub->lock);
  sse__snapshot_end(&at.round, at.world.hub, at.world.now_ms);
  pthread_mutex_unlock(&at.world.hub->lock);
}

static int set_up(void **state) {
  static const sse_hub_config config = {.channel = {.window_frames_max = 4096}};
  (void)state;
  begin_world(&config);
  return 0;
}

/* Feeds that were left while they were dirty go with one more round. */
static int tear_down(void **state) {
  (void)state;
  begin();
  end();
  assert_int_equal(at.inbox.feeds, 0);
  end_world();
  return 0;
}

/* A feed of a channel with some members of no stream. */
static struct sse__loop_feed *listen(const char *name, struct sse__subscription *members,
                                     size_t count) {
  sse_hub *hub = at.world.hub;
  struct sse__channel *channel;
  assert_int_equal(sse__channels_get(&hub->channels, name, strlen(name), 0, &channel), SSE_OK);
  struct sse__loop_feed *feed = sse__loop_feed_get(channel, &at.inbox, &hub->mem, hub->head.seq);
  assert_non_null(feed);
  for (size_t i = 0; i < count; i++) {
    members[i].channel = channel;
    assert_int_equal(sse__subscription_add_to_feed(&members[i], feed, &hub->mem), SSE_OK);
  }
  return feed;
}

static void leave(struct sse__subscription *member) {
  struct sse__loop_feed *feed = member->u.in.feed;
  sse__subscription_remove_from_feed(member);
  sse__loop_feed_free_unused(feed, &at.world.hub->mem);
}

/* What a feed has of the round, and that it is all there is up to the round's head. */
static size_t check_feed(const struct sse__loop_feed *feed) {
  const struct sse__stretch window = sse__window_stretch(&feed->channel->window);
  size_t place = sse__stretch_after(&window, feed->base), bytes = 0;
  assert_true(feed->in_round);
  for (size_t i = 0; i < feed->slots_count; i++, place++) {
    assert_ptr_equal(feed->slots[i].frame, sse__stretch_at(&window, place)->frame);
    assert_true(feed->slots[i].seq <= at.round.head.seq);
    assert_int_equal(feed->slots[i].frame->refs, 2);
    bytes += feed->slots[i].frame->size;
    at.taken++;
  }
  if (place < window.count) {
    assert_true(sse__stretch_at(&window, place)->seq > at.round.head.seq);
    assert_true(feed->dirty);
  } else {
    assert_false(feed->dirty);
  }
  return bytes;
}

static size_t check_round(void) {
  size_t bytes = 0;
  for (struct sse__loop_feed *feed = at.round.feeds; feed; feed = feed->round_next) {
    bytes += check_feed(feed);
  }
  return bytes;
}

/* ---- what it takes ---- */

static void nothing_new(void **state) {
  struct sse__subscription member = {.delivered_count = 0};
  const struct sse__loop_feed *seen;
  (void)state;
  listen("a", &member, 1);
  world_send(&at.world, "other", "x");
  begin();
  assert_true(at.round.head.seq == 1);
  assert_null(at.round.feeds);
  assert_null(sse__snapshot_visit(&at.round, &seen));
  end();
  leave(&member);
}

static void all_that_is_new(void **state) {
  struct sse__subscription a, b;
  (void)state;
  world_send(&at.world, "a", "before");
  struct sse__loop_feed *feed_a = listen("a", &a, 1), *feed_b = listen("b", &b, 1);
  for (int i = 0; i < 3; i++) {
    world_send(&at.world, "a", "x");
    world_send(&at.world, "b", "y");
    world_send(&at.world, "other", "z");
  }
  begin();
  assert_true(at.round.head.seq == 10);
  assert_null(sse__dirty_first(&at.inbox));
  check_round();
  assert_int_equal(at.taken, 6);
  assert_true(feed_a->slots[0].seq == 2 && feed_a->last == 8);
  assert_true(feed_b->slots[0].seq == 3 && feed_b->last == 9);
  world_send(&at.world, "a", "later"); /* it is for the next round */
  assert_int_equal(feed_a->slots_count, 3);
  end();
  assert_true(feed_a->base == 8 && feed_b->base == 9);
  assert_false(feed_a->in_round);
  begin();
  assert_int_equal(feed_a->slots_count, 1);
  assert_true(feed_a->slots[0].seq == 11);
  end();
  leave(&a);
  leave(&b);
}

/* What a round holds stays until its end, though its window has let it go. */
static void evicted_meanwhile(void **state) {
  const sse_channel_config bounds = {.window_frames_max = 2};
  struct sse__subscription member;
  (void)state;
  sse_hub *hub = at.world.hub;
  assert_int_equal(sse_hub_configure_channel(hub, "a", &bounds), SSE_OK);
  struct sse__loop_feed *feed = listen("a", &member, 1);
  for (int i = 0; i < 3; i++) world_send(&at.world, "a", "x");
  begin();
  assert_int_equal(feed->slots_count, 2);
  assert_true(feed->evicted == 1);
  for (int i = 0; i < 2; i++) world_send(&at.world, "a", "y");
  assert_true(feed->evicted == 1);
  assert_true(feed->slots[0].seq == 2 && feed->slots[1].seq == 3);
  assert_true(hub->store.bytes == 2 * hub->store.window_bytes);
  end();
  assert_true(hub->store.bytes == hub->store.window_bytes);
  leave(&member);
}

/* Members still have to be visited when all is gone: they must hear of the gap. */
static void all_evicted_before(void **state) {
  const sse_channel_config bounds = {.window_age_ms_max = 100};
  const struct sse__loop_feed *seen;
  struct sse__subscription member;
  (void)state;
  assert_int_equal(sse_hub_configure_channel(at.world.hub, "a", &bounds), SSE_OK);
  struct sse__loop_feed *feed = listen("a", &member, 1);
  world_send(&at.world, "a", "x");
  world_send(&at.world, "a", "y");
  at.world.now_ms += 100;
  begin();
  assert_int_equal(feed->slots_count, 0);
  assert_true(feed->evicted == 2 && feed->last == 2);
  assert_ptr_equal(sse__snapshot_visit(&at.round, &seen), &member);
  assert_ptr_equal(seen, feed);
  end();
  assert_true(feed->base == 2);
  leave(&member);
}

/* ---- its bounds ---- */

static void as_many_numbers_as_a_round_spans(void **state) {
  struct sse__subscription a, b;
  uint64_t heads[3];
  (void)state;
  listen("a", &a, 1);
  listen("b", &b, 1);
  for (int i = 0; i < 2500; i++) world_send(&at.world, i % 5 ? "a" : "b", "x");
  for (size_t i = 0; i < 3; i++) {
    begin();
    check_round();
    heads[i] = at.round.head.seq;
    assert_int_equal(at.taken, at.round.head.seq);
    assert_int_equal(!sse__dirty_first(&at.inbox), i == 2);
    end();
  }
  assert_true(heads[0] == SPAN && heads[1] == 2 * SPAN && heads[2] == 2500);
  leave(&a);
  leave(&b);
}

/* Nor when nearly all of the numbers are those of a channel that the loop has not. */
static void no_more_numbers_than_allowed(void **state) {
  struct sse__subscription member;
  (void)state;
  listen("a", &member, 1);
  world_send(&at.world, "a", "first");
  for (int i = 1; i < SPAN; i++) world_send(&at.world, "other", "x");
  world_send(&at.world, "a", "last");
  for (uint64_t round = 1; round <= 2; round++) {
    begin();
    check_round();
    assert_int_equal(at.taken, round);
    assert_int_equal(at.round.head.seq, round == 1 ? SPAN : SPAN + 1);
    end();
  }
  leave(&member);
}

static void no_more_bytes_than_allowed(void **state) {
  struct sse__subscription a, b;
  int rounds = 0;
  (void)state;
  listen("a", &a, 1);
  listen("b", &b, 1);
  for (int i = 0; i < 40; i++) world_send(&at.world, i % 3 ? "a" : "b", long_text);
  for (; sse__dirty_first(&at.inbox); rounds++) {
    begin();
    size_t bytes = check_round();
    assert_true(bytes > BYTES_MAX / 4 && bytes <= BYTES_MAX);
    assert_int_equal(at.taken, at.round.head.seq);
    end();
  }
  assert_int_equal(at.taken, 40);
  assert_true(rounds >= 40 * LONG / BYTES_MAX);
  leave(&a);
  leave(&b);
}

/* Nor more than a sixteenth of the ceiling; one frame that is more goes by itself. */
static void one_frame_is_always_taken(void **state) {
  static const sse_hub_config small = {.memory_bytes_max = 1 << 20};
  struct sse__subscription member;
  (void)state;
  end_world();
  begin_world(&small);
  listen("a", &member, 1);
  for (int i = 0; i < 3; i++) world_send(&at.world, "a", long_text);
  for (uint64_t round = 1; round <= 3; round++) {
    begin();
    check_round();
    assert_int_equal(at.taken, round);
    assert_int_equal(!sse__dirty_first(&at.inbox), round == 3);
    end();
  }
  leave(&member);
}

/* A round looks at the channels that have something in its span of numbers, and at no other. */
static void only_the_channels_of_its_span(void **state) {
  static struct sse__subscription members[FEEDS];
  struct world random = {.seed = 7};
  char name[24];
  (void)state;
  for (size_t i = 0; i < FEEDS; i++) {
    snprintf(name, sizeof name, "%zu", i);
    listen(name, &members[i], 1);
    world_send(&at.world, name, "x");
  }
  for (size_t i = 0; i < FEEDS; i++) {
    snprintf(name, sizeof name, "%zu", (size_t)world_random(&random, FEEDS));
    world_send(&at.world, name, "y");
  }
  size_t rounds = 0;
  for (uint64_t looked = 0; sse__dirty_first(&at.inbox); rounds++) {
    size_t feeds = 0;
    assert_int_equal(begin(), 0);
    check_round();
    for (struct sse__loop_feed *feed = at.round.feeds; feed; feed = feed->round_next) {
      assert_true(feed->slots_count > 0);
      feeds++;
    }
    assert_true(at.taken - looked <= SPAN);
    assert_true(feeds <= at.taken - looked);
    assert_int_equal(at.taken, at.round.head.seq);
    looked = at.taken;
    end();
  }
  assert_int_equal(at.taken, 2 * FEEDS);
  assert_int_equal(rounds, (2 * FEEDS + SPAN - 1) / SPAN);
  for (size_t i = 0; i < FEEDS; i++) leave(&members[i]);
}

/* The round after many updates of one key begins with the one that is there. */
static void superseded_ones_are_passed_over_in_parts(void **state) {
  const sse_channel_config bounds = {.conflate = SSE_YES};
  struct sse__subscription keyed, plain;
  (void)state;
  sse_hub *hub = at.world.hub;
  assert_int_equal(sse_hub_configure_channel(hub, "keyed", &bounds), SSE_OK);
  for (int i = 0; i < 4096; i++) {
    char key[16];
    snprintf(key, sizeof key, "%d", i);
    assert_int_equal(sse_hub_publish(hub, "keyed", &(sse_event){.text = "v", .key = key}), SSE_OK);
  }
  struct sse__loop_feed *feed = listen("keyed", &keyed, 1);
  for (int i = 0; i < 4000; i++)
    assert_int_equal(sse_hub_publish(hub, "keyed", &(sse_event){.text = "v", .key = "7"}), SSE_OK);
  listen("plain", &plain, 1);
  world_send(&at.world, "plain", "x");
  int released = begin();
  assert_in_range(released, 3, 5);
  assert_int_equal(feed->slots_count, 1);
  assert_true(feed->slots[0].seq == hub->head.seq - 1);
  assert_int_equal(at.round.count, 2);
  end();
  leave(&keyed);
  leave(&plain);
}

/* Many frames that are too old go in parts, and no feed is left out. */
static void old_frames_go_in_parts(void **state) {
  const sse_channel_config bounds = {.window_age_ms_max = 100, .window_frames_max = 4096};
  static const char *const names[] = {"a", "b", "c"};
  struct sse__subscription members[3];
  struct sse__loop_feed *feeds[3];
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(sse_hub_configure_channel(at.world.hub, names[i], &bounds), SSE_OK);
    feeds[i] = listen(names[i], &members[i], 1);
  }
  for (int i = 0; i < 600; i++) {
    for (size_t c = 0; c < 3; c++) world_send(&at.world, names[c], "x");
  }
  at.world.now_ms += 100;
  assert_in_range(begin(), 3, 5); /* two parts for each channel */
  for (size_t i = 0; i < 3; i++) {
    assert_true(feeds[i]->in_round);
    assert_int_equal(feeds[i]->slots_count, 0);
    assert_int_equal(feeds[i]->channel->window.frames, 0);
    assert_true(feeds[i]->evicted == 1798 + i);
  }
  end();
  assert_null(sse__dirty_first(&at.inbox));
  for (size_t i = 0; i < 3; i++) leave(&members[i]);
}

/* A channel is finished after its last event, and before the next event of any channel. */
static void a_finish_is_in_order(void **state) {
  static struct sse__subscription members[FEEDS];
  char name[24];
  (void)state;
  for (size_t i = 0; i < FEEDS; i++) {
    snprintf(name, sizeof name, "%zu", i);
    listen(name, &members[i], 1);
  }
  world_send(&at.world, "0", "x");
  for (size_t i = 0; i < FEEDS; i++) {
    snprintf(name, sizeof name, "%zu", i);
    assert_int_equal(sse_hub_finish(at.world.hub, name), SSE_OK);
  }
  size_t finished = 0, rounds = 0;
  for (; finished < FEEDS; rounds++) {
    size_t before = finished;
    begin();
    check_round();
    assert_int_equal(at.taken, 1);
    for (struct sse__loop_feed *feed = at.round.feeds; feed; feed = feed->round_next) {
      assert_true(feed->finished);
      finished++;
    }
    assert_true(finished - before <= SPAN + 1);
    end();
  }
  assert_int_equal(rounds, 3);
  assert_null(sse__dirty_first(&at.inbox));
  for (size_t i = 0; i < FEEDS; i++) leave(&members[i]);
}

/* ---- its table ---- */

static void no_memory_for_the_table(void **state) {
  struct sse__snapshot round = {.count = 0};
  (void)state;
  world_fail(1, false);
  assert_int_equal(sse__snapshot_init(&round, &at.world.hub->mem), SSE_ENOMEM);
  world_fail(0, false);
}

/* ---- its visits ---- */

/* None that is there all the time is passed over, whoever comes and goes meanwhile. */
static void none_is_passed_over(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    static struct sse__subscription members[2 * MEMBERS];
    struct world random = {.seed = seed};
    int visits[2 * MEMBERS] = {0};
    bool gone[2 * MEMBERS] = {false};
    size_t count = MEMBERS;
    struct sse__subscription *member;
    const struct sse__loop_feed *seen;
    struct sse__loop_feed *feed = listen("a", members, MEMBERS);
    world_send(&at.world, "a", "x");
    begin();
    while ((member = sse__snapshot_visit(&at.round, &seen))) {
      size_t i = (size_t)(member - members);
      assert_ptr_equal(seen, feed);
      assert_false(gone[i]);
      visits[i]++;
      /* The one that is visited, or any other, leaves; new ones join. */
      uint64_t what = world_random(&random, 4);
      size_t who = what == 0 ? i : (size_t)world_random(&random, count);
      if (what < 2 && !gone[who]) {
        gone[who] = true;
        sse__subscription_remove_from_feed(&members[who]);
      } else if (what == 2 && count < 2 * MEMBERS) {
        members[count].channel = feed->channel;
        assert_int_equal(sse__subscription_add_to_feed(&members[count], feed, &at.world.hub->mem),
                         SSE_OK);
        count++;
      }
    }
    for (size_t i = 0; i < count; i++) {
      if (i < MEMBERS && !gone[i]) assert_true(visits[i] >= 1);
    }
    end();
    for (size_t i = 0; i < count; i++) {
      if (!gone[i]) leave(&members[i]);
    }
  }
}

/* ---- its end ---- */

/* A feed that was left empty in the round goes with it, and its channel is unused from then on. */
static void a_feed_without_members_goes(void **state) {
  struct sse__subscription member;
  (void)state;
  struct sse__loop_feed *feed = listen("a", &member, 1);
  struct sse__channel *channel = feed->channel;
  world_send(&at.world, "a", "x");
  begin();
  leave(&member);
  assert_ptr_equal(channel->feeds.first, &feed->link);
  at.world.now_ms += 5;
  end();
  assert_null(channel->feeds.first);
  assert_int_equal(at.inbox.feeds, 0);
  assert_int_equal(channel->used_ms, at.world.now_ms);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(nothing_new),
      TEST(all_that_is_new),
      TEST(evicted_meanwhile),
      TEST(all_evicted_before),
      TEST(as_many_numbers_as_a_round_spans),
      TEST(no_more_numbers_than_allowed),
      TEST(no_more_bytes_than_allowed),
      TEST(one_frame_is_always_taken),
      TEST(only_the_channels_of_its_span),
      TEST(superseded_ones_are_passed_over_in_parts),
      TEST(old_frames_go_in_parts),
      TEST(a_finish_is_in_order),
      TEST(no_memory_for_the_table),
      TEST(none_is_passed_over),
      TEST(a_feed_without_members_goes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
