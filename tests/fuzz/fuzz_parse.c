/* SPDX-License-Identifier: MIT */
/* fuzz_parse.c: what a stream says does not depend on how it is cut, nor on memory running short,
 * and is what the standard says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sse/format.h"
#include "sse/parse.h"
#include "standard.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void require(int holds) {
  if (!holds) abort();
}

/* What was said so far: the bytes of all strings, each with its NUL, run through FNV-1a. */
static uint64_t mix(uint64_t hash, const char *bytes, size_t len) {
  for (size_t i = 0; i <= len; i++) hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
  return hash;
}

/* Comments are mixed into what was said. */
static void hear_comment(void *arg, const char *text, size_t len) {
  uint64_t *hash = arg;
  *hash = mix(*hash, ":", 1);
  for (size_t i = 0; i < len; i++) *hash = mix(*hash, (char[]){text[i], '\0'}, 1);
}

static uint64_t mix_event(uint64_t hash, const sse_parsed *event) {
  hash = mix(hash, event->type, event->type_len);
  hash = mix(hash, event->data, event->data_len);
  return mix(hash, event->id, event->id_len);
}

/* Whether a header can carry an id: by the rule, without the library. */
static int fits_header(const char *id) {
  size_t len = strlen(id);
  if (len > 0 && (strchr(" \t", id[0]) || strchr(" \t", id[len - 1]))) return 0;
  for (; *id; id++)
    if (((unsigned char)*id < ' ' && *id != '\t') || *id == 0x7f) return 0;
  return 1;
}

/* Every third allocation fails. */
static void *short_of_memory(void *arg, void *ptr, size_t size) {
  unsigned *calls = arg;
  if (size == 0) {
    free(ptr);
    return NULL;
  }
  return ++*calls % 3 == 0 ? NULL : realloc(ptr, size);
}

/* Feeds all in pieces of 1 to piece_max bytes, and gives the hash of what was said. The first byte
 * says whether comments are heard. */
static uint64_t run(const uint8_t *input, size_t size, size_t piece_max, int scarce) {
  unsigned calls = 0, random = (unsigned)(size + piece_max);
  sse_parser_config config = {.line_bytes_max = 100, .data_bytes_max = 200, .id_bytes_max = 20};
  sse_parser *parser = NULL;
  sse_parsed event;
  uint64_t hash = 0xcbf29ce484222325u;
  int rc = 0;
  if (size > 0 && (input[0] & 1) != 0) {
    config.comment = hear_comment;
    config.comment_arg = &hash;
  }
  if (scarce) {
    config.alloc = short_of_memory;
    config.alloc_arg = &calls;
  }
  require(sse_parser_new(&parser, &config) == 0);
  for (size_t at = 0; at < size && rc >= 0;) {
    random = random * 1103515245u + 12345u;
    size_t len = 1 + (random >> 16) % piece_max;
    if (len > size - at) len = size - at;
    char *piece = malloc(len); /* of its exact size, so that a read beyond it is seen */
    require(piece != NULL);
    memcpy(piece, input + at, len);
    at += len;
    const char *next = piece;
    while ((rc = sse_parser_next(parser, &next, &len, &event)) == 1 || rc == SSE_ENOMEM) {
      if (rc == SSE_ENOMEM) continue;
      require(event.data_len <= 200);
      hash = mix_event(hash, &event);
    }
    require(rc < 0 || len == 0);
    free(piece);
  }
  const char *id = sse_parser_last_id(parser);
  hash = mix(hash, id, strlen(id));
  require(strlen(id) <= 20 && fits_header(id));
  hash ^= (uint64_t)sse_parser_retry_ms(parser) << 1 ^ (uint64_t)(rc < 0);
  hash ^= (uint64_t)sse_parser_last_id_error(parser) << 33;
  int cut;
  while ((cut = sse_parser_unfinished(parser, &event)) == SSE_ENOMEM) continue;
  if (cut == 1) hash = mix_event(hash, &event);
  hash ^= (uint64_t)cut << 40;
  sse_parser_free(parser);
  return hash;
}

/* The library's parser and the tests' own, and what they read in step. */
struct pair {
  sse_parser *parser;
  struct standard *standard;
};

static void require_same(const char *got, size_t got_len, const char *want, size_t want_len) {
  require(got_len == want_len && memcmp(got, want, want_len) == 0);
}

/* Ids alone are no events; the parser tells of them by its last id. */
static int next_event(struct standard *standard, struct standard_event *event) {
  while (standard_next(standard, event))
    if (event->kind == STANDARD_EVENT) return 1;
  return 0;
}

static void feed_both(struct pair *pair, const char *bytes, size_t len) {
  struct standard_event want;
  sse_parsed got;
  standard_feed(pair->standard, bytes, len);
  for (int rc = 1; rc == 1;) {
    rc = sse_parser_next(pair->parser, &bytes, &len, &got);
    require(rc == next_event(pair->standard, &want));
    if (rc == 0) break;
    require_same(got.type, got.type_len, want.type, want.type_len);
    require_same(got.data, got.data_len, want.data, want.data_len);
    require_same(got.id, got.id_len, want.id, want.id_len);
  }
  int64_t retry_ms = standard_retry_ms(pair->standard);
  if (retry_ms > SSE_RETRY_MS_MAX) retry_ms = SSE_RETRY_MS_MAX;
  require(len == 0 && sse_parser_retry_ms(pair->parser) == retry_ms);
  const char *id = standard_last_id(pair->standard);
  int error = sse_parser_last_id_error(pair->parser);
  require(error == (fits_header(id) ? 0 : SSE_EID));
  require(error || strcmp(sse_parser_last_id(pair->parser), id) == 0);
}

/* Here 0xff, which UTF-8 has not, stands for a new connection, and limits do not count. */
static void compare(const uint8_t *input, size_t size, size_t piece_max) {
  sse_parser_config config = {.line_bytes_max = size + 1,
                              .data_bytes_max = size + 1,
                              .id_bytes_max = size + 6,
                              .last_id = "before"};
  struct pair pair = {NULL, standard_new(config.last_id)};
  require(sse_parser_new(&pair.parser, &config) == 0);
  for (size_t at = 0; at < size;) {
    size_t len = size - at < piece_max ? size - at : piece_max;
    const uint8_t *end = memchr(input + at, 0xff, len);
    if (end) len = (size_t)(end - (input + at));
    feed_both(&pair, (const char *)input + at, len);
    at += len;
    if (!end) continue;
    at++;
    sse_parser_reset(pair.parser);
    standard_reset(pair.standard);
  }
  sse_parser_free(pair.parser);
  standard_free(pair.standard);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
  uint64_t whole = run(input, size, size + 1, 0);
  require(run(input, size, 1, 0) == whole);
  require(run(input, size, 3, 0) == whole);
  require(run(input, size, 40, 0) == whole);
  require(run(input, size, 1, 1) == whole);
  require(run(input, size, 40, 1) == whole);
  compare(input, size, size + 1);
  compare(input, size, 5);
  return 0;
}
