/* SPDX-License-Identifier: MIT */
/* test_threads.c: publishers, loops, lone and blocking streams and a ticker, all at the same time.
 *
 * Worker threads record what they are told; the main thread judges it after the join. Nothing here
 * waits for time to pass: a thread waits to be woken, and one that is not woken for PATIENCE_MS
 * says that a wake was lost.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "line.h"

#define PUBLISHERS  READER_PUBLISHERS
#define EVENTS      1000 /* of each publisher */
#define LOOPS       2
#define LINES       4 /* of each host */
#define BLOCKING    3
#define PATIENCE_MS 20000

/* ---- the hosts, one thread each ---- */

struct host {
  struct stage *stage;
  struct bell bell;
  sse_loop *loop;       /* NULL: its streams stand alone */
  struct target target; /* of the loop */
  struct line lines[LINES];
};

static void host_open(struct host *host) {
  for (unsigned i = 0; i < LINES; i++) {
    host->lines[i].loop = host->loop;
    host->lines[i].bell = host->loop ? NULL : &host->bell;
    if (!host->lines[i].stream) line_open(&host->lines[i]);
  }
}

/* Those whose transport was full have room now; true if one is full again. */
static bool serve_blocked(struct line *lines) {
  bool blocked = false;
  for (unsigned i = 0; i < LINES; i++) {
    if (lines[i].blocked) line_serve(&lines[i]);
    blocked = blocked || lines[i].blocked;
  }
  return blocked;
}

static bool all_over(const struct line *lines) {
  unsigned over = 0;
  for (unsigned i = 0; i < LINES; i++) over += line_over(&lines[i]);
  return over == LINES;
}

static void *run_loop_host(void *arg) {
  struct host *host = arg;
  sse_stream *stream;
  host_open(host);
  while (!all_over(host->lines)) {
    while ((stream = sse_loop_next(host->loop))) line_serve(sse_stream_user(stream));
    bool blocked = serve_blocked(host->lines);
    int timeout = blocked || all_over(host->lines) ? 0 : sse_loop_timeout(host->loop);
    if (timeout == 0) continue;
    bool patient = timeout < 0 || timeout > PATIENCE_MS;
    if (!bell_wait(&host->bell, patient ? PATIENCE_MS : timeout) && patient) {
      line_fault(&host->lines[0], "a wake of a loop was lost");
      break;
    }
  }
  for (unsigned i = 0; i < LINES; i++) line_close(&host->lines[i]);
  if (sse_loop_free(host->loop)) abort();
  atomic_store_explicit(&host->target.dead, true, memory_order_relaxed);
  return NULL;
}

static void *run_lone_host(void *arg) {
  struct host *host = arg;
  host_open(host);
  while (!all_over(host->lines)) {
    for (unsigned i = 0; i < LINES; i++) {
      struct line *line = &host->lines[i];
      if (atomic_exchange_explicit(&line->target->woken, false, memory_order_relaxed)) {
        line_serve(line);
      }
    }
    if (serve_blocked(host->lines) || all_over(host->lines)) continue;
    if (!bell_wait(&host->bell, PATIENCE_MS)) {
      line_fault(&host->lines[0], "a wake of a lone stream was lost");
      break;
    }
  }
  for (unsigned i = 0; i < LINES; i++) line_close(&host->lines[i]);
  return NULL;
}

/* A stream that its own thread waits for; it may be open already. */
static void *run_blocking(void *arg) {
  struct line *line = arg;
  char buf[700];
  if (!line->stream) line_open(line);
  while (!line_over(line)) {
    int result = sse_stream_wait(line->stream, PATIENCE_MS);
    if (result <= 0) line_fault(line, result ? sse_error_text(result) : "a wait was not ended");
    ssize_t got = 1;
    while (result > 0 && got > 0) {
      got = sse_stream_read(line->stream, buf, 1 + line_draw(&line->random, sizeof buf));
      if (got > 0) reader_feed(&line->reader, buf, (size_t)got);
      if (got < 0) line_fault(line, sse_error_text((int)got));
      if (line_draw(&line->random, 20) == 0) break;
    }
    size_t count = line->reader.count;
    if (line->pace && count) pace_tell(line->pace, line->reader.seen[count - 1].number);
    line_resume(line);
  }
  if (line->pace) pace_tell(line->pace, UINT64_MAX);
  line_close(line);
  return NULL;
}

/* ---- publishers ---- */

struct publisher {
  struct stage *stage;
  struct pace *pace;
  unsigned number;
  uint64_t sent[READER_CHANNELS];
  int error;
};

static void *run_publisher(void *arg) {
  struct publisher *publisher = arg;
  uint64_t random = publisher->number;
  for (unsigned serial = 1; serial <= EVENTS; serial++) {
    unsigned channel = (unsigned)line_draw(&random, READER_CHANNELS);
    int error = reader_publish(publisher->stage->hub, publisher->number, channel, serial);
    if (error) publisher->error = error;
    publisher->sent[channel]++;
    pace_publish(publisher->pace);
  }
  return NULL;
}

/* ---- a play: everybody on the stage ---- */

struct play {
  struct stage stage;
  struct stage lasting; /* the same, but no connection ends */
  struct line log;      /* all channels from the first event on */
  struct host loops[LOOPS], lone;
  struct line blocking[BLOCKING];
  struct pace pace;
  struct publisher publishers[PUBLISHERS];
  struct ticker ticker;
  size_t gaps;                    /* that were told */
  uint64_t sent[READER_CHANNELS]; /* the last event of each among them */
};

static void host_init(struct host *host, struct stage *stage, bool looped, unsigned seed) {
  static const unsigned channels[LINES] = {0x1, 0xf, 0x6, 0x8};
  memset(host, 0, sizeof *host);
  host->stage = stage;
  host->target.bell = &host->bell;
  bell_init(&host->bell);
  if (looped) {
    assert_int_equal(
        sse_loop_new(&host->loop, stage->hub,
                     &(const sse_loop_config){.wake = line_wake, .wake_arg = &host->target}),
        SSE_OK);
  }
  for (unsigned i = 0; i < LINES; i++) {
    line_init(&host->lines[i], stage, channels[(i + seed) % LINES], seed * LINES + i);
  }
}

static void play_init(struct play *play, bool resumes, size_t kept) {
  memset(play, 0, sizeof *play);
  play->stage.resumes = resumes;
  stage_open(&play->stage, kept);
  for (unsigned i = 0; i < LOOPS; i++) host_init(&play->loops[i], &play->stage, true, i + 1);
  host_init(&play->lone, &play->stage, false, LOOPS + 1);
  for (unsigned i = 0; i < BLOCKING; i++) {
    line_init(&play->blocking[i], &play->stage, 0x5u + i, 100 + i);
  }
  play->lasting.hub = play->stage.hub;
  line_init(&play->log, &play->lasting, 0xf, 99);
  for (unsigned i = 0; i < PUBLISHERS; i++) {
    play->publishers[i] =
        (struct publisher){.stage = &play->stage, .pace = &play->pace, .number = i};
  }
  pace_init(&play->pace);
  play->log.pace = &play->pace;
  play->ticker.stage = &play->stage;
  bell_init(&play->ticker.bell);
}

/* All are open before the first event, so that what each has to be told is known. */
static void open_all(struct play *play) {
  for (unsigned i = 0; i < LOOPS; i++) host_open(&play->loops[i]);
  host_open(&play->lone);
  for (unsigned i = 0; i < BLOCKING; i++) line_open(&play->blocking[i]);
}

static void perform(struct play *play) {
  pthread_t readers[LOOPS + 2 + BLOCKING], publishers[PUBLISHERS], ticker;
  unsigned count = 0;
  line_open(&play->log);
  if (!play->stage.resumes) open_all(play);
  readers[count++] = start(run_blocking, &play->log);
  for (unsigned i = 0; i < LOOPS; i++) readers[count++] = start(run_loop_host, &play->loops[i]);
  readers[count++] = start(run_lone_host, &play->lone);
  for (unsigned i = 0; i < BLOCKING; i++) {
    readers[count++] = start(run_blocking, &play->blocking[i]);
  }
  ticker = start(run_ticker, &play->ticker);
  for (unsigned i = 0; i < PUBLISHERS; i++) {
    publishers[i] = start(run_publisher, &play->publishers[i]);
  }
  for (unsigned i = 0; i < PUBLISHERS; i++) pthread_join(publishers[i], NULL);
  for (unsigned i = 0; i < READER_CHANNELS; i++) {
    assert_int_equal(reader_publish(play->stage.hub, 0, i, 0), SSE_OK);
    play->sent[i] = 1;
    for (unsigned k = 0; k < PUBLISHERS; k++) play->sent[i] += play->publishers[k].sent[i];
  }
  for (unsigned i = 0; i < count; i++) pthread_join(readers[i], NULL);
  atomic_store(&play->stage.stop, true);
  bell_ring(&play->ticker.bell);
  pthread_join(ticker, NULL);
}

/* ---- judging ---- */

typedef const char *judge_fn(struct play *play, const struct reader *reader);

static void judge_line(struct play *play, struct line *line, judge_fn *judge) {
  const char *fault = judge(play, &line->reader);
  if (fault) fail_msg("%s (%zu seen, %zu connections)", fault, line->reader.count, line->opens);
  assert_true(reader_done(&line->reader));
}

typedef void each_fn(struct play *play, struct line *line, judge_fn *judge);

static void for_each(struct play *play, each_fn *each, judge_fn *judge) {
  each(play, &play->log, judge);
  for (unsigned i = 0; i < BLOCKING; i++) each(play, &play->blocking[i], judge);
  for (unsigned i = 0; i < LINES; i++) {
    each(play, &play->lone.lines[i], judge);
    for (unsigned k = 0; k < LOOPS; k++) each(play, &play->loops[k].lines[i], judge);
  }
}

/* Wakes did fail, and all was told in spite of it. */
static void judge_wakes(struct play *play) {
  unsigned failed = 0;
  for (unsigned i = 0; i < LINES; i++) failed += line_judge_wakes(&play->lone.lines[i]);
  for (unsigned i = 0; i < LOOPS; i++) {
    assert_int_equal(play->loops[i].target.late, 0);
    assert_int_equal(play->loops[i].target.twice, 0);
    failed += play->loops[i].target.failed;
  }
  assert_true(failed > 0);
}

static void free_line(struct play *play, struct line *line, judge_fn *judge) {
  (void)play;
  (void)judge;
  reader_free(&line->reader);
}

static void play_free(struct play *play) {
  for (unsigned i = 0; i < PUBLISHERS; i++) assert_int_equal(play->publishers[i].error, 0);
  judge_wakes(play);
  for_each(play, free_line, NULL);
  for (unsigned i = 0; i < LOOPS; i++) bell_free(&play->loops[i].bell);
  bell_free(&play->lone.bell);
  pace_free(&play->pace);
  bell_free(&play->ticker.bell);
  stage_close(&play->stage);
}

/* ---- everything is retained: nobody misses anything, however often he comes back ---- */

/* The log has all that was published, each publisher's events in their order. */
static void judge_log(const struct reader *log) {
  unsigned next[PUBLISHERS] = {0};
  assert_null(log->fault);
  assert_int_equal(log->start, 0);
  assert_int_equal(log->count, PUBLISHERS * EVENTS + READER_CHANNELS);
  for (size_t i = 0; i < log->count; i++) {
    const struct seen *seen = &log->seen[i];
    assert_false(seen->gap);
    assert_int_equal(seen->number, i + 1);
    if (seen->serial) assert_int_equal(seen->serial, ++next[seen->publisher]);
  }
  for (unsigned i = 0; i < PUBLISHERS; i++) assert_int_equal(next[i], EVENTS);
}

static const char *exactly(struct play *play, const struct reader *reader) {
  return reader_judge_exact(reader, &play->log.reader);
}

static void test_resumes(void **state) {
  static struct play play;
  (void)state;
  play_init(&play, true, PUBLISHERS * EVENTS + READER_CHANNELS);
  perform(&play);
  judge_log(&play.log.reader);
  for_each(&play, judge_line, exactly);
  play_free(&play);
}

/* ---- little is retained: whoever is slow is told what he has missed ---- */

#define NUMBERS (PUBLISHERS * EVENTS + READER_CHANNELS)

static struct seen known[NUMBERS + 1];

static const char *learn(struct play *play, const struct reader *reader) {
  (void)play;
  return reader_learn(reader, known, NUMBERS);
}

static const char *in_order(struct play *play, const struct reader *reader) {
  (void)play;
  return reader_judge_order(reader, known, NUMBERS);
}

/* What one was told is known, and nobody else may pass it over without a gap. */
static void judge_orders(struct play *play) {
  memset(known, 0, sizeof known);
  for_each(play, judge_line, learn);
  for_each(play, judge_line, in_order);
}

static const char *by_the_counts(struct play *play, const struct reader *reader) {
  uint64_t sent = 0;
  for (unsigned i = 0; i < READER_CHANNELS; i++) {
    if (reader->channels & 1u << i) sent += play->sent[i];
  }
  for (size_t i = 0; i < reader->count; i++) play->gaps += reader->seen[i].gap;
  if (reader->start != 0) return "a stream does not begin where it was opened";
  return reader_judge_gaps(reader, sent);
}

static void test_gaps_count(void **state) {
  static struct play play;
  (void)state;
  play_init(&play, false, 4);
  perform(&play);
  for_each(&play, judge_line, by_the_counts);
  print_message("  %zu gaps\n", play.gaps);
  assert_true(play.gaps > 0);
  judge_orders(&play);
  play_free(&play);
}

static void test_gaps_and_resumes(void **state) {
  static struct play play;
  (void)state;
  play_init(&play, true, 8);
  perform(&play);
  judge_orders(&play);
  play_free(&play);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_resumes),
      cmocka_unit_test(test_gaps_count),
      cmocka_unit_test(test_gaps_and_resumes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
