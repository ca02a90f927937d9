/* SPDX-License-Identifier: MIT */
/* point.h: a point in the order of a hub's events, and the number that ids have there. */
#ifndef SSE_LIB_POINT_H
#define SSE_LIB_POINT_H

#include <stdint.h>

/*
 * Inside, everything is ordered by `seq`, which a hub gives itself without holes: to each event, also
 * to an ephemeral one, and to each move of its head. Ids have a `number`. In a hub with
 * SSE_NUMBERS_OWN the two are the same. In one with SSE_NUMBERS_GIVEN the application gives the
 * numbers: they ascend with `seq`, may have holes, and stay the same where an event is ephemeral.
 */
struct sse__point {
  uint64_t seq;    /* the hub's own order */
  uint64_t number; /* events up to this number are at or below seq, and all others above it */
};

#endif
