/* SPDX-License-Identifier: MIT */
/* sim.c: the network and the host of a random history. */
#include "sim.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "picture.h"
#include "stream/stream_priv.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- what is drawn, told and judged ---- */

/* A byte of the input where one is enough; after its end all draws are 0. */
static uint64_t draw_input(struct sim *sim, uint64_t n) {
  uint64_t value = 0;
  for (uint64_t most = n - 1; most > 0; most >>= 8) {
    if (sim->plan.input_len == 0) return 0;
    value = value << 8 | *sim->plan.input++;
    sim->plan.input_len--;
  }
  return value % n;
}

uint64_t sim_draw(struct sim *sim, uint64_t n) {
  return sim->plan.input ? draw_input(sim, n) : world_random(&sim->world, n);
}

bool sim_chance(struct sim *sim, unsigned percent) {
  return !sim->fair && sim_draw(sim, 100) < percent;
}

bool sim_delays(struct sim *sim, unsigned percent) {
  return !sim->besieged && sim_chance(sim, percent);
}

void sim_note(const struct sim *sim, const char *format, ...) {
  va_list args;
  if (!sim->plan.trace) return;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
}

void sim_accuse(struct sim *sim, const char *fault, const char *format, ...) {
  va_list args;
  if (sim->fault) return;
  sim->fault = fault;
  va_start(args, format);
  vsnprintf(sim->detail, sizeof sim->detail, format, args);
  va_end(args);
}

int conn_name(const struct conn *conn) {
  return (int)(conn - conn->sim->conns);
}

void sim_saw(void *arg, const struct client_item *item) {
  static const char *const kinds[] = {"event", "event without id", "gap", "position"};
  static const enum sim_seen seen[] = {SEEN_EVENT, SEEN_BARE, SEEN_GAP, SEEN_POSITION};
  struct conn *conn = arg;
  sim_note(conn->sim, "    client %d: %s %" PRIu64 ", id %s, %s%s channels %x lost %" PRIu64,
           conn_name(conn), kinds[item->kind], item->number, item->id, item->reason,
           item->requested, item->channels, item->lost);
  conn->sim->seen[seen[item->kind]]++;
  if (sim_draw(conn->sim, 4) == 0) memcpy(conn->old_id, conn->client.last_id, CLIENT_TEXT_MAX);
  judge_take(&conn->judge, item);
  if (conn->judge.fault) {
    sim_accuse(conn->sim, conn->judge.fault, "client %d: %s", conn_name(conn), conn->judge.detail);
  }
}

void sim_restore_memory(const struct sim *sim) {
  bool gone = sim->plan.fail_alloc > 0 && sim->plan.onwards && !sim->fair;
  world_fail(gone ? 1 : 0, true);
}

void sim_observe(struct sim *sim) {
  const char *fault = ledger_observe(sim->life, sim->world.hub, sim->channels);
  if (fault) sim_accuse(sim, fault, "%s", "");
  /* One that was dropped has lost its configuration. */
  for (unsigned i = 0; i < sim->channels; i++) sim->life->of[i].conflated = sim_conflated(sim, i);
  if (sim->world.hub->channels.ghosts.count > 0) sim->seen[SEEN_GONE]++;
  sim_judge_bounds(sim);
}

/* ---- the network ---- */

/* The client reads; what it does not get before a reset is lost. */
void conn_receive(struct conn *conn, size_t len) {
  if (len > conn->on_wire) len = conn->on_wire;
  if (len == 0) return;
  sim_observe(conn->sim);
  client_feed(&conn->client, conn->wire, len);
  memmove(conn->wire, conn->wire + len, conn->on_wire -= len);
  if (conn->client.fault) sim_accuse(conn->sim, conn->client.fault, "client %d", conn_name(conn));
}

/* Whatever the client has read of a chunked body: the last chunk is there only at a gentle end. */
static void judge_body(struct conn *conn, enum judge_body end) {
  bool last_chunk = conn->client.body.state == DECHUNK_ENDED;
  if (!conn->client.chunked) return;
  if (end == JUDGE_GENTLE) conn->sim->seen[SEEN_CLOSED]++;
  judge_end_body(&conn->judge, end, last_chunk);
  if (conn->judge.fault) {
    sim_accuse(conn->sim, conn->judge.fault, "client %d: %s", conn_name(conn), conn->judge.detail);
  }
}

void conn_cut(struct conn *conn, const char *why) {
  sse_stream *stream = conn->stream;
  judge_body(conn, stream->outq.retry_sent ? JUDGE_BEGUN : JUDGE_CUT);
  sim_note(conn->sim, "  client %d: connection ends, %s", conn_name(conn), why);
  conn->stream = NULL;
  conn->owed.is = false;
  conn->on_wire = 0;
  if (conn->leaving) sse_stream_free(conn->leaving);
  conn->leaving = NULL;
  if (sim_chance(conn->sim, 50)) {
    sse_stream_detach(stream);
    conn->sim->seen[SEEN_DETACHED]++;
    conn->leaving = stream;
  } else {
    sse_stream_free(stream);
  }
}

/* What was lent before and neither taken nor given up comes again, from the same byte. */
static void check_lent(struct conn *conn, const struct iovec *iov, int count, bool all) {
  size_t at = 0;
  for (int i = 0; i < count && at < conn->expect_len; i++) {
    size_t len = iov[i].iov_len < conn->expect_len - at ? iov[i].iov_len : conn->expect_len - at;
    if (memcmp(iov[i].iov_base, conn->expect + at, len) != 0) {
      sim_accuse(conn->sim, "what is lent changed", "client %d", conn_name(conn));
    }
    at += len;
  }
  if (all && at < conn->expect_len) {
    sim_accuse(conn->sim, "what is lent shrank", "client %d", conn_name(conn));
  }
  conn->expect_len = 0;
}

/*
 * Takes bytes onto the wire from the pieces, and notes what has to come next. `all`: the pieces are
 * all that is lent.
 */
static void take(struct conn *conn, const struct iovec *iov, int count, bool all, size_t bytes) {
  size_t skip = bytes;
  check_lent(conn, iov, count, all);
  for (int i = 0; i < count; i++) {
    size_t len = iov[i].iov_len, part = len < skip ? len : skip;
    const char *from = iov[i].iov_base;
    memcpy(conn->wire + conn->on_wire, from, part);
    conn->on_wire += part;
    skip -= part;
    size_t left = len - part, room = sizeof conn->expect - conn->expect_len;
    if (left > room) left = room;
    memcpy(conn->expect + conn->expect_len, from + part, left);
    conn->expect_len += left;
  }
  if (bytes > 0) conn->moved_ms = conn->sim->world.now_ms;
  sim_note(conn->sim, "    client %d: %zu bytes go on the wire", conn_name(conn), bytes);
  if (conn->sim->fair) conn_receive(conn, conn->on_wire);
}

static size_t total_of(const struct iovec *iov, int count) {
  size_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += iov[i].iov_len;
  return bytes;
}

/* It takes its first block as any other client does. */
static bool is_greedy(const struct conn *conn) {
  return conn->greedy && conn->client.told && !conn->sim->fair;
}

/* How many of the bytes the transport takes now, 0 if it is full. */
static size_t room_for(struct conn *conn, size_t bytes) {
  if (is_greedy(conn)) {
    conn_receive(conn, conn->on_wire);
    return sim_greed_due(conn->sim, conn->moved_ms);
  }
  size_t room = conn->on_wire < conn->wire_cap ? conn->wire_cap - conn->on_wire : 0;
  if (room > bytes) room = bytes;
  if (room > 0 && sim_chance(conn->sim, conn->sim->tiny)) return 1;
  return room > 1 && sim_chance(conn->sim, 40) ? 1 + sim_draw(conn->sim, room) : room;
}

/* What the plan says that the transport does now, WRITES for what it would do anyway. */
static enum sim_write planned(struct sim *sim) {
  size_t at = sim->plan.fail_write, n = sim->seen[SEEN_WRITES];
  if (sim->fair) return WRITES;
  sim->seen[SEEN_WRITES] = ++n;
  if (at == 0 || n < at) return WRITES;
  return n == at || sim->plan.onwards ? sim->plan.how : WRITES;
}

static ssize_t end_by(struct conn *conn, int reason, ssize_t result) {
  conn->must_end = reason;
  sim_note(conn->sim, "    client %d: write returns %zd", conn_name(conn), result);
  return result;
}

/* Takes so many bytes, or as many as there is room for. */
static ssize_t take_some(struct conn *conn, const struct iovec *iov, int count, size_t bytes) {
  size_t room = sizeof conn->wire - conn->on_wire;
  if (bytes > room) bytes = room;
  take(conn, iov, count, true, bytes);
  if (bytes == 0) conn->expect_len = 0;
  return bytes ? (ssize_t)bytes : SSE_EAGAIN;
}

static ssize_t write_planned(struct conn *conn, const struct iovec *iov, int count,
                             enum sim_write how) {
  size_t all = total_of(iov, count);
  switch (how) {
  case WRITE_EHELD:
    take(conn, iov, count, true, 0);
    return SSE_EHELD;
  case WRITE_SHORT:
    return take_some(conn, iov, count, all > 1 ? all - 1 : 1);
  case WRITE_ONE:
    return take_some(conn, iov, count, 1);
  case WRITE_ECLOSED:
    return end_by(conn, SSE_ECLOSED, SSE_ECLOSED);
  case WRITE_EIO:
    return end_by(conn, SSE_EIO, SSE_EIO);
  case WRITE_ESTALLED:
    return end_by(conn, SSE_ESTALLED, SSE_ESTALLED);
  case WRITE_NOTHING:
    return end_by(conn, SSE_ECALLBACK, 0);
  case WRITE_MORE:
    return end_by(conn, SSE_ECALLBACK, (ssize_t)all + 1);
  default:
    return take_some(conn, iov, count, 0);
  }
}

static ssize_t write_wire(void *io, const struct iovec *iov, int count) {
  struct conn *conn = io;
  enum sim_write how = planned(conn->sim);
  if (how != WRITES) return write_planned(conn, iov, count, how);
  size_t bytes = room_for(conn, total_of(iov, count));
  if (sim_chance(conn->sim, 1)) return SSE_ECLOSED;
  bool full = bytes == 0 || sim_chance(conn->sim, conn->sim->eagain);
  bool held = full && (is_greedy(conn) || sim_chance(conn->sim, conn->sim->held));
  take(conn, iov, count, true, full ? 0 : bytes);
  if (full && !held) conn->expect_len = 0; /* the library takes back what it lent */
  return held ? SSE_EHELD : full ? SSE_EAGAIN : (ssize_t)bytes;
}

/* ---- the host ---- */

static int serve_peek(struct conn *conn) {
  struct iovec iov[64];
  int count;
  int max = sim_chance(conn->sim, 50) ? 1 + (int)sim_draw(conn->sim, 3) : (int)COUNT(iov);
  while ((count = sse_stream_peek(conn->stream, iov, max)) > 0) {
    size_t bytes = room_for(conn, total_of(iov, count));
    if (sim_chance(conn->sim, conn->sim->eagain)) bytes = 0;
    take(conn, iov, count, count < max, bytes);
    sse_stream_consume(conn->stream, bytes);
    if (bytes == 0) return SSE_EAGAIN;
  }
  return count;
}

static int serve_read(struct conn *conn) {
  char buf[SIM_WIRE_MAX];
  size_t room;
  while ((room = room_for(conn, sizeof buf)) > 0) {
    ssize_t got = sse_stream_read(conn->stream, buf, room);
    if (got <= 0) return (int)got;
    if (conn->expect_len > (size_t)got) conn->expect_len = (size_t)got;
    const struct iovec iov = {buf, (size_t)got};
    take(conn, &iov, 1, false, (size_t)got);
  }
  return SSE_EAGAIN;
}

/* The client, once it has read what is on its way, has had all. */
static void judge_all(struct conn *conn) {
  conn_receive(conn, conn->on_wire);
  judge_complete(&conn->judge);
  if (conn->judge.fault) {
    sim_accuse(conn->sim, conn->judge.fault, "client %d: %s", conn_name(conn), conn->judge.detail);
  }
}

/* All its channels are, and the client has had all. */
static bool judge_finished(struct conn *conn) {
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    bool finished = conn->sim->life->finished & 1u << i;
    if (judge_has(&conn->judge, i) && !finished) return false;
  }
  judge_all(conn);
  return true;
}

/* After the retry block, and the client has had all up to the dismissal. */
static bool judge_dismissed(struct conn *conn) {
  if (!conn->judge.dismissed || !conn->stream->outq.retry_sent) return false;
  judge_all(conn);
  conn->sim->seen[SEEN_DISMISSED]++;
  return true;
}

/* An end has a cause, and is told as often as one asks. */
static void judge_end(struct conn *conn, int reason) {
  const struct sim *sim = conn->sim;
  struct iovec iov;
  int64_t now_ms = sim->world.now_ms;
  bool good = reason == SSE_ECLOSED || reason == SSE_EPINNED;
  if (reason == SSE_ESTALLED) good = now_ms - conn->moved_ms >= SIM_PATIENCE_MS;
  if (reason == SSE_EAGED) good = now_ms - conn->opened_ms >= SIM_AGE_MS * 3 / 4;
  if (reason == SSE_EDISCONNECTED) good = conn->kicked;
  if (reason == SSE_EDRAINED) good = sim->life->drained;
  if (reason == SSE_ESLOW) good = conn->closes;
  if (reason == SSE_EFINISHED) good = judge_finished(conn);
  bool other = reason == SSE_EAGED || reason == SSE_EDRAINED || reason == SSE_EFINISHED;
  if (conn->judge.dismissed && other) good = false;
  if (reason == SSE_EDISMISSED) good = judge_dismissed(conn);
  if (conn->must_end) good = reason == conn->must_end;
  if (sse_stream_peek(conn->stream, &iov, 1) != reason) good = false;
  if (!good) sim_accuse(conn->sim, "a stream ends without cause", "%s", sse_error_name(reason));
  if (reason == SSE_ESLOW) conn->sim->seen[SEEN_SLOW]++;
  if (sim_chance(conn->sim, 50)) conn_receive(conn, conn->on_wire);
  if (conn->client.chunked && sse_end_is_gentle(reason)) {
    conn_receive(conn, conn->on_wire);
    judge_body(conn, JUDGE_GENTLE);
  }
  conn_cut(conn, sse_error_name(reason));
}

/*
 * The last look at the stream found no memory. Another finds none either, and each leaves the
 * stream and its hub as they were.
 */
static void judge_nomem(struct conn *conn) {
  struct sim *sim = conn->sim;
  struct picture before, after;
  struct iovec iov;
  sim->seen[SEEN_NOMEM]++;
  picture_take(&before, sim->world.hub, conn->stream);
  world_fail(1, true);
  int result = sse_stream_peek(conn->stream, &iov, 1);
  sim_restore_memory(sim);
  picture_take(&after, sim->world.hub, conn->stream);
  if (result != SSE_ENOMEM || !picture_same(&before, &after)) {
    sim_accuse(sim, "a look that fails changes something", "%s", sse_error_name(result));
  }
  if (sim->plan.fail_alloc == 0 || sim->fair) sim_accuse(sim, "memory is there", "%s", "");
}

/* The host looks at a stream that has something, or whose transport has room. */
void conn_serve(struct conn *conn) {
  struct sim *sim = conn->sim;
  int result;
  conn->armed = conn->woken = conn->blocked = conn->owed.is = false;
  if (sim_delays(sim, 5)) {
    conn->blocked = true; /* it has other things to do first */
    return;
  }
  switch (sim->plan.fail_write ? 0 : sim_draw(sim, 3)) {
  case 0:
    result = sse_stream_flush(conn->stream, write_wire, conn);
    break;
  case 1:
    result = serve_peek(conn);
    break;
  default:
    result = serve_read(conn);
    break;
  }
  sim_note(sim, "  client %d: served, %s", conn_name(conn), sse_error_name(result));
  if (result == SSE_ENOMEM) judge_nomem(conn);
  if (result == SSE_EAGAIN) {
    conn->blocked = true;
  } else if (sse_error_is_final(result)) {
    judge_end(conn, result);
  } else {
    conn->armed = true; /* also without memory: the library looks again */
  }
}

int sim_wake_loop(void *arg, unsigned why) {
  struct sim_loop *loop = arg;
  (void)why;
  if (loop->failing > 0 && !loop->sim->fair) return (int)loop->failing--;
  loop->woken = true;
  return 0;
}

int sim_wake_conn(void *arg, unsigned why) {
  struct conn *conn = arg;
  (void)why;
  if ((why & SSE_WAKE_READY) && !conn->armed) {
    sim_accuse(conn->sim, "a stream is woken that does not wait", "client %d", conn_name(conn));
  }
  conn->armed = false;
  conn->woken = true;
  return 0;
}
