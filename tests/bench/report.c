/* SPDX-License-Identifier: MIT */
/* report.c: the one table that all benchmarks print. */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

void report_head(void) {
  if (getenv("BENCH_GOES_ON")) return;
  printf("%-42s %-16s %12s %7s %-13s %-11s\n", "what", "of", "median", "ratio", "least..most",
         "budget");
}

static int digits(double value) {
  return value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3;
}

void report_line(const struct report *line) {
  char value[32] = "", ratio[16] = "", spread[32] = "", verdict[32] = "";
  double judged = line->value;
  if (line->unit)
    snprintf(value, sizeof value, "%.*f %s", digits(line->value), line->value, line->unit);
  if (line->ratios) {
    judged = measure_median(line->ratios, line->ratios_count);
    double least = line->ratios[0], most = line->ratios[line->ratios_count - 1];
    snprintf(ratio, sizeof ratio, "%.*f", judged < 1 ? 3 : 2, judged);
    snprintf(spread, sizeof spread, "%.2f..%.2f", least, most);
  }
  if (line->budget)
    snprintf(verdict, sizeof verdict, "%s %s", line->budget,
             judged <= strtod(line->budget, NULL) ? "ok" : "over");
  printf("%-42s %-16s %12s %7s %-13s %-11s %s\n", line->what, line->who, value, ratio, spread,
         verdict, line->more ? line->more : "");
  fflush(stdout);
}
