/* SPDX-License-Identifier: MIT */
/* test_format.c: what each event becomes, what is refused, and that no byte goes astray. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sse/format.h"
#include "sse/hub.h"
#include "sse/parse.h"
#include "wire/format.h"

#define BUFFER 1024
#define GUARD  0x5a

/* The longest id that is accepted, and one byte more. */
#define X16   "xxxxxxxxxxxxxxxx"
#define X128  X16 X16 X16 X16 X16 X16 X16 X16
#define ID128 X128

static char not_null;

struct row {
  const char *name;
  sse_event event;
  const char *bytes; /* expected, or NULL */
  int error;         /* expected, or 0 */
};

static const struct row rows[] = {
    /* Data: absent, empty, and where lines end. */
    {"nothing at all", {0}, NULL, SSE_ENODATA},
    {"type alone", {.type = "tick"}, NULL, SSE_ENODATA},
    {"data empty, as text", {.text = ""}, "data:\n\n", 0},
    {"data empty, as bytes", {.data = "x", .data_len = 0}, "data:\n\n", 0},
    {"one line", {.text = "hello"}, "data: hello\n\n", 0},
    {"length 0 never means strlen", {.data = "hello", .data_len = 2}, "data: he\n\n", 0},
    {"LF in data", {.text = "a\nb"}, "data: a\ndata: b\n\n", 0},
    {"CR in data", {.text = "a\rb"}, "data: a\ndata: b\n\n", 0},
    {"CRLF counts once", {.text = "a\r\nb"}, "data: a\ndata: b\n\n", 0},
    {"LF CR counts twice", {.text = "a\n\rb"}, "data: a\ndata:\ndata: b\n\n", 0},
    {"CR CR LF counts twice", {.text = "a\r\r\nb"}, "data: a\ndata:\ndata: b\n\n", 0},
    {"trailing LF", {.text = "a\n"}, "data: a\ndata:\n\n", 0},
    {"trailing CR", {.text = "a\r"}, "data: a\ndata:\n\n", 0},
    {"trailing CRLF", {.text = "a\r\n"}, "data: a\ndata:\n\n", 0},
    {"leading LF", {.text = "\na"}, "data:\ndata: a\n\n", 0},
    {"LF alone", {.text = "\n"}, "data:\ndata:\n\n", 0},
    {"two LF", {.text = "\n\n"}, "data:\ndata:\ndata:\n\n", 0},
    {"blank line in data closes nothing",
     {.text = "a\n\nevent: evil\ndata: b"},
     "data: a\ndata:\ndata: event: evil\ndata: data: b\n\n",
     0},
    {"CR refused", {.text = "a\rb", .flags = SSE_REFUSE_CR}, NULL, SSE_ECR},
    {"CRLF refused", {.text = "a\r\nb", .flags = SSE_REFUSE_CR}, NULL, SSE_ECR},
    {"LF is no CR", {.text = "a\nb", .flags = SSE_REFUSE_CR}, "data: a\ndata: b\n\n", 0},
    {"CR in a comment is not data's",
     {.comment = "a\rb", .text = "c", .flags = SSE_REFUSE_CR},
     ": a\n: b\ndata: c\n\n",
     0},

    /* Data: what survives. */
    {"leading space", {.text = " a"}, "data:  a\n\n", 0},
    {"one space", {.text = " "}, "data:  \n\n", 0},
    {"leading tab", {.text = "\ta"}, "data: \ta\n\n", 0},
    {"leading colon", {.text = ":a"}, "data: :a\n\n", 0},
    {"trailing space", {.text = "a "}, "data: a \n\n", 0},
    {"U+0085 ends no line", {.text = "a\xc2\x85z"}, "data: a\xc2\x85z\n\n", 0},
    {"U+2028 ends no line", {.text = "a\xe2\x80\xa8z"}, "data: a\xe2\x80\xa8z\n\n", 0},
    {"VT and FF end no line", {.text = "a\vb\fc"}, "data: a\vb\fc\n\n", 0},
    {"SO, just above CR", {.text = "a\016b"}, "data: a\016b\n\n", 0},
    {"a byte order mark", {.text = "\xef\xbb\xbf"}, "data: \xef\xbb\xbf\n\n", 0},
    {"four-byte character", {.text = "\xf0\x9f\x98\x80"}, "data: \xf0\x9f\x98\x80\n\n", 0},
    {"invalid UTF-8 in data", {.text = "a\xff"}, NULL, SSE_EUTF8},
    {"overlong LF in data", {.text = "a\xc0\x8az"}, NULL, SSE_EUTF8},
    {"character cut by a line end", {.text = "\xe2\x82\n\xac"}, NULL, SSE_EUTF8},
    {"invalid UTF-8 let through", {.text = "a\xff", .flags = SSE_ANY_BYTES}, "data: a\xff\n\n", 0},

    /* Type. */
    {"type", {.type = "tick", .text = "a"}, "event: tick\ndata: a\n\n", 0},
    {"empty type means absent", {.type = "", .text = "a"}, "data: a\n\n", 0},
    {"type with spaces", {.type = " a ", .text = "b"}, "event:  a \ndata: b\n\n", 0},
    {"type with a colon", {.type = "a:b", .text = "c"}, "event: a:b\ndata: c\n\n", 0},
    {"type with LF", {.type = "a\nb", .text = "c"}, NULL, SSE_ELINE},
    {"type with CR", {.type = "a\rb", .text = "c"}, NULL, SSE_ELINE},
    {"type not UTF-8", {.type = "\xe4", .text = "c"}, NULL, SSE_EUTF8},
    {"type not UTF-8 let through",
     {.type = "\xe4", .text = "c", .flags = SSE_ANY_BYTES},
     "event: \xe4\ndata: c\n\n",
     0},

    /* Id. */
    {"id", {.id = "7", .text = "a"}, "data: a\nid: 7\n\n", 0},
    {"id alone", {.id = "7"}, "id: 7\n\n", 0},
    {"id with an inner space", {.id = "a b"}, "id: a b\n\n", 0},
    {"empty id", {.id = "", .text = "a"}, NULL, SSE_EID},
    {"id reset", {.text = "a", .flags = SSE_RESET_ID}, "data: a\nid:\n\n", 0},
    {"id reset alone", {.flags = SSE_RESET_ID}, "id:\n\n", 0},
    {"id reset with an id", {.id = "7", .flags = SSE_RESET_ID}, NULL, SSE_EINVAL},
    {"longest id", {.id = ID128}, "id: " ID128 "\n\n", 0},
    {"id too long", {.id = ID128 "x"}, NULL, SSE_EID},
    {"id with a leading space", {.id = " 7"}, NULL, SSE_EID},
    {"id with a trailing space", {.id = "7 "}, NULL, SSE_EID},
    {"id with a leading tab", {.id = "\t7"}, NULL, SSE_EID},
    {"id with a trailing tab", {.id = "7\t"}, NULL, SSE_EID},
    {"id is one space", {.id = " "}, NULL, SSE_EID},
    {"id with an inner tab", {.id = "7\t8"}, "id: 7\t8\n\n", 0},
    {"id with the first control character", {.id = "7\x01"}, NULL, SSE_EID},
    {"id with the last control character",
     {.id = "7\x1f"
            "8"},
     NULL,
     SSE_EID},
    {"id with DEL", {.id = "\x7f"}, NULL, SSE_EID},
    {"id with a control character, any bytes",
     {.id = "\x0b", .flags = SSE_ANY_BYTES},
     NULL,
     SSE_EID},
    {"id with what follows DEL", {.id = "~\xc2\x80"}, "id: ~\xc2\x80\n\n", 0},
    {"id with LF", {.id = "7\n8"}, NULL, SSE_ELINE},
    {"id with CR", {.id = "7\r"}, NULL, SSE_ELINE},
    {"id not UTF-8", {.id = "\xff"}, NULL, SSE_EUTF8},
    {"id not UTF-8 let through", {.id = "\xff", .flags = SSE_ANY_BYTES}, "id: \xff\n\n", 0},

    /* Retry. */
    {"retry", {.retry_ms = 1500, .text = "a"}, "retry: 1500\ndata: a\n\n", 0},
    {"retry alone", {.retry_ms = 1}, "retry: 1\n\n", 0},
    {"retry zero", {.retry_ms = SSE_RETRY_ZERO}, "retry: 0\n\n", 0},
    {"longest retry", {.retry_ms = SSE_RETRY_MS_MAX}, "retry: 2147483647\n\n", 0},
    {"retry below zero", {.retry_ms = -3, .text = "a"}, NULL, SSE_ERANGE},
    {"retry never", {.retry_ms = SSE_NEVER, .text = "a"}, NULL, SSE_ERANGE},
    {"least retry", {.retry_ms = INT32_MIN, .text = "a"}, NULL, SSE_ERANGE},

    /* Comment. */
    {"comment alone", {.comment = "ping"}, ": ping\n\n", 0},
    {"empty comment", {.comment = ""}, ":\n\n", 0},
    {"comment, a colon per line", {.comment = "a\nb\rc\r\nd"}, ": a\n: b\n: c\n: d\n\n", 0},
    {"comment with a blank line", {.comment = "a\n\nb\n"}, ": a\n:\n: b\n:\n\n", 0},
    {"comment that looks like data", {.comment = "a\ndata: x"}, ": a\n: data: x\n\n", 0},
    {"comment not UTF-8", {.comment = "\xff"}, NULL, SSE_EUTF8},
    {"comment not UTF-8 let through", {.comment = "\xff", .flags = SSE_ANY_BYTES}, ": \xff\n\n", 0},

    /* The whole, and its order. */
    {"everything",
     {.type = "t", .text = "a\nb", .id = "7", .comment = "c", .retry_ms = 5},
     ": c\nretry: 5\nevent: t\ndata: a\ndata: b\nid: 7\n\n",
     0},
    {"control block with a type", {.type = "t", .id = "7"}, "event: t\nid: 7\n\n", 0},

    /* Arguments. */
    {"text and data", {.text = "a", .data = "b", .data_len = 1}, NULL, SSE_EINVAL},
    {"text and empty data", {.text = "a", .data = "b"}, NULL, SSE_EINVAL},
    {"length without data", {.data_len = 1}, NULL, SSE_EINVAL},
    {"length with text", {.text = "a", .data_len = 1}, NULL, SSE_EINVAL},
    {"ephemeral with an id", {.text = "a", .id = "1", .flags = SSE_EPHEMERAL}, NULL, SSE_EINVAL},
    {"ephemeral", {.text = "a", .flags = SSE_EPHEMERAL}, "data: a\n\n", 0},
    {"unknown flag", {.text = "a", .flags = 0x10u}, NULL, SSE_EINVAL},
    {"highest flag", {.text = "a", .flags = ~(UINT_MAX >> 1)}, NULL, SSE_EINVAL},
    {"reserved, first", {.text = "a", .reserved = {&not_null}}, NULL, SSE_EINVAL},
    {"reserved, last", {.text = "a", .reserved = {NULL, &not_null}}, NULL, SSE_EINVAL},

    /* Long plain bytes have a path of their own, if there is nothing else. */
    {"long bytes", {.data = X128, .data_len = 128}, "data: " X128 "\n\n", 0},
    {"long bytes, type",
     {.data = X128, .data_len = 128, .type = "t"},
     "event: t\ndata: " X128 "\n\n",
     0},
    {"long bytes, id", {.data = X128, .data_len = 128, .id = "7"}, "data: " X128 "\nid: 7\n\n", 0},
    {"long bytes, comment",
     {.data = X128, .data_len = 128, .comment = "c"},
     ": c\ndata: " X128 "\n\n",
     0},
    {"long bytes, retry",
     {.data = X128, .data_len = 128, .retry_ms = 5},
     "retry: 5\ndata: " X128 "\n\n",
     0},
    {"long bytes, id reset",
     {.data = X128, .data_len = 128, .flags = SSE_RESET_ID},
     "data: " X128 "\nid:\n\n",
     0},
    {"long bytes and text", {.data = X128, .data_len = 128, .text = "a"}, NULL, SSE_EINVAL},
    {"long bytes, unknown flag", {.data = X128, .data_len = 128, .flags = 0x10u}, NULL, SSE_EINVAL},
    {"long bytes, reserved, first",
     {.data = X128, .data_len = 128, .reserved = {&not_null}},
     NULL,
     SSE_EINVAL},
    {"long bytes, reserved, second",
     {.data = X128, .data_len = 128, .reserved = {NULL, &not_null}},
     NULL,
     SSE_EINVAL},
    {"long bytes, reserved, last",
     {.data = X128, .data_len = 128, .reserved = {NULL, &not_null}},
     NULL,
     SSE_EINVAL},
    {"length of long bytes alone", {.data_len = 128}, NULL, SSE_EINVAL},

    {"no object is so long", {.data = "a", .data_len = SIZE_MAX}, NULL, SSE_ETOOBIG},
    {"just too long", {.data = "a", .data_len = (size_t)SSIZE_MAX + 1}, NULL, SSE_ETOOBIG},
    {"reserved, in the middle", {.text = "a", .reserved = {NULL, &not_null}}, NULL, SSE_EINVAL},

    /* Long and plain, which goes another way; but for what is wrong with it. */
    {"long", {.data = ID128 X16, .data_len = 144}, "data: " ID128 X16 "\n\n", 0},
    {"a whole block", {.data = ID128, .data_len = 128}, "data: " ID128 "\n\n", 0},
    {"long, without data", {.data_len = 144}, NULL, SSE_EINVAL},
    {"long, and reserved",
     {.data = ID128, .data_len = 128, .reserved = {&not_null}},
     NULL,
     SSE_EINVAL},
};
#define ROWS (sizeof rows / sizeof *rows)

static void every_row(void **state) {
  char buf[BUFFER];
  (void)state;
  for (size_t r = 0; r < ROWS; r++) {
    ssize_t got = sse_format(buf, sizeof buf, &rows[r].event);
    ssize_t want = rows[r].bytes ? (ssize_t)strlen(rows[r].bytes) : rows[r].error;
    if (got != want) fail_msg("%s: %zd instead of %zd", rows[r].name, got, want);
    if (want > 0 && memcmp(buf, rows[r].bytes, (size_t)want) != 0)
      fail_msg("%s: \"%.*s\"", rows[r].name, (int)got, buf);
  }
}

/* Whether the buffer holds a first part of the bytes expected, and guards behind it. */
static bool is_first_part(const char *buf, size_t len, const char *want) {
  size_t i = 0;
  while (i < len && buf[i] == want[i]) i++;
  while (i < len && buf[i] == GUARD) i++;
  return i == len;
}

/*
 * With any cap the result is the same, what is written is a first part of the event, and what
 * stands behind cap stays as it was. One buffer is of exactly that size, so that a sanitizer sees a
 * write beyond it; the other has guards.
 */
static void every_cap(void **state) {
  (void)state;
  for (size_t r = 0; r < ROWS; r++) {
    ssize_t want = rows[r].bytes ? (ssize_t)strlen(rows[r].bytes) : rows[r].error;
    assert_int_equal(sse_format(NULL, 0, &rows[r].event), want);
    for (size_t cap = 0; cap <= (want > 0 ? (size_t)want : 16); cap++) {
      char *exact = malloc(cap > 0 ? cap : 1), guarded[BUFFER];
      assert_non_null(exact);
      memset(guarded, GUARD, sizeof guarded);
      assert_int_equal(sse_format(exact, cap, &rows[r].event), want);
      assert_int_equal(sse_format(guarded, cap, &rows[r].event), want);
      for (size_t i = cap; i < sizeof guarded; i++)
        if (guarded[i] != GUARD) fail_msg("%s: wrote at %zu of %zu", rows[r].name, i, cap);
      if (want > 0 && !is_first_part(guarded, cap, rows[r].bytes))
        fail_msg("%s: no first part of it with %zu", rows[r].name, cap);
      if (want > 0 && cap == (size_t)want) assert_memory_equal(exact, rows[r].bytes, cap);
      free(exact);
    }
  }
}

/* The body and the end together are the event. */
static void body_and_end(void **state) {
  (void)state;
  for (size_t r = 0; r < ROWS; r++) {
    const sse_event *ev = &rows[r].event;
    const char *id = (ev->flags & SSE_RESET_ID) != 0 ? "" : ev->id;
    size_t id_len = id ? strlen(id) : 0, end = sse__format_end(NULL, 0, id, id_len);
    ssize_t body = sse__format_body(NULL, 0, ev);
    if (rows[r].error < 0) {
      assert_int_equal(body, rows[r].error);
      continue;
    }
    char buf[BUFFER];
    assert_int_equal((size_t)body + end, strlen(rows[r].bytes));
    assert_true(end <= SSE__FORMAT_END_MAX);
    assert_int_equal(sse__format_body(buf, (size_t)body, ev), body);
    assert_int_equal(sse__format_end(buf + body, end, id, id_len), end);
    if (memcmp(buf, rows[r].bytes, (size_t)body + end) != 0) fail_msg("%s", rows[r].name);
  }
  assert_int_equal(sse__format_end(NULL, 0, ID128, SSE_ID_BYTES_MAX), SSE__FORMAT_END_MAX);
}

static void null_arguments(void **state) {
  char buf[8];
  sse_event ev = {.text = "a"};
  (void)state;
  assert_int_equal(sse_format(buf, sizeof buf, NULL), SSE_EINVAL);
  assert_int_equal(sse_format(NULL, 1, &ev), SSE_EINVAL);
  assert_int_equal(sse_format(NULL, 0, &ev), 9);
}

static void nul_passes(void **state) {
  static const char want[] = "data: a\0b\ndata: \0\n\n";
  char buf[BUFFER];
  sse_event ev = {.data = "a\0b\n\0", .data_len = 5};
  (void)state;
  assert_int_equal(sse_format(buf, sizeof buf, &ev), sizeof want - 1);
  assert_memory_equal(buf, want, sizeof want - 1);
}

static void types_and_ids(void **state) {
  (void)state;
  assert_int_equal(sse__format_check_type("gap"), 0);
  assert_int_equal(sse__format_check_type("\xc3\xa4 b"), 0);
  assert_int_equal(sse__format_check_type(NULL), SSE_EINVAL);
  assert_int_equal(sse__format_check_type(""), SSE_EINVAL);
  assert_int_equal(sse__format_check_type("a\n"), SSE_ELINE);
  assert_int_equal(sse__format_check_type("\ra"), SSE_ELINE);
  assert_int_equal(sse__format_check_type("\xff"), SSE_EUTF8);
  assert_int_equal(sse__format_check_id(ID128), 0);
  assert_int_equal(sse__format_check_id(ID128 "x"), SSE_EID);
  assert_int_equal(sse__format_check_id(""), SSE_EID);
  assert_int_equal(sse__format_check_id("a\t"), SSE_EID);
  assert_int_equal(sse__format_check_id("a\nb"), SSE_ELINE);
  assert_int_equal(sse__format_check_id("a\tb"), 0);
  for (unsigned char c = 1; c < 0x80; c++) {
    const char id[] = {'a', (char)c, 'b', '\0'};
    int want = c == '\n' || c == '\r'                ? SSE_ELINE
               : c != '\t' && (c < ' ' || c == 0x7f) ? SSE_EID
                                                     : 0;
    assert_int_equal(sse__format_check_id(id), want);
  }
  assert_int_equal(sse__format_check_id("\xff"), SSE_EUTF8);
  assert_int_equal(sse__format_check_id(NULL), SSE_EINVAL);
}

/* One special byte at every offset of texts whose lengths lie around those of blocks and words. */
static void every_place_in_a_block(void **state) {
  static const char *const specials[] = {"\n", "\r", "\r\n", "\t", "\xc3\xa4", "\xff"};
  static const size_t lengths[] = {7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129, 160, 257, 300};
  static char buf[4096], want[4096];
  (void)state;
  for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++) {
    for (size_t s = 0; s < sizeof specials / sizeof *specials; s++) {
      size_t len = lengths[n], width = strlen(specials[s]);
      for (size_t at = 0; at + width <= len; at++) {
        char *data = malloc(len); /* of the exact size, so that a sanitizer sees a read beyond it */
        assert_non_null(data);
        memset(data, 'x', len);
        memcpy(data + at, specials[s], width);
        bool breaks = s < 3;
        size_t rest = at + width;
        int head =
            breaks ? snprintf(want, sizeof want, "data:%s%.*s\ndata:%s%.*s\n\n", at > 0 ? " " : "",
                              (int)at, data, rest < len ? " " : "", (int)(len - rest), data + rest)
                   : snprintf(want, sizeof want, "data: %.*s\n\n", (int)len, data);
        sse_event ev = {.data = data, .data_len = len};
        ssize_t got = sse_format(buf, sizeof buf, &ev);
        if (s == 5)
          assert_int_equal(got, SSE_EUTF8);
        else if (got != head || memcmp(buf, want, (size_t)head) != 0)
          fail_msg("special %zu at %zu of %zu: %zd", s, at, len, got);
        free(data);
      }
    }
  }
}

/* The master invariant ------------------------------------------------------------------------*/

#define RANDOM_ROUNDS 20000
#define RANDOM_MAX    400

static uint64_t seed;

static uint32_t draw(uint32_t below) {
  seed += 0x9e3779b97f4a7c15u; /* splitmix64 */
  uint64_t z = seed;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (uint32_t)((z ^ (z >> 31)) % below);
}

/* Mostly plain, with what hurts strewn in, more or less densely. */
static size_t draw_text(char *to, size_t max, bool nul) {
  static const char hurts[] = "\n\n\r\r\t :\0\016\x7f\x80\xff";
  size_t len = draw((uint32_t)max), dense = 1 + draw(100);
  for (size_t i = 0; i < len; i++) {
    to[i] = (char)('a' + draw(26));
    if (draw((uint32_t)dense) != 0) continue;
    to[i] = hurts[draw(sizeof hurts - 1)];
    if (to[i] == '\0' && !nul) to[i] = '\n';
  }
  to[len] = '\0';
  return len;
}

/* What a client gets: every line end becomes LF. */
static size_t normalise(const char *from, size_t len, char *to) {
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    if (from[i] == '\n' && i > 0 && from[i - 1] == '\r') continue;
    to[n++] = from[i] == '\r' ? '\n' : from[i];
  }
  return n;
}

static const char *draw_string(char *to, size_t max) {
  draw_text(to, max, false);
  return to;
}

static void random_event(sse_event *ev, char *data, char *type, char *id, char *comment) {
  memset(ev, 0, sizeof *ev);
  ev->flags = SSE_ANY_BYTES;
  if (draw(4) != 0) {
    ev->data_len = draw_text(data, RANDOM_MAX, true);
    ev->data = data;
  }
  if (draw(2)) ev->type = draw_string(type, 20);
  if (draw(2)) ev->id = draw_string(id, 20);
  if (draw(4) == 0) ev->comment = draw_string(comment, RANDOM_MAX);
  if (draw(4) == 0) ev->retry_ms = draw(100) ? (int32_t)draw(3000) : SSE_RETRY_ZERO;
  if (draw(8) == 0 && !ev->id) ev->flags |= SSE_RESET_ID;
}

static void parse_back(sse_parser *parser, const sse_event *ev, const char *buf, size_t len) {
  char want[RANDOM_MAX];
  sse_parsed got;
  const char *at = buf;
  int rc = sse_parser_next(parser, &at, &len, &got);
  assert_int_equal(rc, ev->data ? 1 : 0);
  const char *id = ev->id ? ev->id : (ev->flags & SSE_RESET_ID) != 0 ? "" : "before";
  assert_string_equal(sse_parser_last_id(parser), id);
  if (ev->retry_ms != 0)
    assert_int_equal(sse_parser_retry_ms(parser), ev->retry_ms < 0 ? 0 : ev->retry_ms);
  if (rc == 0) return;
  size_t want_len = normalise(ev->data, ev->data_len, want);
  assert_int_equal(got.data_len, want_len);
  assert_memory_equal(got.data, want, want_len);
  assert_string_equal(got.type, ev->type && *ev->type ? ev->type : "message");
  assert_string_equal(got.id, id);
  assert_int_equal(sse_parser_next(parser, &at, &len, &got), 0);
  assert_int_equal(len, 0);
}

static void random_events_come_back(void **state) {
  static char buf[8 * RANDOM_MAX], tight[8 * RANDOM_MAX];
  char data[RANDOM_MAX], type[32], id[32], comment[RANDOM_MAX];
  const sse_parser_config config = {.last_id = "before"};
  int accepted = 0;
  (void)state;
  for (seed = 0; seed < RANDOM_ROUNDS; seed++) {
    uint64_t this_seed = seed;
    sse_parser *parser;
    sse_event ev;
    seed = this_seed << 32;
    random_event(&ev, data, type, id, comment);
    ssize_t len = sse_format(buf, sizeof buf, &ev);
    if (len >= 0) {
      accepted++;
      memset(tight, GUARD, sizeof tight);
      size_t cap = draw((uint32_t)len + 1);
      assert_int_equal(sse_format(tight, cap, &ev), len);
      for (size_t i = cap; i < sizeof tight; i++) assert_int_equal(tight[i], GUARD);
      assert_int_equal(sse_parser_new(&parser, &config), 0);
      parse_back(parser, &ev, buf, (size_t)len);
      sse_parser_free(parser);
    } else if (len != SSE_ENODATA && len != SSE_ELINE && len != SSE_EID) {
      fail_msg("seed %llu: error %zd", (unsigned long long)this_seed, len);
    }
    seed = this_seed;
  }
  assert_true(accepted > RANDOM_ROUNDS / 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row),
      cmocka_unit_test(every_cap),
      cmocka_unit_test(body_and_end),
      cmocka_unit_test(null_arguments),
      cmocka_unit_test(nul_passes),
      cmocka_unit_test(types_and_ids),
      cmocka_unit_test(every_place_in_a_block),
      cmocka_unit_test(random_events_come_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
