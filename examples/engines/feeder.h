/* SPDX-License-Identifier: MIT */
/* feeder.h: gives a hub the entries of a log, and never stops at one. */
#ifndef ENGINE_FEEDER_H
#define ENGINE_FEEDER_H

#include <stdatomic.h>

#include "engine.h"
#include "entry.h"

/*
 * An entry can fail in two ways. Its event may be invalid: every hub refuses it, so it is as if it
 * were not there, and the hub advances over it. Or this hub cannot take it, because memory or a
 * limit is reached: then the clients of this hub have lost it, and the hub skips it, so that they
 * are given a gap. A lack of memory passes, so the feeder first tries again for a time.
 *
 * The feeder also waits, for a bounded time, for hosts that have not sent what they were given: a
 * log can be read faster than a window can be sent.
 */
struct feeder {
  sse_hub *hub;
  uint64_t lag_max;           /* events that hosts may be behind */
  unsigned unpaced;           /* events since the feeder has last looked at that */
  int pace_left_ms;           /* time that it may still wait for hosts */
  int patience_left_ms;       /* time that it may still try again */
  uint64_t head;              /* the number up to which the log was read */
  engine_prepare_fn *prepare; /* as in engine_config */
  void *prepare_arg;
  engine_seen_fn *seen; /* as in engine_config */
  void *seen_arg;
  atomic_ullong refused, skipped, histories;
};

/* `hub_config` has the windows' sizes. The head is the hub's: its start_after. */
void feeder_init(struct feeder *feeder, sse_hub *hub, const sse_hub_config *hub_config);

/*
 * Gives the hub an entry with its number. 0: the hub has it now, or had it before, or has skipped
 * it. Else the error for which the hub has passed over it.
 */
int feeder_give(struct feeder *feeder, const struct entry *entry);

/* Calls `prepare`, if there is one, before channels are used. */
void feeder_prepare(const struct feeder *feeder, const char *const *channels);

/* Calls `seen`, if there is one, after the hub has an event. */
void feeder_seen(const struct feeder *feeder, const char *const *channels, const sse_event *ev);

/* The log has nothing for the hub up to a number. */
void feeder_pass(struct feeder *feeder, uint64_t number);

/* The log has lost its entries up to a number before they were read. */
void feeder_skip(struct feeder *feeder, uint64_t number);

/* The log has a new history, and the hub is fed with what comes after the number. */
void feeder_reset(struct feeder *feeder, const char *epoch, uint64_t number);

#endif
