/* SPDX-License-Identifier: MIT */
/* text.h: a text that grows, and JSON strings in it. */
#ifndef BROADCAST_TEXT_H
#define BROADCAST_TEXT_H

#include <stddef.h>

/* All zeros is an empty text. Without memory a text has failed, and stays as it is. */
struct text {
  char *bytes;
  size_t len, cap;
  int failed;
};

/* Adds what printf would write. */
__attribute__((format(printf, 2, 3))) void text_add(struct text *text, const char *format, ...);

/* Adds a JSON string (RFC 8259) with its quotes; the bytes are UTF-8. */
void text_add_json(struct text *text, const char *bytes, size_t len);

/* Makes room for so many bytes behind the text, and returns where; NULL: it has failed. */
char *text_room(struct text *text, size_t bytes);

void text_free(struct text *text);

#endif
