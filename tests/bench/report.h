/* SPDX-License-Identifier: MIT */
/* report.h: the one table that all benchmarks print. */
#ifndef REPORT_H
#define REPORT_H

#include <stddef.h>

/* A line: what was measured of whom, as a number and as a ratio to something of the same run. */
struct report {
  const char *what, *who;
  double value;
  const char *unit;
  double *ratios; /* one for each round, an odd number of them; they get sorted; NULL: none */
  size_t ratios_count;
  const char *budget; /* at most: of the median ratio, or of the value if there is none; or NULL */
  const char *more;   /* further figures, or NULL */
};

/* The head of the table, unless BENCH_GOES_ON says that an earlier program has printed it. */
void report_head(void);
void report_line(const struct report *line);

#endif
