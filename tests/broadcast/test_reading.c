/* SPDX-License-Identifier: MIT */
/* test_reading.c: what the broadcast server reads: forms, JSON, and JSON strings that it writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "../../examples/broadcast/json.c"
#include "../../examples/broadcast/text.c"
#include "../../examples/httpd/form.c"

/* Bytes of a literal, NULs included. */
#define BYTES(text) (text), sizeof(text) - 1

/* ---- Forms ---- */

static void forms(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t len;
    int status;
    const char *want; /* name=value|name=value| */
    size_t want_len;
  } rows[] = {
      {BYTES(""), 0, BYTES("")},
      {BYTES("&&"), 0, BYTES("")},
      {BYTES("a=b"), 0, BYTES("a=b|")},
      {BYTES("a=b&a=c&"), 0, BYTES("a=b|a=c|")},
      {BYTES("a"), 0, BYTES("a=|")},
      {BYTES("=a"), 0, BYTES("=a|")},
      {BYTES("a=b=c"), 0, BYTES("a=b=c|")},
      {BYTES("a+b=c+d"), 0, BYTES("a b=c d|")},
      {BYTES("%61=%C3%bc%26%3d%25"), 0, BYTES("a=\xc3\xbc&=%|")},
      {BYTES("a=b%00c"), 0, BYTES("a=b\0c|")},
      {BYTES("a=b\0c"), 0, BYTES("a=b\0c|")},
      {BYTES("a=%"), 400, BYTES("")},
      {BYTES("a=%4"), 400, BYTES("")},
      {BYTES("a=%4&b=c"), 400, BYTES("")},
      {BYTES("a=%g0"), 400, BYTES("")},
      {BYTES("a=%0g"), 400, BYTES("")},
      {BYTES("%"), 400, BYTES("")},
      {BYTES("a%00=b"), 400, BYTES("")},
      {BYTES("a\0=b"), 400, BYTES("")},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    /* Exactly as long as it is, so that a sanitizer sees what is read behind it. */
    char *exact = malloc(rows[i].len + !rows[i].len);
    char got[256], *at = got;
    struct form form;
    assert_non_null(exact);
    memcpy(exact, rows[i].text, rows[i].len);
    if (form_read(&form, exact, rows[i].len) != rows[i].status)
      fail_msg("%s: not %d", rows[i].text, rows[i].status);
    for (size_t f = 0; f < form.count; f++) {
      at = stpcpy(stpcpy(at, form.fields[f].name), "=");
      memcpy(at, form.fields[f].value, form.fields[f].len + 1);
      at = stpcpy(at + form.fields[f].len, "|");
    }
    if ((size_t)(at - got) != rows[i].want_len || memcmp(got, rows[i].want, rows[i].want_len) != 0)
      fail_msg("%s: want %s, got %.*s", rows[i].text, rows[i].want, (int)(at - got), got);
    form_free(&form);
    free(exact);
  }
}

static void fields_are_limited(void **state) {
  (void)state;
  char text[2 * (FORM_FIELDS_MAX + 1)];
  struct form form;
  memset(text, '&', sizeof text);
  for (size_t i = 0; i < sizeof text; i += 2) text[i] = 'a';
  assert_int_equal(form_read(&form, text, sizeof text), 413);
  assert_int_equal(form_read(&form, text, sizeof text - 2), 0);
  assert_int_equal(form.count, FORM_FIELDS_MAX);
  form_free(&form);
}

/* ---- JSON ---- */

/* name:s(text) name:t name:f name:[text,text] */
static size_t describe(const struct json_object *object, char *at) {
  char *begin = at;
  for (size_t i = 0; i < object->count; i++) {
    const struct json_member *member = &object->members[i];
    at += sprintf(at, "%s:", member->name);
    if (member->kind == JSON_BOOLEAN) at += sprintf(at, "%c ", member->truth ? 't' : 'f');
    if (member->kind == JSON_BOOLEAN) continue;
    *at++ = member->kind == JSON_STRING ? '(' : '[';
    for (size_t s = 0; s < member->count; s++) {
      memcpy(at, member->strings[s].text, member->strings[s].len + 1);
      at += member->strings[s].len;
      if (s + 1 < member->count) *at++ = ',';
    }
    *at++ = member->kind == JSON_STRING ? ')' : ']';
    *at++ = ' ';
  }
  return (size_t)(at - begin);
}

static const struct {
  const char *text;
  size_t len;
  const char *want; /* as described; NULL: it is refused, */
  size_t want_len;
  const char *problem; /* with these words */
} json_rows[] = {
    {BYTES("{}"), BYTES(""), NULL},
    {BYTES(" \t{ } \r\n"), BYTES(""), NULL},
    {BYTES("{\"a\":\"b\"}"), BYTES("a:(b) "), NULL},
    {BYTES("{ \"a\" : \"b\" , \"c\" : true,\"d\":false}"), BYTES("a:(b) c:t d:f "), NULL},
    {BYTES("{\"a\":[]}"), BYTES("a:[] "), NULL},
    {BYTES("{\"a\":[\"b\"]}"), BYTES("a:[b] "), NULL},
    {BYTES("{\"a\":[ \"b\" , \"\",\"c\"]}"), BYTES("a:[b,,c] "), NULL},
    {BYTES("{\"\":\"\"}"), BYTES(":() "), NULL},
    {BYTES("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}"), BYTES("a:(\"\\/\b\f\n\r\t) "), NULL},
    {BYTES("{\"\\u0061\":\"\\u00e9\\u20AC\"}"), BYTES("a:(\xc3\xa9\xe2\x82\xac) "), NULL},
    {BYTES("{\"a\":\"\\ud83d\\uDE00\"}"), BYTES("a:(\xf0\x9f\x98\x80) "), NULL},
    {BYTES("{\"a\":\"\\udbff\\udfff\"}"), BYTES("a:(\xf4\x8f\xbf\xbf) "), NULL},
    {BYTES("{\"a\":\"\\ud800\\udc00\"}"), BYTES("a:(\xf0\x90\x80\x80) "), NULL},
    {BYTES("{\"a\":\"\\u0000b\"}"), BYTES("a:(\0b) "), NULL},
    {BYTES("{\"a\":\"\x7f\xc3\xa9\"}"), BYTES("a:(\x7f\xc3\xa9) "), NULL},
    {BYTES(""), NULL, 0, "not a JSON object"},
    {BYTES("[]"), NULL, 0, "not a JSON object"},
    {BYTES("null"), NULL, 0, "not a JSON object"},
    {BYTES("\"a\""), NULL, 0, "not a JSON object"},
    {BYTES("{"), NULL, 0, "a string is missing"},
    {BYTES("{\"a\""), NULL, 0, "colon"},
    {BYTES("{\"a\":"), NULL, 0, "neither"},
    {BYTES("{\"a\":}"), NULL, 0, "neither"},
    {BYTES("{\"a\":1}"), NULL, 0, "neither"},
    {BYTES("{\"a\":null}"), NULL, 0, "neither"},
    {BYTES("{\"a\":{}}"), NULL, 0, "neither"},
    {BYTES("{\"a\":tru}"), NULL, 0, "neither"},
    {BYTES("{\"a\":True}"), NULL, 0, "neither"},
    {BYTES("{\"a\":truee}"), NULL, 0, "an object without end"},
    {BYTES("{\"a\":[1]}"), NULL, 0, "a string is missing"},
    {BYTES("{\"a\":[\"b\",]}"), NULL, 0, "a string is missing"},
    {BYTES("{\"a\":[\"b\"}"), NULL, 0, "an array without end"},
    {BYTES("{\"a\":[\"b\""), NULL, 0, "an array without end"},
    {BYTES("{\"a\":\"b\",}"), NULL, 0, "a string is missing"},
    {BYTES("{\"a\":\"b\""), NULL, 0, "an object without end"},
    {BYTES("{\"a\":\"b\"} x"), NULL, 0, "something behind"},
    {BYTES("{\"a\":\"b\"}{}"), NULL, 0, "something behind"},
    {BYTES("{\"a\":\"b\",\"a\":\"c\"}"), NULL, 0, "twice"},
    {BYTES("{\"a\":\"b\",\"\\u0061\":\"c\"}"), NULL, 0, "twice"},
    {BYTES("{a:\"b\"}"), NULL, 0, "a string is missing"},
    {BYTES("{'a':\"b\"}"), NULL, 0, "a string is missing"},
    {BYTES("{\"a\":\"b"), NULL, 0, "without end"},
    {BYTES("{\"a\":\"b\\"), NULL, 0, "escape"},
    {BYTES("{\"a\":\"\\x\"}"), NULL, 0, "escape"},
    {BYTES("{\"a\":\"\\u\"}"), NULL, 0, "four hex"},
    {BYTES("{\"a\":\"\\u12"), NULL, 0, "four hex"},
    {BYTES("{\"a\":\"\\u12g4\"}"), NULL, 0, "four hex"},
    {BYTES("{\"a\":\"\\ud800\"}"), NULL, 0, "surrogate"},
    {BYTES("{\"a\":\"\\ud800x\"}"), NULL, 0, "surrogate"},
    {BYTES("{\"a\":\"\\ud800\\n0000\"}"), NULL, 0, "surrogate"},
    {BYTES("{\"a\":\"\\ud800\\u0041\"}"), NULL, 0, "surrogate"},
    {BYTES("{\"a\":\"\\ud800\\ud800\"}"), NULL, 0, "surrogate"},
    {BYTES("{\"a\":\"\\ud800\\u\"}"), NULL, 0, "surrogate"},
    {BYTES("{\"a\":\"\\udc00\"}"), NULL, 0, "surrogate"},
    {BYTES("{\"a\":\"\\udc00\\ud800\"}"), NULL, 0, "surrogate"},
    {BYTES("{\"a\":\"b\nc\"}"), NULL, 0, "control"},
    {BYTES("{\"a\":\"b\0c\"}"), NULL, 0, "control"},
    {BYTES("{\"a\\u0000\":\"b\"}"), NULL, 0, "NUL"},
    {BYTES("{\"a\":\"b\"\0}"), NULL, 0, "an object without end"},
};

static void json_objects(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof json_rows / sizeof *json_rows; i++) {
    char *exact = malloc(json_rows[i].len + 1), got[256];
    struct json_object object;
    assert_non_null(exact);
    memcpy(exact, json_rows[i].text, json_rows[i].len);
    const char *problem = json_read(&object, exact, json_rows[i].len);
    if ((problem == NULL) != (json_rows[i].want != NULL))
      fail_msg("%s: %s", json_rows[i].text, problem ? problem : "taken");
    if (problem && !strstr(problem, json_rows[i].problem))
      fail_msg("%s: want %s, got %s", json_rows[i].text, json_rows[i].problem, problem);
    size_t len = problem ? 0 : describe(&object, got);
    if (!problem && (len != json_rows[i].want_len || memcmp(got, json_rows[i].want, len) != 0))
      fail_msg("%s: want %s, got %.*s", json_rows[i].text, json_rows[i].want, (int)len, got);
    free(exact);
  }
}

static void objects_are_limited(void **state) {
  (void)state;
  char text[8192], *at = stpcpy(text, "{\"a\":[");
  struct json_object object;
  for (int i = 0; i <= JSON_STRINGS_MAX; i++) at = stpcpy(at, i ? ",\"s\"" : "\"s\"");
  strcpy(at, "]}");
  assert_string_equal(json_read(&object, text, strlen(text)), "too many strings");
  at = stpcpy(text, "{");
  for (int i = 0; i <= JSON_MEMBERS_MAX; i++) at += sprintf(at, "%s\"%d\":true", i ? "," : "", i);
  strcpy(at, "}");
  assert_string_equal(json_read(&object, text, strlen(text)), "too many members");
}

/* What is written is read again. */
static void written_strings_are_read_again(void **state) {
  (void)state;
  char all[256 + 8];
  struct text text = {.len = 0};
  struct json_object object;
  size_t len = 0;
  for (int c = 0; c < 128; c++) all[len++] = (char)c;
  memcpy(all + len, "\xf0\x9f\x98\x80", 4);
  len += 4;
  text_add(&text, "{\"a\":");
  text_add_json(&text, all, len);
  text_add(&text, "}");
  assert_non_null(text_room(&text, 1));
  assert_null(json_read(&object, text.bytes, text.len));
  assert_int_equal(object.members[0].strings[0].len, len);
  assert_memory_equal(object.members[0].strings[0].text, all, len);
  text_free(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(forms),
      cmocka_unit_test(fields_are_limited),
      cmocka_unit_test(json_objects),
      cmocka_unit_test(objects_are_limited),
      cmocka_unit_test(written_strings_are_read_again),
  };
  return cmocka_run_group_tests_name("broadcast, reading", tests, NULL, NULL);
}
