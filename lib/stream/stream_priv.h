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
  struct sse__subscription own[]; /* and behind them the optional parts (part.h) */
};

/* The members of a stream, members_count of them. */
static inline struct sse__subscription *sse__subscriptions(const struct sse_stream *stream) {
  return stream->moved ? stream->own[0].u.moved
                       : (struct sse__subscription *)(uintptr_t)stream->own;
}

#define SSE__STREAM(subscriber) SSE__CONTAINER(subscriber, struct sse_stream, sub)

#endif
