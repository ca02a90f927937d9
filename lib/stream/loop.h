/* SPDX-License-Identifier: MIT */
/* loop.h: the private struct of a loop: its ready streams, its timers and its snapshot. */
#ifndef SSE_LIB_LOOP_H
#define SSE_LIB_LOOP_H

#include "stream/snapshot.h"
#include "stream/stream_priv.h"

/* The loop's thread owns all members except the inbox. */
struct sse_loop {
  struct sse__inbox inbox; /* the part that other threads reach; guarded by the hub's lock */
  sse_hub *hub;
  size_t streams;                /* number of streams that are not detached */
  size_t chunked_streams;        /* number of those with a chunked body */
  struct sse__timers timers;     /* one timer of each stream */
  struct sse__outq_array *spare; /* cache of one array, which the streams use in turn */
  int64_t now_ms;                /* time at which the round began */
  int64_t now_ns;                /* time at which the clock was last read */
  uint32_t unclocked;            /* number of streams returned since then */
  int32_t linger_ms;             /* time that new frames may wait for a round; 0: none */
  bool draining;                 /* streams whose time has come end with SSE_EDRAINED */

  /* Streams with work that no channel's change announces: they were opened or ended, or a timer or
   * a request is due. */
  struct sse_stream *ready_first, *ready_last;
  size_t ready_count; /* number of them, without those that were detached meanwhile */
  size_t ready_gone;  /* number of the detached ones, which stay in the list for a while */

  bool running;                 /* a round is under way */
  struct sse__fork_watch watch; /* ends the round in a child; guarded by the lock of fork.c */
  struct sse__snapshot snapshot;
  size_t ready_left;              /* number of ready streams that this round still returns */
  struct sse_stream *current;     /* stream returned last, which may borrow from the snapshot */
  struct sse__counters delivered; /* deliveries of this round, not yet added to the hub's */
};

#define SSE__LOOP(in) SSE__CONTAINER(in, struct sse_loop, inbox)

/* Puts a stream on the list of ready streams, unless it is there. */
void sse__loop_queue(struct sse_loop *loop, struct sse_stream *stream);
/*
 * Forgets a stream that is detached; the stream holds from then on what it borrowed. It may stay in
 * the list of ready streams. Requires the hub's lock, and may release it meanwhile.
 */
void sse__loop_forget(struct sse_loop *loop, struct sse_stream *stream);
/* Removes the detached streams from the list of ready ones if they are more than the others. */
void sse__loop_sweep(struct sse_loop *loop);

#endif
