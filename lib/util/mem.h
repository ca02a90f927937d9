/* SPDX-License-Identifier: MIT */
/* mem.h: the allocator of a hub or a parser; the library takes no memory past it. */
#ifndef SSE_LIB_MEM_H
#define SSE_LIB_MEM_H

#include <stdint.h>

#include <sse/alloc.h>
#include <sse/error.h>

struct sse__mem {
  sse_alloc_fn *alloc; /* the host's function, or one on realloc and free */
  void *arg;           /* its first argument */
};

/* Makes an allocator; with alloc NULL it uses realloc and free of the C library. */
struct sse__mem sse__mem(sse_alloc_fn *alloc, void *arg);

/* Allocates uninitialised bytes; size is never 0. NULL without memory. */
void *sse__mem_new(const struct sse__mem *mem, size_t size);
/* Allocates bytes that are zero. NULL without memory. */
void *sse__mem_zero(const struct sse__mem *mem, size_t size);
/*
 * Resizes a block, which may be NULL, to `count` items of `size` bytes. NULL without memory: the
 * old block is then unchanged.
 */
void *sse__mem_grow(const struct sse__mem *mem, void *block, size_t count, size_t size);
/* Frees a block, which may be NULL. */
void sse__mem_free(const struct sse__mem *mem, void *block);

#endif
