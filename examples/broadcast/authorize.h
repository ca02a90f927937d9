/* SPDX-License-Identifier: MIT */
/* authorize.h: who may publish, subscribe and operate. Every route asks here, and nowhere else. */
#ifndef BROADCAST_AUTHORIZE_H
#define BROADCAST_AUTHORIZE_H

#include "channels.h"
#include "server.h"

/* A refusal: a status with its line of text. A status of 0 permits. */
struct verdict {
  int status; /* 401 or 403 */
  const char *line;
};

/*
 * To publish to channels: by the secret, in the parameter `key` or as a Bearer token; by anyone if
 * the server has no secret. A page of another origin that is not listed is refused, whatever it
 * sends. Channels may be NULL: their names are not known yet, because the body is not read.
 */
struct verdict authorize_publish(struct server *server, const struct params *params,
                                 const struct channels *channels);

/* To subscribe to channels, by a new stream, by a poll or by a change of an open stream: anyone. */
struct verdict authorize_subscribe(struct server *server, const struct params *params,
                                   const struct channels *channels);

/* To operate the server, and to see the tags of clients: as to publish. */
struct verdict authorize_operate(struct server *server, const struct params *params);

#endif
