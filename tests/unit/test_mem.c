/* SPDX-License-Identifier: MIT */
/* test_mem.c: the allocator of a hub: what it is asked for, and what a failure leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/mem.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* An allocator that writes down what it was asked, and gives memory that is not zero. */
struct book {
  int calls;
  void *block;
  size_t size;
  int fail;
};

static void *note(void *arg, void *block, size_t size) {
  struct book *book = arg;
  book->calls++;
  book->block = block;
  book->size = size;
  if (size == 0) {
    free(block);
    return NULL;
  }
  if (book->fail) return NULL;
  unsigned char *bytes = realloc(block, size);
  if (bytes && !block) memset(bytes, 0xaa, size);
  return bytes;
}

static void all_goes_through_the_hosts(void **state) {
  struct book book = {0};
  const struct sse__mem mem = sse__mem(note, &book);
  (void)state;
  unsigned char *block = sse__mem_new(&mem, 10);
  assert_non_null(block);
  assert_null(book.block);
  assert_int_equal(book.size, 10);
  assert_int_equal(block[9], 0xaa);
  unsigned char *more = sse__mem_grow(&mem, block, 5, 8);
  assert_non_null(more);
  assert_int_equal(book.size, 40);
  assert_int_equal(more[9], 0xaa);
  sse__mem_free(&mem, more);
  assert_ptr_equal(book.block, more);
  assert_int_equal(book.size, 0);
  assert_int_equal(book.calls, 3);
}

static void zero_is_zero(void **state) {
  struct book book = {0};
  const struct sse__mem mem = sse__mem(note, &book);
  (void)state;
  unsigned char *block = sse__mem_zero(&mem, 100);
  assert_non_null(block);
  for (size_t i = 0; i < 100; i++) assert_int_equal(block[i], 0);
  sse__mem_free(&mem, block);
}

static void null_is_not_freed(void **state) {
  struct book book = {0};
  const struct sse__mem mem = sse__mem(note, &book);
  (void)state;
  sse__mem_free(&mem, NULL);
  assert_int_equal(book.calls, 0);
}

static void without_one_it_is_the_c_librarys(void **state) {
  const struct sse__mem mem = sse__mem(NULL, NULL);
  (void)state;
  char *block = sse__mem_new(&mem, 6);
  assert_non_null(block);
  memcpy(block, "hello", 6);
  char *more = sse__mem_grow(&mem, block, 1000, 100);
  assert_non_null(more);
  assert_string_equal(more, "hello");
  sse__mem_free(&mem, more);
  sse__mem_free(&mem, NULL);
}

static void a_failure_leaves_the_block(void **state) {
  struct book book = {0};
  const struct sse__mem mem = sse__mem(note, &book);
  (void)state;
  unsigned char *block = sse__mem_new(&mem, 10);
  assert_non_null(block);
  book.fail = 1;
  assert_null(sse__mem_new(&mem, 1));
  assert_null(sse__mem_zero(&mem, 1));
  assert_null(sse__mem_grow(&mem, block, 2, 10));
  assert_int_equal(block[9], 0xaa);
  sse__mem_free(&mem, block);
}

static const struct {
  const char *name;
  size_t count, size;
  size_t asked; /* 0: the allocator is not called */
} products[] = {
    {"one", 1, 1, 1},
    {"the largest", SIZE_MAX, 1, SIZE_MAX},
    {"the largest of two", SIZE_MAX / 2, 2, SIZE_MAX - 1},
    {"one more", SIZE_MAX / 2 + 1, 2, 0},
    {"far more", SIZE_MAX, SIZE_MAX, 0},
    {"more of eight", SIZE_MAX / 8 + 1, 8, 0},
};

static void products_do_not_wrap(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(products); i++) {
    struct book book = {.fail = 1};
    const struct sse__mem mem = sse__mem(note, &book);
    assert_null(sse__mem_grow(&mem, NULL, products[i].count, products[i].size));
    if (book.size != products[i].asked) fail_msg("%s: asked for %zu", products[i].name, book.size);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_goes_through_the_hosts),
      cmocka_unit_test(zero_is_zero),
      cmocka_unit_test(null_is_not_freed),
      cmocka_unit_test(without_one_it_is_the_c_librarys),
      cmocka_unit_test(a_failure_leaves_the_block),
      cmocka_unit_test(products_do_not_wrap),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
