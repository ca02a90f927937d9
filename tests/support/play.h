/* SPDX-License-Identifier: MIT */
/* play.h: scripts that move the numbers of a hub and of its channel a, and what they are then. */
#ifndef PLAY_H
#define PLAY_H

#include "hub/hub.h"
#include "setting.h"

/*
 * A script: a and b publish to those channels, * to both, e an ephemeral event to a, # until the
 * hub is full; l and m open a stream of a, and of b and a, in the loop, L and M one that stands
 * alone; r runs rounds, n begins one that is not over; w lets the next wake fail, T ticks, 1 and 9
 * let a millisecond and a second pass, ? asks for the numbers of a, x frees the loop. Of the stream
 * that was opened last: s reads it, p looks at it, h takes a byte, f flushes it to a transport with
 * this answer, d detaches it and then takes what it had lent, k frees it.
 */
struct play_row {
  const char *name, *script;
  sse_hub_config config;
  sse_stream_config stream; /* what its streams have beside channel and loop */
  int answer;               /* of the transport that f flushes to */
  /* By how much the script has changed the numbers; of the channel a: what they are after it. */
  sse_stats hub, channel;
};

/* Plays every row, and asserts every number. */
void play_rows(const struct play_row *rows, size_t count);

/* ---- what things weigh ---- */

#define LEN(literal)  (sizeof(literal) - 1)
#define HEAD_BYTES    sizeof(struct sse__frame)
#define FRAME_OF(len) (HEAD_BYTES + SSE__CHUNK_BYTES + SSE__CHUNK_HEAD_BYTES + (len))
#define FRAME         FRAME_OF(LEN("data: x\n") + SSE__EVENT_ID_LINE_BYTES_MAX) /* its memory */
#define PASSING       FRAME_OF(LEN(EPHEMERAL("x")))
#define EVENT_BYTES   LEN(EVENT("x", "E.1")) /* encoded, with a number of one digit */
#define OPENED_BYTES  LEN(POSITION("E.0"))

/* A stream that has read its opening; one event that is retained, and what it took of it. */
#define LISTENING .positions = 1, .opened[SSE_RESUME_NONE] = 1, .streams = 1
#define ONE_EVENT                                                                                  \
  .published_events = 1, .published_bytes = EVENT_BYTES, .window_frames = 1, .window_bytes = FRAME
#define ONE_OF_HUB .head = 1, .memory_bytes = FRAME
#define TOOK_ONE   .delivered_events = 1, .delivered_bytes = EVENT_BYTES

#endif
