/* SPDX-License-Identifier: MIT */
/* hash.h: SipHash-1-3, a keyed hash: without the key nobody can choose names that collide. */
#ifndef SSE_LIB_HASH_H
#define SSE_LIB_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Hashes `len` bytes with a secret key. */
uint64_t sse__hash(const uint64_t key[2], const void *data, size_t len);

#endif
