/* SPDX-License-Identifier: MIT */
/* sqlite.c: the engine whose log is a table in an SQLite file. */
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kind.h"
#include "queue.h"

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
  APPLICATION_ID = 0x53534531, /* "SSE1", in the header of the file */
  SCHEMA_VERSION = 1,
  MOMENT_MS = 5,
  BUSY_MS = 5000,   /* how long a writer waits for one of another process */
  BATCH_MAX = 4096, /* entries of one transaction */
  READ_MAX = 1024,  /* entries that are read at a time */
  TRIM_MAX = 4096,  /* entries that one transaction removes, beside as many as it adds */
  TRIM_STEP_MAX = 1024,
  POLL_MS = 100,
  AGE_CHECK_MS = 1000,
  EPOCH_BYTES = 11
};

static const uint64_t entries_default = 1000000, load_default = 100000;

static const char schema[] =
    "CREATE TABLE log (number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),"
    " nonce INTEGER NOT NULL DEFAULT (random()),"
    " channels TEXT NOT NULL," /* names, with a newline between two */
    " type TEXT, data BLOB, id TEXT, key TEXT, comment TEXT,"
    " retry_ms INTEGER, label INTEGER, flags INTEGER);" /* flags as in sse/format.h */
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('trimmed', 0);";

#define COLUMNS "number, at, nonce, channels, type, data, id, key, comment, retry_ms, label, flags"

enum statement {
  INSERT,
  READ,
  NONCE,
  NEWEST,
  BEFORE_LOADED,
  OLD,
  REMOVE,
  META_READ,
  META_WRITE,
  DATA_VERSION,
  STATEMENTS
};

static const char *const statements[STATEMENTS] = {
    [INSERT] = ("INSERT INTO log (" COLUMNS ") VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    [READ] = ("SELECT " COLUMNS " FROM log WHERE number > ? ORDER BY number LIMIT ?"),
    [NONCE] = "SELECT nonce FROM log WHERE number = ?",
    [NEWEST] = "SELECT seq FROM sqlite_sequence WHERE name = 'log'",
    [BEFORE_LOADED] = "SELECT number FROM log ORDER BY number DESC LIMIT 1 OFFSET ?",
    /* Up to where all entries are old. */
    [OLD] = ("SELECT coalesce(min(CASE WHEN at >= ? THEN number END) - 1, max(number), 0)"
             " FROM (SELECT number, at FROM log ORDER BY number LIMIT ?)"),
    [REMOVE] = "DELETE FROM log WHERE number <= ?",
    [META_READ] = "SELECT value FROM meta WHERE name = ?",
    [META_WRITE] = "INSERT OR REPLACE INTO meta VALUES (?, ?)",
    [DATA_VERSION] = "PRAGMA data_version",
};

struct sqlite {
  struct engine *engine;
  sqlite3 *db;
  sqlite3_stmt *statements[STATEMENTS];
  struct queue queue;
  pthread_t thread;
  int has_queue, has_thread;
  char epoch[SSE_EPOCH_BYTES_MAX + 1];
  uint64_t entries_max, age_max_ms, load_max;
  int poll_ms;
  int64_t data_version; /* of the file when it was read last */
  uint64_t trimmed;     /* entries up to here were removed from the file */
  uint64_t known;       /* number of the last entry that was given to the hub, and its nonce */
  int64_t known_nonce;
  uint64_t newest;    /* the highest number that the file has given */
  int cannot_append;  /* the last batch was not committed */
  int64_t age_due_ms; /* when to look for old entries again, on the monotonic clock */
};

static int64_t clock_ms(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- SQLite, with its failures noted ---- */

static int failed(struct sqlite *s, const char *doing) {
  char sentence[ENGINE_PROBLEM_MAX];
  snprintf(sentence, sizeof sentence, "cannot %s: %s", doing,
           s->db ? sqlite3_errmsg(s->db) : "out of memory");
  engine_problem(s->engine, sentence);
  return ENGINE_ELOG;
}

static int refused(struct sqlite *s, const char *sentence) {
  engine_problem(s->engine, sentence);
  return ENGINE_ELOG;
}

static int execute(struct sqlite *s, const char *sql, const char *doing) {
  return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(s, doing);
}

/* Gives the first column of the first row as a number; `otherwise` without a row. */
static int number_of(struct sqlite *s, sqlite3_stmt *statement, int64_t otherwise, int64_t *number,
                     const char *doing) {
  int result = sqlite3_step(statement);
  *number = result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : otherwise;
  int error = result == SQLITE_ROW || result == SQLITE_DONE ? 0 : failed(s, doing);
  sqlite3_reset(statement);
  return error;
}

/* The same of a statement that is used once. */
static int ask(struct sqlite *s, const char *sql, int64_t *number) {
  sqlite3_stmt *statement;
  if (sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL) != SQLITE_OK)
    return failed(s, "read the file");
  int error = number_of(s, statement, 0, number, "read the file");
  sqlite3_finalize(statement);
  return error;
}

static int run(struct sqlite *s, sqlite3_stmt *statement, const char *doing) {
  int error = sqlite3_step(statement) == SQLITE_DONE ? 0 : failed(s, doing);
  sqlite3_reset(statement);
  return error;
}

static int begin(struct sqlite *s) {
  return execute(s, "BEGIN IMMEDIATE", "begin a transaction");
}

/* Commits, or takes everything back if there was an error: that error, or the commit's. */
static int end(struct sqlite *s, int error) {
  if (!error) error = execute(s, "COMMIT", "commit");
  if (error && !sqlite3_get_autocommit(s->db)) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
  return error;
}

/* ---- what the file says of itself ---- */

static int read_epoch(struct sqlite *s, char epoch[SSE_EPOCH_BYTES_MAX + 1]) {
  sqlite3_stmt *read = s->statements[META_READ];
  sqlite3_bind_text(read, 1, "epoch", -1, SQLITE_STATIC);
  int result = sqlite3_step(read);
  const char *text = result == SQLITE_ROW ? (const char *)sqlite3_column_text(read, 0) : NULL;
  snprintf(epoch, SSE_EPOCH_BYTES_MAX + 1, "%s", text ? text : "");
  sqlite3_reset(read);
  return result == SQLITE_ROW || result == SQLITE_DONE ? 0 : failed(s, "read the file");
}

static int write_meta(struct sqlite *s, const char *name, const char *text, uint64_t number) {
  sqlite3_stmt *write = s->statements[META_WRITE];
  sqlite3_bind_text(write, 1, name, -1, SQLITE_STATIC);
  if (text)
    sqlite3_bind_text(write, 2, text, -1, SQLITE_STATIC);
  else
    sqlite3_bind_int64(write, 2, (sqlite3_int64)number);
  return run(s, write, "write to the file");
}

static int new_epoch(struct sqlite *s, char epoch[SSE_EPOCH_BYTES_MAX + 1]) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  unsigned char random[EPOCH_BYTES];
  sqlite3_randomness(sizeof random, random);
  for (size_t i = 0; i < sizeof random; i++) epoch[i] = letters[random[i] & 63];
  epoch[sizeof random] = '\0';
  return write_meta(s, "epoch", epoch, 0);
}

static int read_state(struct sqlite *s) {
  int64_t trimmed, newest;
  sqlite3_stmt *meta = s->statements[META_READ];
  sqlite3_bind_text(meta, 1, "trimmed", -1, SQLITE_STATIC);
  int error = number_of(s, meta, 0, &trimmed, "read the file");
  if (!error) error = number_of(s, s->statements[NEWEST], 0, &newest, "read the file");
  if (!error) {
    s->trimmed = (uint64_t)trimmed;
    s->newest = newest > trimmed ? (uint64_t)newest : (uint64_t)trimmed;
  }
  return error;
}

/* The number after which the entries stand that a hub is given at the start of a history. */
static int find_start(struct sqlite *s, uint64_t *start) {
  int64_t before;
  sqlite3_stmt *find = s->statements[BEFORE_LOADED];
  sqlite3_bind_int64(find, 1, s->load_max < INT64_MAX ? (sqlite3_int64)s->load_max : INT64_MAX);
  int error = number_of(s, find, 0, &before, "read the file");
  *start = (uint64_t)before > s->trimmed ? (uint64_t)before : s->trimmed;
  return error;
}

/* ---- removing old entries ---- */

/* The number up to which entries are older than they may be. */
static int find_old(struct sqlite *s, uint64_t *old) {
  int64_t number = 0;
  int error = 0;
  int64_t now_ms = clock_ms(CLOCK_MONOTONIC);
  if (s->age_max_ms > 0 && now_ms >= s->age_due_ms) {
    sqlite3_stmt *find = s->statements[OLD];
    sqlite3_bind_int64(find, 1, clock_ms(CLOCK_REALTIME) - (int64_t)s->age_max_ms);
    sqlite3_bind_int64(find, 2, TRIM_MAX);
    error = number_of(s, find, 0, &number, "read the log");
    s->age_due_ms = now_ms + AGE_CHECK_MS;
  }
  *old = (uint64_t)number;
  return error;
}

/* The number up to which there are more entries than there may be; not at each entry. */
static uint64_t find_surplus(const struct sqlite *s) {
  uint64_t step = s->entries_max / 8 < TRIM_STEP_MAX ? s->entries_max / 8 : TRIM_STEP_MAX;
  if (s->newest <= s->trimmed || s->newest - s->trimmed <= s->entries_max) return 0;
  uint64_t surplus = s->newest - s->trimmed - s->entries_max;
  return surplus > step ? s->newest - s->entries_max : 0;
}

/* In a transaction that has added entries: removes a limited number of old ones, up to `trimmed`. */
static int trim(struct sqlite *s, size_t added, uint64_t *trimmed) {
  uint64_t cut;
  int error = find_old(s, &cut);
  *trimmed = s->trimmed;
  if (error) return error;
  if (find_surplus(s) > cut) cut = find_surplus(s);
  if (cut > s->trimmed + TRIM_MAX + added) cut = s->trimmed + TRIM_MAX + added;
  if (cut <= s->trimmed) return 0;
  sqlite3_bind_int64(s->statements[REMOVE], 1, (sqlite3_int64)cut);
  error = run(s, s->statements[REMOVE], "remove old entries");
  if (!error) error = write_meta(s, "trimmed", NULL, cut);
  *trimmed = cut;
  return error;
}

/* Removes old entries in a transaction of its own. */
static int trim_alone(struct sqlite *s) {
  uint64_t trimmed = s->trimmed;
  int error = begin(s);
  if (error) return error;
  error = read_state(s);
  if (!error) error = trim(s, 0, &trimmed);
  error = end(s, error);
  if (!error) s->trimmed = trimmed;
  return error;
}

/* What nobody appends to gets old, too. */
static int trim_idle(struct sqlite *s) {
  int due = s->age_max_ms > 0 && clock_ms(CLOCK_MONOTONIC) >= s->age_due_ms;
  return due ? trim_alone(s) : 0;
}

/* Before the entries are loaded. */
static int trim_all(struct sqlite *s) {
  uint64_t before;
  int error;
  do {
    before = s->trimmed;
    s->age_due_ms = 0;
    error = trim_alone(s);
  } while (!error && s->trimmed > before);
  return error;
}

/* ---- opening ---- */

/* Refuses a file that something else has made, before anything is changed in it. */
static int check_owner(struct sqlite *s, int *is_new) {
  int64_t application = 0, version = 0, tables = 0;
  if (ask(s, "PRAGMA application_id", &application) || ask(s, "PRAGMA user_version", &version) ||
      ask(s, "SELECT count(*) FROM sqlite_master", &tables))
    return ENGINE_ELOG;
  *is_new = application == 0 && tables == 0;
  if (*is_new) return 0;
  if (application != APPLICATION_ID) return refused(s, "the file is a database of another program");
  if (version != SCHEMA_VERSION)
    return refused(s, "the file was written by another version of this program");
  return 0;
}

/* In a transaction, because two processes may find the same file new. */
static int create(struct sqlite *s) {
  int is_new;
  char pragmas[96];
  snprintf(pragmas, sizeof pragmas, "PRAGMA application_id=%d; PRAGMA user_version=%d",
           APPLICATION_ID, SCHEMA_VERSION);
  int error = begin(s);
  if (error) return error;
  error = check_owner(s, &is_new);
  if (!error && is_new) error = execute(s, schema, "create the log");
  if (!error && is_new) error = execute(s, pragmas, "create the log");
  return end(s, error);
}

static int prepare(struct sqlite *s) {
  for (int i = 0; i < STATEMENTS; i++)
    if (sqlite3_prepare_v3(s->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statements[i],
                           NULL) != SQLITE_OK)
      return failed(s, "use the file");
  return 0;
}

/* SQLite does not wait by itself for another process that changes the journal, too. */
static int set_journal(struct sqlite *s) {
  int result, left_ms = BUSY_MS;
  while ((result = sqlite3_exec(s->db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL)) ==
             SQLITE_BUSY &&
         left_ms > 0) {
    sqlite3_sleep(MOMENT_MS);
    left_ms -= MOMENT_MS;
  }
  if (result != SQLITE_OK) return failed(s, "open the file");
  return execute(s, "PRAGMA synchronous=EXTRA", "open the file");
}

static int open_file(struct sqlite *s, const char *path) {
  int is_new;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK) return failed(s, "open the file");
  sqlite3_busy_timeout(s->db, BUSY_MS);
  /* In a transaction, because another process may just be creating the log. */
  int error = execute(s, "BEGIN", "read the file");
  if (!error) error = end(s, check_owner(s, &is_new));
  if (!error) error = set_journal(s);
  if (!error && is_new) error = create(s);
  return error ? error : prepare(s);
}

static int open_history(struct sqlite *s, uint64_t *start) {
  int error = trim_all(s);
  if (!error) error = begin(s);
  if (error) return error;
  error = read_epoch(s, s->epoch);
  if (!error && !*s->epoch) error = new_epoch(s, s->epoch);
  if (!error) error = read_state(s);
  if (!error) error = find_start(s, start);
  return end(s, error);
}

/* A row cannot be longer than SQLite allows; half of it is left for what is not the payload. */
static void limit_events(struct sqlite *s) {
  size_t most = (size_t)sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, -1) / 2;
  struct entry_limits *limits = &s->engine->limits;
  if (limits->event_bytes_max > most) limits->event_bytes_max = most;
}

static int sqlite_open(struct engine *engine, const struct engine_config *config,
                       sse_hub_config *hub) {
  struct sqlite *s = calloc(1, sizeof *s);
  if (!s) return SSE_ENOMEM;
  engine->log = s;
  *s = (struct sqlite){.engine = engine,
                       .entries_max = config->entries_max ? config->entries_max : entries_default,
                       .age_max_ms = config->age_max_s * 1000,
                       .load_max = config->load_max ? config->load_max : load_default,
                       .poll_ms = config->poll_ms ? config->poll_ms : POLL_MS};
  if (!config->where) return refused(s, "an SQLite log needs the path of a file");
  if (queue_init(&s->queue)) return SSE_ENOMEM;
  s->has_queue = 1;
  int error = open_file(s, config->where);
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

/* Ends each name in `names` and lists them; of more than any hub takes the list is empty. */
static void split_names(char *names, const char *list[SSE_PUBLISH_CHANNELS_MAX + 1]) {
  size_t count = 0;
  char *at = names;
  for (; at && count < SSE_PUBLISH_CHANNELS_MAX; count++) {
    char *newline = strchr(at, '\n');
    if (newline) *newline = '\0';
    list[count] = at;
    at = newline ? newline + 1 : NULL;
  }
  list[at ? 0 : count] = NULL;
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
  split_names(names, list);
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
  sqlite3_stmt *read = s->statements[READ];
  int result;
  sqlite3_bind_int64(read, 1, (sqlite3_int64)after);
  sqlite3_bind_int64(read, 2, max);
  while ((result = sqlite3_step(read)) == SQLITE_ROW) {
    struct entry *entry = entry_of(read);
    if (!entry) break;
    entries_add(entries, entry);
  }
  int error = result == SQLITE_DONE  ? 0
              : result == SQLITE_ROW ? refused(s, "out of memory")
                                     : failed(s, "read the log");
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

static int version_of(struct sqlite *s, int64_t *version) {
  return number_of(s, s->statements[DATA_VERSION], 0, version, "read the file");
}

/* Whether the file has lost what the hub was given, even if it has given the numbers again. */
static int check_tail(struct sqlite *s, int *lost) {
  uint64_t head = s->engine->feeder.head;
  int64_t nonce;
  *lost = s->newest < head;
  if (*lost || head <= s->trimmed || head != s->known) return 0;
  sqlite3_bind_int64(s->statements[NONCE], 1, (sqlite3_int64)head);
  int error = number_of(s, s->statements[NONCE], ~s->known_nonce, &nonce, "read the log");
  *lost = nonce != s->known_nonce;
  return error;
}

/* One engine names the new history of a file that has lost its tail, and the others take it up. */
static int check_history(struct sqlite *s, struct news *news) {
  int lost = 0;
  int error = read_epoch(s, news->epoch);
  int same = strcmp(news->epoch, s->epoch) == 0;
  if (!error && same) error = check_tail(s, &lost);
  if (error || (same && !lost)) return error;
  news->new_history = 1;
  int has_name = !same && *news->epoch;
  return has_name ? 0 : new_epoch(s, news->epoch);
}

/* In a transaction: finds what was done since the file was read last. */
static int read_news(struct sqlite *s, int64_t max, struct news *news) {
  int error = read_state(s);
  if (!error) error = check_history(s, news);
  if (error) return error;
  news->floor = s->trimmed;
  if (news->new_history) error = find_start(s, &news->floor);
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
  int error = version_of(s, &version);
  if (error || (version == s->data_version && !always)) return error;
  do {
    struct news news = {0};
    error = begin(s);
    if (error) return error;
    error = version_of(s, &version);
    if (!error) error = read_news(s, READ_MAX, &news);
    error = end(s, error);
    count = news.entries.count;
    if (!error) give_news(s, &news);
    entries_free(&news.entries);
  } while (!error && count == READ_MAX);
  if (!error) s->data_version = version;
  return error;
}

/* ---- appending ---- */

static char *join_names(const char *const *channels) {
  size_t bytes = 1;
  for (size_t i = 0; channels[i]; i++) bytes += strlen(channels[i]) + 1;
  char *names = malloc(bytes), *at = names;
  for (size_t i = 0; names && channels[i]; i++) {
    size_t len = strlen(channels[i]);
    memcpy(at, channels[i], len);
    at += len;
    *at++ = channels[i + 1] ? '\n' : '\0';
  }
  return names;
}

static void bind_number(sqlite3_stmt *insert, int column, int64_t number) {
  if (number != 0)
    sqlite3_bind_int64(insert, column, number);
  else
    sqlite3_bind_null(insert, column);
}

static int insert_entry(struct sqlite *s, struct entry *entry) {
  sqlite3_stmt *insert = s->statements[INSERT];
  const sse_event *ev = &entry->event;
  char *names = entry->channels[1] ? join_names(entry->channels) : NULL;
  if (entry->channels[1] && !names) return refused(s, "out of memory");
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
  int error = run(s, insert, "append to the log");
  entry->event.number = error ? 0 : (uint64_t)sqlite3_last_insert_rowid(s->db);
  sqlite3_clear_bindings(insert);
  free(names);
  return error;
}

/* A file that was removed or replaced takes entries that nobody finds again. */
static int check_place(struct sqlite *s) {
  int moved = 0;
  sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return moved ? refused(s, "the file was moved or removed; restart the program") : 0;
}

/* In a transaction: what others did meanwhile comes before the batch, which is appended. */
static int write_batch(struct sqlite *s, struct entries *batch, struct news *news,
                       uint64_t *trimmed) {
  int64_t version;
  int error = check_place(s);
  if (!error) error = version_of(s, &version);
  if (!error && version != s->data_version) error = read_news(s, INT64_MAX, news);
  for (struct entry *entry = batch->first; entry && !error; entry = entry->next)
    error = insert_entry(s, entry);
  if (!error) s->newest = batch->last->event.number;
  if (!error) error = trim(s, batch->count, trimmed);
  error = end(s, error);
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
  if (!error) error = begin(s);
  if (!error) error = write_batch(s, batch, &news, &trimmed);
  s->cannot_append = error;
  if (!error) {
    s->trimmed = trimmed;
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
    else if (catch_up(s, 0) == 0 && trim_idle(s) == 0 && !s->cannot_append)
      engine_problem(s->engine, NULL);
  }
  return NULL;
}

static int sqlite_start(struct engine *engine) {
  struct sqlite *s = engine->log;
  sigset_t all, before;
  int error = catch_up(s, 1);
  if (error) return error;
  /* Signals are for the program's own threads. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  s->has_thread = pthread_create(&s->thread, NULL, serve, s) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (s->has_thread) return 0;
  engine_problem(engine, "cannot start a thread");
  return SSE_ENOMEM;
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
  for (int i = 0; i < STATEMENTS; i++) sqlite3_finalize(s->statements[i]);
  sqlite3_close(s->db);
  if (s->has_queue) queue_free(&s->queue);
  free(s);
}

const struct engine_kind engine_sqlite = {.name = "sqlite",
                                          .open = sqlite_open,
                                          .start = sqlite_start,
                                          .append = sqlite_append,
                                          .stop = sqlite_stop,
                                          .free = sqlite_free};
