/* SPDX-License-Identifier: MIT */
/* limits.h: what channels retain, and how many streams they may have, by patterns. */
#ifndef BROADCAST_LIMITS_H
#define BROADCAST_LIMITS_H

#include <sse/sse.h>

/* One --limit; for its pattern see pattern.h. A member that it does not name is 0. */
struct limit {
  char *pattern;
  sse_channel_config config;
};

struct limit_list {
  struct limit *items;
  size_t count;
};

/*
 * Adds a limit, PATTERN:SETTING[,SETTING]...: window=N, bytes=N with K, M or G, age=N with ms, s,
 * m, h or d, streams=N, conflate. The pattern ends at the last colon. NULL, or what is wrong.
 */
const char *limit_add(struct limit_list *list, const char *text);

/* Adds a channel that is conflated, and not dropped when it is idle. NULL, or what is wrong. */
const char *limit_add_conflated(struct limit_list *list, const char *channel);

void limit_list_free(struct limit_list *list);

/* The limits in force, which a reload replaces while requests are served. */
struct limits;

struct limits *limits_new(void); /* NULL: no memory */
void limits_free(struct limits *limits);

/* Replaces the list, and takes it over. */
void limits_set(struct limits *limits, struct limit_list *list);

/*
 * Configures channels as their limits say, before they are used; `arg` is the struct limits, and
 * the call is an engine_prepare_fn. Of the limits that cover a channel, the one whose pattern is
 * its name counts, or else the one with the longest prefix. A channel that has had events stays
 * conflated or not, whatever the limits say now.
 */
void limits_prepare(void *arg, sse_hub *hub, const char *const *channels);

#endif
