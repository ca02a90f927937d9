/* SPDX-License-Identifier: MIT */
/* names.c: a set of names, to find those that a list has twice. */
#include "hub/names.h"

#include <string.h>

#include "util/hash.h"

int sse__names_init(struct sse__names *names, const struct sse__mem *mem, const uint64_t seed[2],
                    size_t count) {
  size_t places = 4;
  if (count > SIZE_MAX / 8 / sizeof *names->table) return SSE_ENOMEM;
  while (places < 2 * count) places *= 2;
  names->table = sse__mem_zero(mem, places * sizeof *names->table);
  if (!names->table) return SSE_ENOMEM;
  names->mask = places - 1;
  memcpy(names->seed, seed, sizeof names->seed);
  return SSE_OK;
}

bool sse__names_add(struct sse__names *names, const char *name) {
  size_t at = (size_t)sse__hash(names->seed, name, strlen(name)) & names->mask;
  for (; names->table[at]; at = (at + 1) & names->mask) {
    if (strcmp(names->table[at], name) == 0) return false;
  }
  names->table[at] = name;
  return true;
}

void sse__names_free(struct sse__names *names, const struct sse__mem *mem) {
  sse__mem_free(mem, names->table);
}
