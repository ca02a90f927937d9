/* SPDX-License-Identifier: MIT */
/* host.c: makes hubs and loops, takes the bytes of streams, and drives loops. */
#include "host.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

host the;

static int64_t clock_now(void *arg) {
  (void)arg;
  return ledger.now_ns;
}

static int random_bytes(void *arg, void *buf, size_t len) {
  unsigned char *to = buf;
  (void)arg;
  while (len--) *to++ = (unsigned char)draw(&the.random);
  return 0;
}

static int wake_loop(void *arg, unsigned why) {
  (void)why;
  *(bool *)arg = true;
  return 0;
}

/* --- Hubs ------------------------------------------------------------------------------------- */

static void limits(uint64_t *seed, sse_hub_config *config) {
  static const size_t frames[] = {1, 2, 3, 4, 6, 10, 1024};
  unsigned kind = draw_below(seed, 100);
  if (without("memory")) kind = 0;
  ledger.limit = kind < 60   ? MEMORY_FREE
                 : kind < 70 ? MEMORY_BYTES
                 : kind < 82 ? MEMORY_AGE
                             : MEMORY_CEILING;
  for (int c = 0; c < CHANNELS; c++) ledger.frames_max[c] = frames[draw_below(seed, 7)];
  if (the.dropping) ledger.frames_max[1] = ledger.frames_max[2] = ledger.frames_max[0];
  config->channel.window_frames_max = ledger.frames_max[0];
  if (ledger.limit == MEMORY_BYTES) config->channel.window_bytes_max = 600 + draw_below(seed, 3000);
  if (ledger.limit == MEMORY_AGE) ledger.age_ms_max = 5 + (int32_t)draw_below(seed, 40);
  config->channel.window_age_ms_max = ledger.age_ms_max;
  if (ledger.limit == MEMORY_CEILING) config->memory_bytes_max = 20000 + draw_below(seed, 20000);
}

static void make_hub(const sse_hub_config *config) {
  sse_hub_config own = *config;
  const sse_loop_config loop = {.wake = wake_loop};
  int error;
  snprintf(ledger.epoch, sizeof ledger.epoch, "E%u", ledger.life);
  own.epoch = ledger.epoch;
  own.clock = clock_now;
  own.random = random_bytes;
  error = sse_hub_new(&ledger.hub, &own);
  if (error) breaks(RULE_CALL, "sse_hub_new returned %s", sse_error_name(error));
  if (error) return;
  for (int c = 0; c < CHANNELS; c++) {
    sse_channel_config channel = {.window_frames_max = ledger.frames_max[c]};
    if (c < FIRST_STATE && the.dropping) continue;
    if (c >= FIRST_STATE) channel.conflate = SSE_YES;
    if (c >= FIRST_STATE && ledger.limit == MEMORY_AGE) channel.window_age_ms_max = SSE_NEVER;
    error = sse_hub_configure_channel(ledger.hub, channel_names[c], &channel);
    if (error) breaks(RULE_CALL, "configure_channel returned %s", sse_error_name(error));
  }
  for (int l = 0; l < the.loops_count; l++) {
    sse_loop_config with = loop;
    with.wake_arg = &the.woken[l];
    error = sse_loop_new(&the.loops[l], ledger.hub, &with);
    if (error) breaks(RULE_CALL, "sse_loop_new returned %s", sse_error_name(error));
  }
  tell("hub %s: windows of %zu %zu %zu %zu %zu frames, %s%s, %d loops\n", ledger.epoch,
       ledger.frames_max[0], ledger.frames_max[1], ledger.frames_max[2], ledger.frames_max[3],
       ledger.frames_max[4],
       ledger.limit == MEMORY_FREE    ? "no other limit"
       : ledger.limit == MEMORY_BYTES ? "window_bytes_max"
       : ledger.limit == MEMORY_AGE   ? "window_age_ms_max"
                                      : "memory_bytes_max",
       the.dropping ? ", channel_idle_ms 60" : "", the.loops_count);
  book_sync();
}

static sse_hub_config hub_config;

void host_begin(uint64_t *seed) {
  for (int s = 0; s < STREAMS; s++) the.trials[s].stream = NULL;
  memset(&ledger, 0, sizeof ledger);
  memset(&counts, 0, sizeof counts);
  memset(&hub_config, 0, sizeof hub_config);
  memset(the.clients, 0, sizeof the.clients);
  memset(the.in_round, 0, sizeof the.in_round);
  ledger.life = 1;
  ledger.now_ns = 1000000000;
  the.random = draw(seed);
  the.loops_count = (int)draw_below(seed, 3);
  the.dropping = draw_percent(seed, 20) && !without("dropping");
  the.finishing = draw_percent(seed, 15) && !without("finishing");
  the.bounds = draw_percent(seed, 35) && !without("bounds");
  the.ids = draw_percent(seed, 30) && !without("ids");
  the.filters = draw_percent(seed, 25) && !without("filters");
  the.positions_off = draw_percent(seed, 30) && !without("positions_off");
  the.closes = draw_percent(seed, 30) && !without("closes");
  the.heads = the.random % 100 < 40 && !without("heads");
  the.drains = the.random / 100 % 100 < 40 && !without("drains");
  the.several = !without("several");
  the.states = !without("states");
  the.limits = !without("not_before");
  the.subscribes = !without("subscribe");
  the.disconnects = !without("disconnect");
  hub_config.stall_ms = SSE_NEVER;
  if (the.dropping) hub_config.channel_idle_ms = 60;
  if (the.dropping && draw_percent(seed, 50)) hub_config.ghosts_max = 1, ledger.few_ghosts = true;
  if (the.random / 10000 % 100 < 25 && !without("slots"))
    ledger.replays_max = 1 + (int)(the.random / 1000000 % 2);
  hub_config.concurrent_replays_max = (uint32_t)ledger.replays_max;
  limits(seed, &hub_config);
  the.ephemerals = ledger.limit == MEMORY_FREE && draw_percent(seed, 50) && !without("ephemerals");
  for (int k = 0; k < KINDS; k++) the.weights[k] = 1 + draw_below(seed, 8);
  make_hub(&hub_config);
}

/* Whether the client has an event, but not the line end after its chunk. */
static bool is_unsure(const trial *t) {
  return t->client_body.at == BODY_AFTER;
}

static void judge_numbers(void) {
  sse_stats stats;
  uint64_t gaps = 0, unread = counts.gaps_unread;
  if (sse_hub_stats(ledger.hub, NULL, &stats)) return;
  for (int i = 0; i < SSE_STATS_GAPS_MAX; i++) gaps += stats.gaps[i];
  for (int s = 0; s < STREAMS; s++) unread += the.trials[s].stream && !the.trials[s].first_done;
  if (stats.published_events != ledger.published)
    breaks(RULE_STATS, "published_events is %" PRIu64 ", published: %" PRIu64,
           stats.published_events, ledger.published);
  for (int s = 0; s < STREAMS; s++)
    if (the.trials[s].stream) counts.unsure += is_unsure(&the.trials[s]);
  if (stats.delivered_events > counts.delivered ||
      stats.delivered_events + counts.unsure < counts.delivered)
    breaks(RULE_STATS, "delivered_events is %" PRIu64 ", delivered: %" PRIu64,
           stats.delivered_events, counts.delivered);
  if (stats.lost_events < counts.lost_sent || stats.lost_events > counts.lost_peeked)
    breaks(RULE_STATS, "lost_events is %" PRIu64 ", gaps reported %" PRIu64 " to %" PRIu64,
           stats.lost_events, counts.lost_sent, counts.lost_peeked);
  if (gaps < counts.gaps_sent || gaps > counts.gaps_peeked + unread)
    breaks(RULE_STATS, "gaps are %" PRIu64 ", reported: %" PRIu64 " to %" PRIu64, gaps,
           counts.gaps_sent, counts.gaps_peeked + unread);
}

void host_end(void) {
  int error;
  if (!ledger.hub) return;
  if (!found.found) judge_numbers();
  for (int s = 0; s < STREAMS; s++)
    if (the.trials[s].stream) host_free(&the.trials[s], 0);
  for (int l = 0; l < the.loops_count; l++)
    if ((error = sse_loop_free(the.loops[l])) != 0)
      breaks(RULE_CALL, "sse_loop_free returned %s", sse_error_name(error));
  if ((error = sse_hub_free(ledger.hub)) != 0)
    breaks(RULE_CALL, "sse_hub_free returned %s", sse_error_name(error));
  ledger.hub = NULL;
}

void host_restart(void) {
  book old = ledger;
  host_end();
  memset(&ledger, 0, sizeof ledger);
  memset(&counts, 0, sizeof counts);
  ledger.life = old.life + 1;
  ledger.now_ns = old.now_ns;
  ledger.limit = old.limit;
  ledger.age_ms_max = old.age_ms_max;
  ledger.few_ghosts = old.few_ghosts;
  ledger.replays_max = old.replays_max;
  memcpy(ledger.frames_max, old.frames_max, sizeof ledger.frames_max);
  make_hub(&hub_config);
}

/* --- Bytes ------------------------------------------------------------------------------------ */

void host_in_flight(void) {
  /* The snapshot of an iteration holds frames, too. */
  ledger.in_flight = the.in_round[0] || the.in_round[1];
  for (int s = 0; s < STREAMS; s++)
    if (the.trials[s].stream && the.trials[s].flight_len) ledger.in_flight = true;
}

static void client_block(void *arg, const wire_block *block) {
  trial *t = arg;
  wire_gap gap;
  bool is_gap = !strcmp(block->type, "gap");
  memmove(t->ids[1], t->ids[0], sizeof t->ids - sizeof t->ids[0]);
  memcpy(t->ids[0], t->client.last_id, sizeof t->ids[0]);
  if (is_gap) {
    counts.gaps_sent++;
    if (wire_parse_gap(block->data, &gap)) counts.lost_sent += gap.lost;
  } else if (block->has_data && strcmp(block->type, "sse-position") != 0) {
    counts.delivered++;
  }
}

void host_free(trial *t, unsigned lost_blocks) {
  client *c = &the.clients[t->slot];
  memcpy(c->older_id, t->last_id, sizeof c->older_id);
  memcpy(c->last_id, t->ids[lost_blocks], sizeof c->last_id);
  if (!t->first_done) counts.gaps_unread++;
  counts.unsure += is_unsure(t);
  trial_replayed(t);
  sse_stream_free(t->stream);
  t->stream = NULL;
  host_in_flight();
}

static void over(trial *t, int code) {
  tell("    client %d: %s\n", t->slot, sse_error_name(code));
  if (sse_error_is_final(code)) {
    trial_over(t, code);
    host_free(t, 0);
  } else {
    breaks(RULE_CALL, "peek returned %s", sse_error_name(code));
  }
}

/* New bytes at the end of those in flight, or the same bytes again. */
static void offered(trial *t, const struct iovec *iov, int count) {
  size_t at = 0;
  for (int i = 0; i < count; i++) {
    const char *bytes = iov[i].iov_base;
    size_t len = iov[i].iov_len, old = at < t->flight_len ? t->flight_len - at : 0;
    if (old > len) old = len;
    if (memcmp(t->flight + at, bytes, old) != 0)
      breaks(RULE_FLIGHT, "client %d is given other bytes than before", t->slot);
    if (at + len > FLIGHT_MAX) return;
    memcpy(t->flight + at + old, bytes + old, len - old);
    at += len;
    if (len > old) {
      t->flight_len = at;
      body_feed(&t->judge_body, bytes + old, len - old, &t->judge, trial_block, t);
      if (t->judge_body.broken)
        breaks(RULE_BODY, "client %d is given another head, or no chunk", t->slot);
    }
  }
  if (at < t->flight_len && count == 64)
    breaks(RULE_FLIGHT, "client %d is given %zu bytes, %zu are in flight", t->slot, at,
           t->flight_len);
}

/* The client has received bytes. */
static void taken(trial *t, size_t bytes) {
  uint64_t number;
  bool marked;
  body_feed(&t->client_body, t->flight, bytes, &t->client, client_block, t);
  memmove(t->flight, t->flight + bytes, t->flight_len - bytes);
  t->flight_len -= bytes;
  if (!t->flight_len)
    t->sent_cursor = t->cursor;
  else if (trial_parse_id(t->client.last_id, &number, &marked) && number > t->sent_cursor)
    t->sent_cursor = number;
  host_in_flight();
}

/* Before the library looks for bytes; whether that is in an iteration of the stream's loop. */
static bool before(trial *t) {
  bool inside = t->loop >= 0 && the.in_round[t->loop];
  t->read_head = inside ? the.round_head[t->loop] : ledger.head;
  trial_look(t, inside);
  t->armed = false;
  return inside;
}

int host_look(trial *t, int max) {
  struct iovec iov[64];
  bool inside = before(t);
  int count;
  tell("    peek(client %d, %d)%s\n", t->slot, max, inside ? " in the iteration" : "");
  count = sse_stream_peek(t->stream, iov, max);
  t->cut_short = count == max;
  if (count < 0) {
    over(t, count);
  } else if (count == 0) {
    trial_nothing(t, inside);
  } else {
    if (t->disconnected) breaks(RULE_DISCONNECTED, "a disconnected stream gives bytes");
    if (count > max || count > 64)
      breaks(RULE_FLIGHT, "%d pieces, at most %d", count, max);
    else
      offered(t, iov, count);
  }
  host_in_flight();
  return count;
}

/* Reads all there is at once; returns what sse_stream_read returns. */
static int read_all(trial *t) {
  static char bytes[FLIGHT_MAX];
  bool inside = before(t);
  ssize_t len;
  tell("    read(client %d)%s\n", t->slot, inside ? " in the iteration" : "");
  len = sse_stream_read(t->stream, bytes, sizeof bytes);
  t->cut_short = false;
  if (len < 0) {
    over(t, (int)len);
  } else if (len == 0) {
    trial_nothing(t, inside);
  } else {
    const struct iovec iov = {bytes, (size_t)len};
    if (t->disconnected) breaks(RULE_DISCONNECTED, "a disconnected stream gives bytes");
    offered(t, &iov, 1);
    taken(t, (size_t)len);
  }
  host_in_flight();
  return (int)len;
}

void host_consume(trial *t, size_t bytes) {
  sse_stream_consume(t->stream, bytes);
  tell("    consume(client %d, %zu of %zu bytes)\n", t->slot, bytes, t->flight_len);
  taken(t, bytes);
}

void host_serve(trial *t, serve how, uint64_t *seed) {
  int max = draw_percent(seed, 70) ? 64 : 1 + (int)draw_below(seed, 4);
  if (how == SERVE_NOT) return;
  if (how == SERVE_SOME) {
    if (host_look(t, max) > 0 && t->flight_len)
      host_consume(t, draw_below(seed, (unsigned)t->flight_len + 1));
  } else if (how == SERVE_PEEK) {
    host_look(t, max);
  } else {
    bool reads = draw_percent(seed, 25);
    while (t->stream && !found.found && (reads ? read_all(t) : host_look(t, max)) > 0)
      if (!reads) host_consume(t, t->flight_len);
  }
}

/* --- Loops ------------------------------------------------------------------------------------ */

/* A stream that is armed has nothing to be given that its loop does not report. */
static void judge_armed(const trial *t, const char *when, bool ticked) {
  char why[200];
  if (t->armed && !trial_waits(t) && !trial_complete(t, ledger.head, why, sizeof why))
    breaks(trial_rule(t, RULE_ARMED), "client %d is armed and %s; %s", t->slot, when, why);
  if (t->armed && t->drained && !t->dismissed && trial_drained() && ticked)
    breaks(RULE_DRAINED, "client %d was drained and %s", t->slot, when);
  if (t->armed && t->disconnected)
    breaks(RULE_ARMED, "client %d was disconnected and %s", t->slot, when);
}

void host_round(int loop, uint64_t *seed, bool nest) {
  sse_stream *stream;
  int returned = 0;
  if (the.in_round[loop]) return;
  the.in_round[loop] = true;
  the.round_head[loop] = ledger.head;
  host_in_flight();
  tell("  iteration of loop %d\n", loop);
  while (!found.found && (stream = sse_loop_next(the.loops[loop]))) {
    trial *t = sse_stream_user(stream);
    unsigned how = draw_below(seed, 100);
    tell("   sse_loop_next: client %d\n", t->slot);
    if (++returned > 200) breaks(RULE_ARMED, "an iteration does not end");
    t->armed = false;
    if (!nest || how < 65)
      host_serve(t, SERVE_ALL, seed);
    else
      host_serve(t, how < 85 ? SERVE_SOME : how < 95 ? SERVE_PEEK : SERVE_NOT, seed);
    if (nest && draw_percent(seed, 20)) step_nested(seed);
  }
  the.in_round[loop] = false;
  the.woken[loop] = false;
  host_in_flight();
  if (found.found || sse_loop_timeout(the.loops[loop]) == 0) return;
  for (int s = 0; s < STREAMS; s++)
    if (the.trials[s].stream && the.trials[s].loop == loop)
      judge_armed(&the.trials[s], "not returned, and the timeout is not 0", true);
}

void host_check_wakes(void) {
  for (int s = 0; s < STREAMS && !found.found; s++) {
    trial *t = &the.trials[s];
    if (!t->stream || !t->armed) continue;
    if (t->loop < 0) {
      if (!t->wakes) judge_armed(t, "its wake was not called", ledger.ticked);
      if (t->wakes > 1 + t->disconnected + t->dismissed + t->drained)
        breaks(RULE_ARMED, "the wake of client %d was called %d times", t->slot, t->wakes);
    } else if (!the.in_round[t->loop] && !the.woken[t->loop] &&
               sse_loop_timeout(the.loops[t->loop]) != 0) {
      judge_armed(t, "its loop was not woken", false);
    }
  }
}

static void settle(void) {
  uint64_t seed = 1;
  bool again = true;
  size_t open = 0;
  for (int turns = 0; again && !found.found; turns++) {
    again = false;
    for (int l = 0; l < the.loops_count; l++) {
      host_round(l, &seed, false);
      again = again || sse_loop_timeout(the.loops[l]) == 0;
    }
    if (turns > 50) breaks(RULE_ARMED, "the loops do not come to rest");
  }
  for (int s = 0; s < STREAMS; s++) open += the.trials[s].stream != NULL;
  if (sse_hub_count(ledger.hub, NULL) != open)
    breaks(RULE_CALL, "sse_hub_count is %zu, open streams: %zu", sse_hub_count(ledger.hub, NULL),
           open);
  for (int s = 0; s < STREAMS && !found.found; s++) {
    trial *t = &the.trials[s];
    if (t->stream && (!t->armed || t->loop < 0)) host_serve(t, SERVE_ALL, &seed);
  }
}

void host_settle(void) {
  char why[200];
  const trial *waits = &the.trials[0];
  tell("  all is read\n");
  /* Each turn lets at least one more stream have its slot. */
  for (int turn = 0; turn <= STREAMS && waits && !found.found; turn++) {
    settle();
    waits = NULL;
    for (int s = 0; s < STREAMS && !waits; s++)
      if (the.trials[s].stream && trial_waits(&the.trials[s]) &&
          !trial_complete(&the.trials[s], ledger.head, why, sizeof why))
        waits = &the.trials[s];
  }
  if (waits) breaks(RULE_SLOT, "client %d still waits when all is read; %s", waits->slot, why);
}
