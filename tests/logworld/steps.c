/* SPDX-License-Identifier: MIT */
/* steps.c: what may happen in a history. */
#include "site.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static node *some_node(uint64_t *seed) {
  return &the.nodes[draw_below(seed, the.nodes_count)];
}

static unsigned some_channels(uint64_t *seed) {
  unsigned set = 0, count = the.several ? 1 + draw_below(seed, 3) : 1;
  while (count--) set |= 1u << draw_below(seed, the.states ? CHANNELS : FIRST_STATE);
  return set;
}

/* ---- the log ---- */

static entry some_entry(uint64_t *seed) {
  entry e = {.channels = some_channels(seed), .key = -1};
  for (int k = 0; k < CHANNELS; k++)
    if (journal.finished[k]) e.channels &= ~(1u << k);
  e.marked = draw_percent(seed, 60);
  if (the.ids && draw_percent(seed, 40)) {
    e.channels &= ~STATE_CHANNELS;
    e.id[0] = 'x';
  }
  if (e.channels & STATE_CHANNELS) {
    e.key = (int)draw_below(seed, KEYS);
    e.marked = e.key != 0;
    /* The manual leaves open what a tombstone evicts that enters a full window. */
    e.tombstone = world.frames_max >= KEYS && draw_percent(seed, 20);
  }
  return e;
}

static void append(uint64_t *seed) {
  unsigned count = 1 + draw_below(seed, 4);
  while (count-- && journal_now()->count < ENTRIES_MAX) {
    entry e = some_entry(seed);
    if (draw_percent(seed, 20)) e = (entry){.channels = 0, .key = -1};
    if (!e.channels) e.id[0] = 0;
    journal_append(&e, the.holes && draw_percent(seed, 30) ? draw_below(seed, 4) : 0);
    tell("  the log gets %" PRIu64 " for {%s}\n", journal_now()->end, journal_set(e.channels));
  }
}

static void trim(uint64_t *seed) {
  const history *h = journal_now();
  if (!the.trims || !h->count) return;
  journal_trim(h->entries[draw_below(seed, h->count)].number);
  tell("  the log is trimmed up to %" PRIu64 "\n", h->trimmed);
}

static void lose_tail(uint64_t *seed) {
  const history *h = journal_now();
  unsigned lost = draw_below(seed, 8);
  if (!the.loses || !h->count) return;
  if (lost > h->count) lost = h->count;
  if (!journal_lose(lost ? h->entries[h->count - lost].number - 1 : h->end)) return;
  tell("  the log loses what is above %" PRIu64 ", and becomes %s\n", journal_now()->end,
       journal_now()->epoch);
}

static void finish(uint64_t *seed) {
  unsigned channel = draw_below(seed, CHANNELS);
  if (!world.finishes) return;
  journal.finished[channel] = true;
  tell("  the log finishes %s\n", channel_names[channel]);
}

/* ---- hubs ---- */

static void feed(node *n, uint64_t *seed) {
  unsigned count = draw_percent(seed, 70) ? 1 : 2 + draw_below(seed, 8);
  while (count-- && !found.found && node_is_behind(n)) node_feed(n, seed);
}

static void pass(node *n, uint64_t *seed) {
  entry e = {.channels = some_channels(seed),
             .marked = draw_percent(seed, 60),
             .key = -1,
             .name = journal.names++};
  if (the.ephemerals) node_ephemeral(n, &e);
}

static void wait(uint64_t *seed) {
  world.now_ns +=
      (int64_t)(draw_percent(seed, 50) ? 1000 + draw_below(seed, 500) : draw_below(seed, 3000)) *
      1000000;
  world.moment++;
  tell("  time passes\n");
  for (unsigned i = 0; i < the.nodes_count; i++) site_tick(&the.nodes[i]);
}

static void drain(node *n, uint64_t *seed) {
  if (!the.drains) return;
  world.moment++;
  n->drained = true;
  tell("  node %d drains\n", n->index);
  if (sse_hub_drain(n->hub, draw_percent(seed, 50) ? 0 : 2000)) breaks(RULE_CALL, "drain");
}

/* ---- clients ---- */

/* An id that the client has not from its last connection. */
static void strange_id(char *id, uint64_t *seed) {
  const node *n = some_node(seed);
  const history *h = &journal.histories[n->history];
  uint64_t number = n->head;
  size_t cap = WIRE_ID_MAX;
  if (draw_percent(seed, 50) && h->count) number = h->entries[draw_below(seed, h->count)].number;
  if (draw_percent(seed, 10)) number = h->end;
  switch (draw_below(seed, 9)) {
  case 0:
    snprintf(id, cap, "%s", the.clients[draw_below(seed, CLIENTS)].reader.last_id);
    break;
  case 1:
    snprintf(id, cap, "%s.%" PRIu64 "~", h->epoch, number);
    break;
  case 2:
    snprintf(id, cap, "app-%u", draw_below(seed, journal.names + 2));
    break;
  case 3:
    snprintf(id, cap, "log-9.%" PRIu64, number);
    break;
  case 4:
    snprintf(id, cap, "%s.01", h->epoch);
    break;
  case 5:
  case 6:
    if (sse_hub_position(n->hub, id, cap)) breaks(RULE_CALL, "sse_hub_position");
    break;
  default:
    snprintf(id, cap, "%s.%" PRIu64, h->epoch, number);
  }
}

static terms some_terms(const chain *c, const node *n, uint64_t *seed) {
  const history *h = &journal.histories[n->history];
  terms t = {.channels = c->wants, .filtered = c->filters};
  t.loop = draw_percent(seed, 60) ? (int)draw_below(seed, LOOPS) : -1;
  t.wakes = draw_percent(seed, 80);
  t.start = (sse_start)draw_below(seed, 3);
  if (t.start == SSE_START_LAST) t.start_events = 1 + draw_below(seed, 5);
  t.lost = (sse_lost)draw_below(seed, 3);
  t.positions_off = the.positions_off && !(t.channels & STATE_CHANNELS) && draw_percent(seed, 50);
  t.closes = the.closes && draw_percent(seed, 50);
  if (the.bounds && draw_percent(seed, 50)) t.lag_events_max = 1 + draw_below(seed, 4);
  if (the.lower_limits && draw_percent(seed, 40)) {
    t.not_before = h->count ? h->entries[draw_below(seed, h->count)].number : n->head;
    t.not_before_old = n->history && draw_percent(seed, 20);
  }
  return t;
}

static void choose_wants(chain *c, uint64_t *seed) {
  if (c->wants && draw_percent(seed, 75)) return;
  c->wants = some_channels(seed);
  c->filters = the.filters && draw_percent(seed, 50);
}

static void open_at(chain *c, node *n, bool strange, uint64_t *seed) {
  terms t;
  choose_wants(c, seed);
  t = some_terms(c, n, seed);
  t.own_id = !strange;
  if (!strange)
    memcpy(t.last_id, c->reader.last_id, sizeof t.last_id);
  else if (draw_percent(seed, 55))
    strange_id(t.last_id, seed);
  site_open(c, n, &t);
}

void step_return(chain *c, uint64_t *seed) {
  open_at(c, some_node(seed), false, seed);
}

static void serve_one(chain *c, uint64_t *seed) {
  unsigned kind = draw_below(seed, 3);
  if (!c->stream || (c->t.loop >= 0 && (c->armed || !c->consumed))) return;
  site_serve(c, kind == 0 ? SERVE_ALL : kind == 1 ? SERVE_SOME : SERVE_FLUSH, seed);
}

/* A client that is ahead of its hub, if there is one. */
static chain *one_ahead(chain *otherwise) {
  for (int i = 0; i < CLIENTS; i++)
    if (the.clients[i].stream && chain_is_ahead(&the.clients[i])) return &the.clients[i];
  return otherwise;
}

static void subscribe(chain *c, uint64_t *seed) {
  int channel = (int)draw_below(seed, the.states ? CHANNELS : FIRST_STATE), result;
  size_t backfill = draw_percent(seed, 40) ? 0 : draw_percent(seed, 50) ? 2 : SSE_BACKFILL_ALL;
  char tag[8];
  bool add = !(c->has >> channel & 1);
  if (!the.subscribes || !c->stream || c->s.active || c->s.doubled || c->t.positions_off ||
      !c->first_done)
    return;
  if (c->intervals_count >= INTERVALS_MAX - 1 || c->dismissed || c->disconnected) return;
  if (c->history != c->at->history || c->segments_count || chain_all_finished(c)) return;
  snprintf(tag, sizeof tag, "u%d", c->slot);
  world.moment++;
  if (add)
    result = sse_hub_subscribe(c->at->hub, tag, channel_names[channel], backfill);
  else
    result = sse_hub_unsubscribe(c->at->hub, tag, channel_names[channel]);
  tell("  client %d %s %s, backfill %zd, at %" PRIu64 " = %d\n", c->slot,
       add ? "subscribes to" : "unsubscribes from", channel_names[channel], (ssize_t)backfill,
       c->at->head, result);
  if (result != 1) breaks(RULE_CALL, "subscribe or unsubscribe returned %d", result);
  if (add)
    chain_subscribe(c, channel, backfill);
  else
    chain_unsubscribe(c, channel);
  world.moment++;
}

/* A stream that is ahead is asked for something before the hub has reached it. */
static void ask_early(chain *c, uint64_t *seed) {
  if (!c->stream || !chain_is_ahead(c) || !draw_percent(seed, 60)) return;
  if (c->t.loop >= 0)
    site_round(c->at, c->t.loop, seed);
  else
    site_serve(c, SERVE_ALL, seed);
  if (!found.found && draw_percent(seed, 70)) subscribe(c, seed);
}

static void come(chain *c, uint64_t *seed) {
  if (c->stream && draw_percent(seed, 50)) return;
  site_cut(c);
  open_at(c, some_node(seed), draw_percent(seed, 22), seed);
  ask_early(c, seed);
}

static void end(chain *c, uint64_t *seed) {
  bool gently = draw_percent(seed, 60);
  char tag[8];
  int result;
  if (!the.ends || !c->stream) return;
  snprintf(tag, sizeof tag, "u%d", c->slot);
  world.moment++;
  if (gently)
    result = sse_hub_dismiss(c->at->hub, tag);
  else
    result = sse_hub_disconnect(c->at->hub, tag);
  tell("  client %d is %s = %d\n", c->slot, gently ? "dismissed" : "disconnected", result);
  if (result < 0 || result > 1) breaks(RULE_CALL, "dismiss or disconnect returned %d", result);
  if (gently)
    chain_dismiss(c);
  else
    c->disconnected = true;
  world.moment++;
}

/* ---- all of it ---- */

static void forget(node *n, uint64_t *seed) {
  if (the.forgets) node_forget(n, (int)draw_below(seed, FIRST_STATE));
}

static void restart(node *n, uint64_t *seed) {
  if (the.restarts || n->drained) site_restart(n, seed);
}

void step_nested(uint64_t *seed) {
  switch (draw_below(seed, 4)) {
  case 0:
    append(seed);
    break;
  case 1:
    pass(some_node(seed), seed);
    break;
  default:
    feed(some_node(seed), seed);
  }
}

static void rare(uint64_t *seed) {
  node *n = some_node(seed);
  chain *c = &the.clients[draw_below(seed, CLIENTS)];
  switch (draw_below(seed, 11)) {
  case 0:
  case 1:
    trim(seed);
    break;
  case 2:
    lose_tail(seed);
    break;
  case 3:
  case 4:
    restart(n, seed);
    break;
  case 5:
    finish(seed);
    break;
  case 6:
    drain(n, seed);
    break;
  case 7:
    end(c, seed);
    break;
  case 8:
    forget(n, seed);
    break;
  default:
    node_again(n, seed);
  }
}

void step(uint64_t seed) {
  node *n = some_node(&seed);
  chain *c = &the.clients[draw_below(&seed, CLIENTS)];
  unsigned kind = draw_below(&seed, 100);
  if (kind < 17)
    append(&seed);
  else if (kind < 38)
    feed(draw_percent(&seed, the.feeding) ? n : &the.nodes[0], &seed);
  else if (kind < 42)
    pass(n, &seed);
  else if (kind < 57)
    site_round(n, (int)draw_below(&seed, LOOPS), &seed);
  else if (kind < 67)
    serve_one(c, &seed);
  else if (kind < 80)
    come(c, &seed);
  else if (kind < 84)
    wait(&seed);
  else if (kind < 90)
    subscribe(draw_percent(&seed, 50) ? one_ahead(c) : c, &seed);
  else
    rare(&seed);
}
