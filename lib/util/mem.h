/* SPDX-License-Identifier: MIT */
/* mem.h: the allocator of one hub. Every byte the library takes from the heap comes through here.
 */
#ifndef SSE_LIB_MEM_H
#define SSE_LIB_MEM_H

#include <stdint.h>

#include <sse/alloc.h>
#include <sse/error.h>

struct sse__mem {
  sse_alloc_fn *alloc;
  void *arg;
};

/* alloc NULL means realloc and free of the C library. */
struct sse__mem sse__mem(sse_alloc_fn *alloc, void *arg);

/* Uninitialised bytes, or NULL. size is never 0. */
void *sse__mem_new(const struct sse__mem *mem, size_t size);
/* Bytes that are all zero, or NULL. */
void *sse__mem_zero(const struct sse__mem *mem, size_t size);
/* Grows a block to `count` items of `size` bytes; NULL, with the old block intact, when it cannot.
 */
void *sse__mem_grow(const struct sse__mem *mem, void *block, size_t count, size_t size);
/* NULL is allowed. */
void sse__mem_free(const struct sse__mem *mem, void *block);

#endif
