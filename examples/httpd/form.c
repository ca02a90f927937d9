/* SPDX-License-Identifier: MIT */
/* form.c: fields of a form, decoded as the URL standard says (section 5.1). */
#include "form.h"

#include <stdlib.h>
#include <string.h>

static int digit_of(char c) {
  static const char digits[] = "0123456789abcdefABCDEF";
  const char *at = c == '\0' ? NULL : strchr(digits, c);
  if (!at) return -1;
  int value = (int)(at - digits);
  return value < 16 ? value : value - 6;
}

/* Decodes in place, and puts a NUL behind it: how many bytes it has become, or -1. */
static int decode_field(char *text, size_t len, size_t *decoded) {
  char *out = text;
  for (size_t i = 0; i < len; i++) {
    char c = text[i] == '+' ? ' ' : text[i];
    if (c == '%') {
      int high = i + 2 < len ? digit_of(text[i + 1]) : -1;
      int low = high < 0 ? -1 : digit_of(text[i + 2]);
      if (low < 0) return -1;
      c = (char)(high * 16 + low);
      i += 2;
    }
    *out++ = c;
  }
  *out = '\0';
  *decoded = (size_t)(out - text);
  return 0;
}

static int read_field(struct form *form, char *piece, size_t len) {
  if (form->count == FORM_FIELDS_MAX) return 413;
  char *equals = memchr(piece, '=', len);
  size_t name_len = equals ? (size_t)(equals - piece) : len;
  struct form_field *field = &form->fields[form->count++];
  *field = (struct form_field){.name = piece, .value = ""};
  if (equals) {
    if (decode_field(equals + 1, len - name_len - 1, &field->len) != 0) return 400;
    field->value = equals + 1;
  }
  size_t decoded;
  if (decode_field(piece, name_len, &decoded) != 0 || strlen(piece) != decoded) return 400;
  return 0;
}

static int read_fields(struct form *form, size_t len) {
  char *piece = form->bytes, *end = form->bytes + len;
  while (piece < end) {
    char *amp = memchr(piece, '&', (size_t)(end - piece));
    char *next = amp ? amp : end;
    int status = next > piece ? read_field(form, piece, (size_t)(next - piece)) : 0;
    if (status) return status;
    piece = next + 1;
  }
  return 0;
}

int form_read(struct form *form, const char *text, size_t len) {
  size_t count = 1;
  for (size_t i = 0; i < len; i++) count += text[i] == '&';
  if (count > FORM_FIELDS_MAX) count = FORM_FIELDS_MAX;
  *form = (struct form){.bytes = malloc(len + 1)};
  form->fields = malloc(count * sizeof *form->fields);
  int status = 503;
  if (form->bytes && form->fields) {
    memcpy(form->bytes, text, len);
    form->bytes[len] = '\0';
    status = read_fields(form, len);
  }
  if (status) form_free(form);
  return status;
}

void form_free(struct form *form) {
  free(form->fields);
  free(form->bytes);
  *form = (struct form){.count = 0};
}
