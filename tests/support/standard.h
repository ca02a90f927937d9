/* SPDX-License-Identifier: MIT */
/* standard.h: a second reader of text/event-stream: the HTML standard's text, word by word. */
#ifndef STANDARD_H
#define STANDARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What it says is held against what the library's parser says, and against what a server wrote. So
 * it shares nothing with the library, and is meant to be seen to be right, not to be fast: it keeps
 * all bytes of a connection. It has no limits, and aborts when memory runs out. What is not UTF-8
 * is left as it is.
 */
struct standard;

enum standard_kind {
  STANDARD_EVENT, /* one that a browser would dispatch */
  STANDARD_ID /* a block with an id and without data: nothing is dispatched, the last id is set */
};

/*
 * All strings have a NUL behind them, and are there until the next call for the same reader. The
 * type is "message" where the stream gave none. What is only an id has neither type nor data: "".
 */
struct standard_event {
  enum standard_kind kind;
  const char *type, *data;
  const char *id; /* the last event id as of this block, its own or an earlier one */
  size_t type_len, data_len, id_len;
};

/* A reader for one stream and its reconnects; last_id is from an earlier run, or "". */
struct standard *standard_new(const char *last_id);
void standard_free(struct standard *standard);

/*
 * A new connection: the last event id and the reconnection time stay. The unfinished event is
 * discarded, and so is all that standard_next was not asked for.
 */
void standard_reset(struct standard *standard);

/* The next bytes of the stream; they are copied. */
void standard_feed(struct standard *standard, const char *bytes, size_t len);

/* Reads on to the next event or id; false: all lines are read that have ended. */
bool standard_next(struct standard *standard, struct standard_event *event);

/* Both are as of what standard_next has read; ask it until it says false. */
const char *standard_last_id(const struct standard *standard);
/* From 0; -1: none was said; what is over INT64_MAX is that. */
int64_t standard_retry_ms(const struct standard *standard);

#endif
