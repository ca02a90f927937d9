/* SPDX-License-Identifier: MIT */
/* wire.h: a reader of text/event-stream (HTML standard, 9.2.6), and of a gap event's data. */
#ifndef JUDGE_WIRE_H
#define JUDGE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  WIRE_ID_MAX = 256,
  WIRE_RAW_MAX = 8192,
  WIRE_NAMES_MAX = 8
};

/* What lies between two blank lines. */
typedef struct wire_block {
  char raw[WIRE_RAW_MAX]; /* its bytes, the blank line included */
  size_t raw_len;
  char type[64]; /* the event type buffer */
  char data[WIRE_RAW_MAX];
  size_t data_len;
  char id[WIRE_ID_MAX]; /* of this block, if has_id */
  bool has_id, has_data, has_comment, has_retry;
  bool other; /* it has a line that is none of these */
  int64_t retry_ms;
} wire_block;

/* One client, or one judge, that reads. */
typedef struct wire {
  char line[WIRE_RAW_MAX];
  size_t line_len;
  bool after_cr, begun;
  bool alone; /* a line ":" or "retry: N" between two blocks is a block, too */
  wire_block block;
  char id_buffer[WIRE_ID_MAX]; /* last event id buffer */
  char last_id[WIRE_ID_MAX];   /* what the client sends when it reconnects */
} wire;

/* Called for each block, also for one that dispatches nothing. */
typedef void wire_fn(void *arg, const wire_block *block);

void wire_reset(wire *reader); /* a new connection; the last id stays */
void wire_feed(wire *reader, const char *bytes, size_t len, wire_fn *block, void *arg);
bool wire_between(const wire *reader); /* no block is begun */

/* The data of a gap event. */
typedef struct wire_gap {
  char reason[32];
  char requested[WIRE_ID_MAX];
  char resume[WIRE_ID_MAX];
  char names[WIRE_NAMES_MAX][64];
  unsigned names_count;
  bool has_requested, has_lost;
  uint64_t lost;
} wire_gap;

/* Whether the text is a gap's JSON object, with its members in the order of the manual. */
bool wire_parse_gap(const char *text, wire_gap *gap);

#endif
