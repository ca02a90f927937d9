/* SPDX-License-Identifier: MIT */
/* chain_section.c: states and backfills, and the channels of an open stream. */
#include "chain.h"

#include <inttypes.h>
#include <string.h>

static bool is_held(const chain *c, unsigned index, unsigned channels, unsigned moment) {
  for (int k = 0; k < CHANNELS; k++)
    if (channels >> k & 1 && node_place(c->at, index, k, moment) == HELD) return true;
  return false;
}

/* Whether not_before or the filter leave an entry out of a section. */
static bool is_left_out(const chain *c, const entry *e) {
  bool before = e->number <= c->t.not_before && !c->t.not_before_old;
  return (before && c->history == c->opened_in) || !chain_filter(c, e->marked);
}

static bool is_for_state(const chain *c, const entry *e, unsigned channels, uint64_t at) {
  return e->channels & channels && !e->tombstone && e->number <= at && !is_left_out(c, e);
}

static void want_state(chain *c) {
  section *s = &c->s;
  for (unsigned i = 0; i < chain_history(c)->count; i++) {
    if (!is_for_state(c, &chain_history(c)->entries[i], s->channels, s->at)) continue;
    s->may[i] = true;
    s->must[i] = is_held(c, i, s->channels, s->asked_at);
    s->held[i] = true;
  }
}

void chain_begin_state(chain *c, uint64_t at) {
  section *s = &c->s;
  memset(s, 0, sizeof *s);
  s->active = s->opening = s->state = true;
  s->channels = c->has & STATE_CHANNELS;
  s->at = at;
  s->asked_at = c->opened_at;
  s->reported = c->o.all;
  if (c->history != c->at->history) return;
  want_state(c);
  if (c->o.state_must) return;
  for (unsigned i = 0; i < ENTRIES_MAX; i++) s->must[i] = false;
}

/* ---- calls ---- */

static uint64_t larger(uint64_t a, uint64_t b) {
  return a > b ? a : b;
}

/* The newest entries of a channel up to the number of its section. */
static void want_backfill(chain *c, unsigned moment) {
  section *s = &c->s;
  size_t rank = 0;
  for (unsigned i = chain_history(c)->count; i--;) {
    const entry *e = &chain_history(c)->entries[i];
    bool before = is_left_out(c, e);
    if (e->number > s->at || !is_held(c, i, s->channels, moment)) continue;
    if (rank++ >= s->backfill) break;
    s->held[i] = true;
    s->may[i] = !before;
    s->must[i] = !before && !c->given[i] && !c->received[i] && !chain_relevant(c, e);
  }
}

/* A stream that was ahead is subscribed when the hub has reached its number. */
static void want_late(chain *c) {
  section *s = &c->s;
  if (!s->ahead || c->at->head < s->at) return;
  s->asked_at = c->moment;
  memset(s->must, 0, sizeof s->must);
  if (c->dismissed) return; /* nothing of it was promised any more */
  if (s->state)
    want_state(c);
  else
    want_backfill(c, c->moment);
}

void chain_subscribe(chain *c, int channel, size_t backfill) {
  section *s = &c->s;
  if (c->has >> channel & 1) return;
  c->has |= 1u << channel;
  c->left &= ~(1u << channel);
  if (c->ever >> channel & 1) c->again |= 1u << channel;
  c->ever |= 1u << channel;
  c->intervals[c->intervals_count++] = (interval){.channel = channel,
                                                  .from = larger(c->at->head, c->own),
                                                  .to = UINT64_MAX,
                                                  .from_at = world.moment,
                                                  .to_at = UINT32_MAX};
  if (chain_is_ahead(c)) see(SEEN_AHEAD_JOINED);
  memset(s, 0, sizeof *s);
  s->active = true;
  s->ahead = chain_is_ahead(c);
  s->state = channel >= FIRST_STATE;
  s->channels = 1u << channel;
  s->at = larger(c->at->head, c->own);
  s->asked_at = world.moment;
  s->backfill = backfill;
  if (s->ahead) {
    if (!s->state || c->again & s->channels) return;
    c->late.channels |= s->channels;
    c->late.from = c->at->head;
    c->late.to = c->own;
  } else if (s->state) {
    want_state(c);
  } else {
    want_backfill(c, world.moment);
  }
}

void chain_unsubscribe(chain *c, int channel) {
  for (unsigned i = 0; i < c->intervals_count; i++) {
    interval *in = &c->intervals[i];
    if (in->channel != channel || in->to != UINT64_MAX) continue;
    in->to = larger(c->at->head, c->own);
    in->to_at = world.moment;
    c->left_state = c->left_state || channel >= FIRST_STATE;
  }
  c->has &= ~(1u << channel);
  c->left |= 1u << channel;
}

void chain_dismiss(chain *c) {
  if (c->dismissed) return;
  c->dismissed = true;
  c->dismissed_at = world.moment;
  c->dismissed_to = c->at->head;
  c->left_state = c->has & STATE_CHANNELS;
  for (unsigned i = 0; i < c->intervals_count; i++)
    if (c->intervals[i].to == UINT64_MAX) {
      if (c->history == c->at->history) c->intervals[i].to = c->at->head;
      c->intervals[i].to_at = world.moment;
    }
}

/* ---- blocks ---- */

/* A backfill that was asked for while the stream was ahead may be looked up later. */
static bool is_late(const section *s, const entry *e) {
  return s->ahead && e->channels & s->channels && e->number <= s->at;
}

void chain_bare(chain *c, unsigned index) {
  section *s = &c->s;
  const entry *e = &chain_history(c)->entries[index];
  if (!s->active || (!s->begun && !c->t.positions_off)) {
    breaks(RULE_BACKFILL, "entry %" PRIu64 " without an id, outside two positions", e->number);
    return;
  }
  if (c->history == c->at->history && !s->may[index] && !is_late(s, e))
    breaks(s->state ? RULE_STATE : RULE_BACKFILL,
           "entry %" PRIu64 " of {%s} is not of the %s of {%s} at %" PRIu64, e->number,
           journal_set(e->channels), s->state ? "state" : "backfill", journal_set(s->channels),
           s->at);
  if (s->given[index])
    breaks(RULE_TWICE, "entry %" PRIu64 " comes twice in one section", e->number);
  if (e->number < s->last)
    breaks(RULE_ORDER, "entry %" PRIu64 " comes after %" PRIu64 " in a section", e->number,
           s->last);
  s->given[index] = true;
  see(SEEN_BARE);
  s->last = e->number;
}

/* Whether an id is that of the section: nothing of the stream is retained between the two. */
static bool is_there(const chain *c, uint64_t number) {
  for (unsigned i = 0; i < chain_history(c)->count; i++) {
    const entry *e = &chain_history(c)->entries[i];
    unsigned set = chain_relevant(c, e);
    if (e->number <= number || e->number > c->s.at || !set || chain_excluded(c, e)) continue;
    if (chain_fate(c, i, set, world.moment) == FATE_HELD) return false;
  }
  return true;
}

void chain_mark(chain *c, uint64_t number) {
  section *s = &c->s;
  if (c->dismissed && number > c->dismissed_to && s->begun) return; /* it closes a section, ahead */
  if (!s->active || s->begun || !is_there(c, number)) {
    breaks(RULE_MARK, "a mark at %" PRIu64 ", no backfill or state is due", number);
    return;
  }
  s->begun = true;
}

/* Whether a channel's state has lost a value that the stream was not given. */
static bool is_incomplete(const chain *c, int channel) {
  const section *s = &c->s;
  const node *n = c->at;
  if (n->void_to[channel] > c->own && n->void_to[channel] <= s->at) return true;
  for (unsigned i = 0; i < chain_history(c)->count; i++) {
    const entry *e = &chain_history(c)->entries[i];
    if (e->number > s->at || e->tombstone || is_left_out(c, e)) continue;
    if (node_place(n, i, channel, world.moment) != EVICTED || e->number <= n->void_to[channel])
      continue;
    if (!s->given[i] || (!s->ahead && n->of[i].gone_at[channel] <= s->asked_at)) return true;
  }
  return false;
}

/* Whether some of the section is surely gone. */
static bool has_lost(const chain *c) {
  const section *s = &c->s;
  for (unsigned i = 0; i < chain_history(c)->count; i++)
    if (s->must[i] && !s->given[i] &&
        chain_fate(c, i, s->channels & chain_history(c)->entries[i].channels, c->moment) ==
            FATE_GONE)
      return true;
  for (int k = FIRST_STATE; k < CHANNELS; k++)
    if (s->state && s->channels >> k & 1 && (c->o.state_must || !s->opening) && is_incomplete(c, k))
      return true;
  return false;
}

static bool wants(const chain *c) {
  const section *s = &c->s;
  for (unsigned i = 0; i < chain_history(c)->count; i++)
    if (s->must[i] && !s->given[i] && is_held(c, i, s->channels, world.moment)) return true;
  return false;
}

/*
 * Whether it may have lost something, so that a gap is no false one. Of a stream that was dismissed
 * while it was ahead, the gap may also stand for what came behind the section and after that.
 */
static bool may_have_lost(const chain *c) {
  const section *s = &c->s;
  const history *h = chain_history(c);
  uint64_t upto = c->dismissed ? UINT64_MAX : s->at;
  for (int k = 0; k < CHANNELS; k++) {
    if (!(s->channels >> k & 1)) continue;
    if (s->state && node_state_lost(c->at, k)) return true;
    for (unsigned i = 0; i < h->count; i++)
      if ((s->held[i] || (s->ahead && h->entries[i].number <= upto)) &&
          node_place(c->at, i, k, c->moment) == EVICTED)
        return true;
  }
  return false;
}

void chain_check_late(const chain *c) {
  if (!c->late.channels || chain_is_ahead(c)) return;
  for (unsigned i = 0; i < chain_history(c)->count; i++) {
    const entry *e = &chain_history(c)->entries[i];
    if (e->number <= c->late.from || e->number > c->late.to || e->tombstone) continue;
    if (c->given[i] || c->s.given[i]) continue;
    if (is_held(c, i, c->late.channels & c->has, world.moment) && chain_filter(c, e->marked) &&
        e->number > c->t.not_before && !c->received[i])
      breaks(RULE_STATE,
             "entry %" PRIu64 " of {%s} is not in the state of {%s} that was given at %" PRIu64,
             e->number, journal_set(e->channels), journal_set(c->late.channels), c->late.from);
  }
}

void chain_close_section(chain *c, uint64_t number, const wire_gap *gap) {
  section *s = &c->s;
  unsigned named = gap ? chain_named(gap) : 0;
  if (!s->active || c->history != c->at->history) return;
  if (s->ahead && c->at->head < s->at) return;
  want_late(c);
  if (!is_there(c, number) && !s->begun) {
    if (gap && !strcmp(gap->reason, "evicted") && !chain_skip_to(c, c->moment))
      breaks(RULE_GAP_CAUSE, "a gap evicted at %" PRIu64 ", before the section at %" PRIu64, number,
             s->at);
    return;
  }
  /* A position before the section begins, which need not begin if it may be empty. */
  if (!s->begun && !gap && !c->t.positions_off) {
    s->settled = !wants(c) && (s->reported || !has_lost(c));
    return;
  }
  if (gap && named & s->channels) {
    if (!s->reported && !chain_skip_to(c, c->moment) && !may_have_lost(c))
      breaks(RULE_GAP_CAUSE, "a gap for {%s}, nothing of it is lost", journal_set(named));
    s->reported = true;
    c->late.channels &= ~named;
  }
  for (unsigned i = 0; i < chain_history(c)->count && !s->reported; i++)
    if (s->must[i] && !s->given[i] && is_held(c, i, s->channels, c->moment))
      breaks(s->state ? RULE_STATE : RULE_BACKFILL, "entry %" PRIu64 " of {%s} was not given",
             chain_history(c)->entries[i].number, journal_set(s->channels));
  if (!s->reported && has_lost(c))
    breaks(s->state ? RULE_STATE : RULE_BACKFILL,
           "the section of {%s} at %" PRIu64 " has lost something, and no gap says so",
           journal_set(s->channels), s->at);
  c->late.channels &= ~s->channels;
  s->active = false;
}
