/* SPDX-License-Identifier: MIT */
/* engine.c: what all kinds of engines have in common. */
#include "engine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kind.h"

enum {
  WAITING_BYTES = 16 * 1024 * 1024
};

static const struct engine_kind *const kinds[] = {
    &engine_memory,
#ifdef ENGINE_SQLITE
    &engine_sqlite,
#endif
#ifdef ENGINE_REDIS
    &engine_redis,
#endif
#ifdef ENGINE_NATS
    &engine_nats,
#endif
#ifdef ENGINE_AMQP
    &engine_amqp,
#endif
};

const struct engine_kind *engine_find(const char *name) {
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strcmp(kinds[i]->name, name) == 0) return kinds[i];
  return NULL;
}

const char *engine_error_text(int error) {
  switch (error) {
  case ENGINE_ELOG:
    return "the log did not take the event, or did not confirm it";
  case ENGINE_EBUSY:
    return "too many events wait to be appended to the log";
  case ENGINE_ESTOPPED:
    return "the engine is stopped";
  default:
    return sse_error_text(error);
  }
}

/* ---- for the kinds ---- */

void engine_problem(struct engine *engine, const char *sentence) {
  pthread_mutex_lock(&engine->lock);
  engine->failing = sentence != NULL;
  if (sentence) snprintf(engine->problem, sizeof engine->problem, "%s", sentence);
  pthread_mutex_unlock(&engine->lock);
}

int engine_thread(struct engine *engine, pthread_t *thread, void *(*serve)(void *), void *arg) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(thread, NULL, serve, arg);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!error) return 0;
  engine_problem(engine, "cannot start a thread");
  return SSE_ENOMEM;
}

static void count_waiting(struct engine *engine, const struct entry *entry) {
  engine->waiting++;
  engine->waiting_bytes += entry->bytes;
}

static void count_answered(struct engine *engine, const struct entry *entry) {
  engine->waiting--;
  engine->waiting_bytes -= entry->bytes;
}

void engine_answer(struct engine *engine, struct entry *entry, int error, const char *id) {
  if (!error) engine->appended++;
  if (error == ENGINE_ELOG) engine->failed++;
  count_answered(engine, entry);
  if (entry->done) entry->done(entry->arg, error, error ? "" : id);
  free(entry);
}

/* ---- life ---- */

static int make_hub(struct engine *engine, const struct engine_config *config) {
  sse_hub_config hub_config = {.numbers = SSE_NUMBERS_OWN};
  const char *detail = NULL;
  if (config->hub) hub_config = *config->hub;
  engine->limits = entry_limits_of(&hub_config);
  int error = engine->kind->open(engine, config, &hub_config);
  if (error) return error;
  hub_config.error_detail = &detail;
  error = sse_hub_new(&engine->hub, &hub_config);
  if (error) engine_problem(engine, detail ? detail : sse_error_text(error));
  if (!error) feeder_init(&engine->feeder, engine->hub, &hub_config);
  return error;
}

int engine_open(struct engine **engine, const struct engine_kind *kind,
                const struct engine_config *config, char problem[ENGINE_PROBLEM_MAX]) {
  struct engine *e = calloc(1, sizeof *e);
  if (!e || pthread_mutex_init(&e->lock, NULL)) {
    snprintf(problem, ENGINE_PROBLEM_MAX, "%s", sse_error_text(SSE_ENOMEM));
    free(e);
    return SSE_ENOMEM;
  }
  e->kind = kind;
  e->feeder.prepare = config->prepare;
  e->feeder.prepare_arg = config->prepare_arg;
  e->feeder.seen = config->seen;
  e->feeder.seen_arg = config->seen_arg;
  e->waiting_bytes_max = config->waiting_bytes_max ? config->waiting_bytes_max : WAITING_BYTES;
  int error = make_hub(e, config);
  if (!error) {
    *engine = e;
    return 0;
  }
  snprintf(problem, ENGINE_PROBLEM_MAX, "%s", *e->problem ? e->problem : sse_error_text(error));
  engine_free(e);
  return error;
}

int engine_start(struct engine *engine) {
  int error = engine->kind->start(engine);
  engine->running = !error;
  return error;
}

sse_hub *engine_hub(const struct engine *engine) {
  return engine->hub;
}

void engine_stop(struct engine *engine) {
  engine->running = 0;
  if (!engine->stopped) engine->kind->stop(engine);
  engine->stopped = 1;
}

int engine_free(struct engine *engine) {
  if (!engine) return 0;
  engine_stop(engine);
  int error = sse_hub_free(engine->hub);
  if (error) return error;
  engine->kind->free(engine);
  pthread_mutex_destroy(&engine->lock);
  free(engine);
  return 0;
}

/* ---- publishing ---- */

/* One that is ephemeral has no place in a log; clients of other processes do not get it. */
static int publish_ephemeral(struct engine *engine, const char *const *channels,
                             const sse_event *ev, engine_done_fn *done, void *arg) {
  feeder_prepare(&engine->feeder, channels);
  int error = sse_hub_publish_to(engine->hub, channels, ev);
  if (!error && done) done(arg, 0, "");
  return error;
}

/* With several threads the sum may exceed the limit by one entry of each. */
static int append(struct engine *engine, struct entry *entry) {
  if (engine->waiting_bytes > 0 && engine->waiting_bytes + entry->bytes > engine->waiting_bytes_max)
    return ENGINE_EBUSY;
  count_waiting(engine, entry);
  int error = engine->kind->append(engine, entry);
  if (error) count_answered(engine, entry);
  return error;
}

int engine_submit(struct engine *engine, const char *const *channels, const sse_event *ev,
                  engine_done_fn *done, void *arg) {
  int error = entry_check(&engine->limits, channels, ev);
  if (error) return error;
  if (!engine->running) return ENGINE_ESTOPPED;
  if (ev->flags & SSE_EPHEMERAL) return publish_ephemeral(engine, channels, ev, done, arg);
  struct entry *entry = entry_new(channels, ev);
  if (!entry) return SSE_ENOMEM;
  entry->done = done;
  entry->arg = arg;
  error = append(engine, entry);
  if (error) free(entry);
  return error;
}

struct outcome {
  pthread_mutex_t lock;
  pthread_cond_t known;
  int is_known, error;
  char *id;
};

static void note_outcome(void *arg, int error, const char *id) {
  struct outcome *outcome = arg;
  pthread_mutex_lock(&outcome->lock);
  outcome->error = error;
  if (outcome->id) snprintf(outcome->id, SSE_ID_BYTES_MAX + 1, "%s", id);
  outcome->is_known = 1;
  pthread_cond_signal(&outcome->known);
  pthread_mutex_unlock(&outcome->lock);
}

int engine_publish(struct engine *engine, const char *const *channels, const sse_event *ev,
                   char *id) {
  struct outcome outcome = {
      .lock = PTHREAD_MUTEX_INITIALIZER, .known = PTHREAD_COND_INITIALIZER, .id = id};
  int error = engine_submit(engine, channels, ev, note_outcome, &outcome);
  if (error) return error;
  pthread_mutex_lock(&outcome.lock);
  while (!outcome.is_known) pthread_cond_wait(&outcome.known, &outcome.lock);
  pthread_mutex_unlock(&outcome.lock);
  pthread_cond_destroy(&outcome.known);
  pthread_mutex_destroy(&outcome.lock);
  return outcome.error;
}

/* ---- status ---- */

void engine_status(struct engine *engine, struct engine_status *status) {
  sse_stats stats = {.head = 0};
  uint64_t newest = engine->newest; /* before the head, which is then not the older one */
  sse_hub_stats(engine->hub, NULL, &stats);
  *status = (struct engine_status){.kind = engine->kind->name,
                                   .head = stats.head,
                                   .behind = newest > stats.head ? newest - stats.head : 0,
                                   .appended = engine->appended,
                                   .failed = engine->failed,
                                   .writes = engine->writes,
                                   .refused = engine->feeder.refused,
                                   .skipped = engine->feeder.skipped,
                                   .histories = engine->feeder.histories,
                                   .waiting = engine->waiting,
                                   .waiting_bytes = engine->waiting_bytes};
  pthread_mutex_lock(&engine->lock);
  status->failing = engine->failing;
  memcpy(status->problem, engine->problem, sizeof status->problem);
  pthread_mutex_unlock(&engine->lock);
}
