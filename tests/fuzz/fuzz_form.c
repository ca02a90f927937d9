/* SPDX-License-Identifier: MIT */
/* fuzz_form.c: what forms and lines of JSON say survives being written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/broadcast/json.c"
#include "../../examples/broadcast/text.c"
#include "../../examples/httpd/form.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds) {
  if (!holds) abort();
}

/* ---- Forms ---- */

static void add_escaped(struct text *text, const char *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) text_add(text, "%%%02x", (unsigned)(unsigned char)bytes[i]);
}

static void try_form(const char *bytes, size_t len) {
  struct form form, again;
  struct text text = {.len = 0};
  if (form_read(&form, bytes, len) != 0) {
    require(form.count == 0 && !form.fields);
    return;
  }
  for (size_t i = 0; i < form.count; i++) {
    add_escaped(&text, form.fields[i].name, strlen(form.fields[i].name));
    text_add(&text, "=");
    add_escaped(&text, form.fields[i].value, form.fields[i].len);
    text_add(&text, "&");
  }
  require(form_read(&again, text.bytes ? text.bytes : "", text.len) == 0);
  require(again.count == form.count);
  for (size_t i = 0; i < form.count; i++) {
    const struct form_field *a = &form.fields[i], *b = &again.fields[i];
    require(strcmp(a->name, b->name) == 0 && a->len == b->len);
    require(memcmp(a->value, b->value, a->len + 1) == 0);
  }
  text_free(&text);
  form_free(&form);
  form_free(&again);
}

/* ---- JSON ---- */

static void write_object(struct text *text, const struct json_object *object) {
  text_add(text, "{");
  for (size_t i = 0; i < object->count; i++) {
    const struct json_member *member = &object->members[i];
    text_add(text, i ? "," : "");
    text_add_json(text, member->name, strlen(member->name));
    text_add(text, ":");
    if (member->kind == JSON_BOOLEAN) text_add(text, member->truth ? "true" : "false");
    if (member->kind == JSON_STRINGS) text_add(text, "[");
    for (size_t s = 0; s < member->count; s++) {
      text_add(text, s ? "," : "");
      text_add_json(text, member->strings[s].text, member->strings[s].len);
    }
    if (member->kind == JSON_STRINGS) text_add(text, "]");
  }
  text_add(text, "}");
}

static void compare(const struct json_object *a, const struct json_object *b) {
  require(a->count == b->count && a->strings_count == b->strings_count);
  for (size_t i = 0; i < a->count; i++) {
    const struct json_member *first = &a->members[i], *second = &b->members[i];
    require(strcmp(first->name, second->name) == 0 && first->kind == second->kind);
    require(first->count == second->count);
    if (first->kind == JSON_BOOLEAN) require(first->truth == second->truth);
  }
  for (size_t s = 0; s < a->strings_count; s++) {
    require(a->strings[s].len == b->strings[s].len);
    require(memcmp(a->strings[s].text, b->strings[s].text, a->strings[s].len + 1) == 0);
  }
}

static void try_json(const char *bytes, size_t len) {
  struct json_object object, again;
  struct text text = {.len = 0};
  char *copy = malloc(len + 1);
  if (!copy) return;
  memcpy(copy, bytes, len);
  if (!json_read(&object, copy, len)) {
    write_object(&text, &object);
    require(text_room(&text, 1) != NULL);
    require(json_read(&again, text.bytes, text.len) == NULL);
    compare(&object, &again);
  }
  text_free(&text);
  free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  if (*data == '{')
    try_json((const char *)data, size);
  else
    try_form((const char *)data, size);
  return 0;
}
