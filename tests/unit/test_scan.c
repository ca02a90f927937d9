/* SPDX-License-Identifier: MIT */
/* test_scan.c: runs of plain text against the plainest loop, with and without wide registers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/scan.h"

/* ---- what the processor is said to have ---- */

#if defined(__x86_64__) && defined(__GNUC__)

/* The compiler's runtime library keeps here what __builtin_cpu_supports looks up. */
extern struct { unsigned vendor, type, subtype, features; } __cpu_model;

#define AVX2 (1u << 10)

/* The compiler does not know that the two are one, so it is told to look anew. */
static bool has_avx2(void) {
  __asm__ volatile("" : : : "memory");
  return __builtin_cpu_supports("avx2");
}

static bool take_avx2(void) {
  bool had = has_avx2();
  __cpu_model.features &= ~AVX2;
  assert_false(has_avx2());
  return had;
}

static void give_avx2(void) {
  __cpu_model.features |= AVX2;
  assert_true(has_avx2());
}

#else

static bool take_avx2(void) {
  return false;
}

static void give_avx2(void) {
}

#endif

/* ---- the same, byte by byte ---- */

static bool is_plain(const unsigned char *p) {
  for (size_t i = 0; i < SSE__SCAN_BLOCK; i++) {
    if (p[i] <= '\r' || p[i] >= 0x80) return false;
  }
  return true;
}

static size_t run_by_bytes(const unsigned char *p, size_t len) {
  size_t i = 0;
  while (len - i >= SSE__SCAN_BLOCK && is_plain(p + i)) i += SSE__SCAN_BLOCK;
  if (len - i < SSE__SCAN_BLOCK && is_plain(p + len - SSE__SCAN_BLOCK)) return len;
  return i;
}

/* One byte that is not plain, at every place, in texts whose lengths lie around those of blocks. */
static void every_place(void) {
  static const size_t lengths[] = {128, 129, 255, 256, 257, 300, 384, 511};
  for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++) {
    size_t len = lengths[n];
    unsigned char *text = malloc(len); /* of the exact size, for sanitizers */
    assert_non_null(text);
    memset(text, 'x', len);
    assert_int_equal(sse__scan_plain_run(text, len), len);
    for (size_t at = 0; at < len; at++) {
      text[at] = '\n';
      assert_int_equal(sse__scan_plain_run(text, len), run_by_bytes(text, len));
      text[at] = 'x';
    }
    free(text);
  }
}

/* Every byte, in each of the sixteen lanes of each of the eight words of a block. */
static void every_byte(void) {
  unsigned char text[SSE__SCAN_BLOCK];
  memset(text, 'x', sizeof text);
  for (size_t at = 0; at < sizeof text; at++) {
    for (unsigned byte = 0; byte < 256; byte++) {
      text[at] = (unsigned char)byte;
      bool plain = byte > '\r' && byte < 0x80;
      assert_int_equal(sse__scan_plain_run(text, sizeof text), plain ? sizeof text : 0);
    }
    text[at] = 'x';
  }
}

static void with_and_without_wide_registers(void **state) {
  (void)state;
  bool had = take_avx2();
  every_place();
  every_byte();
  if (!had) return;
  give_avx2();
  every_place();
  every_byte();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(with_and_without_wide_registers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
