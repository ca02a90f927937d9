/* SPDX-License-Identifier: MIT */
/* chain.c: judges each block that a client has read to its end. */
#include "chain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- bytes ---- */

void chain_offer(chain *c, size_t bytes, unsigned base) {
  uint64_t end = c->consumed + bytes;
  if (c->segments_count && c->segments[c->segments_count - 1].end >= end) return;
  if (c->segments_count == SEGMENTS_MAX) abort();
  c->segments[c->segments_count].end = end;
  c->rested = c->rested || c->armed;
  c->armed = false;
  c->segments[c->segments_count].base = base;
  c->segments[c->segments_count++].at = world.moment;
}

void chain_requeue(chain *c) {
  c->blunt = true; /* a gap that was made may come later */
  c->rested = false;
  while (c->segments_count && c->segments[c->segments_count - 1].end > c->consumed)
    if (c->segments_count > 1 && c->segments[c->segments_count - 2].end >= c->consumed)
      c->segments_count--;
    else
      c->segments[c->segments_count - 1].end = c->consumed;
  if (c->segments_count && c->segments[c->segments_count - 1].end <= c->consumed)
    c->segments_count = 0;
}

/* ---- events ---- */

/* Nothing but the gap may come once a skip or a reset was told to the hub. */
static void in_place(chain *c, const char *what, bool harmless) {
  if (c->blunt || !c->first_done) return;
  if (chain_reset_due(c, c->base))
    breaks(RULE_RESET, "%s of %s comes after the reset to %s, before its gap", what,
           chain_history(c)->epoch, journal.histories[c->at->history].epoch);
  else if (chain_skip_due(c, c->base, true) && !harmless)
    breaks(RULE_SKIP, "%s comes before the gap of the skip to %" PRIu64, what,
           chain_skip_to(c, c->base));
}

static void foreign(const chain *c, const entry *e) {
  if (e->number <= c->own && chain_relevant(c, e) && c->result == SSE_RESUME_AHEAD)
    breaks(RULE_AHEAD, "entry %" PRIu64 " was given, the client is at %" PRIu64, e->number, c->own);
  else if (chain_excluded(c, e))
    breaks(RULE_EXCLUDED, "entry %" PRIu64 " was given, not_before %" PRIu64 ", filter %d",
           e->number, c->t.not_before, c->t.filtered);
  else
    breaks(RULE_FOREIGN, "entry %" PRIu64 " of {%s} was given to a stream of {%s}", e->number,
           journal_set(e->channels), journal_set(c->has));
}

static void with_id(chain *c, const wire_block *block, unsigned index) {
  const entry *e = &chain_history(c)->entries[index];
  char id[64];
  snprintf(id, sizeof id, "%s.%" PRIu64, chain_history(c)->epoch, e->number);
  if (strcmp(block->id, e->id[0] ? e->id : id) != 0)
    breaks(RULE_ID, "entry %" PRIu64 " has the id \"%s\"", e->number, block->id);
  if (!chain_relevant(c, e) || chain_excluded(c, e)) foreign(c, e);
  if (e->number <= c->cursor)
    breaks(RULE_ORDER, "entry %" PRIu64 " was given after %" PRIu64, e->number, c->cursor);
  if (c->received[index]) breaks(RULE_TWICE, "entry %" PRIu64 " was received before", e->number);
  if (c->s.active && c->s.begun && !c->t.positions_off)
    breaks(RULE_BACKFILL, "entry %" PRIu64 " with an id lies inside a backfill", e->number);
  chain_pass(c, e->number - 1, c->moment, "a later entry");
  c->given[index] = c->received[index] = true;
  see(SEEN_EVENTS);
  if (c->result == SSE_RESUME_AHEAD && c->cursor == c->own) see(SEEN_CAUGHT);
  c->cursor = c->done = e->number;
}

static bool is_member(const chain *c, unsigned channels, unsigned moment) {
  for (unsigned i = 0; i < c->intervals_count; i++)
    if (channels >> c->intervals[i].channel & 1 && c->intervals[i].from_at < moment &&
        c->intervals[i].to_at > moment)
      return true;
  return false;
}

static bool is_for(const chain *c, const passing *p) {
  return p->moment > c->opened_at && is_member(c, p->channels, p->moment) && p->at >= c->own &&
         chain_filter(c, p->marked);
}

/*
 * A stream that was dismissed while it was ahead, and whose client still has its own id: of what the
 * stream was not told before its end, the client is told when it returns.
 */
static bool is_told_later(const chain *c) {
  return c->dismissed && c->s.ahead && c->cursor <= c->own;
}

static void ephemeral(chain *c, unsigned name) {
  const node *n = c->at;
  unsigned i = 0;
  while (i < n->passings_count && n->passings[i].name != name) i++;
  if (c->history != n->history) return; /* it was in flight */
  if (i == n->passings_count) {
    breaks(RULE_EPHEMERAL, "e%u is not of this hub and history", name);
    return;
  }
  if (!is_for(c, &n->passings[i]))
    breaks(RULE_EPHEMERAL, "e%u at %" PRIu64 " is not for the stream, whose own id is %" PRIu64,
           name, n->passings[i].at, c->own);
  if (n->passings[i].at < c->cursor)
    breaks(RULE_EPHEMERAL, "e%u at %" PRIu64 " was given after %" PRIu64, name, n->passings[i].at,
           c->cursor);
  if (c->had[i]) breaks(RULE_TWICE, "e%u was given twice", name);
  c->had[i] = true;
  see(SEEN_EPHEMERAL);
  if (!is_told_later(c)) chain_pass(c, n->passings[i].at, c->moment, "an ephemeral event");
}

static void event_block(chain *c, const wire_block *block) {
  char payload[PAYLOAD_MAX], kind = block->data[0];
  unsigned name = (unsigned)strtoul(block->data + 1, NULL, 10);
  int index = kind == 'n' ? journal_find(c->history, name) : -1;
  journal_payload(payload, kind, name);
  if (strcmp(payload, block->data) != 0 || strcmp(block->type, "") != 0) {
    breaks(RULE_WIRE, "no such event: %.80s", block->raw);
    return;
  }
  in_place(c, block->data, !block->has_id && c->s.begun);
  if (!c->first_done) chain_first(c, NULL, NULL, 0);
  if (kind == 'e' && !block->has_id) {
    ephemeral(c, name);
  } else if (index < 0 ||
             node_place(c->at, (unsigned)index,
                        __builtin_ctz(chain_history(c)->entries[index].channels | 1u << 30),
                        world.moment) == UNREAD) {
    if (c->history == c->at->history)
      breaks(RULE_ID, "%.12s is not in the history %s, or was not read", block->data,
             chain_history(c)->epoch);
  } else if (block->has_id) {
    with_id(c, block, (unsigned)index);
  } else {
    chain_bare(c, (unsigned)index);
  }
}

/* ---- positions ---- */

static void check_number(const chain *c, const wire_block *block, int in, uint64_t number) {
  uint64_t most = c->at->head > c->own ? c->at->head : c->own;
  if (in != c->history || number > journal.histories[in].end) {
    breaks(RULE_ID, "the id %s is none of the log's", block->id);
  } else if (in == c->at->history && number > most) {
    breaks(RULE_POSITION, "the id %s, the head is %" PRIu64 ", the client's own %" PRIu64,
           block->id, c->at->head, c->own);
  } else if (number < c->cursor) {
    breaks(RULE_ORDER, "the id %s after %" PRIu64, block->id, c->cursor);
  }
}

static uint64_t larger(uint64_t a, uint64_t b) {
  return a > b ? a : b;
}

/*
 * Whether a position may come before the gap of a skip: the stream was ahead when it subscribed. The
 * gap closes the section that a marked position begins. Without a section it follows the position.
 */
static bool begins_late(const chain *c, bool marked) {
  bool empty = !c->s.state && c->s.backfill == 0;
  return c->s.active && c->s.ahead && (marked || empty) &&
         !(chain_skip_due(c, c->base, true) & ~c->s.channels);
}

static void position_block(chain *c, const wire_block *block) {
  uint64_t number = 0;
  bool marked = false, first = !c->first_done;
  int in = journal_id(block->id, &number, &marked);
  if (strcmp(block->data, "") != 0 || c->t.positions_off)
    breaks(RULE_WIRE, "a position: %.80s", block->raw);
  bool late = in == c->history && begins_late(c, marked);
  in_place(c, "a position",
           late || (in == c->history && number <= larger(chain_skip_from(c, c->base), c->own)));
  if (in < 0) {
    breaks(RULE_ID, "the id %s is none of the log's", block->id);
    return;
  }
  if (first) chain_first(c, block, NULL, number);
  check_number(c, block, in, number);
  if (found.found) return;
  if (!first && c->own > c->at->head && in == c->at->history && number != c->own)
    breaks(RULE_AHEAD_ID, "the position %s, the client's own is %" PRIu64, block->id, c->own);
  chain_pass(c, number, c->moment, "a position");
  see(SEEN_POSITIONS);
  c->cursor = number;
  if (marked)
    chain_mark(c, number);
  else
    chain_close_section(c, number, NULL);
}

/* ---- what has no id ---- */

static void heartbeat(chain *c) {
  see(SEEN_HEARTBEATS);
  if (!c->first_done || c->t.positions_off || c->history != c->at->history) return;
  if (chain_is_ahead(c) || !c->rested) return;
  if (c->cursor < c->at->head && c->base >= c->at->head_at)
    breaks(RULE_ADVANCED, "a heartbeat, the client has %" PRIu64 " and the head is %" PRIu64,
           c->cursor, c->at->head);
}

static void final_block(chain *c, const wire_block *block) {
  uint64_t number = c->cursor;
  bool marked;
  in_place(c, "the last event", false);
  if (!c->first_done) chain_first(c, NULL, NULL, 0);
  if (strcmp(block->data, "") != 0) breaks(RULE_WIRE, "the last event: %.80s", block->raw);
  if (block->has_id) {
    int in = journal_id(block->id, &number, &marked);
    if (in < 0 || marked)
      breaks(RULE_ID, "the last event has the id %s", block->id);
    else
      check_number(c, block, in, number);
  }
  chain_pass(c, number > c->at->head ? number : c->at->head, c->moment, "the last event");
  c->final_seen = true;
}

static void on_block(void *arg, const wire_block *block) {
  chain *c = arg;
  bool is_last = world.finished_type && !strcmp(block->type, world.finished_type);
  if (found.found) return;
  if (!c->first_done && (!c->t.positions_off || c->o.gap_must)) c->moment = c->base = c->opened_at;
  if (telling) {
    char shown[200];
    size_t len = block->raw_len < sizeof shown - 1 ? block->raw_len : sizeof shown - 1;
    for (size_t i = 0; i < len; i++) shown[i] = block->raw[i] == '\n' ? '|' : block->raw[i];
    shown[len] = 0;
    tell("      client %d reads %s\n", c->slot, shown);
  }
  if (block->other || (c->retries > 1 && c->first_done && !is_last)) {
    breaks(RULE_WIRE, "unexpected: %.80s", block->raw);
  } else if (block->has_comment) {
    heartbeat(c);
  } else if (!block->has_data) {
    if (block->has_id || !block->has_retry)
      breaks(RULE_WIRE, "a block without data: %.80s", block->raw);
    if (++c->retries == 2) c->end_at = c->moment;
  } else if (c->final_seen) {
    breaks(RULE_FINISHED, "after the last event: %.80s", block->raw);
  } else if (!strcmp(block->type, "gap")) {
    chain_gap(c, block);
  } else if (!strcmp(block->type, "sse-position")) {
    position_block(c, block);
  } else if (is_last) {
    final_block(c, block);
  } else {
    event_block(c, block);
  }
  c->rested = false;
}

void chain_take(chain *c, const char *bytes, size_t len) {
  for (unsigned i = 0; len && !found.found;) {
    size_t some;
    while (i < c->segments_count && c->segments[i].end <= c->consumed) i++;
    if (i == c->segments_count) abort();
    some = (size_t)(c->segments[i].end - c->consumed);
    if (some > len) some = len;
    c->moment = c->segments[i].at;
    c->base = c->segments[i].base;
    c->consumed += some;
    wire_feed(&c->reader, bytes, some, on_block, c);
    bytes += some, len -= some;
  }
  if (c->segments_count && c->segments[c->segments_count - 1].end <= c->consumed)
    c->segments_count = 0;
}

/* ---- nothing, and the end ---- */

static void ephemerals_given(const chain *c, unsigned moment) {
  for (unsigned i = 0; i < c->at->passings_count; i++) {
    const passing *p = &c->at->passings[i];
    bool old = world.now_ns - p->at_ns >= INT64_C(60000000000);
    if (p->moment >= moment || p->moment <= c->gap_at || old || c->had[i]) continue;
    if (is_for(c, p) && !c->t.lag_events_max && !c->dismissed)
      breaks(RULE_EPHEMERAL, "e%u at %" PRIu64 " was not given", p->name, p->at);
  }
}

void chain_nothing(chain *c, uint64_t head, unsigned moment) {
  if (found.found || c->consumed < 1) return;
  if (!c->first_done && c->t.positions_off) chain_first(c, NULL, NULL, 0);
  c->armed = true;
  c->blunt = false;
  c->s.doubled = 0;
  if (chain_reset_due(c, moment)) {
    breaks(RULE_RESET, "nothing to read, and the reset to %s was not reported",
           journal.histories[c->at->history].epoch);
    return;
  }
  if (c->history != c->at->history) return;
  if (chain_skip_due(c, moment, false))
    breaks(RULE_SKIP, "nothing to read, and the skip to %" PRIu64 " was not reported",
           chain_skip_to(c, moment));
  chain_pass(c, head, world.moment, "a stream that rests");
  if (c->s.active && !c->s.settled && c->s.asked_at < moment && !c->t.positions_off &&
      !chain_is_ahead(c))
    breaks(RULE_SUBSCRIBED, "nothing to read, and {%s} was not begun or not ended",
           journal_set(c->s.channels));
  chain_check_late(c);
  ephemerals_given(c, moment);
  if (chain_all_finished(c) && moment == world.moment && !(c->s.active && c->s.ahead))
    breaks(RULE_FINISHED, "nothing to read, all channels of {%s} are finished",
           journal_set(c->has));
}

void chain_over(chain *c, int code) {
  unsigned moment = c->retries > 1 ? c->end_at : world.moment;
  bool right =
      (code == SSE_EDISCONNECTED && c->disconnected) || (code == SSE_EDISMISSED && c->dismissed) ||
      (code == SSE_EDRAINED && c->at->drained) ||
      (code == SSE_EFINISHED && chain_all_finished(c)) || (code == SSE_ESLOW && c->t.closes);
  tell("      client %d: its stream is over: %s\n", c->slot, sse_error_name(code));
  if (code == SSE_EFINISHED) see(SEEN_FINISHED);
  if (code == SSE_EDISMISSED) see(SEEN_DISMISSED);
  if (!right)
    breaks(RULE_END, "client %d: the stream ended with %s", c->slot, sse_error_name(code));
  if (code == SSE_EFINISHED && world.finished_type && !c->final_seen)
    breaks(RULE_FINISHED, "SSE_EFINISHED without the event of the type %s", world.finished_type);
  if (code != SSE_EFINISHED && code != SSE_EDISMISSED) return;
  if (!c->first_done && c->t.positions_off) chain_first(c, NULL, NULL, 0);
  if (chain_reset_due(c, moment) && !c->blunt)
    breaks(RULE_RESET, "%s before the reset was reported", sse_error_name(code));
  if (c->history != c->at->history) return;
  if (code == SSE_EFINISHED && chain_skip_due(c, moment, false) && !c->blunt)
    breaks(RULE_SKIP, "%s before the skip was reported", sse_error_name(code));
  if (code == SSE_EDISMISSED && is_told_later(c)) return;
  chain_pass(c, code == SSE_EFINISHED ? c->at->head : c->dismissed_to, world.moment, "the end");
}
