/* SPDX-License-Identifier: MIT */
/* poll.c: long polls, for clients behind proxies that buffer. */
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "subscription.h"

enum {
  WAIT_MS = 25000,
  WAIT_MS_MAX = 300000,
  BODY_BYTES_MAX = 1024 * 1024
};

/*
 * A poll is a stream that ends with its first events, so its ids, gaps and positions are those of a
 * stream. The id to go on with is the last one in the body; as a header it is also there for clients
 * that do not look at positions.
 */

/* ---- JSON ---- */

static void add_event(struct text *text, const sse_parsed *event) {
  if (text->len > 1) text_add(text, ",\n");
  text_add(text, "{\"id\":");
  text_add_json(text, event->id, event->id_len);
  text_add(text, ",\"event\":");
  text_add_json(text, event->type, event->type_len);
  text_add(text, ",\"data\":");
  text_add_json(text, event->data, event->data_len);
  text_add(text, "}");
}

/* The blocks as a JSON array, positions and gaps included. */
static int encode_json(const char *blocks, size_t len, char **body, size_t *body_len) {
  struct text text = {.len = 0};
  sse_parser *parser;
  sse_parsed event;
  int got;
  const sse_parser_config config = {.line_bytes_max = SIZE_MAX / 4, .data_bytes_max = SIZE_MAX / 4};
  if (sse_parser_new(&parser, &config) != 0) return -1;
  text_add(&text, "[");
  while ((got = sse_parser_next(parser, &blocks, &len, &event)) == 1) add_event(&text, &event);
  text_add(&text, "]\n");
  sse_parser_free(parser);
  if (got == 0 && !text.failed) {
    *body = text.bytes;
    *body_len = text.len;
    return 0;
  }
  text_free(&text);
  return -1;
}

/* ---- The request ---- */

/* Seconds, with a fraction if need be: 0 or -1. */
static int read_timeout(const char *value, int *wait_ms) {
  char *end;
  double seconds = value ? strtod(value, &end) : WAIT_MS / 1e3;
  if (value && (end == value || *end != '\0' || strspn(value, "0123456789.") != strlen(value)))
    return -1;
  if (seconds * 1e3 > WAIT_MS_MAX) seconds = WAIT_MS_MAX / 1e3;
  *wait_ms = (int)(seconds * 1e3);
  return 0;
}

/* A script can wait and come again, so it is told by a status; only an end is no error. */
static void refuse(struct httpd_conn *conn, const struct answer *answer, int error) {
  const char *headers[ANSWER_HEADERS_MAX];
  switch (sse_http_refusal(error)) {
  case SSE_HTTP_STOP:
    answer_headers(answer, headers, NULL);
    httpd_reply(conn, &(struct httpd_response){.status = 204, .headers = headers});
    break;
  case SSE_HTTP_BUSY:
    answer_line(conn, answer, 503, sse_error_text(error));
    break;
  default:
    answer_line(conn, answer, 400, sse_error_text(error));
  }
}

void poll_events(struct httpd_conn *conn, const struct request *request, void *arg) {
  struct server *server = arg;
  struct subscription subscription;
  struct params params;
  struct answer answer;
  const char *headers[ANSWER_HEADERS_MAX];
  answer_init(&answer, server, request);
  answer_headers(&answer, headers, "X-Content-Type-Options: nosniff");
  struct httpd_collect how = {.headers = headers + 1, .bytes_max = BODY_BYTES_MAX};
  const char *accept = request_header(request, "Accept");
  if (accept && strstr(accept, "application/json") && !strstr(accept, "text/event-stream")) {
    how.type = "application/json";
    how.encode = encode_json;
  }
  if (subscription_begin(&subscription, &params, conn, request, server) == 0) {
    if (read_timeout(params_get(&params, "timeout"), &how.wait_ms) != 0) {
      answer_line(conn, &answer, 400, "timeout is a number of seconds");
    } else {
      if (subscription.life_ms && how.wait_ms > subscription.life_ms)
        how.wait_ms = subscription.life_ms;
      int error = httpd_collect(conn, request, &subscription.config, &how);
      if (error) refuse(conn, &answer, error);
    }
  }
  params_free(&params);
}
