/* SPDX-License-Identifier: MIT */
/* alloc.h: the host's allocator, as hubs and parsers take it. */
#ifndef SSE_ALLOC_H
#define SSE_ALLOC_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * realloc and free in one: size 0 frees ptr and returns NULL; ptr NULL allocates. On failure it
 * returns NULL and leaves ptr as it was. For a hub it is called from any thread, sometimes under
 * the hub's lock, and must be as safe for threads as malloc; for a parser it is called on the
 * thread that uses the parser.
 */
typedef void *sse_alloc_fn(void *arg, void *ptr, size_t size);

#ifdef __cplusplus
}
#endif
#endif
