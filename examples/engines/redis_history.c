/* SPDX-License-Identifier: MIT */
/* redis_history.c: finds out whether a log in Redis is still the one that was read. */
#include "redis_history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  ATTEMPTS_MAX = 20,
  OLDEST_VERSION = 7
};

/* ---- what the server says ---- */

static int strange(struct redis_link *link, const char *command) {
  snprintf(link->problem, sizeof link->problem, "Redis gave an unexpected answer to %s", command);
  return -1;
}

/* The value of "name:value" in the lines of INFO. */
static void read_line(const char *lines, const char *name, char *value, size_t cap) {
  const char *at = strstr(lines, name);
  *value = '\0';
  if (!at) return;
  at += strlen(name);
  snprintf(value, cap, "%.*s", (int)strcspn(at, "\r\n"), at);
}

int history_identify(struct redis_link *link, int64_t until_ms, char run_id[RUN_ID_BYTES],
                     long long *client) {
  char version[32], role[16], loading[8];
  redisReply *info = link_get(link, until_ms, COMMAND("INFO", "default"));
  if (!info) return -1;
  const char *lines = info->type == REDIS_REPLY_STRING ? info->str : "";
  read_line(lines, "\nrun_id:", run_id, RUN_ID_BYTES);
  read_line(lines, "\nredis_version:", version, sizeof version);
  read_line(lines, "\nrole:", role, sizeof role);
  read_line(lines, "\nloading:", loading, sizeof loading);
  freeReplyObject(info);
  if (!*run_id) return strange(link, "INFO");
  if (strcmp(loading, "1") == 0) {
    link_loads(link);
    return -1;
  }
  if (strtol(version, NULL, 10) < OLDEST_VERSION) {
    snprintf(link->problem, sizeof link->problem,
             "the log needs Redis 7.0 or newer, and the server is version %s", version);
    return -1;
  }
  if (strcmp(role, "master") != 0) {
    snprintf(link->problem, sizeof link->problem,
             "the Redis server is a replica, and the log needs its master");
    return -1;
  }
  redisReply *id = link_get(link, until_ms, COMMAND("CLIENT", "ID"));
  if (!id) return -1;
  *client = id->type == REDIS_REPLY_INTEGER ? id->integer : 0;
  freeReplyObject(id);
  return 0;
}

/* ---- the stream ---- */

/* A member of a reply of XINFO. */
static const redisReply *member(const redisReply *info, const char *name) {
  for (size_t i = 0; info->type == REDIS_REPLY_ARRAY && i + 1 < info->elements; i += 2)
    if (info->element[i]->type == REDIS_REPLY_STRING && strcmp(info->element[i]->str, name) == 0)
      return info->element[i + 1];
  return NULL;
}

static int id_of(const redisReply *reply, struct log_id *id) {
  return reply && reply->type == REDIS_REPLY_STRING ? log_id_parse(reply->str, id) : -1;
}

int history_last(const redisReply *info, struct log_id *last) {
  return id_of(member(info, "last-generated-id"), last);
}

int history_is_missing(const redisReply *error) {
  return error->type == REDIS_REPLY_ERROR && strncmp(error->str, "ERR no such key", 15) == 0;
}

struct stream {
  int exists;
  struct log_id last;    /* newest id that it has given */
  struct log_id first;   /* of the oldest entry, if there is any */
  struct log_id deleted; /* the highest that was deleted by XDEL */
  int is_empty;
};

static int read_info(const redisReply *info, struct stream *stream) {
  const redisReply *first = member(info, "first-entry");
  stream->exists = 1;
  if (history_last(info, &stream->last) ||
      id_of(member(info, "max-deleted-entry-id"), &stream->deleted))
    return -1;
  stream->is_empty = !first || first->type != REDIS_REPLY_ARRAY || first->elements == 0;
  return first && !stream->is_empty ? id_of(first->element[0], &stream->first) : 0;
}

static int read_stream(struct redis_link *link, int64_t until_ms, struct stream *stream) {
  *stream = (struct stream){0};
  redisReply *info = link_ask(link, until_ms, COMMAND("XINFO", "STREAM", link->url->key));
  if (!info) return -1;
  int error = 0;
  if (info->type != REDIS_REPLY_ERROR) {
    if (read_info(info, stream)) error = strange(link, "XINFO STREAM");
  } else if (strncmp(info->str, "WRONGTYPE", 9) == 0) {
    snprintf(link->problem, sizeof link->problem,
             "the key %.100s in Redis is not a stream; choose another one with ?key=NAME",
             link->url->key);
    error = -1;
  } else if (!history_is_missing(info)) {
    link_refused(link, "XINFO STREAM", info);
    error = -1;
  }
  freeReplyObject(info);
  return error;
}

/* The first entry in a range: 1; or 0, there is none; or -1. `entry` has no strings. */
static int read_first(struct redis_link *link, int64_t until_ms, struct log_id from,
                      struct log_id to, struct log_entry *entry) {
  char texts[2][LOG_ID_BYTES];
  log_id_print(from, texts[0]);
  log_id_print(to, texts[1]);
  redisReply *reply =
      link_get(link, until_ms, COMMAND("XRANGE", link->url->key, texts[0], texts[1], "COUNT", "1"));
  if (!reply) return -1;
  int found = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0;
  if (found && log_entry_read(reply->element[0], entry)) found = strange(link, "XRANGE");
  freeReplyObject(reply);
  return found;
}

/* ---- comparing ---- */

/* Whether the stream has lost what the engine has. */
static int check_tail(struct redis_link *link, int64_t until_ms, const struct log_have *have,
                      const struct stream *stream, int *lost) {
  struct log_entry entry;
  *lost = !stream->exists || log_id_compare(stream->last, have->at) < 0;
  if (*lost || !have->has_nonce) return 0;
  int found = read_first(link, until_ms, have->at, have->at, &entry);
  if (found < 0) return -1;
  int was_removed = stream->is_empty || log_id_compare(have->at, stream->first) < 0 ||
                    log_id_compare(have->at, stream->deleted) <= 0;
  *lost = found ? !entry.has_nonce || entry.entry.nonce != have->nonce : !was_removed;
  return 0;
}

/* Whether the log needs a new era; see redis_history.h. */
static int needs_era(const struct stream *stream, const struct log_have *have, int lost,
                     const struct log_rules *rules, const char *run_id) {
  uint64_t newest = stream->last.era;
  int is_own = newest == have->at.era;
  if (!stream->exists || !log_is_era(newest) || stream->last.number == UINT64_MAX) return 1;
  if (newest == rules->junk_era || (is_own && lost) || newest < have->at.era) return 1;
  if (rules->durable) return 0;
  return !log_is_of_life(newest, run_id) || (is_own && strcmp(run_id, have->run_id) != 0);
}

static int server_time(struct redis_link *link, int64_t until_ms, uint64_t *now_ms) {
  redisReply *time = link_get(link, until_ms, COMMAND("TIME"));
  if (!time) return -1;
  int valid = time->type == REDIS_REPLY_ARRAY && time->elements == 2 && time->element[0]->str &&
              time->element[1]->str;
  if (valid)
    *now_ms = strtoull(time->element[0]->str, NULL, 10) * 1000 +
              strtoull(time->element[1]->str, NULL, 10) / 1000;
  freeReplyObject(time);
  return valid ? 0 : strange(link, "TIME");
}

/* Begins an era: 1; or 0, another engine was faster; or -1. */
static int begin_era(struct redis_link *link, int64_t until_ms, const struct log_rules *rules,
                     uint64_t above, const char *run_id) {
  uint64_t now_ms;
  if (server_time(link, until_ms, &now_ms)) return -1;
  uint64_t era = log_new_era(above, now_ms, run_id);
  if (era == 0) {
    snprintf(link->problem, sizeof link->problem,
             "the newest id of the stream %.80s leaves no room for a new history; delete the key",
             link->url->key);
    return -1;
  }
  redisReply *reply = link_get(link, until_ms, COMMAND("MULTI"));
  if (!reply || log_put_begin(link, era, rules->nonce, (int64_t)now_ms)) return -1;
  freeReplyObject(reply);
  /* The answer that the command is queued comes first. */
  reply = link_ask(link, until_ms, COMMAND("EXEC"));
  if (reply && reply->type == REDIS_REPLY_ERROR) link_refused(link, "XADD", reply);
  int is_queued = reply && reply->type == REDIS_REPLY_STATUS;
  if (reply) freeReplyObject(reply);
  if (!is_queued) return -1;
  reply = link_await(link, until_ms);
  if (!reply) return -1;
  int begun = reply->type == REDIS_REPLY_ARRAY && reply->elements == 1;
  const redisReply *outcome = begun ? reply->element[0] : reply;
  if (outcome->type == REDIS_REPLY_ERROR) {
    link_refused(link, "XADD", outcome);
    begun = -1;
  }
  freeReplyObject(reply);
  return begun;
}

/* Where to begin in the newest era. */
static int find_start(struct redis_link *link, int64_t until_ms, uint64_t load_max,
                      struct log_state *state) {
  struct log_entry oldest;
  uint64_t last = state->last.number;
  int found =
      read_first(link, until_ms, (struct log_id){.era = state->last.era}, state->last, &oldest);
  if (found < 0) return -1;
  state->start = last > load_max ? last - load_max : 0;
  uint64_t before = !found ? last : oldest.id.number > 0 ? oldest.id.number - 1 : 0;
  if (before > state->start) state->start = before;
  return 0;
}

/* 1: compared; 0: once more, since the stream has changed; or -1. */
static int check_once(struct redis_link *link, int64_t until_ms, const struct log_have *have,
                      const struct log_rules *rules, struct log_state *state) {
  struct stream stream;
  int lost = 0, result = 1;
  redisReply *reply = link_get(link, until_ms, COMMAND("WATCH", link->url->key));
  if (!reply) return -1;
  freeReplyObject(reply);
  if (read_stream(link, until_ms, &stream)) return -1;
  if (have->at.era != 0 && check_tail(link, until_ms, have, &stream, &lost)) return -1;
  if (needs_era(&stream, have, lost, rules, state->run_id)) {
    uint64_t above = stream.last.era > have->at.era ? stream.last.era : have->at.era;
    result = begin_era(link, until_ms, rules, above, state->run_id);
    if (result > 0) result = read_stream(link, until_ms, &stream) ? -1 : stream.exists;
  } else {
    reply = link_get(link, until_ms, COMMAND("UNWATCH"));
    if (!reply) return -1;
    freeReplyObject(reply);
  }
  if (result <= 0) return result;
  state->last = stream.last;
  state->lost = lost || have->at.era == 0;
  return state->lost && find_start(link, until_ms, rules->load_max, state) ? -1 : 1;
}

int history_check(struct redis_link *link, int64_t until_ms, const struct log_have *have,
                  const struct log_rules *rules, struct log_state *state) {
  int result = 0;
  for (int i = 0; i < ATTEMPTS_MAX && result == 0; i++)
    result = check_once(link, until_ms, have, rules, state);
  if (result == 0)
    snprintf(link->problem, sizeof link->problem, "the stream changes while it is compared");
  return result > 0 ? 0 : -1;
}
