/* SPDX-License-Identifier: MIT */
/* format.h: encodes one event as text/event-stream (HTML standard, section 9.2). */
#ifndef SSE_FORMAT_H
#define SSE_FORMAT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SSE_ID_BYTES_MAX  128        /* longest event id, bytes */
#define SSE_KEY_BYTES_MAX 255        /* longest key, bytes */
#define SSE_RETRY_MS_MAX  2147483647 /* longest reconnection time, ms */
#define SSE_RETRY_ZERO    (-2)       /* in sse_event.retry_ms: send "retry: 0" */

/* Flags for sse_event.flags. */
#define SSE_ANY_BYTES 0x1u  /* do not check that type, payload, id and comment are UTF-8 */
#define SSE_REFUSE_CR 0x2u  /* refuse a CR in the payload (SSE_ECR); clients receive it as LF */
#define SSE_RESET_ID  0x4u  /* write an empty "id:" line, which clears the client's last id */
#define SSE_EPHEMERAL 0x8u  /* in a hub: no id, not retained, and missing it is not a loss */
#define SSE_TOMBSTONE 0x10u /* in a hub: the event deletes its key */

/*
 * One event. A member that is 0 or NULL is absent, so `sse_event e = {.text = "hello"};` is
 * complete. All pointers are borrowed for the duration of the call.
 */
typedef struct sse_event {
  const char *type;    /* event type; NULL or "": none, and clients use "message"; not "error" or
                          "open", which are events of EventSource itself */
  const char *text;    /* payload as a C string; NULL: none, or data holds it */
  const void *data;    /* payload as bytes; NULL: none; text and data exclude each other */
  size_t data_len;     /* length of data in bytes; 0 with a data pointer: an empty payload */
  const char *id;      /* event id, best in ASCII; NULL: no id line, and in a hub the hub's own */
  const char *comment; /* comment, written first, one line per line of text; NULL: none */
  int32_t retry_ms;    /* reconnection time in ms; 0: no retry line; SSE_RETRY_ZERO: 0 ms */
  unsigned flags;      /* SSE_ANY_BYTES and the other flags above, combined with | */
  const char *key;     /* in a hub: on a conflated channel, the event replaces those of its key */
  uint64_t label;      /* in a hub: a number of the host's that filters see; never sent */
  uint64_t number;     /* in a hub with SSE_NUMBERS_GIVEN: the event's number in the log, above all
                          earlier ones; 0 for an ephemeral event, and in other hubs */
  void *reserved[2];   /* must be NULL */
} sse_event;

/**
 * Writes one event in wire format.
 *
 * buf  the destination; may be NULL if cap is 0.
 * cap  size of buf in bytes.
 * ev   the event; borrowed.
 *
 * The block consists of comment, retry, type, one `data:` line for each line of the payload, id,
 * and a blank line. There is no terminating NUL. CR, LF and CRLF each end a line of the payload
 * (HTML standard 9.2.6, "any"), so a payload that ends in a newline is followed by one empty
 * `data:` line, and arrives complete. An event needs a payload, which may be empty, unless it has
 * an id, a retry or a comment; clients do not dispatch a block without a payload. If more than cap
 * bytes are needed, buf does not hold an event; nothing is written beyond cap. The function
 * allocates nothing and takes no lock.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   the number of bytes that the event needs, as snprintf does; or
 *            SSE_EINVAL   ev is NULL; both text and data are given; data is NULL and data_len is
 *                         not 0; a flag is unknown; a reserved member is not NULL; SSE_RESET_ID or
 *                         SSE_EPHEMERAL is combined with an id, or SSE_EPHEMERAL with a key;
 *                         SSE_TOMBSTONE has no key; buf is NULL and cap is not 0
 *            SSE_ENODATA  there is neither a payload nor anything that may stand without one
 *            SSE_ELINE    type or id contains CR or LF
 *            SSE_EID      the id is empty or longer than SSE_ID_BYTES_MAX, begins or ends with a
 *                         space or tab, or contains another control character than tab
 *            SSE_EUTF8    type, payload, id or comment is not UTF-8, without SSE_ANY_BYTES
 *            SSE_ECR      the payload contains CR, with SSE_REFUSE_CR
 *            SSE_ERANGE   retry_ms is negative and not SSE_RETRY_ZERO (SSE_NEVER, for example)
 *            SSE_ETOOBIG  the event needs more than SSIZE_MAX bytes
 */
SSE_API ssize_t sse_format(char *buf, size_t cap, const sse_event *ev);

#ifdef __cplusplus
}
#endif
#endif
