/* SPDX-License-Identifier: MIT */
/* utf8.h: a check for well-formed UTF-8. */
#ifndef SSE_LIB_UTF8_H
#define SSE_LIB_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether bytes are well-formed UTF-8 (Unicode, table 3-7): no overlong form, no surrogate, nothing
 * above U+10FFFF, no incomplete character. NUL is an ordinary character. `bytes` may be NULL if
 * `len` is 0.
 */
bool sse__utf8_valid(const void *bytes, size_t len);

#endif
