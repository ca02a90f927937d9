/* SPDX-License-Identifier: MIT */
/* http.h: HTTP responses of an event stream, CORS, and the request's Last-Event-ID. */
#ifndef SSE_HTTP_H
#define SSE_HTTP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a response says beyond its fixed headers. Zero is the default of every member. */
typedef struct sse_http_head {
  /* The request's Origin; NULL or "": the request had none. */
  const char *origin;
  /* Origins whose pages may read the stream, exact, ended by NULL. The only entry "*" allows every
     origin, without credentials. NULL: same origin only, no CORS header. */
  const char *const *allow_origins;
  /* Value of Access-Control-Expose-Headers for an allowed origin: names of response headers that
     its pages may read. NULL or "": none. */
  const char *expose_headers;
  /* Value of Access-Control-Allow-Headers in sse_http_preflight: names of request headers that
     pages may send. NULL: "Cache-Control, Last-Event-ID"; "": none. */
  const char *allow_headers;
  /* Flag: say Access-Control-Allow-Credentials: true to a listed origin. 0: no; else: yes. */
  int allow_credentials;
  /* Flag: say Transfer-Encoding: chunked. A stream that is opened with this head then frames its
     bytes as chunks and closes the body with the last chunk on a gentle end. 0: no, the response
     says Connection: close, and the body ends with the connection; else: yes. */
  int chunked;
  /* Additional headers, each "Name: value" without a line end, ended by NULL. NULL: none. */
  const char *const *headers;
  void *reserved[4]; /* must be NULL */
} sse_http_head;

/**
 * Writes the head of an HTTP/1.1 response whose body is an event stream.
 *
 * buf   receives the bytes; may be NULL if cap is 0.
 * cap   size of buf in bytes.
 * head  borrowed for the call; NULL: all defaults.
 *
 * The head has the status 200, Content-Type: text/event-stream, Cache-Control: no-store,
 * no-transform (RFC 9111, 5.2.2.6: no proxy compresses the stream, in which events would wait),
 * X-Accel-Buffering: no, and what head adds. With an allow_origins list of exact origins it has
 * Vary: Origin whether or not this origin is on the list (Fetch standard, section 3.2.5, CORS
 * protocol and HTTP caches). No terminating NUL is written. If the head needs more than cap bytes,
 * the first cap bytes are written, and buf does not hold a head.
 *
 * A host that writes a chunked head itself and opens the stream without it must frame the body.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   the number of bytes that the head needs, as snprintf does;
 *            SSE_EINVAL: buf is NULL and cap is not 0; a reserved member is not NULL; "*" in
 *            allow_origins is not the only entry; "*" in allow_origins, expose_headers or
 *            allow_headers together with allow_credentials, which browsers refuse;
 *            SSE_EHEADER: an additional header is not of the form name: value, has CR, LF or
 *            another control character except tab, or has a name that these responses write
 *            themselves; expose_headers or allow_headers has such a character; origin has a
 *            control character;
 *            SSE_ETOOBIG: the head needs more than SSIZE_MAX bytes.
 */
SSE_API ssize_t sse_http_stream_head(char *buf, size_t cap, const sse_http_head *head);

/**
 * Writes a whole response that means "come back later": an event stream that sets the reconnection
 * time and ends.
 *
 * buf, cap  as in sse_http_stream_head.
 * head      as in sse_http_stream_head, but chunked must be 0: the response has a Content-Length.
 * retry_ms  time until the client reconnects, in ms, 0 to 2,147,483,647. Give each client a
 *           different time, or all return at once; sse_hub_retry_ms(hub) returns a spread one.
 *
 * A browser gives up on every status except 200 (HTML standard 9.2.3), so a 503 would end the
 * subscription; this response does not.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   as sse_http_stream_head; SSE_EINVAL: chunked is not 0, too;
 *            SSE_ERANGE: retry_ms is negative.
 */
SSE_API ssize_t sse_http_busy(char *buf, size_t cap, const sse_http_head *head, int32_t retry_ms);

/**
 * Writes a whole response that means "never again": status 204, after which a browser stops
 * reconnecting (HTML standard 9.2.3).
 *
 * buf, cap  as in sse_http_stream_head.
 * head      as in sse_http_stream_head, but chunked must be 0: the response has no body.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   as sse_http_stream_head; SSE_EINVAL: chunked is not 0, too.
 */
SSE_API ssize_t sse_http_stop(char *buf, size_t cap, const sse_http_head *head);

/**
 * Writes a whole answer to a CORS preflight, an OPTIONS request: status 204.
 *
 * buf, cap  as in sse_http_stream_head.
 * head      as in sse_http_stream_head, but chunked must be 0: the response has no body.
 *
 * EventSource sends no preflight. fetch() sends one before a request to another origin that has
 * headers such as Last-Event-ID or Authorization (Fetch standard, section 3.2, CORS protocol).
 *
 * An allowed origin receives Access-Control-Allow-Origin and Access-Control-Allow-Credentials as in
 * sse_http_stream_head, Access-Control-Allow-Methods: GET, Access-Control-Allow-Headers and
 * Access-Control-Max-Age: 86400, in seconds. Another origin receives none of them, and the browser
 * then does not send the request. With an allow_origins list the response has Vary:
 * Access-Control-Request-Method, Access-Control-Request-Headers, and Origin unless the list is "*".
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   as sse_http_stream_head; SSE_EINVAL: chunked is not 0, too.
 */
SSE_API ssize_t sse_http_preflight(char *buf, size_t cap, const sse_http_head *head);

/**
 * Writes the whole response that fits an error of sse_stream_open.
 *
 * buf, cap  as in sse_http_stream_head.
 * head      as in sse_http_stream_head, such as the head of the refused stream; chunked has no
 *           effect.
 * error     what sse_stream_open returned; less than 0.
 * retry_ms  as in sse_http_busy; used only if that is the response.
 *
 * The response is that of sse_http_busy where a later attempt may succeed, and that of
 * sse_http_stop if the channels are finished. Any other error means that the request cannot be
 * served, and the response has the status 400; if head is the cause, it has nothing of head.
 * sse_http_refusal has the table. A host that refuses a client before it opens a stream may pass
 * the error that is nearest: SSE_ENOMEM if it has no memory itself.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   as sse_http_stream_head; SSE_EINVAL: error is not less than 0, too;
 *            SSE_ERANGE: retry_ms is used and negative.
 */
SSE_API ssize_t sse_http_refuse(char *buf, size_t cap, const sse_http_head *head, int error,
                                int32_t retry_ms);

/* The responses above, for sse_http_headers. */
typedef enum sse_http_response {
  SSE_HTTP_STREAM,    /* as sse_http_stream_head */
  SSE_HTTP_BUSY,      /* as sse_http_busy; its body is "retry: N\n", N in ms */
  SSE_HTTP_STOP,      /* as sse_http_stop */
  SSE_HTTP_PREFLIGHT, /* as sse_http_preflight */
  SSE_HTTP_INVALID    /* status 400, without a body: as sse_http_refuse if no attempt can succeed */
} sse_http_response;

/**
 * Returns the response that fits an error of sse_stream_open, for sse_http_headers.
 *
 * error  what sse_stream_open returned.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   SSE_HTTP_BUSY: SSE_ENOMEM, SSE_EDRAINED, and the limits SSE_ECHANNELS, SSE_ESTREAMS,
 *            SSE_ECHANNELSTREAMS, SSE_ETAGSTREAMS;
 *            SSE_HTTP_STOP: SSE_EFINISHED;
 *            SSE_HTTP_INVALID: any other code, such as SSE_EINVAL, SSE_ENAME, SSE_EHEADER.
 */
SSE_API sse_http_response sse_http_refusal(int error);

/**
 * The host's function that receives one header of a response.
 *
 * arg    the arg of sse_http_headers.
 * name   such as "Content-Type"; ended by NUL, borrowed for the call.
 * value  such as "text/event-stream", without white space in front; ended by NUL, borrowed for the
 *        call.
 *
 * Returns:   0: continue; another value ends the enumeration.
 */
typedef int sse_http_header_fn(void *arg, const char *name, const char *value);

/**
 * Gives the headers of a response one by one, for hosts that set headers through an HTTP library.
 *
 * response  which response.
 * head      as in sse_http_stream_head; chunked has no effect.
 * add       called once for each header, in the order of the written response; not NULL.
 * arg       passed to add; may be NULL.
 *
 * The headers are those of the written response, CORS and the additional headers of head included,
 * without those that the HTTP library writes itself: Content-Length, Transfer-Encoding and
 * Connection. Every argument is checked before the first call of add.
 *
 * Threads:   any, at any time.
 * Callbacks: add, and it may call any function of this library.
 * Returns:   the status of the response: 200 for SSE_HTTP_STREAM and SSE_HTTP_BUSY, 204 for
 *            SSE_HTTP_STOP and SSE_HTTP_PREFLIGHT, 400 for SSE_HTTP_INVALID;
 *            SSE_EINVAL: response is not one of these, add is NULL, or head as there;
 *            SSE_EHEADER: as there;
 *            SSE_ETOOBIG: the name of an additional header is longer than 255 bytes;
 *            SSE_ECALLBACK: add returned a value other than 0, and was not called again.
 */
SSE_API int sse_http_headers(sse_http_response response, const sse_http_head *head,
                             sse_http_header_fn *add, void *arg);

/**
 * Finds a header, such as Last-Event-ID or Origin, in the raw bytes of a request, for hosts that
 * have no parser.
 *
 * request  the request from its first line on; need not be complete; may be NULL if len is 0.
 * len      number of bytes of the request.
 * name     name of the header, in any case; not NULL.
 * value    receives the value without white space around it, ended by NUL; not NULL.
 * cap      size of value in bytes, at least 1.
 *
 * The search ends at the blank line. A header counts only once its line has ended. If several
 * headers have this name, the first is returned. After a failure value is "", unless value is NULL
 * or cap is 0.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   the length of the value;
 *            SSE_ENOTFOUND: the request has no such header, or not yet;
 *            SSE_EHEADER: the value has NUL or CR, white space precedes the colon, or the value
 *            continues in the next line; such a request deserves a 400;
 *            SSE_ETOOBIG: the value is longer than cap - 1 bytes; a Last-Event-ID that is too long
 *            is none of this server's, so pass sse_stream_open any unknown id, such as "?", and
 *            the client is given a gap;
 *            SSE_EINVAL: a pointer is NULL, cap is 0, or name is not the name of a header.
 */
SSE_API ssize_t sse_http_header(const char *request, size_t len, const char *name, char *value,
                                size_t cap);

#ifdef __cplusplus
}
#endif
#endif
