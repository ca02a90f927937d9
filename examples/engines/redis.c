/* SPDX-License-Identifier: MIT */
/* redis.c: the engine whose log is a stream in a Redis server. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kind.h"
#include "queue.h"
#include "redis_reader.h"
#include "session.h"
#include "timing.h"

/*
 * Numbers. Redis gives them: the second half of an entry's id, see redis_log.h. XADD with ERA-* is
 * refused once a later era has begun, and makes no new stream if the key is gone (NOMKSTREAM).
 *
 * History. A session is two connections to one life of the server: one appends, one reads. Each
 * session begins with a comparison of the log with what was read from it (redis_history.h), and
 * ends at the first doubt: a connection breaks, the server is silent, or an answer does not fit.
 *
 * Durability is that of the server: `appendonly yes` and `appendfsync always` confirm what the disk
 * has. By default a crash loses what came after the last snapshot; a server with another run_id is
 * therefore another history, unless the URL has durable=1.
 */

enum {
  WAIT_MAX_MS = 10000
};

static const uint64_t entries_default = 1000000, load_default = 100000;
static const size_t event_bytes_most = 256 * 1024 * 1024; /* Redis takes strings of 512 MiB */

struct redis {
  struct engine *engine;
  struct redis_url url;
  struct redis_writer writer;
  struct redis_reader reader;
  struct queue queue;
  pthread_t thread;
  int has_queue, has_thread;
  uint64_t load_max;
  int patience_ms; /* how long the server may be silent when it was asked */
  struct session session;
  long long client; /* CLIENT ID of the connection that appends or has appended; 0: none */
};

/* ---- sessions ---- */

static void disconnect(struct redis *r) {
  writer_disconnect(&r->writer);
  link_close(&r->reader.link);
  session_end(&r->session);
}

/* After a failure, whose sentence the operator gets. */
static void end_session(struct redis *r, const char *problem) {
  engine_problem(r->engine, problem);
  session_fail(&r->session);
  disconnect(r);
}

/* What the server still has of the connection that has appended is not to be appended any more. */
static int end_old_client(struct redis *r, int64_t until_ms, const char *run_id) {
  char id[24];
  if (r->client == 0 || strcmp(run_id, r->reader.have.run_id) != 0) return 0;
  snprintf(id, sizeof id, "%lld", r->client);
  redisReply *reply = link_ask(&r->reader.link, until_ms, COMMAND("CLIENT", "KILL", "ID", id));
  if (!reply) return -1;
  freeReplyObject(reply);
  return 0;
}

/* Connects and compares. 0; or -1, and one of the links has a problem. */
static int connect_both(struct redis *r, int64_t until_ms, struct log_state *state,
                        struct redis_link **failed) {
  const struct log_rules rules = {.durable = r->url.durable,
                                  .load_max = r->load_max,
                                  .junk_era = r->reader.junk_era,
                                  .nonce = outbox_nonce(&r->writer.outbox)};
  char run_id[RUN_ID_BYTES];
  long long client, reading_client;
  *failed = &r->reader.link;
  if (link_open(&r->reader.link, &r->url, until_ms) ||
      history_identify(&r->reader.link, until_ms, state->run_id, &reading_client) ||
      end_old_client(r, until_ms, state->run_id))
    return -1;
  *failed = &r->writer.link;
  if (link_open(&r->writer.link, &r->url, until_ms) ||
      history_identify(&r->writer.link, until_ms, run_id, &client))
    return -1;
  if (strcmp(run_id, state->run_id) != 0) {
    snprintf(r->writer.link.problem, sizeof r->writer.link.problem,
             "two Redis servers answer at this address; a log needs one");
    return -1;
  }
  *failed = &r->reader.link;
  if (history_check(&r->reader.link, until_ms, &r->reader.have, &rules, state)) return -1;
  r->client = client;
  return 0;
}

static int begin_session(struct redis *r) {
  struct log_state state;
  struct redis_link *failed;
  if (connect_both(r, clock_ms() + r->patience_ms, &state, &failed)) {
    end_session(r, failed->problem);
    return ENGINE_ELOG;
  }
  reader_begin(&r->reader, &state);
  session_begin(&r->session);
  return 0;
}

/* ---- the loop ---- */

static int is_silent(const struct redis *r, struct redis_link *link, int extra_ms) {
  if (link->unanswered == 0) return 0;
  if (clock_ms() - link->silent_since_ms <= r->patience_ms + extra_ms) return 0;
  snprintf(link->problem, sizeof link->problem, "Redis does not answer");
  return 1;
}

/* Takes what the server has sent. Time that it takes to feed the hub is no silence of the server. */
static int receive(struct redis *r, struct redis_link **failed) {
  int64_t begun_ms = clock_ms();
  *failed = &r->writer.link;
  if (writer_receive(&r->writer)) return -1;
  *failed = &r->reader.link;
  if (reader_receive(&r->reader)) return -1;
  int64_t took_ms = clock_ms() - begun_ms;
  r->writer.link.silent_since_ms += took_ms;
  r->reader.link.silent_since_ms += took_ms;
  *failed = &r->writer.link;
  if (is_silent(r, &r->writer.link, 0)) return -1;
  *failed = &r->reader.link;
  return is_silent(r, &r->reader.link, reader_extra_ms(&r->reader)) ? -1 : 0;
}

/* Exchanges with the server what there is, without waiting. */
static void exchange(struct redis *r) {
  struct redis_link *failed;
  int error = receive(r, &failed);
  if (!error) {
    failed = &r->reader.link;
    error = reader_ask(&r->reader);
  }
  if (!error && r->reader.is_caught_up) {
    failed = &r->writer.link;
    error = writer_send(&r->writer);
  }
  if (error) end_session(r, failed->problem);
}

/* Waits until there is something to do, up to a moment. */
static void wait_for_work(struct redis *r, int64_t until_ms) {
  struct pollfd fds[3] = {{.fd = r->queue.wake[0], .events = POLLIN},
                          {.fd = r->session.is_up ? r->reader.link.fd : -1, .events = POLLIN},
                          {.fd = r->session.is_up ? r->writer.link.fd : -1, .events = POLLIN}};
  int64_t left_ms = until_ms - clock_ms();
  if (link_unsent(&r->reader.link) > 0) fds[1].events |= POLLOUT;
  if (link_unsent(&r->writer.link) > 0) fds[2].events |= POLLOUT;
  if (left_ms > 0) poll(fds, 3, left_ms < 1000 ? (int)left_ms : 1000);
}

/* Does what there is to do; gives the moment when there is more, if nothing comes before. */
static int64_t work(struct redis *r) {
  int64_t now_ms = clock_ms();
  if (!r->session.is_up && now_ms >= r->session.next_ms) begin_session(r);
  if (r->session.is_up) exchange(r);
  int64_t due_ms = outbox_expire(&r->writer.outbox, clock_ms());
  int64_t wake_ms = r->session.is_up ? now_ms + r->patience_ms / 4 + 1 : r->session.next_ms;
  return due_ms < wake_ms ? due_ms : wake_ms;
}

static void *serve(void *arg) {
  struct redis *r = arg;
  struct outbox *outbox = &r->writer.outbox;
  while (outbox_take(outbox, &r->queue)) wait_for_work(r, work(r));
  int64_t until_ms = clock_ms() + r->patience_ms;
  while (!outbox_is_empty(outbox) && clock_ms() < until_ms) {
    int64_t wake_ms = work(r);
    if (!outbox_is_empty(outbox)) wait_for_work(r, wake_ms < until_ms ? wake_ms : until_ms);
  }
  outbox_end(outbox);
  return NULL;
}

/* ---- the kind ---- */

static int refuse(struct engine *engine, const char *problem) {
  engine_problem(engine, problem);
  return ENGINE_ELOG;
}

static struct redis *make(struct engine *engine, const struct engine_config *config) {
  struct redis *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  int wait_max_ms = config->wait_max_ms > 0 ? config->wait_max_ms : WAIT_MAX_MS;
  r->engine = engine;
  r->load_max = config->load_max ? config->load_max : load_default;
  r->patience_ms = wait_max_ms / 4;
  r->writer.entries_max = config->entries_max ? config->entries_max : entries_default;
  r->writer.outbox =
      (struct outbox){.engine = engine, .wait_max_ms = wait_max_ms, .epoch = r->reader.epoch};
  r->reader.engine = engine;
  r->reader.writer = &r->writer;
  r->reader.age_max_ms = config->age_max_s * 1000;
  return r;
}

/* A server that is just loading its data is waited for. */
static int first_session(struct redis *r) {
  int64_t until_ms = clock_ms() + r->writer.outbox.wait_max_ms;
  for (;;) {
    int error = begin_session(r);
    int is_loading = r->reader.link.loading || r->writer.link.loading;
    if (!error || !is_loading || r->session.next_ms > until_ms) return error;
    int64_t left_ms = r->session.next_ms - clock_ms();
    if (left_ms > 0) poll(NULL, 0, (int)left_ms);
  }
}

static int redis_open(struct engine *engine, const struct engine_config *config,
                      sse_hub_config *hub) {
  const char *problem;
  uint64_t random[2];
  struct redis *r = make(engine, config);
  if (!r) return SSE_ENOMEM;
  engine->log = r;
  if (redis_url_parse(&r->url, config->where, &problem)) return refuse(engine, problem);
  int error = session_random(engine, random, sizeof random);
  if (error) return error;
  r->writer.outbox.nonce = (int64_t)random[0];
  r->session.chance = random[1];
  if (queue_init(&r->queue)) return SSE_ENOMEM;
  r->has_queue = 1;
  error = first_session(r);
  if (error) return error;
  if (engine->limits.event_bytes_max > event_bytes_most)
    engine->limits.event_bytes_max = event_bytes_most;
  hub->numbers = SSE_NUMBERS_GIVEN;
  hub->epoch = r->reader.epoch;
  hub->start_after = r->reader.have.at.number;
  disconnect(r);
  return 0;
}

/* The hub is given what the log has, up to its end; each answer may take its time. */
static int load(struct redis *r) {
  int error = first_session(r);
  while (!error && !r->reader.is_caught_up) {
    int64_t wake_ms = work(r);
    if (!r->session.is_up) return ENGINE_ELOG;
    if (!r->reader.is_caught_up) wait_for_work(r, wake_ms);
  }
  return error;
}

static int redis_start(struct engine *engine) {
  struct redis *r = engine->log;
  int error = load(r);
  if (error) return error;
  error = engine_thread(engine, &r->thread, serve, r);
  r->has_thread = !error;
  return error;
}

static int redis_append(struct engine *engine, struct entry *entry) {
  struct redis *r = engine->log;
  return queue_put(&r->queue, entry);
}

static void redis_stop(struct engine *engine) {
  struct redis *r = engine->log;
  if (r && r->has_queue) queue_close(&r->queue);
  if (r && r->has_thread) pthread_join(r->thread, NULL);
}

static void redis_free(struct engine *engine) {
  struct redis *r = engine->log;
  if (!r) return;
  disconnect(r);
  if (r->has_queue) queue_free(&r->queue);
  redis_url_free(&r->url);
  free(r);
}

const struct engine_kind engine_redis = {.name = "redis",
                                         .open = redis_open,
                                         .start = redis_start,
                                         .append = redis_append,
                                         .stop = redis_stop,
                                         .free = redis_free};
