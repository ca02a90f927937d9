/* SPDX-License-Identifier: MIT */
/* session.c: when an engine whose log is in a server connects, and what its history is called. */
#include "session.h"

#include <fcntl.h>
#include <unistd.h>

#include "kind.h"
#include "timing.h"

enum {
  PAUSE_LEAST_MS = 100,
  PAUSE_MOST_MS = 3000,
  STEADY_MS = 3000 /* a session that has lasted this long ends a row of failures */
};

void session_begin(struct session *session) {
  session->is_up = 1;
  session->begun_ms = clock_ms();
}

void session_fail(struct session *session) {
  int64_t now_ms = clock_ms();
  if (session->is_up && now_ms - session->begun_ms > STEADY_MS) session->pause_ms = 0;
  session->is_up = 0;
  session->pause_ms = session->pause_ms == 0 ? PAUSE_LEAST_MS : 2 * session->pause_ms;
  if (session->pause_ms > PAUSE_MOST_MS) session->pause_ms = PAUSE_MOST_MS;
  session->chance = session->chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  session->next_ms =
      now_ms + session->pause_ms - (int)(session->chance >> 33) % (session->pause_ms / 2);
}

void session_end(struct session *session) {
  session->is_up = 0;
}

void session_epoch(uint64_t history, char epoch[SSE_EPOCH_BYTES_MAX + 1]) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (int i = SSE_EPOCH_BYTES_MAX; i-- > 0; history >>= 6) epoch[i] = letters[history & 63];
  epoch[SSE_EPOCH_BYTES_MAX] = '\0';
}

int session_random(struct engine *engine, void *bytes, size_t len) {
  int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  ssize_t got = fd >= 0 ? read(fd, bytes, len) : -1;
  if (fd >= 0) close(fd);
  if (got == (ssize_t)len) return 0;
  engine_problem(engine, "the system has no random bytes");
  return ENGINE_ELOG;
}
