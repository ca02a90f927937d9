/* SPDX-License-Identifier: MIT */
/* index.c: the newest frame of each key, and the frame of each event id of the application. */
#include "hub/index.h"

#include <string.h>

#include "util/hash.h"

/* ---- keys ---- */

struct sse__key_index *sse__key_index_new(const struct sse__mem *mem, const uint64_t hash_seed[2]) {
  struct sse__key_index *keys = sse__mem_zero(mem, sizeof *keys);
  if (!keys) return NULL;
  if (sse__map_init(&keys->map, mem)) {
    sse__mem_free(mem, keys);
    return NULL;
  }
  memcpy(keys->hash_seed, hash_seed, sizeof keys->hash_seed);
  return keys;
}

void sse__key_index_free(struct sse__key_index *keys, const struct sse__mem *mem) {
  if (!keys) return;
  sse__map_free(&keys->map, mem);
  sse__mem_free(mem, keys);
}

static uint64_t hash_key(const struct sse__key_index *keys, const struct sse__frame_key *key) {
  return sse__hash(keys->hash_seed, key->text, key->len);
}

static bool has_key(const struct sse__map_node *node, const char *text, size_t len) {
  const struct sse__frame_key *key = SSE__CONTAINER(node, struct sse__frame_key, node);
  return key->len == len && memcmp(key->text, text, len) == 0;
}

struct sse__frame *sse__key_index_find(const struct sse__key_index *keys,
                                       struct sse__frame *frame) {
  const struct sse__frame_key *key = sse__frame_key(frame);
  struct sse__map_node *node =
      sse__map_lookup(&keys->map, hash_key(keys, key), has_key, key->text, key->len);
  return node ? SSE__CONTAINER(node, struct sse__frame_key, node)->frame : NULL;
}

void sse__key_index_add(struct sse__key_index *keys, const struct sse__mem *mem,
                        struct sse__frame *frame) {
  struct sse__frame_key *key = sse__frame_key(frame);
  key->node.hash = hash_key(keys, key);
  sse__map_add(&keys->map, mem, &key->node);
  if (frame->tombstone) sse__list_append(&keys->tombstones, &key->tombstone);
}

void sse__key_index_remove(struct sse__key_index *keys, struct sse__frame *frame) {
  struct sse__frame_key *key = sse__frame_key(frame);
  sse__map_remove(&keys->map, &key->node);
  if (frame->tombstone) sse__list_remove(&keys->tombstones, &key->tombstone);
}

/* ---- event ids of the application ---- */

int sse__id_index_reserve(struct sse__id_index *ids) {
  if (ids->map) return SSE_OK;
  struct sse__map *map = sse__mem_new(ids->mem, sizeof *map);
  if (!map) return SSE_ENOMEM;
  int error = sse__map_init(map, ids->mem);
  if (error) {
    sse__mem_free(ids->mem, map);
    return error;
  }
  ids->map = map;
  return SSE_OK;
}

static bool has_id(const struct sse__map_node *node, const char *id, size_t len) {
  const struct sse__frame *frame = SSE__CONTAINER(node, struct sse__frame_id, node)->frame;
  return frame->id_len == len && memcmp(sse__frame_id_text(frame), id, len) == 0;
}

const struct sse__frame *sse__id_index_find(const struct sse__id_index *ids, const char *id,
                                            size_t len) {
  if (!ids->map) return NULL;
  uint64_t hash = sse__hash(ids->hash_seed, id, len);
  struct sse__map_node *node = sse__map_lookup(ids->map, hash, has_id, id, len);
  for (; node; node = node->next) {
    const struct sse__frame *frame = SSE__CONTAINER(node, struct sse__frame_id, node)->frame;
    if (frame->seq >= ids->first && node->hash == hash && has_id(node, id, len)) return frame;
  }
  return NULL;
}

void sse__id_index_add(struct sse__id_index *ids, struct sse__frame *frame) {
  struct sse__map_node *node = &sse__frame_id(frame)->node;
  node->hash = sse__hash(ids->hash_seed, sse__frame_id_text(frame), frame->id_len);
  sse__map_add(ids->map, ids->mem, node);
}

void sse__id_index_forget(struct sse__id_index *ids, struct sse__frame *frame) {
  sse__map_remove(ids->map, &sse__frame_id(frame)->node);
  if (frame->seq > ids->gone) ids->gone = frame->seq;
}

void sse__id_index_free(struct sse__id_index *ids) {
  if (ids->map) sse__map_free(ids->map, ids->mem);
  sse__mem_free(ids->mem, ids->map);
}
