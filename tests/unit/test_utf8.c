/* SPDX-License-Identifier: MIT */
/* test_utf8.c: what is UTF-8 and what is not, at every place in a block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/utf8.h"

#define TEXT_MAX 100 /* three blocks of the check and a rest */

/* The rules once more, written as table 3-7 of Unicode reads: the length of one character, or 0. */
static size_t character(const unsigned char *p, size_t len) {
  static const struct {
    unsigned char first, last, second_low, second_high;
    size_t len;
  } rows[] = {
      {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
      {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
      {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    if (p[0] < rows[r].first || p[0] > rows[r].last) continue;
    if (len < rows[r].len) return 0;
    if (rows[r].len > 1 && (p[1] < rows[r].second_low || p[1] > rows[r].second_high)) return 0;
    for (size_t i = 2; i < rows[r].len; i++)
      if ((p[i] & 0xc0) != 0x80) return 0;
    return rows[r].len;
  }
  return 0;
}

static bool valid_by_table(const unsigned char *p, size_t len) {
  for (size_t n; len > 0; p += n, len -= n)
    if ((n = character(p, len)) == 0) return false;
  return true;
}

static const struct {
  const char *name, *bytes;
  size_t len;
  bool valid;
} rows[] = {
#define ROW(name, bytes, valid)                                                                    \
  { name, bytes, sizeof(bytes) - 1, valid }
    ROW("empty", "", true),
    ROW("ASCII", "hello", true),
    ROW("NUL", "a\0b", true),
    ROW("DEL", "\x7f", true),
    ROW("U+0080", "\xc2\x80", true),
    ROW("U+07FF", "\xdf\xbf", true),
    ROW("U+0800", "\xe0\xa0\x80", true),
    ROW("U+D7FF, before the surrogates", "\xed\x9f\xbf", true),
    ROW("U+E000, behind the surrogates", "\xee\x80\x80", true),
    ROW("U+FFFF, a noncharacter", "\xef\xbf\xbf", true),
    ROW("U+10000", "\xf0\x90\x80\x80", true),
    ROW("U+10FFFF", "\xf4\x8f\xbf\xbf", true),
    ROW("byte order mark", "\xef\xbb\xbfx", true),
    ROW("lone tail", "\x80", false),
    ROW("tail too many", "\xc3\xa4\xa4", false),
    ROW("overlong /, two bytes", "\xc0\xaf", false),
    ROW("overlong DEL", "\xc1\xbf", false),
    ROW("overlong /, three bytes", "\xe0\x80\xaf", false),
    ROW("overlong U+07FF", "\xe0\x9f\xbf", false),
    ROW("overlong U+FFFF", "\xf0\x8f\xbf\xbf", false),
    ROW("overlong LF", "\xc0\x8a", false),
    ROW("U+D800", "\xed\xa0\x80", false),
    ROW("U+DFFF", "\xed\xbf\xbf", false),
    ROW("surrogate pair (CESU-8)", "\xed\xa0\xbd\xed\xb8\x80", false),
    ROW("U+110000", "\xf4\x90\x80\x80", false),
    ROW("lead F5", "\xf5\x80\x80\x80", false),
    ROW("FE", "\xfe", false),
    ROW("FF", "\xff", false),
    ROW("cut after one of two", "\xc3", false),
    ROW("cut after two of three", "\xe2\x82", false),
    ROW("cut after three of four", "\xf0\x9f\x98", false),
    ROW("lead where a tail is due", "\xe2\xc3\xa4", false),
    ROW("ASCII where a tail is due", "\xe2\x82x", false),
    ROW("Latin-1", "Z\xfcrich", false),
#undef ROW
};

static void every_row_at_every_offset(void **state) {
  (void)state;
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    for (size_t at = 0; at + rows[r].len <= TEXT_MAX; at++) {
      unsigned char text[TEXT_MAX];
      memset(text, 'x', sizeof text);
      memcpy(text + at, rows[r].bytes, rows[r].len);
      if (sse__utf8_valid(text, at + rows[r].len) != rows[r].valid)
        fail_msg("%s, at the end, offset %zu", rows[r].name, at);
      if (sse__utf8_valid(text, sizeof text) != rows[r].valid)
        fail_msg("%s, in the middle, offset %zu", rows[r].name, at);
    }
  }
}

static void nothing_at_nowhere(void **state) {
  (void)state;
  assert_true(sse__utf8_valid(NULL, 0));
}

/* A character may not be cut by a block of ASCII, however well its two parts fit. */
static void no_character_around_a_block(void **state) {
  char text[96];
  (void)state;
  for (size_t at = 0; at + 33 < sizeof text; at++) {
    memset(text, 'x', sizeof text);
    text[at] = '\xc3';
    text[at + 33] = '\xa4';
    assert_false(sse__utf8_valid(text, sizeof text));
  }
}

/* Every text of up to three bytes, and of four where the last two come from the edges. */
static void every_short_text(void **state) {
  static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc2, 0xff};
  (void)state;
  for (unsigned i = 0; i < 1u << 16; i++) {
    unsigned char text[4] = {(unsigned char)(i >> 8), (unsigned char)i};
    assert_int_equal(sse__utf8_valid(text, 1), valid_by_table(text, 1));
    assert_int_equal(sse__utf8_valid(text, 2), valid_by_table(text, 2));
    for (unsigned third = 0; third < 256; third++) {
      text[2] = (unsigned char)third;
      if (sse__utf8_valid(text, 3) != valid_by_table(text, 3))
        fail_msg("%02x %02x %02x", text[0], text[1], text[2]);
    }
    for (size_t e = 0; e < sizeof edges * sizeof edges; e++) {
      text[2] = edges[e / sizeof edges];
      text[3] = edges[e % sizeof edges];
      if (sse__utf8_valid(text, 4) != valid_by_table(text, 4))
        fail_msg("%02x %02x %02x %02x", text[0], text[1], text[2], text[3]);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_at_every_offset),
      cmocka_unit_test(nothing_at_nowhere),
      cmocka_unit_test(no_character_around_a_block),
      cmocka_unit_test(every_short_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
