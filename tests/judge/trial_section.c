/* SPDX-License-Identifier: MIT */
/* trial_section.c: the state of conflated channels, and what a subscription gives first. */
#include "trial.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool trial_section_wants(const section *s) {
  for (unsigned i = 0; i < ledger.count; i++) {
    const event *e = &ledger.events[i];
    if (s->wants[i] != WANT_MUST || s->given[i]) continue;
    for (int c = 0; c < CHANNELS; c++)
      if (s->channels >> c & 1 && e->where[c] == HELD) return true;
  }
  return false;
}

section *trial_section(trial *t) {
  while (t->section_next < t->sections_count && t->sections[t->section_next].closed)
    t->section_next++;
  return t->section_next < t->sections_count ? &t->sections[t->section_next] : NULL;
}

static place where_of(const event *e, unsigned channels) {
  place best = NOWHERE;
  for (int c = 0; c < CHANNELS; c++) {
    if (!(channels >> c & 1) || e->where[c] == NOWHERE) continue;
    if (e->where[c] == HELD) return HELD;
    if (best != EVICTED) best = e->where[c];
  }
  return best;
}

static bool is_excluded(const trial *t, const event *e) {
  return e->number <= t->not_before || (t->filtered && !trial_filter(e));
}

void trial_state_wants(const trial *t, section *s) {
  for (unsigned i = 0; i < ledger.count; i++) {
    const event *e = &ledger.events[i];
    s->wants[i] = WANT_NO;
    if (e->number > s->at || e->tombstone || e->ephemeral || is_excluded(t, e)) continue;
    if (where_of(e, s->channels) != NOWHERE)
      s->wants[i] =
          t->opening.state_must && where_of(e, s->channels) == HELD ? WANT_MUST : WANT_MAY;
  }
}

/* A backfill may repeat what the stream was given, and a state what it had before. */
static want already(const trial *t, const event *e) {
  return trial_relevant(t, e) || t->marks[e - ledger.events] == GIVEN ? WANT_MAY : WANT_MUST;
}

void trial_subscribe(trial *t, int channel, size_t backfill) {
  section *s;
  size_t rank = 0, eligible = 0;
  if (t->has >> channel & 1 || trial_ending(t)) return;
  t->has |= 1u << channel;
  t->ever |= 1u << channel;
  s = &t->sections[t->sections_count++];
  memset(s, 0, sizeof *s);
  s->at = ledger.head;
  s->made_at = ledger.moment;
  s->channels = 1u << channel;
  s->state = channel >= FIRST_STATE;
  s->empty_asked = !s->state && !backfill;
  for (unsigned i = ledger.count; i--;) {
    const event *e = &ledger.events[i];
    want wanted;
    if (e->where[channel] == NOWHERE || e->ephemeral) continue;
    if (e->where[channel] != HELD && !s->state) continue;
    if (s->state && e->tombstone) continue;
    wanted = already(t, e);
    if (s->state) {
      if (e->where[channel] != HELD) wanted = WANT_MAY;
    } else if (rank++ >= backfill) {
      wanted = eligible < backfill ? WANT_MAY : WANT_NO;
    }
    if (is_excluded(t, e)) continue;
    s->wants[i] = (uint8_t)wanted;
    eligible += wanted == WANT_MUST || wanted == WANT_MAY;
  }
  t->intervals[t->intervals_count++] =
      (interval){.channel = channel, .from = ledger.head, .to = UINT64_MAX};
}

/* Whether the stream has begun the changes of a number. */
static bool begun_at(const trial *t, uint64_t at) {
  for (unsigned i = 0; i < t->sections_count; i++)
    if (!t->sections[i].opening && t->sections[i].begun &&
        book_wire(t->sections[i].at) == book_wire(at))
      return true;
  return false;
}

/*
 * A subscription that ends at its own number gives nothing; whether it does if the stream has begun
 * another one of this number is open. It may have begun with the bytes that are in flight.
 */
static void withdraw(trial *t, int channel) {
  for (unsigned i = t->section_next; i < t->sections_count; i++) {
    section *s = &t->sections[i];
    if (s->opening || s->begun || !(s->channels >> channel & 1)) continue;
    if (book_wire(s->at) != book_wire(ledger.head)) continue;
    s->covered = s->withdrawn = true;
    s->closed = !begun_at(t, s->at) && !t->flight_len;
    for (unsigned k = 0; k < ledger.count; k++)
      if (s->wants[k] == WANT_MUST) s->wants[k] = WANT_MAY;
  }
}

void trial_unsubscribe(trial *t, int channel) {
  withdraw(t, channel);
  t->has &= ~(1u << channel);
  for (unsigned i = 0; i < t->intervals_count; i++)
    if (t->intervals[i].channel == channel && t->intervals[i].to == UINT64_MAX)
      t->intervals[i].to = ledger.head;
}

void trial_dismiss(trial *t) {
  for (unsigned i = 0; i < t->intervals_count; i++)
    if (t->intervals[i].to > ledger.head) t->intervals[i].to = ledger.head;
  if (!t->dismissed) t->dismissed_at = ledger.head;
  t->dismissed = true;
}

/* --- Blocks of a section ---------------------------------------------------------------------- */

/* Events up to the section's number must be settled before it. */
static void begin(trial *t, section *s, const char *by) {
  if (!s->opening) trial_pass_events(t, s->at, by);
}

/* Sections at one number may share their positions, and one without events may have none. */
static section *next_at(trial *t, const section *s) {
  unsigned i = (unsigned)(s - t->sections) + 1;
  return i < t->sections_count && book_wire(t->sections[i].at) == book_wire(s->at) ? &t->sections[i]
                                                                                   : NULL;
}

static void refuse(const trial *t, const section *s, const event *e) {
  if (e->number <= t->not_before)
    breaks(RULE_NOT_BEFORE, "event %" PRIu64 " without an id, not_before is %" PRIu64,
           book_wire(e->number), book_wire(t->not_before));
  else if (t->filtered && !trial_filter(e))
    breaks(RULE_FILTER, "event %" PRIu64 " without an id, which the filter leaves out",
           book_wire(e->number));
  else if (t->marks[e - ledger.events] == GIVEN)
    breaks(RULE_TWICE, "event %" PRIu64 " was given before, and again in a %s",
           book_wire(e->number), s->state ? "state" : "backfill");
  else
    breaks(s->state ? RULE_STATE : RULE_BACKFILL,
           "event %" PRIu64 " of {%s} is not of the %s of {%s} at %" PRIu64, book_wire(e->number),
           book_names(e->channels), s->state ? "state" : "backfill", book_names(s->channels),
           book_wire(s->at));
}

static int lost_now(const trial *t, const section *s);

/* Whether a gap may be about the section. Without positions, nothing shows when it was over. */
static bool may_have_lost(const trial *t, const section *s) {
  return lost_now(t, s) || (s->settled && s->lost_then);
}

/* Whether the state has lost a value: for certain (2), perhaps (1). */
static int incomplete(const trial *t, const section *s) {
  int worst = 0;
  for (unsigned i = 0; i < ledger.count && s->state; i++) {
    const event *e = &ledger.events[i];
    if (e->tombstone || e->ephemeral || e->number <= t->not_before) continue;
    for (int c = FIRST_STATE; c < CHANNELS; c++) {
      if (!(s->channels >> c & 1) || e->where[c] != EVICTED) continue;
      if (worst < 1) worst = 1;
      if (s->given[i] && e->evicted_at[c] > s->made_at) continue;
      if (e->number <= s->at && !is_excluded(t, e)) worst = 2;
    }
  }
  return s->opening && !t->opening.state_must && worst ? 1 : worst;
}

void trial_section_skip(trial *t, uint64_t number) {
  section *s;
  while ((s = trial_section(t)) && s->covered && !s->begun && !trial_section_wants(s) &&
         book_wire(s->at) < book_wire(number))
    trial_section_close(t, s->at, NULL);
}

void trial_section_cover(trial *t) {
  for (section *s = trial_section(t); s && !s->begun && !trial_section_wants(s); s = next_at(t, s))
    s->covered = true;
}

/* Whether a gap of these channels cannot be about a section, but may be about a later one. */
static bool is_not_about(trial *t, const section *s, uint64_t number, unsigned named) {
  /* Without positions, the gap is what says where a state begins. */
  bool open = s->opening && !s->gap_seen && number <= t->head_at_open && may_have_lost(t, s);
  if (named & ~s->channels) return true;
  if (t->positions_off && !open && book_wire(s->at) < book_wire(number)) return true;
  return !t->filtered && next_at(t, s) && !may_have_lost(t, s);
}

void trial_section_for(trial *t, uint64_t number, unsigned named) {
  section *s = trial_section(t);
  while (s && is_not_about(t, s, number, named) && !trial_section_wants(s) &&
         t->section_next + 1 < t->sections_count && (next_at(t, s) || t->positions_off) &&
         (t->positions_off || s->begun) &&
         t->sections[t->section_next + 1].at <= book_after(number)) {
    bool begun = s->begun && next_at(t, s);
    trial_section_close(t, s->at, NULL);
    s = trial_section(t);
    if (s) s->begun = begun;
  }
}

static bool nothing_between(const trial *t, uint64_t from, uint64_t to) {
  for (unsigned i = 0; i < ledger.count; i++) {
    const event *e = &ledger.events[i];
    fate became = trial_fate(t, e, trial_relevant(t, e), t->cursor);
    if (e->number <= from || e->number > to || trial_mark(t, e) != PENDING) continue;
    if (e->ephemeral || became == FATE_HELD || became == FATE_GONE) return false;
  }
  return true;
}

/*
 * Whether an event may follow those that a section has given, which are in order within a channel;
 * several channels are given one after the other.
 */
static bool in_order(const section *s, const event *e) {
  unsigned shared = e->channels & s->channels;
  if (shared & (shared - 1) && !s->opening) return true;
  for (int c = 0; c < CHANNELS; c++) {
    if (!s->opening && (!(shared >> c & 1) || e->where[c] != HELD)) continue;
    if (s->last[c] > e->number) return false;
  }
  return true;
}

/* Without positions: whether an event rather is of a later section. */
static bool is_later(trial *t, const section *s, size_t i) {
  const event *e = &ledger.events[i];
  if (!t->positions_off) return false;
  if (!s->wants[i] || s->given[i]) return true;
  if (s->wants[i] == WANT_MUST || trial_section_wants(s)) return false;
  for (unsigned k = t->section_next + 1;
       k < t->sections_count && nothing_between(t, s->at, t->sections[k].at); k++)
    if (t->sections[k].wants[i] &&
        (!in_order(s, e) ||
         (where_of(e, s->channels) != HELD && where_of(e, t->sections[k].channels) == HELD)))
      return true;
  return false;
}

/* The section that an event without an id is of; those before it are over without a sign. */
static section *section_of(trial *t, const event *e) {
  section *s = trial_section(t);
  size_t i = (size_t)(e - ledger.events);
  while (s && !is_excluded(t, e) &&
         (is_later(t, s, i) || (!s->wants[i] && next_at(t, s) && !trial_section_wants(s)))) {
    bool begun = s->begun && next_at(t, s);
    trial_section_close(t, s->at, NULL);
    s = trial_section(t);
    if (s) s->begun = begun && !t->positions_off;
  }
  return s;
}

static void note_order(section *s, const event *e) {
  unsigned shared = e->channels & s->channels;
  if (!in_order(s, e))
    breaks(RULE_ORDER, "event %" PRIu64 " does not follow those that a section of {%s} has given",
           book_wire(e->number), book_names(s->channels));
  if (shared & (shared - 1) && !s->opening) return;
  for (int c = 0; c < CHANNELS; c++)
    if (s->opening || (shared >> c & 1 && e->where[c] == HELD)) s->last[c] = e->number;
}

void trial_section_event(trial *t, const event *e) {
  section *s = section_of(t, e);
  size_t i = (size_t)(e - ledger.events);
  if (is_excluded(t, e) && s) {
    refuse(t, s, e);
  } else if (!s || (!s->begun && !t->positions_off)) {
    breaks(trial_rule(t, RULE_BACKFILL), "event %" PRIu64 " without an id, outside two positions",
           book_wire(e->number));
  }
  if (found.found) return;
  if (!s->begun) {
    begin(t, s, "a backfill");
    s->begun = true;
  }
  if (!s->wants[i]) refuse(t, s, e);
  if (s->given[i])
    breaks(RULE_TWICE, "event %" PRIu64 " twice in one section", book_wire(e->number));
  note_order(s, e);
  s->given[i] = true;
  t->marks[i] = GIVEN;
  for (section *next = s; (next = next_at(t, next)) != NULL;)
    if (next->wants[i] == WANT_MUST) next->wants[i] = WANT_MAY;
  /* Without positions, it may have been given for a later section as well. */
  for (unsigned k = t->section_next + 1;
       t->positions_off && s->wants[i] == WANT_MAY && k < t->sections_count &&
       nothing_between(t, s->at, t->sections[k].at);
       k++)
    if (t->sections[k].wants[i] == WANT_MUST) t->sections[k].wants[i] = WANT_MAY;
  if (t->positions_off && !trial_section_wants(s)) {
    int lost = lost_now(t, s);
    /* What was in flight when it was evicted is given nevertheless. */
    if (!s->settled || lost < s->lost_then) s->lost_then = lost;
    s->settled = true;
  }
}

static void check_place(trial *t, const section *s, uint64_t number) {
  if (book_wire(number) != book_wire(s->at) && book_wire(number) != book_wire(t->cursor))
    breaks(s->opening ? RULE_STATE : RULE_SUBSCRIBED,
           "the block at %" PRIu64 ", the section of {%s} is at %" PRIu64, book_wire(number),
           book_names(s->channels), book_wire(s->at));
}

static void section_gap(const section *s, const wire_gap *gap) {
  unsigned set = trial_channel_set(gap);
  if (set & ~s->channels || !set)
    breaks(RULE_GAP_CHANNELS, "a gap of a backfill or state of {%s} names {%s}",
           book_names(s->channels), book_names(set));
}

static bool is_evicted_gap(const wire_gap *gap) {
  return gap && !strcmp(gap->reason, "evicted");
}

void trial_section_mark(trial *t, uint64_t number, const wire_gap *gap) {
  section *s = trial_section(t);
  bool shared = false;
  while (s && !trial_section_wants(s) && (s->begun || s->empty_asked) && next_at(t, s)) {
    bool own = is_evicted_gap(gap) && s->begun && !(trial_channel_set(gap) & ~s->channels);
    shared = shared || s->begun;
    trial_section_close(t, number, own ? gap : NULL);
    if (own) gap = NULL;
    s = trial_section(t);
  }
  if (!s || s->begun || (s->empty_asked && !shared) || book_after(number) < s->at) {
    breaks(RULE_MARK, "a mark at %" PRIu64 ", no backfill or state is due", book_wire(number));
    return;
  }
  begin(t, s, "the begin of a backfill");
  check_place(t, s, number);
  s->begun = true;
  if (!is_evicted_gap(gap)) return;
  s->gap_seen = true;
  section_gap(s, gap);
}

/* Whether the state has lost a value that not_before excludes. */
static bool hidden_loss(const trial *t, const section *s) {
  for (unsigned i = 0; i < ledger.count; i++)
    for (int c = FIRST_STATE; c < CHANNELS; c++)
      if (s->channels >> c & 1 && ledger.events[i].where[c] == EVICTED &&
          !ledger.events[i].tombstone && ledger.events[i].number <= t->not_before)
        return true;
  return false;
}

/* Whether the section has lost events: for certain (2), perhaps (1). */
static int lost_now(const trial *t, const section *s) {
  int lost = incomplete(t, s);
  for (unsigned i = 0; i < ledger.count; i++) {
    if (s->wants[i] == WANT_NO || s->given[i]) continue;
    if (where_of(&ledger.events[i], s->channels) != EVICTED) continue;
    if (!lost) lost = 1;
    if (s->wants[i] == WANT_MUST && !(t->positions_off && t->marks[i] == GIVEN)) lost = 2;
  }
  return lost;
}

void trial_section_close(trial *t, uint64_t number, const wire_gap *gap) {
  section *s = trial_section(t);
  int lost;
  if (!s) return;
  if (!s->begun) begin(t, s, "a position");
  check_place(t, s, number);
  lost = lost_now(t, s);
  if (lost == 2 && s->settled && s->lost_then < 2) lost = 1;
  if (is_evicted_gap(gap)) {
    s->gap_seen = true;
    section_gap(s, gap);
  }
  for (unsigned i = 0; i < ledger.count; i++) {
    const event *e = &ledger.events[i];
    if (s->wants[i] != WANT_MUST || s->given[i] || s->settled) continue;
    if (t->positions_off && t->marks[i] == GIVEN) continue;
    if (where_of(e, s->channels) == HELD)
      breaks(s->opening ? trial_rule(t, RULE_STATE)
             : s->state ? RULE_STATE
                        : RULE_BACKFILL,
             "event %" PRIu64 " is missing in the %s of {%s} at %" PRIu64, book_wire(e->number),
             s->state ? "state" : "backfill", book_names(s->channels), book_wire(s->at));
  }
  /* Where the state begins is open if no position says it. */
  if (s->opening && t->positions_off && t->opening.low != t->opening.high && lost) lost = 1;
  if (lost == 2 && !s->gap_seen && !s->withdrawn && !s->other_gap)
    breaks(RULE_STATE_LOST, "the %s of {%s} at %" PRIu64 " is incomplete, and there is no gap",
           s->state ? "state" : "backfill", book_names(s->channels), book_wire(s->at));
  if (!lost && !may_have_lost(t, s) && !t->filtered &&
      (is_evicted_gap(gap) || (s->gap_seen && s->opening && !s->reported_lost)))
    breaks(hidden_loss(t, s) ? RULE_NOT_BEFORE : RULE_GAP_CAUSE,
           "the %s of {%s} is complete, and a gap is given", s->state ? "state" : "backfill",
           book_names(s->channels));
  s->closed = true;
  /* One position may serve several subscriptions at one number that have nothing to give. */
  for (section *next = s; (next = next_at(t, next)) != NULL;) {
    next->covered = true;
    if (next->channels == s->channels) next->gap_seen = s->gap_seen;
  }
}
