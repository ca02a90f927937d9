/* SPDX-License-Identifier: MIT */
/* names.h: a set of names, to find those that a list has twice. */
#ifndef SSE_LIB_NAMES_H
#define SSE_LIB_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "util/mem.h"

/* A hash table with open addressing, which holds at most half of what it has places for. */
struct sse__names {
  const char **table; /* the names, which are the caller's; NULL: a free place */
  size_t mask;        /* number of places less one; that number is a power of two */
  uint64_t seed[2];   /* the secret key of the hash */
};

/* Makes an empty set for up to `count` names: 0 or SSE_ENOMEM. */
int sse__names_init(struct sse__names *names, const struct sse__mem *mem, const uint64_t seed[2],
                    size_t count);
/* Adds a name: false if the set has it already. */
bool sse__names_add(struct sse__names *names, const char *name);
/* Frees the set, not the names. */
void sse__names_free(struct sse__names *names, const struct sse__mem *mem);

#endif
