/* SPDX-License-Identifier: MIT */
/* fuzz_request.c: what the request parser says of bytes does not depend on how they were cut. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/httpd/request.c"

enum {
  BODY_MAX = 300
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t mix(uint64_t hash, const void *bytes, size_t len) {
  const unsigned char *at = bytes;
  for (size_t i = 0; i < len; i++) hash = (hash ^ at[i]) * 0x100000001b3u;
  return hash;
}

/* With the NUL, so that a string cannot run into the next. */
static uint64_t mix_text(uint64_t hash, const char *text) {
  return mix(hash, text, strlen(text) + 1);
}

static uint64_t mix_request(uint64_t hash, const struct request *request) {
  hash = mix_text(mix_text(hash, request->method), request->path);
  for (size_t i = 0; i < request->params_count; i++)
    hash = mix_text(mix_text(hash, request->params[i].name), request->params[i].value);
  for (size_t i = 0; i < request->headers_count; i++)
    hash = mix_text(mix_text(hash, request->headers[i].name), request->headers[i].value);
  hash = mix(hash, request->body, request->body_len + 1);
  return mix(hash, &request->keep_alive, sizeof request->keep_alive);
}

/* Feeds all, in pieces of 1 to piece_max bytes, and sums up all that was said. */
static uint64_t feed(const uint8_t *data, size_t size, size_t piece_max) {
  struct request *request = malloc(sizeof *request);
  if (!request) abort();
  request_init(request, BODY_MAX);
  uint64_t hash = 0xcbf29ce484222325u;
  int status = REQUEST_MORE;
  for (size_t at = 0; at < size && status == REQUEST_MORE;) {
    char *to;
    size_t space = request_space(request, &to);
    if (space == 0) abort();
    size_t piece = 1 + at * 7 % piece_max;
    if (piece > space) piece = space;
    if (piece > size - at) piece = size - at;
    memcpy(to, data + at, piece);
    at += piece;
    for (status = request_filled(request, piece); status == REQUEST_READY;
         status = request_next(request))
      hash = mix_request(hash, request);
  }
  hash = mix(hash, &status, sizeof status);
  request_clear(request);
  free(request);
  return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint64_t whole = feed(data, size, size + 1);
  if (feed(data, size, 1) != whole || feed(data, size, 23) != whole) abort();
  return 0;
}
