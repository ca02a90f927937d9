/* SPDX-License-Identifier: MIT */
/* test_part.c: the optional parts of a stream: each has its place, and costs nothing if not there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "part.h"
#include "terms.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
  ALL = SSE__PART_LONE | SSE__PART_TURN | SSE__PART_TERMS | SSE__PART_TAG,
  TAG_LEN = 7
};

static const struct {
  unsigned part;
  size_t size;
} parts[] = {
    {SSE__PART_LONE, sizeof(struct sse__lone)},
    {SSE__PART_TURN, sizeof(struct sse__turn)},
    {SSE__PART_TERMS, sizeof(struct sse__terms)},
    {SSE__PART_TAG, sizeof(struct sse__tag)},
};

static const char *place_of(struct sse_stream *stream, unsigned part) {
  switch (part) {
  case SSE__PART_LONE:
    return (const char *)sse__part_lone(stream);
  case SSE__PART_TURN:
    return (const char *)sse__part_turn(stream);
  case SSE__PART_TERMS:
    return (const char *)sse__part_terms(stream);
  default:
    return (const char *)sse__part_tag(stream);
  }
}

/* One behind the other, aligned, without a hole that another could fill; NULL: it has none. */
static void check(struct sse_stream *stream, uint16_t members, unsigned some) {
  const char *end = (const char *)stream + sizeof *stream + members * sizeof(struct sse__member);
  size_t size = sse__parts_size(some, members, TAG_LEN);
  stream->parts = (uint8_t)some;
  stream->own_count = members;
  for (size_t i = 0; i < COUNT(parts); i++) {
    const char *place = place_of(stream, parts[i].part);
    if (!(some & parts[i].part)) {
      assert_null(place);
      continue;
    }
    assert_in_range(place - end, 0, 7);
    assert_int_equal((uintptr_t)place % sizeof(void *), 0);
    end = place + parts[i].size;
  }
  if (some & SSE__PART_TAG) end += TAG_LEN;
  assert_in_range((const char *)stream + size - end, 0, 7);
}

static void every_choice_of_parts(void **state) {
  static _Alignas(max_align_t) char memory[4096];
  (void)state;
  for (uint16_t members = 0; members <= 3; members++) {
    for (unsigned some = 0; some <= ALL; some++) {
      assert_true(sse__parts_size(some, members, TAG_LEN) <= sizeof memory);
      check((struct sse_stream *)(void *)memory, members, some);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_choice_of_parts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
