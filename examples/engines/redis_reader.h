/* SPDX-License-Identifier: MIT */
/* redis_reader.h: reads a log in Redis, feeds the hub, and watches over the log. */
#ifndef REDIS_READER_H
#define REDIS_READER_H

#include "kind.h"
#include "redis_history.h"
#include "redis_writer.h"

enum reader_asked {
  ASKED_NOTHING,
  ASKED_ENTRIES,
  ASKED_STATE,
  ASKED_TRIM
};

enum {
  AGE_MARKS = 64
};

/*
 * One command at a time is on the way: XREAD from the last id that was read, which waits on the
 * server when the log was read to its end; and at intervals XINFO STREAM, because XREAD does not
 * notice that the stream was deleted, or trimmed to nothing.
 *
 * Old entries are removed by their age: the ids of some entries are remembered with their times.
 */
struct redis_reader {
  struct engine *engine;
  struct redis_writer *writer;
  struct redis_link link;
  struct log_have have; /* its era is that of the hub */
  char epoch[SSE_EPOCH_BYTES_MAX + 1];
  struct log_id from;  /* where to read on; it is above have.at if junk was passed over */
  struct log_id known; /* the newest id that the server has reported */
  uint64_t junk_era;   /* an era that no engine has begun: its entries are passed over */
  int is_caught_up;
  enum reader_asked asked;
  int64_t state_due_ms;
  unsigned count;      /* entries to ask for */
  size_t fetched;      /* of link.fetched, when they were asked for */
  uint64_t age_max_ms; /* 0: entries of any age stay */
  struct {
    struct log_id id;
    int64_t at_ms;
  } marks[AGE_MARKS]; /* a ring; from the oldest one on */
  size_t oldest_mark, mark_count;
};

/* Takes up the result of history_check: it reads on, or begins with another history. */
void reader_begin(struct redis_reader *reader, const struct log_state *state);
/* Asks for what is next, if nothing was asked. */
int reader_ask(struct redis_reader *reader);
/* Takes the replies that are there, and feeds the hub. As writer_receive. */
int reader_receive(struct redis_reader *reader);
/* How long the server may take for what was asked, beside its usual time. */
int reader_extra_ms(const struct redis_reader *reader);

#endif
