/* SPDX-License-Identifier: MIT */
/* sim_life.c: what can happen in a random history, from its first hub to its end. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub.h"
#include "picture.h"
#include "sim.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- what can happen ---- */

static void fail_some(struct sim *sim) {
  if (sim_chance(sim, sim->failing)) world_fail(1 + sim_draw(sim, 6), sim_draw(sim, 2));
}

/* Memory is there again, unless the plan says otherwise. */
static void fail_no_more(const struct sim *sim) {
  if (sim->failing > 0) world_fail(0, false);
}

/* A call that failed had a cause, and has left everything as it was. */
static void judge_failure(struct sim *sim, const struct picture *before, int result) {
  struct picture after;
  bool scarce = result == SSE_ENOMEM || result == SSE_EFULL || result == SSE_ETOOBIG;
  if (result == SSE_ENOMEM) sim->seen[SEEN_NOMEM]++;
  if (result == SSE_EFULL) sim->seen[SEEN_FULL]++;
  if (result != SSE_ECHANNELS && (sim->fair || !scarce)) {
    sim_accuse(sim, "a call fails without cause", "%s", sse_error_name(result));
  }
  picture_take(&after, sim->world.hub, NULL);
  if (!picture_same(before, &after)) {
    sim_accuse(sim, "a call that fails changes something", "%s", sse_error_name(result));
  }
}

static void publish(struct sim *sim, unsigned channel) {
  struct picture before;
  char payload[CLIENT_FILLER_MAX];
  uint64_t serial = sim->life->channels[channel].count + 1;
  size_t filler = sim_draw(sim, 8) ? sim_draw(sim, 40) : sim_draw(sim, 400);
  client_payload(payload, sizeof payload, channel, serial, sim->fair ? 1 : filler);
  picture_take(&before, sim->world.hub, NULL);
  fail_some(sim);
  int result = sse_hub_send(sim->world.hub, client_channel(channel), NULL, payload);
  fail_no_more(sim);
  sim_note(sim, "  publish to %u: serial %" PRIu64 ", %s", channel, serial, sse_error_name(result));
  if (result == SSE_OK) {
    history_publish(sim->life, channel);
    sim_note(sim, "    number %" PRIu64, sim->life->head);
  } else {
    judge_failure(sim, &before, result);
  }
  sim_observe(sim);
}

/* A client that comes for the first time, some with an id that is none. */
static void renew(struct conn *conn) {
  static const char *const forged[] = {"", "", "", "", "nonsense", "E0.01", "Q.7", "E0.9999999"};
  client_free(&conn->client);
  client_init(&conn->client, forged[sim_draw(conn->sim, COUNT(forged))], sim_saw, conn);
  conn->client.dispatched_ids = sim_draw(conn->sim, 2);
}

static unsigned draw_channels(struct sim *sim, const char *names[CLIENT_CHANNELS + 1]) {
  unsigned channels = 1u << sim_draw(sim, sim->channels), count = 0;
  for (uint64_t more = sim_draw(sim, 5); more > 0; more--)
    channels |= 1u << sim_draw(sim, sim->channels);
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
    sim_accuse(conn->sim, "a client does not know where it was", "client %d", conn_name(conn));
  }
}

static void reset_conn(struct conn *conn) {
  static const size_t wires[] = {1, 60, 300, SIM_WIRE_MAX, SIM_WIRE_MAX};
  struct sim *sim = conn->sim;
  conn->woken = conn->armed = conn->frozen = false;
  conn->must_end = 0;
  conn->blocked = !conn->loop;
  conn->opened_ms = conn->moved_ms = sim->world.now_ms;
  conn->on_wire = conn->expect_len = 0;
  conn->wire_cap = sim->fair ? SIM_WIRE_MAX : wires[sim_draw(sim, COUNT(wires))];
}

static void see_open(const struct conn *conn, const char *const names[]) {
  struct sim *sim = conn->sim;
  sse_verdict verdict = sse_stream_verdict(conn->stream);
  sim->seen[conn->loop ? SEEN_IN_LOOP : SEEN_ALONE]++;
  if (names[1]) sim->seen[SEEN_SEVERAL]++;
  if (verdict == SSE_VERDICT_RESUMED) sim->seen[SEEN_RESUMED]++;
  if (verdict == SSE_VERDICT_EVICTED) sim->seen[SEEN_EVICTED]++;
}

static void open_conn(struct conn *conn) {
  static const sse_http_head head;
  const char *names[CLIENT_CHANNELS + 1];
  struct picture before;
  struct sim *sim = conn->sim;
  bool alone = sim_draw(sim, 3) == 0;
  struct sim_loop *loop = alone ? NULL : &sim->loops[sim_draw(sim, SIM_LOOPS)];
  check_id(conn);
  if (sim_chance(sim, 15)) renew(conn);
  unsigned channels = draw_channels(sim, names);
  conn->polled = alone && sim_draw(sim, 2);
  conn->loop = loop;
  const sse_stream_config config = {.channels = names,
                                    .last_id = conn->client.last_id,
                                    .user = conn,
                                    .loop = alone ? NULL : loop->loop,
                                    .wake = alone && !conn->polled ? sim_wake_conn : NULL,
                                    .head = sim_draw(sim, 4) ? NULL : &head,
                                    .position =
                                        (sse_position)(sim_draw(sim, 2) * sim_draw(sim, 3))};
  picture_take(&before, sim->world.hub, NULL);
  fail_some(sim);
  int result = sse_stream_open(&conn->stream, sim->world.hub, &config);
  fail_no_more(sim);
  sim_note(sim, "  client %d: open %x with '%s' on %d, position %d, %s", conn_name(conn), channels,
           conn->client.last_id, alone ? -1 : (int)(loop - sim->loops), (int)config.position,
           sse_error_name(result));
  sim_observe(sim);
  if (result != SSE_OK) {
    judge_failure(sim, &before, result);
    return;
  }
  reset_conn(conn);
  client_connect(&conn->client, config.head != NULL);
  see_open(conn, names);
  chain_open(&conn->chain, sim->life, channels, conn->client.last_id,
             sse_stream_verdict(conn->stream), config.position);
  if (conn->chain.fault) sim_accuse(sim, conn->chain.fault, "%s", conn->chain.detail);
}

static void happen(struct sim *sim);

/* One round of a loop; other things happen in between. */
static void run_loop(struct sim *sim, struct sim_loop *loop) {
  struct sse_stream *stream;
  sim_note(sim, "  loop %d: round", (int)(loop - sim->loops));
  loop->woken = false;
  while ((stream = sse_loop_next(loop->loop)) && !sim->fault) {
    struct conn *conn = sse_stream_user(stream);
    if (conn->stream != stream) {
      sim_accuse(sim, "a loop returns a stream that it has no more", "client %d", conn_name(conn));
      return;
    }
    conn_serve(conn);
    sim->nested = true;
    if (sim_chance(sim, 25)) happen(sim);
    sim->nested = false;
  }
}

static void host(struct sim *sim) {
  int64_t now_ms = sim->world.now_ms;
  for (struct sim_loop *loop = sim->loops; loop < sim->loops + SIM_LOOPS; loop++) {
    if (sim_chance(sim, 25)) continue;
    int timeout = sse_loop_timeout(loop->loop);
    if (loop->woken || timeout == 0 || now_ms >= loop->sleep_ms) run_loop(sim, loop);
    timeout = sse_loop_timeout(loop->loop);
    loop->sleep_ms = timeout < 0 ? INT64_MAX : now_ms + timeout;
  }
  for (struct conn *conn = sim->conns; conn < sim->conns + SIM_CLIENTS; conn++) {
    if (!conn->stream || sim_chance(sim, 25)) continue;
    bool due = conn->woken || (conn->blocked && conn->on_wire < conn->wire_cap);
    if (!due && conn->polled && !conn->blocked) due = sse_stream_wait(conn->stream, 0) != 0;
    if (due) conn_serve(conn);
  }
}

static void configure(struct sim *sim) {
  const sse_channel_config config = {.window_frames_max = sim_draw(sim, 6),
                                     .window_bytes_max = sim_draw(sim, 2) * sim_draw(sim, 1000),
                                     .window_age_ms =
                                         (int32_t)(sim_draw(sim, 2) * sim_draw(sim, 2000))};
  unsigned channel = (unsigned)sim_draw(sim, sim->channels);
  struct picture before;
  picture_take(&before, sim->world.hub, NULL);
  int result = sse_hub_configure(sim->world.hub, client_channel(channel), &config);
  sim_note(sim, "  configure %u: %s", channel, sse_error_name(result));
  if (result) judge_failure(sim, &before, result);
  sim->seen[SEEN_CONFIGURED] += result == SSE_OK;
  sim_observe(sim);
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
  for (struct sim_loop *loop = sim->loops; loop < sim->loops + SIM_LOOPS; loop++) {
    *loop = (struct sim_loop){.sim = sim, .sleep_ms = INT64_MAX};
    assert_int_equal(sse_loop_new(&loop->loop, sim->world.hub, sim_wake_loop, loop), SSE_OK);
  }
  if (sim->plan.fail_alloc) world_fail(sim->plan.fail_alloc, sim->plan.onwards);
}

/* It ends, and every byte of it comes back. */
static void end_life(struct sim *sim) {
  const struct sse_hub *hub = sim->world.hub;
  for (struct conn *conn = sim->conns; conn < sim->conns + SIM_CLIENTS; conn++) {
    if (conn->stream) conn_cut(conn, "the hub ends");
    sse_stream_free(conn->leaving);
    conn->leaving = NULL;
  }
  if (hub->store.bytes != hub->store.window_bytes) sim_accuse(sim, "frames were kept", "%s", "");
  if (sse_hub_count(sim->world.hub, NULL) > 0) sim_accuse(sim, "streams were kept", "%s", "");
  for (unsigned i = 0; i < SIM_LOOPS; i++)
    assert_int_equal(sse_loop_free(sim->loops[i].loop), SSE_OK);
  assert_int_equal(sse_hub_free(sim->world.hub), SSE_OK);
  if (world_bytes() != sim->bytes) sim_accuse(sim, "memory was kept", "%s", "");
}

/* What happens between rounds only; a round takes no time. */
static void happen_between(struct sim *sim, enum sim_op op) {
  if (op == WAIT) {
    sim->world.now_ms += (int64_t)sim_draw(sim, 400);
  } else if (op == JUMP) {
    sim->world.now_ms += 1000 + (int64_t)sim_draw(sim, 5000);
  } else if (op == LOOP) {
    for (unsigned i = 0; i < SIM_LOOPS; i++) sim->loops[i].failing = (unsigned)sim_draw(sim, 3);
  } else if (op == RESTART && sim->lives_count < SIM_LIVES && sim_draw(sim, 4) == 0) {
    sim_note(sim, "  the hub ends");
    end_life(sim);
    begin_life(sim);
  } else if (op == HOST) {
    host(sim);
  }
}

static void happen(struct sim *sim) {
  struct conn *conn = &sim->conns[sim_draw(sim, SIM_CLIENTS)];
  uint64_t sum = 0, at;
  unsigned op = 0;
  for (unsigned i = 0; i < OPS; i++) sum += sim->weights[i];
  for (at = sim_draw(sim, sum); at >= sim->weights[op]; op++) at -= sim->weights[op];
  switch ((enum sim_op)op) {
  case PUBLISH:
    publish(sim, (unsigned)sim_draw(sim, sim->channels));
    break;
  case BURST:
    for (uint64_t n = sim_draw(sim, 12); n > 0; n--)
      publish(sim, (unsigned)sim_draw(sim, sim->channels));
    break;
  case OPEN:
    if (!conn->stream) open_conn(conn);
    break;
  case CUT:
    if (conn->stream && sim_draw(sim, 2)) conn_receive(conn, sim_draw(sim, conn->on_wire + 1));
    if (conn->stream) conn_cut(conn, "reset");
    break;
  case RECEIVE:
    if (conn->stream && !conn->frozen) conn_receive(conn, 1 + sim_draw(sim, 2 * conn->wire_cap));
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
    if (!sim->nested) happen_between(sim, (enum sim_op)op);
    break;
  }
}

/* ---- a history ---- */

/* The host goes on until it may sleep. */
static void exhaust(struct sim *sim) {
  bool busy = true;
  for (unsigned turn = 0; busy && !sim->fault; turn++) {
    if (turn == 1000) sim_accuse(sim, "the host does not come to rest", "%s", "");
    sse_hub_tick(sim->world.hub);
    host(sim);
    busy = false;
    for (unsigned i = 0; i < SIM_LOOPS; i++) {
      busy = busy || sim->loops[i].woken || sse_loop_timeout(sim->loops[i].loop) == 0;
    }
    for (unsigned i = 0; i < SIM_CLIENTS; i++) {
      busy = busy || (sim->conns[i].stream && (sim->conns[i].woken || sim->conns[i].blocked));
    }
  }
}

/* The stream rests: all was told, and in the silence since even the id of the head. */
static void judge_rest(struct conn *conn) {
  const struct sim *sim = conn->sim;
  struct iovec iov;
  chain_complete(&conn->chain);
  if (sim->config.heartbeat_ms != SSE_NEVER && conn->chain.position != SSE_POSITION_OFF &&
      conn->chain.id != sim->life->head) {
    sim_accuse(conn->sim, "an id has fallen behind", "client %d: %" PRIu64, conn_name(conn),
               conn->chain.id);
  }
  if (conn->chain.fault) {
    sim_accuse(conn->sim, conn->chain.fault, "client %d: %s", conn_name(conn), conn->chain.detail);
  } else if (sse_stream_peek(conn->stream, &iov, 1) != 0) {
    sim_accuse(conn->sim, "a stream that rests has bytes", "client %d", conn_name(conn));
  }
}

/* Now everybody reads, and nothing fails: soon all have had all, and are asleep. */
static void settle(struct sim *sim) {
  sim_note(sim, "everybody reads");
  sim->fair = true;
  sim_restore_memory(sim);
  for (struct conn *conn = sim->conns; conn < sim->conns + SIM_CLIENTS; conn++) {
    sse_stream_free(conn->leaving);
    conn->leaving = NULL;
    conn->wire_cap = SIM_WIRE_MAX;
    if (conn->stream) conn_receive(conn, conn->on_wire);
  }
  exhaust(sim);
  for (struct conn *conn = sim->conns; conn < sim->conns + SIM_CLIENTS; conn++) {
    if (!conn->stream) open_conn(conn);
  }
  exhaust(sim);
  for (unsigned i = 0; i < 2 * sim->channels; i++) publish(sim, i % sim->channels);
  exhaust(sim);
  if (sim->config.heartbeat_ms != SSE_NEVER) sim->world.now_ms += sim->config.heartbeat_ms;
  exhaust(sim);
  for (struct conn *conn = sim->conns; conn < sim->conns + SIM_CLIENTS && !sim->fault; conn++) {
    if (conn->stream) judge_rest(conn);
  }
}

bool sim_run(struct sim *sim, uint64_t seed, const struct sim_plan *plan) {
  memset(sim, 0, sizeof *sim);
  sim->plan = *plan;
  sim->world.seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
  for (unsigned i = 0; i < 8; i++) sim_draw(sim, 2);
  plan->mix(sim);
  for (struct conn *conn = sim->conns; conn < sim->conns + SIM_CLIENTS; conn++) {
    conn->sim = sim;
    renew(conn);
  }
  begin_life(sim);
  uint64_t length = sim->length ? sim->length : 20 + sim_draw(sim, 180);
  for (; length > 0 && !sim->fault; length--) happen(sim);
  if (!sim->fault) settle(sim);
  if (!sim->fault) end_life(sim);
  world_fail(0, false);
  for (unsigned i = 0; i < SIM_CLIENTS; i++) client_free(&sim->conns[i].client);
  for (unsigned i = 0; i < SIM_LIVES; i++) history_free(&sim->lives[i]);
  if (sim->fault) {
    print_error("SSE_SEED=%" PRIu64 ": %s (%s)\n", seed, sim->fault, sim->detail);
  }
  return !sim->fault;
}
