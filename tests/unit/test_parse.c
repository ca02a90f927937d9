/* SPDX-License-Identifier: MIT */
/* test_parse.c: streams to events by the HTML standard's rules, the same however they are cut. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cases.h"
#include "sse/format.h"
#include "sse/parse.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Running a stream -----------------------------------------------------------------------------*/

/* Feeds one piece from memory of exactly its size, which is gone afterwards; memory that runs out
 * is there again at the next call. Gives 0 or the error that ended the stream. */
static int feed(void *parser, const char *bytes, size_t len, struct log *log) {
  if (len == 0) return 0;
  char *piece = malloc(len);
  const char *at = piece;
  sse_parsed event;
  int rc;
  assert_non_null(piece);
  memcpy(piece, bytes, len);
  size_t all = len;
  while ((rc = sse_parser_next(parser, &at, &len, &event)) == 1 || rc == SSE_ENOMEM) {
    assert_ptr_equal(at + len, piece + all);
    if (rc == 1)
      log_event(log, event.type, event.type_len, event.data, event.data_len, event.id,
                event.id_len);
  }
  if (rc == 0) assert_int_equal(len, 0);
  free(piece);
  return rc;
}

/* Memory that runs out is there again when it is asked for next. */
static void *open_parser(const void *config) {
  sse_parser *parser = NULL;
  while (sse_parser_new(&parser, config) == SSE_ENOMEM) continue;
  return parser;
}

/* The name of the error that ended the stream is behind the rest. */
static void close_parser(void *parser, int error, struct log *log) {
  log_end(log, sse_parser_last_id(parser), sse_parser_retry_ms(parser));
  if (error < 0) {
    const char *name = sse_error_name(error);
    log_bytes(log, " ", 1);
    log_bytes(log, name, strlen(name));
  }
  sse_parser_free(parser);
}

static struct case_reader library(const sse_parser_config *config) {
  return (struct case_reader){
      .config = config, .open = open_parser, .feed = feed, .close = close_parser};
}

static void check_rows(const sse_parser_config *config, const struct stream_case *rows,
                       size_t count) {
  const struct case_reader reader = library(config);
  for (size_t r = 0; r < count; r++) case_check(&reader, &rows[r]);
}

static void every_row_however_cut(void **state) {
  const struct case_reader reader = library(NULL);
  (void)state;
  case_check_all(&reader);
}

/* Limits ---------------------------------------------------------------------------------------*/

static void limits_however_cut(void **state) {
  static const sse_parser_config config = {.line_bytes_max = 10, .data_bytes_max = 8};
  static const struct stream_case limits[] = {
      CASE("longest line", "data:12345\n\n", "[message|12345|] id= retry=-1"),
      CASE("line too long", "data:a\n\ndata:123456\n\ndata:b\n\n",
           "[message|a|] id= retry=-1 SSE_ETOOBIG"),
      CASE("line too long and unfinished", "data:123456", " id= retry=-1 SSE_ETOOBIG"),
      CASE("comment too long", "data:a\n\n:1234567890\n", "[message|a|] id= retry=-1 SSE_ETOOBIG"),
      CASE("longest data", "data:1234\ndata:123\n\n", "[message|1234\\n123|] id= retry=-1"),
      CASE("data too long", "data:1234\ndata:1234\n\n", " id= retry=-1 SSE_ETOOBIG"),
      CASE("too many empty lines", "data\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\n\n",
           " id= retry=-1 SSE_ETOOBIG"),
      CASE("just enough empty lines", "data\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\n\n",
           "[message|\\n\\n\\n\\n\\n\\n\\n\\n|] id= retry=-1"),
      CASE("the limit is an event's", "data:12345\n\ndata:12345\n\n",
           "[message|12345|][message|12345|] id= retry=-1"),
      CASE("id and retry before it count", "id:1\n\nretry:2\nid:3\ndata:123456\n\n",
           " id=1 retry=2 SSE_ETOOBIG"),
  };
  (void)state;
  check_rows(&config, limits, COUNT(limits));
}

/* One line can be too much data by itself. */
static void one_line_over_the_limit(void **state) {
  static const sse_parser_config config = {.data_bytes_max = 4};
  static const struct stream_case limits[] = {
      CASE("all of it", "data:1234\n\n", "[message|1234|] id= retry=-1"),
      CASE("one byte more", "data:12345\n\n", " id= retry=-1 SSE_ETOOBIG"),
      CASE("much more", "data:1234567890\n\n", " id= retry=-1 SSE_ETOOBIG"),
  };
  (void)state;
  check_rows(&config, limits, COUNT(limits));
}

static void the_longest_retry(void **state) {
  static const struct stream_case limits[] = {
      CASE("one more", "retry:2147483648\n", " id= retry=2147483647"),
      CASE("far too long", "retry:99999999999999999999999999\n", " id= retry=2147483647"),
  };
  (void)state;
  check_rows(NULL, limits, COUNT(limits));
}

static void too_big_lasts_until_reset(void **state) {
  static const sse_parser_config config = {.line_bytes_max = 10};
  sse_parser *parser;
  struct log log = {.len = 0};
  (void)state;
  assert_int_equal(sse_parser_new(&parser, &config), 0);
  assert_int_equal(feed(parser, "id:1\n\ndata:123456", 17, &log), SSE_ETOOBIG);
  assert_int_equal(feed(parser, "\n\ndata:a\n\n", 10, &log), SSE_ETOOBIG);
  sse_parser_reset(parser);
  assert_int_equal(feed(parser, "data:a\n\n", 8, &log), 0);
  assert_string_equal(log.text, "[message|a|1]");
  sse_parser_free(parser);
}

/* Connections ----------------------------------------------------------------------------------*/

static void reset_keeps_what_a_reconnect_needs(void **state) {
  sse_parser *parser;
  struct log log = {.len = 0};
  (void)state;
  assert_int_equal(sse_parser_new(&parser, NULL), 0);
  assert_int_equal(feed(parser, "id:1\nretry:9\n\nid:2\nevent:x\ndata:lost\nda", 39, &log), 0);
  sse_parser_reset(parser);
  assert_string_equal(sse_parser_last_id(parser), "1");
  assert_int_equal(sse_parser_retry_ms(parser), 9);
  assert_int_equal(feed(parser,
                        "\xef\xbb\xbf"
                        "data:a\n\n",
                        11, &log),
                   0);
  assert_string_equal(log.text, "[message|a|1]");
  assert_int_equal(feed(parser, "data:b\n\r", 8, &log), 0);
  sse_parser_reset(parser);
  /* The LF is a line of its own now, so what follows is no byte order mark but part of a name. */
  assert_int_equal(feed(parser,
                        "\n\xef\xbb\xbf"
                        "data:c\n\n",
                        12, &log),
                   0);
  assert_string_equal(log.text, "[message|a|1][message|b|1]");
  sse_parser_free(parser);
}

static void an_id_from_an_earlier_run(void **state) {
  static const sse_parser_config config = {.last_id = "e.5"};
  static const struct stream_case row =
      CASE("", "data:a\n\nid\ndata:b\n\n", "[message|a|e.5][message|b|] id= retry=-1");
  sse_parser *parser;
  (void)state;
  assert_int_equal(sse_parser_new(&parser, &config), 0);
  assert_string_equal(sse_parser_last_id(parser), "e.5");
  sse_parser_free(parser);
  check_rows(&config, &row, 1);
}

static void wrong_arguments(void **state) {
  static char not_null;
  const sse_parser_config bad[] = {{.reserved = {&not_null}},
                                   {.reserved = {NULL, NULL, NULL, &not_null}},
                                   {.line_bytes_max = SIZE_MAX},
                                   {.data_bytes_max = SIZE_MAX / 4 + 1},
                                   {.line_bytes_max = SIZE_MAX / 4 + 1},
                                   {.last_id = "a\n"},
                                   {.last_id = "\ra"}};
  sse_parser *parser = NULL;
  const char *at = NULL;
  size_t len = 0;
  sse_parsed event;
  (void)state;
  assert_int_equal(sse_parser_new(NULL, NULL), SSE_EINVAL);
  for (size_t i = 0; i < COUNT(bad); i++) {
    assert_int_equal(sse_parser_new(&parser, &bad[i]), SSE_EINVAL);
    assert_null(parser);
  }
  const sse_parser_config largest = {.line_bytes_max = SIZE_MAX / 4,
                                     .data_bytes_max = SIZE_MAX / 4};
  assert_int_equal(sse_parser_new(&parser, &largest), 0);
  sse_parser_free(parser);
  sse_parser_free(NULL);
  assert_int_equal(sse_parser_new(&parser, NULL), 0);
  assert_int_equal(sse_parser_next(parser, &at, &len, &event), 0);
  assert_int_equal(sse_parser_next(NULL, &at, &len, &event), SSE_EINVAL);
  assert_int_equal(sse_parser_next(parser, NULL, &len, &event), SSE_EINVAL);
  assert_int_equal(sse_parser_next(parser, &at, NULL, &event), SSE_EINVAL);
  assert_int_equal(sse_parser_next(parser, &at, &len, NULL), SSE_EINVAL);
  len = 1;
  assert_int_equal(sse_parser_next(parser, &at, &len, &event), SSE_EINVAL);
  sse_parser_free(parser);
}

/* Memory ---------------------------------------------------------------------------------------*/

struct allocator {
  long calls, fail_from, fail_to; /* calls that fail, counted from 1 */
  long live;
};

/* The size of a block is kept before it. A block that grows always moves, so that a pointer kept
 * too long is seen. */
static void *scripted_alloc(void *arg, void *ptr, size_t size) {
  struct allocator *a = arg;
  size_t *block = ptr, *fresh = NULL;
  if (size > 0) {
    a->calls++;
    if (a->calls >= a->fail_from && a->calls <= a->fail_to) return NULL;
    fresh = malloc(sizeof *fresh + size);
    assert_non_null(fresh);
    *fresh++ = size;
    a->live++;
    if (block) memcpy(fresh, block, block[-1] < size ? block[-1] : size);
  }
  if (block) {
    a->live--;
    free(block - 1);
  }
  return fresh;
}

static void every_allocation_failed(void **state) {
  static const char stream[] =
      "id:first\nevent:type\ndata:sixty-three bytes, which with the NUL behind them fill a buffer"
      "\n\nretry:1\nid:a second and rather longer id, longer than any "
      "buffer is at first\nevent:a second and rather longer type, longer than any buffer is at "
      "first\ndata:a line\ndata:another line, longer than any buffer is at first; and this as "
      "well\n\n";
  static const size_t steps[] = {1, 7, 1000};
  (void)state;
  for (size_t s = 0; s < COUNT(steps); s++) {
    struct log want, got;
    const struct case_reader reader = library(NULL);
    case_read(&reader, stream, sizeof stream - 1, steps[s], &want);
    for (long run_of = 1; run_of <= 3; run_of++) {
      long calls = 1;
      for (long fail = 1; fail <= calls; fail++) {
        struct allocator a = {.fail_from = fail, .fail_to = fail + run_of - 1};
        sse_parser_config config = {.alloc = scripted_alloc, .alloc_arg = &a, .last_id = "before"};
        const struct case_reader failing = library(&config);
        case_read(&failing, stream, sizeof stream - 1, steps[s], &got);
        assert_string_equal(got.text, want.text);
        assert_int_equal(a.live, 0);
        calls = a.calls;
      }
      assert_true(calls >= 6);
    }
  }
}

/* A caller may give up the bytes that memory was too short for; what was there before stays. */
static void a_failure_changes_nothing(void **state) {
  static const char too_long[] = "event:a rather longer type, longer than any buffer is at first, "
                                 "so that it has to grow\n";
  struct allocator a = {.fail_from = 0};
  const sse_parser_config config = {.alloc = scripted_alloc, .alloc_arg = &a};
  const char *at = too_long;
  size_t len = sizeof too_long - 1;
  sse_parser *parser;
  sse_parsed event;
  struct log log = {.len = 0};
  (void)state;
  assert_int_equal(sse_parser_new(&parser, &config), 0);
  assert_int_equal(feed(parser, "event:a\n", 8, &log), 0);
  a.fail_from = a.calls + 1;
  a.fail_to = a.calls + 2;
  for (int i = 0; i < 2; i++) {
    assert_int_equal(sse_parser_next(parser, &at, &len, &event), SSE_ENOMEM);
    assert_ptr_equal(at, too_long);
    assert_int_equal(len, sizeof too_long - 1);
  }
  assert_int_equal(feed(parser, "data:x\n\n", 8, &log), 0);
  assert_string_equal(log.text, "[a|x|]");
  sse_parser_free(parser);
  assert_int_equal(a.live, 0);
}

/* Once the buffers have grown, nothing is allocated any more. */
static void a_warm_parser_allocates_nothing(void **state) {
  static const char stream[] = "id:1\nevent:t\ndata:a\ndata:b\n\nid:2\ndata:c\n\n";
  struct allocator a = {.fail_from = 0};
  const sse_parser_config config = {.alloc = scripted_alloc, .alloc_arg = &a};
  sse_parser *parser;
  struct log log;
  (void)state;
  assert_int_equal(sse_parser_new(&parser, &config), 0);
  for (int i = 0; i < 100; i++) {
    if (i == 2) {
      a.fail_from = a.calls + 1;
      a.fail_to = LONG_MAX;
    }
    log.len = 0;
    size_t cut = (size_t)i % (sizeof stream - 1);
    if (i == 0) cut = sizeof stream / 2;
    assert_int_equal(feed(parser, stream, cut, &log), 0);
    assert_int_equal(feed(parser, stream + cut, sizeof stream - 1 - cut, &log), 0);
    assert_string_equal(log.text, "[t|a\\nb|1][message|c|2]");
  }
  sse_parser_free(parser);
  assert_int_equal(a.live, 0);
}

/* A line that comes byte by byte is not moved for each of them. */
static void buffers_grow_in_few_steps(void **state) {
  enum {
    LINE = 100000
  };
  struct allocator a = {.fail_from = 0};
  const sse_parser_config config = {.alloc = scripted_alloc, .alloc_arg = &a};
  sse_parser *parser;
  sse_parsed event;
  (void)state;
  assert_int_equal(sse_parser_new(&parser, &config), 0);
  for (int i = 0; i < LINE; i++) {
    const char *at = &"data:"[i < 5 ? i : 4];
    size_t len = 1;
    assert_int_equal(sse_parser_next(parser, &at, &len, &event), 0);
  }
  assert_in_range(a.calls, 2, 30);
  sse_parser_free(parser);
  assert_int_equal(a.live, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_however_cut),
      cmocka_unit_test(limits_however_cut),
      cmocka_unit_test(the_longest_retry),
      cmocka_unit_test(too_big_lasts_until_reset),
      cmocka_unit_test(reset_keeps_what_a_reconnect_needs),
      cmocka_unit_test(an_id_from_an_earlier_run),
      cmocka_unit_test(wrong_arguments),
      cmocka_unit_test(every_allocation_failed),
      cmocka_unit_test(a_failure_changes_nothing),
      cmocka_unit_test(a_warm_parser_allocates_nothing),
      cmocka_unit_test(one_line_over_the_limit),
      cmocka_unit_test(buffers_grow_in_few_steps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
