/* SPDX-License-Identifier: MIT */
/* test_window.c: a window against a plain list: places, ordinals, and what was let go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hub/window.h"
#include "world.h"

enum {
  FRAMES = 400
};

/* What was ever appended; first to last are still in the window. */
struct model {
  struct sse__window window;
  struct sse__frame *frames[FRAMES];
  size_t first, last;
  size_t bytes;
};

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

/* Numbers have holes: those of other channels. */
static uint64_t seq_of(size_t i) {
  return 3 * i + 5 + i % 2;
}

static void append(struct model *model) {
  struct sse__frame *frame = sse__frame_new(&mem, SSE__FRAME_EVENT, model->last % 7);
  assert_non_null(frame);
  frame->seq = seq_of(model->last);
  assert_int_equal(sse__window_reserve(&model->window, &mem), SSE_OK);
  sse__window_append(&model->window, &mem, frame);
  assert_ptr_equal(frame->window, &model->window);
  model->bytes += frame->size;
  model->frames[model->last++] = frame;
}

static void evict(struct model *model) {
  struct sse__frame *frame = model->frames[model->first++];
  assert_ptr_equal(sse__window_oldest(&model->window), frame);
  assert_ptr_equal(sse__window_victim(&model->window), frame);
  sse__window_remove(&model->window, frame, false);
  assert_null(frame->window);
  assert_int_equal(frame->refs, 1);
  assert_true(model->window.evicted.seq == frame->seq);
  model->bytes -= frame->size;
  sse__mem_free(&mem, frame);
}

static void check(const struct model *model) {
  const struct sse__window *window = &model->window;
  const struct sse__stretch stretch = sse__window_stretch(window);
  size_t count = model->last - model->first;
  assert_int_equal(window->count, count);
  assert_int_equal(stretch.count, count);
  assert_int_equal(window->bytes, model->bytes);
  assert_int_equal(window->frames, count);
  assert_int_equal(window->last_ordinal, model->last);
  assert_true(window->evicted.seq == (model->first ? seq_of(model->first - 1) : 0));
  for (size_t i = 0; i < count; i++) {
    assert_ptr_equal(sse__stretch_at(&stretch, i)->frame, model->frames[model->first + i]);
  }
}

/* For every number from what was evicted on: the place after it, and its ordinal. */
static void check_places(const struct model *model) {
  const struct sse__stretch stretch = sse__window_stretch(&model->window);
  size_t place = 0;
  for (uint64_t seq = model->window.evicted.seq; seq <= seq_of(model->last) + 2; seq++) {
    while (place < stretch.count && model->frames[model->first + place]->seq <= seq) place++;
    assert_int_equal(sse__stretch_after(&stretch, seq), place);
    assert_int_equal(sse__window_ordinal(&model->window, seq), model->first + place);
  }
  assert_int_equal(sse__stretch_after(&stretch, 0), 0);
  assert_int_equal(sse__stretch_after(&stretch, UINT64_MAX), stretch.count);
}

static void close_model(struct model *model) {
  while (model->first < model->last) evict(model);
  check(model);
  sse__window_free(&model->window, &mem);
  assert_int_equal(model->window.cap, 0);
}

static void any_order_of_operations(void **state) {
  struct world random = {.seed = 7};
  struct model model = {.first = 0};
  (void)state;
  check(&model);
  check_places(&model);
  while (model.last < FRAMES) {
    /* Grows slowly, so that the ring turns at every size. */
    if (model.first < model.last && world_random(&random, 5) < 2) {
      evict(&model);
    } else {
      append(&model);
    }
    check(&model);
    check_places(&model);
  }
  close_model(&model);
}

/* A ring that is full and turned by any number of places is unrolled when it grows. */
static void it_grows_from_every_turn(void **state) {
  (void)state;
  for (size_t turn = 0; turn < 8; turn++) {
    struct model model = {.first = 0};
    for (size_t i = 0; i < 8; i++) append(&model);
    for (size_t i = 0; i < turn; i++) {
      evict(&model);
      append(&model);
    }
    assert_int_equal(model.window.cap, 8);
    append(&model);
    assert_int_equal(model.window.cap, 16);
    check(&model);
    close_model(&model);
  }
}

static void without_memory_nothing_changes(void **state) {
  struct model model = {.first = 0};
  (void)state;
  world_fail(1, true);
  assert_int_equal(sse__window_reserve(&model.window, &mem), SSE_ENOMEM);
  world_fail(0, false);
  check(&model);
  for (size_t i = 0; i < 8; i++) append(&model);
  evict(&model);
  append(&model);
  world_fail(1, true);
  assert_int_equal(sse__window_reserve(&model.window, &mem), SSE_ENOMEM);
  check(&model);
  evict(&model);
  /* Room that is there needs no memory. */
  assert_int_equal(sse__window_reserve(&model.window, &mem), SSE_OK);
  world_fail(0, false);
  append(&model);
  check(&model);
  close_model(&model);
}

static void a_table_too_long_is_refused(void **state) {
  const size_t cap =
      SIZE_MAX / 2 / sizeof(struct sse__slot) + 2; /* twice as many would wrap to two */
  struct sse__window window = {.cap = cap, .count = cap, .frames = cap};
  size_t calls = world_calls();
  (void)state;
  assert_int_equal(sse__window_reserve(&window, &mem), SSE_ENOMEM);
  assert_int_equal(world_calls(), calls);
}

/* A plain array, as a round has it. */
static void a_stretch_without_a_ring(void **state) {
  struct sse__frame a = {.seq = 4}, b = {.seq = 9};
  struct sse__slot slots[] = {{4, &a}, {9, &b}};
  const struct sse__stretch stretch = {slots, SIZE_MAX, 0, 2};
  (void)state;
  assert_ptr_equal(sse__stretch_at(&stretch, 0)->frame, &a);
  assert_ptr_equal(sse__stretch_at(&stretch, 1)->frame, &b);
  assert_int_equal(sse__stretch_after(&stretch, 3), 0);
  assert_int_equal(sse__stretch_after(&stretch, 4), 1);
  assert_int_equal(sse__stretch_after(&stretch, 9), 2);
}

/* Of each slot the number of its frame; 0: its frame was superseded. */
static const struct {
  const char *name;
  uint64_t numbers[8];
  size_t count;
  uint64_t above;
  size_t place; /* of the frame that is found; `count`: none */
} above_rows[] = {
    {"nothing is there", {0}, 0, 0, 0},
    {"the first one", {5, 9, 70}, 3, 0, 0},
    {"right below it", {5, 9, 70}, 3, 4, 0},
    {"its number", {5, 9, 70}, 3, 5, 1},
    {"in a hole", {5, 9, 70}, 3, 10, 2},
    {"the last one's number", {5, 9, 70}, 3, 70, 3},
    {"the highest number", {5, UINT64_MAX}, 2, UINT64_MAX, 2},
    {"right below the highest number", {5, UINT64_MAX}, 2, UINT64_MAX - 1, 1},
    {"ephemeral frames have the number before them", {5, 5, 5, 9}, 4, 4, 0},
    {"above ephemeral frames", {5, 5, 5, 9}, 4, 5, 3},
    {"slots without frames", {0, 5, 0, 0, 9, 0}, 6, 4, 1},
    {"slots without frames before the one", {0, 5, 0, 0, 9, 0}, 6, 5, 4},
    {"slots without frames at the end", {0, 5, 0, 0, 9, 0}, 6, 9, 6},
    {"no frame at all", {0, 0, 0}, 3, 0, 3},
    {"only the last", {0, 0, 0, 0, 7}, 5, 6, 4},
    {"only the first", {7, 0, 0, 0, 0}, 5, 6, 0},
    {"only the first, which is not above", {7, 0, 0, 0, 0}, 5, 7, 5},
};

static void the_first_frame_above_a_number(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof above_rows / sizeof *above_rows; i++) {
    struct sse__slot slots[8] = {{0, NULL}};
    for (size_t place = 0; place < above_rows[i].count; place++) {
      slots[place].seq = place + 1;
      if (above_rows[i].numbers[place] == 0) continue;
      slots[place].frame = sse__frame_new(&mem, SSE__FRAME_EVENT, 0);
      assert_non_null(slots[place].frame);
      slots[place].frame->number = above_rows[i].numbers[place];
    }
    const struct sse__stretch stretch = {slots, SIZE_MAX, 0, above_rows[i].count};
    const struct sse__frame *found = sse__stretch_first_above(&stretch, above_rows[i].above);
    bool none = above_rows[i].place == above_rows[i].count;
    if (found != (none ? NULL : slots[above_rows[i].place].frame))
      fail_msg("%s", above_rows[i].name);
    for (size_t place = 0; place < 8; place++) sse__mem_free(&mem, slots[place].frame);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(any_order_of_operations, set_up, tear_down),
      cmocka_unit_test_setup_teardown(it_grows_from_every_turn, set_up, tear_down),
      cmocka_unit_test_setup_teardown(without_memory_nothing_changes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_table_too_long_is_refused, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_stretch_without_a_ring, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_first_frame_above_a_number, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
