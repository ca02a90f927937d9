/* SPDX-License-Identifier: MIT */
/* test_writer.c: what the writer puts, at every size of its buffer, and what it counts. */
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/writer.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
  GUARD = 0xa5,
  ROOM = 128
};

enum kind {
  BYTES,
  TEXT,
  NUMBER,
  JSON
};

struct put {
  enum kind kind;
  const char *text;
  size_t len;
  uint64_t number;
};

static const struct row {
  const char *name;
  struct put puts[4];
  size_t count;
  const char *bytes; /* expected */
  size_t len;        /* of them; 0: strlen */
} rows[] = {
    {"nothing", {{0}}, 0, "", 0},
    {"no bytes", {{BYTES, "abc", 0, 0}}, 1, "", 0},
    {"bytes, a NUL among them", {{BYTES, "a\0b", 3, 0}}, 1, "a\0b", 3},
    {"text", {{TEXT, "a text", 0, 0}}, 1, "a text", 0},
    {"no text", {{TEXT, "", 0, 0}}, 1, "", 0},
    {"0", {{NUMBER, NULL, 0, 0}}, 1, "0", 0},
    {"9", {{NUMBER, NULL, 0, 9}}, 1, "9", 0},
    {"10", {{NUMBER, NULL, 0, 10}}, 1, "10", 0},
    {"the largest number", {{NUMBER, NULL, 0, UINT64_MAX}}, 1, "18446744073709551615", 0},
    {"JSON, empty", {{JSON, "", 0, 0}}, 1, "\"\"", 0},
    {"JSON, plain and UTF-8", {{JSON, "a/\xc3\xa9\x7f", 0, 0}}, 1, "\"a/\xc3\xa9\x7f\"", 0},
    {"JSON, quote and backslash", {{JSON, "\"\\\"", 0, 0}}, 1, "\"\\\"\\\\\\\"\"", 0},
    {"JSON, control characters", {{JSON, "\x01\n\x1f ", 0, 0}}, 1, "\"\\u0001\\u000a\\u001f \"", 0},
    {"one after the other",
     {{TEXT, "a", 0, 0}, {NUMBER, NULL, 0, 12}, {JSON, "b", 0, 0}, {BYTES, "cd", 1, 0}},
     4,
     "a12\"b\"c",
     0},
};

static void put(struct sse__writer *writer, const struct put *it) {
  switch (it->kind) {
  case BYTES:
    sse__writer_bytes(writer, it->text, it->len);
    break;
  case TEXT:
    sse__writer_text(writer, it->text);
    break;
  case NUMBER:
    sse__writer_number(writer, it->number);
    break;
  case JSON:
    sse__writer_json(writer, it->text);
  }
}

/* The count is the same at every cap, the bytes are the first of the whole, and no byte beyond cap
 * is written. */
static void every_row_at_every_cap(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    const struct row *row = &rows[i];
    size_t len = row->len ? row->len : strlen(row->bytes);
    for (size_t cap = 0; cap <= len + 1; cap++) {
      char buf[ROOM];
      memset(buf, GUARD, sizeof buf);
      struct sse__writer writer = {.buf = cap ? buf : NULL, .cap = cap};
      for (size_t j = 0; j < row->count; j++) put(&writer, &row->puts[j]);
      if (writer.len != len) fail_msg("%s: %zu at cap %zu", row->name, writer.len, cap);
      size_t written = cap < len ? cap : len;
      if (written && memcmp(buf, row->bytes, written) != 0) {
        fail_msg("%s: at cap %zu: %.*s", row->name, cap, (int)written, buf);
      }
      for (size_t at = written; at < sizeof buf; at++) {
        if ((unsigned char)buf[at] != GUARD) fail_msg("%s: wrote byte %zu", row->name, at);
      }
    }
  }
}

/* A length that a result cannot say stays one, and nothing is written any more. */
static void a_length_too_large(void **state) {
  static const struct {
    size_t before, len, after;
  } lengths[] = {
      {0, SSIZE_MAX, SSIZE_MAX},
      {SSIZE_MAX, 0, SSIZE_MAX},
      {SSIZE_MAX - 1, 1, SSIZE_MAX},
      {SSIZE_MAX, 1, SSE__WRITER_LEN_MAX},
      {1, SSIZE_MAX, SSE__WRITER_LEN_MAX},
      {SSIZE_MAX, SSIZE_MAX, SSE__WRITER_LEN_MAX},
      {SSE__WRITER_LEN_MAX, 0, SSE__WRITER_LEN_MAX},
      {SSE__WRITER_LEN_MAX, 1, SSE__WRITER_LEN_MAX},
      {SSE__WRITER_LEN_MAX, SSIZE_MAX, SSE__WRITER_LEN_MAX},
  };
  (void)state;
  for (size_t i = 0; i < COUNT(lengths); i++) {
    struct sse__writer writer = {.len = lengths[i].before};
    sse__writer_bytes(&writer, "", lengths[i].len);
    if (writer.len != lengths[i].after) fail_msg("row %zu: %zu", i, writer.len);
  }
  char buf[4] = "???";
  struct sse__writer writer = {.buf = buf, .cap = sizeof buf, .len = 1};
  sse__writer_bytes(&writer, buf, SSIZE_MAX);
  sse__writer_text(&writer, "x");
  assert_true(writer.len == SSE__WRITER_LEN_MAX);
  assert_string_equal(buf, "???");
}

static void every_length_of_a_number(void **state) {
  (void)state;
  for (uint64_t power = 1; power <= UINT64_MAX / 10; power *= 10) {
    const uint64_t numbers[] = {power - 1, power, power + 1};
    for (size_t i = 0; i < COUNT(numbers); i++) {
      char want[SSE__NUMBER_BYTES_MAX + 1], digits[SSE__NUMBER_BYTES_MAX];
      int len = snprintf(want, sizeof want, "%" PRIu64, numbers[i]);
      assert_int_equal(sse__number_write(digits, numbers[i]), len);
      assert_memory_equal(digits, want, (size_t)len);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_at_every_cap),
      cmocka_unit_test(a_length_too_large),
      cmocka_unit_test(every_length_of_a_number),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
