/* SPDX-License-Identifier: MIT */
/* subscription.h: what a request for a stream or a poll asks for. */
#ifndef BROADCAST_SUBSCRIPTION_H
#define BROADCAST_SUBSCRIPTION_H

#include "authorize.h"

#define SESSION_BYTES_MIN 8
#define SESSION_BYTES_MAX 64
#define SESSION_TAG_MAX   (8 + SESSION_BYTES_MAX + 1) /* "session:" and the token */
#define TAGS_MAX          8                           /* that a request may name */

/*
 * The parameters: channel and channels; last_event_id or lastEventId, which the header Last-Event-ID
 * overrides; history=N or from=earliest, where the stream begins without an id; tag (repeatable), by
 * which operators find it; session, a token that the client makes up, by which it changes the
 * stream's channels.
 */
struct subscription {
  struct channels channels;
  const char *tags[TAGS_MAX + 2];
  char session_tag[SESSION_TAG_MAX];
  int32_t life_ms;          /* for which the caller may have it; 0: no end */
  sse_stream_config config; /* its channels, last_id, tags and start */
};

/* Reads the parameters; the request must outlive it. NULL, or what is wrong: a literal. */
const char *subscription_read(struct subscription *subscription, const struct params *params);

/* Writes the tag of a session; NULL, or what is wrong with the token. */
const char *subscription_session_tag(char tag[SESSION_TAG_MAX], const char *token);

/* True if the tag is that of a session. */
int subscription_is_session(const char *tag);

/* Reads a whole number, 0 to UINT32_MAX: 0 or -1. */
int subscription_number(const char *text, uint32_t *number);

/*
 * What handlers of streams and polls do first: reads the parameters, and asks who may subscribe. The
 * params are to be freed whatever it returns. 0; or -1, and the request is answered.
 */
int subscription_begin(struct subscription *subscription, struct params *params,
                       struct httpd_conn *conn, const struct request *request,
                       struct server *server);

#endif
