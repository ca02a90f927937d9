/* SPDX-License-Identifier: MIT */
/* dechunk.h: a strict reader of chunked bodies: RFC 9112, section 7.1, without what is optional. */
#ifndef DECHUNK_H
#define DECHUNK_H

#include <stdbool.h>
#include <stddef.h>

enum dechunk_state {
  DECHUNK_SIZE, /* the digits of a chunk's size, up to CR */
  DECHUNK_SIZE_LF,
  DECHUNK_DATA,
  DECHUNK_CR, /* behind the data, or behind the last chunk's size */
  DECHUNK_LF,
  DECHUNK_ENDED
};

/* All zeros is one that has read nothing. */
struct dechunk {
  enum dechunk_state state;
  unsigned digits; /* of the size, up to 8 */
  size_t size;     /* of the chunk; bytes of it that are still to come */
  bool last;
  size_t chunks;     /* that were read to their end, the last one not counted */
  const char *fault; /* the first thing that was wrong; NULL */
};

/* Reads bytes and writes those of the body to `to`, which has room for as many: how many. */
size_t dechunk_feed(struct dechunk *dechunk, const char *bytes, size_t len, char *to);

#endif
