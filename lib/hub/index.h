/* SPDX-License-Identifier: MIT */
/* index.h: the newest frame of each key, and the frame of each event id of the application. */
#ifndef SSE_LIB_INDEX_H
#define SSE_LIB_INDEX_H

#include "hub/frame.h"

/* ---- keys ---- */

/* Guarded by the hub's lock. All its frames have keys. */
struct sse__key_index {
  struct sse__map map;
  uint64_t hash_seed[2];
  struct sse__list tombstones; /* the frames that delete a key, from the oldest */
};

/* NULL without memory. */
struct sse__key_index *sse__key_index_new(const struct sse__mem *mem, const uint64_t hash_seed[2]);
/* Frees the table, in which no frame is left; NULL is allowed. */
void sse__key_index_free(struct sse__key_index *keys, const struct sse__mem *mem);
/* The frame that a new one of the same key supersedes, or NULL. */
struct sse__frame *sse__key_index_find(const struct sse__key_index *keys, struct sse__frame *frame);
/* Takes a frame up; there is none of its key. */
void sse__key_index_add(struct sse__key_index *keys, const struct sse__mem *mem,
                        struct sse__frame *frame);
void sse__key_index_remove(struct sse__key_index *keys, struct sse__frame *frame);

/* ---- event ids of the application ---- */

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
