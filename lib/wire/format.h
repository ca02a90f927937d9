/* SPDX-License-Identifier: MIT */
/* format.h: the formatter in pieces, for a hub that knows an event's id last. */
#ifndef SSE__FORMAT_H
#define SSE__FORMAT_H

#include <sse/format.h>

#define SSE__FORMAT_END_MAX (4 + SSE_ID_BYTES_MAX + 2) /* longest result of sse__format_end */

/*
 * Writes an event as sse_format does, with the same checks (those of the id among them), errors and
 * promise about cap, but stops before the id line: sse__format_end makes it whole.
 */
ssize_t sse__format_body(char *buf, size_t cap, const sse_event *ev);

/*
 * Writes what closes an event: the id line and the blank line. The id is not checked; with id_len 0
 * the id line is the empty one that resets the client's, and with id NULL there is none. Returns
 * the number of bytes needed, as sse_format does; it is at most SSE__FORMAT_END_MAX for an id that
 * sse__format_check_id accepts.
 */
size_t sse__format_end(char *buf, size_t cap, const char *id, size_t id_len);

/* Tells whether every client gets this event type back: 0, SSE_EINVAL (NULL or ""), SSE_ELINE,
 * SSE_EUTF8. */
int sse__format_check_type(const char *type);

/* Tells whether every client gives this event id back: 0, SSE_EINVAL (NULL), SSE_EID, SSE_ELINE,
 * SSE_EUTF8. */
int sse__format_check_id(const char *id);

#endif
