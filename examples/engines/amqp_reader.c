/* SPDX-License-Identifier: MIT */
/* amqp_reader.c: reads a log in RabbitMQ, and feeds the hub. */
#include "amqp_reader.h"

#include <stdio.h>
#include <string.h>

enum {
  FETCHES_MAX = 16 /* of one amqp_reader_receive, so that the caller sees to other things, too */
};

void amqp_reader_begin(struct amqp_reader *reader, const struct amqp_state *state) {
  reader->end = state->end;
  reader->is_caught_up = 0;
  reader->unacknowledged = 0;
  if (!state->lost) return;
  memset(reader->writers, 0, sizeof reader->writers);
  reader->have = (struct amqp_have){.next = state->start};
  memcpy(reader->have.epoch, state->epoch, sizeof state->epoch);
  if (reader->engine->hub)
    feeder_reset(&reader->engine->feeder, reader->have.epoch, reader->have.next);
}

/* ---- entries ---- */

/* Notes the nonce of the entry: 1 if it is a second copy. A new publisher takes the place of the one
 * that was read the longest ago. */
static int is_copy(struct amqp_reader *reader, const struct amqp_entry *entry) {
  size_t place = 0;
  for (size_t i = 0; i < AMQP_WRITERS; i++) {
    if (reader->writers[i].offset > 0 && reader->writers[i].writer == entry->writer) {
      uint64_t before = (uint64_t)reader->writers[i].nonce - (uint64_t)entry->writer;
      uint64_t now = (uint64_t)entry->entry.nonce - (uint64_t)entry->writer;
      reader->writers[i].offset = entry->offset;
      if (now <= before) return 1;
      reader->writers[i].nonce = entry->entry.nonce;
      return 0;
    }
    if (reader->writers[i].offset < reader->writers[place].offset) place = i;
  }
  reader->writers[place].writer = entry->writer;
  reader->writers[place].nonce = entry->entry.nonce;
  reader->writers[place].offset = entry->offset;
  return 0;
}

/* -1: the log may have a new history. */
static int see_event(struct amqp_reader *reader, const struct amqp_entry *read) {
  struct feeder *feeder = &reader->engine->feeder;
  int is_ours = strcmp(read->epoch, reader->have.epoch) == 0;
  if (!is_ours && *read->epoch && read->offset > reader->end)
    return amqp_link_fail(&reader->link, "the log has an entry of another history");
  if (is_ours && read->has_nonce && !is_copy(reader, read)) {
    int error = feeder_give(feeder, &read->entry);
    outbox_read(&reader->writer->outbox, &read->entry, error);
    return 0;
  }
  if (!*read->epoch || (is_ours && !read->has_nonce)) feeder->refused++;
  feeder_pass(feeder, read->entry.event.number);
  return 0;
}

/* Offsets are missing before an entry. Each segment begins with a chunk of the server's own, which
 * takes one offset, and whole segments are removed: so one missing offset is that chunk, and with
 * more, an entry was removed before it was read. */
static void see_hole(struct amqp_reader *reader, uint64_t offset) {
  if (offset == reader->have.next + 1) return;
  outbox_doubt(&reader->writer->outbox, UINT64_MAX);
  feeder_skip(&reader->engine->feeder, offset);
}

static int see_entry(struct amqp_reader *reader, const struct amqp_entry *read) {
  struct amqp_have *have = &reader->have;
  if (read->offset < have->next) return 0;
  if (read->offset > have->next) see_hole(reader, read->offset);
  if (*read->begins)
    feeder_pass(&reader->engine->feeder, read->entry.event.number);
  else if (see_event(reader, read))
    return -1;
  have->next = read->offset + 1;
  if (read->has_nonce) {
    have->has_nonce = 1;
    have->offset = read->offset;
    have->nonce = read->entry.nonce;
  }
  if (reader->is_caught_up || read->offset < reader->end) return 0;
  reader->is_caught_up = 1;
  outbox_resume(&reader->writer->outbox);
  engine_problem(reader->engine, NULL);
  return 0;
}

/* ---- receiving ---- */

static int hear(struct amqp_reader *reader, const struct amqp_heard *heard) {
  if (heard->id == AMQP_BASIC_CANCEL_METHOD)
    return amqp_link_fail(&reader->link, "the queue was deleted in RabbitMQ");
  if (heard->id != AMQP_BASIC_DELIVER_METHOD) return 0;
  reader->unacknowledged = ((const amqp_basic_deliver_t *)heard->method)->delivery_tag;
  if (!amqp_history_is_of(heard, "log")) return 0;
  if (amqp_log_read(heard, &reader->entry))
    return amqp_link_fail(&reader->link, "an entry in RabbitMQ cannot be read");
  return see_entry(reader, &reader->entry);
}

static int acknowledge(struct amqp_reader *reader) {
  if (reader->unacknowledged > 0 && amqp_history_ack(&reader->link, reader->unacknowledged))
    return -1;
  reader->unacknowledged = 0;
  return amqp_link_flush(&reader->link);
}

int amqp_reader_receive(struct amqp_reader *reader) {
  struct amqp_heard heard;
  int result = 0;
  for (int i = 0; i < FETCHES_MAX; i++) {
    while ((result = amqp_link_next(&reader->link, &heard)) > 0)
      if (hear(reader, &heard)) return -1;
    if (result < 0 || acknowledge(reader)) return -1;
    result = amqp_link_fetch(&reader->link);
    if (result <= 0) return result;
  }
  return 0;
}

void amqp_reader_free(struct amqp_reader *reader) {
  amqp_link_close(&reader->link);
  amqp_log_free(&reader->entry);
}
