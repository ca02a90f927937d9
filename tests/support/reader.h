/* SPDX-License-Identifier: MIT */
/* reader.h: a client for tests with threads: it records what it is told, to be judged later. */
#ifndef READER_H
#define READER_H

#include <stdbool.h>
#include <stdint.h>

#include <sse/parse.h>
#include <sse/sse.h>

#include "dechunk.h"

#define READER_CHANNELS   4
#define READER_PUBLISHERS 4

/* The name of a channel. */
const char *reader_channel(unsigned channel);
/*
 * Publishes a publisher's event with its serial, which is the same over all channels and begins at
 * 1; 0 is the last event of a channel.
 */
int reader_publish(sse_hub *hub, unsigned publisher, unsigned channel, unsigned serial);

/* One thing that it was told: an event, or a gap. */
struct seen {
  uint64_t number; /* of its id */
  uint64_t lost;   /* of a gap: its count; UINT64_MAX: none */
  unsigned publisher, channel, serial;
  bool gap;
};

/* One thread at a time has it. Several connections, one after the other, are one row of events. */
struct reader {
  unsigned channels; /* it asks for, bit i for channel i */
  unsigned ended;    /* those whose last event it has */
  uint64_t start;    /* the number of its first position */
  bool started;
  struct seen *seen;
  size_t count, cap;
  const char *fault; /* what was wrong in the bytes; NULL */
  sse_parser *parser;
  bool chunked;        /* this connection begins with a response head that says so */
  unsigned head_ended; /* how much of CR LF CR LF was read of it */
  struct dechunk body;
};

void reader_init(struct reader *reader, unsigned channels);
void reader_free(struct reader *reader);
/* The names of its channels, ended by NULL. */
void reader_names(const struct reader *reader, const char *names[READER_CHANNELS + 1]);
/* A connection begins with the id of the last one; "" for the first. */
const char *reader_connect(struct reader *reader, bool chunked);
void reader_feed(struct reader *reader, const char *bytes, size_t len);
/* It has the last event of each of its channels. */
bool reader_done(const struct reader *reader);

/*
 * Judges what a reader was told, on the main thread. All return what is wrong, or NULL.
 *
 * exact  by a log of all channels from the first event: it was told exactly what follows its start,
 *        and if it is done, all of it.
 * gaps   of one connection: in order, nothing twice, every hole announced, and together as many
 *        events told and announced as were published to its channels, unless a gap does not say
 *        how many it stands for.
 * order  of any number of connections: in order, nothing twice, and a gap before every hole that
 *        is known from what others were told (reader_learn).
 */
const char *reader_judge_exact(const struct reader *reader, const struct reader *log);
const char *reader_judge_gaps(const struct reader *reader, uint64_t published);
const char *reader_judge_order(const struct reader *reader, const struct seen *known,
                               uint64_t known_max);
/* Adds the events that a reader was told to those that are known, each at its number. */
const char *reader_learn(const struct reader *reader, struct seen *known, uint64_t known_max);

#endif
