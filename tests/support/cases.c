/* SPDX-License-Identifier: MIT */
/* cases.c: event streams and what they say, to hold each reader of them to; and a log of that. */
#include "cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The retry times are those that any reader can keep: to 2147483647. */
static const struct stream_case cases[] = {
    /* The examples of the standard, 9.2.6 (the third event of the second never ends). */
    CASE("standard: stocks", "data: YHOO\ndata: +2\ndata: 10\n\n",
         "[message|YHOO\\n+2\\n10|] id= retry=-1"),
    CASE("standard: four blocks",
         ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
         "[message|first event|1][message|second event|] id= retry=-1"),
    CASE("standard: a third that ends", "data:  third event\n\n",
         "[message| third event|] id= retry=-1"),
    CASE("standard: empty data",
         "data\n\ndata\ndata\n\ndata:", "[message||][message|\\n|] id= retry=-1"),
    CASE("standard: one space", "data:test\n\ndata: test\n\n",
         "[message|test|][message|test|] id= retry=-1"),
    CASE("standard: three kinds",
         "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n",
         "[add|73857293|][remove|2153|][add|113411|] id= retry=-1"),

    /* After the web platform tests, eventsource/format-*. */
    CASE("wpt: bom", BOM "data:1\n\n" BOM "data:2\n\ndata:3\n\n",
         "[message|1|][message|3|] id= retry=-1"),
    CASE("wpt: bom twice", BOM BOM "data:1\n\ndata:2\n\ndata:3\n\n",
         "[message|2|][message|3|] id= retry=-1"),
    CASE("wpt: comments", "data:1\r:\0\n:\r\ndata:2\n:data:3\r:data:fail\r\ndata:4\n: data:5\n\n",
         "[message|1\\n2\\n4|] id= retry=-1"),
    CASE("wpt: data before final empty line", "retry:1000\ndata:test1\n\nid:test\ndata:test2",
         "[message|test1|] id= retry=1000"),
    CASE("wpt: field data", "data:\n\ndata\ndata\n\ndata:test\n\n",
         "[message||][message|\\n|][message|test|] id= retry=-1"),
    CASE("wpt: event", "event:test\ndata:x\n\ndata:x\n\n", "[test|x|][message|x|] id= retry=-1"),
    CASE("wpt: event empty", "event: \ndata:data\n\n", "[message|data|] id= retry=-1"),
    CASE("wpt: id reset", "id: 1\nretry: 200\ndata: 1\n\ndata: 2\n\nid\ndata: 3\n\ndata: 4\n\n",
         "[message|1|1][message|2|1][message|3|][message|4|] id= retry=200"),
    CASE("wpt: id with NUL", "id: a\0b\nid: \0\ndata: x\n\n", "[message|x|] id= retry=-1"),
    CASE("wpt: leading space", "data:\ttest\rdata: \ndata:test\n\n",
         "[message|\ttest\\n\\ntest|] id= retry=-1"),
    CASE("wpt: newlines", "data:test\r\ndata\ndata:test\r\n\r",
         "[message|test\\n\\ntest|] id= retry=-1"),
    CASE("wpt: parsing",
         "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n"
         " data:32\ndata:4\n\n",
         "[message|\\0\\n 2\\n1\\n3\\n\\n4|] id= retry=-1"),
    CASE("wpt: retry", "retry:3000\ndata:x\n\n", "[message|x|] id= retry=3000"),
    CASE("wpt: retry bogus", "retry:3000\nretry:1000x\ndata:x\n\n", "[message|x|] id= retry=3000"),
    CASE("wpt: retry empty", "retry:3000\nretry\nretry:\ndata:test\n\n",
         "[message|test|] id= retry=3000"),
    CASE("wpt: unknown fields",
         "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\n\n",
         "[message|test\\n|] id= retry=-1"),
    CASE("wpt: utf-8", "data:ok\xe2\x80\xa6\n\n", "[message|ok\xe2\x80\xa6|] id= retry=-1"),
    CASE("wpt: null character", "data:\0\n\n\n\n", "[message|\\0|] id= retry=-1"),

    /* Line ends. */
    CASE("LF", "data:a\ndata:b\n\n", "[message|a\\nb|] id= retry=-1"),
    CASE("CR", "data:a\rdata:b\r\r", "[message|a\\nb|] id= retry=-1"),
    CASE("CRLF", "data:a\r\ndata:b\r\n\r\n", "[message|a\\nb|] id= retry=-1"),
    CASE("CRLF then LF", "data:a\r\n\n", "[message|a|] id= retry=-1"),
    CASE("LF then CRLF", "data:a\n\r\ndata:b\r\n\r", "[message|a|][message|b|] id= retry=-1"),
    CASE("LF CR is two ends", "data:a\n\rdata:b\n\n", "[message|a|][message|b|] id= retry=-1"),
    CASE("CR CR LF LF", "data:a\r\r\n\ndata:b\r\r", "[message|a|][message|b|] id= retry=-1"),
    CASE("blank lines only", "\n\r\r\n\n", " id= retry=-1"),
    CASE("U+0085, U+2028, VT and FF end no line",
         "data:a\xc2\x85"
         "b\xe2\x80\xa8"
         "c\vd\fe\n\n",
         "[message|a\xc2\x85"
         "b\xe2\x80\xa8"
         "c\vd\fe|] id= retry=-1"),
    CASE("nor do they side by side", "data:a\xc2\x85\xe2\x80\xa8\v\fb\n\n",
         "[message|a\xc2\x85\xe2\x80\xa8\v\fb|] id= retry=-1"),
    CASE("nothing", "", " id= retry=-1"),
    CASE("long lines", "data:0123456789abcdef\ndata:0123456789abcdefg\n\n",
         "[message|0123456789abcdef\\n0123456789abcdefg|] id= retry=-1"),

    /* Byte order mark. */
    CASE("a BOM", BOM "data:a\n\n", "[message|a|] id= retry=-1"),
    CASE("a BOM alone", BOM, " id= retry=-1"),
    CASE("two BOMs", BOM BOM "data:a\n\ndata:b\n\n", "[message|b|] id= retry=-1"),
    CASE("a BOM on the second line", "\n" BOM "data:a\n\ndata:b\n\n", "[message|b|] id= retry=-1"),
    CASE("a BOM behind a CR", "\r" BOM "data:a\n\n", " id= retry=-1"),
    CASE("a BOM and a blank line", BOM "\n" BOM "data:a\n\n", " id= retry=-1"),
    CASE("two thirds of a BOM",
         "\xef\xbb"
         "data:a\n\n",
         " id= retry=-1"),
    CASE("nearly a BOM",
         "\xef\xbb\xbe"
         "data:a\n\n",
         " id= retry=-1"),
    CASE("a BOM in data", "data:" BOM "\n\n", "[message|" BOM "|] id= retry=-1"),

    /* Names, colons and values. */
    CASE("names are exact", "DATA:a\ndat:a\ndata :a\ndatum\n\n", " id= retry=-1"),
    CASE("space before the colon", "data : a\n\n", " id= retry=-1"),
    CASE("names are case-sensitive", "DATA:a\nEvent:b\ndata:c\n\n", "[message|c|] id= retry=-1"),
    CASE("names are whole", "dat:a\ndatax:b\ndata:c\nevents:d\ni:1\nids:2\n\n",
         "[message|c|] id= retry=-1"),
    CASE("a colon ahead", ":data:a\n\n", " id= retry=-1"),
    CASE("comments", "data:1\r:\0\n:\r\ndata:2\n:x\rdata:3\n\n",
         "[message|1\\n2\\n3|] id= retry=-1"),
    CASE("colons behind", "data::\ndata: :b: \n\n", "[message|:\\n:b: |] id= retry=-1"),
    CASE("colons in the value", "data: a: b:c\ndata::\n\n", "[message|a: b:c\\n:|] id= retry=-1"),
    CASE("only one space goes", "data:  a\ndata: \tb\n\n", "[message| a\\n\tb|] id= retry=-1"),
    CASE("one space goes from each", "data:  a\nevent:  b\nid:  c\n\nid: d\n\n",
         "[ b| a| c](d) id=d retry=-1"),
    CASE("invalid UTF-8 passes", "data:\xff\xc0\n\n", "[message|\xff\xc0|] id= retry=-1"),

    /* Type. */
    CASE("an empty type", "event: \ndata:a\n\n", "[message|a|] id= retry=-1"),
    CASE("a type with spaces", "event:  a \ndata:b\n\n", "[ a |b|] id= retry=-1"),
    CASE("the type goes with its block", "event:a\n\ndata:x\n\n", "[message|x|] id= retry=-1"),
    CASE("the last type counts", "event:a\nevent:b\ndata:x\n\n", "[b|x|] id= retry=-1"),
    CASE("a type is taken back", "event:a\nevent\ndata:x\n\n", "[message|x|] id= retry=-1"),

    /* Ids. */
    CASE("an id", "id: 7\ndata:a\n\n", "[message|a|7] id=7 retry=-1"),
    CASE("an id stays", "id:1\ndata:x\n\ndata:y\n\n", "[message|x|1][message|y|1] id=1 retry=-1"),
    CASE("an id behind data", "data:a\nid:7\n\n", "[message|a|7] id=7 retry=-1"),
    CASE("an id keeps its spaces", "id:  7 \n\nid:8\ndata:a\n\n",
         "( 7 )[message|a|8] id=8 retry=-1"),
    CASE("the last id counts", "id:7\nid:8\ndata:a\n\n", "[message|a|8] id=8 retry=-1"),
    CASE("the last id of a block", "id:1\nid:2\n\ndata:x\n\n", "(2)[message|x|2] id=2 retry=-1"),
    CASE("an id is reset", "id:7\ndata:a\n\nid\ndata:b\n\n",
         "[message|a|7][message|b|] id= retry=-1"),
    CASE("an id is reset with a colon", "id:7\n\nid:\n\n", "(7)() id= retry=-1"),
    CASE("an id without data", "id:7\n\n", "(7) id=7 retry=-1"),
    CASE("ids alone", "id:1\n\nid:1\n\nid\n\n\n", "(1)(1)() id= retry=-1"),
    CASE("no id, nothing", "event:x\nretry:5\n\n:\n\n", " id= retry=5"),
    CASE("an id counts at the blank line", "id:1\n\nid:2\n", "(1) id=1 retry=-1"),
    CASE("an id of an unfinished block", "id:7\n\nid:8\ndata:a\n", "(7) id=7 retry=-1"),
    CASE("an id of an unfinished line", "id:7\n\nid:8", "(7) id=7 retry=-1"),
    CASE("an id with NUL is ignored", "id:7\n\nid:8\0\ndata:a\n\n",
         "(7)[message|a|7] id=7 retry=-1"),
    CASE("an id with NUL does not undo one", "id:8\nid:\0\ndata:a\n\n",
         "[message|a|8] id=8 retry=-1"),
    CASE("nor does it without data", "id:1\nid:2\0\n\nid:\0\n\n", "(1) id=1 retry=-1"),

    /* Retry. */
    CASE("retry", "retry:3000\n\n", " id= retry=3000"),
    CASE("retry counts at its line", "retry: 5\n", " id= retry=5"),
    CASE("retry zero", "retry:0\n", " id= retry=0"),
    CASE("retry with zeros ahead", "retry:0007\n", " id= retry=7"),
    CASE("retry with zeros around", "retry: 0010\n", " id= retry=10"),
    CASE("retry bogus", "retry:3000\nretry:1000x\n", " id= retry=3000"),
    CASE("retry bogus ahead", "retry:3000\nretry:x1000\n", " id= retry=3000"),
    CASE("retry with signs", "retry:1\nretry:+2\nretry:-3\n", " id= retry=1"),
    CASE("retry with spaces", "retry:1\nretry:  2\nretry:3 \nretry:4.5\n", " id= retry=1"),
    CASE("digits alone", "retry:1\nretry:+2\nretry:-3\nretry:4 \nretry:  5\nretry:6.\nretry:0x7\n",
         " id= retry=1"),
    CASE("retry empty", "retry:1\nretry\nretry:\n", " id= retry=1"),
    CASE("a digit of another script", "retry:\xd9\xa1\n", " id= retry=-1"),
    CASE("more digits of others, and NUL", "retry:\xd9\xa1\nretry:\xef\xbc\x91\nretry:1\0\n",
         " id= retry=-1"),
    CASE("the longest that all can keep", "retry:2147483647\n", " id= retry=2147483647"),
};

/* The log --------------------------------------------------------------------------------------*/

void log_bytes(struct log *log, const char *bytes, size_t len) {
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

void log_event(struct log *log, const char *type, size_t type_len, const char *data,
               size_t data_len, const char *id, size_t id_len) {
  assert_int_equal(type[type_len], '\0');
  assert_int_equal(data[data_len], '\0');
  assert_int_equal(strlen(id), id_len);
  log_bytes(log, "[", 1);
  log_bytes(log, type, type_len);
  log_bytes(log, "|", 1);
  log_bytes(log, data, data_len);
  log_bytes(log, "|", 1);
  log_bytes(log, id, id_len);
  log_bytes(log, "]", 1);
}

void log_end(struct log *log, const char *last_id, int64_t retry_ms) {
  char end[LOG_MAX / 2];
  int n = snprintf(end, sizeof end, " id=%s retry=%lld", last_id, (long long)retry_ms);
  log_bytes(log, end, (size_t)n);
}

/* Reading --------------------------------------------------------------------------------------*/

/* Cuts the stream at the first place and at the second, and what is behind them into steps. */
static void read_cut(const struct case_reader *reader, const char *stream, size_t len, size_t first,
                     size_t second, size_t step, struct log *log) {
  void *opened = reader->open(reader->config);
  int error = 0;
  log->len = 0;
  log->text[0] = '\0';
  for (size_t at = 0, end; at < len && error == 0; at = end) {
    end = at < first ? first : at < second ? second : at + step;
    if (end > len) end = len;
    error = reader->feed(opened, stream + at, end - at, log);
  }
  reader->close(opened, error, log);
}

void case_read(const struct case_reader *reader, const char *stream, size_t len, size_t step,
               struct log *log) {
  read_cut(reader, stream, len, 0, 0, step, log);
}

/* Nothing but an id alone has parentheses here. */
static void leave_out_ids(char *text) {
  for (char *open; (open = strchr(text, '('));) {
    const char *behind = strchr(open, ')') + 1;
    memmove(open, behind, strlen(behind) + 1);
  }
}

void case_check(const struct case_reader *reader, const struct stream_case *row) {
  struct log log;
  char want[LOG_MAX];
  snprintf(want, sizeof want, "%s", row->want);
  if (!reader->ids) leave_out_ids(want);
  for (size_t step = 1; step <= row->len + 1; step++) {
    read_cut(reader, row->stream, row->len, 0, 0, step, &log);
    if (strcmp(log.text, want) != 0)
      fail_msg("%s, in pieces of %zu: %s", row->name, step, log.text);
  }
  for (size_t first = 0; first <= row->len; first++) {
    for (size_t second = first; second <= row->len; second++) {
      read_cut(reader, row->stream, row->len, first, second, row->len + 1, &log);
      if (strcmp(log.text, want) != 0)
        fail_msg("%s, cut at %zu and %zu: %s", row->name, first, second, log.text);
    }
  }
}

void case_check_all(const struct case_reader *reader) {
  for (size_t i = 0; i < COUNT(cases); i++) case_check(reader, &cases[i]);
}
