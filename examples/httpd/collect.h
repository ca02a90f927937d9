/* SPDX-License-Identifier: MIT */
/* collect.h: the blocks of a stream, gathered for one finite response. */
#ifndef HTTPD_COLLECT_H
#define HTTPD_COLLECT_H

#include "conn.h"

/*
 * A collect owns a stream of the worker's loop without a response head. The stream's heartbeat is
 * the timer: its silence is the longest wait, after which the stream gives a position if the client
 * needs a newer one, and else a comment.
 */
struct collect;

/* Reads what the stream has; 1 if the response is due. */
int collect_read(struct collect *collect);

/* Replies with what was read, and frees the collect. */
void collect_reply(struct httpd_conn *conn, struct collect *collect);

void collect_free(struct collect *collect);

#endif
