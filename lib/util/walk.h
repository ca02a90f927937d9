/* SPDX-License-Identifier: MIT */
/* walk.h: walks through a linked list that pause while its items come and go. */
#ifndef SSE_LIB_WALK_H
#define SSE_LIB_WALK_H

#include <stddef.h>

/*
 * A walk visits the items from `next` to `last`. It lies on the stack of the thread that walks, and
 * the owner of the list has all walks in a chain: before it removes an item, it calls
 * sse__walks_leave. Items that are added between the two are visited, too; others are not. The
 * list may be a ring.
 */
struct sse__walk {
  const void *next, *last; /* the next item, NULL: none is left; and the last one */
  struct sse__walk *other; /* the next walk in the chain */
};

/* GCC does not see that a walk leaves the chain before it leaves the stack. */
#if defined __GNUC__ && !defined __clang__ && __GNUC__ >= 12
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdangling-pointer"
#endif
static inline void sse__walk_begin(struct sse__walk **walks, struct sse__walk *walk,
                                   const void *first, const void *last) {
  *walk = (struct sse__walk){first, last, *walks};
  *walks = walk;
}
#if defined __GNUC__ && !defined __clang__ && __GNUC__ >= 12
#pragma GCC diagnostic pop
#endif

/* Goes on from the next item to the one behind it. */
static inline void sse__walk_on(struct sse__walk *walk, const void *behind) {
  walk->next = walk->next == walk->last ? NULL : behind;
}

static inline void sse__walk_end(struct sse__walk **walks, struct sse__walk *walk) {
  while (*walks != walk) walks = &(*walks)->other;
  *walks = walk->other;
}

/* An item will be removed that lies between two others. */
static inline void sse__walks_leave(struct sse__walk *walks, const void *item, const void *before,
                                    const void *behind) {
  for (; walks; walks = walks->other) {
    if (walks->next == item) {
      sse__walk_on(walks, behind);
    } else if (walks->last == item) {
      walks->last = before;
    }
  }
}

#endif
