/* SPDX-License-Identifier: MIT */
/* sqlite.c: the engine whose log is a table in an SQLite file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kind.h"
#include "queue.h"
#include "sqlite_file.h"

/*
 * Numbers. An entry's number is its rowid. AUTOINCREMENT never gives a number again, also not after
 * the newest entries were removed. SQLite lets one transaction write at a time, so numbers become
 * visible in their order, whatever process appends.
 *
 * Durability. The journal is a write-ahead log and syncs each commit, which returns when the disk
 * has it. Where such a journal is not possible, a rollback journal does the same with more syncs
 * (synchronous=EXTRA; with a write-ahead log it is FULL). Entries that wait at the same time share a
 * transaction. The hub is given an entry after its commit, so no client sees what a crash could take
 * back.
 *
 * History. The epoch is random and stands in the table `meta`. If the file loses entries that the
 * hub was given, because an older copy was restored into it, a running engine notices by the nonce
 * of its last entry, and begins a new history. An engine that is not running cannot notice. So
 * whoever puts an older copy of the file in its place, or uses a copy beside it, gives it a new
 * history, because its next numbers were given before:
 *
 *   sqlite3 FILE "DELETE FROM meta WHERE name = 'epoch'"
 *
 * Other processes may append: another engine, or any program by
 * INSERT INTO log (channels, data) VALUES ('news', 'hello'). PRAGMA data_version says that somebody
 * did. Whoever removes entries sets `trimmed` in the same transaction, so that a reader that comes
 * too late knows that it has lost some.
 */

enum {
  BATCH_MAX = 4096, /* entries of one transaction */
  READ_MAX = 1024,  /* entries that are read at a time */
  POLL_MS = 100
};

static const uint64_t entries_default = 1000000, load_default = 100000;

struct sqlite {
  struct engine *engine;
  struct sqlite_file file;
  struct queue queue;
  pthread_t thread;
  int has_queue, has_thread;
  char epoch[SSE_EPOCH_BYTES_MAX + 1];
  uint64_t load_max;
  int poll_ms;
  int64_t data_version; /* of the file when it was read last */
  uint64_t known;       /* number of the last entry that was given to the hub, and its nonce */
  int64_t known_nonce;
  int cannot_append; /* the last batch was not committed */
};

/* ---- opening ---- */

static int open_history(struct sqlite *s, uint64_t *start) {
  int error = file_trim_all(&s->file);
  if (!error) error = file_begin(&s->file);
  if (error) return error;
  error = file_read_epoch(&s->file, s->epoch);
  if (!error && !*s->epoch) error = file_new_epoch(&s->file, s->epoch);
  if (!error) error = file_read_state(&s->file);
  if (!error) error = file_find_start(&s->file, s->load_max, start);
  return file_end(&s->file, error);
}

/* A row cannot be longer than SQLite allows; half of it is left for what is not the payload. */
static void limit_events(struct sqlite *s) {
  size_t most = (size_t)sqlite3_limit(s->file.db, SQLITE_LIMIT_LENGTH, -1) / 2;
  struct entry_limits *limits = &s->engine->limits;
  if (limits->event_bytes_max > most) limits->event_bytes_max = most;
}

static int sqlite_open(struct engine *engine, const struct engine_config *config,
                       sse_hub_config *hub) {
  struct sqlite *s = calloc(1, sizeof *s);
  if (!s) return SSE_ENOMEM;
  engine->log = s;
  *s = (struct sqlite){
      .engine = engine,
      .file = {.engine = engine,
               .entries_max = config->entries_max ? config->entries_max : entries_default,
               .age_max_ms = config->age_max_s * 1000},
      .load_max = config->load_max ? config->load_max : load_default,
      .poll_ms = config->poll_ms ? config->poll_ms : POLL_MS};
  if (!config->where) return file_refused(&s->file, "an SQLite log needs the path of a file");
  if (queue_init(&s->queue)) return SSE_ENOMEM;
  s->has_queue = 1;
  int error = file_open(&s->file, config->where);
  if (!error) error = open_history(s, &hub->start_after);
  if (!error) limit_events(s);
  hub->numbers = SSE_NUMBERS_GIVEN;
  hub->epoch = s->epoch;
  return error;
}

/* ---- from rows to entries ---- */

static const char *text_at(sqlite3_stmt *row, int column) {
  return (const char *)sqlite3_column_text(row, column);
}

/* NULL without memory. */
static struct entry *entry_of(sqlite3_stmt *row) {
  const char *list[SSE_PUBLISH_CHANNELS_MAX + 1];
  const char *stored = text_at(row, 3);
  const void *data = sqlite3_column_blob(row, 5);
  size_t data_len = (size_t)sqlite3_column_bytes(row, 5);
  if (!data && data_len > 0) return NULL;
  if (!data && sqlite3_column_type(row, 5) != SQLITE_NULL) data = ""; /* of no bytes */
  char *names = strdup(stored ? stored : "");
  if (!names) return NULL;
  entry_split_names(names, list);
  const sse_event event = {.number = (uint64_t)sqlite3_column_int64(row, 0),
                           .type = text_at(row, 4),
                           .data = data,
                           .data_len = data_len,
                           .id = text_at(row, 6),
                           .key = text_at(row, 7),
                           .comment = text_at(row, 8),
                           .retry_ms = sqlite3_column_int(row, 9),
                           .label = (uint64_t)sqlite3_column_int64(row, 10),
                           .flags = (unsigned)sqlite3_column_int(row, 11)};
  struct entry *entry = entry_new(list, &event);
  if (entry) {
    entry->at_ms = sqlite3_column_int64(row, 1);
    entry->nonce = sqlite3_column_int64(row, 2);
  }
  free(names);
  return entry;
}

/* Reads up to `max` entries after a number. */
static int read_entries(struct sqlite *s, uint64_t after, int64_t max, struct entries *entries) {
  sqlite3_stmt *read = s->file.statements[READ];
  int result;
  sqlite3_bind_int64(read, 1, (sqlite3_int64)after);
  sqlite3_bind_int64(read, 2, max);
  while ((result = sqlite3_step(read)) == SQLITE_ROW) {
    struct entry *entry = entry_of(read);
    if (!entry) break;
    entries_add(entries, entry);
  }
  int error = result == SQLITE_DONE  ? 0
              : result == SQLITE_ROW ? file_refused(&s->file, "out of memory")
                                     : file_failed(&s->file, "read the log");
  sqlite3_reset(read);
  return error;
}

/* ---- what other processes did ---- */

/* What is to be told to the hub when the transaction that has found it is over. */
struct news {
  int new_history;
  char epoch[SSE_EPOCH_BYTES_MAX + 1];
  uint64_t floor; /* what comes up to here is not given: start of the history, or trimmed */
  struct entries entries;
};

/* Whether the file has lost what the hub was given, even if it has given the numbers again. */
static int check_tail(struct sqlite *s, int *lost) {
  uint64_t head = s->engine->feeder.head;
  int64_t nonce;
  *lost = s->file.newest < head;
  if (*lost || head <= s->file.trimmed || head != s->known) return 0;
  sqlite3_bind_int64(s->file.statements[NONCE], 1, (sqlite3_int64)head);
  int error =
      file_number(&s->file, s->file.statements[NONCE], ~s->known_nonce, &nonce, "read the log");
  *lost = nonce != s->known_nonce;
  return error;
}

/* One engine names the new history of a file that has lost its tail, and the others take it up. */
static int check_history(struct sqlite *s, struct news *news) {
  int lost = 0;
  int error = file_read_epoch(&s->file, news->epoch);
  int same = strcmp(news->epoch, s->epoch) == 0;
  if (!error && same) error = check_tail(s, &lost);
  if (error || (same && !lost)) return error;
  news->new_history = 1;
  int has_name = !same && *news->epoch;
  return has_name ? 0 : file_new_epoch(&s->file, news->epoch);
}

/* In a transaction: finds what was done since the file was read last. */
static int read_news(struct sqlite *s, int64_t max, struct news *news) {
  int error = file_read_state(&s->file);
  if (!error) error = check_history(s, news);
  if (error) return error;
  news->floor = s->file.trimmed;
  if (news->new_history) error = file_find_start(&s->file, s->load_max, &news->floor);
  uint64_t head = s->engine->feeder.head;
  uint64_t after = news->new_history || news->floor > head ? news->floor : head;
  return error ? error : read_entries(s, after, max, &news->entries);
}

static int give(struct sqlite *s, const struct entry *entry) {
  s->known = entry->event.number;
  s->known_nonce = entry->nonce;
  return feeder_give(&s->engine->feeder, entry);
}

/* Outside of a transaction, since a hub may make its feeder wait. */
static void give_news(struct sqlite *s, struct news *news) {
  struct feeder *feeder = &s->engine->feeder;
  if (news->new_history) {
    memcpy(s->epoch, news->epoch, sizeof s->epoch);
    s->known = 0;
    feeder_reset(feeder, s->epoch, news->floor);
  } else if (news->floor > feeder->head) {
    feeder_skip(feeder, news->floor);
  }
  for (struct entry *entry; (entry = entries_take(&news->entries));) {
    give(s, entry);
    free(entry);
  }
}

/* Gives the hub what other processes have appended, if they did. */
static int catch_up(struct sqlite *s, int always) {
  int64_t version;
  size_t count;
  int error = file_read_version(&s->file, &version);
  if (error || (version == s->data_version && !always)) return error;
  do {
    struct news news = {0};
    error = file_begin(&s->file);
    if (error) return error;
    error = file_read_version(&s->file, &version);
    if (!error) error = read_news(s, READ_MAX, &news);
    error = file_end(&s->file, error);
    count = news.entries.count;
    if (!error) give_news(s, &news);
    entries_free(&news.entries);
  } while (!error && count == READ_MAX);
  if (!error) s->data_version = version;
  return error;
}

/* ---- appending ---- */

static void bind_number(sqlite3_stmt *insert, int column, int64_t number) {
  if (number != 0)
    sqlite3_bind_int64(insert, column, number);
  else
    sqlite3_bind_null(insert, column);
}

static int insert_entry(struct sqlite *s, struct entry *entry) {
  sqlite3_stmt *insert = s->file.statements[INSERT];
  const sse_event *ev = &entry->event;
  char *names = entry->channels[1] ? entry_join_names(entry->channels) : NULL;
  if (entry->channels[1] && !names) return file_refused(&s->file, "out of memory");
  sqlite3_randomness(sizeof entry->nonce, &entry->nonce);
  sqlite3_bind_int64(insert, 1, entry->at_ms);
  sqlite3_bind_int64(insert, 2, entry->nonce);
  sqlite3_bind_text(insert, 3, names ? names : entry->channels[0], -1, SQLITE_STATIC);
  sqlite3_bind_text(insert, 4, ev->type, -1, SQLITE_STATIC);
  sqlite3_bind_blob64(insert, 5, ev->data, ev->data_len, SQLITE_STATIC);
  sqlite3_bind_text(insert, 6, ev->id, -1, SQLITE_STATIC);
  sqlite3_bind_text(insert, 7, ev->key, -1, SQLITE_STATIC);
  sqlite3_bind_text(insert, 8, ev->comment, -1, SQLITE_STATIC);
  bind_number(insert, 9, ev->retry_ms);
  bind_number(insert, 10, (int64_t)ev->label);
  bind_number(insert, 11, (int64_t)ev->flags);
  int error = file_run(&s->file, insert, "append to the log");
  entry->event.number = error ? 0 : (uint64_t)sqlite3_last_insert_rowid(s->file.db);
  sqlite3_clear_bindings(insert);
  free(names);
  return error;
}

/* In a transaction: what others did meanwhile comes before the batch, which is appended. */
static int write_batch(struct sqlite *s, struct entries *batch, struct news *news,
                       uint64_t *trimmed) {
  int64_t version = 0;
  int error = file_check_place(&s->file);
  if (!error) error = file_read_version(&s->file, &version);
  if (!error && version != s->data_version) error = read_news(s, INT64_MAX, news);
  for (struct entry *entry = batch->first; entry && !error; entry = entry->next)
    error = insert_entry(s, entry);
  if (!error) s->file.newest = batch->last->event.number;
  if (!error) error = file_trim(&s->file, batch->count, trimmed);
  error = file_end(&s->file, error);
  if (!error) s->data_version = version;
  return error;
}

static void answer(struct sqlite *s, struct entry *entry, int error) {
  char own[SSE_ID_BYTES_MAX + 1];
  snprintf(own, sizeof own, "%s.%llu", s->epoch, (unsigned long long)entry->event.number);
  engine_answer(s->engine, entry, error, entry->event.id ? entry->event.id : own);
}

/* The hub is given what was committed, and only then the publishers are answered. */
static void append(struct sqlite *s, struct entries *batch) {
  struct news news = {0};
  uint64_t trimmed = 0;
  int error = catch_up(s, 0);
  if (!error) error = file_begin(&s->file);
  if (!error) error = write_batch(s, batch, &news, &trimmed);
  s->cannot_append = error;
  if (!error) {
    s->file.trimmed = trimmed;
    s->engine->writes++;
    engine_problem(s->engine, NULL);
    give_news(s, &news);
  }
  entries_free(&news.entries);
  for (struct entry *entry; (entry = entries_take(batch));)
    answer(s, entry, error ? error : give(s, entry));
}

/* ---- the thread ---- */

static void *serve(void *arg) {
  struct sqlite *s = arg;
  struct entries batch = {0};
  while (queue_take(&s->queue, &batch, BATCH_MAX, s->poll_ms)) {
    if (batch.first)
      append(s, &batch);
    else if (catch_up(s, 0) == 0 && file_trim_idle(&s->file) == 0 && !s->cannot_append)
      engine_problem(s->engine, NULL);
  }
  return NULL;
}

static int sqlite_start(struct engine *engine) {
  struct sqlite *s = engine->log;
  int error = catch_up(s, 1);
  if (error) return error;
  error = engine_thread(engine, &s->thread, serve, s);
  s->has_thread = !error;
  return error;
}

static int sqlite_append(struct engine *engine, struct entry *entry) {
  struct sqlite *s = engine->log;
  return queue_put(&s->queue, entry);
}

static void sqlite_stop(struct engine *engine) {
  struct sqlite *s = engine->log;
  if (s && s->has_queue) queue_close(&s->queue);
  if (s && s->has_thread) pthread_join(s->thread, NULL);
}

static void sqlite_free(struct engine *engine) {
  struct sqlite *s = engine->log;
  if (!s) return;
  file_close(&s->file);
  if (s->has_queue) queue_free(&s->queue);
  free(s);
}

const struct engine_kind engine_sqlite = {.name = "sqlite",
                                          .open = sqlite_open,
                                          .start = sqlite_start,
                                          .append = sqlite_append,
                                          .stop = sqlite_stop,
                                          .free = sqlite_free};
