/* SPDX-License-Identifier: MIT */
/* map.h: an intrusive hash table; whoever owns the items embeds the node and compares the keys. */
#ifndef SSE_LIB_MAP_H
#define SSE_LIB_MAP_H

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
/* The first node with this hash, or NULL; sse__map_next gives the further ones. */
struct sse__map_node *sse__map_find(const struct sse__map *map, uint64_t hash);
struct sse__map_node *sse__map_next(const struct sse__map_node *node);
/* Never fails: a table that cannot grow gets longer chains. node->hash is set by the caller. */
void sse__map_add(struct sse__map *map, const struct sse__mem *mem, struct sse__map_node *node);
void sse__map_remove(struct sse__map *map, struct sse__map_node *node);

#endif
