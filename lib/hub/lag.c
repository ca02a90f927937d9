/* SPDX-License-Identifier: MIT */
/* lag.c: how far the standalone streams that keep up are behind. */
#include "hub/lag.h"

void sse__lag_drop(struct sse__lags *lags, struct sse__lag *lag) {
  if (!lag->counts) return;
  sse__list_remove(&lags->list, &lag->link);
  lag->counts = false;
}

void sse__lag_count(struct sse__lags *lags, struct sse__lag *lag, uint64_t given, int64_t now_ms) {
  const struct sse__lag *last =
      lags->list.last ? SSE__CONTAINER(lags->list.last, struct sse__lag, link) : NULL;
  if (lag->counts && lag->given > given) given = lag->given;
  lag->since_ms = now_ms;
  bool behind = last && last != lag && last->given > given;
  if (behind && lag->counts) return; /* it keeps its place: too far behind rather than too little */
  sse__lag_drop(lags, lag);
  lag->counts = true;
  lag->given = given;
  if (behind) { /* the list is in order, so it takes the first place, at the lowest number */
    const struct sse__lag *first = SSE__LIST_FIRST(&lags->list, struct sse__lag, link);
    if (first->given < given) lag->given = first->given;
    sse__list_prepend(&lags->list, &lag->link);
    return;
  }
  sse__list_append(&lags->list, &lag->link);
}

struct sse__lag *sse__lag_slowest(struct sse__lags *lags, int64_t now_ms) {
  struct sse__lag *lag;
  while ((lag = SSE__LIST_FIRST(&lags->list, struct sse__lag, link))) {
    if (now_ms - lag->since_ms < SSE__LAG_MS_MAX) return lag;
    sse__lag_drop(lags, lag);
  }
  return NULL;
}
