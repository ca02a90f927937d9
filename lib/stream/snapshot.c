/* SPDX-License-Identifier: MIT */
/* snapshot.c: the snapshot of one round of a loop. */
#include "stream/snapshot.h"

#define NUMBERS_MAX 1024              /* numbers that one round spans */
#define BYTES_MAX   ((size_t)1 << 20) /* memory that it holds, unless one frame is more */
#define BYTES_SHARE 16                /* nor more of the hub's ceiling than one in so many */
#define AHEAD       8 /* members that are fetched into the cache ahead of their visit */

int sse__snapshot_init(struct sse__snapshot *round, const struct sse__mem *mem) {
  round->slots = sse__mem_new(mem, NUMBERS_MAX * sizeof *round->slots);
  if (!round->slots) return SSE_ENOMEM;
  round->cap = NUMBERS_MAX;
  return SSE_OK;
}

void sse__snapshot_free(struct sse__snapshot *round, const struct sse__mem *mem) {
  sse__mem_free(mem, round->slots);
}

/* The round may be under way, and its feeds look into the table. */
int sse__snapshot_reserve(struct sse__snapshot *round, const struct sse__mem *mem, size_t feeds) {
  if (feeds <= round->cap) return SSE_OK;
  if (round->cap > SIZE_MAX / 2 / sizeof *round->slots) return SSE_ENOMEM;
  struct sse__slot *slots = sse__mem_new(mem, round->cap * 2 * sizeof *slots);
  if (!slots) return SSE_ENOMEM;
  for (size_t i = 0; i < round->count; i++) slots[i] = round->slots[i];
  for (struct sse__loop_feed *feed = round->feeds; feed; feed = feed->round_next) {
    feed->slots = slots + (feed->slots - round->slots);
  }
  sse__mem_free(mem, round->slots);
  round->slots = slots;
  round->cap *= 2;
  return SSE_OK;
}

/*
 * What a feed's channel has that is new to it: its retained frames, or the ephemeral ones. It
 * begins with a frame: a round that went up to a slot whose frame was superseded would take
 * nothing, and the next one would find the same again.
 */
static struct sse__stretch new_of(const struct sse__loop_feed *feed, bool ephemeral) {
  const struct sse__window *window = ephemeral ? feed->channel->ephemeral : &feed->channel->window;
  if (!window) return (struct sse__stretch){NULL, 0, 0, 0};
  struct sse__stretch frames = sse__window_stretch(window);
  size_t had = sse__stretch_after(&frames, feed->base);
  while (had < frames.count && !sse__stretch_at(&frames, had)->frame) had++;
  frames.first += had;
  frames.count -= had;
  return frames;
}

/* The lowest number that is new to any of the feeds. */
static uint64_t lowest_new(const struct sse__loop_feed *dirty) {
  uint64_t lowest = UINT64_MAX;
  for (const struct sse__loop_feed *feed = dirty; feed; feed = feed->dirty_next) {
    for (int ephemeral = 0; ephemeral < 2; ephemeral++) {
      struct sse__stretch frames = new_of(feed, ephemeral);
      if (frames.count == 0) continue;
      uint64_t seq = sse__stretch_at(&frames, 0)->seq;
      if (seq < lowest) lowest = seq;
    }
  }
  return lowest;
}

/* Whether all that is new up to a number is within the bounds of a round. */
static bool fits(const struct sse__snapshot *round, const struct sse__loop_feed *dirty,
                 uint64_t head, size_t bytes_max) {
  size_t count = 0, bytes = 0;
  for (const struct sse__loop_feed *feed = dirty; feed; feed = feed->dirty_next) {
    for (int ephemeral = 0; ephemeral < 2; ephemeral++) {
      struct sse__stretch frames = new_of(feed, ephemeral);
      for (size_t place = 0; place < frames.count; place++) {
        const struct sse__slot *slot = sse__stretch_at(&frames, place);
        if (slot->seq > head) break;
        if (!slot->frame) continue;
        bytes += slot->frame->size;
        if (++count > round->cap || bytes > bytes_max) return false;
      }
    }
  }
  return true;
}

/*
 * The number up to which this round goes. A span of one number always fits: the table has room for
 * one frame of every feed.
 */
static uint64_t choose_head(const struct sse__snapshot *round, const struct sse__loop_feed *dirty,
                            const sse_hub *hub) {
  uint64_t low = lowest_new(dirty), head = hub->head;
  size_t bytes_max = hub->store.bytes_max / BYTES_SHARE;
  if (bytes_max > BYTES_MAX) bytes_max = BYTES_MAX;
  for (uint64_t span = NUMBERS_MAX; low <= head; span /= 2) {
    uint64_t upto = head - low < span ? head : low + span - 1;
    if (span == 1 || fits(round, dirty, upto, bytes_max)) return upto;
  }
  return head;
}

/* Takes the slot with the lower number out of two stretches; NULL when both are empty. */
static const struct sse__slot *take_lower(struct sse__stretch *a, struct sse__stretch *b) {
  const struct sse__slot *first = a->count > 0 ? sse__stretch_at(a, 0) : NULL;
  const struct sse__slot *second = b->count > 0 ? sse__stretch_at(b, 0) : NULL;
  struct sse__stretch *from = !second || (first && first->seq < second->seq) ? a : b;
  if (from->count == 0) return NULL;
  from->first++;
  from->count--;
  return from == a ? first : second;
}

/* Copies a feed's new frames; true if some are left for the next round. */
static bool take(struct sse__snapshot *round, struct sse__loop_feed *feed) {
  const struct sse__window *window = &feed->channel->window;
  struct sse__stretch retained = new_of(feed, false), passing = new_of(feed, true);
  const struct sse__slot *slot;
  feed->slots = round->slots + round->count;
  feed->slots_count = 0;
  feed->evicted = window->evicted;
  feed->keyed = window->keys;
  feed->last = window->evicted > feed->base ? window->evicted : feed->base;
  while ((slot = take_lower(&retained, &passing))) {
    if (slot->seq > round->head) return true;
    if (!slot->frame) continue;
    slot->frame->refs++;
    feed->slots[feed->slots_count++] = *slot;
    if (slot->seq > feed->last) feed->last = slot->seq;
  }
  feed->finished = feed->channel->finished;
  return false;
}

void sse__snapshot_begin(struct sse__snapshot *round, sse_hub *hub, struct sse__inbox *inbox,
                         int64_t now_ms) {
  struct sse__loop_feed *dirty = inbox->dirty;
  for (struct sse__loop_feed *feed = dirty; feed; feed = feed->dirty_next) {
    sse__channel_expire(&hub->channels, feed->channel, now_ms);
  }
  round->head = choose_head(round, dirty, hub);
  round->feeds = NULL;
  round->count = 0;
  inbox->dirty = NULL;
  for (struct sse__loop_feed *feed = dirty, *next; feed; feed = next) {
    next = feed->dirty_next;
    feed->dirty = take(round, feed);
    if (feed->channel->delivered.latency)
      sse__channel_counters_measure(&feed->delivered, &hub->mem);
    if (feed->dirty) {
      feed->dirty_next = inbox->dirty;
      inbox->dirty = feed;
    }
    round->count += feed->slots_count;
    feed->in_round = true;
    feed->visit = feed->count;
    feed->round_next = round->feeds;
    round->feeds = feed;
  }
  round->visiting = round->feeds;
}

void sse__snapshot_chunk(struct sse__snapshot *round) {
  for (size_t i = 0; i < round->count; i++) sse__frame_chunk(round->slots[i].frame);
}

struct sse__subscription *sse__snapshot_visit(struct sse__snapshot *round,
                                              const struct sse__loop_feed **feed) {
  struct sse__loop_feed *at;
  for (; (at = round->visiting); round->visiting = at->round_next) {
    if (at->visit > at->count) at->visit = at->count;
    if (at->visit == 0) continue;
    at->visit--;
    if (at->visit >= AHEAD) __builtin_prefetch(at->subscriptions[at->visit - AHEAD]->sub);
    *feed = at;
    return at->subscriptions[at->visit];
  }
  return NULL;
}

void sse__snapshot_end(struct sse__snapshot *round, sse_hub *hub, int64_t now_ms) {
  for (size_t i = 0; i < round->count; i++) sse__store_unref(&hub->store, round->slots[i].frame);
  round->count = 0;
  while (round->feeds) {
    struct sse__loop_feed *feed = round->feeds;
    struct sse__channel *channel = feed->channel;
    round->feeds = feed->round_next;
    feed->in_round = false;
    feed->base = feed->last;
    sse__channel_counters_fold(&channel->delivered, &feed->delivered);
    sse__loop_feed_free_unused(feed, &hub->mem);
    if (!channel->feeds.first) sse__channel_touch(&hub->channels, channel, now_ms);
  }
  round->visiting = NULL;
}
