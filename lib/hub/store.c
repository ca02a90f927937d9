/* SPDX-License-Identifier: MIT */
/* store.c: all frames of a hub in the order of their numbers, and the ceiling on their memory. */
#include "hub/store.h"

#include <assert.h>

/* What stands for a frame in the rows: its body, if it is a share. */
static inline struct sse__frame *event_of(struct sse__frame *frame) {
  return frame->body ? frame->body : frame;
}

/* Whether an event that is in a window is lent. */
static inline bool is_lent(const struct sse__frame *event) {
  return event->kind == SSE__FRAME_BODY ? event->lent > 0 : event->refs > 1;
}

/* The memory of an event in its windows. All shares have the same size. */
static inline size_t window_memory(const struct sse__frame *event) {
  if (event->kind != SSE__FRAME_BODY) return event->window ? event->size : 0;
  return event->windows > 0 ? event->size + (size_t)event->windows * event->shares->size : 0;
}

/* ---- rows ---- */

/* Whether a frame is the newest value of a key, which is retained longer than other events. */
static inline bool is_value(const struct sse__frame *frame) {
  return frame->window->keys && !frame->tombstone;
}

static inline enum sse__store_row row_of_frame(const struct sse__frame *frame) {
  if (frame->ephemeral) return SSE__ROW_EPHEMERAL;
  return is_value(frame) ? SSE__ROW_STATE : SSE__ROW_LOG;
}

/* The row of an event in a window, unless it is set aside. */
static enum sse__store_row row_of(const struct sse__frame *event) {
  if (event->ephemeral || event->kind != SSE__FRAME_BODY) return row_of_frame(event);
  const struct sse__frame *share = event->shares;
  while (share && !is_value(share)) share = share->next_share;
  return share ? SSE__ROW_STATE : SSE__ROW_LOG;
}

static void enter_row(struct sse__store *store, struct sse__frame *event, enum sse__store_row row) {
  event->row = (uint8_t)row;
  sse__list_append(&store->rows[row], &event->link);
}

static void leave_row(struct sse__store *store, struct sse__frame *event) {
  sse__list_remove(&store->rows[event->row], &event->link);
}

static void set_aside(struct sse__store *store, struct sse__frame *event) {
  leave_row(store, event);
  enter_row(store, event, SSE__ROW_ASIDE);
  store->aside_bytes += window_memory(event);
}

/* It was the oldest of its row when it was set aside. */
static void put_back(struct sse__store *store, struct sse__frame *event) {
  leave_row(store, event);
  store->aside_bytes -= window_memory(event);
  event->row = (uint8_t)row_of(event);
  sse__list_prepend(&store->rows[event->row], &event->link);
}

/*
 * Another share of an event was appended, or left its window. Behind the newest event of its row it
 * is evicted later than its number says, but not later than a newer event of the same window.
 */
static void change_row(struct sse__store *store, struct sse__frame *event) {
  enum sse__store_row row = row_of(event);
  if (event->row == SSE__ROW_ASIDE || event->row == row) return;
  leave_row(store, event);
  enter_row(store, event, row);
}

/* ---- windows ---- */

/* Memory of an event in a row leaves its windows. Only lent events are set aside. */
static inline void window_loses(struct sse__store *store, const struct sse__frame *event, bool lent,
                                size_t bytes) {
  store->window_bytes -= bytes;
  if (event->ephemeral) store->ephemeral_bytes -= bytes;
  if (!lent) return;
  store->lent_bytes -= bytes;
  if (event->row == SSE__ROW_ASIDE) store->aside_bytes -= bytes;
}

static void append_share(struct sse__store *store, struct sse__window *window,
                         struct sse__frame *share) {
  struct sse__frame *body = share->body;
  bool first = body->windows++ == 0;
  window->shares++;
  share->next_share = first ? NULL : body->shares;
  body->shares = share;
  if (!first) {
    change_row(store, body);
    return;
  }
  store->bytes += body->size;
  store->window_bytes += body->size;
  if (body->ephemeral) store->ephemeral_bytes += body->size;
  enter_row(store, body, row_of(body));
}

/* Nobody else has seen the event yet, so it is not lent. */
void sse__store_append(struct sse__store *store, struct sse__window *window,
                       struct sse__frame *frame) {
  sse__window_append(window, store->mem, frame);
  store->frames++;
  store->bytes += frame->size;
  store->window_bytes += frame->size;
  if (frame->ephemeral) store->ephemeral_bytes += frame->size;
  if (frame->body) {
    append_share(store, window, frame);
  } else {
    enter_row(store, frame, row_of_frame(frame));
  }
}

static void free_frame(struct sse__store *store, struct sse__frame *frame) {
  store->bytes -= frame->size;
  if (frame->id_len > 0) sse__id_index_forget(&store->ids, frame);
  sse__mem_free(store->mem, frame);
}

/* Frees a frame that has no reference left, and its body with its last share. */
static void free_unused(struct sse__store *store, struct sse__frame *frame) {
  struct sse__frame *body = frame->body;
  free_frame(store, frame);
  if (body && --body->refs == 0) free_frame(store, body);
}

/* The window of a share has it no longer. */
static void take_out_share(struct sse__store *store, struct sse__window *window,
                           struct sse__frame *share, bool superseded) {
  struct sse__frame *body = share->body, **at = &body->shares;
  bool lent = is_lent(body);
  window->shares--;
  if (!superseded && share->seq > window->share_evicted) window->share_evicted = share->seq;
  while (*at != share) at = &(*at)->next_share;
  *at = share->next_share;
  window_loses(store, body, lent, share->size);
  if (--body->windows > 0) {
    change_row(store, body);
  } else {
    window_loses(store, body, lent, body->size);
    leave_row(store, body);
  }
}

static void store_take_out(struct sse__store *store, struct sse__frame *frame, bool superseded) {
  struct sse__window *window = frame->window;
  sse__window_remove(window, frame, superseded);
  store->frames--;
  if (!superseded) store->evicted++;
  if (frame->body) {
    take_out_share(store, window, frame, superseded);
  } else {
    window_loses(store, frame, frame->refs > 1, frame->size);
    leave_row(store, frame);
  }
  if (--frame->refs == 0) free_unused(store, frame);
}

void sse__store_evict(struct sse__store *store, struct sse__frame *frame) {
  store_take_out(store, frame, false);
}

void sse__store_supersede(struct sse__store *store, struct sse__frame *frame) {
  store_take_out(store, frame, true);
}

/* ---- lending ---- */

void sse__store_lend(struct sse__store *store, struct sse__frame *frame) {
  assert(frame->window && frame->refs == 2);
  if (frame->body && frame->body->lent++ > 0) return;
  store->lent_bytes += window_memory(event_of(frame));
}

void sse__store_unref(struct sse__store *store, struct sse__frame *frame) {
  struct sse__frame *event = event_of(frame);
  if (--frame->refs > (frame->window ? 1u : 0u)) return;
  bool last = !frame->body || --event->lent == 0;
  if (last && event->window) { /* of a body: it has shares in a window */
    store->lent_bytes -= window_memory(event);
    if (event->row == SSE__ROW_ASIDE) put_back(store, event);
  }
  if (frame->refs == 0) free_unused(store, frame);
}

/* ---- the ceiling ---- */

size_t sse__store_lent(const struct sse__store *store) {
  return store->bytes - store->window_bytes + store->lent_bytes;
}

bool sse__store_can_fit(const struct sse__store *store, size_t bytes) {
  return bytes <= store->bytes_max && sse__store_lent(store) <= store->bytes_max - bytes;
}

/* Frames leave a window in order, except those that delete a key. */
static void evict_with_older(struct sse__store *store, struct sse__frame *frame) {
  struct sse__window *window = frame->window;
  bool in_order = !window->keys || !frame->tombstone;
  while (in_order && sse__window_oldest(window) != frame) {
    sse__store_evict(store, sse__window_oldest(window));
  }
  sse__store_evict(store, frame);
}

static void evict_event(struct sse__store *store, struct sse__frame *event) {
  uint32_t left = event->kind == SSE__FRAME_BODY ? event->windows : 1;
  for (; left > 0; left--) {
    evict_with_older(store, event->kind == SSE__FRAME_BODY ? event->shares : event);
  }
}

/* The next event of a row to be evicted; lent ones before it are set aside. */
static struct sse__frame *victim_in(struct sse__store *store, enum sse__store_row row) {
  for (struct sse__frame *event; (event = sse__store_oldest(store, row));) {
    if (!is_lent(event)) return event;
    set_aside(store, event);
  }
  return NULL;
}

/* A few ephemeral events stay, or a listener that keeps up would miss the newest in a full hub. */
static struct sse__frame *next_victim(struct sse__store *store) {
  bool many = store->ephemeral_bytes > store->bytes_max / 8;
  struct sse__frame *victim = many ? victim_in(store, SSE__ROW_EPHEMERAL) : NULL;
  for (enum sse__store_row row = SSE__ROW_LOG; !victim && row <= SSE__ROW_EPHEMERAL; row++) {
    victim = victim_in(store, row);
  }
  return victim;
}

/* The first event of a row below `seq`; newer ones may stand before it. */
static struct sse__frame *first_below(const struct sse__store *store, enum sse__store_row row,
                                      uint64_t seq) {
  SSE__LIST_EACH(link, &store->rows[row]) {
    struct sse__frame *event = SSE__CONTAINER(link, struct sse__frame, link);
    if (event->seq < seq) return event;
  }
  return NULL;
}

bool sse__store_evict_below(struct sse__store *store, uint64_t seq, uint32_t max) {
  struct sse__frame *event;
  for (enum sse__store_row row = SSE__ROW_LOG; row < SSE__ROWS; row++) {
    while ((event = first_below(store, row, seq))) {
      if (max-- == 0) return false;
      evict_event(store, event);
    }
  }
  return true;
}

void sse__store_make_room(struct sse__store *store, size_t bytes) {
  while (!sse__store_has_room(store, bytes)) {
    struct sse__frame *victim = next_victim(store);
    assert(victim);
    evict_event(store, victim);
  }
}

size_t sse__store_overlent(const struct sse__store *store, size_t bytes) {
  size_t kept = store->bytes - store->window_bytes + store->aside_bytes;
  size_t share = store->bytes_max / 4, lent = sse__store_lent(store);
  size_t over = kept > share ? kept - share : 0;
  size_t room = bytes < store->bytes_max ? store->bytes_max - bytes : 0;
  return lent > room && lent - room > over ? lent - room : over;
}
