/* SPDX-License-Identifier: MIT */
/* test_sqlite.c: the engine of SQLite: its file, restarts, other processes, failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "follow.h"

static struct engine *up(struct engine_config config) {
  return engine_up("sqlite", &config);
}

/* ---- the file, as another program sees it ---- */

static sqlite3 *open_db(const char *file) {
  sqlite3 *db;
  assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
  sqlite3_busy_timeout(db, 20000);
  return db;
}

static void change(const char *file, const char *sql) {
  sqlite3 *db = open_db(file);
  if (sqlite3_exec(db, sql, NULL, NULL, NULL)) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
  sqlite3_close(db);
}

static long long ask(const char *file, const char *sql) {
  sqlite3 *db = open_db(file);
  sqlite3_stmt *statement;
  assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
  long long number = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return number;
}

/* ---- what an entry has ---- */

static void a_tombstone_deletes_its_key_after_a_restart(void **state) {
  (void)state;
  const char *file = fresh_file();
  struct engine *engine = up((struct engine_config){.where = file});
  static const sse_event rows[] = {{.text = "1", .key = "x"},
                                   {.text = "2", .key = "y"},
                                   {.text = "gone", .key = "x", .flags = SSE_TOMBSTONE},
                                   {.text = "3", .key = "z"}};
  for (size_t i = 0; i < 4; i++)
    assert_int_equal(engine_publish(engine, NAMES("a"), &rows[i], NULL), 0);
  engine_down(engine);
  char problem[ENGINE_PROBLEM_MAX];
  const struct engine_config config = {.where = file};
  assert_int_equal(engine_open(&engine, engine_find("sqlite"), &config, problem), 0);
  sse_hub_configure_channel(engine_hub(engine), "a", &(sse_channel_config){.conflate = SSE_YES});
  assert_int_equal(engine_start(engine), 0);
  struct client client;
  client_init(&client);
  client_open(&client, engine_hub(engine),
              &(sse_stream_config){.channel = "a", .start = SSE_START_RETAINED});
  assert_told(&client, 3, "2 gone 3");
  client_free(&client);
  engine_down(engine);
}

static void entries_have_their_time(void **state) {
  (void)state;
  const char *file = fresh_file();
  struct engine *engine = up((struct engine_config){.where = file});
  publish(engine, "a", "1");
  engine_down(engine);
  assert_int_equal(ask(file, "SELECT count(*) FROM log WHERE at > 1700000000000"), 1);
}

/* ---- restarts ---- */

/* Of ten entries the newest four are loaded: what lies before them is a gap, to the entry. */
static void only_the_newest_are_loaded(void **state) {
  (void)state;
  static const struct {
    unsigned last;
    size_t count;
    const char *wanted;
  } rows[] = {{0, 5, "[evicted] 7 8 9 10"},
              {5, 5, "[evicted] 7 8 9 10"},
              {6, 4, "7 8 9 10"},
              {9, 1, "10"},
              {10, 0, ""}};
  const char *file = fresh_file();
  struct engine *engine = up((struct engine_config){.where = file});
  char ids[11][SSE_ID_BYTES_MAX + 1], text[8];
  sse_hub_position(engine_hub(engine), ids[0], sizeof ids[0]);
  for (unsigned i = 1; i <= 10; i++) {
    snprintf(text, sizeof text, "%u", i);
    assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = text}, ids[i]), 0);
  }
  engine_down(engine);
  engine = up((struct engine_config){.where = file, .load_max = 4});
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct client client;
    char hello[256];
    client_init(&client);
    snprintf(hello, sizeof hello, "id: %s\n\n", ids[rows[i].last]);
    client_feed(&client, hello, strlen(hello));
    connect_to(&client, engine);
    assert_told(&client, rows[i].count, rows[i].wanted);
    client_free(&client);
  }
  engine_down(engine);
}

static void numbers_are_not_given_again(void **state) {
  (void)state;
  const char *file = fresh_file();
  char id[SSE_ID_BYTES_MAX + 1];
  struct engine *engine = up((struct engine_config){.where = file});
  for (int i = 0; i < 3; i++) publish(engine, "a", "x");
  engine_down(engine);
  change(file, "BEGIN; DELETE FROM log; UPDATE meta SET value = 3 WHERE name = 'trimmed'; COMMIT");
  engine = up((struct engine_config){.where = file});
  assert_int_equal(status_of(engine).head, 3);
  assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = "x"}, id), 0);
  assert_string_equal(strchr(id, '.'), ".4");
  engine_down(engine);
}

/* ---- removing ---- */

static void the_oldest_are_removed_by_their_number(void **state) {
  (void)state;
  const char *file = fresh_file();
  struct engine *engine = up((struct engine_config){.where = file, .entries_max = 80});
  for (int i = 1; i <= 500; i++) {
    publish(engine, "a", "x");
    long long count = i % 50 == 0 ? ask(file, "SELECT count(*) FROM log") : 80;
    assert_in_range(count, i < 80 ? i : 80, 90);
  }
  assert_true(ask(file, "SELECT min(number) - value FROM log, meta WHERE name = 'trimmed'") == 1);
  engine_down(engine);
}

static void the_oldest_are_removed_by_their_age(void **state) {
  (void)state;
  const char *file = fresh_file();
  struct engine *engine = up((struct engine_config){.where = file});
  for (int i = 0; i < 3; i++) publish(engine, "a", "old");
  engine_down(engine);
  change(file, "UPDATE log SET at = at - 3600000");
  engine = up((struct engine_config){.where = file, .age_max_s = 60}); /* before they are loaded */
  assert_int_equal(ask(file, "SELECT count(*) FROM log"), 0);
  assert_int_equal(status_of(engine).head, 3);
  publish(engine, "a", "young");
  change(file, "INSERT INTO log (channels, data, at) VALUES ('a', 'old', 1)");
  unsigned moments = 0; /* one behind a young one stays with it, until that is old, too */
  assert_int_equal(ask(file, "SELECT count(*) FROM log"), 2);
  change(file, "UPDATE log SET at = 1");
  while (ask(file, "SELECT count(*) FROM log") > 0) assert_true(patience(&moments));
  engine_down(engine);
}

/* ---- other processes ---- */

static void a_program_publishes_by_one_insert(void **state) {
  (void)state;
  struct client client;
  const char *file = fresh_file();
  struct engine *engine = up((struct engine_config){.where = file, .poll_ms = 1});
  follow(&client, engine);
  publish(engine, "a", "1");
  change(file, "INSERT INTO log (channels, data) VALUES ('a', '2')"); /* found by looking */
  assert_told(&client, 2, "1 2");
  assert_int_equal(client.seen[1].number, 2);
  client_free(&client);
  engine_down(engine);
}

static void what_others_append_comes_in_its_place(void **state) {
  (void)state;
  struct client client;
  const char *file = fresh_file();
  struct engine *engine = up((struct engine_config){.where = file, .poll_ms = SSE_NEVER});
  follow(&client, engine);
  publish(engine, "a", "1");
  change(file, "INSERT INTO log (channels, data) VALUES ('a', '2'), ('b', '-'), ('a' || char(10) ||"
               " 'b', '4')");
  publish(engine, "a", "5");
  assert_told(&client, 4, "1 2 4 5");
  assert_int_equal(client.seen[3].number, 5);
  client_free(&client);
  engine_down(engine);
}

struct opener {
  pthread_t thread;
  const char *file;
  struct engine *engine;
  char problem[ENGINE_PROBLEM_MAX];
  int error;
};

static void *run_opener(void *arg) {
  struct opener *opener = arg;
  const struct engine_config config = {.where = opener->file};
  opener->error = engine_open(&opener->engine, engine_find("sqlite"), &config, opener->problem);
  return NULL;
}

/* Whoever is first makes the log; the others have the same history. */
static void several_may_create_the_file(void **state) {
  (void)state;
  enum {
    OPENERS = 4,
    TIMES = 20
  };
  for (int i = 0; i < TIMES; i++) {
    struct opener openers[OPENERS] = {{.file = fresh_file()}};
    char ids[2][SSE_ID_BYTES_MAX + 1];
    for (int k = 0; k < OPENERS; k++) {
      openers[k].file = openers[0].file;
      pthread_create(&openers[k].thread, NULL, run_opener, &openers[k]);
    }
    for (int k = 0; k < OPENERS; k++) pthread_join(openers[k].thread, NULL);
    for (int k = 0; k < OPENERS; k++)
      if (openers[k].error) fail_msg("%s", openers[k].problem);
    for (int k = 0; k < OPENERS; k++) {
      sse_hub_position(engine_hub(openers[k].engine), ids[k > 0], sizeof ids[0]);
      if (k > 0) assert_string_equal(ids[0], ids[1]);
    }
    for (int k = 0; k < OPENERS; k++) engine_down(openers[k].engine);
  }
}

static void what_was_removed_before_it_was_read_is_a_gap(void **state) {
  (void)state;
  struct client client;
  const char *file = fresh_file();
  struct engine *engine = up((struct engine_config){.where = file, .poll_ms = SSE_NEVER});
  follow(&client, engine);
  publish(engine, "a", "1");
  client_read(&client);
  change(file, "BEGIN; INSERT INTO log (channels, data) VALUES ('a', '2'), ('a', '3');"
               "DELETE FROM log WHERE number < 3;"
               "UPDATE meta SET value = 2 WHERE name = 'trimmed'; COMMIT");
  publish(engine, "a", "4");
  assert_told(&client, 4, "1 [evicted] 3 4");
  client_free(&client);
  engine_down(engine);
}

/* ---- new histories ---- */

static void check_history(const char *sql, const char *wanted, size_t count) {
  struct client client;
  const char *file = fresh_file();
  struct engine *engine = up((struct engine_config){.where = file, .poll_ms = SSE_NEVER});
  char before[SSE_ID_BYTES_MAX + 1], after[SSE_ID_BYTES_MAX + 1];
  follow(&client, engine);
  publish(engine, "a", "1");
  assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = "2"}, before), 0);
  assert_told(&client, 2, "1 2");
  change(file, sql);
  assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = "3"}, after), 0);
  assert_told(&client, count, wanted);
  assert_true(strncmp(before, after, SSE_EPOCH_BYTES_MAX) != 0);
  assert_string_equal(client.seen[client.count - 1].id, after);
  assert_int_equal(status_of(engine).histories, 1);
  client_close(&client);
  engine_down(engine);
  /* The new epoch is in the file. */
  engine = up((struct engine_config){.where = file});
  connect_to(&client, engine);
  publish(engine, "a", "4");
  assert_true(client_wait(&client, count + 1));
  assert_int_equal(client.gaps, 1);
  client_free(&client);
  engine_down(engine);
}

static void a_removed_epoch_is_a_new_history(void **state) {
  (void)state;
  check_history("DELETE FROM meta WHERE name = 'epoch'", "1 2 [restart] 1 2 3", 6);
}

static void a_lost_tail_is_a_new_history(void **state) {
  (void)state;
  check_history("DELETE FROM log WHERE number = 2; UPDATE sqlite_sequence SET seq = 1",
                "1 2 [restart] 1 3", 5);
}

/* An older copy was restored, and others have appended to it beyond what was lost. */
static void a_tail_that_was_replaced_is_a_new_history(void **state) {
  (void)state;
  check_history("DELETE FROM log WHERE number = 2; UPDATE sqlite_sequence SET seq = 1;"
                "INSERT INTO log (channels, data) VALUES ('a', 'other'), ('a', 'more')",
                "1 2 [restart] 1 other more 3", 7);
}

static void a_lost_tail_is_one_new_history_for_all(void **state) {
  (void)state;
  const char *file = fresh_file();
  struct engine *engines[2];
  char ids[2][SSE_ID_BYTES_MAX + 1];
  for (int i = 0; i < 2; i++)
    engines[i] = up((struct engine_config){.where = file, .poll_ms = SSE_NEVER});
  for (int i = 0; i < 4; i++) publish(engines[i % 2], "a", "x");
  publish(engines[0], "a", "x");
  change(file, "DELETE FROM log WHERE number > 2; UPDATE sqlite_sequence SET seq = 2");
  for (int i = 0; i < 4; i++) publish(engines[i % 2], "a", "x");
  publish(engines[0], "a", "x");
  for (int i = 0; i < 2; i++) {
    assert_int_equal(status_of(engines[i]).histories, 1);
    sse_hub_position(engine_hub(engines[i]), ids[i], sizeof ids[i]);
  }
  assert_memory_equal(ids[0], ids[1], SSE_EPOCH_BYTES_MAX);
  for (int i = 0; i < 2; i++) engine_down(engines[i]);
}

/* ---- entries that the hub does not take ---- */

/* Names from 1 to 300, which are more than an event may have. */
static const char many_channels[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
    " INSERT INTO log (channels, data) SELECT group_concat(i, char(10)), 'x' FROM n";

static void bad_entries_do_not_stop_the_feed(void **state) {
  (void)state;
  static const char *const bad[] = {
      "INSERT INTO log (channels) VALUES ('a')",                          /* no payload */
      "INSERT INTO log (channels, data) VALUES ('', 'x')",                /* no channel */
      "INSERT INTO log (channels, data) VALUES ('a' || char(10), 'x')",   /* empty name */
      "INSERT INTO log (channels, data) VALUES ('a' || char(7), 'x')",    /* bad name */
      "INSERT INTO log (channels, data) VALUES (x'ff', 'x')",             /* no UTF-8 */
      "INSERT INTO log (channels, data, retry_ms) VALUES ('a', 'x', -7)", /* bad time */
      "INSERT INTO log (channels, data, id) VALUES ('a', 'x', 'E.1')",    /* id of a hub */
      "INSERT INTO log (channels, data, flags) VALUES ('a', 'x', 4)",     /* SSE_RESET_ID */
      "INSERT INTO log (channels, data, flags) VALUES ('a', 'x', 8)",     /* SSE_EPHEMERAL */
      "INSERT INTO log (channels, data, type) VALUES ('a', 'x', char(10))",
      many_channels,
  };
  enum {
    COUNT = sizeof bad / sizeof bad[0]
  };
  const char *file = fresh_file();
  struct engine *engine = up((struct engine_config){.where = file, .poll_ms = SSE_NEVER});
  struct client client;
  char text[16];
  follow(&client, engine);
  for (size_t i = 0; i < COUNT; i++) {
    change(file, bad[i]);
    snprintf(text, sizeof text, "%zu", i);
    publish(engine, "a", text);
    assert_true(client_wait(&client, i + 1));
    if (strcmp(client.seen[i].data, text) != 0 || status_of(engine).refused != i + 1)
      fail_msg("%s: was given, \"%s\"", bad[i], client.seen[i].data);
  }
  assert_int_equal(client.gaps, 0);
  client_free(&client);
  engine_down(engine);
  change(file, bad[0]);
  engine = up((struct engine_config){.where = file}); /* they do not stop a start, either */
  assert_int_equal(status_of(engine).refused, COUNT + 1);
  assert_int_equal(status_of(engine).head, 2 * COUNT + 1);
  engine_down(engine);
}

/* Another engine took it; this hub has lower limits. */
static void what_is_too_big_for_this_hub_is_a_gap(void **state) {
  (void)state;
  const char *file = fresh_file();
  const sse_hub_config hub = {.event_bytes_max = 1000};
  struct engine *engine =
      up((struct engine_config){.where = file, .hub = &hub, .poll_ms = SSE_NEVER});
  struct client client;
  follow(&client, engine);
  publish(engine, "a", "1");
  client_read(&client);
  change(file, "INSERT INTO log (channels, data) VALUES ('a', hex(zeroblob(1000)))");
  publish(engine, "a", "3");
  assert_told(&client, 3, "1 [evicted] 3");
  assert_int_equal(status_of(engine).skipped, 1);
  client_free(&client);
  engine_down(engine);
}

/* Frames in flight fill the hub: the feeder waits for a time, then skips, and the feed goes on. */
static void a_full_hub_is_a_gap(void **state) {
  (void)state;
  enum {
    BIG = 7000,
    HOLDERS = 12
  };
  const char *file = fresh_file();
  const sse_hub_config hub = {.memory_bytes_max = 65536, .event_bytes_max = 8192};
  struct engine *engine = up((struct engine_config){.where = file, .hub = &hub});
  sse_stream *holders[HOLDERS];
  struct client client;
  char payload[BIG];
  memset(payload, 'x', sizeof payload);
  const sse_event big = {.data = payload, .data_len = sizeof payload};
  follow(&client, engine);
  client_read(&client);
  for (int i = 0; i < HOLDERS; i++) {
    struct iovec iov[64];
    char waste[1024];
    assert_int_equal(sse_stream_open(&holders[i], engine_hub(engine), &of_a), 0);
    while (sse_stream_read(holders[i], waste, sizeof waste) > 0) continue;
    assert_int_equal(engine_publish(engine, NAMES("a"), &big, NULL), 0);
    if (status_of(engine).skipped == 0) assert_true(sse_stream_peek(holders[i], iov, 64) > 0);
    client_read(&client);
  }
  struct engine_status status = status_of(engine);
  assert_in_range(status.skipped, 1, HOLDERS - 1);
  assert_int_equal(status.refused, 0);
  for (int i = 0; i < HOLDERS; i++) sse_stream_free(holders[i]);
  publish(engine, "a", "the last");
  assert_true(client_wait(&client, HOLDERS + 1 - (size_t)status.skipped + 1));
  assert_in_range(client.gaps, 1, status.skipped);
  assert_string_equal(client.seen[client.count - 1].data, "the last");
  client_free(&client);
  engine_down(engine);
}

/* ---- files that cannot be used ---- */

static void make_text(const char *file) {
  FILE *out = fopen(file, "w");
  assert_non_null(out);
  for (int i = 0; i < 200; i++) fputs("This is no database.\n", out);
  fclose(out);
}

static void make_other(const char *file) {
  change(file, "CREATE TABLE people (name TEXT)");
}

static void make_other_application(const char *file) {
  change(file, "PRAGMA application_id = 1");
}

static void make_later(const char *file) {
  engine_down(up((struct engine_config){.where = file}));
  change(file, "PRAGMA user_version = 2");
}

static void make_without_table(const char *file) {
  engine_down(up((struct engine_config){.where = file}));
  change(file, "DROP TABLE log");
}

static void make_directory(const char *file) {
  assert_int_equal(mkdir(file, 0700), 0);
}

/* The pages behind the first two are overwritten. */
static void make_damaged(const char *file) {
  struct engine *engine = up((struct engine_config){.where = file});
  for (int i = 0; i < 2000; i++)
    engine_submit(engine, NAMES("a"), &(sse_event){.text = "some text of an event"}, NULL, NULL);
  engine_down(engine);
  FILE *out = fopen(file, "r+");
  assert_non_null(out);
  fseek(out, 2 * 4096L, SEEK_SET);
  for (int i = 0; i < 16 * 4096; i++) fputc(0x55, out);
  fclose(out);
}

static void other_files_are_refused(void **state) {
  (void)state;
  static const struct {
    void (*make)(const char *file);
    const char *says;
  } rows[] = {
      {make_text, "file is not a database"},
      {make_other, "the file is a database of another program"},
      {make_other_application, "the file is a database of another program"},
      {make_later, "the file was written by another version of this program"},
      {make_without_table, "no such table: log"},
      {make_directory, "unable to open database file"},
      {make_damaged, "database disk image is malformed"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const char *file = fresh_file();
    char problem[ENGINE_PROBLEM_MAX];
    struct engine *engine;
    rows[i].make(file);
    const struct engine_config config = {.where = file};
    int error = engine_open(&engine, engine_find("sqlite"), &config, problem);
    if (!error) { /* only reading it shows what is wrong */
      error = engine_start(engine);
      snprintf(problem, sizeof problem, "%s", status_of(engine).problem);
      engine_down(engine);
    }
    if (error != ENGINE_ELOG || !strstr(problem, rows[i].says))
      fail_msg("\"%s\" instead of \"%s\"", problem, rows[i].says);
    rmdir(file);
  }
}

/* Nothing of it is changed. */
static void a_file_of_another_program_stays_as_it_is(void **state) {
  (void)state;
  const char *file = fresh_file();
  make_other(file);
  struct engine *engine;
  char problem[ENGINE_PROBLEM_MAX];
  const struct engine_config config = {.where = file};
  assert_int_equal(engine_open(&engine, engine_find("sqlite"), &config, problem), ENGINE_ELOG);
  assert_int_equal(ask(file, "SELECT count(*) FROM sqlite_master"), 1);
  assert_int_equal(ask(file, "SELECT journal_mode = 'delete' FROM pragma_journal_mode"), 1);
}

static void a_path_is_required(void **state) {
  (void)state;
  struct engine *engine;
  char problem[ENGINE_PROBLEM_MAX];
  const struct engine_config none = {.where = NULL};
  const struct engine_config nowhere = {.where = "/nonexistent/log"};
  assert_int_equal(engine_open(&engine, engine_find("sqlite"), &none, problem), ENGINE_ELOG);
  assert_string_equal(problem, "an SQLite log needs the path of a file");
  assert_int_equal(engine_open(&engine, engine_find("sqlite"), &nowhere, problem), ENGINE_ELOG);
  assert_string_equal(problem, "cannot open the file: unable to open database file");
}

/* ---- failures while it runs ---- */

/* What the disk does not take is answered, not in the log, and given to nobody. */
static void a_full_disk_is_answered(void **state) {
  (void)state;
  static char payload[64 * 1024];
  const char *file = fresh_file();
  struct engine *engine = up((struct engine_config){.where = file});
  struct client client;
  struct rlimit limit, little;
  follow(&client, engine);
  publish(engine, "a", "1");
  memset(payload, 'x', sizeof payload);
  const sse_event big = {.data = payload, .data_len = sizeof payload};
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &limit);
  little = limit;
  little.rlim_cur = 48 * 1024;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(engine_publish(engine, NAMES("a"), &big, NULL), ENGINE_ELOG);
  struct engine_status status = status_of(engine);
  assert_int_equal(status.failing, 1);
  assert_int_equal(status.failed, 3);
  assert_ptr_equal(strstr(status.problem, "cannot "), status.problem);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  publish(engine, "a", "2");
  assert_int_equal(status_of(engine).failing, 0);
  assert_told(&client, 2, "1 2");
  assert_int_equal(client.seen[1].number, 2);
  client_free(&client);
  engine_down(engine);
  assert_int_equal(ask(file, "SELECT count(*) FROM log"), 2);
}

static void a_file_that_was_moved_takes_nothing(void **state) {
  (void)state;
  const char *file = fresh_file();
  char moved[256];
  struct engine *engine = up((struct engine_config){.where = file});
  publish(engine, "a", "1");
  snprintf(moved, sizeof moved, "%s-copy", file);
  assert_int_equal(rename(file, moved), 0);
  assert_int_equal(engine_publish(engine, NAMES("a"), &(sse_event){.text = "2"}, NULL),
                   ENGINE_ELOG);
  assert_string_equal(status_of(engine).problem,
                      "the file was moved or removed; restart the program");
  assert_int_equal(rename(moved, file), 0);
  publish(engine, "a", "2");
  engine_down(engine);
}

static void count_outcome(void *arg, int error, const char *id) {
  unsigned *counts = arg;
  counts[error == 0]++;
  (void)id;
}

/* While another process writes, events wait: up to a limit, in one transaction, and in order. */
static void events_wait_up_to_a_limit(void **state) {
  (void)state;
  const char *file = fresh_file();
  unsigned outcomes[2] = {0}, taken = 0;
  int error;
  struct engine *engine =
      up((struct engine_config){.where = file, .waiting_bytes_max = 20000, .poll_ms = SSE_NEVER});
  sqlite3 *db = open_db(file);
  assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  while ((error = engine_submit(engine, NAMES("a"), &(sse_event){.text = "x"}, count_outcome,
                                outcomes)) == 0)
    taken++;
  assert_int_equal(error, ENGINE_EBUSY);
  assert_in_range(taken, 20, 200);
  assert_int_equal(status_of(engine).waiting, taken);
  assert_in_range(status_of(engine).waiting_bytes, 1, 20000);
  assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
  engine_stop(engine);
  assert_int_equal(outcomes[1], taken);
  assert_int_equal(status_of(engine).appended, taken);
  assert_in_range(status_of(engine).writes, 1, 2);
  engine_down(engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(entries_have_their_time),
      cmocka_unit_test(a_tombstone_deletes_its_key_after_a_restart),
      cmocka_unit_test(only_the_newest_are_loaded),
      cmocka_unit_test(numbers_are_not_given_again),
      cmocka_unit_test(the_oldest_are_removed_by_their_number),
      cmocka_unit_test(the_oldest_are_removed_by_their_age),
      cmocka_unit_test(a_program_publishes_by_one_insert),
      cmocka_unit_test(what_others_append_comes_in_its_place),
      cmocka_unit_test(several_may_create_the_file),
      cmocka_unit_test(what_was_removed_before_it_was_read_is_a_gap),
      cmocka_unit_test(a_removed_epoch_is_a_new_history),
      cmocka_unit_test(a_lost_tail_is_a_new_history),
      cmocka_unit_test(a_tail_that_was_replaced_is_a_new_history),
      cmocka_unit_test(a_lost_tail_is_one_new_history_for_all),
      cmocka_unit_test(bad_entries_do_not_stop_the_feed),
      cmocka_unit_test(what_is_too_big_for_this_hub_is_a_gap),
      cmocka_unit_test(a_full_hub_is_a_gap),
      cmocka_unit_test(other_files_are_refused),
      cmocka_unit_test(a_file_of_another_program_stays_as_it_is),
      cmocka_unit_test(a_path_is_required),
      cmocka_unit_test(a_full_disk_is_answered),
      cmocka_unit_test(a_file_that_was_moved_takes_nothing),
      cmocka_unit_test(events_wait_up_to_a_limit),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  remove_files();
  return failed;
}
