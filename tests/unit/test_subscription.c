/* SPDX-License-Identifier: MIT */
/* test_subscription.c: members and feeds of a channel: joining, leaving, arming, in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/subscription.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
  MEMBERS = 60,
  STEPS = 5000
};

static struct sse__mem mem;
static struct sse__channel *channel;
static struct sse__inbox inboxes[3];

static int set_up(void **state) {
  static const struct sse__inbox none;
  (void)state;
  mem = sse__mem(world_alloc, NULL);
  channel = sse__mem_zero(&mem, sizeof *channel + 1);
  for (size_t i = 0; i < COUNT(inboxes); i++) inboxes[i] = none;
  return channel ? 0 : -1;
}

static struct sse__loop_feed *first_feed(void) {
  return SSE__LIST_FIRST(&channel->feeds, struct sse__loop_feed, link);
}

static void free_feeds(void) {
  while (channel->feeds.first) sse__loop_feed_free(first_feed(), &mem);
}

static int tear_down(void **state) {
  (void)state;
  world_fail(0, false);
  free_feeds();
  sse__mem_free(&mem, channel);
  return world_blocks() == 0 ? 0 : -1;
}

static struct sse__loop_feed *feed_of(size_t inbox) {
  struct sse__loop_feed *feed = sse__loop_feed_get(channel, &inboxes[inbox], &mem, 7);
  assert_non_null(feed);
  return feed;
}

/* ---- feeds ---- */

static void one_feed_for_each_loop(void **state) {
  (void)state;
  struct sse__loop_feed *a = feed_of(0), *b = feed_of(1);
  assert_ptr_not_equal(a, b);
  assert_ptr_equal(feed_of(0), a);
  assert_ptr_equal(feed_of(1), b);
  assert_ptr_equal(a->channel, channel);
  assert_ptr_equal(a->inbox, &inboxes[0]);
  assert_true(a->base == 7);
  assert_int_equal(inboxes[0].feeds, 1);
  assert_int_equal(inboxes[2].feeds, 0);
}

static void without_memory_no_feed(void **state) {
  (void)state;
  struct sse__loop_feed *a = feed_of(0);
  world_fail(1, false);
  assert_null(sse__loop_feed_get(channel, &inboxes[1], &mem, 7));
  assert_int_equal(inboxes[1].feeds, 0);
  assert_ptr_equal(first_feed(), a);
  assert_null(a->link.prev);
}

/* Whichever goes, the others are linked both ways. */
static void feeds_go_in_any_order(void **state) {
  (void)state;
  for (size_t gone = 0; gone < COUNT(inboxes); gone++) {
    for (size_t i = 0; i < COUNT(inboxes); i++) feed_of(i);
    sse__loop_feed_free(feed_of(gone), &mem);
    size_t count = 0;
    const struct sse__link *before = NULL;
    SSE__LIST_EACH(link, &channel->feeds) {
      assert_ptr_equal(link->prev, before);
      assert_ptr_not_equal(SSE__CONTAINER(link, struct sse__loop_feed, link)->inbox,
                           &inboxes[gone]);
      before = link;
      count++;
    }
    assert_ptr_equal(channel->feeds.last, before);
    assert_int_equal(count, 2);
    assert_int_equal(inboxes[gone].feeds, 0);
    free_feeds();
  }
}

static const struct {
  const char *name;
  bool member, dirty, in_round, freed;
} uses[] = {
    {"unused", false, false, false, true},
    {"has a member", true, false, false, false},
    {"is dirty", false, true, false, false},
    {"is in a round", false, false, true, false},
};

static void an_unused_feed_is_freed(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(uses); i++) {
    struct sse__loop_feed *feed = feed_of(0);
    struct sse__subscription member = {.channel = channel};
    if (uses[i].member)
      assert_int_equal(sse__subscription_add_to_feed(&member, feed, &mem), SSE_OK);
    feed->dirty = uses[i].dirty;
    feed->in_round = uses[i].in_round;
    sse__loop_feed_free_unused(feed, &mem);
    if (!channel->feeds.first != uses[i].freed) fail_msg("%s", uses[i].name);
    if (channel->feeds.first) sse__loop_feed_free(feed, &mem);
  }
}

/* ---- members of a feed ---- */

struct set {
  struct sse__subscription all[MEMBERS];
  bool in[MEMBERS];
  size_t count;
};

static void check(const struct set *set, const struct sse__loop_feed *feed) {
  assert_int_equal(feed->count, set->count);
  assert_int_equal(channel->streams, set->count);
  for (size_t i = 0; i < MEMBERS; i++) {
    if (!set->in[i]) continue;
    const struct sse__subscription *member = &set->all[i];
    assert_ptr_equal(member->u.in.feed, feed);
    assert_true(member->u.in.index < feed->count);
    assert_ptr_equal(feed->subscriptions[member->u.in.index], member);
  }
}

static void members_come_and_go(void **state) {
  static struct set set;
  struct world random = {.seed = 3};
  (void)state;
  memset(&set, 0, sizeof set);
  struct sse__loop_feed *feed = feed_of(0);
  for (int step = 0; step < STEPS; step++) {
    size_t i = (size_t)world_random(&random, MEMBERS);
    if (set.in[i]) {
      sse__subscription_remove_from_feed(&set.all[i]);
      set.count--;
    } else {
      assert_int_equal(sse__subscription_add_to_feed(&set.all[i], feed, &mem), SSE_OK);
      set.count++;
    }
    set.in[i] = !set.in[i];
    check(&set, feed);
  }
}

static void without_memory_no_member(void **state) {
  static struct set set;
  (void)state;
  memset(&set, 0, sizeof set);
  struct sse__loop_feed *feed = feed_of(0);
  for (size_t i = 0; i < MEMBERS; i++) {
    if (feed->count == feed->cap) {
      world_fail(1, false);
      assert_int_equal(sse__subscription_add_to_feed(&set.all[i], feed, &mem), SSE_ENOMEM);
      check(&set, feed);
    }
    assert_int_equal(sse__subscription_add_to_feed(&set.all[i], feed, &mem), SSE_OK);
    set.in[i] = true;
    set.count++;
    check(&set, feed);
  }
}

/* ---- members that stand alone ---- */

static bool is_armed(const struct sse__subscription *member) {
  const struct sse__link *prev = NULL;
  bool found = false;
  SSE__LIST_EACH(link, &channel->armed) {
    assert_ptr_equal(link->prev, prev);
    prev = link;
    found = found || link == &member->u.armed;
  }
  assert_ptr_equal(channel->armed.last, prev);
  return found;
}

static void alone_they_are_armed_in_any_order(void **state) {
  static struct set set;
  struct world random = {.seed = 4};
  (void)state;
  memset(&set, 0, sizeof set);
  for (size_t i = 0; i < MEMBERS; i++) set.all[i].channel = channel;
  for (int step = 0; step < STEPS; step++) {
    size_t i = (size_t)world_random(&random, MEMBERS);
    if (set.in[i]) {
      sse__subscription_disarm(&set.all[i]);
    } else {
      sse__subscription_arm(&set.all[i]);
    }
    set.in[i] = !set.in[i];
    size_t other = (size_t)world_random(&random, MEMBERS);
    assert_int_equal(is_armed(&set.all[i]), set.in[i]);
    assert_int_equal(is_armed(&set.all[other]), set.in[other]);
  }
}

static void alone_they_count(void **state) {
  struct sse__subscription a = {.channel = channel}, b = {.channel = channel};
  (void)state;
  sse__subscription_add_standalone(&a);
  sse__subscription_add_standalone(&b);
  assert_int_equal(channel->streams, 2);
  assert_null(channel->armed.first);
  sse__subscription_remove_standalone(&a);
  assert_int_equal(channel->streams, 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(one_feed_for_each_loop),
      TEST(without_memory_no_feed),
      TEST(feeds_go_in_any_order),
      TEST(an_unused_feed_is_freed),
      TEST(members_come_and_go),
      TEST(without_memory_no_member),
      TEST(alone_they_are_armed_in_any_order),
      TEST(alone_they_count),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
