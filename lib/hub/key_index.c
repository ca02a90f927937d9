/* SPDX-License-Identifier: MIT */
/* key_index.c: the newest frame of each key. */
#include "hub/key_index.h"

#include <string.h>

#include "util/hash.h"

struct sse__key_index *sse__key_index_new(const struct sse__mem *mem, const uint64_t hash_key[2]) {
  struct sse__key_index *keys = sse__mem_zero(mem, sizeof *keys);
  if (!keys) return NULL;
  if (sse__map_init(&keys->map, mem)) {
    sse__mem_free(mem, keys);
    return NULL;
  }
  memcpy(keys->hash_seed, hash_key, sizeof keys->hash_seed);
  return keys;
}

void sse__key_index_free(struct sse__key_index *keys, const struct sse__mem *mem) {
  if (!keys) return;
  sse__map_free(&keys->map, mem);
  sse__mem_free(mem, keys);
}

static uint64_t hash_of(const struct sse__key_index *keys, const struct sse__frame_key *key) {
  return sse__hash(keys->hash_seed, key->text, key->len);
}

struct sse__frame *sse__key_index_find(const struct sse__key_index *keys,
                                       struct sse__frame *frame) {
  const struct sse__frame_key *wanted = sse__frame_key(frame);
  struct sse__map_node *node = sse__map_find(&keys->map, hash_of(keys, wanted));
  for (; node; node = sse__map_next(node)) {
    const struct sse__frame_key *key = SSE__CONTAINER(node, struct sse__frame_key, node);
    if (key->len == wanted->len && memcmp(key->text, wanted->text, key->len) == 0) {
      return key->frame;
    }
  }
  return NULL;
}

void sse__key_index_add(struct sse__key_index *keys, const struct sse__mem *mem,
                        struct sse__frame *frame) {
  struct sse__frame_key *key = sse__frame_key(frame);
  key->node.hash = hash_of(keys, key);
  sse__map_add(&keys->map, mem, &key->node);
  if (frame->tombstone) sse__list_append(&keys->tombstones, &key->tombstone);
}

void sse__key_index_remove(struct sse__key_index *keys, struct sse__frame *frame) {
  struct sse__frame_key *key = sse__frame_key(frame);
  sse__map_remove(&keys->map, &key->node);
  if (frame->tombstone) sse__list_remove(&keys->tombstones, &key->tombstone);
}
