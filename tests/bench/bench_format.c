/* SPDX-License-Identifier: MIT */
/* bench_format.c: what sse_format costs, as a multiple of a memcpy of the same bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "report.h"
#include "sse/format.h"

#define ROUNDS      15       /* odd, so that there is a median */
#define ROUND_BYTES 16777216 /* copied in each half of a round */
#define DATA_MAX    65536

/* Called through a pointer that the compiler must read, so that no copy is left out or inlined. */
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;

/* The two are half a page apart in their offsets: at the same offset every load seems to depend on
 * a store before it (4K aliasing), and memcpy itself takes ten times as long. */
static _Alignas(4096) char arena[2048 + 9 * DATA_MAX];
static char *const data = arena, *const out = arena + DATA_MAX + 2048;

/* Fills data with so many bytes of this pattern, cut at whole characters and padded with 'x'. */
static void fill(const char *pattern, size_t len) {
  size_t unit = strlen(pattern), i = 0;
  for (; i + unit <= len; i += unit) memcpy(data + i, pattern, unit);
  memset(data + i, 'x', len - i);
}

static double time_copy(size_t len, long times) {
  double start = measure_now_ns();
  for (long i = 0; i < times; i++) copy(out + 6, data, len);
  return (measure_now_ns() - start) / (double)times;
}

static double time_format(const sse_event *ev, long times) {
  double start = measure_now_ns();
  for (long i = 0; i < times; i++) {
    if (sse_format(out, 8 * DATA_MAX, ev) < 0) abort();
  }
  return (measure_now_ns() - start) / (double)times;
}

/* One row: the two are timed in turn, and the ratio is taken within a round, so that a change of
 * the clock or a neighbour's work meets both. */
static void row(const char *name, size_t len, const char *budget) {
  sse_event ev = {.data = data, .data_len = len};
  long times = ROUND_BYTES / (long)(len + 192);
  double copied[ROUNDS], formatted[ROUNDS], ratio[ROUNDS];
  char what[64], more[64];
  time_copy(len, times);
  time_format(&ev, times);
  for (int i = 0; i < ROUNDS; i++) {
    copied[i] = time_copy(len, times);
    formatted[i] = time_format(&ev, times);
    ratio[i] = formatted[i] / copied[i];
  }
  snprintf(what, sizeof what, "format, %s, %zu B", name, len);
  snprintf(more, sizeof more, "memcpy %.1f ns", measure_median(copied, ROUNDS));
  report_line(&(struct report){.what = what,
                               .who = "sse_format",
                               .value = measure_median(formatted, ROUNDS),
                               .unit = "ns",
                               .ratios = ratio,
                               .ratios_count = ROUNDS,
                               .budget = budget,
                               .more = more});
}

int main(void) {
  static const struct {
    const char *name, *pattern;
  } kinds[] = {
      {"one line, ASCII", "{\"price\":1234.5,\"symbol\":\"ABC\"} "},
      {"lines of 80, ASCII",
       "The quick brown fox jumps over the lazy dog, and then it does so once "
       "more: hop!\n"},
      {"lines of 16, ASCII", "fifteen letters\n"},
      {"lines of 1 to 20, ASCII", "a\nfour\nfifteen letters\n\ntwenty letters in all\n"},
      {"one line, tabs", "column\tanother\tthird\t"},
      {"one line, German", "Zw\xc3\xb6lf Boxk\xc3\xa4mpfer jagen Viktor quer \xc3\xbc"
                           "ber den Sylter Deich. "},
      {"one line, Greek",
       "\xce\xbe\xce\xb5\xcf\x83\xce\xba\xce\xb5\xcf\x80\xce\xac\xce\xb6\xcf\x89"},
      {"one line, Chinese", "\xe6\x88\x91\xe8\x83\xbd\xe5\x90\x9e\xe4\xb8\x8b\xe7\x8e\xbb"},
  };
  static const size_t sizes[] = {64, 1024, DATA_MAX};
  report_head();
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
      fill(kinds[k].pattern, sizes[s]);
      row(kinds[k].name, sizes[s], k == 0 && sizes[s] == 1024 ? "2" : NULL);
    }
  }
  return 0;
}
