/* SPDX-License-Identifier: MIT */
/* test_list.c: the intrusive list: both ends, and removal in every order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/list.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct item {
  char name;
  struct sse__link link;
};

/* Each letter appends an item, each capital prepends it; after '-', each letter removes one. */
static const struct {
  const char *steps, *left;
} rows[] = {
    {"", ""},        {"a", "a"},      {"A", "a"},      {"abc", "abc"},  {"ABC", "cba"},
    {"aBc", "bac"},  {"a-a", ""},     {"abc-a", "bc"}, {"abc-b", "ac"}, {"abc-c", "ab"},
    {"abc-abc", ""}, {"abc-cba", ""}, {"abc-bac", ""}, {"ABC-b", "ca"},
};

static void assert_items(const struct sse__list *list, const char *names, const char *row) {
  const struct sse__link *before = NULL;
  SSE__LIST_EACH(link, list) {
    if (SSE__CONTAINER(link, struct item, link)->name != *names++) fail_msg("%s", row);
    assert_ptr_equal(link->prev, before);
    before = link;
  }
  if (*names) fail_msg("%s", row);
  assert_ptr_equal(list->last, before);
}

static void links_hold_both_ways(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    struct item items[3] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}};
    struct sse__list list = {NULL, NULL};
    bool removes = false;
    for (const char *step = rows[i].steps; *step; step++) {
      bool prepends = *step >= 'A' && *step <= 'C';
      if (*step == '-') {
        removes = true;
        continue;
      }
      struct sse__link *link = &items[*step - (prepends ? 'A' : 'a')].link;
      if (removes) {
        sse__list_remove(&list, link);
      } else if (prepends) {
        sse__list_prepend(&list, link);
      } else {
        sse__list_append(&list, link);
      }
    }
    assert_items(&list, rows[i].left, rows[i].steps);
    const struct item *item = SSE__LIST_FIRST(&list, struct item, link);
    assert_int_equal(item ? item->name : '\0', *rows[i].left);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(links_hold_both_ways),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
