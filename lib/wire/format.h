/* SPDX-License-Identifier: MIT */
/* format.h: sse_format in two parts, for a hub that learns the id of an event last. */
#ifndef SSE_LIB_FORMAT_H
#define SSE_LIB_FORMAT_H

#include <stdbool.h>

#include <sse/format.h>

#define SSE__FORMAT_END_MAX (4 + SSE_ID_BYTES_MAX + 2) /* longest result of sse__format_end */

/*
 * Writes an event without its id line and the blank line, which sse__format_end adds. Checks,
 * errors and the meaning of cap are those of sse_format; the id is checked here, too.
 */
ssize_t sse__format_body(char *buf, size_t cap, const sse_event *ev);

/*
 * Writes the end of an event: the id line and the blank line. The id is not checked. With id_len 0
 * the id line is empty, which resets the client's last id; with id NULL there is no id line.
 * Returns the number of bytes needed, as sse_format does: at most SSE__FORMAT_END_MAX for an id
 * that sse__format_check_id accepts.
 */
size_t sse__format_end(char *buf, size_t cap, const char *id, size_t id_len);

/* Whether every client reads this event type unchanged: 0, SSE_EINVAL for NULL or "", SSE_ELINE or
 * SSE_EUTF8. */
int sse__format_check_type(const char *type);

/* Whether every client sends this event id back unchanged: 0, SSE_EINVAL for NULL, SSE_EID,
 * SSE_ELINE or SSE_EUTF8. */
int sse__format_check_id(const char *id);

/*
 * Whether an id can be the value of a header (RFC 9110, 5.5): it has no control character except
 * tab, and no space or tab at an end, where it is not part of the value. "" can, by no header.
 */
bool sse__format_fits_header(const char *id, size_t len);

#endif
