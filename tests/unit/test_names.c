/* SPDX-License-Identifier: MIT */
/* test_names.c: a name that a list has twice is found, in lists of any length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/names.h"
#include "world.h"

enum {
  MOST = 3000
};

static char texts[MOST][24];
static const char *list[MOST + 1];

static void a_set_knows_its_names(void **state) {
  static const uint64_t seed[2] = {1, 2};
  const struct sse__mem mem = sse__mem(world_alloc, NULL);
  struct sse__names names;
  (void)state;
  size_t before = world_bytes();
  for (size_t count = 0; count <= MOST; count = count * 2 + 1) {
    assert_int_equal(sse__names_init(&names, &mem, seed, count), SSE_OK);
    for (size_t i = 0; i < count; i++) assert_true(sse__names_add(&names, texts[i]));
    for (size_t i = 0; i < count; i++) {
      char copy[24];
      memcpy(copy, texts[i], sizeof copy);
      assert_false(sse__names_add(&names, copy));
    }
    sse__names_free(&names, &mem);
  }
  assert_int_equal(world_bytes(), before);
  assert_int_equal(sse__names_init(&names, &mem, seed, SIZE_MAX / 16), SSE_ENOMEM);
  world_fail(1, false);
  assert_int_equal(sse__names_init(&names, &mem, seed, 1), SSE_ENOMEM);
  world_fail(0, false);
}

/* The calls that take a list of channels. */
static void lists_of_any_length(void **state) {
  const sse_hub_config config = {.stream_channels_max = UINT32_MAX};
  struct world world = {.hub = NULL};
  (void)state;
  world_open(&world, &config);
  for (size_t count = 2; count <= MOST; count += count < 40 ? 1 : 700) {
    const sse_stream_config stream_config = {.channels = list};
    const sse_event event = {.text = "x"};
    sse_stream *stream;
    for (size_t i = 0; i < count; i++) list[i] = texts[i];
    list[count] = NULL;
    assert_int_equal(sse_stream_open(&stream, world.hub, &stream_config), SSE_OK);
    sse_stream_free(stream);
    if (count <= SSE_PUBLISH_CHANNELS_MAX)
      assert_int_equal(sse_hub_publish_to(world.hub, list, &event), SSE_OK);
    list[count - 1] = texts[count / 3];
    assert_int_equal(sse_stream_open(&stream, world.hub, &stream_config), SSE_EINVAL);
    if (count <= SSE_PUBLISH_CHANNELS_MAX)
      assert_int_equal(sse_hub_publish_to(world.hub, list, &event), SSE_EINVAL);
    if (count <= 16) continue;
    world_fail(1, false);
    assert_int_equal(sse_stream_open(&stream, world.hub, &stream_config), SSE_ENOMEM);
    world_fail(0, false);
  }
  world_close(&world);
}

static int set_up(void **state) {
  (void)state;
  for (size_t i = 0; i < MOST; i++) snprintf(texts[i], sizeof texts[i], "%zu", i);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_set_knows_its_names),
      cmocka_unit_test(lists_of_any_length),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
