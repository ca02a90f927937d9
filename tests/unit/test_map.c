/* SPDX-License-Identifier: MIT */
/* test_map.c: the hash table: chains, equal hashes, growth with and without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/map.h"
#include "world.h"

enum {
  ITEMS = 500
};

struct item {
  int before;
  struct sse__map_node node;
  bool in;
};

static struct sse__mem mem;
static struct item items[ITEMS];

static int set_up(void **state) {
  (void)state;
  mem = sse__mem(world_alloc, NULL);
  for (size_t i = 0; i < ITEMS; i++) items[i] = (struct item){.in = false};
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  world_fail(0, false);
  return world_blocks() == 0 ? 0 : -1;
}

static struct {
  const struct item *item;
  int times;
} seen;

/* Says no to all, so that a look-up comes past every node with the hash. */
static bool see(const struct sse__map_node *node, const char *key, size_t len) {
  assert_string_equal(key, "key");
  assert_int_equal(len, 3);
  assert_true(node->hash == seen.item->node.hash);
  seen.times += SSE__CONTAINER(node, struct item, node) == seen.item;
  return false;
}

static bool is_seen(const struct sse__map_node *node, const char *key, size_t len) {
  (void)key;
  (void)len;
  return SSE__CONTAINER(node, struct item, node) == seen.item;
}

static bool found(const struct sse__map *map, const struct item *item) {
  uint64_t hash = item->node.hash;
  seen.item = item;
  seen.times = 0;
  assert_null(sse__map_lookup(map, hash, see, "key", 3));
  assert_true(seen.times <= 1);
  const struct sse__map_node *node = sse__map_lookup(map, hash, is_seen, NULL, 0);
  assert_ptr_equal(node, seen.times ? &item->node : NULL);
  if (node) assert_true(sse__map_lookup(map, hash, NULL, NULL, 0)->hash == hash);
  return seen.times == 1;
}

static void check(const struct sse__map *map) {
  size_t count = 0;
  for (size_t i = 0; i < ITEMS; i++) {
    assert_int_equal(found(map, &items[i]), items[i].in);
    count += items[i].in;
  }
  assert_int_equal(map->count, count);
}

static void add(struct sse__map *map, struct item *item, uint64_t hash) {
  item->node.hash = hash;
  sse__map_add(map, &mem, &item->node);
  item->in = true;
}

static void drop(struct sse__map *map, struct item *item) {
  sse__map_remove(map, &item->node);
  item->in = false;
}

/* Hashes that are equal, equal in their low bits, and equal in their high bits. */
static const struct {
  const char *name;
  uint64_t factor, modulus;
} shapes[] = {
    {"all different", 1, UINT64_MAX},
    {"different above the table's bits", UINT64_C(1) << 32, UINT64_MAX},
    {"seven hashes", 1, 7},
    {"one hash", 1, 1},
};

static void add_and_remove(const struct sse__map *started, uint64_t factor, uint64_t modulus) {
  struct sse__map map = *started;
  for (size_t i = 0; i < ITEMS; i++) items[i].node.hash = i * factor % modulus;
  check(&map);
  for (size_t i = 0; i < ITEMS; i++) add(&map, &items[i], i * factor % modulus);
  check(&map);
  for (size_t i = 0; i < ITEMS; i += 3) drop(&map, &items[i]);
  check(&map);
  for (size_t i = ITEMS; i-- > 0;) {
    if (items[i].in) drop(&map, &items[i]);
  }
  check(&map);
  sse__map_free(&map, &mem);
}

static void every_shape_of_hashes(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    struct sse__map map;
    assert_int_equal(sse__map_init(&map, &mem), SSE_OK);
    add_and_remove(&map, shapes[i].factor, shapes[i].modulus);
    assert_int_equal(world_blocks(), 0);
  }
}

static void a_table_that_cannot_grow_goes_on(void **state) {
  struct sse__map map;
  (void)state;
  assert_int_equal(sse__map_init(&map, &mem), SSE_OK);
  world_fail(1, true);
  size_t bytes = world_bytes();
  for (size_t i = 0; i < ITEMS; i++) add(&map, &items[i], i * 3);
  check(&map);
  assert_int_equal(world_bytes(), bytes);
  world_fail(0, false);
  drop(&map, &items[1]);
  add(&map, &items[1], 3);
  check(&map);
  assert_true(world_bytes() > bytes);
  sse__map_free(&map, &mem);
}

static void a_table_that_can_grows(void **state) {
  struct sse__map map;
  (void)state;
  assert_int_equal(sse__map_init(&map, &mem), SSE_OK);
  for (size_t i = 0; i < ITEMS; i++) {
    add(&map, &items[i], i);
    assert_true(map.count <= map.mask + 1);
    assert_int_equal((map.mask + 1) & map.mask, 0);
  }
  sse__map_free(&map, &mem);
}

/* While it grows, an add moves a few buckets, and every node is visited once. */
static void a_table_grows_in_parts(void **state) {
  struct sse__map map;
  size_t growing = 0;
  (void)state;
  assert_int_equal(sse__map_init(&map, &mem), SSE_OK);
  for (size_t i = 0; i < ITEMS; i++) {
    size_t moved = map.old ? map.moved : 0, visited = 0;
    add(&map, &items[i], i * 7919);
    if (map.old) assert_true(map.moved - moved <= 4);
    growing += map.old != NULL;
    for (size_t number = 0; number <= map.mask; number++) {
      struct sse__map_node *node = sse__map_chain(&map, number);
      for (; node; node = node->next) {
        assert_ptr_equal(sse__map_lookup(&map, node->hash, NULL, NULL, 0), node);
        visited++;
      }
    }
    assert_int_equal(visited, map.count);
  }
  assert_true(growing > ITEMS / 8);
  sse__map_free(&map, &mem);
}

static void no_memory_no_table(void **state) {
  struct sse__map map;
  (void)state;
  world_fail(1, false);
  assert_int_equal(sse__map_init(&map, &mem), SSE_ENOMEM);
  assert_int_equal(world_blocks(), 0);
}

/* So many buckets that twice as many have no size: the table goes on, with one that is looked at.
 */
static void a_table_too_large_to_grow(void **state) {
  const size_t mask = SIZE_MAX / sizeof(struct sse__map_node *) / 2 + 8; /* twice: would wrap */
  struct sse__map_node *bucket = NULL;
  struct sse__map map = {.buckets = &bucket, .mask = mask, .count = mask + 1};
  size_t calls = world_calls();
  (void)state;
  items[0].node.hash = 0;
  sse__map_add(&map, &mem, &items[0].node);
  assert_int_equal(world_calls(), calls);
  assert_ptr_equal(map.buckets, &bucket);
  assert_ptr_equal(bucket, &items[0].node);
  assert_int_equal(map.mask, mask);
  assert_int_equal(map.count, mask + 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(every_shape_of_hashes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_table_that_cannot_grow_goes_on, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_table_that_can_grows, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_table_grows_in_parts, set_up, tear_down),
      cmocka_unit_test_setup_teardown(no_memory_no_table, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_table_too_large_to_grow, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
