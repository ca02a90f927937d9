/* SPDX-License-Identifier: MIT */
/* subscription.h: who listens to a channel, and how a publish reaches them. */
#ifndef SSE_LIB_MEMBER_H
#define SSE_LIB_MEMBER_H

#include "hub/channel.h"
#include "hub/wake.h"

#define SSE__UNKNOWN     UINT64_MAX /* sse__subscription.had */
#define SSE__ORDINAL_MAX (UINT64_MAX >> 1)

struct sse__loop_feed;
struct sse__subscriber;
struct sse__tag;
struct sse__admission_slot;
struct sse__snapshot;

/* The part of a loop that other threads reach; guarded by the hub's lock. */
struct sse__inbox {
  struct sse__link link; /* in the hub's list of its loops */
  struct sse__waker waker;
  struct sse__snapshot *snapshot; /* the loop's, which has room for a frame of each feed */
  uint32_t feeds;                 /* how many the loop has */
  struct sse__loop_feed *dirty;   /* feeds whose channel changed since the last round */
  int64_t dirty_ms;               /* since when there is one */
  struct sse__subscriber *ended;  /* streams that another thread ended */
  struct sse__tag *requested;     /* streams that were asked to change their channels */
  struct sse__list admission;     /* streams that may replay from now on */
  bool drain;                     /* all its streams are to end */
};

/* One stream's place in one channel. */
struct sse__subscription {
  struct sse__channel *channel;
  struct sse__subscriber *sub;
  uint64_t gap_reported; /* the highest `evicted` of the channel that the stream was told of */
  uint64_t
      delivered_count; /* ordinal of the channel's last frame up to S; or SSE__UNKNOWN, of a conflated
                   channel less the window's late_count when the stream was told of a loss */
  union {
    struct { /* of a loop */
      struct sse__loop_feed *feed;
      uint32_t index; /* in the feed */
    } in;
    struct sse__link armed;          /* alone: in the channel's list; guarded by the hub's lock */
    struct sse__subscription *moved; /* of what was a stream's first: where its members lie now */
  } u;
};

/*
 * A channel as one loop sees it. The loop's own thread owns it, but for the members of the first
 * group, which the hub's lock guards.
 */
struct sse__loop_feed {
  struct sse__link link;             /* in its channel's list */
  struct sse__loop_feed *dirty_next; /* of its inbox */
  bool dirty;
  struct sse__inbox *inbox;
  struct sse__channel *channel;

  struct sse__subscription **subscriptions; /* in no order */
  uint32_t count, cap;
  uint64_t base; /* all up to here was offered in earlier rounds: a stream with S at or above is in
                    step */

  /* The snapshot of the present round: all that the channel has above base. */
  bool in_round;
  struct sse__loop_feed *round_next;
  struct sse__slot *slots;
  uint32_t slots_count;
  uint64_t evicted; /* the window's, at the time of the snapshot */
  bool keyed;       /* the channel is conflated */
  bool finished;    /* the channel was, and all that it has is in the snapshots by now */
  uint64_t last;    /* a stream with S at or above needs nothing of this round */
  uint32_t visit;   /* members below this index are still to be visited */

  struct sse__channel_counters delivered; /* in this round */
};

/*
 * Joins a channel, with the hub's lock held. For a stream of a loop, `feed` is the loop's for this
 * channel (sse__loop_feed_get). 0 or SSE_ENOMEM.
 */
int sse__subscription_add_to_feed(struct sse__subscription *subscription,
                                  struct sse__loop_feed *feed, const struct sse__mem *mem);
void sse__subscription_add_standalone(struct sse__subscription *subscription);
/* Leaves, with the hub's lock held; a feed that is left empty stays for its loop to free. */
void sse__subscription_remove_from_feed(struct sse__subscription *subscription);
/* Leaves, with the hub's lock held; the stream is disarmed. */
void sse__subscription_remove_standalone(struct sse__subscription *subscription);

/* The feed of a channel for an inbox, or NULL. */
struct sse__loop_feed *sse__loop_feed_find(const struct sse__channel *channel,
                                           const struct sse__inbox *inbox);
/* The feed of a channel for an inbox, made if it is new, with the hub's lock held; NULL: no memory.
 */
struct sse__loop_feed *sse__loop_feed_get(struct sse__channel *channel, struct sse__inbox *inbox,
                                          const struct sse__mem *mem, uint64_t head);
/* Frees a feed without members, neither dirty nor in a round, with the hub's lock held. */
void sse__loop_feed_free(struct sse__loop_feed *feed, const struct sse__mem *mem);
/* Frees it if that may be done now; if not, its loop does at the end of a round. */
void sse__loop_feed_free_unused(struct sse__loop_feed *feed, const struct sse__mem *mem);

/* Puts a member on its channel's list of those to be woken, or takes it off. With the hub's lock
 * held. */
void sse__subscription_arm(struct sse__subscription *subscription);
void sse__subscription_disarm(struct sse__subscription *subscription);

/* The highest number that a stream will not get of a member's channel any more. */
uint64_t sse__subscription_gone(const struct sse__subscription *subscription, uint64_t floor);
/* Whether a member must be told of events that are gone: the gap test. */
bool sse__subscription_lost(const struct sse__subscription *subscription, uint64_t cursor,
                            uint64_t floor);

#endif
