/* SPDX-License-Identifier: MIT */
/* node.c: feeds one hub from the log, and keeps its windows as the manual says. */
#include "node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

setup world;

static const history *of_node(const node *n) {
  return &journal.histories[n->history];
}

/* --- The model -------------------------------------------------------------------------------- */

place node_place(const node *n, unsigned index, int channel, unsigned moment) {
  const record *r = &n->of[index];
  if (!(of_node(n)->entries[index].channels >> channel & 1)) return NOWHERE;
  if (!r->read_at || r->read_at > moment) return UNREAD;
  if (r->gone_at[channel] && r->gone_at[channel] <= moment) return EVICTED;
  if (r->over_at[channel] && r->over_at[channel] <= moment) return SUPERSEDED;
  return HELD;
}

bool node_has_newer(const node *n, unsigned index, int channel, unsigned moment) {
  const history *h = of_node(n);
  for (unsigned i = index + 1; i < h->count; i++)
    if (h->entries[i].key == h->entries[index].key && node_place(n, i, channel, moment) > UNREAD)
      return true;
  return false;
}

bool node_state_lost(const node *n, int channel) {
  const history *h = of_node(n);
  if (n->void_to[channel]) return true;
  for (unsigned i = 0; i < h->count; i++)
    if (!h->entries[i].tombstone && node_place(n, i, channel, world.moment) == EVICTED) return true;
  return false;
}

/* The oldest tombstone of a conflated channel, but not the newest entry; else the oldest frame. */
static int next_to_go(const node *n, int channel, unsigned newest) {
  int oldest = -1;
  for (unsigned i = 0; i <= newest; i++) {
    if (node_place(n, i, channel, world.moment) != HELD) continue;
    if (oldest < 0) oldest = (int)i;
    if (channel >= FIRST_STATE && of_node(n)->entries[i].tombstone && i != newest) return (int)i;
  }
  return oldest;
}

static size_t held(const node *n, int channel) {
  size_t count = 0;
  for (unsigned i = 0; i < of_node(n)->count; i++)
    count += node_place(n, i, channel, world.moment) == HELD;
  return count;
}

static void enter(node *n, unsigned index) {
  const history *h = of_node(n);
  const entry *e = &h->entries[index];
  n->of[index].read_at = world.moment;
  for (int c = 0; c < CHANNELS; c++) {
    if (!(e->channels >> c & 1)) continue;
    for (unsigned i = 0; c >= FIRST_STATE && i < index; i++)
      if (h->entries[i].key == e->key && node_place(n, i, c, world.moment) == HELD)
        n->of[i].over_at[c] = world.moment;
    while (held(n, c) > n->frames_max[c]) n->of[next_to_go(n, c, index)].gone_at[c] = world.moment;
  }
}

static void move(node *n, uint64_t to) {
  n->head = n->read = to;
  n->head_at = world.moment;
}

/* What the hub has not read up to a number is not in its windows. */
static void pass_over(node *n, uint64_t upto) {
  for (unsigned i = 0; i < of_node(n)->count && of_node(n)->entries[i].number <= upto; i++) {
    if (n->of[i].read_at) continue;
    n->of[i].read_at = world.moment;
    for (int c = 0; c < CHANNELS; c++) n->of[i].gone_at[c] = world.moment;
  }
  move(n, upto);
}

void node_check(node *n) {
  sse_stats stats;
  char id[SSE_ID_BYTES_MAX + 1] = "", expected[64];
  if (found.found) return;
  sse_hub_stats(n->hub, NULL, &stats);
  if (stats.head != n->head)
    breaks(RULE_HEAD, "node %d: the head is %" PRIu64 ", it should be %" PRIu64, n->index,
           stats.head, n->head);
  snprintf(expected, sizeof expected, "%s.%" PRIu64, of_node(n)->epoch, n->head);
  if (sse_hub_position(n->hub, id, sizeof id) || strcmp(id, expected) != 0)
    breaks(RULE_ID, "node %d: sse_hub_position gives \"%s\", not \"%s\"", n->index, id, expected);
  if (sse_hub_lag(n->hub) > n->published + 2 * n->gaps)
    breaks(RULE_LAG, "node %d: the lag is %" PRIu64 " after %u events", n->index,
           sse_hub_lag(n->hub), n->published);
  for (int c = 0; c < CHANNELS; c++) {
    if (sse_hub_stats(n->hub, channel_names[c], &stats) || n->had_passing[c]) continue;
    if (stats.window_frames != held(n, c))
      breaks(RULE_WINDOW, "node %d: %s has %" PRIu64 " frames, it should have %zu", n->index,
             channel_names[c], stats.window_frames, held(n, c));
  }
}

/* --- Its life --------------------------------------------------------------------------------- */

static int64_t clock_now(void *arg) {
  (void)arg;
  return world.now_ns;
}

static int random_bytes(void *arg, void *buf, size_t len) {
  uint64_t *seed = arg;
  for (size_t i = 0; i < len; i++) ((unsigned char *)buf)[i] = (unsigned char)draw(seed);
  return 0;
}

static int wake_loop(void *arg, unsigned why) {
  (void)why;
  ((node_loop *)arg)->woken = true;
  return 0;
}

/* A start_after of a channel of which the log has nothing between it and the hub's. */
static uint64_t own_start(const node *n, int channel, uint64_t start_after, uint64_t *seed) {
  uint64_t last = journal_last(n->history, channel, start_after);
  if (!start_after || draw_percent(seed, 40)) return 0;
  if (!last) return draw_percent(seed, 70) ? SSE_FROM_FIRST : start_after;
  return draw_percent(seed, 50) ? last : start_after;
}

static void configure(node *n, int channel, uint64_t start_after, uint64_t *seed) {
  sse_channel_config config = {.window_frames_max = world.frames_max};
  bool state = channel >= FIRST_STATE;
  int result;
  n->frames_max[channel] = world.frames_max;
  n->void_to[channel] = start_after;
  config.start_after = own_start(n, channel, start_after, seed);
  if (!state && !config.start_after) return;
  if (state) config.conflate = SSE_YES;
  if (config.start_after == SSE_FROM_FIRST)
    n->void_to[channel] = 0;
  else if (config.start_after)
    n->void_to[channel] = config.start_after;
  result = sse_hub_configure_channel(n->hub, channel_names[channel], &config);
  if (result) breaks(RULE_CALL, "configure_channel returned %s", sse_error_name(result));
  if (config.start_after) {
    see(SEEN_OWN_STARTS);
    tell("    %s has start_after %" PRIu64 "\n", channel_names[channel], n->void_to[channel]);
  }
}

void node_start(node *n, uint64_t start_after, uint64_t *seed) {
  sse_hub_config config = {.numbers = SSE_NUMBERS_GIVEN,
                           .start_after = start_after,
                           .clock = clock_now,
                           .random = random_bytes,
                           .random_arg = &world.random,
                           .stall_ms = SSE_NEVER,
                           .heartbeat_ms = world.heartbeat_ms,
                           .finished_type = world.finished_type};
  int index = n->index, result;
  memset(n, 0, sizeof *n);
  n->index = index;
  n->history = (int)journal.count - 1;
  world.moment++;
  config.epoch = of_node(n)->epoch;
  config.channel.window_frames_max = world.frames_max;
  tell("  node %d starts: epoch %s, start_after %" PRIu64 ", windows of %zu\n", n->index,
       config.epoch, start_after, world.frames_max);
  result = sse_hub_new(&n->hub, &config);
  if (result) {
    breaks(RULE_CALL, "sse_hub_new returned %s", sse_error_name(result));
    return;
  }
  pass_over(n, start_after);
  n->void_all = start_after;
  for (int c = 0; c < CHANNELS; c++) configure(n, c, start_after, seed);
  for (int i = 0; i < LOOPS; i++) {
    sse_loop_config loop = {.wake = wake_loop, .wake_arg = &n->loops[i]};
    if (sse_loop_new(&n->loops[i].loop, n->hub, &loop)) breaks(RULE_CALL, "sse_loop_new");
  }
  node_check(n);
}

void node_stop(node *n) {
  for (int i = 0; i < LOOPS; i++)
    if (sse_loop_free(n->loops[i].loop)) breaks(RULE_CALL, "sse_loop_free");
  if (n->hub && sse_hub_free(n->hub)) breaks(RULE_CALL, "sse_hub_free");
  n->hub = NULL;
}

void node_forget(node *n, int channel) {
  int result;
  /* The channel loses its configuration, and with it its own start_after. */
  if (n->void_to[channel] != n->void_all) return;
  result = sse_hub_forget(n->hub, channel_names[channel]);
  world.moment++;
  if (result == SSE_ENOTFOUND || result == SSE_EBUSY) return;
  tell("  node %d forgets %s = %s\n", n->index, channel_names[channel], sse_error_name(result));
  if (result) breaks(RULE_CALL, "sse_hub_forget returned %s", sse_error_name(result));
  for (unsigned i = 0; i < of_node(n)->count; i++)
    if (node_place(n, i, channel, world.moment) == HELD) n->of[i].gone_at[channel] = world.moment;
  n->had_passing[channel] = false;
}

/* --- Feeding ---------------------------------------------------------------------------------- */

static sse_event event_of(const entry *e, char *payload) {
  sse_event ev = {.text = payload, .number = e->number, .label = e->marked};
  journal_payload(payload, 'n', e->name);
  if (e->key >= 0) ev.key = key_names[e->key];
  if (e->id[0]) ev.id = e->id;
  if (e->tombstone) ev.flags = SSE_TOMBSTONE;
  return ev;
}

static int publish(node *n, const entry *e, const sse_event *ev, char *id, size_t cap) {
  const char *names[CHANNELS + 1];
  unsigned count = 0;
  for (int c = 0; c < CHANNELS; c++)
    if (e->channels >> c & 1) names[count++] = channel_names[c];
  names[count] = NULL;
  if (id) return sse_hub_publish_id(n->hub, names, ev, id, cap);
  return count == 1 ? sse_hub_publish(n->hub, names[0], ev) : sse_hub_publish_to(n->hub, names, ev);
}

static void publish_entry(node *n, unsigned index, bool with_id) {
  const entry *e = &of_node(n)->entries[index];
  char payload[PAYLOAD_MAX], id[SSE_ID_BYTES_MAX + 1] = "", expected[64];
  sse_event ev = event_of(e, payload);
  int result = publish(n, e, &ev, with_id ? id : NULL, sizeof id);
  world.moment++;
  tell("  node %d publishes %" PRIu64 " n%u to {%s}%s%s%s%s%s%s = %s\n", n->index, e->number,
       e->name, journal_set(e->channels), e->key >= 0 ? ", key " : "",
       e->key >= 0 ? key_names[e->key] : "", e->tombstone ? ", tombstone" : "",
       e->marked ? ", marked" : "", e->id[0] ? ", id " : "", e->id, sse_error_name(result));
  if (result) {
    breaks(RULE_CALL, "publish of %" PRIu64 " returned %s", e->number, sse_error_name(result));
    return;
  }
  snprintf(expected, sizeof expected, "%s.%" PRIu64, of_node(n)->epoch, e->number);
  if (with_id && strcmp(id, e->id[0] ? e->id : expected) != 0)
    breaks(RULE_ID, "sse_hub_publish_id gave \"%s\"", id);
  move(n, e->number);
  n->published++;
  enter(n, index);
}

void node_ephemeral(node *n, const entry *e) {
  passing *p = &n->passings[n->passings_count];
  char payload[PAYLOAD_MAX];
  sse_event ev = {.text = payload, .flags = SSE_EPHEMERAL, .label = e->marked};
  int result;
  if (n->passings_count == PASSINGS_MAX) return;
  for (int c = 0; c < CHANNELS; c++)
    if (e->channels >> c & 1 && n->finished[c]) return;
  journal_payload(payload, 'e', e->name);
  result = publish(n, e, &ev, NULL, 0);
  world.moment++;
  n->published++;
  *p = (passing){.name = e->name,
                 .channels = e->channels,
                 .marked = e->marked,
                 .at = n->head,
                 .moment = world.moment,
                 .at_ns = world.now_ns};
  n->passings_count++;
  for (int c = 0; c < CHANNELS; c++)
    if (e->channels >> c & 1) n->had_passing[c] = true;
  tell("  node %d publishes ephemeral e%u to {%s}%s at %" PRIu64 " = %s\n", n->index, e->name,
       journal_set(e->channels), e->marked ? ", marked" : "", n->head, sse_error_name(result));
  if (result) breaks(RULE_CALL, "ephemeral publish returned %s", sse_error_name(result));
  node_check(n);
}

static void advance(node *n, uint64_t to) {
  int result = sse_hub_advance(n->hub, to);
  world.moment++;
  tell("  node %d advances to %" PRIu64 " = %s\n", n->index, to, sse_error_name(result));
  if (result) breaks(RULE_NUMBER, "advance returned %s", sse_error_name(result));
  move(n, to);
}

static void skip(node *n, uint64_t to) {
  uint64_t from = n->head;
  int result = sse_hub_skip(n->hub, to);
  world.moment++;
  tell("  node %d skips to %" PRIu64 " = %s\n", n->index, to, sse_error_name(result));
  if (result) breaks(RULE_NUMBER, "skip returned %s", sse_error_name(result));
  pass_over(n, to);
  for (int c = 0; c < CHANNELS; c++) n->void_to[c] = to;
  n->void_all = to;
  if (n->skips_count == SKIPS_MAX) abort();
  n->gaps++;
  n->skips[n->skips_count].from = from;
  n->skips[n->skips_count].to = to;
  n->skips[n->skips_count++].at = world.moment;
}

static void reset(node *n, uint64_t *seed) {
  const history *h = journal_now();
  uint64_t to = 0, least = 0;
  int result;
  for (int c = 0; c < CHANNELS; c++)
    if (n->finished[c]) least = h->end;
  if (draw_percent(seed, 30) && h->count) to = h->entries[draw_below(seed, h->count)].number;
  if (draw_percent(seed, 20)) to = h->end;
  if (draw_percent(seed, 20)) to = h->trimmed;
  if (to < least) to = least;
  result = sse_hub_reset(n->hub, h->epoch, to);
  world.moment++;
  tell("  node %d is reset to %s, %" PRIu64 " = %s\n", n->index, h->epoch, to,
       sse_error_name(result));
  if (result) breaks(RULE_CALL, "reset returned %s", sse_error_name(result));
  n->history = (int)journal.count - 1;
  memset(n->of, 0, sizeof n->of);
  pass_over(n, to);
  for (int c = 0; c < CHANNELS; c++) n->void_to[c] = to, n->had_passing[c] = false;
  n->void_all = to;
  n->skips_count = n->passings_count = 0;
  n->reset_at = world.moment;
  for (int i = 0; i < LOOPS; i++) n->loops[i].round_head = 0;
  n->reset_to = to;
  n->gaps++;
}

/* Channels that the log has finished, and of which the hub has read everything. */
static bool finish(node *n) {
  for (int c = 0; c < CHANNELS; c++) {
    int result;
    if (!journal.finished[c] || n->finished[c]) continue;
    if (journal_last(n->history, c, UINT64_MAX) > n->head) continue;
    result = sse_hub_finish(n->hub, channel_names[c]);
    world.moment++;
    tell("  node %d finishes %s = %s\n", n->index, channel_names[c], sse_error_name(result));
    if (result) breaks(RULE_CALL, "finish returned %s", sse_error_name(result));
    n->finished[c] = true;
    return true;
  }
  return false;
}

bool node_is_behind(const node *n) {
  const history *h = of_node(n);
  if (n->history + 1 < (int)journal.count || n->read < h->end) return true;
  for (int c = 0; c < CHANNELS; c++)
    if (journal.finished[c] && !n->finished[c]) return true;
  return false;
}

/* Reads the next entry; the number of one for other readers is told now or with a later one. */
static void read_next(node *n, uint64_t *seed) {
  const history *h = of_node(n);
  unsigned i = 0;
  while (i < h->count && h->entries[i].number <= n->read) i++;
  if (i == h->count) {
    if (h->end > n->head) advance(n, h->end);
    n->read = h->end;
  } else if (h->entries[i].channels) {
    if (draw_percent(seed, 15) && h->entries[i].number - 1 > n->head)
      advance(n, h->entries[i].number - 1);
    publish_entry(n, i, draw_percent(seed, 30));
  } else if (draw_percent(seed, 60)) {
    advance(n, h->entries[i].number);
  } else {
    n->read = h->entries[i].number;
  }
}

void node_feed(node *n, uint64_t *seed) {
  const history *h = of_node(n);
  if (n->history + 1 < (int)journal.count)
    reset(n, seed);
  else if (n->read < h->trimmed)
    skip(n, h->trimmed);
  else if (!draw_percent(seed, 30) || !finish(n))
    read_next(n, seed);
  if (n->read == h->end) finish(n);
  node_check(n);
}

/* --- Calls that change nothing ---------------------------------------------------------------- */

void node_again(node *n, uint64_t *seed) {
  const history *h = of_node(n);
  unsigned index = h->count ? draw_below(seed, h->count) : 0;
  char payload[PAYLOAD_MAX];
  uint64_t below = n->head ? n->head - 1 - draw_below(seed, 3) % n->head : 0;
  int result = SSE_ENUMBER;
  sse_event ev;
  switch (draw_below(seed, 4)) {
  case 0:
    if (n->head) result = sse_hub_advance(n->hub, below);
    break;
  case 1:
    result = sse_hub_skip(n->hub, draw_percent(seed, 50) ? n->head : below);
    break;
  case 2:
    if (sse_hub_advance(n->hub, n->head)) breaks(RULE_NUMBER, "advance to the head fails");
    break;
  default:
    if (!h->count || h->entries[index].number > n->head || !h->entries[index].channels) return;
    for (int c = 0; c < CHANNELS; c++)
      if (h->entries[index].channels >> c & 1 && n->finished[c]) return;
    ev = event_of(&h->entries[index], payload);
    if (draw_percent(seed, 20)) ev.number = 0;
    result = publish(n, &h->entries[index], &ev, NULL, 0);
    tell("  node %d reads %" PRIu64 " again = %s\n", n->index, ev.number, sse_error_name(result));
    if (result == SSE_EIDUSED) result = SSE_ENUMBER;
  }
  see(SEEN_AGAIN);
  if (result != SSE_ENUMBER)
    breaks(RULE_NUMBER, "a number that is not above the head: %s", sse_error_name(result));
  world.moment++;
  node_check(n);
}
