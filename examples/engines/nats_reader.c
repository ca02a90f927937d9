/* SPDX-License-Identifier: MIT */
/* nats_reader.c: reads a log in JetStream, feeds the hub, and watches over the log. */
#include "nats_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nats_json.h"
#include "nats_log.h"
#include "session.h"
#include "timing.h"

enum {
  INFO_MS = 500,   /* between two looks at the stream */
  PULL_MS = 2000,  /* how long the server remembers a request */
  CONSUMER_S = 60, /* when the server forgets a consumer that nobody asks */
  TURN = 2048, /* messages taken at a time: more than one request, so that none is left behind */
  BATCH_LEAST = 16, /* messages of one request */
  BATCH_MOST = 1024,
  BATCH_FEW_BYTES = 512 * 1024,
  BATCH_MANY_BYTES = 4 * 1024 * 1024,
  BODY_BYTES = 512,
  SUBJECT_BYTES = 256,
  ACK_PARTS_MAX = 16
};

/* ---- histories ---- */

void nats_reader_adopt(struct nats_reader *reader, const struct nats_state *state) {
  reader->have = (struct nats_have){
      .created_ns = state->created_ns, .generation = state->generation, .number = state->start};
  session_epoch(state->created_ns + state->generation, reader->epoch);
  if (reader->engine->hub) feeder_reset(&reader->engine->feeder, reader->epoch, state->start);
}

/* Entries up to a number were removed before they were read. */
static void skip(struct nats_reader *reader, uint64_t number) {
  if (number <= reader->have.number) return;
  outbox_confirm(&reader->writer->outbox, number);
  reader->have.number = number;
  reader->have.at_ns = 0;
  feeder_skip(&reader->engine->feeder, number);
}

static void see_end(struct nats_reader *reader) {
  if (reader->is_caught_up) return;
  reader->is_caught_up = 1;
  nats_writer_resume(reader->writer, reader->window_ms);
  engine_problem(reader->engine, NULL);
}

/* ---- the session ---- */

static int create_consumer(struct nats_reader *reader, int64_t until_ms, uint64_t *pending) {
  char what[SUBJECT_BYTES], body[BODY_BYTES];
  const char *stream = reader->link->url->stream;
  snprintf(what, sizeof what, "CONSUMER.CREATE.%s", stream);
  snprintf(body, sizeof body,
           "{\"stream_name\":\"%s\",\"config\":{\"deliver_policy\":\"by_start_sequence\","
           "\"opt_start_seq\":%" PRIu64 ",\"ack_policy\":\"none\",\"replay_policy\":\"instant\","
           "\"max_waiting\":8,\"inactive_threshold\":%d000000000,\"num_replicas\":1,"
           "\"mem_storage\":true}}",
           stream, reader->have.number + 1, CONSUMER_S);
  natsMsg *answer = nats_link_ask(reader->link, until_ms, what, body);
  if (!answer) return -1;
  const char *json = natsMsg_GetData(answer);
  int error = nats_link_error(answer);
  json_string(json, "name", reader->consumer, sizeof reader->consumer);
  if (error)
    nats_link_refused(reader->link, "to read the stream", answer);
  else if (!json_number(json, "num_pending", pending) || !*reader->consumer)
    error = nats_link_fail(reader->link, "JetStream gave an unexpected answer to CONSUMER.CREATE");
  natsMsg_Destroy(answer);
  return error ? -1 : 0;
}

static int see_state(struct nats_reader *reader, const natsMsg *answer, struct nats_state *state) {
  if (nats_is_missing(answer))
    return nats_link_fail(reader->link, "the stream was deleted in NATS");
  if (nats_state_read(reader->link, answer, state)) return -1;
  reader->window_ms = state->window_ms;
  if (state->created_ns != reader->have.created_ns || state->generation != reader->have.generation)
    return nats_link_fail(reader->link, "the stream in NATS has a new history");
  if (state->last < reader->have.number)
    return nats_link_fail(reader->link, "the stream in NATS has lost entries that were in it");
  return 0;
}

/* The consumer is one of the stream that was compared only if the stream is still the same. */
static int look_again(struct nats_reader *reader, int64_t until_ms) {
  char what[SUBJECT_BYTES];
  struct nats_state state = {0};
  snprintf(what, sizeof what, "STREAM.INFO.%s", reader->link->url->stream);
  natsMsg *answer = nats_link_ask(reader->link, until_ms, what, "");
  if (!answer) return -1;
  int error = see_state(reader, answer, &state);
  if (!error && state.first > 0) skip(reader, state.first - 1);
  natsMsg_Destroy(answer);
  return error;
}

int nats_reader_begin(struct nats_reader *reader, int64_t until_ms,
                      const struct nats_state *state) {
  uint64_t pending;
  if (state->is_new) nats_reader_adopt(reader, state);
  if (create_consumer(reader, until_ms, &pending) || look_again(reader, until_ms)) return -1;
  reader->delivered = 0;
  reader->wanted = 0;
  reader->asks_info = 0;
  reader->is_caught_up = 0;
  reader->head_before = UINT64_MAX;
  reader->info_ms = clock_ms() + INFO_MS;
  if (reader->batch == 0) reader->batch = BATCH_LEAST;
  if (pending == 0) see_end(reader);
  return 0;
}

void nats_reader_end(struct nats_reader *reader) {
  natsMsg_Destroy(reader->held);
  reader->held = NULL;
}

/* ---- messages ---- */

/* Where a message stands, which its reply subject tells. */
struct place {
  uint64_t number, delivered, pending;
  int64_t at_ns;
};

/* $JS.ACK.[domain.account.]stream.consumer.times.number.delivered.time.pending[.random] */
static int parse_place(const char *reply, struct place *place) {
  const char *parts[ACK_PARTS_MAX];
  size_t count = 0;
  if (!reply || strncmp(reply, "$JS.ACK.", 8) != 0) return -1;
  for (const char *at = reply; at && count < ACK_PARTS_MAX; count++) {
    parts[count] = at;
    at = strchr(at, '.');
    if (at) at++;
  }
  size_t first = count == 9 ? 5 : 7;
  if (count != 9 && count < 11) return -1;
  place->number = strtoull(parts[first], NULL, 10);
  place->delivered = strtoull(parts[first + 1], NULL, 10);
  place->at_ns = strtoll(parts[first + 2], NULL, 10);
  place->pending = strtoull(parts[first + 3], NULL, 10);
  return 0;
}

static void give(struct nats_reader *reader, natsMsg *message, const struct place *place) {
  struct nats_entry read;
  nats_entry_read(message, reader->link->url->subject, &read);
  read.entry.event.number = place->number;
  int error = feeder_give(&reader->engine->feeder, &read.entry);
  reader->have.number = place->number;
  reader->have.at_ns = place->at_ns;
  if (read.has_nonce) outbox_read(&reader->writer->outbox, &read.entry, error);
}

/* The next time more messages are asked for, or fewer, so that they have a moderate size. */
static void fit_batch(struct nats_reader *reader) {
  if (reader->batch_bytes > BATCH_MANY_BYTES && reader->batch > 1)
    reader->batch /= 2;
  else if (reader->wanted == 0 && reader->batch_bytes < BATCH_FEW_BYTES &&
           reader->batch < BATCH_MOST)
    reader->batch *= 2;
}

static int ask_info(struct nats_reader *reader) {
  char subject[SUBJECT_BYTES];
  if (reader->asks_info) return 0;
  snprintf(subject, sizeof subject, "$JS.API.STREAM.INFO.%s", reader->link->url->stream);
  reader->asks_info = 1;
  reader->info = ++reader->link->requests;
  reader->info_ms = clock_ms();
  return nats_link_send(reader->link, subject, "", 'a', reader->info);
}

/* Takes over the message. */
static void take(struct nats_reader *reader, natsMsg *message, const struct place *place) {
  if (place->number > reader->have.number) give(reader, message, place);
  if (place->pending == 0) see_end(reader);
  natsMsg_Destroy(message);
}

/* Takes over a message of the log. */
static int see_message(struct nats_reader *reader, natsMsg *message, const struct place *place) {
  if (place->delivered != reader->delivered + 1) {
    natsMsg_Destroy(message);
    return nats_link_fail(reader->link, "a message of the log did not arrive");
  }
  reader->delivered++;
  reader->batch_bytes += (size_t)natsMsg_GetDataLength(message);
  if (reader->wanted > 0 && --reader->wanted == 0) fit_batch(reader);
  if (place->number <= reader->have.number + 1) {
    take(reader, message, place);
    return 0;
  }
  reader->held = message;
  reader->asks_info = 0; /* one that is on the way may be too old */
  return ask_info(reader);
}

/* A request is finished, or the consumer is. */
static int see_status(struct nats_reader *reader, natsMsg *message) {
  const char *status = "", *why = "";
  natsMsgHeader_Get(message, "Status", &status);
  natsMsgHeader_Get(message, "Description", &why);
  int is_over = strcmp(status, "404") == 0 || strcmp(status, "408") == 0 ||
                (strcmp(status, "409") == 0 && strstr(why, "MaxBytes"));
  if (is_over || strcmp(status, "100") == 0) {
    if (is_over && nats_link_number(message) == reader->pull) {
      reader->wanted = 0;
      if (strcmp(status, "409") == 0 && reader->batch > 1) reader->batch /= 2;
    }
    natsMsg_Destroy(message);
    return 0;
  }
  snprintf(reader->link->problem, sizeof reader->link->problem,
           "NATS does not go on to send the log: %.20s %.120s", status, why);
  natsMsg_Destroy(message);
  return -1;
}

static int receive_messages(struct nats_reader *reader) {
  natsMsg *message;
  struct place place;
  int error = 0;
  for (int i = 0; i < TURN && !error && !reader->held; i++) {
    int found = nats_link_next(reader->link, reader->link->messages, &message,
                               "NATS does not know the consumer of the log any more");
    if (found <= 0) return found;
    reader->pulled_ms = clock_ms();
    error = parse_place(natsMsg_GetReply(message), &place) == 0
                ? see_message(reader, message, &place)
                : see_status(reader, message);
  }
  return error;
}

/* ---- the stream ---- */

/* The message behind a hole: what is before the stream's first number was removed unread. */
static void release_held(struct nats_reader *reader, const struct nats_state *state) {
  struct place place = {0};
  natsMsg *message = reader->held;
  reader->held = NULL;
  parse_place(natsMsg_GetReply(message), &place);
  skip(reader, (state->first < place.number ? state->first : place.number) - 1);
  take(reader, message, &place);
}

static int see_info(struct nats_reader *reader, const natsMsg *answer) {
  struct nats_state state = {0};
  reader->asks_info = 0;
  reader->info_ms = clock_ms() + INFO_MS;
  if (see_state(reader, answer, &state)) return -1;
  if (reader->held)
    release_held(reader, &state);
  else if (reader->head_before == reader->have.number && state.first > reader->have.number + 1)
    skip(reader, state.first - 1); /* there is no message behind the hole */
  reader->head_before = reader->have.number;
  return 0;
}

static int receive_info(struct nats_reader *reader) {
  natsMsg *answer;
  int found, error = 0;
  while (!error && (found = nats_link_next(reader->link, reader->link->answers, &answer,
                                           "JetStream does not run any more"))) {
    if (found < 0) return -1;
    if (reader->asks_info && nats_link_number(answer) == reader->info)
      error = see_info(reader, answer);
    natsMsg_Destroy(answer);
  }
  return error;
}

int nats_reader_receive(struct nats_reader *reader) {
  return receive_info(reader) || receive_messages(reader) ? -1 : 0;
}

/* ---- asking ---- */

static int pull(struct nats_reader *reader) {
  char subject[SUBJECT_BYTES], body[BODY_BYTES];
  size_t bytes = 2 * reader->link->payload_max;
  if (bytes < BATCH_MANY_BYTES) bytes = BATCH_MANY_BYTES;
  snprintf(subject, sizeof subject, "$JS.API.CONSUMER.MSG.NEXT.%s.%s", reader->link->url->stream,
           reader->consumer);
  snprintf(body, sizeof body, "{\"batch\":%u,\"expires\":%d000000,\"max_bytes\":%zu}",
           reader->batch, PULL_MS, bytes);
  reader->wanted = reader->batch;
  reader->batch_bytes = 0;
  reader->pulled_ms = clock_ms();
  reader->pull = ++reader->link->requests;
  return nats_link_send(reader->link, subject, body, 'm', reader->pull);
}

int nats_reader_ask(struct nats_reader *reader) {
  if (reader->wanted == 0 && !reader->held && pull(reader)) return -1;
  return !reader->asks_info && clock_ms() >= reader->info_ms ? ask_info(reader) : 0;
}

int nats_reader_is_silent(const struct nats_reader *reader, int64_t patience_ms) {
  int64_t now_ms = clock_ms(), info_ms = reader->info_ms;
  if (reader->link->heard_ms > info_ms) info_ms = reader->link->heard_ms;
  if (reader->asks_info && now_ms - info_ms > patience_ms) return 1;
  return reader->wanted > 0 && now_ms - reader->pulled_ms > PULL_MS + patience_ms;
}

int64_t nats_reader_due_ms(const struct nats_reader *reader, int64_t now_ms) {
  int64_t soon_ms = now_ms + INFO_MS;
  return !reader->asks_info && reader->info_ms < soon_ms ? reader->info_ms : soon_ms;
}
