/* SPDX-License-Identifier: MIT */
/* redis_log.h: what a log in Redis looks like: the ids of its entries, its histories, its fields. */
#ifndef REDIS_LOG_H
#define REDIS_LOG_H

#include <hiredis.h>
#include <stddef.h>
#include <stdint.h>

#include "entry.h"
#include "redis_link.h"

/*
 * A log is one Redis stream. The id of an entry is ERA-NUMBER. XADD with ERA-* counts the numbers
 * from 1 without holes; ERA-0 begins the era and is no event. An era is one history of the log:
 *
 *     63                                    22 21              0
 *     |  begun at, in ms since 1970, 42 bits  |  life, 22 bits  |
 *
 * "Life" is a hash of the server's run_id, so the newest id alone tells whether the server was
 * restarted, or replaced by its replica, since the era began. The epoch of an era is its 64 bits in
 * eleven characters, so any id tells the epoch, too, also of a stream that was trimmed to nothing.
 *
 * An era is above the clock in ms, which Redis uses for XADD with *. Redis never goes back, so with
 * * it continues the numbers of the era: a program that appends in this way does it right.
 */
struct log_id {
  uint64_t era, number;
};

enum {
  LOG_ID_BYTES = 42 /* of an id as text, its NUL included */
};

int log_id_parse(const char *text, struct log_id *id); /* 0 or -1 */
void log_id_print(struct log_id id, char text[LOG_ID_BYTES]);
int log_id_compare(struct log_id a, struct log_id b);

int log_is_era(uint64_t number); /* or else some program has chosen the id by itself */
/* Whether it began in the life of the server with this run_id; with a chance of 1 : 4,000,000 it is
 * wrong with "yes". */
int log_is_of_life(uint64_t era, const char *run_id);
/* An era that is above another one, as high as this time; 0: there is none. */
uint64_t log_new_era(uint64_t above, uint64_t now_ms, const char *run_id);

/* An entry that was read. All of it points into the reply; the strings of the reply are changed. */
struct log_entry {
  struct log_id id;
  struct entry
      entry; /* one whose fields are no valid event has no channel, and any hub refuses it */
  int has_nonce;
  int begins; /* it begins an era */
  const char *channels[SSE_PUBLISH_CHANNELS_MAX + 1];
};

/* Reads an element of a reply of XRANGE or XREAD: 0; or -1, it is not one. */
int log_entry_read(const redisReply *reply, struct log_entry *entry);

/* Puts the command that appends an entry with its nonce, and removes the oldest beyond a number.
 * It makes no new stream, and its reply is then nil. As link_put. */
int log_put_entry(struct redis_link *link, uint64_t era, uint64_t entries_max,
                  const struct entry *entry);
/* Puts the command that begins an era. */
int log_put_begin(struct redis_link *link, uint64_t era, int64_t nonce, int64_t at_ms);

#endif
