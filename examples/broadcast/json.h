/* SPDX-License-Identifier: MIT */
/* json.h: reads one flat JSON object: the line of an NDJSON body. */
#ifndef BROADCAST_JSON_H
#define BROADCAST_JSON_H

#include <stddef.h>

#define JSON_MEMBERS_MAX 16
#define JSON_STRINGS_MAX 300 /* in one object, those in arrays included */

enum json_kind {
  JSON_STRING,
  JSON_BOOLEAN,
  JSON_STRINGS /* an array of strings */
};

struct json_string {
  const char *text; /* decoded; ended by NUL, and may contain NUL */
  size_t len;
};

struct json_member {
  const char *name; /* without NUL */
  enum json_kind kind;
  int truth;                   /* JSON_BOOLEAN */
  struct json_string *strings; /* one, or those of an array */
  size_t count;
};

struct json_object {
  struct json_member members[JSON_MEMBERS_MAX];
  size_t count;
  struct json_string strings[JSON_STRINGS_MAX];
  size_t strings_count;
};

/*
 * Reads an object whose members are strings, booleans and arrays of strings, as RFC 8259 writes
 * them. Other values, a name that occurs twice and a lone surrogate are refused. The text is decoded
 * in place, must have room for a NUL behind it, and is used by the object.
 *
 * NULL, or what is wrong: a literal.
 */
const char *json_read(struct json_object *object, char *text, size_t len);

#endif
