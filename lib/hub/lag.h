/* SPDX-License-Identifier: MIT */
/* lag.h: how far the standalone streams that keep up are behind. */
#ifndef SSE_LIB_LAG_H
#define SSE_LIB_LAG_H

#include <stdbool.h>
#include <stdint.h>

#include "util/list.h"

/* A stream that does not come back for more bytes for this time, in ms, does not keep up. */
#define SSE__LAG_MS_MAX 1000

/* The standalone streams of a hub that count. */
struct sse__lags {
  struct sse__list list; /* the lowest sse__lag.given first */
};

/*
 * A standalone stream counts from the publish, skip or reset that wakes it until it is armed again,
 * its transport refuses bytes, or its time is up. Guarded by the hub's lock.
 */
struct sse__lag {
  struct sse__link link; /* in the hub's list, if it counts */
  uint64_t given;        /* the stream was given all up to this number, and perhaps more */
  int64_t since_ms;      /* when it was woken, or came back for more bytes */
  bool counts;           /* it is in the list */
};

/*
 * The stream counts from now on, or still does. It has been given all up to `given`. If the last
 * one in the list was given more, it keeps its place and the number it had: the lag is never told
 * too low, and no search is needed.
 */
void sse__lag_count(struct sse__lags *lags, struct sse__lag *lag, uint64_t given, int64_t now_ms);
/* The stream counts no more. */
void sse__lag_drop(struct sse__lags *lags, struct sse__lag *lag);
/* The first in the list, after those whose time is up were dropped; NULL: none counts. */
struct sse__lag *sse__lag_slowest(struct sse__lags *lags, int64_t now_ms);

#endif
