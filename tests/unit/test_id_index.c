/* SPDX-License-Identifier: MIT */
/* test_id_index.c: the application's own ids: which event has one, and the highest that is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/index.h"
#include "util/hash.h"
#include "world.h"

static struct sse__mem mem;
static struct sse__id_index ids;

static int set_up(void **state) {
  (void)state;
  mem = sse__mem(world_alloc, NULL);
  ids = (struct sse__id_index){.mem = &mem, .hash_seed = {1, 2}};
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  world_fail(0, false);
  sse__id_index_free(&ids);
  return world_blocks() == 0 ? 0 : -1;
}

static struct sse__frame *event(const char *id, uint64_t seq) {
  const sse_event ev = {.text = "x", .id = id};
  struct sse__epoch epoch = {.len = 0};
  struct sse__frame *frame;
  assert_int_equal(sse__frame_encode(&frame, &mem, &ev, 1000), SSE_OK);
  sse__frame_number(frame, &epoch, seq);
  return frame;
}

static void forget(struct sse__frame *frame) {
  sse__id_index_forget(&ids, frame);
  sse__mem_free(&mem, frame);
}

static void nothing_is_found_before_there_is_one(void **state) {
  (void)state;
  assert_null(sse__id_index_find(&ids, "a", 1));
  world_fail(1, false);
  assert_int_equal(sse__id_index_reserve(&ids), SSE_ENOMEM);
  world_fail(2, false);
  assert_int_equal(sse__id_index_reserve(&ids), SSE_ENOMEM);
  assert_int_equal(world_blocks(), 0);
  assert_int_equal(sse__id_index_reserve(&ids), SSE_OK);
  assert_int_equal(sse__id_index_reserve(&ids), SSE_OK);
  assert_null(sse__id_index_find(&ids, "a", 1));
}

/* A client that comes with an id which nobody knows starts above the highest of those forgotten. */
static void events_are_forgotten_in_any_order(void **state) {
  (void)state;
  assert_int_equal(sse__id_index_reserve(&ids), SSE_OK);
  struct sse__frame *frames[3];
  for (uint64_t i = 0; i < 3; i++) {
    const char id[] = {(char)('a' + i), '\0'};
    frames[i] = event(id, i + 5);
    sse__id_index_add(&ids, frames[i]);
  }
  for (size_t i = 0; i < 3; i++) {
    const char id[] = {(char)('a' + i), '\0'};
    assert_ptr_equal(sse__id_index_find(&ids, id, 1), frames[i]);
  }
  forget(frames[1]);
  assert_true(ids.gone == 6);
  assert_null(sse__id_index_find(&ids, "b", 1));
  forget(frames[0]); /* an older one, whose bytes were lent for longer */
  assert_true(ids.gone == 6);
  assert_ptr_equal(sse__id_index_find(&ids, "c", 1), frames[2]);
  forget(frames[2]);
  assert_true(ids.gone == 7);
}

/* What is below the first number is of before a reset: its id may come again. */
static void ids_of_before_a_reset(void **state) {
  (void)state;
  assert_int_equal(sse__id_index_reserve(&ids), SSE_OK);
  struct sse__frame *before = event("a", 5);
  sse__id_index_add(&ids, before);
  ids.first = 5;
  assert_ptr_equal(sse__id_index_find(&ids, "a", 1), before);
  ids.first = 6;
  assert_null(sse__id_index_find(&ids, "a", 1));
  struct sse__frame *after = event("a", 6);
  sse__id_index_add(&ids, after);
  assert_ptr_equal(sse__id_index_find(&ids, "a", 1), after);
  forget(before); /* it was lent for longer */
  assert_ptr_equal(sse__id_index_find(&ids, "a", 1), after);
  forget(after);
  assert_null(sse__id_index_find(&ids, "a", 1));
}

/* Two ids may have one hash: they are told apart by their bytes, and by how many there are. */
static void ids_of_one_hash(void **state) {
  static const char *const others[] = {"x", "ab"};
  (void)state;
  assert_int_equal(sse__id_index_reserve(&ids), SSE_OK);
  for (size_t i = 0; i < 2; i++) {
    struct sse__frame *other = event(others[i], 2), *wanted = event("a", 1);
    struct sse__map_node *node = &sse__frame_id(other)->node;
    node->hash = sse__hash(ids.hash_seed, "a", 1);
    sse__map_add(ids.map, &mem, node);
    assert_null(sse__id_index_find(&ids, "a", 1));
    sse__id_index_add(&ids, wanted);
    assert_ptr_equal(sse__id_index_find(&ids, "a", 1), wanted);
    forget(wanted);
    assert_null(sse__id_index_find(&ids, "a", 1));
    forget(other);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(nothing_is_found_before_there_is_one),
      TEST(events_are_forgotten_in_any_order),
      TEST(ids_of_before_a_reset),
      TEST(ids_of_one_hash),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
