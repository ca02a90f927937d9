/* SPDX-License-Identifier: MIT */
/* answer.c: answers with the headers that pages of other origins need. */
#include "answer.h"

#include <stdio.h>
#include <string.h>

static const char json_type[] = "application/json";

enum {
  LINE_MAX_BYTES = 512
};

void answer_init(struct answer *answer, struct server *server, const struct request *request) {
  char allow[ORIGIN_BYTES_MAX + 1];
  *answer = (struct answer){.has_origin = 0};
  const char *origin = request_header(request, "Origin");
  if (!access_allows(server->access, origin, allow, &answer->is_any)) return;
  answer->has_origin = 1;
  snprintf(answer->allow, sizeof answer->allow, "Access-Control-Allow-Origin: %s", allow);
}

void answer_headers(const struct answer *answer, const char *headers[ANSWER_HEADERS_MAX],
                    const char *more) {
  int count = 0;
  headers[count++] = "Cache-Control: no-store";
  if (!answer->is_any) headers[count++] = "Vary: Origin";
  if (answer->has_origin) {
    headers[count++] = answer->allow;
    headers[count++] = "Access-Control-Expose-Headers: Last-Event-ID, Retry-After";
    if (!answer->is_any) headers[count++] = "Access-Control-Allow-Credentials: true";
  }
  if (more) headers[count++] = more;
  headers[count] = NULL;
}

/* What a status asks for. */
static const char *header_of(int status) {
  if (status == 401) return "WWW-Authenticate: Bearer";
  return status == 503 ? "Retry-After: 1" : NULL;
}

static struct httpd_response line_of(const struct answer *answer, int status, const char *line,
                                     const char *header, const char *headers[ANSWER_HEADERS_MAX],
                                     char room[LINE_MAX_BYTES]) {
  answer_headers(answer, headers, header);
  snprintf(room, LINE_MAX_BYTES, "%s\n", line);
  return (struct httpd_response){.status = status, .text = room, .headers = headers};
}

void answer_refusal(struct httpd_conn *conn, const struct answer *answer, int status,
                    const char *line, const char *header) {
  const char *headers[ANSWER_HEADERS_MAX];
  char room[LINE_MAX_BYTES];
  struct httpd_response response = line_of(answer, status, line, header, headers, room);
  httpd_reply(conn, &response);
}

void answer_line(struct httpd_conn *conn, const struct answer *answer, int status,
                 const char *line) {
  answer_refusal(conn, answer, status, line, header_of(status));
}

void answer_line_later(struct httpd_later *later, const struct answer *answer, int status,
                       const char *line) {
  const char *headers[ANSWER_HEADERS_MAX];
  char room[LINE_MAX_BYTES];
  struct httpd_response response = line_of(answer, status, line, header_of(status), headers, room);
  httpd_give(later, &response);
}

static struct httpd_response json_of(const struct answer *answer, int status,
                                     const struct text *text,
                                     const char *headers[ANSWER_HEADERS_MAX]) {
  if (text->failed) status = 503;
  answer_headers(answer, headers, header_of(status));
  if (text->failed) return (struct httpd_response){.status = 503, .headers = headers};
  return (struct httpd_response){.status = status,
                                 .type = json_type,
                                 .body = text->bytes,
                                 .len = text->len,
                                 .headers = headers};
}

void answer_json(struct httpd_conn *conn, const struct answer *answer, struct text *text) {
  const char *headers[ANSWER_HEADERS_MAX];
  struct httpd_response response = json_of(answer, 200, text, headers);
  httpd_reply(conn, &response);
  text_free(text);
}

void answer_json_later(struct httpd_later *later, const struct answer *answer, int status,
                       struct text *text) {
  const char *headers[ANSWER_HEADERS_MAX];
  struct httpd_response response = json_of(answer, status, text, headers);
  httpd_give(later, &response);
  text_free(text);
}

/* Of any route: what a page may send is decided by the request itself. */
void answer_preflight(struct httpd_conn *conn, const struct request *request, void *arg) {
  struct answer answer;
  const char *headers[ANSWER_HEADERS_MAX + 3];
  static const char allow[] = "Allow: GET, HEAD, POST, QUERY, OPTIONS";
  answer_init(&answer, arg, request);
  answer_headers(&answer, headers, allow);
  int count = 0;
  while (headers[count]) count++;
  if (answer.has_origin) {
    headers[count++] = "Access-Control-Allow-Methods: GET, POST, QUERY";
    headers[count++] = "Access-Control-Allow-Headers: Authorization, Cache-Control, Content-Type, "
                       "Last-Event-ID, X-Requested-With";
    headers[count++] = "Access-Control-Max-Age: 86400";
    headers[count] = NULL;
  }
  httpd_reply(conn, &(struct httpd_response){.status = 204, .headers = headers});
}
