/* SPDX-License-Identifier: MIT */
/* test_walk.c: walks through a list or a ring whose items come and go meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/list.h"
#include "util/walk.h"
#include "world.h"

enum {
  ITEMS = 12,
  WALKS = 3,
  RUNS = 20000
};

struct item {
  struct sse__link link;
  bool in;
};

/* One that walks: which items it has to visit, and which it has visited. */
struct walker {
  struct sse__walk walk;
  bool walks, owed[ITEMS], seen[ITEMS];
};

static struct item items[ITEMS];
static struct sse__list list;
static struct sse__walk *walks;
static struct walker walkers[WALKS];

static void begin(struct walker *walker) {
  memset(walker, 0, sizeof *walker);
  walker->walks = true;
  for (int i = 0; i < ITEMS; i++) walker->owed[i] = items[i].in;
  sse__walk_begin(&walks, &walker->walk, list.first, list.last);
}

static void step(struct walker *walker) {
  const struct sse__link *link = walker->walk.next;
  if (link) {
    const struct item *item = SSE__CONTAINER(link, struct item, link);
    assert_true(item->in);
    assert_false(walker->seen[item - items]);
    walker->seen[item - items] = true;
    sse__walk_on(&walker->walk, link->next);
    return;
  }
  sse__walk_end(&walks, &walker->walk);
  walker->walks = false;
  for (int i = 0; i < ITEMS; i++) assert_true(!walker->owed[i] || walker->seen[i]);
}

static void leave(struct item *item) {
  struct sse__link *link = &item->link;
  sse__walks_leave(walks, link, link->prev, link->next);
  sse__list_remove(&list, link);
  item->in = false;
  for (int w = 0; w < WALKS; w++) walkers[w].owed[item - items] = false;
}

/* One that comes again is another one. */
static void come(struct item *item) {
  sse__list_append(&list, &item->link);
  item->in = true;
  for (int w = 0; w < WALKS; w++) walkers[w].seen[item - items] = false;
}

static void whoever_stays_is_visited_once(void **state) {
  struct world random = {.seed = 7};
  (void)state;
  for (int run = 0; run < RUNS; run++) {
    struct item *item = &items[world_random(&random, ITEMS)];
    struct walker *walker = &walkers[world_random(&random, WALKS)];
    if (world_random(&random, 2)) {
      walker->walks ? step(walker) : begin(walker);
    } else {
      item->in ? leave(item) : come(item);
    }
  }
  for (int w = 0; w < WALKS; w++) {
    while (walkers[w].walks) step(&walkers[w]);
  }
  assert_null(walks);
}

/* Of a ring of three the walk begins at the first; the next one is the one that leaves. */
static void a_ring_ends_where_it_began(void **state) {
  static const int ring[] = {0, 1, 2};
  struct sse__walk *chain = NULL, walk;
  (void)state;
  sse__walk_begin(&chain, &walk, &ring[0], &ring[2]);
  sse__walk_on(&walk, &ring[1]);
  sse__walks_leave(chain, &ring[0], &ring[2], &ring[1]); /* it was visited */
  assert_ptr_equal(walk.next, &ring[1]);
  sse__walks_leave(chain, &ring[2], &ring[1], &ring[1]); /* the last one */
  assert_ptr_equal(walk.next, &ring[1]);
  sse__walks_leave(chain, &ring[1], &ring[1], &ring[1]); /* the only one */
  assert_null(walk.next);
  sse__walk_end(&chain, &walk);
  assert_null(chain);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whoever_stays_is_visited_once),
      cmocka_unit_test(a_ring_ends_where_it_began),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
