/* SPDX-License-Identifier: MIT */
/* test_subscriber.c: how a timer and an end reach a stream, and who pins too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/subscriber.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define READY        SSE_WAKE_READY
#define ENDED        SSE_WAKE_ENDED

enum {
  LONES = 2,
  CHANNELS = 2
};

/* Two lone streams on two channels, and two loops. */
static struct {
  struct sse__channel *channels[CHANNELS];
  struct sse__timers timers;
  struct sse__mem mem;
  struct sse__subscriber subs[LONES];
  struct sse__standalone lones[LONES];
  struct sse__subscription members[LONES][CHANNELS];
  struct sse__inbox inboxes[2];
  struct wakes woken[LONES], loops[2];
} at;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void make_lone(size_t i) {
  struct sse__subscriber *sub = &at.subs[i];
  at.lones[i] = (struct sse__standalone){.waker = {.fn = world_wake, .arg = &at.woken[i]},
                                         .subscriptions = at.members[i],
                                         .count = CHANNELS};
  *sub = (struct sse__subscriber){.standalone = true, .u.standalone = &at.lones[i]};
  sub->live.heartbeat_ms = 15;
  sub->live.stall_ms = 60;
  sub->live.close_ms = SSE__NEVER_MS;
  for (size_t c = 0; c < CHANNELS; c++) {
    at.members[i][c] = (struct sse__subscription){.channel = at.channels[c], .sub = sub};
  }
  assert_int_equal(sse__timers_reserve(&at.timers, &at.mem), SSE_OK);
  sse__timers_add(&at.timers, &sub->live.timer, 15);
}

static int set_up(void **state) {
  (void)state;
  memset(&at, 0, sizeof at);
  at.mem = sse__mem(world_alloc, NULL);
  for (size_t c = 0; c < CHANNELS; c++) {
    at.channels[c] = sse__mem_zero(&at.mem, sizeof *at.channels[c] + 1);
    if (!at.channels[c]) return -1;
  }
  for (size_t i = 0; i < LONES; i++) make_lone(i);
  for (size_t i = 0; i < 2; i++) {
    at.inboxes[i].waker = (struct sse__waker){.fn = world_wake, .arg = &at.loops[i], .armed = true};
  }
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  for (size_t c = 0; c < CHANNELS; c++) sse__mem_free(&at.mem, at.channels[c]);
  sse__timers_free(&at.timers, &at.mem);
  return world_blocks() == 0 ? 0 : -1;
}

static void run(struct sse__wake_list *list) {
  struct sse__wakers wakers = {.lock = &lock};
  pthread_mutex_lock(&lock);
  sse__wakers_run(&wakers, list);
}

/* ---- arming ---- */

static void armed_in_all_channels_or_in_none(void **state) {
  (void)state;
  sse__standalone_arm(&at.lones[0], 0);
  sse__standalone_arm(&at.lones[0], 0);
  sse__standalone_arm(&at.lones[1], 0);
  for (size_t c = 0; c < CHANNELS; c++) {
    assert_ptr_equal(at.channels[c]->armed.first, &at.members[0][c].u.armed);
    assert_ptr_equal(at.members[0][c].u.armed.next, &at.members[1][c].u.armed);
    assert_null(at.members[1][c].u.armed.next);
  }
  sse__standalone_disarm(&at.subs[1], 5);
  assert_int_equal(at.subs[1].live.moved_ms, 5);
  sse__standalone_disarm(&at.subs[1], 6);
  assert_int_equal(at.subs[1].live.moved_ms, 5); /* since then it has had something to take */
  for (size_t c = 0; c < CHANNELS; c++) {
    assert_ptr_equal(at.channels[c]->armed.first, &at.members[0][c].u.armed);
  }
  sse__standalone_disarm(&at.subs[0], 7);
  for (size_t c = 0; c < CHANNELS; c++) assert_null(at.channels[c]->armed.first);
}

/* ---- ends ---- */

static void an_end_reaches_a_lone_stream_armed_or_not(void **state) {
  (void)state;
  for (int armed = 0; armed <= 1; armed++) {
    struct sse__wake_list list = {NULL};
    if (armed) sse__standalone_arm(&at.lones[armed], 0);
    sse__subscriber_end(&at.subs[armed], SSE_EPINNED, &list);
    run(&list);
    assert_int_equal(at.subs[armed].end, SSE_EPINNED);
    assert_int_equal(at.woken[armed].count, 1);
    assert_int_equal(at.woken[armed].why, ENDED);
    assert_null(at.channels[0]->armed.first);
  }
}

/* The first end counts, but for the age of a lone stream: one that stalls then is over. */
static const struct {
  const char *name;
  bool alone;
  int first, second, end;
} ends[] = {
    {"loop: twice", false, SSE_EPINNED, SSE_ESTALLED, SSE_EPINNED},
    {"loop: of age", false, SSE_EAGED, SSE_EPINNED, SSE_EAGED},
    {"alone: twice", true, SSE_EPINNED, SSE_ESTALLED, SSE_EPINNED},
    {"alone: of age, then stalled", true, SSE_EAGED, SSE_ESTALLED, SSE_ESTALLED},
    {"alone: stalled, then of age", true, SSE_ESTALLED, SSE_EAGED, SSE_ESTALLED},
};

static void which_end_counts(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(ends); i++) {
    struct sse__wake_list list = {NULL};
    struct sse__inbox inbox = {.dirty_list = NULL};
    struct sse__subscriber in_loop = {.u.inbox = &inbox};
    struct sse__subscriber *sub = ends[i].alone ? &at.subs[0] : &in_loop;
    sub->end = 0;
    sse__subscriber_end(sub, ends[i].first, &list);
    sse__subscriber_end(sub, ends[i].second, &list);
    run(&list);
    if (sub->end != ends[i].end) fail_msg("%s: %d", ends[i].name, sub->end);
    if (ends[i].alone) continue;
    assert_ptr_equal(inbox.ended, sub);
    assert_null(sub->ended_next);
  }
}

static void an_end_reaches_a_loop_that_waits(void **state) {
  struct sse__wake_list list = {NULL};
  struct sse__subscriber subs[2] = {{.u.inbox = &at.inboxes[0]}, {.u.inbox = &at.inboxes[0]}};
  (void)state;
  sse__subscriber_end(&subs[0], SSE_EPINNED, &list);
  sse__subscriber_end(&subs[1], SSE_EPINNED, &list);
  run(&list);
  assert_int_equal(at.loops[0].count, 1);
  assert_int_equal(at.loops[0].why, ENDED);
  assert_ptr_equal(at.inboxes[0].ended, &subs[1]);
  assert_ptr_equal(subs[1].ended_next, &subs[0]);
}

/* ---- pins ---- */

static void assert_pins(const struct sse__list *pins, const struct sse__subscriber *const *subs,
                        size_t count) {
  const struct sse__link *pin = pins->first, *before = NULL;
  for (size_t i = 0; i < count; i++) {
    assert_ptr_equal(pin, &subs[i]->pin);
    assert_ptr_equal(pin->prev, before);
    before = pin;
    pin = pin->next;
  }
  assert_null(pin);
  assert_ptr_equal(pins->last, before);
}

#define LIST(...) ((const struct sse__subscriber *const[]){__VA_ARGS__, NULL})

static void pins_stand_in_the_order_they_began(void **state) {
  struct sse__pins pins = {.bytes = 0};
  struct sse__subscriber a = {.end = 0}, b = {.end = 0}, c = {.end = 0};
  (void)state;
  sse__subscriber_pin(&pins, &a, 10);
  sse__subscriber_pin(&pins, &b, 20);
  sse__subscriber_pin(&pins, &a, 5); /* it keeps its place */
  sse__subscriber_pin(&pins, &c, 1);
  assert_pins(&pins.streams, LIST(&a, &b, &c), 3);
  assert_int_equal(a.pinned_bytes, 15);
  sse__subscriber_unpin(&pins, &a, 10);
  assert_pins(&pins.streams, LIST(&a, &b, &c), 3);
  sse__subscriber_unpin(&pins, &b, 20); /* from the middle */
  assert_pins(&pins.streams, LIST(&a, &c), 2);
  sse__subscriber_unpin(&pins, &a, 5); /* the oldest */
  assert_pins(&pins.streams, LIST(&c), 1);
  sse__subscriber_pin(&pins, &a, 1); /* it begins anew */
  assert_pins(&pins.streams, LIST(&c, &a), 2);
  sse__subscriber_unpin(&pins, &a, 1); /* the newest */
  assert_pins(&pins.streams, LIST(&c), 1);
  sse__subscriber_unpin(&pins, &c, 1);
  assert_pins(&pins.streams, LIST(NULL), 0);
}

/* Three that pin 100 each, of a ceiling of 1,000 with a share of 250. */
static const struct {
  const char *name;
  size_t bytes, window_bytes, lent_bytes, more;
  bool full, ended[3];
} shares[] = {
    {"within the share", 1000, 750, 0, 0, false, {false, false, false}},
    {"a byte over", 1000, 749, 0, 0, false, {true, false, false}},
    {"as much over as one pins", 1000, 650, 0, 0, false, {true, false, false}},
    {"more than one pins", 1000, 649, 0, 0, false, {true, true, false}},
    {"all have to go", 1000, 549, 0, 0, false, {true, true, true}},
    {"all and more", 1000, 0, 0, 0, false, {true, true, true}},
    {"lent, and the next fits", 1000, 1000, 300, 700, true, {false, false, false}},
    {"the next does not fit", 1000, 1000, 300, 701, true, {true, false, false}},
    {"the next does not fit by far", 1000, 1000, 300, 801, true, {true, true, false}},
    {"all hold the same 100", 1000, 1000, 100, 1000, false, {true, false, false}},
    {"they do, and a publish failed", 1000, 1000, 100, 1000, true, {true, true, true}},
    {"two hold half of it, and a publish failed", 1000, 1000, 200, 850, true, {true, false, false}},
};

static void who_pins_longest_is_ended(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(shares); i++) {
    const struct sse__store store = {.bytes = shares[i].bytes,
                                     .window_bytes = shares[i].window_bytes,
                                     .lent_bytes = shares[i].lent_bytes,
                                     .bytes_max = 1000};
    struct sse__inbox inbox = {.dirty_list = NULL};
    struct sse__subscriber subs[3] = {
        {.u.inbox = &inbox}, {.u.inbox = &inbox}, {.u.inbox = &inbox}};
    struct sse__pins pins = {.bytes = 0};
    struct sse__wake_list list = {NULL};
    for (size_t s = 0; s < 3; s++) sse__subscriber_pin(&pins, &subs[s], 100);
    for (int again = 0; again < 2; again++) { /* no others, while the first are on their way */
      if (shares[i].full) {
        sse__pins_bound_full(&pins, &store, shares[i].more, 1000 + again * 999, &list);
      } else {
        sse__pins_bound(&pins, &store, shares[i].more, 0, &list);
      }
    }
    for (size_t s = 0; s < 3; s++) {
      if (subs[s].end != (shares[i].ended[s] ? SSE_EPINNED : 0)) {
        fail_msg("%s: number %zu has %d", shares[i].name, s, subs[s].end);
      }
    }
  }
}

/* However many their hosts do not free: what one publish looks at is limited, but others end. */
static void many_ended_streams_count_for_a_second(void **state) {
  enum {
    MANY = 3000,
    PUBLISHES = 3
  };
  static const struct sse__store store = {.bytes = 1000, .lent_bytes = 0, .bytes_max = 1000};
  static struct sse__subscriber subs[MANY + 1];
  struct sse__inbox inbox = {.dirty_list = NULL};
  struct sse__pins pins = {.bytes = 0};
  struct sse__wake_list list = {NULL};
  (void)state;
  memset(subs, 0, sizeof subs);
  for (size_t i = 0; i <= MANY; i++) {
    subs[i].u.inbox = &inbox;
    subs[i].end = i < MANY ? SSE_EDISCONNECTED : 0;
    sse__subscriber_pin(&pins, &subs[i], 1);
  }
  for (int i = 0; i < PUBLISHES; i++) {
    assert_int_equal(subs[MANY].end, 0);
    sse__pins_bound_full(&pins, &store, 1000, 5000, &list);
  }
  assert_int_equal(subs[MANY].end, SSE_EPINNED);
}

/*
 * What happens in a row: a publish finds no room (f) or lacks a byte (l), one succeeds (s), the host frees what ended
 * (h), more streams come (p); and how many of the streams have ended then.
 */
static const struct {
  const char *name, *events;
  size_t ended;
} rows[] = {
    {"one failure", "f", 1},
    {"the host has not looked yet", "fff", 1},
    {"freed in vain", "fhf", 4},
    {"and again", "fhfhf", 9},
    {"all", "fhfhfhf", 15},
    {"the next row begins anew", "fhfhsf", 5},
    {"the event counts, not the little that it lacks", "lhl", 4},
    {"it ends when nobody holds anything", "fhfhfhfhpf", 16},
};

static void failures_in_a_row_end_more(void **state) {
  static const struct sse__store store = {
      .bytes = 2000, .window_bytes = 2000, .lent_bytes = 2000, .bytes_max = 2000};
  static const struct sse__store tight = {
      .bytes = 1901, .window_bytes = 1901, .lent_bytes = 1901, .bytes_max = 2000};
  static const struct sse__store roomy = {.bytes_max = 2000};
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    struct sse__inbox inbox = {.dirty_list = NULL};
    struct sse__subscriber subs[20] = {{.pinned_bytes = 0}};
    struct sse__pins pins = {.bytes = 0};
    struct sse__wake_list list = {NULL};
    size_t held = 0, ended = 0;
    for (const char *event = rows[i].events; *event; event++) {
      for (; held < (*event == 'p' ? 20 : 15); held++) {
        subs[held].u.inbox = &inbox;
        sse__subscriber_pin(&pins, &subs[held], 100);
      }
      if (*event == 'f') sse__pins_bound_full(&pins, &store, 100, 0, &list);
      if (*event == 'l') sse__pins_bound_full(&pins, &tight, 100, 0, &list);
      if (*event == 's') sse__pins_bound(&pins, &roomy, 100, 0, &list);
      for (size_t s = 0; *event == 'h' && s < held; s++) {
        if (subs[s].end && subs[s].pinned_bytes > 0) sse__subscriber_unpin(&pins, &subs[s], 100);
      }
    }
    for (size_t s = 0; s < held; s++) ended += subs[s].end == SSE_EPINNED;
    if (ended != rows[i].ended) fail_msg("%s: %zu ended", rows[i].name, ended);
  }
}

/* A host that does not free its stream in a second: the next one ends. */
static void an_ended_stream_counts_for_a_second(void **state) {
  const struct sse__store store = {
      .bytes = 1000, .window_bytes = 1000, .lent_bytes = 300, .bytes_max = 1000};
  struct sse__inbox inbox = {.dirty_list = NULL};
  struct sse__subscriber subs[3] = {{.u.inbox = &inbox}, {.u.inbox = &inbox}, {.u.inbox = &inbox}};
  struct sse__pins pins = {.bytes = 0};
  struct sse__wake_list list = {NULL};
  (void)state;
  for (size_t s = 0; s < 3; s++) sse__subscriber_pin(&pins, &subs[s], 100);
  for (int64_t now_ms = 5000; now_ms < 9000; now_ms += 500) {
    int64_t ended = (now_ms - 5000) / 1000 + 1;
    sse__pins_bound_full(&pins, &store, 750, now_ms, &list);
    for (int s = 0; s < 3; s++) assert_int_equal(subs[s].end, s < ended ? SSE_EPINNED : 0);
  }
}

/* ---- timers of lone streams ---- */

static const struct {
  const char *name;
  bool armed;
  int64_t close_ms, now_ms;
  int end;
  bool beat;
  unsigned why; /* 0: not woken */
  int64_t due_ms;
} dues[] = {
    {"nothing", true, SSE__NEVER_MS, 10, 0, false, 0, 15},
    {"beat", true, SSE__NEVER_MS, 15, 0, true, READY, 30},
    {"stuck", false, SSE__NEVER_MS, 15, 0, false, 0, 30},
    {"stalled", false, SSE__NEVER_MS, 60, SSE_ESTALLED, false, ENDED, SSE__NEVER_MS},
    {"of age", true, 12, 12, SSE_EAGED, false, ENDED, 27},
    {"of age and stuck", false, 12, 12, SSE_EAGED, false, ENDED, 27},
};

static void what_is_due_is_told(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(dues); i++) {
    struct sse__subscriber *sub = &at.subs[0];
    struct sse__wake_list list = {NULL};
    sse__standalone_disarm(sub, 0);
    at.woken[0] = (struct wakes){0};
    sub->heartbeat_due = false;
    sub->end = 0;
    sub->live.close_ms = dues[i].close_ms;
    sse__liveness_start(&sub->live, 0);
    if (dues[i].armed) sse__standalone_arm(&at.lones[0], 0);
    sse__standalone_due(&at.timers, sub, SSE_EAGED, dues[i].now_ms, &list);
    run(&list);
    if (sub->end != dues[i].end) fail_msg("%s: end %d", dues[i].name, sub->end);
    if (sub->heartbeat_due != dues[i].beat)
      fail_msg("%s: beat %d", dues[i].name, sub->heartbeat_due);
    if (at.woken[0].why != dues[i].why) fail_msg("%s: why %x", dues[i].name, at.woken[0].why);
    if (sub->live.timer.due_ms != dues[i].due_ms) {
      fail_msg("%s: next %lld", dues[i].name, (long long)sub->live.timer.due_ms);
    }
    assert_int_equal(at.lones[0].waker.armed, dues[i].armed && !dues[i].why);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(armed_in_all_channels_or_in_none),
      TEST(an_end_reaches_a_lone_stream_armed_or_not),
      TEST(which_end_counts),
      TEST(an_end_reaches_a_loop_that_waits),
      TEST(pins_stand_in_the_order_they_began),
      TEST(who_pins_longest_is_ended),
      TEST(an_ended_stream_counts_for_a_second),
      TEST(many_ended_streams_count_for_a_second),
      TEST(failures_in_a_row_end_more),
      TEST(what_is_due_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
