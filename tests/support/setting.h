/* SPDX-License-Identifier: MIT */
/* setting.h: a world with one stream, in a loop or alone: tests hold both to the same rows. */
#ifndef SETTING_H
#define SETTING_H

#include "world.h"

#define EVENT(text, id) "data: " text "\nid: " id "\n\n"
#define EPHEMERAL(text) "data: " text "\n\n"
#define POSITION(id)    "event: sse-position\ndata:\nid: " id "\n\n"
#define GAP_OF(reason, fields, id)                                                                 \
  "event: gap\ndata: {\"reason\":\"" reason "\"," fields "}\nid: " id "\n\n"
#define HEARTBEAT     ":\n"
#define CHANNELS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* `loop` is NULL for a stream that stands alone. */
struct setting {
  struct world world;
  struct wakes wakes;
  sse_loop *loop;
  sse_stream *stream;
  sse_stream_config config; /* of the stream, for when it comes back */
};

/* Opens the world, and the stream, whose first bytes are read. Asserts success. */
void open_setting(struct setting *s, bool in_loop, const sse_hub_config *config,
                  const sse_stream_config *stream);
void close_setting(struct setting *s);

/* The stream is closed, and opens with this id; its first bytes are for round_of. */
void reopen(struct setting *s, const char *last_id);

/* What the stream has now, by a round of its loop or by a read of its own. */
const char *round_of(struct setting *s);

/* Remembers the last id of what was read; what has none leaves it. */
void note_id(const char *bytes, char *id, size_t cap);

#endif
