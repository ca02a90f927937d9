/* SPDX-License-Identifier: MIT */
/* chain_open.c: what the opening of a stream must lead to, and its first block. */
#include "chain.h"

#include <inttypes.h>
#include <string.h>

#define BIT(result) (1u << (result))

/* ---- what an id must lead to ---- */

static void lose(const chain *c, uint64_t after, opening *o) {
  const node *n = c->at;
  uint64_t above = after > c->own ? after : c->own;
  for (int k = 0; k < CHANNELS; k++)
    if (c->has >> k & 1 && n->void_to[k] > above) o->gap_must = true, o->gone_must |= 1u << k;
  for (unsigned i = 0; i < chain_history(c)->count; i++) {
    const entry *e = &chain_history(c)->entries[i];
    unsigned set = e->channels & c->has, out = chain_evicted(c, i, set, world.moment);
    if (e->number <= above || !out) continue;
    o->gap_may = true;
    o->gone_may |= out;
    if (chain_fate(c, i, set, world.moment) != FATE_GONE || !chain_filter(c, e->marked)) continue;
    o->gap_must = true;
    o->gone_must |= out & (out - 1) || out & STATE_CHANNELS ? 0 : out;
  }
  o->gone_may |= o->gone_must;
  o->gap_may = o->gap_may || o->gap_must;
}

/* Continues with new events: what lies between is lost. */
static void live(const chain *c, uint64_t after, opening *o) {
  o->state_must = true;
  o->may_skip = c->at->head;
  for (unsigned i = 0; i < chain_history(c)->count; i++)
    if (chain_history(c)->entries[i].number > after)
      o->gone_may |= chain_history(c)->entries[i].channels & c->has;
}

/* More events than the stream's limit are retained. */
static bool is_over(const chain *c, uint64_t above) {
  uint32_t count = 0;
  for (unsigned i = 0; i < chain_history(c)->count; i++) {
    const entry *e = &chain_history(c)->entries[i];
    if (e->number > above && e->number > c->own &&
        chain_fate(c, i, e->channels & c->has, world.moment) == FATE_HELD)
      count++;
  }
  return c->t.lag_events_max && count > c->t.lag_events_max;
}

static void resume(const chain *c, uint64_t number, bool marked, opening *o) {
  lose(c, number, o);
  o->low = number;
  if (marked) {
    o->gap_must = o->gap_may = o->all = o->state_must = true;
    o->repeats = number > c->at->head;
    if (o->repeats) o->low = 0, o->may_skip = c->at->head;
  }
  o->reason = "evicted";
  o->results = o->gap_must  ? BIT(SSE_RESUME_EVICTED)
               : o->gap_may ? BIT(SSE_RESUME_EVICTED) | BIT(SSE_RESUME_RESUMED)
                            : BIT(SSE_RESUME_RESUMED);
  if (is_over(c, number)) {
    o->results |= BIT(SSE_RESUME_EVICTED);
    o->may_skip = c->at->head;
    o->gone_may = c->has;
  }
  if (c->own > c->at->head && number <= c->at->head) o->results |= BIT(SSE_RESUME_AHEAD);
  if (c->result != SSE_RESUME_EVICTED) return;
  o->gap_must = o->gap_may = o->state_may = true;
  if (c->t.lost == SSE_LOST_LIVE) live(c, number, o);
}

/* The highest number whose application id may be forgotten. */
static uint64_t forgotten(const chain *c) {
  const node *n = c->at;
  uint64_t highest = n->skips_count ? n->skips[n->skips_count - 1].to : 0;
  for (unsigned i = 0; i < chain_history(c)->count; i++) {
    const entry *e = &chain_history(c)->entries[i];
    if (!e->id[0] || e->number > n->head) continue;
    if (chain_fate(c, i, e->channels, world.moment) != FATE_HELD && e->number > highest)
      highest = e->number;
  }
  for (int k = 0; k < CHANNELS; k++)
    if (n->void_to[k] > highest) highest = n->void_to[k];
  return highest;
}

static void not_resumed(const chain *c, sse_resume result, const char *reason, opening *o) {
  bool by_result = c->t.lost == SSE_LOST_BY_RESULT;
  o->results = BIT(result);
  o->reason = reason;
  o->gap_must = o->gap_may = o->all = o->repeats = o->state_may = true;
  if (c->t.lost == SSE_LOST_LIVE || (by_result && result == SSE_RESUME_MALFORMED))
    live(c, 0, o);
  else if (by_result && result == SSE_RESUME_UNKNOWN)
    o->may_skip = forgotten(c);
  if (c->t.lag_events_max) o->may_skip = c->at->head;
}

/* The number that leaves so many of the newest events. */
static uint64_t last_cut(const chain *c) {
  uint32_t left = c->t.start_events;
  for (unsigned i = chain_history(c)->count; i--;) {
    const entry *e = &chain_history(c)->entries[i];
    if (e->number <= c->own) break;
    if (chain_fate(c, i, e->channels & c->has, world.moment) != FATE_HELD) continue;
    if (!left--) return e->number;
  }
  return 0;
}

static void without_id(const chain *c, opening *o) {
  o->results = BIT(SSE_RESUME_NONE);
  o->repeats = o->state_must = true;
  o->reason = "evicted";
  if (c->t.start == SSE_START_NOW) o->low = c->at->head;
  if (c->t.start == SSE_START_LAST) o->low = last_cut(c);
  if (c->t.lag_events_max) o->may_skip = c->at->head;
}

/* The entry with an id of the application; 0: none that the hub has. */
static uint64_t by_id(const chain *c, const char *id) {
  for (unsigned i = 0; i < chain_history(c)->count; i++) {
    const entry *e = &chain_history(c)->entries[i];
    for (int k = 0; k < CHANNELS; k++)
      if (!strcmp(e->id, id) && node_place(c->at, i, k, world.moment) == HELD) return e->number;
  }
  return 0;
}

/* A number that begins with a zero too many. */
static bool is_padded(const char *dot) {
  return dot[1] == '0' && dot[2];
}

/* Nearly an id of this hub. */
static bool is_malformed(const chain *c, const char *id) {
  const char *epoch = chain_history(c)->epoch;
  size_t len = strlen(epoch);
  return !strncmp(id, epoch, len) && id[len] == '.' && is_padded(id + len);
}

/* An id of another history, or of no log at all. */
static bool is_foreign(const chain *c, const char *id, int in) {
  const char *dot = strchr(id, '.');
  return in >= 0 ? in != c->history : dot && !is_padded(dot);
}

static void expect(chain *c) {
  opening *o = &c->o;
  uint64_t number = 0;
  bool marked = false;
  const char *id = c->t.last_id;
  int in = journal_id(id, &number, &marked);
  memset(o, 0, sizeof *o);
  if (!id[0]) {
    without_id(c, o);
  } else if (is_foreign(c, id, in)) {
    not_resumed(c, SSE_RESUME_RESTART, "restart", o);
  } else if (in >= 0 && number > c->at->head && !marked) {
    o->results = BIT(SSE_RESUME_AHEAD);
    o->low = number;
    if (number > c->own) c->own = number;
  } else if (in >= 0) {
    resume(c, number, marked, o);
  } else if (is_malformed(c, id)) {
    not_resumed(c, SSE_RESUME_MALFORMED, "malformed", o);
  } else if ((number = by_id(c, id)) && c->result != SSE_RESUME_UNKNOWN) {
    resume(c, number, false, o);
  } else if (c->result == SSE_RESUME_UNKNOWN) {
    not_resumed(c, SSE_RESUME_UNKNOWN, "unknown", o);
    if (number) o->results = 0;
  } else {
    /* An id that is evicted is known while its event is in flight. */
    for (unsigned i = 0; i < chain_history(c)->count; i++)
      if (!strcmp(chain_history(c)->entries[i].id, id))
        number = chain_history(c)->entries[i].number;
    resume(c, number, false, o);
    if (!number || number > c->at->head) o->results = BIT(SSE_RESUME_UNKNOWN);
  }
}

/* ---- the opening ---- */

void chain_open(chain *c, node *n, const terms *t) {
  char id[WIRE_ID_MAX];
  memcpy(id, t->last_id, sizeof id);
  c->t = *t;
  c->at = n;
  if (c->history != n->history || !t->own_id) memset(c->received, 0, sizeof c->received);
  c->history = n->history;
  memcpy(c->reader.last_id, id, sizeof id);
  wire_reset(&c->reader);
  c->reader.alone = true;
  c->has = c->ever = t->channels;
  c->own = t->not_before_old ? 0 : t->not_before;
  memset(c->covered, 0, sizeof c->covered);
  c->cursor = c->done = c->consumed = c->optional = 0;
  c->again = c->left = c->vague = 0;
  c->retries = c->gap_at = c->dismissed_at = 0;
  c->first_done = c->final_seen = c->dismissed = c->disconnected = c->left_state = false;
  c->blunt = c->armed = c->rested = c->woken = false;
  memset(c->given, 0, sizeof c->given);
  memset(c->reported, 0, sizeof c->reported);
  memset(c->had, 0, sizeof c->had);
  memset(&c->s, 0, sizeof c->s);
  memset(&c->late, 0, sizeof c->late);
  c->intervals_count = c->segments_count = 0;
  c->opened_at = ++world.moment;
  c->opened_ns = world.now_ns;
  c->opened_in = n->history;
  c->head_at_open = n->head;
  for (int k = 0; k < CHANNELS; k++)
    if (c->has >> k & 1)
      c->intervals[c->intervals_count++] =
          (interval){.channel = k, .to = UINT64_MAX, .from_at = c->opened_at, .to_at = UINT32_MAX};
}

/* Whether there is for certain something to give to a stream that opens. */
static bool has_something(const chain *c) {
  for (unsigned i = 0; i < chain_history(c)->count; i++) {
    const entry *e = &chain_history(c)->entries[i];
    fate became = chain_fate(c, i, e->channels & c->has, world.moment);
    if (became != FATE_HELD || e->number <= c->own || !chain_filter(c, e->marked)) continue;
    if (e->number > c->o.low && e->number > c->o.may_skip) return true;
  }
  return c->o.gap_must;
}

bool chain_opened(chain *c, int result) {
  bool moved = c->t.own_id && c->before && c->before != c->at;
  c->before = c->at;
  c->result = result ? SSE_RESUME_NONE : sse_stream_resume_result(c->stream);
  if (result && c->t.last_id[0]) c->result = SSE_RESUME_RESUMED;
  expect(c);
  if (result) {
    bool right = c->at->drained ? result == SSE_EDRAINED : false;
    if (result == SSE_EFINISHED) right = chain_all_finished(c) && !has_something(c);
    if (!right) breaks(RULE_CALL, "open returned %s", sse_error_name(result));
    c->stream = NULL;
    return false;
  }
  if (c->at->drained) breaks(RULE_CALL, "open of a hub that drains returned 0");
  if (!(c->o.results & BIT(c->result)))
    breaks(RULE_RESULT,
           "the result is %d for the id \"%s\" at the head %" PRIu64
           ", it should be one of the set 0x%x",
           (int)c->result, c->t.last_id, c->at->head, c->o.results);
  if (c->result == SSE_RESUME_RESUMED) see(moved ? SEEN_MOVED : SEEN_RESUMED);
  if (c->result == SSE_RESUME_EVICTED) see(SEEN_EVICTED);
  if (c->result == SSE_RESUME_AHEAD) see(SEEN_AHEAD);
  if (c->result == SSE_RESUME_RESTART) see(SEEN_FOREIGN);
  if (c->o.repeats) memset(c->received, 0, sizeof c->received);
  c->cursor = c->done = c->o.low;
  return true;
}

/* ---- the first block ---- */

static void first_gap(chain *c, const wire_gap *gap, uint64_t number) {
  const opening *o = &c->o;
  unsigned named = chain_named(gap);
  bool state = c->has & STATE_CHANNELS && (o->state_must || o->state_may);
  if (!o->gap_may && !state)
    breaks(RULE_GAP_CAUSE, "the stream begins with a gap %s, nothing is lost", gap->reason);
  if (!o->reason || strcmp(gap->reason, o->reason) != 0)
    breaks(RULE_GAP_FORM, "the reason is %s, it should be %s", gap->reason,
           o->reason ? o->reason : "none");
  if (gap->has_requested != (c->t.last_id[0] && c->result != SSE_RESUME_MALFORMED) ||
      (gap->has_requested && strcmp(gap->requested, c->t.last_id) != 0))
    breaks(RULE_GAP_FORM, "requested is \"%s\", the client sent \"%s\"", gap->requested,
           c->t.last_id);
  if ((o->all && named != c->has) || (named & o->gone_must) != o->gone_must || named & ~c->has ||
      (!o->all && named & ~(o->gone_may | (state ? STATE_CHANNELS : 0))))
    breaks(RULE_GAP_CHANNELS, "the gap names {%s} of {%s}; it must {%s}, it may {%s}",
           journal_set(named), journal_set(c->has), journal_set(o->gone_must),
           journal_set(o->gone_may));
  for (unsigned i = 0; i < chain_history(c)->count; i++) {
    const entry *e = &chain_history(c)->entries[i];
    unsigned set = chain_relevant(c, e);
    c->reported[i] |= (uint8_t)(chain_evicted(c, i, set, c->opened_at) & named);
    if (e->number > number || e->number > c->head_at_open || !set || chain_excluded(c, e)) continue;
    if (e->number > o->low && e->number > o->may_skip && c->opened_at &&
        chain_fate(c, i, set, c->opened_at) == FATE_HELD)
      breaks(RULE_START, "the stream begins at %" PRIu64 ", entry %" PRIu64 " is not given", number,
             e->number);
    c->reported[i] |= (uint8_t)set;
  }
  c->done = number;
}

void chain_first(chain *c, const wire_block *block, const wire_gap *gap, uint64_t number) {
  const opening *o = &c->o;
  uint64_t most = c->own > c->head_at_open ? c->own : c->head_at_open;
  c->first_done = true;
  if (!gap && o->gap_must) breaks(RULE_FIRST, "events were lost, and no gap is the first block");
  if (!block && !c->t.positions_off) breaks(RULE_FIRST, "there is no first block");
  if (!block) c->optional = o->may_skip;
  if (!block) return;
  if (!gap && c->own > c->head_at_open && number != c->own && number != o->low)
    breaks(RULE_AHEAD, "the stream begins at %" PRIu64 ", the client's own is %" PRIu64, number,
           c->own);
  if (number < o->low || number > most)
    breaks(RULE_START, "the stream begins at %" PRIu64 ", it should at %" PRIu64, number, o->low);
  if (gap)
    first_gap(c, gap, number);
  else if (o->may_skip && number <= o->may_skip && c->done < number)
    c->done = number;
  if (c->history == c->at->history) chain_pass(c, number, c->opened_at, "the beginning");
  c->cursor = number;
  if (!(c->has & STATE_CHANNELS) || (!o->state_must && !o->state_may)) return;
  chain_begin_state(c, number);
  if (gap && (chain_named(gap) & c->s.channels || c->result == SSE_RESUME_EVICTED))
    c->s.reported = true;
}
