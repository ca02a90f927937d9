/* SPDX-License-Identifier: MIT */
/* request.h: HTTP/1.1 requests for the hosts that have only a socket and a buffer. */
#ifndef REQUEST_H
#define REQUEST_H

#include <stddef.h>

#include "app.h"

/*
 * As much of HTTP as the two paths need; a program with a server of its own has a better one. The
 * host reads into a buffer of REQUEST_MAX bytes, asks after each read whether a request is whole,
 * and bounds the time that this may take.
 */

#define REQUEST_HEAD_MAX 8192
#define REQUEST_MAX      (REQUEST_HEAD_MAX + APP_BODY_MAX)
#define REQUEST_TIME_MS  10000 /* how long a host waits for a whole request */
#define ANSWER_MAX       256   /* longest answer that is not a stream */

/* Strings are in the host's buffer and live as long as its bytes. */
struct request {
  const char *method;                 /* in upper case, if it is one that is known */
  const char *path;                   /* without the query; not decoded; NULL: not yet read */
  const char *query;                  /* NULL: none */
  char last_id[SSE_ID_BYTES_MAX + 1]; /* "": none */
  const char *body;
  size_t body_len;
  size_t size;    /* bytes that the request takes up in the buffer; behind it is the next */
  int keep_alive; /* the connection may be used for another request */
};

/*
 * Reads a request from the front of a buffer. 1: it is whole, and NULs were written into its first
 * line; 0: more bytes are needed; else the HTTP status to refuse it with (400, 413, 431, 501), and
 * then close. A buffer of REQUEST_MAX bytes is never full with the answer 0.
 *
 * It is strict where a proxy in front could understand a request differently, and take the rest of
 * one for another: a line that does not end in CRLF, a second Content-Length or Host, white space
 * before a colon, a line that goes on in the next one.
 */
int request_read(struct request *request, char *bytes, size_t len);

/*
 * What becomes of a request: 0: open a stream for it, with these channels; else it is dealt with,
 * and this is the HTTP status to answer.
 */
int request_handle(struct app *app, const struct request *request, struct app_channels *channels);

/* Writes a whole answer without a body; its length. With 400 and above the host closes. path: of
 * the request; NULL: not known. */
size_t request_answer(char answer[ANSWER_MAX], int status, const char *path, int keep_alive);

/* Writes the answer to a client whose stream is refused; its length. Then the host closes. */
size_t request_refuse(char answer[ANSWER_MAX], sse_hub *hub, int error);

#endif
