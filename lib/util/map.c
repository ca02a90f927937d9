/* SPDX-License-Identifier: MIT */
/* map.c: an intrusive hash table. */
#include "util/map.h"

#define FIRST_BUCKETS 16

static struct sse__map_node **bucket_of(const struct sse__map *map, uint64_t hash) {
  return &map->buckets[hash & map->mask];
}

int sse__map_init(struct sse__map *map, const struct sse__mem *mem) {
  map->buckets = sse__mem_zero(mem, FIRST_BUCKETS * sizeof *map->buckets);
  if (!map->buckets) return SSE_ENOMEM;
  map->mask = FIRST_BUCKETS - 1;
  map->count = 0;
  return SSE_OK;
}

void sse__map_free(struct sse__map *map, const struct sse__mem *mem) {
  sse__mem_free(mem, map->buckets);
  map->buckets = NULL;
}

static void link_node(struct sse__map *map, struct sse__map_node *node) {
  struct sse__map_node **bucket = bucket_of(map, node->hash);
  node->next = *bucket;
  *bucket = node;
}

/* Doubles the table. Without memory the old table stays in use: look-ups are slower but correct. */
static void map_grow(struct sse__map *map, const struct sse__mem *mem) {
  size_t buckets = (map->mask + 1) * 2;
  struct sse__map old = *map;
  struct sse__map_node **table = NULL;
  if (buckets <= SIZE_MAX / sizeof *table) table = sse__mem_zero(mem, buckets * sizeof *table);
  if (!table) return;
  map->buckets = table;
  map->mask = buckets - 1;
  for (size_t i = 0; i <= old.mask; i++) {
    for (struct sse__map_node *node = old.buckets[i], *next; node; node = next) {
      next = node->next;
      link_node(map, node);
    }
  }
  sse__mem_free(mem, old.buckets);
}

void sse__map_add(struct sse__map *map, const struct sse__mem *mem, struct sse__map_node *node) {
  if (map->count > map->mask) map_grow(map, mem);
  link_node(map, node);
  map->count++;
}

void sse__map_remove(struct sse__map *map, struct sse__map_node *node) {
  struct sse__map_node **at = bucket_of(map, node->hash);
  while (*at != node) {
    assert(*at);
    at = &(*at)->next;
  }
  *at = node->next;
  map->count--;
}
