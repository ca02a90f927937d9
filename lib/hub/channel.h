/* SPDX-License-Identifier: MIT */
/* channel.h: the channels of a hub by name, ghosts of dropped ones, and the occupancy callback. */
#ifndef SSE_LIB_CHANNEL_H
#define SSE_LIB_CHANNEL_H

#include <pthread.h>
#include <string.h>

#include "hub/counters.h"
#include "hub/store.h"
#include "util/map.h"
#include "util/os.h"
#include "util/timers.h"

struct sse__loop_feed;
struct sse__subscription;

/* Guarded by the hub's lock. */
struct sse__channel {
  struct sse__map_node node;     /* in the map, by the hash of the name */
  struct sse__timer timer;       /* expiry of the oldest frame, or disuse; may fire early */
  struct sse__window window;     /* the retained frames */
  struct sse__window *ephemeral; /* the newest ephemeral frames; NULL until the first one */
  sse_channel_config bounds;     /* the configuration with all defaults filled in */
  struct sse__list feeds;        /* the loop feeds, one for each loop that has subscriptions */
  struct sse__list armed;        /* the armed subscriptions of standalone streams, in the order
                                    in which these were armed */
  size_t streams;                /* open streams that have the channel */
  size_t requests;               /* of streams, to subscribe or unsubscribe */
  size_t pending_joins;          /* of these, requests to subscribe */
  int64_t used_ms;               /* the last publish, or change of its streams */
  struct sse__channel_counters delivered;     /* what transports took of the channel's events */
  uint64_t published_events, published_bytes; /* events so far, and their encoded bytes */
  uint32_t number;                            /* unlike that of any other channel of the hub */
  bool configured;                            /* sse_hub_configure_channel was called for it */
  bool finished;                              /* publishes are refused; its ghost keeps this */
  bool occupied;                              /* what the host was last notified: it has streams */
  bool occupancy_queued;                      /* it is in the list of sse__occupancy */
  bool occupancy_notifying;                   /* a thread is in the callback for it */
  struct sse__channel *occupancy_next;        /* the next channel in that list */
  uint8_t name_len;                           /* length of the name */
  char name[];                                /* the name, ended by NUL */
};

/*
 * All channels of a hub. A channel that is dropped leaves a ghost: the hash of its name, its
 * highest evicted point, whether it was finished, and whether state was lost. Beyond `ghosts_max`
 * the one that was noted the longest time ago is freed: `floor`, which every new channel inherits,
 * rises to its point, and the rest is forgotten. Two names with the same hash would share a ghost,
 * which no hub lives long enough to see.
 *
 * What a log had and this hub never had (sse_hub_skip) counts as evicted in all channels at once:
 * `history.skipped` stands beside the `evicted` of each. What the hub had not at its start does so through
 * `floor`, which a single channel may be spared.
 */
struct sse__channels {
  const struct sse__mem *mem;    /* the hub's allocator */
  struct sse__store *store;      /* the hub's frames */
  struct sse__timers *timers;    /* the hub's timers */
  sse_channel_config defaults;   /* the configuration of channels that have none */
  uint64_t hash_seed[2];         /* the secret key of the hash */
  uint32_t max, ghosts_max;      /* limits on channels and ghosts */
  int32_t idle_ms;               /* disuse before a channel is dropped */
  struct sse__map map;           /* the channels by name */
  struct sse__map ghosts;        /* the ghosts by hash */
  struct sse__list ghosts_noted; /* the ghosts, the one to forget next first */
  struct sse__point floor;       /* `evicted` of a channel without a ghost */
  struct sse__point state_floor; /* `state_lost` of a channel without a ghost */
  struct sse__history history;   /* what was missing at the start, or is now */
  uint32_t made;                 /* channels made so far; it may wrap */
};

#define SSE__TIMER_CHANNEL 0 /* sse__timer.kind of a channel */

/* Makes the maps; the members up to idle_ms are set. 0 or SSE_ENOMEM. */
int sse__channels_init(struct sse__channels *channels);
/* Frees all channels, their frames and all ghosts. */
void sse__channels_free(struct sse__channels *channels);

/* Checks a name and gives its length: 0 or SSE_ENAME. */
int sse__channel_name_check(const char *name, size_t *len);
/* Whether `count` names differ from each other: 0, SSE_EINVAL, or SSE_ENOMEM. */
int sse__channel_names_differ(const struct sse__channels *channels, const char *const *names,
                              uint32_t count);
/*
 * Checks a list of names that ends in NULL: 0 and their number, SSE_ECHANNELS for more than `max`,
 * SSE_ENAME, SSE_EINVAL for an empty list or a repeated name, or SSE_ENOMEM. Of the channels only
 * what never changes is used.
 */
static inline int sse__channel_names_check(const struct sse__channels *channels,
                                           const char *const *names, uint32_t max,
                                           uint32_t *count) {
  size_t len;
  uint32_t n = 0;
  for (; names[n]; n++) {
    if (n == max) return SSE_ECHANNELS;
    int error = sse__channel_name_check(names[n], &len);
    if (error) return error;
  }
  *count = n;
  if (n == 1) return SSE_OK;
  return n > 0 ? sse__channel_names_differ(channels, names, n) : SSE_EINVAL;
}

/* All functions below need the hub's lock. */

/* Up to which point a conflated channel's state lacks something. */
static inline struct sse__point sse__channel_state_lost(const struct sse__channel *channel) {
  const struct sse__point *lost = &channel->window.state_lost;
  const struct sse__point *skipped = &channel->window.history->skipped;
  return lost->seq > skipped->seq ? *lost : *skipped;
}
/*
 * The highest point up to which the channel has, or had, nothing above a number; UINT64_MAX: it has
 * nothing above it at all. An ephemeral event that stands behind the number is above it.
 */
uint64_t sse__channel_reached(const struct sse__channel *channel, uint64_t number);

/* The channel with a valid name, or NULL. */
struct sse__channel *sse__channels_find(const struct sse__channels *channels, const char *name,
                                        size_t len);
/* The channel with a valid name, made if there is none: 0, SSE_ECHANNELS or SSE_ENOMEM. */
int sse__channels_get(struct sse__channels *channels, const char *name, size_t len, int64_t now_ms,
                      struct sse__channel **channel);
/*
 * Drops a channel again if the failing call made it: if it was made after `made` was read from
 * `channels`, and is still without frames, streams and configuration.
 */
void sse__channels_discard(struct sse__channels *channels, struct sse__channel *channel,
                           uint32_t made);

/* Whether a channel that does not exist was finished, as far as that is remembered. */
bool sse__channels_was_finished(const struct sse__channels *channels, const char *name, size_t len);

/*
 * Drops a channel as after its idle time: 0; SSE_EBUSY if something uses it; SSE_ENOMEM if it could
 * not be remembered that the channel is finished, or that its state is lost; SSE_EAGAIN if one hold
 * of the lock does not suffice for its frames, and the caller calls it again.
 */
int sse__channels_forget(struct sse__channels *channels, struct sse__channel *channel);

/*
 * Sets a new configuration and cuts the window to it. A member that is 0 takes the hub's value,
 * except `expire`, which is then SSE_NO. Returns 0, SSE_ENOMEM, or SSE_EBUSY if `conflate` or
 * `start_after` would change after the first event; or SSE_EAGAIN if one hold of the lock does not suffice for what must
 * be evicted: the configuration is then the old one, and the caller calls it again.
 */
int sse__channel_bound(struct sse__channels *channels, struct sse__channel *channel,
                       const sse_channel_config *bounds, int64_t now_ms);
/* Reserves a slot in the window for a frame: 0 or SSE_ENOMEM. */
int sse__channel_reserve(const struct sse__channels *channels, struct sse__channel *channel,
                         bool ephemeral);
/* Evicts frames until the channel's limits allow one more, and the frame that it supersedes. */
void sse__channel_make_room(struct sse__channels *channels, struct sse__channel *channel,
                            struct sse__frame *frame);
/* Appends the hub's newest frame; window, limits and ceiling have room for it. */
void sse__channel_append(struct sse__channels *channels, struct sse__channel *channel,
                         struct sse__frame *frame);
/* Whether a frame is older than the channel's window may keep it. */
bool sse__channel_too_old(const struct sse__channel *channel, const struct sse__frame *frame,
                          int64_t now_ms);
/*
 * Evicts frames that are too old; must be called before anything is served from the window. False
 * if some are left, because one hold of the lock evicts a limited number of them.
 */
bool sse__channel_evict_old(struct sse__channels *channels, struct sse__channel *channel,
                            int64_t now_ms);
/* The same for ephemeral frames, which are few; the channel has a window for them. */
void sse__channel_expire_ephemeral(struct sse__channels *channels, struct sse__channel *channel,
                                   int64_t now_ms);
/* Both. */
static inline bool sse__channel_expire(struct sse__channels *channels, struct sse__channel *channel,
                                       int64_t now_ms) {
  if (channel->ephemeral) sse__channel_expire_ephemeral(channels, channel, now_ms);
  return channel->bounds.window_age_ms_max == SSE_NEVER ||
         sse__channel_evict_old(channels, channel, now_ms);
}
/* Records a use: the time of disuse starts again. */
void sse__channel_touch(struct sse__channels *channels, struct sse__channel *channel,
                        int64_t now_ms);
/* Runs the timer: evicts old frames, or drops the channel if it is unused for long enough. */
void sse__channel_due(struct sse__channels *channels, struct sse__channel *channel, int64_t now_ms);

/* ---- occupancy ---- */

/*
 * The occupancy callback and the channels of which the host must be notified; guarded by the hub's
 * lock. One thread at a time calls the host; others leave their channels to it. A channel that is
 * queued or being notified is not dropped.
 */
struct sse__occupancy {
  sse_occupancy_fn *fn;              /* the host's function, or NULL */
  void *arg;                         /* its first argument */
  struct sse__channel *first, *last; /* the ends of the list of queued channels */
  bool running;                      /* a thread is at work on the list */
};

/* Queues a channel if a stream changed its occupancy. Needs the hub's lock. */
void sse__occupancy_note(struct sse__occupancy *occupancy, struct sse__channel *channel);

/*
 * Notifies the host of all queued channels, unless another thread does so already. The hub's lock
 * is held before and after, and released during each call of the host.
 */
void sse__occupancy_run(struct sse__occupancy *occupancy, struct sse__channels *channels,
                        pthread_mutex_t *lock, int64_t now_ms);

#endif
