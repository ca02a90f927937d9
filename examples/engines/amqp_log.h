/* SPDX-License-Identifier: MIT */
/* amqp_log.h: what an entry of a log in RabbitMQ looks like. */
#ifndef AMQP_LOG_H
#define AMQP_LOG_H

#include "amqp_link.h"
#include "entry.h"

/*
 * A log is one stream queue. An entry is a message: the body is the event's data, and the headers
 * are its other members, under their names in sse_event, and
 *
 *   channels  their names, with a newline between two
 *   epoch     the history that the publisher believed in
 *   writer    which publisher, a random number, the same in all of its entries
 *   nonce     writer + 1, writer + 2 ...: which of its entries
 *   at        when it was published, in ms since 1970
 *
 * A mark is an entry without an event. It has `begins`, the random name of a history, and no epoch;
 * amqp_history.h says what for. RabbitMQ adds x-stream-offset: the number of the entry, less 1.
 */
struct amqp_entry {
  uint64_t offset;
  struct entry entry; /* one that is no valid event has no channel, and any hub refuses it */
  int has_nonce;
  int64_t writer;
  char epoch[SSE_EPOCH_BYTES_MAX + 1];  /* "": it has none */
  char begins[SSE_EPOCH_BYTES_MAX + 1]; /* "": it is no mark */
  const char *channels[SSE_PUBLISH_CHANNELS_MAX + 1];
  char *memory; /* of the strings; reused for the next entry */
  size_t memory_bytes;
};

/* The bytes of an entry's strings, beside its data: they must fit into one frame. */
enum {
  AMQP_LOG_STRINGS_MAX = 100000
};
size_t amqp_log_strings(const struct entry *entry);

/* Reads a message: 0; or -1: it has no offset, so that its queue is no stream; or no memory. */
int amqp_log_read(const struct amqp_heard *heard, struct amqp_entry *entry);
void amqp_log_free(struct amqp_entry *entry);

/* Puts what appends an entry with its nonce, or a mark. */
int amqp_log_append(struct amqp_link *link, const struct entry *entry, const char *epoch,
                    int64_t writer);
int amqp_log_mark(struct amqp_link *link, const char *begins, int64_t writer, int64_t nonce);

#endif
