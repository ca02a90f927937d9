/* SPDX-License-Identifier: MIT */
/* chain_base.c: what all rules of the chain ask. */
#include "chain.h"

#include <inttypes.h>
#include <string.h>

const history *chain_history(const chain *c) {
  return &journal.histories[c->history];
}

bool chain_filter(const chain *c, bool marked) {
  return !c->t.filtered || marked;
}

unsigned chain_relevant(const chain *c, const entry *e) {
  unsigned set = 0;
  for (unsigned i = 0; i < c->intervals_count; i++) {
    const interval *in = &c->intervals[i];
    if (e->channels >> in->channel & 1 && e->number > in->from && e->number <= in->to)
      set |= 1u << in->channel;
  }
  return set;
}

bool chain_excluded(const chain *c, const entry *e) {
  return e->number <= c->own || !chain_filter(c, e->marked);
}

bool chain_is_ahead(const chain *c) {
  return c->own > c->at->head;
}

bool chain_all_finished(const chain *c) {
  for (int k = 0; k < CHANNELS; k++)
    if (c->has >> k & 1 && !c->at->finished[k]) return false;
  return c->has;
}

/* Whether a reader up to a number has a value of the tombstone's key. */
static bool has_value(const chain *c, unsigned tombstone, int channel, uint64_t upto) {
  const entry *entries = chain_history(c)->entries;
  for (unsigned i = tombstone; i--;)
    if (entries[i].number <= upto && entries[i].channels >> channel & 1 &&
        entries[i].key == entries[tombstone].key)
      return !entries[i].tombstone;
  return false;
}

/* What replaced an entry in a channel is not for the stream. */
static bool is_orphan(const chain *c, unsigned index, int channel) {
  const history *h = chain_history(c);
  for (unsigned i = index + 1; i < h->count; i++)
    if (h->entries[i].key == h->entries[index].key && h->entries[i].channels >> channel & 1)
      return !(chain_relevant(c, &h->entries[i]) >> channel & 1);
  return false;
}

fate chain_fate(const chain *c, unsigned index, unsigned channels, unsigned moment) {
  const entry *e = &chain_history(c)->entries[index];
  fate worst = FATE_OVER;
  for (int k = 0; k < CHANNELS; k++) {
    place p = channels >> k & 1 ? node_place(c->at, index, k, moment) : NOWHERE;
    if (p == HELD) return FATE_HELD;
    if (p == SUPERSEDED && is_orphan(c, index, k) && worst == FATE_OVER) worst = FATE_SOFT;
    if (p != EVICTED) continue;
    if (k >= FIRST_STATE && (node_has_newer(c->at, index, k, moment) ||
                             (e->tombstone && !has_value(c, index, k, c->cursor)))) {
      if (worst == FATE_OVER) worst = FATE_SOFT;
    } else {
      worst = FATE_GONE;
    }
  }
  return worst;
}

unsigned chain_evicted(const chain *c, unsigned index, unsigned channels, unsigned moment) {
  unsigned set = 0;
  for (int k = 0; k < CHANNELS; k++)
    if (channels >> k & 1 && node_place(c->at, index, k, moment) == EVICTED) set |= 1u << k;
  return set;
}

unsigned chain_named(const wire_gap *gap) {
  unsigned set = 0;
  for (unsigned i = 0; i < gap->names_count; i++) {
    int k = 0;
    while (k < CHANNELS && strcmp(gap->names[i], channel_names[k]) != 0) k++;
    if (k == CHANNELS || set >> k & 1)
      breaks(RULE_GAP_CHANNELS, "the gap names \"%s\", or names it twice", gap->names[i]);
    else
      set |= 1u << k;
  }
  return set;
}

/* The index of the latest skip, from 1; 0: none. */
static unsigned latest_skip(const chain *c, unsigned moment) {
  const node *n = c->at;
  unsigned i = n->history == c->history ? n->skips_count : 0;
  if (c->dismissed && c->dismissed_at < moment) moment = c->dismissed_at;
  while (i && n->skips[i - 1].at > moment) i--;
  return i;
}

uint64_t chain_skip_from(const chain *c, unsigned moment) {
  unsigned i = latest_skip(c, moment);
  return i ? c->at->skips[i - 1].from : 0;
}

uint64_t chain_skip_to(const chain *c, unsigned moment) {
  unsigned i = latest_skip(c, moment);
  return i ? c->at->skips[i - 1].to : 0;
}

/* The channels that need the gap of one skip. */
static unsigned due_of(const chain *c, uint64_t to, unsigned at, bool now) {
  unsigned set = 0;
  if (to <= c->own || at <= c->opened_at) return 0;
  for (unsigned i = 0; i < c->intervals_count; i++) {
    const interval *in = &c->intervals[i];
    if (in->to_at < at || in->from_at > at || c->covered[in->channel] >= to) continue;
    if (!now || in->from_at == c->opened_at || in->from < c->cursor) set |= 1u << in->channel;
  }
  return set;
}

unsigned chain_skip_due(const chain *c, unsigned moment, bool now) {
  unsigned set = 0;
  for (unsigned i = latest_skip(c, moment); i--;)
    set |= due_of(c, c->at->skips[i].to, c->at->skips[i].at, now);
  return set;
}

bool chain_reset_due(const chain *c, unsigned moment) {
  return c->history != c->at->history && c->at->reset_at <= moment;
}

unsigned chain_promised(const chain *c, unsigned index, unsigned channels) {
  unsigned left = channels;
  if (c->result != SSE_RESUME_NONE) return channels;
  for (int k = 0; k < CHANNELS; k++)
    if (channels >> k & 1 && node_place(c->at, index, k, c->opened_at) == EVICTED)
      left &= ~(1u << k);
  return left;
}

static void pass_one(chain *c, unsigned index, unsigned moment, const char *by) {
  const entry *e = &chain_history(c)->entries[index];
  unsigned set = chain_relevant(c, e), rest;
  fate became;
  if (!set || c->given[index] || chain_excluded(c, e) || e->number <= c->optional) return;
  became = chain_fate(c, index, set, moment);
  rest = chain_promised(c, index, set) & ~(unsigned)c->reported[index];
  if (became == FATE_HELD) {
    breaks(RULE_MISSING, "entry %" PRIu64 " of {%s} is retained and was passed over by %s",
           e->number, journal_set(set), by);
  } else if (chain_fate(c, index, rest, moment) == FATE_GONE) {
    breaks(RULE_LOSS, "entry %" PRIu64 " of {%s} is gone and was passed over by %s without a gap",
           e->number, journal_set(rest), by);
  }
}

void chain_pass(chain *c, uint64_t number, unsigned moment, const char *by) {
  const history *h = chain_history(c);
  bool same = c->history == c->at->history; /* or the model of the hub is of a later one */
  for (unsigned i = 0; same && i < h->count && h->entries[i].number <= number; i++)
    if (h->entries[i].number > c->done) pass_one(c, i, moment, by);
  if (number > c->done) c->done = number;
}
