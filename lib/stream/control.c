/* SPDX-License-Identifier: MIT */
/* control.c: the control blocks, which the library itself puts into a stream. */
#include "stream/control.h"

#include <string.h>

#include "stream/request.h"
#include "util/writer.h"

#define CONTROL_COPY_BYTES 512 /* a block up to this size is written once, and copied */

static inline void put_id(struct sse__writer *out, const struct sse_stream *stream,
                          const struct sse__control *block) {
  char id[SSE__EVENT_ID_BYTES_MAX];
  sse__writer_bytes(out, id, sse__event_id_write(id, &stream->hub->epoch, block->at.number));
  bool marked = block->unfinished && stream->position != SSE_POSITION_OFF;
  if (marked) sse__writer_text(out, SSE__EVENT_ID_UNFINISHED);
}

/* Whether a gap that concerns subscriptions, not parts of a backfill, names this one. */
static bool gap_names(const struct sse__gap *gap, const struct sse_stream *stream,
                      const struct sse__subscription *subscription) {
  const struct sse__channel *channel = subscription->channel;
  switch ((enum sse__gap_channels)gap->channels) {
  case SSE__GAP_ALL:
    return true;
  case SSE__GAP_STATE:
    return channel->window.keys && sse__channel_state_lost(channel).seq > gap->above;
  case SSE__GAP_PARTS:
  case SSE__GAP_BEHIND:
    break;
  }
  return sse__subscription_lost(subscription, gap->above, gap->floor,
                                sse__request_end(stream, subscription));
}

static void put_channel(struct sse__writer *out, const struct sse__channel *channel,
                        const char **comma) {
  sse__writer_text(out, *comma);
  sse__writer_json(out, channel->name);
  *comma = ",";
}

/* The parts of a backfill are in the order of the subscriptions. */
static void put_channels(struct sse__writer *out, const struct sse_stream *stream,
                         const struct sse__gap *gap) {
  const char *comma = "";
  sse__writer_text(out, ",\"channels\":[");
  for (uint32_t i = 0; i < gap->parts_count; i++) {
    if (gap->parts[i].lost) put_channel(out, gap->parts[i].channel, &comma);
  }
  for (uint32_t i = 0; i < stream->subscription_count && gap->channels != SSE__GAP_PARTS; i++) {
    const struct sse__subscription *subscription = &sse__subscriptions(stream)[i];
    if (gap_names(gap, stream, subscription)) put_channel(out, subscription->channel, &comma);
  }
  sse__writer_text(out, "]");
}

static void put_gap(struct sse__writer *out, const struct sse_stream *stream,
                    const struct sse__control *block) {
  const struct sse__gap *gap = block->gap;
  sse__writer_text(out, "event: ");
  sse__writer_text(out, stream->hub->gap_type);
  sse__writer_text(out, "\ndata: {\"reason\":");
  sse__writer_json(out, sse__gap_reason(gap->reason));
  if (gap->requested) {
    sse__writer_text(out, ",\"requested\":");
    sse__writer_json(out, gap->requested);
  }
  sse__writer_text(out, ",\"resume\":\"");
  put_id(out, stream, block);
  sse__writer_text(out, "\"");
  put_channels(out, stream, gap);
  if (gap->lost != SSE__UNKNOWN) {
    sse__writer_text(out, ",\"lost\":");
    sse__writer_number(out, gap->lost);
  }
  sse__writer_text(out, "}\n");
}

/* The type of a block without a payload, which clients dispatch all the same; NULL: it is none. */
static const char *empty_type(const struct sse_stream *stream, const struct sse__control *block) {
  if (block->position && stream->position == SSE_POSITION_EVENT) return stream->hub->position_type;
  return block->finished ? stream->hub->finished_type : NULL;
}

static void put_block(struct sse__writer *out, const struct sse_stream *stream,
                      const struct sse__control *block) {
  if (block->retry_ms != SSE_NEVER) {
    sse__writer_text(out, "retry: ");
    sse__writer_number(out, (uint64_t)block->retry_ms);
    sse__writer_text(out, "\n");
  }
  const char *type = block->gap ? NULL : empty_type(stream, block);
  if (block->gap) put_gap(out, stream, block);
  if (type) {
    sse__writer_text(out, "event: ");
    sse__writer_text(out, type);
    sse__writer_text(out, "\ndata:\n");
  }
  /*
   * The id comes last: some clients use it as soon as they have read its line. A retry line alone
   * counts without a blank line, for which some clients dispatch a message without data.
   */
  if (block->gap || (block->position && stream->position != SSE_POSITION_OFF)) {
    sse__writer_text(out, "id: ");
    put_id(out, stream, block);
    sse__writer_text(out, "\n\n");
  } else if (block->finished) {
    sse__writer_text(out, "\n");
  }
}

/*
 * The chunk around a block that stands at `text`, and behind it, where the body ends, the last one.
 * A stream gives SSE__CHUNK_HEAD_BYTES from before the frame's bytes and SSE__CHUNK_TAIL_BYTES from
 * behind them, so the frame's length is that of all the rest.
 */
static void put_chunks(struct sse__frame *frame, char *text, size_t len, bool last) {
  char *end = text - SSE__CHUNK_HEAD_BYTES;
  frame->chunked = true;
  if (len > 0) {
    sse__chunk_write(text, len);
    end = text + len + SSE__CHUNK_TAIL_BYTES;
  }
  if (last) {
    sse__chunk_write(end + SSE__CHUNK_HEAD_BYTES, 0);
    end += SSE__CHUNK_BYTES;
  }
  frame->len = (uint32_t)(end - frame->bytes) - SSE__CHUNK_TAIL_BYTES;
}

int sse__control_new(struct sse__frame **frame, const struct sse_stream *stream,
                     const struct sse__control *block) {
  ssize_t head = block->head ? sse_http_stream_head(NULL, 0, block->head) : 0;
  char small[CONTROL_COPY_BYTES];
  struct sse__writer out = {small, sizeof small, 0};
  *frame = NULL;
  if (head < 0) return (int)head;
  put_block(&out, stream, block);
  size_t size = (size_t)head + out.len;
  bool chunked = stream->outq.chunked;
  if (size == 0) return SSE_OK;
  if (size > SSE__FRAME_BYTES_MAX) return SSE_ETOOBIG;
  if (block->last) size += SSE__CHUNK_BYTES;
  struct sse__frame *f = sse__frame_new(&stream->hub->mem, SSE__FRAME_CONTROL, size);
  if (!f) return SSE_ENOMEM;
  char *text = f->bytes + head;
  if (head > 0) {
    char *to = chunked ? f->bytes - SSE__CHUNK_HEAD_BYTES : f->bytes;
    sse_http_stream_head(to, (size_t)head, block->head);
  }
  if (out.len <= sizeof small) {
    memcpy(text, small, out.len);
  } else {
    out = (struct sse__writer){text, out.len, 0};
    put_block(&out, stream, block);
  }
  f->len = (uint32_t)size;
  if (chunked) put_chunks(f, text, out.len, block->last);
  f->seq = block->at.seq;
  f->number = block->at.number;
  f->position = block->position && !block->gap && !block->head && block->retry_ms == SSE_NEVER;
  *frame = f;
  return SSE_OK;
}
