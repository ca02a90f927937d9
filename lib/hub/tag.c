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

int sse__tags_check(const char *const *list, size_t *count, size_t *bytes) {
  size_t len;
  *count = *bytes = 0;
  for (; list[*count]; ++*count) {
    if (*count == SSE_TAGS_MAX || sse__tag_check(list[*count], &len)) return SSE_EINVAL;
    for (size_t i = 0; i < *count; i++) {
      if (strcmp(list[i], list[*count]) == 0) return SSE_EINVAL;
    }
    *bytes += len;
  }
  return SSE_OK;
}

void sse__tagged_init(struct sse__tagged *tagged, struct sse__subscriber *sub,
                      const char *const *list) {
  size_t text_at = 0;
  tagged->sub = sub;
  while (list[tagged->tags_count]) tagged->tags_count++;
  for (uint8_t i = 0; i < tagged->tags_count; i++) {
    struct sse__tag *tag = &tagged->tags[i];
    tag->tagged = tagged;
    tag->text_at = (uint16_t)text_at;
    tag->len = (uint8_t)strlen(list[i]);
    memcpy(sse__tag_text(tag), list[i], tag->len);
    text_at += tag->len;
  }
}

bool sse__tagged_has(const struct sse__tagged *tagged, const struct sse__channel *channel) {
  for (uint32_t i = 0; i < tagged->count; i++) {
    if (tagged->subscriptions[i].channel == channel) return true;
  }
  return false;
}

static bool has_text(const struct sse__map_node *node, const char *text, size_t len) {
  const struct sse__tag *tag = SSE__CONTAINER(node, struct sse__tag, node);
  return tag->len == len && memcmp(sse__tag_text(tag), text, len) == 0;
}

static struct sse__tag *find_tag(const struct sse__tags *tags, uint64_t hash, const char *text,
                                 size_t len) {
  struct sse__map_node *node = sse__map_lookup(&tags->map, hash, has_text, text, len);
  return node ? SSE__CONTAINER(node, struct sse__tag, node) : NULL;
}

struct sse__tag *sse__tags_find(const struct sse__tags *tags, const char *text, size_t len) {
  return find_tag(tags, sse__hash(tags->hash_seed, text, len), text, len);
}

static void add_tag(struct sse__tags *tags, const struct sse__mem *mem, struct sse__tag *tag) {
  const char *text = sse__tag_text(tag);
  tag->node.hash = sse__hash(tags->hash_seed, text, tag->len);
  struct sse__tag *first = find_tag(tags, tag->node.hash, text, tag->len);
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

static void remove_tag(struct sse__tags *tags, const struct sse__mem *mem, struct sse__tag *tag) {
  struct sse__tag *first = find_tag(tags, tag->node.hash, sse__tag_text(tag), tag->len);
  first->count--;
  sse__walks_leave(tags->walks, tag, tag->prev, tag->next);
  tag->prev->next = tag->next;
  tag->next->prev = tag->prev;
  if (tag != first) return;
  sse__map_remove(&tags->map, &tag->node);
  if (tag->count == 0) return;
  tag->next->count = tag->count;
  sse__map_add(&tags->map, mem, &tag->next->node);
}

void sse__tags_add(struct sse__tags *tags, const struct sse__mem *mem, struct sse__tagged *tagged) {
  for (uint8_t i = 0; i < tagged->tags_count; i++) add_tag(tags, mem, &tagged->tags[i]);
}

void sse__tags_remove(struct sse__tags *tags, const struct sse__mem *mem,
                      struct sse__tagged *tagged) {
  for (uint8_t i = 0; i < tagged->tags_count; i++) remove_tag(tags, mem, &tagged->tags[i]);
}

/* ---- walks ---- */

struct sse__tag *sse__tags_from(const struct sse__tags *tags, size_t bucket, uint64_t hash) {
  struct sse__map_node *found = NULL;
  for (struct sse__map_node *node = sse__map_chain(&tags->map, bucket); node; node = node->next) {
    if (node->hash >= hash && (!found || node->hash < found->hash)) found = node;
  }
  return found ? SSE__CONTAINER(found, struct sse__tag, node) : NULL;
}

/* A stream that comes later is put behind the first one, which the walk has passed by then. */
void sse__tags_walk(struct sse__tags *tags, struct sse__walk *walk, const struct sse__tag *first) {
  sse__walk_begin(&tags->walks, walk, first, first->prev);
}

struct sse__subscriber *sse__tags_walk_next(struct sse__tags *tags, struct sse__walk *walk) {
  const struct sse__tag *tag = walk->next;
  if (tag) {
    sse__walk_on(walk, tag->next);
    return tag->tagged->sub;
  }
  sse__walk_end(&tags->walks, walk);
  return NULL;
}

/* ---- the roster of a channel ---- */

static uint32_t count_streams(const struct sse__tag *first, const struct sse__channel *channel) {
  uint32_t count = 0;
  const struct sse__tag *tag = first;
  if (!channel) return first->count;
  do {
    count += sse__tagged_has(tag->tagged, channel);
    tag = tag->next;
  } while (tag != first);
  return count;
}

static void fill_entry(sse_tag_count *entry, const struct sse__tag *tag, uint32_t streams) {
  memcpy(entry->tag, sse__tag_text(tag), tag->len);
  entry->tag[tag->len] = '\0';
  entry->streams = streams;
}

size_t sse__tags_list(const struct sse__tags *tags, const struct sse__channel *channel,
                      sse_tag_count *out, size_t max) {
  size_t found = 0;
  for (size_t i = 0; i <= tags->map.mask; i++) {
    for (struct sse__map_node *node = sse__map_chain(&tags->map, i); node; node = node->next) {
      const struct sse__tag *first = SSE__CONTAINER(node, struct sse__tag, node);
      uint32_t streams = count_streams(first, channel);
      if (streams == 0) continue;
      if (found < max) fill_entry(&out[found], first, streams);
      found++;
    }
  }
  return found;
}
