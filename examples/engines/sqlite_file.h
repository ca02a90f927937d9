/* SPDX-License-Identifier: MIT */
/* sqlite_file.h: the SQLite file of a log: its tables, its history, and how old entries leave it. */
#ifndef SQLITE_FILE_H
#define SQLITE_FILE_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "kind.h"

/* The statements that are prepared once. */
enum file_statement {
  INSERT, /* at, nonce, channels, type, data, id, key, comment, retry_ms, label, flags */
  READ,   /* number, and the same, of entries after a number, up to a number of them */
  NONCE,  /* of an entry */
  NEWEST,
  BEFORE_NEWEST,
  OLD,
  REMOVE,
  META_READ,
  META_WRITE,
  DATA_VERSION,
  FILE_STATEMENTS
};

/*
 * An open file. One thread uses it at a time. All functions that return an int return 0 or an error
 * of the engine, which then says what is wrong (engine_problem).
 */
struct sqlite_file {
  struct engine *engine;
  sqlite3 *db;
  sqlite3_stmt *statements[FILE_STATEMENTS];
  uint64_t entries_max, age_max_ms; /* older entries are removed; age_max_ms 0: of any age */
  uint64_t trimmed;                 /* entries up to here were removed */
  uint64_t newest;                  /* the highest number that the file has given */
  int64_t age_due_ms;               /* when to look for old entries, on the monotonic clock */
};

/*
 * Opens a file, or creates it; `engine`, `entries_max` and `age_max_ms` are set, and all else is 0.
 * What another program has made is refused, before anything is changed in it.
 */
int file_open(struct sqlite_file *file, const char *path);
void file_close(struct sqlite_file *file); /* also after file_open has failed */

/* Notes what is wrong, with SQLite's reason, or with a sentence. Both return ENGINE_ELOG. */
int file_failed(struct sqlite_file *file, const char *doing);
int file_refused(struct sqlite_file *file, const char *sentence);

/* Begins a transaction that writes. */
int file_begin(struct sqlite_file *file);
/* Commits, or takes everything back if there was an error: that error, or the commit's. */
int file_end(struct sqlite_file *file, int error);
/* Runs a statement without rows; or gives the first column of its first row as a number, and
 * `otherwise` if it has no row. */
int file_run(struct sqlite_file *file, sqlite3_stmt *statement, const char *doing);
int file_number(struct sqlite_file *file, sqlite3_stmt *statement, int64_t otherwise,
                int64_t *number, const char *doing);

/* The name of the history; "": it has none yet. */
int file_read_epoch(struct sqlite_file *file, char epoch[SSE_EPOCH_BYTES_MAX + 1]);
int file_new_epoch(struct sqlite_file *file, char epoch[SSE_EPOCH_BYTES_MAX + 1]);
/* Reads `trimmed` and `newest`. */
int file_read_state(struct sqlite_file *file);
/* The number after which the newest entries stand, up to the given number of them. */
int file_find_start(struct sqlite_file *file, uint64_t newest_max, uint64_t *start);
/* A number that changes when another connection has changed the file. */
int file_read_version(struct sqlite_file *file, int64_t *version);
/* A file that was removed or replaced takes entries that nobody finds again: it is refused. */
int file_check_place(struct sqlite_file *file);

/* In a transaction that has added entries: removes a limited number of old ones, up to `trimmed`. */
int file_trim(struct sqlite_file *file, size_t added, uint64_t *trimmed);
/* Removes entries that have become too old, at times, in a transaction. */
int file_trim_idle(struct sqlite_file *file);
/* Removes all that are too many or too old. */
int file_trim_all(struct sqlite_file *file);

#endif
