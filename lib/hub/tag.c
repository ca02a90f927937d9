/* SPDX-License-Identifier: MIT */
/* tag.c: the streams of a hub by tag. */
#include "hub/tag.h"

#include <string.h>

#include "util/hash.h"

/*
 * The streams with one tag form a ring, and the map has the first of them. So a stream that shares
 * its tag with a hundred thousand others is removed at the cost of one look-up. The ring has no
 * head outside its streams, so it is not a list of list.h, whose head would cost memory.
 */

int sse__tags_init(struct sse__tags *tags, const struct sse__mem *mem) {
  return sse__map_init(&tags->map, mem);
}

void sse__tags_free(struct sse__tags *tags, const struct sse__mem *mem) {
  sse__map_free(&tags->map, mem);
}

int sse__tag_check(const char *text, size_t *len) {
  size_t n = 0;
  for (; text[n] != '\0'; n++) {
    if (n == SSE_TAG_BYTES_MAX) return SSE_EINVAL;
  }
  *len = n;
  return n > 0 ? SSE_OK : SSE_EINVAL;
}

static bool has_text(const struct sse__map_node *node, const char *text, size_t len) {
  const struct sse__tag *tag = SSE__CONTAINER(node, struct sse__tag, node);
  return tag->len == len && memcmp(tag->text, text, len) == 0;
}

static struct sse__tag *find_tag(const struct sse__tags *tags, uint64_t hash, const char *text,
                                 size_t len) {
  struct sse__map_node *node = sse__map_lookup(&tags->map, hash, has_text, text, len);
  return node ? SSE__CONTAINER(node, struct sse__tag, node) : NULL;
}

struct sse__tag *sse__tags_find(const struct sse__tags *tags, const char *text, size_t len) {
  return find_tag(tags, sse__hash(tags->hash_seed, text, len), text, len);
}

void sse__tags_add(struct sse__tags *tags, const struct sse__mem *mem, struct sse__tag *tag) {
  tag->node.hash = sse__hash(tags->hash_seed, tag->text, tag->len);
  struct sse__tag *first = find_tag(tags, tag->node.hash, tag->text, tag->len);
  if (!first) {
    tag->prev = tag->next = tag;
    tag->count = 1;
    sse__map_add(&tags->map, mem, &tag->node);
    return;
  }
  tag->prev = first;
  tag->next = first->next;
  tag->next->prev = tag;
  first->next = tag;
  first->count++;
}

void sse__tags_remove(struct sse__tags *tags, const struct sse__mem *mem, struct sse__tag *tag) {
  struct sse__tag *first = find_tag(tags, tag->node.hash, tag->text, tag->len);
  first->count--;
  tag->prev->next = tag->next;
  tag->next->prev = tag->prev;
  if (tag != first) return;
  sse__map_remove(&tags->map, &tag->node);
  if (tag->count == 0) return;
  tag->next->count = tag->count;
  sse__map_add(&tags->map, mem, &tag->next->node);
}

uint32_t sse__tags_end(struct sse__tags *tags, const char *text, size_t len, int reason,
                       struct sse__wake_list *list) {
  struct sse__tag *first = sse__tags_find(tags, text, len);
  if (!first) return 0;
  struct sse__tag *tag = first;
  do {
    sse__subscriber_end(tag->sub, reason, list);
    tag = tag->next;
  } while (tag != first);
  return first->count;
}
