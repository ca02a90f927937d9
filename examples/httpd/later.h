/* SPDX-License-Identifier: MIT */
/* later.h: replies that are pending: a queue for each connection, filled from any thread. */
#ifndef HTTPD_LATER_H
#define HTTPD_LATER_H

#include "conn.h"

/*
 * A connection sends its replies in the order of their requests, so each request whose reply is
 * pending has a place in the connection's ring. Another thread that gives a reply writes its bytes
 * into the place, puts that onto the worker's stack of given ones, and wakes the worker. Only the
 * worker's thread touches the ring.
 */

/* Sends the given replies at the head of the ring, as far as the client takes them. */
void later_send(struct httpd_conn *conn);

/* Adds a reply that is known already behind those that are pending. 0 or -1. */
int later_add(struct httpd_conn *conn, const struct reply *reply);

/* The connection closes: what is given is dropped now, and the rest when it is given. */
void later_abandon(struct httpd_conn *conn);

/* The handler whose replies are pending; there must be one. */
httpd_handler *later_handler(const struct httpd_conn *conn);

/* Takes what other threads have given, and lets the connections go on. */
void later_take(struct worker *worker);

/* At the end of a worker: frees what was given since. */
void later_free_given(struct worker *worker);

#endif
