/* SPDX-License-Identifier: MIT */
/* node.h: one hub that is fed from the log, and what its windows must have. */
#ifndef LOGWORLD_NODE_H
#define LOGWORLD_NODE_H

#include <sse/sse.h>

#include "journal.h"

enum {
  LOOPS = 2,
  SKIPS_MAX = 64,
  PASSINGS_MAX = 64,
  NODES = 3
};

/* What a hub did with an entry, each at a moment; 0: not yet. */
typedef struct record {
  unsigned read_at; /* published, or passed over by start_after, skip or reset */
  unsigned over_at[CHANNELS], gone_at[CHANNELS]; /* superseded; evicted or never there */
} record;

/* What an entry is for a reader of a channel of a hub. */
typedef enum place {
  NOWHERE, /* it is not of this channel */
  UNREAD,
  HELD,
  SUPERSEDED,
  EVICTED
} place;

/* An ephemeral event, which is no entry of the log. */
typedef struct passing {
  unsigned name, channels;
  bool marked;
  uint64_t at; /* the head of its moment */
  unsigned moment;
  int64_t at_ns;
} passing;

typedef struct node_loop {
  sse_loop *loop;
  bool in_round, woken;
  unsigned round_at; /* the moment of its snapshot */
  uint64_t round_head;
} node_loop;

typedef struct node {
  sse_hub *hub;
  node_loop loops[LOOPS];
  int index, history;
  uint64_t head;      /* the hub's */
  unsigned head_at;   /* when it last moved */
  uint64_t read;      /* the feeder has read the log up to here */
  unsigned published; /* in this life of the hub */
  record of[ENTRIES_MAX];
  uint64_t void_to[CHANNELS]; /* everything up to here counts as evicted */
  uint64_t void_all;          /* the same in a channel without its own start_after */
  unsigned gaps;              /* skips and resets, each of which a lag may count */
  struct {
    uint64_t from, to;
    unsigned at;
  } skips[SKIPS_MAX]; /* of this history */
  unsigned skips_count;
  unsigned reset_at;
  uint64_t reset_to;
  bool finished[CHANNELS];
  bool drained;
  size_t frames_max[CHANNELS];
  bool had_passing[CHANNELS]; /* its window may have ephemeral events, too */
  passing passings[PASSINGS_MAX];
  unsigned passings_count;
} node;

/* What all hubs of a history of the world share. */
typedef struct setup {
  int64_t now_ns;
  uint64_t random; /* the hubs' own */
  unsigned moment; /* counts what happens */
  size_t frames_max;
  const char *finished_type;
  int32_t heartbeat_ms;
  bool finishes; /* channels are finished */
} setup;

extern setup world;

place node_place(const node *n, unsigned index, int channel, unsigned moment);
/* Whether a newer entry of the key has entered the channel's window. */
bool node_has_newer(const node *n, unsigned index, int channel, unsigned moment);
/* Whether the state of a conflated channel has lost a value. */
bool node_state_lost(const node *n, int channel);

void node_start(node *n, uint64_t start_after, uint64_t *seed);
void node_stop(node *n); /* all streams are freed */
/* One thing that its feeder does. */
void node_feed(node *n, uint64_t *seed);
bool node_is_behind(const node *n);
void node_again(node *n, uint64_t *seed);     /* reads an entry again, or calls with old numbers */
void node_ephemeral(node *n, const entry *e); /* publishes an event that is not in the log */
void node_check(node *n);                     /* its numbers are those of the model */
void node_forget(node *n, int channel);

#endif
