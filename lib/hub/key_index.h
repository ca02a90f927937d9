/* SPDX-License-Identifier: MIT */
/* key_index.h: the newest frame of each key, for a window that keeps no others. */
#ifndef SSE_LIB_KEYS_H
#define SSE_LIB_KEYS_H

#include "hub/frame.h"

/* Guarded by the hub's lock. All its frames have keys. */
struct sse__key_index {
  struct sse__map map;
  uint64_t hash_seed[2];
  struct sse__list tombstones; /* the frames that delete a key, from the oldest */
};

/* NULL without memory. */
struct sse__key_index *sse__key_index_new(const struct sse__mem *mem, const uint64_t hash_key[2]);
/* Frees the table, in which no frame is left; NULL is allowed. */
void sse__key_index_free(struct sse__key_index *keys, const struct sse__mem *mem);
/* The frame that a new one of the same key supersedes, or NULL. */
struct sse__frame *sse__key_index_find(const struct sse__key_index *keys, struct sse__frame *frame);
/* Takes a frame up; there is none of its key. */
void sse__key_index_add(struct sse__key_index *keys, const struct sse__mem *mem,
                        struct sse__frame *frame);
void sse__key_index_remove(struct sse__key_index *keys, struct sse__frame *frame);

#endif
