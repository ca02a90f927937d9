/* SPDX-License-Identifier: MIT */
/* params.c: the parameters of a request, from its query and from a form in its body. */
#include "params.h"

#include <string.h>
#include <strings.h>

static enum body_kind kind_of(const struct request *request) {
  static const struct {
    const char *type;
    enum body_kind kind;
  } kinds[] = {{"application/x-www-form-urlencoded", BODY_FORM},
               {"application/x-ndjson", BODY_NDJSON},
               {"application/ndjson", BODY_NDJSON},
               {"application/jsonl", BODY_NDJSON},
               {"multipart/form-data", BODY_PARTS}};
  const char *type = request_header(request, "Content-Type");
  if (request->body_len == 0 && !type) return BODY_FORM;
  size_t len = type ? strcspn(type, "; \t") : 0;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strlen(kinds[i].type) == len && strncasecmp(kinds[i].type, type, len) == 0)
      return kinds[i].kind;
  return BODY_RAW;
}

int params_read(struct params *params, const struct request *request) {
  *params = (struct params){.request = request, .body = kind_of(request)};
  return params->body == BODY_FORM && request->body_len > 0
             ? form_read(&params->form, request->body, request->body_len)
             : 0;
}

void params_free(struct params *params) {
  form_free(&params->form);
}

const struct form_field *params_next(const struct params *params, const char *name, size_t *at,
                                     struct form_field *room) {
  size_t in_query = params->request->params_count;
  for (; *at < in_query; ++*at) {
    const struct request_field *field = &params->request->params[*at];
    if (strcmp(field->name, name) != 0) continue;
    *room = (struct form_field){field->name, field->value, strlen(field->value)};
    ++*at;
    return room;
  }
  for (; *at < in_query + params->form.count; ++*at) {
    const struct form_field *field = &params->form.fields[*at - in_query];
    if (strcmp(field->name, name) != 0) continue;
    ++*at;
    return field;
  }
  return NULL;
}

const char *params_get(const struct params *params, const char *name) {
  size_t at = 0;
  struct form_field room;
  const struct form_field *field = params_next(params, name, &at, &room);
  return field ? field->value : NULL;
}

int params_flag(const struct params *params, const char *name) {
  const char *value = params_get(params, name);
  return value &&
         (strcmp(value, "1") == 0 || strcmp(value, "true") == 0 || strcmp(value, "yes") == 0);
}
