/* SPDX-License-Identifier: MIT */
/* nats_json.c: finds values in the JSON that JetStream answers with. */
#include "nats_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *at) {
  return at + strspn(at, " \t\r\n");
}

/* What stands behind a string; NULL: it has no end. */
static const char *skip_string(const char *at) {
  for (at++; *at != '"'; at++) {
    if (*at == '\\' && at[1]) at++;
    if (!*at) return NULL;
  }
  return at + 1;
}

/* What stands behind a value. Of objects and arrays only the nesting is looked at. */
static const char *skip_value(const char *at) {
  size_t depth = 0;
  do {
    at = skip_space(at);
    if (!*at) return NULL;
    if (*at == '"') {
      at = skip_string(at);
      if (!at) return NULL;
    } else if (*at == '{' || *at == '[') {
      depth++;
      at++;
    } else if (*at == '}' || *at == ']') {
      if (depth-- == 0) return NULL;
      at++;
    } else if (depth > 0 && (*at == ',' || *at == ':')) {
      at++;
    } else {
      size_t len = strcspn(at, ",:{}[]\" \t\r\n");
      if (len == 0) return NULL;
      at += len;
    }
  } while (depth > 0);
  return at;
}

/* The value of a member of the object at this place. */
static const char *find_member(const char *at, const char *name, size_t name_len) {
  at = skip_space(at);
  if (*at != '{') return NULL;
  do {
    const char *key = skip_space(at + 1);
    if (*key != '"') return NULL;
    const char *end = skip_string(key);
    if (!end) return NULL;
    at = skip_space(end);
    if (*at != ':') return NULL;
    at = skip_space(at + 1);
    if ((size_t)(end - key) == name_len + 2 && memcmp(key + 1, name, name_len) == 0) return at;
    at = skip_value(at);
    if (!at) return NULL;
    at = skip_space(at);
  } while (*at == ',');
  return NULL;
}

const char *json_find(const char *text, const char *path, size_t *len) {
  const char *at = text;
  while (at && *path) {
    size_t name_len = strcspn(path, ".");
    at = find_member(at, path, name_len);
    path += name_len;
    if (*path == '.') path++;
  }
  const char *end = at ? skip_value(at) : NULL;
  if (end) *len = (size_t)(end - at);
  return end ? at : NULL;
}

int json_number(const char *text, const char *path, uint64_t *number) {
  size_t len;
  char *end;
  const char *value = json_find(text, path, &len);
  if (!value || *value < '0' || *value > '9') return 0;
  errno = 0;
  uint64_t result = strtoull(value, &end, 10);
  if (errno || end != value + len) return 0;
  *number = result;
  return 1;
}

void json_string(const char *text, const char *path, char *string, size_t cap) {
  size_t len;
  const char *value = json_find(text, path, &len);
  *string = '\0';
  if (!value || *value != '"') return;
  len = len - 2 < cap ? len - 2 : cap - 1;
  memcpy(string, value + 1, len);
  string[len] = '\0';
}

int json_has(const char *text, const char *path, const char *string) {
  size_t len, wanted = strlen(string);
  const char *at = json_find(text, path, &len);
  if (!at || *at != '[') return 0;
  const char *end = at + len;
  for (at = skip_space(at + 1); at && at < end && *at == '"'; at = skip_space(at)) {
    const char *behind = skip_string(at);
    if (!behind) return 0;
    if ((size_t)(behind - at) == wanted + 2 && memcmp(at + 1, string, wanted) == 0) return 1;
    at = skip_space(behind);
    if (*at == ',') at++;
  }
  return 0;
}
