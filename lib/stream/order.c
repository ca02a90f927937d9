/* SPDX-License-Identifier: MIT */
/* order.c: the merge of a stream's many channels. */
#include "stream/order.h"

#include "hub/merge.h"
#include "stream/gap.h"
#include "stream/pass.h"
#include "stream/wide.h"

/* What one of the windows of a subscription has above the cursor, if that begins by `upto`. */
static struct sse__stretch slots_ahead(const struct sse_stream *stream, bool live, uint64_t upto,
                                       uint32_t place) {
  const struct sse__subscription *subscription = &sse__subscriptions(stream)[place / 2];
  struct sse__stretch slots = sse__window_of(subscription, live, place % 2);
  bool some = sse__stretch_above(&slots, stream->cursor) && sse__stretch_at(&slots, 0)->seq <= upto;
  if (!some) slots.count = 0;
  return slots;
}

/* Whether there is more than one window to merge, or one that takes several steps. */
static bool is_worth_it(const struct sse_stream *stream, bool live, uint64_t upto) {
  unsigned windows = 0;
  for (uint32_t place = 0; place < 2 * stream->subscription_count;
       place += 3 - SSE__WINDOWS(live)) {
    struct sse__stretch slots = slots_ahead(stream, live, upto, place);
    if (slots.count == 0) continue;
    if (++windows > 1 || slots.count > SSE__OUTQ_MAX) return true;
  }
  return false;
}

bool sse__order_begin(struct sse_stream *stream, bool live, uint64_t head) {
  if (stream->cursor >= head || sse__order_of(stream, live)) return true;
  if (!is_worth_it(stream, live, head)) return false;
  uint32_t max = SSE__WINDOWS(live) * stream->subscription_count;
  struct sse__order *order = sse__order_new(stream, live, head, max);
  if (!order) return false;
  for (uint32_t place = 0; place < 2 * stream->subscription_count;
       place += 3 - SSE__WINDOWS(live)) {
    struct sse__stretch slots = slots_ahead(stream, live, head, place);
    if (slots.count == 0) continue;
    order->turns[order->count++] = (struct sse__turn){sse__stretch_at(&slots, 0)->seq, place};
  }
  sse__turns_sort(order->turns, order->count);
  return true;
}

/* What a step has done so far. */
struct merged {
  size_t bytes, passed;
  bool given; /* one was added with an id */
};

/*
 * Takes one slot of the window whose turn it is. False if the step has to end before. Of an event
 * of several channels, which has a slot in each of them, one slot is passed on and all count.
 */
static bool take_slot(struct sse_stream *stream, struct sse__order *order,
                      struct sse__subscription *subscription, const struct sse__slot *slot,
                      struct merged *merged) {
  if (slot->seq <= stream->cursor) {
    if (slot->frame && !slot->frame->ephemeral) sse__count_one(subscription);
    return true;
  }
  if (sse__outq_room(stream) == 0 || merged->bytes >= SSE__STEP_BYTES_MAX ||
      merged->passed++ == SSE__STEP_FRAMES_MAX)
    return false;
  /* Another channel may still have the frame that this one has not. */
  if (!slot->frame && slot->seq >= sse__turns_second(order->turns, order->count)) return true;
  stream->cursor = slot->seq;
  stream->id_behind = true;
  if (!slot->frame) return true;
  if (sse__pass_frame(stream, order->live, subscription, slot->frame)) merged->given = true;
  merged->bytes += slot->frame->len;
  return true;
}

enum turn {
  TURN_TAKEN,
  TURN_ENDS_STEP,
  TURN_IS_ABOVE
};

/* Takes the slots that the first window has before the next one's turn, up to `head`. */
static enum turn take_first(struct sse_stream *stream, struct sse__order *order, uint64_t head,
                            struct merged *merged) {
  struct sse__turn *turn = order->turns;
  struct sse__subscription *subscription = &sse__subscriptions(stream)[turn->place / 2];
  struct sse__stretch slots = sse__window_of(subscription, order->live, turn->place % 2);
  sse__stretch_above(&slots, turn->seq - 1);
  for (; slots.count > 0; sse__stretch_drop_first(&slots)) {
    const struct sse__slot *slot = sse__stretch_at(&slots, 0);
    if (slot->seq > order->upto) break;
    if (slot->seq > turn->seq) {
      turn->seq = slot->seq;
      if (slot->seq >= sse__turns_second(turn, order->count)) {
        sse__turns_settle(turn, order->count);
        return TURN_TAKEN;
      }
    }
    if (slot->seq > head) return TURN_IS_ABOVE;
    if (!take_slot(stream, order, subscription, slot, merged)) return TURN_ENDS_STEP;
  }
  order->count = sse__turns_drop(turn, order->count);
  return TURN_TAKEN;
}

/*
 * Whether the first window may be read: what is too old is evicted, and no gap is due. What a
 * window loses lies at or above its turn, so this is found out before the cursor passes it.
 */
static bool may_take(struct sse_stream *stream, const struct sse__order *order, int64_t now_ms) {
  const struct sse__turn *turn = order->turns;
  const struct sse__subscription *subscription = &sse__subscriptions(stream)[turn->place / 2];
  if (!order->live || turn->seq <= stream->cursor) return true;
  if (!sse__channel_expire(&stream->hub->channels, subscription->channel, now_ms)) return false;
  if (!sse__gap_due_of(stream, subscription)) return true;
  sse__order_drop(stream); /* the next step reports it */
  return false;
}

bool sse__order_merge(struct sse_stream *stream, bool live, uint64_t head, int64_t now_ms,
                      bool *given) {
  struct sse__order *order = sse__order_of(stream, live);
  struct merged merged = {0, 0, false};
  enum turn turn = TURN_TAKEN;
  if (!order) return true; /* nothing is above the cursor */
  while (turn == TURN_TAKEN && order->count > 0) {
    if (may_take(stream, order, now_ms)) {
      turn = take_first(stream, order, head, &merged);
    } else {
      turn = TURN_ENDS_STEP;
    }
  }
  *given = merged.given;
  if (turn == TURN_TAKEN) sse__order_drop(stream);
  return turn != TURN_ENDS_STEP;
}
