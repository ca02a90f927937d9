/* SPDX-License-Identifier: MIT */
/* params.h: the parameters of a request, from its query and from a form in its body. */
#ifndef BROADCAST_PARAMS_H
#define BROADCAST_PARAMS_H

#include "form.h"
#include "request.h"

/* What the Content-Type says of the body. */
enum body_kind {
  BODY_FORM,   /* application/x-www-form-urlencoded; also no body at all */
  BODY_NDJSON, /* application/x-ndjson and its other names */
  BODY_PARTS,  /* multipart/form-data, which this server does not read */
  BODY_RAW     /* anything else */
};

struct params {
  const struct request *request;
  enum body_kind body;
  struct form form;
};

/* Reads the body if it is a form. 0; or a status as form_read, and then only the query is there. */
int params_read(struct params *params, const struct request *request);
void params_free(struct params *params);

/*
 * The next field of a name: the query's first, then the form's, each in its order. `at` is 0 for the
 * first one. NULL: there is none further on.
 */
const struct form_field *params_next(const struct params *params, const char *name, size_t *at,
                                     struct form_field *room);

/* The value of the first field of a name; NULL: none. Of a value with a NUL it is what is before. */
const char *params_get(const struct params *params, const char *name);

/* True if the field is "1", "true" or "yes". */
int params_flag(const struct params *params, const char *name);

#endif
