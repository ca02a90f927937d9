/* SPDX-License-Identifier: MIT */
/*
 * judge.h: holds what clients received against what broadcast(1), sse(7) and sse-log(7) promise.
 *
 * A run is what a client receives between two gap events `restart` or `unknown`: after these the
 * manual lets retained events come again. Within a run:
 *
 * LOST     An acknowledged event is neither delivered nor covered when a later one is delivered. An
 *          event is later if it was sent after the answer to the first had come. A gap event covers
 *          what was sent before the client received it.
 * ORDER    Two clients disagree about the next event of a channel, no gap event being between, or
 *          about the order of two events in one epoch.
 * TWICE    An event comes again.
 * EPOCH    The epoch of an id changes without a gap event.
 * NUMBER   The number of an id is below one that the client has, or is that of another event.
 * SAME     One id is given to two events, by an answer or by a stream.
 * STRANGE  Something else comes: an event of another channel, a payload that nobody sent, a gap
 *          event with a reason that cannot be.
 *
 * A gap event reports what was lost before it was written, wherever that lies. So it covers until
 * an event comes that was sent after the gap event had come. If the log was never trimmed, a client
 * of one channel has lost nothing above `resume`, and the next event above it ends the cover.
 *
 * What the manual leaves open is not judged. An event that was trimmed while it was on its way or
 * was tried again is no longer retained: its id is free, and it may be published a second time. For
 * such events only LOST and SAME hold, and a client that returns with such an id begins a new run.
 * After a reset the application may give its id again, so a client that returns with it to the new
 * history continues there. Both kinds of returns are counted as `ambiguous`.
 */
#ifndef TESTS_CHAOS_JUDGE_H
#define TESTS_CHAOS_JUDGE_H

#include "trial.h"

enum rule {
  LOST,
  ORDER,
  TWICE,
  EPOCH,
  NUMBER,
  SAME,
  STRANGE,
  RULES
};

extern const char *const rule_names[RULES];

struct verdict {
  int breaches[RULES];
  int total;      /* breaches */
  long acked;     /* events */
  long delivered; /* pairs of a client and an event */
  long covered;   /* pairs of a client and an acknowledged event that a gap event covers */
  long again;     /* deliveries in a later run */
  long ambiguous; /* returns with an id that the application gave in two histories */
  long trimmed;   /* events that were trimmed on their way */
  long gaps[GAP_REASONS];
};

/* Prints the first breaches to `out`. */
void judge(const struct trial *trial, struct verdict *verdict, FILE *out);

#endif
