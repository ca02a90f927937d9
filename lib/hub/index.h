/* SPDX-License-Identifier: MIT */
/* index.h: the newest frame of each key, and the frame of each event id of the application. */
#ifndef SSE_LIB_INDEX_H
#define SSE_LIB_INDEX_H

#include "hub/frame.h"

/* ---- keys ---- */

/* The frames of a conflated channel's window by key; guarded by the hub's lock. */
struct sse__key_index {
  struct sse__map map;         /* the newest frame of each key */
  uint64_t hash_seed[2];       /* the secret key of the hash */
  struct sse__list tombstones; /* the frames that delete their key, from the oldest */
};

/* Makes an empty index. NULL without memory. */
struct sse__key_index *sse__key_index_new(const struct sse__mem *mem, const uint64_t hash_seed[2]);
/* Frees an index that has no frame left; keys may be NULL. */
void sse__key_index_free(struct sse__key_index *keys, const struct sse__mem *mem);
/* The frame that a new frame with the same key supersedes, or NULL. */
struct sse__frame *sse__key_index_find(const struct sse__key_index *keys, struct sse__frame *frame);
/* Adds a frame; no frame in the index has its key. Removes a frame. */
void sse__key_index_add(struct sse__key_index *keys, const struct sse__mem *mem,
                        struct sse__frame *frame);
void sse__key_index_remove(struct sse__key_index *keys, struct sse__frame *frame);

/* ---- event ids of the application ---- */

/*
 * The frames of a hub by the application's id; guarded by the hub's lock. An id is known until the
 * frame with its bytes is freed.
 */
struct sse__id_index {
  const struct sse__mem *mem; /* the hub's allocator */
  uint64_t hash_seed[2];      /* the secret key of the hash */
  struct sse__map *map;       /* the frames with an id; NULL until the first one */
  uint64_t gone;              /* the highest number of an event whose id was forgotten; 0: none */
  uint64_t first;             /* what has a lower number is not found: it is of before a reset */
};

/* Makes the table if there is none: 0 or SSE_ENOMEM. */
int sse__id_index_reserve(struct sse__id_index *ids);
/* The frame with this id, or NULL. */
const struct sse__frame *sse__id_index_find(const struct sse__id_index *ids, const char *id,
                                            size_t len);
/* Adds a frame whose id is not known yet, after sse__id_index_reserve. */
void sse__id_index_add(struct sse__id_index *ids, struct sse__frame *frame);
/* Removes a frame that was added. */
void sse__id_index_forget(struct sse__id_index *ids, struct sse__frame *frame);
/* Frees an index that has no frame left. */
void sse__id_index_free(struct sse__id_index *ids);

#endif
