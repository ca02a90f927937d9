/* SPDX-License-Identifier: MIT */
/* scan.h: looking at many bytes at once, in plain C: line ends and bytes outside ASCII. */
#ifndef SSE__SCAN_H
#define SSE__SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SSE__SCAN_BLOCK 128 /* bytes that sse__scan_plain looks at */

#define SSE__SCAN_ONES  0x0101010101010101u
#define SSE__SCAN_HIGHS 0x8080808080808080u

/*
 * Reads eight bytes so that the first is the lowest, on machines of either byte order. Compilers
 * make one load of it.
 */
static inline uint64_t sse__scan_load(const unsigned char *p) {
  return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
         (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

/*
 * Marks the bytes of a word that equal c with their highest bit. Above the first one there may be
 * marks too many, because the subtraction borrows; the first is always right.
 */
static inline uint64_t sse__scan_equal(uint64_t word, unsigned char c) {
  uint64_t x = word ^ SSE__SCAN_ONES * c;
  return (x - SSE__SCAN_ONES) & ~x & SSE__SCAN_HIGHS;
}

/* Marks the bytes of a word that end a line, as sse__scan_equal does. */
static inline uint64_t sse__scan_breaks(uint64_t word) {
  return sse__scan_equal(word, '\n') | sse__scan_equal(word, '\r');
}

/*
 * The index of the lowest byte that is marked. What lies below the lowest mark becomes ones, and
 * the multiplication counts the bytes among them; C11 has no call that counts zeros.
 */
static inline size_t sse__scan_first(uint64_t marks) {
  uint64_t below = (marks & (~marks + 1)) - 1;
  return (size_t)(((below & SSE__SCAN_ONES) * SSE__SCAN_ONES >> 56) - 1);
}

/*
 * Tells whether SSE__SCAN_BLOCK bytes are all ASCII above CR, so that none ends a line and all of
 * them are UTF-8. One signed comparison answers both: what is over 0x7f is negative. The 16 lanes
 * and the constant trip count make a loop that compilers turn into vector code at -O2 without being
 * told; a tab counts as not plain, which costs time and nothing else.
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
 * The length of the run of plain bytes that p begins with: all of them, or whole blocks. There is
 * at least one block of bytes; the last one looks back where they are no whole number of blocks.
 */
size_t sse__scan_plain_run(const unsigned char *p, size_t len);

#endif
