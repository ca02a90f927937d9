/* SPDX-License-Identifier: MIT */
/* format.h: one event to the bytes of text/event-stream (HTML standard, section 9.2). */
#ifndef SSE_FORMAT_H
#define SSE_FORMAT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SSE_ID_MAX_BYTES 128        /* longest event id that is accepted */
#define SSE_RETRY_MAX_MS 2147483647 /* longest retry */
#define SSE_RETRY_ZERO   (-1)       /* in retry_ms: say "retry: 0"; 0 itself says nothing */

/* For sse_event.flags. */
#define SSE_ANY_BYTES 0x1u  /* do not check that type, data, id and comment are UTF-8 */
#define SSE_REFUSE_CR 0x2u  /* refuse CR in data (SSE_ECR): a client gives LF in its place */
#define SSE_RESET_ID  0x4u  /* write an empty "id:", which clears the client's last id */
#define SSE_EPHEMERAL 0x8u  /* for a hub: not retained, and without an id */
#define SSE_TOMBSTONE 0x10u /* for a hub: deletes its key */

#define SSE_KEY_MAX_BYTES 255 /* longest key that is accepted */

/*
 * One event. Zero is the default of every member, so `sse_event e = {.text = "hello"};` is whole.
 * All pointers are borrowed for the duration of the call.
 */
typedef struct sse_event {
  const char *type;    /* event type; NULL or "": none, which a client calls "message" */
  const char *text;    /* payload as a C string, or NULL */
  const void *data;    /* payload as bytes, or NULL; not both text and data */
  size_t data_len;     /* bytes in data; 0 with data not NULL is an empty payload */
  const char *id;      /* event id, or NULL: no id line */
  const char *comment; /* comment, written first, one colon per line; or NULL */
  int32_t retry_ms;    /* reconnection time; 0: none, SSE_RETRY_ZERO: 0 ms */
  unsigned flags;    /* SSE_ANY_BYTES, SSE_REFUSE_CR, SSE_RESET_ID, SSE_EPHEMERAL, SSE_TOMBSTONE */
  const char *key;   /* for a hub: on a conflated channel it supersedes what has the same key */
  uint64_t label;    /* for a hub: the host's own, seen by filters and never sent */
  void *reserved[3]; /* must be NULL */
} sse_event;

/**
 * Writes one event in wire format.
 *
 * buf  where the bytes go; may be NULL if cap is 0.
 * cap  size of buf in bytes.
 * ev   the event; borrowed.
 *
 * The block is: comment, retry, type, one `data:` line for each line of the payload, id, blank
 * line. There is no terminating NUL. CR, LF and CRLF each end a line of the payload (HTML
 * standard 9.2.6, "any"), so a payload that ends in a newline gives one more, empty `data:` line
 * and arrives whole. An event needs a payload (an empty one will do), unless it carries an id, a
 * retry or a comment alone; such a block is not dispatched by a client. If more than cap bytes are
 * needed, what stands in buf is not an event; nothing is written beyond cap. Allocates nothing and
 * takes no lock.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   the number of bytes that the event needs, as snprintf does; or SSE_EINVAL (ev is NULL,
 *            text and data are both given, data is NULL and data_len is not 0, a flag or a reserved
 *            member is unknown, SSE_RESET_ID or SSE_EPHEMERAL comes with an id, SSE_EPHEMERAL with
 * a key, SSE_TOMBSTONE without one, buf is NULL and cap is not 0), SSE_ENODATA (no payload, and
 * nothing that may go alone), SSE_ELINE (CR or LF in type or id), SSE_EID (id empty, over
 * SSE_ID_MAX_BYTES, or with a space or tab at an end), SSE_EUTF8 (type, payload, id or comment is
 * not UTF-8, and SSE_ANY_BYTES is not given), SSE_ECR (CR in the payload, and SSE_REFUSE_CR is
 * given), SSE_ERANGE (retry_ms below SSE_RETRY_ZERO), SSE_ETOOBIG (over SSIZE_MAX bytes).
 */
SSE_API ssize_t sse_format(char *buf, size_t cap, const sse_event *ev);

#ifdef __cplusplus
}
#endif
#endif
