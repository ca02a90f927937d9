/* SPDX-License-Identifier: MIT */
/* test_event_id.c: epochs, numbers and ids: one form for each, and nothing else is taken for one. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/event_id.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct {
  uint64_t bits;
  const char *text;
} drawn[] = {
    {0, "AAAAAAAAAAA"},
    {1, "BAAAAAAAAAA"},
    {25, "ZAAAAAAAAAA"},
    {26, "aAAAAAAAAAA"},
    {51, "zAAAAAAAAAA"},
    {52, "0AAAAAAAAAA"},
    {61, "9AAAAAAAAAA"},
    {62, "-AAAAAAAAAA"},
    {63, "_AAAAAAAAAA"},
    {64, "ABAAAAAAAAA"},
    {UINT64_C(1) << 60, "AAAAAAAAAAB"},
    {UINT64_MAX, "__________P"},
};

static void epochs_hold_all_bits(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(drawn); i++) {
    struct sse__epoch epoch = sse__epoch_from(drawn[i].bits), parsed;
    assert_string_equal(epoch.text, drawn[i].text);
    assert_int_equal(epoch.len, SSE_EPOCH_BYTES_MAX);
    assert_true(sse__epoch_parse(epoch.text, &parsed));
    assert_memory_equal(&parsed, &epoch, sizeof epoch);
  }
}

static const struct {
  const char *name, *text;
  bool legal;
} epochs[] = {
    {"one byte", "E", true},
    {"every kind of byte", "aZ09-_", true},
    {"the longest", "12345678901", true},
    {"too long", "123456789012", false},
    {"empty", "", false},
    {"dot", "a.b", false},
    {"dot at the end", "ab.", false},
    {"space", "a b", false},
    {"plus", "a+b", false},
    {"slash", "a/b", false},
    {"tilde", "a~b", false},
    {"newline", "ab\n", false},
    {"UTF-8", "\xc3\xa9", false},
};

static void epochs_of_the_host(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(epochs); i++) {
    struct sse__epoch epoch = {.len = 77}, before = epoch;
    if (sse__epoch_parse(epochs[i].text, &epoch) != epochs[i].legal) fail_msg("%s", epochs[i].name);
    if (epochs[i].legal) {
      assert_string_equal(epoch.text, epochs[i].text);
      assert_int_equal(epoch.len, strlen(epochs[i].text));
    } else {
      assert_memory_equal(&epoch, &before, sizeof before);
    }
  }
}

/* The 64 bytes that are allowed, by themselves and as part of an id; all others are not. */
static void every_byte(void **state) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  (void)state;
  for (int byte = 1; byte < 256; byte++) {
    struct sse__epoch epoch;
    struct sse__event_id parsed;
    bool legal = strchr(allowed, byte) != NULL;
    const char text[] = {(char)byte, '\0'}, id[] = {(char)byte, '.', '5', '\0'};
    const char number[] = {'E', '.', '1', (char)byte, '\0'};
    if (sse__epoch_parse(text, &epoch) != legal) fail_msg("epoch: byte %d", byte);
    if (sse__event_id_parse(id, &parsed) != legal) fail_msg("id: byte %d", byte);
    bool more = (byte >= '0' && byte <= '9') || byte == '~';
    if (sse__event_id_parse(number, &parsed) != more) fail_msg("number: byte %d", byte);
  }
}

static const uint64_t numbers[] = {
    0,
    1,
    9,
    10,
    11,
    99,
    100,
    4294967295,
    4294967296,
    UINT64_C(9223372036854775807),
    UINT64_C(9999999999999999999),
    UINT64_C(10000000000000000000),
    UINT64_MAX - 1,
    UINT64_MAX,
};

static void numbers_and_ids_come_back(void **state) {
  static const char *const names[] = {"E", "_-", "AAAAAAAAAAA"};
  (void)state;
  for (size_t i = 0; i < COUNT(numbers); i++) {
    char text[64] = {0}, want[64];
    size_t len = sse__number_write(text, numbers[i]);
    snprintf(want, sizeof want, "%" PRIu64, numbers[i]);
    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
    for (size_t j = 0; j < COUNT(names); j++) {
      struct sse__epoch epoch;
      struct sse__event_id parsed;
      char id[64] = {0};
      assert_true(sse__epoch_parse(names[j], &epoch));
      assert_int_equal(sse__event_id_write(id, &epoch, numbers[i]), strlen(names[j]) + 1 + len);
      snprintf(want, sizeof want, "%s.%" PRIu64, names[j], numbers[i]);
      assert_string_equal(id, want);
      assert_true(sse__event_id_parse(id, &parsed));
      assert_true(parsed.seq == numbers[i] && !parsed.unfinished);
      assert_memory_equal(&parsed.epoch, &epoch, sizeof epoch);
      strcat(id, "~");
      assert_true(sse__event_id_parse(id, &parsed));
      assert_true(parsed.seq == numbers[i] && parsed.unfinished);
    }
  }
}

static void the_longest_id(void **state) {
  char id[SSE__EVENT_ID_BYTES_MAX];
  struct sse__epoch epoch = sse__epoch_from(UINT64_MAX);
  (void)state;
  assert_int_equal(SSE__EVENT_ID_BYTES_MAX, 32);
  assert_int_equal(sse__event_id_write(id, &epoch, UINT64_MAX), sizeof id);
}

static const struct {
  const char *name, *text;
} malformed[] = {
    {"empty", ""},
    {"epoch alone", "E"},
    {"no number", "E."},
    {"no epoch", ".5"},
    {"number alone", "5"},
    {"dot alone", "."},
    {"another character for the dot", "E:5"},
    {"two dots", "E..5"},
    {"two numbers", "E.5.6"},
    {"leading zero", "E.05"},
    {"two zeros", "E.00"},
    {"plus", "E.+5"},
    {"minus", "E.-5"},
    {"space in front", " E.5"},
    {"space behind", "E.5 "},
    {"space before the number", "E. 5"},
    {"hexadecimal", "E.0x5"},
    {"letter in it", "E.5a"},
    {"unfinished twice", "E.5~~"},
    {"unfinished, without a number", "E.~"},
    {"fraction", "E.5,0"},
    {"exponent", "E.5e3"},
    {"newline", "E.5\n"},
    {"one too many", "E.18446744073709551616"},
    {"ten times too many", "E.184467440737095516150"},
    {"wraps to a small one", "E.36893488147419103232"},
    {"very long", "E.99999999999999999999999999999999999999999999999999999999"},
    {"epoch too long", "123456789012.5"},
    {"another character in the epoch", "E!.5"},
    {"UTF-8 digits", "E.\xd9\xa5"},
    {"a UUID", "0b1b2c3d-0000-4000-8000-000000000000"},
};

static void what_is_no_id(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(malformed); i++) {
    struct sse__event_id id;
    if (sse__event_id_parse(malformed[i].text, &id)) fail_msg("%s", malformed[i].name);
  }
}

/* Ids of this hub's form, whatever their number, so that a client that has one is not taken for one
 * with an id of the application's. */
static void what_resembles_one(void **state) {
  static const struct {
    const char *text;
    bool does;
  } looks[] = {{"E.5", true},   {"E.05", true},  {"E.99999999999999999999", true},
               {"E.5~", true},  {"E.5x", false}, {"E.5~~", false},
               {"E.", false},   {"E.~", false},  {"E", false},
               {".5", false},   {"E-5", false},  {"F.5", false},
               {"EE.5", false}, {"", false}};
  struct sse__epoch epoch;
  (void)state;
  assert_true(sse__epoch_parse("E", &epoch));
  for (size_t i = 0; i < COUNT(looks); i++) {
    if (sse__event_id_resembles(looks[i].text, &epoch) != looks[i].does)
      fail_msg("%s", looks[i].text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(epochs_hold_all_bits), cmocka_unit_test(epochs_of_the_host),
      cmocka_unit_test(every_byte),           cmocka_unit_test(numbers_and_ids_come_back),
      cmocka_unit_test(the_longest_id),       cmocka_unit_test(what_is_no_id),
      cmocka_unit_test(what_resembles_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
