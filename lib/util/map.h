/* SPDX-License-Identifier: MIT */
/* map.h: an intrusive hash table; whoever owns the items embeds the node and compares the keys. */
#ifndef SSE_LIB_MAP_H
#define SSE_LIB_MAP_H

#include <stdbool.h>

#include "util/list.h"
#include "util/mem.h"

struct sse__map_node {
  struct sse__map_node *next; /* in its bucket */
  uint64_t hash;
};

struct sse__map {
  struct sse__map_node **buckets;
  size_t mask; /* buckets - 1; a power of two less one */
  size_t count;
};

/* 0 or SSE_ENOMEM. */
int sse__map_init(struct sse__map *map, const struct sse__mem *mem);
/* Frees the table; the items are the owner's. */
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

/* Never fails: a table that cannot grow gets longer chains. node->hash is set by the caller. */
void sse__map_add(struct sse__map *map, const struct sse__mem *mem, struct sse__map_node *node);
void sse__map_remove(struct sse__map *map, struct sse__map_node *node);

#endif
