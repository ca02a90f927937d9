/* SPDX-License-Identifier: MIT */
/* nats_reader.h: reads a log in JetStream, feeds the hub, and watches over the log. */
#ifndef NATS_READER_H
#define NATS_READER_H

#include "kind.h"
#include "nats_history.h"
#include "nats_writer.h"

/*
 * It has a consumer in the server, which lives as long as the session and begins after the last
 * number that the hub has. One request at a time, which the server remembers until it expires, asks
 * it for a number of messages; so the server never sends more than there is memory for. At
 * intervals STREAM.INFO tells whether the stream is still the same, and whether entries were
 * removed that the hub has not had, which a consumer does not tell.
 *
 * A number that is missing in the stream was either removed from its beginning (by a limit or by a
 * purge) before it was read: the hub skips it, and clients are given a gap. Or somebody has deleted
 * that message by itself: it is a number without an event. The first number of the stream tells
 * which of the two it is, so the message behind the hole is held until STREAM.INFO is answered.
 */
struct nats_reader {
  struct engine *engine;
  struct nats_writer *writer;
  struct nats_link *link;
  struct nats_have have; /* its history is that of the hub */
  char epoch[SSE_EPOCH_BYTES_MAX + 1];
  int64_t window_ms; /* of the stream, for nonces */
  char consumer[64];
  uint64_t delivered; /* messages that the consumer has sent */
  unsigned wanted;    /* messages that it may still send */
  uint64_t pull;      /* number of the request for them */
  int64_t pulled_ms;  /* when it was made, or when its last message came */
  int64_t info_ms;    /* when STREAM.INFO was asked or is due */
  unsigned batch;
  size_t batch_bytes; /* of the messages of this batch */
  int asks_info;
  uint64_t info; /* number of the request */
  natsMsg *held;
  uint64_t head_before; /* have.number when STREAM.INFO was answered before */
  int is_caught_up;
};

/* Begins with another history. */
void nats_reader_adopt(struct nats_reader *reader, const struct nats_state *state);
/* Takes up the result of nats_history_check: it reads on, or begins with another history. A
 * consumer is made, and the stream is then looked at again. */
int nats_reader_begin(struct nats_reader *reader, int64_t until_ms, const struct nats_state *state);
/* Nothing of the session is left. */
void nats_reader_end(struct nats_reader *reader);
/* Asks for what is next, if nothing was asked. */
int nats_reader_ask(struct nats_reader *reader);
/* Takes what is there, and feeds the hub. */
int nats_reader_receive(struct nats_reader *reader);
/* Whether an answer is due for longer than this. Time that the hub takes is none of the server's, so
 * it is to be asked when the connection was read, and before the hub is fed. */
int nats_reader_is_silent(const struct nats_reader *reader, int64_t patience_ms);
/* The next moment when there is something to ask, or to look after. */
int64_t nats_reader_due_ms(const struct nats_reader *reader, int64_t now_ms);

#endif
