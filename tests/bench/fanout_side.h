/* SPDX-License-Identifier: MIT */
/* fanout_side.h: one server with its load, as processes of their own, and comparing several. */
#ifndef FANOUT_SIDE_H
#define FANOUT_SIDE_H

#include "fanout.h"

#define SIDES_MAX  8
#define ROUNDS_MAX 31

struct side {
  const char *name;
  const char *const *server; /* arguments of this program; of a peer: its command */
  bool peer;
  unsigned stalled; /* streams that never read, beside the others */

  /* While it runs. */
  pid_t server_pid, load_pid;
  int to_load, from_load;
  double resident_bytes; /* per stream, after they were opened */
};

/* One case: the same commands for all sides, of which the first is the reference. */
struct match {
  const char *name;
  struct side *sides[SIDES_MAX];
  unsigned sides_count;
  unsigned streams, channels;
};

/* Starts servers and loads and opens the streams; false if one of them failed. */
bool match_open(struct match *match);
void match_close(struct match *match);

enum metric {
  METRIC_CPU,  /* of the server, per delivery */
  METRIC_LAST, /* from a post to its last delivery */
  METRIC_P50,  /* from a post to a delivery */
  METRIC_P99,
  METRIC_RATE, /* deliveries in time */
  METRICS
};

/* What a side may take at most, as a multiple of another; a list ends with a NULL side. */
struct budget {
  const struct side *side, *against;
  enum metric metric;
  const char *at_most;
};

/*
 * All sides in turn, `rounds` times (odd) after a first one that does not count; a line for each
 * side, with its CPU time per delivery against that of the first, and one for each budget (NULL:
 * none) that is of something else. Budgets of sides that are not in the match are passed over.
 */
void match_run(struct match *match, const char *what, const struct load_command *command,
               const struct budget *budgets, unsigned rounds);
/* Resident memory per idle stream, a line for each side. */
void match_memory(const struct match *match, const struct side *judged, const char *budget);

/* True after any event that was lost, repeated or damaged. */
bool match_faults(void);

#endif
