/* SPDX-License-Identifier: MIT */
/* channel.h: the channels of a hub by name, and the ghosts of those that went away. */
#ifndef SSE_LIB_CHANNEL_H
#define SSE_LIB_CHANNEL_H

#include <pthread.h>

#include "hub/counters.h"
#include "hub/store.h"
#include "util/map.h"
#include "util/os.h"
#include "util/timers.h"

struct sse__loop_feed;
struct sse__subscription;

/* Guarded by the hub's lock. */
struct sse__channel {
  struct sse__map_node node; /* by the hash of its name */
  struct sse__timer
      timer; /* the age of its oldest frame, or of its disuse; never early, often idle */
  struct sse__window window;
  struct sse__window
      *ephemeral;            /* ephemeral frames, until the next ones; NULL: there was none yet */
  sse_channel_config bounds; /* resolved: nothing is 0 */
  struct sse__list feeds;    /* one for each loop that listens */
  struct sse__list armed;    /* the armed subscriptions of streams that stand alone */
  size_t streams;            /* open on it */
  size_t requests;           /* streams are to join or leave it */
  size_t pending_joins;      /* of these, to join it */
  int64_t used_ms;           /* the last publish, join or leave */
  struct sse__channel_counters delivered;
  uint64_t published_events, published_bytes;
  uint32_t number;          /* tells frames of different channels apart */
  bool configured;          /* stays when it is idle */
  bool finished;            /* nothing is published any more; its ghost remembers that, too */
  bool occupied;            /* what the host was told last: whether it has streams */
  bool occupancy_queued;    /* there may be something to tell; and stays until it is told */
  bool occupancy_notifying; /* a thread tells it now */
  struct sse__channel *occupancy_next;
  uint8_t name_len;
  char name[]; /* ended by NUL */
};

struct sse__ghost;

/*
 * All channels of a hub. A channel that goes away leaves a ghost: the hash of its name, the highest
 * number it let go, whether it was finished, and whether a state was lost. When there are too many
 * the oldest ghost folds into `floor`, which every new channel inherits, and the rest is forgotten.
 * Two names of one hash, of which a hub sees none in its life, share a ghost.
 */
struct sse__channels {
  const struct sse__mem *mem;
  struct sse__store *store;
  struct sse__timers *timers;
  sse_channel_config defaults; /* resolved */
  uint64_t hash_seed[2];       /* of the hash */
  uint32_t max, ghosts_max;
  int32_t idle_ms;
  struct sse__map map;
  struct sse__map ghosts;
  struct sse__ghost *ghost_oldest, *ghost_newest;
  uint64_t floor;
  uint32_t made; /* channels so far; it may come round */
};

#define SSE__TIMER_CHANNEL 0 /* sse__timer.kind */

int sse__channels_init(struct sse__channels *channels);
/* Frees every channel, its frames and every ghost. */
void sse__channels_free(struct sse__channels *channels);

/* 0, or SSE_ENAME; the length of a legal name. */
int sse__channel_name_check(const char *name, size_t *len);
/*
 * Checks a list of names that ends in NULL: 0 and their number, SSE_ECHANNELS for more than `max`,
 * SSE_ENAME, or SSE_EINVAL for an empty list or a repeated name.
 */
int sse__channel_names_check(const char *const *names, uint32_t max, uint32_t *count);
/* The channel of a legal name, or NULL. */
struct sse__channel *sse__channels_find(const struct sse__channels *channels, const char *name,
                                        size_t len);
/* The same, made if it is new: 0, SSE_ECHANNELS or SSE_ENOMEM. */
int sse__channels_get(struct sse__channels *channels, const char *name, size_t len, int64_t now_ms,
                      struct sse__channel **channel);
/*
 * Takes back a channel that a call made before it failed, if it did: one that is new since `made`
 * was the number of channels made, and still without frames, streams or bounds.
 */
void sse__channels_discard(struct sse__channels *channels, struct sse__channel *channel,
                           uint32_t made);

/* Sets new bounds, 0 for the defaults, and cuts the window to them: 0, SSE_ENOMEM, or SSE_EBUSY if
 * it is too late to conflate it or not. */
int sse__channel_bound(struct sse__channels *channels, struct sse__channel *channel,
                       const sse_channel_config *bounds, int64_t now_ms);
/* Room in its table for a frame: 0 or SSE_ENOMEM. */
int sse__channel_reserve(const struct sse__channels *channels, struct sse__channel *channel,
                         bool ephemeral);
/* Lets so many of its oldest frames go that one more is within its bounds. */
void sse__channel_make_room(struct sse__channels *channels, struct sse__channel *channel,
                            struct sse__frame *frame);
/* Appends the hub's newest frame; window, bounds and ceiling have room for it. */
void sse__channel_append(struct sse__channels *channels, struct sse__channel *channel,
                         struct sse__frame *frame);
/* Evicts what is too old; to be called before anything is served from the window. */
void sse__channel_expire(struct sse__channels *channels, struct sse__channel *channel,
                         int64_t now_ms);
/* It was used: it will be idle so much later. */
void sse__channel_touch(struct sse__channels *channels, struct sse__channel *channel,
                        int64_t now_ms);
/* Its timer came: expires, and drops it if it is idle. */
void sse__channel_due(struct sse__channels *channels, struct sse__channel *channel, int64_t now_ms);

/* ---- occupancy ---- */

/*
 * Guarded by the hub's lock. Channels whose state is not the one last told are in a row; at most
 * one thread works on it, and the others leave theirs to it. A channel that is in the row, or being
 * told of, does not go away.
 */
struct sse__occupancy {
  sse_occupancy_fn *fn; /* NULL: nobody wants to know */
  void *arg;
  struct sse__channel *first, *last;
  bool running;
};

/* A stream joined or left a channel for good. With the hub's lock held. */
void sse__occupancy_note(struct sse__occupancy *occupancy, struct sse__channel *channel);

/*
 * Tells what is to be told, unless a thread is at it already: then that one does. The lock is taken
 * before and after, and free during each call.
 */
void sse__occupancy_run(struct sse__occupancy *occupancy, struct sse__channels *channels,
                        pthread_mutex_t *lock, int64_t now_ms);

#endif
