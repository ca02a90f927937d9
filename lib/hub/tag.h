/* SPDX-License-Identifier: MIT */
/* tag.h: the streams of a hub by the tags that the host gave them, such as a user and a session. */
#ifndef SSE_LIB_TAG_H
#define SSE_LIB_TAG_H

#include "hub/subscriber.h"
#include "util/map.h"
#include "util/walk.h"

struct sse__request;
struct sse__tagged;

/* One tag of a stream; guarded by the hub's lock. Only the first of a ring is in the map. */
struct sse__tag {
  struct sse__map_node node;    /* by the hash of the text */
  struct sse__tag *prev, *next; /* the ring of the streams with this text */
  struct sse__tagged *tagged;   /* the part that holds this tag */
  uint32_t count;               /* number of streams in the ring; only valid in the first */
  uint16_t text_at;             /* offset of the text behind the last tag of the part */
  uint8_t len;                  /* bytes of the text, which no NUL ends */
};

/*
 * The part of a stream that has tags: its tags, and behind them their texts. Guarded by the hub's
 * lock, except what never changes: sub, tags_count and the texts.
 */
struct sse__tagged {
  struct sse__subscriber *sub;             /* the stream */
  struct sse__subscription *subscriptions; /* the subscriptions of the stream */
  uint32_t count;                          /* number of subscriptions */
  uint32_t pending_joins;                  /* of the requests, those to subscribe */
  struct sse__request *requests; /* what the stream must do (stream/request.h): the last one, whose
                                  * next is the first; NULL: nothing */
  struct sse__tagged *requested_next; /* next in the inbox's list */
  uint32_t pending;                   /* number of the requests */
  bool requested;                     /* the part is in the inbox's list */
  bool dismissed;                     /* one of the requests ends the stream */
  uint8_t tags_count;                 /* 1 to SSE_TAGS_MAX */
  struct sse__tag tags[];             /* the texts follow the last one */
};

static inline char *sse__tag_text(const struct sse__tag *tag) {
  return (char *)&tag->tagged->tags[tag->tagged->tags_count] + tag->text_at;
}

/* The tags of a hub; guarded by its lock. */
struct sse__tags {
  struct sse__map map;     /* the first stream of each text */
  uint64_t hash_seed[2];   /* the secret key of the hash */
  struct sse__walk *walks; /* the walks through rings that pause */
};

/* Makes the map: 0 or SSE_ENOMEM. */
int sse__tags_init(struct sse__tags *tags, const struct sse__mem *mem);
/* Frees the map; no stream is left. */
void sse__tags_free(struct sse__tags *tags, const struct sse__mem *mem);

/* Checks a tag and gives its length: 0 or SSE_EINVAL. */
int sse__tag_check(const char *text, size_t *len);
/*
 * Checks a list of tags that ends with NULL and may be empty. Returns 0 with the number of tags and
 * the bytes of their texts; or SSE_EINVAL for a tag that is not legal or occurs twice, or for more
 * than SSE_TAGS_MAX.
 */
int sse__tags_check(const char *const *list, size_t *count, size_t *bytes);
/* Sets the tags of a zeroed part from a list that was checked; the part has room for them. */
void sse__tagged_init(struct sse__tagged *tagged, struct sse__subscriber *sub,
                      const char *const *list);

/* Whether the stream is subscribed to a channel. */
bool sse__tagged_has(const struct sse__tagged *tagged, const struct sse__channel *channel);

/* The first stream with a tag, or NULL; the others follow it in the ring. */
struct sse__tag *sse__tags_find(const struct sse__tags *tags, const char *text, size_t len);
/* Adds a stream under each of its tags. Never fails. */
void sse__tags_add(struct sse__tags *tags, const struct sse__mem *mem, struct sse__tagged *tagged);
/* Removes a stream from all of its tags. */
void sse__tags_remove(struct sse__tags *tags, const struct sse__mem *mem,
                      struct sse__tagged *tagged);

/*
 * Of the tags in a bucket of the map, the one with the lowest hash that is not below `hash`; NULL:
 * there is none. So a walk through all tags may pause: the map only grows, and then moves what was
 * in a bucket to buckets with the same or a higher number.
 */
struct sse__tag *sse__tags_from(const struct sse__tags *tags, size_t bucket, uint64_t hash);
/*
 * Begins a walk through the streams with a tag, which may pause. It visits all that have the tag
 * now, unless they leave.
 */
void sse__tags_walk(struct sse__tags *tags, struct sse__walk *walk, const struct sse__tag *first);
/* The next stream of the walk; NULL: it has ended. */
struct sse__subscriber *sse__tags_walk_next(struct sse__tags *tags, struct sse__walk *walk);

/*
 * Counts the streams of a channel (NULL: of the hub) by their tags. Returns how many tags there
 * are, of which `out` receives the first `max`.
 */
size_t sse__tags_list(const struct sse__tags *tags, const struct sse__channel *channel,
                      sse_tag_count *out, size_t max);

#endif
