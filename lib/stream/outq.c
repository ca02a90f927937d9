/* SPDX-License-Identifier: MIT */
/* outq.c: the frames of a stream that are in flight. */
#include "stream/outq.h"

#include <assert.h>

#include "stream/wide.h"

int sse__outq_open(struct sse_stream *stream, struct sse__outq_array **spare) {
  struct sse__outq *outq = &stream->outq;
  struct sse__outq_array *array = *spare ? *spare : sse__mem_new(&stream->hub->mem, sizeof *array);
  if (!array) return SSE_ENOMEM;
  *spare = NULL;
  outq->u.array = array;
  outq->has_array = true;
  outq->first = outq->count = 0;
  outq->offset = 0;
  outq->borrowed = outq->bare = false;
  return SSE_OK;
}

/* One frame, at which a client is stuck, needs no array either. */
void sse__outq_close(struct sse_stream *stream, struct sse__outq_array **spare) {
  struct sse__outq *outq = &stream->outq;
  if (!outq->has_array || outq->count > 1) return;
  struct sse__outq_array *array = outq->u.array;
  outq->u.one = outq->count ? array->frames[outq->first] : NULL;
  outq->has_array = false;
  outq->first = 0;
  if (*spare) {
    sse__mem_free(&stream->hub->mem, array);
  } else {
    *spare = array;
  }
}

void sse__outq_hold(struct sse_stream *stream, struct sse__frame *frame) {
  sse__store_ref(&stream->hub->store, frame);
  sse__subscriber_pin(&stream->hub->pins, &stream->sub, sse__frame_weight(frame));
}

void sse__outq_add_held(struct sse_stream *stream, struct sse__frame *frame) {
  SSE__HELD(stream->hub);
  assert(sse__outq_room(stream) > 0);
  sse__outq_hold(stream, frame);
  if (stream->outq.chunked) sse__frame_chunk(frame);
  sse__outq_add(stream, frame);
}

void sse__outq_set(struct sse_stream *stream, struct sse__frame *frame) {
  assert(stream->outq.count == 0 && !stream->outq.has_array);
  stream->outq.u.one = frame;
  stream->outq.count = 1;
  stream->outq.offset = 0;
  stream->outq.borrowed = stream->outq.bare = false;
}

/* Fills the pieces, each with `before` bytes in front of its frame's own and `more` in all. */
static inline int outq_fill_pieces(struct sse_stream *stream, struct iovec *iov, int max,
                                   size_t before, size_t more) {
  struct sse__outq *outq = &stream->outq;
  struct sse__frame **frames = sse__outq_frames(outq);
  int count = outq->count < max ? outq->count : max;
  iov[0].iov_base = frames[0]->bytes - before + outq->offset;
  iov[0].iov_len = frames[0]->len + more - outq->offset;
  for (int i = 1; i < count; i++) {
    iov[i].iov_base = frames[i]->bytes - before;
    iov[i].iov_len = frames[i]->len + more;
  }
  return count;
}

int sse__outq_pieces(struct sse_stream *stream, struct iovec *iov, int max) {
  return stream->outq.chunked
             ? outq_fill_pieces(stream, iov, max, SSE__CHUNK_HEAD_BYTES, SSE__CHUNK_BYTES)
             : outq_fill_pieces(stream, iov, max, 0, 0);
}

static void outq_release_own(struct sse_stream *stream, struct sse__frame *frame) {
  if (frame->kind == SSE__FRAME_CONTROL) {
    sse__mem_free(&stream->hub->mem, frame);
  } else if (frame->kind == SSE__FRAME_EVENT) {
    sse__subscriber_unpin(&stream->hub->pins, &stream->sub, sse__frame_weight(frame));
    sse__store_unref(&stream->hub->store, frame);
  }
}

/*
 * Releases a frame that leaves the array. Most frames are borrowed, and the snapshot releases
 * those.
 */
static inline void outq_release(struct sse_stream *stream, struct sse__frame *frame) {
  bool borrowed = stream->outq.borrowed && frame->kind == SSE__FRAME_EVENT;
  if (!borrowed) outq_release_own(stream, frame);
}

/* Removes the first frame, which is `first`. */
static void outq_pop(struct sse_stream *stream, struct sse__frame *first) {
  struct sse__outq *outq = &stream->outq;
  outq_release(stream, first);
  outq->offset = 0;
  outq->first++;
  outq->count--;
}

/* The counters of the channel that a frame came from; NULL: the stream has left that channel. */
static struct sse__channel_counters *channel_counters_of(struct sse_stream *stream,
                                                         const struct sse__frame *frame) {
  if (stream->detached) return NULL;
  struct sse__subscription *subscription = sse__subscription_of(stream, frame->channel);
  if (!subscription) return NULL;
  return stream->outq.borrowed ? &subscription->u.in.feed->delivered
                               : &subscription->channel->delivered;
}

/* An event older than the stream has no latency: its age measures how long the client was away. */
static void count_event(struct sse_stream *stream, const struct sse__frame *frame,
                        struct sse__counters *counters, int64_t now_ns) {
  struct sse__channel_counters *channel = channel_counters_of(stream, frame);
  counters->events++;
  if (channel) {
    channel->events++;
    channel->bytes += frame->len;
  }
  if (frame->seq <= stream->opened_at) return;
  int64_t took_ns = now_ns > frame->born_ns ? now_ns - frame->born_ns : 0;
  unsigned place = sse__latency_place(took_ns);
  counters->latency.places[place]++;
  counters->latency.sum_ns += (uint64_t)took_ns;
  if (!channel || !channel->latency) return;
  channel->latency->places[place]++;
  channel->latency->sum_ns += (uint64_t)took_ns;
}

static void count_frame(struct sse_stream *stream, const struct sse__frame *frame,
                        struct sse__counters *counters, int64_t now_ns) {
  if (frame->kind == SSE__FRAME_EVENT) {
    count_event(stream, frame, counters, now_ns);
  } else if (frame->kind == SSE__FRAME_SHARED) {
    counters->heartbeats++;
  } else if (frame->position) {
    counters->positions++;
  }
}

/* sse__outq_consume for frames that are each given with `more` bytes beyond their own. */
static inline bool consume(struct sse_stream *stream, size_t bytes, struct sse__counters *counters,
                           int64_t now_ns, size_t more) {
  struct sse__outq *outq = &stream->outq;
  struct sse__frame **frames = sse__outq_frames(outq);
  for (; outq->count > 0; frames++) {
    size_t left = (*frames)->len + more - outq->offset;
    if (bytes < left) {
      outq->offset += (uint32_t)bytes;
      counters->bytes += bytes;
      return true;
    }
    bytes -= left;
    counters->bytes += left;
    count_frame(stream, *frames, counters, now_ns);
    outq_pop(stream, *frames);
  }
  return bytes == 0;
}

bool sse__outq_consume(struct sse_stream *stream, size_t bytes, struct sse__counters *counters,
                       int64_t now_ns) {
  return stream->outq.chunked ? consume(stream, bytes, counters, now_ns, SSE__CHUNK_BYTES)
                              : consume(stream, bytes, counters, now_ns, 0);
}

void sse__outq_keep(struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  struct sse__outq *outq = &stream->outq;
  struct sse__frame **frames = sse__outq_frames(outq);
  assert(outq->borrowed && (outq->has_array || outq->count <= 1));
  for (unsigned i = 0; i < outq->count; i++) {
    if (frames[i]->kind == SSE__FRAME_EVENT) sse__outq_hold(stream, frames[i]);
  }
  outq->borrowed = false;
}

/*
 * Counts again what the stream was given of each channel, after its cursor moved below the events
 * from `from` on. The gap of a skip may have been reported for numbers above these events, which the
 * channels still retained then. Those that were evicted since are lost, and no snapshot has them.
 * Of an event of several channels, only the one that it was given by is told.
 */
static void count_requeued(struct sse_stream *stream, unsigned from) {
  SSE__HELD(stream->hub);
  struct sse__outq *outq = &stream->outq;
  struct sse__frame **frames = sse__outq_frames(outq);
  sse__stream_count_delivered(stream, true);
  if (stream->hub->channels.history.skipped.seq == 0) return;
  stream->live_only = true;
  for (unsigned i = from; i < outq->count; i++) {
    struct sse__subscription *subscription = sse__subscription_of(stream, frames[i]->channel);
    if (!subscription || frames[i]->kind != SSE__FRAME_EVENT || frames[i]->ephemeral) continue;
    const struct sse__window *window = &subscription->channel->window;
    bool counted = !window->keys && subscription->delivered_count <= SSE__ORDINAL_MAX;
    if (counted && window->evicted.seq >= frames[i]->seq) subscription->delivered_count--;
  }
}

/*
 * A control block at the front stays, because its gap is already marked as reported; it is small,
 * and belongs to the stream. The last chunk of a body stays, too. Numbers between two frames in
 * flight belong to none of the stream's channels, so the cursor may move to the number right below
 * the first requeued frame.
 */
uint64_t sse__outq_requeue(struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  struct sse__outq *outq = &stream->outq;
  struct sse__frame **frames = sse__outq_frames(outq);
  bool block = frames[0]->kind == SSE__FRAME_CONTROL || frames[0]->kind == SSE__FRAME_LAST;
  unsigned keep = outq->offset > 0 || block ? 1 : 0, first = keep;
  uint64_t backfill_from = 0;
  assert(outq->count > 0 && (outq->has_array || outq->count == 1));
  while (first < outq->count && frames[first]->kind != SSE__FRAME_EVENT) first++;
  if (first < outq->count && !outq->bare) {
    assert(frames[first]->seq <= stream->cursor);
    sse__stream_move(stream, sse__frame_below(frames[first]));
    if (!stream->detached) {
      sse__order_drop(stream);
      count_requeued(stream, first);
    }
  }
  for (; outq->count > keep; outq->count--) {
    struct sse__frame *last = frames[outq->count - 1];
    if (outq->bare) backfill_from = last->seq;
    outq_release(stream, last);
  }
  bool has_id = keep && !outq->bare && !frames[0]->ephemeral;
  stream->id_behind = stream->cursor > (has_id ? frames[0]->seq : 0) ||
                      (has_id && stream->hub->numbers_given && stream->number > frames[0]->number);
  return backfill_from;
}

void sse__outq_drop_first(struct sse_stream *stream) {
  outq_pop(stream, *sse__outq_frames(&stream->outq));
}

void sse__outq_drop(struct sse_stream *stream) {
  SSE__HELD(stream->hub);
  while (stream->outq.count > 0) outq_pop(stream, *sse__outq_frames(&stream->outq));
}
