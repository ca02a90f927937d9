/* SPDX-License-Identifier: MIT */
/* event_id.h: the hub's event ids, `<epoch>.<number>`, and their exact form. */
#ifndef SSE_LIB_ID_H
#define SSE_LIB_ID_H

#include <sse/hub.h>
#include <stdbool.h>

#include "util/writer.h"

/* Behind an id: a history was begun there, and is not told to the end. */
#define SSE__EVENT_ID_UNFINISHED "~"
/* The longest id: epoch, dot and number; every byte of it is safe in a CORS request header. */
#define SSE__EVENT_ID_BYTES_MAX (SSE_EPOCH_BYTES_MAX + 1 + SSE__NUMBER_BYTES_MAX)
/* The end of a frame: "id: ", the id, and the two newlines. */
#define SSE__EVENT_ID_LINE_BYTES_MAX (4 + SSE__EVENT_ID_BYTES_MAX + 2)

struct sse__epoch {
  char text[SSE_EPOCH_BYTES_MAX + 1]; /* ended by NUL */
  uint8_t len;
};

/* An epoch from 64 random bits, in 11 base64url characters. */
struct sse__epoch sse__epoch_from(uint64_t bits);
/* An epoch from the host; false if it has not the form. */
bool sse__epoch_parse(const char *text, struct sse__epoch *epoch);

/* Writes an id, without an end; the length. buf holds SSE__EVENT_ID_BYTES_MAX. */
size_t sse__event_id_write(char *buf, const struct sse__epoch *epoch, uint64_t seq);

/* An id, taken apart. */
struct sse__event_id {
  struct sse__epoch epoch;
  uint64_t seq;
  bool unfinished;
};

/*
 * Takes an id apart. True if it has the one canonical form: an epoch, a dot, decimal digits without
 * a leading zero that fit 64 bits, and perhaps the mark of what is unfinished.
 */
bool sse__event_id_parse(const char *text, struct sse__event_id *id);

/* Whether it is this epoch, a dot and digits, and perhaps the mark, canonical or not. */
bool sse__event_id_resembles(const char *text, const struct sse__epoch *epoch);

#endif
