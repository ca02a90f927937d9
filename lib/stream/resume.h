/* SPDX-License-Identifier: MIT */
/* resume.h: where a stream begins: after its Last-Event-ID, or as its configuration says. */
#ifndef SSE_LIB_RESUME_H
#define SSE_LIB_RESUME_H

#include "stream/control.h"

/*
 * Judges the client's id, or finds the start without one, and sets the stream's cursor, its resume
 * result, and whether it is ahead. Adds the state of conflated channels that the client does not
 * have. `gap`: what the stream must open with, if it has a reason. The stream is subscribed already.
 * Returns 0 or SSE_ENOMEM. Requires the hub's lock.
 */
int sse__resume(struct sse_stream *stream, const sse_stream_config *config, int64_t now_ms,
                struct sse__gap *gap);

#endif
