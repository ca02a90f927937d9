/* SPDX-License-Identifier: MIT */
/* operate.c: changes of open streams and channels, on this node only. */
#include <string.h>

#include "answer.h"
#include "authorize.h"
#include "subscription.h"

/*
 * What a request has to do. NULL, and to how many streams it was done; or what is wrong, with the
 * error of the library in place of the streams if it is one, and the channels before that one have
 * been changed.
 */
typedef const char *operation_fn(struct server *server, const struct params *params,
                                 const struct channels *channels, int *streams);

struct operation {
  int by_client;      /* by the session, which its client knows; else by an operator */
  int needs_channels; /* the parameter channel */
  operation_fn *run;
};

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

static const char *disconnect(struct server *server, const struct params *params,
                              const struct channels *channels, int *streams) {
  const char *tag = params_get(params, "tag");
  (void)channels;
  if (!tag) return "a parameter is missing: tag";
  return read_result(sse_hub_disconnect(server->hub, tag), streams);
}

static const char *finish(struct server *server, const struct params *params,
                          const struct channels *channels, int *streams) {
  (void)params;
  for (size_t i = 0; i < channels->count; i++) {
    int clients = (int)sse_hub_count(server->hub, channels->names[i]);
    int error = sse_hub_finish(server->hub, channels->names[i]);
    if (error) return sse_error_text(error);
    *streams += clients;
  }
  return NULL;
}

/* ---- Handlers ---- */

/* The id is read after the operation: a client that subscribed has what came before it. */
static void reply(struct httpd_conn *conn, const struct answer *answer, struct server *server,
                  const struct operation *operation, int streams) {
  struct text text = {.len = 0};
  char id[SSE_ID_BYTES_MAX + 1];
  if (operation->by_client && streams == 0) {
    answer_line(conn, answer, 404, "this node has no stream of this session");
    return;
  }
  sse_hub_position(server->hub, id, sizeof id);
  text_add(&text, "{\"status\":\"ok\",\"streams\":%d,\"id\":", streams);
  text_add_json(&text, id, strlen(id));
  text_add(&text, "}\n");
  answer_json(conn, answer, &text);
}

static void operate(struct httpd_conn *conn, const struct request *request, struct server *server,
                    const struct operation *operation) {
  struct params params;
  struct answer answer;
  struct caller caller;
  struct channels channels = {.count = 0};
  int streams = 0;
  answer_init(&answer, server, request);
  const char *problem = params_read(&params, request) || params.body != BODY_FORM
                            ? "parameters are in the query, or in a form (urlencoded) in the body"
                            : NULL;
  if (!problem && operation->needs_channels) problem = channels_read(&channels, &params);
  caller_read(&caller, server, &params);
  struct verdict verdict = operation->by_client ? authorize_subscribe(&caller, &channels, NULL)
                                                : authorize_operate(&caller);
  if (!problem && !verdict.status) problem = operation->run(server, &params, &channels, &streams);
  if (verdict.status)
    answer_refusal(conn, &answer, verdict.status, verdict.line, verdict.header);
  else if (problem)
    answer_line(conn, &answer, sse_http_refusal(streams) == SSE_HTTP_BUSY ? 503 : 400, problem);
  else
    reply(conn, &answer, server, operation, streams);
  caller_free(&caller);
  params_free(&params);
}

void change_subscriptions(struct httpd_conn *conn, const struct request *request, void *arg) {
  operate(conn, request, arg, &(struct operation){1, 1, subscribe_session});
}

void end_subscriptions(struct httpd_conn *conn, const struct request *request, void *arg) {
  operate(conn, request, arg, &(struct operation){1, 1, unsubscribe_session});
}

void disconnect_tag(struct httpd_conn *conn, const struct request *request, void *arg) {
  operate(conn, request, arg, &(struct operation){0, 0, disconnect});
}

void finish_channel(struct httpd_conn *conn, const struct request *request, void *arg) {
  operate(conn, request, arg, &(struct operation){0, 1, finish});
}
