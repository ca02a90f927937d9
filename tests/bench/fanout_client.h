/* SPDX-License-Identifier: MIT */
/* fanout_client.h: the clients of the load: what was published, and what each of them got of it. */
#ifndef FANOUT_CLIENT_H
#define FANOUT_CLIENT_H

#include "fanout.h"

#define LEDGER_EVENTS 4096    /* the newest that are remembered */
#define EVENT_MAX     8192    /* bytes of one event's data */
#define LATENCIES_MAX 1000000 /* of one command; what comes later is left out */

/* One event that was published, and how it has fared. */
struct entry {
  char data[EVENT_MAX];
  unsigned len;
  unsigned number;  /* of all events */
  unsigned ordinal; /* in its channel */
  unsigned left;    /* clients that do not have it yet */
  double sent_ns;
};

/* What all clients share. */
struct ledger {
  struct entry *entries; /* LEDGER_EVENTS, by number */
  unsigned number;       /* of the newest event */
  unsigned *ordinals;    /* of the newest event of each channel */
  uint64_t pending;      /* deliveries that are owed */
  double last_ns;        /* when the last one came */
  float *latencies;
  size_t latencies_count;
  double deliveries, repeated, damaged;
  char last_id[256]; /* of the client that tells */
};

enum client_phase {
  CLIENT_HEAD, /* reads the response head */
  CLIENT_BODY,
  CLIENT_BROKEN
};

struct client {
  int fd;
  unsigned channel;
  unsigned next;  /* ordinal of the event that comes next */
  unsigned chunk; /* bytes of the present chunk that are still to come */
  unsigned kept_len;
  char *kept; /* an event that has not come whole */
  unsigned char phase;
  bool chunked;
  bool tells; /* its ids are noted in the ledger */
};

/* Writes the next event of a channel, which so many clients shall get. */
const struct entry *ledger_event(struct ledger *ledger, unsigned channel, unsigned len,
                                 unsigned clients);

/* Reads once from its socket; false if the stream is over. */
bool client_read(struct client *client, struct ledger *ledger);

#endif
