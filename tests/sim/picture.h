/* SPDX-License-Identifier: MIT */
/* picture.h: all that a hub and a stream are, so that a call that fails can be seen to change
 * nothing.
 */
#ifndef PICTURE_H
#define PICTURE_H

#include "client.h"

/* Memory is not in it: what was reserved for later may stay. */
struct picture {
  uint64_t head, floor;
  size_t bytes, window_bytes, streams, loops, channels_count, ghosts, timers;
  struct {
    bool exists, configured;
    size_t streams, frames, bytes;
    uint64_t evicted, last_ordinal;
  } channels[CLIENT_CHANNELS];
  struct {
    uint64_t cursor, announced[CLIENT_CHANNELS], had[CLIENT_CHANNELS];
    bool id_behind;
    size_t lent, offset, pinned_bytes;
    int reason;
  } stream;
};

/*
 * Takes a picture of a hub and, unless it is NULL, of one of its streams. Any look at a window may
 * let go of frames that are over their age, so what a window with such a bound has is left out. On
 * one thread only.
 */
void picture_take(struct picture *picture, const sse_hub *hub, const sse_stream *stream);
bool picture_same(const struct picture *a, const struct picture *b);

#endif
