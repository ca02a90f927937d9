/* SPDX-License-Identifier: MIT */
/* trial_open.c: what the opening of a stream must lead to, and its first block. */
#include "trial.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
  BIT_NONE = 1 << SSE_RESUME_NONE,
  BIT_UNKNOWN = 1 << SSE_RESUME_UNKNOWN
};

static bool is_held(const event *e) {
  for (int c = 0; c < CHANNELS; c++)
    if (e->where[c] == HELD) return true;
  return false;
}

/* The highest number whose application id is forgotten. */
static uint64_t forgotten(void) {
  uint64_t highest = 0;
  for (unsigned i = 0; i < ledger.count; i++)
    if (ledger.events[i].id[0] && !is_held(&ledger.events[i])) highest = ledger.events[i].number;
  return highest;
}

static const event *by_id(const char *id) {
  for (unsigned i = ledger.count; i--;)
    if (!strcmp(ledger.events[i].id, id)) return &ledger.events[i];
  return NULL;
}

/* What was lost above a number: channels for certain and perhaps. */
static void lost_above(const trial *t, uint64_t number, first *o) {
  for (unsigned i = 0; i < ledger.count; i++) {
    const event *e = &ledger.events[i];
    unsigned set = e->channels & t->has, out = 0;
    fate became = book_fate(e, set, number);
    if (e->ephemeral || e->number <= number || e->number <= t->not_before) continue;
    for (int c = 0; c < CHANNELS; c++)
      if (set >> c & 1 && e->where[c] == EVICTED) out |= 1u << c;
    if (!out) continue;
    o->gap_may = true;
    o->gone_may |= out;
    if (became == FATE_GONE && (!t->filtered || trial_filter(e))) {
      o->gap_must = true;
      o->gone_must |= out;
    }
  }
  for (int c = 0; c < CHANNELS; c++)
    if (ledger.few_ghosts && t->has >> c & 1) o->gap_may = true, o->gone_may |= 1u << c;
}

/* The cursor that leaves this number of newest events. */
static uint64_t last_cut(const trial *t) {
  uint32_t left = t->start_events;
  for (unsigned i = ledger.count; i--;) {
    const event *e = &ledger.events[i];
    unsigned set = e->channels & t->has;
    if (!set || e->ephemeral || e->number <= t->not_before) continue;
    if (book_fate(e, set, 0) != FATE_HELD) continue;
    if (!left--) return e->number;
  }
  return 0;
}

static void without_id(trial *t, first *o) {
  o->result_set = BIT_NONE;
  o->state_must = true;
  if (t->start == SSE_START_NOW) o->low = o->high = ledger.head;
  if (t->start == SSE_START_LAST) o->low = o->high = last_cut(t);
}

/* The cursor above which the events are surely within the limits on the lag. */
static uint64_t limit_cut(const trial *t, uint64_t above) {
  uint32_t events = 0;
  size_t bytes = 0;
  if (!t->lag_events_max && !t->lag_bytes_max && !t->lag_ms_max) return above;
  for (unsigned i = ledger.count; i--;) {
    const event *e = &ledger.events[i];
    unsigned set = e->channels & t->has;
    double age = (double)(ledger.now_ns - e->at_ns) / 1e6;
    if (e->number <= above || e->number <= t->not_before) break;
    if (e->ephemeral || !set || book_fate(e, set, 0) != FATE_HELD) continue;
    bytes += e->bytes;
    if ((t->lag_events_max && ++events > t->lag_events_max) ||
        (t->lag_bytes_max && bytes > t->lag_bytes_max && bytes > e->bytes) ||
        (t->lag_ms_max && age >= t->lag_ms_max))
      return e->number;
  }
  return above;
}

/* What continues with new events has lost all that it skips. */
static void live_after(const trial *t, uint64_t number, first *o) {
  o->low = o->high = ledger.head;
  o->state_must = true;
  for (unsigned i = 0; i < ledger.count; i++) {
    const event *e = &ledger.events[i];
    unsigned set = e->channels & t->has;
    if (e->ephemeral || e->number <= number || e->number <= t->not_before) continue;
    o->gone_may |= set;
    if (t->filtered && !trial_filter(e)) continue;
    o->gone_must |= set & (set - 1) ? 0 : set & ~STATE_CHANNELS;
  }
}

static void after_number(const trial *t, uint64_t number, bool marked, sse_resume result,
                         first *o) {
  lost_above(t, number, o);
  o->low = o->high = number;
  if (marked) {
    o->gap_must = o->gap_may = o->state_must = true;
    o->gone_must = o->gone_may = t->has;
  }
  o->result_set = o->gap_must  ? 1u << SSE_RESUME_EVICTED
                  : o->gap_may ? 1u << SSE_RESUME_EVICTED | 1u << SSE_RESUME_RESUMED
                               : 1u << SSE_RESUME_RESUMED;
  if (limit_cut(t, number) > number) o->result_set |= 1u << SSE_RESUME_EVICTED;
  if (result == SSE_RESUME_EVICTED) {
    o->gap_must = true;
    o->state_may = true;
    if (t->lost == SSE_LOST_LIVE) live_after(t, number, o);
  } else {
    o->gap_may = o->gap_must;
  }
}

static void not_resumed(const trial *t, sse_resume result, first *o) {
  bool live =
      t->lost == SSE_LOST_LIVE || (t->lost == SSE_LOST_BY_RESULT &&
                                   (result == SSE_RESUME_FUTURE || result == SSE_RESUME_MALFORMED));
  o->result_set = 1u << result;
  o->gap_must = o->gap_may = true;
  o->gone_must = o->gone_may = t->has;
  o->state_may = true;
  if (live) {
    o->low = o->high = ledger.head;
    o->state_must = true;
  } else if (result == SSE_RESUME_UNKNOWN && t->lost == SSE_LOST_BY_RESULT) {
    o->high = forgotten();
    o->low = ledger.in_flight ? 0 : o->high;
  }
}

/* Whether the id has the form of a hub's: 0 no, 1 yes, -1 nearly. */
static int hub_form(const char *id) {
  size_t len = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
  size_t number;
  if (!len || len > SSE_EPOCH_BYTES_MAX || id[len] != '.') return 0;
  id += len + 1;
  number = strspn(id, "0123456789");
  if (!number) return 0;
  if (number > 19 || (*id == '0' && number > 1)) return -1;
  return !id[number] || !strcmp(id + number, "~") ? 1 : -1;
}

static void expect(trial *t, sse_resume result) {
  first *o = &t->opening;
  const event *e = by_id(t->last_id);
  uint64_t number;
  bool marked = false;
  int form = hub_form(t->last_id);
  memset(o, 0, sizeof *o);
  if (!t->last_id[0]) {
    without_id(t, o);
  } else if (form < 0 && result != SSE_RESUME_UNKNOWN) {
    not_resumed(t, SSE_RESUME_MALFORMED, o);
  } else if (form > 0 && !trial_parse_id(t->last_id, &number, &marked)) {
    not_resumed(t, SSE_RESUME_RESTART, o);
  } else if (form > 0 && number > ledger.head) {
    not_resumed(t, SSE_RESUME_FUTURE, o);
  } else if (form > 0) {
    after_number(t, number, marked, result, o);
  } else if (e && (is_held(e) || (ledger.in_flight && result != SSE_RESUME_UNKNOWN))) {
    after_number(t, e->number, false, result, o);
  } else {
    not_resumed(t, SSE_RESUME_UNKNOWN, o);
    /* Nearly an id of another hub. */
    if (form < 0 && !strncmp(t->last_id, ledger.epoch, strlen(ledger.epoch))) o->result_set = 0;
  }
}

/* What is within the limits must be given; the rest may be left out. */
static void within_limits(const trial *t, first *o) {
  uint64_t cut = limit_cut(t, o->high);
  for (unsigned i = 0; i < ledger.count && cut > o->high; i++)
    if (ledger.events[i].number > o->low && ledger.events[i].number <= cut)
      o->gone_may |= ledger.events[i].channels & t->has;
  o->high = cut;
}

static void set_marks(trial *t) {
  const first *o = &t->opening;
  memset(t->marks, 0, sizeof t->marks);
  for (unsigned i = 0; i < ledger.count; i++) {
    const event *e = &ledger.events[i];
    fate became = book_fate(e, e->channels & t->has, o->low);
    bool excluded = e->ephemeral || e->number <= o->low || !(e->channels & t->has);
    if (!excluded && became == FATE_GONE)
      t->marks[i] = o->gap_must && e->number > o->high ? LOST : EXCLUDED;
    else if (!excluded && became == FATE_HELD)
      t->marks[i] = e->number <= o->high ? OPTIONAL : PENDING;
    else
      t->marks[i] = EXCLUDED;
  }
}

/* Whether there is, or may be, something to give to a stream that opens. */
static bool anything(const trial *t, bool perhaps) {
  for (unsigned i = 0; i < ledger.count; i++) {
    const event *e = &ledger.events[i];
    mark now = trial_mark(t, e);
    bool value = e->channels & t->has & STATE_CHANNELS && !e->tombstone && is_held(e);
    if (now == PENDING || (perhaps && now == OPTIONAL)) return true;
    /* The filter is not asked when a stream opens. */
    if (perhaps && t->marks[i] == PENDING && e->number > t->not_before) return true;
    if (e->number <= t->not_before || (t->filtered && !trial_filter(e) && !perhaps)) continue;
    if (value && (t->opening.state_must || (perhaps && t->opening.state_may))) return true;
    if (perhaps && e->channels & t->has & STATE_CHANNELS) return true;
  }
  return t->opening.gap_must || (perhaps && t->opening.gap_may);
}

static bool all_finished(const trial *t, bool perhaps) {
  for (int c = 0; c < CHANNELS; c++)
    if (t->has >> c & 1 && !ledger.finished[c] && !(perhaps && ledger.maybe_finished[c]))
      return false;
  return true;
}

void trial_open(trial *t) {
  t->intervals_count = 0;
  for (int c = 0; c < CHANNELS; c++)
    if (t->has >> c & 1)
      t->intervals[t->intervals_count++] = (interval){.channel = c, .to = UINT64_MAX};
  t->ever = t->opened = t->has;
  t->head_at_open = ledger.head;
  t->opened_at = ++ledger.moment;
}

int trial_check_open(trial *t, int result) {
  sse_resume resume = result ? SSE_RESUME_NONE : sse_stream_resume_result(t->stream);
  expect(t, resume);
  within_limits(t, &t->opening);
  set_marks(t);
  if (ledger.drains) {
    if (result != SSE_EDRAINED)
      breaks(RULE_DRAINED, "open of a hub that drains returned %s", sse_error_name(result));
    return SSE_EDRAINED;
  }
  if (result == SSE_EFINISHED) {
    if (!all_finished(t, true) || anything(t, false))
      breaks(trial_rule(t, RULE_FINISHED), "open returned SSE_EFINISHED for {%s}",
             book_names(t->has));
    return result;
  }
  if (result) {
    breaks(RULE_CALL, "open returned %s", sse_error_name(result));
    return result;
  }
  if (all_finished(t, false) && !anything(t, true))
    breaks(RULE_FINISHED, "open returned 0; {%s} are finished, and there is nothing to give",
           book_names(t->has));
  if (!(t->opening.result_set >> resume & 1))
    breaks(resume == SSE_RESUME_EVICTED ? trial_rule(t, RULE_RESULT) : RULE_RESULT,
           "the resume result is %d for the id \"%s\", expected one of the set 0x%x", (int)resume,
           t->last_id, t->opening.result_set);
  t->opening.results = resume;
  t->replays = ledger.replays_max && (t->last_id[0] || t->start != SSE_START_NOW);
  ledger.replaying += t->replays;
  for (unsigned i = 0; i < ledger.count; i++)
    for (int c = 0; c < CHANNELS; c++)
      if (t->has >> c & 1 && ledger.events[i].where[c] == EVICTED &&
          ledger.events[i].number > t->opening.low)
        t->unclear = true;
  t->cursor = t->sent_cursor = t->opening.low;
  if (t->has & STATE_CHANNELS && (t->opening.state_must || t->opening.state_may)) {
    section *s = &t->sections[t->sections_count++];
    memset(s, 0, sizeof *s);
    s->opening = s->state = true;
    s->made_at = t->opened_at;
    s->at = t->opening.low;
    s->channels = t->has & STATE_CHANNELS;
  }
  return 0;
}

/* --- The first block -------------------------------------------------------------------------- */

static void first_gap(trial *t, const wire_gap *gap) {
  static const char *const reasons[] = {"evicted", "?",      "evicted",  "restart",
                                        "unknown", "future", "malformed"};
  const first *o = &t->opening;
  unsigned set = trial_channel_set(gap), may = o->gone_may;
  bool incomplete = !o->gap_must && t->sections_count && t->sections[0].opening;
  if (!o->gap_must && !incomplete)
    breaks(t->not_before ? RULE_NOT_BEFORE : RULE_GAP_CAUSE,
           "the stream begins with a gap %s, nothing is lost", gap->reason);
  if (strcmp(gap->reason, reasons[o->results]) != 0)
    breaks(RULE_GAP_FORM, "the reason is %s, the resume result %d", gap->reason, (int)o->results);
  if (gap->has_requested != (t->last_id[0] && o->results != SSE_RESUME_MALFORMED) ||
      (gap->has_requested && strcmp(gap->requested, t->last_id) != 0))
    breaks(RULE_GAP_FORM, "requested is \"%s\", the client sent \"%s\"", gap->requested,
           t->last_id);
  if (t->sections_count && t->sections[0].opening) {
    may |= t->opened & STATE_CHANNELS;
    t->sections[0].gap_seen = incomplete || o->results == SSE_RESUME_EVICTED;
    t->sections[0].reported_lost = !incomplete;
    t->sections[0].other_gap = true;
  }
  if ((set & o->gone_must) != o->gone_must || set & ~may || !set)
    breaks(trial_rule(t, RULE_GAP_CHANNELS), "the gap names {%s}; must be {%s}, may be {%s}",
           book_names(set), book_names(o->gone_must), book_names(may));
}

static void first_number(trial *t, uint64_t number, bool is_gap) {
  const first *o = &t->opening;
  rule broken = !t->last_id[0]                         ? RULE_START
                : t->lost == SSE_LOST_REPLAY && is_gap ? RULE_REPLAY
                                                       : RULE_RESUME;
  if (book_after(number) < o->low || number > t->head_at_open)
    breaks(trial_rule(t, broken),
           "the stream begins at %" PRIu64 ", it should at %" PRIu64 " to %" PRIu64,
           book_wire(number), book_wire(o->low), book_wire(o->high));
  for (unsigned i = 0; i < ledger.count; i++) {
    const event *e = &ledger.events[i];
    mark now = trial_mark(t, e);
    if (e->number > number || e->number > t->head_at_open) break;
    if (now == PENDING && book_fate(e, trial_relevant(t, e), 0) == FATE_HELD)
      breaks(trial_rule(t, broken),
             "the stream begins at %" PRIu64 ", event %" PRIu64 " is not given", book_wire(number),
             book_wire(e->number));
    else if (now == PENDING || now == OPTIONAL)
      t->marks[i] = EXCLUDED;
  }
}

void trial_first(trial *t, const wire_block *block, const wire_gap *gap, uint64_t number,
                 bool marked) {
  section *s = t->sections_count && t->sections[0].opening ? &t->sections[0] : NULL;
  t->first_done = true;
  if (!gap && t->opening.gap_must)
    breaks(RULE_FIRST, "events were lost, and no gap is the first block");
  if (!block && !t->positions_off) breaks(RULE_FIRST, "there is no first block");
  if (t->first_retry != (t->retry_ms != SSE_NEVER))
    breaks(RULE_RETRY, "a retry line %s", t->first_retry ? "was given" : "is missing");
  if (t->first_retry &&
      (t->first_retry_ms < t->retry_ms || t->first_retry_ms > t->retry_ms * 3 / 2))
    breaks(RULE_RETRY, "retry is %" PRId64 ", retry_ms %d", t->first_retry_ms, t->retry_ms);
  if (gap) first_gap(t, gap);
  if (!block || !block->has_id) {
    number = t->opening.high;
    if (!s) return;
    s->at = number;
    trial_state_wants(t, s);
    for (unsigned i = 0; i < ledger.count; i++)
      if (t->marks[i] == OPTIONAL && s->wants[i]) s->wants[i] = WANT_MAY;
    return;
  }
  first_number(t, number, gap != NULL);
  if (number > t->cursor) t->cursor = number;
  if (marked && !s) breaks(RULE_MARK, "the first block has a mark without a state: %s", block->id);
  if (!s) return;
  s->at = number;
  trial_state_wants(t, s);
  if (marked)
    s->begun = true;
  else if (!t->positions_off)
    trial_section_close(t, number, NULL);
}
