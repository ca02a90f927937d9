/* SPDX-License-Identifier: MIT */
/* chain_gap.c: judges the gaps of an open stream. */
#include "chain.h"

#include <inttypes.h>
#include <string.h>

/* What the windows have lost for the stream and no gap has reported. */
typedef struct loss {
  unsigned must, may; /* channels */
  uint64_t sure, most;
} loss;

static void weigh(const chain *c, unsigned index, uint64_t number, unsigned moment, loss *sum) {
  const entry *e = &chain_history(c)->entries[index];
  unsigned set = chain_relevant(c, e), reported = c->reported[index] & ~(c->again | c->vague);
  unsigned fresh = set & ~reported, out;
  fate became = chain_fate(c, index, fresh, moment);
  if (!set || c->given[index] || e->number <= c->own || e->number <= c->cursor) return;
  if (chain_fate(c, index, set, moment) == FATE_HELD && e->number <= number) {
    if (c->t.lag_events_max)
      sum->may |= set, sum->most++;
    else if (chain_filter(c, e->marked))
      breaks(RULE_MISSING, "the gap at %" PRIu64 " passes entry %" PRIu64 ", which is retained",
             number, e->number);
  }
  if (chain_fate(c, index, chain_promised(c, index, set), moment) == FATE_OVER) return;
  out = chain_evicted(c, index, c->blunt ? set : fresh, moment);
  if (c->t.lag_events_max && e->number <= number) sum->may |= set;
  if (became == FATE_SOFT) sum->may |= set, sum->most++;
  if (!out) return;
  sum->may |= out;
  sum->most++;
  if (became != FATE_GONE || !chain_filter(c, e->marked) || e->number <= c->optional) return;
  sum->sure++;
  if (e->number <= number) sum->must |= chain_promised(c, index, out) & ~c->reported[index];
}

/* Notes what a gap has reported. */
static void settle(chain *c, uint64_t number, unsigned named, unsigned moment) {
  const history *h = chain_history(c);
  for (unsigned i = 0; i < h->count && c->history == c->at->history; i++) {
    unsigned set = chain_relevant(c, &h->entries[i]);
    c->reported[i] |= (uint8_t)(chain_evicted(c, i, set, moment) & named);
    if (h->entries[i].number <= number) c->reported[i] |= (uint8_t)set;
  }
  if (number > c->done) c->done = number;
}

static loss weigh_all(const chain *c, uint64_t number, unsigned moment) {
  loss sum = {.must = 0};
  if (c->history != c->at->history) return (loss){.must = 0, .may = c->ever};
  for (unsigned i = 0; i < chain_history(c)->count; i++) weigh(c, i, number, moment, &sum);
  if (c->left_state) sum.may |= STATE_CHANNELS & c->ever;
  /* A gap that was made before the windows lost this. */
  if (c->blunt) sum.must = 0;
  if (c->blunt && c->t.lag_events_max) sum.may = c->ever;
  return sum;
}

static void slow(chain *c, const wire_gap *gap, uint64_t number, unsigned named) {
  loss sum = weigh_all(c, number, c->moment);
  bool plain = !c->again && !c->vague && !(c->ever & (c->ever - 1)) &&
               !(c->ever & STATE_CHANNELS) && !c->t.filtered;
  if (c->t.closes && !strcmp(gap->reason, "slow"))
    breaks(RULE_GAP_CAUSE, "a gap slow in a stream that closes");
  if (!sum.may)
    breaks(RULE_GAP_CAUSE,
           "a gap slow at %" PRIu64 " (the client has %" PRIu64 "), nothing is lost", number,
           c->cursor);
  if ((named & sum.must) != sum.must || named & ~sum.may || !named)
    breaks(RULE_GAP_CHANNELS, "the gap names {%s}; it must {%s}, it may {%s}", journal_set(named),
           journal_set(sum.must), journal_set(sum.may));
  if (gap->has_lost && (c->t.filtered || gap->lost > sum.most || !gap->lost ||
                        (plain && !c->t.lag_events_max && !c->blunt && gap->lost < sum.sure)))
    breaks(RULE_GAP_LOST, "lost is %" PRIu64 ", it should be %" PRIu64 " to %" PRIu64, gap->lost,
           sum.sure, sum.most);
}

/* The gap of a skip names all channels, and what is retained of before it follows. */
static void skipped(chain *c, const wire_gap *gap, uint64_t number, unsigned named) {
  unsigned due = chain_skip_due(c, c->moment, true);
  weigh_all(c, number, c->moment);
  if ((named & due) != due || named & ~c->ever)
    breaks(RULE_GAP_CHANNELS, "the gap of a skip names {%s}, the stream has {%s}",
           journal_set(named), journal_set(due));
  if (gap->has_lost) breaks(RULE_GAP_LOST, "lost is given for a skip");
  for (int k = 0; k < CHANNELS; k++)
    if (named >> k & 1) c->covered[k] = chain_skip_to(c, c->moment);
  /* Its section may have its own gap. */
  if (!c->s.doubled) c->s.doubled = c->s.active || c->blunt;
  /* It also stands for a state that it leaves incomplete. */
  if (c->s.state && !c->s.begun && named & c->s.channels) c->s.reported = c->s.settled = true;
  see(SEEN_SKIPPED);
}

/* The stream goes over to another history. */
static void enter_history(chain *c, const wire_gap *gap, int in, uint64_t number, unsigned named) {
  unsigned has = 0;
  see(SEEN_RESET);
  if (in <= c->history || in > c->at->history || strcmp(gap->reason, "restart") != 0)
    breaks(RULE_ID, "a gap %s with an id of %s in a stream of %s", gap->reason,
           journal.histories[in].epoch, chain_history(c)->epoch);
  if (gap->has_lost) breaks(RULE_GAP_LOST, "lost is given for a reset");
  c->history = in;
  c->own = c->cursor = c->done = c->optional = 0;
  memset(c->covered, 0, sizeof c->covered);
  memset(c->received, 0, sizeof c->received);
  memset(c->given, 0, sizeof c->given);
  memset(c->reported, 0, sizeof c->reported);
  memset(c->had, 0, sizeof c->had);
  /* A subscription that was pending is carried out in the new history, with a gap if it must be. */
  unsigned doubled = c->s.doubled > c->blunt ? c->s.doubled : c->blunt;
  c->s = (section){.doubled = c->s.active ? 2 : doubled};
  memset(&c->late, 0, sizeof c->late);
  for (unsigned i = 0; i < c->intervals_count; i++) {
    interval *to = &c->intervals[i];
    if (to->to_at < c->at->reset_at)
      to->to = 0;
    else if (c->dismissed && to->to > c->dismissed_to)
      to->to = c->dismissed_to;
    if (to->to && to->from_at == c->opened_at) has |= 1u << to->channel;
    to->from = 0;
  }
  if (named & ~c->ever || (named & has) != has)
    breaks(RULE_GAP_CHANNELS, "the gap of a reset names {%s}, the stream has {%s}",
           journal_set(named), journal_set(has));
  if (in == c->at->history && number > c->at->head)
    breaks(RULE_GAP_RESUME, "resume is %s, the head is %" PRIu64, gap->resume, c->at->head);
  if (in == c->at->history) {
    weigh_all(c, number, c->moment);
    for (int k = 0; k < CHANNELS; k++)
      if (named >> k & 1)
        c->covered[k] = chain_skip_to(c, c->moment) ? chain_skip_to(c, c->moment) : c->at->reset_to;
  }
}

static bool parse(const wire_block *block, wire_gap *gap) {
  if (!wire_parse_gap(block->data, gap) || !block->has_id) {
    breaks(RULE_GAP_FORM, "the gap's data: %.200s", block->data);
    return false;
  }
  if (strcmp(gap->resume, block->id) != 0)
    breaks(RULE_GAP_RESUME, "resume is %s, the id is %s", gap->resume, block->id);
  if (gap->has_lost && strcmp(gap->reason, "slow") != 0)
    breaks(RULE_GAP_LOST, "lost is given for %s", gap->reason);
  return !found.found;
}

/* Whether a gap is that of a state that was begun before a skip, whose own gap follows. */
static bool closes_section(const chain *c, unsigned named) {
  unsigned due = chain_skip_due(c, c->moment, true);
  if ((named & due) == due) return false;
  if (c->s.doubled) return true; /* its section was asked for in the history before */
  bool begins = c->s.begun || c->s.state || (c->dismissed && c->s.ahead);
  return c->s.active && begins && !(named & ~c->s.channels);
}

/* A skip of after the dismissal is not the stream's, and yet may be the reason that is given. */
static bool skipped_later(const chain *c) {
  const node *n = c->at;
  return c->dismissed && n->skips_count && n->skips[n->skips_count - 1].at > c->dismissed_at;
}

/* Whether a gap takes the place of the position that ends a section. */
static bool ends_section(const chain *c, unsigned named) {
  return c->s.active && c->s.begun && !(named & ~c->s.channels);
}

static void in_open_stream(chain *c, const wire_gap *gap, uint64_t number, bool marked) {
  unsigned named = chain_named(gap);
  unsigned skip = chain_skip_due(c, c->moment, false);
  bool evicted = !strcmp(gap->reason, "evicted");
  if (evicted && named & skip && !closes_section(c, named)) {
    skipped(c, gap, number, named);
  } else if (c->history != c->at->history) {
    return; /* it was made before the reset */
  } else if (evicted && skipped_later(c) && !closes_section(c, named)) {
    weigh_all(c, number, c->moment);
    if (named & ~c->ever)
      breaks(RULE_GAP_CHANNELS, "the gap of a later skip names {%s}", journal_set(named));
    c->vague |= named;
  } else if (!strcmp(gap->reason, "slow")) {
    if (chain_skip_due(c, c->base, true) && !c->blunt)
      breaks(RULE_SKIP, "a gap slow comes before the gap of the skip to %" PRIu64,
             chain_skip_to(c, c->base));
    slow(c, gap, number, named);
    see(SEEN_SLOW);
  } else if (evicted && !ends_section(c, named) && (c->s.doubled || named & (c->left | c->again))) {
    weigh_all(c, number, c->moment);
    if (c->s.doubled) c->s.doubled--;
    if (named & c->s.channels) c->s.reported = c->s.settled = true;
    c->vague |= named;
  } else if (evicted && c->s.active && named & c->s.channels) {
    weigh_all(c, number, c->moment);
    chain_close_section(c, number, gap);
    see(SEEN_SECTION);
    if (number > c->cursor) c->cursor = number;
    return;
  } else {
    breaks(RULE_GAP_CAUSE, "a gap %s in an open stream, nothing is lost", gap->reason);
  }
  settle(c, number, named, c->moment);
  if (marked)
    chain_mark(c, number);
  else if (c->s.begun)
    chain_close_section(c, number, gap);
}

void chain_gap(chain *c, const wire_block *block) {
  wire_gap gap;
  uint64_t number = 0;
  bool marked = false;
  int in = journal_id(block->id, &number, &marked);
  if (!parse(block, &gap)) return;
  if (in < 0 || number > journal.histories[in].end) {
    breaks(RULE_ID, "the gap's id %s is none of the log's", block->id);
    return;
  }
  c->gap_at = c->moment;
  /* Without positions a stream may begin without a block. */
  if (!c->first_done && c->t.positions_off && !c->o.gap_must &&
      (in != c->history || !strcmp(gap.reason, "slow") || !c->o.gap_may ||
       chain_skip_due(c, c->moment, false)))
    chain_first(c, NULL, NULL, 0);
  if (!c->first_done) {
    chain_first(c, block, &gap, number);
    if (marked)
      chain_mark(c, number);
    else
      chain_close_section(c, number, &gap);
    return;
  }
  if (gap.has_requested) breaks(RULE_GAP_FORM, "requested in a gap of an open stream");
  if (in != c->history) {
    enter_history(c, &gap, in, number, chain_named(&gap));
    if (in == c->at->history) settle(c, number, chain_named(&gap), c->moment);
    c->cursor = number;
    return;
  }
  if (chain_reset_due(c, c->base) && !c->blunt)
    breaks(RULE_RESET, "a gap %s of %s comes after the reset", gap.reason, chain_history(c)->epoch);
  if (number < c->cursor)
    breaks(RULE_GAP_RESUME, "resume is %s, the client has %" PRIu64, gap.resume, c->cursor);
  if (in == c->at->history && number > c->at->head && number > c->own)
    breaks(RULE_GAP_RESUME, "resume is %s, the head is %" PRIu64, gap.resume, c->at->head);
  in_open_stream(c, &gap, number, marked);
  c->cursor = number;
}
