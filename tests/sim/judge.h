/* SPDX-License-Identifier: MIT */
/* judge.h: holds what a client was told against what was published. */
#ifndef JUDGE_H
#define JUDGE_H

#include "ledger.h"

#define JUDGE_CHANGES_MAX 64
#define JUDGE_EVERYTHING  (-1) /* in judge_terms.filter */

/* What a connection was opened with, and what the library said to it. */
struct judge_terms {
  unsigned channels; /* bit i for channel i */
  const char *last_id;
  sse_resume verdict;
  sse_position position;
  sse_start start;
  uint32_t start_events;
  sse_lost lost;
  uint64_t not_before;
  int filter;      /* events with this label are left out */
  bool bounded;    /* it may be told of a loss while all is still retained */
  uint64_t cursor; /* where the stream says that it starts; looked at where that is its choice */
  uint64_t gone;   /* the highest number whose id of the application's is forgotten */
};

/* Events of before that a stream is to get without ids: a state, or the history of a join. */
struct judge_recap {
  bool wanted;
  uint64_t above, upto; /* of these numbers */
  size_t history;       /* so many of them, unless the channel is conflated */
  uint64_t asked;       /* the moment of the ledger when it was asked for */
  int64_t born_min_ms;  /* what was published before this was too old by then */
  bool at_once;         /* it was looked up then, and not later */
  bool lost;            /* a gap says that some of it was let go */
  bool not_whole;       /* and has to */
  bool optional;        /* the stream is to leave the channel, perhaps before it comes */
};

/*
 * What a chain of connections of one client was told so far: each connection but the first brings
 * the last id of the one before. The rules:
 *
 *   order    ids only grow; an event comes once, with the id and the bytes it was published with
 *   loss     nothing that is told, of whatever kind, leaves an event behind that was neither told
 *            before nor superseded nor announced; what is announced was let go, and is as many as
 *            the gap says
 *   start    each connection begins where its last id stands, and says so before anything else
 *   channel  nothing comes from a channel that the stream had not joined, or that it is to be
 *            spared by a filter or a lowest number
 *   end      a stream that is dismissed is told everything up to then, and nothing after it
 *   history  what comes without ids is in one piece, in order, between two positions, and all that
 *            was there
 *   end      a chunked body has its last chunk if the stream ended gently, and not otherwise
 */
struct judge {
  const struct ledger *ledger; /* of the hub of this connection */
  const char *fault;           /* the first rule that was broken; NULL */
  char detail[256];            /* and where */

  unsigned char *told;       /* by number: bit 7: told to this chain; bit i: in a history of channel
                                i of this connection */
  const struct ledger *life; /* whose numbers these are */
  uint64_t told_cap;

  struct judge_terms terms;
  char requested[CLIENT_TEXT_MAX];
  struct {
    uint64_t at;
    unsigned channel;
    bool join;
  } changes[JUDGE_CHANGES_MAX];
  unsigned changes_count;
  bool opening;         /* nothing was told yet */
  bool state_lost;      /* a state that it is to be told was not whole when it was opened */
  bool unfinished;      /* the last position has the mark */
  bool dismissed;       /* it is to end when it was told everything up to the next number */
  uint64_t last_wanted; /* the head when it was dismissed */
  uint64_t opened;      /* the head when it was opened */
  uint64_t has;         /* the number of the client's id, or the lowest that is for it */
  uint64_t moment;      /* of the ledger, at the same time */
  uint64_t id;          /* the number of the last id told */
  uint64_t last;        /* the number of the last event told */
  uint64_t bare;        /* the same of the last event of a history, since the last position */
  uint64_t done;        /* all up to here was accounted for */
  struct {
    uint64_t covered; /* a gap was told: what was let go up to here is announced */
    struct judge_recap recap;
  } of[CLIENT_CHANNELS];
  uint64_t lost;    /* by the counts of gaps, and not yet found missing */
  uint64_t missing; /* found missing */
  bool uncounted;   /* one of the gaps since has no count */
};

void judge_free(struct judge *judge);
/* The client begins anew: what it was told before may be told again. */
void judge_forget(struct judge *judge);
/* A connection was opened. */
void judge_open(struct judge *judge, const struct ledger *ledger, const struct judge_terms *terms);
/* The stream was asked to join a channel, with a history of what was published at a time or later,
 * or to leave it. */
void judge_change(struct judge *judge, unsigned channel, bool join, size_t history,
                  int64_t born_min_ms);
/* The stream was dismissed. */
void judge_dismiss(struct judge *judge);
/* The client was told something. A client_saw_fn; arg is the judge. */
void judge_take(void *arg, const struct client_item *item);
/* The stream says that there is no more: then all that was published, or up to its dismissal, was
 * told or announced. */
void judge_complete(struct judge *judge);
/* The connection is over, and the client has read its body to the last chunk, or has not. */
enum judge_body {
  JUDGE_CUT,   /* there was no end, or not a gentle one */
  JUDGE_BEGUN, /* a gentle end had begun, and what it gave may not have come */
  JUDGE_GENTLE /* a gentle end, and the client has read all */
};
void judge_end_body(struct judge *judge, enum judge_body end, bool last_chunk);
/* Whether a stream has a channel, as of the last number. */
bool judge_has(const struct judge *judge, unsigned channel);

#endif
