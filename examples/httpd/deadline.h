/* SPDX-License-Identifier: MIT */
/* deadline.h: until when a connection must be done; O(1), since each kind has one length. */
#ifndef HTTPD_DEADLINE_H
#define HTTPD_DEADLINE_H

#include <stdint.h>

enum deadline_kind {
  DEADLINE_NONE,    /* never: streams, which libsse looks after */
  DEADLINE_IDLE,    /* the first byte of a request */
  DEADLINE_REQUEST, /* its last byte */
  DEADLINE_SEND,    /* the client has taken the response */
  DEADLINE_LINGER,  /* the client has seen that we are done */
  DEADLINE_KINDS
};

struct deadline {
  struct deadline *prev, *next;
  int64_t at_ms;
  enum deadline_kind kind;
};

/*
 * A ring for each kind. What is started later is due later, so a ring is in order by itself, and
 * its first entry is all that need be looked at.
 */
struct deadlines {
  struct deadline rings[DEADLINE_KINDS];
  int length_ms[DEADLINE_KINDS];
};

void deadlines_init(struct deadlines *deadlines, const int length_ms[DEADLINE_KINDS]);

/* Starts a deadline, which must be all zero or in a ring; there it is in one at all times. */
void deadline_start(struct deadlines *deadlines, struct deadline *deadline, enum deadline_kind kind,
                    int64_t now_ms);

/* Takes it out of its ring. */
void deadline_stop(struct deadline *deadline);

/* One that has passed, or NULL; and any at all, passed or not. */
struct deadline *deadlines_due(struct deadlines *deadlines, int64_t now_ms);
struct deadline *deadlines_any(struct deadlines *deadlines);

/* Calls it for each; it may stop the one that it is called for, or start it anew. */
void deadlines_each(struct deadlines *deadlines, void (*call)(struct deadline *deadline));

/* Milliseconds to the next one; -1 if there is none. */
int deadlines_timeout(const struct deadlines *deadlines, int64_t now_ms);

#endif
