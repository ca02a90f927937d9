/* SPDX-License-Identifier: MIT */
/* id_index.h: the application's own event ids: which number an id stands for. */
#ifndef SSE_LIB_IDS_H
#define SSE_LIB_IDS_H

#include "hub/frame.h"

/* Guarded by the hub's lock. An id is known as long as the bytes that end in it. */
struct sse__id_index {
  const struct sse__mem *mem;
  uint64_t hash_seed[2]; /* of the hash */
  struct sse__map *map;  /* NULL until there is the first id */
  uint64_t gone;         /* the highest number of an event whose id is forgotten */
};

/* Room for the first id: 0 or SSE_ENOMEM. */
int sse__id_index_reserve(struct sse__id_index *ids);
/* The event that has this id, or NULL. */
const struct sse__frame *sse__id_index_find(const struct sse__id_index *ids, const char *id,
                                            size_t len);
/* Takes up a frame that has an id of its own, which is not known yet; there is room. */
void sse__id_index_add(struct sse__id_index *ids, struct sse__frame *frame);
/* Forgets a frame that was added. */
void sse__id_index_forget(struct sse__id_index *ids, struct sse__frame *frame);
/* Frees the table; no frame is left in it. */
void sse__id_index_free(struct sse__id_index *ids);

#endif
