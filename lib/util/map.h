/* SPDX-License-Identifier: MIT */
/* map.h: an intrusive hash table; an item embeds a node, and its owner compares the keys. */
#ifndef SSE_LIB_MAP_H
#define SSE_LIB_MAP_H

#include <stdbool.h>

#include "util/list.h"
#include "util/mem.h"

struct sse__map_node {
  struct sse__map_node *next; /* the next node in its bucket, or NULL */
  uint64_t hash;              /* the hash of the item's key */
};

/*
 * A table that grows keeps the smaller one until all buckets have moved, a few with each node that is
 * added. So no call moves a whole table. A node lies in the smaller table if its bucket there has not
 * moved yet.
 */
struct sse__map {
  struct sse__map_node **buckets; /* the first node of each bucket */
  size_t mask;                    /* number of buckets less one; that number is a power of two */
  size_t count;                   /* nodes in the map */
  struct sse__map_node **old;     /* the smaller table, while buckets move; or NULL */
  size_t moved;                   /* number of its buckets that have moved */
};

/* The bucket of a hash. */
static inline struct sse__map_node **sse__map_bucket(const struct sse__map *map, uint64_t hash) {
  if (map->old && (hash & map->mask / 2) >= map->moved) return &map->old[hash & map->mask / 2];
  return &map->buckets[hash & map->mask];
}

/* The first node of a bucket, to visit all nodes: of those with numbers from 0 to mask. */
static inline struct sse__map_node *sse__map_chain(const struct sse__map *map, size_t number) {
  if (!map->old || (number & map->mask / 2) < map->moved) return map->buckets[number];
  return number <= map->mask / 2 ? map->old[number] : NULL;
}

/* Allocates the table: 0 or SSE_ENOMEM. */
int sse__map_init(struct sse__map *map, const struct sse__mem *mem);
/* Frees the table, not the items. */
void sse__map_free(struct sse__map *map, const struct sse__mem *mem);
/* Whether the item that embeds a node has the given key. */
typedef bool sse__map_same_fn(const struct sse__map_node *node, const char *key, size_t len);

/*
 * The first node with this hash for which `same` is true, or NULL. Without `same` the first node
 * with this hash.
 */
static inline struct sse__map_node *sse__map_lookup(const struct sse__map *map, uint64_t hash,
                                                    sse__map_same_fn *same, const char *key,
                                                    size_t len) {
  struct sse__map_node *node = *sse__map_bucket(map, hash);
  for (; node; node = node->next) {
    if (node->hash == hash && (!same || same(node, key, len))) return node;
  }
  return NULL;
}

/* Adds a node whose hash is set. Never fails: a table that cannot grow gets longer chains. */
void sse__map_add(struct sse__map *map, const struct sse__mem *mem, struct sse__map_node *node);
/* Removes a node that is in the map. */
void sse__map_remove(struct sse__map *map, struct sse__map_node *node);

#endif
