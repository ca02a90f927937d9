/* SPDX-License-Identifier: MIT */
/* ledger.h: what was published in one hub's life, and what became of it. */
#ifndef LEDGER_H
#define LEDGER_H

#include "client.h"

/* What became of an event in one channel. It never comes back from the last two. */
enum fate {
  FATE_NONE,       /* it was not published there, or not to be retained */
  FATE_RETAINED,   /* whoever comes back is to get it */
  FATE_SUPERSEDED, /* there is a newer one of its key */
  FATE_GONE        /* it was let go */
};

struct ledger_event {
  unsigned channels; /* bit i for channel i */
  int key;           /* -1: none */
  unsigned label;
  bool tombstone, ephemeral, own_id;
  int64_t born_ms;
  struct {
    enum fate fate;
    uint64_t by;   /* the number of the event that superseded it */
    uint64_t left; /* the moment when it was let go */
  } in[CLIENT_CHANNELS];
};

struct ledger {
  char epoch[SSE_EPOCH_BYTES_MAX + 1];
  struct ledger_event *events; /* by their numbers; there is none 0 */
  uint64_t head, cap;
  uint64_t moment; /* grows with each look at the hub that finds something let go */
  struct {
    bool conflated;
    uint64_t state_lost; /* the highest number of a value that was let go; 0: none */
    uint64_t evicted;    /* the highest number that was let go */
    uint64_t oldest;     /* all that is retained has this number or a higher one */
    struct {
      uint64_t frames, appended, gone;
    } seen;              /* the window at the last look */
    uint64_t superseded; /* by what was published since: a number, or 0 */
  } of[CLIENT_CHANNELS];
  unsigned finished; /* bit i for channel i */
  bool drained;
  bool inexact; /* a loss may be announced where there was none: ghosts went to the floor */
};

void ledger_init(struct ledger *ledger, const char *epoch);
void ledger_free(struct ledger *ledger);
/* The event with this number, from 1 to the head. */
const struct ledger_event *ledger_event(const struct ledger *ledger, uint64_t number);
/* Its id on the wire, if it is an event with one; a static string. */
const char *ledger_id(const struct ledger *ledger, uint64_t number);
/* The number of an event with an id of the application's, 0 if no event has that. */
uint64_t ledger_find(const struct ledger *ledger, const char *id);
/* The label that the publisher gives to an event; all of one key have the same. */
unsigned ledger_label(uint64_t number, int key);

/* An event was published and has the next number; of its channels, keys and flags the rest is made.
 */
void ledger_publish(struct ledger *ledger, const struct ledger_event *event);
/*
 * Looks at the hub's own windows: what they have let go is gone. Returns what is wrong with its
 * counts, or NULL.
 */
const char *ledger_observe(struct ledger *ledger, const sse_hub *hub, unsigned channels);

#endif
