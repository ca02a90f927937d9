/* SPDX-License-Identifier: MIT */
/* publish.h: what the two forms of a publish share. */
#ifndef BROADCAST_PUBLISH_H
#define BROADCAST_PUBLISH_H

#include "answer.h"
#include "authorize.h"
#include "event.h"

/* Publishes each line of a body, and replies when the last one has its outcome: 200 if all are
 * published, else 207 with a status for each line. Called by the handler of /publish. */
void publish_lines(struct httpd_conn *conn, const struct caller *caller,
                   const struct answer *answer);

#endif
