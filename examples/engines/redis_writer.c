/* SPDX-License-Identifier: MIT */
/* redis_writer.c: appends entries to a log in Redis, and knows what became of each. */
#include "redis_writer.h"

#include <stdio.h>
#include <string.h>

enum {
  BUFFER_BYTES = 256 * 1024, /* commands that are put into the buffer at a time */
  UNREPLIED_MAX = 10000
};

int writer_send(struct redis_writer *writer) {
  size_t count = 0;
  while (writer->outbox.unsent.first && link_unsent(&writer->link) < BUFFER_BYTES &&
         writer->outbox.sent.count < UNREPLIED_MAX) {
    struct entry *entry = writer->outbox.unsent.first;
    if (log_put_entry(&writer->link, writer->era, writer->entries_max, entry)) return -1;
    entries_take(&writer->outbox.unsent);
    entry->serial = ++writer->commands;
    entries_add(&writer->outbox.sent, entry);
    count++;
  }
  if (count > 0) writer->outbox.engine->writes++;
  return link_flush(&writer->link);
}

/* ---- replies ---- */

static int begins_with(const char *text, const char *const *words) {
  for (; *words; words++)
    if (strncmp(text, *words, strlen(*words)) == 0) return 1;
  return 0;
}

/* The server did not take an entry. 0: only this one; -1: it takes none on this connection. */
static int see_error(struct redis_writer *writer, struct entry *entry, const redisReply *error) {
  static const char *const history[] = {"ERR The ID specified in XADD", "ERR The stream has ex",
                                        NULL};
  static const char *const server[] = {"READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "MOVED",
                                       "TRYAGAIN", "NOAUTH",  "WRONGTYPE",  NULL};
  link_refused(&writer->link, "to append", error);
  if (begins_with(error->str, history)) {
    snprintf(writer->link.problem, sizeof writer->link.problem,
             "the log has got a new history, or an id that no engine has given");
    return -1;
  }
  if (begins_with(error->str, server)) return -1;
  outbox_refuse(&writer->outbox, entry, writer->link.problem);
  return 0;
}

static int see_id(struct redis_writer *writer, struct entry *entry, const char *text) {
  struct log_id id;
  if (log_id_parse(text, &id) || id.era != writer->era || id.number == 0) {
    snprintf(writer->link.problem, sizeof writer->link.problem,
             "the stream was replaced by another one: it gave the id %.60s", text);
    return -1;
  }
  if (entry && id.number > writer->passed && id.number <= writer->outbox.engine->feeder.head) {
    snprintf(writer->link.problem, sizeof writer->link.problem,
             "the stream was replaced by an older copy: it gave the id %.60s again", text);
    return -1;
  }
  outbox_reply(&writer->outbox, entry, id.number);
  outbox_confirm(&writer->outbox, writer->passed);
  return 0;
}

/* The entry may be gone: it was read before its reply came, or has waited for too long. */
static int see_reply(struct redis_writer *writer, const redisReply *reply) {
  struct entry *entry = outbox_sent(&writer->outbox, ++writer->replies);
  if (reply->type == REDIS_REPLY_ERROR) return see_error(writer, entry, reply);
  if (reply->type == REDIS_REPLY_STRING) return see_id(writer, entry, reply->str);
  snprintf(writer->link.problem, sizeof writer->link.problem,
           "the stream %.80s was deleted in Redis", writer->link.url->key);
  return -1;
}

int writer_receive(struct redis_writer *writer) {
  redisReply *reply = NULL;
  int result = 0, seen = 0;
  if (link_fetch(&writer->link)) return -1;
  while (seen == 0 && (result = link_reply(&writer->link, &reply)) > 0) {
    seen = see_reply(writer, reply);
    freeReplyObject(reply);
  }
  return seen ? seen : result;
}

void writer_disconnect(struct redis_writer *writer) {
  link_close(&writer->link);
  writer->replies = writer->commands;
}

void writer_pass(struct redis_writer *writer, uint64_t number) {
  writer->passed = number;
  outbox_confirm(&writer->outbox, number);
}

void writer_doubt(struct redis_writer *writer) {
  outbox_doubt(&writer->outbox, writer->replies);
}

void writer_begin(struct redis_writer *writer, uint64_t era, uint64_t number) {
  writer->era = era;
  writer->passed = number;
}
