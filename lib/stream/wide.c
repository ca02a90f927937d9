/* SPDX-License-Identifier: MIT */
/* wide.c: what a stream of many channels has besides. */
#include "stream/wide.h"

#include <assert.h>
#include <string.h>

/* ---- subscriptions by channel ---- */

/* Numbers of channels are consecutive, and the factor spreads them (Knuth, volume 3, 6.4). */
static uint32_t place_of(const struct sse__wide *wide, uint32_t channel) {
  return (channel * UINT32_C(2654435769) >> 8) & wide->mask;
}

static uint32_t channel_at(const struct sse_stream *stream, uint32_t entry) {
  return sse__subscriptions(stream)[entry - 1].channel->number;
}

/* The place of a channel's entry, or the free place for it. */
static uint32_t find_entry(const struct sse_stream *stream, const struct sse__wide *wide,
                           uint32_t channel) {
  uint32_t at = place_of(wide, channel);
  while (wide->places[at] && channel_at(stream, wide->places[at]) != channel)
    at = (at + 1) & wide->mask;
  return at;
}

static void add_entry(struct sse_stream *stream, struct sse__wide *wide, uint32_t place) {
  uint32_t at = find_entry(stream, wide, sse__subscriptions(stream)[place].channel->number);
  assert(!wide->places[at]);
  wide->places[at] = place + 1;
}

void sse__wide_fill(struct sse_stream *stream) {
  struct sse__wide *wide = sse__wide_of(stream);
  if (!wide) return;
  uint32_t places = sse__wide_places(sse__subscriptions_room(stream));
  wide->order = NULL;
  wide->mask = places - 1;
  memset(wide->places, 0, places * sizeof *wide->places);
  for (uint32_t i = 0; i < stream->subscription_count; i++) add_entry(stream, wide, i);
}

void sse__wide_add(struct sse_stream *stream) {
  struct sse__wide *wide = sse__wide_of(stream);
  if (wide) add_entry(stream, wide, stream->subscription_count - 1);
}

/* Fills a gap in the table: an entry behind it moves there, unless it would precede its place. */
static void close_entry(const struct sse_stream *stream, struct sse__wide *wide, uint32_t gap) {
  for (uint32_t at = (gap + 1) & wide->mask; wide->places[at]; at = (at + 1) & wide->mask) {
    uint32_t from = place_of(wide, channel_at(stream, wide->places[at]));
    if (((at - from) & wide->mask) < ((at - gap) & wide->mask)) continue;
    wide->places[gap] = wide->places[at];
    gap = at;
  }
  wide->places[gap] = 0;
}

void sse__wide_remove(struct sse_stream *stream, const struct sse__subscription *subscription) {
  struct sse__wide *wide = sse__wide_of(stream);
  uint32_t place = (uint32_t)(subscription - sse__subscriptions(stream)) + 1;
  if (!wide) return;
  close_entry(stream, wide, find_entry(stream, wide, channel_at(stream, place)));
  if (place == stream->subscription_count) return;
  uint32_t last = channel_at(stream, stream->subscription_count);
  wide->places[find_entry(stream, wide, last)] = place;
}

struct sse__subscription *sse__wide_search(const struct sse_stream *stream, uint32_t channel) {
  const struct sse__wide *wide = sse__wide_of(stream);
  uint32_t entry = wide->places[find_entry(stream, wide, channel)];
  return entry ? &sse__subscriptions(stream)[entry - 1] : NULL;
}

/* ---- the order ---- */

struct sse__order *sse__order_new(struct sse_stream *stream, bool live, uint64_t upto,
                                  uint32_t max) {
  struct sse__wide *wide = sse__wide_of(stream);
  struct sse__order *order =
      sse__mem_new(&stream->hub->mem, sizeof *order + max * sizeof *order->turns);
  assert(wide && !wide->order);
  if (!order) return NULL;
  *order = (struct sse__order){.upto = upto, .live = live};
  if (!live) order->rounds = stream->sub.u.inbox->rounds;
  wide->order = order;
  return order;
}

void sse__order_drop(struct sse_stream *stream) {
  struct sse__wide *wide = sse__wide_of(stream);
  if (!wide || !wide->order) return;
  sse__mem_free(&stream->hub->mem, wide->order);
  wide->order = NULL;
}

struct sse__order *sse__order_of(struct sse_stream *stream, bool live) {
  struct sse__wide *wide = sse__wide_of(stream);
  if (!wide || !wide->order) return NULL;
  const struct sse__order *order = wide->order;
  if (order->live == live && (live || order->rounds == stream->sub.u.inbox->rounds))
    return wide->order;
  sse__order_drop(stream);
  return NULL;
}
