/* SPDX-License-Identifier: MIT */
/* answer.h: answers with the headers that pages of other origins need. */
#ifndef BROADCAST_ANSWER_H
#define BROADCAST_ANSWER_H

#include "server.h"
#include "text.h"

#define ANSWER_HEADERS_MAX 8

/* The headers of an answer, for this request. It is kept for an answer that is given later. */
struct answer {
  int has_origin, is_any;
  char allow[64 + ORIGIN_BYTES_MAX];
};

/* Looks at the request. */
void answer_init(struct answer *answer, struct server *server, const struct request *request);

/* Writes the list of headers for httpd_response; `more` is one of them or NULL. */
void answer_headers(const struct answer *answer, const char *headers[ANSWER_HEADERS_MAX],
                    const char *more);

/* A status with one line of text; it names what is wrong. 401 and 503 get their headers. */
void answer_line(struct httpd_conn *conn, const struct answer *answer, int status,
                 const char *line);
void answer_line_later(struct httpd_later *later, const struct answer *answer, int status,
                       const char *line);

/* The same with the header that the refusal needs; NULL: none. */
void answer_refusal(struct httpd_conn *conn, const struct answer *answer, int status,
                    const char *line, const char *header);

/* JSON, and frees the text. */
void answer_json(struct httpd_conn *conn, const struct answer *answer, struct text *text);
void answer_json_later(struct httpd_later *later, const struct answer *answer, int status,
                       struct text *text);

#endif
