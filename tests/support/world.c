/* SPDX-License-Identifier: MIT */
/* world.c: a simulated world for a hub. */
#include "world.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* ---- the allocator ---- */

union header {
  size_t size;
  max_align_t align;
};

static struct {
  pthread_mutex_t lock;
  size_t bytes, blocks, calls;
  size_t fail_at; /* the number of the call that fails; 0: none */
  bool onwards;
} heap = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool fails(void) {
  heap.calls++;
  if (heap.fail_at == 0 || heap.calls < heap.fail_at) return false;
  return heap.calls == heap.fail_at || heap.onwards;
}

static void *resize(union header *old, size_t size) {
  union header *block = fails() ? NULL : malloc(sizeof *block + size);
  if (!block) return NULL;
  block->size = size;
  heap.bytes += size;
  heap.blocks++;
  if (!old) return block + 1;
  memcpy(block + 1, old + 1, old->size < size ? old->size : size);
  heap.bytes -= old->size;
  heap.blocks--;
  free(old);
  return block + 1;
}

void *world_alloc(void *arg, void *block, size_t size) {
  union header *old = block ? (union header *)block - 1 : NULL;
  void *result = NULL;
  (void)arg;
  pthread_mutex_lock(&heap.lock);
  if (size > 0) {
    result = resize(old, size);
  } else if (old) {
    heap.bytes -= old->size;
    heap.blocks--;
    free(old);
  }
  pthread_mutex_unlock(&heap.lock);
  return result;
}

static size_t peek_heap(const size_t *what) {
  pthread_mutex_lock(&heap.lock);
  size_t value = *what;
  pthread_mutex_unlock(&heap.lock);
  return value;
}

size_t world_bytes(void) {
  return peek_heap(&heap.bytes);
}

size_t world_blocks(void) {
  return peek_heap(&heap.blocks);
}

size_t world_calls(void) {
  return peek_heap(&heap.calls);
}

void world_fail(size_t n, bool onwards) {
  pthread_mutex_lock(&heap.lock);
  heap.fail_at = n ? heap.calls + n : 0;
  heap.onwards = onwards;
  pthread_mutex_unlock(&heap.lock);
}

/* ---- clock and random numbers ---- */

static int64_t clock_of(void *arg) {
  const struct world *world = arg;
  return world->now_ms * 1000000;
}

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2014). */
static uint64_t next(uint64_t *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * UINT64_C(2685821657736338717);
}

static int random_of(void *arg, void *buf, size_t len) {
  struct world *world = arg;
  for (size_t i = 0; i < len; i++) ((unsigned char *)buf)[i] = (unsigned char)next(&world->seed);
  return 0;
}

uint64_t world_random(struct world *world, uint64_t n) {
  return (next(&world->seed) >> 11) % n;
}

/* ---- hub and streams ---- */

void world_callbacks(struct world *world, sse_hub_config *config) {
  if (!world->seed) world->seed = UINT64_C(0x9e3779b97f4a7c15);
  if (!world->now_ms) world->now_ms = 3600000;
  config->clock = clock_of;
  config->clock_arg = world;
  config->random = random_of;
  config->random_arg = world;
  config->alloc = world_alloc;
}

void world_open(struct world *world, const sse_hub_config *config) {
  sse_hub_config c = {.epoch = "E"};
  if (config) {
    c = *config;
    if (!c.epoch) c.epoch = "E";
  }
  world_callbacks(world, &c);
  assert_int_equal(sse_hub_new(&world->hub, &c), SSE_OK);
}

void world_close(struct world *world) {
  assert_int_equal(sse_hub_free(world->hub), SSE_OK);
  world->hub = NULL;
  assert_int_equal(world_blocks(), 0);
  assert_int_equal(world_bytes(), 0);
}

sse_stream *world_stream(struct world *world, const char *channel, const char *last_id,
                         sse_loop *loop) {
  const sse_stream_config config = {.channel = channel, .last_id = last_id, .loop = loop};
  sse_stream *stream = NULL;
  assert_int_equal(sse_stream_open(&stream, world->hub, &config), SSE_OK);
  return stream;
}

void world_send(struct world *world, const char *channel, const char *text) {
  assert_int_equal(sse_hub_publish_text(world->hub, channel, NULL, text), SSE_OK);
}

/* ---- reading ---- */

static int read_result;

const char *world_read(sse_stream *stream) {
  static char text[65536];
  size_t len = 0;
  ssize_t got;
  while ((got = sse_stream_read(stream, text + len, sizeof text - 1 - len)) > 0) {
    len += (size_t)got;
    assert_true(len < sizeof text - 1);
  }
  read_result = (int)got;
  text[len] = '\0';
  return text;
}

int world_read_result(void) {
  return read_result;
}

int world_wake(void *arg, unsigned why) {
  struct wakes *wakes = arg;
  wakes->count++;
  wakes->why |= why;
  if (wakes->fail == 0) return 0;
  wakes->fail--;
  return -1;
}
