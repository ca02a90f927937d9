/* SPDX-License-Identifier: MIT */
/* nats.c: the engine whose log is a stream of NATS JetStream. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kind.h"
#include "nats_reader.h"
#include "queue.h"
#include "session.h"
#include "timing.h"

/*
 * Numbers. They are those of the stream: JetStream counts from 1, and never goes back while the
 * stream exists, whatever is removed from it.
 *
 * History. A session is one connection. It begins with a comparison of the stream with what was read
 * from it (nats_history.h), and ends at the first doubt: the connection breaks, the server is
 * silent, or an answer does not fit.
 *
 * Threads. nats.c reads and writes on the engine's thread (nats_link.h).
 *
 * Durability is that of the server. JetStream confirms what the operating system has; it writes
 * that to the disk every two minutes by default, and with several replicas other machines have it,
 * too. A server that was killed loses nothing.
 */

enum {
  WAIT_MAX_MS = 10000,
  HEADERS_BYTES = 2048 /* room for headers in the messages of events of the longest size */
};

static const uint64_t entries_default = 1000000, load_default = 100000;

struct nats {
  struct engine *engine;
  struct nats_url url;
  struct nats_rules rules;
  struct nats_link link;
  struct nats_writer writer;
  struct nats_reader reader;
  struct session session;
  struct queue queue;
  pthread_t thread;
  int has_queue, has_thread;
  int patience_ms; /* how long the server may be silent when it was asked */
};

/* ---- sessions ---- */

static void disconnect(struct nats *n) {
  nats_reader_end(&n->reader);
  nats_link_close(&n->link);
}

/* After a failure, whose sentence the operator gets. */
static int end_session(struct nats *n) {
  engine_problem(n->engine, n->link.problem);
  session_fail(&n->session);
  disconnect(n);
  return ENGINE_ELOG;
}

/* Connects and compares; end_session was called if that fails. */
static int compare(struct nats *n, int64_t until_ms, struct nats_state *state) {
  return nats_link_open(&n->link, &n->url, (uint64_t)outbox_nonce(&n->writer.outbox), until_ms) ||
                 nats_history_check(&n->link, until_ms, &n->reader.have, &n->rules, state)
             ? end_session(n)
             : 0;
}

static int begin_session(struct nats *n) {
  struct nats_state state = {0};
  int64_t until_ms = clock_ms() + n->patience_ms;
  if (compare(n, until_ms, &state)) return ENGINE_ELOG;
  if (nats_reader_begin(&n->reader, until_ms, &state)) return end_session(n);
  session_begin(&n->session);
  return 0;
}

/* ---- the loop ---- */

/* Exchanges with the server what there is, without waiting. */
static int exchange(struct nats *n) {
  if (nats_link_exchange(&n->link)) return -1;
  if (nats_reader_is_silent(&n->reader, n->patience_ms))
    return nats_link_fail(&n->link, "NATS does not answer");
  if (nats_reader_receive(&n->reader) || nats_writer_receive(&n->writer, n->reader.have.number) ||
      nats_reader_ask(&n->reader))
    return -1;
  if (n->reader.is_caught_up && nats_writer_send(&n->writer)) return -1;
  return nats_link_flush(&n->link);
}

/* Waits until there is something to do, up to a moment. */
static void wait_for_work(struct nats *n, int64_t until_ms) {
  struct pollfd fds[2] = {{.fd = n->queue.wake[0], .events = POLLIN},
                          {.fd = n->session.is_up ? n->link.fd : -1, .events = POLLIN}};
  int64_t left_ms = until_ms - clock_ms();
  if (n->session.is_up && nats_link_unsent(&n->link) > 0) fds[1].events |= POLLOUT;
  if (left_ms > 0) poll(fds, 2, left_ms < 1000 ? (int)left_ms : 1000);
}

/* Does what there is to do; gives the moment when there is more, if nothing comes before. */
static int64_t work(struct nats *n) {
  int64_t now_ms = clock_ms();
  if (!n->session.is_up && now_ms >= n->session.next_ms) begin_session(n);
  if (n->session.is_up && exchange(n)) end_session(n);
  int64_t due_ms = outbox_expire(&n->writer.outbox, clock_ms());
  int64_t wake_ms = n->session.is_up ? nats_reader_due_ms(&n->reader, now_ms) : n->session.next_ms;
  return due_ms < wake_ms ? due_ms : wake_ms;
}

static void *serve(void *arg) {
  struct nats *n = arg;
  struct outbox *outbox = &n->writer.outbox;
  while (outbox_take(outbox, &n->queue)) wait_for_work(n, work(n));
  int64_t until_ms = clock_ms() + n->patience_ms;
  while (!outbox_is_empty(outbox) && clock_ms() < until_ms) {
    int64_t wake_ms = work(n);
    if (!outbox_is_empty(outbox)) wait_for_work(n, wake_ms < until_ms ? wake_ms : until_ms);
  }
  outbox_end(outbox);
  nats_ReleaseThreadMemory();
  return NULL;
}

/* ---- the kind ---- */

static struct nats *make(struct engine *engine, const struct engine_config *config) {
  struct nats *n = calloc(1, sizeof *n);
  if (!n) return NULL;
  int wait_max_ms = config->wait_max_ms > 0 ? config->wait_max_ms : WAIT_MAX_MS;
  n->engine = engine;
  n->patience_ms = wait_max_ms / 4;
  n->rules = (struct nats_rules){.entries_max =
                                     config->entries_max ? config->entries_max : entries_default,
                                 .age_max_s = config->age_max_s,
                                 .load_max = config->load_max ? config->load_max : load_default};
  n->link.fd = -1;
  n->writer.link = &n->link;
  n->writer.outbox =
      (struct outbox){.engine = engine, .wait_max_ms = wait_max_ms, .epoch = n->reader.epoch};
  n->reader.engine = engine;
  n->reader.link = &n->link;
  n->reader.writer = &n->writer;
  return n;
}

/* What the server does not take is refused when it is submitted. */
static void limit_events(struct nats *n) {
  size_t most = n->link.payload_max > HEADERS_BYTES ? n->link.payload_max - HEADERS_BYTES : 1;
  if (n->engine->limits.event_bytes_max > most) n->engine->limits.event_bytes_max = most;
}

static int nats_open(struct engine *engine, const struct engine_config *config,
                     sse_hub_config *hub) {
  uint64_t random[2];
  const char *problem;
  struct nats_state state = {0};
  struct nats *n = make(engine, config);
  if (!n) return SSE_ENOMEM;
  engine->log = n;
  if (nats_url_parse(&n->url, config->where, &problem)) {
    engine_problem(engine, problem);
    return ENGINE_ELOG;
  }
  int error = session_random(engine, random, sizeof random);
  if (error) return error;
  n->writer.outbox.nonce = (int64_t)random[0];
  n->session.chance = random[1];
  if (queue_init(&n->queue)) return SSE_ENOMEM;
  n->has_queue = 1;
  error = compare(n, clock_ms() + n->patience_ms, &state);
  if (error) return error;
  nats_reader_adopt(&n->reader, &state);
  limit_events(n);
  hub->numbers = SSE_NUMBERS_GIVEN;
  hub->epoch = n->reader.epoch;
  hub->start_after = n->reader.have.number;
  disconnect(n);
  return 0;
}

/* The hub is given what the log has, up to its end; each answer may take its time. */
static int load(struct nats *n) {
  int error = begin_session(n);
  while (!error && !n->reader.is_caught_up) {
    int64_t wake_ms = work(n);
    if (!n->session.is_up) return ENGINE_ELOG;
    if (!n->reader.is_caught_up) wait_for_work(n, wake_ms);
  }
  return error;
}

static int nats_start(struct engine *engine) {
  struct nats *n = engine->log;
  int error = load(n);
  if (error) return error;
  error = engine_thread(engine, &n->thread, serve, n);
  n->has_thread = !error;
  return error;
}

static int nats_append(struct engine *engine, struct entry *entry) {
  struct nats *n = engine->log;
  return queue_put(&n->queue, entry);
}

static void nats_stop(struct engine *engine) {
  struct nats *n = engine->log;
  if (n && n->has_queue) queue_close(&n->queue);
  if (n && n->has_thread) pthread_join(n->thread, NULL);
}

static void nats_free(struct engine *engine) {
  struct nats *n = engine->log;
  if (!n) return;
  disconnect(n);
  if (n->has_queue) queue_free(&n->queue);
  nats_url_free(&n->url);
  free(n);
}

const struct engine_kind engine_nats = {.name = "nats",
                                        .open = nats_open,
                                        .start = nats_start,
                                        .append = nats_append,
                                        .stop = nats_stop,
                                        .free = nats_free};
