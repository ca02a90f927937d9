/* SPDX-License-Identifier: MIT */
/* publish.c: POST /publish; a publish is acknowledged when the log has the event. */
#include "publish.h"

#include <stdlib.h>
#include <string.h>

/* A publish whose outcome is not known yet. */
struct publishing {
  struct httpd_later *later;
  struct answer answer;
  char id[SSE_ID_BYTES_MAX + 1]; /* the application's; "": the engine gives one */
};

/* On the engine's thread, or on the worker's before engine_submit returns. */
static void acknowledge(void *arg, int error, const char *id) {
  struct publishing *publishing = arg;
  struct outcome outcome = outcome_of(error);
  struct text text = {.len = 0};
  if (outcome.line) {
    answer_line_later(publishing->later, &publishing->answer, outcome.status, outcome.line);
  } else {
    text_add(&text, "{");
    outcome_add_json(&text, &outcome, outcome.repeated ? publishing->id : id);
    text_add(&text, "}\n");
    answer_json_later(publishing->later, &publishing->answer, 200, &text);
  }
  free(publishing);
}

static void publish_event(struct httpd_conn *conn, const struct event *event, struct server *server,
                          const struct answer *answer) {
  struct publishing *publishing = malloc(sizeof *publishing);
  if (publishing) publishing->later = httpd_defer(conn);
  if (!publishing || !publishing->later) {
    free(publishing);
    answer_line(conn, answer, 503, sse_error_text(SSE_ENOMEM));
    return;
  }
  const char *id = event->event.id ? event->event.id : "";
  size_t len = strnlen(id, sizeof publishing->id - 1); /* a longer one is refused */
  memcpy(publishing->id, id, len);
  publishing->id[len] = '\0';
  publishing->answer = *answer;
  int error =
      engine_submit(server->engine, event->channels.names, &event->event, acknowledge, publishing);
  if (error) acknowledge(publishing, error, "");
}

static const char *status_line(int status) {
  if (status == 413) return "too many fields";
  return status == 503 ? sse_error_text(SSE_ENOMEM)
                       : "a percent sign without two hexadecimal digits, or a NUL in a name";
}

static void publish_params(struct httpd_conn *conn, const struct caller *caller,
                           const struct answer *answer) {
  struct event event = {.prefixes = NULL};
  struct verdict verdict = {.status = 0};
  const char *problem = event_from_params(&event, caller->params);
  if (!problem) verdict = authorize_publish(caller, &event.channels);
  if (!problem && caller->server->options->prefixes) problem = event_add_prefixes(&event);
  if (problem)
    answer_line(conn, answer, 400, problem);
  else if (verdict.status)
    answer_refusal(conn, answer, verdict.status, verdict.line, verdict.header);
  else
    publish_event(conn, &event, caller->server, answer);
  free(event.prefixes);
}

/* The secret may be in the body, so a body that cannot be read may have no secret either. */
void publish_events(struct httpd_conn *conn, const struct request *request, void *arg) {
  struct server *server = arg;
  struct params params;
  struct answer answer;
  struct caller caller;
  answer_init(&answer, server, request);
  int status = params_read(&params, request);
  caller_read(&caller, server, &params);
  struct verdict verdict = authorize_publish(&caller, NULL);
  if (verdict.status)
    answer_refusal(conn, &answer, verdict.status, verdict.line, verdict.header);
  else if (status)
    answer_line(conn, &answer, status, status_line(status));
  else if (params.body == BODY_PARTS)
    answer_line(conn, &answer, 415, "a body is a form (urlencoded), NDJSON, or the message itself");
  else if (params.body == BODY_NDJSON)
    publish_lines(conn, &caller, &answer);
  else
    publish_params(conn, &caller, &answer);
  caller_free(&caller);
  params_free(&params);
}
