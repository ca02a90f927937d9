/* SPDX-License-Identifier: MIT */
/* test_store.c: the frames of a hub in order, the ceiling on their memory, and those that are lent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hub/store.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
  WINDOWS = 3,
  UNIT = sizeof(struct sse__frame) + 64 + SSE__CHUNK_BYTES /* memory of a frame here */
};

static struct sse__mem mem;
static struct sse__store store;
static struct sse__window windows[WINDOWS];
static uint64_t head;

static int set_up(void **state) {
  static const struct sse__window none;
  (void)state;
  mem = sse__mem(world_alloc, NULL);
  store = (struct sse__store){.mem = &mem, .bytes_max = (size_t)UNIT * 8};
  for (size_t i = 0; i < WINDOWS; i++) windows[i] = none;
  head = 0;
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  for (size_t i = 0; i < WINDOWS; i++) {
    while (windows[i].count > 0) sse__store_evict(&store, sse__window_oldest(&windows[i]));
    sse__window_free(&windows[i], &mem);
  }
  return world_blocks() == 0 && store.bytes == 0 && store.window_bytes == 0 ? 0 : -1;
}

static struct sse__frame *append(size_t window) {
  struct sse__frame *frame = sse__frame_new(&mem, SSE__FRAME_EVENT, 64);
  assert_non_null(frame);
  assert_int_equal(frame->size, UNIT);
  frame->seq = ++head;
  assert_int_equal(sse__window_reserve(&windows[window], &mem), SSE_OK);
  sse__store_append(&store, &windows[window], frame);
  return frame;
}

/* The numbers of the list are these, both ways. */
static void assert_list(const uint64_t *seqs, size_t count) {
  const struct sse__link *link = store.rows[SSE__ROW_LOG].first, *before = NULL;
  for (size_t i = 0; i < count; i++) {
    assert_non_null(link);
    assert_true(SSE__CONTAINER(link, struct sse__frame, link)->seq == seqs[i]);
    assert_ptr_equal(link->prev, before);
    before = link;
    link = link->next;
  }
  assert_null(link);
  assert_ptr_equal(store.rows[SSE__ROW_LOG].last, before);
}

#define ASSERT_LIST(...)                                                                           \
  assert_list((const uint64_t[]){__VA_ARGS__}, COUNT(((const uint64_t[]){__VA_ARGS__})))

static void frames_of_all_windows_in_one_row(void **state) {
  (void)state;
  append(0);
  append(1);
  append(0);
  append(2);
  append(1);
  ASSERT_LIST(1, 2, 3, 4, 5);
  assert_int_equal(store.bytes, 5 * UNIT);
  assert_int_equal(store.window_bytes, 5 * UNIT);
  sse__store_evict(&store, sse__window_oldest(&windows[1])); /* from the middle */
  ASSERT_LIST(1, 3, 4, 5);
  sse__store_evict(&store, sse__window_oldest(&windows[1])); /* the newest */
  ASSERT_LIST(1, 3, 4);
  sse__store_evict(&store, sse__window_oldest(&windows[0])); /* the oldest */
  ASSERT_LIST(3, 4);
  assert_int_equal(store.bytes, 2 * UNIT);
  append(1);
  ASSERT_LIST(3, 4, 6);
}

static void the_last_one_leaves_an_empty_row(void **state) {
  (void)state;
  append(0);
  sse__store_evict(&store, sse__window_oldest(&windows[0]));
  assert_null(store.rows[SSE__ROW_LOG].first);
  assert_null(store.rows[SSE__ROW_LOG].last);
  append(1);
  ASSERT_LIST(2);
}

/* What is lent and evicted counts until it comes back. */
static void lent_frames_count_until_they_come_back(void **state) {
  (void)state;
  struct sse__frame *frame = append(0);
  append(0);
  sse__store_ref(&store, frame);
  sse__store_ref(&store, frame);
  sse__store_evict(&store, sse__window_oldest(&windows[0]));
  ASSERT_LIST(2);
  assert_int_equal(store.bytes, 2 * UNIT);
  assert_int_equal(store.window_bytes, UNIT);
  sse__store_unref(&store, frame);
  assert_int_equal(store.bytes, 2 * UNIT);
  sse__store_unref(&store, frame);
  assert_int_equal(store.bytes, UNIT);
  assert_int_equal(store.window_bytes, UNIT);
}

static void unref_before_eviction_keeps_it(void **state) {
  (void)state;
  struct sse__frame *frame = append(0);
  sse__store_ref(&store, frame);
  sse__store_unref(&store, frame);
  assert_int_equal(store.bytes, UNIT);
  ASSERT_LIST(1);
}

/* Eight frames fit. Each letter is a frame: '.' is in its window, 'L' is lent too. */
static const struct {
  const char *name, *frames;
  size_t bytes; /* more that shall fit */
  bool fit;
} fits[] = {
    {"into nothing", "", UNIT, true},
    {"all of it", "", 8 * UNIT, true},
    {"one byte more than all", "", 8 * UNIT + 1, false},
    {"the largest size", "", SIZE_MAX, false},
    {"beside others", "...", 5 * UNIT, true},
    {"in place of others", "........", UNIT, true},
    {"in place of all", "........", 8 * UNIT, true},
    {"one byte over all", "........", 8 * UNIT + 1, false},
    {"all lent", "LLLLLLLL", UNIT, false},
    {"all lent, nothing more", "LLLLLLLL", 0, true},
    {"the newest is free", "LLLLLLL.", UNIT, true},
    {"the newest is free, one byte more", "LLLLLLL.", UNIT + 1, false},
    {"the oldest is free", ".LLLLLLL", UNIT, true},
    {"beside lent ones", "LLL", 5 * UNIT, true},
    {"beside lent ones, one byte more", "LLL", 5 * UNIT + 1, false},
    {"some in the middle", "LL..LL", 4 * UNIT, true},
    {"some in the middle, one byte more", "LL..LL", 4 * UNIT + 1, false},
};

static void what_can_be_made_to_fit(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(fits); i++) {
    struct sse__frame *lent[8];
    size_t lent_count = 0, count = 0;
    for (; fits[i].frames[count]; count++) {
      struct sse__frame *frame = append(count % WINDOWS);
      if (fits[i].frames[count] != 'L') continue;
      sse__store_ref(&store, frame);
      lent[lent_count++] = frame;
    }
    if (sse__store_can_fit(&store, fits[i].bytes) != fits[i].fit) fail_msg("%s", fits[i].name);
    assert_int_equal(store.window_bytes, count * UNIT);
    if (fits[i].fit) {
      sse__store_make_room(&store, fits[i].bytes);
      assert_true(store.bytes + fits[i].bytes <= store.bytes_max);
    }
    while (lent_count > 0) sse__store_unref(&store, lent[--lent_count]);
    for (size_t w = 0; w < WINDOWS; w++) {
      while (windows[w].count > 0) sse__store_evict(&store, sse__window_oldest(&windows[w]));
    }
    assert_int_equal(store.bytes, 0);
  }
}

/* The oldest go first, whosever they are, and no more than must. */
static void room_is_made_from_the_oldest(void **state) {
  (void)state;
  for (size_t i = 0; i < 8; i++) append(i % 2);
  sse__store_make_room(&store, UNIT);
  ASSERT_LIST(2, 3, 4, 5, 6, 7, 8);
  sse__store_make_room(&store, UNIT);
  ASSERT_LIST(2, 3, 4, 5, 6, 7, 8);
  sse__store_make_room(&store, UNIT + 1);
  ASSERT_LIST(3, 4, 5, 6, 7, 8);
  assert_true(windows[0].evicted.seq == 1);
  assert_true(windows[1].evicted.seq == 2);
}

/* A frame that is lent is passed over, since to evict it would free nothing, and comes back to its
 * place when it is no longer lent. */
static void lent_frames_are_passed_over(void **state) {
  (void)state;
  struct sse__frame *frame = append(0);
  for (size_t i = 1; i < 8; i++) append(1);
  sse__store_ref(&store, frame);
  sse__store_make_room(&store, UNIT);
  ASSERT_LIST(3, 4, 5, 6, 7, 8);
  assert_int_equal(windows[0].count, 1);
  assert_int_equal(store.bytes, 7 * UNIT);
  assert_int_equal(store.window_bytes, 7 * UNIT);
  assert_int_equal(store.aside_bytes, UNIT);
  sse__store_unref(&store, frame);
  assert_int_equal(store.aside_bytes, 0);
  ASSERT_LIST(1, 3, 4, 5, 6, 7, 8);
}

/* But not where a newer frame of its channel has to go: a window has no holes. */
static void a_newer_one_of_its_window_takes_it_along(void **state) {
  (void)state;
  struct sse__frame *frame = append(0);
  append(0);
  for (size_t i = 2; i < 8; i++) append(1);
  sse__store_ref(&store, frame);
  sse__store_make_room(&store, UNIT);
  ASSERT_LIST(3, 4, 5, 6, 7, 8);
  assert_int_equal(windows[0].count, 0);
  assert_int_equal(store.bytes, 7 * UNIT);
  assert_int_equal(store.window_bytes, 6 * UNIT);
  assert_int_equal(store.aside_bytes, 0);
  sse__store_unref(&store, frame);
}

static const struct {
  const char *name;
  size_t bytes, window_bytes, lent_bytes, aside_bytes, bytes_max;
  size_t more, over;
} pins[] = {
    {"nothing", 0, 0, 0, 0, 1000, 0, 0},
    {"nothing lent", 1000, 1000, 0, 0, 1000, 1000, 0},
    {"the share", 1000, 750, 0, 0, 1000, 1, 0},
    {"one byte over", 1000, 749, 0, 0, 1000, 1, 1},
    {"nothing in a window", 1000, 0, 0, 0, 1000, 0, 750},
    {"the share is rounded down", 500, 498, 0, 0, 7, 0, 1},
    {"the share, of it set aside", 1000, 900, 150, 150, 1000, 1, 0},
    {"one byte over, of it set aside", 1000, 900, 151, 151, 1000, 1, 1},
    {"lent in windows", 1000, 1000, 900, 0, 1000, 100, 0},
    {"lent in windows, a byte too much", 1000, 1000, 900, 0, 1000, 101, 1},
    {"the share counts more", 1000, 700, 100, 100, 1000, 601, 150},
    {"what does not fit counts more", 1000, 700, 100, 100, 1000, 1000, 400},
    {"more than fits at all", 1000, 1000, 10, 0, 1000, 1001, 10},
};

static void what_is_lent_too_much(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(pins); i++) {
    const struct sse__store s = {.bytes = pins[i].bytes,
                                 .window_bytes = pins[i].window_bytes,
                                 .lent_bytes = pins[i].lent_bytes,
                                 .aside_bytes = pins[i].aside_bytes,
                                 .bytes_max = pins[i].bytes_max};
    size_t over = sse__store_overlent(&s, pins[i].more);
    if (over != pins[i].over) fail_msg("%s: %zu", pins[i].name, over);
  }
}

/* ---- one event, several channels ---- */

enum {
  BARE = sizeof(struct sse__frame) /* memory of a share */
};

/* An event that goes to the first so many windows; its last share. */
static struct sse__frame *append_shares(size_t count) {
  struct sse__frame *body = sse__frame_new(&mem, SSE__FRAME_BODY, 64), *share = NULL;
  assert_non_null(body);
  body->seq = ++head;
  for (size_t i = 0; i < count; i++) {
    share = sse__frame_share(&mem, body);
    assert_non_null(share);
    assert_int_equal(share->size, BARE);
    sse__frame_show(share);
    assert_int_equal(sse__window_reserve(&windows[i], &mem), SSE_OK);
    sse__store_append(&store, &windows[i], share);
  }
  body->refs--; /* the shares have theirs */
  return share;
}

/* The bytes count once, until the last of the channels has let them go. */
static void shares_count_their_bytes_once(void **state) {
  (void)state;
  append_shares(WINDOWS);
  for (size_t left = WINDOWS; left > 0; left--) {
    assert_int_equal(store.window_bytes, UNIT + left * BARE);
    assert_int_equal(store.bytes, store.window_bytes);
    sse__store_evict(&store, sse__window_oldest(&windows[left - 1]));
  }
  assert_int_equal(store.window_bytes, 0);
  assert_int_equal(store.bytes, 0);
}

/* They can be had back if no share is lent: an event counts as a whole. */
static void shares_make_room_together(void **state) {
  (void)state;
  append_shares(2);
  append_shares(WINDOWS);
  assert_int_equal(store.bytes, 2 * UNIT + (2 + WINDOWS) * BARE);
  assert_true(sse__store_can_fit(&store, store.bytes_max));
  struct sse__frame *lent = append_shares(2);
  append_shares(2);
  sse__store_ref(&store, lent);
  assert_true(sse__store_can_fit(&store, store.bytes_max - UNIT - 2 * BARE));
  assert_false(sse__store_can_fit(&store, store.bytes_max - UNIT - 2 * BARE + 1));
  sse__store_make_room(&store, store.bytes_max - UNIT - 2 * BARE);
  assert_int_equal(store.bytes, UNIT + BARE); /* the newest event has taken it along */
  sse__store_unref(&store, lent);
  assert_int_equal(store.bytes, 0);
}

/* An event is lent while one of its shares is, and it is passed over as a whole. */
static void an_event_is_passed_over_as_a_whole(void **state) {
  (void)state;
  struct sse__frame *lent = append_shares(2);
  for (int i = 0; i < 5; i++) append(2);
  sse__store_ref(&store, lent);
  sse__store_ref(&store, lent->body->shares->next_share);
  sse__store_make_room(&store, store.bytes_max - store.bytes + 1);
  assert_int_equal(store.aside_bytes, UNIT + 2 * BARE);
  assert_int_equal(store.lent_bytes, UNIT + 2 * BARE);
  assert_int_equal(windows[0].count + windows[1].count, 2);
  assert_int_equal(windows[2].count, 4);
  sse__store_unref(&store, lent->body->shares->next_share);
  assert_int_equal(store.aside_bytes, UNIT + 2 * BARE);
  sse__store_unref(&store, lent);
  assert_int_equal(store.aside_bytes, 0);
  assert_int_equal(store.lent_bytes, 0);
  ASSERT_LIST(1, 3, 4, 5, 6);
  sse__store_make_room(&store, store.bytes_max - store.bytes + 1);
  ASSERT_LIST(3, 4, 5, 6);
}

/* What is lent of an event leaves its windows one after the other, and counts to the end. */
static void a_lent_event_leaves_its_windows(void **state) {
  (void)state;
  for (size_t which = 0; which < 2; which++) {
    struct sse__frame *lent = append_shares(2);
    for (size_t i = 0; i < which; i++) lent = lent->next_share;
    sse__store_ref(&store, lent);
    sse__store_evict(&store, sse__window_oldest(&windows[0]));
    assert_int_equal(store.window_bytes, UNIT + BARE);
    assert_int_equal(store.lent_bytes, UNIT + BARE);
    sse__store_evict(&store, sse__window_oldest(&windows[1]));
    assert_int_equal(store.window_bytes, 0);
    assert_int_equal(store.lent_bytes, 0);
    assert_int_equal(store.bytes, UNIT + BARE);
    sse__store_unref(&store, lent);
    assert_int_equal(store.bytes, 0);
  }
}

/* ---- what is below a number ---- */

static const struct {
  const char *name;
  size_t count; /* events, in turn of two windows */
  size_t lent;  /* the place of one that is lent, from 1; 0: none */
  uint64_t below;
  uint32_t max;
  bool all;    /* the answer */
  size_t left; /* events in the windows */
} below_rows[] = {
    {"nothing is there", 0, 0, 9, 4, true, 0},
    {"nothing is below", 4, 0, 1, 4, true, 4},
    {"some are", 4, 0, 3, 4, true, 2},
    {"all are", 4, 0, 9, 9, true, 0},
    {"as many as may be", 4, 0, 5, 4, true, 0},
    {"one more than may be", 4, 0, 5, 3, false, 1},
    {"none may be", 4, 0, 5, 0, false, 4},
    {"none may be, and none is", 4, 0, 1, 0, true, 4},
    {"one is lent", 4, 2, 5, 4, true, 0},
    {"one is lent that is not below", 4, 4, 4, 4, true, 1},
};

static void what_is_below_a_number_is_evicted(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(below_rows); i++) {
    struct sse__frame *lent = NULL;
    head = 0;
    for (size_t place = 1; place <= below_rows[i].count; place++) {
      struct sse__frame *frame = append(place % 2);
      if (place == below_rows[i].lent) lent = frame;
    }
    if (lent) sse__store_ref(&store, lent);
    if (sse__store_evict_below(&store, below_rows[i].below, below_rows[i].max) != below_rows[i].all)
      fail_msg("%s", below_rows[i].name);
    if (windows[0].count + windows[1].count != below_rows[i].left)
      fail_msg("%s: %zu", below_rows[i].name, windows[0].count + windows[1].count);
    if (lent) sse__store_unref(&store, lent);
    sse__store_evict_below(&store, UINT64_MAX, 9);
    assert_int_equal(store.bytes, 0);
    for (size_t w = 0; w < WINDOWS; w++) windows[w].evicted.seq = 0;
  }
}

/* One that was set aside because it was lent, and stands before newer ones when it is back. */
static void what_is_set_aside_is_evicted_too(void **state) {
  (void)state;
  for (int back = 0; back < 2; back++) {
    head = 0;
    struct sse__frame *frame = append(0);
    for (size_t i = 1; i < 8; i++) append(1);
    sse__store_ref(&store, frame);
    sse__store_make_room(&store, UNIT);
    assert_int_equal(store.aside_bytes, UNIT);
    if (back) sse__store_unref(&store, frame);
    assert_true(sse__store_evict_below(&store, 4, 9));
    ASSERT_LIST(4, 5, 6, 7, 8);
    assert_int_equal(windows[0].count, 0);
    if (!back) sse__store_unref(&store, frame);
    assert_true(sse__store_evict_below(&store, UINT64_MAX, 9));
    assert_int_equal(store.bytes, 0);
    windows[0].evicted.seq = windows[1].evicted.seq = 0;
  }
}

/* An event of several channels leaves all of them, and counts once. */
static void an_event_of_several_channels_is_evicted_at_once(void **state) {
  (void)state;
  append_shares(WINDOWS);
  append_shares(WINDOWS);
  append(0);
  assert_false(sse__store_evict_below(&store, 3, 1));
  for (size_t w = 0; w < WINDOWS; w++) assert_true(windows[w].evicted.seq == 1);
  assert_true(sse__store_evict_below(&store, 3, 1));
  ASSERT_LIST(3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(frames_of_all_windows_in_one_row, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_last_one_leaves_an_empty_row, set_up, tear_down),
      cmocka_unit_test_setup_teardown(lent_frames_count_until_they_come_back, set_up, tear_down),
      cmocka_unit_test_setup_teardown(unref_before_eviction_keeps_it, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_can_be_made_to_fit, set_up, tear_down),
      cmocka_unit_test_setup_teardown(room_is_made_from_the_oldest, set_up, tear_down),
      cmocka_unit_test_setup_teardown(lent_frames_are_passed_over, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_newer_one_of_its_window_takes_it_along, set_up, tear_down),
      cmocka_unit_test(what_is_lent_too_much),
      cmocka_unit_test_setup_teardown(shares_count_their_bytes_once, set_up, tear_down),
      cmocka_unit_test_setup_teardown(shares_make_room_together, set_up, tear_down),
      cmocka_unit_test_setup_teardown(an_event_is_passed_over_as_a_whole, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_lent_event_leaves_its_windows, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_is_below_a_number_is_evicted, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_is_set_aside_is_evicted_too, set_up, tear_down),
      cmocka_unit_test_setup_teardown(an_event_of_several_channels_is_evicted_at_once, set_up,
                                      tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
