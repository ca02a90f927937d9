/* SPDX-License-Identifier: MIT */
/* test_standard.c: the tests' own reader of event streams, and the library's parser against it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sse/format.h>
#include <sse/parse.h>

#include "standard.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define LOG_MAX     4096
#define STREAM_MAX  512
#define SEED_ROUNDS 2500

/* What a stream gave, as a text: an event as [type|data|id], an id alone as (id). */
struct log {
  char text[LOG_MAX];
  size_t len;
};

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

static void log_event(struct log *log, const char *type, size_t type_len, const char *data,
                      size_t data_len, const char *id, size_t id_len) {
  log_bytes(log, "[", 1);
  log_bytes(log, type, type_len);
  log_bytes(log, "|", 1);
  log_bytes(log, data, data_len);
  log_bytes(log, "|", 1);
  log_bytes(log, id, id_len);
  log_bytes(log, "]", 1);
}

/* Feeds one piece from memory that is gone afterwards. */
static void feed(struct standard *reader, const char *bytes, size_t len, bool ids,
                 struct log *log) {
  struct standard_event event;
  char *piece = malloc(len + 1);
  assert_non_null(piece);
  memcpy(piece, bytes, len);
  standard_feed(reader, piece, len);
  free(piece);
  while (standard_next(reader, &event)) {
    assert_int_equal(strlen(event.id), event.id_len);
    assert_int_equal(event.type[event.type_len], '\0');
    assert_int_equal(event.data[event.data_len], '\0');
    if (event.kind == STANDARD_EVENT) {
      log_event(log, event.type, event.type_len, event.data, event.data_len, event.id,
                event.id_len);
    } else if (ids) {
      assert_int_equal(event.type_len + event.data_len, 0);
      log_bytes(log, "(", 1);
      log_bytes(log, event.id, event.id_len);
      log_bytes(log, ")", 1);
    }
  }
}

static void log_end(struct log *log, const char *last_id, int64_t retry_ms) {
  char end[LOG_MAX / 2];
  int n = snprintf(end, sizeof end, " id=%s retry=%lld", last_id, (long long)retry_ms);
  log_bytes(log, end, (size_t)n);
}

/* The table ------------------------------------------------------------------------------------*/

struct row {
  const char *name, *stream;
  size_t len;
  const char *want;
};

#define ROW(name, stream, want)                                                                    \
  { name, stream, sizeof(stream) - 1, want }
#define BOM "\xef\xbb\xbf"

static const struct row rows[] = {
    /* The examples of the standard, 9.2.6 (the third event of the second never ends). */
    ROW("standard: stocks", "data: YHOO\ndata: +2\ndata: 10\n\n",
        "[message|YHOO\\n+2\\n10|] id= retry=-1"),
    ROW("standard: four blocks",
        ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
        "[message|first event|1][message|second event|] id= retry=-1"),
    ROW("standard: a third that ends", "data:  third event\n\n",
        "[message| third event|] id= retry=-1"),
    ROW("standard: empty data",
        "data\n\ndata\ndata\n\ndata:", "[message||][message|\\n|] id= retry=-1"),
    ROW("standard: one space", "data:test\n\ndata: test\n\n",
        "[message|test|][message|test|] id= retry=-1"),
    ROW("standard: three kinds",
        "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n",
        "[add|73857293|][remove|2153|][add|113411|] id= retry=-1"),

    /* After the web platform tests, eventsource/format-*. */
    ROW("wpt: bom", BOM "data:1\n\n" BOM "data:2\n\ndata:3\n\n",
        "[message|1|][message|3|] id= retry=-1"),
    ROW("wpt: bom twice", BOM BOM "data:1\n\ndata:2\n\ndata:3\n\n",
        "[message|2|][message|3|] id= retry=-1"),
    ROW("wpt: comments", "data:1\r:\0\n:\r\ndata:2\n:data:3\r:data:fail\r\ndata:4\n: data:5\n\n",
        "[message|1\\n2\\n4|] id= retry=-1"),
    ROW("wpt: data before final empty line", "retry:1000\ndata:test1\n\nid:test\ndata:test2",
        "[message|test1|] id= retry=1000"),
    ROW("wpt: field data", "data:\n\ndata\ndata\n\ndata:test\n\n",
        "[message||][message|\\n|][message|test|] id= retry=-1"),
    ROW("wpt: event", "event:test\ndata:x\n\ndata:x\n\n", "[test|x|][message|x|] id= retry=-1"),
    ROW("wpt: event empty", "event: \ndata:data\n\n", "[message|data|] id= retry=-1"),
    ROW("wpt: id reset", "id: 1\nretry: 200\ndata: 1\n\ndata: 2\n\nid\ndata: 3\n\ndata: 4\n\n",
        "[message|1|1][message|2|1][message|3|][message|4|] id= retry=200"),
    ROW("wpt: id with NUL", "id: a\0b\nid: \0\ndata: x\n\n", "[message|x|] id= retry=-1"),
    ROW("wpt: leading space", "data:\ttest\rdata: \ndata:test\n\n",
        "[message|\ttest\\n\\ntest|] id= retry=-1"),
    ROW("wpt: newlines", "data:test\r\ndata\ndata:test\r\n\r",
        "[message|test\\n\\ntest|] id= retry=-1"),
    ROW("wpt: parsing",
        "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n"
        " data:32\ndata:4\n\n",
        "[message|\\0\\n 2\\n1\\n3\\n\\n4|] id= retry=-1"),
    ROW("wpt: retry", "retry:3000\ndata:x\n\n", "[message|x|] id= retry=3000"),
    ROW("wpt: retry bogus", "retry:3000\nretry:1000x\ndata:x\n\n", "[message|x|] id= retry=3000"),
    ROW("wpt: retry empty", "retry:3000\nretry\nretry:\ndata:test\n\n",
        "[message|test|] id= retry=3000"),
    ROW("wpt: unknown fields",
        "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\n\n",
        "[message|test\\n|] id= retry=-1"),
    ROW("wpt: utf-8", "data:ok\xe2\x80\xa6\n\n", "[message|ok\xe2\x80\xa6|] id= retry=-1"),
    ROW("wpt: null character", "data:\0\n\n\n\n", "[message|\\0|] id= retry=-1"),

    /* Line ends. */
    ROW("CR", "data:a\rdata:b\r\r", "[message|a\\nb|] id= retry=-1"),
    ROW("CRLF", "data:a\r\ndata:b\r\n\r\n", "[message|a\\nb|] id= retry=-1"),
    ROW("CRLF LF", "data:a\r\n\n", "[message|a|] id= retry=-1"),
    ROW("LF CR is two", "data:a\n\rdata:b\n\n", "[message|a|][message|b|] id= retry=-1"),
    ROW("LF CRLF", "data:a\n\r\ndata:b\r\n\r", "[message|a|][message|b|] id= retry=-1"),
    ROW("no others", "data:a\xc2\x85\xe2\x80\xa8\v\fb\n\n",
        "[message|a\xc2\x85\xe2\x80\xa8\v\fb|] id= retry=-1"),
    ROW("nothing", "", " id= retry=-1"),
    ROW("a BOM alone", BOM, " id= retry=-1"),
    ROW("a BOM and a blank line", BOM "\n" BOM "data:a\n\n", " id= retry=-1"),
    ROW("a BOM behind a CR", "\r" BOM "data:a\n\n", " id= retry=-1"),
    ROW("two thirds of a BOM",
        "\xef\xbb"
        "data:a\n\n",
        " id= retry=-1"),

    /* Names and colons. */
    ROW("names are exact", "DATA:a\ndat:a\ndata :a\ndatum\n\n", " id= retry=-1"),
    ROW("a colon ahead", ":data:a\n\n", " id= retry=-1"),
    ROW("colons behind", "data::\ndata: :b: \n\n", "[message|:\\n:b: |] id= retry=-1"),
    ROW("one space goes", "data:  a\nevent:  b\nid:  c\n\n", "[ b| a| c] id= c retry=-1"),
    ROW("the type goes with its block", "event:a\n\ndata:x\n\n", "[message|x|] id= retry=-1"),
    ROW("the last type counts", "event:a\nevent:b\ndata:x\n\n", "[b|x|] id= retry=-1"),
    ROW("a type is taken back", "event:a\nevent\ndata:x\n\n", "[message|x|] id= retry=-1"),

    /* Ids. */
    ROW("an id counts at the blank line", "id:1\n\nid:2\n", "(1) id=1 retry=-1"),
    ROW("ids alone", "id:1\n\nid:1\n\nid\n\n\n", "(1)(1)() id= retry=-1"),
    ROW("no id, no item", "event:x\nretry:5\n\n:\n\n", " id= retry=5"),
    ROW("the last id of a block", "id:1\nid:2\n\ndata:x\n\n", "(2)[message|x|2] id=2 retry=-1"),
    ROW("an id stays", "id:1\ndata:x\n\ndata:y\n\n", "[message|x|1][message|y|1] id=1 retry=-1"),
    ROW("NUL does not undo", "id:1\nid:2\0\n\nid:\0\n\n", "(1) id=1 retry=-1"),

    /* Retry. */
    ROW("retry counts at its line", "retry: 0010\n", " id= retry=10"),
    ROW("digits alone", "retry:1\nretry:+2\nretry:-3\nretry:4 \nretry:  5\nretry:6.\nretry:0x7\n",
        " id= retry=1"),
    ROW("other digits", "retry:\xd9\xa1\nretry:\xef\xbc\x91\nretry:1\0\n", " id= retry=-1"),
    ROW("the longest", "retry:9223372036854775807\n", " id= retry=9223372036854775807"),
    ROW("longer still", "retry:9223372036854775808\n", " id= retry=9223372036854775807"),
    ROW("far longer", "retry:123456789012345678901\n", " id= retry=9223372036854775807"),
};

static void every_row_however_cut(void **state) {
  (void)state;
  for (size_t r = 0; r < COUNT(rows); r++) {
    const struct row *row = &rows[r];
    for (size_t step = 1; step <= row->len + 1; step++) {
      struct standard *reader = standard_new("");
      struct log log = {.len = 0};
      for (size_t at = 0; at < row->len; at += step) {
        size_t len = row->len - at < step ? row->len - at : step;
        feed(reader, row->stream + at, len, true, &log);
      }
      log_end(&log, standard_last_id(reader), standard_retry_ms(reader));
      if (strcmp(log.text, row->want) != 0)
        fail_msg("%s, in pieces of %zu: %s", row->name, step, log.text);
      standard_free(reader);
    }
  }
}

static void a_new_connection(void **state) {
  struct standard *reader = standard_new("before");
  struct log log = {.len = 0};
  (void)state;
#define FEED(text) feed(reader, text, sizeof(text) - 1, true, &log)
  FEED(BOM "data:a\n\nid:1\nretry:2\n\nid:3\nevent:x\ndata:lost\nda");
  standard_reset(reader);
  FEED("ta:no\n\ndata:b\n\n");
  standard_reset(reader);
  FEED(BOM "data:c\n\ndata:d\r\r");
  standard_reset(reader);
  /* No half of a CRLF any more: a blank line, and what follows it is no byte order mark. */
  FEED("\n" BOM "data:e\n\n\r");
  standard_feed(reader, "data:not asked for\n\n", 20);
  standard_reset(reader);
  FEED("id\n\n");
#undef FEED
  log_end(&log, standard_last_id(reader), standard_retry_ms(reader));
  assert_string_equal(log.text, "[message|a|before](1)[message|b|1][message|c|1][message|d|1]()"
                                " id= retry=2");
  standard_free(reader);
  standard_free(NULL);
}

/* Against the library --------------------------------------------------------------------------*/

static const char *const tokens[] = {
    "data",    "data", "event",      "id",       "id",         "retry",     "data:", "data: ",
    "event:",  "id:",  "id: ",       "retry:",   ":",          " ",         "\n",    "\n",
    "\n",      "\r",   "\r\n",       "\n\n",     "\n\n",       "a",         "7",     "0",
    "99999",   BOM,    "\xef",       "\xbb",     "x.1",        "\t",        "Data:", "\xc3",
    "message", "~",    "data:a\n\n", "id:b\n\n", "2147483647", "2147483648"};

/* A row of random numbers, from 0 to below n. */
static size_t draw(uint64_t *random, size_t n) {
  *random = *random * 6364136223846793005u + 1442695040888963407u;
  return (size_t)(*random >> 33) % n;
}

/* What a connection begins with, and ends with, before it is cut off. */
static const char *const heads[] = {"", "", BOM, "\n" BOM "data:a\n\n"};
static const char *const tails[] = {"", "", "\r", "id:b\ndata:a\n"};

static void add(char stream[STREAM_MAX], size_t *len, const char *bytes, size_t count) {
  assert_true(*len + count <= STREAM_MAX);
  memcpy(stream + *len, bytes, count);
  *len += count;
}

/* A soup of tokens; one of 24 is a NUL. */
static size_t cook(uint64_t *random, char stream[STREAM_MAX]) {
  size_t len = 0, count = draw(random, 40);
  const char *head = heads[draw(random, COUNT(heads))];
  const char *tail = tails[draw(random, COUNT(tails))];
  add(stream, &len, head, strlen(head));
  for (size_t i = 0; i < count; i++) {
    const char *token = tokens[draw(random, COUNT(tokens))];
    bool nul = draw(random, 24) == 0;
    add(stream, &len, nul ? "" : token, nul ? 1 : strlen(token));
  }
  add(stream, &len, tail, strlen(tail));
  return len;
}

static void feed_library(sse_parser *parser, const char *bytes, size_t len, struct log *log) {
  sse_parsed event;
  int rc;
  while ((rc = sse_parser_next(parser, &bytes, &len, &event)) == 1)
    log_event(log, event.type, event.type_len, event.data, event.data_len, event.id, event.id_len);
  assert_int_equal(rc, 0);
}

/* Both read the same soup, each in its own pieces, and say the same. */
static void compare(uint64_t *random, sse_parser *parser, struct standard *reader,
                    const char *stream, size_t len) {
  struct log want = {.len = 0}, got = {.len = 0};
  for (size_t at = 0, piece; at < len; at += piece) {
    piece = 1 + draw(random, 30);
    if (piece > len - at) piece = len - at;
    feed(reader, stream + at, piece, false, &want);
  }
  for (size_t at = 0, piece; at < len; at += piece) {
    piece = 1 + draw(random, 8);
    if (piece > len - at) piece = len - at;
    feed_library(parser, stream + at, piece, &got);
  }
  int64_t retry_ms = standard_retry_ms(reader);
  log_end(&want, standard_last_id(reader),
          retry_ms > SSE_RETRY_MAX_MS ? SSE_RETRY_MAX_MS : retry_ms);
  log_end(&got, sse_parser_last_id(parser), sse_parser_retry_ms(parser));
  if (strcmp(want.text, got.text) != 0) {
    log_bytes(&want, " of ", 4);
    log_bytes(&want, stream, len);
    fail_msg("%s\nis wanted, and not %s", want.text, got.text);
  }
}

static void the_library_says_the_same(void **state) {
  static const uint64_t seeds[] = {1, 2, 3, 5, 8, 13, 21, 34};
  char stream[STREAM_MAX];
  (void)state;
  for (size_t s = 0; s < COUNT(seeds); s++) {
    uint64_t random = seeds[s];
    const sse_parser_config config = {.last_id = s % 2 == 0 ? "" : "before"};
    sse_parser *parser;
    struct standard *reader = standard_new(config.last_id);
    assert_int_equal(sse_parser_new(&parser, &config), 0);
    for (int i = 0; i < SEED_ROUNDS; i++) {
      size_t len = cook(&random, stream);
      compare(&random, parser, reader, stream, len);
      /* The next soup is another connection, or goes on where this one stopped. */
      if (draw(&random, 3) > 0) {
        sse_parser_reset(parser);
        standard_reset(reader);
      }
    }
    sse_parser_free(parser);
    standard_free(reader);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_however_cut),
      cmocka_unit_test(a_new_connection),
      cmocka_unit_test(the_library_says_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
