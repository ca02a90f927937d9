/* SPDX-License-Identifier: MIT */
/* lend.c: the bytes that a stream has lent. */
#include "lend.h"

#include "recap.h"

static struct sse__frame **frames_of(struct sse__lent *lent) {
  return lent->batched ? lent->u.batch->frames + lent->first : &lent->u.one;
}

int sse__lend_open(struct sse_stream *stream, struct sse__batch **spare) {
  struct sse__lent *lent = &stream->lent;
  struct sse__batch *batch = *spare ? *spare : sse__mem_new(&stream->hub->mem, sizeof *batch);
  if (!batch) return SSE_ENOMEM;
  *spare = NULL;
  lent->u.batch = batch;
  lent->batched = true;
  lent->first = lent->count = 0;
  lent->offset = 0;
  lent->borrowed = false;
  return SSE_OK;
}

/* The one frame that a stuck client leaves needs no batch either. */
void sse__lend_close(struct sse_stream *stream, struct sse__batch **spare) {
  struct sse__lent *lent = &stream->lent;
  if (!lent->batched || lent->count > 1) return;
  struct sse__batch *batch = lent->u.batch;
  lent->u.one = lent->count ? batch->frames[lent->first] : NULL;
  lent->batched = false;
  lent->first = 0;
  if (*spare) {
    sse__mem_free(&stream->hub->mem, batch);
  } else {
    *spare = batch;
  }
}

static void hold(struct sse_stream *stream, struct sse__frame *frame) {
  frame->refs++;
  sse__subscriber_pin(&stream->hub->pins, &stream->sub, sse__frame_weight(frame));
}

void sse__lend_hold(struct sse_stream *stream, struct sse__frame *frame) {
  hold(stream, frame);
  sse__lend_add(stream, frame);
}

void sse__lend_one(struct sse_stream *stream, struct sse__frame *frame) {
  stream->lent.u.one = frame;
  stream->lent.count = 1;
  stream->lent.offset = 0;
  stream->lent.borrowed = false;
}

int sse__lend_pieces(const struct sse_stream *stream, struct iovec *iov, int max) {
  struct sse__lent lent = stream->lent;
  struct sse__frame **frames = frames_of(&lent);
  int count = lent.count < max ? lent.count : max;
  for (int i = 0; i < count; i++) {
    iov[i].iov_base = frames[i]->bytes;
    iov[i].iov_len = frames[i]->len;
  }
  iov[0].iov_base = frames[0]->bytes + lent.offset;
  iov[0].iov_len -= lent.offset;
  return count;
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
  bool borrowed = stream->lent.borrowed && frame->kind == SSE__FRAME_EVENT;
  if (!borrowed) release_own(stream, frame);
}

/* The first frame, which is given, is no longer lent. */
static void pop_first(struct sse_stream *stream, struct sse__frame *first) {
  struct sse__lent *lent = &stream->lent;
  release(stream, first);
  lent->offset = 0;
  lent->first++;
  lent->count--;
}

/* The tally of the channel that a frame came from; NULL for a stream that has left its channels. */
static struct sse__channel_tally *tally_of(struct sse_stream *stream,
                                           const struct sse__frame *frame) {
  uint32_t at = 0;
  struct sse__member *member = sse__members(stream);
  if (stream->detached) return NULL;
  while (at < stream->members_count && member->channel->number != frame->channel) {
    at++;
    member++;
  }
  if (at == stream->members_count) return NULL;
  return stream->lent.borrowed ? &member->u.in.feed->delivered : &member->channel->delivered;
}

/* The latency of what is older than its stream would be the client's absence. */
static void count_event(struct sse_stream *stream, const struct sse__frame *frame,
                        struct sse__tally *tally, int64_t now_ns) {
  struct sse__channel_tally *channel = tally_of(stream, frame);
  tally->events++;
  if (channel) {
    channel->events++;
    channel->bytes += frame->len;
  }
  if (frame->seq <= stream->since) return;
  int64_t took_ns = now_ns > frame->born_ns ? now_ns - frame->born_ns : 0;
  unsigned place = sse__latency_place(took_ns);
  tally->latency.places[place]++;
  tally->latency.sum_ns += (uint64_t)took_ns;
  if (!channel || !channel->latency) return;
  channel->latency->places[place]++;
  channel->latency->sum_ns += (uint64_t)took_ns;
}

static void count_frame(struct sse_stream *stream, const struct sse__frame *frame,
                        struct sse__tally *tally, int64_t now_ns) {
  if (frame->kind == SSE__FRAME_EVENT || frame->bare) {
    count_event(stream, frame, tally, now_ns);
  } else if (frame->kind == SSE__FRAME_SHARED) {
    tally->heartbeats++;
  } else if (frame->position) {
    tally->positions++;
  }
}

bool sse__lend_consume(struct sse_stream *stream, size_t bytes, struct sse__tally *tally,
                       int64_t now_ns) {
  struct sse__lent *lent = &stream->lent;
  struct sse__frame **frames = frames_of(lent);
  for (; lent->count > 0; frames++) {
    size_t left = (*frames)->len - lent->offset;
    if (bytes < left) {
      lent->offset += (uint32_t)bytes;
      tally->bytes += bytes;
      return true;
    }
    bytes -= left;
    tally->bytes += left;
    count_frame(stream, *frames, tally, now_ns);
    pop_first(stream, *frames);
  }
  return bytes == 0;
}

void sse__lend_keep(struct sse_stream *stream) {
  struct sse__lent *lent = &stream->lent;
  struct sse__frame **frames = frames_of(lent);
  for (unsigned i = 0; i < lent->count; i++) {
    if (frames[i]->kind == SSE__FRAME_EVENT) hold(stream, frames[i]);
  }
  lent->borrowed = false;
}

void sse__lend_count(struct sse_stream *stream) {
  for (uint32_t i = 0; i < stream->members_count; i++) {
    struct sse__member *member = &sse__members(stream)[i];
    const struct sse__window *window = &member->channel->window;
    if (window->keys) continue; /* it counts something else */
    bool known = stream->cursor >= window->evicted;
    member->had = known ? sse__window_ordinal(window, stream->cursor) : SSE__UNKNOWN;
  }
}

/*
 * A gap block has raised what its members count as announced, so it stays; it is small and the
 * stream's own. The numbers between two frames that were lent in a row are none of this stream's
 * channels, so S may stand right below the first frame that is taken back.
 */
void sse__lend_take_back(struct sse_stream *stream) {
  struct sse__lent *lent = &stream->lent;
  struct sse__frame **frames = frames_of(lent);
  bool block = frames[0]->kind == SSE__FRAME_CONTROL && !frames[0]->bare;
  unsigned keep = lent->offset > 0 || block ? 1 : 0;
  bool moved = false;
  while (lent->count > keep) {
    struct sse__frame *last = frames[lent->count - 1];
    if (last->kind == SSE__FRAME_EVENT) {
      stream->cursor = last->seq - 1;
      moved = true;
    } else if (last->bare) {
      sse__recap_take_back(stream, last->seq);
    }
    release(stream, last);
    lent->count--;
  }
  stream->id_sent = keep && !frames[0]->bare && !frames[0]->ephemeral ? frames[0]->seq : 0;
  if (moved && !stream->detached) sse__lend_count(stream);
}

void sse__lend_drop(struct sse_stream *stream) {
  while (stream->lent.count > 0) pop_first(stream, *frames_of(&stream->lent));
}
