/* SPDX-License-Identifier: MIT */
/* parse.h: the bytes of text/event-stream to events: the client's half. */
#ifndef SSE_PARSE_H
#define SSE_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "alloc.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A parser reads one client's stream by the rules of the HTML standard, 9.2.5 and 9.2.6, however
 * the network cuts it, and keeps what a reconnect needs: the last event id and the reconnection
 * time. Bytes that are not UTF-8 are passed through as they are; where a browser would show U+FFFD
 * is left to the caller.
 */
typedef struct sse_parser sse_parser;

/* Zero is the default of every member; the default is named with it. */
typedef struct sse_parser_config {
  size_t line_max_bytes; /* longest line, without what ends it; 1 MiB */
  size_t data_max_bytes; /* longest data of an event; 1 MiB */
  const char *last_id;   /* the last event id to begin with, from an earlier run; "" */
  sse_alloc_fn *alloc;   /* realloc and free */
  void *alloc_arg;
  void *reserved[4]; /* must be NULL */
} sse_parser_config;

/*
 * One event. All strings are the parser's, have a NUL behind them and are there until the next call
 * of sse_parser_next, sse_parser_reset or sse_parser_free.
 */
typedef struct sse_parsed {
  const char *type; /* "message" if the stream gave none */
  const char *data; /* lines joined by LF; may contain NUL */
  const char *id;   /* the last event id as of this event, its own or an earlier one; "" if none */
  size_t type_len;
  size_t data_len;
  size_t id_len;
} sse_parsed;

/**
 * Makes a parser for one stream and its reconnects.
 *
 * parser  where its pointer goes; untouched on failure.
 * config  borrowed for the call, with last_id copied; NULL: all defaults.
 *
 * Threads:   any.
 * Callbacks: the configured alloc.
 * Returns:   0; SSE_EINVAL (parser is NULL, a reserved member is not NULL, a limit is over a
 *            quarter of SIZE_MAX, last_id has a CR or LF), SSE_ENOMEM.
 */
SSE_API int sse_parser_new(sse_parser **parser, const sse_parser_config *config);

/**
 * Frees a parser.
 *
 * parser  NULL is allowed.
 *
 * Threads:   the last user of the parser.
 * Callbacks: alloc.
 */
SSE_API void sse_parser_free(sse_parser *parser);

/**
 * Reads on until the next event is complete or the bytes are used up.
 *
 * parser  the parser.
 * bytes   where the next bytes of the stream are; moved behind those that were read.
 * len     how many there are; lowered by those that were read.
 * event   the event, if the result is 1; else untouched.
 *
 * Call it in a loop until it returns 0, then receive more. The events are the same however the
 * stream is cut into calls. A block without data gives no event, but an id in it becomes the last
 * one. What is kept between calls is the unfinished line and the event so far, in buffers that grow
 * up to the limits and are reused; nothing else is allocated.
 *
 * A line or an event over its limit ends the stream: an event that is silently left out would be a
 * loss nobody hears of, and what cannot be held cannot be delivered later. The result is then
 * SSE_ETOOBIG at every call until sse_parser_reset. The last id is still that of the event before,
 * so a reconnect may bring the same event again.
 *
 * Threads:   one at a time for the parser.
 * Callbacks: alloc.
 * Returns:   1: there is an event, and bytes may be left; 0: all bytes are read, and no event is
 *            complete; SSE_ENOMEM: bytes and len say what is left, and the same call may succeed
 *            later; SSE_ETOOBIG; SSE_EINVAL (a pointer is NULL).
 */
SSE_API int sse_parser_next(sse_parser *parser, const char **bytes, size_t *len, sse_parsed *event);

/**
 * Makes the parser ready for a new connection: call it when a stream has ended, for whatever
 * reason.
 *
 * parser  the parser.
 *
 * An event without its blank line is discarded (HTML standard 9.2.6), so is an error. The last
 * event id and the reconnection time stay, and events of the new connection that bring no id carry
 * that last id, as in browsers. A byte order mark is looked for again.
 *
 * Threads:   one at a time for the parser.
 * Callbacks: none.
 */
SSE_API void sse_parser_reset(sse_parser *parser);

/**
 * Gives the last event id, for the Last-Event-ID header of a reconnect.
 *
 * parser  the parser.
 *
 * Only a blank line makes an id the last one. Without an id, or after an event that reset it, there
 * is none, and the header is left out.
 *
 * Threads:   one at a time for the parser.
 * Callbacks: none.
 * Returns:   the id, "" if there is none; it is the parser's until the next sse_parser_next or
 *            sse_parser_free.
 */
SSE_API const char *sse_parser_last_id(const sse_parser *parser);

/**
 * Tells how long to wait before a reconnect, if the server said so.
 *
 * parser  the parser.
 *
 * Counts as soon as its line is read. A time that is over SSE_RETRY_MAX_MS (format.h) is taken as
 * that; one that is not made of ASCII digits alone is ignored.
 *
 * Threads:   one at a time for the parser.
 * Callbacks: none.
 * Returns:   milliseconds, from 0; -1 if the server has not said.
 */
SSE_API int32_t sse_parser_retry_ms(const sse_parser *parser);

#ifdef __cplusplus
}
#endif
#endif
