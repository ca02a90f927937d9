/* SPDX-License-Identifier: MIT */
/* nats_writer.h: appends entries to a log in JetStream, and knows what became of each. */
#ifndef NATS_WRITER_H
#define NATS_WRITER_H

#include "nats_link.h"
#include "outbox.h"

/*
 * Entries are published without waiting for each other; each has a reply subject of its own, to
 * which JetStream sends the number that it gave.
 *
 * When the connection breaks, the log is read to its end, and what was not found there is published
 * again. What the server still had in a buffer is then not stored twice, because JetStream knows
 * the nonce (Nats-Msg-Id), for as long as the stream's duplicate window. What was first sent longer
 * ago than that is not sent again, but answered ENGINE_ELOG.
 */
struct nats_writer {
  struct outbox outbox;
  struct nats_link *link;
  uint64_t commands; /* messages that were published, over all connections */
};

/* Publishes what is unsent, as far as the buffer has room. As nats_link_exchange. */
int nats_writer_send(struct nats_writer *writer);
/* Takes the replies that are there; the log was read up to a number. As nats_link_exchange. */
int nats_writer_receive(struct nats_writer *writer, uint64_t head);
/* The log was read to its end: what was not found is unsent again. */
void nats_writer_resume(struct nats_writer *writer, int64_t window_ms);

#endif
