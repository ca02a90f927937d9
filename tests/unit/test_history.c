/* SPDX-License-Identifier: MIT */
/* test_history.c: random histories of a hub and its clients, each judged as a whole.
 *
 * SSE_SEED=n repeats one history and prints what happens in it; SSE_HISTORIES=n sets how many run.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "history.h"
#include "hub.h"
#include "world.h"

#define HISTORIES   4000
#define CLIENTS     6
#define LOOPS       2
#define LIVES       4
#define WIRE_MAX    4096
#define EXPECT_MAX  64
#define PATIENCE_MS 3000 /* the stall deadline of every stream */
#define AGE_MS      9000
#define COUNT(a)    (sizeof(a) / sizeof(a)[0])

enum op {
  PUBLISH,
  BURST,
  OPEN,
  CUT,
  RECEIVE,
  HOST,
  WAIT,
  JUMP,
  FREEZE,
  CONFIGURE,
  TICK,
  LOOP,
  RESTART,
  OPS
};

/* ---- a client, its connection and what is under way on it ---- */

struct conn {
  struct client client;
  struct chain chain;
  struct sim *sim;
  sse_stream *stream, *leaving; /* and one that is detached, whose bytes are still lent */
  struct sim_loop *loop;        /* NULL: it stands alone */
  bool armed, woken;            /* alone: it waits for its wake; the wake came */
  bool blocked;                 /* the host has to go on with it as soon as there is room */
  bool polled;                  /* alone and without a wake */
  bool frozen;                  /* the client does not read */
  int64_t opened_ms, moved_ms;
  char wire[WIRE_MAX]; /* accepted, and not yet read by the client */
  size_t on_wire, wire_cap;
  char expect[EXPECT_MAX]; /* what the next bytes have to be: they were lent before */
  size_t expect_len;
};

struct sim_loop {
  sse_loop *loop;
  struct sim *sim;
  bool woken;
  int64_t sleep_ms; /* it sleeps until then */
  unsigned failing; /* so many wakes fail */
};

/* One history. The mix is drawn from the seed. */
struct sim {
  struct world world;
  struct history lives[LIVES];
  struct history *life;
  size_t lives_count;
  struct sim_loop loops[LOOPS];
  struct conn conns[CLIENTS];
  sse_hub_config config;
  unsigned weights[OPS];
  unsigned channels, eagain, held, tiny, failing; /* the last four in percent */
  bool fair;          /* the end: everything works, and everybody reads */
  size_t bytes;       /* of memory before the hub */
  bool nested, trace; /* within a round of a loop; print it all */
  const char *fault;
  char detail[320];
};

static uint64_t draw(struct sim *sim, uint64_t n) {
  return world_random(&sim->world, n);
}

static bool chance(struct sim *sim, unsigned percent) {
  return !sim->fair && draw(sim, 100) < percent;
}

static void note(const struct sim *sim, const char *format, ...) {
  va_list args;
  if (!sim->trace) return;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
}

static void accuse(struct sim *sim, const char *fault, const char *format, ...) {
  va_list args;
  if (sim->fault) return;
  sim->fault = fault;
  va_start(args, format);
  vsnprintf(sim->detail, sizeof sim->detail, format, args);
  va_end(args);
}

static int name_of(const struct conn *conn) {
  return (int)(conn - conn->sim->conns);
}

static void saw(void *arg, const struct client_item *item) {
  static const char *const kinds[] = {"event", "gap", "position"};
  struct conn *conn = arg;
  note(conn->sim,
       "    client %d: %s id %s channel %u serial %" PRIu64 " %s%s channels %x lost %" PRIu64,
       name_of(conn), kinds[item->kind], item->id, item->channel, item->serial, item->reason,
       item->requested, item->channels, item->lost);
  chain_take(&conn->chain, item);
  if (conn->chain.fault) {
    accuse(conn->sim, conn->chain.fault, "client %d: %s", name_of(conn), conn->chain.detail);
  }
}

/* What the hub has let go is taken from its own windows. */
static void observe(struct sim *sim) {
  const struct sse_hub *hub = sim->world.hub;
  for (unsigned i = 0; i < sim->channels; i++) {
    const char *name = client_channel(i);
    const struct sse__channel *channel = sse__channels_find(&hub->channels, name, strlen(name));
    history_evict(sim->life, i, channel ? channel->window.evicted : hub->head);
  }
  if (hub->channels.floor > 0) sim->life->inexact = true;
  if (hub->head != sim->life->head) accuse(sim, "a number was taken without an event", "%s", "");
  if (hub->store.bytes > hub->store.bytes_max) accuse(sim, "over the ceiling", "%s", "");
}

/* ---- the network ---- */

/* The client reads; what it does not get before a reset is lost. */
static void receive(struct conn *conn, size_t len) {
  if (len > conn->on_wire) len = conn->on_wire;
  if (len == 0) return;
  observe(conn->sim);
  client_feed(&conn->client, conn->wire, len);
  memmove(conn->wire, conn->wire + len, conn->on_wire -= len);
  if (conn->client.fault) accuse(conn->sim, conn->client.fault, "client %d", name_of(conn));
}

static void cut(struct conn *conn, const char *why) {
  sse_stream *stream = conn->stream;
  note(conn->sim, "  client %d: connection ends, %s", name_of(conn), why);
  conn->stream = NULL;
  conn->on_wire = 0;
  if (conn->leaving) sse_stream_free(conn->leaving);
  conn->leaving = NULL;
  if (chance(conn->sim, 50)) {
    sse_stream_detach(stream);
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
      accuse(conn->sim, "what is lent changed", "client %d", name_of(conn));
    }
    at += len;
  }
  if (all && at < conn->expect_len) {
    accuse(conn->sim, "what is lent shrank", "client %d", name_of(conn));
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
  if (conn->sim->fair) receive(conn, conn->on_wire);
}

static size_t total_of(const struct iovec *iov, int count) {
  size_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += iov[i].iov_len;
  return bytes;
}

/* How many of the bytes the transport takes now, 0 if it is full. */
static size_t room_for(struct conn *conn, size_t bytes) {
  size_t room = conn->wire_cap - conn->on_wire;
  if (room > bytes) room = bytes;
  if (room > 0 && chance(conn->sim, conn->sim->tiny)) return 1;
  return room > 1 && chance(conn->sim, 40) ? 1 + draw(conn->sim, room) : room;
}

static ssize_t write_wire(void *io, const struct iovec *iov, int count) {
  struct conn *conn = io;
  size_t bytes = room_for(conn, total_of(iov, count));
  if (chance(conn->sim, 1)) return SSE_ECLOSED;
  bool full = bytes == 0 || chance(conn->sim, conn->sim->eagain);
  bool held = full && chance(conn->sim, conn->sim->held);
  take(conn, iov, count, true, full ? 0 : bytes);
  if (full && !held) conn->expect_len = 0; /* the library takes back what it lent */
  note(conn->sim, "    client %d: write %s %zu", name_of(conn), held ? "held" : "",
       full ? 0 : bytes);
  return held ? SSE_EHELD : full ? SSE_EAGAIN : (ssize_t)bytes;
}

/* ---- the host ---- */

static int serve_peek(struct conn *conn) {
  struct iovec iov[64];
  int count;
  int max = chance(conn->sim, 50) ? 1 + (int)draw(conn->sim, 3) : (int)COUNT(iov);
  while ((count = sse_stream_peek(conn->stream, iov, max)) > 0) {
    size_t bytes = room_for(conn, total_of(iov, count));
    if (chance(conn->sim, conn->sim->eagain)) bytes = 0;
    take(conn, iov, count, count < max, bytes);
    sse_stream_consume(conn->stream, bytes);
    if (bytes == 0) return SSE_EAGAIN;
  }
  return count;
}

static int serve_read(struct conn *conn) {
  char buf[WIRE_MAX];
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

static void judge_end(struct conn *conn, int reason) {
  const struct sim *sim = conn->sim;
  int64_t now_ms = sim->world.now_ms;
  bool good = reason == SSE_ECLOSED || reason == SSE_EPINNED;
  if (reason == SSE_ESTALLED) good = now_ms - conn->moved_ms >= PATIENCE_MS;
  if (reason == SSE_EAGED) good = now_ms - conn->opened_ms >= AGE_MS * 3 / 4;
  if (!good) accuse(conn->sim, "a stream ends without cause", "%s", sse_error_name(reason));
  cut(conn, sse_error_name(reason));
}

/* The host looks at a stream that has something, or whose transport has room. */
static void serve(struct conn *conn) {
  struct sim *sim = conn->sim;
  int result;
  conn->armed = conn->woken = conn->blocked = false;
  if (chance(sim, 5)) {
    conn->blocked = true; /* it has other things to do first */
    return;
  }
  switch (draw(sim, 3)) {
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
  note(sim, "  client %d: served, %s", name_of(conn), sse_error_name(result));
  if (result == SSE_EAGAIN || result == SSE_ENOMEM) {
    conn->blocked = true;
  } else if (result < 0) {
    judge_end(conn, result);
  } else {
    conn->armed = true;
  }
}

static int wake_loop(void *arg, unsigned why) {
  struct sim_loop *loop = arg;
  (void)why;
  if (loop->failing > 0 && !loop->sim->fair) return (int)loop->failing--;
  loop->woken = true;
  return 0;
}

static int wake_conn(void *arg, unsigned why) {
  struct conn *conn = arg;
  (void)why;
  if ((why & SSE_WAKE_READY) && !conn->armed) {
    accuse(conn->sim, "a stream is woken that does not wait", "client %d", name_of(conn));
  }
  conn->armed = false;
  conn->woken = true;
  return 0;
}

/* ---- what can happen ---- */

static void fail_some(struct sim *sim) {
  if (chance(sim, sim->failing)) world_fail(1 + draw(sim, 6), draw(sim, 2));
}

static void publish(struct sim *sim, unsigned channel) {
  char payload[CLIENT_FILLER_MAX];
  uint64_t serial = sim->life->channels[channel].count + 1;
  size_t filler = draw(sim, 8) ? draw(sim, 40) : draw(sim, 400);
  client_payload(payload, sizeof payload, channel, serial, sim->fair ? 1 : filler);
  fail_some(sim);
  int result = sse_hub_send(sim->world.hub, client_channel(channel), NULL, payload);
  world_fail(0, false);
  note(sim, "  publish to %u: serial %" PRIu64 ", %s", channel, serial, sse_error_name(result));
  if (result == SSE_OK) {
    history_publish(sim->life, channel);
    note(sim, "    number %" PRIu64, sim->life->head);
  } else if (result == SSE_ENOMEM || result == SSE_EFULL || result == SSE_ETOOBIG) {
    if (sim->fair) accuse(sim, "a publish fails without cause", "%s", sse_error_name(result));
  } else if (result != SSE_ECHANNELS) {
    accuse(sim, "a publish fails without cause", "%s", sse_error_name(result));
  }
  observe(sim);
}

/* A client that comes for the first time, some with an id that is none. */
static void renew(struct conn *conn) {
  static const char *const forged[] = {"", "", "", "", "nonsense", "E0.01", "Q.7", "E0.9999999"};
  client_free(&conn->client);
  client_init(&conn->client, forged[draw(conn->sim, COUNT(forged))], saw, conn);
  conn->client.dispatched_ids = draw(conn->sim, 2);
}

static unsigned draw_channels(struct sim *sim, const char *names[CLIENT_CHANNELS + 1]) {
  unsigned channels = 1u << draw(sim, sim->channels), count = 0;
  for (uint64_t more = draw(sim, 5); more > 0; more--) channels |= 1u << draw(sim, sim->channels);
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    if (channels & 1u << i) names[count++] = client_channel(i);
  }
  names[count] = NULL;
  return channels;
}

/* A client that was told anything knows where it was, unless it was told so in a form it ignores.
 */
static void check_id(struct conn *conn) {
  sse_position position = conn->chain.position;
  bool knows = position == SSE_POSITION_EVENT ||
               (position == SSE_POSITION_ID && !conn->client.dispatched_ids);
  if (conn->client.told && knows && !*conn->client.last_id) {
    accuse(conn->sim, "a client does not know where it was", "client %d", name_of(conn));
  }
}

static void reset_conn(struct conn *conn) {
  static const size_t wires[] = {1, 60, 300, WIRE_MAX, WIRE_MAX};
  struct sim *sim = conn->sim;
  conn->woken = conn->armed = conn->frozen = false;
  conn->blocked = !conn->loop;
  conn->opened_ms = conn->moved_ms = sim->world.now_ms;
  conn->on_wire = conn->expect_len = 0;
  conn->wire_cap = sim->fair ? WIRE_MAX : wires[draw(sim, COUNT(wires))];
}

static void open_conn(struct conn *conn) {
  static const sse_http_head head;
  const char *names[CLIENT_CHANNELS + 1];
  struct sim *sim = conn->sim;
  struct sim_loop *loop = draw(sim, 3) ? &sim->loops[draw(sim, LOOPS)] : NULL;
  check_id(conn);
  if (chance(sim, 15)) renew(conn);
  unsigned channels = draw_channels(sim, names);
  conn->polled = !loop && draw(sim, 2);
  conn->loop = loop;
  const sse_stream_config config = {.channels = names,
                                    .last_id = conn->client.last_id,
                                    .user = conn,
                                    .loop = loop ? loop->loop : NULL,
                                    .wake = loop || conn->polled ? NULL : wake_conn,
                                    .head = draw(sim, 4) ? NULL : &head,
                                    .position = (sse_position)(draw(sim, 2) * draw(sim, 3))};
  fail_some(sim);
  int result = sse_stream_open(&conn->stream, sim->world.hub, &config);
  world_fail(0, false);
  note(sim, "  client %d: open %x with '%s' on %d, position %d, %s", name_of(conn), channels,
       conn->client.last_id, loop ? (int)(loop - sim->loops) : -1, (int)config.position,
       sse_error_name(result));
  observe(sim);
  if (result != SSE_OK) {
    if (result != SSE_ENOMEM && result != SSE_ECHANNELS) {
      accuse(sim, "an open fails without cause", "%s", sse_error_name(result));
    }
    return;
  }
  reset_conn(conn);
  client_connect(&conn->client, config.head != NULL);
  chain_open(&conn->chain, sim->life, channels, conn->client.last_id,
             sse_stream_verdict(conn->stream), config.position);
  if (conn->chain.fault) accuse(sim, conn->chain.fault, "%s", conn->chain.detail);
}

static void happen(struct sim *sim);

/* One round of a loop; other things happen in between. */
static void run_loop(struct sim *sim, struct sim_loop *loop) {
  struct sse_stream *stream;
  note(sim, "  loop %d: round", (int)(loop - sim->loops));
  loop->woken = false;
  while ((stream = sse_loop_next(loop->loop)) && !sim->fault) {
    struct conn *conn = sse_stream_user(stream);
    if (conn->stream != stream) {
      accuse(sim, "a loop returns a stream that it has no more", "client %d", name_of(conn));
      return;
    }
    serve(conn);
    sim->nested = true;
    if (chance(sim, 25)) happen(sim);
    sim->nested = false;
  }
}

static void host(struct sim *sim) {
  int64_t now_ms = sim->world.now_ms;
  for (struct sim_loop *loop = sim->loops; loop < sim->loops + LOOPS; loop++) {
    if (chance(sim, 25)) continue;
    int timeout = sse_loop_timeout(loop->loop);
    if (loop->woken || timeout == 0 || now_ms >= loop->sleep_ms) run_loop(sim, loop);
    timeout = sse_loop_timeout(loop->loop);
    loop->sleep_ms = timeout < 0 ? INT64_MAX : now_ms + timeout;
  }
  for (struct conn *conn = sim->conns; conn < sim->conns + CLIENTS; conn++) {
    if (!conn->stream || chance(sim, 25)) continue;
    bool due = conn->woken || (conn->blocked && conn->on_wire < conn->wire_cap);
    if (!due && conn->polled && !conn->blocked) due = sse_stream_wait(conn->stream, 0) != 0;
    if (due) serve(conn);
  }
}

static void configure(struct sim *sim) {
  const sse_channel_config config = {.window_frames_max = draw(sim, 6),
                                     .window_bytes_max = draw(sim, 2) * draw(sim, 1000),
                                     .window_age_ms = (int32_t)(draw(sim, 2) * draw(sim, 2000))};
  unsigned channel = (unsigned)draw(sim, sim->channels);
  int result = sse_hub_configure(sim->world.hub, client_channel(channel), &config);
  note(sim, "  configure %u: %s", channel, sse_error_name(result));
  observe(sim);
}

/* A hub begins, with a new epoch, and its loops. */
static void begin_life(struct sim *sim) {
  char epoch[8];
  snprintf(epoch, sizeof epoch, "E%zu", sim->lives_count);
  sim->life = &sim->lives[sim->lives_count++];
  history_init(sim->life, epoch);
  sim->config.epoch = epoch;
  sim->bytes = world_bytes();
  world_open(&sim->world, &sim->config);
  for (struct sim_loop *loop = sim->loops; loop < sim->loops + LOOPS; loop++) {
    *loop = (struct sim_loop){.sim = sim, .sleep_ms = INT64_MAX};
    assert_int_equal(sse_loop_new(&loop->loop, sim->world.hub, wake_loop, loop), SSE_OK);
  }
}

/* It ends, and every byte of it comes back. */
static void end_life(struct sim *sim) {
  const struct sse_hub *hub = sim->world.hub;
  for (struct conn *conn = sim->conns; conn < sim->conns + CLIENTS; conn++) {
    if (conn->stream) cut(conn, "the hub ends");
    sse_stream_free(conn->leaving);
    conn->leaving = NULL;
  }
  if (hub->store.bytes != hub->store.window_bytes) accuse(sim, "frames were kept", "%s", "");
  if (sse_hub_count(sim->world.hub, NULL) > 0) accuse(sim, "streams were kept", "%s", "");
  for (unsigned i = 0; i < LOOPS; i++) assert_int_equal(sse_loop_free(sim->loops[i].loop), SSE_OK);
  assert_int_equal(sse_hub_free(sim->world.hub), SSE_OK);
  if (world_bytes() != sim->bytes) accuse(sim, "memory was kept", "%s", "");
}

/* What happens between rounds only; a round takes no time. */
static void happen_between(struct sim *sim, enum op op) {
  if (op == WAIT) {
    sim->world.now_ms += (int64_t)draw(sim, 400);
  } else if (op == JUMP) {
    sim->world.now_ms += 1000 + (int64_t)draw(sim, 5000);
  } else if (op == LOOP) {
    for (unsigned i = 0; i < LOOPS; i++) sim->loops[i].failing = (unsigned)draw(sim, 3);
  } else if (op == RESTART && sim->lives_count < LIVES && draw(sim, 4) == 0) {
    note(sim, "  the hub ends");
    end_life(sim);
    begin_life(sim);
  } else if (op == HOST) {
    host(sim);
  }
}

static void happen(struct sim *sim) {
  struct conn *conn = &sim->conns[draw(sim, CLIENTS)];
  uint64_t sum = 0, at;
  unsigned op = 0;
  for (unsigned i = 0; i < OPS; i++) sum += sim->weights[i];
  for (at = draw(sim, sum); at >= sim->weights[op]; op++) at -= sim->weights[op];
  switch ((enum op)op) {
  case PUBLISH:
    publish(sim, (unsigned)draw(sim, sim->channels));
    break;
  case BURST:
    for (uint64_t n = draw(sim, 12); n > 0; n--) publish(sim, (unsigned)draw(sim, sim->channels));
    break;
  case OPEN:
    if (!conn->stream) open_conn(conn);
    break;
  case CUT:
    if (conn->stream && draw(sim, 2)) receive(conn, draw(sim, conn->on_wire + 1));
    if (conn->stream) cut(conn, "reset");
    break;
  case RECEIVE:
    if (conn->stream && !conn->frozen) receive(conn, 1 + draw(sim, 2 * conn->wire_cap));
    break;
  case FREEZE:
    conn->frozen = !conn->frozen;
    break;
  case CONFIGURE:
    configure(sim);
    break;
  case TICK:
    sse_hub_tick(sim->world.hub);
    break;
  default:
    if (!sim->nested) happen_between(sim, (enum op)op);
    break;
  }
}

/* ---- a history ---- */

static size_t draw_size(struct sim *sim, const size_t *from, size_t count) {
  return from[draw(sim, count)];
}

static void draw_mix(struct sim *sim) {
  static const unsigned usual[OPS] = {12, 3, 6, 3, 14, 20, 6, 1, 1, 1, 2, 1, 1};
  static const size_t ceilings[] = {2400, 4000, 12000, 0, 0};
  static const size_t frames[] = {1, 2, 3, 5, 12, 0}, bytes[] = {0, 0, 400, 1500};
  static const size_t ghosts[] = {0, 0, 1, 2}, percents[] = {0, 0, 5, 40};
  for (unsigned i = 0; i < OPS; i++) {
    sim->weights[i] = usual[i] * (unsigned)(1 + draw(sim, 4) * draw(sim, 3));
  }
  if (draw(sim, 3) == 0) sim->weights[CUT] = 0;
  if (draw(sim, 3) == 0) sim->weights[CONFIGURE] = 0;
  sim->channels = 1 + (unsigned)draw(sim, CLIENT_CHANNELS);
  sim->eagain = (unsigned)draw_size(sim, percents, COUNT(percents));
  sim->held = (unsigned)draw_size(sim, percents, COUNT(percents));
  sim->tiny = (unsigned)draw_size(sim, percents, COUNT(percents));
  sim->failing = draw(sim, 3) ? 0 : 10;
  sim->config = (sse_hub_config){
      .memory_max_bytes = draw_size(sim, ceilings, COUNT(ceilings)),
      .channels_max = draw(sim, 6) ? 0 : 3,
      .ghosts_max = (uint32_t)draw_size(sim, ghosts, COUNT(ghosts)),
      .channel_idle_ms = draw(sim, 2) ? 700 : SSE_NEVER,
      .heartbeat_ms = draw(sim, 4) ? 1000 : SSE_NEVER,
      .stall_ms = PATIENCE_MS,
      .age_max_ms = draw(sim, 2) ? AGE_MS : SSE_NEVER,
      .channel = {.window_frames_max = draw_size(sim, frames, COUNT(frames)),
                  .window_bytes_max = draw_size(sim, bytes, COUNT(bytes)),
                  .window_age_ms = draw(sim, 4) ? SSE_NEVER : 500},
  };
}

/* The host goes on until it may sleep. */
static void exhaust(struct sim *sim) {
  bool busy = true;
  for (unsigned turn = 0; busy && !sim->fault; turn++) {
    if (turn == 1000) accuse(sim, "the host does not come to rest", "%s", "");
    sse_hub_tick(sim->world.hub);
    host(sim);
    busy = false;
    for (unsigned i = 0; i < LOOPS; i++) {
      busy = busy || sim->loops[i].woken || sse_loop_timeout(sim->loops[i].loop) == 0;
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
      busy = busy || (sim->conns[i].stream && (sim->conns[i].woken || sim->conns[i].blocked));
    }
  }
}

static void judge_rest(struct conn *conn) {
  struct iovec iov;
  chain_complete(&conn->chain);
  if (conn->chain.fault) {
    accuse(conn->sim, conn->chain.fault, "client %d: %s", name_of(conn), conn->chain.detail);
  } else if (sse_stream_peek(conn->stream, &iov, 1) != 0) {
    accuse(conn->sim, "a stream that rests has bytes", "client %d", name_of(conn));
  }
}

/* Now everybody reads, and nothing fails: soon all have had all, and are asleep. */
static void settle(struct sim *sim) {
  note(sim, "everybody reads");
  sim->fair = true;
  for (struct conn *conn = sim->conns; conn < sim->conns + CLIENTS; conn++) {
    sse_stream_free(conn->leaving);
    conn->leaving = NULL;
    conn->wire_cap = WIRE_MAX;
    if (conn->stream) receive(conn, conn->on_wire);
  }
  exhaust(sim);
  for (struct conn *conn = sim->conns; conn < sim->conns + CLIENTS; conn++) {
    if (!conn->stream) open_conn(conn);
  }
  exhaust(sim);
  for (unsigned i = 0; i < 2 * sim->channels; i++) publish(sim, i % sim->channels);
  exhaust(sim);
  for (struct conn *conn = sim->conns; conn < sim->conns + CLIENTS && !sim->fault; conn++) {
    if (conn->stream) judge_rest(conn);
  }
}

static bool run(struct sim *sim, uint64_t seed, bool trace) {
  memset(sim, 0, sizeof *sim);
  sim->trace = trace;
  sim->world.seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
  for (unsigned i = 0; i < 8; i++) draw(sim, 2);
  draw_mix(sim);
  for (struct conn *conn = sim->conns; conn < sim->conns + CLIENTS; conn++) {
    conn->sim = sim;
    renew(conn);
  }
  begin_life(sim);
  for (uint64_t n = 20 + draw(sim, 180); n > 0 && !sim->fault; n--) happen(sim);
  if (!sim->fault) settle(sim);
  if (!sim->fault) end_life(sim);
  for (unsigned i = 0; i < CLIENTS; i++) client_free(&sim->conns[i].client);
  for (unsigned i = 0; i < LIVES; i++) history_free(&sim->lives[i]);
  if (sim->fault) {
    print_error("SSE_SEED=%" PRIu64 ": %s (%s)\n", seed, sim->fault, sim->detail);
  }
  return !sim->fault;
}

static void test_histories(void **state) {
  static struct sim sim;
  const char *seed = getenv("SSE_SEED"), *histories = getenv("SSE_HISTORIES");
  uint64_t last = histories ? strtoull(histories, NULL, 10) : HISTORIES;
  (void)state;
  if (seed) {
    assert_true(run(&sim, strtoull(seed, NULL, 10), true));
    return;
  }
  for (uint64_t n = 1; n <= last; n++) {
    if (run(&sim, n, false)) continue;
    run(&sim, n, true);
    fail_msg("history %" PRIu64 " of %" PRIu64, n, last);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
