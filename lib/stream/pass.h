/* SPDX-License-Identifier: MIT */
/* pass.h: what both merges of a stream read, and what happens to a frame that they pass. */
#ifndef SSE_LIB_PASS_H
#define SSE_LIB_PASS_H

#include "stream/outq.h"

/* A live step reads the two windows of a channel; a snapshot has both merged in one array. */
#define SSE__WINDOWS(live) ((live) ? UINT32_C(2) : UINT32_C(1))

/* The frames of a subscription's channel: of one of its windows, or of the snapshot. */
static inline struct sse__stretch sse__window_of(const struct sse__subscription *subscription,
                                                 bool live, unsigned which) {
  const struct sse__window *window;
  if (!live) {
    const struct sse__loop_feed *feed = subscription->u.in.feed;
    return (struct sse__stretch){feed->slots, SIZE_MAX, 0, feed->in_round ? feed->slots_count : 0};
  }
  window = which == 0 ? &subscription->channel->window : subscription->channel->ephemeral;
  return window ? sse__window_stretch(window) : (struct sse__stretch){NULL, 0, 0, 0};
}

/* Counts one more event that the stream was given of a channel. */
static inline void sse__count_one(struct sse__subscription *subscription) {
  if (subscription->delivered_count <= SSE__ORDINAL_MAX) subscription->delivered_count++;
}

/* Whether a frame is for this stream: an ephemeral event is only if it came after the open. */
static inline bool sse__stream_wants(struct sse_stream *stream,
                                     const struct sse__subscription *subscription,
                                     const struct sse__frame *frame) {
  if (frame->ephemeral && frame->seq <= stream->opened_at) return false;
  return !(stream->has & (SSE__HAS_LIMITS | SSE__HAS_NUMBER)) ||
         sse__stream_lets_pass(stream, subscription->channel, frame);
}

/*
 * Adds one frame if it is for this stream. The cursor has moved over it in either case, and the
 * client's id is behind. Returns whether the frame was added with an id.
 */
static inline bool sse__pass_frame(struct sse_stream *stream, bool live,
                                   struct sse__subscription *subscription,
                                   struct sse__frame *frame) {
  if (!frame->ephemeral) sse__count_one(subscription);
  if (!sse__stream_wants(stream, subscription, frame)) return false;
  stream->number = frame->number;
  if (live) {
    sse__outq_add_held(stream, frame);
  } else {
    sse__outq_add(stream, frame);
  }
  if (frame->ephemeral) return false;
  stream->id_behind = false;
  return true;
}

#endif
