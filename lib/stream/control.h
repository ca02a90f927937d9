/* SPDX-License-Identifier: MIT */
/*
 * control.h: the control blocks, which the library itself puts into a stream: opening, position,
 * gap.
 */
#ifndef SSE_LIB_CONTROL_H
#define SSE_LIB_CONTROL_H

#include "stream/stream_priv.h"

/* The channels of a stream that a gap names. */
enum sse__gap_channels {
  SSE__GAP_BEHIND, /* those for which sse__subscription_lost holds */
  SSE__GAP_ALL,    /* all: each may have lost something */
  SSE__GAP_STATE,  /* conflated channels whose state is no longer complete */
  SSE__GAP_PARTS   /* those of sse__gap.parts that lost something */
};

/* A loss to report. */
struct sse__gap {
  sse_gap reason;
  const char *requested; /* legal id that the client sent; NULL: left out */
  uint8_t channels;      /* enum sse__gap_channels */
  const struct sse__backfill_part *parts;
  uint32_t parts_count;
  uint64_t above; /* losses above this number count: the client has everything up to here */
  uint64_t lost;  /* number of lost events; or SSE__UNKNOWN, which is left out */
  /* Number up to which events are skipped, although they may be retained; 0: none. */
  uint64_t floor;
};

/* The contents of one block; members that are NULL, false or SSE_NEVER are left out. */
struct sse__control {
  const sse_http_head *head;
  int32_t retry_ms;
  const struct sse__gap *gap; /* instead of a position; NULL: none */
  bool position;              /* the stream's position, in the form that it was opened with */
  struct sse__point at;       /* where the block stands; its number is in the id */
  bool finished;              /* the last event of a finished stream, instead of a position */
  bool unfinished;            /* the id is marked unfinished: a backfill follows */
  bool last;                  /* the last chunk of a chunked body follows the block */
};

/*
 * Writes a control block for a stream. Returns 0, SSE_ENOMEM, SSE_ETOOBIG, or the head's
 * SSE_EHEADER or SSE_EINVAL. A block of no bytes gives NULL, also with `last`. A block with a gap
 * requires the hub's lock.
 */
int sse__control_new(struct sse__frame **frame, const struct sse_stream *stream,
                     const struct sse__control *block);

#endif
