/* SPDX-License-Identifier: MIT */
/* test_error.c: the codes, their names and texts, and the version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sse/sse.h"

static const struct {
  int code;
  const char *name, *text;
} errors[] = {
#define ROW(name, value, text) {value, #name, text},
    SSE_ERRORS(ROW)
#undef ROW
};
#define ERRORS_COUNT ((int)(sizeof errors / sizeof errors[0]))

/* The values are part of the ABI: a few by hand, from the middle and both ends of the list. */
static void values_do_not_move(void **state) {
  (void)state;
  assert_int_equal(SSE_OK, 0);
  assert_int_equal(SSE_EINVAL, -1);
  assert_int_equal(SSE_EAGAIN, -3);
  assert_int_equal(SSE_ETOOBIG, -11);
  assert_int_equal(SSE_EHEADER, -24);
  assert_int_equal(SSE_ERANDOM, -26);
}

/* New codes go last and no value is used twice: so the list counts down from -1 without a hole. */
static void values_count_down(void **state) {
  (void)state;
  for (int i = 0; i < ERRORS_COUNT; i++) assert_int_equal(errors[i].code, -1 - i);
}

static void every_code_has_its_name_and_text(void **state) {
  (void)state;
  for (int i = 0; i < ERRORS_COUNT; i++) {
    assert_string_equal(sse_error_name(errors[i].code), errors[i].name);
    assert_string_equal(sse_error_text(errors[i].code), errors[i].text);
  }
  assert_string_equal(sse_error_name(SSE_EAGAIN), "SSE_EAGAIN");
  assert_string_equal(sse_error_text(SSE_EAGAIN),
                      "the transport is full; call again when it has room");
}

/* The few codes that leave a stream open, by hand; every other one ends it. */
static void only_these_do_not_end_a_stream(void **state) {
  static const int open[] = {1, SSE_OK, SSE_EAGAIN, SSE_EHELD, SSE_ENOMEM, SSE_EINVAL};
  int finals = 0;
  (void)state;
  for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
    assert_int_equal(sse_error_is_final(open[i]), 0);
  }
  for (int i = 0; i < ERRORS_COUNT; i++) finals += sse_error_is_final(errors[i].code);
  assert_int_equal(finals, ERRORS_COUNT - 4);
  assert_int_equal(sse_error_is_final(-1 - ERRORS_COUNT), 1);
}

/* Gentle ends, by hand; each of them ends a stream. */
static void only_these_are_gentle_ends(void **state) {
  static const int gentle[] = {SSE_EAGED, SSE_ESLOW, SSE_EDRAINED, SSE_EFINISHED, SSE_EDISMISSED};
  int count = 0;
  (void)state;
  for (size_t i = 0; i < sizeof gentle / sizeof *gentle; i++) {
    assert_int_equal(sse_end_is_gentle(gentle[i]), 1);
    assert_int_equal(sse_error_is_final(gentle[i]), 1);
  }
  for (int code = -1 - ERRORS_COUNT; code <= 1; code++) count += sse_end_is_gentle(code);
  assert_int_equal(count, 5);
}

static void names_and_texts_differ(void **state) {
  (void)state;
  for (int i = 0; i < ERRORS_COUNT; i++) {
    assert_memory_equal(errors[i].name, "SSE_E", 5);
    assert_true(errors[i].text[0] != '\0');
    for (int j = 0; j < i; j++) {
      assert_string_not_equal(errors[i].name, errors[j].name);
      assert_string_not_equal(errors[i].text, errors[j].text);
    }
  }
}

static void success_is_zero_and_above(void **state) {
  static const int codes[] = {0, 1, 4096, INT32_MAX};
  (void)state;
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    assert_string_equal(sse_error_name(codes[i]), "SSE_OK");
    assert_string_equal(sse_error_text(codes[i]), "success");
  }
}

static void unknown_codes_have_an_answer(void **state) {
  const int codes[] = {errors[ERRORS_COUNT - 1].code - 1, -1000, INT32_MIN};
  (void)state;
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    assert_string_equal(sse_error_name(codes[i]), "SSE_E?");
    assert_string_equal(sse_error_text(codes[i]), "unknown error");
  }
}

static void version_is_that_of_the_headers(void **state) {
  char numbers[64];
  (void)state;
  assert_string_equal(sse_version(), SSE_VERSION_STRING);
  snprintf(numbers, sizeof numbers, "%d.%d.%d", SSE_VERSION_MAJOR, SSE_VERSION_MINOR,
           SSE_VERSION_PATCH);
  assert_string_equal(sse_version(), numbers);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_do_not_move),
      cmocka_unit_test(values_count_down),
      cmocka_unit_test(every_code_has_its_name_and_text),
      cmocka_unit_test(only_these_do_not_end_a_stream),
      cmocka_unit_test(only_these_are_gentle_ends),
      cmocka_unit_test(names_and_texts_differ),
      cmocka_unit_test(success_is_zero_and_above),
      cmocka_unit_test(unknown_codes_have_an_answer),
      cmocka_unit_test(version_is_that_of_the_headers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
