/* SPDX-License-Identifier: MIT */
/* scan.h: searches many bytes at once, in plain C, for line ends and bytes outside ASCII. */
#ifndef SSE_LIB_SCAN_H
#define SSE_LIB_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SSE__SCAN_BLOCK 128 /* bytes that sse__scan_plain looks at */

#define SSE__SCAN_ONES  0x0101010101010101u
#define SSE__SCAN_HIGHS 0x8080808080808080u

/*
 * Reads eight bytes so that the first is the lowest one, in either byte order of the machine.
 * Compilers turn it into one load.
 */
static inline uint64_t sse__scan_load(const unsigned char *p) {
  return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
         (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

/*
 * Sets the highest bit of each byte of a word that equals c. Only the lowest mark is reliable:
 * the subtraction borrows, so bytes above it may be marked although they differ from c.
 */
static inline uint64_t sse__scan_equal(uint64_t word, unsigned char c) {
  uint64_t x = word ^ SSE__SCAN_ONES * c;
  return (x - SSE__SCAN_ONES) & ~x & SSE__SCAN_HIGHS;
}

/* Marks the bytes of a word that are CR or LF, as sse__scan_equal does. */
static inline uint64_t sse__scan_breaks(uint64_t word) {
  return sse__scan_equal(word, '\n') | sse__scan_equal(word, '\r');
}

/*
 * The index of the lowest marked byte. All bits below the lowest mark become ones, and the
 * multiplication counts their bytes; C11 has no function that counts trailing zeros.
 */
static inline size_t sse__scan_first(uint64_t marks) {
  uint64_t below = (marks & (~marks + 1)) - 1;
  return (size_t)(((below & SSE__SCAN_ONES) * SSE__SCAN_ONES >> 56) - 1);
}

/*
 * Whether SSE__SCAN_BLOCK bytes are all ASCII above CR: then none ends a line, and all are valid
 * UTF-8. One signed comparison checks both, because bytes above 0x7f are negative. With 16 lanes
 * and a constant trip count compilers vectorize the loop at -O2. A tab counts as not plain, which
 * costs time only.
 */
static inline bool sse__scan_plain(const unsigned char *p) {
#define SSE__SCAN_LANE(at) (-((signed char)p[k + (at)] > '\r'))
  signed char lanes[16];
  for (int k = 0; k < 16; k++)
    lanes[k] = (signed char)(SSE__SCAN_LANE(0) & SSE__SCAN_LANE(16) & SSE__SCAN_LANE(32) &
                             SSE__SCAN_LANE(48) & SSE__SCAN_LANE(64) & SSE__SCAN_LANE(80) &
                             SSE__SCAN_LANE(96) & SSE__SCAN_LANE(112));
#undef SSE__SCAN_LANE
  uint64_t words[2];
  memcpy(words, lanes, sizeof words);
  return (words[0] & words[1]) == UINT64_MAX;
}

/*
 * The length of the run of plain bytes at p: `len`, or a whole number of blocks. `len` is at least
 * one block. If it is no multiple of a block, the last block overlaps the one before.
 */
size_t sse__scan_plain_run(const unsigned char *p, size_t len);

#endif
