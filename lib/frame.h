/* SPDX-License-Identifier: MIT */
/* frame.h: one event's encoded bytes: immutable, encoded once, shared by all readers. */
#ifndef SSE_LIB_FRAME_H
#define SSE_LIB_FRAME_H

#include "id.h"
#include "mem.h"

struct sse__window;

enum sse__frame_kind {
  SSE__FRAME_EVENT,   /* a published event */
  SSE__FRAME_CONTROL, /* a block for one stream: head, priming, gap, position; owned by that stream
                       */
  SSE__FRAME_SHARED   /* the heartbeat: the hub's, not counted */
};

/*
 * `refs` and the links are guarded by the hub's lock; the rest does not change once the frame is
 * published, so whoever holds a reference reads it without.
 */
struct sse__frame {
  struct sse__frame *older, *newer; /* the hub's frames that are in a window, by number */
  struct sse__window *window;       /* which one; NULL once it was let go */
  uint64_t seq;                     /* its number; of a control block the number of its id, or 0 */
  int64_t born_ms;                  /* when it was published */
  uint32_t refs; /* one for the window, one for each stream or round that holds it */
  uint32_t len;  /* bytes in use */
  uint32_t size; /* memory of the frame with its header */
  uint8_t kind;  /* enum sse__frame_kind */
  char bytes[];
};

/* The longest frame, bytes: lengths and sizes fit 32 bits with room to spare. */
#define SSE__FRAME_MAX_BYTES (UINT32_C(1) << 30)

/* A frame with room for `len` bytes (at most SSE__FRAME_MAX_BYTES), holding one reference and no
 * bytes yet; NULL without memory. */
struct sse__frame *sse__frame_new(const struct sse__mem *mem, enum sse__frame_kind kind,
                                  size_t len);

/*
 * Encodes all of an event but its number, which is known only under the hub's lock. 0, or an error
 * of sse_format, SSE_ETOOBIG over max bytes (with the longest id), SSE_ENOMEM.
 */
int sse__frame_encode(struct sse__frame **frame, const struct sse__mem *mem, const sse_event *ev,
                      size_t max);

/* Gives an encoded frame its number: appends the id line and the blank line. */
void sse__frame_number(struct sse__frame *frame, const struct sse__epoch *epoch, uint64_t seq);

#endif
