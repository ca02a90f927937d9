/* SPDX-License-Identifier: MIT */
/* line.c: a client with its stream, and what its threads are woken by. */
#include "line.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* ---- an allocator that counts, and orders nothing between threads ---- */

static atomic_long blocks;

void *line_alloc(void *arg, void *block, size_t size) {
  (void)arg;
  if (size == 0) {
    if (block) atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
    free(block);
    return NULL;
  }
  void *result = realloc(block, size);
  if (result && !block) atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
  return result;
}

long line_blocks(void) {
  return atomic_load(&blocks);
}

/* ---- bells ---- */

void bell_init(struct bell *bell) {
  memset(bell, 0, sizeof *bell);
  pthread_mutex_init(&bell->lock, NULL);
  pthread_cond_init(&bell->rang, NULL);
}

void bell_free(struct bell *bell) {
  pthread_cond_destroy(&bell->rang);
  pthread_mutex_destroy(&bell->lock);
}

void bell_ring(struct bell *bell) {
  pthread_mutex_lock(&bell->lock);
  bell->rung = true;
  pthread_cond_signal(&bell->rang);
  pthread_mutex_unlock(&bell->lock);
}

/* Waits until it has rung since the last time; false if it has not for so long. */
bool bell_wait(struct bell *bell, int timeout_ms) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += timeout_ms / 1000;
  until.tv_nsec += timeout_ms % 1000 * 1000000L;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_nsec -= 1000000000L;
    until.tv_sec++;
  }
  int error = 0;
  pthread_mutex_lock(&bell->lock);
  while (!bell->rung && !error) error = pthread_cond_timedwait(&bell->rang, &bell->lock, &until);
  bool rung = bell->rung;
  bell->rung = false;
  pthread_mutex_unlock(&bell->lock);
  return rung;
}

/* ---- the pace: publishers go on when the log has been told of most ---- */

void pace_init(struct pace *pace) {
  memset(pace, 0, sizeof *pace);
  pthread_mutex_init(&pace->lock, NULL);
  pthread_cond_init(&pace->moved, NULL);
}

void pace_free(struct pace *pace) {
  pthread_cond_destroy(&pace->moved);
  pthread_mutex_destroy(&pace->lock);
}

void pace_publish(struct pace *pace) {
  pthread_mutex_lock(&pace->lock);
  pace->published++;
  while (pace->published > pace->told && pace->published - pace->told > PACE_LEAD) {
    pthread_cond_wait(&pace->moved, &pace->lock);
  }
  pthread_mutex_unlock(&pace->lock);
}

void pace_tell(struct pace *pace, uint64_t number) {
  pthread_mutex_lock(&pace->lock);
  pace->told = number;
  pthread_cond_broadcast(&pace->moved);
  pthread_mutex_unlock(&pace->lock);
}

/* ---- wakes ---- */

static void count_late(struct target *target) {
  if (!atomic_load_explicit(&target->dead, memory_order_relaxed)) return;
  atomic_fetch_add_explicit(&target->late, 1, memory_order_relaxed);
}

/* It gives way to others once it has rung, so that an end which does not wait for it shows. */
int line_wake(void *arg, unsigned why) {
  struct target *target = arg;
  (void)why;
  count_late(target);
  if (atomic_exchange_explicit(&target->busy, true, memory_order_relaxed)) {
    atomic_fetch_add_explicit(&target->twice, 1, memory_order_relaxed);
  }
  bool fails = atomic_fetch_add_explicit(&target->calls, 1, memory_order_relaxed) % 5 == 1;
  if (fails) {
    atomic_fetch_add_explicit(&target->failed, 1, memory_order_relaxed);
  } else {
    atomic_store_explicit(&target->woken, true, memory_order_relaxed);
    bell_ring(target->bell);
  }
  sched_yield();
  count_late(target);
  atomic_store_explicit(&target->busy, false, memory_order_relaxed);
  return fails || target->stubborn ? -1 : 0;
}

/* ---- clients ---- */

uint64_t line_draw(uint64_t *random, uint64_t n) {
  *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (*random >> 33) % n;
}

void line_fault(struct line *line, const char *fault) {
  if (!line->reader.fault) line->reader.fault = fault;
}

void line_init(struct line *line, struct stage *stage, unsigned channels, unsigned seed) {
  memset(line, 0, sizeof *line);
  line->stage = stage;
  line->random = seed;
  reader_init(&line->reader, channels);
}

void line_open(struct line *line) {
  const char *names[READER_CHANNELS + 1];
  static const sse_http_head chunked = {.chunked = 1};
  sse_stream_config config = {.channels = names, .loop = line->loop, .user = line};
  reader_names(&line->reader, names);
  if (line_draw(&line->random, 3) == 0) config.head = &chunked;
  config.last_id = reader_connect(&line->reader, config.head != NULL);
  if (line->bell) {
    line->target = calloc(1, sizeof *line->target);
    if (!line->target) abort();
    line->target->bell = line->bell;
    config.user = line->target;
    config.wake = line_wake;
  }
  if (sse_stream_open(&line->stream, line->stage->hub, &config)) abort();
  line->blocked = true;
}

void line_close(struct line *line) {
  sse_stream_detach(line->stream);
  if (line->target) {
    atomic_store_explicit(&line->target->dead, true, memory_order_relaxed);
    line->old[line->opens++] = line->target;
    line->target = NULL;
  }
  sse_stream_free(line->stream);
  line->stream = NULL;
}

bool line_over(const struct line *line) {
  return line->reader.fault || reader_done(&line->reader);
}

/* Now and then the connection breaks, also within an event, and the client comes back. */
void line_resume(struct line *line) {
  if (!line->stage->resumes || line_over(line) || line->opens + 1 >= LINE_OPENS_MAX) return;
  if (line_draw(&line->random, 12) > 0) return;
  line_close(line);
  line_open(line);
}

/* Adds up the wakes that failed; the others are judged. */
unsigned line_judge_wakes(const struct line *line) {
  unsigned failed = 0;
  for (size_t i = 0; i < line->opens; i++) {
    assert_int_equal(line->old[i]->late, 0);
    assert_int_equal(line->old[i]->twice, 0);
    failed += line->old[i]->failed;
    free(line->old[i]);
  }
  return failed;
}

/* ---- serving ---- */

static ssize_t write_line(void *io, const struct iovec *iov, int count) {
  struct line *line = io;
  uint64_t whim = line_draw(&line->random, 12);
  size_t taken = 0, most = whim < 4 ? 1 + line_draw(&line->random, 100) : SIZE_MAX;
  if (whim == 10) return SSE_EHELD;
  if (whim == 11) return SSE_EAGAIN;
  for (int i = 0; i < count && taken < most; i++) {
    size_t len = iov[i].iov_len < most - taken ? iov[i].iov_len : most - taken;
    reader_feed(&line->reader, iov[i].iov_base, len);
    taken += len;
  }
  return (ssize_t)taken;
}

void line_serve(struct line *line) {
  int result = sse_stream_flush(line->stream, write_line, line);
  line->blocked = result == SSE_EAGAIN;
  if (result && !line->blocked) line_fault(line, sse_error_text(result));
  line_resume(line);
}

/* ---- the stage ---- */

pthread_t start(void *(*run)(void *), void *arg) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, arg)) abort();
  return thread;
}

void stage_open(struct stage *stage, size_t kept) {
  const sse_hub_config config = {.alloc = line_alloc,
                                 .heartbeat_ms = SSE_NEVER,
                                 .stall_ms = SSE_NEVER,
                                 .channel.window_frames_max = kept};
  assert_int_equal(sse_hub_new(&stage->hub, &config), SSE_OK);
}

void stage_close(struct stage *stage) {
  assert_int_equal(sse_hub_count(stage->hub, NULL), 0);
  assert_int_equal(sse_hub_free(stage->hub), SSE_OK);
  assert_int_equal(line_blocks(), 0);
}

void *run_ticker(void *arg) {
  struct ticker *ticker = arg;
  while (!atomic_load(&ticker->stage->stop)) {
    bell_wait(&ticker->bell, sse_hub_tick(ticker->stage->hub));
  }
  return NULL;
}
