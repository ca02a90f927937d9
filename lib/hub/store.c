/* SPDX-License-Identifier: MIT */
/* store.c: all frames of a hub in the order of their numbers, and the ceiling on their memory. */
#include "hub/store.h"

/* The present state is retained longer than the events that led to it. */
static struct sse__list *store_list_of(struct sse__store *store, const struct sse__window *window,
                                       const struct sse__frame *frame) {
  return window->keys && !frame->tombstone ? &store->state : &store->log;
}

/* What is left of `left` bytes after frames of a list are evicted, from the oldest, until `enough`.
 * Frames that a stream has in flight stay. The shares of one event are neighbours in the list. */
static size_t bytes_without(const struct sse__list *list, size_t left, size_t enough) {
  const struct sse__frame *body = NULL;
  size_t shares = 0;
  for (struct sse__link *link = list->first; link && left > enough; link = link->next) {
    const struct sse__frame *frame = SSE__CONTAINER(link, struct sse__frame, link);
    if (frame->body != body) shares = 0;
    body = frame->body;
    if (frame->refs > 1) continue;
    left -= frame->size;
    if (body && body->refs == ++shares) left -= body->size;
  }
  return left;
}

bool sse__store_can_fit(const struct sse__store *store, size_t bytes) {
  if (bytes > store->bytes_max) return false;
  size_t enough = store->bytes_max - bytes; /* what other frames may take */
  if (store->bytes <= enough) return true;
  size_t left = bytes_without(&store->log, store->bytes, enough);
  return bytes_without(&store->state, left, enough) <= enough;
}

void sse__store_make_room(struct sse__store *store, size_t bytes) {
  while (store->bytes > store->bytes_max - bytes) {
    struct sse__frame *oldest = sse__store_oldest(&store->log);
    sse__store_evict(store, oldest ? oldest : sse__store_oldest(&store->state));
  }
}

static void store_count(struct sse__store *store, const struct sse__frame *frame) {
  store->bytes += frame->size;
  store->window_bytes += frame->size;
}

void sse__store_append(struct sse__store *store, struct sse__window *window,
                       struct sse__frame *frame) {
  sse__window_append(window, store->mem, frame);
  sse__list_append(store_list_of(store, window, frame), &frame->link);
  store->frames++;
  store_count(store, frame);
  if (!frame->body) return;
  window->shares++;
  if (frame->body->windows++ == 0) store_count(store, frame->body);
}

/* The window of a share has it no longer. */
static void store_take_share(struct sse__store *store, struct sse__window *window,
                             const struct sse__frame *share, bool superseded) {
  window->shares--;
  if (!superseded && share->seq > window->share_evicted) window->share_evicted = share->seq;
  if (--share->body->windows == 0) store->window_bytes -= share->body->size;
}

static void store_take_out(struct sse__store *store, struct sse__frame *frame, bool superseded) {
  struct sse__window *window = frame->window;
  sse__list_remove(store_list_of(store, window, frame), &frame->link);
  sse__window_remove(window, frame, superseded);
  store->frames--;
  if (!superseded) store->evicted++;
  store->window_bytes -= frame->size;
  if (frame->body) store_take_share(store, window, frame, superseded);
  sse__store_unref(store, frame);
}

void sse__store_evict(struct sse__store *store, struct sse__frame *frame) {
  store_take_out(store, frame, false);
}

void sse__store_supersede(struct sse__store *store, struct sse__frame *frame) {
  store_take_out(store, frame, true);
}

void sse__store_unref(struct sse__store *store, struct sse__frame *frame) {
  for (struct sse__frame *body; frame && --frame->refs == 0; frame = body) {
    body = frame->body;
    store->bytes -= frame->size;
    if (frame->id_len > 0) sse__id_index_forget(&store->ids, frame);
    sse__mem_free(store->mem, frame);
  }
}

size_t sse__store_overpinned(const struct sse__store *store) {
  size_t pinned = store->bytes - store->window_bytes;
  size_t share = store->bytes_max / 4;
  return pinned > share ? pinned - share : 0;
}
