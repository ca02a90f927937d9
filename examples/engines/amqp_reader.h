/* SPDX-License-Identifier: MIT */
/* amqp_reader.h: reads a log in RabbitMQ, and feeds the hub. */
#ifndef AMQP_READER_H
#define AMQP_READER_H

#include "amqp_history.h"
#include "amqp_writer.h"
#include "kind.h"

enum {
  AMQP_WRITERS = 64
};

/*
 * What it passes over:
 *
 *   - marks
 *   - an entry of another history, which its publisher will append again; if it comes after the
 *     mark of this session, the log may be a new one, and is compared again
 *   - an entry without an epoch, which no engine has appended
 *   - an entry that comes a second time, because a broken connection delivered it late
 *
 * Each publisher numbers its entries, and appends them in order, whatever breaks. So the first
 * copies of its entries come in order, too, and an entry whose nonce is not above the highest one
 * is a second copy. The reader remembers that of the publishers it has read last. All readers decide
 * alike, but one that has begun to read between the two copies takes the second one.
 */
struct amqp_reader {
  struct engine *engine;
  struct amqp_writer *writer;
  struct amqp_link link;
  struct amqp_have have; /* its epoch is that of the hub */
  uint64_t end;          /* the offset of the mark of this session */
  int is_caught_up;
  uint64_t unacknowledged; /* the last delivery that was not acknowledged; 0: none */
  struct amqp_entry entry; /* the one that is read */
  struct {
    int64_t writer, nonce;
    uint64_t offset; /* of the entry; 0: the place is free, or as good as that */
  } writers[AMQP_WRITERS];
};

/* Takes up the result of amqp_history_check: it reads on, or begins with another history. */
void amqp_reader_begin(struct amqp_reader *reader, const struct amqp_state *state);
/* Takes the entries that are there, feeds the hub, and acknowledges. -1: the connection has to be
 * made again: it is broken, or the log has another history. */
int amqp_reader_receive(struct amqp_reader *reader);
void amqp_reader_free(struct amqp_reader *reader);

#endif
