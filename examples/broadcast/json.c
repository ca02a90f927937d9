/* SPDX-License-Identifier: MIT */
/* json.c: reads one flat JSON object, strictly. */
#include "json.h"

#include <string.h>

/* Where the reader is, and the first thing that it found wrong. */
struct reader {
  char *at, *end;
  const char *problem;
};

static int refuse(struct reader *reader, const char *problem) {
  if (!reader->problem) reader->problem = problem;
  return -1;
}

static void skip_space(struct reader *reader) {
  while (reader->at < reader->end && memchr(" \t\r\n", *reader->at, 4)) reader->at++;
}

/* Takes a character, behind white space, if it is the next one. */
static int take(struct reader *reader, char c) {
  skip_space(reader);
  if (reader->at == reader->end || *reader->at != c) return 0;
  reader->at++;
  return 1;
}

/* ---- Strings ---- */

/* Four hex digits, or -1. */
static long read_hex(struct reader *reader) {
  long value = 0;
  if (reader->end - reader->at < 4) return -1;
  for (int i = 0; i < 4; i++) {
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *digit = memchr(digits, *reader->at++, sizeof digits - 1);
    if (!digit) return -1;
    long worth = (long)(digit - digits);
    value = value * 16 + (worth < 16 ? worth : worth - 6);
  }
  return value;
}

static char *write_utf8(char *out, unsigned long code) {
  if (code < 0x80) {
    *out++ = (char)code;
  } else if (code < 0x800) {
    *out++ = (char)(0xc0 | code >> 6);
  } else if (code < 0x10000) {
    *out++ = (char)(0xe0 | code >> 12);
    *out++ = (char)(0x80 | (code >> 6 & 0x3f));
  } else {
    *out++ = (char)(0xf0 | code >> 18);
    *out++ = (char)(0x80 | (code >> 12 & 0x3f));
    *out++ = (char)(0x80 | (code >> 6 & 0x3f));
  }
  if (code >= 0x80) *out++ = (char)(0x80 | (code & 0x3f));
  return out;
}

/* Behind "\u": the code point of one escape, or of two that are a pair; or -1. */
static long read_code(struct reader *reader) {
  long code = read_hex(reader);
  if (code < 0) return refuse(reader, "\\u needs four hexadecimal digits");
  if (code < 0xd800 || code > 0xdfff) return code;
  long low = -1;
  if (code < 0xdc00 && reader->end - reader->at >= 6 && reader->at[0] == '\\' &&
      reader->at[1] == 'u') {
    reader->at += 2;
    low = read_hex(reader);
  }
  if (low < 0xdc00 || low > 0xdfff) return refuse(reader, "a surrogate without its other half");
  return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

static char *read_escape(struct reader *reader, char *out) {
  static const char names[] = "\"\\/bfnrtu", values[] = "\"\\/\b\f\n\r\t";
  const char *name = reader->at < reader->end ? memchr(names, *reader->at, sizeof names - 1) : NULL;
  if (!name) {
    refuse(reader, "an unknown escape in a string");
    return NULL;
  }
  reader->at++;
  if (*name != 'u') {
    *out++ = values[name - names];
    return out;
  }
  long code = read_code(reader);
  return code < 0 ? NULL : write_utf8(out, (unsigned long)code);
}

/* What is decoded is never longer, so it takes the place of what was read. */
static int read_string(struct reader *reader, struct json_string *string) {
  if (!take(reader, '"')) return refuse(reader, "a string is missing");
  char *out = reader->at;
  string->text = out;
  while (reader->at < reader->end && *reader->at != '"') {
    char c = *reader->at++;
    if ((unsigned char)c < 0x20) return refuse(reader, "a control character in a string");
    if (c != '\\') {
      *out++ = c;
    } else if (!(out = read_escape(reader, out))) {
      return -1;
    }
  }
  if (reader->at == reader->end) return refuse(reader, "a string without end");
  reader->at++;
  *out = '\0';
  string->len = (size_t)(out - string->text);
  return 0;
}

/* ---- Values ---- */

static int add_string(struct reader *reader, struct json_object *object,
                      struct json_member *member) {
  if (object->strings_count == JSON_STRINGS_MAX) return refuse(reader, "too many strings");
  if (read_string(reader, &object->strings[object->strings_count]) != 0) return -1;
  object->strings_count++;
  member->count++;
  return 0;
}

static int read_array(struct reader *reader, struct json_object *object,
                      struct json_member *member) {
  member->kind = JSON_STRINGS;
  reader->at++;
  if (take(reader, ']')) return 0;
  do
    if (add_string(reader, object, member) != 0) return -1;
  while (take(reader, ','));
  return take(reader, ']') ? 0 : refuse(reader, "an array without end");
}

static int read_word(struct reader *reader, const char *word) {
  size_t len = strlen(word);
  if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, word, len) != 0) return 0;
  reader->at += len;
  return 1;
}

static int read_value(struct reader *reader, struct json_object *object,
                      struct json_member *member) {
  skip_space(reader);
  member->strings = &object->strings[object->strings_count];
  member->count = 0;
  char c = '\0';
  if (reader->at < reader->end) c = *reader->at;
  if (c == '[') return read_array(reader, object, member);
  if (c == '"') {
    member->kind = JSON_STRING;
    return add_string(reader, object, member);
  }
  member->kind = JSON_BOOLEAN;
  member->truth = read_word(reader, "true");
  if (member->truth || read_word(reader, "false")) return 0;
  return refuse(reader, "a value that is neither a string, a boolean nor an array of strings");
}

static int read_member(struct reader *reader, struct json_object *object) {
  struct json_string name = {.text = ""};
  if (object->count == JSON_MEMBERS_MAX) return refuse(reader, "too many members");
  if (read_string(reader, &name) != 0) return -1;
  if (strlen(name.text) != name.len) return refuse(reader, "a name with a NUL");
  for (size_t i = 0; i < object->count; i++)
    if (strcmp(object->members[i].name, name.text) == 0)
      return refuse(reader, "a name that occurs twice");
  if (!take(reader, ':')) return refuse(reader, "a colon is missing");
  object->members[object->count].name = name.text;
  return read_value(reader, object, &object->members[object->count++]);
}

const char *json_read(struct json_object *object, char *text, size_t len) {
  struct reader reader = {.at = text, .end = text + len};
  object->count = object->strings_count = 0;
  if (!take(&reader, '{')) return "not a JSON object";
  if (!take(&reader, '}')) {
    do
      if (read_member(&reader, object) != 0) return reader.problem;
    while (take(&reader, ','));
    if (!take(&reader, '}')) return "an object without end";
  }
  skip_space(&reader);
  return reader.at == reader.end ? NULL : "something behind the object";
}
