/* SPDX-License-Identifier: MIT */
/* hub.h: what a hub is inside: its lock, and what the lock guards. */
#ifndef SSE_LIB_HUB_H
#define SSE_LIB_HUB_H

#include "hub/admission.h"
#include "hub/channel.h"
#include "hub/subscriber.h"
#include "hub/tag.h"
#include "util/os.h"
#include "wire/event_id.h"

/* Asserts that the hub's lock is held, in builds with SSE_DEBUG only. */
#define SSE__HELD(hub) SSE__HELD_LOCK(&(hub)->lock)

#define SSE__TIMER_STREAM 1 /* sse__timer.kind, of a stream that stands alone */

struct sse_hub {
  /* Set by sse_hub_new and never changed. */
  struct sse__mem mem;
  sse_clock_fn *clock;
  void *clock_arg;
  size_t event_bytes_max;
  uint32_t streams_max, stream_channels_max, tag_streams_max;
  int32_t heartbeat_ms, stall_ms, age_ms_max, retry_ms;
  char *gap_type, *position_type;
  struct sse__epoch epoch;
  struct sse__frame *heartbeat;  /* the bytes of a heartbeat, for all streams */
  struct sse__frame *last_chunk; /* for all chunked bodies: closing one must not need memory */

  pthread_mutex_t lock; /* guards all below, every frame's references, and what says so elsewhere */
  uint64_t head;        /* the last number given */
  uint64_t random;      /* state of the generator that spreads times */
  struct sse__store store;
  struct sse__channels channels;
  struct sse__timers timers; /* of channels and of lone streams */
  struct sse__wakers wakers;
  size_t streams; /* not yet freed */
  size_t loops;
  struct sse__list pins; /* subscribers that hold frames */
  struct sse__tags tags;
  struct sse__occupancy occupancy;
  struct sse__admission admission;
  struct sse__list inboxes; /* of its loops */
  bool draining;            /* all streams end, until drain_until_ms; none is opened */
  int64_t drain_until_ms;
  struct sse__hub_counters counters;
  struct sse__outq_array *spare; /* for lone streams: the batch that was given back last */
};

/* Fills `resolved` so that no member is 0 or NULL but epoch, alloc and the args. 0 or SSE_EINVAL.
 */
int sse__hub_config_resolve(sse_hub_config *resolved, const sse_hub_config *config);

bool sse__channel_config_valid(const sse_channel_config *config);

/* A time of a configuration: 0, above, or SSE_NEVER. */
bool sse__time_valid(int32_t ms);

/* Whether the reserved members of a struct are all NULL. */
bool sse__reserved_unused(void *const *reserved, size_t count);
#define SSE__RESERVED_UNUSED(config)                                                               \
  sse__reserved_unused((config)->reserved, sizeof(config)->reserved / sizeof *(config)->reserved)

/* Whether a yes-or-no setting has one of its values. */
bool sse__choice_valid(sse_choice choice);

int64_t sse__hub_now(const struct sse_hub *hub);
int64_t sse__hub_now_ns(const struct sse_hub *hub);

/* A number from 0 to below `range`, to spread times; the state is any number at first. */
uint32_t sse__random(uint64_t *state, uint32_t range);
/* The same from the hub's own state; with the lock held. */
uint32_t sse__hub_random(struct sse_hub *hub, uint32_t range);

/* A reconnection time from retry_ms to one and a half times that, drawn at random; SSE_NEVER stays. */
int32_t sse__retry_spread(sse_hub *hub, int32_t retry_ms);

/* Streams have come or gone: tells the host of it where it wants to know. Without the lock. */
void sse__hub_notify_occupancy(struct sse_hub *hub);

/* Why a stream ends whose time has come; with the lock held. */
int sse__hub_close_reason(const struct sse_hub *hub);
/* When a stream ends that is drained: from now to until_ms. */
int64_t sse__drain_time(uint64_t *random, int64_t now_ms, int64_t until_ms);

/*
 * Runs what is due of the hub's timers, a bounded number of them, with the lock held. Lone streams
 * that have something to do are posted to the list.
 */
void sse__hub_run_timers(struct sse_hub *hub, int64_t now_ms, struct sse__wake_list *list);

#endif
