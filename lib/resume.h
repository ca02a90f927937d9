/* SPDX-License-Identifier: MIT */
/* resume.h: what becomes of a client's Last-Event-ID: the verdict, and where the stream starts. */
#ifndef SSE_LIB_RESUME_H
#define SSE_LIB_RESUME_H

#include "stream.h"

/*
 * Judges the id that a client sent, or sees where to start without one, and sets the stream's S and
 * verdict; its members have joined.
 * Returns the reason of the gap that the stream must open with, or NULL. With the hub's lock held.
 */
const char *sse__resume(struct sse_stream *stream, const sse_stream_config *config);

#endif
