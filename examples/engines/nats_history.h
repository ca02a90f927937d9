/* SPDX-License-Identifier: MIT */
/* nats_history.h: finds out whether a log in JetStream is still the one that was read. */
#ifndef NATS_HISTORY_H
#define NATS_HISTORY_H

#include "nats_link.h"

/*
 * A history is the moment when the stream was created, in ns since 1970, plus its generation. The
 * generation is 0 until a node finds that the stream has lost entries that the node has read,
 * although it was not created again: a machine has crashed before its disk had them, or an older
 * copy of the data was put in place. That node then raises it. It stands at the end of the stream's
 * description, " sse-history=1", because JetStream stores that with the stream, and all nodes see
 * it.
 *
 * JetStream cannot change a description only if it is still what it was. Two nodes that find the
 * same loss raise the generation to the same number, so no harm is done. One that is so slow that
 * its change comes after a later one of another node sets it back; the other node, whose number is
 * higher, then raises it above its own.
 */

/* What a node has of the log. All zeros: nothing yet. */
struct nats_have {
  uint64_t created_ns, generation;
  uint64_t number; /* up to here it was read or passed over */
  int64_t at_ns;   /* when JetStream stored the entry at this number; 0: it was not read */
};

/* What the log is like at one moment. */
struct nats_state {
  uint64_t created_ns, generation;
  uint64_t first, last; /* the numbers of the oldest and the newest message */
  int64_t window_ms;    /* for how long JetStream knows a Nats-Msg-Id */
  int is_new;           /* it is another history than that of the node */
  uint64_t start;       /* if so: the number after which to begin */
};

/* How a stream is made, and how much of it is loaded. */
struct nats_rules {
  uint64_t entries_max, age_max_s, load_max;
};

/*
 * Compares the stream with what the node has, and creates it if there is none. It is another
 * history if it was created at another time or has a higher generation; or if its last number is
 * below the node's, or the node's last entry is another one, by the time when it was stored. Then
 * the generation is raised. An entry that was deleted by itself is no sign of a loss.
 *
 * 0, or -1 as nats_link_ask.
 */
int nats_history_check(struct nats_link *link, int64_t until_ms, const struct nats_have *have,
                       const struct nats_rules *rules, struct nats_state *state);

/* Reads an answer to STREAM.INFO: 0; or -1. */
int nats_state_read(struct nats_link *link, const natsMsg *answer, struct nats_state *state);
/* Whether the answer says that there is no such stream. */
int nats_is_missing(const natsMsg *answer);

#endif
