/* SPDX-License-Identifier: MIT */
/* line.h: a client with its stream, for tests with threads, and what its threads are woken by. */
#ifndef LINE_H
#define LINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "reader.h"

#define LINE_OPENS_MAX 2000 /* connections of one line */
#define PACE_LEAD      40   /* events that publishers may be ahead of the log */

/* An allocator that counts, and orders nothing between threads, so as to hide no race. */
void *line_alloc(void *arg, void *block, size_t size);
long line_blocks(void); /* handed out and not freed */

/* The next of a row of random numbers, from 0 to below n. */
uint64_t line_draw(uint64_t *random, uint64_t n);

struct bell {
  pthread_mutex_t lock;
  pthread_cond_t rang;
  bool rung;
};

void bell_init(struct bell *bell);
void bell_free(struct bell *bell);
void bell_ring(struct bell *bell);
/* Waits until it has rung since the last time; false if it has not for so long. */
bool bell_wait(struct bell *bell, int timeout_ms);

/* Publishers go on when the log has been told of most, or all would be over before it began. */
struct pace {
  pthread_mutex_t lock;
  pthread_cond_t moved;
  uint64_t published, told;
};

void pace_init(struct pace *pace);
void pace_free(struct pace *pace);
/* An event was published: waits for those who have to hear of it. */
void pace_publish(struct pace *pace);
/* All up to a number was told. */
void pace_tell(struct pace *pace, uint64_t number);

/* What a wake is for: a loop or a lone stream. Its atomics order nothing, either. */
struct target {
  struct bell *bell;
  bool stubborn;    /* its wakes ring, and yet say that they failed */
  atomic_bool dead; /* no wake may come any more */
  atomic_bool busy, woken;
  atomic_uint calls, late, twice, failed;
};

/* A sse_wake_fn for a target: rings its bell. Every fifth call fails, and nobody has heard it. */
int line_wake(void *arg, unsigned why);

struct stage {
  sse_hub *hub;
  bool resumes; /* connections end now and then, and are resumed */
  atomic_bool stop;
};

/* Makes the hub; without timers that could take the place of a wake. */
void stage_open(struct stage *stage, size_t kept);
/* Frees it, and asserts that everything came back. */
void stage_close(struct stage *stage);

pthread_t start(void *(*run)(void *), void *arg);

struct ticker {
  struct stage *stage;
  struct bell bell;
};

/* A thread: ticks until the stage stops, and the bell rings. */
void *run_ticker(void *arg);

/* A client and its stream. A lone stream has a target of its own, a new one each time. */
struct line {
  struct stage *stage;
  struct reader reader;
  sse_stream *stream;
  sse_loop *loop;
  struct bell *bell; /* of a lone stream that is woken; NULL: none */
  struct target *target, *old[LINE_OPENS_MAX];
  size_t opens; /* connections that are over */
  uint64_t random;
  bool blocked;      /* it has to be served again as soon as there is room */
  struct pace *pace; /* of the log */
};

void line_init(struct line *line, struct stage *stage, unsigned channels, unsigned seed);
void line_open(struct line *line);
void line_close(struct line *line);
void line_fault(struct line *line, const char *fault);
/* It has had its last events, or something is wrong. */
bool line_over(const struct line *line);
/* Now and then the connection breaks, also within an event, and the client comes back. */
void line_resume(struct line *line);
/* Sends what the stream has, to a transport that takes as much as it likes. */
void line_serve(struct line *line);
/* On the main thread: asserts that no wake came late or twice at a time; how many have failed. */
unsigned line_judge_wakes(const struct line *line);

#endif
