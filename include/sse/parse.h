/* SPDX-License-Identifier: MIT */
/* parse.h: decodes text/event-stream to events: the client's half. */
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
 * the network divides it. It keeps what a reconnect needs: the last event id and the reconnection
 * time. It passes bytes that are not UTF-8 through unchanged; a caller that wants U+FFFD in their
 * place, as a browser shows, replaces them itself.
 */
typedef struct sse_parser sse_parser;

/*
 * Receives a comment line: the bytes behind its colon and one space, without a NUL behind them. A
 * heartbeat is a comment of length 0. It runs inside sse_parser_next and must not call the parser.
 */
typedef void sse_comment_fn(void *arg, const char *text, size_t len);

/* The configuration of a parser. A member that is 0 or NULL takes the default in its comment. */
typedef struct sse_parser_config {
  size_t line_bytes_max;   /* longest line in bytes, without its end; default 1 MiB */
  size_t data_bytes_max;   /* longest data of an event in bytes; default 1 MiB */
  size_t id_bytes_max;     /* longest id that is sent back, in bytes; default 4,096 */
  const char *last_id;     /* the last event id at the start, from an earlier run; default "" */
  sse_comment_fn *comment; /* called for each comment; NULL: comments are skipped */
  void *comment_arg;       /* passed to comment */
  sse_alloc_fn *alloc;     /* the allocator; default realloc and free */
  void *alloc_arg;         /* passed to alloc */
  void *reserved[4];       /* must be NULL */
} sse_parser_config;

/*
 * One event. The strings belong to the parser, end with NUL, and are valid until the next call of
 * sse_parser_next, sse_parser_reset or sse_parser_free.
 */
typedef struct sse_parsed {
  const char *type; /* event type; "message" if the stream has none */
  const char *data; /* the data lines joined by LF; may contain NUL */
  const char *id;   /* the last event id as of this event, its own or an earlier one; "": none */
  size_t type_len;  /* length of type in bytes */
  size_t data_len;  /* length of data in bytes */
  size_t id_len;    /* length of id in bytes */
} sse_parsed;

/**
 * Creates a parser for one stream and its reconnects.
 *
 * parser  receives the pointer; unchanged on failure.
 * config  borrowed for the call, last_id is copied; NULL: all defaults.
 *
 * Threads:   any.
 * Callbacks: the configured alloc.
 * Returns:   0; SSE_EINVAL (parser is NULL, a reserved member is not NULL, a limit is above a
 *            quarter of SIZE_MAX, last_id cannot be sent back: see sse_parser_last_id), SSE_ENOMEM.
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
 * Reads until the next event is complete or the bytes are used up.
 *
 * parser  the parser.
 * bytes   points to the next bytes of the stream; advanced past those that were read.
 * len     how many bytes there are; reduced by those that were read.
 * event   receives the event if the result is 1; otherwise unchanged.
 *
 * Call it in a loop until it returns 0, then receive more bytes. The events are the same however
 * the stream is divided into calls. A block without data yields no event, but an id in it becomes
 * the last event id. Between calls the parser keeps the unfinished line and the event so far, in
 * buffers that grow up to the limits and are reused; it allocates nothing else.
 *
 * A line or an event that exceeds its limit ends the stream, because leaving it out silently would
 * be a loss that nobody notices, and what cannot be stored cannot be delivered later. The result is
 * then SSE_ETOOBIG at every call until sse_parser_reset. The last event id is still that of the
 * event before, so a reconnect may bring the same event again. A line that is not kept may have any
 * length: a field that the standard does not name, and without a comment callback a comment.
 *
 * Threads:   one at a time for the parser.
 * Callbacks: alloc, comment.
 * Returns:   1: there is an event, and bytes may be left; 0: all bytes are read, and no event is
 *            complete; SSE_ENOMEM: bytes and len say what is left, and the same call may succeed
 *            later; SSE_ETOOBIG; SSE_EINVAL (a pointer is NULL).
 */
SSE_API int sse_parser_next(sse_parser *parser, const char **bytes, size_t *len, sse_parsed *event);

/**
 * Returns the event that the end of the stream cut off, and discards it.
 *
 * parser  the parser.
 * event   receives the event if the result is 1; otherwise unchanged.
 *
 * Call it when the stream has ended, before sse_parser_reset. The HTML standard discards an event
 * that lacks its blank line (9.2.6); some servers never send the last one. The event consists of
 * the lines that arrived whole; of a data line that was cut it has the part that arrived, so the
 * data may be incomplete, and it may be empty. Its id does not become the last event id. The
 * strings are valid until the next call of sse_parser_next, sse_parser_unfinished,
 * sse_parser_reset or sse_parser_free.
 *
 * Threads:   one at a time for the parser.
 * Callbacks: alloc.
 * Returns:   1: an event was begun and not completed; 0: the stream ended between two events;
 *            SSE_ENOMEM: the same call may succeed later; SSE_ETOOBIG: the stream was ended by that
 *            error, or the data exceeds its limit; SSE_EINVAL (a pointer is NULL).
 */
SSE_API int sse_parser_unfinished(sse_parser *parser, sse_parsed *event);

/**
 * Prepares the parser for a new connection. Call it when a stream has ended, whatever the reason.
 *
 * parser  the parser; NULL is ignored.
 *
 * It discards an event that lacks its blank line (HTML standard 9.2.6), and an error. The last
 * event id and the reconnection time stay. Events of the new connection that have no id carry that
 * last id, as in browsers. A byte order mark at the start of the new connection is skipped again.
 *
 * Threads:   one at a time for the parser.
 * Callbacks: none.
 */
SSE_API void sse_parser_reset(sse_parser *parser);

/**
 * Returns the last event id, for the Last-Event-ID header of a reconnect.
 *
 * parser  the parser.
 *
 * An id becomes the last one only with the blank line of its block. If there was no id, or an event
 * reset it, the result is "" and the header is left out.
 *
 * An id that a header cannot carry is passed over: one with a control character other than tab,
 * with a space or tab at an end (RFC 9110, 5.5), or longer than id_bytes_max. Servers answer such a
 * header with 400 or 431. The events show the id, as the HTML standard says, and this call still
 * returns the last one that can be sent, so a reconnect may bring events again but skips none.
 * sse_parser_last_id_error reports it. Bytes from 0x80 on may be sent as they are.
 *
 * Threads:   one at a time for the parser.
 * Callbacks: none.
 * Returns:   the id, "" if there is none or parser is NULL; valid until the next sse_parser_next or
 *            sse_parser_free.
 */
SSE_API const char *sse_parser_last_id(const sse_parser *parser);

/**
 * Returns whether sse_parser_last_id is the last id of the stream.
 *
 * parser  the parser.
 *
 * Threads:   one at a time for the parser.
 * Callbacks: none.
 * Returns:   0: it is; SSE_EID: a header cannot carry the stream's last id; SSE_ETOOBIG: that id is
 *            longer than id_bytes_max; SSE_EINVAL: parser is NULL.
 */
SSE_API int sse_parser_last_id_error(const sse_parser *parser);

/**
 * Returns how long to wait before a reconnect, if the server said so.
 *
 * parser  the parser.
 *
 * A time counts as soon as its line is read. One above SSE_RETRY_MS_MAX (format.h) counts as that
 * value; one that has anything but ASCII digits is ignored.
 *
 * Threads:   one at a time for the parser.
 * Callbacks: none.
 * Returns:   ms, 0 or more; -1 if the server has not said so, or parser is NULL.
 */
SSE_API int32_t sse_parser_retry_ms(const sse_parser *parser);

#ifdef __cplusplus
}
#endif
#endif
