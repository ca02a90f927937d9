/* SPDX-License-Identifier: MIT */
/* amqp_history.h: finds out whether a log in RabbitMQ is still the one that was read. */
#ifndef AMQP_HISTORY_H
#define AMQP_HISTORY_H

#include "amqp_log.h"

/*
 * The end of a log. AMQP 0-9-1 does not tell it: the count of messages in queue.declare is some
 * seconds old, and a consumer at "last" begins with a chunk of any number of entries. So whoever
 * connects appends a mark, an entry without an event, and reads until it comes: what was in the log
 * before is then read. A mark costs one number for each connection, and nothing while it lasts. It
 * also shows that the server takes entries.
 *
 * The name of a history. Each mark proposes a new random one. The first mark of a queue, at its
 * begin, decides: several nodes that find a queue empty at the same time all append a mark, all read
 * the same first one, and append events only after that. An event that was on its way while the
 * queue was deleted and declared again may be in the new queue, even before the first mark. It
 * carries its old epoch, so every node passes over it, and its publisher, which finds that it was not
 * read, appends it again.
 *
 * If the begin of the log was removed, the first entry that has an epoch tells it: each event has
 * one, and stale events are in the log only near its begin. Only in a log in which nothing is left
 * but marks the first mark decides again.
 */

/* What a node has of the log. All zeros: nothing yet. */
struct amqp_have {
  char epoch[SSE_EPOCH_BYTES_MAX + 1]; /* ""; or the history that it has read */
  uint64_t next; /* the offset to read on at, which is the number of the last */
  int has_nonce; /* the entry at `offset` was read, and had this nonce */
  uint64_t offset;
  int64_t nonce;
};

/* How a history is compared. */
struct amqp_rules {
  uint64_t load_max;                    /* newest entries to begin with */
  int64_t writer, nonce;                /* of the mark */
  char begins[SSE_EPOCH_BYTES_MAX + 1]; /* what the mark proposes */
};

/* What the log is like at one moment. */
struct amqp_state {
  char epoch[SSE_EPOCH_BYTES_MAX + 1];
  uint64_t end;   /* offset of the mark */
  int lost;       /* it has not, or not any more, what the node has */
  uint64_t start; /* if so: the offset to begin at */
};

/*
 * Compares the log with what the node has. It is another history if its name is another one. A log
 * with the same name that is shorter than what was read, or whose entry has another nonce than the
 * node's last one, is refused: it was put back to an earlier state, and gives numbers again.
 * Then it begins to consume with the tag "log", where the node has to read on. 0; or -1, and one of
 * the links has a problem.
 */
int amqp_history_check(struct amqp_link *reading, struct amqp_link *writing, int64_t until_ms,
                       const struct amqp_have *have, const struct amqp_rules *rules,
                       struct amqp_state *state);

/* Acknowledges all messages up to a delivery; without that, no more of them come. */
int amqp_history_ack(struct amqp_link *reading, uint64_t delivery);
int amqp_history_is_of(const struct amqp_heard *heard, const char *tag); /* the consumer's tag */

#endif
