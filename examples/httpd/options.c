/* SPDX-License-Identifier: MIT */
/* options.c: the values of a demo's options. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void refuse(const char *program, const char *option, const char *wanted) {
  fprintf(stderr, "%s: --%s %s: %s; see --help\n", program, option, optarg, wanted);
  exit(2);
}

double option_number(const char *program, const char *option, double min, double max,
                     const char *wanted) {
  char *end;
  double result = strtod(optarg, &end);
  if (end == optarg || *end != '\0' || !(result >= min && result <= max))
    refuse(program, option, wanted);
  return result;
}

unsigned option_whole_number(const char *program, const char *option, unsigned min, unsigned max,
                             const char *wanted) {
  if (*optarg == '\0' || optarg[strspn(optarg, "0123456789")] != '\0')
    refuse(program, option, wanted);
  return (unsigned)option_number(program, option, min, max, wanted);
}
