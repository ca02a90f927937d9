/* SPDX-License-Identifier: MIT */
/* tag.h: the streams of a hub by the tag that the host gave them, such as a user or a session. */
#ifndef SSE_LIB_TAG_H
#define SSE_LIB_TAG_H

#include "hub/subscriber.h"
#include "util/map.h"

struct sse__membership_request;

/* The tag of one stream. Guarded by the hub's lock, but for the text, which does not change. */
struct sse__tag {
  struct sse__map_node node;    /* of the first stream with this text: in the map, by its hash */
  struct sse__tag *prev, *next; /* neighbours in the ring of streams with this text */
  struct sse__subscriber *sub;  /* the stream */
  struct sse__membership_request *requests; /* what the stream must do (stream/membership.h) */
  struct sse__tag *requested_next;          /* the next tag in its inbox */
  bool requested;                           /* it is in its inbox */
  uint32_t count;                           /* of the first stream: streams in the ring */
  uint8_t len;                              /* length of the text */
  char text[];                              /* the text, without a NUL */
};

/* The tags of a hub; guarded by its lock. */
struct sse__tags {
  struct sse__map map;   /* the first stream of each text */
  uint64_t hash_seed[2]; /* the secret key of the hash */
};

/* Makes the map: 0 or SSE_ENOMEM. */
int sse__tags_init(struct sse__tags *tags, const struct sse__mem *mem);
/* Frees the map; no stream is left. */
void sse__tags_free(struct sse__tags *tags, const struct sse__mem *mem);

/* Checks a tag and gives its length: 0 or SSE_EINVAL. */
int sse__tag_check(const char *text, size_t *len);
/* The first stream with a tag, or NULL; its ring has the others. */
struct sse__tag *sse__tags_find(const struct sse__tags *tags, const char *text, size_t len);
/* Adds the tag of a stream, which has `sub`, `len` and `text`. Never fails. */
void sse__tags_add(struct sse__tags *tags, const struct sse__mem *mem, struct sse__tag *tag);
/* Removes the tag of a stream. */
void sse__tags_remove(struct sse__tags *tags, const struct sse__mem *mem, struct sse__tag *tag);

/* Ends all streams with a tag, and returns how many there are. */
uint32_t sse__tags_end(struct sse__tags *tags, const char *text, size_t len, int reason,
                       struct sse__wake_list *list);

#endif
