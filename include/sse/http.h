/* SPDX-License-Identifier: MIT */
/* http.h: the response heads of an event stream, CORS, and the request's Last-Event-ID. */
#ifndef SSE_HTTP_H
#define SSE_HTTP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a response head says beyond the fixed headers. Zero is the default of every member. */
typedef struct sse_http_head {
  const char *origin;               /* the request's Origin; NULL or "": none was sent */
  const char *const *allow_origins; /* exact origins that may read the stream, a list ended by NULL;
                                       the entry "*" alone admits any, without credentials; NULL:
                                       same origin only, no CORS header */
  int allow_credentials;      /* say Access-Control-Allow-Credentials: true to a listed origin */
  int chunked;                /* say Transfer-Encoding: chunked; the host does the chunking. 0: the
                                 body ends with the connection, Connection: close */
  const char *const *headers; /* more headers, "Name: value", a list ended by NULL; NULL: none */
  void *reserved[4];          /* must be NULL */
} sse_http_head;

/**
 * Writes the head of an HTTP/1.1 response that is an event stream: status 200, Content-Type:
 * text/event-stream, Cache-Control: no-store, X-Accel-Buffering: no, and what head adds.
 *
 * buf   where the bytes go; may be NULL if cap is 0.
 * cap   size of buf in bytes.
 * head  borrowed; NULL: all defaults.
 *
 * With an allow-list the head has Vary: Origin whether or not this origin is on it (Fetch standard,
 * section 3.2.5, CORS protocol and HTTP caches). There is no terminating NUL; if more than cap
 * bytes are needed, what stands in buf is not a head.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   the number of bytes that the head needs, as snprintf does; SSE_EINVAL; SSE_EHEADER (an
 *            added header or the origin has CR, LF or another control character, or is not of the
 * form name: value, or names a header that this call writes itself); SSE_ETOOBIG.
 */
SSE_API ssize_t sse_http_stream_head(char *buf, size_t cap, const sse_http_head *head);

/**
 * Writes a whole response for "come back later": an event stream that says retry and ends.
 *
 * buf, cap  as there.
 * head      as there; chunked is refused: the response has a Content-Length.
 * retry_ms  when the client shall come back, 0 to 2,147,483,647. Give each client another, or they
 * come all at once.
 *
 * A browser stops for good on any status but 200 (HTML standard 9.2.3), so a 503 would end the
 * subscription; this does not.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   as sse_http_stream_head; SSE_ERANGE for the retry.
 */
SSE_API ssize_t sse_http_busy(char *buf, size_t cap, const sse_http_head *head, int32_t retry_ms);

/**
 * Writes a whole response for "never again": 204, on which a browser stops reconnecting (HTML
 * standard 9.2.3).
 *
 * buf, cap, head  as in sse_http_busy.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   as sse_http_stream_head.
 */
SSE_API ssize_t sse_http_stop(char *buf, size_t cap, const sse_http_head *head);

/**
 * Finds a header in the raw bytes of a request: Last-Event-ID and Origin, for hosts that have no
 * parser of their own.
 *
 * request  the request from its first line; need not be complete.
 * len      its bytes.
 * name     the header's name, any case; not NULL.
 * value    where the value goes, without white space around it and ended by NUL.
 * cap      size of value, at least 1.
 *
 * The search ends at the blank line. Of several headers of the name it gives the first.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   the length of the value; SSE_ENOTFOUND, and then value is ""; SSE_EHEADER (a NUL in
 * it, or a folded line), SSE_ETOOBIG (it needs more than cap - 1 bytes), SSE_EINVAL; value is
 *            "" then, too.
 */
SSE_API ssize_t sse_http_header(const char *request, size_t len, const char *name, char *value,
                                size_t cap);

#ifdef __cplusplus
}
#endif
#endif
