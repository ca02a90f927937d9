/* SPDX-License-Identifier: MIT */
/* store.c: all frames of a hub, and the ceiling on their memory. */
#include "store.h"

static void unlink_frame(struct sse__store *store, struct sse__frame *frame) {
  if (frame->older) {
    frame->older->newer = frame->newer;
  } else {
    store->oldest = frame->newer;
  }
  if (frame->newer) {
    frame->newer->older = frame->older;
  } else {
    store->newest = frame->older;
  }
}

bool sse__store_can_fit(const struct sse__store *store, size_t bytes) {
  if (bytes > store->bytes_max) return false;
  size_t free = store->bytes_max - bytes; /* what may be taken up beside them */
  size_t left = store->bytes; /* what would be, with the oldest evicted: lent ones stay */
  const struct sse__frame *body = NULL;
  size_t shares = 0; /* of one body, which stand in a row */
  for (struct sse__frame *frame = store->oldest; frame && left > free; frame = frame->newer) {
    if (frame->body != body) shares = 0;
    body = frame->body;
    if (frame->refs > 1) continue;
    left -= frame->size;
    if (body && body->refs == ++shares) left -= body->size;
  }
  return left <= free;
}

void sse__store_make_room(struct sse__store *store, size_t bytes) {
  while (store->bytes > store->bytes_max - bytes) sse__store_evict(store, store->oldest->window);
}

static void count(struct sse__store *store, const struct sse__frame *frame) {
  store->bytes += frame->size;
  store->window_bytes += frame->size;
}

void sse__store_append(struct sse__store *store, struct sse__window *window,
                       struct sse__frame *frame) {
  sse__window_append(window, frame);
  frame->older = store->newest;
  frame->newer = NULL;
  if (store->newest) {
    store->newest->newer = frame;
  } else {
    store->oldest = frame;
  }
  store->newest = frame;
  count(store, frame);
  if (frame->body && frame->body->windows++ == 0) count(store, frame->body);
}

void sse__store_evict(struct sse__store *store, struct sse__window *window) {
  struct sse__frame *frame = sse__window_evict(window);
  unlink_frame(store, frame);
  store->window_bytes -= frame->size;
  if (frame->body && --frame->body->windows == 0) store->window_bytes -= frame->body->size;
  sse__store_unref(store, frame);
}

void sse__store_unref(struct sse__store *store, struct sse__frame *frame) {
  for (struct sse__frame *body; frame && --frame->refs == 0; frame = body) {
    body = frame->body;
    store->bytes -= frame->size;
    if (frame->id_len > 0) sse__ids_forget(&store->ids, frame);
    sse__mem_free(store->mem, frame);
  }
}

size_t sse__store_overpinned(const struct sse__store *store) {
  size_t pinned = store->bytes - store->window_bytes;
  size_t share = store->bytes_max / 4;
  return pinned > share ? pinned - share : 0;
}
