/* SPDX-License-Identifier: MIT */
/* amqp.c: the engine whose log is a stream queue in a RabbitMQ server. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp_reader.h"
#include "kind.h"
#include "queue.h"
#include "session.h"
#include "timing.h"

/*
 * Numbers. RabbitMQ gives each entry of a stream an offset, from 0 on; its number is the offset + 1.
 * Classic and quorum queues have no offsets, and are refused.
 *
 * History. A session is two connections, because the server reads nothing, acknowledgements
 * included, from a connection that publishes while it is short of memory: one appends, one reads.
 * Each session begins with a comparison of the log with what was read from it (amqp_history.h), and
 * ends at the first doubt: a connection breaks, the server is silent, or something does not fit. 
 *
 * Durability. RabbitMQ confirms an entry when a majority of the stream's replicas have it. It does
 * not sync its files: on one node a crash of the machine can lose confirmed entries, and that of the
 * server does not. Those who have read what is lost notice it, and refuse the log.
 */

enum {
  WAIT_MAX_MS = 10000,
  SESSION_LEAST_MS = 5000, /* a session has this time to begin, although the server is busy */
  NOT_FOUND = 404,         /* replies of AMQP */
  PRECONDITION_FAILED = 406,
  INTERNAL_ERROR = 541,
  ARGUMENTS_MAX = 4
};

static const uint64_t load_default = 100000;
static const size_t event_bytes_most = 100 * 1024 * 1024; /* RabbitMQ takes messages of 128 MiB */

struct amqp {
  struct engine *engine;
  struct amqp_url url;
  struct amqp_writer writer;
  struct amqp_reader reader;
  struct queue queue;
  pthread_t thread;
  int has_queue, has_thread;
  uint64_t load_max, age_max_s;
  int is_unlimited; /* the log has no limit in bytes */
  int exists;       /* the queue is there, with other arguments than ours */
  int patience_ms;  /* how long the server may be silent */
  int is_starting;  /* the server has just started, and has not got its queues yet */
  struct session session;
};

/* ---- the queue ---- */

static amqp_table_entry_t text_argument(const char *name, const char *text) {
  return (amqp_table_entry_t){
      .key = amqp_cstring_bytes(name),
      .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)}};
}

static amqp_table_entry_t number_argument(const char *name, int64_t number) {
  return (amqp_table_entry_t){.key = amqp_cstring_bytes(name),
                              .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = number}};
}

/* Whether the queue exists, and was declared with other arguments. */
static int is_other(const struct amqp_link *link) {
  return link->code == PRECONDITION_FAILED && strstr(link->problem, "inequivalent arg") != NULL;
}

/* 0; 1: it exists with other arguments, which are kept, and the link is to be opened again; or -1. */
static int declare(struct amqp *a, int64_t until_ms) {
  amqp_table_entry_t arguments[ARGUMENTS_MAX];
  char age[32];
  int count = 0;
  struct amqp_link *link = &a->reader.link;
  arguments[count++] = text_argument("x-queue-type", "stream");
  arguments[count++] = number_argument("x-stream-max-segment-size-bytes", a->url.segment_bytes);
  if (!a->is_unlimited)
    arguments[count++] = number_argument("x-max-length-bytes", a->url.max_bytes);
  snprintf(age, sizeof age, "%llus", (unsigned long long)a->age_max_s);
  if (a->age_max_s > 0) arguments[count++] = text_argument("x-max-age", age);
  amqp_queue_declare_t declare = {.queue = amqp_cstring_bytes(a->url.queue),
                                  .passive = a->exists,
                                  .durable = 1,
                                  .arguments = {.num_entries = count, .entries = arguments}};
  if (a->exists) declare.arguments.num_entries = 0;
  link->doing = "the queue";
  if (amqp_link_ask(link, until_ms, AMQP_QUEUE_DECLARE_METHOD, &declare,
                    AMQP_QUEUE_DECLARE_OK_METHOD) == 0)
    return 0;
  a->exists = is_other(link);
  return a->exists ? 1 : -1;
}

static int open_reading(struct amqp *a, int64_t until_ms) {
  if (amqp_link_open(&a->reader.link, &a->url, until_ms)) return -1;
  int result = declare(a, until_ms);
  if (result <= 0) return result;
  amqp_link_close(&a->reader.link);
  return amqp_link_open(&a->reader.link, &a->url, until_ms) || declare(a, until_ms) ? -1 : 0;
}

static int open_writing(struct amqp *a, int64_t until_ms) {
  amqp_confirm_select_t confirm = {.nowait = 0};
  if (amqp_link_open(&a->writer.link, &a->url, until_ms)) return -1;
  a->writer.link.doing = "confirms";
  return amqp_link_ask(&a->writer.link, until_ms, AMQP_CONFIRM_SELECT_METHOD, &confirm,
                       AMQP_CONFIRM_SELECT_OK_METHOD);
}

/* ---- sessions ---- */

static void disconnect(struct amqp *a) {
  amqp_writer_disconnect(&a->writer);
  amqp_link_close(&a->reader.link);
  session_end(&a->session);
}

/* A server that takes connections before it has its queues refuses them for a short time. */
static int is_temporary(const struct amqp_link *link) {
  return link->code == NOT_FOUND || link->code == INTERNAL_ERROR ||
         strstr(link->problem, "running replica") != NULL;
}

/* After a failure, whose sentence one of the links has, and the operator gets. */
static void end_session(struct amqp *a) {
  const struct amqp_link *failed = *a->writer.link.problem ? &a->writer.link : &a->reader.link;
  engine_problem(a->engine, failed->problem);
  a->is_starting = is_temporary(failed);
  session_fail(&a->session);
  disconnect(a);
}

static int begin_session(struct amqp *a, int session_ms) {
  struct outbox *outbox = &a->writer.outbox;
  struct amqp_rules rules = {
      .load_max = a->load_max, .writer = outbox->nonce, .nonce = outbox_nonce(outbox)};
  struct amqp_state state;
  int64_t until_ms = clock_ms() + session_ms;
  session_epoch((uint64_t)rules.nonce, rules.begins);
  if (open_reading(a, until_ms) || open_writing(a, until_ms) ||
      amqp_history_check(&a->reader.link, &a->writer.link, until_ms, &a->reader.have, &rules,
                         &state)) {
    end_session(a);
    return ENGINE_ELOG;
  }
  a->writer.link.doing = "to append";
  amqp_writer_connected(&a->writer);
  amqp_reader_begin(&a->reader, &state);
  session_begin(&a->session);
  return 0;
}

/* ---- the loop ---- */

/* Exchanges with the server what there is, without waiting. */
static void exchange(struct amqp *a) {
  int64_t begun_ms = clock_ms();
  int error = amqp_writer_receive(&a->writer) || amqp_reader_receive(&a->reader);
  /* Time that it takes to feed the hub is no silence of the server. */
  int64_t took_ms = clock_ms() - begun_ms;
  a->writer.link.heard_ms += took_ms;
  a->reader.link.heard_ms += took_ms;
  error = error || amqp_link_is_dead(&a->reader.link, a->patience_ms) ||
          amqp_link_is_dead(&a->writer.link, a->patience_ms) || amqp_link_flush(&a->writer.link) ||
          amqp_link_flush(&a->reader.link);
  if (!error && a->reader.is_caught_up) error = amqp_writer_send(&a->writer);
  if (error) end_session(a);
}

/* Waits until there is something to do, up to a moment. */
static void wait_for_work(struct amqp *a, int64_t until_ms) {
  struct pollfd fds[3] = {{.fd = a->queue.wake[0], .events = POLLIN},
                          {.fd = a->session.is_up ? a->reader.link.fd : -1, .events = POLLIN},
                          {.fd = a->session.is_up ? a->writer.link.fd : -1, .events = POLLIN}};
  int64_t left_ms = until_ms - clock_ms();
  if (amqp_link_unsent(&a->reader.link) > 0) fds[1].events |= POLLOUT;
  if (amqp_link_unsent(&a->writer.link) > 0) fds[2].events |= POLLOUT;
  if (left_ms > 0) poll(fds, 3, left_ms < 500 ? (int)left_ms : 500);
}

/* Does what there is to do; gives the moment when there is more, if nothing comes before. */
static int64_t work(struct amqp *a) {
  struct outbox *outbox = &a->writer.outbox;
  int session_ms = outbox->wait_max_ms / 2;
  if (!a->session.is_up && clock_ms() >= a->session.next_ms)
    begin_session(a, session_ms > SESSION_LEAST_MS ? session_ms : SESSION_LEAST_MS);
  if (a->session.is_up) exchange(a);
  int64_t due_ms = outbox_expire(outbox, clock_ms());
  int64_t wake_ms = a->session.is_up ? clock_ms() + a->patience_ms / 4 + 1 : a->session.next_ms;
  return due_ms < wake_ms ? due_ms : wake_ms;
}

static void *serve(void *arg) {
  struct amqp *a = arg;
  struct outbox *outbox = &a->writer.outbox;
  while (outbox_take(outbox, &a->queue)) wait_for_work(a, work(a));
  int64_t until_ms = clock_ms() + a->patience_ms;
  while (!outbox_is_empty(outbox) && clock_ms() < until_ms) {
    int64_t wake_ms = work(a);
    if (!outbox_is_empty(outbox)) wait_for_work(a, wake_ms < until_ms ? wake_ms : until_ms);
  }
  outbox_end(outbox);
  return NULL;
}

/* ---- the kind ---- */

static int refuse(struct engine *engine, const char *problem) {
  engine_problem(engine, problem);
  return ENGINE_ELOG;
}

static struct amqp *make(struct engine *engine, const struct engine_config *config) {
  struct amqp *a = calloc(1, sizeof *a);
  if (!a) return NULL;
  int wait_max_ms = config->wait_max_ms > 0 ? config->wait_max_ms : WAIT_MAX_MS;
  a->engine = engine;
  a->load_max = config->load_max ? config->load_max : load_default;
  a->age_max_s = config->age_max_s;
  a->is_unlimited = config->entries_max == ENGINE_FOREVER;
  a->patience_ms = wait_max_ms / 4;
  a->writer.outbox =
      (struct outbox){.engine = engine, .wait_max_ms = wait_max_ms, .epoch = a->reader.have.epoch};
  a->reader.engine = engine;
  a->reader.writer = &a->writer;
  return a;
}

static int first_session(struct amqp *a) {
  int wait_max_ms = a->writer.outbox.wait_max_ms;
  int session_ms = wait_max_ms > SESSION_LEAST_MS ? wait_max_ms : SESSION_LEAST_MS;
  int64_t until_ms = clock_ms() + session_ms;
  for (;;) {
    int error = begin_session(a, session_ms);
    if (!error || !a->is_starting || a->session.next_ms > until_ms) return error;
    int64_t left_ms = a->session.next_ms - clock_ms();
    if (left_ms > 0) poll(NULL, 0, (int)left_ms);
  }
}

static int amqp_open(struct engine *engine, const struct engine_config *config,
                     sse_hub_config *hub) {
  const char *problem;
  uint64_t random[2];
  struct amqp *a = make(engine, config);
  if (!a) return SSE_ENOMEM;
  engine->log = a;
  if (amqp_url_parse(&a->url, config->where, &problem)) return refuse(engine, problem);
  int error = session_random(engine, random, sizeof random);
  if (error) return error;
  a->writer.outbox.nonce = (int64_t)random[0];
  a->session.chance = random[1];
  if (queue_init(&a->queue)) return SSE_ENOMEM;
  a->has_queue = 1;
  error = first_session(a);
  if (error) return error;
  if (engine->limits.event_bytes_max > event_bytes_most)
    engine->limits.event_bytes_max = event_bytes_most;
  hub->numbers = SSE_NUMBERS_GIVEN;
  hub->epoch = a->reader.have.epoch;
  hub->start_after = a->reader.have.next;
  disconnect(a);
  return 0;
}

/* The hub is given what the log has, up to its end; each part may take its time. */
static int load(struct amqp *a) {
  int error = first_session(a);
  while (!error && !a->reader.is_caught_up) {
    int64_t wake_ms = work(a);
    if (!a->session.is_up) return ENGINE_ELOG;
    if (!a->reader.is_caught_up) wait_for_work(a, wake_ms);
  }
  return error;
}

static int amqp_start(struct engine *engine) {
  struct amqp *a = engine->log;
  int error = load(a);
  if (error) return error;
  error = engine_thread(engine, &a->thread, serve, a);
  a->has_thread = !error;
  return error;
}

static int amqp_append(struct engine *engine, struct entry *entry) {
  struct amqp *a = engine->log;
  if (amqp_log_strings(entry) > AMQP_LOG_STRINGS_MAX) return SSE_ETOOBIG;
  return queue_put(&a->queue, entry);
}

static void amqp_stop(struct engine *engine) {
  struct amqp *a = engine->log;
  if (a && a->has_queue) queue_close(&a->queue);
  if (a && a->has_thread) pthread_join(a->thread, NULL);
}

static void amqp_free(struct engine *engine) {
  struct amqp *a = engine->log;
  if (!a) return;
  disconnect(a);
  amqp_reader_free(&a->reader);
  if (a->has_queue) queue_free(&a->queue);
  amqp_url_free(&a->url);
  free(a);
}

const struct engine_kind engine_amqp = {.name = "amqp",
                                        .open = amqp_open,
                                        .start = amqp_start,
                                        .append = amqp_append,
                                        .stop = amqp_stop,
                                        .free = amqp_free};
