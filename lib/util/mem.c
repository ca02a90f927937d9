/* SPDX-License-Identifier: MIT */
/* mem.c: the allocator of a hub or a parser. */
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

/* realloc(p, 0) is implementation-defined in C11, so free is called explicitly. */
static void *libc_alloc(void *arg, void *block, size_t size) {
  (void)arg;
  if (size == 0) {
    free(block);
    return NULL;
  }
  return realloc(block, size);
}

struct sse__mem sse__mem(sse_alloc_fn *alloc, void *arg) {
  struct sse__mem mem = {alloc ? alloc : libc_alloc, arg};
  return mem;
}

void *sse__mem_new(const struct sse__mem *mem, size_t size) {
  return mem->alloc(mem->arg, NULL, size);
}

void *sse__mem_zero(const struct sse__mem *mem, size_t size) {
  void *block = sse__mem_new(mem, size);
  if (block) memset(block, 0, size);
  return block;
}

void *sse__mem_grow(const struct sse__mem *mem, void *block, size_t count, size_t size) {
  if (count > SIZE_MAX / size) return NULL;
  return mem->alloc(mem->arg, block, count * size);
}

void sse__mem_free(const struct sse__mem *mem, void *block) {
  if (block) mem->alloc(mem->arg, block, 0);
}
