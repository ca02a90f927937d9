/* SPDX-License-Identifier: MIT */
/* hoard.c: a greedy client that opens many streams, as one connection of HTTP/2 may. It takes a
 * byte of each now and then, and holds all else that it is lent. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "picture.h"
#include "sim.h"
#include "stream/stream_priv.h"

sse_stream *sim_stream(const struct sim *sim, unsigned i) {
  return i < SIM_CLIENTS ? sim->conns[i].stream : sim->hoard[i - SIM_CLIENTS].stream;
}

bool sim_greed_due(const struct sim *sim, int64_t moved_ms) {
  return sim->world.now_ms - moved_ms >= SIM_PATIENCE_MS - SIM_GREED_MS;
}

static int wake_nobody(void *arg, unsigned why) {
  (void)arg;
  (void)why;
  return 0; /* its host looks at it all the time */
}

/* Its first byte is due at once. It comes back from some number, and has no other first bytes. */
static void hoard_one(struct sim *sim, struct hoarded *one) {
  const char *names[CLIENT_CHANNELS + 1];
  char id[CLIENT_TEXT_MAX];
  struct picture before;
  bool alone = sim_draw(sim, 3) == 0;
  unsigned channels = sim_draw_channels(sim, names);
  snprintf(id, sizeof id, "%s.%" PRIu64, sim->life->epoch, sim_draw(sim, sim->life->head + 1));
  sse_loop *loop = alone ? NULL : sim->loops[sim_draw(sim, SIM_LOOPS)].loop;
  one->opened_ms = sim->world.now_ms;
  one->moved_ms = one->opened_ms - SIM_PATIENCE_MS;
  const sse_stream_config config = {.channels = names,
                                    .last_id = id,
                                    .loop = loop,
                                    .wake = alone ? wake_nobody : NULL,
                                    .position = SSE_POSITION_OFF,
                                    .retry_ms = SSE_NEVER};
  picture_take(&before, sim->world.hub, NULL);
  int result = sse_stream_open(&one->stream, sim->world.hub, &config);
  sim_observe(sim);
  if (result == SSE_OK) {
    sim->seen[SEEN_HOARDED]++;
  } else {
    one->stream = NULL;
    sim_judge_failure(sim, &before, result, sim_refusal(sim, channels, result));
  }
}

void hoard_open(struct sim *sim) {
  uint64_t count = 1 + sim_draw(sim, SIM_HOARD);
  sim_note(sim, "  %" PRIu64 " streams are hoarded", count);
  for (struct hoarded *one = sim->hoard; one < sim->hoard + SIM_HOARD && count > 0; one++) {
    if (one->stream) continue;
    hoard_one(sim, one);
    count--;
  }
}

static void serve_hoarded(struct sim *sim, struct hoarded *one) {
  struct iovec iov;
  int count = sse_stream_peek(one->stream, &iov, 1);
  if (sse_error_is_final(count)) {
    sse_stream_free(one->stream);
    one->stream = NULL;
  } else if (count > 0 && sim_greed_due(sim, one->moved_ms)) {
    sse_stream_consume(one->stream, 1);
    one->moved_ms = sim->world.now_ms;
  }
}

void hoard_serve(struct sim *sim, const sse_stream *stream) {
  for (struct hoarded *one = sim->hoard; one < sim->hoard + SIM_HOARD; one++) {
    if (one->stream && (!stream || one->stream == stream)) serve_hoarded(sim, one);
  }
}

void hoard_free(struct sim *sim) {
  for (struct hoarded *one = sim->hoard; one < sim->hoard + SIM_HOARD; one++) {
    sse_stream_free(one->stream);
    one->stream = NULL;
  }
}
