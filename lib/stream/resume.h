/* SPDX-License-Identifier: MIT */
/* resume.h: what becomes of a client's Last-Event-ID: the verdict, and where the stream starts. */
#ifndef SSE_LIB_RESUME_H
#define SSE_LIB_RESUME_H

#include "stream/control.h"

/*
 * Judges the id that a client sent, or sees where to start without one, and sets the stream's S and
 * verdict; its members have joined. Asks for the state of conflated channels where the client does
 * not have it. `gap` is what the stream must open with; without a reason it need not. With the
 * hub's lock held. 0 or SSE_ENOMEM.
 */
int sse__resume(struct sse_stream *stream, const sse_stream_config *config, int64_t now_ms,
                struct sse__gap *gap);

#endif
