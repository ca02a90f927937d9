/* SPDX-License-Identifier: MIT */
/* map.c: an intrusive hash table. */
#include "util/map.h"

#define FIRST_BUCKETS 16
#define MOVED_AN_ADD  4 /* buckets that move with each node that is added */

int sse__map_init(struct sse__map *map, const struct sse__mem *mem) {
  map->buckets = sse__mem_zero(mem, FIRST_BUCKETS * sizeof *map->buckets);
  if (!map->buckets) return SSE_ENOMEM;
  map->mask = FIRST_BUCKETS - 1;
  map->count = 0;
  map->old = NULL;
  return SSE_OK;
}

void sse__map_free(struct sse__map *map, const struct sse__mem *mem) {
  sse__mem_free(mem, map->buckets);
  sse__mem_free(mem, map->old);
  map->buckets = map->old = NULL;
}

static void link_node(struct sse__map *map, struct sse__map_node *node) {
  struct sse__map_node **bucket = sse__map_bucket(map, node->hash);
  node->next = *bucket;
  *bucket = node;
}

/*
 * Begins to move to a table of twice the size, whose buckets are set when the nodes move. Without
 * memory the old table stays in use: look-ups are slower but correct.
 */
static void map_grow(struct sse__map *map, const struct sse__mem *mem) {
  size_t buckets = (map->mask + 1) * 2;
  struct sse__map_node **table = NULL;
  assert(!map->old);
  if (buckets <= SIZE_MAX / sizeof *table) table = sse__mem_new(mem, buckets * sizeof *table);
  if (!table) return;
  map->old = map->buckets;
  map->buckets = table;
  map->mask = buckets - 1;
  map->moved = 0;
}

/* Moves the next bucket, whose nodes go to one of two. */
static void move_bucket(struct sse__map *map) {
  size_t number = map->moved++;
  struct sse__map_node *node = map->old[number], *next;
  map->buckets[number] = map->buckets[number + map->mask / 2 + 1] = NULL;
  for (; node; node = next) {
    next = node->next;
    link_node(map, node);
  }
}

/* The table grows again after as many nodes as it had buckets, so all have moved by then. */
static void map_move(struct sse__map *map, const struct sse__mem *mem) {
  for (int i = 0; i < MOVED_AN_ADD && map->moved <= map->mask / 2; i++) move_bucket(map);
  if (map->moved <= map->mask / 2) return;
  sse__mem_free(mem, map->old);
  map->old = NULL;
}

void sse__map_add(struct sse__map *map, const struct sse__mem *mem, struct sse__map_node *node) {
  if (map->old) {
    map_move(map, mem);
  } else if (map->count > map->mask) {
    map_grow(map, mem);
  }
  link_node(map, node);
  map->count++;
}

void sse__map_remove(struct sse__map *map, struct sse__map_node *node) {
  struct sse__map_node **at = sse__map_bucket(map, node->hash);
  while (*at != node) {
    assert(*at);
    at = &(*at)->next;
  }
  *at = node->next;
  map->count--;
}
