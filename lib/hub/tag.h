/* SPDX-License-Identifier: MIT */
/* tag.h: the streams of a hub by the tag that the host gave them: a user, a session. */
#ifndef SSE_LIB_TAG_H
#define SSE_LIB_TAG_H

#include "hub/subscriber.h"
#include "util/map.h"

struct sse__membership_request;

/* A stream's tag; guarded by the hub's lock but for the text, which does not change. */
struct sse__tag {
  struct sse__map_node node;    /* of the first stream with this text, by its hash */
  struct sse__tag *prev, *next; /* the streams with this text, a ring */
  struct sse__subscriber *sub;
  struct sse__membership_request *requests; /* what the stream is to do (ask.h) */
  struct sse__tag *requested_next;          /* of its inbox */
  bool requested;                           /* it is in its inbox */
  uint32_t count;                           /* of the first: how many there are */
  uint8_t len;
  char text[]; /* without an end */
};

/* The map holds the first stream of each tag. Guarded by the hub's lock. */
struct sse__tags {
  struct sse__map map;
  uint64_t hash_seed[2]; /* of the hash */
};

/* 0 or SSE_ENOMEM. */
int sse__tags_init(struct sse__tags *tags, const struct sse__mem *mem);
/* All streams have left. */
void sse__tags_free(struct sse__tags *tags, const struct sse__mem *mem);

/* The length of a legal tag: 0, or SSE_EINVAL. */
int sse__tag_check(const char *text, size_t *len);
/* The first stream with a tag, or NULL; the others are behind it in the ring. */
struct sse__tag *sse__tags_find(const struct sse__tags *tags, const char *text, size_t len);
/* A stream comes; its tag has `sub`, `len` and `text`. Never fails. */
void sse__tags_add(struct sse__tags *tags, const struct sse__mem *mem, struct sse__tag *tag);
/* A stream leaves. */
void sse__tags_remove(struct sse__tags *tags, const struct sse__mem *mem, struct sse__tag *tag);

/* Ends all streams with a tag, and returns how many there are. */
uint32_t sse__tags_end(struct sse__tags *tags, const char *text, size_t len, int reason,
                       struct sse__wake_list *list);

#endif
