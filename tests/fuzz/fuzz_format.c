/* SPDX-License-Identifier: MIT */
/* fuzz_format.c: any event that is accepted comes back from a parser, and no byte goes astray. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sse/format.h"
#include "sse/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void require(int holds) {
  if (!holds) abort();
}

/* The input is a byte of flags, a byte of what is there, two of retry, a length for each string,
 * and then the strings; the data is the rest. Each is copied to memory of exactly its size. */
struct input {
  const uint8_t *at;
  size_t left;
};

static uint8_t byte(struct input *in) {
  if (in->left == 0) return 0;
  in->left--;
  return *in->at++;
}

static char *string(struct input *in, int present) {
  if (!present) return NULL;
  size_t len = byte(in);
  if (len > in->left) len = in->left;
  char *s = malloc(len + 1);
  require(s != NULL);
  if (len > 0) memcpy(s, in->at, len);
  s[len] = '\0';
  in->at += len;
  in->left -= len;
  return s;
}

/* Writes what a client gets of the payload: every line end as LF. */
static char *normalise(const char *from, size_t len, size_t *out_len) {
  char *to = malloc(len + 1);
  require(to != NULL);
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    if (from[i] == '\n' && i > 0 && from[i - 1] == '\r') continue;
    to[n++] = from[i] == '\r' ? '\n' : from[i];
  }
  *out_len = n;
  return to;
}

static void check_event(const sse_event *ev, const sse_parsed *got, const char *id) {
  const char *payload = ev->text ? ev->text : ev->data;
  size_t len = ev->text ? strlen(ev->text) : ev->data_len, want_len;
  char *want = normalise(payload, len, &want_len);
  require(got->data_len == want_len && memcmp(got->data, want, want_len) == 0);
  require(strcmp(got->type, ev->type && *ev->type ? ev->type : "message") == 0);
  require(strcmp(got->id, id) == 0);
  free(want);
}

static void parse_back(const sse_event *ev, const char *bytes, size_t len) {
  const sse_parser_config config = {.last_id = "before"};
  sse_parser *parser;
  sse_parsed got;
  require(sse_parser_new(&parser, &config) == 0);
  const char *id = ev->id ? ev->id : (ev->flags & SSE_RESET_ID) != 0 ? "" : "before";
  int rc = sse_parser_next(parser, &bytes, &len, &got);
  require(rc == (ev->text || ev->data));
  if (rc == 1) check_event(ev, &got, id);
  require(strcmp(sse_parser_last_id(parser), id) == 0);
  if (ev->retry_ms != 0)
    require(sse_parser_retry_ms(parser) == (ev->retry_ms < 0 ? 0 : ev->retry_ms));
  require(sse_parser_next(parser, &bytes, &len, &got) == 0 && len == 0);
  sse_parser_free(parser);
}

static void check(const sse_event *ev, size_t some) {
  ssize_t need = sse_format(NULL, 0, ev);
  if (need < 0) return;
  size_t len = (size_t)need, cap = some % (len + 1);
  char *whole = malloc(len), *cut = malloc(cap + 1);
  require(whole && cut);
  require(sse_format(whole, len, ev) == need);
  require(sse_format(cut, cap, ev) == need);
  require(len >= 2 && whole[len - 1] == '\n' && whole[len - 2] == '\n');
  parse_back(ev, whole, len);
  free(whole);
  free(cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
  struct input in = {input, size};
  unsigned flags = byte(&in), have = byte(&in);
  int32_t retry_ms = byte(&in) * 256;
  size_t some = byte(&in);
  retry_ms += (int32_t)some;
  char *type = string(&in, have & 1), *id = string(&in, have & 2);
  char *comment = string(&in, have & 4), *text = string(&in, have & 8), *data = NULL;
  sse_event ev = {.type = type, .id = id, .comment = comment, .text = text, .flags = flags & 15};
  if (have & 16) ev.retry_ms = retry_ms - 2;
  if (have & 32) {
    data = malloc(in.left + 1);
    require(data != NULL);
    if (in.left > 0) memcpy(data, in.at, in.left);
    char *exact = realloc(data, in.left > 0 ? in.left : 1);
    if (exact) data = exact;
    ev.data = data;
    ev.data_len = in.left;
  }
  check(&ev, some);
  free(type);
  free(id);
  free(comment);
  free(text);
  free(data);
  return 0;
}
