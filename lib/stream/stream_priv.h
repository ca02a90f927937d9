/* SPDX-License-Identifier: MIT */
/* stream_priv.h: the private struct of a stream, its optional parts, and its filter. */
#ifndef SSE_LIB_STREAM_PRIV_H
#define SSE_LIB_STREAM_PRIV_H

#include <sse/stream.h>

#include "hub/hub.h"

#define SSE__OUTQ_MAX 64 /* most frames of one stream that are in flight at once */

struct sse__outq_array {
  struct sse__frame *frames[SSE__OUTQ_MAX];
};

/*
 * The frames of a stream that are in flight, in the order of their bytes. An idle stream, or one
 * whose client is stuck in the middle of one frame, needs no array.
 */
struct sse__outq {
  union {
    struct sse__outq_array *array;
    struct sse__frame *one;
  } u;
  uint32_t offset;     /* consumed bytes of the first frame */
  uint8_t first;       /* index of the first frame in the array */
  uint8_t count;       /* number of frames in flight */
  bool has_array : 1;  /* u.array is valid; otherwise u.one is, and count is at most 1 */
  bool borrowed : 1;   /* the loop's snapshot holds the references to events, not the stream */
  bool retry_sent : 1; /* the retry block was added or left out; nothing follows */
  bool chunked : 1;    /* the body is chunked: frames are given with head and tail of a chunk */
  bool bare : 1;       /* the frames are events of a backfill, given without their id lines */
};

/* What a backfill gives of one channel (stream/backfill.h). */
struct sse__backfill_part {
  struct sse__channel *channel;
  uint64_t last; /* the number of the channel's last event when this was set, or above it */
  struct sse__point evicted; /* the highest one that was evicted then, of a state that of a value */
  struct sse__point missing; /* of a state: up to here it lacked something then */
  bool keyed;                /* the channel was conflated when this was set */
  bool lost;                 /* the client must be told that something is missing */
};

struct sse__backfill;

/*
 * The thread that uses the stream owns all members except the guarded part of `sub`. The hub's
 * timers also read a standalone stream, so its owner changes `sub.live` only under the hub's lock.
 */
struct sse_stream {
  struct sse__subscriber sub; /* the half that the hub and other threads reach */
  sse_hub *hub;
  void *user;
  uint64_t cursor;    /* number up to which everything was given, frames in flight included */
  uint64_t opened_at; /* hub's head at the open; earlier ephemeral events are not for the stream */
  uint64_t number;    /* that of the cursor in ids; of a stream that is ahead, its client's */
  struct sse__outq outq;
  struct sse__backfill *backfill; /* list of backfills, which precede everything else; or NULL */
  struct sse_stream *ready_next;  /* next in the loop's list of ready streams */
  int32_t retry_ms;               /* reconnection time before it is spread, in ms; or SSE_NEVER */
  uint16_t subscription_count;    /* at most 65,535 */
  uint16_t own_count;             /* number of subscriptions allocated behind the struct */
  int16_t reason;                 /* error that ended the stream; 0: it is open */
  uint8_t has;                    /* SSE__HAS_ bits of the optional parts */
  uint8_t resume : 4;             /* enum sse_resume */
  uint8_t position : 4;           /* enum sse_position */
  bool armed : 1;  /* the loop returns it when there is work; a standalone stream uses its waker */
  bool queued : 1; /* the stream is in the loop's list of ready streams */
  bool live_only : 1; /* only a live step serves it: requests may be pending, or a gap is ahead */
  bool moved : 1;     /* the subscriptions lie at own[0].u.moved, no longer behind the struct */
  bool wide : 1;      /* it has SSE__WIDE_MIN channels or more */
  bool detached : 1;
  bool ahead : 1; /* its number is above the hub's head, and nothing up to it is for the stream */
  bool freed : 1; /* its memory is freed when it leaves the loop's list of ready streams */
  uint8_t moved_log; /* where they lie then is room for two to the power of this many */
  bool id_behind;    /* the client may lack the id of the cursor: none with it was put in flight */
  struct sse__subscription own[]; /* the optional parts follow the last one */
};

/* The subscriptions of a stream: an array of subscription_count elements. */
static inline struct sse__subscription *sse__subscriptions(const struct sse_stream *stream) {
  return stream->moved ? stream->own[0].u.moved
                       : (struct sse__subscription *)(uintptr_t)stream->own;
}

/* The places for subscriptions: those behind the struct, or those of the array that replaced them. */
static inline uint32_t sse__subscriptions_room(const struct sse_stream *stream) {
  return stream->moved ? UINT32_C(1) << stream->moved_log : stream->own_count;
}

/*
 * With room for this many subscriptions, a stream has what wide.h describes. Builds that check
 * assertions have it with fewer, so that all tests meet it.
 */
#ifdef SSE_DEBUG
#define SSE__WIDE_MIN 2
#else
#define SSE__WIDE_MIN 32
#endif

/* What a stream of many channels has besides, behind the place for the last subscription. */
struct sse__wide {
  struct sse__order *order; /* NULL: no merge goes on */
  uint32_t mask;            /* number of the places less one */
  uint32_t places[];        /* hash table by channel number: place of the subscription, and 1 */
};

/* The places of the table of a stream with this room, a power of two. */
uint32_t sse__wide_places(uint32_t room);
/* The bytes of struct sse__wide of a stream with this room; 0: it has none. */
size_t sse__wide_size(uint32_t room);

/*
 * Bits of sse_stream.has, in the order in which the parts lie behind the subscriptions. All are in
 * the stream's one allocation, and a part that a stream lacks takes no memory. The last part has no
 * fixed size.
 */
#define SSE__HAS_STANDALONE 0x1u /* struct sse__standalone: the stream has no loop */
#define SSE__HAS_SLOT       0x2u /* struct sse__admission_slot: the stream may have to replay */
#define SSE__HAS_LIMITS     0x4u /* struct sse__limits: it has a filter, or its own limits */
#define SSE__HAS_TAG        0x8u /* struct sse__tagged: it has one tag or more */

/*
 * Not a part: what lies above the cursor may have a number up to that of the stream, and is then not
 * for it. So it is after a stream was ahead, until it is at the head.
 */
#define SSE__HAS_NUMBER 0x10u

/* What restricts a stream: its filter, how far it may be behind, and its lowest number. Its thread
 * owns them. */
struct sse__limits {
  sse_filter_fn *filter; /* NULL: every event passes */
  void *filter_arg;
  uint64_t lag_events;  /* most unsent events; UINT64_MAX: no limit */
  uint64_t lag_bytes;   /* most bytes of unsent events; UINT64_MAX: no limit */
  int32_t lag_ms_limit; /* maximum age of the oldest unsent event, in ms; SSE_NEVER: no limit */
  uint64_t not_before;  /* the number in ids up to which nothing is for the stream */
  bool close;           /* SSE_SLOW_CLOSE: the stream ends where it would be given a gap */
};

#define SSE__STREAM(subscriber) SSE__CONTAINER(subscriber, struct sse_stream, sub)

/*
 * Bytes of a stream with these parts and subscriptions; tags_bytes: what follows struct
 * sse__tagged, which is its tags and their texts.
 */
size_t sse__stream_size(unsigned parts, uint32_t subscriptions, size_t tags_bytes);

/*
 * Whether the stream gives no more bytes: after a gentle end once the bytes in flight and the retry
 * block are consumed, after any other end at once. From then on its reason does not change.
 */
static inline bool sse__stream_over(const struct sse_stream *stream) {
  if (!stream->reason) return false;
  if (!sse_end_is_gentle(stream->reason)) return true;
  return stream->outq.count == 0 && stream->outq.retry_sent;
}

/* Where a part of a stream begins, which the stream has; `has` and own_count are set. */
void *sse__stream_part(struct sse_stream *stream, unsigned part);

/* Each returns a part of a stream, or NULL if the stream lacks it. Most streams have none. */
static inline struct sse__standalone *sse__stream_standalone(struct sse_stream *stream) {
  return stream->has & SSE__HAS_STANDALONE ? sse__stream_part(stream, SSE__HAS_STANDALONE) : NULL;
}
static inline struct sse__admission_slot *sse__stream_slot(struct sse_stream *stream) {
  return stream->has & SSE__HAS_SLOT ? sse__stream_part(stream, SSE__HAS_SLOT) : NULL;
}
static inline struct sse__limits *sse__stream_limits(struct sse_stream *stream) {
  return stream->has & SSE__HAS_LIMITS ? sse__stream_part(stream, SSE__HAS_LIMITS) : NULL;
}
static inline struct sse__tagged *sse__stream_tagged(struct sse_stream *stream) {
  return stream->has & SSE__HAS_TAG ? sse__stream_part(stream, SSE__HAS_TAG) : NULL;
}

/* Moves the cursor, up or down. */
static inline void sse__stream_move(struct sse_stream *stream, struct sse__point to) {
  stream->cursor = to.seq;
  stream->number = to.number;
}

/* Where the cursor stands. With the hub's own numbers `number` need not follow it. */
static inline struct sse__point sse__stream_point(const struct sse_stream *stream) {
  uint64_t number = stream->hub->numbers_given ? stream->number : stream->cursor;
  return (struct sse__point){stream->cursor, number};
}

/* Whether what stands at a point is not for the stream, because of its not_before. */
bool sse__stream_excludes(struct sse_stream *stream, struct sse__point at);

/* Ends a stream immediately, on its own thread. Requires the hub's lock. */
void sse__stream_end(struct sse_stream *stream, int reason);

/*
 * Whether an event that the cursor passes is for a stream with SSE__HAS_LIMITS or SSE__HAS_NUMBER. If
 * it is not, the stream has its number all the same.
 */
bool sse__stream_lets_pass(struct sse_stream *stream, const struct sse__channel *channel,
                           const struct sse__frame *frame);

/* Whether an event passes the stream's filter. */
bool sse__limits_pass(struct sse_stream *stream, const struct sse__channel *channel,
                      const struct sse__frame *frame);

/*
 * Notes how many events of each channel the stream was given up to its cursor; a later gap is
 * counted from there. `again`: the cursor has moved back, so what was evicted above it is told only
 * as far as the last count says. Requires the hub's lock.
 */
void sse__stream_count_delivered(struct sse_stream *stream, bool again);

#endif
