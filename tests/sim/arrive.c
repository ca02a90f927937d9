/* SPDX-License-Identifier: MIT */
/* arrive.c: clients that come, and come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "picture.h"
#include "sim.h"
#include "stream/stream_priv.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- with what id ---- */

static void begin_anew(struct conn *conn, const char *id) {
  char copy[CLIENT_TEXT_MAX];
  snprintf(copy, sizeof copy, "%s", id); /* it may be the client's own */
  client_free(&conn->client);
  client_init(&conn->client, copy, sim_saw, conn);
  conn->client.dispatched_ids = sim_draw(conn->sim, 2);
  judge_forget(&conn->judge);
}

void conn_renew(struct conn *conn) {
  static const char *const forged[] = {"nonsense",
                                       "E0.01",
                                       "Q.7",
                                       "Q.7~",
                                       "E0.3~",
                                       "E0.3~~",
                                       "E0.-1",
                                       " 5",
                                       "a\x01z",
                                       "\x7f",
                                       "E0/1",
                                       "E0.9999999",
                                       "E0.007",
                                       "E0.007~",
                                       "Q.007",
                                       "E0.1 ",
                                       "E0.",
                                       ".",
                                       "~",
                                       "E1.2~",
                                       "E0.18446744073709551616",
                                       "E0.0~",
                                       "18446744073709551616"};
  const char *id = forged[sim_draw(conn->sim, COUNT(forged))];
  begin_anew(conn, sim_draw(conn->sim, 4) ? "" : id);
}

/* Some come with an old id of theirs, with another's, or with one of the application's. */
static void draw_id(struct conn *conn) {
  struct sim *sim = conn->sim;
  char id[CLIENT_TEXT_MAX];
  switch (sim_draw(sim, 5)) {
  case 0:
    begin_anew(conn, conn->old_id);
    break;
  case 1:
    begin_anew(conn, sim->conns[sim_draw(sim, SIM_CLIENTS)].client.last_id);
    break;
  case 2:
    snprintf(id, sizeof id, "%s/%d", sim->life->epoch, (int)sim_draw(sim, sim->life->head + 2));
    begin_anew(conn, id);
    break;
  default:
    conn_renew(conn);
    break;
  }
}

/* A client that was told anything knows where it was, unless it was told so in a form it ignores.
 */
static void check_id(struct conn *conn) {
  sse_position position = conn->judge.terms.position;
  bool knows = position == SSE_POSITION_EVENT;
  if (conn->client.told && knows && !*conn->client.last_id) {
    sim_accuse(conn->sim, "a client does not know where it was", "client %d", conn_name(conn));
  }
}

/* ---- on what terms ---- */

unsigned sim_draw_channels(struct sim *sim, const char *names[CLIENT_CHANNELS + 1]) {
  unsigned channels = 1u << sim_draw(sim, sim->channels), count = 0;
  for (uint64_t more = sim_draw(sim, 5); more > 0; more--)
    channels |= 1u << sim_draw(sim, sim->channels);
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    if (channels & 1u << i) names[count++] = client_channel(i);
  }
  names[count] = NULL;
  return channels;
}

/* One tag, or now and then some more. */
static void draw_tags(struct conn *conn, const char *names[SIM_TAGS + 1]) {
  struct sim *sim = conn->sim;
  unsigned count = 0;
  conn->tags = sim_chance(sim, sim->tagged) ? 1u << sim_draw(sim, SIM_TAGS) : 0;
  if (conn->tags && sim_draw(sim, 3) == 0) conn->tags |= 1u << sim_draw(sim, SIM_TAGS);
  for (unsigned i = 0; i < SIM_TAGS; i++) {
    if (conn->tags & 1u << i) names[count++] = sim_tag(i);
  }
  names[count] = NULL;
}

static int pass_others(void *arg, const sse_filter_event *event) {
  const struct conn *conn = arg;
  return event->label != conn->filter;
}

/* What few streams ask for. The text holds an id. */
static void draw_terms(struct conn *conn, sse_stream_config *config, char *text, size_t cap) {
  struct sim *sim = conn->sim;
  conn->closes = false;
  if (!sim_chance(sim, sim->choosy)) return;
  config->start = (sse_start)sim_draw(sim, 3);
  if (config->start == SSE_START_LAST) config->start_events = (uint32_t)sim_draw(sim, 6);
  config->lost = (sse_lost)(sim_draw(sim, 3) * sim_draw(sim, 2));
  if (sim_draw(sim, 3) == 0) {
    uint64_t n = sim_draw(sim, sim->life->head + 2);
    snprintf(text, cap, "%s.%d", sim_draw(sim, 5) ? sim->life->epoch : "Q", (int)n);
    config->not_before = text;
  }
  if (sim_draw(sim, 3) == 0) {
    conn->filter = (unsigned)sim_draw(sim, 3);
    config->filter = pass_others;
    config->filter_arg = conn;
  }
  conn->closes = sim_draw(sim, 4) == 0;
  if (conn->closes) config->slow = SSE_SLOW_CLOSE;
  if (sim_draw(sim, 3) == 0) config->lag_events_max = 1 + (uint32_t)sim_draw(sim, 6);
  if (sim_draw(sim, 6) == 0) config->lag_bytes_max = 1 + sim_draw(sim, 600);
  if (sim_draw(sim, 6) == 0) config->lag_ms_max = 1 + (int32_t)sim_draw(sim, 900);
  if (sim_draw(sim, 6) == 0) config->heartbeat_ms = 1 + (int32_t)sim_draw(sim, 900);
  if (sim_draw(sim, 6) == 0) {
    uint64_t n = sim_draw(sim, 900);
    config->retry_ms = n % 3 ? 1 + (int32_t)n : SSE_NEVER;
  }
}

static uint64_t lowest(const struct sim *sim, const char *not_before) {
  size_t len = strlen(sim->life->epoch);
  if (!not_before || strncmp(not_before, sim->life->epoch, len) != 0) return 0;
  uint64_t number = strtoull(not_before + len + 1, NULL, 10);
  return number < sim->life->head ? number : sim->life->head;
}

/* ---- opening ---- */

static void reset_conn(struct conn *conn) {
  static const size_t wires[] = {1, 60, 300, SIM_WIRE_MAX, SIM_WIRE_MAX};
  struct sim *sim = conn->sim;
  conn->woken = conn->armed = conn->frozen = conn->kicked = false;
  conn->must_end = 0;
  conn->blocked = !conn->loop;
  conn->opened_ms = conn->moved_ms = sim->world.now_ms;
  conn->on_wire = conn->expect_len = 0;
  conn->greedy = sim_chance(sim, sim->greedy);
  conn->wire_cap = sim->fair ? SIM_WIRE_MAX : wires[sim_draw(sim, COUNT(wires))];
}

static void see_open(const struct conn *conn, const char *const names[]) {
  struct sim *sim = conn->sim;
  sse_resume verdict = sse_stream_resume_result(conn->stream);
  sim->seen[conn->loop ? SEEN_IN_LOOP : SEEN_ALONE]++;
  if (names[1]) sim->seen[SEEN_SEVERAL]++;
  if (verdict == SSE_RESUME_RESUMED) sim->seen[SEEN_RESUMED]++;
  if (verdict == SSE_RESUME_EVICTED) sim->seen[SEEN_EVICTED]++;
  if (verdict > SSE_RESUME_EVICTED) sim->seen[SEEN_FOREIGN]++;
}

static void judge_opened(struct conn *conn, const sse_stream_config *config, unsigned channels) {
  struct sim *sim = conn->sim;
  const struct judge_terms terms = {.channels = channels,
                                    .last_id = conn->client.last_id,
                                    .verdict = sse_stream_resume_result(conn->stream),
                                    .position = config->position,
                                    .start = config->start,
                                    .start_events = config->start_events,
                                    .lost = config->lost,
                                    .not_before = lowest(sim, config->not_before),
                                    .filter = config->filter ? (int)conn->filter : JUDGE_EVERYTHING,
                                    .bounded = config->lag_events_max || config->lag_bytes_max ||
                                               config->lag_ms_max,
                                    .cursor = conn->stream->cursor,
                                    .gone = sim->world.hub->store.ids.gone};
  judge_open(&conn->judge, sim->life, &terms);
  if (conn->judge.fault) sim_accuse(sim, conn->judge.fault, "%s", conn->judge.detail);
}

int sim_refusal(const struct sim *sim, unsigned channels, int result) {
  if (sim->life->drained) return SSE_EDRAINED;
  if (result == SSE_EFINISHED && (channels & ~sim->life->finished) == 0) return SSE_EFINISHED;
  if (result == SSE_ESTREAMS && sim->config.streams_max) return result;
  if (result == SSE_ETAGSTREAMS && sim->config.tag_streams_max) return result;
  if (result == SSE_ECHANNELSTREAMS && sim->config.channel.streams_max) return result;
  return result == SSE_ECHANNELS && sim->config.channels_max ? result : SSE_OK;
}

/* The transport is no socket, so it cannot be prepared; the stream is as it was. */
static void judge_unprepared(const struct conn *conn) {
  struct picture before, after;
  picture_take(&before, conn->sim->world.hub, conn->stream);
  int result = sse_stream_prepare_fd(conn->stream, -1);
  picture_take(&after, conn->sim->world.hub, conn->stream);
  if (result != SSE_EIO || !picture_same(&before, &after))
    sim_accuse(conn->sim, "a stream is not as it was", "prepared: %s", sse_error_name(result));
}

static const sse_http_head *draw_head(struct sim *sim) {
  static const sse_http_head plain, chunked = {.chunked = 1};
  uint64_t drawn = sim_draw(sim, 4);
  return drawn == 0 ? &plain : drawn == 1 ? &chunked : NULL;
}

void conn_open(struct conn *conn) {
  const char *names[CLIENT_CHANNELS + 1], *tags[SIM_TAGS + 1];
  char not_before[CLIENT_TEXT_MAX];
  struct picture before;
  struct sim *sim = conn->sim;
  bool alone = sim_draw(sim, 3) == 0;
  conn->loop = alone ? NULL : &sim->loops[sim_draw(sim, SIM_LOOPS)];
  check_id(conn);
  if (sim_chance(sim, 15)) draw_id(conn);
  unsigned channels = sim_draw_channels(sim, names);
  conn->polled = alone && sim_draw(sim, 2);
  draw_tags(conn, tags);
  sse_stream_config config = {.channels = names,
                              .last_id = conn->client.last_id,
                              .tag = tags[0] && !tags[1] ? tags[0] : NULL,
                              .tags = tags[0] && !tags[1] ? NULL : tags,
                              .user = conn,
                              .loop = alone ? NULL : conn->loop->loop,
                              .wake = alone && !conn->polled ? sim_wake_conn : NULL,
                              .head = draw_head(sim),
                              .position = (sse_position)(sim_draw(sim, 2) * sim_draw(sim, 2))};
  draw_terms(conn, &config, not_before, sizeof not_before);
  picture_take(&before, sim->world.hub, NULL);
  sim_fail_some(sim);
  int result = sse_stream_open(&conn->stream, sim->world.hub, &config);
  sim_fail_no_more(sim);
  sim_note(sim,
           "  client %d: open %x with '%s' on %d, tags %x, position %d, start %d %u, lost %d, from "
           "%s, filter %d, behind %u %zu %d%s%s: %s",
           conn_name(conn), channels, conn->client.last_id,
           alone ? -1 : (int)(conn->loop - sim->loops), conn->tags, (int)config.position,
           (int)config.start, config.start_events, (int)config.lost,
           config.not_before ? config.not_before : "any",
           config.filter ? (int)conn->filter : JUDGE_EVERYTHING, config.lag_events_max,
           config.lag_bytes_max, config.lag_ms_max, conn->closes ? ", closes" : "",
           config.head && config.head->chunked ? ", chunked" : "", sse_error_name(result));
  sim_observe(sim);
  if (result != SSE_OK) {
    conn->stream = NULL;
    sim_judge_failure(sim, &before, result, sim_refusal(sim, channels, result));
    return;
  }
  reset_conn(conn);
  client_connect(&conn->client, config.head);
  see_open(conn, names);
  judge_opened(conn, &config, channels);
  judge_unprepared(conn);
}
