/* SPDX-License-Identifier: MIT */
/* redis_writer.h: appends entries to a log in Redis, and knows what became of each. */
#ifndef REDIS_WRITER_H
#define REDIS_WRITER_H

#include "kind.h"
#include "redis_link.h"
#include "redis_log.h"

/*
 * An entry goes through three lists, in order:
 *
 *     unsent --XADD--> sent --reply--> confirmed --read--> answered
 *
 * It is answered when the engine reads it from the log, and knows it by its nonce: its hub then has
 * it. Reading may also come before the reply.
 *
 * When the connection breaks, nobody knows whether the log has what is in `sent`. The server ends
 * the old connection by CLIENT KILL, so that it appends nothing more that it may still have in a
 * buffer. Then the log is read to its end. What was not found is not in the log, and is unsent
 * again. Only if the log was trimmed before it was read, an entry of unknown outcome is answered
 * ENGINE_ELOG.
 *
 * No entry waits for longer than a given time: one that is confirmed is then answered 0, and any
 * other one ENGINE_ELOG.
 */
struct redis_writer {
  struct engine *engine;
  struct redis_link link;
  uint64_t entries_max;
  int wait_max_ms;
  struct entries unsent, sent, confirmed;
  uint64_t era;          /* that entries are appended to */
  const char *epoch;     /* its name */
  uint64_t passed;       /* entries of the era up to here were trimmed before they were read */
  uint64_t commands;     /* XADD commands, over all connections */
  uint64_t replies;      /* and their replies; those that broke off count as replied */
  int64_t nonce, nonces; /* the first nonce of this engine, and how many it has given */
  int is_refused;        /* the server refused the last entry */
};

/* Takes over entries that were submitted. */
void writer_take(struct redis_writer *writer, struct entries *entries);
/* Appends what is unsent, as far as the buffer has room, to the era. -1: the connection is broken. */
int writer_send(struct redis_writer *writer);
/* Takes the replies that are there. -1: the connection has to be made again: it is broken, or the
 * log has another history. link.problem says so. */
int writer_receive(struct redis_writer *writer);
/* The connection is closed. */
void writer_disconnect(struct redis_writer *writer);
/* The log was read to its end: all that is sent and was not found is unsent again. */
void writer_resume(struct redis_writer *writer);

/* The entry with a nonce, which was read; NULL: it is not one that waits. The caller answers it. */
struct entry *writer_claim(struct redis_writer *writer, int64_t nonce);
/* Entries of the era up to a number will not be read: answers those that the log has confirmed. */
void writer_pass(struct redis_writer *writer, uint64_t number);
/* Entries were trimmed before they were read: answers those whose outcome is unknown. */
void writer_doubt(struct redis_writer *writer);
/* Later entries are appended to this era. */
void writer_begin(struct redis_writer *writer, uint64_t era, uint64_t number);
/* Answers what has waited for too long; gives the next moment when one will have, or INT64_MAX. */
int64_t writer_expire(struct redis_writer *writer, int64_t now_ms);
/* Answers everything. */
void writer_end(struct redis_writer *writer);

#endif
