/* SPDX-License-Identifier: MIT */
/* test_parse.c: streams to events by the HTML standard's rules, the same however they are cut. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sse/format.h"
#include "sse/parse.h"

#define LOG_MAX 4096

/* What a stream gave, as a text: each event as [type|data|id], then last id, retry and error. */
struct log {
  char text[LOG_MAX];
  size_t len;
};

struct row {
  const char *name, *stream;
  size_t len;
  const char *want;
};

static const struct row rows[] = {
#define ROW(name, stream, want)                                                                    \
  { name, stream, sizeof(stream) - 1, want }
    /* The examples of the standard, 9.2.6. */
    ROW("standard: stocks", "data: YHOO\ndata: +2\ndata: 10\n\n",
        "[message|YHOO\\n+2\\n10|] id= retry=-1"),
    ROW("standard: four blocks",
        ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
        "[message|first event|1][message|second event|] id= retry=-1"),
    ROW("standard: empty data",
        "data\n\ndata\ndata\n\ndata:", "[message||][message|\\n|] id= retry=-1"),
    ROW("standard: one space", "data:test\n\ndata: test\n\n",
        "[message|test|][message|test|] id= retry=-1"),

    /* Line ends. */
    ROW("LF", "data:a\ndata:b\n\n", "[message|a\\nb|] id= retry=-1"),
    ROW("CR", "data:a\rdata:b\r\r", "[message|a\\nb|] id= retry=-1"),
    ROW("CRLF", "data:a\r\ndata:b\r\n\r\n", "[message|a\\nb|] id= retry=-1"),
    ROW("CRLF then LF", "data:a\r\n\n", "[message|a|] id= retry=-1"),
    ROW("LF CR is two ends", "data:a\n\rdata:b\n\n", "[message|a|][message|b|] id= retry=-1"),
    ROW("CR CR LF LF", "data:a\r\r\n\ndata:b\r\r", "[message|a|][message|b|] id= retry=-1"),
    ROW("blank lines only", "\n\r\r\n\n", " id= retry=-1"),
    ROW("U+0085, U+2028, VT and FF end no line",
        "data:a\xc2\x85"
        "b\xe2\x80\xa8"
        "c\vd\fe\n\n",
        "[message|a\xc2\x85"
        "b\xe2\x80\xa8"
        "c\vd\fe|] id= retry=-1"),
    ROW("empty stream", "", " id= retry=-1"),
    ROW("long lines", "data:0123456789abcdef\ndata:0123456789abcdefg\n\n",
        "[message|0123456789abcdef\\n0123456789abcdefg|] id= retry=-1"),

    /* Byte order mark. */
    ROW("byte order mark",
        "\xef\xbb\xbf"
        "data:a\n\n",
        "[message|a|] id= retry=-1"),
    ROW("two byte order marks",
        "\xef\xbb\xbf\xef\xbb\xbf"
        "data:a\n\ndata:b\n\n",
        "[message|b|] id= retry=-1"),
    ROW("byte order mark on the second line",
        "\n\xef\xbb\xbf"
        "data:a\n\ndata:b\n\n",
        "[message|b|] id= retry=-1"),
    ROW("byte order mark, then a blank line",
        "\xef\xbb\xbf\n\xef\xbb\xbf"
        "data:a\n\n",
        " id= retry=-1"),
    ROW("two bytes of a byte order mark",
        "\xef\xbb"
        "data:a\n\n",
        " id= retry=-1"),
    ROW("nearly a byte order mark",
        "\xef\xbb\xbe"
        "data:a\n\n",
        " id= retry=-1"),
    ROW("byte order mark in data", "data:\xef\xbb\xbf\n\n", "[message|\xef\xbb\xbf|] id= retry=-1"),

    /* Fields, mostly after the ideas of the web platform tests. */
    ROW("parsing",
        "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n"
        " data:32\ndata:4\n\n",
        "[message|\\0\\n 2\\n1\\n3\\n\\n4|] id= retry=-1"),
    ROW("leading tab", "data:\ttest\rdata: \ndata:test\n\n",
        "[message|\ttest\\n\\ntest|] id= retry=-1"),
    ROW("only one space goes", "data:  a\ndata: \tb\n\n", "[message| a\\n\tb|] id= retry=-1"),
    ROW("colons in the value", "data: a: b:c\ndata::\n\n", "[message|a: b:c\\n:|] id= retry=-1"),
    ROW("unknown fields",
        "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\n\n",
        "[message|test\\n|] id= retry=-1"),
    ROW("space before the colon", "data : a\n\n", " id= retry=-1"),
    ROW("names are case-sensitive", "DATA:a\nEvent:b\ndata:c\n\n", "[message|c|] id= retry=-1"),
    ROW("names are whole", "dat:a\ndatax:b\ndata:c\nevents:d\ni:1\nids:2\n\n",
        "[message|c|] id= retry=-1"),
    ROW("invalid UTF-8 passes", "data:\xff\xc0\n\n", "[message|\xff\xc0|] id= retry=-1"),
    ROW("NUL in data", "data:\0\n\n\n\n", "[message|\\0|] id= retry=-1"),
    ROW("comments", "data:1\r:\0\n:\r\ndata:2\n:x\rdata:3\n\n",
        "[message|1\\n2\\n3|] id= retry=-1"),
    ROW("data before the final blank line", "retry:1000\ndata:test1\n\nid:test\ndata:test2",
        "[message|test1|] id= retry=1000"),

    /* Type. */
    ROW("type", "event:test\ndata:x\n\ndata:x\n\n", "[test|x|][message|x|] id= retry=-1"),
    ROW("empty type", "event: \ndata:a\n\n", "[message|a|] id= retry=-1"),
    ROW("the last type counts", "event:a\nevent:b\ndata:c\n\n", "[b|c|] id= retry=-1"),
    ROW("an empty type takes an earlier one back", "event:a\nevent\ndata:c\n\n",
        "[message|c|] id= retry=-1"),
    ROW("a block without data resets the type", "event:a\n\ndata:b\n\n",
        "[message|b|] id= retry=-1"),
    ROW("type with spaces", "event:  a \ndata:b\n\n", "[ a |b|] id= retry=-1"),

    /* Id. */
    ROW("id", "id: 7\ndata:a\n\n", "[message|a|7] id=7 retry=-1"),
    ROW("id stays", "id:7\ndata:a\n\ndata:b\n\n", "[message|a|7][message|b|7] id=7 retry=-1"),
    ROW("id is reset", "id:7\ndata:a\n\nid\ndata:b\n\n", "[message|a|7][message|b|] id= retry=-1"),
    ROW("id is reset with a colon", "id:7\n\nid:\n\n", " id= retry=-1"),
    ROW("id behind data", "data:a\nid:7\n\n", "[message|a|7] id=7 retry=-1"),
    ROW("the last id counts", "id:7\nid:8\ndata:a\n\n", "[message|a|8] id=8 retry=-1"),
    ROW("id without data", "id:7\n\n", " id=7 retry=-1"),
    ROW("id of an unfinished block", "id:7\n\nid:8\ndata:a\n", " id=7 retry=-1"),
    ROW("id of an unfinished line", "id:7\n\nid:8", " id=7 retry=-1"),
    ROW("id with NUL is ignored", "id:7\n\nid:8\0\ndata:a\n\n", "[message|a|7] id=7 retry=-1"),
    ROW("id with NUL does not undo one", "id:8\nid:\0\ndata:a\n\n", "[message|a|8] id=8 retry=-1"),
    ROW("id keeps its spaces", "id:  7 \n\n", " id= 7  retry=-1"),

    /* Retry. */
    ROW("retry", "retry:3000\n\n", " id= retry=3000"),
    ROW("retry counts at once", "retry: 5\n", " id= retry=5"),
    ROW("retry zero", "retry:0\n", " id= retry=0"),
    ROW("retry with zeros ahead", "retry:0007\n", " id= retry=7"),
    ROW("retry bogus", "retry:3000\nretry:1000x\n", " id= retry=3000"),
    ROW("retry bogus ahead", "retry:3000\nretry:x1000\n", " id= retry=3000"),
    ROW("retry with signs", "retry:1\nretry:+2\nretry:-3\n", " id= retry=1"),
    ROW("retry with spaces", "retry:1\nretry:  2\nretry:3 \nretry:4.5\n", " id= retry=1"),
    ROW("retry empty", "retry:1\nretry\nretry:\n", " id= retry=1"),
    ROW("retry the longest", "retry:2147483647\n", " id= retry=2147483647"),
    ROW("retry too long", "retry:2147483648\n", " id= retry=2147483647"),
    ROW("retry far too long", "retry:99999999999999999999999999\n", " id= retry=2147483647"),
    ROW("retry other digits", "retry:\xd9\xa1\n", " id= retry=-1"),
#undef ROW
};
#define ROWS (sizeof rows / sizeof *rows)

/* Running a stream -----------------------------------------------------------------------------*/

static void log_bytes(struct log *log, const char *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) {
    assert_true(log->len + 3 < LOG_MAX);
    if (bytes[i] == '\n' || bytes[i] == '\0') {
      log->text[log->len++] = '\\';
      log->text[log->len++] = bytes[i] == '\n' ? 'n' : '0';
    } else {
      log->text[log->len++] = bytes[i];
    }
  }
  log->text[log->len] = '\0';
}

static void log_event(struct log *log, const sse_parsed *event) {
  assert_int_equal(event->type[event->type_len], '\0');
  assert_int_equal(event->data[event->data_len], '\0');
  assert_int_equal(event->id[event->id_len], '\0');
  log_bytes(log, "[", 1);
  log_bytes(log, event->type, event->type_len);
  log_bytes(log, "|", 1);
  log_bytes(log, event->data, event->data_len);
  log_bytes(log, "|", 1);
  log_bytes(log, event->id, event->id_len);
  log_bytes(log, "]", 1);
}

/* Feeds one piece from memory of exactly its size, which is gone afterwards; memory that runs out
 * is there again at the next call. Gives 0 or the error that ended the stream. */
static int feed(sse_parser *parser, const char *bytes, size_t len, struct log *log) {
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
    if (rc == 1) log_event(log, &event);
  }
  if (rc == 0) assert_int_equal(len, 0);
  free(piece);
  return rc;
}

/* Runs a stream cut at two places; with step not 0, into pieces of that size instead. */
static void run(const sse_parser_config *config, const char *stream, size_t len, size_t cut,
                size_t cut2, size_t step, struct log *log) {
  sse_parser *parser = NULL;
  while (sse_parser_new(&parser, config) == SSE_ENOMEM) continue;
  int rc = 0;
  log->len = 0;
  log->text[0] = '\0';
  if (step > 0) {
    for (size_t i = 0; i < len && rc == 0; i += step)
      rc = feed(parser, stream + i, len - i < step ? len - i : step, log);
  } else {
    rc = feed(parser, stream, cut, log);
    if (rc == 0) rc = feed(parser, stream + cut, cut2 - cut, log);
    if (rc == 0) rc = feed(parser, stream + cut2, len - cut2, log);
  }
  char end[LOG_MAX / 2];
  int n = snprintf(end, sizeof end, " id=%s retry=%d%s%s", sse_parser_last_id(parser),
                   (int)sse_parser_retry_ms(parser), rc < 0 ? " " : "",
                   rc < 0 ? sse_error_name(rc) : "");
  log_bytes(log, end, (size_t)n);
  sse_parser_free(parser);
}

static void check_cuts(const sse_parser_config *config, const struct row *row) {
  struct log log;
  for (size_t step = 1; step < 4; step++) {
    run(config, row->stream, row->len, 0, 0, step, &log);
    if (strcmp(log.text, row->want) != 0)
      fail_msg("%s, in pieces of %zu: %s", row->name, step, log.text);
  }
  for (size_t cut = 0; cut <= row->len; cut++) {
    for (size_t cut2 = cut; cut2 <= row->len; cut2++) {
      run(config, row->stream, row->len, cut, cut2, 0, &log);
      if (strcmp(log.text, row->want) != 0)
        fail_msg("%s, cut at %zu and %zu: %s", row->name, cut, cut2, log.text);
    }
  }
}

static void every_row_however_cut(void **state) {
  (void)state;
  for (size_t r = 0; r < ROWS; r++) check_cuts(NULL, &rows[r]);
}

/* Limits ---------------------------------------------------------------------------------------*/

static void limits_however_cut(void **state) {
  static const sse_parser_config config = {.line_max_bytes = 10, .data_max_bytes = 8};
  static const struct row limits[] = {
#define ROW(name, stream, want) {name, stream, sizeof(stream) - 1, want}
      ROW("longest line", "data:12345\n\n", "[message|12345|] id= retry=-1"),
      ROW("line too long", "data:a\n\ndata:123456\n\ndata:b\n\n",
          "[message|a|] id= retry=-1 SSE_ETOOBIG"),
      ROW("line too long and unfinished", "data:123456", " id= retry=-1 SSE_ETOOBIG"),
      ROW("comment too long", "data:a\n\n:1234567890\n", "[message|a|] id= retry=-1 SSE_ETOOBIG"),
      ROW("longest data", "data:1234\ndata:123\n\n", "[message|1234\\n123|] id= retry=-1"),
      ROW("data too long", "data:1234\ndata:1234\n\n", " id= retry=-1 SSE_ETOOBIG"),
      ROW("too many empty lines", "data\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\n\n",
          " id= retry=-1 SSE_ETOOBIG"),
      ROW("just enough empty lines", "data\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\n\n",
          "[message|\\n\\n\\n\\n\\n\\n\\n\\n|] id= retry=-1"),
      ROW("the limit is an event's", "data:12345\n\ndata:12345\n\n",
          "[message|12345|][message|12345|] id= retry=-1"),
      ROW("id and retry before it count", "id:1\n\nretry:2\nid:3\ndata:123456\n\n",
          " id=1 retry=2 SSE_ETOOBIG"),
#undef ROW
  };
  (void)state;
  for (size_t r = 0; r < sizeof limits / sizeof *limits; r++) check_cuts(&config, &limits[r]);
}

/* One line can be too much data by itself. */
static void one_line_over_the_limit(void **state) {
  static const sse_parser_config config = {.data_max_bytes = 4};
  static const struct row limits[] = {
#define ROW(name, stream, want) {name, stream, sizeof(stream) - 1, want}
      ROW("all of it", "data:1234\n\n", "[message|1234|] id= retry=-1"),
      ROW("one byte more", "data:12345\n\n", " id= retry=-1 SSE_ETOOBIG"),
      ROW("much more", "data:1234567890\n\n", " id= retry=-1 SSE_ETOOBIG"),
#undef ROW
  };
  (void)state;
  for (size_t r = 0; r < sizeof limits / sizeof *limits; r++) check_cuts(&config, &limits[r]);
}

static void too_big_lasts_until_reset(void **state) {
  static const sse_parser_config config = {.line_max_bytes = 10};
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
  static const struct row row = {"", "data:a\n\nid\ndata:b\n\n", 19,
                                 "[message|a|e.5][message|b|] id= retry=-1"};
  sse_parser *parser;
  (void)state;
  assert_int_equal(sse_parser_new(&parser, &config), 0);
  assert_string_equal(sse_parser_last_id(parser), "e.5");
  sse_parser_free(parser);
  check_cuts(&config, &row);
}

static void wrong_arguments(void **state) {
  static char not_null;
  const sse_parser_config bad[] = {
      {.reserved = {&not_null}},    {.reserved = {NULL, NULL, NULL, &not_null}},
      {.line_max_bytes = SIZE_MAX}, {.data_max_bytes = SIZE_MAX / 4 + 1},
      {.last_id = "a\n"},           {.last_id = "\ra"}};
  sse_parser *parser = NULL;
  const char *at = NULL;
  size_t len = 0;
  sse_parsed event;
  (void)state;
  assert_int_equal(sse_parser_new(NULL, NULL), SSE_EINVAL);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(sse_parser_new(&parser, &bad[i]), SSE_EINVAL);
    assert_null(parser);
  }
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
  for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
    struct log want, got;
    run(NULL, stream, sizeof stream - 1, 0, 0, steps[s], &want);
    for (long run_of = 1; run_of <= 3; run_of++) {
      long calls = 1;
      for (long fail = 1; fail <= calls; fail++) {
        struct allocator a = {.fail_from = fail, .fail_to = fail + run_of - 1};
        sse_parser_config config = {.alloc = scripted_alloc, .alloc_arg = &a, .last_id = "before"};
        run(&config, stream, sizeof stream - 1, 0, 0, steps[s], &got);
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
