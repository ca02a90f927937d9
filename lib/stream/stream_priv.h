/* SPDX-License-Identifier: MIT */
/* stream_priv.h: what a stream is inside, and what it has lent. */
#ifndef SSE_LIB_STREAM_H
#define SSE_LIB_STREAM_H

#include <sse/stream.h>

#include "hub/hub.h"

#define SSE__OUTQ_MAX 64 /* frames that a stream lends at once */

struct sse__outq_array {
  struct sse__frame *frames[SSE__OUTQ_MAX];
};

/*
 * The frames that a stream will give next, in the order of their bytes. A stream that is idle, or
 * stuck in the middle of one frame, needs no batch.
 */
struct sse__outq {
  union {
    struct sse__outq_array *array;
    struct sse__frame *one;
  } u;
  uint32_t offset;     /* bytes of the first frame that are consumed */
  uint8_t first;       /* place of the first frame in the batch */
  uint8_t count;       /* frames from there */
  bool has_array : 1;  /* u.batch; else there is at most one frame, u.one */
  bool borrowed : 1;   /* the references to events are the round's, not the stream's */
  bool retry_sent : 1; /* the farewell was lent, or there is none: nothing comes after this */
  bool chunked : 1;    /* the body is chunked: frames are given with their chunk's head and tail */
};

struct sse__backfill;

/*
 * The owner's thread, one at a time, has all of it but the guarded part of `sub`. A stream that
 * stands alone is looked at by hub timers too, so its owner changes `sub.live` only with the hub's
 * lock held.
 */
struct sse_stream {
  struct sse__subscriber sub;
  sse_hub *hub;
  void *user;
  uint64_t cursor;    /* S: it has had everything up to here, counting what it lends */
  uint64_t opened_at; /* the head when it was opened: earlier ephemeral events are not for it */
  uint64_t id_sent;   /* the number of the last id it lent; 0: none, or not known */
  struct sse__outq outq;
  struct sse__backfill *backfill; /* what is to be given before anything else, or NULL */
  struct sse_stream *ready_next;  /* of its loop */
  uint32_t subscription_count;
  int32_t retry_ms;     /* the reconnection time, not yet spread; or SSE_NEVER */
  uint16_t own_count;   /* members that lie behind it */
  int16_t reason;       /* why it is over; 0 */
  uint8_t has;          /* SSE__HAS_ bits */
  uint8_t resume : 4;   /* enum sse_resume */
  uint8_t position : 4; /* enum sse_position */
  bool armed : 1;  /* its loop returns it when there is something; a lone one's is in its waker */
  bool queued : 1; /* it is on its loop's list of ready streams */
  bool requested : 1; /* it may have to change its channels, which takes a live step */
  bool moved : 1;     /* its members are no longer behind it: own[0].u.moved */
  bool detached : 1;
  struct sse__subscription own[]; /* and behind them the optional parts (SSE__HAS_...) */
};

/* The members of a stream, members_count of them. */
static inline struct sse__subscription *sse__subscriptions(const struct sse_stream *stream) {
  return stream->moved ? stream->own[0].u.moved
                       : (struct sse__subscription *)(uintptr_t)stream->own;
}

/* Bits of sse_stream.parts, in the order in which the parts lie. The last has no fixed size. */
#define SSE__HAS_STANDALONE 0x1u /* struct sse__standalone: it has no loop */
#define SSE__HAS_SLOT       0x2u /* struct sse__admission_slot: it may have something to replay */
#define SSE__HAS_LIMITS     0x4u /* struct sse__limits */
#define SSE__HAS_TAG        0x8u /* struct sse__tag */

/* Stands behind the rest of the stream. The stream's thread has it. */
struct sse__limits {
  sse_filter_fn *filter;
  void *filter_arg;
  uint64_t lag_events, lag_bytes; /* UINT64_MAX: no bound */
  int32_t lag_ms_limit;           /* or SSE_NEVER */
  bool close;                     /* SSE_SLOW_CLOSE */
};

#define SSE__STREAM(subscriber) SSE__CONTAINER(subscriber, struct sse_stream, sub)

/* Memory of a stream with so many members and these parts; tag_len: bytes of the tag's text. */
size_t sse__stream_size(unsigned parts, uint32_t subscriptions, size_t tag_len);

/* Where a part of a stream lies, or NULL; its own_count and parts are set. */
struct sse__standalone *sse__stream_standalone(struct sse_stream *stream);
struct sse__admission_slot *sse__stream_slot(struct sse_stream *stream);
struct sse__limits *sse__stream_limits(struct sse_stream *stream);
struct sse__tag *sse__stream_tag(struct sse_stream *stream);

/* Whether an event passes the stream's filter. */
bool sse__limits_pass(struct sse_stream *stream, const struct sse__channel *channel,
                      const struct sse__frame *frame);

#endif
