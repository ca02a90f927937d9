/* SPDX-License-Identifier: MIT */
/* nats_writer.c: appends entries to a log in JetStream, and knows what became of each. */
#include "nats_writer.h"

#include <stdio.h>
#include <string.h>

#include "nats_json.h"
#include "nats_log.h"
#include "timing.h"

enum {
  BUFFER_BYTES = 256 * 1024, /* that are put into the buffer at a time */
  UNREPLIED_MAX = 4096,
  WRONG_STREAM = 10060, /* an error of JetStream */
  UNAVAILABLE = 503     /* a code of errors that pass, as while a cluster elects a leader */
};

/* It has a number, and is in `sent`. */
static int publish(struct nats_writer *writer, struct entry *entry) {
  char reply[128];
  size_t bytes;
  struct nats_link *link = writer->link;
  nats_link_inbox(link, 'p', entry->serial, reply, sizeof reply);
  natsMsg *message = nats_entry_write(link->url, entry, reply, &bytes);
  if (!message) return nats_link_fail(link, "out of memory");
  natsStatus status = NATS_OK;
  if (bytes > link->payload_max) {
    char problem[ENGINE_PROBLEM_MAX];
    snprintf(problem, sizeof problem,
             "an event takes %zu bytes as a message; the NATS server takes %zu (max_payload)",
             bytes, link->payload_max);
    outbox_refuse(&writer->outbox, entry, problem);
  } else {
    status = natsConnection_PublishMsg(link->connection, message);
  }
  natsMsg_Destroy(message);
  return status == NATS_OK ? 0 : nats_link_fail(link, natsStatus_GetText(status));
}

int nats_writer_send(struct nats_writer *writer) {
  size_t count = 0;
  int error = 0;
  while (!error && writer->outbox.unsent.first && nats_link_unsent(writer->link) < BUFFER_BYTES &&
         writer->outbox.sent.count < UNREPLIED_MAX) {
    struct entry *entry = entries_take(&writer->outbox.unsent);
    entry->serial = ++writer->commands;
    entries_add(&writer->outbox.sent, entry);
    error = publish(writer, entry);
    count++;
  }
  if (count > 0) writer->outbox.engine->writes++;
  return error;
}

/* JetStream did not take an entry. 0: only this one; -1: it takes none on this connection. */
static int see_error(struct nats_writer *writer, struct entry *entry, const natsMsg *reply) {
  uint64_t code = 0;
  nats_link_refused(writer->link, "to append", reply);
  json_number(natsMsg_GetData(reply), "error.code", &code);
  if (code == UNAVAILABLE || nats_link_error(reply) == WRONG_STREAM) return -1;
  outbox_refuse(&writer->outbox, entry, writer->link->problem);
  return 0;
}

static int see_reply(struct nats_writer *writer, const natsMsg *reply, uint64_t head) {
  const char *json = natsMsg_GetData(reply);
  struct entry *entry = outbox_sent(&writer->outbox, nats_link_number(reply));
  char stream[STREAM_BYTES_MAX + 1];
  uint64_t number;
  size_t len;
  if (nats_link_error(reply)) return see_error(writer, entry, reply);
  json_string(json, "stream", stream, sizeof stream);
  if (strcmp(stream, writer->link->url->stream) != 0 || !json_number(json, "seq", &number))
    return nats_link_fail(writer->link, "another stream than that of the URL took an event");
  const char *repeated = json_find(json, "duplicate", &len);
  if (!entry || number > head || (repeated && *repeated == 't')) {
    outbox_reply(&writer->outbox, entry, number);
    outbox_confirm(&writer->outbox, head);
    return 0;
  }
  return nats_link_fail(writer->link, "the stream in NATS was replaced by another one");
}

int nats_writer_receive(struct nats_writer *writer, uint64_t head) {
  natsMsg *reply = NULL;
  int error = 0, found;
  while (!error && (found = nats_link_next(writer->link, writer->link->acks, &reply,
                                           "the stream was deleted in NATS"))) {
    if (found < 0) return -1;
    error = see_reply(writer, reply, head);
    natsMsg_Destroy(reply);
  }
  return error;
}

void nats_writer_resume(struct nats_writer *writer, int64_t window_ms) {
  struct outbox *outbox = &writer->outbox;
  int64_t now_ms = clock_ms();
  struct entry *entry;
  while ((entry = outbox->sent.first) && entry->due_ms - outbox->wait_max_ms + window_ms <= now_ms)
    outbox_answer(outbox, entries_take(&outbox->sent), ENGINE_ELOG);
  outbox_resume(outbox);
}
