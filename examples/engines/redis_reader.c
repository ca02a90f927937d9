/* SPDX-License-Identifier: MIT */
/* redis_reader.c: reads a log in Redis, feeds the hub, and watches over the log. */
#include "redis_reader.h"

#include <stdio.h>
#include <string.h>

#include "session.h"
#include "timing.h"

enum {
  STATE_MS = 500, /* between two looks at the stream, and how long XREAD waits on the server */
  COUNT_LEAST = 16,
  COUNT_MOST = 512,
  REPLY_FEW_BYTES = 512 * 1024,
  REPLY_MANY_BYTES = 4 * 1024 * 1024
};

static int problem(struct redis_reader *reader, const char *sentence) {
  snprintf(reader->link.problem, sizeof reader->link.problem, "%s", sentence);
  return -1;
}

/* Of another history the hub can not be behind yet. */
static void set_known(struct redis_reader *reader, struct log_id known) {
  reader->known = known;
  reader->engine->newest = known.era == reader->have.at.era ? known.number : 0;
}

/* ---- age ---- */

/* Remembers an entry, unless it is hardly younger than the one that was remembered before. */
static void mark_age(struct redis_reader *reader, struct log_id id, int64_t at_ms) {
  if (reader->age_max_ms == 0 || at_ms <= 0) return;
  size_t last = (reader->oldest_mark + reader->mark_count + AGE_MARKS - 1) % AGE_MARKS;
  int64_t step = (int64_t)(reader->age_max_ms / (AGE_MARKS - 2));
  if (reader->mark_count > 0 && at_ms < reader->marks[last].at_ms + step) return;
  if (reader->mark_count == AGE_MARKS) return;
  size_t next = (reader->oldest_mark + reader->mark_count++) % AGE_MARKS;
  reader->marks[next].id = id;
  reader->marks[next].at_ms = at_ms;
}

/* The id up to which entries are too old: that of a mark, which is then forgotten. */
static int take_old(struct redis_reader *reader, struct log_id *id) {
  int64_t old_ms = present_ms() - (int64_t)reader->age_max_ms;
  int found = 0;
  while (reader->mark_count > 0 && reader->marks[reader->oldest_mark].at_ms < old_ms) {
    *id = reader->marks[reader->oldest_mark].id;
    reader->oldest_mark = (reader->oldest_mark + 1) % AGE_MARKS;
    reader->mark_count--;
    found = 1;
  }
  return found;
}

/* ---- histories ---- */

static void adopt(struct redis_reader *reader, uint64_t era, uint64_t number) {
  char epoch[SSE_EPOCH_BYTES_MAX + 1];
  writer_pass(reader->writer, UINT64_MAX);
  session_epoch(era, epoch);
  memcpy(reader->epoch, epoch, sizeof epoch);
  reader->have.at = (struct log_id){.era = era, .number = number};
  reader->have.has_nonce = 0;
  writer_begin(reader->writer, era, number);
  reader->engine->newest = 0;
  if (reader->engine->hub) feeder_reset(&reader->engine->feeder, reader->epoch, number);
}

static void skip(struct redis_reader *reader, uint64_t number) {
  writer_pass(reader->writer, number);
  writer_doubt(reader->writer);
  reader->have.at.number = number;
  reader->have.has_nonce = 0;
  feeder_skip(&reader->engine->feeder, number);
}

void reader_begin(struct redis_reader *reader, const struct log_state *state) {
  if (state->lost) adopt(reader, state->last.era, state->start);
  memcpy(reader->have.run_id, state->run_id, sizeof state->run_id);
  set_known(reader, state->last);
  reader->from = reader->have.at;
  reader->is_caught_up = 0;
  reader->asked = ASKED_NOTHING;
  reader->state_due_ms = clock_ms() + STATE_MS;
  if (reader->count == 0) reader->count = COUNT_LEAST;
}

/* A later era was begun, and this engine has read up to its begin. Entries that were appended to the
 * old one, and have no reply yet, have to be appended again. */
static int change_era(struct redis_reader *reader, uint64_t era, uint64_t number) {
  int is_busy = reader->writer->replies < reader->writer->commands;
  adopt(reader, era, number);
  if (number > 0) writer_doubt(reader->writer);
  return is_busy ? problem(reader, "the log has got a new history") : 0;
}

/* ---- entries ---- */

static void give(struct redis_reader *reader, const struct log_entry *read) {
  int error = feeder_give(&reader->engine->feeder, &read->entry);
  reader->have.at = read->id;
  reader->have.has_nonce = read->has_nonce;
  reader->have.nonce = read->entry.nonce;
  mark_age(reader, read->id, read->entry.at_ms);
  if (read->has_nonce) outbox_read(&reader->writer->outbox, &read->entry, error);
}

/* An id that no engine and no XADD with * gives. It is passed over once a later era has begun. */
static int see_junk(struct redis_reader *reader, const struct log_entry *read) {
  char id[LOG_ID_BYTES];
  reader->junk_era = read->id.era;
  reader->engine->feeder.refused++;
  if (reader->known.era > read->id.era) return 0;
  log_id_print(read->id, id);
  snprintf(reader->link.problem, sizeof reader->link.problem,
           "another program has appended to the log with an id of its own, %s", id);
  return -1;
}

static int see_entry(struct redis_reader *reader, const struct log_entry *read) {
  struct log_id at = reader->have.at;
  if (log_id_compare(read->id, at) <= 0) return 0;
  if (log_id_compare(read->id, reader->known) > 0) set_known(reader, read->id);
  if (read->id.era != at.era) {
    int is_begin = read->id.number == 0;
    if (read->id.era == reader->junk_era || !log_is_era(read->id.era) ||
        (is_begin && !read->begins))
      return see_junk(reader, read);
    /* Without its begin, which was trimmed, it is entered before what is there. */
    if (change_era(reader, read->id.era, is_begin ? 0 : read->id.number - 1)) return -1;
    if (is_begin) {
      reader->have.has_nonce = read->has_nonce;
      reader->have.nonce = read->entry.nonce;
      return 0;
    }
  } else if (read->id.number > at.number + 1) {
    skip(reader, read->id.number - 1);
  }
  give(reader, read);
  return 0;
}

/* What the server has said it has, and does not give, was trimmed. */
static int pass_trimmed(struct redis_reader *reader) {
  if (log_id_compare(reader->from, reader->known) >= 0) return 0;
  reader->from = reader->known;
  if (reader->known.era != reader->have.at.era)
    return log_is_era(reader->known.era) && reader->known.era != reader->junk_era
               ? change_era(reader, reader->known.era, reader->known.number)
               : 0;
  skip(reader, reader->known.number);
  return 0;
}

static int see_end(struct redis_reader *reader) {
  if (reader->is_caught_up) return 0;
  reader->is_caught_up = 1;
  outbox_resume(&reader->writer->outbox);
  engine_problem(reader->engine, NULL);
  return 0;
}

/* The next time more entries are asked for, or fewer, so that replies have a moderate size. */
static void fit_count(struct redis_reader *reader, size_t entries, size_t bytes) {
  if (bytes > REPLY_MANY_BYTES && reader->count > 1)
    reader->count /= 2;
  else if (entries == reader->count && bytes < REPLY_FEW_BYTES && reader->count < COUNT_MOST)
    reader->count *= 2;
}

static int see_entries(struct redis_reader *reader, const redisReply *reply) {
  struct log_entry read;
  const redisReply *stream =
      reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 && reply->element[0]->elements == 2
          ? reply->element[0]->element[1]
          : NULL;
  if (!stream && reply->type != REDIS_REPLY_NIL)
    return problem(reader, "Redis gave an unexpected answer to XREAD");
  if (!stream && pass_trimmed(reader)) return -1;
  size_t count = stream ? stream->elements : 0;
  for (size_t i = 0; i < count; i++) {
    if (log_entry_read(stream->element[i], &read))
      return problem(reader, "Redis gave an unexpected answer to XREAD");
    if (see_entry(reader, &read)) return -1;
    reader->from = read.id;
  }
  if (count > 0) fit_count(reader, count, reader->link.fetched - reader->fetched);
  return count == 0 || log_id_compare(reader->from, reader->known) >= 0 ? see_end(reader) : 0;
}

static int see_state(struct redis_reader *reader, const redisReply *reply) {
  struct log_id last;
  reader->state_due_ms = clock_ms() + STATE_MS;
  if (history_last(reply, &last))
    return problem(reader, "Redis gave an unexpected answer to XINFO STREAM");
  if (log_id_compare(last, reader->have.at) < 0)
    return problem(reader, "the stream in Redis has lost entries that were in it");
  if (!log_is_era(last.era) || last.era == reader->junk_era)
    return problem(reader, "another program has appended to the log with an id of its own");
  set_known(reader, last);
  return 0;
}

static int see_reply(struct redis_reader *reader, enum reader_asked asked,
                     const redisReply *reply) {
  if (reply->type == REDIS_REPLY_ERROR) {
    link_refused(&reader->link, "to read", reply);
    return history_is_missing(reply) ? problem(reader, "the stream was deleted in Redis") : -1;
  }
  switch (asked) {
  case ASKED_ENTRIES:
    return see_entries(reader, reply);
  case ASKED_STATE:
    return see_state(reader, reply);
  default:
    return 0;
  }
}

/* ---- asking ---- */

static int put_read(struct redis_reader *reader) {
  char from[LOG_ID_BYTES], count[16], block[16];
  const char *key = reader->link.url->key;
  log_id_print(reader->from, from);
  snprintf(count, sizeof count, "%u", reader->count);
  snprintf(block, sizeof block, "%d", STATE_MS);
  reader->asked = ASKED_ENTRIES;
  reader->fetched = reader->link.fetched;
  return reader->is_caught_up
             ? link_put_strings(&reader->link, COMMAND("XREAD", "COUNT", count, "BLOCK", block,
                                                       "STREAMS", key, from))
             : link_put_strings(&reader->link,
                                COMMAND("XREAD", "COUNT", count, "STREAMS", key, from));
}

static int put_state(struct redis_reader *reader) {
  struct log_id old;
  char next[LOG_ID_BYTES];
  if (take_old(reader, &old)) {
    old.number++;
    log_id_print(old, next);
    reader->asked = ASKED_TRIM;
    return link_put_strings(&reader->link, COMMAND("XTRIM", reader->link.url->key, "MINID", next));
  }
  reader->asked = ASKED_STATE;
  return link_put_strings(&reader->link, COMMAND("XINFO", "STREAM", reader->link.url->key));
}

int reader_ask(struct redis_reader *reader) {
  int error = 0;
  if (reader->asked == ASKED_NOTHING)
    error = reader->is_caught_up && clock_ms() >= reader->state_due_ms ? put_state(reader)
                                                                       : put_read(reader);
  return error ? error : link_flush(&reader->link);
}

int reader_receive(struct redis_reader *reader) {
  redisReply *reply = NULL;
  if (link_fetch(&reader->link)) return -1;
  int result = link_reply(&reader->link, &reply);
  if (result <= 0) return result;
  enum reader_asked asked = reader->asked;
  reader->asked = ASKED_NOTHING;
  result = see_reply(reader, asked, reply);
  freeReplyObject(reply);
  return result;
}

int reader_extra_ms(const struct redis_reader *reader) {
  return reader->asked == ASKED_ENTRIES ? STATE_MS : 0;
}
