/* SPDX-License-Identifier: MIT */
/* life.c: what happens in a random history, from its first hub to its end. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "sim.h"
#include "stream/loop.h"

/* ---- what can happen ---- */

static void happen(struct sim *sim);

/* One round of a loop; other things happen in between. */
static void run_loop(struct sim *sim, struct sim_loop *loop) {
  struct sse_stream *stream;
  sim_note(sim, "  loop %d: round", (int)(loop - sim->loops));
  loop->woken = false;
  while ((stream = sse_loop_next(loop->loop)) && !sim->fault) {
    struct conn *conn = sse_stream_user(stream);
    if (!conn) {
      hoard_serve(sim, stream);
      continue;
    }
    if (conn->stream != stream) {
      sim_accuse(sim, "a loop returns a stream that it has no more", "client %d", conn_name(conn));
      return;
    }
    conn_serve(conn);
    sim->nested = true;
    if (!sim->besieged && sim_chance(sim, 25)) happen(sim);
    sim->nested = false;
  }
  loop->owed = loop->next;
  loop->next.is = false;
}

void sim_host(struct sim *sim) {
  int64_t now_ms = sim->world.now_ms;
  for (struct sim_loop *loop = sim->loops; loop < sim->loops + SIM_LOOPS; loop++) {
    if (sim_delays(sim, 25)) continue;
    int timeout = sse_loop_timeout(loop->loop);
    if (loop->woken || timeout == 0 || now_ms >= loop->sleep_ms) run_loop(sim, loop);
    timeout = sse_loop_timeout(loop->loop);
    loop->sleep_ms = timeout < 0 ? INT64_MAX : now_ms + timeout;
  }
  for (struct conn *conn = sim->conns; conn < sim->conns + SIM_CLIENTS; conn++) {
    if (!conn->stream || sim_delays(sim, 25)) continue;
    bool due = conn->woken || (conn->blocked && conn->on_wire < conn->wire_cap);
    if (!due && conn->polled && !conn->blocked) {
      due = sse_stream_wait(conn->stream, 0) != 0;
      if (!due) conn->owed.is = false;
    }
    if (due) conn_serve(conn);
  }
  if (sim->greedy > 0 && !sim_delays(sim, 25)) hoard_serve(sim, NULL);
}

/* A channel gets its first stream and loses its last in turn. */
static void note_presence(void *arg, const char *name, int present) {
  struct sim *sim = arg;
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    if (strcmp(name, client_channel(i)) != 0) continue;
    if (sim->present[i] == present) sim_accuse(sim, "a presence is told twice", "channel %u", i);
    sim->present[i] = present;
  }
}

/* What the host was told last is how it stands. */
static void judge_presence(struct sim *sim) {
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    bool there = sse_hub_count(sim->world.hub, client_channel(i)) > 0;
    if (there != (sim->present[i] == 1)) {
      sim_accuse(sim, "a presence is told wrong", "channel %u", i);
    }
  }
}

static void conflate(struct sim *sim) {
  static const sse_channel_config config = {.conflate = SSE_YES};
  for (unsigned i = 0; i < sim->channels; i++) {
    if (!(sim->conflated & 1u << i)) continue;
    int result = sse_hub_configure_channel(sim->world.hub, client_channel(i), &config);
    if (result != SSE_OK && result != SSE_ECHANNELS) {
      sim_accuse(sim, "a channel is not conflated", "%s", sse_error_name(result));
    }
  }
}

/* A hub begins, with a new epoch, and its loops. */
static void begin_life(struct sim *sim) {
  char epoch[8];
  snprintf(epoch, sizeof epoch, "E%zu", sim->lives_count);
  sim->life = &sim->lives[sim->lives_count++];
  ledger_init(sim->life, epoch);
  sim->config.epoch = epoch;
  sim->config.occupancy = note_presence;
  sim->config.occupancy_arg = sim;
  memset(sim->present, 0, sizeof sim->present);
  world_fail(0, false);
  sim->bytes = world_bytes();
  world_open(&sim->world, &sim->config);
  if (sim->seed & 4) sim->world.hub->part_max = 1; /* work in parts, of one stream each */
  for (struct sim_loop *loop = sim->loops; loop < sim->loops + SIM_LOOPS; loop++) {
    *loop = (struct sim_loop){.sim = sim, .sleep_ms = INT64_MAX};
    assert_int_equal(
        sse_loop_new(&loop->loop, sim->world.hub,
                     &(const sse_loop_config){.wake = sim_wake_loop, .wake_arg = loop}),
        SSE_OK);
  }
  conflate(sim);
  if (sim->plan.fail_alloc && !sim->fair) world_fail(sim->plan.fail_alloc, sim->plan.onwards);
}

/* Once its loops have nothing left to do, nothing holds a channel that has no streams. */
static void forget_all(struct sim *sim) {
  sim->world.now_ms += SIM_LINGER_MS;
  for (unsigned i = 0; i < SIM_LOOPS; i++) {
    do {
      if (sse_loop_next(sim->loops[i].loop)) sim_accuse(sim, "a loop has a stream", "%u", i);
    } while (sse_loop_timeout(sim->loops[i].loop) == 0);
  }
  for (unsigned i = 0; i < sim->channels; i++) {
    int result = sse_hub_forget(sim->world.hub, client_channel(i));
    bool scarce = result == SSE_ENOMEM && !sim->fair;
    if (result != SSE_OK && result != SSE_ENOTFOUND && !scarce) {
      sim_accuse(sim, "an unused channel is held", "channel %u: %s", i, sse_error_name(result));
    }
  }
}

/* Nothing holds a channel after its idle time, also if its loops ended with work left. */
static void idle_away(struct sim *sim) {
  sim->world.now_ms += SIM_IDLE_MS;
  sse_hub_tick(sim->world.hub);
  sim_judge_timers(sim);
}

/* It ends, and every byte of it comes back. */
static void end_life(struct sim *sim) {
  const struct sse_hub *hub = sim->world.hub;
  for (struct conn *conn = sim->conns; conn < sim->conns + SIM_CLIENTS; conn++) {
    if (conn->stream) conn_cut(conn, "the hub ends");
    sse_stream_free(conn->leaving);
    conn->leaving = NULL;
  }
  hoard_free(sim);
  judge_presence(sim);
  if (hub->store.bytes != hub->store.window_bytes) sim_accuse(sim, "frames were kept", "%s", "");
  if (sse_hub_count(sim->world.hub, NULL) > 0) sim_accuse(sim, "streams were kept", "%s", "");
  bool abrupt = sim_draw(sim, 2);
  if (!abrupt) forget_all(sim);
  for (unsigned i = 0; i < SIM_LOOPS; i++)
    assert_int_equal(sse_loop_free(sim->loops[i].loop), SSE_OK);
  if (abrupt) idle_away(sim);
  assert_int_equal(sse_hub_free(sim->world.hub), SSE_OK);
  if (world_bytes() != sim->bytes) sim_accuse(sim, "memory was kept", "%s", "");
}

static void change_loops(struct sim *sim) {
  for (unsigned i = 0; i < SIM_LOOPS; i++) {
    sim->loops[i].failing = (unsigned)sim_draw(sim, 3);
    sim->loops[i].loop->linger_ms = (int32_t)(sim_draw(sim, 2) * sim_draw(sim, SIM_LINGER_MS));
  }
}

/* What happens between rounds only; a round takes no time. */
static void happen_between(struct sim *sim, enum sim_op op) {
  if (op == WAIT) {
    sim->world.now_ms += (int64_t)sim_draw(sim, 400);
  } else if (op == JUMP) {
    sim->world.now_ms += 1000 + (int64_t)sim_draw(sim, 5000);
  } else if (op == LOOP) {
    change_loops(sim);
  } else if (op == RESTART && sim->lives_count < SIM_LIVES - 1 && sim_draw(sim, 4) == 0) {
    sim_note(sim, "  the hub ends");
    end_life(sim);
    begin_life(sim);
  } else if (op == HOST) {
    sim_host(sim);
  }
}

/* What clients do, and their networks. */
static void happen_to(struct conn *conn, enum sim_op op) {
  struct sim *sim = conn->sim;
  if (op == FREEZE) conn->frozen = !conn->frozen;
  if (op == OPEN && !conn->stream) conn_open(conn);
  if (op == OPEN || !conn->stream) return;
  if (op == RECEIVE && !conn->frozen) conn_receive(conn, 1 + sim_draw(sim, 2 * conn->wire_cap));
  if (op == HALF_CLOSE) conn_receive(conn, conn->on_wire);
  if (op == CUT && sim_draw(sim, 2)) conn_receive(conn, sim_draw(sim, conn->on_wire + 1));
  if (op == CUT || op == HALF_CLOSE) conn_cut(conn, op == CUT ? "reset" : "half closed");
}

static void burst(struct sim *sim) {
  for (uint64_t n = sim_draw(sim, 12); n > 0; n--) {
    sim_publish(sim, (unsigned)sim_draw(sim, sim->channels));
  }
}

static enum sim_op draw_op(struct sim *sim) {
  uint64_t sum = 0, at;
  unsigned op = 0;
  for (unsigned i = 0; i < OPS; i++) sum += sim->weights[i];
  for (at = sim_draw(sim, sum); at >= sim->weights[op]; op++) at -= sim->weights[op];
  return (enum sim_op)op;
}

static void happen(struct sim *sim) {
  enum sim_op op = draw_op(sim);
  switch (op) {
  case PUBLISH:
    sim_publish(sim, (unsigned)sim_draw(sim, sim->channels));
    break;
  case BURST:
    burst(sim);
    break;
  case CONFIGURE:
    sim_configure(sim);
    break;
  case FORGET:
    sim_forget(sim);
    break;
  case FINISH:
    sim_finish(sim);
    break;
  case JOIN:
    sim_join(sim);
    break;
  case LEAVE:
    sim_leave(sim);
    break;
  case KICK:
    sim_kick(sim);
    break;
  case DISMISS:
    sim_dismiss(sim);
    break;
  case ROSTER:
    sim_roster(sim);
    break;
  case LAG:
    sim_lag(sim);
    break;
  case DRAIN:
    sim_drain(sim);
    break;
  case HOARD:
    if (sim_chance(sim, sim->greedy)) hoard_open(sim);
    break;
  case TICK:
    sse_hub_tick(sim->world.hub);
    sim_judge_timers(sim);
    break;
  case OPEN:
  case CUT:
  case HALF_CLOSE:
  case RECEIVE:
  case FREEZE:
    happen_to(&sim->conns[sim_draw(sim, SIM_CLIENTS)], op);
    break;
  default:
    if (!sim->nested) happen_between(sim, op);
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
    sim_host(sim);
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
  const struct judge *judge = &conn->judge;
  judge_complete(&conn->judge);
  if (sim->config.heartbeat_ms != SSE_NEVER && judge->terms.position != SSE_POSITION_OFF &&
      (judge->id != sim->life->head || judge->unfinished)) {
    sim_accuse(conn->sim, "an id has fallen behind", "client %d: %" PRIu64, conn_name(conn),
               judge->id);
  }
  if (judge->fault) {
    sim_accuse(conn->sim, judge->fault, "client %d: %s", conn_name(conn), judge->detail);
  } else if (sse_stream_peek(conn->stream, &iov, 1) != 0) {
    sim_accuse(conn->sim, "a stream that rests has bytes", "client %d", conn_name(conn));
  }
}

/* A hub that is drained loses all its streams in time, and another takes its place. */
static void replace_drained(struct sim *sim) {
  for (unsigned turn = 0; turn < 10 && sse_hub_count(sim->world.hub, NULL) > 0; turn++) {
    sim->world.now_ms += 1000;
    exhaust(sim);
  }
  if (sse_hub_count(sim->world.hub, NULL) > 0) sim_accuse(sim, "a stream stays", "%s", "");
  if (sim->fault) return;
  end_life(sim);
  begin_life(sim);
}

static void open_all(struct sim *sim) {
  for (struct conn *conn = sim->conns; conn < sim->conns + SIM_CLIENTS && !sim->fault; conn++) {
    if (!conn->stream) conn_open(conn);
  }
  exhaust(sim);
}

/* Now everybody reads, and nothing fails: soon all have had all, and are asleep. */
static void settle(struct sim *sim) {
  sim_note(sim, "everybody reads");
  sim->fair = true;
  sim_restore_memory(sim);
  hoard_free(sim);
  for (struct conn *conn = sim->conns; conn < sim->conns + SIM_CLIENTS; conn++) {
    sse_stream_free(conn->leaving);
    conn->leaving = NULL;
    conn->wire_cap = SIM_WIRE_MAX;
    if (conn->stream) conn_receive(conn, conn->on_wire);
  }
  exhaust(sim);
  if (sim->life->drained && !sim->fault) replace_drained(sim);
  open_all(sim);
  for (unsigned i = 0; i < 2 * sim->channels && !sim->fault; i++) {
    if (!(sim->life->finished & 1u << i % sim->channels)) sim_publish(sim, i % sim->channels);
  }
  exhaust(sim);
  sim->world.now_ms += SIM_LINGER_MS + SSE__STARVED_MS;
  exhaust(sim);
  sim->world.now_ms += SIM_BEAT_MS;
  exhaust(sim);
  for (struct conn *conn = sim->conns; conn < sim->conns + SIM_CLIENTS && !sim->fault; conn++) {
    if (conn->stream) judge_rest(conn);
  }
  judge_presence(sim);
  if (!sim->fault && sse_hub_lag(sim->world.hub) > 0) sim_accuse(sim, "a lag stays", "%s", "");
}

/* Each step has random numbers of its own, so that it is the same when others are left out. */
static void seed_step(struct sim *sim, size_t step) {
  sim->world.seed = (sim->seed + step * UINT64_C(0xbf58476d1ce4e5b9)) | 1;
  for (unsigned i = 0; i < 4; i++) sim_draw(sim, 2);
}

static bool used_up(const struct sim *sim) {
  return sim->plan.input && sim->plan.input_len == 0;
}

static void end(struct sim *sim) {
  world_fail(0, false);
  for (unsigned i = 0; i < SIM_CLIENTS; i++) {
    client_free(&sim->conns[i].client);
    judge_free(&sim->conns[i].judge);
  }
  for (unsigned i = 0; i < SIM_LIVES; i++) ledger_free(&sim->lives[i]);
}

bool sim_run(struct sim *sim, uint64_t seed, const struct sim_plan *plan) {
  memset(sim, 0, sizeof *sim);
  sim->plan = *plan;
  sim->seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
  seed_step(sim, 0);
  plan->mix(sim);
  for (struct conn *conn = sim->conns; conn < sim->conns + SIM_CLIENTS; conn++) {
    conn->sim = sim;
    conn_renew(conn);
  }
  begin_life(sim);
  if (!sim->length) sim->length = 20 + sim_draw(sim, 180);
  while (sim->steps < sim->length && !sim->fault && !used_up(sim)) {
    size_t step = sim->steps++;
    seed_step(sim, 1 + step);
    if (!plan->skipped || !plan->skipped[step]) happen(sim);
  }
  seed_step(sim, SIM_STEPS_MAX);
  if (!sim->fault) sim_besiege(sim);
  if (!sim->fault) settle(sim);
  if (!sim->fault) end_life(sim);
  end(sim);
  return !sim->fault;
}

/* ---- a history that fails ---- */

void sim_shrink(struct sim *sim, uint64_t seed, const struct sim_plan *plan) {
  bool skipped[SIM_STEPS_MAX] = {false}, tried[SIM_STEPS_MAX];
  struct sim_plan smaller = *plan;
  sim_run(sim, seed, plan);
  const char *fault = sim->fault;
  size_t steps = sim->steps, left = 0;
  if (!fault) return;
  smaller.skipped = tried;
  for (size_t part = steps; part > 0; part /= 2) {
    for (size_t from = 0; from < steps; from += part) {
      memcpy(tried, skipped, sizeof tried);
      for (size_t i = from; i < from + part && i < steps; i++) tried[i] = true;
      if (!sim_run(sim, seed, &smaller) && strcmp(sim->fault, fault) == 0) {
        memcpy(skipped, tried, sizeof skipped);
      }
    }
  }
  smaller.skipped = skipped;
  smaller.trace = true;
  for (size_t i = 0; i < steps; i++) left += !skipped[i];
  sim_run(sim, seed, &smaller);
  print_error("SSE_SEED=%" PRIu64 ": %s (%s)\nof %zu steps %zu are left\n", seed, sim->fault,
              sim->detail, steps, left);
}
