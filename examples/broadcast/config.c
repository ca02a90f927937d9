/* SPDX-License-Identifier: MIT */
/* config.c: reads a file of settings, one a line. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char space[] = " \t\r\n";

static char *trim(char *text) {
  text += strspn(text, space);
  size_t len = strlen(text);
  while (len > 0 && strchr(space, text[len - 1])) len--;
  text[len] = '\0';
  return text;
}

/* Ends the name, and gives what is behind it: a value, after an equals sign if there is one. */
static char *split(char *line) {
  char *end = line + strcspn(line, " \t=");
  char *value = end + strspn(end, " \t");
  if (*value == '=') value++;
  value += strspn(value, " \t");
  if (*end != '\0') *end = '\0';
  return value;
}

static const char *take_line(char *line, size_t len, int is_pair, config_line_fn *take, void *arg) {
  if (strlen(line) != len) return "a NUL in a line";
  line = trim(line);
  if (*line == '\0' || *line == '#') return NULL;
  if (!is_pair) return take(arg, line, "");
  char *value = split(line);
  return take(arg, line, value);
}

static int read_file(const char *path, int is_pair, config_line_fn *take, void *arg) {
  FILE *file = fopen(path, "r");
  char *line = NULL;
  size_t cap = 0;
  ssize_t len;
  unsigned number = 0;
  const char *problem = NULL;
  if (!file) {
    fprintf(stderr, "broadcast: %s: %s\n", path, strerror(errno));
    return -1;
  }
  while (!problem && (len = getline(&line, &cap, file)) >= 0) {
    number++;
    problem = take_line(line, (size_t)len, is_pair, take, arg);
  }
  if (problem)
    fprintf(stderr, "broadcast: %s:%u: %s: %s\n", path, number, is_pair ? trim(line) : "a line",
            problem);
  int failed = ferror(file);
  if (failed) fprintf(stderr, "broadcast: %s: cannot be read\n", path);
  free(line);
  fclose(file);
  return problem || failed ? -1 : 0;
}

int config_read(const char *path, config_line_fn *take, void *arg) {
  return read_file(path, 1, take, arg);
}

int config_read_lines(const char *path, config_line_fn *take, void *arg) {
  return read_file(path, 0, take, arg);
}
