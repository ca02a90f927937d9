/* SPDX-License-Identifier: MIT */
/* client.h: a model client: it reads the actual bytes of a stream and keeps its id as browsers do.
 *
 * It reads them twice, with the library's parser and with the tests' own (standard.h), and what the
 * two say must be the same.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>

#include <sse/parse.h>
#include <sse/sse.h>

#include "dechunk.h"

#define CLIENT_CHANNELS   6   /* channels that a test may use, by index */
#define CLIENT_TEXT_MAX   128 /* bytes for a reason or an id, with the NUL */
#define CLIENT_FILLER_MAX 4096

/* The name of a channel; some need escapes in JSON. */
const char *client_channel(unsigned channel);

/*
 * Writes the payload of the event with this number, with so many bytes of filler, ended by NUL. The
 * client knows both again, and any byte that is not as it was.
 */
size_t client_payload(char *buf, size_t cap, uint64_t number, size_t filler);
/* The type of the event with this number; NULL: none. */
const char *client_type(uint64_t number);

enum client_kind {
  CLIENT_EVENT,   /* an event of the publisher, with its id */
  CLIENT_BARE,    /* an event of the publisher, without one */
  CLIENT_GAP,     /* a loss that was announced */
  CLIENT_POSITION /* the id alone moved, or was told again */
};

/* One thing that the client was told. Strings last as long as the call that gives it. */
struct client_item {
  enum client_kind kind;
  const char *id;    /* the last id as of this */
  uint64_t number;   /* of an event */
  unsigned channels; /* of a gap: bit i for channel i */
  bool counted;      /* of a gap: it says how many were lost */
  uint64_t lost;
  char reason[CLIENT_TEXT_MAX], requested[CLIENT_TEXT_MAX], resume[CLIENT_TEXT_MAX];
};

typedef void client_saw_fn(void *arg, const struct client_item *item);

struct client {
  client_saw_fn *saw;
  void *arg;
  bool dispatched_ids; /* it takes an id only from an event that it dispatches, as some do */
  const char *fault;   /* the first thing that was wrong in the bytes; NULL */
  char last_id[CLIENT_TEXT_MAX]; /* what it would send in a reconnect; "": none */
  bool told;                     /* a whole block was read on this connection */

  sse_parser *parser;
  struct standard *second;
  bool in_head;   /* before the end of the response head */
  unsigned ended; /* how much of CR LF CR LF was read */
  bool chunked;   /* the head is followed by a chunked body */
  struct dechunk body;
  char line[8]; /* how the present line begins */
  size_t line_len;
  bool block, id_line, id_last; /* in the present block: any line, an id, an id as its last line */
};

/* A new client, without an id unless one is given. */
void client_init(struct client *client, const char *last_id, client_saw_fn *saw, void *arg);
void client_free(struct client *client);
/* A connection begins; `head`: with this response head, or none. What was cut off of the last one
 * is lost. */
void client_connect(struct client *client, const sse_http_head *head);
/* Bytes arrive. */
void client_feed(struct client *client, const char *bytes, size_t len);

#endif
