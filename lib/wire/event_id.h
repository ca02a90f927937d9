/* SPDX-License-Identifier: MIT */
/* event_id.h: the hub's event ids, `<epoch>.<number>`, written and parsed. */
#ifndef SSE_LIB_EVENT_ID_H
#define SSE_LIB_EVENT_ID_H

#include <sse/hub.h>
#include <stdbool.h>

#include "util/writer.h"

/* The suffix of an id that was given while a backfill was not complete. */
#define SSE__EVENT_ID_UNFINISHED "~"
/* The longest id: epoch, dot and number. Every byte of an id is safe in a CORS request header. */
#define SSE__EVENT_ID_BYTES_MAX (SSE_EPOCH_BYTES_MAX + 1 + SSE__NUMBER_BYTES_MAX)
/* The longest end of a frame: "id: ", the id and two newlines. */
#define SSE__EVENT_ID_LINE_BYTES_MAX (4 + SSE__EVENT_ID_BYTES_MAX + 2)

struct sse__epoch {
  char text[SSE_EPOCH_BYTES_MAX + 1]; /* base64url characters, ended by NUL */
  uint8_t len;                        /* characters before the NUL */
};

/* Makes an epoch of 11 base64url characters from 64 random bits. */
struct sse__epoch sse__epoch_from(uint64_t bits);
/* Parses an epoch that the host gives; false if it is malformed. */
bool sse__epoch_parse(const char *text, struct sse__epoch *epoch);

/* Writes an id, without a NUL; buf has SSE__EVENT_ID_BYTES_MAX. Returns the length. */
size_t sse__event_id_write(char *buf, const struct sse__epoch *epoch, uint64_t seq);

/* A parsed id. */
struct sse__event_id {
  struct sse__epoch epoch; /* the history of numbers that `seq` belongs to */
  uint64_t seq;            /* the number of the event */
  bool unfinished;         /* it has the suffix SSE__EVENT_ID_UNFINISHED */
};

/*
 * Parses an id. True if it has the canonical form: an epoch, a dot, decimal digits without a
 * leading zero that fit 64 bits, and optionally SSE__EVENT_ID_UNFINISHED.
 */
bool sse__event_id_parse(const char *text, struct sse__event_id *id);

/* Whether text is this epoch, a dot, any digits and optionally SSE__EVENT_ID_UNFINISHED. */
bool sse__event_id_resembles(const char *text, const struct sse__epoch *epoch);

#endif
