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

/* ---- tombstones ---- */

static void link_tombstone(struct sse__key_index *keys, struct sse__frame *frame) {
  struct sse__frame *last = keys->tombstone_newest;
  sse__frame_key(frame)->older = last;
  sse__frame_key(frame)->newer = NULL;
  if (last) {
    sse__frame_key(last)->newer = frame;
  } else {
    keys->tombstone_oldest = frame;
  }
  keys->tombstone_newest = frame;
}

static void unlink_tombstone(struct sse__key_index *keys, struct sse__frame *frame) {
  const struct sse__frame_key *key = sse__frame_key(frame);
  if (key->older) {
    sse__frame_key(key->older)->newer = key->newer;
  } else {
    keys->tombstone_oldest = key->newer;
  }
  if (key->newer) {
    sse__frame_key(key->newer)->older = key->older;
  } else {
    keys->tombstone_newest = key->older;
  }
}

/* ---- frames ---- */

void sse__key_index_add(struct sse__key_index *keys, const struct sse__mem *mem,
                        struct sse__frame *frame) {
  struct sse__frame_key *key = sse__frame_key(frame);
  key->node.hash = hash_of(keys, key);
  sse__map_add(&keys->map, mem, &key->node);
  if (frame->tombstone) link_tombstone(keys, frame);
}

void sse__key_index_remove(struct sse__key_index *keys, struct sse__frame *frame) {
  sse__map_remove(&keys->map, &sse__frame_key(frame)->node);
  if (frame->tombstone) unlink_tombstone(keys, frame);
}
