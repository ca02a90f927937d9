/* SPDX-License-Identifier: MIT */
/* form.h: the fields of a body of the type application/x-www-form-urlencoded. */
#ifndef HTTPD_FORM_H
#define HTTPD_FORM_H

#include <stddef.h>

#define FORM_FIELDS_MAX 2048

struct form_field {
  const char *name, *value; /* decoded; ended by NUL */
  size_t len;               /* of the value, which may contain NUL */
};

/* Fields in the order of the body; a name may occur several times. All zeros is an empty form. */
struct form {
  struct form_field *fields;
  size_t count;
  char *bytes;
};

/*
 * Reads a form from bytes, which are copied. 0; 400: a percent sign without two digits, or a NUL in
 * a name; 413: more than FORM_FIELDS_MAX fields; 503: no memory. After a failure the form is empty.
 */
int form_read(struct form *form, const char *text, size_t len);

void form_free(struct form *form);

#endif
