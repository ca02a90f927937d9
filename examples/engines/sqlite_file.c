/* SPDX-License-Identifier: MIT */
/* sqlite_file.c: the SQLite file of a log: its tables, its history, and how old entries leave it. */
#include "sqlite_file.h"

#include <stdio.h>
#include <string.h>

#include "timing.h"

enum {
  APPLICATION_ID = 0x53534531, /* "SSE1", in the header of the file */
  SCHEMA_VERSION = 1,
  MOMENT_MS = 5,
  BUSY_MS = 5000,  /* how long a writer waits for one of another process */
  TRIM_MAX = 4096, /* entries that one transaction removes, beside as many as it adds */
  TRIM_STEP_MAX = 1024,
  AGE_CHECK_MS = 1000,
  EPOCH_BYTES = 11
};

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

static const char *const statements[FILE_STATEMENTS] = {
    [INSERT] = ("INSERT INTO log (" COLUMNS ") VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    [READ] = ("SELECT " COLUMNS " FROM log WHERE number > ? ORDER BY number LIMIT ?"),
    [NONCE] = "SELECT nonce FROM log WHERE number = ?",
    [NEWEST] = "SELECT seq FROM sqlite_sequence WHERE name = 'log'",
    [BEFORE_NEWEST] = "SELECT number FROM log ORDER BY number DESC LIMIT 1 OFFSET ?",
    /* Up to where all entries are old. */
    [OLD] = ("SELECT coalesce(min(CASE WHEN at >= ? THEN number END) - 1, max(number), 0)"
             " FROM (SELECT number, at FROM log ORDER BY number LIMIT ?)"),
    [REMOVE] = "DELETE FROM log WHERE number <= ?",
    [META_READ] = "SELECT value FROM meta WHERE name = ?",
    [META_WRITE] = "INSERT OR REPLACE INTO meta VALUES (?, ?)",
    [DATA_VERSION] = "PRAGMA data_version",
};

/* ---- SQLite, with its failures noted ---- */

int file_failed(struct sqlite_file *file, const char *doing) {
  char sentence[ENGINE_PROBLEM_MAX];
  snprintf(sentence, sizeof sentence, "cannot %s: %s", doing,
           file->db ? sqlite3_errmsg(file->db) : "out of memory");
  engine_problem(file->engine, sentence);
  return ENGINE_ELOG;
}

int file_refused(struct sqlite_file *file, const char *sentence) {
  engine_problem(file->engine, sentence);
  return ENGINE_ELOG;
}

static int execute(struct sqlite_file *file, const char *sql, const char *doing) {
  return sqlite3_exec(file->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : file_failed(file, doing);
}

int file_number(struct sqlite_file *file, sqlite3_stmt *statement, int64_t otherwise,
                int64_t *number, const char *doing) {
  int result = sqlite3_step(statement);
  *number = result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : otherwise;
  int error = result == SQLITE_ROW || result == SQLITE_DONE ? 0 : file_failed(file, doing);
  sqlite3_reset(statement);
  return error;
}

/* The first column of the first row of a statement that is used once. */
static int ask(struct sqlite_file *file, const char *sql, int64_t *number) {
  sqlite3_stmt *statement;
  if (sqlite3_prepare_v2(file->db, sql, -1, &statement, NULL) != SQLITE_OK)
    return file_failed(file, "read the file");
  int error = file_number(file, statement, 0, number, "read the file");
  sqlite3_finalize(statement);
  return error;
}

int file_run(struct sqlite_file *file, sqlite3_stmt *statement, const char *doing) {
  int error = sqlite3_step(statement) == SQLITE_DONE ? 0 : file_failed(file, doing);
  sqlite3_reset(statement);
  return error;
}

int file_begin(struct sqlite_file *file) {
  return execute(file, "BEGIN IMMEDIATE", "begin a transaction");
}

int file_end(struct sqlite_file *file, int error) {
  if (!error) error = execute(file, "COMMIT", "commit");
  if (error && !sqlite3_get_autocommit(file->db))
    sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
  return error;
}

/* ---- what the file says of itself ---- */

int file_read_epoch(struct sqlite_file *file, char epoch[SSE_EPOCH_BYTES_MAX + 1]) {
  sqlite3_stmt *read = file->statements[META_READ];
  sqlite3_bind_text(read, 1, "epoch", -1, SQLITE_STATIC);
  int result = sqlite3_step(read);
  const char *text = result == SQLITE_ROW ? (const char *)sqlite3_column_text(read, 0) : NULL;
  snprintf(epoch, SSE_EPOCH_BYTES_MAX + 1, "%s", text ? text : "");
  sqlite3_reset(read);
  return result == SQLITE_ROW || result == SQLITE_DONE ? 0 : file_failed(file, "read the file");
}

static int write_meta(struct sqlite_file *file, const char *name, const char *text,
                      uint64_t number) {
  sqlite3_stmt *write = file->statements[META_WRITE];
  sqlite3_bind_text(write, 1, name, -1, SQLITE_STATIC);
  if (text)
    sqlite3_bind_text(write, 2, text, -1, SQLITE_STATIC);
  else
    sqlite3_bind_int64(write, 2, (sqlite3_int64)number);
  return file_run(file, write, "write to the file");
}

int file_new_epoch(struct sqlite_file *file, char epoch[SSE_EPOCH_BYTES_MAX + 1]) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  unsigned char random[EPOCH_BYTES];
  sqlite3_randomness(sizeof random, random);
  for (size_t i = 0; i < sizeof random; i++) epoch[i] = letters[random[i] & 63];
  epoch[sizeof random] = '\0';
  return write_meta(file, "epoch", epoch, 0);
}

int file_read_state(struct sqlite_file *file) {
  int64_t trimmed, newest;
  sqlite3_stmt *meta = file->statements[META_READ];
  sqlite3_bind_text(meta, 1, "trimmed", -1, SQLITE_STATIC);
  int error = file_number(file, meta, 0, &trimmed, "read the file");
  if (!error) error = file_number(file, file->statements[NEWEST], 0, &newest, "read the file");
  if (!error) {
    file->trimmed = (uint64_t)trimmed;
    file->newest = newest > trimmed ? (uint64_t)newest : (uint64_t)trimmed;
  }
  return error;
}

int file_find_start(struct sqlite_file *file, uint64_t newest_max, uint64_t *start) {
  int64_t before;
  sqlite3_stmt *find = file->statements[BEFORE_NEWEST];
  sqlite3_bind_int64(find, 1, newest_max < INT64_MAX ? (sqlite3_int64)newest_max : INT64_MAX);
  int error = file_number(file, find, 0, &before, "read the file");
  *start = (uint64_t)before > file->trimmed ? (uint64_t)before : file->trimmed;
  return error;
}

int file_read_version(struct sqlite_file *file, int64_t *version) {
  return file_number(file, file->statements[DATA_VERSION], 0, version, "read the file");
}

int file_check_place(struct sqlite_file *file) {
  int moved = 0;
  sqlite3_file_control(file->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return moved ? file_refused(file, "the file was moved or removed; restart the program") : 0;
}

/* ---- removing old entries ---- */

/* The number up to which entries are older than they may be. */
static int find_old(struct sqlite_file *file, uint64_t *old) {
  int64_t number = 0;
  int error = 0;
  int64_t now_ms = clock_ms();
  if (file->age_max_ms > 0 && now_ms >= file->age_due_ms) {
    sqlite3_stmt *find = file->statements[OLD];
    sqlite3_bind_int64(find, 1, present_ms() - (int64_t)file->age_max_ms);
    sqlite3_bind_int64(find, 2, TRIM_MAX);
    error = file_number(file, find, 0, &number, "read the log");
    file->age_due_ms = now_ms + AGE_CHECK_MS;
  }
  *old = (uint64_t)number;
  return error;
}

/* The number up to which there are more entries than there may be; not at each entry. */
static uint64_t find_surplus(const struct sqlite_file *file) {
  uint64_t step = file->entries_max / 8 < TRIM_STEP_MAX ? file->entries_max / 8 : TRIM_STEP_MAX;
  if (file->newest <= file->trimmed || file->newest - file->trimmed <= file->entries_max) return 0;
  uint64_t surplus = file->newest - file->trimmed - file->entries_max;
  return surplus > step ? file->newest - file->entries_max : 0;
}

int file_trim(struct sqlite_file *file, size_t added, uint64_t *trimmed) {
  uint64_t cut;
  int error = find_old(file, &cut);
  *trimmed = file->trimmed;
  if (error) return error;
  if (find_surplus(file) > cut) cut = find_surplus(file);
  if (cut > file->trimmed + TRIM_MAX + added) cut = file->trimmed + TRIM_MAX + added;
  if (cut <= file->trimmed) return 0;
  sqlite3_bind_int64(file->statements[REMOVE], 1, (sqlite3_int64)cut);
  error = file_run(file, file->statements[REMOVE], "remove old entries");
  if (!error) error = write_meta(file, "trimmed", NULL, cut);
  *trimmed = cut;
  return error;
}

/* Removes old entries in a transaction of its own. */
static int trim_alone(struct sqlite_file *file) {
  uint64_t trimmed = file->trimmed;
  int error = file_begin(file);
  if (error) return error;
  error = file_read_state(file);
  if (!error) error = file_trim(file, 0, &trimmed);
  error = file_end(file, error);
  if (!error) file->trimmed = trimmed;
  return error;
}

int file_trim_idle(struct sqlite_file *file) {
  int due = file->age_max_ms > 0 && clock_ms() >= file->age_due_ms;
  return due ? trim_alone(file) : 0;
}

int file_trim_all(struct sqlite_file *file) {
  uint64_t before;
  int error;
  do {
    before = file->trimmed;
    file->age_due_ms = 0;
    error = trim_alone(file);
  } while (!error && file->trimmed > before);
  return error;
}

/* ---- opening ---- */

/* Refuses a file that something else has made, before anything is changed in it. */
static int check_owner(struct sqlite_file *file, int *is_new) {
  int64_t application = 0, version = 0, tables = 0;
  if (ask(file, "PRAGMA application_id", &application) ||
      ask(file, "PRAGMA user_version", &version) ||
      ask(file, "SELECT count(*) FROM sqlite_master", &tables))
    return ENGINE_ELOG;
  *is_new = application == 0 && tables == 0;
  if (*is_new) return 0;
  if (application != APPLICATION_ID)
    return file_refused(file, "the file is a database of another program");
  if (version != SCHEMA_VERSION)
    return file_refused(file, "the file was written by another version of this program");
  return 0;
}

/* In a transaction, because two processes may find the same file new. */
static int create(struct sqlite_file *file) {
  int is_new;
  char pragmas[96];
  snprintf(pragmas, sizeof pragmas, "PRAGMA application_id=%d; PRAGMA user_version=%d",
           APPLICATION_ID, SCHEMA_VERSION);
  int error = file_begin(file);
  if (error) return error;
  error = check_owner(file, &is_new);
  if (!error && is_new) error = execute(file, schema, "create the log");
  if (!error && is_new) error = execute(file, pragmas, "create the log");
  return file_end(file, error);
}

static int prepare(struct sqlite_file *file) {
  for (int i = 0; i < FILE_STATEMENTS; i++)
    if (sqlite3_prepare_v3(file->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                           &file->statements[i], NULL) != SQLITE_OK)
      return file_failed(file, "use the file");
  return 0;
}

/* SQLite does not wait by itself for another process that changes the journal, too. */
static int set_journal(struct sqlite_file *file) {
  int result, left_ms = BUSY_MS;
  while ((result = sqlite3_exec(file->db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL)) ==
             SQLITE_BUSY &&
         left_ms > 0) {
    sqlite3_sleep(MOMENT_MS);
    left_ms -= MOMENT_MS;
  }
  if (result != SQLITE_OK) return file_failed(file, "open the file");
  return execute(file, "PRAGMA synchronous=EXTRA", "open the file");
}

int file_open(struct sqlite_file *file, const char *path) {
  int is_new;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path, &file->db, flags, NULL) != SQLITE_OK)
    return file_failed(file, "open the file");
  sqlite3_busy_timeout(file->db, BUSY_MS);
  /* In a transaction, because another process may just be creating the log. */
  int error = execute(file, "BEGIN", "read the file");
  if (!error) error = file_end(file, check_owner(file, &is_new));
  if (!error) error = set_journal(file);
  if (!error && is_new) error = create(file);
  return error ? error : prepare(file);
}

void file_close(struct sqlite_file *file) {
  for (int i = 0; i < FILE_STATEMENTS; i++) sqlite3_finalize(file->statements[i]);
  sqlite3_close(file->db);
}
