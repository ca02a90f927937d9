/* SPDX-License-Identifier: MIT */
/* session.h: when an engine whose log is in a server connects, and what its history is called. */
#ifndef ENGINE_SESSION_H
#define ENGINE_SESSION_H

#include <stdint.h>

#include "engine.h"

/*
 * A session lasts from the comparison of the log with what was read from it to the first doubt.
 * After one that failed there is a pause before the next attempt: 0.1 s, doubling up to 3 s with each
 * failure, and up to a half shorter by chance, so that many processes do not come at the same time.
 */
struct session {
  int is_up;
  int64_t begun_ms, next_ms; /* of the session, and of the next attempt */
  int pause_ms;
  uint64_t chance; /* random at the beginning */
};

void session_begin(struct session *session);
/* The session has failed, or could not begin. */
void session_fail(struct session *session);
/* It was closed without a failure. */
void session_end(struct session *session);

/* The name of a history that is 64 bits. */
void session_epoch(uint64_t history, char epoch[SSE_EPOCH_BYTES_MAX + 1]);

/* Random bytes of the system. 0; or ENGINE_ELOG, and engine_problem has said so. */
int session_random(struct engine *engine, void *bytes, size_t len);

#endif
