/* SPDX-License-Identifier: MIT */
/* site.c: the hosts of all hubs, and the network. */
#include "site.h"

#include <stdio.h>
#include <string.h>

site the;

static node_loop *loop_of(const chain *c) {
  return c->t.loop < 0 ? NULL : &c->at->loops[c->t.loop];
}

static unsigned base_of(const chain *c) {
  const node_loop *l = loop_of(c);
  return l && l->in_round ? l->round_at : world.moment;
}

/* ---- streams ---- */

static int filter(void *arg, const sse_filter_event *event) {
  (void)arg;
  return event->label != 0;
}

static int wake_stream(void *arg, unsigned why) {
  (void)why;
  ((chain *)arg)->woken = true;
  return 0;
}

static void tell_open(const chain *c, const char *not_before, int result) {
  static const char *const starts[] = {"NOW", "RETAINED", "LAST"};
  static const char *const losts[] = {"BY_RESULT", "REPLAY", "LIVE"};
  const terms *t = &c->t;
  tell("  client %d opens at node %d: {%s}, last_id \"%s\"", c->slot, c->at->index,
       journal_set(t->channels), t->last_id);
  if (t->loop >= 0) tell(", loop %d", t->loop);
  if (t->start) tell(", start %s %u", starts[t->start], t->start_events);
  if (t->lost) tell(", lost %s", losts[t->lost]);
  if (t->positions_off) tell(", POSITION_OFF");
  if (t->filtered) tell(", filter");
  if (t->closes) tell(", SLOW_CLOSE");
  if (not_before) tell(", not_before %s", not_before);
  if (t->lag_events_max) tell(", lag_events_max %u", t->lag_events_max);
  tell(" = %s, result %d\n", sse_error_name(result),
       result ? 0 : (int)sse_stream_resume_result(c->stream));
}

void site_open(chain *c, node *n, const terms *t) {
  const char *names[CHANNELS + 1];
  char tag[8], not_before[40];
  const history *h = &journal.histories[n->history - (t->not_before_old && n->history)];
  sse_stream_config config = {.tag = tag, .channels = names, .user = c};
  int count = 0, result;
  chain_open(c, n, t);
  for (int k = 0; k < CHANNELS; k++)
    if (t->channels >> k & 1) names[count++] = channel_names[k];
  names[count] = NULL;
  snprintf(tag, sizeof tag, "u%d", c->slot);
  snprintf(not_before, sizeof not_before, "%s.%llu", h->epoch, (unsigned long long)t->not_before);
  config.last_id = c->t.last_id;
  config.start = t->start, config.start_events = t->start_events, config.lost = t->lost;
  config.position = t->positions_off ? SSE_POSITION_OFF : SSE_POSITION_EVENT;
  config.slow = t->closes ? SSE_SLOW_CLOSE : SSE_SLOW_SKIP;
  config.lag_events_max = t->lag_events_max;
  if (t->not_before) config.not_before = not_before;
  if (t->filtered) config.filter = filter;
  if (t->loop >= 0)
    config.loop = n->loops[t->loop].loop;
  else if (t->wakes)
    config.wake = wake_stream;
  result = sse_stream_open(&c->stream, n->hub, &config);
  tell_open(c, config.not_before, result);
  chain_opened(c, result);
  if (c->stream && loop_of(c)) loop_of(c)->woken = true;
}

void site_cut(chain *c) {
  if (!c->stream) return;
  tell("  client %d is cut off, with the id \"%s\"\n", c->slot, c->reader.last_id);
  if (!wire_between(&c->reader)) see(SEEN_CUT);
  sse_stream_free(c->stream);
  c->stream = NULL;
  world.moment++;
}

/* ---- serving ---- */

static void result_of_look(chain *c, int result) {
  const node_loop *l = loop_of(c);
  if (result == 0 && l && l->in_round)
    chain_nothing(c, l->round_head, l->round_at);
  else if (result == 0)
    chain_nothing(c, c->at->head, world.moment);
  if (result == 0) c->woken = false;
  if (!sse_error_is_final(result)) return;
  chain_over(c, result);
  site_cut(c);
}

/* Takes so many of the bytes in flight. */
static void take(chain *c, const struct iovec *iov, int count, size_t bytes) {
  size_t left = bytes;
  for (int i = 0; i < count && left; i++) {
    size_t some = iov[i].iov_len < left ? iov[i].iov_len : left;
    chain_take(c, iov[i].iov_base, some);
    left -= some;
  }
  sse_stream_consume(c->stream, bytes);
}

static size_t sum_of(const struct iovec *iov, int count) {
  size_t sum = 0;
  for (int i = 0; i < count; i++) sum += iov[i].iov_len;
  return sum;
}

/* One look at a stream; false: it has nothing more now, or the host goes on later. */
static bool look(chain *c, serve how, uint64_t *seed) {
  struct iovec iov[64];
  int max = how == SERVE_ALL || draw_percent(seed, 60) ? 64 : 1 + (int)draw_below(seed, 3);
  int count = sse_stream_peek(c->stream, iov, max);
  size_t all;
  if (count <= 0) {
    result_of_look(c, count);
    return false;
  }
  c->blunt = c->blunt || max < 64;
  all = sum_of(iov, count);
  chain_offer(c, all, base_of(c));
  if (how == SERVE_SOME && draw_percent(seed, 50)) all = draw_below(seed, (unsigned)all + 1);
  if (all) take(c, iov, count, all);
  return how == SERVE_ALL || draw_percent(seed, 40);
}

/* A transport of sse_stream_flush. */
typedef struct pipe_end {
  chain *c;
  uint64_t *seed;
  unsigned left;
} pipe_end;

static ssize_t write_some(void *io, const struct iovec *iov, int count) {
  pipe_end *to = io;
  size_t all = sum_of(iov, count), some = all;
  if (!to->left--) {
    tell("      client %d: its transport is full\n", to->c->slot);
    see(SEEN_FULL);
    chain_requeue(to->c);
    return SSE_EAGAIN;
  }
  chain_offer(to->c, all, base_of(to->c));
  if (draw_percent(to->seed, 30)) some = 1 + draw_below(to->seed, (unsigned)all);
  for (size_t i = 0, left = some; left; i++) {
    size_t piece = iov[i].iov_len < left ? iov[i].iov_len : left;
    chain_take(to->c, iov[i].iov_base, piece);
    left -= piece;
  }
  return (ssize_t)some;
}

void site_serve(chain *c, serve how, uint64_t *seed) {
  if (how == SERVE_FLUSH) {
    pipe_end to = {c, seed, draw_below(seed, 4)};
    int result = sse_stream_flush(c->stream, write_some, &to);
    if (result == SSE_EAGAIN)
      c->armed = false;
    else
      result_of_look(c, result);
    return;
  }
  while (c->stream && !found.found && look(c, how, seed)) continue;
}

static serve some_way(uint64_t *seed) {
  unsigned kind = draw_below(seed, 100);
  return kind < 50 ? SERVE_ALL : kind < 75 ? SERVE_SOME : SERVE_FLUSH;
}

void site_round(node *n, int loop, uint64_t *seed) {
  node_loop *l = &n->loops[loop];
  sse_stream *stream;
  bool fair = !seed;
  uint64_t own = 0;
  if (fair) seed = &own;
  l->woken = false;
  l->round_at = world.moment++;
  l->round_head = n->head;
  l->in_round = true;
  while (!found.found && (stream = sse_loop_next(l->loop))) {
    chain *c = sse_stream_user(stream);
    if (!fair && draw_percent(seed, 8)) step_nested(seed);
    if (c->stream && c->at == n) site_serve(c, fair ? SERVE_ALL : some_way(seed), seed);
  }
  l->in_round = false;
}

void site_tick(node *n) {
  sse_hub_tick(n->hub);
}

/* ---- the end of a history ---- */

static void serve_fairly(node *n) {
  uint64_t own = 0;
  site_tick(n);
  for (int i = 0; i < LOOPS; i++)
    for (int turn = 0; turn < 50 && !found.found; turn++) {
      if (!n->loops[i].woken && sse_loop_timeout(n->loops[i].loop) != 0) break;
      site_round(n, i, NULL);
    }
  for (int i = 0; i < CLIENTS && !found.found; i++) {
    chain *c = &the.clients[i];
    if (!c->stream || c->at != n) continue;
    if (!c->armed || (c->t.loop < 0 && (c->woken || !c->t.wakes))) site_serve(c, SERVE_ALL, &own);
  }
}

static bool begins_with(const struct iovec *iov, int count, const char *text) {
  size_t len = strlen(text);
  return count > 0 && iov->iov_len >= len && !memcmp(iov->iov_base, text, len);
}

/* Every host has done what its wakes and loops told it: then no stream has anything left. */
static void must_rest(void) {
  for (int i = 0; i < CLIENTS && !found.found; i++) {
    chain *c = &the.clients[i];
    struct iovec iov[64];
    int count = c->stream ? sse_stream_peek(c->stream, iov, 64) : 0;
    if (begins_with(iov, count, "data") || begins_with(iov, count, "event: gap"))
      breaks(RULE_WAKE, "client %d: nobody was woken for %.*s", i, (int)iov[0].iov_len,
             (const char *)iov[0].iov_base);
    else if (c->stream && count <= 0)
      result_of_look(c, count);
  }
}

static void rest(void) {
  for (int turn = 0; turn < 4; turn++)
    for (unsigned i = 0; i < the.nodes_count && !found.found; i++) serve_fairly(&the.nodes[i]);
  if (!found.found) must_rest();
}

void site_settle(uint64_t *seed) {
  tell("  --- everything is read and given\n");
  for (unsigned i = 0; i < the.nodes_count && !found.found; i++) {
    if (the.nodes[i].drained) site_restart(&the.nodes[i], seed);
    while (!found.found && node_is_behind(&the.nodes[i])) node_feed(&the.nodes[i], seed);
  }
  rest();
  tell("  --- every client comes back\n");
  for (int i = 0; i < CLIENTS && !found.found; i++) {
    site_cut(&the.clients[i]);
    step_return(&the.clients[i], seed);
  }
  rest();
}

/* ---- begin and end ---- */

void site_restart(node *n, uint64_t *seed) {
  const history *h = journal_now();
  uint64_t start = h->trimmed;
  for (int i = 0; i < CLIENTS; i++)
    if (the.clients[i].at == n) site_cut(&the.clients[i]);
  if (n->hub) node_stop(n);
  if (draw_percent(seed, 20)) start = h->end;
  if (draw_percent(seed, 60) && h->count) {
    unsigned newest = draw_below(seed, h->count < 12 ? h->count : 12);
    uint64_t number = h->entries[h->count - 1 - newest].number - 1;
    if (number > start) start = number;
  }
  see(SEEN_RESTARTS);
  node_start(n, start, seed);
}

static void choose(uint64_t *seed) {
  the.states = draw_percent(seed, 50);
  the.several = draw_percent(seed, 60);
  the.ids = draw_percent(seed, 25);
  the.ephemerals = draw_percent(seed, 40);
  the.filters = draw_percent(seed, 30);
  the.bounds = draw_percent(seed, 20);
  the.lower_limits = draw_percent(seed, 30);
  the.positions_off = draw_percent(seed, 15);
  the.closes = draw_percent(seed, 15);
  the.subscribes = draw_percent(seed, 50);
  the.drains = draw_percent(seed, 10);
  the.ends = draw_percent(seed, 35);
  the.trims = draw_percent(seed, 55);
  the.loses = draw_percent(seed, 40);
  the.restarts = draw_percent(seed, 50);
  the.holes = draw_percent(seed, 50);
  the.forgets = draw_percent(seed, 20);
  the.feeding = 20 + draw_below(seed, 80);
  the.nodes_count = 1 + draw_below(seed, NODES);
}

void site_begin(uint64_t *seed) {
  static const uint64_t firsts[] = {0, 0, 0, 99, UINT64_MAX - 100000};
  memset(&the, 0, sizeof the);
  memset(&world, 0, sizeof world);
  world.now_ns = INT64_C(3600000000000);
  world.heartbeat_ms = 1000;
  choose(seed);
  world.frames_max = draw_percent(seed, 55) ? 2 + draw_below(seed, 5) : 1000;
  world.finishes = draw_percent(seed, 25);
  if (draw_percent(seed, 40)) world.finished_type = "done";
  journal_begin(firsts[draw_below(seed, 5)]);
  for (unsigned i = 0; i < the.nodes_count; i++) {
    the.nodes[i].index = (int)i;
    node_start(&the.nodes[i], draw_percent(seed, 50) ? journal_now()->end : 0, seed);
  }
  for (int i = 0; i < CLIENTS; i++) {
    the.clients[i].slot = i;
    the.clients[i].history = -1;
  }
}

void site_end(void) {
  for (int i = 0; i < CLIENTS; i++) site_cut(&the.clients[i]);
  for (unsigned i = 0; i < the.nodes_count; i++)
    if (the.nodes[i].hub) node_stop(&the.nodes[i]);
}
