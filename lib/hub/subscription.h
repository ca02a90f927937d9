/* SPDX-License-Identifier: MIT */
/* subscription.h: the channels of each stream, and what they can no longer give it. */
#ifndef SSE_LIB_SUBSCRIPTION_H
#define SSE_LIB_SUBSCRIPTION_H

#include "hub/channel.h"
#include "hub/wake.h"

#define SSE__UNKNOWN     UINT64_MAX /* a number of events that is not known */
#define SSE__ORDINAL_MAX (UINT64_MAX >> 1)

struct sse__loop_feed;
struct sse__subscriber;
struct sse__tagged;
struct sse__admission_slot;

/* The part of a loop that other threads reach; guarded by the hub's lock. */
struct sse__inbox {
  struct sse__link link;                          /* in the hub's list of loops */
  struct sse__waker waker;                        /* the wake of the loop */
  uint32_t feeds;                                 /* number of loop feeds of the loop */
  struct sse__loop_feed *dirty_list, *dirty_last; /* feeds with something new (hub/dirty.h) */
  struct sse__loop_feed *dirty_heap;              /* more of them */
  int64_t dirty_ms;                               /* when the first of them became dirty */
  uint64_t dirty_given; /* the number before the first event since the last snapshot */
  uint64_t round_given; /* the same of the present snapshot; UINT64_MAX: it has nothing new */
  int64_t round_ms;     /* dirty_ms of the present snapshot, if that has something new */
  struct sse__subscriber *ended; /* streams that another thread ended */
  struct sse__tagged *requested; /* streams with new requests */
  struct sse__list admission;    /* admission slots that were granted, not yet collected */
  bool skipped;     /* all streams must look at the hub: sse_hub_skip or sse_hub_reset was called */
  uint64_t join_at; /* so must they when the head has this number, to join a channel; 0: none */
  /* The loop's thread owns these: */
  uint32_t rounds;      /* rounds that have ended */
  uint64_t offered_max; /* the highest `base` or `last` that a feed of the loop has had */
  bool drain;           /* all streams of the loop must end */
};

/* One channel of one stream. */
struct sse__subscription {
  struct sse__channel *channel; /* the channel */
  struct sse__subscriber *sub;  /* the stream */
  uint64_t gap_reported;        /* up to where losses were reported to the client */
  /*
   * The ordinal of the channel's last frame up to the cursor, or SSE__UNKNOWN. Of a conflated
   * channel: SSE__UNKNOWN less the window's evicted_out_of_order_count at the last reported gap.
   */
  uint64_t delivered_count;
  union {
    struct {                       /* of a stream of a loop */
      struct sse__loop_feed *feed; /* the loop's feed of the channel */
      uint32_t index;              /* the place in the feed's array */
    } in;
    struct sse__link armed; /* of a standalone stream: in the channel's list; under the lock */
    struct sse__subscription *moved; /* in a stream's first place: the array that replaced it */
  } u;
};

/*
 * A channel as one loop sees it. The loop's thread owns it, except the first group of members,
 * which the hub's lock guards.
 */
struct sse__loop_feed {
  struct sse__link link; /* in the channel's list */
  bool dirty;            /* it is among the inbox's dirty feeds */
  uint8_t dirty_rank;    /* its place among them: steps down to the right, and one */
  struct sse__loop_feed *dirty_left, *dirty_right; /* the dirty feeds below it */
  uint64_t dirty_key;                              /* what orders them */
  struct sse__inbox *inbox;                        /* the inbox of the loop */
  struct sse__channel *channel;                    /* the channel */

  struct sse__subscription **subscriptions; /* the loop's subscriptions of the channel, unordered */
  uint32_t count, cap;                      /* subscriptions, and places for them */
  uint64_t base; /* earlier snapshots had all up to here: a stream at or above it is caught up */

  /* The part of the present snapshot: all frames of the channel above base. */
  bool in_round;                     /* the feed is in the present snapshot */
  struct sse__loop_feed *round_next; /* the next feed in the snapshot */
  struct sse__slot *slots;           /* the frames, by number */
  uint32_t slots_count;              /* number of slots */
  uint64_t evicted;                  /* the window's `evicted` when the snapshot was taken */
  bool keyed;                        /* the channel is conflated */
  bool finished;  /* the channel is finished, and snapshots have had all its frames */
  uint64_t last;  /* a stream with its cursor at or above needs nothing of this snapshot */
  uint32_t visit; /* subscriptions below this index are still to be visited */

  struct sse__channel_counters delivered; /* deliveries in this iteration */
};

/* All functions below need the hub's lock. */

/*
 * Adds a subscription of a loop's stream to the loop's feed of its channel (sse__loop_feed_get):
 * 0 or SSE_ENOMEM.
 */
int sse__subscription_add_to_feed(struct sse__subscription *subscription,
                                  struct sse__loop_feed *feed, const struct sse__mem *mem);
/* Adds a subscription of a standalone stream. */
void sse__subscription_add_standalone(struct sse__subscription *subscription);
/* Removes a subscription from its feed; the loop frees a feed that is left empty. */
void sse__subscription_remove_from_feed(struct sse__subscription *subscription);
/* Removes a subscription of a standalone stream that is disarmed. */
void sse__subscription_remove_standalone(struct sse__subscription *subscription);

/* The feed of a channel for an inbox, or NULL. */
struct sse__loop_feed *sse__loop_feed_find(const struct sse__channel *channel,
                                           const struct sse__inbox *inbox);
/* The feed of a channel for an inbox, made if there is none. NULL without memory. */
struct sse__loop_feed *sse__loop_feed_get(struct sse__channel *channel, struct sse__inbox *inbox,
                                          const struct sse__mem *mem, uint64_t head);
/* Frees a feed without subscriptions that is neither dirty nor in a snapshot. */
void sse__loop_feed_free(struct sse__loop_feed *feed, const struct sse__mem *mem);
/* Frees a feed if it is unused; one that is in use is freed by its loop after the iteration. */
void sse__loop_feed_free_unused(struct sse__loop_feed *feed, const struct sse__mem *mem);

/* Puts a subscription of a standalone stream at the end of its channel's list of armed ones, or
 * removes it. */
void sse__subscription_arm(struct sse__subscription *subscription);
void sse__subscription_disarm(struct sse__subscription *subscription);

/*
 * Where a subscription ends for which the host asked to end it, while the stream is not there yet.
 * What the channel has after this is not for the stream.
 */
struct sse__subscription_end {
  uint32_t channel; /* the channel's number */
  uint64_t last;    /* the number of the channel's last event at the request, or above it */
  uint64_t ordinal; /* events that were published to the channel by then */
  uint64_t skipped; /* sse__history.skipped by then */
  uint64_t number;  /* of a log: that of `last`; UINT64_MAX: not known */
};

/*
 * In these functions, frames up to `floor` are withheld even if the window still has them; 0: none.
 * `end`: where the subscription ends; NULL: it goes on.
 */

/* The gap test: whether events above the cursor are gone that were not reported to the client. */
bool sse__subscription_lost(const struct sse__subscription *subscription, uint64_t cursor,
                            uint64_t floor, const struct sse__subscription_end *end);
/* Whether the gap test means that the log lost something before the hub read it. */
bool sse__subscription_skipped(const struct sse__subscription *subscription, uint64_t cursor,
                               const struct sse__subscription_end *end);
/*
 * How many events of the channel the gap test means, or SSE__UNKNOWN. `alone`: the stream has no
 * other channel; otherwise it may be given a lost event of several channels by another one, so the
 * number is not known if there is such an event.
 */
uint64_t sse__subscription_count_lost(const struct sse__subscription *subscription, uint64_t cursor,
                                      uint64_t floor, const struct sse__subscription_end *end,
                                      bool alone);
/* Records that the client was given a gap for what the gap test means. */
void sse__subscription_mark_reported(struct sse__subscription *subscription, uint64_t cursor,
                                     uint64_t floor, const struct sse__subscription_end *end);

#endif
