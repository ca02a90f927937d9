/* SPDX-License-Identifier: MIT */
/* options.h: the values of a demo's options, as getopt has just read them (optarg).
 *
 * What is none of them is told on standard error, with what is wanted, and ends the program with
 * status 2.
 */
#ifndef HTTPD_OPTIONS_H
#define HTTPD_OPTIONS_H

/* A number from min to max. */
double option_number(const char *program, const char *option, double min, double max,
                     const char *wanted);
/* The same for a number that is written in digits alone. */
unsigned option_whole_number(const char *program, const char *option, unsigned min, unsigned max,
                             const char *wanted);

#endif
