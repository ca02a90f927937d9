/* SPDX-License-Identifier: MIT */
/* event.h: the event that a request, or a line of NDJSON, asks to publish; and what became of it. */
#ifndef BROADCAST_EVENT_H
#define BROADCAST_EVENT_H

#include "channels.h"
#include "engine.h"
#include "json.h"
#include "text.h"

/* An event with its channels. All strings are borrowed from what it was read from. */
struct event {
  struct channels channels;
  sse_event event;
  char *prefixes; /* names that were added, for free() */
};

/*
 * Adds to the channels their prefixes, for "a/b/c" these: "a/b/" and "a/". NULL, or what is wrong: a
 * literal.
 */
const char *event_add_prefixes(struct event *event);

/*
 * Both have the same members: channel, message, event, id, state, delete and ephemeral. In a request
 * `key` is the secret, and a raw body is the message. A message is required unless the event deletes
 * a state. NULL, or what is wrong: a literal.
 */
const char *event_from_params(struct event *event, const struct params *params);
const char *event_from_json(struct event *event, const struct json_object *object);

/* What became of an event, as a status. */
struct outcome {
  int status;       /* 200; 400, 409, 413 or 503 */
  int repeated;     /* a retained event has this id: an earlier attempt has succeeded */
  const char *line; /* what is wrong; NULL: nothing */
};

/* Of an error of engine_submit or of its `done`. */
struct outcome outcome_of(int error);

/* Adds `"status":"ok","id":"..."`, and "repeated" if so. */
void outcome_add_json(struct text *text, const struct outcome *outcome, const char *id);

#endif
