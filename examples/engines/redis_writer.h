/* SPDX-License-Identifier: MIT */
/* redis_writer.h: appends entries to a log in Redis, and knows what became of each. */
#ifndef REDIS_WRITER_H
#define REDIS_WRITER_H

#include "outbox.h"
#include "redis_link.h"
#include "redis_log.h"

/*
 * How an entry gets its answer is in outbox.h.
 *
 * When the connection breaks, nobody knows whether the log has what is in `sent`. The server ends
 * the old connection by CLIENT KILL, so that it appends nothing more that it may still have in a
 * buffer. Then the log is read to its end. What was not found is not in the log, and is unsent
 * again. Only if the log was trimmed before it was read, an entry of unknown outcome is answered
 * ENGINE_ELOG.
 */
struct redis_writer {
  struct outbox outbox;
  struct redis_link link;
  uint64_t entries_max;
  uint64_t era;      /* that entries are appended to */
  uint64_t passed;   /* entries of the era up to here were trimmed before they were read */
  uint64_t commands; /* XADD commands, over all connections */
  uint64_t replies;  /* and their replies; those that broke off count as replied */
};

/* Appends what is unsent, as far as the buffer has room, to the era. -1: the connection is broken. */
int writer_send(struct redis_writer *writer);
/* Takes the replies that are there. -1: the connection has to be made again: it is broken, or the
 * log has another history. link.problem says so. */
int writer_receive(struct redis_writer *writer);
/* The connection is closed. */
void writer_disconnect(struct redis_writer *writer);

/* Entries of the era up to a number will not be read: answers those that the log has confirmed. */
void writer_pass(struct redis_writer *writer, uint64_t number);
/* Entries were trimmed before they were read: answers those whose outcome is unknown. */
void writer_doubt(struct redis_writer *writer);
/* Later entries are appended to this era. */
void writer_begin(struct redis_writer *writer, uint64_t era, uint64_t number);

#endif
