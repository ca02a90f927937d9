/* SPDX-License-Identifier: MIT */
/* history.h: what was published, and the judge of what a client was told of it. */
#ifndef HISTORY_H
#define HISTORY_H

#include "client.h"

/*
 * One hub's life: which channel each number went to. The serial-th event of a channel is the one
 * that the publisher wrote with that serial.
 */
struct history {
  char epoch[SSE_EPOCH_MAX + 1];
  uint64_t head; /* the last number */
  struct history_channel {
    uint64_t *numbers; /* of its events */
    uint64_t count, cap;
    uint64_t evicted; /* events that are no longer retained, for certain */
  } channels[CLIENT_CHANNELS];
  bool inexact; /* it may announce a loss where there was none: ghosts went to the floor */
};

void history_init(struct history *history, const char *epoch);
void history_free(struct history *history);
/* An event was published to a channel: it has the next number. */
void history_publish(struct history *history, unsigned channel);
/*
 * Looks at the hub's own windows: what they have let go is gone. Returns what is wrong with its
 * counts, or NULL.
 */
const char *history_observe(struct history *history, const sse_hub *hub, unsigned channels);

/*
 * What a chain of connections of one client was told so far: each connection but the first brings
 * the last id of the one before. The rules:
 *
 *   order    ids only grow; an event comes once, with the number and the bytes it was published
 * with loss     an id that is told, of whatever kind, leaves no event behind that was neither told
 * nor announced before; what is announced was evicted, and is as many as the gap says start    each
 * connection begins where its last id stands, and says so before anything else channel  nothing
 * comes from a channel that the connection did not ask for
 */
struct chain {
  const struct history *history; /* the hub of this connection */
  const char *fault;             /* the first rule that was broken; NULL */
  char detail[256];              /* and where */

  unsigned channels; /* of this connection, bit i for channel i */
  sse_verdict verdict;
  sse_position position;
  char requested[CLIENT_TEXT_MAX];
  bool opening;    /* nothing was told yet */
  uint64_t id;     /* the last number told */
  uint64_t lost;   /* by the counts of gaps, and not yet found missing */
  bool uncounted;  /* one of the gaps since has no count */
  struct {         /* of each channel, in events */
    uint64_t done; /* up to here all were told or announced */
    uint64_t gone; /* up to here they may be missing: a gap was told */
    bool owed;     /* what the gap took is not known before the next event */
  } of[CLIENT_CHANNELS];
};

/*
 * A connection was opened: with the client's last id ("" for none), to the given channels. The
 * verdict and where to start are judged by the history as it is now.
 */
void chain_open(struct chain *chain, const struct history *history, unsigned channels,
                const char *last_id, sse_verdict verdict, sse_position position);
/* The client was told something. A client_saw_fn; arg is the chain. */
void chain_take(void *arg, const struct client_item *item);
/* The stream says that there is no more: then all that was published was told or announced. */
void chain_complete(struct chain *chain);

#endif
