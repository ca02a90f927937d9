/* SPDX-License-Identifier: MIT */
/* id_index.c: the application's own event ids. */
#include "hub/id_index.h"

#include <string.h>

#include "util/hash.h"

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

const struct sse__frame *sse__id_index_find(const struct sse__id_index *ids, const char *id,
                                            size_t len) {
  struct sse__map_node *node =
      ids->map ? sse__map_find(ids->map, sse__hash(ids->hash_seed, id, len)) : NULL;
  for (; node; node = sse__map_next(node)) {
    const struct sse__frame *frame = SSE__CONTAINER(node, struct sse__frame_id, node)->frame;
    if (frame->id_len == len && memcmp(sse__frame_id_text(frame), id, len) == 0) return frame;
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
