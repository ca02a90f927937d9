/* SPDX-License-Identifier: MIT */
/* test_open.c: whose id it is: of this life of the hub, or of another that is named alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

static void epochs_that_are_alike(void **state) {
  static const struct {
    const char *epoch, *last_id;
    sse_resume verdict;
  } rows[] = {
      {"E", "E.1", SSE_RESUME_RESUMED},
      {"E", "F.1", SSE_RESUME_RESTART},
      {"E", "EE.1", SSE_RESUME_RESTART},
      {"EE", "E.1", SSE_RESUME_RESTART},
      {"EE", "EE.1", SSE_RESUME_RESUMED},
      {"EE", "EF.1", SSE_RESUME_RESTART},
      {"abcdefghijk", "abcdefghijk.1", SSE_RESUME_RESUMED},
      {"abcdefghijk", "abcdefghij.1", SSE_RESUME_RESTART},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const sse_hub_config config = {.epoch = rows[i].epoch};
    struct world world = {0};
    world_open(&world, &config);
    for (int k = 0; k < 2; k++) world_send(&world, "a", "x");
    sse_stream *stream = world_stream(&world, "a", rows[i].last_id, NULL);
    if (sse_stream_resume_result(stream) != rows[i].verdict) fail_msg("%s", rows[i].last_id);
    /* Who resumes has had the first. */
    const char *events = strstr(world_read(stream), "data: x\n");
    assert_non_null(events);
    assert_int_equal(strstr(events + 1, "data: x\n") == NULL,
                     rows[i].verdict == SSE_RESUME_RESUMED);
    sse_stream_free(stream);
    world_close(&world);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(epochs_that_are_alike),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
