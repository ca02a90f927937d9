/* SPDX-License-Identifier: MIT */
/* wide.h: what a stream of many channels has besides, so that no event costs a search among them. */
#ifndef SSE_LIB_WIDE_H
#define SSE_LIB_WIDE_H

#include "hub/turns.h"
#include "stream/stream_priv.h"

/*
 * The order of a stream's channels in a merge that takes several steps. It has a turn for each
 * window with a slot above the cursor and up to `upto`; what is published later is above. It is
 * dropped when the cursor moves back, and when a subscription comes or goes.
 */
struct sse__order {
  uint64_t upto;
  bool live;       /* the windows are those of the channels; otherwise those of a snapshot */
  uint32_t rounds; /* of a snapshot: sse__inbox.rounds when it was taken */
  uint32_t count;  /* turns that are left */
  struct sse__turn turns[]; /* place: twice that of the subscription; 1 more if ephemeral */
};

/* NULL for a stream of few channels. It lies behind the place for the last subscription. */
static inline struct sse__wide *sse__wide_of(const struct sse_stream *stream) {
  uint32_t room = sse__subscriptions_room(stream);
  return room < SSE__WIDE_MIN ? NULL : (void *)(sse__subscriptions(stream) + room);
}

/* Makes the table anew. The stream's thread calls it with the hub's lock held, as all below. */
void sse__wide_fill(struct sse_stream *stream);
/* Adds the last subscription of the array to the table. */
void sse__wide_add(struct sse_stream *stream);
/* Removes a subscription from the table. The last one of the array takes its place. */
void sse__wide_remove(struct sse_stream *stream, const struct sse__subscription *subscription);

/*
 * The subscription of a stream to the channel with a number, or NULL. It takes no lock on the
 * stream's thread.
 */
struct sse__subscription *sse__wide_search(const struct sse_stream *stream, uint32_t channel);
static inline struct sse__subscription *sse__subscription_of(const struct sse_stream *stream,
                                                             uint32_t channel) {
  uint32_t at = 0;
  struct sse__subscription *subscription = sse__subscriptions(stream);
  while (at < stream->subscription_count && subscription->channel->number != channel) {
    if (++at == SSE__WIDE_MIN) return sse__wide_search(stream, channel);
    subscription++;
  }
  return at < stream->subscription_count ? subscription : NULL;
}

/* ---- the order; it takes no lock on the stream's thread ---- */

/* Makes an order of no turns with room for `max`, for a stream of many channels that has none. NULL
 * without memory. */
struct sse__order *sse__order_new(struct sse_stream *stream, bool live, uint64_t upto,
                                  uint32_t max);
/* The stream's order for this kind of step, or NULL; one of the other kind is dropped. */
struct sse__order *sse__order_of(struct sse_stream *stream, bool live);
/* Drops the order, if there is one. */
void sse__order_drop(struct sse_stream *stream);

#endif
