/* SPDX-License-Identifier: MIT */
/* snapshot.h: the snapshot of one iteration (round) of a loop: the new frames of its channels up to
 * one number. */
#ifndef SSE_LIB_SNAPSHOT_H
#define SSE_LIB_SNAPSHOT_H

#include "hub/hub.h"

/* The loop's thread owns it. */
struct sse__snapshot {
  struct sse__point head;          /* up to where it has every frame that is new to the loop */
  struct sse__loop_feed *feeds;    /* list of the feeds that have something new */
  struct sse__loop_feed *visiting; /* feed whose subscriptions are being visited */
  struct sse__slot *slots;         /* frames, feed by feed, with a reference to each */
  size_t count;                    /* number of slots used */
};

/* Allocates the slots: 0 or SSE_ENOMEM. */
int sse__snapshot_init(struct sse__snapshot *snapshot, const struct sse__mem *mem);
void sse__snapshot_free(struct sse__snapshot *snapshot, const struct sse__mem *mem);

/*
 * Takes the snapshot. Feeds that begin above its head, or have more than it can hold, stay dirty
 * for the next one. It always makes progress and allocates no slots. Returns false if the search
 * for the first new frame takes longer than one hold of the lock may: the caller calls it again
 * after it has released the lock. Requires the hub's lock.
 */
bool sse__snapshot_begin(struct sse__snapshot *snapshot, sse_hub *hub, struct sse__inbox *inbox,
                         int64_t now_ms);
/* Writes the chunks of its frames, for streams with a chunked body. Requires the hub's lock. */
void sse__snapshot_chunk(struct sse__snapshot *snapshot);
/* The next subscription whose channel has something new; NULL: none is left. Subscriptions may be
 * added and removed between two calls. */
struct sse__subscription *sse__snapshot_visit(struct sse__snapshot *snapshot,
                                              const struct sse__loop_feed **feed);
/* Releases the frames and ends the round of each feed. Requires the hub's lock. */
void sse__snapshot_end(struct sse__snapshot *snapshot, sse_hub *hub, int64_t now_ms);

#endif
