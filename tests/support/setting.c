/* SPDX-License-Identifier: MIT */
/* setting.c: a world with one stream, in a loop or alone. */
#include "setting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void open_setting(struct setting *s, bool in_loop, const sse_hub_config *config,
                  const sse_stream_config *stream) {
  memset(s, 0, sizeof *s);
  world_open(&s->world, config);
  s->config = *stream;
  if (in_loop)
    assert_int_equal(
        sse_loop_new(&s->loop, s->world.hub,
                     &(const sse_loop_config){.wake = world_wake, .wake_arg = &s->wakes}),
        SSE_OK);
  s->config.loop = s->loop;
  assert_int_equal(sse_stream_open(&s->stream, s->world.hub, &s->config), SSE_OK);
  world_read(s->stream);
}

void close_setting(struct setting *s) {
  sse_stream_free(s->stream);
  assert_int_equal(sse_loop_free(s->loop), SSE_OK);
  world_close(&s->world);
}

void reopen(struct setting *s, const char *last_id) {
  sse_stream_free(s->stream);
  s->config.last_id = last_id;
  assert_int_equal(sse_stream_open(&s->stream, s->world.hub, &s->config), SSE_OK);
}

const char *round_of(struct setting *s) {
  static char all[65536];
  if (!s->loop) {
    sse_hub_tick(s->world.hub);
    return world_read(s->stream);
  }
  size_t len = 0;
  all[0] = '\0';
  do {
    while (sse_loop_next(s->loop)) {
      const char *more = world_read(s->stream);
      assert_true(len + strlen(more) < sizeof all);
      memcpy(all + len, more, strlen(more) + 1);
      len += strlen(more);
    }
  } while (sse_loop_timeout(s->loop) == 0);
  return all;
}

void note_id(const char *bytes, char *id, size_t cap) {
  for (const char *line; (line = strstr(bytes, "id: ")); bytes = line + 4) {
    snprintf(id, cap, "%.*s", (int)strcspn(line + 4, "\n"), line + 4);
  }
}
