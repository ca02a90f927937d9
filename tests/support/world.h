/* SPDX-License-Identifier: MIT */
/* world.h: a simulated world for a hub: its clock, its random numbers, its allocator, its clients.
 */
#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>
#include <stdlib.h>

#include <sse/sse.h>

/* Everything a hub asks the outside for. Allocation may be used from several threads; the rest not.
 */
struct world {
  int64_t now_ms;
  uint64_t seed;
  sse_hub *hub;
};

/*
 * Makes a world, whose time stands at one hour, and its hub, with the epoch "E" unless the config
 * has another. The callbacks of the config are set here; NULL: all other members default. Asserts
 * success.
 */
void world_open(struct world *world, const sse_hub_config *config);
/* Frees the hub and asserts that every byte came back. */
void world_close(struct world *world);
/* The callbacks, for tests that call sse_hub_new themselves. */
void world_callbacks(struct world *world, sse_hub_config *config);
/* A number from 0 to below n; the same row for the same seed. */
uint64_t world_random(struct world *world, uint64_t n);

/* The allocator, one for the process, counted. */
void *world_alloc(void *arg, void *block, size_t size);
size_t world_bytes(void);  /* handed out and not freed */
size_t world_blocks(void); /* the same in blocks */
size_t world_calls(void);  /* allocations so far, frees not counted */
/* Lets the n-th allocation from now fail, 1 the next, and with `onwards` all after it; 0: none. */
void world_fail(size_t n, bool onwards);

/* Reads all that a stream has, until it is armed or over; a static string of at most 64 KiB. */
const char *world_read(sse_stream *stream);
/* What the last peek of world_read returned: 0, or why it is over. */
int world_read_result(void);

/* Opens a stream on one channel; asserts success. */
sse_stream *world_stream(struct world *world, const char *channel, const char *last_id,
                         sse_loop *loop);
/* Publishes a text; asserts success. */
void world_send(struct world *world, const char *channel, const char *text);

/* A wake for loops and lone streams: counts its calls. The arg is a struct wakes. */
struct wakes {
  int count;
  unsigned why;
  int fail; /* the next so many fail */
};
int world_wake(void *arg, unsigned why);

#endif
