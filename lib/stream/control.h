/* SPDX-License-Identifier: MIT */
/* control.h: the blocks that libsse itself puts into a stream: opening, position, gap. */
#ifndef SSE_LIB_BLOCK_H
#define SSE_LIB_BLOCK_H

#include "stream/stream_priv.h"

/* Which of the stream's channels a gap names. */
enum sse__gap_channels {
  SSE__GAP_BEHIND, /* those where sse__subscription_lost says so */
  SSE__GAP_ALL,    /* all may have lost something */
  SSE__GAP_STATE,  /* those whose present state is no longer whole */
  SSE__GAP_ONE     /* that one */
};

/* A loss to tell of. */
struct sse__gap {
  sse_gap reason;
  const char *requested; /* the id that the client sent, of legal form; NULL: not said */
  uint8_t channels;      /* enum sse__gap_channels */
  const struct sse__channel *one;
  uint64_t lost;  /* how many events, or SSE__UNKNOWN */
  uint64_t floor; /* what is up to here is not given, though it may be retained; 0: nothing */
};

/* What one block says; the parts that are NULL, or SSE_NEVER, are left out. */
struct sse__control {
  const sse_http_head *head;
  int32_t retry_ms;
  const struct sse__gap *gap; /* or, without it: */
  bool position;              /* the stream's position, in its manner */
  uint64_t seq;               /* the number of the id */
  bool unfinished;            /* the id is marked: history follows */
  bool last;                  /* a chunked body ends behind it */
};

/*
 * Writes a control block for a stream: 0, SSE_ENOMEM, or for the head SSE_EHEADER or SSE_EINVAL. A
 * block of no bytes gives NULL, with `last`, too. With the hub's lock held if there is a gap.
 */
int sse__control_new(struct sse__frame **frame, const struct sse_stream *stream,
                     const struct sse__control *block);

#endif
