/* SPDX-License-Identifier: MIT */
/* test_standard.c: the tests' own reader of event streams, and the library's parser against it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sse/format.h>
#include <sse/parse.h>

#include "cases.h"
#include "standard.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define STREAM_MAX  512
#define SEED_ROUNDS 2500

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

/* The cases ------------------------------------------------------------------------------------*/

static void *open_standard(const void *last_id) {
  return standard_new(last_id);
}

static int feed_standard(void *reader, const char *bytes, size_t len, struct log *log) {
  feed(reader, bytes, len, true, log);
  return 0;
}

static void close_standard(void *reader, int error, struct log *log) {
  assert_int_equal(error, 0);
  log_end(log, standard_last_id(reader), standard_retry_ms(reader));
  standard_free(reader);
}

static const struct case_reader standard_reader = {.ids = true,
                                                   .config = "",
                                                   .open = open_standard,
                                                   .feed = feed_standard,
                                                   .close = close_standard};

static void every_row_however_cut(void **state) {
  (void)state;
  case_check_all(&standard_reader);
}

static void the_longest_retry(void **state) {
  static const struct stream_case rows[] = {
      CASE("the longest", "retry:9223372036854775807\n", " id= retry=9223372036854775807"),
      CASE("longer still", "retry:9223372036854775808\n", " id= retry=9223372036854775807"),
      CASE("far longer", "retry:123456789012345678901\n", " id= retry=9223372036854775807"),
  };
  (void)state;
  for (size_t r = 0; r < COUNT(rows); r++) case_check(&standard_reader, &rows[r]);
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
          retry_ms > SSE_RETRY_MS_MAX ? SSE_RETRY_MS_MAX : retry_ms);
  /* An id that no header can carry is shown by the events; the parser's last id is another. */
  bool unfit = sse_parser_last_id_error(parser) != 0;
  log_end(&got, unfit ? standard_last_id(reader) : sse_parser_last_id(parser),
          sse_parser_retry_ms(parser));
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
      cmocka_unit_test(the_longest_retry),
      cmocka_unit_test(a_new_connection),
      cmocka_unit_test(the_library_says_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
