/* SPDX-License-Identifier: MIT */
/* body.c: takes the head and the chunks off a response. */
#include "body.h"

#include <string.h>

enum {
  SIZE_DIGITS_MAX = 8
};

void body_begin(body *reader, const char *head, bool chunked) {
  memset(reader, 0, sizeof *reader);
  reader->head = head;
  reader->chunked = chunked;
  reader->at = *head ? BODY_HEAD : chunked ? BODY_SIZE : BODY_PLAIN;
}

static void end_line(body *reader, char c, body_place next) {
  reader->broken = reader->broken || c != "\r\n"[reader->done];
  if (++reader->done < 2) return;
  reader->done = 0;
  reader->at = next;
}

/* The line before a chunk: hexadecimal digits, and no extension. */
static void size_line(body *reader, char c) {
  static const char digits[] = "0123456789abcdefABCDEF";
  const char *digit = c ? strchr(digits, c) : NULL;
  if (digit) {
    size_t value = (size_t)(digit - digits);
    if (reader->done >= SIZE_DIGITS_MAX) reader->broken = true;
    reader->left = reader->left * 16 + (value > 15 ? value - 6 : value);
    reader->done++;
  } else if (c == '\n') {
    reader->at = reader->left ? BODY_CHUNK : BODY_LAST;
    reader->broken = reader->broken || reader->done != SIZE_DIGITS_MAX + 1;
    reader->done = 0;
  } else {
    reader->broken = reader->broken || c != '\r' || !reader->done;
    reader->done = SIZE_DIGITS_MAX + 1;
  }
}

void body_feed(body *reader, const char *bytes, size_t len, wire *to, wire_fn *block, void *arg) {
  for (size_t i = 0; i < len && !reader->broken; i++) {
    size_t count = reader->at == BODY_PLAIN ? len - i
                   : len - i < reader->left ? len - i
                                            : reader->left;
    switch (reader->at) {
    case BODY_HEAD:
      reader->broken = bytes[i] != reader->head[reader->done++];
      if (reader->head[reader->done]) break;
      reader->done = 0;
      reader->at = reader->chunked ? BODY_SIZE : BODY_PLAIN;
      break;
    case BODY_SIZE:
      size_line(reader, bytes[i]);
      break;
    case BODY_PLAIN:
    case BODY_CHUNK:
      wire_feed(to, bytes + i, count, block, arg);
      i += count - 1;
      if (reader->at == BODY_CHUNK && !(reader->left -= count)) reader->at = BODY_AFTER;
      break;
    case BODY_AFTER:
      end_line(reader, bytes[i], BODY_SIZE);
      break;
    case BODY_LAST:
      end_line(reader, bytes[i], BODY_CLOSED);
      break;
    case BODY_CLOSED:
      reader->broken = true;
      break;
    }
  }
}

bool body_between(const body *reader) {
  return reader->at == BODY_PLAIN || reader->at == BODY_CLOSED ||
         (reader->at == BODY_SIZE && !reader->done);
}
