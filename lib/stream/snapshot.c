/* SPDX-License-Identifier: MIT */
/* snapshot.c: the snapshot of one iteration of a loop. */
#include "stream/snapshot.h"

#include <assert.h>

#define SNAPSHOT_NUMBERS   1024              /* most numbers that one snapshot spans */
#define SNAPSHOT_BYTES_MAX ((size_t)1 << 20) /* most memory held, unless one frame is larger */
#define SNAPSHOT_SHARE     16                /* and at most the memory ceiling divided by this */
#define VISIT_AHEAD        8 /* subscriptions fetched into the cache ahead of a visit */

int sse__snapshot_init(struct sse__snapshot *snapshot, const struct sse__mem *mem) {
  snapshot->slots = sse__mem_new(mem, SNAPSHOT_NUMBERS * sizeof *snapshot->slots);
  if (!snapshot->slots) return SSE_ENOMEM;
  snapshot->cap = SNAPSHOT_NUMBERS;
  return SSE_OK;
}

void sse__snapshot_free(struct sse__snapshot *snapshot, const struct sse__mem *mem) {
  sse__mem_free(mem, snapshot->slots);
}

/* A round may be under way, whose feeds point into the array. */
int sse__snapshot_reserve(struct sse__snapshot *snapshot, const struct sse__mem *mem,
                          size_t feeds) {
  if (feeds <= snapshot->cap) return SSE_OK;
  if (snapshot->cap > SIZE_MAX / 2 / sizeof *snapshot->slots) return SSE_ENOMEM;
  struct sse__slot *slots = sse__mem_new(mem, snapshot->cap * 2 * sizeof *slots);
  if (!slots) return SSE_ENOMEM;
  for (size_t i = 0; i < snapshot->count; i++) slots[i] = snapshot->slots[i];
  for (struct sse__loop_feed *feed = snapshot->feeds; feed; feed = feed->round_next) {
    feed->slots = slots + (feed->slots - snapshot->slots);
  }
  sse__mem_free(mem, snapshot->slots);
  snapshot->slots = slots;
  snapshot->cap *= 2;
  return SSE_OK;
}

/*
 * The new frames of a feed's channel: retained or ephemeral ones. They begin with a slot that has
 * a frame: a round up to a slot whose frame was superseded would take nothing, and the next round
 * would find the same slot again.
 */
static struct sse__stretch new_frames(const struct sse__loop_feed *feed, bool ephemeral) {
  const struct sse__window *window = ephemeral ? feed->channel->ephemeral : &feed->channel->window;
  if (!window) return (struct sse__stretch){NULL, 0, 0, 0};
  struct sse__stretch frames = sse__window_stretch(window);
  size_t old = sse__stretch_after(&frames, feed->base);
  while (old < frames.count && !sse__stretch_at(&frames, old)->frame) old++;
  frames.first += old;
  frames.count -= old;
  return frames;
}

/* The lowest number that is new to any of the feeds. */
static uint64_t lowest_new(const struct sse__loop_feed *dirty) {
  uint64_t lowest = UINT64_MAX;
  for (const struct sse__loop_feed *feed = dirty; feed; feed = feed->dirty_next) {
    for (int ephemeral = 0; ephemeral < 2; ephemeral++) {
      struct sse__stretch frames = new_frames(feed, ephemeral);
      if (frames.count == 0) continue;
      uint64_t seq = sse__stretch_at(&frames, 0)->seq;
      if (seq < lowest) lowest = seq;
    }
  }
  return lowest;
}

/* Whether everything new up to `head` is within the limits of a snapshot. */
static bool snapshot_fits(const struct sse__snapshot *snapshot, const struct sse__loop_feed *dirty,
                          uint64_t head, size_t bytes_max) {
  size_t count = 0, bytes = 0;
  for (const struct sse__loop_feed *feed = dirty; feed; feed = feed->dirty_next) {
    for (int ephemeral = 0; ephemeral < 2; ephemeral++) {
      struct sse__stretch frames = new_frames(feed, ephemeral);
      for (size_t place = 0; place < frames.count; place++) {
        const struct sse__slot *slot = sse__stretch_at(&frames, place);
        if (slot->seq > head) break;
        if (!slot->frame) continue;
        bytes += slot->frame->size;
        if (++count > snapshot->cap || bytes > bytes_max) return false;
      }
    }
  }
  return true;
}

/*
 * The number up to which this snapshot goes. A span of one number always fits, because there is a
 * slot for one frame of every feed.
 */
static uint64_t choose_head(const struct sse__snapshot *snapshot,
                            const struct sse__loop_feed *dirty, const sse_hub *hub) {
  uint64_t low = lowest_new(dirty), head = hub->head;
  size_t bytes_max = hub->store.bytes_max / SNAPSHOT_SHARE;
  if (bytes_max > SNAPSHOT_BYTES_MAX) bytes_max = SNAPSHOT_BYTES_MAX;
  for (uint64_t span = SNAPSHOT_NUMBERS; low <= head; span /= 2) {
    uint64_t upto = head - low < span ? head : low + span - 1;
    if (span == 1 || snapshot_fits(snapshot, dirty, upto, bytes_max)) return upto;
  }
  return head;
}

/* Takes the slot with the lower number from two stretches; NULL: both are empty. */
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
static bool snapshot_take(struct sse__snapshot *snapshot, struct sse__store *store,
                          struct sse__loop_feed *feed) {
  const struct sse__window *window = &feed->channel->window;
  struct sse__stretch retained = new_frames(feed, false), ephemeral = new_frames(feed, true);
  const struct sse__slot *slot;
  feed->slots = snapshot->slots + snapshot->count;
  feed->slots_count = 0;
  feed->evicted = window->evicted;
  feed->keyed = window->keys;
  feed->last = window->evicted > feed->base ? window->evicted : feed->base;
  while ((slot = take_lower(&retained, &ephemeral))) {
    if (slot->seq > snapshot->head) return true;
    if (!slot->frame) continue;
    sse__store_ref(store, slot->frame);
    feed->slots[feed->slots_count++] = *slot;
    if (slot->seq > feed->last) feed->last = slot->seq;
  }
  feed->finished = feed->channel->finished;
  return false;
}

void sse__snapshot_begin(struct sse__snapshot *snapshot, sse_hub *hub, struct sse__inbox *inbox,
                         int64_t now_ms) {
  SSE__HELD(hub);
  struct sse__loop_feed *dirty = inbox->dirty;
  assert(!snapshot->feeds && snapshot->count == 0);
  for (struct sse__loop_feed *feed = dirty; feed; feed = feed->dirty_next) {
    sse__channel_expire(&hub->channels, feed->channel, now_ms);
  }
  snapshot->head = choose_head(snapshot, dirty, hub);
  snapshot->feeds = NULL;
  snapshot->count = 0;
  if (dirty) {
    inbox->round_given = inbox->dirty_given;
    inbox->round_ms = inbox->dirty_ms;
  }
  inbox->dirty = NULL;
  inbox->dirty_given = snapshot->head;
  for (struct sse__loop_feed *feed = dirty, *next; feed; feed = next) {
    next = feed->dirty_next;
    feed->dirty = snapshot_take(snapshot, &hub->store, feed);
    if (feed->channel->delivered.latency)
      sse__channel_counters_measure(&feed->delivered, &hub->mem);
    if (feed->dirty) {
      feed->dirty_next = inbox->dirty;
      inbox->dirty = feed;
    }
    snapshot->count += feed->slots_count;
    assert(snapshot->count <= snapshot->cap);
    feed->in_round = true;
    feed->visit = feed->count;
    feed->round_next = snapshot->feeds;
    snapshot->feeds = feed;
  }
  snapshot->visiting = snapshot->feeds;
}

void sse__snapshot_chunk(struct sse__snapshot *snapshot) {
  for (size_t i = 0; i < snapshot->count; i++) sse__frame_chunk(snapshot->slots[i].frame);
}

struct sse__subscription *sse__snapshot_visit(struct sse__snapshot *snapshot,
                                              const struct sse__loop_feed **feed) {
  struct sse__loop_feed *at;
  for (; (at = snapshot->visiting); snapshot->visiting = at->round_next) {
    if (at->visit > at->count) at->visit = at->count;
    if (at->visit == 0) continue;
    at->visit--;
    if (at->visit >= VISIT_AHEAD)
      __builtin_prefetch(at->subscriptions[at->visit - VISIT_AHEAD]->sub);
    *feed = at;
    return at->subscriptions[at->visit];
  }
  return NULL;
}

void sse__snapshot_end(struct sse__snapshot *snapshot, sse_hub *hub, int64_t now_ms) {
  SSE__HELD(hub);
  for (size_t i = 0; i < snapshot->count; i++)
    sse__store_unref(&hub->store, snapshot->slots[i].frame);
  snapshot->count = 0;
  while (snapshot->feeds) {
    struct sse__loop_feed *feed = snapshot->feeds;
    struct sse__channel *channel = feed->channel;
    snapshot->feeds = feed->round_next;
    feed->in_round = false;
    feed->base = feed->last;
    sse__channel_counters_fold(&channel->delivered, &feed->delivered);
    sse__loop_feed_free_unused(feed, &hub->mem);
    if (!channel->feeds.first) sse__channel_touch(&hub->channels, channel, now_ms);
  }
  snapshot->visiting = NULL;
}
