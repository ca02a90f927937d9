/* SPDX-License-Identifier: MIT */
/* subscriber.h: the half of a stream that the hub and other threads reach, and its ends. */
#ifndef SSE_LIB_SUBSCRIBER_H
#define SSE_LIB_SUBSCRIBER_H

#include <stdatomic.h>

#include "hub/lag.h"
#include "hub/liveness.h"
#include "hub/subscription.h"
#include "util/walk.h"

/* What a standalone stream, one without a loop, has instead of one; guarded by the hub's lock. */
struct sse__standalone {
  struct sse__subscriber *sub;             /* the stream */
  struct sse__waker waker;                 /* its wake */
  struct sse__subscription *subscriptions; /* the subscriptions of the stream */
  uint32_t count;                          /* number of subscriptions */
  bool deaf;               /* publishes do not wake it: it waits for admission, or is ahead */
  bool is_ahead;           /* it is in the hub's heap of those that are ahead */
  struct sse__timer ahead; /* its place there, by its number */
  uint64_t armed_at;       /* the hub's last notice (notice.h) when it was armed */
  struct sse__link link;   /* in the hub's list, until it is detached */
  struct sse__lag lag;     /* whether it keeps up, and how far it is behind */
  pthread_cond_t arrived;  /* wakes a thread in sse_stream_wait */
};

/* The standalone streams of a hub that are not detached; guarded by its lock. */
struct sse__standalones {
  struct sse__list list;   /* in the order in which they were opened */
  struct sse__walk *walks; /* the walks through the list that pause */
};

/* The events for which a hub wakes standalone streams (notice.h); guarded by its lock. */
struct sse__notices {
  struct sse__list list; /* the notices that are unfinished, the earliest first */
  uint64_t last;         /* the number of the last notice */
};

/* How far the end of a stream has come on its own thread. */
enum sse__end_stage {
  SSE__STAGE_OPEN,  /* it may still be given events */
  SSE__STAGE_RETRY, /* a gentle end: the retry block was added or left out, and nothing follows */
  SSE__STAGE_OVER   /* it ended immediately, or the host knows that it is over */
};

struct sse__subscriber {
  struct sse__liveness live; /* heartbeat, stall and age */
  union {
    struct sse__inbox *inbox;           /* the inbox of its loop */
    struct sse__standalone *standalone; /* of a stream without a loop */
  } u;
  bool standalone;    /* it has no loop */
  bool behind;        /* of a stream with an admission slot: it replays or waits; its thread's */
  bool heartbeat_due; /* a position is due if the id is out of date, else a heartbeat; as live */
  bool starved;       /* it found no memory, and its timer makes it look again; as live */

  /* Guarded by the hub's lock. */
  uint8_t stage;       /* enum sse__end_stage; only its own thread changes it */
  bool end_listed;     /* it is among the ended streams of its inbox */
  _Atomic int16_t end; /* why another thread ended it; 0: none. Its own thread reads it anytime */
  struct sse__subscriber *ended_next; /* the next ended stream in its inbox */
  struct sse__link pin;               /* in the hub's list of streams that hold frames */
  size_t pinned_bytes;                /* memory of the frames that it holds */
};

/* The streams that hold frames; guarded by the hub's lock. */
struct sse__pins {
  struct sse__list streams; /* them, the one that has held some without a break for longest first */
  size_t bytes;             /* the sum of their pinned_bytes */
  int64_t ended_ms;         /* when a publish last ended one */
  size_t full_bytes;  /* size of the last event that found no room, until one succeeds; or 0 */
  unsigned doublings; /* how often the failures in this row have doubled what they end */
};

/* All functions below need the hub's lock. */

/*
 * Whether a reason replaces the present one (0: none): the first reason counts, but an immediate
 * end replaces a gentle one, which first delivers what is in flight and a reconnection time.
 */
bool sse__end_replaces(int reason, int present);

/*
 * Ends a stream unless it has ended: a loop finds it in its inbox, a standalone one is woken.
 * Returns whether this call ended it; a gentle end that becomes an immediate one counts.
 */
bool sse__subscriber_end(struct sse__subscriber *sub, int reason, struct sse__wake_list *list);

/* Adds to, or takes from, the memory that a stream holds. */
void sse__subscriber_pin(struct sse__pins *pins, struct sse__subscriber *sub, size_t bytes);
void sse__subscriber_unpin(struct sse__pins *pins, struct sse__subscriber *sub, size_t bytes);

/*
 * Ends the streams that have held frames for longest, until what they hold covers what is lent too
 * much (sse__store_overlent) for a publish of `bytes` bytes.
 */
void sse__pins_bound(struct sse__pins *pins, const struct sse__store *store, size_t bytes,
                     int64_t now_ms, struct sse__wake_list *list);
/*
 * The same when such a publish has just failed. It also counts that several streams hold the same
 * frames, which are freed only with the last of them; streams that ended earlier, and whose hosts
 * have not freed them in a second, count no longer; and when the hosts know of all that ended, in
 * vain, it ends twice as much as at the failure before.
 */
void sse__pins_bound_full(struct sse__pins *pins, const struct sse__store *store, size_t bytes,
                          int64_t now_ms, struct sse__wake_list *list);

/*
 * Arms a standalone stream, which waits from now on, or disarms it, which has something to take
 * from now on. Repeating either changes nothing. `notice`: the number of the hub's last notice.
 */
void sse__standalone_arm(struct sse__standalone *standalone, uint64_t notice);
void sse__standalone_disarm(struct sse__subscriber *sub, int64_t now_ms);
/* Disarms and wakes one that waits; another one is left as it is. */
void sse__standalone_wake(struct sse__subscriber *sub, int64_t now_ms, struct sse__wake_list *list);

/* Adds a standalone stream to those of its hub, or removes it. */
void sse__standalones_add(struct sse__standalones *standalones, struct sse__standalone *standalone);
void sse__standalones_remove(struct sse__standalones *standalones,
                             struct sse__standalone *standalone);
/* Begins a walk, which may pause, through those that are there now, unless they leave. */
void sse__standalones_walk(struct sse__standalones *standalones, struct sse__walk *walk);
/* The next one; NULL: the walk has ended. */
struct sse__subscriber *sse__standalones_walk_next(struct sse__standalones *standalones,
                                                   struct sse__walk *walk);

/* Records that a stream found no memory. Its timer makes it look again after this time, in ms. */
#define SSE__STARVED_MS 100
void sse__subscriber_starve(struct sse__timers *timers, struct sse__subscriber *sub,
                            int64_t now_ms);

/* Whether the stream found no memory, which the caller then looks for. Restarts the stall deadline,
 * since the client is not the cause. */
bool sse__subscriber_unstarve(struct sse__subscriber *sub, int64_t now_ms);

/* Runs the timer of a standalone stream: wakes the stream if something is due, or ends it, at its
 * age for `close_reason`. */
void sse__standalone_due(struct sse__timers *timers, struct sse__subscriber *sub, int close_reason,
                         int64_t now_ms, struct sse__wake_list *list);

#endif
