/* SPDX-License-Identifier: MIT */
/* redis_log.c: what a log in Redis looks like: the ids of its entries, its histories, its fields. */
#include "redis_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

enum {
  LIFE_BITS = 22,
  ARGUMENTS_MAX = 32,
  NUMBER_BYTES = 24
};

static const uint64_t life_mask = (UINT64_C(1) << LIFE_BITS) - 1;
static const uint64_t earliest_ms = UINT64_C(1500000000000); /* 2017 */

/* ---- ids ---- */

/* The number at the begin of a text, and where it ends; NULL: there is none. */
static const char *read_number(const char *text, uint64_t *number) {
  char *end;
  if (*text < '0' || *text > '9') return NULL;
  errno = 0;
  *number = strtoull(text, &end, 10);
  return errno ? NULL : end;
}

int log_id_parse(const char *text, struct log_id *id) {
  const char *at = read_number(text, &id->era);
  if (!at || *at != '-') return -1;
  at = read_number(at + 1, &id->number);
  return at && !*at ? 0 : -1;
}

void log_id_print(struct log_id id, char text[LOG_ID_BYTES]) {
  snprintf(text, LOG_ID_BYTES, "%" PRIu64 "-%" PRIu64, id.era, id.number);
}

int log_id_compare(struct log_id a, struct log_id b) {
  if (a.era != b.era) return a.era < b.era ? -1 : 1;
  return a.number < b.number ? -1 : a.number > b.number;
}

/* ---- eras ---- */

int log_is_era(uint64_t number) {
  return number >> LIFE_BITS >= earliest_ms;
}

/* FNV-1a; all of its bits are folded. */
static uint64_t life_of(const char *run_id) {
  uint64_t hash = UINT64_C(14695981039346656037);
  for (; *run_id; run_id++) hash = (hash ^ (unsigned char)*run_id) * UINT64_C(1099511628211);
  return (hash ^ hash >> LIFE_BITS ^ hash >> 2 * LIFE_BITS) & life_mask;
}

int log_is_of_life(uint64_t era, const char *run_id) {
  return (era & life_mask) == life_of(run_id);
}

uint64_t log_new_era(uint64_t above, uint64_t now_ms, const char *run_id) {
  uint64_t last_ms = above >> LIFE_BITS;
  uint64_t ms = now_ms > earliest_ms ? now_ms : earliest_ms;
  if (ms <= last_ms) ms = last_ms + 1;
  return ms > UINT64_MAX >> LIFE_BITS ? 0 : ms << LIFE_BITS | life_of(run_id);
}

/* ---- entries that were read ---- */

/* Fields of text, and where they go. */
static const char **text_of(struct entry *entry, const char *name) {
  sse_event *ev = &entry->event;
  if (strcmp(name, "type") == 0) return &ev->type;
  if (strcmp(name, "id") == 0) return &ev->id;
  if (strcmp(name, "key") == 0) return &ev->key;
  if (strcmp(name, "comment") == 0) return &ev->comment;
  return NULL;
}

/* A field that is a number; -1 if it should be one and is not. Unknown fields are passed over. */
static int read_number_field(struct log_entry *entry, const char *name, const char *value) {
  static const char *const names[] = {"at", "retry_ms", "label", "flags"};
  sse_event *ev = &entry->entry.event;
  uint64_t number;
  size_t which = 0;
  while (which < 4 && strcmp(name, names[which]) != 0) which++;
  if (which == 4) return 0;
  int negative = *value == '-';
  const char *end = read_number(value + negative, &number);
  if (!end || *end || (negative && which != 1)) return -1;
  if (which == 2) ev->label = number;
  if (which == 2) return 0;
  if (number > (which == 0 ? INT64_MAX : INT32_MAX)) return -1;
  if (which == 0) entry->entry.at_ms = (int64_t)number;
  if (which == 1) ev->retry_ms = negative ? -(int32_t)number : (int32_t)number;
  if (which == 3) ev->flags = (unsigned)number;
  return 0;
}

static int read_nonce(struct log_entry *entry, const char *value) {
  char *end;
  errno = 0;
  entry->entry.nonce = (int64_t)strtoull(value, &end, 16);
  entry->has_nonce = !errno && end != value && !*end;
  return 0;
}

static int read_field(struct log_entry *entry, const char *name, const redisReply *value) {
  const char **text = text_of(&entry->entry, name);
  if (strcmp(name, "data") == 0) {
    entry->entry.event.data = value->str;
    entry->entry.event.data_len = (size_t)value->len;
    return 0;
  }
  if (strlen(value->str) != (size_t)value->len) return -1; /* with a NUL */
  if (strcmp(name, "channels") == 0) entry_split_names(value->str, entry->channels);
  if (strcmp(name, "history") == 0) entry->begins = 1;
  if (strcmp(name, "nonce") == 0) return read_nonce(entry, value->str);
  if (text) *text = value->str;
  return read_number_field(entry, name, value->str);
}

int log_entry_read(const redisReply *reply, struct log_entry *entry) {
  int invalid = 0;
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
      reply->element[0]->type != REDIS_REPLY_STRING ||
      reply->element[1]->type != REDIS_REPLY_ARRAY ||
      log_id_parse(reply->element[0]->str, &entry->id))
    return -1;
  const redisReply *fields = reply->element[1];
  entry->entry = (struct entry){.channels = entry->channels};
  entry->has_nonce = entry->begins = 0;
  entry->channels[0] = NULL;
  for (size_t i = 0; i + 1 < fields->elements; i += 2) {
    if (fields->element[i]->type != REDIS_REPLY_STRING ||
        fields->element[i + 1]->type != REDIS_REPLY_STRING)
      return -1;
    invalid |= read_field(entry, fields->element[i]->str, fields->element[i + 1]);
  }
  if (invalid) entry->channels[0] = NULL;
  entry->entry.event.number = entry->id.number;
  return 0;
}

/* ---- commands ---- */

struct command {
  int argc;
  const char *argv[ARGUMENTS_MAX];
  size_t lens[ARGUMENTS_MAX];
};

static void add(struct command *command, const char *text) {
  command->lens[command->argc] = strlen(text);
  command->argv[command->argc++] = text;
}

static void add_text(struct command *command, const char *name, const char *text) {
  if (!text) return;
  add(command, name);
  add(command, text);
}

/* Nothing for 0. */
static void add_number(struct command *command, const char *name, int64_t number,
                       char text[NUMBER_BYTES]) {
  if (number == 0) return;
  snprintf(text, NUMBER_BYTES, "%" PRId64, number);
  add_text(command, name, text);
}

static void add_label(struct command *command, uint64_t label, char text[NUMBER_BYTES]) {
  if (label == 0) return;
  snprintf(text, NUMBER_BYTES, "%" PRIu64, label);
  add_text(command, "label", text);
}

static void add_nonce(struct command *command, int64_t nonce, char text[NUMBER_BYTES]) {
  snprintf(text, NUMBER_BYTES, "%016" PRIx64, (uint64_t)nonce);
  add_text(command, "nonce", text);
}

int log_put_entry(struct redis_link *link, uint64_t era, uint64_t entries_max,
                  const struct entry *entry) {
  struct command command = {0};
  const sse_event *ev = &entry->event;
  char id[LOG_ID_BYTES], most[NUMBER_BYTES], at[NUMBER_BYTES], nonce[NUMBER_BYTES];
  char retry[NUMBER_BYTES], label[NUMBER_BYTES], flags[NUMBER_BYTES];
  char *names = entry->channels[1] ? entry_join_names(entry->channels) : NULL;
  if (entry->channels[1] && !names) {
    snprintf(link->problem, sizeof link->problem, "out of memory");
    return -1;
  }
  add(&command, "XADD");
  add_text(&command, link->url->key, "NOMKSTREAM");
  if (entries_max != ENGINE_FOREVER) {
    snprintf(most, sizeof most, "%" PRIu64, entries_max < INT64_MAX ? entries_max : INT64_MAX);
    add_text(&command, "MAXLEN", "~");
    add(&command, most);
  }
  snprintf(id, sizeof id, "%" PRIu64 "-*", era);
  add(&command, id);
  /* Redis stores the names of the fields once for entries that have the same. */
  add_number(&command, "at", entry->at_ms, at);
  add_nonce(&command, entry->nonce, nonce);
  add_text(&command, "channels", names ? names : entry->channels[0]);
  add(&command, "data");
  command.lens[command.argc] = ev->data_len;
  command.argv[command.argc++] = ev->data;
  add_text(&command, "type", ev->type);
  add_text(&command, "id", ev->id);
  add_text(&command, "key", ev->key);
  add_text(&command, "comment", ev->comment);
  add_number(&command, "retry_ms", ev->retry_ms, retry);
  add_label(&command, ev->label, label);
  add_number(&command, "flags", (int64_t)ev->flags, flags);
  int error = link_put(link, command.argc, command.argv, command.lens);
  free(names);
  return error;
}

int log_put_begin(struct redis_link *link, uint64_t era, int64_t nonce, int64_t at_ms) {
  struct command command = {0};
  char id[LOG_ID_BYTES], epoch[SSE_EPOCH_BYTES_MAX + 1], nonce_text[NUMBER_BYTES];
  char at[NUMBER_BYTES];
  log_id_print((struct log_id){.era = era}, id);
  session_epoch(era, epoch);
  add(&command, "XADD");
  add(&command, link->url->key);
  add(&command, id);
  add_text(&command, "history", epoch);
  add_nonce(&command, nonce, nonce_text);
  add_number(&command, "at", at_ms, at);
  return link_put(link, command.argc, command.argv, command.lens);
}
