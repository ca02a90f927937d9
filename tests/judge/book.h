/* SPDX-License-Identifier: MIT */
/* book.h: what was published in one life of a hub, and what each window may still have. */
#ifndef JUDGE_BOOK_H
#define JUDGE_BOOK_H

#include <sse/sse.h>

#include "rules.h"

/* Channels from FIRST_STATE on are conflated. */
/* An ephemeral event that goes nowhere takes no number: its place has a rank, too. */
enum {
  PLACES = 1024
};
enum {
  CHANNELS = 5,
  FIRST_STATE = 3,
  EVENTS_MAX = 192,
  KEYS = 4,
  ENCODED_MAX = 4096
};
#define STATE_CHANNELS 0x18u
#define ALL_CHANNELS   0x1fu

typedef enum place {
  NOWHERE,    /* the event is not of this channel */
  HELD,       /* its window has the event */
  SUPERSEDED, /* a newer event of the key has replaced it */
  EVICTED     /* its window had it */
} place;

typedef struct event {
  uint64_t number;   /* its place: the number on the wire times PLACES, plus a rank */
  unsigned channels; /* a set of bits */
  int key;           /* -1: none */
  bool tombstone, ephemeral, marked, typed, commented;
  unsigned padding; /* bytes of the payload beyond its name */
  bool nowhere;     /* it is ephemeral, and no stream is open on its channels */
  char id[32];      /* of the application; "": none */
  int64_t at_ns;
  size_t bytes; /* encoded, with its id */
  place where[CHANNELS];
  unsigned evicted_at[CHANNELS]; /* the moment, if EVICTED */
} event;

/* Which limit makes the windows depend on what the manual leaves open. */
typedef enum memory {
  MEMORY_FREE,
  MEMORY_BYTES,
  MEMORY_AGE,
  MEMORY_CEILING
} memory;

typedef struct book {
  sse_hub *hub;
  char epoch[12];
  unsigned life;
  int64_t now_ns;
  memory limit;
  size_t frames_max[CHANNELS];
  int32_t age_ms_max;
  bool finished[CHANNELS];       /* for certain */
  bool maybe_finished[CHANNELS]; /* or it was forgotten that it is */
  bool exists[CHANNELS];
  bool dropped[CHANNELS]; /* the channel was dropped or removed in this life */
  int replays_max;        /* 0: no limit */
  int replaying;          /* streams that may have a slot, or wait for one */
  bool drains;            /* sse_hub_drain was called */
  bool ticked;            /* since time passed and since sse_hub_drain */
  int64_t drained_ns;     /* when the last stream must have ended */
  bool few_ghosts;        /* not every dropped channel is remembered */
  bool had_ephemeral[CHANNELS];
  event events[EVENTS_MAX];
  unsigned count;
  uint64_t head; /* a place, too */
  uint64_t published;
  bool publishing; /* inside of book_publish */
  unsigned moment; /* counts what happens */
  bool in_flight;  /* a stream has bytes in flight, which may hold memory or an id */
} book;

extern book ledger;
extern const char *const channel_names[CHANNELS];

/* Whether an ephemeral event is so old that a stream need not be given it. */
bool book_is_old(const event *e);
/* What became of an event for a reader of some of its channels. */
typedef enum fate {
  FATE_HELD,
  FATE_GONE,      /* a loss */
  FATE_SOFT,      /* evicted, but a reader may have no need of it: a loss or not */
  FATE_SUPERSEDED /* not a loss */
} fate;

fate book_fate(const event *e, unsigned channels, uint64_t cursor);
size_t book_encode(const event *e, char *buf, bool with_id);
void book_id(char *to, size_t cap, const event *e);
const event *book_find(const char *data); /* by its payload; NULL: none of this life */
uint64_t book_wire(uint64_t at);          /* the number of a place */
uint64_t book_after(uint64_t at);         /* the last place that this number stands for */
const char *book_names(unsigned channels);
const event *book_newer(const event *e, int channel); /* the next one of its key; NULL: none */

/* Publishes the event whose channels, key and flags are set, checks the result, and notes it. */
int book_publish(event *e);

/* Reads from the hub's numbers what its limits have evicted, where the manual leaves that open. */
void book_sync(void);

/* Evicts by the rules of the manual until the window has at most this number of frames. */
void book_cut(int channel, size_t frames);

#endif
