/* SPDX-License-Identifier: MIT */
/* membership.h: an open stream is asked, by its tag and from any thread, to join or leave a channel. */
#ifndef SSE_LIB_ASK_H
#define SSE_LIB_ASK_H

#include "stream/stream_priv.h"

/*
 * A stream does as it was asked at the number that was the head then: it has had everything of its
 * channels up to there, and from there on what it joins or no more what it leaves. So it does not
 * matter when its thread comes to it, nor how slow its client is. Guarded by the hub's lock.
 */
struct sse__membership_request {
  struct sse__membership_request *next; /* of the stream, in the order in which they came */
  struct sse__channel *channel;
  uint64_t seq;             /* the head when it was asked */
  uint64_t delivered_count; /* and the ordinal of the channel's last event, or SSE__UNKNOWN */
  size_t history;           /* so many events of before are wanted, where it joins */
  bool join;
};

/* All with the hub's lock held. */

/* On the stream's thread, and a lone stream is disarmed. */

/* Makes a member, in zeroed memory of the stream's, one of a channel: 0 or SSE_ENOMEM. */
int sse__subscribe(struct sse_stream *stream, struct sse__subscription *subscription,
                   struct sse__channel *channel, int64_t now_ms);
/* Takes it out of its channel. */
void sse__unsubscribe(struct sse_stream *stream, struct sse__subscription *subscription);

/* Adds a channel to an open stream, which has no member of it: as sse__subscribe. */
int sse__subscribe_open(struct sse_stream *stream, struct sse__channel *channel, int64_t now_ms);
/* Takes a member out of its channel and out of an open stream. */
void sse__unsubscribe_open(struct sse_stream *stream, struct sse__subscription *subscription);

/*
 * Asks all streams of a tag: how many there are, SSE_ENOMEM, SSE_ECHANNELSTREAMS, or SSE_ECHANNELS
 * if one of them would have more than `channels_max`; then none is asked.
 */
int sse__membership_request_all(struct sse__tag *first, const struct sse__mem *mem,
                                const struct sse__membership_request *request,
                                uint32_t channels_max, struct sse__wake_list *list);
/* Takes the first of the streams of a loop that were asked out of its inbox; NULL: none. */
struct sse__tag *sse__membership_collect(struct sse__inbox *inbox);

/* The number at which a stream is to do something next; UINT64_MAX: never. */
uint64_t sse__membership_due(const struct sse_stream *stream);
/* Up to where a stream keeps the channels that it has: the head, or its first request. */
uint64_t sse__membership_head(const struct sse_stream *stream);
/* Does what is due at S; the stream lends nothing. 0, or SSE_ENOMEM with the rest undone. */
int sse__membership_run(struct sse_stream *stream, int64_t now_ms);
/* The stream leaves: drops what was not done. */
void sse__membership_drop(struct sse_stream *stream);

#endif
