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

struct sse__map {
  struct sse__map_node **buckets; /* the first node of each bucket */
  size_t mask;                    /* number of buckets less one; that number is a power of two */
  size_t count;                   /* nodes in the map */
};

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
  struct sse__map_node *node = map->buckets[hash & map->mask];
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
