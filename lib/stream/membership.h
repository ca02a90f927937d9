/* SPDX-License-Identifier: MIT */
/* membership.h: which channels a stream is subscribed to, and requests, from any thread, to change
 * that for all streams of a tag. */
#ifndef SSE_LIB_MEMBERSHIP_H
#define SSE_LIB_MEMBERSHIP_H

#include "stream/stream_priv.h"

/* All functions require the hub's lock. */

/* ---- subscriptions; on the stream's thread, and a standalone stream is disarmed ---- */

/* Subscribes a stream to a channel, with zeroed memory of the stream's: 0 or SSE_ENOMEM. */
int sse__subscribe(struct sse_stream *stream, struct sse__subscription *subscription,
                   struct sse__channel *channel, int64_t now_ms);
/* Removes a subscription from its channel. */
void sse__unsubscribe(struct sse_stream *stream, struct sse__subscription *subscription);

/* Adds a channel to an open stream that is not subscribed to it. Returns as sse__subscribe. */
int sse__subscribe_open(struct sse_stream *stream, struct sse__channel *channel, int64_t now_ms);
/* Removes a subscription from its channel and from an open stream. */
void sse__unsubscribe_open(struct sse_stream *stream, struct sse__subscription *subscription);

/* ---- requests ---- */

enum sse__membership_kind {
  SSE__MEMBERSHIP_JOIN,
  SSE__MEMBERSHIP_LEAVE,
  SSE__MEMBERSHIP_END /* ends the stream gently with SSE_EDISMISSED; concerns no channel */
};

/*
 * A stream carries a request out when its cursor reaches the number that was the head at the
 * request: up to there it is given its old channels, and from there on it has the new one, or no
 * longer has the one that it leaves, or it ends. So the result does not depend on when the stream's thread
 * runs, or on how slow its client is.
 */
struct sse__membership_request {
  struct sse__membership_request *next; /* the stream's next request, in the order of the calls */
  struct sse__channel *channel;         /* NULL for SSE__MEMBERSHIP_END */
  uint64_t seq;                         /* the head at the request */
  uint64_t delivered_count; /* ordinal of the channel's last event then; or SSE__UNKNOWN */
  size_t history;           /* number of earlier events wanted; used only to join */
  enum sse__membership_kind kind;
};

/* Takes the first of a loop's streams that have new requests out of the inbox; NULL: none. */
struct sse__tagged *sse__membership_collect(struct sse__inbox *inbox);

/* As sse__membership_due, for a stream with a tag. */
uint64_t sse__membership_first_due(const struct sse_stream *stream);
/* The number at which the stream's first request is due; UINT64_MAX: it has none. */
static inline uint64_t sse__membership_due(const struct sse_stream *stream) {
  return stream->has & SSE__HAS_TAG ? sse__membership_first_due(stream) : UINT64_MAX;
}
/* The number up to which the stream keeps its present channels: the head, or the first request. */
uint64_t sse__membership_head(const struct sse_stream *stream);
/* Whether a request to end the stream is waiting. */
bool sse__membership_ends(const struct sse_stream *stream);
/*
 * Carries out what is due at the cursor, with nothing in flight. Returns 0, SSE_ENOMEM with the
 * rest left, or SSE_EDISMISSED: the stream ends, and later requests are dropped.
 */
int sse__membership_run(struct sse_stream *stream, int64_t now_ms);
/* Drops the requests of a stream that is detached. */
void sse__membership_drop(struct sse_stream *stream);

#endif
