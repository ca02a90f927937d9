/* SPDX-License-Identifier: MIT */
/* hub.h: the members of a hub, its lock, time and random numbers. */
#ifndef SSE_LIB_HUB_H
#define SSE_LIB_HUB_H

#include "hub/admission.h"
#include "hub/channel.h"
#include "hub/subscriber.h"
#include "hub/tag.h"
#include "util/fork.h"
#include "util/os.h"
#include "wire/event_id.h"

/* Asserts that the hub's lock is held, in builds with SSE_DEBUG only. */
#define SSE__HELD(hub) SSE__HELD_LOCK(&(hub)->lock)

#define SSE__TIMER_STREAM    1 /* sse__timer.kind of a standalone stream */
#define SSE__TIMER_ADMISSION 2 /* sse__timer.kind of the admission of replays */

struct sse_hub {
  /* Set by sse_hub_new and never changed, except `forked`. Limits and times are those of sse_hub_config. */
  struct sse__mem mem;
  bool forked; /* this process is a child of the one that made the hub: every call is refused */
  sse_clock_fn *clock;
  void *clock_arg;
  size_t event_bytes_max;
  uint32_t streams_max, stream_channels_max, tag_streams_max;
  int32_t heartbeat_ms, stall_ms, age_ms_max, retry_ms;
  char *gap_type, *position_type; /* event types of gaps and positions, owned */
  char *finished_type; /* event type of the last event of a finished stream, owned; or NULL */
  bool numbers_given;  /* the application gives events their numbers */
  struct sse__frame *heartbeat;  /* the bytes of a heartbeat, shared by all streams */
  struct sse__frame *last_chunk; /* the last chunk of chunked bodies, shared by all streams */
  struct sse__fork_watch watch;  /* sets `forked`; guarded by the lock of fork.c */
  uint32_t part_max; /* steps of a work in parts under one hold of the lock; tests lower it */

  pthread_mutex_t lock; /* guards all below, all references of frames, and what says so elsewhere */
  /*
   * Where the newest event, ephemeral event or move of the head is. With SSE_NUMBERS_OWN only `seq`
   * is kept; sse__hub_head has both.
   */
  struct sse__point head;
  struct sse__point reset; /* where sse_hub_reset was last called: a stream below it must be told */
  uint64_t join_at;        /* the lowest sse__inbox.join_at; 0: none */
  struct sse__timers ahead;      /* standalone streams that are ahead of the head, by number */
  struct sse__epoch epoch;       /* the name of the present history of numbers */
  uint64_t random;               /* state of the generator that spreads times */
  struct sse__store store;       /* the published frames */
  struct sse__channels channels; /* the channels and ghosts */
  struct sse__timers timers;     /* timers of channels and of standalone streams */
  struct sse__wakers wakers;     /* what all wakes share */
  size_t streams;                /* streams that are not freed */
  size_t loops;                  /* loops that are not freed */
  struct sse__standalones standalones; /* streams without a loop */
  struct sse__pins pins;               /* streams that hold frames, longest first */
  struct sse__tags tags;               /* streams by tag */
  struct sse__occupancy occupancy;     /* the occupancy callback */
  struct sse__admission admission;     /* the limit on concurrent replays */
  struct sse__list inboxes;            /* the inboxes of all loops */
  struct sse__lags lags;               /* standalone streams that keep up and have events to take */
  struct sse__notices notices;         /* events whose streams are still being woken */
  bool draining;                     /* all streams end until drain_until_ms; none can be opened */
  int64_t drain_until_ms;            /* when the last stream ends, if draining */
  struct sse__hub_counters counters; /* what sse_hub_stats reports */
  struct sse__outq_array *spare;     /* a spare array of the outqs of standalone streams, or NULL */
};

/*
 * Copies a configuration, NULL for all defaults, and fills in the defaults: then only epoch, alloc
 * and the arguments of callbacks may be 0 or NULL. 0 or SSE_EINVAL.
 */
int sse__hub_config_resolve(sse_hub_config *resolved, const sse_hub_config *config);
/* What is wrong with the configuration of a channel, as a static sentence; NULL: nothing. */
const char *sse__channel_config_problem(const sse_channel_config *config);
/* Whether a time of a configuration is valid: 0, positive or SSE_NEVER. */
static inline bool sse__time_valid(int32_t ms) {
  return ms >= SSE_NEVER;
}
/* Whether the reserved members of a struct are all NULL. */
static inline bool sse__reserved_unused(void *const *reserved, size_t count) {
  uintptr_t used = 0;
  for (size_t i = 0; i < count; i++) used |= (uintptr_t)reserved[i];
  return used == 0;
}
#define SSE__RESERVED_UNUSED(config)                                                               \
  sse__reserved_unused((config)->reserved, sizeof(config)->reserved / sizeof *(config)->reserved)

/*
 * Sets the error_detail of a configuration, which may be NULL: to the cause of an error, or without
 * a cause to the text of its code; to NULL for SSE_OK. Returns the error.
 */
int sse__detail(const char **detail, int error, const char *cause);

/* Whether a yes-or-no setting has one of its values. */
bool sse__choice_valid(sse_choice choice);

/*
 * Begins a history of numbers that was read up to a number: what is up to there counts as evicted.
 * Of the members, the head and what channels inherit are set; the hub is new, or the lock is held.
 */
void sse__hub_begin(struct sse_hub *hub, uint64_t number);

/* The head. */
static inline struct sse__point sse__hub_head(const struct sse_hub *hub) {
  return hub->numbers_given ? hub->head : (struct sse__point){hub->head.seq, hub->head.seq};
}

/* The time on the hub's clock. */
int64_t sse__hub_now(const struct sse_hub *hub);
int64_t sse__hub_now_ns(const struct sse_hub *hub);

/* A random number below `range`, to spread times; not for secrets. Any state may be the first. */
uint32_t sse__random(uint64_t *state, uint32_t range);
/* The same from the hub's state; needs the lock. */
uint32_t sse__hub_random(struct sse_hub *hub, uint32_t range);
/* A random time from now to until_ms, at which a drained stream ends. */
int64_t sse__drain_time(uint64_t *random, int64_t now_ms, int64_t until_ms);
/* A random reconnection time from retry_ms to one and a half times that; SSE_NEVER stays. Needs the
 * lock. */
int32_t sse__retry_spread(sse_hub *hub, int32_t retry_ms);

/* Releases the lock and takes it again, between two parts of a work that is long. */
void sse__hub_give_way(struct sse_hub *hub);
/* The same for a work that posts wakes: calls those on the list, which gives way, too. */
void sse__hub_pause(struct sse_hub *hub, struct sse__wake_list *list);

/* What is done with each standalone stream. */
typedef void sse__visit_fn(struct sse_hub *hub, struct sse__subscriber *sub, int64_t now_ms,
                           struct sse__wake_list *list);
/* Visits all standalone streams, in parts, between which it pauses. */
void sse__hub_visit_standalones(struct sse_hub *hub, sse__visit_fn *visit, int64_t now_ms,
                                struct sse__wake_list *list);

/* Notifies the host of channels whose occupancy changed. Call it without the lock. */
void sse__hub_notify_occupancy(struct sse_hub *hub);

/*
 * The number up to which the slowest of the loops, and of the standalone streams that keep up, has
 * given everything; the head if none is behind. Needs the lock.
 */
uint64_t sse__hub_given(struct sse_hub *hub);
/* The same of one loop. Needs the lock. */
uint64_t sse__inbox_given(const struct sse__inbox *inbox, uint64_t head);

/* The reason for which a stream ends at its close_ms; needs the lock. */
int sse__hub_close_reason(const struct sse_hub *hub);

/*
 * Runs timers of the hub that are due, a limited number of them, and posts wakes of standalone
 * streams to the list; needs the lock.
 */
void sse__hub_run_timers(struct sse_hub *hub, int64_t now_ms, struct sse__wake_list *list);

#endif
