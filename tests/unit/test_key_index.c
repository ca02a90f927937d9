/* SPDX-License-Identifier: MIT */
/* test_key_index.c: the newest frame of each key, and the row of those that delete one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/index.h"
#include "util/hash.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
  FRAMES = 4
};

static const uint64_t hash_key[2] = {1, 2};
static struct sse__mem mem;
static struct sse__key_index *keys;

static int set_up(void **state) {
  (void)state;
  mem = sse__mem(world_alloc, NULL);
  keys = sse__key_index_new(&mem, hash_key);
  return keys ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  sse__key_index_free(keys, &mem);
  return world_blocks() == 0 ? 0 : -1;
}

static struct sse__frame *event(const char *key, bool tombstone) {
  const sse_event ev = {.text = "x", .key = key, .flags = tombstone ? SSE_TOMBSTONE : 0};
  struct sse__frame *frame;
  assert_int_equal(sse__frame_encode(&frame, &mem, &ev, 1000), SSE_OK);
  return frame;
}

static void take(struct sse__frame *frame) {
  sse__key_index_remove(keys, frame);
  sse__mem_free(&mem, frame);
}

static void without_memory(void **state) {
  (void)state;
  size_t blocks = world_blocks();
  for (size_t n = 1; n <= 2; n++) {
    world_fail(n, false);
    assert_null(sse__key_index_new(&mem, hash_key));
    world_fail(0, false);
    assert_int_equal(world_blocks(), blocks);
  }
}

/* The tombstones in the row, the oldest first; it is sound both ways. */
static void assert_row(struct sse__frame *const frames[FRAMES], const bool there[FRAMES]) {
  const struct sse__link *at = keys->tombstones.first, *before = NULL;
  for (size_t i = 0; i < FRAMES; i++) {
    if (!there[i]) continue;
    assert_ptr_equal(at, &sse__frame_key(frames[i])->tombstone);
    assert_ptr_equal(at->prev, before);
    before = at;
    at = at->next;
  }
  assert_null(at);
  assert_ptr_equal(keys->tombstones.last, before);
}

/* Four tombstones leave in every order of the first three, with a value among them that stays. */
static void tombstones_leave_in_any_order(void **state) {
  static const size_t orders[][FRAMES] = {{0, 1, 2, 3}, {0, 2, 1, 3}, {1, 0, 2, 3}, {1, 2, 3, 0},
                                          {2, 0, 1, 3}, {2, 3, 1, 0}, {3, 2, 1, 0}, {3, 0, 2, 1}};
  (void)state;
  for (size_t o = 0; o < COUNT(orders); o++) {
    struct sse__frame *frames[FRAMES], *value = event("value", false);
    bool there[FRAMES] = {true, true, true, true};
    for (size_t i = 0; i < FRAMES; i++) {
      const char key[] = {(char)('a' + i), '\0'};
      frames[i] = event(key, true);
      sse__key_index_add(keys, &mem, frames[i]);
      if (i == 1) sse__key_index_add(keys, &mem, value);
    }
    assert_row(frames, there);
    for (size_t i = 0; i < FRAMES; i++) {
      take(frames[orders[o][i]]);
      there[orders[o][i]] = false;
      assert_row(frames, there);
    }
    take(value);
  }
}

/* Two keys may have one hash: they are told apart by their bytes, and by how many there are. */
static void keys_of_one_hash(void **state) {
  static const char *const others[] = {"xy", "a", "abc"};
  (void)state;
  for (size_t i = 0; i < COUNT(others); i++) {
    struct sse__frame *other = event(others[i], false), *old = event("ab", false);
    struct sse__frame *wanted = event("ab", false);
    struct sse__map_node *node = &sse__frame_key(other)->node;
    node->hash = sse__hash(hash_key, "ab", 2);
    sse__map_add(&keys->map, &mem, node);
    assert_null(sse__key_index_find(keys, wanted));
    sse__key_index_add(keys, &mem, old);
    assert_ptr_equal(sse__key_index_find(keys, wanted), old);
    take(old);
    assert_null(sse__key_index_find(keys, wanted));
    take(other);
    sse__mem_free(&mem, wanted);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(without_memory),
      TEST(tombstones_leave_in_any_order),
      TEST(keys_of_one_hash),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
