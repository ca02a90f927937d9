/* SPDX-License-Identifier: MIT */
/* kind.h: what each kind of engine consists of, for those who write one. */
#ifndef ENGINE_KIND_H
#define ENGINE_KIND_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine.h"
#include "entry.h"
#include "feeder.h"

/*
 * engine.c does what all kinds have in common: it checks and copies an event, gives an ephemeral
 * one to the hub, counts, and turns a submission into a call that waits. A kind appends entries,
 * answers each by engine_answer exactly once, and feeds the hub through its feeder (feeder.h).
 */
struct engine {
  const struct engine_kind *kind;
  sse_hub *hub;
  struct entry_limits limits;
  struct feeder feeder; /* used by the kind, on the thread that feeds */
  void *log;            /* the kind's own */
  size_t waiting_bytes_max;
  atomic_int running; /* it takes events */
  int stopped;
  atomic_ullong newest; /* number of the newest entry that the log is known to have; 0: unknown */
  atomic_ullong appended, failed, writes;
  atomic_size_t waiting, waiting_bytes;
  pthread_mutex_t lock; /* guards the next two */
  int failing;
  char problem[ENGINE_PROBLEM_MAX];
};

struct engine_kind {
  const char *name;
  /*
   * Opens the log and sets `numbers`, `epoch` and `start_after` of the configuration, whose strings
   * stay valid until free. 0; or an error, and engine_problem has said what is wrong; free is called
   * then, too.
   */
  int (*open)(struct engine *engine, const struct engine_config *config, sse_hub_config *hub);
  /* Feeds the hub with what the log has, and begins to append. 0 or an error, as open. */
  int (*start)(struct engine *engine);
  /* Takes over an entry, and answers it now or later; or an error, and the entry is the caller's. */
  int (*append)(struct engine *engine, struct entry *entry);
  /* Answers everything that was appended, and ends the thread. Called once, started or not. An
   * append that comes at the same time or later is refused with ENGINE_ESTOPPED. */
  void (*stop)(struct engine *engine);
  void (*free)(struct engine *engine);
};

extern const struct engine_kind engine_memory, engine_sqlite, engine_redis, engine_nats,
    engine_amqp;

/* Gives the outcome of an entry to whoever submitted it, and frees the entry. */
void engine_answer(struct engine *engine, struct entry *entry, int error, const char *id);

/* Notes a failure of the log as a sentence, or with NULL that it works. */
void engine_problem(struct engine *engine, const char *sentence);

/* Starts the thread of an engine, which handles no signals: 0, or SSE_ENOMEM with its problem. */
int engine_thread(struct engine *engine, pthread_t *thread, void *(*serve)(void *), void *arg);

#endif
