/* SPDX-License-Identifier: MIT */
/* measure.h: time, medians and spreads for the benchmarks. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stddef.h>

double measure_now_ns(void);

/* The median of an odd number of values; sorts them, so that the first is the least. */
double measure_median(double *values, size_t count);

#endif
