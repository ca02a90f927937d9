/* SPDX-License-Identifier: MIT */
/* host.h: the host of a history: its hub, loops, streams and clients. */
#ifndef JUDGE_HOST_H
#define JUDGE_HOST_H

#include "trial.h"

enum {
  STREAMS = 5,
  LOOPS_MAX = 2,
  GROUPS = 2,
  STEPS_MAX = 90,
  KINDS = 16
};

/* How a host serves a stream. */
typedef enum serve {
  SERVE_ALL,
  SERVE_SOME,
  SERVE_PEEK,
  SERVE_NOT
} serve;

typedef struct client {
  char last_id[WIRE_ID_MAX];
  char older_id[WIRE_ID_MAX];
  unsigned channels;
} client;

typedef struct host {
  sse_loop *loops[LOOPS_MAX];
  int loops_count;
  bool in_round[LOOPS_MAX], woken[LOOPS_MAX];
  uint64_t round_head[LOOPS_MAX];
  trial trials[STREAMS];
  client clients[STREAMS];
  bool dropping;                                         /* channels are dropped and forgotten */
  bool finishing;                                        /* channels are finished */
  bool several, states, limits, subscribes, disconnects; /* what JUDGE_WITHOUT can leave out */
  bool bounds, ids, ephemerals, filters, positions_off, closes, heads, drains;
  unsigned weights[KINDS];
  uint64_t random;
} host;

extern host the;

void host_begin(uint64_t *seed); /* draws what the history is like, and makes the first hub */
void host_end(void);             /* frees all; judges the numbers of the hub */
void host_restart(void);

int host_look(trial *t, int max); /* one peek; what sse_stream_peek returns */
void host_consume(trial *t, size_t bytes);
void host_serve(trial *t, serve how, uint64_t *seed);
void host_free(trial *t, unsigned lost_blocks); /* the client goes, with the id it has */
void host_open(trial *t, uint64_t *seed);
void host_settle(void); /* every stream is read until there is nothing */
void host_check_wakes(void);
void host_round(int loop, uint64_t *seed, bool nest);
void host_in_flight(void);

void step(uint64_t seed); /* one step of a history (steps.c) */
void step_nested(uint64_t *seed);

#endif
