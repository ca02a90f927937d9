/* SPDX-License-Identifier: MIT */
/*
 * test_feed.c: one thread feeds a hub from a log, which it advances, skips and resets, while loops
 * and threads that wait read, leave, and come back with ids of which some are above the head.
 *
 * Threads record what they did and what they were given; the main thread judges it after the join.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sse/parse.h>

#include "hub/hub.h"
#include "line.h"

enum {
  LOOPS = 2,
  STREAMS = 3, /* of each loop */
  WAITERS = 3,
  READERS = LOOPS * STREAMS + WAITERS,
  EPOCHS = 6,
  STEPS = 600, /* of each epoch */
  PATIENCE_MS = 20000,
  SEEN_MAX = 4 * EPOCHS * STEPS
};

static sse_hub *hub;

/* ---- the feeder ---- */

enum kind {
  PUBLISHED, /* of the feeder; of a reader, what it was given */
  SKIPPED,   /* of the feeder */
  POSITION,
  GAP,
  OPENED /* with an id, or none */
};

struct note {
  enum kind kind;
  int epoch; /* -1: none */
  uint64_t number;
  char channel;
};

static struct feeder {
  struct note notes[EPOCHS * STEPS];
  size_t count;
  int error;
} feeder;

static void feed_one(int epoch, uint64_t *number, uint64_t *random) {
  char channel = line_draw(random, 2) ? 'a' : 'b';
  const char name[] = {channel, '\0'};
  const sse_event event = {.text = name, .number = *number += 1 + line_draw(random, 3)};
  uint64_t dice = line_draw(random, 100);
  struct note note = {PUBLISHED, epoch, event.number, channel};
  int error;
  if (dice == 0) {
    note.kind = SKIPPED;
    error = sse_hub_skip(hub, event.number);
  } else if (dice < 10) {
    error = sse_hub_advance(hub, event.number);
  } else {
    error = sse_hub_publish(hub, name, &event);
  }
  if (error) feeder.error = error;
  if (dice == 0 || dice >= 10) feeder.notes[feeder.count++] = note;
  if (dice > 80) sched_yield();
}

static void *feed(void *arg) {
  uint64_t random = 1;
  (void)arg;
  for (int epoch = 0; epoch < EPOCHS; epoch++) {
    uint64_t number = 0;
    char name[] = {(char)('A' + epoch), '\0'};
    if (epoch > 0) {
      number = line_draw(&random, 5);
      int error = sse_hub_reset(hub, name, number);
      if (error) feeder.error = error;
    }
    for (int i = 0; i < STEPS; i++) feed_one(epoch, &number, &random);
  }
  sse_hub_finish(hub, "a");
  sse_hub_finish(hub, "b");
  return NULL;
}

/* ---- readers ---- */

struct reading {
  const char *channels; /* a letter for each */
  sse_stream *stream;
  sse_parser *parser;
  struct note *seen;
  size_t count;
  int end; /* why its last stream has ended; SSE_EFINISHED */
  uint64_t random;
};

static void note(struct reading *reading, struct note note) {
  if (reading->count == SEEN_MAX) abort();
  reading->seen[reading->count++] = note;
}

static struct note note_of_id(enum kind kind, const char *id) {
  return (struct note){kind, id[0] - 'A', strtoull(id + 2, NULL, 10), '\0'};
}

static void take_bytes(struct reading *reading, const char *bytes, size_t len) {
  sse_parsed event;
  while (sse_parser_next(reading->parser, &bytes, &len, &event) == 1) {
    if (event.data_len == 1) {
      struct note got = note_of_id(PUBLISHED, event.id);
      got.channel = event.data[0];
      note(reading, got);
    } else {
      note(reading, note_of_id(strcmp(event.type, "gap") == 0 ? GAP : POSITION, event.id));
    }
  }
}

/* The id of the last block, or one that a client of a faster process has. */
static int open_again(struct reading *reading, sse_loop *loop) {
  char id[32] = "";
  static const char *const both[] = {"a", "b", NULL};
  sse_stream_config config = {.loop = loop, .last_id = id};
  struct note opened = {OPENED, -1, 0, '\0'};
  if (reading->channels[1]) {
    config.channels = both;
  } else {
    config.channel = reading->channels;
  }
  if (reading->count > 0) {
    opened = reading->seen[reading->count - 1];
    opened.kind = OPENED;
    opened.number += line_draw(&reading->random, 4);
    snprintf(id, sizeof id, "%c.%llu", 'A' + opened.epoch, (unsigned long long)opened.number);
  }
  sse_stream_free(reading->stream);
  reading->stream = NULL;
  sse_parser_reset(reading->parser);
  int error = sse_stream_open(&reading->stream, hub, &config);
  note(reading, opened);
  return error;
}

/* Takes what there is; false: the stream is over. */
static bool read_all(struct reading *reading) {
  char bytes[300];
  ssize_t len;
  while ((len = sse_stream_read(reading->stream, bytes, sizeof bytes)) > 0)
    take_bytes(reading, bytes, (size_t)len);
  if (len < 0) reading->end = (int)len;
  return len == 0;
}

static void *wait_and_read(void *arg) {
  struct reading *reading = arg;
  reading->end = open_again(reading, NULL);
  while (!reading->end) {
    int result = sse_stream_wait(reading->stream, PATIENCE_MS);
    if (result <= 0) reading->end = result ? result : SSE_EAGAIN;
    if (result > 0 && read_all(reading) && line_draw(&reading->random, 30) == 0)
      reading->end = open_again(reading, NULL);
  }
  return NULL;
}

struct looping {
  struct bell bell;
  struct target target;
  struct reading *readings;
};

static void *loop_and_read(void *arg) {
  struct looping *looping = arg;
  const sse_loop_config config = {.wake = line_wake, .wake_arg = &looping->target};
  sse_loop *loop;
  unsigned over = 0;
  if (sse_loop_new(&loop, hub, &config)) abort();
  for (unsigned i = 0; i < STREAMS; i++) {
    looping->readings[i].end = open_again(&looping->readings[i], loop);
    over += looping->readings[i].end != 0;
  }
  while (over < STREAMS) {
    for (sse_stream *stream; (stream = sse_loop_next(loop));) {
      struct reading *reading = looping->readings;
      while (reading->stream != stream) reading++;
      bool on = read_all(reading);
      if (on && line_draw(&reading->random, 100) == 0) {
        reading->end = open_again(reading, loop);
        on = !reading->end;
      }
      over += !on;
      if (!on) sse_stream_detach(reading->stream);
    }
    int timeout = over < STREAMS ? sse_loop_timeout(loop) : 0;
    if (timeout != 0) bell_wait(&looping->bell, timeout < 0 || timeout > 1000 ? 1000 : timeout);
  }
  for (unsigned i = 0; i < STREAMS; i++) {
    sse_stream_free(looping->readings[i].stream);
    looping->readings[i].stream = NULL;
  }
  if (sse_loop_free(loop)) abort();
  return NULL;
}

/* ---- the judge ---- */

/* Whether the feeder did something above one number of an epoch and up to another. */
static bool fed(const struct reading *reading, enum kind kind, int epoch, uint64_t above,
                uint64_t upto) {
  for (size_t i = 0; i < feeder.count; i++) {
    const struct note *note = &feeder.notes[i];
    if (note->epoch != epoch || note->kind != kind) continue;
    bool concerns = kind == SKIPPED || strchr(reading->channels, note->channel);
    if (concerns && note->number > above && note->number <= upto) return true;
  }
  return false;
}

/*
 * What is wrong with the next thing that a reader was given; NULL: nothing. A gap of several channels
 * may report what one of them lost above the gap's id, where another one has events still to come.
 */
static const char *judge_next(const struct reading *reading, const struct note *has,
                              const struct note *next, bool told) {
  if (next->kind == GAP) return next->epoch < has->epoch ? "a gap of an earlier history" : NULL;
  if (has->epoch < 0) return next->kind == POSITION ? NULL : "it begins without a position";
  if (next->epoch != has->epoch) return "another history without a gap";
  bool event = next->kind == PUBLISHED;
  if (event && next->number <= has->number) return "twice, or not in order";
  if (event && !fed(reading, PUBLISHED, next->epoch, next->number - 1, next->number))
    return "what was not fed";
  if (next->number < has->number) return "a position goes back";
  bool reported = told && reading->channels[1];
  bool hole = fed(reading, PUBLISHED, next->epoch, has->number, next->number - event);
  if (hole && !reported) return "a hole";
  if (!told && fed(reading, SKIPPED, next->epoch, has->number, next->number)) return "a skip";
  return NULL;
}

static void judge(const struct reading *reading) {
  struct note has = {OPENED, -1, 0, '\0'};
  bool told = false; /* a gap of this connection and history */
  for (size_t i = 0; i < reading->count; i++) {
    const struct note *next = &reading->seen[i];
    if (next->kind != OPENED) {
      const char *wrong = judge_next(reading, &has, next, told);
      if (wrong) fail_msg("%s, at %zu of %zu", wrong, i, reading->count);
    }
    told = next->kind == GAP || (told && next->kind != OPENED);
    has = *next;
  }
  assert_int_equal(reading->end, SSE_EFINISHED);
  if (has.epoch < 0) return; /* all was over before it came */
  assert_int_equal(has.epoch, EPOCHS - 1);
  assert_false(fed(reading, PUBLISHED, EPOCHS - 1, has.number, UINT64_MAX));
}

/* ---- the play ---- */

static void a_log_is_fed_while_all_read(void **state) {
  static struct reading readings[READERS];
  static struct looping loops[LOOPS];
  static const char *const channels[] = {"a", "ab", "b"};
  const sse_hub_config config = {.epoch = "A",
                                 .numbers = SSE_NUMBERS_GIVEN,
                                 .retry_ms = SSE_NEVER,
                                 .heartbeat_ms = SSE_NEVER,
                                 .channel = {.window_frames_max = 100},
                                 .alloc = line_alloc};
  pthread_t threads[LOOPS + WAITERS], feeding;
  unsigned count = 0;
  (void)state;
  assert_int_equal(sse_hub_new(&hub, &config), SSE_OK);
  hub->part_max = 1;
  for (unsigned i = 0; i < READERS; i++) {
    readings[i] = (struct reading){.channels = channels[i % 3], .random = i};
    readings[i].seen = malloc(SEEN_MAX * sizeof *readings[i].seen);
    assert_non_null(readings[i].seen);
    assert_int_equal(sse_parser_new(&readings[i].parser, NULL), SSE_OK);
  }
  for (unsigned i = 0; i < LOOPS; i++) {
    loops[i].readings = &readings[i * STREAMS];
    loops[i].target.bell = &loops[i].bell;
    bell_init(&loops[i].bell);
    threads[count++] = start(loop_and_read, &loops[i]);
  }
  for (unsigned i = 0; i < WAITERS; i++)
    threads[count++] = start(wait_and_read, &readings[LOOPS * STREAMS + i]);
  feeding = start(feed, NULL);
  pthread_join(feeding, NULL);
  for (unsigned i = 0; i < count; i++) pthread_join(threads[i], NULL);
  assert_int_equal(feeder.error, SSE_OK);
  for (unsigned i = 0; i < READERS; i++) {
    sse_stream_free(readings[i].stream);
    judge(&readings[i]);
    sse_parser_free(readings[i].parser);
    free(readings[i].seen);
  }
  for (unsigned i = 0; i < LOOPS; i++) bell_free(&loops[i].bell);
  assert_int_equal(sse_hub_free(hub), SSE_OK);
  assert_int_equal(line_blocks(), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_log_is_fed_while_all_read)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
