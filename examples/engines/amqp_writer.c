/* SPDX-License-Identifier: MIT */
/* amqp_writer.c: appends entries to a log in RabbitMQ, and knows what became of each. */
#include "amqp_writer.h"

#include <stdio.h>

enum {
  BUFFER_BYTES = 256 * 1024, /* of entries that are put into the buffer at a time */
  UNCONFIRMED_MAX = 10000
};

int amqp_writer_send(struct amqp_writer *writer) {
  struct outbox *outbox = &writer->outbox;
  size_t count = 0;
  while (outbox->unsent.first && amqp_link_unsent(&writer->link) < BUFFER_BYTES &&
         outbox->sent.count < UNCONFIRMED_MAX) {
    struct entry *entry = outbox->unsent.first;
    if (amqp_log_append(&writer->link, entry, outbox->epoch, outbox->nonce)) return -1;
    entries_take(&outbox->unsent);
    entry->serial = ++writer->published;
    entries_add(&outbox->sent, entry);
    count++;
  }
  if (count > 0) outbox->engine->writes++;
  return amqp_link_flush(&writer->link);
}

/* The server confirms one entry, or all up to it. Those that were read or that have waited for too
 * long are not in the list any more; one that is confirmed before older ones stays in it. */
static void confirm(struct amqp_writer *writer, const amqp_basic_ack_t *ack) {
  struct outbox *outbox = &writer->outbox;
  struct entry *first;
  while ((first = outbox->sent.first) && first->serial <= ack->delivery_tag &&
         (ack->multiple || first->serial == ack->delivery_tag))
    entries_add(&outbox->confirmed, entries_take(&outbox->sent));
}

static int hear(struct amqp_writer *writer, const struct amqp_heard *heard) {
  switch (heard->id) {
  case AMQP_BASIC_ACK_METHOD:
    confirm(writer, heard->method);
    return 0;
  case AMQP_BASIC_RETURN_METHOD:
    return amqp_link_fail(&writer->link, "the queue was deleted in RabbitMQ");
  case AMQP_BASIC_NACK_METHOD:
    return amqp_link_fail(&writer->link, "RabbitMQ could not append an event to the queue");
  default:
    return 0;
  }
}

/* A server that is short of memory or of disk does not take events, and says so. */
static void note_blocked(struct amqp_writer *writer) {
  char sentence[ENGINE_PROBLEM_MAX];
  if (writer->link.is_blocked == writer->was_blocked) return;
  writer->was_blocked = writer->link.is_blocked;
  snprintf(sentence, sizeof sentence, "RabbitMQ takes no events for now: %s", writer->link.reason);
  engine_problem(writer->outbox.engine, writer->was_blocked ? sentence : NULL);
}

int amqp_writer_receive(struct amqp_writer *writer) {
  struct amqp_heard heard;
  int result;
  do {
    while ((result = amqp_link_next(&writer->link, &heard)) > 0)
      if (hear(writer, &heard)) return -1;
    note_blocked(writer);
  } while (result == 0 && (result = amqp_link_fetch(&writer->link)) > 0);
  return result;
}

void amqp_writer_disconnect(struct amqp_writer *writer) {
  amqp_link_close(&writer->link);
  writer->was_blocked = 0;
}

void amqp_writer_connected(struct amqp_writer *writer) {
  writer->published = 1;
}
