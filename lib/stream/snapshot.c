/* SPDX-License-Identifier: MIT */
/* snapshot.c: the snapshot of one iteration of a loop. */
#include "stream/snapshot.h"

#include <assert.h>

#include "hub/dirty.h"
#include "hub/merge.h"

#define SNAPSHOT_NUMBERS   1024              /* most numbers that one snapshot spans */
#define SNAPSHOT_STEPS     1024              /* most slots that it looks at, or feeds without one */
#define SNAPSHOT_BYTES_MAX ((size_t)1 << 20) /* most memory held, unless one number has more */
#define SNAPSHOT_SHARE     16                /* and at most the memory ceiling divided by this */
#define SNAPSHOT_EVICTED   512               /* frames that are too old, evicted in one hold */
#define VISIT_AHEAD        8 /* subscriptions fetched into the cache ahead of a visit */

/* One event is in as many feeds as it has channels, so a span of one number always fits. */
_Static_assert(SSE_PUBLISH_CHANNELS_MAX <= SNAPSHOT_STEPS, "a snapshot holds one number");

int sse__snapshot_init(struct sse__snapshot *snapshot, const struct sse__mem *mem) {
  snapshot->slots = sse__mem_new(mem, SNAPSHOT_STEPS * sizeof *snapshot->slots);
  return snapshot->slots ? SSE_OK : SSE_ENOMEM;
}

void sse__snapshot_free(struct sse__snapshot *snapshot, const struct sse__mem *mem) {
  sse__mem_free(mem, snapshot->slots);
}

/* The slots of a feed's channel, of retained or ephemeral frames, that snapshots have not had. */
static struct sse__stretch new_slots(const struct sse__loop_feed *feed, bool ephemeral) {
  const struct sse__window *window = ephemeral ? feed->channel->ephemeral : &feed->channel->window;
  if (!window) return (struct sse__stretch){NULL, 0, 0, 0};
  struct sse__stretch slots = sse__window_stretch(window);
  uint64_t number = sse__dirty_number(feed->dirty_key);
  size_t old = sse__stretch_after(&slots, number > feed->base ? number - 1 : feed->base);
  slots.first += old;
  slots.count -= old;
  return slots;
}

/* ---- the lowest new number ---- */

/*
 * Moves a feed's key up to its first frame, because a span of numbers that begins with superseded
 * frames would be in vain. Returns false if the steps ran out before; the search then goes on from
 * the key. A key stays below what was evicted: the snapshot has to include the feed, so that its
 * streams notice the gap.
 */
static bool find_first(struct sse__loop_feed *feed, size_t *steps) {
  if (feed->channel->window.evicted.seq >= sse__dirty_number(feed->dirty_key)) return true;
  struct sse__stretch slots = new_slots(feed, false), ephemeral = new_slots(feed, true);
  uint64_t bound = ephemeral.count > 0 ? sse__stretch_at(&ephemeral, 0)->seq : UINT64_MAX;
  for (; slots.count > 0; sse__stretch_drop_first(&slots)) {
    const struct sse__slot *slot = sse__stretch_at(&slots, 0);
    if (slot->seq >= bound) break;
    bool found = slot->frame != NULL;
    if (found || *steps == 0) {
      feed->dirty_key = sse__dirty_event(slot->seq);
      return found;
    }
    --*steps;
  }
  if (bound != UINT64_MAX) feed->dirty_key = sse__dirty_event(bound);
  return true;
}

/* Has the first dirty feed begin with a frame: false if this takes longer than one hold may. */
static bool settle_first(struct sse__inbox *inbox, sse_hub *hub, int64_t now_ms) {
  for (size_t steps = SNAPSHOT_STEPS; sse__dirty_first(inbox) && steps > 0; steps -= steps > 0) {
    struct sse__loop_feed *first = sse__dirty_take(inbox);
    uint64_t key = first->dirty_key;
    bool found =
        sse__channel_expire(&hub->channels, first->channel, now_ms) && find_first(first, &steps);
    sse__dirty_add(inbox, first, first->dirty_key);
    if (!found) return false;
    if (first->dirty_key == key) return true;
  }
  return !sse__dirty_first(inbox);
}

/* ---- what belongs to the snapshot ---- */

/* Adds what a feed has up to a number to what the snapshot looks at and holds. */
static void measure_feed(const struct sse__loop_feed *feed, uint64_t upto, size_t *steps,
                         size_t *bytes) {
  size_t before = *steps;
  for (int ephemeral = 0; ephemeral < 2; ephemeral++) {
    struct sse__stretch slots = new_slots(feed, ephemeral);
    for (; slots.count > 0 && *steps <= SNAPSHOT_STEPS; sse__stretch_drop_first(&slots)) {
      const struct sse__slot *slot = sse__stretch_at(&slots, 0);
      if (slot->seq > upto) break;
      ++*steps;
      if (slot->frame) *bytes += sse__frame_weight(slot->frame);
    }
  }
  if (*steps == before) ++*steps;
}

enum gathered {
  GATHERED_ALL,
  GATHERED_TOO_MUCH, /* the snapshot would exceed its limits */
  GATHERED_LATE      /* too many frames were too old for one hold of the lock */
};

/*
 * Takes the feeds that may have something up to a number out of the inbox, as long as the snapshot
 * is within its limits. Those that were taken before are counted again.
 */
static enum gathered gather_feeds(struct sse__snapshot *snapshot, sse_hub *hub,
                                  struct sse__inbox *inbox, uint64_t upto, size_t bytes_max,
                                  int64_t now_ms) {
  size_t steps = 0, bytes = 0;
  uint64_t evicted = hub->store.evicted;
  for (struct sse__loop_feed **at = &snapshot->feeds; steps <= SNAPSHOT_STEPS && bytes <= bytes_max;
       at = &(*at)->round_next) {
    const struct sse__loop_feed *next = *at ? *at : sse__dirty_first(inbox);
    if (!next || sse__dirty_number(next->dirty_key) > upto) return GATHERED_ALL;
    if (!*at) {
      *at = sse__dirty_take(inbox);
      (*at)->round_next = NULL;
      if (!sse__channel_expire(&hub->channels, (*at)->channel, now_ms) ||
          hub->store.evicted - evicted > SNAPSHOT_EVICTED)
        return GATHERED_LATE;
    }
    measure_feed(*at, upto, &steps, &bytes);
  }
  return GATHERED_TOO_MUCH;
}

/* Gathers feeds, and sets the number up to which this snapshot goes. False: GATHERED_LATE. */
static bool choose_head(struct sse__snapshot *snapshot, sse_hub *hub, struct sse__inbox *inbox,
                        int64_t now_ms) {
  uint64_t head = snapshot->head.seq = hub->head.seq;
  size_t bytes_max = hub->store.bytes_max / SNAPSHOT_SHARE;
  if (bytes_max > SNAPSHOT_BYTES_MAX) bytes_max = SNAPSHOT_BYTES_MAX;
  const struct sse__loop_feed *first = sse__dirty_first(inbox);
  if (!first) return true;
  uint64_t low = sse__dirty_number(first->dirty_key);
  for (uint64_t span = SNAPSHOT_NUMBERS;; span /= 2) {
    snapshot->head.seq = head - low < span ? head : low + span - 1;
    size_t bytes = span == 1 ? SIZE_MAX : bytes_max;
    enum gathered result = gather_feeds(snapshot, hub, inbox, snapshot->head.seq, bytes, now_ms);
    if (result == GATHERED_LATE) return false;
    if (result == GATHERED_ALL || span == 1) return true;
  }
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

/* The number in a log up to which a snapshot goes. Below the head it is not known: the frames of the
 * snapshot raise it. */
static uint64_t number_at(const struct sse_hub *hub, uint64_t seq) {
  return hub->numbers_given && seq == hub->head.seq ? hub->head.number : 0;
}

/* Copies a feed's new frames; returns the number of the first slot that is left, or UINT64_MAX. */
static uint64_t snapshot_take(struct sse__snapshot *snapshot, struct sse__store *store,
                              struct sse__loop_feed *feed) {
  const struct sse__window *window = &feed->channel->window;
  struct sse__stretch retained = new_slots(feed, false), ephemeral = new_slots(feed, true);
  const struct sse__slot *slot;
  feed->slots = snapshot->slots + snapshot->count;
  feed->slots_count = 0;
  feed->evicted = window->evicted.seq;
  feed->keyed = window->keys;
  feed->last = feed->evicted > feed->base ? feed->evicted : feed->base;
  while ((slot = take_lower(&retained, &ephemeral))) {
    if (slot->seq > snapshot->head.seq) return slot->seq;
    if (!slot->frame) continue;
    sse__store_ref(store, slot->frame);
    feed->slots[feed->slots_count++] = *slot;
    if (slot->seq > feed->last) feed->last = slot->seq;
    if (slot->frame->number > snapshot->head.number) snapshot->head.number = slot->frame->number;
  }
  feed->finished = feed->channel->finished;
  return UINT64_MAX;
}

/* Puts gathered feeds back, from a place in the list on. */
static void return_feeds(struct sse__inbox *inbox, struct sse__loop_feed **at) {
  struct sse__loop_feed *feed = *at;
  *at = NULL;
  for (struct sse__loop_feed *next; feed; feed = next) {
    next = feed->round_next;
    sse__dirty_add(inbox, feed, feed->dirty_key);
  }
}

bool sse__snapshot_begin(struct sse__snapshot *snapshot, sse_hub *hub, struct sse__inbox *inbox,
                         int64_t now_ms) {
  SSE__HELD(hub);
  assert(!snapshot->feeds && snapshot->count == 0);
  if (!settle_first(inbox, hub, now_ms)) return false;
  struct sse__loop_feed **at = &snapshot->feeds;
  bool chosen = choose_head(snapshot, hub, inbox, now_ms);
  while (chosen && *at && sse__dirty_number((*at)->dirty_key) <= snapshot->head.seq)
    at = &(*at)->round_next;
  return_feeds(inbox, at); /* what was gathered for a longer span, or all */
  if (!chosen) return false;
  if (snapshot->feeds) {
    inbox->round_given = inbox->dirty_given;
    inbox->round_ms = inbox->dirty_ms;
  }
  inbox->dirty_given = snapshot->head.seq;
  snapshot->head.number = number_at(hub, snapshot->head.seq);
  for (struct sse__loop_feed *feed = snapshot->feeds; feed; feed = feed->round_next) {
    uint64_t left = snapshot_take(snapshot, &hub->store, feed);
    if (feed->last > inbox->offered_max) inbox->offered_max = feed->last;
    if (left != UINT64_MAX) sse__dirty_add(inbox, feed, sse__dirty_event(left));
    if (feed->channel->delivered.latency)
      sse__channel_counters_measure(&feed->delivered, &hub->mem);
    snapshot->count += feed->slots_count;
    assert(snapshot->count <= SNAPSHOT_STEPS);
    feed->in_round = true;
    feed->visit = feed->count;
  }
  snapshot->visiting = snapshot->feeds;
  return true;
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
