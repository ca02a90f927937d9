/* SPDX-License-Identifier: MIT */
/* alloc.h: the host's memory allocator, for hubs and parsers. */
#ifndef SSE_ALLOC_H
#define SSE_ALLOC_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * realloc and free in one function: size 0 frees ptr and returns NULL; ptr NULL allocates. On
 * failure it returns NULL and leaves ptr unchanged. A hub calls it on any thread, sometimes with
 * the hub's lock held, so it must be as thread-safe as malloc and must not call libsse. A parser
 * calls it on the thread that uses the parser.
 */
typedef void *sse_alloc_fn(void *arg, void *ptr, size_t size);

#ifdef __cplusplus
}
#endif
#endif
