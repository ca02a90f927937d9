/* SPDX-License-Identifier: MIT */
/* subscription.c: what a request for a stream or a poll asks for. */
#include "subscription.h"

#include <stdio.h>
#include <string.h>

#include "answer.h"

static const char session_prefix[] = "session:";

int subscription_is_session(const char *tag) {
  return strncmp(tag, session_prefix, sizeof session_prefix - 1) == 0;
}

const char *subscription_session_tag(char tag[SESSION_TAG_MAX], const char *token) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  size_t len = strlen(token);
  if (len < SESSION_BYTES_MIN || len > SESSION_BYTES_MAX || strspn(token, letters) != len)
    return "a session is 8 to 64 of A-Z a-z 0-9 - _";
  snprintf(tag, SESSION_TAG_MAX, "%s%s", session_prefix, token);
  return NULL;
}

int subscription_number(const char *text, uint32_t *number) {
  uint64_t value = 0;
  if (*text == '\0') return -1;
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9') return -1;
    value = value * 10 + (uint64_t)(*text - '0');
    if (value > UINT32_MAX) return -1;
  }
  *number = (uint32_t)value;
  return 0;
}

/* ---- Parameters ---- */

static const char *read_start(sse_stream_config *config, const struct params *params) {
  const char *history = params_get(params, "history"), *from = params_get(params, "from");
  if (history && from) return "history and from exclude each other";
  if (history) {
    if (subscription_number(history, &config->start_events) != 0)
      return "history is a whole number";
    config->start = config->start_events > 0 ? SSE_START_LAST : SSE_START_NOW;
  }
  if (from && strcmp(from, "earliest") != 0) return "from has one value: earliest";
  if (from) config->start = SSE_START_RETAINED;
  return NULL;
}

/* httpd looks at the header and the query, but not at the form. */
static void read_last_id(sse_stream_config *config, const struct params *params) {
  static const char *const names[] = {"last_event_id", "lastEventId"};
  const char *id = httpd_last_event_id(params->request);
  for (size_t i = 0; i < sizeof names / sizeof *names && (!id || *id == '\0'); i++)
    id = params_get(params, names[i]);
  config->last_id = id;
}

static const char *read_tags(struct subscription *subscription, const struct params *params) {
  size_t at = 0, count = 0;
  struct form_field room;
  const struct form_field *field;
  while ((field = params_next(params, "tag", &at, &room))) {
    if (count == TAGS_MAX) return "at most 8 tags";
    if (field->len == 0 || field->len > SSE_TAG_BYTES_MAX || strlen(field->value) != field->len)
      return "a tag is 1 to 255 bytes without NUL";
    if (subscription_is_session(field->value)) return "a tag must not begin with session:";
    for (size_t i = 0; i < count; i++)
      if (strcmp(subscription->tags[i], field->value) == 0) return "a tag occurs twice";
    subscription->tags[count++] = field->value;
  }
  const char *session = params_get(params, "session");
  const char *problem =
      session ? subscription_session_tag(subscription->session_tag, session) : NULL;
  if (session) subscription->tags[count++] = subscription->session_tag;
  subscription->tags[count] = NULL;
  if (count > 0) subscription->config.tags = subscription->tags;
  return problem;
}

const char *subscription_read(struct subscription *subscription, const struct params *params) {
  subscription->config = (sse_stream_config){.channels = subscription->channels.names};
  const char *problem = channels_read(&subscription->channels, params);
  if (!problem) problem = read_start(&subscription->config, params);
  if (!problem) problem = read_tags(subscription, params);
  read_last_id(&subscription->config, params);
  return problem;
}

/* NULL; or what is wrong, and `status` says how. */
static const char *read_request(struct subscription *subscription, struct params *params,
                                const struct request *request, int *status) {
  *status = params_read(params, request);
  if (*status) return "the form in the body is invalid";
  *status = 415;
  if (params->body != BODY_FORM)
    return "parameters are in the query, or in a form (urlencoded) in the body";
  *status = 400;
  return subscription_read(subscription, params);
}

int subscription_begin(struct subscription *subscription, struct params *params,
                       struct httpd_conn *conn, const struct request *request,
                       struct server *server) {
  struct answer answer;
  struct caller caller;
  int status;
  answer_init(&answer, server, request);
  const char *problem = read_request(subscription, params, request, &status);
  if (problem) {
    answer_line(conn, &answer, status, problem);
    return -1;
  }
  caller_read(&caller, server, params);
  struct verdict verdict =
      authorize_subscribe(&caller, &subscription->channels, &subscription->life_ms);
  caller_free(&caller);
  if (verdict.status)
    answer_refusal(conn, &answer, verdict.status, verdict.line, verdict.header);
  else
    limits_prepare(server->limits, server->hub, subscription->channels.names);
  return verdict.status ? -1 : 0;
}
