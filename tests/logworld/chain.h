/* SPDX-License-Identifier: MIT */
/* chain.h: one client with all its connections, over all hubs, held against the log. */
#ifndef LOGWORLD_CHAIN_H
#define LOGWORLD_CHAIN_H

#include "../judge/wire.h"
#include "node.h"

enum {
  INTERVALS_MAX = 40,
  SEGMENTS_MAX = 256
};

/* The events of a channel that are for the stream: above from, up to to. */
typedef struct interval {
  int channel;
  uint64_t from, to;
  unsigned from_at, to_at; /* moments, for ephemeral events */
} interval;

/* What comes without ids: the state at the opening, or what a subscription gives first. */
typedef struct section {
  bool active, begun, opening, state, ahead;
  unsigned channels;
  uint64_t at;
  unsigned asked_at;      /* the moment */
  unsigned doubled;       /* gaps that may come besides its own, because of a skip or a reset */
  bool reported;          /* a gap says that some of it is lost */
  bool settled;           /* its position came, and it has nothing that must be given */
  bool must[ENTRIES_MAX]; /* held when it was asked for */
  bool may[ENTRIES_MAX], given[ENTRIES_MAX];
  bool held[ENTRIES_MAX]; /* by then, those included that the filter leaves out */
  uint64_t last;
  size_t backfill;
} section;

/* What the opening may lead to. */
typedef struct opening {
  unsigned results;            /* bits of sse_resume */
  bool gap_must, gap_may, all; /* all: the gap names all channels */
  bool state_must, state_may;
  uint64_t low, may_skip; /* retained events up to may_skip may be left out */
  unsigned gone_must, gone_may;
  const char *reason;
  bool repeats; /* what the client had may come again */
} opening;

typedef struct terms {
  unsigned channels;
  int loop; /* -1: standalone */
  bool positions_off, filtered, closes, wakes;
  sse_start start;
  uint32_t start_events;
  sse_lost lost;
  uint32_t lag_events_max;
  uint64_t not_before;
  bool not_before_old; /* it is of another history, and excludes nothing */
  char last_id[WIRE_ID_MAX];
  bool own_id; /* the client has it from its last connection */
} terms;

typedef struct chain {
  int slot;
  sse_stream *stream; /* NULL: it is not connected */
  node *at, *before;  /* before: where its last connection was */
  terms t;
  /* The client. */
  wire reader;
  unsigned wants;             /* the channels that it asks for */
  bool filters;               /* it asks for marked events only */
  int history;                /* that its id is of; -1: none */
  bool received[ENTRIES_MAX]; /* of this history, over all connections */
  /* The connection. */
  opening o;
  sse_resume result;
  unsigned opened_at, has, ever;
  int opened_in; /* which history */
  uint64_t head_at_open;
  int64_t opened_ns;
  uint64_t own;      /* nothing up to here is for the stream: its id while ahead, and not_before */
  uint64_t cursor;   /* the last number that the client was given */
  uint64_t done;     /* all up to here is accounted for */
  uint64_t optional; /* up to here the stream may or may not begin */
  uint64_t covered[CHANNELS]; /* the skip or reset whose gap the stream was given */
  unsigned retries, end_at;   /* end_at: the moment of the retry block of a gentle end */
  bool first_done, final_seen, dismissed, disconnected;
  unsigned dismissed_at;
  uint64_t dismissed_to;
  bool left_state; /* it unsubscribed from a conflated channel */
  unsigned left;   /* channels that it unsubscribed from */
  unsigned again;  /* channels that it subscribed to more than once */
  unsigned vague;  /* channels of which a gap came that was perhaps about a backfill only */
  unsigned gap_at; /* the moment of its last gap */
  bool given[ENTRIES_MAX];
  uint8_t reported[ENTRIES_MAX]; /* by channel */
  bool had[PASSINGS_MAX];        /* ephemeral events */
  interval intervals[INTERVALS_MAX];
  unsigned intervals_count;
  section s;
  struct {
    unsigned channels;
    uint64_t from, to;
  } late; /* conflated channels that it subscribed to while it was ahead, and of which numbers */
  /* Its transport. */
  struct {
    uint64_t end;
    unsigned at, base;      /* base: of the snapshot that they are made from */
  } segments[SEGMENTS_MAX]; /* when bytes were offered */
  unsigned segments_count;
  uint64_t consumed;
  unsigned moment, base; /* of the present bytes */
  bool blunt; /* a look had no room for all pieces, so more than what is in flight is made */
  bool armed, rested, woken;
} chain;

/* ---- chain.c: blocks ---- */

/* These bytes are in flight now; the loop's snapshot is of the moment base. */
void chain_offer(chain *c, size_t bytes, unsigned base);
void chain_requeue(chain *c); /* the transport gave back what is in flight */
void chain_take(chain *c, const char *bytes, size_t len);
/* A look found nothing; the loop's snapshot is of this moment and has this head. */
void chain_nothing(chain *c, uint64_t head, unsigned moment);
void chain_over(chain *c, int code);

/* ---- chain_base.c: what all rules ask ---- */

const history *chain_history(const chain *c);
bool chain_filter(const chain *c, bool marked);
unsigned chain_relevant(const chain *c, const entry *e); /* its channels by which it is for it */
bool chain_excluded(const chain *c, const entry *e);     /* by not_before or the filter */
bool chain_is_ahead(const chain *c);
bool chain_all_finished(const chain *c); /* all channels that it has */
/* What became of an entry for the stream. */
typedef enum fate {
  FATE_HELD,
  FATE_GONE, /* a loss */
  FATE_SOFT, /* the reader may not need it: a loss or not */
  FATE_OVER  /* not a loss */
} fate;
fate chain_fate(const chain *c, unsigned index, unsigned channels, unsigned moment);
unsigned chain_evicted(const chain *c, unsigned index, unsigned channels, unsigned moment);
/* The channels that had not evicted the entry before a stream began without an id. */
unsigned chain_promised(const chain *c, unsigned index, unsigned channels);
unsigned chain_named(const wire_gap *gap);
/*
 * The channels that need the gap of a skip; `now`: those that have it at the cursor, and not only
 * by a subscription that is still to come.
 */
unsigned chain_skip_due(const chain *c, unsigned moment, bool now);
uint64_t chain_skip_from(const chain *c, unsigned moment); /* the head before the latest skip */
uint64_t chain_skip_to(const chain *c, unsigned moment);   /* the latest skip; 0: none */
bool chain_reset_due(const chain *c, unsigned moment);
/* Everything up to a number must be accounted for. */
void chain_pass(chain *c, uint64_t number, unsigned moment, const char *by);

/* ---- chain_open.c ---- */

void chain_open(chain *c, node *n, const terms *t); /* before sse_stream_open */
bool chain_opened(chain *c, int result);            /* after it; whether there is a stream */
void chain_first(chain *c, const wire_block *block, const wire_gap *gap, uint64_t number);

/* ---- chain_gap.c ---- */

void chain_gap(chain *c, const wire_block *block);

/* ---- chain_section.c ---- */

void chain_subscribe(chain *c, int channel, size_t backfill);
void chain_unsubscribe(chain *c, int channel);
void chain_dismiss(chain *c);
void chain_bare(chain *c, unsigned index);
void chain_mark(chain *c, uint64_t number);
/* The state that was given while the stream was ahead is whole once it is not any more. */
void chain_check_late(const chain *c);
/* A whole id comes, with a gap or not. */
void chain_close_section(chain *c, uint64_t number, const wire_gap *gap);
void chain_begin_state(chain *c, uint64_t at);

#endif
