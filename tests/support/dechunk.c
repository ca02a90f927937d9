/* SPDX-License-Identifier: MIT */
/* dechunk.c: a strict reader of chunked bodies. */
#include "dechunk.h"

#include <string.h>

static int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void take_size(struct dechunk *d, char c) {
  int digit = digit_of(c);
  if (digit >= 0 && d->digits < 8) {
    d->size = d->size << 4 | (size_t)digit;
    d->digits++;
  } else if (c == '\r' && d->digits > 0) {
    d->state = DECHUNK_SIZE_LF;
  } else {
    d->fault = "a chunk's size is not 1 to 8 digits and CRLF";
  }
}

/* A byte of the framing. */
static void take_byte(struct dechunk *d, char c) {
  switch (d->state) {
  case DECHUNK_SIZE:
    take_size(d, c);
    return;
  case DECHUNK_SIZE_LF:
    d->last = d->size == 0;
    d->state = d->last ? DECHUNK_CR : DECHUNK_DATA;
    if (c != '\n') d->fault = "a chunk's size has no LF";
    return;
  case DECHUNK_CR:
    d->state = DECHUNK_LF;
    if (c != '\r') d->fault = "a chunk is longer than its size, or has trailers";
    return;
  case DECHUNK_LF:
    if (c != '\n') d->fault = "a chunk does not end in CRLF";
    d->state = d->last ? DECHUNK_ENDED : DECHUNK_SIZE;
    d->digits = 0;
    if (!d->last) d->chunks++;
    return;
  case DECHUNK_DATA:
  case DECHUNK_ENDED:
    d->fault = "bytes follow the last chunk";
    return;
  }
}

size_t dechunk_feed(struct dechunk *d, const char *bytes, size_t len, char *to) {
  size_t given = 0;
  while (len > 0 && !d->fault) {
    size_t part = 1;
    if (d->state == DECHUNK_DATA) {
      part = d->size < len ? d->size : len;
      memmove(to + given, bytes, part);
      given += part;
      d->size -= part;
      if (d->size == 0) d->state = DECHUNK_CR;
    } else {
      take_byte(d, *bytes);
    }
    bytes += part;
    len -= part;
  }
  return given;
}
