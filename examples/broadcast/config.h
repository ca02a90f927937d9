/* SPDX-License-Identifier: MIT */
/* config.h: reads a file of settings, one a line. */
#ifndef BROADCAST_CONFIG_H
#define BROADCAST_CONFIG_H

/* Takes one line; NULL, or what is wrong with it. The strings are valid for the call. */
typedef const char *config_line_fn(void *arg, const char *name, const char *value);

/*
 * Reads lines of the form `name value` or `name = value`. Blank lines are skipped, and those that
 * begin with #. White space around both is not part of them; a line may have no value, which is "".
 * 0; or -1 after a line on stderr that
 * names the file and the line, and what is wrong.
 */
int config_read(const char *path, config_line_fn *take, void *arg);

/* The same for lines that are one value each: `value` is "". */
int config_read_lines(const char *path, config_line_fn *take, void *arg);

#endif
