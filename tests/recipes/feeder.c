/* SPDX-License-Identifier: MIT */
/* feeder.c: a hub that is fed from a table of SQLite, which any number of processes may read. */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

/* [table] */
/*
 * AUTOINCREMENT: no number is used again. `mark` is random, and tells two
 * entries with one number apart. `trimmed` is the highest number that was
 * deleted: whoever deletes the oldest entries sets it, too.
 */
static const char tables[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;" /* what a reader sees is on the disk */
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS log ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " mark INTEGER NOT NULL DEFAULT (random()),"
    " channel TEXT NOT NULL, text TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS history ("
    " epoch TEXT NOT NULL, trimmed INTEGER NOT NULL);"
    "INSERT INTO history SELECT lower(hex(randomblob(5))), 0"
    " WHERE NOT EXISTS (SELECT 1 FROM history);"
    "COMMIT;";
/* [/table] */

static const char *path;

static void die(const char *what) {
  fprintf(stderr, "feeder: %s\n", what);
  exit(1);
}

static sqlite3 *open_log(void) {
  sqlite3 *db;
  if (sqlite3_open(path, &db) || sqlite3_busy_timeout(db, 10000) ||
      sqlite3_exec(db, tables, NULL, NULL, NULL))
    die(sqlite3_errmsg(db));
  return db;
}

/* [state] */
static sse_hub *hub;
static sqlite3 *db; /* the feeder's own connection */
static sqlite3_stmt *history, *entry, *oldest, *next, *rename_history;

/* What the hub has: the epoch, the head, and the mark of that entry. */
static struct {
  char epoch[SSE_EPOCH_BYTES_MAX + 1];
  sqlite3_int64 head, mark;
} fed;

static void prepare(void) {
  static const struct {
    sqlite3_stmt **statement;
    const char *sql;
  } all[] = {{&history, "SELECT epoch, trimmed FROM history"},
             {&entry, "SELECT number, mark FROM log WHERE number = ?1"},
             {&oldest, "SELECT number, mark FROM log"
                       " ORDER BY number DESC LIMIT 1 OFFSET 1000"},
             {&next, "SELECT number, mark, channel, text FROM log"
                     " WHERE number > ?1 ORDER BY number LIMIT 1000"},
             {&rename_history, "UPDATE history SET"
                               " epoch = lower(hex(randomblob(5)))"
                               " WHERE epoch = ?1"}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (sqlite3_prepare_v2(db, all[i].sql, -1, all[i].statement, NULL))
      die(sqlite3_errmsg(db));
}
/* [/state] */

/* [row] */
struct row {
  char epoch[SSE_EPOCH_BYTES_MAX + 1];
  sqlite3_int64 number, second; /* second: trimmed, or the mark */
};

/* Gets one row: SQLITE_ROW, SQLITE_DONE if there is none, or an error. */
static int get(sqlite3_stmt *query, struct row *row) {
  int result = sqlite3_step(query);
  if (result == SQLITE_ROW) {
    row->number = sqlite3_column_int64(query, 0);
    row->second = sqlite3_column_int64(query, 1);
    const char *text = (const char *)sqlite3_column_text(query, 0);
    snprintf(row->epoch, sizeof row->epoch, "%s", text ? text : "");
  }
  sqlite3_reset(query);
  return result;
}

/* [/row] */

/* [compare] */
enum change {
  UNREADABLE,
  SAME,
  TRIMMED,
  LOST_TAIL,
  NEW_HISTORY
};

/* What became of the log since this hub was fed from it. */
static enum change compare(struct row *log) {
  struct row last;
  if (get(history, log) != SQLITE_ROW) return UNREADABLE;
  if (strcmp(log->epoch, fed.epoch) != 0) return NEW_HISTORY;
  if (fed.head < log->second) return TRIMMED;
  if (fed.head == log->second)
    return SAME; /* there is no entry to compare */
  sqlite3_bind_int64(entry, 1, fed.head);
  int found = get(entry, &last);
  if (found == SQLITE_ROW && last.second == fed.mark) return SAME;
  return found == SQLITE_ROW || found == SQLITE_DONE ? LOST_TAIL
                                                     : UNREADABLE;
}

/* A hub begins with the newest 1,000 entries; the head is before them. */
static void begin(const struct row *log) {
  struct row before;
  memcpy(fed.epoch, log->epoch, sizeof fed.epoch);
  fed.head = log->second;
  if (get(oldest, &before) != SQLITE_ROW) return; /* there are fewer */
  fed.head = before.number;
  fed.mark = before.second;
}
/* [/compare] */

static atomic_int stopping;

/* [publish] */
/* Publishes an entry. One that the hub refuses is reported as lost. */
static void publish(uint64_t number, const char *channel,
                    const char *text) {
  const sse_event event = {.text = text, .number = number};
  int result;
  if (strncmp(channel, "internal/", 9) == 0) {
    sse_hub_advance(hub, number); /* it is not for this hub */
    return;
  }
  while ((result = sse_hub_publish(hub, channel, &event)) == SSE_EFULL ||
         result == SSE_ENOMEM)
    poll(NULL, 0, 10); /* until there is room; the head has not moved */
  if (result == SSE_OK || result == SSE_ENUMBER) return;
  fprintf(stderr, "entry %" PRIu64 ": %s\n", number,
          sse_error_text(result));
  sse_hub_skip(hub, number);
}
/* [/publish] */

/* [feed] */
/* Publishes what is new, and returns how many entries that were. */
static int read_on(void) {
  int count = 0;
  sqlite3_bind_int64(next, 1, fed.head);
  while (sqlite3_step(next) == SQLITE_ROW) {
    fed.head = sqlite3_column_int64(next, 0);
    fed.mark = sqlite3_column_int64(next, 1);
    publish((uint64_t)fed.head,
            (const char *)sqlite3_column_text(next, 2),
            (const char *)sqlite3_column_text(next, 3));
    count++;
  }
  sqlite3_reset(next);
  return count;
}

/* Brings the hub up to the log; 0 if there was nothing new. */
static int feed(void) {
  struct row log;
  int count = 0;
  sqlite3_exec(db, "BEGIN", NULL, NULL, NULL); /* all is of one moment */
  enum change change = compare(&log);
  if (change == NEW_HISTORY) {
    begin(&log);
    if (sse_hub_reset(hub, fed.epoch, (uint64_t)fed.head))
      die("the log has an epoch that is invalid");
  } else if (change == TRIMMED) {
    fed.head = log.second;
    sse_hub_skip(hub, (uint64_t)fed.head);
  }
  if (change != UNREADABLE && change != LOST_TAIL) count = read_on();
  sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
  if (change == LOST_TAIL) { /* one process names the new history */
    sqlite3_bind_text(rename_history, 1, fed.epoch, -1, SQLITE_STATIC);
    sqlite3_step(rename_history);
    sqlite3_reset(rename_history);
  }
  return count;
}
/* [/feed] */

/* [append] */
/* Any process appends, from any thread. An event that a hub would refuse
   never gets into the log. A real program keeps the connection. */
static int append(const char *channel, const char *text) {
  const sse_event event = {.text = text};
  sqlite3_stmt *insert;
  if (sse_format(NULL, 0, &event) < 0) return 0;
  sqlite3 *own = open_log();
  int result = sqlite3_prepare_v2(
      own, "INSERT INTO log (channel, text) VALUES (?1, ?2)", -1, &insert,
      NULL);
  if (result == SQLITE_OK) {
    sqlite3_bind_text(insert, 1, channel, -1, SQLITE_STATIC);
    sqlite3_bind_text(insert, 2, text, -1, SQLITE_STATIC);
    result = sqlite3_step(insert);
    sqlite3_finalize(insert);
  }
  sqlite3_close(own);
  return result == SQLITE_DONE;
}
/* [/append] */

static void answer(const struct request *request) {
  char channel[64];
  const sse_stream_config config = {.channel = channel};
  int named = request_param(request, "channel", channel, sizeof channel);
  if (named && request_is(request, "GET", "/stream")) {
    request_serve(request, request_open(request, hub, &config));
  } else if (named && request_is(request, "POST", "/append")) {
    request_answer(request, append(channel, request->body) ? 200 : 400,
                   "");
  } else {
    request_answer(request, 404, "");
  }
}

/* [main] */
static void *feeder(void *arg) {
  while (!stopping)
    if (feed() == 0) poll(NULL, 0, 20);
  return arg;
}

int main(int argc, char **argv) {
  pthread_t thread;
  struct row log;
  path = argc > 2 ? argv[2] : "log.db";
  db = open_log();
  prepare();
  if (get(history, &log) != SQLITE_ROW) die("there is no history");
  begin(&log);
  const sse_hub_config config = {.numbers = SSE_NUMBERS_GIVEN,
                                 .epoch = fed.epoch,
                                 .start_after = (uint64_t)fed.head};
  if (sse_hub_new(&hub, &config)) die("there is no hub");
  while (feed() > 0) continue; /* before the first stream is opened */
  if (pthread_create(&thread, NULL, feeder, NULL)) die("no thread");
  host_run(argc, argv, hub, answer);
  stopping = 1;
  pthread_join(thread, NULL);
  return sse_hub_free(hub) != SSE_OK;
}
/* [/main] */
