/* SPDX-License-Identifier: MIT */
/* json.h: a strict reader of JSON (RFC 8259), for what libsse writes: of \u it takes lower case,
 * and ASCII alone without NUL. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the bytes are UTF-8, without surrogates and overlong forms (RFC 3629). */
bool json_utf8(const char *bytes, size_t len);

/* Whether the text is one JSON value, in UTF-8. */
bool json_valid(const char *text, size_t len);

/*
 * Looks in an object for a member that is a string, and decodes it; `to` has room for len + 1
 * bytes, and is ended by a NUL. Returns how many members have that name and are strings; the last
 * of them is decoded. The text must be valid.
 */
size_t json_string(const char *text, size_t len, const char *name, char *to);

#endif
