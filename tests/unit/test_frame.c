/* SPDX-License-Identifier: MIT */
/* test_frame.c: an event is encoded once, whole or not at all, and numbered last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/frame.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NO_BOUND     ((size_t)1 << 20)

static struct sse__mem mem;

static int set_up(void **state) {
  (void)state;
  mem = sse__mem(world_alloc, NULL);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  world_fail(0, false);
  return world_blocks() == 0 ? 0 : -1;
}

static void a_new_frame(void **state) {
  (void)state;
  struct sse__frame *frame = sse__frame_new(&mem, SSE__FRAME_CONTROL, 100);
  assert_non_null(frame);
  assert_int_equal(frame->kind, SSE__FRAME_CONTROL);
  assert_int_equal(frame->refs, 1);
  assert_int_equal(frame->len, 0);
  assert_int_equal(frame->seq, 0);
  assert_null(frame->window);
  assert_null(frame->link.prev);
  assert_null(frame->link.next);
  assert_int_equal(frame->size, world_bytes());
  memset(frame->bytes, 'x', 100);
  sse__mem_free(&mem, frame);
  world_fail(1, false);
  assert_null(sse__frame_new(&mem, SSE__FRAME_EVENT, 100));
}

static const struct {
  const char *name;
  sse_event event;
  const char *bytes; /* with the id E.7, or NULL with the error that is */
  int error;
} rows[] = {
    {"text", {.text = "hello"}, "data: hello\nid: E.7\n\n", 0},
    {"empty text", {.text = ""}, "data:\nid: E.7\n\n", 0},
    {"bytes up to their length", {.data = "a\0b", .data_len = 1}, "data: a\nid: E.7\n\n", 0},
    {"all of it",
     {.type = "t", .text = "a\nb", .comment = "c", .retry_ms = 5},
     ": c\nretry: 5\nevent: t\ndata: a\ndata: b\nid: E.7\n\n",
     0},
    {"newline in the type", {.type = "a\nb", .text = "x"}, NULL, SSE_ELINE},
    {"no UTF-8", {.text = "\xff"}, NULL, SSE_EUTF8},
    {"any bytes", {.text = "\xff", .flags = SSE_ANY_BYTES}, "data: \xff\nid: E.7\n\n", 0},
    {"both payloads", {.text = "x", .data = "x", .data_len = 1}, NULL, SSE_EINVAL},
    {"nothing", {.type = "t"}, NULL, SSE_ENODATA},
    {"retry", {.text = "x", .retry_ms = -3}, NULL, SSE_ERANGE},
};

static void every_row(void **state) {
  const struct sse__epoch epoch = {"E", 1};
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    struct sse__frame *frame = NULL;
    int error = sse__frame_encode(&frame, &mem, &rows[i].event, NO_BOUND);
    if (error != rows[i].error) fail_msg("%s: %d", rows[i].name, error);
    if (error) {
      assert_null(frame);
      continue;
    }
    sse__frame_number(frame, &epoch, 7);
    assert_int_equal(frame->seq, 7);
    assert_int_equal(frame->kind, SSE__FRAME_EVENT);
    assert_int_equal(frame->len, strlen(rows[i].bytes));
    assert_memory_equal(frame->bytes, rows[i].bytes, frame->len);
    sse__mem_free(&mem, frame);
  }
}

/* The longest id fits to the byte, and the bound counts with it. */
static void the_bound_is_exact(void **state) {
  const sse_event event = {.text = "hello"};
  const struct sse__epoch epoch = sse__epoch_from(0);
  const size_t need = sizeof "data: hello\n" - 1 + SSE__EVENT_ID_LINE_BYTES_MAX;
  (void)state;
  for (size_t max = 0; max <= need + 1; max++) {
    struct sse__frame *frame = NULL;
    int error = sse__frame_encode(&frame, &mem, &event, max);
    assert_int_equal(error, max < need ? SSE_ETOOBIG : SSE_OK);
    if (error) continue;
    sse__frame_number(frame, &epoch, UINT64_MAX);
    assert_int_equal(frame->len, need);
    assert_int_equal(frame->size, sizeof *frame + need + SSE__CHUNK_BYTES + SSE__CHUNK_HEAD_BYTES);
    assert_int_equal(frame->size, world_bytes());
    sse__mem_free(&mem, frame);
  }
}

/* An id of the application's counts as long as it is, and what has none needs no room for one. */
static void the_bound_counts_the_event_s_own_end(void **state) {
  static const struct {
    sse_event event;
    size_t need;
  } ends[] = {{{.text = "x", .id = "order-7"}, sizeof "data: x\nid: order-7\n\n" - 1},
              {{.text = "x", .flags = SSE_EPHEMERAL}, sizeof "data: x\n\n" - 1}};
  (void)state;
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    struct sse__frame *frame;
    size_t need = ends[i].need;
    assert_int_equal(sse__frame_encode(&frame, &mem, &ends[i].event, need - 1), SSE_ETOOBIG);
    assert_int_equal(sse__frame_encode(&frame, &mem, &ends[i].event, need), SSE_OK);
    sse__frame_number(frame, &(struct sse__epoch){.len = 0}, 7);
    assert_int_equal(frame->len, need);
    sse__mem_free(&mem, frame);
  }
}

static void without_memory(void **state) {
  const sse_event event = {.text = "hello"};
  struct sse__frame *frame = NULL;
  (void)state;
  world_fail(1, false);
  assert_int_equal(sse__frame_encode(&frame, &mem, &event, NO_BOUND), SSE_ENOMEM);
  assert_null(frame);
}

/*
 * Another thread that writes to the end of the event after its first pass, played by the allocator.
 * A short event has no second one.
 */
#define LONG 1024
static char shared[LONG + 16];
static char *changing;
static const char *overwrite;

static void *alloc_and_write(void *arg, void *block, size_t size) {
  if (size > 0) memcpy(changing, overwrite, strlen(overwrite) + 1);
  return world_alloc(arg, block, size);
}

static const struct {
  const char *name, *to;
  int error;
} races[] = {
    {"longer", "aaaaaaaaaaaaa", SSE_EINVAL}, {"shorter", "a", SSE_EINVAL},
    {"more lines", "a\na\na", SSE_EINVAL},   {"no longer UTF-8", "\xff\xff\xff\xff\xff", SSE_EUTF8},
    {"other bytes", "abcde", SSE_OK},
};

static void encode_changing(const char *name, size_t before, const char *then, int expected) {
  const struct sse__mem writing = sse__mem(alloc_and_write, NULL);
  const sse_event event = {.text = shared};
  struct sse__frame *frame = NULL;
  memset(shared, 'b', before);
  changing = shared + before;
  memcpy(changing, "aaaaa", 6);
  int error = sse__frame_encode(&frame, &writing, &event, NO_BOUND);
  if (error != expected) fail_msg("%s: %d", name, error);
  if (!error) {
    assert_int_equal(frame->len, 6 + before + 6);
    assert_memory_equal(frame->bytes + 6 + before, then, 6);
  }
  sse__mem_free(&mem, frame);
  assert_int_equal(world_blocks(), 0);
}

static void an_event_that_changes_meanwhile(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(races); i++) {
    overwrite = races[i].to;
    encode_changing(races[i].name, LONG, "abcde\n", races[i].error);
    encode_changing(races[i].name, 0, "aaaaa\n", SSE_OK);
  }
}

/* Behind the bytes of a frame, and of its chunk. */
static const char *end_of(const struct sse__frame *frame) {
  return frame->bytes + frame->len + SSE__CHUNK_TAIL_BYTES;
}

/* What stands behind the bytes has its place, and no more than it needs. */
static void ids_and_keys_fit(void **state) {
  static char id[SSE_ID_BYTES_MAX + 1], key[SSE_KEY_BYTES_MAX + 1];
  (void)state;
  for (size_t len = 1; len <= SSE_ID_BYTES_MAX; len++) {
    const sse_event event = {.text = "x", .id = memset(id, 'i', len)};
    struct sse__frame *frame = NULL;
    id[len] = '\0';
    assert_int_equal(sse__frame_encode(&frame, &mem, &event, NO_BOUND), SSE_OK);
    const char *place = (const char *)sse__frame_id(frame), *end = end_of(frame);
    assert_int_equal(frame->len, strlen("data: x\nid: \n\n") + len);
    assert_memory_equal(sse__frame_id_text(frame), id, len);
    assert_in_range(place - end, 0, 7);
    assert_ptr_equal((const char *)frame + frame->size, place + sizeof(struct sse__frame_id));
    sse__mem_free(&mem, frame);
  }
  for (size_t len = 1; len <= SSE_KEY_BYTES_MAX; len++) {
    const sse_event event = {.text = "x", .key = memset(key, 'k', len)};
    const struct sse__epoch epoch = sse__epoch_from(0);
    struct sse__frame *frame = NULL;
    key[len] = '\0';
    assert_int_equal(sse__frame_encode(&frame, &mem, &event, NO_BOUND), SSE_OK);
    sse__frame_number(frame, &epoch, UINT64_MAX);
    const struct sse__frame_key *at = sse__frame_key(frame);
    assert_in_range((const char *)at - end_of(frame), 0, 7);
    assert_string_equal(at->text, key);
    assert_ptr_equal((const char *)frame + frame->size, at->text + len + 1);
    sse__mem_free(&mem, frame);
  }
}

/* ---- chunks ---- */

static void a_chunk_around_its_bytes(void **state) {
  static char room[SSE__CHUNK_BYTES + 0x12345];
  static const struct {
    size_t len;
    const char *head;
  } chunks[] = {{0, "00000000\r\n"},     {1, "00000001\r\n"},      {15, "0000000f\r\n"},
                {16, "00000010\r\n"},    {255, "000000ff\r\n"},    {4096, "00001000\r\n"},
                {0xabc, "00000abc\r\n"}, {0x12345, "00012345\r\n"}};
  (void)state;
  for (size_t i = 0; i < COUNT(chunks); i++) {
    size_t len = chunks[i].len;
    memset(room, 'x', sizeof room);
    sse__chunk_write(room + SSE__CHUNK_HEAD_BYTES, len);
    assert_memory_equal(room, chunks[i].head, SSE__CHUNK_HEAD_BYTES);
    assert_memory_equal(room + SSE__CHUNK_HEAD_BYTES + len, "\r\n", SSE__CHUNK_TAIL_BYTES);
    for (size_t k = 0; k < len; k++) assert_int_equal(room[SSE__CHUNK_HEAD_BYTES + k], 'x');
  }
}

/* Once, around the bytes that all shares of it show. */
static void a_share_has_its_body_s_chunk(void **state) {
  const sse_event event = {.text = "x", .key = "k"};
  const struct sse__epoch epoch = {"E", 1};
  struct sse__frame *body = NULL;
  (void)state;
  assert_int_equal(sse__frame_encode(&body, &mem, &event, NO_BOUND), SSE_OK);
  struct sse__frame *share = sse__frame_share(&mem, body);
  assert_non_null(share);
  sse__frame_number(body, &epoch, 7);
  sse__frame_show(share);
  sse__frame_chunk(share);
  assert_true(body->chunked);
  assert_memory_equal(share->bytes - SSE__CHUNK_HEAD_BYTES, "00000011\r\ndata: x\nid: E.7\n\n\r\n",
                      share->len + SSE__CHUNK_BYTES);
  assert_string_equal(sse__frame_key(body)->text, "k");
  share->bytes[-1] = '!'; /* it is not written again */
  sse__frame_chunk(share);
  sse__frame_chunk(body);
  assert_int_equal(share->bytes[-1], '!');
  sse__mem_free(&mem, share);
  sse__mem_free(&mem, body);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_new_frame, set_up, tear_down),
      cmocka_unit_test_setup_teardown(every_row, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_bound_is_exact, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_bound_counts_the_event_s_own_end, set_up, tear_down),
      cmocka_unit_test_setup_teardown(without_memory, set_up, tear_down),
      cmocka_unit_test_setup_teardown(an_event_that_changes_meanwhile, set_up, tear_down),
      cmocka_unit_test_setup_teardown(ids_and_keys_fit, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_chunk_around_its_bytes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_share_has_its_body_s_chunk, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
