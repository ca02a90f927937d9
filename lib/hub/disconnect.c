/* SPDX-License-Identifier: MIT */
/* disconnect.c: ends all streams with a tag, or all of a hub, in parts. */
#include <limits.h>

#include "hub/hub.h"

/*
 * Between two parts streams, channels and loops come and go. A stream that was opened before the
 * call and is not detached must be found all the same; one that is found twice is ended once.
 */
struct ending {
  struct sse_hub *hub;
  struct sse__wake_list list;
  uint32_t left; /* steps that this hold of the lock still may take */
  size_t count;  /* streams that were ended */
};

/* Counts steps, and pauses when this hold of the lock has had its share. */
static void end_steps(struct ending *ending, uint32_t steps) {
  SSE__HELD(ending->hub);
  ending->left -= steps < ending->left ? steps : ending->left;
  if (ending->left > 0) return;
  sse__hub_pause(ending->hub, &ending->list);
  ending->left = ending->hub->part_max;
}

/* Ends a stream. It may be freed after this. */
static void end_one(struct ending *ending, struct sse__subscriber *sub) {
  uint32_t steps = sub->standalone ? 1 + sub->u.standalone->count : 1;
  ending->count += sse__subscriber_end(sub, SSE_EDISCONNECTED, &ending->list);
  end_steps(ending, steps);
}

static void end_tag(struct ending *ending, const struct sse__tag *first) {
  struct sse__tags *tags = &ending->hub->tags;
  struct sse__walk walk;
  sse__tags_walk(tags, &walk, first);
  for (struct sse__subscriber *sub; (sub = sse__tags_walk_next(tags, &walk));) end_one(ending, sub);
}

/* ---- all streams ---- */

/* The tags of a hub, of which no two have the same hash. */
static void end_tags(struct ending *ending) {
  const struct sse__tags *tags = &ending->hub->tags;
  for (size_t bucket = 0; bucket <= tags->map.mask; bucket++) {
    const struct sse__tag *first;
    for (uint64_t hash = 0; (first = sse__tags_from(tags, bucket, hash));) {
      hash = first->node.hash;
      end_tag(ending, first);
      if (hash++ == UINT64_MAX) break;
    }
    end_steps(ending, 1);
  }
}

/*
 * A place among the streams of loops: a bucket of the map of channels, a channel in it by its
 * number, a loop by the address of its inbox, and how many streams of the two are left. Streams that
 * leave make others move to lower indices only, and a map that grows moves channels to the same or
 * a higher bucket, so whatever happens between two parts, the streams behind the place are those
 * that are left, and perhaps some more.
 */
struct place {
  size_t bucket;
  uint64_t channel;
  uintptr_t inbox;
  uint32_t left;
};

/* The channel in a bucket with the lowest number that is not below `number`, or NULL. */
static const struct sse__channel *channel_from(const struct sse__channels *channels, size_t bucket,
                                               uint64_t number) {
  const struct sse__channel *found = NULL;
  for (struct sse__map_node *node = sse__map_chain(&channels->map, bucket); node;
       node = node->next) {
    const struct sse__channel *channel = SSE__CONTAINER(node, struct sse__channel, node);
    if (channel->number >= number && (!found || channel->number < found->number)) found = channel;
  }
  return found;
}

/* The feed of a channel whose inbox has the lowest address that is not below `inbox`, or NULL. */
static const struct sse__loop_feed *feed_from(const struct sse__channel *channel, uintptr_t inbox) {
  const struct sse__loop_feed *found = NULL;
  SSE__LIST_EACH(link, &channel->feeds) {
    const struct sse__loop_feed *feed = SSE__CONTAINER(link, struct sse__loop_feed, link);
    uintptr_t at = (uintptr_t)feed->inbox;
    if (at >= inbox && (!found || at < (uintptr_t)found->inbox)) found = feed;
  }
  return found;
}

/* The next stream of a channel, and the place behind it; NULL: the channel has no more. */
static struct sse__subscriber *next_of_channel(const struct sse__channel *channel,
                                               struct place *at) {
  if (channel->number != at->channel) {
    *at = (struct place){at->bucket, channel->number, 0, UINT32_MAX};
  }
  for (const struct sse__loop_feed *feed; (feed = feed_from(channel, at->inbox)); at->inbox++) {
    if ((uintptr_t)feed->inbox != at->inbox) at->left = UINT32_MAX;
    at->inbox = (uintptr_t)feed->inbox;
    if (at->left > feed->count) at->left = feed->count;
    if (at->left > 0) return feed->subscriptions[--at->left]->sub;
  }
  return NULL;
}

/* A stream of a loop is in the feeds of its channels; if it has left the last one, it has a tag. */
static void end_in_loops(struct ending *ending) {
  const struct sse__channels *channels = &ending->hub->channels;
  struct place at = {.left = UINT32_MAX};
  for (; at.bucket <= channels->map.mask; at.bucket++, at.channel = 0) {
    const struct sse__channel *channel;
    while ((channel = channel_from(channels, at.bucket, at.channel))) {
      struct sse__subscriber *sub = next_of_channel(channel, &at);
      if (sub) {
        end_one(ending, sub);
      } else {
        at = (struct place){at.bucket, at.channel + 1, 0, UINT32_MAX};
        end_steps(ending, 1);
      }
    }
    end_steps(ending, 1);
  }
}

static void end_standalones(struct ending *ending) {
  struct sse__standalones *all = &ending->hub->standalones;
  struct sse__walk walk;
  sse__standalones_walk(all, &walk);
  for (struct sse__subscriber *sub; (sub = sse__standalones_walk_next(all, &walk));) {
    end_one(ending, sub);
  }
}

/* ---- the call ---- */

int sse_hub_disconnect(sse_hub *hub, const char *tag) {
  struct ending ending = {.hub = hub};
  size_t len = 0;
  if (!hub) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  int error = tag ? sse__tag_check(tag, &len) : SSE_OK;
  if (error) return error;
  pthread_mutex_lock(&hub->lock);
  ending.left = hub->part_max;
  const struct sse__tag *first = tag ? sse__tags_find(&hub->tags, tag, len) : NULL;
  if (first) end_tag(&ending, first);
  if (!tag) {
    end_tags(&ending);
    end_in_loops(&ending);
    end_standalones(&ending);
  }
  sse__wakers_run(&hub->wakers, &ending.list);
  return ending.count < INT_MAX ? (int)ending.count : INT_MAX;
}
