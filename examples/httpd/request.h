/* SPDX-License-Identifier: MIT */
/* request.h: HTTP/1.1 requests from bytes, however they are cut; no I/O. */
#ifndef HTTPD_REQUEST_H
#define HTTPD_REQUEST_H

#include <stddef.h>

#define REQUEST_LINE_MAX    4096 /* request line, bytes without its CRLF; more is answered 414 */
#define REQUEST_HEAD_MAX    8192 /* request line and headers together; 431 */
#define REQUEST_HEADERS_MAX 64   /* header lines; 431 */
#define REQUEST_PARAMS_MAX  32   /* parameters in the query; 414 */

/* What request_filled and request_next return, besides an HTTP status of 400 and above. */
enum {
  REQUEST_MORE = 0, /* not whole yet */
  REQUEST_READY = 1 /* whole: the first members of struct request hold */
};

struct request_field {
  const char *name, *value;
};

/*
 * One request at a time, with the bytes that came behind it. All strings end in NUL, and contain
 * none: a request with a NUL in its head, escaped or not, is a bad request. They are valid until
 * request_next or request_clear.
 */
struct request {
  const char *method;
  const char *host;                                /* host or host:port; NULL: HTTP/1.0 without */
  const char *path;                                /* without the query, percent-decoded */
  struct request_field params[REQUEST_PARAMS_MAX]; /* the query, decoded as an HTML form is */
  size_t params_count;
  struct request_field headers[REQUEST_HEADERS_MAX];
  size_t headers_count;
  const char *body; /* may contain NUL, and one follows it */
  size_t body_len;
  int keep_alive; /* the client wants to go on with this connection */

  /* The parser's own. */
  int phase, minor_version, blank_skipped, continue_due;
  size_t body_max, body_have;
  size_t line_at, scan_at, filled; /* in buf: start of the line, end of what was searched, bytes */
  char *body_buf;
  char buf[REQUEST_HEAD_MAX];
};

/* Starts empty. A body of more than body_max bytes will be answered 413. */
void request_init(struct request *request, size_t body_max);

/* Frees what the request owns; it may be initialised again. */
void request_clear(struct request *request);

/* Tells where the next bytes go, and how many at most: never 0 while the request is not whole. */
size_t request_space(struct request *request, char **at);

/*
 * Says that so many bytes were put there. REQUEST_MORE; REQUEST_READY; or the status with which to
 * refuse the request, after which the connection is of no more use, since nobody knows where the
 * next request would begin:
 *
 *   400  not HTTP            413  body too long          414  request line too long
 *   417  an expectation      431  head too long          501  a transfer coding
 *   503  no memory           505  not HTTP/1
 *
 * What it returns depends on the bytes only, not on how they were cut.
 */
int request_filled(struct request *request, size_t len);

/* Drops a request that was whole, and goes on with the bytes behind it; returns as above. */
int request_next(struct request *request);

/* True if nothing of the next request has come. */
int request_is_empty(const struct request *request);

/* True if bytes of the next request have come behind one that is whole. */
int request_has_more(const struct request *request);

/* True once, if the client waits for "100 Continue" before it sends the body. */
int request_wants_continue(struct request *request);

/* The first header or parameter of that name, or NULL. Names of headers ignore case. */
const char *request_header(const struct request *request, const char *name);
const char *request_param(const struct request *request, const char *name);

#endif
