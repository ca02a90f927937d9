/* SPDX-License-Identifier: MIT */
/* test_stream_priv.c: the optional parts of a stream: each has its place, and costs nothing if not there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stream/stream_priv.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
  ALL = SSE__HAS_STANDALONE | SSE__HAS_SLOT | SSE__HAS_LIMITS | SSE__HAS_TAG,
  TAG_LEN = 7
};

static const struct {
  unsigned part;
  size_t size;
} parts[] = {
    {SSE__HAS_STANDALONE, sizeof(struct sse__standalone)},
    {SSE__HAS_SLOT, sizeof(struct sse__admission_slot)},
    {SSE__HAS_LIMITS, sizeof(struct sse__limits)},
    {SSE__HAS_TAG, sizeof(struct sse__tagged)},
};

static const char *place_of(struct sse_stream *stream, unsigned part) {
  switch (part) {
  case SSE__HAS_STANDALONE:
    return (const char *)sse__stream_standalone(stream);
  case SSE__HAS_SLOT:
    return (const char *)sse__stream_slot(stream);
  case SSE__HAS_LIMITS:
    return (const char *)sse__stream_limits(stream);
  default:
    return (const char *)sse__stream_tagged(stream);
  }
}

/* One behind the other, aligned, without a hole that another could fill; NULL: it has none. */
static void check(struct sse_stream *stream, uint16_t members, unsigned some) {
  const char *end = (const char *)stream + sizeof *stream +
                    members * sizeof(struct sse__subscription) + sse__wide_size(members);
  size_t size = sse__stream_size(some, members, TAG_LEN);
  stream->has = (uint8_t)some;
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
  if (some & SSE__HAS_TAG) end += TAG_LEN;
  assert_in_range((const char *)stream + size - end, 0, 7);
}

static void every_choice_of_parts(void **state) {
  static _Alignas(max_align_t) char memory[8192];
  static const uint16_t counts[] = {0, 1, 2, 3, SSE__WIDE_MIN - 1, SSE__WIDE_MIN, 50};
  (void)state;
  for (size_t i = 0; i < COUNT(counts); i++) {
    uint16_t members = counts[i];
    for (unsigned some = 0; some <= ALL; some++) {
      assert_true(sse__stream_size(some, members, TAG_LEN) <= sizeof memory);
      check((struct sse_stream *)(void *)memory, members, some);
    }
  }
}

/* Only a stream of many channels has the table; at most half of it is taken. */
static void what_many_channels_have(void **state) {
  (void)state;
  assert_int_equal(sse__wide_size(1), 0);
  assert_int_equal(sse__wide_size(SSE__WIDE_MIN - 1), 0);
  for (uint32_t room = SSE__WIDE_MIN; room <= 65536; room += room / 2) {
    uint32_t places = sse__wide_places(room);
    assert_int_equal(places & (places - 1), 0);
    assert_in_range(places, 2 * room, 4 * room);
    assert_true(sse__wide_size(room) >= sizeof(struct sse__wide) + places * sizeof(uint32_t));
    assert_int_equal(sse__wide_size(room) % _Alignof(struct sse__wide), 0);
  }
}

/* In a hub with its own numbers a limit is of the order; of a log, of the numbers in ids. */
static const struct {
  const char *name;
  bool given, limited;
  uint64_t not_before;
  struct sse__point at;
  bool excluded;
} exclude_rows[] = {
    {"no limits", false, false, 0, {1, 1}, false},
    {"no limits, of a log", true, false, 0, {1, 1}, false},
    {"own, below", false, true, 5, {4, 4}, true},
    {"own, at it", false, true, 5, {5, 5}, true},
    {"own, above", false, true, 5, {6, 6}, false},
    {"own, a number that counts not", false, true, 5, {6, 5}, false},
    {"given, below", true, true, 5, {9, 4}, true},
    {"given, at it", true, true, 5, {9, 5}, true},
    {"given, above", true, true, 5, {3, 6}, false},
    {"given, none", true, true, 0, {9, 1}, false},
    {"given, up to the highest", true, true, UINT64_MAX, {9, UINT64_MAX}, true},
};

static void what_not_before_excludes(void **state) {
  static _Alignas(max_align_t) char memory[1024];
  struct sse_stream *stream = (struct sse_stream *)(void *)memory;
  (void)state;
  for (size_t i = 0; i < COUNT(exclude_rows); i++) {
    struct sse_hub hub = {.numbers_given = exclude_rows[i].given};
    stream->hub = &hub;
    stream->has = exclude_rows[i].limited ? SSE__HAS_LIMITS : 0;
    if (exclude_rows[i].limited)
      sse__stream_limits(stream)->not_before = exclude_rows[i].not_before;
    bool excluded = sse__stream_excludes(stream, exclude_rows[i].at);
    if (excluded != exclude_rows[i].excluded) fail_msg("%s", exclude_rows[i].name);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_choice_of_parts),
                                     cmocka_unit_test(what_many_channels_have),
                                     cmocka_unit_test(what_not_before_excludes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
