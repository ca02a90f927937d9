/* SPDX-License-Identifier: MIT */
/* json.c: a strict reader of JSON. */
#include "json.h"

#include <stdint.h>
#include <string.h>

#define DEPTH_MAX 8

struct json {
  const char *at, *end;
};

/* UTF-8 ----------------------------------------------------------------------------------------*/

/* The length of the character that the bytes begin with; 0 if they begin with none. */
static size_t character(const unsigned char *at, size_t left) {
  static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (*at < 0x80) return 1;
  size_t len = *at >> 5 == 6 ? 2 : *at >> 4 == 14 ? 3 : *at >> 3 == 30 ? 4 : 0;
  if (len == 0 || len > left) return 0;
  uint32_t code = *at & (0x7fu >> len);
  for (size_t i = 1; i < len; i++) {
    if (at[i] >> 6 != 2) return 0;
    code = code << 6 | (at[i] & 0x3f);
  }
  bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return code < lowest[len] || code > 0x10ffff || surrogate ? 0 : len;
}

bool json_utf8(const char *bytes, size_t len) {
  size_t step = 1;
  for (size_t i = 0; i < len && step > 0; i += step) {
    step = character((const unsigned char *)bytes + i, len - i);
  }
  return step > 0;
}

/* JSON -----------------------------------------------------------------------------------------*/

static void space(struct json *json) {
  while (json->at < json->end && *json->at != '\0' && strchr(" \t\n\r", *json->at)) json->at++;
}

static bool take(struct json *json, char c) {
  if (json->at == json->end || *json->at != c) return false;
  json->at++;
  return true;
}

static bool take_word(struct json *json, const char *word) {
  size_t len = strlen(word);
  if ((size_t)(json->end - json->at) < len || memcmp(json->at, word, len) != 0) return false;
  json->at += len;
  return true;
}

static bool digits(struct json *json) {
  const char *first = json->at;
  while (json->at < json->end && *json->at >= '0' && *json->at <= '9') json->at++;
  return json->at > first;
}

static bool number(struct json *json) {
  take(json, '-');
  if (!take(json, '0') && !digits(json)) return false;
  if (take(json, '.') && !digits(json)) return false;
  if (!take(json, 'e') && !take(json, 'E')) return true;
  if (!take(json, '+')) take(json, '-');
  return digits(json);
}

/* What is behind a backslash; -1: it is wrong, or no ASCII. */
static int escape(struct json *json) {
  static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
  static const char hex[] = "0123456789abcdef";
  if (json->at == json->end || *json->at == '\0') return -1;
  char c = *json->at++;
  const char *name = strchr(names, c);
  if (name) return bytes[name - names];
  if (c != 'u' || !take_word(json, "00") || json->end - json->at < 2) return -1;
  const char *high = memchr(hex, json->at[0], 8), *low = memchr(hex, json->at[1], 16);
  json->at += 2;
  int code = high && low ? (int)((high - hex) << 4 | (low - hex)) : 0;
  return code > 0 ? code : -1;
}

/* Decodes to `to` and ends it with a NUL, if it is not NULL. */
static bool string(struct json *json, char *to) {
  if (!take(json, '"')) return false;
  while (json->at < json->end) {
    char c = *json->at++;
    if (c == '"') {
      if (to) *to = '\0';
      return true;
    }
    if ((unsigned char)c < 0x20) return false;
    if (c == '\\') {
      int meant = escape(json);
      if (meant < 0) return false;
      c = (char)meant;
    }
    if (to) *to++ = c;
  }
  return false;
}

static bool value(struct json *json, int depth);

/* The members of an object, or the elements of an array, behind the bracket that opens it. */
static bool members(struct json *json, char close, int depth) {
  space(json);
  if (take(json, close)) return true;
  do {
    space(json);
    if (close == '}') {
      if (!string(json, NULL)) return false;
      space(json);
      if (!take(json, ':')) return false;
    }
    if (!value(json, depth + 1)) return false;
    space(json);
  } while (take(json, ','));
  return take(json, close);
}

static bool value(struct json *json, int depth) {
  if (depth > DEPTH_MAX) return false;
  space(json);
  if (json->at == json->end) return false;
  switch (*json->at) {
  case '"':
    return string(json, NULL);
  case '{':
    json->at++;
    return members(json, '}', depth);
  case '[':
    json->at++;
    return members(json, ']', depth);
  case 't':
    return take_word(json, "true");
  case 'f':
    return take_word(json, "false");
  case 'n':
    return take_word(json, "null");
  default:
    return number(json);
  }
}

bool json_valid(const char *text, size_t len) {
  struct json json = {text, text + len};
  if (!json_utf8(text, len) || !value(&json, 0)) return false;
  space(&json);
  return json.at == json.end;
}

size_t json_string(const char *text, size_t len, const char *name, char *to) {
  struct json json = {text, text + len};
  size_t count = 0;
  space(&json);
  if (!take(&json, '{')) return 0;
  do {
    space(&json);
    const char *start = json.at + 1;
    if (!string(&json, NULL)) return count;
    bool named =
        (size_t)(json.at - 1 - start) == strlen(name) && memcmp(start, name, strlen(name)) == 0;
    space(&json);
    take(&json, ':');
    space(&json);
    if (named && json.at < json.end && *json.at == '"') {
      count++;
      string(&json, to);
    } else {
      value(&json, 1);
    }
    space(&json);
  } while (take(&json, ','));
  return count;
}
