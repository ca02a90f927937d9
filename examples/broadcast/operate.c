/* SPDX-License-Identifier: MIT */
/* operate.c: changes of open streams by their clients, and orders of operators to all nodes. */
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "authorize.h"
#include "control.h"
#include "event.h"
#include "subscription.h"

/* ---- By a client: its session, on this node ---- */

/*
 * What a request has to do. NULL, and to how many streams it was done; or what is wrong, with the
 * error of the library in place of the streams if it is one, and the channels before that one have
 * been changed.
 */
typedef const char *operation_fn(struct server *server, const struct params *params,
                                 const struct channels *channels, int *streams);

static const char *read_result(int result, int *streams) {
  *streams = result;
  return result < 0 ? sse_error_text(result) : NULL;
}

static const char *read_session(const struct params *params, char tag[SESSION_TAG_MAX]) {
  const char *session = params_get(params, "session");
  return session ? subscription_session_tag(tag, session) : "a parameter is missing: session";
}

static const char *subscribe_session(struct server *server, const struct params *params,
                                     const struct channels *channels, int *streams) {
  char tag[SESSION_TAG_MAX];
  uint32_t backfill = 0;
  const char *history = params_get(params, "history");
  const char *problem = read_session(params, tag);
  if (!problem && history && subscription_number(history, &backfill) != 0)
    problem = "history is a whole number";
  if (!problem) limits_prepare(server->limits, server->hub, channels->names);
  for (size_t i = 0; i < channels->count && !problem; i++)
    problem =
        read_result(sse_hub_subscribe(server->hub, tag, channels->names[i], backfill), streams);
  return problem;
}

static const char *unsubscribe_session(struct server *server, const struct params *params,
                                       const struct channels *channels, int *streams) {
  char tag[SESSION_TAG_MAX];
  const char *problem = read_session(params, tag);
  for (size_t i = 0; i < channels->count && !problem; i++)
    problem = read_result(sse_hub_unsubscribe(server->hub, tag, channels->names[i]), streams);
  return problem;
}

/* The id is read after the operation: a client that subscribed has what came before it. */
static void reply(struct httpd_conn *conn, const struct answer *answer, struct server *server,
                  int streams) {
  struct text text = {.len = 0};
  char id[SSE_ID_BYTES_MAX + 1];
  if (streams == 0) {
    answer_line(conn, answer, 404, "this node has no stream of this session");
    return;
  }
  sse_hub_position(server->hub, id, sizeof id);
  text_add(&text, "{\"status\":\"ok\",\"streams\":%d,\"id\":", streams);
  text_add_json(&text, id, strlen(id));
  text_add(&text, "}\n");
  answer_json(conn, answer, &text);
}

/* NULL, or what is wrong. */
static const char *read_form(struct params *params, const struct request *request) {
  return params_read(params, request) || params->body != BODY_FORM
             ? "parameters are in the query, or in a form (urlencoded) in the body"
             : NULL;
}

static void change(struct httpd_conn *conn, const struct request *request, struct server *server,
                   operation_fn *run) {
  struct params params;
  struct answer answer;
  struct caller caller;
  struct channels channels = {.count = 0};
  int streams = 0;
  answer_init(&answer, server, request);
  const char *problem = read_form(&params, request);
  if (!problem) problem = channels_read(&channels, &params);
  caller_read(&caller, server, &params);
  struct verdict verdict = authorize_subscribe(&caller, &channels, NULL);
  if (!problem && !verdict.status) problem = run(server, &params, &channels, &streams);
  if (verdict.status)
    answer_refusal(conn, &answer, verdict.status, verdict.line, verdict.header);
  else if (problem)
    answer_line(conn, &answer, sse_http_refusal(streams) == SSE_HTTP_BUSY ? 503 : 400, problem);
  else
    reply(conn, &answer, server, streams);
  caller_free(&caller);
  params_free(&params);
}

void change_subscriptions(struct httpd_conn *conn, const struct request *request, void *arg) {
  change(conn, request, arg, subscribe_session);
}

void end_subscriptions(struct httpd_conn *conn, const struct request *request, void *arg) {
  change(conn, request, arg, unsubscribe_session);
}

/* ---- By an operator: on every node ---- */

/* An order that the log may not have yet. */
struct ordering {
  struct httpd_later *later;
  struct answer answer;
};

/* On the engine's thread, after this node has carried out the order. */
static void report(void *arg, int error, const char *id) {
  struct ordering *ordering = arg;
  struct outcome outcome = outcome_of(error);
  struct text text = {.len = 0};
  if (outcome.line) {
    answer_line_later(ordering->later, &ordering->answer, outcome.status, outcome.line);
  } else {
    text_add(&text, "{\"status\":\"ok\",\"streams\":%d,\"id\":", control_streams());
    text_add_json(&text, id, strlen(id));
    text_add(&text, "}\n");
    answer_json_later(ordering->later, &ordering->answer, 200, &text);
  }
  free(ordering);
}

static void give_order(struct httpd_conn *conn, struct server *server, const struct answer *answer,
                       const char *type, const char *what) {
  struct ordering *ordering = malloc(sizeof *ordering);
  if (ordering) ordering->later = httpd_defer(conn);
  if (!ordering || !ordering->later) {
    free(ordering);
    answer_line(conn, answer, 503, sse_error_text(SSE_ENOMEM));
    return;
  }
  ordering->answer = *answer;
  int error = control_submit(server->engine, type, what, report, ordering);
  if (error) report(ordering, error, "");
}

/* Reads to what the order is, for free(): NULL, or what is wrong. */
typedef const char *order_fn(char **what, const struct params *params);

static const char *read_tag(char **what, const struct params *params) {
  const char *tag = params_get(params, "tag");
  if (!tag) return "a parameter is missing: tag";
  if (*tag == '\0' || strlen(tag) > SSE_TAG_BYTES_MAX) return sse_error_text(SSE_EINVAL);
  *what = strdup(tag);
  return *what ? NULL : sse_error_text(SSE_ENOMEM);
}

static const char *read_names(char **what, const struct params *params) {
  struct channels channels;
  const char *problem = channels_read(&channels, params);
  if (problem) return problem;
  size_t bytes = 1;
  for (size_t i = 0; i < channels.count; i++) bytes += strlen(channels.names[i]) + 1;
  char *to = *what = malloc(bytes);
  if (!to) return sse_error_text(SSE_ENOMEM);
  for (size_t i = 0; i < channels.count; i++) {
    size_t len = strlen(channels.names[i]);
    memcpy(to, channels.names[i], len);
    to += len;
    *to++ = '\n';
  }
  *to = '\0';
  return NULL;
}

static void order(struct httpd_conn *conn, const struct request *request, struct server *server,
                  const char *type, order_fn *read) {
  struct params params;
  struct answer answer;
  struct caller caller;
  char *what = NULL;
  answer_init(&answer, server, request);
  const char *problem = read_form(&params, request);
  caller_read(&caller, server, &params);
  struct verdict verdict = authorize_operate(&caller);
  if (!problem && !verdict.status) problem = read(&what, &params);
  if (verdict.status)
    answer_refusal(conn, &answer, verdict.status, verdict.line, verdict.header);
  else if (problem)
    answer_line(conn, &answer, 400, problem);
  else
    give_order(conn, server, &answer, type, what);
  free(what);
  caller_free(&caller);
  params_free(&params);
}

void disconnect_tag(struct httpd_conn *conn, const struct request *request, void *arg) {
  order(conn, request, arg, CONTROL_DISCONNECT, read_tag);
}

void finish_channel(struct httpd_conn *conn, const struct request *request, void *arg) {
  order(conn, request, arg, CONTROL_FINISH, read_names);
}
