/* SPDX-License-Identifier: MIT */
/* redis_writer.c: appends entries to a log in Redis, and knows what became of each. */
#include "redis_writer.h"

#include <stdio.h>
#include <string.h>

enum {
  BUFFER_BYTES = 256 * 1024, /* commands that are put into the buffer at a time */
  UNREPLIED_MAX = 10000
};

static void answer(struct redis_writer *writer, struct entry *entry, int error) {
  char own[SSE_ID_BYTES_MAX + 1];
  snprintf(own, sizeof own, "%s.%llu", writer->epoch, (unsigned long long)entry->event.number);
  engine_answer(writer->engine, entry, error, entry->event.id ? entry->event.id : own);
}

void writer_take(struct redis_writer *writer, struct entries *entries) {
  int64_t due_ms = clock_ms() + writer->wait_max_ms;
  for (struct entry *entry; (entry = entries_take(entries));) {
    entry->due_ms = due_ms;
    entry->nonce = (int64_t)((uint64_t)writer->nonce + (uint64_t)writer->nonces++);
    entries_add(&writer->unsent, entry);
  }
}

int writer_send(struct redis_writer *writer) {
  size_t count = 0;
  while (writer->unsent.first && link_unsent(&writer->link) < BUFFER_BYTES &&
         writer->sent.count < UNREPLIED_MAX) {
    struct entry *entry = writer->unsent.first;
    if (log_put_entry(&writer->link, writer->era, writer->entries_max, entry)) return -1;
    entries_take(&writer->unsent);
    entry->serial = ++writer->commands;
    entries_add(&writer->sent, entry);
    count++;
  }
  if (count > 0) writer->engine->writes++;
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
  writer->is_refused = 1;
  engine_problem(writer->engine, writer->link.problem);
  if (!entry) return 0;
  entries_take(&writer->sent);
  answer(writer, entry, ENGINE_ELOG);
  return 0;
}

static void note_success(struct redis_writer *writer) {
  if (writer->is_refused) engine_problem(writer->engine, NULL);
  writer->is_refused = 0;
}

static int see_id(struct redis_writer *writer, struct entry *entry, const char *text) {
  struct log_id id;
  if (log_id_parse(text, &id) || id.era != writer->era || id.number == 0) {
    snprintf(writer->link.problem, sizeof writer->link.problem,
             "the stream was replaced by another one: it gave the id %.60s", text);
    return -1;
  }
  if (entry && id.number > writer->passed && id.number <= writer->engine->feeder.head) {
    snprintf(writer->link.problem, sizeof writer->link.problem,
             "the stream was replaced by an older copy: it gave the id %.60s again", text);
    return -1;
  }
  note_success(writer);
  if (!entry) return 0;
  entries_take(&writer->sent);
  entry->event.number = id.number;
  if (id.number <= writer->passed)
    answer(writer, entry, 0);
  else
    entries_add(&writer->confirmed, entry);
  return 0;
}

/* The entry may be gone: it was read before its reply came, or has waited for too long. */
static int see_reply(struct redis_writer *writer, const redisReply *reply) {
  struct entry *first = writer->sent.first;
  uint64_t serial = ++writer->replies;
  struct entry *entry = first && first->serial == serial ? first : NULL;
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

void writer_resume(struct redis_writer *writer) {
  struct entries again = {0};
  entries_append(&again, &writer->confirmed);
  entries_append(&again, &writer->sent);
  entries_append(&again, &writer->unsent);
  writer->unsent = again;
}

/* ---- entries that were read ---- */

/* Takes an entry out of a list; those before it stay. */
static struct entry *claim_from(struct entries *entries, int64_t nonce) {
  struct entry **at = &entries->first, *before = NULL;
  while (*at && (*at)->nonce != nonce) {
    before = *at;
    at = &before->next;
  }
  struct entry *found = *at;
  if (!found) return NULL;
  *at = found->next;
  if (entries->last == found) entries->last = before;
  entries->count--;
  return found;
}

struct entry *writer_claim(struct redis_writer *writer, int64_t nonce) {
  uint64_t which = (uint64_t)nonce - (uint64_t)writer->nonce;
  if (which >= (uint64_t)writer->nonces) return NULL;
  struct entry *found = claim_from(&writer->confirmed, nonce);
  if (!found) found = claim_from(&writer->sent, nonce);
  if (found) note_success(writer);
  return found;
}

void writer_pass(struct redis_writer *writer, uint64_t number) {
  struct entry *entry;
  writer->passed = number;
  while ((entry = writer->confirmed.first) && entry->event.number <= number)
    answer(writer, entries_take(&writer->confirmed), 0);
}

void writer_doubt(struct redis_writer *writer) {
  struct entry *entry;
  while ((entry = writer->sent.first) && entry->serial <= writer->replies)
    answer(writer, entries_take(&writer->sent), ENGINE_ELOG);
}

void writer_begin(struct redis_writer *writer, uint64_t era, uint64_t number) {
  writer->era = era;
  writer->passed = number;
}

static int64_t expire(struct redis_writer *writer, struct entries *entries, int64_t now_ms,
                      int error) {
  while (entries->first && entries->first->due_ms <= now_ms)
    answer(writer, entries_take(entries), error);
  return entries->first ? entries->first->due_ms : INT64_MAX;
}

int64_t writer_expire(struct redis_writer *writer, int64_t now_ms) {
  int64_t confirmed = expire(writer, &writer->confirmed, now_ms, 0);
  int64_t sent = expire(writer, &writer->sent, now_ms, ENGINE_ELOG);
  int64_t unsent = expire(writer, &writer->unsent, now_ms, ENGINE_ELOG);
  int64_t next = confirmed < sent ? confirmed : sent;
  return next < unsent ? next : unsent;
}

void writer_end(struct redis_writer *writer) {
  writer_expire(writer, INT64_MAX);
}
