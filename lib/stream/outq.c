/* SPDX-License-Identifier: MIT */
/* outq.c: the bytes that a stream has lent. */
#include "stream/outq.h"

static struct sse__frame **frames_of(struct sse__outq *outq) {
  return outq->has_array ? outq->u.array->frames + outq->first : &outq->u.one;
}

int sse__outq_open(struct sse_stream *stream, struct sse__outq_array **spare) {
  struct sse__outq *outq = &stream->outq;
  struct sse__outq_array *array = *spare ? *spare : sse__mem_new(&stream->hub->mem, sizeof *array);
  if (!array) return SSE_ENOMEM;
  *spare = NULL;
  outq->u.array = array;
  outq->has_array = true;
  outq->first = outq->count = 0;
  outq->offset = 0;
  outq->borrowed = false;
  return SSE_OK;
}

/* The one frame that a stuck client leaves needs no batch either. */
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

static void hold(struct sse_stream *stream, struct sse__frame *frame) {
  frame->refs++;
  sse__subscriber_pin(&stream->hub->pins, &stream->sub, sse__frame_weight(frame));
}

void sse__outq_add_held(struct sse_stream *stream, struct sse__frame *frame) {
  hold(stream, frame);
  if (stream->outq.chunked) sse__frame_chunk(frame);
  sse__outq_add(stream, frame);
}

void sse__outq_set(struct sse_stream *stream, struct sse__frame *frame) {
  stream->outq.u.one = frame;
  stream->outq.count = 1;
  stream->outq.offset = 0;
  stream->outq.borrowed = false;
}

/* The same, each with so many bytes from before its frame's own, and so many more in all. */
static inline int pieces(struct sse_stream *stream, struct iovec *iov, int max, size_t before,
                         size_t more) {
  struct sse__outq *outq = &stream->outq;
  struct sse__frame **frames = frames_of(outq);
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
  return stream->outq.chunked ? pieces(stream, iov, max, SSE__CHUNK_HEAD_BYTES, SSE__CHUNK_BYTES)
                              : pieces(stream, iov, max, 0, 0);
}

static void release_own(struct sse_stream *stream, struct sse__frame *frame) {
  if (frame->kind == SSE__FRAME_CONTROL) {
    sse__mem_free(&stream->hub->mem, frame);
  } else if (frame->kind == SSE__FRAME_EVENT) {
    sse__subscriber_unpin(&stream->hub->pins, &stream->sub, sse__frame_weight(frame));
    sse__store_unref(&stream->hub->store, frame);
  }
}

/* Lets go of a frame that was lent, whosever it is; most are the round's. */
static inline void release(struct sse_stream *stream, struct sse__frame *frame) {
  bool borrowed = stream->outq.borrowed && frame->kind == SSE__FRAME_EVENT;
  if (!borrowed) release_own(stream, frame);
}

/* The first frame, which is given, is no longer lent. */
static void pop_first(struct sse_stream *stream, struct sse__frame *first) {
  struct sse__outq *outq = &stream->outq;
  release(stream, first);
  outq->offset = 0;
  outq->first++;
  outq->count--;
}

/* The tally of the channel that a frame came from; NULL for a stream that has left its channels. */
static struct sse__channel_counters *tally_of(struct sse_stream *stream,
                                              const struct sse__frame *frame) {
  uint32_t at = 0;
  struct sse__subscription *subscription = sse__subscriptions(stream);
  if (stream->detached) return NULL;
  while (at < stream->subscription_count && subscription->channel->number != frame->channel) {
    at++;
    subscription++;
  }
  if (at == stream->subscription_count) return NULL;
  return stream->outq.borrowed ? &subscription->u.in.feed->delivered
                               : &subscription->channel->delivered;
}

/* The latency of what is older than its stream would be the client's absence. */
static void count_event(struct sse_stream *stream, const struct sse__frame *frame,
                        struct sse__counters *counters, int64_t now_ns) {
  struct sse__channel_counters *channel = tally_of(stream, frame);
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
  if (frame->kind == SSE__FRAME_EVENT || frame->id_stripped) {
    count_event(stream, frame, counters, now_ns);
  } else if (frame->kind == SSE__FRAME_SHARED) {
    counters->heartbeats++;
  } else if (frame->position) {
    counters->positions++;
  }
}

/* The same where each frame is given with so many bytes beyond its own. */
static inline bool consume(struct sse_stream *stream, size_t bytes, struct sse__counters *counters,
                           int64_t now_ns, size_t more) {
  struct sse__outq *outq = &stream->outq;
  struct sse__frame **frames = frames_of(outq);
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
    pop_first(stream, *frames);
  }
  return bytes == 0;
}

bool sse__outq_consume(struct sse_stream *stream, size_t bytes, struct sse__counters *counters,
                       int64_t now_ns) {
  return stream->outq.chunked ? consume(stream, bytes, counters, now_ns, SSE__CHUNK_BYTES)
                              : consume(stream, bytes, counters, now_ns, 0);
}

void sse__outq_keep(struct sse_stream *stream) {
  struct sse__outq *outq = &stream->outq;
  struct sse__frame **frames = frames_of(outq);
  for (unsigned i = 0; i < outq->count; i++) {
    if (frames[i]->kind == SSE__FRAME_EVENT) hold(stream, frames[i]);
  }
  outq->borrowed = false;
}

void sse__stream_count_delivered(struct sse_stream *stream) {
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    const struct sse__window *window = &subscription->channel->window;
    if (window->keys) continue; /* it counts something else */
    bool known = stream->cursor >= window->evicted;
    subscription->delivered_count =
        known ? sse__window_ordinal(window, stream->cursor) : SSE__UNKNOWN;
  }
}

/*
 * A gap block has raised what its members count as announced, so it stays; it is small and the
 * stream's own. So does the end of a chunked body. The numbers between two frames that were lent in a row are none of this stream's
 * channels, so S may stand right below the first frame that is taken back.
 */
uint64_t sse__outq_requeue(struct sse_stream *stream) {
  struct sse__outq *outq = &stream->outq;
  struct sse__frame **frames = frames_of(outq);
  bool block = (frames[0]->kind == SSE__FRAME_CONTROL && !frames[0]->id_stripped) ||
               frames[0]->kind == SSE__FRAME_LAST;
  unsigned keep = outq->offset > 0 || block ? 1 : 0;
  uint64_t backfill_from = 0;
  bool moved = false;
  while (outq->count > keep) {
    struct sse__frame *last = frames[outq->count - 1];
    if (last->kind == SSE__FRAME_EVENT) {
      stream->cursor = last->seq - 1;
      moved = true;
    } else if (last->id_stripped) {
      backfill_from = last->seq;
    }
    release(stream, last);
    outq->count--;
  }
  stream->id_sent = keep && !frames[0]->id_stripped && !frames[0]->ephemeral ? frames[0]->seq : 0;
  if (moved && !stream->detached) sse__stream_count_delivered(stream);
  return backfill_from;
}

void sse__outq_drop(struct sse_stream *stream) {
  while (stream->outq.count > 0) pop_first(stream, *frames_of(&stream->outq));
}
