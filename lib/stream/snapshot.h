/* SPDX-License-Identifier: MIT */
/* snapshot.h: the snapshot of one round of a loop: the new frames of its channels, up to one number.
 */
#ifndef SSE_LIB_ROUND_H
#define SSE_LIB_ROUND_H

#include "hub/hub.h"

/* The loop's own thread has it. */
struct sse__snapshot {
  uint64_t head;                   /* every frame up to here that is new to the loop is in it */
  struct sse__loop_feed *feeds;    /* those with something new */
  struct sse__loop_feed *visiting; /* the one whose members are being visited */
  struct sse__slot *slots;         /* feed by feed, with a reference to each frame */
  size_t count, cap;
};

int sse__snapshot_init(struct sse__snapshot *round, const struct sse__mem *mem);
void sse__snapshot_free(struct sse__snapshot *round, const struct sse__mem *mem);
/* Room for a frame of each of so many feeds; 0 or SSE_ENOMEM. */
int sse__snapshot_reserve(struct sse__snapshot *round, const struct sse__mem *mem, size_t feeds);

/*
 * Takes the snapshot, with the hub's lock held. What is too much for one round stays dirty for the
 * next; there is always some progress, and nothing to allocate.
 */
void sse__snapshot_begin(struct sse__snapshot *round, sse_hub *hub, struct sse__inbox *inbox,
                         int64_t now_ms);
/* Makes its frames ready for streams with a chunked body, with the hub's lock held. */
void sse__snapshot_chunk(struct sse__snapshot *round);
/* The next member whose channel has something new; members may come and go in between. NULL: no
 * more. */
struct sse__subscription *sse__snapshot_visit(struct sse__snapshot *round,
                                              const struct sse__loop_feed **feed);
/* Gives the snapshot back, with the hub's lock held. */
void sse__snapshot_end(struct sse__snapshot *round, sse_hub *hub, int64_t now_ms);

#endif
