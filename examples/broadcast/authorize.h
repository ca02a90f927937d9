/* SPDX-License-Identifier: MIT */
/* authorize.h: who may publish, subscribe and operate. Every route asks here, and nowhere else. */
#ifndef BROADCAST_AUTHORIZE_H
#define BROADCAST_AUTHORIZE_H

#include "channels.h"
#include "server.h"

#define VERDICT_LINE_MAX 384 /* a sentence, and a channel's name */

/* A refusal: a status with its line of text, and a header of the answer. A status of 0 permits. */
struct verdict {
  int status; /* 401 or 403 */
  const char *header;
  char line[VERDICT_LINE_MAX];
};

/*
 * Who has sent a request, by what the request shows: the publish secret, in the parameter `key` or
 * as a Bearer token; a JSON Web Token, as a Bearer token, in the parameter access_token, or in the
 * cookie of --jwt-cookie, of which the first one counts that is there; a signed list of channels.
 * A token is verified once for all that the request does.
 */
struct caller {
  struct server *server;
  const struct params *params;
  unsigned kinds; /* what there is to show (access.h) */
  int knows_secret;
  int has_token;
  const char *problem; /* with the token; NULL: none */
  struct token token;
};

/* The params must outlive the caller. */
void caller_read(struct caller *caller, struct server *server, const struct params *params);
void caller_free(struct caller *caller);

/*
 * To publish to channels: by the secret; by a token with the claim `publish`; by anyone if the
 * server has neither secret nor key. A page of another origin that is not listed is refused,
 * whatever it sends. Channels may be NULL: their names are not known yet, because the body is not
 * read.
 */
struct verdict authorize_publish(const struct caller *caller, const struct channels *channels);

/*
 * To subscribe to channels, by a new stream, by a poll or by a change of an open stream: by a
 * signed list, by a token with the claim `subscribe`, or by anyone if the server has neither keys
 * nor secrets that sign lists. `life_ms` receives the time for which that holds, in ms and at least
 * 1; 0: it has no end. NULL: not wanted.
 */
struct verdict authorize_subscribe(const struct caller *caller, const struct channels *channels,
                                   int32_t *life_ms);

/* To operate the server, and to see the tags of clients: as to publish to all channels. */
struct verdict authorize_operate(const struct caller *caller);

#endif
