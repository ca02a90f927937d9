/* SPDX-License-Identifier: MIT */
/* loop.h: what a loop is inside: its ready streams, its timers, and its round. */
#ifndef SSE_LIB_LOOP_H
#define SSE_LIB_LOOP_H

#include "stream/snapshot.h"
#include "stream/stream_priv.h"

/* The loop's own thread has all of it but the inbox. */
struct sse_loop {
  struct sse__inbox inbox; /* guarded by the hub's lock */
  sse_hub *hub;
  size_t streams;                /* not detached */
  size_t chunked_streams;        /* of these, the ones with a chunked body */
  struct sse__timers timers;     /* of its streams */
  struct sse__outq_array *spare; /* the batch that was given back last */
  int64_t now_ms;                /* when the round began */
  int64_t now_ns;                /* when the clock was last read */
  uint32_t unclocked;            /* streams returned since */
  int32_t linger_ms;             /* how long new frames may wait for a round */
  bool draining;                 /* its streams are told SSE_EDRAINED when their time has come */

  /* Streams with something to do that no channel's change tells of: opened, ended, a timer. */
  struct sse_stream *ready_first, *ready_last;
  size_t ready_count;

  bool running; /* a round is under way */
  struct sse__snapshot snapshot;
  size_t ready_left;              /* ready streams that are still to be returned in this round */
  struct sse_stream *current;     /* the stream returned last, which may borrow from the round */
  struct sse__counters delivered; /* in this round, without the lock */
};

#define SSE__LOOP(in) SSE__CONTAINER(in, struct sse_loop, inbox)

/* Puts a stream on the list of those that are ready, once. */
void sse__loop_queue(struct sse_loop *loop, struct sse_stream *stream);
/* Forgets a stream that leaves, with the hub's lock held. What it borrowed it holds from then on.
 */
void sse__loop_forget(struct sse_loop *loop, struct sse_stream *stream);

#endif
