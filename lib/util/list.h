/* SPDX-License-Identifier: MIT */
/* list.h: an intrusive doubly linked list. */
#ifndef SSE_LIB_LIST_H
#define SSE_LIB_LIST_H

#include <assert.h>
#include <stddef.h>

/*
 * An item embeds one link for each list that it may be in. A list and a link that are all zero are
 * empty and unlinked, so neither needs an initialisation. The caller knows whether an item is in a
 * list; a link that was removed keeps its old pointers.
 */
struct sse__link {
  struct sse__link *prev, *next; /* neighbours in the list; NULL at its ends */
};

struct sse__list {
  struct sse__link *first, *last; /* NULL in an empty list */
};

/* The item of the given type that embeds a node as the given member. */
#define SSE__CONTAINER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* The first item of a list, or NULL. */
#define SSE__LIST_FIRST(list, type, member)                                                        \
  ((list)->first ? SSE__CONTAINER((list)->first, type, member) : NULL)

/* Visits every link; the body may not remove the current one. */
#define SSE__LIST_EACH(link, list)                                                                 \
  for (struct sse__link *link = (list)->first; (link); (link) = (link)->next)

static inline void sse__list_append(struct sse__list *list, struct sse__link *link) {
  struct sse__link *last = list->last;
  assert(last ? !last->next : !list->first);
  link->prev = last;
  link->next = NULL;
  *(last ? &last->next : &list->first) = link;
  list->last = link;
}

static inline void sse__list_prepend(struct sse__list *list, struct sse__link *link) {
  struct sse__link *first = list->first;
  assert(first ? !first->prev : !list->last);
  link->prev = NULL;
  link->next = first;
  *(first ? &first->prev : &list->last) = link;
  list->first = link;
}

static inline void sse__list_remove(struct sse__list *list, struct sse__link *link) {
  struct sse__link **before = link->prev ? &link->prev->next : &list->first;
  struct sse__link **after = link->next ? &link->next->prev : &list->last;
  assert(*before == link && *after == link);
  *before = link->next;
  *after = link->prev;
}

#endif
