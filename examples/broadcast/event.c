/* SPDX-License-Identifier: MIT */
/* event.c: the event that a request, or a line of NDJSON, asks to publish. */
#include "event.h"

#include <stdlib.h>
#include <string.h>

static const char no_message[] = "a parameter is missing: message";

/* A value that cannot have a NUL; one that is empty counts as absent. */
static const char *take_line(const char **to, const char *value, size_t len) {
  if (strlen(value) != len) return "a NUL in a value that must be one line";
  *to = len ? value : NULL;
  return NULL;
}

/* A client could not tell such an event from what the library says of itself. */
static int is_reserved(const char *type) {
  return type && (strcmp(type, "gap") == 0 || strcmp(type, "sse-position") == 0);
}

static const char *check_event(struct event *event) {
  sse_event *ev = &event->event;
  if (is_reserved(ev->type)) return "the event types gap and sse-position are the server's own";
  int deletes = (ev->flags & SSE_TOMBSTONE) != 0;
  if (deletes && !ev->key) return "delete needs a state, whose event it deletes";
  if ((ev->flags & SSE_EPHEMERAL) && (ev->id || ev->key))
    return "an ephemeral event has neither an id nor a state";
  if (!ev->data && !deletes) return no_message;
  if (!ev->data) ev->data = "";
  return NULL;
}

/* ---- Prefixes ---- */

/* A prefix ends with a slash; the name itself, if it ends so, is not added twice. */
const char *event_add_prefixes(struct event *event) {
  size_t bytes = 1, count = event->channels.count;
  for (size_t i = 0; i < count; i++)
    for (const char *name = event->channels.names[i], *at = name; (at = strchr(at, '/')); at++)
      bytes += (size_t)(at - name) + 2;
  char *to = event->prefixes = malloc(bytes);
  if (!to) return sse_error_text(SSE_ENOMEM);
  for (size_t i = 0; i < count; i++) {
    for (const char *name = event->channels.names[i], *at = name; (at = strchr(at, '/')); at++) {
      size_t len = (size_t)(at - name) + 1;
      memcpy(to, name, len);
      to[len] = '\0';
      const char *problem = channels_add(&event->channels, to, len);
      if (problem) return problem;
      to += len + 1;
    }
  }
  return NULL;
}

/* ---- From a request ---- */

static const char *take_param(const char **to, const struct params *params, const char *name) {
  size_t at = 0;
  struct form_field room;
  const struct form_field *field = params_next(params, name, &at, &room);
  return field ? take_line(to, field->value, field->len) : NULL;
}

static const char *take_message(sse_event *ev, const struct params *params) {
  size_t at = 0;
  struct form_field room;
  const struct form_field *field = params_next(params, "message", &at, &room);
  if (params->body == BODY_RAW) {
    if (field) return "a message both as a parameter and as the body";
    ev->data = params->request->body;
    ev->data_len = params->request->body_len;
  } else if (field) {
    ev->data = field->value;
    ev->data_len = field->len;
  }
  return NULL;
}

const char *event_from_params(struct event *event, const struct params *params) {
  sse_event *ev = &event->event;
  *ev = (sse_event){.data = NULL};
  const char *problem = channels_read(&event->channels, params);
  if (!problem) problem = take_message(ev, params);
  if (!problem) problem = take_param(&ev->type, params, "event");
  if (!problem) problem = take_param(&ev->id, params, "id");
  if (!problem) problem = take_param(&ev->key, params, "state");
  if (params_flag(params, "delete")) ev->flags |= SSE_TOMBSTONE;
  if (params_flag(params, "ephemeral")) ev->flags |= SSE_EPHEMERAL;
  return problem ? problem : check_event(event);
}

/* ---- From JSON ---- */

static const char *take_channels(struct event *event, const struct json_member *member) {
  if (member->kind == JSON_BOOLEAN) return "channel is a string or an array of strings";
  for (size_t i = 0; i < member->count; i++) {
    const char *problem =
        channels_add(&event->channels, member->strings[i].text, member->strings[i].len);
    if (problem) return problem;
  }
  return NULL;
}

static const char *take_member(struct event *event, const struct json_member *member) {
  sse_event *ev = &event->event;
  const struct {
    const char *name;
    const char **to;
  } lines[] = {{"event", &ev->type}, {"id", &ev->id}, {"state", &ev->key}};
  if (strcmp(member->name, "channel") == 0 || strcmp(member->name, "channels") == 0)
    return take_channels(event, member);
  if (strcmp(member->name, "delete") == 0 || strcmp(member->name, "ephemeral") == 0) {
    if (member->kind != JSON_BOOLEAN) return "delete and ephemeral are true or false";
    if (member->truth) ev->flags |= *member->name == 'd' ? SSE_TOMBSTONE : SSE_EPHEMERAL;
    return NULL;
  }
  if (member->kind != JSON_STRING) return "message, event, id and state are strings";
  if (strcmp(member->name, "message") == 0) {
    ev->data = member->strings->text;
    ev->data_len = member->strings->len;
    return NULL;
  }
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    if (strcmp(member->name, lines[i].name) == 0)
      return take_line(lines[i].to, member->strings->text, member->strings->len);
  return "an unknown member; there are channel, message, event, id, state, delete and ephemeral";
}

const char *event_from_json(struct event *event, const struct json_object *object) {
  event->event = (sse_event){.data = NULL};
  event->channels.count = 0;
  for (size_t i = 0; i < object->count; i++) {
    const char *problem = take_member(event, &object->members[i]);
    if (problem) return problem;
  }
  return event->channels.count ? check_event(event) : "a member is missing: channel";
}

/* ---- Outcomes ---- */

struct outcome outcome_of(int error) {
  switch (error) {
  case 0:
    return (struct outcome){.status = 200};
  case SSE_EIDUSED:
    return (struct outcome){.status = 200, .repeated = 1};
  case SSE_ETOOBIG:
    return (struct outcome){.status = 413, .line = "the event is longer than the server takes"};
  case SSE_EFINISHED:
    return (struct outcome){.status = 409, .line = engine_error_text(error)};
  case SSE_ENOMEM:
  case SSE_EFULL:
  case SSE_ECHANNELS:
  case ENGINE_ELOG:
  case ENGINE_EBUSY:
  case ENGINE_ESTOPPED:
    return (struct outcome){.status = 503, .line = engine_error_text(error)};
  default:
    return (struct outcome){.status = 400, .line = engine_error_text(error)};
  }
}

void outcome_add_json(struct text *text, const struct outcome *outcome, const char *id) {
  text_add(text, "\"status\":\"ok\",\"id\":");
  text_add_json(text, id, strlen(id));
  if (outcome->repeated) text_add(text, ",\"repeated\":true");
}
