/* SPDX-License-Identifier: MIT */
/* body.h: a strict reader of a response: its head, and its body, which may be chunked (RFC 9112). */
#ifndef JUDGE_BODY_H
#define JUDGE_BODY_H

#include "wire.h"

typedef enum body_place {
  BODY_HEAD,
  BODY_PLAIN,
  BODY_SIZE, /* in the line before a chunk */
  BODY_CHUNK,
  BODY_AFTER, /* in the line end after a chunk */
  BODY_LAST,  /* in the line end after the last chunk */
  BODY_CLOSED
} body_place;

typedef struct body {
  const char *head; /* what it must begin with; "": no head, and a body that is not chunked */
  bool chunked, broken;
  body_place at;
  size_t done; /* bytes of the head or of a line */
  size_t left; /* in the chunk */
} body;

void body_begin(body *reader, const char *head, bool chunked);
void body_feed(body *reader, const char *bytes, size_t len, wire *to, wire_fn *block, void *arg);
bool body_between(const body *reader); /* no chunk and no head is begun */

#endif
