/* SPDX-License-Identifier: MIT */
/* control.c: the control blocks, which the library itself puts into a stream. */
#include "stream/control.h"

#include <string.h>

#define CONTROL_COPY_BYTES 512 /* a block up to this size is written once, and copied */

/* What does not fit is counted only, and written in a second pass over the same code. */
struct out {
  char *to;
  size_t cap, len;
};

static void put(struct out *out, const char *bytes, size_t len) {
  if (out->len + len <= out->cap) memcpy(out->to + out->len, bytes, len);
  out->len += len;
}

static void put_text(struct out *out, const char *text) {
  put(out, text, strlen(text));
}

static void put_number(struct out *out, uint64_t number) {
  char digits[SSE__NUMBER_MAX_BYTES];
  put(out, digits, sse__number_write(digits, number));
}

static void put_id(struct out *out, const struct sse_stream *stream,
                   const struct sse__control *block) {
  char id[SSE__EVENT_ID_MAX_BYTES];
  put(out, id, sse__event_id_write(id, &stream->hub->epoch, block->seq));
  if (block->unfinished) put_text(out, SSE__EVENT_ID_UNFINISHED);
}

/* A JSON string (RFC 8259, section 7) of text that is UTF-8. */
static void put_json(struct out *out, const char *text) {
  static const char hex[] = "0123456789abcdef";
  put_text(out, "\"");
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c < 0x20) {
      put_text(out, "\\u00");
      put(out, &hex[c >> 4], 1);
      put(out, &hex[c & 15], 1);
      continue;
    }
    if (c == '"' || c == '\\') put_text(out, "\\");
    put(out, text, 1);
  }
  put_text(out, "\"");
}

uint64_t sse__subscription_gone(const struct sse__subscription *subscription, uint64_t floor) {
  const struct sse__window *window = &subscription->channel->window;
  if (floor <= window->evicted) return window->evicted;
  struct sse__stretch frames = sse__window_stretch(window);
  size_t place = sse__stretch_after(&frames, floor);
  return place > 0 ? sse__stretch_at(&frames, place - 1)->seq : window->evicted;
}

/* Whether a floor passes over frames that are still there. */
static bool passed_over(const struct sse__window *window, uint64_t cursor, uint64_t floor) {
  struct sse__stretch slots = sse__window_stretch(window);
  for (size_t place = sse__stretch_after(&slots, cursor); place < slots.count; place++) {
    const struct sse__slot *slot = sse__stretch_at(&slots, place);
    if (slot->seq > floor) break;
    if (slot->frame) return true;
  }
  return false;
}

/*
 * The highest number that went is enough where numbers go in their order. Of a conflated channel a
 * lower one may go after the stream was told of a higher one, which `had` knows, and before it has
 * got there.
 */
bool sse__subscription_lost(const struct sse__subscription *subscription, uint64_t cursor,
                            uint64_t floor) {
  const struct sse__window *window = &subscription->channel->window;
  uint64_t told = subscription->gap_reported > cursor ? subscription->gap_reported : cursor;
  if (window->evicted > told) return true;
  if (window->evicted_out_of_order > cursor &&
      window->evicted_out_of_order_count > SSE__UNKNOWN - subscription->delivered_count)
    return true;
  return floor > cursor && passed_over(window, cursor, floor);
}

static bool gap_names(const struct sse__gap *gap, const struct sse__subscription *subscription,
                      uint64_t cursor) {
  switch ((enum sse__gap_channels)gap->channels) {
  case SSE__GAP_ALL:
    return true;
  case SSE__GAP_STATE:
    return subscription->channel->window.state_lost > 0;
  case SSE__GAP_ONE:
    return subscription->channel == gap->one;
  case SSE__GAP_BEHIND:
    break;
  }
  return sse__subscription_lost(subscription, cursor, gap->floor);
}

static void put_channels(struct out *out, const struct sse_stream *stream,
                         const struct sse__gap *gap) {
  const char *comma = "";
  put_text(out, ",\"channels\":[");
  for (uint32_t i = 0; i < stream->subscription_count; i++) {
    const struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    if (!gap_names(gap, subscription, stream->cursor)) continue;
    put_text(out, comma);
    put_json(out, subscription->channel->name);
    comma = ",";
  }
  put_text(out, "]");
}

static void put_gap(struct out *out, const struct sse_stream *stream,
                    const struct sse__control *block) {
  const struct sse__gap *gap = block->gap;
  put_text(out, "event: ");
  put_text(out, stream->hub->gap_type);
  put_text(out, "\ndata: {\"reason\":");
  put_json(out, sse__gap_reason(gap->reason));
  if (gap->requested) {
    put_text(out, ",\"requested\":");
    put_json(out, gap->requested);
  }
  put_text(out, ",\"resume\":\"");
  put_id(out, stream, block);
  put_text(out, "\"");
  put_channels(out, stream, gap);
  if (gap->lost != SSE__UNKNOWN) {
    put_text(out, ",\"lost\":");
    put_number(out, gap->lost);
  }
  put_text(out, "}\n");
}

static void put_block(struct out *out, const struct sse_stream *stream,
                      const struct sse__control *block) {
  size_t start = out->len;
  if (block->retry_ms != SSE_NEVER) {
    put_text(out, "retry: ");
    put_number(out, (uint64_t)block->retry_ms);
    put_text(out, "\n");
  }
  if (block->gap) {
    put_gap(out, stream, block);
  } else if (block->position && stream->position == SSE_POSITION_EVENT) {
    put_text(out, "event: ");
    put_text(out, stream->hub->position_type);
    put_text(out, "\ndata:\n");
  }
  /* The id comes last: some clients use it as soon as they have read its line. */
  if (block->gap || (block->position && stream->position != SSE_POSITION_OFF)) {
    put_text(out, "id: ");
    put_id(out, stream, block);
    put_text(out, "\n");
  }
  if (out->len > start) put_text(out, "\n");
}

int sse__control_new(struct sse__frame **frame, const struct sse_stream *stream,
                     const struct sse__control *block) {
  ssize_t head = block->head ? sse_http_stream_head(NULL, 0, block->head) : 0;
  char small[CONTROL_COPY_BYTES];
  struct out out = {small, sizeof small, 0};
  *frame = NULL;
  if (head < 0) return (int)head;
  put_block(&out, stream, block);
  size_t size = (size_t)head + out.len;
  if (size == 0) return SSE_OK;
  if (size > SSE__FRAME_MAX_BYTES) return SSE_ETOOBIG;
  struct sse__frame *f = sse__frame_new(&stream->hub->mem, SSE__FRAME_CONTROL, size);
  if (!f) return SSE_ENOMEM;
  if (head > 0) sse_http_stream_head(f->bytes, (size_t)head, block->head);
  if (out.len <= sizeof small) {
    memcpy(f->bytes + head, small, out.len);
  } else {
    out = (struct out){f->bytes + head, out.len, 0};
    put_block(&out, stream, block);
  }
  f->len = (uint32_t)size;
  f->seq = block->seq;
  f->position = block->position && !block->gap && !block->head && block->retry_ms == SSE_NEVER;
  *frame = f;
  return SSE_OK;
}
