/* SPDX-License-Identifier: MIT */
/* redis_history.h: finds out whether a log in Redis is still the one that was read. */
#ifndef REDIS_HISTORY_H
#define REDIS_HISTORY_H

#include "redis_link.h"
#include "redis_log.h"

enum {
  RUN_ID_BYTES = 64
};

/* What an engine has of the log. All zeros: nothing yet. */
struct log_have {
  struct log_id at; /* up to here it was read or passed over */
  int has_nonce;    /* the entry at this id was read, and had this nonce */
  int64_t nonce;
  char run_id[RUN_ID_BYTES]; /* of the server that it was read from */
};

/* What the log is like at one moment. */
struct log_state {
  char run_id[RUN_ID_BYTES];
  struct log_id last; /* the newest id that the stream has given */
  int lost;           /* 1: it does not have what the engine has read, or the engine has nothing */
  uint64_t start;     /* if lost: the number in the newest era after which the engine begins */
};

/* How a history is compared. */
struct log_rules {
  int durable;       /* the server loses nothing, whatever its run_id is */
  uint64_t load_max; /* newest entries to begin with */
  uint64_t junk_era; /* the first half of an id that no engine has given; 0: none was found */
  int64_t nonce;     /* of the entry that begins an era */
};

/* Asks for run_id and for the number of the connection. A replica, which loses to its master what
 * is appended to it, and a server that is too old are refused. 0, or -1 as link_ask. */
int history_identify(struct redis_link *link, int64_t until_ms, char run_id[RUN_ID_BYTES],
                     long long *client);

/*
 * Compares the log with what the engine has, and begins a new era if there is a reason for one:
 *
 *   - there is no stream, or its newest id is not one of an era
 *   - the server has another run_id than when the era began, and is not durable
 *   - the newest era is that of the engine, and has lost what the engine has read: the newest id is lower, or
 *     the engine's last entry is gone although older ones are there, or is another one by its nonce
 *
 * Of several engines that find a reason one begins the era, in a transaction that fails if the stream
 * was changed since it was compared; the others then compare again. `state->run_id` is set. 0, or
 * -1 as link_ask.
 */
int history_check(struct redis_link *link, int64_t until_ms, const struct log_have *have,
                  const struct log_rules *rules, struct log_state *state);

/* Reads a reply of XINFO STREAM: the newest id. 0, or -1. */
int history_last(const redisReply *info, struct log_id *last);
int history_is_missing(const redisReply *error); /* that reply says that there is no stream */

#endif
