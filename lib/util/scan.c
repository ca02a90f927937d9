/* SPDX-License-Identifier: MIT */
/* scan.c: the length of a run of plain text, with AVX2 on processors that have it. */
#include "util/scan.h"

/*
 * Compilers build for the oldest x86-64 processors by default, whose vector registers have 16
 * bytes. Like memcpy of libc, this file asks at run time whether there are registers of 32 bytes.
 */
#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

__attribute__((target("avx2"))) static inline bool is_plain_avx2(const unsigned char *p) {
  const __m256i *at = (const __m256i *)(const void *)p, cr = _mm256_set1_epi8('\r');
  __m256i a = _mm256_cmpgt_epi8(_mm256_loadu_si256(at), cr);
  __m256i b = _mm256_cmpgt_epi8(_mm256_loadu_si256(at + 1), cr);
  __m256i c = _mm256_cmpgt_epi8(_mm256_loadu_si256(at + 2), cr);
  __m256i d = _mm256_cmpgt_epi8(_mm256_loadu_si256(at + 3), cr);
  __m256i all = _mm256_and_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, d));
  return _mm256_movemask_epi8(all) == -1;
}

__attribute__((target("avx2"))) static size_t run_avx2(const unsigned char *p, size_t len) {
  size_t i = 0;
  while (len - i >= SSE__SCAN_BLOCK && is_plain_avx2(p + i)) i += SSE__SCAN_BLOCK;
  if (len - i >= SSE__SCAN_BLOCK) return i;
  return is_plain_avx2(p + len - SSE__SCAN_BLOCK) ? len : i;
}

static bool has_avx2(void) {
  return __builtin_cpu_supports("avx2");
}

#else

static size_t run_avx2(const unsigned char *p, size_t len) {
  (void)p;
  (void)len;
  return 0;
}

static bool has_avx2(void) {
  return false;
}

#endif

static size_t run_plain(const unsigned char *p, size_t len) {
  size_t i = 0;
  while (len - i >= SSE__SCAN_BLOCK && sse__scan_plain(p + i)) i += SSE__SCAN_BLOCK;
  if (len - i >= SSE__SCAN_BLOCK) return i;
  return sse__scan_plain(p + len - SSE__SCAN_BLOCK) ? len : i;
}

size_t sse__scan_plain_run(const unsigned char *p, size_t len) {
  return has_avx2() ? run_avx2(p, len) : run_plain(p, len);
}
