/* SPDX-License-Identifier: MIT */
/* utf8.h: is it UTF-8? */
#ifndef SSE__UTF8_H
#define SSE__UTF8_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Tells whether bytes are well-formed UTF-8 (Unicode, table 3-7): no overlong form, no surrogate,
 * nothing above U+10FFFF, nothing cut off. NUL is a character like any other. bytes may be NULL if
 * len is 0.
 */
bool sse__utf8_valid(const void *bytes, size_t len);

#endif
