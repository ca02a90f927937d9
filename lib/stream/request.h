/* SPDX-License-Identifier: MIT */
/* request.h: requests, from any thread, to change an open stream's channels or to end it. */
#ifndef SSE_LIB_REQUEST_H
#define SSE_LIB_REQUEST_H

#include "stream/stream_priv.h"

/* All functions require the hub's lock. */

enum sse__request_kind {
  SSE__REQUEST_SUBSCRIBE,
  SSE__REQUEST_UNSUBSCRIBE,
  SSE__REQUEST_DISMISS /* ends the stream gently with SSE_EDISMISSED; concerns no channel */
};

/*
 * A stream carries a request out when its cursor reaches the number that was the head at the
 * request: up to there it is given its old channels, and from there on it has the new one, or no
 * longer has the one that it leaves, or it ends. So the result does not depend on when the stream's
 * thread runs, or on how slow its client is.
 */
struct sse__request {
  struct sse__request *next;    /* the stream's next request, in the order of the calls; of the last
                              * one, the first */
  struct sse__channel *channel; /* NULL for SSE__REQUEST_DISMISS */
  struct sse__point at;         /* the head at the request */
  enum sse__request_kind kind;
  /* To subscribe: */
  size_t events;            /* how many events of the channel the backfill is to have */
  uint64_t delivered_count; /* ordinal of the channel's last event then */
  uint64_t above;           /* the events of the backfill lie above this number, up to `at` */
  struct sse__backfill_part backfill; /* what the channel had evicted then */
  /* Otherwise, where subscriptions end: that of the channel, or all that the stream then has. */
  uint32_t ends_count;
  struct sse__subscription_end ends[];
};

/* The first request of a stream, or NULL. */
static inline struct sse__request *sse__request_first(const struct sse__tagged *tagged) {
  return tagged->requests ? tagged->requests->next : NULL;
}
/* The request after a given one, or NULL. */
static inline struct sse__request *sse__request_next(const struct sse__tagged *tagged,
                                                     const struct sse__request *request) {
  return request == tagged->requests ? NULL : request->next;
}

/*
 * Asks all streams of a tag, of which `first` is one, to do what `request` says; to end, only those
 * that have not ended. `request` is copied and has no `ends`. Returns how many streams were asked;
 * or SSE_ENOMEM, SSE_ECHANNELSTREAMS, or SSE_ECHANNELS if one of them would have more than
 * `channels_max`, or has twice as many requests and at least 64, and then none was asked.
 */
int sse__request_all(struct sse__tag *first, const struct sse__mem *mem,
                     const struct sse__request *request, uint32_t channels_max, int64_t now_ms,
                     struct sse__wake_list *list);

/* Takes the first of a loop's streams that have new requests out of the inbox; NULL: none. */
struct sse__tagged *sse__request_collect(struct sse__inbox *inbox);

/* Drops a stream's first request. */
void sse__request_drop(struct sse_stream *stream, struct sse__tagged *tagged, int64_t now_ms);
/* Drops all requests of a stream that ends or is detached; it may stay in the inbox's list. */
void sse__request_drop_all(struct sse_stream *stream, int64_t now_ms);

/* The stream's first request, or NULL. */
const struct sse__request *sse__request_next_due(const struct sse_stream *stream);

/* As sse__request_due, for a stream with a tag. */
uint64_t sse__request_first_due(const struct sse_stream *stream);
/* The number at which the stream's first request is due; UINT64_MAX: it has none. */
static inline uint64_t sse__request_due(const struct sse_stream *stream) {
  return stream->has & SSE__HAS_TAG ? sse__request_first_due(stream) : UINT64_MAX;
}
/* The point up to which the stream keeps its present channels: the head, or the first request. */
struct sse__point sse__request_head(const struct sse_stream *stream);
/* Where a subscription ends because of a request; NULL: it goes on. */
const struct sse__subscription_end *sse__request_end(const struct sse_stream *stream,
                                                     const struct sse__subscription *subscription);
/* Whether a request to end the stream is waiting. */
bool sse__request_dismisses(const struct sse_stream *stream);

#endif
