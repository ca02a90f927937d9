/* SPDX-License-Identifier: MIT */
/* test_null.c: every public function with NULL for its object, and for each pointer that it needs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sse/parse.h>

#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What a call answered, and what it must answer. */
struct null_row {
  const char *call;
  intmax_t result, want;
};

/* The call itself is the row's name. */
#define ROW(call, want)                                                                            \
  { #call, (intmax_t)(call), want }

static void check_rows(const struct null_row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (rows[i].result != rows[i].want) fail_msg("%s: %d", rows[i].call, (int)rows[i].result);
  }
}

static struct world world;
static struct wakes wakes;

static int set_up(void **state) {
  (void)state;
  world = (struct world){.hub = NULL};
  world_open(&world, NULL);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  world_close(&world);
  return 0;
}

static const char *const one[] = {"a", NULL};
static const sse_event event = {.text = "x"};

static void calls_of_a_hub(void **state) {
  sse_stats stats;
  char id[SSE_ID_BYTES_MAX + 1];
  sse_hub *hub = world.hub;
  (void)state;
  const struct null_row rows[] = {
      ROW(sse_hub_new(NULL, NULL), SSE_EINVAL),
      ROW(sse_hub_free(NULL), SSE_OK),
      ROW(sse_hub_configure_channel(NULL, "a", NULL), SSE_EINVAL),
      ROW(sse_hub_configure_channel(hub, NULL, NULL), SSE_EINVAL),
      ROW(sse_hub_forget(NULL, "a"), SSE_EINVAL),
      ROW(sse_hub_forget(hub, NULL), SSE_EINVAL),
      ROW(sse_hub_publish(NULL, "a", &event), SSE_EINVAL),
      ROW(sse_hub_publish(hub, NULL, &event), SSE_EINVAL),
      ROW(sse_hub_publish(hub, "a", NULL), SSE_EINVAL),
      ROW(sse_hub_publish_to(NULL, one, &event), SSE_EINVAL),
      ROW(sse_hub_publish_to(hub, NULL, &event), SSE_EINVAL),
      ROW(sse_hub_publish_to(hub, one, NULL), SSE_EINVAL),
      ROW(sse_hub_publish_text(NULL, "a", NULL, "x"), SSE_EINVAL),
      ROW(sse_hub_publish_text(hub, NULL, NULL, "x"), SSE_EINVAL),
      ROW(sse_hub_publish_text(hub, "a", NULL, NULL), SSE_ENODATA),
      ROW(sse_hub_publish_id(NULL, one, &event, id, sizeof id), SSE_EINVAL),
      ROW(sse_hub_publish_id(hub, NULL, &event, id, sizeof id), SSE_EINVAL),
      ROW(sse_hub_publish_id(hub, one, NULL, id, sizeof id), SSE_EINVAL),
      ROW(sse_hub_publish_id(hub, one, &event, NULL, sizeof id), SSE_EINVAL),
      ROW(sse_hub_position(NULL, id, sizeof id), SSE_EINVAL),
      ROW(sse_hub_position(hub, NULL, sizeof id), SSE_EINVAL),
      ROW(sse_hub_advance(NULL, 1), SSE_EINVAL),
      ROW(sse_hub_skip(NULL, 1), SSE_EINVAL),
      ROW(sse_hub_reset(NULL, "F", 1), SSE_EINVAL),
      ROW(sse_hub_reset(hub, NULL, 1), SSE_EINVAL),
      ROW(sse_hub_finish(NULL, "a"), SSE_EINVAL),
      ROW(sse_hub_finish(hub, NULL), SSE_EINVAL),
      ROW(sse_hub_count(NULL, "a"), 0),
      ROW(sse_hub_count(NULL, NULL), 0),
      ROW(sse_hub_subscribe(NULL, "t", "a", 0), SSE_EINVAL),
      ROW(sse_hub_subscribe(hub, NULL, "a", 0), SSE_EINVAL),
      ROW(sse_hub_subscribe(hub, "t", NULL, 0), SSE_EINVAL),
      ROW(sse_hub_unsubscribe(NULL, "t", "a"), SSE_EINVAL),
      ROW(sse_hub_unsubscribe(hub, NULL, "a"), SSE_EINVAL),
      ROW(sse_hub_unsubscribe(hub, "t", NULL), SSE_EINVAL),
      ROW(sse_hub_disconnect(NULL, "t"), SSE_EINVAL),
      ROW(sse_hub_disconnect(NULL, NULL), SSE_EINVAL),
      ROW(sse_hub_disconnect(hub, ""), SSE_EINVAL),
      ROW(sse_hub_dismiss(NULL, "t"), SSE_EINVAL),
      ROW(sse_hub_dismiss(hub, NULL), SSE_EINVAL),
      ROW(sse_hub_tags(NULL, "a", NULL, 0), SSE_EINVAL),
      ROW(sse_hub_tags(hub, NULL, NULL, 1), SSE_EINVAL),
      ROW(sse_hub_tags(hub, NULL, NULL, 0), 0),
      ROW(sse_hub_drain(NULL, 0), SSE_EINVAL),
      ROW(sse_hub_retry_ms(NULL), SSE_EINVAL),
      ROW(sse_hub_tick(NULL), SSE_EINVAL),
      ROW(sse_hub_stats(NULL, NULL, &stats), SSE_EINVAL),
      ROW(sse_hub_stats(hub, NULL, NULL), SSE_EINVAL),
      ROW(sse_stats_prometheus(NULL, 0, NULL, NULL), SSE_EINVAL),
      ROW(sse_stats_prometheus(NULL, 1, hub, NULL), SSE_EINVAL),
  };
  check_rows(rows, COUNT(rows));
}

static void calls_of_a_loop(void **state) {
  const sse_loop_config config = {.wake = world_wake, .wake_arg = &wakes}, deaf = {.linger_ms = 0};
  sse_loop *loop = NULL;
  (void)state;
  const struct null_row rows[] = {
      ROW(sse_loop_new(NULL, world.hub, &config), SSE_EINVAL),
      ROW(sse_loop_new(&loop, NULL, &config), SSE_EINVAL),
      ROW(sse_loop_new(&loop, world.hub, NULL), SSE_EINVAL),
      ROW(sse_loop_new(&loop, world.hub, &deaf), SSE_EINVAL),
      ROW(sse_loop_next(NULL) == NULL, true),
      ROW(sse_loop_timeout(NULL), -1),
      ROW(sse_loop_free(NULL), SSE_OK),
  };
  assert_null(loop);
  check_rows(rows, COUNT(rows));
}

static ssize_t write_all(void *io, const struct iovec *iov, int count) {
  ssize_t bytes = 0;
  (void)io;
  for (int i = 0; i < count; i++) bytes += (ssize_t)iov[i].iov_len;
  return bytes;
}

static void calls_of_a_stream(void **state) {
  const sse_stream_config config = {.channel = "a"};
  sse_stream *stream = world_stream(&world, "a", NULL, NULL), *none = NULL;
  struct iovec iov[1];
  char byte[1];
  (void)state;
  sse_stream_consume(NULL, 1);
  sse_stream_detach(NULL);
  sse_stream_free(NULL);
  const struct null_row rows[] = {
      ROW(sse_stream_open(NULL, world.hub, &config), SSE_EINVAL),
      ROW(sse_stream_open(&none, NULL, &config), SSE_EINVAL),
      ROW(sse_stream_open(&none, world.hub, NULL), SSE_EINVAL),
      ROW(sse_stream_peek(NULL, iov, 1), SSE_EINVAL),
      ROW(sse_stream_peek(stream, NULL, 1), SSE_EINVAL),
      ROW(sse_stream_peek(stream, iov, 0), SSE_EINVAL),
      ROW(sse_stream_read(NULL, byte, 1), SSE_EINVAL),
      ROW(sse_stream_read(stream, NULL, 1), SSE_EINVAL),
      ROW(sse_stream_read(stream, byte, 0), SSE_EINVAL),
      ROW(sse_stream_wait(NULL, 0), SSE_EINVAL),
      ROW(sse_stream_flush(NULL, write_all, NULL), SSE_EINVAL),
      ROW(sse_stream_flush(stream, NULL, NULL), SSE_EINVAL),
      ROW(sse_stream_flush_fd(NULL, 0), SSE_EINVAL),
      ROW(sse_stream_prepare_fd(NULL, 0), SSE_EINVAL),
      ROW(sse_stream_run(NULL, 0), SSE_EINVAL),
      ROW(sse_stream_user(NULL) == NULL, true),
      ROW(sse_stream_resume_result(NULL), SSE_RESUME_NONE),
  };
  assert_null(none);
  check_rows(rows, COUNT(rows));
  /* None of the calls ended the stream, or took its bytes. */
  assert_non_null(strstr(world_read(stream), "id: E.0\n\n"));
  assert_int_equal(world_read_result(), 0);
  sse_stream_free(stream);
}

static int add_header(void *arg, const char *name, const char *value) {
  (void)arg;
  (void)name;
  (void)value;
  return 0;
}

static void calls_of_the_wire(void **state) {
  static const char empty[] = "";
  sse_parser *parser;
  sse_parsed parsed;
  const char *bytes = empty, *nothing = NULL;
  char value[8];
  size_t len = 0, more = 1;
  (void)state;
  assert_int_equal(sse_parser_new(&parser, NULL), SSE_OK);
  sse_parser_reset(NULL);
  sse_parser_free(NULL);
  const struct null_row rows[] = {
      ROW(sse_parser_new(NULL, NULL), SSE_EINVAL),
      ROW(sse_parser_next(NULL, &bytes, &len, &parsed), SSE_EINVAL),
      ROW(sse_parser_next(parser, NULL, &len, &parsed), SSE_EINVAL),
      ROW(sse_parser_next(parser, &bytes, NULL, &parsed), SSE_EINVAL),
      ROW(sse_parser_next(parser, &bytes, &len, NULL), SSE_EINVAL),
      ROW(sse_parser_next(parser, &nothing, &more, &parsed), SSE_EINVAL),
      ROW(sse_parser_next(parser, &nothing, &len, &parsed), 0),
      ROW(sse_parser_unfinished(NULL, &parsed), SSE_EINVAL),
      ROW(sse_parser_unfinished(parser, NULL), SSE_EINVAL),
      ROW(strlen(sse_parser_last_id(NULL)), 0),
      ROW(sse_parser_last_id_error(NULL), SSE_EINVAL),
      ROW(sse_parser_retry_ms(NULL), -1),
      ROW(sse_format(value, sizeof value, NULL), SSE_EINVAL),
      ROW(sse_format(NULL, 1, &event), SSE_EINVAL),
      ROW(sse_http_stream_head(NULL, 1, NULL), SSE_EINVAL),
      ROW(sse_http_busy(NULL, 1, NULL, 0), SSE_EINVAL),
      ROW(sse_http_stop(NULL, 1, NULL), SSE_EINVAL),
      ROW(sse_http_preflight(NULL, 1, NULL), SSE_EINVAL),
      ROW(sse_http_refuse(NULL, 1, NULL, SSE_ENOMEM, 0), SSE_EINVAL),
      ROW(sse_http_refuse(NULL, 1, NULL, SSE_ENAME, 0), SSE_EINVAL),
      ROW(sse_http_headers(SSE_HTTP_STREAM, NULL, NULL, NULL), SSE_EINVAL),
      ROW(sse_http_headers(SSE_HTTP_STREAM, NULL, add_header, NULL), 200),
      ROW(sse_http_header(NULL, 1, "A", value, sizeof value), SSE_EINVAL),
      ROW(sse_http_header("", 0, NULL, value, sizeof value), SSE_EINVAL),
      ROW(sse_http_header("", 0, "A", NULL, sizeof value), SSE_EINVAL),
  };
  check_rows(rows, COUNT(rows));
  sse_parser_free(parser);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(calls_of_a_hub),
      TEST(calls_of_a_loop),
      TEST(calls_of_a_stream),
      TEST(calls_of_the_wire),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
