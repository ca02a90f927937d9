/* SPDX-License-Identifier: MIT */
/* pattern.c: which channels a pattern covers. */
#include "pattern.h"

#include <string.h>

int pattern_prefix(const char *pattern) {
  size_t len = strlen(pattern);
  int is_prefix = len > 0 && pattern[len - 1] == '*' && (len == 1 || pattern[len - 2] == '/');
  return is_prefix ? (int)len : 0;
}

int pattern_covers(const char *pattern, const char *channel) {
  int prefix = pattern_prefix(pattern);
  return prefix ? strncmp(pattern, channel, (size_t)prefix - 1) == 0
                : strcmp(pattern, channel) == 0;
}
