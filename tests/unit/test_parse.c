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

/* Where comments are logged, as #text#. */
static struct log *heard;

static void log_comment(void *arg, const char *text, size_t len) {
  assert_string_equal(arg, "of the host");
  log_bytes(heard, "#", 1);
  log_bytes(heard, text, len);
  log_bytes(heard, "#", 1);
}

static char host_arg[] = "of the host";

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
  heard = log;
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

static void log_error(struct log *log, int error) {
  if (error == 0) return;
  log_bytes(log, " ", 1);
  log_bytes(log, sse_error_name(error), strlen(sse_error_name(error)));
}

/* The name of the error that ended the stream is behind the rest, and then that of the last id. */
static void close_parser(void *parser, int error, struct log *log) {
  log_end(log, sse_parser_last_id(parser), sse_parser_retry_ms(parser));
  log_error(log, error);
  log_error(log, sse_parser_last_id_error(parser));
  sse_parser_free(parser);
}

/* Asks for the event that the end cut off, which is logged behind a sign. */
static void close_cut(void *parser, int error, struct log *log) {
  sse_parsed event;
  int rc;
  while ((rc = sse_parser_unfinished(parser, &event)) == SSE_ENOMEM) continue;
  if (error < 0) assert_int_equal(rc, error);
  if (rc == 1) {
    log_bytes(log, " cut", 4);
    log_event(log, event.type, event.type_len, event.data, event.data_len, event.id, event.id_len);
    assert_int_equal(sse_parser_unfinished(parser, &event), 0);
  }
  close_parser(parser, rc < 0 ? rc : 0, log);
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
      CASE("a comment may be too long", ":1234567890\ndata:a\n:1234567890\n\n",
           "[message|a|] id= retry=-1"),
      CASE("so may a field that the standard does not name",
           "data:a\nidentity:1\ndatum:12345\nx1234567890\nretries:123\nev:12345678\n\ndata:b\n\n",
           "[message|a|][message|b|] id= retry=-1"),
      CASE("unfinished and too long", "data:a\n\n:1234567890", "[message|a|] id= retry=-1"),
      CASE("behind a mark", BOM ":1234567890\ndata:a\n\n", "[message|a|] id= retry=-1"),
      CASE("what looks like a mark", "\xef\xbb:345678901\ndata:a\n\n", "[message|a|] id= retry=-1"),
      CASE("a mark counts", BOM "data:123\n\n", " id= retry=-1 SSE_ETOOBIG"),
      CASE("a NUL in a name", "da\0ta:12345\nid\0:1234567\n\ndata:b\n\n",
           "[message|b|] id= retry=-1"),
      CASE("a long retry is too long", "retry:12345\n", " id= retry=-1 SSE_ETOOBIG"),
      CASE("a long type is too long", "event:12345\n", " id= retry=-1 SSE_ETOOBIG"),
      CASE("a long id is too long", "id:12345678\n", " id= retry=-1 SSE_ETOOBIG"),
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

/* Names are told apart even where the limit is shorter than they are. */
static void names_over_the_limit(void **state) {
  static const sse_parser_config config = {.line_bytes_max = 1};
  static const struct stream_case limits[] = {
      CASE("others", "datum\ndat\nd\nevents:\nretr\nidx:1\n:\n: comment\n\n", " id= retry=-1"),
      CASE("data", "data\n", " id= retry=-1 SSE_ETOOBIG"),
      CASE("event", "event:\n", " id= retry=-1 SSE_ETOOBIG"),
      CASE("id", "id\n", " id= retry=-1 SSE_ETOOBIG"),
      CASE("retry", "retry\n", " id= retry=-1 SSE_ETOOBIG"),
      CASE("another behind a mark", BOM "date\n\n", " id= retry=-1"),
      CASE("data behind a mark", BOM "data\n", " id= retry=-1 SSE_ETOOBIG"),
  };
  (void)state;
  check_rows(&config, limits, COUNT(limits));
}

/* Comments -------------------------------------------------------------------------------------*/

static void comments_on_request(void **state) {
  static const sse_parser_config config = {
      .line_bytes_max = 10, .comment = log_comment, .comment_arg = host_arg};
  static const struct stream_case rows[] = {
      CASE("a heartbeat", ":\n", "## id= retry=-1"),
      CASE("one space is left out", ":a\n: b\n:  c\n", "#a##b## c# id= retry=-1"),
      CASE("a colon in it", "::a\n", "#:a# id= retry=-1"),
      CASE("before and in an event", ":a\ndata:x\n:b\r\n\n", "#a##b#[message|x|] id= retry=-1"),
      CASE("behind a mark", BOM ":a\n" BOM ":b\n", "#a# id= retry=-1"),
      CASE("unfinished", ":a", " id= retry=-1"),
      CASE("the longest", ":123456789\n", "#123456789# id= retry=-1"),
      CASE("too long", ":a\n:1234567890\n", "#a# id= retry=-1 SSE_ETOOBIG"),
  };
  (void)state;
  check_rows(&config, rows, COUNT(rows));
}

/* The end of a stream --------------------------------------------------------------------------*/

static void what_the_end_cut_off(void **state) {
  static const sse_parser_config config = {.line_bytes_max = 100, .data_bytes_max = 8};
  static const struct stream_case rows[] = {
      CASE("nothing", "", " id= retry=-1"),
      CASE("between two events", "data:a\n\n", "[message|a|] id= retry=-1"),
      CASE("no blank line", "data:a\n", " cut[message|a|] id= retry=-1"),
      CASE("all members", "id:7\nevent:t\ndata:a\ndata:b\n", " cut[t|a\\nb|7] id= retry=-1"),
      CASE("the last id is an earlier one", "id:6\n\nid:7\ndata:a\n",
           " cut[message|a|7] id=6 retry=-1"),
      CASE("an earlier id", "id:6\n\ndata:a\n", " cut[message|a|6] id=6 retry=-1"),
      CASE("in the data", "data:a\ndata: bc", " cut[message|a\\nbc|] id= retry=-1"),
      CASE("at the data", "data:a\ndata:", " cut[message|a\\n|] id= retry=-1"),
      CASE("in the name", "data:a\ndata", " cut[message|a|] id= retry=-1"),
      CASE("in a first name", "dat", " cut[message||] id= retry=-1"),
      CASE("in the id", "data:a\nid:12", " cut[message|a|] id= retry=-1"),
      CASE("in the type", "event:12", " cut[message||] id= retry=-1"),
      CASE("an id alone", "id:12\n", " cut[message||12] id= retry=-1"),
      CASE("a type alone", "event:x\n", " cut[x||] id= retry=-1"),
      CASE("an empty type", "event\n", " cut[message||] id= retry=-1"),
      CASE("behind a mark", BOM "data:a", " cut[message|a|] id= retry=-1"),
      CASE("a mark", BOM, " id= retry=-1"),
      CASE("a mark in part", "\xef\xbb", " id= retry=-1"),
      CASE("a comment", "data:a\n\n:abc", "[message|a|] id= retry=-1"),
      CASE("a field that the standard does not name", "x:1\ny", " id= retry=-1"),
      CASE("a retry", "retry:1\nretry:23", " id= retry=1"),
      CASE("a NUL", "\0", " id= retry=-1"),
      CASE("behind a comment", "data:a\n:abc", " cut[message|a|] id= retry=-1"),
      CASE("too much data", "data:1234\ndata:12345", " id= retry=-1 SSE_ETOOBIG"),
      CASE("after an error", "data:123456789\n", " id= retry=-1 SSE_ETOOBIG"),
      CASE("a CR is an end", "data:a\r", " cut[message|a|] id= retry=-1"),
  };
  struct case_reader reader = library(&config);
  reader.close = close_cut;
  (void)state;
  for (size_t r = 0; r < COUNT(rows); r++) case_check(&reader, &rows[r]);
}

/* The parser goes on without what was cut off, as after a reset. */
static void goes_on_after_the_cut(void **state) {
  sse_parser *parser;
  sse_parsed event;
  struct log log = {.len = 0};
  (void)state;
  assert_int_equal(sse_parser_new(&parser, NULL), 0);
  assert_int_equal(feed(parser, "data:a\n\n", 8, &log), 0);
  assert_int_equal(sse_parser_unfinished(parser, &event), 0);
  assert_int_equal(feed(parser, "id:7\nevent:t\ndata:b\ndata:c", 26, &log), 0);
  assert_int_equal(sse_parser_unfinished(parser, &event), 1);
  assert_string_equal(event.data, "b\nc");
  assert_string_equal(event.id, "7");
  sse_parser_reset(parser);
  assert_int_equal(feed(parser, "data:d\n\n", 8, &log), 0);
  assert_string_equal(log.text, "[message|a|][message|d|]");
  assert_int_equal(sse_parser_unfinished(NULL, &event), SSE_EINVAL);
  assert_int_equal(sse_parser_unfinished(parser, NULL), SSE_EINVAL);
  sse_parser_free(parser);
}

/* Ids ------------------------------------------------------------------------------------------*/

#define ID(x) "id:" x "\ndata\n\n"
#define TEN   "1234567890"

/* The events show them all, as the standard says; what is sent back fits into a header. */
static void ids_that_cannot_be_sent(void **state) {
  static const sse_parser_config config = {.id_bytes_max = 10, .last_id = "old"};
  static const struct stream_case rows[] = {
      CASE("one that can", ID("a b\tc"), "[message||a b\tc] id=a b\tc retry=-1"),
      CASE("bytes above ASCII can", ID("\xc3\xa9\xff"),
           "[message||\xc3\xa9\xff] id=\xc3\xa9\xff retry=-1"),
      CASE("the longest", ID(TEN), "[message||" TEN "] id=" TEN " retry=-1"),
      CASE("too long", ID(TEN "1"), "[message||" TEN "1] id=old retry=-1 SSE_ETOOBIG"),
      CASE("a control character",
           ID("a\x01"
              "b"),
           "[message||a\x01"
           "b] id=old retry=-1 SSE_EID"),
      CASE("the last control character", ID("\x1f"), "[message||\x1f] id=old retry=-1 SSE_EID"),
      CASE("DEL", ID("a\x7f"), "[message||a\x7f] id=old retry=-1 SSE_EID"),
      CASE("a space at the start", ID("  a"), "[message|| a] id=old retry=-1 SSE_EID"),
      CASE("a space at the end", ID("a "), "[message||a ] id=old retry=-1 SSE_EID"),
      CASE("a tab at the start", ID("\ta"), "[message||\ta] id=old retry=-1 SSE_EID"),
      CASE("both", ID(TEN "1 "), "[message||" TEN "1 ] id=old retry=-1 SSE_EID"),
      CASE("a NUL is ignored", ID("a\0b"), "[message||old] id=old retry=-1"),
      CASE("two, after one that can", ID("a") ID("b ") ID("c "),
           "[message||a][message||b ][message||c ] id=a retry=-1 SSE_EID"),
      CASE("one that can, after two", ID("a") ID("b ") ID("c ") ID("d"),
           "[message||a][message||b ][message||c ][message||d] id=d retry=-1"),
      CASE("again after one that can", ID("b ") ID("d") ID("e "),
           "[message||b ][message||d][message||e ] id=d retry=-1 SSE_EID"),
      CASE("a reset", ID("b ") ID(""), "[message||b ][message||] id= retry=-1"),
      CASE("after a reset", ID("") ID("b "), "[message||][message||b ] id= retry=-1 SSE_EID"),
      CASE("an event without an id", ID("b ") "data\n\n",
           "[message||b ][message||b ] id=old retry=-1 SSE_EID"),
  };
  (void)state;
  check_rows(&config, rows, COUNT(rows));
  assert_int_equal(sse_parser_last_id_error(NULL), SSE_EINVAL);
}

static void the_longest_id_by_default(void **state) {
  enum {
    MOST = 4096
  };
  static char stream[MOST + 16];
  (void)state;
  for (size_t more = 0; more < 2; more++) {
    sse_parser *parser;
    sse_parsed event;
    size_t len = 3 + MOST + more;
    const char *at = stream;
    memset(stream, '9', sizeof stream);
    memcpy(stream, "id:", 3);
    memcpy(stream + len, "\n\n", 2);
    len += 2;
    assert_int_equal(sse_parser_new(&parser, NULL), 0);
    assert_int_equal(sse_parser_next(parser, &at, &len, &event), 0);
    assert_int_equal(strlen(sse_parser_last_id(parser)), more ? 0 : MOST);
    assert_int_equal(sse_parser_last_id_error(parser), more ? SSE_ETOOBIG : 0);
    sse_parser_reset(parser);
    assert_int_equal(sse_parser_last_id_error(parser), more ? SSE_ETOOBIG : 0);
    sse_parser_free(parser);
  }
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
                                   {.reserved = {NULL, &not_null}},
                                   {.line_bytes_max = SIZE_MAX},
                                   {.data_bytes_max = SIZE_MAX / 4 + 1},
                                   {.line_bytes_max = SIZE_MAX / 4 + 1},
                                   {.id_bytes_max = SIZE_MAX / 4 + 1},
                                   {.last_id = "a\n"},
                                   {.last_id = "\ra"},
                                   {.last_id = "a\x7f"},
                                   {.last_id = " a"},
                                   {.last_id = "abc", .id_bytes_max = 2}};
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
  const sse_parser_config largest = {
      .line_bytes_max = SIZE_MAX / 4, .data_bytes_max = SIZE_MAX / 4, .id_bytes_max = SIZE_MAX / 4};
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
      "well\n\nid:one that cannot be sent \n\ndata:an event that is cut off, and that has more "
      "data than any buffer has at first, so that it grows";
  static const size_t steps[] = {1, 7, 1000};
  (void)state;
  for (size_t s = 0; s < COUNT(steps); s++) {
    struct log want, got;
    struct case_reader reader = library(NULL);
    reader.close = close_cut;
    case_read(&reader, stream, sizeof stream - 1, steps[s], &want);
    for (long run_of = 1; run_of <= 3; run_of++) {
      long calls = 1;
      for (long fail = 1; fail <= calls; fail++) {
        struct allocator a = {.fail_from = fail, .fail_to = fail + run_of - 1};
        sse_parser_config config = {.alloc = scripted_alloc, .alloc_arg = &a, .last_id = "before"};
        struct case_reader failing = library(&config);
        failing.close = close_cut;
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

/* What is not kept is not stored, however long it is and however it is divided. */
static void skipped_lines_take_no_memory(void **state) {
  static const char *const starts[] = {":a ", "xdata", BOM ":b"};
  (void)state;
  for (size_t i = 0; i < COUNT(starts); i++) {
    struct allocator a = {.fail_from = 0};
    const sse_parser_config config = {.alloc = scripted_alloc, .alloc_arg = &a};
    sse_parser *parser;
    sse_parsed event;
    assert_int_equal(sse_parser_new(&parser, &config), 0);
    for (size_t n = 0, len = strlen(starts[i]); n < 2000000; n++) {
      const char *at = n < len ? starts[i] + n : "x";
      size_t one = 1;
      assert_int_equal(sse_parser_next(parser, &at, &one, &event), 0);
    }
    assert_in_range(a.calls, 1, 2); /* the parser, and the start of a mark */
    sse_parser_free(parser);
    assert_int_equal(a.live, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_however_cut),
      cmocka_unit_test(limits_however_cut),
      cmocka_unit_test(names_over_the_limit),
      cmocka_unit_test(comments_on_request),
      cmocka_unit_test(what_the_end_cut_off),
      cmocka_unit_test(goes_on_after_the_cut),
      cmocka_unit_test(ids_that_cannot_be_sent),
      cmocka_unit_test(the_longest_id_by_default),
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
      cmocka_unit_test(skipped_lines_take_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
