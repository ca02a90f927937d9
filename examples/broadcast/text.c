/* SPDX-License-Identifier: MIT */
/* text.c: a text that grows, and JSON strings in it. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *text_room(struct text *text, size_t bytes) {
  if (text->failed) return NULL;
  if (text->cap - text->len < bytes) {
    size_t cap = text->cap ? text->cap * 2 : 256;
    while (cap - text->len < bytes) cap *= 2;
    char *bigger = realloc(text->bytes, cap);
    text->failed = !bigger;
    if (!bigger) return NULL;
    text->bytes = bigger;
    text->cap = cap;
  }
  return text->bytes + text->len;
}

void text_add(struct text *text, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int len = vsnprintf(NULL, 0, format, args);
  char *at = len < 0 ? NULL : text_room(text, (size_t)len + 1);
  if (at) {
    vsnprintf(at, (size_t)len + 1, format, again);
    text->len += (size_t)len;
  }
  va_end(again);
  va_end(args);
}

static void add_bytes(struct text *text, const char *bytes, size_t len) {
  char *at = len ? text_room(text, len) : NULL;
  if (!at) return;
  memcpy(at, bytes, len);
  text->len += len;
}

static const char *escape_of(char c) {
  switch (c) {
  case '"':
    return "\\\"";
  case '\\':
    return "\\\\";
  case '\n':
    return "\\n";
  case '\t':
    return "\\t";
  default:
    return NULL;
  }
}

void text_add_json(struct text *text, const char *bytes, size_t len) {
  size_t plain = 0;
  add_bytes(text, "\"", 1);
  for (size_t i = 0; i < len; i++) {
    const char *escape = escape_of(bytes[i]);
    if (!escape && (unsigned char)bytes[i] >= 0x20) continue;
    add_bytes(text, bytes + plain, i - plain);
    if (escape)
      add_bytes(text, escape, 2);
    else
      text_add(text, "\\u%04x", (unsigned)(unsigned char)bytes[i]);
    plain = i + 1;
  }
  add_bytes(text, bytes + plain, len - plain);
  add_bytes(text, "\"", 1);
}

void text_free(struct text *text) {
  free(text->bytes);
  *text = (struct text){.len = 0};
}
