/* SPDX-License-Identifier: MIT */
/* outbox.h: entries on their way to a log in a server, each of which is answered exactly once. */
#ifndef ENGINE_OUTBOX_H
#define ENGINE_OUTBOX_H

#include "kind.h"
#include "queue.h"

/*
 * An entry goes through three lists, in order:
 *
 *     unsent --append--> sent --reply--> confirmed --read--> answered
 *
 * It is answered when the engine reads it from the log, and knows it by its nonce: its hub then has
 * it. Reading may also come before the reply.
 *
 * When the connection breaks, nobody knows whether the log has what is in `sent`. Once the log was
 * read to its end, what was not found is unsent again.
 *
 * No entry waits for longer than a given time: one that was confirmed with its number is then
 * answered 0, and any other one ENGINE_ELOG.
 */
struct outbox {
  struct engine *engine;
  int wait_max_ms;
  const char *epoch;                      /* of the history that entries are appended to */
  struct entries unsent, sent, confirmed; /* `sent` in the order of the serials of the commands */
  int64_t nonce, nonces; /* the first nonce of this engine, and how many it has given */
  int is_refused;        /* the server has refused the last entry */
};

int64_t outbox_nonce(struct outbox *outbox); /* the next one */
/* Takes over what was submitted, without waiting; 0: the queue is closed. */
int outbox_take(struct outbox *outbox, struct queue *queue);
int outbox_is_empty(const struct outbox *outbox);
/* Answers an entry that is in no list any more; its id is that of its number. */
void outbox_answer(struct outbox *outbox, struct entry *entry, int error);

/* The entry that a command has appended, if it waits for the reply; NULL: it was answered before. */
struct entry *outbox_sent(const struct outbox *outbox, uint64_t serial);
/* The log has given this number to an entry that was sent; NULL: one that was answered. */
void outbox_reply(struct outbox *outbox, struct entry *entry, uint64_t number);
/* The server does not take an entry that was sent; NULL: one that was answered. */
void outbox_refuse(struct outbox *outbox, struct entry *entry, const char *problem);
/* Answers an entry that was read, if it is one that waits, with the error of the hub. */
void outbox_read(struct outbox *outbox, const struct entry *read, int error);
/* Entries up to a number are not in the log any more: answers those that it confirmed. */
void outbox_confirm(struct outbox *outbox, uint64_t number);
/* Entries of the log were lost before they were read: answers those that may have been among them,
 * which are those of the commands up to one, and those that were confirmed without a number. */
void outbox_doubt(struct outbox *outbox, uint64_t serial);
/* The log was read to its end: all that was sent and not found is unsent again. */
void outbox_resume(struct outbox *outbox);

/* Answers what has waited for too long; gives the next moment when one will have, or INT64_MAX. */
int64_t outbox_expire(struct outbox *outbox, int64_t now_ms);
/* Answers everything. */
void outbox_end(struct outbox *outbox);

#endif
