/* SPDX-License-Identifier: MIT */
/* amqp_writer.h: appends entries to a log in RabbitMQ, and knows what became of each. */
#ifndef AMQP_WRITER_H
#define AMQP_WRITER_H

#include "amqp_log.h"
#include "outbox.h"

/*
 * How an entry gets its answer is in outbox.h; basic.ack confirms it.
 *
 * When the connection breaks, nobody knows whether the log has what is in `sent`. The log is then
 * read to its end (amqp_history.h), and what was not found is appended again, in the same order and
 * with the same nonces. The server may still have the old connection's bytes in a buffer and append
 * them later. Nothing in AMQP stops that, so readers do: amqp_reader.h.
 */
struct amqp_writer {
  struct outbox outbox;
  struct amqp_link link;
  uint64_t published; /* on this connection, the mark included; it is what basic.ack counts */
  int was_blocked;
};

/* Appends what is unsent, as far as the buffer has room. */
int amqp_writer_send(struct amqp_writer *writer);
/* Takes what the server has confirmed. -1: the connection has to be made again. */
int amqp_writer_receive(struct amqp_writer *writer);
/* The connection is closed. */
void amqp_writer_disconnect(struct amqp_writer *writer);
/* A new one is open, and its mark is confirmed. */
void amqp_writer_connected(struct amqp_writer *writer);

#endif
